/**
 * A message's octets as they go over the wire: with dots doubled after DATA (RFC 5321 4.5.2), or in BDAT chunks (RFC 3030).
 *
 * Guarantees: how the content is cut up never shows on the wire after DATA; a dot that begins a line is always doubled, so no
 * content ends the message. What is given out are views of what was given in. BDAT leaves the content as it is; DATA adds a
 * CRLF where the last line has none.
 *
 * Lines end in CRLF and nothing else: messages are stored so (content.ts), and nothing is repaired here.
 *
 * @module
 */
import { asBuffer, CR, CRLF, DOT, fromLatin1, LF } from "../../base/bytes.ts";

const DOT_ONLY = Uint8Array.of(DOT);
const END = fromLatin1(".\r\n");
const LINE_END_DOT = fromLatin1("\r\n.");

/** After DATA. */
export class DotEncoder {
  /** How much of a CRLF the octets so far end in; the start counts as a whole one. */
  #at: "line-start" | "after-cr" | "middle" = "line-start";
  #octets = 0;

  /** Octets of content so far. */
  get octets(): number {
    return this.#octets;
  }

  /** Puts content, dots doubled, into `out`. */
  encode(bytes: Uint8Array, out: Uint8Array[]): void {
    if (bytes.length === 0) return;
    this.#octets += bytes.length;
    const buffer = asBuffer(bytes);
    let from = 0;
    if (this.#at === "line-start" && bytes[0] === DOT) out.push(DOT_ONLY);
    else if (this.#at === "after-cr" && bytes[0] === LF && bytes[1] === DOT) {
      out.push(bytes.subarray(0, 1), DOT_ONLY);
      from = 1;
    }
    for (let at = buffer.indexOf(LINE_END_DOT, from); at >= 0; at = buffer.indexOf(LINE_END_DOT, from)) {
      out.push(bytes.subarray(from, at + 2), DOT_ONLY);
      from = at + 2;
    }
    out.push(bytes.subarray(from));
    this.#at = this.#endsIn(bytes);
  }

  #endsIn(bytes: Uint8Array): "line-start" | "after-cr" | "middle" {
    const last = bytes[bytes.length - 1];
    if (last === CR) return "after-cr";
    if (last !== LF) return "middle";
    const ended = bytes.length > 1 ? bytes[bytes.length - 2] === CR : this.#at === "after-cr";
    return ended ? "line-start" : "middle";
  }

  /** Puts the end of the message into `out`. */
  end(out: Uint8Array[]): void {
    if (this.#at !== "line-start") out.push(CRLF);
    out.push(END);
  }
}

/** A lone dot: the end of a message of nothing. */
export const LONE_DOT: Uint8Array = END;

/** Gathers content to chunks of at most `maxOctets`; a piece larger than that is a chunk by itself. */
export class ChunkGatherer {
  readonly #maxOctets: number;
  #parts: Uint8Array[] = [];
  #octets = 0;

  constructor(maxOctets: number) {
    this.#maxOctets = maxOctets;
  }

  /** Octets that wait. */
  get octets(): number {
    return this.#octets;
  }

  /** Adds content; gives the chunk that became full, which is never the last one. */
  add(bytes: Uint8Array): readonly Uint8Array[] | undefined {
    if (bytes.length === 0) return undefined;
    const full = this.#octets > 0 && this.#octets + bytes.length > this.#maxOctets ? this.take() : undefined;
    this.#parts.push(bytes);
    this.#octets += bytes.length;
    return full;
  }

  /** Takes what waits. */
  take(): readonly Uint8Array[] {
    const parts = this.#parts;
    this.#parts = [];
    this.#octets = 0;
    return parts;
  }
}
