/**
 * Bodies made of stretches of others: what a caller names, and what is kept of it.
 *
 * A caller names stretches of *bodies*, as readers see them ({@linkcode Segment}). What is kept addresses *raw octets*: those
 * that stand in parts under a key. For a body that is its parts from end to end the two are the same. For one that is
 * itself made of stretches they are not: offset 0 of its body may be an octet of another message, offset 0 of its raw
 * octets is the first of its own. So such a source is seen through when it is named, and what is kept never leads
 * further than one step.
 *
 * Guarantees: pure, so the twins can't differ in it. What {@linkcode rawSegments} gives has the octets that were asked
 * for, has no empty stretch, and no two neighbours that are one.
 *
 * @module
 */
import { SEGMENTS } from "../base/limits.ts";
import { formatMessageKey, type MessageKey } from "../mail/message_id.ts";
import { type Segment, StoreError } from "./types.ts";

/** A stretch of the raw octets under a key; {@linkcode OWN} stands for the key of the message it is in. */
export type RawSegment = readonly [source: MessageKey, offset: number, length: number];

/** No message has this key. */
export const OWN = 0;

/** A body that others may be made of. */
export interface SourceBody {
  /** Octets of the body. */
  readonly size: number;
  /** What it is made of itself; absent: its parts from end to end. */
  readonly segments?: readonly RawSegment[];
}

/** A message that is to be made of stretches. */
export interface Composition {
  readonly key: MessageKey;
  readonly segments: readonly Segment[];
  /** Octets they are to have together. */
  readonly size: number;
}

/** What there is to make it of. */
export interface Materials {
  readonly ownOctets: number;
  /** Undefined where the body is gone or never was. */
  bodyOf(key: MessageKey): SourceBody | undefined;
}

/** A source taken apart, with where each stretch begins in its body. */
interface Source {
  readonly raw: readonly RawSegment[];
  readonly starts: readonly number[];
  readonly size: number;
}

/**
 * Turns stretches of bodies into stretches of raw octets.
 *
 * @throws {StoreError} `conflict` where a source is gone or too short, the lengths don't add up, or there are too many
 */
export function rawSegments({ key, segments, size }: Composition, materials: Materials): RawSegment[] {
  const refuse = (why: string): never => {
    throw new StoreError("conflict", `message ${formatMessageKey(key)} can't be made: ${why}`);
  };
  const sources = new Map<MessageKey, Source>();
  const raw: RawSegment[] = [];
  let octets = 0;
  if (segments.length > SEGMENTS) refuse(`it has ${segments.length} stretches, more than ${SEGMENTS}`);
  for (const { source = OWN, offset, length } of segments) {
    if (!isCount(offset) || !isCount(length)) refuse(`${offset} and ${length} are no place and length`);
    const from = sources.get(source) ?? sourceOf(source, key, materials) ??
      refuse(`message ${formatMessageKey(source)}, which it is to hold a stretch of, is gone`);
    sources.set(source, from);
    if (offset + length > from.size) {
      const name = source === OWN ? "its own octets" : `message ${formatMessageKey(source)}`;
      refuse(`octets ${offset} to ${offset + length} are asked for, and ${name} has ${from.size}`);
    }
    cut(from, { offset, length }, raw);
    octets += length;
  }
  if (octets !== size) refuse(`its stretches have ${octets} octets and not ${size}`);
  if (raw.length > SEGMENTS) refuse(`it comes to ${raw.length} stretches, more than ${SEGMENTS}`);
  return raw;
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function sourceOf(source: MessageKey, key: MessageKey, materials: Materials): Source | undefined {
  if (source === OWN) {
    return { raw: [[OWN, 0, materials.ownOctets]], starts: [0], size: materials.ownOctets };
  }
  // A message that is being made is no source of itself.
  const body = source === key ? undefined : materials.bodyOf(source);
  if (body === undefined) return undefined;
  const raw = body.segments?.map((
    [from, offset, length],
  ): RawSegment => [from === OWN ? source : from, offset, length]) ?? [[source, 0, body.size] as const];
  const starts: number[] = [];
  let start = 0;
  for (const [, , length] of raw) {
    starts.push(start);
    start += length;
  }
  return { raw, starts, size: body.size };
}

/** Adds what a stretch of a source is made of. */
function cut(
  { raw: from, starts }: Source,
  { offset, length }: { readonly offset: number; readonly length: number },
  raw: RawSegment[],
): void {
  const end = offset + length;
  for (let i = placeOf(starts, offset); i < from.length && starts[i]! < end; i++) {
    const [source, rawOffset, rawLength] = from[i]!;
    const skipped = Math.max(0, offset - starts[i]!);
    const taken = Math.min(rawLength, end - starts[i]!) - skipped;
    if (taken > 0) add(raw, [source, rawOffset + skipped, taken]);
  }
}

function add(raw: RawSegment[], [source, offset, length]: RawSegment): void {
  const last = raw.at(-1);
  if (last !== undefined && last[0] === source && last[1] + last[2] === offset) {
    raw[raw.length - 1] = [source, last[1], last[2] + length];
  } else {
    raw.push([source, offset, length]);
  }
}

/** Which of the stretches that begin at `starts` (rising, the first at 0) holds the octet at `offset`. */
export function placeOf(starts: ArrayLike<number>, offset: number): number {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (starts[middle]! <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The other bodies that are needed, each once. */
export function sourcesOf(segments: readonly RawSegment[]): MessageKey[] {
  return [...new Set(segments.map(([source]) => source))].filter((source) => source !== OWN);
}
