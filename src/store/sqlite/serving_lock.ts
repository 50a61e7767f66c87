/**
 * One server a data folder: two would each think that they alone recover after a crash and deliver what waits.
 *
 * Guarantees: the lock is the operating system's (held through an SQLite file of its own), so it goes when the process
 * does, however that ends; nothing is left to clean up.
 *
 * @module
 */
import { chmodSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { StoreError } from "../types.ts";

/** Held by the process that serves. */
export interface ServingLock {
  release(): void;
}

/**
 * Takes the lock of a data folder, which must exist.
 * @throws {StoreError} `busy` where another process serves it
 */
export function lockForServing(dataFolder: string): ServingLock {
  const path = join(dataFolder, "serving.lock");
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    chmodSync(path, 0o600);
    database.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if (!/locked/.test(String(error))) throw error;
    throw new StoreError(
      "busy",
      `another emsmail serves from ${dataFolder}; stop it, or give this one another --data`,
    );
  }
  return { release: () => database.close() };
}
