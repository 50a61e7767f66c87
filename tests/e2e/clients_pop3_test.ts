/**
 * Mail programs that nobody here wrote fetch mail from the appliance, checking its certificate.
 *
 * @module
 */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { e2e, message, mustRun, PASSWORD, runProgram, type Server } from "./harness.ts";

const BODIES = [
  "The first.\r\n",
  ".\r\n..two dots\r\nThe second.\r\n",
  "The third, with \u00fc in UTF-8.\r\n",
];

/** Puts three messages into alice's maildrop and gives them as POP3 must hand them out. */
async function fill(server: Server): Promise<string[]> {
  const utf8 = (text: string) => String.fromCharCode(...new TextEncoder().encode(text));
  for (const [index, body] of BODIES.entries()) {
    await server.send({
      to: "alice@example.test",
      data: message({ subject: `message ${index + 1}`, body: utf8(body) }),
    });
    await server.mail("alice", index + 1);
  }
  return await server.mail("alice", 3);
}

/** Octets as a string of one character each. */
async function octets(file: string): Promise<string> {
  return new TextDecoder("latin1").decode(await Deno.readFile(file)).replaceAll("\r\n", "\n");
}

const toLf = (text: string): string => text.replaceAll("\r\n", "\n");

const curl = (server: Server, url: string, ...more: string[]): Promise<string> =>
  mustRun([
    "curl",
    "--silent",
    "--show-error",
    "--cacert",
    server.cert,
    "--user",
    `alice:${PASSWORD}`,
    ...more,
    url,
  ]);

e2e("curl fetches by pop3:// with STLS", { needs: ["curl"], core: "core" }, async (server) => {
  const mail = await fill(server);
  const url = `pop3://localhost:${server.ports.pop3}`;
  assertEquals((await curl(server, url, "--ssl-reqd")).trim().split(/\r?\n/).length, 3);
  const file = `${server.folder}/two`;
  await curl(server, `${url}/2`, "--ssl-reqd", "--output", file);
  assertEquals(await octets(file), toLf(mail[1]!));
});

e2e("curl fetches by pop3s://, with UIDL and TOP", { needs: ["curl"] }, async (server) => {
  const mail = await fill(server);
  const url = `pop3s://localhost:${server.ports.pop3s}`;
  const file = `${server.folder}/one`;
  await curl(server, `${url}/1`, "--output", file);
  assertEquals(await octets(file), toLf(mail[0]!));
  const unique = (await curl(server, url, "--request", "UIDL")).trim().split(/\r?\n/);
  assertEquals(unique.length, 3);
  assertEquals(new Set(unique.map((line) => line.split(" ")[1])).size, 3);
  const top = await curl(server, url, "--request", "TOP 1 0");
  assertStringIncludes(top, "Subject: message 1");
  assertEquals(top.includes("The first."), false);
});

e2e("Python poplib fetches, deletes and resets", { needs: ["python3"], core: "core" }, async (server) => {
  await fill(server);
  const script = `
import poplib, ssl, sys
cert, port, tls_port, password = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
context = ssl.create_default_context(cafile=cert)
p = poplib.POP3("localhost", port)
assert "STLS" in p.capa()
p.stls(context=context)
p.user("alice"); p.pass_(password)
count, size = p.stat()
assert count == 3, count
sizes = [int(line.split()[1]) for line in p.list()[1]]
assert sum(sizes) == size, (sizes, size)
for n in (1, 2, 3):
    lines = p.retr(n)[1]
    assert sum(len(line) + 2 for line in lines) == sizes[n - 1], n
assert len(p.uidl()[1]) == 3
assert not any(b"The first." in line for line in p.top(1, 0)[1])
assert any(b"The first." in line for line in p.top(1, 1)[1])
p.dele(2); p.rset()
assert p.stat()[0] == 3
p.dele(2); p.quit()
p = poplib.POP3_SSL("localhost", tls_port, context=context)
p.utf8() if "UTF8" in p.capa() else sys.exit("UTF8 is not announced")
p.user("alice@example.test"); p.pass_(password)
assert p.stat()[0] == 2
p.quit()
`;
  const { pop3, pop3s } = server.ports;
  await mustRun(["python3", "-c", script, server.cert, `${pop3}`, `${pop3s}`, PASSWORD]);
});

e2e("mpop fetches to a Maildir and fetches nothing twice", { needs: ["mpop"] }, async (server) => {
  await fill(server);
  const maildir = `${server.folder}/Maildir`;
  for (const sub of ["cur", "new", "tmp"]) await Deno.mkdir(`${maildir}/${sub}`, { recursive: true });
  const fetch = () =>
    mustRun([
      "mpop",
      ...[
        "-C",
        "/dev/null",
        "--host=localhost",
        `--port=${server.ports.pop3}`,
        "--tls=on",
        "--tls-starttls=on",
      ],
      ...[
        `--tls-trust-file=${server.cert}`,
        "--auth=user",
        "--user=alice",
        `--passwordeval=echo ${PASSWORD}`,
      ],
      ...["--keep=on", `--uidls-file=${server.folder}/uidls`, `--delivery=maildir,${maildir}`],
    ]);
  await fetch();
  assertEquals([...Deno.readDirSync(`${maildir}/new`)].length, 3);
  await fetch();
  assertEquals([...Deno.readDirSync(`${maildir}/new`)].length, 3);
});

