/**
 * Maildrops: listed, read and cleared by an operator.
 *
 * Guarantees: reading changes nothing, and is no POP3 session: it works while the owner fetches mail. A deletion is
 * whole or not at all, and lasts at once; a POP3 session in progress finds the message gone.
 *
 * @module
 */
// @ts-types="../base/std_streams.d.ts"
import { ByteSliceStream, toArrayBuffer } from "@std/streams";
import { CHUNK_OCTETS } from "../base/limits.ts";
import { CRLF } from "../base/bytes.ts";
import { formatMessageKey, type MessageKey, messageKeyTimeMs, parseMessageKey } from "../mail/message_id.ts";
import { decodeEncodedWords } from "../mime/encoded_word.ts";
import { fieldValue, fieldValues, type Header, parseHeader } from "../mime/header.ts";
import { type Mailbox, parseMailboxList } from "../mime/mailbox_list.ts";
import { type Attachment, readableText } from "../mime/text_body.ts";
import type { Account } from "../store/types.ts";
import { type AdminContext, isoTime } from "./context.ts";
import { AdminError, usageError } from "./error.ts";
import { findAccount } from "./users.ts";

/** More of a message than this is not looked through for its text. */
const TEXT_SOURCE_OCTETS = 32 * CHUNK_OCTETS;

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
}

/** A message opened for reading. */
export interface MailText extends Omit<MailSummary, "number"> {
  readonly to: string;
  readonly cc: string;
  /** The Date field as it stands there; "" where there is none. */
  readonly date: string;
  /** The text meant for reading, with LF line ends; "" where there is none. */
  readonly text: string;
  readonly attachments: readonly Attachment[];
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

/** An account's messages, oldest first. @throws {AdminError} */
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
    summaries.push({ number: i + 1, ...summaryOf(parseHeader(part), { key: keys[i]!, size: sizes[i]! }) });
  }
  return summaries;
}

/** A message's heads and text. `id` may also be its number in a list. @throws {AdminError} */
export async function readMail(context: AdminContext, user: string, id: string): Promise<MailText> {
  const account = await findAccount(context, user);
  const entry = await findEntry(context, account, id);
  const message = new Uint8Array(
    await toArrayBuffer(
      ReadableStream.from(bodyParts(context, entry.key))
        .pipeThrough(new ByteSliceStream(0, TEXT_SOURCE_OCTETS - 1)),
    ),
  );
  const header = parseHeader(message);
  const body = readableText(message);
  return {
    ...summaryOf(header, entry),
    from: mailboxes(header, "from"),
    to: mailboxes(header, "to"),
    cc: mailboxes(header, "cc"),
    date: fieldValue(header, "date") ?? "",
    text: body.text,
    attachments: body.attachments,
    truncated: body.truncated || message.length >= TEXT_SOURCE_OCTETS,
  };
}

/** A message octet for octet. `id` may also be its number in a list. @throws {AdminError} */
export async function openMail(context: AdminContext, user: string, id: string): Promise<MailSource> {
  const account = await findAccount(context, user);
  const entry = await findEntry(context, account, id);
  const head = await context.store.maildrops.open(account.id, entry.key);
  if (head === undefined) throw goneError(entry.key);
  return {
    id: formatMessageKey(entry.key),
    bytes: entry.size,
    parts: sourceParts(context, { ...entry, trace: head.trace }),
  };
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

interface Entry {
  readonly key: MessageKey;
  readonly size: number;
}

async function findEntry(
  { store: { maildrops } }: AdminContext,
  account: Account,
  id: string,
): Promise<Entry> {
  const { keys, sizes } = await maildrops.list(account.id);
  const isNumber = /^\d{1,9}$/.test(id);
  const index = isNumber ? Number(id) - 1 : Array.from(keys).indexOf(parseMessageKey(id) ?? -1);
  const key = keys[index];
  if (key === undefined) throw missingError(account, id);
  return { key, size: sizes[index]! };
}

function missingError(account: Account, id: string): AdminError {
  return new AdminError(
    `there is no message ${id} in the maildrop of ${account.name}`,
    `'emsmail mail list --user ${account.name}' shows all there are`,
  );
}

function goneError(key: MessageKey): AdminError {
  return new AdminError(`message ${formatMessageKey(key)} has just been taken out of the maildrop`);
}

async function* bodyParts(
  { store: { maildrops } }: AdminContext,
  key: MessageKey,
): AsyncGenerator<Uint8Array> {
  for (let index = 0;; index++) {
    const part = await maildrops.part(key, index);
    if (part === undefined) return;
    yield part;
  }
}

async function* sourceParts(
  context: AdminContext,
  entry: Entry & { readonly trace: Uint8Array },
): AsyncGenerator<Uint8Array> {
  yield entry.trace;
  let octets = entry.trace.length;
  for await (const part of bodyParts(context, entry.key)) {
    octets += part.length;
    yield part;
  }
  // RFC 1939 3: RETR's last line has its CRLF, though the body may lack one.
  if (octets < entry.size) yield CRLF;
}

function summaryOf(header: Header, entry: Entry): Omit<MailSummary, "number"> {
  const sender = parseMailboxList(fieldValue(header, "from") ?? "")[0];
  return {
    id: formatMessageKey(entry.key),
    from: sender === undefined ? "" : sender.name || sender.address,
    subject: decodeEncodedWords(fieldValue(header, "subject") ?? ""),
    receivedAt: isoTime(messageKeyTimeMs(entry.key)),
    bytes: entry.size,
  };
}

/** All mailboxes of a field, as people write them. */
function mailboxes(header: Header, name: string): string {
  return fieldValues(header, name).flatMap(parseMailboxList).map(mailboxText).join(", ");
}

function mailboxText({ name, address }: Mailbox): string {
  return name === "" ? address : `${name} <${address}>`;
}
