/**
 * SMTP replies and enhanced status codes as values.
 *
 * Guarantees: no CR or LF leaves through a reply's text (they become spaces), so that nothing a client sent can
 * forge a second reply. Whether a failure is temporary follows from the code and never from the text.
 *
 * @module
 */
import { utf8 } from "../base/bytes.ts";

/** RFC 5321 4.5.3.1.5: a reply line with its CRLF, in octets. */
export const REPLY_LINE_OCTETS = 512;

/** class.subject.detail of RFC 3463. */
export type EnhancedCode = `${2 | 4 | 5}.${number}.${number}`;

export interface Reply {
  /** RFC 5321 4.2: 200 to 599. */
  readonly code: number;
  readonly enhanced?: EnhancedCode;
  /** One string a line, without line ends. */
  readonly lines: readonly string[];
}

/** Makes a reply. */
export function reply(code: number, enhanced: EnhancedCode | undefined, ...lines: string[]): Reply {
  return enhanced === undefined ? { code, lines } : { code, enhanced, lines };
}

/** 2yz or 3yz. */
export function isPositive(answer: Reply): boolean {
  return answer.code < 400;
}

/** 4yz: the same command may succeed later (RFC 5321 4.2.1). */
export function isTemporary(answer: Reply): boolean {
  return answer.code >= 400 && answer.code < 500;
}

/** A text without control characters, fit to stand inside a reply or a log line. */
export function clean(text: string): string {
  // deno-lint-ignore no-control-regex -- control characters are what is taken out
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, " ");
}

/**
 * The octets that carry a reply: `250-first`, `250 last` (RFC 5321 4.2.1), enhanced codes on each line (RFC 2034 3).
 * A reply without lines is still one line. A line over {@linkcode REPLY_LINE_OCTETS} is cut, except a 334 challenge
 * (RFC 4954 4), which would mean nothing then.
 */
export function formatReply(answer: Reply): Uint8Array {
  const prefix = answer.enhanced === undefined ? "" : `${answer.enhanced} `;
  const lines = answer.lines.length === 0 ? [""] : answer.lines;
  const last = lines.length - 1;
  let text = "";
  for (let i = 0; i <= last; i++) {
    const line = `${answer.code}${i < last ? "-" : " "}${prefix}${clean(lines[i]!)}`;
    text += `${answer.code === 334 ? line : cut(line)}\r\n`;
  }
  return utf8(text);
}

/** Cuts a line to what fits before CRLF, never inside a character. */
function cut(line: string): string {
  const maxOctets = REPLY_LINE_OCTETS - 2;
  // No character takes more than 3 octets a code unit.
  if (line.length * 3 <= maxOctets) return line;
  const octets = utf8(line);
  if (octets.length <= maxOctets) return line;
  let end = maxOctets;
  while ((octets[end]! & 0xc0) === 0x80) end--;
  return new TextDecoder().decode(octets.subarray(0, end));
}
