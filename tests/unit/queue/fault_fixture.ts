/**
 * A whole delivery over real sockets against faulty hosts, with time that runs faster.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { type Clock, systemClock, type Timer } from "../../../src/base/clock.ts";
import { seededRandom } from "../../../src/base/random.ts";
import type { HostTls } from "../../../src/routing/route.ts";
import { Connector, type ConnectorOptions, type TlsSession } from "../../../src/queue/connector.ts";
import type { Connect, Courier } from "../../../src/queue/courier_types.ts";
import { Delivery } from "../../../src/queue/delivery.ts";
import type { Verdict } from "../../../src/queue/ledger.ts";
import { relayPolicy } from "../../../src/queue/tls_policy.ts";
import { dial } from "../../../src/net/dial.ts";
import type { Dns } from "../../../src/net/dns.ts";
import { openMemoryStore } from "../../../src/store/memory.ts";
import type { Attempt, Store } from "../../../src/store/types.ts";
import { root } from "../net/pki.ts";
import { account, message } from "../store/fixtures.ts";
import { FakeDns } from "./fake_dns.ts";
import type { FaultyHost } from "./faulty_host.ts";
import { NOWHERE, type SmtpRoute } from "./queue_fixture.ts";

/** The system's time, `factor` times as fast. */
export class SwiftClock implements Clock {
  readonly #factor: number;
  readonly #beganMs = Date.now();

  constructor(factor: number) {
    this.#factor = factor;
  }

  nowMs(): number {
    return this.#beganMs + (Date.now() - this.#beganMs) * this.#factor;
  }

