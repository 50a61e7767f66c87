/**
 * The writer in a thread of its own, which any number of other threads share, each through its port.
 *
 * Guarantees: whatever waits on all ports is committed by one transaction, and each port gets one answer for it. An
 * orderly stop finishes what was posted before it. Where the file can't be opened, every port and the owner are told why.
 *
 * States: opening, serving (or failed), stopped.
 *
 * The owner's side is {@linkcode controlWriter}; the thread's entry file needs one line:
 * `runWriter({ path, ports: [], control: parentPort, recover: "yes" })`.
 *
 * @module
 */
import { clearInterval, setInterval } from "node:timers";
import { MessageChannel, type MessagePort, receiveMessageOnPort, type Worker } from "node:worker_threads";
import { type Operation, Refusal } from "./operations.ts";
import {
  type ClientMessage,
  fromWireError,
  TICK_MS,
  toWireError,
  tryToTick,
  tryToWatch,
  type WireError,
  type WriterMessage,
} from "./transport.ts";
import { SqliteWriter, type WriterOptions } from "./writer.ts";

/** Octets in one transaction beyond which the rest waits for the next, so that small messages don't wait for many large ones. */
const COMMIT_OCTETS = 16 * 1024 * 1024;

/** What the owner says to the thread. */
export type ControlMessage =
  /** One more thread that writes. */
  | { readonly kind: "port"; readonly port: MessagePort }
  /** Finish, close the file, say `stopped`. */
  | { readonly kind: "stop" };

/** What the thread says to its owner. */
export type ControlAnswer =
  | { readonly kind: "ready" }
  | { readonly kind: "failed"; readonly error: WireError }
  | { readonly kind: "stopped" };

/** The thread's end of its channel to the owner: `parentPort`, or a MessagePort. */
export interface Control {
  on(event: "message", listener: (message: ControlMessage) => void): unknown;
  off(event: "message", listener: (message: ControlMessage) => void): unknown;
  postMessage(message: ControlAnswer): void;
}

export interface RunWriterOptions extends WriterOptions {
  /** The file. */
  readonly path: string;
  /** Ports known from the start; more come by `control`. */
  readonly ports: readonly MessagePort[];
  readonly control: Control;
  /** How often to look for messages that other processes accepted, in milliseconds. @default {1000} */
  readonly tickMs?: number;
}

/** The body of the writer's thread; it goes on by the events of its ports until the owner says stop. */
export function runWriter(options: RunWriterOptions): void {
  const { control } = options;
  let writer: SqliteWriter | undefined;
  let failure: WireError | undefined;
  try {
    writer = new SqliteWriter(options.path, options);
  } catch (error) {
    failure = toWireError(error);
  }
  const thread = new WriterThread(writer, failure, options.tickMs ?? TICK_MS);
  const onControl = (message: ControlMessage) => {
    if (message.kind === "port") return thread.add(message.port);
    thread.stop();
    control.off("message", onControl);
    control.postMessage({ kind: "stopped" });
  };
  control.on("message", onControl);
  for (const port of options.ports) thread.add(port);
  control.postMessage(failure === undefined ? { kind: "ready" } : { kind: "failed", error: failure });
}

class WriterThread {
  readonly #writer: SqliteWriter | undefined;
  readonly #failure: WireError | undefined;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #ports = new Set<MessagePort>();
  #listening: MessagePort | undefined;

  constructor(writer: SqliteWriter | undefined, failure: WireError | undefined, tickMs: number) {
    this.#writer = writer;
    this.#failure = failure;
    this.#timer = setInterval(() => this.#tick(), tickMs);
  }

