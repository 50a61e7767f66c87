import { assert, assertEquals } from "@std/assert";
import { utf8 } from "../../../src/base/bytes.ts";
import { FakeClock } from "../../../src/base/clock.ts";
import { reply } from "../../../src/mail/reply.ts";
import type { Destination, Job } from "../../../src/queue/destination.ts";
import { Dispatcher, type Resolved } from "../../../src/queue/dispatcher.ts";
import { Ledger } from "../../../src/queue/ledger.ts";
import { openMemoryStore } from "../../../src/store/memory.ts";
import {
  type Attempt,
  type Deliveries,
  type Outcome,
  type QueuedRecipient,
  StoreError,
} from "../../../src/store/types.ts";
import { addAccount, gate } from "../server/fixture.ts";
import { attempt, message, until } from "../store/fixtures.ts";
import { failing, NOWHERE, Played, queued, settle, smtpRoute, START_MS } from "./queue_fixture.ts";

const HOUR = 3_600_000;

const mailbox = (id: number, name: string) => ({ id, name, handling: "whole" as const });

/** Everybody here whose name is a letter exists, under its number; other domains are elsewhere. */
function letters(recipient: string): Resolved {
  const [name = "", domain = ""] = recipient.split("@");
  if (domain !== "x.org") return { ...NOWHERE, route: smtpRoute(domain) };
  return name.length === 1
    ? { ...NOWHERE, accounts: [{ id: name.charCodeAt(0) - 96, name, handling: "whole" }] }
    : { ...NOWHERE, problem: `${recipient} is nobody here` };
}

interface Options {
  readonly resolve?: (recipient: string, sender: string) => Resolved;
  readonly deliveries?: Deliveries;
  readonly attempts?: readonly Attempt[];
}

function worker(options: Options = {}) {
  const clock = new FakeClock(START_MS);
  const played = new Played();
  const sent: { destination: Destination; job: Job }[] = [];
  const asked: string[] = [];
  let failure: string | undefined;
  const ledger = new Ledger({
    deliveries: options.deliveries ?? played,
    clock,
    policy: () => ({
      retryMs: [1000],
      expireMs: 120 * HOUR,
      delayNoticeMs: 4 * HOUR,
      unreachableAfterMs: 6 * HOUR,
    }),
    compose: () => Promise.resolve(undefined),
    settled: (key, index, wait) => dispatcher.release(key, index, wait),
  });
  const dispatcher: Dispatcher = new Dispatcher({
    clock,
    ledger,
    // deno-lint-ignore require-await -- what it throws is to reject
    resolve: async (recipient, sender) => {
      asked.push(recipient);
      return (options.resolve ?? letters)(recipient, sender);
    },
    forwardSender: (path) => path === "" ? "" : `srs+${path}`,
    attempts: () => Promise.resolve(options.attempts ?? []),
    part: () => Promise.resolve(undefined),
    nextKey: () => 1,
    hostname: () => "mail.x.org",
    send: (destination, job) => void sent.push({ destination, job }),
    failing: () => failure,
  });
  return {
    clock,
    deliveries: played,
    sent,
    asked,
    ledger,
    dispatcher,
    fails: (reason: string) => failure = reason,
    jobs: () =>
      sent.map(({ destination, job }) => [destination.name, ...job.recipients.map(({ index }) => index)]),
    async stop() {
      ledger.giveUp();
      await dispatcher.stop();
      await ledger.stop();
    },
  };
}

const keysOf = (outcomes: readonly Outcome[]) => outcomes.map(({ key }) => key);

Deno.test("Dispatcher records a message for everybody behind its recipients, with Return-Path", async () => {
  const both = {
    ...NOWHERE,
    accounts: [mailbox(1, "a"), mailbox(2, "b")],
    problem: "c is nobody here",
  };
  const { deliveries, dispatcher, stop } = worker({
    resolve: (recipient) => recipient === "all@x.org" ? both : letters(recipient),
  });
  dispatcher.dispatch([queued(7, { recipients: ["a@x.org", "all@x.org", "ghost@x.org"] })]);
  await until(() => deliveries.recorded.length === 1);
  const trace = utf8("Return-Path: <sender@example.org>\r\n");
  const size = 100 + trace.length;
  const common = { key: 7, atMs: START_MS };
  assertEquals(deliveries.outcomes, [
    { ...common, index: 0, state: "delivered", detail: "", deliverTo: [{ account: 1, trace, size }] },
    {
      ...common,
      index: 1,
      state: "delivered",
      detail: "c is nobody here",
      deliverTo: [{ account: 1, trace, size }, { account: 2, trace, size }],
    },
    { ...common, index: 2, state: "failed", detail: "550 5.1.1 ghost@x.org is nobody here", deliverTo: [] },
  ]);
  await stop();
});

