/** Messages that are broken apart, on every implementation. */
import { assertEquals } from "@std/assert";
import type { Store } from "../../src/store/types.ts";
import {
  account,
  bodyOf,
  delivered,
  deliveredApart,
  message,
  ORIGIN,
  outcome,
  pieceOf,
  until,
} from "../unit/store/fixtures.ts";
import { assertStoreError, contract, OPENED_MS } from "./contract.ts";
import { hearing, quiet, statesOf } from "./hearing.ts";

const BODY = "Subject: two\r\n\r\ntext|attachment";
const RECIPIENTS = ["y@x.org", "p@x.org", "out@y.org", "again@x.org"];

/** Message 1 and what it breaks apart into: 11 and 12. */
const pieces = () => [
  pieceOf(1, 11, {
    place: "1/2",
    own: "Part: 1\r\n\r\n",
    segments: [{ offset: 0, length: 11 }, { source: 1, offset: 16, length: 4 }],
  }),
  pieceOf(1, 12, {
    place: "2/2",
    own: "Part: 2\r\n\r\n",
    segments: [{ offset: 0, length: 11 }, { source: 1, offset: 21, length: 10 }],
  }),
];

async function keysIn(store: Store, id: number): Promise<number[]> {
  return Array.from((await store.maildrops.list(id)).keys);
}

async function twoAccounts(store: Store): Promise<readonly [number, number]> {
  const alice = await store.directory.addAccount(account("alice"));
  const bob = await store.directory.addAccount(account("bob"));
  return [alice.id, bob.id];
}

contract("record() gives one message whole and in pieces, from one stored body", async (store) => {
  const { heard, messages } = hearing(store);
  const [alice, bob] = await twoAccounts(store);
  const requests = { body: "8BITMIME", ret: "FULL" } as const;
  const origin = { ...ORIGIN, account: "ann" };
  const given = { body: BODY, recipients: RECIPIENTS, requests, origin, smtpUtf8: true };
  await store.spool.accept(message(1, given));
  await until(() => heard.length === 4);
  const asked = { notify: ["failure"] } as const;
  await store.deliveries.record({
    pieces: [...pieces(), pieceOf(1, 13)],
    outcomes: [
      deliveredApart(1, [alice], { pieces: [11, 12], size: 40 }),
      delivered(1, [bob], { index: 1, size: 60 }),
      outcome(1, "expanded", {
        index: 2,
        expandedTo: [11, 12].map((piece) => ({ recipient: "out@y.org", requests: asked, piece })),
      }),
    ],
  });
  await until(() => heard.length >= 6);
  await quiet();
  assertEquals(heard.slice(4), ["11/0", "12/0"]);
  assertEquals(
    messages.slice(1),
    [["1/2", 11, 15] as const, ["2/2", 12, 21] as const].map(([piece, key, size]) => ({
      key,
      receivedAtMs: 1_000_001,
      reversePath: "bob@example.net",
      smtpUtf8: true,
      size,
      requests,
      own: "submission" as const,
      piece,
      recipients: [{ index: 0, recipient: "out@y.org", requests: asked }],
    })),
  );
  assertEquals([await keysIn(store, alice), await keysIn(store, bob)], [[11, 12], [1]]);
  assertEquals([...(await store.maildrops.list(alice)).smtpUtf8], [0, 1]);
  assertEquals(await store.maildrops.usage(alice), { octets: 80, messages: 2 });
  assertEquals(await store.maildrops.usage(bob), { octets: 60, messages: 1 });
  assertEquals(await bodyOf(store, 11), "Part: 1\r\n\r\ntext");
  assertEquals(await bodyOf(store, 12), "Part: 2\r\n\r\nattachment");
  assertEquals(
    new TextDecoder().decode((await store.maildrops.open(alice, 12))?.trace),
    "Return-Path: <12>\r\n",
  );
  const whole = (await store.history.message(1))!;
  assertEquals([whole.pieces, whole.pieceOf], [[11, 12], undefined]);
  assertEquals(
    whole.recipients.map(({ state, maildrops }) => [state, maildrops.map(({ account }) => account)]),
    [
      ["delivered", ["alice"]],
      ["delivered", ["bob"]],
      ["expanded", []],
      ["queued", []],
    ],
  );
  const second = (await store.history.message(12))!;
  assertEquals([second.pieceOf, second.pieces, second.messageId], [{ key: 1, place: "2/2" }, [], "12@piece"]);
  assertEquals([second.origin, second.requests, second.receivedAtMs], [origin, requests, 1_000_001]);
  assertEquals(second.recipients.map(({ recipient, expandedFrom }) => [recipient, expandedFrom]), [
    ["out@y.org", undefined],
  ]);
  assertEquals(await store.history.message(13), undefined, "nobody used it");
  assertEquals(await store.history.newestKey(), 12);
});

