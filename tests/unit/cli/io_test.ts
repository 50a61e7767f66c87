import { assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import { json } from "../../../src/cli/io.ts";

Deno.test("json() loses nothing and holds nothing a terminal obeys", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    const written = json({ text });
    assertEquals(JSON.parse(written).text, text);
    // deno-lint-ignore no-control-regex -- control characters are what must not be there
    assertMatch(written, /^[^\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]*$/u);
  }));
  assertEquals(json("\u009b31m\u202e\u001b"), '"\\u009b31m\\u202e\\u001b"\n');
});
