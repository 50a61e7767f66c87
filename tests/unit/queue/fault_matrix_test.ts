/**
 * The fault matrix: every fault at every stage, over real sockets, with what must come of it.
 *
 * Each cell is a message that a whole delivery sends to a host which does one thing wrong in its first connection and
 * nothing from then on. Asserted of each: the first verdict, how often the host had taken the message by then, how it ends,
 * how often the host has it in the end, how many tries are on record, and that the sender is told of a failure and of
 * nothing else. A message comes twice only where the host took it and did not say so.
 */
import { assertEquals } from "@std/assert";
import { BODY, inParallel, type Scene, startScene } from "./fault_fixture.ts";
import { type Act, FaultyHost, type Plan, type Stage } from "./faulty_host.ts";

interface Expected {
  readonly first: "relayed" | "deferred" | "failed";
  /** How often the host had taken it when the first verdict was there. */
  readonly gotThen: 0 | 1;
  readonly end: "relayed" | "failed";
  readonly got: 0 | 1 | 2;
  readonly tries: number;
}

interface Cell {
  readonly name: string;
  readonly plan: Plan;
  readonly expected: Expected;
}

const RELAYED: Expected = { first: "relayed", gotThen: 1, end: "relayed", got: 1, tries: 1 };
const LATER: Expected = { first: "deferred", gotThen: 0, end: "relayed", got: 1, tries: 2 };
/** The host took it and did not say so. */
const TWICE: Expected = { first: "deferred", gotThen: 1, end: "relayed", got: 2, tries: 2 };
const FAILED: Expected = { first: "failed", gotThen: 0, end: "failed", got: 0, tries: 1 };

const MODES: Readonly<Record<string, readonly string[]>> = {
  "one by one": ["SIZE 99999999", "8BITMIME"],
  "PIPELINING": ["PIPELINING", "SIZE 99999999", "8BITMIME"],
  "PIPELINING and CHUNKING": ["PIPELINING", "CHUNKING", "SIZE 99999999", "8BITMIME"],
};

/** What can be said wrong, whatever was asked. */
const NONSENSE: Readonly<Record<string, Act>> = {
  "garbage": { do: "say", text: "what do you want?\r\n", then: "hang" },
  "octets of all kinds": { do: "say", text: allOctets(), then: "hang" },
  "a line without an end": { do: "say", text: "250 " + "x".repeat(5_000), then: "hang" },
  "a reply that is never whole": { do: "say", text: "250-yes\r\n", then: "hang" },
  "a line that ends in LF alone": { do: "say", text: "250 ok\n", then: "hang" },
  "a line of 1 MB": { do: "say", text: `250 ${"x".repeat(1 << 20)}\r\n`, then: "hang" },
  "a reply of 1 MB": {
    do: "say",
    text: `${`250-${"x".repeat(996)}\r\n`.repeat(1 << 10)}250 ok\r\n`,
    then: "hang",
  },
  "10,000 lines": { do: "say", text: `${"250-ok\r\n".repeat(10_000)}250 ok\r\n`, then: "hang" },
  "1yz": { do: "say", text: "150 in a moment\r\n", then: "hang" },
  "6yz": { do: "say", text: "650 who knows\r\n", then: "hang" },
  "a code that changes": { do: "say", text: "250-ok\r\n550 no\r\n", then: "hang" },
  "an empty line": { do: "say", text: "\r\n", then: "hang" },
};

const SILENCE: Readonly<Record<string, Act>> = {
  "silence": { do: "hang" },
  "the end": { do: "close" },
  "a reset": { do: "reset" },
  "a reply that drips": { do: "drip", text: "250-one octet at a time\r\n", everyMs: 100 },
  "half a reply and the end": { do: "say", text: "25", then: "close" },
};

function allOctets(): Uint8Array {
  return Uint8Array.from({ length: 2_600 }, (_, i) => i % 26 === 25 ? 10 : (i * 7) % 256);
}

