/** What MAIL and RCPT may ask for: each parameter right and wrong, and where it is offered. */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { latin1, utf8 } from "../../../src/base/bytes.ts";
import { xtext } from "../../../src/smtp/client/parameters.ts";
import { parseMail, parseRcpt } from "../../../src/smtp/grammar.ts";
import { isReply } from "../../../src/smtp/replies.ts";
import type { SmtpSettings } from "../../../src/smtp/session.ts";
import { both, codes, EHLO, lines, type TalkOptions } from "./harness.ts";

const SUBMISSION: Partial<SmtpSettings> = {
  role: "submission",
  auth: "always",
  futureRelease: { maxSeconds: 86_400, latestMs: Date.UTC(2026, 10, 25, 14) },
};
const LOGIN = EHLO + "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n";

/** What a MAIL with these parameters asks for, whole and octet by octet; or the reply that refuses it. */
function mail(parameters: string, options: TalkOptions = {}): unknown {
  const hello = options.settings?.role === "submission" ? LOGIN : EHLO;
  const transcript = both(`${hello}MAIL FROM:<a@b.example> ${parameters}\r\n`, options);
  const event = transcript.events.find((event) => event.kind === "mail");
  return event?.requests ?? codes(transcript).at(-1);
}
const submit = (parameters: string) => mail(parameters, { settings: SUBMISSION });

/** What a RCPT with these parameters asks for; or the reply that refuses it. */
function rcpt(parameters: string, mailParameters = ""): unknown {
  const line = latin1(utf8(`RCPT TO:<c@d.example> ${parameters}\r\n`));
  const transcript = both(`${EHLO}MAIL FROM:<a@b.example>${mailParameters}\r\n${line}`);
  const event = transcript.events.find((event) => event.kind === "rcpt");
  return event === undefined ? codes(transcript).at(-1) : event.requests;
}

const BAD = "501 5.5.4";
const UNKNOWN = "555 5.5.4";

Deno.test("MAIL without parameters asks for nothing", () => {
  assertEquals(mail(""), {});
  assertEquals(mail("BODY=7BIT SIZE=5"), {});
  assertEquals(mail("body=8bitmime"), { body: "8BITMIME" });
});

Deno.test("RET takes FULL and HDRS (RFC 3461 4.3)", () => {
  assertEquals(mail("RET=FULL"), { ret: "FULL" });
  assertEquals(mail("ret=hdrs"), { ret: "HDRS" });
  for (const bad of ["RET", "RET=", "RET=HDR", "RET=FULL,HDRS", "RET=FULL RET=HDRS"]) {
    assertEquals(mail(bad), BAD, bad);
  }
});

Deno.test("ENVID takes a hundred characters of xtext (RFC 3461 4.4)", () => {
  assertEquals(mail("ENVID=QQ314159"), { envid: "QQ314159" });
  assertEquals(mail("ENVID=a+20b+2B+3Dc"), { envid: "a b+=c" });
  assertEquals(mail(`ENVID=${"x".repeat(100)}`), { envid: "x".repeat(100) });
  for (
    const bad of [
      "ENVID",
      "ENVID=",
      `ENVID=${"x".repeat(101)}`,
      "ENVID=a+",
      "ENVID=a+2",
      "ENVID=a+2b",
      "ENVID=a+0D+0A",
      "ENVID=a+00",
      "ENVID=a+7F",
      "ENVID=a+C3+BC",
      "ENVID=a=b",
    ]
  ) {
    assertEquals(mail(bad), BAD, bad);
  }
});

Deno.test("REQUIRETLS is offered and taken in TLS only (RFC 8689 2)", () => {
  const tls = { tls: "TLSv1.3" };
  assertEquals(mail("REQUIRETLS", tls), { requireTls: true });
  assertEquals(mail("REQUIRETLS=1", tls), BAD);
  assertEquals(mail("REQUIRETLS"), "530 5.7.10");
  const offered = (options: TalkOptions) => lines(both(EHLO, options)).includes("250-REQUIRETLS");
  assertEquals([offered(tls), offered({})], [true, false]);
  const upgraded = both([`${EHLO}STARTTLS\r\n`, `${EHLO}MAIL FROM:<> REQUIRETLS\r\n`]);
  assertEquals(codes(upgraded).at(-1), "250 2.1.0");
});

