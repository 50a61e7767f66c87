/**
 * Where mail that leaves goes, by name: all that has the same name shares connections and failures.
 *
 * @module
 */
import type { MessageKey } from "../mail/message_id.ts";
import type { NextHop, RelayHost, Route } from "../routing/route.ts";
import type { QueuedMessage, QueuedRecipient } from "../store/types.ts";

/** The route of a recipient that another system gets, by SMTP or another gateway. */
export type OutRoute = Extract<Route, { readonly channel: "smtp" | "gateway" }>;

export interface Destination {
  /** `example.org`, `[mail.example.net]:25`, `gateway mhs`: what the queue, the log and operators call it. */
  readonly name: string;
  readonly hop: NextHop;
  /**
   * `verified`: its messages asked for REQUIRETLS, and travel apart from the others (RFC 8689). `best-effort`: reports of
   * TLS failures, which must not fail by what they report (RFC 8460 3).
   */
  readonly tls: "by-policy" | "verified" | "best-effort";
}

/** Recipients of one message for one destination. */
export interface Job {
  readonly message: QueuedMessage;
  readonly recipients: readonly QueuedRecipient[];
  readonly route: OutRoute;
}

/** One recipient of one message, as a key. */
export function handleOf(key: MessageKey, index: number): string {
  return `${key}.${index}`;
}

/** The destination of a message's next hop. */
export function destinationOf(
  hop: NextHop,
  { requests, own }: Pick<QueuedMessage, "requests" | "own">,
): Destination {
  // No connection, and nothing that sets one message's apart from another's.
  if (hop.kind === "gateway") return { name: gatewayDestination(hop.name), hop, tls: "by-policy" };
  const name = hop.kind === "mx" ? hop.domain : hostName(hop.host);
  if (own === "report") return { name: `${name} for reports`, hop, tls: "best-effort" };
  return requests?.requireTls === true
    ? { name: `${name} with REQUIRETLS`, hop, tls: "verified" }
    : { name, hop, tls: "by-policy" };
}

const GATEWAY = "gateway ";
/** Not a host that is called gateway, with its address behind it. */
const GATEWAY_NAME = /^gateway [a-z][a-z0-9-]*$/;

/** What a gateway other than SMTP is called among destinations; no domain has a blank. */
export function gatewayDestination(name: string): string {
  return `${GATEWAY}${name}`;
}

/** Whether a destination, or who accepted a message, is a gateway other than SMTP. */
export function isGatewayDestination(name: string): boolean {
  return GATEWAY_NAME.test(name);
}

/**
 * Why a recipient that waits for a gateway goes on waiting though its route has changed; undefined: it takes its route.
 * With its gateway gone from the configuration, its domain means nothing any more: DNS would deny it, and everybody's mail
 * would go back for what may be a mistake. A way that somebody configured in the gateway's place is taken.
 */
export function lostGateway({ wait }: QueuedRecipient, route: OutRoute | undefined): string | undefined {
  if (wait === undefined || !isGatewayDestination(wait.destination)) return undefined;
  if (route !== undefined && route.hop.kind !== "mx") return undefined;
  const name = wait.destination.slice(GATEWAY.length);
  return `the gateway ${name} is not in the configuration any more: put it back under gateways, or reroute or drop ` +
    "the message";
}

/** Connections are shared by name: what asks for another security or another log-in must have another name. */
function hostName({ host, port, tls, user }: RelayHost): string {
  const how = tls === "opportunistic" ? "" : ` (TLS ${tls})`;
  return `[${host}]:${port}${how}${user === undefined ? "" : ` as ${user}`}`;
}

/** `host:port` or `[2001:db8::1]:port` as an operator's reroute has it; undefined where it is no such thing. */
export function reroutedHop(text: string): NextHop | undefined {
  const parts = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const host = parts?.[1] ?? parts?.[2];
  if (host === undefined) return undefined;
  // What the operator says is one way to the recipient; who is responsible behind it is not known.
  const to: RelayHost = { host, port: Number(parts![3]), tls: "opportunistic" };
  return { kind: "host", host: to, duty: "passes-on" };
}

/** The hop that is a recipient's turn: the operator's, the backup once that was taken, or its own. */
export function hopOf(recipient: QueuedRecipient, route: OutRoute): NextHop {
  const rerouted = recipient.reroute === undefined ? undefined : reroutedHop(recipient.reroute);
  if (rerouted !== undefined) return rerouted;
  return recipient.wait?.backupSinceMs !== undefined && route.backup !== undefined
    ? route.backup.hop
    : route.hop;
}
