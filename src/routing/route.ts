/**
 * Where a recipient's mail goes: DESIGN's `resolve(recipient, topology) -> Route`.
 *
 * Guarantees: pure; total (each mode's rules end in one that takes every recipient); the route names the rule that made
 * it, for `emsmail route` and `emsmail trace`. No other folder asks which mode the system runs in.
 *
 * A mode is a list of rules, tried from the top; the first that takes the recipient decides. Another mode is another
 * list in RULES.
 *
 * @module
 */
import { type Address, formatAddress } from "../mail/address.ts";
import { type Reply, reply } from "../mail/reply.ts";
import { localCandidates, type LocalOptions } from "./local.ts";

/** The network this system lives in. */
export type RoutingMode = "intranet";

/** What routing knows of the world. */
export interface Topology extends LocalOptions {
  readonly mode: RoutingMode;
}

export type Route =
  /** Delivered here, to whoever has the first of `names` that exists. */
  | {
    readonly channel: "local";
    readonly recipient: Address;
    readonly names: readonly string[];
    /** `always`: must be taken even where nobody has a name of these (postmaster, RFC 5321 4.5.1). */
    readonly accept: "if-known" | "always";
    readonly rule: string;
  }
  /** Not taken; the reply says why, in a sentence. */
  | {
    readonly channel: "refused";
    readonly recipient: Address;
    readonly reply: Reply;
    readonly rule: string;
  };

/** Gives the route, or undefined to leave the recipient to the next rule. */
type Rule = (recipient: Address, topology: Topology) => Route | undefined;

/** A mode's rules; `otherwise` takes what none of the others took. */
interface RuleList {
  readonly rules: readonly Rule[];
  readonly otherwise: (recipient: Address, topology: Topology) => Route;
}

const RULES: { readonly [mode in RoutingMode]: RuleList } = {
  intranet: { rules: [ourDomains], otherwise: nothingOutside },
};

/** Decides where a recipient's mail goes. */
export function resolve(recipient: Address, topology: Topology): Route {
  const { rules, otherwise } = RULES[topology.mode];
  for (const rule of rules) {
    const route = rule(recipient, topology);
    if (route !== undefined) return route;
  }
  return otherwise(recipient, topology);
}

function ourDomains(recipient: Address, topology: Topology): Route | undefined {
  const candidates = localCandidates(recipient, topology);
  if (candidates.kind === "outside") return undefined;
  return {
    channel: "local",
    recipient,
    names: candidates.names,
    accept: candidates.kind === "postmaster" ? "always" : "if-known",
    rule: candidates.kind === "postmaster" ? "postmaster" : "our-domains",
  };
}

function nothingOutside(recipient: Address, topology: Topology): Route {
  const ours = listed(topology.domains);
  const sentence = `${
    formatAddress(recipient)
  } is outside: this system is on an intranet and delivers only to ${ours}`;
  // RFC 3463 3.8: 5.7.1 is delivery not authorized; RFC 5321 3.6.2 allows 550 for it.
  return { channel: "refused", recipient, reply: reply(550, "5.7.1", sentence), rule: "intranet" };
}

/** Domains named in a refusal at most, so that it stays a sentence. */
const DOMAINS_NAMED = 5;

function listed(domains: readonly string[]): string {
  if (domains.length === 0) return "domains that its configuration has yet to name";
  const named = domains.slice(0, DOMAINS_NAMED).join(", ");
  return domains.length > DOMAINS_NAMED ? `${named} and ${domains.length - DOMAINS_NAMED} more` : named;
}
