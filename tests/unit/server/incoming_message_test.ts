import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import fc from "fast-check";
import { concat, latin1, utf8 } from "../../../src/base/bytes.ts";
import { FakeClock } from "../../../src/base/clock.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { SharedCounters } from "../../../src/base/shared.ts";
import { formatMessageKey } from "../../../src/mail/message_id.ts";
import { IncomingMessage, type IncomingMessageOptions } from "../../../src/server/incoming_message.ts";
import type { AcceptedMessage } from "../../../src/store/types.ts";
import { lines } from "./fixture.ts";

const KEY = 123_456_789;
const ID = formatMessageKey(KEY);

interface Stored {
  readonly parts: Uint8Array[];
  readonly accepted: AcceptedMessage[];
  readonly discarded: number[];
}

function incoming(options: Partial<IncomingMessageOptions> = {}) {
  const counters = new SharedCounters(SharedCounters.create(seededRandom(1)), { thread: 0 });
  const stored: Stored = { parts: [], accepted: [], discarded: [] };
  const message = new IncomingMessage({
    key: KEY,
    envelope: { reversePath: "a@example.com", recipients: ["alice@example.org"], smtpUtf8: false },
    origin: { client: "192.0.2.7", helo: "client.example.com", transmission: "ESMTP" },
    hostname: "mail.example.org",
    missingFields: "leave",
    memoryOctets: 2 ** 30,
    spool: {
      append: (_, part) => Promise.resolve(void stored.parts.push(part.slice())),
      accept: (message) => {
        stored.parts.push(message.lastPart.slice());
        return Promise.resolve(void stored.accepted.push(message));
      },
      discard: (key) => Promise.resolve(void stored.discarded.push(key)),
    },
    counters,
    clock: new FakeClock(Date.UTC(2026, 0, 5, 9)),
    ...options,
  });
  return { message, counters, stored };
}

/** Gives a message its text in pieces and accepts it. */
async function take(
  text: string | Uint8Array,
  options: Partial<IncomingMessageOptions> & { readonly pieceOctets?: number } = {},
) {
  const made = incoming(options);
  const bytes = typeof text === "string" ? utf8(text) : text;
  const step = options.pieceOctets ?? 64 * 1024;
  for (let at = 0; at < bytes.length; at += step) {
    if (made.message.add(bytes.subarray(at, at + step)) === "full") await made.message.flush();
  }
  const size = await made.message.accept();
  const whole = latin1(concat(made.stored.parts));
  const [received, body] = split(whole);
  return { ...made, size, whole, received, body };
}

/** The Received field that was added, and the rest. */
function split(text: string): [string, string] {
  const [received] = /^Received:[^\n]*\n(?:\t[^\n]*\n)*/.exec(text)!;
  return [received, text.slice(received.length)];
}

Deno.test("IncomingMessage puts a Received field in front and changes nothing else", async () => {
  const { received, body, size, whole, stored } = await take("Subject: a\r\n\r\n\0\xff hello\r\n");
  assertMatch(
    received,
    new RegExp(
      `^Received: from client.example.com \\(\\[192.0.2.7\\]\\)\\s+by mail.example.org\\s+with ESMTP\\s+id ${ID}\\s+` +
        "for <alice@example.org>;\\s+Mon, 5 Jan 2026 ",
    ),
  );
  assertEquals(body, latin1(utf8("Subject: a\r\n\r\n\0\xff hello\r\n")));
  assertEquals([size, stored.accepted[0]!.size], [whole.length, whole.length]);
  assertEquals(stored.accepted[0]!.receivedAtMs, Date.UTC(2026, 0, 5, 9));
});

Deno.test("IncomingMessage names no recipient where there are several", async () => {
  const envelope = { reversePath: "", recipients: ["a@x.org", "b@x.org"], smtpUtf8: false };
  const { received } = await take("Subject: a\r\n\r\n", { envelope });
  assertEquals(received.includes("x.org"), false);
});

