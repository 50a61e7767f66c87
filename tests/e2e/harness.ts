/**
 * Starts the appliance for one test and cleans up after it.
 *
 * What is tested is `dist/emsmail` (or the file EMSMAIL_BINARY names); with EMSMAIL_RUNTIME=deno it is `main.ts` under
 * `deno run` with the permissions of `deno task serve`, and only tests marked `core` are registered. A test whose program
 * is missing on this machine is registered as ignored, so that it is counted as skipped.
 *
 * Each test gets a fresh folder, free loopback ports, the accounts alice and bob, and its own server, which is stopped
 * by SIGTERM and must end with code 0. When a test fails, the server's output is shown.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { Wire } from "./wire.ts";

export const DOMAIN = "example.test";
export const HOSTNAME = "mail.example.test";
export const PASSWORD = "Correct-Horse-7";
export const root = new URL("../..", import.meta.url).pathname;
export const runtime: "binary" | "deno" = Deno.env.get("EMSMAIL_RUNTIME") === "deno" ? "deno" : "binary";
export const binary = Deno.env.get("EMSMAIL_BINARY") ?? `${root}dist/emsmail`;

/** How long the appliance may take to say `ready` before a test gives up on it, in milliseconds. */
const READY_MS = 20_000;
const STOP_MS = 15_000;
const SEARCH_PATH = `${Deno.env.get("PATH") ?? ""}:/usr/sbin:/usr/local/sbin`;

export type Service = "smtp" | "submission" | "submissions" | "pop3" | "pop3s";
const SERVICES: readonly Service[] = ["smtp", "submission", "submissions", "pop3", "pop3s"];

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ServerOptions {
  /** Settings laid over the usual ones, group by group. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Accounts made before the server starts. */
  readonly users?: readonly string[];
  /** Options of `emsmail serve` after `--config`. */
  readonly serveOptions?: readonly string[];
  /** Before the first start; the configuration is written anew after it. */
  readonly prepare?: (server: Server) => Promise<void>;
  /** Whether the server runs already when the test begins. @default {"at-once"} */
  readonly start?: "at-once" | "by-test";
}

export interface TestOptions extends ServerOptions {
  /** Programs without which the test is skipped; `root` is that user's rights. */
  readonly needs?: readonly string[];
  /** Also run with the source under Deno. */
  readonly core?: "core";
}

/** Registers a test that gets a running server. */
export function e2e(name: string, options: TestOptions, run: (server: Server) => Promise<void>): void {
  e2eBare(name, options, () => withServer(options, run));
}

/** Registers a test that starts what it needs itself. */
export function e2eBare(name: string, options: TestOptions, run: () => Promise<void>): void {
  if (runtime === "deno" && options.core === undefined) return;
  const missing = (options.needs ?? []).filter((need) => !hasNeed(need));
  const shown = missing.length > 0 ? `${name} (without ${missing.join(", ")})` : name;
  Deno.test({ name: shown, ignore: missing.length > 0, fn: run });
}

/** Runs `run` with a server, and stops and clears away whatever happened. */
export async function withServer(
  options: ServerOptions,
  run: (server: Server) => Promise<void>,
): Promise<void> {
  const server = await Server.create(options);
  try {
    await options.prepare?.(server);
    await server.writeConfig();
    if (options.start !== "by-test") await server.start();
    await run(server);
    await server.stop();
  } catch (error) {
    console.error(`---- the server's output\n${await server.output()}----`);
    throw error;
  } finally {
    await server.remove();
  }
}

/** What a test starts beside the server. */
export interface Peer {
  stop(): Promise<void>;
}

/** Takes a peer in care: it is stopped when the test is over. */
export type Use = <T extends Peer>(peer: Promise<T>) => Promise<T>;

/** Runs `run`, and stops what it has taken into use, the last one first, whatever happened. */
export async function withPeers(run: (use: Use) => Promise<void>): Promise<void> {
  const peers: Peer[] = [];
  try {
    await run(async (peer) => {
      peers.push(await peer);
      return await peer;
    });
  } finally {
    for (const peer of peers.toReversed()) await peer.stop();
  }
}

