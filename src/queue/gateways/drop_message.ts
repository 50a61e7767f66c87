/**
 * The mail message that a pair of files in a folder becomes.
 *
 * Guarantees: nothing is held but a stretch of the body; every line end becomes CRLF in a text and in a whole message, an
 * attached file keeps its octets exactly; a whole message gets a Received field in front and is otherwise as it came.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { asBuffer, CR, isAscii, LF, utf8 } from "../../base/bytes.ts";
import { type Address, canonicalAddress, formatAddress, needsUtf8 } from "../../mail/address.ts";
import type { Envelope, Origin } from "../../mail/envelope.ts";
import type { MessageKey } from "../../mail/message_id.ts";
import { attachmentFields, encodeUnstructured } from "../../mime/format_fields.ts";
import { HeaderScanner } from "../../mime/header_scanner.ts";
import { encodeQuotedPrintable, field } from "../../mime/report/encode.ts";
import { dateField, messageIdField, receivedField } from "../../mime/trace.ts";
import { Base64Encoder } from "../../mime/transfer_encoding.ts";
import type { DropHead } from "./drop_head.ts";
import { HOPS_FIELD } from "./drop_out.ts";

/** What the head says the body file is. */
export type DropForm = "text" | "attachment" | "message";

/** What a first look at a body file finds. */
export interface Survey {
  readonly octets: number;
  readonly sha256: string;
  /** Of text without a character set of its own. */
  readonly charset: "utf-8" | "windows-1252";
  readonly ascii: "yes" | "no";
  /** Of a whole message: its header. */
  readonly header: Pick<HeaderScanner, "receivedCount" | "messageId" | "mboxLineOctets" | "has">;
}

export function formOf({ type, file }: DropHead): DropForm {
  if (file !== undefined) return "attachment";
  if (/^message\/rfc822\b/i.test(type)) return "message";
  return /^text\//i.test(type) ? "text" : "attachment";
}

/** Looks through a body file. */
export async function survey(body: AsyncIterable<Uint8Array>): Promise<Survey> {
  const hash = createHash("sha256");
  const header = new HeaderScanner();
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let octets = 0;
  let ascii: Survey["ascii"] = "yes";
  let charset: Survey["charset"] = "utf-8";
  const check = (part?: Uint8Array) => {
    if (charset !== "utf-8") return;
    try {
      decoder.decode(part, { stream: part !== undefined });
    } catch {
      charset = "windows-1252";
    }
  };
  for await (const part of body) {
    hash.update(part);
    header.push(part);
    octets += part.length;
    if (ascii === "yes" && !isAscii(part)) ascii = "no";
    check(part);
  }
  check();
  header.end();
  return { octets, sha256: hash.digest("hex"), charset, ascii, header };
}

export interface DropMessageOptions {
  readonly key: MessageKey;
  readonly hostname: string;
  /** The gateway's name and domain. */
  readonly gateway: { readonly name: string; readonly domain: string };
  readonly nowMs: number;
  readonly found: Survey;
}

/** Where such a message comes from, for `emsmail trace` and its Received field. */
export function dropOrigin(gateway: string): Origin {
  return { client: "", helo: gateway, transmission: "ESMTP" };
}

/** The envelope: each recipient once. */
export function dropEnvelope(head: DropHead, { found }: Pick<DropMessageOptions, "found">): Envelope {
  const addresses = [head.returnPath, head.from, ...head.to.map(({ address }) => address)];
  const needs8bit = formOf(head) === "message" && found.ascii === "no";
  return {
    reversePath: head.returnPath === null ? "" : formatAddress(head.returnPath),
    recipients: recipientsOf(head),
    smtpUtf8: addresses.some((address) => address !== null && needsUtf8(address)),
    ...needs8bit ? { requests: { body: "8BITMIME" } } : {},
  };
}

function recipientsOf({ to }: DropHead): string[] {
  return [...new Map(to.map(({ address }) => [canonicalAddress(address), formatAddress(address)])).values()];
}

/** The message's Message-ID without brackets. */
export function dropMessageId(head: DropHead, { key, hostname, found }: DropMessageOptions): string {
  if (formOf(head) === "message") return found.header.messageId;
  return head.messageId ?? ownId(key, hostname).replace(/^[^<]*<|>\s*$/g, "");
}

function ownId(key: MessageKey, hostname: string): string {
  return messageIdField(key, hostname);
}

/** The message's octets. */
export async function* dropMessage(
  head: DropHead,
  body: AsyncIterable<Uint8Array>,
  options: DropMessageOptions,
): AsyncIterable<Uint8Array> {
  const form = formOf(head);
  if (form === "message") {
    yield utf8(trace(head, options));
    return yield* withCrlf(body, { skip: options.found.header.mboxLineOctets });
  }
  const type = form === "text" ? textFields(head, options.found) : fileFields(head);
  yield utf8(`${trace(head, options)}${fields(head, options)}MIME-Version: 1.0\r\n${type}\r\n`);
  yield* form === "text" ? quotedPrintable(body) : base64(body);
}

