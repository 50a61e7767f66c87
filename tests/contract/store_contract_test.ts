/** Every promise of src/store/types.ts, on every implementation. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { type QueuedMessage, type Store, StoreError } from "../../src/store/types.ts";
import { account, bodyOf, delivered, listening, message, ORIGIN, until } from "../unit/store/fixtures.ts";
import { assertStoreError, contract } from "./contract.ts";

/** The largest key there can be: 47 bits. */
const LARGEST_KEY = 2 ** 47 - 1;

async function keysIn(store: Store, id: number): Promise<number[]> {
  return Array.from((await store.maildrops.list(id)).keys);
}

// ---------------------------------------------------------------- spool

contract("accept() keeps a message whole, with its recipients queued", async (store) => {
  await store.spool.accept(message(7, { body: "abc\r\n", recipients: ["a@x.org", "b@x.org"] }));
  assertEquals(await bodyOf(store, 7), "abc\r\n");
  assertEquals(await store.history.message(7), {
    key: 7,
    receivedAtMs: 1_000_007,
    size: 5,
    messageId: "7@example.net",
    reversePath: "bob@example.net",
    origin: ORIGIN,
    pieces: [],
    recipients: ["a@x.org", "b@x.org"].map((recipient) => (
      { recipient, state: "queued" as const, atMs: 1_000_007, detail: "", acceptedBy: "", maildrops: [] }
    )),
  });
  assertEquals(await store.history.message(8), undefined);
});

contract("append() keeps parts in order, for neighbouring and for the largest keys", async (store) => {
  for (const key of [LARGEST_KEY, LARGEST_KEY - 1]) {
    const large = new Uint8Array(256 * 1024).fill(65);
    await store.spool.append(key, large);
    await store.spool.append(key, new TextEncoder().encode(`second of ${key}`));
    const earlierOctets = 256 * 1024 + `second of ${key}`.length;
    await store.spool.accept(message(key, { body: `last of ${key}`, earlierOctets }));
  }
  for (const key of [LARGEST_KEY, LARGEST_KEY - 1]) {
    const first = await store.maildrops.part(key, 0);
    assertEquals([first?.length, first?.[0], first?.at(-1)], [256 * 1024, 65, 65]);
    assertEquals(new TextDecoder().decode(await store.maildrops.part(key, 1)), `second of ${key}`);
    assertEquals(new TextDecoder().decode(await store.maildrops.part(key, 2)), `last of ${key}`);
    assertEquals(await store.maildrops.part(key, 3), undefined);
  }
});

contract("append() without waiting keeps the order too", async (store) => {
  const letters = [..."abcdefghij"];
  const appended = letters.map((letter) => store.spool.append(3, new TextEncoder().encode(letter)));
  const accepted = store.spool.accept(message(3, { body: "", earlierOctets: letters.length }));
  await Promise.all([...appended, accepted]);
  assertEquals(await bodyOf(store, 3), "abcdefghij");
});

contract("accept() takes a view of a larger buffer for what it shows", async (store) => {
  const buffer = new TextEncoder().encode("secret of another connection: hello");
  await store.spool.accept(message(1, { body: buffer.subarray(30) }));
  assertEquals(await bodyOf(store, 1), "hello");
});

contract("accept() keeps a message without octets", async (store) => {
  await store.spool.accept(message(1, { body: "" }));
  assertEquals(await bodyOf(store, 1), undefined);
  assertEquals((await store.history.message(1))?.size, 0);
});

contract("accept() refuses a key that is taken and leaves the first message alone", async (store) => {
  await store.spool.accept(message(1, { body: "first" }));
  await assertStoreError(
    store.spool.accept(message(1, { body: "other", recipients: ["x@x.org"] })),
    "conflict",
  );
  assertEquals(await bodyOf(store, 1), "first");
  assertEquals((await store.history.message(1))?.recipients.map(({ recipient }) => recipient), [
    "alice@example.org",
  ]);
});

