/**
 * `emsmail user …`, as it can be typed.
 *
 * @module
 */
import { type Command, Option } from "commander";
import {
  branch,
  configOption,
  dataOption,
  type Does,
  domainOption,
  generateOption,
  identityOptions,
  jsonOption,
  leaf,
  passwordStdinOption,
  pop3Option,
  sendAsOption,
  severalOption,
} from "./parts.ts";

/** What a profile has beside a maildrop's limits. */
function profileOptions(): Option[] {
  return [
    ...identityOptions(),
    pop3Option(),
    new Option("--view <order>", "which messages it shows first: oldest or newest").choices([
      "oldest",
      "newest",
    ]),
    severalOption("--forward <target>", "send its mail on to a name here or an address elsewhere"),
    new Option("--forward-keep", "keep a copy of what is sent on in its own maildrop"),
  ];
}

/** A command with options; each call makes a command's own. */
function withOptions(command: Command, options: readonly Option[]): Command {
  for (const option of options) command.addOption(option);
  return command;
}

export function addUser(root: Command, does: Does): void {
  const user = branch(root, "user", "add, look at, change and remove accounts");
  const add = leaf(user, "add", {
    summary: "add an account",
    description: "Adds an account. Its password is asked for, unless an option says where it comes from.",
    examples: ["emsmail user add alice", "emsmail user add bob --generate --display-name 'Bob Lee'"],
  })
    .argument("<name>", "alice (at every domain of this system) or alice@example.org (at that one)")
    .addOption(passwordStdinOption()).addOption(generateOption());
  withOptions(add, profileOptions())
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
    description: "Shows an account's profile: who it is, and what becomes of its mail.",
    examples: ["emsmail user show alice"],
  })
    .argument("<name>", "the account")
    .addOption(jsonOption()).addOption(configOption()).addOption(dataOption())
    .action(does(async (io, [name], options) => (await import("../user.ts")).userShow(io, name!, options)));
  const set = leaf(user, "set", {
    summary: "change an account's profile",
    description: "Changes an account's profile; what is not named stays as it is.",
    examples: [
      "emsmail user set bob --pop3 P --quota-bytes 2GiB",
      "emsmail user set bob --forward bob@example.com --forward-keep",
    ],
  })
    .argument("<name>", "the account");
  withOptions(set, profileOptions())
    .option("--no-forward", "keep all its mail here")
    .option("--no-forward-keep", "keep no copy of what is sent on")
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
