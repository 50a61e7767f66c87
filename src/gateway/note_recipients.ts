/**
 * The recipients of one line of a note.
 *
 * ```abnf
 * recipients = *( gateway / recipient / separator )
 * separator  = 1*( SP / HTAB / "," / ";" )
 * gateway    = "/" 1*( ALPHA / DIGIT / "-" )      ; counts for what follows on the line, until the next
 * recipient  = word / quoted / [ phrase ] "<" word ">"
 * phrase     = 1*( word / quoted )                ; back to the last comma, semicolon or gateway
 * quoted     = DQUOTE *( any / "\" any ) DQUOTE   ; before "@" it is a local part (RFC 5321 4.1.2)
 * ```
 *
 * Guarantees: ends, whatever the line; each recipient and each mistake has its place. Whether anybody has a name is not
 * asked here (addressees.ts).
 *
 * @module
 */
import { nearest } from "../config/suggest.ts";
import {
  type NoteHeader,
  type NoteLine,
  type NoteRecipient,
  type NoteWord,
  placeOf,
  type TellProblem,
} from "./note_types.ts";

export interface RecipientsOptions {
  readonly header: NoteHeader;
  /** Names of gateways, in lower case. */
  readonly gateways: readonly string[];
  readonly tell: TellProblem;
}

/** Commands of a note, as a gateway's name is written. */
const COMMAND = /^(?:to|cc|bcc|subject|report|priority|ack)$/i;

interface Gateway {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  /** Whether anybody stands behind it. */
  used: "yes" | "no";
}

/** Reads what stands on a line from `from` on. */
export function parseRecipients(line: NoteLine, from: number, options: RecipientsOptions): NoteRecipient[] {
  const reader = new Reader(line, options);
  reader.read(from);
  return reader.recipients;
}

class Reader {
  readonly recipients: NoteRecipient[] = [];
  readonly #line: NoteLine;
  readonly #options: RecipientsOptions;
  /** Words since the last separator that counts: recipients, unless `<` makes them a name. */
  #words: NoteWord[] = [];
  #gateway: Gateway | undefined;

  constructor(line: NoteLine, options: RecipientsOptions) {
    this.#line = line;
    this.#options = options;
  }

  read(from: number): void {
    const { text } = this.#line;
    let at = from;
    while (at < text.length) {
      const character = text[at]!;
      if (/\s/.test(character)) at++;
      else if (character === "," || character === ";") {
        this.#flush();
        at++;
      } else if (character === "/") at = this.#readGateway(at);
      else if (character === '"') at = this.#readQuoted(at);
      else if (character === "<") at = this.#readBracket(at);
      else at = this.#readWord(at, at);
    }
    this.#flush();
    this.#endGateway();
  }

