/**
 * TLS to other systems: what is taken as it comes, what MTA-STS and DANE forbid, what operators and senders ask for.
 *
 * Each host is one of this test's at port 25 of an address of its own; a mail host that must not get a message is asked
 * whether it got any.
 *
 * @module
 */
import { assert, assertEquals, assertMatch, assertNotMatch, assertStringIncludes } from "@std/assert";
import { createHash, X509Certificate } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { issue, type Issued } from "../unit/net/pki.ts";
import { bodyOf, e2eBare, field, message, Server, until } from "./harness.ts";
import { type FakeDns, startDns } from "./peers/dns.ts";
import { startDnssec } from "./peers/dnssec.ts";
import { PolicyServer, stsPolicy } from "./peers/https.ts";
import { directBy, retryAll, submit, untilStates, untilTraced } from "./peers/outbound.ts";
import { startPostfix } from "./peers/postfix.ts";
import { SmtpHost, type SmtpHostOptions } from "./peers/smtp_host.ts";

const DNS = "127.0.8.53:5300";
const NEEDS = ["root", "dnsmasq"];

const authority = await issue({ subject: "Test authority of mail hosts" });

function certified(...names: readonly string[]): Promise<Issued> {
  return issue({ subject: names[0]!, names, issuer: authority });
}

/** What a test has started, ended in reverse order whatever happens. */
class Stage {
  readonly #ends: (() => Promise<void>)[] = [];

  async add<T extends { stop(): Promise<void> }>(started: Promise<T>): Promise<T> {
    const one = await started;
    this.#ends.push(() => one.stop());
    return one;
  }

  host(options: SmtpHostOptions): Promise<SmtpHost> {
    return this.add(SmtpHost.start(options));
  }

  dns(records: readonly string[]): Promise<FakeDns> {
    return this.add(startDns(records, { address: DNS }));
  }

  /** The system under test, with the test's authority. */
  async server(config: Record<string, unknown> = {}, dns = DNS): Promise<Server> {
    const server = await Server.create({ config: directBy(dns, config), users: ["alice"] });
    this.#ends.push(() => server.remove());
    await Deno.writeTextFile(`${server.folder}/ca.pem`, authority.cert);
    const tls = (server.config.tls ?? {}) as Record<string, unknown>;
    server.config.tls = { ...tls, caFile: `${server.folder}/ca.pem` };
    await server.writeConfig();
    await server.start();
    this.#ends.push(async () => {
      if (this.failed) console.error(`---- the server's output\n${await server.output()}----`);
    });
    return server;
  }

  failed = false;

  async end(): Promise<void> {
    for (const end of this.#ends.reverse()) await end();
  }
}

function staged(name: string, run: (stage: Stage) => Promise<void>, needs: readonly string[] = NEEDS): void {
  e2eBare(name, { needs }, async () => {
    const stage = new Stage();
    try {
      await run(stage);
    } catch (error) {
      stage.failed = true;
      throw error;
    } finally {
      await stage.end();
    }
  });
}

function oneHost(domain: string, address: string): string[] {
  return [`${domain} MX 10 mx.${domain}`, `mx.${domain} A ${address}`];
}

// ---------------------------------------------------------------- as it comes

