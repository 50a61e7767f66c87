/**
 * What the writer can be asked to do: plain values that survive a trip to another thread.
 *
 * @module
 */
import type { MessageRequests, Ownership, RecipientRequests } from "../../mail/envelope.ts";
import type { MessageKey } from "../../mail/message_id.ts";
import type {
  Account,
  AccountChanges,
  AccountId,
  Alias,
  Attempt,
  DestinationState,
  EntryChange,
  NewAccount,
  Outcome,
  Piece,
  QueueAction,
  QueueFilter,
  Report,
  Segment,
  SigningKey,
  StsPolicy,
  TlsTally,
} from "../types.ts";

export interface AppendOperation {
  readonly op: "append";
  readonly key: MessageKey;
  readonly part: Uint8Array;
}

export interface AcceptOperation {
  readonly op: "accept";
  readonly key: MessageKey;
  /** The last part. */
  readonly part: Uint8Array;
  readonly size: number;
  readonly receivedAtMs: number;
  readonly reversePath: string;
  readonly recipients: readonly string[];
  readonly smtpUtf8: boolean;
  readonly messageId: string;
  readonly segments?: readonly Segment[];
  /** JSON. */
  readonly origin: string;
  /** What `origin` says of it, so that nobody has to look into the JSON. */
  readonly own?: NonNullable<Ownership>;
  readonly requests?: MessageRequests;
  readonly recipientRequests?: readonly (RecipientRequests | undefined)[];
}

export interface RecordOperation {
  readonly op: "record";
  readonly outcomes: readonly Outcome[];
  readonly attempts: readonly Attempt[];
  readonly pieces: readonly Piece[];
  readonly reports: readonly AcceptOperation[];
  readonly destinations: readonly DestinationState[];
}

/** One recipient of one message. */
export interface RecipientPlace {
  readonly key: MessageKey;
  readonly index: number;
}

/** One portion of what an operator does. */
export interface ActOperation {
  readonly op: "act";
  readonly filter: QueueFilter;
  readonly action: QueueAction;
  /** Where the portion before ended. */
  readonly after?: RecipientPlace | undefined;
  readonly atMs: number;
}

export type Operation =
  | AppendOperation
  | AcceptOperation
  | { readonly op: "discard"; readonly key: MessageKey }
  | RecordOperation
  | ActOperation
  | {
    readonly op: "remove";
    readonly account: AccountId;
    readonly keys: readonly MessageKey[];
    readonly atMs: number;
  }
  | { readonly op: "expire"; readonly beforeMs: number; readonly limit: number; readonly atMs: number }
  | { readonly op: "prune"; readonly beforeMs: number; readonly limit: number }
  | { readonly op: "pruneAttempts"; readonly beforeMs: number; readonly limit: number }
  | { readonly op: "addAccount"; readonly account: NewAccount }
  | { readonly op: "changeAccount"; readonly name: string; readonly changes: AccountChanges }
  | { readonly op: "removeAccount"; readonly name: string; readonly atMs: number }
  | { readonly op: "setAlias"; readonly alias: Alias }
  | { readonly op: "changeEntries"; readonly changes: readonly EntryChange[] }
  | { readonly op: "putReport"; readonly report: Omit<Report, "version"> }
  | { readonly op: "removeReport"; readonly name: string; readonly version?: number | undefined }
  | TrustOperation;

/** What changes keys and what was learnt of others. */
export type TrustOperation =
  | { readonly op: "addSigningKey"; readonly key: SigningKey }
  | { readonly op: "removeSigningKey"; readonly domain: string; readonly selector: string }
  /** Keeps a secret, unless there is one of the name. */
  | { readonly op: "keepSecret"; readonly name: string; readonly value: Uint8Array }
  | { readonly op: "setStsPolicy"; readonly policy: StsPolicy }
  | { readonly op: "addTlsTallies"; readonly tallies: readonly TlsTally[] }
  | { readonly op: "removeTlsTallies"; readonly day: string; readonly domain: string };

/** What each operation gives once it is committed. */
export interface OperationValues {
  readonly append: undefined;
  readonly accept: undefined;
  readonly discard: undefined;
  readonly record: undefined;
  /** How many recipients it was, and where the next portion begins, if there is one. */
  readonly act: { readonly count: number; readonly next?: RecipientPlace };
  /** How many messages were still there. */
  readonly remove: number;
  /** How many messages were taken out. */
  readonly expire: number;
  /** How many messages were forgotten. */
  readonly prune: number;
  /** How many tries were forgotten. */
  readonly pruneAttempts: number;
  readonly changeEntries: undefined;
  readonly putReport: Report;
  /** How many versions were removed. */
  readonly removeReport: number;
  readonly addAccount: Account;
  readonly changeAccount: Account;
  readonly removeAccount: undefined;
  readonly setAlias: undefined;
  readonly addSigningKey: undefined;
  readonly removeSigningKey: undefined;
  /** The secret that is kept, perhaps an earlier one. */
  readonly keepSecret: Uint8Array;
  readonly setStsPolicy: undefined;
  readonly addTlsTallies: undefined;
  readonly removeTlsTallies: undefined;
}

/** The value of one operation. */
export type ValueOf<O extends Operation> = OperationValues[O["op"]];

/** Stands in the list of values for an operation that was refused. */
export class Refusal {
  readonly error: unknown;
  constructor(error: unknown) {
    this.error = error;
  }
}
