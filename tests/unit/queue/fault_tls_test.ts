/** Faults of TLS over real sockets: certificates, handshakes, and what is said around them, by what policy asks for. */
import { assert, assertEquals } from "@std/assert";
import { createSecureContext, type SecureContext } from "node:tls";
import type { HostTls } from "../../../src/routing/route.ts";
import { between, chainOf, expired, goodContext, issue, type Issued, selfSigned } from "../net/pki.ts";
import { BODY, inParallel, type Scene, startScene } from "./fault_fixture.ts";
import { type Act, FaultyHost, type Plan, type Stage } from "./faulty_host.ts";

const elsewhere = await issue({
  subject: "other.example.org",
  names: ["other.example.org"],
  issuer: between,
});
const contextOf = (issued: Issued): SecureContext =>
  createSecureContext({ cert: chainOf(issued), key: issued.key });

/** How fast time runs: a handshake has a second and a half; and where nobody waits for a time-out. */
const HANDSHAKES = 40;
const NO_WAITS = 20;

const PIPELINING = ["PIPELINING", "8BITMIME"];
type Policy = Extract<HostTls, "opportunistic" | "required" | "verified">;
const POLICIES: readonly Policy[] = ["opportunistic", "required", "verified"];

/** `relayed`: by the first connection; `in the clear`: by a second one, without TLS; `later`: by the next try, with TLS. */
type Outcome = "relayed" | "relayed without TLS" | "in the clear" | "later" | "twice";

interface Cell {
  readonly name: string;
  readonly plan: Plan;
  readonly policy: Policy;
  readonly outcome: Outcome;
}

const say = (text: string, then?: "close" | "hang"): Act => ({ do: "say", text, then });

/** An act in the first connection, at a stage in the clear or by TLS. */
function once(stage: Stage, act: Act, by: "clear" | "TLS" = "clear"): NonNullable<Plan["act"]> {
  return (moment) =>
    moment.connection === 1 && moment.transaction <= 1 && moment.stage === stage &&
      moment.secured === (by === "TLS")
      ? act
      : undefined;
}

/** The first connection's certificate; later ones have a good one. */
function certificateCells(): Cell[] {
  const certificates = { expired, selfSigned, "of another host": elsewhere };
  return Object.entries(certificates).flatMap(([name, issued]) => {
    const bad = contextOf(issued);
    const plan: Plan = {
      extensions: PIPELINING,
      tls: (connection) => connection === 1 ? bad : goodContext,
    };
    return POLICIES.map((policy): Cell => ({
      name: `a certificate ${name}, ${policy}`,
      plan,
      policy,
      outcome: policy === "verified" ? "later" : "relayed",
    }));
  });
}

function handshakeCells(): Cell[] {
  const acts: Record<string, Act> = {
    "octets that are no TLS": say("220 what do you want?\r\n".repeat(20), "hang"),
    "the end": { do: "close" },
    "a reset": { do: "reset" },
    "silence": { do: "hang" },
    // handshake_failure, as a record of TLS 1.2.
    "an alert": { do: "say", text: Uint8Array.of(21, 3, 3, 0, 2, 2, 40), then: "close" },
  };
  return Object.entries(acts).flatMap(([name, act]) =>
    POLICIES.map((policy): Cell => ({
      name: `${name} in place of a handshake, ${policy}`,
      plan: { extensions: PIPELINING, tls: goodContext, act: once("handshake", act) },
      policy,
      outcome: policy === "opportunistic" ? "in the clear" : "later",
    }))
  );
}

function refusalCells(): Cell[] {
  const answers: Record<string, Act> = {
    "454": say("454 4.7.0 not now\r\n"),
    "502": say("502 5.5.1 not here\r\n"),
  };
  const refused = Object.entries(answers).flatMap(([name, act]) =>
    POLICIES.map((policy): Cell => ({
      name: `STARTTLS offered, then ${name}, ${policy}`,
      plan: { extensions: PIPELINING, tls: goodContext, act: once("starttls", act) },
      policy,
      outcome: policy === "opportunistic" ? "relayed without TLS" : "later",
    }))
  );
  // Without STARTTLS on offer, until the second connection.
  const stripped = POLICIES.map((policy): Cell => ({
    name: `STARTTLS not offered, ${policy}`,
    plan: {
      extensions: PIPELINING,
      tls: goodContext,
      act: (moment) =>
        moment.connection === 1 && moment.stage === "ehlo"
          ? say("250-faulty.example.org\r\n250 PIPELINING\r\n")
          : undefined,
    },
    policy,
    outcome: policy === "opportunistic" ? "relayed without TLS" : "later",
  }));
  return [...refused, ...stripped];
}

