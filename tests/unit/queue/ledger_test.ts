import { assert, assertEquals } from "@std/assert";
import { FakeClock } from "../../../src/base/clock.ts";
import type { MessageRequests, NotifyEvent } from "../../../src/mail/envelope.ts";
import { reply } from "../../../src/mail/reply.ts";
import { Ledger, type Notice, replyText, toldOf, type Verdict } from "../../../src/queue/ledger.ts";
import type { AcceptedMessage, QueuedMessage, QueuedRecipient, Wait } from "../../../src/store/types.ts";
import { gate } from "../server/fixture.ts";
import { message as accepted } from "../store/fixtures.ts";
import { failing, Played, queued, type QueuedOptions, settle, START_MS } from "./queue_fixture.ts";

const HOUR = 3_600_000;

function ledger(options: { compose?: (notices: readonly Notice[]) => Promise<AcceptedMessage> } = {}) {
  const clock = new FakeClock(START_MS);
  const deliveries = new Played();
  const notices: Notice[][] = [];
  const settled: [number, number, Wait | undefined][] = [];
  const made = new Ledger({
    deliveries,
    clock,
    policy: () => ({
      retryMs: [1000],
      expireMs: 120 * HOUR,
      delayNoticeMs: 4 * HOUR,
      unreachableAfterMs: 6 * HOUR,
    }),
    compose: (_, group) => {
      notices.push([...group]);
      return options.compose?.(group) ?? Promise.resolve(accepted(900 + notices.length));
    },
    settled: (key, index, wait) => void settled.push([key, index, wait]),
  });
  return { clock, deliveries, notices, settled, ledger: made };
}

type Kind = "delivered" | "expanded" | "relayed" | "relayed without DSN" | "handed" | "failed" | "deferred";

function verdict(kind: Kind, recipient: QueuedRecipient): Verdict {
  const ok = reply(250, "2.0.0", "taken");
  switch (kind) {
    case "delivered":
    case "expanded":
      return {
        kind: "delivered",
        recipient,
        deliverTo: kind === "delivered" ? [{ account: 1, trace: new Uint8Array(), size: 100 }] : [],
        expandedTo: kind === "expanded" ? [{ recipient: "other@example.test" }] : [],
        detail: "",
        accounts: "",
      };
    case "relayed":
      return { kind: "relayed", recipient, by: "mx.test [192.0.2.1]", reply: ok, dsn: "passed-on" };
    case "relayed without DSN":
      return { kind: "relayed", recipient, by: "mx.test [192.0.2.1]", reply: ok, dsn: "not-supported" };
    case "handed":
      return { kind: "handed", recipient, by: "isp.test [192.0.2.1]", reply: ok, dsn: "not-supported" };
    case "failed":
      return { kind, recipient, reply: reply(550, "5.1.1", "no"), by: "mx.test", dialogue: "S: 550 no" };
    case "deferred":
      return {
        kind,
        recipient,
        reason: "no answer",
        destination: "example.test",
        dueMs: START_MS + 5 * HOUR,
        tried: "yes",
        unreachable: "yes",
        backup: undefined,
        by: "",
        dialogue: "S: 4",
      };
  }
}

async function actions(kind: Kind, options: QueuedOptions, atMs = START_MS) {
  const world = ledger();
  await world.clock.advance(atMs - START_MS);
  const message = queued(7, options);
  await world.ledger.settle([{ message, verdicts: message.recipients.map((one) => verdict(kind, one)) }]);
  assertEquals(world.notices.length, world.deliveries.recorded[0]!.reports!.length);
  return {
    states: world.deliveries.outcomes.map(({ state }) => state),
    told: world.notices.flat().map(({ action }) => action),
  };
}

