/** What is particular to the store in SQLite: its file, other processes, a full disk, crashes. */
import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { openSqliteStore, storePath } from "../../../src/store/sqlite/open.ts";
import { Refusal } from "../../../src/store/sqlite/operations.ts";
import { connectForWriting, SCHEMA_VERSION } from "../../../src/store/sqlite/schema.ts";
import { SqliteWriter } from "../../../src/store/sqlite/writer.ts";
import type { AcceptOperation } from "../../../src/store/sqlite/operations.ts";
import { type QueuedMessage, StoreError } from "../../../src/store/types.ts";
import {
  account,
  bodyOf,
  delivered,
  listening,
  message,
  startWriter,
  until,
  withFolder,
} from "./fixtures.ts";

const text = (value: string) => new TextEncoder().encode(value);

function acceptOperation(key: number, octets: number): AcceptOperation {
  return {
    op: "accept",
    key,
    part: new Uint8Array(octets).fill(120),
    size: octets,
    receivedAtMs: 1,
    reversePath: "bob@example.net",
    recipients: ["alice@example.org"],
    smtpUtf8: false,
    messageId: "",
    origin: "{}",
  };
}

async function rejection(promise: Promise<unknown>): Promise<StoreError> {
  return await assertRejects(() => promise, StoreError);
}

Deno.test("openSqliteStore() makes folder and file for their owner only", () =>
  withFolder(async (folder) => {
    const data = join(folder, "deep", "data");
    const store = await openSqliteStore({ path: storePath(data) });
    await store.spool.accept(message(1));
    for (const [name, mode] of [["", 0o700], ["emsmail.db", 0o600], ["emsmail.db-wal", 0o600]] as const) {
      assertEquals((await Deno.stat(join(data, name))).mode! & 0o777, mode, name);
    }
    await store.close();
    // An orderly close leaves one file, which is all there is to copy.
    assertEquals([...Deno.readDirSync(data)].map(({ name }) => name), ["emsmail.db"]);
    const bytes = await Deno.readFile(storePath(data));
    assertEquals(new TextDecoder().decode(bytes.slice(68, 72)), "EMSm");
  }));

Deno.test("openSqliteStore() finds everything again", () =>
  withFolder(async (folder) => {
    const path = storePath(folder);
    const first = await openSqliteStore({ path });
    const { id } = await first.directory.addAccount(account("alice"));
    await first.spool.accept(message(1, { body: "one" }));
    await first.spool.accept(message(2, { body: "two" }));
    await first.deliveries.record({ outcomes: [delivered(1, [id])] });
    await first.close();
    const second = await openSqliteStore({ path, recover: "yes" });
    const waiting: QueuedMessage[] = [];
    second.deliveries.subscribe(listening((messages) => waiting.push(...messages)));
    await until(() => waiting.length > 0);
    assertEquals(waiting.map(({ key }) => key), [2]);
    assertEquals([await bodyOf(second, 1), await bodyOf(second, 2)], ["one", "two"]);
    assertEquals(await second.history.newestKey(), 2);
    await second.close();
  }));

Deno.test("openSqliteStore() refuses a newer schema and says which version is needed", () =>
  withFolder(async (folder) => {
    const path = storePath(folder);
    await (await openSqliteStore({ path })).close();
    const database = new DatabaseSync(path);
    database.exec(`PRAGMA user_version = ${SCHEMA_VERSION + 3}`);
    database.close();
    for (const mode of ["read-write", "read-only"] as const) {
      const error = await rejection(openSqliteStore({ path, mode }));
      assertEquals(error.kind, "newer-schema");
      assertStringIncludes(error.message, `use an emsmail that knows schema version ${SCHEMA_VERSION + 3}`);
    }
    const writer = startWriter(path);
    assertEquals((await rejection(writer.ready)).kind, "newer-schema");
    assertEquals(
      (await rejection(openSqliteStore({ path, writer: writer.connect() }))).kind,
      "newer-schema",
    );
    await writer.stop();
  }));

Deno.test("openSqliteStore() leaves another program's files alone", () =>
  withFolder(async (folder) => {
    const path = storePath(folder);
    const database = new DatabaseSync(path);
    database.exec("CREATE TABLE theirs (x)");
    database.close();
    const before = await Deno.readFile(path);
    assertEquals((await rejection(openSqliteStore({ path }))).kind, "damaged");
    assertEquals(await Deno.readFile(path), before);
    await Deno.writeTextFile(
      path,
      "this is no database at all, but a text that somebody put here".repeat(100),
    );
    const error = await rejection(openSqliteStore({ path }));
    assertEquals([error.kind, error.message.includes("not a database")], ["damaged", true]);
  }));

