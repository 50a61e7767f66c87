/**
 * Opening the file, and bringing its tables up to date.
 *
 * Guarantees: a file of a newer schema or of another program is never touched; a migration is whole or not there at
 * all; what is created is readable by its owner only.
 *
 * @module
 */
import { closeSync, existsSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { StoreError } from "../types.ts";
import { databaseError } from "./errors.ts";
import { MIGRATIONS } from "./migrations.ts";

/** "EMSm", so that file(1) and this program know the file. */
const APPLICATION_ID = 0x454d536d;
/**
 * Measured with this schema, 1000 maildrops and 20 messages a commit, against 4 KiB pages: messages of 4 kB cost 10 to
 * 15 % less processor and (each delivery rewriting a page of another maildrop) up to 15 % more time; messages of 50 kB
 * cost 25 % less processor and 30 to 40 % less time.
 */
export const PAGE_OCTETS = 16_384;
/** After a burst the WAL file is cut back to this. */
const WAL_LIMIT_OCTETS = 64 * 1024 * 1024;
/** Pages kept in memory by the writer's connection: the hot ends of all trees, however many maildrops there are. */
const WRITER_CACHE_KIB = 64 * 1024;
const READER_CACHE_KIB = 8 * 1024;

/** How long a process waits for another one's transaction before it says busy. */
export const BUSY_TIMEOUT_MS = 5000;

/** Recipient states as the file holds them. */
export const STATES = [
  "queued",
  "delivered",
  "failed",
  "held",
  "deferred",
  "relayed",
  "handed",
  "expanded",
  "dropped",
] as const;

/** The schema this program writes. */
export const SCHEMA_VERSION: number = MIGRATIONS.length;

/** How to open the file. */
export interface ConnectOptions {
  /** @default {5000} */
  readonly busyTimeoutMs?: number;
  /** For a new file. @default {16384} */
  readonly pageOctets?: number;
}

/**
 * Opens the file for writing, makes it where there is none, and brings its schema up to date.
 *
 * @throws {StoreError} `newer-schema`, `damaged`, `busy` or `full`
 */
export function connectForWriting(path: string, options: ConnectOptions = {}): DatabaseSync {
  const { busyTimeoutMs = BUSY_TIMEOUT_MS, pageOctets = PAGE_OCTETS } = options;
  let database: DatabaseSync | undefined;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    // SQLite gives -wal and -shm the mode of the file, so it has to be right before the first connection.
    if (!existsSync(path)) closeSync(openSync(path, "a", 0o600));
    database = new DatabaseSync(path, { timeout: busyTimeoutMs, enableForeignKeyConstraints: false });
    checkOwner(database, path);
    database.exec(`
      PRAGMA page_size = ${pageOctets};
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      PRAGMA cache_size = -${WRITER_CACHE_KIB};
      PRAGMA journal_size_limit = ${WAL_LIMIT_OCTETS};
      PRAGMA temp_store = MEMORY;
      PRAGMA trusted_schema = OFF;
    `);
    migrate(database, path);
    return database;
  } catch (error) {
    database?.close();
    throw openingError(error, path);
  }
}

/**
 * Opens the file for reading only.
 *
 * @throws {StoreError} `missing` where there is no file, `newer-schema`, `damaged` or `busy`
 */
export function connectForReading(path: string, options: ConnectOptions = {}): DatabaseSync {
  if (!existsSync(path)) {
    throw new StoreError(
      "missing",
      `there is no store at '${path}': start the server once, or name its data folder`,
    );
  }
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { readOnly: true, timeout: options.busyTimeoutMs ?? BUSY_TIMEOUT_MS });
    checkOwner(database, path);
    if (versionOf(database) < SCHEMA_VERSION) {
      throw new StoreError(
        "missing",
        `'${path}' has schema version ${versionOf(database)} and needs ${SCHEMA_VERSION}: ` +
          `start the server of this emsmail once, which brings it up to date`,
      );
    }
    database.exec(`PRAGMA cache_size = -${READER_CACHE_KIB}; PRAGMA trusted_schema = OFF;`);
    return database;
  } catch (error) {
    database?.close();
    throw openingError(error, path);
  }
}

function openingError(error: unknown, path: string): unknown {
  if (error instanceof StoreError) return error;
  const { code, message } = error as { code?: unknown; message?: unknown };
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new StoreError("full", `no room left for '${path}': free space on its disk or raise its quota`);
  }
  if (typeof code === "string" && /^E[A-Z]+$/.test(code)) {
    return new StoreError(
      "damaged",
      `can't make '${path}' (${message}): make its folder writable for this user`,
    );
  }
  return databaseError(error, path) ?? error;
}

function versionOf(database: DatabaseSync): number {
  return database.prepare("PRAGMA user_version").get()!.user_version as number;
}

function checkOwner(database: DatabaseSync, path: string): void {
  const id = database.prepare("PRAGMA application_id").get()!.application_id;
  const tables = database.prepare("SELECT count(*) AS count FROM sqlite_schema").get()!.count as number;
  if (id !== APPLICATION_ID && tables > 0) {
    throw new StoreError("damaged", `'${path}' is a database of another program: name another data folder`);
  }
  const version = versionOf(database);
  if (version > SCHEMA_VERSION) {
    throw new StoreError(
      "newer-schema",
      `'${path}' has schema version ${version}, and this emsmail knows versions up to ${SCHEMA_VERSION}: ` +
        `use an emsmail that knows schema version ${version}`,
    );
  }
}

function migrate(database: DatabaseSync, path: string): void {
  if (versionOf(database) === SCHEMA_VERSION) return;
  database.exec("BEGIN IMMEDIATE");
  try {
    // Looked at again: another process may have done the work while this one waited.
    checkOwner(database, path);
    for (let version = versionOf(database); version < SCHEMA_VERSION; version++) {
      database.exec(MIGRATIONS[version]!);
      database.exec(`PRAGMA user_version = ${version + 1}`);
    }
    database.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
    database.exec("COMMIT");
  } catch (error) {
    if (database.isTransaction) database.exec("ROLLBACK");
    throw error;
  }
}
