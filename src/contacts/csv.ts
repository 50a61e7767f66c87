/**
 * Entries as comma-separated values (RFC 4180), for spreadsheets.
 *
 * A header line names the columns, in any order; each further line is an entry. What separates cells is seen from the
 * header line (comma, semicolon or tab). A list's members stand in one cell with semicolons between.
 *
 * Guarantees: what is written is text to a spreadsheet and no formula: a cell that would begin with `=`, `+`, `-`, `@`
 * or a tab gets an apostrophe in front, which reading takes away again.
 *
 * @module
 */
// @ts-types="../base/std_csv.d.ts"
import { parse, stringify } from "@std/csv";
import {
  checkedLines,
  type Contact,
  type ContactFile,
  type ContactKind,
  gather,
  type Gathering,
  type ReadContact,
  readYesNo,
  type Report,
  withoutAbsent,
} from "./contact.ts";

type Column = keyof Contact;

/** Each column's title as it is written, and what else it may be called; case, blanks, `-` and `_` don't count. */
const COLUMNS: { readonly [column in Column]-?: readonly [title: string, ...others: string[]] } = {
  kind: ["kind", "type"],
  name: ["name", "user", "username", "login", "uid"],
  displayName: ["display name", "full name", "cn"],
  department: ["department", "dept", "ou"],
  phone: ["phone", "telephone", "phone number", "telephone number", "tel"],
  address: ["address", "email", "email address", "mail"],
  inbound: ["inbound"],
  members: ["members", "member"],
  owner: ["owner"],
};
const TITLES = Object.values(COLUMNS).map(([title]) => title);

const plain = (title: string): string => title.toLowerCase().replace(/[\s_-]/g, "");
const COLUMN_BY_TITLE = new Map(
  Object.entries(COLUMNS).flatMap(([column, titles]) =>
    titles.map((title) => [plain(title), column as Column] as const)
  ),
);

/** Reads CSV in UTF-8, with a byte order mark or without. */
export function parseCsv(octets: Uint8Array): ContactFile {
  return gather(octets, readCsv);
}

/** Writes CSV with lines ended by CRLF; with a byte order mark where a spreadsheet needs one to see that it is UTF-8. */
export function formatCsv(contacts: readonly Contact[]): string {
  const rows = contacts.map((contact) =>
    Object.keys(COLUMNS).map((column) => armoured(cellOf(contact, column as Column)))
  );
  const text = stringify([TITLES, ...rows]);
  // deno-lint-ignore no-control-regex -- U+0000 to U+007F is what ASCII is
  return /^[\u0000-\u007f]*$/.test(text) ? text : `\ufeff${text}`;
}

function cellOf(contact: Contact, column: Column): string {
  const value = contact[column];
  if (value === undefined) return "";
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "string" ? value : value.join(";");
}

// A cell that has an apostrophe for another reason gets one more, so that reading can tell.
const armoured = (cell: string): string => /^'*[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell;
const bare = (cell: string): string => /^'+[=+\-@\t\r]/.test(cell) ? cell.slice(1) : cell;

function readCsv(text: string, { add, report }: Gathering): void {
  const records = recordsOf(checkedLines(text, report));
  const head = records.shift();
  if (head === undefined) return report(1, "the file is empty", HEADER_ADVICE);
  const separator = separatorOf(head.text);
  const columns = readHeader(cellsOf(head, separator, report) ?? [], head.line, report);
  if (columns === undefined) return;
  for (const record of records) {
    const cells = cellsOf(record, separator, report)?.map((cell) => bare(cell).trim());
    if (cells === undefined || cells.every((cell) => cell === "")) continue;
    const filled = cells.findLastIndex((cell) => cell !== "") + 1;
    if (cells.length < columns.length || filled > columns.length) {
      report(
        record.line,
        `there are ${cells.length} cells, but ${columns.length} columns`,
        "quote cells that hold what separates them",
      );
      continue;
    }
    add(contactOf(new Map(columns.map((column, i) => [column, cells[i]!])), record.line, report));
  }
}