Deno.test("openSqliteStore() says what is wrong with a folder it can't use", () =>
  withFolder(async (folder) => {
    await Deno.writeTextFile(join(folder, "file"), "");
    const error = await rejection(openSqliteStore({ path: join(folder, "file", "emsmail.db") }));
    assertEquals(error.kind, "damaged");
    assertStringIncludes(error.message, "make its folder writable");
    assertEquals(
      (await rejection(openSqliteStore({ path: storePath(folder), mode: "read-only" }))).kind,
      "missing",
    );
  }));

Deno.test("openSqliteStore() with read-only changes nothing", () =>
  withFolder(async (folder) => {
    const path = storePath(folder);
    const store = await openSqliteStore({ path });
    await store.spool.accept(message(1, { body: "one" }));
    const reading = await openSqliteStore({ path, mode: "read-only" });
    assertEquals(await bodyOf(reading, 1), "one");
    assertEquals((await rejection(reading.spool.accept(message(2)))).kind, "conflict");
    assertThrows(() => reading.deliveries.subscribe(listening(() => {})), StoreError);
    await reading.close();
    await store.close();
  }));

Deno.test("a second process's messages reach the subscriber, in both arrangements", () =>
  withFolder(async (folder) => {
    for (const arrangement of ["thread", "local"] as const) {
      const path = storePath(join(folder, arrangement));
      const writer = arrangement === "thread" ? startWriter(path, { tickMs: 20 }) : undefined;
      await writer?.ready;
      const serving = await openSqliteStore({ path, recover: "yes", tickMs: 20, writer: writer?.connect() });
      const waiting: number[] = [];
      serving.deliveries.subscribe(listening((messages) => waiting.push(...messages.map(({ key }) => key))));
      await serving.spool.accept(message(1));
      await until(() => waiting.length === 1);
      const command = await openSqliteStore({ path });
      await command.spool.accept(message(2, { body: "from a command" }));
      await until(() => waiting.length === 2);
      await command.close();
      await serving.spool.accept(message(3));
      await until(() => waiting.length === 3);
      await new Promise((resolve) => setTimeout(resolve, 60));
      assertEquals(waiting, [1, 2, 3]);
      assertEquals(await bodyOf(serving, 2), "from a command");
      await serving.close();
      await writer?.stop();
    }
  }));

Deno.test("an operation is refused as busy while another process writes, and works afterwards", () =>
  withFolder(async (folder) => {
    const path = storePath(folder);
    const store = await openSqliteStore({ path, busyTimeoutMs: 50, tickMs: 10 });
    const other = new DatabaseSync(path);
    other.exec("BEGIN IMMEDIATE");
    const waiting: number[] = [];
    store.deliveries.subscribe(listening((messages) => waiting.push(...messages.map(({ key }) => key))));
    const error = await rejection(store.spool.accept(message(1)));
    assertEquals(error.kind, "busy");
    assertStringIncludes(error.message, "another process");
    other.exec("ROLLBACK");
    other.close();
    await store.spool.accept(message(1));
    // subscribe() could not read the backlog either, and must not have given up.
    await until(() => waiting.length === 1);
    await store.close();
  }));

Deno.test("several threads' stores share one writer", () =>
  withFolder(async (folder) => {
    const path = storePath(folder);
    const writer = startWriter(path);
    const stores = await Promise.all(
      [1, 2, 3].map(() => openSqliteStore({ path, writer: writer.connect() })),
    );
    const waiting: number[] = [];
    stores[2]!.deliveries.subscribe(listening((messages) => waiting.push(...messages.map(({ key }) => key))));
    const keys = Array.from({ length: 60 }, (_, i) => i + 1);
    const large = 300_000;
    await Promise.all(keys.map((key) => (
      stores[key % 2]!.spool.accept(
        message(key, { body: new Uint8Array(key % 10 === 0 ? large : 10).fill(key) }),
      )
    )));
    await until(() => waiting.length === keys.length);
    assertEquals(waiting.sort((a, b) => a - b), keys);
    for (const key of keys) {
      const part = await stores[2]!.maildrops.part(key, 0);
      assertEquals([part?.length, part?.[0]], [key % 10 === 0 ? large : 10, key]);
    }
    await stores[0]!.close();
    await stores[1]!.spool.accept(message(99));
    const last = stores[1]!.spool.accept(message(100));
    await Promise.all([last, stores[1]!.close()]);
    await writer.stop();
    // The third one's port is gone with the writer.
    assertEquals((await rejection(stores[2]!.spool.accept(message(101)))).kind, "busy");
    await stores[2]!.close();
    const again = await openSqliteStore({ path });
    assertEquals(await again.history.newestKey(), 100);
    await again.close();
  }));

