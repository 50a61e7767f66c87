/**
 * The body hash of a DKIM signature: "relaxed" canonicalization (RFC 6376 3.4.4) and SHA-256, as the body arrives.
 *
 * Guarantees: the same hash however the octets are cut; time in proportion to their number and memory in proportion to
 * the largest piece, whatever they are (one line of 50 MB, nothing but line ends). A LF alone ends a line like CRLF; a
 * CR alone is an octet like others.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { CR, LF } from "../base/bytes.ts";

const TAB = 9;
const SPACE = 32;
/** Line ends that were held back are hashed so many at a time. */
const RUN_LINES = 512;
const RUN = Buffer.from("\r\n".repeat(RUN_LINES), "latin1");

export class RelaxedBodyHash {
  readonly #hash = createHash("sha256");
  /** White space was read that is written as one space if anything follows it in its line. */
  #space: "pending" | "none" = "none";
  /** A CR was read whose meaning the next octet tells. */
  #cr: "pending" | "none" = "none";
  /** Line ends that are written if anything follows them. */
  #lineEnds = 0;
  #empty: "empty" | "content" = "empty";
  /** What is hashed next; kept, so that each piece doesn't need new memory. */
  #out = Buffer.alloc(0);

  /** Hashes the next octets of the body. */
  update(octets: Uint8Array): void {
    // Each octet gives one at most, but for a LF that was alone and what was held back from before.
    if (this.#out.length < 2 * octets.length + 4) this.#out = Buffer.alloc(2 * octets.length + 4);
    const out = this.#out;
    let length = 0;
    const write = (octet: number): void => {
      if (this.#lineEnds > 0) {
        if (this.#lineEnds === 1) {
          out[length++] = CR;
          out[length++] = LF;
        } else {
          this.#hash.update(out.subarray(0, length));
          length = 0;
          this.#writeLineEnds();
        }
        this.#lineEnds = 0;
      }
      if (this.#space === "pending") {
        out[length++] = SPACE;
        this.#space = "none";
      }
      out[length++] = octet;
      this.#empty = "content";
    };
    for (let i = 0; i < octets.length; i++) {
      const octet = octets[i]!;
      if (octet === LF) {
        this.#cr = "none";
        this.#space = "none";
        this.#lineEnds++;
        continue;
      }
      if (this.#cr === "pending") {
        this.#cr = "none";
        write(CR);
      }
      if (octet === SPACE || octet === TAB) this.#space = "pending";
      else if (octet === CR) this.#cr = "pending";
      else write(octet);
    }
    this.#hash.update(out.subarray(0, length));
  }

  /** The hash in base64, once everything was given. Empty lines at the end don't count (RFC 6376 3.4.4). */
  digest(): string {
    // No LF came: the CR is content. Another one behind it brings it out, and is itself left pending.
    if (this.#cr === "pending") this.update(Uint8Array.of(CR));
    if (this.#empty === "content") this.#hash.update(RUN.subarray(0, 2));
    return this.#hash.digest("base64");
  }

  #writeLineEnds(): void {
    for (let left = this.#lineEnds; left > 0; left -= RUN_LINES) {
      this.#hash.update(RUN.subarray(0, 2 * Math.min(left, RUN_LINES)));
    }
  }
}
