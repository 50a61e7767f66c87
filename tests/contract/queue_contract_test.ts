/** The promises of src/store/queue_types.ts to the worker that empties the queue, on every implementation. */
import { assertEquals } from "@std/assert";
import {
  account,
  attempt,
  bodyOf,
  delivered,
  message,
  ORIGIN,
  outcome,
  until,
  waitFor,
} from "../unit/store/fixtures.ts";
import { assertStoreError, contract, OPENED_MS } from "./contract.ts";
import { hearing, placesOf, quiet, statesOf } from "./hearing.ts";

const FINAL = ["delivered", "relayed", "handed", "expanded", "failed", "dropped"] as const;

// ---------------------------------------------------------------- what is kept of a message

contract("accept() keeps what was asked for, and the queue gives it", async (store) => {
  const requests = {
    ret: "HDRS",
    envid: "QQ 1",
    body: "8BITMIME",
    requireTls: true,
    holdUntilMs: 7_000_000,
    deliverBy: { byMs: 8_000_000, mode: "notify", trace: true },
    priority: -3,
  } as const;
  const asked = { notify: ["success", "delay"], orcpt: "rfc822;sales@x.org" } as const;
  const given = {
    recipients: ["a@x.org", "b@x.org", "c@x.org"],
    requests,
    recipientRequests: [undefined, asked, { notify: [] }],
    origin: { ...ORIGIN, account: "alice" },
    body: "12345",
  };
  await store.spool.accept(message(1, given));
  const { heard, messages } = hearing(store);
  await until(() => heard.length === 3);
  await store.spool.accept(message(2, given));
  await until(() => heard.length === 6);
  const recipients = [
    { index: 0, recipient: "a@x.org" },
    { index: 1, recipient: "b@x.org", requests: asked },
    { index: 2, recipient: "c@x.org", requests: { notify: [] } },
  ];
  const envelope = { reversePath: "bob@example.net", smtpUtf8: false, size: 5, requests, own: "submission" };
  assertEquals(
    messages,
    [1, 2].map((key) => (
      { key, receivedAtMs: 1_000_000 + key, ...envelope, recipients }
    )),
  );
  assertEquals((await store.history.message(1))?.requests, requests);
  assertEquals((await store.history.message(1))?.origin, given.origin);
});

// ---------------------------------------------------------------- recording

contract("record() keeps every final state, who accepted it, and lets the body go", async (store) => {
  const { id } = await store.directory.addAccount(account("alice"));
  const recipients = FINAL.map((state) => `${state}@x.org`);
  await store.spool.accept(message(1, { recipients, body: "kept" }));
  for (const [index, state] of FINAL.entries()) {
    assertEquals(await bodyOf(store, 1), "kept");
    const changes = { index, acceptedBy: state === "relayed" ? "mx.example.org [192.0.2.1]:25" : undefined };
    const recorded = state === "delivered" ? delivered(1, [id]) : outcome(1, state, changes);
    await store.deliveries.record({ outcomes: [recorded] });
  }
  assertEquals(await bodyOf(store, 1), "kept", "the maildrop has it");
  await store.maildrops.remove(id, [1]);
  assertEquals(await bodyOf(store, 1), undefined);
  const history = (await store.history.message(1))!;
  assertEquals(history.recipients.map(({ state }) => state), [...FINAL]);
  assertEquals(history.recipients.map(({ acceptedBy }) => acceptedBy), [
    "",
    "mx.example.org [192.0.2.1]:25",
    "",
    "",
    "",
    "",
  ]);
});

contract("record() never changes what is final", async (store) => {
  for (const [key, state] of FINAL.entries()) {
    await store.spool.accept(message(key + 1, { body: "x" }));
    await store.deliveries.record({ outcomes: [outcome(key + 1, state)] });
    const before = await store.history.message(key + 1);
    for (const other of [...FINAL, "held", "deferred"] as const) {
      const expandedTo = [{ recipient: "late@x.org" }];
      const changes = { atMs: 9, detail: "changed", acceptedBy: "changed", expandedTo };
      await store.deliveries.record({ outcomes: [outcome(key + 1, other, changes)] });
    }
    assertEquals(await store.history.message(key + 1), before);
    assertEquals(await bodyOf(store, key + 1), undefined);
  }
});

