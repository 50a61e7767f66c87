/**
 * What every fuzz target does with its cases: as many as the time allows, each from a seed of its own, until one fails.
 *
 * @module
 */
import { type Random, seededRandom } from "../../src/base/random.ts";

/** Choices made from one seed. */
export class Chooser {
  readonly random: Random;
  constructor(seed: number) {
    this.random = seededRandom(seed);
  }
  below(limit: number): number {
    return Math.floor(this.random.fraction() * limit);
  }
  oneOf<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
  /** True once in `n`. */
  once(n: number): boolean {
    return this.below(n) === 0;
  }
  /** Up to `most` of what `make` makes. */
  several<T>(most: number, make: () => T): T[] {
    return Array.from({ length: this.below(most + 1) }, make);
  }
}

export interface Target<C> {
  readonly name: string;
  /** The same case for the same seed. */
  make(seed: number): C;
  /** Throws where an invariant is broken. */
  run(testCase: C, seed: number): void;
  /** What a person needs to see of a case that failed, a line each. */
  show(testCase: C): readonly string[];
}

/** Runs a target for `--seconds`, from `--seed` on; ends the process with 1 at the first failure. */
export function drive<C>({ name, make, run, show }: Target<C>): void {
  const seconds = numberOption("seconds", 10);
  const firstSeed = numberOption("seed", Date.now() % 1e9);
  const endMs = performance.now() + seconds * 1000;
  let executions = 0;
  for (let seed = firstSeed; executions === 0 || performance.now() < endMs; seed++) {
    const testCase = make(seed);
    executions++;
    try {
      run(testCase, seed);
    } catch (error) {
      console.error(`${name}: failed with --seed ${seed} after ${executions} executions`);
      console.error(error instanceof Error ? error.stack : error);
      for (const line of show(testCase)) console.error(line);
      Deno.exit(1);
    }
  }
  console.log(`${name}: ${executions} executions from seed ${firstSeed}, no failure`);
}

function numberOption(name: string, fallback: number): number {
  const at = Deno.args.indexOf(`--${name}`);
  const value = at < 0 ? fallback : Number(Deno.args[at + 1]);
  if (!Number.isFinite(value) || value < 0) throw new Error(`--${name} needs a number`);
  return value;
}
