import { assert, assertEquals, assertNotStrictEquals } from "@std/assert";
import fc from "fast-check";
import {
  asBuffer,
  concat,
  decodeUtf8,
  equalBytes,
  fromLatin1,
  isAscii,
  joinForOutput,
  latin1,
  utf8,
} from "../../../src/base/bytes.ts";

const octets = () => fc.uint8Array({ maxLength: 64 });

Deno.test("latin1() and fromLatin1() carry every octet both ways", () => {
  fc.assert(fc.property(octets(), (bytes) => equalBytes(fromLatin1(latin1(bytes)), bytes)));
});

Deno.test("asBuffer() is a view of the same octets, inside a larger buffer too", () => {
  const whole = Uint8Array.of(1, 2, 3, 4, 5);
  const view = asBuffer(whole.subarray(1, 4));
  assertEquals([...view], [2, 3, 4]);
  whole[2] = 9;
  assertEquals([...view], [2, 9, 4]);
});

Deno.test("decodeUtf8() gives back what utf8() encoded", () => {
  const text = fc.string({ unit: "grapheme" });
  fc.assert(fc.property(text, (text) => assertEquals(decodeUtf8(utf8(text)), text)));
});

Deno.test("decodeUtf8() keeps a leading U+FEFF", () => {
  assertEquals(decodeUtf8(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61)), "\ufeffa");
});

Deno.test("decodeUtf8() is undefined for overlong forms, surrogates and cut sequences", () => {
  for (const bytes of [[0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xe2, 0x82], [0xff], [0xf4, 0x90, 0x80, 0x80]]) {
    assertEquals(decodeUtf8(Uint8Array.from(bytes)), undefined, bytes.join(" "));
  }
});

Deno.test("concat() joins in order, into an array that shares nothing", () => {
  fc.assert(fc.property(fc.array(octets(), { maxLength: 5 }), (parts) => {
    assertEquals([...concat(parts)], parts.flatMap((part) => [...part]));
  }));
  const part = Uint8Array.of(1);
  const joined = concat([part]);
  assertNotStrictEquals(joined.buffer, part.buffer);
  assertEquals(joined.byteLength, joined.buffer.byteLength);
});

Deno.test("equalBytes() compares length and every octet", () => {
  assertEquals(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2)), true);
  assertEquals(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 3)), false);
  assertEquals(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2, 0)), false);
  assertEquals(equalBytes(new Uint8Array(0), new Uint8Array(0)), true);
});

Deno.test("isAscii() is true up to octet 127 only", () => {
  assertEquals(isAscii(Uint8Array.of(0, 127)), true);
  assertEquals(isAscii(Uint8Array.of(0, 128)), false);
});

Deno.test("joinForOutput() joins what later calls leave alone", () => {
  const parts = (octet: number) => [new Uint8Array(1000).fill(octet), new Uint8Array(500).fill(octet)];
  const joined = Array.from({ length: 600 }, (_, i) => joinForOutput(parts(i % 256)));
  for (const [i, bytes] of joined.entries()) {
    assertEquals(bytes.length, 1500);
    assert(bytes.every((octet) => octet === i % 256));
  }
  assertEquals(joinForOutput([new Uint8Array(200_000), Uint8Array.of(7)]).at(-1), 7);
  assertEquals(joinForOutput([]).length, 0);
});
