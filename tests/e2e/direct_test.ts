/**
 * The seed's Figure 1: EMSmail directly on the Internet, which is here a dnsmasq, Debian's Postfix and smtp-sink.
 *
 * @module
 */
import { assert, assertEquals, assertMatch, assertNotMatch, assertStringIncludes } from "@std/assert";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { QueueView } from "../../src/admin/queue.ts";
import { bodyOf, DOMAIN, field, HOSTNAME, message, PASSWORD, pause, runProgram, until } from "./harness.ts";
import { direct, submit, untilStates } from "./peers/direct.ts";
import { startPostfix } from "./peers/postfix.ts";
import { startSink } from "./peers/sink.ts";

const SUBJECT = "The quarterly figures";

function sha256(text: string): string {
  return createHash("sha256").update(text, "latin1").digest("hex");
}

/** The file that a maildir delivery leaves, as octets in characters, with CRLF. */
async function deliveredTo(maildir: string): Promise<string> {
  let names: string[] = [];
  await until(`a file in ${maildir}`, () => {
    try {
      names = [...Deno.readDirSync(`${maildir}/new`)].map(({ name }) => name);
    } catch {
      // Postfix makes the folder with the first message.
    }
    return Promise.resolve(names.length > 0);
  });
  assertEquals(names.length, 1, "messages in the maildir");
  const octets = await Deno.readFile(`${maildir}/new/${names[0]}`);
  return Buffer.from(octets).toString("latin1").replace(/\r?\n/g, "\r\n");
}

direct(
  "direct: a message goes by MX to Postfix, octet for octet, and is accounted for",
  {
    needs: ["postfix"],
    records: ["target.test MX 10 mx.target.test", "mx.target.test A 127.0.3.10"],
    // The same binary, and the same configuration, in another of the seed's figures.
    config: { relay: { mode: "intranet" } },
    serveOptions: ["--relay-mode", "direct"],
  },
  async ({ server, dns, use }) => {
    const base = `${server.folder}/delivered`;
    await Deno.mkdir(base);
    // Postfix goes there as nobody.
    await Deno.chmod(server.folder, 0o711);
    await Deno.chmod(base, 0o777);
    await use(startPostfix({
      address: "127.0.3.10",
      hostname: "mx.target.test",
      main: {
        virtual_mailbox_domains: "target.test",
        virtual_mailbox_base: base,
        virtual_mailbox_maps: "inline:{carol@target.test=carol/}",
        virtual_uid_maps: "static:65534",
        virtual_gid_maps: "static:65534",
      },
    }));
    // What is easily spoilt on the way: dots, octets above 127, the longest line, blanks at the end, empty lines.
    const body = [
      ".",
      "..",
      ".dotted",
      "Gr\xc3\xbc\xc3\x9fe, \xff\xfe",
      "x".repeat(998),
      "blanks  \t ",
      "",
      "",
      "end",
      "",
    ]
      .join("\r\n");
    const data = message({
      subject: SUBJECT,
      from: `Alice <alice@${DOMAIN}>`,
      to: "carol@target.test",
      body,
    });
    const id = await submit(server, { to: "carol@target.test", data, mail: " BODY=8BITMIME" });
    const arrived = await deliveredTo(`${base}/carol`);

    assertEquals(sha256(bodyOf(arrived)), sha256(body));
    assertEquals(field(arrived, "Subject"), SUBJECT);
    assertEquals(field(arrived, "Return-Path"), `<alice@${DOMAIN}>`);
    const received = arrived.split("\r\n\r\n")[0]!.replace(/\r\n[ \t]/g, " ").split("\r\n")
      .filter((line) => line.startsWith("Received: "));
    assertEquals(received.length, 2, received.join("\n"));
    assertMatch(received[0]!, /from mail\.example\.test .* by mx\.target\.test \(Postfix\) with ESMTP/);
    assertMatch(received[1]!, new RegExp(`by mail\\.example\\.test .*with ESMTPSA id ${id}`));

    const trace = await untilStates(server, id, ["relayed"]);
    assertEquals(trace.recipients[0]!.acceptedBy, "mx.target.test [127.0.3.10]");
    assertMatch(trace.recipients[0]!.detail, /^250 2\.0\.0 Ok: (\d+ bytes )?queued as \w+$/);
    const text = await server.mustCli(["trace", id]);
    assertMatch(
      text,
      /accepted for carol@target\.test by mx\.target\.test \[127\.0\.3\.10\]: it is responsible/,
    );
    assertMatch(text, /it said: 250 2\.0\.0 Ok: .*queued as/);
    assertMatch(await server.mustCli(["queue", "show", id]), /S: 250 2\.0\.0 Ok: .*queued as/);
    const retired = JSON.parse(await server.mustCli(["queue", "list", "--retired", "--json"])) as QueueView;
    assertEquals(
      retired.recipients.map(({ recipient, state, acceptedBy }) => ({ recipient, state, acceptedBy })),
      [{
        recipient: "carol@target.test",
        state: "relayed",
        acceptedBy: "mx.target.test [127.0.3.10]",
      }],
    );
    assertMatch(
      await server.mustCli(["queue", "list", "--retired"]),
      /carol@target\.test +relayed +mx\.target\.test/,
    );
    assertEquals((await server.mustCli(["queue", "list"])).trim(), "The queue is empty.");
    assert(dns.queries().includes("mx target.test"), dns.queries().join(", "));
  },
);

