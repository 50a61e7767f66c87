/**
 * What the store promises about mail on its way out, and to the operators who look at it. Callers import this by
 * `types.ts`, whose head has the guarantees.
 *
 * A recipient's states, `queued` being the first:
 * ```
 * queued <-> deferred      record() defers, act() retries or reroutes
 * queued, deferred -> held -> queued      act() holds, releases or reroutes
 * queued, deferred, held -> delivered, relayed, handed, expanded, failed, dropped      final
 * ```
 *
 * @module
 */
import type { MessageRequests, Ownership, RecipientRequests } from "../mail/envelope.ts";
import type { MessageKey } from "../mail/message_id.ts";
import type { AccountId } from "./directory_types.ts";
import type { AcceptedMessage, Segment } from "./types.ts";

// ---------------------------------------------------------------- delivering (the queue)

/**
 * What is known of one recipient of one message. Waiting:
 * - `queued`: accepted, and not looked at yet
 * - `deferred`: waits for a time or for a destination to answer again ({@linkcode Wait})
 * - `held`: an operator keeps it back
 *
 * Final:
 * - `delivered`: in the maildrops of this system
 * - `relayed`: accepted by a system that is responsible for the recipient, as far as is known
 * - `handed`: accepted by the buffer host or another host that passes it on; what becomes of it is not known here
 * - `expanded`: replaced by other recipients, of the same message or of the pieces it was broken apart into
 * - `failed`: not delivered, and the sender was told where that was asked for
 * - `dropped`: an operator took it out, and nobody was told
 */
export type RecipientState =
  | "queued"
  | "delivered"
  | "failed"
  | "held"
  | "deferred"
  | "relayed"
  | "handed"
  | "expanded"
  | "dropped";

/** What a deferred recipient waits for. Times are kept as whole milliseconds, rounded up. */
export interface Wait {
  /** The destination it waits behind, as queue/ names it: `example.org`, `[mail.example.org]:25`; "" waits for time alone. */
  readonly destination: string;
  /** Not to be tried before, in milliseconds since 1970. */
  readonly dueMs: number;
  /**
   * To be looked at then, whatever its destination does, in milliseconds since 1970: a delay is to be told, its time is
   * up, or the like.
   */
  readonly deadlineMs: number;
  /** Tries so far. */
  readonly attempts: number;
  /** The sender was told of the delay (RFC 3461 4.1: once). */
  readonly delayTold?: true;
  /** Its own destination was given up for the backup route, in milliseconds since 1970. */
  readonly backupSinceMs?: number;
}

/** One recipient that waits. */
export interface QueuedRecipient {
  /** Place among the message's recipients, from 0: those of the envelope, then those that others were expanded to. */
  readonly index: number;
  readonly recipient: string;
  readonly requests?: RecipientRequests;
  /** The reverse-path in place of the message's own, where forwarding rewrote it. */
  readonly reversePath?: string;
  /** A host that an operator chose in place of what routing says, `host:port`. */
  readonly reroute?: string;
  /** What it has waited for so far; absent where it is new. */
  readonly wait?: Wait;
  /** With `wait`: why it waits, as its last outcome said. */
  readonly detail?: string;
}

/** A message with recipients that wait. */
export interface QueuedMessage {
  readonly key: MessageKey;
  readonly receivedAtMs: number;
  readonly reversePath: string;
  readonly smtpUtf8: boolean;
  /** Octets of the body. */
  readonly size: number;
  readonly requests?: MessageRequests;
  /** Whose message it is; absent: it came from elsewhere. */
  readonly own?: NonNullable<Ownership>;
  /** It is a piece that another message was broken apart into, and stays as it is: `2/4`. */
  readonly piece?: string;
  readonly recipients: readonly QueuedRecipient[];
}