  add(port: MessagePort): void {
    this.#ports.add(port);
    port.on("message", (message: ClientMessage) => this.#drain(port, message));
    port.on("close", () => this.#remove(port));
  }

  stop(): void {
    clearInterval(this.#timer);
    while (this.#drain()) { /* until nothing waits */ }
    this.#writer?.close();
    for (const port of this.#ports) port.close();
    this.#ports.clear();
  }

  #remove(port: MessagePort): void {
    this.#ports.delete(port);
    if (this.#listening !== port) return;
    this.#listening = undefined;
    this.#writer?.unwatch();
  }

  /** Takes what waits on all ports and commits it; gives whether there was anything. */
  #drain(firstPort?: MessagePort, first?: ClientMessage): boolean {
    const work = new Map<MessagePort, Operation[]>();
    let watching: MessagePort | undefined;
    let octets = 0;
    let took = false;
    const take = (port: MessagePort, message: ClientMessage) => {
      took = true;
      if (message.kind === "watch") watching = port;
      else if (message.kind === "hello" || this.#writer === undefined) this.#answerHello(port);
      else {
        const operations = work.get(port);
        if (operations === undefined) work.set(port, [...message.operations]);
        else operations.push(...message.operations);
        for (const operation of message.operations) {
          if (operation.op === "append" || operation.op === "accept") octets += operation.part.length;
        }
      }
    };
    if (firstPort !== undefined && first !== undefined) take(firstPort, first);
    for (const port of this.#ports) {
      while (octets < COMMIT_OCTETS) {
        const received = receiveMessageOnPort(port);
        if (received === undefined) break;
        take(port, received.message as ClientMessage);
      }
    }
    this.#apply(work);
    if (watching !== undefined) this.#watch(watching);
    return took;
  }

  #answerHello(port: MessagePort): void {
    post(port, this.#failure === undefined ? { kind: "ready" } : { kind: "failed", error: this.#failure });
  }

  #apply(work: ReadonlyMap<MessagePort, readonly Operation[]>): void {
    if (work.size === 0 || this.#writer === undefined) return;
    const all = work.size === 1 ? [...work.values()][0]! : [...work.values()].flat();
    const results = this.#writer.apply(all);
    let from = 0;
    for (const [port, operations] of work) {
      const values: [number, unknown][] = [];
      const failures: [number, WireError][] = [];
      for (let place = 0; place < operations.length; place++) {
        const result = results[from + place];
        if (result instanceof Refusal) failures.push([place, toWireError(result.error)]);
        else if (result !== undefined) values.push([place, result]);
      }
      from += operations.length;
      post(port, { kind: "done", count: operations.length, values, failures });
    }
    this.#announce();
  }

  #watch(port: MessagePort): void {
    this.#listening = port;
    if (this.#writer === undefined) return;
    for (const messages of tryToWatch(this.#writer)) post(port, { kind: "waiting", messages });
  }

  #tick(): void {
    if (this.#writer === undefined) return;
    if (this.#listening !== undefined && !this.#writer.watched) this.#watch(this.#listening);
    tryToTick(this.#writer);
    this.#announce();
  }

  #announce(): void {
    const { messages, changed } = this.#writer!.takeNews();
    if (this.#listening === undefined) return;
    if (changed) post(this.#listening, { kind: "changed" });
    if (messages.length > 0) post(this.#listening, { kind: "waiting", messages });
  }
}

function post(port: MessagePort, message: WriterMessage): void {
  port.postMessage(message);
}

/** The owner's hand on a writer thread. */
export interface WriterControl {
  /** Resolves once the file is open. @throws {StoreError} what opening it threw */
  readonly ready: Promise<void>;
  /** Resolves when the thread has ended, with the error that ended it or undefined; without it nothing can be stored. */
  readonly ended: Promise<Error | undefined>;
  /** A port for `openSqliteStore({ writer })`, here or (transferred) in any other thread. */
  connect(): MessagePort;
  /** Lets the writer finish what was posted, waits until the file is closed, and ends the thread. */
  stop(): Promise<void>;
}

/** Takes charge of a worker whose body is {@linkcode runWriter}. */
export function controlWriter(worker: Worker): WriterControl {
  let stopped: (() => void) | undefined;
  const ended = new Promise<Error | undefined>((resolve) => {
    worker.on(
      "error",
      (error: unknown) => resolve(error instanceof Error ? error : new Error(String(error))),
    );
    worker.on("exit", () => resolve(undefined));
  });
  const ready = new Promise<void>((resolve, reject) => {
    worker.on("message", (answer: ControlAnswer) => {
      if (answer.kind === "ready") resolve();
      else if (answer.kind === "failed") reject(fromWireError(answer.error));
      else stopped?.();
    });
    worker.on("error", (error: unknown) => reject(error));
    worker.on("exit", () => {
      reject(new Error("the store's writer thread ended before the store was open"));
      stopped?.();
    });
  });
  // Whoever waits for it gets the failure; nobody waiting must not end the process.
  ready.catch(() => {});
  return {
    ready,
    ended,
    connect() {
      const { port1, port2 } = new MessageChannel();
      const message: ControlMessage = { kind: "port", port: port2 };
      worker.postMessage(message, [port2]);
      return port1;
    },
    async stop() {
      const finished = new Promise<void>((resolve) => stopped = resolve);
      const message: ControlMessage = { kind: "stop" };
      worker.postMessage(message);
      await Promise.race([finished, ended]);
      await worker.terminate();
    },
  };
}
