/**
 * A message broken apart: its text becomes one message, and each attachment one of its own (the seed, "PassThru vs Break
 * Apart").
 *
 * Guarantees: pure. The octets of each part are stretches of the message as it was received, never copied and never encoded
 * anew; each part is in exactly one piece. What can't be broken apart without loss stays whole: signed and encrypted
 * messages, packages, reports. Whatever is damaged is passed on as one message that says so.
 *
 * Each piece has the fields of the message except those about its content, `X-EMS-Part: 2/4`, and, behind the first, a
 * Message-ID of its own, In-Reply-To and References that name the first, and a subject that names the file.
 *
 * Absent on purpose: DKIM-Signature and ARC fields, which no piece could bear out.
 *
 * @module
 */
import { concat, fromLatin1, utf8 } from "../base/bytes.ts";
import { PIECES, PIECES_HEADER_OCTETS } from "../base/limits.ts";
import type { MessageKey } from "../mail/message_id.ts";
import { decodeEncodedWords } from "../mime/encoded_word.ts";
import { fileNameOf } from "../mime/file_name.ts";
import { attachmentFields } from "../mime/format_fields.ts";
import { fieldValue, type HeaderField } from "../mime/header.ts";
import { suffixOf } from "../mime/media_types.ts";
import { encodeWords, field } from "../mime/report/encode.ts";
import type { Entity, Structure } from "../mime/structure.ts";
import { messageIdField } from "../mime/trace.ts";
import { type Leaf, leavesOf, protectionOf } from "./leaves.ts";

/** One of the messages that a message is broken apart into. */
export interface MessagePiece {
  readonly key: MessageKey;
  /** The message it is a piece of. */
  readonly of: MessageKey;
  /** Which one: `2/4`. */
  readonly place: string;
  /** The octets that are its own. */
  readonly own: Uint8Array;
  /** What it is made of, in order: stretches of the message, and (without `source`) of `own`. */
  readonly segments: readonly {
    readonly source?: MessageKey;
    readonly offset: number;
    readonly length: number;
  }[];
  /** Octets in all. */
  readonly size: number;
  /** Without brackets. */
  readonly messageId: string;
}

export type BreakApart =
  /** It stays as it is; `why` is a clause. */
  | { readonly kind: "whole"; readonly why: string }
  /** One piece only where it is damaged: all of it, marked. */
  | { readonly kind: "apart"; readonly pieces: readonly MessagePiece[] };

export interface BreakApartOptions {
  /** The message's own key. */
  readonly key: MessageKey;
  /** Called for each piece in order. */
  readonly nextKey: () => MessageKey;
  /** Behind the @ of the pieces' Message-IDs. */
  readonly hostname: string;
}

/** Breaks a message apart, or says why it stays whole. */
export function breakApart(structure: Structure, options: BreakApartOptions): BreakApart {
  const { root, damage } = structure;
  if (damage.length > 0) return marked(structure, damage[0]!.text, options);
  const why = protectionOf(root);
  if (why !== undefined) return { kind: "whole", why };
  const leaves = leavesOf(root);
  if (leaves.length < 2) return { kind: "whole", why: "it has one part" };
  if (!leaves.some(({ role }) => role === "attachment")) {
    return { kind: "whole", why: "it has no attachment" };
  }
  const problem = tooMuch(root, leaves);
  if (problem !== undefined) return marked(structure, problem, options);
  const text = leaves.findIndex(({ role }) => role === "shown");
  const ordered = text > 0 ? [leaves[text]!, ...leaves.toSpliced(text, 1)] : leaves;
  const writer = new PieceWriter(root, ordered.length, options);
  return { kind: "apart", pieces: ordered.map((leaf, index) => writer.piece(leaf, index + 1)) };
}