Deno.test("HOLDFOR takes seconds up to what is announced (RFC 4865)", () => {
  assertEquals(submit("HOLDFOR=1"), { hold: { kind: "for", seconds: 1 } });
  assertEquals(submit("HOLDFOR=86400"), { hold: { kind: "for", seconds: 86_400 } });
  for (const bad of ["86401", "999999999", "1000000000", "0", "01", "-1", "+1", "1.5", "", "x"]) {
    assertEquals(submit(`HOLDFOR=${bad}`), BAD, bad);
  }
  assertEquals(submit("HOLDFOR"), BAD);
  assertEquals(submit("HOLDFOR=1 HOLDUNTIL=2026-11-24T14:00:00Z"), BAD);
  assertEquals(submit("HOLDUNTIL=2026-11-24T14:00:00Z HOLDFOR=1"), BAD);
});

Deno.test("HOLDUNTIL takes a moment of RFC 3339 up to what is announced (RFC 4865)", () => {
  const until = (text: string) => {
    const asked = submit(`HOLDUNTIL=${text}`) as { hold?: { atMs: number } } | string;
    return typeof asked === "string" ? asked : new Date(asked.hold!.atMs).toISOString();
  };
  assertEquals(until("2026-11-24T14:00:00Z"), "2026-11-24T14:00:00.000Z");
  assertEquals(until("2026-11-24t14:00:00.75z"), "2026-11-24T14:00:00.000Z");
  assertEquals(until("2026-11-24T14:00:00+01:30"), "2026-11-24T12:30:00.000Z");
  assertEquals(until("2026-11-24T20:00:00-05:00"), "2026-11-25T01:00:00.000Z");
  assertEquals(until("2024-02-29T00:00:00Z"), "2024-02-29T00:00:00.000Z");
  assertEquals(until("2016-12-31T23:59:60Z"), "2016-12-31T23:59:59.000Z");
  assertEquals(until("2026-11-25T14:00:00Z"), "2026-11-25T14:00:00.000Z");
  for (
    const bad of [
      "2026-11-25T14:00:01Z",
      "2026-11-25T14:00:00-00:01",
      "2025-02-29T00:00:00Z",
      "2026-13-01T00:00:00Z",
      "2026-00-01T00:00:00Z",
      "2026-01-00T00:00:00Z",
      "2026-11-24T24:00:00Z",
      "2026-11-24T14:60:00Z",
      "2026-11-24T14:00:61Z",
      "2026-11-24T14:00:00",
      "2026-11-24T14:00:00+24:00",
      "2026-11-24T14:00:00+01:60",
      "0050-11-24T14:00:00Z",
      "2026-11-24",
      "1700000000",
      "",
    ]
  ) {
    assertEquals(until(bad), BAD, bad);
  }
});

Deno.test("BY takes time, mode and trace (RFC 2852 4)", () => {
  assertEquals(mail("BY=120;R"), { deliverBy: { seconds: 120, mode: "return" } });
  assertEquals(mail("BY=+120;nt"), { deliverBy: { seconds: 120, mode: "notify", trace: true } });
  assertEquals(mail("BY=-30;N"), { deliverBy: { seconds: -30, mode: "notify" } });
  assertEquals(mail("BY=0;N"), { deliverBy: { seconds: 0, mode: "notify" } });
  assertEquals(mail("BY=999999999;RT"), {
    deliverBy: { seconds: 999_999_999, mode: "return", trace: true },
  });
  for (const bad of ["BY", "BY=", "BY=120", "BY=120;", "BY=120;X", "BY=120;TR", "BY=1000000000;R", "BY=;R"]) {
    assertEquals(mail(bad), BAD, bad);
  }
  for (const late of ["BY=0;R", "BY=-1;R", "BY=-0;RT"]) assertEquals(mail(late), BAD, late);
});

