/**
 * The delivery worker: takes accepted messages from the store, finds out whose maildrops they belong in, and records it.
 *
 * Guarantees: a message is recorded as delivered in the same transaction that puts it into the maildrops; a crash at any
 * point leaves it queued, and delivering it again changes nothing that was already done. A recipient that can't be
 * delivered is kept with the reason (`held`), never dropped.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { utf8 } from "../base/bytes.ts";
import { type Clock, sleep } from "../base/clock.ts";
import { formatMessageKey } from "../mail/message_id.ts";
import { returnPathField } from "../mime/trace.ts";
import type { Deliveries, Outcome, QueuedMessage } from "../store/types.ts";

const log = getLogger(["emsmail", "delivery"]);

/** Messages recorded in one transaction at most: keeps a commit short for those who wait behind it. */
const BATCH_MESSAGES = 256;
/** How long to wait after the store failed, in milliseconds, doubling up to the second figure. */
const RETRY_MS = [250, 30_000] as const;

/** Whose maildrops a recipient stands for. */
export interface Destination {
  readonly accounts: readonly { readonly id: number; readonly name: string }[];
  /** Why there are none, or not all; "" where all is well. */
  readonly problem: string;
}

export interface LocalDeliveryOptions {
  readonly deliveries: Deliveries;
  readonly clock: Clock;
  /** Finds a recipient's destination as things stand now. */
  resolve(recipient: string): Promise<Destination>;
}

export class LocalDelivery {
  readonly #options: LocalDeliveryOptions;
  #waiting: QueuedMessage[] = [];
  #working: Promise<void> | undefined;
  #stopped: "no" | "yes" = "no";
  /** Ends a pause after a failure. */
  #endPause: (() => void) | undefined;

  constructor(options: LocalDeliveryOptions) {
    this.#options = options;
  }

  /** Begins with what was left from before, then goes on with what comes. */
  start(): void {
    this.#options.deliveries.subscribe((messages) => {
      for (const message of messages) this.#waiting.push(message);
      if (this.#waiting.length > 0) this.#working ??= this.#work();
    });
  }

  /** Finishes the batch in hand; the rest stays queued in the store. */
  async stop(): Promise<void> {
    this.#stopped = "yes";
    this.#endPause?.();
    await this.#working;
  }

  async #work(): Promise<void> {
    let pauseMs: number = RETRY_MS[0];
    while (this.#waiting.length > 0 && this.#stopped === "no") {
      const batch = this.#waiting.splice(0, BATCH_MESSAGES);
      try {
        await this.#deliver(batch);
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
    if (this.#stopped === "yes") return;
    await Promise.race([
      sleep(this.#options.clock, ms),
      new Promise<void>((resolve) => this.#endPause = resolve),
    ]);
  }

  async #deliver(batch: readonly QueuedMessage[]): Promise<void> {
    const outcomes: Outcome[] = [];
    const notes: Record<string, unknown>[] = [];
    // Bursts go to few people.
    const known = new Map<string, Destination>();
    for (const message of batch) {
      const trace = utf8(returnPathField(message.reversePath));
      for (const { index, recipient } of message.recipients) {
        const destination = known.get(recipient) ?? await this.#options.resolve(recipient);
        known.set(recipient, destination);
        const { accounts, problem } = destination;
        const names = accounts.map((account) => account.name).join(",");
        const state = accounts.length > 0 ? "delivered" : "held";
        outcomes.push({
          key: message.key,
          index,
          state,
          atMs: this.#options.clock.nowMs(),
          detail: problem,
          deliverTo: accounts.map(({ id }) => ({ account: id, trace, size: message.size + trace.length })),
        });
        notes.push({ state, id: formatMessageKey(message.key), to: recipient, account: names, problem });
      }
    }
    await this.#options.deliveries.record(outcomes);
    for (const { state, problem, ...note } of notes) {
      if (state === "held") log.warn("message held", { ...note, problem });
      else log.info("message delivered", problem === "" ? note : { ...note, problem });
    }
  }
}
