/**
 * From what DNS said of a domain to the hosts and addresses to try, in order (RFC 5321 5.1, RFC 7505).
 *
 * Guarantees: pure; total; chance comes in as `shuffle`. No list is longer than its limit (base/limits.ts). A host's name
 * that comes out is a DNS name in lower case, without the dot at its end.
 *
 * Aliases: `answer` is about the domain after its CNAMEs, so an alias's MX records count for it (RFC 5321 5.1).
 *
 * @module
 */
import { isIPv4 } from "node:net";
import { ADDRESSES_PER_HOST, HOSTS_PER_DOMAIN } from "../base/limits.ts";

export interface MailExchanger {
  /** The least is tried first. */
  readonly preference: number;
  /** "." in a null MX (RFC 7505 3). */
  readonly exchange: string;
}

/** What DNS said when asked for a domain's MX records. */
export type MxAnswer =
  | { readonly status: "found"; readonly records: readonly MailExchanger[] }
  | { readonly status: "no-data" | "no-such-name" }
  /** It could not be found out. */
  | { readonly status: "failed"; readonly reason: string };

export type MxVerdict =
  /** In order of trial. `implicit-mx`: the domain has no MX records and is its own mail host. */
  | { readonly kind: "hosts"; readonly hosts: readonly string[]; readonly rule: "mx" | "implicit-mx" }
  /** The domain says that it takes no mail (RFC 7505). */
  | { readonly kind: "null-mx" }
  | { readonly kind: "no-host"; readonly reason: string }
  /** This system is the domain's best host, yet does not know the domain: sending it on would bring it back. */
  | { readonly kind: "loop" }
  | { readonly kind: "temporary"; readonly reason: string };

/** Puts items in an order of chance. */
export type Shuffle = <T>(items: T[]) => T[];

export interface MxOptions {
  /** Canonical: A-labels, lower case. */
  readonly domain: string;
  /** The names of this system, in lower case. */
  readonly ownNames: readonly string[];
  readonly shuffle: Shuffle;
}

/** Decides which hosts take a domain's mail. */
export function mxTargets(answer: MxAnswer, options: MxOptions): MxVerdict {
  const { domain, ownNames } = options;
  switch (answer.status) {
    case "failed":
      return { kind: "temporary", reason: answer.reason };
    case "no-such-name":
      return { kind: "no-host", reason: `the domain ${domain} does not exist` };
    case "no-data":
      if (ownNames.includes(canonical(domain))) return { kind: "loop" };
      return { kind: "hosts", hosts: [canonical(domain)], rule: "implicit-mx" };
    case "found":
      return fromRecords(answer.records, options);
  }
}

function fromRecords(
  records: readonly MailExchanger[],
  { domain, ownNames, shuffle }: MxOptions,
): MxVerdict {
  const exchangers = records.map(({ preference, exchange }) => ({ preference, host: canonical(exchange) }));
  if (exchangers.length > 0 && exchangers.every(({ host }) => host === ".")) return { kind: "null-mx" };
  // RFC 7505 3 forbids "." beside others; RFC 5321 5.1 an address in place of a name.
  const valid = exchangers.filter(({ host }) => isHostName(host));
  if (valid.length === 0) {
    return { kind: "no-host", reason: `the MX records of ${domain} name no host, or none by a valid name` };
  }
  // RFC 5321 5.1: ourselves, and what is not preferred to us, would only bring the mail back here.
  const own = valid.filter(({ host }) => ownNames.includes(host)).map(({ preference }) => preference);
  const better = valid.filter(({ preference }) => preference < Math.min(...own));
  if (better.length === 0) return { kind: "loop" };
  const hosts = [...new Set(inOrder(better, shuffle))].slice(0, HOSTS_PER_DOMAIN);
  return { kind: "hosts", hosts, rule: "mx" };
}

/** By preference; equals in an order of chance, so that they share the load (RFC 5321 5.1). */
function inOrder(
  exchangers: readonly { readonly preference: number; readonly host: string }[],
  shuffle: Shuffle,
): string[] {
  const preferences = [...new Set(exchangers.map(({ preference }) => preference))].sort((a, b) => a - b);
  return preferences.flatMap((wanted) =>
    shuffle(exchangers.filter(({ preference }) => preference === wanted).map(({ host }) => host))
  );
}

/** Lower case (ASCII only) and no dot at the end, except for the root. */
function canonical(name: string): string {
  const lower = name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
  return lower.length > 1 && lower.endsWith(".") ? lower.slice(0, -1) : lower;
}

function isHostName(host: string): boolean {
  return host.length <= 253 && /^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/.test(host) && !isIPv4(host);
}

/**
 * A host's addresses in order of trial: the families in turn, IPv6 first, so that a family that doesn't work here costs
 * one try and not all of them; within a family an order of chance (RFC 5321 5.1).
 */
export function orderAddresses(
  ipv6: readonly string[],
  ipv4: readonly string[],
  shuffle: Shuffle,
): string[] {
  const [six, four] = [shuffle([...ipv6]), shuffle([...ipv4])];
  const inTurn: string[] = [];
  for (let i = 0; i < Math.max(six.length, four.length); i++) {
    inTurn.push(...six.slice(i, i + 1), ...four.slice(i, i + 1));
  }
  return inTurn.slice(0, ADDRESSES_PER_HOST);
}
