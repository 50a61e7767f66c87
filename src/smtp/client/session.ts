/**
 * An SMTP client session without I/O (RFC 5321): replies in, commands and events out.
 *
 * Theory of operation: the caller gives the server's octets to `receive`, calls `next` until it says "need-data" or "waiting",
 * and writes out what `takeOutput` gives after each of its own calls. Commands wait in a queue; as many are sent as the server
 * takes at a time: a window of one, or of many where it offers PIPELINING (RFC 2920). Replies belong to the commands sent, in
 * order.
 *
 * ```text
 *  opening <-> handshake
 *     '-----> ready <-----> transaction <-> content
 *               '-> quit                                (any of them) -> over
 * ```
 *
 * `opening.ts` has the steps from the greeting to the log-in.
 *
 * Guarantees:
 * - Each recipient of a transaction that was begun gets exactly one result, in one `done`, whatever the server does, once the
 *   caller has said `endContent` or `connectionLost`. Nothing a server sends makes it throw.
 * - What becomes of a recipient is decided by codes and never by a text (RFC 5321 4.2.1). A 421 ends the session wherever it comes.
 * - A recipient whose content may have arrived, though no reply says so, is marked as `ambiguous`.
 * - What came in the clear counts for nothing after STARTTLS (RFC 3207 4.2); what came behind its 220 ends the session.
 * - No log-in without TLS. No password in the dialogue.
 * - Memory: a reply (64 KiB at most) beside the last input, and one chunk of content.
 *
 * Deliberately absent: I/O, time-outs (the caller's, by `timeoutMs`), certificates, where to connect to, what to try again;
 * BINARYMIME; BDAT where PIPELINING isn't offered, which would cost a round trip a chunk.
 *
 * @module
 */
import { utf8 } from "../../base/bytes.ts";
import { CHUNK_OCTETS } from "../../base/limits.ts";
import { isAddressLiteral, isDomain } from "../../mail/address.ts";
import { clean, type EnhancedCode, type Reply, reply } from "../../mail/reply.ts";
import { checkCredentials } from "./auth.ts";
import { type ClientVerb, CONTENT_TIMEOUT_MS, meaning, OTHER_TIMEOUT_MS } from "./commands.ts";
import { ChunkGatherer, DotEncoder, LONE_DOT } from "./content_encoder.ts";
import { Dialogue } from "./dialogue.ts";
import { announcedLimit, unsendable } from "./extensions.ts";
import { type Answered, type Failure, Opening, type OpeningStep } from "./opening.ts";
import { checkTransaction, mailCommand, rcptCommand } from "./parameters.ts";
import { type Command, Pipeline } from "./pipeline.ts";
import { ReplyReader } from "./reply_reader.ts";
import { rcptReply, TransactionState } from "./transaction_state.ts";
import type { ClientEvent, ClientSettings, ClientStage, Transaction } from "./types.ts";

export type * from "./types.ts";

type Phase = "opening" | "handshake" | "ready" | "transaction" | "content" | "quit" | "over";

const HERE = { from: "here" } as const;
const PEER = { from: "peer" } as const;

interface SessionFailure extends Omit<Failure, "stage"> {
  /** @default what is waited for */
  readonly stage?: ClientStage;
  /** For recipients left without a result. @default "4.5.0" (RFC 3463 3.6) */
  readonly enhanced?: EnhancedCode;
}

export class SmtpClientSession {
  readonly #opening: Opening;
  readonly #reader = new ReplyReader();
  readonly #dialogue = new Dialogue();
  readonly #pipeline = new Pipeline(this.#dialogue);
  #phase: Phase = "opening";
  #events: ClientEvent[] = [];
  #transaction: TransactionState | undefined;
  #encoder: DotEncoder | ChunkGatherer | undefined;
  #replies = 0;

