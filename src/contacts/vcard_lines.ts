/**
 * vCard's content lines (RFC 6350 3.3), and those of versions 3.0 and 2.1, which are still about.
 *
 * ```abnf
 * contentline = [group "."] name *(";" param) ":" value CRLF       ; RFC 6350 3.3
 * ```
 *
 * Guarantees: pure; a value is decoded by its own encoding and character set, or told as broken.
 *
 * @module
 */
// @ts-types="../base/std_encoding.d.ts"
import { decodeBase64 } from "@std/encoding";
import { fromLatin1, latin1, utf8 } from "../base/bytes.ts";
import { checkedLines, type Report } from "./contact.ts";

/** One property. */
export interface Property {
  /** From 1: where it begins. */
  readonly line: number;
  /** In capitals, without its group. */
  readonly name: string;
  /** By name in capitals; version 2.1's bare words are under TYPE. */
  readonly parameters: ReadonlyMap<string, readonly string[]>;
  /** Decoded; commas, semicolons and line breaks still escaped. */
  readonly value: string;
}

interface RawLine {
  readonly line: number;
  readonly text: string;
}

/** Properties one after the other; `text` has an octet in each character. */
export function* propertiesOf(text: string, report: Report): Generator<Property> {
  for (const raw of unfold(checkedLines(text, report))) {
    const property = parseProperty(raw, report);
    if (property !== undefined) yield property;
  }
}

const QUOTED_PRINTABLE = /^[^:]*;(?:encoding=)?quoted-printable[;:]/i;

/** RFC 6350 3.2: a line that begins with a blank goes on where the one before it ended. */
function* unfold(lines: readonly string[]): Generator<RawLine> {
  let parts: string[] = [];
  let start = 0;
  let isSoft = false;
  for (let i = 0; i <= lines.length; i++) {
    const line = lines[i];
    // Version 2.1: a quoted-printable value goes on behind a "=" at the line's end.
    if (isSoft && line !== undefined) parts.push("\n", line);
    else if (parts.length > 0 && line !== undefined && /^[ \t]/.test(line)) parts.push(line.slice(1));
    else {
      if (parts.length > 0) yield { line: start + 1, text: parts.join("") };
      parts = line === undefined || line.trim() === "" ? [] : [line];
      start = i;
    }
    isSoft = parts.length > 0 && parts.at(-1)!.endsWith("=") && QUOTED_PRINTABLE.test(parts[0]!);
  }
}

const NAME = /^(?:[A-Za-z0-9-]+\.)?([A-Za-z0-9-]+)/;
const PARAMETER = /;([^;:="]*)(?:=((?:"[^"]*"|[^;:"])*))?/y;

function parseProperty({ line, text }: RawLine, report: Report): Property | undefined {
  const name = NAME.exec(text);
  if (name === null) return refuse();
  const parameters = new Map<string, string[]>();
  PARAMETER.lastIndex = name[0].length;
  let end = name[0].length;
  for (let match = PARAMETER.exec(text); match !== null; match = PARAMETER.exec(text)) {
    end = PARAMETER.lastIndex;
    const [key, values] = match[2] === undefined ? ["TYPE", match[1]!] : [match[1]!.toUpperCase(), match[2]];
    parameters.set(key, [...parameters.get(key) ?? [], ...valuesOf(values)]);
  }
  if (text[end] !== ":") return refuse();
  const value = decodeValue(text.slice(end + 1), parameters);
  if (value !== undefined) return { line, name: name[1]!.toUpperCase(), parameters, value };
  report(
    line,
    "the value can't be read in the character set that it is said to have",
    "save the file as UTF-8",
  );
  return undefined;

  function refuse(): undefined {
    report(line, "this is no property of a vCard", "expected something like FN:Bob Lee");
    return undefined;
  }
}

function valuesOf(text: string): string[] {
  return text.split(",").map((value) => value.trim().replace(/^"(.*)"$/, "$1"));
}

function decodeValue(text: string, parameters: ReadonlyMap<string, readonly string[]>): string | undefined {
  const words = [...parameters.get("ENCODING") ?? [], ...parameters.get("TYPE") ?? []]
    .map((word) => word.toUpperCase());
  const charset = parameters.get("CHARSET")?.[0] ?? "utf-8";
  let octets = text;
  if (words.includes("QUOTED-PRINTABLE")) octets = decodeQuotedPrintable(text);
  else if (words.includes("BASE64") || parameters.get("ENCODING")?.[0]?.toUpperCase() === "B") {
    const decoded = decodeLeniently(text);
    if (decoded === undefined) return undefined;
    octets = decoded;
    // A picture is no text; nobody asks for it, and it isn't an error.
    if (!parameters.has("CHARSET")) return "";
  }
  try {
    return new TextDecoder(charset, { fatal: true }).decode(fromLatin1(octets));
  } catch {
    return undefined;
  }
}

function decodeLeniently(text: string): string | undefined {
  try {
    return latin1(decodeBase64(text.replace(/\s/g, "")));
  } catch {
    return undefined;
  }
}

/** RFC 2045 6.7, as version 2.1 uses it. */
function decodeQuotedPrintable(text: string): string {
  return text.replace(/=[ \t]*\n/g, "").replace(
    /=([0-9A-Fa-f]{2})/g,
    (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

/** The parts of a value between separators that are not escaped, each as its meaning (RFC 6350 3.4). */
export function splitValue(value: string, separator: "," | ";"): string[] {
  const parts = [""];
  for (const piece of value.match(/\\[\s\S]|[^\\]/g) ?? []) {
    if (piece === separator) parts.push("");
    else parts[parts.length - 1] += unescapePiece(piece);
  }
  return parts;
}

/** A text as its meaning; line breaks become blanks, since all that is read here is one line. */
export function unescapeText(value: string): string {
  return value.replace(/\\[\s\S]/g, unescapePiece).replace(/\s*\n\s*/g, " ");
}

function unescapePiece(piece: string): string {
  if (!piece.startsWith("\\") || piece.length === 1) return piece;
  return /^\\n/i.test(piece) ? " " : piece.slice(1);
}

/** A text as it stands in a value (RFC 6350 3.4). */
export function escapeText(text: string): string {
  return text.replace(/[\\,;]/g, "\\$&").replace(/\n/g, "\\n");
}

/** RFC 6350 3.2: 75 octets, without the line's end. */
const FOLD_OCTETS = 75;

/** A line, folded between characters, with CRLF. */
export function foldLine(line: string): string {
  const folded: string[] = [];
  let used = 0;
  for (const character of line) {
    const octets = utf8(character).length;
    if (used + octets > FOLD_OCTETS) {
      folded.push("\r\n ");
      used = 1;
    }
    folded.push(character);
    used += octets;
  }
  return `${folded.join("")}\r\n`;
}
