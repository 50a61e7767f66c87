/**
 * The store and what goes with it, opened for one command and closed after it.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import type { AdminContext } from "../admin/context.ts";
import { AdminError } from "../admin/error.ts";
import { systemClock } from "../base/clock.ts";
import { systemRandom } from "../base/random.ts";
import { openSqliteStore, storePath } from "../store/sqlite/open.ts";
import type { Options } from "./program.ts";
import { loadConfig } from "./settings.ts";

export interface StoreUse {
  /**
   * `read` never changes anything; `create` makes the store where there is none yet. The others say that there is
   * none, so that a forgotten --data doesn't leave an empty store behind.
   */
  readonly access: "read" | "change" | "create";
}

/** Opens the store of the configuration in force, which may be in use by a running server, for the time of `act`. */
export async function withStore<T>(
  options: Options,
  act: (context: AdminContext) => Promise<T>,
  { access }: StoreUse,
): Promise<T> {
  const config = await loadConfig(options);
  const path = storePath(config.data);
  if (access === "create") await makeFolder(config.data);
  else if (!existsSync(path)) {
    throw new AdminError(
      `there is no mail system in ${config.data} yet`,
      "name the right data directory with --data, or begin with: emsmail user add NAME",
    );
  }
  const mode = access === "read" ? "read-only" : "read-write";
  const store = await openSqliteStore({ path, mode, clock: systemClock });
  try {
    return await act({ store, config, clock: systemClock, random: systemRandom });
  } finally {
    await store.close();
  }
}

async function makeFolder(path: string): Promise<void> {
  try {
    // Mail is nobody else's business: only the owner gets in.
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new AdminError(
      `can't make the data directory ${path}: ${(error as Error).message}`,
      "name another with --data, or run as a user who may write there",
    );
  }
}
