import { assertEquals } from "@std/assert";
import { FakeClock } from "../../../src/base/clock.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { RememberedPasswords } from "../../../src/server/login/remembered.ts";

const proof = { accountId: 1, passwordHash: "$scrypt$1", password: "secret" };

Deno.test("RememberedPasswords.has() knows exactly what was added", () => {
  const remembered = new RememberedPasswords({ clock: new FakeClock(), random: seededRandom(1) });
  remembered.add(proof);
  assertEquals(remembered.has(proof), true);
  assertEquals(remembered.has({ ...proof, password: "secre" }), false);
  assertEquals(remembered.has({ ...proof, passwordHash: "$scrypt$2" }), false);
  assertEquals(remembered.has({ ...proof, accountId: 2 }), false);
});

Deno.test("RememberedPasswords forgets after 5 minutes, however often it was asked", async () => {
  const clock = new FakeClock();
  const remembered = new RememberedPasswords({ clock, random: seededRandom(1) });
  remembered.add(proof);
  await clock.advance(299_999);
  assertEquals(remembered.has(proof), true);
  await clock.advance(1);
  assertEquals(remembered.has(proof), false);
});

Deno.test("RememberedPasswords keeps a bounded number, the newest", () => {
  const remembered = new RememberedPasswords({ clock: new FakeClock(), random: seededRandom(1), entries: 3 });
  for (let accountId = 1; accountId <= 5; accountId++) remembered.add({ ...proof, accountId });
  assertEquals([1, 2, 3, 4, 5].map((accountId) => remembered.has({ ...proof, accountId })), [
    false,
    false,
    true,
    true,
    true,
  ]);
});
