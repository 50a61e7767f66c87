/**
 * Files that commands read and write.
 *
 * Guarantees: a file is written whole or not at all; what is there is replaced only where that was asked for.
 *
 * @module
 */
import { createReadStream } from "node:fs";
import { dirname } from "node:path";
import process from "node:process";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { AdminError } from "../admin/error.ts";
import { printableLine } from "../base/printable.ts";

/** A file's octets, or those of standard input for `-`. @throws {AdminError} where it can't be read */
export async function* readOctets(file: string): AsyncGenerator<Uint8Array> {
  const source = file === "-" ? process.stdin : createReadStream(file);
  try {
    for await (const part of source) yield part as Uint8Array;
  } catch (error) {
    throw unreadable(file === "-" ? "standard input" : file, error);
  }
}

/** The error for what reading a file threw. */
export function unreadable(file: string, error: unknown): AdminError {
  const { code, message } = error as { readonly code?: string; readonly message: string };
  const shown = printableLine(file);
  switch (code) {
    case "ENOENT":
      return new AdminError(`there is no file ${shown}`, "name a file that is there");
    case "EISDIR":
      return new AdminError(`${shown} is a folder`, "name a file in it");
    default:
      return new AdminError(`can't read ${shown}: ${message}`, "name a file that this user may read");
  }
}

/** Writes a file, readable for its owner alone; gives how many octets it has. @throws {AdminError} then there is no part of it */
export async function writeWhole(
  path: string,
  parts: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { replace, advice }: {
    readonly replace: "yes" | "no";
    /** What to do where it is there already, or can't be written. */
    readonly advice: string;
  },
): Promise<number> {
  // What is replaced stays as it is until the new one is whole.
  const writing = replace === "yes" ? `${path}.part` : path;
  let file: FileHandle;
  try {
    file = await open(writing, "wx", 0o600);
  } catch (error) {
    throw unwritable(writing, error, advice);
  }
  let octets = 0;
  try {
    for await (const part of parts) {
      await file.writeFile(part);
      octets += part.length;
    }
    await file.close();
    if (replace === "yes") await rename(writing, path);
  } catch (error) {
    await file.close().catch(() => {});
    await rm(writing, { force: true });
    throw error instanceof AdminError ? error : unwritable(path, error, advice);
  }
  return octets;
}

function unwritable(path: string, error: unknown, advice: string): AdminError {
  const { code, message } = error as { readonly code?: string; readonly message: string };
  const shown = printableLine(path);
  switch (code) {
    case "EEXIST":
      return new AdminError(`${shown} is there already`, advice);
    case "ENOENT":
      return new AdminError(
        `there is no folder ${printableLine(dirname(path))}`,
        "make it first, or name another",
      );
    default:
      return new AdminError(`can't write ${shown}: ${message}`, advice);
  }
}
