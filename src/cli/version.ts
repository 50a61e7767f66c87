/**
 * `emsmail version`: what this program is and what it carries.
 *
 * @module
 */
import process from "node:process";
import { engine, VERSION } from "../base/version.ts";
import { json } from "./io.ts";
import type { Io } from "./io.ts";
import type { Options } from "./program.ts";

/** Prints the version, the engine and SQLite's version. */
export async function version(io: Io, options: Options): Promise<void> {
  const carried = { version: VERSION, engine: engine(), sqlite: process.versions.sqlite ?? "unknown" };
  if (options.json === true) return await io.out(json(carried));
  await io.out(`emsmail ${carried.version}\nengine  ${carried.engine}\nSQLite  ${carried.sqlite}\n`);
}
