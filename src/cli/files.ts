/**
 * What to say of a file that can't be read.
 *
 * @module
 */
import { AdminError } from "../admin/error.ts";
import { printableLine } from "../base/printable.ts";

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
