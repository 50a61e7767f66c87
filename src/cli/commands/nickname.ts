/**
 * `emsmail nickname …`, as it can be typed.
 *
 * @module
 */
import type { Command } from "commander";
import { branch, configOption, dataOption, type Does, jsonOption, leaf, userOption } from "./parts.ts";

export function addNickname(root: Command, does: Does): void {
  const nickname = branch(root, "nickname", "a user's own names for others");
  leaf(nickname, "add", {
    summary: "make a nickname, or add addresses to one",
    description: "Makes a nickname, or adds addresses to one that is there.",
    examples: [
      "emsmail nickname add boss alice --user bob",
      "emsmail nickname add club ann@example.com '/MHS carol@sales' --user bob",
    ],
  })
    .argument("<name>", "the nickname")
    .argument("<address...>", "names here, addresses elsewhere, or other nicknames of the user")
    .addOption(userOption()).addOption(configOption()).addOption(dataOption())
    .action(
      does(async (io, [name, ...addresses], options) =>
        (await import("../nickname.ts")).nicknameAdd(io, { name: name!, addresses }, options)
      ),
    );
  leaf(nickname, "list", {
    summary: "list a user's nicknames",
    description: "Lists a user's nicknames.",
    examples: ["emsmail nickname list --user bob"],
  })
    .addOption(userOption()).addOption(jsonOption()).addOption(configOption()).addOption(dataOption())
    .action(does(async (io, _, options) => (await import("../nickname.ts")).nicknameList(io, options)));
  leaf(nickname, "remove", {
    summary: "remove a nickname, or some of its addresses",
    description: "Removes a nickname, or takes some of its addresses out of it.",
    examples: ["emsmail nickname remove boss --user bob"],
  })
    .argument("<name>", "the nickname")
    .argument("[address...]", "the addresses to take out; without any, the whole nickname goes")
    .addOption(userOption()).addOption(configOption()).addOption(dataOption())
    .action(
      does(async (io, [name, ...addresses], options) =>
        (await import("../nickname.ts")).nicknameRemove(io, { name: name!, addresses }, options)
      ),
    );
}
