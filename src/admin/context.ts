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

/** A time as results carry it: ISO 8601 in UTC. */
export function isoTime(atMs: number): string {
  return new Date(atMs).toISOString();
}
