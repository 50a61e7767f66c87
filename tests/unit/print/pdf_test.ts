import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { inflateSync } from "node:zlib";
import { fromLatin1, latin1, utf8 } from "../../../src/base/bytes.ts";
import { pagesOf } from "../../../src/print/carriage.ts";
import { formatPdf } from "../../../src/print/pdf.ts";

/** What is drawn on each page. */
function drawings(pdf: Uint8Array): string[] {
  const text = latin1(pdf);
  return [...text.matchAll(/stream\n([\s\S]*?)\nendstream/g)].map((match) =>
    latin1(inflateSync(fromLatin1(match[1]!)))
  );
}

Deno.test("formatPdf() has a page for each of the report, with its lines from the top", () => {
  const pdf = formatPdf(pagesOf(utf8("1TITLE\n FIRST\n1SECOND (PAGE)\n"), "asa"), { title: "Sales" });
  const pages = drawings(pdf);
  assertEquals(pages.length, 2);
  assertStringIncludes(latin1(pdf), "/Count 2");
  const places = [...pages[0]!.matchAll(/36 ([\d.]+) Tm \((.*?)\) Tj/g)].map((
    [, y, text],
  ) => [Number(y), text]);
  assertEquals(places.map(([, text]) => text), ["TITLE", "FIRST"]);
  assert(places[0]![0]! > places[1]![0]!);
  assertStringIncludes(pages[1]!, "(SECOND \\(PAGE\\)) Tj");
});

Deno.test("formatPdf() prints overprinted records at the same place", () => {
  const [page] = drawings(formatPdf(pagesOf(utf8("1TOTAL\n+_____\n"), "asa"), { title: "" }));
  const heights = [...page!.matchAll(/36 ([\d.]+) Tm/g)].map(([, y]) => y);
  assertEquals(heights.length, 2);
  assertEquals(heights[0], heights[1]);
});

Deno.test("formatPdf() lays wide reports on their side, and makes their letters fit", () => {
  const narrow = latin1(formatPdf(pagesOf(utf8(`1${"A".repeat(80)}\n`), "asa"), { title: "" }));
  const wide = formatPdf(pagesOf(utf8(`1${"A".repeat(132)}\n`), "asa"), { title: "" });
  assertStringIncludes(narrow, "/MediaBox [0 0 595 842]");
  assertStringIncludes(latin1(wide), "/MediaBox [0 0 842 595]");
  const size = Number(/\/F1 ([\d.]+) Tf/.exec(drawings(wide)[0]!)![1]);
  assert(size * 0.6 * 132 <= 842 - 72);
});

Deno.test("formatPdf() writes Western letters in WinAnsiEncoding and marks others", () => {
  const [page] = drawings(formatPdf([[["Größe € – Ω"]]], { title: "" }));
  assertStringIncludes(page!, "(Gr\u00f6\u00dfe \u0080 \u0096 ?) Tj");
});

Deno.test("formatPdf() has a cross-reference table that points at each object", () => {
  const text = latin1(formatPdf([[["A"]], [["B"]]], { title: "Ω" }));
  const places = [...text.matchAll(/^(\d{10}) 00000 n /gm)].map(([, place]) => Number(place));
  assertEquals(places.length, 8);
  places.forEach((place, index) => assertEquals(text.slice(place).startsWith(`${index + 1} 0 obj`), true));
  const start = Number(/startxref\n(\d+)/.exec(text)![1]);
  assertEquals(text.slice(start, start + 4), "xref");
  assertStringIncludes(text, "/Title <FEFF03A9>");
});

Deno.test("formatPdf() of nothing is one empty page, and the same input gives the same octets", () => {
  assertEquals(drawings(formatPdf([], { title: "x" })).length, 1);
  assertEquals(formatPdf([[["A"]]], { title: "x" }), formatPdf([[["A"]]], { title: "x" }));
});
