import { assert, assertEquals, assertMatch, assertNotEquals, assertRejects } from "@std/assert";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { once } from "node:events";
import net from "node:net";
import { join } from "node:path";
import tls from "node:tls";
import { FakeClock } from "../../../src/base/clock.ts";
import {
  describeTls,
  formatTls,
  loadTls,
  secureContext,
  TlsError,
  type TlsOptions,
} from "../../../src/tls/certificate.ts";
import { type KeyPair, makeCertificate } from "../../../src/tls/self_signed.ts";

const DAY_MS = 86_400_000;
const NOW_MS = Date.UTC(2026, 5, 1, 12);

function options(changes: Partial<TlsOptions> = {}): TlsOptions {
  return {
    dataDir: Deno.makeTempDirSync(),
    hostname: "mail.example.org",
    domains: ["example.org"],
    clock: new FakeClock(NOW_MS),
    ...changes,
  };
}

/** Writes a pair as given files and tells their names. */
function given(pair: KeyPair): { certFile: string; keyFile: string } {
  const folder = Deno.makeTempDirSync();
  const certFile = join(folder, "c.pem");
  const keyFile = join(folder, "k.pem");
  Deno.writeTextFileSync(certFile, pair.cert);
  Deno.writeTextFileSync(keyFile, pair.key, { mode: 0o600 });
  return { certFile, keyFile };
}

const make = (names: readonly string[] = ["mail.example.org"], nowMs = NOW_MS) =>
  makeCertificate({ names, nowMs });

Deno.test("makeCertificate() makes a server certificate for all names that is no authority", async () => {
  const { cert, key } = await make(["mail.example.org", "localhost", "127.0.0.1", "::1"]);
  const certificate = new X509Certificate(cert);
  assertEquals(certificate.subject, "CN=mail.example.org");
  assertEquals(certificate.ca, false);
  for (const name of ["mail.example.org", "localhost"]) assertEquals(certificate.checkHost(name), name);
  for (const address of ["127.0.0.1", "::1"]) assertEquals(certificate.checkIP(address), address);
  assertEquals(certificate.checkHost("other.example.org"), undefined);
  assert(certificate.checkPrivateKey(createPrivateKey(key)));
  assertEquals(certificate.publicKey.asymmetricKeyType, "ec");
  const days = (Date.parse(certificate.validTo) - Date.parse(certificate.validFrom)) / DAY_MS;
  assertEquals(days, 825);
});

Deno.test("makeCertificate() takes names longer than a common name may be", async () => {
  const long = `${"a".repeat(60)}.${"b".repeat(60)}.example`;
  const certificate = new X509Certificate((await make([long])).cert);
  assertEquals(certificate.checkHost(long), long);
});

Deno.test("loadTls() makes a self-signed certificate once, readable by its owner only", async () => {
  const wanted = options();
  const made = await loadTls(wanted);
  assertEquals([made.source, made.warnings], ["made", []]);
  for (const file of ["cert.pem", "key.pem"]) {
    assertEquals(Deno.statSync(join(wanted.dataDir, "tls", file)).mode! & 0o777, 0o600);
  }
  assertEquals([...Deno.readDirSync(join(wanted.dataDir, "tls"))].length, 2);
  assertEquals(await loadTls(wanted), { ...made, source: "kept" });
});

Deno.test("loadTls() makes the self-signed certificate anew 30 days before its end", async () => {
  const clock = new FakeClock(NOW_MS);
  const wanted = options({ clock });
  const made = await loadTls(wanted);
  await clock.advance((824 - 31) * DAY_MS);
  assertEquals((await loadTls(wanted)).cert, made.cert);
  await clock.advance(2 * DAY_MS);
  const renewed = await loadTls(wanted);
  assertNotEquals(renewed.cert, made.cert);
  assertMatch(renewed.warnings[0]!, /made anew because it ends on 2028-09-02/);
  assertEquals((await loadTls(wanted)).source, "kept");
});

