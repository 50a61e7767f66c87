/**
 * Under which names of this system an address may be known.
 *
 * Guarantees: names are in the store's canonical form, each once, in the order of trial: the most particular first.
 * A local part that would need quoting keeps its quotes, so that `"bob@example.org"@other` and `""@example.org` can't
 * find the account `bob@example.org` or the catch-all `@example.org` by another way than theirs.
 *
 * Absent on purpose: a catch-all for all domains together (each domain has its own), and address literals, which are
 * outside unless listed as a domain.
 *
 * @module
 */
import { type Address, canonicalAddress, canonicalDomain, canonicalLocal } from "../mail/address.ts";

export interface LocalOptions {
  /** The mail domains of this system, canonical (canonicalDomain()); the first is the one meant where none is written. */
  readonly domains: readonly string[];
  /** What parts a name from its detail: `+` in `alice+lists`; "" turns that off. */
  readonly plus: string;
}

export type LocalCandidates =
  /** An address of ours: whoever has the first of these names that exists. */
  | { readonly kind: "local"; readonly names: readonly string[] }
  /**
   * Ours too, but may not be refused where nobody has any of the names (RFC 5321 4.5.1): `<postmaster>`, or
   * postmaster at one of our domains.
   */
  | { readonly kind: "postmaster"; readonly names: readonly string[] }
  /** Not ours; the domain is canonical. */
  | { readonly kind: "outside"; readonly domain: string };

/** The names to look up for an address. */
export function localCandidates(address: Address, options: LocalOptions): LocalCandidates {
  const local = canonicalLocal(address.local);
  // RFC 5321 4.5.1: postmaster needs no domain. Nothing else may go without.
  const bare = address.domain === "" && local === "postmaster";
  const domain = bare ? options.domains[0] ?? "" : canonicalDomain(address.domain);
  if (!bare && !options.domains.includes(domain)) return { kind: "outside", domain };
  const names = new Set<string>();
  for (const each of withoutDetail(local, options.plus)) {
    if (domain !== "") names.add(canonicalAddress({ local: each, domain }));
    names.add(canonicalAddress({ local: each, domain: "" }));
  }
  if (domain !== "") names.add(`@${domain}`);
  return { kind: local === "postmaster" ? "postmaster" : "local", names: [...names] };
}

/** The names to look up for a name without domain, as an alias may have it for a target. */
export function bareNameCandidates(name: string, options: LocalOptions): readonly string[] {
  return withoutDetail(canonicalLocal(name), options.plus);
}

/** `alice+lists` and `alice`, or only the first where there is no detail. */
function withoutDetail(local: string, plus: string): string[] {
  // The first separator counts; at the very front it parts nothing.
  const at = plus === "" ? -1 : local.indexOf(plus, 1);
  return at < 0 ? [local] : [local, local.slice(0, at)];
}