Deno.test("IncomingMessage gives a submission the Date and Message-ID it lacks, and only those", async () => {
  const date = "Date: Mon, 5 Jan 2026 08:00:00 +0000\r\n";
  const id = "Message-ID: <own@example.com>\r\n";
  const rest = "Subject: a\r\n\r\nbody\r\n";
  const ownId = `Message-ID: <${ID}@mail.example.org>\r\n`;
  const dateAdded = /^Date: Mon, 5 Jan 2026 \d\d:00:00 [+-]\d{4}\r\n/;

  const neither = await take(rest, { missingFields: "add" });
  assertMatch(neither.body, dateAdded);
  assertEquals(neither.body.replace(dateAdded, ""), ownId + rest);
  assertEquals(neither.stored.accepted[0]!.messageId, `${ID}@mail.example.org`);

  const noId = await take(date + rest, { missingFields: "add" });
  assertEquals(noId.body, ownId + date + rest);

  const noDate = await take(id + rest, { missingFields: "add" });
  assertMatch(noDate.body, dateAdded);
  assertEquals(noDate.body.replace(dateAdded, ""), id + rest);
  assertEquals(noDate.stored.accepted[0]!.messageId, "own@example.com");

  const both = await take(date + id + rest, { missingFields: "add" });
  assertEquals(both.body, date + id + rest);
  // Those in the body are no fields.
  const inBody = await take(`Subject: a\r\n\r\n${date}${id}`, { missingFields: "add" });
  assertEquals(inBody.body.replace(dateAdded, ""), `${ownId}Subject: a\r\n\r\n${date}${id}`);
});

Deno.test("IncomingMessage adds nothing to what is not a submission", async () => {
  const { body, stored } = await take("Subject: a\r\n\r\nbody\r\n", { missingFields: "leave" });
  assertEquals(body, "Subject: a\r\n\r\nbody\r\n");
  assertEquals(stored.accepted[0]!.messageId, "");
});

Deno.test("IncomingMessage looks for Date past the first part", async () => {
  const long = `X-Long: ${"x".repeat(230_000)}\r\n`;
  const text = `${long}Date: Mon, 5 Jan 2026 08:00:00 +0000\r\nMessage-ID: <a@b>\r\n\r\n${lines(500_000)}`;
  const { body, stored } = await take(text, { missingFields: "add", pieceOctets: 50_000 });
  assertEquals(body, text);
  assert(stored.parts.length > 1);
});

Deno.test("IncomingMessage takes an mbox separator off", async () => {
  const fields = "Subject: a\r\nMessage-ID: <a@b>\r\n\r\nFrom here it is body\r\n";
  for (const pieceOctets of [1, 64 * 1024]) {
    const { body, stored } = await take(`From a@b Mon Jan  5 09:00:00 2026\r\n${fields}`, { pieceOctets });
    assertEquals(body, fields);
    assertEquals(stored.accepted[0]!.messageId, "a@b");
  }
});

Deno.test("IncomingMessage ends what has no line end, an empty message too", async () => {
  for (
    const [text, expected] of [
      ["", "\r\n"],
      ["a", "a\r\n"],
      ["a\r", "a\r\r\n"],
      ["a\n", "a\n\r\n"],
      ["a\r\n", "a\r\n"],
      ["\r\n", "\r\n"],
    ] as const
  ) {
    for (const pieceOctets of [1, 2, 100]) {
      assertEquals((await take(text, { pieceOctets })).body, expected, JSON.stringify(text));
    }
  }
});

Deno.test("IncomingMessage keeps octets, order and counts however they come", async () => {
  const cut = fc.record({
    octets: fc.integer({ min: 0, max: 700_000 }),
    pieceOctets: fc.integer({ min: 1000, max: 70_000 }),
    announcedOctets: fc.option(fc.integer({ min: 0, max: 800_000 }), { nil: undefined }),
    memoryOctets: fc.constantFrom(0, 100_000, 2 ** 30),
  });
  await fc.assert(
    fc.asyncProperty(cut, async ({ octets, ...options }) => {
      const text = `Subject: a\r\n\r\n${octets === 0 ? "" : lines(octets)}`;
      const { body, stored, counters, size, whole } = await take(text, options);
      assertEquals(body === text, true);
      assertEquals(size, whole.length);
      assertEquals(counters.octets(), 0);
      for (const part of stored.parts) assert(part.length <= 256 * 1024 + 70_000 + 1000);
    }),
    { numRuns: 30 },
  );
});

