/**
 * Fields of the form `value; name=value; …`: Content-Type and Content-Disposition (RFC 2045 5.1, RFC 2183), with the
 * continuations and character sets of RFC 2231.
 *
 * Guarantees: never fails; reads {@linkcode PARAMETERS} parameters at most; the first of two with one name counts.
 *
 * @module
 */
import { concat, fromLatin1, utf8 } from "../base/bytes.ts";
import { decodeText } from "./charset.ts";
import { decodeEncodedWords } from "./encoded_word.ts";

/** More than any program writes. */
const PARAMETERS = 100;
/** Comments in front of the first parameter. */
const COMMENTS = 5;
/** Parameters that are file names: parentheses and blanks in them are meant. */
const NAMES: ReadonlySet<string> = new Set(["name", "filename"]);

export interface ParameterisedValue {
  /** `text/plain`, `attachment`: in lower case, without white space. */
  readonly value: string;
  /** By name in lower case, decoded. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** One section of a parameter (RFC 2231 3): `filename*1*=…`. */
interface Section {
  readonly index: number;
  /** Percent-encoded octets rather than text. */
  readonly encoded: boolean;
  readonly text: string;
}

const PARAMETER = /;\s*([^\s=;*"]{1,64})(?:\*(\d{1,3}))?(\*)?\s*=\s*(?:"((?:[^"\\]|\\.)*)"?|([^;]*))/gsy;

/** Parses an unfolded field value. */
export function parseParameterised(text: string): ParameterisedValue {
  const { value, sections } = split(text);
  return { value, parameters: new Map([...sections].map(([name, each]) => [name, joinSections(each)])) };
}

/**
 * One parameter of a field as octets, one code unit each, for comparing: no character set, no encoded words.
 *
 * @param raw a field's octets behind the colon, with or without its folding
 * @returns "" where it isn't there
 */
export function rawParameter(raw: string, name: string): string {
  const sections = split(raw.replace(/\r?\n/g, "")).sections.get(name);
  if (sections === undefined) return "";
  const usable = usableSections(sections);
  if (usable.length === 0) return sections[0]!.text;
  return usable.map((section, i) => section.encoded ? rawSection(section.text, i) : section.text).join("");
}

function rawSection(text: string, index: number): string {
  const octets = index === 0 ? text.replace(/^[^']*'[^']*'/, "") : text;
  return octets.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
}

function split(text: string): { value: string; sections: Map<string, Section[]> } {
  const plain = withoutFirstComments(text);
  const first = plain.indexOf(";");
  const value = (first < 0 ? plain : plain.slice(0, first)).replace(/\([^()]*\)|\s+/g, "").toLowerCase();
  const sections = new Map<string, Section[]>();
  let at = first < 0 ? plain.length : first;
  for (let count = 0; count < PARAMETERS && at < plain.length; count++) {
    PARAMETER.lastIndex = at;
    const match = PARAMETER.exec(plain);
    if (match === null) {
      // Nothing that makes sense: go on behind the next semicolon.
      const next = plain.indexOf(";", at + 1);
      at = next < 0 ? plain.length : next;
      continue;
    }
    addSection(sections, match);
    const next = plain.indexOf(";", PARAMETER.lastIndex);
    at = next < 0 ? plain.length : next;
  }
  return { value, sections };
}

function addSection(sections: Map<string, Section[]>, match: RegExpExecArray): void {
  const [, name, number, star, quoted, bare] = match;
  const key = name!.toLowerCase();
  const section: Section = {
    // An encoded value without number (`name*=`) is preferred to a plain one and needs no other section.
    index: number === undefined ? (star === undefined ? -1 : -2) : Number(number),
    encoded: star !== undefined,
    text: quoted === undefined ? bareText(bare!, key) : unquoted(quoted),
  };
  const known = sections.get(key);
  if (known === undefined) sections.set(key, [section]);
  else if (!known.some((other) => other.index === section.index)) known.push(section);
}

/** A value that isn't quoted. RFC 2045 5.1 allows a comment behind it, and common programs leave the quotes of names away. */
function bareText(bare: string, key: string): string {
  const text = bare.trim();
  return NAMES.has(key) ? text : text.replace(/^\([^()]*\)\s*|\s+\([^()]*\)$/g, "");
}

function unquoted(text: string): string {
  // A path of Windows is not written as RFC 5322 3.2.4 says: its backslashes are no quoted pairs.
  return /^[a-z]:\\(?!\\)/i.test(text) ? text : text.replace(/\\(.)/gs, "$1");
}

/** What stands in front of the first parameter, without comments, which may hold semicolons (RFC 2045 5.1). */
function withoutFirstComments(text: string): string {
  let rest = text;
  for (let count = 0; count < COMMENTS; count++) {
    const without = rest.replace(/^([^;"()]*)\([^()]*\)/, "$1 ");
    if (without === rest) break;
    rest = without;
  }
  return rest;
}

/** What RFC 2231 makes a value of; empty where it is a plain one (or its sections don't begin with 0). */
function usableSections(sections: readonly Section[]): Section[] {
  const extended = sections.find((section) => section.index === -2);
  if (extended !== undefined) return [extended];
  const numbered = sections.filter((section) => section.index >= 0).sort((a, b) => a.index - b.index);
  // RFC 2231 3: sections count from 0 without a gap.
  return numbered.filter((section, i) => section.index === i);
}

function joinSections(sections: readonly Section[]): string {
  const usable = usableSections(sections);
  // Not of any RFC, but common: an encoded word as a file name.
  if (usable.length === 0) return decodeEncodedWords(sections[0]!.text);
  if (!usable.some((section) => section.encoded)) {
    return decodeEncodedWords(usable.map((section) => section.text).join(""));
  }
  let charset = "";
  const parts = usable.map((section, i) => {
    if (!section.encoded) return utf8(section.text);
    const tagged = i === 0 ? /^([^']*)'[^']*'/.exec(section.text) : null;
    if (tagged !== null) charset = tagged[1]!;
    return percentDecode(section.text.slice(tagged?.[0].length ?? 0));
  });
  return decodeText(concat(parts), charset);
}

function percentDecode(text: string): Uint8Array {
  const decoded = text.replace(
    /%([0-9a-f]{2})|([\u0080-\u{10ffff}])/giu,
    (all, hex: string | undefined) =>
      hex === undefined ? String.fromCharCode(...utf8(all)) : String.fromCharCode(parseInt(hex, 16)),
  );
  return fromLatin1(decoded);
}