/** What ends a session in any case, whatever policy says. */
function brokenCells(): Cell[] {
  const around: Record<string, Act> = {
    "a reply put in behind 220": say("220 2.0.0 go ahead\r\n250 2.0.0 trust me\r\n"),
    "a whole dialogue put in behind 220": say(
      "220 go\r\n250-x\r\n250 PIPELINING\r\n250 ok\r\n250 ok\r\n354 go\r\n250 ok\r\n",
    ),
    "half a line put in behind 220": say("220 go\r\n2"),
    "421": say("421 4.3.2 closing\r\n", "close"),
    "garbage": say("yes?\r\n", "hang"),
    "250": say("250 ok\r\n", "hang"),
    "354": say("354 ok\r\n", "hang"),
    "silence": { do: "hang" },
    "the end": { do: "close" },
    "a reset": { do: "reset" },
  };
  const before = Object.entries(around).flatMap(([name, act]) =>
    POLICIES.map((policy): Cell => ({
      name: `${name} to STARTTLS, ${policy}`,
      plan: { extensions: PIPELINING, tls: goodContext, act: once("starttls", act) },
      policy,
      outcome: "later",
    }))
  );
  const behind: Record<string, Act> = {
    "silence": { do: "hang" },
    "the end": { do: "close" },
    "garbage": say("yes?\r\n", "hang"),
    "421": say("421 4.3.2 closing\r\n", "close"),
    "4yz": say("450 4.2.0 not now\r\n"),
  };
  const stages: Stage[] = ["ehlo", "mail", "rcpt", "data", "end"];
  const after = Object.entries(behind).flatMap(([name, act]) =>
    // The longest of the time-outs is the same with TLS and without.
    stages.filter((stage) => name !== "silence" || stage !== "end").map((stage): Cell => ({
      name: `${name} at ${stage} by TLS`,
      plan: { extensions: PIPELINING, tls: goodContext, act: once(stage, act, "TLS") },
      policy: "verified",
      outcome: stage === "end" && !/4yz|421/.test(name) ? "twice" : "later",
    }))
  );
  return [...before, ...after];
}

async function check(
  { name, plan, policy, outcome }: Cell,
  { factor }: { readonly factor: number },
): Promise<string | undefined> {
  const host = await FaultyHost.start(plan);
  const scene = await startScene({ port: host.port, tls: policy, factor });
  try {
    const key = await scene.send();
    let gotThen = -1;
    scene.onFirst = () => gotThen = host.got.length;
    assertEquals(await scene.ended(key), ["relayed"]);
    assertEquals(host.got.map(({ text }) => text), Array(outcome === "twice" ? 2 : 1).fill(BODY));
    const isNow = outcome.startsWith("relayed") || outcome === "in the clear";
    assertEquals(scene.firsts.get(key)!.kinds, [isNow ? "relayed" : "deferred"]);
    assertEquals(gotThen, isNow || outcome === "twice" ? 1 : 0);
    await toldOfTls(scene, { host, key, policy, outcome });
    return undefined;
  } catch (error) {
    return `${name}: ${error instanceof Error ? error.message : error}`;
  } finally {
    await scene.stop();
    await host.stop();
  }
}

/** The record of tries says how each went, and what a message was carried by agrees with it. */
async function toldOfTls(
  scene: Scene,
  { host, key, policy, outcome }: {
    readonly host: FaultyHost;
    readonly key: number;
    readonly policy: Policy;
    readonly outcome: Outcome;
  },
): Promise<void> {
  const attempts = await scene.attempts(key);
  assertEquals(attempts.length, outcome.startsWith("relayed") ? 1 : 2, "tries on record");
  const last = attempts.at(-1)!;
  const isClear = outcome === "in the clear" || outcome === "relayed without TLS";
  assertEquals(host.got.at(-1)!.secured, !isClear);
  assertEquals(last.tls === "", isClear, last.tls);
  // Nothing of the message was ever said where policy forbids it.
  if (policy !== "opportunistic") assert(host.got.every(({ secured }) => secured));
  if (outcome === "in the clear") assert(attempts[0]!.result !== "" && attempts[0]!.tls === "");
}

Deno.test("Connector meets every fault of TLS as policy has it", async () => {
  const cells = [...certificateCells(), ...handshakeCells(), ...refusalCells(), ...brokenCells()];
  const wrong: string[] = [];
  await inParallel(cells, 12, async (cell) => {
    const problem = await check(cell, { factor: HANDSHAKES });
    if (problem !== undefined) wrong.push(problem);
  });
  console.log(`fault matrix, TLS: ${cells.length} cells`);
  if (wrong.length > 0) throw new Error(`${wrong.length} of ${cells.length} cells:\n${wrong.join("\n")}`);
});

Deno.test("Connector meets the connection's end at each octet around STARTTLS", async () => {
  const healthy = await FaultyHost.start({ extensions: PIPELINING, tls: goodContext });
  const scene = await startScene({ port: healthy.port, tls: "verified" });
  await scene.ended(await scene.send());
  await scene.stop();
  await healthy.stop();
  const endOf = (stage: Stage, after = 0) =>
    healthy.said.find((each) => each.stage === stage && each.endsAt > after)!.endsAt;
  const go = endOf("starttls");
  const data = endOf("data");
  const end = endOf("end");
  const last = healthy.said.at(-1)!.endsAt;
  const cells: Cell[] = [];
  for (
    let octets = endOf("ehlo") - 8;
    octets <= last;
    octets += octets > go + 3 && octets < data - 3 ? 13 : 1
  ) {
    for (
      const policy of octets > go + 3
        ? ["required" as const]
        : ["opportunistic" as const, "required" as const]
    ) {
      const outcome: Outcome = octets >= end
        ? "relayed"
        : octets > data
        ? "twice"
        : octets === go && policy === "opportunistic"
        ? "in the clear"
        : "later";
      cells.push({
        name: `the end after ${octets} octets, ${policy}`,
        plan: { extensions: PIPELINING, tls: goodContext, cut: { connection: 1, octets } },
        policy,
        outcome,
      });
    }
  }
  const wrong: string[] = [];
  await inParallel(cells, 12, async (cell) => {
    const problem = await check(cell, { factor: NO_WAITS });
    if (problem !== undefined) wrong.push(problem);
  });
  console.log(`fault matrix, octets around STARTTLS: ${cells.length} cells`);
  if (wrong.length > 0) throw new Error(`${wrong.length} of ${cells.length} cells:\n${wrong.join("\n")}`);
});
