import { assert, assertEquals } from "@std/assert";
import { FakeClock } from "../../../src/base/clock.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { reply } from "../../../src/mail/reply.ts";
import type { Connected, Courier, OutboundSettings, Sent } from "../../../src/queue/courier_types.ts";
import type { Job } from "../../../src/queue/destination.ts";
import { Ledger } from "../../../src/queue/ledger.ts";
import { Outbound } from "../../../src/queue/outbound.ts";
import type { QueuedMessage } from "../../../src/store/types.ts";
import { gate } from "../server/fixture.ts";
import {
  failing,
  jobOf,
  Played,
  queued,
  settle,
  START_MS,
  unreachable,
  verdictsOf,
} from "./queue_fixture.ts";

const HOUR = 3_600_000;
const MINUTE = 60_000;

/** A courier whose sends end when a test says so. */
class TestCourier implements Courier {
  readonly destination: string;
  readonly keys: number[] = [];
  alive = true;
  state: "open" | "quit" | "destroyed" = "open";
  /** What comes of each job; without it: relayed. */
  readonly answer: (job: Job) => Promise<Sent> | Sent;

  constructor(destination: string, answer: TestCourier["answer"]) {
    this.destination = destination;
    this.answer = answer;
  }

  async send(job: Job): Promise<Sent> {
    this.keys.push(job.message.key);
    return await this.answer(job);
  }

  quit(): Promise<void> {
    if (this.state === "open") this.state = "quit";
    return Promise.resolve();
  }

  destroy(): void {
    this.state = "destroyed";
    this.destroyed.open();
  }

  readonly destroyed = gate();
}

const relayed = (job: Job): Sent => ({ kind: "done", verdicts: verdictsOf(job, "relayed"), extras: {} });
const noAnswer: Connected = { kind: "unreachable", reason: "nobody is there", verdict: unreachable };

interface Options {
  readonly settings?: Partial<OutboundSettings>;
  readonly connect?: (
    destination: string,
    attempt: number,
  ) => Promise<Connected | undefined> | Connected | undefined;
  readonly answer?: TestCourier["answer"];
}

function outbound(options: Options = {}) {
  const clock = new FakeClock(START_MS);
  const deliveries = new Played();
  const couriers: TestCourier[] = [];
  const tried: { destination: string; atMs: number }[] = [];
  const backups: number[] = [];
  const ledger = new Ledger({
    deliveries,
    clock,
    policy: () => ({
      retryMs: [5 * MINUTE],
      expireMs: 120 * HOUR,
      delayNoticeMs: 4 * HOUR,
      unreachableAfterMs: 6 * HOUR,
    }),
    compose: () => Promise.resolve(undefined),
    settled: (key, index, wait) => made.settled(key, index, wait),
  });
  const made: Outbound = new Outbound({
    deliveries,
    ledger,
    clock,
    random: seededRandom(5),
    settings: () => ({
      retryMs: [5 * MINUTE, 15 * MINUTE],
      connections: 10,
      connectionsPerHost: 3,
      ...options.settings,
    }),
    connect: async ({ name }) => {
      tried.push({ destination: name, atMs: clock.nowMs() });
      const scripted = await options.connect?.(name, tried.length);
      if (scripted !== undefined) return scripted;
      const courier = new TestCourier(name, options.answer ?? relayed);
      couriers.push(courier);
      return { kind: "courier", courier };
    },
    due: (messages) => {
      for (const message of messages) send(message.key, { message });
    },
    overdue: () => Promise.resolve(0),
    toBackup: ({ message }) => void backups.push(message.key),
  });
  const send = (key: number, given: { domain?: string; priority?: number; message?: QueuedMessage } = {}) => {
    const requests = given.priority === undefined ? {} : { requests: { priority: given.priority } };
    const { destination, job } = jobOf(given.message ?? queued(key, requests), given);
    made.enqueue(destination, job);
  };
  return {
    clock,
    deliveries,
    couriers,
    tried,
    backups,
    send,
    outbound: made,
    sent: () => couriers.flatMap(({ keys }) => keys),
    async stop(graceMs = 0) {
      const stopping = made.stop(graceMs);
      await clock.advance(graceMs);
      await stopping;
      ledger.giveUp();
      await ledger.stop();
    },
  };
}

