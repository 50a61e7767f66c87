/**
 * What a client may write behind the paths of MAIL and RCPT, each pattern under its ABNF.
 *
 * Guarantees: nothing here throws, whatever it is given; what is taken apart holds no control character; a value that
 * breaks its extension's grammar is refused with 501 5.5.4 and a sentence (RFC 3461 4 asks for 501). Whether an extension
 * is offered at this moment is not asked here (capabilities.ts).
 *
 * @module
 */
import { parseAddress } from "../mail/address.ts";
import type { NotifyEvent, RecipientRequests } from "../mail/envelope.ts";
import type { Reply } from "../mail/reply.ts";
import type { AskedRequests, MailEvent } from "./events.ts";
import * as replies from "./replies.ts";
import { isReply } from "./replies.ts";

// esmtp-param   = esmtp-keyword ["=" esmtp-value]       ; RFC 5321 4.1.2
// esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
// esmtp-value   = 1*(%d33-60 / %d62-126 / UTF8-non-ascii) ; RFC 6531 3.3
const PARAMETER = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:=([\x21-\x3c\x3e-\x7e\u00a0-\u{10ffff}]+))?$/u;

/** Values by keyword, in upper case; a keyword without value has "". */
export type Parameters = ReadonlyMap<string, string>;

/** Takes `KEYWORD=value KEYWORD` apart. */
export function parseParameters(text: string): Parameters | Reply {
  const parameters = new Map<string, string>();
  if (text === "") return parameters;
  for (const word of text.split(/ +/)) {
    const match = PARAMETER.exec(word);
    if (match === null) return replies.badParameter(`Parameter '${word}' is not KEYWORD or KEYWORD=value`);
    const keyword = match[1]!.toUpperCase();
    if (parameters.has(keyword)) return replies.badParameter(`Parameter ${keyword} stands there twice`);
    parameters.set(keyword, match[2] ?? "");
  }
  return parameters;
}

// ---------------------------------------------------------------- MAIL

type MailParameters = Omit<MailEvent, "kind" | "reversePath">;
/** What one parameter says; a text is what is wrong with it. */
type Reading = (value: string) => Partial<AskedRequests> | string;

/** What is asked for the message as a whole, by keyword. */
const REQUESTS: ReadonlyMap<string, Reading> = new Map<string, Reading>([
  ["RET", readRet],
  ["ENVID", readEnvid],
  ["REQUIRETLS", (value) => value === "" ? { requireTls: true } : "REQUIRETLS takes no value"], // RFC 8689 2
  ["HOLDFOR", readHoldFor],
  ["HOLDUNTIL", readHoldUntil],
  ["BY", readBy],
  ["MT-PRIORITY", readPriority],
]);

/** MAIL's parameters. */
export function readMailParameters(parameters: Parameters): MailParameters | Reply {
  let size: number | undefined;
  let requests: AskedRequests = {};
  let smtpUtf8 = false;
  let authParam: string | undefined;
  for (const [keyword, value] of parameters) {
    switch (keyword) {
      case "SIZE": // RFC 1870 4: size-value = 1*20DIGIT
        if (!/^[0-9]{1,20}$/.test(value)) return replies.badParameter("SIZE must be a number of octets");
        size = Number(value);
        break;
      case "BODY": { // RFC 6152 2
        const type = value.toUpperCase();
        if (type === "BINARYMIME") return replies.binaryNotOffered;
        if (type !== "7BIT" && type !== "8BITMIME") {
          return replies.badParameter("BODY must be 7BIT or 8BITMIME");
        }
        if (type === "8BITMIME") requests = { ...requests, body: type };
        break;
      }
      case "SMTPUTF8": // RFC 6531 3.4
        if (value !== "") return replies.badParameter("SMTPUTF8 takes no value");
        smtpUtf8 = true;
        break;
      case "AUTH": // RFC 4954 5
        authParam = parseAuthParameter(value);
        break;
      default: {
        const asked = REQUESTS.get(keyword)?.(value);
        if (asked === undefined) return replies.unknownParameter(keyword, "MAIL");
        if (typeof asked === "string") return replies.badParameter(asked);
        // RFC 4865 3: HOLDFOR or HOLDUNTIL, one of them.
        if (asked.hold !== undefined && requests.hold !== undefined) {
          return replies.badParameter("HOLDFOR and HOLDUNTIL can't stand together");
        }
        requests = { ...requests, ...asked };
      }
    }
  }
  return { size, smtpUtf8, requests, authParam };
}

