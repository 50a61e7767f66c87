/**
 * Days of delivery in moments, replayable from a seed.
 *
 * Invariant (World.check): every accepted recipient ends exactly once as relayed, handed, delivered or failed; a host that said
 * 250 for it did so once; and what it said is on record. A message comes twice only where a host took it and could not say so.
 */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { backupTo, DAY, HOUR, inWorld, MINUTE, RETRY_MS, SECOND, World } from "./sim_world.ts";

/** That times lie `delays` apart, within the jitter of a tenth and `slackMs`. */
function assertSchedule(times: readonly number[], delays: readonly number[], slackMs = 2 * SECOND): void {
  for (const [at, delay] of delays.entries()) {
    const gap = times[at + 1]! - times[at]!;
    assert(
      gap >= delay * 0.9 && gap <= delay * 1.1 + slackMs,
      `try ${at + 2} came ${gap / MINUTE} minutes after the one before, not about ${delay / MINUTE}`,
    );
  }
}

Deno.test("Delivery tries a dead host by the schedule, tells of the delay once, and gives up after five days", async () => {
  await inWorld(1, async (world) => {
    const host = world.host("dead.test");
    host.up = false;
    const startMs = world.clock.nowMs();
    const key = await world.send({ to: ["bob@dead.test"] });
    await world.run(4 * HOUR - MINUTE);
    assertEquals(await world.notices(), []);
    await world.run(2 * MINUTE);
    assertEquals((await world.notices()).map(({ action }) => action), ["delayed"]);
    assertEquals(await world.states(key), ["deferred"]);
    await world.run(5 * DAY - 4 * HOUR - 2 * MINUTE);
    assertEquals((await world.notices()).map(({ action }) => action), ["delayed"]);
    await world.run(2 * MINUTE);
    const notices = await world.notices();
    assertEquals(notices.map(({ action }) => action), ["delayed", "failed"]);
    assertEquals(notices.map(({ atMs }) => Math.round((atMs - startMs) / HOUR)), [4, 120]);
    assertStringIncludes(notices[1]!.text, "Status: 4.4.7");
    assertStringIncludes(notices[1]!.text, "connection refused by 192.0.2.1:25");
    const fours = Array.from({ length: 20 }, () => 4 * HOUR);
    assertSchedule(host.dialled, [...RETRY_MS, ...fours]);
    const inAll = host.dialled.length;
    // Everything is forgotten: nobody tries any more, and the body is gone.
    await world.run(2 * DAY);
    assertEquals(host.dialled.length, inAll);
    assertEquals(await world.store.maildrops.part(key, 0), undefined);
    assertEquals(await world.store.deliveries.destinations(), []);
    await world.checkEnded();
  });
});

Deno.test("Delivery brings everything to a host that comes back after seven hours, in order, each once", async () => {
  await inWorld(2, async (world) => {
    const host = world.host("slow.test");
    host.up = false;
    const keys: number[] = [];
    for (let count = 0; count < 30; count++) {
      keys.push(await world.send({ to: ["bob@slow.test"] }));
      await world.run(MINUTE);
    }
    await world.run(7 * HOUR);
    assertEquals(host.accepted.length, 0);
    host.up = true;
    await world.run(4.5 * HOUR);
    const arrived = host.accepted.map(({ content }) => Number(/number (\d+)/.exec(content)![1]));
    assertEquals([...arrived].sort((a, b) => a - b), keys);
    assert(host.mostOpen <= 4);
    const actions = (await world.notices()).map(({ action }) => action);
    assertEquals(actions, keys.map(() => "delayed"));
    await world.checkEnded();
  });
});

