/**
 * An entry of a directory as files carry it, whatever their format.
 *
 * Guarantees of every reader: pure; within the limits (octets, entries, the length of a line); all that is wrong is
 * reported at once, each with its line; what it gives holds no control character. What a file doesn't say is absent,
 * so that an import can leave it as it is; an empty text says that there is nothing.
 *
 * @module
 */
import { CONTACT_ENTRIES, CONTACT_LINE_OCTETS, CONTACT_OCTETS, IDENTITY_OCTETS } from "../base/limits.ts";
import { decodeUtf8, latin1, LF, utf8 } from "../base/bytes.ts";

export type ContactKind = "user" | "shadow" | "list";

export interface Contact {
  /** Absent: a person, and the file doesn't say whether it is one of this system. */
  readonly kind?: ContactKind | undefined;
  /** The entry's name; absent where it has to be made from what else is there. */
  readonly name?: string | undefined;
  readonly displayName?: string | undefined;
  readonly department?: string | undefined;
  readonly phone?: string | undefined;
  /** A shadow's destination, or a user's own address. */
  readonly address?: string | undefined;
  /** Whether a shadow takes mail from strangers. */
  readonly inbound?: boolean | undefined;
  /** A list's members. */
  readonly members?: readonly string[] | undefined;
  /** Who keeps a list. */
  readonly owner?: string | undefined;
}

/** An entry, and where it begins in its file. */
export interface ReadContact extends Contact {
  /** From 1. */
  readonly line: number;
}

/** One thing that is wrong with a file. */
export interface ContactProblem {
  /** From 1. */
  readonly line: number;
  /** What is wrong, without a final full stop. */
  readonly message: string;
  /** What would be right, as half a sentence; "" where the message says it. */
  readonly advice: string;
}

/** What a file holds. */
export interface ContactFile {
  readonly contacts: readonly ReadContact[];
  /** In the order of lines. */
  readonly problems: readonly ContactProblem[];
}

/** Tells a problem: `line`, what is wrong, and what would be right. */
export type Report = (line: number, message: string, advice?: string) => void;

/** What takes a file apart: it gives entries as it finds them, and tells what is wrong. */
export interface Gathering {
  add(contact: ReadContact): void;
  readonly report: Report;
}

export interface GatherOptions {
  /**
   * `octets`: the reader gets each octet as a character (ISO 8859-1) and decodes them itself, since the format can name
   * a character set for each value. @default "utf-8"
   */
  readonly as?: "utf-8" | "octets";
}

/** Reads a file with `read`, which gets its text with lines ended by LF; keeps the limits that all formats share. */
export function gather(
  octets: Uint8Array,
  read: (text: string, gathering: Gathering) => void,
  { as = "utf-8" }: GatherOptions = {},
): ContactFile {
  const contacts: ReadContact[] = [];
  const problems: ContactProblem[] = [];
  const report: Report = (line, message, advice = "") => void problems.push({ line, message, advice });
  const add = (contact: ReadContact): void => {
    if (contacts.length === CONTACT_ENTRIES) {
      report(contact.line, `there are more than ${CONTACT_ENTRIES} entries`, "import them in several files");
    }
    if (contacts.length <= CONTACT_ENTRIES) contacts.push(checkTexts(contact, report));
  };
  if (octets.length > CONTACT_OCTETS) {
    report(
      1,
      `the file has ${octets.length} octets, more than ${CONTACT_OCTETS}`,
      "import it in several files",
    );
    return { contacts, problems };
  }
  const text = as === "octets" ? latin1(octets) : decodeFile(octets, report);
  if (text !== undefined) read(text.replace(BYTE_ORDER_MARK, "").replace(/\r\n?/g, "\n"), { add, report });
  return { contacts, problems: problems.sort((a, b) => a.line - b.line) };
}

function decodeFile(octets: Uint8Array, report: Report): string | undefined {
  const text = decodeUtf8(octets);
  if (text === undefined) report(brokenLine(octets), "this is not UTF-8", "save the file as UTF-8");
  return text;
}

/** As a character, or as its three octets. */
const BYTE_ORDER_MARK = /^(?:\ufeff|\u00ef\u00bb\u00bf)/;

/** The first line that isn't UTF-8, from 1. */
function brokenLine(octets: Uint8Array): number {
  let start = 0;
  for (let line = 1;; line++) {
    const end = octets.indexOf(LF, start);
    if (end < 0 || decodeUtf8(octets.subarray(start, end)) === undefined) return line;
    start = end + 1;
  }
}

/** The text's lines, without those that are too long, which are told. */
export function checkedLines(text: string, report: Report): string[] {
  return text.split("\n").map((line, i) => {
    // A character is an octet at least, so most lines needn't be encoded to know.
    if (line.length * 3 <= CONTACT_LINE_OCTETS || utf8(line).length <= CONTACT_LINE_OCTETS) return line;
    report(i + 1, `the line is longer than ${CONTACT_LINE_OCTETS} octets`, "split it");
    return "";
  });
}

// deno-lint-ignore no-control-regex -- control characters are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;
const TEXTS = { displayName: "display name", department: "department", phone: "phone number" } as const;

const NAMES = { name: "name", address: "address", owner: "owner" } as const;

/**
 * Texts that people read: blanks around them don't count, and no line breaks. Names have no control characters. What can't
 * be kept is told and left out.
 */
function checkTexts(contact: ReadContact, report: Report): ReadContact {
  const checked: Record<string, unknown> = { ...contact };
  for (const [field, what] of Object.entries(TEXTS)) {
    const given = contact[field as keyof typeof TEXTS];
    if (given === undefined) continue;
    const fault = textFault(given.trim());
    if (fault === undefined) checked[field] = given.trim();
    else {
      delete checked[field];
      report(
        contact.line,
        `the ${what} ${fault}`,
        `give a text in one line of up to ${IDENTITY_OCTETS} octets`,
      );
    }
  }
  for (const [field, what] of Object.entries(NAMES)) {
    if (!CONTROL.test(contact[field as keyof typeof NAMES] ?? "")) continue;
    delete checked[field];
    tellControl(contact.line, what, report);
  }
  if (contact.members?.some((member) => CONTROL.test(member)) === true) {
    checked.members = contact.members.filter((member) => !CONTROL.test(member));
    tellControl(contact.line, "name of a member", report);
  }
  return checked as unknown as ReadContact;
}

function tellControl(line: number, what: string, report: Report): void {
  report(line, `the ${what} holds a line break or another control character`, "take it out");
}

/** Why a text can't be a display name, department or phone number, as the end of a sentence; undefined where it can. */
export function textFault(text: string): string | undefined {
  if (CONTROL.test(text)) return "holds a line break or another control character";
  const octets = utf8(text).length;
  return octets > IDENTITY_OCTETS ? `is ${octets} octets long` : undefined;
}

/** `yes` and `no` in their usual spellings; undefined for anything else. */
export function readYesNo(text: string): boolean | undefined {
  const word = text.trim().toLowerCase();
  if (["yes", "y", "true", "1"].includes(word)) return true;
  return ["no", "n", "false", "0", ""].includes(word) ? false : undefined;
}

/** Without the fields that are undefined. */
export function withoutAbsent<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as T;
}
