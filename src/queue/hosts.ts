/**
 * Which hosts take a destination's mail, and at which addresses.
 *
 * Guarantees: never rejects. A host that is named by the configuration is looked up the way this machine looks up names
 * (/etc/hosts included); what mail domains say is asked of DNS alone.
 *
 * @module
 */
import { isIP, isIPv4 } from "node:net";
import { isAddressLiteral } from "../mail/address.ts";
import type { Dns } from "../net/dns.ts";
import type { NextHop } from "../routing/route.ts";
import { mxTargets, orderAddresses, type Shuffle } from "../routing/targets.ts";

/** A next hop that is reached by SMTP. */
export type SmtpHop = Exclude<NextHop, { readonly kind: "gateway" }>;

/** The port where systems take mail from each other (RFC 5321 4.5.4.2). */
const SMTP_PORT = 25;

export interface Host {
  /** A name, or an IP address. */
  readonly name: string;
  readonly port: number;
  /** The domain named it in a way that was validated (DNSSEC). */
  readonly authentic: boolean;
}

export type Hosts =
  | { readonly kind: "hosts"; readonly hosts: readonly Host[] }
  /** RFC 7505: the domain says that it takes no mail. */
  | { readonly kind: "null-mx" }
  | { readonly kind: "no-host"; readonly reason: string; readonly status: "5.1.2" | "5.4.4" }
  /** RFC 5321 5.1: this system is the domain's best host, and doesn't know it. */
  | { readonly kind: "loop" }
  | { readonly kind: "temporary"; readonly reason: string };

export interface HostOptions {
  readonly dns: Dns;
  /** The addresses of a host that the configuration names; none where it has none. @throws where that can't be found out */
  readonly lookUp: (host: string) => Promise<readonly string[]>;
  readonly ownNames: readonly string[];
  readonly shuffle: Shuffle;
  /** The port of mail domains' hosts. @default {25} */
  readonly port?: number;
}

/** The hosts of a next hop, in order of trial. */
export async function findHosts(hop: SmtpHop, options: HostOptions): Promise<Hosts> {
  if (hop.kind === "host") {
    return { kind: "hosts", hosts: [{ name: hop.host.host, port: hop.host.port, authentic: false }] };
  }
  const { dns, ownNames, shuffle, port = SMTP_PORT } = options;
  const { domain } = hop;
  // RFC 5321 5.1: an address literal is its own host.
  if (isAddressLiteral(domain)) {
    const name = domain.slice(1, -1).replace(/^ipv6:/i, "");
    return { kind: "hosts", hosts: [{ name, port, authentic: false }] };
  }
  const answer = await dns.query(domain, "MX");
  const verdict = mxTargets(answer, { domain, ownNames, shuffle });
  const authentic = answer.status !== "failed" && answer.authentic;
  if (verdict.kind === "no-host") {
    // RFC 3463 3.2, 3.5: a domain that doesn't exist, and one that can't be routed to.
    return { ...verdict, status: answer.status === "no-such-name" ? "5.1.2" : "5.4.4" };
  }
  if (verdict.kind !== "hosts") return verdict;
  return { kind: "hosts", hosts: verdict.hosts.map((name) => ({ name, port, authentic })) };
}

export type Addresses =
  | { readonly kind: "addresses"; readonly addresses: readonly string[]; readonly authentic: boolean }
  | { readonly kind: "none"; readonly reason: string }
  | { readonly kind: "temporary"; readonly reason: string };

/** The addresses of a host, both families, in order of trial. */
export async function findAddresses(host: string, hop: SmtpHop, options: HostOptions): Promise<Addresses> {
  if (isIP(host) !== 0) return { kind: "addresses", addresses: [host], authentic: false };
  if (hop.kind === "host") return await lookUp(host, options);
  const { dns, shuffle } = options;
  const [six, four] = await Promise.all([dns.query(host, "AAAA"), dns.query(host, "A")]);
  const addresses = orderAddresses(
    six.status === "found" ? six.records : [],
    four.status === "found" ? four.records : [],
    shuffle,
  );
  if (addresses.length > 0) {
    const isAuthentic = (answer: typeof six | typeof four) => answer.status !== "failed" && answer.authentic;
    return { kind: "addresses", addresses, authentic: isAuthentic(six) && isAuthentic(four) };
  }
  for (const answer of [four, six]) {
    if (answer.status === "failed") {
      return { kind: "temporary", reason: `${host} could not be looked up: ${answer.reason}` };
    }
  }
  return { kind: "none", reason: `${host} has no address` };
}

async function lookUp(host: string, { lookUp, shuffle }: HostOptions): Promise<Addresses> {
  try {
    const found = await lookUp(host);
    if (found.length === 0) return { kind: "none", reason: `${host} has no address` };
    const four = found.filter((address) => isIPv4(address));
    const six = found.filter((address) => !isIPv4(address));
    return { kind: "addresses", addresses: orderAddresses(six, four, shuffle), authentic: false };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { kind: "temporary", reason: `${host} could not be looked up: ${reason}` };
  }
}
