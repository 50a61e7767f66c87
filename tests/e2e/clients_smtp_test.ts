/**
 * Mail programs that nobody here wrote hand mail to the appliance, checking its certificate, and it arrives.
 *
 * @module
 */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { bodyOf, e2e, field, message, mustRun, PASSWORD, type Server } from "./harness.ts";

const A = "alice@example.test";
const B = "bob@example.test";

/** Writes the message a client is to send and gives its path; mail programs read files with LF. */
async function draft(server: Server, subject: string): Promise<string> {
  const file = `${server.folder}/draft.eml`;
  const text = message({
    subject,
    from: `Alice <${A}>`,
    to: B,
    body: "One line.\r\n.A line that begins with a dot.\r\n",
  });
  await Deno.writeTextFile(file, text.replaceAll("\r\n", "\n"));
  return file;
}

/** The same for swaks, which ends the text with a line end of its own. */
async function swaksDraft(server: Server, subject: string): Promise<string> {
  const file = await draft(server, subject);
  await Deno.writeTextFile(file, (await Deno.readTextFile(file)).trimEnd());
  return file;
}

/** Exactly one message came, with this subject, this text, and a trace of how it was sent. */
async function arrived(server: Server, subject: string, transmission: string): Promise<void> {
  const [text] = await server.mail("bob", 1);
  assertEquals(field(text!, "Subject"), subject);
  assertEquals(bodyOf(text!), "One line.\r\n.A line that begins with a dot.\r\n");
  assertEquals(field(text!, "Return-Path"), `<${A}>`);
  assertStringIncludes(field(text!, "Received") ?? "", ` with ${transmission} `);
}

const curl = (server: Server, url: string, draft: string, ...more: string[]): Promise<string> =>
  mustRun([
    "curl",
    ...["--silent", "--show-error", "--cacert", server.cert, "--user", `alice:${PASSWORD}`, "--mail-from", A],
    ...["--mail-rcpt", B, "--upload-file", draft, "--crlf", ...more, url],
  ]);

e2e("curl sends by smtp:// with STARTTLS", { needs: ["curl"], core: "core" }, async (server) => {
  const file = await draft(server, "curl-starttls");
  await curl(server, `smtp://localhost:${server.ports.submission}`, file, "--ssl-reqd");
  await arrived(server, "curl-starttls", "ESMTPSA");
});

e2e("curl sends by smtps:// with AUTH LOGIN", { needs: ["curl"] }, async (server) => {
  const file = await draft(server, "curl-smtps");
  await curl(server, `smtps://localhost:${server.ports.submissions}`, file, "--login-options", "AUTH=LOGIN");
  await arrived(server, "curl-smtps", "ESMTPSA");
});

e2e("curl sends with AUTH SCRAM-SHA-256 where it was built with it", { needs: ["curl"] }, async (server) => {
  const file = await draft(server, "curl-scram");
  const scram = (await mustRun(["curl", "--version"])).includes("gsasl")
    ? ["--login-options", "AUTH=SCRAM-SHA-256"]
    : [];
  await curl(server, `smtps://localhost:${server.ports.submissions}`, file, ...scram);
  await arrived(server, "curl-scram", "ESMTPSA");
});

e2e(
  "Python smtplib sends with STARTTLS and in TLS from the start",
  { needs: ["python3"], core: "core" },
  async (server) => {
    const script = `
import smtplib, ssl, sys
cert, port, tls_port, password = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
context = ssl.create_default_context(cafile=cert)
text = "From: ${A}\\r\\nTo: ${B}\\r\\nSubject: smtplib\\r\\n\\r\\nOne line.\\r\\n.A line that begins with a dot.\\r\\n"
s = smtplib.SMTP("localhost", port)
s.starttls(context=context)
s.login("alice", password)
assert s.sendmail("${A}", ["${B}"], text) == {}
assert s.noop()[0] == 250 and s.rset()[0] == 250
try:
    s.sendmail("${A}", ["nobody@example.test"], text)
    raise SystemExit("an unknown recipient was taken")
except smtplib.SMTPRecipientsRefused as refused:
    assert refused.recipients["nobody@example.test"][0] == 550, refused.recipients
s.quit()
s = smtplib.SMTP_SSL("localhost", tls_port, context=context)
s.login("alice@example.test", password)
assert s.sendmail("${A}", ["${B}"], text) == {}
s.quit()
`;
    const { submission, submissions } = server.ports;
    await mustRun(["python3", "-c", script, server.cert, `${submission}`, `${submissions}`, PASSWORD]);
    const texts = await server.mail("bob", 2);
    assertEquals(texts.map((text) => field(text, "Subject")), ["smtplib", "smtplib"]);
    // RFC 6409 8: submission fills in what is missing.
    for (const text of texts) {
      assertEquals(
        [field(text, "Date"), field(text, "Message-ID")].includes(undefined),
        false,
      );
    }
  },
);

