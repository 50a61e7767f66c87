import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { concat, fromLatin1, utf8 } from "../../../src/base/bytes.ts";
import { attachmentsIn, readableText } from "../../../src/mime/text_body.ts";
import { scan } from "./structure_invariants.ts";

const read = (...lines: string[]) => readableText(utf8(lines.join("\r\n")));

Deno.test("readableText() takes a plain message, decoded", () => {
  assertEquals(read("Subject: x", "", "Hello", "there", ""), {
    text: "Hello\nthere",
    attachments: [],
    truncated: false,
  });
  const qp = read(
    "Content-Type: text/plain; charset=iso-8859-1",
    "Content-Transfer-Encoding: quoted-printable",
    "",
    "caf=E9",
  );
  assertEquals(qp.text, "café");
  const base64 = read(
    "Content-Type: text/plain; charset=utf-8",
    "Content-Transfer-Encoding: base64",
    "",
    "w6k=",
  );
  assertEquals(base64.text, "é");
  assertEquals(readableText(fromLatin1("\r\ncaf\xe9")).text, "café");
});

Deno.test("readableText() prefers plain text of alternatives, wherever it stands", () => {
  const plain = ["--b", "Content-Type: text/plain", "", "plain", ""];
  const html = ["--b", "Content-Type: text/html", "", "<p>html</p>", ""];
  const head = ["Content-Type: multipart/alternative; boundary=b", ""];
  assertEquals(read(...head, ...plain, ...html, "--b--").text, "plain");
  assertEquals(read(...head, ...html, ...plain, "--b--").text, "plain");
  assertEquals(read(...head, ...html, "--b--").text, "html");
});

Deno.test("readableText() lists attachments with name, type and decoded size", () => {
  const message = read(
    'Content-Type: multipart/mixed; boundary="=_x y"',
    "",
    "preamble",
    "--=_x y",
    "",
    "text",
    "--=_x y  ",
    "Content-Type: application/pdf; name=ignored.pdf",
    "Content-Disposition: attachment; filename*=utf-8''..%2F..%2Fb%C3%A9.pdf",
    "Content-Transfer-Encoding: base64",
    "",
    "YWJj",
    "ZGU=",
    "--=_x y",
    'Content-Type: text/plain; name="=?utf-8?Q?n=C3=B6te=1B[31m.txt?="',
    "Content-Disposition: attachment",
    "",
    "12345",
    "--=_x y",
    "Content-Type: message/rfc822",
    "",
    "Subject: inner",
    "",
    "not shown",
    "--=_x y--",
    "epilogue",
  );
  assertEquals(message.text, "text");
  assertEquals(message.attachments[0]!.parameters, new Map([["name", "ignored.pdf"]]));
  assertEquals(message.attachments.map(({ parameters: _, ...attachment }) => attachment), [
    { name: "bé.pdf", type: "application/pdf", octets: 5, encoding: "base64", bodyStart: 248, end: 258 },
    { name: "nöte.txt", type: "text/plain", octets: 5, encoding: "", bodyStart: 371, end: 376 },
    { name: "message.eml", type: "message/rfc822", octets: 27, encoding: "", bodyStart: 419, end: 446 },
  ]);
});

Deno.test("readableText() reads multiparts inside multiparts, and inline texts one after the other", () => {
  const message = read(
    "Content-Type: multipart/mixed; boundary=ab",
    "",
    "--ab",
    "Content-Type: multipart/alternative; boundary=a",
    "",
    "--a",
    "",
    "first --ab --a",
    "--abc",
    "--a",
    "Content-Type: text/html",
    "",
    "<i>first</i>",
    "--a--",
    "--ab",
    "",
    "second",
    "--ab--",
  );
  assertEquals(message.text, "first --ab --a\n--abc\n\nsecond");
});

