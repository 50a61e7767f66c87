/**
 * Every reply this server gives, by name.
 *
 * Guarantees: each carries the code of RFC 5321 4.2.3 (or of the extension that defines it) and, except where RFC 2034 3
 * forbids it (the greeting, HELO, EHLO, 3yz), an enhanced code of RFC 3463 and its registry. A refusal says what is
 * wrong and what would be right, in words that may end in a user's bounce.
 *
 * @module
 */
import { type Reply, reply } from "../mail/reply.ts";

/** Whether a parser's answer is a refusal. */
export function isReply<T extends object>(answer: T | Reply): answer is Reply {
  return "lines" in answer;
}

// ---------------------------------------------------------------- positive

export const ok: Reply = reply(250, "2.0.0", "OK");
export const senderOk: Reply = reply(250, "2.1.0", "Sender OK");
export const recipientOk: Reply = reply(250, "2.1.5", "Recipient OK");
export const startMailInput: Reply = reply(
  354,
  undefined,
  "Send the message; end it with a line holding only a dot",
);
export const startTls: Reply = reply(220, "2.0.0", "Ready to start TLS");
export const authenticated: Reply = reply(235, "2.7.0", "Authentication succeeded");
export const bye: Reply = reply(221, "2.0.0", "Goodbye");
/** RFC 5321 3.5.3: can't say, will try. */
export const cannotVerify: Reply = reply(
  252,
  "2.5.0",
  "Cannot verify the user here, but will accept a message and try to deliver it",
);

export function greeting(hostname: string): Reply {
  return reply(220, undefined, `${hostname} ESMTP EMSmail`);
}

/** The message is on disk; `id` is the one that `emsmail trace` knows. */
export function queued(id: string): Reply {
  return reply(250, "2.0.0", `Accepted as ${id}`);
}

/** RFC 3030 2: a chunk that isn't the last. */
export function chunkOk(octets: number): Reply {
  return reply(250, "2.0.0", `${octets} octets received`);
}

/** RFC 5321 3.5.1: the mailbox is there. */
export function verified(mailbox: string): Reply {
  return reply(250, "2.1.5", mailbox);
}

export function help(lines: readonly string[]): Reply {
  return reply(214, "2.0.0", ...lines);
}

// ---------------------------------------------------------------- the service ends the session (RFC 5321 3.8)

export const tooManyErrors: Reply = reply(421, "4.7.0", "Too many errors, closing the connection");
export const tooManyReceivers: Reply = reply(421, "4.3.2", "All receivers are busy, please try again later");
export const tooManyFromClient: Reply = reply(
  421,
  "4.7.0",
  "Too many connections from your address, please try again later",
);
export const idle: Reply = reply(421, "4.4.2", "Nothing was heard for too long, closing the connection");
export const shuttingDown: Reply = reply(
  421,
  "4.3.2",
  "The service is shutting down, please try again later",
);
export const notHttp: Reply = reply(421, "4.7.0", "This is a mail server and doesn't speak HTTP");

/** The greeting of a listener that is closed to the client (RFC 5321 3.1). */
export const notFromYou: Reply = reply(
  554,
  "5.7.1",
  "Mail is taken here from this system's buffer host only; send to the hosts that DNS names for the domain",
);

// ---------------------------------------------------------------- how the command was written

export const bareLineFeed: Reply = reply(500, "5.5.2", "A command must end with CRLF, not with a bare LF");
export const controlCharacter: Reply = reply(500, "5.5.2", "A command must not hold control characters");
export const notUtf8: Reply = reply(
  500,
  "5.5.2",
  "A command must be ASCII, or UTF-8 where SMTPUTF8 allows it",
);
export const lineTooLong: Reply = reply(500, "5.5.6", "The command line is too long");
export const unknownCommand: Reply = reply(500, "5.5.1", "Unknown command, try HELP");

/** `usage` is the command's form. */
export function badSyntax(usage: string): Reply {
  return reply(501, "5.5.4", `Syntax: ${usage}`);
}

/** `sentence` says what is wrong with the reverse-path. */
export function badSender(sentence: string): Reply {
  return reply(501, "5.1.7", `Bad sender address: ${sentence}`);
}

/** `sentence` says what is wrong with the forward-path. */
export function badRecipient(sentence: string): Reply {
  return reply(501, "5.1.3", `Bad recipient address: ${sentence}`);
}

export function badParameter(sentence: string): Reply {
  return reply(501, "5.5.4", sentence);
}

/** RFC 5321 4.1.1.11. */
export function unknownParameter(keyword: string, command: string): Reply {
  return reply(555, "5.5.4", `${command} parameter ${keyword} is not known here`);
}

/** RFC 3030 3: not announced, because a POP3 reply can't carry such a message. */
export const binaryNotOffered: Reply = reply(
  504,
  "5.5.4",
  "BODY=BINARYMIME is not offered here, send the message as 8BITMIME or encode it in base64",
);
/** RFC 8689 2: it can only be asked for over TLS, and is only announced there. */
export const requireTlsNeedsTls: Reply = reply(
  530,
  "5.7.10",
  "REQUIRETLS needs TLS, say STARTTLS before MAIL",
);

/** RFC 4865: over what EHLO has announced. */
export function heldTooLong(maxSeconds: number): Reply {
  return reply(501, "5.5.4", `A message is held for ${maxSeconds} seconds at most here`);
}