Deno.test("Delivery passes greylisting at the second try", async () => {
  await inWorld(3, async (world) => {
    const host = world.host("grey.test");
    const seen = new Set<string>();
    host.script = ({ command }) => {
      if (!command.startsWith("RCPT") || seen.has(command)) return undefined;
      seen.add(command);
      return "451 4.7.1 come again";
    };
    const key = await world.send({ to: ["bob@grey.test"] });
    const startMs = world.clock.nowMs();
    await world.run(10 * MINUTE);
    assertEquals(await world.states(key), ["relayed"]);
    assertSchedule([startMs, host.accepted[0]!.atMs], [5 * MINUTE]);
    await world.checkEnded();
  });
});

Deno.test("Delivery judges each recipient by its own reply", async () => {
  await inWorld(4, async (world) => {
    const host = world.host("mixed.test");
    let busy = 2;
    host.script = ({ command }) => {
      if (command.includes("<no@")) return "550 5.1.1 nobody of that name";
      if (command.includes("<later@") && busy-- > 0) return "452 4.2.2 full";
      return undefined;
    };
    const key = await world.send({ to: ["yes@mixed.test", "no@mixed.test", "later@mixed.test"] });
    await world.run(MINUTE);
    assertEquals(await world.states(key), ["relayed", "failed", "deferred"]);
    const [notice] = await world.notices();
    assertStringIncludes(notice!.text, "Diagnostic-Code: smtp; 550 5.1.1 nobody of that name");
    assertStringIncludes(notice!.text, "no@mixed.test");
    await world.run(HOUR);
    assertEquals(await world.states(key), ["relayed", "failed", "relayed"]);
    assertEquals(host.accepted.map(({ recipients }) => recipients), [["yes@mixed.test"], [
      "later@mixed.test",
    ]]);
    assertEquals((await world.notices()).length, 1);
    await world.checkEnded();
  });
});

Deno.test("Delivery quotes the host's last words when it gives up after days of 4yz", async () => {
  await inWorld(5, async (world) => {
    const host = world.host("full.test");
    host.script = ({ command }) => command.startsWith("RCPT") ? "452 4.2.2 no room for bob" : undefined;
    await world.send({ to: ["bob@full.test"] });
    await world.run(5 * DAY + MINUTE);
    const failed = (await world.notices()).at(-1)!;
    assertEquals(failed.action, "failed");
    assertStringIncludes(failed.text, "S: 452 4.2.2 no room for bob");
    assertStringIncludes(failed.text, "Remote-MTA: dns; mx.full.test");
    // The host never said 550.
    assert(!/Diagnostic-Code/.test(failed.text));
    await world.checkEnded();
  });
});

Deno.test("Delivery returns in time what had to be there by then, and tells where telling was asked for", async () => {
  await inWorld(6, async (world) => {
    const host = world.host("dead.test");
    host.up = false;
    const byMs = world.clock.nowMs() + HOUR;
    const returned = await world.send({
      to: ["a@dead.test"],
      requests: { deliverBy: { byMs, mode: "return" } },
    });
    const told = await world.send({ to: ["b@dead.test"], requests: { deliverBy: { byMs, mode: "notify" } } });
    await world.run(HOUR + SECOND);
    assertEquals([await world.states(returned), await world.states(told)], [["failed"], ["deferred"]]);
    const notices = await world.notices();
    assertEquals(notices.map(({ action }) => action).sort(), ["delayed", "failed"]);
    assert(notices.some(({ text }) => text.includes("Status: 5.4.7")));
    await world.run(5 * DAY);
    assertEquals((await world.notices()).map(({ action }) => action).sort(), ["delayed", "failed", "failed"]);
    await world.checkEnded();
  });
});

Deno.test("Delivery keeps a message until its sender wants it to leave", async () => {
  await inWorld(7, async (world) => {
    const host = world.host("later.test");
    const holdUntilMs = world.clock.nowMs() + 2 * DAY;
    const key = await world.send({ to: ["bob@later.test", "alice@home.test"], requests: { holdUntilMs } });
    await world.run(2 * DAY - SECOND);
    assertEquals(await world.states(key), ["deferred", "deferred"]);
    await world.run(2 * SECOND);
    assertEquals(await world.states(key), ["relayed", "delivered"]);
    assertEquals(host.accepted.length, 1);
    assertEquals(await world.notices(), []);
    await world.checkEnded();
  });
});

