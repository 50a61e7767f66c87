/**
 * Binds the POP3 core to a socket, a maildrop and the accounts: pop3 and pop3s alike.
 *
 * Guarantees: one session a maildrop; messages are taken out at QUIT only, all in one transaction, and only while the
 * lock is still ours; a connection that ends any other way changes nothing. A message is sent part by part as fast as
 * the client reads, so its size does not matter to memory.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { LOGIN_ATTEMPTS } from "../base/limits.ts";
import { formatMessageKey } from "../mail/message_id.ts";
import { type Connection, isLoopback } from "../net/connection.ts";
import { type OpenMaildrop, type Pop3Event, Pop3Session } from "../pop3/session.ts";
import { type Account, type MaildropListing, StoreError } from "../store/types.ts";
import type { ServedConnection, ServerContext } from "./context.ts";
import type { ExchangeStep } from "./login/authenticator.ts";
import type { MaildropLock } from "./login/maildrop_lock.ts";
import { plainOpening, surrogateOpening, surrogateSizes } from "./surrogate.ts";

const log = getLogger(["emsmail", "pop3"]);

/** Unprocessed input above which the socket is paused, in octets. */
const INPUT_OCTETS = 64 * 1024;

export interface Pop3ConnectionOptions {
  readonly context: ServerContext;
  readonly service: "pop3" | "pop3s";
  /** The TLS session's description where the connection began with TLS. */
  readonly tls?: string;
  /** Called once, when the session is over, though the peer may not have closed yet. */
  readonly ended: () => void;
  /** Called once, when the connection is gone. */
  readonly closed: () => void;
}

/** What a log-in gave this session. */
interface OpenSession {
  readonly account: Account;
  readonly lock: MaildropLock;
  readonly listing: MaildropListing;
}

export class Pop3Connection implements ServedConnection {
  readonly #connection: Connection;
  readonly #context: ServerContext;
  readonly #options: Pop3ConnectionOptions;
  readonly #session: Pop3Session;
  #open: OpenSession | undefined;
  /** Where the next SASL response goes. */
  #respond: Extract<ExchangeStep, { kind: "challenge" }>["respond"] | undefined;
  #busy: "no" | "yes" = "no";
  #unread: Uint8Array[] = [];
  #unreadOctets = 0;
  #output: "flowing" | "held" = "flowing";
  #drained: (() => void) | undefined;
  #ending: "no" | "input-ended" | "stopping" | "closed" = "no";

  constructor(connection: Connection, options: Pop3ConnectionOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#context = options.context;
    this.#session = new Pop3Session(this.#settings(), { tls: options.tls });
    connection.start({
      received: (bytes) => this.#received(bytes),
      inputEnded: () => this.#inputEnded(),
      drained: () => this.#onDrained(),
      ended: options.ended,
      closed: () => this.#closed(),
    });
    this.#session.greet();
    this.#flush();
  }

  /** A client that reads a long message moves octets, so only silence counts, whoever waits for whom. */
  get waitingSinceMs(): number | undefined {
    return this.#busy === "yes" && this.#output === "flowing" ? undefined : this.#connection.lastActivityMs;
  }

