import { assertEquals } from "@std/assert";
import { FakeClock, sleep, systemClock, TIMER_MS } from "../../../src/base/clock.ts";

Deno.test("systemClock.after() runs once, and not after cancel()", async () => {
  const ran: string[] = [];
  systemClock.after(1, () => ran.push("kept"));
  systemClock.after(1, () => ran.push("cancelled")).cancel();
  await new Promise((resolve) => setTimeout(resolve, 30));
  assertEquals(ran, ["kept"]);
});

Deno.test("systemClock.after() doesn't run at once where the delay is longer than a timer takes", async () => {
  const ran: string[] = [];
  const timers = [TIMER_MS + 1, 30 * 86_400_000, Infinity].map((delayMs) =>
    systemClock.after(delayMs, () => ran.push(String(delayMs)))
  );
  await new Promise((resolve) => setTimeout(resolve, 30));
  for (const timer of timers) timer.cancel();
  assertEquals(ran, []);
});

Deno.test("FakeClock.advance() runs what is due in order of time, then of asking", async () => {
  const clock = new FakeClock(1000);
  const ran: string[] = [];
  clock.after(20, () => ran.push(`b@${clock.nowMs()}`));
  clock.after(10, () => ran.push(`a@${clock.nowMs()}`));
  clock.after(20, () => ran.push(`c@${clock.nowMs()}`));
  clock.after(31, () => ran.push("late"));
  await clock.advance(30);
  assertEquals(ran, ["a@1010", "b@1020", "c@1020"]);
  assertEquals(clock.nowMs(), 1030);
  await clock.advance(1);
  assertEquals(ran.at(-1), "late");
});

Deno.test("FakeClock.advance() runs what was asked for meanwhile, at its own time", async () => {
  const clock = new FakeClock(0);
  const ran: number[] = [];
  const again = () => {
    ran.push(clock.nowMs());
    clock.after(10, again);
  };
  clock.after(10, again);
  await clock.advance(35);
  assertEquals(ran, [10, 20, 30]);
});

Deno.test("FakeClock timers can be called off, even by one due at the same time", async () => {
  const clock = new FakeClock();
  const ran: string[] = [];
  clock.after(5, () => second.cancel());
  const second = clock.after(5, () => ran.push("second"));
  await clock.advance(10);
  assertEquals(ran, []);
});

Deno.test("sleep() ends when its clock says so", async () => {
  const clock = new FakeClock(0);
  const woke = sleep(clock, 5 * 86_400_000).then(() => clock.nowMs());
  await clock.advance(6 * 86_400_000);
  assertEquals(await woke, 5 * 86_400_000);
});
