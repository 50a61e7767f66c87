/**
 * Drives an SMTP client session over a connection: octets in and out, time-outs, TLS.
 *
 * Guarantees: event() always comes to an end, since whatever the peer does not do in time ends the session, however little
 * of a reply it sends how often; nothing is sent to a peer that doesn't read faster than it reads.
 *
 * @module
 */
import type { Clock, Timer } from "../base/clock.ts";
import type { Connection } from "../net/connection.ts";
import type { SmtpClientSession } from "../smtp/client/session.ts";
import type { ClientEvent } from "../smtp/client/types.ts";

/** How long output may wait for a peer that does not read, in milliseconds (RFC 5321 4.5.3.2.5: 3 minutes for a data block). */
const WRITE_MS = 3 * 60_000;

/** What is needed of a connection. */
export interface Link
  extends Pick<Connection, "start" | "write" | "end" | "destroy" | "writable" | "secureAsClient"> {
  /** The address it comes from, where that is known. */
  readonly localAddress?: string;
}

export class DialogueDriver {
  readonly session: SmtpClientSession;
  readonly connection: Link;
  readonly #clock: Clock;
  #wake: (() => void) | undefined;
  #drained: (() => void) | undefined;
  #lost = false;
  /** Whether anything came since the session was asked last. */
  #news: "none" | "some" = "none";
  /** When the time for what is waited for is over; it began when that many replies had been read. */
  #limit = { replies: -1, atMs: 0 };

  constructor(session: SmtpClientSession, { connection, clock }: { connection: Link; clock: Clock }) {
    this.session = session;
    this.connection = connection;
    this.#clock = clock;
    connection.start({
      received: (bytes) => {
        session.receive(bytes);
        this.#news = "some";
        this.#wake?.();
        // A host that has refused the rest of a message may not read it either.
        if (session.contentUseless === "yes") this.#drained?.();
      },
      inputEnded: () => this.lose("the host closed the connection"),
      drained: () => this.#drained?.(),
      ended: () => {},
      closed: () => this.lose("the connection was lost"),
    });
  }

  /** Whether the connection still stands. */
  get alive(): boolean {
    return !this.#lost && this.connection.writable;
  }

  /** Sends what the session has to say and gives its next event; not to be asked while the session waits for the caller. */
  async event(): Promise<ClientEvent> {
    for (;;) {
      this.#news = "none";
      const next = this.session.next();
      await this.flush();
      if (typeof next === "object") return next;
      if (next === "waiting") throw new Error(`the session waits for its caller (${this.session.stage})`);
      await this.#input();
    }
  }

  /** Sends what the session has to say; resolves when there is room for more. */
  async flush(): Promise<void> {
    const output = this.session.takeOutput();
    if (output === undefined || this.#lost) return;
    if (this.connection.write(output) === "more") return;
    await this.#until((wake) => this.#drained = wake, WRITE_MS, "the host does not read what is sent to it");
    this.#drained = undefined;
  }

  /** A transaction is over: finds out whether the session is over with it (RFC 5321 3.8: a 421 is the end). */
  async afterTransaction(): Promise<void> {
    const next = this.session.next();
    await this.flush();
    if (typeof next === "object" && next.kind === "failed") this.lose(next.problem);
  }

  /** The connection can't be used any more. */
  lose(reason: string): void {
    if (this.#lost) return;
    this.#lost = true;
    this.session.connectionLost(reason);
    this.#news = "some";
    this.#wake?.();
    this.#drained?.();
  }

  /** Sends the last of what there is and closes. */
  end(): void {
    const output = this.session.takeOutput();
    this.connection.end(output);
  }

  /** Waits for octets, the end of the connection, or the end of patience. */
  async #input(): Promise<void> {
    if (this.#news === "some") return;
    const { timeoutMs, stage, replies } = this.session;
    const nowMs = this.#clock.nowMs();
    // RFC 5321 4.5.3.2: the time is for the whole reply.
    if (this.#limit.replies !== replies) this.#limit = { replies, atMs: nowMs + timeoutMs };
    await this.#until(
      (wake) => this.#wake = wake,
      Math.max(0, this.#limit.atMs - nowMs),
      `the host did not answer in time (${stage}, ${Math.round(timeoutMs / 1000)} seconds)`,
    );
    this.#wake = undefined;
  }

  #until(arm: (wake: () => void) => void, limitMs: number, late: string): Promise<void> {
    return new Promise((resolve) => {
      let timer: Timer | undefined = undefined;
      const wake = () => {
        timer?.cancel();
        resolve();
      };
      arm(wake);
      timer = this.#clock.after(limitMs, () => {
        this.lose(late);
        this.connection.destroy();
        resolve();
      });
    });
  }
}
