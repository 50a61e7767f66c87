import { assertEquals } from "@std/assert";
import fc from "fast-check";
// @ts-types="../../../src/config/yaml.d.ts"
import { parse } from "@std/yaml";
import type { Kind } from "../../../src/config/kinds.ts";
import {
  hostName,
  hostTls,
  port,
  routeMatch,
  senderMatch,
  serverAddress,
} from "../../../src/config/network_kinds.ts";

function value<T>(kind: Kind<T>, given: unknown): T | "refused" {
  const reading = kind.read(given);
  return "value" in reading ? reading.value : "refused";
}

Deno.test("hostName takes names and addresses, and nothing that is neither", () => {
  assertEquals(value(hostName, "Mail.Example.NET"), "mail.example.net");
  assertEquals(value(hostName, "bücher.example"), "xn--bcher-kva.example");
  assertEquals(value(hostName, "192.0.2.25"), "192.0.2.25");
  assertEquals(value(hostName, "[2001:db8::1]"), "2001:db8::1");
  assertEquals(value(hostName, "2001:db8::1"), "2001:db8::1");
  for (const wrong of ["192.0.2", "192.0.2.256", "a b", "", "[a.example]", "a:25", null, {}]) {
    assertEquals(value(hostName, wrong), "refused", String(wrong));
  }
});

Deno.test("port and hostTls keep to their bounds and words", () => {
  assertEquals([value(port, 1), value(port, 65_535), value(port, "587")], [1, 65_535, 587]);
  for (const wrong of [0, 65_536, -1, 2.5, "smtp"]) assertEquals(value(port, wrong), "refused");
  assertEquals([value(hostTls, "implicit"), value(hostTls, "on")], ["implicit", "refused"]);
});

Deno.test("routeMatch takes a domain, its subdomains, or an address literal", () => {
  assertEquals(value(routeMatch, "Example.ORG"), "example.org");
  assertEquals(value(routeMatch, ".Example.ORG"), ".example.org");
  assertEquals(value(routeMatch, "[192.0.2.1]"), "[192.0.2.1]");
  for (const wrong of [".", "", "*.example.org", "a@example.org", "..example.org", "[x]"]) {
    assertEquals(value(routeMatch, wrong), "refused", wrong);
  }
});

Deno.test("senderMatch takes an address too", () => {
  assertEquals(value(senderMatch, "News@Example.ORG"), "news@example.org");
  assertEquals(value(senderMatch, "example.org"), "example.org");
  for (const wrong of ["@example.org", "news@", "a b@example.org"]) {
    assertEquals(value(senderMatch, wrong), "refused", wrong);
  }
});

Deno.test("serverAddress takes an IP address, with port 53 unless another is given", () => {
  assertEquals(value(serverAddress, "127.0.0.1"), { host: "127.0.0.1", port: 53 });
  assertEquals(value(serverAddress, "::1"), { host: "::1", port: 53 });
  assertEquals(value(serverAddress, "127.0.0.1:5353"), { host: "127.0.0.1", port: 5353 });
  assertEquals(value(serverAddress, "[::1]:5353"), { host: "::1", port: 5353 });
  for (const wrong of ["localhost:53", "*:53", "53", 53, "127.0.0.1:0", "127.0.0.1:65536", null]) {
    assertEquals(value(serverAddress, wrong), "refused", String(wrong));
  }
});

Deno.test("network kinds read anything without throwing, and read back through YAML what they write", () => {
  const kinds: readonly Kind<unknown>[] = [hostName, port, hostTls, routeMatch, senderMatch, serverAddress];
  const samples = [
    "a.example",
    "192.0.2.1",
    ".b.example",
    "c@d.example",
    "2001:db8::1",
    "off",
    "7",
    "[192.0.2.1]",
  ];
  const given = fc.oneof(fc.anything(), fc.constantFrom(...samples));
  fc.assert(fc.property(fc.constantFrom(...kinds), given, (kind, given) => {
    const reading = kind.read(given);
    if (!("value" in reading)) return;
    assertEquals(kind.read(parse(kind.write(reading.value))), reading);
  }));
});
