import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { utf8 } from "../../../src/base/bytes.ts";
import { parseParameterised, rawParameter } from "../../../src/mime/parameters.ts";

function parse(text: string): [string, Record<string, string>] {
  const { value, parameters } = parseParameterised(text);
  return [value, Object.fromEntries(parameters)];
}

Deno.test("parseParameterised() takes a value and parameters, quoted or not", () => {
  assertEquals(parse("Text/Plain; CHARSET=utf-8; format = flowed"), ["text/plain", {
    charset: "utf-8",
    format: "flowed",
  }]);
  assertEquals(parse('multipart/mixed;boundary="a;b\\"c"; x=y'), ["multipart/mixed", {
    boundary: 'a;b"c',
    x: "y",
  }]);
  assertEquals(parse("text/html (really) ;;; junk; a=b"), ["text/html", { a: "b" }]);
  assertEquals(parse("attachment"), ["attachment", {}]);
  assertEquals(parse("a; x=1; X=2"), ["a", { x: "1" }]);
  assertEquals(parse('a; name="open'), ["a", { name: "open" }]);
});

Deno.test("parseParameterised() joins and decodes RFC 2231 sections", () => {
  assertEquals(parse("a; filename*=UTF-8''caf%C3%A9.txt")[1].filename, "café.txt");
  assertEquals(parse("a; filename=plain; filename*=iso-8859-1'fr'caf%E9")[1].filename, "café");
  assertEquals(parse('a; f*1="b"; f*0="a"; f*2=c')[1].f, "abc");
  assertEquals(parse("a; f*0*=utf-8''%C3; f*1*=%A9; f*2=%41")[1].f, "é%41");
  assertEquals(parse("a; f*0=x; f*2=z")[1].f, "x");
});

Deno.test("parseParameterised() decodes an encoded word as a name", () => {
  assertEquals(parse('a; name="=?utf-8?B?w6kucGRm?="')[1].name, "é.pdf");
});

Deno.test("parseParameterised() reads back any text percent-encoded as RFC 2231 says", () => {
  fc.assert(fc.property(fc.string({ unit: "grapheme", minLength: 1 }), (text) => {
    const encoded = [...utf8(text)].map((octet) => `%${octet.toString(16).padStart(2, "0")}`).join("");
    assertEquals(parse(`a; n*=utf-8''${encoded}`)[1].n, new TextDecoder().decode(utf8(text)));
  }));
});

Deno.test("parseParameterised() never fails, and is quick on hostile text", () => {
  const unit = fc.constantFrom(..."ab;=*'\"\\% \r\n09é", "%C3", "*0*=");
  fc.assert(
    fc.property(
      fc.string({ unit, maxLength: 60 }),
      (text) => typeof parseParameterised(text).value === "string",
    ),
  );
  const begun = performance.now();
  for (const piece of [";", '"', "\\", "(", " ", ";a=", "; x*0*=%", ';a="b']) {
    parseParameterised(`a;b="${piece.repeat(80_000)}`);
  }
  for (const piece of [";", '"', "\\", "(", " ", ";a=", "; x*0*=%", ';a="b']) {
    parseParameterised(piece.repeat(80_000));
  }
  assertEquals(performance.now() - begun < 3000, true);
});

Deno.test("parseParameterised() passes comments over, and keeps parentheses in names", () => {
  assertEquals(parse("(one) text/plain (a; b); charset=us-ascii (Plain text)"), ["text/plain", {
    charset: "us-ascii",
  }]);
  assertEquals(parse("a; filename=report (1).pdf")[1].filename, "report (1).pdf");
});

Deno.test("parseParameterised() reads a path of Windows, and an encoded word in sections", () => {
  assertEquals(parse('a; filename="C:\\Users\\a.xls"')[1].filename, "C:\\Users\\a.xls");
  assertEquals(parse('a; n*0="=?UTF-8?B?w6"; n*1="ku?="')[1].n, "é.");
});

Deno.test("rawParameter() gives octets as they stand", () => {
  assertEquals(
    rawParameter(' multipart/mixed;\r\n boundary="=?utf-8?Q?x?=\xe9"', "boundary"),
    "=?utf-8?Q?x?=\xe9",
  );
  assertEquals(rawParameter("a; b*0*=utf-8''%C3; b*1=%A9", "b"), "\xc3%A9");
  assertEquals(rawParameter("a", "b"), "");
});
