/** Certificates of every kind for tests. */
import "reflect-metadata";
import * as x509 from "@peculiar/x509";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const DAY_MS = 86_400_000;

export interface Made {
  /** DER. */
  readonly der: Uint8Array;
  /** Subject public key info, DER. */
  readonly key: Uint8Array;
  readonly keys: CryptoKeyPair;
  readonly subject: string;
}

export interface Wanted {
  readonly subject: string;
  /** Absent: it signs itself. */
  readonly issuer?: Made;
  readonly names?: readonly string[];
  readonly authority?: "yes" | "no";
  /** From here for 30 days. */
  readonly fromMs: number;
}

let serial = 1;

/** Makes a certificate. */
export async function certificate(wanted: Wanted): Promise<Made> {
  const { subject, issuer, names = [], authority = "no", fromMs } = wanted;
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]) as CryptoKeyPair;
  const made = await x509.X509CertificateGenerator.create({
    serialNumber: (serial++).toString(16).padStart(2, "0"),
    subject: `CN=${subject}`,
    issuer: `CN=${issuer?.subject ?? subject}`,
    notBefore: new Date(fromMs),
    notAfter: new Date(fromMs + 30 * DAY_MS),
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: (issuer?.keys ?? keys).privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(authority === "yes", undefined, true),
      ...(names.length === 0 ? [] : [
        new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: "dns" as const, value }))),
      ]),
    ],
  });
  const key = await crypto.subtle.exportKey("spki", keys.publicKey);
  return { der: new Uint8Array(made.rawData), key: new Uint8Array(key), keys, subject };
}
