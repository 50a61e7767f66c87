import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { fromLatin1, latin1, utf8 } from "../../../src/base/bytes.ts";
import { decodeText, isKnownCharset } from "../../../src/mime/charset.ts";
import { decodeEncodedWords } from "../../../src/mime/encoded_word.ts";

Deno.test("decodeEncodedWords() decodes B and Q in common character sets", () => {
  assertEquals(decodeEncodedWords("=?utf-8?B?w6k=?="), "é");
  assertEquals(decodeEncodedWords("=?UTF-8?q?caf=C3=A9_au_lait?="), "café au lait");
  assertEquals(decodeEncodedWords("=?iso-8859-1?Q?Andr=E9?= Pirard"), "André Pirard");
  assertEquals(decodeEncodedWords("=?ISO-8859-15?Q?5_=A4?="), "5 €");
  assertEquals(decodeEncodedWords("=?windows-1251?B?z/Do4uXy?="), "Привет");
  assertEquals(decodeEncodedWords("=?iso-2022-jp?B?GyRCRnxLXBsoQg==?="), "日本");
  assertEquals(decodeEncodedWords("=?utf-8*en?Q?x?="), "x");
  assertEquals(decodeEncodedWords("=?us-ascii?Q?plain?="), "plain");
});

Deno.test("decodeEncodedWords() joins adjacent words and keeps other spaces (RFC 2047 8)", () => {
  assertEquals(decodeEncodedWords("(=?ISO-8859-1?Q?a?= b)"), "(a b)");
  assertEquals(decodeEncodedWords("=?ISO-8859-1?Q?a?= \t =?ISO-8859-1?Q?b?="), "ab");
  assertEquals(decodeEncodedWords("=?ISO-8859-1?Q?a_?= =?utf-8?Q?b?="), "a b");
  assertEquals(decodeEncodedWords("x =?utf-8?Q?=C3?= =?utf-8?Q?=A9?= y"), "x é y");
});

Deno.test("decodeEncodedWords() leaves what it can't decode as it is", () => {
  for (const text of ["=?x-nobody?Q?a?=", "=?utf-8?Z?a?=", "=?utf-8?Q?a", "=??Q?a?=", "a =? b"]) {
    assertEquals(decodeEncodedWords(text), text);
  }
});

Deno.test("decodeEncodedWords() lets no control character through, encoded or not", () => {
  assertEquals(decodeEncodedWords("=?utf-8?Q?a=0D=0AX:_y=1B[31m?="), "a X: y");
  assertEquals(decodeEncodedWords("a\x1b]0;title\x07b"), "ab");
});

Deno.test("decodeEncodedWords() reads back whatever UTF-8 text was encoded", () => {
  const text = fc.string({ unit: fc.constantFrom("a", " ", "é", "日", "😀", "_", "?", "=") });
  fc.assert(fc.property(text, (text) => {
    const b = `=?utf-8?B?${btoa(latin1(utf8(text)))}?=`;
    const q = [...utf8(text)].map((octet) => `=${octet.toString(16).padStart(2, "0")}`).join("");
    assertEquals(decodeEncodedWords(b), text);
    assertEquals(decodeEncodedWords(`=?utf-8?Q?${q}?=`), text);
  }));
});

Deno.test("decodeEncodedWords() never fails, and is quick on hostile text", () => {
  const unit = fc.constantFrom("=?", "?=", "?", "utf-8", "Q", "B", "=", "C3", " ", "\0", "é", "*");
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 60 }), (text) => typeof decodeEncodedWords(text) === "string"),
  );
  const begun = performance.now();
  for (const piece of ["=?", "=?utf-8?Q?", "=?utf-8?Q?a?= ", "=?a?b?", " "]) {
    decodeEncodedWords("=?" + piece.repeat(50_000));
  }
  assertEquals(performance.now() - begun < 3000, true);
});

Deno.test("decodeText() takes unlabelled octets for UTF-8, or else Windows-1252", () => {
  assertEquals(decodeText(utf8("é"), ""), "é");
  assertEquals(decodeText(fromLatin1("\xe9\x80"), "us-ascii"), "é€");
  assertEquals(decodeText(fromLatin1("\xe9"), "no-such-charset"), "é");
  assertEquals(decodeText(fromLatin1("a\xe9"), "utf-8"), "a\ufffd");
  assertEquals([isKnownCharset("KOI8-R"), isKnownCharset("cp1250"), isKnownCharset("constructor")], [
    true,
    true,
    false,
  ]);
});