// ret-value = "FULL" / "HDRS"                           ; RFC 3461 4.3
function readRet(value: string): ReturnType<Reading> {
  const ret = value.toUpperCase();
  return ret === "FULL" || ret === "HDRS" ? { ret } : "RET must be FULL or HDRS";
}

/** RFC 3461 4.4. */
const ENVID_CHARACTERS = 100;

// envid-parameter = "ENVID=" xtext, decoded printable   ; RFC 3461 4.4
function readEnvid(value: string): ReturnType<Reading> {
  const envid = value.length <= ENVID_CHARACTERS ? decodePrintable(value) : undefined;
  return envid === undefined
    ? `ENVID must be xtext of printable ASCII, ${ENVID_CHARACTERS} characters at most`
    : { envid };
}

// future-release-integer = %x31-39 *8DIGIT              ; RFC 4865 3
function readHoldFor(value: string): ReturnType<Reading> {
  if (!/^[1-9][0-9]{0,8}$/.test(value)) return "HOLDFOR must be a number of seconds from 1 to 999999999";
  return { hold: { kind: "for", seconds: Number(value) } };
}

function readHoldUntil(value: string): ReturnType<Reading> {
  const atMs = parseMoment(value);
  return atMs === undefined
    ? "HOLDUNTIL must be a moment such as 2026-11-24T14:00:00Z"
    : { hold: { kind: "until", atMs } };
}

// date-time = full-date "T" full-time                   ; RFC 3339 5.6 (RFC 4865 3 as its erratum 2040 has it)
const MOMENT =
  /^([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.[0-9]{1,9})?(?:Z|([+-])([0-9]{2}):([0-9]{2}))$/i;

/** Milliseconds since 1970, parts of a second left out; undefined where there is no such moment. */
function parseMoment(text: string): number | undefined {
  const match = MOMENT.exec(text);
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    ...[number, number, number, number, number, number],
  ];
  // RFC 3339 5.7: a leap second is no moment of its own here.
  if (month < 1 || month > 12 || hour > 23 || minute > 59 || second > 60) return undefined;
  const atMs = Date.UTC(year, month - 1, day, hour, minute, Math.min(second, 59));
  // A day that its month hasn't would be one of the next; a year before 100 is taken for one of the 20th century.
  const date = new Date(atMs);
  if (date.getUTCDate() !== day || date.getUTCFullYear() !== year) return undefined;
  const [zoneHour, zoneMinute] = [Number(match[8] ?? 0), Number(match[9] ?? 0)];
  if (zoneHour > 23 || zoneMinute > 59) return undefined;
  return atMs - (match[7] === "-" ? -1 : 1) * (zoneHour * 60 + zoneMinute) * 60_000;
}

// by-value = by-time ";" by-mode [by-trace]             ; RFC 2852 4
// by-time  = ["-" / "+"] 1*9DIGIT, by-mode = "N" / "R", by-trace = "T"
const BY = /^([+-]?[0-9]{1,9});([NR])(T?)$/i;

function readBy(value: string): ReturnType<Reading> {
  const match = BY.exec(value);
  if (match === null) return "BY must be seconds, a semicolon, N or R, and perhaps T, as in 3600;R";
  const seconds = Number(match[1]);
  const mode = match[2]!.toUpperCase() === "R" ? "return" : "notify";
  // RFC 2852 4: what was to go back by now is not sent on.
  if (mode === "return" && seconds <= 0) return "BY in mode R must leave at least a second";
  return { deliverBy: { seconds, mode, ...match[3] === "" ? {} : { trace: true } } };
}

// priority-value = (["-"] NZDIGIT) / "0"                ; RFC 6710 3
function readPriority(value: string): ReturnType<Reading> {
  return /^(?:-?[1-9]|0)$/.test(value)
    ? { priority: Number(value) }
    : "MT-PRIORITY must be a number from -9 to 9";
}

