/**
 * Header fields written: texts and names for people (RFC 2047), and the fields of an attachment with its file name (RFC
 * 2183, RFC 2231).
 *
 * Guarantees: pure; ASCII; lines of 78 characters at most, folded with CRLF, where the caller's field name has 20 at most;
 * no control character of a text comes through. parseParameterised() and decodeEncodedWords() read back what was written.
 *
 * Absent on purpose: a second, plain `filename` beside `filename*`. Programs that know neither RFC 2231 nor better read
 * Content-Type's `name`, which is there in encoded words; and some that know both take the plain one, so that the true
 * name would be lost.
 *
 * @module
 */
import { utf8 } from "../base/bytes.ts";
import { clean } from "../mail/reply.ts";
import { cleanFileName } from "./file_name.ts";
import { encodedWords } from "./report/encode.ts";

/** RFC 5322 2.1.1: lines should have 78 characters at most; RFC 2047 2 wants 76 with encoded words. */
const LINE_CHARACTERS = 76;
/** Left for the field's name and colon in its first line. */
const FIELD_NAME_CHARACTERS = 22;
/** Octets of text in a first encoded word, so that it fits beside the field's name: 36 of base64 make 48 with what is around. */
const FIRST_WORD_OCTETS = 27;
/** Characters of a section of a long parameter (RFC 2231 3), without its name, quotes and semicolon. */
const SECTION_CHARACTERS = 54;
/** A parameter of a media type that is longer is nobody's; a name is longer only where it is cleaned first. */
const PARAMETER_CHARACTERS = 300;
const PARAMETER_NAME = /^[\w!#$&^.+-]{1,40}$/;

/**
 * A text as the value of an unstructured field such as Subject (RFC 5322 2.2.1): as it is where it is ASCII, otherwise in
 * encoded words, folded.
 */
export function encodeUnstructured(text: string): string {
  const line = clean(text).trim();
  return isPlain(line) ? folded(line) : folded(encodedWords(line, FIRST_WORD_OCTETS).join(" "));
}

/** A display name as a phrase (RFC 5322 3.2.5): atoms, a quoted string or encoded words (RFC 2047 5 (3)), folded; "" stays "". */
export function encodePhrase(text: string): string {
  const line = clean(text).trim();
  if (!isPlain(line)) return folded(encodedWords(line, FIRST_WORD_OCTETS).join(" "));
  const isAtoms = /^[\w!#$%&'*+/=?^`{|}~-]+(?: [\w!#$%&'*+/=?^`{|}~-]+)*$/.test(line);
  return isAtoms || line === "" ? folded(line) : folded(quoted(line));
}

export interface AttachmentFieldsOptions {
  /** "" where it has none; cleaned if it isn't yet. */
  readonly fileName: string;
  /** `application/pdf`; what is no media type becomes `application/octet-stream`. */
  readonly type: string;
  /** The type's other parameters, such as charset; `name` among them is passed over, and what is longer than 300. @default none */
  readonly parameters?: ReadonlyMap<string, string>;
  /** Content-Transfer-Encoding. @default no such field */
  readonly encoding?: string;
}

/** Content-Type, Content-Disposition and, if asked for, Content-Transfer-Encoding of an attachment, each line with its CRLF. */
export function attachmentFields(options: AttachmentFieldsOptions): string {
  const name = cleanFileName(options.fileName);
  const type = /^[\w!#$&^.+-]{1,63}\/[\w!#$&^.+-]{1,63}$/.test(options.type)
    ? options.type
    : "application/octet-stream";
  const others = [...options.parameters ?? []]
    .filter(([key, value]) =>
      PARAMETER_NAME.test(key) && key !== "name" && value.length <= PARAMETER_CHARACTERS
    )
    .flatMap(([key, value]) => parameter(key, value));
  const { encoding } = options;
  return [
    [`Content-Type: ${type}`, ...others, ...(name === "" ? [] : [oldName(name)])].join(";\r\n "),
    ["Content-Disposition: attachment", ...(name === "" ? [] : parameter("filename", name))].join(";\r\n "),
    ...(encoding === undefined ? [] : [`Content-Transfer-Encoding: ${clean(encoding).trim()}`]),
    "",
  ].join("\r\n");
}

/** The `name` parameter for programs from before RFC 2231: encoded words in quotes, which no RFC allows and all read. */
function oldName(name: string): string {
  return isPlain(name) && name.length <= SECTION_CHARACTERS
    ? `name=${quoted(name)}`
    : `name="${encodedWords(name, FIRST_WORD_OCTETS).join("\r\n ")}"`;
}

/** A parameter; in sections where it is long, percent-encoded where it is not ASCII (RFC 2231 3, 4). */
function parameter(key: string, text: string): string[] {
  const value = clean(text).toWellFormed();
  const ascii = /^[\x20-\x7e]*$/.test(value) && !value.includes("=?");
  // Few programs join sections of anything but file names.
  if (ascii && (key !== "filename" || value.length <= SECTION_CHARACTERS - key.length)) {
    return [`${key}=${/^[\w!#$&^.+-]+$/.test(value) ? value : quoted(value)}`];
  }
  const sections = inSections(value, ascii);
  if (ascii) return sections.map((section, i) => `${key}*${i}=${quoted(section)}`);
  if (sections.length === 1) return [`${key}*=${sections[0]}`];
  return sections.map((section, i) => `${key}*${i}*=${section}`);
}

/** Cuts a value between characters; with percent encoding, and the character set in front of the first, unless it is ASCII. */
function inSections(value: string, ascii: boolean): string[] {
  const sections: string[] = [];
  let section = ascii ? "" : "UTF-8''";
  let length = section.length;
  for (const character of value) {
    const written = ascii ? character : percentEncoded(character);
    const octets = ascii && /["\\]/.test(character) ? 2 : written.length;
    if (length + octets > SECTION_CHARACTERS - 14) {
      sections.push(section);
      section = "";
      length = 0;
    }
    section += written;
    length += octets;
  }
  sections.push(section);
  return sections;
}

/** RFC 2231 7: attribute-char stays. */
function percentEncoded(character: string): string {
  if (/^[\w!#$&+.^`{|}~-]$/.test(character)) return character;
  return [...utf8(character)].map((octet) => `%${octet.toString(16).toUpperCase().padStart(2, "0")}`).join(
    "",
  );
}

/** ASCII, without a word that is too long for a line and without what would be taken for an encoded word. */
function isPlain(text: string): boolean {
  return /^[\x20-\x7e]*$/.test(text) && !text.includes("=?") && !/^[^ ]{55}| [^ ]{76}/.test(text);
}

function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}

/** Folds before blanks (RFC 5322 2.2.3); blanks stay as many as they are. */
function folded(text: string): string {
  let out = "";
  let length = FIELD_NAME_CHARACTERS;
  for (const word of text.match(/ *[^ ]+/g) ?? []) {
    const folds = out !== "" && length + word.length > LINE_CHARACTERS;
    out += folds ? `\r\n${word}` : word;
    length = (folds ? 0 : length) + word.length;
  }
  return out;
}