  timeOut(): void {
    // RFC 1939 3: an autologout does not enter the UPDATE state.
    if (this.#busy === "yes") this.#connection.destroy();
    else this.#sayAndEnd("nothing was heard for too long; messages marked as deleted were kept");
  }

  stop(): void {
    this.#ending = "stopping";
    if (this.#busy === "no") this.#sayAndEnd("the server is being stopped; try again in a minute");
  }

  #settings() {
    const config = this.#context.config();
    const mayBeClear = config.pop3.plainLogin === "always" || isLoopback(this.#connection.remoteAddress);
    return {
      hostname: config.hostname,
      implementation: "EMSmail",
      lineOctets: config.limits.commandLineBytes,
      errors: config.limits.errors,
      stls: this.#options.service === "pop3s" ? "none" : "offered",
      login: mayBeClear ? "always" : "tls-only",
      mechanisms: config.auth.mechanisms,
      expire: config.pop3.expire,
      loginDelaySeconds: Math.ceil(config.pop3.loginDelay / 1000),
      loginAttempts: LOGIN_ATTEMPTS,
    } as const;
  }

  // ---------------------------------------------------------------- the loop

  #received(bytes: Uint8Array): void {
    if (this.#ending === "closed") return;
    if (this.#busy === "yes") {
      this.#unread.push(bytes);
      this.#unreadOctets += bytes.length;
      if (this.#unreadOctets > INPUT_OCTETS) this.#connection.pause();
      return;
    }
    this.#session.receive(bytes);
    this.#run();
  }

  #inputEnded(): void {
    if (this.#ending === "no") this.#ending = "input-ended";
    if (this.#busy === "no") this.#connection.end();
  }

  #run(): void {
    this.#open?.lock.touch();
    for (;;) {
      const event = this.#session.next();
      if (event === "need-data" || event === "paused") break;
      const waiting = this.#handle(event);
      if (waiting !== undefined) {
        this.#busy = "yes";
        void waiting.catch((error) => this.#fault(event, error)).then(() => this.#carryOn());
        return;
      }
    }
    this.#flush();
  }

  #carryOn(): void {
    this.#busy = "no";
    if (this.#ending === "closed") return this.#release();
    this.#run();
    while (!this.#isBusy() && this.#unread.length > 0 && this.#state() !== "closed") {
      const bytes = this.#unread.shift()!;
      this.#unreadOctets -= bytes.length;
      this.#session.receive(bytes);
      this.#run();
    }
    if (this.#isBusy() || this.#state() === "closed") return;
    this.#resumeReading();
    if (this.#ending === "input-ended") this.#connection.end();
    if (this.#ending === "stopping") this.stop();
  }

  /** By function, as what is below, since calls change it where the compiler can't see it. */
  #state(): "no" | "input-ended" | "stopping" | "closed" {
    return this.#ending;
  }

  #isBusy(): boolean {
    return this.#busy === "yes";
  }

  #resumeReading(): void {
    if (this.#output === "flowing" && this.#unreadOctets <= INPUT_OCTETS) this.#connection.resume();
  }

  #flush(): void {
    const output = this.#session.takeOutput();
    if (output === undefined || this.#connection.write(output) === "more") return;
    this.#output = "held";
    this.#connection.pause();
  }

  #onDrained(): void {
    this.#output = "flowing";
    this.#open?.lock.touch();
    this.#drained?.();
    this.#drained = undefined;
    this.#resumeReading();
  }

  /** Waits until the client has read what was sent, or is gone. */
  async #untilDrained(): Promise<void> {
    if (this.#output === "held" && this.#state() !== "closed") {
      await new Promise<void>((resolve) => this.#drained = resolve);
    }
  }

  async #sendOutput(): Promise<void> {
    this.#flush();
    await this.#untilDrained();
  }

  #sayAndEnd(text: string): void {
    if (this.#ending === "closed") return;
    this.#session.shutdown(text);
    this.#release();
    this.#connection.end(this.#session.takeOutput());
  }

  #fault(event: Pop3Event, error: unknown): void {
    log.error("fault while handling {event}", {
      event: event.kind,
      client: this.#connection.remoteAddress,
      account: this.#open?.account.name,
      error: error instanceof Error ? error.message : String(error),
      stack: error instanceof Error ? error.stack : undefined,
    });
    const text = "something went wrong here; try again later";
    if (event.kind === "retrieve") this.#session.contentFailed(text);
    else if (event.kind === "update") this.#session.updated("partial", text);
    else if (event.kind === "stls") this.#connection.destroy();
    else this.#session.refuse("SYS/TEMP", text);
  }

  #closed(): void {
    this.#ending = "closed";
    this.#unread = [];
    this.#drained?.();
    if (this.#busy === "no") this.#release();
    this.#options.closed();
  }

  #release(): void {
    this.#open?.lock.release();
    this.#open = undefined;
  }

  // ---------------------------------------------------------------- events

  #handle(event: Pop3Event): Promise<void> | undefined {
    switch (event.kind) {
      case "retrieve":
        return this.#retrieve(event.index, event.lines);
      case "login":
        return this.#passwordLogin(event.user, event.password);
      case "auth":
      case "auth-response":
        return this.#saslLogin(event);
      case "update":
        return this.#update(event.deleted);
      case "stls":
        return this.#startTls();
      case "flush":
        return this.#sendOutput();
      case "close":
        // Freed before the reply: the client's next log-in may come before its connection has closed.
        this.#release();
        this.#connection.end(this.#session.takeOutput());
        return undefined;
    }
  }

