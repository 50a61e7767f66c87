import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { utf8 } from "../../../src/base/bytes.ts";
import { guessControl, pagesOf } from "../../../src/print/carriage.ts";
import { merged, plainText } from "../../../src/print/plain.ts";

/** Records of machine code: a code and a text each, ended by LF. */
function machine(...records: readonly (readonly [number, string])[]): Uint8Array {
  return Uint8Array.from(records.flatMap(([code, text]) => [code, ...utf8(text), 10]));
}

Deno.test("pagesOf() moves before each record of an ASA report", () => {
  const report = utf8("1TITLE\n FIRST\n0AFTER ONE\n-AFTER TWO\n1PAGE TWO\n LAST\n");
  assertEquals(
    plainText(pagesOf(report, "asa")),
    "TITLE\nFIRST\n\nAFTER ONE\n\n\nAFTER TWO\n\fPAGE TWO\nLAST\n",
  );
});

Deno.test("pagesOf() prints a record with + over the one before", () => {
  const report = utf8("1TOTAL\n+_____\n  12.50\n+ 12.50\n");
  assertEquals(pagesOf(report, "asa"), [[["TOTAL", "_____"], [" 12.50", " 12.50"]]]);
  assertEquals(plainText(pagesOf(report, "asa")), "TOTAL\n 12.50\n");
});

Deno.test("pagesOf() takes tabs to their stops, counted from column 2 on", () => {
  assertEquals(pagesOf(utf8("1A\tBC\tD\n 12345678\tX\n"), "asa"), [[["A       BC      D"], [
    "12345678        X",
  ]]]);
});

Deno.test("pagesOf() begins at the top of a page, however the first record moves", () => {
  assertEquals(plainText(pagesOf(utf8(" A\n B\n"), "asa")), "A\nB\n");
  assertEquals(plainText(pagesOf(utf8("+A\n B\n"), "asa")), "A\nB\n");
  assertEquals(plainText(pagesOf(utf8("0A\n"), "asa")), "\nA\n");
});

Deno.test("pagesOf() makes no page of a break before anything was printed", () => {
  assertEquals(pagesOf(utf8("1\n1A\n1\n"), "asa"), [[["A"]]]);
  assertEquals(pagesOf(utf8(""), "asa"), []);
});

Deno.test("pagesOf() moves after each record of machine code", () => {
  const report = machine(
    [0x8b, ""],
    [0x09, "TITLE"],
    [0x11, "TWO ON"],
    [0x01, "BOLD"],
    [0x09, "BOLD"],
    [0x89, "END"],
    [
      0x19,
      "NEXT",
    ],
    [0x0b, ""],
    [0x09, "LAST"],
  );
  assertEquals(
    plainText(pagesOf(report, "machine")),
    "TITLE\nTWO ON\n\nBOLD\nEND\n\fNEXT\n\n\n\nLAST\n",
  );
});

Deno.test("pagesOf() reads CRLF line ends, UTF-8, and Latin-1 where it is no UTF-8", () => {
  assertEquals(pagesOf(utf8("1Größe\r\n 2\r\n"), "asa"), [[["Größe"], ["2"]]]);
  assertEquals(pagesOf(Uint8Array.of(0x31, 0x47, 0xf6, 10), "asa"), [[["Gö"]]]);
});

Deno.test("pagesOf() prints a record whose control it doesn't know on the next line", () => {
  assertEquals(plainText(pagesOf(utf8("1A\nZB\n"), "asa")), "A\nB\n");
  assertEquals(plainText(pagesOf(machine([0x09, "A"], [0x41, "B"]), "machine")), "A\nAB\n");
});

Deno.test("pagesOf() goes on at the next page where a report never breaks its own", () => {
  const pages = pagesOf(utf8(" LINE\n".repeat(100)), "asa");
  assertEquals(pages.map((page) => page.length), [88, 12]);
});

Deno.test("guessControl() knows ASA and machine code by each line's first character", () => {
  assertEquals(guessControl(utf8("1TITLE\n A\n0B\n")), "asa");
  assertEquals(guessControl(machine([0x8b, ""], [0x09, "A"])), "machine");
  assertEquals(guessControl(utf8("Dear Bob,\n 1\n")), "none");
  assertEquals(guessControl(utf8("1 apple\n2 pears\nx\n")), "none");
  assertEquals(guessControl(machine([0x09, "A"], [0x09, "B"])), "none");
  assertEquals(guessControl(utf8("")), "none");
});

Deno.test("merged() keeps letters over underscores, and what was struck last", () => {
  assertEquals(merged(["TOTAL", "_____"]), "TOTAL");
  assertEquals(merged(["_____", "TOTAL"]), "TOTAL");
  assertEquals(merged(["A B", " _ "]), "A_B");
  assertEquals(merged(["ABC", "  D"]), "ABD");
  assertEquals(merged([]), "");
});

Deno.test("pagesOf() never fails, and prints every record's text", () => {
  const record = fc.tuple(fc.constantFrom(..." 0-+1"), fc.stringMatching(/^[A-Z]{1,20}$/));
  fc.assert(fc.property(fc.array(record, { maxLength: 60 }), (records) => {
    const pages = pagesOf(utf8(records.map(([control, text]) => `${control}${text}\n`).join("")), "asa");
    assertEquals(pages.flat(2), records.map(([, text]) => text));
  }));
  fc.assert(fc.property(fc.uint8Array({ maxLength: 500 }), (octets) => {
    pagesOf(octets, "asa");
    pagesOf(octets, "machine");
    guessControl(octets);
  }));
});
