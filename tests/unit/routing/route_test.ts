import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { parseAddress } from "../../../src/mail/address.ts";
import { isTemporary } from "../../../src/mail/reply.ts";
import { explain } from "../../../src/routing/explain.ts";
import { resolve, type Route, type Topology } from "../../../src/routing/route.ts";
import { srsForward } from "../../../src/routing/srs.ts";
import { ALL, BUFFER, COMBINED, DIRECT, host, INTRANET } from "./topologies.ts";

function address(text: string) {
  const address = parseAddress(text);
  if ("error" in address) throw new Error(address.error);
  return address;
}

function route(text: string, topology = INTRANET, sender?: string): Route {
  return resolve(address(text), topology, sender === undefined ? {} : { sender: address(sender) });
}

/** `rule: where, else where when` */
function way(text: string, topology: Topology, sender?: string): string {
  const found = route(text, topology, sender);
  if (found.channel === "local") return `${found.rule}: here`;
  if (found.channel === "refused") return `${found.rule}: ${found.reply.code} ${found.reply.enhanced}`;
  const hop = (next: typeof found.hop) =>
    next.kind === "mx"
      ? `mx ${next.domain}`
      : next.kind === "gateway"
      ? `gateway ${next.name}`
      : `${next.host.host} ${next.duty}`;
  const { backup } = found;
  return `${found.rule} (${found.accept}): ${hop(found.hop)}` +
    (backup === undefined ? "" : `, else ${hop(backup.hop)} ${backup.when}`);
}

Deno.test("resolve() keeps our domains here", () => {
  assertEquals(route("alice@plant.example"), {
    channel: "local",
    recipient: { local: "alice", domain: "plant.example" },
    names: ["alice@plant.example", "alice", "@plant.example"],
    accept: "if-known",
    rule: "our-domains",
  });
  for (const topology of ALL) assertEquals(way("alice@EXAMPLE.org", topology), "our-domains: here");
});

Deno.test("resolve() always takes postmaster (RFC 5321 4.5.1)", () => {
  for (const topology of ALL) {
    for (
      const recipient of [{ local: "POSTMASTER", domain: "" }, { local: "postmaster", domain: "example.org" }]
    ) {
      const { channel, rule, ...rest } = resolve(recipient, topology);
      assertEquals([channel, rule, "accept" in rest && rest.accept], ["local", "postmaster", "always"]);
    }
  }
});

Deno.test("resolve() in mode direct follows DNS, and takes the fallback for what can't be reached (Figure 1)", () => {
  assertEquals(way("bob@CASIsoft.com", DIRECT), "direct (users): mx casisoft.com");
  assertEquals(
    way("bob@casisoft.com", { ...DIRECT, fallback: host("isp.example") }),
    "direct (users): mx casisoft.com, else isp.example passes-on unreachable",
  );
  assertEquals(way("bob@[192.0.2.1]", DIRECT), "direct (users): mx [192.0.2.1]");
  assertEquals(way("bob@bücher.example", DIRECT), "direct (users): mx xn--bcher-kva.example");
});

Deno.test("resolve() in mode buffer gives all to the buffer host, or what DNS names no host for (Figure 2)", () => {
  assertEquals(way("bob@casisoft.com", BUFFER), "buffer dump (users): unix.example.org passes-on");
  assertEquals(
    way("bob@casisoft.com", { ...BUFFER, outbound: "direct-first" }),
    "buffer direct-first (users): mx casisoft.com, else unix.example.org passes-on no-host",
  );
  const { buffer: _, ...unset } = BUFFER;
  assertEquals(way("bob@casisoft.com", unset), "buffer dump: 451 4.3.5");
});

