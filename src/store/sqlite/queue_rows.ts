/**
 * Rows of waiting recipients as the queue shows them; reader and writer ask alike.
 *
 * @module
 */
import type { SQLOutputValue } from "node:sqlite";
import {
  type MessageRequests,
  type Origin,
  ownershipOf,
  type RecipientRequests,
} from "../../mail/envelope.ts";
import type { MessageKey } from "../../mail/message_id.ts";
import type { QueuedMessage, QueuedRecipient, Wait } from "../types.ts";
import type { AcceptOperation } from "./operations.ts";

/** A row by the names of its columns. */
export type Row = Record<string, SQLOutputValue>;

/** What {@linkcode waitOf} reads. */
export const WAIT_COLUMNS = "destination, due_at, deadline_at, attempts, delay_told, backup_since";

/** What {@linkcode QueuedMessages} reads, of recipients joined with their messages. */
export const QUEUED_COLUMNS = `
  recipient.key AS key, recipient.place AS place, address, recipient.requests AS recipient_requests,
  recipient.reverse_path AS rewritten, reroute, detail, ${WAIT_COLUMNS},
  received_at, size, message.reverse_path AS reverse_path, smtp_utf8, message.requests AS requests, origin, piece`;

/** Recipients with their messages, to be completed by WHERE. CROSS: recipient comes first, its indexes decide the order. */
export const QUEUED = `
  SELECT ${QUEUED_COLUMNS} FROM recipient CROSS JOIN message ON message.key = recipient.key`;

/** What a recipient was last deferred for; undefined where it never was. */
export function waitOf(row: Row): Wait | undefined {
  if (row.attempts === null) return undefined;
  return {
    destination: row.destination as string,
    dueMs: row.due_at as number,
    deadlineMs: row.deadline_at as number,
    attempts: row.attempts as number,
    ...(row.delay_told === 1 ? { delayTold: true } : {}),
    ...(row.backup_since === null ? {} : { backupSinceMs: row.backup_since as number }),
  };
}

/** JSON of a column that may be NULL. */
export function fromJson<T>(value: SQLOutputValue | undefined): T | undefined {
  return value === null || value === undefined ? undefined : JSON.parse(value as string) as T;
}

/** JSON for a column that may be NULL. */
export function toJson(value: unknown): string | null {
  return value === undefined ? null : JSON.stringify(value);
}

/** Gathers rows of {@linkcode QUEUED} into messages, which stand in the order of their first row. */
export class QueuedMessages {
  readonly #messages = new Map<MessageKey, QueuedMessage & { readonly recipients: QueuedRecipient[] }>();

  /** How many messages there are. */
  get size(): number {
    return this.#messages.size;
  }

  has(key: MessageKey): boolean {
    return this.#messages.has(key);
  }

  add(row: Row): void {
    const message = this.#messages.get(row.key as number);
    if (message !== undefined) message.recipients.push(recipientOf(row));
    else this.#messages.set(row.key as number, messageOf(row));
  }

  take(): QueuedMessage[] {
    const taken = [...this.#messages.values()];
    this.#messages.clear();
    return taken;
  }
}

function messageOf(row: Row): QueuedMessage & { readonly recipients: QueuedRecipient[] } {
  const requests = fromJson<MessageRequests>(row.requests);
  const own = ownershipOf(JSON.parse(row.origin as string) as Origin);
  return {
    key: row.key as number,
    receivedAtMs: row.received_at as number,
    reversePath: row.reverse_path as string,
    smtpUtf8: row.smtp_utf8 === 1,
    size: row.size as number,
    ...(requests === undefined ? {} : { requests }),
    ...(own === undefined ? {} : { own }),
    ...(row.piece === null ? {} : { piece: row.piece as string }),
    recipients: [recipientOf(row)],
  };
}

function recipientOf(row: Row): QueuedRecipient {
  const requests = fromJson<RecipientRequests>(row.recipient_requests);
  const wait = waitOf(row);
  return {
    index: row.place as number,
    recipient: row.address as string,
    ...(requests === undefined ? {} : { requests }),
    ...(row.rewritten === null ? {} : { reversePath: row.rewritten as string }),
    ...(row.reroute === null ? {} : { reroute: row.reroute as string }),
    ...(wait === undefined ? {} : { wait, detail: row.detail as string }),
  };
}

/** A message as it is queued by being accepted, without a look into the file. */
export function queuedByAccepting(message: AcceptOperation): QueuedMessage {
  const { key, receivedAtMs, reversePath, smtpUtf8, size, requests, own, recipientRequests } = message;
  return {
    key,
    receivedAtMs,
    reversePath,
    smtpUtf8,
    size,
    ...(requests === undefined ? {} : { requests }),
    ...(own === undefined ? {} : { own }),
    recipients: message.recipients.map((recipient, index) => {
      const asked = recipientRequests?.[index];
      return asked === undefined ? { index, recipient } : { index, recipient, requests: asked };
    }),
  };
}
