import { assertEquals } from "@std/assert";
import * as replies from "../../../src/smtp/replies.ts";
import { both, codes, EHLO, ENVELOPE, kinds, lines } from "./harness.ts";

/** The replies after those to EHLO and the envelope. */
const after = (client: string, options = {}) => codes(both(EHLO + ENVELOPE + client, options)).slice(3);

Deno.test("BDAT takes chunks and stores the message at the last one (RFC 3030 4.1)", () => {
  const transcript = both(
    EHLO + ENVELOPE + "BDAT 8\r\nNOOP\r\n.\nBDAT 0\r\nbdat 4 last\r\n\n.\r\n" + ENVELOPE,
    {
      settings: { bareNewline: "repair" },
    },
  );
  assertEquals(transcript.contents, ["NOOP\r\n.\r\n\r\n.\r\n"]);
  assertEquals(kinds(transcript), ["mail", "rcpt", "data", "data-end", "mail", "rcpt"]);
  assertEquals(lines(transcript).slice(-5), [
    "250 2.0.0 8 octets received",
    "250 2.0.0 0 octets received",
    "250 2.0.0 Accepted as id",
    "250 2.1.0 Sender OK",
    "250 2.1.5 Recipient OK",
  ]);
});

Deno.test("BDAT takes dots as they are and any octet", () => {
  const transcript = both(EHLO + ENVELOPE + "BDAT 12 LAST\r\n..\r\n.\r\n\0\xff\r\n.NOOP\r\n");
  assertEquals(transcript.contents, ["..\r\n.\r\n\0\xff\r\n."]);
  assertEquals(codes(transcript).slice(3), ["250 2.0.0", "250 2.0.0"]);
});

Deno.test("BDAT 0 LAST ends a message", () => {
  const transcript = both(EHLO + ENVELOPE + "BDAT 3\r\na\r\nBDAT 0 LAST\r\n");
  assertEquals(transcript.events.at(-1), { kind: "data-end", octets: 3, problem: undefined });
  assertEquals(after("BDAT 0 LAST\r\n"), ["250 2.0.0"]);
});

Deno.test("a CRLF may fall on either side of a chunk's edge", () => {
  const transcript = both(EHLO + ENVELOPE + "BDAT 2\r\na\rBDAT 2 LAST\r\n\nb");
  assertEquals(codes(transcript).slice(3), ["250 2.0.0", "250 2.0.0"]);
  assertEquals(transcript.contents, ["a\r\nb"]);
});

Deno.test("a bare newline at a chunk's edge is refused, where it shows", () => {
  assertEquals(after("BDAT 2\r\na\rBDAT 1 LAST\r\nbNOOP\r\n"), ["250 2.0.0", "550 5.6.0", "250 2.0.0"]);
  assertEquals(after("BDAT 2 LAST\r\na\rNOOP\r\n"), ["550 5.6.0", "250 2.0.0"]);
  assertEquals(after("BDAT 1\r\naBDAT 1 LAST\r\n\nNOOP\r\n"), ["250 2.0.0", "550 5.6.0", "250 2.0.0"]);
});

Deno.test("a problem is told at the end of its chunk, and the chunks that follow are swallowed", () => {
  const transcript = both(EHLO + ENVELOPE + "BDAT 3\r\na\nbBDAT 6\r\nQUIT\r\nBDAT 1 LAST\r\nxNOOP\r\n");
  assertEquals(codes(transcript).slice(3), ["550 5.6.0", "503 5.5.1", "503 5.5.1", "250 2.0.0"]);
  assertEquals(kinds(transcript), ["mail", "rcpt", "data", "data-end"]);
  assertEquals(after("BDAT 11 LAST\r\n0123456789aNOOP\r\n", { settings: { messageOctets: 10 } }), [
    ...["552 5.3.4", "250 2.0.0"],
  ]);
});

Deno.test("BDAT without a transaction or a valid recipient swallows its octets", () => {
  assertEquals(codes(both("BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n")), ["503 5.5.1", "250 2.0.0"]);
  assertEquals(codes(both(EHLO + "BDAT 6\r\nQUIT\r\nNOOP\r\n")).slice(1), ["503 5.5.1", "250 2.0.0"]);
  const transcript = both(
    EHLO + "MAIL FROM:<>\r\nRCPT TO:<nobody@b.c>\r\nBDAT 6\r\nQUIT\r\nRCPT TO:<b@c.d>\r\n",
  );
  // A message must not be stored without its first chunk, so the transaction is void.
  assertEquals(codes(transcript).slice(2), ["550 5.1.1", "503 5.5.1", "503 5.5.1"]);
  assertEquals(kinds(transcript), ["mail", "rcpt", "reset"]);
});

Deno.test("a first chunk that the server refuses is swallowed before the reply, and the others after it", () => {
  const transcript = both(EHLO + ENVELOPE + "BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n", {
    answer: (event) => event.kind === "data" ? replies.diskFull : undefined,
  });
  assertEquals(codes(transcript).slice(3), ["452 4.3.1", "503 5.5.1", "250 2.0.0"]);
  assertEquals(kinds(transcript), ["mail", "rcpt", "data", "reset"]);
});

Deno.test("after BDAT, DATA and MAIL and RCPT are out of order, RSET voids the message", () => {
  const transcript = both(
    EHLO + ENVELOPE + "BDAT 1\r\naDATA\r\nMAIL FROM:<>\r\nRCPT TO:<b@c.d>\r\nRSET\r\nBDAT 1 LAST\r\nb",
  );
  assertEquals(codes(transcript).slice(3), [
    ...["250 2.0.0", "503 5.5.1", "503 5.5.1", "503 5.5.1", "250 2.0.0", "503 5.5.1"],
  ]);
  assertEquals(kinds(transcript), ["mail", "rcpt", "data", "reset"]);
});

Deno.test("BDAT after the last chunk is out of order", () => {
  assertEquals(after("BDAT 1 LAST\r\naBDAT 1 LAST\r\nbNOOP\r\n"), ["250 2.0.0", "503 5.5.1", "250 2.0.0"]);
});

Deno.test("BDAT whose size can't be told ends the session, since its octets might be taken for commands", () => {
  for (const argument of ["", " x", " -1", " 1 FIRST", " 1 LAST x", " 9999999999999999"]) {
    const transcript = both(EHLO + ENVELOPE + `BDAT${argument}\r\nNOOP\r\n`);
    assertEquals(codes(transcript).slice(3), ["501 5.5.4"], argument);
    assertEquals(kinds(transcript).slice(-2), ["reset", "close"]);
  }
});
