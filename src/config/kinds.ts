/**
 * The kinds of value a setting can have: each reads what YAML (or a command line) gave and writes it back as YAML.
 *
 * Guarantees: reading never throws, whatever the value; what `write` gives reads back to the same value; a fault says
 * what was expected and what was found, without its subject (the setting's name is put before it).
 *
 * @module
 */
import { isIPv4, isIPv6 } from "node:net";
import { canonicalDomain, canonicalLocal, isDomain, parseLocalPart } from "../mail/address.ts";
import { printableLine } from "../base/printable.ts";
import { nearest } from "./suggest.ts";

/** A span of time; config files write it as `5m`. */
export type Milliseconds = number;
/** A size; config files write it as `50MiB`. */
export type Octets = number;
/** A span of whole days. */
export type Days = number;

/** What is wrong with a value: the parts of a sentence that begins with the setting's name. */
export interface Fault {
  /** "must be a path", "needs tls.keyFile beside it". */
  readonly must: string;
  /** What was found instead, fit to be shown. */
  readonly not?: string;
  readonly reason?: string | undefined;
  /** What was probably meant. */
  readonly suggestion?: string | undefined;
  /** The place in a list, from 0. */
  readonly index?: number;
}

export type Reading<T> = { readonly value: T } | { readonly faults: readonly Fault[] };

export interface Kind<T> {
  /** For people: "duration", "list of domains". */
  readonly name: string;
  read(value: unknown): Reading<T>;
  /** The value as it stands after `key: ` in YAML, on one line. */
  write(value: T): string;
}

/** An address to listen on. */
export interface ListenAddress {
  /** An IP address or a name; undefined listens on every address. */
  readonly host: string | undefined;
  /** 0 takes any free port. */
  readonly port: number;
}

/** A block of IP addresses (RFC 4632). */
export interface Cidr {
  readonly family: "ipv4" | "ipv6";
  readonly address: string;
  readonly prefixBits: number;
}

// ---------------------------------------------------------------- single values

/** One of a few words. `refused` words are known but can't be had here; each has its reason. */
export function oneOf<const T extends string>(
  words: readonly T[],
  refused: { readonly [word in T]?: string } = {},
): Kind<T> {
  const allowed = words.filter((word) => refused[word] === undefined);
  return {
    name: allowed.length === 1 ? `only ${allowed[0]}` : listed(allowed),
    read(value) {
      const text = scalarText(value);
      const word = words.find((word) => word === text);
      if (word === undefined) {
        return fault(`must be ${listed(allowed)}`, value, { suggestion: nearest(text ?? "", allowed) });
      }
      const reason = refused[word];
      return reason === undefined ? { value: word } : fault(`must be ${listed(allowed)}`, value, { reason });
    },
    write: quoteYaml,
  };
}

/** A whole number from `min` to `max`. */
export function integer(min: number, max: number = Number.MAX_SAFE_INTEGER): Kind<number> {
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  return {
    name: `whole number ${range}`,
    read(value) {
      const text = scalarText(value);
      const number = text !== undefined && /^-?\d+$/.test(text) ? Number(text) : NaN;
      return number >= min && number <= max
        ? { value: number }
        : fault(`must be a whole number ${range}`, value);
    },
    write: String,
  };
}

/** A word beside a kind, such as `auto` beside a number. */
export function orWord<T, const W extends string>(word: W, kind: Kind<T>): Kind<T | W> {
  return {
    name: `${kind.name}, or ${word}`,
    read(value) {
      if (value === word) return { value: word };
      const reading = kind.read(value);
      if ("value" in reading) return reading;
      const suggestion = nearest(scalarText(value) ?? "", [word]);
      return {
        faults: reading.faults.map((found) => ({
          ...found,
          must: `${found.must} or ${word}`,
          suggestion: found.suggestion ?? suggestion,
        })),
      };
    },
    write: (value) => value === word ? word : kind.write(value as T),
  };
}

/** Yes or no. */
export const yesNo: Kind<boolean> = {
  name: "yes or no",
  read(value) {
    // YAML 1.2 knows only true and false; people write what YAML 1.1 knew.
    const text = String(scalarText(value)).toLowerCase();
    if (value === true || ["yes", "true", "on"].includes(text)) return { value: true };
    if (value === false || ["no", "false", "off"].includes(text)) return { value: false };
    return fault("must be yes or no", value);
  },
  write: (value) => value ? "yes" : "no",
};

const OCTET_UNITS = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 } as const;

