import { spawnSync } from "node:child_process";
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { utf8 } from "../../../src/base/bytes.ts";
import { decodeEncodedWords } from "../../../src/mime/encoded_word.ts";
import { cleanFileName, fileNameOf } from "../../../src/mime/file_name.ts";
import { attachmentFields, encodePhrase, encodeUnstructured } from "../../../src/mime/format_fields.ts";
import { fieldValue, parseHeader } from "../../../src/mime/header.ts";
import { parseMailboxList } from "../../../src/mime/mailbox_list.ts";
import { parseParameterised } from "../../../src/mime/parameters.ts";

/** Texts that a line shows as they are. */
const TEXT = fc.string({ unit: "grapheme", maxLength: 120 }).map((text) => decodeEncodedWords(text).trim());

function linesOf(fields: string): string[] {
  assert(fields.endsWith("\r\n"));
  const lines = fields.slice(0, -2).split("\r\n");
  for (const line of lines) assert(/^[\x20-\x7e]{1,78}$/.test(line), JSON.stringify(line));
  return lines;
}

Deno.test("encodeUnstructured() keeps ASCII, encodes the rest and folds", () => {
  assertEquals(encodeUnstructured("Lunch  at noon"), "Lunch  at noon");
  assertEquals(encodeUnstructured("Grüße"), "=?UTF-8?B?R3LDvMOfZQ==?=");
  assertEquals(encodeUnstructured("a\r\nBcc: x"), "a Bcc: x");
  assertEquals(encodeUnstructured(""), "");
  const url = `https://example.org/${"x".repeat(50)}`;
  assertEquals(encodeUnstructured(`See ${url}`), `See\r\n ${url}`);
});

Deno.test("encodeUnstructured() is read back, in short lines", () => {
  const text = fc.oneof(
    TEXT,
    fc.string({ unit: fc.constantFrom("a", " ", "=?", "é", "\r\n"), maxLength: 200 }),
  );
  fc.assert(fc.property(text, (text) => {
    const field = `Subject: ${encodeUnstructured(text)}\r\n`;
    linesOf(field);
    const read = decodeEncodedWords(fieldValue(parseHeader(utf8(`${field}\r\n`)), "subject") ?? "");
    assertEquals(read, decodeEncodedWords(text.replace(/=\?/g, "=\ufffc?")).trim().replace(/\ufffc/g, ""));
  }));
});

Deno.test("encodePhrase() writes atoms, a quoted string or encoded words", () => {
  assertEquals(encodePhrase("Bob Smith"), "Bob Smith");
  assertEquals(encodePhrase("Smith, Bob"), '"Smith, Bob"');
  assertEquals(encodePhrase('Bob "B" \\'), '"Bob \\"B\\" \\\\"');
  assertEquals(encodePhrase("Zoë"), "=?UTF-8?B?Wm/Dqw==?=");
  assertEquals(encodePhrase(""), "");
});

Deno.test("encodePhrase() is read back as a display name", () => {
  fc.assert(fc.property(TEXT.filter((text) => text !== ""), (text) => {
    const field = `From: ${encodePhrase(text)}\r\n <a@example.org>\r\n`;
    linesOf(field);
    const from = parseMailboxList(fieldValue(parseHeader(utf8(`${field}\r\n`)), "from") ?? "");
    assertEquals(from.map(({ name, address }) => [name, address]), [[text, "a@example.org"]]);
  }));
});

Deno.test("attachmentFields() writes names so that old and new programs read them", () => {
  assertEquals(
    attachmentFields({ fileName: "budget 2026.xls", type: "application/vnd.ms-excel", encoding: "base64" }),
    "Content-Type: application/vnd.ms-excel;\r\n" +
      ' name="budget 2026.xls"\r\n' +
      "Content-Disposition: attachment;\r\n" +
      ' filename="budget 2026.xls"\r\n' +
      "Content-Transfer-Encoding: base64\r\n",
  );
  assertEquals(
    attachmentFields({
      fileName: "é.pdf",
      type: "application/pdf",
      parameters: new Map([["charset", "utf-8"]]),
    }),
    "Content-Type: application/pdf;\r\n charset=utf-8;\r\n" +
      ' name="=?UTF-8?B?w6kucGRm?="\r\n' +
      "Content-Disposition: attachment;\r\n" +
      " filename*=UTF-8''%C3%A9.pdf\r\n",
  );
  assertEquals(
    attachmentFields({ fileName: "", type: "no type" }),
    "Content-Type: application/octet-stream\r\nContent-Disposition: attachment\r\n",
  );
});

Deno.test("attachmentFields() keeps a boundary in one piece", () => {
  const boundary = "=_" + "x".repeat(68);
  const fields = attachmentFields({
    fileName: "",
    type: "multipart/related",
    parameters: new Map([["boundary", boundary]]),
  });
  assertEquals(fields.split("\r\n")[1], ` boundary="${boundary}"`);
});

Deno.test("attachmentFields() is read back, in short lines", () => {
  const name = fc.oneof(
    TEXT,
    fc.string({ maxLength: 300 }),
    fc.string({ unit: fc.constantFrom("=?", "é", "'", "%41", ";", '"', " ", "a"), maxLength: 100 }),
  );
  fc.assert(
    fc.property(name, (fileName) => {
      const fields = attachmentFields({ fileName, type: "application/pdf" });
      linesOf(fields);
      const header = parseHeader(utf8(`${fields}\r\n`));
      const type = parseParameterised(fieldValue(header, "content-type")!);
      assertEquals(type.value, "application/pdf");
      assertEquals(fileNameOf({ fields: header.fields, type }), cleanFileName(fileName));
      assertEquals(cleanFileName(type.parameters.get("name") ?? ""), cleanFileName(fileName));
    }),
    { numRuns: 500 },
  );
});

const NAMES = [
  "plain.txt",
  "two  blanks.txt",
  "é.pdf",
  "日本語のとても長い名前の表計算ファイル、二〇二六年度の予算案.xlsx",
  `${"long ".repeat(30)}name.txt`,
  `${"x".repeat(200)}.bin`,
  "semi;colon'quote%41.txt",
];
const READER = `
import sys, json, email, email.policy
names = []
for raw in json.load(sys.stdin):
    old = email.message_from_string(raw)
    new = email.message_from_string(raw, policy=email.policy.default)
    names.append([old.get_filename(), new.get_filename(), str(new["subject"])])
print(json.dumps(names))
`;

Deno.test({
  name: "attachmentFields() and encodeUnstructured() are read by Python's email",
  ignore: spawnSync("python3", ["--version"]).status !== 0,
  fn: () => {
    const input = NAMES.map((name) =>
      `Subject: ${encodeUnstructured(name)}\r\n${attachmentFields({ fileName: name, type: "a/b" })}\r\nx`
    );
    const { stdout } = spawnSync("python3", ["-c", READER], {
      input: JSON.stringify(input),
      encoding: "utf8",
    });
    const expected = NAMES.map((name) => [cleanFileName(name), cleanFileName(name), name]);
    assertEquals(JSON.parse(stdout), expected);
  },
});
