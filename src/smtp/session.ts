/**
 * An SMTP server session without I/O (RFC 5321): octets in, events and replies out.
 *
 * Theory of operation: the server gives octets to `receive` and calls `next` until it says "need-data" or "paused".
 * An event that waits for an answer pauses the session; what a pipelining client (RFC 2920) sent meanwhile waits in the
 * input. Replies gather in the output in the order of their commands. The server stops reading from its socket while the
 * session is paused; what it gives all the same is kept.
 *
 * ```text
 *          HELO EHLO        MAIL          RCPT          BDAT
 *  greeted ----------> ready ----> mail --------> rcpt --------> chunks
 *     ^------ STARTTLS --' ^--- RSET, HELO, EHLO, end of message ---'       (refused: from the greeting to QUIT)
 * ```
 *
 * The octets belong to commands, to an AUTH exchange, to a message after DATA, to a BDAT chunk that is taken or thrown
 * away, or to nobody (during a TLS handshake and after the end).
 *
 * Guarantees:
 * - One reply a command, in order; sequence errors come from the table of verbs; no input makes it throw.
 * - A BDAT chunk that is refused is swallowed, its octets are never taken for commands; where its size can't be told the
 *   session ends. A refused chunk voids its transaction, so no message is ever stored without it.
 * - What came in the clear is forgotten at STARTTLS (RFC 3207 4.2), input that waits included.
 * - Memory: at most one unfinished line beside the last input.
 *
 * Deliberately absent: I/O, time-outs, look-ups, passwords, storage (the server's); BINARYMIME (not announced).
 *
 * @module
 */
import { concat, latin1 } from "../base/bytes.ts";
import type { Line } from "../base/line_buffer.ts";
import { formatReply, isPositive, type Reply, reply } from "../mail/reply.ts";
import { decodeInitialResponse, decodeResponse, toBase64 } from "../sasl/base64.ts";
import { capabilities, checkMail, mayAuthenticate } from "./capabilities.ts";
import { ContentDecoder } from "./content.ts";
import type { SmtpEvent, SmtpSettings, SmtpState } from "./events.ts";
import { ErrorBudget } from "./error_budget.ts";
import * as grammar from "./grammar.ts";
import { SmtpInput } from "./input.ts";
import * as replies from "./replies.ts";
import { isReply } from "./replies.ts";
import { checkPolicy, HTTP_METHODS, type Verb, VERBS } from "./verbs.ts";

export type { AskedRequests, MailEvent, RcptEvent, SmtpEvent, SmtpSettings, SmtpState } from "./events.ts";

/** Which answer is waited for. */
type Awaited = "mail" | "rcpt" | "data" | "data-end" | "auth" | "auth-cancel" | "lookup";

export class SmtpSession {
  readonly #settings: SmtpSettings;
  readonly #input: SmtpInput;
  #output: Uint8Array[] = [];
  #events: SmtpEvent[] = [];
  #awaited: Awaited | undefined;
  #state: SmtpState = "greeted";

  #helo = "";
  #esmtp: "yes" | "no" = "no";
  #tls: string | undefined;
  #identity: string | undefined;
  #smtpUtf8 = false;
  #acceptedRecipients = 0;
  #content: ContentDecoder | undefined;
  /** The chunk that came last; its octets may still be to come. */
  #chunk: grammar.Chunk | undefined;
  /** What a chunk that is being swallowed will be answered. */
  #discardAnswer: Reply = replies.noChunkTransaction;

  readonly #errors: ErrorBudget;

  /** `tls` describes the TLS session of a connection that began with TLS. */
  constructor(settings: SmtpSettings, options: { readonly tls?: string } = {}) {
    this.#settings = settings;
    this.#input = new SmtpInput(settings.commandLineOctets);
    this.#tls = options.tls;
    this.#errors = new ErrorBudget(settings);
  }

  /** What the client called itself; "" until it did. Fit to stand in a Received field. */
  get helo(): string {
    return this.#helo;
  }

  /** Whether it said EHLO rather than HELO. */
  get esmtp(): "yes" | "no" {
    return this.#esmtp;
  }

  /** The TLS session's description; undefined in the clear. */
  get tls(): string | undefined {
    return this.#tls;
  }

  /** Who has authenticated. */
  get identity(): string | undefined {
    return this.#identity;
  }

  get state(): SmtpState {
    return this.#state;
  }

  /** Recipients accepted in the transaction. */
  get acceptedRecipients(): number {
    return this.#acceptedRecipients;
  }

  /** Octets received that wait to be looked at. */
  get waitingOctets(): number {
    return this.#input.size;
  }

  // ---------------------------------------------------------------- the server's side

