/**
 * Messages coming in, reaching maildrops, and leaving them. Each method runs inside the writer's transaction.
 *
 * Guarantees: `refs` of a message is the number of its queued and held recipients and of its entries, and the body
 * goes when it reaches 0; `usage` is what `entry` holds.
 *
 * Statements are run by get(), never by run(): run() reports the last rowid inserted, which for a part has 63 bits,
 * and Node throws at a number beyond 53. Where it matters whether a row changed, the statement says RETURNING.
 *
 * @module
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { formatMessageKey, type MessageKey } from "../../mail/message_id.ts";
import { type AccountId, type Outcome, type QueuedMessage, StoreError } from "../types.ts";
import type { BodyWriter } from "./bodies.ts";
import { isConstraint } from "./errors.ts";
import type { AcceptOperation } from "./operations.ts";
import { STATES } from "./schema.ts";

/** How many messages one call of a listener gets from the backlog. */
const BACKLOG_MESSAGES = 500;

export class MailOperations {
  readonly #bodies: BodyWriter;
  readonly #statements: ReturnType<typeof prepare>;

  constructor(database: DatabaseSync, bodies: BodyWriter) {
    this.#bodies = bodies;
    this.#statements = prepare(database);
  }

  /** Makes a message and its recipients; `announced` says whether somebody listens in this process. */
  accept(message: AcceptOperation, announced: "announced" | "unannounced"): void {
    const { key, recipients, receivedAtMs, size } = message;
    if (recipients.length === 0) {
      throw new StoreError("conflict", `message ${formatMessageKey(key)} has no recipient`);
    }
    try {
      this.#statements.insertMessage.get(
        key,
        receivedAtMs,
        size,
        message.reversePath,
        message.smtpUtf8 ? 1 : 0,
        message.messageId,
        message.origin,
        recipients.length,
      );
    } catch (error) {
      if (!isConstraint(error)) throw error;
      throw new StoreError("conflict", `message ${formatMessageKey(key)} is there already`);
    }
    this.#bodies.finish(key, message.part, size);
    for (let place = 0; place < recipients.length; place++) {
      this.#statements.insertRecipient.get(key, place, recipients[place]!, receivedAtMs);
    }
    if (announced === "unannounced") this.#statements.insertUnannounced.get(key);
  }

  /** Records outcomes; what is delivered or failed already stays as it is. */
  record(outcomes: readonly Outcome[]): void {
    for (const outcome of outcomes) this.#recordOne(outcome);
  }

  #recordOne({ key, index, state, atMs, detail, deliverTo }: Outcome): void {
    const { settle, insertEntry, addUsage, deleteEntry, accountExists } = this.#statements;
    const accounts = deliverTo.length === 0 ? null : JSON.stringify(deliverTo.map(({ account }) => account));
    if (settle.get(STATES.indexOf(state), atMs, detail, accounts, key, index) === undefined) return;
    let refs = state === "held" ? 0 : -1;
    const gone: AccountId[] = [];
    for (const { account, trace, size } of deliverTo) {
      if (insertEntry.get(account, size, atMs, trace, key) === undefined) {
        if (accountExists.get(account) === undefined) gone.push(account);
      } else if (addUsage.get(size, account) !== undefined) {
        refs++;
      } else {
        // Only an account has a row in usage, so this one was removed before its mail came.
        deleteEntry.get(account, key);
        gone.push(account);
      }
    }
    if (gone.length > 0) this.#amendForGone({ key, index, state, atMs, detail, deliverTo }, gone);
    if (refs !== 0) this.#addRefs(key, refs);
  }

  #amendForGone({ key, index, state, atMs, detail, deliverTo }: Outcome, gone: readonly AccountId[]): void {
    const left = deliverTo.map(({ account }) => account).filter((account) => !gone.includes(account));
    this.#statements.amend.get(
      STATES.indexOf(left.length === 0 ? "failed" : state),
      atMs,
      `${detail} (account ${gone.join(", ")} was removed before)`,
      left.length === 0 ? null : JSON.stringify(left),
      key,
      index,
    );
  }

  /** Takes messages out of a maildrop; gives how many were there. */
  remove(account: AccountId, keys: readonly MessageKey[], atMs: number): number {
    let octets = 0;
    let messages = 0;
    for (const key of keys) {
      const entry = this.#statements.deleteEntry.get(account, key);
      if (entry === undefined) continue;
      octets += entry.size as number;
      messages++;
      this.#statements.insertRemoval.get(key, account, atMs);
      this.#addRefs(key, -1);
    }
    if (messages > 0) this.#statements.subtractUsage.get(octets, messages, account);
    return messages;
  }

  /** Takes all messages out of a maildrop. */
  removeAll(account: AccountId, atMs: number): void {
    const keys = this.#statements.keysOf.all(account).map((row) => row.key as number);
    this.remove(account, keys, atMs);
  }

  /** Takes the oldest entries delivered before `beforeMs` out of all maildrops. */
  expire(beforeMs: number, limit: number, atMs: number): number {
    const keysByAccount = new Map<AccountId, MessageKey[]>();
    for (const row of this.#statements.delivered.all(beforeMs, limit)) {
      const keys = keysByAccount.get(row.account as number);
      if (keys === undefined) keysByAccount.set(row.account as number, [row.key as number]);
      else keys.push(row.key as number);
    }
    let expired = 0;
    for (const [account, keys] of keysByAccount) expired += this.remove(account, keys, atMs);
    return expired;
  }

  /** Forgets messages nothing holds any more. */
  prune(beforeMs: number, limit: number): number {
    const { done, keepNewest, deleteMessage, deleteRecipients, deleteRemovals, deleteUnannounced } =
      this.#statements;
    let newest = 0;
    const rows = done.all(beforeMs, limit);
    for (const row of rows) {
      const key = row.key as number;
      newest = Math.max(newest, key);
      for (const statement of [deleteMessage, deleteRecipients, deleteRemovals, deleteUnannounced]) {
        statement.get(key);
      }
    }
    if (newest > 0) keepNewest.get(newest);
    return rows.length;
  }

  /** Gives every message with a queued recipient, in portions, and counts all of them as announced. */
  backlog(give: (messages: QueuedMessage[]) => void): void {
    this.#statements.clearUnannounced.get();
    let messages: QueuedMessage[] = [];
    // Rows come by key, so a message is complete when the next one begins.
    for (const row of this.#statements.queued.iterate() as Iterable<QueuedRow>) {
      if (messages.at(-1)?.key !== row.key && messages.length >= BACKLOG_MESSAGES) {
        give(messages);
        messages = [];
      }
      addRow(messages, row);
    }
    if (messages.length > 0) give(messages);
  }

  /** Gives messages that were accepted where nobody listened, and counts them as announced. */
  takeUnannounced(): QueuedMessage[] {
    const messages: QueuedMessage[] = [];
    for (const { key } of this.#statements.unannounced.all()) {
      for (const row of this.#statements.queuedOf.all(key!)) addRow(messages, row as unknown as QueuedRow);
    }
    if (messages.length > 0) this.#statements.clearUnannounced.get();
    return messages;
  }

  #addRefs(key: MessageKey, change: number): void {
    if (this.#statements.addRefs.get(change, key)?.refs === 0) this.#bodies.drop(key);
  }
}

