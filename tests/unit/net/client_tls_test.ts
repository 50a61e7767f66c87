/** TLS as a client: Connection.secureAsClient() against servers that are right and wrong. */
import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { Buffer } from "node:buffer";
import * as net from "node:net";
import * as tls from "node:tls";
import { FakeClock } from "../../../src/base/clock.ts";
import { certificateProblemOf, handshakeReason } from "../../../src/net/client_tls.ts";
import type { ClientTlsOptions, Connection, PeerTls } from "../../../src/net/connection.ts";
import { dial } from "../../../src/net/dial.ts";
import { between, chainOf, expired, goodContext, root, selfSigned, server } from "./pki.ts";

interface Ends {
  readonly connection: Connection;
  /** The server's end of the TCP connection. */
  readonly peer: net.Socket;
  readonly clock: FakeClock;
  /** What the handler was told, octets as text. */
  readonly told: string[];
  readonly start: () => void;
}

/** A connection that was dialled, and the server's socket. */
async function dialled(use: (ends: Ends) => Promise<void>): Promise<void> {
  const clock = new FakeClock();
  const accepted = Promise.withResolvers<net.Socket>();
  const listener = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    accepted.resolve(socket);
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const { port } = listener.address() as net.AddressInfo;
  const connection = await dial({ address: "127.0.0.1", port, timeoutMs: 5000, clock });
  const peer = await accepted.promise;
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
    await use({ connection, peer, clock, told, start });
  } finally {
    connection.destroy();
    peer.destroy();
    await new Promise((resolve) => listener.close(resolve));
  }
}

/** The server's side of the handshake; nothing it says is lost. */
function secureServer(peer: net.Socket, context: tls.SecureContext): tls.TLSSocket {
  const secured = new tls.TLSSocket(peer, { isServer: true, secureContext: context });
  secured.on("error", () => {});
  return secured;
}

async function until(done: () => boolean): Promise<void> {
  for (let i = 0; i < 1000 && !done(); i++) await new Promise((resolve) => setTimeout(resolve, 5));
  assert(done(), "it did not happen within 5 s");
}

const toServer: ClientTlsOptions = { servername: "mail.example.org", ca: root.cert, minVersion: "TLSv1.2" };

/** Shakes hands at once after dialling. */
async function handshake(
  { cert, key }: { readonly cert: string; readonly key: string },
  options: Partial<ClientTlsOptions> = {},
): Promise<{ readonly peer: PeerTls; readonly sni: unknown }> {
  let seen: { peer: PeerTls; sni: unknown } | undefined;
  await dialled(async ({ connection, peer }) => {
    const secured = secureServer(peer, tls.createSecureContext({ cert, key }));
    const finished = new Promise((resolve) => secured.once("secure", resolve));
    const answer = await connection.secureAsClient({ ...toServer, ...options });
    await finished;
    seen = { peer: answer, sni: (secured as unknown as { servername?: unknown }).servername };
  });
  return seen!;
}

const good = { cert: chainOf(server), key: server.key };

Deno.test("Connection.secureAsClient() upgrades an open connection in place", async () => {
  await dialled(async ({ connection, peer, told, start }) => {
    start();
    peer.write("220 Ready\r\n");
    await until(() => told.length === 1);
    const securing = connection.secureAsClient(toServer);
    assertEquals(connection.writable, false);
    assertEquals(connection.write(Buffer.from("lost")), "more");
    const secured = secureServer(peer, goodContext);
    const heard: string[] = [];
    secured.on("data", (chunk) => heard.push(String(chunk)));
    const { description, verified, problem, kind } = await securing;
    assertMatch(description, /^TLSv1\.3 TLS_/);
    assertEquals({ verified, problem, kind }, { verified: true, problem: "", kind: "" });
    connection.write(Buffer.from("EHLO client.example\r\n"));
    await until(() => heard.length === 1);
    secured.write("250 secret\r\n");
    await until(() => told.length === 2);
    connection.end(Buffer.from("QUIT\r\n"));
    await until(() => heard.join("").endsWith("QUIT\r\n"));
    assertEquals(heard.join(""), "EHLO client.example\r\nQUIT\r\n");
    secured.end();
    await until(() => told.at(-1) === "(closed)");
    assertEquals(told, ["220 Ready\r\n", "250 secret\r\n", "(ended)", "(closed)"]);
  });
});

Deno.test("Connection.secureAsClient() right after dialling keeps what the server says until start()", async () => {
  await dialled(async ({ connection, peer, told, start }) => {
    const secured = secureServer(peer, goodContext);
    secured.write("220 Hello\r\n");
    assertEquals((await connection.secureAsClient(toServer)).verified, true);
    await new Promise((resolve) => setTimeout(resolve, 30));
    start();
    await until(() => told.length === 1);
    assertEquals(told, ["220 Hello\r\n"]);
  });
});

Deno.test("Connection.secureAsClient() gives the chain, the server's certificate first", async () => {
  const { peer, sni } = await handshake(good);
  const expected = [server, between, root].map(({ certificate }) => new Uint8Array(certificate.rawData));
  assertEquals(peer.chain, expected);
  assertEquals(sni, "mail.example.org");
});

