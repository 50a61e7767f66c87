/**
 * The configuration: from a YAML text and command-line options to a typed value, or to everything that is wrong.
 *
 * Guarantees: pure, no file or environment is read; all problems are reported at once, each with its file and line (or
 * option), its setting, a sentence and, for a misspelt word, a suggestion; a configuration given back is complete and
 * within every limit, and can be cloned to other threads.
 *
 * @module
 */
// @ts-types="./yaml.d.ts"
import { parse, YamlSyntaxError } from "@std/yaml";
import { canonicalDomain, isDomain } from "../mail/address.ts";
import { checkTogether } from "./together.ts";
import { type Fault, faultText, type ListenAddress } from "./kinds.ts";
import { locate, type Path } from "./locate.ts";
import { at, defaults, merge, type PartOf, read, type Report, type ValueOf } from "./schema.ts";
import { SETTINGS } from "./settings.ts";

export type { Cidr, Days, ListenAddress, Milliseconds, Octets } from "./kinds.ts";
export { configReference, describeConfig, exampleConfig, type SettingDescription } from "./describe.ts";

/** Every setting's value. Sizes are in octets, durations in milliseconds, `pop3.expire` in days. */
export type Config = ValueOf<typeof SETTINGS>;
/** Some of the settings. */
export type ConfigPart = PartOf<typeof SETTINGS>;
export type ListenerName = keyof Config["listen"];
export type RelayMode = Config["relay"]["mode"];

/** One thing that is wrong; {@linkcode formatProblem} makes a line of it. */
export type ConfigProblem =
  & ({ readonly file: string; /** From 1. */ readonly line: number } | { readonly option: string })
  & {
    /** `limits.messageBytes`, `domains[1]`; "" for the text as a whole. */
    readonly path: string;
    /** A sentence whose subject is the path or the option. */
    readonly message: string;
    /** What was probably meant. */
    readonly suggestion?: string | undefined;
  };

export type ConfigResult = { readonly config: Config } | { readonly problems: readonly ConfigProblem[] };

export interface ParseOptions {
  /** The file's name, for problems only. */
  readonly file: string;
  /** The machine's name: the default for `hostname`; ignored where it isn't a domain name. */
  readonly machineName?: string;
}

/** The defaults, with `overrides` put over them unchecked; `hostname` is "localhost" unless given. */
export function defaultConfig(overrides: ConfigPart = {}): Config {
  return merge(SETTINGS, defaults(SETTINGS), overrides);
}

/** Reads a configuration file's text. */
export function parseConfig(text: string, options: ParseOptions): ConfigResult {
  const { file } = options;
  const document = parseYaml(text);
  if ("message" in document) return { problems: [{ file, path: "", ...document }] };

  const { line, duplicates, tabLines } = locate(text);
  const problems: ConfigProblem[] = tabLines.map((line) => (
    { file, line, path: "", message: "the line is indented with a tab: use spaces" }
  ));
  for (const { path, line, firstLine } of duplicates) {
    const message = `is set twice, here and on line ${firstLine}: keep one`;
    problems.push({ file, line, path: pathText(path), message });
  }
  const report: Report = (path, fault) =>
    problems.push({ file, line: line(path), ...problemOf(path, fault) });
  const given = read(SETTINGS, document.tree, report);
  const isHostnameSet = at(document.tree, ["hostname"]) !== undefined;
  const config = isHostnameSet ? given : defaultConfigFor(given, options.machineName);
  // Settings that don't fit each other are only judged once each is right by itself.
  if (problems.length === 0) checkTogether(config, report);
  if (problems.length === 0) return { config };
  return { problems: problems.sort((a, b) => ("line" in a && "line" in b ? a.line - b.line : 0)) };
}

/** The command-line options that stand for settings, by the names a command-line parser gives them. */
export interface OptionValues {
  readonly data?: string | undefined;
  readonly hostname?: string | undefined;
  readonly domain?: readonly string[] | undefined;
  readonly relayMode?: string | undefined;
}

const OPTIONS: {
  readonly [name in keyof Required<OptionValues>]: { option: string; path: readonly string[] };
} = {
  data: { option: "--data", path: ["data"] },
  hostname: { option: "--hostname", path: ["hostname"] },
  domain: { option: "--domain", path: ["domains"] },
  relayMode: { option: "--relay-mode", path: ["relay", "mode"] },
};

