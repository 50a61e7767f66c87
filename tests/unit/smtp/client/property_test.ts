/**
 * Whatever a server says: no exception, one result for each recipient, and the same however it is cut up.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { utf8 } from "../../../../src/base/bytes.ts";
import { SmtpSession } from "../../../../src/smtp/session.ts";
import * as replies from "../../../../src/smtp/replies.ts";
import { SmtpClientSession } from "../../../../src/smtp/client/session.ts";
import { SETTINGS as SERVER_SETTINGS } from "../harness.ts";
import { converse, ehlo, GREETING, SETTINGS, to } from "./peer.ts";
import { concat, fromLatin1, latin1 } from "../../../../src/base/bytes.ts";

const line = fc.oneof(
  fc.constantFrom(
    "250 ok",
    "354 go",
    "550 5.1.1 no",
    "421 bye",
    "451 later",
    "250-more",
    "552 5.2.2 full",
    "334 ",
    "x",
  ),
  fc.string({ unit: "binary-ascii", maxLength: 30 }),
);
const replyText = line.map((text) => `${text}\r\n`);
const script = fc.tuple(
  fc.constantFrom([], ["PIPELINING"], ["PIPELINING", "CHUNKING"], ["DSN", "SIZE 10"]),
  fc.array(replyText, { maxLength: 20 }),
).map(([extensions, lines]) => [GREETING, ehlo(...extensions), ...lines]);

Deno.test("SmtpClientSession gives each recipient exactly one result, whatever the server says", () => {
  fc.assert(fc.property(script, fc.integer({ min: 1, max: 4 }), fc.nat(), (segments, recipients, seed) => {
    const messages = [0, 1].map(() => to(Array.from({ length: recipients }, (_, i) => `r${i}@example.test`)));
    const options = { messages, lost: "lost" };
    const whole = converse(segments, options);
    const done = whole.events.filter((event) => event.kind === "done");
    const begun = Math.min(2, done.length);
    assert(begun >= 1, "a transaction was begun and has no results");
    for (const event of done) assertEquals(event.results.length, recipients);
    assertEquals(whole.events.at(-1)!.kind, "failed");
    let state = seed;
    const cut = () => 1 + (state = (state * 1103515245 + 12345) % 2 ** 31) % 7;
    for (
      const other of [
        converse(segments, { ...options, cut: "octets" }),
        converse(segments, { ...options, cut }),
      ]
    ) {
      assertEquals([other.events, other.sent, other.dialogue], [whole.events, whole.sent, whole.dialogue]);
    }
  }));
});

Deno.test("SmtpClientSession delivers any content unchanged to SmtpSession", () => {
  const piece = fc.array(fc.constantFrom("a", ".", "..", "\r\n", "\r\n.", "\xff", "x".repeat(90)), {
    maxLength: 30,
  })
    .map((words) => words.join(""));
  fc.assert(fc.property(fc.array(piece, { maxLength: 5 }), fc.boolean(), (pieces, pipelining) => {
    const content = `${pieces.join("")}\r\n`;
    assertEquals(relay([...pieces, "\r\n"], pipelining ? "as-offered" : "no-pipelining"), content);
  }));
});

/** Lets a client session talk to a server session; gives the content that arrived. */
function relay(pieces: readonly string[], offer: "as-offered" | "no-pipelining"): string {
  const server = new SmtpSession({ ...SERVER_SETTINGS, starttls: "none", messageOctets: 1_000_000 });
  const client = new SmtpClientSession(SETTINGS);
  const content: Uint8Array[] = [];
  server.greet();
  for (let turn = 0; turn < 100; turn++) {
    for (let event = server.next(); typeof event !== "string"; event = server.next()) {
      if (event.kind === "content") content.push(event.bytes);
      else if (event.kind === "close") return latin1(concat(content));
      else {server.answer(
          event.kind === "data"
            ? replies.startMailInput
            : event.kind === "data-end"
            ? replies.queued("x")
            : replies.ok,
        );}
    }
    const said = latin1(server.takeOutput() ?? new Uint8Array(0));
    client.receive(fromLatin1(offer === "as-offered" ? said : said.replace("PIPELINING", "X-NOTHING")));
    for (let event = client.next(); typeof event !== "string"; event = client.next()) {
      if (event.kind === "ready") client.begin(to(["b@example.test", "c@example.test"]).transaction);
      else if (event.kind === "content") {
        for (const piece of pieces) client.content(fromLatin1(piece));
        client.endContent();
      } else if (event.kind === "done") {
        assertEquals(event.results.map(({ reply }) => reply.code), [250, 250]);
        client.quit();
      }
    }
    const asked = client.takeOutput();
    if (asked !== undefined) server.receive(asked);
  }
  throw new Error("the sessions do not come to an end");
}

Deno.test("SmtpClientSession keeps little of what a server sends without end", () => {
  const session = new SmtpClientSession(SETTINGS);
  const garbage = utf8("250-" + "x".repeat(1000) + "\r\n");
  session.receive(utf8(GREETING));
  let fed = 0;
  for (
    let event = session.next();
    typeof event === "string" && event === "need-data";
    event = session.next()
  ) {
    session.receive(garbage);
    fed += garbage.length;
    if (fed > 100_000) throw new Error("no limit");
  }
  assert(fed <= 64 * 1024 + garbage.length);
});
