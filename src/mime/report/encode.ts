/**
 * Text and octets written so that any mail system carries them: quoted-printable (RFC 2045 6.7), encoded words
 * (RFC 2047), folded fields (RFC 5322 2.2.3).
 *
 * Guarantees: what comes out is ASCII (except from {@linkcode field}, which keeps UTF-8 it is given), in lines ended by
 * CRLF that no receiver may refuse for their length; no CR, LF or other control character of a field's value comes
 * through.
 *
 * @module
 */
import { asBuffer, concat, latin1, utf8 } from "../../base/bytes.ts";
import { clean } from "../../mail/reply.ts";

/** RFC 2045 6.7 (5): an encoded line has 76 characters at most, "=" included. */
const QP_LINE_CHARACTERS = 76;
/** RFC 5322 2.1.1: lines should have 78 characters at most. */
const LINE_CHARACTERS = 78;
/** RFC 5322 2.1.1: and must have 998 at most; a word beyond this is broken. */
const WORD_CHARACTERS = 900;
/** RFC 2047 2: an encoded word has 75 characters at most; 45 octets become 60 of them, beside `=?UTF-8?B?` and `?=`. */
const WORD_OCTETS = 45;

const HEX = Array.from(
  { length: 256 },
  (_, octet) => `=${octet.toString(16).toUpperCase().padStart(2, "0")}`,
);
const TAB = 9;
const SPACE = 32;
const EQUALS = 61;

/** Octets of a text in lines as quoted-printable; a line end may be CRLF or LF. A CR alone is kept as `=0D`. */
export function encodeQuotedPrintable(octets: Uint8Array): string {
  return latin1(octets).split(/\r?\n/).map(encodeLine).join("\r\n");
}

function encodeLine(line: string): string {
  let out = "";
  let length = 0;
  for (let at = 0; at < line.length; at++) {
    const octet = line.charCodeAt(at);
    const isLast = at === line.length - 1;
    const isPlain = (octet > SPACE && octet < 127 && octet !== EQUALS) ||
      // Rule 3: white space at a line's end would be taken off on the way.
      ((octet === SPACE || octet === TAB) && !isLast);
    const text = isPlain ? line[at]! : HEX[octet]!;
    // A soft line break needs a place of its own, unless the line ends here.
    if (length + text.length > QP_LINE_CHARACTERS - (isLast ? 0 : 1)) {
      out += "=\r\n";
      length = 0;
    }
    out += text;
    length += text.length;
  }
  return out;
}

/** A text for an unstructured field: as it is where it is ASCII, otherwise in encoded words, parted by spaces. */
export function encodeWords(text: string): string {
  const line = clean(text).trim();
  // What looks like an encoded word and is none of ours would be decoded by the reader.
  if (/^[\x20-\x7e]*$/.test(line) && !line.includes("=?")) return line;
  return encodedWords(line).join(" ");
}

/** Text as encoded words (RFC 2047 2) in UTF-8, the first of which holds `firstOctets` of it at most (@default 45). */
export function encodedWords(text: string, firstOctets: number = WORD_OCTETS): string[] {
  const words: string[] = [];
  let chunk: Uint8Array[] = [];
  let length = 0;
  const flush = () => {
    if (length > 0) words.push(`=?UTF-8?B?${asBuffer(concat(chunk)).toString("base64")}?=`);
    chunk = [];
    length = 0;
  };
  // By character: RFC 2047 5 wants none cut between two words.
  for (const character of text.toWellFormed()) {
    const octets = utf8(character);
    if (length + octets.length > (words.length === 0 ? firstOctets : WORD_OCTETS)) flush();
    chunk.push(octets);
    length += octets.length;
  }
  flush();
  return words;
}

/** A whole field with its CRLF, folded at its spaces; control characters become spaces, and words too long are broken. */
export function field(name: string, value: string): string {
  let text = `${name}:`;
  let length = text.length;
  for (const word of clean(value).split(/ +/).filter((each) => each !== "").flatMap(broken)) {
    // A line of white space alone is no folding, so the first word stays beside the name.
    const folds = length + 1 + word.length > LINE_CHARACTERS && !text.endsWith(":");
    text += `${folds ? "\r\n " : " "}${word}`;
    length = (folds ? 0 : length) + 1 + word.length;
  }
  return `${text}\r\n`;
}

function broken(word: string): string[] {
  if (word.length <= WORD_CHARACTERS) return [word];
  const pieces: string[] = [];
  for (let at = 0; at < word.length; at += WORD_CHARACTERS) {
    pieces.push(word.slice(at, at + WORD_CHARACTERS).toWellFormed());
  }
  return pieces;
}

/** Octets as base64 in lines of 76 characters (RFC 2045 6.8). */
export function encodeBase64Lines(octets: Uint8Array): string {
  return asBuffer(octets).toString("base64").replace(/.{76}/g, "$&\r\n");
}
