/**
 * DNS, for one command.
 *
 * @module
 */
import { systemClock } from "../base/clock.ts";
import { systemRandom } from "../base/random.ts";
import type { Config } from "../config/config.ts";
import { type Dns, DnsClient, systemServers } from "../net/dns.ts";

/** Any time: what counts is that the process waits for it. */
const ALIVE_MS = 60_000;

/** Gives `act` a resolver that asks the configuration's servers, and closes it afterwards. */
export async function withDns<T>(
  { dns: { servers, timeout } }: Config,
  act: (dns: Dns) => Promise<T>,
): Promise<T> {
  const dns = new DnsClient({
    servers: servers.length > 0 ? servers : systemServers(),
    timeoutMs: timeout,
    clock: systemClock,
    random: systemRandom,
  });
  // Its sockets and timers keep no process running, and a command has nothing else that would.
  const alive = setInterval(() => {}, ALIVE_MS);
  try {
    return await act(dns);
  } finally {
    clearInterval(alive);
    dns.close();
  }
}
