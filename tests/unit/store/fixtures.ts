/** Stores to test with, and messages to put in. */
import { Worker } from "node:worker_threads";
import type { Clock } from "../../../src/base/clock.ts";
import { openMemoryStore } from "../../../src/store/memory.ts";
import { openSqliteStore, storePath } from "../../../src/store/sqlite/open.ts";
import { controlWriter, type WriterControl } from "../../../src/store/sqlite/writer_thread.ts";
import type { MessageRequests, Origin, RecipientRequests } from "../../../src/mail/envelope.ts";
import type {
  AcceptedMessage,
  AccountId,
  Attempt,
  NewAccount,
  Outcome,
  Piece,
  QueuedMessage,
  QueueListener,
  Segment,
  Store,
  Wait,
} from "../../../src/store/types.ts";

export interface Opened {
  readonly store: Store;
  /** Closes the store and takes away what it left. */
  close(): Promise<void>;
}

export interface Implementation {
  readonly name: string;
  open(options: { readonly clock?: Clock }): Promise<Opened>;
}

/** A folder that is gone after `use`. */
export async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "emsmail-store-" });
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Starts a writer thread on a file. */
export function startWriter(path: string, options: { tickMs?: number } = {}): WriterControl {
  const workerData = { path, recover: "yes", tickMs: options.tickMs };
  return controlWriter(new Worker(new URL("./writer_worker.ts", import.meta.url), { workerData }));
}

export const implementations: readonly Implementation[] = [
  {
    name: "memory",
    open({ clock }) {
      const store = openMemoryStore({ clock });
      return Promise.resolve({ store, close: () => store.close() });
    },
  },
  {
    name: "SQLite in one thread",
    async open({ clock }) {
      const folder = await Deno.makeTempDir({ prefix: "emsmail-store-" });
      const store = await openSqliteStore({ path: storePath(folder), clock, recover: "yes" });
      return {
        store,
        async close() {
          await store.close();
          await Deno.remove(folder, { recursive: true });
        },
      };
    },
  },
  {
    name: "SQLite with a writer thread",
    async open({ clock }) {
      const folder = await Deno.makeTempDir({ prefix: "emsmail-store-" });
      const path = storePath(folder);
      const writer = startWriter(path);
      const store = await openSqliteStore({ path, clock, writer: writer.connect() });
      return {
        store,
        async close() {
          await store.close();
          await writer.stop();
          await Deno.remove(folder, { recursive: true });
        },
      };
    },
  },
];

const encoder = new TextEncoder();

export interface MessageOptions {
  readonly body?: string | Uint8Array;
  /** Octets of parts appended before. */
  readonly earlierOctets?: number;
  readonly recipients?: readonly string[];
  readonly receivedAtMs?: number;
  readonly messageId?: string;
  readonly smtpUtf8?: boolean;
  readonly reversePath?: string;
  readonly origin?: Origin;
  readonly requests?: MessageRequests;
  readonly segments?: readonly Segment[];
  readonly recipientRequests?: readonly (RecipientRequests | undefined)[];
}

export const ORIGIN = { client: "192.0.2.7", helo: "client.example", transmission: "ESMTPS" } as const;

export function message(key: number, options: MessageOptions = {}): AcceptedMessage {
  const { body = `Subject: ${key}\r\n\r\nhello\r\n`, recipients = ["alice@example.org"] } = options;
  const lastPart = typeof body === "string" ? encoder.encode(body) : body;
  return {
    key,
    lastPart,
    size: options.segments === undefined
      ? lastPart.length + (options.earlierOctets ?? 0)
      : octetsOf(options.segments),
    ...(options.segments === undefined ? {} : { segments: options.segments }),
    receivedAtMs: options.receivedAtMs ?? 1_000_000 + key,
    envelope: {
      reversePath: options.reversePath ?? "bob@example.net",
      recipients,
      smtpUtf8: options.smtpUtf8 ?? false,
      ...(options.requests === undefined ? {} : { requests: options.requests }),
      ...(options.recipientRequests === undefined ? {} : { recipientRequests: options.recipientRequests }),
    },
    origin: options.origin ?? ORIGIN,
    messageId: options.messageId ?? `${key}@example.net`,
  };
}

