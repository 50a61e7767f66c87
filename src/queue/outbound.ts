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
import type { Deliveries, DestinationState, QueuedMessage, Wait } from "../store/types.ts";
import type { Connect, Connected, Courier } from "./courier_types.ts";
import type { Destination, Job } from "./destination.ts";
import { insert, isDone, type Lane, newLane, recover, wakeMs } from "./lane.ts";
import type { Ledger, Verdict } from "./ledger.ts";
import { retryDelayMs } from "./retry.ts";

const log = getLogger(["emsmail", "outbound"]);

/** Jobs of one destination kept in memory; what is beyond waits in the store. */
const READY_JOBS = 1_000;
/** Recipients read from the store at a time, from a lane that answers and from one that has to prove that it does. */
const PAGE = { proven: 200, unproven: 20 } as const;
/** Overdue recipients looked at in one go. */
const OVERDUE_PAGE = 100;
/** How long a connection that has nothing to send is kept, in milliseconds: a burst's next message finds it open. */
const KEEP_MS = 2_000;
/** How long a destination that refused a further connection is left with those it has, in milliseconds. */
const CROWDED_MS = 10_000;
/** The least time between two looks at what is due, in milliseconds. */
const TICK_MS = 50;
/** How soon to look again at what was due but in hand, in milliseconds. */
const LATER_MS = 1_000;

export interface OutboundSettings {
  readonly retryMs: readonly number[];
  readonly connections: number;
  readonly connectionsPerHost: number;
}

export interface OutboundOptions {
  readonly deliveries: Deliveries;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly random: Random;
  settings(): OutboundSettings;
  readonly connect: Connect;
  /** Takes deferred recipients that are due. */
  due(messages: readonly QueuedMessage[]): void;
  /** Takes deferred recipients whose deadline has come; resolves when they are on record. */
  overdue(messages: readonly QueuedMessage[]): Promise<void>;
  /** Sends a job by its backup route, now. */
  toBackup(job: Job): void;
}

export class Outbound {
  readonly #options: OutboundOptions;
  readonly #lanes = new Map<string, Lane>();
  /** Lanes with jobs that wait for a connection to be free. */
  readonly #hungry = new Set<Lane>();
  readonly #couriers = new Set<Courier>();
  /** Lanes with a page that is not all on record. */
  readonly #reading = new Set<Lane>();
  #connections = 0;
  #unproven = 0;
  #timer: Timer | undefined;
  #timerAtMs = Infinity;
  #deadlineMs = Infinity;
  #looking: Promise<void> | undefined;
  readonly #work = new Set<Promise<void>>();
  #stopped = false;
  /** Ends connections that are only being opened. */
  readonly #abort = new AbortController();

  constructor(options: OutboundOptions) {
    this.#options = options;
  }

  /** Reads what waits from before. */
  async start(): Promise<void> {
    await this.#refresh();
  }

