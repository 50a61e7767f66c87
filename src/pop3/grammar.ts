/**
 * What a POP3 client may write, with its ABNF.
 *
 * ```abnf
 * command    = keyword *(SP param) CRLF          ; RFC 2449 4: 255 octets, more is allowed here for AUTH and UTF-8
 * keyword    = 3*4VCHAR                          ; in any case (RFC 1939 3)
 * param      = 1*VCHAR
 * pass       = "PASS" SP 1*CHAR                  ; RFC 1939 7: the rest of the line, spaces are part of it
 * auth       = "AUTH" [SP mechanism [SP ("=" / base64)]]                     ; RFC 5034 4
 * response   = base64 / "*" / ""                 ; RFC 5034 4, a line of its own
 * lang       = "LANG" [SP ("*" / language-range)]                            ; RFC 6856 3, RFC 4647 2.1
 * ```
 *
 * Guarantees: nothing here throws; a CR or NUL inside a line makes it no command at all.
 * Liberal on purpose: spaces and tabs around a message number are passed over, since real clients send them.
 *
 * @module
 */
import { decodeUtf8, fromLatin1, latin1 } from "../base/bytes.ts";
import { decodeInitialResponse, decodeResponse } from "../sasl/base64.ts";

export interface Command {
  /** In upper case; "" for an empty line. */
  readonly verb: string;
  /** What follows the first space, one code unit an octet, as it came; "" where there is nothing. */
  readonly argument: string;
}

// keyword [SP rest]
// deno-lint-ignore no-control-regex -- NUL and CR are what must not be there
const COMMAND = /^([A-Za-z0-9]{0,16})(?:[ \t]([^\x00\r]*))?$/;
// 1*DIGIT, and no more of them than any maildrop needs
const NUMBER = /^[ \t]*([0-9]{1,10})[ \t]*$/;
// message number, line count; some clients ask for 4294967295 lines or more
const TOP = /^[ \t]*([0-9]{1,10})[ \t]+([0-9]{1,15})[ \t]*$/;
// mechanism: sasl-mech of RFC 4422 3.1, in any case here
const AUTH = /^([A-Za-z0-9_-]{1,20})(?:[ \t]+([^ \t]+))?[ \t]*$/;
const LANGUAGE_RANGE = /^(?:\*|[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*)$/;
// deno-lint-ignore no-control-regex -- control characters are what a name must not hold
const CONTROL = /[\x00-\x1f\x7f-\x9f]/;
// deno-lint-ignore no-control-regex -- U+0000 to U+007F is what ASCII is
const NON_ASCII = /[^\x00-\x7f]/;

/** Splits a line into verb and argument; undefined where it can't be a command. */
export function parseCommand(line: Uint8Array): Command | undefined {
  const match = COMMAND.exec(latin1(line));
  if (match === null) return undefined;
  return { verb: match[1]!.toUpperCase(), argument: match[2] ?? "" };
}

/** A message number; undefined where the text is none. */
export function parseMessageNumber(argument: string): number | undefined {
  const match = NUMBER.exec(argument);
  return match === null ? undefined : Number(match[1]);
}

/** TOP's message number and count of body lines. */
export function parseTop(argument: string): { readonly number: number; readonly lines: number } | undefined {
  const match = TOP.exec(argument);
  return match === null ? undefined : { number: Number(match[1]), lines: Number(match[2]) };
}

export interface AuthArgument {
  /** In upper case. */
  readonly mechanism: string;
  readonly initial: Uint8Array | undefined;
}

/** AUTH's mechanism and initial response; says which of the two is wrong. */
export function parseAuth(argument: string): AuthArgument | "not-a-mechanism" | "not-base64" {
  const match = AUTH.exec(argument);
  if (match === null) return "not-a-mechanism";
  const mechanism = match[1]!.toUpperCase();
  if (match[2] === undefined) return { mechanism, initial: undefined };
  const initial = decodeInitialResponse(match[2]);
  return initial === undefined ? "not-base64" : { mechanism, initial };
}

/** A line of a SASL exchange. */
export function parseAuthResponse(line: Uint8Array): Uint8Array | "cancel" | "not-base64" {
  const text = latin1(line);
  if (text === "*") return "cancel";
  return decodeResponse(text) ?? "not-base64";
}

/** A user name: UTF-8 without control characters, spaces at its ends dropped. */
export function parseUser(argument: string): string | undefined {
  const name = decodeText(argument.trim());
  return name === undefined || name === "" || CONTROL.test(name) ? undefined : name;
}

/** The octets of an argument as UTF-8 (RFC 6856 2.2; ASCII is a part of it); undefined where they are not. */
export function decodeText(argument: string): string | undefined {
  return NON_ASCII.test(argument) ? decodeUtf8(fromLatin1(argument)) : argument;
}

/** A language range; "" where none is given, undefined where the text is none. */
export function parseLanguageRange(argument: string): string | undefined {
  const range = argument.trim();
  return range === "" || LANGUAGE_RANGE.test(range) ? range : undefined;
}
