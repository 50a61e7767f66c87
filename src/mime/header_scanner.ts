/**
 * Looks through a message's header section as it arrives, for what the server must know before it has the whole.
 *
 * Guarantees: the same findings however the octets are cut; at most {@linkcode HEADER_OCTETS} are looked at, whatever
 * follows; keeps no view of what it was given. Where the section ends is told by the rule of header.ts: its first
 * empty line, or the first line that is neither a field nor the folding of one.
 *
 * States: begin -> fields -> done. Each line is searched for its end by the runtime's native search and then told by
 * its first octets; only the fields named below are compared, by length first, and only the captured ones are copied.
 *
 * Absent on purpose: any field not in the two lists. parseHeader() is for the whole header of a message at rest.
 *
 * @module
 */
import { asBuffer, latin1, LF } from "../base/bytes.ts";
import { HEADER_OCTETS } from "../base/limits.ts";
import { clean } from "../mail/reply.ts";
import { fieldNameLength, isFolded, isMboxLine, withoutCr } from "./field_name.ts";
import { unfold } from "./header.ts";

/** Fields whose first value is kept. */
export type CapturedField = "from" | "sender" | "subject" | "message-id";

/** Fields that are counted. */
export type ScannedField =
  | CapturedField
  | "date"
  | "to"
  | "cc"
  | "bcc"
  | "reply-to"
  | "received"
  | "return-path"
  | "delivered-to"
  | "auto-submitted"
  | "mime-version"
  | "content-type";

/** A Message-ID longer than a line may be (RFC 5322 2.1.1) is kept up to here, in characters. */
const MESSAGE_ID_CHARACTERS = 998;

interface Known {
  readonly name: ScannedField;
  /** Lower-case octets of the name. */
  readonly octets: Uint8Array;
  readonly captured: boolean;
}

const CAPTURED: readonly ScannedField[] = ["from", "sender", "subject", "message-id"];
const COUNTED: readonly ScannedField[] = [
  "date",
  "to",
  "cc",
  "bcc",
  "reply-to",
  "received",
  "return-path",
  "delivered-to",
  "auto-submitted",
  "mime-version",
  "content-type",
];

/** Known fields by the length of their names. */
const KNOWN: readonly (readonly Known[] | undefined)[] = (() => {
  const byLength: Known[][] = [];
  for (const name of [...CAPTURED, ...COUNTED]) {
    const octets = new TextEncoder().encode(name);
    (byLength[octets.length] ??= []).push({ name, octets, captured: CAPTURED.includes(name) });
  }
  return byLength;
})();

export class HeaderScanner {
  readonly #counts = new Map<ScannedField, number>();
  /** Raw values of captured fields, one code unit an octet. */
  readonly #values = new Map<ScannedField, string>();
  #state: "begin" | "fields" | "done" = "begin";
  /** The captured field that the next folded line belongs to. */
  #capturing: ScannedField | undefined;
  /** A field has begun, so that a folded line can go on with it. */
  #inField = false;
  /** The unfinished line, in the first octets. */
  #partial = new Uint8Array(0);
  #partialLength = 0;
  #consumed = 0;
  #headerOctets = 0;
  #mboxLineOctets = 0;

