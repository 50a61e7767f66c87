import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { assert, assertEquals } from "@std/assert";
import { concat } from "../../../src/base/bytes.ts";
import { fieldValue } from "../../../src/mime/header.ts";
import type { Entity, Structure } from "../../../src/mime/structure.ts";
import { readableText } from "../../../src/mime/text_body.ts";
import { decodeTransfer } from "../../../src/mime/transfer_encoding.ts";
import { mimeCorpus, summaryOf } from "../../testdata/mime_corpus.ts";
import { checkStructure, entities, scan } from "./structure_invariants.ts";

const CORPUS = [...mimeCorpus()];

for (const { name, octets, expect } of CORPUS) {
  Deno.test(`MimeScanner finds what is in the corpus' "${name}", however it is cut`, () => {
    const structure = scan(octets);
    checkStructure(structure, octets);
    const summary = summaryOf(structure, octets);
    if (name in LARGE) assertEquals(summary.startsWith(expect), true, summary.slice(0, 1000));
    else assertEquals(summary.trimEnd(), expect.trimEnd());
    for (const size of octets.length < 20_000 ? [1, 2, 3, 61] : [4093, 65_536]) {
      assertEquals(scan(octets, size), structure, `in pieces of ${size}`);
    }
    assert(readableText(octets).text.isWellFormed());
    const { parts, damage } = LARGE[name] ?? {};
    if (parts !== undefined) assertEquals(entities(structure.root).length, parts);
    if (damage !== undefined) assertEquals(structure.damage.map(({ kind }) => kind), damage);
  });
}

/** Of those with too many parts for a whole summary. */
const LARGE: Record<string, { readonly parts: number; readonly damage: readonly string[] }> = {
  "2001 parts": { parts: 2000, damage: ["limit"] },
  "25 levels": { parts: 21, damage: ["limit"] },
  "20 levels": { parts: 21, damage: [] },
};

// ---------------------------------------------------------------- beside Python's email

/** Prints for each message its leaves, or null where Python finds fault with it. Messages inside messages are not opened. */
const READER = `
import sys, json, email, hashlib
def leaves(part):
    if part.defects: raise ValueError
    if part.get_content_maintype() == "multipart" and part.is_multipart():
        return [leaf for child in part.get_payload() for leaf in leaves(child)]
    body = None if part.is_multipart() else hashlib.sha256(part.get_payload(decode=True)).hexdigest()
    if part.defects: raise ValueError
    return [[part.get_content_type(), body]]
out = []
for path in json.load(sys.stdin):
    try: out.append(leaves(email.message_from_bytes(open(path, "rb").read())))
    except Exception: out.append(None)
print(json.dumps(out))
`;

type Leaves = readonly (readonly [type: string, sha256: string | null])[] | null;

const python = spawnSync("python3", ["--version"]).status === 0;

function pythonLeaves(paths: readonly string[]): Leaves[] {
  const { stdout, stderr } = spawnSync("python3", ["-c", READER], {
    input: JSON.stringify(paths),
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  assert(stdout !== "", stderr);
  return JSON.parse(stdout);
}

/** Ours, in Python's form. */
function leavesOf({ root }: Structure, octets: Uint8Array): Leaves {
  return entities(root).filter(({ children }) => children.length === 0).map((leaf) => {
    if (leaf.type.value.startsWith("message/")) return [leaf.type.value, null];
    return [leaf.type.value, createHash("sha256").update(decoded(leaf, octets)).digest("hex")];
  });
}

function decoded(leaf: Entity, octets: Uint8Array): Uint8Array {
  return decodeTransfer(
    octets.subarray(leaf.bodyStart, leaf.end),
    fieldValue(leaf, "content-transfer-encoding") ?? "",
  );
}

/** Where the two differ, neither of them finding fault, and why that is right. */
const DIFFERENT: Record<string, string> = {
  "comments_and_folding.eml": "RFC 2045 5.1 allows comments; Python takes them for the type",
  "qp_broken.eml": "of what is no quoted-printable, each keeps something else",
  "unknown_encoding.eml": "Python undoes uuencode, which no RFC has as an encoding",
  "msg_37.txt":
    "Python takes delimiters that follow each other for one, here there are empty parts between them",
};

/** Compares every message in which both see no fault; gives how many there were. */
function compare(paths: readonly string[]): number {
  let compared = 0;
  for (const [i, theirs] of pythonLeaves(paths).entries()) {
    const octets = Deno.readFileSync(paths[i]!);
    const structure = scan(octets);
    checkStructure(structure, octets);
    assertEquals(scan(octets, 7), structure);
    const name = paths[i]!.slice(paths[i]!.lastIndexOf("/") + 1);
    if (theirs === null || structure.damage.length > 0 || name in DIFFERENT) continue;
    assertEquals(leavesOf(structure, octets), theirs, paths[i]);
    compared++;
  }
  return compared;
}

Deno.test({
  name: "MimeScanner and Python's email find the same in the corpus",
  ignore: !python,
  fn: () => {
    const folder = new URL("../../testdata/mime/", import.meta.url).pathname;
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) =>
      name.endsWith(".eml")
    );
    assert(compare(names.sort().map((name) => folder + name)) >= 30);
  },
});

const DATA = python
  ? spawnSync("python3", ["-c", "import test.test_email as t; print(t.__path__[0] + '/data/')"], {
    encoding: "utf8",
  })
    .stdout.trim()
  : "";

Deno.test({
  name: "MimeScanner and Python's email find the same in that one's own test messages",
  ignore: DATA === "",
  fn: () => {
    const names = [...Deno.readDirSync(DATA)].map(({ name }) => name).filter((name) => name.endsWith(".txt"));
    assert(compare(names.sort().map((name) => DATA + name)) >= 20);
  },
});

Deno.test("the corpus lays every octet of each message into one place", () => {
  for (const { octets } of CORPUS) {
    const { root } = scan(octets);
    let at = 0;
    const pieces: Uint8Array[] = [];
    for (const { start, bodyStart, end, children } of entities(root)) {
      if (children.length > 0) continue;
      pieces.push(
        octets.subarray(at, start),
        octets.subarray(start, bodyStart),
        octets.subarray(bodyStart, end),
      );
      at = end;
    }
    assertEquals(concat([...pieces, octets.subarray(at)]).length, octets.length);
  }
});
