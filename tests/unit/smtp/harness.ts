/**
 * A client and a server around an SMTP session: octets in, transcript out, however the octets are cut up.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { concat, fromLatin1, latin1 } from "../../../src/base/bytes.ts";
import type { Reply } from "../../../src/mail/reply.ts";
import * as replies from "../../../src/smtp/replies.ts";
import { type SmtpEvent, SmtpSession, type SmtpSettings } from "../../../src/smtp/session.ts";

export const SETTINGS: SmtpSettings = {
  hostname: "mx.example.org",
  role: "relay",
  messageOctets: 10_000,
  commandLineOctets: 512,
  recipients: 5,
  errors: 20,
  bareNewline: "refuse",
  starttls: "offered",
  auth: "tls-only",
  mechanisms: ["PLAIN", "LOGIN", "SCRAM-SHA-256"],
};

export interface TalkOptions {
  readonly settings?: Partial<SmtpSettings>;
  /** Description of TLS from the start. */
  readonly tls?: string;
  /** Answers instead of the standing ones; undefined leaves the event to those. */
  readonly answer?: (event: SmtpEvent) => Reply | undefined;
  /** How each segment is cut up: `whole`, `octets`, or the size of the next piece from what is left. */
  readonly cut?: "whole" | "octets" | ((left: number) => number);
  /** Called with the session whenever it wants more. */
  readonly idle?: (session: SmtpSession) => void;
}

export interface Transcript {
  /** All octets sent, one code unit each. */
  readonly output: string;
  /** Without content. */
  readonly events: readonly SmtpEvent[];
  /** The content of each message that came to its end, one code unit an octet. */
  readonly contents: readonly string[];
  /** The content of messages that a reset cut off. */
  readonly voided: readonly string[];
  readonly session: SmtpSession;
}

/** A local part that says what becomes of it; PLAIN and LOGIN know one password. */
function standingAnswer(event: SmtpEvent): Reply | undefined {
  switch (event.kind) {
    case "mail":
      return event.reversePath?.local === "later" ? replies.localError : replies.senderOk;
    case "rcpt":
      if (event.recipient.local === "nobody") return replies.unknownUser;
      return event.recipient.local === "full" ? replies.overQuota : replies.recipientOk;
    case "data":
      return replies.startMailInput;
    case "data-end":
      return event.problem ?? replies.queued("id");
    case "vrfy":
    case "expn":
      return replies.cannotVerify;
    default:
      return undefined;
  }
}

function authAnswer(session: SmtpSession, response: Uint8Array | "cancel" | undefined): void {
  if (response === undefined) session.challenge(fromLatin1("more"));
  else if (response !== "cancel" && latin1(response) === "\0alice\0secret") session.authenticated("alice");
  else session.answer(replies.authFailed);
}

/**
 * Feeds segments to a new session. STARTTLS is answered by a handshake at once, after which the next segment begins: the
 * rest of the one that held it came in the clear.
 */
export function talk(segments: readonly Uint8Array[], options: TalkOptions = {}): Transcript {
  const session = new SmtpSession({ ...SETTINGS, ...options.settings }, { tls: options.tls });
  const output: Uint8Array[] = [];
  const events: SmtpEvent[] = [];
  const contents: string[] = [];
  const voided: string[] = [];
  let content = "";
  const takeOutput = () => {
    const octets = session.takeOutput();
    if (octets !== undefined) output.push(octets);
  };
  /** Handles events until there are no more; whether the rest of the segment still counts. */
  const drain = (): "go-on" | "next-segment" | "closed" => {
    for (;;) {
      const event = session.next();
      if (event === "paused") throw new Error("paused without an open event");
      if (event === "need-data") {
        options.idle?.(session);
        takeOutput();
        return "go-on";
      }
      if (event.kind === "content") {
        content += latin1(event.bytes);
        continue;
      }
      if (event.kind === "data-end") contents.push(content);
      else if (event.kind === "reset" && content !== "") voided.push(content);
      if (event.kind === "data-end" || event.kind === "reset") content = "";
      events.push(event);
      const answer = options.answer?.(event) ?? standingAnswer(event);
      if (answer !== undefined) session.answer(answer);
      else if (event.kind === "auth") authAnswer(session, event.initial);
      else if (event.kind === "auth-response") authAnswer(session, event.response);
      takeOutput();
      if (event.kind === "close") return "closed";
      if (event.kind === "starttls") {
        session.receive(fromLatin1("NOOP\r\n"));
        session.secured("TLSv1.3");
        return "next-segment";
      }
    }
  };
  session.greet();
  takeOutput();
  segments: for (const segment of segments) {
    for (const piece of pieces(segment, options.cut ?? "whole")) {
      session.receive(piece);
      const state = drain();
      if (state === "closed") break segments;
      if (state === "next-segment") break;
    }
  }
  return { output: latin1(concat(output)), events, contents, voided, session };
}