function octetsOf(segments: readonly Segment[]): number {
  return segments.reduce((sum, { length }) => sum + length, 0);
}

export interface PieceOptions {
  readonly place?: string;
  readonly own?: string | Uint8Array;
  /** @default all of its own octets */
  readonly segments?: readonly Segment[];
}

/** A piece of a message. */
export function pieceOf(of: number, key: number, options: PieceOptions = {}): Piece {
  const { place = "1/1", own = `X-EMS-Part: ${place}\r\n\r\n` } = options;
  const octets = typeof own === "string" ? encoder.encode(own) : own;
  const segments = options.segments ?? [{ offset: 0, length: octets.length }];
  return { key, of, place, own: octets, segments, size: octetsOf(segments), messageId: `${key}@piece` };
}

export function account(name: string): NewAccount {
  return { name, pop3: "Y", sendAsAny: false, passwordHash: "", scramVerifier: "", createdAtMs: 1_000_000 };
}

export interface DeliveryOptions {
  readonly index?: number;
  readonly atMs?: number;
  readonly size?: number;
}

/** The outcome that puts a message into maildrops. */
export function delivered(
  key: number,
  accounts: readonly AccountId[],
  options: DeliveryOptions = {},
): Outcome {
  const { index = 0, atMs = 2_000_000, size = 100 } = options;
  const deliverTo = accounts.map((account) => (
    { account, trace: encoder.encode(`Return-Path: <${key}>\r\n`), size }
  ));
  return { key, index, state: "delivered", atMs, detail: "delivered here", deliverTo };
}

/** The outcome that puts pieces of a message into maildrops. */
export function deliveredApart(
  key: number,
  accounts: readonly AccountId[],
  options: DeliveryOptions & { readonly pieces: readonly number[] },
): Outcome {
  const { size = 100 } = options;
  const pieces = options.pieces.map((piece) => (
    { key: piece, trace: encoder.encode(`Return-Path: <${piece}>\r\n`), size }
  ));
  return { ...delivered(key, [], options), deliverTo: accounts.map((account) => ({ account, pieces })) };
}

/** A wait behind example.org, due and to be looked at later. */
export function waitFor(changes: Partial<Wait> = {}): Wait {
  return { destination: "example.org", dueMs: 3_000_000, deadlineMs: 9_000_000, attempts: 1, ...changes };
}

/** An outcome without maildrops; what is deferred waits for {@linkcode waitFor}. */
export function outcome(key: number, state: Outcome["state"], changes: Partial<Outcome> = {}): Outcome {
  return {
    key,
    index: 0,
    state,
    atMs: 2_000_000,
    detail: `${state} by a test`,
    deliverTo: [],
    ...(state === "deferred" ? { wait: waitFor() } : {}),
    ...changes,
  };
}

/** One try. */
export function attempt(key: number, changes: Partial<Attempt> = {}): Attempt {
  return {
    key,
    indexes: [0],
    atMs: 2_000_000,
    durationMs: 120,
    destination: "example.org",
    host: "mx.example.org",
    address: "192.0.2.1:25",
    tls: "TLSv1.3 TLS_AES_256_GCM_SHA384",
    result: "250 2.0.0 Ok",
    dialogue: "<- 220 mx.example.org\n-> EHLO mail.example.net",
    ...changes,
  };
}

/** A listener that hears of messages only. */
export function listening(messages: (messages: readonly QueuedMessage[]) => void): QueueListener {
  return { messages, changed() {} };
}

/** All octets of a body, part by part. */
export async function bodyOf(store: Store, key: number): Promise<string | undefined> {
  let text: string | undefined;
  for (let index = 0;; index++) {
    const part = await store.maildrops.part(key, index);
    if (part === undefined) return text;
    text = (text ?? "") + new TextDecoder().decode(part);
  }
}

/** Waits until `done` holds; fails after five seconds. */
export async function until(done: () => boolean): Promise<void> {
  for (let tries = 0; !done(); tries++) {
    if (tries === 1000) throw new Error("waited five seconds in vain");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
