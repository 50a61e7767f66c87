import { assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import { utf8 } from "../../../src/base/bytes.ts";
import type { Origin } from "../../../src/mail/envelope.ts";
import { formatMessageKey } from "../../../src/mail/message_id.ts";
import { fieldValue, parseHeader } from "../../../src/mime/header.ts";
import { dateField, messageIdField, receivedField, returnPathField } from "../../../src/mime/trace.ts";

const KEY = 123456789;
const AT_MS = Date.UTC(2026, 0, 5, 9, 0, 0);

function received(origin: Partial<Origin>, recipient?: string): string {
  const whole = { client: "192.0.2.7", helo: "pc.example.org", transmission: "ESMTP", ...origin } as const;
  return receivedField({ origin: whole, by: "mx.example.org", key: KEY, recipient, atMs: AT_MS });
}

const unfolded = (field: string) => fieldValue(parseHeader(utf8(field)), "received")!.replace(/\s+/g, " ");

Deno.test("receivedField() has the clauses of RFC 5321 4.4 in order", () => {
  const field = received(
    { transmission: "ESMTPSA", tls: "TLSv1.3 TLS_AES_256_GCM_SHA384", account: "alice" },
    "bob@example.org",
  );
  assertMatch(
    unfolded(field),
    /^from pc\.example\.org \(\[192\.0\.2\.7\]\) \(using TLSv1\.3 TLS_AES_256_GCM_SHA384\) by mx\.example\.org with ESMTPSA id [0-9a-z]{10} for <bob@example\.org>; Mon, 5 Jan 2026 /,
  );
  assertEquals(unfolded(field).includes(`id ${formatMessageKey(KEY)} `), true);
  assertEquals(field.includes("alice"), false, "the account is not named");
});

Deno.test("receivedField() without TLS and recipient leaves their clauses out", () => {
  assertMatch(
    unfolded(received({ transmission: "SMTP" })),
    /^from pc\.example\.org \(\[192\.0\.2\.7\]\) by mx\.example\.org with SMTP id [0-9a-z]{10}; Mon, 5 Jan 2026 \d\d:\d\d:\d\d [+-]\d{4}$/,
  );
});

Deno.test("receivedField() writes the client as an address literal (RFC 5321 4.1.3)", () => {
  const client = (client: string) => unfolded(received({ client })).split(" ")[2];
  assertEquals(client("2001:db8::1"), "([IPv6:2001:db8::1])");
  assertEquals(client("::ffff:192.0.2.7"), "([192.0.2.7])");
  assertEquals(client("fe80::1%eth0"), "([IPv6:fe80::1])");
  assertEquals(client(""), "by");
  assertEquals(client("evil) by x\r\n"), "by");
});

Deno.test("receivedField() keeps a HELO literal and marks what can't stand in a name", () => {
  const helo = (helo: string, origin: Partial<Origin> = {}) =>
    unfolded(received({ helo, ...origin })).split(" ")[1];
  assertEquals(helo("[192.0.2.7]"), "[192.0.2.7]");
  assertEquals(helo("MY_PC"), "MY_PC");
  assertEquals(helo("a (b) \r\nX: y"), "a??b????X:?y");
  assertEquals(helo(""), "unknown");
  assertEquals(helo("bücher.example"), "b?cher.example");
  assertEquals(helo("bücher.example", { transmission: "UTF8SMTPS" }), "bücher.example");
});

Deno.test("receivedField() names no recipient that isn't an address, or that needs UTF-8 without SMTPUTF8", () => {
  assertEquals(received({}, "x> by evil").includes("for"), false);
  assertEquals(received({}, "é@example.org").includes("for"), false);
  assertMatch(unfolded(received({ transmission: "UTF8SMTP" }, "é@example.org")), / for <é@example\.org>; /);
  assertMatch(unfolded(received({}, '"a b"@example.org')), / for <"a b"@example\.org>; /);
  assertMatch(unfolded(received({}, "Postmaster")), / for <postmaster>; /);
});

Deno.test("receivedField() is one field of printable characters, folded, whatever the client said", () => {
  const evil = fc.string({
    unit: fc.constantFrom(...'ab.()\\"<>;:[]\r\n\0\t é\u0085\u2028\ud800日'),
    maxLength: 300,
  });
  const transmission = fc.constantFrom("ESMTPS", "UTF8SMTPS") as fc.Arbitrary<Origin["transmission"]>;
  fc.assert(
    fc.property(evil, evil, evil, evil, transmission, (helo, client, tls, recipient, transmission) => {
      const field = received({ helo, client, tls, transmission }, recipient);
      const lines = field.split("\r\n");
      assertEquals(lines.pop(), "");
      assertMatch(lines[0]!, /^Received:/);
      for (const line of lines.slice(1)) assertMatch(line, /^\t/);
      for (const line of lines) {
        // deno-lint-ignore no-control-regex -- control characters are what must not be there
        assertEquals(/[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u2028\ud800-\udfff]/u.test(line), false, line);
        if (transmission === "ESMTPS") assertMatch(line, /^[\t\x20-\x7e]*$/);
      }
      assertEquals(parseHeader(utf8(field)).fields.length, 1);
      // The clauses stay where they belong: comments closed, and one semicolon in front of the date outside quotes.
      const comments = field.replace(/for <[^]*>;/, ";");
      assertEquals(comments.split("(").length, comments.split(")").length);
      assertMatch(
        unfolded(field),
        / by mx\.example\.org with (ESMTPS|UTF8SMTPS) id [0-9a-z]{10}( for <.*>)?; Mon, 5 Jan/,
      );
    }),
    { numRuns: 500 },
  );
});

Deno.test("receivedField() lines are 78 octets at most with names of usual length", () => {
  const field = received(
    {
      transmission: "ESMTPSA",
      client: "2001:db8:1234:5678:9abc:def0:1234:5678",
      tls: "TLSv1.3 TLS_AES_256_GCM_SHA384",
    },
    "somebody.with.a.long.name@department.example.org",
  );
  for (const line of field.split("\r\n")) assertEquals(line.length <= 78, true, line);
});

Deno.test("returnPathField() writes the path in brackets, empty for the null reverse-path", () => {
  assertEquals(returnPathField("a@example.org"), "Return-Path: <a@example.org>\r\n");
  assertEquals(returnPathField('"a b"@example.org'), 'Return-Path: <"a b"@example.org>\r\n');
  assertEquals(returnPathField(""), "Return-Path: <>\r\n");
  assertEquals(returnPathField("a@b>\r\nX: <y"), "Return-Path: <a@bX:y>\r\n");
});

Deno.test("messageIdField() and dateField() are whole fields", () => {
  assertEquals(
    messageIdField(KEY, "mx.example.org"),
    `Message-ID: <${formatMessageKey(KEY)}@mx.example.org>\r\n`,
  );
  assertEquals(messageIdField(KEY, "m\r\nx"), `Message-ID: <${formatMessageKey(KEY)}@m??x>\r\n`);
  assertMatch(dateField(AT_MS), /^Date: (Sun|Mon|Tue), \d Jan 2026 \d\d:\d\d:\d\d [+-]\d{4}\r\n$/);
});
