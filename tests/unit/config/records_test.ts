import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { faultText, integer, list, oneOf, text } from "../../../src/config/kinds.ts";
import { optional, record, required } from "../../../src/config/records.ts";
// @ts-types="../../../src/config/yaml.d.ts"
import { parse } from "@std/yaml";

const word = text("text", "a text", (given) => given !== "" ? given : undefined);
const route = record("a route", {
  domain: required(word),
  port: optional(integer(1, 65_535), 25),
  tls: optional(oneOf(["off", "on"]), "off"),
  user: optional(word),
});

function faults(value: unknown): string[] {
  const reading = route.read(value);
  return "faults" in reading
    ? reading.faults.map((fault) => faultText(fault) + (fault.suggestion ? ` -> ${fault.suggestion}` : ""))
    : [];
}

Deno.test("record() reads its fields, and gives those left out their values", () => {
  assertEquals(route.read({ domain: "a.example" }), {
    value: { domain: "a.example", port: 25, tls: "off", user: undefined },
  });
  assertEquals(route.read({ domain: "a.example", port: "26", tls: "on", user: "u" }), {
    value: { domain: "a.example", port: 26, tls: "on", user: "u" },
  });
});

Deno.test("record() names every field that is wrong, missing or unknown", () => {
  assertEquals(faults({ prot: 1, port: 0 }), [
    "has no field 'prot' -> port",
    "needs a field 'domain' (text)",
    "field 'port' must be a whole number from 1 to 65535, not '0'",
  ]);
  assertEquals(faults({ domain: null, tls: "of" }), [
    "field 'domain' must be a text, not nothing",
    "field 'tls' must be off or on, not 'of' -> off",
  ]);
});

Deno.test("record() refuses what is no mapping", () => {
  const must = "must be a route { domain: …, port: …, tls: …, user: … }, not";
  for (
    const [value, shown] of [["x", "'x'"], [null, "nothing"], [[], "an empty list"], [5, "'5'"]] as const
  ) {
    assertEquals(faults(value), [`${must} ${shown}`]);
  }
});

Deno.test("record() takes nothing that JavaScript knows and its fields don't", () => {
  const value = parse('domain: a\n"__proto__": b\nconstructor: c\n');
  assertEquals(faults(value), ["has no field '__proto__'", "has no field 'constructor'"]);
  assertEquals(faults(Object.create({ domain: "inherited" })), ["needs a field 'domain' (text)"]);
});

Deno.test("a list of records says which entry is wrong", () => {
  const reading = list(route, { name: "list of routes" }).read([{ domain: "a" }, { port: 1 }]);
  assertEquals("faults" in reading && reading.faults.map(({ index }) => index), [1]);
});

Deno.test("record() reads back through YAML what it writes", () => {
  const value = fc.record({
    domain: fc.string({ minLength: 1, maxLength: 12 }),
    port: fc.integer({ min: 1, max: 65_535 }),
    tls: fc.constantFrom("off" as const, "on" as const),
    user: fc.option(fc.string({ minLength: 1, maxLength: 12 }), { nil: undefined }),
  });
  fc.assert(fc.property(value, (value) => {
    assertEquals(route.read(parse(route.write(value))), { value });
  }));
});
