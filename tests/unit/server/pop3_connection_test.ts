/** POP3 conversations over sockets: locks, deletions, faults, and messages sent as they are kept. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Buffer } from "node:buffer";
import * as net from "node:net";
import { type Maildrops, type Store, StoreError } from "../../../src/store/types.ts";
import {
  addAccount,
  type Appliance,
  gate,
  keep,
  lines,
  plainResponse,
  RETURN_PATH,
  serving,
  until,
  type Wire,
} from "./fixture.ts";

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;

const small = (text: string) => ({ parts: [`Subject: ${text}\r\n\r\nhello\r\n`] });

/** The same store with some of the maildrops' methods replaced. */
function withMaildrops(store: Store, maildrops: Partial<Maildrops>): Store {
  return { ...store, close: () => store.close(), maildrops: { ...store.maildrops, ...maildrops } };
}

async function messagesOf({ store }: Appliance, name = "alice"): Promise<number> {
  const account = (await store.directory.account(name))!;
  return (await store.maildrops.list(account.id)).keys.length;
}

// ---------------------------------------------------------------- reading

Deno.test("Pop3Connection sends what is kept, octet for octet, in LIST's size", async () => {
  await serving({}, async (appliance) => {
    const large = `Subject: large\r\n\r\n${lines(900_000).replaceAll("line", "..ne")}`;
    const cuts = [large.slice(0, 262_144), large.slice(262_144, 262_147), large.slice(262_147)];
    const odd = "Subject: odd\r\n\r\n.\r\n..\r\n\0\xff\r\n.";
    await keep(appliance, { parts: cuts });
    await keep(appliance, { parts: [Buffer.from(`${odd}\r\n`, "latin1")] });
    for (const service of ["pop3", "pop3s"] as const) {
      const wire = await appliance.authenticated(service);
      const bodies = [RETURN_PATH + large, `${RETURN_PATH}${odd}\r\n`];
      const total = bodies[0]!.length + bodies[1]!.length;
      assertEquals(await wire.popOk("STAT"), `+OK 2 ${total}`);
      assertEquals(await wire.popList("LIST"), bodies.map((body, i) => `${i + 1} ${body.length}`));
      for (const [index, body] of bodies.entries()) {
        assertEquals(await wire.popBody(`RETR ${index + 1}`) === body, true, `message ${index + 1} differs`);
      }
      const top = await wire.popBody("TOP 1 1");
      assertEquals(top, (RETURN_PATH + large).split("\r\n").slice(0, 4).join("\r\n") + "\r\n");
      assertEquals(await wire.popBody("TOP 1 0"), `${RETURN_PATH}Subject: large\r\n\r\n`);
      await wire.popOk("QUIT");
      assertEquals(await wire.rest(), "");
    }
  });
});

Deno.test("Pop3Connection reads no more parts than TOP wants", async () => {
  const read: number[] = [];
  const wrap = (store: Store) =>
    withMaildrops(store, {
      part: (key, index) => {
        read.push(index);
        return store.maildrops.part(key, index);
      },
    });
  await serving({ wrap }, async (appliance) => {
    const text = lines(100_000);
    await keep(appliance, { parts: ["Subject: a\r\n\r\n", text, text, text, text] });
    const wire = await appliance.authenticated("pop3");
    await wire.popBody("TOP 1 5");
    assertEquals(read, [1]);
  });
});

