/**
 * Kinds of values about other hosts: names, ports, and what a route is for.
 *
 * @module
 */
import { isIPv4, isIPv6 } from "node:net";
import {
  canonicalAddress,
  canonicalDomain,
  isAddressLiteral,
  isDomain,
  parseAddress,
} from "../mail/address.ts";
import { integer, type Kind, listenAddress, oneOf, text } from "./kinds.ts";

/** A host by name or IP address; `[2001:db8::1]` loses its brackets. */
export const hostName: Kind<string> = text(
  "host name or IP address",
  "a host's name or address such as mail.example.net or 192.0.2.25",
  (given) => {
    const bare = given.replace(/^\[(.*)\]$/, "$1");
    if (isIPv4(bare) || isIPv6(bare)) return bare;
    // All digits and dots, and no address: mistyped.
    return /^[\d.]+$/.test(given) || !isDomain(given) ? undefined : canonicalDomain(given);
  },
);

/** A port to connect to. */
export const port: Kind<number> = integer(1, 65_535);

/** How a connection to a host is secured (routing's `HostTls`). */
export const hostTls: Kind<"off" | "opportunistic" | "required" | "verified" | "implicit"> = oneOf(
  ["off", "opportunistic", "required", "verified", "implicit"],
);

/** What the words of {@linkcode hostTls} mean. */
export const hostTlsWords =
  "TLS: off; opportunistic (if offered, any certificate); required (any certificate); " +
  "verified (a certificate valid for the host's name); implicit (verified, and from the first octet).";

/** The domains a route is for: `example.org`, `.example.org` for its subdomains, or an address literal. */
export const routeMatch: Kind<string> = text(
  "domain, or .domain for its subdomains",
  "a domain such as example.org, or .example.org for its subdomains",
  domainMatch,
);

/** The senders a route is for: an address, or what {@linkcode routeMatch} takes. */
export const senderMatch: Kind<string> = text(
  "address, domain, or .domain for its subdomains",
  "an address such as news@example.org, or a domain such as example.org",
  (given) => {
    if (!given.includes("@")) return domainMatch(given);
    const address = parseAddress(given);
    return "error" in address ? undefined : canonicalAddress(address);
  },
);

function domainMatch(given: string): string | undefined {
  if (isAddressLiteral(given)) return canonicalDomain(given);
  const dot = given.startsWith(".") ? "." : "";
  const name = given.slice(dot.length);
  return isDomain(name) ? dot + canonicalDomain(name) : undefined;
}

/** A DNS server: `127.0.0.1:53`, `"[::1]:53"`, or an address alone, which means port 53. */
export const serverAddress: Kind<{ readonly host: string; readonly port: number }> = {
  name: "IP address and port",
  read(value) {
    const given = typeof value === "string" ? value : "";
    if (isIPv4(given) || isIPv6(given)) return { value: { host: given, port: 53 } };
    const reading = listenAddress.read(value);
    if ("value" in reading) {
      const { host, port } = reading.value;
      if (host !== undefined && (isIPv4(host) || isIPv6(host)) && port > 0) return { value: { host, port } };
    }
    return {
      faults: [{
        must: 'must be an IP address and port such as 127.0.0.1:53 or "[::1]:53"',
        not: `'${given}'`,
      }],
    };
  },
  write: listenAddress.write,
};
