/**
 * Printed pages as a PDF (ISO 32000-1), in the typewriter face that every reader has, so that columns stay columns.
 *
 * Guarantees: the same pages give the same octets; a form's page fills one sheet, its letters made smaller where it is
 * wide or long; overprinted records are printed over each other, as the printer would.
 *
 * Absent on purpose: fonts of its own. Letters that Western European text doesn't have (code page 1252) are shown as
 * question marks; the report as text has them.
 *
 * @module
 */
import { deflateSync } from "node:zlib";
import { concat, fromLatin1 } from "../base/bytes.ts";
import { printableLine } from "../base/printable.ts";
import type { PrintedPage } from "./carriage.ts";

/** A4 in points of 1/72 inch. */
const SHORT = 595;
const LONG = 842;
const MARGIN = 36;
/** Courier's letters are 0.6 of its size wide (Adobe's metrics of the standard 14 fonts). */
const LETTER_WIDTH = 0.6;
/** From line to line, in sizes. */
const LEADING = 1.2;
/** Larger letters look like a poster. */
const LARGEST_SIZE = 10;
/** What fits an upright sheet; wider reports (132 columns are common) lie on their side. */
const UPRIGHT_COLUMNS = 90;

interface Sheet {
  readonly width: number;
  readonly height: number;
  readonly size: number;
}

/** The PDF; without pages, one that is empty. */
export function formatPdf(
  pages: readonly PrintedPage[],
  { title }: { readonly title: string },
): Uint8Array {
  const sheets: readonly PrintedPage[] = pages.length === 0 ? [[]] : pages;
  const sheet = sheetFor(sheets);
  // Objects 1 to 4: catalog, page tree, font, information; then two for each page.
  const first = 5;
  const kids = sheets.map((_, index) => `${first + 2 * index} 0 R`).join(" ");
  const objects: Uint8Array[] = [
    dictionary("/Type /Catalog /Pages 2 0 R"),
    dictionary(
      `/Type /Pages /Count ${sheets.length} /Kids [${kids}] /MediaBox [0 0 ${sheet.width} ${sheet.height}]`,
    ),
    dictionary("/Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding"),
    dictionary(`/Title ${textString(title)} /Producer (EMSmail)`),
  ];
  sheets.forEach((page, index) => {
    const contents = first + 2 * index + 1;
    const resources = "/Resources << /Font << /F1 3 0 R >> >>";
    objects.push(dictionary(`/Type /Page /Parent 2 0 R ${resources} /Contents ${contents} 0 R`));
    objects.push(stream(drawing(page, sheet)));
  });
  return assemble(objects);
}

/** One sheet for all pages: as high and wide as the largest needs. */
function sheetFor(pages: readonly PrintedPage[]): Sheet {
  let columns = 1;
  let lines = 1;
  for (const page of pages) {
    lines = Math.max(lines, page.length);
    for (const line of page) for (const text of line) columns = Math.max(columns, text.length);
  }
  const [width, height] = columns > UPRIGHT_COLUMNS ? [LONG, SHORT] : [SHORT, LONG];
  const size = Math.min(
    LARGEST_SIZE,
    (width - 2 * MARGIN) / (columns * LETTER_WIDTH),
    (height - 2 * MARGIN) / (lines * LEADING),
  );
  return { width, height, size: Math.floor(size * 100) / 100 };
}

/** ISO 32000-1 9.4: each record at its place. */
function drawing(page: PrintedPage, { height, size }: Sheet): string {
  const leading = size * LEADING;
  const shown = page.flatMap((line, place) => {
    const y = (height - MARGIN - size - place * leading).toFixed(2);
    return line.map((text) => `1 0 0 1 ${MARGIN} ${y} Tm (${escaped(winAnsi(printableLine(text)))}) Tj\n`);
  });
  return `BT /F1 ${size} Tf\n${shown.join("")}ET\n`;
}

/** ISO 32000-1 7.3.4.2. */
function escaped(latin: string): string {
  return latin.replace(/[\\()]/g, "\\$&");
}

/** Of code page 1252's places from 128 to 159, what stands there in Unicode; the rest of it is Latin-1. */
const WIN_ANSI_HIGH = "€\u0000‚ƒ„…†‡ˆ‰Š‹Œ\u0000Ž\u0000\u0000‘’“”•–—˜™š›œ\u0000žŸ";

/** A text in WinAnsiEncoding, one code unit an octet. */
function winAnsi(text: string): string {
  return Array.from(text, (sign) => {
    const code = sign.codePointAt(0)!;
    if (code < 0x80 || code >= 0xa0 && code <= 0xff) return sign;
    const place = WIN_ANSI_HIGH.indexOf(sign);
    return place < 0 ? "?" : String.fromCharCode(0x80 + place);
  }).join("");
}

/** ISO 32000-1 7.9.2.2: UTF-16 with a byte order mark, in hexadecimal digits. */
function textString(text: string): string {
  const units = Array.from(
    { length: text.length },
    (_, i) => text.charCodeAt(i).toString(16).padStart(4, "0"),
  );
  return `<FEFF${units.join("").toUpperCase()}>`;
}

function dictionary(entries: string): Uint8Array {
  return fromLatin1(`<< ${entries} >>`);
}

/** ISO 32000-1 7.3.8, compressed. */
function stream(content: string): Uint8Array {
  const packed = deflateSync(fromLatin1(content), { level: 6 });
  return concat([
    fromLatin1(`<< /Length ${packed.length} /Filter /FlateDecode >>\nstream\n`),
    packed,
    fromLatin1("\nendstream"),
  ]);
}

/** ISO 32000-1 7.5: header, objects, cross-reference table, trailer. */
function assemble(objects: readonly Uint8Array[]): Uint8Array {
  // The comment's octets above 127 tell programs that the file isn't text.
  const pieces: Uint8Array[] = [fromLatin1("%PDF-1.4\n%\u00e2\u00e3\u00cf\u00d3\n")];
  let octets = pieces[0]!.length;
  const places: string[] = [];
  objects.forEach((object, index) => {
    places.push(`${String(octets).padStart(10, "0")} 00000 n \n`);
    const whole = concat([fromLatin1(`${index + 1} 0 obj\n`), object, fromLatin1("\nendobj\n")]);
    pieces.push(whole);
    octets += whole.length;
  });
  const size = objects.length + 1;
  pieces.push(fromLatin1(
    `xref\n0 ${size}\n0000000000 65535 f \n${places.join("")}` +
      `trailer\n<< /Size ${size} /Root 1 0 R /Info 4 0 R >>\nstartxref\n${octets}\n%%EOF\n`,
  ));
  return concat(pieces);
}
