/** Files of schema version 2, as they were before mail was broken apart. */
import { assertEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { MIGRATIONS } from "../../../src/store/sqlite/migrations.ts";
import { openSqliteStore, storePath } from "../../../src/store/sqlite/open.ts";
import { account, bodyOf, deliveredApart, message, outcome, pieceOf, withFolder } from "./fixtures.ts";

/** Accounts of each kind of access; a message that alice has, and that waits for another recipient. */
function makeSecondSchema(path: string): void {
  const database = new DatabaseSync(path);
  for (const migration of MIGRATIONS.slice(0, 2)) database.exec(migration);
  database.exec(`
    PRAGMA application_id = ${0x454d536d};
    PRAGMA user_version = 2;
    INSERT INTO account VALUES
      (1, 'alice', 'Y', 1000, NULL, 0, '', '', 42),
      (2, 'bob', 'P', NULL, NULL, 1, '', '', 43),
      (3, 'carol', 'N', NULL, NULL, 0, '', '', 44);
    INSERT INTO usage VALUES (1, 100, 1), (2, 0, 0), (3, 0, 0);
    INSERT INTO message VALUES
      (1, 1000, 4, 'bob@example.net', 0, 'm1', '{"client":"192.0.2.7","helo":"x","transmission":"ESMTP"}', 2, NULL);
    INSERT INTO part VALUES (65536, CAST('kept' AS BLOB));
    INSERT INTO recipient (key, place, address, state, at, detail, accounts) VALUES
      (1, 0, 'alice@example.org', 1, 1001, 'delivered here', '[1]'),
      (1, 1, 'b@example.org', 0, 1000, '', NULL);
    INSERT INTO entry VALUES (1, 1, 100, 0, 1001, x'');
  `);
  database.close();
}

Deno.test("openSqliteStore() gives accounts of schema version 2 what they had: Y was P", () =>
  withFolder(async (folder) => {
    const path = storePath(folder);
    makeSecondSchema(path);
    const store = await openSqliteStore({ path, recover: "yes" });
    const access = async () => (await store.directory.accounts()).map(({ name, pop3 }) => [name, pop3]);
    assertEquals(await access(), [["alice", "P"], ["bob", "P"], ["carol", "N"]]);
    // Only once: whoever is Y from now on stays so.
    await store.directory.addAccount(account("dave"));
    await store.directory.changeAccount("alice", { pop3: "Y" });
    await store.close();
    const again = await openSqliteStore({ path, recover: "yes" });
    assertEquals((await again.directory.accounts()).map(({ pop3 }) => pop3), ["Y", "P", "N", "Y"]);
    await again.close();
  }));

Deno.test("openSqliteStore() finds mail of schema version 2 whole, and it can be broken apart", () =>
  withFolder(async (folder) => {
    const path = storePath(folder);
    makeSecondSchema(path);
    const store = await openSqliteStore({ path, recover: "yes" });
    assertEquals([await bodyOf(store, 1), (await store.history.message(1))?.pieces], ["kept", []]);
    await store.spool.accept(message(2, { body: "", segments: [{ source: 1, offset: 1, length: 3 }] }));
    await store.deliveries.record({
      pieces: [pieceOf(1, 3, { own: "", segments: [{ source: 1, offset: 0, length: 2 }] })],
      outcomes: [deliveredApart(1, [1, 2], { index: 1, pieces: [3] })],
    });
    assertEquals(Array.from((await store.maildrops.list(1)).keys), [1], "alice has it already");
    assertEquals(Array.from((await store.maildrops.list(2)).keys), [3]);
    await store.maildrops.remove(1, [1]);
    await store.maildrops.remove(2, [3]);
    assertEquals([await bodyOf(store, 1), await bodyOf(store, 2)], ["kept", "ept"]);
    await store.deliveries.record({ outcomes: [outcome(2, "relayed")] });
    assertEquals(await bodyOf(store, 1), undefined);
    await store.close();
  }));
