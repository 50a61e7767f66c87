/**
 * Messages of a maildrop, found and read: what listing, reading, saving and answering have in common.
 *
 * Guarantees: reading changes nothing. A body of any size is read part by part; what is held of it is bounded
 * ({@linkcode TEXT_SOURCE_OCTETS}).
 *
 * @module
 */
import { concat, CRLF } from "../base/bytes.ts";
import { CHUNK_OCTETS } from "../base/limits.ts";
import { formatMessageKey, type MessageKey, parseMessageKey } from "../mail/message_id.ts";
import { suffixOf } from "../mime/media_types.ts";
import { MimeScanner, type Structure } from "../mime/structure.ts";
import { type AttachmentPlace, attachmentsIn } from "../mime/text_body.ts";
import { TransferDecoder } from "../mime/transfer_encoding.ts";
import type { Account } from "../store/types.ts";
import type { AdminContext } from "./context.ts";
import { AdminError } from "./error.ts";

/** More of a message than this is not looked through for its text. */
export const TEXT_SOURCE_OCTETS = 32 * CHUNK_OCTETS;

/** A message in a maildrop. */
export interface Entry {
  readonly key: MessageKey;
  /** Its place from 1. */
  readonly number: number;
  /** Octets that RETR sends. */
  readonly size: number;
}

/** The message that has an id, or a number in a list. @throws {AdminError} */
export async function findEntry(
  { store: { maildrops } }: AdminContext,
  account: Account,
  id: string,
): Promise<Entry> {
  const { keys, sizes } = await maildrops.list(account.id);
  const isNumber = /^\d{1,9}$/.test(id);
  const index = isNumber ? Number(id) - 1 : Array.from(keys).indexOf(parseMessageKey(id) ?? -1);
  const key = keys[index];
  if (key === undefined) throw missingError(account, id);
  return { key, number: index + 1, size: sizes[index]! };
}

/** That no message in a maildrop has the id or number. */
export function missingError(account: Account, id: string): AdminError {
  return new AdminError(
    `there is no message ${id} in the maildrop of ${account.name}`,
    `'emsmail mail list --user ${account.name}' shows all there are`,
  );
}

/** That its owner was faster. */
export function goneError(key: MessageKey): AdminError {
  return new AdminError(`message ${formatMessageKey(key)} has just been taken out of the maildrop`);
}

/** A body's parts, from part `index` on. */
export async function* bodyParts(
  { store: { maildrops } }: AdminContext,
  key: MessageKey,
  index = 0,
): AsyncGenerator<Uint8Array> {
  for (;; index++) {
    const part = await maildrops.part(key, index);
    if (part === undefined) return;
    yield part;
  }
}

/** What RETR sends of a message before dot-stuffing, in parts. @throws {AdminError} where it is gone */
export async function sourceParts(
  context: AdminContext,
  account: Account,
  { key, size }: Entry,
): Promise<AsyncGenerator<Uint8Array>> {
  const head = await context.store.maildrops.open(account.id, key);
  if (head === undefined) throw goneError(key);
  return (async function* () {
    yield head.trace;
    yield head.firstPart;
    let octets = head.trace.length + head.firstPart.length;
    for await (const part of bodyParts(context, key, 1)) {
      octets += part.length;
      yield part;
    }
    // RFC 1939 3: RETR's last line has its CRLF, though the body may lack one.
    if (octets < size) yield CRLF;
  })();
}

/** A body looked through. */
export interface ReadBody {
  readonly structure: Structure;
  /** Its first {@linkcode TEXT_SOURCE_OCTETS}, all of most messages. */
  readonly opening: Uint8Array;
  /** Octets over 127 stand in it. */
  readonly eightBit: "yes" | "no";
}

/** Reads a body once, from end to end. */
export async function readBody(context: AdminContext, key: MessageKey): Promise<ReadBody> {
  const scanner = new MimeScanner();
  const opening: Uint8Array[] = [];
  let room = TEXT_SOURCE_OCTETS;
  let eightBit: "yes" | "no" = "no";
  for await (const part of bodyParts(context, key)) {
    scanner.push(part);
    if (room > 0) opening.push(part.subarray(0, room));
    room -= part.length;
    if (eightBit === "no" && part.some((octet) => octet > 127)) eightBit = "yes";
  }
  return {
    structure: scanner.end(),
    opening: opening.length === 1 ? opening[0]! : concat(opening),
    eightBit,
  };
}

/** A part of a message that isn't shown as its text. */
export interface StoredAttachment extends Omit<AttachmentPlace, "name"> {
  /** Cleaned; made up where the message has none. */
  readonly fileName: string;
}

/** All attachments, in order. What readableText() shows is none. */
export function attachmentsOf(structure: Structure): StoredAttachment[] {
  return attachmentsIn(structure).map(({ name, ...place }, index) => ({
    ...place,
    fileName: name || `attachment-${index + 1}${suffixOf(place.type)}`,
  }));
}

/** A stretch of a decoded attachment; `end` is the last one of it, which may be empty. */
export interface AttachmentChunk {
  /** Place in the list. */
  readonly index: number;
  readonly octets: Uint8Array;
  readonly end: boolean;
}

/** The decoded contents of attachments (in order of the body), in one reading of it. */
export async function* attachmentContents(
  context: AdminContext,
  key: MessageKey,
  attachments: readonly Pick<StoredAttachment, "bodyStart" | "end" | "encoding">[],
): AsyncGenerator<AttachmentChunk> {
  let at = 0;
  let index = 0;
  let decoder = new TransferDecoder(attachments[0]?.encoding ?? "");
  const next = () => decoder = new TransferDecoder(attachments[++index]?.encoding ?? "");
  for await (const part of bodyParts(context, key)) {
    const partEnd = at + part.length;
    for (
      let each = attachments[index];
      each !== undefined && each.bodyStart < partEnd;
      each = attachments[index]
    ) {
      const octets = part.subarray(Math.max(0, each.bodyStart - at), Math.min(part.length, each.end - at));
      if (octets.length > 0) yield { index, octets: decoder.push(octets), end: false };
      if (each.end > partEnd) break;
      yield { index, octets: decoder.end(), end: true };
      next();
    }
    at = partEnd;
    if (index >= attachments.length) return;
  }
  for (; index < attachments.length; next()) yield { index, octets: decoder.end(), end: true };
}
