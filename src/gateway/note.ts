/**
 * The note: a message as EMS has it written, with commands at the top and the text below (the seed: "a message could
 * begin with `/TO /SMTP bobl@casisoft.com`").
 *
 * ```abnf
 * note     = *( command EOL ) [ EOL ] text       ; the empty line is dropped; a text that begins with "/" needs it
 * command  = "/TO" recipients / "/CC" recipients / "/BCC" recipients      ; several add up
 *          / "/SUBJECT" text                                              ; once, as are the two below
 *          / "/REPORT" 1*name                                             ; several add up
 *          / "/PRIORITY" ( "low" / "normal" / "high" )
 *          / "/ACK" [ "delivered" / "read" ]
 * ```
 *
 * Commands may be written in any case. What `recipients` are, note_recipients.ts says.
 *
 * Guarantees: never fails; tells of everything that is wrong ({@linkcode PROBLEMS} at most), each with its place; a note
 * without problems is complete. {@linkcode NOTE_LINES} commands of {@linkcode NOTE_LINE_CHARACTERS} at most.
 *
 * States: commands -> text.
 *
 * @module
 */
import { NOTE_LINE_CHARACTERS, NOTE_LINES } from "../base/limits.ts";
import { nearest } from "../config/suggest.ts";
import { parseRecipients } from "./note_recipients.ts";
import {
  type Note,
  type NoteAck,
  type NoteHeader,
  type NoteLine,
  type NotePriority,
  type NoteProblem,
  type NoteRecipient,
  type NoteWord,
  placeOf,
  type TellProblem,
} from "./note_types.ts";

/** More than anybody mends at once. */
export const PROBLEMS = 100;

export interface NoteOptions {
  /** Names of this system's gateways, in lower case: `smtp` and others. */
  readonly gateways: readonly string[];
  /** Whether the note must name somebody; an answer need not. @default {"needed"} */
  readonly recipients?: "needed" | "optional";
}

export interface ParsedNote {
  readonly note: Note;
  /** In order of lines; empty where all is well. */
  readonly problems: readonly NoteProblem[];
}

interface Draft {
  readonly recipients: NoteRecipient[];
  readonly reports: NoteWord[];
  subject?: NoteWord;
  priority?: NotePriority;
  ack?: NoteAck;
}

/** What reading a command takes. */
interface Reading {
  readonly line: NoteLine;
  /** The command as it is written, with its slash. */
  readonly written: string;
  /** Where what stands behind the command begins. */
  readonly from: number;
  readonly draft: Draft;
  readonly gateways: readonly string[];
  readonly tell: TellProblem;
}

interface Command {
  /** May stand once only. */
  readonly count: "once" | "any";
  /** What may stand behind it, for people. */
  readonly example: string;
  readonly read: (reading: Reading) => void;
}

const COMMANDS: { readonly [name: string]: Command } = {
  TO: { count: "any", example: "/TO BOBL", read: recipients("to") },
  CC: { count: "any", example: "/CC BOBL", read: recipients("cc") },
  BCC: { count: "any", example: "/BCC BOBL", read: recipients("bcc") },
  SUBJECT: { count: "once", example: "/SUBJECT Budget", read: subject },
  REPORT: { count: "any", example: "/REPORT SALES", read: reports },
  PRIORITY: { count: "once", example: "/PRIORITY high", read: priority },
  ACK: { count: "once", example: "/ACK read", read: ack },
};
const NAMES = Object.keys(COMMANDS);
/** How a command line begins. */
const COMMAND = /^[ \t]*\/([^\s,;<]*)/;
// deno-lint-ignore no-control-regex -- control characters are what is looked for
const CONTROL = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u2028\u2029\ud800-\udfff]/u;

