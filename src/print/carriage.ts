/**
 * Printer's carriage control: the first character of each record says how the paper moves.
 *
 * ASA (ANSI X3.4, "FORTRAN carriage control") moves *before* the record is printed:
 *
 * | character | moves |
 * |---|---|
 * | blank | to the next line |
 * | `0` | over one line |
 * | `-` | over two lines |
 * | `+` | not at all: the record is printed over the one before |
 * | `1` | to the top of the next page (channel 1) |
 * | `2` to `9`, `A` to `C` | to a channel of the forms tape |
 *
 * Machine code, the channel commands of IBM line printers, moves *after* it, or (bit 1) moves and prints nothing:
 * `X'09'`, `X'11'`, `X'19'` print and space 1, 2, 3 lines; `X'01'` prints and stays; `X'0B'`, `X'13'`, `X'1B'` only space;
 * `X'89'` prints, then skips to channel 1; `X'8B'` only skips; with `X'91'`, `X'99'` … for the other channels.
 *
 * Guarantees: never fails; nothing printed is lost; a page break before anything was printed makes no empty page. Channels other than
 * 1 have no place without a forms tape, and move one line.
 *
 * @module
 */
import { asBuffer, CR, decodeUtf8, latin1, LF } from "../base/bytes.ts";

/** What is printed on one line: more than one text where records were printed over each other, first to last. */
export type PrintedLine = readonly string[];

/** Lines of a page from its top; trailing empty ones are left out. */
export type PrintedPage = readonly PrintedLine[];

/** How the paper moves. */
interface Motion {
  readonly lines: number | "page";
  readonly when: "before" | "after";
  /** Whether the record is printed. */
  readonly prints: boolean;
}

/** A record's control and the rest of it. */
interface PrintRecord {
  readonly motion: Motion;
  readonly text: string;
}

/** Pages of a report; `control` says what stands in column 1. */
export function pagesOf(octets: Uint8Array, control: "asa" | "machine"): PrintedPage[] {
  const paper = new Paper();
  for (const line of linesOf(octets)) {
    const { motion, text } = control === "asa" ? asaRecord(line) : machineRecord(line);
    if (motion.when === "before") paper.move(motion.lines);
    if (motion.prints) paper.print(text);
    if (motion.when === "after") paper.move(motion.lines);
  }
  return paper.pages();
}

/**
 * What control a file has, by its looks. ASA where each line begins with one of its characters, the first with a page
 * break; machine code where each line begins with one of its codes, and one of them is a page break.
 */
export function guessControl(octets: Uint8Array): "none" | "asa" | "machine" {
  let lines = 0;
  let breaks = 0;
  let asa = true;
  let machine = true;
  for (const line of linesOf(octets)) {
    if (line.length === 0) continue;
    const first = line[0]!;
    if (lines === 0) asa = first === 0x31;
    asa &&= ASA.has(first);
    machine &&= isMachineCode(first);
    if (first === 0x89 || first === 0x8b) breaks++;
    if (!asa && !machine) return "none";
    lines++;
  }
  if (lines < 2) return "none";
  return asa ? "asa" : breaks > 0 ? "machine" : "none";
}

const before = (lines: Motion["lines"]): Motion => ({ lines, when: "before", prints: true });

const ASA: ReadonlyMap<number, Motion> = new Map<number, Motion>([
  [0x20, before(1)],
  [0x30, before(2)],
  [0x2d, before(3)],
  [0x2b, before(0)],
  [0x31, before("page")],
  ...Array.from("23456789ABC", (sign): [number, Motion] => [sign.charCodeAt(0), before(1)]),
]);

function asaRecord(line: Uint8Array): PrintRecord {
  // A line without any character is an empty one; what is no control is printed as on the next line.
  const motion = ASA.get(line[0] ?? 0x20) ?? before(1);
  return { motion, text: decodeLine(line.subarray(1)) };
}

function isMachineCode(code: number): boolean {
  // Bits: skip, four of channel or spacing, then 001 (write) or 011 (immediate).
  const action = code & 0x07;
  const amount = (code >> 3) & 0x0f;
  if (action !== 0x01 && action !== 0x03) return false;
  return (code & 0x80) === 0 ? amount <= 3 : amount >= 1 && amount <= 12;
}

function machineRecord(line: Uint8Array): PrintRecord {
  const code = line[0];
  if (code === undefined || !isMachineCode(code)) {
    return { motion: { lines: 1, when: "after", prints: true }, text: decodeLine(line) };
  }
  const amount = (code >> 3) & 0x0f;
  const lines = (code & 0x80) === 0 ? amount : amount === 1 ? "page" : 1;
  return {
    motion: { lines, when: "after", prints: (code & 0x02) === 0 },
    text: decodeLine(line.subarray(1)),
  };
}

/** An 11-inch form at 8 lines an inch: a report that never breaks its pages goes on at the top of the next. */
const LINES_PER_PAGE = 88;

const TAB_COLUMNS = 8;

class Paper {
  readonly #pages: PrintedLine[][] = [];
  #page: string[][] = [];
  /** The line under the print head; -1: above the first. */
  #line = -1;

  move(lines: number | "page"): void {
    if (lines === "page" || this.#line + lines >= LINES_PER_PAGE) {
      this.#eject();
      this.#line = 0;
    } else this.#line += lines;
  }

  print(text: string): void {
    this.#line = Math.max(this.#line, 0);
    while (this.#page.length <= this.#line) this.#page.push([]);
    const shown = text.trimEnd();
    if (shown !== "") this.#page[this.#line]!.push(shown);
  }

  pages(): PrintedPage[] {
    this.#eject();
    return this.#pages;
  }

  #eject(): void {
    while (this.#page.length > 0 && this.#page.at(-1)!.length === 0) this.#page.pop();
    if (this.#page.length > 0) this.#pages.push(this.#page);
    this.#page = [];
  }
}

/** Records, without their line ends; a form feed in front of one is a page break of its own and left to the control. */
function* linesOf(octets: Uint8Array): Generator<Uint8Array> {
  const view = asBuffer(octets);
  for (let at = 0; at < view.length;) {
    const found = view.indexOf(LF, at);
    const end = found < 0 ? view.length : found;
    yield view.subarray(at, end > at && view[end - 1] === CR ? end - 1 : end);
    at = end + 1;
  }
}

/** UTF-8 where it is, otherwise Latin-1; tabs lead to the next of their stops, so that columns stay columns. */
function decodeLine(octets: Uint8Array): string {
  const [first = "", ...others] = (decodeUtf8(octets) ?? latin1(octets)).split("\t");
  return others.reduce(
    (text, piece) => text + " ".repeat(TAB_COLUMNS - text.length % TAB_COLUMNS) + piece,
    first,
  );
}