contract("accept() refuses parts that don't add up to the size, and leaves nothing", async (store) => {
  await store.spool.append(1, new TextEncoder().encode("abc"));
  await assertStoreError(store.spool.accept(message(1, { body: "def", earlierOctets: 4 })), "conflict");
  assertEquals(await store.history.message(1), undefined);
  await store.spool.accept(message(1, { body: "def", earlierOctets: 3 }));
  assertEquals(await bodyOf(store, 1), "abcdef");
});

contract("accept() refuses a message without recipient", async (store) => {
  await assertStoreError(store.spool.accept(message(1, { recipients: [] })), "conflict");
});

contract("a refused operation disturbs none of those beside it", async (store) => {
  await store.spool.accept(message(5));
  const results = await Promise.allSettled([
    store.spool.accept(message(4)),
    store.spool.accept(message(5)),
    store.directory.removeAccount("nobody"),
    store.spool.accept(message(6, { recipients: ["a@x.org", "b@x.org"] })),
    store.directory.addAccount(account("alice")),
  ]);
  assertEquals(results.map(({ status }) => status), [
    "fulfilled",
    "rejected",
    "rejected",
    "fulfilled",
    "fulfilled",
  ]);
  assertEquals((results[4] as PromiseFulfilledResult<{ id: number }>).value.id, 1);
  assertEquals((await store.history.message(6))?.recipients.length, 2);
  assert(await store.history.message(4) !== undefined);
});

contract("discard() forgets parts, but never those of a whole message", async (store) => {
  await store.spool.append(1, new TextEncoder().encode("abc"));
  await store.spool.discard(1);
  assertEquals(await store.maildrops.part(1, 0), undefined);
  await store.spool.accept(message(1, { body: "whole" }));
  await store.spool.discard(1);
  await store.spool.discard(2);
  assertEquals(await bodyOf(store, 1), "whole");
  await assertStoreError(store.spool.append(1, new TextEncoder().encode("more")), "conflict");
  assertEquals(await bodyOf(store, 1), "whole");
});

// ---------------------------------------------------------------- maildrops

contract("record() fills maildrops, list() shows them oldest first", async (store) => {
  const alice = await store.directory.addAccount(account("alice"));
  const bob = await store.directory.addAccount(account("bob"));
  for (const key of [30, 10, 20]) await store.spool.accept(message(key, { smtpUtf8: key === 20 }));
  await store.deliveries.record({
    outcomes: [
      delivered(30, [alice.id], { size: 300 }),
      delivered(10, [alice.id, bob.id], { size: 100 }),
      delivered(20, [alice.id], { size: 200 }),
    ],
  });
  const listing = await store.maildrops.list(alice.id);
  assertEquals(Array.from(listing.keys), [10, 20, 30]);
  assertEquals(Array.from(listing.sizes), [100, 200, 300]);
  assertEquals([...listing.smtpUtf8], [1]);
  assertEquals(await keysIn(store, bob.id), [10]);
  assertEquals(await keysIn(store, 99), []);
  assertEquals(await store.maildrops.usage(alice.id), { octets: 600, messages: 3 });
  assertEquals(await store.maildrops.usage(bob.id), { octets: 100, messages: 1 });
  assertEquals(await store.maildrops.usage(99), { octets: 0, messages: 0 });
  assertEquals(
    new TextDecoder().decode((await store.maildrops.open(alice.id, 20))?.trace),
    "Return-Path: <20>\r\n",
  );
  assertEquals((await store.maildrops.open(alice.id, 20))?.firstPart, await store.maildrops.part(20, 0));
  assertEquals(await store.maildrops.open(bob.id, 20), undefined);
  assertEquals((await store.history.message(10))?.recipients, [{
    recipient: "alice@example.org",
    state: "delivered",
    atMs: 2_000_000,
    detail: "delivered here",
    acceptedBy: "",
    maildrops: [{ account: "alice" }, { account: "bob" }],
  }]);
});