Deno.test("Ledger tells the sender what was asked for, for every verdict and every NOTIFY", async () => {
  const all: (readonly NotifyEvent[] | undefined)[] = [undefined, [], ["success"], ["failure"], ["delay"]];
  const table: {
    kind: Kind;
    atMs?: number;
    state: string;
    told: string;
    on: readonly (readonly NotifyEvent[] | undefined)[];
  }[] = [
    { kind: "delivered", state: "delivered", told: "delivered", on: [["success"]] },
    { kind: "expanded", state: "expanded", told: "", on: [] },
    { kind: "relayed", state: "relayed", told: "", on: [] },
    { kind: "relayed without DSN", state: "relayed", told: "relayed", on: [["success"]] },
    { kind: "handed", state: "handed", told: "relayed", on: [["success"]] },
    { kind: "failed", state: "failed", told: "failed", on: [undefined, ["failure"]] },
    { kind: "deferred", state: "deferred", told: "", on: [] },
    {
      kind: "deferred",
      atMs: START_MS + 4 * HOUR,
      state: "deferred",
      told: "delayed",
      on: [undefined, ["delay"]],
    },
    {
      kind: "deferred",
      atMs: START_MS + 120 * HOUR,
      state: "failed",
      told: "failed",
      on: [undefined, ["failure"]],
    },
  ];
  for (const { kind, atMs, state, told, on } of table) {
    for (const notify of all) {
      const recipients = [notify === undefined ? {} : { requests: { notify } }];
      const isTold = on.some((one) => JSON.stringify(one) === JSON.stringify(notify));
      const what = `${kind} with NOTIFY=${notify}`;
      assertEquals(
        await actions(kind, { recipients }, atMs),
        { states: [state], told: isTold ? [told] : [] },
        what,
      );
      // RFC 3461 5.2.5: the null reverse-path is never told.
      const silent = await actions(kind, { recipients, reversePath: "" }, atMs);
      assertEquals(silent, { states: [state], told: [] }, `${what}, from <>`);
    }
  }
});

Deno.test("Ledger tells of each relaying where BY asked for a trace, but not against NEVER", async () => {
  const requests: MessageRequests = { deliverBy: { byMs: START_MS + HOUR, mode: "notify", trace: true } };
  assertEquals((await actions("relayed", { requests })).told, ["relayed"]);
  assertEquals((await actions("relayed", { requests, reversePath: "" })).told, []);
  assertEquals((await actions("relayed", { requests, recipients: [{ requests: { notify: [] } }] })).told, []);
});

Deno.test("Ledger returns what had to be there by a time, with its own status", async () => {
  const world = ledger();
  const message = queued(7, { requests: { deliverBy: { byMs: START_MS, mode: "return" } } });
  await world.ledger.settle([{ message, verdicts: [verdict("deferred", message.recipients[0]!)] }]);
  assertEquals(world.deliveries.outcomes[0]!.state, "failed");
  const [notice] = world.notices.flat();
  assertEquals([notice!.reply!.enhanced, notice!.said, notice!.dialogue], ["5.4.7", "here", "S: 4"]);
});

Deno.test("Ledger puts all recipients with one action into one notification", async () => {
  const world = ledger();
  const message = queued(7, { recipients: ["a@x.test", "b@x.test", { requests: { notify: ["success"] } }] });
  const [a, b, c] = message.recipients;
  await world.ledger.settle([{
    message,
    verdicts: [verdict("failed", a!), verdict("failed", b!), verdict("handed", c!)],
  }]);
  assertEquals(world.notices.map((group) => group.map(({ action }) => action)), [["failed", "failed"], [
    "relayed",
  ]]);
  assertEquals(world.deliveries.recorded.length, 1);
});

Deno.test("Ledger counts tries, remembers that a delay was told, and keeps deadlines ahead", async () => {
  const world = ledger();
  await world.clock.advance(4 * HOUR);
  const wait: Wait = { destination: "old", dueMs: 0, deadlineMs: 0, attempts: 3 };
  const message = queued(7, { recipients: [{ wait }] });
  const [recipient] = message.recipients;
  await world.ledger.settle([{ message, verdicts: [verdict("deferred", recipient!)] }]);
  const first = world.deliveries.outcomes[0]!.wait!;
  assertEquals(first, {
    destination: "example.test",
    dueMs: START_MS + 5 * HOUR,
    deadlineMs: START_MS + 120 * HOUR,
    attempts: 4,
    delayTold: true,
  });
  const again = { ...verdict("deferred", { ...recipient!, wait: first }), tried: "no", dueMs: 0 } as Verdict;
  await world.ledger.settle([{ message, verdicts: [again] }]);
  assertEquals(world.deliveries.outcomes[1]!.wait, { ...first, dueMs: START_MS + 4 * HOUR });
  assertEquals(world.notices.length, 1);
  assertEquals(world.settled.map(([key, index]) => [key, index]), [[7, 0], [7, 0]]);
});

