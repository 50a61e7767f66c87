/** The types of what is used of `@std/yaml`; the package that stands in for it ships none. @module */

/** The text is not YAML. */
export class YamlSyntaxError extends SyntaxError {
  /** Counted from 1. */
  readonly line: number;
  /** Counted from 1. */
  readonly column: number;
}

export interface ParseOptions {
  /** Take the last of several equal keys instead of throwing. @default false */
  readonly allowDuplicateKeys?: boolean;
}

/** The text's one document as plain values; null where it holds none. @throws {YamlSyntaxError} */
export function parse(content: string, options?: ParseOptions): unknown;
