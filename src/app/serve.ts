/**
 * The main thread of `emsmail serve`: brings the threads up in order, delivers, reloads on SIGHUP, stops on SIGTERM.
 *
 * Order up: configuration, data folder and its lock; then the certificate, the ports and the writer (schema, crash
 * recovery) side by side, while the protocol threads load; these begin when all three are there; delivery
 * last. Order down is the reverse, so that what a protocol thread has promised is written before the writer goes.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { mkdir, readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import process from "node:process";
import type { Worker } from "node:worker_threads";
import { systemClock } from "../base/clock.ts";
import { configureLogging, flushLog } from "../base/log.ts";
import { systemRandom } from "../base/random.ts";
import { SharedCounters } from "../base/shared.ts";
import { engine, VERSION } from "../base/version.ts";
import type { Config } from "../config/config.ts";
import { startMaintenance } from "../queue/maintenance.ts";
import { formatListenAddress } from "../net/listener.ts";
import { LoginGuard } from "../server/login/guard.ts";
import { MaildropLocks } from "../server/login/maildrop_lock.ts";
import type { ServiceAddress } from "../server/protocol_server.ts";
import { openSqliteStore, storePath } from "../store/sqlite/open.ts";
import { controlWriter } from "../store/sqlite/writer_thread.ts";
import { lockForServing } from "../store/sqlite/serving_lock.ts";
import type { Store } from "../store/types.ts";
import { describeTls, formatTls, loadTls, type TlsMaterial } from "../tls/certificate.ts";
import { claimAddresses } from "./addresses.ts";
import { srsSecret, startDelivery } from "./delivery.ts";
import { createProtocols } from "./protocol_thread.ts";
import { startThread, type ThreadOrder, type TlsPems, untilThread } from "./threads.ts";

const log = getLogger(["emsmail", "serve"]);

/** How long connections may take to finish what they are doing when the server stops, in milliseconds. */
const GRACE_MS = 5_000;

export interface ServeOptions {
  /** Reads the configuration: at the start, and again at each SIGHUP. */
  load(): Promise<Config>;
  /** Prints a line for the person who started the server. */
  print(line: string): void;
}

/** What runs, and how it is told of changes. */
interface Running {
  reload(config: Config, read: { readonly tls: TlsPems; readonly ca: string | undefined }): void;
  stop(): Promise<void>;
  /** Whether anybody could log in when it started. */
  readonly accounts: "some" | "none";
  /** Rejects when a thread dies. */
  readonly failed: Promise<never>;
}

/** Serves until SIGTERM or SIGINT; gives the exit code. */
export async function serve(options: ServeOptions): Promise<number> {
  let config = await options.load();
  configureLogging(config.log);
  await makeDataFolder(config.data);
  const lock = lockForServing(config.data);
  try {
    // Threads take as long to come up as the certificate and the ports to be had, so both happen at once.
    const prepared = prepare(config, options.print);
    const stopRequested = nextSignal(["SIGTERM", "SIGINT"]);
    const [running, { material, addresses }] = await Promise.all([start(config, prepared), prepared]);
    const reload = async () => {
      try {
        const newConfig = await options.load();
        const newTls = pems(newConfig, await loadCertificate(newConfig, options.print));
        running.reload(newConfig, { tls: newTls, ca: await loadAuthorities(newConfig) });
        configureLogging(newConfig.log);
        tellWhatWaits(config, newConfig);
        config = { ...newConfig, listen: config.listen, threads: config.threads, data: config.data };
        log.info("configuration reloaded");
      } catch (error) {
        log.error("reload failed; the old configuration stays in force", { error: String(error) });
      }
    };
    process.on("SIGHUP", () => void reload());
    announce(config, { addresses, material, print: options.print, accounts: running.accounts });
    await Promise.race([stopRequested, running.failed]);
    log.info("stopping");
    await running.stop();
    return 0;
  } finally {
    lock.release();
    flushLog();
  }
}

/** What is needed before the first connection and takes its time. */
interface Prepared {
  readonly material: TlsMaterial;
  readonly tls: TlsPems;
  /** More certificate authorities to trust, in PEM. */
  readonly ca: string | undefined;
  readonly addresses: readonly ServiceAddress[];
}

