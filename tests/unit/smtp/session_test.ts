import { assert, assertEquals, assertThrows } from "@std/assert";
import { fromLatin1, latin1, utf8 } from "../../../src/base/bytes.ts";
import * as replies from "../../../src/smtp/replies.ts";
import { SmtpSession } from "../../../src/smtp/session.ts";
import { both, codes, EHLO, ENVELOPE, kinds, lines, SETTINGS } from "./harness.ts";

const utf8AsLatin1 = (text: string) => latin1(utf8(text));

Deno.test("greet() names the host", () => {
  assertEquals(both("").output, "220 mx.example.org ESMTP EMSmail\r\n");
});

Deno.test("EHLO announces what works in the clear", () => {
  assertEquals(lines(both(EHLO)), [
    "250-mx.example.org",
    "250-PIPELINING",
    "250-SIZE 10000",
    "250-8BITMIME",
    "250-SMTPUTF8",
    "250-CHUNKING",
    "250-ENHANCEDSTATUSCODES",
    "250-DSN",
    "250-DELIVERBY",
    "250-LIMITS RCPTMAX=5",
    "250-STARTTLS",
    "250 HELP",
  ]);
});

Deno.test("EHLO announces AUTH where it may be used, and STARTTLS only in the clear", () => {
  const announced = (transcript: ReturnType<typeof both>) =>
    lines(transcript).filter((line) => /STARTTLS|AUTH/.test(line));
  assertEquals(announced(both(EHLO, { tls: "TLSv1.3" })), ["250-AUTH PLAIN LOGIN SCRAM-SHA-256"]);
  assertEquals(announced(both(EHLO, { settings: { auth: "always", mechanisms: ["PLAIN"] } })), [
    "250-STARTTLS",
    "250-AUTH PLAIN",
  ]);
  assertEquals(announced(both(EHLO, { settings: { starttls: "none" } })), []);
  assertEquals(announced(both(EHLO, { tls: "x", settings: { auth: "never" } })), []);
  assertEquals(announced(both(EHLO, { tls: "x", settings: { mechanisms: [] } })), []);
});

Deno.test("HELO answers one line and leaves esmtp at no", () => {
  const transcript = both("helo  old.example \r\n");
  assertEquals(lines(transcript), ["250 mx.example.org"]);
  assertEquals([transcript.session.helo, transcript.session.esmtp], ["old.example", "no"]);
});

Deno.test("EHLO takes odd names and makes them fit for a Received field", () => {
  const helo = (name: string) => both(`EHLO ${name}\r\n`).session.helo;
  assertEquals(helo("[192.0.2.1]"), "[192.0.2.1]");
  assertEquals(helo("[IPv6:2001:db8::1]"), "[IPv6:2001:db8::1]");
  assertEquals(helo("MY_PC"), "MY_PC");
  assertEquals(helo("my pc"), "my");
  assertEquals(helo("b\u00fcro"), "b?ro");
  assertEquals(helo(utf8AsLatin1("b\u00fcro")), "b?ro");
  assertEquals(helo("(x)<y>;"), "?x??y??");
  assertEquals(codes(both(`EHLO ${"x".repeat(256)}\r\nEHLO\r\nHELO\r\n`)), [
    "501 5.5.4",
    "501 5.5.4",
    "501 5.5.4",
  ]);
});

Deno.test("a transaction goes from MAIL to a stored message and can be followed by another", () => {
  const one = ENVELOPE + "DATA\r\nSubject: x\r\n\r\nhello\r\n.\r\n";
  const transcript = both(EHLO + one + one + "QUIT\r\n");
  assertEquals(codes(transcript), [
    "250",
    ...["250 2.1.0", "250 2.1.5", "354", "250 2.0.0"],
    ...["250 2.1.0", "250 2.1.5", "354", "250 2.0.0"],
    "221 2.0.0",
  ]);
  assertEquals(transcript.contents, ["Subject: x\r\n\r\nhello\r\n", "Subject: x\r\n\r\nhello\r\n"]);
  assertEquals(transcript.events.slice(0, 4), [
    {
      kind: "mail",
      reversePath: { local: "a", domain: "example.net" },
      size: undefined,
      smtpUtf8: false,
      requests: {},
      authParam: undefined,
    },
    { kind: "rcpt", recipient: { local: "b", domain: "example.org" } },
    { kind: "data" },
    { kind: "data-end", octets: 21, problem: undefined },
  ]);
  assertEquals(kinds(transcript).at(-1), "close");
});