  /** Takes a job for a destination; it is sent as soon as can be. */
  enqueue(destination: Destination, job: Job): void {
    const lane = this.#lane(destination.name);
    lane.destination = destination;
    insert(lane.ready, job);
    if (!this.#stopped) this.#pump(lane);
  }

  /** Why a destination can't be reached at present; undefined: it can, as far as is known. */
  failing(destination: string): string | undefined {
    const lane = this.#lanes.get(destination);
    return lane !== undefined && lane.failures > 0 ? lane.reason : undefined;
  }

  /** A recipient is on record, waiting perhaps. */
  settled(key: MessageKey, index: number, wait: Wait | undefined): void {
    const handle = `${key}.${index}`;
    for (const lane of this.#reading) {
      if (!lane.page.delete(handle)) continue;
      if (lane.page.size === 0) {
        this.#reading.delete(lane);
        this.#pumpSoon(lane);
      }
      break;
    }
    if (wait === undefined) return;
    const lane = this.#lane(wait.destination);
    lane.storedDueMs = Math.min(lane.storedDueMs, wait.dueMs);
    this.#deadlineMs = Math.min(this.#deadlineMs, wait.deadlineMs);
    this.#wakeBy(Math.min(wakeMs(lane), this.#deadlineMs));
  }

  /** An operator changed what waits. */
  changed(): void {
    if (!this.#stopped) this.#track(this.#refresh());
  }

  /** Lets transactions under way end for at most `graceMs` milliseconds; what was not sent stays in the store. */
  async stop(graceMs: number): Promise<void> {
    this.#stopped = true;
    this.#abort.abort();
    this.#timer?.cancel();
    for (const lane of this.#lanes.values()) {
      lane.ready.length = 0;
      for (const take of lane.idle.splice(0)) take(undefined);
    }
    const timer = this.#options.clock.after(graceMs, () => {
      for (const courier of this.#couriers) courier.destroy();
    });
    await Promise.allSettled([...this.#work]);
    timer.cancel();
  }

  // ---------------------------------------------------------------- what waits in the store

  async #refresh(): Promise<void> {
    const { deliveries } = this.#options;
    const [waiting, failing, deadlineMs] = await Promise.all([
      deliveries.waiting(),
      deliveries.destinations(),
      deliveries.nextDeadlineMs(),
    ]);
    const failures = new Map(failing.map((state) => [state.destination, state]));
    for (const lane of this.#lanes.values()) lane.storedDueMs = Infinity;
    for (const { destination, dueMs } of waiting) this.#lane(destination).storedDueMs = dueMs;
    for (const state of failures.values()) this.#remember(state);
    for (const lane of this.#lanes.values()) {
      // Forgotten by an operator's retry.
      if (lane.failures > 0 && !failures.has(lane.name)) recover(lane);
      this.#pump(lane);
    }
    this.#deadlineMs = deadlineMs ?? Infinity;
    this.#wakeBy(this.#deadlineMs);
  }

  #remember({ destination, failures, retryAtMs, reason }: DestinationState): void {
    const lane = this.#lane(destination);
    // What this process saw itself is newer.
    if (lane.failures === 0 && lane.open === 0) Object.assign(lane, { failures, retryAtMs, reason });
  }

  /** Reads the next page of what is due; it comes back as jobs, perhaps of another lane. */
  async #readPage(lane: Lane): Promise<void> {
    lane.reading = true;
    try {
      const nowMs = this.#options.clock.nowMs();
      const limit = lane.failures > 0 ? PAGE.unproven : PAGE.proven;
      const messages = await this.#options.deliveries.due(lane.name, { dueMs: nowMs, limit });
      for (const { key, recipients } of messages) {
        for (const { index } of recipients) lane.page.add(`${key}.${index}`);
      }
      if (lane.page.size > 0) this.#reading.add(lane);
      // All that is due was read: what comes next is known by the first of the rest.
      if (lane.page.size < limit) lane.storedDueMs = await this.#nextDueMs(lane, nowMs);
      if (this.#stopped) return;
      if (messages.length > 0) this.#options.due(messages);
    } catch (error) {
      log.error("the queue can't be read; trying again", { destination: lane.name, error: String(error) });
      lane.storedDueMs = this.#options.clock.nowMs() + LATER_MS;
    } finally {
      lane.reading = false;
    }
    this.#wakeBy(wakeMs(lane));
  }

  async #nextDueMs(lane: Lane, afterMs: number): Promise<number> {
    const coming = await this.#options.deliveries.due(lane.name, {
      dueMs: Number.MAX_SAFE_INTEGER,
      limit: lane.page.size + 1,
    });
    const later = coming.flatMap(({ key, recipients }) =>
      recipients.filter(({ index }) => !lane.page.has(`${key}.${index}`)).map(({ wait }) =>
        wait?.dueMs ?? afterMs
      )
    );
    return later.length === 0 ? Infinity : Math.min(...later);
  }

  async #lookAtDeadlines(): Promise<void> {
    const nowMs = this.#options.clock.nowMs();
    this.#deadlineMs = Infinity;
    try {
      const messages = await this.#options.deliveries.overdue({ deadlineMs: nowMs, limit: OVERDUE_PAGE });
      if (messages.length > 0) await this.#options.overdue(messages);
      const nextMs = await this.#options.deliveries.nextDeadlineMs() ?? Infinity;
      // What is in hand keeps its deadline until it is on record.
      const inHand = messages.length < OVERDUE_PAGE && nextMs <= nowMs;
      this.#deadlineMs = Math.min(this.#deadlineMs, inHand ? nowMs + LATER_MS : nextMs);
    } catch (error) {
      log.error("the queue's deadlines can't be read; trying again", { error: String(error) });
      this.#deadlineMs = nowMs + LATER_MS;
    }
    this.#wakeBy(this.#deadlineMs);
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
    for (const lane of this.#lanes.values()) {
      const atMs = wakeMs(lane);
      if (atMs <= nowMs) this.#pump(lane);
      else if (atMs === Infinity) this.#forgetIfDone(lane);
      else nextMs = Math.min(nextMs, atMs);
    }
    if (this.#deadlineMs <= nowMs) {
      this.#looking ??= this.#lookAtDeadlines().finally(() => this.#looking = undefined);
      this.#track(this.#looking);
    } else nextMs = Math.min(nextMs, this.#deadlineMs);
    this.#wakeBy(nextMs);
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
    queueMicrotask(() => this.#pump(lane));
  }

  /** Does for a lane what can be done now. */
  #pump(lane: Lane): void {
    if (this.#stopped) return;
    const nowMs = this.#options.clock.nowMs();
    if (nowMs < lane.retryAtMs) {
      this.#setAside(lane, lane.ready.splice(0), lane.reason);
    } else if (lane.ready.length > READY_JOBS) {
      this.#setAside(lane, lane.ready.splice(READY_JOBS), "many messages wait for this destination");
    }
    while (lane.ready.length > 0 && lane.idle.length > 0) lane.idle.shift()!(lane.ready.shift()!);
    if (lane.ready.length > 0) this.#openCouriers(lane);
    else this.#hungry.delete(lane);
    if (lane.ready.length === 0 && wakeMs(lane) <= nowMs) this.#track(this.#readPage(lane));
    this.#forgetIfDone(lane);
  }

  /** Puts jobs into the store, to wait behind the lane there. */
  #setAside(lane: Lane, jobs: readonly Job[], reason: string): void {
    if (jobs.length === 0) return;
    const nowMs = this.#options.clock.nowMs();
    const settled = jobs.map(({ message, recipients, route }) => ({
      message,
      verdicts: recipients.map((recipient): Verdict => ({
        kind: "deferred",
        recipient,
        reason: lane.failures > 0 ? `${lane.name} does not answer: ${reason}` : reason,
        destination: lane.name,
        dueMs: nowMs,
        tried: "no",
        unreachable: lane.failures > 0 ? "yes" : "no",
        backup: route.backup,
        by: "",
        dialogue: "",
      })),
    }));
    this.#track(this.#options.ledger.settle(settled));
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
    // A place held by a connection without work is better used here.
    for (const other of this.#lanes.values()) {
      const take = other.idle.shift();
      if (take === undefined) continue;
      take(undefined);
      return false;
    }
    return false;
  }

  /** The life of one courier. */
  async #run(lane: Lane): Promise<void> {
    const proving = lane.failures > 0;
    let pump: "self too" | "others" = "self too";
    lane.couriers++;
    this.#connections++;
    if (proving) this.#unproven++;
    try {
      const connected = await this.#options.connect(lane.destination!, this.#abort.signal);
      if (proving) this.#unproven--;
      if (this.#stopped && connected.kind !== "courier") return;
      if (connected.kind === "courier") await this.#serve(lane, connected.courier);
      else await this.#failed(lane, connected);
      // It would be as busy again at once; the end of another connection wakes it.
      if (connected.kind === "busy") pump = "others";
    } catch (error) {
      log.error("a courier failed", {
        destination: lane.name,
        error: error instanceof Error ? error.stack : String(error),
      });
    } finally {
      lane.couriers--;
      this.#connections--;
      if (pump === "self too") this.#pump(lane);
      for (const hungry of [...this.#hungry]) if (hungry !== lane) this.#pump(hungry);
    }
  }

  async #serve(lane: Lane, courier: Courier): Promise<void> {
    this.#couriers.add(courier);
    lane.open++;
    const answersAgain: DestinationState[] = lane.failures > 0
      ? [{ destination: lane.name, failures: 0, retryAtMs: 0, reason: "" }]
      : [];
    recover(lane);
    if (answersAgain.length > 0) this.#track(this.#options.ledger.settle([], { destinations: answersAgain }));
    this.#pump(lane);
    try {
      for (;;) {
        const job = await this.#nextJob(lane);
        if (job === undefined) break;
        const sent = await courier.send(job);
        if (sent.kind === "stale") {
          lane.ready.unshift(job);
          return;
        }
        this.#track(
          this.#options.ledger.settle([{ message: job.message, verdicts: sent.verdicts }], sent.extras),
        );
        if (!courier.alive) return;
      }
      await courier.quit();
    } finally {
      lane.open--;
      this.#couriers.delete(courier);
    }
  }

  /** The next job of a lane, waited for a moment; undefined: there is none. */
  #nextJob(lane: Lane): Promise<Job | undefined> | Job | undefined {
    const job = lane.ready.shift();
    if (job !== undefined || this.#stopped) return job;
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

  async #failed(lane: Lane, failure: Exclude<Connected, { readonly kind: "courier" }>): Promise<void> {
    if (failure.kind === "busy") {
      this.#hungry.add(lane);
      return;
    }
    // Others of this lane are through: this one was just one too many.
    if (lane.open > 0 && failure.kind === "unreachable") {
      lane.crowdedUntilMs = this.#options.clock.nowMs() + CROWDED_MS;
      return;
    }
    const jobs = lane.ready.splice(0);
    const destinations: DestinationState[] = [];
    if (failure.kind === "unreachable") destinations.push(this.#backOff(lane, failure.reason));
    for (const [place, job] of jobs.entries()) {
      if (
        failure.kind === "refused" && failure.backup === "may-take-over" && job.route.backup !== undefined
      ) {
        this.#options.toBackup(job);
        continue;
      }
      const { verdicts, extras } = failure.verdict(job);
      const first = place === 0 ? { destinations } : {};
      this.#track(this.#options.ledger.settle([{ message: job.message, verdicts }], { ...extras, ...first }));
    }
    if (jobs.length === 0 && destinations.length > 0) {
      await this.#options.ledger.settle([], { destinations });
    }
  }

  #backOff(lane: Lane, reason: string): DestinationState {
    const { clock, random, settings } = this.#options;
    lane.failures++;
    lane.reason = reason;
    lane.retryAtMs = clock.nowMs() +
      retryDelayMs(lane.failures, { retryMs: settings().retryMs, fraction: random.fraction() });
    log.warn("destination does not answer", {
      destination: lane.name,
      failures: lane.failures,
      retryAt: new Date(lane.retryAtMs).toISOString(),
      reason,
    });
    return { destination: lane.name, failures: lane.failures, retryAtMs: lane.retryAtMs, reason };
  }

  #forgetIfDone(lane: Lane): void {
    if (!isDone(lane, this.#options.clock.nowMs())) return;
    this.#lanes.delete(lane.name);
    if (lane.failures === 0) return;
    const forgotten = [{ destination: lane.name, failures: 0, retryAtMs: 0, reason: "" }];
    this.#track(this.#options.ledger.settle([], { destinations: forgotten }));
  }

  #track(work: Promise<void>): void {
    this.#work.add(work);
    void work.finally(() => this.#work.delete(work));
  }
}
