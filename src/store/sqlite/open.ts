/**
 * Opening a store that is kept in SQLite.
 *
 * Guarantees: those of {@linkcode Store}. Reads go through a read-only connection of the calling thread, writes to the
 * one writer of the process; a second process (a command beside the server) opens the same file and waits its turn.
 *
 * @module
 */
import { ownershipOf } from "../../mail/envelope.ts";
import { join } from "node:path";
import type { MessagePort } from "node:worker_threads";
import { type Clock, systemClock } from "../../base/clock.ts";
import { type AcceptedMessage, type Queue, type Store, StoreError, type Trust } from "../types.ts";
import type { AcceptOperation, RecipientPlace } from "./operations.ts";
import { SqliteReader } from "./reader.ts";
import { LocalLink, PortLink, type WriterLink } from "./transport.ts";

export interface OpenSqliteOptions {
  /** The file; see {@linkcode storePath}. */
  readonly path: string;
  /** `read-only` opens no writer: whatever would change something is refused. @default {"read-write"} */
  readonly mode?: "read-write" | "read-only";
  /** A port to a thread that runs `runWriter` on the same file; without one this store has a writer of its own. */
  readonly writer?: MessagePort;
  /** Where the times of removals come from. @default {systemClock} */
  readonly clock?: Clock;
  /** For a writer of its own: `yes` in the process that serves, and only there. @default {"no"} */
  readonly recover?: "yes" | "no";
  /** How long to wait for another process before an operation fails as `busy`, in milliseconds. @default {5000} */
  readonly busyTimeoutMs?: number;
  /** For a writer of its own: how often to look for what other processes queued or changed. @default {1000} */
  readonly tickMs?: number;
}

/** The store's file in a data folder. */
export function storePath(dataFolder: string): string {
  return join(dataFolder, "emsmail.db");
}

/**
 * Opens the store, making it where there is none (but not with `read-only` or `writer`).
 *
 * @throws {StoreError} `newer-schema`, `damaged`, `busy`, `full`, or `missing` where there is nothing to read
 */
export async function openSqliteStore(options: OpenSqliteOptions): Promise<Store> {
  const link = await openLink(options);
  try {
    return assemble(link, new SqliteReader(options.path, options), options.clock ?? systemClock);
  } catch (error) {
    await link.close();
    throw error;
  }
}

async function openLink(options: OpenSqliteOptions): Promise<WriterLink> {
  if (options.mode === "read-only") return new NoLink();
  if (options.writer === undefined) return new LocalLink(options.path, options);
  const link = new PortLink(options.writer);
  try {
    await link.ready();
    return link;
  } catch (error) {
    await link.close();
    throw error;
  }
}

