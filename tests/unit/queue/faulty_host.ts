/**
 * An SMTP host that does what a test tells it to do wrong, at a stage or at an octet, and counts what it was given.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createServer, type Server, type Socket } from "node:net";
import { type SecureContext, TLSSocket } from "node:tls";

/** Where a session stands: what the host is about to answer. `connect`: before it says anything; `content`: within it. */
export type Stage =
  | "connect"
  | "greeting"
  | "ehlo"
  | "helo"
  | "starttls"
  | "handshake"
  | "mail"
  | "rcpt"
  | "data"
  | "content"
  | "end"
  | "rset"
  | "quit";

export interface Moment {
  readonly stage: Stage;
  /** The connection, from 1. */
  readonly connection: number;
  /** The transaction in it, from 1; 0 before the first. */
  readonly transaction: number;
  /** By TLS. */
  readonly secured: boolean;
  /** How often this stage was reached in this connection, from 1. */
  readonly time: number;
}

/** What the host does instead of its duty. */
export type Act =
  /** Says this in place of its reply; `then` the connection is closed, or nothing more is said. @default goes on */
  | { readonly do: "say"; readonly text: string | Uint8Array; readonly then?: "close" | "hang" }
  | { readonly do: "hang" }
  /** Says this an octet at a time, again and again: something always comes, and never a whole reply. */
  | { readonly do: "drip"; readonly text: string; readonly everyMs: number }
  /** Ends the connection in order. */
  | { readonly do: "close" }
  /** Breaks it off. */
  | { readonly do: "reset" }
  /** Lets what comes pile up in the system's buffers. */
  | { readonly do: "stop-reading" };

export interface Plan {
  /** EHLO's lines. */
  readonly extensions?: readonly string[];
  /** What EHLO's lines are in a connection. */
  readonly extensionsOf?: (connection: number) => readonly string[];
  /** Offers STARTTLS with it. */
  readonly tls?: SecureContext | ((connection: number) => SecureContext);
  readonly act?: (moment: Moment) => Act | undefined;
  /** Ends the connection after so many octets of its own. */
  readonly cut?: { readonly connection: number; readonly octets: number };
  /** Ends the connection after so many lines that came, without an answer to the last one. */
  readonly dropAfterLines?: { readonly connection: number; readonly lines: number };
  readonly address?: string;
  readonly port?: number;
}

export interface Got {
  readonly recipients: readonly string[];
  readonly octets: number;
  /** The content, dots undone; "" where it is larger than a megabyte. */
  readonly text: string;
  readonly connection: number;
  readonly secured: boolean;
}

const KEPT_OCTETS = 1 << 20;
const DOT_LINE = "\r\n.\r\n";

export class FaultyHost {
  readonly plan: Plan;
  /** Messages whose end has come and that were not refused: what a recipient would see. */
  readonly got: Got[] = [];
  connections = 0;
  /** Stages, and where the host's replies end, in octets, by connection. */
  readonly said: { stage: Stage; endsAt: number; connection: number }[] = [];
  /** Commands as they came. */
  readonly heard: string[] = [];
  /** Octets read in all. */
  octetsRead = 0;
  readonly sockets = new Set<Socket>();
  #server: Server;

