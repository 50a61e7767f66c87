/**
 * One TCP connection, plain or TLS, as the servers see it.
 *
 * Guarantees: octets arrive in order through one handler; nothing throws out of a socket event; what was written before
 * {@linkcode Connection.end} reaches the peer if the peer still reads, however slowly it does or whether it has stopped
 * sending (unread input is drained for a while, since closing over it makes the kernel reset the connection and destroy
 * the last reply).
 *
 * Either end of a TLS handshake: {@linkcode Connection.secure} as the server, {@linkcode Connection.secureAsClient} as the
 * client, which reports on the server's certificate and leaves it to the caller what that means.
 *
 * States: open -> (handshaking -> open) -> ending -> closed.
 *
 * @module
 */
import type { Socket } from "node:net";
import { type SecureContext, TLSSocket } from "node:tls";
import type { Clock, Timer } from "../base/clock.ts";
import {
  type ClientTlsOptions,
  handshakeReason,
  openClientTls,
  type PeerTls,
  peerTls,
} from "./client_tls.ts";

export type { ClientTlsOptions, PeerTls };

/** How long a TLS handshake may take, in milliseconds: a minute lets a slow device through and bounds the rest. */
const HANDSHAKE_MS = 60_000;
/** How long the last octets may take to be sent, in milliseconds: a part of a message at 2 kB a second. */
const SEND_MS = 120_000;
/** How long to read away a peer's remaining input after our last octet, in milliseconds. */
const LINGER_MS = 3_000;

export interface ConnectionHandler {
  /** Octets have come; the array is the handler's to keep. */
  received(bytes: Uint8Array): void;
  /** The peer has finished sending (half-close). */
  inputEnded(): void;
  /** What {@linkcode Connection.write} held back has been sent. */
  drained(): void;
  /** Our side has nothing more to say (the peer may still be closing), or the connection broke; called once. */
  ended(): void;
  /** The connection is gone; called once, last. */
  closed(): void;
}

export class Connection {
  /** The peer's address without IPv4-mapping prefix or zone. */
  readonly remoteAddress: string;
  readonly remotePort: number;
  #socket: Socket;
  #handler: ConnectionHandler | undefined;
  #clock: Clock;
  #timer: Timer | undefined;
  #state: "open" | "handshaking" | "ending" | "closed" = "open";
  #lastActivityMs: number;

