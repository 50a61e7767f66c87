/**
 * The fields a server adds in front of a message: Received, Return-Path, and a submission's missing Date and
 * Message-ID (RFC 5321 4.4, RFC 6409 8).
 *
 * ```abnf
 * Received  = "Received: from " Extended-Domain [comment] CRLF HTAB "by " Domain " with " Protocol " id " Atom
 *             [" for <" Mailbox ">"] "; " date-time CRLF           ; RFC 5321 4.4
 * ```
 *
 * Guarantees: each function gives whole fields, each ended by CRLF, whatever it is given: nothing a client said can
 * end a line, a comment or a field early. Only ASCII comes out unless the message came by SMTPUTF8 (RFC 6531 3.7.3).
 * Lines are folded below 78 octets wherever there is a place to fold. The account that authenticated is not named:
 * that it was one is what the A of ESMTPA says (RFC 3848).
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { isIPv4, isIPv6 } from "node:net";
import { DOMAIN_OCTETS } from "../base/limits.ts";
import { formatAddress, isAddressLiteral, needsUtf8, parseAddress } from "../mail/address.ts";
import { formatDate } from "../mail/date.ts";
import type { Origin } from "../mail/envelope.ts";
import { formatMessageKey, type MessageKey } from "../mail/message_id.ts";

/** RFC 5322 2.1.1: lines should be 78 octets at most. */
const LINE_OCTETS = 78;

export interface ReceivedOptions {
  readonly origin: Origin;
  /** Our own host name. */
  readonly by: string;
  /** The id under which the log and `emsmail trace` know the message. */
  readonly key: MessageKey;
  /** The forward-path without brackets, only where there is exactly one: it would tell the others (RFC 5321 7.2). */
  readonly recipient?: string;
  /** When it was received, in milliseconds since 1970. */
  readonly atMs: number;
}

/** The Received field of a message that has just come in. */
export function receivedField(options: ReceivedOptions): string {
  const { origin, by, key, recipient, atMs } = options;
  const charset = origin.transmission.startsWith("UTF8") ? "utf8" : "ascii";
  const client = clientLiteral(origin.client);
  const forClause = recipient === undefined ? undefined : forPath(recipient, charset);
  const clauses = [
    `from ${hostText(origin.helo, charset)}`,
    ...(client === undefined ? [] : [`([${client}])`]),
    ...(origin.tls === undefined ? [] : [`(using ${commentText(origin.tls)})`]),
    `by ${hostText(by, charset)}`,
    `with ${origin.transmission}`,
    `id ${formatMessageKey(key)}`,
    ...(forClause === undefined ? [] : [forClause]),
  ];
  clauses[clauses.length - 1] += ";";
  return foldField("Received:", [...clauses, formatDate(atMs)]);
}

/** The Return-Path field of a final delivery (RFC 5321 4.4); "" is the null reverse-path. */
export function returnPathField(reversePath: string): string {
  return `Return-Path: <${pathText(reversePath)}>\r\n`;
}

/** A Message-ID made of our own id and host name (RFC 5322 3.6.4). */
export function messageIdField(key: MessageKey, hostname: string): string {
  return `Message-ID: <${formatMessageKey(key)}@${hostText(hostname, "ascii")}>\r\n`;
}

/** A Date field for a time in milliseconds since 1970 (RFC 5322 3.6.1). */
export function dateField(atMs: number): string {
  return `Date: ${formatDate(atMs)}\r\n`;
}

/** A client's address as RFC 5321 4.1.3 writes it, without brackets; undefined where it came by no network. */
function clientLiteral(client: string): string | undefined {
  const address = client.replace(/%.*$/s, "");
  if (isIPv4(address)) return address;
  if (!isIPv6(address)) return undefined;
  // A socket that serves both families shows IPv4 clients so (RFC 4291 2.5.5.2).
  const mapped = /^::ffff:([\d.]+)$/i.exec(address)?.[1];
  return mapped !== undefined && isIPv4(mapped) ? mapped : `IPv6:${address}`;
}

/**
 * A host name as it was given, as far as it can stand there: a client calls itself what it likes (RFC 5321 4.1.4), so
 * each character that is not of a domain name, or would end the clause, becomes "?".
 */
function hostText(name: string, charset: "ascii" | "utf8"): string {
  if (isAddressLiteral(name)) return name;
  const characters = charset === "utf8"
    ? /[^A-Za-z0-9._:\-\u00a1-\u{10ffff}]|[\u2028\u2029\ud800-\udfff]/gu
    : /[^A-Za-z0-9._:-]/g;
  return name.slice(0, DOMAIN_OCTETS).replace(characters, "?") || "unknown";
}

/** Text inside a comment: no parenthesis, no quoting, no control (RFC 5322 3.2.2). */
function commentText(text: string): string {
  return text.slice(0, DOMAIN_OCTETS).replace(/[^\x21-\x7e]+|[()\\]/g, " ").trim();
}

function forPath(recipient: string, charset: "ascii" | "utf8"): string | undefined {
  if (recipient.toLowerCase() === "postmaster") return "for <postmaster>";
  const address = parseAddress(recipient);
  if ("error" in address || (charset === "ascii" && needsUtf8(address))) return undefined;
  return `for <${formatAddress(address)}>`;
}

// deno-lint-ignore no-control-regex -- control characters are what is taken out
const NOT_IN_PATH = /[\u0000-\u0020\u007f-\u009f\u2028\u2029<>]+/g;

/** A path that was accepted in an envelope is clean already; one from elsewhere is made so. */
function pathText(path: string): string {
  const address = parseAddress(path);
  return "error" in address ? path.replace(NOT_IN_PATH, "") : formatAddress(address);
}

/** Joins clauses by spaces, beginning a new line where one would pass the limit (RFC 5322 2.2.3). */
function foldField(name: string, clauses: readonly string[]): string {
  let text = name;
  let length = name.length;
  for (const clause of clauses) {
    const octets = Buffer.byteLength(clause);
    if (length + 1 + octets > LINE_OCTETS) {
      text += `\r\n\t${clause}`;
      length = 1 + octets;
    } else {
      text += ` ${clause}`;
      length += 1 + octets;
    }
  }
  return `${text}\r\n`;
}
