import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { fromLatin1, latin1, utf8 } from "../../../src/base/bytes.ts";
import { HEADER_OCTETS } from "../../../src/base/limits.ts";
import { fieldValue, fieldValues, parseHeader } from "../../../src/mime/header.ts";

Deno.test("parseHeader() gives fields in order, raw and unfolded, and where the body begins", () => {
  const message = utf8("To: a,\r\n\tb\r\nX-Empty:\r\nto: c\r\n\r\nbody\r\n");
  const header = parseHeader(message);
  assertEquals(header.fields, [
    { name: "To", raw: " a,\r\n\tb", value: "a,\tb" },
    { name: "X-Empty", raw: "", value: "" },
    { name: "to", raw: " c", value: "c" },
  ]);
  assertEquals(latin1(message.subarray(header.bodyOffset)), "body\r\n");
  assertEquals(fieldValue(header, "TO"), "a,\tb");
  assertEquals(fieldValues(header, "to"), ["a,\tb", "c"]);
  assertEquals(fieldValue(header, "cc"), undefined);
});

Deno.test("parseHeader() takes no name with a control character or a space inside", () => {
  for (const line of ["A\x7f: b", "A\x01: b", "A b: c", "no colon", ": no name"]) {
    assertEquals(parseHeader(utf8(`X: y\r\n${line}\r\n`)).bodyOffset, 6, line);
  }
});

Deno.test("parseHeader() takes LF for a line end, and a header without a body", () => {
  assertEquals(parseHeader(utf8("A: b\n c\nD: e")).fields.map((field) => field.value), ["b c", "e"]);
  assertEquals(parseHeader(new Uint8Array(0)), { fields: [], bodyOffset: 0 });
  assertEquals(parseHeader(utf8("\r\nbody")).bodyOffset, 2);
});

Deno.test("parseHeader() reads a value as UTF-8 where it is, otherwise as Latin-1", () => {
  assertEquals(fieldValue(parseHeader(utf8("Subject: é日")), "subject"), "é日");
  assertEquals(fieldValue(parseHeader(fromLatin1("Subject: \xe9")), "subject"), "é");
});

Deno.test("parseHeader() puts octets together again from what it found", () => {
  const name = fc.string({ unit: fc.constantFrom(..."aZ-9!~"), minLength: 1, maxLength: 9 });
  const value = fc.string({ unit: fc.constantFrom("a", ":", " ", "é", "\r\n ", "\r\n\t"), maxLength: 9 });
  fc.assert(fc.property(fc.array(fc.tuple(name, value), { maxLength: 6 }), (fields) => {
    const section = fields.map(([name, value]) => `${name}:${value}\r\n`).join("");
    const header = parseHeader(fromLatin1(section + "\r\nbody"));
    assertEquals(header.fields.map((field) => `${field.name}:${field.raw}\r\n`).join(""), section);
    assertEquals(header.bodyOffset, section.length + 2);
  }));
});

Deno.test("parseHeader() reads no further than HEADER_OCTETS", () => {
  const header = parseHeader(utf8("A: b\r\n".repeat(HEADER_OCTETS / 4)));
  assertEquals(header.bodyOffset, HEADER_OCTETS);
});
