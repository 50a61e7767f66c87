/**
 * Content-Transfer-Encoding undone and done (RFC 2045 6), at once and in pieces.
 *
 * Guarantees: never fails; decoding never gives more octets than it was given, and any partition into pieces gives the same.
 * What is not of the encoding is passed over (base64) or left as it stands (quoted-printable), since a reader would rather
 * see most of a message than none. In pieces, less than {@linkcode BLANKS} octets are kept from one to the next.
 *
 * @module
 */
import { concat, CR, fromLatin1, latin1, LF, utf8 } from "../base/bytes.ts";
import { encodeBase64Lines } from "./report/encode.ts";

/** White space before a line's end, or behind "=", that is still looked through: longer than any line may be (RFC 5322 2.1.1). */
const BLANKS = 1000;
/** Octets that make a line of base64: 76 characters (RFC 2045 6.8). */
const LINE_OCTETS = 57;

const EQUALS = 61;
const SPACE = 32;
const TAB = 9;
const UNDERSCORE = 95;
const EMPTY = new Uint8Array(0);

/** Decodes a body; an encoding nobody knows, 7bit, 8bit and binary leave it as it is. */
export function decodeTransfer(body: Uint8Array, encoding: string): Uint8Array {
  const name = encodingName(encoding);
  if (name === "base64") return decodeBase64(latin1(body));
  if (name === "quoted-printable") return decodeQuotedPrintable(body);
  return body;
}

/** Decodes a body in pieces, as {@linkcode decodeTransfer} does at once. What it gives may be a view of what it was given. */
export class TransferDecoder {
  readonly #decoder: { push(octets: Uint8Array): Uint8Array; end(): Uint8Array } | undefined;

  /** @param encoding the value of Content-Transfer-Encoding */
  constructor(encoding: string) {
    const name = encodingName(encoding);
    if (name === "base64") this.#decoder = new Base64Decoder();
    else if (name === "quoted-printable") this.#decoder = new QuotedPrintableDecoder();
  }

  push(octets: Uint8Array): Uint8Array {
    return this.#decoder === undefined ? octets : this.#decoder.push(octets);
  }

  /** What is left when the body is over. */
  end(): Uint8Array {
    return this.#decoder === undefined ? EMPTY : this.#decoder.end();
  }
}

/** Encodes octets in pieces as base64, in lines of 76 characters, each (the last one too) with CRLF (RFC 2045 6.8). */
export class Base64Encoder {
  #rest: Uint8Array = EMPTY;

  push(octets: Uint8Array): Uint8Array {
    const all = this.#rest.length === 0 ? octets : concat([this.#rest, octets]);
    const whole = all.length - all.length % LINE_OCTETS;
    this.#rest = all.slice(whole);
    return utf8(encodeBase64Lines(all.subarray(0, whole)));
  }

  /** The last line. */
  end(): Uint8Array {
    const rest = this.#rest;
    this.#rest = EMPTY;
    return rest.length === 0 ? EMPTY : utf8(`${encodeBase64Lines(rest)}\r\n`);
  }
}

