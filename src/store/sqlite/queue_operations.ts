/**
 * What becomes of recipients: outcomes, tries, operators' actions, and who is told of what waits. Each method runs inside
 * the writer's transaction. Why get() and not run(): see mail_operations.ts.
 *
 * Guarantees: `refs` of the message and the recipient's state change together. A recipient that becomes `queued` is
 * either among the messages a method gives, for the listener of this process, or in `unannounced`, for that of another.
 *
 * A recipient that goes out at once costs one UPDATE and its message's reference; a try costs one INSERT.
 *
 * @module
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { MessageKey } from "../../mail/message_id.ts";
import {
  type Acted,
  acted,
  checkOutcome,
  isWaiting,
  recipientForm,
  statesFor,
  WAITING,
  wholeAttempt,
  wholeDestination,
  wholeWait,
} from "../queue_rules.ts";
import type {
  AccountId,
  Attempt,
  DestinationState,
  Outcome,
  QueuedMessage,
  QueueEntry,
  RecipientState,
  Wait,
} from "../types.ts";
import type { MailOperations } from "./mail_operations.ts";
import type { ActOperation, OperationValues, RecordOperation } from "./operations.ts";
import { PieceShelf, PieceStatements } from "./piece_shelf.ts";
import { QueueFinder } from "./queue_finder.ts";
import { QUEUED, QUEUED_COLUMNS, QueuedMessages, type Row, toJson } from "./queue_rows.ts";
import type { References } from "./references.ts";
import { STATES } from "./schema.ts";

/** How many messages one call of a listener gets from the backlog. */
const BACKLOG_MESSAGES = 500;

/** Whether somebody listens in this process. */
export type Announced = "announced" | "unannounced";

/** Recipients that were queued, by message. */
type Queued = Map<MessageKey, number[]>;

/** A message's recipients while some are added. */
interface Recipients {
  last: number;
  /** In the form of `recipientForm`. */
  readonly addresses: Set<string>;
}

/** What is shared by the outcomes of one operation. */
interface Recording {
  readonly queued: Queued;
  readonly pieces: PieceShelf;
  /** Of messages that recipients were added to. */
  readonly recipients: Map<MessageKey, Recipients>;
}

const number = (state: RecipientState) => STATES.indexOf(state);

export class QueueOperations {
  readonly #mail: MailOperations;
  readonly #references: References;
  readonly #finder: QueueFinder;
  readonly #pieceStatements: PieceStatements;
  readonly #statements: ReturnType<typeof prepare>;

  constructor(database: DatabaseSync, mail: MailOperations, references: References) {
    this.#mail = mail;
    this.#references = references;
    this.#pieceStatements = new PieceStatements(database);
    this.#finder = new QueueFinder(database);
    this.#statements = prepare(database);
  }

  // ------------------------------------------------------------ outcomes

  /** Records all but the reports; gives the messages of recipients that others were expanded to. */
  record(changes: RecordOperation, announced: Announced): QueuedMessage[] {
    const queued: Queued = new Map();
    const pieces = new PieceShelf(this.#pieceStatements, this.#references, changes.pieces);
    const recording: Recording = { queued, pieces, recipients: new Map() };
    for (const outcome of changes.outcomes) this.#record(outcome, recording);
    for (const attempt of changes.attempts) this.#addAttempt(wholeAttempt(attempt));
    for (const destination of changes.destinations) this.#setDestination(wholeDestination(destination));
    return queued.size === 0 ? [] : this.#announce(queued, announced);
  }