Deno.test("Delivery hands what DNS can't route to the backup at once", async () => {
  await inWorld(8, async (world) => {
    world.backup = backupTo("192.0.2.99", "no-host");
    const buffer = world.hostAt("192.0.2.99");
    const key = await world.send({ to: ["bob@nowhere.test"] });
    await world.run(SECOND);
    assertEquals(await world.states(key), ["handed"]);
    assertEquals(buffer.accepted.length, 1);
    // What DNS said stands before what the backup said.
    const results = (await world.store.queue.attempts(key)).map(({ result }) => result);
    assertEquals(results.length, 2);
    assertMatch(results[0]!, /does not exist/);
    await world.checkEnded();
  });
});

Deno.test("Delivery takes the backup for hosts that stay unreachable, after the time that is set, and not before", async () => {
  await inWorld(9, async (world) => {
    world.backup = backupTo("192.0.2.99", "unreachable");
    world.settings = { ...world.settings, unreachableAfterMs: 6 * HOUR };
    const buffer = world.hostAt("192.0.2.99");
    world.host("dead.test").up = false;
    const key = await world.send({ to: ["bob@dead.test"] });
    await world.run(6 * HOUR - MINUTE);
    assertEquals(buffer.accepted.length, 0);
    await world.run(2 * MINUTE);
    assertEquals(await world.states(key), ["handed"]);
    assertEquals((await world.notices()).map(({ action }) => action), ["delayed"]);
    await world.checkEnded();
  });
});

Deno.test("Delivery gives the backup its own five days", async () => {
  await inWorld(10, async (world) => {
    world.backup = backupTo("192.0.2.99", "unreachable");
    world.settings = { ...world.settings, unreachableAfterMs: 6 * HOUR };
    const buffer = world.hostAt("192.0.2.99");
    buffer.up = false;
    world.host("dead.test").up = false;
    const key = await world.send({ to: ["bob@dead.test"] });
    await world.run(5 * DAY + HOUR);
    assertEquals(await world.states(key), ["deferred"]);
    await world.run(6 * HOUR);
    assertEquals(await world.states(key), ["failed"]);
    assertEquals((await world.notices()).map(({ action }) => action), ["delayed", "failed"]);
    await world.checkEnded();
  });
});

Deno.test("Delivery does what operators say meanwhile", async () => {
  await inWorld(11, async (world) => {
    const host = world.host("dead.test");
    host.up = false;
    const keys = [];
    for (const name of ["held", "dropped", "rerouted", "retried"]) {
      keys.push(await world.send({ to: [`${name}@dead.test`] }));
    }
    const [held, dropped, rerouted, retried] = keys as [number, number, number, number];
    await world.run(3 * HOUR);
    const { queue } = world.store;
    const other = world.hostAt("192.0.2.50");
    await queue.act({ keys: [held] }, { kind: "hold", detail: "held by a test" });
    await queue.act({ keys: [dropped] }, { kind: "drop", detail: "dropped by a test" });
    await queue.act({ keys: [rerouted] }, { kind: "reroute", host: "192.0.2.50:25" });
    await world.run(SECOND);
    assertEquals(other.accepted.map(({ recipients }) => recipients), [["rerouted@dead.test"]]);
    assertEquals(await world.states(rerouted), ["handed"]);
    host.up = true;
    await queue.act({ keys: [retried] }, { kind: "retry" });
    await world.run(SECOND);
    assertEquals(await world.states(retried), ["relayed"]);
    await world.run(5 * HOUR);
    assertEquals(await world.states(held), ["held"]);
    await queue.act({ keys: [held] }, { kind: "release" });
    await world.run(SECOND);
    assertEquals(await world.states(held), ["relayed"]);
    assertEquals(await world.states(dropped), ["dropped"]);
    assertEquals(await world.notices(), []);
    await world.checkEnded();
  });
});

