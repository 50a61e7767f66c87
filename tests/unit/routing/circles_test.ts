import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { circular, type Graph } from "../../../src/routing/circles.ts";

function circles(graph: { readonly [name: string]: readonly string[] }): string[] {
  return [...circular(new Map(Object.entries(graph)))].sort();
}

Deno.test("circular() finds who leads back to themselves, and not who is between two circles", () => {
  assertEquals(circles({}), []);
  assertEquals(circles({ a: ["b"], b: ["c"], c: [] }), []);
  assertEquals(circles({ a: ["a", "b"], b: [] }), ["a"]);
  assertEquals(circles({ a: ["b"], b: ["a", "between"], between: ["x"], x: ["y"], y: ["x"] }), [
    "a",
    "b",
    "x",
    "y",
  ]);
  // What leads nowhere needs no entry.
  assertEquals(circles({ a: ["nowhere", "b"], b: ["a"] }), ["a", "b"]);
});

Deno.test("circular() goes along a chain of thousands", () => {
  const chain = Array.from({ length: 50_000 }, (_, i): [string, string[]] => [`${i}`, [`${i + 1}`]]);
  assertEquals(circular(new Map(chain)).size, 0);
  assertEquals(circular(new Map([...chain, ["50000", ["0"]]])).size, 50_001);
});

Deno.test("circular() agrees with following every way", () => {
  const name = fc.constantFrom("a", "b", "c", "d", "e", "f", "g");
  const edges = fc.dictionary(name, fc.array(name, { maxLength: 3 }));
  fc.assert(fc.property(edges, (edges) => {
    const graph: Graph = new Map(Object.entries(edges));
    const leadsBack = (start: string): boolean => {
      const seen = new Set<string>();
      const visit = (each: string): boolean =>
        (graph.get(each) ?? []).some((next) => {
          if (next === start) return true;
          if (seen.has(next)) return false;
          seen.add(next);
          return visit(next);
        });
      return visit(start);
    };
    assertEquals([...circular(graph)].sort(), Object.keys(edges).filter(leadsBack).sort());
  }));
});
