/**
 * Printed pages as plain text: pages parted by form feeds, each record that was printed over another merged with it.
 *
 * Guarantees: no control characters but LF and FF; underlining and double striking leave the text they were for.
 *
 * @module
 */
import { printableLine } from "../base/printable.ts";
import type { PrintedLine, PrintedPage } from "./carriage.ts";

/** The text, with LF line ends. */
export function plainText(pages: readonly PrintedPage[]): string {
  return pages.map((page) => page.map((line) => `${merged(line)}\n`).join("")).join("\f");
}

/** One line of what was printed over each other: a letter wins against a blank or an underscore, otherwise the later. */
export function merged(line: PrintedLine): string {
  if (line.length < 2) return printableLine(line[0] ?? "");
  const places: string[] = [];
  for (const text of line) {
    let place = 0;
    for (const sign of printableLine(text)) {
      const under = places[place] ?? " ";
      if (sign !== " " && (sign !== "_" || under === " ")) places[place] = sign;
      else places[place] = under;
      place++;
    }
  }
  return places.join("").trimEnd();
}