Deno.test("commands are taken in any case, with space before the line end", () => {
  assertEquals(
    codes(both("ehlo x\r\nmail from:<a@b.c> \t\r\nRcpt To:<b@c.d>\r\ndata \r\n.\r\nnoop \r\nquit\t\r\n")),
    ["250", "250 2.1.0", "250 2.1.5", "354", "250 2.0.0", "250 2.0.0", "221 2.0.0"],
  );
});

Deno.test("commands out of order get 503", () => {
  assertEquals(codes(both("MAIL FROM:<a@b.c>\r\nRCPT TO:<a@b.c>\r\nDATA\r\nBDAT 0\r\nAUTH PLAIN\r\n")), [
    ...["503 5.5.1", "503 5.5.1", "503 5.5.1", "503 5.5.1", "503 5.5.1"],
  ]);
  assertEquals(codes(both(EHLO + "RCPT TO:<a@b.c>\r\nDATA\r\nBDAT 0 LAST\r\n")).slice(1), [
    ...["503 5.5.1", "503 5.5.1", "503 5.5.1"],
  ]);
  assertEquals(
    codes(both(EHLO + "MAIL FROM:<>\r\nMAIL FROM:<>\r\nSTARTTLS\r\nAUTH PLAIN\r\nDATA\r\n")).slice(2),
    [
      ...["503 5.5.1", "503 5.5.1", "503 5.5.1", "554 5.5.1"],
    ],
  );
});

Deno.test("a nested MAIL leaves the transaction and its SMTPUTF8 alone", () => {
  const transcript = both(
    EHLO + "MAIL FROM:<> SMTPUTF8\r\nMAIL FROM:<>\r\n" +
      utf8AsLatin1("RCPT TO:<j\u00fcrgen@example.org>\r\n"),
  );
  assertEquals(codes(transcript).slice(1), ["250 2.1.0", "503 5.5.1", "250 2.1.5"]);
});

Deno.test("DATA without a valid recipient gets 554, and the transaction can go on", () => {
  const transcript = both(
    EHLO + "MAIL FROM:<>\r\nRCPT TO:<nobody@b.c>\r\nDATA\r\nRCPT TO:<x@b.c>\r\nDATA\r\n.\r\n",
  );
  assertEquals(codes(transcript).slice(1), [
    ...["250 2.1.0", "550 5.1.1", "554 5.5.1", "250 2.1.5", "354", "250 2.0.0"],
  ]);
});

Deno.test("RSET, EHLO and QUIT tell the server that the transaction is void", () => {
  assertEquals(kinds(both(EHLO + "RSET\r\n")), []);
  assertEquals(kinds(both(EHLO + ENVELOPE + "RSET\r\nRSET\r\n")), ["mail", "rcpt", "reset"]);
  assertEquals(kinds(both(EHLO + "MAIL FROM:<>\r\n" + EHLO)), ["mail", "reset"]);
  assertEquals(kinds(both(EHLO + ENVELOPE + "HELO x\r\n")), ["mail", "rcpt", "reset"]);
  assertEquals(kinds(both(EHLO + ENVELOPE + "QUIT\r\nNOOP\r\n")), ["mail", "rcpt", "reset", "close"]);
  assertEquals(codes(both(EHLO + ENVELOPE + "RSET\r\nRCPT TO:<x@y.z>\r\n")).at(-1), "503 5.5.1");
});

Deno.test("a refused MAIL opens no transaction", () => {
  assertEquals(codes(both(EHLO + "MAIL FROM:<later@b.c>\r\nRCPT TO:<b@c.d>\r\nMAIL FROM:<>\r\n")).slice(1), [
    ...["451 4.3.0", "503 5.5.1", "250 2.1.0"],
  ]);
});

Deno.test("a refused DATA leaves the transaction open and takes no content", () => {
  const transcript = both(EHLO + ENVELOPE + "DATA\r\nNOOP\r\nRSET\r\n", {
    answer: (event) => event.kind === "data" ? replies.diskFull : undefined,
  });
  assertEquals(codes(transcript).slice(3), ["452 4.3.1", "250 2.0.0", "250 2.0.0"]);
  assertEquals(transcript.contents, []);
});

