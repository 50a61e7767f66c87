/**
 * Log lines: how they look, and how they get to a file descriptor.
 *
 * Every part logs through LogTape's `getLogger(["emsmail", "smtp"])`; {@linkcode configureLogging} is called once in
 * each thread. A record's message is a constant of ours; everything that came from outside is a property.
 *
 * Guarantees: a record is exactly one line, whatever its values hold: no control character, line separator or
 * bidirectional override gets out, so no line can be forged. Logging never throws and never waits for the reader: what
 * it doesn't take is kept up to a limit, then dropped and counted. Lines of several threads on one pipe don't mix,
 * because they are written in pieces of at most PIPE_BUF.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { fstatSync, writeSync } from "node:fs";
import process from "node:process";
import { configureSync, type LogLevel, type LogRecord, type Sink } from "@logtape/logtape";

export type LogFormat = "text" | "json";

export interface LoggingOptions {
  readonly format: LogFormat;
  /** The least severe lines that are written. */
  readonly level: "debug" | "info" | "warn" | "error";
  /** @default 2 */
  readonly fd?: number;
}

let current: LogWriter | undefined;

/** Sends the log of this thread to a file descriptor; called again, replaces what was configured. */
export function configureLogging(options: LoggingOptions): void {
  const format = options.format === "json" ? formatJson : formatText;
  current?.flush();
  if (current === undefined) process.on("exit", flushLog);
  const writer = current = new LogWriter(options.fd ?? 2);
  configureSync({
    reset: true,
    sinks: { fd: immediate((record) => writer.write(format(record))) },
    loggers: [
      { category: [], sinks: ["fd"], lowestLevel: options.level === "warn" ? "warning" : options.level },
      // LogTape tells here of its own affairs; only its troubles matter.
      { category: ["logtape", "meta"], sinks: ["fd"], parentSinks: "override", lowestLevel: "error" },
    ],
  });
}

/**
 * Marks a sink that is done with its record when it returns, as LogTape marks its own: LogTape then copies no
 * properties for it, which is two fifths of what a line costs. Were the mark unknown, only that would be lost.
 */
function immediate(sink: Sink): Sink {
  return Object.defineProperty(sink, Symbol.for("LogTape.sinkSnapshotPolicy.immediate"), { value: true });
}

/** Writes out every line logged so far in this thread, waiting a second at most for a reader that is slow. */
export function flushLog(): void {
  current?.flush();
}

// ---------------------------------------------------------------- formatting (pure)

const LEVELS: { readonly [level in LogLevel]: string } = {
  trace: "trace",
  debug: "debug",
  info: "info",
  warning: "warn",
  error: "error",
  fatal: "fatal",
};

/** `2026-11-24T14:05:09.123Z info smtp: message accepted id=0abc from=<a@b> size=123` and LF. */
export function formatText(record: LogRecord): string {
  let line = `${timeText(record.timestamp)} ${LEVELS[record.level]} ${categoryText(record.category)}: ${
    cleaned(messageText(record))
  }`;
  const { properties } = record;
  for (const key in properties) {
    const value = properties[key];
    if (value !== undefined) line += ` ${textValue(key)}=${textValue(value)}`;
  }
  return line + "\n";
}

/** One JSON object and LF: time, level, category, message, then the properties; one named as these gets a `_`. */
export function formatJson(record: LogRecord): string {
  let line = `{"time":"${timeText(record.timestamp)}","level":"${LEVELS[record.level]}","category":${
    quoted(categoryText(record.category))
  },"message":${quoted(messageText(record))}`;
  const { properties } = record;
  for (const key in properties) {
    const value = properties[key];
    if (value !== undefined) line += `,${quoted(RESERVED.has(key) ? `${key}_` : key)}:${jsonValue(value)}`;
  }
  return line + "}\n";
}

const RESERVED: ReadonlySet<string> = new Set(["time", "level", "category", "message"]);

/** What can stand bare behind `key=`: visible ASCII without quote, `=` and backslash. */
const BARE = /^[\x21\x23-\x3c\x3e-\x5b\x5d-\x7e]+$/;

/** What a terminal or a splitter into lines could take for more than text: controls, separators, bidirectional marks. */
const UNSAFE =
  // deno-lint-ignore no-control-regex -- control characters are what is looked for
  /[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]/g;
// deno-lint-ignore no-control-regex -- the same for a test, which a global expression is not fit for
const HAS_UNSAFE = /[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]/;

let secondStart = NaN;
let secondText = "";

function timeText(timestampMs: number): string {
  const second = Math.floor(timestampMs / 1000);
  if (second !== secondStart) {
    secondStart = second;
    secondText = new Date(second * 1000).toISOString().slice(0, 20);
  }
  return `${secondText}${String(Math.floor(timestampMs) - second * 1000).padStart(3, "0")}Z`;
}

function categoryText(category: readonly string[]): string {
  const own = category[0] === "emsmail" ? category.slice(1) : category;
  return own.length === 1 ? own[0]! : own.join(".") || "emsmail";
}

function messageText(record: LogRecord): string {
  const { rawMessage } = record;
  // LogTape takes a template apart when `message` is first read; most of ours have nothing to be put in.
  if (typeof rawMessage === "string" && !rawMessage.includes("{")) return rawMessage;
  const { message } = record;
  return message.map((part, i) => i % 2 === 0 ? String(part) : plainText(part)).join("");
}

function textValue(value: unknown): string {
  const text = plainText(value);
  return BARE.test(text) ? text : quoted(text);
}

