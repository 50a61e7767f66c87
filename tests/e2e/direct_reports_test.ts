/**
 * What senders are told in direct mode: failures, deliveries and hand-overs as RFC 3461 and 3464 have it, read by Python's
 * email package.
 *
 * @module
 */
import { assertEquals, assertMatch, assertNotMatch, assertStringIncludes } from "@std/assert";
import { DOMAIN, field, HOSTNAME, message, pause, until } from "./harness.ts";
import { direct, submit, untilStates } from "./peers/direct.ts";
import { startPostfix } from "./peers/postfix.ts";
import { readReport } from "./peers/report.ts";
import { startSink } from "./peers/sink.ts";

const SUBJECT = "The quarterly figures";
const data = message({
  subject: SUBJECT,
  from: `Alice <alice@${DOMAIN}>`,
  to: "carol@target.test",
  body: "The figures are these.\r\n",
});
const PYTHON = { needs: ["python3"] } as const;

direct("direct reports: a null MX and a name that doesn't exist come back with the reason", {
  ...PYTHON,
  records: ["null.test MX 0 ."],
}, async ({ server, dns }) => {
  const id = await submit(server, { to: ["carol@null.test", "dave@nowhere.test"], data });
  const trace = await untilStates(server, id, ["failed", "failed"]);
  assertMatch(trace.recipients[0]!.detail, /^556 5\.1\.10 null\.test takes no mail/);
  const reports = await Promise.all((await server.mail("alice", 2)).map(readReport));
  for (const report of reports) {
    assertEquals(report.type, "multipart/report; report-type=delivery-status");
    assertEquals(report.parts[1], "message/delivery-status");
    assertEquals(report.defects, []);
    assertEquals(report.header["auto-submitted"], "auto-replied");
    assertMatch(report.header["from"]!, /<MAILER-DAEMON@example\.test>/);
    assertEquals(report.message["reporting-mta"], `dns; ${HOSTNAME}`);
    assertStringIncludes(report.original, "The figures are these.");
    assertStringIncludes(report.original, `Subject: ${SUBJECT}`);
  }
  const about = (recipient: string) => {
    const found = reports.find(({ recipients }) =>
      recipients.some((one) => one["final-recipient"] === `rfc822; ${recipient}`)
    );
    if (found === undefined) throw new Error(JSON.stringify(reports, null, 2));
    assertEquals(found.recipients.map((one) => one["action"]), ["failed"]);
    return { status: found.recipients[0]!["status"], text: found.text };
  };
  const nullMx = about("carol@null.test");
  assertEquals(nullMx.status, "5.1.10");
  assertStringIncludes(nullMx.text, "null.test takes no mail");
  const nowhere = about("dave@nowhere.test");
  assertEquals(nowhere.status, "5.1.2");
  assertStringIncludes(nowhere.text, "nowhere.test");
  // RFC 7505 3, RFC 5321 5.1: neither is looked for any further.
  assertEquals(dns.queries().filter((question) => /^(a|aaaa) null\.test/.test(question)), []);
});

direct("direct reports: a refusal comes back with the host, its words and the whole dialogue", {
  ...PYTHON,
  records: ["target.test MX 10 mx.target.test", "mx.target.test A 127.0.3.21"],
}, async ({ server, use }) => {
  await use(startSink({
    address: "127.0.3.21",
    port: 25,
    args: ["-f", "RCPT", "-B", "550 5.7.26 We want none of this"],
  }));
  await submit(server, { to: "carol@target.test", data });
  const report = await readReport((await server.mail("alice", 1))[0]!);
  const [recipient] = report.recipients;
  assertEquals(recipient!["final-recipient"], "rfc822; carol@target.test");
  assertEquals(recipient!["action"], "failed");
  assertEquals(recipient!["status"], "5.7.26");
  assertEquals(recipient!["remote-mta"], "dns; mx.target.test");
  assertEquals(recipient!["diagnostic-code"], "smtp; 550 5.7.26 We want none of this");
  assertMatch(report.text, /carol@target\.test/);
  for (const line of ["C: MAIL FROM:<alice@example.test>", "C: RCPT TO:<carol@target.test>"]) {
    assertStringIncludes(report.text, line);
  }
  assertStringIncludes(report.text, "S: 550 5.7.26 We want none of this");
  assertStringIncludes(report.header["subject"]!, SUBJECT);
});

