/**
 * A protocol server over the store in memory: real sockets on loopback, a clock that moves only when told to.
 *
 * Every use ends with a check that nothing is left behind: no session counted, no message octet held.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { utf8 } from "../../../src/base/bytes.ts";
import { FakeClock } from "../../../src/base/clock.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { SharedCounters } from "../../../src/base/shared.ts";
import { type Config, type ConfigPart, defaultConfig } from "../../../src/config/config.ts";
import type { MessageRequests, RecipientRequests } from "../../../src/mail/envelope.ts";
import { type MessageKey, messageKeyGenerator } from "../../../src/mail/message_id.ts";
import { claim } from "../../../src/net/listener.ts";
import { hashPassword } from "../../../src/sasl/password.ts";
import type { ServerContext, Service } from "../../../src/server/context.ts";
import { Authenticator } from "../../../src/server/login/authenticator.ts";
import { LoginGuard } from "../../../src/server/login/guard.ts";
import { MaildropLocks } from "../../../src/server/login/maildrop_lock.ts";
import { ProtocolServer, type ServiceAddress } from "../../../src/server/protocol_server.ts";
import { openMemoryStore } from "../../../src/store/memory.ts";
import type { Account, NewAccount, Spool, Store } from "../../../src/store/types.ts";
import { secureContext } from "../../../src/tls/certificate.ts";
import { makeCertificate } from "../../../src/tls/self_signed.ts";
import { plainResponse, Wire } from "../../e2e/wire.ts";
import { until } from "../store/fixtures.ts";

export { plainResponse, until, Wire };

const random = seededRandom(3);
const scryptCost = { ln: 4, r: 8, p: 1 };
const passwordHash = await hashPassword("secret", { random, cost: scryptCost });
const pair = await makeCertificate({ names: ["mail.example.org", "127.0.0.1"], nowMs: Date.now() });

/** A server's TLS. */
export const tlsContext = secureContext(pair);

export interface Options {
  readonly config?: ConfigPart;
  /** Puts something between the server and the store. */
  readonly wrap?: (store: Store) => Store;
}

export interface Appliance {
  readonly context: ServerContext;
  readonly clock: FakeClock;
  readonly counters: SharedCounters;
  /** As the server sees it. */
  readonly store: Store;
  readonly server: ProtocolServer;
  /** Connected, nothing read. */
  connect(service?: Service): Promise<Wire>;
  /** The greeting of SMTP or POP3 has been read. */
  greeted(service?: Service): Promise<Wire>;
  /** EHLO has been said. */
  hello(service?: Service): Promise<Wire>;
  /** Logged in, by SMTP or POP3. */
  authenticated(service: Service, user?: string): Promise<Wire>;
  /** The port of a service. */
  port(service: Service): number;
}

/** Domains example.org and example.net; accounts alice and bob, whose password is `secret`. */
export async function serving(options: Options, use: (appliance: Appliance) => Promise<void>): Promise<void> {
  const clock = new FakeClock();
  const memory = openMemoryStore({ clock });
  for (const name of ["alice", "bob"]) await addAccount(memory, { name });
  const store = options.wrap?.(memory) ?? memory;
  const config = configOf(options.config);
  const counters = new SharedCounters(SharedCounters.create(random), { thread: 0 });
  const context = contextOf({ clock, store, config, counters });
  const server = new ProtocolServer(context);
  const services: Service[] = ["smtp", "submission", "submissions", "pop3", "pop3s"];
  const addresses: ServiceAddress[] = [];
  for (const service of services) {
    addresses.push({ service, address: await claim({ host: "127.0.0.1", port: 0 }) });
  }
  await server.listen(addresses);
  const port = (service: Service) => addresses.find((each) => each.service === service)!.address.port;
  const wires: Wire[] = [];
  const appliance: Appliance = {
    context,
    clock,
    counters,
    store,
    server,
    port,
    async connect(service = "smtp") {
      const kind = service === "submissions" || service === "pop3s" ? "tls" : "plain";
      const wire = await Wire.open(port(service), kind);
      wires.push(wire);
      return wire;
    },
    async greeted(service = "smtp") {
      const wire = await appliance.connect(service);
      if (service === "pop3" || service === "pop3s") await wire.popOk();
      else await wire.expect(220);
      return wire;
    },
    async hello(service = "smtp") {
      const wire = await appliance.greeted(service);
      await wire.expect(250, "EHLO client.example.com");
      return wire;
    },
    async authenticated(service, user = "alice") {
      if (service === "pop3" || service === "pop3s") {
        const wire = await appliance.greeted(service);
        await wire.popOk(`USER ${user}`);
        await wire.popOk("PASS secret");
        return wire;
      }
      const wire = await appliance.hello(service);
      await wire.expect(235, `AUTH PLAIN ${plainResponse(user, "secret")}`);
      return wire;
    },
  };
  try {
    await inTime(use(appliance));
  } finally {
    for (const wire of wires) wire.close();
    const stopped = server.stop(0);
    await clock.advance(1000);
    await stopped;
  }
  const nothing = { receiver: 0, pop3: 0, buffer: 0, stranger: 0, octets: 0 };
  await until(() => Object.values(leftBehind(counters)).every((count) => count === 0))
    .catch(() => assertEquals(leftBehind(counters), nothing));
}