function* pieces(segment: Uint8Array, cut: NonNullable<TalkOptions["cut"]>): Generator<Uint8Array> {
  for (let at = 0; at < segment.length;) {
    const left = segment.length - at;
    const size = cut === "whole" ? left : cut === "octets" ? 1 : Math.max(1, Math.min(left, cut(left)));
    // A copy, so that nothing can be seen beyond a piece.
    yield segment.slice(at, at + size);
    at += size;
  }
}

/** Feeds text (one code unit an octet; several texts are parted by STARTTLS) whole and octet by octet, which must be one. */
export function both(client: string | readonly string[], options: TalkOptions = {}): Transcript {
  const segments = (typeof client === "string" ? [client] : client).map(fromLatin1);
  const whole = talk(segments, { ...options, cut: "whole" });
  const octets = talk(segments, { ...options, cut: "octets" });
  assertEquals(octets.output, whole.output);
  assertEquals(octets.events, whole.events);
  assertEquals([octets.contents, octets.voided], [whole.contents, whole.voided]);
  return whole;
}

/** The replies after the greeting as `code enhanced`, the last line of each. */
export function codes(transcript: Transcript): string[] {
  const lines = transcript.output.split("\r\n").slice(1, -1);
  return lines.filter((line) => line[3] === " ").map((line) =>
    /^\d{3}(?: \d\.\d{1,3}\.\d{1,3})?/.exec(line)![0]
  );
}

/** The lines of the replies after the greeting. */
export function lines(transcript: Transcript): string[] {
  return transcript.output.split("\r\n").slice(1, -1);
}

/** The kinds of the events. */
export function kinds(transcript: Transcript): string[] {
  return transcript.events.map((event) => event.kind);
}

/** EHLO, and its reply's code. */
export const EHLO = "EHLO client.example\r\n";
/** A transaction up to one accepted recipient. */
export const ENVELOPE = "MAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.org>\r\n";

/** What is wrong with octets sent as replies (RFC 5321 4.2); undefined where nothing is. */
export function malformedReply(output: string): string | undefined {
  if (output === "") return undefined;
  if (!output.endsWith("\r\n")) return "doesn't end with CRLF";
  let open: string | undefined;
  for (const line of output.slice(0, -2).split("\r\n")) {
    const match = /^([2-5][0-9]{2})([ -])(?:([245])\.[0-9]{1,3}\.[0-9]{1,3} )?[\x20-\x7e\x80-\xff]*$/.exec(
      line,
    );
    if (match === null) return `not a reply line: ${JSON.stringify(line)}`;
    const [, code, separator, enhancedClass] = match;
    if (line.length > 510 && code !== "334") return `${line.length} octets in a line`;
    if (open !== undefined && open !== code) return `code ${code} within a reply ${open}`;
    if (enhancedClass !== undefined && enhancedClass !== code![0]) {
      return `class ${enhancedClass} with ${code}`;
    }
    open = separator === "-" ? code : undefined;
  }
  return open === undefined ? undefined : `reply ${open} has no last line`;
}