Deno.test("IncomingMessage stores parts of 256 KiB at most beside the trace, and none below 16 KiB but the last", async () => {
  for (const memoryOctets of [0, 2 ** 30]) {
    for (const pieceOctets of [100, 1460, 16_384, 65_536]) {
      const text = `Subject: a\r\n\r\n${lines(1_500_000)}`;
      const { stored } = await take(text, { memoryOctets, pieceOctets });
      const octets = stored.parts.map((part) => part.length);
      assert(Math.max(...octets) <= 256 * 1024 + 500, `${octets}`);
      assert(Math.min(...octets.slice(0, -1)) >= 16 * 1024, `${octets}`);
      if (memoryOctets === 0) assert(octets.length > 15, `${octets}`);
    }
  }
});

Deno.test("IncomingMessage counts what it holds until the store has it", async () => {
  const waiting: (() => void)[] = [];
  const hold = () => new Promise<void>((resolve) => waiting.push(resolve));
  const { message, counters } = incoming({
    announcedOctets: 10_000_000,
    spool: { append: hold, accept: hold, discard: hold },
  });
  assertEquals(counters.octets(), 256 * 1024);
  const piece = utf8(`Subject: a\r\n\r\n${lines(200_000)}`);
  assertEquals(message.add(piece), "full");
  const flushed = message.flush();
  assertEquals(counters.octets(), 256 * 1024);
  waiting.pop()!();
  await flushed;
  assertEquals(counters.octets(), 0);
  assertEquals(message.add(piece), "full");
  assertEquals(counters.octets(), piece.length);
  const accepted = message.accept();
  assertEquals(counters.octets(), piece.length);
  waiting.pop()!();
  await accepted;
  assertEquals(counters.octets(), 0);
});

Deno.test("IncomingMessage takes a small buffer while memory is used up", () => {
  const { counters } = incoming({ announcedOctets: 10_000_000, memoryOctets: -1 });
  assertEquals(counters.octets(), 1024);
});

Deno.test("IncomingMessage.discard() frees the memory, and the spool only where it has something", async () => {
  const small = incoming();
  small.message.add(utf8("Subject: a\r\n\r\n"));
  await small.message.discard();
  assertEquals([small.counters.octets(), small.stored.discarded], [0, []]);
  const large = incoming();
  large.message.add(utf8(`Subject: a\r\n\r\n${lines(300_000)}`));
  await large.message.flush();
  large.message.add(utf8("more\r\n"));
  await large.message.discard();
  assertEquals([large.counters.octets(), large.stored.discarded], [0, [KEY]]);
});

Deno.test("IncomingMessage.discard() takes back a part whose storing failed", async () => {
  const discarded: number[] = [];
  const { message, counters } = incoming({
    spool: {
      append: () => Promise.reject(new Error("disk gone")),
      accept: () => Promise.reject(new Error("disk gone")),
      discard: (key) => Promise.resolve(void discarded.push(key)),
    },
  });
  message.add(utf8(`Subject: a\r\n\r\n${lines(300_000)}`));
  await assertRejects(() => message.flush());
  await message.discard();
  assertEquals([counters.octets(), discarded], [0, [KEY]]);
});

Deno.test("IncomingMessage.receivedCount counts the message's own Received fields", () => {
  const { message } = incoming();
  message.add(utf8("Received: a\r\nreceived: b\r\n c\r\nSubject: a\r\n\r\nReceived: in the body\r\n"));
  assertEquals(message.receivedCount, 2);
});
