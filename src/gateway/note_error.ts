/**
 * What is wrong with a note, shown at its place:
 *
 * ```text
 * note.txt:1:5: there is no gateway /SMPT
 *   /TO /SMPT bobl@example.com
 *       ^^^^^
 *   did you mean /SMTP?
 * ```
 *
 * Guarantees: the marks stand exactly below what they are about, also behind tabs and wide characters; nothing of the
 * note can steer a terminal; a long line is shown around the place.
 *
 * @module
 */
import { printableLine, printableText } from "../base/printable.ts";
import { characterWidth } from "../base/width.ts";
import type { NoteProblem } from "./note_types.ts";

/** Cells of a line that are shown. */
const SHOWN_CELLS = 100;
/** Cells before the place, where a line is too long to be shown whole. */
const LEAD_CELLS = 40;
const TAB_CELLS = 8;
const INDENT = "  ";

/** A problem in a few lines, each ended by LF. `lines` are the note's. */
export function formatNoteProblem(
  problem: NoteProblem,
  { file, lines }: { readonly file: string; readonly lines: readonly string[] },
): string {
  const { line, column, message, hint } = problem;
  const shown = [
    `${file}:${line}:${column}: ${printableLine(message)}`,
    ...marked(lines[line - 1] ?? "", problem),
  ];
  for (const each of hint === "" ? [] : printableText(hint).split("\n")) shown.push(INDENT + each);
  return shown.map((each) => `${each}\n`).join("");
}

/** The line and the marks below it; nothing for an empty one. */
function marked(line: string, { column, length }: NoteProblem): string[] {
  const cells = cellsOf(line);
  if (cells.length === 0) return [];
  const before = widthOf(cells.slice(0, column - 1));
  const long = widthOf(cells) > SHOWN_CELLS;
  const first = long && before > LEAD_CELLS ? firstFrom(cells, before - LEAD_CELLS) : 0;
  const last = long ? firstFrom(cells, widthOf(cells.slice(0, first)) + SHOWN_CELLS) : cells.length;
  const lead = first > 0 ? "…" : "";
  const text = lead + cells.slice(first, last).map(({ text }) => text).join("") +
    (last < cells.length ? "…" : "");
  const at = lead.length + widthOf(cells.slice(first, column - 1));
  const marks = Math.max(1, widthOf(cells.slice(column - 1, Math.min(last, column - 1 + length))));
  return [INDENT + text.trimEnd(), `${INDENT}${" ".repeat(at)}${"^".repeat(marks)}`];
}

/** A character as it is shown. */
interface Cell {
  readonly text: string;
  readonly width: number;
}

function cellsOf(line: string): Cell[] {
  let used = 0;
  return Array.from(line, (character) => {
    const cell = cellOf(character, used);
    used += cell.width;
    return cell;
  });
}

function cellOf(character: string, used: number): Cell {
  if (character === "\t") {
    const width = TAB_CELLS - used % TAB_CELLS;
    return { text: " ".repeat(width), width };
  }
  // What can't be shown has a place all the same.
  if (printableLine(character) !== character || /[\ud800-\udfff]/u.test(character)) {
    return { text: "?", width: 1 };
  }
  return { text: character, width: characterWidth(character) };
}

function widthOf(cells: readonly Cell[]): number {
  return cells.reduce((sum, { width }) => sum + width, 0);
}

/** The first cell that begins at `cell` or behind it. */
function firstFrom(cells: readonly Cell[], cell: number): number {
  let used = 0;
  for (let index = 0; index < cells.length; index++) {
    if (used >= cell) return index;
    used += cells[index]!.width;
  }
  return cells.length;
}
