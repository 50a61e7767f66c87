import { assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import { formatDate } from "../../../src/mail/date.ts";

const AT_MS = Date.UTC(2026, 10, 24, 13, 5, 9);

Deno.test("formatDate() writes RFC 5322 3.3 in the zone asked for", () => {
  assertEquals(formatDate(AT_MS, 0), "Tue, 24 Nov 2026 13:05:09 +0000");
  assertEquals(formatDate(AT_MS, 60), "Tue, 24 Nov 2026 14:05:09 +0100");
  assertEquals(formatDate(AT_MS, -210), "Tue, 24 Nov 2026 09:35:09 -0330");
  assertEquals(formatDate(AT_MS, 13 * 60 + 45), "Wed, 25 Nov 2026 02:50:09 +1345");
});

Deno.test("formatDate() writes a year with four digits at least", () => {
  assertEquals(formatDate(Date.UTC(999, 0, 1), 0), "Tue, 1 Jan 0999 00:00:00 +0000");
});

Deno.test("formatDate() reads back as the same second in any zone", () => {
  const atMs = fc.integer({ min: 0, max: Date.UTC(9999, 0, 1) / 1000 }).map((seconds) => seconds * 1000);
  fc.assert(fc.property(atMs, fc.integer({ min: -720, max: 840 }), (atMs, zone) => {
    const text = formatDate(atMs, zone);
    assertMatch(text, /^[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}$/);
    assertEquals(Date.parse(text), atMs);
  }));
});

Deno.test("formatDate() uses this machine's zone where none is given", () => {
  assertEquals(Date.parse(formatDate(AT_MS)), AT_MS);
});
