/**
 * Fuzzes the MIME scanner and what reads its findings: `deno run -A tests/fuzz/mime_fuzz.ts [--seconds N] [--seed N]`.
 *
 * Invariants, whatever the message and however its octets are cut:
 *  1. nothing throws;
 *  2. whole, byte by byte and in random pieces, the same structure comes of it;
 *  3. parts lie inside their parents, in order, without overlapping, each behind a delimiter; the root is the message;
 *  4. within the limits it is the structure that a reader of whole lines finds, written here a second time;
 *  5. an opening is the first octets of a text's body;
 *  6. a body decoded in pieces is the body decoded at once;
 *  7. what readableText() shows holds no control character.
 *
 * Run n uses the seed s + n, so a failure is repeated by giving its seed.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { concat, fromLatin1, latin1 } from "../../src/base/bytes.ts";
import { type Random, seededRandom } from "../../src/base/random.ts";
import { dashBoundary } from "../../src/mime/boundary.ts";
import { fieldValue, parseHeader } from "../../src/mime/header.ts";
import { parseParameterised } from "../../src/mime/parameters.ts";
import { type Entity, MimeScanner, type Structure } from "../../src/mime/structure.ts";
import { readableText } from "../../src/mime/text_body.ts";
import { decodeTransfer, TransferDecoder } from "../../src/mime/transfer_encoding.ts";
import { checkStructure, entities, scan } from "../unit/mime/structure_invariants.ts";
import { drive } from "./drive.ts";

const PIECES = [
  "\r\n",
  "\r\n",
  "\n",
  "\r\n\r\n",
  "\r",
  "-",
  "--",
  "--a",
  "\r\n--a\r\n",
  "\n--a\n",
  "\r\n--a--\r\n",
  "\r\n--ab\r\n",
  "\r\n--ab--\r\n",
  "--ab-- \t\r\n",
  "\r\n--b\r\n",
  "\r\n--b--",
  "\r\n--a" + " ".repeat(300) + "\r\n",
  " ",
  "\t",
  "Content-Type: multipart/mixed; boundary=a\r\n",
  'Content-Type: multipart/alternative;\r\n boundary="ab"\r\n',
  "Content-Type: multipart/digest; boundary=b\r\n",
  "Content-Type: multipart/mixed\r\n",
  "Content-Type: multipart/mixed; boundary=a-\n",
  "Content-Type: multipart/mixed; boundary=a--\n",
  "Content-Type: text/html\r\n",
  "Content-Type: application/pdf; name=x.pdf\r\n",
  "Content-Type: message/rfc822\r\n",
  "Content-Transfer-Encoding: base64\r\n",
  "Content-Transfer-Encoding: quoted-printable\r\n",
  "Content-Disposition: attachment; filename*=UTF-8''%C3%A9\r\n",
  "From x\r\n",
  "A: b\r\n",
  "no field\r\n",
  "YWJj",
  "=3D=\r\n",
  "text",
  "x".repeat(600),
  "\0\xff",
];

interface Case {
  readonly message: Uint8Array;
}

function make(seed: number): Case {
  const random = seededRandom(seed);
  const count = Math.floor(random.fraction() ** 2 * 60);
  const pieces = Array.from({ length: count }, () => PIECES[Math.floor(random.fraction() * PIECES.length)]!);
  const begin = random.fraction() < 0.8 ? "Content-Type: multipart/mixed; boundary=a\r\n\r\n" : "";
  return { message: fromLatin1(begin + pieces.join("")) };
}

function run({ message }: Case, seed: number): void {
  const whole = scan(message);
  const expected = summary(whole);
  assertEquals(summary(scan(message, 1)), expected, "byte by byte");
  const scanner = new MimeScanner();
  for (const piece of cut(message, seededRandom(seed))) scanner.push(piece);
  assertEquals(summary(scanner.end()), expected, "in random pieces");
  checkStructure(whole, message);
  assertEquals(summary(whole).entities, readByLines(message), "read by lines");
  for (const { bodyStart, end, fields } of entities(whole.root)) {
    const encoding = fieldValue({ fields }, "content-transfer-encoding") ?? "";
    const body = message.subarray(bodyStart, end);
    const decoder = new TransferDecoder(encoding);
    const decoded = [...cut(body, seededRandom(seed)).map((piece) => decoder.push(piece)), decoder.end()];
    assertEquals(latin1(concat(decoded)), latin1(decodeTransfer(body, encoding)), encoding);
  }
  const { text } = readableText(message);
  // deno-lint-ignore no-control-regex -- control characters are what must not be there
  assert(!/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/.test(text));
}

function cut(octets: Uint8Array, random: Random): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < octets.length;) {
    const next = at + 1 + Math.floor(random.fraction() * 12);
    pieces.push(octets.slice(at, next));
    at = next;
  }
  return pieces;
}

interface Summary {
  readonly entities: readonly string[];
  readonly damage: readonly string[];
}

function summary({ root, damage }: Structure): Summary {
  return { entities: lines(root, 0), damage: damage.map(({ kind, at }) => `${kind} ${at}`) };
}

interface Shape extends Pick<Entity, "type" | "start" | "bodyStart" | "end"> {
  readonly children: readonly Shape[];
}

function lines(entity: Shape, depth: number): string[] {
  const { type, start, bodyStart, end, children } = entity;
  return [
    `${"  ".repeat(depth)}${type.value} ${start} ${bodyStart} ${end}`,
    ...children.flatMap((child) => lines(child, depth + 1)),
  ];
}

// ---------------------------------------------------------------- the same, from the whole message, line by line

interface Found {
  readonly start: number;
  readonly delimiter: string | undefined;
  /** A delimiter came before the empty line: none of its own counts there. */
  readonly allHeader: boolean;
  type: Entity["type"];
  bodyStart: number;
  end: number;
  children: Found[];
}