/** One recipient's outcome. */
export interface Outcome {
  readonly key: MessageKey;
  readonly index: number;
  readonly state: Exclude<RecipientState, "queued">;
  readonly atMs: number;
  /** A sentence for `emsmail trace`: a reply, a reason. */
  readonly detail: string;
  /** Maildrops that get the message, or the pieces it was broken apart into, each once. */
  readonly deliverTo: readonly MaildropDelivery[];
  /** With `deferred`, and only then. */
  readonly wait?: Wait;
  /** With `relayed` and `handed`: who accepted it, `mx.example.org [192.0.2.1]`. */
  readonly acceptedBy?: string;
  /**
   * With `expanded`: the recipients in its place, added as `queued` to the message or to a piece of it (`piece`, one of
   * {@linkcode QueueChanges.pieces}). One that the message has already, by its address, is passed over.
   */
  readonly expandedTo?:
    readonly (Omit<QueuedRecipient, "index" | "wait"> & { readonly piece?: MessageKey })[];
}

/** What one maildrop gets: the trace fields for it, and the octets RETR will send. */
export type MaildropDelivery =
  | { readonly account: AccountId; readonly trace: Uint8Array; readonly size: number }
  /** Each of {@linkcode QueueChanges.pieces}; a maildrop that has the message or pieces of it already gets none. */
  | {
    readonly account: AccountId;
    readonly pieces: readonly {
      readonly key: MessageKey;
      readonly trace: Uint8Array;
      readonly size: number;
    }[];
  };

/**
 * A message that another is broken apart into. Its reverse-path, origin, requests and SMTPUTF8 are the other's, and its
 * time of receipt.
 */
export interface Piece {
  readonly key: MessageKey;
  /** The message it is a piece of. */
  readonly of: MessageKey;
  /** Which one: `2/4`. */
  readonly place: string;
  /** The octets that are its own; its buffer may be transferred. */
  readonly own: Uint8Array;
  readonly segments: readonly Segment[];
  /** Octets of the segments together. */
  readonly size: number;
  /** The Message-ID field's value without brackets. */
  readonly messageId: string;
}

/** One try to hand one message's recipients to one host. */
export interface Attempt {
  readonly key: MessageKey;
  /** The recipients that were in it, by place. */
  readonly indexes: readonly number[];
  readonly atMs: number;
  readonly durationMs: number;
  readonly destination: string;
  /** The host's name; "" where none was found. */
  readonly host: string;
  /** `192.0.2.1:25`; "" where none was reached. */
  readonly address: string;
  /** `TLSv1.3 TLS_AES_256_GCM_SHA384, verified (DANE)`; "" in the clear. */
  readonly tls: string;
  /** How it ended, in a line. */
  readonly result: string;
  /** What was said, a line each, without secrets and without the content. */
  readonly dialogue: string;
}

/** What a destination that can't be reached makes wait. */
export interface DestinationState {
  readonly destination: string;
  /** Failures in a row. */
  readonly failures: number;
  readonly retryAtMs: number;
  readonly reason: string;
}

/** Changes that belong together: one transaction. */
export interface QueueChanges {
  readonly outcomes: readonly Outcome[];
  readonly attempts?: readonly Attempt[];
  /** What messages among the outcomes are broken apart into; those that no outcome uses are passed over. */
  readonly pieces?: readonly Piece[];
  /** Notifications about the outcomes: messages of one part, made durable and queued with them. */
  readonly reports?: readonly AcceptedMessage[];
  /** Destinations that failed, and (with `failures` 0) those that answer again. */
  readonly destinations?: readonly DestinationState[];
}

/** Recipients waiting behind one destination. */
export interface WaitingSummary {
  readonly destination: string;
  readonly recipients: number;
  /** The first that is due, in milliseconds since 1970. */
  readonly dueMs: number;
}

export interface QueueListener {
  /**
   * Messages that wait as `queued`: first those left from before, then each as it is accepted; recipients that
   * {@linkcode Outcome.expandedTo} added, reports, and those an operator retried, released or rerouted, come the same way.
   */
  messages(messages: readonly QueuedMessage[]): void;
  /**
   * An operator, perhaps in another process, may have changed what waits: what is remembered of it is to be read again.
   * Comes before the {@linkcode QueueListener.messages} that follow from the same change, and too often rather than too
   * seldom: whatever another process wrote counts.
   */
  changed(): void;
}

