/**
 * What becomes of one recipient, by what is known of where it goes: recorded at once, or handed to the way out.
 *
 * Guarantees: pure. A message that is kept back, or that an operator sends somewhere, goes as it is. A piece of a message
 * is never broken apart again.
 *
 * @module
 */
import { utf8 } from "../base/bytes.ts";
import type { Handling } from "../gateway/handling.ts";
import { formatMessageKey } from "../mail/message_id.ts";
import { type Reply, reply } from "../mail/reply.ts";
import { returnPathField } from "../mime/trace.ts";
import type { Outcome, Piece, QueuedMessage, QueuedRecipient } from "../store/types.ts";
import { lostGateway, type OutRoute, reroutedHop } from "./destination.ts";
import type { Verdict } from "./ledger.ts";

/** When mail for a gateway that is not configured any more is looked at again, in milliseconds. */
const LOST_MS = 600_000;

/** Where a recipient's mail goes. */
export interface Resolved {
  readonly accounts: readonly {
    readonly id: number;
    readonly name: string;
    /** As one message, or each attachment as a message of its own (gateway/handling.ts). */
    readonly handling: Handling;
  }[];
  /** Addresses elsewhere that it stands for, by an alias, a list, a shadow, or a user's forwarding. */
  readonly forwards: readonly Forwarded[];
  /** The recipient is a list: with its expansion it is delivered, as far as its sender is concerned (RFC 3461 5.2.7.1). */
  readonly list: "no" | "yes";
  /** Whose address is in the Return-Path of the list's members here (RFC 5321 3.9.2); absent: the sender's. */
  readonly listOwner?: string;
  /** The way out, where the recipient itself is elsewhere, and how its mail goes there. */
  readonly route: OutRoute | undefined;
  readonly handling: Handling;
  /** Why there are none, or not all; "" where all is well. */
  readonly problem: string;
  /** Why there is nowhere to go; undefined where there is. */
  readonly refusal: Reply | undefined;
}

/** An address elsewhere that a recipient stands for. */
export interface Forwarded {
  readonly recipient: string;
  /** By a list: the reverse-path is its keeper's from here on (RFC 5321 3.9.2). */
  readonly list?: { readonly owner: string };
}

export interface DecideOptions {
  readonly nowMs: number;
  /** What the message was broken apart into; undefined: it stays whole, or nobody gets it apart. */
  readonly pieces: readonly Piece[] | undefined;
  /** The reverse-path of mail that is sent on to elsewhere. */
  forwardSender(reversePath: string): string;
}

/** Whether a recipient's mail, as things stand, is to be broken apart where it can be. */
export function wantsPieces(
  message: QueuedMessage,
  recipient: QueuedRecipient,
  { resolved, nowMs }: { readonly resolved: Resolved; readonly nowMs: number },
): "yes" | "no" {
  if (
    message.piece !== undefined || holdUntilMs(message) > nowMs || operatorsRoute(recipient) !== undefined
  ) {
    return "no";
  }
  const isApart = resolved.route === undefined
    ? resolved.accounts.some(({ handling }) => handling === "apart")
    : resolved.handling === "apart";
  return isApart ? "yes" : "no";
}

/** What is to be recorded of a recipient now, or its way out. */
export function decide(
  message: QueuedMessage,
  recipient: QueuedRecipient,
  { resolved, ...options }: DecideOptions & { readonly resolved: Resolved },
): Verdict | OutRoute {
  const { nowMs, pieces } = options;
  if (holdUntilMs(message) > nowMs) return held(recipient, holdUntilMs(message));
  const chosen = operatorsRoute(recipient);
  if (chosen !== undefined) return chosen;
  const { accounts, forwards, route, problem, refusal } = resolved;
  const isHere = route === undefined && accounts.length + forwards.length > 0;
  const lost = isHere ? undefined : lostGateway(recipient, route);
  if (lost !== undefined) return waitsForGateway(recipient, lost, nowMs);
  if (route !== undefined) {
    return resolved.handling === "apart" && pieces !== undefined ? sentApart(recipient, pieces) : route;
  }
  if (!isHere) {
    const said = refusal ?? reply(550, "5.1.1", problem);
    return { kind: "failed", recipient, reply: withReason(said, problem), by: "", dialogue: "" };
  }
  const deliverTo = maildrops(message, resolved, pieces);
  return {
    kind: "delivered",
    recipient,
    deliverTo,
    expandedTo: forwards.map((forward) => forwarded(message, recipient, { forward, ...options })),
    detail: problem,
    accounts: accounts.map(({ name }) => name).join(","),
    list: resolved.list,
  };
}

