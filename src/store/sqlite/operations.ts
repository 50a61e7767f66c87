/**
 * What the writer can be asked to do: plain values that survive a trip to another thread.
 *
 * @module
 */
import type { MessageKey } from "../../mail/message_id.ts";
import type { Account, AccountChanges, AccountId, Alias, NewAccount, Outcome } from "../types.ts";

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
  /** JSON. */
  readonly origin: string;
}

export interface RecordOperation {
  readonly op: "record";
  readonly outcomes: readonly Outcome[];
}

export type Operation =
  | AppendOperation
  | AcceptOperation
  | { readonly op: "discard"; readonly key: MessageKey }
  | RecordOperation
  | {
    readonly op: "remove";
    readonly account: AccountId;
    readonly keys: readonly MessageKey[];
    readonly atMs: number;
  }
  | { readonly op: "expire"; readonly beforeMs: number; readonly limit: number; readonly atMs: number }
  | { readonly op: "prune"; readonly beforeMs: number; readonly limit: number }
  | { readonly op: "addAccount"; readonly account: NewAccount }
  | { readonly op: "changeAccount"; readonly name: string; readonly changes: AccountChanges }
  | { readonly op: "removeAccount"; readonly name: string; readonly atMs: number }
  | { readonly op: "setAlias"; readonly alias: Alias };

/** What each operation gives once it is committed. */
export interface OperationValues {
  readonly append: undefined;
  readonly accept: undefined;
  readonly discard: undefined;
  readonly record: undefined;
  /** How many messages were still there. */
  readonly remove: number;
  /** How many messages were taken out. */
  readonly expire: number;
  /** How many messages were forgotten. */
  readonly prune: number;
  readonly addAccount: Account;
  readonly changeAccount: Account;
  readonly removeAccount: undefined;
  readonly setAlias: undefined;
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
