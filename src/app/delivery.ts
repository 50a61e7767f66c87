/**
 * Joins what delivery needs: routing, DNS, TLS policies, signing, and the queue.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { readFile } from "node:fs/promises";
import { systemClock } from "../base/clock.ts";
import { systemRandom } from "../base/random.ts";
import type { Config } from "../config/config.ts";
import { firstDomain } from "../config/names.ts";
import { signMessage } from "../dkim/sign.ts";
import { handlingFor, type Receiver } from "../gateway/handling.ts";
import { formatAddress, parseAddress } from "../mail/address.ts";
import { formatMessageKey, type MessageKey, messageKeyGenerator } from "../mail/message_id.ts";
import {
  type Dns,
  type DnsAnswer,
  DnsClient,
  type DnsRecords,
  type DnsType,
  systemServers,
} from "../net/dns.ts";
import { dial } from "../net/dial.ts";
import { httpsRequest } from "../net/https.ts";
import { dnsAddresses, hostAddresses } from "../net/lookup.ts";
import { Connector } from "../queue/connector.ts";
import { Delivery, type DeliverySettings } from "../queue/delivery.ts";
import type { Resolved } from "../queue/dispatcher.ts";
import { retryDelayMs } from "../queue/retry.ts";
import type { OutgoingContent } from "../queue/smtp_courier.ts";
import type { FetchedPolicy } from "../queue/sts_policies.ts";
import { TlsPolicies } from "../queue/tls_policy.ts";
import { TlsReports } from "../queue/tls_reports.ts";
import { forwardingSender } from "../routing/srs.ts";
import { findDestination, listOwnerAddress, type Secrets, topologyOf } from "../server/mailboxes.ts";
import type { QueuedMessage, SigningKey, Store } from "../store/types.ts";
import { connectThrough, createGateways } from "./gateways.ts";

const log = getLogger(["emsmail", "delivery"]);

/** The message id slot of the main thread; protocol threads have 1 and up. */
const SLOT = 0;
/** How long signing keys are remembered, in milliseconds: a new one signs within that time. */
const KEYS_MS = 30_000;
/** For one HTTPS request, in milliseconds (RFC 8461 3.3 suggests a minute). */
const HTTPS_MS = 60_000;
/** Of an answer; RFC 8461 3.2 has policies of 64 KiB at most. */
const HTTPS_OCTETS = 64 * 1024;

/** What rewritten senders' addresses are made with: the same for ever, or what was sent could not come back. */
export function srsSecret(store: Store): Promise<Uint8Array> {
  return store.trust.secret("srs", () => systemRandom.bytes(32));
}

export interface StartDeliveryOptions {
  readonly store: Store;
  readonly config: () => Config;
  /** The largest message key when the server started. */
  readonly newestKey: MessageKey;
  readonly srsSecret: Uint8Array;
  /** The certificate authorities of `tls.caFile`, in PEM. */
  readonly ca: () => string | undefined;
}

/** Starts delivery. */
export async function startDelivery(
  options: StartDeliveryOptions,
): Promise<{ stop(graceMs: number): Promise<void> }> {
  const { store, config, ca } = options;
  const nextKey = messageKeyGenerator(systemClock, SLOT, options.newestKey);
  const dns = new ConfiguredDns(config);
  const https = new Https(dns, ca);
  const reports = new TlsReports({
    trust: store.trust,
    dns,
    clock: systemClock,
    random: systemRandom,
    hostname: config().hostname,
    contact: `postmaster@${firstDomain(config())}`,
    // On an intranet nobody outside is told anything.
    enabled: () => config().tls.reports && config().relay.mode !== "intranet",
    nextKey,
    submit: (message) => store.spool.accept(message),
    post: (url, report) => https.post(url, report),
  });
  const content = new Content(store).open;
  const retryAtMs = (failures: number) =>
    systemClock.nowMs() +
    retryDelayMs(failures, { retryMs: config().queue.retry, fraction: systemRandom.fraction() });
  const connector = new Connector({
    dial,
    dns,
    lookUp: (host) => hostAddresses(host, { dns, servers: config().dns.servers }),
    clock: systemClock,
    random: systemRandom,
    settings: () => connectorSettings(config(), ca()),
    policies: new TlsPolicies({
      dns,
      trust: store.trust,
      clock: systemClock,
      config,
      fetchPolicy: (domain) => https.policy(domain),
    }),
    count: ({ domain, policy, resultType, receivingMx }) =>
      reports.count(domain, { ...policy, resultType, receivingMx }),
    readPassword,
    content,
    retryAtMs,
  });
  const secrets = (): Secrets => ({ srs: options.srsSecret, nowMs: systemClock.nowMs() });
  const gateways = createGateways({ store, config, nextKey, secrets, content, retryAtMs });
  const delivery = new Delivery({
    deliveries: store.deliveries,
    clock: systemClock,
    random: systemRandom,
    settings: () => deliverySettings(config()),
    connect: connectThrough({
      smtp: (destination, signal) => connector.connect(destination, signal),
      gateways: gateways.connect,
    }),
    nextKey,
    attempts: (key) => store.queue.attempts(key),
    part: (key, index) => store.maildrops.part(key, index),
    resolve: (recipient, sender) =>
      resolveRecipient(recipient, { store, config: config(), sender, secrets: secrets() }),
    forwardSender: (reversePath) => forwarded(reversePath, config(), secrets()),
  });
  await delivery.start();
  await gateways.start();
  reports.start();
  return {
    async stop(graceMs) {
      await gateways.stop();
      await delivery.stop(graceMs);
      await reports.stop();
      dns.close();
    },
  };
}

