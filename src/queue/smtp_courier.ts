/**
 * Carries jobs to one host over one connection.
 *
 * Guarantees: each recipient of a job gets one verdict, by the code of the reply that decided it and never by its text
 * (RFC 5321 4.2.1). What may have arrived though no reply says so is tried again: it may come twice, and is never lost.
 *
 * @module
 */
import { isAscii, utf8 } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { isPositive, isTemporary, reply } from "../mail/reply.ts";
import type { RecipientResult, Transaction } from "../smtp/client/types.ts";
import type { Attempt, QueuedMessage, QueuedRecipient } from "../store/types.ts";
import type { Courier, Sent } from "./courier_types.ts";
import { type Destination, hopOf, type Job } from "./destination.ts";
import type { DialogueDriver } from "./dialogue_driver.ts";
import { replyText, type Verdict } from "./ledger.ts";
import { isOfList } from "./retry.ts";

/** A message's octets as they are sent. */
export interface OutgoingContent {
  /** Octets in all. */
  readonly size: number;
  parts(): AsyncIterable<Uint8Array>;
}

/** A failed try of another host, or of this one, before the connection stood. */
export type Trial = Omit<Attempt, "key" | "indexes">;

export interface SmtpCourierOptions {
  readonly destination: Destination;
  readonly driver: DialogueDriver;
  readonly clock: Clock;
  /** The host's name. */
  readonly host: string;
  /** `192.0.2.1:25`. */
  readonly address: string;
  /** As it stands in the record of tries; "" in the clear. */
  readonly tls: string;
  /** What went wrong before this host was reached; goes into the record with the first job. */
  readonly trials: readonly Trial[];
  /** Recipients in a transaction at most. */
  recipientLimit(): number;
  /** When a recipient that was deferred for the `failures`th time is tried again. */
  retryAtMs(failures: number): number;
  /** The message as it is sent; rejects where it can't be read. */
  content(message: QueuedMessage): Promise<OutgoingContent>;
  /** Called once, when the connection is given up. */
  closed(): void;
}

/** How long a connection is used, in milliseconds: then it is seen anew which of the hosts is the first to answer. */
const KEPT_MS = 60_000;

export class SmtpCourier implements Courier {
  readonly #options: SmtpCourierOptions;
  #trials: readonly Trial[];
  #transactions = 0;
  #state: "ready" | "over" = "ready";
  #isClosed = false;
  readonly #sinceMs: number;

  constructor(options: SmtpCourierOptions) {
    this.#options = options;
    this.#trials = options.trials;
    this.#sinceMs = options.clock.nowMs();
  }

  get alive(): boolean {
    const { driver, clock } = this.#options;
    const limit = driver.session.transactionLimit ?? Infinity;
    const isWorn = this.#transactions >= limit || clock.nowMs() - this.#sinceMs >= KEPT_MS;
    return this.#state === "ready" && driver.alive && !isWorn;
  }

