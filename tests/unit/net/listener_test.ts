import { assert, assertEquals, assertRejects } from "@std/assert";
import * as net from "node:net";
import { claim, formatListenAddress, listen, ListenError } from "../../../src/net/listener.ts";
import { until } from "../store/fixtures.ts";

const LOOPBACK = { host: "127.0.0.1", port: 0 };

/** A connected client. */
async function connect(port: number): Promise<net.Socket> {
  const socket = net.connect({ host: "127.0.0.1", port });
  await new Promise((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
  return socket.resume();
}

Deno.test("formatListenAddress() writes addresses as the configuration does", () => {
  assertEquals(formatListenAddress({ host: "192.0.2.1", port: 25 }), "192.0.2.1:25");
  assertEquals(formatListenAddress({ host: "2001:db8::1", port: 25 }), "[2001:db8::1]:25");
  assertEquals(formatListenAddress({ host: undefined, port: 25 }), "*:25");
});

Deno.test("claim() lets the system choose a port and gives it free again", async () => {
  const address = await claim(LOOPBACK);
  assert(address.port > 0);
  assertEquals(await claim(address), address);
});

Deno.test("claim() says which address can't be had, and why", async () => {
  const address = await claim(LOOPBACK);
  const listener = await listen(address, () => {});
  const inUse = await assertRejects(() => claim(address), ListenError);
  assertEquals(inUse.code, "EADDRINUSE");
  assertEquals(
    inUse.message,
    `can't listen on 127.0.0.1:${address.port}: another program already does; stop it, or choose another port ` +
      "under 'listen' in the configuration",
  );
  await listener.close();
  assertEquals(await claim(address), address);
  // TEST-NET-1 is nobody's.
  const foreign = await assertRejects(() => claim({ host: "192.0.2.1", port: 0 }), ListenError);
  assertEquals(
    foreign.message,
    "can't listen on 192.0.2.1:0: this machine has no such address; choose one it has, or * for all",
  );
});

Deno.test("listen() shares an address between listeners, so that each accepts", async () => {
  const address = await claim(LOOPBACK);
  const counts = [0, 0];
  const accept = (index: number) => (socket: net.Socket) => {
    counts[index]!++;
    socket.resume().end();
  };
  const listeners = [await listen(address, accept(0)), await listen(address, accept(1))];
  const clients: net.Socket[] = [];
  // Each connection goes to one of them by chance: 40 in a row to the same would be a rare chance indeed.
  for (let i = 0; i < 40; i++) clients.push(await connect(address.port));
  await until(() => counts[0]! + counts[1]! === 40);
  assert(counts[0]! > 0 && counts[1]! > 0, `${counts}`);
  for (const client of clients) client.destroy();
  await Promise.all(listeners.map((listener) => listener.close()));
});

Deno.test("Listener.close() accepts nobody any more and lets connections go on", async () => {
  const address = await claim(LOOPBACK);
  const accepted = Promise.withResolvers<net.Socket>();
  const listener = await listen(address, (socket) => accepted.resolve(socket));
  const client = await connect(address.port);
  const socket = await accepted.promise;
  const closed = listener.close();
  await assertRejects(() => connect(address.port));
  const heard = new Promise<string>((resolve) => client.once("data", (bytes) => resolve(bytes.toString())));
  socket.write("still here");
  assertEquals(await heard, "still here");
  socket.destroy();
  client.destroy();
  await closed;
});
