/**
 * Message octets as they come off the wire, turned into message content: after DATA with the dots taken out
 * (RFC 5321 4.5.2), in BDAT chunks as they are (RFC 3030).
 *
 * Guarantees:
 * - Only CRLF.CRLF ends DATA, where the CRLF that ended the DATA command counts as the first one (RFC 5321 4.1.1.4); no
 *   mixture with bare CR or LF does, whatever the policy, so no message can smuggle another one.
 * - A CR or LF outside of a CRLF spoils the message (`refuse`) or becomes CRLF (`repair`), also where its neighbours come in
 *   another read or another chunk. All other octets, NUL and 8-bit among them, pass untouched; no line is too long.
 * - Content is given out at once, as a view of the input where nothing had to be changed. How the input is cut up never
 *   shows in the content. At most `maxOctets` are ever given out; nothing is kept but a few numbers.
 *
 * @module
 */
import { CR, CRLF, DOT, LF } from "../base/bytes.ts";

export interface ContentOptions {
  /** `dotted`: after DATA. `counted`: BDAT, where the caller knows the end. */
  readonly format: "dotted" | "counted";
  readonly bareNewline: "refuse" | "repair";
  /** Content beyond this is counted but not given out. */
  readonly maxOctets: number;
}

// What the next octet is judged by, which is the octets before it. Numbers, since the hot loop compares them.
/** Within a line. */
const MIDDLE = 0;
/** After a CR. */
const AFTER_CR = 1;
/** After a CRLF. */
const LINE_START = 2;
/** After a dot that began a line; that dot is not content (RFC 5321 4.5.2). */
const AFTER_DOT = 3;
/** After such a dot and a CR; neither is content yet. */
const AFTER_DOT_CR = 4;

const EMPTY = new Uint8Array(0);
const CR_ONLY = Uint8Array.of(CR);
const LF_ONLY = Uint8Array.of(LF);
/** Shorter runs are copied octet by octet: a view costs more. */
const SHORT_RUN_OCTETS = 24;

export class ContentDecoder {
  readonly #options: ContentOptions;
  #at = LINE_START;
  #octets = 0;
  #givenOctets = 0;
  #ended = false;
  /** A bare CR or LF was refused: nothing more is given out. */
  #spoiled = false;

  // The push under way: its content is one run of the input, or, once there are two, what is gathered in `#out`.
  #bytes: Uint8Array = EMPTY;
  #runFrom = 0;
  #runTo = 0;
  #out: Uint8Array | undefined;
  #outOctets = 0;

  constructor(options: ContentOptions) {
    this.#options = options;
  }

  /** Octets of content so far, those not given out among them. */
  get octets(): number {
    return this.#octets;
  }

  /** Whether CRLF.CRLF has come. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Why the message can't be taken, as far as is known. */
  get problem(): "none" | "too-big" | "bare-newline" {
    if (this.#octets > this.#options.maxOctets) return "too-big";
    return this.#spoiled ? "bare-newline" : "none";
  }

  /**
   * Takes octets and says how many were used: all of them, or those up to and with CRLF.CRLF. What they gave is in
   * {@linkcode takeContent}.
   */
  push(bytes: Uint8Array): number {
    this.#bytes = bytes;
    const dotted = this.#options.format === "dotted";
    const length = bytes.length;
    let at = this.#at;
    let from = 0;
    let i = 0;
    while (i < length) {
      // Nearly all octets are passed here, so this loop does nothing else.
      if (at === MIDDLE) {
        while (i < length && (bytes[i]! > CR || (bytes[i] !== CR && bytes[i] !== LF))) i++;
      }
      if (i === length) break;
      const octet = bytes[i]!;
      if (at === MIDDLE) {
        if (octet === CR) {
          at = AFTER_CR;
          i++;
        } else {
          this.#run(from, i);
          from = this.#bare(i++, CR_ONLY);
        }
      } else if (at === AFTER_CR) {
        if (octet === LF) {
          at = LINE_START;
          i++;
        } else {
          this.#run(from, i);
          from = this.#bare(i, LF_ONLY);
          at = MIDDLE;
        }
      } else if (at === LINE_START) {
        at = MIDDLE;
        if (octet === DOT && dotted) {
          this.#run(from, i++);
          from = i;
          at = AFTER_DOT;
        }
      } else if (at === AFTER_DOT) {
        at = MIDDLE;
        if (octet === CR) {
          from = ++i;
          at = AFTER_DOT_CR;
        }
      } else if (octet === LF) {
        from = ++i;
        this.#ended = true;
        break;
      } else {
        from = this.#bare(i, CRLF);
        at = MIDDLE;
      }
    }
    this.#at = at;
    this.#run(from, i);
    return i;
  }

  /** Says that the last chunk is over, which a CR at its end spoils or makes a CRLF. */
  end(): void {
    if (this.#at === AFTER_CR) this.#bare(0, LF_ONLY);
    this.#ended = true;
  }

  /** The content that the last {@linkcode push} or {@linkcode end} gave; undefined where it gave none. */
  takeContent(): Uint8Array | undefined {
    const content = this.#out === undefined
      ? this.#bytes.subarray(this.#runFrom, this.#runTo)
      : this.#out.subarray(0, this.#outOctets);
    this.#bytes = EMPTY;
    this.#out = undefined;
    this.#outOctets = 0;
    this.#runFrom = this.#runTo = 0;
    const room = this.#options.maxOctets - this.#givenOctets;
    const given = content.length > room ? content.subarray(0, room) : content;
    this.#givenOctets += given.length;
    return given.length === 0 ? undefined : given;
  }

  /** A CR or LF that is no part of a CRLF shows before octet `i`; `missing` is what would make it one. Gives `i`. */
  #bare(i: number, missing: Uint8Array): number {
    if (this.#options.bareNewline === "refuse") this.#spoiled = true;
    else {
      this.#octets += missing.length;
      if (this.#givenOctets < this.#options.maxOctets) this.#gather(missing, 0, missing.length);
    }
    return i;
  }

  /** Octets `from` to `to` of the input are content. */
  #run(from: number, to: number): void {
    if (from === to) return;
    this.#octets += to - from;
    if (this.#spoiled || this.#givenOctets >= this.#options.maxOctets) return;
    if (this.#out === undefined && this.#runFrom === this.#runTo) {
      this.#runFrom = from;
      this.#runTo = to;
    } else this.#gather(this.#bytes, from, to);
  }

  /** Joins octets to the content before them, which stops being a view. */
  #gather(octets: Uint8Array, from: number, to: number): void {
    const out = this.#out ??= new Uint8Array(this.#mostOctets());
    if (this.#runFrom < this.#runTo) {
      out.set(this.#bytes.subarray(this.#runFrom, this.#runTo));
      this.#outOctets = this.#runTo - this.#runFrom;
      this.#runFrom = this.#runTo = 0;
    }
    if (to - from > SHORT_RUN_OCTETS) {
      out.set(octets.subarray(from, to), this.#outOctets);
      this.#outOctets += to - from;
    } else for (let i = from; i < to; i++) out[this.#outOctets++] = octets[i]!;
  }

  /** How long the content of this push can get: a repaired newline doubles, and a held back dot and CR become CRLF. */
  #mostOctets(): number {
    const { length } = this.#bytes;
    return this.#options.bareNewline === "repair" ? 2 * length + 2 : length;
  }
}
