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
  /** The client may send on to elsewhere without a log-in (`relay.clients`). */
  readonly trusted?: true;
  /** Not received but made by this system: a notification (RFC 3464) or a report (RFC 8460). */
  readonly made?: "notification" | "report";
}

/** What a sender may ask to be told of (RFC 3461 4.1). */
export type NotifyEvent = "success" | "failure" | "delay";

/** What was asked for a message as a whole; a field that is absent was not asked for. All of it is JSON. */
export interface MessageRequests {
  /** How much of the message a notification returns (RFC 3461 4.3). */
  readonly ret?: "FULL" | "HDRS";
  /** The sender's own name for the envelope, decoded from xtext (RFC 3461 4.4). */
  readonly envid?: string;
  /** The content holds octets over 127, says the sender (RFC 6152). */
  readonly body?: "8BITMIME";
  /** Only over verified TLS, all the way (RFC 8689). */
  readonly requireTls?: true;
  /** Not to be sent on before, in milliseconds since 1970 (RFC 4865). */
  readonly holdUntilMs?: number;
  /** When it must have been delivered (RFC 2852): else it goes back (`return`), or the sender is told (`notify`). */
  readonly deliverBy?: {
    readonly byMs: number;
    readonly mode: "return" | "notify";
    /** The sender wants to hear of each relay. */
    readonly trace?: true;
  };
  /** -9 to 9, 0 being ordinary (RFC 6710). */
  readonly priority?: number;
}

/** What was asked for one recipient (RFC 3461 4.1, 4.2). */
export interface RecipientRequests {
  /** What to tell of; an empty list is NEVER, and absent leaves it to us: failure and delay. */
  readonly notify?: readonly NotifyEvent[];
  /** The recipient as the sender first wrote it, `addr-type;address`, decoded from xtext. */
  readonly orcpt?: string;
}

/** An envelope (RFC 5321 2.3.1) as it was accepted. */
export interface Envelope {
  /** The reverse-path without brackets; "" is the null reverse-path. */
  readonly reversePath: string;
  /** Forward-paths as given, without brackets, in order, each once. */
  readonly recipients: readonly string[];
  /** SMTPUTF8 was asked for (RFC 6531): addresses or header fields may hold UTF-8. */
  readonly smtpUtf8: boolean;
  /** Absent: nothing was asked for. */
  readonly requests?: MessageRequests;
  /** By place in `recipients`; absent: nothing was asked for any of them. */
  readonly recipientRequests?: readonly (RecipientRequests | undefined)[];
}

/**
 * What makes a message this system's own, and so one that it signs: somebody submitted it here, or it was made here.
 * undefined: it came from elsewhere.
 */
export type Ownership = "submission" | "notification" | "report" | undefined;

/** Whose message it is, by where it came from. */
export function ownershipOf({ account, trusted, made }: Origin): Ownership {
  return made ?? (account !== undefined || trusted === true ? "submission" : undefined);
}