direct("direct reports: ENVID, ORCPT and RET=HDRS are honoured in a failure", {
  ...PYTHON,
  records: ["target.test A 127.0.3.22"],
}, async ({ server, use }) => {
  await use(startSink({ address: "127.0.3.22", port: 25, args: ["-f", "RCPT"] }));
  await submit(server, {
    to: "carol@target.test",
    data,
    mail: " RET=HDRS ENVID=job+2B17",
    rcpt: " NOTIFY=FAILURE ORCPT=rfc822;Sales+2BEurope@target.test",
  });
  const report = await readReport((await server.mail("alice", 1))[0]!);
  assertEquals(report.message["original-envelope-id"], "job+17");
  assertEquals(report.recipients[0]!["original-recipient"], "rfc822; Sales+Europe@target.test");
  assertEquals(report.parts[2], "text/rfc822-headers");
  assertStringIncludes(report.original, `Subject: ${SUBJECT}`);
  assertNotMatch(report.original, /The figures are these/);
});

direct("direct reports: NOTIFY=NEVER and the null reverse-path are answered by silence", {
  records: ["target.test A 127.0.3.23"],
}, async ({ server, use }) => {
  await use(startSink({ address: "127.0.3.23", port: 25, args: ["-f", "RCPT"] }));
  const never = await submit(server, { to: "carol@target.test", data, rcpt: " NOTIFY=NEVER" });
  const late = await submit(server, {
    to: "carol@target.test",
    data,
    rcpt: " NOTIFY=SUCCESS,DELAY",
  });
  const report = await submit(server, { from: "", to: "carol@target.test", data });
  for (const id of [never, late, report]) await untilStates(server, id, ["failed"]);
  // A notification is in the same commit as the failure, and its delivery takes milliseconds.
  await pause(500);
  await server.mail("alice", 0);
  assertMatch(await server.mustCli(["trace", never]), /asked: nobody is to be told/);
});

direct("direct reports: a success is told by us where the next host won't do it", {
  ...PYTHON,
  records: ["target.test MX 10 mx.target.test", "mx.target.test A 127.0.3.24"],
}, async ({ server, use }) => {
  const sink = await use(startSink({ address: "127.0.3.24", port: 25, args: ["-N"] }));
  const rcpt = " NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;carol@target.test";
  await submit(server, { to: "carol@target.test", data, mail: " ENVID=a1", rcpt });
  const [arrived] = await sink.until(1);
  assertMatch(arrived!, /^X-Mail-Args: <alice@example\.test>(?!.*ENVID)/m);
  assertMatch(arrived!, /^X-Rcpt-Args: <carol@target\.test>$/m);
  const report = await readReport((await server.mail("alice", 1))[0]!);
  assertEquals(report.recipients[0]!["action"], "relayed");
  assertEquals(report.recipients[0]!["status"], "2.0.0");
  assertEquals(report.recipients[0]!["remote-mta"], "dns; mx.target.test");
  assertEquals(report.message["original-envelope-id"], "a1");
  assertEquals(report.defects, []);
  assertNotMatch(report.original, /The figures are these/);

  // Who didn't ask isn't told.
  const id = await submit(server, { to: "carol@target.test", data });
  await untilStates(server, id, ["relayed"]);
  await pause(300);
  await server.mail("alice", 1);
});

direct("direct reports: a success is asked of a host that can tell, and Postfix tells the sender", {
  needs: ["python3", "postfix"],
  records: ["target.test A 127.0.3.25"],
}, async ({ server, use }) => {
  const postfix = await use(startPostfix({
    address: "127.0.3.25",
    hostname: "target.test",
    main: { relay_domains: "target.test", relay_transport: "discard:" },
    transport: [`${DOMAIN} smtp:[127.0.0.1]:${server.ports.smtp}`],
  }));
  await submit(server, {
    to: "carol@target.test",
    data,
    mail: " RET=HDRS ENVID=a2",
    rcpt: " NOTIFY=SUCCESS ORCPT=rfc822;Carol@target.test",
  });
  const [text] = await server.mail("alice", 1);
  assertMatch(field(text!, "From")!, /MAILER-DAEMON@target\.test/);
  const report = await readReport(text!);
  assertEquals(report.message["reporting-mta"], "dns; target.test");
  assertEquals(report.message["original-envelope-id"], "a2");
  assertEquals(report.recipients[0]!["original-recipient"], "rfc822;Carol@target.test");
  assertEquals(report.recipients[0]!["action"], "delivered");
  await until("Postfix's queue to be empty", async () => (await postfix.queueIds()).length === 0);
  await server.mail("alice", 1);
});

