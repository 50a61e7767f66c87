import { assert, assertEquals } from "@std/assert";
import { utf8 } from "../../../src/base/bytes.ts";
import { FakeClock } from "../../../src/base/clock.ts";
import { type Destination, LocalDelivery } from "../../../src/queue/local_delivery.ts";
import { findDestination } from "../../../src/server/mailboxes.ts";
import { openMemoryStore } from "../../../src/store/memory.ts";
import {
  type Deliveries,
  type Outcome,
  type QueuedMessage,
  type Store,
  StoreError,
} from "../../../src/store/types.ts";
import { addAccount, configOf, gate } from "../server/fixture.ts";
import { bodyOf, message, until } from "../store/fixtures.ts";

/** Deliveries that a test plays the store of. */
class Played implements Deliveries {
  readonly recorded: (readonly Outcome[])[] = [];
  /** What each call of record() does before it succeeds; nothing where there is none left. */
  readonly before: (() => Promise<void>)[] = [];
  calls = 0;
  give: (messages: readonly QueuedMessage[]) => void = () => {};

  subscribe(listener: (messages: readonly QueuedMessage[]) => void): void {
    this.give = listener;
  }

  async record(outcomes: readonly Outcome[]): Promise<void> {
    this.calls++;
    await this.before.shift()?.();
    this.recorded.push(outcomes);
  }
}

const fail = () => Promise.reject(new StoreError("full", "the disk is full"));

function queued(key: number, ...recipients: string[]): QueuedMessage {
  return {
    key,
    reversePath: "sender@example.com",
    smtpUtf8: false,
    size: 100,
    recipients: recipients.map((recipient, index) => ({ index, recipient })),
  };
}

/** Everybody whose name is a letter exists, under the number of the letter. */
function letters(recipient: string): Destination {
  const name = recipient.split("@")[0]!;
  return name.length === 1
    ? { accounts: [{ id: name.charCodeAt(0) - 96, name }], problem: "" }
    : { accounts: [], problem: `${recipient} is nobody here` };
}

function worker(resolve: (recipient: string) => Destination | Promise<Destination> = letters) {
  const clock = new FakeClock();
  const deliveries = new Played();
  const delivery = new LocalDelivery({
    deliveries,
    clock,
    resolve: async (recipient) => await resolve(recipient),
  });
  delivery.start();
  return { clock, deliveries, delivery };
}

/** Lets promises do what they can. */
const settled = () => new Promise((resolve) => setTimeout(resolve, 2));

const keysOf = (outcomes: readonly Outcome[]) => outcomes.map(({ key }) => key);

Deno.test("LocalDelivery records a message for everybody behind its recipients, with Return-Path", async () => {
  const both: Destination = {
    accounts: [{ id: 1, name: "a" }, { id: 2, name: "b" }],
    problem: "c is nobody here",
  };
  const { deliveries, clock, delivery } = worker((recipient) =>
    recipient === "all@x.org" ? both : letters(recipient)
  );
  deliveries.give([queued(7, "a@x.org", "all@x.org", "ghost@x.org")]);
  await until(() => deliveries.recorded.length === 1);
  const trace = utf8("Return-Path: <sender@example.com>\r\n");
  const size = 100 + trace.length;
  const common = { key: 7, atMs: clock.nowMs() };
  assertEquals(deliveries.recorded[0], [
    { ...common, index: 0, state: "delivered", detail: "", deliverTo: [{ account: 1, trace, size }] },
    {
      ...common,
      index: 1,
      state: "delivered",
      detail: "c is nobody here",
      deliverTo: [{ account: 1, trace, size }, { account: 2, trace, size }],
    },
    // Never dropped: it waits with its reason.
    { ...common, index: 2, state: "held", detail: "ghost@x.org is nobody here", deliverTo: [] },
  ]);
  await delivery.stop();
});

