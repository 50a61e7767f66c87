/**
 * What a server offers (RFC 5321 4.1.1.1), and what follows from it for a transaction.
 *
 * ```abnf
 * ehlo-line    = ehlo-keyword *( SP ehlo-param )
 * ehlo-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
 * ```
 *
 * Guarantees: pure. What a transaction needs and the server doesn't offer is a reply made here, never left out silently;
 * what it merely asked for is left out, where the extension's RFC says so.
 *
 * @module
 */
import { type Reply, reply } from "../../mail/reply.ts";
import type { Transaction } from "./types.ts";

export type Extensions = ReadonlyMap<string, string>;

const LINE = /^([A-Za-z0-9][A-Za-z0-9-]*)(?: +(.*))?$/;

/** The extensions in an EHLO reply; a line that is none is passed over, of two alike the first counts. */
export function parseExtensions(answer: Reply): Extensions {
  const found = new Map<string, string>();
  for (const line of answer.lines.slice(1)) {
    const match = LINE.exec(line);
    if (match === null) continue;
    const keyword = match[1]!.toUpperCase();
    if (!found.has(keyword)) found.set(keyword, match[2]?.trim() ?? "");
  }
  return found;
}

/** The largest message in octets; undefined where there is no limit (RFC 1870 3: 0 is none). */
export function sizeLimit(extensions: Extensions): number | undefined {
  const text = extensions.get("SIZE") ?? "";
  return /^[0-9]{1,20}$/.test(text) && Number(text) > 0 ? Number(text) : undefined;
}

/** A limit of RFC 9422 4: `RCPTMAX` or `MAILMAX`. */
export function announcedLimit(extensions: Extensions, name: "RCPTMAX" | "MAILMAX"): number | undefined {
  for (const word of (extensions.get("LIMITS") ?? "").split(/ +/)) {
    const match = /^([A-Z0-9-]+)=([1-9][0-9]{0,5})$/i.exec(word);
    if (match !== null && match[1]!.toUpperCase() === name) return Number(match[2]);
  }
  return undefined;
}

const NON_ASCII = /[^\0-\x7f]/;

/** Whether SMTPUTF8 must be asked for (RFC 6531 3.4). */
export function wantsUtf8(transaction: Transaction): boolean {
  return transaction.smtpUtf8 || addresses(transaction).some((address) => NON_ASCII.test(address));
}

function addresses(transaction: Transaction): string[] {
  return [transaction.reversePath, ...transaction.recipients.map(({ recipient }) => recipient)];
}

/** What keeps a transaction from being sent here at all, as the reply that its recipients get. */
export function unsendable(
  transaction: Transaction,
  server: { readonly extensions: Extensions; readonly tls: string | undefined },
): Reply | undefined {
  const { extensions, tls } = server;
  const { requests } = transaction;
  const limit = sizeLimit(extensions);
  if (limit !== undefined && transaction.size > limit) { // RFC 1870 6.1
    return reply(552, "5.3.4", `The message has ${transaction.size} octets, the server takes ${limit}`);
  }
  if (wantsUtf8(transaction) && !extensions.has("SMTPUTF8")) { // RFC 6531 3.2
    const which = addresses(transaction).find((address) => NON_ASCII.test(address));
    const what = which === undefined
      ? "The message's header fields may hold UTF-8"
      : `The address ${which} is not ASCII`;
    return reply(553, "5.6.7", `${what}, and the server does not offer SMTPUTF8`);
  }
  if (requests?.body === "8BITMIME" && !extensions.has("8BITMIME")) { // RFC 6152 3
    return reply(554, "5.6.3", "The message holds 8-bit text, and the server does not offer 8BITMIME");
  }
  if (requests?.requireTls === true && (tls === undefined || !extensions.has("REQUIRETLS"))) { // RFC 8689 4.2.1
    const lacks = tls === undefined ? "the connection has no TLS" : "the server does not offer REQUIRETLS";
    return reply(550, "5.7.30", `The sender asked for REQUIRETLS, and ${lacks}`);
  }
  return lateHere(transaction, extensions);
}

/** A message that goes back when it is late goes only to servers that see to it (RFC 2852 4). */
function lateHere({ requests, deliverBySeconds }: Transaction, extensions: Extensions): Reply | undefined {
  if (requests?.deliverBy?.mode !== "return" || deliverBySeconds === undefined) return undefined;
  if (deliverBySeconds < 1) return reply(554, "5.4.7", "The time for delivery has passed");
  const offered = extensions.get("DELIVERBY");
  if (offered === undefined) {
    return reply(554, "5.3.3", "The sender set a time for delivery, and the server does not offer DELIVERBY");
  }
  const least = /^[0-9]{1,9}/.exec(offered);
  if (least !== null && deliverBySeconds < Number(least[0])) {
    return reply(554, "5.4.7", `${deliverBySeconds} s are left for delivery, the server wants ${least[0]}`);
  }
  return undefined;
}
