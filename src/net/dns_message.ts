/**
 * DNS messages: a question to octets, octets to what they say about the question.
 *
 * Guarantees: pure; {@linkcode readReply} throws for no octets whatever. A reply counts only if its id and its question
 * are those asked. Names come out in lower case without the dot at the end, and hold printable ASCII only, so that they
 * can stand in a log line: any other octet has become "?", which no name that can be asked for holds.
 *
 * Deliberately absent: DNSSEC validation. The resolver does it, and its word counts where it is on this machine (dns.ts).
 *
 * @module
 */
// @ts-types="./dns_packet.d.ts"
import packet, { type DecodedPacket, type PacketRecord } from "dns-packet";
import { isIPv4, isIPv6 } from "node:net";
import { asBuffer, concat, latin1 } from "../base/bytes.ts";
import { DNS_ALIASES } from "../base/limits.ts";

/** What a question's answers look like, by type. */
export interface DnsRecords {
  readonly A: string;
  readonly AAAA: string;
  /** RFC 5321 5.1; the exchange "." is a null MX (RFC 7505). */
  readonly MX: { readonly preference: number; readonly exchange: string };
  /** The strings of one record joined (RFC 7208 3.3), one code unit an octet. */
  readonly TXT: string;
  readonly CNAME: string;
  /** RFC 6698 2.1. */
  readonly TLSA: {
    readonly usage: number;
    readonly selector: number;
    readonly matchingType: number;
    readonly certificate: Uint8Array;
  };
  readonly PTR: string;
}

export type DnsType = keyof DnsRecords;

export interface Question {
  /** As {@linkcode dnsName} gives it. */
  readonly name: string;
  readonly type: DnsType;
}

/** What a reply says about a question. Times to live are in seconds. */
export type Reply =
  | {
    readonly kind: "found";
    readonly records: readonly DnsRecords[DnsType][];
    /** The name that has them, behind `aliases` CNAMEs. */
    readonly name: string;
    readonly aliases: number;
    readonly ttlSeconds: number;
    readonly authentic: boolean;
  }
  /** The name is another name's alias, of which the reply says nothing. */
  | {
    readonly kind: "alias";
    readonly name: string;
    readonly aliases: number;
    readonly ttlSeconds: number;
    readonly authentic: boolean;
  }
  | {
    readonly kind: "no-data" | "no-such-name";
    /** RFC 2308 5; 0 where the reply says nothing of it. */
    readonly ttlSeconds: number;
    readonly authentic: boolean;
  }
  /** To be asked for by TCP (RFC 1035 4.2.1). */
  | { readonly kind: "truncated" }
  /** To be asked for without EDNS (RFC 6891 7). */
  | { readonly kind: "no-edns" }
  /** The server has no answer. */
  | { readonly kind: "refused"; readonly code: string }
  /** From the right server, but it can't be made sense of. */
  | { readonly kind: "malformed"; readonly reason: string }
  /** An answer to another question, or forged. */
  | { readonly kind: "not-ours" };

/** The UDP octets we take: what passes every usual network in one piece. */
const EDNS_OCTETS = 1232;
/** RFC 1035 2.3.4: 255 octets on the wire are 253 characters of text. */
const NAME_CHARACTERS = 253;
// RFC 1035 2.3.1 with underscores (RFC 8552); 63 octets a label.
const LABELS = /^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/;

/**
 * A name in the form it is asked for: lower case, no dot at the end. Undefined for what no record can have: labels or
 * names too long or empty, other characters than letters, digits, "-" and "_" (names in Unicode come as A-labels), IP
 * addresses.
 */
export function dnsName(text: string): string | undefined {
  const name = canonicalName(text);
  return name.length <= NAME_CHARACTERS && LABELS.test(name) && !isIPv4(name) ? name : undefined;
}

/** Lower case (ASCII only, RFC 4343) and no dot at the end, except for the root. */
function canonicalName(text: string): string {
  const lower = text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
  return lower.length > 1 && lower.endsWith(".") ? lower.slice(0, -1) : lower;
}

/** A name out of a reply, fit to be shown. */
function shownName(name: unknown): string {
  return canonicalName(String(name).replace(/[^\x21-\x7e]/g, "?"));
}

/** A question's octets. The id must be hard to guess. */
export function encodeQuestion(
  { name, type }: Question,
  options: { readonly id: number; readonly edns: "with" | "without" },
): Uint8Array {
  return packet.encode({
    type: "query",
    id: options.id,
    // RFC 6840 5.7: AD in a question asks for AD in the answer.
    flags: packet.RECURSION_DESIRED | packet.AUTHENTIC_DATA,
    questions: [{ name, type }],
    additionals: options.edns === "without" ? [] : [{
      name: ".",
      type: "OPT",
      udpPayloadSize: EDNS_OCTETS,
      // RFC 3225 3: older resolvers set AD only for who knows of DNSSEC.
      flags: packet.DNSSEC_OK,
      options: [],
    }],
  });
}