Deno.test("malformed lines get 500 and are never taken for commands", () => {
  assertEquals(codes(both("\r\nFOO\r\nNOO\r\nEHLOX x\r\n__proto__\r\nconstructor x\r\n")), [
    ...["500 5.5.1", "500 5.5.1", "500 5.5.1", "500 5.5.1", "500 5.5.1", "500 5.5.1"],
  ]);
  assertEquals(lines(both("NOOP\nQUIT\r\n")), [
    "500 5.5.2 A command must end with CRLF, not with a bare LF",
    "221 2.0.0 Goodbye",
  ]);
  assertEquals(codes(both("NOOP\rQUIT\r\nNO\0OP\r\nEHLO a\x1bb\r\nNOOP \x7f\r\n")), [
    ...["500 5.5.2", "500 5.5.2", "500 5.5.2", "500 5.5.2"],
  ]);
  assertEquals(codes(both("NOOP \xff\xfe\r\n" + utf8AsLatin1("NOOP \u00fc\r\n"))), [
    "500 5.5.2",
    "250 2.0.0",
  ]);
});

Deno.test("a line over the limit gets 500 once and is dropped to its end", () => {
  const longest = "NOOP " + "x".repeat(512 - 7) + "\r\n";
  assertEquals(codes(both(longest + "NOOP x" + longest.slice(5) + "QUIT\r\n")), [
    ...["250 2.0.0", "500 5.5.6", "221 2.0.0"],
  ]);
  assertEquals(codes(both("x".repeat(5000) + "\nMAIL\r\nQUIT\r\n")).slice(0, 1), ["500 5.5.6"]);
});

Deno.test("commands without arguments refuse one, commands with arguments want one", () => {
  assertEquals(
    codes(both(EHLO + "RSET x\r\nQUIT x\r\nSTARTTLS x\r\nVRFY\r\nEXPN\r\nMAIL\r\nAUTH\r\n")).slice(1),
    [
      ...["501 5.5.4", "501 5.5.4", "501 5.5.4", "501 5.5.4", "501 5.5.4", "501 5.5.4", "501 5.5.4"],
    ],
  );
  assertEquals(codes(both(EHLO + ENVELOPE + "DATA x\r\n")).at(-1), "501 5.5.4");
  assertEquals(codes(both(EHLO + "NOOP anything at all\r\n")).at(-1), "250 2.0.0");
});

Deno.test("VRFY and EXPN ask the server", () => {
  const transcript = both("VRFY  Postmaster \r\nEXPN staff SMTPUTF8\r\n");
  assertEquals(transcript.events, [{ kind: "vrfy", argument: "Postmaster" }, {
    kind: "expn",
    argument: "staff",
  }]);
  assertEquals(codes(transcript), ["252 2.5.0", "252 2.5.0"]);
});

Deno.test("HELP lists the commands and shows the syntax of one", () => {
  assertEquals(lines(both("HELP\r\nHELP bdat\r\n")), [
    "214-2.0.0 Commands: HELO EHLO MAIL RCPT DATA BDAT RSET NOOP VRFY EXPN HELP QUIT STARTTLS AUTH",
    "214 2.0.0 HELP command shows its syntax",
    "214 2.0.0 Syntax: BDAT octets [LAST]",
  ]);
});

Deno.test("a web browser is sent away at its first word", () => {
  for (const verb of ["GET", "post", "OPTIONS"]) {
    const transcript = both(`${verb} / HTTP/1.1\r\nHost: x\r\n\r\n${EHLO}${ENVELOPE}`);
    assertEquals(codes(transcript), ["421 4.7.0"]);
    assertEquals(kinds(transcript), ["close"]);
  }
});

Deno.test("a non-ASCII address needs SMTPUTF8, and only then replies may hold UTF-8", () => {
  const recipient = utf8AsLatin1("RCPT TO:<j\u00fcrgen@example.org>\r\n");
  const sender = utf8AsLatin1("MAIL FROM:<j\u00fcrgen@example.org>");
  assertEquals(codes(both(`${EHLO}${sender}\r\nMAIL FROM:<>\r\n${recipient}`)).slice(1), [
    ...["553 5.6.7", "250 2.1.0", "553 5.6.7"],
  ]);
  assertEquals(codes(both(`${EHLO}${sender} SMTPUTF8\r\n${recipient}`)).slice(1), ["250 2.1.0", "250 2.1.5"]);
  const bad = utf8AsLatin1("RCPT TO:<\u00fc>\r\n");
  assert(
    lines(both(`${EHLO}MAIL FROM:<>\r\n${bad}`)).at(-1)!.startsWith("501 5.1.3 Bad recipient address: '?'"),
  );
  assert(lines(both(`${EHLO}MAIL FROM:<> SMTPUTF8\r\n${bad}`)).at(-1)!.includes("'\u00c3\u00bc'"));
});

