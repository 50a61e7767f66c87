/**
 * The part of a message that a person reads, and a list of what else is in it.
 *
 * Guarantees: never fails, whatever the message; walks {@linkcode DEPTH} levels and {@linkcode PARTS} parts at most and
 * gives {@linkcode TEXT_CHARACTERS} at most, saying so where it left something out; nothing that comes out can steer a
 * terminal (base/printable.ts).
 *
 * Of alternatives (RFC 2046 5.1.4) the plain text is taken, or else the HTML, reduced. Absent on purpose: messages
 * inside the message are listed and not opened; text is not reflowed (RFC 3676); signatures and encryption are not
 * understood.
 *
 * @module
 */
import { asBuffer, CR, LF, utf8 } from "../base/bytes.ts";
import { printableLine, printableText } from "../base/printable.ts";
import { decodeText } from "./charset.ts";
import { fieldValue, type Header, parseHeader } from "./header.ts";
import { htmlToText } from "./html_text.ts";
import { type ParameterisedValue, parseParameterised } from "./parameters.ts";
import { decodeTransfer } from "./transfer_encoding.ts";

/** Multiparts inside multiparts: real mail has four or five levels. */
const DEPTH = 20;
/** Parts in all: a message with more attachments than this is no longer read as a list. */
const PARTS = 500;
/** A boundary may have 70 characters (RFC 2046 5.1.1); some programs write more. */
const BOUNDARY_CHARACTERS = 200;
/** What a person may be expected to page through, in UTF-16 code units. */
const TEXT_CHARACTERS = 2 * 1024 * 1024;
/** HTML and text are decoded up to here, in octets. */
const TEXT_OCTETS = 4 * 1024 * 1024;

