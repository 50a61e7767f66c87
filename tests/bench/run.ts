/**
 * `make bench`: EMSmail beside Debian's Postfix + Dovecot, same load, alternating rounds, ratios.
 *
 *   deno run -A tests/bench/run.ts [--rounds N] [--only NAME] [--postal]
 *
 * Both sides are durable: EMSmail commits with fsync before 250, Postfix queues and Dovecot delivers with fsync. Load and
 * servers share the machine, so only the ratios say something: each is taken between two rounds that follow each other,
 * and printed as median (min to max). `--postal` adds a minute of postal and of rabid for each side.
 *
 * @module
 */
import { peerAvailable, startPeer } from "./peer.ts";
import { type Appliance, startAppliance } from "./appliance.ts";

/** u0 to u59 have messages to fetch, u60 takes what the SMTP measures send, u100 to u159 are polled and empty. */
const USERS = 160;
const FETCHING = { format: "u%d", users: 60 };
const POLLED = { format: "u1%02d", users: 60 };
const SINK = "u60";
const CONNECTIONS = 20;
const MESSAGE_OCTETS = 4096;
const FETCH_OCTETS = 8192;
const FETCH_MESSAGES = 50;
const FETCH_SECONDS = 4;

interface Side {
  readonly name: string;
  readonly smtpPort: number;
  readonly pop3Port: number;
  readonly domain: string;
  drained(): Promise<void>;
}

interface Measure {
  readonly name: string;
  readonly unit: string;
  /** The ratio this project set out to reach. */
  readonly goal: number;
  run(side: Side): Promise<number>;
}

async function output(command: string, args: readonly string[]): Promise<string> {
  const { stdout, stderr } = await new Deno.Command(command, {
    args: [...args],
    // postal and rabid leave logs where they are started.
    cwd: work,
    env: { PATH: `${Deno.env.get("PATH") ?? ""}:/usr/sbin` },
  }).output();
  return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
}

/** Messages a second that a server takes from smtp-source, with a connection for each message or kept ones. */
async function smtpAccept(
  side: Side,
  options: { readonly kept: boolean; readonly messages: number },
): Promise<number> {
  const args = [
    "-s",
    `${CONNECTIONS}`,
    "-m",
    `${options.messages}`,
    "-l",
    `${MESSAGE_OCTETS}`,
    "-f",
    `a@${side.domain}`,
  ];
  if (options.kept) args.push("-d");
  const started = performance.now();
  const said = await output("smtp-source", [
    ...args,
    "-t",
    `${SINK}@${side.domain}`,
    `127.0.0.1:${side.smtpPort}`,
  ]);
  const seconds = (performance.now() - started) / 1000;
  if (said.trim() !== "") throw new Error(`smtp-source: ${said}`);
  await side.drained();
  return options.messages / seconds;
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
    run: (side) => smtpAccept(side, { kept: false, messages: 3000 }),
  },
  {
    name: "SMTP accept, kept connections",
    unit: "messages/s",
    goal: 6,
    run: (side) => smtpAccept(side, { kept: true, messages: side.name === "EMSmail" ? 12_000 : 3000 }),
  },
  {
    name: "POP3 log-ins (USER, PASS, STAT, UIDL, QUIT; empty maildrop)",
    unit: "sessions/s",
    goal: 8,
    run: async (side) =>
      (await pop3Load(side, { accounts: POLLED, messages: 0, seconds: FETCH_SECONDS })).sessions,
  },
  {
    name: "POP3 RETR of 8 kB (50 a session)",
    unit: "messages/s",
    goal: 5,
    run: async (side) =>
      (await pop3Load(side, { accounts: FETCHING, messages: FETCH_MESSAGES, seconds: FETCH_SECONDS }))
        .messages,
  },
];

/** Fills the maildrops that are fetched from. */
async function fill(side: Side): Promise<void> {
  for (let user = 0; user < FETCHING.users; user++) {
    const said = await output("smtp-source", [
      ...["-d", "-s", "5", "-m", `${FETCH_MESSAGES}`, "-l", `${FETCH_OCTETS}`, "-f", `a@${side.domain}`],
      ...["-t", `u${user}@${side.domain}`, `127.0.0.1:${side.smtpPort}`],
    ]);
    if (said.trim() !== "") throw new Error(`smtp-source: ${said}`);
  }
  await side.drained();
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function spread(values: readonly number[], digits: number): string {
  const show = (value: number) => value.toFixed(digits);
  return `${show(median(values))} (${show(Math.min(...values))} to ${show(Math.max(...values))})`;
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
  const said = (await output("timeout", ["65", program, ...args])).split("\n");
  // rabid picks accounts at random, and so meets its own lock now and then: that is counted, not printed each time.
  const refused = said.filter((line) => line.includes("[IN-USE]")).length;
  return [
    ...said.filter((line) => !line.startsWith("Server error")),
    `${refused} sessions met a maildrop in use`,
  ].join("\n");
}

const flags = Deno.args;
const rounds = Number(flags[flags.indexOf("--rounds") + 1] ?? NaN) || 5;
const only = flags.includes("--only") ? flags[flags.indexOf("--only") + 1] : undefined;
const work = await Deno.makeTempDir({ prefix: "emsmail-bench-" });
const folder = new URL(".", import.meta.url).pathname;
const compiled = await new Deno.Command("gcc", {
  args: ["-O2", "-o", `${work}/pop3load`, `${folder}pop3load.c`],
}).output();
if (!compiled.success) throw new Error("gcc could not make pop3load; install gcc");

const appliance: Appliance = await startAppliance({ users: USERS, folder: work });
const peer = await peerAvailable() ? await startPeer(USERS) : undefined;
try {
  const sides: Side[] = [{ name: "EMSmail", ...appliance }];
  if (peer !== undefined) sides.push({ name: "Postfix + Dovecot", ...peer });
  else console.log("Postfix and Dovecot are not here, or this is not root: EMSmail alone is measured.");
  console.log(
    `filling ${FETCHING.users} maildrops with ${FETCH_MESSAGES} messages of ${FETCH_OCTETS} octets`,
  );
  for (const side of sides) {
    await fill(side);
    // Every account logs in once before anything is counted, since EMSmail's first log-in costs a scrypt.
    for (const accounts of [FETCHING, POLLED]) await pop3Load(side, { accounts, messages: 1, seconds: 10 });
  }
  const rows: string[] = [];
  for (const measure of measures.filter(({ name }) => only === undefined || name.includes(only))) {
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
    if (ratios.length > 0) cells.push(spread(ratios, 1), `${measure.goal}`);
    rows.push(`| ${cells.join(" | ")} |`);
  }
  const heads = ["measure", "unit", ...sides.map(({ name }) => name)];
  if (sides.length > 1) heads.push("ratio", "goal");
  console.log(`\n| ${heads.join(" | ")} |\n|${heads.map(() => "---|").join("")}\n${rows.join("\n")}`);
  if (flags.includes("--postal")) {
    for (const side of sides) {
      for (const program of ["postal", "rabid"] as const) {
        console.log(`\n${program} on ${side.name}\n${(await postal(side, program)).trim()}`);
      }
    }
  }
} finally {
  await appliance.stop();
  await peer?.stop();
  await Deno.remove(work, { recursive: true });
}
