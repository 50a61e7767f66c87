/** An SMTP host in memory, that does what a script says; its answers come in the turn they are asked for. */
import type { Link } from "../../../src/queue/dialogue_driver.ts";
import type { ConnectionHandler } from "../../../src/net/connection.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("latin1");

/** What a host does about a command: a reply without CRLF, or the end of the connection, or nothing at all. */
export type Answer = string | "drop" | "silence";

/** Where a host stands when a command comes; `command` is `CONNECT`, `EHLO …`, `DATA`, `.` and so on. */
export interface Moment {
  readonly command: string;
  readonly sender: string;
  readonly recipients: readonly string[];
  /** The message, at `.`. */
  readonly content: string;
  readonly nowMs: number;
}

export interface Accepted {
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly content: string;
  readonly atMs: number;
  /** Whether the reply that says so was sent. */
  readonly told: "yes" | "no";
}

export type Script = (moment: Moment) => Answer | undefined;

const ACCEPT: Readonly<Record<string, string>> = {
  CONNECT: "220 host.test ESMTP",
  DATA: "354 go on",
  QUIT: "221 bye",
};

export class SimHost {
  readonly accepted: Accepted[] = [];
  /** When somebody connected, or tried to, in milliseconds since 1970. */
  readonly dialled: number[] = [];
  open = 0;
  mostOpen = 0;
  up = true;
  extensions: readonly string[] = ["PIPELINING", "8BITMIME", "SIZE 10000000"];
  script: Script = () => undefined;
  readonly #nowMs: () => number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** A connection, as the client holds it. */
  connect(): Link {
    this.open++;
    this.mostOpen = Math.max(this.mostOpen, this.open);
    return new SimLink(this, this.#nowMs);
  }
}

class SimLink implements Link {
  readonly #host: SimHost;
  readonly #nowMs: () => number;
  #handler: ConnectionHandler | undefined;
  #input = "";
  #mode: "commands" | "content" | "silent" | "closed" = "commands";
  #sender = "";
  #recipients: string[] = [];

  constructor(host: SimHost, nowMs: () => number) {
    this.#host = host;
    this.#nowMs = nowMs;
  }

  get writable(): boolean {
    return this.#mode !== "closed";
  }

  start(handler: ConnectionHandler): void {
    this.#handler = handler;
    queueMicrotask(() => this.#do("CONNECT"));
  }

  write(bytes: Uint8Array): "more" | "wait" {
    this.#input += decoder.decode(bytes);
    queueMicrotask(() => this.#read());
    return "more";
  }

  end(bytes?: Uint8Array): void {
    if (bytes !== undefined) this.#input += decoder.decode(bytes);
    this.#read();
    this.#close();
  }

  destroy(): void {
    this.#close();
  }

  secureAsClient(): Promise<never> {
    return Promise.reject(new Error("no TLS here"));
  }

  #close(): void {
    if (this.#mode === "closed") return;
    this.#mode = "closed";
    this.#host.open--;
    queueMicrotask(() => this.#handler?.closed());
  }

  #read(): void {
    while (this.#mode === "commands" || this.#mode === "content") {
      if (this.#mode === "commands") {
        const end = this.#input.indexOf("\r\n");
        if (end < 0) return;
        const line = this.#input.slice(0, end);
        this.#input = this.#input.slice(end + 2);
        this.#do(line);
        continue;
      }
      const whole = this.#input.startsWith(".\r\n") ? 0 : this.#input.indexOf("\r\n.\r\n") + 2;
      if (whole === 1) return;
      const content = this.#input.slice(0, whole).replace(/^\.\./gm, ".");
      this.#input = this.#input.slice(whole + 3);
      this.#mode = "commands";
      this.#do(".", content);
    }
  }

  #do(command: string, content = ""): void {
    if (this.#mode === "closed") return;
    const moment = {
      command,
      sender: this.#sender,
      recipients: this.#recipients,
      content,
      nowMs: this.#nowMs(),
    };
    const answer = this.#host.script(moment) ?? this.#usual(command);
    if (command === "." && (answer === "drop" || answer === "silence" || answer.startsWith("250"))) {
      this.#host.accepted.push({
        sender: this.#sender,
        recipients: this.#recipients,
        content,
        atMs: moment.nowMs,
        told: answer.startsWith("250") ? "yes" : "no",
      });
    }
    if (answer === "silence") return void (this.#mode = "silent");
    if (answer === "drop") return this.#close();
    this.#follow(command, answer);
    this.#handler!.received(encoder.encode(`${answer}\r\n`));
    if (answer.startsWith("421") || command === "QUIT") this.#close();
  }

  #usual(command: string): string {
    const verb = command.split(/[ :]/)[0]!.toUpperCase();
    if (verb === "EHLO") {
      const lines = ["host.test", ...this.#host.extensions];
      return lines.map((line, at) => `250${at === lines.length - 1 ? " " : "-"}${line}`).join("\r\n");
    }
    if (verb === "DATA" && this.#recipients.length === 0) return "554 no valid recipients";
    return ACCEPT[verb] ?? "250 fine";
  }

  #follow(command: string, answer: string): void {
    const positive = /^[23]/.test(answer);
    const address = /<([^>]*)>/.exec(command)?.[1] ?? "";
    if (/^MAIL/i.test(command)) {
      this.#sender = address;
      this.#recipients = [];
    } else if (/^RCPT/i.test(command) && positive) this.#recipients = [...this.#recipients, address];
    else if (/^RSET|^EHLO/i.test(command) || command === ".") {
      this.#sender = "";
      this.#recipients = [];
    } else if (command === "DATA" && positive) this.#mode = "content";
  }
}
