/**
 * `emsmail route`: where mail for an address would go, and why.
 *
 * @module
 */
import { existsSync } from "node:fs";
import type { AdminContext } from "../admin/context.ts";
import {
  findRoute,
  type HopView,
  type NameView,
  type Probe,
  type ProbeView,
  type RouteView,
  type WayView,
} from "../admin/route.ts";
import { systemClock } from "../base/clock.ts";
import { printableLine } from "../base/printable.ts";
import { shuffled, systemRandom } from "../base/random.ts";
import { wrapWords } from "../base/wrap.ts";
import type { Config } from "../config/config.ts";
import { DnsClient, systemServers } from "../net/dns.ts";
import { hostAddresses } from "../net/lookup.ts";
import { openMemoryStore } from "../store/memory.ts";
import { storePath } from "../store/sqlite/open.ts";
import { withStore } from "./context.ts";
import { bold, type Io, json } from "./io.ts";
import type { Options } from "./program.ts";
import { loadConfig } from "./settings.ts";

export async function route(io: Io, address: string, options: Options): Promise<void> {
  const config = await loadConfig(options);
  const isProbing = options.probe === true;
  const dns = isProbing ? dnsClient(config) : undefined;
  // A question that waits for its answer doesn't keep a process alive.
  const awake = isProbing ? setInterval(() => {}, 60_000) : undefined;
  try {
    const ask = (context: AdminContext) =>
      findRoute(context, {
        address,
        sender: options.sender as string | undefined,
        probe: dns === undefined ? undefined : probeBy(dns, config),
      });
    // Ways out don't need a store; without one, nobody is known here.
    const isStore = existsSync(storePath(config.data));
    const view = isStore
      ? await withStore(options, ask, { access: "read" })
      : await ask({ store: openMemoryStore(), config, clock: systemClock, random: systemRandom });
    if (options.json === true) return await io.out(json(view));
    const note = isStore
      ? []
      : [`There is no mail system in ${config.data} yet, so that nobody is known here.`];
    await io.out(routeText(view, { io, isProbing, note }));
  } finally {
    clearInterval(awake);
    dns?.close();
  }
}

function dnsClient({ dns }: Config): DnsClient {
  return new DnsClient({
    servers: dns.servers.length > 0 ? dns.servers : systemServers(),
    timeoutMs: dns.timeout,
    clock: systemClock,
    random: systemRandom,
  });
}

/** As the server does it. */
function probeBy(dns: DnsClient, config: Config): Probe {
  const lookUp = (host: string) => hostAddresses(host, { dns, servers: config.dns.servers });
  return { dns, lookUp, shuffle: (items) => shuffled(items, systemRandom) };
}

interface Look {
  readonly io: Io;
  readonly isProbing: boolean;
  /** Sentences at the end. */
  readonly note: readonly string[];
}

/** Lines longer than this are hard to read. */
const LINE_COLUMNS = 80;

function routeText(view: RouteView, { io, isProbing, note }: Look): string {
  const isIntranet = view.mode === "intranet";
  const facts: Fact[] = [
    ["Rule", [view.rule, ...isElsewhere(view) ? [] : view.explanation]],
    ...nameFacts(view.name),
    ...view.maildrops.length === 0 ? [] : [["Maildrop", [view.maildrops.join(", ")]] as Fact],
    ...view.ways.flatMap((way) => wayFacts(way, view)),
    ...view.problem === "" || view.channel === "refused" ? [] : [["Problem", [view.problem]] as Fact],
    ...view.refusal === null || view.channel === "refused" ? [] : [["Refused", [view.refusal]] as Fact],
    ...isProbing && isIntranet ? [["DNS", ["not asked: on an intranet no DNS is asked"]] as Fact] : [],
    ...isProbing && !isIntranet && view.ways.every(({ probe }) => probe === null)
      ? [
        ["DNS", [
          view.ways.length === 0
            ? "not asked: no mail for this address leaves the system"
            : "not asked: a gateway needs none",
        ]] as Fact,
      ]
      : [],
    ...note.length === 0 ? [] : [["Note", note] as Fact],
  ];
  const width = Math.min(io.width ?? LINE_COLUMNS, LINE_COLUMNS) - TITLE_COLUMNS - 2;
  const lines = facts.flatMap(([title, texts]) =>
    texts.flatMap((text) => wrapFact(printableLine(text), Math.max(width, 20)))
      .map((text, i) => `  ${(i === 0 ? title : "").padEnd(TITLE_COLUMNS)}${text}`.trimEnd())
  );
  return [bold(printableLine(view.address), io.colour), ...lines].map((line) => `${line}\n`).join("");
}

