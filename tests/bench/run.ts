/**
 * `make bench`: EMSmail beside Debian's Postfix + Dovecot, same load, alternating rounds, ratios; then what mail for a dead
 * host costs EMSmail (deadhost.ts), and taking a large message apart beside two parsers from npm (mime.ts).
 *
 *   deno run -A tests/bench/run.ts [--rounds N] [--only NAME] [--dead N] [--postal]
 *
 * Both sides are durable: EMSmail commits with fsync before 250, Postfix queues and Dovecot delivers with fsync. Load and
 * servers share the machine, so only the ratios say something: each is taken between two rounds that follow each other,
 * and printed as median (min to max). `--only` takes the measures whose name holds a word; `--only deadhost` is the dead
 * host alone, for which `--dead` says how many messages wait (100000), and `--only mime` the parsers. `--postal` adds a minute of postal and of rabid for
 * each side.
 *
 * @module
 */
import { startAppliance } from "./appliance.ts";
import { measureDeadHosts } from "./deadhost.ts";
import { measureMime } from "./mime.ts";
import {
  CONNECTIONS,
  type CountingSink,
  output,
  smtpSource,
  spread,
  startCountingSink,
  table,
} from "./load.ts";
import { peerAvailable, startPeer } from "./peer.ts";

/** u0 to u59 have messages to fetch, u60 takes what the SMTP measures send, u100 to u159 are polled and empty. */
const USERS = 160;
const FETCHING = { format: "u%d", users: 60 };
const POLLED = { format: "u1%02d", users: 60 };
const SINK = "u60";
/** Mail for it is relayed, on each side to a sink of its own. */
const RELAYED_DOMAIN = "sink.test";
const SINKS = [{ address: "127.0.6.1", port: 24125 }, { address: "127.0.6.2", port: 23125 }] as const;
const MESSAGE_OCTETS = 4096;
const FETCH_OCTETS = 8192;
const FETCH_MESSAGES = 50;
const FETCH_SECONDS = 4;
/** After which a relayed message counts as lost, in milliseconds. */
const RELAY_MS = 300_000;

interface Side {
  readonly name: string;
  readonly smtpPort: number;
  readonly pop3Port: number;
  readonly domain: string;
  readonly sink: CountingSink;
  drained(): Promise<void>;
}

interface Measure {
  readonly name: string;
  readonly unit: string;
  /** The ratio this project set out to reach. */
  readonly goal: number;
  /** Whether it fetches what `fill` put into maildrops. */
  readonly fetches: "yes" | "no";
  run(side: Side): Promise<number>;
}

interface SmtpLoad {
  readonly connections: "kept" | "fresh";
  readonly messages: number;
}

/** Messages a second that a server takes from smtp-source, with a connection for each message or kept ones. */
async function smtpAccept(side: Side, load: SmtpLoad): Promise<number> {
  const { smtpPort: port, domain } = side;
  const seconds = await smtpSource({
    ...load,
    port,
    from: `a@${domain}`,
    to: `${SINK}@${domain}`,
    octets: MESSAGE_OCTETS,
  });
  await side.drained();
  return load.messages / seconds;
}

/** Messages a second from smtp-source through a server to smtp-sink: from the first connection to the last final dot. */
async function relay(side: Side, load: SmtpLoad): Promise<number> {
  const { smtpPort: port, domain, sink } = side;
  const before = sink.count;
  const started = performance.now();
  const sending = smtpSource({
    ...load,
    port,
    from: `a@${domain}`,
    to: `b@${RELAYED_DOMAIN}`,
    octets: MESSAGE_OCTETS,
  });
  const [seconds] = await Promise.all([
    sink.reached(before + load.messages, RELAY_MS).then(() => (performance.now() - started) / 1000),
    sending,
  ]);
  await side.drained();
  const taken = sink.count - before;
  if (taken !== load.messages) throw new Error(`${side.name} relayed ${taken} of ${load.messages} messages`);
  return load.messages / seconds;
}

interface Load {
  /** Which accounts log in, each connection those of its own. */
  readonly accounts: { readonly format: string; readonly users: number };
  readonly messages: number;
  readonly seconds: number;
}

interface Fetched {
  readonly sessions: number;
  readonly messages: number;
}

