/**
 * LDIF's lines and records (RFC 2849), and what is needed of distinguished names (RFC 4514).
 *
 * ```abnf
 * value-spec = ":" ( FILL 0*1(SAFE-STRING) / ":" FILL (BASE64-STRING) / "<" FILL url )   ; RFC 2849
 * ```
 *
 * Guarantees: pure; values that name a file or address (`:<`) are never fetched.
 *
 * @module
 */
// @ts-types="../base/std_encoding.d.ts"
import { decodeBase64, encodeBase64 } from "@std/encoding";
import { decodeUtf8 } from "../base/bytes.ts";
import { checkedLines, type Report } from "./contact.ts";

/** A value, and where it stands. */
export interface LdifValue {
  /** From 1. */
  readonly line: number;
  /** Undefined: octets that are no text, such as a picture. */
  readonly text: string | undefined;
}

export interface LdifRecord {
  /** From 1: where its dn stands. */
  readonly line: number;
  readonly dn: string;
  /** By attribute in lower case, without options (`cn;lang-de`). */
  readonly attributes: ReadonlyMap<string, readonly LdifValue[]>;
}

interface Line {
  readonly line: number;
  readonly text: string;
}

interface Open {
  readonly line: number;
  readonly dn: string;
  readonly attributes: Map<string, LdifValue[]>;
}

export interface RecordOptions {
  /** The attributes that are read, in lower case: whether others have values that can't be had is all the same. */
  readonly attributes: ReadonlySet<string>;
  readonly report: Report;
}

/** The records of a file, in order. */
export function recordsOf(text: string, options: RecordOptions): LdifRecord[] {
  const { report } = options;
  const records: LdifRecord[] = [];
  let open: Open | undefined;
  // What follows a line that is wrong belongs to it: one fault, one problem.
  let isSkipping = false;
  for (const line of unfold(checkedLines(text, report))) {
    if (line.text === "") {
      if (open !== undefined) records.push(open);
      open = undefined;
      isSkipping = false;
      continue;
    }
    if (isSkipping) continue;
    const given = parseLine(line, options);
    if (given === undefined) continue;
    if (open !== undefined) append(open.attributes, given);
    else if (given.name === "dn") {
      open = { line: line.line, dn: given.value.text ?? "", attributes: new Map() };
    } else if (given.name !== "version") {
      isSkipping = true;
      report(line.line, `${given.name} stands where an entry should begin`, "an entry begins with its dn");
    }
  }
  if (open !== undefined) records.push(open);
  return records;
}

function append(attributes: Map<string, LdifValue[]>, { name, value }: Given): void {
  const values = attributes.get(name);
  if (values === undefined) attributes.set(name, [value]);
  else values.push(value);
}

/** Lines joined where they are folded (a blank in front), without comments; an empty one between records. */
function* unfold(lines: readonly string[]): Generator<Line> {
  let parts: string[] = [];
  let start = 0;
  for (let i = 0; i <= lines.length; i++) {
    const line = lines[i] ?? "";
    if (line.startsWith(" ") && parts.length > 0) {
      parts.push(line.slice(1));
      continue;
    }
    if (parts.length > 0 && !parts[0]!.startsWith("#")) yield { line: start + 1, text: parts.join("") };
    if (line === "") yield { line: i + 1, text: "" };
    parts = line === "" ? [] : [line];
    start = i;
  }
}

interface Given {
  readonly name: string;
  readonly value: LdifValue;
}

const LINE = /^([A-Za-z0-9.-]+)(?:;[^:]*)?:([:<]?) *(.*)$/s;

function parseLine({ line, text }: Line, { attributes, report }: RecordOptions): Given | undefined {
  const parts = LINE.exec(text);
  if (parts === null) {
    report(line, "this is no line of LDIF", "expected something like cn: Bob Lee");
    return undefined;
  }
  const [, name, kind, value] = parts as unknown as [string, string, string, string];
  const given = (content: string | undefined): Given => ({
    name: name.toLowerCase(),
    value: { line, text: content },
  });
  if (kind === "") return given(value.trimEnd());
  if (kind === "<") {
    if (!attributes.has(name.toLowerCase())) return given(undefined);
    report(line, `${name} is to be read from elsewhere, which isn't done here`, "write the value itself");
    return undefined;
  }
  try {
    return given(decodeUtf8(decodeBase64(value.trim())));
  } catch {
    report(line, `${name} isn't base64`, "a value behind two colons is base64");
    return undefined;
  }
}

/** SAFE-STRING of RFC 2849, without control characters, which base64 keeps from harm. */
const SAFE = /^(?:[!-9;=-~][ -~]*)?$/;

/** RFC 2849 note 2 lets lines be folded anywhere; other programs do it here. */
const FOLD_CHARACTERS = 76;

/** `cn: Bob Lee`, in base64 where it has to be, folded, with LF. */
export function formatLine(name: string, value: string): string {
  // RFC 2849 note 8: a blank at the end could get lost.
  const isSafe = SAFE.test(value) && !value.endsWith(" ");
  let rest = isSafe ? `${name}: ${value}` : `${name}:: ${encodeBase64(value)}`;
  const lines: string[] = [];
  while (rest.length > FOLD_CHARACTERS) {
    lines.push(rest.slice(0, FOLD_CHARACTERS));
    rest = ` ${rest.slice(FOLD_CHARACTERS)}`;
  }
  return `${[...lines, rest].join("\n")}\n`;
}

/** A value as it stands in a distinguished name (RFC 4514 2.4). */
export function escapeDn(value: string): string {
  return value.replace(/[,+"\\<>;=]/g, "\\$&").replace(/^[# ]/, "\\$&").replace(/ $/, "\\ ");
}

const FIRST_RDN = /^\s*([A-Za-z0-9.-]+)\s*=\s*((?:\\[\s\S]|[^\\,+])*)/;

/** The first attribute of a distinguished name, in lower case, and its value; undefined where it has none. */
export function firstOfDn(dn: string): { readonly attribute: string; readonly value: string } | undefined {
  const parts = FIRST_RDN.exec(dn);
  if (parts === null) return undefined;
  const value = parts[2]!.replace(/([^\\]) +$/, "$1");
  return { attribute: parts[1]!.toLowerCase(), value: unescapeDn(value) };
}

/** RFC 4514 3: a character behind a backslash, or octets of UTF-8 by their hexadecimal numbers. */
function unescapeDn(value: string): string {
  return value.replace(/(?:\\[0-9A-Fa-f]{2})+|\\([\s\S])/g, (text, character: string | undefined) => {
    if (character !== undefined) return character;
    const octets = text.split("\\").slice(1).map((hex: string) => Number.parseInt(hex, 16));
    return decodeUtf8(Uint8Array.from(octets)) ?? "\ufffd";
  });
}

/** A distinguished name in a form for comparison: blanks around commas and equal signs, and case, don't count. */
export function canonicalDn(dn: string): string {
  return dn.trim().replace(/\s*([,=+])\s*/g, "$1").toLowerCase();
}
