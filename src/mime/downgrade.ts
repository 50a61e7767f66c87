/**
 * RFC 6858: an ASCII header in place of one with UTF-8, for clients that never said that they can read UTF-8.
 *
 * Guarantees: the result is 7-bit, its lines end with CRLF and have 998 octets at most (RFC 5322 2.1.1); a field that was
 * ASCII already stays octet for octet where its line ends and lengths allow; nothing here throws. Whatever is lost is
 * missing rather than changed (RFC 6858 2), so nobody can answer to an address that is not the sender's.
 *
 * What becomes of a field that holds UTF-8:
 * - address fields: an address with UTF-8 becomes `invalid@internationalized-address.invalid`, with name and true address
 *   in its display name (2.1); UTF-8 in a display name becomes encoded-words (RFC 2047 5 (3));
 * - Content-Type and Content-Disposition: parameters with UTF-8 are left out (2.2);
 * - Subject (2.3) and the other unstructured fields: encoded-words (RFC 2047 5 (1));
 * - every other field: left out (2.4).
 *
 * Absent on purpose: header sections of body parts, which the caller would have to parse the body for.
 *
 * @module
 */
import { concat, decodeUtf8, fromLatin1, isAscii, latin1, utf8 } from "../base/bytes.ts";

const LINE_OCTETS = 998;
/** RFC 2047 2: a line with an encoded-word has 76 octets at most. */
const ENCODED_LINE_OCTETS = 76;
/** RFC 2047 2 allows 75; with fewer, the first one fits beside most fields' names. */
const ENCODED_WORD_OCTETS = 63;
/** RFC 6858 2.1's own example; `.invalid` belongs to nobody (RFC 2606 2). */
const INVALID = "<invalid@internationalized-address.invalid>";

const ADDRESS_FIELDS: ReadonlySet<string> = new Set([
  "from",
  "sender",
  "reply-to",
  "to",
  "cc",
  "bcc",
  "resent-from",
  "resent-sender",
  "resent-reply-to",
  "resent-to",
  "resent-cc",
  "resent-bcc",
  "disposition-notification-to",
  "mail-followup-to",
]);
const PARAMETER_FIELDS: ReadonlySet<string> = new Set(["content-type", "content-disposition"]);
/** RFC 5322 3.6.5 and RFC 2045 8 define these as text; RFC 2047 5 (1) adds every `X-` field. */
const TEXT_FIELDS: ReadonlySet<string> = new Set([
  "subject",
  "comments",
  "content-description",
  "thread-topic",
]);

// deno-lint-ignore no-control-regex -- U+0000 to U+007F is what ASCII is
const NON_ASCII = /[^\x00-\x7f]/;

/**
 * The ASCII form of a header section.
 *
 * @param header the fields and the blank line after them, which may be missing
 */
export function downgradeHeader(header: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const field of splitFields(header)) {
    if (!isAscii(field)) {
      const downgraded = downgradeField(decodeUtf8(field) ?? latin1(field));
      if (downgraded !== undefined) parts.push(fromLatin1(foldLong(downgraded)));
    } else {
      parts.push(fromLatin1(foldLong(latin1(field))));
    }
  }
  return concat(parts);
}

/** The fields with their line ends; the blank line, where there is one, comes as the last of them. */
function splitFields(header: Uint8Array): Uint8Array[] {
  const fields: Uint8Array[] = [];
  let start = 0;
  for (let i = 0; i < header.length; i++) {
    if (header[i] !== 0x0a) continue;
    const next = header[i + 1];
    // RFC 5322 2.2.3: a line that begins with a space goes on with the field, unless it is the section's first.
    if (next === 0x20 || next === 0x09) continue;
    fields.push(header.subarray(start, i + 1));
    start = i + 1;
  }
  if (start < header.length) fields.push(header.subarray(start));
  return fields;
}

/** A field with UTF-8 in ASCII, with its line end; undefined where it can only be left out. */
function downgradeField(field: string): string | undefined {
  const colon = field.indexOf(":");
  const name = colon < 0 ? "" : field.slice(0, colon);
  if (name === "" || /[^\x21-\x7e]/.test(name)) return undefined;
  const kind = name.toLowerCase();
  const value = unfold(field.slice(colon + 1));
  if (ADDRESS_FIELDS.has(kind)) return foldWords(name, addressWords(value));
  if (PARAMETER_FIELDS.has(kind)) return downgradeParameters(name, value);
  if (TEXT_FIELDS.has(kind) || kind.startsWith("x-")) return foldWords(name, textWords(value));
  return undefined;
}

