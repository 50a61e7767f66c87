import { assert, assertEquals, assertRejects } from "@std/assert";
import { concat, latin1, utf8 } from "../../../src/base/bytes.ts";
import { FakeClock } from "../../../src/base/clock.ts";
import { Apart, breakMessage } from "../../../src/queue/apart.ts";
import { Dispatcher, type Resolved } from "../../../src/queue/dispatcher.ts";
import { Ledger } from "../../../src/queue/ledger.ts";
import type { Store } from "../../../src/store/types.ts";
import { addAccount } from "../server/fixture.ts";
import { implementations, message, until } from "../store/fixtures.ts";
import { NOWHERE, Played, queued, settle, smtpRoute, START_MS } from "./queue_fixture.ts";

const MAIL = utf8(
  "From: bob@example.org\r\nSubject: Budget\r\nMessage-ID: <1@example.org>\r\nMIME-Version: 1.0\r\n" +
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nHere it is.\r\n--b\r\n" +
    "Content-Type: application/vnd.ms-excel; name=budget.xls\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n--b--\r\n",
);

function options(parts: readonly Uint8Array[]) {
  const asked: number[] = [];
  let key = 100;
  return {
    asked,
    part(_: number, index: number) {
      asked.push(index);
      return Promise.resolve(parts[index]);
    },
    nextKey: () => ++key,
    hostname: () => "mail.example.org",
  };
}

Deno.test("breakMessage() reads a message part by part, however it is parted", async () => {
  const at = (size: number) => {
    const parts: Uint8Array[] = [];
    for (let from = 0; from < MAIL.length; from += size) parts.push(MAIL.subarray(from, from + size));
    return parts;
  };
  const whole = await breakMessage({ key: 7, size: MAIL.length }, options(at(MAIL.length)));
  assertEquals(whole!.map(({ place }) => place), ["1/2", "2/2"]);
  for (const size of [1, 7, 100]) {
    assertEquals(await breakMessage({ key: 7, size: MAIL.length }, options(at(size))), whole);
  }
});

Deno.test("breakMessage() reads no more than the header of what is no multipart", async () => {
  const first = utf8("Subject: x\r\n\r\ntext\r\n");
  const { asked, ...rest } = options([first, first]);
  assertEquals(await breakMessage({ key: 7, size: first.length * 2 }, { ...rest }), undefined);
  assertEquals(asked, [0]);
});

Deno.test("breakMessage() fails where the body is not whole", async () => {
  await assertRejects(
    () => breakMessage({ key: 7, size: MAIL.length + 1 }, options([MAIL])),
    Error,
    "is not whole",
  );
});

Deno.test("Apart.piecesOf() breaks a message apart once", async () => {
  const { asked, ...rest } = options([MAIL]);
  const apart = new Apart(rest);
  const one = queued(7, { size: MAIL.length });
  const [first, second] = await Promise.all([apart.piecesOf(one), apart.piecesOf(one)]);
  assert(first === second);
  assertEquals(asked, [0]);
});

/** A dispatcher over a store; `resolve` says where recipients go. */
function dispatching(store: Store, resolve: (recipient: string) => Resolved) {
  const clock = new FakeClock(START_MS);
  const jobs: [string, string, string | undefined][] = [];
  let key = 5000;
  const ledger = new Ledger({
    deliveries: store.deliveries,
    clock,
    policy: () => ({ retryMs: [1000], expireMs: 1e9, delayNoticeMs: 0, unreachableAfterMs: 1e9 }),
    compose: () => Promise.resolve(undefined),
    settled: (of, index, wait) => dispatcher.release(of, index, wait),
  });
  const dispatcher: Dispatcher = new Dispatcher({
    clock,
    ledger,
    resolve: (recipient) => Promise.resolve(resolve(recipient)),
    forwardSender: (path) => path,
    attempts: () => Promise.resolve([]),
    part: (of, index) => store.maildrops.part(of, index),
    nextKey: () => ++key,
    hostname: () => "mail.example.org",
    send: (_, { message: { piece }, recipients }) => {
      for (const { recipient } of recipients) jobs.push(["sent", recipient, piece]);
    },
    failing: () => undefined,
  });
  store.deliveries.subscribe({
    messages: (messages) => dispatcher.announced(messages),
    changed: () => dispatcher.changed(),
  });
  return {
    jobs,
    async stop() {
      ledger.giveUp();
      await dispatcher.stop();
      await ledger.stop();
    },
  };
}

