/**
 * Makes self-signed certificates.
 *
 * Guarantees: a certificate speaks for a server only (it is no authority, so its key can vouch for nobody else), and a
 * client that is given it as its trusted certificate accepts the server by any of its names.
 *
 * The X.509 library is loaded when a certificate is made, which happens once in two years, and not before.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { isIP } from "node:net";

/** RFC 5280's upper bound for a common name. */
const COMMON_NAME_CHARACTERS = 64;
/** Apple's systems take no certificate that is valid for longer. */
const VALID_DAYS = 825;
const DAY_MS = 86_400_000;
/** Valid from a day ago: devices whose clock is a little behind exist. */
const CLOCK_SKEW_MS = DAY_MS;

/** A certificate and its key, in PEM. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

export interface CertificateRequest {
  /** DNS names (A-labels) and IP addresses; the first is the subject. */
  readonly names: readonly string[];
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

/** Makes a key (ECDSA P-256) and a self-signed server certificate for it, valid for 825 days. */
export async function makeCertificate({ names, nowMs }: CertificateRequest): Promise<KeyPair> {
  await import("reflect-metadata"); // which the X.509 library needs to find loaded
  const x509 = await import("@peculiar/x509");
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: [{ CN: [names[0]!.slice(0, COMMON_NAME_CHARACTERS)] }],
    notBefore: new Date(nowMs - CLOCK_SKEW_MS),
    notAfter: new Date(nowMs + VALID_DAYS * DAY_MS - CLOCK_SKEW_MS),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        names.map((value) => ({ type: isIP(value) === 0 ? "dns" as const : "ip" as const, value })),
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const key = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
  return {
    cert: `${certificate.toString("pem")}\n`,
    key: `${x509.PemConverter.encode(key, "PRIVATE KEY")}\n`,
  };
}

/** Sixteen random octets as a positive number without leading zeros (RFC 5280 4.1.2.2). */
function serialNumber(): string {
  const octets = randomBytes(16);
  octets[0] = (octets[0]! & 0x3f) | 0x40;
  return octets.toString("hex");
}
