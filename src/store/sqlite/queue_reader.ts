/**
 * What is read of the queue: for the worker that empties it, and for operators.
 *
 * @module
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { MessageKey } from "../../mail/message_id.ts";
import { WAITING } from "../queue_rules.ts";
import type {
  Attempt,
  DestinationState,
  QueuedMessage,
  QueueEntry,
  QueueFilter,
  WaitingSummary,
} from "../types.ts";
import type { RecipientPlace } from "./operations.ts";
import { QueueFinder } from "./queue_finder.ts";
import { QUEUED, QueuedMessages, type Row } from "./queue_rows.ts";

export class QueueReader {
  readonly #finder: QueueFinder;
  readonly #statements: ReturnType<typeof prepare>;

  constructor(database: DatabaseSync) {
    this.#finder = new QueueFinder(database);
    this.#statements = prepare(database);
  }

  waiting(): WaitingSummary[] {
    return this.#statements.waiting.all().map((row) => ({
      destination: row.destination as string,
      recipients: row.recipients as number,
      dueMs: row.due_at as number,
    }));
  }

  due(destination: string, dueMs: number, limit: number): QueuedMessage[] {
    return gathered(this.#statements.due.all(destination, dueMs, limit));
  }

  overdue(deadlineMs: number, limit: number): QueuedMessage[] {
    return gathered(this.#statements.overdue.all(deadlineMs, limit));
  }

  nextDeadlineMs(): number | undefined {
    return this.#statements.nextDeadline.get()?.deadline_at as number | undefined;
  }

  destinations(): DestinationState[] {
    return this.#statements.destinations.all().map((row) => ({
      destination: row.name as string,
      failures: row.failures as number,
      retryAtMs: row.retry_at as number,
      reason: row.reason as string,
    }));
  }

  list(
    filter: QueueFilter,
    options: { readonly limit: number; readonly order?: "oldest" | "newest" },
  ): QueueEntry[] {
    const found: QueueEntry[] = [];
    let after: RecipientPlace | undefined;
    do {
      const { entries, next } = this.#finder.page(filter, { order: options.order, after });
      found.push(...entries);
      after = next;
    } while (after !== undefined && found.length < options.limit);
    return found.slice(0, options.limit);
  }

  count(filter: QueueFilter): number {
    const { states, ...rest } = filter;
    if (Object.values(rest).every((value) => value === undefined)) {
      return this.#finder.count(states ?? WAITING);
    }
    let count = 0;
    let after: RecipientPlace | undefined;
    do {
      const { entries, next } = this.#finder.page(filter, { after });
      count += entries.length;
      after = next;
    } while (after !== undefined);
    return count;
  }

  attempts(key: MessageKey): Attempt[] {
    return this.#statements.attempts.all(key).map((row) => ({
      key,
      indexes: JSON.parse(row.places as string) as number[],
      atMs: row.at as number,
      durationMs: row.duration as number,
      destination: row.destination as string,
      host: row.host as string,
      address: row.address as string,
      tls: row.tls as string,
      result: row.result as string,
      dialogue: row.dialogue as string,
    }));
  }
}

function gathered(rows: readonly Row[]): QueuedMessage[] {
  const messages = new QueuedMessages();
  for (const row of rows) messages.add(row);
  return messages.take();
}

function prepare(database: DatabaseSync): Record<
  "waiting" | "due" | "overdue" | "nextDeadline" | "destinations" | "attempts",
  StatementSync
> {
  const sql = (text: string) => database.prepare(text);
  return {
    waiting: sql(`
      SELECT destination, count(*) AS recipients, min(due_at) AS due_at FROM recipient WHERE state = 4
      GROUP BY destination ORDER BY destination`),
    due: sql(`
      ${QUEUED} WHERE state = 4 AND destination = ? AND due_at <= ?
      ORDER BY due_at, recipient.key, place LIMIT ?`),
    overdue: sql(`
      ${QUEUED} WHERE state = 4 AND deadline_at <= ? ORDER BY deadline_at, recipient.key, place LIMIT ?`),
    nextDeadline: sql("SELECT deadline_at FROM recipient WHERE state = 4 ORDER BY deadline_at LIMIT 1"),
    destinations: sql("SELECT name, failures, retry_at, reason FROM destination ORDER BY name"),
    attempts: sql(`
      SELECT places, at, duration, destination, host, address, tls, result, dialogue
      FROM attempt WHERE key = ? ORDER BY no`),
  };
}