contract("record() defers, again and again, in whole milliseconds", async (store) => {
  await store.spool.accept(message(1, { body: "kept" }));
  await store.deliveries.record({ outcomes: [outcome(1, "deferred")] });
  assertEquals((await store.history.message(1))?.recipients[0]?.wait, waitFor());
  const later = { ...waitFor({ attempts: 2, delayTold: true, backupSinceMs: 4_000_000 }), destination: "" };
  const changes = { atMs: 3_000_000, wait: { ...later, dueMs: 3_500_000.2, deadlineMs: Infinity } };
  await store.deliveries.record({ outcomes: [outcome(1, "deferred", changes)] });
  const recipient = (await store.history.message(1))!.recipients[0]!;
  assertEquals(recipient.wait, { ...later, dueMs: 3_500_001, deadlineMs: Number.MAX_SAFE_INTEGER });
  assertEquals([recipient.state, recipient.atMs], ["deferred", 3_000_000]);
  assertEquals(await bodyOf(store, 1), "kept");
  await store.deliveries.record({ outcomes: [outcome(1, "relayed")] });
  assertEquals((await store.history.message(1))?.recipients[0]?.wait, undefined);
  assertEquals(await store.deliveries.waiting(), []);
});

contract("record() refuses a deferral that waits for nothing, and all that came with it", async (store) => {
  await store.spool.accept(message(1, { recipients: ["a@x.org", "b@x.org"] }));
  const changes = {
    outcomes: [outcome(1, "relayed"), outcome(1, "deferred", { index: 1, wait: undefined })],
    attempts: [attempt(1)],
    reports: [message(2)],
    destinations: [{ destination: "x.org", failures: 1, retryAtMs: 1, reason: "down" }],
  };
  await assertStoreError(store.deliveries.record(changes), "conflict");
  assertEquals(await statesOf(store, 1), ["queued", "queued"]);
  assertEquals(await store.queue.attempts(1), []);
  assertEquals(await store.history.message(2), undefined);
  assertEquals(await store.deliveries.destinations(), []);
});

contract("record() leaves what is held, unless the outcome is final", async (store) => {
  await store.spool.accept(message(1, { body: "kept" }));
  await store.deliveries.record({ outcomes: [outcome(1, "deferred")] });
  await store.queue.act({}, { kind: "hold", detail: "by ann" });
  for (const state of ["deferred", "held"] as const) {
    await store.deliveries.record({ outcomes: [outcome(1, state, { atMs: 9, detail: "changed" })] });
    const { state: now, detail, atMs } = (await store.history.message(1))!.recipients[0]!;
    assertEquals([now, detail, atMs], ["held", "by ann", OPENED_MS]);
  }
  await store.deliveries.record({ outcomes: [outcome(1, "relayed")] });
  assertEquals(await statesOf(store, 1), ["relayed"]);
  assertEquals(await bodyOf(store, 1), undefined);
});

