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
  const nodes = flatten(tree);
  return `# Completions of emsmail for bash. Use: source <(emsmail completions bash)
_emsmail() {
  # By command: what may follow, and its options. By option that takes a value: what completes it.
  local -A words=(
${bashEntries(nodes.map((node) => [bashKey(node), bashWords(node)]))}
  )
  local -A options=(
${bashEntries(nodes.map((node) => [bashKey(node), node.options.map(({ names }) => names[0]!).join(" ")]))}
  )
  local -A values=(
${bashEntries(nodes.flatMap((node) => node.options).flatMap(bashValues))}
  )
  local path=emsmail cur=\${COMP_WORDS[COMP_CWORD]} option="" places=0 i word
  if [[ $cur == "=" ]]; then cur=""; fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    # Where "=" breaks words, --option=value comes as three of them.
    if [[ $word == "=" ]]; then continue; fi
    if [[ -n $option ]]; then
      option=""
    elif [[ $word == -* ]]; then
      if [[ -v values[$word] ]]; then option=$word; fi
    elif [[ -v options["$path $word"] ]]; then
      path="$path $word"
    else
      places=$((places + 1))
    fi
  done
  COMPREPLY=()
  if [[ -n $option ]]; then
    case \${values[$option]} in
      files) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
      folders) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
      *) mapfile -t COMPREPLY < <(compgen -W "\${values[$option]}" -- "$cur") ;;
    esac
  elif [[ $cur == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "\${options[$path]}" -- "$cur")
  elif ((places == 0)); then
    mapfile -t COMPREPLY < <(compgen -W "\${words[$path]}" -- "$cur")
  fi
}
complete -F _emsmail emsmail
`;
}

const bashKey = (node: CommandNode): string => ["emsmail", ...node.path].join(" ");

/** Lines of an associative array, each key once. */
function bashEntries(entries: readonly (readonly [key: string, value: string])[]): string {
  return [...new Map(entries)].map(([key, value]) => `    ["${key}"]="${value}"`).join("\n");
}

/** What may stand first behind a command. */
function bashWords(node: CommandNode): string {
  if (node.commands.length > 0) return node.commands.map((child) => child.path.at(-1)).join(" ");
  const first = node.positional[0];
  return Array.isArray(first) ? first.join(" ") : "";
}

/** An option has the same kind of value wherever it is taken. */
function bashValues({ names, values }: OptionNode): (readonly [string, string])[] {
  if (values === undefined) return [];
  const text = values === "unknown" ? "" : typeof values === "string" ? values : values.join(" ");
  return names.map((name) => [name, text] as const);
}

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
# Whether the words before the cursor begin with the commands given; without any, whether there is no command yet.
function __emsmail_at
    set -l typed (commandline -opc)[2..]
    for wanted in $argv
        test (count $typed) -gt 0; and test "$typed[1]" = "$wanted"; or return 1
        set -e typed[1]
    end
    test (count $argv) -gt 0; or test (count $typed) -eq 0
end
# The same, and nothing else stands before the cursor.
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
