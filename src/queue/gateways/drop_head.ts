/**
 * The header file of a file drop: what is said of the body file beside it. The same form both ways, so that two systems
 * may be joined folder to folder.
 *
 * ```
 * Version: 1                          always first
 * ID: 04k2m9x7qa.0                    the name of both files, without suffix (out)
 * From: alice@sales                   who wrote it: in the gateway's own form, or an address elsewhere; <> is nobody
 * Return-Path: alice@sales            who is told of troubles; <> is nobody. Without it: From
 * To: bob                             a line for each recipient
 * Date: Tue, 24 Nov 2026 14:05:09 +0100
 * Subject: The figures
 * Message-ID: <1@example.org>
 * In-Reply-To: <0@example.org>
 * Part: 2/4                           which part of a message that was broken apart
 * Hops: 3                             servers it has passed
 * Type: application/vnd.ms-excel      the body's media type; without it text/plain
 * File: figures.xls                   the body is this file; without it, text, or with Type message/rfc822 a whole message
 * Body: 04k2m9x7qa.0.body             the body file's name; without it the same name with suffix .body
 * Octets: 20480                       of the body file
 * SHA-256: 9f86d0…                    of the body file, in hexadecimal
 * ```
 *
 * Guarantees: pure; never throws; no value that is written holds a control character, so that none can be taken for another line.
 * What is read must be UTF-8 lines `Name: value`, ended by LF or CRLF; names count without case, those that begin with
 * `X-` are passed over, and others are errors with their line.
 *
 * @module
 */
import { decodeUtf8, utf8 } from "../../base/bytes.ts";
import { RECIPIENTS } from "../../base/limits.ts";
import { type Address, parseAddress, parseLocalPart } from "../../mail/address.ts";
import { isOnGateway, toMailAddress } from "../../mail/gateway_address.ts";
import { clean } from "../../mail/reply.ts";
import { nearest } from "../../config/suggest.ts";

/** A header file's octets: a thousand recipients of 60 characters. */
export const HEAD_OCTETS = 128 * 1024;

const NAMES = [
  "Version",
  "ID",
  "From",
  "Return-Path",
  "To",
  "Date",
  "Subject",
  "Message-ID",
  "In-Reply-To",
  "Part",
  "Hops",
  "Type",
  "File",
  "Body",
  "Octets",
  "SHA-256",
] as const;
export type HeadName = typeof NAMES[number];

/** A header file as it is read. */
export interface DropHead {
  /** As a mail address; null: nobody. */
  readonly from: Address | null;
  /** The reverse-path. */
  readonly returnPath: Address | null;
  /** As mail addresses, each with the line it stands on. */
  readonly to: readonly { readonly address: Address; readonly line: number }[];
  /** In milliseconds since 1970. */
  readonly dateMs?: number;
  readonly subject: string;
  /** Without brackets. */
  readonly messageId?: string;
  readonly inReplyTo?: string;
  readonly part?: string;
  readonly hops: number;
  /** As written, on one line. */
  readonly type: string;
  readonly file?: string;
  readonly body?: string;
  readonly octets?: number;
  readonly sha256?: string;
}

/** What is wrong with a header file; `line` is from 1, 0 for the file as a whole. */
export interface HeadProblem {
  readonly line: number;
  /** A sentence. */
  readonly problem: string;
}

/** A header file's octets. Values are put on one line; empty ones are left out. */
export function formatHead(lines: readonly (readonly [name: HeadName, value: string])[]): Uint8Array {
  return utf8(
    lines.map(([name, value]) => [name, clean(value).trim()])
      .filter(([, value]) => value !== "")
      .map(([name, value]) => `${name}: ${value}\n`).join(""),
  );
}

/** What names in a header file stand for. */
export interface HeadDomains {
  /** The gateway's: what its own names end in here. */
  readonly gateway: string;
  /** Our first: what a recipient without a domain is completed by. */
  readonly own: string;
}

type Value = { readonly value: string; readonly line: number };

/** Reads a header file. */
export function parseHead(octets: Uint8Array, domains: HeadDomains): DropHead | HeadProblem {
  const text = decodeUtf8(octets);
  if (text === undefined) return { line: 0, problem: "is not UTF-8: write it in UTF-8" };
  const values = new Map<HeadName, Value[]>();
  const lines = text.replace(/^\ufeff/, "").split(/\r?\n/);
  // Behind the last line end is no line.
  if (lines.at(-1) === "") lines.pop();
  for (const [index, content] of lines.entries()) {
    const wrong = addLine(values, { content, line: index + 1 });
    if (wrong !== undefined) return { line: index + 1, problem: wrong };
  }
  return headOf(values, domains);
}

/** Takes a line; gives what is wrong with it. */
function addLine(
  values: Map<HeadName, Value[]>,
  { content, line }: { readonly content: string; readonly line: number },
): string | undefined {
  const colon = content.indexOf(":");
  if (colon <= 0) return "has no name before a colon: write it as `Name: value`";
  const written = content.slice(0, colon).trim();
  const value = content.slice(colon + 1).trim();
  if (/^x-/i.test(written)) return undefined;
  const name = NAMES.find((known) => known.toLowerCase() === written.toLowerCase());
  if (name === undefined) {
    const meant = nearest(written, NAMES);
    return `has a name that nobody knows, '${clean(written).slice(0, 60)}'` +
      (meant === undefined ? `: use ${NAMES.join(", ")}` : `; did you mean ${meant}?`);
  }
  if (clean(value) !== value) return `${name} holds a control character: take it out`;
  const others = values.get(name);
  if (others === undefined) values.set(name, [{ value, line }]);
  else if (name === "To") others.push({ value, line });
  else return `${name} stands twice, here and on line ${others[0]!.line}: keep one`;
  return undefined;
}

