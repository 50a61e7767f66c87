/**
 * A mail transaction (RFC 5321 3.3) on its way to an envelope: what MAIL and the accepted RCPTs said.
 *
 * Guarantees: a recipient named twice stands in the envelope once, with what was asked for it first; times that count from
 * MAIL are made absolute by the moment MAIL came; what nobody asked for is absent.
 *
 * @module
 */
import { type Address, canonicalAddress, formatAddress } from "../mail/address.ts";
import type {
  Envelope,
  MessageRequests,
  Origin,
  RecipientRequests,
  TransmissionType,
} from "../mail/envelope.ts";
import type { Reply } from "../mail/reply.ts";
import type { AskedRequests, MailEvent, RcptEvent, SmtpSession } from "../smtp/session.ts";
import type { IncomingMessage } from "./incoming_message.ts";

export class SmtpTransaction {
  readonly mail: MailEvent;
  /** The message, once it comes. */
  message?: IncomingMessage | undefined;
  /** The message was given up in its middle: the answer at its end. */
  failure?: Reply;
  readonly #requests: MessageRequests | undefined;
  readonly #recipients: string[] = [];
  readonly #recipientRequests: (RecipientRequests | undefined)[] = [];
  /** Canonical forms. */
  readonly #known = new Set<string>();

  /** `nowMs` is when MAIL came, in milliseconds since 1970. */
  constructor(mail: MailEvent, { nowMs }: { readonly nowMs: number }) {
    this.mail = mail;
    this.#requests = messageRequests(mail.requests, nowMs);
  }

  /** Recipients accepted, each once. */
  get recipients(): readonly string[] {
    return this.#recipients;
  }

  /** Takes an accepted recipient. */
  add({ recipient, requests }: RcptEvent): void {
    const canonical = canonicalAddress(recipient);
    if (this.#known.has(canonical)) return;
    this.#known.add(canonical);
    this.#recipients.push(formatAddress(recipient));
    this.#recipientRequests.push(requests);
  }

  envelope(): Envelope {
    const asked = this.#recipientRequests.some((requests) => requests !== undefined);
    return {
      reversePath: this.mail.reversePath === null ? "" : formatAddress(this.mail.reversePath),
      recipients: [...this.#recipients],
      smtpUtf8: this.mail.smtpUtf8,
      ...this.#requests === undefined ? {} : { requests: this.#requests },
      ...asked ? { recipientRequests: [...this.#recipientRequests] } : {},
    };
  }
}

/** What was asked for a message, with times in milliseconds since 1970; undefined: nothing. */
export function messageRequests(asked: AskedRequests, nowMs: number): MessageRequests | undefined {
  const { hold, deliverBy, ...requests } = asked;
  const all: MessageRequests = {
    ...requests,
    ...hold === undefined
      ? {}
      : { holdUntilMs: hold.kind === "until" ? hold.atMs : nowMs + hold.seconds * 1000 },
    ...deliverBy === undefined ? {} : { deliverBy: absolute(deliverBy, nowMs) },
  };
  return Object.keys(all).length === 0 ? undefined : all;
}

function absolute(
  { seconds, ...rest }: NonNullable<AskedRequests["deliverBy"]>,
  nowMs: number,
): NonNullable<MessageRequests["deliverBy"]> {
  return { byMs: nowMs + seconds * 1000, ...rest };
}

/** Where the transaction's message comes from; `account` is the one that logged in. */
export function originOf(
  { mail }: SmtpTransaction,
  from: {
    readonly session: Pick<SmtpSession, "esmtp" | "tls" | "helo">;
    readonly client: string;
    readonly account: string | undefined;
    /** Whether the client may send on to elsewhere without a log-in. */
    readonly trusted: "yes" | "no";
  },
): Origin {
  const { session: { esmtp, tls, helo }, client, account, trusted } = from;
  const secured = tls === undefined ? "" : "S";
  const authenticated = account === undefined ? "" : "A";
  // RFC 6531 4.3 and RFC 3848 name these.
  const base = mail.smtpUtf8 ? "UTF8SMTP" : esmtp === "yes" ? "ESMTP" : "SMTP";
  const transmission = base === "SMTP" ? base : `${base}${secured}${authenticated}` as TransmissionType;
  return { client, helo, transmission, account, tls, ...trusted === "yes" ? { trusted: true } : {} };
}

/** A reverse-path for the log. */
export function formatPath(path: Address | null): string {
  return path === null ? "<>" : formatAddress(path);
}