Deno.test("Dispatcher makes recipients of an alias's targets elsewhere, who keep what was asked for", async () => {
  const { deliveries, dispatcher, stop } = worker({
    resolve: () => ({ ...NOWHERE, accounts: [mailbox(1, "a")], forwards: [{ recipient: "out@y.org" }] }),
  });
  dispatcher.dispatch([
    queued(1, { recipients: [{ recipient: "team@x.org", requests: { notify: ["failure"] } }] }),
    queued(2, {
      recipients: [{ recipient: "team@x.org", requests: { orcpt: "rfc822;first@z.org" } }],
      reversePath: "",
    }),
  ]);
  await until(() => deliveries.recorded.length === 1);
  const [first, second] = deliveries.outcomes;
  assertEquals([first!.state, first!.deliverTo.length], ["expanded", 1]);
  assertEquals(first!.expandedTo, [{
    recipient: "out@y.org",
    reversePath: "srs+sender@example.org",
    // RFC 3461 4.2: the name the sender wrote.
    requests: { notify: ["failure"], orcpt: "rfc822;team@x.org" },
  }]);
  assertEquals(second!.expandedTo, [{ recipient: "out@y.org", requests: { orcpt: "rfc822;first@z.org" } }]);
  await stop();
});

Deno.test("Dispatcher refuses with the reply that routing gave", async () => {
  const refusal = reply(550, "5.7.1", "general words");
  const { deliveries, dispatcher, stop } = worker({
    resolve: () => ({ ...NOWHERE, refusal, problem: "it is outside" }),
  });
  dispatcher.dispatch([queued(1)]);
  await until(() => deliveries.recorded.length === 1);
  assertEquals([deliveries.outcomes[0]!.state, deliveries.outcomes[0]!.detail], [
    "failed",
    "550 5.7.1 it is outside",
  ]);
  await stop();
});

Deno.test("Dispatcher sends together what goes the same way, and each other way apart", async () => {
  const { dispatcher, deliveries, jobs, stop } = worker();
  dispatcher.dispatch([queued(1, { recipients: ["p@y.org", "a@x.org", "q@z.org", "r@y.org"] })]);
  await until(() => deliveries.recorded.length === 1);
  assertEquals(jobs(), [["y.org", 0, 3], ["z.org", 2]]);
  await stop();
});

Deno.test("Dispatcher keeps recipients apart that share a host and differ in their backup", async () => {
  const backup = { hop: { kind: "mx", domain: "b.org" }, when: "no-host" } as const;
  const { dispatcher, sent, stop } = worker({
    resolve: (recipient) => ({
      ...NOWHERE,
      route: smtpRoute("y.org", recipient.startsWith("b") ? backup : undefined),
    }),
  });
  dispatcher.dispatch([queued(1, { recipients: ["a@y.org", "b@y.org"] })]);
  await settle();
  assertEquals(sent.map(({ job }) => [job.recipients.length, job.route.backup !== undefined]), [[1, false], [
    1,
    true,
  ]]);
  await stop();
});

Deno.test("Dispatcher keeps what is to leave later", async () => {
  const { deliveries, dispatcher, sent, stop } = worker();
  dispatcher.dispatch([
    queued(1, { recipients: ["a@x.org", "b@y.org"], requests: { holdUntilMs: START_MS + HOUR } }),
  ]);
  await until(() => deliveries.recorded.length === 1);
  assertEquals(
    deliveries.outcomes.map(({ state, wait }) => [state, wait!.dueMs, wait!.destination, wait!.attempts]),
    [
      ["deferred", START_MS + HOUR, "", 0],
      ["deferred", START_MS + HOUR, "", 0],
    ],
  );
  assertEquals(sent.length, 0);
  await stop();
});

