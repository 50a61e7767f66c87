/**
 * One HTTPS request to an address that is already known: for MTA-STS policies (RFC 8461 3.3) and TLS reports (RFC 8460 5.4).
 *
 * Guarantees: the certificate must be valid for the host's name, or nothing is sent; redirects are not followed
 * (RFC 8461 3.3); no more of an answer is held than was asked for; the promise settles within the time given. Nothing is
 * looked up, no proxy is used, no connection is kept.
 *
 * @module
 */
import type { ClientRequest, IncomingMessage } from "node:http";
import { request } from "node:https";
import { checkServerIdentity, rootCertificates } from "node:tls";
import { concat } from "../base/bytes.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { type CertificateProblem, certificateProblemOf, handshakeReason } from "./client_tls.ts";
import { formatListenAddress } from "./listener.ts";

export interface HttpsOptions {
  /** Who the server should be: SNI, the certificate's name, the Host field. */
  readonly host: string;
  /** Where it is: an IP address. */
  readonly address: string;
  /** @default 443 */
  readonly port?: number;
  /** Begins with "/". */
  readonly path: string;
  readonly method: "GET" | "POST" | "PUT";
  readonly body?: Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  /** Of the answer's body. */
  readonly maxOctets: number;
  /** For all of it. */
  readonly timeoutMs: number;
  /** PEM: roots beside those that the runtime knows. */
  readonly ca?: string | undefined;
  /** @default systemClock */
  readonly clock?: Clock;
}

export interface HttpsAnswer {
  /** Whatever it is: 200, 301, 404, …. */
  readonly status: number;
  /** The Content-Type field, "" without one. */
  readonly contentType: string;
  readonly body: Uint8Array;
}

/** No answer that could be used. The certificate's kinds are RFC 8460 4.3.1's; `tls` is a handshake that failed otherwise. */
export type HttpsErrorKind =
  | Exclude<CertificateProblem, "">
  | "tls"
  | "unreachable"
  | "time-out"
  | "too-large"
  | "broken";

/** The message is a sentence without its full stop. */
export class HttpsError extends Error {
  override readonly name = "HttpsError";
  readonly kind: HttpsErrorKind;
  constructor(kind: HttpsErrorKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

/**
 * Sends a request and gives the whole answer.
 * @throws {HttpsError}
 */
export function httpsRequest(options: HttpsOptions): Promise<HttpsAnswer> {
  const { timeoutMs, body, clock = systemClock } = options;
  return new Promise((resolve, reject) => {
    const sent = open(options);
    let isSecured = false;
    const end = (outcome: () => void) => {
      timer.cancel();
      outcome();
      sent.destroy();
    };
    const fail = (error: HttpsError) => end(() => reject(error));
    const timer = clock.after(timeoutMs, () => {
      fail(new HttpsError("time-out", `no whole answer from ${names(options)} within ${timeoutMs / 1000} s`));
    });
    sent.on("socket", (socket) => socket.once("secureConnect", () => isSecured = true));
    // Stays: a socket that is destroyed may still have something to say.
    sent.on("error", (error) => fail(httpsError(error, { options, isSecured })));
    sent.on("response", (answer) => {
      readBody(answer, options).then((read) => end(() => resolve(read)), fail);
    });
    sent.end(body);
  });
}

function open({ host, address, port = 443, path, method, headers, body, ca }: HttpsOptions): ClientRequest {
  return request({
    host: address,
    port,
    path,
    method,
    // Each request has its own connection: the next may be to another address.
    agent: false,
    servername: host,
    rejectUnauthorized: true,
    checkServerIdentity: (_, certificate) => checkServerIdentity(host, certificate),
    minVersion: "TLSv1.2",
    ...ca !== undefined && { ca: [...rootCertificates, ca] },
    headers: {
      ...headers,
      host: port === 443 ? host : `${host}:${port}`,
      "accept-encoding": "identity",
      connection: "close",
      ...body !== undefined && { "content-length": String(body.length) },
    },
  });
}

async function readBody(answer: IncomingMessage, options: HttpsOptions): Promise<HttpsAnswer> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of answer) {
      length += (chunk as Uint8Array).length;
      if (length > options.maxOctets) break;
      chunks.push(chunk as Uint8Array);
    }
  } catch {
    throw new HttpsError("broken", `the answer of ${names(options)} broke off`);
  }
  if (length > options.maxOctets) {
    throw new HttpsError(
      "too-large",
      `the answer of ${names(options)} is longer than ${options.maxOctets} octets`,
    );
  }
  if (!answer.complete) throw new HttpsError("broken", `the answer of ${names(options)} broke off`);
  const contentType = answer.headers["content-type"] ?? "";
  return { status: answer.statusCode ?? 0, contentType, body: concat(chunks) };
}

const UNREACHABLE: readonly string[] = [
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ETIMEDOUT",
  "EADDRNOTAVAIL",
];

function httpsError(
  error: Error & { readonly code?: string },
  { options, isSecured }: { readonly options: HttpsOptions; readonly isSecured: boolean },
): HttpsError {
  const { code } = error;
  const who = names(options);
  if (code !== undefined && UNREACHABLE.includes(code)) {
    return new HttpsError("unreachable", `can't connect to ${who} (${code})`);
  }
  if (isSecured) {
    return new HttpsError("broken", `${who} broke the connection off (${code ?? error.message})`);
  }
  const kind = certificateProblemOf(code ?? error.message);
  if (kind !== undefined) {
    return new HttpsError(kind, `the certificate of ${who} is not valid (${code ?? error.message})`);
  }
  return new HttpsError("tls", `no TLS with ${who} (${handshakeReason(error)})`);
}

/** `mta-sts.example.org at 192.0.2.1:443`. */
function names({ host, address, port = 443 }: HttpsOptions): string {
  return `${host} at ${formatListenAddress({ host: address, port })}`;
}
