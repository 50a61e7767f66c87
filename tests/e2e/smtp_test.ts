/**
 * Receiving, octet by octet: what is refused and with which reply, and that what is accepted arrives as it was sent.
 *
 * @module
 */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  bodyOf,
  e2e,
  field,
  message,
  mustRun,
  PASSWORD,
  pause,
  type Server,
  stuff,
  until,
} from "./harness.ts";
import { plainResponse, type Wire } from "./wire.ts";

async function greeted(
  server: Server,
  service: "smtp" | "submission" | "submissions" = "smtp",
): Promise<Wire> {
  const wire = await server.connect(service);
  await wire.expect(250, "EHLO client.example.test");
  return wire;
}

async function authenticated(server: Server, user = "alice"): Promise<Wire> {
  const wire = await greeted(server, "submissions");
  await wire.expect(235, `AUTH PLAIN ${plainResponse(user, PASSWORD)}`);
  return wire;
}

/** MAIL and RCPT, then the answer to DATA's text. */
async function dataAnswer(wire: Wire, data: string): Promise<string> {
  await wire.expect(250, "MAIL FROM:<sender@elsewhere.test>");
  await wire.expect(250, "RCPT TO:<alice@example.test>");
  await wire.expect(354, "DATA");
  await wire.write(data);
  const { code, lines } = await wire.smtp();
  return `${code} ${lines[0]}`;
}

e2e("EHLO announces what is done", { core: "core" }, async (server) => {
  const wire = await server.connect("smtp");
  const { lines } = await wire.expect(250, "EHLO client.example.test");
  const words = lines.slice(1).map((line) => line.split(" ")[0]);
  for (
    const word of [
      "PIPELINING",
      "SIZE",
      "8BITMIME",
      "SMTPUTF8",
      "CHUNKING",
      "ENHANCEDSTATUSCODES",
      "STARTTLS",
      "LIMITS",
    ]
  ) {
    assertEquals(words.includes(word), true, `${word} is not among ${words.join(" ")}`);
  }
  await wire.expect(250, "NOOP");
  await wire.expect(214, "HELP");
  await wire.expect(252, "VRFY alice");
  await wire.expect(500, "NONSENSE");
  await wire.expect(221, "QUIT");
  wire.close();
});

e2e("a message with Return-Path and Received arrives octet for octet", { core: "core" }, async (server) => {
  const data = message({ subject: "whole", body: ".\r\n..\r\n.a\r\n\r\nend\r\n\r\n" });
  await server.send({ from: "Some.One@elsewhere.test", to: "alice@example.test", data });
  const [text] = await server.mail("alice", 1);
  assertEquals(text!.endsWith(data), true);
  assertMatch(text!, /^Return-Path: <Some\.One@elsewhere\.test>\r\nReceived: from client\.example\.test /);
});

e2e("a line feed alone smuggles nothing", { core: "core" }, async (server) => {
  const smuggled =
    "MAIL FROM:<evil@elsewhere.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n";
  for (const end of ["\n.\r\n", "\r\n.\n", "\n.\n", "\r.\r", "\r\n.\r", "\r.\r\n"]) {
    const wire = await greeted(server);
    const answer = await dataAnswer(wire, `Subject: outer\r\n\r\ntext${end}${smuggled}`);
    assertEquals(answer.slice(0, 9), "550 5.6.0", JSON.stringify(end));
    await wire.expect(250, "NOOP");
    wire.close();
  }
  await server.send({ to: ["alice@example.test", "bob@example.test"], data: message({ subject: "proper" }) });
  for (const user of ["alice", "bob"]) {
    const [text] = await server.mail(user, 1);
    assertEquals(field(text!, "Subject"), "proper");
  }
});

e2e(
  "bareNewline: repair makes one message of it",
  { config: { smtp: { bareNewline: "repair" } } },
  async (server) => {
    const wire = await greeted(server);
    const smuggled =
      "MAIL FROM:<evil@elsewhere.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nSubject: x\r\n\r\nx";
    const answer = await dataAnswer(wire, `Subject: outer\r\n\r\none\ntwo\n.\r\n${smuggled}\r\n.\r\n`);
    assertEquals(answer.slice(0, 3), "250");
    wire.close();
    const [text] = await server.mail("alice", 1);
    assertStringIncludes(text!, "one\r\ntwo\r\n");
    assertStringIncludes(text!, "Subject: outer\r\n");
    assertEquals(await server.mail("bob", 0), []);
  },
);

