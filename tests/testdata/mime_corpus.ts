/**
 * Messages that are hard on a MIME parser, made for this project. The small ones are the files in `mime/`: NAME.eml beside
 * NAME.txt, what has to be found in it. The large ones are made here.
 *
 * A line of a summary is one part: its media type, and of one without parts its decoded octets, the first digits of their
 * SHA-256, and its name; then, each on a line, what is damaged.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { concat, fromLatin1, utf8 } from "../../src/base/bytes.ts";
import { fileNameOf } from "../../src/mime/file_name.ts";
import { fieldValue } from "../../src/mime/header.ts";
import type { Entity, Structure } from "../../src/mime/structure.ts";
import { decodeTransfer } from "../../src/mime/transfer_encoding.ts";

export interface CorpusMessage {
  readonly name: string;
  readonly octets: Uint8Array;
  /** Its summary; of a message with very many parts, the beginning. */
  readonly expect: string;
}

const FOLDER = new URL("mime/", import.meta.url);

/** All messages, by name. */
export function* mimeCorpus(): Generator<CorpusMessage> {
  const files = [...Deno.readDirSync(FOLDER)].map(({ name }) => name).filter((name) => name.endsWith(".eml"));
  for (const file of files.sort()) {
    yield {
      name: file.slice(0, -4),
      octets: Deno.readFileSync(new URL(file, FOLDER)),
      expect: Deno.readTextFileSync(new URL(`${file.slice(0, -4)}.txt`, FOLDER)),
    };
  }
  yield* made();
}

/** What was found in a message, in lines. */
export function summaryOf({ root, damage }: Structure, octets: Uint8Array): string {
  return [...partLines(root, octets, ""), ...damage.map(({ kind }) => `damage: ${kind}`), ""].join("\n");
}

function partLines(entity: Entity, octets: Uint8Array, indent: string): string[] {
  const { type, bodyStart, end, children } = entity;
  if (children.length > 0) {
    return [
      `${indent}${type.value}`,
      ...children.flatMap((child) => partLines(child, octets, `${indent}  `)),
    ];
  }
  const encoding = fieldValue(entity, "content-transfer-encoding") ?? "";
  const decoded = decodeTransfer(octets.subarray(bodyStart, end), encoding);
  const digest = createHash("sha256").update(decoded).digest("hex").slice(0, 8);
  const name = fileNameOf(entity);
  return [
    `${indent}${type.value} ${decoded.length} ${digest}${name === "" ? "" : ` ${JSON.stringify(name)}`}`,
  ];
}

// ---------------------------------------------------------------- made here

const HEAD = "From: alice@example.org\r\nSubject: made\r\nMIME-Version: 1.0\r\n";

function* made(): Generator<CorpusMessage> {
  const mixed = `${HEAD}Content-Type: multipart/mixed; boundary=b\r\n`;
  const message = (name: string, octets: Uint8Array, ...expect: string[]) => ({
    name,
    octets,
    expect: expect.join("\n"),
  });
  const text = "--b\r\n\r\nx\r\n";

  yield message(
    "2001 parts",
    utf8(`${mixed}\r\n${text.repeat(2001)}--b--\r\n`),
    "multipart/mixed",
    "  text/plain 1 2d711642",
  );
  yield message("25 levels", levels(25), "multipart/mixed", "  multipart/mixed", "    multipart/mixed");
  yield message("20 levels", levels(20), "multipart/mixed", "  multipart/mixed", "    multipart/mixed");

  const line = fromLatin1("\xe9".repeat(100_000));
  yield message(
    "a line of 100 kB",
    concat([utf8(`${HEAD}\r\n`), line, utf8("\r\n")]),
    `text/plain 100002 ${sha256(concat([line, utf8("\r\n")]))}`,
  );
  const field = `X-Long: ${"y".repeat(990)}\r\n`;
  yield message(
    "a header of 1 MB",
    utf8(`${mixed}${field.repeat(1048)}\r\n${text}--b--\r\n`),
    "multipart/mixed",
    "  text/plain 1 2d711642",
    "damage: limit",
  );

  const every = Uint8Array.from({ length: 256 * 256 }, (_, i) => (i >> 8) ^ (i & 255));
  yield message(
    "every octet, binary",
    concat([
      utf8(
        `${mixed}\r\n--b\r\nContent-Type: application/x-all; name=all.bin\r\nContent-Transfer-Encoding: binary\r\n\r\n`,
      ),
      every,
      utf8("\r\n--b--\r\n"),
    ]),
    "multipart/mixed",
    `  application/x-all ${every.length} ${sha256(every)} "all.bin"`,
  );
  yield message(
    "near misses of a delimiter",
    utf8(
      `${mixed}\r\n--b\r\nContent-Type: a/b\r\n\r\n${
        "\r\n--c\r\n--ba\r\n--b-\r\n --b".repeat(10_000)
      }\r\n--b--\r\n`,
    ),
    "multipart/mixed",
    `  a/b 230000 ${sha256(utf8("\r\n--c\r\n--ba\r\n--b-\r\n --b".repeat(10_000)))}`,
  );
}

function levels(count: number): Uint8Array {
  let inner = "\r\nx";
  for (let i = 0; i < count; i++) {
    inner = `Content-Type: multipart/mixed; boundary=b${i}\r\n\r\n--b${i}\r\n${inner}\r\n--b${i}--`;
  }
  return utf8(HEAD + inner);
}

function sha256(octets: Uint8Array): string {
  return createHash("sha256").update(octets).digest("hex").slice(0, 8);
}