Deno.test("Connection.secureAsClient() resolves with what is wrong with a certificate", async () => {
  const of = async (...given: Parameters<typeof handshake>) => {
    const { verified, kind, problem, chain } = (await handshake(...given)).peer;
    assertEquals([verified, problem === ""], [false, false]);
    assert(chain.length > 0);
    return { kind, problem };
  };
  assertEquals(await of(good, { servername: "other.example.org" }), {
    kind: "certificate-host-mismatch",
    problem: "the certificate is not for other.example.org",
  });
  assertEquals((await of(good, { ca: undefined })).kind, "certificate-not-trusted");
  assertEquals(
    (await of(good, { ca: undefined, servername: "other.example.org" })).kind,
    "certificate-not-trusted",
  );
  // The authority between is missing.
  assertEquals((await of({ cert: server.cert, key: server.key })).kind, "certificate-not-trusted");
  assertEquals((await of(selfSigned)).kind, "certificate-not-trusted");
  const { kind, problem } = await of({ cert: chainOf(expired), key: expired.key });
  assertEquals(kind, "certificate-expired");
  assertStringIncludes(problem, "expired on");
  assertEquals((await of(good, { servername: "a.b.wild.example.org" })).kind, "certificate-host-mismatch");
  assertEquals((await of(good, { servername: "192.0.2.1" })).kind, "certificate-host-mismatch");
});

Deno.test("Connection.secureAsClient() takes a wildcard, a given self-signed certificate and an address", async () => {
  assertEquals((await handshake(good, { servername: "a.wild.example.org" })).peer.verified, true);
  assertEquals((await handshake(selfSigned, { ca: selfSigned.cert })).peer.verified, true);
  const { peer, sni } = await handshake(good, { servername: "127.0.0.1" });
  assertEquals(peer.verified, true);
  assert(!sni, `an address was sent as a name: ${sni}`);
});

Deno.test("Connection.secureAsClient() rejects what was put in before the handshake", async () => {
  await dialled(async ({ connection, peer, told, start }) => {
    start();
    peer.write("220 Ready\r\n");
    await until(() => told.length === 1);
    connection.pause();
    peer.write("250 injected\r\n");
    await new Promise((resolve) => setTimeout(resolve, 30));
    const secured = secureServer(peer, goodContext);
    const error = await assertRejects(() => connection.secureAsClient(toServer), Error);
    assertMatch((error as Error).message, /^(?:TLS handshake failed: .|connection closed during)/);
    await until(() => told.at(-1) === "(closed)");
    assertEquals(told, ["220 Ready\r\n", "(ended)", "(closed)"]);
    secured.destroy();
  });
});

Deno.test("Connection.secureAsClient() rejects where the server speaks no TLS, leaves, or is silent", async () => {
  const ways: Record<string, readonly [(ends: Ends) => unknown, RegExp]> = {
    "speaks no TLS": [
      ({ peer }) => peer.resume().write("220 mail.example.org ESMTP\r\n"),
      /TLS handshake failed/,
    ],
    "leaves": [({ peer }) => peer.resume().end(), /closed during the TLS handshake|TLS handshake failed/],
    "resets": [({ peer }) => peer.resetAndDestroy(), /closed during the TLS handshake|TLS handshake failed/],
    "is silent": [({ peer, clock }) => {
      peer.resume();
      return clock.advance(7000);
    }, /took too long/],
  };
  for (const [way, [happen, expected]] of Object.entries(ways)) {
    for (const when of ["before", "after"]) {
      await dialled(async (ends) => {
        const { connection, told, start } = ends;
        if (when === "after") start();
        const failed = assertRejects(
          () => connection.secureAsClient({ ...toServer, timeoutMs: 7000 }),
          Error,
        );
        await happen(ends);
        assertMatch((await failed as Error).message, expected, way);
        if (when === "after") await until(() => told.length === 2);
        await new Promise((resolve) => setTimeout(resolve, 20));
        assertEquals(told, when === "after" ? ["(ended)", "(closed)"] : [], way);
      });
    }
  }
});

Deno.test("Connection.secureAsClient() rejects on a connection that is over", async () => {
  await dialled(async ({ connection, told, start }) => {
    start();
    connection.destroy();
    await until(() => told.at(-1) === "(closed)");
    const error = await assertRejects(() => connection.secureAsClient(toServer), Error);
    assertStringIncludes((error as Error).message, "the connection is closed");
  });
});

Deno.test("certificateProblemOf() and handshakeReason() read OpenSSL's codes and messages", () => {
  assertEquals(certificateProblemOf("ERR_TLS_CERT_ALTNAME_INVALID"), "certificate-host-mismatch");
  assertEquals(certificateProblemOf("CERT_HAS_EXPIRED"), "certificate-expired");
  assertEquals(certificateProblemOf("DEPTH_ZERO_SELF_SIGNED_CERT"), "certificate-not-trusted");
  assertEquals(certificateProblemOf("CERT_SIGNATURE_FAILURE"), "validation-failure");
  assertEquals(certificateProblemOf("ECONNRESET"), undefined);
  const message =
    "write EPROTO 403:error:0A00010B:SSL routines:tls_validate_record_header:wrong version number:../a.c:78:\n";
  assertEquals(
    handshakeReason(Object.assign(new Error(message), { code: "EPROTO" })),
    "wrong version number",
  );
  assertEquals(handshakeReason(Object.assign(new Error("read"), { code: "ECONNRESET" })), "ECONNRESET");
  assertEquals(handshakeReason(new Error("a\r\nb")), "a b");
});
