/**
 * A web server for MTA-STS policies (RFC 8461 3.3), at port 443 of an address of a test's own.
 *
 * @module
 */
import type * as net from "node:net";
import { createServer, type Server as HttpsServer } from "node:https";

export interface PolicyServerOptions {
  /** Where it listens, at port 443. */
  readonly address: string;
  /** Its certificate and key in PEM. */
  readonly cert: string;
  readonly key: string;
  readonly policy: string;
}

export class PolicyServer {
  /** Given out from now on. */
  policy: string;
  /** Host and path of each request. */
  readonly requests: string[] = [];
  readonly #server: HttpsServer;
  readonly #open = new Set<net.Socket>();

  private constructor({ cert, key, policy }: PolicyServerOptions) {
    this.policy = policy;
    this.#server = createServer({ cert, key }, (request, answer) => {
      this.requests.push(`${request.headers.host}${request.url}`);
      const isPolicy = request.url === "/.well-known/mta-sts.txt";
      answer.writeHead(isPolicy ? 200 : 404, { "content-type": "text/plain" });
      answer.end(isPolicy ? this.policy : "");
    });
    this.#server.on("connection", (socket: net.Socket) => {
      this.#open.add(socket);
      socket.on("close", () => this.#open.delete(socket));
    });
  }

  static async start(options: PolicyServerOptions): Promise<PolicyServer> {
    const web = new PolicyServer(options);
    await new Promise<void>((resolve, reject) => {
      web.#server.once("error", reject);
      web.#server.listen(443, options.address, resolve);
    });
    return web;
  }

  async stop(): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** A policy's text. */
export function stsPolicy(mode: "enforce" | "testing" | "none", mx: readonly string[]): string {
  return ["version: STSv1", `mode: ${mode}`, ...mx.map((name) => `mx: ${name}`), "max_age: 604800", ""].join(
    "\r\n",
  );
}
