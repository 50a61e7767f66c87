/**
 * What EHLO announces: only what works at this moment of this session; and the refusal of what is asked for all the same.
 *
 * Priorities and holding are for submissions: a stranger's urgency is worth nothing, and RFC 4865 is for submission only.
 *
 * Deliberately absent: BINARYMIME (RFC 3030), since a POP3 multi-line reply can't carry octets that aren't lines; LIMITS
 * MAILMAX, since there is no such limit; a least time for DELIVERBY, since any may be asked for.
 *
 * @module
 */
import type { Reply } from "../mail/reply.ts";
import type { MailEvent, SmtpSettings } from "./events.ts";
import * as replies from "./replies.ts";

/** What a session has reached so far. */
export interface SessionFacts {
  /** The TLS session's description; undefined in the clear. */
  readonly tls?: string;
  /** Who has authenticated. */
  readonly identity?: string;
  /** Recipients accepted in the open transaction. */
  readonly acceptedRecipients: number;
}

/** Whether STARTTLS would be accepted now (RFC 3207 4.2: never once TLS is on). */
export function mayStartTls(settings: SmtpSettings, facts: SessionFacts): boolean {
  return settings.starttls === "offered" && facts.tls === undefined;
}

/** Whether AUTH would be accepted now (RFC 4954 4: once a session). */
export function mayAuthenticate(settings: SmtpSettings, facts: SessionFacts): boolean {
  if (settings.auth === "never" || settings.mechanisms.length === 0 || facts.identity !== undefined) {
    return false;
  }
  return settings.auth === "always" || facts.tls !== undefined;
}

/** The lines of the reply to EHLO after the first, one keyword each (RFC 5321 4.1.1.1). */
export function capabilities(settings: SmtpSettings, facts: SessionFacts): string[] {
  const lines = [
    "PIPELINING", // RFC 2920
    `SIZE ${settings.messageOctets}`, // RFC 1870
    "8BITMIME", // RFC 6152
    "SMTPUTF8", // RFC 6531
    "CHUNKING", // RFC 3030
    "ENHANCEDSTATUSCODES", // RFC 2034
    "DSN", // RFC 3461
    "DELIVERBY", // RFC 2852
    `LIMITS RCPTMAX=${settings.recipients}`, // RFC 9422
  ];
  if (facts.tls !== undefined) lines.push("REQUIRETLS"); // RFC 8689 2
  if (settings.role === "submission") lines.push("MT-PRIORITY MIXER"); // RFC 6710 3
  if (settings.futureRelease !== undefined) {
    const { maxSeconds, latestMs } = settings.futureRelease;
    lines.push(`FUTURERELEASE ${maxSeconds} ${formatMoment(latestMs)}`); // RFC 4865
  }
  if (mayStartTls(settings, facts)) lines.push("STARTTLS");
  if (mayAuthenticate(settings, facts)) lines.push(`AUTH ${settings.mechanisms.join(" ")}`);
  lines.push("HELP");
  return lines;
}

/** The refusal of what MAIL asks for but EHLO doesn't announce, or announces less of. */
export function checkMail(
  { requests, size }: MailEvent,
  { settings, facts }: { readonly settings: SmtpSettings; readonly facts: SessionFacts },
): Reply | undefined {
  const { messageOctets } = settings;
  if (size !== undefined && size > messageOctets) return replies.messageTooBig(messageOctets); // RFC 1870 6.1
  const { hold, priority, requireTls } = requests;
  if (requireTls === true && facts.tls === undefined) return replies.requireTlsNeedsTls;
  if (priority !== undefined && settings.role === "relay") {
    return replies.unknownParameter("MT-PRIORITY", "MAIL");
  }
  if (hold === undefined) return undefined;
  const { futureRelease } = settings;
  if (futureRelease === undefined) {
    return replies.unknownParameter(hold.kind === "for" ? "HOLDFOR" : "HOLDUNTIL", "MAIL");
  }
  const tooLong = hold.kind === "for"
    ? hold.seconds > futureRelease.maxSeconds
    : hold.atMs > futureRelease.latestMs;
  return tooLong ? replies.heldTooLong(futureRelease.maxSeconds) : undefined;
}

/** A date-time of RFC 3339 5.6 in UTC, without parts of a second. */
function formatMoment(atMs: number): string {
  return new Date(atMs).toISOString().replace(/\.[0-9]+Z$/, "Z");
}