staged("without a policy any certificate will do, and broken TLS is done without", async (stage) => {
  const self = await issue({ subject: "whoever", names: ["whoever.test"] });
  const expired = await issue({ subject: "mx", names: ["mx.old.test"], issuer: authority, until: -1 });
  const proper = await certified("mx.proper.test");
  await stage.dns([
    ...oneHost("self.test", "127.0.8.1"),
    ...oneHost("old.test", "127.0.8.2"),
    ...oneHost("proper.test", "127.0.8.3"),
    ...oneHost("broken.test", "127.0.8.4"),
    ...oneHost("plain.test", "127.0.8.5"),
  ]);
  const hosts = [
    await stage.host({ address: "127.0.8.1", hostname: "mx.self.test", tls: self }),
    await stage.host({ address: "127.0.8.2", hostname: "mx.old.test", tls: expired }),
    await stage.host({ address: "127.0.8.3", hostname: "mx.proper.test", tls: proper }),
    await stage.host({ address: "127.0.8.4", hostname: "mx.broken.test", tls: self, handshake: "garbage" }),
    await stage.host({ address: "127.0.8.5", hostname: "mx.plain.test" }),
  ];
  const server = await stage.server();
  const to = ["self.test", "old.test", "proper.test", "broken.test", "plain.test"].map((name) =>
    `bob@${name}`
  );
  const id = await submit(server, { to });
  const { tries } = await untilStates(server, id, "relayed", "relayed", "relayed", "relayed", "relayed");
  assertEquals(hosts.map(({ messages }) => messages.map(({ secured }) => secured)), [
    [true],
    [true],
    [true],
    [false],
    [false],
  ]);
  const tlsOf = (domain: string) => tries.filter(({ destination }) => destination === domain).at(-1)!.tls;
  assertMatch(tlsOf("self.test"), /^TLSv1\.[23] .*, not verified$/);
  assertMatch(tlsOf("old.test"), /, not verified$/);
  assertMatch(tlsOf("proper.test"), /, verified$/);
  assertEquals(tlsOf("broken.test"), "");
  assertEquals(tlsOf("plain.test"), "");
  // What went wrong with TLS is on record beside what went through.
  assert(
    tries.some(({ destination, result }) => destination === "broken.test" && /TLS handshake/.test(result)),
  );
  await server.stop();
});

staged("Debian's Postfix gets mail over TLS", async (stage) => {
  const { cert, key } = await certified("mx.real.test");
  await stage.dns(oneHost("real.test", "127.0.8.6"));
  const postfix = await stage.add(startPostfix({
    address: "127.0.8.6",
    hostname: "mx.real.test",
    main: {
      relay_domains: "real.test",
      smtpd_tls_security_level: "may",
      smtpd_tls_cert_file: "$etc/cert.pem",
      smtpd_tls_key_file: "$etc/key.pem",
      smtpd_tls_loglevel: "1",
    },
    transport: ["real.test discard:"],
    files: { "cert.pem": cert, "key.pem": key },
  }));
  const server = await stage.server({ tls: { outbound: [{ domain: "real.test", tls: "verified" }] } });
  const id = await submit(server, {
    to: "bob@real.test",
    data: message({ subject: "x", body: "y\r\n".repeat(99_999) }),
  });
  const { tries, recipients } = await untilStates(server, id, "relayed");
  assertMatch(tries[0]!.tls, /^TLSv1\.3 .*, verified$/);
  assertMatch(recipients[0]!.acceptedBy, /^mx\.real\.test \[127\.0\.8\.6\]/);
  assertMatch(postfix.log(), /TLS connection established from .*TLSv1\.3/);
  await until(
    "Postfix to have it",
    () => Promise.resolve(/to=<bob@real\.test>.*status=sent/.test(postfix.log())),
  );
  await server.stop();
}, [...NEEDS, "postfix"]);

staged("an operator's rule asks for verified TLS, or for none", async (stage) => {
  const stranger = await issue({ subject: "x", names: ["mx.bank.test", "mx.clear.test"] });
  await stage.dns([...oneHost("bank.test", "127.0.8.7"), ...oneHost("clear.test", "127.0.8.8")]);
  const bank = await stage.host({ address: "127.0.8.7", hostname: "mx.bank.test", tls: stranger });
  const clear = await stage.host({ address: "127.0.8.8", hostname: "mx.clear.test", tls: stranger });
  const outbound = [{ domain: "bank.test", tls: "verified" }, { domain: "clear.test", tls: "off" }];
  const server = await stage.server({ tls: { outbound } });
  const id = await submit(server, { to: ["bob@bank.test", "bob@clear.test"] });
  const { recipients } = await untilTraced(
    server,
    id,
    ({ recipients: [one, two] }) => one!.state === "deferred" && two!.state === "relayed",
  );
  assertStringIncludes(recipients[0]!.detail, "tls.outbound (verified) forbids sending: no trusted root");
  assertEquals([bank.messages.length, clear.messages.length], [0, 1]);
  assertNotMatch(bank.commands.join("\n"), /MAIL|RCPT/);
  assertEquals(clear.messages[0]!.secured, false);
  await server.stop();
});

// ---------------------------------------------------------------- MTA-STS

const WEB = "127.0.8.20";

