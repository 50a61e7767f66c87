/**
 * The SMTP client session: transactions.
 *
 * @module
 */
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { fromLatin1 } from "../../../../src/base/bytes.ts";
import { SmtpClientSession } from "../../../../src/smtp/client/session.ts";
import { converse, ehlo, GREETING, kinds, nextEvent, results, SETTINGS, talk, to } from "./peer.ts";

const OK = "250 2.0.0 ok\r\n";
const HELLO = "EHLO out.example.org\r\n";
const MAIL = "MAIL FROM:<a@example.org>\r\n";
const RCPT_B = "RCPT TO:<b@example.test>\r\n";
const RCPT_C = "RCPT TO:<c@example.test>\r\n";
const BODY = "Subject: x\r\n\r\nHello\r\n";

Deno.test("SmtpClientSession sends one command at a time where PIPELINING is not offered", () => {
  const { sent, events } = talk([
    GREETING,
    ehlo(),
    OK,
    OK,
    "354 go\r\n",
    "250 2.0.0 queued\r\n",
    "221 bye\r\n",
  ], {
    messages: [to(["b@example.test"])],
    quit: "quit",
  });
  assertEquals(sent, ["", HELLO, MAIL, RCPT_B, "DATA\r\n", `${BODY}.\r\n`, "QUIT\r\n", ""]);
  assertEquals(kinds(events), ["ready", "content", "done", "closed"]);
  assertEquals(results(events), [["250 2.0.0"]]);
});

Deno.test("SmtpClientSession sends envelope and DATA in one write with PIPELINING", () => {
  const { sent, events } = talk(
    [GREETING, ehlo("PIPELINING", "SIZE 1000"), OK + OK + "550 5.1.1 nobody\r\n", "354 go\r\n", OK],
    { messages: [to(["b@example.test", "c@example.test"])] },
  );
  assertEquals(sent[2], `MAIL FROM:<a@example.org> SIZE=20\r\n${RCPT_B}${RCPT_C}DATA\r\n`);
  assertEquals(results(events), [["250 2.0.0", "550 5.1.1"]]);
});

Deno.test("SmtpClientSession keeps no more than a hundred commands in flight", () => {
  const recipients = Array.from({ length: 150 }, (_, i) => `r${i}@example.test`);
  const { sent, events } = talk([
    GREETING,
    ehlo("PIPELINING"),
    OK.repeat(100),
    OK.repeat(51),
    "354 go\r\n",
    OK,
  ], {
    messages: [to(recipients)],
  });
  assertEquals(sent[2]!.split("\r\n").length - 1, 100);
  assertEquals(sent[3]!.split("\r\n").length - 1, 52);
  assertEquals(sent[5], `${BODY}.\r\n`);
  assertEquals(results(events)[0], recipients.map(() => "250 2.0.0"));
});

Deno.test("SmtpClientSession sends a lone dot where DATA is granted and nobody wants it", () => {
  const refused = "550 5.1.1 no\r\n";
  const { sent, events } = talk(
    [
      GREETING,
      ehlo("PIPELINING"),
      OK + refused + "354 go\r\n",
      "554 no recipients\r\n" + OK + OK + "354 go\r\n",
      OK,
    ],
    { messages: [to(["b@example.test"]), to(["c@example.test"])] },
  );
  assertEquals(sent[3], `.\r\n${MAIL}${RCPT_C}DATA\r\n`);
  assertEquals(kinds(events), ["ready", "done", "content", "done"]);
  assertEquals(results(events), [["550 5.1.1"], ["250 2.0.0"]]);
});

Deno.test("SmtpClientSession gives a refused MAIL to all recipients and doesn't send the rest", () => {
  const { sent, events } = talk([GREETING, ehlo(), "451 4.7.1 later\r\n", OK], {
    messages: [to(["b@example.test", "c@example.test"]), to(["c@example.test"])],
  });
  assertEquals(results(events), [["451 4.7.1", "451 4.7.1"]]);
  assertEquals(sent.slice(2), [MAIL, MAIL, RCPT_C]);
  const pipelined = talk([GREETING, ehlo("PIPELINING"), "550 5.7.1 no\r\n503 no\r\n503 no\r\n503 no\r\n"], {
    messages: [to(["b@example.test", "c@example.test"])],
  });
  assertEquals(results(pipelined.events), [["550 5.7.1", "550 5.7.1"]]);
  assertEquals(pipelined.sent[3], "");
});

