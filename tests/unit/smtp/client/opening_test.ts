/**
 * The SMTP client session: greeting, EHLO, STARTTLS and log-in.
 *
 * @module
 */
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { fromLatin1, latin1, utf8 } from "../../../../src/base/bytes.ts";
import { seededRandom } from "../../../../src/base/random.ts";
import { fromBase64, toBase64 } from "../../../../src/sasl/base64.ts";
import { makeScramVerifier, parseScramVerifier } from "../../../../src/sasl/scram.ts";
import { ScramServer } from "../../../../src/sasl/scram_server.ts";
import type { SaslStep } from "../../../../src/sasl/step.ts";
import { SmtpClientSession } from "../../../../src/smtp/client/session.ts";
import { converse, ehlo, GREETING, kinds, nextEvent, SETTINGS, talk, type Transcript } from "./peer.ts";

const HELLO = "EHLO out.example.org\r\n";
const OK = "250 2.0.0 ok\r\n";
const credentials = { user: "alice", password: "correct horse", nonce: "abcdef" };
const TLS = "TLSv1.3";

function problem({ events }: Transcript): string {
  const failed = events.find((event) => event.kind === "failed");
  return failed?.problem ?? "none";
}

Deno.test("SmtpClientSession gives a refused greeting with its reply and says QUIT", () => {
  for (const code of [554, 450]) {
    const { events, sent } = talk([`${code} 5.3.2 go away\r\n`]);
    assertEquals(kinds(events), [`failed greeting refused ${code}`]);
    assertEquals(sent, ["", "QUIT\r\n"]);
  }
});

Deno.test("SmtpClientSession falls back to HELO", () => {
  for (const code of [500, 501, 502, 504]) {
    const { events, sent } = talk([GREETING, `${code} what\r\n`, OK]);
    assertEquals(kinds(events), ["ready"]);
    assertEquals(sent[2], "HELO out.example.org\r\n");
  }
  for (const code of [450, 550, 554]) {
    assertEquals(kinds(talk([GREETING, `${code} no\r\n`]).events), [`failed ehlo refused ${code}`]);
  }
  const helo = talk([GREETING, "502 what\r\n", "550 no\r\n"]);
  assertEquals(kinds(helo.events), ["failed ehlo refused 550"]);
  const required = talk([GREETING, "502 what\r\n", OK], { settings: { starttls: "required" } });
  assertEquals(kinds(required.events), ["failed starttls tls-unavailable -"]);
});

Deno.test("SmtpClientSession uses STARTTLS and forgets what was offered before", () => {
  const { events, sent, session } = talk([
    GREETING,
    ehlo("STARTTLS", "SIZE 10", "PIPELINING"),
    "220 go\r\n",
    ehlo("8BITMIME", "STARTTLS"),
  ]);
  assertEquals(kinds(events), ["starttls", "ready"]);
  assertEquals(sent, ["", HELLO, "STARTTLS\r\n", HELLO, ""]);
  assertEquals([...session.extensions.keys()], ["8BITMIME", "STARTTLS"]);
  assertEquals(session.tls, TLS);
});

Deno.test("SmtpClientSession does without STARTTLS where it may", () => {
  const never = talk([GREETING, ehlo("STARTTLS")], { settings: { starttls: "never" } });
  assertEquals(kinds(never.events), ["ready"]);
  const already = talk([GREETING, ehlo("STARTTLS")], { settings: { starttls: "required", tls: TLS } });
  assertEquals(kinds(already.events), ["ready"]);
  const absent = talk([GREETING, ehlo()]);
  assertEquals(kinds(absent.events), ["ready"]);
  for (const code of [454, 501]) {
    const refused = talk([GREETING, ehlo("STARTTLS"), `${code} no\r\n`]);
    assertEquals(kinds(refused.events), ["ready"]);
    const required = talk([GREETING, ehlo("STARTTLS"), `${code} no\r\n`], {
      settings: { starttls: "required" },
    });
    assertEquals(kinds(required.events), [`failed starttls tls-unavailable ${code}`]);
    assertEquals(required.sent[3], "QUIT\r\n");
  }
  const missing = talk([GREETING, ehlo()], { settings: { starttls: "required" } });
  assertEquals(kinds(missing.events), ["failed starttls tls-unavailable -"]);
  assertEquals(missing.sent[2], "QUIT\r\n");
});

