import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { latin1, utf8 } from "../../../src/base/bytes.ts";
import { Pop3Session } from "../../../src/pop3/session.ts";
import { afterLogin, converse, hold, MESSAGES, replies, SETTINGS, sizeOf } from "./conversation.ts";

const TOTAL = MESSAGES.reduce((sum, message) => sum + sizeOf(message), 0);

Deno.test("greet() says +OK without a timestamp for APOP", () => {
  assertEquals(converse("").output, "+OK mail.example.org POP3 server ready\r\n");
});

// ---------------------------------------------------------------- TRANSACTION, RFC 1939 5

Deno.test("STAT gives count and octets alone", () => {
  assertEquals(afterLogin("STAT\r\n"), `+OK 3 ${TOTAL}\r\n`);
});

Deno.test("LIST gives all messages, or one", () => {
  const [a, b, c] = MESSAGES.map(sizeOf);
  assertEquals(
    afterLogin("LIST\r\nLIST 2\r\nlist  3 \r\n"),
    `+OK 3 messages (${TOTAL} octets)\r\n1 ${a}\r\n2 ${b}\r\n3 ${c}\r\n.\r\n+OK 2 ${b}\r\n+OK 3 ${c}\r\n`,
  );
});

Deno.test("LIST and UIDL of an empty maildrop are empty", () => {
  assertEquals(
    afterLogin("STAT\r\nLIST\r\nUIDL\r\n", { messages: [] }),
    "+OK 0 0\r\n+OK 0 messages (0 octets)\r\n.\r\n+OK unique-id listing follows\r\n.\r\n",
  );
});

Deno.test("UIDL gives all unique-ids, or one", () => {
  assertEquals(
    afterLogin("UIDL\r\nUIDL 1\r\n"),
    "+OK unique-id listing follows\r\n1 uid-0\r\n2 uid-1\r\n3 uid-2\r\n.\r\n+OK 1 uid-0\r\n",
  );
});

Deno.test("RETR sends the message with its octet count", () => {
  assertEquals(afterLogin("RETR 1\r\n"), `+OK ${sizeOf(MESSAGES[0]!)} octets\r\n${MESSAGES[0]}.\r\n`);
});

Deno.test("RETR stuffs dots and adds the line end that is missing", () => {
  assertEquals(
    afterLogin("RETR 2\r\nNOOP\r\n"),
    `+OK ${sizeOf(MESSAGES[1]!)} octets\r\n` +
      "Subject: two\r\n\r\n..dot\r\n...two\r\n..\r\nend without line end\r\n.\r\n+OK\r\n",
  );
});

Deno.test("RETR of an empty message sends only the terminating line", () => {
  assertEquals(afterLogin("RETR 1\r\n", { messages: [""] }), "+OK 0 octets\r\n.\r\n");
});

Deno.test("TOP n sends n lines of the body, TOP 0 the header and the blank line", () => {
  const top = (n: number) => afterLogin(`TOP 1 ${n}\r\n`).replace("+OK top of message follows\r\n", "");
  assertEquals(top(0), "Subject: one\r\n\r\n.\r\n");
  assertEquals(top(1), "Subject: one\r\n\r\nfirst\r\n.\r\n");
  assertEquals(top(2), "Subject: one\r\n\r\nfirst\r\nsecond\r\n.\r\n");
  assertEquals(top(3), `${MESSAGES[0]}.\r\n`);
  assertEquals(top(4294967295), `${MESSAGES[0]}.\r\n`);
});

Deno.test("TOP stuffs dots and sends all of a message without blank line", () => {
  assertEquals(
    afterLogin("TOP 2 2\r\nTOP 3 0\r\n"),
    "+OK top of message follows\r\nSubject: two\r\n\r\n..dot\r\n...two\r\n.\r\n" +
      `+OK top of message follows\r\n${MESSAGES[2]}.\r\n`,
  );
});

