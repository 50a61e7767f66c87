/**
 * What CAPA announces, and which SASL mechanisms may be used right now.
 *
 * Guarantees: nothing is announced that would be refused. USER is there only where PASS would be taken, SASL names
 * only mechanisms that may be used, STLS only where it may be sent (RFC 2595 4). So the list changes with TLS; after
 * log-in it only loses STLS, because RFC 2449 6 has the others announced alike in both states.
 *
 * @module
 */
import { clean } from "../mail/reply.ts";
import type { Pop3Settings } from "./types.ts";

/** Where the session stands, as far as capabilities depend on it. */
export interface Standing {
  readonly state: "authorization" | "transaction" | "update";
  readonly tls: string | undefined;
  readonly utf8: "on" | "off";
}

/** Whether a password may be sent as it is. */
export function mayUseClearText(settings: Pop3Settings, standing: Pick<Standing, "tls">): boolean {
  return settings.login === "always" || standing.tls !== undefined;
}

/** The mechanisms a client may use now; only SCRAM keeps the password from a listener (RFC 5802). */
export function usableMechanisms(settings: Pop3Settings, standing: Pick<Standing, "tls">): readonly string[] {
  if (mayUseClearText(settings, standing)) return settings.mechanisms;
  return settings.mechanisms.filter((mechanism) => mechanism.startsWith("SCRAM-"));
}

/** Whether STLS may be sent now. */
export function mayStartTls(settings: Pop3Settings, standing: Standing): boolean {
  return settings.stls === "offered" && standing.tls === undefined && standing.utf8 === "off" &&
    standing.state === "authorization";
}

/** The lines of CAPA's answer, without line ends. */
export function capabilities(settings: Pop3Settings, standing: Standing): string[] {
  const lines = ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING"];
  if (mayUseClearText(settings, standing)) lines.push("USER");
  const mechanisms = usableMechanisms(settings, standing);
  if (mechanisms.length > 0) lines.push(`SASL ${mechanisms.join(" ")}`);
  if (mayStartTls(settings, standing)) lines.push("STLS");
  lines.push("UTF8 USER", "LANG");
  lines.push(settings.expire === "never" ? "EXPIRE NEVER" : `EXPIRE ${settings.expire}`);
  // RFC 2449 6.5: only where there is a delay.
  if (settings.loginDelaySeconds > 0) lines.push(`LOGIN-DELAY ${settings.loginDelaySeconds}`);
  lines.push(`IMPLEMENTATION ${clean(settings.implementation)}`);
  return lines;
}
