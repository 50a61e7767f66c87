/**
 * Listening sockets.
 *
 * Guarantees: several threads may listen on one port (SO_REUSEPORT, the kernel spreads connections over them), but two
 * appliances may not: a port is first claimed alone, and an error names the address and what to do.
 *
 * @module
 */
import { createServer, type Server, type Socket } from "node:net";

export interface ListenAddress {
  /** An IP address; undefined is every address, IPv6 and IPv4. */
  readonly host: string | undefined;
  /** 0 lets the system choose. */
  readonly port: number;
}

export class ListenError extends Error {
  override readonly name = "ListenError";
  readonly code: string;
  constructor(address: ListenAddress, code: string) {
    super(`can't listen on ${formatListenAddress(address)}: ${REASONS[code] ?? code}`);
    this.code = code;
  }
}

const NOT_OURS = "this machine has no such address; choose one it has, or * for all";

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE:
    "another program already does; stop it, or choose another port under 'listen' in the configuration",
  EACCES:
    "ports below 1024 need root or CAP_NET_BIND_SERVICE; choose a higher one under 'listen' in the configuration",
  EADDRNOTAVAIL: NOT_OURS,
  // How Deno says the same.
  EINVAL: NOT_OURS,
};

/** `192.0.2.1:25`, `[2001:db8::1]:25`, `*:25`. */
export function formatListenAddress(address: ListenAddress): string {
  const host = address.host ?? "*";
  return host.includes(":") ? `[${host}]:${address.port}` : `${host}:${address.port}`;
}

function listenOnce(server: Server, address: ListenAddress, reusePort: "shared" | "alone"): Promise<number> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error & { code?: string }) =>
      reject(new ListenError(address, error.code ?? error.message));
    server.once("error", failed);
    const options = { port: address.port, reusePort: reusePort === "shared", backlog: 1024 };
    server.listen(address.host === undefined ? options : { ...options, host: address.host }, () => {
      server.removeListener("error", failed);
      resolve((server.address() as { port: number }).port);
    });
  });
}

/**
 * Finds out whether an address can be had, by taking it alone for a moment; gives it with the port that was chosen.
 * @throws {ListenError}
 */
export async function claim(address: ListenAddress): Promise<ListenAddress> {
  const server = createServer();
  const port = await listenOnce(server, address, "alone");
  await new Promise((resolve) => server.close(resolve));
  return { host: address.host, port };
}

/** A listening socket. */
export interface Listener {
  /** Stops accepting; connections go on. */
  close(): Promise<void>;
}

/**
 * Accepts connections on an address that {@linkcode claim} gave.
 * @throws {ListenError}
 */
export async function listen(address: ListenAddress, accept: (socket: Socket) => void): Promise<Listener> {
  // Half-open: a client that shut down its sending side still gets its replies.
  const server = createServer({ allowHalfOpen: true, noDelay: true }, accept);
  await listenOnce(server, address, "shared");
  // What goes wrong in accept(), such as too many open files, must not end the service.
  server.on("error", () => {});
  return { close: () => new Promise((resolve) => server.close(() => resolve())) };
}
