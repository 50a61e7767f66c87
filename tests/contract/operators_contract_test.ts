/** The promises of src/store/queue_types.ts to operators, on every implementation. */
import { assertEquals, assertNotEquals } from "@std/assert";
import type {
  QueueAction,
  QueuedMessage,
  QueueFilter,
  RecipientState,
  Store,
} from "../../src/store/types.ts";
import { attempt, bodyOf, listening, message, outcome, until, waitFor } from "../unit/store/fixtures.ts";
import { contract, OPENED_MS } from "./contract.ts";
import { hearing, quiet, statesOf } from "./hearing.ts";

/** Six recipients, one in each state that matters here: 1/0 queued, 1/1 deferred, 2/0 held, 2/1 relayed, 3/0 deferred, 3/1 failed. */
async function mixed(store: Store): Promise<void> {
  await store.spool.accept(message(1, { recipients: ["a@x.org", "b@Y.org"], reversePath: "Ann@Z.org" }));
  await store.spool.accept(message(2, { recipients: ["c@x.org", "d@y.org"], reversePath: "" }));
  await store.spool.accept(message(3, { recipients: ['"e@q"@x.org', "f@bücher.example"] }));
  await store.deliveries.record({
    outcomes: [
      outcome(1, "deferred", { index: 1, detail: "451 later" }),
      outcome(2, "held", { atMs: 2_500_000 }),
      outcome(2, "relayed", { index: 1, acceptedBy: "mx.y.org [192.0.2.1]:25" }),
      outcome(3, "deferred", { wait: waitFor({ destination: "x.org", attempts: 4 }) }),
      outcome(3, "failed", { index: 1 }),
    ],
  });
}

contract("list() shows what waits, oldest first, and finds what is asked for", async (store) => {
  await mixed(store);
  const found = async (
    filter: QueueFilter,
    options: { limit?: number; order?: "oldest" | "newest" } = {},
  ) => {
    const entries = await store.queue.list(filter, { limit: 100, ...options });
    assertEquals(await store.queue.count(filter), (await store.queue.list(filter, { limit: 100 })).length);
    return entries.map(({ key, index }) => `${key}/${index}`).join(" ");
  };
  assertEquals(await found({}), "1/0 1/1 2/0 3/0");
  assertEquals(await found({}, { order: "newest" }), "3/0 2/0 1/1 1/0");
  assertEquals(await found({}, { limit: 2 }), "1/0 1/1");
  assertEquals(await found({}, { limit: 1, order: "newest" }), "3/0");
  assertEquals(await found({ states: ["deferred"] }), "1/1 3/0");
  assertEquals(await found({ states: ["failed", "held", "relayed"] }), "2/0 2/1 3/1");
  assertEquals(await found({ states: ["failed", "relayed"] }, { order: "newest" }), "3/1 2/1");
  assertEquals(await found({ states: [] }), "");
  assertEquals(await found({ keys: [3, 1, 3, 9] }), "1/0 1/1 3/0");
  assertEquals(
    await found({ keys: [3, 1], states: ["deferred", "failed"] }, { order: "newest" }),
    "3/1 3/0 1/1",
  );
  assertEquals(await found({ keys: [1], index: 1 }), "1/1");
  assertEquals(await found({ keys: [] }), "");
  assertEquals(await found({ domain: "x.org" }), "1/0 2/0 3/0");
  assertEquals(await found({ domain: "y.org" }), "1/1");
  assertEquals(await found({ domain: "xn--bcher-kva.example", states: ["failed"] }), "3/1");
  assertEquals(await found({ sender: "" }), "2/0");
  assertEquals(await found({ sender: "ann@z.org" }), "1/0 1/1");
  assertEquals(await found({ sender: "@z.org" }), "1/0 1/1");
  assertEquals(await found({ sender: "@" }), "");
  assertEquals(await found({ receivedBeforeMs: 1_000_003 }), "1/0 1/1 2/0");
  assertEquals(await found({ receivedBeforeMs: 1_000_003, domain: "x.org", sender: "ann@z.org" }), "1/0");
  assertEquals(await store.queue.list({ keys: [1], index: 1 }, { limit: 1 }), [{
    key: 1,
    index: 1,
    recipient: "b@Y.org",
    state: "deferred",
    receivedAtMs: 1_000_001,
    size: 21,
    reversePath: "Ann@Z.org",
    atMs: 2_000_000,
    detail: "451 later",
    acceptedBy: "",
    reroute: "",
    wait: waitFor(),
  }]);
  const [relayed] = await store.queue.list({ states: ["relayed"] }, { limit: 1 });
  assertEquals([relayed!.acceptedBy, relayed!.wait], ["mx.y.org [192.0.2.1]:25", undefined]);
});