  constructor(socket: Socket, clock: Clock) {
    this.#socket = socket;
    this.#clock = clock;
    this.#lastActivityMs = clock.nowMs();
    this.remoteAddress = plainAddress(socket.remoteAddress ?? "");
    this.remotePort = socket.remotePort ?? 0;
    socket.on("error", this.#onError);
    socket.on("close", this.#onClose);
  }

  /** Starts handing octets to `handler`. */
  start(handler: ConnectionHandler): void {
    this.#handler = handler;
    if (this.#state !== "closed") {
      this.#listen();
      // A TLS client's end may have come together with the end of its handshake.
      if (this.#socket.readableEnded) queueMicrotask(this.#onEnd);
      return;
    }
    // It broke between the handshake and now.
    queueMicrotask(() => {
      handler.ended();
      handler.closed();
    });
  }

  /** The address at this end, without IPv4-mapping prefix or zone; "" where it is gone. */
  get localAddress(): string {
    return plainAddress(this.#socket.localAddress ?? "");
  }

  /** When the connection last moved an octet, in milliseconds since 1970. */
  get lastActivityMs(): number {
    return this.#lastActivityMs;
  }

  /** Whether what is written can still reach the peer. */
  get writable(): boolean {
    return this.#state === "open" && this.#socket.writable;
  }

  /** Sends octets; "wait" asks the caller to send no more until {@linkcode ConnectionHandler.drained}. */
  write(bytes: Uint8Array): "more" | "wait" {
    if (!this.writable) return "more";
    this.#lastActivityMs = this.#clock.nowMs();
    return this.#socket.write(bytes) ? "more" : "wait";
  }

  /** Stops reading, so that TCP slows the peer down. */
  pause(): void {
    if (this.#state === "open") this.#socket.pause();
  }

  /** Reads again. */
  resume(): void {
    if (this.#state === "open") this.#socket.resume();
  }

  /**
   * Makes the connection a TLS server's (RFC 3207, RFC 2595). Resolves with a description such as
   * `TLSv1.3 TLS_AES_256_GCM_SHA384`; rejects, with the connection closed, when the handshake fails or takes too long.
   */
  secure(context: SecureContext): Promise<string> {
    const plain = this.#releaseSocket();
    const secured = new TLSSocket(plain, { isServer: true, secureContext: context });
    return this.#handshake(secured, {
      event: "secure",
      timeoutMs: HANDSHAKE_MS,
      outcome: () => tlsDescription(secured),
    });
  }

  /**
   * Makes the connection a TLS client's, by an upgrade in place (RFC 3207) or before its first octet (RFC 8314). Resolves
   * whatever the server's certificate is worth: {@linkcode PeerTls.verified} says so. Rejects, with the connection closed,
   * when the handshake fails or takes too long, and when the server sent octets that the handler didn't get before it:
   * they would be plaintext that somebody put in (RFC 3207 6).
   */
  secureAsClient(options: ClientTlsOptions): Promise<PeerTls> {
    const plain = this.#releaseSocket();
    if (plain.readableLength > 0 || plain.readableEnded || plain.destroyed) {
      const reason = plain.readableLength > 0 ? "the server spoke before it" : "the connection is closed";
      this.destroy();
      return Promise.reject(new Error(`TLS handshake failed: ${reason}`));
    }
    const secured = openClientTls(plain, options);
    return this.#handshake(secured, {
      event: "secureConnect",
      timeoutMs: options.timeoutMs ?? HANDSHAKE_MS,
      outcome: () => peerTls(secured, { ...options, description: tlsDescription(secured) }),
    });
  }

  /** Lets go of the plain socket, for TLS to read from it. */
  #releaseSocket(): Socket {
    const plain = this.#socket;
    plain.removeListener("data", this.#onData);
    plain.removeListener("end", this.#onEnd);
    plain.removeListener("drain", this.#onDrain);
    // Under Deno the upgrade hangs while the plain socket is still flowing.
    plain.pause();
    return plain;
  }

  #handshake<T>(
    secured: TLSSocket,
    { event, timeoutMs, outcome }: {
      readonly event: "secure" | "secureConnect";
      readonly timeoutMs: number;
      readonly outcome: () => T;
    },
  ): Promise<T> {
    this.#state = "handshaking";
    this.#socket = secured;
    return new Promise((resolve, reject) => {
      const fail = (error: Error) => {
        this.#timer?.cancel();
        reject(error);
        this.destroy();
      };
      const failed = (error: Error) => fail(new Error(`TLS handshake failed: ${handshakeReason(error)}`));
      const closed = () => fail(new Error("connection closed during the TLS handshake"));
      this.#timer = this.#clock.after(timeoutMs, () => fail(new Error("TLS handshake took too long")));
      secured.once("error", failed);
      secured.once("close", closed);
      // A peer that leaves without a word is not worth a minute.
      secured.once("end", closed);
      secured.once(event, () => {
        if (this.#state !== "handshaking") return;
        this.#timer?.cancel();
        this.#state = "open";
        secured.removeListener("error", failed);
        secured.removeListener("close", closed);
        secured.removeListener("end", closed);
        secured.on("error", this.#onError);
        secured.on("close", this.#onClose);
        this.#lastActivityMs = this.#clock.nowMs();
        if (this.#handler !== undefined) this.#listen();
        try {
          resolve(outcome());
        } catch (error) {
          fail(error as Error);
        }
      });
    });
  }

  /** Sends what is written and `last`, then closes; {@linkcode ConnectionHandler.ended} comes before the peer can see it. */
  end(last?: Uint8Array): void {
    if (this.#state === "ending" || this.#state === "closed") return;
    this.#state = "ending";
    this.#handler?.ended();
    this.#socket.removeListener("data", this.#onData);
    this.#timer?.cancel();
    this.#timer = this.#clock.after(SEND_MS, () => this.destroy());
    if (last !== undefined) this.#socket.write(last);
    this.#socket.end(() => {
      this.#timer?.cancel();
      if (this.#state !== "closed") this.#timer = this.#clock.after(LINGER_MS, () => this.destroy());
    });
    this.#socket.resume();
  }

  /** Closes at once. */
  destroy(): void {
    this.#socket.destroy();
  }

  #listen(): void {
    this.#socket.on("data", this.#onData);
    this.#socket.on("end", this.#onEnd);
    this.#socket.on("drain", this.#onDrain);
    this.#socket.resume();
  }

  #onData = (bytes: Uint8Array): void => {
    this.#lastActivityMs = this.#clock.nowMs();
    this.#handler?.received(bytes);
  };

  #onEnd = (): void => {
    // Once we have ended too, the runtime closes the socket as soon as the last octet is out.
    if (this.#state === "open") this.#handler?.inputEnded();
  };

  #onDrain = (): void => {
    this.#lastActivityMs = this.#clock.nowMs();
    this.#handler?.drained();
  };

  /** A reset or a broken record ends the connection; `close` follows and says so to the handler. */
  #onError = (): void => {
    this.#socket.destroy();
  };

  #onClose = (): void => {
    if (this.#state === "closed") return;
    // The plain socket below a TLS one closes after it: the same end, told once.
    if (this.#state !== "ending") this.#handler?.ended();
    this.#state = "closed";
    this.#timer?.cancel();
    this.#handler?.closed();
  };
}

/** `TLSv1.3 TLS_AES_256_GCM_SHA384`. */
function tlsDescription(secured: TLSSocket): string {
  return `${secured.getProtocol() ?? "TLS"} ${secured.getCipher()?.name ?? ""}`.trim();
}

/** `::ffff:192.0.2.1` as `192.0.2.1`, `fe80::1%eth0` as `fe80::1`. */
export function plainAddress(address: string): string {
  const unmapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  return unmapped !== null ? unmapped[1]! : address.replace(/%.*$/, "");
}

/** Whether an address is this machine's own loopback (127.0.0.0/8 or ::1). */
export function isLoopback(address: string): boolean {
  return address === "::1" || address.startsWith("127.");
}
