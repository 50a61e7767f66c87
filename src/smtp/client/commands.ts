/**
 * The table of what a client says: for each verb, the stage that waiting for its reply is, the replies that are good,
 * and its place in a pipelined group.
 *
 * @module
 */
import type { Reply } from "../../mail/reply.ts";
import type { ClientStage } from "./types.ts";

/** `greeting` is said by nobody, but answered all the same; `end` is the dot after DATA's content. */
export type ClientVerb =
  | "greeting"
  | "EHLO"
  | "HELO"
  | "STARTTLS"
  | "AUTH"
  | "MAIL"
  | "RCPT"
  | "DATA"
  | "end"
  | "BDAT"
  | "BDAT LAST"
  | "RSET"
  | "QUIT";

export interface VerbRow {
  readonly stage: ClientStage;
  /** Replies that mean success; other 2yz and 3yz break the protocol, 4yz and 5yz refuse (RFC 5321 4.2.1). */
  readonly good: RegExp;
  /** Whether other commands may be sent before its reply has come (RFC 2920 3.1). */
  readonly group: "any" | "last";
  /** How long its reply may take (RFC 5321 4.5.3.2), in milliseconds. */
  readonly timeoutMs: number;
}

const MINUTE_MS = 60_000;

export const CLIENT_VERBS: { readonly [verb in ClientVerb]: VerbRow } = {
  "greeting": { stage: "greeting", good: /^2/, group: "last", timeoutMs: 5 * MINUTE_MS }, // 4.5.3.2.1
  "EHLO": { stage: "ehlo", good: /^2/, group: "last", timeoutMs: 5 * MINUTE_MS },
  "HELO": { stage: "ehlo", good: /^2/, group: "last", timeoutMs: 5 * MINUTE_MS },
  "STARTTLS": { stage: "starttls", good: /^220$/, group: "last", timeoutMs: 5 * MINUTE_MS }, // RFC 3207 4
  "AUTH": { stage: "auth", good: /^(?:2|334)/, group: "last", timeoutMs: 5 * MINUTE_MS }, // RFC 4954 4
  "MAIL": { stage: "mail", good: /^2/, group: "any", timeoutMs: 5 * MINUTE_MS }, // 4.5.3.2.2
  "RCPT": { stage: "rcpt", good: /^2/, group: "any", timeoutMs: 5 * MINUTE_MS }, // 4.5.3.2.3
  "DATA": { stage: "data", good: /^354$/, group: "last", timeoutMs: 2 * MINUTE_MS }, // 4.5.3.2.4
  "end": { stage: "data-end", good: /^2/, group: "any", timeoutMs: 10 * MINUTE_MS }, // 4.5.3.2.6
  "BDAT": { stage: "content", good: /^2/, group: "any", timeoutMs: 3 * MINUTE_MS }, // 4.5.3.2.5
  "BDAT LAST": { stage: "data-end", good: /^2/, group: "any", timeoutMs: 10 * MINUTE_MS },
  "RSET": { stage: "ready", good: /^2/, group: "any", timeoutMs: 5 * MINUTE_MS },
  // No time is prescribed, and by then everything has been said: the connection is wanted for other mail.
  "QUIT": { stage: "quit", good: /^2/, group: "last", timeoutMs: MINUTE_MS / 2 },
};

/** RFC 5321 4.5.3.2.5: between blocks of content. */
export const CONTENT_TIMEOUT_MS = 3 * MINUTE_MS;
/** Anything else, an idle session among it. */
export const OTHER_TIMEOUT_MS = 5 * MINUTE_MS;

/** What a reply means to a verb. */
export function meaning(verb: ClientVerb, answer: Reply): "good" | "refused" | "unexpected" {
  if (CLIENT_VERBS[verb].good.test(String(answer.code))) return "good";
  return answer.code >= 400 ? "refused" : "unexpected";
}