Deno.test("MT-PRIORITY takes -9 to 9 (RFC 6710)", () => {
  for (const value of [-9, -1, 0, 3, 9]) assertEquals(submit(`MT-PRIORITY=${value}`), { priority: value });
  for (const bad of ["", "10", "-10", "-0", "+1", "01", "x", "1.0"]) {
    assertEquals(submit(`MT-PRIORITY=${bad}`), BAD, bad);
  }
  assertEquals(submit("MT-PRIORITY"), BAD);
});

Deno.test("holding and priorities are for submissions", () => {
  for (const parameter of ["HOLDFOR=1", "HOLDUNTIL=2026-11-24T14:00:00Z", "MT-PRIORITY=9"]) {
    assertEquals(mail(parameter), UNKNOWN, parameter);
  }
  const extensions = (settings: Partial<SmtpSettings>) =>
    lines(both(EHLO, { settings })).map((line) => line.slice(4))
      .filter((line) => /^(?:DSN|DELIVERBY|MT-PRIORITY|FUTURERELEASE)/.test(line));
  assertEquals(extensions({}), ["DSN", "DELIVERBY"]);
  assertEquals(extensions(SUBMISSION), [
    "DSN",
    "DELIVERBY",
    "MT-PRIORITY MIXER",
    "FUTURERELEASE 86400 2026-11-25T14:00:00Z",
  ]);
});

Deno.test("all of it can be asked for at once", () => {
  assertEquals(
    submit("SIZE=5 BODY=8BITMIME RET=HDRS ENVID=e1 BY=60;NT HOLDFOR=10 MT-PRIORITY=-4"),
    {
      body: "8BITMIME",
      ret: "HDRS",
      envid: "e1",
      deliverBy: { seconds: 60, mode: "notify", trace: true },
      hold: { kind: "for", seconds: 10 },
      priority: -4,
    },
  );
});

Deno.test("a refused request leaves no transaction open", () => {
  const transcript = both(`${EHLO}MAIL FROM:<> RET=X\r\nRCPT TO:<b@c.example>\r\nMAIL FROM:<>\r\n`);
  assertEquals(codes(transcript).slice(1), [BAD, "503 5.5.1", "250 2.1.0"]);
});

// ---------------------------------------------------------------- RCPT

Deno.test("NOTIFY takes NEVER, or a list without it (RFC 3461 4.1)", () => {
  assertEquals(rcpt(""), undefined);
  assertEquals(rcpt("NOTIFY=NEVER"), { notify: [] });
  assertEquals(rcpt("notify=never"), { notify: [] });
  assertEquals(rcpt("NOTIFY=SUCCESS"), { notify: ["success"] });
  assertEquals(rcpt("NOTIFY=Failure,DELAY"), { notify: ["failure", "delay"] });
  assertEquals(rcpt("NOTIFY=DELAY,SUCCESS,DELAY"), { notify: ["delay", "success"] });
  for (
    const bad of [
      "NOTIFY",
      "NOTIFY=",
      "NOTIFY=ALWAYS",
      "NOTIFY=NEVER,SUCCESS",
      "NOTIFY=SUCCESS,NEVER",
      "NOTIFY=SUCCESS,",
      "NOTIFY=,DELAY",
      "NOTIFY=SUCCESS;DELAY",
      "NOTIFY=SUCCESS, DELAY",
      "NOTIFY=DELAY NOTIFY=DELAY",
    ]
  ) {
    assertEquals(rcpt(bad), BAD, bad);
  }
});

