/**
 * `emsmail trace`, as it can be typed.
 *
 * @module
 */
import type { Command } from "commander";
import { configOption, dataOption, type Does, jsonOption, leaf } from "./parts.ts";

export function addTrace(root: Command, does: Does): void {
  leaf(root, "trace", {
    summary: "tell a message's whole life",
    description: "Tells where a message came from, whom it reached and when, and who took it.",
    examples: ["emsmail trace 00kq3v8g40", "emsmail trace '<20261124.1@example.org>'"],
  })
    .argument("<id>", "the id this system gave it, or its Message-ID")
    .addOption(jsonOption()).addOption(configOption()).addOption(dataOption())
    .action(does(async (io, [id], options) => (await import("../trace.ts")).trace(io, id!, options)));
}