contract("record() adds the recipients that one is expanded to, once", async (store) => {
  const { heard, messages } = hearing(store);
  await store.spool.accept(message(1, { recipients: ["all@x.org", "b@x.org"], body: "kept" }));
  await until(() => heard.length === 2);
  const expandedTo = [
    { recipient: "c@y.org", requests: { notify: ["failure"] as const }, reversePath: "SRS0=x@x.org" },
    { recipient: "d@y.org", reversePath: "", reroute: "mail.example.org:25" },
  ];
  const expanded = outcome(1, "expanded", { expandedTo, detail: "all@x.org stands for two" });
  await store.deliveries.record({ outcomes: [expanded, outcome(1, "relayed", { index: 1 })] });
  await store.deliveries.record({ outcomes: [expanded] });
  await until(() => heard.length >= 4);
  await quiet();
  assertEquals(heard, ["1/0", "1/1", "1/2", "1/3"]);
  assertEquals(messages.at(-1), {
    key: 1,
    receivedAtMs: 1_000_001,
    reversePath: "bob@example.net",
    smtpUtf8: false,
    size: 4,
    recipients: expandedTo.map((added, place) => ({ index: place + 2, ...added })),
  });
  assertEquals(await statesOf(store, 1), ["expanded", "relayed", "queued", "queued"]);
  const recipients = (await store.history.message(1))!.recipients;
  assertEquals(recipients.map(({ expandedFrom }) => expandedFrom), [undefined, undefined, 0, 0]);
  assertEquals([recipients[0]!.detail, recipients[2]!.atMs], ["all@x.org stands for two", 2_000_000]);
  const deeper = outcome(1, "expanded", { index: 2, expandedTo: [{ recipient: "e@y.org" }] });
  await store.deliveries.record({ outcomes: [deeper, outcome(1, "relayed", { index: 3 })] });
  assertEquals(await statesOf(store, 1), ["expanded", "relayed", "expanded", "relayed", "queued"]);
  assertEquals(await bodyOf(store, 1), "kept");
  await store.deliveries.record({ outcomes: [outcome(1, "relayed", { index: 4 })] });
  assertEquals(await bodyOf(store, 1), undefined);
});

contract("record() expands within one batch and to maildrops too", async (store) => {
  const { id } = await store.directory.addAccount(account("alice"));
  const bob = await store.directory.addAccount(account("bob"));
  await store.directory.removeAccount("bob");
  await store.spool.accept(message(1, { recipients: ["all@x.org", "some@x.org"], body: "kept" }));
  const expandedTo = [{ recipient: "c@y.org" }];
  await store.deliveries.record({
    outcomes: [
      { ...delivered(1, [id]), state: "expanded", expandedTo },
      {
        ...delivered(1, [bob.id], { index: 1 }),
        state: "expanded",
        expandedTo: [...expandedTo, { recipient: "d@y.org" }],
      },
      outcome(1, "relayed", { index: 2 }),
    ],
  });
  assertEquals(await statesOf(store, 1), ["expanded", "expanded", "relayed", "queued"]);
  assertEquals(Array.from((await store.maildrops.list(id)).keys), [1]);
  await store.maildrops.remove(id, [1]);
  assertEquals(await bodyOf(store, 1), "kept");
  await store.deliveries.record({ outcomes: [outcome(1, "failed", { index: 3 })] });
  assertEquals(await bodyOf(store, 1), undefined);
});

contract("record() queues reports with the outcomes they tell of, each once", async (store) => {
  const { heard, messages } = hearing(store);
  await store.spool.accept(message(1));
  const origin = { ...ORIGIN, made: "notification" } as const;
  const report = () =>
    message(2, { reversePath: "", recipients: ["bob@example.net"], origin, body: "failed" });
  await store.deliveries.record({ outcomes: [outcome(1, "failed")], reports: [report()] });
  await store.deliveries.record({ outcomes: [outcome(1, "failed")], reports: [report(), report()] });
  await until(() => heard.length >= 2);
  await quiet();
  assertEquals(heard, ["1/0", "2/0"]);
  assertEquals([messages[1]!.reversePath, messages[1]!.own], ["", "notification"]);
  assertEquals(await bodyOf(store, 2), "failed");
  assertEquals((await store.history.message(2))?.origin, origin);
  // A report that can't be kept takes its outcome with it: the sender would never hear.
  await store.spool.accept(message(3));
  const refused = store.deliveries.record({
    outcomes: [outcome(3, "failed")],
    reports: [message(4), message(5, { recipients: [] })],
  });
  await assertStoreError(refused, "conflict");
  assertEquals([await statesOf(store, 3), await statesOf(store, 4)], [["queued"], undefined]);
});