/** Records of a domain with an MTA-STS policy. */
function withPolicy(domain: string, address: string, id: string): string[] {
  return [
    ...oneHost(domain, address),
    `_mta-sts.${domain} TXT v=STSv1; id=${id}`,
    `mta-sts.${domain} A ${WEB}`,
  ];
}

staged(
  "MTA-STS enforced: a good host gets the mail, one with another certificate gets nothing",
  async (stage) => {
    await stage.dns(withPolicy("sts.test", "127.0.8.9", "1"));
    const web = await stage.add(PolicyServer.start({
      address: WEB,
      ...await certified("mta-sts.sts.test"),
      policy: stsPolicy("enforce", ["mx.sts.test"]),
    }));
    let host = await SmtpHost.start({
      address: "127.0.8.9",
      hostname: "mx.sts.test",
      tls: await certified("mx.sts.test"),
    });
    const server = await stage.server();
    const first = await submit(server, { to: "bob@sts.test" });
    const { tries } = await untilStates(server, first, "relayed");
    assertMatch(tries[0]!.tls, /, verified$/);
    assertEquals(web.requests, ["mta-sts.sts.test/.well-known/mta-sts.txt"]);
    await host.stop();

    host = await stage.host({ address: "127.0.8.9", hostname: "x", tls: await certified("mx.other.test") });
    const second = await submit(server, { to: "bob@sts.test" });
    const waiting = await untilTraced(
      server,
      second,
      ({ recipients, tries }) => recipients[0]!.state === "deferred" && tries.length > 0,
    );
    assertStringIncludes(
      waiting.recipients[0]!.detail,
      "MTA-STS (enforce) forbids sending: the certificate is not for mx.sts.test",
    );
    assertEquals(host.messages, []);
    assertNotMatch(host.commands.join("\n"), /MAIL|RCPT/);
    await server.stop();
  },
);

staged("MTA-STS: hosts that the policy doesn't name are passed over, testing only counts", async (stage) => {
  await stage.dns([
    ...withPolicy("two.test", "127.0.8.10", "1"),
    "two.test MX 5 evil.two.test",
    "evil.two.test A 127.0.8.11",
    ...withPolicy("trial.test", "127.0.8.12", "1"),
  ]);
  const both = await certified("mta-sts.two.test", "mta-sts.trial.test");
  const web = await stage.add(
    PolicyServer.start({ address: WEB, ...both, policy: stsPolicy("enforce", ["mx.two.test"]) }),
  );
  const good = await stage.host({
    address: "127.0.8.10",
    hostname: "mx.two.test",
    tls: await certified("mx.two.test"),
  });
  const evil = await stage.host({
    address: "127.0.8.11",
    hostname: "evil.two.test",
    tls: await certified("evil.two.test"),
  });
  const self = await issue({ subject: "x", names: ["mx.trial.test"] });
  const trial = await stage.host({ address: "127.0.8.12", hostname: "mx.trial.test", tls: self });
  const server = await stage.server();
  const named = await untilStates(server, await submit(server, { to: "bob@two.test" }), "relayed");
  assertEquals([good.messages.length, evil.connections], [1, 0]);
  assertStringIncludes(
    named.tries[0]!.result,
    "evil.two.test is not among the hosts of two.test's MTA-STS policy",
  );

  web.policy = stsPolicy("testing", ["mx.trial.test"]);
  const tested = await untilStates(server, await submit(server, { to: "bob@trial.test" }), "relayed");
  assertMatch(tested.tries[0]!.tls, /, not verified$/);
  assertEquals(trial.messages.length, 1);

  // RFC 8460 4.3: what was counted is kept over the end of the server, and added to after it.
  await server.stop();
  assertEquals(tallies(server), [
    ["trial.test", "certificate-not-trusted", "testing", 1],
    ["two.test", "", "enforce", 1],
    ["two.test", "validation-failure", "enforce", 1],
  ]);
  await server.start();
  await untilStates(server, await submit(server, { to: "bob@trial.test" }), "relayed");
  await server.stop();
  assertEquals(tallies(server)[0], ["trial.test", "certificate-not-trusted", "testing", 2]);
});

