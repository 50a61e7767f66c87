import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { isLoginName, preparePassword } from "../../../src/sasl/prepare.ts";

Deno.test("preparePassword() does what RFC 4013 3 shows", () => {
  assertEquals(preparePassword("I\u00adX"), "IX");
  assertEquals(preparePassword("user"), "user");
  assertEquals(preparePassword("USER"), "USER");
  assertEquals(preparePassword("\u00aa"), "a");
  assertEquals(preparePassword("\u2168"), "IX");
  assertEquals(preparePassword("\u0007"), undefined);
});

Deno.test("preparePassword() makes spaces of non-ASCII spaces", () => {
  assertEquals(preparePassword("a\u00a0b\u3000c"), "a b c");
});

Deno.test("preparePassword() refuses empty, too long and prohibited text", () => {
  const prohibited = [
    "\0",
    "\u0085",
    "\u2028",
    "\ue000",
    "\ufdd0",
    "\ud800",
    "\ufffd",
    "\u200e",
    "\u{e0041}",
    "\u{1d173}",
  ];
  for (const text of ["", "\u00ad", "x".repeat(1025), "é".repeat(513), ...prohibited.map((c) => `a${c}b`)]) {
    assertEquals(preparePassword(text), undefined, JSON.stringify(text.slice(0, 5)));
  }
});

Deno.test("preparePassword() changes nothing a second time", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", minLength: 1, maxLength: 20 }), (text) => {
      const once = preparePassword(text);
      if (once !== undefined) assertEquals(preparePassword(once), once);
    }),
    { numRuns: 5000 },
  );
});

Deno.test("isLoginName() refuses empty, too long and control characters", () => {
  assertEquals(isLoginName("alice@example.org"), true);
  assertEquals(isLoginName("jörg müller"), true);
  for (const name of ["", "a\r\nb", "a\0b", "a\u0085b", "a\u2028b", "x".repeat(321), "\ud800"]) {
    assertEquals(isLoginName(name), false, JSON.stringify(name.slice(0, 5)));
  }
});
