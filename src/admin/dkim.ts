/**
 * Signing keys: made, brought along, looked at, checked against DNS and removed.
 *
 * Guarantees: no result holds a private key. What can be refused is refused before anything is changed.
 *
 * @module
 */
import {
  keyBits,
  KeyError,
  makePrivateKey,
  parseSelector,
  readPrivateKey,
  recordName,
  recordText,
  type SigningAlgorithm,
  usualSelector,
  zoneLine,
} from "../dkim/keys.ts";
import { comparePublished } from "../dkim/published.ts";
import { chooseKeys } from "../dkim/sign.ts";
import { printableLine } from "../base/printable.ts";
import { canonicalDomain, isDomain } from "../mail/address.ts";
import type { Dns, DnsAnswer } from "../net/dns.ts";
import type { SigningKey } from "../store/types.ts";
import { type AdminContext, isoTime } from "./context.ts";
import { AdminError, usageError } from "./error.ts";

/** A key as operators see it. */
export interface SigningKeyView {
  readonly domain: string;
  readonly selector: string;
  readonly algorithm: "rsa" | "ed25519";
  readonly bits: number;
  /** It signs now; otherwise it waits until an older one of its domain and algorithm is removed. */
  readonly signs: boolean;
  readonly createdAt: string;
  /** What is to be published of it. */
  readonly record: {
    readonly name: string;
    readonly type: "TXT";
    readonly text: string;
    /** The same as a line of a zone file. */
    readonly zoneLine: string;
  };
}

/** What was found in DNS for a key. */
export interface SigningKeyCheck extends SigningKeyView {
  /** `unknown`: DNS could not be asked, and may be later. */
  readonly verdict: "right" | "wrong" | "absent" | "unknown";
  /** Half sentences that say what differs, or why it could not be asked. */
  readonly remarks: readonly string[];
}

/** Keys that were added, with sentences about what may not have been meant. */
export interface AddedKeys {
  readonly keys: readonly SigningKeyView[];
  readonly warnings: readonly string[];
}

export interface NewSigningKeys {
  readonly domain: string;
  /** For both algorithms, an "e" behind it names the Ed25519 key. @default named after the month */
  readonly selector?: string | undefined;
  /** @default "both" */
  readonly algorithm?: "rsa" | "ed25519" | "both" | undefined;
  /** Of the RSA key. @default 2048 */
  readonly bits?: number | undefined;
}

/** Makes keys for a domain. @throws {AdminError} */
export async function addSigningKeys(context: AdminContext, wanted: NewSigningKeys): Promise<AddedKeys> {
  const { algorithm = "both", bits } = wanted;
  if (algorithm === "ed25519" && bits !== undefined) {
    throw usageError("Ed25519 keys have one size only", "leave --bits out, or ask for rsa");
  }
  const domain = parseDomain(wanted.domain);
  const there = (await context.store.trust.signingKeys()).filter((key) => key.domain === domain);
  const taken = there.map((key) => key.selector);
  const createdAtMs = context.clock.nowMs();
  const made: SigningKey[] = [];
  for (const each of ALGORITHMS[algorithm]) {
    const suffix = algorithm === "both" && each === "ed25519-sha256" ? "e" : "";
    const selector = wanted.selector === undefined
      ? freeSelector(usualSelector(createdAtMs, each), taken)
      : newSelector(`${wanted.selector}${suffix}`, { domain, taken });
    const privateKey = await makePrivateKey(each, { bits });
    made.push({ domain, selector, algorithm: each, privateKey, createdAtMs });
  }
  return await keep(context, made);
}

/** Adds a key that exists, from a PEM file's text. @throws {AdminError} */
export async function importSigningKey(
  context: AdminContext,
  given: { readonly domain: string; readonly selector: string; readonly text: string },
): Promise<AddedKeys> {
  const domain = parseDomain(given.domain);
  const there = (await context.store.trust.signingKeys()).filter((key) => key.domain === domain);
  const selector = newSelector(given.selector, { domain, taken: there.map((key) => key.selector) });
  try {
    const createdAtMs = context.clock.nowMs();
    return await keep(context, [{ domain, selector, ...readPrivateKey(given.text), createdAtMs }]);
  } catch (error) {
    throw error instanceof KeyError ? usageError(error.message) : error;
  }
}

/** All keys by domain and selector. */
export async function listSigningKeys({ store: { trust } }: AdminContext): Promise<SigningKeyView[]> {
  const keys = await trust.signingKeys();
  return [...keys].sort(byName).map((key) => viewOf(key, keys));
}

/** A domain's keys. @throws {AdminError} where it has none */
export async function showSigningKeys(context: AdminContext, domain: string): Promise<SigningKeyView[]> {
  const keys = await keysOf(context, domain);
  return keys.map((key) => viewOf(key, keys));
}

/** Removes a key; gives what it was and what the domain has left. @throws {AdminError} */
export async function removeSigningKey(
  context: AdminContext,
  domain: string,
  selector: string,
): Promise<{ readonly removed: SigningKeyView; readonly left: readonly SigningKeyView[] }> {
  const { key, keys } = await findKey(context, domain, selector);
  await context.store.trust.removeSigningKey(key.domain, key.selector);
  const left = keys.filter((each) => each !== key);
  return { removed: viewOf(key, keys), left: left.map((each) => viewOf(each, left)) };
}

/** One key. @throws {AdminError} that says which there are */
export async function showSigningKey(
  context: AdminContext,
  domain: string,
  selector: string,
): Promise<SigningKeyView> {
  const { key, keys } = await findKey(context, domain, selector);
  return viewOf(key, keys);
}

