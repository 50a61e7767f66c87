/**
 * Messages broken apart: each body is read part by part, and once for all who get it so.
 *
 * Guarantees: memory is bounded by one part of the body and what the scanner keeps (mime/structure.ts), whatever the size of
 * the message. Other work goes on between two parts. A body that can't be read is an error: its message waits.
 *
 * @module
 */
import { LF } from "../base/bytes.ts";
import { breakApart } from "../gateway/break_apart.ts";
import { formatMessageKey, type MessageKey } from "../mail/message_id.ts";
import { fieldValue, parseHeader } from "../mime/header.ts";
import { parseParameterised } from "../mime/parameters.ts";
import { MimeScanner } from "../mime/structure.ts";
import type { Piece, QueuedMessage } from "../store/types.ts";

export interface ApartOptions {
  /** Part `index` of a body; undefined past its end. */
  readonly part: (key: MessageKey, index: number) => Promise<Uint8Array | undefined>;
  readonly nextKey: () => MessageKey;
  /** Behind the @ of the pieces' Message-IDs. */
  readonly hostname: () => string;
}

/**
 * The pieces of messages, remembered for as long as this is: so those who get a message apart at the same time share them.
 */
export class Apart {
  readonly #options: ApartOptions;
  readonly #known = new Map<MessageKey, Promise<readonly Piece[] | undefined>>();

  constructor(options: ApartOptions) {
    this.#options = options;
  }

  /** What a message is broken apart into; undefined where it stays whole. Rejects where the body can't be read. */
  piecesOf(message: QueuedMessage): Promise<readonly Piece[] | undefined> {
    const known = this.#known.get(message.key);
    if (known !== undefined) return known;
    const pieces = breakMessage(message, this.#options);
    this.#known.set(message.key, pieces);
    return pieces;
  }
}

/** Reads a message and breaks it apart; undefined where it stays whole. Rejects where the body can't be read. */
export async function breakMessage(
  { key, size }: Pick<QueuedMessage, "key" | "size">,
  { part, nextKey, hostname }: ApartOptions,
): Promise<readonly Piece[] | undefined> {
  const scanner = new MimeScanner();
  let octets = 0;
  for (let index = 0; octets < size; index++) {
    const next = await part(key, index);
    if (next === undefined) throw new Error(`the content of message ${formatMessageKey(key)} is not whole`);
    // Most messages are a text and nothing else.
    if (index === 0 && !isMultipart(next, size)) return undefined;
    octets += next.length;
    scanner.push(next);
  }
  const result = breakApart(scanner.end(), { key, nextKey, hostname: hostname() });
  return result.kind === "whole" ? undefined : result.pieces;
}

/** Whether a message may be a multipart, by its first part; one whose header may go on behind that is looked at whole. */
function isMultipart(first: Uint8Array, size: number): boolean {
  const header = parseHeader(first);
  if (first.length < size && first.indexOf(LF, header.bodyOffset) < 0) return true;
  const type = fieldValue(header, "content-type");
  return type !== undefined && parseParameterised(type).value.startsWith("multipart/");
}
