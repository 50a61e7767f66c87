/**
 * Accounts: added, looked at, changed and removed.
 *
 * Guarantees: no result holds a password, a hash or a verifier. An action that fails has changed nothing.
 *
 * @module
 */
import type { Account, AccountChanges, Alias, Named, NewAccount, Pop3Access } from "../store/types.ts";
import { type AdminContext, isoTime, nameRules } from "./context.ts";
import { A_KIND, EntryGraph, nameOf } from "./entry_graph.ts";
import { AdminError, usageError } from "./error.ts";
import { addressesOf, lookupName, parseAccountName } from "./names.ts";
import { keepPassword } from "./passwords.ts";
import { profileChanges, profileOf, type ProfileSettings, type ProfileView } from "./profiles.ts";

/** What may be set of an account; what is undefined stays, or gets its default in a new one. */
export interface UserSettings extends ProfileSettings {
  readonly pop3?: Pop3Access | undefined;
  /** Octets the maildrop may hold; 0 for any number; "default" for what the configuration says. */
  readonly quotaBytes?: number | "default" | undefined;
  /** Messages the maildrop may hold; 0 for any number; "default" for what the configuration says. */
  readonly quotaMessages?: number | "default" | undefined;
  readonly sendAs?: "own" | "any" | undefined;
}

/** A maildrop's limit, and whether the account has one of its own. */
export interface QuotaView {
  /** 0: any number. */
  readonly limit: number;
  readonly own: boolean;
}

/** An account as operators see it. */
export interface UserView extends ProfileView {
  readonly name: string;
  /** Where it receives, aliases apart. */
  readonly addresses: readonly string[];
  readonly pop3: Pop3Access;
  readonly sendAs: "own" | "any";
  readonly quotaBytes: QuotaView;
  readonly quotaMessages: QuotaView;
  readonly hasPassword: boolean;
  readonly createdAt: string;
}

/** An account with what its maildrop holds. */
export interface UserUsage extends UserView {
  readonly messages: number;
  readonly bytes: number;
}

/** An account with everything that leads to it. */
export interface UserDetails extends UserUsage {
  /** Aliases that name it. */
  readonly aliases: readonly string[];
  /** Lists that it is a member of by its own name. */
  readonly lists: readonly string[];
}

/** Adds an account; `warnings` are sentences about what may not have been meant. */
export async function addUser(
  context: AdminContext,
  user: UserSettings & { readonly name: string; readonly password: string },
): Promise<{ readonly user: UserView; readonly warnings: readonly string[] }> {
  const { directory } = context.store;
  const name = await checkNewUser(context, user.name);
  const plain = newAccount(name, context);
  const account = await directory.addAccount({
    ...plain,
    ...changesOf(user),
    ...await profileChanges(context, { id: 0, ...plain }, user),
    ...await keepPassword(user.password, context),
  });
  return {
    user: viewOf(account, { context, taken: await takenAddresses(context) }),
    warnings: await warnAbout(name, context),
  };
}

/** An account as it is before anybody sets anything: it has no password, so that nobody can log in. */
export function newAccount(name: string, { config, clock }: AdminContext): NewAccount {
  return {
    name,
    pop3: config.accounts.pop3,
    sendAsAny: false,
    passwordHash: "",
    scramVerifier: "",
    createdAtMs: clock.nowMs(),
  };
}

/** The canonical name for a new account. @throws {AdminError} where it can't be one or is taken */
export async function checkNewUser(
  { store: { directory }, config }: AdminContext,
  text: string,
): Promise<string> {
  const name = parseAccountName(text, nameRules(config));
  const named = await directory.find([name]);
  if (named?.kind === "account") {
    throw new AdminError(`there is an account ${name} already`, `change it with: emsmail user set ${name}`);
  }
  if (named !== undefined) {
    throw new AdminError(`${name} is ${A_KIND[named.kind]}`, `remove it first: ${removalOf(named)}`);
  }
  return name;
}

/** The command that removes an entry. */
export function removalOf(named: Named): string {
  const command = named.kind === "account" ? "user" : named.kind === "alias" ? "alias" : "directory";
  return `emsmail ${command} remove ${nameOf(named)}`;
}

/** All accounts by name, with what their maildrops hold. */
export async function listUsers(context: AdminContext): Promise<UserUsage[]> {
  const taken = await takenAddresses(context);
  const users: UserUsage[] = [];
  for (const account of await context.store.directory.accounts()) {
    users.push(await usageOf(account, { context, taken }));
  }
  return users;
}

/** One account. @throws {AdminError} */
export async function showUser(context: AdminContext, name: string): Promise<UserDetails> {
  const account = await findAccount(context, name);
  const usage = await usageOf(account, { context, taken: await takenAddresses(context) });
  const graph = await EntryGraph.read(context);
  return {
    ...usage,
    aliases: aliasesOf(usage, await context.store.directory.aliases()),
    lists: graph.naming(account.name, "list"),
  };
}

