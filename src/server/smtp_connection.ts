/**
 * Binds the SMTP core to a socket, the store and the accounts: smtp, submission and submissions alike.
 *
 * Guarantees: the reply to the end of a message is 250 only after the store has it on disk; a fault of ours is a 4yz
 * reply and a log line, never a lost connection without a word and never the end of the service; while the store or a
 * password check is waited for, the peer's input waits in bounded memory and then in TCP.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { inCidrs } from "../base/cidr.ts";
import { FUTURE_RELEASE_MS, RECEIVED_FIELDS } from "../base/limits.ts";
import { formatAddress } from "../mail/address.ts";
import { formatMessageKey } from "../mail/message_id.ts";
import { type Reply, reply } from "../mail/reply.ts";
import { type Connection, isLoopback } from "../net/connection.ts";
import * as replies from "../smtp/replies.ts";
import {
  type MailEvent,
  type RcptEvent,
  type SmtpEvent,
  SmtpSession,
  type SmtpSettings,
} from "../smtp/session.ts";
import type { Account } from "../store/types.ts";
import { StoreError } from "../store/types.ts";
import type { ExchangeStep } from "./login/authenticator.ts";
import type { ServedConnection, ServerContext, Service } from "./context.ts";
import { IncomingMessage } from "./incoming_message.ts";
import { checkRecipient, checkSender, expandMailbox, mayRelay, verifyMailbox } from "./mailboxes.ts";
import { formatPath, originOf, SmtpTransaction } from "./smtp_transaction.ts";

const log = getLogger(["emsmail", "smtp"]);

/** Unprocessed input above which the socket is paused, in octets: one TCP read is about this much. */
const INPUT_OCTETS = 64 * 1024;

export interface SmtpConnectionOptions {
  readonly context: ServerContext;
  readonly service: Exclude<Service, "pop3" | "pop3s">;
  /** The TLS session's description where the connection began with TLS. */
  readonly tls?: string;
  /** Said in place of the greeting: there is no service for this client (RFC 5321 3.1). */
  readonly refusal?: Reply;
  /** Called once, when the session is over, though the peer may not have closed yet. */
  readonly ended: () => void;
  /** Called once, when the connection is gone. */
  readonly closed: () => void;
}

export class SmtpConnection implements ServedConnection {
  readonly #connection: Connection;
  readonly #context: ServerContext;
  readonly #options: SmtpConnectionOptions;
  readonly #session: SmtpSession;
  #transaction: SmtpTransaction | undefined;
  #account: Account | undefined;
  /** Where the next SASL response goes. */
  #respond: Extract<ExchangeStep, { kind: "challenge" }>["respond"] | undefined;
  #busy: "no" | "yes" = "no";
  #unread: Uint8Array[] = [];
  #unreadOctets = 0;
  /** The peer doesn't read its replies: nothing more is read from it until it does. */
  #output: "flowing" | "held" = "flowing";
  #ending: "no" | "input-ended" | "stopping" | "closed" = "no";

  constructor(connection: Connection, options: SmtpConnectionOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#context = options.context;
    this.#session = new SmtpSession(this.#settings(), { tls: options.tls });
    connection.start({
      received: (bytes) => this.#received(bytes),
      inputEnded: () => this.#inputEnded(),
      drained: () => {
        this.#output = "flowing";
        this.#resumeReading();
      },
      ended: options.ended,
      closed: () => this.#closed(),
    });
    this.#session.greet(options.refusal);
    this.#flush();
  }

  get waitingSinceMs(): number | undefined {
    return this.#busy === "yes" ? undefined : this.#connection.lastActivityMs;
  }

  timeOut(): void {
    this.#sayAndEnd(this.#ending === "stopping" ? replies.shuttingDown : replies.idle);
  }

  stop(): void {
    this.#ending = "stopping";
    // In the middle of a message its end is waited for; the server ends it if that takes too long.
    if (this.#busy === "no" && this.#transaction?.message === undefined) {
      this.#sayAndEnd(replies.shuttingDown);
    }
  }

