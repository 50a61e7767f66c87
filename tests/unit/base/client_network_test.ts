import { assertEquals } from "@std/assert";
import { clientNetwork } from "../../../src/base/client_network.ts";

Deno.test("clientNetwork() is an IPv4 address itself, however it is written", () => {
  for (const text of ["192.0.2.1", "::ffff:192.0.2.1", "::FFFF:192.0.2.1", "0:0:0:0:0:ffff:192.0.2.1"]) {
    assertEquals(clientNetwork(text), "192.0.2.1", text);
  }
});

Deno.test("clientNetwork() is the /64 of an IPv6 address, however it is written", () => {
  for (
    const text of ["2001:db8::1:2:3:4", "2001:0DB8:0:0:ffff::9", "2001:db8::", "2001:db8:0:0:1:2:192.0.2.1"]
  ) {
    assertEquals(clientNetwork(text), "2001:db8:0:0::/64", text);
  }
  assertEquals(clientNetwork("::1"), "0:0:0:0::/64");
  assertEquals(clientNetwork("fe80::1%eth0"), "fe80:0:0:0::/64");
  assertEquals(clientNetwork("2001:db8:0:1::1"), "2001:db8:0:1::/64");
  assertEquals(clientNetwork("1:2:3:4:5:6:7::"), "1:2:3:4::/64");
  assertEquals(clientNetwork("::64:ff9b:1:2:3:192.0.2.1"), "0:64:ff9b:1::/64");
});

Deno.test("clientNetwork() leaves other text alone", () => {
  assertEquals(clientNetwork("local socket"), "local socket");
});
