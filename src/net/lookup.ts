/**
 * The addresses of a host that the configuration names.
 *
 * @module
 */
import { lookup } from "node:dns/promises";
import type { Dns, DnsServer } from "./dns.ts";

/**
 * As this machine looks names up: /etc/hosts, then DNS.
 * @throws {Error} where it could not be found out; a name that nobody knows gives none
 */
export async function systemAddresses(host: string): Promise<readonly string[]> {
  try {
    return (await lookup(host, { all: true })).map(({ address }) => address);
  } catch (error) {
    if ((error as { code?: string }).code === "ENOTFOUND") return [];
    throw error;
  }
}

/**
 * As the resolvers of the configuration say.
 * @throws {Error} where it could not be found out; a name that nobody knows gives none
 */
export async function dnsAddresses(host: string, dns: Dns): Promise<readonly string[]> {
  const answers = await Promise.all([dns.query(host, "AAAA"), dns.query(host, "A")]);
  const addresses = answers.flatMap((answer) => answer.status === "found" ? answer.records : []);
  const failed = answers.find((answer) => answer.status === "failed");
  if (addresses.length === 0 && failed?.status === "failed") throw new Error(failed.reason);
  return addresses;
}

/**
 * By the resolvers of the configuration where it names any, else as this machine looks names up.
 * @throws {Error} where it could not be found out; a name that nobody knows gives none
 */
export function hostAddresses(
  host: string,
  { dns, servers }: { readonly dns: Dns; readonly servers: readonly DnsServer[] },
): Promise<readonly string[]> {
  return servers.length === 0 ? systemAddresses(host) : dnsAddresses(host, dns);
}
