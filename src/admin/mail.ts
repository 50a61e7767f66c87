/**
 * Maildrops: listed, read, saved from and cleared by an operator.
 *
 * Guarantees: reading changes nothing, and is no POP3 session: it works while the owner fetches mail. A deletion is
 * whole or not at all, and lasts at once; a POP3 session in progress finds the message gone.
 *
 * @module
 */
import { formatMessageKey, type MessageKey, messageKeyTimeMs, parseMessageKey } from "../mail/message_id.ts";
import { decodeEncodedWords } from "../mime/encoded_word.ts";
import { cleanFileName } from "../mime/file_name.ts";
import { fieldValue, fieldValues, type Header, parseHeader } from "../mime/header.ts";
import { type Mailbox, parseMailboxList } from "../mime/mailbox_list.ts";
import { readableText } from "../mime/text_body.ts";
import { type AdminContext, isoTime } from "./context.ts";
import { AdminError, usageError } from "./error.ts";
import {
  type AttachmentChunk,
  attachmentContents,
  attachmentsOf,
  type Entry,
  findEntry,
  missingError,
  readBody,
  sourceParts,
  type StoredAttachment,
  TEXT_SOURCE_OCTETS,
} from "./maildrop.ts";
import type { AccountId } from "../store/types.ts";
import { findAccount } from "./users.ts";

/** A message in a list. */
export interface MailSummary {
  /** Its place in the maildrop, from 1, as POP3 counts. It moves when earlier messages go. */
  readonly number: number;
  /** Stays with the message; POP3's unique-id. */
  readonly id: string;
  /** Who the header says it is from: a name, or an address where there is none; "" where it doesn't say. */
  readonly from: string;
  readonly subject: string;
  /** When this system received it. */
  readonly receivedAt: string;
  /** Octets as POP3 sends them. */
  readonly bytes: number;
  /** Which piece it is of a message that was broken apart: `2/4`; null: it is whole. */
  readonly part: string | null;
}

/** An attachment, as people see it. */
export interface AttachmentView {
  /** Its place from 1. */
  readonly number: number;
  /** Fit to name a file; made up where the message has none. */
  readonly name: string;
  /** `application/pdf`, in lower case. */
  readonly type: string;
  /** Decoded octets. */
  readonly octets: number;
}

/** The message that a piece is of. */
export interface PieceView {
  /** `2` of `4`. */
  readonly place: number;
  readonly pieces: number;
  /** The id of the message as it was received. */
  readonly of: string;
  readonly subject: string;
  /** The other pieces' numbers in this maildrop, as far as they are there. */
  readonly others: readonly number[];
}

/** A message opened for reading. */
export interface MailText extends MailSummary {
  readonly to: string;
  readonly cc: string;
  /** The Date field as it stands there; "" where there is none. */
  readonly date: string;
  /** The text meant for reading, with LF line ends; "" where there is none. */
  readonly text: string;
  /** What it is a piece of; null: it is whole. */
  readonly piece: PieceView | null;
  readonly attachments: readonly AttachmentView[];
  /**
   * The report that a message kept whole with its attachments is to a terminal's user: all of it packaged together (the
   * seed, "PassThru vs Break Apart"). null: it has no attachments, or is a piece.
   */
  readonly package: { readonly name: string; readonly bytes: number } | null;
  /** The message is too large or too involved to be shown whole. */
  readonly truncated: boolean;
}

/** A message as octets. */
export interface MailSource {
  readonly id: string;
  readonly bytes: number;
  /** Exactly what RETR sends before dot-stuffing, in parts. */
  readonly parts: AsyncIterable<Uint8Array>;
}