Deno.test("SmtpClientSession resets a transaction that is left open", () => {
  const none = talk([GREETING, ehlo(), OK, "550 no\r\n", OK, OK], {
    messages: [to(["b@example.test"]), to(["c@example.test"])],
  });
  assertEquals(none.sent.slice(3), [RCPT_B, "RSET\r\n", MAIL, RCPT_C]);
  const data = talk([GREETING, ehlo("PIPELINING"), OK + OK + "451 4.3.0 not now\r\n"], {
    messages: [to(["b@example.test"]), to(["c@example.test"])],
  });
  assertEquals(results(data.events), [["451 4.3.0"]]);
  assertEquals(data.sent[3], `RSET\r\n${MAIL}${RCPT_C}DATA\r\n`);
  const refused = talk([GREETING, ehlo(), OK, "550 no\r\n", "500 what\r\n"], {
    messages: [to(["b@example.test"])],
  });
  assertEquals(kinds(refused.events), ["ready", "done", "failed ready protocol -"]);
});

Deno.test("SmtpClientSession goes on after a refused end of content without RSET", () => {
  const { sent, events } = talk([
    GREETING,
    ehlo(),
    OK,
    OK,
    "354 go\r\n",
    "552 5.3.4 too big\r\n",
    "421 enough\r\n",
  ], {
    messages: [to(["b@example.test"]), to(["c@example.test"])],
  });
  assertEquals(sent[6], MAIL);
  assertEquals(results(events), [["552 5.3.4"], ["421"]]);
  assertEquals(kinds(events).at(-1), "failed mail refused 421");
});

Deno.test("SmtpClientSession takes 552 to RCPT for 452, by code and not by text", () => {
  const { events } = talk(
    [
      GREETING,
      ehlo("PIPELINING"),
      OK + OK + "552 5.5.3 too many\r\n550 4.7.1 try again later\r\n354 go\r\n",
      OK,
    ],
    { messages: [to(["b@example.test", "c@example.test", "d@example.test"])] },
  );
  assertEquals(results(events), [["250 2.0.0", "452 4.5.3", "550"]]);
});

Deno.test("SmtpClientSession doubles dots however the content is cut up", () => {
  const text = ".a\r\n..\r\nb.\r\n.\r\n\r\n.c\r\r\n.";
  const wire = "..a\r\n...\r\nb.\r\n..\r\n\r\n..c\r\r\n..\r\n.\r\n";
  for (const content of [[text], [...text], ["", text.slice(0, 5), "", text.slice(5)]]) {
    const { sent } = talk([GREETING, ehlo(), OK, OK, "354 go\r\n", OK], {
      messages: [{ ...to(["b@example.test"]), content }],
    });
    assertEquals(sent[5], wire);
  }
  const empty = talk([GREETING, ehlo(), OK, OK, "354 go\r\n"], {
    messages: [{ ...to(["b@example.test"]), content: [] }],
  });
  assertEquals(empty.sent[5], ".\r\n");
});

Deno.test("SmtpClientSession sends chunks where CHUNKING and PIPELINING are offered", () => {
  const large = "x".repeat(200 * 1024);
  const { sent, events, dialogue } = talk([GREETING, ehlo("PIPELINING", "CHUNKING"), OK + OK, OK + OK, ""], {
    messages: [{ ...to(["b@example.test"]), content: ["a\r\n", "", ".\r\n", large, large] }],
  });
  assertEquals(sent[2], MAIL + RCPT_B);
  const first = `a\r\n.\r\n${large}`;
  assertEquals(sent[3], `BDAT ${first.length}\r\n${first}BDAT ${large.length} LAST\r\n${large}`);
  assertEquals(results(events), [["250 2.0.0"]]);
  assertStringIncludes(
    dialogue,
    `C: BDAT ${large.length} LAST\nC: (${large.length} octets of content)\nS: 250`,
  );
  const alone = talk([GREETING, ehlo("CHUNKING"), OK], { messages: [to(["b@example.test"])] });
  assertEquals(alone.sent.slice(2), [MAIL, RCPT_B]);
});

