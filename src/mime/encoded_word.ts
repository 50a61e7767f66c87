/**
 * Encoded words of header fields (RFC 2047, RFC 2231 5), for people to read.
 *
 * ```abnf
 * encoded-word = "=?" charset ["*" language] "?" encoding "?" encoded-text "?="
 * ```
 *
 * Guarantees: never fails, takes time in proportion to the text, gives one line without control characters. A word
 * that can't be decoded stays as it is. More tolerant than the RFC where common programs need it: words inside
 * quoted strings, spaces inside a word, a character cut between two words of one character set.
 *
 * @module
 */
import { concat, fromLatin1 } from "../base/bytes.ts";
import { printableLine } from "../base/printable.ts";
import { decodeText, isKnownCharset } from "./charset.ts";
import { decodeBase64, decodeQ } from "./transfer_encoding.ts";

const WORD = /=\?([^?*\s]{1,64})(?:\*[^?\s]{0,64})?\?([bq])\?([^?]*)\?=/gi;

/** Adjacent words of one character set, whose octets belong together. */
interface Run {
  charset: string;
  octets: Uint8Array[];
}

/** Decodes all encoded words of a field's unfolded value. */
export function decodeEncodedWords(text: string): string {
  if (!text.includes("=?")) return printableLine(text);
  let out = "";
  let run: Run | undefined;
  let at = 0;
  for (const match of text.matchAll(WORD)) {
    const charset = match[1]!.toLowerCase();
    // deno-lint-ignore no-control-regex -- U+0000 to U+007F is what ASCII is
    if (!isKnownCharset(charset) || /[^\u0000-\u007f]/.test(match[3]!)) continue;
    const between = text.slice(at, match.index);
    const octets = /b/i.test(match[2]!) ? decodeBase64(match[3]!) : decodeQ(fromLatin1(match[3]!));
    // RFC 2047 6.2: white space between two encoded words is not shown.
    const adjacent = run !== undefined && /^\s*$/.test(between);
    if (adjacent && run!.charset === charset) run!.octets.push(octets);
    else {
      out += decodeRun(run) + (adjacent ? "" : between);
      run = { charset, octets: [octets] };
    }
    at = match.index + match[0].length;
  }
  return printableLine(out + decodeRun(run) + text.slice(at));
}

function decodeRun(run: Run | undefined): string {
  return run === undefined ? "" : decodeText(concat(run.octets), run.charset);
}
