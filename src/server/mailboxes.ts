/**
 * Who may send as whom, and whose maildrops a recipient stands for: routing's decisions over the store's directory.
 *
 * @module
 */
import { type Address, formatAddress, parseAddress } from "../mail/address.ts";
import { type Reply, reply } from "../mail/reply.ts";
import { Expansion, type Found } from "../routing/expand.ts";
import type { Topology } from "../routing/route.ts";
import type { Config } from "../config/config.ts";
import * as replies from "../smtp/replies.ts";
import type { Account, Directory } from "../store/types.ts";
import type { ServerContext, Service } from "./context.ts";

/** What routing has to know of the configuration. */
export function topologyOf(config: Config): Topology {
  return { mode: "intranet", domains: config.domains, plus: config.accounts.plusAddressing };
}

/** Where a recipient's mail goes. */
export interface Destination {
  readonly accounts: readonly Account[];
  /** Why there are no accounts, or not all; "" where all is well. */
  readonly problem: string;
  /** The refusal where there are none. */
  readonly refusal: Reply | undefined;
}

interface Where {
  readonly directory: Directory;
  readonly config: Config;
}

/** Finds the maildrops behind a recipient, as things stand now. */
export async function findDestination(recipient: Address | string, where: Where): Promise<Destination> {
  const address = typeof recipient === "string" ? parseRecipient(recipient) : recipient;
  const expansion = new Expansion(address, topologyOf(where.config));
  const { route } = expansion;
  if (route.channel === "refused") {
    return { accounts: [], problem: route.reply.lines.join(" "), refusal: route.reply };
  }
  const found = new Map<string, Account>();
  let step = expansion.next();
  for (; step.kind === "look-up"; step = expansion.next()) {
    expansion.found(await findFirst(step.names, { directory: where.directory, found }));
  }
  const accounts = step.accounts.map((name) => found.get(name)!);
  const problem = step.problems.map(({ text }) => text).join("; ");
  if (accounts.length > 0) return { accounts, problem, refusal: undefined };
  if (route.accept === "always") {
    const postmaster = await findPostmaster(where);
    if (postmaster !== undefined) return { accounts: [postmaster], problem: "", refusal: undefined };
  }
  return {
    accounts,
    problem: problem || `${formatAddress(address)} is nobody here`,
    refusal: replies.unknownUser,
  };
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

/** The refusal of a recipient at RCPT, or undefined: it exists, mail may go there, there is room. */
export async function checkRecipient(
  recipient: Address,
  options: { readonly context: ServerContext; readonly announcedOctets: number },
): Promise<Reply | undefined> {
  const { store } = options.context;
  const config = options.context.config();
  const { accounts, refusal } = await findDestination(recipient, { directory: store.directory, config });
  if (refusal !== undefined) return refusal;
  for (const account of accounts) {
    const quotaOctets = account.quotaOctets ?? config.accounts.quotaBytes;
    const quotaMessages = account.quotaMessages ?? config.accounts.quotaMessages;
    if (quotaOctets === 0 && quotaMessages === 0) return undefined;
    const { octets, messages } = await store.maildrops.usage(account.id);
    const roomy =
      (quotaOctets === 0 || octets + options.announcedOctets <= quotaOctets && octets < quotaOctets) &&
      (quotaMessages === 0 || messages < quotaMessages);
    if (roomy) return undefined;
  }
  // Of several people behind one address, the ones with room get the mail; only when nobody has any is it refused.
  return replies.overQuota;
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
export async function verifyMailbox(argument: string, { context, account }: Query): Promise<Reply> {
  if (account === undefined) return replies.cannotVerify;
  const config = context.config();
  const address = parseAsked(argument, config);
  if (address === undefined) return replies.unknownUser;
  const { refusal } = await findDestination(address, { directory: context.store.directory, config });
  return refusal ?? replies.verified(formatAddress(address));
}

/** EXPN: the members of an alias, for those who logged in (RFC 5321 3.5.2). */
export async function expandMailbox(argument: string, { context, account }: Query): Promise<Reply> {
  if (account === undefined) return reply(550, "5.7.1", "Only who has logged in may expand a name");
  const config = context.config();
  const address = parseAsked(argument, config);
  if (address === undefined) return replies.unknownUser;
  const { accounts, refusal } = await findDestination(address, {
    directory: context.store.directory,
    config,
  });
  if (refusal !== undefined) return refusal;
  const domain = config.domains[0] ?? config.hostname;
  return reply(
    250,
    "2.1.5",
    ...accounts.map(({ name }) => `<${name.includes("@") ? name : `${name}@${domain}`}>`),
  );
}

/** What VRFY and EXPN are asked for: an address with or without brackets, or a name at our first domain. */
function parseAsked(argument: string, config: Config): Address | undefined {
  const text = argument.trim().replace(/^<(.*)>$/, "$1");
  const address = parseAddress(text.includes("@") ? text : `${text}@${config.domains[0] ?? config.hostname}`);
  return "error" in address ? undefined : address;
}
