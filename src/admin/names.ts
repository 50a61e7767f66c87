/**
 * The names people have here: what an account, alias, shadow, list or nickname may be called, and its one canonical form.
 *
 * Guarantees: a name that passes is a mailbox that can be written to, logged in with, and typed at a shell or terminal;
 * two names that differ only in case are one.
 *
 * @module
 */
import { canonicalAddress, canonicalDomain, canonicalLocal, formatAddress } from "../mail/address.ts";
import { isAddressLiteral, isDomain, parseAddress, parseLocalPart } from "../mail/address.ts";
import { utf8 } from "../base/bytes.ts";
import { LOCAL_PART_OCTETS } from "../base/limits.ts";
import { printableLine } from "../base/printable.ts";
import { usageError } from "./error.ts";

/** What the configuration says about names. */
export interface NameRules {
  /** The mail domains of this system, canonical. */
  readonly domains: readonly string[];
  /** What parts a name from its detail (`alice+lists`); undefined: plus-addressing is off. */
  readonly detailSeparator: string | undefined;
}

/** Letters (of any script, with their marks), digits and a few signs that mean nothing to a shell or a gateway. */
const NAME = /^[\p{L}\p{M}\p{N}.\-_'+=~#&]+$/u;

/** Signs with a meaning of their own, each with why it can't be part of a name. */
const RESERVED: { readonly [sign: string]: string } = {
  "/": "'/' begins a command or gateway where mail is addressed at a terminal",
  "%": "'%' once meant routing through another host, and mail systems refuse it",
  "!": "'!' once meant routing through another host, and mail systems refuse it",
  '"': "quotation marks only confuse mail programs",
};

/** `alice` or `alice@example.org` in canonical form. @throws {AdminError} saying what an account may be called */
export function parseAccountName(text: string, rules: NameRules): string {
  return parseMailboxName(text, { rules, what: "account" });
}

/** `sales`, `sales@example.org` or `@example.org` in canonical form. @throws {AdminError} */
export function parseAliasName(text: string, rules: NameRules): string {
  if (!text.startsWith("@")) return parseMailboxName(text, { rules, what: "alias" });
  return `@${checkDomain(text.slice(1), rules)}`;
}

/** `bobl` or `bobl@example.org` in canonical form. @throws {AdminError} saying what a shadow may be called */
export function parseShadowName(text: string, rules: NameRules): string {
  return parseMailboxName(text, { rules, what: "shadow" });
}

/** `sales` or `sales@example.org` in canonical form. @throws {AdminError} saying what a list may be called */
export function parseListName(text: string, rules: NameRules): string {
  return parseMailboxName(text, { rules, what: "list" });
}

/** A user's own name for somebody, in canonical form. @throws {AdminError} saying what a nickname may be */
export function parseNickname(text: string, rules: NameRules): string {
  if (text === "") throw usageError("a nickname needs a name", "such as bobl");
  if (text.includes("@")) {
    throw usageError(
      `'${printableLine(text)}' is no nickname`,
      "a nickname has no @: use letters, digits and . - _",
    );
  }
  checkLocal(text, { rules, what: "nickname" });
  return canonicalLocal(text);
}

/**
 * A name made from an address's local part or from a display name: `Bob Lee` becomes `bob.lee`; "" where nothing of it
 * can be part of a name.
 */
export function nameFrom(text: string, rules: NameRules): string {
  const { detailSeparator = "+" } = rules;
  const words = canonicalLocal(text.split(detailSeparator)[0]!).split(/[\s./%!"]+/u);
  const name = words.map((word) => word.replace(/[^\p{L}\p{M}\p{N}\-_'=~#&]+/gu, "")).filter((word) =>
    word !== ""
  )
    .join(".").replace(/^[-.]+/, "");
  const local = parseLocalPart(name);
  return typeof local === "string" ? local : "";
}

/**
 * An alias's target: a name of this system in canonical form, with its detail if it has one, or an address elsewhere,
 * whose case may matter there (RFC 5321 2.4). @throws {AdminError} where it could be neither
 */
export function parseTarget(text: string, rules: NameRules): string {
  const { localText, domainText } = split(text);
  if (localText === "") {
    throw usageError(`'${printableLine(text)}' is no target`, "name somebody here, or give an address");
  }
  const local = parseLocalPart(localText);
  if (typeof local !== "string") throw usageError(printableLine(local.error));
  if (domainText === undefined) return canonicalLocal(local);
  const address = parseAddress(text);
  if ("error" in address) throw usageError(printableLine(address.error));
  const domain = canonicalDomain(domainText);
  return rules.domains.includes(domain) ? canonicalAddress(address) : formatAddress({ local, domain });
}

/**
 * What may be an existing name: canonical where it has a form at all, unchanged where it hasn't. Looking it up then
 * says that nobody has it.
 */
export function lookupName(text: string): string {
  const { localText, domainText } = split(text);
  const local = canonicalLocal(localText);
  return domainText === undefined ? local : `${local}@${canonicalDomain(domainText)}`;
}

/**
 * The addresses that reach an account: a name without domain receives at every domain where nobody else (`taken`) has
 * that very address.
 */
export function addressesOf(name: string, rules: NameRules, taken: ReadonlySet<string>): string[] {
  if (name.includes("@")) return [name];
  return rules.domains.map((domain) => `${name}@${domain}`).filter((address) => !taken.has(address));
}

interface MailboxWords {
  readonly rules: NameRules;
  readonly what: "account" | "alias" | "shadow" | "list" | "nickname";
}

/** `an account`, `a list`. */
const withArticle = (what: string): string => `${what.startsWith("a") ? "an" : "a"} ${what}`;

function parseMailboxName(text: string, { rules, what }: MailboxWords): string {
  const shown = printableLine(text);
  if (text.startsWith("@")) {
    throw usageError(
      `'${shown}' is a whole domain, not ${withArticle(what)}`,
      `make it an alias: emsmail alias add ${shown} NAME`,
    );
  }
  const { localText, domainText } = split(text);
  if (localText === "") {
    throw usageError(`${withArticle(what)} needs a name`, "such as alice or alice@example.org");
  }
  checkLocal(localText, { rules, what });
  const local = canonicalLocal(localText);
  return domainText === undefined ? local : `${local}@${checkDomain(domainText, rules)}`;
}

function checkLocal(local: string, { rules, what }: MailboxWords): void {
  const shown = printableLine(local);
  const refuse = (why: string, advice = ""): never => {
    throw usageError(`'${shown}' can't be ${withArticle(what)}'s name: ${why}`, advice);
  };
  const { detailSeparator } = rules;
  if (detailSeparator !== undefined && local.includes(detailSeparator)) {
    refuse(
      `'${detailSeparator}' begins a detail (alice${detailSeparator}lists reaches alice)`,
      `use another name; mail to NAME${detailSeparator}anything reaches NAME already`,
    );
  }
  for (const [sign, why] of Object.entries(RESERVED)) if (local.includes(sign)) refuse(why);
  const advice = "use letters, digits and . - _";
  if (!NAME.test(local)) refuse("it holds a space or a sign that is not allowed", advice);
  if (local.startsWith("-")) refuse("it would look like an option", advice);
  const octets = utf8(canonicalLocal(local)).length;
  // RFC 5321 4.5.3.1.1
  if (octets > LOCAL_PART_OCTETS) {
    refuse(`it is ${octets} octets long`, `the longest name mail can carry has ${LOCAL_PART_OCTETS}`);
  }
  if (typeof parseLocalPart(local) !== "string") {
    refuse("dots may only stand between other characters", advice);
  }
}

function checkDomain(text: string, rules: NameRules): string {
  const shown = printableLine(text);
  if (isAddressLiteral(text)) {
    throw usageError(`${shown} is an address, not a domain`, "name one of this system's domains");
  }
  if (!isDomain(text)) throw usageError(`'${shown}' is not a domain`, "expected something like example.org");
  const domain = canonicalDomain(text);
  if (rules.domains.includes(domain)) return domain;
  throw usageError(
    `'${shown}' is not a domain of this system (${rules.domains.join(", ")})`,
    "add it to 'domains' in the configuration first, or give it with --domain as you do for 'serve'",
  );
}

function split(text: string): { readonly localText: string; readonly domainText: string | undefined } {
  const at = text.lastIndexOf("@");
  return at < 0
    ? { localText: text, domainText: undefined }
    : { localText: text.slice(0, at), domainText: text.slice(at + 1) };
}
