/**
 * What goes in and out of the SMTP core: its settings, its states and its events.
 *
 * @module
 */
import type { Address } from "../mail/address.ts";
import type { MessageRequests, RecipientRequests } from "../mail/envelope.ts";
import type { Reply } from "../mail/reply.ts";

export interface SmtpSettings {
  /** Our name in the greeting and in the reply to EHLO. */
  readonly hostname: string;
  /** `submission` wants AUTH before MAIL (RFC 6409 4.3). */
  readonly role: "relay" | "submission";
  /** The largest message, announced by SIZE (RFC 1870). */
  readonly messageOctets: number;
  /** The longest command line, CRLF included (RFC 5321 4.5.3.1.4). */
  readonly commandLineOctets: number;
  /** Recipients a transaction, announced by LIMITS (RFC 9422). */
  readonly recipients: number;
  /** Errors a session may make; the next one ends it with 421. */
  readonly errors: number;
  /** What happens to a message that holds a CR or an LF which is not part of a CRLF. */
  readonly bareNewline: "refuse" | "repair";
  /** Whether STARTTLS may be used (RFC 3207). */
  readonly starttls: "offered" | "none";
  /** Whether AUTH may be used without TLS; `never` means not at all, with or without. */
  readonly auth: "never" | "tls-only" | "always";
  /** SASL mechanisms in order of preference, in upper case. */
  readonly mechanisms: readonly string[];
  /** How long a message may be held before it is sent on (RFC 4865); undefined: not offered. */
  readonly futureRelease?: {
    readonly maxSeconds: number;
    /** The latest moment that may be named, in milliseconds since 1970. */
    readonly latestMs: number;
  };
}

/**
 * Where a session stands between two commands:
 * - `refused`: the greeting was a refusal, and only QUIT is left;
 * - `greeted`: neither HELO nor EHLO was said (or it was, before STARTTLS);
 * - `ready`: it was, and no transaction is open;
 * - `mail`: MAIL was accepted, but no recipient yet;
 * - `rcpt`: at least one recipient was accepted;
 * - `chunks`: at least one BDAT chunk was taken, and not the last.
 */
export type SmtpState = "refused" | "greeted" | "ready" | "mail" | "rcpt" | "chunks";

/** {@linkcode MessageRequests} as MAIL says them: times count from now, which nobody knows here. */
export interface AskedRequests extends Omit<MessageRequests, "holdUntilMs" | "deliverBy"> {
  /** Not to be sent on until then (RFC 4865); `atMs` in milliseconds since 1970. */
  readonly hold?:
    | { readonly kind: "for"; readonly seconds: number }
    | { readonly kind: "until"; readonly atMs: number };
  /** To be delivered within so many seconds, which an earlier system may have used up (RFC 2852). */
  readonly deliverBy?: Omit<NonNullable<MessageRequests["deliverBy"]>, "byMs"> & { readonly seconds: number };
}

export interface MailEvent {
  readonly kind: "mail";
  /** null is the null reverse-path, `<>`. */
  readonly reversePath: Address | null;
  /** What SIZE announced, in octets (RFC 1870). */
  readonly size?: number;
  readonly smtpUtf8: boolean;
  readonly requests: AskedRequests;
  /** A valid AUTH parameter (RFC 4954 5), decoded: a mailbox or `<>`. It is the client's claim, nothing more. */
  readonly authParam?: string;
}

export interface RcptEvent {
  readonly kind: "rcpt";
  readonly recipient: Address;
  /** Absent: nothing was asked for. */
  readonly requests?: RecipientRequests;
}

/**
 * What a session says to the server. `mail`, `rcpt`, `data`, `data-end`, `auth`, `auth-response`, `vrfy` and `expn` wait
 * for an answer, `starttls` for {@linkcode SmtpSession.secured}; the others need none.
 */
export type SmtpEvent =
  | MailEvent
  | RcptEvent
  /** DATA or the first BDAT: any positive answer lets the message come, and is sent (as 354) only for DATA. */
  | { readonly kind: "data" }
  /** Octets of the message in order, without dot-stuffing. They may be a view of what was given to `receive`. */
  | { readonly kind: "content"; readonly bytes: Uint8Array }
  /**
   * The message is over. `octets` are those of the whole content. Where `problem` is set the content given out may be
   * incomplete: the server throws it away and answers with `problem`.
   */
  | { readonly kind: "data-end"; readonly octets: number; readonly problem?: Reply }
  | { readonly kind: "auth"; readonly mechanism: string; readonly initial?: Uint8Array }
  | { readonly kind: "auth-response"; readonly response: Uint8Array | "cancel" }
  | { readonly kind: "vrfy"; readonly argument: string }
  | { readonly kind: "expn"; readonly argument: string }
  /** An accepted MAIL and all that followed it are void. */
  | { readonly kind: "reset" }
  /** The output holds the 220: send it, do the handshake, then call `secured`. */
  | { readonly kind: "starttls" }
  /** The output holds the last reply: send it, then close. */
  | { readonly kind: "close" };
