import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { Buffer } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import * as https from "node:https";
import * as net from "node:net";
import { FakeClock } from "../../../src/base/clock.ts";
import { HttpsError, type HttpsOptions, httpsRequest } from "../../../src/net/https.ts";
import { chainOf, expired, type Issued, root, server as good } from "./pki.ts";

type Handler = (request: IncomingMessage, answer: ServerResponse) => void;
type Ask = (options?: Partial<HttpsOptions>) => ReturnType<typeof httpsRequest>;

/** An HTTPS server, and a function that asks it. */
async function serving(
  { handler, issued = good }: { readonly handler: Handler; readonly issued?: Issued },
  use: (ask: Ask) => Promise<void>,
): Promise<void> {
  const server = https.createServer({ cert: chainOf(issued), key: issued.key }, handler);
  server.on("tlsClientError", () => {});
  const sockets = new Set<net.Socket>();
  server.on("connection", (socket: net.Socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const { port } = server.address() as net.AddressInfo;
  const ask: Ask = (options = {}) =>
    httpsRequest({
      host: "mail.example.org",
      address: "127.0.0.1",
      port,
      path: "/.well-known/mta-sts.txt",
      method: "GET",
      maxOctets: 1000,
      timeoutMs: 5000,
      ca: root.cert,
      ...options,
    });
  try {
    await use(ask);
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
}

async function failure(asked: Promise<unknown>): Promise<HttpsError> {
  return await assertRejects(() => asked, HttpsError) as unknown as HttpsError;
}

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

Deno.test("httpsRequest() gets what is at an address, under a host's name", async () => {
  const seen: unknown[] = [];
  const handler: Handler = (request, answer) => {
    seen.push(request.method, request.url, request.headers.host?.replace(/:\d+$/, ""));
    answer.setHeader("content-type", "text/plain; charset=utf-8");
    answer.write("version: STSv1\n");
    setTimeout(() => answer.end("mode: enforce\n"), 10);
  };
  await serving({ handler }, async (ask) => {
    const { status, contentType, body } = await ask();
    assertEquals([status, contentType, text(body)], [
      200,
      "text/plain; charset=utf-8",
      "version: STSv1\nmode: enforce\n",
    ]);
    assertEquals(seen, ["GET", "/.well-known/mta-sts.txt", "mail.example.org"]);
  });
});

Deno.test("httpsRequest() sends a body and header fields", async () => {
  const handler: Handler = (request, answer) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk) => chunks.push(chunk as Buffer));
    request.on("end", () => {
      answer.statusCode = 201;
      answer.end(`${request.method} ${request.headers["content-type"]} ${Buffer.concat(chunks)}`);
    });
  };
  await serving({ handler }, async (ask) => {
    const headers = { "content-type": "application/tlsrpt+gzip" };
    const { status, contentType, body } = await ask({ method: "POST", body: Buffer.from("report"), headers });
    assertEquals([status, contentType, text(body)], [201, "", "POST application/tlsrpt+gzip report"]);
  });
});

Deno.test("httpsRequest() follows no redirect", async () => {
  let count = 0;
  const handler: Handler = (_, answer) => {
    count++;
    answer.writeHead(302, { location: "/elsewhere" });
    answer.end();
  };
  await serving({ handler }, async (ask) => {
    assertEquals([(await ask()).status, count], [302, 1]);
  });
});

Deno.test("httpsRequest() holds no more than it was told to", async () => {
  const handler: Handler = (request, answer) => {
    answer.on("error", () => {});
    answer.end("x".repeat(request.url === "/fits" ? 1000 : 1001));
  };
  await serving({ handler }, async (ask) => {
    assertEquals((await ask({ path: "/fits" })).body.length, 1000);
    const error = await failure(ask());
    assertEquals(error.kind, "too-large");
    assertMatch(error.message, /mail\.example\.org at 127\.0\.0\.1:\d+ is longer than 1000 octets/);
  });
});

Deno.test("httpsRequest() sends nothing to a server whose certificate isn't valid", async () => {
  let count = 0;
  const handler: Handler = (_, answer) => {
    count++;
    answer.end();
  };
  await serving({ handler }, async (ask) => {
    assertEquals((await failure(ask({ ca: undefined }))).kind, "certificate-not-trusted");
    const error = await failure(ask({ host: "mta-sts.example.org" }));
    assertEquals(error.kind, "certificate-host-mismatch");
    assertMatch(error.message, /^the certificate of mta-sts\.example\.org at 127\.0\.0\.1:\d+ is not valid/);
  });
  await serving({ handler, issued: expired }, async (ask) => {
    // Deno doesn't tell one from the other.
    assertMatch((await failure(ask())).kind, /^certificate-(?:expired|not-trusted)$/);
  });
  assertEquals(count, 0);
});

Deno.test("httpsRequest() says what became of a connection", async () => {
  const plain = net.createServer((socket) => {
    socket.on("error", () => {});
    socket.resume().end("HTTP/1.1 200 OK\r\n\r\n");
  });
  await new Promise<void>((resolve) => plain.listen(0, "127.0.0.1", resolve));
  const { port } = plain.address() as net.AddressInfo;
  const handler: Handler = (request, answer) => {
    if (request.url === "/half") {
      answer.writeHead(200, { "content-length": "100" });
      answer.write("half");
    }
    setTimeout(() => request.socket.destroy(), 20);
  };
  await serving({ handler }, async (ask) => {
    assertEquals((await failure(ask({ port }))).kind, "tls");
    await new Promise((resolve) => plain.close(resolve));
    assertEquals((await failure(ask({ port }))).kind, "unreachable");
    assertEquals((await failure(ask({ path: "/half" }))).kind, "broken");
    assertEquals((await failure(ask({ path: "/none" }))).kind, "broken");
  });
});

Deno.test("httpsRequest() gives up in time, whatever is missing", async () => {
  const handler: Handler = (request, answer) => {
    if (request.url === "/half") {
      answer.writeHead(200, { "content-length": "100" });
      answer.write("half");
    }
  };
  await serving({ handler }, async (ask) => {
    for (const path of ["/half", "/none"]) {
      const clock = new FakeClock();
      const late = failure(ask({ path, clock }));
      await new Promise((resolve) => setTimeout(resolve, 50));
      await clock.advance(5000);
      assertEquals((await late).kind, "time-out");
    }
  });
});
