/**
 * A tree of settings declared once, from which come the configuration's type, its defaults and its checking.
 *
 * Guarantees: `read` looks at the whole tree and reports everything that is wrong at once; its result has exactly the
 * declared keys, so nothing from outside (`__proto__` included) gets through unread.
 *
 * @module
 */
import { type Fault, type Kind, shown } from "./kinds.ts";
import type { Path } from "./locate.ts";
import { nearest } from "./suggest.ts";

/** One setting. */
export interface Setting<T> {
  readonly is: "setting";
  readonly kind: Kind<Exclude<T, undefined>>;
  readonly fallback: T;
  /** What the default is where it isn't a fixed value: "the machine's name". */
  readonly fallbackText: string | undefined;
  /** What it does, in a sentence. */
  readonly help: string;
  /** A value as it may stand in the file. */
  readonly example: string;
}

/** Settings under one key. */
export interface Group<M extends Members = Members> {
  readonly is: "group";
  readonly help: string;
  readonly members: M;
}

// deno-lint-ignore no-explicit-any -- settings of every value type stand side by side; ValueOf gives each its own again
export type Members = { readonly [key: string]: Setting<any> | Group };

/** The type of the values that a setting or group holds. */
export type ValueOf<N> = N extends Setting<infer T> ? T
  : N extends Group<infer M> ? { readonly [K in keyof M]: ValueOf<M[K]> }
  : never;

/** The same, with every key optional. */
export type PartOf<N> = N extends Setting<infer T> ? T
  : N extends Group<infer M> ? { readonly [K in keyof M]?: PartOf<M[K]> }
  : never;

interface SettingWords {
  readonly help: string;
  readonly example: string;
  readonly fallbackText?: string;
}

/** A setting that always has a value. */
export function setting<T>(
  kind: Kind<T>,
  options: SettingWords & { readonly fallback: NoInfer<T> },
): Setting<T>;
/** A setting that may be left out, which then means what `fallbackText` says. */
export function setting<T>(kind: Kind<T>, options: Required<SettingWords>): Setting<T | undefined>;
export function setting<T>(
  kind: Kind<T>,
  options: SettingWords & { readonly fallback?: T },
): Setting<T | undefined> {
  const { fallback, fallbackText, help, example } = options;
  return { is: "setting", kind: kind as Kind<Exclude<T, undefined>>, fallback, fallbackText, help, example };
}

export function group<const M extends Members>(help: string, members: M): Group<M> {
  return { is: "group", help, members };
}

/** Takes note of one thing that is wrong; `path` leads to it from the top. */
export type Report = (path: Path, fault: Fault) => void;

/** Every setting's default. */
export function defaults<G extends Group>(schema: G): ValueOf<G> {
  return map(schema, (setting) => setting.fallback);
}

/** `base` with what `part` has put over it; keys that are undefined there are left as they are. */
export function merge<G extends Group>(schema: G, base: ValueOf<G>, part: PartOf<G>): ValueOf<G> {
  return map(schema, (_, path) => at(part, path) ?? at(base, path));
}

/** Reads a tree of values from outside; what is missing or wrong gets its default, and what is wrong is reported. */
export function read<G extends Group>(schema: G, tree: unknown, report: Report): ValueOf<G> {
  checkGroup(schema, tree, { path: [], root: schema, report });
  return map(schema, (setting, path) => {
    const value = at(tree, path);
    if (value === undefined) return setting.fallback;
    const reading = setting.kind.read(value);
    if ("value" in reading) return reading.value;
    for (const fault of reading.faults) {
      report(fault.index === undefined ? path : [...path, fault.index], fault);
    }
    return setting.fallback;
  });
}

/** Every setting with its path, in the order of declaration. */
export function settingsOf(
  schema: Group,
  path: readonly string[] = [],
): { path: readonly string[]; setting: Setting<unknown> }[] {
  return Object.entries(schema.members).flatMap(([key, node]) =>
    node.is === "group" ? settingsOf(node, [...path, key]) : [{ path: [...path, key], setting: node }]
  );
}

/** The value at a path of own properties; undefined where there is none. */
export function at(tree: unknown, path: readonly string[]): unknown {
  let value = tree;
  for (const key of path) {
    if (!isGroup(value) || !Object.hasOwn(value, key)) return undefined;
    value = value[key];
  }
  return value;
}

function map<G extends Group>(
  schema: G,
  valueOf: (setting: Setting<unknown>, path: readonly string[]) => unknown,
): ValueOf<G> {
  const build = (node: Group | Setting<unknown>, path: readonly string[]): unknown =>
    node.is === "setting" ? valueOf(node, path) : Object.fromEntries(
      Object.entries(node.members).map(([key, member]) => [key, build(member, [...path, key])]),
    );
  return build(schema, []) as ValueOf<G>;
}

interface Walk {
  readonly path: readonly string[];
  readonly root: Group;
  readonly report: Report;
}

/** Reports keys that nobody knows, and values where a group is due. */
function checkGroup(schema: Group, tree: unknown, walk: Walk): void {
  if (tree === undefined || tree === null) return;
  const { path, root, report } = walk;
  if (!isGroup(tree)) {
    const keys = Object.keys(schema.members);
    const must = `must be a group of settings (${keys.slice(0, 3).join(", ")}${
      keys.length > 3 ? ", …" : ""
    })`;
    return report(path, { must: path.length === 0 ? `the text ${must}` : must, not: shown(tree) });
  }
  for (const key of Object.keys(tree)) {
    const member = Object.hasOwn(schema.members, key) ? schema.members[key] : undefined;
    if (member === undefined) report([...path, key], unknownKey(root, [...path, key]));
    else if (member.is === "group") checkGroup(member, tree[key], { path: [...path, key], root, report });
  }
}

function unknownKey(root: Group, path: readonly string[]): Fault {
  const must = "is not a setting";
  const known = settingsOf(root).map((entry) => entry.path);
  const wanted = path.join(".");
  const leaf = path.at(-1)!;
  const nested = leaf.split(".");
  if (nested.length > 1 && known.some((other) => other.join(".") === wanted)) {
    return {
      must,
      reason: `write it nested, '${nested[0]}:' and below it, indented, '${nested.slice(1).join(": ")}:'`,
    };
  }
  const names = new Set(known.flatMap((other) => other.map((_, i) => other.slice(0, i + 1).join("."))));
  const prefix = wanted.slice(0, wanted.length - leaf.length);
  const beside = [...names].filter((name) => name.startsWith(prefix) && !name.includes(".", prefix.length));
  const suggestion = nearest(leaf, beside.map((name) => name.slice(prefix.length)));
  if (suggestion !== undefined) return { must, suggestion: prefix + suggestion };
  // The right name in the wrong group: messageBytes is limits.messageBytes.
  const elsewhere = known.find((other) => other.at(-1) === leaf)?.join(".");
  return { must, suggestion: elsewhere ?? nearest(wanted, [...names]) };
}

function isGroup(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
