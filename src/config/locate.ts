/**
 * Finds the lines of a YAML text on which its keys stand, which the YAML parser does not tell.
 *
 * Guarantees: for a text the parser took, block-style keys and list entries are found exactly. What stands inside a
 * flow collection (`{ }`, `[ ]`), behind an alias or after `?` is answered with its nearest ancestor's line.
 *
 * How: lines are read top down with a stack of the open mappings and sequences by their column; quoted scalars, flow
 * collections and literal blocks are stepped over, however many lines they take.
 *
 * @module
 */

/** Keys (strings) and list indexes (numbers, from 0) from the top of the document. */
export type Path = readonly (string | number)[];

export interface Locations {
  /** The line, from 1, of the last key or entry at `path`, or of its nearest ancestor; 1 where there is none. */
  line(path: Path): number;
  /** Lines indented with a tab, which YAML forbids (6.1) and the parser takes to mean something else. */
  readonly tabLines: readonly number[];
  /** Keys that stand twice in one mapping. */
  readonly duplicates: readonly { readonly path: Path; readonly line: number; readonly firstLine: number }[];
}

interface Frame {
  readonly column: number;
  readonly base: Path;
  /** A mapping's current key, or a sequence's current index. */
  at: string | number;
}

const ENTRY = /^-(?:[ ]+|$)/;
const KEY =
  /^("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s#"'[\]{},&*!|>%@`](?:[^#:]|:(?=\S)|(?<=\S)#)*?)\s*:(?:\s+|$)/;
const PROPERTIES = /^(?:[&!]\S*\s+)+/;
const LITERAL = /^[|>][+\-0-9]*\s*(?:#.*)?$/;

/** Reads `text`, which must be YAML already accepted by the parser. */
export function locate(text: string): Locations {
  const scan = new Scan();
  for (const line of text.replace(/^\ufeff/, "").split(/\r\n|\r|\n/)) scan.take(line);
  return {
    duplicates: scan.duplicates,
    tabLines: scan.tabLines,
    line(path) {
      for (let length = path.length; length > 0; length--) {
        const line = scan.lines.get(JSON.stringify(path.slice(0, length)));
        if (line !== undefined) return line;
      }
      return 1;
    },
  };
}

class Scan {
  readonly lines = new Map<string, number>();
  readonly duplicates: { path: Path; line: number; firstLine: number }[] = [];
  readonly tabLines: number[] = [];
  #line = 0;
  #stack: Frame[] = [];
  /** Inside a literal block: lines deeper than this column belong to it. */
  #literalColumn: number | undefined;
  /** Open brackets and quote of a value that goes on. */
  #open: OpenValue = CLOSED;

  take(line: string): void {
    this.#line++;
    if (isOpen(this.#open)) {
      this.#open = follow(line, this.#open);
      return;
    }
    let rest = line.trimStart();
    let column = line.length - rest.length;
    if (rest === "" || rest.startsWith("#")) return;
    if (this.#literalColumn !== undefined && column > this.#literalColumn) return;
    this.#literalColumn = undefined;
    if (line.slice(0, column).includes("\t")) this.tabLines.push(this.#line);
    if (column === 0 && /^(?:---|\.\.\.|%)/.test(rest)) return;

    let found = false;
    for (let entry = ENTRY.exec(rest); entry !== null; entry = ENTRY.exec(rest)) {
      this.#enterEntry(column);
      found = true;
      this.#literalColumn = column;
      column += entry[0].length;
      rest = rest.slice(entry[0].length);
    }
    const key = KEY.exec(rest);
    if (key !== null) {
      this.#enterKey(column, unquote(key[1]!));
      this.#literalColumn = column;
      rest = rest.slice(key[0].length);
      found = true;
    }
    const value = rest.replace(PROPERTIES, "");
    if (!found || !LITERAL.test(value)) this.#literalColumn = undefined;
    if (/^["'[{]/.test(value)) this.#open = follow(value, CLOSED);
  }

  #enterEntry(column: number): void {
    this.#leave((frame) => frame.column > column);
    const top = this.#stack.at(-1);
    if (top?.column === column && typeof top.at === "number") top.at++;
    // A sequence may stand in the column of the key it belongs to (YAML 1.2 8.2.1), so a mapping there is not left.
    else this.#stack.push({ column, base: here(top), at: 0 });
    this.lines.set(JSON.stringify(here(this.#stack.at(-1))), this.#line);
  }

  #enterKey(column: number, key: string): void {
    this.#leave((frame) =>
      frame.column > column || (frame.column === column && typeof frame.at === "number")
    );
    const top = this.#stack.at(-1);
    if (top?.column === column) top.at = key;
    else this.#stack.push({ column, base: here(top), at: key });
    const path = here(this.#stack.at(-1));
    const name = JSON.stringify(path);
    const firstLine = this.lines.get(name);
    if (firstLine !== undefined) this.duplicates.push({ path, line: this.#line, firstLine });
    this.lines.set(name, this.#line);
  }

  #leave(isOver: (frame: Frame) => boolean): void {
    while (this.#stack.length > 0 && isOver(this.#stack.at(-1)!)) this.#stack.pop();
  }
}

function here(frame: Frame | undefined): Path {
  return frame === undefined ? [] : [...frame.base, frame.at];
}

function unquote(key: string): string {
  if (key.startsWith("'")) return key.slice(1, -1).replaceAll("''", "'");
  return key.startsWith('"') ? key.slice(1, -1).replace(/\\(.)/g, "$1") : key;
}

interface OpenValue {
  readonly depth: number;
  readonly quote: "" | '"' | "'";
}

const CLOSED: OpenValue = { depth: 0, quote: "" };

function isOpen(open: OpenValue): boolean {
  return open.depth > 0 || open.quote !== "";
}

/** Goes through one line of a quoted scalar or flow collection; what follows its end is not looked at. */
function follow(line: string, open: OpenValue): OpenValue {
  let { depth, quote } = open;
  for (let i = 0; i < line.length; i++) {
    const c = line[i]!;
    if ((quote === '"' && c === "\\") || (quote === "'" && line.startsWith("''", i))) i++;
    else if (quote !== "") {
      if (c === quote) quote = "";
    } else if (c === "#" && (i === 0 || /\s/.test(line[i - 1]!))) break;
    else if ((c === '"' || c === "'") && (i === 0 || /[\s[{,:]/.test(line[i - 1]!))) quote = c;
    else if (c === "[" || c === "{") depth++;
    else if (c === "]" || c === "}") depth--;
    if (depth <= 0 && quote === "") return CLOSED;
  }
  return { depth, quote };
}
