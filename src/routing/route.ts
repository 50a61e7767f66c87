/**
 * Where a recipient's mail goes.
 *
 * Guarantees: pure; total (each mode's rules end in one that takes every recipient); the route names the rule that made
 * it, for `emsmail route` and `emsmail trace`, and explain.ts says it in sentences. Who routes mail never asks which mode
 * the system runs in.
 *
 * A mode is a list of rules, tried from the top; the first that takes the recipient decides. Another mode is another
 * list in RULES.
 *
 * Absent on purpose: DNS. A route of the kind `mx` says whose hosts to ask for; targets.ts makes hosts of the answers.
 *
 * @module
 */
import { type Address, canonicalAddress, canonicalDomain, formatAddress } from "../mail/address.ts";
import { isOnGateway } from "../mail/gateway_address.ts";
import { type Reply, reply } from "../mail/reply.ts";
import { localCandidates, type LocalOptions } from "./local.ts";
import { type SrsKey, srsReverse } from "./srs.ts";

/** The network this system lives in: the seed's Figures 1 to 4. */
export type RoutingMode = "direct" | "buffer" | "intranet" | "combined";

/** How the connection to a host is secured. */
export type HostTls =
  /** In the clear. */
  | "off"
  /** TLS where the host offers it, whatever its certificate. */
  | "opportunistic"
  /** TLS or nothing, whatever its certificate. */
  | "required"
  /** TLS with a certificate that is valid for the host's name, or nothing. */
  | "verified"
  /** TLS from the first octet, verified (RFC 8314). */
  | "implicit";

/** A host that mail is given to whatever DNS says of the recipient: a smarthost, a buffer host, an internal system. */
export interface RelayHost {
  /** A name (its addresses are looked up, its MX records are not) or an IP address. */
  readonly host: string;
  readonly port: number;
  readonly tls: HostTls;
  /** The name to log in with; the password is in `passwordFile`. */
  readonly user?: string | undefined;
  readonly passwordFile?: string | undefined;
}

/** Where a message goes on its way out. */
export type NextHop =
  /** The hosts that DNS names for a domain, or the host of an address literal (RFC 5321 5.1). The domain is canonical. */
  | { readonly kind: "mx"; readonly domain: string }
  /** A gateway of the configuration other than SMTP, by its name: a file drop or a pipe. */
  | { readonly kind: "gateway"; readonly name: string }
  /** `duty`: whether what becomes of the mail is known by its acceptance, or only that the host will pass it on. */
  | { readonly kind: "host"; readonly host: RelayHost; readonly duty: "delivers" | "passes-on" };

/** Where mail goes that its own next hop can't be found for. */
export interface BackupHop {
  readonly hop: NextHop;
  /**
   * - `no-host`: DNS names no host for the domain, or says that it doesn't exist (a null MX is a refusal, not this)
   * - `unreachable`: that, or no host could be reached until {@linkcode Topology.unreachableAfterMs} had passed
   */
  readonly when: "no-host" | "unreachable";
}

/** A route for the mail of some recipients, or of some senders. */
export interface ListedRoute {
  /** Canonical domain, `.example.org` for its subdomains; for senders also an address. */
  readonly match: string;
  readonly host: RelayHost;
  /** Whether strangers may use it, or only who may relay. */
  readonly accept: "users" | "anyone";
}

/** A gateway other than SMTP, as routing sees it. */
export interface GatewayDomain {
  /** In lower case. */
  readonly name: string;
  /** What its addresses end in here, canonical: `mhs.example.org` and its subdomains (mail/gateway_address.ts). */
  readonly domain: string;
  /** Whether strangers may send to it, or only who may relay. */
  readonly accept: "users" | "anyone";
}

/** What routing knows of the world. */
export interface Topology extends LocalOptions {
  readonly mode: RoutingMode;
  /** `buffer` mode: everything to the buffer host, or that only as a backup. */
  readonly outbound: "dump" | "direct-first";
  readonly buffer?: RelayHost;
  readonly fallback?: RelayHost;
  /** Gateways other than SMTP, whose domains come before everything else; none where absent. */
  readonly gateways?: readonly GatewayDomain[];
  /** `relay.routes`, tried in order. */
  readonly routes: readonly ListedRoute[];
  /** `relay.senders`, tried in order. */
  readonly senders: readonly ListedRoute[];
  /** How long hosts may stay unreachable before a backup route is taken, in milliseconds. */
  readonly unreachableAfterMs: number;
  /** Absent: senders of forwarded mail are not rewritten, and rewritten addresses mean nothing. */
  readonly srs?: SrsKey;
  /** `keep`: no sender is rewritten any more, but addresses made before are understood. @default "srs" */
  readonly forwarding?: "srs" | "keep";
}

