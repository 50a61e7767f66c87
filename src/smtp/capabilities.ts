/**
 * What EHLO announces: only what works at this moment of this session.
 *
 * Deliberately absent: BINARYMIME (RFC 3030), since a POP3 multi-line reply can't carry octets that aren't lines; DSN
 * (RFC 3461); LIMITS MAILMAX, since there is no such limit.
 *
 * @module
 */
import type { SmtpSettings } from "./events.ts";

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
    `LIMITS RCPTMAX=${settings.recipients}`, // RFC 9422
  ];
  if (mayStartTls(settings, facts)) lines.push("STARTTLS");
  if (mayAuthenticate(settings, facts)) lines.push(`AUTH ${settings.mechanisms.join(" ")}`);
  lines.push("HELP");
  return lines;
}
