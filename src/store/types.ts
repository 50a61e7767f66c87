/**
 * What the store promises, by caller. Each interface has two implementations, SQLite and memory, and one contract test.
 *
 * Guarantees of every implementation:
 * - A promise that resolves means that the change is on disk (SQLite: after the fsync of the commit that holds it).
 * - A change is whole or not there at all, whatever happens to the process.
 * - A body is kept once, however many maildrops and recipients point at it, and goes when the last of them does.
 * - A body may be made of stretches of others ({@linkcode Segment}), which are kept while it is.
 * - Reads see committed changes only.
 *
 * @module
 */
import type { Envelope, MessageRequests, Origin, RecipientRequests } from "../mail/envelope.ts";
import type { MessageKey } from "../mail/message_id.ts";
import type { Deliveries, Queue, RecipientState, Wait } from "./queue_types.ts";
import type { AccountId, Directory, Entries } from "./directory_types.ts";
import type { Reports } from "./report_types.ts";
import type { Trust } from "./trust_types.ts";

export type * from "./directory_types.ts";
export type * from "./queue_types.ts";
export type * from "./report_types.ts";
export type * from "./trust_types.ts";

/** The store could not do what was asked for a reason the caller can act on. */
export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly kind: "exists" | "missing" | "conflict" | "busy" | "full" | "newer-schema" | "damaged";
  constructor(kind: StoreError["kind"], message: string) {
    super(message);
    this.kind = kind;
  }
}

/** Everything kept, as one handle. */
export interface Store {
  readonly spool: Spool;
  readonly maildrops: Maildrops;
  readonly directory: Directory;
  readonly entries: Entries;
  readonly reports: Reports;
  readonly deliveries: Deliveries;
  readonly queue: Queue;
  readonly trust: Trust;
  readonly history: History;
  /** Finishes what was asked for, then closes. */
  close(): Promise<void>;
}

// ---------------------------------------------------------------- receiving (the SMTP server)

/** A stretch of a body. */
export interface Segment {
  /** The message or stored content it is a stretch of; absent: the octets that are the message's own. */
  readonly source?: MessageKey;
  /** From the start of the source's body, or of the own octets. */
  readonly offset: number;
  readonly length: number;
}

/** A message that was received whole. */
export interface AcceptedMessage {
  readonly key: MessageKey;
  /** The last part (all of a small message); its buffer may be transferred, so the caller must not use it again. */
  readonly lastPart: Uint8Array;
  /** Octets of all parts together; with `segments`, of the segments together. */
  readonly size: number;
  /**
   * What the body is made of, in order, where it isn't its own octets from end to end. Of a source that is itself made of
   * segments, what it is made of is kept.
   */
  readonly segments?: readonly Segment[];
  readonly receivedAtMs: number;
  readonly envelope: Envelope;
  readonly origin: Origin;
  /** The Message-ID field's value without brackets; "" if there is none. */
  readonly messageId: string;
}

export interface Spool {
  /** Keeps one more part of a message that is still arriving; parts come in order. Its buffer may be transferred. */
  append(key: MessageKey, part: Uint8Array): Promise<void>;
  /**
   * Makes the message and its recipients durable, all `queued`.
   * @throws {StoreError} `conflict` where the key is taken, there is no recipient, or the parts don't add up to the
   * size (one of them was refused), or a segment's source is gone or too short; `full` where the disk is
   */
  accept(message: AcceptedMessage): Promise<void>;
  /** Forgets the parts of a message that never became whole. */
  discard(key: MessageKey): Promise<void>;
}

// ---------------------------------------------------------------- fetching (the POP3 server)

/** One message in a maildrop. */
export interface MaildropEntry {
  readonly key: MessageKey;
  /** Octets of trace field and body together, exactly what RETR sends before dot-stuffing. */
  readonly size: number;
  /** Came with SMTPUTF8: its header may hold UTF-8 (RFC 6856). */
  readonly smtpUtf8: boolean;
}

/** A maildrop's messages, oldest first, in columns, since there may be 100,000. */
export interface MaildropListing {
  readonly keys: ArrayLike<MessageKey>;
  readonly sizes: ArrayLike<number>;
  /** Indexes (from 0) of the messages that came with SMTPUTF8. */
  readonly smtpUtf8: ReadonlySet<number>;
}

/** Where reading a message begins; most messages have one part, and so are read at once. */
export interface MessageHead {
  /** The trace fields put in front of the body for this maildrop (Return-Path). */
  readonly trace: Uint8Array;
  /** Part 0 of the body. */
  readonly firstPart: Uint8Array;
}

export interface Maildrops {
  /** All messages of an account's maildrop, oldest first. */
  list(account: AccountId): Promise<MaildropListing>;
  /** The beginning of a message; undefined where it is gone from the maildrop. */
  open(account: AccountId, key: MessageKey): Promise<MessageHead | undefined>;
  /** Part `index` (from 0) of a body; undefined past its end. */
  part(key: MessageKey, index: number): Promise<Uint8Array | undefined>;
  /** Takes messages out of a maildrop, all or none; gives how many were still there. */
  remove(account: AccountId, keys: readonly MessageKey[]): Promise<number>;
  /** What a maildrop holds. */
  usage(account: AccountId): Promise<{ readonly octets: number; readonly messages: number }>;
  /** Takes out everything older than `beforeMs` (delivered before), at most `limit` messages; gives how many. */
  expire(beforeMs: number, limit: number): Promise<number>;
}

// ---------------------------------------------------------------- looking back

/** Everything known of a message. */
export interface MessageHistory {
  readonly key: MessageKey;
  readonly receivedAtMs: number;
  readonly size: number;
  readonly messageId: string;
  readonly reversePath: string;
  readonly origin: Origin;
  readonly requests?: MessageRequests;
  /** The message that this one is a piece of, and which: `2/4`. */
  readonly pieceOf?: { readonly key: MessageKey; readonly place: string };
  /** What it was broken apart into, in order; empty where it wasn't. */
  readonly pieces: readonly MessageKey[];
  readonly recipients: readonly {
    readonly recipient: string;
    readonly state: RecipientState;
    readonly atMs: number;
    readonly detail: string;
    /** Who accepted it; "" where nobody outside did. */
    readonly acceptedBy: string;
    /** Place of the recipient that was expanded to this one. */
    readonly expandedFrom?: number;
    /** What was asked for it. */
    readonly requests?: RecipientRequests;
    readonly wait?: Wait;
    /** Accounts whose maildrop got it, and when its owner took it out again. */
    readonly maildrops: readonly { readonly account: string; readonly removedAtMs?: number }[];
  }[];
}

export interface History {
  /** By the system's own id. */
  message(key: MessageKey): Promise<MessageHistory | undefined>;
  /** By the Message-ID field, newest first, at most 20. */
  byMessageId(messageId: string): Promise<MessageHistory[]>;
  /** Forgets messages received before `beforeMs` that no maildrop or queue holds any more, at most `limit`; gives how many. */
  prune(beforeMs: number, limit: number): Promise<number>;
  /** The largest key ever accepted, 0 in a new store. */
  newestKey(): Promise<MessageKey>;
}
