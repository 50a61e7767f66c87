import { assertEquals } from "@std/assert";
import { FakeClock } from "../../../src/base/clock.ts";
import { type Acquired, type MaildropLock, MaildropLocks } from "../../../src/server/login/maildrop_lock.ts";

const alice = { id: 1 };
const bob = { id: 2 };

function setUp(accounts = 64): { clock: FakeClock; one: MaildropLocks; two: MaildropLocks } {
  const clock = new FakeClock();
  const buffer = MaildropLocks.create(accounts);
  const options = { clock, takeoverMs: 60_000 };
  return {
    clock,
    one: new MaildropLocks(buffer, { ...options, thread: 0 }),
    two: new MaildropLocks(buffer, { ...options, thread: 1 }),
  };
}

function got(acquired: Acquired): MaildropLock {
  if (acquired.kind !== "acquired") throw new Error("the maildrop is in use");
  return acquired.lock;
}

Deno.test("MaildropLocks.acquire() gives a maildrop to one session over two threads", () => {
  const { one, two } = setUp();
  const lock = got(one.acquire(alice));
  assertEquals(two.acquire(alice).kind, "in-use");
  assertEquals(one.acquire(alice).kind, "in-use");
  got(two.acquire(bob));
  lock.release();
  got(two.acquire(alice));
});

Deno.test("MaildropLocks.acquire() takes over from a session that has been silent, not from one that speaks", async () => {
  const { clock, one, two } = setUp();
  const lock = got(one.acquire(alice));
  await clock.advance(59_000);
  assertEquals(two.acquire(alice).kind, "in-use");
  assertEquals(lock.touch(), true);
  await clock.advance(59_000);
  assertEquals(two.acquire(alice).kind, "in-use");
  await clock.advance(1000);
  const second = got(two.acquire(alice));
  assertEquals([lock.stillOurs(), lock.touch()], [false, false]);
  lock.release();
  assertEquals(second.stillOurs(), true);
  assertEquals(one.acquire(alice).kind, "in-use");
  second.release();
  assertEquals([second.stillOurs(), second.touch()], [false, false]);
});

Deno.test("MaildropLocks.acquire() gives a silent session's maildrop to one of two", async () => {
  const { clock, one, two } = setUp();
  got(one.acquire(alice));
  await clock.advance(60_000);
  got(two.acquire(alice));
  assertEquals(one.acquire(alice).kind, "in-use");
});

Deno.test("MaildropLocks: a lock given back and taken by the same thread in the same second is another", () => {
  const { one } = setUp();
  const first = got(one.acquire(alice));
  first.release();
  const second = got(one.acquire(alice));
  first.release();
  assertEquals([first.touch(), first.stillOurs(), second.stillOurs()], [false, false, true]);
});

Deno.test("MaildropLocks made anew in a thread, for new settings, gives no old session's lock away", async () => {
  const clock = new FakeClock();
  const buffer = MaildropLocks.create(8);
  const make = () => new MaildropLocks(buffer, { clock, thread: 0, takeoverMs: 1000 });
  const lock = got(make().acquire(alice));
  await clock.advance(1000);
  const second = got(make().acquire(alice));
  assertEquals([lock.stillOurs(), second.stillOurs()], [false, true]);
});

Deno.test("MaildropLocks.releaseThread() frees what a thread held and nothing else", () => {
  const { one, two } = setUp();
  const lost = got(two.acquire(alice));
  const kept = got(one.acquire(bob));
  one.releaseThread(1);
  assertEquals([lost.stillOurs(), kept.stillOurs()], [false, true]);
  got(one.acquire(alice));
});

Deno.test("MaildropLocks.loginAllowed() counts from the last log-in of the account", async () => {
  const { clock, one, two } = setUp();
  assertEquals(two.loginAllowed(alice, 60), true);
  got(one.acquire(alice)).release();
  assertEquals([two.loginAllowed(alice, 60), two.loginAllowed(alice, 0)], [false, true]);
  assertEquals(two.loginAllowed(bob, 60), true);
  await clock.advance(59_000);
  assertEquals(two.loginAllowed(alice, 60), false);
  await clock.advance(1000);
  assertEquals(two.loginAllowed(alice, 60), true);
});

Deno.test("MaildropLocks.acquire() notes no log-in where the maildrop was in use", async () => {
  const { clock, one, two } = setUp();
  const lock = got(one.acquire(alice));
  await clock.advance(30_000);
  lock.touch();
  assertEquals(two.acquire(alice).kind, "in-use");
  await clock.advance(30_000);
  assertEquals(one.loginAllowed(alice, 60), true);
});

Deno.test("MaildropLocks: accounts beyond the table share a place and never a maildrop at a time", () => {
  const { one } = setUp(4);
  const lock = got(one.acquire({ id: 2 }));
  assertEquals(one.acquire({ id: 6 }).kind, "in-use");
  lock.release();
  got(one.acquire({ id: 6 }));
});
