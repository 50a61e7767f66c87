/**
 * What travels beside a message: who sent it, to whom, and how it came in.
 *
 * @module
 */

/** The protocol a message came in by: the `with` clause of Received (RFC 5321 4.4, RFC 3848, RFC 6531 4.3). */
export type TransmissionType =
  | "SMTP"
  | "ESMTP"
  | "ESMTPA"
  | "ESMTPS"
  | "ESMTPSA"
  | "UTF8SMTP"
  | "UTF8SMTPA"
  | "UTF8SMTPS"
  | "UTF8SMTPSA";

/** Where a message came from, kept for `emsmail trace` and the log. */
export interface Origin {
  /** The client's address, without port. */
  readonly client: string;
  /** What it called itself in HELO or EHLO. */
  readonly helo: string;
  readonly transmission: TransmissionType;
  /** The account that authenticated, if one did. */
  readonly account?: string;
  /** `TLSv1.3 TLS_AES_256_GCM_SHA384`, if it came by TLS. */
  readonly tls?: string;
}

/** An envelope (RFC 5321 2.3.1) as it was accepted. */
export interface Envelope {
  /** The reverse-path without brackets; "" is the null reverse-path. */
  readonly reversePath: string;
  /** Forward-paths as given, without brackets, in order, each once. */
  readonly recipients: readonly string[];
  /** SMTPUTF8 was asked for (RFC 6531): addresses or header fields may hold UTF-8. */
  readonly smtpUtf8: boolean;
}
