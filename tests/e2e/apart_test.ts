/**
 * Break Apart on the binary: outbound with `passthru: no`, what is never split, damage, very many attachments, pieces that
 * several share, and a crash between acceptance and delivery.
 *
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { Buffer } from "node:buffer";
import { mimeCorpus } from "../testdata/mime_corpus.ts";
import { bodyOf, e2e, field, pause, type Server, until } from "./harness.ts";
import {
  ALICE,
  assertPassed,
  handled,
  handOver,
  OUTSIDE,
  PAULA,
  rows,
  storedOctets,
  submission,
  submitOctets,
  YVES,
} from "./peers/handled.ts";

/** A text and attachments, each with its number as content. */
function parcel(subject: string, attachments: number): string {
  const parts = Array.from(
    { length: attachments },
    (_, i) =>
      `--b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename="file ${
        i + 2
      }.bin"\r\n` +
      `Content-Transfer-Encoding: base64\r\n\r\n${btoa(`content of part ${i + 2}`)}\r\n`,
  );
  return `From: Alice <${ALICE}>\r\nDate: Tue, 24 Nov 2026 12:00:00 +0000\r\nMessage-ID: <${subject}@pc.test>\r\n` +
    `Subject: ${subject}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n` +
    `--b\r\nContent-Type: text/plain\r\n\r\nThe text.\r\n${parts.join("")}--b--\r\n`;
}

/** What each piece says it is, in order. */
function places(pieces: readonly string[]): (string | undefined)[] {
  return pieces.map((piece) => field(piece, "X-EMS-Part"));
}

/** The messages of the corpus that have `what` in their summary, as octets in characters. */
function fromCorpus(what: RegExp): { readonly name: string; readonly data: string }[] {
  return [...mimeCorpus()].filter(({ expect }) => what.test(expect)).map(({ name, octets }) => ({
    name,
    data: Buffer.from(octets).toString("latin1"),
  }));
}

async function sendAll(
  server: Server,
  mails: readonly { readonly name: string; readonly data: string }[],
): Promise<void> {
  const wire = await submission(server);
  for (const { name, data } of mails) {
    const { code, text } = await handOver(wire, { to: [YVES], data });
    assertEquals(code, 250, `${name}: ${text}`);
  }
  wire.close();
}

handled("apart: with passthru: no it is broken apart for everybody, outside too", {
  address: "127.0.21.20",
  config: { passthru: false },
}, async ({ server, sink }) => {
  const data = parcel("parcel", 2);
  const id = await submitOctets(server, { to: [PAULA, YVES, `carol@${OUTSIDE}`], data });
  const sent = await sink.untilOctets(3);
  assertEquals(places(sent).toSorted(), ["1/3", "2/3", "3/3"]);
  for (const user of ["paula", "yves"]) {
    const pieces = await server.mail(user, 3);
    assertEquals(places(pieces), ["1/3", "2/3", "3/3"], user);
    for (const piece of pieces) {
      // The same piece went outside, octet for octet.
      const outside = sent.find((each) => field(each, "X-EMS-Part") === field(piece, "X-EMS-Part"))!;
      assertPassed(outside, piece.slice(piece.indexOf("\r\nReceived: ") + 2), "a piece");
    }
  }
  for (const text of sent) assertMatch(text, new RegExp(`^X-Rcpt-Args: <carol@${OUTSIDE}>\r$`, "m"));
  const trace = await server.mustCli(["trace", id]);
  assertMatch(trace, /sent on as 3 messages/);
});

handled("apart: what is signed or encrypted stays whole for a Y user", {
  address: "127.0.21.21",
}, async ({ server }) => {
  const names = ["smime_signed", "smime_opaque", "pgp_signed", "pgp_encrypted", "pgp_inline"];
  const mails = fromCorpus(/./).filter(({ name }) => names.includes(name));
  assertEquals(mails.map(({ name }) => name).toSorted(), names.toSorted());
  await sendAll(server, mails);
  const texts = await server.mail("yves", mails.length);
  for (const [index, { name, data }] of mails.entries()) assertPassed(texts[index]!, data, name);
});

handled("apart: damaged MIME is one message for a Y user, marked, with nothing lost", {
  address: "127.0.21.22",
}, async ({ server }) => {
  const mails = fromCorpus(/^multipart[^]*^damage: /m);
  assert(mails.length >= 8, `${mails.length} damaged messages`);
  await sendAll(server, mails);
  const texts = await server.mail("yves", mails.length);
  for (const [index, { name, data }] of mails.entries()) {
    const text = texts[index]!;
    const said = field(text, "X-EMS-Damaged");
    assert(said !== undefined && said.length > 10, `${name} says what is wrong`);
    // The mark stands in front of all that the message had when it was accepted.
    assertMatch(text, /^Return-Path: [^\r]*\r\nX-EMS-Damaged: /);
    const whole = data.endsWith("\r\n") ? data : `${data}\r\n`;
    assertPassed(text.replace(/\r\nX-EMS-Damaged: [^\r]*(\r\n[ \t][^\r]*)*/, ""), whole, name);
  }
});

handled("apart: 499 attachments are 500 pieces in order; with 501 it stays one message, marked", {
  address: "127.0.21.23",
}, async ({ server }) => {
  await submitOctets(server, { to: [YVES], data: parcel("most", 499) });
  const pieces = await server.mail("yves", 500);
  assertEquals(places(pieces), Array.from({ length: 500 }, (_, i) => `${i + 1}/500`));
  assertMatch(bodyOf(pieces[0]!), /^The text\.\r\n/);
  for (const [i, piece] of pieces.entries()) {
    if (i === 0) continue;
    assertMatch(piece, new RegExp(`filename="file ${i + 1}\\.bin"`));
    assert(piece.includes(`\r\n\r\n${btoa(`content of part ${i + 1}`)}\r\n--b--\r\n`), `piece ${i + 1}`);
  }
  const data = parcel("too many", 501);
  await submitOctets(server, { to: [YVES], data });
  const last = (await server.mail("yves", 501)).at(-1)!;
  assertMatch(field(last, "X-EMS-Damaged") ?? "", /502 parts/);
  assertEquals(last.slice(-data.length), data);
});