export interface Deliveries {
  /**
   * One listener. It is never called again for a recipient it was given until that has become `queued` anew or the store
   * is opened anew.
   */
  subscribe(listener: QueueListener): void;
  /**
   * Records all of it in one transaction. What is final stays as it is, and so does what an operator holds unless the
   * outcome is final: doing it twice changes nothing the second time. A maildrop never gets a message twice, not even
   * after its owner took it out. An account that is gone is passed over, and its recipient recorded as `failed` where
   * that leaves no maildrop; `detail` says which account it was. A recipient nobody knows (any more) is passed over, and
   * with an outcome the recipients it would have expanded to. A report whose key is there already is passed over.
   * Attempts are kept each time: they are a log.
   * @throws {StoreError} `conflict` for `deferred` without `wait`, a piece that is used and isn't there, isn't one of the
   * outcome's message or can't be made, or a report that `accept` would refuse
   */
  record(changes: QueueChanges): Promise<void>;
  /** What is deferred, by destination. */
  waiting(): Promise<WaitingSummary[]>;
  /** Deferred recipients of a destination due at `dueMs` or before, those due first first, at most `limit` recipients. */
  due(
    destination: string,
    options: { readonly dueMs: number; readonly limit: number },
  ): Promise<QueuedMessage[]>;
  /** Deferred recipients whose deadline is `deadlineMs` or before, earliest first, at most `limit` recipients. */
  overdue(options: { readonly deadlineMs: number; readonly limit: number }): Promise<QueuedMessage[]>;
  /** The earliest deadline of all; undefined where nothing is deferred. */
  nextDeadlineMs(): Promise<number | undefined>;
  /** Destinations that failed last. */
  destinations(): Promise<DestinationState[]>;
}

// ---------------------------------------------------------------- looking into the queue (operators)

/** Which recipients; fields are joined by "and". */
export interface QueueFilter {
  readonly keys?: readonly MessageKey[];
  /** With `keys`: which of its recipients. */
  readonly index?: number;
  /** The domain of the recipient, canonical. */
  readonly domain?: string;
  /** The reverse-path, its own or as forwarding rewrote it, or `@domain` of it; "" is the null reverse-path. */
  readonly sender?: string;
  /** Received before, in milliseconds since 1970. */
  readonly receivedBeforeMs?: number;
  readonly states?: readonly RecipientState[];
}

/** One recipient in the queue, or retired from it. */
export interface QueueEntry {
  readonly key: MessageKey;
  readonly index: number;
  readonly recipient: string;
  readonly state: RecipientState;
  readonly receivedAtMs: number;
  readonly size: number;
  /** What the next hop is or was told: rewritten by forwarding perhaps. */
  readonly reversePath: string;
  /** When it came into its state, or was last deferred, in milliseconds since 1970. */
  readonly atMs: number;
  readonly detail: string;
  readonly acceptedBy: string;
  readonly reroute: string;
  /** Of one that waits, and was deferred before. */
  readonly wait?: Wait;
}

/** What an operator does to recipients. */
export type QueueAction =
  /** Deferred ones are tried as soon as can be, and their destinations' failures forgotten. */
  | { readonly kind: "retry" }
  /** Queued and deferred ones are kept back. */
  | { readonly kind: "hold"; readonly detail: string }
  /** Held ones are queued again. */
  | { readonly kind: "release" }
  /** Takes them out; nobody is told. */
  | { readonly kind: "drop"; readonly detail: string }
  /** Queues them, held ones too, for a host, `host:port`; "" goes back to what routing says. */
  | { readonly kind: "reroute"; readonly host: string };

export interface Queue {
  /** Recipients that wait (or are in one of the states asked for), oldest message first; `newest` is the reverse. */
  list(
    filter: QueueFilter,
    options: { readonly limit: number; readonly order?: "oldest" | "newest" },
  ): Promise<QueueEntry[]>;
  /** How many {@linkcode Queue.list} would give without a limit. */
  count(filter: QueueFilter): Promise<number>;
  /** Tries of a message, in order; they are kept for some time after it is gone from the queue. */
  attempts(key: MessageKey): Promise<Attempt[]>;
  /**
   * Acts on the recipients that wait (with `states`, those of them in one of these states) and that the action is for;
   * gives how many there were. Thousands are taken in portions, each whole, between which others' changes may come.
   */
  act(filter: QueueFilter, action: QueueAction): Promise<number>;
  /** Forgets tries made before `beforeMs` of messages that no queue holds any more, at most `limit`; gives how many. */
  pruneAttempts(beforeMs: number, limit: number): Promise<number>;
}
