/**
 * Who may send as whom, whose maildrops a recipient stands for, and where else its mail goes: routing's decisions over the
 * store's directory.
 *
 * Guarantees: nobody sends as somebody else by a list, a shadow or a user's forwarding; an address is owned by the accounts
 * that have it themselves or by an alias. Strangers reach a shadow only where it is open to them.
 *
 * @module
 */
import { inCidrs } from "../base/cidr.ts";
import { type Address, formatAddress, parseAddress, parseLocalPart } from "../mail/address.ts";
import { type Reply, reply } from "../mail/reply.ts";
import { Expansion, type ExpansionProblem, type Forward, type Found } from "../routing/expand.ts";
import type { GatewayDomain, RelayHost, Route, Topology } from "../routing/route.ts";
import type { Config } from "../config/config.ts";
import { firstDomain, gatewayDomain } from "../config/names.ts";
import * as replies from "../smtp/replies.ts";
import type { Account, Directory, Maildrops, Named } from "../store/types.ts";
import type { ServerContext, Service } from "./context.ts";

/** What understanding rewritten senders' addresses takes. */
export interface Secrets {
  readonly srs: Uint8Array;
  readonly nowMs: number;
}

/** Each recipient asks for it, and a configuration is never changed. */
const topologies = new WeakMap<Config, Topology>();

/** What routing has to know of the configuration. Without `secrets`, no sender is rewritten, and none understood. */
export function topologyOf(config: Config, secrets?: Secrets): Topology {
  let topology = topologies.get(config);
  if (topology === undefined) topologies.set(config, topology = topologyOfConfig(config));
  if (secrets === undefined) return topology;
  const srs = { domain: firstDomain(config), secret: secrets.srs, nowMs: secrets.nowMs };
  return { ...topology, srs };
}

function topologyOfConfig(config: Config): Topology {
  const { domains, accounts, relay, queue } = config;
  const gateways = gatewayDomains(config);
  const buffer = relayHost(relay.buffer);
  const fallback = relayHost(relay.fallback);
  return {
    mode: relay.mode,
    domains,
    plus: accounts.plusAddressing,
    outbound: relay.outbound,
    ...buffer === undefined ? {} : { buffer },
    ...fallback === undefined ? {} : { fallback },
    ...gateways.length === 0 ? {} : { gateways },
    routes: relay.routes.map(({ domain, accept, ...host }) => ({ match: domain, host, accept })),
    senders: relay.senders.map(({ sender, ...host }) => ({ match: sender, host, accept: "users" })),
    unreachableAfterMs: relay.unreachableAfter ?? queue.expire,
    forwarding: relay.forwarding,
  };
}

/** The gateways other than SMTP that are configured, each with the domain its addresses end in here. */
export function gatewayDomains(config: Config): readonly GatewayDomain[] {
  const { filedrop, pipe } = config.gateways;
  return [...filedrop, ...pipe].map(({ name, domain, accept }) => ({
    name,
    domain: gatewayDomain({ name, domain }, config),
    accept,
  }));
}

function relayHost(
  settings: Omit<RelayHost, "host"> & { readonly host: string | undefined },
): RelayHost | undefined {
  const { host, port, tls, user, passwordFile } = settings;
  return host === undefined ? undefined : { host, port, tls, user, passwordFile };
}

/** Where a recipient's mail goes: to maildrops, elsewhere, or both. */
export interface Destination {
  /** Whose maildrops get it: also that of a user who forwards, where it is to be kept or there is nowhere else to go. */
  readonly accounts: readonly Account[];
  /** Addresses elsewhere: the recipient itself, or what an alias, a list, a shadow or a user's forwarding leads to. */
  readonly forwards: readonly Forward[];
  /** What the recipient itself was taken for. */
  readonly route: Route;
  /** What the recipient's own name is; undefined where it is elsewhere, or nobody's. */
  readonly named: Named | undefined;
  /** The recipient is a list, or stands for one and nothing else. */
  readonly list: "no" | "yes";
  /** The recipient is a shadow that takes no mail from strangers. */
  readonly closed: "no" | "yes";
  /** Why it goes nowhere, or not to all it should; "" where all is well. */
  readonly problem: string;
  /** The refusal where it goes nowhere. */
  readonly refusal: Reply | undefined;
}

