/**
 * The store in memory: for tests, and for trying things out without a disk.
 *
 * Guarantees: everything {@linkcode Store} promises except surviving the process. It is written for plainness, so that
 * where it and SQLite differ, this one is the easier to judge.
 *
 * @module
 */
import { concat } from "../base/bytes.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { formatMessageKey, type MessageKey } from "../mail/message_id.ts";
import { MemoryDirectory } from "./memory_directory.ts";
import { type MemoryMessage, type MemoryRecipient, newRecipient } from "./memory_model.ts";
import { MemoryQueue } from "./memory_queue.ts";
import { MemoryTrust } from "./memory_trust.ts";
import { checkOutcome, isWaiting, mayFollow, wholeWait } from "./queue_rules.ts";
import {
  type AcceptedMessage,
  type AccountId,
  type Deliveries,
  type History,
  type MaildropListing,
  type Maildrops,
  type MessageHead,
  type MessageHistory,
  type Outcome,
  type QueueChanges,
  type Spool,
  type Store,
  StoreError,
  type Trust,
} from "./types.ts";

const HISTORY_LIMIT = 20;

interface Entry {
  readonly size: number;
  readonly smtpUtf8: boolean;
  readonly atMs: number;
  readonly trace: Uint8Array;
}

interface MemoryStoreOptions {
  /** Where the times of removals come from. @default {systemClock} */
  readonly clock?: Clock;
}

/** Opens an empty store in memory. */
export function openMemoryStore(options: MemoryStoreOptions = {}): Store {
  return new MemoryStore(options.clock ?? systemClock);
}

class MemoryStore implements Store {
  readonly #clock: Clock;
  readonly #messages = new Map<MessageKey, MemoryMessage>();
  readonly #bodies = new Map<MessageKey, Uint8Array[]>();
  readonly #arriving = new Map<MessageKey, Uint8Array[]>();
  readonly #entries = new Map<AccountId, Map<MessageKey, Entry>>();
  #newestKey = 0;
  #closed = false;

  readonly directory: MemoryDirectory;
  readonly spool: Spool;
  readonly maildrops: Maildrops;
  readonly deliveries: Deliveries;
  readonly queue: MemoryQueue;
  readonly trust: Trust;
  readonly history: History;

