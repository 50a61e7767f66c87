import { assertEquals, assertNotEquals } from "@std/assert";
import fc from "fast-check";
import { seededRandom, systemRandom } from "../../../src/base/random.ts";

Deno.test("seededRandom() gives the same numbers for the same seed and others for another", () => {
  const draw = (seed: number) => [...seededRandom(seed).bytes(32)];
  fc.assert(fc.property(fc.integer(), (seed) => assertEquals(draw(seed), draw(seed))));
  assertNotEquals(draw(1), draw(2));
});

Deno.test("fraction() stays in [0, 1) and is spread evenly", () => {
  for (const random of [systemRandom, seededRandom(7)]) {
    let sum = 0;
    for (let i = 0; i < 2000; i++) {
      const fraction = random.fraction();
      assertEquals(fraction >= 0 && fraction < 1, true);
      sum += fraction;
    }
    assertEquals(Math.abs(sum / 2000 - 0.5) < 0.1, true, `mean ${sum / 2000}`);
  }
});

Deno.test("systemRandom.bytes() gives fresh octets in an array of its own", () => {
  const first = systemRandom.bytes(16);
  assertEquals(first.buffer.byteLength, 16);
  assertNotEquals([...first], [...systemRandom.bytes(16)]);
  assertEquals(systemRandom.bytes(0).length, 0);
});
