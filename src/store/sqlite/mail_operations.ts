/**
 * Messages coming in, reaching maildrops, and leaving them. Each method runs inside the writer's transaction.
 *
 * Guarantees: `refs` of a message counts what references.ts says; `usage` is what `entry` holds. A maildrop that got a
 * message, whole or in pieces, never gets it again in either form: the entry, the removal, or for pieces the row in `apart`
 * says so. When the last of the pieces that a maildrop got is taken out, so is the message they were made of.
 *
 * Statements are run by get(), never by run(): run() reports the last rowid inserted, which for a part has 63 bits,
 * and Node throws at a number beyond 53. Where it matters whether a row changed, the statement says RETURNING.
 *
 * @module
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { formatMessageKey, type MessageKey } from "../../mail/message_id.ts";
import { type AccountId, type MaildropDelivery, type Outcome, StoreError } from "../types.ts";
import type { BodyWriter } from "./bodies.ts";
import { isConstraint } from "./errors.ts";
import type { AcceptOperation } from "./operations.ts";
import type { PieceShelf } from "./piece_shelf.ts";
import { toJson } from "./queue_rows.ts";
import { KEEP_NEWEST, type References } from "./references.ts";

export class MailOperations {
  readonly #bodies: BodyWriter;
  readonly #references: References;
  readonly #statements: ReturnType<typeof prepare>;

  constructor(database: DatabaseSync, bodies: BodyWriter, references: References) {
    this.#bodies = bodies;
    this.#references = references;
    this.#statements = prepare(database);
  }

  /** Makes a message and its recipients; `announced` says whether somebody listens in this process. */
  accept(message: AcceptOperation, announced: "announced" | "unannounced"): void {
    const { key, recipients, recipientRequests, receivedAtMs, size, segments } = message;
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
        toJson(message.requests),
      );
    } catch (error) {
      if (!isConstraint(error)) throw error;
      throw new StoreError("conflict", `message ${formatMessageKey(key)} is there already`);
    }
    if (segments === undefined) this.#bodies.finish(key, message.part, size);
    else this.#references.compose({ key, size, segments }, message.part);
    for (let place = 0; place < recipients.length; place++) {
      const requests = toJson(recipientRequests?.[place]);
      this.#statements.insertRecipient.get(key, place, recipients[place]!, receivedAtMs, requests);
      if (announced === "unannounced") this.#statements.insertUnannounced.get(key, place);
    }
  }

  /** Whether a message is there. */
  has(key: MessageKey): boolean {
    return this.#statements.messageExists.get(key) !== undefined;
  }

  /** Puts a message, or pieces of it, into maildrops; gives how many got it whole anew, and the accounts that are gone. */
  deliver(
    { key, atMs, deliverTo }: Outcome,
    pieces: PieceShelf,
  ): { readonly added: number; readonly gone: readonly AccountId[] } {
    let added = 0;
    const gone: AccountId[] = [];
    for (const drop of deliverTo) {
      const done = "pieces" in drop
        ? this.#deliverPieces({ key, atMs, drop }, pieces)
        : this.#deliverWhole(key, atMs, drop);
      if (done === "added") added++;
      else if (done === "gone") gone.push(drop.account);
    }
    return { added, gone };
  }

  #deliverWhole(
    key: MessageKey,
    atMs: number,
    { account, trace, size }: {
      readonly account: AccountId;
      readonly trace: Uint8Array;
      readonly size: number;
    },
  ): "added" | "there" | "gone" {
    const { insertEntry, addUsage, deleteEntry, accountExists } = this.#statements;
    if (insertEntry.get(account, size, atMs, trace, key) === undefined) {
      return accountExists.get(account) === undefined ? "gone" : "there";
    }
    if (addUsage.get(size, account) !== undefined) return "added";
    // Only an account has a row in usage, so this one was removed before its mail came.
    deleteEntry.get(account, key);
    return "gone";
  }

  #deliverPieces(
    { key, atMs, drop }: {
      readonly key: MessageKey;
      readonly atMs: number;
      readonly drop: Extract<MaildropDelivery, { readonly pieces: unknown }>;
    },
    shelf: PieceShelf,
  ): "there" | "gone" {
    const { account, pieces } = drop;
    if (this.#statements.accountExists.get(account) === undefined) return "gone";
    if (this.#statements.insertApart.get(key, account) === undefined) return "there";
    for (const piece of pieces) {
      shelf.take(piece.key, key);
      const done = this.#deliverWhole(piece.key, atMs, { account, trace: piece.trace, size: piece.size });
      // 0 where it was here before by itself: what only this would have held goes again.
      this.addRefs(piece.key, done === "added" ? 1 : 0);
    }
    return "there";
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
      const { pieceOf } = this.#references.change(key, -1);
      if (pieceOf !== undefined) this.#statements.insertRemovalOfAll.get(pieceOf, account, atMs);
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
    const { done, keepNewest, deleteMessage, deleteRecipients, deleteRemovals } = this.#statements;
    const { deleteUnannounced, deleteAttempts, deleteApart } = this.#statements;
    const deletions = [
      deleteMessage,
      deleteRecipients,
      deleteRemovals,
      deleteUnannounced,
      deleteAttempts,
      deleteApart,
    ];
    let newest = 0;
    const rows = done.all(beforeMs, limit);
    for (const row of rows) {
      const key = row.key as number;
      newest = Math.max(newest, key);
      for (const statement of deletions) statement.get(key);
    }
    if (newest > 0) keepNewest.get(newest);
    return rows.length;
  }

  /** Changes how many recipients and maildrops need the body; without any it goes. */
  addRefs(key: MessageKey, change: number): void {
    this.#references.change(key, change);
  }
}

function prepare(database: DatabaseSync): Record<
  | "insertMessage"
  | "insertRecipient"
  | "insertUnannounced"
  | "messageExists"
  | "insertEntry"
  | "deleteEntry"
  | "addUsage"
  | "subtractUsage"
  | "accountExists"
  | "insertApart"
  | "insertRemoval"
  | "insertRemovalOfAll"
  | "keysOf"
  | "delivered"
  | "done"
  | "keepNewest"
  | "deleteMessage"
  | "deleteRecipients"
  | "deleteRemovals"
  | "deleteUnannounced"
  | "deleteAttempts"
  | "deleteApart",
  StatementSync
> {
  const sql = (text: string) => database.prepare(text);
  return {
    insertMessage: sql(`
      INSERT INTO message (key, received_at, size, reverse_path, smtp_utf8, message_id, origin, refs, requests)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`),
    insertRecipient: sql(`
      INSERT INTO recipient (key, place, address, state, at, detail, requests) VALUES (?, ?, ?, 0, ?, '', ?)`),
    insertUnannounced: sql("INSERT INTO unannounced (key, place) VALUES (?, ?)"),
    messageExists: sql("SELECT 1 FROM message WHERE key = ?"),
    // What its owner took out does not come back by another recipient of the same message.
    insertEntry: sql(`
      INSERT OR IGNORE INTO entry (account, key, size, smtp_utf8, at, trace)
      SELECT ?1, key, ?2, smtp_utf8, ?3, ?4 FROM message
      WHERE key = ?5 AND NOT EXISTS (SELECT 1 FROM removal WHERE removal.key = ?5 AND account = ?1)
        AND NOT EXISTS (SELECT 1 FROM apart WHERE apart.key = ?5 AND account = ?1)
      RETURNING 1`),
    insertApart: sql(`
      INSERT OR IGNORE INTO apart (key, account)
      SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM removal WHERE key = ?1 AND account = ?2)
        AND NOT EXISTS (SELECT 1 FROM entry WHERE account = ?2 AND key = ?1)
      RETURNING 1`),
    deleteEntry: sql("DELETE FROM entry WHERE account = ? AND key = ? RETURNING size"),
    addUsage: sql(
      "UPDATE usage SET octets = octets + ?, messages = messages + 1 WHERE account = ? RETURNING 1",
    ),
    subtractUsage: sql("UPDATE usage SET octets = octets - ?, messages = messages - ? WHERE account = ?"),
    accountExists: sql("SELECT 1 FROM account WHERE id = ?"),
    insertRemoval: sql("INSERT OR REPLACE INTO removal (key, account, at) VALUES (?, ?, ?)"),
    insertRemovalOfAll: sql(`
      INSERT OR REPLACE INTO removal (key, account, at)
      SELECT key, account, ?3 FROM apart WHERE key = ?1 AND account = ?2 AND NOT EXISTS (
        SELECT 1 FROM message CROSS JOIN entry ON entry.account = ?2 AND entry.key = message.key WHERE piece_of = ?1)`),
    keysOf: sql("SELECT key FROM entry WHERE account = ?"),
    delivered: sql("SELECT account, key FROM entry WHERE at < ? ORDER BY at LIMIT ?"),
    done: sql("SELECT key FROM message WHERE refs = 0 AND received_at < ? ORDER BY received_at LIMIT ?"),
    keepNewest: sql(KEEP_NEWEST),
    deleteMessage: sql("DELETE FROM message WHERE key = ?"),
    deleteRecipients: sql("DELETE FROM recipient WHERE key = ?"),
    deleteRemovals: sql("DELETE FROM removal WHERE key = ?"),
    deleteUnannounced: sql("DELETE FROM unannounced WHERE key = ?"),
    deleteAttempts: sql("DELETE FROM attempt WHERE key = ?"),
    deleteApart: sql("DELETE FROM apart WHERE key = ?"),
  };
}
