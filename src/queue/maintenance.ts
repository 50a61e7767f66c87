/**
 * What has to be done now and then: messages past `pop3.expire` leave their maildrops, and the history of messages that
 * nobody holds any more is forgotten after `history.keep`, the dialogues of their tries after `queue.retired`.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import type { Clock, Timer } from "../base/clock.ts";
import type { History, Maildrops, Queue } from "../store/types.ts";

const log = getLogger(["emsmail", "maintenance"]);

/** How often to look, in milliseconds. */
const EVERY_MS = 15 * 60_000;
/** How soon after the start, in milliseconds: not while everybody reconnects. */
const FIRST_MS = 60_000;
/** Messages in one transaction: deliveries wait behind it. */
const BATCH = 200;
const DAY_MS = 86_400_000;

export interface MaintenanceOptions {
  readonly maildrops: Maildrops;
  readonly history: History;
  readonly queue: Pick<Queue, "pruneAttempts">;
  readonly clock: Clock;
  /** As configured now. */
  policy(): {
    readonly expireDays: number | "never";
    readonly keepHistoryMs: number;
    readonly keepAttemptsMs: number;
  };
}

/** Starts looking after the store; gives the way to stop. */
export function startMaintenance(options: MaintenanceOptions): { stop(): Promise<void> } {
  let timer: Timer;
  let running: Promise<void> = Promise.resolve();
  let stopped = false;
  const again = (delayMs: number) => {
    timer = options.clock.after(delayMs, () => {
      running = runMaintenance(options, () => stopped)
        .catch((error) => log.error("maintenance failed", { error: String(error) }))
        .then(() => stopped ? undefined : again(EVERY_MS));
    });
  };
  again(FIRST_MS);
  return {
    async stop() {
      stopped = true;
      timer.cancel();
      await running;
    },
  };
}

/** One round, in batches; gives up between two of them when `stopped` says so. */
export async function runMaintenance(options: MaintenanceOptions, stopped: () => boolean): Promise<void> {
  const { expireDays, keepHistoryMs, keepAttemptsMs } = options.policy();
  const nowMs = options.clock.nowMs();
  if (expireDays !== "never") {
    const expired = await inBatches(
      stopped,
      () => options.maildrops.expire(nowMs - expireDays * DAY_MS, BATCH),
    );
    if (expired > 0) log.info("messages expired", { messages: expired, days: expireDays });
  }
  const pruned = await inBatches(stopped, () => options.history.prune(nowMs - keepHistoryMs, BATCH));
  if (pruned > 0) log.info("history pruned", { messages: pruned });
  const tries = await inBatches(stopped, () => options.queue.pruneAttempts(nowMs - keepAttemptsMs, BATCH));
  if (tries > 0) log.info("dialogues pruned", { tries });
}

async function inBatches(stopped: () => boolean, step: () => Promise<number>): Promise<number> {
  let total = 0;
  for (;;) {
    const done = await step();
    total += done;
    if (done < BATCH || stopped()) return total;
  }
}
