/**
 * TLS as a client: the handshake's start, and what a server's certificate is worth.
 *
 * Guarantees: a certificate counts as verified only if its chain leads to a known root and it is for the name that was
 * meant (RFC 6125). No session is taken up again, so each connection is judged by a certificate that was shown in it.
 *
 * Deliberately absent: what follows from it. With opportunistic TLS (RFC 7435) any certificate is better than none; the
 * caller knows. Revocation is not looked up.
 *
 * @module
 */
import { isIP, type Socket } from "node:net";
import {
  checkServerIdentity,
  connect,
  createSecureContext,
  type DetailedPeerCertificate,
  rootCertificates,
  type SecureContext,
  type TLSSocket,
} from "node:tls";
import { equalBytes } from "../base/bytes.ts";
import { clean } from "../mail/reply.ts";

export interface ClientTlsOptions {
  /** Who the server should be: a name, which is also sent to it (SNI, RFC 6066 3), or an IP address, which is not. */
  readonly servername: string;
  /** PEM: roots beside those that the runtime knows. */
  readonly ca?: string | undefined;
  readonly minVersion: "TLSv1.2";
  /** For the handshake, in milliseconds. @default 60000 */
  readonly timeoutMs?: number;
}

/** RFC 8460 4.3.1's words for what is wrong with a certificate; "" where it is verified. */
export type CertificateProblem =
  | ""
  | "certificate-expired"
  | "certificate-host-mismatch"
  | "certificate-not-trusted"
  | "validation-failure";

/** The server behind a TLS connection. */
export interface PeerTls {
  /** `TLSv1.3 TLS_AES_256_GCM_SHA384`. */
  readonly description: string;
  /** The certificate is for the name that was meant, in its time, and a known root vouches for it. */
  readonly verified: boolean;
  /** Why it is not verified, as a clause; "" if it is. */
  readonly problem: string;
  readonly kind: CertificateProblem;
  /** DER, the server's own first, then as far towards the root as is known; empty without a certificate. */
  readonly chain: readonly Uint8Array[];
}

/** A chain is followed this far; real ones have three or four certificates. */
const CHAIN_CERTIFICATES = 10;

/** Starts a handshake over a connected, paused socket. */
export function openClientTls(socket: Socket, { servername, ca, minVersion }: ClientTlsOptions): TLSSocket {
  return connect({
    socket,
    // Without this the identity of a server at an address is not looked at under its address.
    host: servername,
    // RFC 6066 3: literal addresses are not permitted.
    servername: isIP(servername) === 0 ? servername : "",
    rejectUnauthorized: false,
    minVersion,
    secureContext: contextFor({ ca, minVersion }),
  });
}

let made: { readonly ca: string | undefined; readonly context: SecureContext } | undefined;

/** The context with more roots: reading all of them takes milliseconds, and one configuration has one list. */
function contextFor({ ca, minVersion }: Pick<ClientTlsOptions, "ca" | "minVersion">): SecureContext {
  if (made === undefined || made.ca !== ca) {
    const roots = ca === undefined ? {} : { ca: [...rootCertificates, ca] };
    made = { ca, context: createSecureContext({ ...roots, minVersion }) };
  }
  return made.context;
}

/** Judges the server after the handshake. */
export function peerTls(
  secured: TLSSocket,
  { servername, description }: { readonly servername: string; readonly description: string },
): PeerTls {
  const certificate = secured.getPeerCertificate(true);
  if (!certificate?.raw) {
    const problem = "the server has shown no certificate";
    return { description, verified: false, problem, kind: "validation-failure", chain: [] };
  }
  const certificates = chainOf(certificate);
  const chain = certificates.map((each) => Uint8Array.from(each.raw));
  const { kind, problem } = judge(secured, { servername, certificates });
  return { description, verified: kind === "", problem, kind, chain };
}

/** The certificate and its issuers; a root is its own issuer. */
function chainOf(leaf: DetailedPeerCertificate): DetailedPeerCertificate[] {
  const chain = [leaf];
  while (chain.length < CHAIN_CERTIFICATES) {
    const issuer = chain.at(-1)!.issuerCertificate;
    if (!issuer?.raw || chain.some((each) => equalBytes(each.raw, issuer.raw))) break;
    chain.push(issuer);
  }
  return chain;
}

interface Judgement {
  readonly kind: CertificateProblem;
  readonly problem: string;
}

function judge(
  secured: TLSSocket,
  { servername, certificates }: {
    readonly servername: string;
    readonly certificates: readonly DetailedPeerCertificate[];
  },
): Judgement {
  // Typed as an Error, it is the code's text.
  const code = secured.authorized ? "" : String(secured.authorizationError ?? "unknown");
  // The name is looked at below; this code means that all else is well.
  if (code !== "" && code !== NAME_CODE) return chainProblem(code, certificates);
  if (checkServerIdentity(servername, certificates[0]!) === undefined) return { kind: "", problem: "" };
  return { kind: "certificate-host-mismatch", problem: `the certificate is not for ${servername}` };
}

const NAME_CODE = "ERR_TLS_CERT_ALTNAME_INVALID";

const UNTRUSTED_CODES: readonly string[] = [
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "CERT_UNTRUSTED",
  "INVALID_CA",
];

/** What OpenSSL's other codes for a certificate look like. */
const INVALID_CODE = /^(?:CERT_|CRL_|UNABLE_TO_|ERROR_IN_CERT_|INVALID_PURPOSE$|PATH_LENGTH_EXCEEDED$)/;

/** What an error's code says is wrong with a certificate; undefined where it is about something else. */
export function certificateProblemOf(code: string): Exclude<CertificateProblem, ""> | undefined {
  if (code === NAME_CODE || code === "HOSTNAME_MISMATCH") return "certificate-host-mismatch";
  if (code === "CERT_HAS_EXPIRED") return "certificate-expired";
  if (UNTRUSTED_CODES.includes(code)) return "certificate-not-trusted";
  return INVALID_CODE.test(code) ? "validation-failure" : undefined;
}

function chainProblem(code: string, certificates: readonly DetailedPeerCertificate[]): Judgement {
  // The machine's own time, as the handshake has it. Not by the code alone: Deno calls an expired certificate untrusted.
  const expired = certificates.find((each) => Date.parse(each.valid_to) < Date.now());
  const kind = expired === undefined ? certificateProblemOf(code) : "certificate-expired";
  switch (kind) {
    case "certificate-expired":
      return { kind, problem: `the certificate expired on ${(expired ?? certificates[0]!).valid_to}` };
    case "certificate-not-trusted":
      return { kind, problem: `no trusted root vouches for the certificate (${code})` };
    default:
      return { kind: "validation-failure", problem: `the certificate is not valid (${code})` };
  }
}

/** Why a handshake failed, as a clause: OpenSSL's own words out of all that it says. */
export function handshakeReason(error: Error & { readonly code?: string }): string {
  return /SSL routines:[^:]*:([^:)\n]+)/.exec(error.message)?.[1] ?? error.code ?? clean(error.message);
}
