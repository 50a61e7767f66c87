/**
 * The SMTP client session: extensions, parameters, and what can't be sent to a server.
 *
 * @module
 */
import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { latin1, utf8 } from "../../../../src/base/bytes.ts";
import type { Transaction } from "../../../../src/smtp/client/session.ts";
import { ehlo, GREETING, kinds, results, talk, to } from "./peer.ts";
import { xtext } from "../../../../src/smtp/client/parameters.ts";

const OK = "250 2.0.0 ok\r\n";
const ALL = [
  ...[
    "PIPELINING",
    "SIZE 1000",
    "8BITMIME",
    "SMTPUTF8",
    "DSN",
    "DELIVERBY 60",
    "MT-PRIORITY MIXER",
    "REQUIRETLS",
  ],
];

/** The MAIL and RCPT lines that a transaction makes. */
function envelope(
  more: Partial<Transaction>,
  options: { extensions?: string[]; tls?: string } = {},
): string[] {
  const { extensions = ALL, tls } = options;
  const { sent } = talk([GREETING, ehlo(...extensions, "PIPELINING")], {
    messages: [to(["b@example.test"], more)],
    settings: tls === undefined ? {} : { tls },
  });
  return sent[2]!.split("\r\n").slice(0, 2);
}

/** The results of a transaction that isn't sent, and the text of the first. */
function unsent(more: Partial<Transaction>, options: { extensions?: string[]; tls?: string } = {}): string[] {
  const { extensions = [], tls } = options;
  const { sent, events } = talk([GREETING, ehlo(...extensions)], {
    messages: [to(["b@example.test", "c@example.test"], more)],
    settings: tls === undefined ? {} : { tls },
  });
  assertEquals(sent[2], "");
  assertEquals(kinds(events), ["ready", "done"]);
  const outcome = results(events)[0]!;
  assertEquals(outcome[1], outcome[0]);
  const done = events[1]!;
  return [outcome[0]!, done.kind === "done" ? done.results[0]!.reply.lines[0]! : ""];
}

Deno.test("SmtpClientSession writes the parameters that were asked for and are offered", () => {
  const requests = { ret: "HDRS", envid: "id+1 =x", body: "8BITMIME", priority: -3 } as const;
  assertEquals(
    envelope({ requests })[0],
    "MAIL FROM:<a@example.org> SIZE=20 BODY=8BITMIME RET=HDRS ENVID=id+2B1+20+3Dx MT-PRIORITY=-3",
  );
  assertEquals(
    envelope({ requests }, { extensions: ["8BITMIME"] })[0],
    "MAIL FROM:<a@example.org> BODY=8BITMIME",
  );
  assertEquals(envelope({ reversePath: "" })[0], "MAIL FROM:<> SIZE=20");
  assertEquals(envelope({ smtpUtf8: true })[0], "MAIL FROM:<a@example.org> SIZE=20 SMTPUTF8");
  assertEquals(latin1(utf8("ü@example.org")), "\xc3\xbc@example.org");
  assertEquals(
    envelope({ reversePath: "ü@example.org" })[0],
    "MAIL FROM:<\xc3\xbc@example.org> SIZE=20 SMTPUTF8",
  );
  assertEquals(envelope({ reversePath: '"a b>"@example.org' })[0], 'MAIL FROM:<"a b>"@example.org> SIZE=20');
  const secret = { requests: { requireTls: true } } as const;
  assertEquals(envelope(secret, { tls: "TLSv1.3" })[0], "MAIL FROM:<a@example.org> SIZE=20 REQUIRETLS");
});

Deno.test("SmtpClientSession writes DSN's parameters of a recipient", () => {
  const rcpt = (requests: Transaction["recipients"][number]["requests"], extensions = ALL) =>
    envelope({ recipients: [{ recipient: "b@example.test", requests }] }, { extensions })[1];
  assertEquals(
    rcpt({ notify: ["success", "delay"], orcpt: "rfc822;b+x@example.test" }),
    "RCPT TO:<b@example.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b+2Bx@example.test",
  );
  assertEquals(rcpt({ notify: [] }), "RCPT TO:<b@example.test> NOTIFY=NEVER");
  assertEquals(rcpt({ notify: [], orcpt: "rfc822;x" }, []), "RCPT TO:<b@example.test>");
  assertEquals(
    rcpt({ orcpt: "utf-8;ü\u{1f600}@x" }),
    "RCPT TO:<b@example.test> ORCPT=utf-8;\\x{FC}\\x{1F600}@x",
  );
  const { events } = talk([GREETING, ehlo("dsn", "PIPELINING"), OK + OK + "354 go\r\n", OK], {
    messages: [to(["b@example.test"])],
  });
  const done = events.find((event) => event.kind === "done")!;
  assertEquals(done.results[0]!.dsn, "passed-on");
});