  /** @throws {RangeError} where the host name or the credentials can't be sent */
  constructor(settings: ClientSettings) {
    if (!isDomain(settings.hostname) && !isAddressLiteral(settings.hostname)) { // RFC 5321 4.1.1.1
      throw new RangeError(`${JSON.stringify(settings.hostname)} is no name for EHLO: use a domain`);
    }
    if (settings.credentials !== undefined) checkCredentials(settings.credentials);
    this.#opening = new Opening(settings, this.#dialogue);
  }

  // ---------------------------------------------------------------- the caller's side

  /** What is waited for. */
  get stage(): ClientStage {
    if (this.#phase === "content") return "content";
    if (this.#phase === "handshake") return "starttls";
    return this.#pipeline.awaited?.stage ?? "ready";
  }

  /** How long what is waited for may take, in milliseconds (RFC 5321 4.5.3.2). */
  get timeoutMs(): number {
    if (this.#phase === "content") return CONTENT_TIMEOUT_MS;
    return this.#pipeline.awaited?.timeoutMs ?? OTHER_TIMEOUT_MS;
  }

  /** Whether a transaction may begin, as far as is known. */
  get idle(): "no" | "yes" {
    return this.#phase === "ready" ? "yes" : "no";
  }

  /** Replies read so far: what is waited for changes with it, and its time begins anew. */
  get replies(): number {
    return this.#replies;
  }

  /** What EHLO offered: keywords in upper case, with their parameters. */
  get extensions(): ReadonlyMap<string, string> {
    return this.#opening.extensions;
  }

  /** The TLS session's description; undefined in the clear. */
  get tls(): string | undefined {
    return this.#opening.tls;
  }

  /** Recipients that the server takes in a transaction, where it says so (RFC 9422). */
  get recipientLimit(): number | undefined {
    return announcedLimit(this.extensions, "RCPTMAX");
  }

  /** Transactions that the server takes in a session, where it says so (RFC 9422). */
  get transactionLimit(): number | undefined {
    return announcedLimit(this.extensions, "MAILMAX");
  }

  /** Whether the rest of the content is of no use: the caller may say `endContent` at once. */
  get contentUseless(): "no" | "yes" {
    return this.#phase === "over" || this.#transaction?.chunkRefusal !== undefined ? "yes" : "no";
  }

  /** Takes octets from the server, of which views may be kept: the caller must not write to them again. */
  receive(bytes: Uint8Array): void {
    if (bytes.length === 0 || this.#phase === "over") return;
    if (this.#phase === "handshake") return this.#injected();
    this.#reader.push(bytes);
    // At once: what nobody asks for yet, while content is sent or nothing is, must not pile up, and a refusal saves the rest.
    while (this.#readReply() === "read");
  }

  /** The next event; "need-data" where a reply is waited for; "waiting" where the caller is, or all is over. */
  next(): ClientEvent | "need-data" | "waiting" {
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined) return event;
      if (this.#phase === "over" || this.#phase === "handshake") return "waiting";
      if (this.#readReply() === "none") {
        return this.#phase === "ready" || this.#phase === "content" ? "waiting" : "need-data";
      }
    }
  }

  #readReply(): "read" | "none" {
    if (this.#phase === "over" || this.#phase === "handshake") return "none";
    const read = this.#reader.next();
    if (read === undefined) return "none";
    this.#replies++;
    if ("problem" in read) this.#protocolFailure(read.problem);
    else this.#replied(read.reply, read.shown);
    return "read";
  }

  /** All octets that wait to be sent; undefined where there are none. */
  takeOutput(): Uint8Array | undefined {
    return this.#pipeline.takeOutput();
  }

  /** The TLS handshake is done: all that was learnt before is forgotten (RFC 3207 4.2). */
  secured(description: string): void {
    if (this.#phase === "over") return;
    if (this.#phase !== "handshake") throw new Error("SMTP client: no TLS handshake is under way");
    this.#take(this.#opening.secured(description));
  }

  /**
   * Begins a transaction. Where the session has ended meanwhile, its results say so.
   *
   * @throws {RangeError} where an address or a parameter can't be sent
   * @throws {Error} where the session isn't ready, or its end was told already
   */
  begin(transaction: Transaction): void {
    checkTransaction(transaction);
    const dsn = this.extensions.has("DSN") ? "passed-on" : "not-supported";
    const state = new TransactionState(transaction, { dsn });
    const failed = this.#events.findIndex((event) => event.kind === "failed");
    if (failed >= 0) {
      state.settleRest(reply(451, "4.4.2", "The connection ended before the message could be sent"), HERE);
      this.#events.splice(failed, 0, { kind: "done", results: state.results() });
      return;
    }
    if (this.#phase !== "ready") throw new Error(`SMTP client: begin while the session is at ${this.#phase}`);
    const refusal = unsendable(transaction, { extensions: this.extensions, tls: this.tls });
    if (refusal !== undefined) {
      state.settleRest(refusal, HERE);
      this.#events.push({ kind: "done", results: state.results() });
      return;
    }
    this.#transaction = state;
    this.#phase = "transaction";
    const commands: Command[] = [{
      verb: "MAIL",
      line: mailCommand(transaction, this.extensions),
      of: state,
    }];
    for (const [index, recipient] of transaction.recipients.entries()) {
      commands.push({ verb: "RCPT", line: rcptCommand(recipient, this.extensions), of: state, index });
    }
    if (this.#transfer() === "dotted") commands.push({ verb: "DATA", line: "DATA", of: state });
    state.unanswered = commands.length;
    this.#pipeline.ask(...commands);
  }

  /** Gives the next octets of the message, of which views may be kept. Its lines end in CRLF, and nothing else is a line's end. */
  content(bytes: Uint8Array): void {
    if (this.#phase === "over") return;
    const encoder = this.#encoder;
    if (this.#phase !== "content" || encoder === undefined) {
      throw new Error(`SMTP client: content while the session is at ${this.#phase}`);
    }
    if (encoder instanceof DotEncoder) return encoder.encode(bytes, this.#pipeline.output);
    if (this.#transaction?.chunkRefusal !== undefined) return; // RFC 3030 2: no more of it
    const full = encoder.add(bytes);
    if (full !== undefined) this.#chunk("BDAT", full);
  }

  /** Ends the message. */
  endContent(): void {
    if (this.#phase === "over") return;
    const encoder = this.#encoder;
    const state = this.#transaction;
    if (this.#phase !== "content" || encoder === undefined || state === undefined) {
      throw new Error(`SMTP client: end of content while the session is at ${this.#phase}`);
    }
    this.#phase = "transaction";
    this.#encoder = undefined;
    if (state.chunkRefusal !== undefined) {
      state.settleRest(state.chunkRefusal, PEER);
      return this.#finish(state, "reset");
    }
    state.content = "ended";
    if (encoder instanceof ChunkGatherer) return this.#chunk("BDAT LAST", encoder.take());
    encoder.end(this.#pipeline.output);
    this.#dialogue.said("C", `(${encoder.octets} octets of content)`);
    this.#dialogue.said("C", ".");
    this.#pipeline.sent({ verb: "end", line: ".", of: state });
  }

  /**
   * The connection is gone, or the caller gives it up. Replies that came before still count. Results of a transaction under way
   * come as `done`, then `failed`; nothing is asked of the caller any more.
   */
  connectionLost(reason: string): void {
    while (this.#readReply() === "read");
    this.#events = this.#events.filter(({ kind }) =>
      kind === "done" || kind === "failed" || kind === "closed"
    );
    if (this.#phase === "over") return;
    if (this.#phase === "quit") return this.#close();
    this.#fail({ problem: reason, fault: "protocol", enhanced: "4.4.2" });
  }

  /**
   * Ends the session.
   * @throws {Error} where a transaction is under way or the session isn't ready
   */
  quit(): void {
    if (this.#phase === "over" || this.#phase === "quit") return;
    if (this.#phase !== "ready") throw new Error(`SMTP client: quit while the session is at ${this.#phase}`);
    this.#phase = "quit";
    this.#pipeline.ask({ verb: "QUIT", line: "QUIT" });
  }

  /**
   * What was said since the last call, `C: ` and `S: ` before each line, lines joined by LF: without secrets, content and control
   * characters, and at most 16 KiB, the middle left out.
   */
  takeDialogue(): string {
    return this.#dialogue.take();
  }

  // ---------------------------------------------------------------- commands out

  /** How content is sent. */
  #transfer(): "dotted" | "chunks" {
    return this.extensions.has("CHUNKING") && this.extensions.has("PIPELINING") ? "chunks" : "dotted";
  }

  #chunk(verb: "BDAT" | "BDAT LAST", parts: readonly Uint8Array[]): void {
    const octets = parts.reduce((sum, part) => sum + part.length, 0);
    const line = verb === "BDAT" ? `BDAT ${octets}` : `BDAT ${octets} LAST`;
    this.#pipeline.output.push(utf8(`${line}\r\n`), ...parts);
    this.#dialogue.said("C", line);
    this.#dialogue.said("C", `(${octets} octets of content)`);
    this.#pipeline.sent({ verb, line, of: this.#transaction! });
  }

  // ---------------------------------------------------------------- replies in

  #replied(read: Reply, shown: readonly string[]): void {
    for (const line of shown) this.#dialogue.said("S", read.code === 334 ? "334 ***" : line);
    const answer = read.code === 334 ? read : this.#dialogue.maskedReply(read);
    if (answer.code === 421) { // RFC 5321 3.8
      return this.#fail({ problem: "the server closes the connection", fault: "refused", reply: answer });
    }
    const { stage } = this;
    const command = this.#pipeline.answered();
    if (command === undefined) return this.#unasked(answer);
    const { verb } = command;
    const meant = meaning(verb, answer);
    if (meant === "unexpected") {
      const what = verb === "greeting" ? "began with" : `answered ${verb} with`;
      return this.#protocolFailure(`the server ${what} ${answer.code}`, stage);
    }
    if (command.of === undefined) this.#repliedInSession(verb, { answer, meant });
    else if (command.of === this.#transaction) this.#repliedInTransaction(command, { answer, meant });
    if (this.#phase !== "over") this.#pipeline.advance();
  }

  #repliedInSession(verb: ClientVerb, answered: Answered): void {
    if (verb === "QUIT") return this.#close();
    if (verb === "end") return; // of a message that nobody gets
    if (verb !== "RSET") return this.#take(this.#opening.answered(verb, answered));
    if (answered.meant === "refused") {
      this.#protocolFailure(`the server answered RSET with ${answered.answer.code}`);
    }
  }

  /** Takes a step of the opening. */
  #take(step: OpeningStep): void {
    this.#pipeline.mode = this.extensions.has("PIPELINING") ? "pipelining" : "one-by-one";
    switch (step.kind) {
      case "ask":
        this.#phase = "opening";
        return this.#pipeline.ask(step.command);
      case "handshake":
        if (this.#reader.size > 0) return this.#injected();
        this.#phase = "handshake";
        this.#events.push({ kind: "starttls" });
        return;
      case "ready":
        this.#phase = "ready";
        this.#events.push({ kind: "ready" });
        return;
      case "fail":
        return this.#fail(step.failure);
    }
  }

  // ---------------------------------------------------------------- the transaction

  #repliedInTransaction({ verb, of, index }: Command, { answer, meant }: Answered): void {
    const state = of!;
    switch (verb) {
      case "BDAT":
        if (meant === "refused") state.chunkRefusal ??= answer;
        return;
      case "BDAT LAST":
      case "end": {
        const refused = state.chunkRefusal !== undefined || meant === "refused";
        state.settleRest(state.chunkRefusal ?? answer, PEER);
        return this.#finish(state, refused && verb === "BDAT LAST" ? "reset" : "as-it-is");
      }
      case "DATA":
        if (meant === "good") return this.#granted(state);
        state.settleRest(answer, PEER);
        break;
      case "MAIL":
        state.mail = meant === "good" ? "accepted" : "refused";
        if (meant === "refused") state.settleRest(answer, PEER);
        break;
      case "RCPT":
        state.rcptsUnanswered--;
        if (meant === "good") state.accept(index!);
        else state.settle(index!, rcptReply(answer), PEER);
    }
    state.unanswered--;
    this.#proceed(state);
  }

  /** Goes on after a reply to MAIL, RCPT or DATA. */
  #proceed(state: TransactionState): void {
    const hopeless = state.mail === "refused" || (state.rcptsUnanswered === 0 && state.accepted === 0);
    if (hopeless) state.unanswered -= this.#pipeline.drop(state);
    if (state.unanswered > 0) return;
    if (state.accepted > 0) return this.#startContent(state, new ChunkGatherer(CHUNK_OCTETS));
    // MAIL opened a transaction that no end of a message has closed.
    this.#finish(state, state.mail === "accepted" ? "reset" : "as-it-is");
  }

  /** 354: content is wanted. Where all recipients were refused it is a lone dot (RFC 2920 3.1), and nobody waits for its reply. */
  #granted(state: TransactionState): void {
    if (state.accepted > 0) return this.#startContent(state, new DotEncoder());
    this.#pipeline.output.push(LONE_DOT);
    this.#dialogue.said("C", ".");
    this.#pipeline.sent({ verb: "end", line: "." });
    this.#finish(state, "as-it-is");
  }

  #startContent(state: TransactionState, encoder: DotEncoder | ChunkGatherer): void {
    this.#phase = "content";
    this.#encoder = encoder;
    state.content = "under-way";
    this.#events.push({ kind: "content" });
  }

  #finish(state: TransactionState, after: "reset" | "as-it-is"): void {
    this.#transaction = undefined;
    this.#encoder = undefined;
    this.#phase = "ready";
    this.#events.push({ kind: "done", results: state.results() });
    if (after === "reset") this.#pipeline.ask({ verb: "RSET", line: "RSET" });
  }

  // ---------------------------------------------------------------- the end

  /** A reply to nothing. While content is sent, a refusal is taken at its word: nothing can be said before the content's end. */
  #unasked(answer: Reply): void {
    if (this.#phase !== "content" || answer.code < 400) {
      return this.#protocolFailure(`the server said ${answer.code} without having been asked`);
    }
    const problem = "the server refused the message before its end";
    this.#fail({ problem, fault: "refused", reply: answer });
  }

  /** RFC 3207 4.2: what came behind the 220 in the clear may be somebody else's. */
  #injected(): void {
    this.#events = this.#events.filter((event) => event.kind !== "starttls");
    this.#protocolFailure("the server sent something between STARTTLS and the TLS handshake", "starttls");
  }

  #protocolFailure(problem: string, stage: ClientStage = this.stage): void {
    this.#fail({ problem: this.#dialogue.masked(problem), fault: "protocol", stage });
  }

  #fail(failure: SessionFailure): void {
    if (this.#phase === "quit") return this.#close();
    const { problem, fault, reply: answer, stage = this.stage, enhanced = "4.5.0", farewell } = failure;
    const state = this.#transaction;
    if (state !== undefined) {
      const ended = state.content === "ended";
      if (answer !== undefined) state.settleRest(answer, PEER);
      else {state.settleRest(
          reply(451, enhanced, clean(problem)),
          ended ? { ...HERE, ambiguous: true } : HERE,
        );}
      this.#finish(state, "as-it-is");
    }
    this.#end();
    if (farewell !== undefined) {
      this.#pipeline.output.push(utf8(farewell));
      for (const line of farewell.trimEnd().split("\r\n")) this.#dialogue.said("C", line);
    }
    const base = { kind: "failed", stage, problem, fault } as const;
    this.#events.push(answer === undefined ? base : { ...base, reply: answer });
  }

  #close(): void {
    this.#end();
    this.#events.push({ kind: "closed" });
  }

  #end(): void {
    this.#phase = "over";
    this.#pipeline.clear();
    this.#reader.clear();
  }
}