  constructor(clock: Clock) {
    this.#clock = clock;
    const change = <T>(work: () => T): Promise<T> => this.#change(work);
    this.directory = new MemoryDirectory(change, {
      added: (id) => void this.#entries.set(id, new Map()),
      removed: (id) => {
        this.#remove(id, [...this.#entries.get(id)!.keys()]);
        this.#entries.delete(id);
      },
    });
    this.spool = {
      append: (key, part) => change(() => this.#append(key, part)),
      accept: (message) => change(() => this.#accept(message)),
      discard: (key) => change(() => void this.#arriving.delete(key)),
    };
    this.maildrops = {
      list: (account) => Promise.resolve(this.#list(account)),
      open: (account, key) => Promise.resolve(this.#open(account, key)),
      part: (key, index) =>
        Promise.resolve((this.#bodies.get(key) ?? this.#arriving.get(key))?.[index]?.slice()),
      remove: (account, keys) => change(() => this.#remove(account, keys)),
      usage: (account) => Promise.resolve(this.#usage(account)),
      expire: (beforeMs, limit) => change(() => this.#expire(beforeMs, limit)),
    };
    this.queue = new MemoryQueue({
      messages: this.#messages,
      change,
      released: (key) => this.#dropBodyIfUnused(key),
      nowMs: () => this.#clock.nowMs(),
    });
    this.deliveries = {
      subscribe: (listener) => this.queue.subscribe(listener),
      record: (changes) => change(() => this.#record(changes)),
      waiting: () => Promise.resolve(this.queue.waiting()),
      due: (destination, { dueMs, limit }) => Promise.resolve(this.queue.due(destination, dueMs, limit)),
      overdue: ({ deadlineMs, limit }) => Promise.resolve(this.queue.overdue(deadlineMs, limit)),
      nextDeadlineMs: () => Promise.resolve(this.queue.nextDeadlineMs()),
      destinations: () => Promise.resolve(this.queue.destinations()),
    };
    this.trust = new MemoryTrust(change);
    this.history = {
      message: (key) => Promise.resolve(this.#history(key)),
      byMessageId: (messageId) => Promise.resolve(this.#byMessageId(messageId)),
      prune: (beforeMs, limit) => change(() => this.#prune(beforeMs, limit)),
      newestKey: () => Promise.resolve(this.#newestKey),
    };
  }

  close(): Promise<void> {
    this.#closed = true;
    return Promise.resolve();
  }

  async #change<T>(work: () => T): Promise<T> {
    if (this.#closed) throw new StoreError("conflict", "the store is closed");
    // Nobody may count on a change being there before the promise says so.
    await Promise.resolve();
    return work();
  }

  #append(key: MessageKey, part: Uint8Array): void {
    if (part.length === 0) return;
    if (this.#messages.has(key)) {
      throw new StoreError(
        "conflict",
        `message ${formatMessageKey(key)} is whole: no part can be added to it`,
      );
    }
    const parts = this.#arriving.get(key);
    if (parts === undefined) this.#arriving.set(key, [part.slice()]);
    else parts.push(part.slice());
  }

  /** All parts of a message that can be accepted. @throws {StoreError} `conflict` where it can't */
  #partsOf({ key, lastPart, size, envelope }: AcceptedMessage): Uint8Array[] {
    const name = formatMessageKey(key);
    if (this.#messages.has(key)) throw new StoreError("conflict", `message ${name} is there already`);
    if (envelope.recipients.length === 0) {
      throw new StoreError("conflict", `message ${name} has no recipient`);
    }
    const parts = [...this.#arriving.get(key) ?? [], ...lastPart.length === 0 ? [] : [lastPart.slice()]];
    const octets = concat(parts).length;
    if (octets !== size) {
      throw new StoreError("conflict", `the parts of message ${name} hold ${octets} octets and not ${size}`);
    }
    return parts;
  }

  #accept(accepted: AcceptedMessage): void {
    const { key, receivedAtMs, envelope } = accepted;
    const parts = this.#partsOf(accepted);
    this.#arriving.delete(key);
    this.#bodies.set(key, parts);
    const recipients = envelope.recipients.map((recipient, index): MemoryRecipient => (
      newRecipient({ recipient, requests: envelope.recipientRequests?.[index] }, { atMs: receivedAtMs })
    ));
    this.#messages.set(key, { accepted, recipients, removals: new Map() });
    this.#newestKey = Math.max(this.#newestKey, key);
    this.queue.announce([[key, recipients.map((_, index) => index)]]);
  }

  #list(account: AccountId): MaildropListing {
    const entries = [...this.#entries.get(account) ?? []].sort(([a], [b]) => a - b);
    return {
      keys: entries.map(([key]) => key),
      sizes: entries.map(([, { size }]) => size),
      smtpUtf8: new Set(entries.flatMap(([, { smtpUtf8 }], index) => smtpUtf8 ? [index] : [])),
    };
  }

  #open(account: AccountId, key: MessageKey): MessageHead | undefined {
    const entry = this.#entries.get(account)?.get(key);
    if (entry === undefined) return undefined;
    return {
      trace: entry.trace.slice(),
      firstPart: this.#bodies.get(key)?.[0]?.slice() ?? new Uint8Array(0),
    };
  }

  #usage(account: AccountId): { readonly octets: number; readonly messages: number } {
    const entries = [...this.#entries.get(account)?.values() ?? []];
    return { octets: entries.reduce((sum, { size }) => sum + size, 0), messages: entries.length };
  }

  #record({ outcomes, attempts = [], reports = [], destinations = [] }: QueueChanges): void {
    // Looked at before anything changes: a batch is whole or not there at all.
    const news = reports.filter(({ key }) => !this.#messages.has(key));
    for (const report of news) this.#partsOf(report);
    for (const outcome of outcomes) checkOutcome(outcome);
    for (const report of news) {
      if (!this.#messages.has(report.key)) this.#accept(report);
    }
    const added = new Map<MessageKey, number[]>();
    for (const outcome of outcomes) {
      const places = this.#settle(outcome);
      if (places.length > 0) added.set(outcome.key, [...added.get(outcome.key) ?? [], ...places]);
    }
    for (const attempt of attempts) this.queue.addAttempt(attempt);
    for (const destination of destinations) this.queue.setDestination(destination);
    this.queue.announce(added);
  }

  /** Records one outcome; gives the places of the recipients it was expanded to. */
  #settle({ key, index, state, atMs, detail, deliverTo, wait, acceptedBy, expandedTo }: Outcome): number[] {
    const message = this.#messages.get(key);
    const recipient = message?.recipients[index];
    if (message === undefined || recipient === undefined || !mayFollow(recipient.state, state)) return [];
    const gone = deliverTo.map(({ account }) => account).filter((account) => !this.#entries.has(account));
    for (const { account, trace, size } of deliverTo) {
      const drop = this.#entries.get(account);
      // What its owner took out does not come back by another recipient of the same message.
      if (drop === undefined || drop.has(key) || message.removals.has(account)) continue;
      drop.set(key, { size, smtpUtf8: message.accepted.envelope.smtpUtf8, atMs, trace: trace.slice() });
    }
    const expanded = state === "expanded" ? expandedTo ?? [] : [];
    recipient.accounts = deliverTo.map(({ account }) => account).filter((account) => !gone.includes(account));
    const lost = gone.length > 0 && recipient.accounts.length === 0 && expanded.length === 0;
    recipient.state = lost ? "failed" : state;
    recipient.atMs = atMs;
    recipient.detail = gone.length > 0 ? `${detail} (account ${gone.join(", ")} was removed before)` : detail;
    recipient.acceptedBy = acceptedBy ?? "";
    if (state === "deferred") recipient.wait = wholeWait(wait!);
    const first = message.recipients.length;
    message.recipients.push(...expanded.map((given) => newRecipient(given, { atMs, expandedFrom: index })));
    this.#dropBodyIfUnused(key);
    return expanded.map((_, place) => first + place);
  }

  #remove(account: AccountId, keys: readonly MessageKey[]): number {
    let removed = 0;
    for (const key of keys) {
      if (this.#entries.get(account)?.delete(key) !== true) continue;
      removed++;
      this.#messages.get(key)!.removals.set(account, this.#clock.nowMs());
      this.#dropBodyIfUnused(key);
    }
    return removed;
  }

  #expire(beforeMs: number, limit: number): number {
    const old = [...this.#entries].flatMap(([account, drop]) =>
      [...drop].flatMap(([key, { atMs }]) => atMs < beforeMs ? [{ account, key, atMs }] : [])
    );
    const expired = old.sort((a, b) => a.atMs - b.atMs).slice(0, limit);
    for (const { account, key } of expired) this.#remove(account, [key]);
    return expired.length;
  }

  /** Whether a queue or a maildrop holds the message. */
  #isHeld(key: MessageKey): boolean {
    const { recipients } = this.#messages.get(key)!;
    return recipients.some(({ state }) => isWaiting(state)) ||
      [...this.#entries.values()].some((drop) => drop.has(key));
  }

  #dropBodyIfUnused(key: MessageKey): void {
    if (!this.#isHeld(key)) this.#bodies.delete(key);
  }

  #prune(beforeMs: number, limit: number): number {
    const done = [...this.#messages].filter(([key, { accepted }]) =>
      accepted.receivedAtMs < beforeMs && !this.#isHeld(key)
    );
    done.sort(([, a], [, b]) => a.accepted.receivedAtMs - b.accepted.receivedAtMs);
    const pruned = done.slice(0, limit);
    for (const [key] of pruned) {
      this.#messages.delete(key);
      this.queue.forgetAttempts(key);
    }
    return pruned.length;
  }

  #history(key: MessageKey): MessageHistory | undefined {
    const message = this.#messages.get(key);
    if (message === undefined) return undefined;
    const { receivedAtMs, size, messageId, envelope, origin } = message.accepted;
    return {
      key,
      receivedAtMs,
      size,
      messageId,
      reversePath: envelope.reversePath,
      origin: structuredClone(origin),
      ...(envelope.requests === undefined ? {} : { requests: envelope.requests }),
      recipients: message.recipients.map((recipient) => ({
        recipient: recipient.address,
        state: recipient.state,
        atMs: recipient.atMs,
        detail: recipient.detail,
        acceptedBy: recipient.acceptedBy,
        ...(recipient.expandedFrom === undefined ? {} : { expandedFrom: recipient.expandedFrom }),
        ...(recipient.requests === undefined ? {} : { requests: recipient.requests }),
        ...(recipient.wait !== undefined && isWaiting(recipient.state) ? { wait: recipient.wait } : {}),
        maildrops: recipient.accounts.map((account) => ({
          account: this.directory.nameOf(account),
          ...(message.removals.has(account) ? { removedAtMs: message.removals.get(account)! } : {}),
        })),
      })),
    };
  }

  #byMessageId(messageId: string): MessageHistory[] {
    if (messageId === "") return [];
    return [...this.#messages.values()]
      .filter(({ accepted }) => accepted.messageId === messageId)
      .map(({ accepted }) => accepted.key)
      .sort((a, b) => b - a)
      .slice(0, HISTORY_LIMIT)
      .map((key) => this.#history(key)!);
  }
}
