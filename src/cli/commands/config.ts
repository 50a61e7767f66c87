/**
 * `emsmail config …`, as it can be typed.
 *
 * @module
 */
import type { Command } from "commander";
import { branch, configOption, type Does, jsonOption, leaf } from "./parts.ts";

export function addConfig(root: Command, does: Does): void {
  const config = branch(root, "config", "check the configuration, and look up what can stand in it");
  leaf(config, "check", {
    summary: "check the configuration",
    description: "Checks the configuration and says where it is wrong.",
    examples: ["emsmail config check", "emsmail config check --config /etc/emsmail.yaml"],
  })
    .addOption(configOption())
    .action(does(async (io, _, options) => (await import("../config.ts")).configCheck(io, options)));
  leaf(config, "describe", {
    summary: "explain every setting",
    description: "Prints every setting with its meaning and its default.",
    examples: ["emsmail config describe | less"],
  })
    .addOption(jsonOption())
    .action(does(async (io, _, options) => (await import("../config.ts")).configDescribe(io, options)));
  leaf(config, "example", {
    summary: "print a configuration to start from",
    description: "Prints a configuration to start from.",
    examples: ["emsmail config example > emsmail.yaml"],
  })
    .action(does(async (io) => (await import("../config.ts")).configExample(io)));
}
