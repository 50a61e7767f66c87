/**
 * The terminal, or whatever stands in its place: what commands print to and read from.
 *
 * Guarantees: colours only where standard output is a terminal and NO_COLOR is unset or empty; a reader that goes away
 * (`emsmail mail list … | head`) ends the output quietly. Writes wait for a slow reader, so that a message of any size
 * passes at constant memory.
 *
 * @module
 */
import process from "node:process";

export interface Io {
  /** Writes text or octets to standard output. */
  out(data: string | Uint8Array): Promise<void>;
  /** Writes text to standard error. */
  err(text: string): Promise<void>;
  readonly outIsTerminal: boolean;
  /** Cells in a line of the terminal; undefined where output goes elsewhere. */
  readonly width: number | undefined;
  readonly colour: boolean;
  readonly colourErr: boolean;
}

/** This process's own terminal. */
export function processIo(): Io {
  const outIsTerminal = process.stdout.isTTY === true;
  const plain = (process.env.NO_COLOR ?? "") !== "" || process.env.TERM === "dumb";
  return {
    out: writer(process.stdout),
    err: writer(process.stderr),
    outIsTerminal,
    width: outIsTerminal && process.stdout.columns > 0 ? process.stdout.columns : undefined,
    colour: outIsTerminal && !plain,
    colourErr: process.stderr.isTTY === true && !plain,
  };
}

function writer(stream: NodeJS.WriteStream): (data: string | Uint8Array) => Promise<void> {
  let gone = false;
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") gone = true;
    else throw error;
  });
  return (data) =>
    new Promise((resolve) => {
      if (gone || data.length === 0) return resolve();
      stream.write(data, () => resolve());
    });
}

/** `text` in bold where `on`. */
export function bold(text: string, on: boolean): string {
  return on ? `\u001b[1m${text}\u001b[22m` : text;
}

/** A value as JSON with an end of line; what a terminal could act on is escaped, so that nothing is lost or obeyed. */
export function json(value: unknown): string {
  const text = JSON.stringify(value, null, 2);
  return text.replace(
    /[\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  ) + "\n";
}
