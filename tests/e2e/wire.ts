/**
 * A client that says exactly what a test wants said: octets out, lines in. Lines are strings with one character an octet.
 *
 * Certificates are not checked here; the clients under test check them.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import * as net from "node:net";
import * as tls from "node:tls";

/** How long a server may take over one answer, in milliseconds. */
const ANSWER_MS = 20_000;

export interface SmtpAnswer {
  readonly code: number;
  /** Texts after the code, a line each. */
  readonly lines: readonly string[];
}

export class Wire {
  #socket: net.Socket;
  #chunks: Buffer[] = [];
  #size = 0;
  #ended = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    this.#listen();
  }

  /** `localAddress` is where the connection comes from, as the server sees it. */
  static async open(
    port: number,
    kind: "plain" | "tls" = "plain",
    { host = "127.0.0.1", localAddress }: { readonly host?: string; readonly localAddress?: string } = {},
  ): Promise<Wire> {
    const socket = await new Promise<net.Socket>((resolve, reject) => {
      const where = { host, port, ...localAddress === undefined ? {} : { localAddress } };
      const connected = kind === "tls"
        ? tls.connect({ ...where, rejectUnauthorized: false }, () => resolve(connected))
        : net.connect(where, () => resolve(connected));
      connected.once("error", reject);
    });
    socket.removeAllListeners("error");
    return new Wire(socket);
  }

  #listen(): void {
    this.#socket.on("data", (chunk) => {
      this.#chunks.push(chunk as Buffer);
      this.#size += chunk.length;
      // What nobody reads yet waits in the kernel, so that a slow reader is one on the wire too.
      if (this.#size > 4 * 1024 * 1024) this.#socket.pause();
      this.#wake?.();
    });
    const end = (error?: Error) => {
      this.#ended = true;
      this.#error ??= error;
      this.#wake?.();
    };
    this.#socket.on("end", () => end());
    this.#socket.on("close", () => end());
    this.#socket.on("error", (error) => end(error));
  }

  async #more(): Promise<boolean> {
    if (this.#ended) return false;
    this.#socket.resume();
    let timer: ReturnType<typeof setTimeout> | undefined;
    await new Promise<void>((resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${ANSWER_MS} ms`)), ANSWER_MS);
      this.#wake = resolve;
    }).finally(() => {
      clearTimeout(timer);
      this.#wake = undefined;
    });
    return true;
  }

  #join(): Buffer {
    if (this.#chunks.length !== 1) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0]!;
  }

  #take(octets: number): Buffer {
    const all = this.#join();
    this.#chunks = octets < all.length ? [all.subarray(octets)] : [];
    this.#size = all.length - octets;
    return all.subarray(0, octets);
  }

  /** Sends octets, and waits until the system has taken them. */
  async write(data: string | Uint8Array): Promise<void> {
    const octets = typeof data === "string" ? Buffer.from(data, "latin1") : data;
    await new Promise<void>((resolve, reject) =>
      this.#socket.write(octets, (error) => error ? reject(error) : resolve())
    );
  }

  /** The next line without its CRLF. */
  async line(): Promise<string> {
    for (;;) {
      const all = this.#join();
      const at = all.indexOf("\r\n");
      if (at >= 0) return this.#take(at + 2).toString("latin1", 0, at);
      if (!await this.#more()) {
        throw this.#error ??
          new Error(`the server closed the connection; unread: ${JSON.stringify(all.toString("latin1"))}`);
      }
    }
  }

  /** Everything until the server closes. */
  async rest(): Promise<string> {
    while (await this.#more());
    return this.#take(this.#size).toString("latin1");
  }

  /** True where nothing comes for a while. */
  async isSilent(forMs = 300): Promise<boolean> {
    await new Promise((resolve) => setTimeout(resolve, forMs));
    return this.#size === 0 && !this.#ended;
  }

  /** Sends a line of SMTP (or nothing) and reads one reply. */
  async smtp(command?: string): Promise<SmtpAnswer> {
    if (command !== undefined) await this.write(`${command}\r\n`);
    const lines: string[] = [];
    for (;;) {
      const line = await this.line();
      const match = /^(\d{3})([ -]?)(.*)$/s.exec(line);
      if (match === null) throw new Error(`not an SMTP reply: ${JSON.stringify(line)}`);
      lines.push(match[3]!);
      if (match[2] !== "-") return { code: Number(match[1]), lines };
    }
  }

  /** The same, and fails where the reply has another code or its text doesn't begin with `text`. */
  async expect(code: number, command?: string, text = ""): Promise<SmtpAnswer> {
    const answer = await this.smtp(command);
    if (answer.code !== code || !answer.lines[0]!.startsWith(text)) {
      const asked = command === undefined ? "" : ` to ${JSON.stringify(command.slice(0, 200))}`;
      throw new Error(`expected ${code} ${text}${asked}, got ${answer.code} ${answer.lines.join(" / ")}`);
    }
    return answer;
  }

  /** Sends a line of POP3 (or nothing) and reads one status line. */
  async pop(command?: string): Promise<string> {
    if (command !== undefined) await this.write(`${command}\r\n`);
    return await this.line();
  }

  /** The same, and fails where it isn't +OK. */
  async popOk(command?: string): Promise<string> {
    const line = await this.pop(command);
    if (!line.startsWith("+OK")) {
      throw new Error(`expected +OK to ${command ?? "the connection"}, got ${line}`);
    }
    return line;
  }

  /** The same, and fails where it isn't -ERR with `text` behind it. */
  async popErr(command: string, text = ""): Promise<string> {
    const line = await this.pop(command);
    if (!line.startsWith(`-ERR ${text}`.trimEnd())) {
      throw new Error(`expected -ERR ${text} to ${command}, got ${line}`);
    }
    return line;
  }

  /** A multi-line answer of POP3 as lines, dots taken off. */
  async popList(command: string): Promise<string[]> {
    await this.popOk(command);
    const lines: string[] = [];
    for (;;) {
      const line = await this.line();
      if (line === ".") return lines;
      lines.push(line.startsWith(".") ? line.slice(1) : line);
    }
  }

  /** A message, with CRLF after every line. */
  async popBody(command: string): Promise<string> {
    return (await this.popList(command)).map((line) => `${line}\r\n`).join("");
  }

  /** Reads a multi-line answer that may be large; gives its octets and SHA-256 before dots are taken off. */
  async popDigest(command: string): Promise<{ readonly octets: number; readonly sha256: string }> {
    await this.popOk(command);
    const hash = createHash("sha256");
    const end = Buffer.from("\r\n.\r\n");
    let octets = 0;
    for (;;) {
      const all = this.#join();
      const at = all.indexOf(end);
      const usable = at >= 0 ? at + 2 : Math.max(0, all.length - end.length);
      hash.update(this.#take(usable));
      octets += usable;
      if (at >= 0) {
        this.#take(3);
        return { octets, sha256: hash.digest("hex") };
      }
      if (!await this.#more()) throw new Error("the server closed the connection inside a message");
    }
  }

  /** Begins TLS on this connection, after the server has agreed to it. */
  async startTls(): Promise<void> {
    const plain = this.#socket;
    for (const event of ["data", "end", "close", "error"]) plain.removeAllListeners(event);
    this.#socket = await new Promise<net.Socket>((resolve, reject) => {
      const secure = tls.connect({ socket: plain, rejectUnauthorized: false }, () => resolve(secure));
      secure.once("error", reject);
    });
    this.#socket.removeAllListeners("error");
    this.#listen();
  }

  /** Says that nothing more will be sent; answers still come. */
  endInput(): void {
    this.#socket.end();
  }

  /** Breaks the connection off, as a machine does that went down and came back. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  /** Ends the connection in order. */
  close(): void {
    this.#socket.end();
    this.#socket.destroy();
  }
}

/** AUTH PLAIN's initial response (RFC 4616). */
export function plainResponse(user: string, password: string): string {
  return btoa(`\0${user}\0${password}`);
}