Deno.test("Delivery does not send what was held while it waited in memory for a connection", async () => {
  await inWorld(12, async (world) => {
    const host = world.host("slow.test");
    world.settings = { ...world.settings, connectionsPerHost: 1 };
    host.script = ({ command }) => command === "." ? "silence" : undefined;
    const first = await world.send({ to: ["a@slow.test"] });
    const second = await world.send({ to: ["b@slow.test"] });
    await world.run(MINUTE);
    await world.store.queue.act({ keys: [second] }, { kind: "hold", detail: "held by a test" });
    await world.run(2 * MINUTE);
    host.script = () => undefined;
    await world.run(HOUR);
    assertEquals([await world.states(first), await world.states(second)], [["relayed"], ["held"]]);
    assert(host.accepted.every(({ recipients }) => !recipients.includes("b@slow.test")));
    await world.check();
  });
});

Deno.test("Delivery takes a rerouted recipient on though a try of it was under way", async () => {
  await inWorld(13, async (world) => {
    const host = world.host("slow.test");
    const other = world.hostAt("192.0.2.50");
    host.script = ({ command }) => command === "CONNECT" ? "silence" : undefined;
    const key = await world.send({ to: ["a@slow.test"] });
    await world.run(MINUTE);
    await world.store.queue.act({ keys: [key] }, { kind: "reroute", host: "192.0.2.50:25" });
    // Greetings may take five minutes; the next try of the old host would be five minutes later.
    await world.run(4 * MINUTE + 30 * SECOND);
    assertEquals(other.accepted.length, 1);
    await world.checkEnded();
  });
});

Deno.test("Delivery goes by the configuration of the day", async () => {
  await inWorld(14, async (world) => {
    const host = world.host("dead.test");
    host.up = false;
    const key = await world.send({ to: ["bob@dead.test"] });
    await world.run(DAY);
    world.settings = { ...world.settings, expireMs: 2 * DAY, retryMs: [10 * MINUTE] };
    await world.run(6 * HOUR);
    assertSchedule(host.dialled.slice(-5), Array(4).fill(10 * MINUTE));
    await world.run(DAY);
    assertEquals(await world.states(key), ["failed"]);
    await world.checkEnded();
  });
});

Deno.test("Delivery sends on what an alias stands for, and delivers what is here", async () => {
  await inWorld(15, async (world) => {
    const host = world.host("out.test");
    world.forwards.set("team@home.test", ["x@out.test", "y@out.test"]);
    const key = await world.send({ to: ["team@home.test", "alice@home.test", "ghost@home.test"] });
    await world.run(SECOND);
    assertEquals(await world.states(key), ["expanded", "delivered", "failed", "relayed", "relayed"]);
    assertEquals(host.accepted.map(({ recipients }) => [...recipients]), [["x@out.test", "y@out.test"]]);
    await world.checkEnded();
  });
});

Deno.test("Delivery sends a list's mail in its keeper's name, who is told what can't be delivered", async () => {
  await inWorld(20, async (world) => {
    const host = world.host("out.test");
    host.extensions = [...host.extensions, "DSN"];
    const commands: string[] = [];
    host.script = ({ command }) => {
      commands.push(command);
      return command.includes("<no@") ? "550 5.1.1 nobody of that name" : undefined;
    };
    world.lists.set("club@home.test", { owner: "alice@home.test", members: ["x@out.test", "no@out.test"] });
    const key = await world.send({
      from: "bob@out.test",
      to: ["club@home.test"],
      requests: { envid: "secret", ret: "FULL" },
      recipientRequests: [{ notify: ["success", "failure"], orcpt: "rfc822;club@home.test" }],
    });
    await world.run(MINUTE);
    assertEquals(await world.states(key), ["expanded", "relayed", "failed"]);
    const at = commands.findIndex((each) => each.startsWith("MAIL FROM:<alice@"));
    const ours = commands.slice(at, at + 3).sort();
    assertEquals(ours.map((each) => each.replace(/ (SIZE|BODY)=\S+/g, "")), [
      "MAIL FROM:<alice@home.test>",
      "RCPT TO:<no@out.test> NOTIFY=FAILURE",
      "RCPT TO:<x@out.test> NOTIFY=FAILURE",
    ]);
    // The keeper hears of the failure, and the sender that the list has it.
    assertEquals((await world.notices()).map(({ action }) => action), ["failed"]);
    const [told] = host.accepted.filter(({ recipients }) => recipients.includes("bob@out.test"));
    assertStringIncludes(told!.content, "Action: delivered");
    assertStringIncludes(told!.content, "Original-Envelope-Id: secret");
  });
});