async function prepare(config: Config, print: (line: string) => void): Promise<Prepared> {
  const [material, addresses, ca] = await Promise.all([
    loadCertificate(config, print),
    claimAddresses(config.listen),
    loadAuthorities(config),
  ]);
  return { material, tls: pems(config, material), ca, addresses };
}

/** `tls.caFile`'s text. */
async function loadAuthorities({ tls: { caFile } }: Config): Promise<string | undefined> {
  if (caFile === undefined) return undefined;
  let text: string;
  try {
    text = await readFile(caFile, "utf8");
  } catch (error) {
    const { code } = error as { code?: string };
    throw new Error(`tls.caFile: ${caFile} can't be read (${code ?? error}); name a file this user may read`);
  }
  if (!text.includes("-----BEGIN CERTIFICATE-----")) {
    throw new Error(`tls.caFile: ${caFile} holds no certificate in PEM; name one that does`);
  }
  return text;
}

async function makeDataFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    const { code } = error as { code?: string };
    const reason = code === "EACCES" ? "this user may not write there" : String(error);
    throw Object.assign(
      new Error(`can't make the data folder ${path}: ${reason}; name another with --data`),
      { code },
    );
  }
}

/** A reload changes what the running threads can take; these need a restart. */
function tellWhatWaits(before: Config, after: Config): void {
  for (const name of ["listen", "threads", "data"] as const) {
    if (JSON.stringify(before[name]) === JSON.stringify(after[name])) continue;
    log.warn("this setting's new value waits for a restart", { setting: name });
  }
}

function announce(
  config: Config,
  shown: {
    readonly accounts: "some" | "none";
    readonly addresses: readonly ServiceAddress[];
    readonly material: TlsMaterial;
    readonly print: (line: string) => void;
  },
): void {
  for (const { service, address } of shown.addresses) {
    shown.print(`${service.padEnd(12)} ${formatListenAddress(address)}`);
  }
  shown.print(`${"certificate".padEnd(12)} ${formatTls(describeTls(shown.material))}`);
  if (shown.accounts === "none") {
    shown.print(`no accounts yet: add one with 'emsmail user add NAME --data ${config.data}'`);
  }
  shown.print(
    `ready: EMSmail ${VERSION} (${engine()}) as ${config.hostname} for ${config.domains.join(", ")}, ` +
      `relay mode ${config.relay.mode}, data in ${config.data}`,
  );
}

async function loadCertificate(config: Config, print: (line: string) => void): Promise<TlsMaterial> {
  const { certFile, keyFile } = config.tls;
  const { data: dataDir, hostname, domains } = config;
  const material = await loadTls({ certFile, keyFile, dataDir, hostname, domains });
  for (const warning of material.warnings) print(`warning: ${warning}`);
  return material;
}

function pems(config: Config, { cert, key }: TlsMaterial): TlsPems {
  return { cert, key, minVersion: config.tls.minVersion === "1.3" ? "TLSv1.3" : "TLSv1.2" };
}

/** How many protocol threads; 0 is none beside the main thread. */
function threadCount(config: Config): number {
  if (config.threads !== "auto") return config.threads;
  // Under Deno a message between threads costs more than a second thread gives. Elsewhere each takes 15 MB, so more than
  // two are for those who ask for them.
  return "Deno" in globalThis ? 0 : Math.min(2, availableParallelism());
}

function start(config: Config, prepared: Promise<Prepared>): Promise<Running> {
  return threadCount(config) === 0 ? startAlone(config, prepared) : startThreads(config, prepared);
}

/** What all protocol threads share. */
function sharedTables() {
  return {
    counters: SharedCounters.create(systemRandom),
    locks: MaildropLocks.create(),
    guard: LoginGuard.create({ clock: systemClock, random: systemRandom }),
    secret: systemRandom.bytes(32),
  };
}