Deno.test("Outbound finds out by one connection whether a host answers, then opens as many as it may", async () => {
  const connected = gate();
  const held = gate();
  const world = outbound({
    connect: async () => {
      await connected.opened;
      return undefined;
    },
    answer: async (job) => {
      await held.opened;
      return relayed(job);
    },
  });
  for (let key = 1; key <= 20; key++) world.send(key);
  await settle();
  assertEquals(world.tried.length, 1);
  connected.open();
  await settle();
  assertEquals(world.tried.length, 3);
  held.open();
  await settle();
  assertEquals(world.sent().sort((a, b) => a - b), Array.from({ length: 20 }, (_, at) => at + 1));
  await world.stop();
});

Deno.test("Outbound keeps a connection for a moment, uses it again, and says QUIT", async () => {
  const world = outbound();
  world.send(1);
  await settle();
  await world.clock.advance(1_900);
  world.send(2);
  await settle();
  assertEquals([world.tried.length, world.couriers[0]!.keys], [1, [1, 2]]);
  await world.clock.advance(2_100);
  await settle();
  assertEquals(world.couriers[0]!.state, "quit");
  world.send(3);
  await settle();
  assertEquals(world.tried.length, 2);
  await world.stop();
});

Deno.test("Outbound gives up every connection in order, so that none is counted for ever", async () => {
  // The end of its transactions, and an end that is found out by the next message.
  for (const end of ["limit", "stale"] as const) {
    let count = 0;
    const world = outbound({
      answer: (job) => {
        if (end === "stale" && ++count === 2) return { kind: "stale" };
        if (end === "limit") world.couriers.at(-1)!.alive = false;
        return relayed(job);
      },
    });
    world.send(1);
    await settle();
    world.send(2);
    await settle();
    assertEquals(world.couriers.map(({ state }) => state === "open"), [false, end === "stale"], end);
    assertEquals(world.deliveries.outcomes.map(({ state }) => state), ["relayed", "relayed"]);
    await world.stop();
  }
});

Deno.test("Outbound sets all mail of a host aside that does not answer, and tries again when its time has come", async () => {
  let isUp = false;
  const world = outbound({ connect: () => isUp ? undefined : noAnswer });
  const first = queued(1);
  world.send(1, { message: first });
  await settle();
  assertEquals(world.deliveries.outcomes.map(({ state }) => state), ["deferred"]);
  const states = world.deliveries.recorded.flatMap(({ destinations = [] }) => destinations);
  assertEquals(states.map(({ failures }) => failures), [1]);
  assertEquals(world.outbound.failing("example.test"), "nobody is there");
  // New mail joins it at once, without a try.
  world.send(2);
  await settle();
  assertEquals([world.tried.length, world.deliveries.outcomes.length], [1, 2]);
  assert(world.deliveries.outcomes[1]!.detail.includes("nobody is there"));
  world.deliveries.due = () => Promise.resolve(isUp ? [] : [first]);
  await world.clock.advance(5.6 * MINUTE);
  await settle();
  assertEquals(world.tried.length, 2);
  const gapMs = world.tried[1]!.atMs - world.tried[0]!.atMs;
  assert(gapMs >= 4.5 * MINUTE && gapMs <= 5.5 * MINUTE);
  isUp = true;
  await world.clock.advance(16.6 * MINUTE);
  world.send(3);
  await settle();
  assertEquals(world.outbound.failing("example.test"), undefined);
  assertEquals(
    world.deliveries.recorded.flatMap(({ destinations = [] }) => destinations).at(-1)!.failures,
    0,
  );
  await world.stop();
});

Deno.test("Outbound records a hundred messages that a dead host makes wait in one transaction", async () => {
  const connected = gate();
  const world = outbound({ connect: () => connected.opened.then(() => noAnswer) });
  for (let key = 1; key <= 100; key++) world.send(key);
  await settle();
  connected.open();
  await settle();
  assertEquals(world.deliveries.recorded.map(({ outcomes }) => outcomes.length).filter((n) => n > 0), [100]);
  await world.stop();
});

Deno.test("Outbound sends what has priority first, and keeps the order otherwise (RFC 6710)", async () => {
  const connected = gate();
  const world = outbound({
    connect: () => connected.opened.then(() => undefined),
    settings: { connectionsPerHost: 1 },
  });
  world.send(1);
  world.send(2, { priority: -4 });
  world.send(3, { priority: 4 });
  world.send(4);
  world.send(5, { priority: 4 });
  await settle();
  connected.open();
  await settle();
  assertEquals(world.sent(), [3, 5, 1, 4, 2]);
  await world.stop();
});