async function bodiesOf(store: Store, account: number): Promise<string[]> {
  const { keys } = await store.maildrops.list(account);
  return await Promise.all(Array.from(keys, async (key) => {
    const { trace, firstPart } = (await store.maildrops.open(account, key))!;
    return latin1(concat([trace, firstPart]));
  }));
}

async function threeWays(store: Store): Promise<void> {
  const alice = await addAccount(store, { name: "alice" });
  const bob = await addAccount(store, { name: "bob" });
  const { jobs, stop } = dispatching(store, (recipient) => {
    if (recipient === "alice@x.org") {
      return { ...NOWHERE, accounts: [{ id: alice.id, name: "alice", handling: "whole" }] };
    }
    if (recipient === "bob@x.org") {
      return { ...NOWHERE, accounts: [{ id: bob.id, name: "bob", handling: "apart" }] };
    }
    return {
      ...NOWHERE,
      route: smtpRoute("y.org"),
      handling: recipient.startsWith("apart") ? "apart" : "whole",
    };
  });
  await store.spool.accept({
    ...message(1, { recipients: ["alice@x.org", "bob@x.org", "whole@y.org", "apart@y.org"] }),
    lastPart: MAIL.slice(),
    size: MAIL.length,
  });
  await until(() => jobs.length >= 3);
  await settle();
  await stop();
  const trace = "Return-Path: <bob@example.net>\r\n";
  const [whole, ...others] = await bodiesOf(store, alice.id);
  assertEquals(others, []);
  assertEquals(whole, trace + latin1(MAIL));
  const apart = await bodiesOf(store, bob.id);
  assertEquals(apart.map((each) => /X-EMS-Part: (.*)\r\n/.exec(each)?.[1]), ["1/2", "2/2"]);
  assertEquals(apart.map((each) => /^Return-Path: <[^>]*>\r\n/.test(each)), [true, true]);
  assertEquals(jobs.sort(), [
    ["sent", "apart@y.org", "1/2"],
    ["sent", "apart@y.org", "2/2"],
    ["sent", "whole@y.org", undefined],
  ]);
  const history = (await store.history.message(1))!;
  assertEquals(history.recipients.map(({ state }) => state), [
    "delivered",
    "delivered",
    "queued",
    "expanded",
  ]);
  // The two who get it apart share the pieces.
  assertEquals(history.pieces.length, 2);
  const listed = await store.maildrops.list(bob.id);
  assertEquals([...Array.from(listed.keys)], [...history.pieces]);
  const piece = (await store.history.message(history.pieces[1]!))!;
  assertEquals(piece.pieceOf, { key: 1, place: "2/2" });
  assertEquals(piece.recipients.map(({ recipient }) => recipient), ["apart@y.org"]);
}

for (const { name, open } of implementations) {
  Deno.test(`Dispatcher handles one stored message three ways at once (${name})`, async () => {
    const { store, close } = await open({});
    await threeWays(store);
    await close();
  });
}

Deno.test("Dispatcher tries again where a message can't be read that is to be broken apart", async () => {
  const clock = new FakeClock(START_MS);
  const played = new Played();
  let reads = 0;
  const ledger = new Ledger({
    deliveries: played,
    clock,
    policy: () => ({ retryMs: [1000], expireMs: 1e9, delayNoticeMs: 0, unreachableAfterMs: 1e9 }),
    compose: () => Promise.resolve(undefined),
    settled: () => {},
  });
  const { asked: _, ...rest } = options([MAIL]);
  const dispatcher = new Dispatcher({
    ...rest,
    clock,
    ledger,
    resolve: () => Promise.resolve({ ...NOWHERE, accounts: [{ id: 1, name: "a", handling: "apart" }] }),
    forwardSender: (path) => path,
    attempts: () => Promise.resolve([]),
    part: (key, index) => ++reads === 1 ? Promise.reject(new Error("a bad sector")) : rest.part(key, index),
    send: () => {},
    failing: () => undefined,
  });
  dispatcher.dispatch([queued(7, { size: MAIL.length })]);
  await settle();
  assertEquals(played.calls, 0);
  await clock.advance(250);
  await until(() => played.recorded.length === 1);
  const { outcomes, pieces } = played.recorded[0]!;
  assertEquals(outcomes.map(({ deliverTo }) => deliverTo.map((drop) => "pieces" in drop)), [[true]]);
  assertEquals(pieces!.map(({ of, place }) => [of, place]), [[7, "1/2"], [7, "2/2"]]);
  await dispatcher.stop();
});