  #settings(): SmtpSettings {
    const config = this.#context.config();
    const { service } = this.#options;
    const mayBeClear = config.smtp.plainAuth === "always" || isLoopback(this.#connection.remoteAddress);
    return {
      hostname: config.hostname,
      role: service === "smtp" ? "relay" : "submission",
      messageOctets: config.limits.messageBytes,
      commandLineOctets: config.limits.commandLineBytes,
      recipients: config.limits.recipients,
      errors: config.limits.errors,
      bareNewline: config.smtp.bareNewline,
      starttls: service === "submissions" ? "none" : "offered",
      auth: mayBeClear ? "always" : "tls-only",
      mechanisms: config.auth.mechanisms,
      // RFC 4865 is for submission.
      ...service === "smtp" ? {} : { futureRelease: this.#futureRelease() },
    };
  }

  #futureRelease(): NonNullable<SmtpSettings["futureRelease"]> {
    return {
      maxSeconds: FUTURE_RELEASE_MS / 1000,
      latestMs: this.#context.clock.nowMs() + FUTURE_RELEASE_MS,
    };
  }

  // ---------------------------------------------------------------- the loop

  #received(bytes: Uint8Array): void {
    if (this.#ending === "closed") return;
    if (this.#busy === "yes") {
      this.#unread.push(bytes);
      this.#unreadOctets += bytes.length;
      if (this.#unreadOctets > INPUT_OCTETS) this.#connection.pause();
      return;
    }
    this.#session.receive(bytes);
    this.#run();
  }

  #inputEnded(): void {
    if (this.#ending === "no") this.#ending = "input-ended";
    if (this.#busy === "no") this.#connection.end();
  }

  /** Handles events until the core needs more octets or something has to be waited for. */
  #run(): void {
    for (;;) {
      const event = this.#session.next();
      if (event === "need-data" || event === "paused") break;
      let waiting: Promise<void> | undefined;
      try {
        waiting = this.#handle(event);
      } catch (error) {
        this.#fault(event, error);
      }
      if (waiting !== undefined) {
        this.#busy = "yes";
        void waiting.catch((error) => this.#fault(event, error)).then(() => this.#carryOn());
        return;
      }
      if (this.#ending === "closed") return;
    }
    this.#flush();
  }

  #carryOn(): void {
    this.#busy = "no";
    if (this.#ending === "closed") return void this.#abandon();
    // What the core still holds comes before what came meanwhile.
    this.#run();
    while (!this.#isBusy() && this.#unread.length > 0 && this.#state() !== "closed") {
      const bytes = this.#unread.shift()!;
      this.#unreadOctets -= bytes.length;
      this.#session.receive(bytes);
      this.#run();
    }
    if (this.#isBusy() || this.#state() === "closed") return;
    this.#resumeReading();
    if (this.#ending === "input-ended") this.#connection.end();
    if (this.#ending === "stopping" && this.#transaction?.message === undefined) {
      this.#sayAndEnd(replies.shuttingDown);
    }
  }

  /** By function, as what is below, since calls change it where the compiler can't see it. */
  #state(): "no" | "input-ended" | "stopping" | "closed" {
    return this.#ending;
  }

  #isBusy(): boolean {
    return this.#busy === "yes";
  }

  #resumeReading(): void {
    if (this.#output === "flowing" && this.#unreadOctets <= INPUT_OCTETS) this.#connection.resume();
  }

  #flush(): void {
    const output = this.#session.takeOutput();
    if (output === undefined || this.#connection.write(output) === "more") return;
    this.#output = "held";
    this.#connection.pause();
  }

  #sayAndEnd(answer: Reply): void {
    if (this.#ending === "closed") return;
    this.#session.shutdown(answer);
    this.#connection.end(this.#session.takeOutput());
  }

  /** Our own fault: the peer may try again, the log says why. */
  #fault(event: SmtpEvent, error: unknown): void {
    const full = error instanceof StoreError && error.kind === "full";
    const answer = full ? replies.diskFull : replies.localError;
    log.error("fault while handling {event}", {
      event: event.kind,
      client: this.#connection.remoteAddress,
      error: error instanceof Error ? error.message : String(error),
      stack: error instanceof Error ? error.stack : undefined,
    });
    switch (event.kind) {
      case "content":
        return this.#giveUp(answer);
      case "data-end":
        void this.#abandon();
        return this.#session.answer(answer);
      case "reset":
      case "starttls":
      case "close":
        return this.#connection.destroy();
      default:
        return this.#session.answer(answer);
    }
  }

  /** Forgets what was received of a message that is still coming: its end is answered with `failure`, as any reply before it would be lost. */
  #giveUp(failure: Reply): void {
    const transaction = this.#transaction;
    void this.#abandon();
    if (transaction === undefined) return;
    transaction.message = undefined;
    transaction.failure = failure;
    this.#transaction = transaction;
  }

  #closed(): void {
    this.#ending = "closed";
    this.#unread = [];
    // While busy, a commit may be under way: its own end discards or keeps the message.
    if (this.#busy === "no") this.#abandon();
    this.#options.closed();
  }

  // ---------------------------------------------------------------- events

  /** Handles one event; a promise means that the next one must wait for it. */
  #handle(event: SmtpEvent): Promise<void> | undefined {
    switch (event.kind) {
      case "content":
        return this.#content(event.bytes);
      case "mail":
        return this.#mail(event);
      case "rcpt":
        return this.#rcpt(event);
      case "data":
        return this.#data();
      case "data-end":
        return this.#dataEnd(event.problem);
      case "reset":
        return this.#abandon();
      case "auth":
      case "auth-response":
        return this.#auth(event);
      case "vrfy":
        return this.#mailboxQuery(verifyMailbox, event.argument);
      case "expn":
        return this.#mailboxQuery(expandMailbox, event.argument);
      case "starttls":
        return this.#startTls();
      case "close":
        this.#connection.end(this.#session.takeOutput());
        return undefined;
    }
  }

