/**
 * Passwords that were found right a short while ago, so that a client that polls each minute costs no scrypt each time.
 *
 * Guarantees: what is kept is an HMAC under a key that lives in this object only; it covers the account, its stored hash
 * and the password, so that a new password or a removed account is forgotten at once (the caller reads the account's row
 * at each log-in). Nothing is kept longer than `PASSWORD_MEMORY_MS` after the scrypt that proved it, however often it is
 * used. At most `PASSWORD_MEMORY_ENTRIES` are kept; the oldest goes first. Each thread has its own.
 *
 * @module
 */
import { createHmac } from "node:crypto";
import type { Clock } from "../../base/clock.ts";
import { PASSWORD_MEMORY_ENTRIES, PASSWORD_MEMORY_MS } from "../../base/limits.ts";
import type { Random } from "../../base/random.ts";

/** What was proved: this password belongs to this hash of this account. */
export interface Proof {
  readonly accountId: number;
  readonly passwordHash: string;
  readonly password: string;
}

export class RememberedPasswords {
  readonly #clock: Clock;
  readonly #key: Uint8Array;
  readonly #max: number;
  /** Tag of the proof to the time it ends, oldest first. */
  readonly #until = new Map<string, number>();

  constructor(options: { readonly clock: Clock; readonly random: Random; readonly entries?: number }) {
    this.#clock = options.clock;
    this.#key = options.random.bytes(32);
    this.#max = options.entries ?? PASSWORD_MEMORY_ENTRIES;
  }

  /** Whether the same was proved lately. */
  has(proof: Proof): boolean {
    const tag = this.#tag(proof);
    const untilMs = this.#until.get(tag);
    if (untilMs === undefined) return false;
    if (untilMs > this.#clock.nowMs()) return true;
    this.#until.delete(tag);
    return false;
  }

  /** Remembers what was just proved. */
  add(proof: Proof): void {
    const nowMs = this.#clock.nowMs();
    // All are kept equally long, so the first ones end first.
    for (const [tag, untilMs] of this.#until) {
      if (untilMs > nowMs && this.#until.size < this.#max) break;
      this.#until.delete(tag);
    }
    const tag = this.#tag(proof);
    this.#until.delete(tag);
    this.#until.set(tag, nowMs + PASSWORD_MEMORY_MS);
  }

  #tag(proof: Proof): string {
    // Neither a number nor a hash holds a NUL, so the three can't run into each other.
    return createHmac("sha256", this.#key)
      .update(`${proof.accountId}\0${proof.passwordHash}\0${proof.password}`)
      .digest("base64");
  }
}