  #record(outcome: Outcome, recording: Recording): void {
    checkOutcome(outcome);
    const { key, state, deliverTo, expandedTo } = outcome;
    if (!this.#settle(outcome)) return;
    let refs = isWaiting(state) ? 0 : -1;
    if (state === "expanded" && expandedTo !== undefined && expandedTo.length > 0) {
      refs += this.#expand(outcome, expandedTo, recording);
    }
    if (deliverTo.length > 0) {
      const { added, gone } = this.#mail.deliver(outcome, recording.pieces);
      refs += added;
      if (gone.length > 0 && this.#amendForGone(outcome, gone) === "failed" && isWaiting(state)) refs--;
    }
    if (refs !== 0) this.#mail.addRefs(key, refs);
  }

  /** Gives whether the outcome may stand, having written it down. */
  #settle({ key, index, state, atMs, detail, deliverTo, wait, acceptedBy }: Outcome): boolean {
    const accounts = deliverTo.length === 0 ? null : JSON.stringify(deliverTo.map(({ account }) => account));
    if (state === "deferred") return this.#defer({ key, index, atMs, detail, accounts }, wholeWait(wait!));
    const settle = isWaiting(state) ? this.#statements.hold : this.#statements.settle;
    return settle.get(number(state), atMs, detail, accounts, acceptedBy ?? null, key, index) !== undefined;
  }