/** The counts for reports: domain, result, mode of the policy, sessions. */
function tallies(server: Server): unknown[] {
  const database = new DatabaseSync(`${server.data}/emsmail.db`, { readOnly: true });
  try {
    const rows = database.prepare("SELECT domain, subject, sessions FROM tls_tally ORDER BY domain, subject")
      .all();
    return rows.map((row) => {
      const { resultType, policyString } = JSON.parse(String(row.subject)) as {
        resultType: string;
        policyString: string[];
      };
      const mode = policyString.find((line) => line.startsWith("mode:"))?.slice(6) ?? "none";
      return [row.domain, resultType, mode, row.sessions];
    });
  } finally {
    database.close();
  }
}

staged(
  "a kept MTA-STS policy holds without its web server, and is fetched anew for a new id",
  async (stage) => {
    const dns = await stage.dns(withPolicy("kept.test", "127.0.8.13", "1"));
    const certificate = await certified("mta-sts.kept.test");
    const web = await PolicyServer.start({
      address: WEB,
      ...certificate,
      policy: stsPolicy("enforce", ["mx.kept.test"]),
    });
    const self = await issue({ subject: "x", names: ["mx.kept.test"] });
    const host = await stage.host({ address: "127.0.8.13", hostname: "mx.kept.test", tls: self });
    const server = await stage.server();
    const id = await submit(server, { to: "bob@kept.test" });
    const isTold = (tries: number) => (seen: Awaited<ReturnType<typeof untilTraced>>) =>
      seen.recipients[0]!.state === "deferred" && seen.tries.length >= tries;
    await untilTraced(server, id, isTold(1));
    await web.stop();
    await server.stop();

    // Neither the web server nor the record is there any more: who disturbs them gains nothing (RFC 8461 10.2).
    await dns.replace(oneHost("kept.test", "127.0.8.13"));
    await server.start();
    await retryAll(server);
    const still = await untilTraced(server, id, isTold(2));
    assertStringIncludes(still.recipients[0]!.detail, "MTA-STS (enforce) forbids sending");
    assertEquals(host.messages, []);
    await server.stop();

    const again = await stage.add(
      PolicyServer.start({ address: WEB, ...certificate, policy: stsPolicy("none", []) }),
    );
    await dns.replace(withPolicy("kept.test", "127.0.8.13", "2"));
    await server.start();
    await retryAll(server);
    await untilStates(server, id, "relayed");
    assertEquals(again.requests.length, 1);
    assertEquals(host.messages.length, 1);
    await server.stop();
  },
);

// ---------------------------------------------------------------- DANE

staged(
  "DANE: the key that DNSSEC vouches for, no other, and nothing where it can't be looked up",
  async (stage) => {
    const self = await issue({ subject: "x", names: ["whatever.test"] });
    const match = tlsaOf(self);
    const mismatch = match.replace(/..$/, match.endsWith("00") ? "01" : "00");
    const host = (
      name: string,
      address: string,
    ) => [`${name} IN MX 10 ${name}mx`, `${name}mx IN A ${address}`];
    const resolver = await stage.add(startDnssec({
      address: "127.0.8.55:5304",
      signed: [
        ...host("good", "127.0.8.14"),
        `_25._tcp.goodmx IN TLSA ${match}`,
        ...host("bad", "127.0.8.15"),
        `_25._tcp.badmx IN TLSA ${mismatch}`,
        "lost IN MX 10 unknown",
        "unknown IN A 127.0.8.16",
      ],
      plain: [...host("open", "127.0.8.17"), `_25._tcp.openmx IN TLSA ${mismatch}`],
    }));
    const start = (address: string) => stage.host({ address, hostname: "mx", tls: self });
    const [good, bad, lost, open] = [
      await start("127.0.8.14"),
      await start("127.0.8.15"),
      await start("127.0.8.16"),
      await start("127.0.8.17"),
    ];
    const server = await stage.server({}, resolver.address);
    const id = await submit(server, {
      to: ["a@good.signed.test", "b@bad.signed.test", "c@lost.signed.test", "d@open.plain.test"],
    });
    const { recipients, tries } = await untilStates(server, id, "relayed", "deferred", "deferred", "relayed");
    const tlsTo = (address: string) => tries.find((one) => one.address.startsWith(`${address}:`))!.tls;
    assertMatch(tlsTo("127.0.8.14"), /, verified by DANE$/);
    assertMatch(tlsTo("127.0.8.17"), /, not verified$/);
    assertStringIncludes(recipients[1]!.detail, "DANE forbids sending: its certificate is not the one");
    assertStringIncludes(recipients[2]!.detail, "TLSA records of unknown.signed.test can't be looked up");
    assertEquals([good, bad, lost, open].map(({ messages }) => messages.length), [1, 0, 0, 1]);
    assertEquals(lost.connections, 0);
    assertNotMatch(bad.commands.join("\n"), /MAIL|RCPT/);
    await server.stop();
  },
  ["root", "named", "unbound"],
);

