/**
 * The rules of the master name directory that every implementation of the store follows: what a change makes of an account,
 * what a search finds, in which order names come, and the words for what can't be done.
 *
 * @module
 */
import { canonicalLocal } from "../mail/address.ts";
import {
  type Account,
  type AccountChanges,
  type EntryQuery,
  type Identity,
  type Named,
  StoreError,
} from "./types.ts";

export type NameKind = Named["kind"];

/** What can be searched, of anything that has a name. */
export interface Searchable extends Identity {
  readonly name: string;
}

export const NOBODY: Identity = { displayName: "", department: "", phone: "" };

/** An account as the store gives it: without fields that are undefined, and without an identity that says nothing. */
export function tidyAccount(account: Account): Account {
  const { identity } = account;
  const known = identity !== undefined &&
    (identity.displayName !== "" || identity.department !== "" || identity.phone !== "");
  const { displayName, department, phone } = identity ?? NOBODY;
  return withoutUndefined({ ...account, identity: known ? { displayName, department, phone } : undefined });
}

/**
 * An account with changes: what may be absent (a quota, the view, the forward) is so again where it is given as undefined;
 * anything else undefined stays. An identity is replaced whole.
 */
export function applyChanges(account: Account, changes: AccountChanges): Account {
  return tidyAccount({
    ...account,
    pop3: changes.pop3 ?? account.pop3,
    quotaOctets: "quotaOctets" in changes ? changes.quotaOctets : account.quotaOctets,
    quotaMessages: "quotaMessages" in changes ? changes.quotaMessages : account.quotaMessages,
    sendAsAny: changes.sendAsAny ?? account.sendAsAny,
    passwordHash: changes.passwordHash ?? account.passwordHash,
    scramVerifier: changes.scramVerifier ?? account.scramVerifier,
    identity: changes.identity ?? account.identity,
    view: "view" in changes ? changes.view : account.view,
    forward: "forward" in changes ? changes.forward : account.forward,
  });
}

/** A predicate for a query: prefix and words together. */
export function matcher({ words = [], prefix = "" }: EntryQuery): (entry: Searchable) => boolean {
  const folded = words.map(fold);
  return ({ name, displayName, department, phone }) => {
    if (!name.startsWith(prefix)) return false;
    if (folded.length === 0) return true;
    // Folded together, since this is done for thousands of entries; no word that is typed holds a line's end.
    const text = fold(`${name}\n${displayName}\n${department}\n${phone}`);
    return folded.every((word) => text.includes(word));
  };
}

/** What can be searched of an entry. */
export function searchable(named: Named): Searchable {
  switch (named.kind) {
    case "account":
      return { ...named.account.identity ?? NOBODY, name: named.account.name };
    case "alias":
      return { ...NOBODY, name: named.alias.name };
    case "shadow":
      return { ...named.shadow.identity, name: named.shadow.name };
    case "list":
      return { ...named.list.identity, name: named.list.name };
  }
}

/** Case and composition don't count, nor where in a word a sigma stands. */
function fold(text: string): string {
  return canonicalLocal(text).replaceAll("ς", "σ");
}

/**
 * The order of names: by code points, as SQLite compares UTF-8; JavaScript's own order puts what is beyond U+FFFF before
 * U+E000.
 */
export function compareNames(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length);
  for (let i = 0; i < shorter; i++) {
    const left = a.charCodeAt(i);
    const right = b.charCodeAt(i);
    if (left === right) continue;
    // A surrogate stands for more than U+FFFF, and so for more than anything that isn't one.
    if (isSurrogate(left) === isSurrogate(right)) return left - right;
    return isSurrogate(left) ? 1 : -1;
  }
  return a.length - b.length;
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xe000;
}

/** Something has the name already. */
export function existsError(kind: NameKind, name: string): StoreError {
  return new StoreError("exists", `there is ${withArticle(kind)} '${name}' already`);
}

/** Nothing of the kind has the name; `taken` is what has it instead. */
export function missingError(kind: NameKind | "shadow or list", name: string, taken?: NameKind): StoreError {
  const hint = taken === undefined ? "" : `: '${name}' is ${withArticle(taken)}`;
  return new StoreError("missing", `there is no ${kind} '${name}'${hint}`);
}

export function nicknameMissingError(name: string): StoreError {
  return new StoreError("missing", `there is no nickname '${name}'`);
}

export function numberMissingError(account: number): StoreError {
  return new StoreError("missing", `there is no account with the number ${account}`);
}

function withArticle(kind: NameKind): string {
  return kind === "account" || kind === "alias" ? `an ${kind}` : `a ${kind}`;
}

function withoutUndefined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as T;
}
