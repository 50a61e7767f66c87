import { assertEquals, assertRejects } from "@std/assert";
import { AdminError } from "../../../src/admin/error.ts";
import { deleteMail } from "../../../src/admin/mail.ts";
import { traceMessage } from "../../../src/admin/trace.ts";
import { formatMessageKey } from "../../../src/mail/message_id.ts";
import { deliver, withUsers } from "./fixtures.ts";
import { Outbox } from "./queue_fixtures.ts";

Deno.test("traceMessage() tells a message's life, by id and by Message-ID", async () => {
  const context = await withUsers("alice");
  const id = await deliver(context.store, context.clock, {
    to: "alice",
    text: "x\r\n",
    messageId: "1@example.com",
  });
  await context.clock.advance(5000);
  await deleteMail(context, "alice", [id]);
  const trace = await traceMessage(context, id);
  assertEquals(trace, [{
    id,
    messageId: "1@example.com",
    receivedAt: "2026-01-05T09:00:00.000Z",
    bytes: 3,
    from: "sender@example.com",
    client: "192.0.2.7",
    helo: "pc.example.com",
    protocol: "ESMTPS",
    tls: "TLSv1.3 X",
    account: null,
    made: null,
    asked: {
      returns: null,
      envelopeId: null,
      requireTls: false,
      holdUntil: null,
      deliverBy: null,
      deliverByMode: null,
      priority: null,
    },
    pieceOf: null,
    pieces: [],
    recipients: [{
      id: `${id}.1`,
      place: 1,
      recipient: "alice@example.org",
      state: "delivered",
      at: "2026-01-05T09:00:00.000Z",
      detail: "",
      acceptedBy: "",
      acceptedAs: null,
      expandedFrom: null,
      from: "sender@example.com",
      reroutedTo: null,
      notify: null,
      wait: null,
      maildrops: [{ account: "alice", removedAt: "2026-01-05T09:00:05.000Z" }],
    }],
    tries: [],
  }]);
  for (const other of ["1@example.com", "<1@example.com>", ` ${id.toUpperCase()} `, `${id}.1`]) {
    assertEquals(await traceMessage(context, other), trace, other);
  }
});

Deno.test("traceMessage() gives every message of one Message-ID, newest first", async () => {
  const context = await withUsers("alice");
  const mail = { to: "alice", text: "x\r\n", messageId: "same@example.com" };
  const first = await deliver(context.store, context.clock, mail);
  await context.clock.advance(1000);
  const second = await deliver(context.store, context.clock, mail);
  assertEquals((await traceMessage(context, "<same@example.com>")).map(({ id }) => id), [second, first]);
});

Deno.test("traceMessage() says where ids are found", async () => {
  const context = await withUsers();
  const error = await assertRejects(
    () => traceMessage(context, "0000000000"),
    AdminError,
    "no message with the id",
  );
  assertEquals(error.advice.includes("30 days"), true);
});

