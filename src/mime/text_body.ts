/**
 * The part of a message that a person reads, and a list of what else is in it.
 *
 * Guarantees: never fails, whatever the message; sees the parts that structure.ts tells apart and gives {@linkcode TEXT_CHARACTERS}
 * at most, saying so where it left something out; nothing that comes out can steer a terminal (base/printable.ts).
 *
 * Of alternatives (RFC 2046 5.1.4) the plain text is taken, or else the HTML, reduced. Absent on purpose: messages
 * inside the message are listed and not opened; text is not reflowed (RFC 3676); signatures and encryption are not
 * understood.
 *
 * @module
 */
import { printableLine, printableText } from "../base/printable.ts";
import { decodeText } from "./charset.ts";
import { fileNameOf } from "./file_name.ts";
import { fieldValue } from "./header.ts";
import { htmlToText } from "./html_text.ts";
import { parseParameterised } from "./parameters.ts";
import { type Entity, MimeScanner, type Structure } from "./structure.ts";
import { decodeTransfer, encodingName } from "./transfer_encoding.ts";

/** What a person may be expected to page through, in UTF-16 code units. */
const TEXT_CHARACTERS = 2 * 1024 * 1024;
/** HTML and text are decoded up to here, in octets. */
const TEXT_OCTETS = 4 * 1024 * 1024;

/** What can be saved as a file: any part but the texts that are read. */
export interface AttachmentPlace {
  /** As the sender named it, clean (see file_name.ts); "" where it has no name. */
  readonly name: string;
  /** `application/pdf`, in lower case. */
  readonly type: string;
  /** Of the type, by name in lower case. */
  readonly parameters: ReadonlyMap<string, string>;
  /** The Content-Transfer-Encoding, in lower case; "" where there is none. */
  readonly encoding: string;
  /** Where it lies in the message as it travels, in octets from its start. */
  readonly bodyStart: number;
  readonly end: number;
}

export interface Attachment extends AttachmentPlace {
  /** Decoded octets. */
  readonly octets: number;
}

export interface ReadableMessage {
  /** Lines ended by LF; "" where there is no text. */
  readonly text: string;
  readonly attachments: readonly Attachment[];
  /** Something was left out: too many parts, too deep, or too long. */
  readonly truncated: boolean;
}

interface Piece {
  readonly text: string;
  readonly kind: "plain" | "html";
}

interface Walk {
  readonly message: Uint8Array;
  readonly hidden: ReadonlySet<Entity>;
  truncated: boolean;
}

/** Finds the readable text of a whole message. */
export function readableText(message: Uint8Array): ReadableMessage {
  const scanner = new MimeScanner();
  scanner.push(message);
  const structure = scanner.end();
  const hidden = beyondLimits(structure);
  const walk: Walk = { message, hidden, truncated: structure.damage.some(({ kind }) => kind === "limit") };
  const pieces = walkPart(structure.root, walk);
  const text = printableText(pieces.map((piece) => piece.text).join("\n\n"));
  const cut = text.length > TEXT_CHARACTERS;
  const attachments = attachmentsIn(structure).map((place) => ({
    ...place,
    octets: decodeTransfer(message.subarray(place.bodyStart, place.end), place.encoding).length,
  }));
  return { text: cut ? text.slice(0, TEXT_CHARACTERS) : text, attachments, truncated: walk.truncated || cut };
}

/** The attachments of a message of which only the structure is at hand, in the order in which they come. */
export function attachmentsIn(structure: Structure): AttachmentPlace[] {
  const hidden = beyondLimits(structure);
  return leavesOf(structure.root)
    .filter((leaf) => !isReadable(leaf) && !hidden.has(leaf))
    .map((leaf) => ({
      name: fileNameOf(leaf),
      type: printableLine(leaf.type.value),
      parameters: leaf.type.parameters,
      encoding: encodingName(fieldValue(leaf, "content-transfer-encoding") ?? ""),
      bodyStart: leaf.bodyStart,
      end: leaf.end,
    }));
}

function leavesOf(entity: Entity): Entity[] {
  return entity.children.length === 0 ? [entity] : entity.children.flatMap(leavesOf);
}

/** Multiparts whose parts were not looked for: what they hold is neither text nor one attachment. */
function beyondLimits({ root, damage }: Structure): Set<Entity> {
  const starts = new Set(damage.filter(({ kind }) => kind === "limit").map(({ at }) => at));
  return new Set(
    leavesOf(root).filter(({ type, start }) => type.value.startsWith("multipart/") && starts.has(start)),
  );
}

/** A text that is meant for reading; also a multipart without parts: what is there is better shown than hidden. */
function isReadable({ type, fields }: Entity): boolean {
  if (type.value.startsWith("multipart/")) return true;
  const disposition = parseParameterised(fieldValue({ fields }, "content-disposition") ?? "inline");
  return (type.value === "text/plain" || type.value === "text/html") && disposition.value !== "attachment";
}

function walkPart(entity: Entity, walk: Walk): Piece[] {
  if (entity.children.length === 0) return isReadable(entity) ? readLeaf(entity, walk) : [];
  const children = entity.children.map((child) => walkPart(child, walk));
  return entity.type.value === "multipart/alternative" ? bestAlternative(children) : children.flat();
}

/** Plain text where there is some, otherwise the last (RFC 2046 5.1.4: the richest) that can be read. */
function bestAlternative(children: readonly Piece[][]): Piece[] {
  const plain = children.find((pieces) =>
    pieces.some((piece) => piece.kind === "plain" && piece.text.trim() !== "")
  );
  return plain ?? children.findLast((pieces) => pieces.length > 0) ?? [];
}

function readLeaf(entity: Entity, walk: Walk): Piece[] {
  const { bodyStart, end, type } = entity;
  if (walk.hidden.has(entity)) return [];
  if (end - bodyStart > TEXT_OCTETS) walk.truncated = true;
  const octets = walk.message.subarray(bodyStart, Math.min(end, bodyStart + TEXT_OCTETS));
  const body = decodeTransfer(octets, fieldValue(entity, "content-transfer-encoding") ?? "");
  const text = decodeText(body, type.parameters.get("charset") ?? "");
  if (type.value === "text/html") return [{ text: htmlToText(text), kind: "html" }];
  return [{ text: text.trimEnd(), kind: "plain" }];
}
