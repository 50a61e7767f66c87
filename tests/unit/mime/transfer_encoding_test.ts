import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { equalBytes, fromLatin1, latin1 } from "../../../src/base/bytes.ts";
import {
  Base64Encoder,
  decodeBase64,
  decodeQ,
  decodeQuotedPrintable,
  decodeTransfer,
  TransferDecoder,
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

function inPieces(
  coder: { push(octets: Uint8Array): Uint8Array; end(): Uint8Array },
  octets: Uint8Array,
  size: number,
): string {
  let out = "";
  for (let at = 0; at < octets.length; at += size) out += latin1(coder.push(octets.slice(at, at + size)));
  return out + latin1(coder.end());
}

Deno.test("TransferDecoder gives in any pieces what decodeTransfer() gives at once", () => {
  const unit = fc.constantFrom(
    "YWJj",
    "Y",
    "=",
    "\r\n",
    "\n",
    "\r",
    " ",
    "\t",
    "=\r\n",
    "=3D",
    "=C",
    "é",
    "!",
    "=  ",
  );
  const encoding = fc.constantFrom("base64", "Quoted-Printable (x)", "7bit", "");
  fc.assert(
    fc.property(
      fc.array(unit, { maxLength: 30 }),
      encoding,
      fc.integer({ min: 1, max: 9 }),
      (units, encoding, size) => {
        const octets = fromLatin1(units.join(""));
        assertEquals(
          inPieces(new TransferDecoder(encoding), octets, size),
          latin1(decodeTransfer(octets, encoding)),
        );
      },
    ),
    { numRuns: 2000 },
  );
});

Deno.test("TransferDecoder keeps little from one piece to the next", () => {
  // White space that might be a line's end is kept back, but not without end.
  const blanks = fromLatin1(" ".repeat(100_000));
  const decoder = new TransferDecoder("quoted-printable");
  assertEquals(decoder.push(blanks).length > 98_000, true);
  for (const size of [1, 999, 1000, 1001]) {
    const octets = fromLatin1(`a${" ".repeat(2500)}\r\n=${" ".repeat(1500)}\r\nb`);
    assertEquals(
      inPieces(new TransferDecoder("quoted-printable"), octets, size),
      latin1(decodeTransfer(octets, "quoted-printable")),
    );
  }
});

Deno.test("Base64Encoder writes lines of 76 characters that are read back", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 1, max: 70 }), (octets, size) => {
      const encoded = inPieces(new Base64Encoder(), octets, size);
      assertEquals(latin1(decodeTransfer(fromLatin1(encoded), "base64")), latin1(octets));
      const lines = encoded.split("\r\n");
      assertEquals(lines.pop(), "");
      assertEquals(lines.slice(0, -1).every((line) => line.length === 76), true);
      assertEquals((lines.at(-1) ?? "x").length <= 76 && (lines.at(-1) ?? "x") !== "", true);
    }),
  );
});
