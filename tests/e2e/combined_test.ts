/**
 * The seed's Figure 4 on the binary: mail comes from the buffer host and from anyone, goes out directly with the buffer host
 * as backup, and travelling users send and fetch over the Internet, by TLS and with a log-in.
 *
 * Each test runs in a network of its own, so that the Internet's addresses can be real ones and port 25 is free. Services
 * are on their standard ports at {@linkcode PUBLIC}; the harness uses its own at 127.0.0.1.
 *
 * @module
 */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import {
  bodyOf,
  field,
  message,
  mustRun,
  PASSWORD,
  runProgram,
  type Server,
  type Service,
  type Use,
  withPeers,
  withServer,
} from "./harness.ts";
import { submit, untilStates } from "./peers/direct.ts";
import { startDns } from "./peers/dns.ts";
import { isolated } from "./peers/isolated.ts";
import { startSink } from "./peers/sink.ts";
import { plainResponse, Wire } from "./wire.ts";

const file = import.meta.url;
const PUBLIC = "203.0.113.5";
const PORTS: { readonly [service in Service]: number } = {
  smtp: 25,
  submission: 587,
  submissions: 465,
  pop3: 110,
  pop3s: 995,
};
const BUFFER = "192.0.2.10";
const STRANGER = "198.51.100.77";
const LAPTOP = "127.0.5.9";
/** The laptop again: a server would take 127.0.5.9 for this machine, where TLS is not asked for. */
const ROAD = "198.51.100.9";
const FRIEND = "192.0.2.25";
const RESOLVER = "127.0.5.53:5300";
const RECORDS = [
  "friend.test MX 10 mx.friend.test",
  `mx.friend.test A ${FRIEND}`,
  "away.test MX 10 mx.away.test",
  "mx.away.test A 192.0.2.99",
  "strict.test MX 10 mx.strict.test",
  "mx.strict.test A 192.0.2.30",
  "silent.test MX 0 .",
];

const COMBINED = {
  relay: {
    mode: "combined",
    buffer: { host: BUFFER, acceptFrom: [BUFFER] },
    unreachableAfter: "2h",
  },
  dns: { servers: [RESOLVER] },
  tls: { mtaSts: false },
  queue: { retry: ["1h"] },
};

interface Peer {
  stop(): Promise<void>;
}

/** Registers a test with a server and a DNS that knows {@linkcode RECORDS}. */
function combined(
  name: string,
  { needs = [] }: { readonly needs?: readonly string[] },
  run: (given: { readonly server: Server; readonly use: Use }) => Promise<void>,
): void {
  isolated(
    `combined: ${name}`,
    { file, needs: ["dnsmasq", "smtp-sink", ...needs] },
    () =>
      withPeers(async (use) => {
        await use(startDns(RECORDS, { address: RESOLVER }));
        await withServer({ config: COMBINED, prepare: listenPublicly }, (server) => run({ server, use }));
      }),
  );
}

function listenPublicly(server: Server): Promise<void> {
  const listen = server.config["listen"] as Record<Service, string[]>;
  for (const [service, port] of Object.entries(PORTS)) listen[service as Service].push(`${PUBLIC}:${port}`);
  return Promise.resolve();
}

/** A connection over the Internet, its greeting read. */
async function reach(service: Service, localAddress: string): Promise<Wire> {
  const kind = service === "submissions" || service === "pop3s" ? "tls" : "plain";
  const wire = await Wire.open(PORTS[service], kind, { host: PUBLIC, localAddress });
  if (service.startsWith("pop3")) await wire.popOk();
  else await wire.expect(220);
  return wire;
}

combined(
  "mail comes from the buffer host and from anyone, and nobody of them may relay",
  {},
  async ({ server, use }) => {
    const buffer = await use(startSink({ address: BUFFER, port: 25 }));
    for (const [from, subject] of [[BUFFER, "kept for you"], [STRANGER, "straight to you"]] as const) {
      const wire = await reach("smtp", from);
      await wire.expect(250, "EHLO other.test");
      await wire.expect(250, "MAIL FROM:<carol@friend.test>");
      await wire.expect(550, "RCPT TO:<dave@friend.test>", "5.7.1 Relaying denied");
      await wire.expect(550, "RCPT TO:<nobody@example.test>", "5.1.1");
      await wire.expect(250, "RCPT TO:<alice@example.test>");
      await wire.expect(354, "DATA");
      await wire.expect(250, `${message({ subject, from: "carol@friend.test" })}.`);
      wire.close();
    }
    const texts = await server.mail("alice", 2);
    assertEquals(texts.map((text) => field(text, "subject")), ["kept for you", "straight to you"]);
    assertStringIncludes(field(texts[0]!, "received")!, BUFFER);
    assertStringIncludes(field(texts[1]!, "received")!, STRANGER);
    assertEquals(await buffer.messages(), []);
  },
);