export interface ResolveOptions {
  /** The reverse-path; null is the null reverse-path. Absent: not known, and `relay.senders` is passed over. */
  readonly sender?: Address | null | undefined;
}

export type Route =
  /** Delivered here, to whoever has the first of `names` that exists. */
  | {
    readonly channel: "local";
    readonly recipient: Address;
    readonly names: readonly string[];
    /** `always`: must be taken even where nobody has a name of these (postmaster, RFC 5321 4.5.1). */
    readonly accept: "if-known" | "always";
    readonly rule: string;
  }
  /** Given to another system by SMTP. */
  | {
    readonly channel: "smtp";
    readonly recipient: Address;
    /** `users`: only who may relay gets to use it (the server knows who that is); else it would be an open relay. */
    readonly accept: "users" | "anyone";
    readonly hop: NextHop;
    readonly backup?: BackupHop;
    readonly rule: string;
  }
  /** Given to a gateway other than SMTP. */
  | {
    readonly channel: "gateway";
    readonly recipient: Address;
    readonly accept: "users" | "anyone";
    readonly hop: Extract<NextHop, { readonly kind: "gateway" }>;
    readonly backup?: undefined;
    readonly rule: string;
  }
  /** Not taken; the reply says why, in a sentence. */
  | {
    readonly channel: "refused";
    readonly recipient: Address;
    readonly reply: Reply;
    readonly rule: string;
  };

/** What the rules look at. */
interface Question {
  readonly recipient: Address;
  /** The recipient's, canonical. */
  readonly domain: string;
  readonly sender: Address | null;
  readonly topology: Topology;
}

/** Gives the route, or undefined to leave the recipient to the next rule. */
type Rule = (question: Question) => Route | undefined;

/** A mode's rules; `otherwise` takes what none of the others took. */
interface RuleList {
  readonly rules: readonly Rule[];
  readonly otherwise: (question: Question) => Route;
}

const RULES: { readonly [mode in RoutingMode]: RuleList } = {
  // The seed, Figure 1.
  direct: { rules: [rewritten, gateways, routes, ourDomains, complete, senders], otherwise: direct },
  // Figure 2.
  buffer: { rules: [rewritten, gateways, routes, ourDomains, complete, senders], otherwise: buffered },
  // Figure 3.
  intranet: { rules: [rewritten, gateways, routes, ourDomains, complete], otherwise: nothingOutside },
  // Figure 4.
  combined: { rules: [rewritten, gateways, routes, ourDomains, complete, senders], otherwise: combined },
};

/** Decides where a recipient's mail goes. */
export function resolve(recipient: Address, topology: Topology, options: ResolveOptions = {}): Route {
  const domain = canonicalDomain(recipient.domain);
  const question = { recipient, domain, sender: options.sender ?? null, topology };
  const { rules, otherwise } = RULES[topology.mode];
  for (const rule of rules) {
    const route = rule(question);
    if (route !== undefined) return route;
  }
  return otherwise(question);
}

// ---------------------------------------------------------------- rules of every mode

/** A notification for a sender whose address was rewritten when its message was forwarded. */
function rewritten({ recipient, domain, sender, topology }: Question): Route | undefined {
  const { srs, domains } = topology;
  if (srs === undefined || !domains.includes(domain)) return undefined;
  const reversal = srsReverse(recipient, srs);
  if (reversal.kind === "not-srs") return undefined;
  if (reversal.kind === "bad") {
    const sentence = `${formatAddress(recipient)} stands for nobody: ${reversal.reason}`;
    return refuse(recipient, { rule: "srs", reply: reply(550, "5.1.1", sentence) });
  }
  // No key the second time: one rewriting is undone at a time, and nothing goes in circles.
  const { srs: _, ...rest } = topology;
  const route = resolve(reversal.recipient, rest, { sender });
  // It is an answer to a message that left here, so strangers may use it.
  return route.channel === "smtp" || route.channel === "gateway"
    ? { ...route, accept: "anyone", rule: "srs" }
    : { ...route, rule: "srs" };
}

/** The seed's "gateways": a domain that stands for a system joined by other means than SMTP. */
function gateways({ recipient, topology }: Question): Route | undefined {
  const gateway = topology.gateways?.find(({ domain }) => isOnGateway(recipient, domain));
  if (gateway === undefined) return undefined;
  const { name, accept } = gateway;
  return {
    channel: "gateway",
    recipient,
    accept,
    hop: { kind: "gateway", name },
    rule: `gateways.${name}`,
  };
}

function routes({ recipient, domain, topology }: Question): Route | undefined {
  const index = topology.routes.findIndex(({ match }) => matchesDomain(match, domain));
  const route = topology.routes[index];
  if (route === undefined) return undefined;
  const hop = { kind: "host", host: route.host, duty: "delivers" } as const;
  return { channel: "smtp", recipient, accept: route.accept, hop, rule: `relay.routes[${index}]` };
}

