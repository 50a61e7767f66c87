/**
 * One POP3 session a maildrop (RFC 1939 4), over all threads of the process, and the time of each account's last log-in
 * for LOGIN-DELAY (RFC 2449 6.5).
 *
 * Guarantees: of two sessions that want a maildrop at the same moment one gets it. A lock whose holder has been silent
 * for the takeover time, or whose thread is gone, is taken over by the next that wants it; the one it was taken from can
 * never touch or release the new one's lock, and learns of it by `touch` or `stillOurs`. Whoever deletes at QUIT must
 * `touch` first: after a true answer it has the whole takeover time to commit.
 *
 * An account's place is its number modulo the table's size. Numbers are never used again, so only after a million accounts
 * ever made do two share a place; then one of them may hear "in use" while the other is in, and nothing worse.
 * The table takes 12 MiB of address space, of which the pages of accounts in use become memory. It dies with the process,
 * as its sessions do. Commands of a second process (`emsmail mail delete`) take no lock here.
 *
 * Layout: for each account a 64-bit word, token (high half) and second of the last activity (low half), changed together;
 * then for each account the second of its last log-in, then the count of tokens given out. A token is 27 bits of that count
 * and 5 bits of the thread; 0 is free.
 *
 * @module
 */
import type { Clock } from "../../base/clock.ts";
import { MAILDROP_LOCKS, MAILDROP_TAKEOVER_MS, THREADS } from "../../base/limits.ts";
import { checkThread } from "../../base/shared.ts";
import type { Account } from "../../store/types.ts";

/** A maildrop held by a session. */
export interface MaildropLock {
  /** Says that the client is alive; false where the maildrop has been taken over. Cheap: once a second at most it writes. */
  touch(): boolean;
  /** Whether the maildrop is still this session's. */
  stillOurs(): boolean;
  /** Gives the maildrop back, if it is still this session's. */
  release(): void;
}

export type Acquired =
  | { readonly kind: "acquired"; readonly lock: MaildropLock }
  | { readonly kind: "in-use" };

export interface MaildropLocksOptions {
  readonly clock: Clock;
  /** 0 to 31, each thread its own. */
  readonly thread: number;
  /** Silence after which a lock is taken over, in milliseconds; whole seconds count. @default {MAILDROP_TAKEOVER_MS} */
  readonly takeoverMs?: number;
}

const COUNTS = 2 ** 27;
const COUNT_OCTETS = Uint32Array.BYTES_PER_ELEMENT;
const ENTRY_OCTETS = BigUint64Array.BYTES_PER_ELEMENT + Uint32Array.BYTES_PER_ELEMENT;

export class MaildropLocks {
  readonly #words: BigUint64Array;
  readonly #logins: Uint32Array;
  /** Shared, so that two objects of one thread (before and after new settings) never give out the same token. */
  readonly #tokens: Uint32Array;
  readonly #clock: Clock;
  readonly #thread: number;
  readonly #takeoverSeconds: number;

  /** The memory of new locks, for the constructor in each thread. */
  static create(accounts: number = MAILDROP_LOCKS): SharedArrayBuffer {
    return new SharedArrayBuffer(accounts * ENTRY_OCTETS + COUNT_OCTETS);
  }

  constructor(buffer: SharedArrayBuffer, options: MaildropLocksOptions) {
    const accounts = (buffer.byteLength - COUNT_OCTETS) / ENTRY_OCTETS;
    this.#words = new BigUint64Array(buffer, 0, accounts);
    this.#logins = new Uint32Array(buffer, accounts * BigUint64Array.BYTES_PER_ELEMENT, accounts);
    this.#tokens = new Uint32Array(buffer, accounts * ENTRY_OCTETS, 1);
    this.#clock = options.clock;
    this.#thread = checkThread(options.thread);
    this.#takeoverSeconds = Math.max(1, Math.ceil((options.takeoverMs ?? MAILDROP_TAKEOVER_MS) / 1000));
  }

  /** Takes an account's maildrop for a session, and notes the time of the log-in. */
  acquire(account: Pick<Account, "id">): Acquired {
    const place = this.#place(account);
    const now = this.#nowSeconds();
    const held = Atomics.load(this.#words, place);
    const silent = now - Number(held & 0xffff_ffffn);
    if (held !== 0n && silent < this.#takeoverSeconds) return { kind: "in-use" };
    const word = this.#newToken() << 32n | BigInt(now);
    // Where another was faster, it is in, this very second.
    if (Atomics.compareExchange(this.#words, place, held, word) !== held) return { kind: "in-use" };
    Atomics.store(this.#logins, place, now);
    return { kind: "acquired", lock: this.#lock(place, word) };
  }

  /** Whether the account's last log-in is at least `delaySeconds` ago. To be asked before {@linkcode acquire}. */
  loginAllowed(account: Pick<Account, "id">, delaySeconds: number): boolean {
    const last = Atomics.load(this.#logins, this.#place(account));
    const now = this.#nowSeconds();
    // A log-in in the future is a clock that was set back.
    return last === 0 || now < last || now - last >= delaySeconds;
  }

  /** Frees all maildrops whose sessions a thread held. Only for a thread that is gone. */
  releaseThread(thread: number): void {
    const slot = BigInt(checkThread(thread));
    for (let place = 0; place < this.#words.length; place++) {
      const word = Atomics.load(this.#words, place);
      if (word !== 0n && (word >> 32n) % BigInt(THREADS) === slot) {
        Atomics.compareExchange(this.#words, place, word, 0n);
      }
    }
  }

  #lock(place: number, firstWord: bigint): MaildropLock {
    const token = firstWord >> 32n;
    let word = firstWord;
    const stillOurs = () => Atomics.load(this.#words, place) >> 32n === token;
    return {
      stillOurs,
      touch: () => {
        const now = token << 32n | BigInt(this.#nowSeconds());
        if (now === word) return stillOurs();
        // Only this session writes words with its token, so either the word is as it left it, or the maildrop is gone.
        if (Atomics.compareExchange(this.#words, place, word, now) !== word) return false;
        word = now;
        return true;
      },
      release: () => void Atomics.compareExchange(this.#words, place, word, 0n),
    };
  }

  /** A token that is never 0 and comes again only after 134 million log-ins. */
  #newToken(): bigint {
    const count = Atomics.add(this.#tokens, 0, 1) % (COUNTS - 1) + 1;
    return BigInt(count * THREADS + this.#thread);
  }

  #place(account: Pick<Account, "id">): number {
    return account.id % this.#words.length;
  }

  #nowSeconds(): number {
    return Math.floor(this.#clock.nowMs() / 1000);
  }
}
