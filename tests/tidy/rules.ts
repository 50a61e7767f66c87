/**
 * The layout rules of the source tree as functions: files in, offences out. Pure, so that each rule can be shown to bite.
 *
 * Deliberately absent: a real parser. The rules look at text with its comments taken out, which is enough for a tree that
 * `deno fmt` has formatted.
 *
 * @module
 */

export interface SourceFile {
  /** From the top folder, with slashes: `src/mail/address.ts`. */
  readonly path: string;
  readonly text: string;
}

/** Who may import whom: a folder imports lower ranks, and its own rank only inside itself. docs/ARCHITECTURE.md has the reasons. */
export const RANKS: Readonly<Record<string, number>> = {
  base: 0,
  mail: 1,
  mime: 2,
  sasl: 2,
  config: 2,
  contacts: 2,
  print: 2,
  smtp: 3,
  pop3: 3,
  tn3270: 3,
  gateway: 3,
  routing: 3,
  dkim: 3,
  store: 3,
  tls: 3,
  net: 4,
  server: 5,
  queue: 5,
  admin: 6,
  web: 7,
  terminal: 7,
  app: 8,
  cli: 9,
};

/** Folders without I/O, timers, clock or await (style rule 1). */
export const PURE_FOLDERS: readonly string[] = ["smtp", "pop3", "tn3270", "gateway", "routing"];

/** What may be taken from these modules anywhere: it opens nothing. */
const HARMLESS: Readonly<Record<string, readonly string[]>> = {
  net: ["BlockList", "SocketAddress", "isIP", "isIPv4", "isIPv6"],
  tls: ["createSecureContext"],
};
const SOCKET_MODULES = ["net", "tls", "dns", "dns/promises", "dgram", "http", "https", "http2"];

/** Packages that one folder keeps to itself, so that another could take their place. */
const PACKAGE_OWNERS: Readonly<Record<string, string>> = {
  commander: "cli",
  "dns-packet": "net",
  mailauth: "dkim",
};

/** Packages that only mailauth uses, and that the executable has substitutes for (.ci/slim/aliases.mjs). */
const SLIMMED_PACKAGES = ["joi", "tldts", "libmime"];

interface Import {
  readonly specifier: string;
  /** The names between braces; `*` for anything else. */
  readonly names: readonly string[];
  readonly typeOnly: boolean;
}

