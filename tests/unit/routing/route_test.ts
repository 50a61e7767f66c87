import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { parseAddress } from "../../../src/mail/address.ts";
import { isTemporary } from "../../../src/mail/reply.ts";
import { resolve, type Route, type Topology } from "../../../src/routing/route.ts";

const INTRANET: Topology = { mode: "intranet", domains: ["example.org", "plant.example"], plus: "+" };

function route(text: string, topology = INTRANET): Route {
  const address = parseAddress(text);
  if ("error" in address) throw new Error(address.error);
  return resolve(address, topology);
}

Deno.test("resolve() keeps our domains here", () => {
  assertEquals(route("alice@plant.example"), {
    channel: "local",
    recipient: { local: "alice", domain: "plant.example" },
    names: ["alice@plant.example", "alice", "@plant.example"],
    accept: "if-known",
    rule: "our-domains",
  });
});

Deno.test("resolve() always takes postmaster (RFC 5321 4.5.1)", () => {
  for (
    const recipient of [{ local: "POSTMASTER", domain: "" }, { local: "postmaster", domain: "example.org" }]
  ) {
    const { channel, rule, ...rest } = resolve(recipient, INTRANET);
    assertEquals([channel, rule, "accept" in rest && rest.accept], ["local", "postmaster", "always"]);
  }
});

Deno.test("resolve() in mode intranet refuses everything outside with a sentence that says why", () => {
  const refused = route("bob@casisoft.com");
  if (refused.channel !== "refused") throw new Error(refused.channel);
  assertEquals(refused.rule, "intranet");
  assertEquals(refused.reply, {
    code: 550,
    enhanced: "5.7.1",
    lines: [
      "bob@casisoft.com is outside: this system is on an intranet and delivers only to example.org, plant.example",
    ],
  });
  assertEquals(isTemporary(refused.reply), false);
});

Deno.test("resolve() names a few domains of many", () => {
  const domains = Array.from({ length: 12 }, (_, i) => `d${i}.example`);
  const refused = route("a@b", { ...INTRANET, domains });
  if (refused.channel !== "refused") throw new Error(refused.channel);
  assertEquals(
    refused.reply.lines[0]!.endsWith("d0.example, d1.example, d2.example, d3.example, d4.example and 7 more"),
    true,
  );
});

Deno.test("resolve() gives every recipient a route, local exactly for our domains", () => {
  const domain = fc.constantFrom(
    "example.org",
    "EXAMPLE.ORG",
    "plant.example",
    "x.example.org",
    "[127.0.0.1]",
    "org",
  );
  fc.assert(fc.property(fc.string({ maxLength: 9 }), domain, (local, domain) => {
    const ours = INTRANET.domains.includes(domain.toLowerCase());
    assertEquals(resolve({ local, domain }, INTRANET).channel, ours ? "local" : "refused");
  }));
});
