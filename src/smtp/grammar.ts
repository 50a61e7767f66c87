/**
 * What an SMTP client may write, each pattern under its ABNF.
 *
 * Guarantees: nothing here throws, whatever it is given; what is taken apart holds no control character. A refusal is the
 * {@linkcode Reply} to send.
 *
 * Liberal on purpose, since real clients need it: spaces after the colon of MAIL FROM and RCPT TO, an address without
 * its brackets, any name in HELO. What follows a path is in parameters.ts.
 *
 * @module
 */
import { decodeUtf8, latin1 } from "../base/bytes.ts";
import { needsUtf8, parseAddress } from "../mail/address.ts";
import type { Reply } from "../mail/reply.ts";
import type { MailEvent, RcptEvent } from "./events.ts";
import { parseParameters, readMailParameters, readRcptParameters } from "./parameters.ts";
import * as replies from "./replies.ts";
import { isReply } from "./replies.ts";

export interface Command {
  /** In upper case; "" where the line begins with none. */
  readonly verb: string;
  /** What follows the verb, without the spaces around it. */
  readonly argument: string;
}

// RFC 5321 4.1.1: a server should tolerate white space before CRLF.
const NOT_PRINTABLE = /[^\x20-\x7e]/;
// deno-lint-ignore no-control-regex -- control characters are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

/**
 * Takes a line (without its CRLF) apart.
 *
 * ```abnf
 * command = verb [SP argument] CRLF        ; RFC 5321 2.4, UTF-8 by RFC 6531 3.3
 * verb    = ALPHA *(ALPHA / DIGIT)
 * ```
 */
export function parseCommand(line: Uint8Array): Command | Reply {
  let text = latin1(line);
  if (NOT_PRINTABLE.test(text)) {
    const decoded = decodeUtf8(line)?.trimEnd();
    // HELO comes from machines named in any character set, and nothing is done with the name.
    if (decoded === undefined && !/^(?:HELO|EHLO) /i.test(text)) return replies.notUtf8;
    text = decoded ?? text.replace(/[\u0080-\u00ff]/g, "?");
    if (CONTROL.test(text)) return replies.controlCharacter;
  }
  const space = text.indexOf(" ");
  if (space < 0) return { verb: text.toUpperCase(), argument: "" };
  return { verb: text.slice(0, space).toUpperCase(), argument: text.slice(space + 1).trim() };
}

