/**
 * Fuzzes the note's grammar and the search for its addressees: `deno run -A tests/fuzz/note_fuzz.ts [--seconds N] [--seed N]`.
 *
 * Invariants, for any text and any directory:
 * 1. Nothing throws, and the search ends.
 * 2. A place lies inside the note: its line is there, and its columns are characters of that line.
 * 3. A note without problems names somebody; what it names stands at its place; its text is the note's end, unchanged but
 *    for the line ends.
 * 4. A problem that is shown holds no control character but tabs, and its marks stand below what they are about.
 * 5. LF and CRLF mean the same.
 * 6. Each addressee is a mail address that can be written and read again, no two are the same person, and nobody who is in
 *    To or Cc is in Bcc too.
 * 7. Where nothing is wrong, each recipient that was written leads to somebody.
 *
 * Inputs are made by the note's grammar, then mutated. A failure prints the seed and the note; `--seed N` with that seed
 * makes the same note first.
 *
 * @module
 */
import { Chooser, drive } from "./drive.ts";
import { type AddresseeOptions, AddresseeResolution, type Listed } from "../../src/gateway/addressees.ts";
import { parseNote, PROBLEMS, splitLines } from "../../src/gateway/note.ts";
import { formatNoteProblem } from "../../src/gateway/note_error.ts";
import type { NoteRecipient, Place } from "../../src/gateway/note_types.ts";
import { canonicalAddress, formatAddress, parseAddress } from "../../src/mail/address.ts";

const GATEWAYS = [{ name: "mhs", domain: "mhs.example.org" }, { name: "fax", domain: "fax.example.org" }];
const NAMES = [
  ...["alice", "bob", "bobl", "BOBL", "bo", "all", "boss", "loop", "nobody", "x+y", "bob+news"],
  ...[
    '"Bob Lee"',
    '"Böb"',
    '"a \\" b"',
    '""',
    "Bob Lee <bobl@example.com>",
    "<>",
    "<bob>",
    "bob@",
    "@b.test",
  ],
  ...["bobl@example.com", "BOB@EXAMPLE.ORG", '"a b"@c.test', "jane@sales", "ü@ü.test", "a@b@c", "📧", "bob>"],
];
const COMMANDS = [
  "/TO",
  "/to",
  "/CC",
  "/BCC",
  "/SUBJECT",
  "/REPORT",
  "/PRIORITY",
  "/ACK",
  "/TOO",
  "/",
  "/TO:",
];
const WORDS = ["high", "low", "read", "delivered", "soon", "SALES", "Budget 2026", "\u001b[2J", "\ud800"];
const GAPS = [" ", " ", "  ", "\t", ",", ", ", ";"];
const ENDS = ["\n", "\n", "\n", "\r\n", "\r", ""];
const BROKEN = ["/", "<", ">", '"', "\\", ",", "@", "\t", "\0", "\n", "\r\n", "日本", "\ufeff", " "];

const ENTRIES: readonly Listed[] = ([
  { kind: "account", name: "alice", displayName: "Alice Ng" },
  { kind: "account", name: "bob", displayName: "Bob Lee", department: "Sales" },
  { kind: "account", name: "bob@example.org" },
  { kind: "shadow", name: "bobl", displayName: "Bob Lee", address: "bobl@example.com" },
  { kind: "shadow", name: "broken", address: "no address" },
  { kind: "shadow", name: "jane", address: "jane@sales.mhs.example.org" },
  { kind: "list", name: "all", displayName: "Everybody" },
  { kind: "alias", name: "@example.org" },
] as const).map((entry) => ({ displayName: "", department: "", ...entry }));
const NICKNAMES = [
  { name: "boss", addresses: ["alice", "chief@example.net"] },
  { name: "loop", addresses: ["pool", "bob"] },
  { name: "pool", addresses: ["loop"] },
  { name: "bob", addresses: ["bob"] },
];

interface Case {
  readonly note: string;
  readonly options: AddresseeOptions;
}

function line(choose: Chooser): string {
  const words = choose.several(5, () => {
    if (choose.once(4)) return choose.oneOf(["/SMTP", "/MHS", "/fax", "/SMPT", "/"]);
    return choose.oneOf(choose.once(5) ? WORDS : NAMES);
  });
  const parted = words.map((word) => choose.oneOf(GAPS) + word).join("");
  return choose.oneOf(COMMANDS) + parted + choose.oneOf(ENDS);
}

function make(seed: number): Case {
  const choose = new Chooser(seed);
  let note = choose.several(6, () => line(choose)).join("");
  if (choose.once(2)) note += `${choose.oneOf(ENDS)}${choose.oneOf(["Text", "/TO me", "", "a\r\nb\n"])}`;
  for (const broken of choose.several(choose.once(2) ? 0 : 4, () => choose.oneOf(BROKEN))) {
    const at = choose.below(note.length + 1);
    note = note.slice(0, at) + broken + note.slice(at + choose.below(3));
  }
  return {
    note,
    options: {
      nicknames: choose.once(3) ? [] : NICKNAMES,
      gateways: GATEWAYS,
      defaultGateway: choose.oneOf(["smtp", "smtp", "mhs"]),
      domains: ["example.org", "example.test"],
      plus: choose.oneOf(["+", "+", ""]),
      limit: choose.oneOf([1000, 1000, 3]),
    },
  };
}

