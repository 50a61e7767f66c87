/**
 * A DNS client: asks resolvers and remembers what they said.
 *
 * Guarantees: a query always resolves and never rejects; "no such name" and "no such record" are kept apart from "could
 * not find out", which is temporary. Equal questions at the same time are one. `authentic` is true only where a server on
 * this machine says that it validated every step (RFC 6698 4.1: only a path that can be trusted counts).
 *
 * A question goes to each server in order, twice at most. What a server on this machine refused with SERVFAIL is not
 * asked of servers elsewhere: that is how a validating resolver says that an answer was forged, and an answer without
 * validation would let the forgery through.
 *
 * Deliberately absent: /etc/hosts and search domains (a name is what it is), DNSSEC validation, recursion.
 *
 * @module
 */
import { getServers } from "node:dns";
import { isIP } from "node:net";
import type { Clock } from "../base/clock.ts";
import * as limits from "../base/limits.ts";
import type { Random } from "../base/random.ts";
import { isLoopback } from "./connection.ts";
import { DnsCache } from "./dns_cache.ts";
import { type DnsServer, exchangeByTcp, exchangeByUdp, type Exchanged } from "./dns_exchange.ts";
import {
  dnsName,
  type DnsRecords,
  type DnsType,
  encodeQuestion,
  type Question,
  readReply,
  type Reply,
} from "./dns_message.ts";
import { formatListenAddress } from "./listener.ts";

export type { DnsRecords, DnsServer, DnsType };

export type DnsAnswer<T> =
  | {
    readonly status: "found";
    /** One at least, in the server's order. */
    readonly records: readonly T[];
    /** The name that has them, behind all aliases; lower case, no dot at the end. */
    readonly name: string;
    readonly authentic: boolean;
  }
  /** The name exists but has no such record, or doesn't exist. */
  | { readonly status: "no-data" | "no-such-name"; readonly authentic: boolean }
  /** It could not be found out; another time it may be. The reason is a clause for people. */
  | { readonly status: "failed"; readonly reason: string };

export interface Dns {
  /**
   * Asks for a name's records. A dot at its end doesn't matter; a name that can't exist (`dnsName` in dns_message.ts)
   * gives `no-such-name` without being asked for. CNAMEs are followed, except where they are what is asked for.
   */
  query<K extends DnsType>(name: string, type: K): Promise<DnsAnswer<DnsRecords[K]>>;
}

export interface DnsClientOptions {
  /** In the order in which they are asked. */
  readonly servers: readonly DnsServer[];
  /** For one question to one server. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly random: Random;
}

type Answer = DnsAnswer<DnsRecords[DnsType]>;
type FinalReply = Extract<Reply, { kind: "found" | "alias" | "no-data" | "no-such-name" }>;
type Asked = { readonly reply: FinalReply; readonly server: DnsServer; readonly octets: number };

const ROUNDS = 2;
const STOPPING = "the system is stopping";

export class DnsClient implements Dns {
  readonly #options: DnsClientOptions;
  readonly #cache: DnsCache<Answer>;
  readonly #underWay = new Map<string, Promise<Answer>>();
  readonly #open = new Set<() => void>();
  readonly #places: (() => void)[] = [];
  #placesTaken = 0;
  #isClosed = false;

  constructor(options: DnsClientOptions) {
    this.#options = options;
    this.#cache = new DnsCache({ clock: options.clock, entries: limits.DNS_CACHE_ENTRIES });
  }

  query<K extends DnsType>(name: string, type: K): Promise<DnsAnswer<DnsRecords[K]>> {
    // The type of a question decides the type of its records; the cache and the map hold all of them.
    return this.#query(name, type) as Promise<DnsAnswer<DnsRecords[K]>>;
  }

  /** Ends all questions that are under way, as failed, and refuses new ones. */
  close(): void {
    this.#isClosed = true;
    for (const stop of [...this.#open]) stop();
  }

  async #query(name: string, type: DnsType): Promise<Answer> {
    const asked = dnsName(name);
    if (asked === undefined) return { status: "no-such-name", authentic: false };
    const key = `${type} ${asked}`;
    const known = this.#cache.get(key) ?? this.#underWay.get(key);
    if (known !== undefined) return await known;
    const started = this.#resolve({ name: asked, type });
    this.#underWay.set(key, started);
    try {
      return await started;
    } finally {
      this.#underWay.delete(key);
    }
  }

  /** Asks until no alias is left, and remembers the outcome. */
  async #resolve(question: Question): Promise<Answer> {
    let name = question.name;
    let aliases = 0;
    let isAuthentic = true;
    let ttlMs = limits.DNS_TTL_MOST_MS;
    for (;;) {
      const asked = await this.#askInTurn({ name, type: question.type });
      if ("reason" in asked) return this.#remember(question, { status: "failed", reason: asked.reason }, 0);
      const { reply, server, octets } = asked;
      isAuthentic &&= reply.authentic && isLoopback(server.host);
      ttlMs = Math.min(ttlMs, reply.ttlSeconds * 1000);
      if (reply.kind === "found") {
        const { records } = reply;
        const answer: Answer = { status: "found", records, name: reply.name, authentic: isAuthentic };
        return octets > limits.DNS_CACHED_OCTETS ? answer : this.#remember(question, answer, ttlMs);
      }
      if (reply.kind !== "alias") {
        return this.#remember(question, { status: reply.kind, authentic: isAuthentic }, ttlMs);
      }
      aliases += reply.aliases;
      if (aliases > limits.DNS_ALIASES) {
        const reason = `${question.name} is an alias that leads on more than ${limits.DNS_ALIASES} times`;
        return this.#remember(question, { status: "failed", reason }, 0);
      }
      const target = dnsName(reply.name);
      if (target === undefined) {
        return this.#remember(question, { status: "no-such-name", authentic: isAuthentic }, ttlMs);
      }
      name = target;
    }
  }

