/**
 * Where a transaction stands: what became of each recipient, and how many replies are still to come.
 *
 * Guarantees: each recipient gets exactly one result; the first reply that decides it stays.
 *
 * @module
 */
import { type EnhancedCode, type Reply, reply } from "../../mail/reply.ts";
import { cutReply } from "./reply_reader.ts";
import type { RecipientResult, Transaction } from "./types.ts";

export interface Settlement {
  readonly from: "peer" | "here";
  readonly ambiguous?: true;
}

export class TransactionState {
  readonly transaction: Transaction;
  readonly #dsn: RecipientResult["dsn"];
  readonly #results: (RecipientResult | undefined)[];
  /** Places of recipients that were accepted and have no result. */
  readonly #accepted = new Set<number>();
  /** `asked`: MAIL waits for its reply. */
  mail: "asked" | "accepted" | "refused" = "asked";
  /** Commands (of MAIL, RCPT, DATA) that have no reply, sent or not. */
  unanswered = 0;
  /** RCPT commands among them. */
  rcptsUnanswered: number;
  /** The first refusal of a chunk. */
  chunkRefusal: Reply | undefined;
  /** How far the content is. */
  content: "none" | "under-way" | "ended" = "none";

  constructor(transaction: Transaction, options: { readonly dsn: RecipientResult["dsn"] }) {
    this.transaction = transaction;
    this.#dsn = options.dsn;
    this.#results = transaction.recipients.map(() => undefined);
    this.rcptsUnanswered = transaction.recipients.length;
  }

  /** Recipients that wait for what becomes of the content. */
  get accepted(): number {
    return this.#accepted.size;
  }

  /** A recipient was accepted. */
  accept(index: number): void {
    if (this.mail !== "refused" && this.#results[index] === undefined) this.#accepted.add(index);
  }

  /** Decides about a recipient that is still open. */
  settle(index: number, answer: Reply, how: Settlement): void {
    if (this.#results[index] !== undefined) return;
    const wasAccepted = this.#accepted.delete(index);
    const base = { reply: cutReply(answer), from: how.from, dsn: this.#dsn };
    this.#results[index] = how.ambiguous === true && wasAccepted ? { ...base, ambiguous: true } : base;
  }

  /** Decides about all recipients that are still open. */
  settleRest(answer: Reply, how: Settlement): void {
    for (const index of this.#results.keys()) this.settle(index, answer, how);
  }

  /**
   * All results.
   * @throws {Error} where a recipient has none
   */
  results(): readonly RecipientResult[] {
    return this.#results.map((result) => {
      if (result === undefined) throw new Error("SMTP client: a recipient is left without a result");
      return result;
    });
  }
}

/** RFC 5321 4.5.3.1.10: 552 to RCPT may mean too many recipients, and is taken for 452. */
export function rcptReply(answer: Reply): Reply {
  if (answer.code !== 552) return answer;
  const enhanced = answer.enhanced?.replace(/^5/, "4") as EnhancedCode | undefined;
  return reply(452, enhanced, ...answer.lines);
}