Deno.test("LocalDelivery keeps the order and records what came meanwhile in batches", async () => {
  const { deliveries, delivery } = worker();
  const held = gate();
  deliveries.before.push(() => held.opened);
  deliveries.give([queued(1, "a@x.org")]);
  await until(() => deliveries.calls === 1);
  for (let key = 2; key <= 600; key++) deliveries.give([queued(key, "a@x.org")]);
  held.open();
  await until(() => deliveries.recorded.flat().length === 600);
  assertEquals(deliveries.recorded.map((batch) => batch.length), [1, 256, 256, 87]);
  assertEquals(keysOf(deliveries.recorded.flat()), Array.from({ length: 600 }, (_, i) => i + 1));
  await delivery.stop();
});

Deno.test("LocalDelivery asks once in a batch who a recipient is, and anew in the next", async () => {
  const asked: string[] = [];
  const { deliveries, delivery } = worker((recipient) => {
    asked.push(recipient);
    return letters(recipient);
  });
  deliveries.give([queued(1, "a@x.org", "b@x.org"), queued(2, "a@x.org")]);
  await until(() => deliveries.recorded.length === 1);
  assertEquals(asked, ["a@x.org", "b@x.org"]);
  deliveries.give([queued(3, "a@x.org")]);
  await until(() => deliveries.recorded.length === 2);
  assertEquals(asked.length, 3);
  await delivery.stop();
});

Deno.test("LocalDelivery goes on when it is given nothing", async () => {
  const { deliveries, delivery } = worker();
  deliveries.give([]);
  deliveries.give([queued(1, "a@x.org")]);
  await until(() => deliveries.recorded.length === 1);
  deliveries.give([]);
  deliveries.give([queued(2, "a@x.org")]);
  await until(() => deliveries.recorded.length === 2);
  await delivery.stop();
});