direct("direct: hosts are tried by preference, and the next one where the first is not there", {
  records: [
    "target.test MX 20 second.target.test",
    "target.test MX 10 first.target.test",
    "first.target.test A 127.0.3.11",
    "second.target.test A 127.0.3.12",
  ],
}, async ({ server, use }) => {
  const second = await use(startSink({ address: "127.0.3.12", port: 25 }));
  const one = await submit(server, { to: "carol@target.test", data: message({ subject: "One" }) });
  const [arrived] = await second.until(1);
  assertStringIncludes(arrived!, "Subject: One\n");
  const { tries, recipients } = await untilStates(server, one, ["relayed"]);
  assertEquals(recipients[0]!.acceptedBy, "second.target.test [127.0.3.12]");
  const told = JSON.stringify(tries);
  assertMatch(told, /first\.target\.test/, "the host that wasn't there is told of");
  assertMatch(told, /127\.0\.3\.11/);

  const first = await use(startSink({ address: "127.0.3.11", port: 25 }));
  // The connection to the second is kept for mail that follows soon; without it, it is the first one's turn again.
  await second.stop();
  const two = await submit(server, { to: "carol@target.test", data: message({ subject: "Two" }) });
  await first.until(1);
  const after = await untilStates(server, two, ["relayed"]);
  assertEquals(after.recipients[0]!.acceptedBy, "first.target.test [127.0.3.11]");
});

direct("direct: a domain without MX is its own host, by IPv4 or IPv6", {
  records: ["four.test A 127.0.3.13", "six.test AAAA ::1"],
}, async ({ server, dns, use }) => {
  const four = await use(startSink({ address: "127.0.3.13", port: 25 }));
  const six = await use(startSink({ address: "::1", port: 25 }));
  const id = await submit(server, {
    to: ["carol@four.test", "dave@six.test"],
    data: message({ subject: SUBJECT }),
  });
  assertMatch((await four.until(1))[0]!, /^X-Rcpt-Args: <carol@four\.test>/m);
  assertMatch((await six.until(1))[0]!, /^X-Rcpt-Args: <dave@six\.test>/m);
  const { recipients } = await untilStates(server, id, ["relayed", "relayed"]);
  assertEquals(recipients.map(({ acceptedBy }) => acceptedBy), [
    "four.test [127.0.3.13]",
    "six.test [::1]",
  ]);
  const asked = dns.queries();
  for (const question of ["mx four.test", "a four.test", "mx six.test", "aaaa six.test"]) {
    assert(asked.includes(question), `${question} is among ${asked.join(", ")}`);
  }
});

direct("direct: what has no host goes to the fallback host, a null MX and a refusal don't", {
  records: [
    "null.test MX 0 .",
    "picky.test MX 10 mx.picky.test",
    "mx.picky.test A 127.0.3.14",
    'empty.test TXT "here, and no host"',
  ],
  config: { relay: { fallback: { host: "127.0.3.20", port: 2525 } } },
}, async ({ server, use }) => {
  const fallback = await use(startSink({ address: "127.0.3.20", port: 2525, hostname: "post.isp.test" }));
  const picky = await use(startSink({ address: "127.0.3.14", port: 25, args: ["-f", "RCPT"] }));
  const id = await submit(server, {
    to: ["a@nowhere.test", "b@empty.test", "c@null.test", "d@picky.test"],
    data: message({ subject: SUBJECT }),
  });
  const { recipients } = await untilStates(server, id, ["handed", "handed", "failed", "failed"]);
  assertMatch(recipients[0]!.acceptedBy, /^127\.0\.3\.20 /);
  assertMatch(recipients[2]!.detail, /^556 5\.1\.10 /);
  assertMatch(recipients[3]!.detail, /^mx\.picky\.test said: 500 5\.3\.0/);
  const text = (await fallback.messages()).join("\n");
  assertMatch(text, /^X-Rcpt-Args: <a@nowhere\.test>/m);
  assertMatch(text, /^X-Rcpt-Args: <b@empty\.test>/m);
  assertNotMatch(text, /null\.test|picky\.test/);
  assertEquals(await picky.messages(), []);
  // It was handed on, not delivered, and that is what people are told.
  assertMatch(
    await server.mustCli(["trace", id]),
    /handed on for a@nowhere\.test to .*: what becomes of it there/,
  );
  assertEquals((await server.mail("alice", 2)).length, 2, "a bounce for each of the two");
});

