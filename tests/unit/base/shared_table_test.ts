import { assertEquals } from "@std/assert";
import { seededRandom } from "../../../src/base/random.ts";
import { SharedTable } from "../../../src/base/shared_table.ts";

const nowMs = Date.UTC(2026, 0, 5);
const create = (entries: number) => SharedTable.create(entries, { random: seededRandom(1), nowMs });

Deno.test("SharedTable.update() changes what another thread then reads", () => {
  const buffer = create(64);
  const [one, two] = [new SharedTable(buffer), new SharedTable(buffer)];
  assertEquals(one.get("a"), undefined);
  one.update("a", (entry) => ({ value: (entry?.value ?? 0) + 5, atMs: nowMs }));
  two.update("a", (entry) => ({ value: (entry?.value ?? 0) + 5, atMs: nowMs + 1000 }));
  assertEquals(one.get("a"), { value: 10, atMs: nowMs + 1000 });
  assertEquals(two.get("b"), undefined);
});

Deno.test("SharedTable.update() leaves the entry where it is told so", () => {
  const table = new SharedTable(create(64));
  assertEquals(table.update("a", () => undefined), undefined);
  assertEquals(table.get("a"), undefined);
});

Deno.test("SharedTable rounds times up and keeps numbers in range", () => {
  const table = new SharedTable(create(64));
  table.update("a", () => ({ value: 70_000, atMs: nowMs + 1 }));
  assertEquals(table.get("a"), { value: 65_535, atMs: nowMs + 100 });
});

Deno.test("SharedTable gives the place of the oldest entry to a new name", () => {
  const table = new SharedTable(create(8));
  for (let i = 0; i < 9; i++) table.update(`name ${i}`, () => ({ value: i, atMs: nowMs + i * 1000 }));
  assertEquals(table.get("name 0"), undefined);
  for (let i = 1; i < 9; i++) assertEquals(table.get(`name ${i}`)?.value, i);
});

Deno.test("SharedTable.marked() gives the last time a name was marked", () => {
  const buffer = create(8);
  new SharedTable(buffer).mark("a", nowMs);
  new SharedTable(buffer).mark("a", nowMs + 500);
  assertEquals(new SharedTable(buffer).marked("a"), nowMs + 500);
  assertEquals(new SharedTable(buffer).marked("b"), undefined);
});

Deno.test("SharedTable.marked() takes no name of ten thousand for another", () => {
  const table = new SharedTable(create(512));
  for (let i = 0; i < 512; i++) table.mark(`known ${i}`, nowMs);
  for (let i = 0; i < 10_000; i++) assertEquals(table.marked(`stranger ${i}`), undefined);
});
