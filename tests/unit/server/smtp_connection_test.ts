/** SMTP conversations over sockets: who may send what to whom, log-ins, TLS, faults and their answers. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import * as net from "node:net";
import * as replies from "../../../src/smtp/replies.ts";
import { type Store, StoreError } from "../../../src/store/types.ts";
import { bodyOf } from "../store/fixtures.ts";
import { addAccount, collect, gate, plainResponse, serving, until, type Wire } from "./fixture.ts";

async function transaction(wire: Wire, from: string, ...to: string[]): Promise<void> {
  await wire.expect(250, `MAIL FROM:<${from}>`);
  for (const recipient of to) await wire.expect(250, `RCPT TO:<${recipient}>`);
  await wire.expect(354, "DATA");
  await wire.write("Subject: a\r\n\r\nhello\r\n.\r\n");
  await wire.expect(250);
}

Deno.test("SmtpConnection keeps a recipient named twice once", async () => {
  await serving({}, async ({ hello, store }) => {
    const kept = collect(store);
    const wire = await hello();
    await transaction(
      wire,
      "sender@example.com",
      "alice@example.org",
      "ALICE@Example.ORG",
      "bob@example.org",
      "alice@example.org",
    );
    await until(() => kept.length === 1);
    assertEquals(kept[0]!.recipients, ["alice@example.org", "bob@example.org"]);
    // The next transaction begins with none.
    await transaction(wire, "", "alice@example.org");
    await until(() => kept.length === 2);
    assertEquals([kept[1]!.reversePath, kept[1]!.recipients], ["", ["alice@example.org"]]);
  });
});

Deno.test("SmtpConnection refuses recipients one by one and goes on with the others", async () => {
  await serving({}, async ({ hello, store }) => {
    const kept = collect(store);
    const full = await addAccount(store, { name: "full", quotaOctets: 100 });
    await addAccount(store, { name: "small", quotaOctets: 1000 });
    assertEquals(full.name, "full");
    const wire = await hello();
    await wire.expect(250, "MAIL FROM:<sender@example.com> SIZE=500");
    await wire.expect(550, "RCPT TO:<nobody@example.org>", "5.1.1");
    await wire.expect(550, "RCPT TO:<a@elsewhere.example>", "5.7.1");
    await wire.expect(452, "RCPT TO:<full@example.org>", "4.2.2");
    await wire.expect(250, "RCPT TO:<small@example.org>");
    await wire.expect(250, "RCPT TO:<Postmaster>");
    await wire.expect(354, "DATA");
    await wire.write("Subject: a\r\n\r\n.\r\n");
    await wire.expect(250);
    await until(() => kept.length === 1);
    assertEquals(kept[0]!.recipients, ["small@example.org", "Postmaster"]);
    // Without any there is nothing to send to.
    await wire.expect(250, "MAIL FROM:<sender@example.com>");
    await wire.expect(550, "RCPT TO:<nobody@example.org>");
    await wire.expect(554, "DATA", "5.5.1");
  });
});

Deno.test("SmtpConnection answers 451 where the directory fails, and goes on", async () => {
  let isBroken = true;
  const wrap = (store: Store): Store => ({
    ...store,
    close: () => store.close(),
    directory: new Proxy(store.directory, {
      get(directory, name) {
        if (name === "find" && isBroken) {
          return () => Promise.reject(new StoreError("damaged", "page 7 is no page"));
        }
        const value = Reflect.get(directory, name);
        return typeof value === "function" ? value.bind(directory) : value;
      },
    }),
  });
  await serving({ wrap }, async ({ hello }) => {
    const wire = await hello();
    await wire.expect(250, "MAIL FROM:<sender@example.com>");
    await wire.expect(451, "RCPT TO:<alice@example.org>", "4.3.0");
    isBroken = false;
    await wire.expect(250, "RCPT TO:<alice@example.org>");
    await wire.expect(354, "DATA");
    await wire.write(".\r\n");
    await wire.expect(250);
  });
});

Deno.test("SmtpConnection wants a log-in for submission and holds users to their own addresses", async () => {
  const refused = replies.senderNotYours.code;
  await serving({}, async ({ hello, authenticated, store }) => {
    const kept = collect(store);
    await store.directory.setAlias({ name: "sales", targets: ["alice"] });
    for (const service of ["submission", "submissions"] as const) {
      const stranger = await hello(service);
      await stranger.expect(530, "MAIL FROM:<alice@example.org>", "5.7.0");
      const wire = await authenticated(service);
      await wire.expect(refused, "MAIL FROM:<bob@example.org>", "5.7.1");
      await wire.expect(refused, "MAIL FROM:<a@elsewhere.example>", "5.7.1");
      const own = ["alice@example.org", "alice+x@example.net", "sales@example.org", ""];
      for (const sender of own) await transaction(wire, sender, "bob@example.org");
    }
    await until(() => kept.length === 8);
    await store.directory.changeAccount("alice", { sendAsAny: true });
    await transaction(await authenticated("submission"), "a@elsewhere.example", "bob@example.org");
  });
});

Deno.test("SmtpConnection completes the header of a submission only", async () => {
  await serving({}, async ({ hello, authenticated, store }) => {
    const kept = collect(store);
    await transaction(await hello("smtp"), "sender@example.com", "bob@example.org");
    await until(() => kept.length === 1);
    await transaction(await authenticated("submission"), "alice@example.org", "bob@example.org");
    await until(() => kept.length === 2);
    const [relayed, submitted] = await Promise.all(kept.map(({ key }) => bodyOf(store, key)));
    assertEquals(/^(?:Date|Message-ID):/m.test(relayed!), false);
    assertMatch(submitted!, /^Date: .*\r\nMessage-ID: <\w+@mail\.example\.org>\r\nSubject: a\r\n/m);
  });
});

Deno.test("SmtpConnection records how a message came", async () => {
  await serving({}, async ({ greeted, hello, authenticated, store }) => {
    const kept = collect(store);
    const send = async (wire: Wire) => {
      const next = kept.length + 1;
      await transaction(wire, "alice@example.org", "bob@example.org");
      await until(() => kept.length === next);
      const { origin } = (await store.history.message(kept.at(-1)!.key))!;
      return [origin.client, origin.helo, origin.transmission, origin.account, origin.tls?.split(" ")[0]];
    };
    const helo = await greeted();
    await helo.expect(250, "HELO old.example.com");
    assertEquals(await send(helo), ["127.0.0.1", "old.example.com", "SMTP", undefined, undefined]);
    const plain = ["127.0.0.1", "client.example.com"];
    assertEquals(await send(await hello()), [...plain, "ESMTP", undefined, undefined]);
    assertEquals(await send(await authenticated("submission")), [...plain, "ESMTPA", "alice", undefined]);
    assertEquals(
      await send(await authenticated("submissions")),
      [...plain, "ESMTPSA", "alice", "TLSv1.3"],
    );
    const wire = await hello();
    await wire.expect(220, "STARTTLS");
    await wire.startTls();
    await wire.expect(250, "EHLO client.example.com");
    assertEquals(await send(wire), [...plain, "ESMTPS", undefined, "TLSv1.3"]);
    await wire.expect(250, "MAIL FROM:<alice@example.org> SMTPUTF8");
    await wire.expect(250, "RCPT TO:<bob@example.org>");
    await wire.write("BDAT 0 LAST\r\n");
    await wire.expect(250);
    await until(() => kept.length === 6);
    assertEquals((await store.history.message(kept.at(-1)!.key))!.origin.transmission, "UTF8SMTPS");
  });
});

Deno.test("SmtpConnection answers VRFY and EXPN by who asks", async () => {
  await serving({}, async ({ hello, authenticated, store }) => {
    await store.directory.setAlias({ name: "staff", targets: ["alice", "bob"] });
    const stranger = await hello();
    await stranger.expect(252, "VRFY alice");
    await stranger.expect(252, "VRFY nobody");
    await stranger.expect(550, "EXPN staff", "5.7.1");
    const wire = await authenticated("smtp");
    await wire.expect(250, "VRFY alice", "2.1.5 alice@example.org");
    await wire.expect(550, "VRFY nobody", "5.1.1");
    const { lines } = await wire.expect(250, "EXPN staff");
    assertEquals(lines, ["2.1.5 <alice@example.org>", "2.1.5 <bob@example.org>"]);
    await (await hello("submission")).expect(530, "VRFY alice");
  });
});

Deno.test("SmtpConnection refuses wrong passwords and takes the right one after them", async () => {
  await serving({}, async ({ hello }) => {
    const wire = await hello("submission");
    await wire.expect(535, `AUTH PLAIN ${plainResponse("alice", "wrong")}`, "5.7.8");
    await wire.expect(535, `AUTH PLAIN ${plainResponse("nobody", "secret")}`, "5.7.8");
    await wire.expect(334, "AUTH LOGIN");
    await wire.expect(501, "*");
    await wire.expect(334, "AUTH LOGIN");
    await wire.expect(334, btoa("alice"));
    await wire.expect(235, btoa("secret"), "2.7.0");
    await wire.expect(503, "AUTH PLAIN");
  });
});

Deno.test("SmtpConnection forgets who logged in when TLS begins", async () => {
  await serving({}, async ({ authenticated, store }) => {
    const kept = collect(store);
    const wire = await authenticated("smtp");
    await wire.expect(250, "VRFY alice");
    await wire.expect(220, "STARTTLS");
    await wire.startTls();
    await wire.expect(250, "EHLO client.example.com");
    await wire.expect(252, "VRFY alice");
    await wire.expect(550, "EXPN alice", "5.7.1");
    await transaction(wire, "sender@example.com", "bob@example.org");
    await until(() => kept.length === 1);
    const { origin } = (await store.history.message(kept[0]!.key))!;
    assertEquals([origin.transmission, origin.account], ["ESMTPS", undefined]);
  });
});

/** A store that finds no account before `until` has come. */
function slowDirectory(store: Store, until: Promise<void>): Store {
  const directory = new Proxy(store.directory, {
    get(directory, name) {
      const value = Reflect.get(directory, name);
      if (name === "find") return (names: string[]) => until.then(() => directory.find(names));
      return typeof value === "function" ? value.bind(directory) : value;
    },
  });
  return { ...store, close: () => store.close(), directory };
}

