/**
 * Handing out mail: sessions, locks, deletion at QUIT and unique-ids.
 *
 * @module
 */
import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { e2e, message, PASSWORD, pause, type Server } from "./harness.ts";
import { plainResponse } from "./wire.ts";

async function fill(server: Server, count: number): Promise<void> {
  for (let n = 1; n <= count; n++) {
    await server.send({
      to: "alice@example.test",
      data: message({ subject: `number ${n}`, body: `body ${n}\r\n` }),
    });
    await server.mail("alice", n);
  }
}

e2e("CAPA announces what is done, before and after log-in", { core: "core" }, async (server) => {
  const wire = await server.connect("pop3");
  const capabilities = (lines: string[]) => lines.map((line) => line.split(" ")[0]!);
  const before = capabilities(await wire.popList("CAPA"));
  for (
    const word of [
      "TOP",
      "UIDL",
      "USER",
      "SASL",
      "RESP-CODES",
      "AUTH-RESP-CODE",
      "PIPELINING",
      "STLS",
      "UTF8",
      "LANG",
    ]
  ) {
    assertEquals(before.includes(word), true, `${word} is not among ${before.join(" ")}`);
  }
  await wire.popOk("USER alice");
  await wire.popOk(`PASS ${PASSWORD}`);
  const after = capabilities(await wire.popList("CAPA"));
  assertEquals(after.includes("STLS"), false);
  for (const word of ["EXPIRE", "IMPLEMENTATION", "TOP", "UIDL"]) {
    assertEquals(after.includes(word), true, word);
  }
  const languages = await wire.popList("LANG");
  assertEquals(languages.length >= 3, true);
  await wire.popOk("QUIT");
  wire.close();
});

e2e("AUTH PLAIN and a wrong password", { core: "core" }, async (server) => {
  const wire = await server.connect("pop3s");
  await wire.popOk("USER alice");
  await wire.popErr("PASS wrong", "[AUTH]");
  await wire.popOk(`AUTH PLAIN ${plainResponse("alice", PASSWORD)}`);
  await wire.popOk("QUIT");
  wire.close();
});

e2e(
  "a second session is refused with [IN-USE], and let in after the first",
  { core: "core" },
  async (server) => {
    const first = await server.pop3("alice");
    for (const user of ["alice", "alice@example.test"]) {
      const second = await server.connect("pop3");
      await second.popOk(`USER ${user}`);
      await second.popErr(`PASS ${PASSWORD}`, "[IN-USE]");
      second.close();
    }
    await first.popOk("QUIT");
    first.close();
    const third = await server.pop3("alice");
    third.close();
    // A dropped connection gives the maildrop back too.
    await pause(200);
    const fourth = await server.pop3("alice");
    await fourth.popOk("QUIT");
    fourth.close();
  },
);

e2e("DELE takes effect at QUIT and only there", { core: "core" }, async (server) => {
  await fill(server, 3);
  const dropped = await server.pop3("alice");
  await dropped.popOk("DELE 1");
  await dropped.popErr("RETR 1");
  await dropped.popErr("DELE 1");
  await dropped.popErr("LIST 1");
  await dropped.popErr("TOP 1 0");
  await dropped.popErr("UIDL 1");
  assertMatch(await dropped.popOk("STAT"), /^\+OK 2 /);
  dropped.close();
  await pause(200);
  const kept = await server.pop3("alice");
  assertMatch(await kept.popOk("STAT"), /^\+OK 3 /);
  await kept.popOk("DELE 2");
  await kept.popOk("QUIT");
  kept.close();
  const left = await server.mail("alice", 2);
  assertEquals(left.map((text) => /body \d/.exec(text)![0]), ["body 1", "body 3"]);
});

e2e("sizes are the octets that RETR sends, and TOP counts body lines", { core: "core" }, async (server) => {
  await server.send({
    to: "alice@example.test",
    data: message({ subject: "dots", body: ".\r\n..\r\nthree\r\nfour\r\n" }),
  });
  await server.mail("alice", 1);
  const wire = await server.pop3("alice");
  const whole = await wire.popBody("RETR 1");
  const [, size] = (await wire.popOk("LIST 1")).split(" ").slice(1).map(Number);
  assertEquals(whole.length, size);
  assertEquals((await wire.popOk("STAT")).split(" ").slice(1, 3).map(Number), [1, size]);
  const header = whole.slice(0, whole.indexOf("\r\n\r\n") + 4);
  assertEquals(await wire.popBody("TOP 1 0"), header);
  assertEquals(await wire.popBody("TOP 1 2"), `${header}.\r\n..\r\n`);
  assertEquals(await wire.popBody("TOP 1 1000"), whole);
  await wire.popOk("QUIT");
  wire.close();
});

e2e("pipelined commands are answered in order", {}, async (server) => {
  await fill(server, 2);
  const wire = await server.pop3("alice");
  await wire.write("STAT\r\nNOOP\r\nUIDL 1\r\nUIDL 2\r\nDELE 1\r\nRSET\r\nLAST\r\nQUIT\r\n");
  const answers = [];
  for (let i = 0; i < 8; i++) answers.push((await wire.line()).slice(0, 4).trim());
  assertEquals(answers, ["+OK", "+OK", "+OK", "+OK", "+OK", "+OK", "-ERR", "+OK"]);
  wire.close();
});

e2e("unique-ids stay over restarts and are never used again", { core: "core" }, async (server) => {
  const uidl = async () => {
    const wire = await server.pop3("alice");
    const lines = await wire.popList("UIDL");
    await wire.popOk("QUIT");
    wire.close();
    return lines.map((line) => line.split(" ")[1]!);
  };
  const deleteAll = async (count: number) => {
    const wire = await server.pop3("alice");
    for (let n = 1; n <= count; n++) await wire.popOk(`DELE ${n}`);
    await wire.popOk("QUIT");
    wire.close();
  };
  await fill(server, 3);
  const before = await uidl();
  for (const id of before) assertMatch(id, /^[\x21-\x7e]{1,70}$/);
  await server.stop();
  await server.start();
  assertEquals(await uidl(), before);
  await deleteAll(3);
  await server.stop();
  await server.start();
  await fill(server, 3);
  const after = await uidl();
  assertEquals(after.filter((id) => before.includes(id)), []);
  assertEquals(new Set(after).size, 3);
});

e2e("pop3: N keeps an account from logging in", {}, async (server) => {
  await server.addUser("terminal", "--pop3", "N");
  const wire = await server.connect("pop3");
  await wire.popOk("USER terminal");
  assertNotEquals((await wire.pop(`PASS ${PASSWORD}`)).slice(0, 3), "+OK");
  wire.close();
});

e2e("a removed or re-passworded account is refused at once", {}, async (server) => {
  const first = await server.pop3("bob");
  await first.popOk("QUIT");
  first.close();
  await server.mustCli(["user", "passwd", "bob", "--password-stdin"], { stdin: "Another-Horse-8\n" });
  const old = await server.connect("pop3");
  await old.popOk("USER bob");
  await old.popErr(`PASS ${PASSWORD}`);
  old.close();
  const fresh = await server.connect("pop3");
  await fresh.popOk("USER bob");
  await fresh.popOk("PASS Another-Horse-8");
  await fresh.popOk("QUIT");
  fresh.close();
  await server.mustCli(["user", "remove", "bob", "--yes"]);
  const gone = await server.connect("pop3");
  await gone.popOk("USER bob");
  await gone.popErr("PASS Another-Horse-8");
  gone.close();
});
