/**
 * A whole POP3 conversation with a small server around the core: accounts, messages and answers are fixed here, so that
 * a test is a list of what the client sends and what it must get. Each conversation is held whole, byte by byte and in
 * random pieces, and all must agree. Also used by the fuzz target.
 */
import { assertEquals } from "@std/assert";
import { concat, latin1, utf8 } from "../../../src/base/bytes.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { type Pop3Event, Pop3Session, type Pop3Settings } from "../../../src/pop3/session.ts";

export const SETTINGS: Pop3Settings = {
  hostname: "mail.example.org",
  implementation: "EMSmail",
  lineOctets: 255,
  errors: 5,
  stls: "offered",
  login: "always",
  mechanisms: ["SCRAM-SHA-256", "PLAIN", "LOGIN"],
  expire: "never",
  loginDelaySeconds: 0,
  loginAttempts: 3,
};

export const MESSAGES: readonly string[] = [
  "Subject: one\r\n\r\nfirst\r\nsecond\r\nthird\r\n",
  "Subject: two\r\n\r\n.dot\r\n..two\r\n.\r\nend without line end",
  "Subject: three\r\nX: no blank line\r\n",
];

/** Octets as RETR sends them, before dot-stuffing. */
export function sizeOf(message: string): number {
  return message.length + (message === "" || message.endsWith("\r\n") ? 0 : 2);
}

export interface Conversation {
  /** One piece for each stretch of input: a new one begins where TLS does. */
  readonly pieces: readonly (readonly Uint8Array[])[];
  readonly settings?: Partial<Pop3Settings>;
  readonly tls?: string;
  readonly messages?: readonly string[];
  /** How many octets of a message are given to the core at a time. */
  readonly contentOctets?: number;
  /** Called before an event is answered in the usual way; `answered`: it was answered here. */
  readonly intercept?: (event: Pop3Event, session: Pop3Session) => "answered" | undefined;
}

export interface Transcript {
  readonly output: string;
  /** All but `flush`, which depends on when output is taken. */
  readonly events: readonly Pop3Event[];
  readonly end: "open" | "closed";
  /** The most octets that waited in the output at once. */
  readonly peakOctets: number;
}

export function hold(conversation: Conversation): Transcript {
  return new Holder(conversation).run();
}

class Holder {
  readonly #conversation: Conversation;
  readonly #session: Pop3Session;
  readonly #messages: readonly string[];
  readonly #output: Uint8Array[] = [];
  readonly #events: Pop3Event[] = [];
  #end: "open" | "closed" = "open";
  #tls: "plain" | "due" = "plain";
  #mechanism = "";
  #peakOctets = 0;

  constructor(conversation: Conversation) {
    this.#conversation = conversation;
    this.#messages = conversation.messages ?? MESSAGES;
    const settings = { ...SETTINGS, ...conversation.settings };
    this.#session = new Pop3Session(settings, { tls: conversation.tls });
  }