function deliverySettings(config: Config): DeliverySettings {
  const { queue, relay, hostname } = config;
  return {
    hostname,
    domain: firstDomain(config),
    retryMs: queue.retry,
    expireMs: queue.expire,
    delayNoticeMs: queue.delayNotice,
    unreachableAfterMs: relay.unreachableAfter ?? queue.expire,
    connections: queue.connections,
    connectionsPerHost: queue.connectionsPerHost,
  };
}

function connectorSettings({ queue, hostname }: Config, ca: string | undefined) {
  return {
    hostname,
    connectionsPerHost: queue.connectionsPerHost,
    recipients: queue.recipients,
    ca,
  };
}

async function resolveRecipient(
  recipient: string,
  where: {
    readonly store: Store;
    readonly config: Config;
    readonly sender: string;
    readonly secrets: Secrets;
  },
): Promise<Resolved> {
  const { store, config, secrets } = where;
  const sender = addressOf(where.sender);
  const found = await findDestination(recipient, { directory: store.directory, config, sender, secrets });
  const { accounts, forwards, route, list, problem, refusal } = found;
  const passthru = { passthru: config.passthru };
  // A rewritten sender's address stands for the sender, as an alias does: the next host is not told of it.
  const out = (route.channel === "smtp" || route.channel === "gateway") && route.rule !== "srs"
    ? route
    : undefined;
  const keeper = found.named?.kind === "list"
    ? found.named.list
    : forwards.find((each) => each.list !== undefined)?.list;
  return {
    accounts: accounts.map(({ id, name, pop3 }) => ({
      id,
      name,
      handling: handlingFor({ kind: "account", pop3 }, passthru),
    })),
    forwards: forwards.map((forward) => ({
      recipient: formatAddress(forward.recipient),
      ...forward.list === undefined ? {} : { list: { owner: listOwnerAddress(forward.list.owner, config) } },
    })),
    list,
    ...list === "yes" && keeper !== undefined ? { listOwner: listOwnerAddress(keeper.owner, config) } : {},
    route: out,
    handling: handlingFor(
      out?.channel === "gateway" ? gatewayReceiver(out.hop.name, config) : { kind: "smtp" },
      passthru,
    ),
    problem,
    refusal,
  };
}

function gatewayReceiver(name: string, { gateways: { filedrop, pipe } }: Config): Receiver {
  const gateway = [...filedrop, ...pipe].find((each) => each.name === name);
  return { kind: "gateway", attachments: gateway?.attachments ?? "apart" };
}

function addressOf(path: string) {
  const address = path === "" ? null : parseAddress(path);
  return address === null || "error" in address ? null : address;
}

function forwarded(reversePath: string, config: Config, secrets: Secrets): string {
  const sender = addressOf(reversePath);
  if (sender === null) return reversePath;
  const rewritten = forwardingSender(sender, topologyOf(config, secrets));
  return rewritten === null ? reversePath : formatAddress(rewritten);
}

/** The password in a file, without its line end. */
async function readPassword(file: string): Promise<string> {
  try {
    return (await readFile(file, "utf8")).replace(/\r?\n$/, "");
  } catch (error) {
    throw new Error(
      `the password file ${file} can't be read (${(error as { code?: string }).code ?? error})`,
    );
  }
}

