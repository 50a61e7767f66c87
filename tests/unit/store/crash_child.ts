/**
 * Accepts and delivers messages until it is killed, and prints a message's key once its promise has resolved. Runs in
 * Deno and in Node.
 */
import { writeSync } from "node:fs";
import process from "node:process";
import { openSqliteStore } from "../../../src/store/sqlite/open.ts";
import type { AcceptedMessage } from "../../../src/store/types.ts";

const [, , path = "", firstKey = "1"] = process.argv;
/** Keys of reports lie apart from those of messages. */
const REPORTS_FROM = 2 ** 40;
const store = await openSqliteStore({ path, recover: "yes" });
const account = await store.directory.account("alice");

/** Octets of message `key`: some in one part, some in several. */
function lengthOf(key: number): number {
  return key % 5 === 0 ? 700_000 : 3000;
}

const TRIED = { destination: "example.org", host: "", address: "", tls: "", result: "550 no" };

/** A notification; the message it tells of stands in its Message-ID, which is all there is to find it by. */
function reportOn(key: number): AcceptedMessage {
  return {
    key: key + REPORTS_FROM,
    lastPart: new Uint8Array(2000).fill(1),
    size: 2000,
    receivedAtMs: key,
    envelope: { reversePath: "", recipients: ["bob@example.net", "eve@example.net"], smtpUtf8: false },
    origin: { client: "127.0.0.1", helo: "x", transmission: "ESMTP", made: "notification" },
    messageId: `report ${key}`,
  };
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
    messageId: `${key}`,
  });
  writeSync(1, `accepted ${key}\n`);
  const drop = { account: account!.id, trace: new Uint8Array(30), size: lengthOf(key) + 30 };
  await store.deliveries.record({
    outcomes: [
      { key, index: 0, state: "delivered", atMs: key, detail: "", deliverTo: [drop] },
      { key, index: 1, state: "failed", atMs: key, detail: "", deliverTo: [] },
    ],
    attempts: [{ key, indexes: [1], atMs: key, durationMs: 1, dialogue: "x".repeat(500), ...TRIED }],
    reports: [reportOn(key)],
  });
  writeSync(1, `delivered ${key}\n`);
}

for (let key = Number(firstKey);; key += 8) {
  await Promise.all(Array.from({ length: 8 }, (_, i) => accept(key + i)));
}