e2e(
  "mpop fetches with AUTH SCRAM-SHA-256 in TLS from the start and deletes",
  { needs: ["mpop"] },
  async (server) => {
    await fill(server);
    await mustRun([
      "mpop",
      ...[
        "-C",
        "/dev/null",
        "--host=localhost",
        `--port=${server.ports.pop3s}`,
        "--tls=on",
        "--tls-starttls=off",
      ],
      ...[
        `--tls-trust-file=${server.cert}`,
        "--auth=scram-sha-256",
        "--user=alice",
        `--passwordeval=echo ${PASSWORD}`,
      ],
      ...["--keep=off", `--uidls-file=${server.folder}/uidls`, `--delivery=mbox,${server.folder}/mbox`],
    ]);
    assertEquals((await octets(`${server.folder}/mbox`)).match(/^Subject: message/gm)?.length, 3);
    assertEquals(await server.mail("alice", 0), []);
  },
);

for (const [kind, service] of [["STLS", "pop3"], ["TLS from the start", "pop3s"]] as const) {
  e2e(`fetchmail fetches with ${kind} and empties the maildrop`, { needs: ["fetchmail"] }, async (server) => {
    await fill(server);
    const rc = `${server.folder}/fetchmailrc`;
    const box = `${server.folder}/box`;
    await Deno.writeTextFile(
      rc,
      `poll localhost protocol POP3 service ${
        server.ports[service]
      } uidl user "alice" password "${PASSWORD}" ` +
        `${service === "pop3s" ? "ssl " : ""}sslproto "TLS1.2+" sslcertfile "${server.cert}" sslcertck ` +
        `nokeep fetchall mda "cat >>${box}"\n`,
      { mode: 0o600 },
    );
    await mustRun([
      "fetchmail",
      ...["-f", rc, "--idfile", `${server.folder}/ids`, "--pidfile", `${server.folder}/pid`, "--nodetach"],
    ], { env: { HOME: server.folder } });
    assertEquals(
      (await octets(box)).match(/^Subject: message \d$/gm),
      [1, 2, 3].map((n) => `Subject: message ${n}`),
    );
    assertEquals(await server.mail("alice", 0), []);
  });
}

e2e("getmail fetches in TLS from the start", { needs: ["getmail"] }, async (server) => {
  await fill(server);
  const folder = await Deno.makeTempDir({ prefix: "emsmail-getmail-" });
  try {
    for (const sub of ["cur", "new", "tmp"]) {
      await Deno.mkdir(`${folder}/Maildir/${sub}`, { recursive: true });
    }
    await Deno.copyFile(server.cert, `${folder}/ca.pem`);
    await Deno.writeTextFile(
      `${folder}/getmailrc`,
      `[retriever]\ntype = SimplePOP3SSLRetriever\nserver = localhost\nport = ${server.ports.pop3s}\nusername = alice\n` +
        `password = ${PASSWORD}\nca_certs = ${folder}/ca.pem\n\n[destination]\ntype = Maildir\npath = ${folder}/Maildir/\n` +
        `\n[options]\nread_all = true\n`,
    );
    // getmail refuses to write a Maildir as root.
    const as = Deno.uid() === 0 ? ["runuser", "-u", "nobody", "--"] : [];
    if (as.length > 0) {
      await mustRun(["chown", "-R", "nobody", folder]);
    }
    await mustRun([...as, "getmail", `--getmaildir=${folder}`, `--rcfile=${folder}/getmailrc`], {
      cwd: folder,
      env: { HOME: folder },
    });
    assertEquals([...Deno.readDirSync(`${folder}/Maildir/new`)].length, 3);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

e2e("s-nail reads a maildrop with STLS", { needs: ["s-nail"] }, async (server) => {
  await fill(server);
  const url = `pop3://alice:${PASSWORD}@localhost:${server.ports.pop3}`;
  const shown = await runProgram([
    "s-nail",
    ...["-n", "-S", "v15-compat", "-S", `tls-ca-file=${server.cert}`, "-S", "pop3-use-starttls", "-f", url],
  ], { stdin: "from *\nx\n", env: { HOME: server.folder } });
  for (const n of [1, 2, 3]) assertStringIncludes(shown.stdout + shown.stderr, `message ${n}`);
});

e2e("Perl Net::POP3 fetches with STLS", { needs: ["perl"] }, async (server) => {
  await fill(server);
  const script = `
use Net::POP3;
my ($port, $cert, $password) = @ARGV;
my $p = Net::POP3->new("localhost", Port => $port) or die "connect";
$p->starttls(SSL_ca_file => $cert) or die "starttls";
my $count = $p->login("alice", $password);
die "login" unless defined $count and $count == 3;
die "get" unless grep { /The first/ } @{ $p->get(1) };
$p->quit;
`;
  await mustRun(["perl", "-e", script, `${server.ports.pop3}`, server.cert, PASSWORD]);
});