interface QueuedRow {
  readonly key: number;
  readonly place: number;
  readonly address: string;
  readonly reverse_path: string;
  readonly smtp_utf8: number;
  readonly size: number;
}

function addRow(messages: QueuedMessage[], row: QueuedRow): void {
  const recipient = { index: row.place, recipient: row.address };
  const last = messages.at(-1);
  if (last !== undefined && last.key === row.key) {
    (last.recipients as { index: number; recipient: string }[]).push(recipient);
    return;
  }
  messages.push({
    key: row.key,
    reversePath: row.reverse_path,
    smtpUtf8: row.smtp_utf8 === 1,
    size: row.size,
    recipients: [recipient],
  });
}

const QUEUED = `
  SELECT recipient.key, place, address, reverse_path, smtp_utf8, size
  FROM recipient JOIN message ON message.key = recipient.key WHERE state IN (0, 3)`;

function prepare(database: DatabaseSync): Record<
  | "insertMessage"
  | "insertRecipient"
  | "insertUnannounced"
  | "settle"
  | "amend"
  | "insertEntry"
  | "deleteEntry"
  | "addUsage"
  | "subtractUsage"
  | "accountExists"
  | "insertRemoval"
  | "addRefs"
  | "keysOf"
  | "delivered"
  | "done"
  | "keepNewest"
  | "deleteMessage"
  | "deleteRecipients"
  | "deleteRemovals"
  | "deleteUnannounced"
  | "clearUnannounced"
  | "unannounced"
  | "queued"
  | "queuedOf",
  StatementSync
