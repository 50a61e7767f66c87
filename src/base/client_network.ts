/**
 * What counts as one client where clients are counted.
 *
 * @module
 */
import { isIPv4, isIPv6 } from "node:net";

/**
 * The network that stands for an address: an IPv4 address itself (also where it is written as IPv6, `::ffff:192.0.2.1`),
 * the /64 of an IPv6 address, since whoever has one of its addresses has them all (RFC 6177 2). Other text stays as it is.
 *
 * @example
 * ```ts
 * clientNetwork("2001:db8:0:1::5"); // "2001:db8:0:1::/64"
 * ```
 */
export function clientNetwork(address: string): string {
  const bare = address.replace(/%.*$/, "");
  if (isIPv4(bare) || !isIPv6(bare)) return bare;
  const mapped = /^(?:0{0,4}:){2,5}ffff:([\d.]+)$/i.exec(bare)?.[1];
  if (mapped !== undefined && isIPv4(mapped)) return mapped;
  return `${firstGroups(bare).join(":")}::/64`;
}

/** The first four of an IPv6 address's eight groups, without leading zeros. */
function firstGroups(address: string): string[] {
  const [before, after] = address.toLowerCase().split("::") as [string, string | undefined];
  const groups = before === "" ? [] : before.split(":");
  if (after !== undefined) {
    const behind = after === "" ? [] : after.split(":");
    const width = behind.length + (behind.at(-1)?.includes(".") ? 1 : 0);
    while (groups.length + width < 8) groups.push("0");
    groups.push(...behind);
  }
  return groups.slice(0, 4).map((group) => group.replace(/^0+(?=.)/, ""));
}