/** Reads a note; lines end with LF or CRLF. */
export function parseNote(source: string, options: NoteOptions): ParsedNote {
  const problems: NoteProblem[] = [];
  const tell: TellProblem = (place, message, hint = "") => {
    const { line, column, length } = place;
    if (problems.length < PROBLEMS) problems.push({ line, column, length, message, hint });
  };
  const draft: Draft = { recipients: [], reports: [] };
  const lines = splitLines(source);
  /** Where each command that may stand once stands. */
  const seen = new Map<string, number>();
  let index = 0;
  for (; index < lines.length; index++) {
    const line: NoteLine = { number: index + 1, text: lines[index]! };
    if (!COMMAND.test(line.text)) break;
    if (index >= NOTE_LINES) {
      tell(
        placeOf(line, 0, line.text.length),
        `there are more than ${NOTE_LINES} commands`,
        "make it several notes",
      );
      break;
    }
    readCommand(line, { draft, seen, gateways: options.gateways, tell });
  }
  const text = lines.slice(lines[index]?.trim() === "" ? index + 1 : index);
  if (draft.recipients.length === 0 && problems.length === 0 && options.recipients !== "optional") {
    tellNobody(lines, index, tell);
  }
  const { subject, priority, ack, ...rest } = draft;
  return { note: { ...rest, subject, priority, ack, text: text.join("\n") }, problems };
}

/** A note's lines without their ends; a mark of the byte order in front is passed over. */
export function splitLines(source: string): string[] {
  return source.replace(/^\ufeff/, "").split(/\r?\n/);
}

interface Around {
  readonly draft: Draft;
  readonly seen: Map<string, number>;
  readonly gateways: readonly string[];
  readonly tell: TellProblem;
}

function readCommand(line: NoteLine, { draft, seen, gateways, tell }: Around): void {
  const match = COMMAND.exec(line.text)!;
  const to = match[0].length;
  const from = to - match[1]!.length - 1;
  const written = line.text.slice(from, to);
  const name = match[1]!.toUpperCase();
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name]! : undefined;
  if (command === undefined) {
    const isGateway = gateways.includes(name.toLowerCase());
    const words = isGateway ? gatewayWords(written) : unknownWords(written, name);
    return tell(placeOf(line, from, to), ...words);
  }
  if (line.text.length > NOTE_LINE_CHARACTERS) {
    const hint = `${NOTE_LINE_CHARACTERS} is the most; several ${written} lines add up`;
    return tell(placeOf(line, from, to), `this line has ${line.text.length} characters`, hint);
  }
  const control = CONTROL.exec(line.text);
  if (control !== null) {
    const place = placeOf(line, control.index, control.index + 1);
    return tell(place, "a control character stands here", "take it out");
  }
  if (command.count === "once") {
    const first = seen.get(name);
    if (first !== undefined) {
      return tell(
        placeOf(line, from, to),
        `this is a second ${written}`,
        `keep one; the first is on line ${first}`,
      );
    }
    seen.set(name, line.number);
  }
  command.read({ line, written, from: to, draft, gateways, tell });
}

/** What to say of a gateway where a command has to be. */
function gatewayWords(written: string): [message: string, hint: string] {
  return [`${written} is a gateway, and no command`, `write a command before it: /TO ${written} name@place`];
}

/** What to say of a command that there isn't. */
function unknownWords(written: string, name: string): [message: string, hint: string] {
  const message = written === "/" ? "a command is missing behind the /" : `there is no command ${written}`;
  const known = NAMES.find((each) => name.startsWith(each) && /^[^A-Z0-9]/.test(name.slice(each.length)));
  if (known !== undefined) {
    const rest = written.slice(known.length + 1).replace(/^[:=]/, "");
    return [message, `write it with a blank behind it: ${`/${known} ${rest}`.trimEnd()}`];
  }
  const guess = nearest(name, NAMES);
  const means = guess === undefined
    ? `commands: ${NAMES.map((each) => `/${each}`).join(", ")}`
    : `did you mean /${guess}?`;
  return [message, `${means}\na text that begins with / goes behind an empty line`];
}

