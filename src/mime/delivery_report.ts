/**
 * Delivery status notifications (RFC 3464, in a multipart/report of RFC 6522), composed as octets.
 *
 * Guarantees: pure; three parts, the text for people first. No CR, LF or other control character of a reply, an address
 * or a dialogue gets through, so nothing that another system said can add a field or a recipient. What is made here is
 * ASCII, whatever it tells of, and needs no extension to travel; only a whole message returned as it was may hold more
 * ({@linkcode needs8bit}), and only `to` or a UTF-8 host name can need SMTPUTF8.
 *
 * Absent on purpose: whether a notification is due and to whom it goes (the queue decides that: never to the null
 * reverse-path, RFC 3461 5.2.5), and translations.
 *
 * @module
 */
import { asBuffer, isAscii, LF, utf8 } from "../base/bytes.ts";
import { printableLine } from "../base/printable.ts";
import { formatDate } from "../mail/date.ts";
import type { MessageKey } from "../mail/message_id.ts";
import { clean } from "../mail/reply.ts";
import { parseHeader } from "./header.ts";
import { encodeWords, field } from "./report/encode.ts";
import { multipartReport, type Part, textPart } from "./report/multipart.ts";
import { ACTIONS, readableText } from "./report/readable.ts";
import { dateField, messageIdField } from "./trace.ts";

/** RFC 3464 2.3.3. */
export type RecipientAction = "failed" | "delayed" | "delivered" | "relayed" | "expanded";

/** What became of one recipient. */
export interface ReportedRecipient {
  /** The address that was tried, without brackets. */
  readonly recipient: string;
  /** As the sender first wrote it, `rfc822;a@b.example` (RFC 3461 4.2, decoded). */
  readonly orcpt?: string;
  readonly action: RecipientAction;
  /** `5.1.1` (RFC 3463); what is no status becomes the action's general one. */
  readonly status: string;
  /** The host that answered or was tried. */
  readonly remoteMta?: string;
  /** Its reply, `550 5.1.1 no such user`. */
  readonly diagnostic?: string;
  /** In milliseconds since 1970. */
  readonly lastAttemptMs?: number;
  readonly willRetryUntilMs?: number;
  /** Why, in a sentence for people. */
  readonly reason: string;
  /** What was said in the failed try, in lines `C: …` and `S: …`; quoted for failures. */
  readonly dialogue?: string;
}

export interface DeliveryReport {
  /** Our own host name: Reporting-MTA. */
  readonly hostname: string;
  /** The address in the From field. */
  readonly from: string;
  /** The reverse-path that gets the notification. */
  readonly to: string;
  /** Now, in milliseconds since 1970. */
  readonly atMs: number;
  /** The notification's own id. */
  readonly key: MessageKey;
  /** When the message came in, in milliseconds since 1970. */
  readonly arrivedAtMs: number;
  /** The sender's name for the envelope, decoded (RFC 3461 4.4). */
  readonly envid?: string;
  /** The message's subject, decoded. */
  readonly subjectOf?: string;
  /** The message's Message-ID, without brackets. */
  readonly messageId?: string;
  readonly recipients: readonly ReportedRecipient[];
  /** What is returned of the message: see {@linkcode headerSection}. */
  readonly original: { readonly kind: "headers" | "full"; readonly octets: Uint8Array };
  /** The message came with SMTPUTF8: its addresses and fields may be UTF-8 (RFC 6533). */
  readonly smtpUtf8: boolean;
}

/** What is returned of a header section, in octets: more than any reader looks at. */
const RETURNED_HEADER_OCTETS = 32 * 1024;
/** A subject is cut here, in characters. */
const SUBJECT_CHARACTERS = 200;
/** A diagnostic is cut here, in characters: replies of 100 lines exist. */
const DIAGNOSTIC_CHARACTERS = 4096;

