import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { concat, fromLatin1, utf8 } from "../../../src/base/bytes.ts";
import { cleanFileName, fileNameOf, shortened } from "../../../src/mime/file_name.ts";
import { parseHeader } from "../../../src/mime/header.ts";
import { parseParameterised } from "../../../src/mime/parameters.ts";

function nameIn(header: string | Uint8Array): string {
  const octets = typeof header === "string" ? utf8(header) : header;
  const { fields } = parseHeader(concat([octets, utf8("\r\n\r\n")]));
  const type = fields.find((field) => field.name === "Content-Type")?.value ?? "text/plain";
  return fileNameOf({ fields, type: parseParameterised(type) });
}

Deno.test("fileNameOf() reads a name in every way that programs write it", () => {
  const disposition = (parameters: string) => nameIn(`Content-Disposition: attachment; ${parameters}`);
  assertEquals(disposition('filename="budget 2026.xls"'), "budget 2026.xls");
  assertEquals(disposition("filename=budget.xls"), "budget.xls");
  assertEquals(disposition("filename=budget 2026 (final).xls; size=7"), "budget 2026 (final).xls");
  assertEquals(disposition("filename*=UTF-8''caf%C3%A9.txt"), "café.txt");
  assertEquals(disposition("filename=cafe.txt; filename*=ISO-8859-1'fr'caf%E9.txt"), "café.txt");
  assertEquals(
    disposition("filename*0*=UTF-8''%E6%97%A5;\r\n filename*1*=%E6%9C%AC;\r\n filename*2=.xls"),
    "日本.xls",
  );
  assertEquals(disposition('filename*0="a very "; filename*1="long.xls"'), "a very long.xls");
  assertEquals(disposition('filename="=?ISO-8859-1?Q?caf=E9?=.txt"'), "café.txt");
  assertEquals(disposition('filename="=?UTF-8?B?w6k=?=\r\n =?UTF-8?B?w6kucGRm?="'), "éé.pdf");
  assertEquals(disposition('filename*0="=?UTF-8?B?w6ku"; filename*1="cGRm?="'), "é.pdf");
  assertEquals(disposition('filename="naïve.doc"'), "naïve.doc");
  assertEquals(
    nameIn(fromLatin1('Content-Disposition: attachment; filename="na\xefve.doc"')),
    "naïve.doc",
  );
  assertEquals(disposition('filename="a \\"b\\".txt"'), "a _b_.txt");
  assertEquals(disposition('filename="C:\\Users\\bob\\report.txt"'), "report.txt");
});

Deno.test("fileNameOf() takes Content-Type's name where there is no file name, and names messages", () => {
  assertEquals(nameIn('Content-Type: application/pdf; name="a.pdf"'), "a.pdf");
  assertEquals(
    nameIn('Content-Type: application/pdf; name="a.pdf"\r\nContent-Disposition: attachment; filename=""'),
    "a.pdf",
  );
  assertEquals(
    nameIn("Content-Type: application/pdf; name=a.pdf\r\nContent-Disposition: attachment; filename=b.pdf"),
    "b.pdf",
  );
  assertEquals(nameIn("Content-Type: message/rfc822"), "message.eml");
  assertEquals(nameIn("Content-Type: message/rfc822; name=note.eml"), "note.eml");
  assertEquals(nameIn("Content-Type: image/png"), "");
  assertEquals(nameIn(""), "");
});

Deno.test("cleanFileName() leaves folders, devices and hidden characters out", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["../../etc/passwd", "passwd"],
    ["..\\..\\win.ini", "win.ini"],
    ["C:\\temp\\a.txt", "a.txt"],
    ["c:a.txt", "c_a.txt"],
    ["\\\\server\\share\\a.txt", "a.txt"],
    ["folder/", "folder"],
    [".", ""],
    ["..", ""],
    ["/", ""],
    ["a/..", ""],
    ["...", ""],
    [" name .txt. . ", "name .txt"],
    [".profile", ".profile"],
    ["evil\0.exe", "evil.exe"],
    ["a\tb\r\nc.txt", "a b c.txt"],
    ["invoice\u202egnp.exe", "invoicegnp.exe"],
    ["\u001b]0;title\u0007a.txt", "a.txt"],
    ["CON", "_CON"],
    ["nul.txt", "_nul.txt"],
    ["Lpt1.tar.gz", "_Lpt1.tar.gz"],
    ["COM¹.txt", "_COM¹.txt"],
    ["CONTRACT.txt", "CONTRACT.txt"],
    ["a:b*c?.txt", "a_b_c_.txt"],
    ["日本語.pdf", "日本語.pdf"],
    ["", ""],
  ];
  for (const [name, clean] of cases) assertEquals(cleanFileName(name), clean, JSON.stringify(name));
});

Deno.test("cleanFileName() gives 255 octets at most and keeps the suffix", () => {
  assertEquals(cleanFileName("a".repeat(300) + ".pdf"), "a".repeat(251) + ".pdf");
  const wide = cleanFileName("日".repeat(300) + ".xlsx");
  assertEquals(wide, "日".repeat(83) + ".xlsx");
  assertEquals(cleanFileName("x".repeat(300)).length, 255);
  assertEquals(cleanFileName("a." + "x".repeat(300)).length, 255);
  assertEquals(shortened("report.pdf", 8), "repo.pdf");
});

Deno.test("cleanFileName() names one file in a folder, whatever it is given", () => {
  const unit = fc.oneof(
    fc.constantFrom(
      "/",
      "\\",
      ".",
      "..",
      ":",
      " ",
      "\0",
      "\u202e",
      "\u001b[",
      "con",
      "NUL",
      ".txt",
      "é",
      "\ud800",
    ),
    fc.string({ unit: "binary", maxLength: 5 }),
  );
  fc.assert(
    fc.property(fc.array(unit, { maxLength: 30 }).map((units) => units.join("")), (name) => {
      const clean = cleanFileName(name);
      // deno-lint-ignore no-control-regex -- control characters are what must not be there
      assert(!/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069/\\:]/.test(clean), clean);
      assert(clean !== "." && clean !== ".." && !/^\s|[\s.]$/.test(clean), clean);
      assert(utf8(clean).length <= 255);
      assert(clean.isWellFormed());
      assertEquals(cleanFileName(clean), clean);
    }),
    { numRuns: 2000 },
  );
});
