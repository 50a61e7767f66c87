import { assertEquals, assertLess } from "@std/assert";
import fc from "fast-check";
import { createHash } from "node:crypto";
import { fromLatin1 } from "../../../src/base/bytes.ts";
import { RelaxedBodyHash } from "../../../src/dkim/body_hash.ts";

const hashOf = (text: string): string => createHash("sha256").update(text, "latin1").digest("base64");

function bodyHash(body: string, size = Math.max(1, body.length)): string {
  const hash = new RelaxedBodyHash();
  const octets = fromLatin1(body);
  for (let at = 0; at < octets.length; at += size) hash.update(octets.subarray(at, at + size));
  return hash.digest();
}

/** RFC 6376 3.4.4 said in regular expressions, for comparison. */
function canonical(body: string): string {
  const lines = body.replace(/\r?\n/g, "\r\n").split("\r\n").map((line) =>
    line.replace(/[ \t]+/g, " ").replace(/ $/, "")
  );
  while (lines.at(-1) === "") lines.pop();
  return lines.map((line) => `${line}\r\n`).join("");
}

Deno.test("RelaxedBodyHash canonicalizes as RFC 6376 3.4.4 says", () => {
  const cases: readonly [body: string, canonical: string][] = [
    // The example of RFC 6376 3.4.5.
    [" C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n"],
    ["", ""],
    ["\r\n\r\n", ""],
    [" \t\r\n", ""],
    ["a", "a\r\n"],
    ["a\r\n\r\nb", "a\r\n\r\nb\r\n"],
    ["a\r\n\r\n\r\n\r\nb\r\n\r\n", "a\r\n\r\n\r\n\r\nb\r\n"],
    ["a\nb\r\n", "a\r\nb\r\n"],
    ["a\rb\r\n", "a\rb\r\n"],
    ["a \r", "a \r\r\n"],
    ["\xff\xe9\r\n", "\xff\xe9\r\n"],
  ];
  for (const [body, expected] of cases) {
    assertEquals(bodyHash(body), hashOf(expected), JSON.stringify(body));
    assertEquals(bodyHash(body, 1), hashOf(expected), `octet by octet: ${JSON.stringify(body)}`);
  }
});

Deno.test("RelaxedBodyHash gives the same hash however the octets are cut", () => {
  const octet = fc.constantFrom("a", " ", "\t", "\r", "\n", "\r\n", "\xff");
  fc.assert(
    fc.property(fc.array(octet, { maxLength: 40 }), fc.integer({ min: 1, max: 5 }), (octets, size) => {
      const body = octets.join("");
      assertEquals(bodyHash(body, size), hashOf(canonical(body)));
    }),
    { numRuns: 2000 },
  );
});

Deno.test("RelaxedBodyHash takes line ends by the thousand and one endless line in its stride", () => {
  const ends = "\r\n".repeat(5000);
  assertEquals(bodyHash(`a${ends}b`, 999), hashOf(`a${ends}b\r\n`));
  const line = "x ".repeat(2_000_000);
  const begunMs = performance.now();
  assertEquals(bodyHash(line, 64 * 1024), hashOf(`${line.trimEnd()}\r\n`));
  // Some 50 ms; a hash that went back to the line's beginning each time would take minutes.
  assertLess(performance.now() - begunMs, 5000);
});
