import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { AdminError } from "../../../src/admin/error.ts";
import {
  actOnQueued,
  findQueued,
  listQueue,
  parseQueueId,
  parseReroute,
  showQueued,
} from "../../../src/admin/queue.ts";
import type { ConfigPart } from "../../../src/config/config.ts";
import { formatMessageKey } from "../../../src/mail/message_id.ts";
import { reroutedHop } from "../../../src/queue/destination.ts";
import type { QueueAction } from "../../../src/store/types.ts";
import { type Fixture, fixture } from "./fixtures.ts";
import { Outbox } from "./queue_fixtures.ts";

const waiting = { limit: 100, of: "waiting" } as const;
const hold: QueueAction = { kind: "hold", detail: "" };
const drop: QueueAction = { kind: "drop", detail: "" };

/** Three messages: bob and carol wait behind example.net, dave is new, erin has it. */
async function office(): Promise<{ context: Fixture; outbox: Outbox; ids: string[] }> {
  const context = fixture();
  const outbox = new Outbox(context);
  const first = await outbox.accept({ to: ["bob@example.net", "carol@example.net"] });
  await outbox.defer(first, 0, {});
  await outbox.defer(first, 1, { detail: "452 4.2.2 full" });
  await context.clock.advance(3_600_000);
  const second = await outbox.accept({ to: ["dave@example.com"], from: "" });
  const third = await outbox.accept({ to: ["erin@example.com"], from: "bob@example.org" });
  await outbox.settle(third, 0, {
    state: "relayed",
    acceptedBy: "mx.example.com [192.0.2.9]:25",
    detail: "250 Ok",
  });
  return { context, outbox, ids: [first, second, third].map(formatMessageKey) };
}

Deno.test("listQueue() gives what waits, oldest first, with what it waits for", async () => {
  const { context, outbox, ids } = await office();
  await outbox.fails("example.net");
  const view = await listQueue(context, {}, waiting);
  assertEquals(view.recipients.map(({ id, recipient, state }) => [id, recipient, state]), [
    [`${ids[0]}.1`, "bob@example.net", "deferred"],
    [`${ids[0]}.2`, "carol@example.net", "deferred"],
    [`${ids[1]}.1`, "dave@example.com", "queued"],
  ]);
  assertEquals([view.total, view.states], [3, { queued: 1, deferred: 2 }]);
  assertEquals(view.recipients[1], {
    id: `${ids[0]}.2`,
    message: ids[0]!,
    place: 2,
    recipient: "carol@example.net",
    from: "alice@example.org",
    state: "deferred",
    receivedAt: "2026-01-05T09:00:00.000Z",
    bytes: 17,
    at: "2026-01-05T09:00:00.000Z",
    detail: "452 4.2.2 full",
    acceptedBy: "",
    reroutedTo: null,
    tries: 1,
    destination: "example.net",
    // Its own time was 09:10, but the destination is left alone for longer.
    nextTryAt: "2026-01-05T10:30:00.000Z",
  });
  assertEquals(view.recipients[2]!.nextTryAt, null);
  assertEquals(view.destinations, [{
    destination: "example.net",
    failures: 3,
    nextTryAt: "2026-01-05T10:30:00.000Z",
    reason: "connection refused by 192.0.2.1:25",
    waiting: 2,
  }]);
});

Deno.test("listQueue() says how much it leaves out", async () => {
  const { context } = await office();
  const view = await listQueue(context, {}, { ...waiting, limit: 1 });
  assertEquals([view.recipients.length, view.total, view.states], [1, 3, { queued: 1, deferred: 2 }]);
});