Deno.test("Outbound keeps so many messages in memory and no more; the rest waits in the store", async () => {
  const connected = gate();
  const world = outbound({ connect: () => connected.opened.then(() => noAnswer) });
  for (let key = 1; key <= 1500; key++) world.send(key);
  await settle();
  assertEquals(world.deliveries.outcomes.length, 500);
  assertEquals(world.deliveries.outcomes[0]!.key, 1001);
  connected.open();
  await settle();
  await world.stop();
});

Deno.test("Outbound opens no more connections than there are, and goes on with who waits when one is free", async () => {
  const held = gate();
  const world = outbound({
    settings: { connections: 2 },
    answer: async (job) => {
      await held.opened;
      return relayed(job);
    },
  });
  for (const [at, domain] of ["a.test", "b.test", "c.test", "d.test"].entries()) world.send(at, { domain });
  await settle();
  assertEquals(world.tried.map(({ destination }) => destination), ["a.test", "b.test"]);
  held.open();
  await settle();
  // Idle ones give their place away.
  assertEquals(world.sent().sort(), [0, 1, 2, 3]);
  await world.stop();
});

Deno.test("Outbound leaves a quarter of the connections to hosts that answer", async () => {
  const never = gate();
  const second = new Set<string>();
  const world = outbound({
    settings: { connections: 8 },
    connect: (destination) => {
      if (destination === "live.test") return undefined;
      if (second.has(destination)) return never.opened.then(() => noAnswer);
      second.add(destination);
      return noAnswer;
    },
  });
  const dead = Array.from({ length: 20 }, (_, at) => `dead${at}.test`);
  for (const [at, domain] of dead.entries()) world.send(at, { domain });
  await settle();
  await world.clock.advance(6 * MINUTE);
  for (const [at, domain] of dead.entries()) world.send(100 + at, { domain });
  await settle();
  assertEquals(world.tried.length, 20 + 6);
  world.send(500, { domain: "live.test" });
  await settle();
  assertEquals(world.sent(), [500]);
  never.open();
  await settle();
  await world.stop();
});

Deno.test("Outbound waits where all connections to a host are in use, and looks again by itself", async () => {
  const world = outbound({ connect: (_, attempt) => attempt < 3 ? { kind: "busy" } : undefined });
  world.send(1);
  await settle();
  assertEquals(world.tried.length, 1);
  await world.clock.advance(2_500);
  await settle();
  assertEquals([world.tried.length, world.sent()], [3, [1]]);
  await world.stop();
});

Deno.test("Outbound does not back off where only a further connection is refused", async () => {
  const held = gate();
  const world = outbound({
    connect: (_, attempt) => attempt > 1 ? noAnswer : undefined,
    answer: async (job) => {
      await held.opened;
      return relayed(job);
    },
  });
  for (let key = 1; key <= 5; key++) world.send(key);
  await settle();
  assertEquals(world.deliveries.outcomes.length, 0);
  held.open();
  await settle();
  assertEquals(world.couriers[0]!.keys, [1, 2, 3, 4, 5]);
  await world.stop();
});

Deno.test("Outbound gives back what a host refuses for good, or has the backup take it", async () => {
  const refused: Connected = {
    kind: "refused",
    backup: "may-take-over",
    verdict: ({ recipients }) => ({
      verdicts: recipients.map((recipient) => (
        { kind: "failed", recipient, reply: reply(550, "5.1.2", "no such domain"), by: "", dialogue: "" }
      )),
      extras: {},
    }),
  };
  const world = outbound({ connect: () => refused });
  const backup = { hop: { kind: "mx", domain: "isp.test" }, when: "no-host" } as const;
  const { destination, job } = jobOf(queued(2), { backup });
  world.send(1);
  world.outbound.enqueue(destination, job);
  await settle();
  assertEquals([world.deliveries.outcomes.map(({ key, state }) => [key, state]), world.backups], [[[
    1,
    "failed",
  ]], [2]]);
  await world.stop();
});

Deno.test("Outbound backs off from connections that end before they carry anything", async () => {
  const world = outbound({ answer: () => ({ kind: "stale" }) });
  world.send(1);
  await settle();
  assertEquals(world.tried.length, 3);
  assert(world.outbound.failing("example.test")!.includes("before anything is sent"));
  assertEquals(world.deliveries.outcomes.map(({ state }) => state), ["deferred"]);
  assertEquals(world.couriers.map(({ state }) => state), ["quit", "quit", "quit"]);
  await world.stop();
});