contract(
  "record() a second time changes nothing, even after the owner took the message out",
  async (store) => {
    const { id } = await store.directory.addAccount(account("alice"));
    await store.spool.accept(message(1, { recipients: ["alice@x.org", "sales@x.org", "info@x.org"] }));
    await store.deliveries.record({ outcomes: [delivered(1, [id]), delivered(1, [id])] });
    await store.deliveries.record({
      outcomes: [{ ...delivered(1, [id]), state: "failed", detail: "changed" }],
    });
    assertEquals(await store.maildrops.usage(id), { octets: 100, messages: 1 });
    assertEquals((await store.history.message(1))?.recipients[0]?.detail, "delivered here");
    await store.deliveries.record({ outcomes: [delivered(1, [id], { index: 1 })] });
    assertEquals(await store.maildrops.usage(id), { octets: 100, messages: 1 });
    await store.maildrops.remove(id, [1]);
    await store.deliveries.record({ outcomes: [delivered(1, [id]), delivered(1, [id], { index: 2 })] });
    assertEquals(await keysIn(store, id), []);
    assertEquals(await store.maildrops.usage(id), { octets: 0, messages: 0 });
  },
);

contract("record() passes over what is unknown and what has no recipient of that place", async (store) => {
  const { id } = await store.directory.addAccount(account("alice"));
  await store.spool.accept(message(1));
  await store.deliveries.record({ outcomes: [delivered(2, [id]), delivered(1, [id], { index: 4 })] });
  assertEquals(await keysIn(store, id), []);
  assertEquals((await store.history.message(1))?.recipients[0]?.state, "queued");
});

contract("record() passes over an account that is gone", async (store) => {
  const alice = await store.directory.addAccount(account("alice"));
  const bob = await store.directory.addAccount(account("bob"));
  await store.directory.removeAccount("bob");
  await store.spool.accept(message(1, { recipients: ["bob@x.org", "both@x.org"] }));
  await store.deliveries.record({
    outcomes: [
      delivered(1, [bob.id]),
      delivered(1, [bob.id, alice.id], { index: 1 }),
    ],
  });
  const recipients = (await store.history.message(1))!.recipients;
  assertEquals(recipients.map(({ state }) => state), ["failed", "delivered"]);
  assertEquals(recipients.map(({ maildrops }) => maildrops), [[], [{ account: "alice" }]]);
  assertEquals(await keysIn(store, alice.id), [1]);
  assertEquals(await keysIn(store, bob.id), []);
  assertEquals(await store.maildrops.usage(bob.id), { octets: 0, messages: 0 });
  // The body goes with the only maildrop that has it, so nothing still counts on the one that is gone.
  await store.maildrops.remove(alice.id, [1]);
  assertEquals(await bodyOf(store, 1), undefined);
});

contract("find() gives what the first existing of several names stands for", async (store) => {
  const bob = await store.directory.addAccount(account("bob"));
  await store.directory.setAlias({ name: "@x.org", targets: ["bob"] });
  const asked = ["bob+1@x.org", "bob+1", "bob@x.org", "bob", "a", "b", "@x.org"];
  assertEquals(await store.directory.find(asked), { kind: "account", account: bob });
  const alias = { name: "@x.org", targets: ["bob"] };
  assertEquals(await store.directory.find(asked.toReversed()), { kind: "alias", alias });
  assertEquals(await store.directory.find(["a", "b"]), undefined);
  assertEquals(await store.directory.find([]), undefined);
});

contract("a body stays while a maildrop, a queued or a held recipient needs it", async (store) => {
  const alice = await store.directory.addAccount(account("alice"));
  const bob = await store.directory.addAccount(account("bob"));
  await store.spool.accept(message(1, { body: "kept", recipients: ["a@x.org", "b@x.org", "c@x.org"] }));
  await store.deliveries.record({
    outcomes: [
      delivered(1, [alice.id, bob.id]),
      { key: 1, index: 1, state: "held", atMs: 3_000_000, detail: "held", deliverTo: [] },
    ],
  });
  await store.maildrops.remove(alice.id, [1]);
  await store.maildrops.remove(bob.id, [1]);
  assertEquals(await bodyOf(store, 1), "kept");
  await store.deliveries.record({
    outcomes: [
      { key: 1, index: 2, state: "failed", atMs: 3_000_000, detail: "no", deliverTo: [] },
    ],
  });
  assertEquals(await bodyOf(store, 1), "kept");
  await store.deliveries.record({
    outcomes: [
      { key: 1, index: 1, state: "failed", atMs: 3_000_000, detail: "no", deliverTo: [] },
    ],
  });
  assertEquals(await bodyOf(store, 1), undefined);
  assert(await store.history.message(1) !== undefined);
});

