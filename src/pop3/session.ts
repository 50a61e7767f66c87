/**
 * A POP3 server session without I/O (RFC 1939): octets in, events and replies out.
 *
 * States: AUTHORIZATION, after log-in TRANSACTION, after QUIT UPDATE (RFC 1939 3). The server calls `receive`, then
 * `next` until it says `need-data` (feed more) or `paused` (answer the last event first), then writes `takeOutput`.
 * While the session is paused, commands that come in are kept and run afterwards, in order: that is PIPELINING
 * (RFC 2449 6.6). One core serves plain connections, TLS and tests.
 *
 * Guarantees: nothing a client sends makes a method throw; however its octets are split, events and output are the same;
 * DELE has no effect but on the `update` event, so a connection that ends otherwise removes nothing; what is pipelined
 * behind STLS in the clear is dropped; memory is bounded by one line, a burst of pipelined commands, and what the
 * server lets wait in the output. The server's methods throw only where they are called in answer to nothing.
 *
 * Absent on purpose: APOP, because it needs every password kept in clear, and MD5 no longer protects it (RFC 6151);
 * SCRAM by AUTH does what APOP was for. So the greeting has no timestamp.
 *
 * @module
 */
import { AUTH_LINE_OCTETS, POP3_FLUSH_OCTETS, POP3_PIPELINED_OCTETS } from "../base/limits.ts";
import { asBuffer } from "../base/bytes.ts";
import { LineBuffer } from "../base/line_buffer.ts";
import { VERBS } from "./commands.ts";
import { DotStuffer, TopCounter } from "./content.ts";
import { type Awaiting, Dialogue } from "./dialogue.ts";
import { parseAuthResponse, parseCommand } from "./grammar.ts";
import { Maildrop } from "./maildrop.ts";
import type { OpenMaildrop, Pop3Event, Pop3Settings, ResponseCode } from "./types.ts";

export type { OpenMaildrop, Pop3Event, Pop3Settings, ResponseCode } from "./types.ts";

/** A message that is being sent. */
interface Sending {
  readonly index: number;
  readonly stuffer: DotStuffer;
  /** Only TOP counts lines. */
  readonly top: TopCounter | undefined;
  progress: "not-begun" | "begun";
}

export class Pop3Session {
  readonly #dialogue: Dialogue;
  readonly #input = new LineBuffer();
  #overflow: "no" | "yes" = "no";
  #sending: Sending | undefined;
  /** Why the client's line ended a SASL exchange, where it was not by `*`: becomes the text of the refusal. */
  #brokenOff: string | undefined;
  #flushAsked: "no" | "yes" = "no";

  /** `tls` describes the TLS session where the connection began with one (pop3s). */
  constructor(settings: Pop3Settings, options: { readonly tls?: string } = {}) {
    this.#dialogue = new Dialogue(settings, options.tls);
  }

  /** Whether the client asked for UTF-8 (RFC 6856 2): without, messages must be in ASCII (RFC 6858). */
  get utf8(): "on" | "off" {
    return this.#dialogue.utf8;
  }

  /** The greeting; without APOP's timestamp. */
  greet(): void {
    this.#dialogue.ok(this.#dialogue.texts.greeting(this.#dialogue.settings.hostname));
  }