e2e("recipients are checked at RCPT", { core: "core" }, async (server) => {
  const wire = await greeted(server);
  await wire.expect(503, "RCPT TO:<alice@example.test>");
  await wire.expect(250, "MAIL FROM:<sender@elsewhere.test>");
  await wire.expect(550, "RCPT TO:<nobody@example.test>", "5.1.1");
  await wire.expect(550, "RCPT TO:<someone@elsewhere.test>", "5.7.1");
  await wire.expect(550, "RCPT TO:<alice%example.test@elsewhere.test>", "5.7.1");
  await wire.expect(554, "DATA", "5.5.1");
  await wire.expect(250, "RCPT TO:<ALICE@EXAMPLE.TEST>");
  await wire.expect(250, "RCPT TO:<postmaster>");
  await wire.expect(221, "QUIT");
  wire.close();
});

e2e("an authenticated user of an intranet cannot send outside, and is told so", {}, async (server) => {
  const wire = await authenticated(server);
  await wire.expect(250, "MAIL FROM:<alice@example.test>");
  const { code, lines } = await wire.smtp("RCPT TO:<someone@elsewhere.test>");
  assertEquals(code, 550);
  assertMatch(lines[0]!, /^5\.\d\.\d .*elsewhere\.test/);
  await wire.expect(221, "QUIT");
  wire.close();
});

e2e("too many recipients are 452 4.5.3 and the others get the message", {
  config: { limits: { recipients: 2 } },
}, async (server) => {
  await server.addUser("carol");
  const wire = await greeted(server);
  await wire.expect(250, "MAIL FROM:<sender@elsewhere.test>");
  await wire.expect(250, "RCPT TO:<alice@example.test>");
  await wire.expect(250, "RCPT TO:<bob@example.test>");
  await wire.expect(452, "RCPT TO:<carol@example.test>", "4.5.3");
  await wire.expect(354, "DATA");
  await wire.expect(250, `${message({ subject: "two" })}.`);
  wire.close();
  await server.mail("alice", 1);
  await server.mail("bob", 1);
  assertEquals(await server.mail("carol", 0), []);
});

e2e("SIZE: too large is 552 5.3.4 when announced and when sent", {
  config: { limits: { messageBytes: 100_000 } },
  core: "core",
}, async (server) => {
  const wire = await server.connect("smtp");
  const { lines } = await wire.expect(250, "EHLO client.example.test");
  assertEquals(lines.includes("SIZE 100000"), true);
  await wire.expect(552, "MAIL FROM:<sender@elsewhere.test> SIZE=100001", "5.3.4");
  const big = `Subject: big\r\n\r\n${"0123456789".repeat(7).concat("\r\n").repeat(2000)}.\r\n`;
  assertEquals((await dataAnswer(wire, big)).slice(0, 9), "552 5.3.4");
  assertEquals((await dataAnswer(wire, "Subject: small\r\n\r\nx\r\n.\r\n")).slice(0, 3), "250");
  await wire.expect(221, "QUIT");
  wire.close();
  const [text] = await server.mail("alice", 1);
  assertEquals(field(text!, "Subject"), "small");
});

e2e("a full maildrop is 452 4.2.2", {}, async (server) => {
  await server.mustCli(["user", "set", "alice", "--quota-messages", "1"]);
  await server.mustCli(["user", "set", "bob", "--quota-bytes", "3000"]);
  const data = message({ subject: "quota", body: `${"x".repeat(70)}\r\n`.repeat(35) });
  await server.send({ to: ["alice@example.test", "bob@example.test"], data });
  await server.mail("alice", 1);
  await server.mail("bob", 1);
  const wire = await greeted(server);
  await wire.expect(250, "MAIL FROM:<sender@elsewhere.test> SIZE=2500");
  await wire.expect(452, "RCPT TO:<alice@example.test>", "4.2.2");
  await wire.expect(452, "RCPT TO:<bob@example.test>", "4.2.2");
  await wire.expect(221, "QUIT");
  wire.close();
  const pop = await server.pop3("alice");
  await pop.popOk("DELE 1");
  await pop.popOk("QUIT");
  pop.close();
  await server.send({ to: "alice@example.test", data: message({ subject: "room again" }) });
  await server.mail("alice", 1);
});

e2e("beyond the receivers a client is told 421 4.3.2", { config: { receivers: 3 } }, async (server) => {
  const open = [
    await server.connect("smtp"),
    await server.connect("submission"),
    await server.connect("smtp"),
  ];
  const { Wire } = await import("./wire.ts");
  const fourth = await Wire.open(server.ports.smtp);
  await fourth.expect(421, undefined, "4.3.2");
  assertEquals(await fourth.rest(), "");
  fourth.close();
  await open[0]!.expect(221, "QUIT");
  open[0]!.close();
  await until("a receiver to be free", async () => {
    const wire = await Wire.open(server.ports.smtp);
    const { code } = await wire.smtp();
    wire.close();
    return code === 220;
  });
  for (const wire of open.slice(1)) wire.close();
});

