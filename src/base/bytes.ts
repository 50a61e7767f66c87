/**
 * Octet strings: the few searches and conversions that every protocol core needs.
 *
 * Guarantees: no function changes its arguments. Text conversions are Latin-1 (one octet, one code unit), so that
 * octets survive a round trip whatever they mean; UTF-8 is decoded only where a standard says so.
 *
 * @module
 */
import { Buffer } from "node:buffer";

export const CR = 13;
export const LF = 10;
export const DOT = 46;

/** "\r\n". */
export const CRLF: Uint8Array = Uint8Array.of(CR, LF);

// ignoreBOM keeps U+FEFF where it stands: what is decoded must encode back to the same octets.
const utf8Decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Views octets as a Node Buffer without copying: its native searches are several times faster than a loop. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Octets to a string with one code unit an octet. */
export function latin1(bytes: Uint8Array): string {
  return asBuffer(bytes).toString("latin1");
}

/** A string of code units 0 to 255 to octets; a larger code unit is an error of the caller's. */
export function fromLatin1(text: string): Uint8Array {
  return Buffer.from(text, "latin1");
}

/** UTF-8 octets of a string. */
export function utf8(text: string): Uint8Array {
  return Buffer.from(text, "utf8");
}

/** Decodes UTF-8, or gives undefined where the octets are not valid UTF-8. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return utf8Decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/** Joins octet strings into one freshly allocated array whose buffer nothing else shares (so it may be transferred). */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const joined = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

/** Octets allocated at a time for {@linkcode joinForOutput}: an array of its own for each reply costs four times the copying. */
const POOL_OCTETS = 256 * 1024;
let pool = new Uint8Array(0);
let pooled = 0;

/** Joins octet strings for writing to a socket. The result shares its buffer with others, so it must not be transferred. */
export function joinForOutput(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  if (length > POOL_OCTETS / 4) return concat(parts);
  if (pooled + length > pool.length) {
    // The old pool lives on as long as something cut from it does.
    pool = new Uint8Array(POOL_OCTETS);
    pooled = 0;
  }
  const joined = pool.subarray(pooled, pooled + length);
  pooled += length;
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

/** Whether two octet strings are the same. Not for secrets: the time it takes tells where they differ. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && asBuffer(a).equals(b);
}

/** Whether every octet is 7-bit. */
export function isAscii(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i]! > 127) return false;
  return true;
}