Deno.test("a deleted message is refused everywhere and missing from lists", () => {
  const [a, , c] = MESSAGES.map(sizeOf);
  const gone = "-ERR message 2 is deleted\r\n";
  assertEquals(
    afterLogin(
      "DELE 2\r\nSTAT\r\nLIST\r\nUIDL\r\nLIST 2\r\nUIDL 2\r\nRETR 2\r\nTOP 2 0\r\nDELE 2\r\nRETR 3\r\n",
    ),
    `+OK message 2 deleted\r\n+OK 2 ${a! + c!}\r\n+OK 2 messages (${
      a! + c!
    } octets)\r\n1 ${a}\r\n3 ${c}\r\n.\r\n` +
      `+OK unique-id listing follows\r\n1 uid-0\r\n3 uid-2\r\n.\r\n${gone.repeat(5)}+OK ${c} octets\r\n${
        MESSAGES[2]
      }.\r\n`,
  );
});

Deno.test("RSET takes all marks away", () => {
  assertEquals(
    afterLogin("DELE 1\r\nDELE 3\r\nRSET\r\nSTAT\r\nRSET\r\n"),
    "+OK message 1 deleted\r\n+OK message 3 deleted\r\n" +
      `+OK maildrop has 3 messages (${TOTAL} octets)\r\n+OK 3 ${TOTAL}\r\n` +
      `+OK maildrop has 3 messages (${TOTAL} octets)\r\n`,
  );
});

Deno.test("message numbers that don't exist are refused without counting as mistakes", () => {
  const none = "-ERR no such message, only 3 messages in maildrop\r\n";
  assertEquals(
    afterLogin("RETR 0\r\nRETR 4\r\nLIST 9999999999\r\nUIDL 4\r\nTOP 4 1\r\nDELE 0\r\nNOOP\r\n"),
    none.repeat(6) + "+OK\r\n",
  );
});

Deno.test("arguments that are no numbers are refused by name", () => {
  assertEquals(
    afterLogin("RETR x\r\nDELE\r\nTOP 1\r\nTOP 1 -1\r\n"),
    "-ERR RETR wants a message number, like RETR 1\r\n-ERR DELE wants a message number, like DELE 1\r\n" +
      "-ERR TOP wants a message number and a count of lines, like TOP 1 10\r\n".repeat(2),
  );
  assertEquals(
    afterLogin("STAT 1\r\nNOOP x\r\n"),
    "-ERR STAT takes no argument\r\n-ERR NOOP takes no argument\r\n",
  );
});

// ---------------------------------------------------------------- the end, RFC 1939 4 and 6

Deno.test("QUIT before log-in closes without an update", () => {
  const { output, events, end } = converse("QUIT\r\nNOOP\r\n");
  assert(output.endsWith("+OK mail.example.org POP3 server signing off\r\n"));
  assertEquals(events, [{ kind: "close" }]);
  assertEquals(end, "closed");
});

Deno.test("QUIT after log-in gives the deleted messages to the update", () => {
  const { output, events } = converse("USER a\r\nPASS secret\r\nDELE 3\r\nDELE 1\r\nQUIT\r\nSTAT\r\n");
  assertEquals(events.slice(1), [{ kind: "update", deleted: [0, 2] }, { kind: "close" }]);
  assert(output.endsWith("message 1 deleted\r\n+OK mail.example.org POP3 server signing off\r\n"));
});

Deno.test("without QUIT there is no update", () => {
  const { events } = converse("USER a\r\nPASS secret\r\nDELE 1\r\nQUI");
  assertEquals(events.map((event) => event.kind), ["login"]);
});

Deno.test("updated() says when not all messages were removed", () => {
  const text = afterLogin("DELE 1\r\nQUIT\r\n", {
    intercept(event, session) {
      if (event.kind !== "update") return undefined;
      session.updated("partial");
      return "answered";
    },
  });
  assert(text.endsWith("-ERR [SYS/TEMP] some deleted messages were not removed\r\n"));
});

Deno.test("shutdown() says why between replies and only closes inside one", () => {
  const session = new Pop3Session(SETTINGS);
  session.shutdown("the server is being stopped\r\n+OK");
  assertEquals(latin1(session.takeOutput()!), "-ERR [SYS/TEMP] the server is being stopped +OK\r\n");
  assertEquals(session.next(), { kind: "close" });
  assertEquals(session.next(), "paused");
  session.receive(utf8("NOOP\r\n"));
  assertEquals(session.next(), "paused");
  assertEquals(session.takeOutput(), undefined);

  const { output, events } = hold({
    pieces: [[utf8("USER a\r\nPASS secret\r\nRETR 1\r\n")]],
    intercept(event, session) {
      if (event.kind !== "retrieve") return undefined;
      session.content(utf8("half a "));
      session.shutdown("the server is being stopped");
      return "answered";
    },
  });
  assert(output.endsWith("octets\r\nhalf a "));
  assertEquals(events.at(-1), { kind: "close" });
});