const SUBJECTS: { readonly [action in RecipientAction]: string } = {
  failed: "Undelivered",
  delayed: "Delayed",
  delivered: "Delivered",
  relayed: "Passed on",
  expanded: "Delivered to a list",
};

/** RFC 3463: the status that says no more than the action does. */
const STATUSES: { readonly [action in RecipientAction]: string } = {
  failed: "5.0.0",
  delayed: "4.0.0",
  delivered: "2.0.0",
  relayed: "2.0.0",
  expanded: "2.0.0",
};

/** Composes a notification, header and all; each line ends with CRLF. */
export function composeDeliveryReport(report: DeliveryReport): Uint8Array {
  const parts = [
    textPart("text/plain; charset=utf-8", utf8(readableText(report))),
    statusPart(report),
    originalPart(report),
  ];
  return multipartReport(parts, { head: headOf(report), reportType: "delivery-status", key: report.key });
}

/**
 * The header section of a message without the empty line behind it: whole lines, {@linkcode RETURNED_HEADER_OCTETS} at
 * most.
 */
export function headerSection(octets: Uint8Array): Uint8Array {
  const begin = asBuffer(octets.subarray(0, RETURNED_HEADER_OCTETS));
  const { bodyOffset } = parseHeader(begin);
  let end = bodyOffset;
  if (end === begin.length && octets.length > begin.length) end = begin.lastIndexOf(LF) + 1;
  const section = begin.subarray(0, end);
  const empty = /(^|\n)\r?\n$/.exec(section.subarray(-3).toString("latin1"));
  return empty === null ? section : section.subarray(0, section.length - empty[0].length + empty[1]!.length);
}

/** Whether a message holds octets over 127, and so needs 8BITMIME (RFC 6152) to travel as it is. */
export function needs8bit(octets: Uint8Array): boolean {
  return !isAscii(octets);
}

function headOf(report: DeliveryReport): string {
  const { hostname, from, to, atMs, key, messageId } = report;
  const worst = ACTIONS.find((action) => report.recipients.some((each) => each.action === action)) ??
    "failed";
  const subject = printableLine(report.subjectOf ?? "").trim().slice(0, SUBJECT_CHARACTERS).toWellFormed();
  const reference = referenceOf(messageId);
  return [
    field("From", `Mail Delivery System <${pathText(from)}>`),
    field("To", `<${pathText(to)}>`),
    field("Subject", encodeWords(`${SUBJECTS[worst]}: ${subject === "" ? "your message" : subject}`)),
    dateField(atMs),
    messageIdField(key, hostname),
    // RFC 3834 5: so that no program answers it.
    "Auto-Submitted: auto-replied\r\n",
    ...(reference === undefined ? [] : [field("In-Reply-To", reference), field("References", reference)]),
  ].join("");
}

/** A path inside `<>`; what was accepted in an envelope holds none of these. */
function pathText(path: string): string {
  // deno-lint-ignore no-control-regex -- control characters are what is taken out
  return path.replace(/[\u0000-\u0020\u007f-\u009f\u2028\u2029<>]+/g, "");
}

/** A Message-ID that can be referred to (RFC 5322 3.6.4), or undefined. */
function referenceOf(messageId: string | undefined): string | undefined {
  return messageId !== undefined && /^[\x21-\x3b\x3d\x3f-\x7e]{1,250}$/.test(messageId)
    ? `<${messageId}>`
    : undefined;
}

// ---------------------------------------------------------------- message/delivery-status (RFC 3464 2)

function statusPart(report: DeliveryReport): Part {
  const charset = report.smtpUtf8 ? "utf8" : "ascii";
  const perMessage = [
    // RFC 3464 2.2.1
    ...(report.envid === undefined ? [] : [statusField("Original-Envelope-Id", report.envid, charset)]),
    statusField("Reporting-MTA", `dns; ${report.hostname}`, charset),
    field("Arrival-Date", formatDate(report.arrivedAtMs)),
  ].join("");
  const groups = report.recipients.map((recipient) => recipientFields(recipient, charset));
  const octets = utf8([perMessage, ...groups].join("\r\n"));
  if (!report.smtpUtf8) return { fields: ["Content-Type: message/delivery-status\r\n"], body: octets };
  // RFC 6533 4: of UTF-8, and may be encoded where a plain one may not.
  return textPart("message/global-delivery-status", octets);
}

