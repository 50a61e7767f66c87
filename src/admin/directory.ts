/**
 * The master name directory: users, aliases, shadows (local names for people outside) and distribution lists.
 *
 * Guarantees: an entry made here leads, at the time it is made, to somebody here or to an address that mail can go to from
 * here, and never back to itself. An action that fails has changed nothing.
 *
 * Absent on purpose: making and removing users and aliases (`users.ts` and `aliases.ts` do that, since mail and passwords
 * hang on it).
 *
 * @module
 */
import { nearest } from "../config/suggest.ts";
import type { Identity, List, Named, Shadow } from "../store/types.ts";
import { printableLine } from "../base/printable.ts";
import { type AdminContext, nameRules } from "./context.ts";
import {
  A_KIND,
  checkCircle,
  checkTargets,
  EntryGraph,
  memberOf,
  nameOf,
  parseDestination,
} from "./entry_graph.ts";
import { AdminError, usageError } from "./error.ts";
import {
  addressesOf,
  lookupName,
  type NameRules,
  parseListName,
  parseShadowName,
  parseTarget,
} from "./names.ts";
import {
  changedIdentity,
  type ForwardView,
  type IdentitySettings,
  namesIdentity,
  NOBODY,
  profileOf,
} from "./profiles.ts";
import { removalOf, takenAddresses } from "./users.ts";

export type EntryKind = "user" | "alias" | "shadow" | "list";

interface CommonView extends Identity {
  readonly name: string;
  /** Where it receives. */
  readonly addresses: readonly string[];
}

/** An entry as operators see it. */
export type EntryView =
  | (CommonView & { readonly kind: "user"; readonly forward: ForwardView | null })
  | (CommonView & { readonly kind: "alias"; readonly targets: readonly string[] })
  | (CommonView & { readonly kind: "shadow"; readonly address: string; readonly inbound: boolean })
  | (CommonView & {
    readonly kind: "list";
    readonly members: readonly string[];
    readonly owner: string | null;
  });

/** An entry with what names it. */
export type EntryDetails = EntryView & {
  /** Lists that it is a member of by its own name. */
  readonly lists: readonly string[];
  /** Aliases that name it. */
  readonly aliases: readonly string[];
};

export interface NewShadow extends IdentitySettings {
  readonly name: string;
  /** An address elsewhere, or `/GATEWAY user@workgroup`. */
  readonly to: string;
  /** Whether it takes mail from strangers. @default "no" */
  readonly inbound?: "yes" | "no" | undefined;
}

export interface NewList extends IdentitySettings {
  readonly name: string;
  readonly members: readonly string[];
  /** Who hears of mail that can't be delivered. @default postmaster */
  readonly owner?: string | undefined;
}

/** Makes a shadow. @throws {AdminError} where the name can't be had or the destination can't be written to */
export async function addShadow(context: AdminContext, given: NewShadow): Promise<EntryView> {
  const name = parseShadowName(given.name, nameRules(context.config));
  const graph = await EntryGraph.read(context);
  checkNew(name, graph);
  const shadow: Shadow = {
    name,
    address: checkedDestination(given.to, { context, graph }),
    inbound: given.inbound === "yes",
    identity: changedIdentity(NOBODY, given),
  };
  checkTargets({ kind: "shadow", shadow }, graph);
  await context.store.entries.change([{ kind: "set-shadow", shadow }]);
  return await viewNow({ kind: "shadow", shadow }, context);
}

/** Makes a list. @throws {AdminError} where the name can't be had, a member is nobody, or it would lead back to itself */
export async function addList(context: AdminContext, given: NewList): Promise<EntryView> {
  const rules = nameRules(context.config);
  const name = parseListName(given.name, rules);
  const graph = await EntryGraph.read(context);
  checkNew(name, graph);
  const owner = given.owner === undefined ? {} : { owner: checkedOwner(given.owner, { rules, graph }) };
  const members = [...new Set(given.members.map((member) => memberOf(parseTarget(member, rules), graph)))];
  const list: List = { name, members, ...owner, identity: changedIdentity(NOBODY, given) };
  checkTargets({ kind: "list", list }, graph);
  await context.store.entries.change([{ kind: "set-list", list }]);
  return await viewNow({ kind: "list", list }, context);
}

function checkNew(name: string, graph: EntryGraph): void {
  const named = graph.get(name);
  if (named === undefined) return;
  throw new AdminError(
    `there is ${A_KIND[named.kind]} ${name} already`,
    named.kind === "shadow" || named.kind === "list"
      ? `change it with: emsmail directory set ${name}`
      : `give another name, or remove it first: ${removalOf(named)}`,
  );
}

