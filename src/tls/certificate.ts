/**
 * The server's certificate and key: from given files, or self-signed, made at the first start and kept.
 *
 * Guarantees: what {@linkcode loadTls} gives holds a certificate and the key that belongs to it. Given files are never
 * written. The self-signed pair stands in `<data>/tls`, readable by its owner only, and each file is replaced whole or
 * not at all; it is made anew shortly before its end and when it lacks one of the system's names.
 *
 * @module
 */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import { createSecureContext, type SecureContext } from "node:tls";
import { type Clock, systemClock } from "../base/clock.ts";
import { printableLine } from "../base/printable.ts";
import { type KeyPair, makeCertificate } from "./self_signed.ts";

const DAY_MS = 86_400_000;
/** A self-signed certificate is made anew this long before its end, since clients have to be told of it. */
const RENEW_BEFORE_MS = 30 * DAY_MS;
/** A given certificate's end is warned of this long before. */
const WARN_BEFORE_MS = 14 * DAY_MS;

/** A certificate and its key; plain strings, so that it can be handed to other threads. */
export interface TlsMaterial {
  /** PEM: the server's certificate, then those between it and its authority. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
  /** Given files, the self-signed certificate kept from before, or one just made. */
  readonly source: "given" | "kept" | "made";
  /** Where the certificate stands. */
  readonly certFile: string;
  /** Sentences for the operator: it works, but not for everyone or not for long. */
  readonly warnings: readonly string[];
}

/** A certificate or key can't be used; the message names the file and says what to do. */
export class TlsError extends Error {
  override readonly name = "TlsError";
}

export interface TlsOptions {
  /** Given files, both or neither. */
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** The self-signed certificate is kept in `tls` in here. */
  readonly dataDir: string;
  readonly hostname: string;
  readonly domains: readonly string[];
  /** @default systemClock */
  readonly clock?: Clock;
}

/**
 * Loads the configured certificate, or the self-signed one, which is made where there is none.
 * @throws {TlsError} where given files are missing, unreadable or don't belong together
 */
export async function loadTls(options: TlsOptions): Promise<TlsMaterial> {
  const { certFile, keyFile, hostname, clock = systemClock } = options;
  return certFile !== undefined && keyFile !== undefined
    ? await loadGiven({ certFile, keyFile, hostname, nowMs: clock.nowMs() })
    : await loadSelfSigned(options, clock.nowMs());
}

export interface SecureContextOptions {
  /** PEM. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
  /** @default "TLSv1.2" */
  readonly minVersion?: "TLSv1.2" | "TLSv1.3";
}

/** What a TLS server needs; made anew for each reload. */
export function secureContext({ cert, key, minVersion = "TLSv1.2" }: SecureContextOptions): SecureContext {
  // All the ciphers are safe, so the client chooses: one without AES in hardware is better off with ChaCha20.
  return createSecureContext({ cert, key, minVersion, ciphers: CIPHERS, honorCipherOrder: false });
}

/** TLS 1.3's, and of TLS 1.2's those with forward secrecy and authenticated encryption (RFC 9325 4.2). */
const CIPHERS = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
].join(":");

export interface TlsDescription {
  /** `CN=mail.example.org`. */
  readonly subject: string;
  readonly issuer: string;
  /** DNS names and IP addresses it speaks for. */
  readonly names: readonly string[];
  /** Milliseconds since 1970. */
  readonly notAfterMs: number;
  /** Hexadecimal in pairs with colons, as mail programs show it. */
  readonly sha256: string;
  readonly source: TlsMaterial["source"];
  readonly certFile: string;
}

