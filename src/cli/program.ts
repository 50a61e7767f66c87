/**
 * The command tree: every command, its arguments and options, its help with an example.
 *
 * Guarantees: a command's module is loaded when the command runs and not before, so that help and small commands start
 * fast. This file knows what can be typed and nothing of what it does; completions are generated from it.
 *
 * @module
 */
import { Argument, Command, Option } from "commander";
import { VERSION } from "../base/version.ts";
import type { Io } from "./io.ts";

/** What a command gives back: its exit code, 0 where it gives none. */
type Done = Promise<number | void>;
type Run = (io: Io, positional: readonly string[], options: Options) => Done;

/** Options as typed, by their camel-cased names. */
export type Options = Readonly<Record<string, unknown>>;

/** Lines longer than this are hard to read. */
const HELP_WIDTH = 80;

export interface Program {
  readonly root: Command;
  /** What the command that ran gave back. */
  exitCode(): number;
}

/** Builds the tree. Parsing throws commander's own errors and prints nothing but help. */
export function buildProgram(io: Io): Program {
  let exitCode = 0;
  const root = new Command("emsmail")
    .description("A mail system in one file: SMTP, POP3, its store and its commands.")
    .exitOverride()
    .enablePositionalOptions()
    .showSuggestionAfterError(true)
    .configureOutput({
      // Errors are told once, in one form, by the caller of parseAsync().
      outputError: () => {},
      writeOut: (text) => void io.out(text),
      writeErr: (text) => void io.err(text),
      getOutHelpWidth: () => Math.min(io.width ?? HELP_WIDTH, HELP_WIDTH),
      getErrHelpWidth: () => Math.min(io.width ?? HELP_WIDTH, HELP_WIDTH),
      getOutHasColors: () => io.colour,
      getErrHasColors: () => io.colourErr,
    })
    .configureHelp({
      styleTitle: (title) => `\u001b[1m${title}\u001b[22m`,
      subcommandTerm: (command) =>
        [command.name(), ...command.registeredArguments.map(argumentTerm)].join(" "),
      // What may be chosen stands in the descriptions.
      optionDescription: (option) => option.description,
      argumentDescription: (argument) => argument.description,
    })
    .version(`emsmail ${VERSION}`, "-V, --version", "print the version")
    .addOption(configOption())
    .addOption(dataOption())
    .helpOption("-h, --help", "show help")
    .helpCommand("help [command]", "show a command's help");

  /** Makes an action that runs `run` with the arguments flattened and the options of the leaf over those of the root. */
  const does = (run: Run) => async (...received: unknown[]): Promise<void> => {
    const command = received.at(-1) as Command;
    const positional = received.slice(0, -2).flat().filter((value) => value !== undefined) as string[];
    exitCode = await run(io, positional, { ...root.opts(), ...command.opts() }) ?? 0;
  };

  addServe(root, does);
  addUser(root, does);
  addAlias(root, does);
  addMail(root, does);
  addTrace(root, does);
  addConfig(root, does);
  addOthers(root, does);
  root.addHelpText(
    "after",
    examplesText(["emsmail serve", "emsmail user add alice", "emsmail help user add"]),
  );
  return { root, exitCode: () => exitCode };
}

type Does = (run: Run) => (...received: unknown[]) => Promise<void>;

function addServe(root: Command, does: Does): void {
  leaf(root, "serve", {
    summary: "run the mail system",
    description: "Runs the mail system until it is told to stop (SIGTERM or Ctrl-C).",
    examples: ["emsmail serve", "emsmail serve --data /var/lib/emsmail --domain example.org"],
  })
    .option("--hostname <host>", "the name it gives itself")
    .addOption(domainOption("a mail domain it serves; may be given more than once"))
    .addOption(
      // The configuration's own check says why a mode can't be had; the words are for completions.
      new Option("--relay-mode <mode>", "the network it lives in: intranet").choices(["intranet"])
        .argParser((mode: string) => mode),
    )
    .addOption(configOption()).addOption(dataOption())
    .action(does(async (io, _, options) => (await import("./serve.ts")).runServe(io, options)));
}

