/**
 * What the POP3 core and its server say to each other.
 *
 * @module
 */

export interface Pop3Settings {
  /** Named in the greeting and in the reply to QUIT. */
  readonly hostname: string;
  /** The value of CAPA's IMPLEMENTATION (RFC 2449 6.9). */
  readonly implementation: string;
  /** Octets of a command line, CRLF included. */
  readonly lineOctets: number;
  /** Mistakes (not log-in failures) before the session is ended. */
  readonly errors: number;
  readonly stls: "offered" | "none";
  /** Whether USER/PASS and clear-text SASL mechanisms need TLS first. SCRAM never does. */
  readonly login: "tls-only" | "always";
  /** SASL mechanisms in the order they are announced, in upper case. */
  readonly mechanisms: readonly string[];
  /** Days a message stays at least (RFC 2449 6.7). */
  readonly expire: "never" | number;
  /** Seconds between two log-ins of one user; 0 where there is no such rule (RFC 2449 6.5). */
  readonly loginDelaySeconds: number;
  /** Failed log-ins before the session is ended. */
  readonly loginAttempts: number;
}

/** A maildrop in columns: 100,000 messages make no object each. */
export interface OpenMaildrop {
  /** Octets of each message as RETR sends it, before dot-stuffing (RFC 1939 11). */
  readonly sizes: ArrayLike<number>;
  /** 1 to 70 characters of 0x21 to 0x7E, never used for another message (RFC 1939 7). */
  uniqueId(index: number): string;
}

/** RFC 2449 8 and RFC 3206 4. */
export type ResponseCode = "AUTH" | "IN-USE" | "LOGIN-DELAY" | "SYS/TEMP" | "SYS/PERM";

export type Pop3Event =
  /** USER and PASS: answer with `opened` or `refuse`. */
  | { readonly kind: "login"; readonly user: string; readonly password: string }
  /** A SASL exchange begins: answer with `challenge`, `opened` or `refuse`. */
  | { readonly kind: "auth"; readonly mechanism: string; readonly initial?: Uint8Array }
  /** The exchange goes on, or was given up by the client: then answer with `refuse`. */
  | { readonly kind: "auth-response"; readonly response: Uint8Array | "cancel" }
  /** RETR (`lines: "all"`) or TOP: answer with `content` and `contentEnd`, or `contentFailed`. Index from 0. */
  | { readonly kind: "retrieve"; readonly index: number; readonly lines: number | "all" }
  /** QUIT after log-in: remove these messages, release the maildrop, then `updated`. Indexes from 0, rising. */
  | { readonly kind: "update"; readonly deleted: readonly number[] }
  /** Flush the output, do the TLS handshake, then `secured`. */
  | { readonly kind: "stls" }
  /** Much output waits: write it out, then call `next` again. Nothing to answer. */
  | { readonly kind: "flush" }
  /** Flush the output, then close the connection. Nothing follows. */
  | { readonly kind: "close" };
