import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { FakeClock } from "../../../src/base/clock.ts";
import {
  formatMessageKey,
  MESSAGE_ID_SLOTS,
  messageKeyGenerator,
  messageKeyTimeMs,
  parseMessageKey,
} from "../../../src/mail/message_id.ts";

Deno.test("messageKeyGenerator() rises strictly through bursts, steps and a clock set back", async () => {
  const clock = new FakeClock();
  const next = messageKeyGenerator(clock, 3);
  let last = 0;
  for (const stepMs of [0, 1, 0.5, 7, -5000, 0, 10_000]) {
    await clock.advance(stepMs);
    for (let i = 0; i < 20; i++) {
      const key = next();
      assertEquals(Number.isSafeInteger(key) && key > last, true, `${key} after ${last}`);
      last = key;
    }
  }
});

Deno.test("messageKeyGenerator() of different slots never meet", () => {
  const clock = new FakeClock();
  const keys = new Set<number>();
  for (let slot = 0; slot < MESSAGE_ID_SLOTS; slot++) {
    const next = messageKeyGenerator(clock, slot);
    for (let i = 0; i < 100; i++) keys.add(next());
  }
  assertEquals(keys.size, MESSAGE_ID_SLOTS * 100);
});

Deno.test("messageKeyGenerator() goes on above the newest key, whatever the clock says", () => {
  const later = messageKeyGenerator(new FakeClock(Date.UTC(2030, 0, 1)), 31)();
  for (const startMs of [Date.UTC(1990, 0, 1), Date.UTC(2026, 5, 1), Date.UTC(2030, 0, 1)]) {
    assertEquals(messageKeyGenerator(new FakeClock(startMs), 0, later)() > later, true);
  }
});

Deno.test("messageKeyGenerator() refuses a slot that doesn't exist", () => {
  for (const slot of [-1, MESSAGE_ID_SLOTS, 1.5, NaN]) {
    assertThrows(() => messageKeyGenerator(new FakeClock(), slot), RangeError);
  }
});

Deno.test("messageKeyTimeMs() is when the key was made", () => {
  const atMs = Date.UTC(2026, 10, 24, 13, 5, 9, 123);
  assertEquals(messageKeyTimeMs(messageKeyGenerator(new FakeClock(atMs), 9)()), atMs);
});

Deno.test("formatMessageKey() is ten characters that sort like the keys and read back", () => {
  const key = fc.integer({ min: 0, max: 2 ** 47 - 1 });
  fc.assert(fc.property(key, key, (a, b) => {
    const [left, right] = [formatMessageKey(a), formatMessageKey(b)];
    assertEquals(/^[0-9a-z]{10}$/.test(left), true);
    assertEquals(parseMessageKey(left), a);
    assertEquals(parseMessageKey(left.toUpperCase()), a);
    assertEquals(left < right, a < b);
  }));
});

Deno.test("parseMessageKey() is undefined for what no key looks like", () => {
  for (
    const text of ["", "123", "00000000000", "000000000i", "00000 0000", "000000000\u212a", "zzzzzzzzzz"]
  ) {
    assertEquals(parseMessageKey(text), undefined, text);
  }
});