/** A line's further lines stand below its first word. */
function wrapFact(text: string, width: number): string[] {
  const indent = /^ */.exec(text)![0];
  return wrapWords(text.trimStart(), width - indent.length).map((line) => indent + line);
}

/** A title with what belongs to it, a line each. */
type Fact = readonly [title: string, texts: readonly string[]];

const TITLE_COLUMNS = 12;

function wayFacts(way: WayView, view: RouteView): Fact[] {
  const isItself = isElsewhere(view);
  return [
    ...isItself ? [] : [["Forwarded", [forwardText(way, view)]] as Fact],
    ["Next hop", [hopText(way.nextHop)]],
    ...way.backup === null ? [] : [["Backup", [hopText(way.backup.hop)]] as Fact],
    ...isItself ? [["", way.explanation] as Fact] : [],
    ...(way.probe ?? []).map((probe): Fact => ["DNS", probeLines(probe)]),
  ];
}

/** Whether the recipient itself is on another system. */
function isElsewhere({ channel }: RouteView): boolean {
  return channel === "smtp" || channel === "gateway";
}

/** What a name stands for; nothing where its maildrop, or where it leads, tells all of it. */
function nameFacts(name: NameView | null): Fact[] {
  switch (name?.kind) {
    case "account": {
      const { forward } = name;
      if (forward === null) return [];
      const kept = forward.keep ? "and kept here, too" : "and not kept here";
      return [["User", [`${name.name}, whose mail is sent on to ${forward.to.join(", ")} ${kept}`]]];
    }
    case "shadow":
      return [["Shadow", [
        `${name.name}, of ${name.address}`,
        name.inbound
          ? "Strangers may write to it."
          : "Users may write to it; strangers are refused (550 5.7.1).",
      ]]];
    case "list": {
      const members = name.members === 1 ? "1 member" : `${name.members} members`;
      return [["List", [
        `${name.name}, ${members}`,
        `Its mail to addresses elsewhere comes from ${name.owner}, who hears of failures.`,
      ]]];
    }
    default:
      return [];
  }
}

function forwardText({ recipient, rule, list }: WayView, view: RouteView): string {
  const isByOther = list !== null && (view.name?.kind !== "list" || view.name.name !== list.name);
  return `${recipient} (rule: ${rule}${isByOther ? `; list ${list.name}, from ${list.owner}` : ""})`;
}

function hopText(hop: HopView): string {
  if (hop.kind === "gateway") return `the gateway ${hop.name}`;
  if (hop.kind === "mx") {
    return hop.domain.startsWith("[")
      ? `the host at ${hop.domain}`
      : `the hosts that DNS names for ${hop.domain}`;
  }
  const login = hop.user === null ? "" : `, logging in as ${hop.user}`;
  return `${hop.host}, port ${hop.port}, TLS: ${hop.tls}${login}`;
}

function probeLines(probe: ProbeView): string[] {
  const records = (probe.mx ?? []).map(({ preference, exchange }) => `  MX ${preference} ${exchange}`);
  const tries = probe.hosts.flatMap(({ host, port, addresses, authentic }) =>
    addresses.map((address) => `${address}, port ${port} (${host}${authentic ? ", validated" : ""})`)
  ).map((text, i) => `  ${i + 1}. ${text}`);
  const problems = probe.hosts.flatMap(({ problem }) => problem === "" ? [] : [`  not tried: ${problem}`]);
  return [probe.result, ...records, ...tries, ...problems];
}