/** Why there would be more of it than is good, or what can't be written again; a sentence, or undefined. */
function tooMuch(root: Entity, leaves: readonly Leaf[]): string | undefined {
  if (leaves.length > PIECES) {
    return `It has ${leaves.length} parts, and at most ${PIECES} are made messages of their own.`;
  }
  if (root.bodyStart * leaves.length > PIECES_HEADER_OCTETS) {
    return `Its header of ${root.bodyStart} octets is too long to go with each of its ${leaves.length} parts.`;
  }
  // RFC 2046 5.1.1 has fewer characters still; but these are written in one way only.
  const odd = leaves.find(({ boundary }) => !/^[\x20-\x7e]{1,200}$/.test(boundary));
  return odd === undefined
    ? undefined
    : "The boundary between its parts has characters that no boundary has.";
}

/** All of a message with a field in front that says what is wrong with it. */
function marked({ root, octets }: Structure, text: string, options: BreakApartOptions): BreakApart {
  const { key, nextKey } = options;
  const own = fromLatin1(field("X-EMS-Damaged", encodeWords(text)));
  const piece: MessagePiece = {
    key: nextKey(),
    of: key,
    place: "1/1",
    own,
    segments: [{ offset: 0, length: own.length }, { source: key, offset: 0, length: octets }],
    size: own.length + octets,
    messageId: messageIdOf(root.fields),
  };
  return { kind: "apart", pieces: [piece] };
}

/** About the content, or true of the whole only. */
const OF_THE_WHOLE = /^(content-.*|mime-version|dkim-signature|domainkey-signature|arc-.*|x-ems-part)$/i;
/** What only one of several messages may say: who it is, and whom it asks for an answer (RFC 8098 2.1). */
const OF_THE_FIRST =
  /^(message-id|in-reply-to|references|subject|disposition-notification-to|return-receipt-to)$/i;

class PieceWriter {
  readonly #fields: readonly HeaderField[];
  readonly #count: number;
  readonly #options: BreakApartOptions;
  /** The Message-ID field of the first piece, as its octets stand. */
  #first: HeaderField | undefined;

  constructor(root: Entity, count: number, options: BreakApartOptions) {
    this.#fields = root.fields.filter(({ name }) => !OF_THE_WHOLE.test(name));
    this.#count = count;
    this.#options = options;
    this.#first = this.#fields.find(({ name }) => /^message-id$/i.test(name));
  }

  /** The piece that a leaf becomes, `number` from 1; the first one has to be asked for first. */
  piece(leaf: Leaf, number: number): MessagePiece {
    const key = this.#options.nextKey();
    const place = `${number}/${this.#count}`;
    const fileName = leaf.role === "shown" ? "" : nameOf(leaf.entity, number);
    const identity = this.#identity(number, { key, label: `${place} ${fileName}`.trim(), role: leaf.role });
    const common = [...identity.fields.map(verbatim), `X-EMS-Part: ${place}\r\n`, "MIME-Version: 1.0\r\n"];
    const body = {
      source: this.#options.key,
      offset: leaf.entity.bodyStart,
      length: bodyLength(leaf.entity),
    };
    const { messageId } = identity;
    if (leaf.role === "shown") {
      const own = fromLatin1([...common, ...contentFields(leaf.entity, /^content-/i), "\r\n"].join(""));
      return this.#made({ key, place, messageId, head: own, body, tail: new Uint8Array() });
    }
    const head = concat([
      fromLatin1([...common, ...wrapperFields(leaf), "\r\n", `--${leaf.boundary}\r\n`].join("")),
      ...partHeader(leaf.entity, fileName),
    ]);
    // RFC 2046 5.1.1: the line end in front of a delimiter belongs to it, so the part ends where it ended.
    const tail = fromLatin1(`\r\n--${leaf.boundary}--\r\n`);
    return this.#made({ key, place, messageId, head, body, tail });
  }

