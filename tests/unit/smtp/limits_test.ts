import { assertEquals } from "@std/assert";
import { both, codes, EHLO, ENVELOPE, kinds, lines } from "./harness.ts";

Deno.test("recipients beyond the limit get 452, the others stay", () => {
  const six = "RCPT TO:<b@example.org>\r\n".repeat(6);
  const transcript = both(
    EHLO + "MAIL FROM:<>\r\n" + six + "DATA\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<b@c.d>\r\n",
  );
  assertEquals(codes(transcript).slice(6), [
    ...["250 2.1.5", "452 4.5.3", "354", "250 2.0.0", "250 2.1.0", "250 2.1.5"],
  ]);
});

Deno.test("MAIL with SIZE beyond the limit gets 552", () => {
  assertEquals(codes(both(EHLO + "MAIL FROM:<> SIZE=10001\r\nMAIL FROM:<> SIZE=10000\r\n")).slice(1), [
    ...["552 5.3.4", "250 2.1.0"],
  ]);
  assertEquals(codes(both(EHLO + `MAIL FROM:<> SIZE=${"9".repeat(20)}\r\n`)).at(-1), "552 5.3.4");
});

Deno.test("a message over the limit is read to its end and refused, and no more than the limit is given out", () => {
  const settings = { messageOctets: 10 };
  const client = EHLO + ENVELOPE + "DATA\r\n12345678\r\n9\r\n.\r\nNOOP\r\n";
  const transcript = both(client, { settings });
  assertEquals(codes(transcript).slice(3), ["354", "552 5.3.4", "250 2.0.0"]);
  assertEquals(transcript.contents, ["12345678\r\n"]);
  assertEquals(codes(both(client.replace("9\r\n", ""), { settings })).slice(3), [
    "354",
    "250 2.0.0",
    "250 2.0.0",
  ]);
});

Deno.test("errors beyond the limit get 421 and the end", () => {
  const transcript = both("FOO\r\n".repeat(3) + "NOOP\r\n" + "FOO\r\n".repeat(3), {
    settings: { errors: 5 },
  });
  assertEquals(codes(transcript), [
    ...["500 5.5.1", "500 5.5.1", "500 5.5.1", "250 2.0.0", "500 5.5.1", "500 5.5.1", "421 4.7.0"],
  ]);
  assertEquals(kinds(transcript), ["close"]);
});

Deno.test("4yz replies never count as errors", () => {
  const transcript = both(EHLO + "MAIL FROM:<>\r\n" + "RCPT TO:<full@b.c>\r\n".repeat(50), {
    settings: { errors: 2 },
  });
  assertEquals(kinds(transcript).includes("close"), false);
});

Deno.test("unknown recipients and what follows a refused MAIL are pardoned, but not for ever", () => {
  const settings = { errors: 1, recipients: 3 };
  const list = EHLO + "MAIL FROM:<>\r\n" + "RCPT TO:<nobody@b.c>\r\n".repeat(3) + "DATA\r\n";
  assertEquals(codes(both(list, { settings })).slice(2), [
    "550 5.1.1",
    "550 5.1.1",
    "550 5.1.1",
    "554 5.5.1",
  ]);
  assertEquals(codes(both(list + "DATA\r\n", { settings })).at(-1), "421 4.7.0");
  const group = EHLO + "MAIL FROM:<later@b.c>\r\n" + "RCPT TO:<b@c.d>\r\n".repeat(2) + "DATA\r\nNOOP\r\n";
  assertEquals(codes(both(group, { settings })).slice(2), [
    "503 5.5.1",
    "503 5.5.1",
    "503 5.5.1",
    "250 2.0.0",
  ]);
  const wrong = EHLO + "RCPT TO:<b@c.d>\r\n".repeat(2);
  assertEquals(codes(both(wrong, { settings })).slice(1), ["503 5.5.1", "421 4.7.0"]);
});

Deno.test("a refused message is no error of the client's", () => {
  const one = ENVELOPE + "DATA\r\na\nb\r\n.\r\n";
  assertEquals(kinds(both(EHLO + one.repeat(3), { settings: { errors: 1 } })).includes("close"), false);
});

Deno.test("the octets that wait are never more than an unfinished line", () => {
  let most = 0;
  const idle = (session: { readonly waitingOctets: number }) => most = Math.max(most, session.waitingOctets);
  both("x".repeat(3000) + "\r\n" + EHLO + ENVELOPE + "DATA\r\n" + "y".repeat(5000) + "\r\n.\r\n", { idle });
  assertEquals(most < 512, true, `${most} octets`);
  assertEquals(lines(both("x".repeat(3000))).length, 1);
});
