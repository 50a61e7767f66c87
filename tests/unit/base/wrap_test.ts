import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { wrapWords } from "../../../src/base/wrap.ts";

Deno.test("wrapWords() breaks between words, and cuts a word only where it has to", () => {
  assertEquals(wrapWords("one two three", 7), ["one two", "three"]);
  assertEquals(wrapWords("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
  assertEquals(wrapWords("abcdef", 3), ["abc", "def"]);
  assertEquals(wrapWords("", 3), [""]);
});

Deno.test("wrapWords() loses nothing and keeps to its width", () => {
  fc.assert(fc.property(fc.string(), fc.integer({ min: 1, max: 20 }), (text, width) => {
    const lines = wrapWords(text, width);
    assertEquals(lines.every((line) => line.length <= width), true);
    assertEquals(lines.join("").replaceAll(" ", ""), text.replaceAll(" ", ""));
  }));
});