Deno.test("listQueue() takes filters together", async () => {
  const { context, outbox } = await office();
  await outbox.fails("example.net");
  const found = async (selection: Parameters<typeof listQueue>[1]) =>
    (await listQueue(context, selection, waiting)).recipients.map(({ recipient }) => recipient.split("@")[0]);
  assertEquals(await found({ domain: "EXAMPLE.net" }), ["bob", "carol"]);
  assertEquals(await found({ sender: "<>" }), ["dave"]);
  assertEquals(await found({ sender: "Alice@example.org" }), ["bob", "carol"]);
  assertEquals(await found({ sender: "@example.org" }), ["bob", "carol"]);
  assertEquals(await found({ sender: "@example.org", domain: "example.com" }), []);
  assertEquals(await found({ olderThanMs: 3_600_000 }), ["bob", "carol"]);
  assertEquals(await found({ olderThanMs: 3_600_001 }), []);
  assertEquals(await found({ states: ["queued", "held"] }), ["dave"]);
  // Destinations that have nothing to do with what was asked for are left out.
  assertEquals((await listQueue(context, { domain: "example.com" }, waiting)).destinations, []);
});

Deno.test("listQueue() of retired ones says who accepted them", async () => {
  const { context, ids } = await office();
  const { recipients, total } = await listQueue(context, {}, { limit: 10, of: "retired" });
  assertEquals(total, 1);
  assertEquals(
    recipients.map(({ id, state, acceptedBy, nextTryAt }) => ({ id, state, acceptedBy, nextTryAt })),
    [
      { id: `${ids[2]}.1`, state: "relayed", acceptedBy: "mx.example.com [192.0.2.9]:25", nextTryAt: null },
    ],
  );
});

Deno.test("listQueue() refuses what can't be selected", async () => {
  const { context } = await office();
  const cases: [Parameters<typeof listQueue>[1], "waiting" | "retired", string][] = [
    [{ domain: "a@b.example" }, "waiting", "--domain can't be 'a@b.example'"],
    [{ sender: "alice" }, "waiting", "--sender can't be 'alice'"],
    [{ sender: "@-" }, "waiting", "--sender can't be '@-'"],
    [{ states: ["relayed"] }, "waiting", "'relayed' is a state of mail that has left the queue"],
    [{ states: ["held"] }, "retired", "'held' is a state of mail that is still in the queue"],
  ];
  for (const [selection, of, said] of cases) {
    const error = await assertRejects(
      () => listQueue(context, selection, { limit: 1, of }),
      AdminError,
      said,
    );
    assertEquals(error.failure, "usage");
  }
});

Deno.test("parseQueueId() reads a message's id and a recipient's place", () => {
  const key = parseQueueId("06jwx6kv0g").key;
  assertEquals(parseQueueId(" 06JWX6KV0G.2 "), { key, index: 1 });
  for (const wrong of ["", "06jwx6kv0g.0", "06jwx6kv0g.", "06jwx6kv0g.1.2", "06jwx6kv0", "06jwx6kv0g.x"]) {
    const error = assertThrows(() => parseQueueId(wrong), AdminError, "is not the id of a message");
    assertEquals(error.advice.includes("'emsmail queue list'"), true, wrong);
  }
  assertEquals(
    assertThrows(() => parseQueueId("<1.2@example.org>"), AdminError).advice.includes("'emsmail trace'"),
    true,
  );
});

Deno.test("parseReroute() gives what the queue reads", () => {
  const cases: [string, string][] = [
    ["mail.example.net", "mail.example.net:25"],
    ["Mail.Example.NET:587", "mail.example.net:587"],
    ["192.0.2.1:2525", "192.0.2.1:2525"],
    ["[192.0.2.1]", "192.0.2.1:25"],
    ["2001:db8::1", "[2001:db8::1]:25"],
    ["[2001:db8::1]:26", "[2001:db8::1]:26"],
  ];
  for (const [given, said] of cases) {
    assertEquals(parseReroute(given), said);
    assertEquals(reroutedHop(said)?.kind, "host", said);
  }
  assertEquals(parseReroute("default"), "");
  for (
    const wrong of ["", "a b", "host:", "host:0", "host:65536", "host:25:25", "[::1", "192.0.2.300", "-x"]
  ) {
    assertThrows(() => parseReroute(wrong), AdminError, "--to can't be", wrong);
  }
});