function ourDomains({ recipient, topology }: Question): Route | undefined {
  const candidates = localCandidates(recipient, topology);
  if (candidates.kind === "outside") return undefined;
  return {
    channel: "local",
    recipient,
    names: candidates.names,
    accept: candidates.kind === "postmaster" ? "always" : "if-known",
    rule: candidates.kind === "postmaster" ? "postmaster" : "our-domains",
  };
}

/** RFC 5321 4.1.1.3: only postmaster goes without a domain. */
function complete({ recipient, domain }: Question): Route | undefined {
  if (domain !== "") return undefined;
  const sentence = `${formatAddress(recipient)} has no domain: write it as name@domain`;
  // RFC 3463 3.2: 5.1.3 is a bad destination mailbox address syntax.
  return refuse(recipient, { rule: "no-domain", reply: reply(550, "5.1.3", sentence) });
}

function senders({ recipient, sender, topology }: Question): Route | undefined {
  if (sender === null) return undefined;
  const address = canonicalAddress(sender);
  const domain = canonicalDomain(sender.domain);
  const index = topology.senders.findIndex(({ match }) =>
    match.includes("@") ? match === address : matchesDomain(match, domain)
  );
  const route = topology.senders[index];
  if (route === undefined) return undefined;
  const hop = { kind: "host", host: route.host, duty: "passes-on" } as const;
  return { channel: "smtp", recipient, accept: "users", hop, rule: `relay.senders[${index}]` };
}

// ---------------------------------------------------------------- what is left, by mode

function direct(question: Question): Route {
  return byDns(question, { rule: "direct", ...backupBy(question.topology.fallback, "unreachable") });
}

function combined(question: Question): Route {
  return byDns(question, { rule: "combined", ...backupBy(question.topology.buffer, "unreachable") });
}

function byDns(
  { recipient, domain }: Question,
  how: { readonly rule: string; readonly backup?: BackupHop },
): Route {
  return { channel: "smtp", recipient, accept: "users", hop: { kind: "mx", domain }, ...how };
}

function buffered(question: Question): Route {
  const { recipient, topology: { buffer, outbound } } = question;
  const rule = `buffer ${outbound}`;
  if (outbound === "direct-first") return byDns(question, { rule, ...backupBy(buffer, "no-host") });
  if (buffer !== undefined) {
    const hop = { kind: "host", host: buffer, duty: "passes-on" } as const;
    return { channel: "smtp", recipient, accept: "users", hop, rule };
  }
  // RFC 3463 3.4: 4.3.5 is a system incorrectly configured. The configuration's own check leaves no way here.
  const sentence =
    "This system is to give all outbound mail to a buffer host, and no buffer host is configured";
  return refuse(recipient, { rule, reply: reply(451, "4.3.5", sentence) });
}

function nothingOutside({ recipient, topology }: Question): Route {
  const { domains, routes, gateways = [] } = topology;
  const ours = listed([
    ...domains,
    ...routes.map(({ match }) => shownMatch(match)),
    ...gateways.map(({ domain }) => domain),
  ]);
  const sentence = `${
    formatAddress(recipient)
  } is outside: this system is on an intranet and delivers only to ${ours}`;
  // RFC 3463 3.8: 5.7.1 is delivery not authorized; RFC 5321 3.6.2 allows 550 for it.
  return refuse(recipient, { rule: "intranet", reply: reply(550, "5.7.1", sentence) });
}

// ---------------------------------------------------------------- leaves

/** Whether a domain is the one of a rule, or below it where the rule begins with a dot; both are canonical. */
function matchesDomain(match: string, domain: string): boolean {
  return match.startsWith(".") ? domain.length > match.length && domain.endsWith(match) : match === domain;
}

function backupBy(
  host: RelayHost | undefined,
  when: BackupHop["when"],
): { readonly backup?: BackupHop } {
  return host === undefined ? {} : { backup: { hop: { kind: "host", host, duty: "passes-on" }, when } };
}

function refuse(
  recipient: Address,
  { rule, reply }: { readonly rule: string; readonly reply: Reply },
): Route {
  return { channel: "refused", recipient, reply, rule };
}

/** Domains named in a refusal at most, so that it stays a sentence. */
const DOMAINS_NAMED = 5;

function listed(domains: readonly string[]): string {
  if (domains.length === 0) return "domains that its configuration has yet to name";
  const named = domains.slice(0, DOMAINS_NAMED).join(", ");
  return domains.length > DOMAINS_NAMED ? `${named} and ${domains.length - DOMAINS_NAMED} more` : named;
}

/** `.example.org` as people say it. */
export function shownMatch(match: string): string {
  return match.startsWith(".") ? `subdomains of ${match.slice(1)}` : match;
}
