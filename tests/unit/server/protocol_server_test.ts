/** Limits, silence, TLS handshakes that fail, and stopping. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import * as net from "node:net";
import type { Store } from "../../../src/store/types.ts";
import { gate, keep, RETURN_PATH, serving, until, withSpool } from "./fixture.ts";

const MINUTE_MS = 60_000;

// ---------------------------------------------------------------- limits

Deno.test("ProtocolServer tells a receiver too many to come back, and takes it when one has gone", async () => {
  const config = { receivers: 2, receiversPerClient: 100 };
  await serving({ config }, async ({ greeted, connect, counters }) => {
    const first = await greeted("smtp");
    await greeted("submission");
    const refused = await connect("smtp");
    assertEquals(await refused.rest(), "421 4.3.2 All receivers are busy, please try again later\r\n");
    // A client that began with TLS only sees the connection close.
    await assertRejects(() => connect("submissions"));
    assertEquals(counters.sessions("receiver"), 2);
    await first.expect(221, "QUIT");
    // At once: the place is free before the client can have seen the reply.
    const next = await greeted("smtp");
    await next.expect(221, "QUIT");
  });
});

Deno.test("ProtocolServer tells a client with too many connections to come back", async () => {
  const config = { receivers: 100, receiversPerClient: 2 };
  await serving({ config }, async ({ greeted, connect }) => {
    await greeted("smtp");
    const second = await greeted("smtp");
    assertStringIncludes(
      await (await connect("submission")).rest(),
      "421 4.7.0 Too many connections from your",
    );
    second.close();
    for (let tries = 0;; tries++) {
      const wire = await connect("smtp");
      if ((await wire.line()).startsWith("220")) break;
      assert(tries < 100, "the place is not freed");
    }
  });
});

Deno.test("ProtocolServer holds POP3 sessions to their number, apart from the receivers", async () => {
  const config = { receivers: 1, pop3: { sessions: 1 } };
  await serving({ config }, async ({ greeted, connect }) => {
    await greeted("smtp");
    const first = await greeted("pop3");
    assertEquals(
      await (await connect("pop3")).rest(),
      "-ERR [SYS/TEMP] too many sessions; try again in a minute\r\n",
    );
    await assertRejects(() => connect("pop3s"));
    await first.popOk("QUIT");
    await greeted("pop3s");
  });
});

Deno.test("ProtocolServer frees the place of a client that resets the connection", async () => {
  await serving({ config: { receivers: 1 } }, async ({ greeted, counters }) => {
    for (let i = 0; i < 5; i++) {
      const wire = await greeted("smtp");
      wire.reset();
      await until(() => counters.sessions("receiver") === 0);
    }
  });
});

// ---------------------------------------------------------------- TLS

for (const service of ["submissions", "pop3s"] as const) {
  Deno.test(`ProtocolServer counts out a client of ${service} whose handshake fails, takes too long or breaks off`, async () => {
    const kind = service === "pop3s" ? "pop3" : "receiver";
    await serving({}, async ({ port, counters, clock, greeted }) => {
      const open = async () => {
        const socket = net.connect({ port: port(service), host: "127.0.0.1" });
        socket.on("error", () => {});
        await new Promise((resolve) => socket.once("connect", resolve));
        await until(() => counters.sessions(kind) === 1);
        return { socket, closed: new Promise((resolve) => socket.once("close", resolve)) };
      };
      const garbage = await open();
      garbage.socket.write("EHLO client.example.com\r\n");
      garbage.socket.resume();
      await garbage.closed;
      await until(() => counters.sessions(kind) === 0);

      const gone = await open();
      gone.socket.destroy();
      await until(() => counters.sessions(kind) === 0);

      const reset = await open();
      reset.socket.resetAndDestroy();
      await until(() => counters.sessions(kind) === 0);

      const silent = await open();
      silent.socket.resume();
      await clock.advance(MINUTE_MS - 1);
      assertEquals(counters.sessions(kind), 1);
      await clock.advance(1);
      await silent.closed;
      await until(() => counters.sessions(kind) === 0);

      (await greeted(service)).close();
      await until(() => counters.sessions(kind) === 0);
    });
  });
}

for (const service of ["smtp", "pop3"] as const) {
  Deno.test(`ProtocolServer counts out a client of ${service} whose upgrade to TLS fails, takes too long or breaks off`, async () => {
    const kind = service === "pop3" ? "pop3" : "receiver";
    await serving({}, async ({ greeted, counters, clock }) => {
      const begin = async () => {
        const wire = await greeted(service);
        if (service === "smtp") {
          await wire.expect(250, "EHLO client.example.com");
          await wire.expect(220, "STARTTLS");
        } else await wire.popOk("STLS");
        return wire;
      };
      const garbage = await begin();
      await garbage.write("NOOP\r\nNOOP\r\nNOOP\r\n");
      await garbage.rest().catch(() => "");
      await until(() => counters.sessions(kind) === 0);

      (await begin()).close();
      await until(() => counters.sessions(kind) === 0);

      (await begin()).reset();
      await until(() => counters.sessions(kind) === 0);

      const silent = await begin();
      await clock.advance(MINUTE_MS - 1);
      assertEquals(counters.sessions(kind), 1);
      await clock.advance(1);
      await silent.rest().catch(() => "");
      await until(() => counters.sessions(kind) === 0);
    });
  });
}

// ---------------------------------------------------------------- silence

Deno.test("ProtocolServer sends a silent SMTP client away after five minutes, wherever it fell silent", async () => {
  await serving({}, async ({ greeted, hello, authenticated, clock, counters }) => {
    const greetedOnly = await greeted("smtp");
    const inData = await hello("smtp");
    await inData.expect(250, "MAIL FROM:<sender@example.com>");
    await inData.expect(250, "RCPT TO:<alice@example.org>");
    await inData.expect(354, "DATA");
    await inData.write("Subject: a\r\n\r\nhel");
    const inAuth = await hello("submission");
    await inAuth.expect(334, "AUTH LOGIN");
    const inTls = await authenticated("submissions");
    const alive = await hello("smtp");
    await until(() => counters.octets() > 0);
    await clock.advance(5 * MINUTE_MS - 1000);
    await alive.expect(250, "NOOP");
    await clock.advance(2000);
    for (const wire of [greetedOnly, inData, inAuth, inTls]) {
      assertEquals((await wire.rest()).slice(0, 9), "421 4.4.2");
    }
    await until(() => counters.octets() === 0);
    await alive.expect(250, "NOOP");
    assertEquals(counters.sessions("receiver"), 1);
  });
});

Deno.test("ProtocolServer does not count the time it is busy itself as silence", async () => {
  const held = gate();
  const wrap = (store: Store) =>
    withSpool(store, { accept: (message) => held.opened.then(() => store.spool.accept(message)) });
  await serving({ wrap }, async ({ hello, clock }) => {
    const wire = await hello();
    await wire.expect(250, "MAIL FROM:<sender@example.com>");
    await wire.expect(250, "RCPT TO:<alice@example.org>");
    await wire.expect(354, "DATA");
    await wire.write("Subject: a\r\n\r\n.\r\n");
    assert(await wire.isSilent(50));
    await clock.advance(6 * MINUTE_MS);
    assert(await wire.isSilent(50));
    held.open();
    await wire.expect(250);
    await clock.advance(4 * MINUTE_MS);
    await wire.expect(250, "NOOP");
  });
});

Deno.test("ProtocolServer gives up a client that never reads its replies", async () => {
  await serving({}, async ({ port, clock, counters }) => {
    const socket = net.connect({ port: port("smtp"), host: "127.0.0.1" });
    socket.on("error", () => {});
    await new Promise((resolve) => socket.once("connect", resolve));
    socket.pause();
    socket.write("HELP\r\n".repeat(300_000));
    await until(() => counters.sessions("receiver") === 1);
    // Until the server stops taking more.
    let before = -1;
    for (; before !== socket.bytesWritten - socket.writableLength;) {
      before = socket.bytesWritten - socket.writableLength;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assertEquals(counters.sessions("receiver"), 1);
    await clock.advance(5 * MINUTE_MS + 2000);
    await until(() => counters.sessions("receiver") === 0);
    // The socket itself follows when its last words could not be sent in two minutes.
    const closed = new Promise((resolve) => socket.once("close", resolve));
    await clock.advance(2 * MINUTE_MS);
    socket.resume();
    await closed;
  });
});

// ---------------------------------------------------------------- stopping

Deno.test("ProtocolServer.stop() tells idle clients and takes no new ones", async () => {
  await serving({}, async ({ server, greeted, hello, authenticated, port }) => {
    const idle = await greeted("smtp");
    const inTransaction = await hello("smtp");
    await inTransaction.expect(250, "MAIL FROM:<sender@example.com>");
    const inTls = await authenticated("submissions");
    const pop3 = await authenticated("pop3");
    const stopped = server.stop(5000);
    for (const wire of [idle, inTransaction, inTls]) {
      assertEquals(
        await wire.rest(),
        "421 4.3.2 The service is shutting down, please try again later\r\n",
      );
    }
    assertEquals(await pop3.rest(), "-ERR [SYS/TEMP] the server is being stopped; try again in a minute\r\n");
    const refused = net.connect({ port: port("smtp"), host: "127.0.0.1" });
    await new Promise((resolve, reject) => {
      refused.once("error", resolve);
      refused.once("connect", reject);
    });
    for (const wire of [idle, inTransaction, inTls, pop3]) wire.close();
    await stopped;
  });
});

Deno.test("ProtocolServer.stop() lets messages in progress finish, received and sent", async () => {
  await serving({}, async (appliance) => {
    const { server, hello, authenticated } = appliance;
    const text = `Subject: a\r\n\r\n${"line\r\n".repeat(300_000)}`;
    await keep(appliance, { parts: [text.slice(0, 1_000_000), text.slice(1_000_000)] });
    const sending = await hello("smtp");
    await sending.expect(250, "MAIL FROM:<sender@example.com>");
    await sending.expect(250, "RCPT TO:<alice@example.org>");
    await sending.expect(354, "DATA");
    await sending.write("Subject: b\r\n\r\nhel");
    const fetching = await authenticated("pop3");
    const fetched = fetching.popBody("RETR 1");
    await new Promise((resolve) => setTimeout(resolve, 5));
    const stopped = server.stop(5000);
    await sending.write("lo\r\n.\r\n");
    await sending.expect(250, undefined, "2.0.0 Accepted");
    await sending.expect(421, undefined, "4.3.2");
    assertEquals((await fetched).length, RETURN_PATH.length + text.length);
    assertStringIncludes(await fetching.rest(), "-ERR [SYS/TEMP]");
    sending.close();
    fetching.close();
    await stopped;
  });
});

Deno.test("ProtocolServer.stop() waits no longer than it was told", async () => {
  const held = gate();
  const wrap = (store: Store) =>
    withSpool(store, { accept: (message) => held.opened.then(() => store.spool.accept(message)) });
  await serving({ wrap }, async ({ server, hello, clock, port, counters }) => {
    const begin = async () => {
      const wire = await hello("smtp");
      await wire.expect(250, "MAIL FROM:<sender@example.com>");
      await wire.expect(250, "RCPT TO:<alice@example.org>");
      await wire.expect(354, "DATA");
      return wire;
    };
    const slow = await begin();
    const stuck = await begin();
    await stuck.write("Subject: a\r\n\r\n.\r\n");
    const handshake = net.connect({ port: port("submissions"), host: "127.0.0.1" });
    const handshakeClosed = new Promise((resolve) => handshake.once("close", resolve));
    handshake.on("error", () => {});
    handshake.resume();
    await until(() => counters.sessions("receiver") === 3);
    let isStopped = false;
    const stopped = server.stop(5000).then(() => isStopped = true);
    await handshakeClosed;
    await clock.advance(4999);
    assertEquals(isStopped, false);
    await clock.advance(1);
    assertEquals(await slow.rest(), "421 4.3.2 The service is shutting down, please try again later\r\n");
    assertStringIncludes(await stuck.rest(), "421 4.3.2");
    await clock.advance(500);
    await stopped;
    held.open();
  });
});
