/**
 * MAIL and RCPT as a client writes them.
 *
 * Guarantees: no control character, and no space outside of a quoted string, passes from an address into a command; what
 * extensions ask for is only written where the server offers them.
 *
 * @module
 */
import { utf8 } from "../../base/bytes.ts";
import type { MessageRequests, RecipientRequests } from "../../mail/envelope.ts";
import { type Extensions, wantsUtf8 } from "./extensions.ts";
import type { OutgoingRecipient, Transaction } from "./types.ts";

// deno-lint-ignore no-control-regex -- control characters are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\ud800-\udfff]/u;
// An address without its brackets: a quoted string may hold spaces and brackets, nothing else may.
const PATH = /^(?:[^ "<>\\]|"(?:[^"\\]|\\.)*")*$/u;
const ORCPT = /^[A-Za-z0-9-]+;./u;

/**
 * Checks that everything in a transaction can be written.
 * @throws {RangeError} where an address or a parameter can't stand in a command
 */
export function checkTransaction(transaction: Transaction): void {
  const { reversePath, recipients, requests, size, deliverBySeconds } = transaction;
  if (recipients.length === 0) throw new RangeError("a transaction needs a recipient");
  checkPath(reversePath);
  for (const { recipient, requests } of recipients) {
    if (recipient === "") throw new RangeError("<> is no recipient");
    checkPath(recipient);
    const orcpt = requests?.orcpt;
    if (orcpt !== undefined && (CONTROL.test(orcpt) || !ORCPT.test(orcpt))) {
      throw new RangeError(`the original recipient ${JSON.stringify(orcpt)} is not type;address`);
    }
  }
  const envid = requests?.envid;
  if (envid !== undefined && (envid === "" || CONTROL.test(envid))) {
    throw new RangeError(`the envelope id ${JSON.stringify(envid)} is empty or holds control characters`);
  }
  checkWhole("size", size);
  checkWhole("priority", requests?.priority);
  checkWhole("time for delivery", deliverBySeconds);
}

function checkPath(path: string): void {
  if (CONTROL.test(path) || !PATH.test(path)) {
    throw new RangeError(
      `the address ${JSON.stringify(path)} can't stand in a command: it must be name@domain`,
    );
  }
}

function checkWhole(what: string, value: number | undefined): void {
  if (value !== undefined && !Number.isSafeInteger(value)) {
    throw new RangeError(`the ${what} ${value} is not a whole number`);
  }
}

/** `MAIL FROM:<...>` and its parameters. */
export function mailCommand(transaction: Transaction, extensions: Extensions): string {
  const words = [`MAIL FROM:<${transaction.reversePath}>`];
  if (extensions.has("SIZE")) words.push(`SIZE=${transaction.size}`); // RFC 1870 4
  if (wantsUtf8(transaction)) words.push("SMTPUTF8"); // RFC 6531 3.4
  const { requests } = transaction;
  if (requests === undefined) return words.join(" ");
  if (requests.body === "8BITMIME") words.push("BODY=8BITMIME"); // RFC 6152 2
  if (requests.requireTls === true) words.push("REQUIRETLS"); // RFC 8689 2
  if (extensions.has("DSN")) {
    if (requests.ret !== undefined) words.push(`RET=${requests.ret}`); // RFC 3461 4.3
    if (requests.envid !== undefined) words.push(`ENVID=${xtext(requests.envid)}`); // RFC 3461 4.4
  }
  const by = extensions.has("DELIVERBY") ? deliverBy(requests, transaction.deliverBySeconds) : undefined;
  if (by !== undefined) words.push(by);
  if (requests.priority !== undefined && extensions.has("MT-PRIORITY")) { // RFC 6710 4
    words.push(`MT-PRIORITY=${requests.priority}`);
  }
  return words.join(" ");
}

/** RFC 2852 4: by-time = ["-" / "+"] 1*9DIGIT. */
const BY_TIME_SECONDS = 999_999_999;

// deliver-by-value = by-time ";" by-mode [by-trace]     ; RFC 2852 4
function deliverBy({ deliverBy }: MessageRequests, seconds: number | undefined): string | undefined {
  if (deliverBy === undefined || seconds === undefined) return undefined;
  const time = Math.max(-BY_TIME_SECONDS, Math.min(BY_TIME_SECONDS, seconds));
  return `BY=${time};${deliverBy.mode === "return" ? "R" : "N"}${deliverBy.trace === true ? "T" : ""}`;
}

/** `RCPT TO:<...>` and its parameters. */
export function rcptCommand({ recipient, requests }: OutgoingRecipient, extensions: Extensions): string {
  const path = `RCPT TO:<${recipient}>`;
  return requests === undefined || !extensions.has("DSN") ? path : path + dsnParameters(requests);
}

function dsnParameters({ notify, orcpt }: RecipientRequests): string {
  let text = "";
  if (notify !== undefined) { // RFC 3461 4.1
    text += ` NOTIFY=${notify.length === 0 ? "NEVER" : notify.map((event) => event.toUpperCase()).join(",")}`;
  }
  if (orcpt !== undefined) { // RFC 3461 4.2
    const at = orcpt.indexOf(";");
    const type = orcpt.slice(0, at);
    const address = orcpt.slice(at + 1);
    text += ` ORCPT=${type};${xtext(type.toLowerCase() === "utf-8" ? embedded(address) : address)}`;
  }
  return text;
}

// EmbeddedUnicodeChar = %x5C.78 "{" HEXPOINT "}"        ; RFC 6533 3: needs no SMTPUTF8
function embedded(address: string): string {
  return address.replace(/[^\0-\x7f]/gu, (character) => {
    return `\\x{${character.codePointAt(0)!.toString(16).toUpperCase()}}`;
  });
}

// xtext = *( xchar / hexchar ), xchar = %d33-42 / %d44-60 / %d62-126   ; RFC 3461 4
/** Encodes as xtext. */
export function xtext(text: string): string {
  let encoded = "";
  for (const octet of utf8(text)) {
    const plain = octet >= 33 && octet <= 126 && octet !== 0x2b && octet !== 0x3d;
    encoded += plain ? String.fromCharCode(octet) : `+${octet.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}
