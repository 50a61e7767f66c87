import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { fromLatin1, latin1, utf8 } from "../../../src/base/bytes.ts";
import {
  parseAuth,
  parseAuthResponse,
  parseCommand,
  parseLanguageRange,
  parseMessageNumber,
  parseTop,
  parseUser,
} from "../../../src/pop3/grammar.ts";
import { toBase64 } from "../../../src/sasl/base64.ts";

Deno.test("parseCommand() splits at the first space and nowhere else", () => {
  assertEquals(parseCommand(utf8("retr 1")), { verb: "RETR", argument: "1" });
  assertEquals(parseCommand(utf8("PASS  a b ")), { verb: "PASS", argument: " a b " });
  assertEquals(parseCommand(utf8("NOOP")), { verb: "NOOP", argument: "" });
  assertEquals(parseCommand(utf8("NOOP ")), { verb: "NOOP", argument: "" });
  assertEquals(parseCommand(utf8("")), { verb: "", argument: "" });
});

Deno.test("parseCommand() refuses NUL, CR and words that are no keyword", () => {
  for (const line of ["USER a\0", "USER a\rb", "\0", "GÉT 1", "GET/ 1", "A".repeat(17)]) {
    assertEquals(parseCommand(utf8(line)), undefined, line);
  }
});

Deno.test("parseMessageNumber() and parseTop() take digits and spaces only", () => {
  assertEquals(parseMessageNumber(" 007\t"), 7);
  for (const text of ["", "-1", "+1", "1.0", "0x1", "1 2", "12345678901"]) {
    assertEquals(parseMessageNumber(text), undefined, text);
  }
  assertEquals(parseTop("3  10"), { number: 3, lines: 10 });
  for (const text of ["3", "3 ", "3 x", "3 10 1", "3 -1"]) assertEquals(parseTop(text), undefined, text);
});

Deno.test("parseAuth() knows no initial response from an empty one", () => {
  assertEquals(parseAuth("plain"), { mechanism: "PLAIN", initial: undefined });
  assertEquals(parseAuth("PLAIN ="), { mechanism: "PLAIN", initial: new Uint8Array(0) });
  assertEquals(parseAuth("PLAIN YQ=="), { mechanism: "PLAIN", initial: Uint8Array.of(97) });
  assertEquals(parseAuth("PLAIN YQ"), "not-base64");
  assertEquals(parseAuth("PLAIN YQ== x"), "not-a-mechanism");
  assertEquals(parseAuth("PLAIN\u00e9"), "not-a-mechanism");
});

Deno.test("parseAuthResponse() tells cancel and empty apart", () => {
  assertEquals(parseAuthResponse(utf8("*")), "cancel");
  assertEquals(parseAuthResponse(utf8("")), new Uint8Array(0));
  assertEquals(parseAuthResponse(utf8("**")), "not-base64");
});

Deno.test("parseAuthResponse() reads what was written and nothing else", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (octets) => {
    assertEquals(parseAuthResponse(utf8(toBase64(octets))), octets);
  }));
  for (const text of ["A", "AA", "AAA", "A===", "AA=A", "AAAA=", "AA A", "AA-_", "YR==", "YWJ="]) {
    assertEquals(parseAuthResponse(utf8(text)), "not-base64", text);
  }
});

Deno.test("parseUser() takes UTF-8 without control characters", () => {
  assertEquals(parseUser(latin1(utf8(" josé "))), "josé");
  for (const text of ["", "  ", "a\tb", "\xff", "a\x7f"]) assertEquals(parseUser(text), undefined, text);
});

Deno.test("parseLanguageRange() takes RFC 4647's basic ranges", () => {
  for (const text of ["*", "de", "zh-Hant-TW", ""]) assertEquals(parseLanguageRange(text), text);
  for (const text of ["de_AT", "-", "*-x", "toolonglanguage"]) {
    assertEquals(parseLanguageRange(text), undefined);
  }
});

Deno.test("the grammar never throws", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (octets) => {
    const text = latin1(octets);
    parseCommand(octets);
    parseAuthResponse(fromLatin1(text));
    for (const parse of [parseAuth, parseTop, parseMessageNumber, parseUser, parseLanguageRange]) parse(text);
  }));
});