Deno.test("SmtpClientSession ends where something comes between STARTTLS and the handshake", () => {
  const script = [GREETING, ehlo("STARTTLS"), "220 go\r\n250 injected\r\n"];
  const whole = converse(script);
  assertEquals(kinds(whole.events), ["failed starttls protocol -"]);

  const session = new SmtpClientSession(SETTINGS);
  session.receive(fromLatin1(script.join("").slice(0, -"250 injected\r\n".length)));
  assertEquals(nextEvent(session).kind, "starttls");
  assertEquals(session.next(), "waiting");
  session.receive(fromLatin1("2"));
  assertEquals(kinds([nextEvent(session)]), ["failed starttls protocol -"]);
  session.secured(TLS);
  session.receive(fromLatin1(ehlo()));
  assertEquals(session.next(), "waiting");
  assertEquals(session.tls, undefined);

  const odd = talk([GREETING, ehlo("STARTTLS"), "250 go\r\n"]);
  assertEquals(kinds(odd.events), ["failed starttls protocol -"]);
});

Deno.test("SmtpClientSession logs in by PLAIN and shows no secret", () => {
  const secret = toBase64(utf8("\0alice\0correct horse"));
  const { events, sent, dialogue } = talk([
    GREETING,
    ehlo("STARTTLS"),
    "220 go\r\n",
    ehlo("AUTH LOGIN plain"),
    `235 2.7.0 welcome ${secret} correct horse\r\n`,
  ], { settings: { starttls: "required", credentials } });
  assertEquals(kinds(events), ["starttls", "ready"]);
  assertEquals(sent[4], `AUTH PLAIN ${secret}\r\n`);
  assertStringIncludes(dialogue, "C: AUTH PLAIN ***\nS: 235 2.7.0 welcome *** ***");
  assert(!dialogue.includes(secret) && !dialogue.includes("correct horse"));
});

Deno.test("SmtpClientSession logs in by LOGIN, and by PLAIN with a long password", () => {
  const settings = { tls: TLS, credentials };
  const login = talk([
    GREETING,
    ehlo("AUTH LOGIN"),
    "334 VXNlcm5hbWU6\r\n",
    "334 UGFzc3dvcmQ6\r\n",
    "235 ok\r\n",
  ], { settings });
  assertEquals(login.sent.slice(2), [
    "AUTH LOGIN\r\n",
    "YWxpY2U=\r\n",
    `${toBase64(utf8("correct horse"))}\r\n`,
    "",
  ]);
  assertEquals(kinds(login.events), ["ready"]);
  assertStringIncludes(login.dialogue, "C: AUTH LOGIN\nS: 334 ***\nC: ***\nS: 334 ***\nC: ***\nS: 235 ok");

  const password = "p".repeat(500);
  const long = talk([GREETING, ehlo("AUTH PLAIN"), "334 \r\n", "235 ok\r\n"], {
    settings: { tls: TLS, credentials: { ...credentials, password } },
  });
  assertEquals(long.sent.slice(2), ["AUTH PLAIN\r\n", `${toBase64(utf8(`\0alice\0${password}`))}\r\n`, ""]);
});

