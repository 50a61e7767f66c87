/**
 * What the scheduler knows of one destination.
 *
 * @module
 */
import type { Failure } from "./courier_types.ts";
import { getLogger } from "@logtape/logtape";
import type { Destination, Job } from "./destination.ts";
import type { Verdict } from "./ledger.ts";

const log = getLogger(["emsmail", "outbound"]);

/** The next page is read when so many recipients of those before, or fewer, are not on record yet. */
const PAGED_LOW = 100;

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
  /** How many recipients that were read from the store are not on record yet. */
  paged: number;
  reading: boolean;
  /** Connections in a row that ended without carrying anything. */
  barren: number;
  /** The failures that are on record. */
  recordedFailures: number;
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
    paged: 0,
    reading: false,
    barren: 0,
    recordedFailures: 0,
    crowdedUntilMs: 0,
  };
}

/** Forgets a lane's failures. */
export function recover(lane: Lane): void {
  lane.failures = 0;
  lane.retryAtMs = 0;
  lane.reason = "";
}

/**
 * Whether more may be read from the store. A few slow ones don't keep the rest of the mail back; but a lane that has to
 * prove that it answers does so with what it has.
 */
export function mayRead(lane: Lane): boolean {
  return !lane.reading && lane.paged <= (lane.failures > 0 ? 0 : PAGED_LOW);
}

/** When a lane wants to be looked at; Infinity: not by the clock. */
export function wakeMs(lane: Lane): number {
  if (lane.storedDueMs === Infinity || !mayRead(lane)) return Infinity;
  return Math.max(lane.storedDueMs, lane.retryAtMs);
}

/** Whether nothing is to be remembered of a lane at `nowMs`. */
export function isDone(lane: Lane, nowMs: number): boolean {
  const isIdle = lane.ready.length === 0 && lane.couriers === 0 && lane.paged === 0 && !lane.reading;
  return isIdle && lane.storedDueMs === Infinity && nowMs >= lane.retryAtMs;
}

/** Lets one connection without work quit. */
export function endOneIdle(lanes: Iterable<Lane>): void {
  for (const { idle } of lanes) {
    const take = idle.shift();
    if (take !== undefined) return take(undefined);
  }
}

/** Puts a job behind those of its own and of higher priority (RFC 6710 5). */
export function insert(ready: Job[], job: Job): void {
  const priority = job.message.requests?.priority ?? 0;
  let at = ready.length;
  while (at > 0 && (ready[at - 1]!.message.requests?.priority ?? 0) < priority) at--;
  if (at === ready.length) ready.push(job);
  else ready.splice(at, 0, job);
}

/** The verdicts on a job that stays in the store. */
export function waits(
  lane: Lane,
  { recipients, route }: Job,
  how: {
    readonly reason: string;
    readonly dueMs: number;
    readonly tried: "yes" | "no";
    readonly unreachable: "yes" | "no";
  },
): Verdict[] {
  return recipients.map((recipient) => ({
    kind: "deferred",
    recipient,
    destination: lane.name,
    backup: route.backup,
    by: "",
    dialogue: "",
    ...how,
    // Why it waits is told best by its last try.
    reason: how.tried === "no" && how.unreachable === "no" ? recipient.detail ?? how.reason : how.reason,
  }));
}

/** A failure to connect without more to tell. */
export function noAnswer(lane: Lane, reason: string): Failure {
  const how = { reason, dueMs: 0, tried: "yes", unreachable: "yes" } as const;
  return { kind: "unreachable", reason, verdict: (job) => ({ verdicts: waits(lane, job, how), extras: {} }) };
}

/** The verdicts of a job that waits behind its lane, in the store, without having been tried. */
export function aside(
  lane: Lane,
  job: Job,
  { reason, nowMs }: { readonly reason: string; readonly nowMs: number },
): Verdict[] {
  const isFailing = lane.failures > 0;
  return waits(lane, job, {
    reason: isFailing ? `${lane.name} does not answer: ${lane.reason}` : reason,
    dueMs: nowMs,
    tried: "no",
    unreachable: isFailing ? "yes" : "no",
  });
}

/** A fault of this system: a line in the log, and what the sender may be told. */
export function ourFault(lane: Lane, what: string, error: unknown): string {
  const stack = error instanceof Error ? error.stack : String(error);
  log.error("{what} by a fault of this system", { what, destination: lane.name, error: stack });
  return `${what} by a fault of this system: ${error instanceof Error ? error.message : String(error)}`;
}
