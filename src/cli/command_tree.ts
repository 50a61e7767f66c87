/**
 * The command tree as data: what the completions know of commands, options and the values they take.
 *
 * @module
 */
import type { Argument, Command, Option } from "commander";

/** What completes a value: one of a few words, a file, a folder, or nothing that can be known. */
export type Values = readonly string[] | "files" | "folders" | "unknown";

export interface OptionNode {
  /** `--json`, `-y`: every way to write it. */
  readonly names: readonly string[];
  readonly description: string;
  /** undefined: it takes no value. */
  readonly values: Values | undefined;
}

export interface CommandNode {
  /** The words after `emsmail`: [] for the program itself. */
  readonly path: readonly string[];
  readonly summary: string;
  readonly commands: readonly CommandNode[];
  readonly options: readonly OptionNode[];
  /** What completes each argument; the last one goes on for ever where `variadic`. */
  readonly positional: readonly Values[];
}

/** Reads a command and all below it. */
export function commandTree(command: Command, path: readonly string[] = []): CommandNode {
  const { commands } = command;
  const children = commands.map((child) => commandTree(child, [...path, child.name()]));
  return {
    path,
    summary: command.summary() || command.description(),
    commands: path.length === 0 ? [...children, helpNode(commands)] : children,
    options: command.createHelp().visibleOptions(command).map(optionNode),
    positional: command.registeredArguments.map(argumentValues),
  };
}

/** `help` takes the name of a command. The parser has it of its own accord, outside the list of commands. */
function helpNode(commands: readonly Command[]): CommandNode {
  const names = commands.map((command) => command.name());
  return { path: ["help"], summary: "show a command's help", commands: [], options: [], positional: [names] };
}

/** A command and all below it, in one list. */
export function flatten(node: CommandNode): CommandNode[] {
  return [node, ...node.commands.flatMap(flatten)];
}

function optionNode(option: Option): OptionNode {
  const names = [option.long, option.short].filter((name) => name !== undefined);
  const takesValue = option.required || option.optional;
  return { names, description: option.description, values: takesValue ? optionValues(option) : undefined };
}

function optionValues(option: Option): Values {
  if (option.argChoices !== undefined) return option.argChoices;
  if (option.flags.includes("<file>")) return "files";
  return option.flags.includes("<dir>") ? "folders" : "unknown";
}

function argumentValues(argument: Argument): Values {
  return argument.argChoices ?? "unknown";
}
