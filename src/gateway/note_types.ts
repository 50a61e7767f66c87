/**
 * What a note says, and what is wrong with it: the shapes that its parser, its addressees and its errors share.
 *
 * @module
 */

/** Where something stands in a note. */
export interface Place {
  /** From 1. */
  readonly line: number;
  /** From 1, in characters. */
  readonly column: number;
  /** In characters; 0 points between two. */
  readonly length: number;
}

/** One thing that is wrong. */
export interface NoteProblem extends Place {
  /** What is wrong, without a final full stop. */
  readonly message: string;
  /** What would be right; may be several lines, and "" where the message says it all. */
  readonly hint: string;
}

/** The header field that a recipient comes to stand in; of `bcc` nobody is told. */
export type NoteHeader = "to" | "cc" | "bcc";

/** One recipient, as it is written. */
export interface NoteRecipient extends Place {
  readonly header: NoteHeader;
  /** The gateway in force, in lower case and without its slash; undefined: none is named. */
  readonly gateway: string | undefined;
  /** `BOBL`, `bobl@example.com`, `"bob l"@example.com`; a quoted name without its quotes. */
  readonly text: string;
  /** What stands in front of `<…>`; "" without. */
  readonly displayName: string;
}

export type NotePriority = "low" | "normal" | "high";
/** What the sender asks to be told: that it was delivered, or (besides) that it was read. */
export type NoteAck = "delivered" | "read";

/** A word of a note with its place. */
export interface NoteWord extends Place {
  readonly text: string;
}

/** A note. What isn't there is undefined or empty. */
export interface Note {
  /** Of all headers, in order of appearance. */
  readonly recipients: readonly NoteRecipient[];
  readonly subject: NoteWord | undefined;
  /** Reports to attach, in upper case, each once. */
  readonly reports: readonly NoteWord[];
  readonly priority: NotePriority | undefined;
  readonly ack: NoteAck | undefined;
  /** Lines ended by LF, the last one perhaps not. */
  readonly text: string;
}

/** A line being read. Offsets are of its text, in UTF-16 code units. */
export interface NoteLine {
  /** From 1. */
  readonly number: number;
  readonly text: string;
}

/** Takes what is wrong. */
export type TellProblem = (place: Place, message: string, hint?: string) => void;

/** The place of a stretch of a line. */
export function placeOf({ number, text }: NoteLine, from: number, to: number): Place {
  return {
    line: number,
    column: characters(text.slice(0, from)) + 1,
    length: characters(text.slice(from, to)),
  };
}

function characters(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}
