/** kill -9 at any moment: what was answered is there whole, nothing is there by half. */
import { assert, assertEquals } from "@std/assert";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { openSqliteStore, storePath } from "../../../src/store/sqlite/open.ts";
import { account, withFolder } from "./fixtures.ts";

const CHILD = fileURLToPath(new URL("./crash_child.ts", import.meta.url));
const NODE = fileURLToPath(new URL("../../../.tools/bin/node", import.meta.url));
const ROUNDS = 3;

/** Runs the child until `killAfterMs` after its first line, and gives what it printed. */
async function runAndKill(command: readonly string[], killAfterMs: number): Promise<string[]> {
  const child = spawn(command[0]!, command.slice(1), { stdio: ["ignore", "pipe", "pipe"] });
  let printed = "";
  let complaints = "";
  const ended = new Promise<void>((resolve) => child.on("close", () => resolve()));
  child.stderr.on("data", (data) => complaints += data);
  await new Promise<void>((resolve) => {
    child.stdout.on("data", (data) => {
      printed += data;
      resolve();
    });
    child.on("close", () => resolve());
  });
  await new Promise((resolve) => setTimeout(resolve, killAfterMs));
  child.kill("SIGKILL");
  await ended;
  assert(printed !== "", `the child printed nothing: ${complaints}`);
  // A line without its end was not printed whole; it was not promised to anybody.
  return printed.split("\n").slice(0, -1);
}

/** Reopens the store as a server does and compares it with what the child printed. */
async function checkStore(path: string, printed: readonly string[]): Promise<number> {
  const keysOf = (word: string) =>
    printed.filter((line) => line.startsWith(word)).map((line) => Number(line.split(" ")[1]));
  const store = await openSqliteStore({ path, recover: "yes" });
  for (const key of keysOf("accepted")) {
    assert(await store.history.message(key) !== undefined, `${key} is lost`);
  }
  const { id } = (await store.directory.account("alice"))!;
  const listing = await store.maildrops.list(id);
  const inMaildrop = new Set(Array.from(listing.keys));
  for (const key of keysOf("delivered")) assert(inMaildrop.has(key), `${key} is not in the maildrop`);
  const octets = Array.from(listing.sizes).reduce((sum, size) => sum + size, 0);
  assertEquals(await store.maildrops.usage(id), { octets, messages: inMaildrop.size });
  await store.close();

  const database = new DatabaseSync(path, { readOnly: true });
  assertEquals(database.prepare("PRAGMA integrity_check").get()!.integrity_check, "ok");
  const one = (sql: string) => database.prepare(`SELECT (${sql}) AS value`).get()!.value;
  assertEquals(one("SELECT count(*) FROM arriving"), 0, "orphans");
  assertEquals(
    one("SELECT count(*) FROM part WHERE (id >> 16) NOT IN (SELECT key FROM message)"),
    0,
    "orphans",
  );
  assertEquals(
    one(`SELECT count(*) FROM message WHERE size <>
      (SELECT sum(length(data)) FROM part WHERE id BETWEEN key * 65536 AND key * 65536 + 65535)`),
    0,
    "messages by half",
  );
  assertEquals(
    one(
      "SELECT count(*) FROM message WHERE 2 <> (SELECT count(*) FROM recipient WHERE recipient.key = message.key)",
    ),
    0,
    "recipients by half",
  );
  assertEquals(
    one(`SELECT count(*) FROM message WHERE refs <>
      (SELECT count(*) FROM recipient WHERE recipient.key = message.key AND state IN (0, 3, 4)) +
      (SELECT count(*) FROM entry WHERE entry.key = message.key)`),
    0,
    "wrong counts",
  );
  const failed = one(`SELECT count(*) FROM recipient WHERE state = 2`);
  assertEquals(one("SELECT count(*) FROM message WHERE message_id LIKE 'report %'"), failed, "reports alone");
  assertEquals(
    one(`SELECT count(*) FROM recipient WHERE state = 2 AND NOT EXISTS
      (SELECT 1 FROM message WHERE message_id = 'report ' || recipient.key)`),
    0,
    "failed, and nobody is told",
  );
  assertEquals(one("SELECT count(*) FROM attempt"), failed, "tries without their outcomes");
  const newest = one("SELECT max(key) FROM message WHERE message_id NOT LIKE 'report %'") as number;
  database.close();
  return newest;
}

async function survives(command: readonly string[]): Promise<void> {
  await withFolder(async (folder) => {
    const path = storePath(folder);
    const store = await openSqliteStore({ path });
    await store.directory.addAccount(account("alice"));
    await store.close();
    let newest = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const printed = await runAndKill([...command, CHILD, path, String(newest + 1)], Math.random() * 250);
      const found = await checkStore(path, printed);
      assert(found > newest, "the child accepted nothing");
      newest = found;
    }
  });
}

Deno.test("kill -9 loses nothing that was promised and leaves nothing by half (Deno)", () =>
  survives([Deno.execPath(), "run", "--quiet", "--no-check", "--allow-all"]));

Deno.test({
  name: "kill -9 loses nothing that was promised and leaves nothing by half (Node)",
  ignore: !existsSync(NODE),
  fn: () => survives([NODE, "--no-warnings"]),
});