> {
  const sql = (text: string) => database.prepare(text);
  return {
    insertMessage: sql(`
      INSERT INTO message (key, received_at, size, reverse_path, smtp_utf8, message_id, origin, refs)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?)`),
    insertRecipient: sql(`
      INSERT INTO recipient (key, place, address, state, at, detail) VALUES (?, ?, ?, 0, ?, '')`),
    insertUnannounced: sql("INSERT INTO unannounced (key) VALUES (?)"),
    // 1 and 2 are final: recording them again must change nothing.
    settle: sql(`
      UPDATE recipient SET state = ?, at = ?, detail = ?, accounts = ?
      WHERE key = ? AND place = ? AND state NOT IN (1, 2) RETURNING 1`),
    amend: sql(
      "UPDATE recipient SET state = ?, at = ?, detail = ?, accounts = ? WHERE key = ? AND place = ?",
    ),
    // What its owner took out does not come back by another recipient of the same message.
    insertEntry: sql(`
      INSERT OR IGNORE INTO entry (account, key, size, smtp_utf8, at, trace)
      SELECT ?1, key, ?2, smtp_utf8, ?3, ?4 FROM message
      WHERE key = ?5 AND NOT EXISTS (SELECT 1 FROM removal WHERE removal.key = ?5 AND account = ?1)
      RETURNING 1`),
    deleteEntry: sql("DELETE FROM entry WHERE account = ? AND key = ? RETURNING size"),
    addUsage: sql(
      "UPDATE usage SET octets = octets + ?, messages = messages + 1 WHERE account = ? RETURNING 1",
    ),
    subtractUsage: sql("UPDATE usage SET octets = octets - ?, messages = messages - ? WHERE account = ?"),
    accountExists: sql("SELECT 1 FROM account WHERE id = ?"),
    insertRemoval: sql("INSERT OR REPLACE INTO removal (key, account, at) VALUES (?, ?, ?)"),
    addRefs: sql("UPDATE message SET refs = refs + ? WHERE key = ? RETURNING refs"),
    keysOf: sql("SELECT key FROM entry WHERE account = ?"),
    delivered: sql("SELECT account, key FROM entry WHERE at < ? ORDER BY at LIMIT ?"),
    done: sql("SELECT key FROM message WHERE refs = 0 AND received_at < ? ORDER BY received_at LIMIT ?"),
    keepNewest: sql(`
      INSERT INTO kept (name, value) VALUES ('newest_key', ?)
      ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)`),
    deleteMessage: sql("DELETE FROM message WHERE key = ?"),
    deleteRecipients: sql("DELETE FROM recipient WHERE key = ?"),
    deleteRemovals: sql("DELETE FROM removal WHERE key = ?"),
    deleteUnannounced: sql("DELETE FROM unannounced WHERE key = ?"),
    clearUnannounced: sql("DELETE FROM unannounced"),
    unannounced: sql("SELECT key FROM unannounced"),
    queued: sql(`${QUEUED} ORDER BY recipient.key, place`),
    queuedOf: sql(`${QUEUED} AND recipient.key = ? ORDER BY place`),
  };
}