/** An account's messages, in the order that it has chosen. @throws {AdminError} */
export async function listMail(
  context: AdminContext,
  user: string,
  options: { /** Only the newest so many. */ readonly last?: number | undefined } = {},
): Promise<MailSummary[]> {
  const { maildrops } = context.store;
  const account = await findAccount(context, user);
  const { keys, sizes } = await maildrops.list(account.id);
  const first = options.last === undefined ? 0 : Math.max(0, keys.length - options.last);
  const summaries: MailSummary[] = [];
  for (let i = first; i < keys.length; i++) {
    const part = await maildrops.part(keys[i]!, 0);
    // Its owner has just taken it out.
    if (part === undefined) continue;
    summaries.push(
      await summaryOf(context, parseHeader(part), { key: keys[i]!, number: i + 1, size: sizes[i]! }),
    );
  }
  return account.view === "newest" ? summaries.reverse() : summaries;
}

/** A message's heads and text. `id` may also be its number in a list. @throws {AdminError} */
export async function readMail(context: AdminContext, user: string, id: string): Promise<MailText> {
  const account = await findAccount(context, user);
  const entry = await findEntry(context, account, id);
  const { structure, opening } = await readBody(context, entry.key);
  const header = parseHeader(opening);
  const body = readableText(opening);
  const summary = await summaryOf(context, header, entry);
  const attachments = await attachmentViews(context, entry.key, attachmentsOf(structure));
  const piece = summary.part === null ? null : await pieceOf(context, entry, account.id);
  return {
    ...summary,
    from: mailboxes(header, "from"),
    to: mailboxes(header, "to"),
    cc: mailboxes(header, "cc"),
    date: fieldValue(header, "date") ?? "",
    text: body.text,
    piece,
    attachments,
    package: piece !== null || attachments.length === 0
      ? null
      : { name: packageName(summary), bytes: structure.octets },
    truncated: body.truncated || structure.octets >= TEXT_SOURCE_OCTETS,
  };
}

/** A message octet for octet. `id` may also be its number in a list. @throws {AdminError} */
export async function openMail(context: AdminContext, user: string, id: string): Promise<MailSource> {
  const account = await findAccount(context, user);
  const entry = await findEntry(context, account, id);
  return {
    id: formatMessageKey(entry.key),
    bytes: entry.size,
    parts: await sourceParts(context, account, entry),
  };
}

/** Attachments opened for saving. */
export interface MailAttachments {
  readonly id: string;
  /** Those asked for, in order; names may occur twice. */
  readonly attachments: readonly { readonly number: number; readonly name: string }[];
  /** Their decoded contents, one behind the other; `index` is the place in `attachments`. */
  readonly contents: AsyncIterable<AttachmentChunk>;
}

/** A message's attachments, or one of them by its place from 1. @throws {AdminError} where there is none */
export async function openAttachments(
  context: AdminContext,
  user: string,
  { id, part }: { readonly id: string; readonly part?: number | undefined },
): Promise<MailAttachments> {
  const account = await findAccount(context, user);
  const { key } = await findEntry(context, account, id);
  const { structure } = await readBody(context, key);
  const all = attachmentsOf(structure).map((attachment, index) => ({ ...attachment, number: index + 1 }));
  const chosen = part === undefined ? all : all.slice(part - 1, part);
  if (all.length === 0) {
    throw new AdminError(
      `message ${formatMessageKey(key)} has no attachments`,
      "'emsmail mail read --raw' prints all of it",
    );
  }
  if (chosen.length === 0) {
    const range = all.length === 1 ? "there is only one" : `they are numbered 1 to ${all.length}`;
    throw usageError(`message ${formatMessageKey(key)} has no attachment ${part}`, range);
  }
  return {
    id: formatMessageKey(key),
    attachments: chosen.map(({ number, fileName }) => ({ number, name: fileName })),
    contents: attachmentContents(context, key, chosen),
  };
}

/** A whole message as a package, for a file. @throws {AdminError} */
export async function openPackage(
  context: AdminContext,
  user: string,
  id: string,
): Promise<MailSource & { readonly name: string }> {
  const account = await findAccount(context, user);
  const entry = await findEntry(context, account, id);
  const first = await context.store.maildrops.part(entry.key, 0) ?? new Uint8Array();
  const summary = await summaryOf(context, parseHeader(first), entry);
  return { ...await openMail(context, user, summary.id), name: packageName(summary) };
}

