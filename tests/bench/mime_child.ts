/**
 * One parser over one message, several times; prints its pace and memory as JSON. Run by mime.ts with Node.
 *
 * @module
 */
import { closeSync, createReadStream, openSync, readFileSync, readSync, statSync } from "node:fs";
import process from "node:process";
import { createRequire } from "node:module";
import { asBuffer } from "../../src/base/bytes.ts";
import { type Entity, MimeScanner, type Structure } from "../../src/mime/structure.ts";
import { TransferDecoder } from "../../src/mime/transfer_encoding.ts";

/** As the store keeps bodies. */
const PART_OCTETS = 256 * 1024;
const TIMES = 5;

const [, , parser, file] = process.argv;
const require = createRequire(`${process.env.NODE_PATH}/`);

const PARSERS: Readonly<Record<string, () => number | Promise<number>>> = {
  structure: () => attachmentsOf(structureOf()).length,
  decoded: () => {
    const parts = attachmentsOf(structureOf());
    let at = 0;
    let index = 0;
    let decoder = new TransferDecoder("base64");
    let octets = 0;
    for (const chunk of chunks()) {
      // What of the chunk belongs to which part.
      for (
        let part = parts[index];
        part !== undefined && part.bodyStart < at + chunk.length;
        part = parts[index]
      ) {
        const piece = chunk.subarray(Math.max(0, part.bodyStart - at), part.end - at);
        octets += decoder.push(piece).length;
        if (part.end > at + chunk.length) break;
        octets += decoder.end().length;
        decoder = new TransferDecoder("base64");
        index++;
      }
      at += chunk.length;
    }
    if (octets < statSync(file!).size / 2) throw new Error(`only ${octets} octets were decoded`);
    return index;
  },
  "postal-mime": async () => {
    const { default: PostalMime } = require("postal-mime");
    return (await PostalMime.parse(asBuffer(readFileSync(file!)))).attachments.length;
  },
  mailparser: async () => {
    const { simpleParser } = require("mailparser");
    return (await simpleParser(createReadStream(file!, { highWaterMark: PART_OCTETS }))).attachments.length;
  },
};

/** The message in parts, each in the same memory, so that what is measured is what the parser needs. */
function* chunks(): Generator<Uint8Array> {
  const buffer = new Uint8Array(PART_OCTETS);
  const opened = openSync(file!, "r");
  try {
    for (let read = readSync(opened, buffer); read > 0; read = readSync(opened, buffer)) {
      yield buffer.subarray(0, read);
    }
  } finally {
    closeSync(opened);
  }
}

function structureOf(): Structure {
  const scanner = new MimeScanner();
  for (const chunk of chunks()) scanner.push(chunk);
  return scanner.end();
}

function attachmentsOf({ root }: Structure): readonly Entity[] {
  return root.children.filter(({ type }) => type.value === "application/octet-stream");
}

const parse = PARSERS[parser!]!;
const { gc } = globalThis as { gc?: () => void };
gc?.();
const before = process.memoryUsage.rss();
const megabytes = statSync(file!).size / 1e6;
const paces: number[] = [];
let attachments = 0;
for (let time = 0; time < TIMES; time++) {
  const startMs = performance.now();
  attachments = await parse();
  paces.push(megabytes / ((performance.now() - startMs) / 1000));
}
paces.sort((a, b) => a - b);
// The highest of this process: getrusage() would count its parent's before the exec.
const highest = Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"))![1]) * 1024;
console.log(JSON.stringify({
  megabytesPerSecond: paces[Math.floor(paces.length / 2)],
  memoryMegabytes: (highest - before) / 1e6,
  attachments,
}));
