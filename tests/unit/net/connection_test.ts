import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { Buffer } from "node:buffer";
import * as net from "node:net";
import * as tls from "node:tls";
import { FakeClock } from "../../../src/base/clock.ts";
import { Connection, isLoopback, plainAddress } from "../../../src/net/connection.ts";
import { claim, listen } from "../../../src/net/listener.ts";
import { inTime, tlsContext } from "../server/fixture.ts";
import { until } from "../store/fixtures.ts";

interface Link {
  readonly client: net.Socket;
  readonly connection: Connection;
  readonly clock: FakeClock;
  /** What the handler was told, octets as their number. */
  readonly told: string[];
  readonly start: () => void;
}

/** Two ends of one TCP connection. */
async function linked(use: (link: Link) => Promise<void>): Promise<void> {
  const clock = new FakeClock();
  const address = await claim({ host: "127.0.0.1", port: 0 });
  const accepted = Promise.withResolvers<net.Socket>();
  const listener = await listen(address, (socket) => accepted.resolve(socket));
  const client = net.connect({ host: "127.0.0.1", port: address.port, allowHalfOpen: true });
  client.on("error", () => {});
  const connection = new Connection(await accepted.promise, clock);
  const told: string[] = [];
  const start = () =>
    connection.start({
      received: (bytes) => told.push(Buffer.from(bytes).toString("latin1")),
      inputEnded: () => told.push("(input ended)"),
      drained: () => told.push("(drained)"),
      ended: () => told.push("(ended)"),
      closed: () => told.push("(closed)"),
    });
  try {
    await inTime(use({ client, connection, clock, told, start }));
  } finally {
    client.destroy();
    connection.destroy();
    await listener.close();
  }
}

