import { assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import * as replies from "../../../src/smtp/replies.ts";
import { both, codes, EHLO, ENVELOPE, kinds, lines, type TalkOptions } from "./harness.ts";

const base64 = (text: string) => Buffer.from(text, "latin1").toString("base64");
const GOOD = base64("\0alice\0secret");
const ALWAYS: TalkOptions = { settings: { auth: "always" } };
const SUBMISSION: TalkOptions = { settings: { role: "submission" } };

Deno.test("AUTH with an initial response authenticates, once a session", () => {
  const transcript = both(EHLO + `auth plain ${GOOD}\r\nAUTH PLAIN ${GOOD}\r\n` + EHLO, ALWAYS);
  assertEquals(codes(transcript), ["250", "235 2.7.0", "503 5.5.1", "250"]);
  assertEquals(transcript.session.identity, "alice");
  assertEquals(lines(transcript).filter((line) => line.includes("AUTH ")), [
    "250-AUTH PLAIN LOGIN SCRAM-SHA-256",
  ]);
});

Deno.test("AUTH without one is challenged; the response is an event", () => {
  const transcript = both(EHLO + `AUTH PLAIN\r\n${GOOD}\r\nNOOP\r\n`, ALWAYS);
  assertEquals(lines(transcript).slice(-3), [
    `334 ${base64("more")}`,
    "235 2.7.0 Authentication succeeded",
    "250 2.0.0 OK",
  ]);
  assertEquals(kinds(transcript), ["auth", "auth-response"]);
});

Deno.test("AUTH tells an empty initial response, =, from none, and an empty response is one", () => {
  const transcript = both(EHLO + "AUTH PLAIN =\r\nAUTH PLAIN\r\n\r\n", ALWAYS);
  assertEquals(transcript.events, [
    { kind: "auth", mechanism: "PLAIN", initial: new Uint8Array(0) },
    { kind: "auth", mechanism: "PLAIN", initial: undefined },
    { kind: "auth-response", response: new Uint8Array(0) },
  ]);
});

Deno.test("a refused AUTH can be tried again", () => {
  const transcript = both(EHLO + `AUTH PLAIN ${base64("\0alice\0wrong")}\r\nAUTH PLAIN ${GOOD}\r\n`, ALWAYS);
  assertEquals(codes(transcript), ["250", "535 5.7.8", "235 2.7.0"]);
});

Deno.test("* cancels with 501, whatever the server answers", () => {
  const transcript = both(EHLO + "AUTH LOGIN\r\n*\r\nNOOP\r\n", ALWAYS);
  assertEquals(codes(transcript).slice(2), ["501 5.7.0", "250 2.0.0"]);
  assertEquals(transcript.events.at(-1), { kind: "auth-response", response: "cancel" });
});

Deno.test("a response that isn't base64 ends the exchange", () => {
  for (const bad of ["?", "AAA", "A===", "AA AA", "\xff\xff\xff\xff"]) {
    assertEquals(codes(both(EHLO + `AUTH PLAIN\r\n${bad}\r\nNOOP\r\n`, ALWAYS)).slice(2), [
      "501 5.5.2",
      "250 2.0.0",
    ]);
  }
  assertEquals(codes(both(EHLO + "AUTH PLAIN *\r\nAUTH PLAIN AAA\r\n", ALWAYS)).slice(1), [
    "501 5.5.2",
    "501 5.5.2",
  ]);
  assertEquals(codes(both(EHLO + `AUTH PLAIN\r\n${GOOD}\nNOOP\r\n`, ALWAYS)).slice(2), [
    "501 5.5.2",
    "250 2.0.0",
  ]);
});

Deno.test("a response may be 12288 octets long and no longer", () => {
  const longest = "A".repeat(12_284);
  assertEquals(codes(both(EHLO + `AUTH PLAIN\r\n${longest}\r\n`, ALWAYS)).slice(2), ["535 5.7.8"]);
  assertEquals(codes(both(EHLO + `AUTH PLAIN\r\n${longest}AAAA\r\nNOOP\r\n`, ALWAYS)).slice(2), [
    ...["500 5.5.6", "250 2.0.0"],
  ]);
});

Deno.test("AUTH is refused where it can't be used", () => {
  assertEquals(codes(both(EHLO + "AUTH PLAIN\r\n")).at(-1), "538 5.7.11");
  assertEquals(codes(both(EHLO + "AUTH CRAM-MD5\r\n", ALWAYS)).at(-1), "504 5.5.4");
  assertEquals(codes(both(EHLO + "AUTH PLAIN\r\n", { settings: { auth: "never" } })).at(-1), "502 5.5.1");
  assertEquals(codes(both(EHLO + "AUTH !\r\n", ALWAYS)).at(-1), "501 5.5.4");
  assertEquals(codes(both(EHLO + "AUTH PLAIN A B\r\n", ALWAYS)).at(-1), "501 5.5.4");
  assertEquals(codes(both(EHLO + ENVELOPE + "AUTH PLAIN\r\n", ALWAYS)).at(-1), "503 5.5.1");
  assertEquals(codes(both("AUTH PLAIN\r\n", ALWAYS)).at(-1), "503 5.5.1");
});

Deno.test("a submission server wants TLS, then AUTH, before anything else", () => {
  const client = EHLO + "MAIL FROM:<>\r\nVRFY x\r\nEXPN x\r\nNOOP\r\n";
  const transcript = both(client, SUBMISSION);
  assertEquals(codes(transcript).slice(1), ["530 5.7.0", "530 5.7.0", "530 5.7.0", "250 2.0.0"]);
  assertEquals(lines(transcript).at(-2), "530 5.7.0 Must issue a STARTTLS command first");
  assertEquals(lines(both(client, { ...SUBMISSION, tls: "x" })).at(-2), "530 5.7.0 Authentication required");
  assertEquals(kinds(transcript), []);
  assertEquals(
    codes(both(EHLO + `AUTH PLAIN ${GOOD}\r\n` + ENVELOPE, { ...SUBMISSION, tls: "x" })).slice(1),
    ["235 2.7.0", "250 2.1.0", "250 2.1.5"],
  );
});

Deno.test("a temporary failure of the server's is passed on", () => {
  const transcript = both(EHLO + `AUTH PLAIN ${GOOD}\r\n`, {
    ...ALWAYS,
    answer: (event) => event.kind === "auth" ? replies.authTemporary : undefined,
  });
  assertEquals(codes(transcript).at(-1), "454 4.7.0");
});

Deno.test("STARTTLS begins the session anew", () => {
  const transcript = both([EHLO + "STARTTLS\r\n", ENVELOPE + EHLO + "STARTTLS\r\n"]);
  assertEquals(codes(transcript), ["250", "220 2.0.0", "503 5.5.1", "503 5.5.1", "250", "503 5.5.1"]);
  assertEquals(lines(transcript).filter((line) => /STARTTLS$/.test(line)).length, 1);
  assertEquals([transcript.session.tls, transcript.session.helo], ["TLSv1.3", "client.example"]);
});

Deno.test("STARTTLS forgets who had authenticated and what was said", () => {
  const { session } = both(EHLO + `AUTH PLAIN ${GOOD}\r\nSTARTTLS\r\n`, ALWAYS);
  assertEquals([session.identity, session.helo, session.esmtp, session.state], [
    undefined,
    "",
    "no",
    "greeted",
  ]);
});

Deno.test("a command injected behind STARTTLS is dropped (RFC 3207 4.2, CVE-2011-0411)", () => {
  for (const injected of ["NOOP\r\n", EHLO + ENVELOPE, "RSE", "\n"]) {
    const transcript = both([EHLO + "STARTTLS\r\n" + injected, "NOOP\r\n"]);
    assertEquals(codes(transcript), ["250", "220 2.0.0", "250 2.0.0"]);
    assertEquals(kinds(transcript), ["starttls"]);
  }
});

Deno.test("STARTTLS is refused where it can't be used", () => {
  assertEquals(codes(both(EHLO + "STARTTLS\r\n", { settings: { starttls: "none" } })).at(-1), "454 4.7.0");
  assertEquals(codes(both(EHLO + "STARTTLS\r\n", { tls: "x" })).at(-1), "503 5.5.1");
  assertEquals(codes(both(EHLO + ENVELOPE + "STARTTLS\r\n")).at(-1), "503 5.5.1");
});
