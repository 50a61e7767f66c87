import { assertEquals, assertRejects } from "@std/assert";
import { AdminError } from "../../../src/admin/error.ts";
import {
  deleteMail,
  listMail,
  openAttachments,
  openMail,
  openPackage,
  readMail,
} from "../../../src/admin/mail.ts";
import { concat, latin1 } from "../../../src/base/bytes.ts";
import { deliver, type Fixture, withUsers } from "./fixtures.ts";

const LETTER =
  "From: =?utf-8?q?J=C3=BCrgen?= <j@example.com>\r\nTo: Alice <alice@example.org>, bob@example.org\r\n" +
  "Subject: =?utf-8?b?R3LDvMOfZQ==?=\r\nDate: Mon, 5 Jan 2026 08:59:00 +0000\r\n" +
  "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nSch=C3=B6n.\r\n";

async function maildrop(...texts: string[]): Promise<{ context: Fixture; ids: string[] }> {
  const context = await withUsers("alice");
  const ids: string[] = [];
  for (const text of texts) {
    ids.push(await deliver(context.store, context.clock, { to: "alice", text }));
    await context.clock.advance(60_000);
  }
  return { context, ids };
}

async function source(context: Fixture, id: string): Promise<{ text: string; bytes: number }> {
  const { parts, bytes } = await openMail(context, "alice", id);
  const read: Uint8Array[] = [];
  for await (const part of parts) read.push(part);
  return { text: latin1(concat(read)), bytes };
}

Deno.test("listMail() decodes who and what", async () => {
  const { context, ids } = await maildrop(LETTER, "no header at all");
  assertEquals(await listMail(context, "alice"), [
    {
      number: 1,
      id: ids[0]!,
      from: "Jürgen",
      subject: "Grüße",
      receivedAt: "2026-01-05T09:00:00.000Z",
      bytes: LETTER.length + 35,
      part: null,
    },
    {
      number: 2,
      id: ids[1]!,
      from: "",
      subject: "",
      receivedAt: "2026-01-05T09:01:00.000Z",
      bytes: 16 + 2 + 35,
      part: null,
    },
  ]);
  assertEquals((await listMail(context, "alice", { last: 1 })).map(({ number }) => number), [2]);
  await assertRejects(() => listMail(context, "nobody"), AdminError, "there is no account nobody");
});

Deno.test("readMail() takes an id or a number", async () => {
  const { context, ids } = await maildrop(LETTER);
  const mail = await readMail(context, "alice", ids[0]!);
  assertEquals(mail.from, "Jürgen <j@example.com>");
  assertEquals(mail.to, "Alice <alice@example.org>, bob@example.org");
  assertEquals(mail.text.trimEnd(), "Schön.");
  assertEquals(mail.truncated, false);
  assertEquals(await readMail(context, "alice", "1"), mail);
  for (const id of ["0", "2", "zzz", "0000000000", ""]) {
    await assertRejects(() => readMail(context, "alice", id), AdminError, "there is no message");
  }
});

Deno.test("readMail() looks through 8 MiB and says when there was more", async () => {
  const withAttachment = (octets: number) =>
    `Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nShort.\r\n--b\r\n` +
    `Content-Type: application/octet-stream\r\n\r\n${"x".repeat(octets)}\r\n--b--\r\n`;
  const { context } = await maildrop(withAttachment(8 * 2 ** 20), withAttachment(8 * 2 ** 20 - 1000));
  const long = await readMail(context, "alice", "1");
  assertEquals([long.text.trimEnd(), long.truncated], ["Short.", true]);
  assertEquals((await readMail(context, "alice", "2")).truncated, false);
});

Deno.test("openMail() gives what RETR sends", async () => {
  const { context, ids } = await maildrop(LETTER, "Subject: cut\r\n\r\nno line end");
  const whole = await source(context, ids[0]!);
  assertEquals(whole.text, `Return-Path: <sender@example.com>\r\n${LETTER}`);
  const cut = await source(context, "2");
  assertEquals(cut.text.endsWith("no line end\r\n"), true);
  assertEquals(cut.text.length, cut.bytes);
});

Deno.test("deleteMail() deletes all or none, and never by number", async () => {
  const { context, ids } = await maildrop("a\r\n", "b\r\n", "c\r\n");
  await assertRejects(
    () => deleteMail(context, "alice", [ids[0]!, "0000000000"]),
    AdminError,
    "no message 0000000000",
  );
  const error = await assertRejects(() => deleteMail(context, "alice", ["1"]), AdminError);
  assertEquals(error.failure, "usage");
  assertEquals((await listMail(context, "alice")).length, 3);
  assertEquals(await deleteMail(context, "alice", [ids[0]!, ids[2]!, ids[0]!.toUpperCase()]), 2);
  assertEquals((await listMail(context, "alice")).map(({ id }) => id), [ids[1]!]);
});