contract("a maildrop gets a message once, whole or in pieces, even after it was taken out", async (store) => {
  const [alice, bob] = await twoAccounts(store);
  await store.spool.accept(message(1, { body: BODY, recipients: RECIPIENTS }));
  const record = (...outcomes: ReturnType<typeof outcome>[]) =>
    store.deliveries.record({ outcomes, pieces: pieces() });
  await record(deliveredApart(1, [alice, alice], { pieces: [11, 12] }), delivered(1, [bob], { index: 1 }));
  await record(delivered(1, [alice], { index: 2 }));
  assertEquals([await keysIn(store, alice), await keysIn(store, bob)], [[11, 12], [1]]);
  await store.maildrops.remove(bob, [1]);
  await record(deliveredApart(1, [alice, bob], { index: 3, pieces: [11, 12] }));
  assertEquals([await keysIn(store, alice), await keysIn(store, bob)], [[11, 12], []]);
  assertEquals(await store.maildrops.usage(alice), { octets: 200, messages: 2 });
  assertEquals((await store.history.message(1))?.recipients.at(-1)?.maildrops.map(({ account }) => account), [
    "alice",
    "bob",
  ]);
  await store.maildrops.remove(alice, [11, 12]);
  assertEquals(await store.maildrops.usage(alice), { octets: 0, messages: 0 });
  for (const key of [1, 11, 12]) assertEquals(await bodyOf(store, key), undefined);
});

contract("record() a second time changes nothing, pieces included", async (store) => {
  const [alice] = await twoAccounts(store);
  await store.spool.accept(message(1, { body: BODY, recipients: RECIPIENTS.slice(0, 2) }));
  const changes = () => ({
    pieces: pieces(),
    outcomes: [
      deliveredApart(1, [alice], { pieces: [11, 12] }),
      outcome(1, "expanded", {
        index: 1,
        expandedTo: [{ recipient: "a@y.org", piece: 12 }, { recipient: "a@y.org" }],
      }),
    ],
  });
  await store.deliveries.record(changes());
  const before = await Promise.all([1, 11, 12].map((key) => store.history.message(key)));
  await store.deliveries.record(changes());
  assertEquals(await Promise.all([1, 11, 12].map((key) => store.history.message(key))), before);
  assertEquals(await statesOf(store, 1), ["delivered", "expanded", "queued"]);
  assertEquals(await statesOf(store, 12), ["queued"]);
  await store.deliveries.record({ outcomes: [outcome(1, "relayed", { index: 2 }), outcome(12, "relayed")] });
  await store.maildrops.remove(alice, [11, 12]);
  for (const key of [1, 11, 12]) assertEquals(await bodyOf(store, key), undefined);
});

contract("with the last piece a maildrop had, its owner took the message out", async (store, clock) => {
  const [alice, bob] = await twoAccounts(store);
  await store.spool.accept(message(1, { body: BODY, recipients: ["a@x.org"] }));
  await store.deliveries.record({
    pieces: pieces(),
    outcomes: [deliveredApart(1, [alice, bob], { pieces: [11, 12] })],
  });
  const removed = async () =>
    (await store.history.message(1))!.recipients[0]!.maildrops.map((drop) => drop.removedAtMs);
  await clock.advance(1000);
  await store.maildrops.remove(alice, [12]);
  assertEquals(await removed(), [undefined, undefined]);
  await clock.advance(1000);
  await store.maildrops.remove(alice, [11]);
  assertEquals(await removed(), [OPENED_MS + 2000, undefined]);
  assertEquals(await bodyOf(store, 11), "Part: 1\r\n\r\ntext", "bob has it");
  await store.maildrops.expire(9_000_000, 10);
  assertEquals(await removed(), [OPENED_MS + 2000, OPENED_MS + 2000]);
  for (const key of [1, 11, 12]) assertEquals(await bodyOf(store, key), undefined);
  assertEquals(await store.history.prune(9_000_000, 10), 3);
  assertEquals(await store.history.message(1), undefined);
});

contract("a piece that everybody took out comes back for who hasn't had it", async (store) => {
  const [alice, bob] = await twoAccounts(store);
  await store.spool.accept(message(1, { body: BODY, recipients: ["a@x.org", "b@x.org"] }));
  await store.deliveries.record({
    pieces: pieces(),
    outcomes: [deliveredApart(1, [alice], { pieces: [11, 12] })],
  });
  await store.maildrops.remove(alice, [11, 12]);
  assertEquals(await bodyOf(store, 11), undefined);
  await store.deliveries.record({
    pieces: pieces(),
    outcomes: [deliveredApart(1, [bob], { index: 1, pieces: [11, 12] })],
  });
  assertEquals([await keysIn(store, alice), await keysIn(store, bob)], [[], [11, 12]]);
  assertEquals(await bodyOf(store, 12), "Part: 2\r\n\r\nattachment");
  await store.directory.removeAccount("bob");
  for (const key of [1, 11, 12]) assertEquals(await bodyOf(store, key), undefined);
});

