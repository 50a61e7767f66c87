/**
 * Accepts and delivers messages until it is killed, and prints a message's key once its promise has resolved. Runs in
 * Deno and in Node.
 */
import { writeSync } from "node:fs";
import process from "node:process";
import { openSqliteStore } from "../../../src/store/sqlite/open.ts";

const [, , path = "", firstKey = "1"] = process.argv;
const store = await openSqliteStore({ path, recover: "yes" });
const account = await store.directory.account("alice");

/** Octets of message `key`: some in one part, some in several. */
function lengthOf(key: number): number {
  return key % 5 === 0 ? 700_000 : 3000;
}

async function accept(key: number): Promise<void> {
  let left = lengthOf(key);
  for (; left > 256 * 1024; left -= 256 * 1024) {
    await store.spool.append(key, new Uint8Array(256 * 1024).fill(key % 251));
  }
  await store.spool.accept({
    key,
    lastPart: new Uint8Array(left).fill(key % 251),
    size: lengthOf(key),
    receivedAtMs: key,
    envelope: { reversePath: "bob@example.net", recipients: ["alice", "carol"], smtpUtf8: false },
    origin: { client: "192.0.2.7", helo: "x", transmission: "ESMTP" },
    messageId: "",
  });
  writeSync(1, `accepted ${key}\n`);
  const drop = { account: account!.id, trace: new Uint8Array(30), size: lengthOf(key) + 30 };
  await store.deliveries.record([
    { key, index: 0, state: "delivered", atMs: key, detail: "", deliverTo: [drop] },
  ]);
  writeSync(1, `delivered ${key}\n`);
}

for (let key = Number(firstKey);; key += 8) {
  await Promise.all(Array.from({ length: 8 }, (_, i) => accept(key + i)));
}
