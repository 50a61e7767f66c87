import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import fc from "fast-check";
import { concat, fromLatin1, isAscii, latin1, utf8 } from "../../../src/base/bytes.ts";
import { compose, type ComposedMessage, type Letter, travellingAddress } from "../../../src/mime/compose.ts";
import { attachmentFields } from "../../../src/mime/format_fields.ts";
import { fieldValue, parseHeader } from "../../../src/mime/header.ts";
import { decodeEncodedWords } from "../../../src/mime/encoded_word.ts";
import { parseMailboxList } from "../../../src/mime/mailbox_list.ts";
import { readableText } from "../../../src/mime/text_body.ts";

const LETTER: Letter = {
  from: { name: "Alice Wood", address: "alice@example.org" },
  to: [{ name: "", address: "bob@example.org" }],
  cc: [],
  subject: "Lunch",
  atMs: Date.UTC(2026, 0, 5, 9),
  messageId: "06jwx6kv0g@mail.example.org",
  inReplyTo: "",
  references: [],
  priority: undefined,
  readReceiptTo: undefined,
  text: "At noon?\n",
  attachments: [],
  boundary: "=_b",
};

/** The whole message, with `kept` for what is kept elsewhere. */
function whole({ own, segments, size }: ComposedMessage, kept: Uint8Array = new Uint8Array()): Uint8Array {
  const octets = concat(
    segments.map(({ source, offset, length }) =>
      (source === undefined ? own : kept).subarray(offset, offset + length)
    ),
  );
  assertEquals(octets.length, size);
  return octets;
}

const text = (letter: Partial<Letter>) => latin1(whole(compose({ ...LETTER, ...letter })));

Deno.test("compose() makes a plain message", () => {
  assertMatch(
    text({}),
    /^Date: Mon, 5 Jan 2026 \d\d:00:00 [+-]\d{4}\r\nFrom: Alice Wood <alice@example\.org>\r\nTo: bob@example\.org\r\nSubject: Lunch\r\nMessage-ID: <06jwx6kv0g@mail\.example\.org>\r\nMIME-Version: 1\.0\r\nContent-Type: text\/plain; charset=utf-8\r\n\r\nAt noon\?\r\n$/,
  );
  assertEquals(compose(LETTER).segments.length, 1);
});

Deno.test("compose() encodes what is not ASCII, and text that is too wide", () => {
  const message = text({
    from: { name: "Jürgen", address: "j@example.org" },
    subject: "Grüße",
    text: `Schön.\n${"x".repeat(2000)}\n`,
  });
  assertEquals(isAscii(fromLatin1(message)), true);
  assertEquals(message.split("\r\n").every((line) => line.length <= 78), true);
  const header = parseHeader(fromLatin1(message));
  assertEquals(decodeEncodedWords(fieldValue(header, "subject")!), "Grüße");
  assertEquals(parseMailboxList(fieldValue(header, "from")!), [{ name: "Jürgen", address: "j@example.org" }]);
  assertEquals(readableText(fromLatin1(message)).text.trimEnd(), `Schön.\n${"x".repeat(2000)}`);
});

Deno.test("compose() encodes a text that holds NUL", () => {
  assertMatch(text({ text: "a\u0000b\n" }), /quoted-printable\r\n\r\na=00b\r\n$/);
});

Deno.test("compose() names those it goes to, and folds long lists", () => {
  const to = Array.from({ length: 20 }, (_, i) => ({ name: `User, ${i}`, address: `user${i}@example.org` }));
  const message = text({ to, cc: [{ name: 'A "B" C', address: "abc@example.org" }] });
  assertEquals(message.split("\r\n").every((line) => line.length <= 78), true);
  const header = parseHeader(fromLatin1(message));
  assertEquals(parseMailboxList(fieldValue(header, "to")!), to);
  assertEquals(parseMailboxList(fieldValue(header, "cc")!)[0]!.name, 'A "B" C');
});

Deno.test("compose() leaves out fields that say nothing", () => {
  const message = text({ to: [], subject: "" });
  assertEquals(/^(To|Cc|Bcc|Subject|In-Reply-To|References|Priority):/m.test(message), false);
});

