import { assertEquals, assertRejects } from "@std/assert";
import { AdminError } from "../../../src/admin/error.ts";
import { deleteMail } from "../../../src/admin/mail.ts";
import { traceMessage } from "../../../src/admin/trace.ts";
import { deliver, withUsers } from "./fixtures.ts";

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
    recipients: [{
      recipient: "alice@example.org",
      state: "delivered",
      at: "2026-01-05T09:00:00.000Z",
      detail: "",
      maildrops: [{ account: "alice", removedAt: "2026-01-05T09:00:05.000Z" }],
    }],
  }]);
  for (const other of ["1@example.com", "<1@example.com>", ` ${id.toUpperCase()} `]) {
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
