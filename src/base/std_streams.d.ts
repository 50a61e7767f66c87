/**
 * The types of what is used here of `@std/streams`: the package that stands in for it ships none.
 *
 * Import as: `// @ts-types="../base/std_streams.d.ts"` above `import { … } from "@std/streams"`.
 *
 * @module
 */

type Octets = Uint8Array<ArrayBuffer>;

/** Passes on the octets from place `start` to place `end`, both included and counted from 0, and ends its source there. */
export class ByteSliceStream extends TransformStream<Octets, Octets> {
  constructor(start?: number, end?: number);
}

/** Cuts a stream of octets where `delimiter` stands, which it leaves out. */
export class DelimiterStream extends TransformStream<Octets, Octets> {
  constructor(delimiter: Uint8Array);
}
