/**
 * `emsmail user …`, as it can be typed.
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
  generateOption,
  jsonOption,
  leaf,
  passwordStdinOption,
  pop3Option,
  sendAsOption,
} from "./parts.ts";

export function addUser(root: Command, does: Does): void {
  const user = branch(root, "user", "add, look at, change and remove accounts");
  leaf(user, "add", {
    summary: "add an account",
    description: "Adds an account. Its password is asked for, unless an option says where it comes from.",
    examples: ["emsmail user add alice", "emsmail user add bob --generate --quota-bytes 2GiB"],
  })
    .argument("<name>", "alice (at every domain of this system) or alice@example.org (at that one)")
    .addOption(passwordStdinOption()).addOption(generateOption()).addOption(pop3Option())
    .option("--quota-bytes <size>", "what the maildrop may hold, such as 500MiB; 0 for any amount")
    .option("--quota-messages <number>", "how many messages it may hold; 0 for any number")
    .addOption(sendAsOption())
    .addOption(domainOption("a mail domain, where 'serve' is given it as an option too"))
    .addOption(configOption()).addOption(dataOption())
    .action(does(async (io, [name], options) => (await import("../user.ts")).userAdd(io, name!, options)));
  leaf(user, "list", {
    summary: "list all accounts",
    description: "Lists all accounts with what their maildrops hold.",
    examples: ["emsmail user list", "emsmail user list --json"],
  })
    .addOption(jsonOption()).addOption(configOption()).addOption(dataOption())
    .action(does(async (io, _, options) => (await import("../user.ts")).userList(io, options)));
  leaf(user, "show", {
    summary: "show one account",
    description: "Shows everything about one account.",
    examples: ["emsmail user show alice"],
  })
    .argument("<name>", "the account")
    .addOption(jsonOption()).addOption(configOption()).addOption(dataOption())
    .action(does(async (io, [name], options) => (await import("../user.ts")).userShow(io, name!, options)));
  leaf(user, "set", {
    summary: "change an account's settings",
    description: "Changes an account's settings; what is not named stays as it is.",
    examples: ["emsmail user set alice --quota-bytes 2GiB --send-as any"],
  })
    .argument("<name>", "the account")
    .addOption(pop3Option())
    .option("--quota-bytes <size>", "what the maildrop may hold; 0 for any amount, or 'default'")
    .option("--quota-messages <number>", "how many messages it may hold; 0 for any number, or 'default'")
    .addOption(sendAsOption()).addOption(configOption()).addOption(dataOption())
    .action(does(async (io, [name], options) => (await import("../user.ts")).userSet(io, name!, options)));
  leaf(user, "passwd", {
    summary: "give an account a new password",
    description: "Gives an account a new password; the old one is of no use from then on.",
    examples: ["emsmail user passwd alice", "emsmail user passwd alice --password-stdin < secret.txt"],
  })
    .argument("<name>", "the account")
    .addOption(passwordStdinOption()).addOption(generateOption())
    .addOption(configOption()).addOption(dataOption())
    .action(does(async (io, [name], options) => (await import("../user.ts")).userPasswd(io, name!, options)));
  leaf(user, "remove", {
    summary: "remove an account and its mail",
    description: "Removes an account, all mail in its maildrop, and its place in every alias.",
    examples: ["emsmail user remove alice", "emsmail user remove alice --yes"],
  })
    .argument("<name>", "the account")
    .option("-y, --yes", "don't ask").addOption(configOption()).addOption(dataOption())
    .action(does(async (io, [name], options) => (await import("../user.ts")).userRemove(io, name!, options)));
}