Deno.test("ORCPT takes a type and an address in xtext, 500 characters at most (RFC 3461 4.2)", () => {
  assertEquals(rcpt("ORCPT=rfc822;Bob@example.com"), { orcpt: "rfc822;Bob@example.com" });
  assertEquals(rcpt("ORCPT=rfc822;bob+2Bnews+20x@example.com"), { orcpt: "rfc822;bob+news x@example.com" });
  assertEquals(rcpt("orcpt=x400;/C=de".replace("/C=", "/C+3D")), { orcpt: "x400;/C=de" });
  const longest = `rfc822;${"x".repeat(493)}`;
  assertEquals(rcpt(`ORCPT=${longest}`, " SIZE=1"), "500 5.5.6");
  assertEquals(isReply(parseRcpt(`TO:<c@d.example> ORCPT=${longest}`)), false);
  assertEquals(isReply(parseRcpt(`TO:<c@d.example> ORCPT=${longest}x`)), true);
  assertEquals(rcpt("NOTIFY=NEVER ORCPT=rfc822;a@b.example"), { notify: [], orcpt: "rfc822;a@b.example" });
  for (
    const bad of [
      "ORCPT",
      "ORCPT=",
      "ORCPT=a@b.example",
      "ORCPT=rfc822;",
      "ORCPT=;a@b.example",
      "ORCPT=rfc_822;a@b.example",
      "ORCPT=rfc822;a+@b.example",
      "ORCPT=rfc822;a+0D+0ARCPT",
      "ORCPT=rfc822;a+E9@b.example",
      "ORCPT=utf-8;a+C3+BC@b.example",
    ]
  ) {
    assertEquals(rcpt(bad), BAD, bad);
  }
  assertEquals(rcpt("RET=FULL"), UNKNOWN);
});

Deno.test("ORCPT of type utf-8 is taken as it is, with UTF-8 itself where SMTPUTF8 was said (RFC 6533 3)", () => {
  const escaped = "utf-8;j\\x{FC}rgen\\x{2B}x@example.org";
  assertEquals(rcpt(`ORCPT=${escaped}`), { orcpt: escaped });
  const plain = "UTF-8;jürgen@例え.example";
  assertEquals(rcpt(`ORCPT=${plain}`, " SMTPUTF8"), { orcpt: plain });
  assertEquals(rcpt(`ORCPT=${plain}`), "553 5.6.7");
  assertEquals(rcpt("ORCPT=rfc822;jürgen@example.org", " SMTPUTF8"), BAD);
  // Not in RFC 6533's grammar, but in RFC 3461's.
  assertEquals(rcpt("ORCPT=utf-8;a+2Bb@example.org"), { orcpt: "utf-8;a+b@example.org" });
});

Deno.test("what our own client writes of ENVID and ORCPT is read back as it was", () => {
  const printable = fc.string({
    unit: fc.constantFrom(...Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i))),
    minLength: 1,
    maxLength: 33,
  });
  fc.assert(fc.property(printable, (text) => {
    const mail = parseMail(`FROM:<> ENVID=${xtext(text)}`);
    assertEquals(isReply(mail) ? mail : mail.requests, { envid: text });
    const rcpt = parseRcpt(`TO:<a@b.example> ORCPT=rfc822;${xtext(text)}`);
    assertEquals(isReply(rcpt) ? rcpt : rcpt.requests, { orcpt: `rfc822;${text}` });
  }));
});

Deno.test("no parameter of MAIL or RCPT makes a parser throw or lets a control character through", () => {
  const keyword = fc.constantFrom(
    ...["RET", "ENVID", "REQUIRETLS", "HOLDFOR", "HOLDUNTIL", "BY", "MT-PRIORITY", "NOTIFY", "ORCPT", "BODY"],
  );
  const piece = fc.constantFrom(
    ...["FULL", "NEVER", "SUCCESS", ",", ";", "+0D", "+41", "+", "-", "1", "9", "R", "T", "rfc822", "utf-8"],
    ...["\\x{FC}", "2026-11-24", "T14:00:00Z", "ü", "=", " ", "@", "a"],
  );
  const value = fc.oneof(
    fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join("")),
    fc.string({ unit: "binary", maxLength: 20 }),
  );
  const parameter = fc.tuple(keyword, value).map(([name, text]) => `${name}=${text}`);
  fc.assert(
    fc.property(fc.array(parameter, { maxLength: 4 }), (parameters) => {
      const text = parameters.join(" ");
      for (const parsed of [parseMail(`FROM:<> ${text}`), parseRcpt(`TO:<a@b.example> ${text}`)]) {
        if (isReply(parsed)) assertEquals(parsed.code >= 500, true);
        // deno-lint-ignore no-control-regex -- control characters are what must not be there
        else assertEquals(/[\u0000-\u001f\u007f]/.test(Object.values(parsed.requests ?? {}).join()), false);
      }
    }),
    { numRuns: 3000 },
  );
});
