/**
 * The one writer of a process: applies batches of operations, each batch in one transaction, so one fsync serves all
 * of them (group commit).
 *
 * Guarantees: when {@linkcode SqliteWriter.apply} returns, every operation without a {@linkcode Refusal} is on disk.
 * An operation that is refused changes nothing and disturbs no other; a failure of the database itself (disk full,
 * busy, damaged) refuses the whole batch and changes nothing.
 *
 * The usual batch pays for no savepoint: only when an operation fails is everything undone and done again, each
 * operation in a savepoint of its own.
 *
 * Absent on purpose: threads, timers and queues; those are in transport.ts and writer_thread.ts.
 *
 * @module
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { QueuedMessage } from "../types.ts";
import { SqliteBodyWriter } from "./bodies.ts";
import { DirectoryOperations } from "./directory_operations.ts";
import { EntryOperations } from "./entry_operations.ts";
import { databaseError } from "./errors.ts";
import { MailOperations } from "./mail_operations.ts";
import { NameOperations } from "./names.ts";
import {
  type AcceptOperation,
  type ActOperation,
  type Operation,
  type OperationValues,
  type RecordOperation,
  Refusal,
} from "./operations.ts";
import { type Announced, QueueOperations } from "./queue_operations.ts";
import { queuedByAccepting } from "./queue_rows.ts";
import { References } from "./references.ts";
import { ReportOperations } from "./report_operations.ts";
import { connectForWriting, type ConnectOptions } from "./schema.ts";
import { TrustOperations } from "./trust.ts";

export interface WriterOptions extends ConnectOptions {
  /**
   * Removes what a crash left of messages that never became whole. Only for the process that serves: another one may
   * have parts of its own on the way.
   *
   * @default {"no"}
   */
  readonly recover?: "yes" | "no";
}

/** What a listener is to be told. */
export interface News {
  /** Messages with recipients that were queued. */
  readonly messages: QueuedMessage[];
  /** An operator may have changed what waits. */
  readonly changed: boolean;
}

export class SqliteWriter {
  readonly #path: string;
  readonly #database: DatabaseSync;
  readonly #bodies: SqliteBodyWriter;
  readonly #mail: MailOperations;
  readonly #queue: QueueOperations;
  readonly #reports: ReportOperations;
  readonly #trust: TrustOperations;
  readonly #directory: DirectoryOperations;
  readonly #entries: EntryOperations;
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  readonly #rollback: StatementSync;
  readonly #savepoint: StatementSync;
  readonly #release: StatementSync;
  readonly #rollbackTo: StatementSync;
  readonly #dataVersion: StatementSync;
  readonly #checkpoint: StatementSync;
  #watched = false;
  /** Queued in the transaction that is open. */
  #queueing: QueuedMessage[] = [];
  /** An operator acts in the transaction that is open. */
  #acting = false;
  /** Queued, committed and not yet taken. */
  #queued: QueuedMessage[] = [];
  /** An operator acted, here or perhaps elsewhere, and the listener was not told yet. */
  #changed = false;
  #seenVersion: number;
  /** Committed since the last look: the WAL holds something to move into the file. */
  #busyness: "clean" | "quiet" | "committing" = "clean";

  /** @throws {StoreError} what `connectForWriting` throws */
  constructor(path: string, options: WriterOptions = {}) {
    this.#path = path;
    this.#database = connectForWriting(path, options);
    const sql = (text: string) => this.#database.prepare(text);
    this.#bodies = new SqliteBodyWriter(this.#database);
    const references = new References(this.#database, this.#bodies);
    this.#mail = new MailOperations(this.#database, this.#bodies, references);
    this.#queue = new QueueOperations(this.#database, this.#mail, references);
    this.#reports = new ReportOperations(this.#database, this.#bodies, references);
    this.#trust = new TrustOperations(this.#database);
    const names = new NameOperations(this.#database);
    this.#directory = new DirectoryOperations(this.#database, {
      names,
      removeMail: (account, atMs) => this.#mail.removeAll(account, atMs),
    });
    this.#entries = new EntryOperations(this.#database, { names, directory: this.#directory });
    this.#begin = sql("BEGIN IMMEDIATE");
    this.#commit = sql("COMMIT");
    this.#rollback = sql("ROLLBACK");
    this.#savepoint = sql("SAVEPOINT operation");
    this.#release = sql("RELEASE operation");
    this.#rollbackTo = sql("ROLLBACK TO operation");
    this.#dataVersion = sql("PRAGMA data_version");
    this.#checkpoint = sql("PRAGMA wal_checkpoint(PASSIVE)");
    this.#seenVersion = this.#version();
    if (options.recover === "yes") this.#guardedTransaction(() => this.#bodies.dropUnfinished());
  }

