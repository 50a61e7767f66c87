/**
 * The command tree: every command, its arguments and options, its help with an example.
 *
 * Guarantees: a command's module is loaded when the command runs and not before, so that help and small commands start
 * fast. This file and commands/ know what can be typed and nothing of what it does; completions are generated from it.
 *
 * @module
 */
import { Command } from "commander";
import { VERSION } from "../base/version.ts";
import { addAlias } from "./commands/alias.ts";
import { addConfig } from "./commands/config.ts";
import { addDirectory } from "./commands/directory.ts";
import { addDkim } from "./commands/dkim.ts";
import { addMail } from "./commands/mail.ts";
import { addNickname } from "./commands/nickname.ts";
import { addOthers } from "./commands/others.ts";
import { addQueue } from "./commands/queue.ts";
import { addReport } from "./commands/report.ts";
import { addRoute, addTopology } from "./commands/route.ts";
import { addServe } from "./commands/serve.ts";
import { addTrace } from "./commands/trace.ts";
import { addUser } from "./commands/user.ts";
import {
  argumentTerm,
  configOption,
  dataOption,
  examplesText,
  type Options,
  type Run,
} from "./commands/parts.ts";
import type { Io } from "./io.ts";

export type { Options };

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
  addDirectory(root, does);
  addNickname(root, does);
  addMail(root, does);
  addReport(root, does);
  addQueue(root, does);
  addTrace(root, does);
  addDkim(root, does);
  addRoute(root, does);
  addTopology(root, does);
  addConfig(root, does);
  addOthers(root, does);
  root.addHelpText(
    "after",
    examplesText(["emsmail serve", "emsmail user add alice", "emsmail help user add"]),
  );
  return { root, exitCode: () => exitCode };
}
