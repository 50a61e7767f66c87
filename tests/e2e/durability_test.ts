/**
 * The power goes while mail comes in: what was answered with 250 is there afterwards, once and whole.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { e2e, message, pause, type Server, until } from "./harness.ts";

const SENDERS = 6;
const ROUNDS = 3;

interface Promised {
  /** Ids whose message was answered with 250. */
  readonly kept: Set<string>;
  /** Ids that were begun at all. */
  readonly begun: Set<string>;
}

/** Sends until the connection breaks; bodies from a line to several parts. */
async function sendUntilBroken(server: Server, promised: Promised): Promise<void> {
  try {
    const wire = await server.connect("smtp");
    await wire.expect(250, "EHLO client.example.test");
    for (let n = 0;; n++) {
      const id = crypto.randomUUID();
      const body = `id ${id}\r\n${`${"x".repeat(98)}\r\n`.repeat(n % 10 === 9 ? 6000 : n % 40)}end ${id}\r\n`;
      promised.begun.add(id);
      await wire.write(
        `MAIL FROM:<s@elsewhere.test>\r\nRCPT TO:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\n`,
      );
      for (let i = 0; i < 3; i++) await wire.expect(250);
      await wire.expect(354, "DATA");
      await wire.expect(250, `${message({ subject: id, body })}.`);
      promised.kept.add(id);
    }
  } catch {
    // The server is gone.
  }
}

/** Every message in a maildrop is one of those sent, whole, and there once; gives their ids. */
async function idsIn(server: Server, user: string, promised: Promised): Promise<string[]> {
  const wire = await server.pop3(user);
  const count = Number((await wire.popOk("STAT")).split(" ")[1]);
  const ids: string[] = [];
  for (let n = 1; n <= count; n++) {
    const text = await wire.popBody(`RETR ${n}`);
    const id = /\r\n\r\nid (\S+)\r\n/.exec(text)?.[1];
    assertEquals(id !== undefined && promised.begun.has(id), true, `message ${n} is none of those sent`);
    assertEquals(text.endsWith(`end ${id}\r\n`), true, `message ${n} is not whole`);
    ids.push(id!);
  }
  await wire.popOk("QUIT");
  wire.close();
  return ids;
}

e2e("kill -9 under load loses nothing that was answered 250", { core: "core" }, async (server) => {
  const promised: Promised = { kept: new Set(), begun: new Set() };
  for (let round = 1; round <= ROUNDS; round++) {
    const senders = Array.from({ length: SENDERS }, () => sendUntilBroken(server, promised));
    await pause(400 + 300 * round);
    await server.crash();
    await Promise.all(senders);
    await server.start();
  }
  assertEquals(promised.kept.size > 50, true, `only ${promised.kept.size} messages got through`);
  for (const user of ["alice", "bob"]) {
    await until(`all ${promised.kept.size} messages to be ${user}'s`, async () => {
      const ids = await idsIn(server, user, promised);
      assertEquals(new Set(ids).size, ids.length, "a message is there twice");
      const held = new Set(ids);
      return [...promised.kept].every((id) => held.has(id));
    });
  }
});

e2e("kill -9 in a POP3 session deletes nothing, and the maildrop is free afterwards", {}, async (server) => {
  for (const n of [1, 2]) {
    await server.send({ to: "alice@example.test", data: message({ subject: `${n}` }) });
    await server.mail("alice", n);
  }
  const wire = await server.pop3("alice");
  await wire.popOk("DELE 1");
  await server.crash();
  wire.close();
  await server.start();
  await server.mail("alice", 2);
});

e2e("SIGTERM under load ends in order and loses nothing that was answered 250", {}, async (server) => {
  const promised: Promised = { kept: new Set(), begun: new Set() };
  const senders = Array.from({ length: SENDERS }, () => sendUntilBroken(server, promised));
  await pause(500);
  await server.stop();
  await Promise.all(senders);
  await server.start();
  await until("everything to be delivered", async () => {
    const held = new Set(await idsIn(server, "alice", promised));
    return [...promised.kept].every((id) => held.has(id));
  });
});