/** Fails where a test waits for ever. */
export async function inTime(work: Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setTimeout>;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("waited a minute in vain")), 60_000);
  });
  await Promise.race([work, late]).finally(() => clearTimeout(timer));
}

function leftBehind(counters: SharedCounters): Record<string, number> {
  const kinds = ["receiver", "pop3", "buffer", "stranger"] as const;
  return {
    ...Object.fromEntries(kinds.map((kind) => [kind, counters.sessions(kind)])),
    octets: counters.octets(),
  };
}

/** The configuration of {@linkcode serving}. */
export function configOf(config: ConfigPart = {}): Config {
  return defaultConfig({ hostname: "mail.example.org", domains: ["example.org", "example.net"], ...config });
}

function contextOf(
  parts: Pick<ServerContext, "store" | "counters"> & { readonly clock: FakeClock; readonly config: Config },
): ServerContext {
  const { clock, config, store } = parts;
  const authenticator = new Authenticator({
    directory: store.directory,
    domains: config.domains,
    clock,
    random,
    guard: new LoginGuard(LoginGuard.create({ clock, random }), { clock }),
    secret: random.bytes(32),
    scryptCost,
    scramIterations: 4096,
  });
  const takeoverMs = config.pop3.takeover;
  const locks = new MaildropLocks(MaildropLocks.create(64), { clock, thread: 0, takeoverMs });
  return {
    ...parts,
    config: () => config,
    tls: () => tlsContext,
    authenticator: () => authenticator,
    locks: () => locks,
    nextKey: messageKeyGenerator(clock, 0),
    srsSecret: () => undefined,
  };
}

/** Adds an account with the password `secret`. */
export function addAccount(
  store: Store,
  account: Partial<NewAccount> & { readonly name: string },
): Promise<Account> {
  return store.directory.addAccount({
    pop3: "Y",
    sendAsAny: false,
    passwordHash,
    scramVerifier: "",
    createdAtMs: 0,
    ...account,
  });
}

/** The same store with parts of its spool replaced. */
export function withSpool(store: Store, spool: Partial<Spool>): Store {
  return { ...store, close: () => store.close(), spool: { ...store.spool, ...spool } };
}

export interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}

/** Holds back whoever awaits `opened`. */
export function gate(): Gate {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve };
}

export const RETURN_PATH = "Return-Path: <sender@example.com>\r\n";

/** Puts a message, given as its parts, into a maildrop; gives its key. */
export async function keep(
  { store, context }: Pick<Appliance, "store" | "context">,
  mail: { readonly user?: string; readonly parts: readonly (string | Uint8Array)[]; readonly utf8?: boolean },
): Promise<MessageKey> {
  const key = context.nextKey();
  const parts = mail.parts.map((part) => typeof part === "string" ? utf8(part).slice() : part.slice());
  const size = parts.reduce((sum, part) => sum + part.length, 0);
  for (const part of parts.slice(0, -1)) await store.spool.append(key, part);
  await store.spool.accept({
    key,
    lastPart: parts.at(-1)!,
    size,
    receivedAtMs: context.clock.nowMs(),
    envelope: {
      reversePath: "sender@example.com",
      recipients: ["alice@example.org"],
      smtpUtf8: mail.utf8 ?? false,
    },
    origin: { client: "192.0.2.7", helo: "client.example.com", transmission: "ESMTP" },
    messageId: "",
  });
  const account = (await store.directory.account(mail.user ?? "alice"))!;
  const trace = utf8(RETURN_PATH);
  await store.deliveries.record({
    outcomes: [{
      key,
      index: 0,
      state: "delivered",
      atMs: context.clock.nowMs(),
      detail: "",
      deliverTo: [{ account: account.id, trace, size: size + trace.length }],
    }],
  });
  return key;
}

/** What a store was given to keep: envelopes, oldest first, read as the delivery worker would see them. */
export interface Kept {
  readonly key: MessageKey;
  readonly reversePath: string;
  readonly recipients: readonly string[];
  readonly requests: MessageRequests | undefined;
  /** By place in `recipients`. */
  readonly recipientRequests: readonly (RecipientRequests | undefined)[];
}

/** Collects the messages a store has accepted. */
export function collect(store: Store): Kept[] {
  const kept: Kept[] = [];
  store.deliveries.subscribe({
    messages(messages) {
      for (const { key, reversePath, requests, recipients } of messages) {
        kept.push({
          key,
          reversePath,
          recipients: recipients.map(({ recipient }) => recipient),
          requests,
          recipientRequests: recipients.map((each) => each.requests),
        });
      }
    },
    changed() {},
  });
  return kept;
}

/** `octets` octets of lines that each tell where they stand, so that a lost or doubled piece shows. */
export function lines(octets: number): string {
  let text = "";
  while (text.length < octets) text += `line at ${text.length} ${"x".repeat(50)}\r\n`;
  return text.slice(0, octets - 2) + "\r\n";
}