function jsonValue(value: unknown): string {
  if (typeof value === "string") return quoted(value);
  if (typeof value === "boolean" || value === null) return String(value);
  if (typeof value === "number") return Number.isFinite(value) ? String(value) : quoted(String(value));
  if (typeof value !== "object" || value instanceof Error) return quoted(plainText(value));
  return cleaned(structureText(value));
}

function plainText(value: unknown): string {
  if (typeof value === "string") return value;
  // The stack begins with the error's name and message.
  if (value instanceof Error) return value.stack ?? `${value.name}: ${value.message}`;
  return typeof value === "object" && value !== null ? structureText(value) : String(value);
}

function structureText(value: object): string {
  try {
    return JSON.stringify(value, (_, inner) => typeof inner === "bigint" ? String(inner) : inner) ?? '""';
  } catch {
    return '"(cannot be shown)"';
  }
}

function quoted(text: string): string {
  return cleaned(JSON.stringify(text));
}

/** Unsafe characters as `\uXXXX`, which inside JSON strings leaves their meaning. */
function cleaned(text: string): string {
  if (!HAS_UNSAFE.test(text)) return text;
  return text.replace(UNSAFE, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

// ---------------------------------------------------------------- writing

/** How long a line may wait for others to be written with it. */
const FLUSH_MS = 20;
/** Lines waiting beyond this are written at once. */
const FLUSH_OCTETS = 64 * 1024;
/** What is kept for a reader that doesn't keep up, such as a stopped terminal; beyond it, lines are lost and counted. */
const BACKLOG_OCTETS = 4 * 1024 * 1024;
/** POSIX: a write of at most this to a pipe is whole or not at all (Linux; 512 is the least elsewhere). */
const PIPE_BUF = 4096;
/** How long `flush` waits for a slow reader, and for how long at a time. */
const FLUSH_WAIT_MS = 1000;
const FLUSH_STEP_MS = 5;

/** Gathers lines and writes them to a file descriptor in few calls. */
export class LogWriter {
  readonly #fd: number;
  readonly #pieceOctets: number;
  #waiting: string[] = [];
  #waitingOctets = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Octets the reader hasn't taken yet. */
  #backlog: Uint8Array = new Uint8Array(0);
  #lostLines = 0;
  #isBroken = false;

  constructor(fd: number) {
    this.#fd = fd;
    this.#pieceOctets = isShared(fd) ? PIPE_BUF : FLUSH_OCTETS;
  }

  /** Adds a line, which must end in LF. */
  write(line: string): void {
    if (this.#isBroken) return;
    if (this.#backlog.length + this.#waitingOctets > BACKLOG_OCTETS) {
      this.#lostLines++;
      return;
    }
    this.#waiting.push(line);
    this.#waitingOctets += line.length;
    if (this.#waitingOctets >= FLUSH_OCTETS && this.#backlog.length === 0) this.#writeWaiting();
    else this.#timer ??= setTimeout(() => this.#writeWaiting(), FLUSH_MS);
  }

  /** Writes everything that waits, and waits a second at most for a reader that is slow. */
  flush(): void {
    for (
      let waitedMs = 0;
      this.#writeWaiting() === "later" && waitedMs < FLUSH_WAIT_MS;
      waitedMs += FLUSH_STEP_MS
    ) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FLUSH_STEP_MS);
    }
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #writeWaiting(): "done" | "later" {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#waiting.length > 0 || this.#backlog.length > 0) {
      const lines = Buffer.from(this.#waiting.join(""));
      this.#waiting = [];
      this.#waitingOctets = 0;
      this.#backlog = this.#writeOctets(
        this.#backlog.length === 0 ? lines : Buffer.concat([this.#backlog, lines]),
      );
    }
    if (this.#backlog.length > 0) {
      this.#timer = setTimeout(() => this.#writeWaiting(), FLUSH_MS);
      return "later";
    }
    if (this.#lostLines === 0) return "done";
    const line = `${
      timeText(Date.now())
    } warn log: lines lost because nobody read them count=${this.#lostLines}\n`;
    this.#lostLines = 0;
    this.#backlog = this.#writeOctets(Buffer.from(line));
    return "done";
  }

  /** Writes lines in pieces that end where a line does; gives what couldn't be written now. */
  #writeOctets(octets: Buffer): Uint8Array {
    let rest = octets;
    while (rest.length > 0 && !this.#isBroken) {
      const fits = rest.length <= this.#pieceOctets
        ? rest.length
        : rest.lastIndexOf(10, this.#pieceOctets - 1) + 1;
      const end = fits > 0 ? fits : rest.indexOf(10) + 1 || rest.length;
      try {
        rest = rest.subarray(writeSync(this.#fd, rest, 0, end));
      } catch (error) {
        const { code } = error as { code?: string };
        if (code === "EAGAIN" || code === "EINTR") return Uint8Array.from(rest);
        // A closed pipe or descriptor never comes back. A full disk may: these lines are lost, later ones may not be.
        if (code === "EPIPE" || code === "EBADF") this.#isBroken = true;
        else this.#lostLines += rest.toString("latin1").split("\n").length - 1;
        rest = rest.subarray(rest.length);
      }
    }
    return new Uint8Array(0);
  }
}

/** Whether other threads' octets may come between ours within one write: in everything but files and terminals. */
function isShared(fd: number): boolean {
  try {
    const stat = fstatSync(fd);
    return stat.isFIFO() || stat.isSocket();
  } catch {
    return false;
  }
}
