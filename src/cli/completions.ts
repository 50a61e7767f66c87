/**
 * `emsmail completions`: scripts for bash, zsh and fish, made from the command tree.
 *
 * Guarantees: what is completed is what the parser takes, since both read the same tree; the scripts need nothing
 * beside the shell and never run emsmail.
 *
 * @module
 */
import type { Command } from "commander";
import { commandTree, flatten } from "./command_tree.ts";
import type { CommandNode, OptionNode, Values } from "./command_tree.ts";
import type { Io } from "./io.ts";

const SCRIPTS: { readonly [shell: string]: (tree: CommandNode) => string } = {
  bash: bashCompletions,
  zsh: zshCompletions,
  fish: fishCompletions,
};

/** Prints the script for a shell that the parser has checked. */
export async function completions(io: Io, root: Command, shell: string): Promise<void> {
  await io.out(SCRIPTS[shell]!(commandTree(root)));
}

// ---------------------------------------------------------------- bash

/** A script for bash 4 and up. */
export function bashCompletions(tree: CommandNode): string {
  const commands = flatten(tree);
  const children = commands.filter((node) => node.commands.length > 0);
  return `# Completions of emsmail for bash. Use: source <(emsmail completions bash)
_emsmail() {
  local cur=\${COMP_WORDS[COMP_CWORD]} path=emsmail word option="" i places=0
  # Where "=" breaks words, --option=value comes as three of them.
  local words=()
  for ((i = 1; i <= COMP_CWORD; i++)); do
    [[ \${COMP_WORDS[i]} == "=" && i -lt COMP_CWORD ]] || words+=("\${COMP_WORDS[i]}")
  done
  if [[ $cur == "=" ]]; then cur=""; fi
  local last=$((\${#words[@]} - 1))
  for ((i = 0; i < last; i++)); do
    word=\${words[i]}
    if [[ -n $option ]]; then option=""; continue; fi
    case "$path $word" in
${
    children.flatMap((node) => node.commands).map((node) =>
      `      "${bashPath(node, 1)} ${node.path.at(-1)}") path="${bashPath(node, 0)}"; continue ;;`
    ).join("\n")
  }
    esac
    case "$path $word" in
${commands.flatMap(bashTakers).join("\n")}
      *" -"*) ;;
      *) places=$((places + 1)) ;;
    esac
  done
  COMPREPLY=()
  if [[ -n $option ]]; then
    case "$path $option" in
${commands.flatMap(bashOptionValues).join("\n")}
    esac
    return
  fi
  case "$path" in
${commands.map(bashWords).join("\n")}
  esac
}
complete -F _emsmail emsmail
`;
}

const bashPath = (node: CommandNode, without: number): string =>
  ["emsmail", ...node.path.slice(0, node.path.length - without)].join(" ");

/** Case branches that notice options which take a value. */
function bashTakers(node: CommandNode): string[] {
  const names = takers(node).flatMap((option) => option.names);
  if (names.length === 0) return [];
  return [`      ${names.map((name) => `"${bashPath(node, 0)} ${name}"`).join(" | ")}) option=$word ;;`];
}

function bashOptionValues(node: CommandNode): string[] {
  return takers(node).filter((option) => option.values !== "unknown").map((option) =>
    `      ${option.names.map((name) => `"${bashPath(node, 0)} ${name}"`).join(" | ")}) ${
      bashReply(option.values!)
    } ;;`
  );
}

function bashReply(values: Values): string {
  if (values === "files") {
    return `compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur")`;
  }
  if (values === "folders") {
    return `compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$cur")`;
  }
  if (values === "unknown") return ":";
  return `COMPREPLY=($(compgen -W "${values.join(" ")}" -- "$cur"))`;
}

function bashWords(node: CommandNode): string {
  const options = node.options.flatMap((option) => option.names.slice(0, 1)).join(" ");
  const names = node.commands.map((child) => child.path.at(-1)!);
  const first = node.positional[0];
  const words = names.length > 0 ? names : Array.isArray(first) ? first : [];
  return `    "${bashPath(node, 0)}")
      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W "${options}" -- "$cur"))
      elif ((places == 0)); then ${words.length === 0 ? ":" : bashReply(words)}; fi ;;`;
}

const takers = (node: CommandNode): readonly OptionNode[] =>
  node.options.filter((option) => option.values !== undefined);

// ---------------------------------------------------------------- zsh

