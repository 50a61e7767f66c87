/**
 * What the commands' declarations have in common: how a command is made, and the options that several have.
 *
 * @module
 */
import { type Argument, type Command, Option } from "commander";
import type { Io } from "../io.ts";

/** What a command gives back: its exit code, 0 where it gives none. */
type Done = Promise<number | void>;
export type Run = (io: Io, positional: readonly string[], options: Options) => Done;

/** Makes an action of what a command does. */
export type Does = (run: Run) => (...received: unknown[]) => Promise<void>;

/** Options as typed, by their camel-cased names. */
export type Options = Readonly<Record<string, unknown>>;

/** A command that only has commands. */
export function branch(parent: Command, name: string, summary: string): Command {
  const description = `${summary[0]!.toUpperCase()}${summary.slice(1)}.`;
  return parent.command(name).summary(summary).description(description);
}

/** What help says of a command. */
export interface LeafWords {
  /** For the list of commands. */
  readonly summary: string;
  readonly description: string;
  readonly examples: readonly string[];
}

/** A command that does something. */
export function leaf(parent: Command, name: string, { summary, description, examples }: LeafWords): Command {
  return parent.command(name).summary(summary).description(description).addHelpText(
    "after",
    examplesText(examples),
  );
}

/** `NAME`, `[NAME]`, `NAME...`: an argument as usage lines show it. */
export function argumentTerm(argument: Argument): string {
  const name = `${argument.name()}${argument.variadic ? "..." : ""}`;
  return argument.required ? `<${name}>` : `[${name}]`;
}

/** The end of a help text. */
export function examplesText(lines: readonly string[]): string {
  return `\n${lines.length === 1 ? "Example" : "Examples"}:\n${lines.map((line) => `  ${line}\n`).join("")}`;
}

export const configOption = (): Option =>
  new Option("--config <file>", "the configuration (default: ./emsmail.yaml, if it is there)");
export const dataOption = (): Option =>
  new Option("--data <dir>", "the data directory (default: as configured)");
export const jsonOption = (): Option => new Option("--json", "print JSON");
export const pop3Option = (): Option =>
  new Option("--pop3 <access>", "POP3 access: Y, N, or P (yes, and messages pass through whole)").choices([
    "P",
    "Y",
    "N",
  ]);
export const sendAsOption = (): Option =>
  new Option("--send-as <whom>", "the sender addresses it may use: own or any").choices(["own", "any"]);
export const passwordStdinOption = (): Option =>
  new Option("--password-stdin", "read the password from standard input's first line").conflicts("generate");
export const generateOption = (): Option => new Option("--generate", "make a password and print it, once");
export const userOption = (): Option => new Option("--user <name>", "the account").makeOptionMandatory();
/** The value of an option that was given once more. */
export function gathered(value: string, before: string[] | undefined): string[] {
  return [...before ?? [], value];
}
export const domainOption = (description: string): Option =>
  new Option("--domain <domain>", description)
    .argParser(gathered);
/** An option that may be given several times. */
export const severalOption = (flags: string, description: string): Option =>
  new Option(flags, `${description}; may be given several times`)
    .argParser(gathered);
/** Who somebody is. */
export const identityOptions = (): Option[] => [
  new Option("--display-name <name>", "the name people know, such as 'Bob Lee'; '' for none"),
  new Option("--department <name>", "the department; '' for none"),
  new Option("--phone <number>", "the phone number; '' for none"),
];
export const relayModeOption = (): Option =>
  // The configuration's own check says why a mode can't be had; the words are for completions.
  new Option("--relay-mode <mode>", "the network it lives in: direct, buffer, intranet or combined")
    .choices(["direct", "buffer", "intranet", "combined"])
    .argParser((mode: string) => mode);