/** RFC 5322 2.2.3; a control character that has no business here becomes a space. */
function unfold(value: string): string {
  // deno-lint-ignore no-control-regex -- control characters are what is taken out
  return value.replace(/[\x00-\x1f\x7f]+/g, " ").trim();
}

// ---------------------------------------------------------------- encoded-words

/** Words of an unstructured text: the stretch from its first to its last word with UTF-8 is encoded. */
function textWords(text: string): string[] {
  const words = text.split(" ");
  const needs = (word: string): boolean => NON_ASCII.test(word);
  const first = words.findIndex(needs);
  const last = words.findLastIndex(needs);
  if (first < 0) return words;
  let middle = words.slice(first, last + 1).join(" ");
  // RFC 2047 6.2: the space between two encoded-words is not shown, so it has to be inside one of them.
  if (words[first - 1]?.endsWith("?=")) middle = ` ${middle}`;
  if (words[last + 1]?.startsWith("=?")) middle = `${middle} `;
  return [...words.slice(0, first), ...encodeWords(middle), ...words.slice(last + 1)];
}

/** A text as encoded-words, none of which splits a character (RFC 2047 5). */
function encodeWords(text: string): string[] {
  const characters = [...text.toWellFormed()];
  const foreign = characters.filter((character) => NON_ASCII.test(character)).length;
  const encoding = foreign * 3 > characters.length ? "B" : "Q";
  const budget = ENCODED_WORD_OCTETS - "=?UTF-8?B??=".length;
  const words: string[] = [];
  let chunk = "";
  let used = 0;
  for (const character of characters) {
    // In thirds of an octet, so that base64's four for three stay whole numbers.
    const cost = encoding === "B" ? utf8(character).length * 4 : quote(character).length * 3;
    // Base64's last group is filled up.
    const full = encoding === "B" ? Math.floor(budget / 4) * 12 : budget * 3;
    if (used + cost > full) {
      words.push(encodedWord(chunk, encoding));
      chunk = "";
      used = 0;
    }
    chunk += character;
    used += cost;
  }
  if (chunk !== "") words.push(encodedWord(chunk, encoding));
  return words;
}

function encodedWord(text: string, encoding: "B" | "Q"): string {
  const encoded = encoding === "Q" ? quote(text) : btoa(latin1(utf8(text)));
  return `=?UTF-8?${encoding}?${encoded}?=`;
}

