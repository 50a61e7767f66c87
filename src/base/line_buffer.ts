/**
 * A receive buffer that hands out CRLF-ended lines or raw octets.
 *
 * Guarantees: only CRLF ends a line (RFC 5321 2.3.8); an octet is searched once, however small the pieces it comes
 * in; at most `maxOctets` of an unfinished line are ever kept. A bare LF ends the fragment before it as a `bare-lf`
 * line, so that a caller can refuse it by name and never take it for a command.
 *
 * @module
 */
import { asBuffer, concat, CR, LF } from "./bytes.ts";

const EMPTY = new Uint8Array(0);

/** What {@linkcode LineBuffer.takeLine} found. */
export type Line =
  | { readonly kind: "line"; readonly bytes: Uint8Array }
  | { readonly kind: "bare-lf" }
  | { readonly kind: "too-long" }
  | undefined;

const BARE_LF: Line = { kind: "bare-lf" };
const TOO_LONG: Line = { kind: "too-long" };

export class LineBuffer {
  #bytes: Uint8Array = EMPTY;
  #start = 0;
  /** Octets before this index are known to hold no LF. */
  #searched = 0;
  /** Inside a line already reported as too long: drop up to its end. */
  #dropping = false;

  /** Octets waiting to be taken. */
  get size(): number {
    return this.#bytes.length - this.#start;
  }

  /** Adds octets. The buffer may keep a view of them: the caller must not write to them afterwards. */
  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (this.size === 0) {
      this.#bytes = bytes;
      this.#start = 0;
      this.#searched = 0;
      return;
    }
    const rest = this.#bytes.subarray(this.#start);
    this.#searched -= this.#start;
    this.#bytes = concat([rest, bytes]);
    this.#start = 0;
  }

  /**
   * Takes the next line, without its CRLF; undefined until one is there. A line longer than `maxOctets` (CRLF
   * included) is reported once as `too-long` and dropped to its end as it arrives.
   */
  takeLine(maxOctets: number): Line {
    for (;;) {
      const end = asBuffer(this.#bytes).indexOf(LF, this.#searched);
      if (end < 0) {
        this.#searched = this.#bytes.length;
        if (this.#dropping) this.#forget();
        else if (this.size >= maxOctets) {
          this.#dropping = true;
          this.#forget();
          return TOO_LONG;
        }
        return undefined;
      }
      const from = this.#start;
      this.#start = this.#searched = end + 1;
      if (this.#dropping) {
        this.#dropping = false;
        continue;
      }
      if (end + 1 - from > maxOctets) return TOO_LONG;
      if (end === from || this.#bytes[end - 1] !== CR) return BARE_LF;
      return { kind: "line", bytes: this.#bytes.subarray(from, end - 1) };
    }
  }

  /** Takes at most `max` octets as they are; an empty array where nothing waits. */
  takeBytes(max: number): Uint8Array {
    const take = Math.min(max, this.size);
    const taken = this.#bytes.subarray(this.#start, this.#start + take);
    this.#start += take;
    if (this.#searched < this.#start) this.#searched = this.#start;
    return taken;
  }

  /** Puts octets back in front of everything that waits. */
  unshift(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    const rest = this.#bytes.subarray(this.#start);
    this.#bytes = rest.length === 0 ? bytes : concat([bytes, rest]);
    this.#start = 0;
    this.#searched = 0;
  }

  /** Forgets everything that waits: what came in the clear before a TLS handshake (RFC 3207 4.2). The next octet begins a line. */
  clear(): void {
    this.#dropping = false;
    this.#forget();
  }

  #forget(): void {
    this.#bytes = EMPTY;
    this.#start = 0;
    this.#searched = 0;
  }
}