// ---------------------------------------------------------------- invariants

function fail(invariant: number, what: string): never {
  throw new Error(`invariant ${invariant}: ${what}`);
}

/** The characters of the note at a place. */
function textAt(place: Place, lines: readonly string[]): string {
  const { line, column, length } = place;
  const characters = Array.from(lines[line - 1] ?? fail(2, `there is no line ${line}`));
  if (column < 1 || length < 0 || column - 1 + length > characters.length) {
    fail(2, `column ${column}, ${length} characters, of ${characters.length} in line ${line}`);
  }
  return characters.slice(column - 1, column - 1 + length).join("");
}

function checkShown(problem: Parameters<typeof formatNoteProblem>[0], lines: readonly string[]): void {
  const shown = formatNoteProblem(problem, { file: "note", lines });
  // deno-lint-ignore no-control-regex -- control characters are what must not be there
  if (/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/.test(shown)) fail(4, JSON.stringify(shown));
  const [, text = "", marks = ""] = shown.split("\n");
  if (lines[problem.line - 1] !== "" && !/^ +\^+$/.test(marks)) fail(4, `no marks below ${text}`);
}

/** What a recipient's place shows, against what was read there. */
function checkRecipient(recipient: NoteRecipient, lines: readonly string[]): void {
  const written = textAt(recipient, lines);
  // Where all of it was in quotes, it is read without them.
  if (written.includes(recipient.text) || written.replaceAll(/\\(.)/gu, "$1").includes(recipient.text)) {
    return;
  }
  fail(3, `${recipient.text} is said to stand at ${written}`);
}

function resolve(recipients: readonly NoteRecipient[], options: AddresseeOptions): AddresseeResolution {
  const resolution = new AddresseeResolution(recipients, options);
  for (let steps = 0;; steps++) {
    if (steps > 10 * (recipients.length + 1) * (NICKNAMES.length + 1)) fail(1, "the search does not end");
    const step = resolution.next();
    if (step.kind === "done") return resolution;
    const text = ({ name, displayName, department }: Listed): string =>
      `${name} ${displayName} ${department}`.toLowerCase();
    const fits = (entry: Listed): boolean => {
      if (step.kind === "prefix") return entry.name.startsWith(step.prefix);
      return step.kind === "everybody" ||
        (step.kind === "words" && step.words.every((word) => text(entry).includes(word)));
    };
    resolution.found(
      step.kind === "names"
        ? step.names.flatMap((name) => ENTRIES.filter((entry) => entry.name === name)).slice(0, 1)
        : ENTRIES.filter(fits),
    );
  }
}

function checkAddressees(recipients: readonly NoteRecipient[], options: AddresseeOptions): void {
  const step = resolve(recipients, options).next();
  if (step.kind !== "done") fail(1, "the search does not end");
  const seen = new Set<string>();
  for (const { address } of step.addressees) {
    const text = formatAddress(address);
    const again = parseAddress(text);
    if ("error" in again) fail(6, `${text} can't be read: ${again.error}`);
    const key = options.domains.includes(again.domain.toLowerCase()) ? canonicalAddress(again) : text;
    if (seen.has(key)) fail(6, `${text} twice`);
    seen.add(key);
  }
  if (step.problems.length > 0) return;
  if (recipients.length > 0 && step.addressees.length === 0) fail(7, "nobody, and nothing is said of it");
}

function run({ note, options }: Case): void {
  const gateways = ["smtp", ...options.gateways.map(({ name }) => name)];
  const parsed = parseNote(note, { gateways });
  const lines = splitLines(note);
  if (parsed.problems.length > PROBLEMS) fail(2, `${parsed.problems.length} problems`);
  for (const problem of parsed.problems) {
    textAt(problem, lines);
    checkShown(problem, lines);
  }
  for (const report of parsed.note.reports) {
    if (textAt(report, lines).toUpperCase() !== report.text) fail(3, `report ${report.text}`);
  }
  for (const recipient of parsed.note.recipients) checkRecipient(recipient, lines);
  if (!lines.join("\n").endsWith(parsed.note.text)) fail(3, "the text is not the note's end");
  const other = JSON.stringify(parseNote(note.replace(/\r?\n/g, "\r\n"), { gateways }));
  if (other !== JSON.stringify(parsed)) fail(5, `with CRLF: ${other}`);
  if (parsed.problems.length > 0) return;
  if (parsed.note.recipients.length === 0) fail(3, "it names nobody");
  checkAddressees(parsed.note.recipients, options);
}

drive({
  name: "note_fuzz",
  make,
  run,
  show: ({ note, options }) => [`note: ${JSON.stringify(note)}`, `options: ${JSON.stringify(options)}`],
});
