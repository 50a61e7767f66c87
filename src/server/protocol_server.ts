/**
 * One protocol thread: accepts on every listener, hands each connection to its protocol, watches for silence, stops in
 * an orderly way.
 *
 * Guarantees: the numbers of receivers (in all and for each client) and of POP3 sessions hold across all threads; a
 * connection beyond them is told so (421 4.3.2, -ERR [SYS/TEMP]) before it is closed. A client that a listener is not for
 * is told so in the greeting, and has a few seconds to say QUIT (admission.ts decides).
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import type { Socket } from "node:net";
import { utf8 } from "../base/bytes.ts";
import type { Timer } from "../base/clock.ts";
import { REFUSED_IDLE_MS } from "../base/limits.ts";
import type { Entry, SessionKind } from "../base/shared.ts";
import type { Config } from "../config/config.ts";
import { formatReply, type Reply } from "../mail/reply.ts";
import { Connection } from "../net/connection.ts";
import { listen, type ListenAddress, type Listener } from "../net/listener.ts";
import * as replies from "../smtp/replies.ts";
import { type Admission, admit } from "./admission.ts";
import type { ServedConnection, ServerContext, Service } from "./context.ts";
import { Pop3Connection } from "./pop3_connection.ts";
import { SmtpConnection } from "./smtp_connection.ts";

const log = getLogger(["emsmail", "server"]);

/** How often silent connections are looked for, in milliseconds. */
const SWEEP_MS = 1_000;
/** How long the last replies may take once the grace is over, in milliseconds. */
const LAST_WORDS_MS = 500;

/** Where a service listens. */
export interface ServiceAddress {
  readonly service: Service;
  readonly address: ListenAddress;
}

/** A connection that was let in. */
interface Link {
  readonly connection: Connection;
  /** Counts it out. */
  readonly leave: () => void;
  readonly admission: Admission;
  /** The TLS session's description, once there is one. */
  readonly tls?: string;
}

export class ProtocolServer {
  readonly #context: ServerContext;
  #listeners: Listener[] = [];
  readonly #connections = new Map<ServedConnection, SessionKind>();
  /** Connections that are still in their first TLS handshake. */
  readonly #handshakes = new Set<Connection>();
  #sweep: Timer | undefined;
  #stopping: (() => void) | undefined;
  #state: "running" | "stopping" = "running";

  constructor(context: ServerContext) {
    this.#context = context;
  }

  /** Accepts on all addresses. @throws {ListenError} */
  async listen(addresses: readonly ServiceAddress[]): Promise<void> {
    for (const { service, address } of addresses) {
      this.#listeners.push(await listen(address, (socket) => this.#accept(service, socket)));
    }
    this.#scheduleSweep();
  }

  /** Stops accepting, lets what is in progress finish for at most `graceMs` milliseconds, then closes everything. */
  async stop(graceMs: number): Promise<void> {
    this.#state = "stopping";
    this.#sweep?.cancel();
    // Not waited for: it accepts no more at once, and is over only when the last of its connections is.
    for (const listener of this.#listeners) void listener.close();
    for (const connection of this.#handshakes) connection.destroy();
    for (const connection of this.#connections.keys()) connection.stop();
    if (this.#connections.size === 0) return;
    let timer: Timer | undefined;
    await new Promise<void>((resolve) => {
      this.#stopping = resolve;
      timer = this.#context.clock.after(graceMs, () => {
        for (const connection of this.#connections.keys()) connection.timeOut();
        timer = this.#context.clock.after(LAST_WORDS_MS, resolve);
      });
    });
    timer?.cancel();
  }

  #accept(service: Service, socket: Socket): void {
    const connection = new Connection(socket, this.#context.clock);
    const client = connection.remoteAddress;
    const admission = admit(this.#context.config(), { service, client });
    const { kind, limits, refusal } = admission;
    const entry = this.#context.counters.tryEnter(kind, client, limits);
    if (refusal !== undefined) {
      log.info("client refused", { service, client, reply: refusal.lines.join(" ") });
    }
    if (entry !== "entered" || this.#state === "stopping") {
      if (entry === "entered") this.#context.counters.leave(kind, client);
      if (refusal === undefined) log.warn("connection refused", { service, client, limit: entry });
      return this.#refuse(service, { connection, answer: refusal ?? tooMany(entry) });
    }
    const leave = () => this.#context.counters.leave(kind, client);
    if (service === "submissions" || service === "pop3s") {
      void this.#acceptTls(service, { connection, leave, admission });
    } else this.#serve(service, { connection, leave, admission });
  }

  async #acceptTls(
    service: "submissions" | "pop3s",
    link: Link,
  ): Promise<void> {
    const { connection, leave } = link;
    this.#handshakes.add(connection);
    try {
      const tls = await connection.secure(this.#context.tls());
      this.#serve(service, { ...link, tls });
    } catch (error) {
      leave();
      log.info("TLS handshake failed", { service, client: connection.remoteAddress, error: String(error) });
    } finally {
      this.#handshakes.delete(connection);
    }
  }

  #serve(service: Service, link: Link): void {
    const closed = () => {
      this.#connections.delete(served);
      if (this.#connections.size === 0) this.#stopping?.();
    };
    // The place is free when the session is over: a client that comes straight back must not meet its own shadow.
    const options = { context: this.#context, tls: link.tls, ended: link.leave, closed };
    const served: ServedConnection = service === "pop3" || service === "pop3s"
      ? new Pop3Connection(link.connection, { ...options, service })
      : new SmtpConnection(link.connection, { ...options, service, refusal: link.admission.refusal });
    this.#connections.set(served, link.admission.kind);
  }

  /** Says why in the clear; a client that began with TLS only sees the connection close. */
  #refuse(
    service: Service,
    { connection, answer }: { readonly connection: Connection; readonly answer: Reply },
  ): void {
    if (service === "smtp" || service === "submission") connection.write(formatReply(answer));
    if (service === "pop3") {
      connection.write(utf8("-ERR [SYS/TEMP] too many sessions; try again in a minute\r\n"));
    }
    connection.end();
  }

  #scheduleSweep(): void {
    this.#sweep = this.#context.clock.after(SWEEP_MS, () => {
      const { limits } = this.#context.config();
      const nowMs = this.#context.clock.nowMs();
      for (const [connection, kind] of this.#connections) {
        const sinceMs = connection.waitingSinceMs;
        if (sinceMs !== undefined && nowMs - sinceMs > idleMs(kind, limits)) connection.timeOut();
      }
      this.#scheduleSweep();
    });
  }
}

/** How long a session of a kind may be silent, in milliseconds. */
function idleMs(kind: SessionKind, limits: Config["limits"]): number {
  switch (kind) {
    case "receiver":
    case "buffer":
      return limits.smtpIdle;
    case "pop3":
      return limits.pop3Idle;
    case "stranger":
      return REFUSED_IDLE_MS;
  }
}

function tooMany(entry: Entry): Reply {
  return entry === "client-full" ? replies.tooManyFromClient : replies.tooManyReceivers;
}
