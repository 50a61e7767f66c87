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
  type QueuedMessage,
  type RecipientState,
  type Spool,
  type Store,
  StoreError,
} from "./types.ts";

const HISTORY_LIMIT = 20;

interface Recipient {
  readonly address: string;
  state: RecipientState;
  atMs: number;
  detail: string;
  accounts: readonly AccountId[];
}

interface Message {
  readonly accepted: AcceptedMessage;
  readonly recipients: Recipient[];
  /** When owners took it out of their maildrops. */
  readonly removals: Map<AccountId, number>;
}

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
  readonly #messages = new Map<MessageKey, Message>();
  readonly #bodies = new Map<MessageKey, Uint8Array[]>();
  readonly #arriving = new Map<MessageKey, Uint8Array[]>();
  readonly #entries = new Map<AccountId, Map<MessageKey, Entry>>();
  #newestKey = 0;
  #listener: ((messages: readonly QueuedMessage[]) => void) | undefined;
  #unannounced: MessageKey[] = [];
  #closed = false;

  readonly directory: MemoryDirectory;
  readonly spool: Spool;
  readonly maildrops: Maildrops;
  readonly deliveries: Deliveries;
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
    this.deliveries = {
      subscribe: (listener) => this.#subscribe(listener),
      record: (outcomes) =>
        change(() => {
          for (const outcome of outcomes) this.#record(outcome);
        }),
    };
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

  #accept(accepted: AcceptedMessage): void {
    const { key, lastPart, size, receivedAtMs, envelope } = accepted;
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
    this.#arriving.delete(key);
    this.#bodies.set(key, parts);
    const recipients = envelope.recipients.map((address): Recipient => (
      { address, state: "queued", atMs: receivedAtMs, detail: "", accounts: [] }
    ));
    this.#messages.set(key, { accepted, recipients, removals: new Map() });
    this.#newestKey = Math.max(this.#newestKey, key);
    if (this.#listener !== undefined) this.#announce([key]);
    else this.#unannounced.push(key);
  }

  #subscribe(listener: (messages: readonly QueuedMessage[]) => void): void {
    if (this.#listener !== undefined) {
      throw new StoreError("conflict", "somebody listens to this store already");
    }
    this.#listener = listener;
    this.#announce(this.#unannounced.sort((a, b) => a - b));
    this.#unannounced = [];
  }

  #announce(keys: readonly MessageKey[]): void {
    const waiting = keys.flatMap((key): QueuedMessage[] => {
      const message = this.#messages.get(key);
      const recipients = (message?.recipients ?? []).flatMap(({ state, address }, index) =>
        state === "queued" || state === "held" ? [{ index, recipient: address }] : []
      );
      if (message === undefined || recipients.length === 0) return [];
      const { envelope: { reversePath, smtpUtf8 }, size } = message.accepted;
      return [{ key, reversePath, smtpUtf8, size, recipients }];
    });
    if (waiting.length > 0) setTimeout(() => this.#listener!(waiting), 0);
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

  #record({ key, index, state, atMs, detail, deliverTo }: Outcome): void {
    const message = this.#messages.get(key);
    const recipient = message?.recipients[index];
    if (message === undefined || recipient === undefined) return;
    if (recipient.state === "delivered" || recipient.state === "failed") return;
    const gone = deliverTo.map(({ account }) => account).filter((account) => !this.#entries.has(account));
    for (const { account, trace, size } of deliverTo) {
      const drop = this.#entries.get(account);
      // What its owner took out does not come back by another recipient of the same message.
      if (drop === undefined || drop.has(key) || message.removals.has(account)) continue;
      drop.set(key, { size, smtpUtf8: message.accepted.envelope.smtpUtf8, atMs, trace: trace.slice() });
    }
    recipient.accounts = deliverTo.map(({ account }) => account).filter((account) => !gone.includes(account));
    recipient.state = gone.length > 0 && recipient.accounts.length === 0 ? "failed" : state;
    recipient.atMs = atMs;
    recipient.detail = gone.length > 0 ? `${detail} (account ${gone.join(", ")} was removed before)` : detail;
    this.#dropBodyIfUnused(key);
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
    return recipients.some(({ state }) => state === "queued" || state === "held") ||
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
    for (const [key] of pruned) this.#messages.delete(key);
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
      recipients: message.recipients.map(({ address, state, atMs, detail, accounts }) => ({
        recipient: address,
        state,
        atMs,
        detail,
        maildrops: accounts.map((account) => ({
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
