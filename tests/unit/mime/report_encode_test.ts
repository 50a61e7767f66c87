import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { concat, fromLatin1, latin1, utf8 } from "../../../src/base/bytes.ts";
import { decodeEncodedWords } from "../../../src/mime/encoded_word.ts";
import { parseHeader } from "../../../src/mime/header.ts";
import {
  encodeBase64Lines,
  encodeQuotedPrintable,
  encodeWords,
  field,
} from "../../../src/mime/report/encode.ts";
import { decodeTransfer } from "../../../src/mime/transfer_encoding.ts";

Deno.test("encodeQuotedPrintable() encodes what has to be", () => {
  assertEquals(encodeQuotedPrintable(utf8("a=b ü\r\nx \n\ty\t")), "a=3Db =C3=BC\r\nx=20\r\n\ty=09");
});

Deno.test("encodeQuotedPrintable() decodes back, in lines of 76 characters at most", () => {
  const line = fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.string({ maxLength: 300 }).map(utf8))
    .map((octets) => octets.filter((octet) => octet !== 10 && octet !== 13));
  fc.assert(fc.property(fc.array(line), (lines) => {
    const octets = concat(lines.flatMap((each, i) => i === 0 ? [each] : [utf8("\r\n"), each]));
    const encoded = encodeQuotedPrintable(octets);
    for (const each of encoded.split("\r\n")) {
      assert(/^[\t\x20-\x7e]{0,76}$/.test(each) && !/[ \t]$/.test(each), each);
    }
    assertEquals(latin1(decodeTransfer(fromLatin1(encoded), "quoted-printable")), latin1(octets));
  }));
});

Deno.test("encodeWords() keeps ASCII and encodes the rest in words of 75 characters at most", () => {
  assertEquals(encodeWords(" Lunch at\r\nnoon "), "Lunch at noon");
  assertEquals(decodeEncodedWords(encodeWords("=?UTF-8?Q?x?=")), "=?UTF-8?Q?x?=");
  fc.assert(fc.property(fc.string({ unit: "grapheme", maxLength: 200 }), (text) => {
    const encoded = encodeWords(text);
    assert(/^[\x20-\x7e]*$/.test(encoded));
    if (encoded.startsWith("=?")) assert(encoded.split(" ").every((word) => word.length <= 75));
  }));
  const long = "Grüße 🍲 ".repeat(30).trim();
  assertEquals(decodeEncodedWords(encodeWords(long)), long);
});

Deno.test("field() is one field, whatever its value", () => {
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 1200 }), (value) => {
    const text = field("Name", value);
    assertEquals(parseHeader(utf8(text)).fields.map(({ name }) => name), ["Name"]);
    for (const each of text.split("\r\n")) assert(each.length <= 998);
    assert(text.endsWith("\r\n") && !/\r\n\s*\r\n/.test(text));
  }));
});

Deno.test("field() folds at spaces", () => {
  const text = field("Subject", "word ".repeat(40));
  for (const line of text.split("\r\n")) assert(line.length <= 78);
  assertEquals(text.replaceAll("\r\n", ""), `Subject: ${"word ".repeat(40).trim()}`);
});

Deno.test("encodeBase64Lines() decodes back", () => {
  const octets = Uint8Array.from({ length: 500 }, (_, i) => i);
  const text = encodeBase64Lines(octets);
  for (const line of text.split("\r\n")) assert(line.length <= 76);
  assertEquals(decodeTransfer(utf8(text), "base64"), octets);
});
