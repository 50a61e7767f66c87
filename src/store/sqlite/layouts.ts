/**
 * Reading bodies that are made of stretches of others (../segments.ts): which octets of which parts come when.
 *
 * Guarantees: such a body is read in parts of CHUNK_OCTETS, the last one shorter, wherever its stretches meet; so the
 * first holds its header as it does of any other message. A part is read whole or not at all. Where everything lies is
 * worked out once and remembered; what is remembered is bounded, and stays right: a body that is there never changes.
 *
 * @module
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { CHUNK_OCTETS } from "../../base/limits.ts";
import type { MessageKey } from "../../mail/message_id.ts";
import { OWN, placeOf, type RawSegment } from "../segments.ts";
import { MAX_PARTS, PART_ID } from "./part_id.ts";

/** Slices remembered in one thread, of 40 octets each: 20,000 messages with a report, or a dozen of the largest. */
const REMEMBERED_SLICES = 60_000;

/** Slices of parts, in columns, since a body may have thousands. */
interface Layout {
  /** Where each begins in the body. */
  readonly starts: Float64Array;
  /** The part it is cut from: key and index. */
  readonly keys: Float64Array;
  readonly indexes: Float64Array;
  /** From where in the part. */
  readonly offsets: Float64Array;
  readonly lengths: Float64Array;
  readonly size: number;
}

/** Where the parts of a key begin, and where the last one ends. */
interface Parts {
  readonly starts: readonly number[];
  readonly end: number;
}

export class Layouts {
  readonly #segments: StatementSync;
  readonly #lengths: StatementSync;
  readonly #data: StatementSync;
  /** The one used longest ago first. */
  readonly #known = new Map<MessageKey, Layout>();
  #slices = 0;
  /** The part that was read last: the next slice, and the next part of the body, most often begin in it. */
  #last: { readonly key: MessageKey; readonly index: number; readonly data: Uint8Array } | undefined;

  constructor(database: DatabaseSync) {
    this.#segments = database.prepare("SELECT segments FROM message WHERE key = ?");
    this.#lengths = database.prepare(`
      SELECT length(data) AS octets FROM part WHERE id BETWEEN ${PART_ID} AND ${PART_ID} ORDER BY id`);
    this.#data = database.prepare(`SELECT data FROM part WHERE id = ${PART_ID}`);
  }

  /** Part `index` of a body that is made of stretches; undefined past its end, or where it is gone. */
  part(key: MessageKey, index: number): Uint8Array | undefined {
    const layout = this.#layout(key);
    const from = index * CHUNK_OCTETS;
    if (layout === undefined || from >= layout.size) return undefined;
    const part = new Uint8Array(Math.min(CHUNK_OCTETS, layout.size - from));
    let filled = 0;
    for (let slice = placeOf(layout.starts, from); filled < part.length; slice++) {
      const skipped = from + filled - layout.starts[slice]!;
      const length = Math.min(layout.lengths[slice]! - skipped, part.length - filled);
      const offset = layout.offsets[slice]! + skipped;
      const data = this.#raw(layout.keys[slice]!, layout.indexes[slice]!);
      // It went meanwhile, as any body may between two parts.
      if (data === undefined) return undefined;
      part.set(data.subarray(offset, offset + length), filled);
      filled += length;
    }
    return part;
  }

  #raw(key: MessageKey, index: number): Uint8Array | undefined {
    if (this.#last?.key === key && this.#last.index === index) return this.#last.data;
    const data = this.#data.get(key, index)?.data as Uint8Array | undefined;
    if (data !== undefined) this.#last = { key, index, data };
    return data;
  }

  #layout(key: MessageKey): Layout | undefined {
    const known = this.#known.get(key);
    const layout = known ?? this.#workOut(key);
    if (layout === undefined) return undefined;
    if (known === undefined) this.#slices += layout.starts.length;
    this.#known.delete(key);
    this.#known.set(key, layout);
    for (const [oldest, { starts }] of this.#known) {
      if (this.#slices <= REMEMBERED_SLICES || oldest === key) break;
      this.#slices -= starts.length;
      this.#known.delete(oldest);
    }
    return layout;
  }

  #workOut(key: MessageKey): Layout | undefined {
    const json = this.#segments.get(key)?.segments;
    if (typeof json !== "string") return undefined;
    const partsOf = new Map<MessageKey, Parts>();
    const slices: Slice[] = [];
    for (const [source, offset, length] of JSON.parse(json) as RawSegment[]) {
      const from = source === OWN ? key : source;
      const parts = partsOf.get(from) ?? this.#parts(from);
      partsOf.set(from, parts);
      if (offset + length > parts.end) return undefined;
      addSlices(slices, { key: from, parts, offset, length });
    }
    return inColumns(slices);
  }

  #parts(key: MessageKey): Parts {
    const starts: number[] = [];
    let end = 0;
    for (const row of this.#lengths.all(key, 0, key, MAX_PARTS)) {
      starts.push(end);
      end += row.octets as number;
    }
    return { starts, end };
  }
}

interface Slice {
  readonly key: MessageKey;
  readonly index: number;
  readonly offset: number;
  readonly length: number;
}

function addSlices(
  slices: Slice[],
  { key, parts, offset, length }: Omit<Slice, "index"> & { readonly parts: Parts },
): void {
  const { starts, end } = parts;
  for (let index = placeOf(starts, offset), left = length; left > 0; index++) {
    const skipped = offset + length - left - starts[index]!;
    const taken = Math.min((starts[index + 1] ?? end) - starts[index]! - skipped, left);
    slices.push({ key, index, offset: skipped, length: taken });
    left -= taken;
  }
}

function inColumns(slices: readonly Slice[]): Layout {
  const layout = {
    starts: new Float64Array(slices.length),
    keys: Float64Array.from(slices, ({ key }) => key),
    indexes: Float64Array.from(slices, ({ index }) => index),
    offsets: Float64Array.from(slices, ({ offset }) => offset),
    lengths: Float64Array.from(slices, ({ length }) => length),
  };
  let size = 0;
  for (let i = 0; i < slices.length; i++) {
    layout.starts[i] = size;
    size += slices[i]!.length;
  }
  return { ...layout, size };
}