/** A shadow's destination, which has to be elsewhere. @throws {AdminError} */
export function checkedDestination(
  text: string,
  { context, graph }: { readonly context: Pick<AdminContext, "config">; readonly graph: EntryGraph },
): string {
  const address = parseDestination(text, context);
  const finding = graph.find(address);
  if (finding.kind === "outside") return address;
  const domain = address.slice(address.lastIndexOf("@") + 1);
  if (context.config.domains.includes(domain)) {
    throw new AdminError(
      `${address} is of this system`,
      "a shadow is for somebody elsewhere; an alias leads to names here",
    );
  }
  throw finding.kind === "nowhere"
    ? new AdminError(finding.message, finding.advice)
    : new AdminError(`${address} is ${finding.name} here`, "name an address elsewhere");
}

/** Who keeps a list: a name here or an address. @throws {AdminError} where it is nobody */
export function checkedOwner(
  text: string,
  { rules, graph }: { readonly rules: NameRules; readonly graph: EntryGraph },
): string {
  return memberOf(parseTarget(text, rules), graph);
}

// ---------------------------------------------------------------- looking

/** All entries by name, or those of a kind. */
export async function listEntries(
  context: AdminContext,
  { kind }: { readonly kind?: EntryKind | undefined } = {},
): Promise<EntryView[]> {
  return await viewsOf(await context.store.entries.all(), context, kind);
}

export interface FindOptions {
  /** How many at most. */
  readonly limit: number;
  readonly kind?: EntryKind | undefined;
}

/** Entries in whose name, display name, department or phone each of the words stands; by name. */
export async function findEntries(
  context: AdminContext,
  words: readonly string[],
  { limit, kind }: FindOptions,
): Promise<EntryView[]> {
  const { entries } = context.store;
  // A kind is picked out afterwards, so that all that fit have to be there.
  const found = await entries.search({ words }, {
    limit: kind === undefined ? limit : Number.MAX_SAFE_INTEGER,
  });
  return (await viewsOf(found, context, kind)).slice(0, limit);
}

/** One entry with what names it. @throws {AdminError} */
export async function showEntry(context: AdminContext, text: string): Promise<EntryDetails> {
  const named = await findEntry(context, text);
  const graph = await EntryGraph.read(context);
  const name = nameOf(named);
  return {
    ...await viewNow(named, context),
    lists: graph.naming(name, "list"),
    aliases: graph.naming(name, "alias"),
  };
}

/** The entry of that name. @throws {AdminError} that says what there is instead */
export async function findEntry(
  { store: { directory, entries } }: AdminContext,
  text: string,
): Promise<Named> {
  const name = lookupName(text);
  const named = await directory.find([name]);
  if (named !== undefined) return named;
  const shown = printableLine(name);
  const at = name.lastIndexOf("@");
  const bare = at > 0 ? await directory.find([name.slice(0, at)]) : undefined;
  if (bare !== undefined) {
    throw new AdminError(`there is no ${shown}`, `there is ${nameOf(bare)}, which receives at every domain`);
  }
  const meant = nearest(name, (await entries.all()).map(nameOf));
  throw new AdminError(
    `the directory has no ${shown}`,
    meant === undefined ? "'emsmail directory find WORD' looks for parts of names" : `did you mean ${meant}?`,
  );
}

async function viewNow(named: Named, context: AdminContext): Promise<EntryView> {
  return viewOf(named, { rules: nameRules(context.config), taken: await takenAddresses(context) });
}

async function viewsOf(
  entries: readonly Named[],
  context: AdminContext,
  kind: EntryKind | undefined,
): Promise<EntryView[]> {
  const around = { rules: nameRules(context.config), taken: await takenAddresses(context) };
  return entries.map((named) => viewOf(named, around)).filter((view) =>
    kind === undefined || view.kind === kind
  );
}

interface Around {
  readonly rules: NameRules;
  readonly taken: ReadonlySet<string>;
}

/** An entry as operators see it. */
export function viewOf(named: Named, { rules, taken }: Around): EntryView {
  const name = nameOf(named);
  // A catch-all receives at addresses that nobody can list.
  const addresses = name.startsWith("@") ? [] : addressesOf(name, rules, taken);
  switch (named.kind) {
    case "account": {
      const { displayName, department, phone, forward } = profileOf(named.account);
      return { kind: "user", name, displayName, department, phone, addresses, forward };
    }
    case "alias":
      return { kind: "alias", name, ...NOBODY, addresses, targets: [...named.alias.targets] };
    case "shadow": {
      const { identity, address, inbound } = named.shadow;
      return { kind: "shadow", name, ...identity, addresses, address, inbound };
    }
    case "list": {
      const { identity, members, owner } = named.list;
      return { kind: "list", name, ...identity, addresses, members: [...members], owner: owner ?? null };
    }
  }
}

// ---------------------------------------------------------------- changing

/** What may be changed of an entry; what is undefined stays. */
export interface EntrySettings extends IdentitySettings {
  /** A shadow's destination. */
  readonly to?: string | undefined;
  /** Whether a shadow takes mail from strangers. */
  readonly inbound?: "yes" | "no" | undefined;
  /** Who keeps a list; "" for postmaster. */
  readonly owner?: string | undefined;
  readonly addMembers?: readonly string[] | undefined;
  readonly removeMembers?: readonly string[] | undefined;
}