contract("list() finds a rewritten reverse-path by both of its forms", async (store) => {
  await store.spool.accept(message(1));
  const expandedTo = [{ recipient: "c@y.org", reversePath: "SRS0=h=t=example.net=bob@x.org" }];
  await store.deliveries.record({ outcomes: [outcome(1, "expanded", { expandedTo })] });
  for (const sender of ["bob@example.net", "@example.net", "@x.org"]) {
    assertEquals(await store.queue.count({ sender }), 1, sender);
  }
  const [entry] = await store.queue.list({}, { limit: 1 });
  assertEquals(entry?.reversePath, "SRS0=h=t=example.net=bob@x.org");
});

contract("act() does to each what the action is for, tells, and counts", async (store) => {
  const cases: readonly [QueueAction, number, RecipientState[], heard: string[]][] = [
    [{ kind: "retry" }, 2, ["queued", "queued", "held", "queued"], ["1/1", "3/0"]],
    [{ kind: "hold", detail: "by ann" }, 3, ["held", "held", "held", "held"], []],
    [{ kind: "release" }, 1, ["queued", "deferred", "queued", "deferred"], ["2/0"]],
    [{ kind: "reroute", host: "[192.0.2.9]:2525" }, 4, ["queued", "queued", "queued", "queued"], [
      "1/0",
      "1/1",
      "2/0",
      "3/0",
    ]],
  ];
  const listener = hearing(store);
  for (const [turn, [action, count, states, told]] of cases.entries()) {
    await mixed(store);
    await until(() => listener.heard.length >= 6);
    listener.heard.length = 0;
    assertEquals(await store.queue.act({}, action), count, action.kind);
    await until(() => listener.heard.length > told.length);
    await quiet();
    assertEquals(listener.heard, ["changed", ...told], action.kind);
    listener.heard.length = 0;
    const waiting = await store.queue.list({}, { limit: 10 });
    assertEquals(waiting.map(({ state }) => state), states, action.kind);
    assertEquals([await statesOf(store, 2), await statesOf(store, 3)].map((all) => all?.[1]), [
      "relayed",
      "failed",
    ]);
    // Out of the way of the next turn.
    assertEquals(await store.queue.act({}, { kind: "drop", detail: "by ann" }), 4);
    assertEquals(await statesOf(store, 1), ["dropped", "dropped"]);
    assertEquals([await bodyOf(store, 1), await bodyOf(store, 2)], [undefined, undefined]);
    await until(() => listener.heard.length === 1);
    assertEquals(listener.heard, ["changed"]);
    listener.heard.length = 0;
    assertEquals(await store.history.prune(2_000_000, 10), 3, `turn ${turn}`);
  }
});

contract("act() on nothing tells nobody", async (store) => {
  const { heard } = hearing(store);
  for (const kind of ["retry", "release"] as const) assertEquals(await store.queue.act({}, { kind }), 0);
  await store.spool.accept(message(1));
  await until(() => heard.length === 1);
  assertEquals(await store.queue.act({}, { kind: "retry" }), 0, "it is queued already");
  assertEquals(await store.queue.act({ states: ["relayed"] }, { kind: "drop", detail: "" }), 0);
  assertEquals(await store.queue.act({ domain: "other.org" }, { kind: "drop", detail: "" }), 0);
  await quiet();
  assertEquals(heard, ["1/0"]);
});