Deno.test("Ledger sends what stays unreachable by the backup, and only where it was the host that failed", async () => {
  const backup = {
    when: "unreachable",
    hop: { kind: "host", host: { host: "isp.test", port: 25, tls: "opportunistic" }, duty: "passes-on" },
  } as const;
  for (
    const [unreachable, when, hours, goes] of [
      ["yes", "unreachable", 6, true],
      ["yes", "unreachable", 5, false],
      ["no", "unreachable", 6, false],
      ["yes", "no-host", 6, false],
    ] as const
  ) {
    const world = ledger();
    await world.clock.advance(hours * HOUR);
    const message = queued(7);
    const given = {
      ...verdict("deferred", message.recipients[0]!),
      unreachable,
      backup: { ...backup, when },
    };
    await world.ledger.settle([{ message, verdicts: [given as Verdict] }]);
    const { wait } = world.deliveries.outcomes[0]!;
    assertEquals(
      wait!.destination,
      goes ? "[isp.test]:25" : "example.test",
      `${unreachable} ${when} ${hours}`,
    );
    assertEquals(wait!.backupSinceMs, goes ? START_MS + 6 * HOUR : undefined);
    assertEquals(
      wait!.dueMs,
      goes ? START_MS + 6 * HOUR : Math.max(START_MS + 5 * HOUR, world.clock.nowMs()),
    );
  }
});

async function settleOne(
  world: ReturnType<typeof ledger>,
  message: QueuedMessage,
  kind: Kind,
): Promise<void> {
  await world.ledger.settle([{ message, verdicts: [verdict(kind, message.recipients[0]!)] }]);
}

