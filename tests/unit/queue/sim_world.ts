/**
 * Delivery as a whole in a world of its own: a clock that is told to move, chance from a seed, the store in memory, a DNS
 * and hosts that do as they are told. Real: routing of the queue, its scheduler, the SMTP client, notifications.
 */
import { assert, assertEquals } from "@std/assert";
import { seededRandom } from "../../../src/base/random.ts";
import type { MessageRequests, Origin, RecipientRequests } from "../../../src/mail/envelope.ts";
import { messageKeyGenerator } from "../../../src/mail/message_id.ts";
import { DialError } from "../../../src/net/dial.ts";
import { Connector } from "../../../src/queue/connector.ts";
import { Delivery, type DeliverySettings } from "../../../src/queue/delivery.ts";
import type { Resolved } from "../../../src/queue/dispatcher.ts";
import { retryDelayMs } from "../../../src/queue/retry.ts";
import { relayPolicy } from "../../../src/queue/tls_policy.ts";
import type { BackupHop, RelayHost } from "../../../src/routing/route.ts";
import { openMemoryStore } from "../../../src/store/memory.ts";
import { type Deliveries, type MessageHistory, type Store, StoreError } from "../../../src/store/types.ts";
import { account } from "../store/fixtures.ts";
import { FakeDns } from "./fake_dns.ts";
import { NOWHERE } from "./queue_fixture.ts";
import { SimClock } from "./sim_clock.ts";
import { SimHost } from "./sim_host.ts";

export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** The defaults of `queue`. */
export const RETRY_MS = [5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR];

export interface MailOptions {
  readonly from?: string;
  readonly to: readonly string[];
  readonly requests?: MessageRequests;
  readonly recipientRequests?: readonly (RecipientRequests | undefined)[];
  readonly body?: string;
  /** @default "text" */
  readonly form?: "text" | "sheet";
}

/** A text and an attachment. */
export function withSheet(key: number): string {
  return `Message-ID: <${key}@home.test>\r\nSubject: number ${key}\r\nMIME-Version: 1.0\r\n` +
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\n" +
    "Content-Type: application/vnd.ms-excel; name=budget.xls\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n" +
    "--b--\r\n";
}

const ORIGIN: Origin = {
  client: "192.0.2.7",
  helo: "pc.home.test",
  transmission: "ESMTPSA",
  account: "alice",
};

export class World {
  readonly seed: number;
  readonly clock = new SimClock();
  readonly dns = new FakeDns();
  readonly store: Store;
  /** By address. */
  readonly hosts = new Map<string, SimHost>();
  settings: DeliverySettings = {
    hostname: "mail.home.test",
    domain: "home.test",
    retryMs: RETRY_MS,
    expireMs: 5 * DAY,
    delayNoticeMs: 4 * HOUR,
    unreachableAfterMs: 5 * DAY,
    connections: 20,
    connectionsPerHost: 4,
  };
  /** Whether a record fails: before it is kept, or after, so that only the answer is lost. */
  storeFails: () => "no" | "before" | "after" = () => "no";
  /** Where mail for elsewhere goes that finds no host. */
  backup: BackupHop | undefined;
  /** What aliases here stand for. */
  readonly forwards = new Map<string, readonly string[]>();
  /** Lists here. */
  readonly lists = new Map<string, { readonly owner: string; readonly members: readonly string[] }>();
  /** Domains whose mail is broken apart. */
  readonly apart = new Set<string>();
  readonly nextKey: () => number;
  /** Every message that was put in, by key. */
  readonly sent = new Map<number, MailOptions>();
  readonly random;
  #delivery: Delivery;
  #hosts = 0;

  constructor(seed: number) {
    this.seed = seed;
    this.random = seededRandom(seed);
    this.store = openMemoryStore({ clock: this.clock });
    this.nextKey = messageKeyGenerator(this.clock, 0);
    this.#delivery = this.#makeDelivery();
  }

  async start(): Promise<void> {
    await this.store.directory.addAccount(account("alice"));
    await this.#delivery.start();
  }

  async stop(): Promise<void> {
    const stopping = this.#delivery.stop(SECOND);
    let isStopped = false;
    void stopping.then(() => isStopped = true);
    await this.clock.run(HOUR, () => isStopped);
    assert(isStopped, "stop() came to an end");
  }

