/**
 * The store in memory: for tests, and for trying things out without a disk.
 *
 * Guarantees: everything {@linkcode Store} promises except surviving the process. It is written for plainness, so that
 * where it and SQLite differ, this one is the easier to judge.
 *
 * @module
 */
import { type Clock, systemClock } from "../base/clock.ts";
import { formatMessageKey, type MessageKey } from "../mail/message_id.ts";
import { MemoryBodies } from "./memory_bodies.ts";
import { MemoryDirectory } from "./memory_directory.ts";
import { type MemoryMessage, type MemoryRecipient, newRecipient } from "./memory_model.ts";
import { MemoryQueue } from "./memory_queue.ts";
import { MemoryReports } from "./memory_reports.ts";
import { MemoryTrust } from "./memory_trust.ts";
import { checkOutcome, isWaiting, mayFollow, recipientForm, wholeWait } from "./queue_rules.ts";
import {
  type AcceptedMessage,
  type AccountId,
  type Deliveries,
  type Entries,
  type History,
  type MaildropDelivery,
  type MaildropListing,
  type Maildrops,
  type MessageHead,
  type MessageHistory,
  type Outcome,
  type Piece,
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

/** Pieces that outcomes may use. */
type Shelf = ReadonlyMap<MessageKey, Piece>;

/** Places of recipients that were queued. */
type Queued = Map<MessageKey, number[]>;

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
  readonly #bodies = new MemoryBodies((key) => this.#isHeld(key));
  readonly #entries = new Map<AccountId, Map<MessageKey, Entry>>();
  #newestKey = 0;
  #closed = false;

  readonly directory: MemoryDirectory;
  readonly entries: Entries;
  readonly spool: Spool;
  readonly maildrops: Maildrops;
  readonly deliveries: Deliveries;
  readonly queue: MemoryQueue;
  readonly reports: MemoryReports;
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
      forgotten: (name) => this.reports.forget(name),
    });
    this.entries = this.directory.entries;
    this.spool = {
      append: (key, part) => change(() => this.#append(key, part)),
      accept: (message) => change(() => this.#accept(message)),
      discard: (key) => change(() => this.#bodies.discard(key)),
    };
    this.maildrops = {
      list: (account) => Promise.resolve(this.#list(account)),
      open: (account, key) => Promise.resolve(this.#open(account, key)),
      part: (key, index) => Promise.resolve(this.#bodies.part(key, index)),
      remove: (account, keys) => change(() => this.#remove(account, keys)),
      usage: (account) => Promise.resolve(this.#usage(account)),
      expire: (beforeMs, limit) => change(() => this.#expire(beforeMs, limit)),
    };
    this.queue = new MemoryQueue({
      messages: this.#messages,
      change,
      released: (key) => this.#bodies.release(key),
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
    this.reports = new MemoryReports({
      bodies: this.#bodies,
      change,
      isMessage: (key) => this.#messages.has(key),
      used: (key) => void (this.#newestKey = Math.max(this.#newestKey, key)),
    });
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
    if (this.#messages.has(key) || this.#bodies.has(key)) {
      throw new StoreError(
        "conflict",
        `message ${formatMessageKey(key)} is whole: no part can be added to it`,
      );
    }
    this.#bodies.append(key, part);
  }

  /** The body of a message that can be accepted. @throws {StoreError} `conflict` where it can't */
  #bodyOf(accepted: AcceptedMessage): ReturnType<MemoryBodies["make"]> {
    const name = formatMessageKey(accepted.key);
    if (this.#messages.has(accepted.key) || this.#bodies.has(accepted.key)) {
      throw new StoreError("conflict", `message ${name} is there already`);
    }
    if (accepted.envelope.recipients.length === 0) {
      throw new StoreError("conflict", `message ${name} has no recipient`);
    }
    return this.#bodies.make(accepted);
  }

  #accept(accepted: AcceptedMessage): void {
    const { key, receivedAtMs, envelope } = accepted;
    this.#bodies.keep(key, this.#bodyOf(accepted));
    const recipients = envelope.recipients.map((recipient, index): MemoryRecipient => (
      newRecipient({ recipient, requests: envelope.recipientRequests?.[index] }, { atMs: receivedAtMs })
    ));
    this.#messages.set(key, { accepted, recipients, removals: new Map(), apart: new Set() });
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
      firstPart: this.#bodies.part(key, 0) ?? new Uint8Array(0),
    };
  }

  #usage(account: AccountId): { readonly octets: number; readonly messages: number } {
    const entries = [...this.#entries.get(account)?.values() ?? []];
    return { octets: entries.reduce((sum, { size }) => sum + size, 0), messages: entries.length };
  }

  #record({ outcomes, attempts = [], pieces = [], reports = [], destinations = [] }: QueueChanges): void {
    const shelf: Shelf = new Map(pieces.map((piece) => [piece.key, piece]));
    // Looked at before anything changes: a batch is whole or not there at all.
    const news = reports.filter(({ key }) => !this.#messages.has(key));
    for (const report of news) this.#bodyOf(report);
    for (const outcome of outcomes) {
      checkOutcome(outcome);
      if (this.#mayRecord(outcome)) this.#checkPieces(outcome, shelf);
    }
    for (const report of news) {
      if (!this.#messages.has(report.key)) this.#accept(report);
    }
    const queued: Queued = new Map();
    for (const outcome of outcomes) {
      if (this.#mayRecord(outcome)) this.#settle(outcome, { shelf, queued });
    }
    for (const attempt of attempts) this.queue.addAttempt(attempt);
    for (const destination of destinations) this.queue.setDestination(destination);
    this.queue.announce(queued);
  }

  #mayRecord({ key, index, state }: Outcome): boolean {
    const recipient = this.#messages.get(key)?.recipients[index];
    return recipient !== undefined && mayFollow(recipient.state, state);
  }

  #settle(
    { key, index, state, atMs, detail, deliverTo, wait, acceptedBy, expandedTo }: Outcome,
    { shelf, queued }: { readonly shelf: Shelf; readonly queued: Queued },
  ): void {
    const recipient = this.#messages.get(key)!.recipients[index]!;
    const gone = deliverTo.map(({ account }) => account).filter((account) => !this.#entries.has(account));
    const expanded = state === "expanded" ? expandedTo ?? [] : [];
    this.#expand({ key, index, atMs }, expanded, { shelf, queued });
    for (const drop of deliverTo) this.#deliver({ key, atMs, drop }, shelf);
    recipient.accounts = deliverTo.map(({ account }) => account).filter((account) => !gone.includes(account));
    const lost = gone.length > 0 && recipient.accounts.length === 0 && expanded.length === 0;
    recipient.state = lost ? "failed" : state;
    recipient.atMs = atMs;
    recipient.detail = gone.length > 0 ? `${detail} (account ${gone.join(", ")} was removed before)` : detail;
    recipient.acceptedBy = acceptedBy ?? "";
    if (state === "deferred") recipient.wait = wholeWait(wait!);
    this.#bodies.release(key);
  }

  #expand(
    { key, index, atMs }: Pick<Outcome, "key" | "index" | "atMs">,
    expandedTo: NonNullable<Outcome["expandedTo"]>,
    { shelf, queued }: { readonly shelf: Shelf; readonly queued: Queued },
  ): void {
    for (const { piece, ...given } of expandedTo) {
      const target = piece ?? key;
      const form = recipientForm(given.recipient);
      if (this.#messages.get(target)?.recipients.some(({ address }) => recipientForm(address) === form)) {
        continue;
      }
      if (piece !== undefined) this.#takePiece(piece, key, shelf);
      const { recipients } = this.#messages.get(target)!;
      recipients.push(newRecipient(given, piece === undefined ? { atMs, expandedFrom: index } : { atMs }));
      queued.set(target, [...queued.get(target) ?? [], recipients.length - 1]);
    }
  }

  #deliver(
    { key, atMs, drop }: { readonly key: MessageKey; readonly atMs: number; readonly drop: MaildropDelivery },
    shelf: Shelf,
  ): void {
    const entries = this.#entries.get(drop.account);
    const { removals, apart } = this.#messages.get(key)!;
    // What its owner took out does not come back by another recipient of the same message.
    if (entries === undefined || entries.has(key) || removals.has(drop.account) || apart.has(drop.account)) {
      return;
    }
    if (!("pieces" in drop)) return this.#putEntry(entries, { key, atMs, ...drop });
    apart.add(drop.account);
    for (const { key: piece, trace, size } of drop.pieces) {
      this.#takePiece(piece, key, shelf);
      const isHere = entries.has(piece) || this.#messages.get(piece)!.removals.has(drop.account);
      if (!isHere) this.#putEntry(entries, { key: piece, atMs, trace, size });
      this.#bodies.release(piece);
    }
  }

  #putEntry(
    entries: Map<MessageKey, Entry>,
    { key, atMs, trace, size }: Pick<Entry, "atMs" | "trace" | "size"> & { readonly key: MessageKey },
  ): void {
    const { smtpUtf8 } = this.#messages.get(key)!.accepted.envelope;
    entries.set(key, { size, smtpUtf8, atMs, trace: trace.slice() });
  }

  /** Looks whether all pieces that an outcome uses can be had. @throws {StoreError} `conflict` */
  #checkPieces({ key, deliverTo, expandedTo = [] }: Outcome, shelf: Shelf): void {
    const delivered = deliverTo.flatMap((drop) =>
      "pieces" in drop ? drop.pieces.map((piece) => piece.key) : []
    );
    const expanded = expandedTo.flatMap(({ piece }) => piece === undefined ? [] : [piece]);
    for (const used of [...delivered, ...expanded]) {
      const piece = this.#pieceToMake(used, key, shelf);
      if (piece !== undefined) this.#bodies.make({ ...piece, lastPart: piece.own });
    }
  }

  /** The piece as it is to be made; undefined where it is a message already. @throws {StoreError} `conflict` */
  #pieceToMake(key: MessageKey, of: MessageKey, shelf: Shelf): Piece | undefined {
    const piece = shelf.get(key);
    const found = this.#messages.get(key);
    const wholeOf = found === undefined ? piece?.of : found.piece?.of;
    const isThere = found !== undefined && this.#bodies.has(key);
    if (wholeOf === of && (isThere || piece !== undefined)) return isThere ? undefined : piece;
    throw new StoreError(
      "conflict",
      `message ${formatMessageKey(key)} is no piece of message ${formatMessageKey(of)} that can be had`,
    );
  }

  #takePiece(key: MessageKey, of: MessageKey, shelf: Shelf): void {
    const piece = this.#pieceToMake(key, of, shelf);
    if (piece === undefined) return;
    const { own, size, segments, messageId, place } = piece;
    this.#bodies.keep(key, this.#bodies.make({ key, lastPart: own, size, segments }));
    if (this.#messages.has(key)) return;
    const { accepted } = this.#messages.get(of)!;
    const { recipientRequests: _, ...envelope } = accepted.envelope;
    this.#messages.set(key, {
      accepted: { ...accepted, key, size, messageId, envelope: { ...envelope, recipients: [] } },
      recipients: [],
      removals: new Map(),
      piece: { of, place },
      apart: new Set(),
    });
    this.#newestKey = Math.max(this.#newestKey, key);
  }

  #remove(account: AccountId, keys: readonly MessageKey[]): number {
    let removed = 0;
    for (const key of keys) {
      if (this.#entries.get(account)?.delete(key) !== true) continue;
      removed++;
      const { removals, piece } = this.#messages.get(key)!;
      removals.set(account, this.#clock.nowMs());
      if (piece !== undefined) this.#removedPieceOf(piece.of, account);
      this.#bodies.release(key);
    }
    return removed;
  }

  /** With the last of the pieces that a maildrop got, the message they were made of is taken out. */
  #removedPieceOf(of: MessageKey, account: AccountId): void {
    const whole = this.#messages.get(of);
    const left = [...this.#entries.get(account)!.keys()];
    if (!whole?.apart.has(account) || left.some((key) => this.#messages.get(key)!.piece?.of === of)) return;
    whole.removals.set(account, this.#clock.nowMs());
  }

  #expire(beforeMs: number, limit: number): number {
    const old = [...this.#entries].flatMap(([account, drop]) =>
      [...drop].flatMap(([key, { atMs }]) => atMs < beforeMs ? [{ account, key, atMs }] : [])
    );
    const expired = old.sort((a, b) => a.atMs - b.atMs).slice(0, limit);
    for (const { account, key } of expired) this.#remove(account, [key]);
    return expired.length;
  }

  /** Whether a queue, a maildrop or a report holds the body. */
  #isHeld(key: MessageKey): boolean {
    return this.#messages.get(key)?.recipients.some(({ state }) => isWaiting(state)) === true ||
      [...this.#entries.values()].some((drop) => drop.has(key)) || this.reports.holds(key);
  }

  #prune(beforeMs: number, limit: number): number {
    const done = [...this.#messages].filter(([key, { accepted }]) =>
      accepted.receivedAtMs < beforeMs && !this.#bodies.isNeeded(key)
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
    const { piece } = message;
    return {
      key,
      receivedAtMs,
      size,
      messageId,
      reversePath: envelope.reversePath,
      origin: structuredClone(origin),
      ...(envelope.requests === undefined ? {} : { requests: envelope.requests }),
      ...(piece === undefined ? {} : { pieceOf: { key: piece.of, place: piece.place } }),
      pieces: [...this.#messages].filter(([, other]) => other.piece?.of === key).map(([piece]) => piece).sort(
        (a, b) => a - b,
      ),
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