/** A field's value without comments (RFC 2045 6.1) and parameters, which some programs add. */
export function encodingName(encoding: string): string {
  return encoding.replace(/\(.*|;.*/s, "").trim().toLowerCase();
}

/** Decodes base64, passing over what is not of its alphabet and ending at the first padding (RFC 2045 6.8). */
export function decodeBase64(text: string): Uint8Array {
  const decoder = new Base64Decoder();
  // What is beyond Latin-1 must not be taken for the digit that its lower octet is.
  return concat([decoder.push(fromLatin1(text.replace(/[\u0100-\uffff]/g, ""))), decoder.end()]);
}

/** The value of each digit of base64 (RFC 4648 4), -1 of other octets. */
const DIGITS = new Int8Array(256).fill(-1);
for (let value = 0; value < 64; value++) {
  DIGITS["ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".charCodeAt(value)] = value;
}

/** Octet by octet: three times as fast as gathering a text of digits for the platform's own decoder. */
class Base64Decoder {
  /** Digits that make no whole octets yet, three at most, and how many. */
  #bits = 0;
  #count = 0;
  #ended = false;

  push(octets: Uint8Array): Uint8Array {
    if (this.#ended) return EMPTY;
    const out = new Uint8Array(Math.floor((octets.length + this.#count) / 4) * 3);
    let length = 0;
    let bits = this.#bits;
    let count = this.#count;
    for (let at = 0; at < octets.length; at++) {
      const value = DIGITS[octets[at]!]!;
      if (value < 0) {
        if (octets[at] !== EQUALS) continue;
        this.#ended = true;
        break;
      }
      bits = (bits << 6) | value;
      if (++count < 4) continue;
      out[length] = bits >> 16;
      out[length + 1] = bits >> 8;
      out[length + 2] = bits;
      length += 3;
      bits = 0;
      count = 0;
    }
    this.#bits = bits;
    this.#count = count;
    return out.subarray(0, length);
  }

  end(): Uint8Array {
    // A single digit left over holds no whole octet.
    if (this.#count === 2) return Uint8Array.of(this.#bits >> 4);
    if (this.#count === 3) return Uint8Array.of(this.#bits >> 10, this.#bits >> 2);
    return EMPTY;
  }
}

/** Decodes quoted-printable (RFC 2045 6.7). */
export function decodeQuotedPrintable(body: Uint8Array): Uint8Array {
  return decodeLines(body, { ended: true }).octets;
}

class QuotedPrintableDecoder {
  #rest: Uint8Array = EMPTY;

  push(octets: Uint8Array): Uint8Array {
    const all = this.#rest.length === 0 ? octets : concat([this.#rest, octets]);
    const decoded = decodeLines(all, { ended: false });
    this.#rest = all.slice(decoded.read);
    return decoded.octets;
  }

  end(): Uint8Array {
    return decodeQuotedPrintable(this.#rest);
  }
}

/**
 * Decodes as far as can be told: before the end that is up to white space, or an "=", about which what follows decides.
 */
function decodeLines(
  body: Uint8Array,
  { ended }: { readonly ended: boolean },
): { readonly octets: Uint8Array; readonly read: number } {
  const out = new Uint8Array(body.length);
  let length = 0;
  let at = 0;
  while (at < body.length) {
    const octet = body[at]!;
    // Most octets stand for themselves, and so does a blank between two words.
    if (octet !== EQUALS && ((octet !== SPACE && octet !== TAB) || body[at + 1]! > SPACE)) {
      out[length++] = octet;
      at++;
      continue;
    }
    const value = octet === EQUALS ? hexOctet(body, at + 1) : -1;
    if (value >= 0) {
      out[length++] = value;
      at += 3;
      continue;
    }
    const blanks = endOfBlanks(body, octet === EQUALS ? at + 1 : at);
    const ending = lineEnding(body, blanks, { ended });
    if (!ended && (ending === "more" || (octet === EQUALS && body.length - at < 3))) break;
    if (octet === EQUALS) {
      // A soft line break, or else an "=" that stands for itself.
      if (ending === "none") out[length++] = octet;
      at = ending === "none" ? at + 1 : blanks + (ending === "more" ? 0 : ending);
      continue;
    }
    // Rule 3: white space at a line's end was added on the way.
    if (ending === "none" || ending === "more") {
      out.set(body.subarray(at, blanks), length);
      length += blanks - at;
    }
    at = blanks;
  }
  return { octets: out.subarray(0, length), read: at };
}

/** Where white space ends, of which {@linkcode BLANKS} octets are looked at. */
function endOfBlanks(body: Uint8Array, from: number): number {
  let at = from;
  while (at - from < BLANKS && (body[at] === SPACE || body[at] === TAB)) at++;
  return at;
}

/** Octets of the line end at `at`; `none` where there is another octet, `more` where there is nothing yet. */
function lineEnding(
  body: Uint8Array,
  at: number,
  { ended }: { readonly ended: boolean },
): 1 | 2 | "none" | "more" {
  if (at === body.length) return "more";
  if (body[at] === LF) return 1;
  if (body[at] !== CR) return "none";
  if (body[at + 1] === LF) return 2;
  return at + 1 === body.length && !ended ? "more" : "none";
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
