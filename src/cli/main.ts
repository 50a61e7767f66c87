/**
 * Runs one command line: parses it, runs the command, tells errors in one form, gives the exit code.
 *
 * Exit codes: 0 done, 1 failed, 2 the command line is wrong, 75 try again later (EX_TEMPFAIL of sysexits.h).
 * Errors go to standard error as `emsmail: <what is wrong>; <what to do next>`.
 *
 * @module
 */
import process from "node:process";
import { CommanderError } from "commander";
import type { Command } from "commander";
import { AdminError, explain } from "../admin/error.ts";
import { printableLine } from "../base/printable.ts";
import { bold, processIo } from "./io.ts";
import type { Io } from "./io.ts";
import { buildProgram } from "./program.ts";

export const EXIT = { done: 0, failed: 1, usage: 2, later: 75 } as const;

const EXIT_BY_FAILURE = { failed: EXIT.failed, usage: EXIT.usage, busy: EXIT.later } as const;

/** Runs this process's command line and ends the process with its exit code. */
export async function main(): Promise<void> {
  const io = processIo();
  const code = await run(process.argv.slice(2), io);
  // Wait until a slow reader has everything, then leave whatever may still be open behind.
  await io.out("");
  process.exit(code);
}

/** Runs a command line (without the program's own name) and gives its exit code. */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  const program = buildProgram(io);
  try {
    await program.root.parseAsync(helpLast(argv), { from: "user" });
    return program.exitCode();
  } catch (error) {
    if (error instanceof CommanderError) {
      return await tellUsage(error, { io, command: lastCommand(program.root, argv) });
    }
    return await tell(explain(error), io);
  }
}

/** Tells an error; one that nobody foresaw comes with its stack, for whoever is asked about it. */
async function tell(error: unknown, io: Io): Promise<number> {
  if (error instanceof AdminError) {
    await io.err(errorLine(error.message, error.advice, io));
    return EXIT_BY_FAILURE[error.failure];
  }
  // What the operating system refuses (a port, a file) its own sentence explains.
  if (error instanceof Error && /^E[A-Z\d]+$/.test(String((error as NodeJS.ErrnoException).code))) {
    await io.err(errorLine(error.message, "", io));
    return EXIT.failed;
  }
  const stack = error instanceof Error ? error.stack ?? error.message : String(error);
  await io.err(
    errorLine("this should not have happened", "please report it with what follows", io) + `${stack}\n`,
  );
  return EXIT.failed;
}

function errorLine(message: string, advice: string, io: Io): string {
  const sentence = advice === "" ? message : `${message}; ${advice}`;
  return `${bold("emsmail:", io.colourErr)} ${sentence.split("\n").map(printableLine).join("\n  ")}\n`;
}

/** Help asked for is done; everything else commander says is a wrong command line, said again in our own form. */
async function tellUsage(
  error: CommanderError,
  where: { readonly io: Io; readonly command: Command },
): Promise<number> {
  if (error.exitCode === 0) return EXIT.done;
  // A command that only has subcommands was given none: its help has been printed to standard error.
  if (error.code === "commander.help") return EXIT.usage;
  await where.io.err(errorLine(...usageWords(error, commandPath(where.command)), where.io));
  return EXIT.usage;
}

/** What is wrong with the command line and what to do, in our own words where commander's need the reader to know it. */
function usageWords(error: CommanderError, path: string): [message: string, advice: string] {
  const said = error.message.replace(/^error: /, "").replace(/\.$/, "");
  const see = `see '${path} --help'`;
  const guess = /\n\(Did you mean (?:one of )?(.*)\?\)$/.exec(said);
  if (guess !== null) return [said.slice(0, guess.index), `did you mean ${guess[1]}?`];
  const quoted = [...said.matchAll(/'([^']*)'/g)].map((match) => match[1]!);
  switch (error.code) {
    case "commander.missingArgument":
      return [`${path} needs ${/^[aeiou]/.test(quoted[0]!) ? "an" : "a"} ${quoted[0]}`, see];
    case "commander.missingMandatoryOptionValue":
      return [`${path} needs ${quoted[0]}`, see];
    case "commander.optionMissingArgument":
      return [`${quoted[0]} needs its value`, see];
    case "commander.excessArguments":
      return [`there is more on the command line than '${path}' takes`, see];
    case "commander.invalidArgument": {
      const allowed = /Allowed choices are (.*)$/.exec(said)?.[1];
      if (allowed !== undefined) return [`${quoted[0]} can't be '${quoted[1]}'`, `it may be ${allowed}`];
      return [said, see];
    }
    case "commander.conflictingOption":
      return [`${quoted[0]} and ${quoted[1]} don't go together`, "give one of them"];
    default:
      return [said, see];
  }
}

/** `help user add` as `user add --help`: commander's own help command goes one level deep only. */
function helpLast(argv: readonly string[]): string[] {
  const [first, ...words] = argv;
  return first === "help" && words.length > 1 ? [...words, "--help"] : [...argv];
}

/** The deepest command that the words name, for pointing at its help. */
function lastCommand(root: Command, argv: readonly string[]): Command {
  let command = root;
  for (const word of argv) {
    const next = command.commands.find((candidate) => candidate.name() === word);
    if (next !== undefined) command = next;
  }
  return command;
}

/** `emsmail user add`. */
function commandPath(command: Command): string {
  return command.parent === null ? command.name() : `${commandPath(command.parent)} ${command.name()}`;
}
