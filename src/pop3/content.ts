/**
 * A message on its way to the client: dot-stuffing (RFC 1939 3) and TOP's line count (RFC 1939 7).
 *
 * Guarantees: octets come in any split and leave the same; only CRLF ends a line; a part in which no line begins with
 * a dot is passed on as it is, without a copy; a part that needs dots is copied once, at most a third longer.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { asBuffer, CR, DOT, latin1, LF } from "../base/bytes.ts";

/** CR and LF as one number. */
const CR_LF = (CR << 8) | LF;

/** What the octets so far end with. */
type Tail = "line-start" | "cr" | "inside";

/** Puts a second dot in front of each line that begins with one. */
export class DotStuffer {
  #tail: Tail = "line-start";

  /** The octets to send for `bytes`; `bytes` itself where nothing has to be added. */
  stuff(bytes: Uint8Array): Uint8Array {
    if (bytes.length === 0) return bytes;
    const first = this.#firstDot(bytes);
    const stuffed = first < 0 ? bytes : stuffFrom(bytes, first);
    this.#tail = tailOf(bytes, this.#tail);
    return stuffed;
  }

  /** The octets after the last: the line end the message lacks, if it lacks one, and the terminating line. */
  end(): string {
    return this.#tail === "line-start" ? ".\r\n" : "\r\n.\r\n";
  }

  /** Index of the first dot that begins a line. */
  #firstDot(bytes: Uint8Array): number {
    if (this.#tail === "line-start" && bytes[0] === DOT) return 0;
    if (this.#tail === "cr" && bytes[0] === LF && bytes[1] === DOT) return 1;
    // As a string, because V8's search is native in both runtimes; Deno's Buffer.indexOf is ten times slower.
    const found = latin1(bytes).indexOf("\r\n.");
    return found < 0 ? -1 : found + 2;
  }
}

function tailOf(bytes: Uint8Array, before: Tail): Tail {
  const last = bytes[bytes.length - 1];
  if (last === CR) return "cr";
  if (last !== LF) return "inside";
  const endsLine = bytes.length > 1 ? bytes[bytes.length - 2] === CR : before === "cr";
  return endsLine ? "line-start" : "inside";
}

/** Copies with dots added, where the first dot that needs one stands at `first`. */
function stuffFrom(bytes: Uint8Array, first: number): Uint8Array {
  // A line with a dot takes three octets at least (".", CR, LF), so no more than a third is added, and one at the end.
  const stuffed = Buffer.allocUnsafe(bytes.length + Math.ceil((bytes.length - first) / 3) + 1);
  asBuffer(bytes).copy(stuffed, 0, 0, first);
  let to = first;
  let lastTwo = CR_LF;
  for (let from = first; from < bytes.length; from++) {
    const octet = bytes[from]!;
    if (octet === DOT && lastTwo === CR_LF) stuffed[to++] = DOT;
    stuffed[to++] = octet;
    lastTwo = ((lastTwo << 8) | octet) & 0xffff;
  }
  return stuffed.subarray(0, to);
}

/** Finds where TOP ends: after the blank line and `lines` lines of the body. */
export class TopCounter {
  #left: number;
  #part: "header" | "body" | "done" = "header";
  /** Octets of the current line so far. */
  #column = 0;
  #last = 0;

  constructor(lines: number) {
    this.#left = lines;
  }

  /** Whether all was found that TOP wants. */
  get done(): boolean {
    return this.#part === "done";
  }

  /** How many of the next octets belong to the answer. */
  count(bytes: Uint8Array): number {
    let at = 0;
    while (at < bytes.length && this.#part !== "done") at = this.#skipLine(bytes, at);
    return at;
  }

  /** The index after the line's end, or after the octets where the line goes on. */
  #skipLine(bytes: Uint8Array, from: number): number {
    let last = this.#last;
    for (let i = from; i < bytes.length; i++) {
      const octet = bytes[i]!;
      if (octet === LF && last === CR) {
        this.#lineEnds(this.#column + i - from === 1 ? "blank" : "filled");
        this.#column = 0;
        this.#last = 0;
        return i + 1;
      }
      last = octet;
    }
    this.#column += bytes.length - from;
    this.#last = last;
    return bytes.length;
  }

  #lineEnds(line: "blank" | "filled"): void {
    if (this.#part === "body") this.#left--;
    else if (line === "blank") this.#part = "body";
    if (this.#part === "body" && this.#left === 0) this.#part = "done";
  }
}
