/**
 * Tables for people: columns as wide as what stands in them and no wider, two spaces between, no ruled lines.
 *
 * Guarantees: one row is one line whatever the cells hold; on a terminal a row fits the window where the columns that
 * may shrink allow it. Widths count terminal cells: East Asian wide characters and emoji take two, combining marks none.
 *
 * @module
 */
import { printableLine } from "../base/printable.ts";
import { characterWidth, displayWidth } from "../base/width.ts";

export { displayWidth };

export interface Column {
  readonly title: string;
  /** @default "left" */
  readonly align?: "left" | "right";
  /** May be cut, with an ellipsis, to fit the window. */
  readonly shrinks?: boolean;
}

export interface TableLook {
  /** Cells in a line of the window; undefined: not a terminal, nothing is cut to fit. */
  readonly width?: number;
  readonly bold: boolean;
}

/** No cell is longer than this even where no window limits it: a subject may be a megabyte. */
const CELL_MAX = 200;
/** Columns that shrink keep this much. */
const SHRUNK_MIN = 12;
const GAP = "  ";

/** Cuts a text to at most `width` cells, the last of them an ellipsis where something was cut. */
export function fitWidth(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  let fitted = "";
  let used = 0;
  for (const character of text) {
    used += characterWidth(character);
    if (used > width - 1) break;
    fitted += character;
  }
  return `${fitted.trimEnd()}…`;
}

/** Makes the table's text: a title line, then a line a row, each ended by LF. */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  look: TableLook,
): string {
  const cells = rows.map((row) => row.map((cell) => fitWidth(printableLine(cell), CELL_MAX)));
  const titles = columns.map((column) => column.title.toUpperCase());
  const widths = titles.map((title, i) =>
    cells.reduce((widest, row) => Math.max(widest, displayWidth(row[i] ?? "")), title.length)
  );
  if (look.width !== undefined) shrink(columns, widths, look.width);
  const line = (texts: readonly string[]) =>
    texts.map((text, i) => pad(fitWidth(text, widths[i]!), widths[i]!, columns[i]!.align ?? "left"))
      .join(GAP).trimEnd();
  const head = line(titles);
  return [look.bold ? `\u001b[1m${head}\u001b[22m` : head, ...cells.map(line)].join("\n") + "\n";
}

/** Takes cells from the widest column that may shrink until the row fits or none has any to spare. */
function shrink(columns: readonly Column[], widths: number[], available: number): void {
  let excess = widths.reduce((sum, width) => sum + width, GAP.length * (widths.length - 1)) - available;
  while (excess > 0) {
    let widest = -1;
    columns.forEach((column, i) => {
      if (column.shrinks !== true || widths[i]! <= SHRUNK_MIN) return;
      if (widest < 0 || widths[i]! > widths[widest]!) widest = i;
    });
    if (widest < 0) return;
    widths[widest]!--;
    excess--;
  }
}

function pad(text: string, width: number, align: "left" | "right"): string {
  const padding = " ".repeat(Math.max(0, width - displayWidth(text)));
  return align === "right" ? padding + text : text + padding;
}