contract("record() keeps tries in order and counts destinations' failures", async (store) => {
  await store.spool.accept(message(1));
  await store.spool.accept(message(2));
  const tries = [1, 2, 3].map((n) => attempt(1, { atMs: n, indexes: [0, n], dialogue: `try ${n}` }));
  const destination = { destination: "example.org", failures: 1, retryAtMs: 10, reason: "refused" };
  await store.deliveries.record({
    outcomes: [],
    attempts: [tries[0]!, attempt(2, { durationMs: 12.6 }), tries[1]!],
    destinations: [destination, { ...destination, destination: "[192.0.2.1]:25", retryAtMs: 9.5 }],
  });
  await store.deliveries.record({ outcomes: [], attempts: [tries[2]!] });
  assertEquals(await store.queue.attempts(1), tries);
  assertEquals(await store.queue.attempts(2), [attempt(2, { durationMs: 13 })]);
  assertEquals(await store.queue.attempts(3), []);
  assertEquals(await store.deliveries.destinations(), [
    { ...destination, destination: "[192.0.2.1]:25" },
    destination,
  ]);
  await store.deliveries.record({
    outcomes: [],
    destinations: [{ ...destination, failures: 2 }, {
      ...destination,
      destination: "[192.0.2.1]:25",
      failures: 0,
    }],
  });
  assertEquals(await store.deliveries.destinations(), [{ ...destination, failures: 2 }]);
});

// ---------------------------------------------------------------- what waits

contract("due() and overdue() page through what waits, first come first", async (store) => {
  const waits: readonly [key: number, index: number, dueMs: number, deadlineMs: number][] = [
    [1, 0, 300, 9000],
    [1, 1, 100, 8000],
    [2, 0, 200, 3000],
    [3, 0, 100, 7000],
    [3, 1, 300, 1000],
  ];
  for (const key of [1, 2, 3]) {
    await store.spool.accept(message(key, { recipients: ["a@x.org", "b@x.org"] }));
  }
  await store.deliveries.record({
    outcomes: [
      ...waits.map(([key, index, dueMs, deadlineMs]) =>
        outcome(key, "deferred", { index, wait: waitFor({ dueMs, deadlineMs }) })
      ),
      outcome(2, "deferred", { index: 1, wait: waitFor({ destination: "", dueMs: 50, deadlineMs: 2000 }) }),
    ],
  });
  const due = async (dueMs: number, limit = 100, destination = "example.org") =>
    placesOf(await store.deliveries.due(destination, { dueMs, limit }));
  assertEquals(await due(99), []);
  assertEquals(await due(100), ["1/1", "3/0"]);
  assertEquals(await due(300), ["1/1", "1/0", "3/0", "3/1", "2/0"]);
  assertEquals(await due(300, 3), ["1/1", "3/0", "2/0"]);
  assertEquals(await due(300, 100, ""), ["2/1"]);
  assertEquals(await due(300, 100, "other.org"), []);
  const overdue = async (deadlineMs: number, limit = 100) =>
    placesOf(await store.deliveries.overdue({ deadlineMs, limit }));
  assertEquals(await overdue(999), []);
  assertEquals(await overdue(8000), ["3/1", "3/0", "2/1", "2/0", "1/1"]);
  assertEquals(await overdue(8000, 2), ["3/1", "2/1"]);
  assertEquals(await store.deliveries.nextDeadlineMs(), 1000);
  assertEquals(await store.deliveries.waiting(), [
    { destination: "", recipients: 1, dueMs: 50 },
    { destination: "example.org", recipients: 5, dueMs: 100 },
  ]);
  assertEquals(await store.deliveries.due("example.org", { dueMs: 100, limit: 1 }), [{
    key: 1,
    receivedAtMs: 1_000_001,
    reversePath: "bob@example.net",
    smtpUtf8: false,
    size: 21,
    recipients: [{
      index: 1,
      recipient: "b@x.org",
      wait: waitFor({ dueMs: 100, deadlineMs: 8000 }),
      detail: "deferred by a test",
    }],
  }]);
  await store.queue.act({}, { kind: "hold", detail: "" });
  assertEquals([await due(300), await overdue(9000)], [[], []]);
  assertEquals(await store.deliveries.nextDeadlineMs(), undefined);
  assertEquals(await store.deliveries.waiting(), []);
});