  /** Reads `/NAME`; gives where it ends. */
  #readGateway(from: number): number {
    this.#flush();
    this.#endGateway();
    const to = this.#endOfWord(from);
    const written = this.#line.text.slice(from + 1, to);
    const name = written.toLowerCase();
    const isKnown = this.#options.gateways.includes(name);
    if (!isKnown) {
      const message = name === ""
        ? "a gateway's name is missing behind the /"
        : `there is no gateway /${written}`;
      this.#tell(from, to, message, this.#gatewayHint(written));
    }
    // Who stands behind one that there isn't is asked when there is one.
    this.#gateway = { name, from, to, used: isKnown ? "no" : "yes" };
    return to;
  }

  /** What to say of a gateway that there isn't. */
  #gatewayHint(written: string): string {
    const { gateways } = this.#options;
    if (COMMAND.test(written)) return `/${written} is a command: begin a new line with it`;
    const guess = nearest(written.toLowerCase(), gateways);
    return guess === undefined
      ? `gateways of this system: ${gateways.map((each) => `/${each.toUpperCase()}`).join(", ")}`
      : `did you mean /${guess.toUpperCase()}?`;
  }

  #endGateway(): void {
    if (this.#gateway?.used !== "no") return;
    const { from, to } = this.#gateway;
    const written = this.#line.text.slice(from, to);
    this.#tell(from, to, `nobody stands behind ${written}`, `write who gets it: ${written} name@place`);
  }

  /** Reads a quoted name, a quoted part of a name, or a local part in quotes. */
  #readQuoted(from: number): number {
    const { text } = this.#line;
    const quoted = readQuoted(text, from);
    if (quoted === undefined) {
      this.#tell(from, text.length, "the quotes are never closed", 'end the name with "');
      this.#use();
      return text.length;
    }
    if (text[quoted.end] === "@") return this.#readWord(from, quoted.end);
    if (quoted.text.trim() === "") {
      this.#tell(from, quoted.end, "there is nothing between the quotes", "write a name there");
      this.#use();
    } else this.#words.push({ ...placeOf(this.#line, from, quoted.end), text: quoted.text.trim() });
    return this.#needGap(quoted.end, "the quotes");
  }

  /** Reads a word; `at` is where to look for its end. */
  #readWord(from: number, at: number): number {
    const to = this.#endOfWord(at);
    const text = this.#line.text.slice(from, to);
    const stray = text.indexOf(">");
    if (stray >= 0) {
      this.#tell(
        from + stray,
        from + stray + 1,
        "this > has no < before it",
        "write it as Name <name@domain>",
      );
      this.#use();
    } else this.#words.push({ ...placeOf(this.#line, from, to), text });
    return to;
  }

  /** Reads `<…>`; the words before it are its name. */
  #readBracket(from: number): number {
    const { text } = this.#line;
    const end = endOfBracket(text, from + 1);
    const words = this.#words;
    this.#words = [];
    if (end === undefined) {
      this.#tell(from, text.length, "this < is never closed", "end the address with >");
      this.#use();
      return text.length;
    }
    const crowd = words.find((word) => word.text.includes("@"));
    if (crowd !== undefined) {
      const message = `${crowd.text} and what follows it run together`;
      this.#options.tell(crowd, message, `put a comma between them: ${crowd.text}, …`);
    }
    const inside = text.slice(from + 1, end).trim();
    if (inside === "") {
      this.#tell(from, end + 1, "there is nothing between < and >", "write an address there");
    } else if (crowd === undefined) {
      const displayName = words.map((word) => word.text).join(" ");
      this.#add({ ...placeOf(this.#line, from, end + 1), text: inside }, displayName);
    }
    this.#use();
    return this.#needGap(end + 1, ">");
  }

  /** Something else must not begin right behind a quote or bracket. */
  #needGap(at: number, behind: string): number {
    const next = this.#line.text[at];
    if (next === undefined || /[\s,;<]/.test(next)) return at;
    const end = this.#endOfWord(at);
    this.#tell(at, end, `something stands right behind ${behind}`, "put a blank or a comma between them");
    return end;
  }

  /** Words that no `<` came behind are recipients of their own. */
  #flush(): void {
    for (const word of this.#words) this.#add(word, "");
    this.#words = [];
  }

  #add(word: NoteWord, displayName: string): void {
    const { header } = this.#options;
    this.recipients.push({ ...word, header, gateway: this.#gateway?.name, displayName });
    this.#use();
  }

  #use(): void {
    if (this.#gateway !== undefined) this.#gateway.used = "yes";
  }

  #endOfWord(from: number): number {
    const found = /[\s,;<]/.exec(this.#line.text.slice(from + 1));
    return found === null ? this.#line.text.length : from + 1 + found.index;
  }

  #tell(from: number, to: number, message: string, hint: string): void {
    this.#options.tell(placeOf(this.#line, from, to), message, hint);
  }
}

/** A quoted string that begins at `from`, and where it ends; undefined where it isn't closed. */
function readQuoted(text: string, from: number): { readonly text: string; readonly end: number } | undefined {
  let inside = "";
  for (let at = from + 1; at < text.length; at++) {
    if (text[at] === '"') return { text: inside, end: at + 1 };
    if (text[at] === "\\" && at + 1 < text.length) at++;
    inside += text[at];
  }
  return undefined;
}

/** Where the `>` of a bracket is whose inside begins at `from`. */
function endOfBracket(text: string, from: number): number | undefined {
  for (let at = from; at < text.length; at++) {
    if (text[at] === ">") return at;
    if (text[at] === '"') {
      const quoted = readQuoted(text, at);
      if (quoted === undefined) return undefined;
      at = quoted.end - 1;
    }
  }
  return undefined;
}
