/**
 * Content-Transfer-Encoding undone for reading (RFC 2045 6).
 *
 * Guarantees: never fails and never gives more octets than it was given. What is not of the encoding is passed over
 * (base64) or left as it stands (quoted-printable), since a reader would rather see most of a message than none.
 *
 * @module
 */
// @ts-types="../base/std_encoding.d.ts"
import { decodeBase64 as decodeStrictBase64 } from "@std/encoding";
import { CR, latin1, LF } from "../base/bytes.ts";

const EQUALS = 61;
const SPACE = 32;
const TAB = 9;
const UNDERSCORE = 95;

/** Decodes a body; an encoding nobody knows, 7bit, 8bit and binary leave it as it is. */
export function decodeTransfer(body: Uint8Array, encoding: string): Uint8Array {
  const name = encoding.trim().toLowerCase();
  if (name === "base64") return decodeBase64(latin1(body));
  if (name === "quoted-printable") return decodeQuotedPrintable(body);
  return body;
}

/** Decodes base64, passing over what is not of its alphabet and ending at the first padding (RFC 2045 6.8). */
export function decodeBase64(text: string): Uint8Array {
  const padding = text.indexOf("=");
  const digits = (padding < 0 ? text : text.slice(0, padding)).replace(/[^A-Za-z0-9+/]+/g, "");
  // A single digit left over holds no whole octet.
  const whole = digits.length % 4 === 1 ? digits.slice(0, -1) : digits;
  return decodeStrictBase64(whole + "=".repeat(-whole.length & 3));
}

/** Decodes quoted-printable (RFC 2045 6.7). */
export function decodeQuotedPrintable(body: Uint8Array): Uint8Array {
  const out = new Uint8Array(body.length);
  let length = 0;
  let at = 0;
  // Output before this length is no trailing white space: it was written as =20.
  let solid = 0;
  while (at < body.length) {
    const octet = body[at]!;
    if (octet === EQUALS) {
      const soft = softBreak(body, at);
      const value = hexOctet(body, at + 1);
      if (soft > 0) at += soft;
      else if (value >= 0) {
        out[length++] = value;
        at += 3;
      } else {
        out[length++] = octet;
        at++;
      }
      solid = length;
      continue;
    }
    if (octet === LF || (octet === CR && body[at + 1] === LF)) {
      // Rule 3: white space at a line's end was added on the way.
      while (length > solid && (out[length - 1] === SPACE || out[length - 1] === TAB)) length--;
    }
    out[length++] = octet;
    at++;
  }
  return out.subarray(0, length);
}

/** Decodes the Q encoding of an encoded word (RFC 2047 4.2). */
export function decodeQ(text: Uint8Array): Uint8Array {
  const out = new Uint8Array(text.length);
  let length = 0;
  for (let at = 0; at < text.length; at++) {
    const value = text[at] === EQUALS ? hexOctet(text, at + 1) : -1;
    if (value >= 0) at += 2;
    out[length++] = value >= 0 ? value : text[at] === UNDERSCORE ? SPACE : text[at]!;
  }
  return out.subarray(0, length);
}

/** Octets of a soft line break ("=", white space, line end or the body's end) at `at`; 0 where there is none. */
function softBreak(body: Uint8Array, at: number): number {
  let end = at + 1;
  while (body[end] === SPACE || body[end] === TAB) end++;
  if (end === body.length) return end - at;
  if (body[end] === LF) return end + 1 - at;
  return body[end] === CR && body[end + 1] === LF ? end + 2 - at : 0;
}

function hexOctet(bytes: Uint8Array, at: number): number {
  const high = hexDigit(bytes[at]);
  const low = hexDigit(bytes[at + 1]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

function hexDigit(octet: number | undefined): number {
  if (octet === undefined) return -1;
  if (octet >= 48 && octet <= 57) return octet - 48;
  const lower = octet | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}