/** `3 1 1 …` of a certificate's key (RFC 7671 5.1). */
function tlsaOf({ cert }: Issued): string {
  const key = new X509Certificate(cert).publicKey.export({ type: "spki", format: "der" });
  return `3 1 1 ${createHash("sha256").update(key).digest("hex")}`;
}

// ---------------------------------------------------------------- REQUIRETLS

staged("REQUIRETLS goes to a proved host that offers it, and else back to its sender", async (stage) => {
  await stage.dns([
    ...withPolicy("able.test", "127.0.8.21", "1"),
    // The better host is a proved one, but has no REQUIRETLS: the next one is asked (RFC 8689 4.2.1).
    "able.test MX 5 mx.unable.test",
    ...withPolicy("unable.test", "127.0.8.22", "1"),
    ...oneHost("unproved.test", "127.0.8.23"),
    ...withPolicy("wrong.test", "127.0.8.24", "1"),
    ...withPolicy("away.test", "127.0.8.25", "1"),
  ]);
  const names = ["able", "unable", "wrong", "away"].map((name) => `mta-sts.${name}.test`);
  await stage.add(PolicyServer.start({
    address: WEB,
    ...await certified(...names),
    policy: stsPolicy("enforce", ["mx.able.test", "mx.unable.test", "mx.wrong.test", "mx.away.test"]),
  }));
  const offersInTls = ["REQUIRETLS"];
  const host = async (address: string, name: string, more: Partial<SmtpHostOptions> = {}) =>
    await stage.host({ address, hostname: name, tls: await certified(name), offersInTls, ...more });
  const able = await host("127.0.8.21", "mx.able.test");
  const unable = await host("127.0.8.22", "mx.unable.test", { offersInTls: [] });
  const unproved = await host("127.0.8.23", "mx.unproved.test");
  const wrong = await host("127.0.8.24", "mx.wrong.test", { tls: await certified("mx.else.test") });
  const server = await stage.server();

  const to = ["able", "unable", "unproved", "wrong", "away"].map((name) => `bob@${name}.test`);
  const id = await submit(server, { to, asked: "REQUIRETLS RET=FULL" });
  // A host that is away may come back: that mail waits.
  const { tries } = await untilStates(server, id, "relayed", "failed", "failed", "failed", "deferred");
  assertEquals([unable, unproved, wrong].map(({ messages }) => messages.length), [0, 0, 0]);
  assertEquals(able.messages.length, 1);
  assertMatch(able.messages[0]!.mail, / REQUIRETLS/);
  assertEquals(able.messages[0]!.secured, true);
  assertMatch(tries.find(({ host }) => host === "mx.able.test")!.tls, /, verified$/);
  for (const { commands } of [unable, unproved, wrong]) assertNotMatch(commands.join("\n"), /MAIL|RCPT/);

  const notices = await server.mail("alice", 3);
  const about = (domain: string) =>
    notices.find((text) => new RegExp(`^Final-Recipient: rfc822; ?bob@${domain}`, "m").test(text)) ?? "";
  assertStringIncludes(about("unable.test"), "Status: 5.7.30");
  assertStringIncludes(about("unproved.test"), "Status: 5.7.10");
  assertStringIncludes(about("wrong.test"), "Status: 5.7.10");
  // RFC 8689 5: as with RET=HDRS, though RET=FULL was asked for.
  for (const notice of notices) {
    assertEquals(field(notice, "Return-Path"), "<>");
    assertNotMatch(bodyOf(notice), /^Hello\.\r$/m);
  }
  await server.stop();
});
