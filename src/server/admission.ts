/**
 * Who may talk on which listener, and among how many.
 *
 * Guarantees: pure. In buffer mode (the seed, Figure 2) the smtp listeners are the buffer host's alone: whoever is not in
 * `relay.buffer.acceptFrom` is refused in the greeting, this machine's own programs too unless they are listed (they have
 * the submission listeners). The buffer host's connections are counted by themselves, `relay.buffer.receivers` of them, so
 * that it and the users can't take each other's place. In the other modes every client may talk on every listener.
 *
 * @module
 */
import { inCidrs } from "../base/cidr.ts";
import { REFUSED_SESSIONS } from "../base/limits.ts";
import type { SessionKind, SessionLimits } from "../base/shared.ts";
import type { Config } from "../config/config.ts";
import type { Reply } from "../mail/reply.ts";
import * as replies from "../smtp/replies.ts";
import type { Service } from "./context.ts";

export interface Admission {
  /** What the connection is counted as. */
  readonly kind: SessionKind;
  /** How many of its kind there may be. */
  readonly limits: SessionLimits;
  /** The greeting that says that there is no service; undefined: there is. */
  readonly refusal?: Reply;
}

/** Decides on a connection of `client` (an address) to a listener of `service`. */
export function admit(
  config: Config,
  { service, client }: { readonly service: Service; readonly client: string },
): Admission {
  if (service === "pop3" || service === "pop3s") {
    return { kind: "pop3", limits: { total: config.pop3.sessions } };
  }
  const { mode, buffer } = config.relay;
  if (service !== "smtp" || mode !== "buffer") {
    return { kind: "receiver", limits: { total: config.receivers, perClient: config.receiversPerClient } };
  }
  return inCidrs(client, buffer.acceptFrom)
    ? { kind: "buffer", limits: { total: buffer.receivers } }
    : { kind: "stranger", limits: { total: REFUSED_SESSIONS }, refusal: replies.notFromYou };
}
