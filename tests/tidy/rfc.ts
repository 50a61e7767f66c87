/**
 * Keeps src/rfc.txt and the RFC numbers cited in src/ in step.
 *
 * @module
 */
import type { SourceFile } from "./rules.ts";

export interface ListedRfc {
  readonly number: number;
  readonly state: "Yes" | "Partial" | "No";
  readonly title: string;
  readonly note: string;
}

/** Reads rfc.txt: `NNNN Yes|Partial|No title -- note`, `#` begins a comment line. Lines it cannot read come back as offences. */
export function parseList(text: string): { listed: ListedRfc[]; offences: string[] } {
  const listed: ListedRfc[] = [];
  const offences: string[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const match = /^(\d{3,5}) (Yes|Partial|No) +(\S.*?)(?: -- (\S.*))?$/.exec(line);
    const where = `src/rfc.txt:${index + 1}`;
    if (match === null) {
      offences.push(`${where}: not of the form "NNNN Yes|Partial|No title -- note"`);
      continue;
    }
    const entry = {
      number: Number(match[1]),
      state: match[2] as ListedRfc["state"],
      title: match[3]!,
      note: match[4] ?? "",
    };
    const last = listed.at(-1);
    if (last !== undefined && last.number >= entry.number) {
      offences.push(`${where}: RFC ${entry.number} is out of order`);
    }
    if (entry.state !== "Yes" && entry.note === "") {
      offences.push(`${where}: "${entry.state}" needs a note that says what is missing`);
    }
    listed.push(entry);
  }
  return { listed, offences };
}

/** The RFC numbers in a text: `RFC 5321 4.4`, `RFC 3461/3464`, `RFC 6531, 1870 and 4954`. */
export function citedIn(text: string): number[] {
  const numbers: number[] = [];
  for (const match of text.matchAll(/\bRFCs?[ -]?(\d{3,5}(?:(?:, | and |\/|, and )\d{4}(?![\d.]))*)/g)) {
    numbers.push(...match[1]!.split(/\D+/).map(Number));
  }
  return numbers;
}

/** Cited but not listed, and listed as done but nowhere cited. */
export function rfcOffences(list: string, files: readonly SourceFile[]): string[] {
  const { listed, offences } = parseList(list);
  const cited = new Map<number, string>();
  for (const file of files) {
    for (const number of citedIn(file.text)) cited.set(number, cited.get(number) ?? file.path);
  }
  for (const [number, path] of [...cited].sort(([a], [b]) => a - b)) {
    if (!listed.some((entry) => entry.number === number)) {
      offences.push(`${path}: cites RFC ${number}, which src/rfc.txt doesn't list`);
    }
  }
  for (const entry of listed) {
    if (entry.state !== "No" && !cited.has(entry.number)) {
      offences.push(`src/rfc.txt: RFC ${entry.number} is "${entry.state}", but nothing in src/ cites it`);
    }
  }
  return offences;
}