/** What finding a destination takes. */
export interface Where {
  readonly directory: Pick<Directory, "account" | "accounts" | "find">;
  readonly config: Config;
  /** The reverse-path, null for the null one; absent where it is not known. */
  readonly sender?: Address | null | undefined;
  readonly secrets?: Secrets | undefined;
  /**
   * How far names are followed:
   * - `all`: to wherever the mail goes
   * - `members`: to who is behind the name, whatever they do with their mail
   * - `owners`: to the accounts that have the name themselves or by an alias; a list or shadow is nobody's own
   * @default "all"
   */
  readonly follow?: "all" | "members" | "owners" | undefined;
}

/** Finds where a recipient's mail goes, as things stand now. */
export async function findDestination(recipient: Address | string, where: Where): Promise<Destination> {
  const address = typeof recipient === "string" ? parseRecipient(recipient) : recipient;
  const topology = topologyOf(where.config, where.secrets);
  const expansion = new Expansion(address, topology, { sender: where.sender });
  const { route } = expansion;
  if (route.channel === "refused") {
    const problem = route.reply.lines.join(" ");
    const nothing = { accounts: [], forwards: [], named: undefined, list: "no", closed: "no" } as const;
    return { ...nothing, route, problem, refusal: route.reply };
  }
  const found = new Map<string, Account>();
  /** By the names asked for, of which the first are the recipient's own. */
  let named: Named | undefined;
  let step = expansion.next();
  for (let i = 0; step.kind === "look-up"; step = expansion.next(), i++) {
    const first = await where.directory.find(step.names);
    if (i === 0) named = first;
    if (first?.kind === "account") found.set(first.account.name, first.account);
    expansion.found(foundOf(first, where.follow ?? "all"));
  }
  const { forwards, list, closed } = step;
  const accounts = step.accounts.map((name) => found.get(name)!);
  const problem = step.problems.map(({ text }) => text).join("; ");
  const destination = { accounts, forwards, route, named, list, closed, problem };
  if (accounts.length + forwards.length > 0) return { ...destination, refusal: undefined };
  // Whose mail a name of somebody's or something's own can't be delivered to, doesn't own it.
  const isOwned = where.follow === "owners" && named !== undefined;
  if (route.channel === "local" && route.accept === "always" && !isOwned) {
    const postmaster = await findPostmaster(where);
    if (postmaster !== undefined) {
      return { ...destination, accounts: [postmaster], problem: "", refusal: undefined };
    }
  }
  return {
    ...destination,
    problem: problem || `${formatAddress(address)} is nobody here`,
    refusal: refusalFor(address, step.problems),
  };
}

/** What a recipient's sender is told who can reach nobody. */
function refusalFor(address: Address, problems: readonly ExpansionProblem[]): Reply {
  const all = (kind: ExpansionProblem["kind"]) =>
    problems.length > 0 && problems.every((problem) => problem.kind === kind);
  if (all("outside")) return leadsOutside(address);
  return all("empty") ? replies.emptyList : replies.unknownUser;
}

/** An alias of whose targets none may be sent mail; what they are is not a stranger's business. */
function leadsOutside(alias: Address): Reply {
  // RFC 3463 3.8: 5.7.1 is delivery not authorized.
  return reply(
    550,
    "5.7.1",
    `${formatAddress(alias)} stands for addresses outside alone, where this system sends no mail`,
  );
}

/** `<postmaster>` without domain is an address too (RFC 5321 4.5.1). */
function parseRecipient(text: string): Address {
  const address = parseAddress(text);
  return "error" in address ? { local: text, domain: "" } : address;
}

