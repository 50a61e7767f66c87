/**
 * SQLite's failures as the store's own, each with a sentence that tells the operator what to do.
 *
 * Guarantees: what SQLite says never decides by its wording where it gives a result code (Deno leaves the code out of
 * errors that `exec` throws, and only there the text stands in).
 *
 * @module
 */
import { StoreError } from "../types.ts";

/** Primary result codes, https://sqlite.org/rescode.html. */
const BUSY = 5;
const LOCKED = 6;
const READONLY = 8;
const IOERR = 10;
const CORRUPT = 11;
const FULL = 13;
const CANTOPEN = 14;
const CONSTRAINT = 19;
const NOTADB = 26;

const TEXTS: readonly (readonly [RegExp, number])[] = [
  [/database is locked|database table is locked/, BUSY],
  [/readonly database/, READONLY],
  [/disk I\/O error/, IOERR],
  [/malformed/, CORRUPT],
  [/database or disk is full/, FULL],
  [/unable to open/, CANTOPEN],
  [/constraint failed/, CONSTRAINT],
  [/not a database/, NOTADB],
];

/** The primary result code of an error SQLite threw; undefined for any other error. */
function resultCode(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, errcode } = error as Error & { code?: unknown; errcode?: unknown };
  if (code !== "ERR_SQLITE_ERROR") return undefined;
  if (typeof errcode === "number") return errcode & 0xff;
  return TEXTS.find(([text]) => text.test(error.message))?.[1];
}

/** Whether an error says that a key is taken. */
export function isConstraint(error: unknown): boolean {
  return resultCode(error) === CONSTRAINT;
}

/**
 * Gives the store's error for a failure of the whole database (busy, full, damaged); undefined for a failure that is
 * one operation's own.
 */
export function databaseError(error: unknown, path: string): StoreError | undefined {
  const said = error instanceof Error ? error.message : String(error);
  switch (resultCode(error)) {
    case BUSY:
    case LOCKED:
      return new StoreError("busy", `another process holds '${path}' for writing: try again when it is done`);
    case FULL:
      return new StoreError("full", `no room left for '${path}': free space on its disk or raise its quota`);
    case READONLY:
    case CANTOPEN:
      return new StoreError(
        "damaged",
        `'${path}' can't be opened or written (${said}): its folder and the files emsmail.db, -wal and -shm must belong ` +
          `to the user that runs emsmail, on a disk mounted for writing`,
      );
    case IOERR:
      return new StoreError(
        "damaged",
        `the disk failed under '${path}' (${said}): look for errors in the system log and check the disk before going on`,
      );
    case CORRUPT:
      return new StoreError("damaged", `'${path}' is damaged (${said}): stop emsmail and restore a backup`);
    case NOTADB:
      return new StoreError(
        "damaged",
        `'${path}' is not a database: restore a backup, or name another data folder`,
      );
    default:
      return undefined;
  }
}

/** Gives the store's error where there is one, and any other as it was. */
export function asStoreError(error: unknown, path: string): unknown {
  return databaseError(error, path) ?? error;
}
