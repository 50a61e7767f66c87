/**
 * Where mail for an address would go, and why: routing's answer, whose maildrops it leads to, and what DNS says of it.
 *
 * Guarantees: the answer is that of the running server with this configuration and this store. Nothing is changed and no
 * mail system is connected to; DNS is asked only with a {@linkcode Probe}, and never on an intranet.
 *
 * @module
 */
import { isIP } from "node:net";
import { type Address, formatAddress, parseAddress, parseLocalPart } from "../mail/address.ts";
import type { Dns } from "../net/dns.ts";
import { findAddresses, findHosts, type HostOptions, type Hosts } from "../queue/hosts.ts";
import { explain } from "../routing/explain.ts";
import type { Forward } from "../routing/expand.ts";
import type { NextHop, Route } from "../routing/route.ts";
import { type Destination, findDestination, listOwnerAddress, type Secrets } from "../server/mailboxes.ts";
import type { AdminContext } from "./context.ts";
import { usageError } from "./error.ts";

export interface RouteQuestion {
  readonly address: string;
  /** The reverse-path, with or without brackets; "" or `<>` is the null one. Absent: senders' routes don't count. */
  readonly sender?: string | undefined;
  /** Absent: nothing is looked up. */
  readonly probe?: Probe | undefined;
}

/** What looking names up takes. */
export interface Probe extends Pick<HostOptions, "lookUp" | "shuffle"> {
  readonly dns: Dns;
}

/** A next hop, without what is secret of it. */
export type HopView =
  | { readonly kind: "mx"; readonly domain: string }
  | { readonly kind: "gateway"; readonly name: string }
  | {
    readonly kind: "host";
    readonly host: string;
    readonly port: number;
    readonly tls: string;
    readonly user: string | null;
    /** Whether it is responsible for the recipient, or passes the mail on. */
    readonly duty: "delivers" | "passes-on";
  };

/** One address and its way out. */
export interface WayView {
  readonly recipient: string;
  readonly rule: string;
  readonly explanation: readonly string[];
  readonly nextHop: HopView;
  readonly backup: { readonly hop: HopView; readonly when: "no-host" | "unreachable" } | null;
  /** The list that leads there, and whose address its mail comes from; null: none does. */
  readonly list: { readonly name: string; readonly owner: string } | null;
  /** null: not asked for. */
  readonly probe: readonly ProbeView[] | null;
}

/** What looking a hop up came to. */
export interface ProbeView {
  /** The domain or host that was looked up. */
  readonly name: string;
  /** The domain's MX records; null where none were asked for or found. */
  readonly mx: readonly { readonly preference: number; readonly exchange: string }[] | null;
  /** A sentence. */
  readonly result: string;
  /** In order of trial, as of this time: equals change places. */
  readonly hosts: readonly {
    readonly host: string;
    readonly port: number;
    readonly addresses: readonly string[];
    /** Domain and host were validated (DNSSEC) by a resolver on this machine. */
    readonly authentic: boolean;
    /** Why there are no addresses; "" where there are. */
    readonly problem: string;
  }[];
}

/** What a name stands for, as far as it isn't just a maildrop. */
export type NameView =
  | {
    readonly kind: "account";
    readonly name: string;
    /** Where its mail is sent on to, and whether its own maildrop gets it too; null: nowhere. */
    readonly forward: { readonly to: readonly string[]; readonly keep: boolean } | null;
  }
  | { readonly kind: "alias"; readonly name: string; readonly targets: readonly string[] }
  /** `inbound`: strangers may write to it. */
  | { readonly kind: "shadow"; readonly name: string; readonly address: string; readonly inbound: boolean }
  /** `owner`: whose address mail to the members comes from. */
  | { readonly kind: "list"; readonly name: string; readonly members: number; readonly owner: string };

export interface RouteView {
  readonly address: string;
  /** null: not given; "" is the null reverse-path. */
  readonly sender: string | null;
  readonly mode: string;
  readonly channel: Route["channel"];
  readonly rule: string;
  readonly explanation: readonly string[];
  /** What the recipient's own name is; null where it is elsewhere, or nobody's. */
  readonly name: NameView | null;
  /** Accounts that get the mail. */
  readonly maildrops: readonly string[];
  /** Addresses elsewhere that get it: the address itself, or what an alias leads to. */
  readonly ways: readonly WayView[];
  /** Why it goes nowhere, or not to all it should; "" where all is well. */
  readonly problem: string;
  /** What a sender is told; null where the address is taken. */
  readonly refusal: string | null;
}

/** Finds a route. @throws {AdminError} where the address or the sender is none */
export async function findRoute(context: AdminContext, question: RouteQuestion): Promise<RouteView> {
  const { store, config, clock } = context;
  const recipient = readRecipient(question.address);
  const sender = question.sender === undefined ? undefined : readSender(question.sender);
  const secrets = await secretsFor(recipient, { store, nowMs: clock.nowMs() });
  const where = { directory: store.directory, config, sender, secrets };
  const { accounts, forwards, route, named, problem, refusal } = await findDestination(recipient, where);
  const ways: WayView[] = [];
  for (const forward of forwards) ways.push(await wayOf(forward, { context, probe: question.probe }));
  return {
    address: formatAddress(recipient),
    sender: sender === undefined ? null : sender === null ? "" : formatAddress(sender),
    mode: config.relay.mode,
    channel: route.channel,
    rule: route.rule,
    explanation: explain(route),
    name: named === undefined ? null : nameView(named, config),
    maildrops: accounts.map(({ name }) => name),
    ways,
    problem,
    refusal: refusal === undefined
      ? null
      : [refusal.code, refusal.enhanced ?? "", ...refusal.lines].filter((part) => part !== "").join(" "),
  };
}

