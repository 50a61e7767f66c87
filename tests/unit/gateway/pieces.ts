/** Messages broken apart, and their pieces put together as the store does. */
import { concat, fromLatin1, latin1 } from "../../../src/base/bytes.ts";
import { breakApart, type MessagePiece } from "../../../src/gateway/break_apart.ts";
import { type Entity, MimeScanner, type Structure } from "../../../src/mime/structure.ts";
import { fieldValue } from "../../../src/mime/header.ts";
import { decodeTransfer } from "../../../src/mime/transfer_encoding.ts";

export const SOURCE = 1000;
export const HOST = "mail.example.org";

/** A message as its octets, from text in which each code unit is an octet and each line end LF. */
export function octetsOf(text: string): Uint8Array {
  return fromLatin1(text.replace(/\r?\n/g, "\r\n"));
}

export function structureOf(message: Uint8Array): Structure {
  const scanner = new MimeScanner();
  scanner.push(message);
  return scanner.end();
}

export interface Broken {
  readonly pieces: readonly MessagePiece[];
  /** Each piece's octets. */
  readonly messages: readonly Uint8Array[];
}

/** The pieces of a message, or the clause that says why it stays whole. */
export function broken(message: Uint8Array): Broken | string {
  let key = SOURCE;
  const result = breakApart(structureOf(message), { key: SOURCE, hostname: HOST, nextKey: () => ++key });
  if (result.kind === "whole") return result.why;
  return { pieces: result.pieces, messages: result.pieces.map((piece) => assembled(piece, message)) };
}

/** What a piece's body is. */
export function assembled(piece: MessagePiece, message: Uint8Array): Uint8Array {
  return concat(piece.segments.map(({ source, offset, length }) => {
    const from = source === undefined ? piece.own : message;
    if (offset < 0 || length <= 0 || offset + length > from.length) {
      throw new Error("a segment is outside its source");
    }
    return from.subarray(offset, offset + length);
  }));
}

/** The entities that hold content: all but multiparts, of which only the parts count. */
export function contents(entity: Entity): Entity[] {
  return entity.children.length === 0 ? [entity] : entity.children.flatMap(contents);
}

/** An entity's decoded body. */
export function decoded(entity: Entity, message: Uint8Array): Uint8Array {
  const encoding = fieldValue(entity, "content-transfer-encoding") ?? "";
  return decodeTransfer(message.subarray(entity.bodyStart, entity.end), encoding);
}

export async function sha256(octets: Uint8Array): Promise<string> {
  return latin1(new Uint8Array(await crypto.subtle.digest("SHA-256", octets.slice())));
}

/** A field's value in a message's header. */
export function valueOf(message: Uint8Array, name: string): string | undefined {
  return fieldValue(structureOf(message).root, name);
}