Deno.test("SmtpClientSession stops sending chunks after one was refused", () => {
  const session = new SmtpClientSession(SETTINGS);
  const say = (text: string) => session.receive(fromLatin1(text));
  say(GREETING + ehlo("PIPELINING", "CHUNKING"));
  assertEquals(session.next(), { kind: "ready" });
  session.begin(to(["b@example.test"]).transaction);
  say(OK + OK);
  assertEquals(session.next(), { kind: "content" });
  const piece = new Uint8Array(256 * 1024);
  session.content(piece);
  session.content(piece);
  session.takeOutput();
  assertEquals(session.next(), "waiting");
  assertEquals(session.contentUseless, "no");
  say("452 4.3.1 disk full\r\n");
  assertEquals(session.next(), "waiting");
  assertEquals(session.contentUseless, "yes");
  session.content(piece);
  assertEquals(session.takeOutput(), undefined);
  session.endContent();
  const done = nextEvent(session);
  assertEquals(results([done]), [["452 4.3.1"]]);
  assertEquals(session.takeOutput(), fromLatin1("RSET\r\n"));
});

Deno.test("SmtpClientSession lets a refused chunk decide, whatever is said to the last", () => {
  const content = ["x".repeat(256 * 1024), "y"];
  const { sent, events } = talk(
    [GREETING, ehlo("PIPELINING", "CHUNKING"), OK + OK, "550 5.6.0 no\r\n" + OK],
    {
      messages: [{ ...to(["b@example.test"]), content }],
    },
  );
  assertEquals(results(events), [["550 5.6.0"]]);
  assertEquals(sent[4], "RSET\r\n");
});

Deno.test("SmtpClientSession takes a refusal in the middle of the content at its word", () => {
  const session = new SmtpClientSession(SETTINGS);
  session.receive(fromLatin1(GREETING + ehlo()));
  session.next();
  session.begin(to(["b@example.test"]).transaction);
  session.receive(fromLatin1(OK + OK + "354 go\r\n"));
  assertEquals(session.next(), { kind: "content" });
  session.content(fromLatin1("x\r\n"));
  session.receive(fromLatin1("552 5.3.4 enough\r\n"));
  const done = nextEvent(session);
  const failed = nextEvent(session);
  assertEquals(results([done]), [["552 5.3.4"]]);
  assertEquals(kinds([failed]), ["failed content refused 552"]);
  session.takeOutput();
  session.content(fromLatin1("y\r\n"));
  session.endContent();
  assertEquals(session.takeOutput(), undefined);
});

Deno.test("SmtpClientSession ends with 421 wherever it comes", () => {
  const bye = "421 4.3.2 shutting down\r\n";
  const steps = [GREETING, ehlo(), OK, OK, OK, "354 go\r\n"];
  const stages = ["greeting", "ehlo", "mail", "rcpt", "rcpt", "data", "data-end"];
  for (let n = 0; n <= steps.length; n++) {
    const { events, sent } = talk([...steps.slice(0, n), bye], {
      messages: [to(["b@example.test", "c@example.test"])],
    });
    assertEquals(kinds(events).at(-1), `failed ${stages[n]} refused 421`);
    assertEquals(results(events), n < 2 ? [] : [["421 4.3.2", "421 4.3.2"]]);
    assertEquals(sent.at(-1), "");
  }
  const idle = talk([GREETING, ehlo(), bye]);
  assertEquals(kinds(idle.events), ["ready", "failed ready refused 421"]);
});