  #defer(
    { key, index, atMs, detail, accounts }: Pick<Outcome, "key" | "index" | "atMs" | "detail"> & {
      readonly accounts: string | null;
    },
    wait: Wait,
  ): boolean {
    return this.#statements.defer.get(
      atMs,
      detail,
      accounts,
      wait.destination,
      wait.dueMs,
      wait.deadlineMs,
      wait.attempts,
      wait.delayTold === true ? 1 : null,
      wait.backupSinceMs ?? null,
      key,
      index,
    ) !== undefined;
  }

  /** Adds recipients to the message and to pieces of it; gives how many the message itself got. */
  #expand(
    { key, index, atMs }: Outcome,
    expandedTo: NonNullable<Outcome["expandedTo"]>,
    { queued, pieces, recipients }: Recording,
  ): number {
    let added = 0;
    for (const { recipient, requests, reversePath, reroute, piece } of expandedTo) {
      const target = piece ?? key;
      const there = recipients.get(target) ?? this.#recipientsOf(target);
      recipients.set(target, there);
      const form = recipientForm(recipient);
      if (there.addresses.has(form)) continue;
      if (piece !== undefined) pieces.take(piece, key);
      there.addresses.add(form);
      there.last++;
      this.#statements.insertExpanded.get(
        target,
        there.last,
        recipient,
        atMs,
        toJson(requests),
        reversePath ?? null,
        reroute === undefined || reroute === "" ? null : reroute,
        piece === undefined ? index : null,
      );
      put(queued, { key: target, index: there.last });
      if (piece === undefined) added++;
      else this.#mail.addRefs(piece, 1);
    }
    return added;
  }

  #recipientsOf(key: MessageKey): Recipients {
    const addresses = new Set<string>();
    let last = -1;
    for (const row of this.#statements.recipientsOf.all(key)) {
      last = row.place as number;
      addresses.add(recipientForm(row.address as string));
    }
    return { last, addresses };
  }

  /** Writes down which accounts were gone; gives the state that leaves. */
  #amendForGone(
    { key, index, state, detail, deliverTo, expandedTo }: Outcome,
    gone: readonly AccountId[],
  ): RecipientState {
    const left = deliverTo.map(({ account }) => account).filter((account) => !gone.includes(account));
    const expanded = state === "expanded" && expandedTo !== undefined && expandedTo.length > 0;
    const leaves = left.length === 0 && !expanded ? "failed" : state;
    this.#statements.amend.get(
      number(leaves),
      `${detail} (account ${gone.join(", ")} was removed before)`,
      left.length === 0 ? null : JSON.stringify(left),
      key,
      index,
    );
    return leaves;
  }

  #addAttempt(attempt: Attempt): void {
    const { key, atMs, durationMs, destination, host, address, tls, result, dialogue } = attempt;
    const places = JSON.stringify(attempt.indexes);
    this.#statements.insertAttempt.get(
      key,
      places,
      atMs,
      durationMs,
      destination,
      host,
      address,
      tls,
      result,
      dialogue,
    );
  }

  #setDestination({ destination, failures, retryAtMs, reason }: DestinationState): void {
    if (failures === 0) this.#statements.forgetDestination.get(destination);
    else this.#statements.setDestination.get(destination, failures, retryAtMs, reason);
  }

  // ------------------------------------------------------------ operators

  /** Does one portion of an operator's action; gives also the messages of recipients that were queued by it. */
  act(
    { filter, action, after, atMs }: ActOperation,
    announced: Announced,
  ): { readonly value: OperationValues["act"]; readonly messages: QueuedMessage[] } {
    const asked = filter.states ?? WAITING;
    const states = statesFor(action).filter((state) => asked.includes(state));
    if (states.length === 0) return { value: { count: 0 }, messages: [] };
    const { entries, next } = this.#finder.page({ ...filter, states }, { after });
    const change = acted(action);
    const queued: Queued = new Map();
    for (const entry of entries) {
      this.#actOn(entry, change, atMs);
      if (change.state === "queued") put(queued, entry);
    }
    if (action.kind === "retry") this.#forgetDestinationsOf(entries);
    return {
      value: { count: entries.length, ...(next === undefined ? {} : { next }) },
      messages: this.#announce(queued, announced),
    };
  }

  #actOn(entry: QueueEntry, { state, detail, reroute }: Acted, atMs: number): void {
    const rerouted = reroute ?? entry.reroute;
    this.#statements.act.get(
      number(state),
      atMs,
      detail ?? entry.detail,
      rerouted === "" ? null : rerouted,
      entry.key,
      entry.index,
    );
    if (!isWaiting(state)) this.#mail.addRefs(entry.key, -1);
  }

  #forgetDestinationsOf(entries: readonly QueueEntry[]): void {
    const destinations = new Set(entries.map(({ wait }) => wait?.destination ?? ""));
    for (const destination of destinations) this.#statements.forgetDestination.get(destination);
  }

  /**
   * Forgets tries of messages that don't wait any more. Keys rise with time, so a walk from the oldest may end at the
   * first message that is too young: no index by time is needed, which every try would have to pay for.
   */
  pruneAttempts(beforeMs: number, limit: number): number {
    const { nextTried, receivedAt, isWaiting: waits, deleteAttempts } = this.#statements;
    let pruned = 0;
    let key: MessageKey = -1;
    while (pruned < limit) {
      const row = nextTried.get(key);
      if (row === undefined) break;
      key = row.key as number;
      const message = receivedAt.get(key);
      if (message !== undefined && (message.received_at as number) >= beforeMs) break;
      if (waits.get(key) === undefined) pruned += deleteAttempts.all(key, beforeMs, limit - pruned).length;
    }
    return pruned;
  }

  // ------------------------------------------------------------ who is told

  /** Gives every message with a queued recipient, in portions, and counts all of them as announced. */
  backlog(give: (messages: QueuedMessage[]) => void): void {
    this.#statements.clearUnannounced.get();
    const messages = new QueuedMessages();
    // Rows come by key, so a message is complete when the next one begins.
    for (const row of this.#statements.queued.iterate() as Iterable<Row>) {
      if (messages.size >= BACKLOG_MESSAGES && !messages.has(row.key as number)) give(messages.take());
      messages.add(row);
    }
    if (messages.size > 0) give(messages.take());
  }

  /** Gives what was queued where nobody listened, and counts it as announced. */
  takeUnannounced(): QueuedMessage[] {
    const messages = new QueuedMessages();
    for (const row of this.#statements.unannounced.all()) messages.add(row);
    this.#statements.clearUnannounced.get();
    return messages.take();
  }

  /** Gives the messages for the listener here, or puts them down for the one of another process. */
  #announce(queued: Queued, announced: Announced): QueuedMessage[] {
    const messages = new QueuedMessages();
    for (const [key, places] of queued) {
      if (announced === "unannounced") {
        for (const place of places) this.#statements.insertUnannounced.get(key, place);
        continue;
      }
      const wanted = new Set(places);
      for (const row of this.#statements.queuedOf.all(key)) {
        if (wanted.has(row.place as number)) messages.add(row);
      }
    }
    return messages.take();
  }
}

