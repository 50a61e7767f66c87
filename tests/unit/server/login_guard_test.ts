import { assertEquals } from "@std/assert";
import { FakeClock } from "../../../src/base/clock.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { LoginGuard } from "../../../src/server/login/guard.ts";

const X = "198.51.100.66";
const HOME = "192.0.2.10";
const NEW = "203.0.113.5";
const owner = (client: string) => ({ name: "alice", account: 1, client });

function setUp(): { clock: FakeClock; guard: LoginGuard; other: LoginGuard } {
  const clock = new FakeClock();
  const buffers = LoginGuard.create({ clock, random: seededRandom(9) });
  return { clock, guard: new LoginGuard(buffers, { clock }), other: new LoginGuard(buffers, { clock }) };
}

/** Waits for a turn on the fake clock; gives the milliseconds it took, or "busy". */
async function waited(clock: FakeClock, turn: Promise<"go" | "busy">): Promise<number | "busy"> {
  const startMs = clock.nowMs();
  let result: "go" | "busy" | undefined;
  turn.then((value) => result = value);
  await new Promise((resolve) => setTimeout(resolve, 0));
  while (result === undefined) {
    if (clock.nowMs() - startMs > 60_000) throw new Error("still waiting after a minute");
    await clock.advance(100);
  }
  return result === "busy" ? "busy" : clock.nowMs() - startMs;
}

/** Tries and fails one after the other; gives the waits. */
async function hammer(
  { clock, guard }: { clock: FakeClock; guard: LoginGuard },
  options: { tries: number; client?: string; name?: string },
): Promise<(number | "busy")[]> {
  const waits: (number | "busy")[] = [];
  const attempt = { ...owner(options.client ?? X), name: options.name ?? "alice" };
  for (let i = 0; i < options.tries; i++) {
    waits.push(await waited(clock, guard.turn(attempt)));
    guard.failed(attempt);
  }
  return waits;
}

Deno.test("LoginGuard lets the first failures pass, then doubles the wait up to 15 seconds", async () => {
  const setup = setUp();
  const waits = await hammer(setup, { tries: 10 });
  assertEquals(waits, [0, 0, 0, 0, 1000, 2000, 4000, 8000, 15_000, 15_000]);
});

Deno.test("LoginGuard slows an attacker's address to less than a try in 15 seconds, over connections and threads", async () => {
  const setup = setUp();
  const { clock, guard, other } = setup;
  await hammer(setup, { tries: 12 });
  const startMs = clock.nowMs();
  let tries = 0;
  while (clock.nowMs() - startMs < 150_000) {
    for (const each of [guard, other, guard, other]) {
      each.turn(owner(X)).then((result) => {
        if (result === "busy") return;
        tries++;
        each.failed(owner(X));
      });
    }
    await clock.advance(500);
  }
  assertEquals(tries <= 10 && tries >= 8, true, `${tries} tries`);
});

Deno.test("LoginGuard counts the addresses of an IPv6 /64 as one", async () => {
  const setup = setUp();
  for (let i = 0; i < 8; i++) await hammer(setup, { tries: 1, client: `2001:db8::${i}` });
  assertEquals(await waited(setup.clock, setup.guard.turn(owner("2001:db8::ff"))), 15_000);
});

Deno.test("LoginGuard does not delay an account's owner at a known address, whoever hammers", async () => {
  const setup = setUp();
  setup.guard.succeeded(owner(HOME));
  await hammer(setup, { tries: 15 });
  for (let i = 0; i < 5; i++) assertEquals(await waited(setup.clock, setup.other.turn(owner(HOME))), 0);
});

Deno.test("LoginGuard does not delay an owner at a known address where others of that address fail", async () => {
  const setup = setUp();
  setup.guard.succeeded(owner(X));
  const bob = { name: "bob", account: 2, client: X };
  for (let i = 0; i < 12; i++) setup.guard.failed(bob);
  assertEquals(await waited(setup.clock, setup.guard.turn(owner(X))), 0);
  assertEquals(await waited(setup.clock, setup.guard.turn(bob)), 15_000);
});

Deno.test("LoginGuard delays an owner at a new address by 5 seconds at most", async () => {
  const setup = setUp();
  for (let i = 0; i < 40; i++) await hammer(setup, { tries: 1, client: `198.51.100.${i}` });
  assertEquals(await waited(setup.clock, setup.guard.turn(owner(NEW))), 5000);
  setup.guard.succeeded(owner(NEW));
  assertEquals(await waited(setup.clock, setup.guard.turn(owner(NEW))), 0);
});

Deno.test("LoginGuard never answers busy to a new address that has not failed", async () => {
  const setup = setUp();
  await hammer(setup, { tries: 15 });
  const turns = Array.from({ length: 50 }, () => setup.guard.turn(owner(NEW)));
  for (const turn of turns) assertEquals(typeof await waited(setup.clock, turn), "number");
});

Deno.test("LoginGuard slows guesses at a known address by their own failures", async () => {
  const setup = setUp();
  setup.guard.succeeded(owner(X));
  assertEquals((await hammer(setup, { tries: 10 })).at(-1), 15_000);
});

Deno.test("LoginGuard forgets a failure in 5 minutes and all in an hour and more", async () => {
  const setup = setUp();
  const address = { name: "somebody", account: 7, client: X };
  await hammer(setup, { tries: 4 });
  assertEquals(await waited(setup.clock, setup.guard.turn(address)), 1000);
  await setup.clock.advance(5 * 60_000);
  assertEquals(await waited(setup.clock, setup.guard.turn(address)), 0);
  assertEquals(await waited(setup.clock, setup.guard.turn(address)), 0);
  await hammer(setup, { tries: 20 });
  await setup.clock.advance(15 * 60_000);
  // The interval has passed, so the first goes at once; the count is still high.
  assertEquals(await waited(setup.clock, setup.guard.turn(address)), 0);
  assertEquals(await waited(setup.clock, setup.guard.turn(address)), 15_000);
  assertEquals(await waited(setup.clock, setup.guard.turn(owner(NEW))), 5000);
  await setup.clock.advance(50 * 60_000);
  for (let i = 0; i < 5; i++) assertEquals(await waited(setup.clock, setup.guard.turn(owner(X))), 0);
});

Deno.test("LoginGuard gives names without account no known address", async () => {
  const setup = setUp();
  const nobody = { name: "ghost", account: undefined, client: HOME };
  setup.guard.succeeded(nobody);
  await hammer(setup, { tries: 15, name: "ghost" });
  assertEquals(await waited(setup.clock, setup.guard.turn(nobody)), 5000);
});