combined(
  "mail goes directly; the buffer host gets what DNS names no host for",
  {},
  async ({ server, use }) => {
    const friend = await use(startSink({ address: FRIEND, port: 25 }));
    const buffer = await use(startSink({ address: BUFFER, port: 25 }));
    const id = await submit(server, {
      to: ["dave@friend.test", "erin@nowhere.test"],
      data: message({ subject: "to both", body: "The same words.\r\n" }),
    });
    const { recipients } = await untilStates(server, id, ["relayed", "handed"]);
    assertEquals(recipients[0]!.acceptedBy, `mx.friend.test [${FRIEND}]`);
    assertStringIncludes(recipients[1]!.acceptedBy, `[${BUFFER}]`);
    const [direct] = await friend.until(1);
    const [handed] = await buffer.until(1);
    assertStringIncludes(direct!, "X-Rcpt-Args: <dave@friend.test>");
    assertStringIncludes(handed!, "X-Rcpt-Args: <erin@nowhere.test>");
    const words = await server.mustCli(["trace", id]);
    assertMatch(words, /accepted for dave@friend\.test by mx\.friend\.test .*it is responsible now/);
    assertMatch(words, /handed on for erin@nowhere\.test to .*192\.0\.2\.10.*reported by that host/);

    const route = (await server.mustCli(["route", "erin@nowhere.test", "--probe"])).replace(/\s+/g, " ");
    assertStringIncludes(route, "Rule combined");
    assertStringIncludes(route, `Backup ${BUFFER}, port 25`);
    assertStringIncludes(route, "nowhere.test");
  },
);

combined("what a host refuses goes back to its sender, and not to the buffer host", {
  needs: ["python3"],
}, async ({ server, use }) => {
  await use(startSink({ address: "192.0.2.30", port: 25, args: ["-f", "RCPT"] }));
  const buffer = await use(startSink({ address: BUFFER, port: 25 }));
  const refused = await submit(server, { to: "dave@strict.test", data: message({ subject: "refused" }) });
  const silent = await submit(server, { to: "dave@silent.test", data: message({ subject: "null MX" }) });
  await untilStates(server, refused, ["failed"]);
  await untilStates(server, silent, ["failed"]);
  const bounces = (await server.mail("alice", 2)).map((text) => text.replace(/\s+/g, " "));
  assertEquals(
    bounces.filter((text) => text.includes("dave@strict.test") && text.includes("mx.strict.test")).length,
    1,
  );
  assertEquals(bounces.filter((text) => text.includes("silent.test takes no mail")).length, 1);
  assertEquals(await buffer.messages(), []);
});

combined(
  "a host that can't be reached is waited for, and the entry says when the buffer host takes over",
  {},
  async (
    { server, use },
  ) => {
    const buffer = await use(startSink({ address: BUFFER, port: 25 }));
    const id = await submit(server, { to: "dave@away.test", data: message({ subject: "nobody home" }) });
    const trace = await untilStates(server, id, ["deferred"]);
    const { backup, backupSince } = trace.recipients[0]!.wait!;
    assertEquals(backupSince, null);
    assertEquals(backup!.destination, `[${BUFFER}]:25`);
    assertEquals(Date.parse(backup!.at) - Date.parse(trace.receivedAt), 2 * 3_600_000);
    const shown = await server.mustCli(["queue", "show", id]);
    assertMatch(
      shown,
      /Backup +the host 192\.0\.2\.10, port 25, takes over \S+ \S+ \(in .*\) if none of its hosts is reached/,
    );
    assertEquals(await buffer.messages(), []);
    // An operator needn't wait for it.
    await server.mustCli(["queue", "reroute", id, "--to", `${BUFFER}:25`]);
    await untilStates(server, id, ["handed"]);
    assertStringIncludes((await buffer.until(1))[0]!, "X-Rcpt-Args: <dave@away.test>");
  },
);

combined("what the buffer host could not deliver comes back through it", {}, async ({ server, use }) => {
  const buffer = await use(startSink({ address: BUFFER, port: 25 }));
  const id = await submit(server, { to: "erin@nowhere.test", data: message({ subject: "anybody there?" }) });
  await untilStates(server, id, ["handed"]);
  const [handed] = await buffer.until(1);
  assertMatch(handed!, /^X-Mail-Args: <alice@example\.test>/m);
  const wire = await reach("smtp", BUFFER);
  await wire.expect(250, "EHLO unix.example.test");
  await wire.expect(250, "MAIL FROM:<>");
  await wire.expect(250, "RCPT TO:<alice@example.test>");
  await wire.expect(354, "DATA");
  await wire.expect(250, `${message({ subject: "Undelivered", from: "MAILER-DAEMON@unix.example.test" })}.`);
  wire.close();
  const [notice] = await server.mail("alice", 1);
  assertEquals(field(notice!, "return-path"), "<>");
  assertEquals(field(notice!, "subject"), "Undelivered");
});