for (const way of ["in one packet", "while a look-up is waited for"]) {
  Deno.test(`SmtpConnection drops what stands behind STARTTLS in the clear (${way})`, async () => {
    const held = gate();
    const wrap = (store: Store) => way === "in one packet" ? store : slowDirectory(store, held.opened);
    await serving({ wrap }, async ({ hello }) => {
      const wire = await hello();
      if (way === "in one packet") await wire.write("STARTTLS\r\nMAIL FROM:<evil@example.com>\r\n");
      else {
        await wire.write("MAIL FROM:<a@example.com>\r\nRCPT TO:<alice@example.org>\r\n");
        await new Promise((resolve) => setTimeout(resolve, 20));
        await wire.write("RSET\r\nSTARTTLS\r\n");
        // A read of its own.
        await new Promise((resolve) => setTimeout(resolve, 20));
        await wire.write("MAIL FROM:<evil@example.com>\r\n");
        await new Promise((resolve) => setTimeout(resolve, 50));
        held.open();
        for (let i = 0; i < 3; i++) await wire.expect(250);
      }
      await wire.expect(220);
      assert(await wire.isSilent(100));
      await wire.startTls();
      assert(await wire.isSilent(100));
      await wire.expect(503, "RCPT TO:<alice@example.org>");
      await wire.expect(250, "EHLO client.example.com");
      await wire.expect(503, "RCPT TO:<alice@example.org>");
      await wire.expect(221, "QUIT");
    });
  });
}