  async #mail(event: MailEvent): Promise<void> {
    const refusal = await checkSender(event.reversePath, {
      context: this.#context,
      service: this.#options.service,
      account: this.#account,
    });
    if (refusal !== undefined) return this.#session.answer(refusal);
    this.#transaction = new SmtpTransaction(event, { nowMs: this.#context.clock.nowMs() });
    this.#session.answer(replies.senderOk);
  }

  async #rcpt(event: RcptEvent): Promise<void> {
    const transaction = this.#transaction!;
    const { recipient } = event;
    const client = this.#connection.remoteAddress;
    const refusal = await checkRecipient(recipient, {
      context: this.#context,
      announcedOctets: transaction.mail.size ?? 0,
      mayRelay: mayRelay(this.#context.config(), { account: this.#account, client }),
      sender: transaction.mail.reversePath,
    });
    if (refusal !== undefined) {
      log.info("recipient refused", {
        client,
        from: formatPath(transaction.mail.reversePath),
        to: formatAddress(recipient),
        reply: `${refusal.code} ${refusal.enhanced ?? ""}`.trim(),
      });
      return this.#session.answer(refusal);
    }
    transaction.add(event);
    this.#session.answer(replies.recipientOk);
  }

  #data(): undefined {
    const transaction = this.#transaction!;
    const config = this.#context.config();
    const trusted = inCidrs(this.#connection.remoteAddress, config.relay.clients) ? "yes" : "no";
    transaction.message = new IncomingMessage({
      key: this.#context.nextKey(),
      envelope: transaction.envelope(),
      origin: originOf(transaction, {
        session: this.#session,
        client: this.#connection.remoteAddress,
        account: this.#account?.name,
        trusted,
      }),
      hostname: config.hostname,
      // RFC 6409 8; a device that sends without a log-in submits too, on whatever port.
      missingFields: this.#options.service === "smtp" && trusted === "no" ? "leave" : "add",
      announcedOctets: transaction.mail.size,
      memoryOctets: config.limits.memoryBytes,
      spool: this.#context.store.spool,
      counters: this.#context.counters,
      clock: this.#context.clock,
    });
    this.#session.answer(replies.startMailInput);
    return undefined;
  }

  #content(bytes: Uint8Array): Promise<void> | undefined {
    const message = this.#transaction?.message;
    // A message that was given up is read to its end and thrown away.
    return message?.add(bytes) === "full" ? message.flush() : undefined;
  }

  #dataEnd(problem: Reply | undefined): Promise<void> {
    const transaction = this.#transaction!;
    const { message, failure } = transaction;
    if (message === undefined) return this.#refuse(failure ?? replies.localError);
    const loop = message.receivedCount > RECEIVED_FIELDS ? replies.loop : undefined;
    const refusal = problem ?? loop;
    return refusal === undefined ? this.#accept(transaction, message) : this.#refuse(refusal);
  }

  async #refuse(refusal: Reply): Promise<void> {
    await this.#abandon();
    log.info("message refused", {
      client: this.#connection.remoteAddress,
      reply: `${refusal.code} ${refusal.enhanced ?? ""} ${refusal.lines.join(" ")}`,
    });
    this.#session.answer(refusal);
  }

  async #accept(transaction: SmtpTransaction, message: IncomingMessage): Promise<void> {
    // Earlier replies (354 among them) must not wait for the disk.
    this.#flush();
    const size = await message.accept();
    this.#transaction = undefined;
    const id = formatMessageKey(message.key);
    log.info("message accepted", {
      id,
      client: this.#connection.remoteAddress,
      from: formatPath(transaction.mail.reversePath),
      to: transaction.recipients.join(","),
      size,
      account: this.#account?.name,
    });
    this.#session.answer(replies.queued(id));
  }

  /** Gives up the transaction and what was received of its message. */
  #abandon(): Promise<void> | undefined {
    const message = this.#transaction?.message;
    this.#transaction = undefined;
    return message?.discard().catch((error) => {
      // The parts are orphans now; the next start removes them.
      log.warn("could not discard a message part", { error: String(error) });
    });
  }

  async #auth(event: Extract<SmtpEvent, { kind: "auth" | "auth-response" }>): Promise<void> {
    const respond = this.#respond;
    this.#respond = undefined;
    if (event.kind === "auth-response") {
      if (event.response === "cancel" || respond === undefined) {
        return this.#session.answer(replies.authCancelled);
      }
      return this.#authStep(await respond(event.response));
    }
    const { mechanism, initial } = event;
    const client = this.#connection.remoteAddress;
    return this.#authStep(await this.#context.authenticator().start(mechanism, { client, initial }));
  }

  #authStep(step: ExchangeStep): void {
    switch (step.kind) {
      case "challenge":
        this.#respond = step.respond;
        return this.#session.challenge(step.bytes);
      case "ok":
        this.#account = step.account;
        return this.#session.authenticated(step.account.name);
      case "refused":
        log.warn("log-in refused", {
          client: this.#connection.remoteAddress,
          service: this.#options.service,
        });
        return this.#session.answer(replies.authFailed);
      case "temporary":
        return this.#session.answer(reply(454, "4.7.0", step.text));
      case "malformed":
        return this.#session.answer(reply(501, "5.5.2", step.text));
      case "unknown-mechanism":
        return this.#session.answer(replies.mechanismUnknown(this.#context.config().auth.mechanisms));
    }
  }

  async #mailboxQuery(query: typeof verifyMailbox, argument: string): Promise<void> {
    this.#session.answer(await query(argument, { context: this.#context, account: this.#account }));
  }

  async #startTls(): Promise<void> {
    this.#flush();
    this.#unread = [];
    this.#unreadOctets = 0;
    // RFC 3207 4.2: what was learnt in the clear is forgotten, who logged in too.
    this.#account = undefined;
    try {
      this.#session.secured(await this.#connection.secure(this.#context.tls()));
      this.#output = "flowing";
    } catch (error) {
      log.info("TLS handshake failed", { client: this.#connection.remoteAddress, error: String(error) });
    }
  }
}
