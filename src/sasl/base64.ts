/**
 * Base64 as SASL profiles want it: one text for one octet string, or nothing.
 *
 * Guarantees: what decodes encodes back to the same text: padding is there, unused bits are zero, no space or line
 * end is passed over (RFC 4648 3.3, 3.5). So a line that only looks like base64 never becomes a credential.
 *
 * @module
 */
// @ts-types="../base/std_encoding.d.ts"
import { decodeBase64, encodeBase64 } from "@std/encoding";

const ALPHABET = /^[A-Za-z0-9+/]*={0,2}$/;

/** Octets as base64 with padding; the octets stay as they are. */
export function toBase64(bytes: Uint8Array): string {
  // A copy, since the encoder may take the memory of a Node Buffer for its own.
  return encodeBase64(new Uint8Array(bytes));
}

/** Decodes base64 strictly; undefined where the text is not exactly what {@linkcode toBase64} would have made. */
export function fromBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0 || !ALPHABET.test(text)) return undefined;
  const bytes = decodeBase64(text);
  return encodeBase64(new Uint8Array(bytes)) === text ? bytes : undefined;
}

/**
 * Decodes a response line's base64: an empty line is an empty response. (`*`, which cancels, is the caller's:
 * RFC 4954 4, RFC 5034 4.)
 */
export function decodeResponse(text: string): Uint8Array | undefined {
  return fromBase64(text);
}

/** Decodes the initial response beside an AUTH command, where `=` stands for an empty one (RFC 4954 4, RFC 5034 4). */
export function decodeInitialResponse(text: string): Uint8Array | undefined {
  if (text === "=") return new Uint8Array(0);
  return text === "" ? undefined : fromBase64(text);
}
