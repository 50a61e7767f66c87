import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { concat, fromLatin1, utf8 } from "../../../src/base/bytes.ts";
import { HEADER_OCTETS } from "../../../src/base/limits.ts";
import { HeaderScanner } from "../../../src/mime/header_scanner.ts";
import { fieldValue, fieldValues, parseHeader } from "../../../src/mime/header.ts";

function scan(bytes: Uint8Array, step = bytes.length || 1): HeaderScanner {
  const scanner = new HeaderScanner();
  for (let i = 0; i < bytes.length; i += step) {
    // A copy that is spoilt afterwards: the scanner may keep no view.
    const piece = Uint8Array.from(bytes.subarray(i, i + step));
    scanner.push(piece);
    piece.fill(0);
  }
  return scanner;
}

const MESSAGE = utf8(
  "Received: from a by b; Mon, 5 Jan 2026 09:00:00 +0000\r\n" +
    "RECEIVED : from c\r\n\tby d; date\r\n" +
    "Subject: two\r\n  lines, é\r\n" +
    "from: Alice <alice@example.org>\r\nFrom: second@example.org\r\n" +
    "Message-Id:\r\n <id-1@example.org>\r\n" +
    "X-Received: no\r\nDate: today\r\n" +
    "\r\nSender: body@example.org\r\nReceived: body\r\n",
);

for (const [name, step] of [["whole", undefined], ["byte by byte", 1]] as const) {
  Deno.test(`HeaderScanner finds fields, folded or not, in any case, ${name}`, () => {
    const scanner = scan(MESSAGE, step);
    assertEquals(scanner.done, true);
    assertEquals(scanner.receivedCount, 2);
    assertEquals(scanner.messageId, "id-1@example.org");
    assertEquals(scanner.value("subject"), "two  lines, é");
    assertEquals(scanner.value("from"), "Alice <alice@example.org>");
    assertEquals(scanner.count("from"), 2);
    assertEquals(scanner.has("date"), true);
    assertEquals(scanner.has("sender"), false);
    assertEquals(scanner.value("sender"), "");
    assertEquals(scanner.headerOctets, new TextDecoder().decode(MESSAGE).indexOf("Sender:") + 1);
  });

  Deno.test(`HeaderScanner ends at the first line that is no field, ${name}`, () => {
    const scanner = scan(utf8("Subject: x\r\nHello there\r\nReceived: no\r\n"), step);
    assertEquals([scanner.done, scanner.receivedCount, scanner.headerOctets], [true, 0, 12]);
  });

  Deno.test(`HeaderScanner takes a header without a body when told that it ends, ${name}`, () => {
    const scanner = scan(utf8("Date: x\r\nMessage-ID: <a@b>"), step);
    assertEquals([scanner.done, scanner.messageId], [false, ""]);
    scanner.end();
    assertEquals([scanner.done, scanner.messageId], [true, "a@b"]);
  });

  Deno.test(`HeaderScanner passes over an mbox separator, but only as the first line, ${name}`, () => {
    const scanner = scan(utf8("From alice Mon Jan  5 09:00:00 2026\r\nDate: x\r\n\r\n"), step);
    assertEquals([scanner.has("date"), scanner.mboxLineOctets, scanner.has("from")], [true, 37, false]);
    const second = scan(utf8("Date: x\r\nFrom alice Mon Jan\r\nReceived: y\r\n\r\n"), step);
    assertEquals([second.has("received"), second.headerOctets], [false, 9]);
  });

  Deno.test(`HeaderScanner doesn't stop at an 8-bit field name, ${name}`, () => {
    const scanner = scan(fromLatin1("\xdcberschrift: x\r\nDate: y\r\n\r\n"), step);
    assertEquals(scanner.has("date"), true);
  });

  Deno.test(`HeaderScanner looks at HEADER_OCTETS and no further, ${name}`, () => {
    const filler = utf8(`X: ${"x".repeat(70)}\r\n`.repeat(HEADER_OCTETS / 75 - 1));
    const scanner = scan(concat([filler, utf8("Date: x\r\n"), filler, utf8("Received: late\r\n\r\n")]), step);
    assertEquals([scanner.done, scanner.has("date"), scanner.receivedCount], [true, true, 0]);
    assertEquals(scanner.headerOctets, HEADER_OCTETS);
  });
}

Deno.test("HeaderScanner.messageId is one clean line, without brackets, of bounded length", () => {
  const id = (value: string) => {
    const scanner = scan(utf8(`Message-ID:${value}\r\n\r\n`));
    return scanner.messageId;
  };
  assertEquals(id(" <a@b> (comment)"), "a@b");
  assertEquals(id(" plain@b "), "plain@b");
  assertEquals(id(" <a\x1b[31m\x00@b>"), "a [31m @b");
  assertEquals(id(" <open@b"), "<open@b");
  assertEquals(id(""), "");
  assertEquals(id(` <${"x".repeat(5000)}>`).length, 998);
});

Deno.test("HeaderScanner finds what parseHeader() finds, however the octets are cut", () => {
  const line = fc.constantFrom(
    "Received: x",
    "received:y",
    "From: a@b",
    "From alice",
    "Subject: s",
    "Subject",
    " folded",
    "\tfolded: too",
    "",
    "Date : d",
    ": nothing",
    "\xe9: x",
    "Message-ID: <i>",
    "a b: c",
    "\rReceived: z",
    "\0: x",
  );
  const ending = fc.constantFrom("\r\n", "\r\n", "\n", "", "\r");
  const message = fc.array(fc.tuple(line, ending), { maxLength: 8 })
    .map((lines) => fromLatin1(lines.map((each) => each.join("")).join("")));
  fc.assert(
    fc.property(message, fc.integer({ min: 1, max: 20 }), (message, step) => {
      const scanner = scan(message, step);
      scanner.end();
      const header = parseHeader(message);
      assertEquals(scanner.headerOctets, header.bodyOffset);
      for (const name of ["received", "date", "from", "subject", "message-id"] as const) {
        assertEquals(scanner.count(name), fieldValues(header, name).length, name);
      }
      assertEquals(scanner.value("subject"), fieldValue(header, "subject") ?? "");
    }),
    { numRuns: 2000 },
  );
});

Deno.test("HeaderScanner never fails on any octets", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
    const scanner = scan(bytes, 7);
    scanner.end();
    assertEquals(scanner.headerOctets <= bytes.length, true);
    return typeof scanner.messageId === "string";
  }));
});
