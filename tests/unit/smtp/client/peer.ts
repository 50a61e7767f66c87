/**
 * A scripted server and a caller around an SMTP client session: what the server says, segment by segment, and a transcript of
 * what came of it.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { fromLatin1, latin1 } from "../../../../src/base/bytes.ts";
import {
  type ClientEvent,
  type ClientSettings,
  SmtpClientSession,
  type Transaction,
} from "../../../../src/smtp/client/session.ts";

export const SETTINGS: ClientSettings = { hostname: "out.example.org", starttls: "if-offered" };

export interface Outgoing {
  readonly transaction: Transaction;
  /** Pieces of content; one code unit an octet. */
  readonly content?: readonly string[];
}

export interface ConverseOptions {
  readonly settings?: Partial<ClientSettings>;
  /** Sent one after another; QUIT follows the last one, if `quit` says so. */
  readonly messages?: readonly Outgoing[];
  readonly quit?: "quit" | "stay";
  /** After the script the connection is lost for this reason. */
  readonly lost?: string;
  readonly cut?: "whole" | "octets" | ((left: number) => number);
}

export interface Transcript {
  /** What the client sent before the server's first segment, and after each. */
  readonly sent: readonly string[];
  readonly events: readonly ClientEvent[];
  readonly dialogue: string;
  readonly session: SmtpClientSession;
  /** Whether the caller was asked to act while octets of a segment were still to come: they came before what they answer. */
  readonly early: "no" | "yes";
}

/** Lets a session talk to a server that says these segments, whatever it is told. */
export function converse(script: readonly string[], options: ConverseOptions = {}): Transcript {
  const session = new SmtpClientSession({ ...SETTINGS, ...options.settings });
  const messages = [...options.messages ?? []];
  const events: ClientEvent[] = [];
  let under: Outgoing | undefined;
  let over = false;
  let sent = "";
  let early: Transcript["early"] = "no";
  const act = (event: ClientEvent) => {
    if (event.kind === "starttls") session.secured("TLSv1.3");
    else if (event.kind === "content") {
      for (const piece of under?.content ?? ["Subject: x\r\n\r\nHello\r\n"]) {
        session.content(fromLatin1(piece));
      }
      session.endContent();
    } else if (event.kind === "ready" || event.kind === "done") {
      under = messages.shift();
      if (under !== undefined) session.begin(under.transaction);
      else if (options.quit === "quit") session.quit();
    } else over = true;
  };
  const drain = (left = 0) => {
    for (;;) {
      const event = session.next();
      if (typeof event === "string") break;
      if (over) throw new Error(`${event.kind} after the end`);
      events.push(event);
      if (left > 0 && ["ready", "done", "content"].includes(event.kind)) early = "yes";
      act(event);
    }
    const octets = session.takeOutput();
    if (octets !== undefined) sent += latin1(octets);
  };
  const takeSent = () => {
    const taken = sent;
    sent = "";
    return taken;
  };
  drain();
  const all = [takeSent()];
  for (const segment of script) {
    for (let at = 0; at < segment.length;) {
      const { cut = "whole" } = options;
      const left = segment.length - at;
      const size = cut === "whole" ? left : cut === "octets" ? 1 : Math.min(left, cut(left));
      session.receive(fromLatin1(segment.slice(at, at + size)));
      at += size;
      drain(segment.length - at);
    }
    all.push(takeSent());
  }
  if (options.lost !== undefined) {
    session.connectionLost(options.lost);
    drain();
  }
  return { sent: all, events, dialogue: session.takeDialogue(), session, early };
}

/** The same whole and octet by octet, and the same both times. */
export function talk(script: readonly string[], options: ConverseOptions = {}): Transcript {
  const whole = converse(script, { ...options, cut: "whole" });
  const octets = converse(script, { ...options, cut: "octets" });
  const comparable = ({ sent, events, dialogue }: Transcript) => ({ sent, events, dialogue });
  assertEquals(comparable(octets), comparable(whole));
  return whole;
}

export const GREETING = "220 mx.example.test ESMTP\r\n";

/** A 250 to EHLO with these extensions. */
export function ehlo(...extensions: string[]): string {
  const lines = ["mx.example.test", ...extensions];
  return lines.map((line, i) => `250${i < lines.length - 1 ? "-" : " "}${line}\r\n`).join("");
}

/** A message from a@example.org to these recipients. */
export function to(recipients: readonly string[], more: Partial<Transaction> = {}): Outgoing {
  return {
    transaction: {
      reversePath: "a@example.org",
      size: 20,
      smtpUtf8: false,
      recipients: recipients.map((recipient) => ({ recipient })),
      ...more,
    },
  };
}

/** The results of each transaction, as `code enhanced from`. */
export function results(events: readonly ClientEvent[]): string[][] {
  return events.flatMap((event) =>
    event.kind !== "done" ? [] : [
      event.results.map(({ reply, from, ambiguous }) =>
        [
          reply.code,
          reply.enhanced,
          from === "here" ? "here" : undefined,
          ambiguous ? "ambiguous" : undefined,
        ]
          .filter((word) => word !== undefined).join(" ")
      ),
    ]
  );
}

/** Kinds of events, with stage and fault of a failure. */
export function kinds(events: readonly ClientEvent[]): string[] {
  return events.map((event) =>
    event.kind === "failed" ? `failed ${event.stage} ${event.fault} ${event.reply?.code ?? "-"}` : event.kind
  );
}

/** The next event, where there must be one. */
export function nextEvent(session: SmtpClientSession): ClientEvent {
  const event = session.next();
  if (typeof event === "string") throw new Error(`${event} where an event was expected`);
  return event;
}
