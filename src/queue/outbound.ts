/**
 * Mail on its way to other systems: which destination is tried when, over how many connections.
 *
 * Theory of operation: each destination has a lane. Messages that have just come wait in its memory, up to a bound; what
 * was deferred waits in the store, and is read page by page when it is due. A lane that can't be reached stands still as a
 * whole: its back-off is shared by all its messages, new ones join them in the store at once, and one connection
 * at a time finds out whether it answers again. So a dead host costs a few numbers here, however much waits for it.
 *
 * Guarantees: a recipient is in one transaction at a time. Lanes share the connections there are: those that did not
 * answer last get three quarters of them at most, so that dead hosts don't keep mail from living ones.
 *
 * States of a lane: quiet (nothing to do until a time) -> busy (jobs in memory, couriers on their way) -> quiet or failing.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import type { Clock, Timer } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { MessageKey } from "../mail/message_id.ts";
import type { Attempt, Deliveries, DestinationState, QueuedMessage, Wait } from "../store/types.ts";
import { Backlog, type BacklogOptions, LATER_MS } from "./backlog.ts";
import type { Connect, Connected, Courier, Failure, OutboundSettings, Sent } from "./courier_types.ts";
import type { Destination, Job } from "./destination.ts";
import {
  aside,
  endOneIdle,
  insert,
  isDone,
  type Lane,
  newLane,
  noAnswer,
  ourFault,
  recover,
  waits,
  wakeMs,
} from "./lane.ts";
import type { Ledger, Verdict } from "./ledger.ts";
import { retryDelayMs } from "./retry.ts";

const log = getLogger(["emsmail", "outbound"]);

/** Jobs of one destination kept in memory, one that answers and one that did not last; what is beyond waits in the store. */
const READY_JOBS = { proven: 1_000, unproven: 20 } as const;
/** How long a connection that has nothing to send is kept, in milliseconds: a burst's next message finds it open. */
const KEEP_MS = 2_000;
/** How long a destination that refused a further connection is left with those it has, in milliseconds. */
const CROWDED_MS = 10_000;
/** The least time between two looks at what is due, in milliseconds. */
const TICK_MS = 50;
/** Outcomes recorded in one transaction at most: keeps a commit short for those who wait behind it. */
const BATCH_JOBS = 256;
/** After so many connections in a row that carried nothing a destination counts as one that does not answer. */
const BARREN = 3;

export interface OutboundOptions extends Pick<BacklogOptions, "due" | "overdue"> {
  readonly deliveries: Deliveries;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly random: Random;
  settings(): OutboundSettings;
  readonly connect: Connect;
  /** Sends a job by its backup route, now. */
  toBackup(job: Job): void;
}

export class Outbound {
  readonly #options: OutboundOptions;
  readonly #backlog: Backlog;
  readonly #lanes = new Map<string, Lane>();
  /** Lanes with jobs that wait for a connection to be free. */
  readonly #hungry = new Set<Lane>();
  readonly #couriers = new Set<Courier>();
  /** Lanes that are to be pumped as soon as what is being done now is done. */
  readonly #soon = new Set<Lane>();
  #connections = 0;
  #unproven = 0;
  #timer: Timer | undefined;
  #timerAtMs = Infinity;
  #looking: Promise<void> | undefined;
  readonly #work = new Set<Promise<void>>();
  #stopped = false;
  /** Ends connections that are only being opened. */
  readonly #abort = new AbortController();

  constructor(options: OutboundOptions) {
    this.#options = options;
    this.#backlog = new Backlog(options);
  }

  /** Reads what waits from before. */
  start(): Promise<void> {
    return this.#refresh();
  }