function hasNeed(need: string): boolean {
  return need === "root" ? Deno.uid() === 0 : hasProgram(need);
}

/** Whether a test may count on a program, or on the rights of `root`: ports below 1024, namespaces, other users. */
export function hasProgram(name: string): boolean {
  if (name === "root") return Deno.uid() === 0;
  return SEARCH_PATH.split(":").some((folder) => {
    try {
      return folder !== "" && Deno.statSync(`${folder}/${name}`).isFile;
    } catch {
      return false;
    }
  });
}

/** The program and the arguments in front of a command's own. */
export function emsmail(): readonly string[] {
  if (runtime === "binary") return [binary];
  const { tasks } = JSON.parse(Deno.readTextFileSync(`${root}deno.json`)) as { tasks: { serve: string } };
  const allowed = tasks.serve.split(" ").filter((word) => word.startsWith("--allow-"));
  return [
    Deno.execPath(),
    "run",
    "--quiet",
    "--no-prompt",
    ...allowed,
    `--config=${root}deno.json`,
    `${root}main.ts`,
  ];
}

/** Runs a program to its end. A shell's worth of text in, text out. */
export async function runProgram(
  command: readonly string[],
  options: { readonly stdin?: string; readonly cwd?: string; readonly env?: Record<string, string> } = {},
): Promise<Ran> {
  const child = new Deno.Command(command[0]!, {
    args: command.slice(1),
    cwd: options.cwd,
    env: { LC_ALL: "C.UTF-8", PATH: SEARCH_PATH, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", ...options.env },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const feed = async () => {
    const writer = child.stdin.getWriter();
    try {
      if (options.stdin !== undefined) await writer.write(new TextEncoder().encode(options.stdin));
      await writer.close();
    } catch {
      // The program ended without reading all of it; its exit code tells.
    }
  };
  const [{ code, stdout, stderr }] = await Promise.all([child.output(), feed()]);
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

/** Runs a program that must succeed, and gives its standard output. */
export async function mustRun(...args: Parameters<typeof runProgram>): Promise<string> {
  const ran = await runProgram(...args);
  assertEquals(ran.code, 0, `${args[0].join(" ")} ended with ${ran.code}:\n${ran.stdout}${ran.stderr}`);
  return ran.stdout;
}

const taken = new Set<number>();

/** A port nothing listens on, outside the range from which systems take ports for outgoing connections. */
function freePort(): number {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    if (taken.has(port)) continue;
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
    } catch {
      continue;
    }
    taken.add(port);
    return port;
  }
}

export class Server {
  /** Everything of this server is in here. */
  readonly folder: string;
  readonly data: string;
  readonly configFile: string;
  readonly ports: Readonly<Record<Service, number>>;
  readonly config: Record<string, unknown>;
  /** Milliseconds from start to the line that begins `ready`, of the last start. */
  readyMs = 0;
  readonly #serveOptions: readonly string[];
  #child: Deno.ChildProcess | undefined;
  #logs = 0;

  private constructor(folder: string, { config = {}, serveOptions = [] }: ServerOptions) {
    this.folder = folder;
    this.#serveOptions = serveOptions;
    this.data = `${folder}/data`;
    this.configFile = `${folder}/emsmail.yaml`;
    this.ports = Object.fromEntries(SERVICES.map((name) => [name, freePort()])) as Record<Service, number>;
    this.config = merge({
      hostname: HOSTNAME,
      domains: [DOMAIN],
      data: this.data,
      listen: Object.fromEntries(SERVICES.map((name) => [name, [`127.0.0.1:${this.ports[name]}`]])),
      // The least work there is: tests log in often.
      auth: { scryptCost: 10, scramIterations: 4096 },
    }, config);
  }

  static async create(options: ServerOptions = {}): Promise<Server> {
    const server = new Server(await Deno.makeTempDir({ prefix: "emsmail-e2e-" }), options);
    await server.writeConfig();
    for (const name of options.users ?? ["alice", "bob"]) await server.addUser(name);
    return server;
  }

  /** The certificate the server made for itself, which clients are told to trust. */
  get cert(): string {
    return `${this.data}/tls/cert.pem`;
  }

  get pid(): number {
    if (this.#child === undefined) throw new Error("the server is not running");
    return this.#child.pid;
  }

  /** A JSON document is a YAML document. */
  async writeConfig(): Promise<void> {
    await Deno.writeTextFile(this.configFile, JSON.stringify(this.config, null, 2));
  }

  async start(): Promise<void> {
    const log = `${this.folder}/log.${++this.#logs}`;
    const begun = performance.now();
    this.#child = new Deno.Command("/bin/sh", {
      args: [
        "-c",
        'log=$1; shift; exec "$@" >"$log" 2>&1',
        "sh",
        log,
        ...emsmail(),
        "serve",
        "--config",
        this.configFile,
        ...this.#serveOptions,
      ],
      cwd: this.folder,
      env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    let ended = false;
    void this.#child.status.then(() => ended = true);
    while (!/^ready/m.test(await readText(log))) {
      if (ended) throw new Error("the server ended before it was ready");
      if (performance.now() - begun > READY_MS) {
        throw new Error(`the server was not ready after ${READY_MS} ms`);
      }
      await pause(4);
    }
    this.readyMs = performance.now() - begun;
  }

  /** Asks the server to stop, and fails where it doesn't end with code 0. */
  async stop(): Promise<void> {
    const status = await this.#end("SIGTERM");
    if (status === undefined) return;
    assertEquals(status.signal, null, "the server was ended by a signal instead of stopping by itself");
    assertEquals(status.code, 0, "the server's exit code");
  }

  /** The power goes. */
  async crash(): Promise<void> {
    await this.#end("SIGKILL");
  }

  signal(name: Deno.Signal): void {
    this.#child?.kill(name);
  }

  async #end(signal: Deno.Signal): Promise<Deno.CommandStatus | undefined> {
    const child = this.#child;
    if (child === undefined) return undefined;
    this.#child = undefined;
    try {
      child.kill(signal);
    } catch {
      // It has ended by itself; its status tells.
    }
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill("SIGKILL");
    }, STOP_MS);
    const status = await child.status;
    clearTimeout(timer);
    if (late) throw new Error(`the server had not stopped ${STOP_MS} ms after ${signal}`);
    return status;
  }

  async remove(): Promise<void> {
    await this.#end("SIGKILL").catch(() => {});
    await Deno.remove(this.folder, { recursive: true });
  }

  /** What the server printed and logged, over all its starts. */
  async output(): Promise<string> {
    let text = "";
    for (let i = 1; i <= this.#logs; i++) text += await readText(`${this.folder}/log.${i}`);
    return text;
  }

  /** Waits until the output matches. */
  async untilOutput(pattern: RegExp): Promise<void> {
    await until(`the server's output to match ${pattern}`, async () => pattern.test(await this.output()));
  }

  /** A command line of this server's, as a second process. */
  cli(args: readonly string[], options: { readonly stdin?: string } = {}): Promise<Ran> {
    return runProgram([...emsmail(), ...args, "--config", this.configFile], { ...options, cwd: this.folder });
  }

  /** The same, which must succeed; gives its standard output. */
  async mustCli(args: readonly string[], options: { readonly stdin?: string } = {}): Promise<string> {
    const ran = await this.cli(args, options);
    assertEquals(
      ran.code,
      0,
      `emsmail ${args.join(" ")} ended with ${ran.code}:\n${ran.stdout}${ran.stderr}`,
    );
    return ran.stdout;
  }

  async addUser(name: string, ...options: readonly string[]): Promise<void> {
    await this.mustCli(["user", "add", name, "--password-stdin", ...options], { stdin: `${PASSWORD}\n` });
  }

  /** A connection to a service, its greeting read; TLS from the start where the service is that. */
  async connect(service: Service): Promise<Wire> {
    const tls = service === "submissions" || service === "pop3s";
    const wire = await Wire.open(this.ports[service], tls ? "tls" : "plain");
    if (service.startsWith("pop3")) await wire.popOk();
    else await wire.expect(220);
    return wire;
  }

  /** A POP3 session, logged in. */
  async pop3(user: string): Promise<Wire> {
    const wire = await this.connect("pop3");
    await wire.popOk(`USER ${user}`);
    await wire.popOk(`PASS ${PASSWORD}`);
    return wire;
  }

  /** Hands over a message on the port for other systems. */
  async send(
    mail: { readonly from?: string; readonly to: string | readonly string[]; readonly data: string },
  ): Promise<void> {
    const wire = await this.connect("smtp");
    await wire.expect(250, "EHLO client.example.test");
    await wire.expect(250, `MAIL FROM:<${mail.from ?? "sender@elsewhere.test"}>`);
    for (const to of [mail.to].flat()) await wire.expect(250, `RCPT TO:<${to}>`);
    await wire.expect(354, "DATA");
    await wire.expect(250, `${stuff(mail.data)}.`);
    await wire.expect(221, "QUIT");
    wire.close();
  }

  /** Waits until a maildrop holds `count` messages, and gives them all as POP3 does, oldest first. */
  async mail(user: string, count: number): Promise<string[]> {
    let texts: string[] = [];
    await until(`${count} message(s) in ${user}'s maildrop`, async () => {
      const wire = await this.pop3(user);
      const held = Number((await wire.popOk("STAT")).split(" ")[1]);
      if (held > count) throw new Error(`${user}'s maildrop holds ${held} messages, ${count} expected`);
      if (held === count) {
        texts = [];
        for (let n = 1; n <= count; n++) texts.push(await wire.popBody(`RETR ${n}`));
      }
      await wire.popOk("QUIT");
      wire.close();
      return held === count;
    });
    return texts;
  }

  /** A figure of the process in octets: VmRSS (now) or VmHWM (the most so far). */
  async memory(field: "VmRSS" | "VmHWM"): Promise<number> {
    const status = await Deno.readTextFile(`/proc/${this.pid}/status`);
    return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)![1]) * 1024;
  }
}