direct("direct reports: a delivery here is told where it was asked for", PYTHON, async ({ server }) => {
  await submit(server, { to: `bob@${DOMAIN}`, data, rcpt: " NOTIFY=SUCCESS" });
  await server.mail("bob", 1);
  const report = await readReport((await server.mail("alice", 1))[0]!);
  assertEquals(report.recipients[0]!["action"], "delivered");
  assertEquals(report.recipients[0]!["final-recipient"], `rfc822; bob@${DOMAIN}`);
});

direct("direct reports: an address in UTF-8 comes back from a host that can't take it", {
  ...PYTHON,
  records: ["target.test A 127.0.3.26"],
}, async ({ server, use }) => {
  const sink = await use(startSink({ address: "127.0.3.26", port: 25 }));
  // In octets as characters: ü is C3 BC.
  const id = await submit(server, { to: "j\xc3\xbcrgen@target.test", data, mail: " SMTPUTF8" });
  const { recipients } = await untilStates(server, id, ["failed"]);
  assertMatch(recipients[0]!.detail, /5\.6\.7/);
  const report = await readReport((await server.mail("alice", 1))[0]!);
  assertEquals(report.recipients[0]!["status"], "5.6.7");
  // RFC 6533 3: an address type of its own, in a report of its own type.
  assertEquals(report.parts[1], "message/global-delivery-status");
  assertMatch(report.recipients[0]!["final-recipient"]!, /^utf-8; ?j/);
  assertEquals(report.recipients[0]!["action"], "failed");
  assertMatch(report.text, /SMTPUTF8/);
  assertEquals(await sink.messages(), []);
  const plain = await submit(server, { to: "carol@target.test", data });
  await untilStates(server, plain, ["relayed"]);
  await sink.until(1);
});

direct("direct reports: what an alias forwards has our address as its sender, and its bounce finds home", {
  ...PYTHON,
  records: [
    "away.test A 127.0.3.27",
    "sender.test MX 10 mx.sender.test",
    "mx.sender.test A 127.0.3.28",
  ],
  prepare: async (server) => {
    await server.mustCli(["alias", "add", "carol", "carol@away.test"]);
  },
}, async ({ server, use }) => {
  const away = await use(startSink({ address: "127.0.3.27", port: 25 }));
  const home = await use(startSink({ address: "127.0.3.28", port: 25 }));
  await server.send({ from: "dave@sender.test", to: `carol@${DOMAIN}`, data });
  const [forwarded] = await away.until(1);
  assertMatch(forwarded!, /^X-Rcpt-Args: <carol@away\.test>/m);
  const sender = /^X-Mail-Args: <([^>]*)>/m.exec(forwarded!)![1]!;
  assertMatch(sender, /^SRS0=[A-Z2-7]{6}=[A-Z2-7]{2}=sender\.test=dave@example\.test$/);

  // The next host's notification: from nobody, by a stranger, to the address it was given.
  await server.send({ from: "", to: sender, data: message({ subject: "Undelivered" }) });
  const [bounce] = await home.until(1);
  assertMatch(bounce!, /^X-Mail-Args: <>/m);
  assertMatch(bounce!, /^X-Rcpt-Args: <dave@sender\.test>/m);
  assertStringIncludes(bounce!, "Subject: Undelivered\n");

  // Made up by others, such an address leads nowhere.
  const wire = await server.connect("smtp");
  await wire.expect(250, "EHLO client.example.test");
  await wire.expect(250, "MAIL FROM:<>");
  await wire.expect(550, `RCPT TO:<${sender.replace("=dave@", "=mallory@")}>`, "5.1.1");
  await wire.expect(550, `RCPT TO:<${sender.replace(/=[A-Z2-7]{6}=/, "=AAAAAA=")}>`, "5.1.1");
  wire.close();
});

direct("direct reports: a forwarding that fails is told to who sent it", {
  ...PYTHON,
  records: [
    "away.test A 127.0.3.27",
    "sender.test MX 10 mx.sender.test",
    "mx.sender.test A 127.0.3.28",
  ],
  prepare: async (server) => {
    await server.mustCli(["alias", "add", "carol", "carol@away.test"]);
  },
}, async ({ server, use }) => {
  await use(startSink({ address: "127.0.3.27", port: 25, args: ["-f", "RCPT"] }));
  const home = await use(startSink({ address: "127.0.3.28", port: 25 }));
  await server.send({ from: "dave@sender.test", to: `carol@${DOMAIN}`, data });
  const [text] = await home.until(1);
  assertMatch(text!, /^X-Mail-Args: <>/m);
  assertMatch(text!, /^X-Rcpt-Args: <dave@sender\.test>/m);
  assertMatch(text!, /^Original-Recipient: rfc822; ?carol@example\.test$/m);
  assertNotMatch(text!, /^To: .*SRS0/m);
});
