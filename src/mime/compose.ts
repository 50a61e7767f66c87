/**
 * A message made here: fields, a text, and attachments of which some are kept elsewhere already.
 *
 * Guarantees: lines end with CRLF and are no longer than any system must take (RFC 5322 2.1.1), as far as they are made
 * here; the header is ASCII unless an address itself needs UTF-8 (RFC 6531); nothing given as a value can begin a field
 * or a part; who is a Bcc recipient doesn't appear (RFC 5322 3.6.3). What is kept elsewhere is not read, not changed and
 * not copied: it becomes a segment.
 *
 * Absent on purpose: HTML, and texts in more than one form.
 *
 * @module
 */
import { asBuffer, concat, utf8 } from "../base/bytes.ts";
import { canonicalDomain, formatAddress, needsUtf8, parseAddress } from "../mail/address.ts";
import { formatDate } from "../mail/date.ts";
import type { MessageKey } from "../mail/message_id.ts";
import { encodePhrase, encodeUnstructured } from "./format_fields.ts";
import type { Mailbox } from "./mailbox_list.ts";
import { field } from "./report/encode.ts";
import { textPart } from "./report/multipart.ts";

/** A stretch of a body or content that is kept elsewhere, from the start of that. */
export interface KeptStretch {
  readonly source: MessageKey;
  readonly offset: number;
  readonly length: number;
}

/** What a part's body is made of, encoded as it travels. */
export type PartContent = Uint8Array | KeptStretch;

export interface ComposedPart {
  /** Whole fields with CRLF. */
  readonly fields: string;
  readonly content: PartContent;
}

export type LetterPriority = "low" | "normal" | "high";

export interface Letter {
  readonly from: Mailbox;
  readonly to: readonly Mailbox[];
  readonly cc: readonly Mailbox[];
  /** "" leaves the field out. */
  readonly subject: string;
  readonly atMs: number;
  /** Without brackets. */
  readonly messageId: string;
  /** Of what this answers, without brackets; "" where it answers nothing. */
  readonly inReplyTo: string;
  /** What it goes back to, oldest first, without brackets (RFC 5322 3.6.4). */
  readonly references: readonly string[];
  readonly priority: LetterPriority | undefined;
  /** Who is to hear that it was read (RFC 8098 2.1). */
  readonly readReceiptTo: Mailbox | undefined;
  /** Lines ended by LF. */
  readonly text: string;
  readonly attachments: readonly ComposedPart[];
  /** Of characters that RFC 2046 5.1.1 allows; occurs in no content. */
  readonly boundary: string;
}

/** A stretch of a composed message: its own octets (without `source`), or what is kept elsewhere. */
export interface ComposedSegment {
  readonly source?: MessageKey;
  readonly offset: number;
  readonly length: number;
}

export interface ComposedMessage {
  /** The octets that are its own, in order. */
  readonly own: Uint8Array;
  /** What it is made of, in order. */
  readonly segments: readonly ComposedSegment[];
  /** Octets of the segments together. */
  readonly size: number;
  /** Its header holds UTF-8: it needs SMTPUTF8. */
  readonly smtpUtf8: boolean;
}

/** Puts a message together. @throws {RangeError} where the boundary occurs in what is given as octets */
export function compose(letter: Letter): ComposedMessage {
  const header = headerOf(letter);
  const text = textPart("text/plain; charset=utf-8", utf8(endLine(letter.text)));
  const pieces: PartContent[] = [];
  if (letter.attachments.length === 0) {
    pieces.push(utf8(`${header}${text.fields.join("")}\r\n`), text.body);
  } else {
    const delimiter = `--${letter.boundary}`;
    const top = `Content-Type: multipart/mixed; boundary="${letter.boundary}"\r\n`;
    pieces.push(utf8(`${header}${top}\r\n${delimiter}\r\n${text.fields.join("")}\r\n`), text.body);
    for (const { fields, content } of letter.attachments) {
      // RFC 2046 5.1.1: the line end before a delimiter belongs to it, so that contents stay exact.
      pieces.push(utf8(`\r\n${delimiter}\r\n${fields}\r\n`), content);
    }
    pieces.push(utf8(`\r\n${delimiter}--\r\n`));
    checkBoundary(letter, [text.body, ...letter.attachments.map(({ content }) => content)]);
  }
  // deno-lint-ignore no-control-regex -- U+0000 to U+007F is what ASCII is
  return { ...joined(pieces), smtpUtf8: /[^\u0000-\u007f]/.test(header) };
}

