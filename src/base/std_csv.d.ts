/**
 * The types of what is used here of `@std/csv`: the package that stands in for it ships none.
 *
 * Import as: `// @ts-types="../base/std_csv.d.ts"` above `import { … } from "@std/csv"`.
 *
 * @module
 */

export interface ParseOptions {
  /** @default "," */
  readonly separator?: string;
}

/** The text's rows; empty lines are passed over. @throws {SyntaxError} at the first quotation mark that is out of place */
export function parse(input: string, options?: ParseOptions): string[][];

/** Rows as text, each ended by CRLF. Trap: a cell with a bare CR is not quoted. */
export function stringify(rows: readonly (readonly string[])[], options?: { readonly bom?: boolean }): string;
