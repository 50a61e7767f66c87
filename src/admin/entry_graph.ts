/**
 * The whole directory as it stands or is to be: who a target is, and where one leads back to itself.
 *
 * Guarantees: changes nothing; a name is looked up as mail would be routed, except that catch-alls and shadows' and
 * users' addresses elsewhere stand for nobody here.
 *
 * @module
 */
import { type Address, type AddressError, canonicalDomain, formatAddress } from "../mail/address.ts";
import { parseAddress, parseLocalPart } from "../mail/address.ts";
import { toMailAddress } from "../mail/gateway_address.ts";
import { nearest } from "../config/suggest.ts";
import { bareNameCandidates } from "../routing/local.ts";
import { resolve, type Topology } from "../routing/route.ts";
import { topologyOf } from "../server/mailboxes.ts";
import type { Named } from "../store/types.ts";
import { printableLine } from "../base/printable.ts";
import type { AdminContext } from "./context.ts";
import { AdminError, usageError } from "./error.ts";

/** What a target turns out to be. */
export type TargetFinding =
  /** An entry here, by its name. */
  | { readonly kind: "entry"; readonly name: string }
  /** An address elsewhere that mail can go to. */
  | { readonly kind: "outside" }
  /** Nobody, or somewhere mail may not go; a sentence and what to do. */
  | { readonly kind: "nowhere"; readonly message: string; readonly advice: string };

/** The name of anything that has one. */
export function nameOf(named: Named): string {
  switch (named.kind) {
    case "account":
      return named.account.name;
    case "alias":
      return named.alias.name;
    case "shadow":
      return named.shadow.name;
    case "list":
      return named.list.name;
  }
}

/** Where mail for an entry goes on to; none for a user who keeps it. */
export function targetsOf(named: Named): readonly string[] {
  switch (named.kind) {
    case "account":
      return named.account.forward?.to ?? [];
    case "alias":
      return named.alias.targets;
    case "shadow":
      return [named.shadow.address];
    case "list":
      return named.list.members;
  }
}

/** Each kind of entry with its article. */
export const A_KIND: { readonly [kind in Named["kind"]]: string } = {
  account: "an account",
  alias: "an alias",
  shadow: "a shadow",
  list: "a list",
};

/** A directory in memory, to be looked at and changed as if it were so. */
export class EntryGraph {
  readonly #topology: Topology;
  readonly #entries = new Map<string, Named>();

  constructor(entries: readonly Named[], topology: Topology) {
    this.#topology = topology;
    for (const named of entries) this.set(named);
  }

  /** The directory as it stands. */
  static async read({ store, config }: AdminContext): Promise<EntryGraph> {
    return new EntryGraph(await store.entries.all(), topologyOf(config));
  }

  get(name: string): Named | undefined {
    return this.#entries.get(name);
  }

  /** Puts an entry in, or in place of another of its name. */
  set(named: Named): void {
    this.#entries.set(nameOf(named), named);
  }

  values(): IterableIterator<Named> {
    return this.#entries.values();
  }

