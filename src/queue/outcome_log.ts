/**
 * What became of recipients, a line of the log each.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { formatMessageKey } from "../mail/message_id.ts";
import type { Outcome, QueuedMessage } from "../store/types.ts";
import type { Verdict } from "./ledger.ts";

const log = getLogger(["emsmail", "delivery"]);

function expandedName({ recipient, piece }: NonNullable<Outcome["expandedTo"]>[number]): string {
  return piece === undefined ? recipient : formatMessageKey(piece);
}

/** Says in the log what became of a recipient. */
export function tell(message: QueuedMessage, verdict: Verdict, outcome: Outcome): void {
  const note = { id: formatMessageKey(message.key), to: verdict.recipient.recipient };
  const detail = outcome.detail === "" ? {} : { detail: outcome.detail };
  switch (outcome.state) {
    case "delivered":
    case "expanded":
      return log.info("message delivered", {
        ...note,
        account: verdict.kind === "delivered" ? verdict.accounts : "",
        ...outcome.expandedTo === undefined
          ? {}
          : { expanded: outcome.expandedTo.map(expandedName).join(",") },
        ...detail,
      });
    case "relayed":
      return log.info("message relayed", { ...note, by: outcome.acceptedBy, ...detail });
    case "handed":
      return log.info("message handed on", { ...note, by: outcome.acceptedBy, ...detail });
    case "deferred":
      return log.info("message deferred", { ...note, destination: outcome.wait?.destination, ...detail });
    case "failed":
    case "held":
    case "dropped":
      return log.warn("message not delivered", { ...note, ...detail });
  }
}