Deno.test("Dispatcher goes the way that an operator chose, for people here too, and the backup where it is its turn", async () => {
  const backup = {
    hop: { kind: "host", host: { host: "isp.test", port: 25, tls: "verified" }, duty: "passes-on" },
    when: "unreachable",
  } as const;
  const { dispatcher, jobs, stop } = worker({
    resolve: (recipient) =>
      recipient.endsWith("@y.org") ? { ...NOWHERE, route: smtpRoute("y.org", backup) } : letters(recipient),
  });
  const wait = { destination: "", dueMs: 0, deadlineMs: 0, attempts: 0, backupSinceMs: 1 };
  const recipients: Partial<QueuedRecipient>[] = [
    { recipient: "a@x.org", reroute: "192.0.2.9:2525" },
    { recipient: "b@y.org", reroute: "[2001:db8::9]:25", wait },
    { recipient: "c@y.org", wait },
  ];
  dispatcher.dispatch([queued(1, { recipients })]);
  await settle();
  // What asks for verified TLS shares no connection with what doesn't.
  assertEquals(jobs(), [["[192.0.2.9]:2525", 0], ["[2001:db8::9]:25", 1], [
    "[isp.test]:25 (TLS verified)",
    2,
  ]]);
  await stop();
});

Deno.test("Dispatcher keeps the order and records what came meanwhile in batches", async () => {
  const { deliveries, dispatcher, stop } = worker();
  const held = gate();
  deliveries.before.push(() => held.opened);
  dispatcher.dispatch([queued(1, { recipients: ["a@x.org"] })]);
  await until(() => deliveries.calls === 1);
  for (let key = 2; key <= 600; key++) dispatcher.dispatch([queued(key, { recipients: ["a@x.org"] })]);
  held.open();
  await until(() => deliveries.outcomes.length === 600);
  assertEquals(deliveries.recorded.map(({ outcomes }) => outcomes.length), [1, 256, 256, 87]);
  assertEquals(keysOf(deliveries.outcomes), Array.from({ length: 600 }, (_, i) => i + 1));
  await stop();
});

Deno.test("Dispatcher asks once in a batch who a recipient is, and anew in the next", async () => {
  const { deliveries, dispatcher, asked, stop } = worker();
  dispatcher.dispatch([
    queued(1, { recipients: ["a@x.org", "b@x.org"] }),
    queued(2, { recipients: ["a@x.org"] }),
  ]);
  await until(() => deliveries.recorded.length === 1);
  assertEquals(asked, ["a@x.org", "b@x.org"]);
  dispatcher.dispatch([queued(3, { recipients: ["a@x.org"] })]);
  await until(() => deliveries.recorded.length === 2);
  assertEquals(asked.length, 3);
  await stop();
});

Deno.test("Dispatcher goes on when it is given nothing", async () => {
  const { deliveries, dispatcher, stop } = worker();
  dispatcher.dispatch([]);
  dispatcher.dispatch([queued(1, { recipients: ["a@x.org"] })]);
  await until(() => deliveries.recorded.length === 1);
  dispatcher.dispatch([]);
  dispatcher.dispatch([queued(2, { recipients: ["a@x.org"] })]);
  await until(() => deliveries.recorded.length === 2);
  await stop();
});

Deno.test("Dispatcher takes a recipient in hand once", async () => {
  const { deliveries, dispatcher, sent, stop } = worker();
  const one = queued(1, { recipients: ["a@y.org", "b@y.org"] });
  dispatcher.dispatch([one]);
  dispatcher.dispatch([one]);
  await settle();
  assertEquals(sent.length, 1);
  dispatcher.release(1, 1, undefined);
  dispatcher.dispatch([one]);
  await settle();
  assertEquals(sent.map(({ job }) => job.recipients.map(({ index }) => index)), [[0, 1], [1]]);
  assertEquals(deliveries.calls, 0);
  await stop();
});

Deno.test("Dispatcher takes on what was announced again while in hand, once that came to nothing", async () => {
  const wait = { destination: "y.org", dueMs: 5, deadlineMs: 6, attempts: 2, delayTold: true } as const;
  for (const ended of ["deferred", "final", "changed"] as const) {
    const { dispatcher, sent, stop } = worker();
    dispatcher.announced([queued(1, { recipients: ["a@y.org"] })]);
    await settle();
    dispatcher.announced([queued(1, { recipients: [{ recipient: "a@y.org", reroute: "192.0.2.9:25" }] })]);
    await settle();
    assertEquals(sent.length, 1);
    // Held perhaps: what was announced before is not so any more.
    if (ended === "changed") dispatcher.changed();
    dispatcher.release(1, 0, ended === "final" ? undefined : wait);
    await settle();
    assertEquals(sent.map(({ destination }) => destination.name), [
      "y.org",
      ...ended === "deferred" ? ["[192.0.2.9]:25"] : [],
    ]);
    // What the try found out is not forgotten.
    if (ended === "deferred") assertEquals(sent[1]!.job.recipients[0]!.wait, wait);
    await stop();
  }
});

