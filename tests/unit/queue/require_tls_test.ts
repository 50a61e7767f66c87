/** REQUIRETLS (RFC 8689): what a host lacks for it, for good or for now. */
import { assertEquals } from "@std/assert";
import { createSecureContext } from "node:tls";
import { systemClock } from "../../../src/base/clock.ts";
import type { Verdict } from "../../../src/queue/ledger.ts";
import type { NextHop } from "../../../src/routing/route.ts";
import { goodContext, selfSigned } from "../net/pki.ts";
import { connectorFor } from "./fault_fixture.ts";
import { FaultyHost, type Plan } from "./faulty_host.ts";
import { jobOf, queued } from "./queue_fixture.ts";

const strange = createSecureContext({ cert: selfSigned.cert, key: selfSigned.key });

/** What comes of connecting for a message that asks for REQUIRETLS. */
async function connecting(plan: Plan, hopOf: (port: number) => NextHop): Promise<string> {
  const host = await FaultyHost.start(plan);
  try {
    const connector = connectorFor(
      { port: host.port, clock: systemClock, lookUp: () => Promise.resolve(["127.0.0.1"]) },
      () => Promise.reject(new Error("nothing is sent")),
    );
    const message = queued(1, { requests: { requireTls: true } });
    const { job } = jobOf(message, { domain: "example.org" });
    const destination = { name: "example.org", hop: hopOf(host.port), tls: "verified" as const };
    const connected = await connector.connect(destination, new AbortController().signal);
    if (connected.kind === "courier") {
      await connected.courier.quit();
      return "courier";
    }
    if (connected.kind === "busy") return "busy";
    const { verdicts } = connected.verdict(job);
    assertEquals(host.heard.filter((line) => /^(MAIL|RCPT|AUTH)/.test(line)), []);
    return `${connected.kind}: ${verdicts.map(told).join()}`;
  } finally {
    await host.stop();
  }
}

function told(verdict: Verdict): string {
  return verdict.kind === "failed"
    ? `${verdict.reply.code} ${verdict.reply.enhanced} by ${verdict.by || "us"}`
    : verdict.kind;
}

const HOPS: Record<string, (port: number) => NextHop> = {
  "a mail domain": () => ({ kind: "mx", domain: "example.org" }),
  "a configured host": (port) => ({
    kind: "host",
    host: { host: "mail.example.org", port, tls: "opportunistic" },
    duty: "passes-on",
  }),
};

const CASES: readonly { readonly name: string; readonly plan: Plan; readonly outcome: string }[] = [
  {
    name: "it offers it, with a good certificate",
    plan: { extensions: ["REQUIRETLS"], tls: goodContext },
    outcome: "courier",
  },
  {
    name: "it does not offer it",
    plan: { extensions: ["PIPELINING"], tls: goodContext },
    outcome: "refused: 550 5.7.30 by us",
  },
  { name: "it has no STARTTLS", plan: { extensions: ["REQUIRETLS"] }, outcome: "refused: 550 5.7.10 by us" },
  {
    name: "its certificate is nobody's",
    plan: { extensions: ["REQUIRETLS"], tls: strange },
    outcome: "refused: 550 5.7.10 by us",
  },
  {
    name: "it refuses STARTTLS for now",
    plan: {
      extensions: ["REQUIRETLS"],
      tls: goodContext,
      act: ({ stage }) => stage === "starttls" ? { do: "say", text: "454 4.7.0 later\r\n" } : undefined,
    },
    outcome: "unreachable: deferred",
  },
  {
    name: "the connection ends in the handshake",
    plan: {
      extensions: ["REQUIRETLS"],
      tls: goodContext,
      act: ({ stage }) => stage === "handshake" ? { do: "close" } : undefined,
    },
    outcome: "unreachable: deferred",
  },
];

for (const [where, hopOf] of Object.entries(HOPS)) {
  for (const { name, plan, outcome } of CASES) {
    Deno.test(`Connector.connect() for REQUIRETLS to ${where}: ${name}`, async () => {
      assertEquals(await connecting(plan, hopOf), outcome);
    });
  }
}