Deno.test("compose() writes answers' ids, priority and the wish to hear that it was read", () => {
  const message = text({
    inReplyTo: "b@x.test",
    references: ["a@x.test", "b@x.test"],
    priority: "high",
    readReceiptTo: LETTER.from,
  });
  for (
    const line of [
      "In-Reply-To: <b@x.test>",
      "References: <a@x.test> <b@x.test>",
      "Priority: urgent",
      "Importance: high",
      "X-Priority: 1 (Highest)",
      "Disposition-Notification-To: Alice Wood <alice@example.org>",
    ]
  ) assertEquals(message.includes(`\r\n${line}\r\n`), true, line);
  assertMatch(
    text({ priority: "low" }),
    /\r\nPriority: non-urgent\r\nImportance: low\r\nX-Priority: 5 \(Lowest\)\r\n/,
  );
});

Deno.test("compose() attaches octets and what is kept elsewhere, exactly", () => {
  const kept = fromLatin1("0123456789");
  const composed = compose({
    ...LETTER,
    attachments: [
      {
        fields: attachmentFields({ fileName: "a.txt", type: "text/plain", encoding: "7bit" }),
        content: { source: 77, offset: 3, length: 4 },
      },
      {
        fields: attachmentFields({ fileName: "b.bin", type: "application/octet-stream", encoding: "base64" }),
        content: utf8("AAEC\r\n"),
      },
    ],
  });
  assertEquals(composed.segments.map(({ source }) => source), [undefined, 77, undefined]);
  const message = latin1(whole(composed, kept));
  assertEquals(message.includes("\r\n\r\n3456\r\n--=_b\r\n"), true);
  assertEquals(message.endsWith("AAEC\r\n\r\n--=_b--\r\n"), true);
  const read = readableText(fromLatin1(message));
  assertEquals(read.text.trimEnd(), "At noon?");
  assertEquals(read.attachments.map(({ name }) => name), ["a.txt", "b.bin"]);
});

Deno.test("compose() refuses a boundary that occurs in a part", () => {
  const attachments = [{ fields: "", content: utf8("--=_b") }];
  assertThrows(() => compose({ ...LETTER, attachments }), RangeError, "occurs in a part");
});

Deno.test("compose() says when its header needs SMTPUTF8", () => {
  assertEquals(compose({ ...LETTER, subject: "Grüße", text: "ü" }).smtpUtf8, false);
  assertEquals(compose({ ...LETTER, to: [{ name: "", address: "jürgen@example.org" }] }).smtpUtf8, true);
});

Deno.test("travellingAddress() writes domains in ASCII where that helps", () => {
  assertEquals(travellingAddress("bob@grüße.example"), "bob@xn--gre-6ka8l.example");
  assertEquals(travellingAddress("jürgen@grüße.example"), "jürgen@grüße.example");
  assertEquals(travellingAddress('"b l"@Example.org'), '"b l"@Example.org');
});

Deno.test("compose() lets no value begin a field or end the header", () => {
  const unit = fc.constantFrom(
    "a",
    " ",
    ":",
    "\r",
    "\n",
    "\r\n",
    "\t",
    "\0",
    "\u0085",
    "\u2028",
    "ü",
    "📧",
    "\ud800",
    '"',
    "\\",
    "<",
    "=?",
  );
  const any = fc.array(unit, { maxLength: 60 }).map((units) => units.join(""));
  fc.assert(fc.property(any, any, any, (subject, name, body) => {
    const message = whole(
      compose({ ...LETTER, subject, from: { name, address: "a@example.org" }, text: body }),
    );
    const header = parseHeader(message);
    const names = header.fields.map((field) => field.name);
    const expected = ["Date", "From", "To", "Subject", "Message-ID", "MIME-Version", "Content-Type"];
    assertEquals(
      names.filter((each) => each !== "Subject" && each !== "Content-Transfer-Encoding"),
      expected.filter((each) => each !== "Subject"),
    );
    assertEquals(latin1(message).replaceAll("\r\n", "").includes("\n"), false);
  }));
});