/** Text without comments; strings stay. Lines keep their numbers. */
export function withoutComments(text: string): string {
  return text
    .replace(/\/\*.*?\*\//gs, (comment) => comment.replace(/[^\n]/g, ""))
    .replace(/(^|\s)\/\/.*$/gm, "$1");
}

/** Every import and re-export, static and dynamic, of a module. */
export function importsOf(text: string): Import[] {
  const code = withoutComments(text);
  const found: Import[] = [];
  for (
    const match of code.matchAll(/\b(?:import|export)\s+(type\s+)?([^;"'()]*?)\s*\bfrom\s*["']([^"']+)["']/g)
  ) {
    const braces = /\{([^}]*)\}/.exec(match[2]!);
    const names = braces === null ? ["*"] : braces[1]!.split(",").map((name) => name.trim()).filter(Boolean);
    const typeOnly = match[1] !== undefined || names.every((name) => name.startsWith("type "));
    found.push({ specifier: match[3]!, names: names.map((name) => name.split(/\s+as\s+/)[0]!), typeOnly });
  }
  for (const match of code.matchAll(/\bimport\s*\(\s*["']([^"']+)["']|\bimport\s+["']([^"']+)["']/g)) {
    found.push({ specifier: match[1] ?? match[2]!, names: ["*"], typeOnly: false });
  }
  return found;
}

/** `src/smtp/core.ts` -> `smtp`, `src/app.ts` and `src/app/x.ts` -> `app`; undefined outside src. */
export function folderOf(path: string): string | undefined {
  const parts = path.split("/");
  return parts[0] === "src" ? parts[1]?.replace(/\.ts$/, "") : undefined;
}

function resolvePath(from: string, specifier: string): string {
  return new URL(specifier, `file:///${from}`).pathname.slice(1);
}

/** Imports that go up or sideways, and folders the table doesn't know. */
export function rankOffences(file: SourceFile): string[] {
  const folder = folderOf(file.path);
  if (folder === undefined) return [];
  const rank = RANKS[folder];
  if (rank === undefined) {
    return [`${file.path}: src/${folder} has no rank; add it to RANKS in tests/tidy/rules.ts`];
  }
  const offences: string[] = [];
  for (const { specifier } of importsOf(file.text)) {
    if (!specifier.startsWith(".")) continue;
    const target = resolvePath(file.path, specifier);
    const other = folderOf(target);
    const otherRank = other === undefined ? undefined : RANKS[other];
    if (other === folder) continue;
    if (otherRank === undefined || otherRank >= rank) {
      offences.push(`${file.path}: imports ${target}; ${folder} (rank ${rank}) may import lower ranks only`);
    }
  }
  return offences;
}

/** Modules that only one folder may use. */
export function moduleOffences(file: SourceFile): string[] {
  const folder = folderOf(file.path);
  const offences: string[] = [];
  for (const { specifier, names, typeOnly } of importsOf(file.text)) {
    const name = specifier.replace(/^node:/, "");
    if (SOCKET_MODULES.includes(name) && folder !== "net" && !typeOnly) {
      const opens = names.filter((each) => !each.startsWith("type ") && !HARMLESS[name]?.includes(each));
      if (opens.length > 0) {
        offences.push(`${file.path}: imports ${specifier}; only src/net opens sockets and asks DNS`);
      }
    }
    if (name === "sqlite" && folder !== "store") {
      offences.push(`${file.path}: imports ${specifier}; only src/store knows SQL`);
    }
    const packageName = /^(?:@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? "";
    const owner = PACKAGE_OWNERS[packageName];
    if (owner !== undefined && folder !== owner) {
      offences.push(`${file.path}: imports ${specifier}; only src/${owner} uses that package`);
    }
    if (SLIMMED_PACKAGES.includes(packageName)) {
      offences.push(`${file.path}: imports ${specifier}, which the executable lacks (.ci/slim/aliases.mjs)`);
    }
  }
  return offences;
}

/** SQL in strings outside the store. */
export function sqlOffences(file: SourceFile): string[] {
  if (folderOf(file.path) === "store") return [];
  const sql =
    /\b(?:SELECT\s.+\sFROM\s|INSERT\s+(?:OR\s+\w+\s+)?INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s|CREATE\s+TABLE\s|PRAGMA\s)/;
  return linesWith(withoutComments(file.text), sql).map((line) =>
    `${file.path}:${line}: SQL outside src/store`
  );
}

/** `Deno.` in code that must run under Node too. */
export function denoOffences(file: SourceFile): string[] {
  return linesWith(withoutComments(file.text), /\bDeno\s*[.[]/).map((line) =>
    `${file.path}:${line}: Deno.* in src; use a node: module or a Web standard`
  );
}

/** Environment variables read anywhere but where the command line is made: settings nobody could look up. */
export function environmentOffences(file: SourceFile): string[] {
  if (folderOf(file.path) === "cli") return [];
  return linesWith(withoutComments(file.text), /\bprocess\.env\b/).map((line) =>
    `${file.path}:${line}: reads the environment; make it a setting`
  );
}

/** What may be taken from node:crypto where there is no chance: the same comes out for the same that goes in. */
const COMPUTING: readonly string[] = ["createHash", "createHmac", "timingSafeEqual"];

/** I/O, time, chance or waiting in a folder that has none. */
export function purityOffences(file: SourceFile): string[] {
  if (!PURE_FOLDERS.includes(folderOf(file.path) ?? "")) return [];
  const code = withoutComments(file.text);
  const impure =
    /\bawait\b|\basync\b|\bset(?:Timeout|Interval|Immediate)\b|\bDate\.now\b|\bnew Date\(\)|\bperformance\.now\b|\bMath\.random\b|\bqueueMicrotask\b|\bfetch\(/;
  const offences = linesWith(code, impure).map((line) =>
    `${file.path}:${line}: ${folderOf(file.path)} has no I/O, timers, clock, chance or await`
  );
  for (const { specifier, names, typeOnly } of importsOf(file.text)) {
    const computes = specifier === "node:crypto" && names.every((name) => COMPUTING.includes(name));
    if (/^node:(?!buffer$|net$|util$)/.test(specifier) && !typeOnly && !computes) {
      offences.push(`${file.path}: imports ${specifier}; ${folderOf(file.path)} has no I/O`);
    }
  }
  return offences;
}

/** Size, head and lint fences of a source file. */
export function shapeOffences(file: SourceFile): string[] {
  const offences: string[] = [];
  const lines = file.text.split("\n").length - 1;
  if (lines > 500) offences.push(`${file.path}: ${lines} lines; a file stays under 500`);
  if (!file.text.startsWith("/**")) {
    offences.push(`${file.path}: must begin with a doc comment that says what the file guarantees`);
  }
  for (const line of linesWith(file.text, /deno-lint-ignore(?!.*--)/)) {
    offences.push(`${file.path}:${line}: a lint rule is set aside without its reason ("-- why")`);
  }
  for (const line of linesWith(file.text, /@ts-(?:ignore|nocheck)/)) {
    offences.push(`${file.path}:${line}: type errors are mended, not silenced`);
  }
  return offences;
}

/** Marks of work left undone, in any text file. */
export function unfinishedOffences(file: SourceFile): string[] {
  const marks = new RegExp(`\\b(?:${["TO" + "DO", "FIX" + "ME", "XX" + "X"].join("|")})\\b`);
  return linesWith(file.text, marks).map((line) => `${file.path}:${line}: a mark of unfinished work`);
}

/** Addresses of package registries: which one is used is the machine's configuration. */
export function registryOffences(file: SourceFile): string[] {
  const address =
    /https?:\/\/[^\s"'<>)]*(?:registry\.|npmjs\.|\bjsr\.io|deno\.land\/(?:x|std)|yarnpkg\.|pypi\.|crates\.io|deb\.debian\.)/i;
  return linesWith(file.text, address).map((line) =>
    `${file.path}:${line}: the address of a package registry`
  );
}

/** Line numbers, from 1, that `pattern` matches. */
function linesWith(text: string, pattern: RegExp): number[] {
  return text.split("\n").flatMap((line, index) => pattern.test(line) ? [index + 1] : []);
}
