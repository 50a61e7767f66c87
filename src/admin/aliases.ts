/**
 * Aliases: names that stand for others, and catch-alls.
 *
 * Guarantees: an alias made here leads, at the time it is made, to accounts of this system or to addresses elsewhere that
 * mail can go to from here, and never back to itself. Whether somebody elsewhere exists can't be known here.
 *
 * @module
 */
import { Expansion, type ExpansionProblem, type Found } from "../routing/expand.ts";
import { resolve } from "../routing/route.ts";
import { topologyOf } from "../server/mailboxes.ts";
import type { Alias } from "../store/types.ts";
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
  if (existing?.kind === "account") {
    throw new AdminError(`there is an account ${name}`, "give the alias another name");
  }
  const alias = { name, targets: [...new Set([...existing?.alias.targets ?? [], ...added])] };
  const problem = (await expand(alias, context))[0];
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
    throw named?.kind === "account"
      ? new AdminError(`${name} is an account, not an alias`, `remove it with: emsmail user remove ${name}`)
      : new AdminError(`there is no alias ${name}`, "'emsmail alias list' shows all there are");
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

const ADVICE: { readonly [kind in ExpansionProblem["kind"]]: string } = {
  unknown: "add the account first, or name another target",
  outside:
    "on an intranet mail leaves the system by relay.routes only: list the domain there, or name another target",
  loop: "leave that target out",
  limit: "name the accounts themselves",
};

/** Follows an alias as if it were there, and gives what stands in its way. */
async function expand(alias: Alias, context: AdminContext): Promise<readonly ExpansionProblem[]> {
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
    expansion.found(await lookUp(step.names, alias, context));
  }
  return step.problems;
}

/** What the first name is that exists. Catch-alls don't count: a target is to be somebody by its own name. */
async function lookUp(
  names: readonly string[],
  alias: Alias,
  { store: { directory } }: AdminContext,
): Promise<Found> {
  for (const name of names) {
    if (name.startsWith("@")) continue;
    if (name === alias.name) return { kind: "alias", ...alias };
    const named = await directory.find([name]);
    if (named?.kind === "account") return { kind: "account", name };
    if (named?.kind === "alias") return { kind: "alias", ...named.alias };
  }
  return { kind: "nothing" };
}