Deno.test("SqliteWriter.apply() on a full disk refuses the batch, keeps the store whole, and recovers", () =>
  withFolder((folder) => {
    const path = storePath(folder);
    let limited: DatabaseSync | undefined;
    // A limit of pages stands in for the disk's end; it belongs to a connection, so the writer's own has to be caught.
    const exec = DatabaseSync.prototype.exec;
    DatabaseSync.prototype.exec = function (sql: string) {
      limited = this;
      return exec.call(this, sql);
    };
    const writer = new SqliteWriter(path);
    DatabaseSync.prototype.exec = exec;
    limited!.exec("PRAGMA max_page_count = 60");
    let accepted = 0;
    let refused: unknown[] = [];
    for (let key = 1; key < 100 && refused.length === 0; key += 2) {
      const results = writer.apply([acceptOperation(key, 20_000), acceptOperation(key + 1, 20_000)]);
      refused = results.filter((result) => result instanceof Refusal);
      if (refused.length === 0) accepted += 2;
    }
    assert(accepted > 4);
    assertEquals(refused.length, 2);
    const { error } = refused[0] as { error: StoreError };
    assertEquals([error.kind, error.message.includes("free space")], ["full", true]);
    limited!.exec("PRAGMA max_page_count = 1000");
    assertEquals(writer.apply([acceptOperation(1000, 20_000)]), [undefined]);
    writer.close();
    const database = connectForWriting(path);
    assertEquals(database.prepare("SELECT count(*) AS n FROM message").get()!.n, accepted + 1);
    assertEquals(database.prepare("SELECT count(*) AS n FROM part").get()!.n, accepted + 1);
    assertEquals(database.prepare("PRAGMA integrity_check").get()!.integrity_check, "ok");
    database.close();
    return Promise.resolve();
  }));

Deno.test("SqliteWriter with recover removes orphans and leaves the rest; without, it leaves them", () =>
  withFolder(async (folder) => {
    const path = storePath(folder);
    const store = await openSqliteStore({ path });
    await store.spool.append(1, text("orphan"));
    await store.spool.append(1, text("orphan"));
    await store.spool.append(2, text("whole "));
    await store.spool.accept(message(2, { body: "message", earlierOctets: 6 }));
    await store.spool.append(2 ** 47 - 1, text("orphan"));
    const command = await openSqliteStore({ path, recover: "no" });
    await command.close();
    assertEquals(await bodyOf(store, 1), "orphanorphan");
    await store.close();
    const serving = await openSqliteStore({ path, recover: "yes" });
    assertEquals(await bodyOf(serving, 1), undefined);
    assertEquals(await bodyOf(serving, 2 ** 47 - 1), undefined);
    assertEquals(await bodyOf(serving, 2), "whole message");
    await serving.close();
  }));

Deno.test("list() of 100,000 messages takes well under a second", () =>
  withFolder(async (folder) => {
    const path = storePath(folder);
    await (await openSqliteStore({ path })).close();
    const database = new DatabaseSync(path);
    database.exec(`
      INSERT INTO entry (account, key, size, smtp_utf8, at, trace)
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
      SELECT 7, 100000000000 + i * 256, 4000 + i % 100, i % 1000 = 0, 1800000000000 + i, zeroblob(60) FROM n`);
    database.close();
    const store = await openSqliteStore({ path, mode: "read-only" });
    const startMs = performance.now();
    const listing = await store.maildrops.list(7);
    const tookMs = performance.now() - startMs;
    assertEquals([listing.keys.length, listing.smtpUtf8.size], [100_000, 100]);
    assert(tookMs < 1000, `took ${tookMs} ms`);
    await store.close();
  }));
