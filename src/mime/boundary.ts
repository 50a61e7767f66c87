/**
 * Boundaries of multiparts, and the lines that are their delimiters (RFC 2046 5.1.1).
 *
 * ```abnf
 * delimiter         = CRLF "--" boundary transport-padding CRLF
 * close-delimiter   = CRLF "--" boundary "--" transport-padding [CRLF]
 * transport-padding = *LWSP-char
 * ```
 *
 * Guarantees: pure; a line is a delimiter only as a whole, so a boundary that another one begins with is not taken for it.
 * The octets of a boundary are compared as they stand, whatever character set they might be of.
 *
 * @module
 */
import { CR, fromLatin1 } from "../base/bytes.ts";
import type { HeaderField } from "./header.ts";
import { rawParameter } from "./parameters.ts";

/** RFC 2046 5.1.1 allows 70; some programs write more. */
export const BOUNDARY_OCTETS = 200;
/** The longest line that has to be kept to be told from a delimiter: "--", boundary, "--"; what follows is white space. */
export const DELIMITER_OCTETS = BOUNDARY_OCTETS + 4;

const HYPHEN = 45;
const SPACE = 32;
const TAB = 9;

/** The octets that begin each delimiter of a multipart (`--boundary`); undefined where it names no boundary, or an impossible one. */
export function dashBoundary(fields: readonly HeaderField[]): Uint8Array | undefined {
  const field = fields.find((each) => each.name.toLowerCase() === "content-type");
  // A boundary can't end in white space: padding would hide it.
  const boundary = rawParameter(field?.raw ?? "", "boundary").trimEnd();
  if (boundary === "" || boundary.length > BOUNDARY_OCTETS || /[\r\n]/.test(boundary)) return undefined;
  return fromLatin1(`--${boundary}`);
}

/**
 * What a line is to one boundary: `delimiter` or `close`; `no`; or, while the line's end has not come (`ended` is
 * false), `more`: that can't be told yet.
 */
export function matchDelimiter(
  line: Uint8Array,
  delimiter: Uint8Array,
  options: { readonly ended: boolean },
): "no" | "more" | "delimiter" | "close" {
  const shared = Math.min(line.length, delimiter.length);
  for (let i = 0; i < shared; i++) if (line[i] !== delimiter[i]) return "no";
  if (line.length < delimiter.length) return options.ended ? "no" : "more";
  let at = delimiter.length;
  const closes = line[at] === HYPHEN && line[at + 1] === HYPHEN;
  if (closes) at += 2;
  else if (line[at] === HYPHEN) return options.ended || line.length > at + 1 ? "no" : "more";
  for (; at < line.length; at++) {
    if (line[at] !== SPACE && line[at] !== TAB && line[at] !== CR) return "no";
  }
  if (!options.ended) return "more";
  return closes ? "close" : "delimiter";
}
