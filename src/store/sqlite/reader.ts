/**
 * All that is read, through a read-only connection of the caller's own thread.
 *
 * Guarantees: each method sees one committed state of the file. It reads synchronously: what it touches is small (one
 * part, one row) or read in columns (a maildrop's list).
 *
 * @module
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { MessageRequests, Origin, RecipientRequests } from "../../mail/envelope.ts";
import type { MessageKey } from "../../mail/message_id.ts";
import {
  type AccountId,
  type MaildropListing,
  type MessageHead,
  type MessageHistory,
  StoreError,
} from "../types.ts";
import { isWaiting } from "../queue_rules.ts";
import { type BodyReader, SqliteBodyReader } from "./bodies.ts";
import { DirectoryReader } from "./directory_reader.ts";
import { asStoreError } from "./errors.ts";
import { PART_ID } from "./part_id.ts";
import { fromJson, type Row, WAIT_COLUMNS, waitOf } from "./queue_rows.ts";
import { QueueReader } from "./queue_reader.ts";
import { ReportReader } from "./report_operations.ts";
import { connectForReading, type ConnectOptions, STATES } from "./schema.ts";
import { TrustReader } from "./trust.ts";

const HISTORY_LIMIT = 20;

export class SqliteReader {
  readonly #path: string;
  readonly #database: DatabaseSync;
  readonly #bodies: BodyReader;
  readonly #directory: DirectoryReader;
  readonly #queue: QueueReader;
  readonly #reports: ReportReader;
  readonly #trust: TrustReader;
  readonly #statements: ReturnType<typeof prepare>;

  /** @throws {StoreError} what `connectForReading` throws */
  constructor(path: string, options: ConnectOptions = {}) {
    this.#path = path;
    this.#database = connectForReading(path, options);
    this.#bodies = new SqliteBodyReader(this.#database);
    this.#directory = new DirectoryReader(this.#database);
    this.#queue = new QueueReader(this.#database);
    this.#reports = new ReportReader(this.#database);
    this.#trust = new TrustReader(this.#database);
    this.#statements = prepare(this.#database);
  }

  close(): void {
    this.#database.close();
  }

  list(account: AccountId): MaildropListing {
    return this.#read(() => {
      const rows = this.#statements.list.all(account) as unknown as [number, number, number][];
      const keys = new Float64Array(rows.length);
      const sizes = new Float64Array(rows.length);
      const smtpUtf8 = new Set<number>();
      for (let i = 0; i < rows.length; i++) {
        const row = rows[i]!;
        keys[i] = row[0];
        sizes[i] = row[1];
        if (row[2] === 1) smtpUtf8.add(i);
      }
      return { keys, sizes, smtpUtf8 };
    });
  }

  open(account: AccountId, key: MessageKey): MessageHead | undefined {
    return this.#read(() => {
      const row = this.#statements.open.get(key, 0, account, key);
      if (row === undefined) return undefined;
      const composed = row.composed === 1 ? this.#bodies.composedPart(key, 0) : undefined;
      return { trace: row.trace as Uint8Array, firstPart: composed ?? row.data as Uint8Array };
    });
  }

  part(key: MessageKey, index: number): Uint8Array | undefined {
    return this.#read(() => this.#bodies.part(key, index));
  }

  usage(account: AccountId): { readonly octets: number; readonly messages: number } {
    return this.#read(() => {
      const row = this.#statements.usage.get(account);
      return row === undefined
        ? { octets: 0, messages: 0 }
        : { octets: row.octets as number, messages: row.messages as number };
    });
  }

  message(key: MessageKey): MessageHistory | undefined {
    return this.#snapshot(() => this.#message(key));
  }

  byMessageId(messageId: string): MessageHistory[] {
    if (messageId === "") return [];
    return this.#snapshot(() =>
      this.#statements.byMessageId.all(messageId, HISTORY_LIMIT).map((row) =>
        this.#message(row.key as number)!
      )
    );
  }

  newestKey(): MessageKey {
    return this.#read(() => this.#statements.newestKey.get()!.newest as number);
  }

  /** Asks the directory, all of it in one state of the file. */
  directory<T>(ask: (directory: DirectoryReader) => T): T {
    return this.#snapshot(() => ask(this.#directory));
  }

  /** Asks the queue, all of it in one state of the file. */
  queue<T>(ask: (queue: QueueReader) => T): T {
    return this.#snapshot(() => ask(this.#queue));
  }

  reports<T>(ask: (reports: ReportReader) => T): T {
    return this.#read(() => ask(this.#reports));
  }

  trust<T>(ask: (trust: TrustReader) => T): T {
    return this.#read(() => ask(this.#trust));
  }

  #message(key: MessageKey): MessageHistory | undefined {
    const row = this.#statements.message.get(key);
    if (row === undefined) return undefined;
    const removals = new Map<number, number>();
    for (const removal of this.#statements.removals.all(key)) {
      removals.set(removal.account as number, removal.at as number);
    }
    const requests = fromJson<MessageRequests>(row.requests);
    return {
      key,
      receivedAtMs: row.received_at as number,
      size: row.size as number,
      messageId: row.message_id as string,
      reversePath: row.reverse_path as string,
      origin: JSON.parse(row.origin as string) as Origin,
      ...(requests === undefined ? {} : { requests }),
      ...(row.piece_of === null
        ? {}
        : { pieceOf: { key: row.piece_of as number, place: row.piece as string } }),
      pieces: this.#statements.pieces.all(key).map((piece) => piece.key as number),
      recipients: this.#statements.recipients.all(key).map((recipient) =>
        this.#recipient(recipient, removals)
      ),
    };
  }

  #recipient(row: Row, removals: ReadonlyMap<AccountId, number>): MessageHistory["recipients"][number] {
    const state = STATES[row.state as number]!;
    const wait = isWaiting(state) ? waitOf(row) : undefined;
    const requests = fromJson<RecipientRequests>(row.requests);
    return {
      recipient: row.address as string,
      state,
      atMs: row.at as number,
      detail: row.detail as string,
      acceptedBy: (row.accepted_by ?? "") as string,
      ...(row.expanded_from === null ? {} : { expandedFrom: row.expanded_from as number }),
      ...(requests === undefined ? {} : { requests }),
      ...(wait === undefined ? {} : { wait }),
      maildrops: accountNumbers(row).map((account) => ({
        account: this.#statements.accountName.get(account, account)?.name as string,
        ...(removals.has(account) ? { removedAtMs: removals.get(account)! } : {}),
      })),
    };
  }

  #read<T>(read: () => T): T {
    if (!this.#database.isOpen) throw new StoreError("conflict", "the store is closed");
    try {
      return read();
    } catch (error) {
      throw asStoreError(error, this.#path);
    }
  }

  /** Several queries that see the same state. */
  #snapshot<T>(read: () => T): T {
    return this.#read(() => {
      this.#statements.begin.get();
      try {
        return read();
      } finally {
        this.#statements.commit.get();
      }
    });
  }
}