/** What there is to know about a certificate. */
export function describeTls(material: TlsMaterial): TlsDescription {
  const certificate = new X509Certificate(material.cert);
  return {
    subject: oneLine(certificate.subject),
    issuer: oneLine(certificate.issuer),
    names: (certificate.subjectAltName ?? "").split(", ").filter(Boolean).map((name) => {
      const value = name.slice(name.indexOf(":") + 1);
      // OpenSSL writes IPv6 addresses in full, and no two runtimes the same.
      return isIP(value) === 6 ? new URL(`http://[${value}]`).hostname.slice(1, -1) : printableLine(value);
    }),
    notAfterMs: endMs(certificate),
    sha256: certificate.fingerprint256,
    source: material.source,
    certFile: material.certFile,
  };
}

/** `self-signed certificate for a, b until 2029-02-26, SHA-256 BA:E5:…`. */
export function formatTls(description: TlsDescription): string {
  const { source, names, subject, issuer, notAfterMs, sha256 } = description;
  const kind = source === "given" ? `certificate by ${issuer}` : "self-signed certificate";
  return `${kind} for ${names.join(", ") || subject} until ${dateText(notAfterMs)}, SHA-256 ${sha256}`;
}

// ---------------------------------------------------------------- given files

interface GivenFiles {
  readonly certFile: string;
  readonly keyFile: string;
  readonly hostname: string;
  readonly nowMs: number;
}

async function loadGiven({ certFile, keyFile, hostname, nowMs }: GivenFiles): Promise<TlsMaterial> {
  const cert = await readGiven("tls.certFile", certFile);
  const key = await readGiven("tls.keyFile", keyFile);
  const [certificate, ...others] = parseCertificates(cert, certFile);
  const privateKey = parseKey(key, keyFile);
  if (!certificate!.checkPrivateKey(privateKey)) {
    if (others.some((other) => other.checkPrivateKey(privateKey))) {
      throw new TlsError(
        `tls.certFile: ${certFile} must begin with the server's own certificate, not its authority's`,
      );
    }
    throw new TlsError(
      `tls.keyFile: ${keyFile} is not the key that belongs to the certificate in ${certFile}`,
    );
  }
  const warnings = [...warningsOf(certificate!, { certFile, hostname, nowMs })];
  if (((await stat(keyFile)).mode & 0o004) !== 0) {
    warnings.push(
      `${keyFile} can be read by every user of this machine: chmod 600 would keep the key secret`,
    );
  }
  return { cert, key, source: "given", certFile, warnings };
}

async function readGiven(setting: string, file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    const { code } = error as { code?: string };
    const reason = code === "ENOENT"
      ? "is not there"
      : code === "EACCES" || code === "EPERM"
      ? "can't be read: this user may not"
      : code === "EISDIR"
      ? "is a folder, not a file"
      : `can't be read: ${code ?? (error as Error).message}`;
    throw new TlsError(`${setting}: ${file} ${reason}`, { cause: error });
  }
}

function parseCertificates(text: string, file: string): X509Certificate[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g);
  if (blocks === null) {
    const hint = text.includes("PRIVATE KEY-----")
      ? "; it holds a key: are tls.certFile and tls.keyFile swapped?"
      : "";
    throw new TlsError(
      `tls.certFile: ${file} holds no certificate in PEM (-----BEGIN CERTIFICATE----- … -----END CERTIFICATE-----)${hint}`,
    );
  }
  return blocks.map((block, i) => {
    try {
      return new X509Certificate(block);
    } catch (error) {
      throw new TlsError(`tls.certFile: certificate ${i + 1} in ${file} is damaged`, { cause: error });
    }
  });
}

function parseKey(text: string, file: string): KeyObject {
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(text)) {
    throw new TlsError(
      `tls.keyFile: ${file} is locked with a passphrase, which nobody is there to type; 'openssl pkey' writes it without`,
    );
  }
  if (!text.includes("PRIVATE KEY-----")) {
    throw new TlsError(`tls.keyFile: ${file} holds no key in PEM (-----BEGIN PRIVATE KEY----- …)`);
  }
  try {
    return createPrivateKey(text);
  } catch (error) {
    throw new TlsError(`tls.keyFile: the key in ${file} is damaged or of an unknown kind`, { cause: error });
  }
}