  /** Takes a job for a destination; it is sent as soon as can be. */
  enqueue(destination: Destination, job: Job): void {
    // It is in the store, and stays there.
    if (this.#stopped) return;
    const lane = this.#lane(destination.name);
    lane.destination = destination;
    insert(lane.ready, job);
    this.#pumpSoon(lane);
  }

  /** Why a destination can't be reached at present; undefined: it can, as far as is known. */
  failing(destination: string): string | undefined {
    const lane = this.#lanes.get(destination);
    return lane !== undefined && lane.failures > 0 ? lane.reason : undefined;
  }

  /** A recipient is on record, waiting perhaps. */
  settled(key: MessageKey, index: number, wait: Wait | undefined): void {
    const reader = this.#backlog.settled(key, index);
    if (reader !== undefined) this.#pumpSoon(reader);
    if (wait === undefined) return;
    const lane = this.#lane(wait.destination);
    lane.storedDueMs = Math.min(lane.storedDueMs, wait.dueMs);
    this.#backlog.deadlineMs = Math.min(this.#backlog.deadlineMs, wait.deadlineMs);
    this.#wakeBy(Math.min(wakeMs(lane), this.#backlog.deadlineMs));
  }

  /**
   * An operator changed what waits. What was held or taken out must not leave from memory, so all that is not being sent
   * goes back to the store, to be read again as it stands now.
   */
  changed(): void {
    if (this.#stopped) return;
    for (const lane of this.#lanes.values()) {
      this.#setAside(lane, lane.ready.splice(0), "the queue was changed meanwhile");
    }
    this.#track(
      this.#refresh().catch((error) => {
        log.error("the queue can't be read; trying again", { error: String(error) });
        this.#options.clock.after(LATER_MS, () => this.changed());
      }),
    );
  }

  /** Lets transactions under way end for at most `graceMs` milliseconds; what was not sent stays in the store. */
  async stop(graceMs: number): Promise<void> {
    this.#stopped = true;
    this.#backlog.stop();
    this.#abort.abort();
    this.#timer?.cancel();
    for (const lane of this.#lanes.values()) {
      lane.ready.length = 0;
      for (const take of lane.idle.splice(0)) take(undefined);
    }
    const timer = this.#options.clock.after(graceMs, () => {
      for (const courier of this.#couriers) courier.destroy();
    });
    while (this.#work.size > 0) await Promise.allSettled([...this.#work]);
    timer.cancel();
  }

  // ---------------------------------------------------------------- what waits in the store

  async #refresh(): Promise<void> {
    const { deliveries } = this.#options;
    const onRecord = new Map([...this.#lanes.values()].map((lane) => [lane, lane.recordedFailures]));
    const [waiting, failing, deadlineMs] = await Promise.all([
      deliveries.waiting(),
      deliveries.destinations(),
      deliveries.nextDeadlineMs(),
    ]);
    // Only ever earlier: what comes on record during the read is not in it. A look too many finds nothing.
    for (const { destination, dueMs } of waiting) {
      const lane = this.#lane(destination);
      lane.storedDueMs = Math.min(lane.storedDueMs, dueMs);
    }
    for (const state of failing) this.#remember(state);
    const failures = new Set(failing.map(({ destination }) => destination));
    for (const lane of [...this.#lanes.values()]) {
      const isForgotten = !failures.has(lane.name) && lane.recordedFailures > 0 &&
        lane.recordedFailures === lane.failures && onRecord.get(lane) === lane.failures;
      // By an operator's retry.
      if (isForgotten) recover(lane);
      this.#pump(lane);
      this.#wakeBy(wakeMs(lane));
    }
    this.#backlog.deadlineMs = Math.min(this.#backlog.deadlineMs, deadlineMs ?? Infinity);
    this.#wakeBy(this.#backlog.deadlineMs);
  }

  #remember({ destination, failures, retryAtMs, reason }: DestinationState): void {
    const lane = this.#lane(destination);
    // What this process saw itself is newer.
    if (lane.failures > 0 || lane.open > 0) return;
    Object.assign(lane, { failures, retryAtMs, reason, recordedFailures: failures });
  }

  // ---------------------------------------------------------------- when

  #wakeBy(atMs: number): void {
    if (this.#stopped || atMs >= this.#timerAtMs || atMs === Infinity) return;
    this.#timer?.cancel();
    this.#timerAtMs = atMs;
    const delayMs = Math.max(TICK_MS, atMs - this.#options.clock.nowMs());
    this.#timer = this.#options.clock.after(delayMs, () => this.#tick());
  }

  #tick(): void {
    this.#timerAtMs = Infinity;
    const nowMs = this.#options.clock.nowMs();
    let nextMs = Infinity;
    for (const lane of [...this.#lanes.values()]) {
      const atMs = wakeMs(lane);
      if (atMs <= nowMs) this.#pump(lane);
      else if (atMs === Infinity) this.#forgetIfDone(lane);
      else nextMs = Math.min(nextMs, atMs);
    }
    for (const lane of [...this.#hungry]) this.#pump(lane);
    if (this.#hungry.size > 0) nextMs = Math.min(nextMs, nowMs + LATER_MS);
    if (this.#backlog.deadlineMs <= nowMs) this.#lookAtDeadlines();
    else nextMs = Math.min(nextMs, this.#backlog.deadlineMs);
    this.#wakeBy(nextMs);
  }

  #lookAtDeadlines(): void {
    if (this.#looking !== undefined) return;
    this.#looking = this.#backlog.lookAtDeadlines().finally(() => {
      this.#looking = undefined;
      this.#wakeBy(this.#backlog.deadlineMs);
    });
    this.#track(this.#looking);
  }

  // ---------------------------------------------------------------- lanes and couriers

  #lane(name: string): Lane {
    let lane = this.#lanes.get(name);
    if (lane === undefined) {
      lane = newLane(name);
      this.#lanes.set(name, lane);
    }
    return lane;
  }

  #pumpSoon(lane: Lane): void {
    if (this.#soon.has(lane)) return;
    this.#soon.add(lane);
    queueMicrotask(() => {
      this.#soon.delete(lane);
      this.#pump(lane);
    });
  }

  /** Does for a lane what can be done now. */
  #pump(lane: Lane): void {
    if (this.#stopped) return;
    const nowMs = this.#options.clock.nowMs();
    if (nowMs < lane.retryAtMs) {
      this.#setAside(lane, lane.ready.splice(0), lane.reason);
    } else {
      const most = lane.failures > 0 ? READY_JOBS.unproven : READY_JOBS.proven;
      this.#setAside(lane, lane.ready.splice(most), "many messages wait for this destination");
    }
    while (lane.ready.length > 0 && lane.idle.length > 0) lane.idle.shift()!(lane.ready.shift()!);
    if (lane.ready.length > 0) this.#openCouriers(lane);
    else this.#hungry.delete(lane);
    if (lane.ready.length === 0 && wakeMs(lane) <= nowMs) {
      this.#track(this.#readPage(lane));
    }
    this.#forgetIfDone(lane);
  }

  async #readPage(lane: Lane): Promise<void> {
    await this.#backlog.readPage(lane);
    this.#forgetIfDone(lane);
    this.#wakeBy(wakeMs(lane));
  }

  /** Puts jobs into the store, to wait behind the lane there. */
  #setAside(lane: Lane, jobs: readonly Job[], reason: string): void {
    if (jobs.length === 0) return;
    const nowMs = this.#options.clock.nowMs();
    const settled = jobs.map((job) => ({
      message: job.message,
      verdicts: aside(lane, job, { reason, nowMs }),
    }));
    for (let at = 0; at < settled.length; at += BATCH_JOBS) {
      this.#track(this.#options.ledger.settle(settled.slice(at, at + BATCH_JOBS)));
    }
  }

  #openCouriers(lane: Lane): void {
    const settings = this.#options.settings();
    // One finds out whether the destination answers; the others follow when it does.
    const isCrowded = this.#options.clock.nowMs() < lane.crowdedUntilMs;
    const most = lane.open > 0 && !isCrowded ? settings.connectionsPerHost : 1;
    const wanted = Math.min(most - lane.couriers, lane.ready.length);
    for (let opened = 0; opened < wanted; opened++) {
      if (!this.#mayConnect(lane, settings)) {
        this.#hungry.add(lane);
        return;
      }
      this.#track(this.#run(lane));
    }
    this.#hungry.delete(lane);
  }

  #mayConnect(lane: Lane, settings: OutboundSettings): boolean {
    if (lane.failures > 0 && this.#unproven >= Math.max(1, Math.floor(settings.connections * 3 / 4))) {
      return false;
    }
    if (this.#connections < settings.connections) return true;
    // A place held by a connection without work is better used here, when it is free.
    endOneIdle(this.#lanes.values());
    return false;
  }

  /** The life of one courier. */
  async #run(lane: Lane): Promise<void> {
    lane.couriers++;
    this.#connections++;
    let pump: "self too" | "others" = "self too";
    try {
      const connected = await this.#connect(lane);
      const failure = connected.kind === "courier" ? await this.#serve(lane, connected.courier) : connected;
      if (failure !== undefined && !this.#stopped) this.#failed(lane, failure);
      // It would be as busy again at once: the end of another connection wakes it, or the clock.
      if (failure?.kind === "busy") pump = "others";
    } finally {
      lane.couriers--;
      this.#connections--;
      if (pump === "self too") this.#pump(lane);
      for (const hungry of [...this.#hungry]) if (hungry !== lane) this.#pump(hungry);
    }
  }

  async #connect(lane: Lane): Promise<Connected> {
    const isProbe = lane.failures > 0;
    if (isProbe) this.#unproven++;
    try {
      return await this.#options.connect(lane.destination!, this.#abort.signal);
    } catch (error) {
      return noAnswer(lane, ourFault(lane, "connecting failed", error));
    } finally {
      if (isProbe) this.#unproven--;
    }
  }

  /** Gives a courier jobs to its end; gives the failure where it was of no use. */
  async #serve(lane: Lane, courier: Courier): Promise<Failure | undefined> {
    this.#couriers.add(courier);
    lane.open++;
    // Whoever greets and then carries nothing has to show more.
    if (lane.barren === 0) this.#answers(lane);
    this.#pumpSoon(lane);
    let isBarren = false;
    try {
      isBarren = await this.#carry(lane, courier) === "barren";
    } finally {
      lane.open--;
      await courier.quit();
      this.#couriers.delete(courier);
    }
    if (!isBarren || ++lane.barren < BARREN) return undefined;
    return noAnswer(lane, "it takes connections, and ends them before anything is sent");
  }

  async #carry(lane: Lane, courier: Courier): Promise<"useful" | "barren"> {
    for (let isFirst = true;; isFirst = false) {
      const job = await this.#nextJob(lane);
      if (job === undefined) return "useful";
      const sent = await this.#send(lane, courier, job);
      if (sent.kind === "stale") {
        lane.ready.unshift(job);
        return isFirst ? "barren" : "useful";
      }
      this.#track(
        this.#options.ledger.settle([{ message: job.message, verdicts: sent.verdicts }], sent.extras),
      );
      if (sent.rest !== undefined) lane.ready.unshift({ ...job, recipients: sent.rest });
      if (isFirst && !courier.alive && sent.verdicts.every(({ kind }) => kind === "deferred")) {
        return "barren";
      }
      lane.barren = 0;
      this.#answers(lane);
      if (!courier.alive) return "useful";
    }
  }

  async #send(lane: Lane, courier: Courier, job: Job): Promise<Sent> {
    try {
      return await courier.send(job);
    } catch (error) {
      courier.destroy();
      const reason = ourFault(lane, "sending failed", error);
      const dueMs = this.#options.clock.nowMs() + this.#retryDelayMs(1);
      return {
        kind: "done",
        verdicts: waits(lane, job, { reason, dueMs, tried: "yes", unreachable: "no" }),
        extras: {},
      };
    }
  }

  /** A destination that failed is found to answer. */
  #answers(lane: Lane): void {
    if (lane.failures === 0) return;
    recover(lane);
    const destinations = [{ destination: lane.name, failures: 0, retryAtMs: 0, reason: "" }];
    this.#track(this.#options.ledger.settle([], { destinations }));
  }

  /** The next job of a lane, waited for a moment; undefined: there is none. */
  #nextJob(lane: Lane): Promise<Job | undefined> | Job | undefined {
    if (this.#stopped) return undefined;
    const job = lane.ready.shift();
    if (job !== undefined) return job;
    const isWanted = this.#hungry.size > 0 && this.#connections >= this.#options.settings().connections;
    if (isWanted && wakeMs(lane) > this.#options.clock.nowMs()) return undefined;
    // What waits in the store comes first.
    this.#pumpSoon(lane);
    return new Promise((resolve) => {
      const timer = this.#options.clock.after(KEEP_MS, () => take(undefined));
      const take = (given: Job | undefined) => {
        timer.cancel();
        const at = lane.idle.indexOf(take);
        if (at >= 0) lane.idle.splice(at, 1);
        resolve(given);
      };
      lane.idle.push(take);
    });
  }

  #failed(lane: Lane, failure: Failure): void {
    if (failure.kind === "busy") {
      this.#hungry.add(lane);
      // The connection that made it busy may be gone already.
      return this.#wakeBy(this.#options.clock.nowMs() + LATER_MS);
    }
    // Others of this lane are through: this one was just one too many.
    if (lane.open > 0 && failure.kind === "unreachable") {
      lane.crowdedUntilMs = this.#options.clock.nowMs() + CROWDED_MS;
      return;
    }
    const jobs = lane.ready.splice(0);
    if (failure.kind === "unreachable") this.#backOff(lane, failure.reason);
    const settled: { message: QueuedMessage; verdicts: readonly Verdict[] }[] = [];
    const attempts: Attempt[] = [];
    for (const job of jobs) {
      if (
        failure.kind === "refused" && failure.backup === "may-take-over" && job.route.backup !== undefined
      ) {
        // Why its own hosts don't get it stands among its tries.
        attempts.push(...failure.verdict(job).extras.attempts ?? []);
        this.#options.toBackup(job);
        continue;
      }
      const { verdicts, extras } = failure.verdict(job);
      settled.push({ message: job.message, verdicts });
      attempts.push(...extras.attempts ?? []);
    }
    if (settled.length > 0 || attempts.length > 0) {
      this.#track(this.#options.ledger.settle(settled, { attempts }));
    }
  }

  #retryDelayMs(failures: number): number {
    const { random, settings } = this.#options;
    return retryDelayMs(failures, { retryMs: settings().retryMs, fraction: random.fraction() });
  }

  #backOff(lane: Lane, reason: string): void {
    const failures = ++lane.failures;
    lane.reason = reason;
    lane.retryAtMs = this.#options.clock.nowMs() + this.#retryDelayMs(failures);
    log.warn("destination does not answer", {
      destination: lane.name,
      failures,
      retryAt: new Date(lane.retryAtMs).toISOString(),
      reason,
    });
    const destinations = [{ destination: lane.name, failures, retryAtMs: lane.retryAtMs, reason }];
    this.#track(
      this.#options.ledger.settle([], { destinations }).then(() => void (lane.recordedFailures = failures)),
    );
  }

  #forgetIfDone(lane: Lane): void {
    // A lane of the same name may have come after it.
    if (this.#lanes.get(lane.name) !== lane || !isDone(lane, this.#options.clock.nowMs())) return;
    this.#lanes.delete(lane.name);
    if (lane.failures === 0) return;
    const forgotten = [{ destination: lane.name, failures: 0, retryAtMs: 0, reason: "" }];
    this.#track(this.#options.ledger.settle([], { destinations: forgotten }));
  }

  #track(work: Promise<void>): void {
    const done = work.catch((error) => {
      log.error("delivery failed", { error: error instanceof Error ? error.stack : String(error) });
    }).finally(() => this.#work.delete(done));
    this.#work.add(done);
  }
}