Deno.test("findQueued() wants to be told which recipients", async () => {
  const { context } = await office();
  for (const selection of [{}, { ids: [], states: [] }]) {
    const error = await assertRejects(
      () => findQueued(context, selection, drop),
      AdminError,
      "which recipients",
    );
    assertEquals(error.failure, "usage");
    assertEquals(error.advice.includes("--all"), true);
  }
});

Deno.test("actOnQueued() does to the selection and to nothing else", async () => {
  const { context, ids } = await office();
  const target = await findQueued(context, { ids: [`${ids[0]}.2`, ids[1]!] }, hold);
  assertEquals([target.recipients, target.messages, target.passedOver], [2, 2, []]);
  assertEquals(await actOnQueued(context, target), 2);
  const states = async () =>
    (await listQueue(context, {}, waiting)).recipients.map(({ recipient, state }) =>
      `${recipient.split("@")[0]} ${state}`
    );
  assertEquals(await states(), ["bob deferred", "carol held", "dave held"]);
  // A message's id and one of its recipients': nobody is counted twice.
  const all = await findQueued(context, { ids: [`${ids[0]}.1`, ids[0]!, ids[0]!] }, drop);
  assertEquals([all.recipients, all.messages], [2, 1]);
  assertEquals(await actOnQueued(context, all), 2);
  assertEquals(await states(), ["dave held"]);
  assertEquals(await actOnQueued(context, await findQueued(context, "all", { kind: "release" })), 1);
  assertEquals(await states(), ["dave queued"]);
});

Deno.test("findQueued() leaves alone what comes in after it was asked", async () => {
  const { context, outbox } = await office();
  const target = await findQueued(context, "all", drop);
  await context.clock.advance(1);
  await outbox.accept({ to: ["late@example.net"] });
  assertEquals(await actOnQueued(context, target), 3);
  assertEquals((await listQueue(context, {}, waiting)).recipients.map(({ recipient }) => recipient), [
    "late@example.net",
  ]);
});

Deno.test("findQueued() says why nothing is done to an id", async () => {
  const { context, ids } = await office();
  const retry: QueueAction = { kind: "retry" };
  const some = await findQueued(context, { ids: [ids[0]!, ids[2]!, "0000000000", `${ids[0]}.9`] }, retry);
  assertEquals(some.recipients, 2);
  assertEquals(some.passedOver, [
    { id: ids[2]!, state: "relayed" },
    { id: "0000000000", state: null },
    { id: `${ids[0]}.9`, state: null },
  ]);
  const none = await assertRejects(() => findQueued(context, { ids: [ids[2]!] }, retry), AdminError);
  assertEquals([none.message, none.failure], [`${ids[2]} is relayed`, "failed"]);
  const unmatched = await assertRejects(
    () => findQueued(context, { states: ["queued"], domain: "example.com" }, retry),
    AdminError,
    "nothing that is deferred matches",
  );
  assertEquals(unmatched.failure, "failed");
});

Deno.test("a rerouted recipient shows where it goes, and default takes that back", async () => {
  const { context, ids } = await office();
  const reroute = async (host: string) =>
    await actOnQueued(context, await findQueued(context, { ids: [ids[0]!] }, { kind: "reroute", host }));
  const where = async () =>
    (await listQueue(context, { domain: "example.net" }, waiting)).recipients.map(({ reroutedTo }) =>
      reroutedTo
    );
  assertEquals(await reroute("mail.example.com:587"), 2);
  assertEquals(await where(), ["mail.example.com:587", "mail.example.com:587"]);
  assertEquals((await showQueued(context, ids[0]!)).recipients[0]!.reroutedTo, "mail.example.com:587");
  assertEquals(await reroute(""), 2);
  assertEquals(await where(), [null, null]);
});

