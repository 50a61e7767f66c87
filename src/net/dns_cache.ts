/**
 * Answers remembered for as long as they may be.
 *
 * Guarantees: what has had its time is not given out again; never more than `entries` are kept, and the oldest go first.
 *
 * @module
 */
import type { Clock } from "../base/clock.ts";

interface Entry<T> {
  readonly value: T;
  readonly untilMs: number;
}

export class DnsCache<T> {
  readonly #clock: Clock;
  readonly #entries: number;
  // A Map keeps the order in which keys were added.
  readonly #kept = new Map<string, Entry<T>>();

  constructor(options: { readonly clock: Clock; readonly entries: number }) {
    this.#clock = options.clock;
    this.#entries = options.entries;
  }

  /** How many are kept, those that have had their time among them. */
  get size(): number {
    return this.#kept.size;
  }

  get(key: string): T | undefined {
    const entry = this.#kept.get(key);
    if (entry === undefined) return undefined;
    if (entry.untilMs > this.#clock.nowMs()) return entry.value;
    this.#kept.delete(key);
    return undefined;
  }

  /** Remembers `value` for `ttlMs` milliseconds. */
  set(key: string, value: T, { ttlMs }: { readonly ttlMs: number }): void {
    this.#kept.delete(key);
    this.#kept.set(key, { value, untilMs: this.#clock.nowMs() + ttlMs });
    if (this.#kept.size > this.#entries) this.#kept.delete(this.#kept.keys().next().value!);
  }
}