  /** What a target (in the form of `parseTarget()`) is. */
  find(target: string): TargetFinding {
    if (!target.includes("@")) {
      const local = parseLocalPart(target);
      if (typeof local !== "string") return nowhere(local.error);
      return this.#firstOf(bareNameCandidates(local, this.#topology), target);
    }
    const address = parseAddress(target);
    if ("error" in address) return nowhere(address.error);
    const route = resolve(address, this.#topology);
    if (route.channel === "local") return this.#firstOf(route.names, target);
    if (route.channel !== "refused") return { kind: "outside" };
    return nowhere(
      route.reply.lines.join(" "),
      "list its domain in relay.routes, or name another address",
    );
  }

  #firstOf(names: readonly string[], target: string): TargetFinding {
    const name = names.find((name) => !name.startsWith("@") && this.#entries.has(name));
    if (name !== undefined) return { kind: "entry", name };
    return nowhere(`${target} is nobody here`, "add it first, or name somebody else");
  }

  /**
   * The shortest way from an entry back to itself: `["sales", "everybody", "sales"]`; undefined where there is none. A
   * target that is nobody leads nowhere.
   */
  circleFrom(name: string): readonly string[] | undefined {
    const cameFrom = new Map<string, string>();
    const queue = [name];
    for (const at of queue) {
      const named = this.#entries.get(at);
      for (const target of named === undefined ? [] : targetsOf(named)) {
        const finding = this.find(target);
        if (finding.kind !== "entry") continue;
        if (finding.name === name) return [...wayTo(at, cameFrom), name];
        if (cameFrom.has(finding.name)) continue;
        cameFrom.set(finding.name, at);
        queue.push(finding.name);
      }
    }
    return undefined;
  }

  /** The names of lists and aliases that name an entry, by name. */
  naming(name: string, kind: "alias" | "list"): string[] {
    const found: string[] = [];
    for (const named of this.#entries.values()) {
      if (named.kind !== kind) continue;
      const isNamed = targetsOf(named).some((target) => {
        const finding = this.find(target);
        return finding.kind === "entry" && finding.name === name;
      });
      if (isNamed) found.push(nameOf(named));
    }
    return found.sort();
  }
}

function nowhere(message: string, advice = ""): TargetFinding {
  return { kind: "nowhere", message: printableLine(message), advice };
}

function wayTo(name: string, cameFrom: ReadonlyMap<string, string>): string[] {
  const way = [name];
  for (let at = cameFrom.get(name); at !== undefined; at = cameFrom.get(at)) way.unshift(at);
  return way;
}

/** Puts an entry into the graph. @throws {AdminError} where one of its targets is nobody, can't be sent mail, or leads back to it */
export function checkTargets(named: Named, graph: EntryGraph): void {
  for (const target of targetsOf(named)) checkTarget(target, graph);
  checkCircle(named, graph);
}

/** @throws {AdminError} where a target is nobody or can't be sent mail */
export function checkTarget(target: string, graph: EntryGraph): void {
  const finding = graph.find(target);
  if (finding.kind === "nowhere") throw new AdminError(finding.message, finding.advice);
}

/**
 * A member of a list by the name it has here, so that `ann` and `ann@example.org` are one, and go with the entry; anything
 * else as it is. @throws {AdminError} where it is nobody or can't be sent mail
 */
export function memberOf(target: string, graph: EntryGraph): string {
  checkTarget(target, graph);
  const finding = graph.find(target);
  return finding.kind === "entry" && target.startsWith(`${finding.name}@`) ? finding.name : target;
}

/** Puts an entry into the graph. @throws {AdminError} where it then leads back to itself */
export function checkCircle(named: Named, graph: EntryGraph): void {
  graph.set(named);
  const circle = graph.circleFrom(nameOf(named));
  if (circle !== undefined) {
    throw new AdminError(`mail would go round in a circle: ${circle.join(" > ")}`, "leave one of these out");
  }
}

/**
 * Where a shadow's mail goes, as it is typed: an address elsewhere, or one of a gateway (`/MHS user@workgroup`); gives it as
 * a mail address. @throws {AdminError} `usage` where it is neither
 */
export function parseDestination(text: string, { config }: Pick<AdminContext, "config">): string {
  const { gateways = [] } = topologyOf(config);
  const given = text.trim();
  const gated = /^\/(\S*)\s*(.*)$/s.exec(given);
  if (gated === null) return checkedAddress(parseAddress(given));
  const [, gateway, rest] = gated as unknown as [string, string, string];
  if (rest === "") {
    throw usageError(
      `'${printableLine(given)}' names nobody`,
      `write it as /${gateway || "GATEWAY"} user@somewhere`,
    );
  }
  const name = gateway.toLowerCase();
  if (name === "smtp") return checkedAddress(parseAddress(rest));
  const known = gateways.find((one) => one.name === name);
  if (known !== undefined) return checkedAddress(toMailAddress(rest, known.domain));
  const names = ["smtp", ...gateways.map((one) => one.name)];
  const meant = nearest(name, names);
  throw usageError(
    `there is no gateway '${printableLine(gateway)}'`,
    meant !== undefined
      ? `did you mean /${meant.toUpperCase()}?`
      : names.length === 1
      ? "SMTP is the only one that is configured"
      : `there are ${names.join(", ")}`,
  );
}

function checkedAddress(address: Address | AddressError): string {
  if ("error" in address) throw usageError(printableLine(address.error));
  return formatAddress({ local: address.local, domain: canonicalDomain(address.domain) });
}
