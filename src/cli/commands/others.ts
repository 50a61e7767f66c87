/**
 * `emsmail version` and `emsmail completions`, as they can be typed.
 *
 * @module
 */
import { Argument, type Command } from "commander";
import { type Does, jsonOption, leaf } from "./parts.ts";

export function addOthers(root: Command, does: Does): void {
  leaf(root, "version", {
    summary: "print the version, and what it is made of",
    description: "Prints the version, the engine it runs on and the SQLite version it carries.",
    examples: ["emsmail version", "emsmail version --json"],
  })
    .addOption(jsonOption())
    .action(does(async (io, _, options) => (await import("../version.ts")).version(io, options)));
  leaf(root, "completions", {
    summary: "print completions for your shell",
    description: "Prints a script that completes emsmail's commands and options in a shell.",
    examples: [
      "source <(emsmail completions bash)",
      "emsmail completions zsh > ~/.zfunc/_emsmail",
      "emsmail completions fish > ~/.config/fish/completions/emsmail.fish",
    ],
  })
    .addArgument(new Argument("<shell>", "bash, zsh or fish").choices(["bash", "zsh", "fish"]))
    .action(does(async (io, [shell]) => (await import("../completions.ts")).completions(io, root, shell!)));
}