e2e(
  "a client that only errs is sent away with 421",
  { config: { limits: { errors: 5 } } },
  async (server) => {
    const wire = await greeted(server);
    for (let i = 0; i < 10; i++) {
      const { code } = await wire.smtp(`NONSENSE ${i}`);
      if (code === 421) break;
      assertEquals(code, 500);
    }
    assertEquals(await wire.rest(), "");
    wire.close();
  },
);

e2e("BDAT carries any octets in pieces", { core: "core" }, async (server) => {
  const data = message({ subject: "chunks", body: "bare\nline feed? no:\r\n.\r\n.\r\nend" }).replace(
    "bare\n",
    "bare ",
  );
  const wire = await greeted(server);
  await wire.expect(250, "MAIL FROM:<sender@elsewhere.test>");
  await wire.expect(250, "RCPT TO:<alice@example.test>");
  const parts = [data.slice(0, 10), data.slice(10, 11), data.slice(11)];
  for (const part of parts) {
    await wire.write(`BDAT ${part.length}\r\n${part}`);
    await wire.expect(250);
  }
  await wire.expect(250, "BDAT 0 LAST");
  await wire.expect(221, "QUIT");
  wire.close();
  const [text] = await server.mail("alice", 1);
  assertEquals(bodyOf(text!), `${bodyOf(data)}\r\n`);
});

e2e("SMTPUTF8: addresses and header fields in UTF-8", {}, async (server) => {
  const utf8 = (text: string) => String.fromCharCode(...new TextEncoder().encode(text));
  await server.addUser("j\u00f6rg");
  const wire = await greeted(server);
  const { code } = await (async () => {
    await wire.expect(250, utf8("MAIL FROM:<\u4f8b@elsewhere.test>"), "").catch(() => {});
    await wire.expect(250, "RSET");
    return await wire.smtp(utf8("MAIL FROM:<\u4f8b@elsewhere.test> SMTPUTF8"));
  })();
  assertEquals(code, 250);
  await wire.expect(250, utf8("RCPT TO:<j\u00f6rg@example.test>"));
  await wire.expect(354, "DATA");
  await wire.expect(250, utf8("Subject: gr\u00fc\u00dfe\r\n\r\n\u4f60\u597d\r\n."));
  wire.close();
  await until("j\u00f6rg's mail", async () => {
    const pop = await server.connect("pop3");
    await pop.popOk("UTF8");
    await pop.popOk(utf8("USER j\u00f6rg"));
    await pop.popOk(`PASS ${PASSWORD}`);
    const held = (await pop.popOk("STAT")).startsWith("+OK 1 ");
    if (held) assertStringIncludes(await pop.popBody("RETR 1"), utf8("Subject: gr\u00fc\u00dfe\r\n"));
    await pop.popOk("QUIT");
    pop.close();
    return held;
  });
});

e2e(
  "NUL, eight bits and lines of 5,000 octets arrive as they were sent",
  { core: "core" },
  async (server) => {
    const all = Array.from({ length: 256 }, (_, n) => n).filter((n) => n !== 10 && n !== 13);
    const body = `${String.fromCharCode(...all)}\r\n${"long ".repeat(1000)}\r\n`;
    await server.send({ to: "alice@example.test", data: message({ subject: "octets", body }) });
    const [text] = await server.mail("alice", 1);
    assertEquals(bodyOf(text!), body);
  },
);

e2e(
  "attachments arrive byte for byte in Python's hands",
  { needs: ["python3"], core: "core" },
  async (server) => {
    const script = `
import email, email.policy, hashlib, poplib, smtplib, sys, time
from email.message import EmailMessage
smtp, pop3, password = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
files = {"numbers.bin": bytes(range(256)) * 3000, "empty.txt": b"", "caf\\u00e9.pdf": hashlib.sha512(b"x").digest() * 999}
m = EmailMessage(policy=email.policy.SMTP)
m["From"], m["To"], m["Subject"] = "a@elsewhere.test", "alice@example.test", "attachments"
m.set_content("see attached\\n")
for name, data in files.items():
    m.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
with smtplib.SMTP("127.0.0.1", smtp) as s:
    s.send_message(m)
for _ in range(200):
    p = poplib.POP3("127.0.0.1", pop3)
    p.user("alice"); p.pass_(password)
    if p.stat()[0] == 1:
        break
    p.quit(); time.sleep(0.05)
raw = b"\\r\\n".join(p.retr(1)[1]) + b"\\r\\n"
p.quit()
got = {a.get_filename(): a.get_content() for a in email.message_from_bytes(raw, policy=email.policy.SMTP).iter_attachments()}
assert got == files, [(n, len(d)) for n, d in got.items()]
`;
    await mustRun(["python3", "-c", script, `${server.ports.smtp}`, `${server.ports.pop3}`, PASSWORD]);
  },
);