/** The link of a store that only reads. */
class NoLink implements WriterLink {
  submit(): Promise<never> {
    return Promise.reject(this.#error());
  }

  watch(): void {
    throw this.#error();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #error(): StoreError {
    return new StoreError("conflict", "the store was opened for reading only");
  }
}

// The methods are async so that what a read throws becomes a rejection.
function assemble(link: WriterLink, reader: SqliteReader, clock: Clock): Store {
  let subscribed = false;
  let closing: Promise<void> | undefined;
  return {
    spool: {
      append: (key, part) => link.submit({ op: "append", key, part }),
      accept: (message) => link.submit(acceptOperation(message)),
      discard: (key) => link.submit({ op: "discard", key }),
    },
    maildrops: {
      list: async (account) => await reader.list(account),
      open: async (account, key) => await reader.open(account, key),
      part: async (key, index) => await reader.part(key, index),
      remove: (account, keys) => link.submit({ op: "remove", account, keys, atMs: clock.nowMs() }),
      usage: async (account) => await reader.usage(account),
      expire: (beforeMs, limit) => link.submit({ op: "expire", beforeMs, limit, atMs: clock.nowMs() }),
    },
    directory: {
      account: async (name) => await reader.directory((directory) => directory.account(name)),
      find: async (names) => await reader.directory((directory) => directory.find(names)),
      accounts: async () => await reader.directory((directory) => directory.accounts()),
      addAccount: (account) => link.submit({ op: "addAccount", account }),
      changeAccount: (name, changes) => link.submit({ op: "changeAccount", name, changes }),
      removeAccount: (name) => link.submit({ op: "removeAccount", name, atMs: clock.nowMs() }),
      aliases: async () => await reader.directory((directory) => directory.aliases()),
      setAlias: (alias) => link.submit({ op: "setAlias", alias }),
    },
    entries: {
      all: async () => await reader.directory((directory) => directory.all()),
      search: async (query, { limit }) =>
        await reader.directory((directory) => directory.search(query, limit)),
      change: (changes) => link.submit({ op: "changeEntries", changes }),
      nicknames: async (account) => await reader.directory((directory) => directory.nicknames(account)),
    },
    deliveries: {
      subscribe(listener) {
        if (subscribed) throw new StoreError("conflict", "somebody listens to this store already");
        link.watch(listener);
        subscribed = true;
      },
      record: ({ outcomes, attempts = [], pieces = [], reports = [], destinations = [] }) =>
        link.submit({
          op: "record",
          outcomes,
          attempts,
          pieces,
          reports: reports.map(acceptOperation),
          destinations,
        }),
      waiting: async () => await reader.queue((queue) => queue.waiting()),
      due: async (destination, { dueMs, limit }) =>
        await reader.queue((queue) => queue.due(destination, dueMs, limit)),
      overdue: async ({ deadlineMs, limit }) =>
        await reader.queue((queue) => queue.overdue(deadlineMs, limit)),
      nextDeadlineMs: async () => await reader.queue((queue) => queue.nextDeadlineMs()),
      destinations: async () => await reader.queue((queue) => queue.destinations()),
    },
    reports: {
      put: (report) => link.submit({ op: "putReport", report }),
      list: async () => await reader.reports((reports) => reports.list()),
      versions: async (name) => await reader.reports((reports) => reports.versions(name)),
      remove: (name, version) => link.submit({ op: "removeReport", name, version }),
    },
    queue: queueOf(link, reader, clock),
    trust: trustOf(link, reader),
    history: {
      message: async (key) => await reader.message(key),
      byMessageId: async (messageId) => await reader.byMessageId(messageId),
      prune: (beforeMs, limit) => link.submit({ op: "prune", beforeMs, limit }),
      newestKey: async () => await reader.newestKey(),
    },
    close() {
      if (closing === undefined) {
        // First, since only a connection that may write can take -wal and -shm away, and only if it is the last.
        reader.close();
        closing = link.close();
      }
      return closing;
    },
  };
}

function queueOf(link: WriterLink, reader: SqliteReader, clock: Clock): Queue {
  return {
    list: async (filter, options) => await reader.queue((queue) => queue.list(filter, options)),
    count: async (filter) => await reader.queue((queue) => queue.count(filter)),
    attempts: async (key) => await reader.queue((queue) => queue.attempts(key)),
    async act(filter, action) {
      let count = 0;
      let after: RecipientPlace | undefined;
      // In portions, so that mail which comes meanwhile isn't kept waiting.
      do {
        const done = await link.submit({ op: "act", filter, action, after, atMs: clock.nowMs() });
        count += done.count;
        after = done.next;
      } while (after !== undefined);
      return count;
    },
    pruneAttempts: (beforeMs, limit) => link.submit({ op: "pruneAttempts", beforeMs, limit }),
  };
}

function trustOf(link: WriterLink, reader: SqliteReader): Trust {
  return {
    signingKeys: async () => await reader.trust((trust) => trust.signingKeys()),
    addSigningKey: (key) => link.submit({ op: "addSigningKey", key }),
    removeSigningKey: (domain, selector) => link.submit({ op: "removeSigningKey", domain, selector }),
    // Where another process was quicker, the writer gives its secret and not the one made here.
    secret: async (name, make) =>
      await reader.trust((trust) => trust.secret(name)) ??
        await link.submit({ op: "keepSecret", name, value: make() }),
    stsPolicy: async (domain) => await reader.trust((trust) => trust.stsPolicy(domain)),
    setStsPolicy: (policy) => link.submit({ op: "setStsPolicy", policy }),
    addTlsTallies: (tallies) => link.submit({ op: "addTlsTallies", tallies }),
    tlsTallies: async (beforeDay) => await reader.trust((trust) => trust.tlsTallies(beforeDay)),
    removeTlsTallies: (day, domain) => link.submit({ op: "removeTlsTallies", day, domain }),
  };
}

function acceptOperation(message: AcceptedMessage): AcceptOperation {
  const { key, lastPart, size, segments, receivedAtMs, envelope, origin, messageId } = message;
  const own = ownershipOf(origin);
  return {
    op: "accept",
    key,
    part: lastPart,
    size,
    receivedAtMs,
    reversePath: envelope.reversePath,
    recipients: envelope.recipients,
    smtpUtf8: envelope.smtpUtf8,
    messageId,
    ...(segments === undefined ? {} : { segments }),
    origin: JSON.stringify(origin),
    ...(own === undefined ? {} : { own }),
    ...(envelope.requests === undefined ? {} : { requests: envelope.requests }),
    ...(envelope.recipientRequests === undefined ? {} : { recipientRequests: envelope.recipientRequests }),
  };
}