  private constructor(plan: Plan) {
    this.plan = plan;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      this.connections++;
      this.sockets.add(socket);
      socket.on("close", () => this.sockets.delete(socket));
      new HostSession(this, socket, this.connections).start();
    });
  }

  static async start(plan: Plan = {}): Promise<FaultyHost> {
    const host = new FaultyHost(plan);
    await new Promise<void>((resolve, reject) => {
      host.#server.once("error", reject);
      host.#server.listen(plan.port ?? 0, plan.address ?? "127.0.0.1", resolve);
    });
    return host;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  /** Ends the connections there are. */
  hangUp(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    this.hangUp();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

class HostSession {
  readonly #host: FaultyHost;
  readonly #connection: number;
  #socket: Socket;
  readonly #plain: Socket;
  #secured = false;
  #state: "commands" | "data" | "chunk" | "deaf" = "commands";
  #input: Buffer = Buffer.alloc(0);
  #octetsSaid = 0;
  #lines = 0;
  #mute = false;
  #transaction = 0;
  readonly #times = new Map<Stage, number>();
  #mail = false;
  #recipients: string[] = [];
  #content: Content = new Content();
  #chunkLeft = 0;
  #chunkIsLast = false;
  #closed = false;

  constructor(host: FaultyHost, socket: Socket, connection: number) {
    this.#host = host;
    this.#socket = this.#plain = socket;
    this.#connection = connection;
  }

  start(): void {
    this.#listen();
    const act = this.#act("connect");
    if (act !== undefined) return this.#perform(act, "connect");
    this.#reply("greeting", "220 faulty.example.org ESMTP\r\n");
  }

  #listen(): void {
    const socket = this.#socket;
    socket.setNoDelay(true);
    socket.on("error", () => {});
    socket.on("data", this.#onData);
    socket.on("end", this.#onEnd);
  }

  #onEnd = (): void => void this.#socket.end();

  #onData = (bytes: Uint8Array): void => {
    this.#host.octetsRead += bytes.length;
    if (this.#state === "deaf") return;
    const drop = this.#host.plan.dropAfterLines;
    if (drop?.connection !== this.#connection) return this.#take(Buffer.from(bytes));
    for (const octet of bytes) {
      if (this.#closed) return;
      if (octet === 10 && ++this.#lines === drop.lines) this.#mute = true;
      this.#take(Buffer.of(octet));
      if (this.#mute) this.#close();
    }
  };

  #take(bytes: Buffer): void {
    this.#input = this.#input.length === 0 ? bytes : Buffer.concat([this.#input, bytes]);
    for (;;) {
      const before = this.#input.length;
      if (this.#state === "deaf") this.#input = Buffer.alloc(0);
      else if (this.#state === "data") this.#takeData();
      else if (this.#state === "chunk") this.#takeChunk();
      else this.#takeCommand();
      if (this.#input.length === 0 || this.#input.length === before) return;
    }
  }

  #takeCommand(): void {
    const end = this.#input.indexOf("\r\n");
    if (end < 0) return;
    const line = this.#input.subarray(0, end).toString("latin1");
    this.#input = this.#input.subarray(end + 2);
    this.#host.heard.push(line);
    this.#command(line);
  }

  #command(line: string): void {
    const verb = line.split(" ")[0]!.toUpperCase();
    const { plan } = this.#host;
    switch (verb) {
      case "EHLO": {
        const lines = [...plan.extensionsOf?.(this.#connection) ?? plan.extensions ?? []];
        if (plan.tls !== undefined && !this.#secured) lines.push("STARTTLS");
        const all = ["faulty.example.org", ...lines];
        const text = all.map((each, i) => `250${i < all.length - 1 ? "-" : " "}${each}\r\n`).join("");
        return this.#reply("ehlo", text);
      }
      case "HELO":
        return this.#reply("helo", "250 faulty.example.org\r\n");
      case "STARTTLS":
        return this.#startTls();
      case "MAIL":
        this.#transaction++;
        this.#recipients = [];
        this.#content = new Content();
        return this.#reply("mail", "250 2.1.0 Sender ok\r\n", (good) => this.#mail = good);
      case "RCPT":
        if (!this.#mail) return this.#say("503 5.5.1 MAIL first\r\n", "rcpt");
        return this.#reply("rcpt", "250 2.1.5 Recipient ok\r\n", (good) => {
          if (good) this.#recipients.push(/<(.*)>/.exec(line)![1]!);
        });
      case "DATA":
        if (this.#recipients.length === 0) return this.#say("554 5.5.1 No recipients\r\n", "data");
        return this.#reply("data", "354 Go ahead\r\n", (good) => {
          if (good && !this.#closed) this.#state = "data";
        });
      case "BDAT":
        this.#chunkLeft = Number(line.split(" ")[1]);
        this.#chunkIsLast = /last$/i.test(line);
        this.#state = "chunk";
        if (this.#chunkLeft === 0) this.#chunkEnded();
        return;
      case "RSET":
        this.#mail = false;
        return this.#reply("rset", "250 2.0.0 Reset\r\n");
      case "QUIT":
        return this.#reply("quit", "221 2.0.0 Bye\r\n", () => this.#close());
      default:
        return this.#say("500 5.5.2 What?\r\n", "connect");
    }
  }

  #takeData(): void {
    if (this.#actInContent() === "deaf") return;
    const rest = this.#content.takeDotted(this.#input);
    this.#input = rest.left;
    if (rest.ended) this.#messageEnded();
  }

  #takeChunk(): void {
    if (this.#actInContent() === "deaf") return;
    const part = this.#input.subarray(0, this.#chunkLeft);
    this.#input = this.#input.subarray(part.length);
    this.#chunkLeft -= part.length;
    this.#content.add(part);
    if (this.#chunkLeft === 0) this.#chunkEnded();
  }

  #chunkEnded(): void {
    this.#state = "commands";
    if (this.#chunkIsLast) return this.#messageEnded();
    const can = this.#mail && this.#recipients.length > 0;
    this.#say(can ? "250 2.0.0 Chunk ok\r\n" : "503 5.5.1 No recipients\r\n", "content");
  }

  /** Does what the plan has for the time when the first of the content has come. */
  #actInContent(): "deaf" | "listening" {
    if (this.#content.isBegun) return "listening";
    this.#content.isBegun = true;
    const act = this.#act("content");
    if (act !== undefined) this.#perform(act, "content");
    return this.#state === "deaf" ? "deaf" : "listening";
  }

  #messageEnded(): void {
    this.#state = "commands";
    const { octets, text } = this.#content;
    const got: Got = {
      recipients: this.#recipients,
      octets,
      text,
      connection: this.#connection,
      secured: this.#secured,
    };
    const can = this.#mail && this.#recipients.length > 0;
    this.#mail = false;
    this.#recipients = [];
    if (!can) return this.#say("554 5.5.1 No recipients\r\n", "end");
    const act = this.#act("end");
    // Whoever says no before the connection ends has not taken it; of all others it must be feared.
    const refuses = act?.do === "say" && /^[45]\d\d[ -]/.test(asText(act.text));
    if (!refuses) this.#host.got.push(got);
    if (act === undefined) return this.#say("250 2.0.0 Taken\r\n", "end");
    this.#perform(act, "end");
  }

  #startTls(): void {
    const { tls } = this.#host.plan;
    if (tls === undefined || this.#secured) return this.#say("502 5.5.1 No\r\n", "starttls");
    this.#reply("starttls", "220 2.0.0 Go ahead\r\n", (good) => {
      if (!good || this.#closed) return;
      const plain = this.#socket;
      const act = this.#act("handshake");
      if (act !== undefined) return this.#inPlaceOfHandshake(act);
      plain.removeListener("data", this.#onData);
      plain.removeListener("end", this.#onEnd);
      plain.pause();
      const secureContext = typeof tls === "function" ? tls(this.#connection) : tls;
      this.#socket = new TLSSocket(plain, { isServer: true, secureContext });
      this.#secured = true;
      this.#input = Buffer.alloc(0);
      this.#listen();
    });
  }

  /** Once the client's part has come, so that it is not taken for something said before TLS. */
  #inPlaceOfHandshake(act: Act): void {
    this.#state = "deaf";
    this.#socket.once("data", () => this.#perform(act, "handshake"));
  }

  // ---------------------------------------------------------------- what is said

  #act(stage: Stage): Act | undefined {
    const time = (this.#times.get(stage) ?? 0) + 1;
    this.#times.set(stage, time);
    return this.#host.plan.act?.({
      stage,
      connection: this.#connection,
      transaction: this.#transaction,
      secured: this.#secured,
      time,
    });
  }

  /** Answers as the plan has it; tells `then` whether it was a yes. */
  #reply(stage: Stage, text: string, then: (good: boolean) => void = () => {}): void {
    const act = this.#act(stage);
    if (act === undefined) {
      this.#say(text, stage);
      return then(true);
    }
    this.#perform(act, stage);
    if (act.do === "say") then(/^[23]/.test(asText(act.text)) && act.text.length < 100);
  }

  #perform(act: Act, stage: Stage): void {
    switch (act.do) {
      case "say":
        this.#say(act.text, stage);
        if (act.then === "close") this.#close();
        if (act.then === "hang") this.#state = "deaf";
        return;
      case "hang":
        this.#state = "deaf";
        return;
      case "drip":
        this.#state = "deaf";
        return this.#drip(act.text, act.everyMs);
      case "close":
        return this.#close();
      case "reset":
        this.#state = "deaf";
        this.#closed = true;
        return void this.#socket.destroy();
      case "stop-reading":
        this.#state = "deaf";
        // What is below TLS, and not while TLS reads from it: it reads on for itself otherwise.
        return void setTimeout(() => this.#plain.pause());
    }
  }

  #drip(text: string, everyMs: number): void {
    let at = 0;
    const timer = setInterval(() => this.#socket.write(text[at++ % text.length]!), everyMs);
    this.#socket.on("close", () => clearInterval(timer));
  }

  #say(text: string | Uint8Array, stage: Stage): void {
    if (this.#closed || this.#mute) return;
    const { cut } = this.#host.plan;
    const bytes = typeof text === "string" ? Buffer.from(text, "latin1") : Buffer.from(text);
    const left = cut?.connection === this.#connection ? cut.octets - this.#octetsSaid : Infinity;
    const now = bytes.length >= left ? bytes.subarray(0, left) : bytes;
    if (now.length > 0) this.#socket.write(now);
    this.#octetsSaid += now.length;
    this.#host.said.push({ stage, endsAt: this.#octetsSaid, connection: this.#connection });
    if (bytes.length >= left) this.#close();
  }

  #close(): void {
    this.#closed = true;
    this.#state = "deaf";
    this.#socket.end();
  }
}

/** Content as it comes: counted, and kept while it is small. */
class Content {
  octets = 0;
  isBegun = false;
  #kept: Buffer[] | undefined = [];
  #keptOctets = 0;
  /** Octets of the lone dot's line at the end; 0 after BDAT. */
  #dotOctets = 0;
  /** The last octets before what comes; the content begins at the start of a line. */
  #tail: Buffer = Buffer.from("\r\n");

  get text(): string {
    if (this.#dotOctets > 0 && this.#kept !== undefined) {
      return this.#raw.replaceAll("\r\n..", "\r\n.").replace(/^\.\./, ".");
    }
    return this.#raw;
  }

  get #raw(): string {
    return this.#kept === undefined
      ? ""
      : Buffer.concat(this.#kept).subarray(0, this.#keptOctets - this.#dotOctets).toString("latin1");
  }

  add(bytes: Buffer): void {
    this.octets += bytes.length;
    this.#keptOctets += bytes.length;
    if (this.#keptOctets > KEPT_OCTETS) this.#kept = undefined;
    this.#kept?.push(Buffer.from(bytes));
  }

  /** Takes what comes after DATA, up to the lone dot. */
  takeDotted(input: Buffer): { readonly left: Buffer; readonly ended: boolean } {
    const all = Buffer.concat([this.#tail, input]);
    const end = all.indexOf(DOT_LINE);
    if (end < 0) {
      this.add(input);
      this.#tail = Buffer.from(all.subarray(-4));
      return { left: Buffer.alloc(0), ended: false };
    }
    const rest = end + DOT_LINE.length - this.#tail.length;
    this.add(input.subarray(0, rest));
    this.octets -= 3;
    this.#dotOctets = 3;
    return { left: Buffer.from(input.subarray(rest)), ended: true };
  }
}

function asText(text: string | Uint8Array): string {
  return typeof text === "string" ? text : Buffer.from(text).toString("latin1");
}
