/**
 * The queue in memory: who listens, what waits for what, what operators do.
 *
 * @module
 */
import type { MessageKey } from "../mail/message_id.ts";
import { type MemoryMail, queuedMessage, queueEntry } from "./memory_model.ts";
import {
  acted,
  isWaiting,
  matcher,
  statesFor,
  WAITING,
  wholeAttempt,
  wholeDestination,
} from "./queue_rules.ts";
import {
  type Attempt,
  type DestinationState,
  type Queue,
  type QueueAction,
  type QueuedMessage,
  type QueueEntry,
  type QueueFilter,
  type QueueListener,
  StoreError,
  type Wait,
  type WaitingSummary,
} from "./types.ts";

/** A deferred recipient. */
interface Deferred {
  readonly key: MessageKey;
  readonly index: number;
  readonly wait: Wait;
}

export class MemoryQueue implements Queue {
  readonly #mail: MemoryMail;
  readonly #attempts = new Map<MessageKey, Attempt[]>();
  readonly #destinations = new Map<string, DestinationState>();
  #listener: QueueListener | undefined;

  constructor(mail: MemoryMail) {
    this.#mail = mail;
  }

  // ------------------------------------------------------------ for deliveries

  subscribe(listener: QueueListener): void {
    if (this.#listener !== undefined) {
      throw new StoreError("conflict", "somebody listens to this store already");
    }
    this.#listener = listener;
    const keys = [...this.#mail.messages.keys()].sort((a, b) => a - b);
    this.announce(keys.map((key): readonly [MessageKey, readonly number[]] => {
      const { recipients } = this.#mail.messages.get(key)!;
      return [key, recipients.flatMap(({ state }, index) => state === "queued" ? [index] : [])];
    }));
  }

  /** Tells the listener of recipients that were queued; whoever listens later finds them by their state. */
  announce(queued: Iterable<readonly [MessageKey, readonly number[]]>): void {
    if (this.#listener === undefined) return;
    const messages: QueuedMessage[] = [];
    for (const [key, places] of queued) {
      if (places.length > 0) messages.push(queuedMessage(this.#mail.messages.get(key)!, places));
    }
    if (messages.length > 0) setTimeout(() => this.#listener!.messages(messages), 0);
  }

  addAttempt(attempt: Attempt): void {
    const attempts = this.#attempts.get(attempt.key);
    const kept = { ...wholeAttempt(attempt), indexes: [...attempt.indexes] };
    if (attempts === undefined) this.#attempts.set(attempt.key, [kept]);
    else attempts.push(kept);
  }

  setDestination(state: DestinationState): void {
    if (state.failures === 0) this.#destinations.delete(state.destination);
    else this.#destinations.set(state.destination, wholeDestination(state));
  }

  forgetAttempts(key: MessageKey): void {
    this.#attempts.delete(key);
  }

  waiting(): WaitingSummary[] {
    const summaries = new Map<string, WaitingSummary>();
    for (const { wait: { destination, dueMs } } of this.#deferred()) {
      const { recipients, dueMs: first } = summaries.get(destination) ?? { recipients: 0, dueMs };
      summaries.set(destination, {
        destination,
        recipients: recipients + 1,
        dueMs: Math.min(first, dueMs),
      });
    }
    return [...summaries.values()].sort((a, b) => a.destination < b.destination ? -1 : 1);
  }

  due(destination: string, dueMs: number, limit: number): QueuedMessage[] {
    const found = this.#deferred().filter(({ wait }) =>
      wait.destination === destination && wait.dueMs <= dueMs
    );
    return this.#grouped(found.sort((a, b) => a.wait.dueMs - b.wait.dueMs).slice(0, limit));
  }

  overdue(deadlineMs: number, limit: number): QueuedMessage[] {
    const found = this.#deferred().filter(({ wait }) => wait.deadlineMs <= deadlineMs);
    return this.#grouped(found.sort((a, b) => a.wait.deadlineMs - b.wait.deadlineMs).slice(0, limit));
  }

  nextDeadlineMs(): number | undefined {
    const deadlines = this.#deferred().map(({ wait }) => wait.deadlineMs);
    return deadlines.length === 0
      ? undefined
      : deadlines.reduce((first, deadline) => Math.min(first, deadline));
  }

  destinations(): DestinationState[] {
    return [...this.#destinations.values()].sort((a, b) => a.destination < b.destination ? -1 : 1);
  }

  /** What is deferred, by message and place. */
  #deferred(): Deferred[] {
    return [...this.#mail.messages].sort(([a], [b]) => a - b).flatMap(([key, { recipients }]) =>
      recipients.flatMap(({ state, wait }, index): Deferred[] =>
        state === "deferred" && wait !== undefined ? [{ key, index, wait }] : []
      )
    );
  }

  /** Messages in the order of their first recipient. */
  #grouped(found: readonly Deferred[]): QueuedMessage[] {
    const places = new Map<MessageKey, number[]>();
    for (const { key, index } of found) places.set(key, [...places.get(key) ?? [], index]);
    return [...places].map(([key, indexes]) => queuedMessage(this.#mail.messages.get(key)!, indexes));
  }

  // ------------------------------------------------------------ for operators

  list(
    filter: QueueFilter,
    options: { readonly limit: number; readonly order?: "oldest" | "newest" },
  ): Promise<QueueEntry[]> {
    const entries = this.#find(filter);
    if (options.order === "newest") entries.reverse();
    return Promise.resolve(entries.slice(0, options.limit));
  }

  count(filter: QueueFilter): Promise<number> {
    return Promise.resolve(this.#find(filter).length);
  }

  attempts(key: MessageKey): Promise<Attempt[]> {
    return Promise.resolve([...this.#attempts.get(key) ?? []]);
  }

  act(filter: QueueFilter, action: QueueAction): Promise<number> {
    return this.#mail.change(() => {
      const asked = filter.states ?? WAITING;
      const states = statesFor(action).filter((state) => asked.includes(state));
      const entries = this.#find({ ...filter, states });
      const queued = new Map<MessageKey, number[]>();
      for (const entry of entries) {
        const { state } = this.#actOn(entry, action);
        if (state === "queued") queued.set(entry.key, [...queued.get(entry.key) ?? [], entry.index]);
      }
      if (entries.length > 0 && this.#listener !== undefined) setTimeout(() => this.#listener!.changed(), 0);
      this.announce(queued);
      return entries.length;
    });
  }

  #actOn({ key, index, wait }: QueueEntry, action: QueueAction): ReturnType<typeof acted> {
    const recipient = this.#mail.messages.get(key)!.recipients[index]!;
    const change = acted(action);
    recipient.state = change.state;
    recipient.atMs = this.#mail.nowMs();
    recipient.detail = change.detail ?? recipient.detail;
    recipient.reroute = change.reroute ?? recipient.reroute;
    if (action.kind === "retry") this.#destinations.delete(wait!.destination);
    if (!isWaiting(change.state)) this.#mail.released(key);
    return change;
  }

  pruneAttempts(beforeMs: number, limit: number): Promise<number> {
    return this.#mail.change(() => {
      let pruned = 0;
      for (const [key, attempts] of [...this.#attempts].sort(([a], [b]) => a - b)) {
        if (this.#mail.messages.get(key)?.recipients.some(({ state }) => isWaiting(state))) continue;
        const left = attempts.filter(({ atMs }) => atMs >= beforeMs || ++pruned > limit);
        if (left.length > 0) this.#attempts.set(key, left);
        else this.#attempts.delete(key);
      }
      return Math.min(pruned, limit);
    });
  }

  #find(filter: QueueFilter): QueueEntry[] {
    const matches = matcher(filter);
    return [...this.#mail.messages].sort(([a], [b]) => a - b).flatMap(([, message]) =>
      message.recipients.map((_, index) => queueEntry(message, index)).filter((entry) =>
        matches({ entry, ownReversePath: message.accepted.envelope.reversePath })
      )
    );
  }
}