/** RFC 6531 3.5. */
export const needsSmtpUtf8: Reply = reply(
  553,
  "5.6.7",
  "A non-ASCII address needs the SMTPUTF8 parameter of MAIL",
);

// ---------------------------------------------------------------- the order of commands (RFC 5321 4.1.4)

/** RFC 5321 3.1: after a 554 greeting. */
export const noService: Reply = reply(503, "5.5.1", "There is no service for you here, only QUIT is left");
export const helloFirst: Reply = reply(503, "5.5.1", "Say EHLO or HELO first");
export const mailFirst: Reply = reply(503, "5.5.1", "Say MAIL first, no mail transaction is open");
export const noValidRecipients: Reply = reply(554, "5.5.1", "No valid recipients");
export const inTransaction: Reply = reply(
  503,
  "5.5.1",
  "Not within a mail transaction, finish it or say RSET first",
);
export const inChunks: Reply = reply(503, "5.5.1", "Not after BDAT, send the last chunk or say RSET first");
export const noChunkTransaction: Reply = reply(
  503,
  "5.5.1",
  "The chunk was thrown away: BDAT needs MAIL and a valid recipient first",
);

// ---------------------------------------------------------------- limits

export function messageTooBig(maxOctets: number): Reply {
  return reply(552, "5.3.4", `The message is over this server's limit of ${maxOctets} octets`);
}

export function tooManyRecipients(max: number): Reply {
  return reply(
    452,
    "4.5.3",
    `No more than ${max} recipients at a time, send the others in another transaction`,
  );
}

export const badNewlines: Reply = reply(
  550,
  "5.6.0",
  "The message holds a CR or LF outside of a CRLF; end each line with CRLF and send it again",
);

// ---------------------------------------------------------------- TLS and authentication

/** RFC 3207 4. */
export const tlsUnavailable: Reply = reply(454, "4.7.0", "TLS is not available here");
export const tlsAlready: Reply = reply(503, "5.5.1", "TLS is already in use");
/** RFC 4954 6. */
export const authRequired: Reply = reply(530, "5.7.0", "Authentication required");
/** RFC 3207 4. */
export const tlsRequired: Reply = reply(530, "5.7.0", "Must issue a STARTTLS command first");
export const authNeedsTls: Reply = reply(538, "5.7.11", "Encryption is required before AUTH, use STARTTLS");
export const authNotOffered: Reply = reply(502, "5.5.1", "AUTH is not offered here");
export const authAlready: Reply = reply(503, "5.5.1", "Already authenticated");
export const authCancelled: Reply = reply(501, "5.7.0", "Authentication cancelled");
export const authBadBase64: Reply = reply(
  501,
  "5.5.2",
  "The response is not base64, authentication cancelled",
);
export const authLineTooLong: Reply = reply(500, "5.5.6", "The authentication exchange line is too long");
export const authFailed: Reply = reply(535, "5.7.8", "User name or password is wrong");
export const authTemporary: Reply = reply(
  454,
  "4.7.0",
  "Cannot check the password now, please try again later",
);

export function mechanismUnknown(offered: readonly string[]): Reply {
  return reply(504, "5.5.4", `Mechanism not offered here, use one of: ${offered.join(" ")}`);
}

// ---------------------------------------------------------------- what the server finds out

export const unknownUser: Reply = reply(550, "5.1.1", "No such user here");
export const overQuota: Reply = reply(452, "4.2.2", "The mailbox is full, please try again later");
/** A recipient elsewhere, from a client that may not relay. RFC 3463 3.8: delivery not authorized. */
export const relayingDenied: Reply = reply(
  550,
  "5.7.1",
  "Relaying denied: log in, or send from an address that this system relays for",
);
/** A local name for somebody outside. RFC 3463 3.8: delivery not authorized. */
export const closedToStrangers: Reply = reply(
  550,
  "5.7.1",
  "That name takes mail from users of this system only: log in to write to it",
);
/** RFC 3463 3.3: mailing list expansion problem. */
export const emptyList: Reply = reply(550, "5.2.4", "That mailing list has no members");
/** RFC 6409 6.1: an account sends only as addresses that are its own. */
export const senderNotYours: Reply = reply(
  550,
  "5.7.1",
  "Your account may not send with that sender address",
);
/** RFC 5321 6.3. */
export const loop: Reply = reply(554, "5.4.6", "The message is in a loop: it has passed too many servers");
export const localError: Reply = reply(451, "4.3.0", "Local error, please try again later");
export const diskFull: Reply = reply(452, "4.3.1", "No room to store the message, please try again later");

// ---------------------------------------------------------------- characters

/** RFC 6531 3.7.4: a client that hasn't asked for SMTPUTF8 gets ASCII, also where its own words are given back. */
export function inAscii(answer: Reply): Reply {
  // deno-lint-ignore no-control-regex -- U+0000 to U+007F is what ASCII is
  if (!answer.lines.some((line) => /[^\x00-\x7f]/.test(line))) return answer;
  // deno-lint-ignore no-control-regex -- U+0000 to U+007F is what ASCII is
  return { ...answer, lines: answer.lines.map((line) => line.replace(/[^\x00-\x7f]/gu, "?")) };
}