function* warningsOf(
  certificate: X509Certificate,
  { certFile, hostname, nowMs }: Pick<GivenFiles, "certFile" | "hostname" | "nowMs">,
): Generator<string> {
  const untilMs = endMs(certificate);
  const fromMs = Date.parse(certificate.validFrom);
  if (untilMs < nowMs) {
    yield `the certificate in ${certFile} ended on ${dateText(untilMs)}: clients will refuse it`;
  } else if (untilMs < nowMs + WARN_BEFORE_MS) {
    yield `the certificate in ${certFile} ends on ${dateText(untilMs)}`;
  }
  if (fromMs > nowMs) yield `the certificate in ${certFile} isn't valid before ${dateText(fromMs)}`;
  if (!speaksFor(certificate, hostname)) {
    yield `the certificate in ${certFile} doesn't name ${hostname}: clients that connect by that name will refuse it`;
  }
}

// ---------------------------------------------------------------- self-signed

async function loadSelfSigned(
  { dataDir, hostname, domains }: TlsOptions,
  nowMs: number,
): Promise<TlsMaterial> {
  const folder = join(dataDir, "tls");
  const certFile = join(folder, "cert.pem");
  const keyFile = join(folder, "key.pem");
  const names = [...new Set([hostname, ...domains, "localhost", "127.0.0.1", "::1"])];

  const kept = await readKept(certFile, keyFile);
  const reason = kept && whyRenew(kept, { names, nowMs });
  if (kept !== undefined && reason === undefined) {
    return { ...kept, source: "kept", certFile, warnings: [] };
  }
  const made = await makeCertificate({ names, nowMs });
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    // The key first: after a crash between the two, they don't match, and both are made anew.
    await replaceFile(keyFile, made.key);
    await replaceFile(certFile, made.cert);
  } catch (error) {
    const code = (error as { code?: string }).code ?? (error as Error).message;
    throw new TlsError(`the self-signed certificate can't be kept in ${folder}: ${code}`, { cause: error });
  }
  const warnings = reason === undefined ? [] : [
    `the self-signed certificate was made anew because ${reason}; clients that trusted the old one have to trust this one`,
  ];
  return { ...made, source: "made", certFile, warnings };
}

/** The kept pair; undefined where there is none yet. */
async function readKept(certFile: string, keyFile: string): Promise<KeyPair | undefined> {
  try {
    return { cert: await readFile(certFile, "utf8"), key: await readFile(keyFile, "utf8") };
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === "ENOENT") return undefined;
    throw new TlsError(`the self-signed certificate beside ${certFile} can't be read: ${code}`, {
      cause: error,
    });
  }
}

function whyRenew(
  pair: KeyPair,
  { names, nowMs }: { readonly names: readonly string[]; readonly nowMs: number },
): string | undefined {
  try {
    const certificate = new X509Certificate(pair.cert);
    if (!certificate.checkPrivateKey(createPrivateKey(pair.key))) {
      return "its key was not the one kept with it";
    }
    const untilMs = endMs(certificate);
    if (untilMs < nowMs + RENEW_BEFORE_MS) return `it ends on ${dateText(untilMs)}`;
    const missing = names.find((name) => !speaksFor(certificate, name));
    return missing === undefined ? undefined : `it didn't name ${missing}`;
  } catch {
    return "it was damaged";
  }
}

/** Writes a file readable by its owner only, whole or not at all. */
async function replaceFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.new`;
  await rm(temporary, { force: true }); // or a leftover's mode would be kept
  const file = await open(temporary, "wx", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}

// ---------------------------------------------------------------- leaves

function speaksFor(certificate: X509Certificate, name: string): boolean {
  return (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name)) !== undefined;
}

function endMs(certificate: X509Certificate): number {
  return Date.parse(certificate.validTo);
}

function dateText(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

/** A distinguished name, which comes one attribute a line. */
function oneLine(name: string): string {
  return printableLine(name.trim().replaceAll("\n", ", "));
}