contract("record() of pieces passes over an account that is gone", async (store) => {
  const [alice, bob] = await twoAccounts(store);
  await store.directory.removeAccount("bob");
  await store.spool.accept(message(1, { body: BODY, recipients: ["a@x.org", "b@x.org"] }));
  await store.deliveries.record({
    pieces: pieces(),
    outcomes: [deliveredApart(1, [bob], { pieces: [11, 12] })],
  });
  assertEquals(await store.history.message(11), undefined);
  await store.deliveries.record({
    pieces: pieces(),
    outcomes: [deliveredApart(1, [alice, bob], { index: 1, pieces: [11] })],
  });
  assertEquals(await statesOf(store, 1), ["failed", "delivered"]);
  assertEquals([await keysIn(store, alice), await bodyOf(store, 12)], [[11], undefined]);
});

contract("record() refuses pieces that can't be had, and leaves nothing", async (store) => {
  const [alice] = await twoAccounts(store);
  await store.spool.accept(message(1, { body: BODY, recipients: ["a@x.org", "b@x.org"] }));
  await store.spool.accept(message(2, { body: BODY }));
  const apart = deliveredApart(1, [alice], { pieces: [11, 12] });
  const expanded = outcome(1, "expanded", { index: 1, expandedTo: [{ recipient: "c@y.org", piece: 12 }] });
  const short = pieceOf(1, 12, { segments: [{ source: 1, offset: 30, length: 9 }] });
  for (
    const [outcomes, given] of [
      [[apart], pieces().slice(0, 1)],
      [[apart], [pieces()[0]!, short]],
      [[apart], [pieces()[0]!, pieceOf(2, 12)]],
      [[apart, expanded], [pieces()[0]!]],
      [[expanded], []],
      [[outcome(1, "expanded", { expandedTo: [{ recipient: "c@y.org", piece: 2 }] })], []],
    ] as const
  ) {
    await assertStoreError(store.deliveries.record({ outcomes, pieces: given }), "conflict");
    assertEquals(await statesOf(store, 1), ["queued", "queued"]);
    assertEquals([await keysIn(store, alice), await store.history.message(11)], [[], undefined]);
  }
});

contract("record() passes over recipients that the message has, by their address", async (store) => {
  const { heard } = hearing(store);
  await store.spool.accept(message(1, { body: BODY, recipients: ["list@x.org", "Bob@y.org", "all@x.org"] }));
  const expandedTo = ["Bob@Y.ORG", "bob@y.org", "c@bücher.example", "c@XN--bcher-kva.example", "list@x.org"]
    .map(
      (recipient) => ({ recipient }),
    );
  await store.deliveries.record({ outcomes: [outcome(1, "expanded", { expandedTo })] });
  const recipients = async () =>
    (await store.history.message(1))!.recipients.map(({ recipient }) => recipient);
  assertEquals((await recipients()).slice(3), ["bob@y.org", "c@bücher.example"]);
  await store.deliveries.record({ outcomes: [outcome(1, "expanded", { index: 2, expandedTo })] });
  assertEquals(await statesOf(store, 1), ["expanded", "queued", "expanded", "queued", "queued"]);
  await until(() => heard.length >= 5);
  await quiet();
  assertEquals(heard, ["1/0", "1/1", "1/2", "1/3", "1/4"]);
  for (const index of [1, 3, 4]) {
    assertEquals(await bodyOf(store, 1), BODY);
    await store.deliveries.record({ outcomes: [outcome(1, "relayed", { index })] });
  }
  assertEquals(await bodyOf(store, 1), undefined);
});

contract("a piece waits, is found and acted on like any message", async (store) => {
  await store.spool.accept(message(1, { body: BODY, recipients: ["out@y.org"] }));
  const expandedTo = [11, 12].map((piece) => ({ recipient: "out@y.org", piece }));
  await store.deliveries.record({ pieces: pieces(), outcomes: [outcome(1, "expanded", { expandedTo })] });
  await store.deliveries.record({ outcomes: [outcome(11, "deferred")] });
  const due = await store.deliveries.due("example.org", { dueMs: 9_000_000, limit: 9 });
  assertEquals(due.map(({ key, piece, recipients }) => [key, piece, recipients.length]), [[11, "1/2", 1]]);
  assertEquals((await store.deliveries.overdue({ deadlineMs: 9_000_000, limit: 9 }))[0]?.piece, "1/2");
  const { messages } = hearing(store);
  await until(() => messages.length === 1);
  assertEquals(messages.map(({ key, piece }) => [key, piece]), [[12, "2/2"]]);
  await store.queue.act({ keys: [11] }, { kind: "retry" });
  await until(() => messages.length === 2);
  assertEquals([messages[1]!.key, messages[1]!.piece], [11, "1/2"]);
  assertEquals(await bodyOf(store, 1), BODY);
  await store.queue.act({ domain: "y.org" }, { kind: "drop", detail: "" });
  for (const key of [1, 11, 12]) assertEquals(await bodyOf(store, key), undefined);
});
