/**
 * Slowing down who guesses passwords, without giving anybody a way to lock a user out.
 *
 * Guarantees:
 * - A wait comes before the password is looked at, so that its length says nothing about the password; and it comes
 *   before remembered passwords are looked at, too.
 * - A right password is never refused. It may have to wait.
 * - From an address where an account's owner has logged in before, failures elsewhere cost the owner nothing: such a pair
 *   of account and address waits for its own failures only.
 * - From any other address that has not failed itself, an owner waits 5 seconds at most, however many guess.
 * - An address that fails on gets one try in 15 seconds, over all its connections: its tries take turns. A try whose turn
 *   would come later than in 15 seconds is told to come back ("busy"): a temporary reply, before the password is looked at.
 * - Each failure is forgotten in 5 minutes.
 *
 * An address is a network of client_network.ts (an IPv6 /64). All threads share the counts, in tables of fixed size under
 * salted hashes (base/shared_table.ts), which the process loses when it ends. Where a table is full the oldest entry goes.
 * A success clears no count, or an attacker with an account of their own would clear theirs between tries.
 *
 * Before any failure is counted, an address may have as many tries under way as it may have connections.
 *
 * @module
 */
import { clientNetwork } from "../../base/client_network.ts";
import { type Clock, sleep } from "../../base/clock.ts";
import { LOGIN_FAILURE_MS, LOGIN_WAIT_ACCOUNT_MS, LOGIN_WAIT_ADDRESS_MS } from "../../base/limits.ts";
import type { Random } from "../../base/random.ts";
import { SharedTable, TABLE_STEP_MS, type TableEntry } from "../../base/shared_table.ts";
import type { AccountId } from "../../store/types.ts";

/** The guard's memory, to be given to every thread. */
export interface GuardBuffers {
  readonly failures: SharedArrayBuffer;
  readonly known: SharedArrayBuffer;
}

/** Who tries to log in. */
export interface LoginTry {
  /** The name's local part in canonical form: the same whether an account has it or not, so that waits tell nothing. */
  readonly name: string;
  /** The account of that name, if there is one. */
  readonly account: AccountId | undefined;
  /** The client's address. */
  readonly client: string;
}

/** One kind of wait: `free` failures cost nothing, the next one second, then each doubles up to `maxMs`. */
interface WaitPolicy {
  readonly free: number;
  readonly maxMs: number;
}

/** An address, or an account at a known address: three mistypings are human. */
const OWN: WaitPolicy = { free: 3, maxMs: LOGIN_WAIT_ADDRESS_MS };
/** An account, by failures from everywhere. */
const ACCOUNT: WaitPolicy = { free: 5, maxMs: LOGIN_WAIT_ACCOUNT_MS };

/** 128 KiB: addresses, accounts and pairs that failed lately. */
const FAILURE_ENTRIES = 16_384;
/** 512 KiB: pairs of account and address that were right before. */
const KNOWN_ENTRIES = 65_536;
/** Failures are counted in fractions of this size, so that they fade steadily. */
const FAILURE = 4096;
/** Enough to stay at the longest wait while tries go on, few enough to be forgotten in an hour. */
const MAX_FAILURES = 12;
const FIRST_WAIT_MS = 1000;
/** The table rounds times up. */
const LONGEST_TURN_MS = LOGIN_WAIT_ADDRESS_MS + TABLE_STEP_MS;

export class LoginGuard {
  readonly #clock: Clock;
  readonly #failures: SharedTable;
  readonly #known: SharedTable;

  /** The memory of a new guard. */
  static create(options: { readonly clock: Clock; readonly random: Random }): GuardBuffers {
    const table = { random: options.random, nowMs: options.clock.nowMs() };
    return {
      failures: SharedTable.create(FAILURE_ENTRIES, table),
      known: SharedTable.create(KNOWN_ENTRIES, table),
    };
  }

  constructor(buffers: GuardBuffers, options: { readonly clock: Clock }) {
    this.#clock = options.clock;
    this.#failures = new SharedTable(buffers.failures);
    this.#known = new SharedTable(buffers.known);
  }

  /** Waits until the try may go ahead; `busy` where its turn would be too far off. */
  async turn(attempt: LoginTry): Promise<"go" | "busy"> {
    const names = namesOf(attempt);
    const known = this.#isKnown(attempt, names);
    const own = this.#takeTurn(known ? names.pair : names.client);
    if (own === "busy") return "busy";
    // A wait for the account is not a turn: turns could be used up by strangers.
    const others = known ? 0 : this.#waitMs(ACCOUNT, this.#failures.get(names.name));
    const waitMs = Math.max(own, others);
    if (waitMs > 0) await sleep(this.#clock, waitMs);
    return "go";
  }

  /** Counts a failed try, against the address and the name. */
  failed(attempt: LoginTry): void {
    const names = namesOf(attempt);
    this.#count(names.client);
    this.#count(names.name);
    if (this.#isKnown(attempt, names)) this.#count(names.pair);
  }

  /** Remembers that the account's owner uses this address. */
  succeeded(attempt: LoginTry): void {
    this.#known.mark(namesOf(attempt).pair, this.#clock.nowMs());
  }

  #isKnown(attempt: LoginTry, names: { readonly pair: string }): boolean {
    return attempt.account !== undefined && this.#known.marked(names.pair) !== undefined;
  }

  /** Milliseconds until a name's next turn, which is taken; or `busy`, and nothing is taken. */
  #takeTurn(name: string): number | "busy" {
    const nowMs = this.#clock.nowMs();
    let waitMs = 0;
    this.#failures.update(name, (entry) => {
      const intervalMs = this.#waitMs(OWN, entry);
      waitMs = entry === undefined || intervalMs === 0 ? 0 : Math.max(0, entry.atMs + intervalMs - nowMs);
      if (entry === undefined || intervalMs === 0 || waitMs > LONGEST_TURN_MS) return undefined;
      return { value: fadedAt(entry, nowMs), atMs: nowMs + waitMs };
    });
    return waitMs > LONGEST_TURN_MS ? "busy" : waitMs;
  }

  #count(name: string): void {
    const nowMs = this.#clock.nowMs();
    this.#failures.update(name, (entry) => ({
      value: Math.min(MAX_FAILURES * FAILURE, fadedAt(entry, nowMs) + FAILURE),
      // A turn that was given away already lies in the future: the next comes after it.
      atMs: Math.max(entry?.atMs ?? 0, nowMs),
    }));
  }

  #waitMs(policy: WaitPolicy, entry: TableEntry | undefined): number {
    const failures = fadedAt(entry, this.#clock.nowMs()) / FAILURE;
    const beyond = Math.ceil(failures - policy.free);
    return beyond <= 0 ? 0 : Math.min(policy.maxMs, FIRST_WAIT_MS * 2 ** (beyond - 1));
  }
}

/** What is left of an entry's failures. */
function fadedAt(entry: TableEntry | undefined, nowMs: number): number {
  if (entry === undefined) return 0;
  const passedMs = Math.max(0, nowMs - entry.atMs);
  return Math.max(0, entry.value - passedMs * FAILURE / LOGIN_FAILURE_MS);
}

/** Names in the tables; an account's number holds no NUL, so no two pairs are one name. */
function namesOf(
  attempt: LoginTry,
): { readonly client: string; readonly name: string; readonly pair: string } {
  const client = clientNetwork(attempt.client);
  return {
    client: `client\0${client}`,
    name: `name\0${attempt.name}`,
    pair: `pair\0${attempt.account}\0${client}`,
  };
}