/** A DNS client that goes with the configuration. */
class ConfiguredDns implements Dns {
  readonly #config: () => Config;
  #client: DnsClient | undefined;
  #servers: Config["dns"]["servers"] | undefined;

  constructor(config: () => Config) {
    this.#config = config;
  }

  query<K extends DnsType>(name: string, type: K): Promise<DnsAnswer<DnsRecords[K]>> {
    const { servers, timeout } = this.#config().dns;
    if (this.#client === undefined || servers !== this.#servers) {
      this.#client?.close();
      this.#servers = servers;
      this.#client = new DnsClient({
        servers: servers.length === 0 ? systemServers() : servers,
        timeoutMs: timeout,
        clock: systemClock,
        random: systemRandom,
      });
    }
    return this.#client.query(name, type);
  }

  close(): void {
    this.#client?.close();
  }
}

/** Web servers of other domains. */
class Https {
  readonly #dns: Dns;
  readonly #ca: () => string | undefined;

  constructor(dns: Dns, ca: () => string | undefined) {
    this.#dns = dns;
    this.#ca = ca;
  }

  /** RFC 8461 3.3. */
  async policy(domain: string): Promise<FetchedPolicy> {
    const { status, contentType, body } = await this.#request({
      host: `mta-sts.${domain}`,
      path: "/.well-known/mta-sts.txt",
      method: "GET",
    });
    return { status, contentType, body: new TextDecoder().decode(body) };
  }

  /** RFC 8460 3; gives the answer's status. */
  async post(
    url: string,
    { contentType, body }: { readonly contentType: string; readonly body: Uint8Array },
  ): Promise<number> {
    const { hostname, port, pathname, search } = new URL(url);
    const headers = { "Content-Type": contentType };
    const answer = await this.#request({
      host: hostname,
      ...port === "" ? {} : { port: Number(port) },
      path: `${pathname}${search}`,
      method: "POST",
      headers,
      body,
    });
    return answer.status;
  }

  async #request(request: Omit<Parameters<typeof httpsRequest>[0], "address" | "maxOctets" | "timeoutMs">) {
    const addresses = await dnsAddresses(request.host, this.#dns);
    if (addresses.length === 0) throw new Error(`${request.host} has no address`);
    const ca = this.#ca();
    let failure: unknown;
    for (const address of addresses.slice(0, 2)) {
      try {
        return await httpsRequest({ ...request, address, ca, maxOctets: HTTPS_OCTETS, timeoutMs: HTTPS_MS });
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }
}

/** Messages as they leave: signed where a key fits, byte for byte otherwise. */
class Content {
  readonly #store: Store;
  #keys: Promise<readonly SigningKey[]> = Promise.resolve([]);
  #keysUntilMs = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  readonly open = async (message: QueuedMessage): Promise<OutgoingContent> => {
    const signature = await this.#signature(message);
    return {
      size: signature.length + message.size,
      parts: () => this.#withPrefix(signature, message),
    };
  };

  async *#withPrefix(signature: Uint8Array, message: QueuedMessage): AsyncIterable<Uint8Array> {
    if (signature.length > 0) yield signature;
    yield* this.#parts(message);
  }

  async *#parts({ key, size }: QueuedMessage): AsyncIterable<Uint8Array> {
    let octets = 0;
    for (let index = 0; octets < size; index++) {
      const part = await this.#store.maildrops.part(key, index);
      if (part === undefined) throw new Error(`the content of message ${formatMessageKey(key)} is not whole`);
      octets += part.length;
      yield part;
    }
  }

  /** A message that can't be signed is sent without: late mail is worse than unsigned mail. */
  async #signature(message: QueuedMessage): Promise<Uint8Array> {
    if (message.own === undefined) return new Uint8Array();
    try {
      const keys = await this.#signingKeys();
      if (keys.length === 0) return new Uint8Array();
      const { reversePath } = message;
      return await signMessage(this.#parts(message), { keys, reversePath, nowMs: systemClock.nowMs() });
    } catch (error) {
      log.error("a message could not be signed", { id: formatMessageKey(message.key), error: String(error) });
      return new Uint8Array();
    }
  }

  #signingKeys(): Promise<readonly SigningKey[]> {
    const nowMs = systemClock.nowMs();
    if (nowMs >= this.#keysUntilMs) {
      this.#keysUntilMs = nowMs + KEYS_MS;
      this.#keys = this.#store.trust.signingKeys();
    }
    return this.#keys;
  }
}
