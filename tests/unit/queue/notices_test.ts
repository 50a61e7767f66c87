import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { CHUNK_OCTETS } from "../../../src/base/limits.ts";
import { reply } from "../../../src/mail/reply.ts";
import type { Notice } from "../../../src/queue/ledger.ts";
import { composeNotice } from "../../../src/queue/notices.ts";
import type { AcceptedMessage } from "../../../src/store/types.ts";
import { queued, type QueuedOptions, START_MS } from "./queue_fixture.ts";

const HEADER =
  "From: a@example.org\r\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <m1@example.org>\r\n";

interface Asked {
  readonly message?: QueuedOptions;
  readonly notice?: Partial<Notice>;
  /** In parts of 256 KiB. */
  readonly content?: string;
}

async function compose(asked: Asked = {}): Promise<{ report: AcceptedMessage; text: string }> {
  const octets = new TextEncoder().encode(asked.content ?? `${HEADER}\r\nthe body\r\n`);
  const message = queued(1, { size: octets.length, ...asked.message });
  const notices = message.recipients.map((recipient): Notice => ({
    recipient,
    action: "failed",
    reply: reply(550, "5.1.1", "no such user"),
    by: "mx.example.test",
    said: "there",
    reason: "no such user",
    dialogue: "C: RCPT\nS: 550 5.1.1 no such user",
    ...asked.notice,
  }));
  const report = await composeNotice(message, notices, {
    hostname: "mail.example.org",
    domain: "example.org",
    nextKey: () => 77,
    nowMs: START_MS + 60_000,
    part: (_, index) => {
      const part = octets.slice(index * CHUNK_OCTETS, (index + 1) * CHUNK_OCTETS);
      return Promise.resolve(part.length === 0 ? undefined : part);
    },
  });
  return { report, text: new TextDecoder().decode(report.lastPart) };
}

Deno.test("composeNotice() makes a message from nobody to the sender, of one part", async () => {
  const { report, text } = await compose();
  assertEquals(report.envelope.reversePath, "");
  assertEquals(report.envelope.recipients, ["sender@example.org"]);
  assertEquals([report.key, report.size, report.receivedAtMs], [
    77,
    report.lastPart.length,
    START_MS + 60_000,
  ]);
  assertEquals(report.origin.made, "notification");
  assertStringIncludes(text, `Message-ID: <${report.messageId}>`);
  assertStringIncludes(text, "From: ");
  assertStringIncludes(text, "MAILER-DAEMON@example.org");
  assertStringIncludes(text, "Final-Recipient: rfc822; bob@example.test");
  assertStringIncludes(text, "Status: 5.1.1");
  assertStringIncludes(text, "Remote-MTA: dns; mx.example.test");
  assertStringIncludes(text, "Diagnostic-Code: smtp; 550 5.1.1 no such user");
  assertStringIncludes(text, "S: 550 5.1.1 no such user");
});

Deno.test("composeNotice() gives ENVID and ORCPT back as they came", async () => {
  const { text } = await compose({
    message: {
      requests: { envid: "QQ314159" },
      recipients: [{ requests: { orcpt: "rfc822;Bob@Example.TEST" } }],
    },
  });
  assertStringIncludes(text, "Original-Envelope-Id: QQ314159");
  assert(/Original-Recipient: rfc822; ?Bob@Example\.TEST/.test(text));
});

Deno.test("composeNotice() writes to who keeps a list, without the sender's name for the envelope", async () => {
  const { report, text } = await compose({
    message: {
      requests: { envid: "QQ314159" },
      recipients: [{ requests: { notify: ["failure"] }, reversePath: "keeper@example.org" }],
    },
  });
  assertEquals(report.envelope.recipients, ["keeper@example.org"]);
  assert(/^To: <?keeper@example\.org>?\r$/m.test(text));
  assert(!text.includes("QQ314159"));
});

