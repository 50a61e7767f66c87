/**
 * Connections to other systems.
 *
 * Guarantees: the promise settles within the time given; a connection that comes too late is closed. The address is
 * taken as it is: nothing is looked up here.
 *
 * @module
 */
import { connect } from "node:net";
import type { Clock } from "../base/clock.ts";
import { Connection } from "./connection.ts";
import { formatListenAddress } from "./listener.ts";

/** `refused`: nobody listens there; `unreachable`: no way leads there. `other` includes being called off. */
export type DialErrorKind = "refused" | "unreachable" | "time-out" | "other";

/** No connection; the message is a sentence without its full stop, such as "connection refused by 192.0.2.1:25". */
export class DialError extends Error {
  override readonly name = "DialError";
  readonly kind: DialErrorKind;
  constructor(kind: DialErrorKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

export interface DialOptions {
  /** An IP address. */
  readonly address: string;
  readonly port: number;
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** The address to come from. @default the system's choice */
  readonly localAddress?: string | undefined;
  /** Calls the try off. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Connects by TCP. Octets that come before {@linkcode Connection.start} wait.
 * @throws {DialError}
 */
export function dial(options: DialOptions): Promise<Connection> {
  const { address, port, timeoutMs, clock, localAddress, signal } = options;
  const peer = formatListenAddress({ host: address, port });
  const calledOff = () => new DialError("other", `connecting to ${peer} was called off`);
  if (signal?.aborted) return Promise.reject(calledOff());
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port, noDelay: true, ...localAddress && { localAddress } });
    const settle = (outcome: () => void) => {
      timer.cancel();
      signal?.removeEventListener("abort", abort);
      socket.removeListener("connect", connected);
      outcome();
    };
    const fail = (error: DialError) =>
      settle(() => {
        socket.destroy();
        reject(error);
      });
    const failed = (error: Error & { code?: string }) => fail(dialError(error, { peer, localAddress }));
    const connected = () =>
      settle(() => {
        const connection = new Connection(socket, clock);
        socket.removeListener("error", failed);
        resolve(connection);
      });
    const abort = () => fail(calledOff());
    const timer = clock.after(
      timeoutMs,
      () => fail(new DialError("time-out", `no answer from ${peer} within ${timeoutMs / 1000} s`)),
    );
    signal?.addEventListener("abort", abort, { once: true });
    // Stays on a socket that is destroyed: a late error must find somebody.
    socket.on("error", failed);
    socket.once("connect", connected);
  });
}

function dialError(
  { code, message }: Error & { readonly code?: string },
  { peer, localAddress }: { readonly peer: string; readonly localAddress: string | undefined },
): DialError {
  switch (code) {
    case "ECONNREFUSED":
      return new DialError("refused", `connection refused by ${peer}`);
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "EHOSTDOWN":
    case "ENETDOWN":
    // No address of the family at all, so nowhere to come from; or one that this machine doesn't have.
    case "EADDRNOTAVAIL":
    case "EAFNOSUPPORT":
      return new DialError("unreachable", `no way leads to ${peer}${from(localAddress)} (${code})`);
    case "ETIMEDOUT":
      return new DialError("time-out", `no answer from ${peer}`);
    case "ECONNRESET":
      return new DialError("other", `${peer} closed the connection at once`);
    default:
      return new DialError("other", `can't connect to ${peer}${from(localAddress)}: ${code ?? message}`);
  }
}

function from(localAddress: string | undefined): string {
  return localAddress === undefined ? "" : ` from ${localAddress}`;
}