function addUser(root: Command, does: Does): void {
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
    .action(does(async (io, [name], options) => (await import("./user.ts")).userAdd(io, name!, options)));
  leaf(user, "list", {
    summary: "list all accounts",
    description: "Lists all accounts with what their maildrops hold.",
    examples: ["emsmail user list", "emsmail user list --json"],
  })
    .addOption(jsonOption()).addOption(configOption()).addOption(dataOption())
    .action(does(async (io, _, options) => (await import("./user.ts")).userList(io, options)));
  leaf(user, "show", {
    summary: "show one account",
    description: "Shows everything about one account.",
    examples: ["emsmail user show alice"],
  })
    .argument("<name>", "the account")
    .addOption(jsonOption()).addOption(configOption()).addOption(dataOption())
    .action(does(async (io, [name], options) => (await import("./user.ts")).userShow(io, name!, options)));
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
    .action(does(async (io, [name], options) => (await import("./user.ts")).userSet(io, name!, options)));
  leaf(user, "passwd", {
    summary: "give an account a new password",
    description: "Gives an account a new password; the old one is of no use from then on.",
    examples: ["emsmail user passwd alice", "emsmail user passwd alice --password-stdin < secret.txt"],
  })
    .argument("<name>", "the account")
    .addOption(passwordStdinOption()).addOption(generateOption())
    .addOption(configOption()).addOption(dataOption())
    .action(does(async (io, [name], options) => (await import("./user.ts")).userPasswd(io, name!, options)));
  leaf(user, "remove", {
    summary: "remove an account and its mail",
    description: "Removes an account, all mail in its maildrop, and its place in every alias.",
    examples: ["emsmail user remove alice", "emsmail user remove alice --yes"],
  })
    .argument("<name>", "the account")
    .option("-y, --yes", "don't ask").addOption(configOption()).addOption(dataOption())
    .action(does(async (io, [name], options) => (await import("./user.ts")).userRemove(io, name!, options)));
}

function addAlias(root: Command, does: Does): void {
  const alias = branch(root, "alias", "names that stand for others, and catch-alls");
  leaf(alias, "add", {
    summary: "make an alias, or add targets to one",
    description: "Makes an alias, or adds targets to one that is there.",
    examples: ["emsmail alias add sales alice bob", "emsmail alias add @example.org alice"],
  })
    .argument("<name>", "sales, sales@example.org, or @example.org for every name that domain doesn't know")
    .argument("<target...>", "accounts or aliases of this system")
    .addOption(domainOption("a mail domain, where 'serve' is given it as an option too"))
    .addOption(configOption()).addOption(dataOption())
    .action(
      does(async (io, [name, ...targets], options) =>
        (await import("./alias.ts")).aliasAdd(io, { name: name!, targets }, options)
      ),
    );
  leaf(alias, "list", {
    summary: "list all aliases",
    description: "Lists all aliases and catch-alls with their targets.",
    examples: ["emsmail alias list"],
  })
    .addOption(jsonOption()).addOption(configOption()).addOption(dataOption())
    .action(does(async (io, _, options) => (await import("./alias.ts")).aliasList(io, options)));
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
        (await import("./alias.ts")).aliasRemove(io, { name: name!, targets }, options)
      ),
    );
}

function addMail(root: Command, does: Does): void {
  const mail = branch(root, "mail", "look into an account's maildrop");
  leaf(mail, "list", {
    summary: "list a maildrop's messages",
    description: "Lists a maildrop's messages, oldest first.",
    examples: ["emsmail mail list --user alice", "emsmail mail list --user alice --last 20"],
  })
    .addOption(userOption())
    .option("--last <number>", "only the newest so many")
    .addOption(jsonOption()).addOption(configOption()).addOption(dataOption())
    .action(does(async (io, _, options) => (await import("./mail.ts")).mailList(io, options)));
  leaf(mail, "read", {
    summary: "show a message",
    description: "Shows who sent a message, to whom, and its text.",
    examples: ["emsmail mail read 1 --user alice", "emsmail mail read 1 --user alice --raw > 1.eml"],
  })
    .argument("<id>", "the message's id, or its number in 'mail list'")
    .addOption(userOption())
    .option("--raw", "print all of it, octet for octet where that goes to a file or a pipe")
    .addOption(configOption()).addOption(dataOption())
    .action(does(async (io, [id], options) => (await import("./mail.ts")).mailRead(io, id!, options)));
  leaf(mail, "delete", {
    summary: "take messages out of a maildrop",
    description: "Takes messages out of a maildrop: all of those named, or none.",
    examples: ["emsmail mail delete 00kq3v8g40 --user alice"],
  })
    .argument("<id...>", "ids from 'mail list'")
    .addOption(userOption()).addOption(configOption()).addOption(dataOption())
    .action(does(async (io, ids, options) => (await import("./mail.ts")).mailDelete(io, ids, options)));
}

