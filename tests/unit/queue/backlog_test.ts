import { assertEquals } from "@std/assert";
import { FakeClock } from "../../../src/base/clock.ts";
import { Backlog } from "../../../src/queue/backlog.ts";
import { newLane } from "../../../src/queue/lane.ts";
import type { QueuedMessage } from "../../../src/store/types.ts";
import { gate } from "../server/fixture.ts";
import { queued, START_MS } from "./queue_fixture.ts";

function waiting(key: number, dueMs: number): QueuedMessage {
  return queued(key, {
    recipients: [{ wait: { destination: "x.test", dueMs, deadlineMs: dueMs, attempts: 1 } }],
  });
}

/** A store with messages that wait; `hold` keeps the answer to a read back. */
function backlog(messages: readonly QueuedMessage[]) {
  const given: number[][] = [];
  const overdue: number[][] = [];
  const limits: number[] = [];
  const inHand = new Set<number>();
  let hold = Promise.resolve();
  const upTo = (ms: number, limit: number) =>
    messages.filter(({ recipients }) => recipients[0]!.wait!.dueMs <= ms).slice(0, limit);
  const made = new Backlog({
    clock: new FakeClock(START_MS),
    deliveries: {
      async due(_, { dueMs, limit }) {
        const found = upTo(dueMs, limit);
        await hold;
        return found;
      },
      async overdue({ deadlineMs, limit }) {
        limits.push(limit);
        const found = upTo(deadlineMs, limit);
        await hold;
        return found;
      },
      nextDeadlineMs: () => Promise.resolve(messages[0]?.recipients[0]?.wait?.dueMs),
    },
    due: (page) => void given.push(page.map(({ key }) => key)),
    overdue: (page) => {
      overdue.push(page.map(({ key }) => key));
      return Promise.resolve(page.filter(({ key }) => !inHand.has(key)).length);
    },
  });
  return { backlog: made, given, overdue, limits, inHand, hold: (until: Promise<void>) => hold = until };
}

Deno.test("Backlog.readPage() gives what is due, and knows when the rest is", async () => {
  const { backlog: made, given } = backlog([
    waiting(1, START_MS),
    waiting(2, START_MS),
    waiting(3, START_MS + 500),
  ]);
  const lane = newLane("x.test");
  await made.readPage(lane);
  assertEquals(given, [[1, 2]]);
  assertEquals([lane.storedDueMs, lane.paged, lane.reading], [START_MS + 500, 2, false]);
});

Deno.test("Backlog.readPage() reads by pages, a smaller one where the destination has to prove that it answers", async () => {
  const messages = Array.from({ length: 300 }, (_, at) => waiting(at + 1, START_MS));
  for (const [failures, size] of [[0, 200], [3, 20]] as const) {
    const { backlog: made, given } = backlog(messages);
    const lane = Object.assign(newLane("x.test"), { failures });
    await made.readPage(lane);
    assertEquals([given[0]!.length, lane.storedDueMs], [size, START_MS]);
    // Some left of the page before are read again, and must not fill the next one.
    await made.readPage(lane);
    assertEquals(new Set(given.flat()).size, Math.min(300, 2 * size));
  }
});

Deno.test("Backlog.readPage() does not give what came on record while it was read", async () => {
  const { backlog: made, given, hold } = backlog([waiting(1, START_MS), waiting(2, START_MS)]);
  const answered = gate();
  hold(answered.opened);
  const lane = newLane("x.test");
  const read = made.readPage(lane);
  made.settled(1, 0);
  answered.open();
  await read;
  assertEquals(given, [[2]]);
});

Deno.test("Backlog.readPage() keeps what was deferred during the read in mind", async () => {
  const { backlog: made, hold } = backlog([]);
  const answered = gate();
  hold(answered.opened);
  const lane = newLane("x.test");
  const read = made.readPage(lane);
  lane.storedDueMs = Math.min(lane.storedDueMs, START_MS + 100);
  answered.open();
  await read;
  assertEquals(lane.storedDueMs, START_MS + 100);
});

Deno.test("Backlog.settled() names the lane that may read on, once few of its recipients are left", async () => {
  const { backlog: made } = backlog(Array.from({ length: 200 }, (_, at) => waiting(at + 1, START_MS)));
  const lane = newLane("x.test");
  await made.readPage(lane);
  const readers = Array.from({ length: 200 }, (_, at) => made.settled(at + 1, 0) === lane);
  assertEquals(readers.indexOf(true), 99);
  assertEquals([lane.paged, made.settled(1, 0)], [0, undefined]);
});

Deno.test("Backlog.lookAtDeadlines() looks behind what is in hand, and does not look too often", async () => {
  const messages = Array.from({ length: 150 }, (_, at) => waiting(at + 1, START_MS));
  const { backlog: made, overdue, limits, inHand } = backlog(messages);
  for (let key = 1; key <= 120; key++) inHand.add(key);
  await made.lookAtDeadlines();
  assertEquals([limits, made.deadlineMs], [[100], START_MS + 1000]);
  await made.lookAtDeadlines();
  assertEquals(limits, [100, 200]);
  assertEquals(overdue[1]!.length, 150);
});

Deno.test("Backlog.lookAtDeadlines() does not judge what came on record while it was read", async () => {
  const { backlog: made, overdue, hold } = backlog([waiting(1, START_MS), waiting(2, START_MS)]);
  const answered = gate();
  hold(answered.opened);
  const looked = made.lookAtDeadlines();
  made.settled(2, 0);
  answered.open();
  await looked;
  assertEquals(overdue, [[1]]);
});

Deno.test("Backlog gives nothing after stop()", async () => {
  const { backlog: made, given, overdue } = backlog([waiting(1, START_MS)]);
  made.stop();
  await made.readPage(newLane("x.test"));
  await made.lookAtDeadlines();
  assertEquals([given, overdue], [[], [[]]]);
});
