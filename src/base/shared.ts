/**
 * What the threads of one process count together: sessions, sessions of one client, and octets of messages in memory.
 *
 * Guarantees: a limit is never exceeded, whatever threads do at the same moment (a count is raised first and taken
 * back where it went too far, so two that meet at the last place may both be turned away). What a thread counted can be
 * taken back when it is gone. All by Atomics on one SharedArrayBuffer of fixed size; nothing here waits.
 *
 * A client is a network (client_network.ts) in one of 2048 places, found by a hash with a salt that nobody outside can
 * know. Two clients in the same place count as one: then the limit per client falls on both together, and one of them may
 * be told to come back later. Nothing else happens, and no client can choose whom it meets.
 *
 * Layout: octets in memory (64-bit, one for all and one a thread), then 32-bit rows, row 0 for all threads and row 1 + t
 * for thread t, then the salt. A row: one number for each kind of session, then the clients' places, kind by kind.
 *
 * @module
 */
import { createHmac } from "node:crypto";
import { clientNetwork } from "./client_network.ts";
import { THREADS } from "./limits.ts";
import type { Random } from "./random.ts";

/**
 * SMTP receivers and POP3 sessions; the buffer host's receivers, counted apart so that they leave users theirs; and
 * strangers on a listener that is closed to them, who are about to be gone.
 */
export type SessionKind = "receiver" | "pop3" | "buffer" | "stranger";

/** How many sessions may be open at a time. */
export interface SessionLimits {
  readonly total: number;
  /** Of one client. @default as many as `total` */
  readonly perClient?: number;
}

/** `full`: no more in all; `client-full`: no more of this client. */
export type Entry = "entered" | "full" | "client-full";

const KINDS: readonly SessionKind[] = ["receiver", "pop3", "buffer", "stranger"];
const PLACES = 2048;
const ROW = KINDS.length * (1 + PLACES);
const ROWS = 1 + THREADS;
const SALT_OCTETS = 32;
const REMEMBERED_CLIENTS = 1000;
const SESSIONS_AT = ROWS * BigInt64Array.BYTES_PER_ELEMENT;
const SALT_AT = SESSIONS_AT + ROWS * ROW * Int32Array.BYTES_PER_ELEMENT;

export class SharedCounters {
  /** To be given to the other threads. */
  readonly buffer: SharedArrayBuffer;
  readonly #octets: BigInt64Array;
  readonly #sessions: Int32Array;
  readonly #salt: Uint8Array;
  readonly #row: number;
  /** Places found lately: the hash costs more than all the counting. */
  readonly #placeOf = new Map<string, number>();

  /** The memory of new counters, for the constructor in each thread. */
  static create(random: Random): SharedArrayBuffer {
    const buffer = new SharedArrayBuffer(SALT_AT + SALT_OCTETS);
    new Uint8Array(buffer, SALT_AT).set(random.bytes(SALT_OCTETS));
    return buffer;
  }

  /** The counters in `buffer` as thread `thread` (0 to 31) sees them; each thread must have its own number. */
  constructor(buffer: SharedArrayBuffer, options: { readonly thread: number }) {
    this.buffer = buffer;
    this.#row = 1 + checkThread(options.thread);
    this.#octets = new BigInt64Array(buffer, 0, ROWS);
    this.#sessions = new Int32Array(buffer, SESSIONS_AT, ROWS * ROW);
    this.#salt = new Uint8Array(buffer, SALT_AT, SALT_OCTETS).slice();
  }

  /** Counts a session of `client` (an address) in, unless a limit forbids. Each `entered` needs one {@linkcode leave}. */
  tryEnter(kind: SessionKind, client: string, limits: SessionLimits): Entry {
    const total = KINDS.indexOf(kind);
    if (this.#add(total, 1) > limits.total) {
      this.#add(total, -1);
      return "full";
    }
    const place = this.#place(kind, client);
    if (this.#add(place, 1) > (limits.perClient ?? limits.total)) {
      this.#add(place, -1);
      this.#add(total, -1);
      return "client-full";
    }
    return "entered";
  }

  /** Counts a session out again. */
  leave(kind: SessionKind, client: string): void {
    this.#add(this.#place(kind, client), -1);
    this.#add(KINDS.indexOf(kind), -1);
  }

  /** Open sessions of a kind, in all threads. */
  sessions(kind: SessionKind): number {
    return Atomics.load(this.#sessions, KINDS.indexOf(kind));
  }

  /** Counts message octets that are now held in memory. Each needs its {@linkcode releaseOctets}. */
  addOctets(octets: number): void {
    Atomics.add(this.#octets, 0, BigInt(octets));
    Atomics.add(this.#octets, this.#row, BigInt(octets));
  }

  /** Counts message octets that are in memory no more. */
  releaseOctets(octets: number): void {
    this.addOctets(-octets);
  }

  /** Message octets held in memory, in all threads. */
  octets(): number {
    return Number(Atomics.load(this.#octets, 0));
  }

  /** Whether more message octets are held than `limitOctets`: then sockets wait. */
  over(limitOctets: number): boolean {
    return this.octets() > limitOctets;
  }

  /** Takes back all that a thread has counted. Only for a thread that is gone. */
  releaseThread(thread: number): void {
    const row = 1 + checkThread(thread);
    Atomics.sub(this.#octets, 0, Atomics.exchange(this.#octets, row, 0n));
    for (let column = 0; column < ROW; column++) {
      const counted = Atomics.exchange(this.#sessions, row * ROW + column, 0);
      if (counted !== 0) Atomics.sub(this.#sessions, column, counted);
    }
  }

  /** Adds to a column for this thread and for all; gives the new number for all. */
  #add(column: number, change: number): number {
    Atomics.add(this.#sessions, this.#row * ROW + column, change);
    return Atomics.add(this.#sessions, column, change) + change;
  }

  #place(kind: SessionKind, client: string): number {
    let place = this.#placeOf.get(client);
    if (place === undefined) {
      place = createHmac("sha256", this.#salt).update(clientNetwork(client)).digest().readUInt32LE(0) %
        PLACES;
      if (this.#placeOf.size >= REMEMBERED_CLIENTS) this.#placeOf.clear();
      this.#placeOf.set(client, place);
    }
    return KINDS.length + KINDS.indexOf(kind) * PLACES + place;
  }
}

/** A thread's number, checked. @throws {RangeError} */
export function checkThread(thread: number): number {
  if (Number.isInteger(thread) && thread >= 0 && thread < THREADS) return thread;
  throw new RangeError(`thread number ${thread} is not in 0 to ${THREADS - 1}`);
}