/** A message's structure by the plainest means: all of its lines, and a stack. Without limits. */
function readByLines(message: Uint8Array): string[] {
  const text = latin1(message);
  const open: (Found & { closed?: boolean })[] = [];
  const root = readEntity(message, { start: 0, defaultType: "text/plain", delimiters: [] });
  open.push(root);
  let at = root.bodyStart;
  while (at < text.length) {
    const lineFeed = text.indexOf("\n", at);
    const next = lineFeed < 0 ? text.length : lineFeed + 1;
    const line = text.slice(at, lineFeed < 0 ? text.length : lineFeed);
    const index = open.findLastIndex((each) =>
      !each.closed && each.delimiter !== undefined && !(each.allHeader && each.bodyStart === at) &&
      isDelimiter(line, each.delimiter) !== ""
    );
    if (index >= 0) {
      const ending = text.slice(0, at).endsWith("\r\n") ? 2 : text[at - 1] === "\n" ? 1 : 0;
      for (const each of open.splice(index + 1).reverse()) finish(each, at - ending);
      const multipart = open[index]!;
      if (isDelimiter(line, multipart.delimiter!) === "close") multipart.closed = true;
      else {
        const delimiters = open.flatMap((each) =>
          each.closed || each.delimiter === undefined ? [] : [each.delimiter]
        );
        const digest = multipart.type.value === "multipart/digest";
        const part = readEntity(message, {
          start: next,
          defaultType: digest ? "message/rfc822" : "text/plain",
          delimiters,
        });
        multipart.children.push(part);
        open.push(part);
        at = part.bodyStart;
        continue;
      }
    }
    at = next;
  }
  for (const each of open.reverse()) finish(each, text.length);
  return lines(root, 0);
}

function finish(found: Found, end: number): void {
  found.end = Math.max(end, found.bodyStart, found.children.at(-1)?.end ?? 0);
}

function readEntity(
  message: Uint8Array,
  options: { readonly start: number; readonly defaultType: string; readonly delimiters: readonly string[] },
): Found {
  const { start, defaultType, delimiters } = options;
  const text = latin1(message);
  // A header ends where a delimiter of what it is inside comes.
  let limit = text.length;
  for (let at = start; at < text.length;) {
    const lineFeed = text.indexOf("\n", at);
    const line = text.slice(at, lineFeed < 0 ? text.length : lineFeed);
    if (delimiters.some((each) => isDelimiter(line, each) !== "")) {
      limit = at;
      break;
    }
    if (lineFeed < 0) break;
    at = lineFeed + 1;
  }
  const header = parseHeader(message.subarray(start, limit));
  const parsed = parseParameterised(fieldValue(header, "content-type") ?? defaultType);
  const type = /^[^/]+\/[^/]+$/.test(parsed.value) ? parsed : { ...parsed, value: defaultType };
  const dash = type.value.startsWith("multipart/") ? dashBoundary(header.fields) : undefined;
  const bodyStart = start + header.bodyOffset;
  return {
    start,
    allHeader: bodyStart === limit && !/(?:^|\n)\r?\n$/.test(text.slice(start, bodyStart)),
    type,
    delimiter: dash === undefined ? undefined : latin1(dash),
    bodyStart,
    end: 0,
    children: [],
  };
}

function isDelimiter(line: string, delimiter: string): "" | "close" | "delimiter" {
  if (!line.startsWith(delimiter)) return "";
  const match = /^(--)?[ \t\r]*$/.exec(line.slice(delimiter.length));
  return match === null ? "" : match[1] === undefined ? "delimiter" : "close";
}

drive({
  name: "MIME",
  make,
  run,
  show: ({ message }) => [JSON.stringify(latin1(message))],
});
