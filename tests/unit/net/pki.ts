/**
 * A root, an authority between, and servers' certificates for tests of TLS as a client.
 *
 * @module
 */
import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { createSecureContext, type SecureContext } from "node:tls";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const DAY_MS = 86_400_000;
let serial = 1;

export interface Issued {
  readonly certificate: x509.X509Certificate;
  readonly keys: CryptoKeyPair;
  /** PEM. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
}

export interface Wanted {
  readonly subject: string;
  readonly names?: readonly string[];
  readonly issuer?: Issued;
  /** Days from now. */
  readonly until?: number;
}

/** Makes a certificate: an authority's where no names are given, signed by itself where no issuer is. */
export async function issue({ subject, names, issuer, until = 100 }: Wanted): Promise<Issued> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]) as CryptoKeyPair;
  const extensions = names === undefined ? [new x509.BasicConstraintsExtension(true, undefined, true)] : [
    new x509.SubjectAlternativeNameExtension(
      names.map((value) => ({ type: /^[\d.]+$/.test(value) ? "ip" as const : "dns" as const, value })),
    ),
  ];
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: (0x4000 + serial++).toString(16),
    subject: `CN=${subject}`,
    issuer: issuer?.certificate.subject ?? `CN=${subject}`,
    notBefore: new Date(Date.now() + Math.min(0, until) * DAY_MS - DAY_MS),
    notAfter: new Date(Date.now() + until * DAY_MS),
    signingAlgorithm: ALGORITHM,
    signingKey: (issuer?.keys ?? keys).privateKey,
    publicKey: keys.publicKey,
    extensions,
  });
  const key = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
  return {
    certificate,
    keys,
    cert: `${certificate.toString("pem")}\n`,
    key: `${x509.PemConverter.encode(key, "PRIVATE KEY")}\n`,
  };
}

const names = ["mail.example.org", "*.wild.example.org", "127.0.0.1"];
export const root: Issued = await issue({ subject: "Test root" });
export const between: Issued = await issue({ subject: "Test authority", issuer: root });
export const server: Issued = await issue({ subject: "mail.example.org", names, issuer: between });
export const expired: Issued = await issue({
  subject: "mail.example.org",
  names,
  issuer: between,
  until: -1,
});
export const selfSigned: Issued = await issue({ subject: "mail.example.org", names });

/** PEM: a server's certificate and the authority's between it and the root. */
export function chainOf(issued: Issued): string {
  return issued.cert + between.cert;
}

export const goodContext: SecureContext = createSecureContext({ cert: chainOf(server), key: server.key });
