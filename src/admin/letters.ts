/**
 * A user's letter, checked and put into the queue.
 *
 * Guarantees: it is accepted whole, with all of its recipients, or not at all. Before that each recipient has been looked
 * up as a submission's would be at RCPT: one that mail can't go to, or a maildrop without room, keeps it from everybody.
 * Reports and other messages in it are not copied: it holds stretches of what is kept.
 *
 * Absent on purpose: Received fields, since it was received from nobody; its Message-ID has the id that `trace` knows it
 * by.
 *
 * @module
 */
// @ts-types="../base/std_encoding.d.ts"
import { encodeHex } from "@std/encoding";
import { CHUNK_OCTETS } from "../base/limits.ts";
import type { Addressee } from "../gateway/addressees.ts";
import type { NoteAck, NoteHeader, NotePriority, NoteProblem, Place } from "../gateway/note_types.ts";
import { firstDomain } from "../config/names.ts";
import { formatAddress, needsUtf8, parseAddress } from "../mail/address.ts";
import type { MessageRequests, NotifyEvent, RecipientRequests } from "../mail/envelope.ts";
import { formatMessageKey, type MessageKey } from "../mail/message_id.ts";
import {
  compose,
  type ComposedMessage,
  type ComposedPart,
  type Letter,
  travellingAddress,
} from "../mime/compose.ts";
import type { Mailbox } from "../mime/mailbox_list.ts";
import { type Destination, findDestination, hasRoom } from "../server/mailboxes.ts";
import { type Account, StoreError } from "../store/types.ts";
import type { AdminContext } from "./context.ts";
import { AdminError } from "./error.ts";
import { commandKeys } from "./keys.ts";
import { noteError, type NoteSource } from "./notes.ts";

/** Whom a letter goes to. Without a place, the note doesn't name it: the message that is answered does. */
export interface LetterRecipient extends Omit<Addressee, "place"> {
  readonly place?: Place;
}

export interface LetterDraft {
  readonly account: Account;
  readonly recipients: readonly LetterRecipient[];
  readonly subject: string;
  readonly text: string;
  readonly priority: NotePriority | undefined;
  readonly ack: NoteAck | undefined;
  readonly inReplyTo?: string;
  readonly references?: readonly string[];
  readonly attachments: readonly ComposedPart[];
  /** Whether an attachment holds octets over 127 as it travels. */
  readonly eightBit: "yes" | "no";
}

/** What is known of a recipient. */
export interface RecipientView {
  readonly header: NoteHeader;
  /** As the note has it. */
  readonly written: string;
  readonly address: string;
  /** "" where none is known. */
  readonly name: string;
  /** How it was found: `nickname boss`, `shadow bobl`; empty for an address. */
  readonly by: readonly string[];
  /** Accounts that get it. */
  readonly maildrops: readonly string[];
  /** How many addresses elsewhere get it. */
  readonly elsewhere: number;
}

export interface SentMail {
  /** null: it was only tried. */
  readonly id: string | null;
  readonly from: string;
  readonly subject: string;
  /** Octets of the message. */
  readonly bytes: number;
  readonly attachments: number;
  readonly recipients: readonly RecipientView[];
}

export interface LetterOptions {
  readonly note: NoteSource;
  /** `check`: does everything but accept it. */
  readonly mode: "send" | "check";
  /** What was found wrong before. */
  readonly problems: readonly NoteProblem[];
}

/** Keys tried where another command had the same at the same moment. */
const TRIES = 5;
/** RFC 6710: -9 to 9, 0 being ordinary; the ends are left to those who need them more. */
const MT_PRIORITY: { readonly [priority in NotePriority]: number } = { low: -4, normal: 0, high: 4 };
const ACK_EVENTS: readonly NotifyEvent[] = ["success", "failure", "delay"];