/** RFC 2047 4.2 and 5 (3): the characters that may stand in a display name too; all others as =XX. */
function quote(text: string): string {
  let quoted = "";
  for (const octet of utf8(text)) {
    const character = String.fromCharCode(octet);
    if (character === " ") quoted += "_";
    else if (/[A-Za-z0-9!*+/-]/.test(character)) quoted += character;
    else quoted += `=${octet.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return quoted;
}

// ---------------------------------------------------------------- addresses

/** A mailbox, or another stretch between separators; `end` is its separator, or "" at the end. */
interface Element {
  readonly text: string;
  readonly end: "," | ";" | ":" | "";
}

/** Splits an address list (RFC 5322 3.4) outside quoted strings, comments, angle brackets and domain literals. */
function splitAddresses(value: string): Element[] {
  const elements: Element[] = [];
  let start = 0;
  let i = 0;
  while (i < value.length) {
    const character = value[i]!;
    if (character === "," || character === ";" || character === ":") {
      elements.push({ text: value.slice(start, i).trim(), end: character });
      start = ++i;
    } else i = skipToken(value, i);
  }
  const rest = value.slice(start).trim();
  if (rest !== "" || elements.length === 0) elements.push({ text: rest, end: "" });
  return elements;
}

/** The index after what begins at `i`: a bracketed whole (to the end where nothing closes it), or one code unit. */
function skipToken(value: string, i: number): number {
  const closing = { '"': '"', "<": ">", "[": "]", "(": ")" }[value[i]!];
  if (closing === undefined) return i + 1;
  let depth = 1;
  for (let j = i + 1; j < value.length; j++) {
    if (value[j] === "\\" && closing !== ">") j++;
    else if (value[j] === closing) {
      if (--depth === 0) return j + 1;
    } else if (closing === ")" && value[j] === "(") depth++;
  }
  return value.length;
}

function addressWords(value: string): string[] {
  const words: string[] = [];
  for (const { text, end } of splitAddresses(value)) {
    const element = end === ":" ? phraseWords(text) : mailboxWords(text);
    if (element.length === 0 && words.length > 0) words[words.length - 1] += end;
    else if (element.length > 0 || end !== "") {
      words.push(...element.slice(0, -1), (element.at(-1) ?? "") + end);
    }
  }
  return words;
}

/** One mailbox (RFC 5322 3.4) in ASCII. */
function mailboxWords(text: string): string[] {
  if (!NON_ASCII.test(text)) return text === "" ? [] : [text];
  const { plain, comments, angle } = takeApart(text);
  const address = (angle ?? plain).trim();
  const name = angle === undefined ? comments : unquote(plain);
  // RFC 6858 2.1: any text will do for a name, and this one shows the reader who it was.
  if (address === "" || NON_ASCII.test(address)) {
    return [...encodeWords(name === "" ? address : `${name} <${address}>`), INVALID];
  }
  return [...phraseWords(name), `<${address}>`];
}

/** A mailbox's text without comments and angle brackets, and what stood in them. */
function takeApart(
  text: string,
): { readonly plain: string; readonly comments: string; readonly angle: string | undefined } {
  let plain = "";
  let angle: string | undefined;
  const comments: string[] = [];
  for (let i = 0; i < text.length;) {
    const next = skipToken(text, i);
    const token = text.slice(i, next);
    if (token.startsWith("(")) comments.push(token.replace(/^\(|\)$/g, "").trim());
    else if (token.startsWith("<") && angle === undefined) angle = token.replace(/^<|>$/g, "");
    else plain += token;
    i = next;
  }
  return { plain: plain.trim(), comments: comments.join(" "), angle };
}

/** A display name's text: without quotes, and without the backslashes inside them. */
function unquote(phrase: string): string {
  let text = "";
  let inside: "quotes" | "none" = "none";
  for (let i = 0; i < phrase.length; i++) {
    if (phrase[i] === '"') inside = inside === "none" ? "quotes" : "none";
    else if (phrase[i] === "\\" && inside === "quotes") text += phrase[++i] ?? "";
    else text += phrase[i];
  }
  return text.replace(/ +/g, " ").trim();
}

/** A display name or a group's name as words of a phrase. */
function phraseWords(phrase: string): string[] {
  if (phrase === "") return [];
  if (NON_ASCII.test(phrase)) return encodeWords(unquote(phrase));
  // Only words that need no quotes stand here unquoted (RFC 5322 3.2.5).
  return /^[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~ ]+$/.test(phrase) || /^"(?:[^"\\]|\\.)*"$/.test(phrase)
    ? [phrase]
    : encodeWords(unquote(phrase));
}

// ---------------------------------------------------------------- parameters

/** RFC 6858 2.2: parameters with UTF-8 are left out; undefined where the value itself has UTF-8. */
function downgradeParameters(name: string, value: string): string | undefined {
  const pieces: string[] = [];
  let start = 0;
  for (let i = 0; i < value.length;) {
    if (value[i] !== ";") i = skipToken(value, i);
    else {
      pieces.push(value.slice(start, i).trim());
      start = ++i;
    }
  }
  pieces.push(value.slice(start).trim());
  const [first, ...parameters] = pieces;
  if (NON_ASCII.test(first!)) return undefined;
  const kept = parameters.filter((parameter) => parameter !== "" && !NON_ASCII.test(parameter));
  return foldWords(name, [first!, ...kept].map((piece, i) => i < kept.length ? `${piece};` : piece));
}

// ---------------------------------------------------------------- folding

/** `Name: word word`, folded between words so that lines stay within what RFC 2047 2 wants. */
function foldWords(name: string, words: readonly string[]): string {
  let text = `${name}:`;
  let column = text.length;
  for (const word of words) {
    const folds = column + 1 + word.length > ENCODED_LINE_OCTETS;
    text += folds ? `\r\n ${word}` : ` ${word}`;
    column = folds ? 1 + word.length : column + 1 + word.length;
  }
  return `${text}\r\n`;
}

/** A field whose lines end with CRLF and keep RFC 5322's limit, folded at spaces where there are any. */
function foldLong(field: string): string {
  const lines = field.split("\n").map((line) => line.replace(/\r$/, "").replace(/\r/g, " "));
  if (field.endsWith("\n")) lines.pop();
  return lines.map((line) => line.length <= LINE_OCTETS ? `${line}\r\n` : foldLine(line)).join("");
}

function foldLine(line: string): string {
  let text = "";
  let rest = line;
  while (rest.length > LINE_OCTETS) {
    // A word longer than a line is cut: nothing longer may be sent, and a cut word is still in the right field.
    const space = rest.lastIndexOf(" ", LINE_OCTETS);
    const at = space > 0 && rest.slice(0, space).trim() !== "" ? space : LINE_OCTETS;
    text += `${rest.slice(0, at)}\r\n`;
    rest = rest[at] === " " ? rest.slice(at) : ` ${rest.slice(at)}`;
  }
  return `${text}${rest}\r\n`;
}