Deno.test("listMail() shows the newest first to who wants that, with the same numbers", async () => {
  const { context, ids } = await maildrop("a\r\n", "b\r\n", "c\r\n");
  await context.store.directory.changeAccount("alice", { view: "newest" });
  assertEquals((await listMail(context, "alice")).map(({ number, id }) => [number, id]), [
    [3, ids[2]!],
    [2, ids[1]!],
    [1, ids[0]!],
  ]);
  assertEquals((await listMail(context, "alice", { last: 1 })).map(({ number }) => number), [3]);
});

Deno.test("openMail() reads each part of the body once", async () => {
  const { context } = await maildrop(`Subject: x\r\n\r\n${"y".repeat(600_000)}\r\n`);
  const read: number[] = [];
  const { part } = context.store.maildrops;
  context.store.maildrops.part = (key, index) => {
    read.push(index);
    return part(key, index);
  };
  await source(context, "1");
  assertEquals(read.includes(0), false);
  assertEquals(new Set(read).size, read.length);
});

const PACKAGE =
  "Subject: Budget\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nHere.\r\n--b\r\n" +
  "Content-Type: application/vnd.ms-excel; name=a.xls\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\nAwQ=\r\n--b\r\n" +
  "Content-Disposition: attachment; filename=../../etc/passwd\r\n\r\nline\r\nno end\r\n--b\r\n" +
  "Content-Type: image/png\r\n\r\n\r\n--b--\r\n";

Deno.test("readMail() shows a message kept whole with attachments as one report", async () => {
  const { context } = await maildrop(PACKAGE, LETTER);
  const mail = await readMail(context, "alice", "1");
  assertEquals(mail.text.trimEnd(), "Here.");
  assertEquals(mail.attachments, [
    { number: 1, name: "a.xls", type: "application/vnd.ms-excel", octets: 5 },
    { number: 2, name: "passwd", type: "text/plain", octets: 12 },
    { number: 3, name: "attachment-3.png", type: "image/png", octets: 0 },
  ]);
  assertEquals(mail.package, { name: "Budget.eml", bytes: PACKAGE.length });
  assertEquals((await readMail(context, "alice", "2")).package, null);
});

Deno.test("openAttachments() decodes each attachment exactly", async () => {
  const { context } = await maildrop(PACKAGE, LETTER);
  const contents = async (part?: number) => {
    const opened = await openAttachments(context, "alice", { id: "1", part });
    const octets = opened.attachments.map((): Uint8Array => new Uint8Array());
    for await (const chunk of opened.contents) {
      octets[chunk.index] = concat([octets[chunk.index]!, chunk.octets]);
    }
    return opened.attachments.map(({ name }, index) => [name, latin1(octets[index]!)]);
  };
  const all = [["a.xls", "\0\x01\x02\x03\x04"], ["passwd", "line\r\nno end"], ["attachment-3.png", ""]];
  assertEquals(await contents(), all);
  assertEquals(await contents(2), [all[1]!]);
  await assertRejects(() => contents(4), AdminError, "has no attachment 4");
  await assertRejects(() => openAttachments(context, "alice", { id: "2" }), AdminError, "has no attachments");
});

Deno.test("openAttachments() reads attachments that span parts of the body", async () => {
  const octets = Uint8Array.from({ length: 900_000 }, (_, i) => (i * 31 + (i >> 9)) & 255);
  const encoded = btoa(latin1(octets)).replace(/.{76}/g, "$&\r\n");
  const part =
    `--b\r\nContent-Type: application/x; name=x\r\nContent-Transfer-Encoding: base64\r\n\r\n${encoded}\r\n`;
  const { context } = await maildrop(
    `Content-Type: multipart/mixed; boundary=b\r\n\r\n${part}${part}--b--\r\n`,
  );
  const { contents } = await openAttachments(context, "alice", { id: "1" });
  const read: Uint8Array[][] = [[], []];
  for await (const chunk of contents) read[chunk.index]!.push(chunk.octets);
  assertEquals(read.map((each) => concat(each)), [octets, octets]);
});

Deno.test("openPackage() names the file by the subject", async () => {
  const { context, ids } = await maildrop("Subject: a/b: c\r\n\r\nx\r\n", "\r\nx\r\n");
  assertEquals((await openPackage(context, "alice", "1")).name, "a-b_ c.eml");
  assertEquals((await openPackage(context, "alice", "2")).name, `${ids[1]}.eml`);
});