Deno.test("LocalDelivery tries again after the store failed, ever more seldom, and loses nothing", async () => {
  const { deliveries, clock, delivery } = worker();
  const held = gate();
  deliveries.before.push(() => held.opened.then(fail), ...Array.from({ length: 9 }, () => fail));
  deliveries.give([queued(1, "a@x.org"), queued(2, "b@x.org")]);
  await until(() => deliveries.calls === 1);
  // What comes in the meantime comes behind.
  deliveries.give([queued(3, "c@x.org")]);
  held.open();
  await settled();
  const pausesMs: number[] = [];
  while (deliveries.calls < 11) {
    const { calls } = deliveries;
    const startMs = clock.nowMs();
    while (deliveries.calls === calls) {
      await clock.advance(250);
      await settled();
    }
    pausesMs.push(clock.nowMs() - startMs);
  }
  assertEquals(pausesMs, [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  await until(() => deliveries.recorded.flat().length === 3);
  assertEquals(keysOf(deliveries.recorded.flat()), [1, 2, 3]);
  // Then the first pause is short again.
  deliveries.before.push(fail);
  deliveries.give([queued(4, "a@x.org")]);
  await until(() => deliveries.calls === 12);
  await settled();
  await clock.advance(250);
  await until(() => deliveries.recorded.flat().length === 4);
  await delivery.stop();
});

Deno.test("LocalDelivery tries again after a look-up failed", async () => {
  let failures = 1;
  const { deliveries, clock, delivery } = worker((recipient) => {
    if (failures-- > 0) throw new StoreError("busy", "somebody has the file");
    return letters(recipient);
  });
  deliveries.give([queued(1, "a@x.org"), queued(2, "b@x.org")]);
  await settled();
  await clock.advance(250);
  await until(() => deliveries.recorded.length === 1);
  assertEquals(keysOf(deliveries.recorded[0]!), [1, 2]);
  await delivery.stop();
});

Deno.test("LocalDelivery.stop() finishes the batch in hand and begins no other", async () => {
  const { deliveries, delivery } = worker();
  const held = gate();
  deliveries.before.push(() => held.opened);
  deliveries.give([queued(1, "a@x.org")]);
  await until(() => deliveries.calls === 1);
  deliveries.give([queued(2, "a@x.org")]);
  let isStopped = false;
  const stopped = delivery.stop().then(() => isStopped = true);
  await settled();
  assertEquals(isStopped, false);
  held.open();
  await stopped;
  deliveries.give([queued(3, "a@x.org")]);
  await settled();
  assertEquals(keysOf(deliveries.recorded.flat()), [1]);
});

Deno.test("LocalDelivery.stop() does not wait for a store that failed", async () => {
  const { deliveries, delivery } = worker();
  deliveries.before.push(fail);
  deliveries.give([queued(1, "a@x.org")]);
  await until(() => deliveries.calls === 1);
  await settled();
  await delivery.stop();
  assertEquals(deliveries.calls, 1);
});

Deno.test("LocalDelivery.stop() before a store's failure ends without a pause", async () => {
  const { deliveries, delivery } = worker();
  const held = gate();
  deliveries.before.push(async () => {
    await held.opened;
    await fail();
  });
  deliveries.give([queued(1, "a@x.org")]);
  await until(() => deliveries.calls === 1);
  const stopped = delivery.stop();
  held.open();
  await stopped;
});

// ---------------------------------------------------------------- with a store

/** A worker over a store. */
function start(store: Store, clock = new FakeClock()): LocalDelivery {
  const delivery = new LocalDelivery({
    deliveries: store.deliveries,
    clock,
    resolve: (recipient) => findDestination(recipient, { directory: store.directory, config: configOf() }),
  });
  delivery.start();
  return delivery;
}

Deno.test("LocalDelivery delivers what waited and what comes, one copy for each maildrop", async () => {
  const store = openMemoryStore();
  const alice = await addAccount(store, { name: "alice" });
  const bob = await addAccount(store, { name: "bob" });
  await store.directory.setAlias({ name: "staff", targets: ["alice", "bob", "alice@example.net"] });
  await store.spool.accept(message(1, { recipients: ["alice@example.org"] }));
  const delivery = start(store);
  await store.spool.accept(
    message(2, { recipients: ["staff@example.org", "alice+x@example.org", "ghost@example.org"] }),
  );
  const keys = async (id: number) => [...Array.from((await store.maildrops.list(id)).keys)];
  for (let tries = 0; (await keys(alice.id)).length < 2; tries++) {
    assert(tries < 500);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assertEquals([await keys(alice.id), await keys(bob.id)], [[1, 2], [2]]);
  const { recipients } = (await store.history.message(2))!;
  assertEquals(recipients.map(({ state }) => state), ["delivered", "delivered", "held"]);
  assertEquals(recipients[2]!.detail, "ghost@example.org is nobody here");
  // The held one keeps the body.
  await store.maildrops.remove(alice.id, [1, 2]);
  await store.maildrops.remove(bob.id, [2]);
  assertEquals([await bodyOf(store, 1) === undefined, await bodyOf(store, 2) === undefined], [true, false]);
  await delivery.stop();
});

Deno.test("LocalDelivery does nothing twice where a crash came between a delivery and the news of it", async () => {
  const store = openMemoryStore();
  const alice = await addAccount(store, { name: "alice" });
  let isFirst = true;
  let calls = 0;
  const deliveries: Deliveries = {
    subscribe: store.deliveries.subscribe,
    async record(outcomes) {
      calls++;
      await store.deliveries.record(outcomes);
      if (isFirst) {
        isFirst = false;
        throw new StoreError("busy", "the answer was lost");
      }
    },
  };
  const clock = new FakeClock();
  const delivery = start({ ...store, close: () => store.close(), deliveries }, clock);
  await store.spool.accept(message(1, { recipients: ["alice@example.org"] }));
  await until(() => calls === 1);
  // The owner is quick.
  await settled();
  assertEquals(await store.maildrops.remove(alice.id, [1]), 1);
  await clock.advance(250);
  await until(() => calls === 2);
  await delivery.stop();
  assertEquals((await store.maildrops.list(alice.id)).keys.length, 0);
  assertEquals((await store.history.message(1))!.recipients[0]!.state, "delivered");
});
