/**
 * What both stores decide alike: which recipients a filter means, and what an operator's action does to which.
 *
 * Guarantees: pure; so the twins can't differ in it.
 *
 * @module
 */
import { canonicalAddress, canonicalDomain, parseAddress } from "../mail/address.ts";
import { formatMessageKey } from "../mail/message_id.ts";
import {
  type Attempt,
  type DestinationState,
  type Outcome,
  type QueueAction,
  type QueueEntry,
  type QueueFilter,
  type RecipientState,
  StoreError,
  type Wait,
} from "./types.ts";

/** States in which a recipient keeps the message's body. */
export const WAITING: readonly RecipientState[] = ["queued", "deferred", "held"];

/** Whether a recipient in this state still waits; every other state is final. */
export function isWaiting(state: RecipientState): boolean {
  return state === "queued" || state === "deferred" || state === "held";
}

/** Whether an outcome may be recorded over a state: what is final stays, and what is held yields to what is final only. */
export function mayFollow(before: RecipientState, outcome: RecipientState): boolean {
  return isWaiting(before) && (before !== "held" || !isWaiting(outcome));
}

/** Looks at what the types can't say of an outcome. @throws {StoreError} `conflict` */
export function checkOutcome({ key, index, state, wait }: Outcome): void {
  if (state === "deferred" && wait === undefined) {
    throw new StoreError(
      "conflict",
      `recipient ${index} of message ${formatMessageKey(key)} is deferred without saying what it waits for`,
    );
  }
}

/** The states an action is for. */
export function statesFor(action: QueueAction): readonly RecipientState[] {
  switch (action.kind) {
    case "retry":
      return ["deferred"];
    case "hold":
      return ["queued", "deferred"];
    case "release":
      return ["held"];
    case "drop":
    case "reroute":
      return WAITING;
  }
}

/** What becomes of a recipient that an operator acts on; `detail` and `reroute` stay as they are where undefined. */
export interface Acted {
  readonly state: "queued" | "held" | "dropped";
  readonly detail?: string;
  readonly reroute?: string;
}

/** What an action does to a recipient in one of the states it is for. */
export function acted(action: QueueAction): Acted {
  switch (action.kind) {
    case "retry":
      // The reason of the last failure is still the best there is to say.
      return { state: "queued" };
    case "hold":
      return { state: "held", detail: action.detail };
    case "release":
      return { state: "queued", detail: "" };
    case "drop":
      return { state: "dropped", detail: action.detail };
    case "reroute":
      return { state: "queued", detail: "", reroute: action.host };
  }
}

/** The canonical domain of an address as an envelope writes it; "" where it has none. */
export function domainOf(address: string): string {
  // The last one: a quoted local part may hold others, a domain can't.
  const at = address.lastIndexOf("@");
  return at < 0 ? "" : canonicalDomain(address.slice(at + 1));
}

/** The form in which recipients of one message are compared: local parts as they stand, for they are others' business. */
export function recipientForm(address: string): string {
  const at = address.lastIndexOf("@");
  return at < 0 ? address : `${address.slice(0, at)}@${canonicalDomain(address.slice(at + 1))}`;
}

/** A recipient as a filter looks at it. */
export interface Candidate {
  readonly entry: QueueEntry;
  /** The reverse-path the message came with. */
  readonly ownReversePath: string;
}

/** Makes the test for a filter. `keys` and `states` are tested too, whatever the caller has narrowed down before. */
export function matcher(filter: QueueFilter): (candidate: Candidate) => boolean {
  const keys = filter.keys === undefined ? undefined : new Set(filter.keys);
  const states = filter.states ?? WAITING;
  const domain = filter.domain === undefined ? undefined : canonicalDomain(filter.domain);
  const isSender = filter.sender === undefined ? undefined : senderMatcher(filter.sender);
  return ({ entry, ownReversePath }) =>
    states.includes(entry.state) &&
    (keys === undefined || keys.has(entry.key)) &&
    (filter.index === undefined || entry.index === filter.index) &&
    (filter.receivedBeforeMs === undefined || entry.receivedAtMs < filter.receivedBeforeMs) &&
    (domain === undefined || domainOf(entry.recipient) === domain) &&
    (isSender === undefined || isSender(ownReversePath) ||
      (entry.reversePath !== ownReversePath && isSender(entry.reversePath)));
}

function senderMatcher(sender: string): (reversePath: string) => boolean {
  if (sender.startsWith("@")) {
    const domain = canonicalDomain(sender.slice(1));
    return (reversePath) => reversePath !== "" && domainOf(reversePath) === domain;
  }
  const wanted = comparable(sender);
  return (reversePath) => reversePath === sender || comparable(reversePath) === wanted;
}

function comparable(address: string): string {
  const parsed = parseAddress(address);
  return "error" in parsed ? address : canonicalAddress(parsed);
}

/** The largest time that is kept: what JavaScript counts exactly. */
const whole = (ms: number) => Math.min(Math.ceil(ms), Number.MAX_SAFE_INTEGER);

/** A wait with whole milliseconds, however its times were worked out. */
export function wholeWait(wait: Wait): Wait {
  return {
    ...wait,
    dueMs: whole(wait.dueMs),
    deadlineMs: whole(wait.deadlineMs),
    ...(wait.backupSinceMs === undefined ? {} : { backupSinceMs: whole(wait.backupSinceMs) }),
  };
}

/** A try with whole milliseconds. */
export function wholeAttempt(attempt: Attempt): Attempt {
  return { ...attempt, atMs: whole(attempt.atMs), durationMs: Math.round(attempt.durationMs) };
}

/** A destination's state with whole milliseconds. */
export function wholeDestination(destination: DestinationState): DestinationState {
  return { ...destination, retryAtMs: whole(destination.retryAtMs) };
}