Deno.test("showQueued() gives each recipient and each try with what was said", async () => {
  const { context, outbox, ids } = await office();
  const { key } = parseQueueId(ids[0]!);
  await outbox.attempt(key, [0, 1]);
  await outbox.attempt(key, [1], {
    host: "",
    address: "",
    tls: "",
    result: "no host answered",
    dialogue: "",
  });
  const whole = await showQueued(context, ids[0]!);
  assertEquals(whole.recipients.map(({ id }) => id), [`${ids[0]}.1`, `${ids[0]}.2`]);
  assertEquals(whole.tries.map(({ places, dialogue }) => [places, dialogue.length]), [[[1, 2], 3], [[2], 0]]);
  const [bob] = whole.recipients;
  assertEquals(bob!.wait, {
    destination: "example.net",
    tries: 1,
    nextTryAt: "2026-01-05T09:10:00.000Z",
    givesUpAt: "2026-01-10T09:00:00.000Z",
    delayTold: false,
    backupSince: null,
    backup: null,
    destinationFailures: 0,
    destinationReason: "",
  });
  const one = await showQueued(context, `${ids[0]}.1`);
  assertEquals(one.recipients, [bob!]);
  assertEquals(one.tries, whole.tries.slice(0, 1));
});

Deno.test("showQueued() says what there is instead", async () => {
  const { context, ids } = await office();
  const none = await assertRejects(
    () => showQueued(context, `${ids[0]}.3`),
    AdminError,
    "has no recipient 3",
  );
  assertEquals(none.advice, `it has 2, of which the last is ${ids[0]}.2`);
  await assertRejects(
    () => showQueued(context, "0000000000"),
    AdminError,
    "no message with the id 0000000000",
  );
});

Deno.test("showQueued() says what takes over from hosts that can't be reached, and when", async () => {
  const shown = async (relay: NonNullable<ConfigPart["relay"]>, backupSinceMs?: number) => {
    const context = fixture({ relay });
    const outbox = new Outbox(context);
    const key = await outbox.accept({ to: ["bob@elsewhere.example"] });
    await outbox.defer(key, 0, backupSinceMs === undefined ? {} : { backupSinceMs });
    const { backup } = (await showQueued(context, formatMessageKey(key))).recipients[0]!.wait!;
    return backup === null ? null : [backup.destination, Date.parse(backup.at) - context.clock.nowMs()];
  };
  const buffer = { host: "unix.example.org", port: 25, tls: "opportunistic" } as const;
  const combined = { mode: "combined", buffer, unreachableAfter: 3_600_000 } as const;
  assertEquals(await shown(combined), ["[unix.example.org]:25", 3_600_000]);
  assertEquals(await shown(combined, 1), null);
  assertEquals(await shown({ mode: "direct" }), null);
  // Only what DNS names no host for: that is known at once, and nothing waits for it.
  assertEquals(await shown({ mode: "buffer", outbound: "direct-first", buffer }), null);
});

Deno.test("showQueued() counts a recipient's time as the queue does", async () => {
  const context = fixture({ queue: { expire: 86_400_000 } });
  const outbox = new Outbox(context);
  const atMs = context.clock.nowMs();
  const gives = async (requests: Parameters<Outbox["accept"]>[0]["requests"], backupSinceMs?: number) => {
    const key = await outbox.accept({
      to: ["bob@example.net"],
      ...requests === undefined ? {} : { requests },
    });
    await outbox.defer(key, 0, backupSinceMs === undefined ? {} : { backupSinceMs });
    const { recipients } = await showQueued(context, formatMessageKey(key));
    return (Date.parse(recipients[0]!.wait!.givesUpAt) - atMs) / 3_600_000;
  };
  assertEquals(await gives(undefined), 24);
  assertEquals(await gives({ holdUntilMs: atMs + 3_600_000 }), 25);
  assertEquals(await gives({ deliverBy: { byMs: atMs + 7_200_000, mode: "return" } }), 2);
  assertEquals(await gives({ deliverBy: { byMs: atMs + 7_200_000, mode: "notify" } }), 24);
  assertEquals(await gives(undefined, atMs + 36_000_000), 34);
  assertEquals(await gives({ deliverBy: { byMs: Number.MAX_SAFE_INTEGER, mode: "return" } }), 24);
});