async function pop3Load(side: Side, options: Load): Promise<Fetched> {
  const said = await output(`${work}/pop3load`, [
    "127.0.0.1",
    `${side.pop3Port}`,
    `${options.accounts.format}@${side.domain}`,
    "secret",
    `${options.accounts.users}`,
    `${CONNECTIONS}`,
    `${options.seconds}`,
    `${options.messages}`,
  ]);
  const found = /sessions\/s (\d+) retr\/s (\d+) .*errors (\d+)/.exec(said);
  if (found === null || found[3] !== "0") throw new Error(`pop3load on ${side.name}: ${said}`);
  return { sessions: Number(found[1]), messages: Number(found[2]) };
}

const measures: readonly Measure[] = [
  {
    name: "SMTP accept, fresh connections",
    unit: "messages/s",
    goal: 4,
    fetches: "no",
    run: (side) => smtpAccept(side, { connections: "fresh", messages: 3000 }),
  },
  {
    name: "SMTP accept, kept connections",
    unit: "messages/s",
    goal: 6,
    fetches: "no",
    run: (side) =>
      smtpAccept(side, { connections: "kept", messages: side.name === "EMSmail" ? 12_000 : 3000 }),
  },
  {
    name: "relay, fresh connections",
    unit: "messages/s",
    goal: 4,
    fetches: "no",
    run: (side) => relay(side, { connections: "fresh", messages: 3000 }),
  },
  {
    name: "relay, kept connections",
    unit: "messages/s",
    goal: 4,
    fetches: "no",
    run: (side) => relay(side, { connections: "kept", messages: 3000 }),
  },
  {
    name: "POP3 log-ins (USER, PASS, STAT, UIDL, QUIT; empty maildrop)",
    unit: "sessions/s",
    goal: 8,
    fetches: "yes",
    run: async (side) =>
      (await pop3Load(side, { accounts: POLLED, messages: 0, seconds: FETCH_SECONDS })).sessions,
  },
  {
    name: "POP3 RETR of 8 kB (50 a session)",
    unit: "messages/s",
    goal: 5,
    fetches: "yes",
    run: async (side) =>
      (await pop3Load(side, { accounts: FETCHING, messages: FETCH_MESSAGES, seconds: FETCH_SECONDS }))
        .messages,
  },
];

/** Fills the maildrops that are fetched from. */
async function fill(side: Side): Promise<void> {
  console.log(
    `${side.name}: filling ${FETCHING.users} maildrops with ${FETCH_MESSAGES} messages of ${FETCH_OCTETS} octets`,
  );
  for (let user = 0; user < FETCHING.users; user++) {
    await smtpSource({
      port: side.smtpPort,
      from: `a@${side.domain}`,
      to: `u${user}@${side.domain}`,
      messages: FETCH_MESSAGES,
      octets: FETCH_OCTETS,
      connections: "kept",
      sessions: 5,
    });
  }
  await side.drained();
  // Every account logs in once before anything is counted, since EMSmail's first log-in costs a scrypt.
  for (const accounts of [FETCHING, POLLED]) await pop3Load(side, { accounts, messages: 1, seconds: 10 });
}

/** Takes turns; gives a measure's row of the table. */
async function compare(measure: Measure, sides: readonly Side[], rounds: number): Promise<string[]> {
  const figures = sides.map(() => [] as number[]);
  for (let round = 0; round < rounds; round++) {
    for (const [index, side] of sides.entries()) {
      // What the other side left to be written must not be paid for by this one.
      await output("sync", []);
      figures[index]!.push(await measure.run(side));
    }
    console.log(
      `${measure.name}, round ${round + 1}: ${figures.map((of) => of.at(-1)!.toFixed(0)).join(" / ")}`,
    );
  }
  const ratios = figures.length > 1 ? figures[0]!.map((value, round) => value / figures[1]![round]!) : [];
  const cells = [measure.name, measure.unit, ...figures.map((of) => spread(of, 0))];
  return ratios.length > 0 ? [...cells, spread(ratios, 1), `${measure.goal}`] : cells;
}

