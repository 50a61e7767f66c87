/**
 * Aliases: names that stand for others, and catch-alls.
 *
 * Guarantees: an alias made here leads, at the time it is made, to accounts, shadows and lists of this system or to addresses
 * elsewhere that mail can go to from here, and never back to itself. Whether somebody elsewhere exists can't be known here,
 * and who is in a list is not the alias's business.
 *
 * @module
 */
import { Expansion, type ExpansionProblem, type Found } from "../routing/expand.ts";
import { resolve } from "../routing/route.ts";
import { topologyOf } from "../server/mailboxes.ts";
import type { Alias, Named } from "../store/types.ts";
import { type AdminContext, nameRules } from "./context.ts";
import { AdminError } from "./error.ts";
import { lookupName, parseAliasName, parseTarget } from "./names.ts";

/** An alias as operators see it; no targets: it is gone. */
export interface AliasView {
  readonly name: string;
  readonly targets: readonly string[];
}

/** All aliases by name. */
export async function listAliases({ store: { directory } }: AdminContext): Promise<AliasView[]> {
  return (await directory.aliases()).map(({ name, targets }) => ({ name, targets: [...targets] }));
}

/**
 * Makes an alias, or adds targets to one; gives it as it then is.
 * @throws {AdminError} where a name can't be had, a target isn't there, or it would lead back to itself
 */
export async function addAlias(context: AdminContext, given: AliasView): Promise<AliasView> {
  const { directory } = context.store;
  const rules = nameRules(context.config);
  const name = parseAliasName(given.name, rules);
  const added = given.targets.map((target) => parseTarget(target, rules));
  const existing = await directory.find([name]);
  if (existing !== undefined && existing.kind !== "alias") {
    throw new AdminError(`there is ${A_KIND[existing.kind]} ${name}`, "give the alias another name");
  }
  const alias = { name, targets: [...new Set([...existing?.alias.targets ?? [], ...added])] };
  const problem = await findProblem(alias, context);
  if (problem !== undefined) {
    throw new AdminError(`${name} can't be made: ${problem.text}`, ADVICE[problem.kind]);
  }
  await directory.setAlias(alias);
  return alias;
}

/**
 * Takes targets out of an alias, or removes all of it where none are named or left; gives what is left.
 * @throws {AdminError} where there is no such alias or it has no such target
 */
export async function removeAlias(context: AdminContext, given: AliasView): Promise<AliasView> {
  const { directory } = context.store;
  const name = lookupName(given.name);
  const named = await directory.find([name]);
  if (named?.kind !== "alias") {
    if (named === undefined) {
      throw new AdminError(`there is no alias ${name}`, "'emsmail alias list' shows all there are");
    }
    const command = named.kind === "account" ? "user" : "directory";
    throw new AdminError(
      `${name} is ${A_KIND[named.kind]}, not an alias`,
      `remove it with: emsmail ${command} remove ${name}`,
    );
  }
  const { alias } = named;
  const removed = given.targets.map(lookupName);
  // Addresses elsewhere are kept in the case they were given in.
  const known = alias.targets.map(lookupName);
  const stranger = removed.find((target) => !known.includes(target));
  if (stranger !== undefined) {
    throw new AdminError(`${name} does not lead to ${stranger}`, `it leads to ${alias.targets.join(", ")}`);
  }
  const targets = removed.length === 0
    ? []
    : alias.targets.filter((target) => !removed.includes(lookupName(target)));
  await directory.setAlias({ name, targets });
  return { name, targets };
}

const A_KIND: { readonly [kind in Exclude<Named["kind"], "alias">]: string } = {
  account: "an account",
  shadow: "a shadow",
  list: "a list",
};

const ADVICE: { readonly [kind in ExpansionProblem["kind"]]: string } = {
  unknown: "add the account first, or name another target",
  empty: "give the list a member first",
  outside:
    "on an intranet mail leaves the system by relay.routes only: list the domain there, or name another target",
  loop: "leave that target out",
  limit: "name the accounts themselves",
};

/** What keeps an alias from leading to where it is to lead; lists are looked into only for a way back. */
async function findProblem(alias: Alias, context: AdminContext): Promise<ExpansionProblem | undefined> {
  const own = await expand(alias, { context, lists: "closed" });
  if (own.length > 0) return own[0];
  const all = await expand(alias, { context, lists: "open" });
  return all.find(({ kind }) => kind === "loop" || kind === "limit");
}

interface Look {
  readonly context: AdminContext;
  /** `closed`: a list is taken for somebody. */
  readonly lists: "open" | "closed";
}

/** Follows an alias as if it were there, and gives what stands in its way. */
async function expand(alias: Alias, look: Look): Promise<readonly ExpansionProblem[]> {
  const { context } = look;
  const topology = topologyOf(context.config);
  // Who is written to does not matter, since what is found of it is the alias; nobody can be called a space.
  const anybody = topology.domains.map((domain) => ({ local: " ", domain }));
  const here = anybody.find((address) => resolve(address, topology).channel === "local");
  if (here === undefined) {
    throw new AdminError(
      "aliases are of no use here: relay.routes sends the mail of all this system's domains elsewhere",
      "take one of them out of relay.routes first",
    );
  }
  const expansion = new Expansion(here, topology);
  expansion.found({ kind: "alias", ...alias });
  let step = expansion.next();
  for (; step.kind === "look-up"; step = expansion.next()) {
    expansion.found(await lookUp(step.names, { alias, ...look }));
  }
  return step.problems;
}

/** What the first name is that exists. Catch-alls don't count: a target is to be somebody by its own name. */
async function lookUp(
  names: readonly string[],
  { alias, context: { store: { directory } }, lists }: Look & { readonly alias: Alias },
): Promise<Found> {
  for (const name of names) {
    if (name.startsWith("@")) continue;
    if (name === alias.name) return { kind: "alias", ...alias };
    const named = await directory.find([name]);
    if (named === undefined) continue;
    if (named.kind === "alias") return { kind: "alias", ...named.alias };
    if (named.kind === "shadow") return { kind: "shadow", ...named.shadow };
    if (named.kind === "list" && lists === "open") return { kind: "list", ...named.list };
    // Where users send their mail on to is theirs to get right.
    return { kind: "account", name };
  }
  return { kind: "nothing" };
}