/** Asks DNS for what is published of a domain's keys. @throws {AdminError} where it has none */
export async function checkSigningKeys(
  context: AdminContext,
  domain: string,
  dns: Pick<Dns, "query">,
): Promise<SigningKeyCheck[]> {
  const keys = await keysOf(context, domain);
  const checks: SigningKeyCheck[] = [];
  for (const key of keys) {
    checks.push({ ...viewOf(key, keys), ...judge(key, await dns.query(recordName(key), "TXT")) });
  }
  return checks;
}

function judge(key: SigningKey, answer: DnsAnswer<string>): Pick<SigningKeyCheck, "verdict" | "remarks"> {
  switch (answer.status) {
    case "found":
      return comparePublished(key, answer.records);
    case "failed":
      return { verdict: "unknown", remarks: [answer.reason] };
    case "no-data":
      return { verdict: "absent", remarks: [`${recordName(key)} is there and has no TXT record`] };
    case "no-such-name":
      return { verdict: "absent", remarks: [`there is nothing at ${recordName(key)}`] };
  }
}

const ALGORITHMS: { readonly [wanted in "rsa" | "ed25519" | "both"]: readonly SigningAlgorithm[] } = {
  rsa: ["rsa-sha256"],
  ed25519: ["ed25519-sha256"],
  both: ["rsa-sha256", "ed25519-sha256"],
};

async function keep(context: AdminContext, made: readonly SigningKey[]): Promise<AddedKeys> {
  const { trust } = context.store;
  for (const key of made) await trust.addSigningKey(key);
  const keys = await trust.signingKeys();
  const views = made.map((key) => viewOf(key, keys.filter((each) => each.domain === key.domain)));
  return { keys: views, warnings: warnAbout(made[0]!.domain, { context, views }) };
}

/** What an operator should know about keys that were just added. */
function warnAbout(
  domain: string,
  { context: { config }, views }: { context: AdminContext; views: readonly SigningKeyView[] },
): string[] {
  const warnings: string[] = [];
  if (!config.domains.some((each) => each === domain || each.endsWith(`.${domain}`))) {
    warnings.push(
      `${domain} is not a domain of this system (${config.domains.join(", ")}): ` +
        "the key signs only what is sent from here in its name",
    );
  }
  for (const { selector, signs } of views) {
    if (!signs) warnings.push(`${selector} signs when the older key of its kind is removed, not before`);
  }
  return warnings;
}

function viewOf(key: SigningKey, ofDomain: readonly SigningKey[]): SigningKeyView {
  const name = recordName(key);
  const text = recordText(key);
  const same = ofDomain.filter((each) => each.domain === key.domain);
  const signing = chooseKeys(same, [key.domain]);
  return {
    domain: key.domain,
    selector: key.selector,
    algorithm: key.algorithm === "rsa-sha256" ? "rsa" : "ed25519",
    bits: keyBits(key),
    signs: signing.some((each) => each.selector === key.selector),
    createdAt: isoTime(key.createdAtMs),
    record: { name, type: "TXT", text, zoneLine: zoneLine(name, text) },
  };
}

async function keysOf({ store: { trust } }: AdminContext, text: string): Promise<SigningKey[]> {
  const domain = parseDomain(text);
  const keys = (await trust.signingKeys()).filter((key) => key.domain === domain).sort(byName);
  if (keys.length > 0) return keys;
  throw new AdminError(`there is no key for ${domain}`, `make one with: emsmail dkim add ${domain}`);
}

async function findKey(
  context: AdminContext,
  domain: string,
  selector: string,
): Promise<{ readonly key: SigningKey; readonly keys: readonly SigningKey[] }> {
  const keys = await keysOf(context, domain);
  const key = keys.find((each) => each.selector === selector.toLowerCase());
  if (key !== undefined) return { key, keys };
  throw new AdminError(
    `${keys[0]!.domain} has no key with the selector '${printableLine(selector)}'`,
    `it has ${keys.map((each) => each.selector).join(", ")}`,
  );
}

function byName(a: SigningKey, b: SigningKey): number {
  const [first, second] = [a, b].map(({ domain, selector }) => `${domain} ${selector}`) as [string, string];
  return first < second ? -1 : first > second ? 1 : 0;
}

function parseDomain(text: string): string {
  if (!isDomain(text)) {
    throw usageError(`'${printableLine(text)}' is not a domain`, "expected something like example.org");
  }
  return canonicalDomain(text);
}

/** Octets of a name that DNS can hold, written out (RFC 1035 2.3.4). */
const NAME_OCTETS = 253;

function newSelector(
  text: string,
  { domain, taken }: { readonly domain: string; readonly taken: readonly string[] },
): string {
  const selector = parseSelector(text);
  if (selector === undefined) {
    throw usageError(
      `'${printableLine(text)}' can't be a selector`,
      "use letters, digits and hyphens, such as mail2026",
    );
  }
  if (recordName({ domain, selector }).length > NAME_OCTETS) {
    throw usageError(`${recordName({ domain, selector })} is too long for DNS`, "use a shorter selector");
  }
  if (taken.includes(selector)) {
    throw new AdminError(
      `${domain} has a key with the selector '${selector}' already`,
      "choose another selector: keys are never replaced, since mail on its way is verified by the old one",
    );
  }
  return selector;
}

/** The usual selector, with a number where it is taken. */
function freeSelector(usual: string, taken: readonly string[]): string {
  for (let number = 2, selector = usual;; number++) {
    if (!taken.includes(selector)) return selector;
    selector = `${usual}-${number}`;
  }
}