Deno.test("contentFailed() is a reply before the first octet and closes after it", () => {
  const fail = (octets: string) =>
    converse("USER a\r\nPASS secret\r\nRETR 1\r\nNOOP\r\n", {
      intercept(event, session) {
        if (event.kind !== "retrieve") return undefined;
        if (octets !== "") session.content(utf8(octets));
        session.contentFailed("the message could not be read");
        return "answered";
      },
    });
  const before = fail("");
  assert(before.output.endsWith("-ERR [SYS/TEMP] the message could not be read\r\n+OK\r\n"));
  assertEquals(before.end, "open");
  const after = fail("Subject: x\r\n");
  assert(after.output.endsWith("octets\r\nSubject: x\r\n"));
  assertEquals(after.end, "closed");
});

Deno.test("answers after the end are passed over, answers to nothing are the server's mistake", () => {
  const session = new Pop3Session(SETTINGS);
  assertThrows(() => session.opened({ sizes: [], uniqueId: () => "" }), Error, "opened() was called");
  assertThrows(() => session.content(utf8("x")), Error, "awaits 'command'");
  session.receive(utf8("USER a\r\nPASS b\r\n"));
  session.next();
  session.shutdown("stop");
  session.refuse("AUTH", "wrong");
  assertEquals(session.next(), { kind: "close" });
});

// ---------------------------------------------------------------- lines, limits, order

Deno.test("commands that come while a message is sent are kept and run in order", () => {
  const session = new Pop3Session(SETTINGS);
  session.receive(utf8("USER a\r\nPASS b\r\nSTAT\r\nRETR 1\r\nDELE 1\r\n"));
  assertEquals(session.next(), { kind: "login", user: "a", password: "b" });
  assertEquals(session.next(), "paused");
  session.opened({ sizes: [5], uniqueId: () => "u" });
  assertEquals(session.next(), { kind: "retrieve", index: 0, lines: "all" });
  session.receive(utf8("NOOP\r\n"));
  assertEquals(session.next(), "paused");
  session.takeOutput();
  assertEquals(session.content(utf8("abc\r\n")), "more");
  assertEquals(session.next(), "paused");
  session.contentEnd();
  assertEquals(session.next(), "need-data");
  assertEquals(latin1(session.takeOutput()!), "+OK 5 octets\r\nabc\r\n.\r\n+OK message 1 deleted\r\n+OK\r\n");
});

Deno.test("content() says enough once TOP has its lines", () => {
  const session = new Pop3Session(SETTINGS);
  session.receive(utf8("USER a\r\nPASS b\r\nTOP 1 1\r\n"));
  session.next();
  session.opened({ sizes: [100], uniqueId: () => "u" });
  assertEquals(session.next(), { kind: "retrieve", index: 0, lines: 1 });
  assertEquals(session.content(utf8("A: b\r\n\r")), "more");
  assertEquals(session.content(utf8("\nline\r\nmore")), "enough");
  assertEquals(session.content(utf8("never sent")), "enough");
  session.contentEnd();
  assert(latin1(session.takeOutput()!).endsWith("A: b\r\n\r\nline\r\n.\r\n"));
});

Deno.test("takeOutput() passes on message octets without a copy", () => {
  const session = new Pop3Session(SETTINGS);
  session.receive(utf8("USER a\r\nPASS b\r\nRETR 1\r\n"));
  session.next();
  session.opened({ sizes: [100], uniqueId: () => "u" });
  session.next();
  session.content(utf8("first "));
  session.takeOutput();
  const part = utf8("a part of the message\r\n");
  session.content(part);
  assertEquals(session.takeOutput() === part, true);
});

