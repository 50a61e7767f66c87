import { assertEquals } from "@std/assert";
import { formatAge, formatFromNow, formatSpan, formatTook } from "../../../src/cli/time.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

Deno.test("formatSpan() names the two largest units, formatAge() the largest", () => {
  const cases: [number, string, string][] = [
    [0, "0s", "0s"],
    [-5, "0s", "0s"],
    [999, "0s", "0s"],
    [45_000, "45s", "45s"],
    [12 * MINUTE + 30_000, "12m", "12m"],
    [HOUR, "1h", "1h"],
    [3 * HOUR + 5 * MINUTE, "3h 5m", "3h"],
    [2 * DAY + 4 * HOUR + 59 * MINUTE, "2d 4h", "2d"],
    [5 * DAY, "5d", "5d"],
  ];
  for (const [ms, span, age] of cases) assertEquals([formatSpan(ms), formatAge(ms)], [span, age], String(ms));
});

Deno.test("formatTook() says how long something took", () => {
  const cases: [number, string][] = [
    [0, "0 ms"],
    [12.4, "12 ms"],
    [420, "0.4 s"],
    [9960, "10 s"],
    [35_000, "35 s"],
    [59_700, "1 min 0 s"],
    [125_000, "2 min 5 s"],
  ];
  for (const [ms, said] of cases) assertEquals(formatTook(ms), said);
});

Deno.test("formatFromNow() says now for what is due", () => {
  assertEquals(formatFromNow(1000, 5000), "now");
  assertEquals(formatFromNow(5900, 5000), "now");
  assertEquals(formatFromNow(5000 + 12 * MINUTE, 5000), "in 12m");
});