function addTrace(root: Command, does: Does): void {
  leaf(root, "trace", {
    summary: "tell a message's whole life",
    description: "Tells where a message came from, whom it reached and when, and who took it.",
    examples: ["emsmail trace 00kq3v8g40", "emsmail trace '<20261124.1@example.org>'"],
  })
    .argument("<id>", "the id this system gave it, or its Message-ID")
    .addOption(jsonOption()).addOption(configOption()).addOption(dataOption())
    .action(does(async (io, [id], options) => (await import("./trace.ts")).trace(io, id!, options)));
}

function addConfig(root: Command, does: Does): void {
  const config = branch(root, "config", "check the configuration, and look up what can stand in it");
  leaf(config, "check", {
    summary: "check the configuration",
    description: "Checks the configuration and says where it is wrong.",
    examples: ["emsmail config check", "emsmail config check --config /etc/emsmail.yaml"],
  })
    .addOption(configOption())
    .action(does(async (io, _, options) => (await import("./config.ts")).configCheck(io, options)));
  leaf(config, "describe", {
    summary: "explain every setting",
    description: "Prints every setting with its meaning and its default.",
    examples: ["emsmail config describe | less"],
  })
    .addOption(jsonOption())
    .action(does(async (io, _, options) => (await import("./config.ts")).configDescribe(io, options)));
  leaf(config, "example", {
    summary: "print a configuration to start from",
    description: "Prints a configuration to start from.",
    examples: ["emsmail config example > emsmail.yaml"],
  })
    .action(does(async (io) => (await import("./config.ts")).configExample(io)));
}

function addOthers(root: Command, does: Does): void {
  leaf(root, "version", {
    summary: "print the version, and what it is made of",
    description: "Prints the version, the engine it runs on and the SQLite version it carries.",
    examples: ["emsmail version", "emsmail version --json"],
  })
    .addOption(jsonOption())
    .action(does(async (io, _, options) => (await import("./version.ts")).version(io, options)));
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
    .action(does(async (io, [shell]) => (await import("./completions.ts")).completions(io, root, shell!)));
}

/** A command that only has commands. */
function branch(parent: Command, name: string, summary: string): Command {
  const description = `${summary[0]!.toUpperCase()}${summary.slice(1)}.`;
  return parent.command(name).summary(summary).description(description);
}

interface LeafWords {
  /** For the list of commands. */
  readonly summary: string;
  readonly description: string;
  readonly examples: readonly string[];
}

function leaf(parent: Command, name: string, { summary, description, examples }: LeafWords): Command {
  return parent.command(name).summary(summary).description(description).addHelpText(
    "after",
    examplesText(examples),
  );
}

/** `NAME`, `[NAME]`, `NAME...`: an argument as usage lines show it. */
function argumentTerm(argument: Argument): string {
  const name = `${argument.name()}${argument.variadic ? "..." : ""}`;
  return argument.required ? `<${name}>` : `[${name}]`;
}

function examplesText(lines: readonly string[]): string {
  return `\n${lines.length === 1 ? "Example" : "Examples"}:\n${lines.map((line) => `  ${line}\n`).join("")}`;
}

const configOption = (): Option =>
  new Option("--config <file>", "the configuration (default: ./emsmail.yaml, if it is there)");
const dataOption = (): Option => new Option("--data <dir>", "the data directory (default: as configured)");
const jsonOption = (): Option => new Option("--json", "print JSON");
const pop3Option = (): Option =>
  new Option("--pop3 <access>", "POP3 access: Y, N, or P (yes, and messages pass through whole)").choices([
    "P",
    "Y",
    "N",
  ]);
const sendAsOption = (): Option =>
  new Option("--send-as <whom>", "the sender addresses it may use: own or any").choices(["own", "any"]);
const passwordStdinOption = (): Option =>
  new Option("--password-stdin", "read the password from standard input's first line").conflicts("generate");
const generateOption = (): Option => new Option("--generate", "make a password and print it, once");
const userOption = (): Option => new Option("--user <name>", "the account").makeOptionMandatory();
const domainOption = (description: string): Option =>
  new Option("--domain <domain>", description)
    .argParser((value: string, previous: string[] | undefined) => [...(previous ?? []), value]);
