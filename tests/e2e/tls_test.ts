/**
 * OpenSSL's own client looks at the TLS of every port; and what is injected before TLS is not obeyed in it.
 *
 * @module
 */
import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { e2e, HOSTNAME, mustRun, PASSWORD, runProgram, type Server, type Service, until } from "./harness.ts";
import { plainResponse } from "./wire.ts";

const STARTTLS: Partial<Record<Service, string>> = { smtp: "smtp", submission: "smtp", pop3: "pop3" };

function openssl(
  server: Server,
  service: Service,
  ...more: string[]
): Promise<{ code: number; text: string }> {
  const upgrade = STARTTLS[service];
  return runProgram([
    "openssl",
    ...[
      "s_client",
      "-connect",
      `127.0.0.1:${server.ports[service]}`,
      "-CAfile",
      server.cert,
      "-verify_return_error",
    ],
    ...[
      "-verify_hostname",
      HOSTNAME,
      "-brief",
      ...(upgrade === undefined ? [] : ["-starttls", upgrade]),
      ...more,
    ],
  ], { stdin: "QUIT\r\n" }).then(({ code, stdout, stderr }) => ({ code, text: stdout + stderr }));
}

for (const service of ["smtp", "submission", "submissions", "pop3", "pop3s"] as const) {
  const core = service === "submission" || service === "pop3s" ? { core: "core" as const } : {};
  e2e(
    `openssl s_client: ${service} takes TLS 1.2 and 1.3 and refuses 1.1`,
    { needs: ["openssl"], ...core },
    async (server) => {
      for (const [flag, version] of [["-tls1_2", "TLSv1.2"], ["-tls1_3", "TLSv1.3"]] as const) {
        const { code, text } = await openssl(server, service, flag);
        assertEquals(code, 0, text);
        assertMatch(text, new RegExp(`Protocol version: ${version.replace(".", "\\.")}`));
        assertMatch(text, /Verification: OK/);
      }
      // Level 0 lets this client offer what its own settings forbid, so that the refusal is the server's.
      const { code, text } = await openssl(server, service, "-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0");
      assertNotEquals(code, 0, text);
      assertMatch(text, /alert protocol version|unsupported protocol|wrong version|handshake failure/i);
    },
  );
}

e2e(
  "a self-signed certificate is made once, names the host, and its key is private",
  { needs: ["openssl"] },
  async (server) => {
    const shown = await mustRun(["openssl", "x509", "-in", server.cert, "-noout", "-text"]);
    assertMatch(shown, new RegExp(`DNS:${HOSTNAME}`));
    assertMatch(shown, /DNS:localhost/);
    const key = [...Deno.readDirSync(`${server.data}/tls`)].find((entry) => entry.name.includes("key"));
    assertEquals(Deno.statSync(`${server.data}/tls/${key!.name}`).mode! & 0o077, 0);
    const before = await Deno.readTextFile(server.cert);
    await server.stop();
    await server.start();
    assertEquals(await Deno.readTextFile(server.cert), before);
  },
);

e2e("a given certificate is served, and its successor after SIGHUP to new sessions only", {
  needs: ["openssl"],
}, async (server) => {
  const make = async (name: string) => {
    await mustRun([
      "openssl",
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"],
      ...["-subj", `/CN=${name}`, "-keyout", `${server.folder}/key.pem`, "-out", `${server.folder}/cert.pem`],
    ]);
  };
  const subject = async () => {
    const command =
      `openssl s_client -connect 127.0.0.1:${server.ports.pop3s} </dev/null 2>/dev/null | openssl x509 -noout -subject`;
    return (await mustRun(["sh", "-c", command])).trim();
  };
  await server.stop();
  await make("first.example.test");
  server.config.tls = { certFile: `${server.folder}/cert.pem`, keyFile: `${server.folder}/key.pem` };
  await server.writeConfig();
  await server.start();
  assertMatch(await subject(), /first\.example\.test/);
  const kept = await server.connect("pop3s");
  await make("second.example.test");
  server.signal("SIGHUP");
  await until("the new certificate", async () => /second\.example\.test/.test(await subject()));
  await kept.popOk("USER alice");
  await kept.popOk(`PASS ${PASSWORD}`);
  await kept.popOk("QUIT");
  kept.close();
});

e2e("what is sent in the same packet as STARTTLS is dropped", { core: "core" }, async (server) => {
  const wire = await server.connect("submission");
  await wire.expect(250, "EHLO first.example.test");
  // RFC 3207 4.2, CVE-2011-0411
  await wire.write("STARTTLS\r\nEHLO injected.example.test\r\nMAIL FROM:<injected@elsewhere.test>\r\n");
  await wire.expect(220);
  await wire.startTls();
  assertEquals(await wire.isSilent(), true);
  await wire.expect(503, "MAIL FROM:<alice@example.test>");
  const { lines } = await wire.expect(250, "EHLO second.example.test");
  assertEquals(lines.includes("STARTTLS"), false);
  assertEquals(lines.some((line) => line.startsWith("AUTH ")), true);
  await wire.expect(235, `AUTH PLAIN ${plainResponse("alice", PASSWORD)}`);
  await wire.expect(250, "MAIL FROM:<alice@example.test>");
  await wire.expect(221, "QUIT");
  wire.close();
});

e2e("what is sent in the same packet as STLS is dropped", { core: "core" }, async (server) => {
  const wire = await server.connect("pop3");
  await wire.write(`STLS\r\nUSER alice\r\nPASS ${PASSWORD}\r\n`);
  await wire.popOk();
  await wire.startTls();
  assertEquals(await wire.isSilent(), true);
  await wire.popErr("STAT");
  assertEquals((await wire.popList("CAPA")).includes("STLS"), false);
  await wire.popOk("USER alice");
  await wire.popOk(`PASS ${PASSWORD}`);
  await wire.popOk("QUIT");
  wire.close();
});

e2e("a client that speaks no TLS on a TLS port harms nobody", {}, async (server) => {
  for (const service of ["submissions", "pop3s"] as const) {
    const plain = await Deno.connect({ hostname: "127.0.0.1", port: server.ports[service] });
    await plain.write(new TextEncoder().encode("EHLO not-tls\r\nQUIT\r\n"));
    await plain.read(new Uint8Array(1000)).catch(() => null);
    plain.close();
  }
  const wire = await server.connect("pop3s");
  await wire.popOk("QUIT");
  wire.close();
});