/** A size such as `50MiB`, `64k` or `1048576`; k, M, G and T are powers of 1024. */
export function octets(min: Octets = 0): Kind<Octets> {
  const must = `must be a size in octets such as 64k or 50MiB${
    min > 0 ? `, at least ${writeOctets(min)}` : ""
  }`;
  return {
    name: min > 0 ? `size in octets, at least ${writeOctets(min)}` : "size in octets",
    read(value) {
      const text = scalarText(value) ?? "";
      const parts = /^(\d+(?:\.\d+)?) ?(?:([kmgt])(?:iB)?)?$/i.exec(text);
      const size = parts === null
        ? NaN
        : Number(parts[1]) * OCTET_UNITS[(parts[2] ?? "").toLowerCase() as keyof typeof OCTET_UNITS];
      if (Number.isSafeInteger(size) && size >= min) return { value: size };
      const decimal = /^(\d+) ?([kmgt])B$/i.exec(text);
      return fault(must, value, {
        suggestion: decimal === null ? undefined : `${decimal[1]}${decimal[2]!.toUpperCase()}iB`,
      });
    },
    write: writeOctets,
  };
}

function writeOctets(size: Octets): string {
  for (const [unit, name] of [["t", "TiB"], ["g", "GiB"], ["m", "MiB"], ["k", "KiB"]] as const) {
    if (size > 0 && size % OCTET_UNITS[unit] === 0) return `${size / OCTET_UNITS[unit]}${name}`;
  }
  return String(size);
}

const DAY_MS = 86_400_000;
const TIME_UNITS = [["d", DAY_MS], ["h", 3_600_000], ["m", 60_000], ["s", 1000]] as const;
const DURATION = /^(?=.)(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/i;
// Ten years: beyond it a number is a mistake, and timers would overflow.
const LONGEST_MS = 3650 * DAY_MS;

/** A span of time such as `90s`, `1h30m` or `2d`; `reason` says why nothing under `min` will do. */
export function duration(min: Milliseconds = 0, reason?: string): Kind<Milliseconds> {
  const least = min > 0 ? `, at least ${writeDuration(min)}` : "";
  return {
    name: `duration${least}`,
    read(value) {
      const text = scalarText(value) ?? "";
      const ms = text === "0" ? 0 : readDuration(text);
      if (ms !== undefined && ms >= min && ms <= LONGEST_MS) return { value: ms };
      return fault(`must be a duration such as 90s, 5m or 2d${least}`, value, {
        suggestion: /^\d+$/.test(text) ? `${text}s` : undefined,
        reason: ms !== undefined && ms < min ? reason : undefined,
      });
    },
    write: writeDuration,
  };
}

/** Whole days: `30`, `30d` or `720h`. */
export const days: Kind<Days> = {
  name: "whole days",
  read(value) {
    const text = scalarText(value) ?? "";
    const ms = /^\d+$/.test(text) ? Number(text) * DAY_MS : readDuration(text);
    const isWhole = ms !== undefined && ms % DAY_MS === 0 && ms >= DAY_MS && ms <= LONGEST_MS;
    return isWhole ? { value: ms / DAY_MS } : fault("must be a number of whole days such as 30d", value);
  },
  write: (value) => `${value}d`,
};

function readDuration(text: string): Milliseconds | undefined {
  const parts = DURATION.exec(text);
  if (parts === null) return undefined;
  return TIME_UNITS.reduce((sum, [, unitMs], i) => sum + Number(parts[i + 1] ?? 0) * unitMs, 0);
}

function writeDuration(ms: Milliseconds): string {
  let rest = ms;
  let text = "";
  for (const [unit, unitMs] of TIME_UNITS) {
    if (rest >= unitMs) text += `${Math.floor(rest / unitMs)}${unit}`;
    rest %= unitMs;
  }
  return text || "0s";
}

/** A text that `check` takes, in the form `check` gives; `what` says what is asked for, with an example. */
export function text(name: string, what: string, check: (text: string) => string | undefined): Kind<string> {
  return {
    name,
    read(value) {
      const given = scalarText(value);
      const checked = given === undefined ? undefined : check(given);
      return checked === undefined ? fault(`must be ${what}`, value) : { value: checked };
    },
    write: quoteYaml,
  };
}

/** A domain name, kept in canonical form (lower case, A-labels). */
export const domain: Kind<string> = text(
  "domain name",
  "a domain name such as mail.example.org",
  (given) => isDomain(given) ? canonicalDomain(given) : undefined,
);

/** An account's name: `alice`, or `alice@example.org`. */
export const accountName: Kind<string> = text(
  "account name",
  "an account's name such as alice or alice@example.org",
  (given) => {
    const at = given.lastIndexOf("@");
    const local = parseLocalPart(at < 0 ? given : given.slice(0, at));
    if (typeof local !== "string") return undefined;
    if (at < 0) return canonicalLocal(local);
    const domain = given.slice(at + 1);
    return isDomain(domain) ? `${canonicalLocal(local)}@${canonicalDomain(domain)}` : undefined;
  },
);

/** The path of a file or folder, as given. */
export const path: Kind<string> = text(
  "path",
  "a path",
  (given) => given !== "" && !given.includes("\0") ? given : undefined,
);

/** An address to listen on: `127.0.0.1:25`, `[::1]:25`, `*:25` or `25`. */
export const listenAddress: Kind<ListenAddress> = {
  name: "address and port",
  read(value) {
    const parts = /^(?:(\*|\[[^\]]*\]|[^:[\]]*):)?(\d{1,5})$/.exec(scalarText(value) ?? "");
    const host = parts?.[1]?.replace(/^\[(.*)\]$/, "$1");
    const port = Number(parts?.[2] ?? NaN);
    const bracketed = parts?.[1]?.startsWith("[") === true;
    const isHost = host === undefined || host === "*" || (bracketed ? isIPv6(host) : isHostOrIPv4(host));
    return isHost && port <= 65_535
      ? { value: { host: host === "*" ? undefined : host, port } }
      : fault('must be an address and port such as 127.0.0.1:25, "[::1]:25", "*:25" or 25', value);
  },
  write: ({ host, port }) =>
    quoteYaml(`${host === undefined ? "*" : isIPv6(host) ? `[${host}]` : host}:${port}`),
};