  /** Looks at the next octets of the message. */
  push(bytes: Uint8Array): void {
    if (this.#state === "done") return;
    const room = HEADER_OCTETS - this.#consumed;
    const section = asBuffer(bytes.length > room ? bytes.subarray(0, room) : bytes);
    this.#consumed += section.length;
    let at = 0;
    while (at < section.length && !this.done) {
      const end = section.indexOf(LF, at);
      if (end < 0) {
        this.#keep(section.subarray(at));
        break;
      }
      if (this.#partialLength === 0) this.#line(section.subarray(at, end), 1);
      else {
        this.#keep(section.subarray(at, end));
        this.#line(this.#takePartial(), 1);
      }
      at = end + 1;
    }
    if (this.#consumed >= HEADER_OCTETS) this.end();
  }

  /** Says that the message ends here: a header without a body, or a last line without its end, counts as it stands. */
  end(): void {
    if (this.#state === "done") return;
    if (this.#partialLength > 0) this.#line(this.#takePartial(), 0);
    this.#state = "done";
  }

  /** The header section is over, or the limit reached; nothing more will be found. */
  get done(): boolean {
    return this.#state === "done";
  }

  /** Octets of the header section with the empty line behind it, as far as it was looked at. */
  get headerOctets(): number {
    return this.#headerOctets;
  }

  /** Octets of an mbox separator in front of the first field, which doesn't belong to the message; 0 without one. */
  get mboxLineOctets(): number {
    return this.#mboxLineOctets;
  }

  /** How many Received fields there are (RFC 5321 6.3). */
  get receivedCount(): number {
    return this.count("received");
  }

  /** How often a field occurs. */
  count(name: ScannedField): number {
    return this.#counts.get(name) ?? 0;
  }

  /** Whether a field occurs. */
  has(name: ScannedField): boolean {
    return this.#counts.has(name);
  }

  /** The first field of that name, unfolded, encoded words as they stand; "" where there is none. */
  value(name: CapturedField): string {
    return unfold(this.#values.get(name) ?? "");
  }

  /** The Message-ID without its brackets and without control characters; "" where there is none. */
  get messageId(): string {
    const value = clean(this.value("message-id"));
    const open = value.indexOf("<");
    const close = value.indexOf(">", open);
    const id = open >= 0 && close > open ? value.slice(open + 1, close) : value;
    return id.trim().slice(0, MESSAGE_ID_CHARACTERS);
  }

  /** One line, without its LF; `ending` is the octets of that LF: 0 at the end of the message. */
  #line(lineWithCr: Uint8Array, ending: 0 | 1): void {
    const octets = lineWithCr.length + ending;
    const line = withoutCr(lineWithCr);
    if (line.length === 0 && ending === 1) {
      this.#headerOctets += octets;
      this.#state = "done";
      return;
    }
    const first = this.#state === "begin";
    this.#state = "fields";
    if (this.#inField && isFolded(line)) this.#folded(line);
    else if (!this.#field(line)) {
      if (!(first && isMboxLine(line))) {
        this.#state = "done";
        return;
      }
      this.#mboxLineOctets = octets;
    }
    this.#headerOctets += octets;
  }

  #folded(line: Uint8Array): void {
    if (this.#capturing === undefined) return;
    this.#values.set(this.#capturing, `${this.#values.get(this.#capturing)}\r\n${latin1(line)}`);
  }

  #field(line: Uint8Array): boolean {
    const length = fieldNameLength(line);
    if (length === 0) return false;
    this.#inField = true;
    this.#capturing = undefined;
    const known = KNOWN[length]?.find((each) => sameName(line, each.octets));
    if (known === undefined) return true;
    const count = this.count(known.name) + 1;
    this.#counts.set(known.name, count);
    if (known.captured && count === 1) {
      this.#capturing = known.name;
      const text = latin1(line);
      this.#values.set(known.name, text.slice(text.indexOf(":", length) + 1));
    }
    return true;
  }

  #keep(bytes: Uint8Array): void {
    const needed = this.#partialLength + bytes.length;
    if (needed > this.#partial.length) {
      const larger = new Uint8Array(Math.max(needed, 128, this.#partial.length * 2));
      larger.set(this.#partial.subarray(0, this.#partialLength));
      this.#partial = larger;
    }
    this.#partial.set(bytes, this.#partialLength);
    this.#partialLength = needed;
  }

  #takePartial(): Uint8Array {
    const line = this.#partial.subarray(0, this.#partialLength);
    this.#partialLength = 0;
    return line;
  }
}

/** Whether a line begins with a name given in lower case; a name's letters and hyphens all have bit 32 set then. */
function sameName(line: Uint8Array, lower: Uint8Array): boolean {
  for (let i = 0; i < lower.length; i++) if ((line[i]! | 32) !== lower[i]) return false;
  return true;
}
