/**
 * Looks at each recipient that waits, finds out where it goes as things stand now, and sees to it: into maildrops here, to
 * the recipients it stands for, to {@linkcode Outbound}, or back to its sender.
 *
 * Guarantees: a message is recorded as delivered in the same transaction that puts it into the maildrops; a crash at any
 * point leaves a recipient as it was, and dispatching it again changes nothing that was already done. A recipient is in
 * hand once: one that is announced again meanwhile is passed over.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { utf8 } from "../base/bytes.ts";
import { type Clock, sleep } from "../base/clock.ts";
import type { MessageKey } from "../mail/message_id.ts";
import { type Reply, reply } from "../mail/reply.ts";
import { returnPathField } from "../mime/trace.ts";
import type { BackupHop } from "../routing/route.ts";
import type { QueuedMessage, QueuedRecipient } from "../store/types.ts";
import {
  type Destination,
  destinationOf,
  hopOf,
  type Job,
  reroutedHop,
  type SmtpRoute,
} from "./destination.ts";
import type { Ledger, Verdict } from "./ledger.ts";

const log = getLogger(["emsmail", "delivery"]);

/** Messages recorded in one transaction at most: keeps a commit short for those who wait behind it. */
const BATCH_MESSAGES = 256;
/** How long to wait after a look-up failed, in milliseconds, doubling up to the second figure. */
const RETRY_MS = [250, 30_000] as const;

/** Where a recipient's mail goes. */
export interface Resolved {
  readonly accounts: readonly { readonly id: number; readonly name: string }[];
  /** Addresses elsewhere that it stands for, by an alias. */
  readonly forwards: readonly string[];
  /** The way out, where the recipient itself is elsewhere. */
  readonly route: SmtpRoute | undefined;
  /** Why there are none, or not all; "" where all is well. */
  readonly problem: string;
  /** Why there is nowhere to go; undefined where there is. */
  readonly refusal: Reply | undefined;
}

export interface DispatcherOptions {
  readonly clock: Clock;
  readonly ledger: Ledger;
  /** Finds out where a recipient goes as things stand now. */
  resolve(recipient: string, sender: string): Promise<Resolved>;
  /** The reverse-path of mail that an alias sends on to elsewhere. */
  forwardSender(reversePath: string): string;
  /** Takes what leaves this system. */
  send(destination: Destination, job: Job): void;
  /** Why a destination can't be reached at present; undefined: it can, as far as is known. */
  failing(destination: string): string | undefined;
}

export class Dispatcher {
  readonly #options: DispatcherOptions;
  #waiting: QueuedMessage[] = [];
  #working: Promise<void> | undefined;
  #stopped = false;
  #endPause: (() => void) | undefined;
  readonly #inHand = new Set<string>();

  constructor(options: DispatcherOptions) {
    this.#options = options;
  }

  /** Takes messages on; recipients in hand already are passed over. */
  dispatch(messages: readonly QueuedMessage[]): void {
    for (const message of messages) {
      const fresh = this.#claim(message);
      if (fresh !== undefined) this.#waiting.push(fresh);
    }
    if (this.#waiting.length > 0) this.#working ??= this.#work();
  }

  /** A recipient is on record: it is not in hand any more. */
  release(key: MessageKey, index: number): void {
    this.#inHand.delete(handle(key, index));
  }

  /** Whether a recipient is being seen to. */
  holds(key: MessageKey, index: number): boolean {
    return this.#inHand.has(handle(key, index));
  }

  /** Finishes the batch in hand; the rest stays in the store. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#endPause?.();
    await this.#working;
  }

  /** Judges deferred recipients whose deadline has come: told late, given up, or sent by the backup route. */
  async reconsider(messages: readonly QueuedMessage[]): Promise<void> {
    for (const message of messages) {
      const fresh = this.#claim(message);
      if (fresh === undefined) continue;
      const verdicts: Verdict[] = [];
      for (const recipient of fresh.recipients) verdicts.push(await this.#overdue(fresh, recipient));
      await this.#options.ledger.settle([{ message: fresh, verdicts }]);
    }
  }

  /** The message with those of its recipients that nobody has in hand; undefined where there is none. */
  #claim(message: QueuedMessage): QueuedMessage | undefined {
    const recipients = message.recipients.filter(({ index }) => !this.holds(message.key, index));
    for (const { index } of recipients) this.#inHand.add(handle(message.key, index));
    if (recipients.length === message.recipients.length) return message;
    return recipients.length === 0 ? undefined : { ...message, recipients };
  }

  async #overdue(message: QueuedMessage, recipient: QueuedRecipient): Promise<Verdict> {
    const { destination = "", dueMs = 0 } = recipient.wait ?? {};
    let backup: BackupHop | undefined;
    try {
      backup = (await this.#options.resolve(recipient.recipient, message.reversePath)).route?.backup;
    } catch (error) {
      log.error("no route could be found for {to}", { to: recipient.recipient, error: String(error) });
    }
    const failing = this.#options.failing(destination);
    return {
      kind: "deferred",
      recipient,
      reason: failing ?? recipient.detail ?? "its destination has not answered yet",
      destination,
      dueMs,
      tried: "no",
      unreachable: failing === undefined ? "no" : "yes",
      backup,
      by: "",
      dialogue: "",
    };
  }

  async #work(): Promise<void> {
    let pauseMs: number = RETRY_MS[0];
    while (this.#waiting.length > 0 && !this.#stopped) {
      const batch = this.#waiting.splice(0, BATCH_MESSAGES);
      try {
        await this.#dispatch(batch);
        pauseMs = RETRY_MS[0];
      } catch (error) {
        log.error("delivery failed; trying again in {pauseMs} ms", { pauseMs, error: String(error) });
        this.#waiting = [...batch, ...this.#waiting];
        await this.#pause(pauseMs);
        pauseMs = Math.min(pauseMs * 2, RETRY_MS[1]);
      }
    }
    this.#working = undefined;
  }

