/**
 * What an SMTP client session is given and what it tells.
 *
 * @module
 */
import type { MessageRequests, RecipientRequests } from "../../mail/envelope.ts";
import type { Reply } from "../../mail/reply.ts";

export interface ClientSettings {
  /** Our name in EHLO. */
  readonly hostname: string;
  /** Whether STARTTLS is used (RFC 3207): never; if offered; or the session fails without it. */
  readonly starttls: "never" | "if-offered" | "required";
  /** Description of the TLS session of a connection that began with TLS. */
  readonly tls?: string;
  /** Log-in (RFC 4954), done over TLS only. */
  readonly credentials?: ClientCredentials;
}

export interface ClientCredentials {
  readonly user: string;
  readonly password: string;
  /** For SCRAM: printable ASCII without commas, from a source fit for secrets, new for each session. */
  readonly nonce: string;
}

export interface OutgoingRecipient {
  /** Forward-path without brackets. */
  readonly recipient: string;
  readonly requests?: RecipientRequests | undefined;
}

/** A message to one host. */
export interface Transaction {
  /** Without brackets; "" is the null reverse-path. */
  readonly reversePath: string;
  /** Octets of the content. */
  readonly size: number;
  /** Addresses or header fields may hold UTF-8 (RFC 6531). */
  readonly smtpUtf8: boolean;
  /** `holdUntilMs` is not passed on: whoever sends has waited for it. */
  readonly requests?: MessageRequests | undefined;
  /** Seconds left until `requests.deliverBy`; below 0 where it has passed. */
  readonly deliverBySeconds?: number | undefined;
  readonly recipients: readonly OutgoingRecipient[];
}

export interface RecipientResult {
  /** The reply that decided it. */
  readonly reply: Reply;
  /** Whether the server gave it, or it stands for what was found here (an extension that lacks, a lost connection). */
  readonly from: "peer" | "here";
  /** `passed-on`: the server answers for notices of success. Else "relayed" is due to who asked (RFC 3461 5.2.2). */
  readonly dsn: "passed-on" | "not-supported";
  /** The end of the content had been sent when the connection was lost: the message may have been delivered. */
  readonly ambiguous?: true;
}

export type ClientStage =
  | "greeting"
  | "ehlo"
  | "starttls"
  | "auth"
  | "mail"
  | "rcpt"
  | "data"
  | "content"
  | "data-end"
  | "ready"
  | "quit";

/** Why a session is over: the server's will, its breach of the protocol (a lost connection among them), TLS, or the log-in. */
export type ClientFault = "refused" | "protocol" | "tls-unavailable" | "auth";

export type ClientEvent =
  /** Flush the output, do the handshake, then call `secured`. */
  | { readonly kind: "starttls" }
  /** Call `begin` or `quit`. */
  | { readonly kind: "ready" }
  /** Call `content` as often as needed, then `endContent`. */
  | { readonly kind: "content" }
  /** The transaction is over; results by place. The session takes the next one, unless `failed` follows. */
  | { readonly kind: "done"; readonly results: readonly RecipientResult[] }
  /** The session is over. Flush the output, which may hold a QUIT, and close the connection. */
  | {
    readonly kind: "failed";
    readonly stage: ClientStage;
    readonly reply?: Reply;
    /** For people: what happened. */
    readonly problem: string;
    readonly fault: ClientFault;
  }
  /** QUIT was answered. */
  | { readonly kind: "closed" };
