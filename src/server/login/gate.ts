/**
 * At most so many costly computations at a time; some more may wait, in order.
 *
 * @module
 */
export class Gate {
  readonly #atOnce: number;
  readonly #waiting: (() => void)[] = [];
  readonly #maxWaiting: number;
  #running = 0;

  constructor(options: { readonly atOnce: number; readonly waiting: number }) {
    this.#atOnce = options.atOnce;
    this.#maxWaiting = options.waiting;
  }

  /** Runs `work` when its turn comes and gives its result; undefined at once where too many wait already. */
  async run<T>(work: () => Promise<T>): Promise<T | undefined> {
    if (this.#running < this.#atOnce) this.#running++;
    else if (this.#waiting.length >= this.#maxWaiting) return undefined;
    // Whoever finishes hands its place on, so #running stays as it is.
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }
}
