/**
 * What the scheduler knows of one destination.
 *
 * @module
 */
import type { Destination, Job } from "./destination.ts";

/** What is known of a destination. */
export interface Lane {
  readonly name: string;
  /** undefined until a job named it. */
  destination: Destination | undefined;
  readonly ready: Job[];
  /** Connections being opened, busy or idle. */
  couriers: number;
  /** Of these, the ones that answered. */
  open: number;
  /** Couriers without a job; each takes one, or undefined to quit. */
  readonly idle: ((job: Job | undefined) => void)[];
  failures: number;
  retryAtMs: number;
  reason: string;
  /** When the first of what waits in the store is due; Infinity: nothing waits. */
  storedDueMs: number;
  /** Recipients of the page read last that are not on record yet. */
  readonly page: Set<string>;
  reading: boolean;
  /** Until then no further connection is opened beside those there are: one was refused. */
  crowdedUntilMs: number;
}

/** A lane that nothing is known of yet. */
export function newLane(name: string): Lane {
  return {
    name,
    destination: undefined,
    ready: [],
    couriers: 0,
    open: 0,
    idle: [],
    failures: 0,
    retryAtMs: 0,
    reason: "",
    storedDueMs: Infinity,
    page: new Set(),
    reading: false,
    crowdedUntilMs: 0,
  };
}

/** Forgets a lane's failures. */
export function recover(lane: Lane): void {
  lane.failures = 0;
  lane.retryAtMs = 0;
  lane.reason = "";
}

/** When a lane wants to be looked at; Infinity: not by the clock. */
export function wakeMs(lane: Lane): number {
  if (lane.storedDueMs === Infinity || lane.page.size > 0 || lane.reading) return Infinity;
  return Math.max(lane.storedDueMs, lane.retryAtMs);
}

/** Whether nothing is to be remembered of a lane at `nowMs`. */
export function isDone(lane: Lane, nowMs: number): boolean {
  const isIdle = lane.ready.length === 0 && lane.couriers === 0 && lane.page.size === 0 && !lane.reading;
  return isIdle && lane.storedDueMs === Infinity && nowMs >= lane.retryAtMs;
}

/** Puts a job behind those of its own and of higher priority (RFC 6710 5). */
export function insert(ready: Job[], job: Job): void {
  const priority = job.message.requests?.priority ?? 0;
  let at = ready.length;
  while (at > 0 && (ready[at - 1]!.message.requests?.priority ?? 0) < priority) at--;
  if (at === ready.length) ready.push(job);
  else ready.splice(at, 0, job);
}
