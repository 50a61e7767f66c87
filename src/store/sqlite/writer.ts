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
import { databaseError } from "./errors.ts";
import { MailOperations } from "./mail_operations.ts";
import { type AcceptOperation, type Operation, Refusal } from "./operations.ts";
import { connectForWriting, type ConnectOptions } from "./schema.ts";

export interface WriterOptions extends ConnectOptions {
  /**
   * Removes what a crash left of messages that never became whole. Only for the process that serves: another one may
   * have parts of its own on the way.
   *
   * @default {"no"}
   */
  readonly recover?: "yes" | "no";
}

export class SqliteWriter {
  readonly #path: string;
  readonly #database: DatabaseSync;
  readonly #bodies: SqliteBodyWriter;
  readonly #mail: MailOperations;
  readonly #directory: DirectoryOperations;
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  readonly #rollback: StatementSync;
  readonly #savepoint: StatementSync;
  readonly #release: StatementSync;
  readonly #rollbackTo: StatementSync;
  readonly #dataVersion: StatementSync;
  readonly #checkpoint: StatementSync;
  #watched = false;
  /** Accepted in the transaction that is open. */
  #accepting: QueuedMessage[] = [];
  /** Accepted, committed and not yet taken. */
  #accepted: QueuedMessage[] = [];
  #seenVersion: number;
  /** Committed since the last look: the WAL holds something to move into the file. */
  #busyness: "clean" | "quiet" | "committing" = "clean";

  /** @throws {StoreError} what `connectForWriting` throws */
  constructor(path: string, options: WriterOptions = {}) {
    this.#path = path;
    this.#database = connectForWriting(path, options);
    const sql = (text: string) => this.#database.prepare(text);
    this.#bodies = new SqliteBodyWriter(this.#database);
    this.#mail = new MailOperations(this.#database, this.#bodies);
    this.#directory = new DirectoryOperations(
      this.#database,
      (account, atMs) => this.#mail.removeAll(account, atMs),
    );
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
   * Gives the messages that wait, in portions, and from now on keeps what is accepted for
   * {@linkcode SqliteWriter.takeAccepted}.
   */
  watch(give: (messages: QueuedMessage[]) => void): void {
    this.#guardedTransaction(() => this.#mail.backlog(give));
    this.#watched = true;
  }

  /** Whether somebody listens. */
  get watched(): boolean {
    return this.#watched;
  }

  /** Nobody listens any more: what is accepted is put down for the next listener. */
  unwatch(): void {
    this.#watched = false;
  }

  /** Messages accepted since the last call. */
  takeAccepted(): QueuedMessage[] {
    const taken = this.#accepted;
    if (taken.length > 0) this.#accepted = [];
    return taken;
  }

  /**
   * To be called about once a second: looks for messages that other processes accepted, and moves the WAL into the
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
    this.#guardedTransaction(() => this.#accepted.push(...this.#mail.takeUnannounced()));
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
        return this.#mail.record(operation.outcomes);
      case "remove":
        return this.#mail.remove(operation.account, operation.keys, operation.atMs);
      case "expire":
        return this.#mail.expire(operation.beforeMs, operation.limit, operation.atMs);
      case "prune":
        return this.#mail.prune(operation.beforeMs, operation.limit);
      case "addAccount":
        return this.#directory.addAccount(operation.account);
      case "changeAccount":
        return this.#directory.changeAccount(operation.name, operation.changes);
      case "removeAccount":
        return this.#directory.removeAccount(operation.name, operation.atMs);
      case "setAlias":
        return this.#directory.setAlias(operation.alias);
    }
  }

  #accept(message: AcceptOperation): void {
    this.#mail.accept(message, this.#watched ? "announced" : "unannounced");
    if (!this.#watched) return;
    const { key, reversePath, smtpUtf8, size } = message;
    const recipients = message.recipients.map((recipient, index) => ({ index, recipient }));
    this.#accepting.push({ key, reversePath, smtpUtf8, size, recipients });
  }

  /** One operation that leaves nothing behind if it fails. */
  #runAlone(operation: Operation): unknown {
    this.#savepoint.get();
    const accepting = this.#accepting.length;
    try {
      const value = this.#run(operation);
      this.#release.get();
      return value;
    } catch (error) {
      if (databaseError(error, this.#path) !== undefined) throw error;
      this.#accepting.length = accepting;
      this.#rollbackTo.get();
      this.#release.get();
      return new Refusal(error);
    }
  }

  #transaction<T>(work: () => T): T {
    this.#accepting = [];
    this.#begin.get();
    try {
      const value = work();
      this.#commit.get();
      this.#busyness = "committing";
      for (const message of this.#accepting) this.#accepted.push(message);
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
