/** A clock for simulations: time stands still while anything is still being done. */
import type { Clock, Timer } from "../../../src/base/clock.ts";

interface Waiting {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

export class SimClock implements Clock {
  #nowMs = Date.UTC(2026, 0, 5, 9, 0, 0);
  #order = 0;
  readonly #waiting = new Set<Waiting>();
  /** Timers that have run. */
  ticks = 0;

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, run: () => void): Timer {
    const entry = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, run };
    this.#waiting.add(entry);
    return { cancel: () => void this.#waiting.delete(entry) };
  }

  /** Lets everything happen that needs no time; the store announces by timers of the real clock. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setTimeout(resolve, 0));
  }

  /** Moves time forward, from one timer to the next. */
  async run(ms: number, until: () => boolean = () => false): Promise<void> {
    const endMs = this.#nowMs + ms;
    await this.settle();
    while (!until()) {
      const next = this.#next();
      if (next === undefined || next.atMs > endMs) {
        this.#nowMs = endMs;
        return;
      }
      this.#waiting.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      this.ticks++;
      next.run();
      await this.settle();
    }
  }

  #next(): Waiting | undefined {
    let first: Waiting | undefined;
    for (const one of this.#waiting) {
      if (
        first === undefined || one.atMs < first.atMs || (one.atMs === first.atMs && one.order < first.order)
      ) {
        first = one;
      }
    }
    return first;
  }
}
