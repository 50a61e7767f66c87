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
  const first = text.indexOf(";");
  const value = (first < 0 ? text : text.slice(0, first)).replace(/\([^()]*\)|\s+/g, "").toLowerCase();
  const sections = new Map<string, Section[]>();
  let at = first < 0 ? text.length : first;
  for (let count = 0; count < PARAMETERS && at < text.length; count++) {
    PARAMETER.lastIndex = at;
    const match = PARAMETER.exec(text);
    if (match === null) {
      // Nothing that makes sense: go on behind the next semicolon.
      const next = text.indexOf(";", at + 1);
      at = next < 0 ? text.length : next;
      continue;
    }
    addSection(sections, match);
    const next = text.indexOf(";", PARAMETER.lastIndex);
    at = next < 0 ? text.length : next;
  }
  return { value, parameters: new Map([...sections].map(([name, each]) => [name, joinSections(each)])) };
}

function addSection(sections: Map<string, Section[]>, match: RegExpExecArray): void {
  const [, name, number, star, quoted, bare] = match;
  const section: Section = {
    // An encoded value without number (`name*=`) is preferred to a plain one and needs no other section.
    index: number === undefined ? (star === undefined ? -1 : -2) : Number(number),
    encoded: star !== undefined,
    text: quoted === undefined ? bare!.trim() : quoted.replace(/\\(.)/gs, "$1"),
  };
  const key = name!.toLowerCase();
  const known = sections.get(key);
  if (known === undefined) sections.set(key, [section]);
  else if (!known.some((other) => other.index === section.index)) known.push(section);
}

function joinSections(sections: readonly Section[]): string {
  const extended = sections.find((section) => section.index === -2);
  const numbered = sections.filter((section) => section.index >= 0).sort((a, b) => a.index - b.index);
  // RFC 2231 3: sections count from 0 without a gap.
  const usable = extended !== undefined ? [extended] : numbered.filter((section, i) => section.index === i);
  // Not of any RFC, but common: an encoded word as a file name.
  if (usable.length === 0) return decodeEncodedWords(sections[0]!.text);
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