  #remember({ name, type }: Question, answer: Answer, ttlMs: number): Answer {
    if (this.#isClosed) return answer;
    const mostMs = answer.status === "found" ? limits.DNS_TTL_MOST_MS : limits.DNS_NEGATIVE_TTL_MS;
    const keptMs = answer.status === "failed"
      ? limits.DNS_FAILURE_TTL_MS
      : Math.max(limits.DNS_TTL_LEAST_MS, Math.min(ttlMs, mostMs));
    this.#cache.set(`${type} ${name}`, answer, { ttlMs: keptMs });
    return answer;
  }

  /** Asks one server after the other until one knows. */
  async #askInTurn(question: Question): Promise<Asked | { readonly reason: string }> {
    let reason = "no DNS server is known; name one under dns.servers in the configuration";
    let isOnlyLocal = false;
    for (let round = 0; round < ROUNDS; round++) {
      for (const server of this.#options.servers) {
        if (isOnlyLocal && !isLoopback(server.host)) continue;
        if (this.#isClosed) return { reason: STOPPING };
        const { reply, octets } = await this.#askServer(question, server);
        if (isFinal(reply)) return { reply, server, octets };
        if (reply.kind === "refused" && reply.code === "SERVFAIL" && isLoopback(server.host)) {
          isOnlyLocal = true;
        }
        const { name, type } = question;
        reason = `asked for ${type} of ${name}, DNS server ${formatListenAddress(server)}: ${whyNot(reply)}`;
      }
    }
    return { reason };
  }

  /** Asks one server: by UDP, by TCP where the answer is too long for that, without EDNS where it knows none. */
  async #askServer(question: Question, server: DnsServer): Promise<Received> {
    const received = await this.#exchange(question, { server, edns: "with", by: exchangeByUdp });
    if (received.reply.kind === "truncated") {
      return await this.#exchange(question, { server, edns: "with", by: exchangeByTcp });
    }
    if (received.reply.kind !== "no-edns") return received;
    const again = await this.#exchange(question, { server, edns: "without", by: exchangeByUdp });
    if (again.reply.kind !== "truncated") return again;
    return await this.#exchange(question, { server, edns: "without", by: exchangeByTcp });
  }

  async #exchange(
    question: Question,
    { server, edns, by }: {
      readonly server: DnsServer;
      readonly edns: "with" | "without";
      readonly by: typeof exchangeByUdp;
    },
  ): Promise<Received> {
    const { timeoutMs, clock, random } = this.#options;
    const [high, low] = random.bytes(2);
    const id = high! << 8 | low!;
    let length = 0;
    const read = (octets: Uint8Array): Reply | undefined => {
      const reply = readReply(octets, { question, id });
      length = octets.length;
      return reply.kind === "not-ours" ? undefined : reply;
    };
    await this.#takePlace();
    try {
      if (this.#isClosed) return { reply: { kind: "malformed", reason: STOPPING }, octets: 0 };
      const query = encodeQuestion(question, { id, edns });
      const options = { server, timeoutMs, clock, open: this.#open, read };
      const exchanged: Exchanged<Reply> = await by(query, options);
      if (exchanged.kind === "answered") return { reply: exchanged.reply, octets: length };
      return { reply: { kind: "malformed", reason: exchanged.reason }, octets: 0 };
    } catch (error) {
      // No socket could be had.
      return { reply: { kind: "malformed", reason: (error as Error).message }, octets: 0 };
    } finally {
      this.#leavePlace();
    }
  }

  /** Waits until fewer than the limit's sockets are open. */
  async #takePlace(): Promise<void> {
    if (this.#placesTaken >= limits.DNS_QUESTIONS) {
      // Who leaves hands its place on, so the number stays.
      await new Promise<void>((resolve) => this.#places.push(resolve));
    } else this.#placesTaken++;
  }

  #leavePlace(): void {
    const next = this.#places.shift();
    if (next !== undefined) next();
    else this.#placesTaken--;
  }
}

interface Received {
  readonly reply: Reply;
  readonly octets: number;
}

function isFinal(reply: Reply): reply is FinalReply {
  return reply.kind === "found" || reply.kind === "alias" || reply.kind === "no-data" ||
    reply.kind === "no-such-name";
}

/** Why a reply is no answer, as a clause. */
function whyNot(reply: Exclude<Reply, FinalReply>): string {
  switch (reply.kind) {
    case "refused":
      return `it answered ${reply.code}`;
    case "malformed":
      return reply.reason;
    case "truncated":
      return "its answer is cut off even by TCP";
    case "no-edns":
      return "it could not read the question";
    case "not-ours":
      return "its answer is to another question";
  }
}

/** The machine's own resolvers, as /etc/resolv.conf names them, each once. */
export function systemServers(): DnsServer[] {
  const servers = getServers().map(parseServer).filter((each) => each !== undefined);
  return servers.filter((server, i) =>
    servers.findIndex((other) => other.host === server.host && other.port === server.port) === i
  );
}

/** `192.0.2.53`, `192.0.2.53:5353`, `2001:db8::53` or `[2001:db8::53]:53`; undefined for anything else. */
export function parseServer(text: string): DnsServer | undefined {
  const [, bracketed, v4, port = "53"] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = bracketed ?? v4 ?? text;
  return isIP(host) !== 0 && Number(port) <= 65_535 ? { host, port: Number(port) } : undefined;
}
