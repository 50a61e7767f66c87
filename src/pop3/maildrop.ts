/**
 * A maildrop while a session has it open: its messages in columns and the marks that DELE leaves on them.
 *
 * Guarantees: a message keeps its number for the whole session (RFC 1939 3); opening costs one pass over the sizes
 * and one octet a message; nothing is removed here, the marks are for the UPDATE state.
 *
 * @module
 */
import type { OpenMaildrop } from "./types.ts";

export class Maildrop {
  readonly #source: OpenMaildrop;
  readonly #marks: Uint8Array;
  #messages: number;
  #octets = 0;

  constructor(source: OpenMaildrop) {
    this.#source = source;
    this.#marks = new Uint8Array(source.sizes.length);
    this.#messages = source.sizes.length;
    this.#octets = this.#sum();
  }

  /** Messages, marked ones included: the highest message number. */
  get length(): number {
    return this.#marks.length;
  }

  /** Messages without a mark. */
  get messages(): number {
    return this.#messages;
  }

  /** Octets of the messages without a mark. */
  get octets(): number {
    return this.#octets;
  }

  isDeleted(index: number): boolean {
    return this.#marks[index] === 1;
  }

  size(index: number): number {
    return this.#source.sizes[index]!;
  }

  uniqueId(index: number): string {
    return this.#source.uniqueId(index);
  }

  /** Marks a message that has no mark yet. */
  delete(index: number): void {
    this.#marks[index] = 1;
    this.#messages--;
    this.#octets -= this.size(index);
  }

  /** RSET: takes all marks away. */
  undelete(): void {
    if (this.#messages === this.length) return;
    this.#marks.fill(0);
    this.#messages = this.length;
    this.#octets = this.#sum();
  }

  /** Indexes of the marked messages, rising. */
  deleted(): number[] {
    const indexes: number[] = [];
    if (this.#messages === this.length) return indexes;
    for (let i = 0; i < this.length; i++) if (this.#marks[i] === 1) indexes.push(i);
    return indexes;
  }

  #sum(): number {
    let octets = 0;
    for (let i = 0; i < this.length; i++) octets += this.#source.sizes[i]!;
    return octets;
  }
}

/** Code units in one slice of a listing: what is written at a time, however long the listing is. */
const SLICE_LENGTH = 16 * 1024;

/** The lines of LIST or UIDL, a slice at a time. */
export class Listing {
  readonly #maildrop: Maildrop;
  readonly #column: "sizes" | "unique-ids";
  #index = 0;

  constructor(maildrop: Maildrop, column: "sizes" | "unique-ids") {
    this.#maildrop = maildrop;
    this.#column = column;
  }

  /** The next lines, the terminating one included at the end; "" when all are out. */
  slice(): string {
    const maildrop = this.#maildrop;
    let text = "";
    for (; this.#index < maildrop.length && text.length < SLICE_LENGTH; this.#index++) {
      if (!maildrop.isDeleted(this.#index)) text += scanListing(maildrop, this.#index, this.#column) + "\r\n";
    }
    if (text.length < SLICE_LENGTH && this.#index === maildrop.length) {
      this.#index++;
      text += ".\r\n";
    }
    return text;
  }
}

/** RFC 1939 5 and 7: `number size`, or `number unique-id`. */
export function scanListing(maildrop: Maildrop, index: number, column: "sizes" | "unique-ids"): string {
  return `${index + 1} ${column === "sizes" ? maildrop.size(index) : maildrop.uniqueId(index)}`;
}