export interface Attachment {
  /** As the sender named it, without folders; "" where it has no name. */
  readonly name: string;
  /** `application/pdf`, in lower case. */
  readonly type: string;
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

/** File systems take names of 255 octets. */
const NAME_CHARACTERS = 255;

interface Piece {
  readonly text: string;
  readonly kind: "plain" | "html";
}

/** One body part with its header. */
interface Part {
  readonly header: Header;
  readonly body: Uint8Array;
  readonly type: ParameterisedValue;
}

interface Walk {
  readonly attachments: Attachment[];
  parts: number;
  truncated: boolean;
}

/** Finds the readable text of a whole message. */
export function readableText(message: Uint8Array): ReadableMessage {
  const walk: Walk = { attachments: [], parts: 0, truncated: false };
  const pieces = walkPart(readPart(message, "text/plain"), { walk, depth: 0 });
  const text = printableText(pieces.map((piece) => piece.text).join("\n\n"));
  const cut = text.length > TEXT_CHARACTERS;
  return {
    text: cut ? text.slice(0, TEXT_CHARACTERS) : text,
    attachments: walk.attachments,
    truncated: walk.truncated || cut,
  };
}

function readPart(octets: Uint8Array, defaultType: string): Part {
  const header = parseHeader(octets);
  const type = parseParameterised(fieldValue(header, "content-type") ?? defaultType);
  // RFC 2045 5.2: what has no valid type is plain text.
  const valid = /^[^/]+\/[^/]+$/.test(type.value) ? type : { ...type, value: "text/plain" };
  return { header, body: octets.subarray(header.bodyOffset), type: valid };
}

interface WalkOptions {
  readonly walk: Walk;
  readonly depth: number;
}

function walkPart(part: Part, { walk, depth }: WalkOptions): Piece[] {
  if (++walk.parts > PARTS) {
    walk.truncated = true;
    return [];
  }
  const boundary = part.type.parameters.get("boundary") ?? "";
  if (!part.type.value.startsWith("multipart/")) return readLeaf(part, walk);
  if (boundary === "") return readAsText(part, walk);
  if (depth >= DEPTH || boundary.length > BOUNDARY_CHARACTERS) {
    walk.truncated = true;
    return [];
  }
  // RFC 2046 5.1.5: in a digest a part is a message unless it says otherwise.
  const defaultType = part.type.value === "multipart/digest" ? "message/rfc822" : "text/plain";
  const children: Piece[][] = [];
  for (const octets of splitMultipart(part.body, boundary)) {
    children.push(walkPart(readPart(octets, defaultType), { walk, depth: depth + 1 }));
    if (walk.parts > PARTS) break;
  }
  if (children.length === 0) return readAsText(part, walk);
  return part.type.value === "multipart/alternative" ? bestAlternative(children) : children.flat();
}

/** A multipart whose boundary isn't given or never comes: what is there is better shown than hidden. */
function readAsText(part: Part, walk: Walk): Piece[] {
  return readLeaf({ ...part, type: { ...part.type, value: "text/plain" } }, walk);
}

/** Plain text where there is some, otherwise the last (RFC 2046 5.1.4: the richest) that can be read. */
function bestAlternative(children: readonly Piece[][]): Piece[] {
  const plain = children.find((pieces) =>
    pieces.some((piece) => piece.kind === "plain" && piece.text.trim() !== "")
  );
  return plain ?? children.findLast((pieces) => pieces.length > 0) ?? [];
}

function readLeaf(part: Part, walk: Walk): Piece[] {
  const { value: type, parameters } = part.type;
  const encoding = (fieldValue(part.header, "content-transfer-encoding") ?? "").replace(/\(.*|;.*/s, "");
  const disposition = parseParameterised(fieldValue(part.header, "content-disposition") ?? "inline");
  const readable = (type === "text/plain" || type === "text/html") && disposition.value !== "attachment";
  if (!readable) {
    const name = attachmentName(disposition.parameters.get("filename") ?? parameters.get("name") ?? "");
    walk.attachments.push({
      name,
      type: printableLine(type),
      octets: decodeTransfer(part.body, encoding).length,
    });
    return [];
  }
  if (part.body.length > TEXT_OCTETS) walk.truncated = true;
  const body = decodeTransfer(part.body.subarray(0, TEXT_OCTETS), encoding);
  const text = decodeText(body, parameters.get("charset") ?? "");
  if (type === "text/html") return [{ text: htmlToText(text), kind: "html" }];
  return [{ text: text.trimEnd(), kind: "plain" }];
}

/** A file's name without folders of any system, fit to be shown. */
function attachmentName(name: string): string {
  const file = name.slice(Math.max(name.lastIndexOf("/"), name.lastIndexOf("\\")) + 1);
  return printableLine(file.slice(0, NAME_CHARACTERS)).trim();
}

/** The parts between a multipart's boundaries (RFC 2046 5.1.1); without a closing one, the last goes to the end. */
function* splitMultipart(body: Uint8Array, boundary: string): Generator<Uint8Array> {
  const octets = asBuffer(body);
  const delimiter = utf8(`--${boundary}`);
  let begin = -1;
  let at = 0;
  while (at < octets.length) {
    const found = octets.indexOf(delimiter, at);
    if (found < 0) break;
    at = found + 1;
    if (found > 0 && octets[found - 1] !== LF) continue;
    const closing = octets[found + delimiter.length] === 45 && octets[found + delimiter.length + 1] === 45;
    const lineEnd = endOfDelimiter(octets, found + delimiter.length + (closing ? 2 : 0));
    if (lineEnd < 0) continue;
    // The line end before a boundary belongs to the boundary.
    if (begin >= 0) yield octets.subarray(begin, Math.max(begin, beforeLineEnd(octets, found)));
    if (closing) return;
    begin = at = lineEnd;
  }
  if (begin >= 0) yield octets.subarray(begin);
}

/** Where the line of a delimiter ends, if only white space follows it; -1 otherwise. */
function endOfDelimiter(octets: Uint8Array, from: number): number {
  let at = from;
  while (octets[at] === 32 || octets[at] === 9 || octets[at] === CR) at++;
  if (at >= octets.length) return octets.length;
  return octets[at] === LF ? at + 1 : -1;
}

function beforeLineEnd(octets: Uint8Array, at: number): number {
  if (at === 0 || octets[at - 1] !== LF) return at;
  return at >= 2 && octets[at - 2] === CR ? at - 2 : at - 1;
}