handled("apart: two Y users share pieces; the body goes with the last of them", {
  address: "127.0.21.24",
  prepare: (server) => server.addUser("yolanda", "--pop3", "Y"),
}, async ({ server }) => {
  const data = parcel("shared", 3);
  await submitOctets(server, { to: [YVES, "yolanda@example.test"], data });
  const first = await server.mail("yves", 4);
  const second = await server.mail("yolanda", 4);
  assertEquals(first, second);
  const uids = async (user: string) => {
    const wire = await server.pop3(user);
    const lines = await wire.popList("UIDL");
    await wire.popOk("QUIT");
    wire.close();
    return lines;
  };
  assertEquals(await uids("yves"), await uids("yolanda"));
  assertEquals(rows(server, "SELECT count(*) AS n FROM message WHERE piece_of IS NOT NULL"), [{ n: 4 }]);

  const empty = async (user: string, numbers: readonly number[]) => {
    const wire = await server.pop3(user);
    for (const n of numbers) await wire.popOk(`DELE ${n}`);
    await wire.popOk("QUIT");
    wire.close();
  };
  await empty("yves", [1, 2, 3, 4]);
  assertEquals(await server.mail("yves", 0), []);
  assertEquals(await server.mail("yolanda", 4), second);
  await empty("yolanda", [1, 2, 4]);
  // Of the message that one piece is left of, nothing may be missing.
  assertEquals(await server.mail("yolanda", 1), [second[2]!]);
  assert(storedOctets(server) > data.length);
  await empty("yolanda", [1]);
  await until("the body to be gone", () => Promise.resolve(storedOctets(server) === 0));
});

// ---------------------------------------------------------------- the power goes

const SENDERS = 4;
const ROUNDS = 3;
/** Crashes at most, where none of those before came between an acceptance and its delivery. */
const ROUNDS_MOST = 10;
const ATTACHMENTS = 3;

interface Promised {
  /** Subjects whose message was answered with 250. */
  readonly kept: Set<string>;
  readonly begun: Set<string>;
}

async function sendUntilBroken(server: Server, { kept, begun }: Promised): Promise<void> {
  try {
    const wire = await submission(server);
    for (;;) {
      const subject = crypto.randomUUID();
      begun.add(subject);
      const { code } = await handOver(wire, {
        to: ["yves@example.test", "yolanda@example.test"],
        data: parcel(subject, ATTACHMENTS),
      });
      if (code === 250) kept.add(subject);
    }
  } catch {
    // The server is gone.
  }
}

/** The subjects of the parcels in a maildrop; each is there in all its pieces, once. */
async function parcelsIn(server: Server, user: string): Promise<Set<string>> {
  const wire = await server.pop3(user);
  const count = Number((await wire.popOk("STAT")).split(" ")[1]);
  const found = new Map<string, string[]>();
  for (let n = 1; n <= count; n++) {
    const text = (await wire.popList(`TOP ${n} 0`)).map((line) => `${line}\r\n`).join("") + "\r\n";
    const place = field(text, "X-EMS-Part");
    assert(place !== undefined, `message ${n} is no piece:\n${text}`);
    const subject = field(text, "Subject")!.split(" ")[0]!;
    found.set(subject, [...found.get(subject) ?? [], place!]);
  }
  await wire.popOk("QUIT");
  wire.close();
  for (const [subject, each] of found) {
    assertEquals(each, ["1/4", "2/4", "3/4", "4/4"], `${subject} in ${user}'s maildrop`);
  }
  return new Set(found.keys());
}

e2e("apart: kill -9 under load leaves every message that was answered 250 in all its pieces, once", {
  users: ["alice"],
  prepare: async (server) => {
    for (const user of ["yves", "yolanda"]) await server.addUser(user, "--pop3", "Y");
  },
}, async (server) => {
  const promised: Promised = { kept: new Set(), begun: new Set() };
  let unfinished = 0;
  for (let round = 1; round <= ROUNDS || (unfinished === 0 && round <= ROUNDS_MOST); round++) {
    const senders = Array.from({ length: SENDERS }, () => sendUntilBroken(server, promised));
    await pause(400 + 300 * Math.min(round, ROUNDS));
    await server.crash();
    await Promise.all(senders);
    unfinished += Number(
      rows(server, "SELECT count(*) AS n FROM recipient WHERE state = 0")[0]!["n"],
    );
    await server.start();
  }
  assert(promised.kept.size > 20, `only ${promised.kept.size} messages got through`);
  assert(unfinished > 0, "no crash came between an acceptance and its delivery");
  for (const user of ["yves", "yolanda"]) {
    await until(`all of ${user}'s mail`, async () => {
      const found = await parcelsIn(server, user);
      for (const subject of found) assert(promised.begun.has(subject), `${subject} was never sent`);
      return [...promised.kept].every((subject) => found.has(subject));
    });
  }
  // Pieces that were made twice would be there without an entry.
  const alone = rows(
    server,
    "SELECT count(*) AS n FROM message WHERE piece_of IS NOT NULL AND key NOT IN (SELECT key FROM entry)",
  );
  assertEquals(alone, [{ n: 0 }]);
});
