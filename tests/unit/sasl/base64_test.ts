import { assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { decodeInitialResponse, decodeResponse, fromBase64, toBase64 } from "../../../src/sasl/base64.ts";

Deno.test("fromBase64() gives back what toBase64() was given", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    const before = bytes.slice();
    assertEquals(fromBase64(toBase64(bytes)), new Uint8Array(before));
    assertEquals(bytes, before);
  }));
});

Deno.test("toBase64() leaves the memory of a Buffer alone", () => {
  const buffer = Buffer.from("secret of a pool");
  assertEquals(toBase64(buffer.subarray(3, 9)), btoa("ret of"));
  assertEquals(buffer.toString(), "secret of a pool");
});

Deno.test("fromBase64() refuses every text that is not the one encoding", () => {
  for (
    const text of [
      "YQ",
      "YQ=",
      "YR==",
      "YWJ=",
      "Y Q=",
      "YQ==\r\n",
      "YQ==YQ==",
      "_-==",
      "====",
      "YWJj=",
      "é===",
    ]
  ) {
    assertEquals(fromBase64(text), undefined, JSON.stringify(text));
  }
});

Deno.test("fromBase64() accepts only texts that encode back to themselves", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(..."AZaz09+/=_ "), maxLength: 12 }), (text) => {
      const bytes = fromBase64(text);
      if (bytes !== undefined) assertEquals(toBase64(bytes), text);
    }),
    { numRuns: 2000 },
  );
});

Deno.test("decodeInitialResponse() takes = for an empty response and no empty text", () => {
  assertEquals(decodeInitialResponse("="), new Uint8Array(0));
  assertEquals(decodeInitialResponse(""), undefined);
  assertEquals(decodeInitialResponse("AGE="), Uint8Array.of(0, 97));
});

Deno.test("decodeResponse() takes an empty line for an empty response", () => {
  assertEquals(decodeResponse(""), new Uint8Array(0));
  assertEquals(decodeResponse("="), undefined);
  assertEquals(decodeResponse("*"), undefined);
});
