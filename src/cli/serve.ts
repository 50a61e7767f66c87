/**
 * `emsmail serve`: hands the configuration to the application and waits for its end.
 *
 * @module
 */
import type { Io } from "./io.ts";
import type { Options } from "./program.ts";
import { loadConfig } from "./settings.ts";

/** Runs the mail system; gives its exit code. */
export async function runServe(io: Io, options: Options): Promise<number> {
  const { serve } = await import("../app.ts");
  return await serve({
    // Read again for each reload: the file anew, the options as they were.
    load: () => loadConfig(options),
    print: (line) => void io.out(`${line}\n`),
  });
}
