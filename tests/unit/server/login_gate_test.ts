import { assertEquals, assertRejects } from "@std/assert";
import { Gate } from "../../../src/server/login/gate.ts";

const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

Deno.test("Gate.run() runs so many at a time, the next in order, and turns away the rest", async () => {
  const gate = new Gate({ atOnce: 2, waiting: 2 });
  const started: number[] = [];
  const finish: (() => void)[] = [];
  const job = (n: number) =>
    gate.run(() => {
      started.push(n);
      return new Promise<number>((resolve) => finish.push(() => resolve(n)));
    });
  const jobs = [1, 2, 3, 4, 5].map(job);
  await settle();
  assertEquals(started, [1, 2]);
  assertEquals(await jobs[4], undefined);
  finish[1]!();
  assertEquals(await jobs[1], 2);
  await settle();
  assertEquals(started, [1, 2, 3]);
  finish[0]!();
  await settle();
  finish[2]!();
  finish[3]!();
  assertEquals(await Promise.all([jobs[0], jobs[2], jobs[3]]), [1, 3, 4]);
  const late = [6, 7, 8].map(job);
  await settle();
  assertEquals(started.slice(-2), [6, 7]);
  for (const end of finish.slice(4)) end();
  await settle();
  finish.at(-1)!();
  assertEquals(await Promise.all(late), [6, 7, 8]);
});

Deno.test("Gate.run() frees the place of what failed", async () => {
  const gate = new Gate({ atOnce: 1, waiting: 0 });
  await assertRejects(() => gate.run(() => Promise.reject(new Error("no"))), Error, "no");
  assertEquals(await gate.run(() => Promise.resolve(1)), 1);
});