  async send(job: Job): Promise<Sent> {
    const verdicts: Verdict[] = [];
    const attempts: Attempt[] = this.#takeTrials(job);
    const portions = this.#portions(job);
    let place = 0;
    // A connection that ends before its first transaction was tried, and counts; else the host could make us come back at once.
    for (; place < portions.length && (this.alive || this.#transactions === 0); place++) {
      const sent = await this.#sendTo(job, portions[place]!);
      if (sent === "stale") break;
      verdicts.push(...sent.verdicts);
      attempts.push(sent.attempt);
    }
    if (!this.#options.driver.alive) this.#close();
    if (verdicts.length === 0) return { kind: "stale" };
    const rest = portions.slice(place).flat();
    return { kind: "done", verdicts, extras: { attempts }, ...rest.length === 0 ? {} : { rest } };
  }

  async quit(): Promise<void> {
    if (this.#state === "over") return;
    this.#state = "over";
    const { driver } = this.#options;
    try {
      if (driver.alive) {
        driver.session.quit();
        // RFC 5321 4.1.1.10: the reply is waited for, or a failure.
        await driver.event();
      }
    } catch (error) {
      driver.lose(error instanceof Error ? error.message : String(error));
    }
    this.#close();
  }

  destroy(): void {
    this.#options.driver.lose("this server is being stopped");
    this.#options.driver.connection.destroy();
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#state = "over";
    this.#options.driver.end();
    this.#options.closed();
  }

  #takeTrials({ message, recipients }: Job): Attempt[] {
    const trials = this.#trials;
    this.#trials = [];
    return trials.map((trial) => ({
      ...trial,
      key: message.key,
      indexes: recipients.map(({ index }) => index),
    }));
  }

  /** A job's recipients, no more than the host takes, those of one reverse-path together. */
  #portions({ message, recipients }: Job): QueuedRecipient[][] {
    const { recipientLimit, driver } = this.#options;
    const limit = Math.max(1, Math.min(recipientLimit(), driver.session.recipientLimit ?? Infinity));
    if (recipients.length === 1) return [[recipients[0]!]];
    const bySender = new Map<string, QueuedRecipient[]>();
    for (const recipient of recipients) {
      const { reversePath, requests } = envelopeOf(message, recipient);
      const sender = `${reversePath}\n${requests?.envid ?? ""}`;
      const group = bySender.get(sender);
      if (group === undefined) bySender.set(sender, [recipient]);
      else group.push(recipient);
    }
    const portions: QueuedRecipient[][] = [];
    for (const group of bySender.values()) {
      for (let at = 0; at < group.length; at += limit) portions.push(group.slice(at, at + limit));
    }
    return portions;
  }

  async #sendTo(
    job: Job,
    recipients: readonly QueuedRecipient[],
  ): Promise<{ readonly verdicts: readonly Verdict[]; readonly attempt: Attempt } | "stale"> {
    const { driver, clock, content } = this.#options;
    const atMs = clock.nowMs();
    const isFresh = this.#transactions === 0;
    let results: readonly RecipientResult[];
    let fault: "ours" | "none" = "none";
    try {
      const outgoing = await content(job.message);
      const smtpUtf8 = await this.#needsUtf8(job.message, recipients, outgoing);
      const { size } = outgoing;
      driver.session.begin(transactionOf(job.message, recipients, { size, smtpUtf8, nowMs: atMs }));
      this.#transactions++;
      results = await this.#carry(outgoing);
      await driver.afterTransaction();
    } catch (error) {
      // A message that can't be read or said: it waits. What has begun can't be ended but with the connection.
      fault = "ours";
      const problem = `it could not be sent: ${error instanceof Error ? error.message : String(error)}`;
      results = this.#giveUp(problem) ?? recipients.map(() => here(problem));
    }
    // Nobody looks at a connection while it is idle: that its end is found out now says nothing of this message.
    if (!isFresh && fault === "none" && results.every(isEndOfIdle)) return "stale";
    const dialogue = driver.session.takeDialogue();
    const attempt: Attempt = {
      key: job.message.key,
      indexes: recipients.map(({ index }) => index),
      atMs,
      durationMs: clock.nowMs() - atMs,
      destination: this.#options.destination.name,
      host: this.#options.host,
      address: this.#options.address,
      tls: this.#options.tls,
      result: summary(results),
      dialogue,
    };
    const verdicts = recipients.map((recipient, place) =>
      this.#verdict(job, recipient, { result: results[place]!, dialogue })
    );
    return { verdicts, attempt };
  }