/** A script to be put into a folder of zsh's fpath as `_emsmail`. */
export function zshCompletions(tree: CommandNode): string {
  return `#compdef emsmail
# Completions of emsmail for zsh. Use: emsmail completions zsh > a folder of your fpath, as _emsmail

${flatten(tree).map(zshFunction).join("\n")}
if [[ $funcstack[1] == _emsmail ]]; then _emsmail "$@"; else compdef _emsmail emsmail; fi
`;
}

const zshName = (node: CommandNode): string => ["_emsmail", ...node.path].join("_");

function zshFunction(node: CommandNode): string {
  const specs = [...node.options.map(zshOption), ...zshPositional(node)].map((spec) => `    ${spec}`);
  if (node.commands.length === 0) {
    return `${zshName(node)}() {\n  _arguments -s \\\n${specs.join(" \\\n")}\n}\n`;
  }
  return `${zshName(node)}() {
  local context state state_descr line
  typeset -A opt_args
  _arguments -s -C \\
${[...specs, "    '1: :->command'", "    '*:: :->rest'"].join(" \\\n")}
  case $state in
    command)
      local -a commands=(
${node.commands.map((child) => `        ${zshQuote(`${child.path.at(-1)}:${child.summary}`)}`).join("\n")}
      )
      _describe command commands ;;
    rest)
      case $line[1] in
${node.commands.map((child) => `        ${child.path.at(-1)}) ${zshName(child)} ;;`).join("\n")}
      esac ;;
  esac
}
`;
}

function zshOption(option: OptionNode): string {
  const text = option.description.replace(/[[\]:]/g, "\\$&");
  const value = option.values === undefined ? "" : `:value:${zshAction(option.values)}`;
  const [long, short] = option.names;
  if (short === undefined) return zshQuote(`${long}[${text}]${value}`);
  return `${zshQuote(`(${long} ${short})`)}{${long},${short}}${zshQuote(`[${text}]${value}`)}`;
}

function zshPositional(node: CommandNode): string[] {
  return node.positional.map((values) => zshQuote(`:value:${zshAction(values)}`));
}

function zshAction(values: Values): string {
  if (values === "files") return "_files";
  if (values === "folders") return "_files -/";
  return values === "unknown" ? " " : `(${values.join(" ")})`;
}

const zshQuote = (text: string): string => `'${text.replace(/'/g, "'\\''")}'`;

// ---------------------------------------------------------------- fish

/** A script for fish's completions folder. */
export function fishCompletions(tree: CommandNode): string {
  const lines = flatten(tree).flatMap(fishCommand);
  return `# Completions of emsmail for fish. Use: emsmail completions fish > ~/.config/fish/completions/emsmail.fish
# Whether the words before the cursor, without options, begin with exactly the commands given.
function __emsmail_at
    set -l typed (commandline -opc)[2..]
    for wanted in $argv
        test (count $typed) -gt 0; and test "$typed[1]" = "$wanted"; or return 1
        set -e typed[1]
    end
    test (count $argv) -gt 0; or test (count $typed) -eq 0
end
function __emsmail_next
    __emsmail_at $argv; and test (count (commandline -opc)) -eq (math (count $argv) + 1)
end
complete -c emsmail -f
${lines.join("\n")}
`;
}

function fishCommand(node: CommandNode): string[] {
  const at = fishQuote(["__emsmail_at", ...node.path].join(" "));
  const next = fishQuote(["__emsmail_next", ...node.path].join(" "));
  const first = node.positional[0];
  return [
    ...node.commands.map((child) =>
      `complete -c emsmail -n ${next} -a ${child.path.at(-1)} -d ${fishQuote(child.summary)}`
    ),
    ...(Array.isArray(first) ? [`complete -c emsmail -n ${next} -a ${fishQuote(first.join(" "))}`] : []),
    ...node.options.map((option) =>
      [
        `complete -c emsmail -n ${at}`,
        ...option.names.map((name) => name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`),
        fishValues(option.values),
        `-d ${fishQuote(option.description)}`,
      ].filter((part) => part !== "").join(" ")
    ),
  ];
}

function fishValues(values: Values | undefined): string {
  if (values === undefined) return "";
  if (values === "files") return "-r -F";
  if (values === "folders") return `-x -a '(__fish_complete_directories)'`;
  return values === "unknown" ? "-x" : `-x -a ${fishQuote(values.join(" "))}`;
}

const fishQuote = (text: string): string => `'${text.replace(/[\\']/g, "\\$&")}'`;