/** Everything in one thread. */
async function startAlone(config: Config, prepared: Promise<Prepared>): Promise<Running> {
  const store = await openSqliteStore({
    path: storePath(config.data),
    recover: "yes",
    clock: systemClock,
  });
  const newestKey = await store.history.newestKey();
  const { tls, addresses, ca } = await prepared;
  const secret = await srsSecret(store);
  const protocols = createProtocols({
    slot: 1,
    config,
    tls,
    store,
    newestKey,
    srsSecret: secret,
    ...sharedTables(),
  });
  await protocols.server.listen(addresses);
  const background = await startBackground(store, { config, ca, newestKey, srsSecret: secret });
  return {
    accounts: await anyAccounts(store, newestKey),
    failed: new Promise<never>(() => {}),
    reload(newConfig, read) {
      protocols.reload(newConfig, read.tls);
      background.reload(newConfig, read.ca);
    },
    async stop() {
      await protocols.server.stop(GRACE_MS);
      await background.stop();
      await store.close();
    },
  };
}

/** A writer thread, protocol threads, and this thread for the rest. */
async function startThreads(config: Config, prepared: Promise<Prepared>): Promise<Running> {
  const database = storePath(config.data);
  const worker = startThread({ role: "writer", config, database }, []);
  const writer = controlWriter(worker);
  const shared = sharedTables();
  const threads = Array.from({ length: threadCount(config) }, (_, index) => {
    const port = writer.connect();
    return startThread({ role: "protocol", slot: index + 1, config, database, writer: port, ...shared }, [
      port,
    ]);
  });
  const ready = threads.map((thread) => untilThread(thread, "ready"));
  const [{ tls, addresses, ca }] = await Promise.all([prepared, writer.ready]);
  const store = await openSqliteStore({ path: database, writer: writer.connect(), clock: systemClock });
  const newestKey = await store.history.newestKey();
  const secret = await srsSecret(store);
  for (const thread of threads) {
    order(thread, { kind: "begin", tls, addresses, newestKey, srsSecret: secret });
  }
  await Promise.all(ready);
  const background = await startBackground(store, {
    config,
    ca,
    newestKey,
    srsSecret: secret,
  });
  return {
    accounts: await anyAccounts(store, newestKey),
    failed: untilAnyFails([worker, ...threads]),
    reload(newConfig, read) {
      for (const thread of threads) order(thread, { kind: "reload", config: newConfig, tls: read.tls });
      background.reload(newConfig, read.ca);
    },
    async stop() {
      const stopped = threads.map((thread) => untilThread(thread, "stopped"));
      for (const thread of threads) order(thread, { kind: "stop", graceMs: GRACE_MS });
      await Promise.all(stopped);
      await background.stop();
      await store.close();
      await writer.stop();
    },
  };
}

function order(thread: Worker, message: ThreadOrder): void {
  thread.postMessage(message);
}

/** A store that has taken a message has accounts; only of one that hasn't is the list worth reading. */
async function anyAccounts(store: Store, newestKey: number): Promise<"some" | "none"> {
  return newestKey > 0 || (await store.directory.accounts()).length > 0 ? "some" : "none";
}

/** Rejects when a thread ends that nobody stopped: without it the service is not whole, and a restart mends that. */
function untilAnyFails(threads: readonly Worker[]): Promise<never> {
  return new Promise((_, reject) => {
    for (const thread of threads) {
      thread.on("error", (error) => reject(error));
      thread.on("exit", (code) => reject(new Error(`a thread ended with code ${code}`)));
    }
  });
}

interface Background {
  reload(config: Config, ca: string | undefined): void;
  stop(): Promise<void>;
}

/** What the main thread does beside the connections. */
async function startBackground(
  store: Store,
  first: {
    readonly config: Config;
    readonly ca: string | undefined;
    readonly newestKey: number;
    readonly srsSecret: Uint8Array;
  },
): Promise<Background> {
  let { config, ca } = first;
  const delivery = await startDelivery({ ...first, store, config: () => config, ca: () => ca });
  const maintenance = startMaintenance({
    maildrops: store.maildrops,
    history: store.history,
    queue: store.queue,
    clock: systemClock,
    policy: () => ({
      expireDays: config.pop3.expire,
      keepHistoryMs: config.history.keep,
      keepAttemptsMs: config.queue.retired,
    }),
  });
  return {
    reload(newConfig, newCa) {
      config = newConfig;
      ca = newCa;
    },
    async stop() {
      await maintenance.stop();
      await delivery.stop(GRACE_MS);
    },
  };
}

/** Resolves at the first of the signals. */
function nextSignal(signals: readonly NodeJS.Signals[]): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of signals) process.once(signal, () => resolve());
  });
}
