import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import * as net from "node:net";
import { FakeClock } from "../../../src/base/clock.ts";
import { dial, DialError } from "../../../src/net/dial.ts";

/** A listening port and what connects to it. */
async function listening(
  use: (port: number, next: () => Promise<net.Socket>) => Promise<void>,
): Promise<void> {
  const come: net.Socket[] = [];
  const waiting: ((socket: net.Socket) => void)[] = [];
  const server = net.createServer((socket) => {
    come.push(socket);
    socket.on("error", () => {});
    waiting.shift()?.(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await use(
      (server.address() as net.AddressInfo).port,
      () => come.length > 0 ? Promise.resolve(come[0]!) : new Promise((resolve) => waiting.push(resolve)),
    );
  } finally {
    for (const socket of come) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
}

async function failure(dialling: Promise<unknown>): Promise<DialError> {
  return await assertRejects(() => dialling, DialError) as unknown as DialError;
}

Deno.test("dial() connects, from the address that was asked for, and loses no octet before start()", async () => {
  await listening(async (port, next) => {
    const clock = new FakeClock();
    const options = { address: "127.0.0.1", port, timeoutMs: 5000, clock, localAddress: "127.0.0.5" };
    const connection = await dial(options);
    const peer = await next();
    assertEquals(peer.remoteAddress, "127.0.0.5");
    assertEquals([connection.remoteAddress, connection.remotePort], ["127.0.0.1", port]);
    peer.write("220 Hello\r\n");
    await new Promise((resolve) => setTimeout(resolve, 30));
    const come = Promise.withResolvers<string>();
    const closed = Promise.withResolvers<void>();
    connection.start({
      received: (bytes) => come.resolve(String.fromCharCode(...bytes)),
      inputEnded() {},
      drained() {},
      ended() {},
      closed: () => closed.resolve(),
    });
    assertEquals(await come.promise, "220 Hello\r\n");
    // The time for connecting is over, and doesn't matter any more.
    await clock.advance(10_000);
    assertEquals(connection.writable, true);
    connection.destroy();
    await closed.promise;
  });
});

Deno.test("dial() says that a connection was refused", async () => {
  let free = 0;
  await listening((port) => Promise.resolve(void (free = port)));
  const error = await failure(
    dial({ address: "127.0.0.1", port: free, timeoutMs: 5000, clock: new FakeClock() }),
  );
  assertEquals([error.kind, error.message], ["refused", `connection refused by 127.0.0.1:${free}`]);
});

Deno.test("dial() says that it has no address to come from", async () => {
  const clock = new FakeClock();
  const error = await failure(
    dial({ address: "127.0.0.1", port: 25, timeoutMs: 5000, clock, localAddress: "192.0.2.99" }),
  );
  assertMatch(error.message, /127\.0\.0\.1:25 from 192\.0\.2\.99/);
});

Deno.test("dial() gives up in time, and when it is called off", async () => {
  await listening(async (port) => {
    // Timers of a clock that is moved before the kernel's answer has been looked at.
    const clock = new FakeClock();
    const late = failure(dial({ address: "127.0.0.1", port, timeoutMs: 30_000, clock }));
    void clock.advance(30_000);
    assertEquals([(await late).kind, (await late).message], [
      "time-out",
      `no answer from 127.0.0.1:${port} within 30 s`,
    ]);
    const controller = new AbortController();
    const { signal } = controller;
    const stopped = failure(dial({ address: "127.0.0.1", port, timeoutMs: 30_000, clock, signal }));
    controller.abort();
    assertEquals([(await stopped).kind, (await stopped).message], [
      "other",
      `connecting to 127.0.0.1:${port} was called off`,
    ]);
    const never = await failure(dial({ address: "127.0.0.1", port, timeoutMs: 30_000, clock, signal }));
    assertMatch(never.message, /called off/);
  });
});
