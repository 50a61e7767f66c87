/**
 * What the store in memory holds of messages.
 *
 * @module
 */
import { ownershipOf, type RecipientRequests } from "../mail/envelope.ts";
import type { MessageKey } from "../mail/message_id.ts";
import { isWaiting } from "./queue_rules.ts";
import type {
  AcceptedMessage,
  AccountId,
  QueuedMessage,
  QueuedRecipient,
  QueueEntry,
  RecipientState,
  Wait,
} from "./types.ts";

/** One recipient; optional fields are absent where there is nothing to say. */
export interface MemoryRecipient {
  readonly address: string;
  readonly requests?: RecipientRequests;
  readonly reversePath?: string;
  readonly expandedFrom?: number;
  /** "" for none. */
  reroute: string;
  state: RecipientState;
  atMs: number;
  detail: string;
  acceptedBy: string;
  /** What it was last deferred for; kept through hold and retry. */
  wait?: Wait;
  accounts: readonly AccountId[];
}

export interface MemoryMessage {
  readonly accepted: AcceptedMessage;
  readonly recipients: MemoryRecipient[];
  /** When owners took it out of their maildrops. */
  readonly removals: Map<AccountId, number>;
  /** The message it is a piece of, and which. */
  readonly piece?: { readonly of: MessageKey; readonly place: string };
  /** Accounts whose maildrop got it in pieces. */
  readonly apart: Set<AccountId>;
}

/** The messages, and what else the queue needs of the store. */
export interface MemoryMail {
  readonly messages: Map<MessageKey, MemoryMessage>;
  /** Runs a change as its own transaction. */
  change<T>(work: () => T): Promise<T>;
  /** A recipient waits no longer: the body goes if nothing needs it. */
  released(key: MessageKey): void;
  nowMs(): number;
}

/** A recipient that was just queued. */
export function newRecipient(
  given: Omit<QueuedRecipient, "index" | "wait">,
  options: { readonly atMs: number; readonly expandedFrom?: number },
): MemoryRecipient {
  return {
    address: given.recipient,
    ...(given.requests === undefined ? {} : { requests: given.requests }),
    ...(given.reversePath === undefined ? {} : { reversePath: given.reversePath }),
    ...(options.expandedFrom === undefined ? {} : { expandedFrom: options.expandedFrom }),
    reroute: given.reroute ?? "",
    state: "queued",
    atMs: options.atMs,
    detail: "",
    acceptedBy: "",
    accounts: [],
  };
}

/** A message with the recipients of these places, as the queue shows it. */
export function queuedMessage(message: MemoryMessage, places: readonly number[]): QueuedMessage {
  const { key, receivedAtMs, size, envelope, origin } = message.accepted;
  const { reversePath, smtpUtf8, requests } = envelope;
  const own = ownershipOf(origin);
  return {
    key,
    receivedAtMs,
    reversePath,
    smtpUtf8,
    size,
    ...(requests === undefined ? {} : { requests }),
    ...(own === undefined ? {} : { own }),
    ...(message.piece === undefined ? {} : { piece: message.piece.place }),
    recipients: places.map((index) => queuedRecipient(message.recipients[index]!, index)),
  };
}

function queuedRecipient(recipient: MemoryRecipient, index: number): QueuedRecipient {
  const { address, requests, reversePath, reroute, wait, detail } = recipient;
  return {
    index,
    recipient: address,
    ...(requests === undefined ? {} : { requests }),
    ...(reversePath === undefined ? {} : { reversePath }),
    ...(reroute === "" ? {} : { reroute }),
    ...(wait === undefined ? {} : { wait, detail }),
  };
}

/** A recipient as operators see it. */
export function queueEntry(message: MemoryMessage, index: number): QueueEntry {
  const { key, receivedAtMs, size, envelope } = message.accepted;
  const { address, state, atMs, detail, acceptedBy, reroute, reversePath, wait } = message.recipients[index]!;
  return {
    key,
    index,
    recipient: address,
    state,
    receivedAtMs,
    size,
    reversePath: reversePath ?? envelope.reversePath,
    atMs,
    detail,
    acceptedBy,
    reroute,
    ...(wait !== undefined && isWaiting(state) ? { wait } : {}),
  };
}