contract("remove() takes out what is there, counts it, and the history shows when", async (store, clock) => {
  const alice = await store.directory.addAccount(account("alice"));
  const bob = await store.directory.addAccount(account("bob"));
  for (const key of [1, 2, 3]) await store.spool.accept(message(key, { body: `body ${key}` }));
  await store.deliveries.record({
    outcomes: [1, 2, 3].map((key) => delivered(key, [alice.id, bob.id], { size: key * 10 })),
  });
  await clock.advance(1000);
  assertEquals(await store.maildrops.remove(alice.id, [1, 3, 9, 1]), 2);
  assertEquals(await keysIn(store, alice.id), [2]);
  assertEquals(await store.maildrops.usage(alice.id), { octets: 20, messages: 1 });
  assertEquals(await store.maildrops.open(alice.id, 1), undefined);
  assertEquals(await bodyOf(store, 1), "body 1");
  assertEquals((await store.history.message(1))?.recipients[0]?.maildrops, [
    { account: "alice", removedAtMs: 5_001_000 },
    { account: "bob" },
  ]);
  assertEquals(await store.maildrops.remove(bob.id, [1]), 1);
  assertEquals(await bodyOf(store, 1), undefined);
  assertEquals(await bodyOf(store, 3), "body 3");
  assertEquals(await store.maildrops.remove(bob.id, []), 0);
});

contract("expire() takes out what was delivered before, oldest first, up to the limit", async (store) => {
  const alice = await store.directory.addAccount(account("alice"));
  const bob = await store.directory.addAccount(account("bob"));
  for (const key of [1, 2, 3, 4]) await store.spool.accept(message(key));
  await store.deliveries.record({
    outcomes: [
      delivered(1, [alice.id], { atMs: 4000 }), // the oldest message, but delivered last
      delivered(2, [alice.id], { atMs: 1000 }),
      delivered(3, [bob.id], { atMs: 2000 }),
      delivered(4, [bob.id], { atMs: 3000 }),
    ],
  });
  assertEquals(await store.maildrops.expire(1000, 10), 0);
  assertEquals(await store.maildrops.expire(4000, 2), 2);
  assertEquals([await keysIn(store, alice.id), await keysIn(store, bob.id)], [[1], [4]]);
  assertEquals(await store.maildrops.expire(4000, 2), 1);
  assertEquals([await keysIn(store, alice.id), await keysIn(store, bob.id)], [[1], []]);
  assertEquals(await store.maildrops.usage(bob.id), { octets: 0, messages: 0 });
  assertEquals(await bodyOf(store, 3), undefined);
});

// ---------------------------------------------------------------- directory

contract("addAccount() numbers accounts and never reuses a number", async (store) => {
  const whole = {
    name: "carol@example.org",
    pop3: "P" as const,
    quotaOctets: 1000,
    quotaMessages: 10,
    sendAsAny: true,
    passwordHash: "$scrypt$x",
    scramVerifier: "SCRAM-SHA-256$x",
    createdAtMs: 42,
  };
  assertEquals((await store.directory.addAccount(account("alice"))).id, 1);
  assertEquals(await store.directory.addAccount(whole), { id: 2, ...whole });
  assertEquals(await store.directory.account("carol@example.org"), { id: 2, ...whole });
  assertEquals(await store.directory.find(["nobody", "carol@example.org"]), {
    kind: "account",
    account: { id: 2, ...whole },
  });
  await store.directory.removeAccount("carol@example.org");
  assertEquals(await store.directory.account("carol@example.org"), undefined);
  assertEquals(await store.directory.find(["carol@example.org"]), undefined);
  assertEquals((await store.directory.addAccount(whole)).id, 3);
  assertEquals((await store.directory.accounts()).map(({ name }) => name), ["alice", "carol@example.org"]);
  await assertStoreError(store.directory.addAccount(account("alice")), "exists");
});

