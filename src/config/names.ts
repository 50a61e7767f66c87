/**
 * Names that follow from a configuration.
 *
 * @module
 */
import type { Config } from "./config.ts";

/** The domain that names written without one are at, and that this system's own mail comes from. */
export function firstDomain({ domains, hostname }: Pick<Config, "domains" | "hostname">): string {
  return domains[0] ?? hostname;
}

/** What the addresses of a gateway other than SMTP end in here, canonical. */
export function gatewayDomain(
  gateway: { readonly name: string; readonly domain?: string | undefined },
  config: Pick<Config, "domains" | "hostname">,
): string {
  return gateway.domain ?? `${gateway.name}.${firstDomain(config)}`;
}
