/**
 * What both stores decide alike of reports.
 *
 * @module
 */
import { type Report, type StoredContent, StoreError } from "./types.ts";

/** The contents of a version, each key once: a text without carriage control may be its own rendering. */
export function contentsOf({ file, rendered }: Omit<Report, "version">): StoredContent[] {
  const contents = [file, ...rendered === undefined ? [] : [rendered.text, rendered.pdf]];
  return contents.filter(({ key }, place) => contents.findIndex((other) => other.key === key) === place);
}

/** What is said where there is nothing to remove. */
export function missingReport(name: string, version: number | undefined): StoreError {
  return new StoreError(
    "missing",
    version === undefined
      ? `there is no report '${name}'`
      : `there is no version ${version} of report '${name}'`,
  );
}