/** Aliases that lead to an account, those for all of a domain among them. */
function aliasesOf(user: UserView, aliases: readonly Alias[]): string[] {
  const names = new Set([user.name, ...user.addresses]);
  return aliases.filter(({ targets }) => targets.some((target) => names.has(target))).map(({ name }) => name);
}

/** Changes settings. @throws {AdminError} where nothing is to be changed or nobody has the name */
export async function changeUser(
  context: AdminContext,
  name: string,
  settings: UserSettings,
): Promise<UserView> {
  if (Object.values(settings).every((setting) => setting === undefined)) {
    throw usageError(
      "nothing to change was named",
      "give --pop3, --display-name, --forward or another of those in 'emsmail user set --help'",
    );
  }
  const account = await findAccount(context, name);
  const changes = { ...changesOf(settings), ...await profileChanges(context, account, settings) };
  const changed = await context.store.directory.changeAccount(account.name, changes);
  return viewOf(changed, { context, taken: await takenAddresses(context) });
}

/** Gives an account a new password; gives the account's name. @throws {AdminError} */
export async function setPassword(context: AdminContext, name: string, password: string): Promise<string> {
  const account = await findAccount(context, name);
  await context.store.directory.changeAccount(account.name, await keepPassword(password, context));
  return account.name;
}

/** Removes an account with its mail; gives what went. @throws {AdminError} */
export async function removeUser(context: AdminContext, name: string): Promise<UserUsage> {
  const account = await findAccount(context, name);
  const removed = await usageOf(account, { context, taken: await takenAddresses(context) });
  await context.store.directory.removeAccount(account.name);
  return removed;
}

/** The account of that name. @throws {AdminError} that says what to do about it */
export async function findAccount({ store: { directory } }: AdminContext, text: string): Promise<Account> {
  const name = lookupName(text);
  const account = await directory.account(name);
  if (account !== undefined) return account;
  // `alice` at every domain is not `alice@example.org`, but whoever types one may mean the other.
  const at = name.lastIndexOf("@");
  const bare = at > 0 ? await directory.account(name.slice(0, at)) : undefined;
  if (bare !== undefined) {
    throw new AdminError(
      `there is no account ${name}`,
      `there is ${bare.name}, which receives at every domain of this system`,
    );
  }
  const named = await directory.find([name]);
  if (named !== undefined) {
    const list = named.kind === "alias" ? "alias list" : `directory show ${name}`;
    throw new AdminError(`${name} is ${A_KIND[named.kind]}, not an account`, `see 'emsmail ${list}'`);
  }
  throw new AdminError(`there is no account ${name}`, "'emsmail user list' shows all there are");
}

/** Settings as changes to an account, without what is to stay. */
function changesOf({ pop3, quotaBytes, quotaMessages, sendAs }: UserSettings): AccountChanges {
  return {
    ...(pop3 === undefined ? {} : { pop3 }),
    ...(sendAs === undefined ? {} : { sendAsAny: sendAs === "any" }),
    ...(quotaBytes === undefined ? {} : { quotaOctets: quotaBytes === "default" ? undefined : quotaBytes }),
    ...(quotaMessages === undefined
      ? {}
      : { quotaMessages: quotaMessages === "default" ? undefined : quotaMessages }),
  };
}

interface Around {
  readonly context: AdminContext;
  /** Addresses that entries have for themselves. */
  readonly taken: ReadonlySet<string>;
}

/** Addresses that entries have for themselves, so that a name without domain doesn't receive there. */
export async function takenAddresses({ store: { entries } }: AdminContext): Promise<ReadonlySet<string>> {
  return new Set((await entries.all()).map(nameOf).filter((name) => name.includes("@")));
}

function viewOf(account: Account, { context: { config }, taken }: Around): UserView {
  const { quotaBytes, quotaMessages } = config.accounts;
  return {
    name: account.name,
    addresses: addressesOf(account.name, nameRules(config), taken),
    ...profileOf(account),
    pop3: account.pop3,
    sendAs: account.sendAsAny ? "any" : "own",
    quotaBytes: { limit: account.quotaOctets ?? quotaBytes, own: account.quotaOctets !== undefined },
    quotaMessages: {
      limit: account.quotaMessages ?? quotaMessages,
      own: account.quotaMessages !== undefined,
    },
    hasPassword: account.passwordHash !== "",
    createdAt: isoTime(account.createdAtMs),
  };
}

async function usageOf(account: Account, around: Around): Promise<UserUsage> {
  const { messages, octets } = await around.context.store.maildrops.usage(account.id);
  return { ...viewOf(account, around), messages, bytes: octets };
}

/** What an operator should know about a name that was just given. */
async function warnAbout(name: string, { store: { directory } }: AdminContext): Promise<string[]> {
  const at = name.lastIndexOf("@");
  if (at > 0) {
    const bare = name.slice(0, at);
    if (await directory.account(bare) === undefined) return [];
    return [`there is also an account ${bare}: mail to ${name} reaches only ${name} from now on`];
  }
  const narrower = (await directory.accounts()).map((account) => account.name)
    .filter((other) => other.startsWith(`${name}@`));
  return narrower.map((other) =>
    `there is also an account ${other}: mail to ${other} reaches it and not ${name}`
  );
}