  #made({ key, place, messageId, head, body, tail }: {
    readonly key: MessageKey;
    readonly place: string;
    readonly messageId: string;
    readonly head: Uint8Array;
    readonly body: { readonly source: MessageKey; readonly offset: number; readonly length: number };
    readonly tail: Uint8Array;
  }): MessagePiece {
    const segments = [{ offset: 0, length: head.length }, body, { offset: head.length, length: tail.length }];
    return {
      key,
      of: this.#options.key,
      place,
      own: concat([head, tail]),
      segments: segments.filter(({ length }) => length > 0),
      size: head.length + body.length + tail.length,
      messageId,
    };
  }

  /** The fields that are not about the content, and the Message-ID among them. */
  #identity(
    number: number,
    { key, label, role }: {
      readonly key: MessageKey;
      readonly label: string;
      readonly role: Leaf["role"];
    },
  ): { readonly fields: readonly HeaderField[]; readonly messageId: string } {
    const own = ownMessageId(key, this.#options.hostname);
    const isFirst = number === 1;
    if (isFirst && role === "shown" && this.#first !== undefined) {
      return { fields: this.#fields, messageId: bare(this.#first) };
    }
    const subject = this.#subject(label);
    if (isFirst) {
      const kept = role === "shown"
        ? this.#fields
        : this.#fields.filter(({ name }) => !/^subject$/i.test(name));
      const added = [...this.#first === undefined ? [own] : [], ...role === "shown" ? [] : [subject]];
      this.#first ??= own;
      return { fields: [...kept, ...added], messageId: bare(this.#first) };
    }
    const { raw } = this.#first!;
    const links = ["In-Reply-To", "References"].map((name) => ({ name, raw, value: this.#first!.value }));
    const kept = this.#fields.filter(({ name }) => !OF_THE_FIRST.test(name));
    return { fields: [...kept, own, ...links, subject], messageId: bare(own) };
  }

  /** The message's subject with the place and the file's name behind it. */
  #subject(label: string): HeaderField {
    const value = fieldValue({ fields: this.#fields }, "subject") ?? "";
    const text = `${decodeEncodedWords(value)} [${label}]`.trim();
    return parsed(field("Subject", encodeWords(text)));
  }
}

function ownMessageId(key: MessageKey, hostname: string): HeaderField {
  return parsed(messageIdField(key, hostname));
}

/** A field that was just written, as one that was read. */
function parsed(text: string): HeaderField {
  const colon = text.indexOf(":");
  const raw = text.slice(colon + 1).replace(/\r\n$/, "");
  return { name: text.slice(0, colon), raw, value: raw.replaceAll("\r\n", "").trim() };
}

function verbatim({ name, raw }: HeaderField): string {
  return `${name}:${raw}\r\n`;
}

function bare({ value }: HeaderField): string {
  return value.replace(/^<(.*)>$/, "$1");
}

function messageIdOf(fields: readonly HeaderField[]): string {
  const found = fields.find(({ name }) => /^message-id$/i.test(name));
  return found === undefined ? "" : bare(found);
}

function bodyLength({ bodyStart, end }: Entity): number {
  return Math.max(0, end - bodyStart);
}

/** A part's own fields whose names fit, as their octets stand. */
function contentFields({ fields }: Entity, names: RegExp): string[] {
  return fields.filter(({ name }) => names.test(name)).map(verbatim);
}

/** The multipart around a single attachment, which keeps the attachment's octets apart from what ends the message. */
function wrapperFields({ entity, boundary }: Leaf): string[] {
  const encoding = fieldValue(entity, "content-transfer-encoding") ?? "";
  const quoted = boundary.replace(/["\\]/g, "\\$&");
  return [
    `Content-Type: multipart/mixed;\r\n boundary="${quoted}"\r\n`,
    // RFC 2045 6.4: a multipart is labelled by what its parts need.
    ...(/^\s*(8bit|binary)\s*$/i.test(encoding) ? [`Content-Transfer-Encoding: ${encoding.trim()}\r\n`] : []),
  ];
}

/** An attachment's header: its type and name written anew, all else as it was. */
function partHeader(entity: Entity, fileName: string): Uint8Array[] {
  const rest = contentFields(entity, /^content-(?!type$|disposition$)/i);
  // What a package says of itself is how it is read.
  const named = entity.type.value.startsWith("multipart/")
    ? fromLatin1(contentFields(entity, /^content-(type|disposition)$/i).join(""))
    : utf8(attachmentFields({ fileName, type: entity.type.value, parameters: entity.type.parameters }));
  return [named, fromLatin1([...rest, "\r\n"].join(""))];
}

function nameOf(entity: Entity, number: number): string {
  const name = fileNameOf(entity);
  return name !== "" ? name : `attachment-${number}${suffixOf(entity.type.value)}`;
}