contract("act() with a filter leaves the others alone", async (store) => {
  await mixed(store);
  assertEquals(await store.queue.act({ domain: "x.org" }, { kind: "hold", detail: "x" }), 2);
  assertEquals(await store.queue.act({ states: ["deferred", "relayed"] }, { kind: "drop", detail: "y" }), 1);
  assertEquals(await store.queue.act({ keys: [3], index: 0 }, { kind: "release" }), 1);
  assertEquals([await statesOf(store, 1), await statesOf(store, 2), await statesOf(store, 3)], [
    ["held", "dropped"],
    ["held", "relayed"],
    ["queued", "failed"],
  ]);
  const { detail, atMs } = (await store.history.message(1))!.recipients[1]!;
  assertEquals([detail, atMs], ["y", OPENED_MS]);
});

contract("act() keeps what was waited for, and retry forgets the destination's failures", async (store) => {
  await store.spool.accept(message(1, { recipients: ["a@x.org", "b@y.org"] }));
  const wait = waitFor({ attempts: 7, delayTold: true, backupSinceMs: 5 });
  const away = { failures: 3, retryAtMs: 99, reason: "down" };
  await store.deliveries.record({
    outcomes: [
      outcome(1, "deferred", { wait, detail: "451 later" }),
      outcome(1, "deferred", { index: 1, wait: waitFor({ destination: "y.org" }) }),
    ],
    destinations: ["example.org", "y.org", "z.org"].map((destination) => ({ destination, ...away })),
  });
  await store.queue.act({ domain: "x.org" }, { kind: "hold", detail: "by ann" });
  assertEquals((await store.queue.list({ states: ["held"] }, { limit: 1 }))[0]?.wait, wait);
  await store.queue.act({}, { kind: "release" });
  await store.queue.act({ domain: "x.org" }, { kind: "reroute", host: "h:25" });
  await store.queue.act({ domain: "x.org" }, { kind: "reroute", host: "other:25" });
  assertEquals((await store.deliveries.destinations()).length, 3);
  await store.queue.act({}, { kind: "retry" });
  assertEquals((await store.deliveries.destinations()).map(({ destination }) => destination), [
    "example.org",
    "z.org",
  ]);
  const { heard, messages } = hearing(store);
  await until(() => heard.length >= 1);
  assertEquals(messages[0]!.recipients, [
    { index: 0, recipient: "a@x.org", reroute: "other:25", wait, detail: "" },
    { index: 1, recipient: "b@y.org", wait: waitFor({ destination: "y.org" }), detail: "deferred by a test" },
  ]);
  await store.queue.act({ domain: "x.org" }, { kind: "reroute", host: "" });
  await until(() => messages.length === 2);
  assertEquals(messages[1]!.recipients, [{ index: 0, recipient: "a@x.org", wait, detail: "" }]);
  assertEquals((await store.queue.list({}, { limit: 1 }))[0]?.reroute, "");
});