Deno.test("SmtpClientSession.begin() gives results where the session has ended unseen", () => {
  const session = new SmtpClientSession(SETTINGS);
  session.receive(fromLatin1(GREETING + ehlo()));
  session.next();
  session.begin(to(["b@example.test"]).transaction);
  session.receive(fromLatin1("421 bye\r\n"));
  assertEquals((session.next() as { kind: string }).kind, "done");
  session.begin(to(["c@example.test"]).transaction);
  const done = nextEvent(session);
  assertEquals(results([done]), [["451 4.4.2 here"]]);
  assertEquals((session.next() as { kind: string }).kind, "failed");
  assertThrows(() => session.begin(to(["d@example.test"]).transaction), Error, "over");
});

Deno.test("SmtpClientSession.connectionLost() marks what may have been delivered", () => {
  const lost = "the connection was lost";
  const messages = [to(["b@example.test", "c@example.test"])];
  const steps = [GREETING, ehlo(), OK, OK, "550 5.1.1 no\r\n", "354 go\r\n"];
  const open = "451 4.4.2 here";
  const expected = [[], [], [[open, open]], [[open, open]], [[open, open]], [[open, "550 5.1.1"]]];
  for (const [n, outcome] of expected.entries()) {
    const { events } = talk(steps.slice(0, n), { messages, lost });
    assertEquals(results(events), outcome);
    assertEquals(kinds(events).at(-1)!.split(" ")[0], "failed");
  }
  const { events } = talk(steps, { messages, lost });
  assertEquals(results(events), [[`${open} ambiguous`, "550 5.1.1"]]);
  assertEquals(kinds(events), ["ready", "content", "done", "failed data-end protocol -"]);
  const chunked = talk([GREETING, ehlo("PIPELINING", "CHUNKING"), OK.repeat(3)], { messages, lost });
  assertEquals(results(chunked.events), [[`${open} ambiguous`, `${open} ambiguous`]]);
  const after = talk([GREETING, ehlo(), "221 bye\r\n"], { quit: "quit", lost });
  assertEquals(kinds(after.events), ["ready", "closed"]);
  const noAnswer = talk([GREETING, ehlo()], { quit: "quit", lost });
  assertEquals(kinds(noAnswer.events), ["ready", "closed"]);
});

Deno.test("SmtpClientSession.connectionLost() counts replies that came before it", () => {
  const open = () => {
    const session = new SmtpClientSession(SETTINGS);
    session.receive(fromLatin1(GREETING + ehlo()));
    session.next();
    session.begin(to(["b@example.test"]).transaction);
    return session;
  };
  const told = open();
  told.receive(fromLatin1(OK + OK + "354 go\r\n"));
  assertEquals(told.next(), { kind: "content" });
  told.endContent();
  told.receive(fromLatin1(OK));
  told.connectionLost("gone");
  assertEquals(results([nextEvent(told)]), [["250 2.0.0"]]);
  assertEquals(kinds([nextEvent(told)]), ["failed ready protocol -"]);

  const asked = open();
  asked.receive(fromLatin1(OK + OK + "354 go\r\n"));
  asked.connectionLost("gone");
  assertEquals(results([nextEvent(asked)]), [["451 4.4.2 here"]]);
  assertEquals(kinds([nextEvent(asked)]), ["failed content protocol -"]);
  assertEquals(asked.next(), "waiting");

  const refused = new SmtpClientSession(SETTINGS);
  refused.receive(fromLatin1("554 5.7.1 go away\r\n"));
  refused.connectionLost("gone");
  assertEquals(kinds([nextEvent(refused)]), ["failed greeting refused 554"]);
});

