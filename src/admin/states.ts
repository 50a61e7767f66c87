/**
 * What becomes of a recipient, in words: the one place where states are put into sentences for people.
 *
 * @module
 */
import { isGatewayDestination } from "../queue/destination.ts";
import type { RecipientState } from "../store/types.ts";

/** States of recipients in the queue, in the order they are told. */
export const WAITING_STATES = ["queued", "deferred", "held"] as const satisfies readonly RecipientState[];

/** States of recipients that have left the queue. */
export const FINAL_STATES = [
  "delivered",
  "relayed",
  "handed",
  "expanded",
  "failed",
  "dropped",
] as const satisfies readonly RecipientState[];

export const ALL_STATES: readonly RecipientState[] = [...WAITING_STATES, ...FINAL_STATES];

/** What each state means, for help and documentation. */
export const STATE_MEANING: { readonly [state in RecipientState]: string } = {
  queued: "accepted, and its turn comes as soon as the server gets to it",
  deferred: "could not be delivered yet, and is tried again",
  held: "kept back by an operator until it is released",
  delivered: "in a maildrop of this system",
  relayed: "accepted by a system that is responsible for the recipient",
  handed:
    "accepted by a host that passes it on, such as the buffer host; what becomes of it is not known here",
  expanded: "replaced by the recipients it stands for",
  failed: "not delivered; the sender was told where that was asked for",
  dropped: "taken out by an operator, and nobody was told",
};

/** What a sentence about a recipient is made of. */
export interface StateFacts {
  readonly recipient: string;
  readonly state: RecipientState;
  /** Why, or what the other side said; may be "". */
  readonly detail: string;
  /** Who accepted it, `mx.example.org [192.0.2.1]`; "" where nobody outside did. */
  readonly acceptedBy: string;
  /** What that host is here, where it is something. */
  readonly acceptedAs?: "buffer host" | null;
  /** Accounts whose maildrop got it. */
  readonly accounts: readonly string[];
  /** Recipients it was replaced by. */
  readonly becameWhom: readonly string[];
}

/** Names in a sentence at most: a list for a whole office would fill the screen. */
const NAMES_TOLD = 10;

/** What became of a recipient, as a sentence without its full stop. Nothing in it is made fit for a terminal. */
export function stateSentence(facts: StateFacts): string {
  const { recipient, state, detail, acceptedBy, acceptedAs, accounts } = facts;
  const why = detail === "" ? "" : `: ${detail}`;
  switch (state) {
    case "queued":
      return `waiting for delivery to ${recipient}${why}`;
    case "deferred":
      return `${recipient} waits${why}`;
    case "held":
      return `held back from ${recipient}${why}`;
    case "failed":
      return `not delivered to ${recipient}${why}`;
    case "dropped":
      return `taken out of the queue before it reached ${recipient}, and nobody was told${why}`;
    case "relayed":
      return `accepted for ${recipient} by ${acceptedBy || "another system"}: it is responsible now${
        said(detail)
      }`;
    case "handed":
      return `handed on for ${recipient} to ${isA(acceptedAs)}${
        acceptedBy || "another host"
      }: what becomes of it there is reported by that host${said(detail)}`;
    case "delivered":
      return accounts.length === 0
        ? `delivered to ${recipient}${why}`
        : `delivered to ${recipient}, into the maildrop of ${andList(accounts)}${why}`;
    case "expanded":
      if (facts.becameWhom.length > 0) return `${recipient} became ${becameWhat(facts)}${why}`;
      if (accounts.length > 0) {
        return `mail for ${recipient} is in the maildrop of ${
          andList(accounts)
        }, and went to others who were recipients already${why}`;
      }
      return `mail for ${recipient} went on${why || " to others who were recipients already"}`;
  }
}

function isA(role: string | null | undefined): string {
  return role === null || role === undefined ? "" : `the ${role} `;
}

function said(detail: string): string {
  return detail === "" ? "" : ` (it said: ${detail})`;
}

function becameWhat({ becameWhom, accounts }: StateFacts): string {
  const others = becameWhom.length === 1
    ? becameWhom[0]!
    : `${becameWhom.length} recipients: ${andList(becameWhom)}`;
  return accounts.length === 0 ? others : `${others}; and it is in the maildrop of ${andList(accounts)}`;
}

/** `a`, `a and b`, `a, b and c`; of many, the first ten and how many more. */
export function andList(names: readonly string[]): string {
  if (names.length > NAMES_TOLD) {
    return `${names.slice(0, NAMES_TOLD).join(", ")} and ${names.length - NAMES_TOLD} more`;
  }
  return names.length < 2 ? names.join() : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

/**
 * Where a destination of the queue leads, for people: `example.org` are the mail hosts that DNS names for it,
 * `[mail.example.net]:587 as office` is one host of the configuration's or an operator's choice, `gateway mhs` is one of the
 * configuration's.
 */
export function destinationWords(destination: string): string {
  const [, name, verified] = /^(.*?)( with REQUIRETLS)?$/.exec(destination)!;
  if (isGatewayDestination(destination)) return `the ${destination}`;
  const parts = /^\[(.+)\]:(\d+)(?: \(TLS ([a-z]+)\))?(?: as (.*))?$/.exec(name!);
  const how = parts?.[3] === undefined ? "" : `, TLS: ${parts[3]}`;
  const tls = verified === undefined ? how : ", over verified TLS only";
  if (parts === null) {
    return name!.startsWith("[") ? `the host at ${name}${tls}` : `the mail hosts of ${name}${tls}`;
  }
  const user = parts[4] === undefined ? "" : `, logged in as ${parts[4]}`;
  return `the host ${parts[1]}, port ${parts[2]}${user}${tls}`;
}
