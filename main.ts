/**
 * Where the program starts: as a thread of the server, or as a command line.
 *
 * Guarantees: nothing is loaded that the run does not need; `--version` loads nothing at all. No top-level await: this
 * file is bundled to CommonJS for the single binary.
 *
 * @module
 */
import process from "node:process";
import { isMainThread } from "node:worker_threads";
import { VERSION } from "./src/base/version.ts";

async function start(): Promise<void> {
  if (!isMainThread) {
    const { runThread } = await import("./src/app.ts");
    await runThread();
    return;
  }
  const words = process.argv.slice(2);
  if (words.length === 1 && (words[0] === "--version" || words[0] === "-V")) {
    process.stdout.write(`emsmail ${VERSION}\n`);
    return;
  }
  const { main } = await import("./src/cli/main.ts");
  await main();
}

start().catch((error: unknown) => {
  process.stderr.write(`emsmail: ${error instanceof Error ? error.stack : String(error)}\n`);
  process.exit(1);
});