function isHostOrIPv4(host: string): boolean {
  // A name that is all digits and dots is a mistyped IPv4 address.
  return /^[\d.]*$/.test(host) ? isIPv4(host) : isDomain(host);
}

/** A block of addresses: `192.0.2.0/24`, `2001:db8::/32`, or a single address. */
export const cidr: Kind<Cidr> = {
  name: "address block",
  read(value) {
    const [address = "", bits, ...more] = (scalarText(value) ?? "").split("/");
    const family = isIPv4(address) ? "ipv4" : isIPv6(address) ? "ipv6" : undefined;
    const most = family === "ipv4" ? 32 : 128;
    const prefixBits = bits === undefined ? most : /^\d{1,3}$/.test(bits) ? Number(bits) : NaN;
    return family !== undefined && more.length === 0 && prefixBits <= most
      ? { value: { family, address, prefixBits } }
      : fault("must be an address block such as 192.0.2.0/24 or 2001:db8::/32", value);
  },
  write: ({ address, prefixBits }) => quoteYaml(`${address}/${prefixBits}`),
};

// ---------------------------------------------------------------- lists

/** A list without repetitions; a single value stands for a list of one. */
export function list<T>(
  items: Kind<T>,
  options: { readonly name: string; readonly atLeast?: number },
): Kind<readonly T[]> {
  return {
    name: options.name,
    read(value) {
      if (!Array.isArray(value)) {
        const reading = items.read(value);
        return "value" in reading ? { value: [reading.value] } : reading;
      }
      if (value.length < (options.atLeast ?? 0)) return fault("needs at least one entry", value);
      const found = new Map<string, T>();
      const faults: Fault[] = [];
      value.forEach((item, index) => {
        const reading = items.read(item);
        if ("value" in reading) found.set(items.write(reading.value), reading.value);
        else faults.push(...reading.faults.map((fault) => ({ ...fault, index })));
      });
      return faults.length > 0 ? { faults } : { value: [...found.values()] };
    },
    write: (value) => `[${value.map((item) => items.write(item)).join(", ")}]`,
  };
}

// ---------------------------------------------------------------- words

/** The sentence's end: `must be a path, not ''`. */
export function faultText(fault: Fault): string {
  const { must, not, reason } = fault;
  return `${must}${not === undefined ? "" : `, not ${not}`}${reason === undefined ? "" : `: ${reason}`}`;
}

function fault(
  must: string,
  value: unknown,
  more: { readonly suggestion?: string | undefined; readonly reason?: string | undefined } = {},
): { faults: readonly Fault[] } {
  return { faults: [{ must, not: shown(value), ...more }] };
}

/** A value from outside as it may stand in a message. */
export function shown(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  const text = scalarText(value);
  if (text === undefined) return value instanceof Date ? "a date (quote it)" : "a group of settings";
  const line = printableLine(text);
  return `'${line.length > 60 ? `${line.slice(0, 60)}…` : line}'`;
}

/** Strings, numbers and yes/no as text: what a person typed, or near it; undefined for everything else. */
function scalarText(value: unknown): string | undefined {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean"
    ? String(value)
    : undefined;
}

function listed(words: readonly string[]): string {
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}

/** A text as YAML: bare where it can only be read as that text. */
function quoteYaml(text: string): string {
  const isBare = /^(?:\.{0,2}\/|[a-z_])[\w./@:-]*$/i.test(text) &&
    !/^(?:true|false|null|yes|no|on|off)$|:$/i.test(text);
  return isBare ? text : JSON.stringify(text);
}
