/**
 * The table of verbs: what each command's form is, what each state answers to it, and what is checked before it goes on.
 *
 * @module
 */
import type { Reply } from "../mail/reply.ts";
import { mayStartTls, type SessionFacts } from "./capabilities.ts";
import type { SmtpSettings, SmtpState } from "./events.ts";
import { AUTH_USAGE, BDAT_USAGE, MAIL_USAGE, RCPT_USAGE } from "./grammar.ts";
import * as replies from "./replies.ts";

export type VerbName =
  | "HELO"
  | "EHLO"
  | "MAIL"
  | "RCPT"
  | "DATA"
  | "BDAT"
  | "RSET"
  | "NOOP"
  | "VRFY"
  | "EXPN"
  | "HELP"
  | "QUIT"
  | "STARTTLS"
  | "AUTH";

export interface Verb {
  readonly name: VerbName;
  readonly argument: "none" | "needed" | "optional";
  /** What each state answers instead of going on; a state that isn't named allows the command. */
  readonly refusals: Readonly<Partial<Record<SmtpState, Reply>>>;
  /** The policy that must allow it: an account, room for a recipient, TLS. */
  readonly check?: "account" | "room" | "tls";
  readonly usage: string;
}

// RFC 5321 3.1: a client that was refused in the greeting gets 503 for everything but QUIT.
const ANYWHERE = { refused: replies.noService };
const OUTSIDE_TRANSACTION = {
  ...ANYWHERE,
  mail: replies.inTransaction,
  rcpt: replies.inTransaction,
  chunks: replies.inTransaction,
};
const AFTER_HELLO = { greeted: replies.helloFirst, ...OUTSIDE_TRANSACTION };
const AFTER_MAIL = {
  ...ANYWHERE,
  greeted: replies.helloFirst,
  ready: replies.mailFirst,
  chunks: replies.inChunks,
};
// RFC 5321 3.3 allows 554 where every RCPT was refused; RFC 3030 2: DATA after BDAT is out of sequence.
const AFTER_RCPT = { ...AFTER_MAIL, mail: replies.noValidRecipients };
const AFTER_RCPT_OR_CHUNK = {
  ...ANYWHERE,
  greeted: replies.helloFirst,
  ready: replies.noChunkTransaction,
  mail: replies.noChunkTransaction,
};

const TABLE: readonly Verb[] = [
  { name: "HELO", argument: "needed", refusals: ANYWHERE, usage: "HELO hostname" },
  { name: "EHLO", argument: "needed", refusals: ANYWHERE, usage: "EHLO hostname" },
  { name: "MAIL", argument: "needed", refusals: AFTER_HELLO, check: "account", usage: MAIL_USAGE },
  { name: "RCPT", argument: "needed", refusals: AFTER_MAIL, check: "room", usage: RCPT_USAGE },
  { name: "DATA", argument: "none", refusals: AFTER_RCPT, usage: "DATA" },
  { name: "BDAT", argument: "needed", refusals: AFTER_RCPT_OR_CHUNK, usage: BDAT_USAGE },
  { name: "RSET", argument: "none", refusals: ANYWHERE, usage: "RSET" },
  { name: "NOOP", argument: "optional", refusals: ANYWHERE, usage: "NOOP [text]" }, // RFC 5321 4.1.1.9
  { name: "VRFY", argument: "needed", refusals: ANYWHERE, check: "account", usage: "VRFY name" },
  { name: "EXPN", argument: "needed", refusals: ANYWHERE, check: "account", usage: "EXPN list" },
  { name: "HELP", argument: "optional", refusals: ANYWHERE, usage: "HELP [command]" },
  { name: "QUIT", argument: "none", refusals: {}, usage: "QUIT" },
  // RFC 3207 4: 501 where it has an argument.
  { name: "STARTTLS", argument: "none", refusals: OUTSIDE_TRANSACTION, check: "tls", usage: "STARTTLS" },
  // RFC 4954 4: not during a mail transaction.
  { name: "AUTH", argument: "needed", refusals: AFTER_HELLO, usage: AUTH_USAGE },
];

export const VERBS: ReadonlyMap<string, Verb> = new Map(TABLE.map((verb) => [verb.name, verb]));

/** A web browser made to send mail by a page's form (a cross-protocol attack) begins with one of these. */
export const HTTP_METHODS: ReadonlySet<string> = new Set(
  ["GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "DELETE", "PATCH", "TRACE"],
);

/** What `check` of the table says at this point of a session: a refusal, or undefined to go on. */
export function checkPolicy(
  check: Verb["check"],
  { settings, facts }: { readonly settings: SmtpSettings; readonly facts: SessionFacts },
): Reply | undefined {
  switch (check) {
    case "account": {
      // RFC 6409 4.3: a submission server tells nothing and takes nothing before AUTH.
      if (settings.role === "relay" || facts.identity !== undefined) return undefined;
      const tlsFirst = settings.auth === "tls-only" && mayStartTls(settings, facts);
      return tlsFirst ? replies.tlsRequired : replies.authRequired;
    }
    case "room": // RFC 5321 4.5.3.1.10
      if (facts.acceptedRecipients < settings.recipients) return undefined;
      return replies.tooManyRecipients(settings.recipients);
    case "tls":
      if (facts.tls !== undefined) return replies.tlsAlready;
      return settings.starttls === "none" ? replies.tlsUnavailable : undefined;
    case undefined:
      return undefined;
  }
}
