/**
 * Postfix's smtp-sink as a system that takes any mail and keeps it: what arrived can be read, octet for octet but for
 * line ends.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { until } from "../harness.ts";

export interface SinkOptions {
  /** An address of this machine, IPv6 without brackets. */
  readonly address: string;
  readonly port: number;
  /** More options of smtp-sink: `["-f", "RCPT"]` refuses every recipient for good, `-r` for now, `-p` has no PIPELINING. */
  readonly args?: readonly string[];
  /** The name it greets with. @default "sink.example.test" */
  readonly hostname?: string;
}

export interface Sink {
  /**
   * The messages that arrived whole, oldest first, lines ending with LF. In front of each one's own header smtp-sink puts
   * what it was told: `X-Client-Addr`, `X-Client-Proto`, `X-Helo-Args`, `X-Mail-Args`, `X-Rcpt-Args` (one for each recipient)
   * and a Received field.
   */
  messages(): Promise<string[]>;
  /** Waits until there are `count` of them, and fails where there are more. */
  until(count: number): Promise<string[]>;
  /** The same in octets, each as one character, lines ending with CRLF again, and without the line end that smtp-sink adds. */
  untilOctets(count: number): Promise<string[]>;
  stop(): Promise<void>;
}

const PROGRAM = "/usr/sbin/smtp-sink";
/** How long it may take to listen, in milliseconds. */
const LIMIT_MS = 10_000;
/** Connections that may wait to be accepted. */
const BACKLOG = "100";

/** Starts one. As root it becomes nobody once it has its port. */
export async function startSink(options: SinkOptions): Promise<Sink> {
  const folder = await Deno.makeTempDir({ prefix: "emsmail-sink-" });
  await Deno.chmod(folder, 0o777);
  const { address, port, args = [], hostname = "sink.example.test" } = options;
  const command: readonly string[] = [
    PROGRAM,
    ...Deno.uid() === 0 ? ["-u", "nobody"] : [],
    ...["-h", hostname, "-d", `${folder}/%Y%m%d%H%M%S.`],
    ...args,
    // smtp-sink takes IPv6 addresses in brackets.
    `${address.includes(":") ? `[${address}]` : address}:${port}`,
    BACKLOG,
  ];
  const child = new Deno.Command(command[0]!, {
    args: command.slice(1),
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  })
    .spawn();
  let complaint: string | undefined;
  void Promise.all([child.stderr.text(), child.status]).then(([text]) => complaint = text);
  const sink = new SmtpSink(folder, child);
  try {
    await until(`smtp-sink at ${address}, port ${port}`, () => {
      if (complaint !== undefined) throw new Error(`smtp-sink did not start: ${complaint}`);
      return isListening(child.pid, { address, port });
    }, LIMIT_MS);
  } catch (error) {
    await sink.stop();
    throw error;
  }
  return sink;
}

class SmtpSink implements Sink {
  readonly #folder: string;
  readonly #child: Deno.ChildProcess;
  #isStopped = false;

  constructor(folder: string, child: Deno.ChildProcess) {
    this.#folder = folder;
    this.#child = child;
  }

  async messages(): Promise<string[]> {
    return await Promise.all(this.#whole().map((name) => Deno.readTextFile(name)));
  }

  /** The files of messages that arrived whole, oldest first. */
  #whole(): string[] {
    const names = [...Deno.readDirSync(this.#folder)].map(({ name }) => `${this.#folder}/${name}`);
    // Looked at after the names: a file that is open now was not whole then.
    const unfinished = this.#isStopped ? new Set() : openFiles(this.#child.pid);
    const whole = names.filter((name) => !unfinished.has(name));
    const dated = whole.map((name) => ({ name, at: Deno.statSync(name).mtime?.getTime() ?? 0 }));
    dated.sort((a, b) => a.at - b.at);
    return dated.map(({ name }) => name);
  }

  async until(count: number): Promise<string[]> {
    let texts: string[] = [];
    await until(`${count} message(s) at smtp-sink`, async () => {
      texts = await this.messages();
      if (texts.length > count) throw new Error(`${texts.length} messages at smtp-sink, ${count} expected`);
      return texts.length === count;
    });
    return texts;
  }

  async untilOctets(count: number): Promise<string[]> {
    await this.until(count);
    const files = await Promise.all(this.#whole().map((name) => Deno.readFile(name)));
    return files.map((octets) =>
      Buffer.from(octets).toString("latin1").replace(/\n$/, "").replaceAll("\n", "\r\n")
    );
  }

  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    try {
      this.#child.kill("SIGTERM");
    } catch {
      // It has ended by itself.
    }
    await this.#child.status;
    await Deno.remove(this.#folder, { recursive: true });
  }
}

/** Asked of the system and not by connecting, which the sink would count. */
async function isListening(
  pid: number,
  at: { readonly address: string; readonly port: number },
): Promise<boolean> {
  const port = at.port.toString(16).toUpperCase().padStart(4, "0");
  const table = await Deno.readTextFile(`/proc/${pid}/net/${at.address.includes(":") ? "tcp6" : "tcp"}`)
    .catch(() => "");
  const local = at.address.includes(":") ? "[0-9A-F]{32}" : at.address.split(".").reverse()
    .map((octet) => Number(octet).toString(16).toUpperCase().padStart(2, "0")).join("");
  // 0A: listening.
  return new RegExp(`^ *\\d+: ${local}:${port} \\S+ 0A `, "m").test(table);
}

function openFiles(pid: number): ReadonlySet<string> {
  const files = new Set<string>();
  const folder = `/proc/${pid}/fd`;
  try {
    for (const { name } of Deno.readDirSync(folder)) {
      try {
        files.add(Deno.readLinkSync(`${folder}/${name}`));
      } catch {
        // Closed meanwhile.
      }
    }
  } catch {
    // It has ended.
  }
  return files;
}