Deno.test("Dispatcher tries again after a look-up failed, ever more seldom, and keeps the order", async () => {
  let failures = 3;
  const { deliveries, clock, dispatcher, asked, stop } = worker({
    resolve: (recipient) => {
      if (failures-- > 0) throw new StoreError("busy", "somebody has the file");
      return letters(recipient);
    },
  });
  dispatcher.dispatch([queued(1, { recipients: ["a@x.org"] })]);
  for (const pauseMs of [250, 500, 1000]) {
    await settle();
    const before = asked.length;
    await clock.advance(pauseMs - 1);
    assertEquals(asked.length, before);
    await clock.advance(1);
  }
  await until(() => deliveries.recorded.length === 1);
  await stop();
});

Deno.test("Dispatcher doesn't let one message that can't be looked up keep the others back", async () => {
  let isBroken = true;
  const { deliveries, clock, dispatcher, sent, stop } = worker({
    resolve: (recipient) => {
      if (isBroken && recipient.startsWith("bad")) throw new Error("a fault");
      return letters(recipient);
    },
  });
  dispatcher.dispatch([
    queued(1, { recipients: ["out@y.org", "bad@x.org"] }),
    queued(2, { recipients: ["a@x.org"] }),
    queued(3, { recipients: ["b@x.org"] }),
  ]);
  await until(() => deliveries.outcomes.length === 2);
  assertEquals(keysOf(deliveries.outcomes), [2, 3]);
  // Nothing of it is under way: it will be looked up whole.
  assertEquals(sent.length, 0);
  isBroken = false;
  await settle();
  await clock.advance(250);
  await until(() => deliveries.outcomes.length === 3);
  assertEquals(sent.length, 1);
  await stop();
});

Deno.test("Dispatcher tries again after the store failed, and loses nothing", async () => {
  const { deliveries, clock, dispatcher, stop } = worker();
  deliveries.before.push(failing, failing);
  dispatcher.dispatch([queued(1, { recipients: ["a@x.org"] }), queued(2, { recipients: ["b@x.org"] })]);
  await until(() => deliveries.calls === 1);
  // What comes in the meantime comes behind.
  dispatcher.dispatch([queued(3, { recipients: ["c@x.org"] })]);
  for (const pauseMs of [250, 500]) {
    await settle();
    await clock.advance(pauseMs);
  }
  await until(() => deliveries.outcomes.length === 3);
  assertEquals(keysOf(deliveries.outcomes), [1, 2, 3]);
  await stop();
});

Deno.test("Dispatcher.stop() finishes the batch in hand and begins no other", async () => {
  const { deliveries, dispatcher } = worker();
  const held = gate();
  deliveries.before.push(() => held.opened);
  dispatcher.dispatch([queued(1, { recipients: ["a@x.org"] })]);
  await until(() => deliveries.calls === 1);
  dispatcher.dispatch([queued(2, { recipients: ["a@x.org"] })]);
  let isStopped = false;
  const stopped = dispatcher.stop().then(() => isStopped = true);
  await settle();
  assertEquals(isStopped, false);
  held.open();
  await stopped;
  dispatcher.dispatch([queued(3, { recipients: ["a@x.org"] })]);
  await settle();
  assertEquals(keysOf(deliveries.outcomes), [1]);
});

Deno.test("Dispatcher.stop() does not wait for a look-up to be tried again, nor for a store once that is given up", async () => {
  const broken = worker({
    resolve: () => {
      throw new Error("a fault");
    },
  });
  broken.dispatcher.dispatch([queued(1)]);
  await settle();
  await broken.dispatcher.stop();
  const { deliveries, dispatcher, ledger } = worker();
  deliveries.before.push(failing);
  dispatcher.dispatch([queued(1, { recipients: ["a@x.org"] })]);
  await until(() => deliveries.calls === 1);
  await settle();
  const stopped = dispatcher.stop();
  ledger.giveUp();
  await stopped;
  assertEquals(deliveries.calls, 1);
});

