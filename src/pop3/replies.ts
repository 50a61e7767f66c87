/**
 * POP3 status lines, and the output that gathers until the server takes it.
 *
 * ```abnf
 * single-line = status [SP text] CRLF                    ; RFC 2449 9
 * status      = "+OK" / "-ERR"
 * text        = *schar / resp-code *CHAR
 * resp-code   = "[" resp-level *("/" resp-level) "]"
 * ```
 *
 * Guarantees: a status line is at most 512 octets with its CRLF (RFC 2449 4), holds no other CR or LF, and begins
 * with a bracket only where a response code was meant (RFC 2449 8).
 *
 * @module
 */
import { joinForOutput, utf8 } from "../base/bytes.ts";
import { clean } from "../mail/reply.ts";
import type { ResponseCode } from "./types.ts";

/** RFC 2449 4: 512 octets for the first line of a response, less status, code and CRLF. */
const TEXT_OCTETS = 480;

/** Printable ASCII that begins with no bracket: what nearly every text is, and fit as it stands. */
const PLAIN = /^(?:[\x21-\x5a\x5c-\x7e][\x20-\x7e]*)?$/;

/** `ascii` until the client has asked for UTF-8 by UTF8 or LANG (RFC 6856 2 and 3). */
export type Charset = "ascii" | "utf-8";

/** A text that may stand in a status line. */
export function fitText(text: string, charset: Charset): string {
  if (text.length <= TEXT_OCTETS && PLAIN.test(text)) return text;
  let fit = clean(text).trim().replace(/^\[/, "(");
  // deno-lint-ignore no-control-regex -- U+0000 to U+007F is what ASCII is
  if (charset === "ascii") fit = fit.replace(/[^\x00-\x7f]/gu, "?");
  if (utf8(fit).length <= TEXT_OCTETS) return fit;
  // Three octets a code unit at most, so that this many always fit whatever they are.
  return fit.slice(0, charset === "ascii" ? TEXT_OCTETS : TEXT_OCTETS / 3).replace(/[\ud800-\udbff]$/, "");
}

/** `+OK text`. */
export function positive(text: string): string {
  return text === "" ? "+OK\r\n" : `+OK ${text}\r\n`;
}

/** `-ERR [CODE] text`. */
export function negative(code: ResponseCode | undefined, text: string): string {
  return code === undefined ? `-ERR ${text}\r\n` : `-ERR [${code}] ${text}\r\n`;
}

/** Output that waits: status lines as text, message octets as they are. */
export class Output {
  #parts: Uint8Array[] = [];
  #partOctets = 0;
  #text = "";

  /** Octets that wait (code units for what is still text). */
  get size(): number {
    return this.#partOctets + this.#text.length;
  }

  addText(text: string): void {
    this.#text += text;
  }

  /** The octets are kept, not copied, until they are taken. */
  addBytes(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#seal();
    this.#parts.push(bytes);
    this.#partOctets += bytes.length;
  }

  /** All that waits as one array; a single part is given on without a copy. */
  take(): Uint8Array | undefined {
    this.#seal();
    const parts = this.#parts;
    if (parts.length === 0) return undefined;
    this.#parts = [];
    this.#partOctets = 0;
    return parts.length === 1 ? parts[0] : joinForOutput(parts);
  }

  #seal(): void {
    if (this.#text === "") return;
    const bytes = utf8(this.#text);
    this.#text = "";
    this.#parts.push(bytes);
    this.#partOctets += bytes.length;
  }
}