  /** A host for a domain's mail. */
  host(domain: string): SimHost {
    const address = `192.0.2.${++this.#hosts}`;
    const name = `mx.${domain}`;
    this.dns.found("MX", domain, [{ preference: 10, exchange: name }]);
    this.dns.found("A", name, [address]);
    return this.hostAt(address);
  }

  hostAt(address: string): SimHost {
    const host = new SimHost(() => this.clock.nowMs());
    this.hosts.set(address, host);
    return host;
  }

  /** Puts a message into the queue. */
  async send(options: MailOptions): Promise<number> {
    const key = this.nextKey();
    const { from = "alice@home.test", to, requests, recipientRequests, body, form } = options;
    const lastPart = new TextEncoder().encode(
      body ??
        (form === "sheet"
          ? withSheet(key)
          : `Message-ID: <${key}@home.test>\r\nSubject: number ${key}\r\n\r\nhello\r\n`),
    );
    this.sent.set(key, options);
    await this.store.spool.accept({
      key,
      lastPart,
      size: lastPart.length,
      receivedAtMs: this.clock.nowMs(),
      envelope: {
        reversePath: from,
        recipients: to,
        smtpUtf8: false,
        ...requests === undefined ? {} : { requests },
        ...recipientRequests === undefined ? {} : { recipientRequests },
      },
      origin: ORIGIN,
      messageId: `${key}@home.test`,
    });
    return key;
  }

  run(ms: number, until?: () => boolean): Promise<void> {
    return this.clock.run(ms, until);
  }

  async history(key: number): Promise<MessageHistory> {
    return (await this.store.history.message(key))!;
  }

  async states(key: number): Promise<string[]> {
    return (await this.history(key)).recipients.map(({ state }) => state);
  }

  /** The notifications in the maildrop of alice, oldest first. */
  async notices(): Promise<{ readonly action: string; readonly text: string; readonly atMs: number }[]> {
    const { keys } = await this.store.maildrops.list(1);
    const notices = [];
    for (const key of Array.from(keys)) {
      const history = await this.history(key);
      if (history.origin.made !== "notification") continue;
      const text = new TextDecoder().decode((await this.store.maildrops.part(key, 0))!);
      const action = /^Action: (.*)\r$/m.exec(text)![1]!;
      notices.push({ action, text, atMs: history.receivedAtMs });
    }
    return notices;
  }

  /** That nothing is lost, nothing is told falsely, and nothing comes twice without a reason. */
  async check(): Promise<void> {
    const told = `seed ${this.seed}`;
    const accepted = [...this.hosts.values()].flatMap((host) => host.accepted);
    for (const key of this.sent.keys()) {
      const { recipients, pieces } = await this.history(key);
      const expected = recipients.map((recipient) => ({
        ...recipient,
        place: undefined as string | undefined,
      }));
      for (const piece of pieces) {
        const { pieceOf, recipients } = await this.history(piece);
        expected.push(...recipients.map((recipient) => ({ ...recipient, place: pieceOf!.place })));
      }
      for (const { recipient, state, place } of expected) {
        const copies = accepted.filter(({ content, recipients }) =>
          content.includes(`<${key}@home.test>`) && recipients.includes(recipient) &&
          /X-EMS-Part: (.*)\r\n/.exec(content)?.[1] === place
        );
        const where = `${told}, message ${key}, part ${place}, ${recipient}, ${state}`;
        const sure = copies.filter((copy) => copy.told === "yes").length;
        assert(sure <= 1, `${where}: taken ${sure} times though each time it was said`);
        const done = state === "relayed" || state === "handed";
        assertEquals(sure === 1, done, `${where}: the host that took it said so ${sure} times`);
      }
    }
  }

  /** That every recipient has come to its end. */
  async checkEnded(): Promise<void> {
    await this.check();
    const final = ["relayed", "handed", "delivered", "failed", "expanded", "dropped"];
    for (const key of this.sent.keys()) {
      const { recipients, pieces } = await this.history(key);
      const ofPieces = await Promise.all(pieces.map(async (piece) => (await this.history(piece)).recipients));
      for (const { recipient, state } of [...recipients, ...ofPieces.flat()]) {
        assert(final.includes(state), `seed ${this.seed}, message ${key}: ${recipient} is ${state}`);
      }
    }
    assertEquals((await this.store.deliveries.waiting()).length, 0, `seed ${this.seed}: nothing waits`);
  }