/** A message with the fields a mail program writes; lines end with CRLF. */
export function message(
  parts: { readonly subject: string; readonly body?: string; readonly from?: string; readonly to?: string },
): string {
  return `From: ${parts.from ?? "Sender <sender@elsewhere.test>"}\r\nTo: ${
    parts.to ?? "alice@example.test"
  }\r\n` +
    `Subject: ${parts.subject}\r\nDate: Tue, 24 Nov 2026 12:00:00 +0000\r\n` +
    `Message-ID: <${crypto.randomUUID()}@elsewhere.test>\r\n\r\n${parts.body ?? "Hello.\r\n"}`;
}

/** The body of a message as text. */
export function bodyOf(text: string): string {
  return text.slice(text.indexOf("\r\n\r\n") + 4);
}

/** The value of a header field, unfolded; undefined where there is none. */
export function field(text: string, name: string): string | undefined {
  const head = text.slice(0, text.indexOf("\r\n\r\n") + 2).replace(/\r\n[ \t]/g, " ");
  return new RegExp(`^${name}: *(.*)\r$`, "im").exec(head)?.[1];
}

/** Dot-stuffing (RFC 5321 4.5.2). */
export function stuff(data: string): string {
  return data.replace(/^\./gm, "..");
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Asks again and again until the answer is yes. */
export async function until(what: string, ask: () => Promise<boolean>, limitMs = 15_000): Promise<void> {
  const begun = performance.now();
  while (!await ask()) {
    if (performance.now() - begun > limitMs) throw new Error(`waited ${limitMs} ms in vain for ${what}`);
    await pause(20);
  }
}

async function readText(file: string): Promise<string> {
  try {
    return await Deno.readTextFile(file);
  } catch {
    return "";
  }
}

function merge(
  base: Record<string, unknown>,
  over: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const result = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const below = result[key];
    const both = isGroup(below) && isGroup(value);
    result[key] = both ? merge(below, value) : value;
  }
  return result;
}

function isGroup(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
