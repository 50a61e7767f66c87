/**
 * Mailbox addresses as RFC 5321 writes them, with RFC 6531's UTF-8.
 *
 * ```abnf
 * Mailbox        = Local-part "@" ( Domain / address-literal )       ; RFC 5321 4.1.2
 * Local-part     = Dot-string / Quoted-string
 * Dot-string     = Atom *("." Atom)
 * Quoted-string  = DQUOTE *QcontentSMTP DQUOTE
 * QcontentSMTP   = qtextSMTP / quoted-pairSMTP
 * Domain         = sub-domain *("." sub-domain)
 * sub-domain     = Let-dig [Ldh-str]          ; RFC 6531 3.3 adds U-label
 * ```
 *
 * Guarantees: what is parsed formats back to an equal address; no control character, CR or LF is ever accepted.
 * Absent on purpose: RFC 5322 comments and folding (they belong to header fields, not to envelopes).
 *
 * @module
 */
import { isIPv4, isIPv6 } from "node:net";
import { domainToASCII } from "node:url";
import { utf8 } from "../base/bytes.ts";
import { DOMAIN_OCTETS, LOCAL_PART_OCTETS } from "../base/limits.ts";

export interface Address {
  /** Without quoting: `John Doe`, not `"John Doe"`. */
  readonly local: string;
  /** As written: a domain, or an address literal with its brackets. "" only for `<postmaster>` (RFC 5321 4.5.1). */
  readonly domain: string;
}

/** Why a text is not an address: a sentence for the person who wrote it. */
export interface AddressError {
  readonly error: string;
}

const ATEXT =
  /^[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\u0080-\u{10ffff}]+(?:\.[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\u0080-\u{10ffff}]+)*$/u;
const QUOTED = /^"((?:[\x20\x21\x23-\x5b\x5d-\x7e\u00a0-\u{10ffff}]|\\[\x20-\x7e])*)"$/u;
const LABEL =
  /^[A-Za-z0-9\u0080-\u{10ffff}](?:[A-Za-z0-9\-\u0080-\u{10ffff}]*[A-Za-z0-9\u0080-\u{10ffff}])?$/u;
/** C1 controls, line separators, and halves of surrogate pairs, which no UTF-8 can carry. */
const NEVER = /[\u0080-\u009f\u2028\u2029\ud800-\udfff]/u;

/** Whether a text is a domain name: labels of letters, digits and hyphens, or U-labels (RFC 5321 2.3.5, RFC 6531 3.3). */
export function isDomain(text: string): boolean {
  if (text.length === 0 || utf8(text).length > DOMAIN_OCTETS || NEVER.test(text)) return false;
  return text.split(".").every((label) => utf8(label).length <= 63 && LABEL.test(label));
}

/** Whether a text is `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 4.1.3). */
export function isAddressLiteral(text: string): boolean {
  if (!text.startsWith("[") || !text.endsWith("]")) return false;
  const inside = text.slice(1, -1);
  // node:net takes a zone (fe80::1%eth0), which means nothing outside one machine and isn't in the grammar.
  if (inside.includes("%")) return false;
  return isIPv4(inside) || (/^ipv6:/i.test(inside) && isIPv6(inside.slice(5)));
}

/** Parses `local@domain`. */
export function parseAddress(text: string): Address | AddressError {
  const at = text.lastIndexOf("@");
  if (at < 0) return { error: `'${text}' has no @: write it as name@domain` };
  const localText = text.slice(0, at);
  const domain = text.slice(at + 1);
  const local = parseLocalPart(localText);
  if (typeof local !== "string") return local;
  if (!isDomain(domain) && !isAddressLiteral(domain)) {
    return { error: `'${domain}' is not a domain: expected something like example.org or [192.0.2.1]` };
  }
  return { local, domain };
}

/** Parses a local part, quoted or not, to its meaning. */
export function parseLocalPart(text: string): string | AddressError {
  if (utf8(text).length > LOCAL_PART_OCTETS) {
    return { error: `'${text}' is longer than ${LOCAL_PART_OCTETS} octets` };
  }
  if (!NEVER.test(text)) {
    if (ATEXT.test(text)) return text;
    const quoted = QUOTED.exec(text);
    if (quoted !== null) return quoted[1]!.replace(/\\(.)/g, "$1");
  }
  if (text === "") return { error: "nothing stands before the @" };
  return { error: `'${text}' can't stand before the @: use letters, digits and .-_+, or quote it` };
}

/** Formats an address as it stands in an envelope, quoting the local part where it must be. */
export function formatAddress(address: Address): string {
  const local = ATEXT.test(address.local) ? address.local : `"${address.local.replace(/["\\]/g, "\\$&")}"`;
  return address.domain === "" ? local : `${local}@${address.domain}`;
}

/** Whether an address can only be carried with SMTPUTF8 (RFC 6531). */
export function needsUtf8(address: Address): boolean {
  // deno-lint-ignore no-control-regex -- U+0000 to U+007F is what ASCII is
  return /[^\x00-\x7f]/.test(address.local + address.domain);
}

// deno-lint-ignore no-control-regex -- U+0000 to U+007F is what ASCII is
const ASCII = /^[\u0000-\u007f]*$/;

/** A domain in the one form used for comparison: lower case, A-labels (IDNA), no final dot. */
export function canonicalDomain(domain: string): string {
  // ASCII never goes through IDNA: its URL rules read 0x7f.1 as 127.0.0.1 and %61.org as a.org.
  const ascii = ASCII.test(domain) ? domain.toLowerCase() : idna(domain);
  return ascii.endsWith(".") ? ascii.slice(0, -1) : ascii;
}

function idna(domain: string): string {
  const mapped = domainToASCII(domain);
  return mapped === "" || isIPv4(mapped) ? domain.toLowerCase() : mapped;
}

/** A local part in the one form used for comparison here: our own mailbox names ignore case (RFC 5321 2.4 leaves that to us). */
export function canonicalLocal(local: string): string {
  // Lower case can make new compositions (J and caron), so NFC comes once more.
  return local.normalize("NFC").toLowerCase().normalize("NFC");
}

/**
 * Both halves in their form for comparison, the local part quoted where it must be, so that `"a@b"@c`, `""@c` and
 * `<"a@b">` can't be taken for another address or for the catch-all `@c`.
 */
export function canonicalAddress(address: Address): string {
  return formatAddress({ local: canonicalLocal(address.local), domain: canonicalDomain(address.domain) });
}
