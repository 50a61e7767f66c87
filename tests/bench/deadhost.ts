/**
 * What a large queue for a dead host costs: memory, disk, time to start, and the pace of mail to hosts that answer.
 *
 * Two appliances run beside each other, alike but for what waits: one has nothing, the other many messages for a host that
 * is dead. Mail to a host that answers is measured through each in turn, and the one that is not measured stands still
 * (SIGSTOP), so that a ratio is between two runs on the same machine in the same minute. The one with nothing in its queue
 * takes as many messages before, for the living host: what any such burst leaves in a process until it is collected counts
 * for neither, and what waiting mail costs is the difference between the two.
 *
 * Two kinds of death: the port is closed (each try is refused at once, and tries come every two seconds all through the
 * measurement); or connections stand and nobody ever says a word (one try lasts five minutes, RFC 5321 4.5.3.2.1).
 *
 * @module
 */
import { Wire } from "../e2e/wire.ts";
import { type Appliance, type ApplianceOptions, restartAppliance, startAppliance } from "./appliance.ts";
import {
  type CountingSink,
  median,
  output,
  pause,
  percentile,
  smtpSource,
  spread,
  startCountingSink,
  table,
} from "./load.ts";

const LIVE = { domain: "sink.test", address: "127.0.6.3", port: 24225 } as const;
const DEAD = { domain: "dead.test", address: "127.0.6.4", port: 24226 } as const;
const PORTS = { without: 24325, with: 24335 } as const;
/** Of the messages for the dead host, and of those for the living one. */
const OCTETS = { dead: 1024, live: 4096 } as const;
const WARMING_MESSAGES = 5000;
const ROUND_MESSAGES = 3000;
const PROBES_A_ROUND = 100;
/** Between two probes, in milliseconds: they meet an idle server, and now and then one that tries the dead host. */
const PROBE_PAUSE_MS = 10;
/** How long an idle server is left alone before its memory is read, in milliseconds. */
const REST_MS = 5000;
const LIMIT_MS = 600_000;
/** Each time a command is run so often, and the median taken. */
const COMMAND_RUNS = 5;
/** Messages for a silent host that may be in memory while the rest is in the store (src/queue/outbound.ts). */
const IN_MEMORY = 1000;

/** How a host is dead, as the tables' heads have it. */
const DEATHS = { refuses: "refuses connections", silent: "takes connections and says nothing" } as const;
type Death = keyof typeof DEATHS;

/** In the order of the tables' columns. */
const SIDES = ["without", "with"] as const;
type Name = typeof SIDES[number];
type Both<T> = Readonly<Record<Name, T>>;

export interface DeadHostOptions {
  readonly folder: string;
  /** How many wait for the dead host. */
  readonly messages: number;
  readonly rounds: number;
}

/** Measures both kinds of death; gives tables in Markdown. */
export async function measureDeadHosts(options: DeadHostOptions): Promise<string> {
  const texts: string[] = [];
  for (const death of Object.keys(DEATHS) as Death[]) {
    const trial = new Trial(death, options);
    try {
      texts.push(await trial.run());
    } finally {
      await trial.stop();
    }
  }
  return texts.join("\n\n");
}

interface Memory {
  readonly rssBytes: number;
  readonly anonymousBytes: number;
}

/** What mail to the living host met, in one of the two appliances. */
interface Figures {
  readonly rates: number[];
  readonly latenciesMs: number[];
  /** Of the server, for each message. */
  readonly processorMs: number[];
}

/** What the burst did. */
interface Growth {
  /** Messages a second: relayed, or only accepted. */
  readonly rate: number;
  readonly before: Memory;
  readonly after: Memory;
}

interface Costs {
  readonly memory: Memory;
  readonly storeBytes: number;
  readonly listMs: number;
  readonly showMs: number | undefined;
  readonly readyMs: number;
  readonly restartedMemory: Memory;
}

