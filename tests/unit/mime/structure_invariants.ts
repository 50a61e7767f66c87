/**
 * What must hold of a structure whatever the message is, for unit tests, corpora and the fuzz target.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { latin1 } from "../../../src/base/bytes.ts";
import { MIME_DEPTH, MIME_PARTS } from "../../../src/base/limits.ts";
import { type Entity, MimeScanner, OPENING_OCTETS, type Structure } from "../../../src/mime/structure.ts";

/** Scans a message in pieces of so many octets. */
export function scan(octets: Uint8Array, pieceOctets: number = octets.length): Structure {
  const scanner = new MimeScanner();
  for (let at = 0; at < octets.length; at += pieceOctets) scanner.push(octets.slice(at, at + pieceOctets));
  return scanner.end();
}

/** All entities, a parent before its children. */
export function entities(root: Entity): Entity[] {
  return [root, ...root.children.flatMap(entities)];
}

/** Throws where a structure can't be that of the message. */
export function checkStructure({ root, octets: length, damage }: Structure, octets: Uint8Array): void {
  assertEquals([root.start, root.end, length], [0, octets.length, octets.length]);
  const all = entities(root);
  assert(all.length <= MIME_PARTS, "too many parts");
  for (const { kind, at } of damage) assert(all.some(({ start }) => start === at), `${kind} at ${at}`);
  checkEntity(root, octets, 0);
}

function checkEntity(entity: Entity, octets: Uint8Array, depth: number): void {
  const { start, bodyStart, end, children, opening, type } = entity;
  assert(start <= bodyStart && bodyStart <= end && end <= octets.length, `${start} ${bodyStart} ${end}`);
  assert(depth <= MIME_DEPTH, "too deep");
  assert(/^[^/]+\/[^/]+$/.test(type.value), type.value);
  const kept = type.value.startsWith("text/") ? Math.min(end, bodyStart + OPENING_OCTETS) : bodyStart;
  assertEquals(latin1(opening), latin1(octets.subarray(bodyStart, kept)));
  if (children.length > 0) assert(type.value.startsWith("multipart/"));
  let from = bodyStart;
  for (const child of children) {
    assert(child.start >= from && child.end <= end, "parts overlap, or leave their parent");
    const before = latin1(octets.subarray(from, child.start));
    assert(
      /(?:^|\n)--[^\n]*\n?$/.test(before),
      `no delimiter before ${child.start}: ${JSON.stringify(before)}`,
    );
    checkEntity(child, octets, depth + 1);
    from = child.end;
  }
}
