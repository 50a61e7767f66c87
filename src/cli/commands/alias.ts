/**
 * `emsmail alias …`, as it can be typed.
 *
 * @module
 */
import type { Command } from "commander";
import {
  branch,
  configOption,
  dataOption,
  type Does,
  domainOption,
  jsonOption,
  leaf,
  relayModeOption,
} from "./parts.ts";

export function addAlias(root: Command, does: Does): void {
  const alias = branch(root, "alias", "names that stand for others, and catch-alls");
  leaf(alias, "add", {
    summary: "make an alias, or add targets to one",
    description: "Makes an alias, or adds targets to one that is there.",
    examples: ["emsmail alias add sales alice bob", "emsmail alias add @example.org alice"],
  })
    .argument("<name>", "sales, sales@example.org, or @example.org for every name that domain doesn't know")
    .argument("<target...>", "names of this system, or addresses elsewhere")
    .addOption(domainOption("a mail domain, where 'serve' is given it as an option too"))
    .addOption(relayModeOption())
    .addOption(configOption()).addOption(dataOption())
    .action(
      does(async (io, [name, ...targets], options) =>
        (await import("../alias.ts")).aliasAdd(io, { name: name!, targets }, options)
      ),
    );
  leaf(alias, "list", {
    summary: "list all aliases",
    description: "Lists all aliases and catch-alls with their targets.",
    examples: ["emsmail alias list"],
  })
    .addOption(jsonOption()).addOption(configOption()).addOption(dataOption())
    .action(does(async (io, _, options) => (await import("../alias.ts")).aliasList(io, options)));
  leaf(alias, "remove", {
    summary: "remove an alias, or some of its targets",
    description: "Removes an alias, or takes some of its targets out of it.",
    examples: ["emsmail alias remove sales", "emsmail alias remove sales bob"],
  })
    .argument("<name>", "the alias")
    .argument("[target...]", "the targets to take out; without any, the whole alias goes")
    .addOption(configOption()).addOption(dataOption())
    .action(
      does(async (io, [name, ...targets], options) =>
        (await import("../alias.ts")).aliasRemove(io, { name: name!, targets }, options)
      ),
    );
}