Deno.test("traceMessage() tells what was asked, who became whom, each try and what is waited for", async () => {
  const context = await withUsers("alice");
  const outbox = new Outbox(context);
  const atMs = context.clock.nowMs();
  const key = await outbox.accept({
    to: ["sales@example.org", "bob@example.net"],
    messageId: "2@example.org",
    requests: {
      ret: "HDRS",
      envid: "order 7",
      requireTls: true,
      holdUntilMs: atMs,
      deliverBy: { byMs: atMs + 3_600_000, mode: "notify" },
      priority: -3,
    },
    recipientRequests: [undefined, { notify: ["success", "delay"] }],
  });
  await outbox.settle(key, 0, {
    state: "expanded",
    deliverTo: [{ account: 1, trace: new Uint8Array(), size: 17 }],
    expandedTo: [{ recipient: "carol@example.com", reversePath: "SRS0=x@example.org" }],
  });
  await context.clock.advance(1000);
  await outbox.attempt(key, [2], { destination: "example.com", result: "250 2.0.0 Ok" });
  await outbox.settle(key, 2, {
    state: "relayed",
    acceptedBy: "mx.example.com [192.0.2.9]:25",
    detail: "250 2.0.0 Ok",
  });
  await outbox.attempt(key, [1]);
  await outbox.defer(key, 1, { delayTold: true, backupSinceMs: atMs + 500 });
  await outbox.fails("example.net");
  const [trace] = await traceMessage(context, "<2@example.org>");
  assertEquals(trace!.asked, {
    returns: "header",
    envelopeId: "order 7",
    requireTls: true,
    holdUntil: "2026-01-05T09:00:00.000Z",
    deliverBy: "2026-01-05T10:00:00.000Z",
    deliverByMode: "notify",
    priority: -3,
  });
  const [sales, bob, carol] = trace!.recipients;
  assertEquals([sales!.state, sales!.maildrops.length, bob!.notify], ["expanded", 1, ["success", "delay"]]);
  assertEquals([carol!.expandedFrom, carol!.from, carol!.acceptedBy], [
    1,
    "SRS0=x@example.org",
    "mx.example.com [192.0.2.9]:25",
  ]);
  assertEquals(bob!.wait, {
    destination: "example.net",
    tries: 1,
    nextTryAt: "2026-01-05T09:30:01.000Z",
    givesUpAt: "2026-01-10T09:00:00.500Z",
    delayTold: true,
    backupSince: "2026-01-05T09:00:00.500Z",
    backup: null,
    destinationFailures: 3,
    destinationReason: "connection refused by 192.0.2.1:25",
  });
  assertEquals(trace!.tries.map(({ places, destination, result }) => ({ places, destination, result })), [
    { places: [3], destination: "example.com", result: "250 2.0.0 Ok" },
    { places: [2], destination: "example.net", result: "451 4.3.0 try later" },
  ]);
  assertEquals(trace!.tries[0]!.dialogue.at(0), "S: 220 mx.example.net ESMTP");
});

Deno.test("traceMessage() tells what this system made from what it received", async () => {
  const context = await withUsers();
  const key = await new Outbox(context).accept({ to: ["bob@example.net"], from: "", made: "notification" });
  const [trace] = await traceMessage(context, formatMessageKey(key));
  assertEquals(trace!.made, "notification");
});

Deno.test("traceMessage() tells of the pieces of a message, and of what a piece is one", async () => {
  const context = await withUsers("alice");
  const outbox = new Outbox(context);
  const key = await outbox.accept({ to: ["bob@example.net"], messageId: "2@example.org" });
  const pieces = [1, 2].map((number) => ({
    key: key + number,
    of: key,
    place: `${number}/2`,
    own: new Uint8Array(4),
    segments: [{ offset: 0, length: 4 }, { source: key, offset: 0, length: 5 }],
    size: 9,
    messageId: `${number}@mail.example.org`,
  }));
  await context.store.deliveries.record({
    pieces,
    outcomes: [{
      key,
      index: 0,
      state: "expanded",
      atMs: context.clock.nowMs(),
      detail: "sent on as 2 messages",
      deliverTo: [],
      expandedTo: pieces.map((piece) => ({ recipient: "bob@example.net", piece: piece.key })),
    }],
  });
  const [whole] = await traceMessage(context, "2@example.org");
  const ids = pieces.map((piece) => formatMessageKey(piece.key));
  assertEquals([whole!.pieces, whole!.pieceOf], [ids, null]);
  const [second] = await traceMessage(context, ids[1]!);
  assertEquals([second!.pieces, second!.pieceOf], [[], { id: whole!.id, place: "2/2" }]);
  assertEquals([second!.bytes, second!.messageId, second!.from], [
    9,
    "2@mail.example.org",
    "alice@example.org",
  ]);
  assertEquals(second!.recipients.map(({ recipient, state }) => [recipient, state]), [[
    "bob@example.net",
    "queued",
  ]]);
});
