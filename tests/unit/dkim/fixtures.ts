/**
 * Keys made once, a verifier that nobody here wrote, and messages.
 *
 * @module
 */
import { dkimVerify } from "mailauth/lib/dkim/verify.js";
import { asBuffer, fromLatin1 } from "../../../src/base/bytes.ts";
import { makePrivateKey, recordName, recordText } from "../../../src/dkim/keys.ts";
import type { SigningKey } from "../../../src/store/types.ts";

export const NOW_MS = Date.UTC(2026, 10, 24, 12);

const privateKeys = {
  "rsa-sha256": await makePrivateKey("rsa-sha256"),
  "ed25519-sha256": await makePrivateKey("ed25519-sha256"),
};

/** A key of example.org; the selector says which algorithm. */
export function key(changes: Partial<SigningKey> = {}): SigningKey {
  const algorithm = changes.algorithm ?? "rsa-sha256";
  return {
    domain: "example.org",
    selector: algorithm === "rsa-sha256" ? "r" : "e",
    algorithm,
    privateKey: privateKeys[algorithm],
    createdAtMs: NOW_MS,
    ...changes,
  };
}

export const BOTH: readonly SigningKey[] = [key(), key({ algorithm: "ed25519-sha256" })];

/** What the verifier of the package says of each signature of a message: `pass example.org r`. */
export async function verify(
  message: Uint8Array,
  keys: readonly SigningKey[] = BOTH,
): Promise<string[]> {
  const { results } = await dkimVerify(asBuffer(message), {
    curTime: new Date(NOW_MS),
    resolver: (name: string, type: string) => {
      const found = keys.find((each) => recordName(each) === name);
      if (found === undefined || type !== "TXT") {
        throw Object.assign(new Error(`no ${type} at ${name}`), { code: "ENOTFOUND" });
      }
      return Promise.resolve([[recordText(found)]]);
    },
  });
  return results.map((result) =>
    [
      result.status.result,
      result.signingDomain,
      result.selector,
      ...(result.status.result === "pass" ? [] : [result.status.comment]),
    ].join(" ")
  );
}

/** A message with the usual header. */
export function message(body: string, more = ""): Uint8Array {
  return fromLatin1(
    `From: Alice <alice@example.org>\r\nTo: bob@example.net\r\nSubject: News\r\n` +
      `Date: Tue, 24 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n${more}\r\n${body}`,
  );
}

/** The same octets in pieces. */
export async function* inPieces(octets: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < octets.length; at += size) {
    yield await Promise.resolve(octets.subarray(at, at + size));
  }
}