Deno.test("next() pauses at an event until it is answered, and pipelined commands wait", () => {
  const session = new SmtpSession(SETTINGS);
  session.greet();
  session.receive(fromLatin1(EHLO + ENVELOPE + "NOOP\r\n"));
  const event = session.next();
  assert(typeof event === "object" && event.kind === "mail");
  assertEquals(session.next(), "paused");
  session.answer(replies.senderOk);
  const second = session.next();
  assert(typeof second === "object" && second.kind === "rcpt");
  session.answer(replies.recipientOk);
  assertEquals(session.acceptedRecipients, 1);
  assertEquals(session.next(), "need-data");
  assertEquals(latin1(session.takeOutput()!).split("\r\n").slice(-4), [
    ...["250 2.1.0 Sender OK", "250 2.1.5 Recipient OK", "250 2.0.0 OK", ""],
  ]);
  assertEquals(session.takeOutput(), undefined);
});

Deno.test("answer() throws where nothing waits, but not after the end", () => {
  const session = new SmtpSession(SETTINGS);
  assertThrows(() => session.answer(replies.ok), Error, "no event waits");
  assertThrows(() => session.challenge(new Uint8Array(0)), Error, "no AUTH exchange");
  assertThrows(() => session.secured("x"), Error, "no TLS handshake");
  session.receive(fromLatin1(EHLO + "MAIL FROM:<>\r\n"));
  session.next();
  session.shutdown(replies.idle);
  session.answer(replies.senderOk);
  session.challenge(new Uint8Array(0));
  session.authenticated("x");
  session.secured("x");
  assertEquals(session.next(), { kind: "close" });
  assertEquals(session.next(), "paused");
});

Deno.test("a 421 answer ends the session and voids the transaction", () => {
  const transcript = both(EHLO + ENVELOPE + "RCPT TO:<c@example.org>\r\n", {
    answer: (event) =>
      event.kind === "rcpt" && event.recipient.local === "c" ? replies.shuttingDown : undefined,
  });
  assertEquals(codes(transcript).at(-1), "421 4.3.2");
  assertEquals(kinds(transcript), ["mail", "rcpt", "rcpt", "reset", "close"]);
});

Deno.test("a 421 answer to a message ends the session without a reset, for the message has had its answer", () => {
  const transcript = both(EHLO + ENVELOPE + "DATA\r\nx\r\n.\r\nNOOP\r\n", {
    answer: (event) => event.kind === "data-end" ? replies.shuttingDown : undefined,
  });
  assertEquals(codes(transcript).slice(3), ["354", "421 4.3.2"]);
  assertEquals(kinds(transcript), ["mail", "rcpt", "data", "data-end", "close"]);
});

Deno.test("shutdown() in the middle of a message gives a reset, the reply and a close", () => {
  const session = new SmtpSession(SETTINGS);
  session.receive(fromLatin1(EHLO + ENVELOPE + "DATA\r\nhalf"));
  for (let event = session.next(); event !== "need-data"; event = session.next()) {
    if (typeof event === "object" && event.kind !== "content") session.answer(replies.startMailInput);
  }
  session.takeOutput();
  session.shutdown(replies.idle);
  session.receive(fromLatin1("NOOP\r\n"));
  assertEquals([session.next(), session.next(), session.next()], [
    { kind: "reset" },
    { kind: "close" },
    "paused",
  ]);
  assertEquals(
    latin1(session.takeOutput()!),
    "421 4.4.2 Nothing was heard for too long, closing the connection\r\n",
  );
  session.shutdown(replies.idle);
  assertEquals(session.takeOutput(), undefined);
});

Deno.test("no CR or LF of a client's comes back in a reply", () => {
  const transcript = both(EHLO + 'MAIL FROM:<a@b.c> X=\r\nMAIL FROM:<"\\\r\n250 OK>\r\n');
  for (const line of lines(transcript)) assert(/^\d{3}[ -]/.test(line));
});