function accountNumbers(recipient: Row): AccountId[] {
  return recipient.accounts === null ? [] : JSON.parse(recipient.accounts as string) as AccountId[];
}

function prepare(database: DatabaseSync): Record<
  | "begin"
  | "commit"
  | "list"
  | "open"
  | "usage"
  | "accountName"
  | "message"
  | "pieces"
  | "recipients"
  | "removals"
  | "byMessageId"
  | "newestKey",
  StatementSync
> {
  const sql = (text: string) => database.prepare(text);
  const list = sql("SELECT key, size, smtp_utf8 FROM entry WHERE account = ? ORDER BY key");
  // An object a row would take four times as long for 100,000 rows. Both runtimes have this; the type declarations lag.
  (list as unknown as { setReturnArrays(enabled: boolean): void }).setReturnArrays(true);
  return {
    begin: sql("BEGIN"),
    commit: sql("COMMIT"),
    list,
    open: sql(`
      SELECT trace, ifnull(data, x'') AS data,
        (SELECT segments IS NOT NULL FROM message WHERE message.key = entry.key) AS composed
      FROM entry LEFT JOIN part ON part.id = ${PART_ID} WHERE account = ? AND key = ?`),
    usage: sql("SELECT octets, messages FROM usage WHERE account = ?"),
    accountName: sql(`
      SELECT name FROM account WHERE id = ? UNION ALL SELECT name FROM departed_account WHERE id = ?`),
    message: sql(`
      SELECT received_at, size, message_id, reverse_path, origin, requests, piece_of, piece
      FROM message WHERE key = ?`),
    pieces: sql("SELECT key FROM message WHERE piece_of = ? ORDER BY key"),
    recipients: sql(`
      SELECT address, state, at, detail, accounts, accepted_by, expanded_from, requests, ${WAIT_COLUMNS}
      FROM recipient WHERE key = ? ORDER BY place`),
    removals: sql("SELECT account, at FROM removal WHERE key = ?"),
    byMessageId: sql("SELECT key FROM message WHERE message_id = ? ORDER BY key DESC LIMIT ?"),
    newestKey: sql(`
      SELECT max(ifnull((SELECT max(key) FROM message), 0), ifnull((SELECT max(key) FROM content), 0),
        ifnull((SELECT value FROM kept WHERE name = 'newest_key'), 0)) AS newest`),
  };
}