/** A minute of postal (mail in) or rabid (mail out), as their own figures for the minute. */
async function postal(side: Side, program: "postal" | "rabid"): Promise<string> {
  const users = `${work}/postal-users`;
  await Deno.writeTextFile(
    users,
    Array.from(
      { length: FETCHING.users },
      (_, i) => `u${i}@${side.domain}${program === "rabid" ? " secret" : ""}\n`,
    ).join(""),
  );
  const args = program === "postal"
    ? ["-m", "10", "-t", "10", "-c", "20", "-r", "1000000", `[127.0.0.1]${side.smtpPort}`, users]
    : ["-p", "10", "-r", "1000000", "-d", "100:0", `[127.0.0.1]${side.pop3Port}`, users];
  // postal and rabid leave logs where they are started.
  const said = (await output("timeout", ["65", program, ...args], { cwd: work })).split("\n");
  // rabid picks accounts at random, and so meets its own lock now and then: that is counted, not printed each time.
  const refused = said.filter((line) => line.includes("[IN-USE]")).length;
  return [
    ...said.filter((line) => !line.startsWith("Server error")),
    `${refused} sessions met a maildrop in use`,
  ].join("\n");
}

/** Both sides with their sinks, as long as `run` lasts. */
async function withSides(run: (sides: readonly Side[]) => Promise<void>): Promise<void> {
  const stops: (() => Promise<void>)[] = [];
  try {
    const sides: Side[] = [];
    const sinks: CountingSink[] = [];
    for (const at of await peerAvailable() ? SINKS : SINKS.slice(0, 1)) {
      const sink = await startCountingSink(at);
      sinks.push(sink);
      stops.push(() => sink.stop());
    }
    const relays = SINKS.map((at) => [{ domain: RELAYED_DOMAIN, ...at }]);
    const appliance = await startAppliance({ users: USERS, folder: `${work}/appliance`, relays: relays[0] });
    stops.push(() => appliance.stop());
    sides.push({ name: "EMSmail", ...appliance, sink: sinks[0]! });
    if (sinks.length > 1) {
      const peer = await startPeer(USERS, { relays: relays[1] });
      stops.push(() => peer.stop());
      sides.push({ name: "Postfix + Dovecot", ...peer, sink: sinks[1]! });
    } else console.log("Postfix and Dovecot are not here, or this is not root: EMSmail alone is measured.");
    await run(sides);
  } finally {
    for (const stop of stops.reverse()) await stop();
  }
}

function flag(name: string): string | undefined {
  const at = Deno.args.indexOf(name);
  return at < 0 ? undefined : Deno.args[at + 1];
}

const rounds = Number(flag("--rounds")) || 5;
const only = flag("--only");
const deadMessages = Number(flag("--dead")) || 100_000;
const chosen = measures.filter(({ name }) => only === undefined || name.includes(only));
const work = await Deno.makeTempDir({ prefix: "emsmail-bench-" });
const folder = new URL(".", import.meta.url).pathname;
try {
  if (chosen.length > 0) {
    const compiled = await new Deno.Command("gcc", {
      args: ["-O2", "-o", `${work}/pop3load`, `${folder}pop3load.c`],
    }).output();
    if (!compiled.success) throw new Error("gcc could not make pop3load; install gcc");
    await withSides(async (sides) => {
      const postalToo = Deno.args.includes("--postal");
      if (postalToo || chosen.some(({ fetches }) => fetches === "yes")) {
        for (const side of sides) await fill(side);
      }
      const rows: string[][] = [];
      for (const measure of chosen) rows.push(await compare(measure, sides, rounds));
      const heads = ["measure", "unit", ...sides.map(({ name }) => name)];
      if (sides.length > 1) heads.push("ratio", "goal");
      console.log(`\n${table(heads, rows)}`);
      for (const side of postalToo ? sides : []) {
        for (const program of ["postal", "rabid"] as const) {
          console.log(`\n${program} on ${side.name}\n${(await postal(side, program)).trim()}`);
        }
      }
    });
  }
  if (only === undefined || only === "deadhost") {
    console.log(`\n${await measureDeadHosts({ folder: work, messages: deadMessages, rounds })}`);
  }
  if (only === undefined || only === "mime") {
    console.log(`\n${await measureMime({ folder: work, rounds })}`);
  }
} finally {
  await Deno.remove(work, { recursive: true });
}
