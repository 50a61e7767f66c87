import { assert, assertEquals, assertMatch } from "@std/assert";
import { toBase64 } from "../../../src/sasl/base64.ts";
import { utf8 } from "../../../src/base/bytes.ts";
import { converse, hold, replies } from "./conversation.ts";

const PLAIN = toBase64(utf8("\0alice\0secret"));
const WRONG = toBase64(utf8("\0alice\0wrong"));
const LOGGED_IN = /\+OK maildrop has 3 messages \([0-9]+ octets\)\r\n$/;

// ---------------------------------------------------------------- USER and PASS, RFC 1939 7

Deno.test("USER and PASS log in", () => {
  const { events, output } = converse("user alice \r\npass secret\r\n");
  assertEquals(events, [{ kind: "login", user: "alice", password: "secret" }]);
  assertMatch(output, LOGGED_IN);
});

Deno.test("PASS takes the rest of the line with its spaces", () => {
  const { events } = converse("USER alice\r\nPASS  two words \r\n");
  assertEquals(events[0], { kind: "login", user: "alice", password: " two words " });
});

Deno.test("PASS needs USER, and each USER serves one PASS", () => {
  assertEquals(replies("PASS secret\r\n"), "-ERR send USER first\r\n");
  assertEquals(
    replies("USER alice\r\nPASS wrong\r\nPASS secret\r\n"),
    "+OK send PASS\r\n-ERR [AUTH] wrong\r\n-ERR send USER first\r\n",
  );
  assertEquals(
    replies("USER\r\nUSER \x01\r\nUSER a\r\nPASS\r\n").split("\r\n").map((line) => line.slice(0, 22)),
    [
      "-ERR USER wants a name",
      "-ERR USER wants a name",
      "+OK send PASS",
      "-ERR PASS wants a pass",
      "",
    ],
  );
});

Deno.test("USER and PASS are UTF-8", () => {
  const { events } = converse("UTF8\r\nUSER josé\r\nPASS gehöim\r\n");
  assertEquals(events[0], { kind: "login", user: "josé", password: "gehöim" });
  const latin = hold({ pieces: [[Uint8Array.from([...utf8("USER a\r\nPASS "), 0xe9, 13, 10])]] });
  assert(latin.output.endsWith("-ERR the text is not valid UTF-8\r\n"));
});

Deno.test("failed log-ins end the session after the attempts allowed", () => {
  const { output, end } = converse("USER a\r\nPASS x\r\n".repeat(4));
  assertEquals(output.match(/-ERR \[AUTH\] wrong/g)!.length, 3);
  assertEquals(end, "closed");
  const mixed = converse(`USER a\r\nPASS x\r\nAUTH PLAIN ${WRONG}\r\nAUTH PLAIN\r\n${WRONG}\r\nNOOP\r\n`);
  assertEquals(mixed.end, "closed");
});

Deno.test("refuse() names the code and does not count a maildrop in use", () => {
  const { output, end } = converse("USER busy\r\nPASS x\r\n".repeat(6) + "USER alice\r\nPASS secret\r\n");
  assertEquals(output.match(/-ERR \[IN-USE\] another session has this maildrop open\r\n/g)!.length, 6);
  assertMatch(output, LOGGED_IN);
  assertEquals(end, "open");
});

Deno.test("refuse() keeps line ends and brackets out of the reply", () => {
  const refused = (code: "SYS/PERM" | undefined, text: string) =>
    replies("USER a\r\nPASS b\r\n", {
      intercept(event, session) {
        if (event.kind !== "login") return undefined;
        session.refuse(code, text);
        return "answered";
      },
    }).replace("+OK send PASS\r\n", "");
  assertEquals(refused(undefined, "[AUTH] forged\r\n+OK\r\n"), "-ERR (AUTH] forged +OK\r\n");
  assertEquals(refused("SYS/PERM", "naïve"), "-ERR [SYS/PERM] na?ve\r\n");
  assert(refused("SYS/PERM", "x".repeat(5000)).length <= 512);
  assert(refused("SYS/PERM", "日".repeat(5000)).length <= 512);
});

Deno.test("clear-text log-in waits for STLS", () => {
  const refusal = "-ERR a password is not taken in clear text here; use STLS first\r\n";
  const settings = { login: "tls-only" } as const;
  assertEquals(replies("USER a\r\nPASS secret\r\n", { settings }), refusal.repeat(2));
  assertEquals(replies(`AUTH PLAIN ${PLAIN}\r\nAUTH LOGIN\r\n`, { settings }), refusal.repeat(2));
  assertMatch(converse("USER a\r\nPASS secret\r\n", { settings, tls: "TLSv1.3" }).output, LOGGED_IN);
  assertMatch(converse(["STLS\r\n", "USER a\r\nPASS secret\r\n"], { settings }).output, LOGGED_IN);
  const scram = converse("AUTH SCRAM-SHA-256\r\n", { settings });
  assertEquals(scram.events, [{ kind: "auth", mechanism: "SCRAM-SHA-256" }]);
});

// ---------------------------------------------------------------- STLS, RFC 2595 4