/** Puts command-line options over a configuration; they are checked as the file's settings are, and with those. */
export function applyOverrides(config: Config, values: OptionValues): ConfigResult {
  const problems: ConfigProblem[] = [];
  let result = config;
  for (const [name, { option, path }] of Object.entries(OPTIONS)) {
    const value = values[name as keyof OptionValues];
    if (value === undefined) continue;
    const tree = path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value);
    const reading = read(
      SETTINGS,
      tree,
      (path, fault) => problems.push({ option, ...problemOf(path, fault) }),
    );
    const part = path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), at(reading, path));
    result = merge(SETTINGS, result, part as ConfigPart);
  }
  // The file's settings fit each other; an option may have changed that.
  if (problems.length === 0) {
    checkTogether(result, (path, fault) => problems.push(optionProblem(values, path, fault)));
  }
  return problems.length > 0 ? { problems } : { config: result };
}

/** `emsmail.yaml:7: relay.mod is not a setting; did you mean relay.mode?` */
export function formatProblem(problem: ConfigProblem): string {
  const { path, message, suggestion } = problem;
  const subject = "option" in problem ? problem.option : `${problem.file}:${problem.line}: ${path}`.trimEnd();
  const hint = suggestion === undefined ? "" : `; did you mean ${suggestion}?`;
  return `${subject} ${message}${hint}`;
}

/** The listeners of a configuration that names none: the standard ports, or high ones where those can't be had. */
export function listenDefaults(
  privileged: "yes" | "no",
): { readonly [name in ListenerName]: readonly ListenAddress[] } {
  const on = (
    standard: number,
    high: number,
  ) => [{ host: undefined, port: privileged === "yes" ? standard : high }];
  return {
    smtp: on(25, 2525),
    submission: on(587, 2587),
    submissions: on(465, 2465),
    pop3: on(110, 2110),
    pop3s: on(995, 2995),
  };
}

// ---------------------------------------------------------------- leaves

function defaultConfigFor(config: Config, machineName = ""): Config {
  return isDomain(machineName) ? { ...config, hostname: canonicalDomain(machineName) } : config;
}

type Parsed = { readonly tree: unknown } | { readonly line: number; readonly message: string };

function parseYaml(text: string): Parsed {
  try {
    return { tree: parse(text) };
  } catch (error) {
    if (!(error instanceof YamlSyntaxError)) throw error;
    // Keys that stand twice are reported with everything else, unless `locate` can't see them (in a flow mapping).
    if (/duplicated key/.test(error.message) && locate(text).duplicates.length > 0) {
      return parseYamlWithDuplicates(text, error);
    }
    return syntaxProblem(error, text);
  }
}

function parseYamlWithDuplicates(text: string, first: YamlSyntaxError): Parsed {
  try {
    return { tree: parse(text, { allowDuplicateKeys: true }) };
  } catch (error) {
    return syntaxProblem(error instanceof YamlSyntaxError ? error : first, text);
  }
}

function syntaxProblem(error: YamlSyntaxError, text: string): Parsed {
  const line = text.split(/\r\n|\r|\n/)[error.line - 1] ?? "";
  const reason = error.message.split(" at line ")[0]!.replace(/\n.*/s, "");
  const hint = /(?:^|[\s[,])(?:\*:|\[[\da-f:.]*\]:)\d/i.test(line)
    ? '; an address such as "*:25" or "[::1]:25" needs quotes'
    : /^ *\t/.test(line)
    ? "; indent with spaces, not tabs"
    : "";
  return { line: error.line, message: `is not YAML, column ${error.column}: ${reason}${hint}` };
}

/** What an option has done to settings that fitted each other before: told of the option, since the file was all right. */
function optionProblem(values: OptionValues, path: Path, fault: Fault): ConfigProblem {
  const given = Object.entries(OPTIONS).filter(([name]) => values[name as keyof OptionValues] !== undefined);
  const own = given.find(([, option]) => option.path.join(".") === path.join("."));
  const { message, ...rest } = problemOf(path, fault);
  if (own !== undefined) return { option: own[1].option, message, ...rest };
  const options = given.map(([, { option }]) => option).join(" ") || "the options";
  return {
    option: options,
    message: `${given.length > 1 ? "don't" : "doesn't"} fit: ${rest.path} ${message}`,
    ...rest,
  };
}

function problemOf(
  path: Path,
  fault: Fault,
): { path: string; message: string; suggestion: string | undefined } {
  return { path: pathText(path), message: faultText(fault), suggestion: fault.suggestion };
}

function pathText(path: Path): string {
  return path.reduce<string>(
    (text, key) => typeof key === "number" ? `${text}[${key}]` : text === "" ? key : `${text}.${key}`,
    "",
  );
}