  after(delayMs: number, run: () => void): Timer {
    return systemClock.after(delayMs / this.#factor, run);
  }
}

/** Five minutes are five seconds, and the half minute that a connection may take is long enough on a busy machine. */
const FACTOR = 60;
/** The wait after a failure, by the swift clock: 33 ms. */
const RETRY_MS = 2_000;
export const RECIPIENT = "user@example.org";
export const BODY = "Subject: fault\r\n\r\n.one\r\n..two\r\nthree\r\n";
const SENDER = "sender@example.net";

export interface SceneOptions {
  readonly port: number;
  readonly dns?: Dns;
  readonly tls?: HostTls;
  readonly connectionsPerHost?: number;
  readonly recipients?: number;
  readonly hostname?: string;
  readonly factor?: number;
  readonly lookUp?: ConnectorOptions["lookUp"];
  readonly readPassword?: ConnectorOptions["readPassword"];
  readonly route?: Partial<SmtpRoute>;
}

/** What came of the first try of a message. */
export interface First {
  readonly kinds: readonly Verdict["kind"][];
  readonly verdicts: readonly Verdict[];
  /** What the connection was worth: no courier, or one. */
  readonly by: "connecting" | "sending";
}

export interface Scene {
  readonly store: Store;
  readonly clock: Clock;
  readonly delivery: Delivery;
  readonly sessions: TlsSession[];
  readonly firsts: Map<number, First>;
  /** Called when a message's first verdict is there. */
  onFirst: (key: number) => void;
  /** How often no courier was to be had because hosts were busy. */
  busy: number;
  send(options?: {
    readonly recipients?: readonly string[];
    readonly body?: string;
    readonly earlierParts?: readonly Uint8Array[];
  }): Promise<number>;
  /** The states of a message's recipients, once none waits any more. */
  ended(key: number): Promise<readonly string[]>;
  attempts(key: number): Promise<readonly Attempt[]>;
  /** Notifications that the sender got. */
  notices(): Promise<number>;
  stop(): Promise<void>;
}

/** example.org's mail is for mail.example.org, which is at `address`. */
export function plainDns(address = "127.0.0.1"): FakeDns {
  const dns = new FakeDns();
  dns.found("MX", "example.org", [{ preference: 10, exchange: "mail.example.org" }], { authentic: false });
  dns.found("A", "mail.example.org", [address], { authentic: false });
  return dns;
}

export function connectorFor(
  options: SceneOptions & { readonly clock: Clock; readonly sessions?: TlsSession[] },
  content: ConnectorOptions["content"],
): Connector {
  const { clock, tls = "opportunistic", sessions = [] } = options;
  return new Connector({
    dial,
    dns: options.dns ?? plainDns(),
    lookUp: options.lookUp ?? (() => Promise.reject(new Error("nothing is looked up so"))),
    port: options.port,
    clock,
    random: seededRandom(7),
    settings: () => ({
      hostname: options.hostname ?? "out.example.net",
      connectionsPerHost: options.connectionsPerHost ?? 2,
      recipients: options.recipients ?? 100,
      ca: root.cert,
    }),
    policies: {
      domainPolicy: (domain) => Promise.resolve({ domain, sts: { lines: [] } }),
      hostPolicy: (_domain, question) => Promise.resolve(relayPolicy(tls, question.tls)),
    },
    count: (session) => sessions.push(session),
    readPassword: options.readPassword ?? (() => Promise.reject(new Error("no password"))),
    content,
    retryAtMs: () => clock.nowMs() + RETRY_MS,
  });
}

/** Starts a delivery with a store in memory. */
export async function startScene(options: SceneOptions): Promise<Scene> {
  const clock = new SwiftClock(options.factor ?? FACTOR);
  const store = openMemoryStore({ clock });
  const sender = await store.directory.addAccount(account("sender"));
  const sessions: TlsSession[] = [];
  const connector = connectorFor({ ...options, clock, sessions }, (queued) =>
    Promise.resolve({
      size: queued.size,
      async *parts() {
        for (let index = 0;; index++) {
          const part = await store.maildrops.part(queued.key, index);
          if (part === undefined) return;
          yield part;
        }
      },
    }));
  let lastKey = 0;
  const firsts = new Map<number, First>();
  const note = (key: number, by: First["by"], verdicts: readonly Verdict[]) => {
    if (firsts.has(key)) return;
    firsts.set(key, { kinds: verdicts.map(({ kind }) => kind), verdicts, by });
    scene.onFirst(key);
  };
  const observed = (courier: Courier): Courier => ({
    async send(job) {
      const sent = await courier.send(job);
      if (sent.kind === "done") note(job.message.key, "sending", sent.verdicts);
      return sent;
    },
    quit: () => courier.quit(),
    destroy: () => courier.destroy(),
    get alive() {
      return courier.alive;
    },
  });
  const connect: Connect = async (destination, signal) => {
    const connected = await connector.connect(destination, signal);
    if (connected.kind === "courier") return { kind: "courier", courier: observed(connected.courier) };
    if (connected.kind === "busy") {
      scene.busy++;
      return connected;
    }
    return {
      ...connected,
      verdict(job) {
        const explained = connected.verdict(job);
        note(job.message.key, "connecting", explained.verdicts);
        return explained;
      },
    };
  };
  const delivery = new Delivery({
    deliveries: store.deliveries,
    clock,
    random: seededRandom(8),
    settings: () => ({
      hostname: "out.example.net",
      domain: "example.net",
      retryMs: [RETRY_MS],
      expireMs: 5 * 86_400_000,
      delayNoticeMs: 0,
      unreachableAfterMs: 5 * 86_400_000,
      connections: 20,
      connectionsPerHost: options.connectionsPerHost ?? 2,
    }),
    connect,
    nextKey: () => ++lastKey,
    attempts: (key) => store.queue.attempts(key),
    part: (key, index) => store.maildrops.part(key, index),
    resolve(recipient) {
      if (recipient === SENDER) {
        return Promise.resolve({
          ...NOWHERE,
          accounts: [{ id: sender.id, name: "sender", handling: "whole" as const }],
        });
      }
      const [local, domain] = recipient.split("@") as [string, string];
      const route: SmtpRoute = {
        channel: "smtp",
        recipient: { local, domain },
        accept: "users",
        hop: { kind: "mx", domain },
        rule: "direct",
        ...options.route,
      };
      return Promise.resolve({ ...NOWHERE, route });
    },
    forwardSender: (reversePath) => reversePath,
  });
  await delivery.start();
  const scene: Scene = {
    store,
    clock,
    delivery,
    sessions,
    firsts,
    onFirst: () => {},
    busy: 0,
    async send({ recipients = [RECIPIENT], body = BODY, earlierParts = [] } = {}) {
      const key = ++lastKey;
      for (const part of earlierParts) await store.spool.append(key, part);
      const earlierOctets = earlierParts.reduce((sum, part) => sum + part.length, 0);
      const receivedAtMs = clock.nowMs();
      await store.spool.accept(
        message(key, { recipients, body, reversePath: SENDER, receivedAtMs, earlierOctets }),
      );
      return key;
    },
    async ended(key) {
      for (let tries = 0; tries < 6_000; tries++) {
        const found = await store.history.message(key);
        const states = found?.recipients.map(({ state }) => state) ?? [];
        if (states.length > 0 && states.every((state) => !["queued", "deferred"].includes(state))) {
          return states;
        }
        await new Promise((resolve) => setTimeout(resolve, 3));
      }
      throw new Error("a message waits for ever");
    },
    attempts: (key) => store.queue.attempts(key),
    notices: async () => (await store.maildrops.usage(sender.id)).messages,
    async stop() {
      await delivery.stop(1_000);
      await store.close();
    },
  };
  return scene;
}

/** Runs tasks, some at a time. */
export async function inParallel<T>(
  items: readonly T[],
  atATime: number,
  run: (item: T) => Promise<void>,
): Promise<void> {
  const waiting = [...items];
  const work = async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await run(item);
  };
  await Promise.all(Array.from({ length: atATime }, work));
}

/** Waits until something holds; fails after ten seconds. */
export async function eventually(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; !await holds(); tries++) {
    if (tries > 3_000) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 3));
  }
}

/** Contents of the messages that a host got, with the headers that were put in front of none. */
export function texts(host: FaultyHost): string[] {
  return host.got.map(({ text }) => text);
}

/** `length` octets of lines, some of which begin with dots. */
export function filler(length: number): Uint8Array {
  const line = Buffer.from(
    ".a line of seventy-eight octets with a dot in front, and nothing else at all...\r\n",
  );
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at += line.length) line.copy(bytes, at);
  // Whatever was cut off, it ends in a line end.
  if (length >= 2) bytes.write("\r\n", length - 2);
  return bytes;
}
