/**
 * The one error that operator actions throw on purpose: a sentence for the person who asked, and what to do next.
 *
 * @module
 */
import { StoreError } from "../store/types.ts";

/** How an action failed: the request itself is wrong, it could not be done, or it may work later. */
export type AdminFailure = "usage" | "failed" | "busy";

export class AdminError extends Error {
  override readonly name = "AdminError";
  readonly failure: AdminFailure;
  /** What the reader can do about it, as half a sentence; "" where the message says it all. */
  readonly advice: string;

  /** `message` says what is wrong, without a final full stop. */
  constructor(message: string, advice = "", failure: AdminFailure = "failed") {
    super(message);
    this.advice = advice;
    this.failure = failure;
  }
}

/** An error that says that what was asked for makes no sense as it was written. */
export function usageError(message: string, advice = ""): AdminError {
  return new AdminError(message, advice, "usage");
}

/** What a store's error means to an operator (its sentence says what to do); any other error is returned as it is. */
export function explain(error: unknown): unknown {
  if (!(error instanceof StoreError)) return error;
  return new AdminError(error.message, "", error.kind === "busy" ? "busy" : "failed");
}