function put(queued: Queued, { key, index }: Pick<QueueEntry, "key" | "index">): void {
  const places = queued.get(key);
  if (places === undefined) queued.set(key, [index]);
  else places.push(index);
}

function prepare(database: DatabaseSync): Record<
  | "settle"
  | "hold"
  | "defer"
  | "amend"
  | "recipientsOf"
  | "insertExpanded"
  | "insertAttempt"
  | "setDestination"
  | "forgetDestination"
  | "act"
  | "nextTried"
  | "receivedAt"
  | "isWaiting"
  | "deleteAttempts"
  | "insertUnannounced"
  | "clearUnannounced"
  | "unannounced"
  | "queued"
  | "queuedOf",
  StatementSync
> {
  const sql = (text: string) => database.prepare(text);
  const settle = `UPDATE recipient SET state = ?, at = ?, detail = ?, accounts = ?, accepted_by = ?
    WHERE key = ? AND place = ?`;
  return {
    // What is final stays, so that recording twice changes nothing; what is held yields to what is final only.
    settle: sql(`${settle} AND state IN (0, 3, 4) RETURNING 1`),
    hold: sql(`${settle} AND state IN (0, 4) RETURNING 1`),
    defer: sql(`
      UPDATE recipient SET state = 4, at = ?, detail = ?, accounts = ?, destination = ?, due_at = ?, deadline_at = ?,
        attempts = ?, delay_told = ?, backup_since = ?
      WHERE key = ? AND place = ? AND state IN (0, 4) RETURNING 1`),
    amend: sql("UPDATE recipient SET state = ?, detail = ?, accounts = ? WHERE key = ? AND place = ?"),
    recipientsOf: sql("SELECT place, address FROM recipient WHERE key = ? ORDER BY place"),
    insertExpanded: sql(`
      INSERT INTO recipient (key, place, address, state, at, detail, requests, reverse_path, reroute, expanded_from)
      VALUES (?, ?, ?, 0, ?, '', ?, ?, ?, ?)`),
    insertAttempt: sql(`
      INSERT INTO attempt (key, no, places, at, duration, destination, host, address, tls, result, dialogue)
      SELECT ?1, ifnull(max(no) + 1, 0), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10 FROM attempt WHERE key = ?1`),
    setDestination: sql(`
      INSERT OR REPLACE INTO destination (name, failures, retry_at, reason) VALUES (?, ?, ?, ?)`),
    forgetDestination: sql("DELETE FROM destination WHERE name = ?"),
    act: sql("UPDATE recipient SET state = ?, at = ?, detail = ?, reroute = ? WHERE key = ? AND place = ?"),
    nextTried: sql("SELECT key FROM attempt WHERE key > ? ORDER BY key LIMIT 1"),
    receivedAt: sql("SELECT received_at FROM message WHERE key = ?"),
    isWaiting: sql("SELECT 1 FROM recipient WHERE key = ? AND state IN (0, 3, 4) LIMIT 1"),
    deleteAttempts: sql(`
      DELETE FROM attempt WHERE key = ?1 AND no IN
        (SELECT no FROM attempt WHERE key = ?1 AND at < ?2 ORDER BY no LIMIT ?3) RETURNING 1`),
    insertUnannounced: sql("INSERT OR IGNORE INTO unannounced (key, place) VALUES (?, ?)"),
    clearUnannounced: sql("DELETE FROM unannounced"),
    unannounced: sql(`
      SELECT ${QUEUED_COLUMNS} FROM unannounced
      CROSS JOIN recipient ON recipient.key = unannounced.key AND recipient.place = unannounced.place
      CROSS JOIN message ON message.key = recipient.key
      WHERE state = 0 ORDER BY unannounced.key, unannounced.place`),
    queued: sql(`${QUEUED} WHERE state = 0 ORDER BY recipient.key, place`),
    queuedOf: sql(`${QUEUED} WHERE state = 0 AND recipient.key = ? ORDER BY place`),
  };
}
