/**
 * Whether an IP address lies in one of some blocks (RFC 4632 3.1, RFC 4291 2.3).
 *
 * Guarantees: an IPv4 address and the same one written as IPv6 (`::ffff:192.0.2.1`, RFC 4291 2.5.5.2) are in the same
 * blocks; an IPv6 block that is wider than all IPv4 addresses (`::/0`) holds none of them; text that is no address is
 * in no block. A zone (`%eth0`) is ignored. Blocks are taken apart once each.
 *
 * @module
 */
import { isIPv4, isIPv6 } from "node:net";

/** A block of addresses: those whose first `prefixBits` bits are those of `address`. */
export interface AddressBlock {
  readonly address: string;
  /** 0 to 32 where the address is IPv4, 0 to 128 where it is IPv6. */
  readonly prefixBits: number;
}

/** Eight groups of 16 bits; an IPv4 address as its IPv4-mapped IPv6 one. */
type Groups = readonly number[];

interface Taken {
  readonly groups: Groups;
  readonly bits: number;
}

const GROUP_BITS = 16;
/** Bits in front of an IPv4 address in an IPv4-mapped one. */
const MAPPED_BITS = 96;

const known = new WeakMap<AddressBlock, Taken>();

/**
 * Whether `address` lies in one of `blocks`.
 *
 * @example
 * ```ts
 * inCidrs("192.0.2.7", [{ address: "192.0.2.0", prefixBits: 24 }]); // true
 * ```
 */
export function inCidrs(address: string, blocks: readonly AddressBlock[]): boolean {
  if (blocks.length === 0) return false;
  const groups = groupsOf(address);
  return groups !== undefined && blocks.some((block) => holds(takeApart(block), groups));
}

function holds({ groups, bits }: Taken, address: Groups): boolean {
  if (bits < MAPPED_BITS && isMapped(address)) return false;
  const whole = Math.floor(bits / GROUP_BITS);
  for (let i = 0; i < whole; i++) if (groups[i] !== address[i]) return false;
  const unused = GROUP_BITS - bits % GROUP_BITS;
  return unused === GROUP_BITS || groups[whole]! >> unused === address[whole]! >> unused;
}

function takeApart(block: AddressBlock): Taken {
  let taken = known.get(block);
  if (taken === undefined) {
    const groups = groupsOf(block.address);
    if (groups === undefined) throw new TypeError(`'${block.address}' is not an IP address`);
    taken = { groups, bits: block.prefixBits + (isIPv4(block.address) ? MAPPED_BITS : 0) };
    known.set(block, taken);
  }
  return taken;
}

function isMapped(groups: Groups): boolean {
  return groups[5] === 0xffff && groups.every((group, i) => i >= 5 || group === 0);
}

function groupsOf(address: string): Groups | undefined {
  const bare = address.replace(/%.*$/, "");
  if (isIPv4(bare)) return [0, 0, 0, 0, 0, 0xffff, ...fromIPv4(bare)];
  if (!isIPv6(bare)) return undefined;
  const [before = "", after] = bare.split("::") as [string, string | undefined];
  const front = fromHex(before);
  const back = after === undefined ? [] : fromHex(after);
  return [...front, ...new Array<number>(8 - front.length - back.length).fill(0), ...back];
}

/** Groups of hexadecimal digits, the last of which may be an IPv4 address. */
function fromHex(text: string): number[] {
  if (text === "") return [];
  return text.split(":").flatMap((group) => group.includes(".") ? fromIPv4(group) : [parseInt(group, 16)]);
}

function fromIPv4(text: string): number[] {
  const [a, b, c, d] = text.split(".").map(Number) as [number, number, number, number];
  return [a * 256 + b, c * 256 + d];
}