function recipientFields(recipient: ReportedRecipient, charset: "ascii" | "utf8"): string {
  const { orcpt, action, status, remoteMta, diagnostic, lastAttemptMs, willRetryUntilMs } = recipient;
  const original = orcpt === undefined ? null : /^([^;\s]{1,64});(.*)$/s.exec(clean(orcpt).trim());
  const isStatus = /^[245]\.\d{1,3}\.\d{1,3}$/.test(status);
  return [
    // RFC 3464 2.3.1: only where the sender gave it.
    ...(original === null ? [] : [
      field("Original-Recipient", typedAddress(original[1]!, original[2]!, charset)),
    ]),
    field("Final-Recipient", typedAddress("rfc822", recipient.recipient, charset)),
    field("Action", action),
    field("Status", isStatus ? status : STATUSES[action]),
    ...(remoteMta === undefined || remoteMta === "" ? [] : [
      statusField("Remote-MTA", `dns; ${remoteMta}`, charset),
    ]),
    ...(diagnostic === undefined || diagnostic === "" ? [] : [
      statusField("Diagnostic-Code", `smtp; ${diagnostic}`, charset),
    ]),
    ...(lastAttemptMs === undefined ? [] : [field("Last-Attempt-Date", formatDate(lastAttemptMs))]),
    // RFC 3464 2.3.8: with "delayed" alone.
    ...(willRetryUntilMs === undefined || action !== "delayed" ? [] : [
      field("Will-Retry-Until", formatDate(willRetryUntilMs)),
    ]),
  ].join("");
}

function statusField(name: string, value: string, charset: "ascii" | "utf8"): string {
  const text = clean(value).slice(0, DIAGNOSTIC_CHARACTERS).toWellFormed();
  return field(name, charset === "utf8" ? text : text.replace(/[^\x20-\x7e]/gu, "?"));
}

/** `rfc822; a@b.example`, or where the address isn't ASCII, RFC 6533 3's `utf-8` type in the form the part allows. */
function typedAddress(type: string, address: string, charset: "ascii" | "utf8"): string {
  const text = clean(address).trim();
  if (/^[\x20-\x7e]*$/.test(text)) return `${type}; ${text}`;
  if (charset === "utf8") return `utf-8; ${text.toWellFormed()}`;
  // utf-8-addr-xtext: \x{HEXPOINT}
  const escaped = text.toWellFormed().replace(
    /[^\x21-\x2a\x2c-\x3c\x3e-\x5b\x5d-\x7e]/gu,
    (character) => `\\x{${character.codePointAt(0)!.toString(16).toUpperCase().padStart(2, "0")}}`,
  );
  return `utf-8; ${escaped}`;
}

// ---------------------------------------------------------------- the message itself

function originalPart({ original, smtpUtf8 }: DeliveryReport): Part {
  const { kind, octets } = original;
  if (kind === "headers") {
    // RFC 6522 4, RFC 6533 5: the latter may be encoded as text may.
    return textPart(smtpUtf8 ? "message/global-headers" : "text/rfc822-headers", octets);
  }
  // RFC 2046 5.2.1: a message inside a message is never encoded.
  const encoding = needs8bit(octets) ? ["Content-Transfer-Encoding: 8bit\r\n"] : [];
  const type = smtpUtf8 && needs8bit(headerSection(octets)) ? "message/global" : "message/rfc822";
  return { fields: [`Content-Type: ${type}\r\n`, ...encoding], body: octets };
}