Deno.test("STLS begins the session anew under TLS", () => {
  const { events, output } = converse(["USER alice\r\nLANG de\r\nSTLS\r\n", "PASS secret\r\nSTLS\r\n"]);
  assertEquals(events, [{ kind: "stls" }]);
  assert(output.endsWith("\r\n-ERR send USER first\r\n-ERR TLS is active already\r\n"));
});

Deno.test("STLS drops what was pipelined behind it in the clear (CVE-2011-0411)", () => {
  const { events, output } = converse(["STLS\r\nUSER mallory\r\nPASS secret\r\n", "STAT\r\n"]);
  assertEquals(events, [{ kind: "stls" }]);
  assert(output.endsWith("+OK begin TLS negotiation now\r\n-ERR STAT is only possible after log-in\r\n"));
});

Deno.test("STLS drops half a command that came in the clear", () => {
  const { output } = converse(["STLS\r\nUSER mal", "lory\r\nUSER alice\r\nPASS secret\r\n"]);
  assertMatch(output, /-ERR unknown command[^\r]*\r\n\+OK send PASS\r\n\+OK maildrop has 3/);
});

Deno.test("STLS is refused where it can't be done", () => {
  assertEquals(replies("STLS\r\n", { settings: { stls: "none" } }), "-ERR TLS is not offered here\r\n");
  assertEquals(replies("STLS\r\n", { tls: "TLSv1.3" }), "-ERR TLS is active already\r\n");
  assertEquals(replies("STLS x\r\n"), "-ERR STLS takes no argument\r\n");
  assertEquals(
    replies("UTF8\r\nSTLS\r\n"),
    "+OK UTF-8 is enabled\r\n-ERR STLS is not possible after UTF8; send STLS first\r\n",
  );
});

// ---------------------------------------------------------------- AUTH, RFC 5034

Deno.test("AUTH takes an initial response", () => {
  const { events, output } = converse(`AUTH plain ${PLAIN}\r\n`);
  assertEquals(events, [{
    kind: "auth",
    mechanism: "PLAIN",
    initial: new Uint8Array(utf8("\0alice\0secret")),
  }]);
  assertMatch(output, LOGGED_IN);
});

Deno.test("AUTH takes an empty initial response", () => {
  const { events } = converse("AUTH PLAIN =\r\n");
  assertEquals(events[0], { kind: "auth", mechanism: "PLAIN", initial: new Uint8Array(0) });
});

Deno.test("AUTH goes on by challenge and response", () => {
  const { events, output } = converse(`AUTH PLAIN\r\n${PLAIN}\r\nSTAT\r\n`);
  assertEquals(events.map((event) => event.kind), ["auth", "auth-response"]);
  assert(output.includes("\r\n+ \r\n+OK maildrop has 3 messages"));
  assert(converse("AUTH LOGIN\r\n").output.endsWith("\r\n+ VXNlcm5hbWU6\r\n"));
  const empty = converse("AUTH PLAIN\r\n\r\n");
  assertEquals(empty.events[1], { kind: "auth-response", response: new Uint8Array(0) });
});

Deno.test("AUTH is cancelled by * and goes back to commands", () => {
  const { events, output } = converse("AUTH PLAIN\r\n*\r\nUSER alice\r\nPASS secret\r\n");
  assertEquals(events[1], { kind: "auth-response", response: "cancel" });
  assertMatch(output, /\+ \r\n-ERR authentication cancelled\r\n\+OK send PASS\r\n\+OK maildrop/);
});

Deno.test("AUTH is broken off by a response that is not base64, too long or badly ended", () => {
  const refusal = (line: string) => replies(`AUTH PLAIN\r\n${line}NOOP x\r\n`).split("\r\n")[1];
  assertEquals(refusal("not base64\r\n"), "-ERR the response is not valid base64");
  assertEquals(refusal("YQ=\r\n"), "-ERR the response is not valid base64");
  assertEquals(refusal(`${PLAIN}\n`), "-ERR the line ends with LF alone; end lines with CR LF");
  assertEquals(refusal(`${"A".repeat(20_000)}\r\n`), "-ERR the line is longer than 12288 octets");
});

Deno.test("a response may be longer than a command", () => {
  const long = "\0alice\0" + "x".repeat(9000);
  const { events } = converse(`AUTH PLAIN\r\n${toBase64(utf8(long))}\r\n`);
  assertEquals(events[1], { kind: "auth-response", response: new Uint8Array(utf8(long)) });
});

Deno.test("AUTH alone lists the mechanisms that may be used", () => {
  assertEquals(replies("AUTH\r\n"), "+OK mechanism list follows\r\nSCRAM-SHA-256\r\nPLAIN\r\nLOGIN\r\n.\r\n");
  assertEquals(
    replies("AUTH\r\n", { settings: { login: "tls-only" } }),
    "+OK mechanism list follows\r\nSCRAM-SHA-256\r\n.\r\n",
  );
});

Deno.test("AUTH refuses mechanisms that are unknown or misspelt", () => {
  assertEquals(
    replies("AUTH CRAM-MD5\r\nAUTH PL?AIN\r\nAUTH PLAIN *\r\n"),
    "-ERR this mechanism is not offered; AUTH alone lists those that are\r\n" +
      "-ERR AUTH wants a mechanism, like AUTH PLAIN\r\n-ERR the response is not valid base64\r\n",
  );
});