Deno.test("SmtpConnection keeps the order of answers where look-ups take their time", async () => {
  const held = gate();
  const wrap = (store: Store) => slowDirectory(store, held.opened);
  await serving({ wrap }, async ({ hello }) => {
    const wire = await hello();
    await wire.write("MAIL FROM:<a@example.com>\r\nRCPT TO:<alice@example.org>\r\n");
    await wire.write("RCPT TO:<nobody@example.org>\r\nHELP\r\n");
    await wire.write("DATA\r\n.\r\nQUIT\r\n");
    await new Promise((resolve) => setTimeout(resolve, 20));
    held.open();
    const codes = (await wire.rest()).split("\r\n").filter((line) => /^\d{3} /.test(line));
    assertEquals(codes.map((line) => line.slice(0, 3)), ["250", "250", "550", "214", "354", "250", "221"]);
  });
});

Deno.test("SmtpConnection survives a client that sends without reading, and answers all of it", async () => {
  await serving({}, async ({ port, counters }) => {
    const socket = net.connect({ port: port("smtp"), host: "127.0.0.1" });
    await new Promise((resolve) => socket.once("connect", resolve));
    socket.pause();
    const commands = 200_000;
    socket.write("HELP\r\n".repeat(commands) + "QUIT\r\n");
    await new Promise((resolve) => setTimeout(resolve, 200));
    let text = "";
    socket.on(
      "data",
      (bytes) => text += bytes.toString("latin1").replace(/[^\n]/g, (c) => c === "4" ? c : ""),
    );
    socket.resume();
    await new Promise((resolve) => socket.once("close", resolve));
    assert(text.length > commands, `${text.length}`);
    await until(() => counters.sessions("receiver") === 0);
  });
});

Deno.test("SmtpConnection sends a client away that makes too many errors", async () => {
  await serving({ config: { limits: { errors: 3 } } }, async ({ hello }) => {
    const wire = await hello();
    for (let i = 0; i < 3; i++) await wire.expect(500, "NONSENSE");
    await wire.expect(421, "NONSENSE", "4.7.0");
    assertEquals(await wire.rest(), "");
  });
});

Deno.test("SmtpConnection tells web browsers what it is", async () => {
  await serving({}, async ({ greeted }) => {
    const wire = await greeted();
    await wire.write("POST / HTTP/1.1\r\nHost: mail\r\n\r\nMAIL FROM:<a@b.example>\r\n");
    assertStringIncludes(await wire.rest(), "421 4.7.0");
  });
});