const say = (text: string, then?: "close" | "hang"): Act => ({ do: "say", text: `${text}\r\n`, then });

/** An act at a stage of the first connection. */
function once(stage: Stage, act: Act): NonNullable<Plan["act"]> {
  return (moment) => moment.connection === 1 && moment.stage === stage && moment.time === 1 ? act : undefined;
}

/** What breaks a session at a stage means this to the message. */
function broken(stage: Stage): Expected {
  if (stage === "quit") return RELAYED;
  return stage === "end" ? TWICE : LATER;
}

function cellsOf(mode: string, extensions: readonly string[]): Cell[] {
  const chunks = extensions.includes("CHUNKING");
  const stages: Stage[] = [
    "greeting",
    "ehlo",
    "mail",
    "rcpt",
    ...chunks ? [] : ["data" as const],
    "end",
    "quit",
  ];
  const cells: Cell[] = [];
  const add = (what: string, stage: Stage, act: Act, expected: Expected) =>
    cells.push({
      name: `${mode}: ${what} at ${stage}`,
      plan: { extensions, act: once(stage, act) },
      expected,
    });
  for (const stage of stages) {
    for (const [what, act] of Object.entries({ ...NONSENSE, ...SILENCE })) {
      add(what, stage, act, broken(stage));
    }
    const good = stage === "quit";
    add("3yz", stage, say(stage === "data" ? "350 go on" : "354 go on", "hang"), broken(stage));
    if (stage === "data") add("200", stage, say("200 ok", "hang"), LATER);
    add("4yz", stage, say("450 4.2.0 not now"), good ? RELAYED : LATER);
    add(
      "4yz in lines",
      stage,
      say("451-4.3.0 not\r\n451-4.3.0 really\r\n451 4.3.0 now"),
      good ? RELAYED : LATER,
    );
    add("5yz", stage, say("550 5.7.1 never"), good ? RELAYED : FAILED);
    add("5yz and the end", stage, say("554 5.7.1 never", "close"), good ? RELAYED : FAILED);
    add("421", stage, say("421 4.3.2 closing", "close"), good ? RELAYED : LATER);
    add("421 and no end", stage, say("421 4.3.2 closing", "hang"), good ? RELAYED : LATER);
    add(
      "421 that comes in octets of two segments",
      stage,
      { do: "say", text: "42", then: "close" },
      broken(stage),
    );
  }
  add("silence", "connect", { do: "hang" }, LATER);
  add("the end", "connect", { do: "close" }, LATER);
  add("a reset", "connect", { do: "reset" }, LATER);
  for (const what of ["the end", "a reset"] as const) add(what, "content", SILENCE[what]!, LATER);
  add("EHLO unknown", "ehlo", say("500 what?"), RELAYED);
  add("EHLO unknown", "ehlo", say("502 5.5.1 not here"), RELAYED);
  // RFC 5321 4.5.3.1.10: too many recipients, by the old code.
  add("552", "rcpt", say("552 5.5.3 too many"), LATER);
  add("251", "rcpt", say("251 2.1.5 I forward it"), RELAYED);
  add("252", "rcpt", say("252 2.1.5 perhaps"), RELAYED);
  return cells;
}

/** Plays a message against a plan. */
async function play(
  plan: Plan,
): Promise<
  {
    readonly host: FaultyHost;
    readonly scene: Scene;
    readonly key: number;
    readonly gotThen: number;
    readonly states: readonly string[];
  }
> {
  const host = await FaultyHost.start(plan);
  const scene = await startScene({ port: host.port });
  let gotThen = -1;
  scene.onFirst = () => gotThen = host.got.length;
  try {
    const key = await scene.send();
    const states = await scene.ended(key);
    return { host, scene, key, gotThen, states };
  } catch (error) {
    await scene.stop();
    await host.stop();
    throw error;
  }
}