function headOf(
  values: ReadonlyMap<HeadName, readonly Value[]>,
  domains: HeadDomains,
): DropHead | HeadProblem {
  const given = (name: HeadName): Value | undefined => {
    const value = values.get(name)?.[0];
    return value === undefined || value.value === "" ? undefined : value;
  };
  const checked = new Checked();
  const version = given("Version");
  if (version !== undefined && version.value !== "1") {
    return {
      line: version.line,
      problem: `Version ${version.value} is not known: this system reads version 1`,
    };
  }
  const fromLine = given("From");
  if (fromLine === undefined) {
    return { line: 0, problem: "has no From line: say who wrote it, as in `From: user@workgroup`" };
  }
  const from = checked.take(fromLine, readSender(fromLine.value, domains));
  const returnLine = given("Return-Path") ?? fromLine;
  const returnPath = checked.take(returnLine, readSender(returnLine.value, domains));
  const to = (values.get("To") ?? []).map((each) => ({
    address: checked.take(each, readRecipient(each.value, domains)),
    line: each.line,
  }));
  const numbers = (name: HeadName, pattern: RegExp, right: string): string | undefined => {
    const value = given(name);
    if (value === undefined || pattern.test(value.value)) return value?.value;
    checked.problem ??= { line: value.line, problem: `${name} must be ${right}` };
    return undefined;
  };
  const octets = numbers("Octets", /^\d{1,15}$/, "the number of the body file's octets");
  const hops = numbers("Hops", /^\d{1,4}$/, "a number");
  const part = numbers("Part", /^\d{1,5}\/\d{1,5}$/, "of the form 2/4");
  const sha256 = numbers("SHA-256", /^[0-9a-f]{64}$/i, "64 hexadecimal digits");
  const body = numbers(
    "Body",
    /^(?!\.)[^/\\\0]{1,200}$/,
    "the name of a file in the same folder, without slash",
  );
  const messageId = numbers("Message-ID", MESSAGE_ID, "of the form <left@right>");
  const inReplyTo = numbers("In-Reply-To", MESSAGE_ID, "of the form <left@right>");
  const type = numbers(
    "Type",
    /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(?:\s*;.*)?$/,
    "a media type such as text/plain",
  );
  const date = given("Date");
  const dateMs = date === undefined ? undefined : Date.parse(date.value);
  if (dateMs !== undefined && !Number.isFinite(dateMs)) {
    checked.problem ??= { line: date!.line, problem: "Date must be like Tue, 24 Nov 2026 14:05:09 +0100" };
  }
  if (checked.problem !== undefined) return checked.problem;
  if (to.length === 0) return { line: 0, problem: "has no To line: say who gets it, one line for each" };
  if (to.length > RECIPIENTS) {
    return {
      line: to[RECIPIENTS]!.line,
      problem: `has more than ${RECIPIENTS} To lines: use several messages`,
    };
  }
  const file = given("File")?.value;
  return {
    from: from!,
    returnPath: returnPath!,
    to: to.map(({ address, line }) => ({ address: address!, line })),
    subject: given("Subject")?.value ?? "",
    hops: Number(hops ?? 0),
    type: type ?? "text/plain",
    ...dateMs === undefined ? {} : { dateMs },
    ...messageId === undefined ? {} : { messageId: messageId.slice(1, -1) },
    ...inReplyTo === undefined ? {} : { inReplyTo: inReplyTo.slice(1, -1) },
    ...part === undefined ? {} : { part },
    ...file === undefined ? {} : { file },
    ...body === undefined ? {} : { body },
    ...octets === undefined ? {} : { octets: Number(octets) },
    ...sha256 === undefined ? {} : { sha256: sha256.toLowerCase() },
  };
}

/** RFC 5322 3.6.4, as far as any program writes it. */
const MESSAGE_ID = /^<[^\s<>\u0080-\u{10ffff}]{1,900}>$/u;

/** Gathers the first problem of several values. */
class Checked {
  problem: HeadProblem | undefined;

  take<T>({ line }: Value, result: { readonly is: T } | { readonly error: string }): T | undefined {
    if ("is" in result) return result.is;
    this.problem ??= { line, problem: result.error };
    return undefined;
  }
}

type Read<T> = { readonly is: T } | { readonly error: string };

/** A sender: a name of the gateway's, as a mail address. Nothing that stands there can be an address elsewhere. */
function readSender(text: string, { gateway }: HeadDomains): Read<Address | null> {
  if (text === "<>") return { is: null };
  const whole = parseAddress(text);
  if (!("error" in whole) && isOnGateway(whole, gateway)) return { is: whole };
  const mapped = toMailAddress(text, gateway);
  if (!("error" in mapped)) return { is: mapped };
  // A name with blanks stands as it is, like those that are written.
  const at = text.lastIndexOf("@");
  const [local, rest] = at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at)];
  const quoted = toMailAddress(`"${local.replace(/["\\]/g, "\\$&")}"${rest}`, gateway);
  return "error" in quoted ? { error: mapped.error } : { is: quoted };
}

function readRecipient(text: string, { own }: HeadDomains): Read<Address> {
  if (text.includes("@")) {
    const address = parseAddress(text);
    return "error" in address ? { error: address.error } : { is: address };
  }
  const local = parseLocalPart(text);
  if (typeof local !== "string") return { error: local.error };
  return { is: { local, domain: own } };
}