contract("act() and list() go through thousands, each once", async (store) => {
  const keys = Array.from({ length: 1200 }, (_, i) => i + 1);
  const recipients = ["a@x.org", "b@y.org"];
  await Promise.all(keys.map((key) => store.spool.accept(message(key, { recipients, body: "" }))));
  await store.deliveries.record({ outcomes: keys.map((key) => outcome(key, "deferred")) });
  const { heard } = hearing(store);
  await until(() => heard.length === 1200);
  const all = await store.queue.list({}, { limit: 10_000 });
  assertEquals(all.map(({ key, index }) => key * 2 + index), Array.from({ length: 2400 }, (_, i) => i + 2));
  const newest = await store.queue.list({}, { limit: 10_000, order: "newest" });
  assertEquals(newest, all.toReversed());
  assertEquals(await store.queue.count({}), 2400);
  assertEquals(await store.queue.count({ domain: "y.org" }), 1200);
  assertEquals(await store.queue.count({ keys, domain: "x.org" }), 1200);
  assertEquals(await store.queue.count({ keys }), 2400);
  heard.length = 0;
  assertEquals(await store.queue.act({ domain: "x.org" }, { kind: "retry" }), 1200);
  await until(() => heard.filter((word) => word !== "changed").length === 1200);
  assertEquals(new Set(heard).size, 1201);
  assertEquals(await store.queue.act({ keys }, { kind: "hold", detail: "" }), 2400);
  assertEquals(await store.queue.count({ states: ["held"] }), 2400);
});

contract("what an operator queues before somebody listens is given once", async (store) => {
  await store.spool.accept(message(1, { recipients: ["a@x.org", "b@x.org", "c@x.org"] }));
  await store.deliveries.record({ outcomes: [outcome(1, "deferred"), outcome(1, "deferred", { index: 1 })] });
  await store.queue.act({ keys: [1], index: 1 }, { kind: "retry" });
  const { heard } = hearing(store);
  await until(() => heard.length >= 2);
  await quiet();
  assertEquals(heard, ["1/1", "1/2"]);
});

contract("a held or deferred recipient is not given when somebody begins to listen", async (store) => {
  await store.spool.accept(message(1, { recipients: ["a@x.org", "b@x.org"] }));
  await store.deliveries.record({ outcomes: [outcome(1, "held"), outcome(1, "deferred", { index: 1 })] });
  const given: QueuedMessage[] = [];
  store.deliveries.subscribe(listening((messages) => given.push(...messages)));
  await quiet();
  assertEquals(given, []);
});

// ---------------------------------------------------------------- forgetting

contract("pruneAttempts() forgets tries of what is done with, oldest first", async (store) => {
  for (const key of [1, 2, 3]) await store.spool.accept(message(key, { receivedAtMs: key * 1000 }));
  await store.deliveries.record({
    outcomes: [outcome(1, "relayed"), outcome(2, "deferred"), outcome(3, "relayed")],
    attempts: [1, 2, 3].flatMap((key) => [0, 500].map((more) => attempt(key, { atMs: key * 1000 + more }))),
  });
  assertEquals(await store.queue.pruneAttempts(1000, 10), 0);
  assertEquals(await store.queue.pruneAttempts(9000, 1), 1);
  assertEquals((await store.queue.attempts(1)).map(({ atMs }) => atMs), [1500]);
  assertEquals(await store.queue.pruneAttempts(3500, 10), 2);
  assertEquals((await store.queue.attempts(2)).length, 2, "its message waits");
  assertEquals((await store.queue.attempts(3)).map(({ atMs }) => atMs), [3500]);
  await store.deliveries.record({ outcomes: [outcome(2, "failed")], attempts: [attempt(2, { atMs: 9000 })] });
  assertEquals(await store.queue.pruneAttempts(9000, 10), 3);
  assertEquals((await store.queue.attempts(2)).map(({ atMs }) => atMs), [9000]);
});

contract("prune() forgets tries with their message, and never what waits", async (store) => {
  for (const key of [1, 2, 3]) await store.spool.accept(message(key));
  await store.deliveries.record({
    outcomes: [outcome(1, "relayed"), outcome(2, "deferred"), outcome(3, "held")],
    attempts: [attempt(1), attempt(2)],
  });
  assertEquals(await store.history.prune(9_000_000, 10), 1);
  assertEquals([await store.queue.attempts(1), (await store.queue.attempts(2)).length], [[], 1]);
  assertNotEquals(await store.history.message(2), undefined);
  assertNotEquals(await store.history.message(3), undefined);
});