  #makeDelivery(): Delivery {
    const { clock, random, store, dns } = this;
    const connector = new Connector({
      dial: ({ address }) => {
        const host = this.hosts.get(address);
        host?.dialled.push(clock.nowMs());
        if (host === undefined || !host.up) {
          return Promise.reject(new DialError("refused", `connection refused by ${address}:25`));
        }
        return Promise.resolve(host.connect());
      },
      dns,
      lookUp: (host) => Promise.resolve([host]),
      clock,
      random,
      settings: () => ({
        hostname: "mail.home.test",
        connectionsPerHost: this.settings.connectionsPerHost,
        recipients: 100,
        ca: undefined,
      }),
      policies: {
        domainPolicy: (domain) => Promise.resolve({ domain, sts: { lines: [] } }),
        hostPolicy: () => Promise.resolve(relayPolicy("off")),
      },
      count: () => {},
      readPassword: () => Promise.reject(new Error("no password")),
      content: async ({ key, size }) => {
        const parts: Uint8Array[] = [];
        for (let octets = 0; octets < size; octets += parts.at(-1)!.length) {
          parts.push((await store.maildrops.part(key, parts.length))!);
        }
        return {
          size,
          parts: async function* () {
            for (const part of parts) yield await Promise.resolve(part);
          },
        };
      },
      retryAtMs: (failures) =>
        clock.nowMs() +
        retryDelayMs(failures, { retryMs: this.settings.retryMs, fraction: random.fraction() }),
    });
    const deliveries: Deliveries = {
      ...store.deliveries,
      record: async (changes) => {
        const fails = this.storeFails();
        if (fails === "before") throw new StoreError("busy", "somebody has the file");
        await store.deliveries.record(changes);
        if (fails === "after") throw new StoreError("busy", "the answer was lost");
      },
    };
    return new Delivery({
      deliveries,
      clock,
      random,
      settings: () => this.settings,
      connect: (destination, signal) => connector.connect(destination, signal),
      nextKey: this.nextKey,
      attempts: (key) => store.queue.attempts(key),
      part: (key, index) => store.maildrops.part(key, index),
      resolve: (recipient) => Promise.resolve(this.#resolve(recipient)),
      forwardSender: (reversePath) => reversePath,
    });
  }

  #resolve(address: string): Resolved {
    const [local = "", domain = ""] = address.split("@");
    const list = this.lists.get(address);
    if (list !== undefined) {
      const forwards = list.members.map((recipient) => ({ recipient, list: { owner: list.owner } }));
      return { ...NOWHERE, forwards, list: "yes", listOwner: list.owner };
    }
    const forwards = this.forwards.get(address);
    if (forwards !== undefined) return { ...NOWHERE, forwards: forwards.map((recipient) => ({ recipient })) };
    if (domain === "home.test") {
      if (local === "alice") return { ...NOWHERE, accounts: [{ id: 1, name: "alice", handling: "whole" }] };
      return { ...NOWHERE, problem: `${address} is nobody here` };
    }
    const backup = this.backup === undefined ? {} : { backup: this.backup };
    return {
      ...NOWHERE,
      handling: this.apart.has(domain) ? "apart" : "whole",
      route: {
        channel: "smtp",
        recipient: { local, domain },
        accept: "users",
        hop: { kind: "mx", domain },
        ...backup,
        rule: "direct",
      },
    };
  }
}

/** A backup route to an address. */
export function backupTo(host: string, when: BackupHop["when"]): BackupHop {
  const to: RelayHost = { host, port: 25, tls: "off" };
  return { hop: { kind: "host", host: to, duty: "passes-on" }, when };
}

/** Runs `play` in a new world, and says which seed it was. */
export async function inWorld(seed: number, play: (world: World) => Promise<void>): Promise<void> {
  const world = new World(seed);
  await world.start();
  try {
    await play(world);
  } catch (error) {
    if (error instanceof Error) error.message = `(seed ${seed}) ${error.message}`;
    throw error;
  }
  await world.stop();
  for (const [address, { open }] of world.hosts) assertEquals(open, 0, `${address}: connections left open`);
}