// ---------------------------------------------------------------- RCPT

/** RCPT's parameters; undefined where there are none. */
export function readRcptParameters(parameters: Parameters): RecipientRequests | Reply | undefined {
  if (parameters.size === 0) return undefined;
  let requests: RecipientRequests = {};
  for (const [keyword, value] of parameters) {
    if (keyword === "NOTIFY") {
      const notify = parseNotify(value);
      if (isReply(notify)) return notify;
      requests = { ...requests, notify };
    } else if (keyword === "ORCPT") {
      const orcpt = parseOriginalRecipient(value);
      if (orcpt === undefined) {
        return replies.badParameter(
          `ORCPT must be type;address in xtext, ${ORCPT_CHARACTERS} characters at most, as in rfc822;a@example.org`,
        );
      }
      requests = { ...requests, orcpt };
    } else return replies.unknownParameter(keyword, "RCPT");
  }
  return requests;
}

const NOTIFY: ReadonlyMap<string, NotifyEvent> = new Map([
  ["SUCCESS", "success"],
  ["FAILURE", "failure"],
  ["DELAY", "delay"],
]);

// notify-esmtp-value = "NEVER" / 1#("SUCCESS" / "FAILURE" / "DELAY")   ; RFC 3461 4.1
function parseNotify(value: string): readonly NotifyEvent[] | Reply {
  const words = value.toUpperCase().split(",");
  if (words.length === 1 && words[0] === "NEVER") return [];
  const events = new Set(words.map((word) => NOTIFY.get(word)));
  return events.has(undefined)
    ? replies.badParameter("NOTIFY must be NEVER, or some of SUCCESS, FAILURE and DELAY with commas between")
    : [...events as Set<NotifyEvent>];
}

/** RFC 3461 4.2. */
const ORCPT_CHARACTERS = 500;
// original-recipient-address = addr-type ";" xtext      ; RFC 3461 4.2
// addr-type = atom; the registered ones need no more than this
const ORCPT = /^([A-Za-z0-9-]+);(.+)$/u;
// utf-8-addr-xtext / utf-8-addr-unitext                 ; RFC 6533 3
// EmbeddedUnicodeChar = "\x{" HEXPOINT "}"
const UTF8_ADDRESS = /^(?:[\x21-\x2a\x2c-\x3c\x3e-\x5b\x5d-\x7e\u00a0-\u{10ffff}]|\\x\{[0-9A-F]{2,6}\})+$/u;

/**
 * `addr-type;address`, decoded; of type utf-8 as it is, since what is escaped there stays so in notifications, but for
 * clients that write plain xtext there.
 */
function parseOriginalRecipient(value: string): string | undefined {
  const match = value.length > ORCPT_CHARACTERS ? null : ORCPT.exec(value);
  if (match === null) return undefined;
  const [, type, text] = match as unknown as [string, string, string];
  if (type.toLowerCase() === "utf-8" && UTF8_ADDRESS.test(text)) return value;
  const address = decodePrintable(text);
  return address === undefined ? undefined : `${type};${address}`;
}

// ---------------------------------------------------------------- xtext

// xtext   = *( xchar / hexchar )                        ; RFC 3461 4
// xchar   = %d33-42 / %d44-60 / %d62-126                ; no "+", no "="
// hexchar = "+" 2(%x30-39 / %x41-46)
const XTEXT = /^(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e]|\+[0-9A-F]{2})+$/;

function decodeXtext(value: string): string | undefined {
  if (!XTEXT.test(value)) return undefined;
  return value.replace(/\+(..)/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
}

/** Decodes xtext to what RFC 3461 4.2 and 4.4 allow: graphic characters and spaces of ASCII. */
function decodePrintable(value: string): string | undefined {
  const text = decodeXtext(value);
  return text !== undefined && /^[\x20-\x7e]+$/.test(text) ? text : undefined;
}

/** Decodes MAIL's AUTH parameter to a mailbox or `<>`; undefined where it is neither, which is no error (RFC 4954 5). */
export function parseAuthParameter(value: string): string | undefined {
  const text = decodeXtext(value);
  return text !== undefined && (text === "<>" || !("error" in parseAddress(text))) ? text : undefined;
}