  /** Waits, but not once the worker is to stop. */
  async #pause(ms: number): Promise<void> {
    if (this.#stopped) return;
    await Promise.race([
      sleep(this.#options.clock, ms),
      new Promise<void>((resolve) => this.#endPause = resolve),
    ]);
  }

  async #dispatch(batch: readonly QueuedMessage[]): Promise<void> {
    const settled: { message: QueuedMessage; verdicts: Verdict[] }[] = [];
    const jobs: { destination: Destination; job: Job }[] = [];
    // Bursts go to few people.
    const known = new Map<string, Promise<Resolved>>();
    for (const message of batch) {
      const verdicts: Verdict[] = [];
      const outgoing = new Map<
        string,
        { destination: Destination; route: SmtpRoute; recipients: QueuedRecipient[] }
      >();
      for (const recipient of message.recipients) {
        const question = `${recipient.recipient}\n${message.reversePath}`;
        const asked = known.get(question) ??
          this.#options.resolve(recipient.recipient, message.reversePath);
        known.set(question, asked);
        const decision = this.#decide(message, recipient, await asked);
        if ("kind" in decision) {
          verdicts.push(decision);
          continue;
        }
        const destination = destinationOf(hopOf(recipient, decision), message);
        const group = outgoing.get(destination.name);
        if (group === undefined) {
          outgoing.set(destination.name, { destination, route: decision, recipients: [recipient] });
        } else group.recipients.push(recipient);
      }
      if (verdicts.length > 0) settled.push({ message, verdicts });
      for (const { destination, route, recipients } of outgoing.values()) {
        jobs.push({ destination, job: { message, recipients, route } });
      }
    }
    // Only now: a look-up that fails makes the whole batch begin again, and nothing of it may be under way then.
    for (const { destination, job } of jobs) this.#options.send(destination, job);
    if (settled.length > 0) await this.#options.ledger.settle(settled);
  }

  /** What is to be recorded of a recipient now, or its way out. */
  #decide(message: QueuedMessage, recipient: QueuedRecipient, resolved: Resolved): Verdict | SmtpRoute {
    const holdUntilMs = message.requests?.holdUntilMs ?? 0;
    if (holdUntilMs > this.#options.clock.nowMs()) return held(recipient, holdUntilMs);
    if (recipient.reroute !== undefined) {
      const hop = reroutedHop(recipient.reroute);
      if (hop !== undefined) {
        const address = { local: "", domain: "" };
        return { channel: "smtp", recipient: address, accept: "users", hop, rule: "reroute" };
      }
    }
    if (resolved.route !== undefined) return resolved.route;
    const { accounts, forwards, problem, refusal } = resolved;
    if (accounts.length === 0 && forwards.length === 0) {
      const said = refusal ?? reply(550, "5.1.1", problem);
      return { kind: "failed", recipient, reply: withReason(said, problem), by: "", dialogue: "" };
    }
    const trace = utf8(returnPathField(message.reversePath));
    return {
      kind: "delivered",
      recipient,
      deliverTo: accounts.map(({ id }) => ({ account: id, trace, size: message.size + trace.length })),
      expandedTo: forwards.map((forward) => this.#forwarded(message, recipient, forward)),
      detail: problem,
      accounts: accounts.map(({ name }) => name).join(","),
    };
  }

  #forwarded(
    message: QueuedMessage,
    recipient: QueuedRecipient,
    forward: string,
  ): { recipient: string; requests?: QueuedRecipient["requests"]; reversePath?: string } {
    const reversePath = this.#options.forwardSender(message.reversePath);
    // RFC 3461 4.2: who is told of the outcome knows the recipient by the name the sender wrote.
    const requests = {
      ...recipient.requests,
      orcpt: recipient.requests?.orcpt ?? `rfc822;${recipient.recipient}`,
    };
    return { recipient: forward, requests, ...reversePath === message.reversePath ? {} : { reversePath } };
  }
}

function handle(key: MessageKey, index: number): string {
  return `${key}.${index}`;
}

/** RFC 4865: the sender wants it to leave later. */
function held(recipient: QueuedRecipient, untilMs: number): Verdict {
  return {
    kind: "deferred",
    recipient,
    reason: `held until ${new Date(untilMs).toISOString()}, as its sender asked`,
    destination: "",
    dueMs: untilMs,
    tried: "no",
    unreachable: "no",
    backup: undefined,
    by: "",
    dialogue: "",
  };
}

/** A refusal with the sentence that is about this recipient. */
function withReason(refusal: Reply, problem: string): Reply {
  return problem === "" ? refusal : { ...refusal, lines: [problem] };
}
