import { assert, assertEquals } from "@std/assert";
import { destinationOf, isGatewayDestination, lostGateway } from "../../../src/queue/destination.ts";
import type { Wait } from "../../../src/store/types.ts";
import { smtpRoute } from "./queue_fixture.ts";

const hop = { kind: "gateway", name: "mhs" } as const;

Deno.test("destinationOf() names a gateway, whatever its messages ask for", () => {
  const expected = { name: "gateway mhs", hop, tls: "by-policy" } as const;
  assertEquals(destinationOf(hop, {}), expected);
  assertEquals(destinationOf(hop, { own: "report" }), expected);
  assertEquals(destinationOf(hop, { requests: { requireTls: true } }), expected);
});

Deno.test("isGatewayDestination() tells a gateway from a host that is called so", () => {
  assert(isGatewayDestination("gateway mhs"));
  for (const other of ["", "gateway", "gateway [192.0.2.1]", "[gateway]:25", "example.org with REQUIRETLS"]) {
    assert(!isGatewayDestination(other), other);
  }
});

Deno.test("lostGateway() keeps mail of a gateway that is gone, unless there is a way that somebody configured", () => {
  const waiting = (destination: string) => {
    const wait: Wait = { destination, dueMs: 0, deadlineMs: 0, attempts: 1 };
    return { index: 0, recipient: "bob@mhs.example.org", wait };
  };
  const byDns = smtpRoute("mhs.example.org");
  const host = { host: "192.0.2.1", port: 25, tls: "off" } as const;
  const byHost = { ...byDns, hop: { kind: "host", host, duty: "delivers" } as const };
  const byGateway = { ...byDns, channel: "gateway", hop, backup: undefined } as const;
  const mhs = waiting("gateway mhs");
  assertEquals(
    lostGateway(mhs, byDns),
    "the gateway mhs is not in the configuration any more: put it back under gateways, or reroute or drop the message",
  );
  assert(lostGateway(mhs, undefined) !== undefined);
  assertEquals([lostGateway(mhs, byHost), lostGateway(mhs, byGateway)], [undefined, undefined]);
  assertEquals(lostGateway(waiting("mhs.example.org"), byDns), undefined);
  assertEquals(lostGateway({ index: 0, recipient: "bob@mhs.example.org" }, byDns), undefined);
});