/** What the directory has, as the expansion is to see it. */
function foundOf(named: Named | undefined, follow: NonNullable<Where["follow"]>): Found {
  if (named === undefined) return { kind: "nothing" };
  if (named.kind === "account") {
    const { name, forward } = named.account;
    return follow === "all" ? { kind: "account", name, forward } : { kind: "account", name };
  }
  if (named.kind === "alias") return { kind: "alias", ...named.alias };
  if (follow === "owners") return { kind: "nothing" };
  return named.kind === "shadow" ? { kind: "shadow", ...named.shadow } : { kind: "list", ...named.list };
}

/**
 * The reverse-path of what a list sends to its members (RFC 5321 3.9.2): the owner's address, or postmaster's where the list
 * has no owner. A name without domain is at the first of ours.
 */
export function listOwnerAddress(owner: string | undefined, config: Config): string {
  const domain = firstDomain(config);
  const address = parseAddress(owner ?? "");
  if (!("error" in address)) return formatAddress(address);
  const local = parseLocalPart(owner ?? "");
  return formatAddress({ local: typeof local === "string" ? local : "postmaster", domain });
}

/**
 * RFC 5321 4.5.1: mail for postmaster must be taken. It goes to the configured account, or to the first there is where
 * none is configured or it is gone.
 */
async function findPostmaster({ directory, config }: Where): Promise<Account | undefined> {
  const configured = config.postmaster === undefined ? undefined : await directory.account(config.postmaster);
  if (configured !== undefined) return configured;
  const accounts = await directory.accounts();
  return accounts.reduce<Account | undefined>(
    (first, each) => first !== undefined && first.id < each.id ? first : each,
    undefined,
  );
}

/** Whether a client may send to the outside: it has logged in, or its address is one that this system relays for. */
export function mayRelay(
  config: Config,
  { account, client }: { readonly account: Account | undefined; readonly client: string },
): "yes" | "no" {
  return account !== undefined || inCidrs(client, config.relay.clients) ? "yes" : "no";
}

/** What is known at RCPT. */
export interface RecipientCheck {
  readonly context: ServerContext;
  /** By SIZE (RFC 1870), 0 where it was not said. */
  readonly announcedOctets: number;
  /** {@linkcode mayRelay}'s answer about the client. */
  readonly mayRelay: "yes" | "no";
  /** The reverse-path; null is the null one. */
  readonly sender: Address | null;
}

/** The refusal of a recipient at RCPT, or undefined: it exists, mail may go there, there is room. */
export async function checkRecipient(recipient: Address, check: RecipientCheck): Promise<Reply | undefined> {
  const { context, sender } = check;
  const { directory } = context.store;
  const config = context.config();
  const where = { directory, config, sender, secrets: secretsOf(context) };
  const { accounts, forwards, route, closed, refusal } = await findDestination(recipient, where);
  if (closed === "yes" && check.mayRelay === "no") return replies.closedToStrangers;
  if (refusal !== undefined) return refusal;
  // What an alias, a list or a user's forwarding leads to is not asked about: who set it up has decided that.
  const isOut = route.channel === "smtp" || route.channel === "gateway";
  if (isOut && route.accept === "users" && check.mayRelay === "no") return replies.relayingDenied;
  if (forwards.length > 0) return undefined;
  const room = { maildrops: context.store.maildrops, config, octets: check.announcedOctets };
  for (const account of accounts) if (await hasRoom(account, room) === "yes") return undefined;
  // Of several people behind one address, the ones with room get the mail; only when nobody has any is it refused.
  return replies.overQuota;
}