function nameView(named: NonNullable<Destination["named"]>, config: AdminContext["config"]): NameView {
  switch (named.kind) {
    case "account": {
      const { name, forward } = named.account;
      return { kind: "account", name, forward: forward ?? null };
    }
    case "alias":
      return { kind: "alias", ...named.alias };
    case "shadow": {
      const { name, address, inbound } = named.shadow;
      return { kind: "shadow", name, address, inbound };
    }
    case "list": {
      const { name, members, owner } = named.list;
      return { kind: "list", name, members: members.length, owner: listOwnerAddress(owner, config) };
    }
  }
}

/** A name without domain is looked at too: that shows what becomes of it. */
function readRecipient(text: string): Address {
  const bare = withoutBrackets(text);
  if (!bare.includes("@")) {
    const local = parseLocalPart(bare);
    if (typeof local !== "string") throw usageError(local.error);
    return { local, domain: "" };
  }
  return readAddress(bare);
}

function readSender(text: string): Address | null {
  const bare = withoutBrackets(text);
  return bare === "" ? null : readAddress(bare);
}

function readAddress(text: string): Address {
  const address = parseAddress(text);
  if ("error" in address) throw usageError(address.error);
  return address;
}

function withoutBrackets(text: string): string {
  return text.trim().replace(/^<(.*)>$/, "$1");
}

/** The secret, where the address may need it and a server has made it; a command that only looks makes none. */
async function secretsFor(
  { local }: Address,
  { store, nowMs }: Pick<AdminContext, "store"> & { readonly nowMs: number },
): Promise<Secrets | undefined> {
  if (!/^SRS[01]=/i.test(local)) return undefined;
  try {
    const srs = await store.trust.secret("srs", () => {
      throw new Error("no secret was made yet");
    });
    return { srs, nowMs };
  } catch {
    return undefined;
  }
}

interface Looking {
  readonly context: AdminContext;
  readonly probe: Probe | undefined;
}

async function wayOf({ route, list }: Forward, looking: Looking): Promise<WayView> {
  const { hop, backup } = route;
  const owner = list === undefined ? "" : listOwnerAddress(list.owner, looking.context.config);
  return {
    recipient: formatAddress(route.recipient),
    rule: route.rule,
    explanation: explain(route),
    nextHop: hopView(hop),
    backup: backup === undefined ? null : { hop: hopView(backup.hop), when: backup.when },
    list: list === undefined ? null : { name: list.name, owner },
    probe: await probeHops(backup === undefined ? [hop] : [hop, backup.hop], looking),
  };
}

function hopView(hop: NextHop): HopView {
  if (hop.kind !== "host") return hop;
  const { host, port, tls, user } = hop.host;
  return { kind: "host", host, port, tls, user: user ?? null, duty: hop.duty };
}

// ---------------------------------------------------------------- asking

async function probeHops(hops: readonly NextHop[], { context, probe }: Looking): Promise<ProbeView[] | null> {
  const { config } = context;
  // The seed, Figure 3: on an intranet nothing is asked.
  if (probe === undefined || config.relay.mode === "intranet") return null;
  const options = { ...probe, ownNames: [config.hostname] };
  const found = hops.flatMap((hop) => hop.kind === "gateway" ? [] : [probeHop(hop, options)]);
  return found.length === 0 ? null : await Promise.all(found);
}

async function probeHop(
  hop: Exclude<NextHop, { readonly kind: "gateway" }>,
  options: HostOptions,
): Promise<ProbeView> {
  const name = hop.kind === "mx" ? hop.domain : hop.host.host;
  const found = await findHosts(hop, options);
  const mx = hop.kind === "mx" && !name.startsWith("[") ? await options.dns.query(name, "MX") : undefined;
  const records = mx?.status === "found" ? [...mx.records].sort((a, b) => a.preference - b.preference) : null;
  if (found.kind !== "hosts") return { name, mx: records, result: failure(found, name), hosts: [] };
  const hosts = await Promise.all(found.hosts.map(async ({ name: host, port, authentic }) => {
    const addresses = await findAddresses(host, hop, options);
    return addresses.kind === "addresses"
      ? {
        host,
        port,
        addresses: addresses.addresses,
        authentic: authentic && addresses.authentic,
        problem: "",
      }
      : { host, port, addresses: [], authentic: false, problem: addresses.reason };
  }));
  const result = mx === undefined
    ? hosts[0]?.host === name && isIP(name) === 0
      ? `${name} is looked up as a host`
      : `${name} is an address itself`
    : records === null
    ? `${name} has no MX records and is its own mail host (RFC 5321 5.1)`
    : `${name} names ${records.length === 1 ? "one mail host" : `${records.length} mail hosts`}`;
  return { name, mx: records, result, hosts };
}

function failure(found: Exclude<Hosts, { kind: "hosts" }>, name: string): string {
  switch (found.kind) {
    case "null-mx":
      return `${name} says that it takes no mail (RFC 7505)`;
    case "loop":
      return `DNS names this system as the mail host of ${name}, and ${name} is not among its domains`;
    case "no-host":
      return found.reason;
    case "temporary":
      return `this can't be found out now: ${found.reason}`;
  }
}
