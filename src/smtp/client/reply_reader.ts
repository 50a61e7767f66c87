/**
 * A server's octets to replies (RFC 5321 4.2).
 *
 * ```abnf
 * Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF
 * Reply-code = %x32-35 %x30-35 %x30-39
 * ```
 *
 * Guarantees: a reply has at most {@linkcode CLIENT_REPLY_LINES} lines and {@linkcode CLIENT_REPLY_OCTETS} octets, a line at most
 * {@linkcode CLIENT_REPLY_LINE_OCTETS}; what goes beyond, or is no reply, is a problem, after which nothing more is read. A
 * reply's text holds no control characters. An enhanced code is only taken where it is well-formed and of the reply's class.
 *
 * Liberal on purpose: lines over 512 octets, a last line without the space, text in any character set.
 *
 * @module
 */
import { decodeUtf8, latin1 } from "../../base/bytes.ts";
import {
  CLIENT_REPLY_KEPT,
  CLIENT_REPLY_LINE_OCTETS,
  CLIENT_REPLY_LINES,
  CLIENT_REPLY_OCTETS,
} from "../../base/limits.ts";
import { LineBuffer } from "../../base/line_buffer.ts";
import { printableLine } from "../../base/printable.ts";
import type { EnhancedCode, Reply } from "../../mail/reply.ts";

/** Octets of a line shown in a problem. */
const EXCERPT = 80;

export interface ReplyProblem {
  /** What is wrong, for people. */
  readonly problem: string;
}

/** A reply as it came, beside the lines that a dialogue shows. */
export interface ReplyRead {
  readonly reply: Reply;
  /** With their codes. */
  readonly shown: readonly string[];
}

const LINE = /^([2-5][0-5][0-9])(?:([ -])(.*))?$/s;
// status-code = class "." subject "." detail            ; RFC 3463 2
const ENHANCED = /^([245])\.(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})(?: +|$)/;

export class ReplyReader {
  readonly #buffer = new LineBuffer();
  #code = "";
  #lines: string[] = [];
  #octets = 0;
  #problem: ReplyProblem | undefined;

  /** Octets that wait, those of an unfinished reply's lines among them. */
  get size(): number {
    return this.#buffer.size + this.#octets;
  }

  /** Adds octets, of which a view may be kept. */
  push(bytes: Uint8Array): void {
    if (this.#problem === undefined) this.#buffer.push(bytes);
  }

  /** The next reply; undefined until it is whole. */
  next(): ReplyRead | ReplyProblem | undefined {
    while (this.#problem === undefined) {
      const line = this.#buffer.takeLine(CLIENT_REPLY_LINE_OCTETS);
      if (line === undefined) return undefined;
      if (line.kind === "bare-lf") return this.#fail("a line of the server's does not end in CRLF");
      if (line.kind === "too-long") {
        return this.#fail(`a reply line is longer than ${CLIENT_REPLY_LINE_OCTETS} octets`);
      }
      const place = this.#take(line.bytes);
      if (typeof place !== "string") return place;
      if (place === "last") return this.#finish();
    }
    return this.#problem;
  }

  /** Forgets what waits. */
  clear(): void {
    this.#buffer.clear();
    this.#begin();
  }

  #take(bytes: Uint8Array): "last" | "more" | ReplyProblem {
    const text = printableLine(decodeUtf8(bytes) ?? latin1(bytes));
    const match = LINE.exec(text);
    if (match === null) return this.#fail(`expected a reply, got: ${text.slice(0, EXCERPT)}`);
    const [, code, mark, rest] = match;
    // RFC 5321 4.2.1: the code is the same on each line.
    if (this.#lines.length > 0 && code !== this.#code) {
      return this.#fail(`a reply that began with ${this.#code} goes on with ${code}`);
    }
    this.#code = code!;
    this.#lines.push(rest ?? "");
    this.#octets += bytes.length + 2;
    if (this.#lines.length > CLIENT_REPLY_LINES) {
      return this.#fail(`a reply has more than ${CLIENT_REPLY_LINES} lines`);
    }
    if (this.#octets > CLIENT_REPLY_OCTETS) {
      return this.#fail(`a reply has more than ${CLIENT_REPLY_OCTETS} octets`);
    }
    return mark === "-" ? "more" : "last";
  }

  #finish(): ReplyRead {
    const lines = this.#lines;
    const code = this.#code;
    const last = lines.length - 1;
    const shown = lines.map((line, i) => `${code}${i < last ? "-" : " "}${line}`.trimEnd());
    this.#begin();
    return { reply: makeReply(Number(code), lines), shown };
  }

  #begin(): void {
    this.#code = "";
    this.#lines = [];
    this.#octets = 0;
  }

  #fail(problem: string): ReplyProblem {
    this.clear();
    return this.#problem = { problem };
  }
}

/** A reply whose enhanced code (RFC 2034 3), where it has one, is taken out of its lines. */
function makeReply(code: number, lines: readonly string[]): Reply {
  const match = ENHANCED.exec(lines[0]!);
  if (match === null || match[1] !== String(code)[0]) return { code, lines };
  const enhanced = `${match[1]}.${match[2]}.${match[3]}` as EnhancedCode;
  const without = (line: string) => {
    const prefix = ENHANCED.exec(line);
    return prefix !== null && prefix[0].trimEnd() === enhanced ? line.slice(prefix[0].length) : line;
  };
  return { code, enhanced, lines: lines.map(without) };
}

/** A reply with its text cut, so that a server that answers much doesn't fill the memory recipient by recipient. */
export function cutReply(reply: Reply): Reply {
  let left = CLIENT_REPLY_KEPT;
  const lines: string[] = [];
  for (const line of reply.lines) {
    if (left <= 0) break;
    lines.push(line.slice(0, left));
    left -= line.length + 1;
  }
  return { ...reply, lines };
}
