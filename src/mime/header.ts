/**
 * A message's header section, whole, as fields (RFC 5322 2.2).
 *
 * Guarantees: never fails; reads {@linkcode HEADER_OCTETS} at most. Lines end with CRLF or LF. The section ends at
 * its first empty line; where that line is missing, the body begins at the first line that is neither a field nor
 * the folding of one (that line belongs to the body). An mbox separator as the first line is passed over.
 *
 * @module
 */
import { asBuffer, decodeUtf8, fromLatin1, latin1, LF } from "../base/bytes.ts";
import { HEADER_OCTETS } from "../base/limits.ts";
import { fieldNameLength, isFolded, isMboxLine, withoutCr } from "./field_name.ts";

export interface HeaderField {
  /** As written. */
  readonly name: string;
  /** Everything behind the colon with its folding, one code unit an octet, without the last line end. */
  readonly raw: string;
  /** Unfolded, without white space at its ends; UTF-8 where its octets are (RFC 6532), otherwise Latin-1. */
  readonly value: string;
}

export interface Header {
  /** In order of appearance. */
  readonly fields: readonly HeaderField[];
  /** Where the body begins, in octets from the start of what was given. */
  readonly bodyOffset: number;
}

/** Parses the header section at the start of a message or of a body part. */
export function parseHeader(message: Uint8Array): Header {
  const section = asBuffer(message.subarray(0, HEADER_OCTETS));
  const fields: HeaderField[] = [];
  let begin = 0;
  let nameLength = 0;
  let at = 0;
  const flush = (end: number) => {
    if (nameLength > 0) fields.push(makeField(section.subarray(begin, end), nameLength));
    nameLength = 0;
  };
  while (at < section.length) {
    const found = section.indexOf(LF, at);
    const next = found < 0 ? section.length : found + 1;
    const line = withoutCr(section.subarray(at, found < 0 ? section.length : found));
    if (line.length === 0 && found >= 0) {
      flush(at);
      return { fields, bodyOffset: next };
    }
    if (!(nameLength > 0 && isFolded(line))) {
      const length = fieldNameLength(line);
      flush(at);
      if (length > 0) [begin, nameLength] = [at, length];
      else if (!(at === 0 && isMboxLine(line))) return { fields, bodyOffset: at };
    }
    at = next;
  }
  flush(section.length);
  return { fields, bodyOffset: section.length };
}

/** The first field of a name, in any case; undefined where there is none. */
export function fieldValue(header: Pick<Header, "fields">, name: string): string | undefined {
  return fieldValues(header, name)[0];
}

/** All fields of a name, in any case, in order. */
export function fieldValues(header: Pick<Header, "fields">, name: string): string[] {
  const wanted = name.toLowerCase();
  return header.fields.filter((field) => field.name.toLowerCase() === wanted).map((field) => field.value);
}

/** A field's octets behind the colon, unfolded (RFC 5322 2.2.3): the line ends go, the white space behind them stays. */
export function unfold(raw: string): string {
  const joined = raw.replace(/\r?\n/g, "").trim();
  // deno-lint-ignore no-control-regex -- U+0000 to U+007F is what ASCII is
  return /^[\u0000-\u007f]*$/.test(joined) ? joined : decodeUtf8(fromLatin1(joined)) ?? joined;
}

function makeField(octets: Uint8Array, nameLength: number): HeaderField {
  const text = latin1(octets).replace(/\r?\n$/, "");
  const raw = text.slice(text.indexOf(":", nameLength) + 1);
  return { name: text.slice(0, nameLength), raw, value: unfold(raw) };
}