/** Changes an entry; gives it as it then is. @throws {AdminError} where it hasn't what is to be changed */
export async function changeEntry(
  context: AdminContext,
  text: string,
  settings: EntrySettings,
): Promise<EntryView> {
  if (Object.values(settings).every((setting) => setting === undefined)) {
    throw usageError("nothing to change was named", "see 'emsmail directory set --help'");
  }
  const named = await findEntry(context, text);
  refuseForeign(named, settings);
  const { entries } = context.store;
  if (named.kind === "account") {
    const { name, identity = NOBODY } = named.account;
    const changes = { identity: changedIdentity(identity, settings) };
    await entries.change([{ kind: "change-account", name, changes }]);
    return await viewNow({ kind: "account", account: { ...named.account, ...changes } }, context);
  }
  if (named.kind === "alias") {
    throw new AdminError(
      `${named.alias.name} is an alias`,
      "change it with 'emsmail alias add' and 'alias remove'",
    );
  }
  const changed = named.kind === "shadow"
    ? await changedShadow(named.shadow, settings, context)
    : await changedList(named.list, settings, context);
  await entries.change([
    changed.kind === "shadow"
      ? { kind: "set-shadow", shadow: changed.shadow }
      : { kind: "set-list", list: changed.list },
  ]);
  return await viewNow(changed, context);
}

/** What belongs to another kind of entry. */
function refuseForeign(named: Named, { to, inbound, owner, addMembers, removeMembers }: EntrySettings): void {
  const what = A_KIND[named.kind];
  const refuse = (option: string, kind: string): never => {
    throw usageError(`${nameOf(named)} is ${what}, and ${option} is for ${kind}`, "leave it out");
  };
  if (named.kind !== "shadow" && to !== undefined) refuse("--to", "shadows");
  if (named.kind !== "shadow" && inbound !== undefined) refuse("--inbound", "shadows");
  if (named.kind !== "list" && owner !== undefined) refuse("--owner", "lists");
  if (named.kind !== "list" && (addMembers ?? removeMembers) !== undefined) refuse("--add-member", "lists");
}

async function changedShadow(
  shadow: Shadow,
  settings: EntrySettings,
  context: AdminContext,
): Promise<Extract<Named, { kind: "shadow" }>> {
  const graph = await EntryGraph.read(context);
  const { to, inbound } = settings;
  return {
    kind: "shadow",
    shadow: {
      name: shadow.name,
      address: to === undefined ? shadow.address : checkedDestination(to, { context, graph }),
      inbound: inbound === undefined ? shadow.inbound : inbound === "yes",
      identity: changedIdentity(shadow.identity, settings),
    },
  };
}

async function changedList(
  list: List,
  settings: EntrySettings,
  context: AdminContext,
): Promise<Extract<Named, { kind: "list" }>> {
  const rules = nameRules(context.config);
  const graph = await EntryGraph.read(context);
  const { addMembers = [], removeMembers = [], owner } = settings;
  const removed = removeMembers.map(lookupName);
  // Addresses elsewhere are kept in the case they were given in.
  const known = list.members.map(lookupName);
  const stranger = removed.find((member) => !known.includes(member));
  if (stranger !== undefined) {
    throw new AdminError(
      `${printableLine(stranger)} is no member of ${list.name}`,
      `see 'emsmail directory show ${list.name}'`,
    );
  }
  const kept = list.members.filter((member) => !removed.includes(lookupName(member)));
  const added = addMembers.map((member) => memberOf(parseTarget(member, rules), graph));
  const owned = owner === ""
    ? undefined
    : owner === undefined
    ? list.owner
    : checkedOwner(owner, { rules, graph });
  const changed: List = {
    name: list.name,
    members: [...new Set([...kept, ...added])],
    ...owned === undefined ? {} : { owner: owned },
    identity: namesIdentity(settings) ? changedIdentity(list.identity, settings) : list.identity,
  };
  // Members of before may have become nobody; that isn't the fault of who adds another, and isn't asked here.
  checkCircle({ kind: "list", list: changed }, graph);
  return { kind: "list", list: changed };
}

/** Takes a shadow or list out; gives it as it was. @throws {AdminError} for other kinds, which another command removes */
export async function removeEntry(context: AdminContext, text: string): Promise<EntryDetails> {
  const named = await findEntry(context, text);
  if (named.kind === "account" || named.kind === "alias") {
    throw new AdminError(`${nameOf(named)} is ${A_KIND[named.kind]}`, `remove it with: ${removalOf(named)}`);
  }
  const removed = await showEntry(context, nameOf(named));
  await context.store.entries.change([{ kind: "remove", name: removed.name }]);
  return removed;
}