Deno.test("SmtpClientSession passes a time for delivery on, or says why it can't", () => {
  const by = (mode: "return" | "notify", seconds: number, trace?: true): Partial<Transaction> => ({
    requests: { deliverBy: trace ? { byMs: 0, mode, trace } : { byMs: 0, mode } },
    deliverBySeconds: seconds,
  });
  const plain = "MAIL FROM:<a@example.org> SIZE=20";
  assertEquals(envelope(by("return", 60))[0], `${plain} BY=60;R`);
  assertEquals(envelope(by("notify", -5, true))[0], `${plain} BY=-5;NT`);
  assertEquals(envelope(by("notify", 5), { extensions: ["SIZE"] })[0], plain);
  assertEquals(unsent(by("return", 59), { extensions: ALL })[0], "554 5.4.7 here");
  assertEquals(unsent(by("return", 0), { extensions: ["DELIVERBY"] })[0], "554 5.4.7 here");
  assertEquals(unsent(by("return", 60))[0], "554 5.3.3 here");
});

Deno.test("SmtpClientSession doesn't send what a server can't take", () => {
  const [size, why] = unsent({ size: 1001 }, { extensions: ["SIZE 1000"] });
  assertEquals(size, "552 5.3.4 here");
  assertEquals(why, "The message has 1001 octets, the server takes 1000");
  assertEquals(
    envelope({ size: 5000 }, { extensions: ["SIZE 0"] })[0],
    "MAIL FROM:<a@example.org> SIZE=5000",
  );
  const [utf8Content, field] = unsent({ smtpUtf8: true });
  assertEquals(utf8Content, "553 5.6.7 here");
  assertStringIncludes(field!, "header fields");
  assertStringIncludes(unsent({ reversePath: "ü@example.org" })[1]!, "ü@example.org");
  assertEquals(unsent({ requests: { body: "8BITMIME" } })[0], "554 5.6.3 here");
  const requests = { requireTls: true } as const;
  assertEquals(unsent({ requests }, { extensions: ["REQUIRETLS"] })[0], "550 5.7.30 here");
  assertEquals(unsent({ requests }, { tls: "TLSv1.3" })[0], "550 5.7.30 here");
});

Deno.test("SmtpClientSession.begin() lets nothing into a command that isn't an address or a parameter", () => {
  const wrong: Partial<Transaction>[] = [
    { reversePath: "a@b\r\nRCPT TO:<x@y>" },
    { reversePath: "a@b> SIZE=1" },
    { reversePath: "a b@example.org" },
    { reversePath: '"a@example.org' },
    { reversePath: "a\u0085@b" },
    { reversePath: "a\ud800@b" },
    { recipients: [] },
    { recipients: [{ recipient: "" }] },
    { recipients: [{ recipient: "b@example.test\n" }] },
    { recipients: [{ recipient: "b@x", requests: { orcpt: "rfc822;a\r\nb" } }] },
    { recipients: [{ recipient: "b@x", requests: { orcpt: "nothing" } }] },
    { requests: { envid: "a\nb" } },
    { requests: { priority: 0.5 } },
    { size: Number.NaN },
    { deliverBySeconds: 1.5 },
  ];
  for (const more of wrong) {
    assertThrows(
      () => talk([GREETING, ehlo(...ALL)], { messages: [to(["b@example.test"], more)] }),
      RangeError,
    );
  }
});

Deno.test("xtext() leaves what it may and encodes the rest", () => {
  assertEquals(xtext("a+b=c d~!"), "a+2Bb+3Dc+20d~!");
  assertEquals(xtext("ü\x7f"), "+C3+BC+7F");
});