Deno.test("composeNotice() returns all of a small message, the header by RET=HDRS, and no content but for failures", async () => {
  const body = "the body\r\n";
  assertStringIncludes((await compose()).text, body);
  assertStringIncludes((await compose({ message: { requests: { ret: "FULL" } } })).text, body);
  const headers = await compose({ message: { requests: { ret: "HDRS" } } });
  assertStringIncludes(headers.text, "Message-ID: <m1@example.org>");
  assert(!headers.text.includes(body));
  // RFC 3461 6.2.
  for (const action of ["delayed", "delivered", "relayed"] as const) {
    const { text } = await compose({ message: { requests: { ret: "FULL" } }, notice: { action } });
    assert(!text.includes(body), action);
    assertStringIncludes(text, `Action: ${action}`);
  }
});

Deno.test("composeNotice() returns large messages whole only where that was asked for, and where they fit", async () => {
  const line = `${"x".repeat(70)}\r\n`;
  const content = (octets: number) => `${HEADER}\r\n${line.repeat(octets / line.length)}END\r\n`;
  for (
    const [octets, ret, isWhole] of [
      [40_000, undefined, true],
      [60_000, undefined, false],
      [60_000, "FULL", true],
      [180_000, "FULL", true],
      [300_000, "FULL", false],
    ] as const
  ) {
    const { report, text } = await compose({
      content: content(octets),
      message: ret === undefined ? {} : { requests: { ret } },
    });
    assertEquals(text.includes("END\r\n"), isWhole, `${octets} octets with RET=${ret}`);
    assert(report.size <= CHUNK_OCTETS, `${report.size} octets are one part`);
  }
});

Deno.test("composeNotice() makes do with the header of a message whose rest is gone", async () => {
  const { text } = await compose({ message: { size: 40_000 } });
  assertStringIncludes(text, "Message-ID: <m1@example.org>");
  assert(!text.includes("the body"));
  assertStringIncludes((await compose({ content: "", message: { size: 0 } })).text, "Action: failed");
});

Deno.test("composeNotice() asks for 8BITMIME where what it returns has 8 bits, and not otherwise", async () => {
  assertEquals((await compose()).report.envelope.requests, undefined);
  const eight = await compose({ content: `${HEADER}\r\ngrüße\r\n` });
  assertEquals(eight.report.envelope.requests, { body: "8BITMIME" });
  const utf8 = await compose({ message: { smtpUtf8: true } });
  assertEquals(utf8.report.envelope.smtpUtf8, true);
});

Deno.test("composeNotice() takes the status of its class, whatever the last word was", async () => {
  const status = async (notice: Partial<Notice>) =>
    /^Status: (.*)\r$/m.exec((await compose({ notice })).text)![1];
  assertEquals(await status({ reply: reply(550, undefined, "no") }), "5.0.0");
  assertEquals(await status({ reply: reply(550, "5.7.1", "no") }), "5.7.1");
  assertEquals(await status({ reply: reply(550, "2.0.0", "odd") }), "5.0.0");
  assertEquals(await status({ action: "delayed", reply: undefined }), "4.4.7");
  assertEquals(await status({ action: "delivered", reply: undefined, by: "" }), "2.0.0");
  assertEquals(await status({ action: "relayed", reply: reply(250, "2.1.5", "ok") }), "2.1.5");
});

Deno.test("composeNotice() does not put our words into the other system's mouth", async () => {
  const { text } = await compose({
    notice: { said: "here", reply: reply(550, "4.4.7", "tried for too long") },
  });
  assertStringIncludes(text, "Remote-MTA: dns; mx.example.test");
  assert(!text.includes("Diagnostic-Code"));
});

Deno.test("composeNotice() says until when it is tried", async () => {
  const { text } = await compose({
    notice: { action: "delayed", reply: undefined, retryUntilMs: START_MS + 5 * 86_400_000 },
  });
  assertStringIncludes(text, "Will-Retry-Until: Sat, 10 Jan 2026 09:00:00 +0000");
});

Deno.test("composeNotice() returns no content of a message that asked for REQUIRETLS", async () => {
  const { text } = await compose({ message: { requests: { requireTls: true, ret: "FULL" } } });
  assertEquals(text.includes("the body"), false);
  assertStringIncludes(text, "Message-ID: <m1@example.org>");
});
