/**
 * Facts about one thing, for people: a title and what it says, a line each.
 *
 * @module
 */
import { printableLine } from "../base/printable.ts";
import { bold, type Io } from "./io.ts";

/** A title and what is to say beside it; further lines stand under the first. */
export type Fact = readonly [title: string, ...lines: readonly string[]];

/** Lines of which the titles are as wide as the widest. */
export function formatFacts(facts: readonly Fact[], { colour }: Pick<Io, "colour">): string {
  const width = Math.max(...facts.map(([title]) => title.length)) + 2;
  return facts.flatMap(([title, ...lines]) =>
    lines.map((line, i) => {
      const head = i === 0 ? bold(title, colour) + " ".repeat(width - title.length) : " ".repeat(width);
      return `${head}${printableLine(line)}\n`;
    })
  ).join("");
}

/** `a`, `a and b`, `a, b and c`. */
export function listed(words: readonly string[]): string {
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}