/** Checks a letter and puts it into the queue. @throws {AdminError} with everything that is wrong; then nothing was sent */
export async function sendLetter(
  context: AdminContext,
  draft: LetterDraft,
  { note, mode, problems }: LetterOptions,
): Promise<SentMail> {
  const { account, recipients, subject } = draft;
  const from = addressOf(account, context);
  const nextKey = await commandKeys(context);
  const letter = letterAs(context, draft, nextKey());
  const { composed } = letter;
  const checked = await checkRecipients(context, recipients, { from, octets: composed.size });
  const all = [...problems, ...checked.problems];
  if (all.length > 0) throw noteError(note, all);
  if (checked.refused.length > 0) {
    throw new AdminError(`nothing was sent: ${checked.refused.join("; ")}`, "name others with /TO");
  }
  if (recipients.length === 0) {
    throw new AdminError("nothing was sent: it would go to nobody", "name somebody with /TO");
  }
  checkSize(context, composed.size);
  const id = mode === "check" ? null : formatMessageKey(await accept(context, draft, { letter, nextKey }));
  return {
    id,
    from,
    subject,
    bytes: composed.size,
    attachments: draft.attachments.length,
    recipients: recipients.map((recipient, index) => viewOf(recipient, checked.destinations[index]!)),
  };
}

/** The address that a user writes from. */
export function addressOf({ name }: Account, { config }: AdminContext): string {
  return name.includes("@") ? name : `${name}@${firstDomain(config)}`;
}

interface Checked {
  readonly destinations: readonly (Destination | undefined)[];
  /** Of recipients that the note names. */
  readonly problems: readonly NoteProblem[];
  /** Of others, in words. */
  readonly refused: readonly string[];
}

async function checkRecipients(
  { store, config }: AdminContext,
  recipients: readonly LetterRecipient[],
  { from, octets }: { readonly from: string; readonly octets: number },
): Promise<Checked> {
  const destinations: Destination[] = [];
  const problems: NoteProblem[] = [];
  const refused: string[] = [];
  const sender = parseAddress(from);
  const where = { directory: store.directory, config, sender: "error" in sender ? null : sender };
  for (const { address, place } of recipients) {
    const destination = await findDestination(address, where);
    destinations.push(destination);
    let why = destination.refusal?.lines.join(" ");
    if (why === undefined && destination.forwards.length === 0) {
      const room = { maildrops: store.maildrops, config, octets };
      const answers = await Promise.all(destination.accounts.map((each) => hasRoom(each, room)));
      if (!answers.includes("yes")) why = "the maildrop has no room for it";
    }
    if (why === undefined) continue;
    const message = `mail for ${formatAddress(address)} can't be taken: ${why}`;
    if (place === undefined) refused.push(message);
    else problems.push({ ...place, message, hint: "" });
  }
  return { destinations, problems, refused };
}

function checkSize({ config }: AdminContext, octets: number): void {
  const { messageBytes } = config.limits;
  if (octets <= messageBytes) return;
  throw new AdminError(
    `nothing was sent: the message has ${octets} octets, and this system takes ${messageBytes}`,
    "send fewer or smaller attachments, or raise limits.messageBytes",
  );
}

function composeFor(context: AdminContext, draft: LetterDraft, key: MessageKey): ComposedMessage {
  const { account, recipients, subject, text, priority, ack, attachments } = draft;
  const from = { name: account.identity?.displayName ?? "", address: addressOf(account, context) };
  const letter: Letter = {
    from,
    to: mailboxesOf(recipients, "to"),
    cc: mailboxesOf(recipients, "cc"),
    subject,
    atMs: context.clock.nowMs(),
    messageId: messageIdOf(context, key),
    inReplyTo: draft.inReplyTo ?? "",
    references: draft.references ?? [],
    priority,
    readReceiptTo: ack === "read" ? from : undefined,
    text,
    attachments,
    // Nobody can have guessed it, so it stands in nothing that is kept; and base64 and quoted-printable have no "=_".
    boundary: `=_${encodeHex(context.random.bytes(16))}`,
  };
  return compose(letter);
}

function messageIdOf({ config }: AdminContext, key: MessageKey): string {
  return `${formatMessageKey(key)}@${config.hostname}`;
}

