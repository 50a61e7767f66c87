/**
 * A table of fixed size that all threads share: a small number and a time for each of many names, old ones making room.
 *
 * Guarantees: no allocation after it is made, no lock; one entry changes at once or not at all. Names are kept as salted
 * hashes only, so that nobody outside can choose which names meet.
 *
 * A name has 8 places. It is told from the others there by 16 bits of its hash (or 32, by {@linkcode SharedTable.mark}),
 * so that two names may be taken for one: once in some 8,000 look-ups of a full table (in 500 million, by `mark`).
 * Two threads that enter the same new name at the same moment may enter it twice; then the second is not found again.
 *
 * Layout: the salt, then one 64-bit word an entry: 16 bits tag, 16 bits number, 32 bits time in units of 100 ms since
 * the table was made (13 years). A word of 0 is a free place.
 *
 * @module
 */
import { createHmac } from "node:crypto";
import type { Random } from "./random.ts";

/** One name's entry. */
export interface TableEntry {
  /** 0 to 65535. */
  readonly value: number;
  /** Milliseconds since 1970, in steps of 100. */
  readonly atMs: number;
}

const WAYS = 8;
const SALT_OCTETS = 32;
const EPOCH_AT = SALT_OCTETS;
const WORDS_AT = SALT_OCTETS + 8;
/** Times are rounded up to whole steps. */
export const TABLE_STEP_MS = 100;
const UNIT_MS = TABLE_STEP_MS;
const MAX_VALUE = 0xffff;
const MAX_TIME = 2 ** 32 - 1;

interface Place {
  /** Index of the first of a name's places. */
  readonly first: number;
  /** 1 to 65535. */
  readonly tag: number;
  /** 16 more bits of the hash. */
  readonly check: number;
}

export class SharedTable {
  readonly #words: BigUint64Array;
  readonly #salt: Uint8Array;
  readonly #epochMs: number;

  /** The memory of a new table for `entries` names (rounded up to whole groups of 8). */
  static create(
    entries: number,
    options: { readonly random: Random; readonly nowMs: number },
  ): SharedArrayBuffer {
    const words = Math.ceil(entries / WAYS) * WAYS;
    const buffer = new SharedArrayBuffer(WORDS_AT + words * BigUint64Array.BYTES_PER_ELEMENT);
    new Uint8Array(buffer, 0, SALT_OCTETS).set(options.random.bytes(SALT_OCTETS));
    // A second early, so that no time in use is 0.
    new Float64Array(buffer, EPOCH_AT, 1)[0] = Math.floor(options.nowMs / UNIT_MS) * UNIT_MS - 1000;
    return buffer;
  }

  constructor(buffer: SharedArrayBuffer) {
    this.#salt = new Uint8Array(buffer, 0, SALT_OCTETS).slice();
    this.#epochMs = new Float64Array(buffer, EPOCH_AT, 1)[0]!;
    this.#words = new BigUint64Array(buffer, WORDS_AT);
  }

  /** A name's entry. */
  get(name: string): TableEntry | undefined {
    const place = this.#place(name);
    const index = this.#find(place);
    return index === undefined ? undefined : this.#entry(Atomics.load(this.#words, index));
  }

  /**
   * Changes a name's entry: `change` gets what is there and gives what shall be, or undefined to leave it. It may be
   * called again where another thread was faster, so it must only compute. Gives what `change` last gave.
   */
  update(
    name: string,
    change: (entry: TableEntry | undefined) => TableEntry | undefined,
  ): TableEntry | undefined {
    const place = this.#place(name);
    for (;;) {
      const found = this.#find(place);
      const index = found ?? this.#room(place);
      const before = Atomics.load(this.#words, index);
      const after = change(tagOf(before) === place.tag ? this.#entry(before) : undefined);
      if (after === undefined) return undefined;
      const word = this.#word(place.tag, after);
      if (word === before || Atomics.compareExchange(this.#words, index, before, word) === before) {
        return after;
      }
    }
  }

  /** Remembers a name with a time and nothing else; told from others by 32 bits. Not to be mixed with `update`. */
  mark(name: string, atMs: number): void {
    const place = this.#place(name);
    const index = this.#findMark(place) ?? this.#room(place);
    Atomics.store(this.#words, index, this.#word(place.tag, { value: place.check, atMs }));
  }

  /** When a name was last marked, in milliseconds since 1970; undefined if never, or too long ago to be still there. */
  marked(name: string): number | undefined {
    const index = this.#findMark(this.#place(name));
    return index === undefined ? undefined : this.#entry(Atomics.load(this.#words, index)).atMs;
  }

  #place(name: string): Place {
    const hash = createHmac("sha256", this.#salt).update(name).digest();
    return {
      first: hash.readUInt32LE(0) % (this.#words.length / WAYS) * WAYS,
      tag: hash.readUInt16LE(4) || 1,
      check: hash.readUInt16LE(6),
    };
  }

  #find(place: Place): number | undefined {
    for (let index = place.first; index < place.first + WAYS; index++) {
      if (tagOf(Atomics.load(this.#words, index)) === place.tag) return index;
    }
    return undefined;
  }

  #findMark(place: Place): number | undefined {
    for (let index = place.first; index < place.first + WAYS; index++) {
      const word = Atomics.load(this.#words, index);
      if (tagOf(word) === place.tag && this.#entry(word).value === place.check) return index;
    }
    return undefined;
  }

  /** A free place, or that of the oldest entry. */
  #room(place: Place): number {
    let oldest = place.first;
    let oldestTime = 2n ** 32n;
    for (let index = place.first; index < place.first + WAYS; index++) {
      const word = Atomics.load(this.#words, index);
      if (word === 0n) return index;
      const time = word & 0xffff_ffffn;
      if (time < oldestTime) [oldest, oldestTime] = [index, time];
    }
    return oldest;
  }

  #entry(word: bigint): TableEntry {
    return {
      value: Number((word >> 32n) & 0xffffn),
      atMs: this.#epochMs + Number(word & 0xffff_ffffn) * UNIT_MS,
    };
  }

  #word(tag: number, entry: TableEntry): bigint {
    const value = Math.min(MAX_VALUE, Math.max(0, Math.round(entry.value)));
    const time = Math.min(MAX_TIME, Math.max(0, Math.ceil((entry.atMs - this.#epochMs) / UNIT_MS)));
    return BigInt(tag) << 48n | BigInt(value) << 32n | BigInt(time);
  }
}

function tagOf(word: bigint): number {
  return Number(word >> 48n);
}
