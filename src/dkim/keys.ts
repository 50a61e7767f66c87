/**
 * Signing keys: made, read from a file, and their public half as a DNS record (RFC 6376 3.6.1, RFC 8463 4.2).
 *
 * Guarantees: a key that passes here is one that can sign; no sentence or record holds anything of the private half.
 *
 * @module
 */
import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from "node:crypto";
import { promisify } from "node:util";

const generate = promisify(generateKeyPair);

export type SigningAlgorithm = "rsa-sha256" | "ed25519-sha256";

/** A key that signs mail of a domain, as the store keeps it. */
export interface SigningKey {
  /** Canonical. */
  readonly domain: string;
  readonly selector: string;
  readonly algorithm: SigningAlgorithm;
  /** PKCS #8, PEM. */
  readonly privateKey: string;
  readonly createdAtMs: number;
}

export type PrivateKey = Pick<SigningKey, "algorithm" | "privateKey">;

/** RFC 8301 3.2: verifiers refuse less than 1024 bits, and signers should use 2048. */
export const RSA_BITS = { least: 1024, usual: 2048, most: 4096 } as const;

/** The file that was given holds no key that can sign; the sentence says why. */
export class KeyError extends Error {
  override readonly name = "KeyError";
}

/** Makes a key: PKCS #8 in PEM. `bits` is for RSA. */
export async function makePrivateKey(
  algorithm: SigningAlgorithm,
  { bits = RSA_BITS.usual }: { readonly bits?: number } = {},
): Promise<string> {
  const { privateKey } = algorithm === "rsa-sha256"
    ? await generate("rsa", { modulusLength: bits })
    : await generate("ed25519");
  return pem(privateKey);
}

/** A key read from a file's text. @throws {KeyError} */
export function readPrivateKey(
  text: string,
): { readonly algorithm: SigningAlgorithm; readonly privateKey: string } {
  let key: KeyObject;
  if (/-----BEGIN ENCRYPTED |^Proc-Type:.*ENCRYPTED/m.test(text)) {
    throw new KeyError("the key has a passphrase; take it off first (openssl pkey -in FILE -out PLAIN)");
  }
  if (/-----BEGIN (?:RSA )?PUBLIC KEY-----|-----BEGIN CERTIFICATE-----/.test(text)) {
    throw new KeyError("this is the public half; the private key is needed");
  }
  try {
    key = createPrivateKey(text);
  } catch {
    // The platform's own sentence is for programmers, and might quote the file.
    throw new KeyError("this is not a private key in PEM (-----BEGIN PRIVATE KEY-----)");
  }
  if (key.asymmetricKeyType === "ed25519") return { algorithm: "ed25519-sha256", privateKey: pem(key) };
  if (key.asymmetricKeyType !== "rsa") {
    throw new KeyError(`DKIM knows RSA and Ed25519 keys, not ${key.asymmetricKeyType ?? "this kind"}`);
  }
  const bits = rsaBits(key);
  if (bits < RSA_BITS.least) {
    throw new KeyError(
      `the key has ${bits} bits; verifiers refuse less than ${RSA_BITS.least} (RFC 8301 3.2)`,
    );
  }
  return { algorithm: "rsa-sha256", privateKey: pem(key) };
}

/** Bits of an RSA key; 256 of an Ed25519 one. */
export function keyBits({ algorithm, privateKey }: PrivateKey): number {
  return algorithm === "rsa-sha256" ? rsaBits(createPrivateKey(privateKey)) : 256;
}

/** The public half as p= has it, in base64. */
export function publicKeyText(
  { algorithm, privateKey }: PrivateKey,
): string {
  const der = createPublicKey(privateKey).export({ type: "spki", format: "der" });
  // RFC 8463 4.2: an Ed25519 key stands there bare, and those are the last 32 octets of its SubjectPublicKeyInfo.
  return (algorithm === "rsa-sha256" ? der : der.subarray(-32)).toString("base64");
}

/** `SELECTOR._domainkey.DOMAIN` (RFC 6376 3.6.2.1). */
export function recordName({ domain, selector }: Pick<SigningKey, "domain" | "selector">): string {
  return `${selector}._domainkey.${domain}`;
}

/** The TXT record's text (RFC 6376 3.6.1). */
export function recordText(key: PrivateKey): string {
  const type = key.algorithm === "rsa-sha256" ? "rsa" : "ed25519";
  return `v=DKIM1; k=${type}; p=${publicKeyText(key)}`;
}

/** Characters in one string of a TXT record (RFC 1035 3.3). */
const STRING_CHARACTERS = 255;

/** A record as a line of a zone file (RFC 1035 5.1), its text in strings of 255 characters at most. */
export function zoneLine(name: string, text: string): string {
  const strings = text.match(new RegExp(`.{1,${STRING_CHARACTERS}}`, "g")) ?? [""];
  return `${name}. IN TXT ${
    strings.length === 1 ? `"${strings[0]}"` : `( ${strings.map((each) => `"${each}"`).join(" ")} )`
  }`;
}

/** A selector for a key made now: `ems202611`, and `ems202611e` for Ed25519. */
export function usualSelector(nowMs: number, algorithm: SigningAlgorithm): string {
  const month = new Date(nowMs).toISOString().slice(0, 7).replace("-", "");
  return `ems${month}${algorithm === "rsa-sha256" ? "" : "e"}`;
}

/** A selector in lower case (RFC 6376 3.1: labels of a domain name with dots between); undefined where it is none. */
export function parseSelector(text: string): string | undefined {
  const selector = text.toLowerCase();
  const label = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
  return new RegExp(`^${label}(?:\\.${label})*$`).test(selector) ? selector : undefined;
}

function rsaBits(key: KeyObject): number {
  return key.asymmetricKeyDetails?.modulusLength ?? 0;
}

function pem(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }).toString();
}