combined(
  "a travelling user sends and fetches over TLS with a log-in",
  { needs: ["curl"] },
  async ({ server, use }) => {
    const friend = await use(startSink({ address: FRIEND, port: 25 }));
    await server.send({ to: "bob@example.test", data: message({ subject: "while you travel" }) });
    const where = [
      `--resolve`,
      `mail.example.test:465:${PUBLIC}`,
      "--resolve",
      `mail.example.test:995:${PUBLIC}`,
    ];
    const laptop = (address: string) => [
      ...[
        "curl",
        "--silent",
        "--show-error",
        "--cacert",
        server.cert,
        "--interface",
        `host!${address}`,
        ...where,
      ],
      ...["--user", `bob:${PASSWORD}`, "--connect-timeout", "10"],
    ];
    for (const address of [LAPTOP, ROAD]) {
      await mustRun([
        ...laptop(address),
        ...["--mail-from", "bob@example.test", "--mail-rcpt", "dave@friend.test", "--upload-file", "-"],
        "smtps://mail.example.test:465",
      ], { stdin: message({ subject: `from ${address}`, from: "bob@example.test" }) });
    }
    const sent = await friend.until(2);
    for (const address of [LAPTOP, ROAD]) {
      assertEquals(sent.filter((text) => text.includes(`Subject: from ${address}`)).length, 1);
    }
    await server.mail("bob", 1);
    const fetched = await mustRun([...laptop(ROAD), "pop3s://mail.example.test:995/1"]);
    assertStringIncludes(bodyOf(fetched), "Hello.");
    await mustRun([...laptop(ROAD), "--request", "DELE 1", "--head", "pop3s://mail.example.test:995/"]);
    await server.mail("bob", 0);
    const wrong = await runProgram(
      laptop(ROAD).map((word) => word.replace(PASSWORD, "guessed")).concat("pop3s://mail.example.test:995/"),
    );
    // curl: access was denied.
    assertEquals(wrong.code, 67, wrong.stderr);
  },
);

combined("a travelling user gets nowhere without TLS, nor without a log-in", {}, async ({ server }) => {
  const auth = `AUTH PLAIN ${plainResponse("bob", PASSWORD)}`;
  const clear = await reach("submission", ROAD);
  const offered = await clear.expect(250, "EHLO laptop.test");
  assertEquals(offered.lines.filter((line) => line.startsWith("AUTH")), []);
  assertEquals(offered.lines.includes("STARTTLS"), true);
  await clear.expect(538, auth, "5.7.11");
  await clear.expect(530, "MAIL FROM:<bob@example.test>", "5.7.0");
  // The same connection, secured.
  await clear.expect(220, "STARTTLS");
  await clear.startTls();
  await clear.expect(250, "EHLO laptop.test");
  await clear.expect(530, "MAIL FROM:<bob@example.test>", "5.7.0");
  await clear.expect(235, auth);
  await clear.expect(250, "MAIL FROM:<bob@example.test>");
  await clear.expect(250, "RCPT TO:<alice@example.test>");
  clear.close();

  const secure = await reach("submissions", ROAD);
  await secure.expect(250, "EHLO laptop.test");
  await secure.expect(530, "MAIL FROM:<bob@example.test>", "5.7.0");
  secure.close();

  // The port for other systems takes no log-in in the clear either, and without one nobody relays.
  const relay = await reach("smtp", ROAD);
  await relay.expect(250, "EHLO laptop.test");
  const answer = await relay.smtp(auth);
  assertEquals(answer.code >= 500, true, `${answer.code} ${answer.lines}`);
  await relay.expect(250, "MAIL FROM:<bob@example.test>");
  await relay.expect(550, "RCPT TO:<dave@friend.test>", "5.7.1 Relaying denied");
  relay.close();

  const fetch = await reach("pop3", ROAD);
  await fetch.popErr("USER bob");
  await fetch.popErr("AUTH PLAIN");
  await fetch.popErr("STAT");
  await fetch.popOk("STLS");
  await fetch.startTls();
  await fetch.popOk("USER bob");
  await fetch.popOk(`PASS ${PASSWORD}`);
  await fetch.popOk("STAT");
  fetch.close();
  // Nothing of it has become a message.
  assertEquals((await server.mail("alice", 0)).length, 0);
});
