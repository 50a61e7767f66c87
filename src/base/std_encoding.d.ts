/**
 * The types of what is used here of `@std/encoding`: the package that stands in for it ships none.
 *
 * Import as: `// @ts-types="../base/std_encoding.d.ts"` above `import { … } from "@std/encoding"`.
 * Trap: `encodeBase64` may take the buffer under a Node `Buffer` away (it copies with `slice`, which a Buffer doesn't):
 * give it a plain Uint8Array.
 *
 * @module
 */

/** Octets as base64 with padding (RFC 4648 4). */
export function encodeBase64(data: ArrayBuffer | Uint8Array | string): string;
/** Decodes base64, with padding or without. @throws {TypeError | RangeError} where the text is not base64 */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer>;
/** Octets as lower-case hexadecimal (RFC 4648 8). */
export function encodeHex(data: ArrayBuffer | Uint8Array | string): string;
/** Decodes hexadecimal of either case. @throws {TypeError | RangeError} where the text is not hexadecimal */
export function decodeHex(text: string): Uint8Array<ArrayBuffer>;