Deno.test("SmtpClientSession fails where a log-in can't be had", () => {
  const settings = { tls: TLS, credentials };
  const failures: [string[], Partial<typeof SETTINGS>, string][] = [
    [[GREETING, ehlo("AUTH PLAIN")], { credentials, starttls: "never" }, "failed auth auth -"],
    [[GREETING, ehlo("AUTH PLAIN")], { credentials }, "failed auth auth -"],
    [[GREETING, ehlo()], settings, "failed auth auth -"],
    [[GREETING, ehlo("AUTH CRAM-MD5")], settings, "failed auth auth -"],
    [[GREETING, ehlo("AUTH PLAIN"), "535 5.7.8 no\r\n"], settings, "failed auth auth 535"],
    [[GREETING, ehlo("AUTH PLAIN"), "454 4.7.0 later\r\n"], settings, "failed auth auth 454"],
    [[GREETING, ehlo("AUTH PLAIN"), "421 bye\r\n"], settings, "failed auth refused 421"],
    [[GREETING, ehlo("AUTH PLAIN"), "354 go\r\n"], settings, "failed auth protocol -"],
    [[GREETING, ehlo("AUTH PLAIN"), "334 more\r\n"], settings, "failed auth auth -"],
    [[GREETING, ehlo("AUTH SCRAM-SHA-256"), "334 ?\r\n"], settings, "failed auth auth -"],
    [[GREETING, ehlo("AUTH SCRAM-SHA-256 PLAIN"), "235 ok\r\n"], settings, "failed auth auth -"],
  ];
  for (const [script, given, expected] of failures) {
    const transcript = talk(script, { settings: given });
    assertEquals(kinds(transcript.events), [expected]);
    assert(!transcript.sent.join("").includes("DATA"));
  }
  const clear = talk([GREETING, ehlo("AUTH PLAIN")], { settings: { credentials, starttls: "never" } });
  assertStringIncludes(problem(clear), "TLS");
  assertEquals(clear.sent, ["", HELLO, "QUIT\r\n"]);
  const cancelled = talk([GREETING, ehlo("AUTH PLAIN"), "334 more\r\n"], { settings });
  assertEquals(cancelled.sent[3], "*\r\nQUIT\r\n");
});

Deno.test("SmtpClientSession refuses credentials that can't be sent", () => {
  for (
    const wrong of [{ user: "" }, { user: "a\0b" }, { password: "" }, { password: "a\0b" }, { nonce: "a,b" }]
  ) {
    assertThrows(
      () => new SmtpClientSession({ ...SETTINGS, credentials: { ...credentials, ...wrong } }),
      RangeError,
    );
  }
});

/** A server that checks SCRAM proofs, at the end of EHLO; gives what the session said last. */
async function scram(password: string): Promise<{ readonly event: string; readonly dialogue: string }> {
  const random = seededRandom(1);
  const stored = await makeScramVerifier("correct horse", { random, iterations: 4096 });
  const server = new ScramServer({ random, secret: random.bytes(16) });
  const session = new SmtpClientSession({ ...SETTINGS, tls: TLS, credentials: { ...credentials, password } });
  const say = (text: string) => session.receive(fromLatin1(text));
  const heard = () => {
    session.next();
    return latin1(session.takeOutput() ?? new Uint8Array(0)).trimEnd();
  };
  const challenge = (step: SaslStep) => "bytes" in step ? toBase64(step.bytes) : `?${step.kind}`;
  say(GREETING);
  heard();
  say(ehlo("AUTH PLAIN LOGIN SCRAM-SHA-256"));
  const [auth, mechanism, first] = heard().split(" ");
  assertEquals([auth, mechanism], ["AUTH", "SCRAM-SHA-256"]);
  assertEquals(server.start(fromBase64(first!)), { kind: "need-scram", user: "alice" });
  say(`334 ${challenge(server.verifier(parseScramVerifier(stored)!))}\r\n`);
  const end = server.respond(fromBase64(heard())!);
  if (end.kind === "failure") say("535 5.7.8 wrong\r\n");
  else if (end.kind === "success") {
    say(`334 ${toBase64(end.final!)}\r\n`);
    assertEquals(heard(), "");
    say("235 2.7.0 welcome\r\n");
  }
  return { event: kinds([nextEvent(session)])[0]!, dialogue: session.takeDialogue() };
}

Deno.test("SmtpClientSession logs in by SCRAM-SHA-256 where it is offered", async () => {
  const right = await scram("correct horse");
  assertEquals(right.event, "ready");
  assertStringIncludes(
    right.dialogue,
    "C: AUTH SCRAM-SHA-256 ***\nS: 334 ***\nC: ***\nS: 334 ***\nC: ***\nS: 235",
  );
  assertEquals((await scram("wrong horse")).event, "failed auth auth 535");
});
