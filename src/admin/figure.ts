/**
 * Draws boxes and arrows in a terminal: one wide box in the middle, others above and below it, a labelled arrow for each
 * way that mail takes.
 *
 * Guarantees: pure; no line is longer than {@linkcode FIGURE_COLUMNS}; words that don't fit go on in the next line, and no
 * word is left out. Texts are taken for one cell a character, which names and addresses in A-labels are.
 *
 * @module
 */
import { wrapWords } from "../base/wrap.ts";

/** 80 columns without the last one, which makes some terminals wrap, and with a border at the left. */
export const FIGURE_COLUMNS = 78;

/** A way between a box and the middle one. */
export interface Link {
  /** As the middle box sees it; `closed` is one that is not there, and said to be so. */
  readonly direction: "in" | "out" | "both" | "closed";
  readonly words: string;
}

export interface Box {
  readonly title: string;
  readonly lines: readonly string[];
  readonly links: readonly Link[];
}

export interface Figure {
  readonly above: readonly Box[];
  readonly middle: Omit<Box, "links">;
  readonly below: readonly Box[];
  /** Titles of two neighbours above that exchange mail with each other. */
  readonly neighbours?: readonly [string, string] | undefined;
}

export type Charset = "unicode" | "ascii";

const SIGNS = {
  unicode: {
    corners: ["┌", "┐", "└", "┘"],
    across: "─",
    down: "│",
    away: { below: "┬", above: "┴" },
    arrow: { below: "▲", above: "▼" },
    closed: "╳",
    both: "◀───▶",
  },
  ascii: {
    corners: ["+", "+", "+", "+"],
    across: "-",
    down: "|",
    away: { below: "+", above: "+" },
    arrow: { below: "^", above: "v" },
    closed: "x",
    both: "<--->",
  },
} as const;

type Signs = (typeof SIGNS)[Charset];

/** Between two boxes, and between two with an arrow from one to the other. */
const GAP = 2;
const ARROW_GAP = 5;
/** A link's line and the space behind it. */
const LINK_INDENT = 2;
/** A box whose one link says little is still wide enough for its own text. */
const BOX_MIN = 16;

/** The figure's lines, without spaces at their ends. */
export function drawFigure(figure: Figure, charset: Charset): string[] {
  const signs = SIGNS[charset];
  const above = placed(figure.above, figure.neighbours);
  const below = placed(figure.below, undefined);
  const middle = { x: 0, width: FIGURE_COLUMNS, title: figure.middle.title, lines: figure.middle.lines };
  const upper = boxRows(above, signs);
  drawNeighbours(upper, { above, neighbours: figure.neighbours, signs });
  const centre = boxRows([{ ...middle, links: [] }], signs);
  const lower = boxRows(below, signs);
  const first = linkRows(above, signs);
  const second = linkRows(below, signs);
  markEnds(above, { outer: upper.at(-1)!, inner: centre[0]!, side: "below", signs });
  markEnds(below, { outer: lower[0]!, inner: centre.at(-1)!, side: "above", signs });
  return [...upper, ...first, ...centre, ...second, ...lower].map((row) => row.join("").trimEnd());
}

interface PlacedBox extends Box {
  readonly x: number;
  readonly width: number;
}

type Row = string[];

function blank(): Row {
  return new Array<string>(FIGURE_COLUMNS).fill(" ");
}

function put(row: Row, x: number, text: string): void {
  for (const [i, character] of [...text].entries()) row[x + i] = character;
}

/** Boxes beside each other, each as wide as its number of links is to that of all. */
function placed(boxes: readonly Box[], neighbours: Figure["neighbours"]): PlacedBox[] {
  const gapAfter = ({ title }: Box) => title === neighbours?.[0] ? ARROW_GAP : GAP;
  const weight = ({ links }: Box) => Math.max(1, links.length);
  const gaps = boxes.slice(0, -1).reduce((sum, box) => sum + gapAfter(box), 0);
  const all = boxes.reduce((sum, box) => sum + weight(box), 0);
  const spare = FIGURE_COLUMNS - gaps - BOX_MIN * boxes.length;
  let x = 0;
  return boxes.map((box, i) => {
    const isLast = i === boxes.length - 1;
    const width = isLast ? FIGURE_COLUMNS - x : BOX_MIN + Math.floor(spare * weight(box) / all);
    const at = { ...box, x, width };
    x += width + gapAfter(box);
    return at;
  });
}

/** The boxes of one row, equally high. */
function boxRows(boxes: readonly PlacedBox[], { corners, across, down }: Signs): Row[] {
  const texts = boxes.map(({ title, lines, width }) =>
    [title, ...lines].flatMap((line) => wrapWords(line, width - 4))
  );
  const height = Math.max(...texts.map((lines) => lines.length));
  const rows = Array.from({ length: height + 2 }, blank);
  boxes.forEach(({ x, width }, i) => {
    const line = across.repeat(width - 2);
    put(rows[0]!, x, corners[0] + line + corners[1]);
    put(rows[height + 1]!, x, corners[2] + line + corners[3]);
    for (let y = 0; y < height; y++) {
      put(rows[y + 1]!, x, `${down} ${(texts[i]![y] ?? "").padEnd(width - 4)} ${down}`);
    }
  });
  return rows;
}

/** Where a box's links stand, and how wide their words may be. */
function linksOf(box: PlacedBox): { readonly link: Link; readonly x: number; readonly width: number }[] {
  const share = Math.floor((box.width - 2) / Math.max(1, box.links.length));
  return box.links.map((link, i) => ({ link, x: box.x + 2 + share * i, width: share - LINK_INDENT - 1 }));
}

/** The lines of all links with their words beside them. */
function linkRows(boxes: readonly PlacedBox[], { down, closed }: Signs): Row[] {
  const links = boxes.flatMap(linksOf).map((placed) => ({
    ...placed,
    words: wrapWords(placed.link.words, placed.width),
  }));
  const height = Math.max(0, ...links.map(({ words }) => words.length));
  const rows = Array.from({ length: height }, blank);
  for (const { link, x, words } of links) {
    for (const [y, row] of rows.entries()) {
      if (link.direction !== "closed") put(row, x, down);
      else if (y === 0) put(row, x, closed);
      put(row, x + LINK_INDENT, words[y] ?? "");
    }
  }
  return rows;
}

/** Arrowheads and roots, in the borders that face each other. */
function markEnds(
  boxes: readonly PlacedBox[],
  at: { readonly outer: Row; readonly inner: Row; readonly side: "above" | "below"; readonly signs: Signs },
): void {
  const { outer, inner, side, signs } = at;
  const other = side === "above" ? "below" : "above";
  for (const { link, x } of boxes.flatMap(linksOf)) {
    if (link.direction === "closed") continue;
    outer[x] = link.direction === "in" ? signs.away[side] : signs.arrow[side];
    inner[x] = link.direction === "out" ? signs.away[other] : signs.arrow[other];
  }
}

function drawNeighbours(
  rows: readonly Row[],
  at: {
    readonly above: readonly PlacedBox[];
    readonly neighbours: Figure["neighbours"];
    readonly signs: Signs;
  },
): void {
  const [left] = at.neighbours ?? [];
  const box = at.above.find(({ title }) => title === left);
  if (box !== undefined) put(rows[1]!, box.x + box.width, at.signs.both);
}