/** Takes messages out of a maildrop; gives how many. @throws {AdminError} where one of them isn't there: then all stay */
export async function deleteMail(
  context: AdminContext,
  user: string,
  ids: readonly string[],
): Promise<number> {
  const account = await findAccount(context, user);
  const { keys } = await context.store.maildrops.list(account.id);
  const there = new Set(Array.from(keys));
  const wanted = new Set<MessageKey>();
  for (const id of ids) {
    const key = parseMessageKey(id);
    if (key !== undefined && there.has(key)) wanted.add(key);
    else if (/^\d{1,9}$/.test(id)) {
      throw usageError(
        `${id} is a number in a list, and numbers move as messages go`,
        "name messages to delete by their ids",
      );
    } else throw missingError(account, id);
  }
  return await context.store.maildrops.remove(account.id, [...wanted]);
}

async function summaryOf(context: AdminContext, header: Header, entry: Entry): Promise<MailSummary> {
  const sender = parseMailboxList(fieldValue(header, "from") ?? "")[0];
  return {
    number: entry.number,
    id: formatMessageKey(entry.key),
    from: sender === undefined ? "" : sender.name || sender.address,
    subject: decodeEncodedWords(fieldValue(header, "subject") ?? ""),
    receivedAt: isoTime(messageKeyTimeMs(entry.key)),
    bytes: entry.size,
    part: await placeOf(context, header, entry.key),
  };
}

/** A piece's place. The field alone proves nothing: it may have come with the message. */
async function placeOf({ store }: AdminContext, header: Header, key: MessageKey): Promise<string | null> {
  if (fieldValue(header, PART_FIELD) === undefined) return null;
  return (await store.history.message(key))?.pieceOf?.place ?? null;
}

/** What a piece has that a message was broken apart into. */
const PART_FIELD = "x-ems-part";

async function pieceOf(
  { store: { history, maildrops } }: AdminContext,
  entry: Entry,
  account: AccountId,
): Promise<PieceView | null> {
  const piece = (await history.message(entry.key))?.pieceOf;
  if (piece === undefined) return null;
  const [place = 0, pieces = 0] = piece.place.split("/").map(Number);
  const keys = Array.from((await maildrops.list(account)).keys);
  const others = (await history.message(piece.key))?.pieces ?? [];
  const header = parseHeader(await maildrops.part(piece.key, 0) ?? new Uint8Array());
  return {
    place,
    pieces,
    of: formatMessageKey(piece.key),
    subject: decodeEncodedWords(fieldValue(header, "subject") ?? ""),
    others: others.filter((key) => key !== entry.key).map((key) => keys.indexOf(key) + 1).filter((number) =>
      number > 0
    ),
  };
}

async function attachmentViews(
  context: AdminContext,
  key: MessageKey,
  attachments: readonly StoredAttachment[],
): Promise<AttachmentView[]> {
  if (attachments.length === 0) return [];
  const octets = attachments.map(() => 0);
  for await (const chunk of attachmentContents(context, key, attachments)) {
    octets[chunk.index]! += chunk.octets.length;
  }
  return attachments.map(({ fileName, type }, index) => ({
    number: index + 1,
    name: fileName,
    type,
    octets: octets[index]!,
  }));
}

/** What a message is called as a file. */
function packageName({ subject, id }: Pick<MailSummary, "subject" | "id">): string {
  return cleanFileName(`${subject.slice(0, 100).replace(/[/\\]/g, "-")}.eml`).replace(/^\.eml$|^eml$/, "") ||
    `${id}.eml`;
}

/** All mailboxes of a field, as people write them. */
function mailboxes(header: Header, name: string): string {
  return fieldValues(header, name).flatMap(parseMailboxList).map(mailboxText).join(", ");
}

function mailboxText({ name, address }: Mailbox): string {
  return name === "" ? address : `${name} <${address}>`;
}
