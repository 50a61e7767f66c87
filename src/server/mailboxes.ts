/**
 * Who may send as whom, whose maildrops a recipient stands for, and where else its mail goes: routing's decisions over the
 * store's directory.
 *
 * @module
 */
import { inCidrs } from "../base/cidr.ts";
import { type Address, formatAddress, parseAddress } from "../mail/address.ts";
import { type Reply, reply } from "../mail/reply.ts";
import { Expansion, type Forward, type Found } from "../routing/expand.ts";
import type { RelayHost, Route, Topology } from "../routing/route.ts";
import type { Config } from "../config/config.ts";
import * as replies from "../smtp/replies.ts";
import type { Account, Directory } from "../store/types.ts";
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
  const srs = { domain: config.domains[0] ?? config.hostname, secret: secrets.srs, nowMs: secrets.nowMs };
  return { ...topology, srs };
}

function topologyOfConfig({ domains, accounts, relay, queue }: Config): Topology {
  const buffer = relayHost(relay.buffer);
  const fallback = relayHost(relay.fallback);
  return {
    mode: relay.mode,
    domains,
    plus: accounts.plusAddressing,
    outbound: relay.outbound,
    ...buffer === undefined ? {} : { buffer },
    ...fallback === undefined ? {} : { fallback },
    routes: relay.routes.map(({ domain, accept, ...host }) => ({ match: domain, host, accept })),
    senders: relay.senders.map(({ sender, ...host }) => ({ match: sender, host, accept: "users" })),
    unreachableAfterMs: relay.unreachableAfter ?? queue.expire,
    forwarding: relay.forwarding,
  };
}

function relayHost(
  settings: Omit<RelayHost, "host"> & { readonly host: string | undefined },
): RelayHost | undefined {
  const { host, port, tls, user, passwordFile } = settings;
  return host === undefined ? undefined : { host, port, tls, user, passwordFile };
}

/** Where a recipient's mail goes: to maildrops, elsewhere, or both. */
export interface Destination {
  readonly accounts: readonly Account[];
  /** Addresses elsewhere: the recipient itself, or what an alias leads to. */
  readonly forwards: readonly Forward[];
  /** What the recipient itself was taken for. */
  readonly route: Route;
  /** Why it goes nowhere, or not to all it should; "" where all is well. */
  readonly problem: string;
  /** The refusal where it goes nowhere. */
  readonly refusal: Reply | undefined;
}

/** What finding a destination takes. */
export interface Where {
  readonly directory: Directory;
  readonly config: Config;
  /** The reverse-path, null for the null one; absent where it is not known. */
  readonly sender?: Address | null | undefined;
  readonly secrets?: Secrets | undefined;
}

/** Finds where a recipient's mail goes, as things stand now. */
export async function findDestination(recipient: Address | string, where: Where): Promise<Destination> {
  const address = typeof recipient === "string" ? parseRecipient(recipient) : recipient;
  const topology = topologyOf(where.config, where.secrets);
  const expansion = new Expansion(address, topology, { sender: where.sender });
  const { route } = expansion;
  if (route.channel === "refused") {
    const problem = route.reply.lines.join(" ");
    return { accounts: [], forwards: [], route, problem, refusal: route.reply };
  }
  const found = new Map<string, Account>();
  let step = expansion.next();
  for (; step.kind === "look-up"; step = expansion.next()) {
    expansion.found(await findFirst(step.names, { directory: where.directory, found }));
  }
  const accounts = step.accounts.map((name) => found.get(name)!);
  const { forwards } = step;
  const problem = step.problems.map(({ text }) => text).join("; ");
  if (accounts.length + forwards.length > 0) {
    return { accounts, forwards, route, problem, refusal: undefined };
  }
  if (route.channel === "local" && route.accept === "always") {
    const postmaster = await findPostmaster(where);
    if (postmaster !== undefined) {
      return { accounts: [postmaster], forwards, route, problem: "", refusal: undefined };
    }
  }
  return {
    accounts,
    forwards,
    route,
    problem: problem || `${formatAddress(address)} is nobody here`,
    refusal: step.problems.length > 0 && step.problems.every(({ kind }) => kind === "outside")
      ? leadsOutside(address)
      : replies.unknownUser,
  };
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

async function findFirst(
  names: readonly string[],
  where: { readonly directory: Directory; readonly found: Map<string, Account> },
): Promise<Found> {
  const named = await where.directory.find(names);
  if (named === undefined) return { kind: "nothing" };
  if (named.kind === "alias") return { kind: "alias", ...named.alias };
  where.found.set(named.account.name, named.account);
  return { kind: "account", name: named.account.name };
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
  const { accounts, forwards, route, refusal } = await findDestination(recipient, where);
  if (refusal !== undefined) return refusal;
  // What an alias leads to is not asked about: who made the alias has decided that.
  if (route.channel === "smtp" && route.accept === "users" && check.mayRelay === "no") {
    return replies.relayingDenied;
  }
  if (forwards.length > 0) return undefined;
  for (const account of accounts) if (await hasRoom(account, check)) return undefined;
  // Of several people behind one address, the ones with room get the mail; only when nobody has any is it refused.
  return replies.overQuota;
}

async function hasRoom(account: Account, { context, announcedOctets }: RecipientCheck): Promise<boolean> {
  const defaults = context.config().accounts;
  const quotaOctets = account.quotaOctets ?? defaults.quotaBytes;
  const quotaMessages = account.quotaMessages ?? defaults.quotaMessages;
  if (quotaOctets === 0 && quotaMessages === 0) return true;
  const { octets, messages } = await context.store.maildrops.usage(account.id);
  return (quotaOctets === 0 || octets + announcedOctets <= quotaOctets && octets < quotaOctets) &&
    (quotaMessages === 0 || messages < quotaMessages);
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
  const { accounts } = await findDestination(sender, { directory: context.store.directory, config });
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
  return asked.route.channel === "smtp"
    ? replies.cannotVerify
    : replies.verified(formatAddress(asked.address));
}

/** EXPN: the members of an alias, for those who logged in (RFC 5321 3.5.2). */
export async function expandMailbox(argument: string, query: Query): Promise<Reply> {
  if (query.account === undefined) return reply(550, "5.7.1", "Only who has logged in may expand a name");
  const asked = await ask(argument, query);
  if (asked === undefined) return replies.unknownUser;
  if (asked.refusal !== undefined) return asked.refusal;
  if (asked.route.channel === "smtp") return replies.cannotVerify;
  const config = query.context.config();
  const domain = config.domains[0] ?? config.hostname;
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
  const where = { directory: context.store.directory, config, secrets: secretsOf(context) };
  return { ...await findDestination(address, where), address };
}

/** What VRFY and EXPN are asked for: an address with or without brackets, or a name at our first domain. */
function parseAsked(argument: string, config: Config): Address | undefined {
  const text = argument.trim().replace(/^<(.*)>$/, "$1");
  const address = parseAddress(text.includes("@") ? text : `${text}@${config.domains[0] ?? config.hostname}`);
  return "error" in address ? undefined : address;
}