direct(
  "direct: port 25 is open to all for our domains, and to nobody for others",
  {
    needs: ["postfix", "swaks"],
    records: [`${DOMAIN} MX 10 ${HOSTNAME}`, `${HOSTNAME} A 127.0.3.1`, "out.test A 127.0.3.15"],
    prepare: (server) => {
      (server.config["listen"] as Record<string, string[]>)["smtp"]!.push("127.0.3.1:25");
      return Promise.resolve();
    },
  },
  async ({ server, use }) => {
    const postfix = await use(startPostfix({
      address: "127.0.3.16",
      hostname: "mx.sender.test",
      transport: [`${DOMAIN} smtp:[127.0.3.1]:25`],
    }));
    const data = message({ subject: SUBJECT, from: "Carol <carol@sender.test>" });
    const swaks = (...args: readonly string[]) =>
      runProgram(["swaks", "--from", "carol@sender.test", "--data", "-", ...args], { stdin: data });

    const sent = await swaks("--server", "127.0.3.16", "--to", `alice@${DOMAIN}`);
    assertEquals(sent.code, 0, sent.stdout + sent.stderr);
    const [text] = await server.mail("alice", 1);
    assertEquals(field(text!, "Subject"), SUBJECT);
    assertEquals(field(text!, "Return-Path"), "<carol@sender.test>");
    assertMatch(text!, /^Received: from mx\.sender\.test \(.*\[127\.0\.3\.16\]\)/m);
    await until("Postfix's queue to be empty", async () => (await postfix.queueIds()).length === 0);

    // From an address that nobody has said anything about.
    const out = await use(startSink({ address: "127.0.3.15", port: 25 }));
    const stranger = await swaks("--server", "127.0.3.1", "--to", "dave@out.test");
    assertEquals(stranger.code, 24, "swaks's code for no recipient taken");
    assertMatch(stranger.stdout, /<\*\* 550 5\.7\.1 Relaying denied/);
    const nobody = await swaks("--server", "127.0.3.1", "--to", `nobody@${DOMAIN}`);
    assertMatch(nobody.stdout, /<\*\* 550 5\.1\.1 /);
    // A sender's address that claims to be ours opens nothing.
    const liar = await swaks("--server", "127.0.3.1", "--to", "dave@out.test", "--from", `alice@${DOMAIN}`);
    assertMatch(liar.stdout, /<\*\* 550 5\.7\.1 /);
    assertEquals(await out.messages(), []);

    const login = ["--auth", "PLAIN", "--auth-user", "alice", "--auth-password", PASSWORD, "--tls"];
    const server587 = `127.0.0.1:${server.ports.submission}`;
    const user = await swaks(
      ...["--server", server587, "--to", "dave@out.test", "--from", `alice@${DOMAIN}`],
      ...login,
    );
    assertEquals(user.code, 0, user.stdout + user.stderr);
    assertMatch((await out.until(1))[0]!, /^X-Mail-Args: <alice@example\.test>/m);
  },
);

direct("direct: one refused recipient keeps the others of its message from nothing", {
  needs: ["postfix"],
  records: ["target.test A 127.0.3.10"],
}, async ({ server, use }) => {
  await use(startPostfix({
    address: "127.0.3.10",
    hostname: "target.test",
    main: {
      relay_domains: "target.test",
      relay_recipient_maps: "inline:{good@target.test=x, fine@target.test=x}",
      default_transport: "discard:",
      relay_transport: "discard:",
    },
  }));
  const to = ["good@target.test", "bad@target.test", "fine@target.test"];
  const id = await submit(server, { to, data: message({ subject: SUBJECT }) });
  const { recipients, tries } = await untilStates(server, id, ["relayed", "failed", "relayed"]);
  assertMatch(recipients[1]!.detail, /said: 550 5\.1\.1 <bad@target\.test>: Recipient address rejected/);
  assertEquals(tries.length, 1, "one connection and one transaction for all of them");
  const [bounce] = await server.mail("alice", 1);
  assertMatch(bounce!, /^Final-Recipient: rfc822; ?bad@target\.test\r$/m);
  assertNotMatch(bounce!, /Final-Recipient: rfc822; ?(good|fine)@/);
});

direct("direct: a failed look-up waits; it is neither a bounce nor a way to the fallback host", {
  records: ["broken.test REFUSED"],
  config: { relay: { fallback: { host: "127.0.3.20", port: 2525 } } },
}, async ({ server, dns, use }) => {
  const fallback = await use(startSink({ address: "127.0.3.20", port: 2525 }));
  const id = await submit(server, { to: "carol@broken.test", data: message({ subject: SUBJECT }) });
  const { recipients } = await untilStates(server, id, ["deferred"]);
  assertMatch(recipients[0]!.detail, /REFUSED/);
  assertEquals(await fallback.messages(), []);

  await dns.replace(["broken.test A 127.0.3.13"]);
  const sink = await use(startSink({ address: "127.0.3.13", port: 25 }));
  // That a look-up failed is remembered for a few seconds (RFC 2308 7.1).
  await until("the message to leave", async () => {
    if ((await sink.messages()).length > 0) return true;
    await server.cli(["queue", "retry", id]);
    await pause(1000);
    return false;
  });
  const { tries } = await untilStates(server, id, ["relayed"]);
  assert(tries.length >= 2, "each look-up that failed is told of as a try");
});
