/**
 * What every operator action works with.
 *
 * @module
 */
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { Config } from "../config/config.ts";
import type { Store } from "../store/types.ts";
import type { NameRules } from "./names.ts";

export interface AdminContext {
  readonly store: Store;
  readonly config: Config;
  readonly clock: Clock;
  readonly random: Random;
}

/** What the configuration says about names. */
export function nameRules(config: Config): NameRules {
  const { plusAddressing } = config.accounts;
  return { domains: config.domains, detailSeparator: plusAddressing === "" ? undefined : plusAddressing };
}

/** The last moment that a Date can hold (ECMA-262 21.4.1.1); a longer wait is as good as for ever. */
const LAST_MS = 8.64e15;

/** A time as results carry it: ISO 8601 in UTC. */
export function isoTime(atMs: number): string {
  return new Date(Math.min(atMs, LAST_MS)).toISOString();
}
