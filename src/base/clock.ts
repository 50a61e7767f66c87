/**
 * Time, passed in, so that a test can run days in milliseconds.
 *
 * @module
 */

/** A timer that can be called off. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Milliseconds since 1970-01-01T00:00:00Z. */
  nowMs(): number;
  /** Calls `run` once, `delayMs` milliseconds from now. A waiting timer does not keep the process alive. */
  after(delayMs: number, run: () => void): Timer;
}

/** The longest delay a runtime's timer takes, in milliseconds (24.8 days); beyond it, it would run at once. */
export const TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  after(delayMs, run) {
    let timer: ReturnType<typeof setTimeout>;
    const wait = (leftMs: number): void => {
      const stepMs = Math.min(leftMs, TIMER_MS);
      timer = setTimeout(() => leftMs > stepMs ? wait(leftMs - stepMs) : run(), stepMs);
      // Node and Deno both give an object with unref() here; browsers' numbers never reach this code.
      (timer as unknown as { unref?: () => void }).unref?.();
    };
    wait(delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};

/** Waits `delayMs` milliseconds by `clock`. */
export function sleep(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => clock.after(delayMs, resolve));
}

/** A clock that stands still until it is told to move. */
export class FakeClock implements Clock {
  #nowMs: number;
  #waiting: { atMs: number; run: () => void }[] = [];

  constructor(startMs = Date.UTC(2026, 0, 5, 9, 0, 0)) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, run: () => void): Timer {
    const entry = { atMs: this.#nowMs + delayMs, run };
    this.#waiting.push(entry);
    return { cancel: () => void (this.#waiting = this.#waiting.filter((other) => other !== entry)) };
  }

  /** Moves time forward and runs what has become due, in order, letting promises settle after each. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      const due = this.#waiting.filter((entry) => entry.atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      this.#waiting = this.#waiting.filter((entry) => entry !== due);
      this.#nowMs = Math.max(this.#nowMs, due.atMs);
      due.run();
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    this.#nowMs = untilMs;
  }
}