Deno.test("resolve() in mode intranet refuses everything outside with a sentence that says why (Figure 3)", () => {
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

Deno.test("resolve() in mode combined follows DNS with the buffer host as backup (Figure 4)", () => {
  assertEquals(
    way("bob@casisoft.com", COMBINED),
    "combined (users): mx casisoft.com, else unix.example.org passes-on unreachable",
  );
});

Deno.test("resolve() takes relay.routes first in every mode, in the order listed", () => {
  const routes = [
    { match: "x.lab.example", host: host("one"), accept: "anyone" },
    { match: ".lab.example", host: host("two"), accept: "users" },
    { match: "plant.example", host: host("three"), accept: "users" },
    { match: "[192.0.2.1]", host: host("four"), accept: "users" },
  ] as const;
  for (const mode of ALL) {
    const topology = { ...mode, routes };
    assertEquals(way("a@X.lab.example", topology), "relay.routes[0] (anyone): one delivers");
    assertEquals(way("a@y.x.lab.example", topology), "relay.routes[1] (users): two delivers");
    assertEquals(way("a@plant.example", topology), "relay.routes[2] (users): three delivers");
    assertEquals(way("a@[192.0.2.1]", topology), "relay.routes[3] (users): four delivers");
    // `.lab.example` is the subdomains of lab.example, not itself, and not what only ends alike.
    for (const other of ["a@lab.example", "a@xlab.example"]) {
      assertEquals(way(other, topology), way(other, mode));
    }
  }
  const refused = route("a@b.example", { ...INTRANET, routes });
  if (refused.channel !== "refused") throw new Error(refused.channel);
  assertEquals(
    refused.reply.lines[0],
    "a@b.example is outside: this system is on an intranet and delivers only to example.org, plant.example, " +
      "x.lab.example, subdomains of lab.example, plant.example and 1 more",
  );
});

Deno.test("resolve() sends what some senders send outside by their own hosts, but not on an intranet", () => {
  const senders = [
    { match: "news@example.org", host: host("bulk"), accept: "users" },
    { match: "plant.example", host: host("factory"), accept: "users" },
  ] as const;
  const routes = [{ match: "lab.example", host: host("lab"), accept: "users" }] as const;
  for (const mode of ALL) {
    const topology = { ...mode, senders, routes };
    const outside = (sender: string) => way("bob@casisoft.com", topology, sender);
    const without = way("bob@casisoft.com", mode);
    const isIntranet = mode.mode === "intranet";
    assertEquals(
      outside("News@Example.org"),
      isIntranet ? without : "relay.senders[0] (users): bulk passes-on",
    );
    assertEquals(
      outside("x@plant.example"),
      isIntranet ? without : "relay.senders[1] (users): factory passes-on",
    );
    assertEquals(outside("alice@example.org"), without);
    // What has a way of its own keeps it.
    assertEquals(way("a@lab.example", topology, "news@example.org"), "relay.routes[0] (users): lab delivers");
    assertEquals(way("alice@example.org", topology, "news@example.org"), "our-domains: here");
    assertEquals(
      resolve(address("bob@casisoft.com"), topology, { sender: null }),
      route("bob@casisoft.com", { ...mode, routes }),
    );
  }
});

const GATEWAYS = [
  { name: "mhs", domain: "mhs.example.org", accept: "users" },
  { name: "fax", domain: "fax.example", accept: "anyone" },
] as const;

Deno.test("resolve() gives a gateway its domain and all below it, in every mode", () => {
  // Neither a route nor a domain of ours comes before it.
  const routes = [{ match: ".example.org", host: host("one"), accept: "anyone" }] as const;
  const senders = [{ match: "news@example.org", host: host("bulk"), accept: "users" }] as const;
  for (const mode of ALL) {
    const domains = [...mode.domains, "sales.mhs.example.org"];
    const topology = { ...mode, gateways: GATEWAYS, routes, senders, domains };
    assertEquals(way("a@MHS.example.org", topology), "gateways.mhs (users): gateway mhs");
    assertEquals(
      way("a@sales.mhs.example.org", topology, "news@example.org"),
      "gateways.mhs (users): gateway mhs",
    );
    assertEquals(way("postmaster@fax.example", topology), "gateways.fax (anyone): gateway fax");
    // What only ends alike is none of it.
    assertEquals(way("a@xmhs.example.org", topology), "relay.routes[0] (anyone): one delivers");
    const other = { ...topology, routes: [] };
    assertEquals(way("a@myfax.example", other), way("a@myfax.example", mode));
    assertEquals(way("alice@example.org", other), "our-domains: here");
  }
  const refused = route("a@b.example", { ...INTRANET, gateways: GATEWAYS });
  if (refused.channel !== "refused") throw new Error(refused.channel);
  assertEquals(
    refused.reply.lines[0],
    "a@b.example is outside: this system is on an intranet and delivers only to example.org, plant.example, " +
      "mhs.example.org, fax.example",
  );
});

Deno.test("resolve() sends a notification for a rewritten sender on to a gateway, for anyone", () => {
  const srs = { domain: "example.org", secret: new Uint8Array(32).fill(7), nowMs: 1_800_000_000_000 };
  const made = srsForward(address("bob@sales.mhs.example.org"), srs)!;
  for (const mode of ALL) {
    const found = resolve(made, { ...mode, gateways: GATEWAYS, srs });
    assertEquals(found, {
      channel: "gateway",
      recipient: { local: "bob", domain: "sales.mhs.example.org" },
      accept: "anyone",
      hop: { kind: "gateway", name: "mhs" },
      rule: "srs",
    });
  }
});

Deno.test("resolve() sends notifications for rewritten senders on to them, for anyone", () => {
  const srs = { domain: "example.org", secret: new Uint8Array(32).fill(7), nowMs: 1_800_000_000_000 };
  const made = srsForward(address("Bob@casisoft.com"), srs)!;
  const topology = { ...DIRECT, srs };
  const found = resolve(made, topology);
  assertEquals(found.recipient, { local: "Bob", domain: "casisoft.com" });
  const to = ({ local }: { local: string }) => `${local}@example.org`;
  assertEquals(way(to(made), topology), "srs (anyone): mx casisoft.com");
  assertEquals(way(to(made), BUFFER), "our-domains: here");
  assertEquals(way(to(made), { ...BUFFER, srs }), "srs (anyone): unix.example.org passes-on");
  assertEquals(way(to(made), { ...INTRANET, srs }), "srs: 550 5.7.1");
  // A sender who is here after all.
  assertEquals(way(to(srsForward(address("a@plant.example"), srs)!), topology), "srs: here");
  // Made by nobody here, expired, and at another's domain.
  assertEquals(way("SRS0=AAAAAA=AA=casisoft.com=bob@example.org", topology), "srs: 550 5.1.1");
  const later = { ...topology, srs: { ...srs, nowMs: srs.nowMs + 30 * 86_400_000 } };
  assertEquals(way(to(made), later), "srs: 550 5.1.1");
  assertEquals(way("SRS0=AAAAAA=AA=a.example=bob@b.example", topology), "direct (users): mx b.example");
});

Deno.test("resolve() refuses a recipient without domain", () => {
  for (const topology of ALL) {
    const found = resolve({ local: "bob", domain: "" }, topology);
    assertEquals([found.rule, found.channel === "refused" && found.reply.enhanced], ["no-domain", "5.1.3"]);
  }
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

Deno.test("resolve() gives every recipient a route that explain() can tell, local exactly for our domains", () => {
  const domain = fc.constantFrom(
    "example.org",
    "EXAMPLE.ORG",
    "plant.example",
    "x.example.org",
    "[127.0.0.1]",
    "org",
    "mhs.example.org",
  );
  const topology = fc.constantFrom(...ALL, ...ALL.map((mode) => ({ ...mode, gateways: GATEWAYS })));
  fc.assert(fc.property(fc.string({ maxLength: 9 }), domain, topology, (local, domain, topology) => {
    const ours = topology.domains.includes(domain.toLowerCase());
    const found = resolve({ local, domain }, topology, { sender: { local, domain } });
    const isGateway = domain === "mhs.example.org" && topology.gateways !== undefined;
    const outside = isGateway ? "gateway" : topology.mode === "intranet" ? "refused" : "smtp";
    assertEquals(found.channel, ours ? "local" : outside);
    for (const sentence of explain(found)) assertEquals(/undefined|\[object/.test(sentence), false, sentence);
  }));
});
