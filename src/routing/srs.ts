/**
 * The Sender Rewriting Scheme: a sender's address in the guise of one of ours, for mail that an alias forwards outside.
 * The next host's SPF check (RFC 7208) then looks at our domain, and a notification of failure comes back to us and is
 * sent on to the sender.
 *
 * ```text
 * SRS0=HHHHHH=TT=example.com=alice@ours       alice@example.com, rewritten here
 * SRS1=HHHHHH=first.example==REST@ours        SRS0=REST@first.example, which another host had rewritten before
 * ```
 *
 * HHHHHH is an HMAC-SHA256 under this system's secret, cut to 30 bits in base32; TT the day, modulo 1024, in base32. So
 * nobody can make such an address but us, and one that we made is of use for {@linkcode SRS_DAYS} days. SRS1 has no day of
 * its own: it leads to the first host only, which judges the day it put in. All of it ignores case, because some hosts
 * fold it.
 *
 * Guarantees: pure (the time is passed in); what was rewritten comes back as it was; a local part never gets longer than
 * mail can carry; the hash is compared in constant time.
 *
 * Absent on purpose: SRS addresses within 64 octets for every sender. One too long for it keeps its own address.
 *
 * @module
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { utf8 } from "../base/bytes.ts";
import { LOCAL_PART_OCTETS, SRS_DAYS } from "../base/limits.ts";
import {
  type Address,
  canonicalDomain,
  canonicalLocal,
  formatAddress,
  isAddressLiteral,
  isDomain,
} from "../mail/address.ts";

/** What rewriting needs. */
export interface SrsKey {
  /** The domain of ours that rewritten addresses have. */
  readonly domain: string;
  readonly secret: Uint8Array;
  readonly nowMs: number;
}

export type SrsReversal =
  /** An ordinary address. */
  | { readonly kind: "not-srs" }
  /** Looks like one of ours, and isn't, or not any more; the reason is a sentence. */
  | { readonly kind: "bad"; readonly reason: string }
  /** Stands for this address. */
  | { readonly kind: "ok"; readonly recipient: Address };

const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/** 30 bits: at a thousand guesses a second, one would be right in twelve days. */
const HASH_CHARACTERS = 6;
const DAY_MS = 86_400_000;
/** Two characters hold this many days. */
const DAY_CYCLE = 1024;

const OURS = /^SRS([01])=/i;
const SRS0 = new RegExp(`^SRS0=([A-Z2-7]{${HASH_CHARACTERS}})=([A-Z2-7]{2})=([^=]+)=(.*)$`, "is");
const SRS1 = new RegExp(`^SRS1=([A-Z2-7]{${HASH_CHARACTERS}})=([^=]+)=([=+-].*)$`, "is");
/** As other hosts may write them: hashes of any length, and any of three signs after SRS0 and SRS1. */
const FOREIGN_SRS0 = /^SRS0([=+-].+)$/is;
const FOREIGN_SRS1 = /^SRS1[=+-][^=]+=([^=]+)=([=+-].*)$/is;

/**
 * A sender's address at our domain. Undefined where that would be longer than a local part may be (RFC 5321 4.5.3.1.1), or
 * the sender has no domain: then it stays as it is.
 */
export function srsForward(sender: Address, key: SrsKey): Address | undefined {
  if (sender.domain === "") return undefined;
  const local = forwardLocal(sender, key);
  const address = { local, domain: key.domain };
  // As it is written in an envelope: with quotes, where it has to have them.
  return utf8(formatAddress({ local, domain: "" })).length <= LOCAL_PART_OCTETS ? address : undefined;
}

/** Topology, as far as it matters here. */
interface ForwardingRules {
  readonly domains: readonly string[];
  readonly srs?: SrsKey;
  readonly forwarding?: "srs" | "keep";
}

/**
 * The sender that a forwarded message leaves with: itself where it is null or ours already, where senders are kept or
 * there is no key, and where it would get too long.
 */
export function forwardingSender(sender: Address | null, rules: ForwardingRules): Address | null {
  const { domains, srs, forwarding } = rules;
  if (sender === null || srs === undefined || forwarding === "keep") return sender;
  if (domains.includes(canonicalDomain(sender.domain))) return sender;
  return srsForward(sender, srs) ?? sender;
}

