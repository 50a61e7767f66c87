/**
 * Nicknames: a user's own names for others.
 *
 * Guarantees: a nickname made here leads, at the time it is made, to names here, addresses elsewhere or other nicknames of the
 * user, and never back to itself.
 *
 * @module
 */
import { NICKNAMES } from "../base/limits.ts";
import { printableLine } from "../base/printable.ts";
import type { Account, Nickname } from "../store/types.ts";
import { type AdminContext, nameRules } from "./context.ts";
import { checkTarget, EntryGraph, parseDestination } from "./entry_graph.ts";
import { AdminError } from "./error.ts";
import { lookupName, parseNickname, parseTarget } from "./names.ts";
import { findAccount } from "./users.ts";

/** A nickname as its user sees it; no addresses: it is gone. */
export interface NicknameView {
  readonly name: string;
  readonly addresses: readonly string[];
}

/** A nickname as it is given, and whose it is. */
export interface GivenNickname extends NicknameView {
  /** The account's name. */
  readonly user: string;
}

/** A user's nicknames by name. @throws {AdminError} where there is no such user */
export async function listNicknames(context: AdminContext, user: string): Promise<NicknameView[]> {
  const { id } = await findAccount(context, user);
  return (await context.store.entries.nicknames(id)).map(({ name, addresses }) => ({
    name,
    addresses: [...addresses],
  }));
}

/**
 * Makes a nickname, or adds addresses to one; gives it as it then is. An address may be written with its gateway
 * (`/MHS user@workgroup`). @throws {AdminError}
 */
export async function addNickname(context: AdminContext, given: GivenNickname): Promise<NicknameView> {
  const account = await findAccount(context, given.user);
  const rules = nameRules(context.config);
  const name = parseNickname(given.name, rules);
  const all = await nicknamesOf(account, context);
  const known = all.get(name);
  if (known === undefined && all.size >= NICKNAMES) {
    throw new AdminError(`${account.name} has ${NICKNAMES} nicknames already`, "remove one first");
  }
  const added = given.addresses.map((address) =>
    address.trim().startsWith("/") ? parseDestination(address, context) : parseTarget(address.trim(), rules)
  );
  const nickname = { name, addresses: [...new Set([...known?.addresses ?? [], ...added])] };
  all.set(name, nickname);
  const graph = await EntryGraph.read(context);
  for (const address of added) {
    // A nickname comes before a name of the directory, except where it names itself.
    if (address === name || !all.has(address)) checkTarget(address, graph);
  }
  checkWayBack(name, all);
  await context.store.entries.change([{ kind: "set-nickname", account: account.id, nickname }]);
  return nickname;
}

async function nicknamesOf(account: Account, { store }: AdminContext): Promise<Map<string, Nickname>> {
  return new Map((await store.entries.nicknames(account.id)).map((one) => [one.name, one]));
}

/** @throws {AdminError} where a nickname leads back to itself by way of others; its own name may be one of the directory's */
function checkWayBack(name: string, all: ReadonlyMap<string, Nickname>): void {
  const ways = [[name]];
  const seen = new Set<string>();
  for (const way of ways) {
    for (const address of all.get(way.at(-1)!)?.addresses ?? []) {
      // `ann` as a nickname for the directory's `ann` is of no use, but does no harm.
      if (address === name && way.length > 1) {
        throw new AdminError(
          `the nickname would lead back to itself: ${[...way, name].join(" > ")}`,
          "leave one of these out",
        );
      }
      if (!all.has(address) || seen.has(address) || address === name) continue;
      seen.add(address);
      ways.push([...way, address]);
    }
  }
}

/**
 * Takes addresses out of a nickname, or removes all of it where none are named or left; gives what is left.
 * @throws {AdminError} where there is no such nickname or it has no such address
 */
export async function removeNickname(context: AdminContext, given: GivenNickname): Promise<NicknameView> {
  const account = await findAccount(context, given.user);
  const name = lookupName(given.name);
  const nickname = (await nicknamesOf(account, context)).get(name);
  if (nickname === undefined) {
    throw new AdminError(
      `${account.name} has no nickname ${printableLine(name)}`,
      `'emsmail nickname list --user ${account.name}' shows all there are`,
    );
  }
  const removed = given.addresses.map((address) =>
    lookupName(address.trim().startsWith("/") ? parseDestination(address, context) : address.trim())
  );
  const known = nickname.addresses.map(lookupName);
  const stranger = removed.find((address) => !known.includes(address));
  if (stranger !== undefined) {
    throw new AdminError(
      `${name} does not stand for ${printableLine(stranger)}`,
      `it stands for ${nickname.addresses.join(", ")}`,
    );
  }
  const addresses = removed.length === 0
    ? []
    : nickname.addresses.filter((address) => !removed.includes(lookupName(address)));
  const left = { name, addresses };
  await context.store.entries.change([{ kind: "set-nickname", account: account.id, nickname: left }]);
  return left;
}
