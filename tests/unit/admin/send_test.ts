import { assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { AdminError } from "../../../src/admin/error.ts";
import { forwardMail } from "../../../src/admin/forward.ts";
import { replyNote, replyTo } from "../../../src/admin/reply.ts";
import { listMail, readMail } from "../../../src/admin/mail.ts";
import { putReport } from "../../../src/admin/reports.ts";
import { sendNote } from "../../../src/admin/send.ts";
import { addUser } from "../../../src/admin/users.ts";
import { concat, latin1, utf8 } from "../../../src/base/bytes.ts";
import type { ConfigPart } from "../../../src/config/config.ts";
import { formatMessageKey, parseMessageKey } from "../../../src/mail/message_id.ts";
import { fieldValue, parseHeader } from "../../../src/mime/header.ts";
import { readableText } from "../../../src/mime/text_body.ts";
import { deliver, type Fixture, fixture } from "./fixtures.ts";

async function people(config: ConfigPart = {}): Promise<Fixture> {
  const context = fixture({ hostname: "mail.example.org", relay: { mode: "direct" }, ...config });
  for (const name of ["alice", "bob", "bobby"]) await addUser(context, { name, password: "secret" });
  await context.store.directory.changeAccount("bob", {
    identity: { displayName: "Bob Long", department: "Sales", phone: "" },
  });
  await context.store.entries.change([
    {
      kind: "set-shadow",
      shadow: {
        name: "eric",
        address: "Eric@example.com",
        inbound: false,
        identity: { displayName: "Eric Far", department: "", phone: "" },
      },
    },
    {
      kind: "set-nickname",
      account: (await context.store.directory.account("bob"))!.id,
      nickname: { name: "boss", addresses: ["alice"] },
    },
  ]);
  await context.clock.advance(1000);
  return context;
}

const note = (text: string) => ({ text, file: "note.txt" });

/** A message that was accepted, as a whole. */
async function accepted(context: Fixture, id: string | null) {
  const key = parseMessageKey(id!)!;
  const parts: Uint8Array[] = [];
  for (let index = 0;; index++) {
    const part = await context.store.maildrops.part(key, index);
    if (part === undefined) break;
    parts.push(part);
  }
  const octets = concat(parts);
  const header = parseHeader(octets);
  const history = (await context.store.history.message(key))!;
  assertEquals(history.size, octets.length);
  return { octets, history, field: (name: string) => fieldValue(header, name), read: readableText(octets) };
}

async function queued(context: Fixture): Promise<number> {
  return await context.store.queue.count({});
}

Deno.test("sendNote() sends to names, nicknames, shadows and addresses", async () => {
  const context = await people();
  const text =
    "/TO boss, eric, Bob L <x@example.net>\n/CC y@example.com\n/BCC z@example.com\n/SUBJECT Grüße\n\nHallo.\n";
  await addUser(context, { name: "x", password: "secret" });
  const sent = await sendNote(context, { user: "bob", note: note(text) });
  assertEquals(
    sent.recipients.map(({ header, address, name, by, maildrops, elsewhere }) => [
      header,
      address,
      name,
      by.join(" > "),
      maildrops,
      elsewhere,
    ]),
    [
      ["to", "alice@example.org", "", "nickname boss > account alice", ["alice"], 0],
      ["to", "Eric@example.com", "Eric Far", "shadow eric", [], 1],
      ["to", "x@example.net", "Bob L", "", ["x"], 0],
      ["cc", "y@example.com", "", "", [], 1],
      ["bcc", "z@example.com", "", "", [], 1],
    ],
  );
  const { field, history, read, octets } = await accepted(context, sent.id);
  assertEquals(field("from"), "Bob Long <bob@example.org>");
  assertEquals(field("to"), "alice@example.org, Eric Far <Eric@example.com>, Bob L <x@example.net>");
  assertEquals(field("cc"), "y@example.com");
  assertEquals(latin1(octets).includes("z@example.com"), false);
  assertEquals(field("message-id"), `<${sent.id}@mail.example.org>`);
  assertEquals(read.text.trimEnd(), "Hallo.");
  assertEquals(history.reversePath, "bob@example.org");
  assertEquals(history.messageId, `${sent.id}@mail.example.org`);
  assertEquals(history.origin, {
    client: "",
    helo: "mail.example.org",
    transmission: "ESMTPA",
    account: "bob",
  });
  assertEquals(history.recipients.map(({ recipient, state }) => [recipient, state]), [
    ["alice@example.org", "queued"],
    ["Eric@example.com", "queued"],
    ["x@example.net", "queued"],
    ["y@example.com", "queued"],
    ["z@example.com", "queued"],
  ]);
  assertEquals([history.requests, history.recipients[0]!.requests], [undefined, undefined]);
});

Deno.test("sendNote() asks for what /PRIORITY and /ACK ask for", async () => {
  const context = await people();
  const sent = await sendNote(context, {
    user: "bob",
    note: note("/TO alice\n/PRIORITY high\n/ACK read\nx\n"),
  });
  const { field, history } = await accepted(context, sent.id);
  assertEquals([field("priority"), field("importance")], ["urgent", "high"]);
  assertEquals(field("disposition-notification-to"), "Bob Long <bob@example.org>");
  assertEquals(history.requests, { priority: 4 });
  assertEquals(history.recipients[0]!.requests, { notify: ["success", "failure", "delay"] });
});

Deno.test("sendNote() tells all that is wrong, and sends nothing", async () => {
  const context = await people();
  const text = "/TO bobb allice nobody@example.org\n/REPORT SALES\n/PRIORITY hihg\n/TO bo\n\nx\n";
  const error = await assertRejects(() => sendNote(context, { user: "bob", note: note(text) }), AdminError);
  assertEquals(
    error.message,
    [
      "nothing was sent",
      "note.txt:1:10: nobody is called allice",
      "  /TO bobb allice nobody@example.org",
      "           ^^^^^^",
      "  did you mean alice?",
      "note.txt:1:17: mail for nobody@example.org can't be taken: No such user here",
      "  /TO bobb allice nobody@example.org",
      "                  ^^^^^^^^^^^^^^^^^^",
      "note.txt:2:9: there is no report SALES that bob may read",
      "  /REPORT SALES",
      "          ^^^^^",
      "  'emsmail report list --user bob' shows those there are",
      "note.txt:3:11: /PRIORITY can't be 'hihg'",
      "  /PRIORITY hihg",
      "            ^^^^",
      "  did you mean high?",
      "note.txt:4:5: bo may be any of 3: several names begin so",
      "  /TO bo",
      "      ^^",
      "  write more of the name of whoever is meant:",
      "    bob    Bob Long, Sales",
      "    bobby",
    ].filter((line) => line !== "").join("\n").replace("any of 3", "any of 2"),
  );
  assertEquals(await queued(context), 0);
});

Deno.test("sendNote() goes by gateways", async () => {
  const context = await people({ gateways: { filedrop: [filedrop()] } });
  const sent = await sendNote(context, { user: "bob", note: note("/TO /MHS user@workgroup\n\nx\n") });
  assertEquals(sent.recipients.map(({ address, elsewhere }) => [address, elsewhere]), [
    ["user@workgroup.mhs.example.org", 1],
  ]);
  const error = await assertRejects(
    () => sendNote(context, { user: "bob", note: note("/TO /MSH u\n") }),
    AdminError,
  );
  assertStringIncludes(
    error.message,
    "there is no gateway /MSH\n  /TO /MSH u\n      ^^^^\n  did you mean /MHS?",
  );
});

function filedrop() {
  return {
    name: "mhs",
    domain: undefined,
    out: "/tmp/out",
    in: undefined,
    poll: 5000,
    attachments: "apart",
    accept: "users",
  } as const;
}

Deno.test("sendNote() attaches reports as stretches of what is kept, and files", async () => {
  const context = await people();
  await putReport(context, {
    name: "sales",
    fileName: "sales.lst",
    content: (async function* () {
      yield utf8("1TITLE\n LINE\n");
    })(),
  });
  const files = [{ name: "/tmp/Übung.xls", octets: Uint8Array.of(0, 1, 255) }];
  const sent = await sendNote(context, {
    user: "bob",
    note: note("/TO alice\n/REPORT SALES\n\nHere.\n"),
    files,
  });
  const { read, octets } = await accepted(context, sent.id);
  assertEquals(sent.attachments, 2);
  assertEquals(read.attachments.map(({ name, type, octets }) => [name, type, octets]), [
    ["sales.txt", "text/plain", 13],
    ["Übung.xls", "application/vnd.ms-excel", 3],
  ]);
  // TITLE and LINE, as kept.
  assertStringIncludes(latin1(octets), btoa("TITLE\r\nLINE\r\n"));
});

Deno.test("sendNote() refuses what is too large, and whose maildrop is full", async () => {
  const context = await people({ limits: { messageBytes: 2000 } });
  const large = note(`/TO alice\n\n${"x ".repeat(2000)}`);
  const error = await assertRejects(() => sendNote(context, { user: "bob", note: large }), AdminError);
  assertMatch(error.message, /^nothing was sent: the message has \d+ octets, and this system takes 2000$/);
  await context.store.directory.changeAccount("alice", { quotaOctets: 100 });
  await assertRejects(
    () => sendNote(context, { user: "bob", note: note("/TO alice\n\nx\n") }),
    AdminError,
    "mail for alice@example.org can't be taken: the maildrop has no room for it",
  );
  assertEquals(await queued(context), 0);
});

Deno.test("sendNote() keeps a long text in parts, and can only check", async () => {
  const context = await people();
  const text = `/TO alice\n\n${"0123456789\n".repeat(60_000)}`;
  const checked = await sendNote(context, { user: "bob", note: note(text), mode: "check" });
  assertEquals([checked.id, await queued(context)], [null, 0]);
  const sent = await sendNote(context, { user: "bob", note: note(text) });
  const { octets } = await accepted(context, sent.id);
  assertEquals([octets.length, latin1(octets).endsWith("0123456789\r\n")], [sent.bytes, true]);
});

Deno.test("sendNote() takes the next id where another command has the same", async () => {
  const context = await people();
  const ids = new Set<string | null>();
  // The same moment and the same chance: the same ids.
  for (let i = 0; i < 3; i++) {
    const random = { bytes: () => new Uint8Array(16), fraction: () => 0 };
    const { store } = context;
    const history = { ...store.history, newestKey: () => Promise.resolve(0) };
    const same: Fixture = {
      ...context,
      random,
      store: new Proxy(store, { get: (of, name) => name === "history" ? history : Reflect.get(of, name) }),
    };
    ids.add((await sendNote(same, { user: "bob", note: note("/TO alice\n\nx\n") })).id);
  }
  assertEquals([ids.size, await queued(context)], [3, 3]);
});

const LETTER = "From: Eric Far <eric@example.com>\r\nTo: Bob <bob@example.org>, Carol <c@example.com>\r\n" +
  "Cc: bob+lists@example.net, d@example.com\r\nSubject: RE: re: Budget\r\nMessage-ID: <m2@example.com>\r\n" +
  "References: <m0@example.com>\r\n <m1@example.com>\r\nDate: Mon, 5 Jan 2026 08:59:00 +0000\r\n\r\nHow much?\r\n> old\r\n";

async function withLetter(text = LETTER): Promise<{ context: Fixture; id: string }> {
  const context = await people();
  const id = await deliver(context.store, context.clock, { to: "bob", text });
  await context.clock.advance(1000);
  return { context, id };
}

Deno.test("replyTo() keeps the return address and the conversation", async () => {
  const { context, id } = await withLetter();
  const sent = await replyTo(context, { user: "bob", id, note: note("Enough.\n") });
  const { field, read } = await accepted(context, sent.id);
  assertEquals(field("to"), "Eric Far <eric@example.com>");
  assertEquals(field("cc"), undefined);
  assertEquals(field("subject"), "Re: Budget");
  assertEquals(field("in-reply-to"), "<m2@example.com>");
  assertEquals(field("references"), "<m0@example.com> <m1@example.com> <m2@example.com>");
  assertEquals(read.text.trimEnd(), "Enough.");
});

Deno.test("replyTo() goes to Reply-To, and with all to the others but not to oneself", async () => {
  const { context, id } = await withLetter(`Reply-To: "Desk, The" <desk@example.com>\r\n${LETTER}`);
  const sent = await replyTo(context, { user: "bob", id, all: "yes", quote: "yes", note: note("Enough.\n") });
  const { field, read } = await accepted(context, sent.id);
  assertEquals(field("to"), '"Desk, The" <desk@example.com>');
  assertEquals(field("cc"), "Carol <c@example.com>, d@example.com");
  assertEquals(
    read.text.trimEnd(),
    "Enough.\n\nOn Mon, 5 Jan 2026 08:59:00 +0000, Eric Far wrote:\n> How much?\n>> old",
  );
});

Deno.test("replyTo() lets the note amend", async () => {
  const { context, id } = await withLetter();
  const text = "/TO alice\n/CC x@example.com\n/SUBJECT Other\n\nHi.\n";
  const sent = await replyTo(context, { user: "bob", id, all: "yes", note: note(text) });
  const { field } = await accepted(context, sent.id);
  assertEquals([field("to"), field("subject")], ["alice@example.org", "Other"]);
  assertEquals(field("cc"), "x@example.com, Carol <c@example.com>, d@example.com");
  assertEquals(field("in-reply-to"), "<m2@example.com>");
});

Deno.test("replyTo() answers one's own message to whom that went", async () => {
  const { context, id } = await withLetter("From: bob@example.org\r\nTo: Eric <e@example.com>\r\n\r\nx\r\n");
  const sent = await replyTo(context, { user: "bob", id, note: note("Again.\n") });
  const { field } = await accepted(context, sent.id);
  assertEquals([field("to"), field("subject"), field("in-reply-to")], [
    "Eric <e@example.com>",
    "Re:",
    undefined,
  ]);
});

Deno.test("replyTo() says what to do where there is nobody to answer", async () => {
  const { context, id } = await withLetter("Subject: x\r\n\r\nx\r\n");
  const nobody = await assertRejects(
    () => replyTo(context, { user: "bob", id, note: note("x\n") }),
    AdminError,
  );
  assertEquals([nobody.message, nobody.advice], [
    "nothing was sent: it would go to nobody",
    "name somebody with /TO",
  ]);
  const sent = await replyTo(context, { user: "bob", id, note: note("/TO alice\n\nx\n") });
  assertEquals(sent.recipients.map(({ address }) => address), ["alice@example.org"]);
});

Deno.test("replyNote() makes the note, which sent unchanged is the answer", async () => {
  const { context, id } = await withLetter();
  const text = await replyNote(context, { user: "bob", id, all: "yes", quote: "yes" });
  assertEquals(
    text,
    '/TO "Eric Far" <eric@example.com>\n/CC "Carol" <c@example.com>\n/CC d@example.com\n/SUBJECT Re: Budget\n\n' +
      "On Mon, 5 Jan 2026 08:59:00 +0000, Eric Far wrote:\n> How much?\n>> old\n",
  );
  const edited = text.replace("/CC d@example.com\n", "").replace("\n\nOn", "\n\nEnough.\n\nOn");
  const sent = await replyTo(context, { user: "bob", id, use: "complete", note: note(edited) });
  const { field, read } = await accepted(context, sent.id);
  assertEquals([field("to"), field("cc")], ["Eric Far <eric@example.com>", "Carol <c@example.com>"]);
  assertEquals(field("in-reply-to"), "<m2@example.com>");
  assertEquals(read.text.startsWith("Enough.\n\nOn Mon"), true);
});

const WITH_FILE = "From: Eric Far <eric@example.com>\r\nTo: bob@example.org\r\nSubject: Budget\r\n" +
  "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nSee there.\r\n--b\r\n" +
  "Content-Type: text/csv; charset=utf-8; name=a.csv\r\nContent-Transfer-Encoding: base64\r\n\r\nw7w=\r\n--b--\r\n";

Deno.test("forwardMail() sends text and attachments on", async () => {
  const { context, id } = await withLetter(WITH_FILE);
  const sent = await forwardMail(context, { user: "bob", id, note: note("/TO alice\n\nLook.\n") });
  const { field, read, octets } = await accepted(context, sent.id);
  assertEquals(field("subject"), "Fwd: Budget");
  assertEquals(
    read.text.trimEnd(),
    "Look.\n\n---------- Forwarded message ----------\nFrom: Eric Far <eric@example.com>\nSubject: Budget\n" +
      "To: bob@example.org\n\nSee there.",
  );
  assertEquals(read.attachments.map(({ name, type, octets }) => [name, type, octets]), [[
    "a.csv",
    "text/csv",
    2,
  ]]);
  assertStringIncludes(latin1(octets), '\r\nContent-Type: text/csv;\r\n charset=utf-8;\r\n name="a.csv"\r\n');
});

Deno.test("forwardMail() sends all of it as an attachment, octet for octet", async () => {
  const text = `${WITH_FILE}\xfc\x80\r\n`;
  const { context, id } = await withLetter(text);
  const sent = await forwardMail(context, { user: "bob", id, as: "attachment", note: note("/TO alice\n") });
  const { octets, history, read } = await accepted(context, sent.id);
  assertStringIncludes(latin1(octets), `\r\nContent-Transfer-Encoding: 8bit\r\n\r\n${text}\r\n--=_`);
  assertEquals(history.requests, { body: "8BITMIME" });
  assertEquals(read.attachments.map(({ name, type }) => [name, type]), [["Budget.eml", "message/rfc822"]]);
});

Deno.test("replyTo() answers the message that a piece is of, and readMail() names it", async () => {
  const context = await people();
  const whole = `Message-ID: <m@example.com>\r\nX-Odd: 1\r\n${WITH_FILE}`;
  const bob = (await context.store.directory.account("bob"))!;
  const key = parseMessageKey(await deliver(context.store, context.clock, { to: "bobby", text: whole }))!;
  const own = utf8("From: eric@example.com\r\nSubject: Budget [2/2 a.csv]\r\nX-EMS-Part: 2/2\r\n\r\nx\r\n");
  const first = utf8("From: eric@example.com\r\nSubject: Budget\r\nX-EMS-Part: 1/2\r\n\r\n");
  const of = key + 8 * 32 * 9;
  const pieces = [first, own].map((octets, index) => ({
    key: key + 8 * 32 * (index + 1),
    of,
    place: `${index + 1}/2`,
    own: octets.slice(),
    // Each holds something of the message.
    segments: [{ offset: 0, length: octets.length }, {
      source: of,
      offset: whole.indexOf("See"),
      length: 10,
    }],
    size: octets.length + 10,
    messageId: index === 0 ? "m@example.com" : "p@example.org",
  }));
  await context.store.spool.accept({
    key: of,
    lastPart: utf8(whole).slice(),
    size: whole.length,
    receivedAtMs: context.clock.nowMs(),
    envelope: { reversePath: "eric@example.com", recipients: ["bob@example.org"], smtpUtf8: false },
    origin: { client: "192.0.2.1", helo: "x", transmission: "ESMTP" },
    messageId: "m@example.com",
  });
  await context.store.deliveries.record({
    pieces,
    outcomes: [{
      key: of,
      index: 0,
      state: "delivered",
      atMs: context.clock.nowMs(),
      detail: "",
      deliverTo: [{
        account: bob.id,
        pieces: pieces.map((piece) => ({ key: piece.key, trace: new Uint8Array(), size: piece.size })),
      }],
    }],
  });
  assertEquals((await listMail(context, "bob")).map(({ number, part }) => [number, part]), [[1, "1/2"], [
    2,
    "2/2",
  ]]);
  const read = await readMail(context, "bob", "2");
  assertEquals(read.piece, { place: 2, pieces: 2, of: formatMessageKey(of), subject: "Budget", others: [1] });
  assertEquals(read.package, null);
  const sent = await replyTo(context, { user: "bob", id: "2", quote: "yes", note: note("Thanks.\n") });
  const { field, read: text } = await accepted(context, sent.id);
  assertEquals([field("in-reply-to"), field("subject")], ["<m@example.com>", "Re: Budget"]);
  assertStringIncludes(text.text, "> See there.");
  // A field that came with a message makes no piece of it.
  const forged = await deliver(context.store, context.clock, {
    to: "bob",
    text: "X-EMS-Part: 1/9\r\n\r\nx\r\n",
  });
  assertEquals((await readMail(context, "bob", forged)).part, null);
});