/** Everything a socket gives until it ends. */
function rest(socket: net.Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  return new Promise((resolve) => {
    socket.on("data", (chunk) => chunks.push(chunk as Buffer));
    socket.on("end", () => resolve(Buffer.concat(chunks)));
    socket.on("close", () => resolve(Buffer.concat(chunks)));
    socket.resume();
  });
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const LARGE = Buffer.alloc(16 * 1024 * 1024, "0123456789abcdef\r\n");

Deno.test("plainAddress() and isLoopback() read addresses as sockets give them", () => {
  assertEquals(plainAddress("::ffff:192.0.2.1"), "192.0.2.1");
  assertEquals(plainAddress("::FFFF:192.0.2.1"), "192.0.2.1");
  assertEquals(plainAddress("fe80::1%eth0"), "fe80::1");
  assertEquals(plainAddress("2001:db8::1"), "2001:db8::1");
  for (const own of ["127.0.0.1", "127.8.9.10", "::1"]) assertEquals(isLoopback(own), true);
  for (const other of ["192.0.2.127", "::2", "", "1127.0.0.1"]) assertEquals(isLoopback(other), false);
});

Deno.test("Connection hands over octets, the end of input and its own end, in order and once", async () => {
  await linked(async ({ client, connection, told, start }) => {
    start();
    assertEquals([connection.remoteAddress, connection.remotePort], ["127.0.0.1", client.localPort]);
    client.write("one");
    await until(() => told.length === 1);
    client.end("two");
    await until(() => told.length === 3);
    assert(connection.writable);
    const answers = rest(client);
    connection.write(Buffer.from("three "));
    connection.end(Buffer.from("four"));
    assertEquals(connection.writable, false);
    connection.write(Buffer.from("five"));
    connection.end();
    assertEquals((await answers).toString(), "three four");
    await until(() => told.includes("(closed)"));
    assertEquals(told, ["one", "two", "(input ended)", "(ended)", "(closed)"]);
  });
});

Deno.test("Connection tells once that it broke", async () => {
  await linked(async ({ client, told, start }) => {
    start();
    client.resetAndDestroy();
    await until(() => told.length === 2);
    await pause(20);
    assertEquals(told, ["(ended)", "(closed)"]);
  });
});

Deno.test("Connection tells a handler that comes when all is over", async () => {
  await linked(async ({ client, connection, told, start }) => {
    connection.destroy();
    await rest(client);
    await pause(20);
    start();
    await until(() => told.length === 2);
    assertEquals(told, ["(ended)", "(closed)"]);
  });
});

Deno.test("Connection.write() asks to wait for a peer that doesn't read, and says when it does", async () => {
  await linked(async ({ client, connection, clock, told, start }) => {
    start();
    client.pause();
    assertEquals(connection.write(Buffer.from("small")), "more");
    await clock.advance(1000);
    assertEquals(connection.write(LARGE), "wait");
    const writtenAtMs = connection.lastActivityMs;
    assertEquals(writtenAtMs, clock.nowMs());
    await pause(50);
    assertEquals(told, []);
    await clock.advance(1000);
    client.resume();
    await until(() => told.length === 1);
    assertEquals(told, ["(drained)"]);
    assertEquals(connection.lastActivityMs, writtenAtMs + 1000);
  });
});

Deno.test("Connection.pause() makes the peer wait", async () => {
  await linked(async ({ client, connection, told, start }) => {
    start();
    connection.pause();
    client.write("a");
    await pause(50);
    assertEquals(told, []);
    connection.resume();
    await until(() => told.length === 1);
  });
});

Deno.test("Connection.end() sends all of it to a peer that reads late", async () => {
  await linked(async ({ client, connection, clock, start }) => {
    start();
    client.pause();
    connection.write(LARGE);
    connection.end(Buffer.from("bye"));
    await pause(50);
    // Longer than a peer that has everything is waited for.
    await clock.advance(60_000);
    const { length } = await rest(client);
    assertEquals(length, LARGE.length + 3);
  });
});

Deno.test("Connection.end() sends all of it to a peer that has stopped sending", async () => {
  // Not at once and no more than the kernel takes: Deno 2.9 fails a write that still waits when the reader's FIN comes.
  const small = LARGE.subarray(0, 200_000);
  for (const when of ["before", "after"]) {
    await linked(async ({ client, connection, told, start }) => {
      start();
      client.pause();
      await pause(20);
      if (when === "before") {
        client.end();
        await until(() => told.length === 1);
      }
      connection.write(small);
      connection.end(Buffer.from("bye"));
      if (when === "after") client.end();
      await pause(50);
      assertEquals((await rest(client)).length, small.length + 3);
    });
  }
});

Deno.test("Connection.end() gives up a peer that reads nothing for two minutes", async () => {
  await linked(async ({ client, connection, clock, told, start }) => {
    start();
    client.pause();
    connection.write(LARGE);
    connection.end();
    await pause(50);
    await clock.advance(119_999);
    assertEquals(told, ["(ended)"]);
    await clock.advance(1);
    await until(() => told.length === 2);
    assertEquals(told, ["(ended)", "(closed)"]);
    assert((await rest(client)).length < LARGE.length);
  });
});

Deno.test("Connection.end() reads away what a peer still sends, so that the last octets survive", async () => {
  await linked(async ({ client, connection, clock, told, start }) => {
    start();
    connection.pause();
    client.write(LARGE);
    await pause(50);
    connection.end(Buffer.from("last words"));
    assertEquals((await rest(client)).toString(), "last words");
    await until(() => client.writableLength === 0);
    // The peer never closes: three seconds after our last octet it is left alone.
    await clock.advance(2999);
    assertEquals(told, ["(ended)"]);
    await clock.advance(1);
    await until(() => told.length === 2);
    assertEquals(told, ["(ended)", "(closed)"]);
  });
});

// ---------------------------------------------------------------- TLS

Deno.test("Connection.secure() makes the connection a TLS server's, before or after start()", async () => {
  for (const when of ["before", "after"]) {
    await linked(async ({ client, connection, told, start }) => {
      if (when === "after") {
        start();
        client.write("clear");
        await until(() => told.length === 1);
      }
      const securing = connection.secure(tlsContext);
      assertEquals(connection.writable, false);
      assertEquals(connection.write(Buffer.from("lost")), "more");
      const secured = tls.connect({ socket: client, rejectUnauthorized: false });
      secured.on("error", () => {});
      secured.write("secret");
      assertMatch(await securing, /^TLSv1\.3 TLS_/);
      if (when === "before") start();
      await until(() => told.at(-1) === "secret");
      connection.end(Buffer.from("bye"));
      assertEquals((await rest(secured)).toString(), "bye");
      secured.destroy();
      await until(() => told.at(-1) === "(closed)");
      assertEquals(told, [...when === "after" ? ["clear"] : [], "secret", "(ended)", "(closed)"]);
    });
  }
});

Deno.test("Connection.secure() sends all of it to a TLS peer that has stopped sending", async () => {
  await linked(async ({ client, connection, told, start }) => {
    start();
    const securing = connection.secure(tlsContext);
    const secured = tls.connect({ socket: client, rejectUnauthorized: false });
    secured.on("error", () => {});
    await securing;
    secured.pause();
    connection.write(LARGE);
    secured.end();
    await until(() => told.includes("(input ended)"));
    connection.end(Buffer.from("bye"));
    assertEquals((await rest(secured)).length, LARGE.length + 3);
    await until(() => told.at(-1) === "(closed)");
    assertEquals(told.filter((word) => word !== "(drained)"), ["(input ended)", "(ended)", "(closed)"]);
  });
});

Deno.test("Connection.secure() rejects where the peer speaks no TLS, leaves, or is silent for a minute", async () => {
  const ways: Record<string, (link: Link) => unknown> = {
    "speaks no TLS": ({ client }) => client.resume().write("EHLO client.example.com\r\n"),
    "leaves": ({ client }) => client.resume().end(),
    "resets": ({ client }) => client.resetAndDestroy(),
    "is silent": ({ client, clock }) => {
      client.resume();
      return clock.advance(60_000);
    },
  };
  for (const [way, happen] of Object.entries(ways)) {
    for (const when of ["before", "after"]) {
      await linked(async (link) => {
        const { client, connection, told, start } = link;
        if (when === "after") start();
        const failed = assertRejects(() => connection.secure(tlsContext), Error);
        const over = rest(client);
        await happen(link);
        await failed;
        await over;
        if (when === "after") await until(() => told.length === 2);
        await pause(20);
        assertEquals(told, when === "after" ? ["(ended)", "(closed)"] : [], way);
      });
    }
  }
});