Deno.test("Delivery keeps a list's members apart from others, though its keeper is the sender", async () => {
  await inWorld(21, async (world) => {
    const host = world.host("out.test");
    host.extensions = [...host.extensions, "DSN"];
    const commands: string[] = [];
    host.script = ({ command }) => void commands.push(command.replace(/ (SIZE|BODY)=\S+/g, ""));
    world.lists.set("club@home.test", { owner: "alice@home.test", members: ["x@out.test"] });
    world.forwards.set("team@home.test", ["y@out.test"]);
    host.up = false;
    const requests = { envid: "secret" };
    const key = await world.send({ to: ["club@home.test", "team@home.test", "z@out.test"], requests });
    await world.run(MINUTE);
    host.up = true;
    await world.run(HOUR);
    assertEquals((await world.states(key)).sort(), ["expanded", "expanded", "relayed", "relayed", "relayed"]);
    const ours = commands.filter((each) => /^(MAIL|RCPT)/.test(each));
    assertEquals(
      ours.filter((each) => each.startsWith("MAIL")).map((each) => each.includes("ENVID=secret")).sort(),
      [
        false,
        true,
      ],
    );
    const list = ours.findIndex((each) => each === "MAIL FROM:<alice@home.test>");
    assertEquals(ours[list + 1], "RCPT TO:<x@out.test> NOTIFY=FAILURE");
  });
});

Deno.test("Delivery sends each piece of a message by itself, and tells of its success once", async () => {
  await inWorld(19, async (world) => {
    const host = world.host("apart.test");
    world.host("whole.test");
    world.apart.add("apart.test");
    let busy = 1;
    host.script = ({ command }) => command === "." && busy-- > 0 ? "451 4.3.0 not now" : undefined;
    const notify = ["success", "failure"] as const;
    const key = await world.send({
      to: ["bob@apart.test", "eve@whole.test"],
      form: "sheet",
      recipientRequests: [{ notify }],
    });
    await world.run(MINUTE);
    assertEquals(await world.states(key), ["expanded", "relayed"]);
    const { pieces } = await world.history(key);
    const states = async () => (await Promise.all(pieces.map((piece) => world.states(piece)))).flat().sort();
    assertEquals(await states(), ["deferred", "relayed"]);
    await world.run(HOUR);
    assertEquals(await states(), ["relayed", "relayed"]);
    assertEquals((await world.notices()).map(({ action }) => action), ["relayed"]);
    await world.checkEnded();
  });
});

Deno.test("Delivery backs off from a host that greets and hangs up", async () => {
  for (const at of ["EHLO", "MAIL"]) {
    await inWorld(16, async (world) => {
      const host = world.host("rude.test");
      host.script = ({ command }) => command.startsWith(at) ? "drop" : undefined;
      for (let count = 0; count < 20; count++) await world.send({ to: [`u${count}@rude.test`] });
      await world.run(4 * MINUTE);
      assert(host.dialled.length <= 10, `${at}: ${host.dialled.length} connections in four minutes`);
      host.script = () => undefined;
      await world.run(5 * HOUR);
      assertEquals(host.accepted.length, 20);
      await world.checkEnded();
    });
  }
});