Deno.test("Ledger tries a store that fails again, ever more seldom, and says nothing before it has taken the record", async () => {
  const world = ledger();
  world.deliveries.before.push(...Array.from({ length: 10 }, () => failing));
  const done = settleOne(world, queued(7), "relayed");
  const pauses: number[] = [];
  while (world.deliveries.calls < 11) {
    const { calls } = world.deliveries;
    const beganMs = world.clock.nowMs();
    await settle();
    while (world.deliveries.calls === calls) await world.clock.advance(250);
    pauses.push(world.clock.nowMs() - beganMs);
    if (world.deliveries.calls < 11) assertEquals(world.settled, []);
  }
  await done;
  assertEquals(pauses.slice(-10), [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  assertEquals(world.settled, [[7, 0, undefined]]);
  assertEquals(world.notices.length, 0);
});

Deno.test("Ledger gives the store a report anew after a try that took its buffer away", async () => {
  const world = ledger();
  const sizes: number[] = [];
  const { record } = world.deliveries;
  world.deliveries.record = function (changes) {
    const report = changes.reports![0]!;
    sizes.push(report.lastPart.length);
    structuredClone(report.lastPart.buffer, { transfer: [report.lastPart.buffer as ArrayBuffer] });
    return record.call(this, changes);
  };
  world.deliveries.before.push(failing);
  const done = settleOne(world, queued(7), "failed");
  await settle();
  await world.clock.advance(250);
  await done;
  assertEquals(sizes.length, 2);
  assert(sizes[0]! > 0 && sizes[0] === sizes[1]);
  assertEquals(world.notices.length, 1);
});

Deno.test("Ledger records pieces with the outcomes that use them, and again where the store fails", async () => {
  const world = ledger();
  const record = world.deliveries.record;
  const sizes: number[] = [];
  world.deliveries.record = function (changes) {
    const { own } = changes.pieces![0]!;
    sizes.push(own.length);
    structuredClone(own.buffer, { transfer: [own.buffer as ArrayBuffer] });
    return record.call(this, changes);
  };
  world.deliveries.before.push(failing);
  const message = queued(7);
  const [recipient] = message.recipients;
  const piece = {
    key: 8,
    of: 7,
    place: "1/1",
    own: new Uint8Array(5),
    segments: [{ offset: 0, length: 5 }],
    size: 5,
    messageId: "",
  };
  const expandedTo = [{ recipient: recipient!.recipient, piece: 8 }];
  const verdicts = [{ ...verdict("expanded", recipient!), expandedTo } as Verdict];
  const done = world.ledger.settle([{ message, verdicts }], { pieces: [piece] });
  await settle();
  await world.clock.advance(250);
  await done;
  assertEquals(sizes, [5, 5]);
  assertEquals(world.deliveries.outcomes.map(({ state, expandedTo }) => [state, expandedTo]), [[
    "expanded",
    expandedTo,
  ]]);
});

Deno.test("Ledger tells who asked that a list has the message, though no maildrop has", async () => {
  for (const [list, told] of [["yes", ["delivered"]], ["no", []]] as const) {
    for (const notify of [["success"], ["failure"]] as const) {
      const world = ledger();
      const message = queued(7, { recipients: [{ requests: { notify } }] });
      const verdicts = [{ ...verdict("expanded", message.recipients[0]!), list } as Verdict];
      await world.ledger.settle([{ message, verdicts }]);
      const wanted = notify[0] === "success" ? told : [];
      assertEquals(world.notices.flat().map(({ action }) => action), [...wanted]);
    }
  }
});

Deno.test("Ledger tells who keeps a list of its members, and the sender of everybody else", async () => {
  const world = ledger();
  const requests = { notify: ["failure"] } as const;
  const message = queued(7, {
    recipients: [
      { recipient: "m@y.org", requests, reversePath: "keeper@x.org" },
      {
        recipient: "f@y.org",
        requests: { ...requests, orcpt: "rfc822;a@x.org" },
        reversePath: "srs+sender@x.org",
      },
      { recipient: "n@y.org", requests, reversePath: "keeper@x.org" },
    ],
  });
  const verdicts = message.recipients.map((one) => verdict("failed", one));
  await world.ledger.settle([{ message, verdicts }]);
  assertEquals(
    world.notices.map((group) =>
      group.map(({ recipient }) => [recipient.recipient, toldOf(message, recipient)])
    ),
    [
      [["m@y.org", "keeper@x.org"], ["n@y.org", "keeper@x.org"]],
      [["f@y.org", "sender@example.org"]],
    ],
  );
});

Deno.test("Ledger makes a notification again where that failed, and records the outcome without it in the end", async () => {
  for (const failures of [1, 2, 9]) {
    let tries = 0;
    const world = ledger({
      compose: () => ++tries <= failures ? failing() : Promise.resolve(accepted(901)),
    });
    const done = settleOne(world, queued(7), "failed");
    for (let turn = 0; turn < 4; turn++) {
      await settle();
      await world.clock.advance(500);
    }
    await done;
    assertEquals(tries, Math.min(failures + 1, 3));
    assertEquals(world.deliveries.recorded[0]!.reports!.length, failures < 3 ? 1 : 0);
    assertEquals(world.deliveries.outcomes[0]!.state, "failed");
  }
});

Deno.test("Ledger.giveUp() ends what waits for a store that fails; what comes then is tried once", async () => {
  const world = ledger();
  world.deliveries.before.push(failing);
  const done = settleOne(world, queued(7), "relayed");
  await settle();
  const stopped = world.ledger.stop();
  world.ledger.giveUp();
  await stopped;
  await done;
  // It is not on record, and nobody may think so.
  assertEquals(world.settled, []);
  world.deliveries.before.push(failing);
  await settleOne(world, queued(8), "relayed");
  await settleOne(world, queued(9), "relayed");
  assertEquals(world.settled, [[9, 0, undefined]]);
});

Deno.test("Ledger.stop() waits for the store", async () => {
  const world = ledger();
  const held = gate();
  world.deliveries.before.push(() => held.opened);
  void settleOne(world, queued(7), "relayed");
  let isStopped = false;
  const stopped = world.ledger.stop().then(() => isStopped = true);
  await settle();
  assertEquals(isStopped, false);
  held.open();
  await stopped;
  assertEquals(world.settled.length, 1);
});

Deno.test("replyText() is code, enhanced code and text", () => {
  assertEquals(replyText(reply(250, "2.0.0", "one", "two")), "250 2.0.0 one two");
  assertEquals(replyText(reply(354, undefined)), "354");
});
