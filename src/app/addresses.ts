/**
 * Which addresses to listen on: those configured, or the standard ports, or the same plus 2000 where the system keeps
 * the low ones for root.
 *
 * @module
 */
import { listenDefaults } from "../config/config.ts";
import type { Service } from "../server/context.ts";
import type { ServiceAddress } from "../server/protocol_server.ts";
import { claim as claimAlone, type ListenAddress, ListenError } from "../net/listener.ts";

const SERVICES: readonly Service[] = ["smtp", "submission", "submissions", "pop3", "pop3s"];

type Listen = { readonly [S in Service]?: readonly ListenAddress[] };

/**
 * Claims every address, by `claim` (net's, unless a test says otherwise).
 * @throws {ListenError} naming the address
 */
export async function claimAddresses(
  configured: Listen,
  claim: (address: ListenAddress) => Promise<ListenAddress> = claimAlone,
): Promise<ServiceAddress[]> {
  const claimed: ServiceAddress[] = [];
  for (const service of SERVICES) {
    const addresses = configured[service];
    if (addresses === undefined) claimed.push(await claimStandard(service, claim));
    else for (const address of addresses) claimed.push({ service, address: await claim(address) });
  }
  return claimed;
}

async function claimStandard(service: Service, claim: typeof claimAlone): Promise<ServiceAddress> {
  const privileged = listenDefaults("yes")[service][0]!;
  try {
    return { service, address: await claim(privileged) };
  } catch (error) {
    if (!(error instanceof ListenError) || error.code !== "EACCES") throw error;
    return { service, address: await claim(listenDefaults("no")[service][0]!) };
  }
}