  async #passwordLogin(user: string, password: string): Promise<void> {
    const client = this.#connection.remoteAddress;
    await this.#loginStep(await this.#context.authenticator().plain(user, password, { client }));
  }

  async #saslLogin(event: Extract<Pop3Event, { kind: "auth" | "auth-response" }>): Promise<void> {
    const respond = this.#respond;
    this.#respond = undefined;
    if (event.kind === "auth-response") {
      if (event.response === "cancel" || respond === undefined) {
        return this.#session.refuse(undefined, "cancelled");
      }
      return await this.#loginStep(await respond(event.response));
    }
    const { mechanism, initial } = event;
    const client = this.#connection.remoteAddress;
    await this.#loginStep(await this.#context.authenticator().start(mechanism, { client, initial }));
  }

  async #loginStep(step: ExchangeStep): Promise<void> {
    switch (step.kind) {
      case "challenge":
        this.#respond = step.respond;
        return this.#session.challenge(step.bytes);
      case "ok":
        return await this.#openMaildrop(step.account);
      case "refused":
        log.warn("log-in refused", {
          client: this.#connection.remoteAddress,
          service: this.#options.service,
        });
        return this.#session.refuse("AUTH", "the user name or the password is wrong");
      case "temporary":
        return this.#session.refuse("SYS/TEMP", step.text);
      case "malformed":
        return this.#session.refuse(undefined, step.text);
      case "unknown-mechanism":
        return this.#session.refuse(undefined, "this mechanism is not offered; CAPA lists those that are");
    }
  }

  async #openMaildrop(account: Account): Promise<void> {
    if (account.pop3 === "N") return this.#session.refuse("SYS/PERM", "POP3 is not allowed for this account");
    const { pop3 } = this.#context.config();
    const locks = this.#context.locks();
    if (!locks.loginAllowed(account, Math.ceil(pop3.loginDelay / 1000))) {
      return this.#session.refuse("LOGIN-DELAY", "this account logged in a moment ago; wait a little");
    }
    const attempt = locks.acquire(account);
    if (attempt.kind === "in-use") {
      return this.#session.refuse("IN-USE", "another session has this maildrop open");
    }
    let listing: MaildropListing;
    let maildrop: OpenMaildrop;
    try {
      listing = await this.#context.store.maildrops.list(account.id);
      maildrop = {
        sizes: await this.#sizes(account, listing),
        uniqueId: (i) => formatMessageKey(listing.keys[i]!),
      };
    } catch (error) {
      attempt.lock.release();
      throw error;
    }
    this.#open = { account, lock: attempt.lock, listing };
    log.debug("maildrop opened", () => ({ client: this.#connection.remoteAddress, account: account.name }));
    this.#session.opened(maildrop);
  }

  /** RFC 6856: without UTF8 a client gets a surrogate in ASCII, whose size is another. */
  #sizes(account: Account, listing: MaildropListing): ArrayLike<number> | Promise<ArrayLike<number>> {
    if (this.#session.utf8 === "on" || listing.smtpUtf8.size === 0) return listing.sizes;
    return surrogateSizes(this.#context.store.maildrops, { account: account.id, listing });
  }

  async #retrieve(index: number, lines: number | "all"): Promise<void> {
    const { account, listing } = this.#open!;
    const key = listing.keys[index]!;
    const { maildrops } = this.#context.store;
    const head = await maildrops.open(account.id, key);
    if (head === undefined) return this.#session.contentFailed("this message was removed by another program");
    const opening = this.#session.utf8 === "off" && listing.smtpUtf8.has(index)
      ? await surrogateOpening(maildrops, { head, key })
      : plainOpening(head);
    let left = listing.sizes[index]! - opening.consumedOctets;
    let wanted = opening.pieces.map((piece) => this.#session.content(piece)).at(-1);
    for (let part = opening.nextPart; left > 0 && wanted === "more"; part++) {
      this.#flush();
      await this.#untilDrained();
      if (this.#state() === "closed") return;
      const bytes = await maildrops.part(key, part);
      if (bytes === undefined) {
        throw new StoreError("damaged", `part ${part} of ${formatMessageKey(key)} is missing`);
      }
      left -= bytes.length;
      wanted = this.#session.content(bytes);
    }
    // The last part goes out together with the terminating line.
    this.#session.contentEnd();
    if (lines === "all") {
      log.debug("message fetched", () => ({ id: formatMessageKey(key), account: account.name }));
    }
  }

  async #update(deleted: readonly number[]): Promise<void> {
    const { account, lock, listing } = this.#open!;
    if (deleted.length > 0) {
      // A true answer leaves the whole takeover time for the commit.
      if (!lock.touch()) {
        return this.#session.updated(
          "partial",
          "another session took this maildrop over; nothing was deleted",
        );
      }
      const keys = deleted.map((index) => listing.keys[index]!);
      await this.#context.store.maildrops.remove(account.id, keys);
      for (const key of keys) {
        log.info("message removed", { id: formatMessageKey(key), account: account.name });
      }
    }
    this.#session.updated("ok");
  }

  async #startTls(): Promise<void> {
    this.#flush();
    this.#unread = [];
    this.#unreadOctets = 0;
    try {
      this.#session.secured(await this.#connection.secure(this.#context.tls()));
      this.#output = "flowing";
    } catch (error) {
      log.info("TLS handshake failed", { client: this.#connection.remoteAddress, error: String(error) });
    }
  }
}