e2e("pipelined commands and messages are answered in order", { core: "core" }, async (server) => {
  const wire = await server.connect("smtp");
  const one = (n: number) =>
    `MAIL FROM:<sender@elsewhere.test>\r\nRCPT TO:<alice@example.test>\r\nRCPT TO:<nobody@example.test>\r\nDATA\r\n` +
    `${stuff(message({ subject: `piped ${n}` }))}.\r\n`;
  // A server must take DATA's text that was sent before its 354, since one with an open window can't know.
  await wire.write(`EHLO client.example.test\r\n${one(1)}${one(2)}QUIT\r\n`);
  const codes: number[] = [];
  for (let i = 0; i < 12; i++) codes.push((await wire.smtp()).code);
  assertEquals(codes, [250, 250, 250, 550, 354, 250, 250, 250, 550, 354, 250, 221]);
  wire.close();
  await server.mail("alice", 2);
});

e2e("submission wants AUTH, and a user's own addresses", {}, async (server) => {
  const plain = await greeted(server, "submissions");
  await plain.expect(530, "MAIL FROM:<alice@example.test>");
  await plain.expect(535, `AUTH PLAIN ${plainResponse("alice", "wrong")}`, "5.7.8");
  await plain.expect(221, "QUIT");
  plain.close();
  const wire = await authenticated(server);
  await wire.expect(503, `AUTH PLAIN ${plainResponse("alice", PASSWORD)}`);
  const { code } = await wire.smtp("MAIL FROM:<bob@example.test>");
  const refused = code === 250 ? (await wire.smtp("RCPT TO:<bob@example.test>")).code : code;
  assertEquals([550, 553].includes(refused), true, `answered ${refused}`);
  await wire.expect(250, "RSET");
  await wire.expect(250, "MAIL FROM:<alice+news@example.test>");
  await wire.expect(221, "QUIT");
  wire.close();
});

e2e("a message that has passed fifty servers is 554 5.4.6", {}, async (server) => {
  const wire = await greeted(server);
  const loop = `${
    "Received: from a by b; Tue, 24 Nov 2026 12:00:00 +0000\r\n".repeat(51)
  }Subject: loop\r\n\r\nx\r\n.\r\n`;
  assertEquals((await dataAnswer(wire, loop)).slice(0, 9), "554 5.4.6");
  wire.close();
});

e2e("a command line without end is not kept", {}, async (server) => {
  const wire = await greeted(server);
  await wire.write(`NOOP ${"x".repeat(100_000)}\r\n`);
  await wire.expect(500);
  await wire.expect(250, "NOOP");
  wire.close();
});

e2e("aliases, plus-addresses and a catch-all", {}, async (server) => {
  await server.addUser("carol");
  await server.mustCli(["alias", "add", "sales", "alice", "bob"]);
  await server.mustCli(["alias", "add", "@example.test", "carol"]);
  await server.send({ to: "sales@example.test", data: message({ subject: "to sales" }) });
  await server.send({ to: "Alice+News@example.test", data: message({ subject: "to plus" }) });
  await server.send({ to: "whoever@example.test", data: message({ subject: "to all" }) });
  const subjects = (texts: string[]) => texts.map((text) => field(text, "Subject")).sort();
  assertEquals(subjects(await server.mail("alice", 2)), ["to plus", "to sales"]);
  assertEquals(subjects(await server.mail("bob", 1)), ["to sales"]);
  assertEquals(subjects(await server.mail("carol", 1)), ["to all"]);
  await server.mustCli(["alias", "remove", "@example.test"]);
  const wire = await greeted(server);
  await wire.expect(250, "MAIL FROM:<>");
  await wire.expect(550, "RCPT TO:<whoever@example.test>", "5.1.1");
  wire.close();
});

e2e("one recipient named twice, directly and by an alias, gets one copy", {}, async (server) => {
  await server.mustCli(["alias", "add", "team", "alice", "bob"]);
  await server.send({
    to: ["alice@example.test", "team@example.test", "alice@example.test"],
    data: message({ subject: "once" }),
  });
  await server.mail("bob", 1);
  await pause(300);
  await server.mail("alice", 1);
});