function forwardLocal({ local, domain }: Address, { secret, nowMs }: SrsKey): string {
  const second = FOREIGN_SRS1.exec(local);
  const first = FOREIGN_SRS0.exec(local);
  // Whoever rewrote it first can undo that; the hosts between need not see the notification.
  const [host, rest] = second !== null ? [second[1]!, second[2]!] : [domain, first?.[1]];
  if (rest !== undefined) return `SRS1=${hash(secret, ["1", host, rest])}=${host}=${rest}`;
  const day = dayStamp(nowMs);
  return `SRS0=${hash(secret, ["0", day, domain, local])}=${day}=${domain}=${local}`;
}

/** What an address at our domain stands for. */
export function srsReverse(recipient: Address, key: Omit<SrsKey, "domain">): SrsReversal {
  const kind = OURS.exec(recipient.local)?.[1];
  if (kind === undefined) return { kind: "not-srs" };
  return kind === "0" ? reverseFirst(recipient.local, key) : reverseSecond(recipient.local, key);
}

function reverseFirst(text: string, { secret, nowMs }: Omit<SrsKey, "domain">): SrsReversal {
  const parts = SRS0.exec(text);
  if (parts === null) return bad(MALFORMED);
  const [, given, day, domain, local] = parts as unknown as string[] & { length: 5 };
  if (!sameHash(given!, hash(secret, ["0", day!, domain!, local!]))) return bad(FORGED);
  if (ageDays(day!, nowMs) > SRS_DAYS) return bad(`it was good for ${SRS_DAYS} days, which are over`);
  return original({ local: local!, domain: domain! });
}

function reverseSecond(text: string, { secret }: Omit<SrsKey, "domain">): SrsReversal {
  const parts = SRS1.exec(text);
  if (parts === null) return bad(MALFORMED);
  const [, given, host, rest] = parts as unknown as string[] & { length: 4 };
  if (!sameHash(given!, hash(secret, ["1", host!, rest!]))) return bad(FORGED);
  return original({ local: `SRS0${rest}`, domain: host! });
}

const MALFORMED = "it is not written as this system writes rewritten addresses";
const FORGED = "this system has not made it";

function bad(reason: string): SrsReversal {
  return { kind: "bad", reason };
}

/** What we made is a mailbox; unless it came through here before some check was stricter. */
function original(recipient: Address): SrsReversal {
  const fits = isDomain(recipient.domain) || isAddressLiteral(recipient.domain);
  return fits ? { kind: "ok", recipient } : bad(MALFORMED);
}

/** Of the parts in the form for comparison, since hosts on the way may have folded their case. */
function hash(secret: Uint8Array, parts: readonly string[]): string {
  const [kind, ...others] = parts;
  const text = [kind, ...others.slice(0, -1).map(canonicalDomain), canonicalLocal(others.at(-1)!)].join("\n");
  const octets = createHmac("sha256", secret).update(text, "utf8").digest();
  const number = octets.readUInt32BE(0);
  let characters = "";
  for (let i = 0; i < HASH_CHARACTERS; i++) characters += BASE32[(number >>> (27 - 5 * i)) & 31];
  return characters;
}

function sameHash(given: string, right: string): boolean {
  return timingSafeEqual(utf8(given.toUpperCase()), utf8(right));
}

function dayStamp(nowMs: number): string {
  const day = today(nowMs);
  return BASE32[day >>> 5]! + BASE32[day & 31]!;
}

function today(nowMs: number): number {
  return Math.floor(nowMs / DAY_MS) % DAY_CYCLE;
}

/** Days since a stamp; a stamp of tomorrow (a clock was set back) counts as one of today. */
function ageDays(stamp: string, nowMs: number): number {
  const [high, low] = [...stamp.toUpperCase()].map((character) => BASE32.indexOf(character));
  const age = (today(nowMs) - (high! * 32 + low!) + DAY_CYCLE) % DAY_CYCLE;
  return age === DAY_CYCLE - 1 ? 0 : age;
}