Deno.test("Delivery of other mail does not wait for one slow message", async () => {
  await inWorld(17, async (world) => {
    const host = world.host("slow.test");
    host.up = false;
    for (let count = 0; count < 500; count++) await world.send({ to: [`u${count}@slow.test`] });
    await world.run(4 * MINUTE);
    host.up = true;
    host.script = ({ command, recipients }) =>
      command === "." && recipients.includes("u7@slow.test") ? "silence" : undefined;
    await world.run(5 * MINUTE);
    assertEquals(host.accepted.filter(({ told }) => told === "yes").length, 499);
    await world.check();
    host.script = () => undefined;
    await world.run(DAY);
    await world.checkEnded();
  });
});

/** Chance decides what hosts do; then all is well, and everything must come to its end. */
async function chaos(world: World): Promise<void> {
  const { random } = world;
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random.fraction() * items.length)]!;
  const domains = ["a.test", "b.test", "c.test", "d.test"];
  const hosts = domains.map((domain) => world.host(domain));
  world.apart.add("c.test").add("d.test");
  let calm = false;
  world.storeFails = () => calm || random.fraction() > 0.05 ? "no" : pick(["before", "after"]);
  for (const host of hosts) {
    const trouble = random.fraction() * 0.15;
    host.script = ({ command }) => {
      if (calm || random.fraction() > trouble) return undefined;
      if (command === "QUIT") return undefined;
      const answers = ["drop", "451 4.3.0 not now", "421 4.3.2 going down", "silence", "nonsense"];
      // A refusal for good of a recipient is an end like another.
      return pick(command.startsWith("RCPT") ? [...answers, "550 5.1.1 no"] : answers);
    };
  }
  for (let count = 0; count < 40; count++) {
    const to = Array.from(
      { length: 1 + Math.floor(random.fraction() * 4) },
      (_, at) => `u${at}@${pick(domains)}`,
    );
    await world.send({ to: [...new Set(to)], form: count % 3 === 0 ? "sheet" : "text" });
    await world.run(random.fraction() * 20 * MINUTE);
    for (const host of hosts) if (random.fraction() < 0.1) host.up = !host.up;
    const action = pick([undefined, undefined, "retry", "hold", "release"] as const);
    if (action === "hold") {
      await world.store.queue.act({ domain: pick(domains) }, { kind: action, detail: "" });
    } else if (action !== undefined) await world.store.queue.act({}, { kind: action });
    if (count % 10 === 0) await world.check();
  }
  calm = true;
  for (const host of hosts) host.up = true;
  await world.store.queue.act({}, { kind: "release" });
  await world.run(DAY);
  await world.checkEnded();
}

const SEEDS = Deno.env.get("SEED") === undefined
  ? [101, 102, 103, 104, 105, 106]
  : [Number(Deno.env.get("SEED"))];
for (const seed of SEEDS) {
  Deno.test(`Delivery loses nothing and sends nothing twice, whatever hosts and operators do (SEED=${seed})`, async () => {
    await inWorld(seed, chaos);
  });
}

Deno.test("Delivery keeps little in memory of 10,000 messages for a dead host, and sends live mail at once", async () => {
  await inWorld(18, async (world) => {
    const dead = world.host("dead.test");
    dead.up = false;
    const live = world.host("live.test");
    const messages = Array.from({ length: 10_000 }, (_, at) => ({ to: [`u${at}@dead.test`] }));
    for (const message of messages) await world.send(message);
    await world.run(MINUTE);
    const startMs = world.clock.nowMs();
    const key = await world.send({ to: ["bob@live.test"] });
    await world.run(SECOND);
    assertEquals(await world.states(key), ["relayed"]);
    assertEquals(live.accepted[0]!.atMs - startMs, 0);
    assertEquals((await world.store.deliveries.waiting())[0]!.recipients, 10_000);
    assertEquals(dead.dialled.length, 1);
  });
});
