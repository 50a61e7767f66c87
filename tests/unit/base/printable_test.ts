import { assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import { printableLine, printableText } from "../../../src/base/printable.ts";

Deno.test("printableLine() takes control sequences out whole", () => {
  const cases: [string, string][] = [
    ["\u001b[1;31mred\u001b[0m", "red"],
    ["\u009b31mred", "red"],
    ["\u001b]0;title\u0007text", "text"],
    ["\u001b]8;;http://x.example\u001b\\link\u001b]8;;\u001b\\", "link"],
    ["\u001bP1$r\u001b\\x", "x"],
    ["\u001b(0line", "line"],
    ["\u001bc reset", " reset"],
    ["a\r\nb\tc\u0000d", "a b c d"],
    ["abc\u202edcba", "abcdcba"],
    ["pay\u200bpal", "paypal"],
    ["Grüße 日本 📧", "Grüße 日本 📧"],
    ["\u001b", ""],
    ["\u001b[", ""],
  ];
  for (const [text, printed] of cases) assertEquals(printableLine(text), printed);
});

Deno.test("printableText() keeps lines and tabs", () => {
  assertEquals(printableText("a\tb\r\nc\rd\u2028e\u001b[2Jf\u0008"), "a\tb\nc\nd\nef");
  // A title sequence without an end takes its line and no more.
  assertEquals(printableText("\u001b]0;open\nnext"), "\nnext");
});

Deno.test("printableLine() and printableText() let nothing through that a terminal obeys", () => {
  const hostile = fc.array(
    fc.oneof(
      fc.constantFrom("\u001b", "[", "]", "\u009b", "\u0007", "\r", "\n", "m", "0", ";", "\u202e"),
      fc.string({ unit: "binary" }),
    ),
  ).map((parts) => parts.join(""));
  // deno-lint-ignore no-control-regex -- control characters are what must not be there
  const line = /^[^\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]*$/u;
  // deno-lint-ignore no-control-regex -- control characters are what must not be there
  const lines = /^[^\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]*$/u;
  fc.assert(fc.property(hostile, (text) => {
    assertMatch(printableLine(text), line);
    assertMatch(printableText(text), lines);
  }));
});
