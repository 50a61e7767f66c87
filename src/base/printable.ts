/**
 * Text from messages and clients, made fit to be shown to a person.
 *
 * Guarantees: nothing that comes out can move a cursor, change a colour, set a window's title, reorder what stands
 * beside it (Unicode's bidirectional controls) or forge a second line. What is shown is for reading only: it can't be
 * turned back into the octets it came from.
 *
 * @module
 */

/**
 * Terminal control sequences (ECMA-48): CSI (`ESC [ … final`, or its one-octet form U+009B), the string controls
 * OSC, DCS, SOS, PM and APC up to their terminator (BEL or ST) or the line's end, and the shorter `ESC x` forms.
 */
const ESCAPE_SEQUENCE =
  // deno-lint-ignore no-control-regex -- control characters are what is looked for
  /(?:\u001b\[|\u009b)[\u0030-\u003f]*[\u0020-\u002f]*[\u0040-\u007e]?|(?:\u001b[\]PX^_]|[\u009d\u0090\u0098\u009e\u009f])[^\u0007\u001b\u009c\r\n]*(?:\u0007|\u009c|\u001b\\)?|\u001b[\u0020-\u002f]*[\u0030-\u007e]?/g;

/** Bidirectional embeddings, overrides, isolates and marks (UAX #9), and the invisible joiners used to hide text. */
const INVISIBLE = /[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]/g;

// deno-lint-ignore no-control-regex -- control characters are what is taken out
const CONTROL_EXCEPT_TAB_AND_LF = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

// deno-lint-ignore no-control-regex -- control characters are what is taken out
const CONTROL_RUN = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g;

/** One line: control sequences are taken out, every run of control characters becomes one space. */
export function printableLine(text: string): string {
  return text.replace(ESCAPE_SEQUENCE, "").replace(INVISIBLE, "").replace(CONTROL_RUN, " ");
}

/** Several lines, ended by LF: tabs stay, control sequences and all other control characters are taken out. */
export function printableText(text: string): string {
  return text.replace(/\r\n?|\u2028|\u2029/g, "\n").replace(ESCAPE_SEQUENCE, "").replace(INVISIBLE, "")
    .replace(CONTROL_EXCEPT_TAB_AND_LF, "");
}
