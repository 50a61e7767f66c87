/**
 * Delivery as a whole: what was accepted is dispatched, carried out, and written down.
 *
 * ```text
 *   store --messages--> Dispatcher --maildrops, refusals--> Ledger --> store
 *     ^                     |  ^                              ^
 *     |                     v  |                              |
 *     '----what is due-- Outbound --courier: verdicts, tries--'
 * ```
 *
 * Guarantees: a recipient that is waiting in the store is seen to by one of these at a time, until its outcome is
 * on record; a stop at any point, planned or not, leaves it waiting.
 *
 * Between the next hop's 250 and our own record there is one commit. A crash in it sends the message again at the
 * next start: it may then come twice, and is never lost (RFC 5321 4.1.1.4 puts it the same way).
 *
 * @module
 */
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { MessageKey } from "../mail/message_id.ts";
import type { Attempt, Deliveries, QueuedMessage } from "../store/types.ts";
import type { Connect } from "./courier_types.ts";
import { destinationOf, type Job } from "./destination.ts";
import { Dispatcher, type DispatcherOptions } from "./dispatcher.ts";
import { Ledger } from "./ledger.ts";
import { composeNotice } from "./notices.ts";
import { Outbound } from "./outbound.ts";
import type { RetryPolicy } from "./retry.ts";

export interface DeliverySettings extends RetryPolicy {
  readonly hostname: string;
  /** The domain that notifications come from. */
  readonly domain: string;
  readonly connections: number;
  readonly connectionsPerHost: number;
}

export interface DeliveryOptions extends Pick<DispatcherOptions, "resolve" | "forwardSender"> {
  readonly deliveries: Deliveries;
  readonly clock: Clock;
  readonly random: Random;
  readonly settings: () => DeliverySettings;
  readonly connect: Connect;
  readonly nextKey: () => MessageKey;
  /** The tries of a message, in order. */
  readonly attempts: (key: MessageKey) => Promise<readonly Attempt[]>;
  /** Part `index` of a body; undefined past its end. */
  readonly part: (key: MessageKey, index: number) => Promise<Uint8Array | undefined>;
}

export class Delivery {
  readonly #options: DeliveryOptions;
  readonly #ledger: Ledger;
  readonly #dispatcher: Dispatcher;
  readonly #outbound: Outbound;

  constructor(options: DeliveryOptions) {
    this.#options = options;
    const { deliveries, clock, random, settings, connect, nextKey, part } = options;
    this.#ledger = new Ledger({
      deliveries,
      clock,
      policy: settings,
      compose: (message, notices) => {
        const { hostname, domain } = settings();
        return composeNotice(message, notices, { hostname, domain, nextKey, nowMs: clock.nowMs(), part });
      },
      settled: (key, index, wait) => {
        this.#dispatcher.release(key, index, wait);
        this.#outbound.settled(key, index, wait);
      },
    });
    this.#dispatcher = new Dispatcher({
      clock,
      ledger: this.#ledger,
      resolve: options.resolve,
      forwardSender: options.forwardSender,
      attempts: options.attempts,
      part,
      nextKey,
      hostname: () => settings().hostname,
      send: (destination, job) => this.#outbound.enqueue(destination, job),
      failing: (destination) => this.#outbound.failing(destination),
    });
    this.#outbound = new Outbound({
      deliveries,
      ledger: this.#ledger,
      clock,
      random,
      settings,
      connect,
      due: (messages) => this.#dispatcher.dispatch(messages),
      overdue: (messages) => this.#dispatcher.reconsider(messages),
      toBackup: (job) => this.#toBackup(job),
    });
  }

  /** Begins with what was left from before, then goes on with what comes. */
  async start(): Promise<void> {
    await this.#outbound.start();
    this.#options.deliveries.subscribe({
      messages: (messages: readonly QueuedMessage[]) => this.#dispatcher.announced(messages),
      changed: () => {
        this.#dispatcher.changed();
        this.#outbound.changed();
      },
    });
  }

  /** Lets what is under way end for at most `graceMs` milliseconds; the rest waits in the store. */
  async stop(graceMs: number): Promise<void> {
    // A store that takes nothing must not keep the server from ending.
    const timer = this.#options.clock.after(graceMs, () => this.#ledger.giveUp());
    await Promise.all([this.#dispatcher.stop(), this.#outbound.stop(graceMs)]);
    await this.#ledger.stop();
    timer.cancel();
  }

  /** Sends a job by its backup route, from now on. */
  #toBackup(job: Job): void {
    const backupSinceMs = this.#options.clock.nowMs();
    const recipients = job.recipients.map((recipient) => ({
      ...recipient,
      wait: { ...recipient.wait ?? { destination: "", dueMs: 0, deadlineMs: 0, attempts: 0 }, backupSinceMs },
    }));
    const destination = destinationOf(job.route.backup!.hop, job.message);
    this.#outbound.enqueue(destination, { ...job, recipients });
  }
}
