/**
 * What a line of a header section is, told from its first octets: the one rule that everything here shares.
 *
 * ```abnf
 * field      = field-name *WSP ":" unstructured CRLF     ; RFC 5322 2.2; the WSP is of 4.5 (obsolete syntax)
 * field-name = 1*%d33-57 / %d59-126                      ; printable, no colon
 * ```
 *
 * A name may also hold octets 128 to 255: no standard allows them, some programs send them, and a message doesn't
 * lose the rest of its header over it.
 *
 * @module
 */
import { CR } from "../base/bytes.ts";

const TAB = 9;
const SPACE = 32;
const COLON = 58;

/** Octets of the name of the field that begins in a line; 0 where the line begins no field. The line has no line end. */
export function fieldNameLength(line: Uint8Array): number {
  let i = 0;
  for (; i < line.length; i++) {
    const octet = line[i]!;
    if (octet === COLON) return i;
    if (octet <= SPACE || octet === 127) break;
  }
  const length = i;
  while (line[i] === SPACE || line[i] === TAB) i++;
  return line[i] === COLON ? length : 0;
}

/** Whether a line goes on with the field before it (RFC 5322 2.2.3). */
export function isFolded(line: Uint8Array): boolean {
  return line[0] === SPACE || line[0] === TAB;
}

/** Whether a message's first line is the separator of an mbox file, which is no part of the message (RFC 4155). */
export function isMboxLine(line: Uint8Array): boolean {
  // "From " in octets.
  return line[0] === 70 && line[1] === 114 && line[2] === 111 && line[3] === 109 && line[4] === SPACE;
}

/** A line without the CR before its LF. */
export function withoutCr(line: Uint8Array): Uint8Array {
  return line[line.length - 1] === CR ? line.subarray(0, -1) : line;
}