  /** Applies a batch in one transaction; gives a value or a {@linkcode Refusal} for each operation, in order. */
  apply(operations: readonly Operation[]): unknown[] {
    if (operations.length === 0) return [];
    try {
      return this.#transaction(() => operations.map((operation) => this.#run(operation)));
    } catch (error) {
      const fatal = databaseError(error, this.#path);
      if (fatal !== undefined || operations.length === 1) {
        return operations.map(() => new Refusal(fatal ?? error));
      }
    }
    try {
      return this.#transaction(() => operations.map((operation) => this.#runAlone(operation)));
    } catch (error) {
      return operations.map(() => new Refusal(databaseError(error, this.#path) ?? error));
    }
  }

  /**
   * Gives the messages that wait, in portions, and from now on keeps what is queued for
   * {@linkcode SqliteWriter.takeNews}.
   */
  watch(give: (messages: QueuedMessage[]) => void): void {
    this.#guardedTransaction(() => this.#queue.backlog(give));
    this.#watched = true;
  }

  /** Whether somebody listens. */
  get watched(): boolean {
    return this.#watched;
  }

  /** Nobody listens any more: what is queued is put down for the next listener. */
  unwatch(): void {
    this.#watched = false;
  }

  /** What the listener has to be told since the last call. */
  takeNews(): News {
    const news = { messages: this.#queued, changed: this.#changed };
    if (this.#queued.length > 0) this.#queued = [];
    this.#changed = false;
    return news;
  }

  /**
   * To be called about once a second: looks for what other processes queued or changed, and moves the WAL into the
   * file once commits have paused, so that the automatic checkpoint has less to do when they come again.
   */
  tick(): void {
    if (this.#busyness === "quiet") {
      this.#busyness = "clean";
      this.#guard(() => void this.#checkpoint.get());
    } else if (this.#busyness === "committing") {
      this.#busyness = "quiet";
    }
    let version = this.#seenVersion;
    this.#guard(() => version = this.#version());
    if (!this.#watched || version === this.#seenVersion) return;
    this.#guardedTransaction(() => {
      this.#acting = true;
      this.#queueing = this.#queue.takeUnannounced();
    });
    // Only now: where another process held the file, the next tick looks again.
    this.#seenVersion = version;
  }

  /** Moves the WAL into the file and closes it. */
  close(): void {
    try {
      this.#database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    } catch {
      // A reader or another process is in the way: the next to open the file finds all of it in the WAL.
    }
    this.#database.close();
  }

  #version(): number {
    return this.#dataVersion.get()!.data_version as number;
  }

  #run(operation: Operation): unknown {
    switch (operation.op) {
      case "append":
        return this.#bodies.append(operation.key, operation.part);
      case "accept":
        return this.#accept(operation);
      case "discard":
        return this.#bodies.abandon(operation.key);
      case "record":
        return this.#record(operation);
      case "act":
        return this.#act(operation);
      case "remove":
        return this.#mail.remove(operation.account, operation.keys, operation.atMs);
      case "expire":
        return this.#mail.expire(operation.beforeMs, operation.limit, operation.atMs);
      case "prune":
        return this.#mail.prune(operation.beforeMs, operation.limit);
      case "pruneAttempts":
        return this.#queue.pruneAttempts(operation.beforeMs, operation.limit);
      case "addAccount":
        return this.#directory.addAccount(operation.account);
      case "changeAccount":
        return this.#directory.changeAccount(operation.name, operation.changes);
      case "removeAccount":
        return this.#directory.removeAccount(operation.name, operation.atMs);
      case "setAlias":
        return this.#directory.setAlias(operation.alias);
      case "changeEntries":
        return this.#entries.change(operation.changes);
      case "putReport":
        return this.#reports.put(operation.report);
      case "removeReport":
        return this.#reports.remove(operation.name, operation.version);
      default:
        return this.#trust.run(operation);
    }
  }

  get #announced(): Announced {
    return this.#watched ? "announced" : "unannounced";
  }

  #accept(message: AcceptOperation): void {
    this.#mail.accept(message, this.#announced);
    if (this.#watched) this.#queueing.push(queuedByAccepting(message));
  }

  #record(changes: RecordOperation): void {
    // First, while the messages they tell of have their bodies: a notification may hold a stretch of one.
    for (const report of changes.reports) {
      // A report that is there already was recorded before: doing it twice changes nothing.
      if (!this.#mail.has(report.key)) this.#accept(report);
    }
    for (const message of this.#queue.record(changes, this.#announced)) this.#queueing.push(message);
  }

  #act(operation: ActOperation): OperationValues["act"] {
    const { value, messages } = this.#queue.act(operation, this.#announced);
    for (const message of messages) this.#queueing.push(message);
    if (value.count > 0) this.#acting = true;
    return value;
  }

  /** One operation that leaves nothing behind if it fails. */
  #runAlone(operation: Operation): unknown {
    this.#savepoint.get();
    const queueing = this.#queueing.length;
    try {
      const value = this.#run(operation);
      this.#release.get();
      return value;
    } catch (error) {
      if (databaseError(error, this.#path) !== undefined) throw error;
      this.#queueing.length = queueing;
      this.#rollbackTo.get();
      this.#release.get();
      return new Refusal(error);
    }
  }

  #transaction<T>(work: () => T): T {
    this.#queueing = [];
    this.#acting = false;
    this.#begin.get();
    try {
      const value = work();
      this.#commit.get();
      this.#busyness = "committing";
      for (const message of this.#queueing) this.#queued.push(message);
      if (this.#acting && this.#watched) this.#changed = true;
      return value;
    } catch (error) {
      // SQLite itself has rolled back after some failures, a full disk among them.
      if (this.#database.isTransaction) this.#rollback.get();
      throw error;
    }
  }

  #guardedTransaction(work: () => void): void {
    this.#guard(() => this.#transaction(work));
  }

  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      throw databaseError(error, this.#path) ?? error;
    }
  }
}