contract("changeAccount() changes what is named and nothing else", async (store) => {
  const added = await store.directory.addAccount({ ...account("alice"), quotaOctets: 1000 });
  const changed = await store.directory.changeAccount("alice", { pop3: "N", quotaMessages: 5 });
  assertEquals(changed, { ...added, pop3: "N", quotaMessages: 5 });
  assertEquals(await store.directory.account("alice"), changed);
  const reset = await store.directory.changeAccount("alice", { quotaOctets: undefined, pop3: undefined });
  assertEquals(reset.quotaOctets, undefined);
  assertEquals([reset.pop3, reset.quotaMessages], ["N", 5]);
  await assertStoreError(store.directory.changeAccount("nobody", { pop3: "Y" }), "missing");
});

contract("removeAccount() takes maildrop and alias targets with it", async (store, clock) => {
  const alice = await store.directory.addAccount(account("alice"));
  const bob = await store.directory.addAccount(account("bob"));
  await store.directory.setAlias({ name: "sales", targets: ["alice", "bob"] });
  await store.directory.setAlias({ name: "info", targets: ["alice"] });
  await store.spool.accept(message(1, { body: "both" }));
  await store.spool.accept(message(2, { body: "one" }));
  await store.deliveries.record({ outcomes: [delivered(1, [alice.id, bob.id]), delivered(2, [alice.id])] });
  await store.directory.removeAccount("alice");
  assertEquals(await keysIn(store, alice.id), []);
  assertEquals(await store.maildrops.usage(alice.id), { octets: 0, messages: 0 });
  assertEquals([await bodyOf(store, 1), await bodyOf(store, 2)], ["both", undefined]);
  assertEquals(await store.directory.aliases(), [{ name: "sales", targets: ["bob"] }]);
  assertEquals((await store.history.message(2))?.recipients[0]?.maildrops, [
    { account: "alice", removedAtMs: clock.nowMs() },
  ]);
  await assertStoreError(store.directory.removeAccount("alice"), "missing");
});

contract("setAlias() makes, replaces and removes an alias", async (store) => {
  await store.directory.addAccount(account("alice"));
  await store.directory.setAlias({ name: "sales", targets: ["zoe", "alice"] });
  assertEquals(await store.directory.find(["sales"]), {
    kind: "alias",
    alias: { name: "sales", targets: ["zoe", "alice"] },
  });
  await store.directory.setAlias({ name: "sales", targets: ["alice"] });
  await store.directory.setAlias({ name: "@example.org", targets: ["alice"] });
  assertEquals(await store.directory.aliases(), [
    { name: "@example.org", targets: ["alice"] },
    { name: "sales", targets: ["alice"] },
  ]);
  await assertStoreError(store.directory.setAlias({ name: "alice", targets: ["bob"] }), "exists");
  await assertStoreError(store.directory.addAccount(account("sales")), "exists");
  await store.directory.setAlias({ name: "sales", targets: [] });
  assertEquals(await store.directory.find(["sales"]), undefined);
  await assertStoreError(store.directory.setAlias({ name: "sales", targets: [] }), "missing");
});

// ---------------------------------------------------------------- deliveries

