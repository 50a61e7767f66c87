/**
 * Whom a name may have been meant for, in words.
 *
 * @module
 */
import { editDistance } from "../config/suggest.ts";
import { canonicalLocal } from "../mail/address.ts";

/** Candidates that are listed; the others are counted. */
const LISTED = 20;
/** Names that are suggested for one that nobody has. */
const SUGGESTED = 3;

/** What a candidate is known by. */
export interface Candidate {
  readonly name: string;
  readonly displayName?: string;
  readonly department?: string;
}

/** Candidates, one a line: name, display name, department; and what to do. */
export function ambiguityWords(entries: readonly Candidate[]): string {
  const shown = entries.slice(0, LISTED);
  const width = Math.max(...shown.map(({ name }) => name.length));
  const lines = shown.map(({ name, displayName = "", department = "" }) => {
    const who = [displayName, department].filter((text) => text !== "").join(", ");
    return `  ${who === "" ? name : `${name.padEnd(width)}  ${who}`}`;
  });
  const more = entries.length > LISTED ? [`  and ${entries.length - LISTED} more`] : [];
  return ["write more of the name of whoever is meant:", ...lines, ...more].join("\n");
}

/** What to do about a name that nobody has: the nearest there are, by name or display name. */
export function unknownHint(text: string, known: readonly Candidate[]): string {
  const wanted = canonicalLocal(text);
  const limit = Math.max(1, Math.floor(wanted.length / 3));
  const near = known.map((each) => ({ each, distance: distanceOf(wanted, each, limit) }))
    .filter(({ distance }) => distance <= limit)
    .sort((a, b) => a.distance - b.distance || (a.each.name < b.each.name ? -1 : 1));
  const names = [...new Map(near.map(({ each }) => [each.name, nameOf(each)])).values()].slice(0, SUGGESTED);
  if (names.length > 0) return `did you mean ${orList(names)}?`;
  return "'emsmail directory find' looks for people; somebody elsewhere needs a whole address, as in bobl@example.com";
}

function distanceOf(wanted: string, { name, displayName = "" }: Candidate, limit: number): number {
  const at = name.lastIndexOf("@");
  const names = [
    at < 0 ? name : name.slice(0, at),
    ...displayName === "" ? [] : [canonicalLocal(displayName)],
  ];
  // What differs more in length can't be near, and needn't be compared.
  const likely = names.filter((each) => Math.abs(each.length - wanted.length) <= limit);
  return Math.min(Infinity, ...likely.map((each) => editDistance(wanted, each)));
}

function nameOf({ name, displayName = "" }: Candidate): string {
  return displayName === "" ? name : `${name} (${displayName})`;
}

function orList(names: readonly string[]): string {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;
}
