/**
 * `emsmail serve`, as it can be typed.
 *
 * @module
 */
import type { Command } from "commander";
import { configOption, dataOption, type Does, domainOption, leaf, relayModeOption } from "./parts.ts";

export function addServe(root: Command, does: Does): void {
  leaf(root, "serve", {
    summary: "run the mail system",
    description: "Runs the mail system until it is told to stop (SIGTERM or Ctrl-C).",
    examples: ["emsmail serve", "emsmail serve --data /var/lib/emsmail --domain example.org"],
  })
    .option("--hostname <host>", "the name it gives itself")
    .addOption(domainOption("a mail domain it serves; may be given more than once"))
    .addOption(relayModeOption())
    .addOption(configOption()).addOption(dataOption())
    .action(does(async (io, _, options) => (await import("../serve.ts")).runServe(io, options)));
}