  run(): Transcript {
    this.#session.greet();
    for (const stretch of this.#conversation.pieces) {
      for (const piece of stretch) {
        this.#session.receive(piece);
        this.#work();
      }
      if (this.#tls === "due") this.#session.secured("TLSv1.3");
      this.#tls = "plain";
    }
    this.#work();
    const output = latin1(concat(this.#output));
    return { output, events: this.#events, end: this.#end, peakOctets: this.#peakOctets };
  }

  #work(): void {
    for (;;) {
      const event = this.#session.next();
      this.#take();
      if (event === "need-data" || event === "paused") return;
      if (event.kind !== "flush") this.#events.push(event);
      if (this.#conversation.intercept?.(event, this.#session) !== "answered") this.#answer(event);
    }
  }

  #take(): void {
    const output = this.#session.takeOutput();
    if (output === undefined) return;
    this.#peakOctets = Math.max(this.#peakOctets, output.length);
    // Copied, since the core may pass on what it was given.
    this.#output.push(output.slice());
  }

  #answer(event: Pop3Event): void {
    switch (event.kind) {
      case "login":
        return this.#decide(event.user, event.password);
      case "auth":
        this.#mechanism = event.mechanism;
        if (event.initial === undefined) return this.#session.challenge(this.#firstChallenge());
        return this.#respond(event.initial);
      case "auth-response":
        if (event.response === "cancel") return this.#session.refuse("AUTH", "cancelled");
        return this.#respond(event.response);
      case "retrieve":
        return this.#send(this.#messages[event.index]!);
      case "update":
        return this.#session.updated("ok");
      case "stls":
        this.#tls = "due";
        return;
      case "close":
        this.#end = "closed";
        return;
      case "flush":
        return;
    }
  }

  #firstChallenge(): Uint8Array {
    return this.#mechanism === "LOGIN" ? utf8("Username:") : new Uint8Array(0);
  }

  #respond(response: Uint8Array): void {
    const [, user, password] = latin1(response).split("\0");
    this.#decide(user ?? "", password ?? "");
  }

  #decide(user: string, password: string): void {
    if (user === "busy") return this.#session.refuse("IN-USE", "another session has this maildrop open");
    if (password !== "secret") return this.#session.refuse("AUTH", "wrong");
    const sizes = this.#messages.map(sizeOf);
    this.#session.opened({ sizes, uniqueId: (index) => `uid-${index}` });
  }

  #send(message: string): void {
    const step = this.#conversation.contentOctets ?? Math.max(1, message.length);
    const octets = Uint8Array.from(message, (character) => character.charCodeAt(0));
    for (let at = 0; at < octets.length; at += step) {
      const wanted = this.#session.content(octets.subarray(at, at + step));
      this.#take();
      if (wanted === "enough") break;
    }
    this.#session.contentEnd();
  }
}

/** Octets in pieces of random length. */
export function split(octets: Uint8Array, seed: number): Uint8Array[] {
  const random = seededRandom(seed);
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < octets.length;) {
    const length = 1 + Math.floor(random.fraction() * random.fraction() * 40);
    pieces.push(octets.subarray(at, at + length));
    at += length;
  }
  return pieces;
}

export function byteByByte(octets: Uint8Array): Uint8Array[] {
  return Array.from(octets, (_, i) => octets.subarray(i, i + 1));
}

/** Holds a conversation in several splits, requires that they agree, and gives what all of them gave. */
export function converse(
  input: string | readonly string[],
  options: Omit<Conversation, "pieces"> = {},
): Transcript {
  const stretches = (typeof input === "string" ? [input] : input).map(utf8);
  const whole = hold({ ...options, pieces: stretches.map((stretch) => [stretch]) });
  const others: Conversation[] = [
    { ...options, pieces: stretches.map(byteByByte) },
    { ...options, pieces: stretches.map(byteByByte), contentOctets: 1 },
    { ...options, pieces: stretches.map((stretch) => split(stretch, 7)), contentOctets: 3 },
  ];
  for (const other of others) {
    const { peakOctets: _, ...told } = hold(other);
    const { peakOctets: __, ...expected } = whole;
    assertEquals(told, expected);
  }
  return whole;
}

/** The output after the greeting. */
export function replies(
  input: string | readonly string[],
  options: Omit<Conversation, "pieces"> = {},
): string {
  const { output } = converse(input, options);
  return output.slice(output.indexOf("\r\n") + 2);
}

/** The output after log-in as alice. */
export function afterLogin(input: string, options: Omit<Conversation, "pieces"> = {}): string {
  const text = replies(`USER alice\r\nPASS secret\r\n${input}`, options);
  const login = /^\+OK send PASS\r\n\+OK maildrop has [0-9]+ messages \([0-9]+ octets\)\r\n/.exec(text);
  assertEquals(login === null, false, text);
  return text.slice(login![0].length);
}