function mailboxesOf(recipients: readonly LetterRecipient[], header: NoteHeader): Mailbox[] {
  return recipients.filter((each) => each.header === header).map(({ address, displayName }) => ({
    name: displayName,
    address: travellingAddress(formatAddress(address)),
  }));
}

/** A letter as the message that has a key. */
interface KeyedLetter {
  readonly key: MessageKey;
  readonly composed: ComposedMessage;
}

function letterAs(context: AdminContext, draft: LetterDraft, key: MessageKey): KeyedLetter {
  return { key, composed: composeFor(context, draft, key) };
}

/** Makes the letter durable. Another command may have had the same key at the same moment: then the next one is tried. */
async function accept(
  context: AdminContext,
  draft: LetterDraft,
  { letter: first, nextKey }: { readonly letter: KeyedLetter; readonly nextKey: () => MessageKey },
): Promise<MessageKey> {
  let letter = first;
  for (let tries = 1;; tries++) {
    try {
      await acceptAs(context, draft, letter);
      return letter.key;
    } catch (error) {
      if (!(error instanceof StoreError) || error.kind !== "conflict" || tries >= TRIES) throw error;
      letter = letterAs(context, draft, nextKey());
    }
  }
}

async function acceptAs(
  context: AdminContext,
  draft: LetterDraft,
  { key, composed }: KeyedLetter,
): Promise<void> {
  const { store: { spool }, config, clock } = context;
  const { account, recipients } = draft;
  const { own, segments, size, smtpUtf8 } = composed;
  const last = Math.floor(own.length / CHUNK_OCTETS) * CHUNK_OCTETS;
  // Buffers given to the store may be transferred: each part is an array of its own.
  for (let at = 0; at < last; at += CHUNK_OCTETS) await spool.append(key, own.slice(at, at + CHUNK_OCTETS));
  const requests = requestsOf(draft);
  const recipientRequests = recipients.map(recipientRequestsOf(draft));
  try {
    await spool.accept({
      key,
      lastPart: own.slice(last),
      size,
      ...segments.some(({ source }) => source !== undefined) ? { segments } : {},
      receivedAtMs: clock.nowMs(),
      envelope: {
        reversePath: addressOf(account, context),
        recipients: recipients.map(({ address }) => travellingAddress(formatAddress(address))),
        smtpUtf8: smtpUtf8 || recipients.some(({ address }) => needsUtf8(addressTravelling(address))),
        ...requests === undefined ? {} : { requests },
        ...recipientRequests.some((each) => each !== undefined) ? { recipientRequests } : {},
      },
      origin: { client: "", helo: config.hostname, transmission: "ESMTPA", account: account.name },
      messageId: messageIdOf(context, key),
    });
  } catch (error) {
    await spool.discard(key);
    throw error;
  }
}

function addressTravelling(address: LetterRecipient["address"]): LetterRecipient["address"] {
  const travelling = parseAddress(travellingAddress(formatAddress(address)));
  return "error" in travelling ? address : travelling;
}

function requestsOf({ priority, eightBit }: LetterDraft): MessageRequests | undefined {
  if (priority === undefined && eightBit === "no") return undefined;
  return {
    ...priority === undefined ? {} : { priority: MT_PRIORITY[priority] },
    // RFC 6152: the content holds octets over 127.
    ...eightBit === "no" ? {} : { body: "8BITMIME" as const },
  };
}

/** `/ACK`: RFC 3461 4.1. */
function recipientRequestsOf({ ack }: LetterDraft): () => RecipientRequests | undefined {
  return () => ack === undefined ? undefined : { notify: ACK_EVENTS };
}

function viewOf(recipient: LetterRecipient, { accounts, forwards }: Destination): RecipientView {
  const { header, written, address, displayName, by } = recipient;
  return {
    header,
    written,
    address: formatAddress(address),
    name: displayName,
    by,
    maildrops: accounts.map(({ name }) => name),
    elsewhere: forwards.length,
  };
}