  /** Takes octets from the client; the session may keep a view of them. */
  receive(bytes: Uint8Array): void {
    if (this.#dialogue.life !== "open") return;
    if (this.#input.size > POP3_PIPELINED_OCTETS) this.#overflow = "yes";
    else this.#input.push(bytes);
  }

  /** All output so far; undefined where there is none. The octets may be those given to `content`. */
  takeOutput(): Uint8Array | undefined {
    return this.#dialogue.output.take();
  }

  /** The next event; `need-data`: receive more first; `paused`: answer the last event first, or all is over. */
  next(): Pop3Event | "need-data" | "paused" {
    const dialogue = this.#dialogue;
    for (;;) {
      if (dialogue.life === "ending") {
        dialogue.life = "closed";
        this.#input.clear();
        return { kind: "close" };
      }
      if (dialogue.life === "closed") return "paused";
      // Asked once a step, so a server that does not flush only uses more memory.
      if (this.#flushAsked === "no" && dialogue.output.size >= POP3_FLUSH_OCTETS && this.#hasWork()) {
        this.#flushAsked = "yes";
        return { kind: "flush" };
      }
      this.#flushAsked = "no";
      const event = this.#step();
      if (event !== undefined) return event;
    }
  }

  #hasWork(): boolean {
    return this.#dialogue.listing !== undefined ||
      (this.#input.size > 0 &&
        (this.#dialogue.awaiting === "command" || this.#dialogue.awaiting === "auth-line"));
  }

  /** Does one thing; undefined where there may be more to do. */
  #step(): Pop3Event | "need-data" | "paused" | undefined {
    const dialogue = this.#dialogue;
    if (dialogue.listing !== undefined) {
      const slice = dialogue.listing.slice();
      if (slice === "") dialogue.listing = undefined;
      else dialogue.output.addText(slice);
      return undefined;
    }
    if (dialogue.awaiting !== "command" && dialogue.awaiting !== "auth-line") return "paused";
    const inExchange = dialogue.awaiting === "auth-line";
    // RFC 5034 4: lines of an exchange may be longer than commands.
    const maxOctets = inExchange ? AUTH_LINE_OCTETS : dialogue.settings.lineOctets;
    const line = this.#input.takeLine(maxOctets);
    if (line === undefined) return this.#atEnd();
    if (line.kind === "line") return inExchange ? this.#response(line.bytes) : this.#command(line.bytes);
    const { texts } = dialogue;
    const why = line.kind === "bare-lf" ? texts.bareLineFeed : texts.lineTooLong(maxOctets);
    if (inExchange) return this.#breakOff(why);
    dialogue.fault(why);
    return undefined;
  }

  /** All that was received is used up. */
  #atEnd(): "need-data" | undefined {
    if (this.#overflow === "no") return "need-data";
    this.#dialogue.refuse(undefined, this.#dialogue.texts.tooMuchInput);
    this.#dialogue.life = "ending";
    return undefined;
  }

  #command(line: Uint8Array): Pop3Event | undefined {
    const dialogue = this.#dialogue;
    const command = parseCommand(line);
    const verb = command === undefined ? undefined : VERBS.get(command.verb);
    if (command === undefined || command.verb === "") dialogue.fault(dialogue.texts.notACommand);
    else if (verb === undefined) dialogue.fault(dialogue.texts.unknownCommand);
    else if (!verb.states.includes(dialogue.state)) {
      const where = dialogue.state === "authorization" ? "onlyAfterLogin" : "onlyBeforeLogin";
      dialogue.fault(dialogue.texts[where](command.verb));
    } else return this.#started(verb.run(dialogue, command.argument));
    return undefined;
  }

  #started(event: Pop3Event | undefined): Pop3Event | undefined {
    if (event?.kind === "retrieve") {
      this.#sending = {
        index: event.index,
        stuffer: new DotStuffer(),
        top: event.lines === "all" ? undefined : new TopCounter(event.lines),
        progress: "not-begun",
      };
    }
    return event;
  }

  // ---------------------------------------------------------------- log-in

  #response(line: Uint8Array): Pop3Event {
    const response = parseAuthResponse(line);
    if (response === "not-base64") return this.#breakOff(this.#dialogue.texts.notBase64);
    if (response === "cancel") return this.#breakOff(this.#dialogue.texts.cancelled);
    this.#dialogue.awaiting = "auth-answer";
    return { kind: "auth-response", response };
  }

  /** The exchange can't go on; the server hears of it as of a cancellation, so that it forgets its side. */
  #breakOff(why: string): Pop3Event {
    this.#brokenOff = why;
    this.#dialogue.awaiting = "auth-answer";
    return { kind: "auth-response", response: "cancel" };
  }

  /** Answers `login`, `auth` or `auth-response`: logged in, the maildrop is open. */
  opened(maildrop: OpenMaildrop): void {
    if (!this.#answers("opened", "login-answer", "auth-answer")) return;
    const dialogue = this.#dialogue;
    dialogue.maildrop = new Maildrop(maildrop);
    dialogue.state = "transaction";
    dialogue.awaiting = "command";
    dialogue.ok(dialogue.texts.maildrop(dialogue.maildrop.messages, dialogue.maildrop.octets));
  }

  /**
   * Answers `login`, `auth` or `auth-response`: no log-in. `AUTH` (RFC 3206 4) counts as a failed attempt, no code at
   * all as a mistake. `text` is English; a client that chose another language gets that language's sentence for the code.
   * After a response of `cancel` code and text are the session's own.
   */
  refuse(code: ResponseCode | undefined, text: string): void {
    if (!this.#answers("refuse", "login-answer", "auth-answer")) return;
    const dialogue = this.#dialogue;
    const brokenOff = this.#brokenOff;
    this.#brokenOff = undefined;
    dialogue.awaiting = "command";
    if (brokenOff !== undefined) return dialogue.fault(brokenOff);
    if (code === undefined) return dialogue.fault(dialogue.wording(text, dialogue.texts.refused["SYS/PERM"]));
    dialogue.refuse(code, dialogue.wording(text, dialogue.texts.refused[code]));
    if (code !== "AUTH") return;
    dialogue.failedLogins++;
    if (dialogue.failedLogins >= dialogue.settings.loginAttempts) dialogue.life = "ending";
  }

  /** Answers `auth` or `auth-response`: the mechanism has more to ask (RFC 5034 4). */
  challenge(bytes: Uint8Array): void {
    if (!this.#answers("challenge", "auth-answer")) return;
    this.#dialogue.awaiting = "auth-line";
    this.#dialogue.output.addText(`+ ${asBuffer(bytes).toString("base64")}\r\n`);
  }

  /** Answers `stls`: the handshake is done. The session begins anew, as RFC 2595 4 wants. */
  secured(tls: string): void {
    if (!this.#answers("secured", "tls")) return;
    // CVE-2011-0411: what came in the clear behind STLS must not count as said under TLS.
    this.#input.clear();
    this.#overflow = "no";
    this.#dialogue.forget();
    this.#dialogue.tls = tls;
    this.#dialogue.awaiting = "command";
  }

  // ---------------------------------------------------------------- messages

  /**
   * Answers `retrieve` with the message's next octets, in any split. `enough`: TOP has what it wants, the rest need
   * not be read. Take the output after each call; until then the octets are kept, not copied.
   */
  content(bytes: Uint8Array): "more" | "enough" {
    if (!this.#answers("content", "content")) return "enough";
    const sending = this.#begin();
    const { top, stuffer } = sending;
    const wanted = top === undefined ? bytes : bytes.subarray(0, top.count(bytes));
    this.#dialogue.output.addBytes(stuffer.stuff(wanted));
    return top?.done === true ? "enough" : "more";
  }

  /** The message is complete: ends it with CRLF where it lacks one, and the terminating line. */
  contentEnd(): void {
    if (!this.#answers("contentEnd", "content")) return;
    const { stuffer } = this.#begin();
    this.#dialogue.output.addText(stuffer.end());
    this.#sending = undefined;
    this.#dialogue.awaiting = "command";
  }

  /**
   * The message can't be read. Before its first octet that is a reply; later the only honest sign is a connection that
   * closes without the terminating line, since a client takes what it has for the whole message otherwise.
   */
  contentFailed(text: string): void {
    if (!this.#answers("contentFailed", "content")) return;
    const dialogue = this.#dialogue;
    if (this.#sending?.progress === "begun") dialogue.life = "ending";
    else dialogue.refuse("SYS/TEMP", dialogue.wording(text, dialogue.texts.refused["SYS/TEMP"]));
    this.#sending = undefined;
    dialogue.awaiting = "command";
  }

  #begin(): Sending {
    const sending = this.#sending!;
    if (sending.progress === "begun") return sending;
    sending.progress = "begun";
    const { texts, maildrop } = this.#dialogue;
    this.#dialogue.ok(sending.top === undefined ? texts.content(maildrop!.size(sending.index)) : texts.top);
    return sending;
  }

  // ---------------------------------------------------------------- the end

  /** Answers `update`: what was marked is removed, or (RFC 1939 6) some of it is not. */
  updated(result: "ok" | "partial", text?: string): void {
    if (!this.#answers("updated", "update-answer")) return;
    const dialogue = this.#dialogue;
    const { texts, settings } = dialogue;
    if (result === "ok") dialogue.ok(texts.goodbye(settings.hostname));
    else dialogue.refuse("SYS/TEMP", dialogue.wording(text ?? texts.notAllRemoved, texts.notAllRemoved));
    dialogue.life = "ending";
  }

  /** Ends the session from this side at any time, saying why where no response is half sent. */
  shutdown(text: string): void {
    const dialogue = this.#dialogue;
    if (dialogue.life !== "open") return;
    const betweenReplies = this.#sending?.progress !== "begun" && dialogue.listing === undefined;
    if (betweenReplies && dialogue.awaiting !== "tls") {
      dialogue.refuse("SYS/TEMP", dialogue.wording(text, dialogue.texts.closing));
    }
    dialogue.life = "ending";
  }

  /** Whether an answer is taken: not when all is over, since an answer may come after the end. */
  #answers(method: string, ...to: Awaiting[]): boolean {
    const { life, awaiting } = this.#dialogue;
    if (life !== "open") return false;
    if (to.includes(awaiting)) return true;
    throw new Error(
      `${method}() was called while the session awaits '${awaiting}', not '${to.join("' or '")}'`,
    );
  }
}
