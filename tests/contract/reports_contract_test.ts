/** Every promise of src/store/report_types.ts, on every implementation. */
import { assertEquals } from "@std/assert";
import type { Report, Store, StoredContent } from "../../src/store/types.ts";
import { bodyOf, message, outcome } from "../unit/store/fixtures.ts";
import { assertStoreError, contract } from "./contract.ts";

/** Brings the parts of a content. */
async function content(store: Store, key: number, ...parts: string[]): Promise<StoredContent> {
  const octets = parts.map((part) => new TextEncoder().encode(part));
  for (const part of octets) await store.spool.append(key, part);
  const size = octets.reduce((sum, { length }) => sum + length, 0);
  return { key, size, octets: size, fileName: `R${key}.TXT`, type: "text/plain; charset=utf-8" };
}

function report(name: string, file: StoredContent, changes: Partial<Report> = {}): Omit<Report, "version"> {
  return {
    name,
    title: `about ${name}`,
    owner: "ann",
    readers: "everyone",
    createdAtMs: 42,
    carriage: "none",
    file,
    ...changes,
  };
}

contract("put() keeps versions, list() gives the newest of each by name", async (store) => {
  const sales = report("SALES", await content(store, 1, "first ", "half"));
  assertEquals(await store.reports.put(sales), { ...sales, version: 1 });
  assertEquals(await bodyOf(store, 1), "first half");
  const rendered = { text: await content(store, 3, "text"), pdf: await content(store, 4, "pdf") };
  const second = report("SALES", await content(store, 2, "second"), {
    rendered,
    carriage: "asa",
    readers: ["bob", "eve"],
    owner: "",
  });
  assertEquals((await store.reports.put(second)).version, 2);
  const stock = report("BACKLOG", await content(store, 5), { readers: [] });
  assertEquals((await store.reports.put(stock)).version, 1);
  assertEquals(await store.reports.list(), [{ ...stock, version: 1 }, { ...second, version: 2 }]);
  assertEquals(await store.reports.versions("SALES"), [{ ...second, version: 2 }, { ...sales, version: 1 }]);
  assertEquals(await store.reports.versions("NONE"), []);
  assertEquals([await bodyOf(store, 4), await bodyOf(store, 5)], ["pdf", undefined]);
  assertEquals(await store.history.newestKey(), 5);
  assertEquals(await store.history.message(1), undefined);
});

contract(
  "put() refuses parts that don't add up and keys that are taken, and leaves nothing",
  async (store) => {
    const file = await content(store, 1, "half");
    await assertStoreError(store.reports.put(report("R", { ...file, size: 5 })), "conflict");
    assertEquals(await store.reports.list(), []);
    await store.reports.put(report("R", file));
    await assertStoreError(store.reports.put(report("S", file)), "conflict");
    await assertStoreError(store.spool.append(1, new Uint8Array(3)), "conflict");
    await store.spool.accept(message(2, { body: "mail" }));
    await assertStoreError(store.reports.put(report("S", { ...file, key: 2 })), "conflict");
    const pdf = { ...file, key: 9 };
    const broken = report("S", await content(store, 3, "text"), { rendered: { text: file, pdf } });
    await assertStoreError(store.reports.put(broken), "conflict");
    assertEquals((await store.reports.list()).map(({ name }) => name), ["R"]);
    // What was refused is still on its way, and can be put right.
    await store.reports.put(report("S", { ...file, key: 3 }));
    assertEquals([await bodyOf(store, 1), await bodyOf(store, 2), await bodyOf(store, 3)], [
      "half",
      "mail",
      "text",
    ]);
  },
);

contract("remove() takes versions out, and their numbers aren't used again", async (store) => {
  for (const key of [1, 2, 3]) await store.reports.put(report("R", await content(store, key, `v${key}`)));
  assertEquals(await store.reports.remove("R", 3), 1);
  assertEquals(await store.reports.remove("R", 1), 1);
  await assertStoreError(store.reports.remove("R", 3), "missing");
  await assertStoreError(store.reports.remove("S"), "missing");
  assertEquals([await bodyOf(store, 1), await bodyOf(store, 2), await bodyOf(store, 3)], [
    undefined,
    "v2",
    undefined,
  ]);
  assertEquals((await store.reports.put(report("R", await content(store, 4, "v4")))).version, 4);
  assertEquals((await store.reports.versions("R")).map(({ version }) => version), [4, 2]);
  assertEquals(await store.reports.remove("R"), 2);
  assertEquals([await bodyOf(store, 2), await bodyOf(store, 4)], [undefined, undefined]);
  assertEquals(await store.reports.versions("R"), []);
  assertEquals((await store.reports.put(report("R", await content(store, 5, "v1")))).version, 1);
  await store.reports.remove("R");
  assertEquals(await store.history.newestKey(), 5, "a key is never used again");
});

contract("who is gone owns and reads no report, whoever has the name next", async (store) => {
  const account = (name: string) => ({
    name,
    pop3: "Y" as const,
    sendAsAny: false,
    passwordHash: "",
    scramVerifier: "",
    createdAtMs: 1,
  });
  await store.directory.addAccount(account("ann"));
  await store.reports.put(report("OWN", await content(store, 1, "x"), { readers: ["ann", "bob"] }));
  await store.reports.put(report("OPEN", await content(store, 2, "x")));
  await store.reports.put(report("OTHER", await content(store, 3, "x"), { owner: "bob", readers: ["eve"] }));
  await store.directory.removeAccount("ann");
  const seen = (await store.reports.list()).map(({ name, owner, readers }) => [name, owner, readers]);
  assertEquals(seen, [["OPEN", "", "everyone"], ["OTHER", "bob", ["eve"]], ["OWN", "", ["bob"]]]);
});

contract("mail holds a stretch of a report's content, and keeps it", async (store) => {
  const text = await content(store, 1, "cmVwb3J0\r\n");
  await store.reports.put(
    report("R", text, { carriage: "asa", rendered: { text, pdf: await content(store, 2, "p") } }),
  );
  const segments = [{ offset: 0, length: 6 }, { source: 1, offset: 0, length: 10 }, { offset: 6, length: 3 }];
  await store.spool.accept(message(10, { body: "head\r\nend", segments }));
  await store.spool.accept(message(11, { body: "", segments: [{ source: 10, offset: 6, length: 10 }] }));
  assertEquals(await store.reports.remove("R"), 1);
  assertEquals([await bodyOf(store, 10), await bodyOf(store, 2)], ["head\r\ncmVwb3J0\r\nend", undefined]);
  await store.deliveries.record({ outcomes: [outcome(10, "relayed")] });
  assertEquals([await bodyOf(store, 11), await bodyOf(store, 1)], ["cmVwb3J0\r\n", "cmVwb3J0\r\n"]);
  await store.deliveries.record({ outcomes: [outcome(11, "relayed")] });
  assertEquals([await bodyOf(store, 11), await bodyOf(store, 1)], [undefined, undefined]);
});
