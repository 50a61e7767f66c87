/**
 * Reads what waits in the store: what is due, page by page, and what has come to a deadline.
 *
 * Guarantees: a recipient that came on record while a read was under way is not in what the read gives: what was read of it
 * is no longer so, and sending by it could send a message twice. What is due next is never told later than it is. Recipients
 * in hand don't hide those behind them.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import type { Clock } from "../base/clock.ts";
import type { MessageKey } from "../mail/message_id.ts";
import type { Deliveries, QueuedMessage } from "../store/types.ts";
import { handleOf } from "./destination.ts";
import { type Lane, mayRead } from "./lane.ts";

const log = getLogger(["emsmail", "outbound"]);

/** Recipients read at a time, from a lane that answers and from one that has to prove that it does. */
const PAGE = { proven: 200, unproven: 20 } as const;
/** Overdue recipients looked at in one go. */
const OVERDUE_PAGE = 100;
/** How soon to look again after a fault, or at what was due but in hand, in milliseconds. */
export const LATER_MS = 1_000;

export interface BacklogOptions {
  readonly deliveries: Pick<Deliveries, "due" | "overdue" | "nextDeadlineMs">;
  readonly clock: Clock;
  /** Takes deferred recipients that are due; those in hand already are passed over. */
  due(messages: readonly QueuedMessage[]): void;
  /** Takes deferred recipients whose deadline has come; resolves when they are on record, with how many were not in hand. */
  overdue(messages: readonly QueuedMessage[]): Promise<number>;
}

export class Backlog {
  readonly #options: BacklogOptions;
  /** For each read under way: what came on record since it began. */
  readonly #reads = new Set<Set<string>>();
  /** Recipients that were read as due and are not on record yet, with the lane they were read for. */
  readonly #paged = new Map<string, Lane>();
  #overduePage = OVERDUE_PAGE;
  #stopped = false;
  /** The earliest deadline; Infinity: none. */
  deadlineMs = Infinity;

  constructor(options: BacklogOptions) {
    this.#options = options;
  }

  /** Nothing is given any more. */
  stop(): void {
    this.#stopped = true;
  }

  /** A recipient is on record; gives the lane that may read on now. */
  settled(key: MessageKey, index: number): Lane | undefined {
    const handle = handleOf(key, index);
    for (const read of this.#reads) read.add(handle);
    const lane = this.#paged.get(handle);
    if (lane === undefined) return undefined;
    this.#paged.delete(handle);
    lane.paged--;
    return mayRead(lane) ? lane : undefined;
  }

  /** Reads the next page of what is due for a lane, and when the rest is. */
  async readPage(lane: Lane): Promise<void> {
    lane.reading = true;
    // What comes on record during the read makes it earlier again.
    lane.storedDueMs = Infinity;
    const nowMs = this.#options.clock.nowMs();
    const limit = (lane.failures > 0 ? PAGE.unproven : PAGE.proven) + lane.paged;
    try {
      await this.#guarded(async (unsettled) => {
        const messages = await this.#options.deliveries.due(lane.name, { dueMs: nowMs, limit });
        const read = handlesOf(messages);
        const nextMs = read.size < limit ? await this.#nextDueMs(lane, read) : nowMs;
        lane.storedDueMs = Math.min(lane.storedDueMs, nextMs);
        this.#give(lane, unsettled(messages));
      });
    } catch (error) {
      log.error("the queue can't be read; trying again", { destination: lane.name, error: String(error) });
      lane.storedDueMs = Math.min(lane.storedDueMs, nowMs + LATER_MS);
    } finally {
      lane.reading = false;
    }
  }

  /** Looks at what has come to its deadline, and when the next one will. */
  async lookAtDeadlines(): Promise<void> {
    const nowMs = this.#options.clock.nowMs();
    const limit = this.#overduePage;
    this.deadlineMs = Infinity;
    try {
      const { isAll, judging } = await this.#guarded(async (unsettled) => {
        const messages = await this.#options.deliveries.overdue({ deadlineMs: nowMs, limit });
        // Whoever takes them has them in hand when the guard ends.
        const given = this.#stopped ? [] : unsettled(messages);
        return { isAll: handlesOf(messages).size < limit, judging: this.#options.overdue(given) };
      });
      const judged = await judging;
      const nextMs = await this.#options.deliveries.nextDeadlineMs() ?? Infinity;
      this.#overduePage = judged === 0 && !isAll ? limit * 2 : OVERDUE_PAGE;
      // What is in hand keeps its deadline until it is on record.
      const isInHand = nextMs <= nowMs && (judged === 0 || isAll);
      this.deadlineMs = Math.min(this.deadlineMs, isInHand ? nowMs + LATER_MS : nextMs);
    } catch (error) {
      log.error("the queue's deadlines can't be read; trying again", { error: String(error) });
      this.deadlineMs = Math.min(this.deadlineMs, nowMs + LATER_MS);
    }
  }

  #give(lane: Lane, messages: readonly QueuedMessage[]): void {
    if (this.#stopped || messages.length === 0) return;
    for (const handle of handlesOf(messages)) {
      if (this.#paged.has(handle)) continue;
      this.#paged.set(handle, lane);
      lane.paged++;
    }
    this.#options.due(messages);
  }

  /** All that is due was read: what comes next is known by the first of the rest. */
  async #nextDueMs(lane: Lane, read: ReadonlySet<string>): Promise<number> {
    const coming = await this.#options.deliveries.due(lane.name, {
      dueMs: Number.MAX_SAFE_INTEGER,
      limit: read.size + 1,
    });
    let firstMs = Infinity;
    for (const { key, recipients } of coming) {
      for (const { index, wait } of recipients) {
        if (!read.has(handleOf(key, index))) firstMs = Math.min(firstMs, wait?.dueMs ?? 0);
      }
    }
    return firstMs;
  }

  /** Does a read; `unsettled` takes out of its result what came on record meanwhile, up to the turn it is called in. */
  async #guarded<T>(
    read: (unsettled: (messages: readonly QueuedMessage[]) => readonly QueuedMessage[]) => Promise<T>,
  ): Promise<T> {
    const settled = new Set<string>();
    this.#reads.add(settled);
    try {
      return await read((messages) => without(messages, settled));
    } finally {
      this.#reads.delete(settled);
    }
  }
}

function handlesOf(messages: readonly QueuedMessage[]): Set<string> {
  return new Set(
    messages.flatMap(({ key, recipients }) => recipients.map(({ index }) => handleOf(key, index))),
  );
}

function without(
  messages: readonly QueuedMessage[],
  handles: ReadonlySet<string>,
): readonly QueuedMessage[] {
  if (handles.size === 0) return messages;
  return messages.flatMap((message) => {
    const recipients = message.recipients.filter(({ index }) => !handles.has(handleOf(message.key, index)));
    return recipients.length === 0 ? [] : [{ ...message, recipients }];
  });
}
