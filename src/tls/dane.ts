/**
 * Whether a certificate chain is what a host's TLSA records say (RFC 6698, RFC 7671), as SMTP uses them (RFC 7672 3).
 *
 * Guarantees: pure; never throws, whatever the records and certificates hold. Of the records, DANE-EE(3) and DANE-TA(2)
 * count; PKIX-TA(0) and PKIX-EE(1) are unusable for SMTP (RFC 7672 3.1.3). DANE-EE looks at the key alone: no name, no
 * date (RFC 7672 3.1.1). DANE-TA looks at signatures, names and dates.
 *
 * Absent on purpose: revocation, name constraints and path lengths, which an anchor of the domain's own choice has no use for.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createHash, createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import { equalBytes } from "../base/bytes.ts";
import { isForHost } from "./subject_names.ts";

/** A TLSA record (RFC 6698 2.1). */
export interface TlsaRecord {
  readonly usage: number;
  readonly selector: number;
  readonly matchingType: number;
  readonly certificate: Uint8Array;
}

/** Certificates of a chain that are looked at: more than any authority uses, and each costs a signature. */
const CHAIN_CERTIFICATES = 10;
/** Records that are looked at; a host has two or four. */
const RECORDS = 50;

const DANE_TA = 2;
const DANE_EE = 3;
const WHOLE = 0;
const PUBLIC_KEY = 1;
const EXACT = 0;
const SHA_256 = 1;
const SHA_512 = 2;

export type TlsaVerdict =
  | "match"
  | "no-match"
  /** No record can be used: TLS is required, but no certificate is (RFC 7672 2.2). */
  | "unusable";

/** The records of a set that a client can use (RFC 7671 4), the weaker digests left out where there is a stronger one. */
export function usableTlsa(records: readonly TlsaRecord[]): TlsaRecord[] {
  const usable = records.slice(0, RECORDS).filter(isUsable);
  const hasStronger = ({ usage, selector }: TlsaRecord) =>
    usable.some((other) =>
      other.usage === usage && other.selector === selector && other.matchingType === SHA_512
    );
  // RFC 7671 9: digest algorithm agility.
  return usable.filter((record) => record.matchingType !== SHA_256 || !hasStronger(record));
}

function isUsable({ usage, selector, matchingType, certificate }: TlsaRecord): boolean {
  if (usage !== DANE_TA && usage !== DANE_EE) return false;
  if (selector !== WHOLE && selector !== PUBLIC_KEY) return false;
  if (matchingType === SHA_256) return certificate.length === 32;
  if (matchingType === SHA_512) return certificate.length === 64;
  return matchingType === EXACT && certificate.length > 0;
}

/**
 * Judges a chain (DER, the host's own certificate first) by TLSA records. `names` are those that the certificate may be for
 * under DANE-TA (RFC 7672 3.2.3): the host's, and the domain's where the MX answer was authentic.
 */
export function matchTlsa(
  records: readonly TlsaRecord[],
  peer: {
    readonly chain: readonly Uint8Array[];
    readonly names: readonly string[];
    /** Milliseconds since 1970. */
    readonly nowMs: number;
  },
): TlsaVerdict {
  const usable = usableTlsa(records);
  if (usable.length === 0) return "unusable";
  const leaf = peer.chain[0];
  if (leaf === undefined) return "no-match";
  const isEntity = usable.some((record) => record.usage === DANE_EE && fits(record, leaf));
  if (isEntity) return "match";
  const anchors = usable.filter(({ usage }) => usage === DANE_TA);
  return anchors.length > 0 && isAnchored(anchors, peer) ? "match" : "no-match";
}

/** Whether a record is of this certificate. */
function fits(record: TlsaRecord, der: Uint8Array): boolean {
  const selected = record.selector === WHOLE ? der : publicKeyOf(der);
  if (selected === undefined) return false;
  if (record.matchingType === EXACT) return equalBytes(selected, record.certificate);
  const digest = createHash(record.matchingType === SHA_256 ? "sha256" : "sha512").update(selected).digest();
  return equalBytes(digest, record.certificate);
}

function publicKeyOf(der: Uint8Array): Uint8Array | undefined {
  try {
    return new Uint8Array(new X509Certificate(der).publicKey.export({ type: "spki", format: "der" }));
  } catch {
    return undefined;
  }
}

function isAnchored(
  anchors: readonly TlsaRecord[],
  { chain, names, nowMs }: {
    readonly chain: readonly Uint8Array[];
    readonly names: readonly string[];
    readonly nowMs: number;
  },
): boolean {
  const leaf = chain[0]!;
  if (!names.some((name) => isForHost(leaf, name))) return false;
  try {
    const certificates = chain.slice(0, CHAIN_CERTIFICATES).map((der) => new X509Certificate(der));
    let current = certificates[0]!;
    if (!isInDate(current, nowMs)) return false;
    // Each step goes to the certificate that signed the current one, so a chain out of order or with strangers in it works.
    for (let step = 0; step < CHAIN_CERTIFICATES; step++) {
      if (givenAnchors(anchors).some((anchor) => isSignedBy(current, anchor, nowMs))) return true;
      const issuer = certificates.find((each) => each !== current && isIssuedBy(current, each, nowMs));
      if (issuer === undefined) return false;
      if (anchors.some((anchor) => fits(anchor, new Uint8Array(issuer.raw)))) return true;
      current = issuer;
    }
  } catch {
    // A certificate that can't be read proves nothing.
  }
  return false;
}

/** Anchors that a record holds whole, so that the chain need not (RFC 7671 5.2.2 and 5.2.3). */
function givenAnchors(anchors: readonly TlsaRecord[]): (X509Certificate | KeyObject)[] {
  return anchors.filter(({ matchingType }) => matchingType === EXACT).flatMap(
    (anchor): (X509Certificate | KeyObject)[] => {
      try {
        const key = Buffer.from(anchor.certificate);
        return anchor.selector === WHOLE
          ? [new X509Certificate(key)]
          : [createPublicKey({ key, format: "der", type: "spki" })];
      } catch {
        return [];
      }
    },
  );
}

function isSignedBy(
  certificate: X509Certificate,
  anchor: X509Certificate | KeyObject,
  nowMs: number,
): boolean {
  return anchor instanceof X509Certificate
    ? isIssuedBy(certificate, anchor, nowMs)
    : certificate.verify(anchor);
}

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate, nowMs: number): boolean {
  return issuer.ca && isInDate(issuer, nowMs) && certificate.checkIssued(issuer) &&
    certificate.verify(issuer.publicKey);
}

function isInDate(certificate: X509Certificate, nowMs: number): boolean {
  return Date.parse(certificate.validFrom) <= nowMs && nowMs <= Date.parse(certificate.validTo);
}