/** What `octets` say about `question`, which was asked with `id`. */
export function readReply(
  octets: Uint8Array,
  { question, id }: { readonly question: Question; readonly id: number },
): Reply {
  if (octets.length < 12 || asBuffer(octets).readUInt16BE(0) !== id) return { kind: "not-ours" };
  try {
    const reply = packet.decode(asBuffer(octets));
    // Not a number where a length itself is missing.
    const isWhole = packet.decode.bytes <= octets.length;
    if (!isWhole) throw new RangeError("the last record is cut short");
    return judge(reply, question);
  } catch {
    // RFC 2181 9: what a truncated reply holds is not looked at, so it may end in the middle of a record.
    if ((octets[2]! & 0x82) === 0x82) return { kind: "truncated" };
    return { kind: "malformed", reason: "its answer can't be read" };
  }
}

function judge(reply: DecodedPacket, question: Question): Reply {
  if (reply.type !== "response" || reply.opcode !== "QUERY") return { kind: "not-ours" };
  if (!asksFor(reply, question)) return { kind: "not-ours" };
  if (reply.flag_tc) return { kind: "truncated" };
  const hasExtendedCode = reply.additionals.some((record) =>
    record.type === "OPT" && (record.extendedRcode ?? 0) !== 0
  );
  if (reply.rcode === "FORMERR" || hasExtendedCode) return { kind: "no-edns" };
  if (reply.rcode !== "NOERROR" && reply.rcode !== "NXDOMAIN") return { kind: "refused", code: reply.rcode };
  return interpret(reply, question);
}

/** Whether a reply repeats the question; a server that couldn't read the question may leave it out. */
function asksFor(reply: DecodedPacket, question: Question): boolean {
  const [asked] = reply.questions;
  if (asked === undefined) return reply.rcode === "FORMERR" || reply.rcode === "NOTIMP";
  return reply.questions.length === 1 && asked.type === question.type && asked.class === "IN" &&
    canonicalName(asked.name) === question.name;
}

/** Follows the aliases inside a reply to the records, or to where they end. */
function interpret(reply: DecodedPacket, { name: asked, type }: Question): Reply {
  const authentic = reply.flag_ad;
  let name = asked;
  let ttlSeconds = Infinity;
  for (let aliases = 0; aliases <= DNS_ALIASES; aliases++) {
    const here = reply.answers.filter((record) => record.class === "IN" && shownName(record.name) === name);
    const found = here.filter((record) => record.type === type);
    if (found.length > 0) {
      const records = found.map((record) => READERS[type](record.data)).filter((each) => each !== undefined);
      if (records.length === 0) return { kind: "malformed", reason: `its ${type} records can't be read` };
      ttlSeconds = Math.min(ttlSeconds, ...found.map((record) => record.ttl ?? 0));
      return { kind: "found", records, name, aliases, ttlSeconds, authentic };
    }
    const alias = here.find((record) => record.type === "CNAME");
    if (alias === undefined) return withoutRecords(reply, { name, aliases, ttlSeconds, authentic });
    name = shownName(alias.data);
    ttlSeconds = Math.min(ttlSeconds, alias.ttl ?? 0);
  }
  return { kind: "alias", name, aliases: DNS_ALIASES + 1, ttlSeconds: 0, authentic };
}

/** RFC 2308 2.1, 2.2: with aliases, the response code and the SOA record are about the last name. */
function withoutRecords(
  reply: DecodedPacket,
  at: {
    readonly name: string;
    readonly aliases: number;
    readonly ttlSeconds: number;
    readonly authentic: boolean;
  },
): Reply {
  const soa = reply.authorities.find((record) => record.type === "SOA" && record.class === "IN");
  const ttlSeconds = Math.min(at.ttlSeconds, soa === undefined ? 0 : negativeTtlSeconds(soa));
  const { authentic } = at;
  if (reply.rcode === "NXDOMAIN") return { kind: "no-such-name", ttlSeconds, authentic };
  if (at.aliases > 0 && soa === undefined) return { kind: "alias", ...at };
  // RFC 2308 2.2: name servers instead of an answer. To take it for "no such record" would send mail back.
  const isReferral = soa === undefined && !reply.flag_aa &&
    reply.authorities.some((each) => each.type === "NS");
  if (isReferral) return { kind: "refused", code: "with a referral; it is no resolver" };
  return { kind: "no-data", ttlSeconds, authentic };
}

/** RFC 2308 5: the lesser of the SOA record's own time and its last field. */
function negativeTtlSeconds(soa: PacketRecord): number {
  const { minimum } = (soa.data ?? {}) as { readonly minimum?: number };
  return Math.min(soa.ttl ?? 0, minimum ?? 0);
}

/** A record's data as the codec gives it, to ours; undefined where it is not what it should be. */
const READERS: { readonly [K in DnsType]: (data: unknown) => DnsRecords[K] | undefined } = {
  A: (data) => typeof data === "string" && isIPv4(data) ? data : undefined,
  AAAA: (data) => typeof data === "string" && isIPv6(data) ? data : undefined,
  MX(data) {
    const { preference, exchange } = data as { readonly preference: number; readonly exchange: string };
    return { preference, exchange: shownName(exchange) };
  },
  TXT: (data) => latin1(concat(data as Uint8Array[])),
  CNAME: shownName,
  TLSA(data) {
    const { usage, selector, matchingType, certificate } = data as DnsRecords["TLSA"];
    return { usage, selector, matchingType, certificate: Uint8Array.from(certificate) };
  },
  PTR: shownName,
};
