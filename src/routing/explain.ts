/**
 * Routes in sentences, for `emsmail route`.
 *
 * Guarantees: pure; each rule of route.ts has its sentence, and says which setting made it.
 *
 * @module
 */
import { formatAddress } from "../mail/address.ts";
import type { BackupHop, NextHop, RelayHost, Route } from "./route.ts";

/** Why a route is what it is and what follows from it, a sentence each. */
export function explain(route: Route): readonly string[] {
  const why = reason(route);
  switch (route.channel) {
    case "local":
      return [why, ...route.accept === "always" ? ["It is taken even where nobody has that name."] : []];
    case "refused":
      return [
        why,
        `The sender is told: ${route.reply.code} ${route.reply.enhanced ?? ""} ${
          route.reply.lines.join(" ")
        }.`,
      ];
    case "smtp":
    case "gateway":
      return [
        why,
        ...dutyWords(route.hop),
        ...route.backup === undefined ? [] : [backupWords(route.backup)],
        route.accept === "anyone" ? "Anyone may send there through this system." : USERS_ONLY,
      ];
  }
}

const USERS_ONLY =
  "Only those who have logged in, the hosts in relay.clients, and this system's own aliases, lists, shadows and " +
  "forwarding may send there.";

/** A next hop in a few words: `the hosts that DNS names for example.org`, `mail.example.net, port 25`. */
export function hopWords(hop: NextHop): string {
  if (hop.kind === "host") return hostWords(hop.host);
  if (hop.kind === "gateway") return `the gateway ${hop.name}`;
  return hop.domain.startsWith("[")
    ? `the host at ${hop.domain}`
    : `the hosts that DNS names for ${hop.domain}`;
}

function hostWords({ host, port, tls, user }: RelayHost): string {
  const login = user === undefined ? "" : `, logging in as ${user}`;
  return `${host}, port ${port}, ${TLS_WORDS[tls]}${login}`;
}

const TLS_WORDS: { readonly [tls in RelayHost["tls"]]: string } = {
  off: "in the clear",
  opportunistic: "by TLS if it is offered",
  required: "by TLS",
  verified: "by TLS with a valid certificate",
  implicit: "by TLS from the start, with a valid certificate",
};

function reason(route: Route): string {
  const { rule, recipient } = route;
  const address = formatAddress(recipient);
  if (rule.startsWith("gateways.")) return `${address} is at the gateway ${rule.slice("gateways.".length)}.`;
  switch (rule.replace(/\[\d+\]$/, "")) {
    case "our-domains":
      return `${address} is at one of this system's domains.`;
    case "postmaster":
      return `Mail for postmaster is kept here (RFC 5321 4.5.1).`;
    case "relay.routes":
      return `${rule} is for the domain of ${address}.`;
    case "relay.senders":
      return `${rule} is for the sender.`;
    case "srs":
      return route.channel === "refused"
        ? "The address looks like one that this system made for a sender whose mail it forwarded."
        : `The address stands for ${address}, whose mail this system has forwarded.`;
    case "direct":
      return `${address} is outside, and in mode direct such mail goes to where DNS says.`;
    case "combined":
      return `${address} is outside, and in mode combined such mail goes to where DNS says.`;
    case "buffer dump":
      return `${address} is outside, and in mode buffer such mail goes to the buffer host (relay.outbound: dump).`;
    case "buffer direct-first":
      return `${address} is outside, and in mode buffer such mail goes to where DNS says first (relay.outbound: direct-first).`;
    case "no-domain":
      return `Only postmaster may stand without a domain (RFC 5321 4.1.1.3).`;
    default:
      return `${address} is outside, and in mode ${rule} no mail leaves the system but by relay.routes.`;
  }
}

function dutyWords(hop: NextHop): readonly string[] {
  return hop.kind === "host" && hop.duty === "passes-on"
    ? ["That host passes it on; what becomes of it then is for that host to say."]
    : [];
}

function backupWords({ hop, when }: BackupHop): string {
  const condition = when === "no-host"
    ? "If DNS names no host for the domain"
    : "If DNS names no host for the domain, or none can be reached for too long";
  return `${condition}, it goes to ${hopWords(hop)}; a refusal is final and goes back to the sender.`;
}