async function check({ name, plan, expected }: Cell): Promise<string | undefined> {
  try {
    const { host, scene, key, gotThen, states } = await play(plan);
    try {
      const first = scene.firsts.get(key)!;
      const found = {
        first: first.kinds.join(),
        gotThen,
        end: states.join(),
        got: host.got.length,
        tries: (await scene.attempts(key)).length,
      };
      assertEquals(found, { ...expected });
      for (const { text, recipients } of host.got) {
        assertEquals({ text, recipients }, { text: BODY, recipients: ["user@example.org"] });
      }
      for (const { result, host, durationMs } of await scene.attempts(key)) {
        assertEquals({ isTold: result !== "", host, isTimed: durationMs >= 0 }, {
          isTold: true,
          host: "mail.example.org",
          isTimed: true,
        });
      }
      await noticesAre(scene, expected.end === "failed" ? 1 : 0);
    } finally {
      await scene.stop();
      await host.stop();
    }
    return undefined;
  } catch (error) {
    return `${name}: ${error instanceof Error ? error.message : error}`;
  }
}

async function noticesAre(scene: Scene, count: number): Promise<void> {
  for (let tries = 0; tries < 500 && await scene.notices() < count; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 3));
  }
  assertEquals(await scene.notices(), count, "notifications to the sender");
}

let total = 0;

async function checkAll(cells: readonly Cell[], atATime = 40): Promise<void> {
  const wrong: string[] = [];
  await inParallel(cells, atATime, async (cell) => {
    const problem = await check(cell);
    if (problem !== undefined) wrong.push(problem);
  });
  total += cells.length;
  if (wrong.length > 0) {
    throw new Error(`${wrong.length} of ${cells.length} cells:\n${wrong.slice(0, 20).join("\n")}`);
  }
}

Deno.test("SmtpCourier meets every fault at every stage, in all modes", async () => {
  // All modes together: most of the time is the silence that some cells wait for.
  const cells = Object.entries(MODES).flatMap(([mode, extensions]) => cellsOf(mode, extensions));
  // Faults times stages times modes: one that drops out is missed.
  assertEquals(cells.length > 500, true, `${cells.length} cells`);
  await checkAll(cells, 60);
});

for (const [mode, extensions] of Object.entries(MODES)) {
  Deno.test(`SmtpCourier meets the connection's end at each octet of the dialogue, ${mode}`, async () => {
    // What a host says that does nothing wrong.
    const { host, scene } = await play({ extensions });
    await scene.stop();
    await host.stop();
    const ends = host.said.filter(({ connection }) => connection === 1);
    const taken = ends.find(({ stage }) => stage === "end")!.endsAt;
    const before = ends.filter(({ endsAt }) => endsAt < taken).at(-1)!.endsAt;
    const cells: Cell[] = [];
    for (let octets = 1; octets <= ends.at(-1)!.endsAt; octets++) {
      const expected = octets >= taken ? RELAYED : octets > before ? TWICE : LATER;
      cells.push({
        name: `${mode}: the end after ${octets} octets`,
        plan: { extensions, cut: { connection: 1, octets } },
        expected,
      });
    }
    await checkAll(cells);
  });

  Deno.test(`SmtpCourier meets the connection's end after each line it sends, ${mode}`, async () => {
    const isChunked = extensions.includes("CHUNKING");
    // EHLO, MAIL, RCPT, then DATA, five lines and a dot; or BDAT and five lines, the last of which ends it; QUIT.
    const last = isChunked ? 4 + 5 : 4 + 5 + 1;
    const cells: Cell[] = [];
    for (let lines = 1; lines <= last + 1; lines++) {
      cells.push({
        name: `${mode}: the end after ${lines} lines`,
        plan: { extensions, dropAfterLines: { connection: 1, lines } },
        expected: lines > last ? RELAYED : lines === last ? TWICE : LATER,
      });
    }
    await checkAll(cells);
  });
}

Deno.test.afterAll(() => console.log(`fault matrix: ${total} cells`));