/** RFC 5321 4.4, and what the other system said of the way before. */
function trace(head: DropHead, { key, hostname, gateway, nowMs }: DropMessageOptions): string {
  const [recipient, ...others] = recipientsOf(head);
  const received = receivedField({
    origin: dropOrigin(gateway.name),
    by: hostname,
    key,
    ...others.length === 0 ? { recipient: recipient! } : {},
    atMs: nowMs,
  });
  return received + (head.hops > 0 ? `${HOPS_FIELD}: ${head.hops}\r\n` : "");
}

function fields(head: DropHead, { key, hostname, gateway, nowMs }: DropMessageOptions): string {
  // RFC 3464 2: who writes nothing to be answered is a system, and has a postmaster.
  const from: Address = head.from ?? { local: "postmaster", domain: gateway.domain };
  const { messageId, inReplyTo } = head;
  return [
    field("From", formatAddress(from)),
    field("To", recipientsOf(head).join(", ")),
    head.subject === "" ? "" : field("Subject", encodeUnstructured(head.subject)),
    dateField(head.dateMs ?? nowMs),
    messageId === undefined ? ownId(key, hostname) : field("Message-ID", `<${messageId}>`),
    ...inReplyTo === undefined
      ? []
      : [field("In-Reply-To", `<${inReplyTo}>`), field("References", `<${inReplyTo}>`)],
    head.part === undefined ? "" : `X-EMS-Part: ${head.part}\r\n`,
  ].join("");
}

function textFields({ type }: DropHead, { charset }: Survey): string {
  const labelled = /;\s*charset\s*=/i.test(type)
    ? type
    : `${type.replace(/\s*;\s*$/, "")}; charset=${charset}`;
  return `${field("Content-Type", labelled)}Content-Transfer-Encoding: quoted-printable\r\n`;
}

function fileFields({ type, file }: DropHead): string {
  const named = file ?? "";
  // RFC 2046 5.2.1: a message as a part is never encoded; as a file it is.
  const safe = /^(?:message|multipart)\//i.test(type) ? "application/octet-stream" : type;
  return attachmentFields({ fileName: named, type: safe, encoding: "base64" });
}

/** Each line end made CRLF, and one at the end. */
async function* withCrlf(
  body: AsyncIterable<Uint8Array>,
  { skip }: { readonly skip: number },
): AsyncIterable<Uint8Array> {
  let left = skip;
  let last = LF;
  for await (const given of body) {
    const part = given.subarray(Math.min(left, given.length));
    left -= given.length - part.length;
    if (part.length === 0) continue;
    const out = new Uint8Array(part.length * 2 + 1);
    let length = 0;
    for (const octet of part) {
      // A CR alone ends a line too: it may not travel.
      if (last === CR && octet !== LF) out[length++] = LF;
      if (octet === LF && last !== CR) out[length++] = CR;
      out[length++] = octet;
      last = octet;
    }
    yield out.subarray(0, length);
  }
  if (last === CR) yield Uint8Array.of(LF);
  else if (last !== LF) yield Uint8Array.of(CR, LF);
}

/** Octets encoded at a time, in whole lines where they are not longer. */
const STRETCH_OCTETS = 48 * 1024;

async function* quotedPrintable(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  let held: Uint8Array = new Uint8Array();
  for await (const part of withCrlf(body, { skip: 0 })) {
    held = held.length === 0 ? part : Buffer.concat([held, part]);
    while (held.length >= STRETCH_OCTETS) {
      const cut = cutAt(held);
      yield encodedStretch(held.subarray(0, cut));
      held = held.subarray(cut);
    }
  }
  if (held.length > 0) yield encodedStretch(held);
}

/** Behind the last line end of the first stretch; in the middle of a line that has none, but never inside a line end. */
function cutAt(octets: Uint8Array): number {
  const end = asBuffer(octets).lastIndexOf(LF, STRETCH_OCTETS - 1) + 1;
  if (end > 0) return end;
  return octets[STRETCH_OCTETS - 1] === CR ? STRETCH_OCTETS - 1 : STRETCH_OCTETS;
}

function encodedStretch(octets: Uint8Array): Uint8Array {
  const text = encodeQuotedPrintable(octets);
  // RFC 2045 6.7 (5): a soft line break where the line goes on.
  return utf8(octets.at(-1) === LF ? text : `${text}=\r\n`);
}

async function* base64(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  const encoder = new Base64Encoder();
  let last = 0;
  const told = (octets: Uint8Array): Uint8Array => {
    last = octets.at(-1) ?? last;
    return octets;
  };
  for await (const part of body) yield told(encoder.push(part));
  yield told(encoder.end());
  if (last !== LF) yield Uint8Array.of(CR, LF);
}