/** A note for nobody: perhaps its command came too late. */
function tellNobody(lines: readonly string[], index: number, tell: TellProblem): void {
  const late = lines.findIndex((text, at) => at >= index && /^[ \t]*\/(?:TO|CC|BCC)(?:\s|$)/i.test(text));
  if (late < 0) {
    return tell(
      { line: 1, column: 1, length: 0 },
      "the note names nobody",
      "begin it with a line such as /TO BOBL",
    );
  }
  const line: NoteLine = { number: late + 1, text: lines[late]! };
  const [written] = COMMAND.exec(line.text)!;
  const from = written.indexOf("/");
  tell(
    placeOf(line, from, written.length),
    `${written.slice(from)} stands in the text, which begins on line ${index + 1}`,
    "put all commands at the top, without an empty line among them",
  );
}

// ---------------------------------------------------------------- commands

function recipients(header: NoteHeader): Command["read"] {
  return ({ line, written, from, draft, gateways, tell }) => {
    let told = 0;
    const found = parseRecipients(line, from, {
      header,
      gateways,
      tell: (...problem) => {
        told++;
        tell(...problem);
      },
    });
    draft.recipients.push(...found);
    if (found.length > 0 || told > 0) return;
    const { example } = COMMANDS[header.toUpperCase()]!;
    tell(
      placeOf(line, from - written.length, from),
      `${written} names nobody`,
      `write who gets it: ${example}`,
    );
  };
}

function subject({ line, written, from, draft, tell }: Reading): void {
  const behind = line.text.slice(from);
  const text = behind.trim();
  if (text === "") {
    const hint = "write it behind the command, or leave the line out";
    return tell(placeOf(line, from - written.length, from), `${written} has no text`, hint);
  }
  const start = from + behind.indexOf(text);
  draft.subject = { ...placeOf(line, start, start + text.length), text: text.replace(/\t/g, " ") };
}

function reports({ line, written, from, draft, tell }: Reading): void {
  const words = wordsOf(line, from);
  if (words.length === 0) {
    tell(
      placeOf(line, from - written.length, from),
      `${written} names no report`,
      "write its name: /REPORT SALES",
    );
  }
  for (const word of words) {
    const name = word.text.toUpperCase();
    if (!draft.reports.some(({ text }) => text === name)) draft.reports.push({ ...word, text: name });
  }
}

function priority(reading: Reading): void {
  const choice = choose(reading, ["low", "normal", "high"]);
  if (choice !== undefined) reading.draft.priority = choice;
}

function ack(reading: Reading): void {
  const choice = choose(reading, ["delivered", "read"], "delivered");
  if (choice !== undefined) reading.draft.ack = choice;
}

/** The one word behind a command, which is one of a few; `fallback` where there is none. */
function choose<T extends string>(
  { line, written, from, tell }: Reading,
  choices: readonly T[],
  fallback?: T,
): T | undefined {
  const [word, extra] = wordsOf(line, from);
  const may = `it may be ${choices.slice(0, -1).join(", ")} or ${choices.at(-1)}`;
  if (word === undefined) {
    if (fallback === undefined) {
      tell(placeOf(line, from - written.length, from), `${written} needs a word behind it`, may);
    }
    return fallback;
  }
  const choice = choices.find((each) => each === word.text.toLowerCase());
  if (choice === undefined) {
    const guess = nearest(word.text, choices);
    tell(word, `${written} can't be '${word.text}'`, guess === undefined ? may : `did you mean ${guess}?`);
  } else if (extra !== undefined) {
    tell(extra, `there is more behind ${written} ${word.text}`, "take it out");
  }
  return choice;
}

/** The words from `from` on, parted by blanks, commas or semicolons. */
function wordsOf(line: NoteLine, from: number): NoteWord[] {
  return [...line.text.slice(from).matchAll(/[^\s,;]+/g)].map((match) => ({
    ...placeOf(line, from + match.index, from + match.index + match[0].length),
    text: match[0],
  }));
}