  /** Queues the greeting; `refusal` instead of it says that there is no service for the client (RFC 5321 3.1). */
  greet(refusal?: Reply): void {
    if (refusal !== undefined) this.#state = "refused";
    this.#send(refusal ?? replies.greeting(this.#settings.hostname));
  }

  /** Takes octets from the client, of which views may be kept and given out: the caller must not write to them again. */
  receive(bytes: Uint8Array): void {
    this.#input.push(bytes);
  }

  /** The next event; "need-data" where the input is used up; "paused" where an answer or TLS is waited for, or all is over. */
  next(): SmtpEvent | "need-data" | "paused" {
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined) return event;
      const { mode } = this.#input;
      if (this.#awaited !== undefined || mode === "handshake" || mode === "closed") return "paused";
      const arrival = this.#input.read();
      if (arrival === undefined) return "need-data";
      switch (arrival.kind) {
        case "content":
          return arrival;
        case "message-end":
          this.#endMessage();
          break;
        case "chunk-end":
          this.#endChunk();
          break;
        case "discarded":
          this.#refuse(this.#discardAnswer);
          this.#errors.refused();
          break;
        default:
          if (mode === "auth") this.#authLine(arrival);
          else this.#command(arrival);
      }
    }
  }

  /**
   * Answers the event that paused the session. A 421 ends it. After the end an answer that comes late changes nothing.
   * @throws {Error} where no event waits for an answer
   */
  answer(answer: Reply): void {
    if (this.#input.mode === "closed") return;
    const awaited = this.#awaited;
    if (awaited === undefined) throw new Error("SMTP session: no event waits for an answer");
    this.#awaited = undefined;
    if (answer.code === 421) { // RFC 5321 3.8
      if (awaited === "data-end") this.#closeTransaction();
      return this.#end(answer);
    }
    switch (awaited) {
      case "mail":
        return this.#mailAnswered(answer);
      case "rcpt":
        return this.#rcptAnswered(answer);
      case "data":
        return this.#dataAnswered(answer);
      case "data-end":
        if (!isPositive(answer)) this.#errors.refused();
        this.#send(answer);
        return this.#closeTransaction();
      case "auth":
      case "auth-cancel":
        this.#input.expectCommands();
        return this.#refuse(awaited === "auth" ? answer : replies.authCancelled);
      case "lookup":
        return isPositive(answer) ? this.#send(answer) : this.#refuse(answer);
    }
  }

  /** Answers an `auth` or `auth-response` with a challenge; the response comes as an event. */
  challenge(bytes: Uint8Array): void {
    if (!this.#takeAuthTurn()) return;
    this.#input.expectAuth();
    this.#send(reply(334, undefined, toBase64(bytes)));
  }

  /** Ends an AUTH exchange well. */
  authenticated(identity: string): void {
    if (!this.#takeAuthTurn()) return;
    this.#identity = identity;
    this.#input.expectCommands();
    this.#send(replies.authenticated);
  }

  /** Says that the TLS handshake is done: the session begins anew, with all that was learnt in the clear forgotten. */
  secured(tls: string): void {
    if (this.#input.mode === "closed") return;
    if (this.#input.mode !== "handshake") throw new Error("SMTP session: no TLS handshake is under way");
    // RFC 3207 4.2. What an attacker may have put behind STARTTLS was never taken in.
    this.#tls = tls;
    this.#state = "greeted";
    this.#helo = "";
    this.#esmtp = "no";
    this.#identity = undefined;
    this.#input.expectCommands();
  }

  /** Ends the session for a reason of ours, such as a time-out; `close` is its last event. */
  shutdown(answer: Reply): void {
    if (this.#input.mode !== "closed") this.#end(answer);
  }

  /** All octets that wait to be sent; undefined where there are none. */
  takeOutput(): Uint8Array | undefined {
    const output = this.#output;
    if (output.length === 0) return undefined;
    this.#output = [];
    return output.length === 1 ? output[0] : concat(output);
  }

  // ---------------------------------------------------------------- from line to command

  #command(line: NonNullable<Line>): void {
    if (line.kind !== "line") {
      return this.#refuse(line.kind === "bare-lf" ? replies.bareLineFeed : replies.lineTooLong);
    }
    const command = grammar.parseCommand(line.bytes);
    if (isReply(command)) return this.#refuse(command);
    const { argument } = command;
    const verb = VERBS.get(command.verb);
    if (verb === undefined) {
      return HTTP_METHODS.has(command.verb)
        ? this.#end(replies.notHttp)
        : this.#refuse(replies.unknownCommand);
    }
    const misused = argument === "" ? verb.argument === "needed" : verb.argument === "none";
    const refusal = verb.refusals[this.#state] ??
      (misused
        ? replies.badSyntax(verb.usage)
        : checkPolicy(verb.check, { settings: this.#settings, facts: this }));
    if (refusal === undefined) this.#proceed(verb, argument);
    else if (verb.name === "MAIL") this.#refuseMail(refusal);
    else if (verb.name === "BDAT") this.#refuseBdat(argument, refusal);
    else this.#refuse(refusal);
  }

  #proceed({ name, usage }: Verb, argument: string): void {
    switch (name) {
      case "HELO":
        return this.#hello(argument, { esmtp: "no", usage });
      case "EHLO":
        return this.#hello(argument, { esmtp: "yes", usage });
      case "MAIL":
        return this.#mail(argument);
      case "RCPT":
        return this.#rcpt(argument);
      case "DATA":
        return this.#pause({ kind: "data" }, "data");
      case "BDAT":
        return this.#bdat(argument);
      case "RSET":
        this.#abandon();
        this.#errors.begun();
        return this.#send(replies.ok);
      case "NOOP":
        return this.#send(replies.ok);
      case "VRFY":
        return this.#pause({ kind: "vrfy", argument: grammar.parseLookup(argument) }, "lookup");
      case "EXPN":
        return this.#pause({ kind: "expn", argument: grammar.parseLookup(argument) }, "lookup");
      case "HELP":
        return this.#help(argument);
      case "QUIT":
        return this.#end(replies.bye);
      case "STARTTLS":
        return this.#startTls();
      case "AUTH":
        return this.#auth(argument);
    }
  }

  // ---------------------------------------------------------------- commands

  #hello(argument: string, { esmtp, usage }: { readonly esmtp: "yes" | "no"; readonly usage: string }): void {
    const name = grammar.parseHello(argument);
    if (name === undefined) return this.#refuse(replies.badSyntax(usage));
    this.#abandon(); // RFC 5321 4.1.4
    this.#errors.begun();
    this.#helo = name;
    this.#esmtp = esmtp;
    this.#state = "ready";
    const { hostname } = this.#settings;
    const lines = esmtp === "no" ? [] : capabilities(this.#settings, this);
    this.#send(reply(250, undefined, hostname, ...lines));
  }

  #mail(argument: string): void {
    const mail = grammar.parseMail(argument);
    if (isReply(mail)) return this.#refuseMail(mail);
    const refusal = checkMail(mail, { settings: this.#settings, facts: this });
    if (refusal !== undefined) return this.#refuseMail(refusal);
    this.#smtpUtf8 = mail.smtpUtf8;
    this.#errors.begun();
    this.#pause(mail, "mail");
  }

  #mailAnswered(answer: Reply): void {
    if (isPositive(answer)) {
      this.#state = "mail";
      this.#acceptedRecipients = 0;
      this.#send(answer);
    } else {
      this.#refuseMail(answer);
      this.#smtpUtf8 = false;
    }
  }

  #refuseMail(answer: Reply): void {
    this.#refuse(answer);
    this.#errors.refused();
  }

  #rcpt(argument: string): void {
    const rcpt = grammar.parseRcpt(argument);
    if (isReply(rcpt)) return this.#refuseRcpt(rcpt);
    if (!this.#smtpUtf8 && grammar.holdsUtf8(rcpt)) return this.#refuseRcpt(replies.needsSmtpUtf8);
    this.#pause(rcpt, "rcpt");
  }

  #rcptAnswered(answer: Reply): void {
    if (!isPositive(answer)) return this.#refuseRcpt(answer);
    this.#state = "rcpt";
    this.#acceptedRecipients++;
    this.#send(answer);
  }

  #refuseRcpt(answer: Reply): void {
    this.#refuse(answer, "recipient");
    this.#errors.refused();
  }

  #help(argument: string): void {
    const verb = VERBS.get(argument.toUpperCase());
    if (verb !== undefined) return this.#send(replies.help([`Syntax: ${verb.usage}`]));
    this.#send(
      replies.help([
        `Commands: ${[...VERBS.keys()].join(" ")}`,
        "HELP command shows its syntax",
      ]),
    );
  }

  #startTls(): void {
    this.#send(replies.startTls);
    this.#input.expectHandshake();
    this.#events.push({ kind: "starttls" });
  }

  // ---------------------------------------------------------------- AUTH (RFC 4954)

  #auth(argument: string): void {
    const settings = this.#settings;
    const parsed = grammar.parseAuth(argument);
    if (settings.auth === "never" || settings.mechanisms.length === 0) {
      return this.#refuse(replies.authNotOffered);
    }
    if (this.#identity !== undefined) return this.#refuse(replies.authAlready);
    if (parsed === undefined) return this.#refuse(replies.badSyntax(grammar.AUTH_USAGE));
    if (!settings.mechanisms.includes(parsed.mechanism)) {
      return this.#refuse(replies.mechanismUnknown(settings.mechanisms));
    }
    if (!mayAuthenticate(settings, this)) return this.#refuse(replies.authNeedsTls);
    const initial = parsed.initial === undefined ? undefined : decodeInitialResponse(parsed.initial);
    if (parsed.initial !== undefined && initial === undefined) return this.#refuse(replies.authBadBase64);
    this.#pause({ kind: "auth", mechanism: parsed.mechanism, initial }, "auth");
  }

  /** A line of the exchange. Where it is malformed the exchange is over, and the server hears nothing more of it. */
  #authLine(line: NonNullable<Line>): void {
    const text = line.kind === "line" ? latin1(line.bytes) : "";
    const response = line.kind === "line" ? decodeResponse(text) : undefined;
    if (text === "*") {
      this.#pause({ kind: "auth-response", response: "cancel" }, "auth-cancel");
    } else if (response === undefined) {
      this.#input.expectCommands();
      this.#refuse(line.kind === "too-long" ? replies.authLineTooLong : replies.authBadBase64);
    } else this.#pause({ kind: "auth-response", response }, "auth");
  }

  /** Whether an AUTH exchange waits for the server's word, which it now gets. */
  #takeAuthTurn(): boolean {
    if (this.#input.mode === "closed") return false;
    if (this.#awaited !== "auth") throw new Error("SMTP session: no AUTH exchange waits for the server");
    this.#awaited = undefined;
    return true;
  }

  // ---------------------------------------------------------------- DATA and BDAT

  #bdat(argument: string): void {
    const chunk = grammar.parseBdat(argument);
    if (chunk === undefined) return this.#refuseBdat(argument, replies.badSyntax(grammar.BDAT_USAGE));
    this.#chunk = chunk;
    if (this.#content === undefined) this.#pause({ kind: "data" }, "data");
    else this.#input.expectChunk(chunk, this.#content);
  }

  #dataAnswered(answer: Reply): void {
    const chunk = this.#chunk;
    if (!isPositive(answer)) return chunk === undefined ? this.#refuse(answer) : this.#discard(chunk, answer);
    const { bareNewline, messageOctets } = this.#settings;
    const format = chunk === undefined ? "dotted" : "counted";
    const content = this.#content = new ContentDecoder({ format, bareNewline, maxOctets: messageOctets });
    if (chunk === undefined) {
      this.#send(answer);
      this.#input.expectMessage(content);
    } else {
      this.#state = "chunks";
      this.#input.expectChunk(chunk, content);
    }
  }

  #endChunk(): void {
    const chunk = this.#chunk!;
    if (chunk.place === "last" || this.#content!.problem !== "none") this.#endMessage();
    else this.#send(replies.chunkOk(chunk.octets));
  }

  #endMessage(): void {
    const { octets, problem } = this.#content!;
    const refusals = {
      "none": undefined,
      "too-big": replies.messageTooBig(this.#settings.messageOctets),
      "bare-newline": replies.badNewlines,
    };
    this.#pause({ kind: "data-end", octets, problem: refusals[problem] }, "data-end");
  }

  #refuseBdat(argument: string, answer: Reply): void {
    const chunk = grammar.parseBdat(argument);
    // Nobody knows how many octets of message follow, and they must not be taken for commands.
    if (chunk === undefined) this.#end(replies.badSyntax(grammar.BDAT_USAGE));
    else this.#discard(chunk, answer);
  }

  /** Swallows a refused chunk, then says why (RFC 3030 2 wants this order). The transaction is void without it. */
  #discard(chunk: grammar.Chunk, answer: Reply): void {
    this.#abandon();
    this.#discardAnswer = answer;
    this.#input.discard(chunk.octets);
  }

  // ---------------------------------------------------------------- leaves

  #pause(event: SmtpEvent, awaited: Awaited): void {
    this.#events.push(event);
    this.#awaited = awaited;
  }

  #closeTransaction(): void {
    this.#state = "ready";
    this.#content = undefined;
    this.#chunk = undefined;
    this.#smtpUtf8 = false;
  }

  /** Voids an open transaction and tells the server. */
  #abandon(): void {
    if (this.#state === "mail" || this.#state === "rcpt" || this.#state === "chunks") {
      this.#closeTransaction();
      this.#events.push({ kind: "reset" });
    }
  }

  #end(answer: Reply): void {
    this.#abandon();
    this.#send(answer);
    this.#awaited = undefined;
    this.#input.close();
    this.#events.push({ kind: "close" });
  }

  /** Gives a negative answer to a command; one error too many makes it the last. */
  #refuse(answer: Reply, kind: "error" | "recipient" = "error"): void {
    if (this.#errors.count(answer, kind) === "spent") this.#end(replies.tooManyErrors);
    else this.#send(answer);
  }

  #send(answer: Reply): void {
    this.#output.push(formatReply(this.#smtpUtf8 ? answer : replies.inAscii(answer)));
  }
}