/** Whether a maildrop may take a message of so many octets (0: of a size not known yet), by its quota. */
export async function hasRoom(
  account: Account,
  { maildrops, config, octets }: {
    readonly maildrops: Pick<Maildrops, "usage">;
    readonly config: Config;
    readonly octets: number;
  },
): Promise<"yes" | "no"> {
  const quotaOctets = account.quotaOctets ?? config.accounts.quotaBytes;
  const quotaMessages = account.quotaMessages ?? config.accounts.quotaMessages;
  if (quotaOctets === 0 && quotaMessages === 0) return "yes";
  const usage = await maildrops.usage(account.id);
  const hasOctets = quotaOctets === 0 ||
    usage.octets + octets <= quotaOctets && usage.octets < quotaOctets;
  return hasOctets && (quotaMessages === 0 || usage.messages < quotaMessages) ? "yes" : "no";
}

function secretsOf(context: ServerContext): Secrets | undefined {
  const srs = context.srsSecret();
  return srs === undefined ? undefined : { srs, nowMs: context.clock.nowMs() };
}

/** The refusal of a sender at MAIL, or undefined: a submission's reverse-path must belong to who logged in (RFC 6409 6.1). */
export async function checkSender(
  sender: Address | null,
  options: {
    readonly context: ServerContext;
    readonly service: Service;
    readonly account: Account | undefined;
  },
): Promise<Reply | undefined> {
  const { account, context } = options;
  const config = context.config();
  // The null reverse-path is for notifications (RFC 5321 6.1), which mail programs send too (RFC 8098 4).
  if (options.service === "smtp" || sender === null || account === undefined) return undefined;
  if (config.submission.sendAs === "any" || account.sendAsAny) return undefined;
  const where = { directory: context.store.directory, config, follow: "owners" } as const;
  const { accounts } = await findDestination(sender, where);
  return accounts.some(({ id }) => id === account.id) ? undefined : replies.senderNotYours;
}

interface Query {
  readonly context: ServerContext;
  readonly account: Account | undefined;
}

/** VRFY: says nothing to strangers (RFC 5321 7.3), the truth to those who logged in. */
export async function verifyMailbox(argument: string, query: Query): Promise<Reply> {
  if (query.account === undefined) return replies.cannotVerify;
  const asked = await ask(argument, query);
  if (asked === undefined) return replies.unknownUser;
  if (asked.refusal !== undefined) return asked.refusal;
  // RFC 5321 3.5.3: whether somebody elsewhere exists, their system knows.
  return asked.route.channel !== "local"
    ? replies.cannotVerify
    : replies.verified(formatAddress(asked.address));
}

/** EXPN: who is behind an alias or a list, for those who logged in (RFC 5321 3.5.2). */
export async function expandMailbox(argument: string, query: Query): Promise<Reply> {
  if (query.account === undefined) return reply(550, "5.7.1", "Only who has logged in may expand a name");
  const asked = await ask(argument, query);
  if (asked === undefined) return replies.unknownUser;
  if (asked.refusal !== undefined) return asked.refusal;
  if (asked.route.channel !== "local") return replies.cannotVerify;
  const domain = firstDomain(query.context.config());
  const here = asked.accounts.map(({ name }) => name.includes("@") ? name : `${name}@${domain}`);
  const elsewhere = asked.forwards.map(({ recipient }) => formatAddress(recipient));
  return reply(250, "2.1.5", ...[...here, ...elsewhere].map((address) => `<${address}>`));
}

/** Where mail for what VRFY or EXPN names would go; undefined where it is no name. */
async function ask(
  argument: string,
  { context }: Query,
): Promise<Destination & { readonly address: Address } | undefined> {
  const config = context.config();
  const address = parseAsked(argument, config);
  if (address === undefined) return undefined;
  const { directory } = context.store;
  // Where users send their mail on to is nobody else's business.
  const where = { directory, config, secrets: secretsOf(context), follow: "members" } as const;
  return { ...await findDestination(address, where), address };
}

/** What VRFY and EXPN are asked for: an address with or without brackets, or a name at our first domain. */
function parseAsked(argument: string, config: Config): Address | undefined {
  const text = argument.trim().replace(/^<(.*)>$/, "$1");
  const address = parseAddress(text.includes("@") ? text : `${text}@${firstDomain(config)}`);
  return "error" in address ? undefined : address;
}
