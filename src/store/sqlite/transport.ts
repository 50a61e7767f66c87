/**
 * Ways to the writer: in the same thread, or through a message port to its own thread.
 *
 * Guarantees: operations of one link are applied in the order they were submitted; each promise settles only after
 * the commit that holds its operation. Operations submitted in one turn of the event loop travel together and are
 * committed together.
 *
 * On a port both ways carry one message a commit. Answers need no number: they come in the order of the questions.
 *
 * @module
 */
import { clearInterval, setImmediate, setInterval } from "node:timers";
import type { MessagePort } from "node:worker_threads";
import { type MaildropDelivery, type QueuedMessage, type QueueListener, StoreError } from "../types.ts";
import {
  type AcceptOperation,
  type Operation,
  type RecordOperation,
  Refusal,
  type ValueOf,
} from "./operations.ts";
import { SqliteWriter, type WriterOptions } from "./writer.ts";

/** How often the writer looks for what other processes queued or changed. */
export const TICK_MS = 1000;
/** Above this a part's buffer is handed over; below, copying it costs less. */
const TRANSFER_OCTETS = 16 * 1024;

export interface WriterLink {
  submit<O extends Operation>(operation: O): Promise<ValueOf<O>>;
  /** Tells `listener` of what is queued, and of what is queued or changed from now on. */
  watch(listener: QueueListener): void;
  /** Waits for what was submitted, then lets go. */
  close(): Promise<void>;
}

/** To the writer thread. */
export type ClientMessage =
  /** Asks whether the store is open; the answer is `ready` or `failed`. */
  | { readonly kind: "hello" }
  | { readonly kind: "batch"; readonly operations: readonly Operation[] }
  | { readonly kind: "watch" };

/** An error that survives a trip to another thread. */
export interface WireError {
  /** Undefined for what is not a {@linkcode StoreError}. */
  readonly kind?: StoreError["kind"];
  readonly message: string;
}

/** From the writer thread. */
export type WriterMessage =
  | { readonly kind: "ready" }
  | { readonly kind: "failed"; readonly error: WireError }
  | {
    readonly kind: "done";
    /** How many operations this answers, oldest first. */
    readonly count: number;
    /** Values of those that gave one, by place. */
    readonly values: readonly (readonly [place: number, value: unknown])[];
    readonly failures: readonly (readonly [place: number, error: WireError])[];
  }
  | { readonly kind: "waiting"; readonly messages: readonly QueuedMessage[] }
  | { readonly kind: "changed" };

/** Takes an error apart for the trip. */
export function toWireError(error: unknown): WireError {
  if (error instanceof StoreError) return { kind: error.kind, message: error.message };
  return { message: error instanceof Error ? error.stack ?? error.message : String(error) };
}

/** Puts an error together after the trip. */
export function fromWireError(error: WireError): Error {
  return error.kind === undefined ? new Error(error.message) : new StoreError(error.kind, error.message);
}

interface Pending {
  readonly operation: Operation;
  readonly resolve: (value: never) => void;
  readonly reject: (error: unknown) => void;
}

const closedError = () => new StoreError("conflict", "the store is closed");

/** Collects the operations of one turn of the event loop and sends them off together. */
class Turn {
  readonly #send: (pending: Pending[]) => void;
  #pending: Pending[] = [];
  #closed = false;

  constructor(send: (pending: Pending[]) => void) {
    this.#send = send;
  }

