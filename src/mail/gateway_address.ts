/**
 * Addresses of systems behind a gateway other than SMTP, in the form that mail needs: `user@workgroup` of the gateway
 * whose domain is `mhs.example.org` is `user@workgroup.mhs.example.org`, and `user` alone is `user@mhs.example.org`. So
 * a POP3 client can write to them and answer them, and routing knows them by their domain.
 *
 * Guarantees: what is mapped there maps back to itself, except that the workgroup's case is lost.
 *
 * @module
 */
import { type Address, type AddressError, canonicalDomain, isDomain, parseLocalPart } from "./address.ts";

/** The mail address of what the gateway calls `text`: `user@workgroup`, `user`, or a quoted name. `domain` is canonical. */
export function toMailAddress(text: string, domain: string): Address | AddressError {
  const at = text.lastIndexOf("@");
  const workgroup = at < 0 ? "" : text.slice(at + 1);
  const local = parseLocalPart(at < 0 ? text : text.slice(0, at));
  if (typeof local !== "string") return local;
  if (at >= 0 && !isDomain(workgroup)) {
    return { error: `'${workgroup}' can't stand behind the @: use letters, digits, hyphens and dots` };
  }
  const whole = at < 0 ? domain : `${canonicalDomain(workgroup)}.${domain}`;
  return isDomain(whole) ? { local, domain: whole } : { error: `'${workgroup}' is too long` };
}

/** Whether an address is one of the gateway's. */
export function isOnGateway(address: Address, domain: string): boolean {
  const own = canonicalDomain(address.domain);
  return own === domain || own.endsWith(`.${domain}`);
}

/** What the gateway calls an address for which {@linkcode isOnGateway} holds; a name with blanks stays as it is. */
export function fromMailAddress({ local, domain: own }: Address, domain: string): string {
  const workgroup = canonicalDomain(own).slice(0, -domain.length - 1);
  return workgroup === "" ? local : `${local}@${workgroup}`;
}
