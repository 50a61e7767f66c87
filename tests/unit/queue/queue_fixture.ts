/** Parts of a queue to test with: messages, jobs, a store that a test plays. */
import type { Explain } from "../../../src/queue/courier_types.ts";
import { type Destination, destinationOf, type Job, type OutRoute } from "../../../src/queue/destination.ts";
import type { Resolved } from "../../../src/queue/dispatcher.ts";
import type { Verdict } from "../../../src/queue/ledger.ts";
import type { BackupHop } from "../../../src/routing/route.ts";
import {
  type Deliveries,
  type DestinationState,
  type Outcome,
  type QueueChanges,
  type QueuedMessage,
  type QueuedRecipient,
  type QueueListener,
  StoreError,
  type WaitingSummary,
} from "../../../src/store/types.ts";

export const START_MS = Date.UTC(2026, 0, 5, 9, 0, 0);

/** A recipient that goes nowhere. */
export const NOWHERE: Resolved = {
  accounts: [],
  forwards: [],
  list: "no",
  route: undefined,
  handling: "whole",
  problem: "",
  refusal: undefined,
};

export type SmtpRoute = Extract<OutRoute, { readonly channel: "smtp" }>;

export interface QueuedOptions extends Partial<Omit<QueuedMessage, "recipients">> {
  readonly recipients?: readonly (Partial<QueuedRecipient> | string)[];
}

/** A message to `recipients`, received at START_MS. */
export function queued(key: number, options: QueuedOptions = {}): QueuedMessage {
  const { recipients = ["bob@example.test"], ...rest } = options;
  return {
    key,
    receivedAtMs: START_MS,
    reversePath: "sender@example.org",
    smtpUtf8: false,
    size: 100,
    ...rest,
    recipients: recipients.map((given, index) =>
      typeof given === "string"
        ? { index, recipient: given }
        : { index, recipient: "bob@example.test", ...given }
    ),
  };
}

export function smtpRoute(domain: string, backup?: BackupHop): SmtpRoute {
  return {
    channel: "smtp",
    recipient: { local: "bob", domain },
    accept: "users",
    hop: { kind: "mx", domain },
    ...backup === undefined ? {} : { backup },
    rule: "direct",
  };
}

/** All of a message for one domain. */
export function jobOf(
  message: QueuedMessage,
  options: { readonly domain?: string; readonly backup?: BackupHop } = {},
): { readonly destination: Destination; readonly job: Job } {
  const route = smtpRoute(options.domain ?? "example.test", options.backup);
  return {
    destination: destinationOf(route.hop, message),
    job: { message, recipients: message.recipients, route },
  };
}

/** Verdicts of a job, by what is the same for all its recipients. */
export function verdictsOf(job: Job, kind: "relayed" | "deferred", destination = "example.test"): Verdict[] {
  return job.recipients.map((recipient): Verdict =>
    kind === "relayed"
      ? {
        kind,
        recipient,
        by: "mx.example.test [192.0.2.1]",
        reply: { code: 250, lines: ["ok"] },
        dsn: "passed-on",
      }
      : {
        kind,
        recipient,
        reason: "the host said no",
        destination,
        dueMs: 0,
        tried: "yes",
        unreachable: "yes",
        backup: job.route.backup,
        by: "",
        dialogue: "",
      }
  );
}

export const unreachable: Explain = (job) => ({ verdicts: verdictsOf(job, "deferred"), extras: {} });

/** Deliveries that a test plays the store of. */
export class Played implements Deliveries {
  readonly recorded: QueueChanges[] = [];
  /** What each call of record() does before it succeeds; nothing where there is none left. */
  readonly before: (() => Promise<void>)[] = [];
  calls = 0;
  listener: QueueListener | undefined;

  subscribe(listener: QueueListener): void {
    this.listener = listener;
  }

  async record(changes: QueueChanges): Promise<void> {
    this.calls++;
    await this.before.shift()?.();
    this.recorded.push(changes);
  }

  get outcomes(): readonly Outcome[] {
    return this.recorded.flatMap(({ outcomes }) => outcomes);
  }

  waiting(): Promise<WaitingSummary[]> {
    return Promise.resolve([]);
  }
  due(): Promise<QueuedMessage[]> {
    return Promise.resolve([]);
  }
  overdue(): Promise<QueuedMessage[]> {
    return Promise.resolve([]);
  }
  nextDeadlineMs(): Promise<number | undefined> {
    return Promise.resolve(undefined);
  }
  destinations(): Promise<DestinationState[]> {
    return Promise.resolve([]);
  }
}

export const failing = (): Promise<never> => Promise.reject(new StoreError("full", "the disk is full"));

/** Lets promises do what they can. */
export const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2));