  submit<O extends Operation>(operation: O): Promise<ValueOf<O>> {
    if (this.#closed) return Promise.reject(closedError());
    return new Promise((resolve, reject) => {
      if (this.#pending.length === 0) setImmediate(() => this.flush());
      this.#pending.push({ operation, resolve, reject });
    });
  }

  flush(): void {
    if (this.#pending.length === 0) return;
    const pending = this.#pending;
    this.#pending = [];
    this.#send(pending);
  }

  /** Sends off what waits and takes no more. */
  close(): void {
    this.#closed = true;
    this.flush();
  }
}

/** A writer in this thread: what is submitted in one turn of the event loop is one transaction. */
export class LocalLink implements WriterLink {
  readonly #writer: SqliteWriter;
  readonly #turn: Turn;
  readonly #timer: ReturnType<typeof setInterval>;
  #listener: QueueListener | undefined;
  #closed = false;

  /** @throws {StoreError} what opening the file throws */
  constructor(path: string, options: WriterOptions & { readonly tickMs?: number } = {}) {
    this.#writer = new SqliteWriter(path, options);
    this.#turn = new Turn((pending) => this.#apply(pending));
    this.#timer = setInterval(() => this.#tick(), options.tickMs ?? TICK_MS);
    // A store left open must not keep a command from ending.
    this.#timer.unref();
  }

  submit<O extends Operation>(operation: O): Promise<ValueOf<O>> {
    return this.#turn.submit(operation);
  }

  watch(listener: QueueListener): void {
    this.#listener = listener;
    // Not at once: nobody expects to be called before subscribe() has returned.
    setImmediate(() => this.#startWatching());
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#turn.close();
    this.#closed = true;
    clearInterval(this.#timer);
    this.#writer.close();
    return Promise.resolve();
  }

  #apply(pending: readonly Pending[]): void {
    const values = this.#writer.apply(pending.map(({ operation }) => operation));
    for (let i = 0; i < pending.length; i++) {
      const value = values[i];
      if (value instanceof Refusal) pending[i]!.reject(value.error);
      else pending[i]!.resolve(value as never);
    }
    this.#announce();
  }

  #startWatching(): void {
    if (this.#closed || this.#listener === undefined || this.#writer.watched) return;
    this.#turn.flush();
    for (const messages of tryToWatch(this.#writer)) this.#listener.messages(messages);
  }

  #tick(): void {
    this.#startWatching();
    tryToTick(this.#writer);
    this.#announce();
  }

  #announce(): void {
    const { messages, changed } = this.#writer.takeNews();
    if (changed) this.#listener?.changed();
    if (messages.length > 0) this.#listener?.messages(messages);
  }
}

/** Starts watching and gives the backlog; where another process holds the file, the next tick tries again. */
export function tryToWatch(writer: SqliteWriter): readonly QueuedMessage[][] {
  const portions: QueuedMessage[][] = [];
  try {
    writer.watch((messages) => portions.push(messages));
    return portions;
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return [];
  }
}

/** Does the writer's regular work; a failure will show with the next operation, whose caller can act on it. */
export function tryToTick(writer: SqliteWriter): void {
  try {
    writer.tick();
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
  }
}

/** A writer in another thread. */
export class PortLink implements WriterLink {
  readonly #port: MessagePort;
  readonly #turn: Turn;
  /** Sent and not yet answered; answered ones are taken off in portions, since shift() moves the rest. */
  #sent: Pending[] = [];
  #answered = 0;
  #listener: QueueListener | undefined;
  #whenReady: { resolve: () => void; reject: (error: unknown) => void } | undefined;
  #whenIdle: (() => void) | undefined;
  #state: "open" | "closing" | "closed" = "open";

  constructor(port: MessagePort) {
    this.#port = port;
    this.#turn = new Turn((pending) => this.#post(pending));
    port.on("message", (message: WriterMessage) => this.#receive(message));
    port.on("close", () => this.#lost());
  }

  /** Resolves once the writer has the file open. @throws {StoreError} what opening the file threw */
  ready(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#whenReady = { resolve, reject };
      this.#send({ kind: "hello" });
    });
  }

  submit<O extends Operation>(operation: O): Promise<ValueOf<O>> {
    return this.#turn.submit(operation);
  }

  watch(listener: QueueListener): void {
    this.#listener = listener;
    this.#turn.flush();
    this.#send({ kind: "watch" });
  }

  async close(): Promise<void> {
    if (this.#state !== "open") return;
    this.#turn.close();
    this.#state = "closing";
    if (this.#sent.length > this.#answered) await new Promise<void>((resolve) => this.#whenIdle = resolve);
    this.#state = "closed";
    this.#port.close();
  }

  #send(message: ClientMessage, transfer: ArrayBuffer[] = []): void {
    this.#port.postMessage(message, transfer);
  }

  #post(pending: readonly Pending[]): void {
    if (this.#state === "closed") {
      for (const { reject } of pending) reject(stoppedError());
      return;
    }
    const { operations, transfer } = packBatch(pending.map(({ operation }) => operation));
    for (const one of pending) this.#sent.push(one);
    this.#send({ kind: "batch", operations }, transfer);
  }

  #receive(message: WriterMessage): void {
    switch (message.kind) {
      case "ready":
        return this.#whenReady?.resolve();
      case "failed":
        return this.#whenReady?.reject(fromWireError(message.error));
      case "waiting":
        return this.#listener?.messages(message.messages);
      case "changed":
        return this.#listener?.changed();
      case "done":
        return this.#settle(message);
    }
  }

  #settle({ count, values, failures }: Extract<WriterMessage, { kind: "done" }>): void {
    const answered = this.#sent.slice(this.#answered, this.#answered + count);
    this.#answered += count;
    if (this.#answered === this.#sent.length || this.#answered > 1024) {
      this.#sent = this.#sent.slice(this.#answered);
      this.#answered = 0;
    }
    // A promise settles once, so those left over at the end are the ones without a value.
    for (const [place, error] of failures) answered[place]!.reject(fromWireError(error));
    for (const [place, value] of values) answered[place]!.resolve(value as never);
    for (const { resolve } of answered) resolve(undefined as never);
    if (this.#sent.length === 0) this.#whenIdle?.();
  }

  #lost(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#whenReady?.reject(stoppedError());
    for (const { reject } of this.#sent.slice(this.#answered)) reject(stoppedError());
    this.#sent = [];
    this.#answered = 0;
    this.#whenIdle?.();
  }
}

const stoppedError = () =>
  new StoreError("busy", "the store's writer has stopped: the server is shutting down");

/**
 * Prepares a batch for the trip: large parts that own their buffer are handed over, all other octets are copied into
 * one new buffer, which is handed over too. Cloning a view as it is would clone all of the buffer behind it.
 */
export function packBatch(
  operations: readonly Operation[],
): { readonly operations: readonly Operation[]; readonly transfer: ArrayBuffer[] } {
  let octets = 0;
  const transfer: ArrayBuffer[] = [];
  for (const operation of operations) {
    octets += octetsToCopy(operation);
  }
  const arena = new Uint8Array(octets);
  if (octets > 0) transfer.push(arena.buffer);
  let used = 0;
  const copy = (view: Uint8Array): Uint8Array => {
    arena.set(view, used);
    used += view.length;
    return arena.subarray(used - view.length, used);
  };
  const handOver = (part: Uint8Array): Uint8Array => {
    if (!ownsBuffer(part)) return copy(part);
    transfer.push(part.buffer as ArrayBuffer);
    return new Uint8Array(part.buffer);
  };
  const packed = operations.map((operation): Operation => {
    switch (operation.op) {
      case "append":
      case "accept":
        return { ...operation, part: handOver(operation.part) };
      case "record":
        return packRecord(operation, { copy, handOver });
      default:
        return operation;
    }
  });
  return { operations: packed, transfer };
}

function packRecord(
  record: RecordOperation,
  pack: { copy(view: Uint8Array): Uint8Array; handOver(part: Uint8Array): Uint8Array },
): RecordOperation {
  return {
    ...record,
    outcomes: record.outcomes.map((outcome) =>
      outcome.deliverTo.length === 0 ? outcome : {
        ...outcome,
        deliverTo: outcome.deliverTo.map((drop) => packDelivery(drop, pack.copy)),
      }
    ),
    pieces: record.pieces.map((piece) => ({ ...piece, own: pack.handOver(piece.own) })),
    reports: record.reports.map((report): AcceptOperation => (
      { ...report, part: pack.handOver(report.part) }
    )),
  };
}

function packDelivery(drop: MaildropDelivery, copy: (view: Uint8Array) => Uint8Array): MaildropDelivery {
  if (!("pieces" in drop)) return { ...drop, trace: copy(drop.trace) };
  return { ...drop, pieces: drop.pieces.map((piece) => ({ ...piece, trace: copy(piece.trace) })) };
}

function octetsToCopy(operation: Operation): number {
  switch (operation.op) {
    case "append":
    case "accept":
      return copiedOctets(operation.part);
    case "record": {
      let octets = 0;
      for (const { deliverTo } of operation.outcomes) {
        for (const drop of deliverTo) {
          for (const { trace } of "pieces" in drop ? drop.pieces : [drop]) octets += trace.length;
        }
      }
      for (const { own } of operation.pieces) octets += copiedOctets(own);
      for (const report of operation.reports) octets += octetsToCopy(report);
      return octets;
    }
    default:
      return 0;
  }
}

function copiedOctets(part: Uint8Array): number {
  return ownsBuffer(part) ? 0 : part.length;
}

function ownsBuffer(view: Uint8Array): boolean {
  return view.length >= TRANSFER_OCTETS && view.length === view.buffer.byteLength &&
    view.buffer instanceof ArrayBuffer;
}