Deno.test("loadTls() makes the self-signed certificate anew when it lacks a name", async () => {
  const wanted = options();
  await loadTls(wanted);
  const renamed = await loadTls({ ...wanted, hostname: "post.example.org" });
  assertMatch(renamed.warnings[0]!, /it didn't name post\.example\.org/);
  assertEquals(describeTls(renamed).names.includes("post.example.org"), true);
});

Deno.test("loadTls() makes the self-signed pair anew when it is damaged or in parts", async () => {
  const wanted = options();
  await loadTls(wanted);
  const keyFile = join(wanted.dataDir, "tls", "key.pem");
  Deno.writeTextFileSync(keyFile, (await make()).key);
  assertMatch((await loadTls(wanted)).warnings[0]!, /its key was not the one kept with it/);
  Deno.writeTextFileSync(keyFile, "");
  assertMatch((await loadTls(wanted)).warnings[0]!, /it was damaged/);
  Deno.removeSync(keyFile);
  assertEquals((await loadTls(wanted)).source, "made");
  assertEquals((await loadTls(wanted)).source, "kept");
});

Deno.test("loadTls() takes given files and writes nothing", async () => {
  const pair = await make();
  const wanted = options(given(pair));
  const material = await loadTls(wanted);
  assertEquals(material, { ...pair, source: "given", certFile: wanted.certFile!, warnings: [] });
  assertEquals([...Deno.readDirSync(wanted.dataDir)], []);
});

Deno.test("loadTls() warns of what clients will refuse", async () => {
  const warnings = async (pair: KeyPair) => (await loadTls(options(given(pair)))).warnings.join();
  assertMatch(await warnings(await make(["other.example"])), /doesn't name mail\.example\.org/);
  assertMatch(await warnings(await make(undefined, NOW_MS - 900 * DAY_MS)), /ended on 2026-03-17/);
  assertMatch(await warnings(await make(undefined, NOW_MS - 815 * DAY_MS)), /ends on 2026-06-10/);
  assertMatch(await warnings(await make(undefined, NOW_MS + 9 * DAY_MS)), /isn't valid before 2026-06-09/);
  const files = given(await make());
  Deno.chmodSync(files.keyFile, 0o644);
  assertMatch((await loadTls(options(files))).warnings.join(), /k\.pem can be read by every user/);
});

Deno.test("loadTls() says what is wrong with given files, and with which", async () => {
  const pair = await make();
  const other = await make();
  const fails = async (changed: Partial<KeyPair>, expected: RegExp) => {
    const error = await assertRejects(() => loadTls(options(given({ ...pair, ...changed }))), TlsError);
    assertMatch((error as Error).message, expected);
  };
  await fails(
    { key: other.key },
    /^tls\.keyFile: \S+k\.pem is not the key that belongs to the certificate in \S+c\.pem$/,
  );
  await fails({ cert: other.cert + pair.cert }, /^tls\.certFile: \S+c\.pem must begin with the server's own/);
  await fails({ cert: "x" }, /^tls\.certFile: \S+c\.pem holds no certificate in PEM/);
  await fails({ cert: pair.key }, /swapped\?$/);
  await fails({ cert: pair.cert.replace(/\n.{20}/, "\n") }, /certificate 1 in \S+c\.pem is damaged/);
  await fails({ key: "x" }, /^tls\.keyFile: \S+k\.pem holds no key in PEM/);
  await fails({ key: pair.key.replace(/\n.{20}/, "\n") }, /the key in \S+k\.pem is damaged/);
  await fails({ key: pair.key.replaceAll("PRIVATE", "ENCRYPTED PRIVATE") }, /locked with a passphrase/);

  const files = given(pair);
  const missing = await assertRejects(
    () => loadTls(options({ ...files, certFile: "/nowhere/c.pem" })),
    TlsError,
  );
  assertEquals((missing as Error).message, "tls.certFile: /nowhere/c.pem is not there");
  const folder = await assertRejects(
    () => loadTls(options({ ...files, keyFile: Deno.makeTempDirSync() })),
    TlsError,
  );
  assertMatch((folder as Error).message, /is a folder, not a file$/);
});

Deno.test("loadTls() takes a chain behind the server's certificate", async () => {
  const pair = await make();
  const chain = pair.cert + (await make(["authority.example"])).cert;
  assertEquals((await loadTls(options(given({ ...pair, cert: chain })))).cert, chain);
});

Deno.test("describeTls() and formatTls() say for whom, until when and with which fingerprint", async () => {
  const material = await loadTls(options());
  const description = describeTls(material);
  assertEquals(description.subject, "CN=mail.example.org");
  assertEquals(description.names, ["mail.example.org", "example.org", "localhost", "127.0.0.1", "::1"]);
  assertMatch(description.sha256, /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
  assertMatch(
    formatTls(description),
    /^self-signed certificate for mail\.example\.org, .*, ::1 until 2028-09-02, SHA-256 [0-9A-F:]{95}$/,
  );
  assertMatch(
    formatTls(describeTls({ ...material, source: "given" })),
    /^certificate by CN=mail\.example\.org for /,
  );
});

/** Serves TLS on loopback and has a client connect; gives the TLS version agreed on. */
async function handshake(
  material: Parameters<typeof secureContext>[0],
  client: tls.ConnectionOptions = {},
): Promise<string | null> {
  const { promise, resolve, reject } = Promise.withResolvers<string | null>();
  const context = secureContext(material);
  const listener = net.createServer({ pauseOnConnect: true }, (plain) => {
    plain.on("error", () => {});
    const socket = new tls.TLSSocket(plain, { isServer: true, secureContext: context });
    socket.on("error", () => {});
    socket.end("hello");
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as net.AddressInfo;
  const socket = tls.connect({
    port,
    host: "127.0.0.1",
    servername: "localhost",
    ca: material.cert,
    ...client,
  });
  socket.on("data", () => resolve(socket.getProtocol()));
  socket.on("error", reject);
  try {
    return await promise;
  } finally {
    socket.destroy();
    listener.close();
    await once(listener, "close");
  }
}

Deno.test("secureContext() serves clients that trust the self-signed certificate, and no others", async () => {
  const material = await loadTls(options({ clock: new FakeClock(Date.now()) }));
  assertEquals(await handshake(material), "TLSv1.3");
  assertEquals(await handshake(material, { maxVersion: "TLSv1.2" }), "TLSv1.2");
  await assertRejects(() => handshake(material, { ca: [] }));
  await assertRejects(() => handshake(material, { servername: "other.example" }));
});

Deno.test("secureContext() refuses TLS older than its least version", async () => {
  const material = await loadTls(options({ clock: new FakeClock(Date.now()) }));
  assertEquals(await handshake({ ...material, minVersion: "TLSv1.3" }), "TLSv1.3");
  await assertRejects(() => handshake({ ...material, minVersion: "TLSv1.3" }, { maxVersion: "TLSv1.2" }));
});

const hasOpenssl = (() => {
  try {
    return new Deno.Command("openssl", { args: ["version"] }).outputSync().success;
  } catch {
    return false;
  }
})();

Deno.test({
  name: "makeCertificate() makes what openssl takes as its own trust anchor, strictly",
  ignore: !hasOpenssl,
  fn: async () => {
    const { certFile } = given(await make(["mail.example.org", "localhost"], Date.now()));
    for (
      const [name, expected] of [["localhost", true], ["mail.example.org", true], ["evil.example", false]]
    ) {
      const { success } = new Deno.Command("openssl", {
        args: [
          ...["verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", String(name)],
          ...["-CAfile", certFile, certFile],
        ],
      }).outputSync();
      assertEquals(success, expected);
    }
  },
});
