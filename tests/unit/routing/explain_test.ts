import { assertEquals } from "@std/assert";
import { explain, hopWords } from "../../../src/routing/explain.ts";
import { resolve, type Topology } from "../../../src/routing/route.ts";
import { BUFFER, DIRECT, host, INTRANET } from "./topologies.ts";

const USERS =
  "Only those who have logged in, the hosts in relay.clients, and this system's own aliases, lists, shadows and " +
  "forwarding may send there.";

function told(text: string, topology: Topology): readonly string[] {
  const [local, domain] = text.split("@") as [string, string];
  return explain(resolve({ local, domain }, topology));
}

Deno.test("explain() says why a route is taken and what follows", () => {
  assertEquals(told("alice@example.org", DIRECT), ["alice@example.org is at one of this system's domains."]);
  assertEquals(told("postmaster@example.org", DIRECT), [
    "Mail for postmaster is kept here (RFC 5321 4.5.1).",
    "It is taken even where nobody has that name.",
  ]);
  assertEquals(told("bob@a.example", { ...DIRECT, fallback: host("isp.example") }), [
    "bob@a.example is outside, and in mode direct such mail goes to where DNS says.",
    "If DNS names no host for the domain, or none can be reached for too long, it goes to isp.example, port 25, " +
    "by TLS if it is offered; a refusal is final and goes back to the sender.",
    USERS,
  ]);
  assertEquals(told("bob@a.example", BUFFER), [
    "bob@a.example is outside, and in mode buffer such mail goes to the buffer host (relay.outbound: dump).",
    "That host passes it on; what becomes of it then is for that host to say.",
    USERS,
  ]);
  const routes = [{ match: "a.example", host: host("lab"), accept: "anyone" }] as const;
  assertEquals(told("bob@a.example", { ...INTRANET, routes }), [
    "relay.routes[0] is for the domain of bob@a.example.",
    "Anyone may send there through this system.",
  ]);
  assertEquals(told("bob@a.example", INTRANET), [
    "bob@a.example is outside, and in mode intranet no mail leaves the system but by relay.routes.",
    "The sender is told: 550 5.7.1 bob@a.example is outside: this system is on an intranet and delivers only to " +
    "example.org, plant.example.",
  ]);
});

Deno.test("explain() tells of a gateway, and who may use it", () => {
  const gateways = [
    { name: "mhs", domain: "mhs.example.org", accept: "users" },
    { name: "fax", domain: "fax.example", accept: "anyone" },
  ] as const;
  for (const topology of [DIRECT, BUFFER, INTRANET]) {
    assertEquals(told("bob@lab.mhs.example.org", { ...topology, gateways }), [
      "bob@lab.mhs.example.org is at the gateway mhs.",
      USERS,
    ]);
    assertEquals(
      told("555@fax.example", { ...topology, gateways })[1],
      "Anyone may send there through this system.",
    );
  }
});

Deno.test("hopWords() names a next hop", () => {
  assertEquals(hopWords({ kind: "mx", domain: "a.example" }), "the hosts that DNS names for a.example");
  assertEquals(hopWords({ kind: "gateway", name: "mhs" }), "the gateway mhs");
  assertEquals(hopWords({ kind: "mx", domain: "[192.0.2.1]" }), "the host at [192.0.2.1]");
  const smart = {
    host: "isp.example",
    port: 465,
    tls: "implicit",
    user: "office",
    passwordFile: "/p",
  } as const;
  assertEquals(
    hopWords({ kind: "host", host: smart, duty: "passes-on" }),
    "isp.example, port 465, by TLS from the start, with a valid certificate, logging in as office",
  );
});
