/**
 * What a file drop's body file is made of: the one thing a message holds, decoded, or else the message itself.
 *
 * - a text (alone, alone in a multipart/mixed, or the plain one of alternatives, RFC 2046 5.1.4): as UTF-8, lines ended
 *   by LF
 * - an attachment (alone, or alone in a multipart/mixed): its exact octets
 * - anything else (several things, a package, something signed, encrypted or damaged): the message as it is
 *
 * Guarantees: a message is read part by part and never held; text that claims no character set is UTF-8 where it is that,
 * otherwise Windows-1252, as everywhere here.
 *
 * @module
 */
import { decoderFor } from "../../mime/charset.ts";
import { fileNameOf } from "../../mime/file_name.ts";
import { fieldValue } from "../../mime/header.ts";
import { parseParameterised } from "../../mime/parameters.ts";
import { type Entity, MimeScanner, type Structure } from "../../mime/structure.ts";
import { TransferDecoder } from "../../mime/transfer_encoding.ts";
import type { OutgoingContent } from "../smtp_courier.ts";

/** What the body file holds. */
export type DropBody =
  | { readonly form: "text"; readonly entity: Entity; readonly type: string; readonly charset: string }
  | { readonly form: "attachment"; readonly entity: Entity; readonly type: string; readonly file: string }
  | { readonly form: "message" };

/** Encodings that can be undone (RFC 2045 6.1). */
const ENCODINGS = ["", "7bit", "8bit", "binary", "base64", "quoted-printable"];

/** Finds a message's structure. */
export async function structureOf(content: OutgoingContent, signal: AbortSignal): Promise<Structure> {
  const scanner = new MimeScanner();
  for await (const part of content.parts()) {
    signal.throwIfAborted();
    scanner.push(part);
  }
  return scanner.end();
}

/** What a message of this structure is to another system. */
export function dropBodyOf({ root, damage }: Structure): DropBody {
  if (damage.length > 0) return { form: "message" };
  const [only, ...others] = root.children;
  if (root.type.value === "multipart/mixed" && only !== undefined && others.length === 0) {
    return leafBody(only);
  }
  if (root.type.value === "multipart/alternative" && only !== undefined) {
    const plain = leafBody(only);
    return plain.form === "text" && plain.type === "text/plain" ? plain : { form: "message" };
  }
  return leafBody(root);
}

function leafBody(entity: Entity): DropBody {
  const { value: type, parameters } = entity.type;
  if (type.startsWith("multipart/") || !ENCODINGS.includes(encodingOf(entity))) return { form: "message" };
  const disposition = parseParameterised(fieldValue(entity, "content-disposition") ?? "inline").value;
  const file = fileNameOf(entity);
  if (type.startsWith("text/") && disposition !== "attachment" && file === "") {
    return { form: "text", entity, type, charset: parameters.get("charset") ?? "" };
  }
  const charset = /^[\w.:+-]{1,60}$/.exec(parameters.get("charset") ?? "")?.[0];
  const named = file === "" ? unnamed(type) : file;
  return {
    form: "attachment",
    entity,
    type: charset === undefined ? type : `${type}; charset=${charset}`,
    file: named,
  };
}

/** An attachment has a name always: by it a reader of the header file tells a file from a text or a message. */
function unnamed(type: string): string {
  if (type === "message/rfc822") return "message.eml";
  return type.startsWith("text/") ? "attachment.txt" : "attachment.bin";
}

function encodingOf(entity: Entity): string {
  return (fieldValue(entity, "content-transfer-encoding") ?? "").replace(/\([^()]*\)|;.*/gs, "").trim()
    .toLowerCase();
}

/** The octets of the body file. */
export async function* dropOctets(
  content: OutgoingContent,
  body: DropBody,
  signal: AbortSignal,
): AsyncIterable<Uint8Array> {
  if (body.form === "message") return yield* guarded(content.parts(), signal);
  const decoded = () => decodedOctets(guarded(content.parts(), signal), body.entity);
  if (body.form === "attachment") return yield* decoded();
  const labelled = decoderFor(body.charset);
  // Without a label it takes another look: what is not UTF-8 may show only at the end.
  const decoder = labelled ?? new TextDecoder(await isUtf8(decoded()) ? "utf-8" : "windows-1252");
  yield* utf8Text(decoded(), decoder);
}

async function* guarded(parts: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncIterable<Uint8Array> {
  for await (const part of parts) {
    signal.throwIfAborted();
    yield part;
  }
}

/** An entity's body with its transfer encoding undone. */
async function* decodedOctets(parts: AsyncIterable<Uint8Array>, entity: Entity): AsyncIterable<Uint8Array> {
  const decoder = new TransferDecoder(encodingOf(entity));
  let at = 0;
  for await (const part of parts) {
    const stretch = part.subarray(Math.max(0, entity.bodyStart - at), Math.max(0, entity.end - at));
    at += part.length;
    if (stretch.length > 0) yield decoder.push(stretch);
    if (at >= entity.end) break;
  }
  yield decoder.end();
}

async function isUtf8(parts: AsyncIterable<Uint8Array>): Promise<boolean> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  try {
    for await (const part of parts) decoder.decode(part, { stream: true });
    decoder.decode();
    return true;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}

/** Text as UTF-8, each line end made LF. */
async function* utf8Text(parts: AsyncIterable<Uint8Array>, decoder: TextDecoder): AsyncIterable<Uint8Array> {
  const encoder = new TextEncoder();
  let held = "";
  for await (const part of parts) {
    const text = held + decoder.decode(part, { stream: true });
    // Whether a CR is half a line end is known with what follows.
    held = text.endsWith("\r") ? "\r" : "";
    const ready = held === "" ? text : text.slice(0, -1);
    if (ready !== "") yield encoder.encode(ready.replace(/\r\n?/g, "\n"));
  }
  const rest = held + decoder.decode();
  if (rest !== "") yield encoder.encode(rest.replace(/\r\n?/g, "\n"));
}