Deno.test("SmtpClientSession says how far it is and how long that may take", () => {
  const session = new SmtpClientSession(SETTINGS);
  const seen: string[] = [];
  const note = () => seen.push(`${session.stage} ${session.timeoutMs / 60_000}`);
  const say = (text: string) => {
    session.receive(fromLatin1(text));
    const event = session.next();
    if (typeof event !== "string" && event.kind === "starttls") {
      note();
      session.secured("TLSv1.3");
    }
    note();
  };
  note();
  say(GREETING);
  say(ehlo("STARTTLS"));
  say("220 go\r\n");
  say(ehlo());
  session.begin(to(["b@example.test"]).transaction);
  note();
  say(OK);
  say(OK);
  say("354 go\r\n");
  session.endContent();
  note();
  say(OK);
  session.quit();
  note();
  assertEquals(seen, [
    ...[
      "greeting 5",
      "ehlo 5",
      "starttls 5",
      "starttls 5",
      "ehlo 5",
      "ready 5",
      "mail 5",
      "rcpt 5",
      "data 2",
    ],
    ...["content 3", "data-end 10", "ready 5", "quit 0.5"],
  ]);
});

Deno.test("SmtpClientSession refuses to be called out of turn", () => {
  const session = new SmtpClientSession(SETTINGS);
  const { transaction } = to(["b@example.test"]);
  assertThrows(() => session.begin(transaction), Error, "opening");
  assertThrows(() => session.quit(), Error, "opening");
  assertThrows(() => session.secured("x"), Error, "handshake");
  assertThrows(() => session.content(new Uint8Array(1)), Error, "opening");
  assertThrows(() => session.endContent(), Error, "opening");
  assertThrows(() => new SmtpClientSession({ ...SETTINGS, hostname: "a b" }), RangeError);
  assertThrows(() => new SmtpClientSession({ ...SETTINGS, hostname: "a\r\nQUIT" }), RangeError);
});

Deno.test("SmtpClientSession fails on replies that break the protocol", () => {
  const messages = [to(["b@example.test"])];
  const scripts: [string[], string][] = [
    [["hello\r\n"], "greeting"],
    [["354 go\r\n"], "greeting"],
    [["220-a\r\n221 b\r\n"], "greeting"],
    [["220 a\n"], "greeting"],
    [["2200 a\r\n"], "greeting"],
    [["999 a\r\n"], "greeting"],
    [["120 a\r\n"], "greeting"],
    [[GREETING, "354 go\r\n"], "ehlo"],
    [[GREETING, ehlo(), "354 go\r\n"], "mail"],
    [[GREETING, ehlo(), OK, "334 go\r\n"], "rcpt"],
    [[GREETING, ehlo(), OK, OK, "250 go\r\n"], "data"],
    [[GREETING, ehlo(), OK, OK, "354 go\r\n", "354 go\r\n"], "data-end"],
    [[GREETING, "x".repeat(3000)], "ehlo"],
    [[GREETING, "250-x\r\n".repeat(101)], "ehlo"],
    [[GREETING, `250-${"x".repeat(1500)}\r\n`.repeat(60)], "ehlo"],
  ];
  for (const [script, stage] of scripts) {
    const { events } = talk(script, { messages });
    assertEquals(kinds(events).at(-1), `failed ${stage} protocol -`, JSON.stringify(script).slice(0, 200));
    const ambiguous = stage === "data-end" ? " ambiguous" : "";
    if (script.length > 2) assertEquals(results(events), [[`451 4.5.0 here${ambiguous}`]]);
  }
  const unasked = talk([GREETING, ehlo(), OK]);
  assertEquals(kinds(unasked.events), ["ready", "failed ready protocol -"]);
});

Deno.test("SmtpClientSession tolerates long lines, replies without text and any character set", () => {
  const { events } = talk(
    [
      `220 ${"x".repeat(1900)}\r\n`,
      "250\r\n",
      "250 \xfc\xff\r\n",
      "250 \x1b[31mred\r\n",
      "354\r\n",
      "250 2.6.0\r\n",
    ],
    { messages: [to(["b@example.test"])] },
  );
  assertEquals(results(events), [["250 2.6.0"]]);
});

Deno.test("SmtpClientSession cuts what it keeps of a long reply", () => {
  const long = `550-5.1.1 ${"x".repeat(1500)}\r\n`.repeat(40) + "550 5.1.1 end\r\n";
  const { events } = talk([GREETING, ehlo(), OK, long], { messages: [to(["b@example.test"])] });
  const done = events.find((event) => event.kind === "done")!;
  const { reply } = done.results[0]!;
  assertEquals(reply.enhanced, "5.1.1");
  assertEquals(reply.lines.join("").length, 2000 - 1);
  assertEquals(reply.lines[0], "x".repeat(1500));
});

