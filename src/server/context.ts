/**
 * What every connection of a protocol thread works with.
 *
 * @module
 */
import type { SecureContext } from "node:tls";
import type { Clock } from "../base/clock.ts";
import type { SharedCounters } from "../base/shared.ts";
import type { Config } from "../config/config.ts";
import type { MessageKey } from "../mail/message_id.ts";
import type { Store } from "../store/types.ts";
import type { Authenticator } from "./login/authenticator.ts";
import type { MaildropLocks } from "./login/maildrop_lock.ts";

export interface ServerContext {
  /** The configuration in force; read it anew for each connection, since a reload replaces it. */
  config(): Config;
  /** The certificate in force. */
  tls(): SecureContext;
  readonly store: Store;
  /** Who checks passwords, by the configuration in force. */
  authenticator(): Authenticator;
  /** Who holds which maildrop. */
  locks(): MaildropLocks;
  readonly counters: SharedCounters;
  readonly clock: Clock;
  nextKey(): MessageKey;
  /** What rewritten senders' addresses are made with; undefined where there is no such secret, and they mean nothing. */
  srsSecret(): Uint8Array | undefined;
}

/** The services, by the names the configuration gives their listeners. */
export type Service = "smtp" | "submission" | "submissions" | "pop3" | "pop3s";

/** A connection that the server can end from outside. */
export interface ServedConnection {
  /** When it last did anything, in milliseconds since 1970; undefined while it waits for us and not for its peer. */
  readonly waitingSinceMs: number | undefined;
  /** Says so and closes: the peer has been silent too long. */
  timeOut(): void;
  /** Says so and closes, as soon as what it is doing is done. */
  stop(): void;
}