Deno.test("commands in the wrong state are refused from the table", () => {
  assertEquals(
    replies("STAT\r\nRETR 1\r\nNOOP\r\n"),
    "-ERR STAT is only possible after log-in\r\n-ERR RETR is only possible after log-in\r\n" +
      "-ERR NOOP is only possible after log-in\r\n",
  );
  assertEquals(
    afterLogin("USER b\r\nPASS c\r\nUTF8\r\nSTLS\r\n"),
    ["USER", "PASS", "UTF8", "STLS"].map((verb) => `-ERR ${verb} is only possible before log-in\r\n`).join(
      "",
    ),
  );
});

Deno.test("unknown commands, empty lines and APOP are refused", () => {
  assertEquals(
    replies("XYZZY\r\n\r\nAPOP alice c4c9334bac560ecc979e58001b3e22fb\r\n<?>\r\n"),
    "-ERR unknown command; CAPA lists what is there\r\n" +
      "-ERR this is not a command: a word of letters, then its arguments after a space\r\n" +
      "-ERR unknown command; CAPA lists what is there\r\n" +
      "-ERR this is not a command: a word of letters, then its arguments after a space\r\n",
  );
});

Deno.test("a line over the limit is refused whole", () => {
  const tooLong = "-ERR the line is longer than 255 octets\r\n";
  assertEquals(
    replies(`USER ${"a".repeat(1000)}\r\nQUIT x\r\n`),
    `${tooLong}-ERR QUIT takes no argument\r\n`,
  );
  assertEquals(replies(`USER ${"a".repeat(248)}\r\n`), "+OK send PASS\r\n");
  assertEquals(replies(`USER ${"a".repeat(249)}\r\n`), tooLong);
});

Deno.test("a bare LF never ends a command, a bare CR never hides in one", () => {
  assertEquals(
    replies("USER alice\nCAPA x\r\n"),
    "-ERR the line ends with LF alone; end lines with CR LF\r\n-ERR CAPA takes no argument\r\n",
  );
  assertMatch(replies("USER alice\rQUIT\r\n"), /^-ERR this is not a command/);
  assertMatch(replies("USER al\0ice\r\n"), /^-ERR this is not a command/);
});

Deno.test("too many errors end the session", () => {
  const { output, end } = converse("A\r\nB\r\nC\r\nD\r\nE\r\nUSER alice\r\n");
  assertEquals(output.match(/-ERR unknown command/g)!.length, 4);
  assert(output.endsWith("-ERR too many errors; closing\r\n"));
  assertEquals(end, "closed");
});

Deno.test("commands far ahead of their replies end the session", () => {
  const session = new Pop3Session(SETTINGS);
  session.receive(utf8("USER a\r\nPASS b\r\n"));
  session.next();
  for (let i = 0; i < 100; i++) session.receive(utf8("NOOP\r\n".repeat(1000)));
  session.opened({ sizes: [], uniqueId: () => "" });
  let event = session.next();
  while (event !== "paused" && event !== "need-data" && event.kind === "flush") event = session.next();
  assertEquals(event, { kind: "close" });
  assert(
    latin1(session.takeOutput()!).endsWith(
      "-ERR too many commands were sent ahead of their replies; closing\r\n",
    ),
  );
});

Deno.test("a listing of 100,000 messages is cheap and never waits whole in the output", () => {
  const session = new Pop3Session(SETTINGS);
  const sizes = new Float64Array(100_000).fill(4096);
  session.receive(utf8("USER a\r\nPASS b\r\nDELE 50000\r\nLIST\r\nUIDL\r\n"));
  session.next();
  const started = performance.now();
  session.opened({ sizes, uniqueId: (index) => `0123456789-${index}` });
  let octets = 0;
  let flushes = 0;
  let lines = 0;
  for (;;) {
    const event = session.next();
    const output = session.takeOutput();
    if (output !== undefined) {
      octets = Math.max(octets, output.length);
      lines += latin1(output).split("\n").length - 1;
    }
    if (typeof event === "string") break;
    assertEquals(event.kind, "flush");
    flushes++;
  }
  // +OK send PASS, +OK maildrop, +OK deleted, and twice a first line, 99,999 lines and a dot.
  assertEquals(lines, 3 + 2 * 100_001);
  assert(flushes > 10 && octets < 200_000, `${flushes} flushes, ${octets} octets at a time`);
  assert(performance.now() - started < 2000);
});
