/**
 * How many refusals a client may earn before it is sent away with 421.
 *
 * Only 5yz replies count, and not all of them: a mailing list with dead members is refused often and does nothing wrong,
 * and a pipelining client whose MAIL was refused gets 503 for the rest of its group. Those are pardoned, as many times a
 * session as a transaction may have recipients, so that guessing names has an end too.
 *
 * @module
 */
import type { Reply } from "../mail/reply.ts";
import type { SmtpSettings } from "./events.ts";
import { mailFirst, noChunkTransaction, noValidRecipients } from "./replies.ts";

const CONSEQUENCES: ReadonlySet<Reply> = new Set([mailFirst, noValidRecipients, noChunkTransaction]);

export class ErrorBudget {
  #errorsLeft: number;
  #pardonsLeft: number;
  /** A part of the client's transaction was refused: what it had already sent after that may fail for that alone. */
  #followsRefusal = false;

  constructor(settings: Pick<SmtpSettings, "errors" | "recipients">) {
    this.#errorsLeft = settings.errors;
    this.#pardonsLeft = settings.recipients;
  }

  /** A part of a transaction was refused. */
  refused(): void {
    this.#followsRefusal = true;
  }

  /** The client begins anew. */
  begun(): void {
    this.#followsRefusal = false;
  }

  /** Counts a refusal and says whether it was one too many. */
  count(answer: Reply, kind: "error" | "recipient"): "spent" | "some-left" {
    if (answer.code < 500) return "some-left";
    const excused = kind === "recipient" || (this.#followsRefusal && CONSEQUENCES.has(answer));
    if (excused && this.#pardonsLeft-- > 0) return "some-left";
    return this.#errorsLeft-- > 0 ? "some-left" : "spent";
  }
}