Deno.test("Pop3Connection holds little of a large message for a client that reads slowly", async () => {
  let read = 0;
  const wrap = (store: Store) =>
    withMaildrops(store, {
      part: (key, index) => {
        read++;
        return store.maildrops.part(key, index);
      },
    });
  await serving({ wrap }, async (appliance) => {
    const part = lines(256 * 1024);
    const parts = 160;
    await keep(appliance, { parts: ["Subject: large\r\n\r\n", ...Array<string>(parts).fill(part)] });
    const socket = net.connect({ host: "127.0.0.1", port: appliance.port("pop3") });
    await new Promise((resolve) => socket.once("connect", resolve));
    let octets = 0;
    let tail = "";
    socket.on("data", (bytes) => {
      octets += bytes.length;
      tail = (tail + bytes.toString("latin1")).slice(-100);
      // Stops reading as soon as the message begins.
      if (octets > 1000 && octets < 1_000_000) socket.pause();
    });
    socket.write("USER alice\r\nPASS secret\r\nRETR 1\r\nQUIT\r\n");
    await until(() => octets > 1000);
    let before = -1;
    while (before !== read) {
      before = read;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    // 40 MiB, of which the kernel's buffers on both sides take some 10.
    assert(read < parts / 2, `${read} parts were read for a client that reads nothing`);
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.removeAllListeners("data");
    socket.on("data", (bytes) => {
      octets += bytes.length;
      tail = (tail + bytes.toString("latin1")).slice(-100);
    });
    socket.resume();
    await closed;
    assert(octets > parts * part.length, `only ${octets} octets came`);
    assertMatch(tail, /\r\n\.\r\n\+OK [^\r\n]+\r\n$/);
  });
});

Deno.test("Pop3Connection answers -ERR for a message that another program removed, and goes on", async () => {
  await serving({}, async (appliance) => {
    const { store } = appliance;
    const key = await keep(appliance, small("one"));
    await keep(appliance, small("two"));
    const wire = await appliance.authenticated("pop3");
    const alice = (await store.directory.account("alice"))!;
    await store.maildrops.remove(alice.id, [key]);
    await wire.popErr("RETR 1", "[SYS/TEMP] this message was removed by another program");
    await wire.popErr("TOP 1 0", "[SYS/TEMP]");
    assertStringIncludes(await wire.popBody("RETR 2"), "Subject: two");
    // Deleting what is gone already is no fault.
    await wire.popOk("DELE 1");
    await wire.popOk("QUIT");
    assertEquals(await messagesOf(appliance), 1);
  });
});

Deno.test("Pop3Connection never ends a message as whole that it could not read to its end", async () => {
  const wrap = (store: Store) =>
    withMaildrops(store, {
      part: (key, index) => index < 2 ? store.maildrops.part(key, index) : Promise.resolve(undefined),
    });
  await serving({ wrap }, async (appliance) => {
    await keep(appliance, { parts: ["Subject: a\r\n\r\n", "one\r\n", "two\r\n"] });
    const wire = await appliance.authenticated("pop3");
    await wire.popOk("DELE 1");
    await wire.popOk("RSET");
    await wire.write("RETR 1\r\nQUIT\r\n");
    const text = await wire.rest();
    assertStringIncludes(text, "one\r\n");
    assertEquals(text.includes("\r\n.\r\n"), false);
  });
});

// ---------------------------------------------------------------- faults

Deno.test("Pop3Connection answers [SYS/TEMP] where the store fails, frees the maildrop, and goes on", async () => {
  let isBroken = true;
  const fail = () => Promise.reject(new StoreError("damaged", "page 7 is no page"));
  const wrap = (store: Store) =>
    withMaildrops(store, {
      list: (account) => isBroken ? fail() : store.maildrops.list(account),
      open: (account, key) => isBroken ? fail() : store.maildrops.open(account, key),
      remove: (account, keys) => isBroken ? fail() : store.maildrops.remove(account, keys),
    });
  await serving({ wrap }, async (appliance) => {
    await keep(appliance, small("one"));
    const wire = await appliance.greeted("pop3");
    await wire.popOk("USER alice");
    await wire.popErr("PASS secret", "[SYS/TEMP]");
    isBroken = false;
    await wire.popOk("USER alice");
    await wire.popOk("PASS secret");
    isBroken = true;
    await wire.popErr("RETR 1", "[SYS/TEMP]");
    isBroken = false;
    await wire.popBody("RETR 1");
    await wire.popOk("DELE 1");
    isBroken = true;
    await wire.popErr("QUIT", "[SYS/TEMP]");
    assertEquals(await wire.rest(), "");
    isBroken = false;
    assertEquals(await messagesOf(appliance), 1);
    // Nothing is locked.
    await (await appliance.authenticated("pop3")).popOk("QUIT");
  });
});

// ---------------------------------------------------------------- log-in

Deno.test("Pop3Connection lets in by every way whoever may use POP3, and nobody else", async () => {
  await serving({}, async (appliance) => {
    await addAccount(appliance.store, { name: "carol", pop3: "N" });
    await addAccount(appliance.store, { name: "paul", pop3: "P" });
    const wire = await appliance.greeted("pop3");
    await wire.popOk("USER carol");
    await wire.popErr("PASS secret", "[SYS/PERM]");
    await wire.popErr(`AUTH PLAIN ${plainResponse("carol", "secret")}`, "[SYS/PERM]");
    await wire.popOk("USER alice");
    await wire.popErr("PASS wrong", "[AUTH]");
    assertEquals(await wire.pop("AUTH PLAIN"), "+ ");
    await wire.popErr("*");
    assertEquals(await wire.pop("AUTH PLAIN"), "+ ");
    await wire.popOk(plainResponse("paul", "secret"));
    await wire.popOk("QUIT");
    const other = await appliance.greeted("pop3s");
    for (let i = 0; i < 2; i++) await other.popErr(`AUTH PLAIN ${plainResponse("alice", "wrong")}`, "[AUTH]");
    await other.popErr(`AUTH PLAIN ${plainResponse("alice", "wrong")}`, "[AUTH]");
    // The third failure is the last.
    assertEquals(await other.rest(), "");
  });
});

Deno.test("Pop3Connection holds accounts to LOGIN-DELAY", async () => {
  await serving({ config: { pop3: { loginDelay: 30 * SECOND_MS } } }, async (appliance) => {
    const first = await appliance.authenticated("pop3");
    await first.popOk("QUIT");
    const second = await appliance.greeted("pop3");
    await second.popOk("USER alice");
    await second.popErr("PASS secret", "[LOGIN-DELAY]");
    await (await appliance.authenticated("pop3", "bob")).popOk("QUIT");
    await appliance.clock.advance(29 * SECOND_MS);
    await second.popOk("USER alice");
    await second.popErr("PASS secret", "[LOGIN-DELAY]");
    await appliance.clock.advance(SECOND_MS);
    await second.popOk("USER alice");
    await second.popOk("PASS secret");
  });
});

Deno.test("Pop3Connection opens a maildrop for one session at a time", async () => {
  await serving({}, async (appliance) => {
    const first = await appliance.authenticated("pop3");
    const second = await appliance.greeted("pop3");
    await second.popOk("USER alice");
    await second.popErr("PASS secret", "[IN-USE]");
    await (await appliance.authenticated("pop3", "bob")).popOk("NOOP");
    await first.popOk("QUIT");
    // At once, before the first connection has closed.
    await second.popOk("USER alice");
    await second.popOk("PASS secret");
    second.reset();
    await until(() => appliance.counters.sessions("pop3") === 1);
    await appliance.authenticated("pop3");
  });
});

Deno.test("Pop3Connection frees the maildrop and the place before it answers QUIT", async () => {
  await serving({ config: { pop3: { sessions: 1 } } }, async (appliance) => {
    // This client never closes.
    const first = net.connect({ host: "127.0.0.1", port: appliance.port("pop3"), allowHalfOpen: true });
    let text = "";
    first.on("data", (bytes) => text += bytes.toString());
    first.write("USER alice\r\nPASS secret\r\nQUIT\r\n");
    await until(() => text.includes("signing off"));
    await appliance.authenticated("pop3");
    first.destroy();
  });
});

Deno.test("Pop3Connection frees a maildrop whose client leaves while it is being opened", async () => {
  const held = gate();
  let asked = 0;
  const wrap = (store: Store) =>
    withMaildrops(store, {
      list: async (account) => {
        if (asked++ === 0) await held.opened;
        return store.maildrops.list(account);
      },
    });
  await serving({ wrap }, async (appliance) => {
    const wire = await appliance.greeted("pop3");
    await wire.popOk("USER alice");
    await wire.write("PASS secret\r\n");
    await until(() => asked === 1);
    wire.reset();
    await until(() => appliance.counters.sessions("pop3") === 0);
    held.open();
    await new Promise((resolve) => setTimeout(resolve, 10));
    await appliance.authenticated("pop3");
  });
});

Deno.test("Pop3Connection deletes nothing at QUIT once another session has taken the maildrop over", async () => {
  await serving({ config: { pop3: { takeover: 2 * MINUTE_MS } } }, async (appliance) => {
    await keep(appliance, small("one"));
    const robbed = await appliance.authenticated("pop3");
    await robbed.popOk("DELE 1");
    await appliance.clock.advance(2 * MINUTE_MS + SECOND_MS);
    const robber = await appliance.authenticated("pop3");
    await robbed.popErr("QUIT", "[SYS/TEMP] another session took this maildrop over; nothing was deleted");
    assertEquals(await robbed.rest(), "");
    assertEquals(await messagesOf(appliance), 1);
    // The robbed session's end has not freed what isn't its own.
    const third = await appliance.greeted("pop3");
    await third.popOk("USER alice");
    await third.popErr("PASS secret", "[IN-USE]");
    await robber.popOk("DELE 1");
    await robber.popOk("QUIT");
    assertEquals(await messagesOf(appliance), 0);
  });
});

Deno.test("Pop3Connection keeps its maildrop while its client speaks", async () => {
  await serving({ config: { pop3: { takeover: 2 * MINUTE_MS } } }, async (appliance) => {
    const wire = await appliance.authenticated("pop3");
    for (let i = 0; i < 3; i++) {
      await appliance.clock.advance(90 * SECOND_MS);
      await wire.popOk("NOOP");
    }
    await appliance.clock.advance(90 * SECOND_MS);
    const other = await appliance.greeted("pop3");
    await other.popOk("USER alice");
    await other.popErr("PASS secret", "[IN-USE]");
  });
});

// ---------------------------------------------------------------- the end

Deno.test("Pop3Connection deletes at QUIT and only there", async () => {
  const ends: Record<string, (wire: Wire, appliance: Appliance) => Promise<void>> = {
    "a reset": (wire) => Promise.resolve(wire.reset()),
    "a closed connection": (wire) => Promise.resolve(wire.close()),
    "input that ends": async (wire) => {
      wire.endInput();
      await wire.rest();
    },
    "ten minutes of silence": async (wire, { clock }) => {
      await clock.advance(10 * MINUTE_MS + 2 * SECOND_MS);
      assertStringIncludes(await wire.rest(), "-ERR [SYS/TEMP] nothing was heard for too long");
    },
  };
  for (const [way, end] of Object.entries(ends)) {
    await serving({}, async (appliance) => {
      await keep(appliance, small("one"));
      await keep(appliance, small("two"));
      const wire = await appliance.authenticated("pop3");
      await wire.popOk("DELE 1");
      await end(wire, appliance);
      await until(() => appliance.counters.sessions("pop3") === 0);
      assertEquals(await messagesOf(appliance), 2, way);
      // Nothing is locked either.
      const next = await appliance.authenticated("pop3");
      await next.popOk("DELE 2");
      await next.popOk("QUIT");
      assertEquals(await messagesOf(appliance), 1);
    });
  }
});

Deno.test("Pop3Connection frees the maildrop of a silent client that never closes", async () => {
  await serving({ config: { pop3: { takeover: 30 * MINUTE_MS } } }, async (appliance) => {
    const silent = net.connect({ host: "127.0.0.1", port: appliance.port("pop3"), allowHalfOpen: true });
    let text = "";
    silent.on("data", (bytes) => text += bytes.toString());
    silent.write("USER alice\r\nPASS secret\r\n");
    await until(() => text.includes("maildrop has"));
    await appliance.clock.advance(10 * MINUTE_MS - SECOND_MS);
    assertEquals(text.includes("-ERR"), false);
    await appliance.clock.advance(3 * SECOND_MS);
    await until(() => text.includes("-ERR"));
    await appliance.authenticated("pop3");
    silent.destroy();
  });
});

Deno.test("Pop3Connection drops a client that stops reading a message for ten minutes", async () => {
  await serving({}, async (appliance) => {
    await keep(appliance, {
      parts: ["Subject: large\r\n\r\n", ...Array<string>(80).fill(lines(256 * 1024))],
    });
    const socket = net.connect({ host: "127.0.0.1", port: appliance.port("pop3") });
    socket.on("error", () => {});
    socket.once("data", () => socket.pause());
    socket.write("USER alice\r\nPASS secret\r\nDELE 1\r\nRSET\r\nRETR 1\r\nQUIT\r\n");
    await until(() => appliance.counters.sessions("pop3") === 1);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await appliance.clock.advance(9 * MINUTE_MS);
    assertEquals(appliance.counters.sessions("pop3"), 1);
    await appliance.clock.advance(MINUTE_MS + 2 * SECOND_MS);
    await until(() => appliance.counters.sessions("pop3") === 0);
    await appliance.authenticated("pop3");
    assertEquals(await messagesOf(appliance), 1);
    socket.destroy();
  });
});

Deno.test("Pop3Connection removes what QUIT said even if the client leaves before the answer", async () => {
  const held = gate();
  let asked = false;
  const wrap = (store: Store) =>
    withMaildrops(store, {
      remove: async (account, keys) => {
        asked = true;
        await held.opened;
        return store.maildrops.remove(account, keys);
      },
    });
  await serving({ wrap }, async (appliance) => {
    await keep(appliance, small("one"));
    const wire = await appliance.authenticated("pop3");
    await wire.popOk("DELE 1");
    await wire.write("QUIT\r\n");
    await until(() => asked);
    // Not before it is on disk.
    assert(await wire.isSilent(50));
    const other = await appliance.greeted("pop3");
    await other.popOk("USER alice");
    await other.popErr("PASS secret", "[IN-USE]");
    wire.reset();
    held.open();
    await until(() => appliance.counters.sessions("pop3") === 1);
    await new Promise((resolve) => setTimeout(resolve, 10));
    assertEquals(await messagesOf(appliance), 0);
    await other.popOk("USER alice");
    await other.popOk("PASS secret");
  });
});

// ---------------------------------------------------------------- the wire

Deno.test("Pop3Connection takes commands byte by byte, in one packet, and from a client that stops sending", async () => {
  const dialogue =
    "CAPA\r\nUSER alice\r\nPASS secret\r\nSTAT\r\nUIDL\r\nRETR 1\r\nTOP 2 0\r\nDELE 9\r\nNOOP\r\nRSET\r\n";
  await serving({}, async (appliance) => {
    await keep(appliance, { parts: ["Subject: a\r\n\r\n", lines(20_000)] });
    await keep(appliance, small("two"));
    const answers: string[] = [];
    for (const way of ["one packet", "byte by byte", "half-closed"]) {
      const wire = await appliance.greeted("pop3");
      if (way === "byte by byte") { for (const octet of dialogue) await wire.write(octet); }
      else await wire.write(dialogue);
      if (way === "half-closed") wire.endInput();
      else await wire.write("QUIT\r\n");
      answers.push(await wire.rest());
    }
    assertEquals(answers[0], answers[1]);
    assertEquals(answers[0]!.startsWith(answers[2]!), true);
    assertEquals(answers[0]!.slice(answers[2]!.length).split(" ")[0], "+OK");
    assertStringIncludes(answers[0]!, lines(20_000));
  });
});

Deno.test("Pop3Connection drops what stands behind STLS in the clear", async () => {
  await serving({}, async (appliance) => {
    const wire = await appliance.greeted("pop3");
    await wire.write("USER alice\r\nSTLS\r\nPASS secret\r\nCAPA\r\n");
    await wire.popOk();
    await wire.popOk();
    assert(await wire.isSilent(50));
    await wire.startTls();
    assert(await wire.isSilent(50));
    await wire.popErr("PASS secret");
    const capabilities = await wire.popList("CAPA");
    assertEquals(capabilities.includes("STLS"), false);
    await wire.popOk("USER alice");
    await wire.popOk("PASS secret");
    await wire.popOk("QUIT");
  });
});

// ---------------------------------------------------------------- UTF-8

const FOREIGN =
  "From: J\u00f6rg <j\u00f6rg@example.com>\r\nSubject: Gr\u00fc\u00dfe\r\nX-Plain: yes\r\n\r\nB\u00e4r\r\n.dot\r\n";

Deno.test("Pop3Connection sends a surrogate in ASCII, in LIST's size, to a client without UTF8", async () => {
  await serving({}, async (appliance) => {
    const octets = Buffer.from(FOREIGN);
    // One part, then a header that ends in the second part, then more.
    await keep(appliance, { parts: [octets], utf8: true });
    await keep(appliance, small("plain"));
    await keep(appliance, {
      parts: [octets.subarray(0, 30), octets.subarray(30), lines(300_000), lines(1000)],
      utf8: true,
    });
    for (let session = 0; session < 2; session++) {
      const wire = await appliance.authenticated("pop3");
      const sizes = (await wire.popList("LIST")).map((line) => Number(line.split(" ")[1]));
      for (const [index, size] of sizes.entries()) {
        const body = await wire.popBody(`RETR ${index + 1}`);
        assertEquals(body.length, size, `message ${index + 1}`);
        const header = body.slice(0, body.indexOf("\r\n\r\n"));
        assertMatch(header, /^[\r\n\x20-\x7e]*$/);
        if (index !== 1) assertStringIncludes(header, "X-Plain: yes");
      }
      const total = sizes.reduce((sum, size) => sum + size, 0);
      assertEquals(await wire.popOk("STAT"), `+OK 3 ${total}`);
      const body = await wire.popBody("RETR 3");
      assertEquals(
        body.endsWith(Buffer.from(`B\u00e4r\r\n.dot\r\n`).toString("latin1") + lines(300_000) + lines(1000)),
        true,
      );
      await wire.popOk("QUIT");
    }
  });
});

Deno.test("Pop3Connection sends what is kept to a client with UTF8", async () => {
  await serving({}, async (appliance) => {
    await keep(appliance, { parts: [Buffer.from(FOREIGN)], utf8: true });
    const wire = await appliance.greeted("pop3");
    await wire.popOk("UTF8");
    await wire.popOk("USER alice");
    await wire.popOk("PASS secret");
    const body = await wire.popBody("RETR 1");
    assertEquals(Buffer.from(body, "latin1").toString(), RETURN_PATH + FOREIGN);
    assertEquals(await wire.popOk("LIST 1"), `+OK 1 ${body.length}`);
  });
});
