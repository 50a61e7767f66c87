import { assertEquals, assertThrows } from "@std/assert";
import { BlockList } from "node:net";
import fc from "fast-check";
import { inCidrs } from "../../../src/base/cidr.ts";

function block(text: string): { readonly address: string; readonly prefixBits: number } {
  const [address, bits] = text.split("/") as [string, string];
  return { address, prefixBits: Number(bits) };
}
const within = (address: string, ...blocks: string[]) => inCidrs(address, blocks.map(block));

Deno.test("inCidrs() finds an IPv4 address in its block and no other", () => {
  assertEquals(within("192.0.2.255", "192.0.2.0/24"), true);
  assertEquals(within("192.0.3.0", "192.0.2.0/24"), false);
  assertEquals(within("192.0.2.131", "192.0.2.128/30"), true);
  assertEquals(within("192.0.2.132", "192.0.2.128/30"), false);
  assertEquals(within("192.0.2.7", "192.0.2.7/32"), true);
  assertEquals(within("192.0.2.6", "192.0.2.7/32"), false);
  assertEquals(within("203.0.113.1", "192.0.2.0/0"), true);
  // The bits behind the prefix don't count, also where they are set.
  assertEquals(within("192.0.2.1", "192.0.2.99/24"), true);
});

Deno.test("inCidrs() finds an IPv6 address however it is written", () => {
  for (const text of ["2001:db8::5", "2001:0DB8:0:0:0:0:0:5", "2001:db8:0::0.0.0.5", "2001:db8::5%eth0"]) {
    assertEquals(within(text, "2001:db8::/32"), true, text);
    assertEquals(within(text, "2001:db8::5/128"), true, text);
    assertEquals(within(text, "2001:db8::4/127"), true, text);
    assertEquals(within(text, "2001:db8::6/127"), false, text);
    assertEquals(within(text, "2001:db9::/32"), false, text);
  }
  assertEquals(within("2001:dbf::", "2001:db8::/29"), true);
  assertEquals(within("2001:dc0::", "2001:db8::/29"), false);
  assertEquals(within("::1", "::1/128"), true);
  assertEquals(within("::", "::/128"), true);
});

Deno.test("inCidrs() takes an IPv4-mapped address for the IPv4 address", () => {
  assertEquals(within("::ffff:192.0.2.1", "192.0.2.0/24"), true);
  assertEquals(within("::ffff:c000:0201", "192.0.2.0/24"), true);
  assertEquals(within("192.0.2.1", "::ffff:192.0.2.0/120"), true);
  assertEquals(within("192.0.2.1", "::ffff:0.0.0.0/96"), true);
});

Deno.test("inCidrs() keeps the families apart", () => {
  assertEquals(within("192.0.2.1", "::/0"), false);
  assertEquals(within("::ffff:192.0.2.1", "::/0"), false);
  assertEquals(within("2001:db8::1", "0.0.0.0/0"), false);
  assertEquals(within("2001:db8::1", "::/0"), true);
});

Deno.test("inCidrs() tries each block, and finds nothing in none", () => {
  assertEquals(within("192.0.2.1"), false);
  assertEquals(within("192.0.2.1", "198.51.100.0/24", "2001:db8::/32", "192.0.2.1/32"), true);
  for (const text of ["", "localhost", "192.0.2", "1.2.3.4.5", "::g"]) {
    assertEquals(within(text, "0.0.0.0/0", "::/0"), false, text);
  }
});

Deno.test("inCidrs() throws where a block has no address", () => {
  assertThrows(() => within("192.0.2.1", "mail/24"), TypeError, "'mail' is not an IP address");
});

Deno.test("inCidrs() agrees with the platform's block list", () => {
  const group = fc.integer({ min: 0, max: 0xffff });
  const ipv6 = fc.array(group, { minLength: 8, maxLength: 8 })
    .map((groups) => groups.map((each) => each.toString(16)).join(":"));
  const ipv4 = fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 4, maxLength: 4 })
    .map((parts) => parts.join("."));
  const close = <T>(one: fc.Arbitrary<T>, make: (base: T) => fc.Arbitrary<T>) =>
    one.chain((base) => fc.tuple(fc.constant(base), fc.oneof(one, make(base))));
  const near = (text: string) =>
    text.includes(":")
      ? group.map((last) => text.replace(/[0-9a-f]+$/, last.toString(16)))
      : fc.integer({ min: 0, max: 255 }).map((last) => text.replace(/\d+$/, String(last)));
  const pair = fc.oneof(close(ipv4, near), close(ipv6, near));
  fc.assert(
    fc.property(pair, fc.integer({ min: 0, max: 128 }), ([address, other], bits) => {
      const family = address.includes(":") ? "ipv6" : "ipv4";
      const prefixBits = family === "ipv4" ? bits % 33 : bits;
      const list = new BlockList();
      list.addSubnet(address, prefixBits, family);
      assertEquals(inCidrs(other, [{ address, prefixBits }]), list.check(other, family));
    }),
    { numRuns: 500 },
  );
});