/** RFC 5321 4.5.3.1.2. */
const HELLO_OCTETS = 255;
// What a domain, an address literal and the odd names of real clients are made of; the rest could upset a Received field.
const NOT_IN_HELLO = /[^A-Za-z0-9._:\[\]\-+/=@#~]/g;

/**
 * The name in HELO or EHLO, cut to what is fit for a Received field; undefined where it is too long.
 *
 * ```abnf
 * ehlo = "EHLO" SP ( Domain / address-literal ) CRLF    ; RFC 5321 4.1.1.1; what is no such thing is taken all the same
 * ```
 */
export function parseHello(argument: string): string | undefined {
  const name = argument.split(" ", 1)[0]!;
  return name.length > HELLO_OCTETS ? undefined : name.replace(NOT_IN_HELLO, "?");
}

// Path         = "<" [ A-d-l ":" ] Mailbox ">"          ; RFC 5321 4.1.2
// Reverse-path = Path / "<>"
// Forward-path = Path; RCPT also takes "<Postmaster>"   ; RFC 5321 4.1.1.3
// A ">" within a quoted string doesn't end the path.
const PATH = /^<((?:[^<>"]|"(?:[^"\\]|\\.)*")*)>(?: +(.*))?$/;
const PATH_WITHOUT_BRACKETS = /^([^<>" ]+)(?: +(.*))?$/;

// A-d-l     = At-domain *( "," At-domain )              ; RFC 5321 appendix C: accepted and ignored
// At-domain = "@" ( Domain / address-literal )
const SOURCE_ROUTE = /^@(?:\[[^\]]*\]|[^\]\[,:@"]+)(?:,@(?:\[[^\]]*\]|[^\]\[,:@"]+))*:/;

interface PathAndRest {
  readonly path: string;
  /** The parameters. */
  readonly rest: string;
}

function splitPath(text: string): PathAndRest | undefined {
  const match = PATH.exec(text) ?? PATH_WITHOUT_BRACKETS.exec(text);
  return match === null ? undefined : { path: match[1]!.replace(SOURCE_ROUTE, ""), rest: match[2] ?? "" };
}

const FROM = /^FROM *: */i;
const TO = /^TO *: */i;
export const MAIL_USAGE = "MAIL FROM:<address> [parameters EHLO has announced]";
export const RCPT_USAGE = "RCPT TO:<address> [NOTIFY=NEVER|SUCCESS,FAILURE,DELAY] [ORCPT=type;address]";

/**
 * MAIL's argument.
 *
 * ```abnf
 * mail = "MAIL FROM:" Reverse-path [SP Mail-parameters] CRLF   ; RFC 5321 4.1.1.2
 * ```
 */
export function parseMail(argument: string): MailEvent | Reply {
  const from = FROM.exec(argument);
  const split = from === null ? undefined : splitPath(argument.slice(from[0].length));
  if (split === undefined) return replies.badSyntax(MAIL_USAGE);
  const address = split.path === "" ? null : parseAddress(split.path);
  if (address !== null && "error" in address) return replies.badSender(address.error);
  const parameters = parseParameters(split.rest);
  if (isReply(parameters)) return parameters;
  const mail = readMailParameters(parameters);
  if (isReply(mail)) return mail;
  if (address !== null && !mail.smtpUtf8 && needsUtf8(address)) return replies.needsSmtpUtf8;
  return { kind: "mail", reversePath: address, ...mail };
}

/**
 * RCPT's argument.
 *
 * ```abnf
 * rcpt = "RCPT TO:" ( "<Postmaster@" Domain ">" / "<Postmaster>" / Forward-path )
 *        [SP Rcpt-parameters] CRLF                              ; RFC 5321 4.1.1.3
 * ```
 */
export function parseRcpt(argument: string): RcptEvent | Reply {
  const to = TO.exec(argument);
  const split = to === null ? undefined : splitPath(argument.slice(to[0].length));
  if (split === undefined) return replies.badSyntax(RCPT_USAGE);
  if (split.path === "") return replies.badRecipient("<> is no recipient, write <name@domain>");
  const address = /^postmaster$/i.test(split.path)
    ? { local: split.path, domain: "" }
    : parseAddress(split.path);
  if ("error" in address) return replies.badRecipient(address.error);
  const parameters = parseParameters(split.rest);
  if (isReply(parameters)) return parameters;
  const requests = readRcptParameters(parameters);
  if (requests === undefined) return { kind: "rcpt", recipient: address };
  return isReply(requests) ? requests : { kind: "rcpt", recipient: address, requests };
}

/** Whether a RCPT may only stand where SMTPUTF8 was said: for its path (RFC 6531 3.4) or its ORCPT (RFC 6533 3). */
export function holdsUtf8({ recipient, requests }: RcptEvent): boolean {
  // deno-lint-ignore no-control-regex -- U+0000 to U+007F is what ASCII is
  return needsUtf8(recipient) || /[^\x00-\x7f]/.test(requests?.orcpt ?? "");
}

// chunk-size = 1*DIGIT, end-marker = "LAST"             ; RFC 3030 2
const BDAT = /^([0-9]{1,15})(?: +(LAST))?$/i;
export const BDAT_USAGE = "BDAT octets [LAST]";

export interface Chunk {
  readonly octets: number;
  readonly place: "last" | "more";
}

/** BDAT's argument; undefined where nobody can tell how many octets will follow. */
export function parseBdat(argument: string): Chunk | undefined {
  const match = BDAT.exec(argument);
  if (match === null) return undefined;
  return { octets: Number(match[1]), place: match[2] === undefined ? "more" : "last" };
}

// AUTH mechanism [SP initial-response]                  ; RFC 4954 4, 8
// sasl-mech = 1*20(UPPER-ALPHA / DIGIT / "-" / "_")     ; RFC 4422 3.1, in any case here
const AUTH = /^([A-Za-z0-9_-]{1,20})(?: +([^ ]+))?$/;
export const AUTH_USAGE = "AUTH mechanism [base64]";

/** AUTH's argument, the initial response still in base64. */
export function parseAuth(
  argument: string,
): { readonly mechanism: string; readonly initial?: string } | undefined {
  const match = AUTH.exec(argument);
  return match === null ? undefined : { mechanism: match[1]!.toUpperCase(), initial: match[2] };
}

/** VRFY's or EXPN's argument without the parameter of RFC 6531 3.7.4.2. */
export function parseLookup(argument: string): string {
  return argument.replace(/ +SMTPUTF8$/i, "");
}