contract("subscribe() gives what waited, then what comes, each message once", async (store) => {
  const { id } = await store.directory.addAccount(account("alice"));
  await store.spool.accept(message(2, { recipients: ["a@x.org", "b@x.org"], body: "12345" }));
  await store.spool.accept(message(1, { smtpUtf8: true, body: "" }));
  await store.spool.accept(message(3));
  await store.deliveries.record({ outcomes: [delivered(3, [id]), delivered(2, [id], { index: 0 })] });
  const given: QueuedMessage[] = [];
  store.deliveries.subscribe(listening((messages) => given.push(...messages)));
  assertEquals(given, [], "the listener was called before subscribe() returned");
  await until(() => given.length >= 2);
  const envelope = { reversePath: "bob@example.net", smtpUtf8: false };
  const first = [{ index: 0, recipient: "alice@example.org" }];
  assertEquals(given, [
    { ...envelope, key: 1, receivedAtMs: 1_000_001, size: 0, smtpUtf8: true, recipients: first },
    {
      ...envelope,
      key: 2,
      receivedAtMs: 1_000_002,
      size: 5,
      recipients: [{ index: 1, recipient: "b@x.org" }],
    },
  ]);
  await store.spool.append(4, new TextEncoder().encode("abc"));
  await Promise.allSettled([
    store.spool.accept(message(4, { body: "defg", earlierOctets: 3 })),
    store.spool.accept(message(1)),
    store.spool.accept(message(5, { body: "xy" })),
  ]);
  await until(() => given.length >= 4);
  assertEquals(given.slice(2), [
    { ...envelope, key: 4, receivedAtMs: 1_000_004, size: 7, recipients: first },
    { ...envelope, key: 5, receivedAtMs: 1_000_005, size: 2, recipients: first },
  ]);
  await store.deliveries.record({ outcomes: [delivered(1, [id]), delivered(4, [id])] });
  await new Promise((resolve) => setTimeout(resolve, 20));
  assertEquals(given.length, 4);
  assertThrows(() => store.deliveries.subscribe(listening(() => {})), StoreError);
});

contract("subscribe() gives a backlog of thousands whole and in order", async (store) => {
  const keys = Array.from({ length: 1700 }, (_, i) => i + 1);
  await Promise.all(
    keys.map((key) => store.spool.accept(message(key, { recipients: ["a@x.org", "b@x.org"] }))),
  );
  const given: QueuedMessage[] = [];
  store.deliveries.subscribe(listening((messages) => given.push(...messages)));
  await until(() => given.length >= keys.length);
  assertEquals(given.map(({ key }) => key), keys);
  assert(given.every(({ recipients }) => recipients.length === 2));
});

// ---------------------------------------------------------------- history

contract("byMessageId() finds the newest twenty", async (store) => {
  for (let key = 1; key <= 22; key++) await store.spool.accept(message(key, { messageId: "same@x.org" }));
  await store.spool.accept(message(50, { messageId: "" }));
  const found = (await store.history.byMessageId("same@x.org")).map(({ key }) => key);
  assertEquals(found, Array.from({ length: 20 }, (_, i) => 22 - i));
  assertEquals(await store.history.byMessageId("other@x.org"), []);
  assertEquals(await store.history.byMessageId(""), []);
});

contract("prune() forgets only what nothing holds, and newestKey() remembers", async (store) => {
  const { id } = await store.directory.addAccount(account("alice"));
  assertEquals(await store.history.newestKey(), 0);
  for (const key of [1, 2, 3, 4, 5]) await store.spool.accept(message(key, { receivedAtMs: key * 1000 }));
  await store.deliveries.record({ outcomes: [1, 2, 3, 5].map((key) => delivered(key, [id])) });
  await store.maildrops.remove(id, [1, 3, 5]);
  assertEquals(await store.history.prune(5000, 1), 1);
  assertEquals(await store.history.message(1), undefined);
  assertEquals(await store.history.prune(5000, 10), 1);
  assertEquals(await store.history.prune(5000, 10), 0);
  assert(await store.history.message(2) !== undefined, "in a maildrop");
  assert(await store.history.message(4) !== undefined, "queued");
  assert(await store.history.message(5) !== undefined, "too young");
  assertEquals(await store.history.prune(6000, 10), 1);
  assertEquals(await store.history.newestKey(), 5);
  assertEquals(await keysIn(store, id), [2]);
});

// ---------------------------------------------------------------- closing

contract("close() finishes what was asked for and refuses what comes after", async (store) => {
  const accepted = store.spool.accept(message(1));
  await Promise.all([store.close(), accepted]);
  await assertStoreError(store.spool.accept(message(2)), "conflict");
  await store.close();
});
