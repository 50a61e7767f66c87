/**
 * What the scheduler and those who carry say to each other.
 *
 * @module
 */
import type { QueuedRecipient } from "../store/types.ts";
import type { Destination, Job } from "./destination.ts";
import type { Extras, Verdict } from "./ledger.ts";

/** A connection to a host of a destination, greeted and ready. */
export interface Courier {
  /** Sends a job's recipients; never rejects. */
  send(job: Job): Promise<Sent>;
  /** Says QUIT and closes, or does nothing where that was done; never rejects. Each courier is asked for it in the end. */
  quit(): Promise<void>;
  /** Whether another job may be sent. */
  readonly alive: boolean;
  /** Ends what is under way; for the server's own end. */
  destroy(): void;
}

/** How sending ended. */
export type Sent =
  | {
    readonly kind: "done";
    readonly verdicts: readonly Verdict[];
    readonly extras: Extras;
    /** Recipients of whom nothing was said, because the connection took no further transaction. @default none */
    readonly rest?: readonly QueuedRecipient[];
  }
  /** The connection had been closed while it was idle; nothing was said of this job. */
  | { readonly kind: "stale" };

/** How connecting ended. */
export type Connected =
  | { readonly kind: "courier"; readonly courier: Courier }
  /** As many connections as are allowed are open to each of its hosts. */
  | { readonly kind: "busy" }
  /** No host answered, or none in a way that lets mail pass, for now. */
  | { readonly kind: "unreachable"; readonly reason: string; readonly verdict: Explain }
  /** It has no host, or all its hosts refuse for good. */
  | { readonly kind: "refused"; readonly verdict: Explain; readonly backup: "may-take-over" | "no" };

/** No courier. */
export type Failure = Exclude<Connected, { readonly kind: "courier" }>;

/** Makes the verdicts and the tries to be recorded for a job that could not be sent. */
export type Explain = (job: Job) => { readonly verdicts: readonly Verdict[]; readonly extras: Extras };

/** Opens a connection to one of a destination's hosts; never rejects. */
export type Connect = (destination: Destination, signal: AbortSignal) => Promise<Connected>;

export interface OutboundSettings {
  readonly retryMs: readonly number[];
  readonly connections: number;
  readonly connectionsPerHost: number;
}