e2e("swaks sends with STARTTLS and AUTH PLAIN", { needs: ["swaks"] }, async (server) => {
  const file = await swaksDraft(server, "swaks-starttls");
  await mustRun([
    "swaks",
    ...[
      "--server",
      `localhost:${server.ports.submission}`,
      "--tls",
      "--tls-verify",
      "--tls-ca-path",
      server.cert,
    ],
    ...["--auth", "PLAIN", "--auth-user", "alice", "--auth-password", PASSWORD, "--from", A, "--to", B],
    ...["--data", `@${file}`],
  ]);
  await arrived(server, "swaks-starttls", "ESMTPSA");
});

e2e("swaks sends in TLS from the start with AUTH LOGIN", { needs: ["swaks"] }, async (server) => {
  const file = await swaksDraft(server, "swaks-tls");
  await mustRun([
    "swaks",
    ...["--server", `localhost:${server.ports.submissions}`, "--tls-on-connect", "--auth", "LOGIN"],
    ...["--auth-user", "alice", "--auth-password", PASSWORD, "--from", A, "--to", B, "--data", `@${file}`],
  ]);
  await arrived(server, "swaks-tls", "ESMTPSA");
});

e2e(
  "swaks sends to the port for other systems, pipelined and without TLS",
  { needs: ["swaks"] },
  async (server) => {
    const file = await swaksDraft(server, "swaks-plain");
    await mustRun([
      "swaks",
      ...[
        "--server",
        `127.0.0.1:${server.ports.smtp}`,
        "--pipeline",
        "--from",
        A,
        "--to",
        B,
        "--data",
        `@${file}`,
      ],
    ]);
    await arrived(server, "swaks-plain", "ESMTP");
  },
);

e2e("msmtp sends with STARTTLS", { needs: ["msmtp"] }, async (server) => {
  const file = await draft(server, "msmtp");
  await mustRun([
    "msmtp",
    ...[
      "-C",
      "/dev/null",
      "--host=localhost",
      `--port=${server.ports.submission}`,
      "--tls=on",
      "--tls-starttls=on",
    ],
    ...[`--tls-trust-file=${server.cert}`, "--auth=plain", "--user=alice", `--passwordeval=echo ${PASSWORD}`],
    ...[`--from=${A}`, B],
  ], { stdin: await Deno.readTextFile(file) });
  await arrived(server, "msmtp", "ESMTPSA");
});

e2e("msmtp sends with AUTH SCRAM-SHA-256 in TLS from the start", { needs: ["msmtp"] }, async (server) => {
  const file = await draft(server, "msmtp-scram");
  await mustRun([
    "msmtp",
    ...[
      "-C",
      "/dev/null",
      "--host=localhost",
      `--port=${server.ports.submissions}`,
      "--tls=on",
      "--tls-starttls=off",
    ],
    ...[
      `--tls-trust-file=${server.cert}`,
      "--auth=scram-sha-256",
      "--user=alice",
      `--passwordeval=echo ${PASSWORD}`,
    ],
    ...[`--from=${A}`, B],
  ], { stdin: await Deno.readTextFile(file) });
  await arrived(server, "msmtp-scram", "ESMTPSA");
});

e2e("s-nail sends with STARTTLS", { needs: ["s-nail"] }, async (server) => {
  const url = `smtp://alice:${PASSWORD}@localhost:${server.ports.submission}`;
  await mustRun([
    "s-nail",
    ...[
      "-n",
      "-S",
      "v15-compat",
      "-S",
      `tls-ca-file=${server.cert}`,
      "-S",
      "smtp-use-starttls",
      "-S",
      `mta=${url}`,
    ],
    ...["-S", `from=${A}`, "-s", "s-nail", B],
  ], { stdin: "One line.\n.A line that begins with a dot.\n", env: { HOME: server.folder } });
  await arrived(server, "s-nail", "ESMTPSA");
});

e2e("Perl Net::SMTP sends with STARTTLS", { needs: ["perl"] }, async (server) => {
  const file = await draft(server, "net-smtp");
  const script = `
use Net::SMTP;
my ($port, $cert, $password, $file) = @ARGV;
open(my $in, "<", $file) or die; my $text = join("", map { s/\\n/\\r\\n/r } <$in>);
my $s = Net::SMTP->new("localhost", Port => $port) or die "connect";
$s->starttls(SSL_ca_file => $cert) or die "starttls";
$s->auth("alice", $password) or die "auth";
$s->mail('${A}') && $s->to('${B}') && $s->data($text) or die $s->message;
$s->quit;
`;
  await mustRun(["perl", "-e", script, `${server.ports.submission}`, server.cert, PASSWORD, file]);
  await arrived(server, "net-smtp", "ESMTPSA");
});

e2e(
  "smtp-source of Postfix sends 200 messages over 8 sessions",
  { needs: ["smtp-source"], core: "core" },
  async (server) => {
    const to = `127.0.0.1:${server.ports.smtp}`;
    await mustRun([
      "smtp-source",
      "-s",
      "8",
      "-m",
      "200",
      "-l",
      "4000",
      "-f",
      "load@elsewhere.test",
      "-t",
      B,
      to,
    ]);
    const texts = await server.mail("bob", 200);
    for (const text of texts) assertEquals(bodyOf(text).length >= 4000, true);
  },
);