class Trial {
  readonly #death: Death;
  readonly #options: DeadHostOptions;
  readonly #appliances: { without?: Appliance; with?: Appliance } = {};
  readonly #stops: (() => Promise<void> | void)[] = [];
  readonly #figures: Both<Figures> = {
    without: { rates: [], latenciesMs: [], processorMs: [] },
    with: { rates: [], latenciesMs: [], processorMs: [] },
  };

  constructor(death: Death, options: DeadHostOptions) {
    this.#death = death;
    this.#options = options;
  }

  async run(): Promise<string> {
    const { messages, rounds } = this.#options;
    if (this.#death === "silent") this.#stops.push(startSilentHost());
    const sink = await startCountingSink(LIVE);
    this.#stops.push(() => sink.stop());
    for (const side of SIDES) this.#appliances[side] = await startAppliance(this.#settings(side));
    const growth = { without: await this.#burst("without", sink), with: await this.#burst("with", sink) };
    for (let round = 0; round < rounds; round++) await this.#round(round, sink);
    await pause(REST_MS);
    const costs = { without: await this.#costs("without"), with: await this.#costs("with") };
    return [
      `A host that ${DEATHS[this.#death]}; ${rounds} rounds:\n`,
      table(["measure", "nothing waits", `${messages} messages wait`], [
        ...liveRows(this.#figures),
        ...growthRows(growth),
        ...costRows(costs),
      ]),
    ].join("\n");
  }

  /** As many messages as shall wait: for the dead host, or for the living one. */
  async #burst(side: Name, sink: CountingSink): Promise<Growth> {
    const { messages } = this.#options;
    const appliance = this.#appliance(side);
    await relayed(appliance, sink, { messages: WARMING_MESSAGES, octets: OCTETS.live });
    await pause(REST_MS);
    const before = await memoryOf(appliance.pid);
    console.log(
      `dead host (${this.#death}): ${messages} messages of ${OCTETS.dead} octets, ${side} a dead host`,
    );
    let seconds: number;
    if (side === "without") seconds = await relayed(appliance, sink, { messages, octets: OCTETS.dead });
    else {
      seconds = await queueUp(appliance, messages);
      await untilWaiting(appliance, { messages, unsettled: this.#death === "silent" ? IN_MEMORY : 0 });
    }
    await pause(REST_MS);
    return { rate: messages / seconds, before, after: await memoryOf(appliance.pid) };
  }

  async stop(): Promise<void> {
    for (const side of SIDES) await this.#appliances[side]?.stop();
    for (const stop of this.#stops.reverse()) await stop();
  }

  #appliance(side: Name): Appliance {
    return this.#appliances[side]!;
  }

  #settings(side: Name): ApplianceOptions {
    return {
      users: 0,
      folder: `${this.#options.folder}/${this.#death}-${side}`,
      basePort: PORTS[side],
      relays: [LIVE, DEAD],
      retry: "[2s]",
    };
  }

  /** Both in turn, each first in every other round; the one that is not measured stands still. */
  async #round(round: number, sink: CountingSink): Promise<void> {
    const order = round % 2 === 0 ? SIDES : SIDES.toReversed();
    for (const side of order) {
      const other = this.#appliance(side === "with" ? "without" : "with");
      Deno.kill(other.pid, "SIGSTOP");
      try {
        await measureLive(this.#appliance(side), { sink, figures: this.#figures[side] });
      } finally {
        Deno.kill(other.pid, "SIGCONT");
      }
      // What the other one missed meanwhile is done before anything else is measured.
      await pause(500);
    }
    const rates = SIDES.map((side) => this.#figures[side].rates.at(-1)!.toFixed(0));
    console.log(`dead host (${this.#death}), round ${round + 1}: ${rates.join(" / ")}`);
  }

  /** What it costs at the end, with a restart. */
  async #costs(side: Name): Promise<Costs> {
    const settings = this.#settings(side);
    const appliance = this.#appliance(side);
    const waiting = (await queueView(appliance)).recipients[0]?.id;
    const costs = {
      memory: await memoryOf(appliance.pid),
      storeBytes: await storeBytes(settings),
      listMs: await commandMs(appliance, ["queue", "list", "--limit", "20"]),
      showMs: waiting === undefined ? undefined : await commandMs(appliance, ["queue", "show", waiting]),
    };
    delete this.#appliances[side];
    await appliance.stop();
    const restarted = await restartAppliance(settings);
    this.#appliances[side] = restarted;
    await pause(REST_MS);
    return { ...costs, readyMs: restarted.readyMs, restartedMemory: await memoryOf(restarted.pid) };
  }
}

// ---------------------------------------------------------------- the table

function liveRows(figures: Both<Figures>): string[][] {
  const [without, full] = [figures.without, figures.with];
  const both = (show: (of: Figures) => string) => [show(without), show(full)];
  const ratios = full.rates.map((rate, round) => rate / without.rates[round]!);
  return [
    ["mail to a living host, messages/s", ...both(({ rates }) => spread(rates, 0))],
    ["ratio of these (goal: 0.9)", "", spread(ratios, 2)],
    ["processor time for each of them, ms", ...both(({ processorMs }) => spread(processorMs, 2))],
    ...[50, 90, 99].map((percent) => [
      `from the final dot until the living host has it, ${percent} % within, ms`,
      ...both(({ latenciesMs }) => percentile(latenciesMs, percent).toFixed(1)),
    ]),
  ];
}

function growthRows(growth: Both<Growth>): string[][] {
  const both = (show: (of: Growth) => string) => SIDES.map((side) => show(growth[side]));
  const grown = (name: keyof Memory) => ({ before, after }: Growth) =>
    `${megabytes(before[name])} -> ${megabytes(after[name])}`;
  return [
    ["the burst: messages/s, relayed or queued", ...both(({ rate }) => rate.toFixed(0))],
    ["the burst: resident memory before and after, MB", ...both(grown("rssBytes"))],
    ["the burst: anonymous memory before and after, MB", ...both(grown("anonymousBytes"))],
  ];
}

function costRows(costs: Both<Costs>): string[][] {
  const both = (show: (of: Costs) => string) => SIDES.map((side) => show(costs[side]));
  const ms = (value: number | undefined) => value === undefined ? "" : value.toFixed(0);
  return [
    ["resident memory at the end, MB", ...both(({ memory }) => megabytes(memory.rssBytes))],
    ["anonymous memory at the end, MB", ...both(({ memory }) => megabytes(memory.anonymousBytes))],
    ["store, MB", ...both(({ storeBytes }) => megabytes(storeBytes))],
    ["`queue list --limit 20`, ms", ...both(({ listMs }) => ms(listMs))],
    ["`queue show ID`, ms", ...both(({ showMs }) => ms(showMs))],
    ["restart: start to `ready`, ms", ...both(({ readyMs }) => ms(readyMs))],
    ["restart: resident memory, MB", ...both(({ restartedMemory }) => megabytes(restartedMemory.rssBytes))],
    [
      "restart: anonymous memory, MB",
      ...both(({ restartedMemory }) => megabytes(restartedMemory.anonymousBytes)),
    ],
  ];
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}

// ---------------------------------------------------------------- hosts

/** Connections to it stand, since the kernel accepts them, and nobody ever looks at them. */
function startSilentHost(): () => void {
  const listener = Deno.listen({ hostname: DEAD.address, port: DEAD.port });
  return () => listener.close();
}

// ---------------------------------------------------------------- mail to the living host

/** Seconds from the first connection until the sink has all. */
async function relayed(
  appliance: Appliance,
  sink: CountingSink,
  { messages, octets }: { readonly messages: number; readonly octets: number },
): Promise<number> {
  const wanted = sink.count + messages;
  const started = performance.now();
  const [seconds] = await Promise.all([
    sink.reached(wanted, LIMIT_MS).then(() => (performance.now() - started) / 1000),
    smtpSource({
      port: appliance.smtpPort,
      from: `a@${appliance.domain}`,
      to: `b@${LIVE.domain}`,
      messages,
      octets,
      connections: "kept",
    }),
  ]);
  return seconds;
}

async function measureLive(
  appliance: Appliance,
  { sink, figures }: { readonly sink: CountingSink; readonly figures: Figures },
): Promise<void> {
  await output("sync", []);
  const usedMs = await processorMs(appliance.pid);
  figures.rates.push(
    ROUND_MESSAGES / await relayed(appliance, sink, { messages: ROUND_MESSAGES, octets: OCTETS.live }),
  );
  figures.processorMs.push((await processorMs(appliance.pid) - usedMs) / ROUND_MESSAGES);
  figures.latenciesMs.push(...await latencies(appliance, sink));
}

/** Milliseconds from the final dot of a message until the sink has it, one message after the other. */
async function latencies(appliance: Appliance, sink: CountingSink): Promise<number[]> {
  const body = `Subject: probe\r\n\r\n${`${"x".repeat(70)}\r\n`.repeat(50)}.\r\n`;
  const wire = await Wire.open(appliance.smtpPort);
  const found: number[] = [];
  try {
    await wire.expect(220);
    await wire.expect(250, "EHLO probe.test");
    for (let probe = 0; probe < PROBES_A_ROUND; probe++) {
      await wire.expect(250, `MAIL FROM:<a@${appliance.domain}>`);
      await wire.expect(250, `RCPT TO:<b@${LIVE.domain}>`);
      await wire.expect(354, "DATA");
      const wanted = sink.count + 1;
      const started = performance.now();
      const arrived = sink.reached(wanted, LIMIT_MS).then(() => performance.now() - started);
      await wire.write(body);
      const [latencyMs] = await Promise.all([arrived, wire.expect(250)]);
      found.push(latencyMs);
      await pause(PROBE_PAUSE_MS);
    }
    await wire.expect(221, "QUIT");
  } finally {
    wire.close();
  }
  return found;
}

// ---------------------------------------------------------------- mail to the dead host

/** Seconds until all are accepted. */
async function queueUp(appliance: Appliance, messages: number): Promise<number> {
  return await smtpSource({
    port: appliance.smtpPort,
    from: `a@${appliance.domain}`,
    to: `b@${DEAD.domain}`,
    messages,
    octets: OCTETS.dead,
    connections: "kept",
  });
}

interface QueueView {
  readonly total: number;
  readonly states: Readonly<Record<string, number>>;
  readonly recipients: readonly { readonly id: string }[];
}

async function queueView(appliance: Appliance): Promise<QueueView> {
  return JSON.parse(await appliance.command(["queue", "list", "--limit", "20", "--json"])) as QueueView;
}

/** Waits until all are in the queue, and were deferred but for some. */
async function untilWaiting(
  appliance: Appliance,
  { messages, unsettled }: { readonly messages: number; readonly unsettled: number },
): Promise<void> {
  const begun = performance.now();
  for (;;) {
    const { total, states } = await queueView(appliance);
    if (total === messages && (states["deferred"] ?? 0) >= messages - unsettled) return;
    if (performance.now() - begun > LIMIT_MS) {
      throw new Error(`of ${messages} messages ${total} are in the queue: ${JSON.stringify(states)}`);
    }
    await pause(1000);
  }
}

// ---------------------------------------------------------------- what it costs

/** The median of a few runs of a command, in milliseconds. */
async function commandMs(appliance: Appliance, args: readonly string[]): Promise<number> {
  const times: number[] = [];
  for (let run = 0; run < COMMAND_RUNS; run++) {
    const started = performance.now();
    await appliance.command(args);
    times.push(performance.now() - started);
  }
  return median(times);
}

/** Resident memory has pages of the program's file, which the kernel keeps as it likes; anonymous memory is its own alone. */
async function memoryOf(pid: number): Promise<Memory> {
  const field = (text: string, name: string): number => {
    const found = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(text);
    if (found === null) throw new Error(`/proc/${pid} has no ${name}`);
    return Number(found[1]) * 1024;
  };
  return {
    rssBytes: field(await Deno.readTextFile(`/proc/${pid}/status`), "VmRSS"),
    anonymousBytes: field(await Deno.readTextFile(`/proc/${pid}/smaps_rollup`), "Anonymous"),
  };
}

/** The database with its log of what is not merged into it yet. */
async function storeBytes({ folder }: ApplianceOptions): Promise<number> {
  let bytes = 0;
  for await (const { name } of Deno.readDir(`${folder}/data`)) {
    if (name.startsWith("emsmail.db")) bytes += (await Deno.stat(`${folder}/data/${name}`)).size;
  }
  return bytes;
}

/** What a process has used so far, of all processors together. */
async function processorMs(pid: number): Promise<number> {
  // proc(5): fields 14 and 15, in ticks of 10 ms; the name in brackets before them may hold blanks.
  const fields = (await Deno.readTextFile(`/proc/${pid}/stat`)).replace(/^.*\) /, "").split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
