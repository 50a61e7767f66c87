/** Bodies made of stretches of others, on every implementation. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { CHUNK_OCTETS, SEGMENTS } from "../../src/base/limits.ts";
import type { Store } from "../../src/store/types.ts";
import { account, bodyOf, delivered, message, outcome } from "../unit/store/fixtures.ts";
import { assertStoreError, contract } from "./contract.ts";

const relayed = (key: number) => ({ outcomes: [outcome(key, "relayed")] });

/** Octets that tell where they stand. */
function pattern(octets: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(octets);
  for (let i = 0; i < octets; i++) bytes[i] = (i * 31 + (i >> 8) * 17 + seed) & 0xff;
  return bytes;
}

async function octetsOf(store: Store, key: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (let part; (part = await store.maildrops.part(key, parts.length)) !== undefined;) parts.push(part);
  return new Uint8Array(await new Blob(parts as Uint8Array<ArrayBuffer>[]).arrayBuffer());
}

contract("accept() makes a body of stretches of others beside its own octets", async (store) => {
  await store.spool.accept(message(1, { body: "0123456789" }));
  await store.spool.accept(message(2, { body: "abcdefghij" }));
  const segments = [
    { offset: 0, length: 4 },
    { source: 1, offset: 2, length: 3 },
    { source: 2, offset: 9, length: 1 },
    { source: 1, offset: 0, length: 0 },
    { offset: 4, length: 1 },
    { source: 1, offset: 0, length: 10 },
  ];
  await store.spool.accept(message(3, { body: "head!", segments }));
  assertEquals(await bodyOf(store, 3), "head234j!0123456789");
  assertEquals((await store.history.message(3))?.size, 19);
  assertEquals(await store.maildrops.part(3, 1), undefined);
  assertEquals(await store.maildrops.part(3, -1), undefined);
  const { id } = await store.directory.addAccount(account("alice"));
  await store.deliveries.record({ outcomes: [delivered(3, [id])] });
  const head = (await store.maildrops.open(id, 3))!;
  assertEquals(new TextDecoder().decode(head.firstPart), "head234j!0123456789");
  assertEquals(new TextDecoder().decode(head.trace), "Return-Path: <3>\r\n");
});

contract("accept() sees through a source that is itself made of stretches", async (store) => {
  await store.spool.accept(message(1, { body: "0123456789" }));
  await store.spool.append(2, new TextEncoder().encode("OWN-"));
  const two = [{ offset: 4, length: 2 }, { source: 1, offset: 3, length: 4 }, { offset: 0, length: 4 }];
  await store.spool.accept(message(2, { body: "xy", segments: two }));
  assertEquals(await bodyOf(store, 2), "xy3456OWN-");
  await store.spool.accept(message(3, {
    body: "<>",
    segments: [
      { offset: 0, length: 1 },
      { source: 2, offset: 1, length: 8 },
      { offset: 1, length: 1 },
    ],
  }));
  assertEquals(await bodyOf(store, 3), "<y3456OWN>");
  await store.spool.accept(message(4, { body: "", segments: [{ source: 3, offset: 2, length: 7 }] }));
  assertEquals(await bodyOf(store, 4), "3456OWN");
  // Those in between may go.
  for (const key of [2, 3]) await store.deliveries.record(relayed(key));
  assertEquals(await bodyOf(store, 4), "3456OWN");
  assertEquals(await bodyOf(store, 3), undefined);
});

contract("a source stays while a body is made of it, and goes with the last", async (store) => {
  await store.spool.accept(message(1, { body: "kept octets" }));
  for (const key of [2, 3]) {
    await store.spool.accept(message(key, { body: "", segments: [{ source: 1, offset: 5, length: 6 }] }));
  }
  await store.spool.accept(message(4, { body: "", segments: [{ source: 3, offset: 0, length: 3 }] }));
  await store.deliveries.record(relayed(1));
  assertEquals(await bodyOf(store, 1), "kept octets");
  assertEquals(await store.history.prune(9_000_000, 10), 0);
  await store.deliveries.record({ outcomes: [outcome(2, "failed"), outcome(3, "dropped")] });
  assertEquals([await bodyOf(store, 1), await bodyOf(store, 2), await bodyOf(store, 3)], [
    "kept octets",
    undefined,
    undefined,
  ]);
  assertEquals(await bodyOf(store, 4), "oct");
  await store.deliveries.record(relayed(4));
  assertEquals([await bodyOf(store, 4), await bodyOf(store, 1)], [undefined, undefined]);
  assertEquals(await store.history.prune(9_000_000, 10), 4);
});

contract("a chain of sources goes as a whole", async (store) => {
  await store.spool.accept(message(1, { body: "origin" }));
  for (let key = 2; key <= 200; key++) {
    const segments = [{ offset: 0, length: 2 }, { source: key - 1, offset: 0, length: 2 * key + 2 }];
    await store.spool.accept(message(key, { body: "> ", segments }));
    await store.deliveries.record(relayed(key - 1));
  }
  assertEquals(await bodyOf(store, 200), "> ".repeat(199) + "origin");
  await store.deliveries.record(relayed(200));
  for (const key of [1, 2, 100, 199, 200]) assertEquals(await bodyOf(store, key), undefined);
});