  /**
   * Whether the message can only travel by SMTPUTF8 (RFC 6531 3.4): it came by it, and its addresses or its content hold
   * more than ASCII. Programs ask for SMTPUTF8 for mail that doesn't need it, which is no reason to send it back.
   */
  async #needsUtf8(
    message: QueuedMessage,
    recipients: readonly QueuedRecipient[],
    outgoing: OutgoingContent,
  ): Promise<boolean> {
    if (!message.smtpUtf8 || this.#options.driver.session.extensions.has("SMTPUTF8")) return message.smtpUtf8;
    const paths = recipients.flatMap((
      { recipient, reversePath },
    ) => [recipient, reversePath ?? message.reversePath]);
    if (!paths.every((path) => isAscii(utf8(path)))) return true;
    for await (const part of outgoing.parts()) if (!isAscii(part)) return true;
    return false;
  }

  /** Ends a transaction that can't be carried on, where one is under way; gives what is known of its recipients. */
  #giveUp(problem: string): readonly RecipientResult[] | undefined {
    const { driver } = this.#options;
    if (driver.session.idle === "yes") return undefined;
    driver.lose(problem);
    const event = driver.session.next();
    return typeof event === "object" && event.kind === "done" ? event.results : undefined;
  }

  /** The transaction to its end. */
  async #carry(outgoing: OutgoingContent): Promise<readonly RecipientResult[]> {
    const { driver } = this.#options;
    for (;;) {
      const event = await driver.event();
      switch (event.kind) {
        case "done":
          return event.results;
        case "content":
          for await (const part of outgoing.parts()) {
            if (driver.session.contentUseless === "yes") break;
            // Before it and not behind it, so that the end of the message leaves together with its last part.
            await driver.flush();
            driver.session.content(part);
          }
          driver.session.endContent();
          break;
        default:
          throw new Error(`unexpected event ${event.kind} of the SMTP client`);
      }
    }
  }

  #verdict(
    job: Job,
    recipient: QueuedRecipient,
    { result, dialogue }: { readonly result: RecipientResult; readonly dialogue: string },
  ): Verdict {
    const { host } = this.#options;
    const by = result.from === "peer" ? host : "";
    if (isPositive(result.reply)) {
      // The route's word: one connection serves routes that differ in it.
      const hop = hopOf(recipient, job.route);
      const passesOn = hop.kind === "host" && hop.duty === "passes-on";
      const accepted = `${host} [${this.#options.address.replace(/:\d+$/, "").replace(/^\[|\]$/g, "")}]`;
      return {
        kind: passesOn ? "handed" : "relayed",
        recipient,
        by: accepted,
        reply: result.reply,
        dsn: result.dsn,
      };
    }
    if (!isTemporary(result.reply)) return { kind: "failed", recipient, reply: result.reply, by, dialogue };
    return {
      ...this.#again(job, recipient, `${by === "" ? "" : `${by} said: `}${replyText(result.reply)}`),
      by,
      dialogue,
    };
  }

  #again(
    job: Job,
    recipient: QueuedRecipient,
    reason: string,
  ): Extract<Verdict, { readonly kind: "deferred" }> {
    return {
      kind: "deferred",
      recipient,
      reason,
      destination: this.#options.destination.name,
      dueMs: this.#options.retryAtMs((recipient.wait?.attempts ?? 0) + 1),
      tried: "yes",
      unreachable: "no",
      backup: job.route.backup,
      by: "",
      dialogue: "",
    };
  }
}

function transactionOf(
  message: QueuedMessage,
  recipients: readonly QueuedRecipient[],
  { size, smtpUtf8, nowMs }: { readonly size: number; readonly smtpUtf8: boolean; readonly nowMs: number },
): Transaction {
  const byMs = message.requests?.deliverBy?.byMs;
  const { reversePath, requests } = envelopeOf(message, recipients[0]!);
  return {
    reversePath,
    size,
    smtpUtf8,
    requests,
    ...byMs === undefined ? {} : { deliverBySeconds: Math.round((byMs - nowMs) / 1000) },
    recipients: recipients.map(({ recipient, requests }) => ({ recipient, requests })),
  };
}

/** A recipient's reverse-path, and what is asked for the message beside it. */
function envelopeOf(
  message: QueuedMessage,
  recipient: QueuedRecipient,
): Pick<Transaction, "reversePath" | "requests"> {
  const reversePath = recipient.reversePath ?? message.reversePath;
  if (message.requests === undefined || !isOfList(recipient)) {
    return { reversePath, requests: message.requests };
  }
  // RFC 3461 5.2.7.1: a list asks in its own name, and nothing of what the sender asked is for its members.
  const { envid: _envid, ret: _ret, ...requests } = message.requests;
  return { reversePath, requests };
}

/** A result of our own making: the try is repeated. */
function here(text: string): RecipientResult {
  return { reply: reply(451, "4.3.0", text), from: "here", dsn: "not-supported" };
}

/** Whether a connection's end or RFC 5321 3.8's 421 is all that was heard. */
function isEndOfIdle({ reply: { code }, from, ambiguous }: RecipientResult): boolean {
  return ambiguous === undefined && (from === "here" ? code === 451 || code === 421 : code === 421);
}

/** A try in a line: the replies it got, each once. */
function summary(results: readonly RecipientResult[]): string {
  const texts = [
    ...new Set(
      results.map(({ reply, ambiguous }) =>
        `${replyText(reply)}${ambiguous === undefined ? "" : " (it may have arrived all the same)"}`
      ),
    ),
  ];
  return texts.length > 3
    ? `${texts.slice(0, 3).join("; ")}; and ${texts.length - 3} more replies`
    : texts.join("; ");
}