/** A line of the table, which takes several lines of the file where a cell holds line breaks. */
interface Record {
  readonly line: number;
  readonly text: string;
}

/** A record goes on as long as a quotation mark is open, that is: while there is an odd number of them. */
function recordsOf(lines: readonly string[]): Record[] {
  const records: Record[] = [];
  let open: string[] = [];
  let quotes = 0;
  lines.forEach((line, i) => {
    if (open.length === 0 && line.trim() === "") return;
    open.push(line);
    quotes += line.split('"').length - 1;
    if (quotes % 2 === 1 && i < lines.length - 1) return;
    records.push({ line: i + 2 - open.length, text: open.join("\n") });
    open = [];
    quotes = 0;
  });
  return records;
}

function cellsOf({ line, text }: Record, separator: string, report: Report): string[] | undefined {
  try {
    return parse(text, { separator })[0] ?? [];
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    report(
      line,
      "a quotation mark is missing or out of place",
      'put the whole cell into quotation marks and write each one inside it twice: "a ""b"" c"',
    );
    return undefined;
  }
}

function separatorOf(header: string): string {
  const count = (separator: string): number => header.split(separator).length;
  return [",", ";", "\t"].reduce((best, next) => count(next) > count(best) ? next : best);
}

const HEADER_ADVICE = `the first line names the columns, of these: ${TITLES.join(", ")}`;

function readHeader(titles: readonly string[], line: number, report: Report): Column[] | undefined {
  const columns = titles.map((title) => COLUMN_BY_TITLE.get(plain(title)));
  let isRight = true;
  const refuse = (message: string, advice: string): void => {
    isRight = false;
    report(line, message, advice);
  };
  if (columns.every((column) => column === undefined)) {
    refuse("there is no header line", HEADER_ADVICE);
    return undefined;
  }
  columns.forEach((column, i) => {
    const title = titles[i]!.trim();
    if (column === undefined) {
      refuse(
        title === "" ? `column ${i + 1} has no title` : `there is no column '${title}'`,
        `rename or remove it; there are ${TITLES.join(", ")}`,
      );
    } else if (columns.indexOf(column) < i) {
      refuse(`the column ${COLUMNS[column][0]} is there twice`, "keep one of them");
    }
  });
  return isRight ? columns as Column[] : undefined;
}

function contactOf(cells: ReadonlyMap<Column, string>, line: number, report: Report): ReadContact {
  const filled = (column: Column): string | undefined => cells.get(column) || undefined;
  const members = filled("members") === undefined ? undefined : membersOf(cells.get("members")!);
  const kind = kindOf(filled("kind"), line, report) ?? (members === undefined ? undefined : "list");
  const inbound = readYesNo(cells.get("inbound") ?? "");
  if (inbound === undefined) {
    report(line, `inbound can't be '${cells.get("inbound")}'`, "write yes or no");
  }
  const isList = kind === "list";
  return withoutAbsent({
    line,
    kind,
    name: filled("name"),
    displayName: cells.get("displayName"),
    department: cells.get("department"),
    phone: cells.get("phone"),
    address: filled("address"),
    inbound: filled("inbound") === undefined ? undefined : inbound,
    members: members ?? (isList && cells.has("members") ? [] : undefined),
    owner: isList ? cells.get("owner") : filled("owner"),
  });
}

function kindOf(text: string | undefined, line: number, report: Report): ContactKind | undefined {
  const kind = text?.toLowerCase();
  if (kind === undefined || kind === "user" || kind === "shadow" || kind === "list") return kind;
  report(line, `the kind can't be '${text}'`, "write user, shadow or list");
  return undefined;
}

/** What stands between semicolons, except those inside quotation marks. */
function membersOf(cell: string): string[] {
  const members = [""];
  let isQuoted = false;
  let isEscaped = false;
  for (const character of cell) {
    if (character === '"' && !isEscaped) isQuoted = !isQuoted;
    isEscaped = isQuoted && character === "\\" && !isEscaped;
    if (character === ";" && !isQuoted) members.push("");
    else members[members.length - 1] += character;
  }
  return members.map((member) => member.trim()).filter((member) => member !== "");
}
