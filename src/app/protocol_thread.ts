/**
 * A protocol thread: listens, speaks SMTP and POP3, reads the store through its own connection and sends changes to the
 * writer. The same body serves inside the main thread where there are no threads.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import process from "node:process";
import type { SecureContext } from "node:tls";
import { parentPort } from "node:worker_threads";
import { systemClock } from "../base/clock.ts";
import { configureLogging, flushLog } from "../base/log.ts";
import { systemRandom } from "../base/random.ts";
import { SharedCounters } from "../base/shared.ts";
import type { Config } from "../config/config.ts";
import { messageKeyGenerator } from "../mail/message_id.ts";
import { DEFAULT_SCRYPT_COST } from "../sasl/password.ts";
import type { ServerContext } from "../server/context.ts";
import { Authenticator } from "../server/login/authenticator.ts";
import { type GuardBuffers, LoginGuard } from "../server/login/guard.ts";
import { MaildropLocks } from "../server/login/maildrop_lock.ts";
import { ProtocolServer } from "../server/protocol_server.ts";
import { openSqliteStore } from "../store/sqlite/open.ts";
import type { Store } from "../store/types.ts";
import { secureContext } from "../tls/certificate.ts";
import type { ProtocolThreadData, ThreadNews, ThreadOrder, TlsPems } from "./threads.ts";

const log = getLogger(["emsmail", "server"]);

/** What a protocol server is made from, in a thread of its own or not. */
export interface ProtocolParts {
  readonly slot: number;
  readonly config: Config;
  readonly tls: TlsPems;
  readonly store: Store;
  readonly counters: SharedArrayBuffer;
  readonly locks: SharedArrayBuffer;
  readonly guard: GuardBuffers;
  /** The same 32 random octets for every thread. */
  readonly secret: Uint8Array;
  readonly newestKey: number;
  /** What rewritten senders' addresses are made with. */
  readonly srsSecret: Uint8Array;
}

/** A protocol server and the way to give it another configuration. */
export interface RunningProtocols {
  readonly server: ProtocolServer;
  reload(config: Config, tls: TlsPems): void;
}

/** Joins the parts; it listens once told where. */
export function createProtocols(parts: ProtocolParts): RunningProtocols {
  let config = parts.config;
  let tls: SecureContext = secureContext(parts.tls);
  const guard = new LoginGuard(parts.guard, { clock: systemClock });
  const authenticatorFor = (config: Config) =>
    new Authenticator({
      directory: parts.store.directory,
      clock: systemClock,
      random: systemRandom,
      guard,
      secret: parts.secret,
      domains: config.domains,
      scryptCost: { ...DEFAULT_SCRYPT_COST, ln: config.auth.scryptCost },
      scramIterations: config.auth.scramIterations,
      onError: (error) => log.error("fault while logging in", { error: String(error) }),
    });
  const locksFor = (config: Config) =>
    new MaildropLocks(parts.locks, {
      clock: systemClock,
      thread: parts.slot,
      takeoverMs: config.pop3.takeover,
    });
  let authenticator = authenticatorFor(config);
  let locks = locksFor(config);
  const context: ServerContext = {
    config: () => config,
    tls: () => tls,
    store: parts.store,
    authenticator: () => authenticator,
    locks: () => locks,
    counters: new SharedCounters(parts.counters, { thread: parts.slot }),
    clock: systemClock,
    nextKey: messageKeyGenerator(systemClock, parts.slot, parts.newestKey),
    srsSecret: () => parts.srsSecret,
  };
  return {
    server: new ProtocolServer(context),
    reload(newConfig, newTls) {
      config = newConfig;
      tls = secureContext(newTls);
      authenticator = authenticatorFor(newConfig);
      locks = locksFor(newConfig);
    },
  };
}

/** The body of a protocol thread. */
export function runProtocolThread(data: ProtocolThreadData): void {
  const main = parentPort!;
  configureLogging(data.config.log);
  // A fault in one connection must not end the others.
  process.on("uncaughtException", (error) => {
    log.error("fault outside any connection", {
      error: String(error),
      stack: error.stack,
    });
  });
  let begun: Begun | undefined;
  main.on("message", async (order: ThreadOrder) => {
    if (order.kind === "begin") begun = await begin(data, order);
    else if (order.kind === "reload") {
      configureLogging(order.config.log);
      begun?.protocols.reload(order.config, order.tls);
    } else {
      await begun?.protocols.server.stop(order.graceMs);
      await begun?.store.close();
      flushLog();
      tell({ kind: "stopped" });
      main.close();
    }
  });
}

interface Begun {
  readonly protocols: RunningProtocols;
  readonly store: Store;
}

/** Opens the store and listens; where that fails the main thread is told why. */
async function begin(
  data: ProtocolThreadData,
  { tls, addresses, newestKey, srsSecret }: Extract<ThreadOrder, { kind: "begin" }>,
): Promise<Begun | undefined> {
  try {
    const store = await openSqliteStore({ path: data.database, writer: data.writer, clock: systemClock });
    const protocols = createProtocols({ ...data, tls, newestKey, srsSecret, store });
    await protocols.server.listen(addresses);
    tell({ kind: "ready" });
    return { protocols, store };
  } catch (error) {
    tell({ kind: "failed", message: error instanceof Error ? error.message : String(error) });
    return undefined;
  }
}

function tell(news: ThreadNews): void {
  parentPort!.postMessage(news);
}
