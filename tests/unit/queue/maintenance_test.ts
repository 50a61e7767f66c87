import { assert, assertEquals } from "@std/assert";
import { FakeClock } from "../../../src/base/clock.ts";
import { type MaintenanceOptions, runMaintenance, startMaintenance } from "../../../src/queue/maintenance.ts";
import { openMemoryStore } from "../../../src/store/memory.ts";
import { addAccount, gate } from "../server/fixture.ts";
import { delivered, message } from "../store/fixtures.ts";

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

interface Call {
  readonly what: "expire" | "prune" | "tries";
  readonly beforeMs: number;
  readonly limit: number;
}

/** A store of which only what is called matters; `expired` and `pruned` messages are there to be had. */
function watched(given: { expired?: number; pruned?: number; tries?: number; days?: number | "never" } = {}) {
  const clock = new FakeClock(100 * DAY_MS);
  const calls: Call[] = [];
  const left = { expire: given.expired ?? 0, prune: given.pruned ?? 0, tries: given.tries ?? 0 };
  const take = (what: Call["what"]) => (beforeMs: number, limit: number) => {
    calls.push({ what, beforeMs, limit });
    const taken = Math.min(limit, left[what]);
    left[what] -= taken;
    return Promise.resolve(taken);
  };
  const options = {
    maildrops: { expire: take("expire") },
    history: { prune: take("prune") },
    queue: { pruneAttempts: take("tries") },
    clock,
    policy: () => ({
      expireDays: given.days ?? "never",
      keepHistoryMs: 30 * DAY_MS,
      keepAttemptsMs: 14 * DAY_MS,
    }),
  } as unknown as MaintenanceOptions;
  return { options, clock, calls, left };
}

const running = () => false;

Deno.test("runMaintenance() expires and prunes in batches until nothing is left", async () => {
  const { options, calls } = watched({ expired: 450, pruned: 200, tries: 300, days: 7 });
  await runMaintenance(options, running);
  const expire = { what: "expire", beforeMs: 93 * DAY_MS, limit: 200 } as const;
  const prune = { what: "prune", beforeMs: 70 * DAY_MS, limit: 200 } as const;
  const tries = { what: "tries", beforeMs: 86 * DAY_MS, limit: 200 } as const;
  assertEquals(calls, [expire, expire, expire, prune, prune, tries, tries]);
});

Deno.test("runMaintenance() expires nothing where mail is kept for ever", async () => {
  const { options, calls } = watched({ expired: 10, days: "never" });
  await runMaintenance(options, running);
  assertEquals(calls.map(({ what }) => what), ["prune", "tries"]);
});

Deno.test("runMaintenance() gives up between two batches when told to", async () => {
  const { options, calls, left } = watched({ expired: 1000, pruned: 1000, tries: 1000, days: 7 });
  await runMaintenance(options, () => calls.length >= 2);
  assertEquals(left, { expire: 600, prune: 800, tries: 800 });
});

Deno.test("startMaintenance() looks a minute after the start and then each quarter of an hour", async () => {
  const { options, clock, calls } = watched();
  const maintenance = startMaintenance(options);
  await clock.advance(MINUTE_MS - 1);
  assertEquals(calls.length, 0);
  await clock.advance(1);
  const rounds = () => calls.filter(({ what }) => what === "prune").length;
  assertEquals(rounds(), 1);
  await clock.advance(15 * MINUTE_MS - 1);
  assertEquals(rounds(), 1);
  await clock.advance(1);
  assertEquals(rounds(), 2);
  await maintenance.stop();
  await clock.advance(DAY_MS);
  assertEquals(rounds(), 2);
});

Deno.test("startMaintenance() goes on after a round that failed, by the policy of the moment", async () => {
  const { options, clock, calls } = watched();
  let round = 0;
  const maintenance = startMaintenance({
    ...options,
    policy() {
      if (++round === 1) throw new Error("disk gone");
      return { expireDays: round, keepHistoryMs: DAY_MS, keepAttemptsMs: DAY_MS };
    },
  });
  await clock.advance(MINUTE_MS + 30 * MINUTE_MS);
  const nowMs = clock.nowMs();
  assertEquals(calls.filter(({ what }) => what === "expire").map(({ beforeMs }) => beforeMs), [
    nowMs - 15 * MINUTE_MS - 2 * DAY_MS,
    nowMs - 3 * DAY_MS,
  ]);
  await maintenance.stop();
});

Deno.test("startMaintenance().stop() waits for the batch in hand", async () => {
  const held = gate();
  const { options, clock, calls } = watched({ pruned: 1000 });
  const { prune } = options.history;
  const maintenance = startMaintenance({
    ...options,
    history: {
      ...options.history,
      prune: async (beforeMs, limit) => {
        await held.opened;
        return await prune(beforeMs, limit);
      },
    },
  });
  await clock.advance(MINUTE_MS);
  let isStopped = false;
  const stopped = maintenance.stop().then(() => isStopped = true);
  await new Promise((resolve) => setTimeout(resolve, 10));
  assertEquals(isStopped, false);
  held.open();
  await stopped;
  assertEquals(calls.filter(({ what }) => what === "prune").length, 1);
});

Deno.test("runMaintenance() takes expired messages out of maildrops, then forgets them", async () => {
  const clock = new FakeClock(100 * DAY_MS);
  const store = openMemoryStore({ clock });
  const { id } = await addAccount(store, { name: "alice" });
  for (let key = 1; key <= 500; key++) {
    // The last hundred came yesterday.
    const atMs = key <= 400 ? 10 * DAY_MS : 99 * DAY_MS;
    await store.spool.accept(message(key, { receivedAtMs: atMs }));
    await store.deliveries.record({ outcomes: [delivered(key, [id], { atMs })] });
  }
  const options: MaintenanceOptions = {
    maildrops: store.maildrops,
    history: store.history,
    queue: store.queue,
    clock,
    policy: () => ({ expireDays: 7, keepHistoryMs: 30 * DAY_MS, keepAttemptsMs: 14 * DAY_MS }),
  };
  await runMaintenance(options, running);
  assertEquals(
    Array.from((await store.maildrops.list(id)).keys),
    Array.from({ length: 100 }, (_, i) => i + 401),
  );
  assertEquals(await store.history.message(400), undefined);
  assert(await store.history.message(401) !== undefined);
});
