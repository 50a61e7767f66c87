/**
 * {@linkcode DropFiles} over the file system.
 *
 * Guarantees: no symbolic link is followed at the end of a path, and nothing but an ordinary file is read: whoever may write
 * into a shared folder can't have this server read other files for them.
 *
 * @module
 */
import { constants } from "node:fs";
import { type FileHandle, lstat, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import type { DropFiles } from "./types.ts";

/** Octets read at a time. */
const READ_OCTETS = 128 * 1024;
/** The other system reads what is written here, as one of the folder's group. */
const MODE = 0o660;
const { O_CREAT, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_TRUNC, O_WRONLY } = constants;

export const dropFiles: DropFiles = {
  list: (folder) => readdir(folder),
  async size(path) {
    try {
      const found = await lstat(path);
      return found.isFile() ? found.size : undefined;
    } catch (error) {
      if (codeOf(error) === "ENOENT") return undefined;
      throw error;
    }
  },
  async *read(path) {
    // A FIFO must not keep the server waiting for a writer.
    const file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    try {
      if (!(await file.stat()).isFile()) throw new Error(`${path} is not an ordinary file`);
      for (;;) {
        const { bytesRead, buffer } = await file.read(new Uint8Array(READ_OCTETS), 0, READ_OCTETS, null);
        if (bytesRead === 0) return;
        yield buffer.subarray(0, bytesRead);
      }
    } finally {
      await file.close();
    }
  },
  async write(path, content) {
    const file = await open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, MODE);
    try {
      for await (const part of content) await writeAll(file, part);
      await file.sync();
    } finally {
      await file.close();
    }
  },
  rename: (from, to) => rename(from, to),
  remove: (path) => rm(path, { force: true }),
  async sync(folder) {
    const handle = await open(folder, O_RDONLY | O_DIRECTORY);
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
  async makeFolder(path) {
    await mkdir(path, { recursive: true, mode: 0o770 });
  },
};

async function writeAll(file: FileHandle, octets: Uint8Array): Promise<void> {
  for (let at = 0; at < octets.length;) {
    at += (await file.write(octets, at, octets.length - at, null)).bytesWritten;
  }
}

/** `ENOENT`, `ENOSPC`; "" where an error has no such code. */
export function codeOf(error: unknown): string {
  const { code } = error as { readonly code?: unknown };
  return typeof code === "string" ? code : "";
}

/** What went wrong with a folder or a file in it, for people. */
export function fileProblem(path: string, error: unknown): string {
  switch (codeOf(error)) {
    case "ENOENT":
      return `${path} is not there`;
    case "ENOTDIR":
      return `${path} is not a folder`;
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return `the server may not write to ${path}`;
    case "ENOSPC":
    case "EDQUOT":
      return `there is no room left in ${path}`;
    default:
      return `${path}: ${error instanceof Error ? error.message : String(error)}`;
  }
}