Deno.test("Dispatcher.reconsider() gives up what is too old, quoting its last try, in one transaction", async () => {
  const wait = {
    destination: "y.org",
    dueMs: START_MS + 200 * HOUR,
    deadlineMs: START_MS + 120 * HOUR,
    attempts: 9,
  };
  const { clock, dispatcher, deliveries, fails, stop } = worker({
    attempts: [
      attempt(1, { dialogue: "S: 451 first" }),
      attempt(1, { dialogue: "S: 451 last", host: "mx2.y.org" }),
      attempt(1, { dialogue: "" }),
      attempt(1, { indexes: [5], dialogue: "S: another's" }),
    ],
  });
  fails("connection refused");
  await clock.advance(120 * HOUR);
  const late = [1, 2].map((key) =>
    queued(key, { recipients: [{ recipient: "a@y.org", wait, detail: "451 last" }] })
  );
  assertEquals(await dispatcher.reconsider(late), 2);
  assertEquals(deliveries.recorded.length, 1);
  assertEquals(deliveries.outcomes.map(({ state }) => state), ["failed", "failed"]);
  assert(deliveries.outcomes[0]!.detail.includes("connection refused"));
  await stop();
});

Deno.test("Dispatcher.reconsider() leaves alone what is in hand, and says so", async () => {
  const { dispatcher, deliveries, stop } = worker();
  const one = queued(1, { recipients: ["a@y.org"] });
  dispatcher.dispatch([one]);
  await settle();
  assertEquals(await dispatcher.reconsider([one]), 0);
  assertEquals(deliveries.calls, 0);
  await stop();
});

Deno.test("Dispatcher.reconsider() has all in hand from the start, so that nothing is sent by what was read before", async () => {
  const { dispatcher, sent, stop } = worker();
  const wait = { destination: "y.org", dueMs: START_MS, deadlineMs: START_MS, attempts: 1 };
  const late = [1, 2].map((key) => queued(key, { recipients: [{ recipient: "a@y.org", wait }] }));
  const done = dispatcher.reconsider(late);
  dispatcher.dispatch(late);
  await done;
  assertEquals(sent.length, 0);
  await stop();
});

// ---------------------------------------------------------------- with a store

Deno.test("Dispatcher delivers what waited and what comes, one copy for each maildrop", async () => {
  const store = openMemoryStore();
  const alice = await addAccount(store, { name: "alice" });
  const bob = await addAccount(store, { name: "bob" });
  const { dispatcher, stop } = worker({
    deliveries: store.deliveries,
    resolve: (recipient) =>
      recipient === "staff@x.org"
        ? { ...NOWHERE, accounts: [mailbox(alice.id, "alice"), mailbox(bob.id, "bob")] }
        : recipient === "alice@x.org"
        ? { ...NOWHERE, accounts: [mailbox(alice.id, "alice")] }
        : letters(recipient),
  });
  await store.spool.accept(message(1, { recipients: ["alice@x.org"] }));
  store.deliveries.subscribe({ messages: (messages) => dispatcher.announced(messages), changed: () => {} });
  await store.spool.accept(message(2, { recipients: ["staff@x.org", "alice@x.org"] }));
  const keys = async (id: number) => [...Array.from((await store.maildrops.list(id)).keys)];
  for (let tries = 0; (await keys(alice.id)).length < 2; tries++) {
    assert(tries < 500);
    await settle();
  }
  assertEquals([await keys(alice.id), await keys(bob.id)], [[1, 2], [2]]);
  await stop();
});

Deno.test("Dispatcher does nothing twice where a crash came between a delivery and the news of it", async () => {
  const store = openMemoryStore();
  const alice = await addAccount(store, { name: "alice" });
  let calls = 0;
  const deliveries: Deliveries = {
    ...store.deliveries,
    async record(changes) {
      calls++;
      await store.deliveries.record(changes);
      if (calls === 1) throw new StoreError("busy", "the answer was lost");
    },
  };
  const { dispatcher, clock, stop } = worker({
    deliveries,
    resolve: () => ({ ...NOWHERE, accounts: [mailbox(alice.id, "alice")] }),
  });
  store.deliveries.subscribe({ messages: (messages) => dispatcher.announced(messages), changed: () => {} });
  await store.spool.accept(message(1, { recipients: ["alice@x.org"] }));
  await until(() => calls === 1);
  await settle();
  // The owner is quick.
  assertEquals(await store.maildrops.remove(alice.id, [1]), 1);
  await clock.advance(250);
  await until(() => calls === 2);
  await stop();
  assertEquals((await store.maildrops.list(alice.id)).keys.length, 0);
  assertEquals((await store.history.message(1))!.recipients[0]!.state, "delivered");
});
