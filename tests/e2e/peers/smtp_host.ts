/**
 * A mail host made for a test: it takes whatever it is given, writes down what was said, and offers and breaks what the
 * test wants. For what a real host does, use a real one.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import * as net from "node:net";
import * as tls from "node:tls";

export interface SmtpHostOptions {
  /** Where it listens, at port 25. */
  readonly address: string;
  /** @default {25} */
  readonly port?: number;
  readonly hostname: string;
  /** EHLO keywords beside STARTTLS. */
  readonly offers?: readonly string[];
  /** Keywords offered in TLS only. */
  readonly offersInTls?: readonly string[];
  /** Its certificate and key in PEM; STARTTLS is offered with it. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** `garbage`: STARTTLS is taken, and then no TLS spoken. */
  readonly handshake?: "garbage";
  /** A reply in place of the usual one. */
  readonly answer?: (command: string) => string | undefined;
  /** How long the end of a message takes, in milliseconds. */
  readonly slowMs?: number;
}

/** One message taken. */
export interface TakenMessage {
  /** Connections are counted from 1. */
  readonly connection: number;
  readonly secured: boolean;
  /** The command whole: `MAIL FROM:<a@example.org> SIZE=100`. */
  readonly mail: string;
  readonly rcpts: readonly string[];
  /** The content, its dots taken off. */
  readonly data: string;
  /** When it was taken, in milliseconds since 1970. */
  readonly atMs: number;
}

export class SmtpHost {
  readonly messages: TakenMessage[] = [];
  /** Every command of every connection. */
  readonly commands: string[] = [];
  connections = 0;
  /** Most connections at one time. */
  mostAtOnce = 0;
  readonly #options: SmtpHostOptions;
  readonly #open = new Set<net.Socket>();
  #server: net.Server | undefined;

  private constructor(options: SmtpHostOptions) {
    this.#options = options;
  }

  static async start(options: SmtpHostOptions): Promise<SmtpHost> {
    const host = new SmtpHost(options);
    const server = net.createServer((socket) => host.#accept(socket));
    host.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(options.port ?? 25, options.address, resolve);
    });
    return host;
  }

  async stop(): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    await new Promise((resolve) => this.#server?.close(resolve));
  }

  #accept(socket: net.Socket): void {
    this.#open.add(socket);
    this.connections++;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#open.size);
    socket.on("error", () => {});
    socket.on("close", () => this.#open.delete(socket));
    new Session(socket, { ...this.#options, number: this.connections, host: this });
  }
}

class Session {
  readonly #options: SmtpHostOptions & { readonly number: number; readonly host: SmtpHost };
  #socket: net.Socket;
  #input = "";
  #secured = false;
  #mail = "";
  #rcpts: string[] = [];
  #data: string[] | undefined;

  constructor(
    socket: net.Socket,
    options: SmtpHostOptions & { readonly number: number; readonly host: SmtpHost },
  ) {
    this.#socket = socket;
    this.#options = options;
    socket.on("data", this.#received);
    this.#say(options.answer?.("") ?? `220 ${options.hostname} ESMTP`);
  }

  #say(reply: string): void {
    this.#socket.write(Buffer.from(`${reply}\r\n`, "latin1"));
  }

  readonly #received = (chunk: Uint8Array | string): void => {
    this.#input += Buffer.from(chunk as Uint8Array).toString("latin1");
    for (;;) {
      const end = this.#input.indexOf("\r\n");
      if (end < 0) return;
      const line = this.#input.slice(0, end);
      this.#input = this.#input.slice(end + 2);
      if (this.#data === undefined) this.#command(line);
      else this.#content(line);
    }
  };

  #command(line: string): void {
    const { host, answer, hostname } = this.#options;
    host.commands.push(line);
    const verb = line.split(/[ :]/)[0]!.toUpperCase();
    const given = answer?.(line);
    if (given !== undefined) return this.#say(given);
    switch (verb) {
      case "EHLO":
        return this.#say(
          [hostname, ...this.#offered()].map((text, i, all) =>
            `250${i === all.length - 1 ? " " : "-"}${text}`
          ).join("\r\n"),
        );
      case "STARTTLS":
        return this.#startTls();
      case "MAIL":
        this.#mail = line;
        this.#rcpts = [];
        return this.#say("250 2.1.0 Sender taken");
      case "RCPT":
        this.#rcpts.push(line);
        return this.#say("250 2.1.5 Recipient taken");
      case "DATA":
        this.#data = [];
        return this.#say("354 Go on");
      case "QUIT":
        this.#say("221 2.0.0 Bye");
        this.#socket.end();
        return;
      default:
        return this.#say("250 2.0.0 Done");
    }
  }

  #offered(): readonly string[] {
    const { offers = [], offersInTls = [], tls: certificate } = this.#options;
    if (this.#secured) return [...offers, ...offersInTls];
    return certificate === undefined ? offers : [...offers, "STARTTLS"];
  }

  #startTls(): void {
    const plain = this.#socket;
    plain.removeListener("data", this.#received);
    plain.pause();
    this.#say("220 2.0.0 Ready");
    if (this.#options.handshake === "garbage") {
      plain.once("data", () => plain.write("this is not TLS\r\n"));
      plain.resume();
      return;
    }
    const secureContext = tls.createSecureContext(this.#options.tls);
    const secured = new tls.TLSSocket(plain, { isServer: true, secureContext });
    secured.on("error", () => plain.destroy());
    secured.on("data", this.#received);
    this.#socket = secured;
    this.#secured = true;
    this.#input = "";
  }

  #content(line: string): void {
    if (line !== ".") return void this.#data!.push(line.startsWith(".") ? line.slice(1) : line);
    const data = this.#data!.map((each) => `${each}\r\n`).join("");
    this.#data = undefined;
    const { host, number, answer, slowMs = 0 } = this.#options;
    const given = answer?.(".");
    const taken: TakenMessage = {
      connection: number,
      secured: this.#secured,
      mail: this.#mail,
      rcpts: this.#rcpts,
      data,
      atMs: Date.now(),
    };
    setTimeout(() => {
      if (given === undefined || given.startsWith("250")) host.messages.push(taken);
      this.#say(given ?? "250 2.0.0 Message taken");
    }, slowMs);
  }
}
