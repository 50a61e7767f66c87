/**
 * Password hashes: scrypt (RFC 7914) in the form `$scrypt$ln=14,r=8,p=1$<salt>$<hash>`, base64 without padding.
 *
 * Guarantees: the work is done off the thread that asks; comparison takes the same time wherever two hashes differ;
 * no message of an error holds a password or a hash. Passwords are prepared here (prepare.ts).
 *
 * @module
 */
import { scrypt, timingSafeEqual } from "node:crypto";
import type { Random } from "../base/random.ts";
import { fromBase64, toBase64 } from "./base64.ts";
import { preparePassword } from "./prepare.ts";

/** What one hash costs: 128 * 2^ln * r octets of memory, and time in proportion to 2^ln * r * p. */
export interface ScryptCost {
  /** Logarithm to base 2 of the number of rounds. */
  readonly ln: number;
  /** Block size. */
  readonly r: number;
  /** Parallelization. */
  readonly p: number;
}

/** 16 MiB and some 50 ms: what an appliance with many polling clients can afford at each log-in. */
export const DEFAULT_SCRYPT_COST: ScryptCost = { ln: 14, r: 8, p: 1 };

const SALT_OCTETS = 16;
const HASH_OCTETS = 32;
/** A stored hash that asks for more memory is a mistake or an attack on ours. */
const MAX_MEMORY_OCTETS = 256 * 1024 * 1024;
const FORM =
  /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{4,128})\$([A-Za-z0-9+/]{22,128})$/;

interface ParsedHash {
  readonly cost: ScryptCost;
  readonly salt: Uint8Array;
  readonly hash: Uint8Array;
}

/**
 * Hashes a password.
 *
 * @throws {TypeError} where the password is empty, too long or holds a prohibited character
 *
 * @example
 * ```ts
 * const stored = await hashPassword("correct horse", { random: systemRandom });
 * await verifyPassword("correct horse", stored); // true
 * ```
 */
export async function hashPassword(
  password: string,
  options: { readonly random: Random; readonly cost?: ScryptCost },
): Promise<string> {
  const prepared = preparePassword(password);
  if (prepared === undefined) {
    throw new TypeError("a password must have 1 to 1024 octets and no control characters");
  }
  const cost = checkCost(options.cost ?? DEFAULT_SCRYPT_COST);
  const salt = options.random.bytes(SALT_OCTETS);
  const hash = await derive(prepared, { cost, salt, length: HASH_OCTETS });
  return `$scrypt$ln=${cost.ln},r=${cost.r},p=${cost.p}$${unpadded(salt)}$${unpadded(hash)}`;
}

/**
 * Whether a password is the one behind a stored hash. A password that could never have been stored is simply wrong,
 * after the same work.
 *
 * @throws {TypeError} where the stored hash is not in the form of this file
 */
export async function verifyPassword(password: string, stored: string): Promise<boolean> {
  const parsed = parse(stored);
  if (parsed === undefined) {
    throw new TypeError("a stored password hash is not in the form $scrypt$ln=..,r=..,p=..$salt$hash");
  }
  const prepared = preparePassword(password);
  const hash = await derive(prepared ?? "", { ...parsed, length: parsed.hash.length });
  return timingSafeEqual(hash, parsed.hash) && prepared !== undefined;
}

/** Whether a stored hash was made at another cost than is wanted now, or is no hash at all. */
export function needsRehash(stored: string, cost: ScryptCost = DEFAULT_SCRYPT_COST): boolean {
  const made = parse(stored)?.cost;
  return made === undefined || made.ln !== cost.ln || made.r !== cost.r || made.p !== cost.p;
}

/** A well-formed hash that no password has, to do the work of a verification for nobody. */
export function dummyHash(random: Random, cost: ScryptCost = DEFAULT_SCRYPT_COST): string {
  const { ln, r, p } = checkCost(cost);
  return `$scrypt$ln=${ln},r=${r},p=${p}$${unpadded(random.bytes(SALT_OCTETS))}$${
    unpadded(random.bytes(HASH_OCTETS))
  }`;
}

function parse(stored: string): ParsedHash | undefined {
  const match = FORM.exec(stored);
  if (match === null) return undefined;
  const cost = { ln: Number(match[1]), r: Number(match[2]), p: Number(match[3]) };
  const salt = fromBase64(padded(match[4]!));
  const hash = fromBase64(padded(match[5]!));
  if (!isCost(cost) || salt === undefined || hash === undefined) return undefined;
  return { cost, salt, hash };
}

function isCost(cost: ScryptCost): boolean {
  const { ln, r, p } = cost;
  return [ln, r, p].every((n) => Number.isInteger(n) && n >= 1) && ln <= 24 && p <= 16 &&
    128 * 2 ** ln * r <= MAX_MEMORY_OCTETS;
}

function checkCost(cost: ScryptCost): ScryptCost {
  if (isCost(cost)) return cost;
  throw new RangeError(
    `scrypt cost ln=${cost.ln}, r=${cost.r}, p=${cost.p} is out of range: 128 * 2^ln * r may be 256 MiB at most, p 16`,
  );
}

function derive(
  password: string,
  options: { readonly cost: ScryptCost; readonly salt: Uint8Array; readonly length: number },
): Promise<Uint8Array> {
  const { cost: { ln, r, p }, salt, length } = options;
  const maxmem = 128 * r * (2 ** ln + p + 2) + 1024 * 1024;
  return new Promise((resolve, reject) => {
    scrypt(password, salt, length, { N: 2 ** ln, r, p, maxmem }, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}

const unpadded = (bytes: Uint8Array) => toBase64(bytes).replace(/=+$/, "");
const padded = (text: string) => text + "=".repeat((4 - text.length % 4) % 4);
