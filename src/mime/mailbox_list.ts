/**
 * The mailboxes of a From, To or Cc field (RFC 5322 3.4), for people to read.
 *
 * Guarantees: never fails, takes time in proportion to the text, gives {@linkcode MAILBOXES} at most, each on one
 * line. Takes quoted strings, comments (nested by counting), groups, routes (`<@a,@b:c@d>`), encoded words, and the
 * old `address (Name)` form. Not a check: what it gives as an address need not be one; parseAddress() tells.
 *
 * @module
 */
import { printableLine } from "../base/printable.ts";
import { decodeEncodedWords } from "./encoded_word.ts";

/** More than anybody reads in one field. */
export const MAILBOXES = 1000;

export interface Mailbox {
  /** The display name, decoded; "" where there is none. */
  readonly name: string;
  /** `local@domain` as written, without brackets and comments. */
  readonly address: string;
}

/** What was read of the mailbox at hand. */
interface Draft {
  /** Words outside brackets: the display name, or a bare address. */
  phrase: string;
  /** An "@" was read outside brackets, so that a colon is no group's. */
  at: "seen" | "not-seen";
  comment: string;
  /** What stood in brackets; undefined without any. */
  angle: string | undefined;
}

/** Reads a field's unfolded value; entries without any address are left out. */
export function parseMailboxList(value: string): Mailbox[] {
  const mailboxes: Mailbox[] = [];
  let draft = emptyDraft();
  let at = 0;
  const finish = () => {
    const mailbox = toMailbox(draft);
    if (mailbox !== undefined) mailboxes.push(mailbox);
    draft = emptyDraft();
  };
  while (at < value.length && mailboxes.length < MAILBOXES) {
    const character = value[at]!;
    if (character === "," || character === ";") {
      finish();
      at++;
    } else if (character === ":" && draft.angle === undefined && draft.at === "not-seen") {
      // What was read is a group's name.
      draft = emptyDraft();
      at++;
    } else at = readPiece(value, at, draft);
  }
  if (mailboxes.length < MAILBOXES) finish();
  return mailboxes;
}

function emptyDraft(): Draft {
  return { phrase: "", at: "not-seen", comment: "", angle: undefined };
}

/** Reads a quoted string, comment, bracketed address or run of other characters at `at`; gives where it ends. */
function readPiece(value: string, at: number, draft: Draft): number {
  switch (value[at]) {
    case '"': {
      const quoted = readQuoted(value, at);
      // Quoted text stays quoted where it is a local part.
      draft.phrase += value[quoted.end] === "@" ? value.slice(at, quoted.end) : quoted.text;
      return quoted.end;
    }
    case "(": {
      const comment = readComment(value, at);
      if (draft.comment === "") draft.comment = comment.text;
      draft.phrase += " ";
      return comment.end;
    }
    case "<": {
      const bracket = readBracket(value, at);
      draft.angle ??= bracket.text;
      return bracket.end;
    }
    default: {
      let end = at + 1;
      while (end < value.length && !'",;:(<'.includes(value[end]!)) end++;
      const words = value.slice(at, end);
      draft.phrase += words;
      if (words.includes("@")) draft.at = "seen";
      return end;
    }
  }
}

function readQuoted(value: string, at: number): { text: string; end: number } {
  let text = "";
  let end = at + 1;
  while (end < value.length && value[end] !== '"') {
    if (value[end] === "\\") end++;
    text += value[end] ?? "";
    end++;
  }
  return { text, end: Math.min(end + 1, value.length) };
}

function readComment(value: string, at: number): { text: string; end: number } {
  let text = "";
  let depth = 0;
  let end = at;
  for (; end < value.length; end++) {
    const character = value[end]!;
    if (character === "(" && depth++ === 0) continue;
    if (character === ")" && --depth === 0) break;
    text += character === "\\" ? value[++end] ?? "" : character;
  }
  return { text, end: Math.min(end + 1, value.length) };
}

function readBracket(value: string, at: number): { text: string; end: number } {
  let text = "";
  let end = at + 1;
  while (end < value.length && value[end] !== ">") {
    if (value[end] === '"') {
      const quoted = readQuoted(value, end);
      text += value.slice(end, quoted.end);
      end = quoted.end;
    } else text += value[end++];
  }
  // RFC 5322 4.4: an obsolete route in front of the address is passed over.
  const route = /^\s*@[^:"]*:/.exec(text);
  return { text: route === null ? text : text.slice(route[0].length), end: Math.min(end + 1, value.length) };
}

function toMailbox(draft: Draft): Mailbox | undefined {
  const phrase = draft.phrase.trim().replace(/\s+/g, " ");
  const name = draft.angle === undefined ? draft.comment : phrase || draft.comment;
  const address = printableLine(draft.angle ?? phrase).trim();
  if (address === "") return undefined;
  return { name: decodeEncodedWords(name).trim(), address };
}
