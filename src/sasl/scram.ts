/**
 * SCRAM-SHA-256's stored verifier (RFC 5802 3, RFC 7677), in the form of RFC 5803:
 * `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, and the computations on it.
 *
 * Guarantees: who reads a verifier can't log in with it, only search for the password behind it.
 *
 * @module
 */
import { createHash, createHmac, pbkdf2, timingSafeEqual } from "node:crypto";
import type { Random } from "../base/random.ts";
import { fromBase64, toBase64 } from "./base64.ts";
import { preparePassword } from "./prepare.ts";

export interface ScramVerifier {
  readonly iterations: number;
  readonly salt: Uint8Array;
  /** H(ClientKey). */
  readonly storedKey: Uint8Array;
  readonly serverKey: Uint8Array;
}

/**
 * RFC 7677 4 asks for 4096 at least and more where it can be had. The work is the client's at each log-in, and ours once
 * when a password is set.
 */
export const SCRAM_ITERATIONS = 100_000;
/** Octets of SHA-256. */
export const SCRAM_KEY_OCTETS = 32;
export const SCRAM_SALT_OCTETS = 16;

const FORM =
  /^SCRAM-SHA-256\$([1-9]\d{0,8}):([A-Za-z0-9+/=]{4,128})\$([A-Za-z0-9+/=]{44}):([A-Za-z0-9+/=]{44})$/;

/**
 * Makes the verifier of a password.
 *
 * @throws {TypeError} where the password is empty, too long or holds a prohibited character
 */
export async function makeScramVerifier(
  password: string,
  options: { readonly random: Random; readonly iterations?: number },
): Promise<string> {
  const prepared = preparePassword(password);
  if (prepared === undefined) {
    throw new TypeError("a password must have 1 to 1024 octets and no control characters");
  }
  const iterations = options.iterations ?? SCRAM_ITERATIONS;
  const salt = options.random.bytes(SCRAM_SALT_OCTETS);
  const salted = await saltPassword(prepared, { salt, iterations });
  return formatScramVerifier({
    iterations,
    salt,
    storedKey: sha256(hmac(salted, "Client Key")), // RFC 5802 3
    serverKey: hmac(salted, "Server Key"),
  });
}

/** Formats a verifier (RFC 5803 2). */
export function formatScramVerifier(verifier: ScramVerifier): string {
  return `SCRAM-SHA-256$${verifier.iterations}:${toBase64(verifier.salt)}$${toBase64(verifier.storedKey)}:${
    toBase64(verifier.serverKey)
  }`;
}

/** Reads a verifier; undefined where the text is none. */
export function parseScramVerifier(text: string): ScramVerifier | undefined {
  const match = FORM.exec(text);
  if (match === null) return undefined;
  const [salt, storedKey, serverKey] = [fromBase64(match[2]!), fromBase64(match[3]!), fromBase64(match[4]!)];
  if (
    salt === undefined || storedKey?.length !== SCRAM_KEY_OCTETS || serverKey?.length !== SCRAM_KEY_OCTETS
  ) {
    return undefined;
  }
  return { iterations: Number(match[1]), salt, storedKey, serverKey };
}

/** SaltedPassword := Hi(Normalize(password), salt, i) (RFC 5802 3). */
export function saltPassword(
  prepared: string,
  options: { readonly salt: Uint8Array; readonly iterations: number },
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    pbkdf2(prepared, options.salt, options.iterations, SCRAM_KEY_OCTETS, "sha256", (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}

/** Whether a client's proof shows that it knows the password (RFC 5802 3: H(ClientProof XOR ClientSignature) is StoredKey). */
export function checkProof(
  verifier: ScramVerifier,
  proof: Uint8Array,
  options: { authMessage: string },
): boolean {
  if (proof.length !== SCRAM_KEY_OCTETS) return false;
  const signature = hmac(verifier.storedKey, options.authMessage);
  const clientKey = proof.map((octet, i) => octet ^ signature[i]!);
  return timingSafeEqual(sha256(clientKey), verifier.storedKey);
}

/** ServerSignature := HMAC(ServerKey, AuthMessage). */
export function serverSignature(verifier: ScramVerifier, authMessage: string): Uint8Array {
  return hmac(verifier.serverKey, authMessage);
}

/** HMAC-SHA-256. */
export function hmac(key: Uint8Array, message: string | Uint8Array): Uint8Array {
  return createHmac("sha256", key).update(message).digest();
}

/** SHA-256. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return createHash("sha256").update(bytes).digest();
}