function headerOf(letter: Letter): string {
  const { from, to, cc, subject, atMs, messageId, inReplyTo, references, readReceiptTo } = letter;
  const fields = [
    `Date: ${formatDate(atMs)}\r\n`,
    mailboxField("From", [from]),
    mailboxField("To", to),
    mailboxField("Cc", cc),
    subject === "" ? "" : `Subject: ${encodeUnstructured(subject)}\r\n`,
    field("Message-ID", `<${messageId}>`),
    inReplyTo === "" ? "" : field("In-Reply-To", `<${inReplyTo}>`),
    references.length === 0 ? "" : field("References", references.map((id) => `<${id}>`).join(" ")),
    priorityFields(letter.priority),
    readReceiptTo === undefined ? "" : mailboxField("Disposition-Notification-To", [readReceiptTo]),
    "MIME-Version: 1.0\r\n",
  ];
  return fields.join("");
}

/** A field of mailboxes; "" without any. */
function mailboxField(name: string, mailboxes: readonly Mailbox[]): string {
  return mailboxes.length === 0 ? "" : field(name, mailboxes.map(formatMailbox).join(", "));
}

/** `Bob Long <bobl@example.com>` as a header field has it (RFC 5322 3.4). */
export function formatMailbox({ name, address }: Mailbox): string {
  return name.trim() === "" ? address : `${encodePhrase(name)} <${address}>`;
}

/**
 * An address as it travels: a domain of other scripts as A-labels (RFC 5890 2.3.2.1), so that no system on the way needs
 * SMTPUTF8 for it; a local part that isn't ASCII keeps it all as it is.
 */
export function travellingAddress(text: string): string {
  const address = parseAddress(text);
  if ("error" in address || !needsUtf8(address)) return text;
  const ascii = { ...address, domain: canonicalDomain(address.domain) };
  return needsUtf8(ascii) ? text : formatAddress(ascii);
}

/** RFC 2156 has Priority and Importance; the third is what many mail programs go by. */
function priorityFields(priority: LetterPriority | undefined): string {
  switch (priority) {
    case "high":
      return "Priority: urgent\r\nImportance: high\r\nX-Priority: 1 (Highest)\r\n";
    case "low":
      return "Priority: non-urgent\r\nImportance: low\r\nX-Priority: 5 (Lowest)\r\n";
    case "normal":
      return "Priority: normal\r\nImportance: normal\r\nX-Priority: 3 (Normal)\r\n";
    case undefined:
      return "";
  }
}

function endLine(text: string): string {
  return text === "" || text.endsWith("\n") ? text : `${text}\n`;
}

function checkBoundary({ boundary }: Letter, contents: readonly PartContent[]): void {
  for (const content of contents) {
    if (content instanceof Uint8Array && asBuffer(content).includes(`--${boundary}`, 0, "latin1")) {
      throw new RangeError(`the boundary ${boundary} occurs in a part`);
    }
  }
}

function joined(pieces: readonly PartContent[]): Omit<ComposedMessage, "smtpUtf8"> {
  const own: Uint8Array[] = [];
  const segments: ComposedSegment[] = [];
  let ownOctets = 0;
  let size = 0;
  for (const piece of pieces) {
    const length = piece.length;
    size += length;
    if (length === 0) continue;
    if (!(piece instanceof Uint8Array)) segments.push({ ...piece });
    else {
      own.push(piece);
      const last = segments.at(-1);
      if (last !== undefined && last.source === undefined) {
        segments[segments.length - 1] = { ...last, length: last.length + length };
      } else segments.push({ offset: ownOctets, length });
      ownOctets += length;
    }
  }
  return { own: concat(own), segments, size };
}