/** RFC 4865: the sender wants it to leave later; 0 where nothing was said. */
function holdUntilMs({ requests }: QueuedMessage): number {
  return requests?.holdUntilMs ?? 0;
}

/** The way that an operator chose. */
function operatorsRoute({ reroute }: QueuedRecipient): OutRoute | undefined {
  const hop = reroute === undefined ? undefined : reroutedHop(reroute);
  if (hop === undefined) return undefined;
  return { channel: "smtp", recipient: { local: "", domain: "" }, accept: "users", hop, rule: "reroute" };
}

function maildrops(
  message: QueuedMessage,
  { accounts, listOwner }: Resolved,
  pieces: readonly Piece[] | undefined,
): Outcome["deliverTo"] {
  // Nobody answers the null reverse-path, and none is told of it in its place.
  const reversePath = message.reversePath === "" ? "" : listOwner ?? message.reversePath;
  const trace = utf8(returnPathField(reversePath));
  return accounts.map(({ id, handling }) =>
    handling === "apart" && pieces !== undefined
      ? { account: id, pieces: pieces.map(({ key, size }) => ({ key, trace, size: size + trace.length })) }
      : { account: id, trace, size: message.size + trace.length }
  );
}

/** The same recipient, once for each piece, as a recipient of that piece. */
function sentApart(recipient: QueuedRecipient, pieces: readonly Piece[]): Verdict {
  const { recipient: address, requests, reversePath } = recipient;
  const ids = pieces.map(({ key }) => formatMessageKey(key));
  return {
    kind: "delivered",
    recipient,
    deliverTo: [],
    expandedTo: pieces.map(({ key }, index) => ({
      recipient: address,
      ...requests === undefined ? {} : { requests: index === 0 ? requests : withoutSuccess(requests) },
      ...reversePath === undefined ? {} : { reversePath },
      piece: key,
    })),
    detail: `sent on as ${pieces.length === 1 ? "1 message" : `${pieces.length} messages`}: ${
      ids.slice(0, NAMED_PIECES).join(", ")
    }${ids.length > NAMED_PIECES ? ` and ${ids.length - NAMED_PIECES} more` : ""}`,
    accounts: "",
    list: "no",
  };
}

/** Who asked to hear of success hears of it once, for the first piece; of what goes wrong, for each. */
function withoutSuccess(requests: NonNullable<QueuedRecipient["requests"]>): typeof requests {
  const { notify } = requests;
  return notify === undefined
    ? requests
    : { ...requests, notify: notify.filter((event) => event !== "success") };
}

/** Ids that an outcome's sentence names; `emsmail trace` lists all of them. */
const NAMED_PIECES = 10;

function forwarded(
  message: QueuedMessage,
  recipient: QueuedRecipient,
  { forward, forwardSender }: DecideOptions & { readonly forward: Forwarded },
): NonNullable<Outcome["expandedTo"]>[number] {
  const before = recipient.reversePath ?? message.reversePath;
  if (forward.list !== undefined) {
    // RFC 5321 3.9.2: who keeps the list is told of what can't be delivered, and nobody is of a notification. RFC 3461
    // 5.2.7.1: what the sender asked for ends here.
    const { owner } = forward.list;
    return {
      recipient: forward.recipient,
      requests: { notify: ["failure"] },
      ...before === "" ? {} : { reversePath: owner },
    };
  }
  const reversePath = forwardSender(before);
  // RFC 3461 4.2: who is told of the outcome knows the recipient by the name the sender wrote.
  const requests = {
    ...recipient.requests,
    orcpt: recipient.requests?.orcpt ?? `rfc822;${recipient.recipient}`,
  };
  return {
    recipient: forward.recipient,
    requests,
    ...reversePath === message.reversePath ? {} : { reversePath },
  };
}

function held(recipient: QueuedRecipient, untilMs: number): Verdict {
  const reason = `held until ${new Date(untilMs).toISOString()}, as its sender asked`;
  return waiting(recipient, { reason, destination: "", dueMs: untilMs });
}

function waitsForGateway(recipient: QueuedRecipient, reason: string, nowMs: number): Verdict {
  const destination = recipient.wait?.destination ?? "";
  return waiting(recipient, { reason, destination, dueMs: nowMs + LOST_MS });
}

function waiting(
  recipient: QueuedRecipient,
  why: { readonly reason: string; readonly destination: string; readonly dueMs: number },
): Verdict {
  return {
    kind: "deferred",
    recipient,
    ...why,
    tried: "no",
    unreachable: "no",
    backup: undefined,
    by: "",
    dialogue: "",
  };
}

/** A refusal with the sentence that is about this recipient. */
function withReason(refusal: Reply, problem: string): Reply {
  return problem === "" ? refusal : { ...refusal, lines: [problem] };
}
