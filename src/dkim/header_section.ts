/**
 * The header section of a message that passes in pieces, and which of its fields a signature covers.
 *
 * Guarantees: keeps {@linkcode HEADER_OCTETS} and one piece at most; the section ends at its first empty line (CRLF or
 * LF), for verifiers take nothing else for its end.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { CR, fromLatin1, LF } from "../base/bytes.ts";
import { HEADER_OCTETS } from "../base/limits.ts";
import type { Header } from "../mime/header.ts";

/** RFC 6376 5.4.1, and what tells how the body is to be read. RFC 8058 4 adds List-Unsubscribe-Post. */
export const SIGNED_FIELDS: readonly string[] = [
  "From",
  "Sender",
  "Reply-To",
  "Subject",
  "Date",
  "Message-ID",
  "To",
  "Cc",
  "MIME-Version",
  "Content-Type",
  "Content-Transfer-Encoding",
  "In-Reply-To",
  "References",
  "Resent-Date",
  "Resent-From",
  "Resent-To",
  "Resent-Cc",
  "Resent-Message-ID",
  "List-Id",
  "List-Help",
  "List-Unsubscribe",
  "List-Unsubscribe-Post",
  "List-Subscribe",
  "List-Post",
  "List-Owner",
  "List-Archive",
];
const NAMES: ReadonlyMap<string, string> = new Map(SIGNED_FIELDS.map((name) => [name.toLowerCase(), name]));

/** Named once more than they occur, so that one more of them breaks the signature (RFC 6376 8.15). */
const OVERSIGNED: readonly string[] = ["From", "Subject", "Date", "To", "Cc"];

/** A header has each of these fields once; more than so many are an attack on whoever reads the signature. */
export const SIGNED_FIELDS_MAX = 100;

/** One field as the signer takes it. */
export interface SignedField {
  /** Its name in lower case. */
  readonly key: string;
  /** What stands in h= for it: its name, and behind it those that are oversigned. */
  readonly casedKey: string;
  /** Its octets without the last line end. */
  readonly line: Buffer;
}

/** The fields that a signature covers, in their order in the header, which has a From field. */
export function signedFields(header: Header): SignedField[] {
  const fields: { key: string; casedKey: string; line: Buffer }[] = [];
  for (const { name, raw } of header.fields) {
    const casedKey = NAMES.get(name.toLowerCase());
    if (casedKey === undefined) continue;
    fields.push({ key: name.toLowerCase(), casedKey, line: Buffer.from(fromLatin1(`${name}:${raw}`)) });
  }
  const from = fields.find(({ key }) => key === "from");
  for (const name of OVERSIGNED) {
    // Verifiers count from the bottom (RFC 6376 5.4.2), so the topmost of a name is the last that h= names.
    const topmost = fields.find(({ key }) => key === name.toLowerCase()) ?? from;
    if (topmost !== undefined) topmost.casedKey += `: ${name}`;
  }
  return fields;
}

/** Gathers the header section. */
export class HeaderSection {
  #octets = Buffer.alloc(4096);
  #length = 0;
  /** Octets of the line at hand, and the last of them. */
  #lineOctets = 0;
  #last = 0;
  #tooLarge = false;

  /** Takes the next octets; gives those behind the section once it has ended, and undefined before. */
  push(octets: Uint8Array): Uint8Array | undefined {
    for (let i = 0; i < octets.length; i++) {
      const octet = octets[i]!;
      if (octet !== LF) {
        this.#lineOctets++;
        this.#last = octet;
        continue;
      }
      const empty = this.#lineOctets === 0 || (this.#lineOctets === 1 && this.#last === CR);
      this.#lineOctets = 0;
      if (!empty) continue;
      this.#keep(octets.subarray(0, i + 1));
      return octets.subarray(i + 1);
    }
    this.#keep(octets);
    return undefined;
  }

  /** The section has more than {@linkcode HEADER_OCTETS}; the rest was not kept. */
  get tooLarge(): boolean {
    return this.#tooLarge;
  }

  get octets(): Uint8Array {
    return this.#octets.subarray(0, this.#length);
  }

  #keep(octets: Uint8Array): void {
    const kept = octets.subarray(0, HEADER_OCTETS - this.#length);
    if (kept.length < octets.length) this.#tooLarge = true;
    const needed = this.#length + kept.length;
    if (needed > this.#octets.length) {
      const larger = Buffer.alloc(Math.max(needed, Math.min(HEADER_OCTETS, 2 * this.#octets.length)));
      this.#octets.copy(larger, 0, 0, this.#length);
      this.#octets = larger;
    }
    this.#octets.set(kept, this.#length);
    this.#length = needed;
  }
}
