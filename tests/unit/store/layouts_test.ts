/** What the reader remembers of bodies made of stretches of others. */
import { assertEquals } from "@std/assert";
import { SEGMENTS } from "../../../src/base/limits.ts";
import { openSqliteStore, storePath } from "../../../src/store/sqlite/open.ts";
import { bodyOf, message, outcome, withFolder } from "./fixtures.ts";

Deno.test("bodies of more stretches than are remembered are read right, again and again", () =>
  withFolder(async (folder) => {
    const store = await openSqliteStore({ path: storePath(folder) });
    const source = Array.from({ length: SEGMENTS }, (_, i) => String.fromCharCode(97 + i % 23)).join("");
    await store.spool.accept(message(1, { body: source }));
    const expected = new Map<number, string>();
    for (let key = 2; key < 20; key++) {
      // Backwards, so that no two are one.
      const segments = Array.from({ length: SEGMENTS }, (_, i) => (
        { source: 1, offset: (SEGMENTS - 1 - i + key) % SEGMENTS, length: 1 }
      ));
      expected.set(key, segments.map(({ offset }) => source[offset]).join(""));
      await store.spool.accept(message(key, { body: "", segments }));
    }
    for (let round = 0; round < 2; round++) {
      for (const [key, body] of expected) assertEquals(await bodyOf(store, key), body);
    }
    // What is remembered doesn't outlive the body.
    await store.deliveries.record({ outcomes: [outcome(19, "relayed")] });
    assertEquals(await bodyOf(store, 19), undefined);
    assertEquals(await bodyOf(store, 18), expected.get(18));
    await store.close();
  }));

Deno.test("another process's changes are seen, whatever is remembered", () =>
  withFolder(async (folder) => {
    const path = storePath(folder);
    const serving = await openSqliteStore({ path, recover: "yes" });
    await serving.spool.accept(message(1, { body: "0123456789" }));
    await serving.spool.accept(message(2, { body: "", segments: [{ source: 1, offset: 2, length: 5 }] }));
    assertEquals(await bodyOf(serving, 2), "23456");
    const command = await openSqliteStore({ path });
    assertEquals(await bodyOf(command, 2), "23456");
    await command.queue.act({ keys: [2] }, { kind: "drop", detail: "" });
    assertEquals([await bodyOf(serving, 2), await bodyOf(serving, 1)], [undefined, "0123456789"]);
    await command.close();
    await serving.close();
  }));