Deno.test("Outbound survives faults of its own: mail waits, connections are given back", async () => {
  let isBroken = true;
  const world = outbound({
    settings: { connections: 1 },
    connect: (destination) => {
      if (isBroken && destination === "connect.test") throw new Error("a fault");
      return undefined;
    },
    answer: (job) => {
      if (isBroken) throw new Error("a fault");
      return relayed(job);
    },
  });
  world.send(1, { domain: "connect.test" });
  world.send(2, { domain: "send.test" });
  await settle();
  assertEquals(world.deliveries.outcomes.map(({ key, state }) => [key, state]).sort(), [[1, "deferred"], [
    2,
    "deferred",
  ]]);
  assertEquals(world.tried.length, 2);
  isBroken = false;
  world.send(3, { domain: "other.test" });
  await settle();
  assertEquals(world.sent().at(-1), 3);
  await world.stop();
});

Deno.test("Outbound gives what is not under way back to the store when an operator changed something", async () => {
  const held = gate();
  const world = outbound({
    settings: { connectionsPerHost: 1 },
    answer: async (job) => {
      await held.opened;
      return relayed(job);
    },
  });
  for (let key = 1; key <= 3; key++) world.send(key);
  await settle();
  world.outbound.changed();
  await settle();
  assertEquals(world.deliveries.outcomes.map(({ key, state }) => [key, state]), [[2, "deferred"], [
    3,
    "deferred",
  ]]);
  held.open();
  await settle();
  assertEquals(world.sent(), [1]);
  await world.stop();
});

Deno.test("Outbound reads again when a read for a change failed", async () => {
  const world = outbound();
  let reads = 0;
  world.deliveries.waiting = () => ++reads === 1 ? failing() : Promise.resolve([]);
  world.outbound.changed();
  await settle();
  await world.clock.advance(1_000);
  await settle();
  assertEquals(reads, 2);
  await world.stop();
});

Deno.test("Outbound forgets failures that an operator took off the record, and not those on their way to it", async () => {
  const world = outbound({ connect: () => noAnswer });
  const recording = gate();
  // Of the outcome and of the destination's state.
  world.deliveries.before.push(() => recording.opened, () => recording.opened);
  world.send(1);
  await settle();
  world.outbound.changed();
  await settle();
  assert(world.outbound.failing("example.test") !== undefined);
  recording.open();
  await settle();
  world.deliveries.destinations = () =>
    Promise.resolve([{ destination: "example.test", failures: 1, retryAtMs: START_MS + HOUR, reason: "" }]);
  world.outbound.changed();
  await settle();
  assert(world.outbound.failing("example.test") !== undefined);
  world.deliveries.destinations = () => Promise.resolve([]);
  world.outbound.changed();
  await settle();
  assertEquals(world.outbound.failing("example.test"), undefined);
  await world.stop();
});

Deno.test("Outbound.stop() lets what is under way end, for a time, and begins nothing", async () => {
  for (const ends of ["in time", "too late"] as const) {
    const held = gate();
    const world = outbound({
      settings: { connectionsPerHost: 1 },
      answer: async (job) => {
        await Promise.race([held.opened, world.couriers[0]!.destroyed.opened]);
        return world.couriers[0]!.state === "destroyed"
          ? { kind: "done", verdicts: verdictsOf(job, "deferred"), extras: {} }
          : relayed(job);
      },
    });
    world.send(1);
    world.send(2);
    await settle();
    const stopped = world.outbound.stop(1_000);
    world.send(3);
    if (ends === "in time") held.open();
    await settle();
    await world.clock.advance(1_000);
    await stopped;
    assertEquals(world.sent(), [1]);
    assertEquals(world.couriers[0]!.state, ends === "in time" ? "quit" : "destroyed");
    assertEquals(world.deliveries.outcomes.map(({ state }) => state), [
      ends === "in time" ? "relayed" : "deferred",
    ]);
  }
});

Deno.test("Outbound.stop() calls connections off that are only being opened, without a verdict", async () => {
  const called = gate();
  const world = outbound({ connect: () => called.opened.then(() => noAnswer) });
  world.send(1);
  await settle();
  const stopped = world.outbound.stop(1_000);
  called.open();
  await stopped;
  assertEquals(world.deliveries.outcomes.length, 0);
});