contract("accept() refuses stretches that can't be had, and leaves nothing", async (store) => {
  await store.spool.accept(message(1, { body: "0123456789" }));
  await store.spool.accept(message(2, { body: "gone" }));
  await store.deliveries.record(relayed(2));
  const good = { source: 1, offset: 0, length: 10 };
  const cases: readonly [why: string, segments: Parameters<typeof message>[1]][] = [
    ["has 10", { segments: [{ source: 1, offset: 5, length: 6 }] }],
    ["its own octets has 4", { segments: [good, { offset: 4, length: 1 }] }],
    ["gone", { segments: [good, { source: 9, offset: 0, length: 1 }] }],
    ["gone", { segments: [good, { source: 2, offset: 0, length: 4 }] }],
    ["gone", { segments: [good, { source: 3, offset: 0, length: 4 }] }],
    ["no place and length", { segments: [{ source: 1, offset: -1, length: 1 }] }],
    ["no place and length", { segments: [0, 3].map((offset) => ({ source: 1, offset, length: 1.5 })) }],
    [`more than ${SEGMENTS}`, { segments: Array(SEGMENTS + 1).fill({ offset: 0, length: 1 }) }],
  ];
  for (const [why, options] of cases) {
    const error = await assertStoreError(
      store.spool.accept(message(3, { body: "own!", ...options })),
      "conflict",
    );
    assertStringIncludes(error.message, why);
    assertEquals(await store.history.message(3), undefined);
    assertEquals(await store.maildrops.part(3, 0), undefined);
  }
  const short = { ...message(3, { body: "own!", segments: [good] }), size: 11 };
  assertStringIncludes(
    (await assertStoreError(store.spool.accept(short), "conflict")).message,
    "10 octets and not 11",
  );
  // What was refused held nothing: the source goes with its own recipient.
  await store.deliveries.record(relayed(1));
  assertEquals(await bodyOf(store, 1), undefined);
});

contract("part() of a body made of stretches is CHUNK_OCTETS long, wherever they meet", async (store) => {
  const large = pattern(3 * CHUNK_OCTETS + 777, 1);
  for (let from = 0; from < 3 * CHUNK_OCTETS; from += CHUNK_OCTETS) {
    await store.spool.append(1, large.slice(from, from + CHUNK_OCTETS));
  }
  await store.spool.accept(
    message(1, { body: large.slice(3 * CHUNK_OCTETS), earlierOctets: 3 * CHUNK_OCTETS }),
  );
  const own = pattern(1000, 2);
  const segments = [
    { offset: 0, length: 600 },
    { source: 1, offset: 100, length: 2 * CHUNK_OCTETS + 500 },
    ...Array.from({ length: 40 }, (_, i) => ({ source: 1, offset: i * 20_000 + 7, length: 19 })),
    { offset: 600, length: 400 },
  ];
  await store.spool.accept(message(2, { body: own.slice(), segments }));
  const expected = new Uint8Array(
    await new Blob(segments.map(({ source, offset, length }) => (
      (source === 1 ? large : own).slice(offset, offset + length) as Uint8Array<ArrayBuffer>
    ))).arrayBuffer(),
  );
  const lengths: number[] = [];
  for (let part; (part = await store.maildrops.part(2, lengths.length)) !== undefined;) {
    lengths.push(part.length);
  }
  assertEquals(lengths, [CHUNK_OCTETS, CHUNK_OCTETS, expected.length - 2 * CHUNK_OCTETS]);
  const body = await octetsOf(store, 2);
  assert(body.length === expected.length && body.every((octet, i) => octet === expected[i]));
});

contract("record() takes a notification that holds a stretch of the message it tells of", async (store) => {
  await store.spool.accept(message(1, { body: "Subject: hi\r\n\r\ntext" }));
  const report = message(2, {
    body: "report: ",
    reversePath: "",
    segments: [{ offset: 0, length: 8 }, { source: 1, offset: 0, length: 11 }],
  });
  await store.deliveries.record({ outcomes: [outcome(1, "failed")], reports: [report] });
  assertEquals(await bodyOf(store, 2), "report: Subject: hi");
  await store.deliveries.record(relayed(2));
  assertEquals([await bodyOf(store, 1), await bodyOf(store, 2)], [undefined, undefined]);
});

contract("a message that is made of others keeps its own place in the queue", async (store) => {
  await store.spool.accept(message(1, { body: "text" }));
  await store.spool.accept(message(2, { body: "", segments: [{ source: 1, offset: 0, length: 4 }] }));
  assertEquals(
    (await store.queue.list({ keys: [2] }, { limit: 9 })).map(({ size, state }) => [size, state]),
    [
      [4, "queued"],
    ],
  );
  await store.queue.act({ keys: [1, 2] }, { kind: "drop", detail: "" });
  assertEquals([await bodyOf(store, 1), await bodyOf(store, 2)], [undefined, undefined]);
});
