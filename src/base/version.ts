/**
 * This program's version, in the one place where it is written.
 *
 * @module
 */
import process from "node:process";

/** Semantic versioning: major.minor.patch. */
export const VERSION = "0.1.0";

/** The JavaScript engine that runs it, and whether it travels inside this very file: `Node 26.10.0 (single binary)`. */
export function engine(): string {
  const { deno, node } = process.versions;
  const name = deno === undefined ? `Node ${node}` : `Deno ${deno}`;
  return isSingleBinary(deno === undefined ? "node" : "deno") ? `${name} (single binary)` : name;
}

function isSingleBinary(runtime: "node" | "deno"): boolean {
  // Asked for without an import: only Node has the module, and only when it is new enough.
  const sea = runtime === "node" ? process.getBuiltinModule?.("node:sea") : undefined;
  if (sea !== undefined) return (sea as { isSea(): boolean }).isSea();
  return !new RegExp(`[\\\\/]${runtime}(?:\\.exe)?$`).test(process.execPath);
}