Deno.test("SmtpClientSession.takeDialogue() holds no content, no control characters, and 16 KiB at most", () => {
  const { dialogue } = talk([GREETING, ehlo(), "250 \x1b]0;title\x07 ok\x85\r\n", OK, "354 go\r\n", OK], {
    messages: [to(["b@example.test"])],
  });
  assertEquals(
    dialogue,
    "S: 220 mx.example.test ESMTP\nC: EHLO out.example.org\nS: 250 mx.example.test\nC: MAIL FROM:<a@example.org>\n" +
      "S: 250  ok \nC: RCPT TO:<b@example.test>\nS: 250 2.0.0 ok\nC: DATA\nS: 354 go\n".replace(
        "ok \n",
        "ok\n",
      ) +
      "C: (21 octets of content)\nC: .\nS: 250 2.0.0 ok",
  );
  const recipients = Array.from({ length: 600 }, (_, i) => `r${i}@example.test`);
  const long = converse([GREETING, ehlo(), ...recipients.map(() => OK), OK, "354 x\r\n"], {
    messages: [to(recipients)],
  });
  assert(long.dialogue.length <= 16 * 1024 && long.dialogue.length > 15 * 1024);
  assert(long.dialogue.startsWith("S: 220 mx"));
  assert(long.dialogue.endsWith("C: ."));
  assertEquals(long.dialogue.match(/^\((\d+) lines left out\)$/m)?.length, 2);
  assertEquals(long.session.takeDialogue(), "");
});

Deno.test("SmtpClientSession tells the limits that a server announces", () => {
  const { session } = talk([GREETING, ehlo("LIMITS MAILMAX=5 RCPTMAX=100 X=1", "x-thing a b", "SIZE")]);
  assertEquals([session.recipientLimit, session.transactionLimit], [100, 5]);
  assertEquals(session.extensions.get("X-THING"), "a b");
  const { session: none } = talk([GREETING, ehlo("LIMITS RCPTMAX=0 MAILMAX=x")]);
  assertEquals([none.recipientLimit, none.transactionLimit], [undefined, undefined]);
});

Deno.test("SmtpClientSession.receive() takes replies in while nobody asks for events", () => {
  for (const transfer of ["PIPELINING", "PIPELINING\r\n250-CHUNKING"]) {
    const session = new SmtpClientSession(SETTINGS);
    for (const text of [GREETING, ehlo(...transfer.split("\r\n250-"))]) {
      session.receive(fromLatin1(text));
      while (typeof session.next() !== "string");
    }
    session.begin(to(["b@example.test"]).transaction);
    session.receive(fromLatin1(transfer === "PIPELINING" ? `${OK}${OK}354 go\r\n` : `${OK}${OK}`));
    assertEquals(kinds([nextEvent(session)]), ["content"]);
    const part = new Uint8Array(200 * 1024).fill(97);
    session.content(part);
    session.content(part);
    assertEquals(session.contentUseless, "no");
    // The refusal counts at once: the caller may spare itself the rest.
    session.receive(fromLatin1("552 5.3.4 too large\r\n"));
    assertEquals(session.contentUseless, "yes");
    session.content(part);
    session.endContent();
    const event = nextEvent(session);
    assertEquals(event.kind === "done" && event.results.map(({ reply }) => reply.code), [552]);
  }

  // Chatter is a breach at its first reply, and nothing of what follows is kept.
  const idle = new SmtpClientSession(SETTINGS);
  for (const text of [GREETING, ehlo()]) idle.receive(fromLatin1(text));
  for (let i = 0; i < 100; i++) idle.receive(fromLatin1(OK.repeat(1_000)));
  assertEquals(kinds([nextEvent(idle), nextEvent(idle)]), ["ready", "failed ready protocol -"]);
  assertEquals(idle.replies, 3);
});