Deno.test("readableText() shows what there is of a broken multipart", () => {
  assertEquals(
    read("Content-Type: multipart/mixed; boundary=b", "", "--b", "", "never closed").text,
    "never closed",
  );
  assertEquals(
    read("Content-Type: multipart/mixed; boundary=b", "", "no boundary comes").text,
    "no boundary comes",
  );
  assertEquals(read("Content-Type: multipart/mixed", "", "none given").text, "none given");
  assertEquals(read("Content-Type: nonsense", "", "text").text, "text");
});

Deno.test("readableText() lets nothing through that steers a terminal", () => {
  assertEquals(
    read("", "a\x1b[2Jb\x1b]0;owned\x07c\x9bd\x00", "\u202egnp.exe").text,
    "abcd\ngnp.exe".replace("cd", "c"),
  );
  const encoded = read("Content-Transfer-Encoding: base64", "", btoa("x\x1b[31my\r\nz"));
  assertEquals(encoded.text, "xy\nz");
});

Deno.test("readableText() walks a bounded number of parts and levels", () => {
  const many = read(
    "Content-Type: multipart/mixed; boundary=b",
    "",
    "--b\r\nContent-Type: a/b\r\n\r\nx\r\n".repeat(2000),
  );
  assertEquals([many.truncated, many.attachments.length < 2000], [true, true]);
  let deep = "\r\ninnermost";
  for (let i = 0; i < 100; i++) {
    deep = `Content-Type: multipart/mixed; boundary=b${i}\r\n\r\n--b${i}\r\n${deep}\r\n--b${i}--`;
  }
  assertEquals(readableText(utf8(deep)), { text: "", attachments: [], truncated: true });
  const long = readableText(concat([utf8("\r\n"), new Uint8Array(5 * 1024 * 1024).fill(97)]));
  assertEquals([long.truncated, long.text.length], [true, 2 * 1024 * 1024]);
});

Deno.test("readableText() never fails on any message", () => {
  const unit = fc.constantFrom(
    "\r\n",
    "\r\n\r\n",
    "--b",
    "--",
    "Content-Type: multipart/mixed; boundary=b",
    'Content-Type: multipart/alternative; boundary="b"',
    "Content-Type: text/html; charset=utf-16",
    "Content-Transfer-Encoding: base64",
    "Content-Disposition: attachment; filename*0*=x''%",
    "abc=",
    "\0\xff",
    "<a>",
  );
  fc.assert(
    fc.property(fc.array(unit, { maxLength: 40 }), (pieces) => {
      const message = readableText(fromLatin1(pieces.join("")));
      // deno-lint-ignore no-control-regex -- control characters are what must not be there
      assertEquals(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/.test(message.text), false);
    }),
    { numRuns: 1000 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 500 }), (bytes) => typeof readableText(bytes).text === "string"),
  );
});

Deno.test("readableText() is quick on hostile messages", () => {
  const begun = performance.now();
  for (
    const piece of [
      "\n",
      "--b\n",
      "--b ",
      "--b",
      "=\n",
      " ",
      "--b\nContent-Type: multipart/mixed; boundary=b\n\n",
      "a:\n",
    ]
  ) {
    readableText(utf8("Content-Type: multipart/mixed; boundary=b\n\n--b\n\n" + piece.repeat(100_000) + "x"));
    readableText(utf8("Content-Transfer-Encoding: quoted-printable\n\n" + piece.repeat(100_000) + "x"));
  }
  assertEquals(performance.now() - begun < 6000, true, `${performance.now() - begun} ms`);
});

Deno.test("attachmentsIn() finds the same attachments without the message", () => {
  const message = utf8(
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n" +
      "--b\r\nContent-Type: a/b; name=x.bin\r\nContent-Transfer-Encoding: base64\r\n\r\nYWJj\r\n--b--",
  );
  const [place] = attachmentsIn(scan(message, 5));
  assertEquals({ ...place, octets: 3 }, readableText(message).attachments[0]);
  assertEquals(place!.name, "x.bin");
});
