import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { equalBytes, fromLatin1, latin1 } from "../../../src/base/bytes.ts";
import {
  decodeBase64,
  decodeQ,
  decodeQuotedPrintable,
  decodeTransfer,
} from "../../../src/mime/transfer_encoding.ts";

const qp = (text: string) => latin1(decodeQuotedPrintable(fromLatin1(text)));

Deno.test("decodeBase64() decodes what was encoded, wrapped or spoilt by other characters", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
    const text = btoa(latin1(bytes));
    return equalBytes(decodeBase64(text), bytes) &&
      equalBytes(decodeBase64(text.replace(/.{3}/g, "$&\r\n!")), bytes) &&
      equalBytes(decodeBase64(text.replaceAll("=", "")), bytes);
  }));
  assertEquals(latin1(decodeBase64("YQ==YmM=")), "a");
  assertEquals(latin1(decodeBase64("YWJjZ")), "abc");
});

Deno.test("decodeQuotedPrintable() undoes RFC 2045 6.7", () => {
  assertEquals(qp("caf=C3=a9=\r\n au=  \r\n lait"), "caf\xc3\xa9 au lait");
  assertEquals(qp("end  \t\r\nkept=20 \r\nlf \nx "), "end\r\nkept \r\nlf\nx ");
  assertEquals(qp("100= 5=ZZ ==41 ="), "100= 5=ZZ =A ");
});

Deno.test("decodeQuotedPrintable() reads back any octets", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
    const text = [...bytes].map((octet) => `=${octet.toString(16).toUpperCase().padStart(2, "0")}`).join(
      "=\r\n",
    );
    return equalBytes(decodeQuotedPrintable(fromLatin1(text)), bytes);
  }));
});

Deno.test("decodeQ() reads underscores as spaces", () => {
  assertEquals(latin1(decodeQ(fromLatin1("a_b=5F=ZZ="))), "a b_=ZZ=");
});

Deno.test("decodeTransfer() goes by the name and never gives more octets than it got", () => {
  const encoding = fc.constantFrom("base64", " Quoted-Printable ", "7bit", "x-uuencode", "");
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), encoding, (bytes, encoding) => {
    const decoded = decodeTransfer(bytes, encoding);
    assertEquals(decoded.length <= bytes.length, true);
    if (/^(7bit|x-uuencode|)$/.test(encoding)) assertEquals(decoded, bytes);
  }));
  assertEquals(latin1(decodeTransfer(fromLatin1("YQ=="), "BASE64")), "a");
});
