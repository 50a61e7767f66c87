/**
 * `emsmail mail …`: maildrops, at the command line.
 *
 * Guarantees: whatever a message holds, on a terminal it is text and nothing else.
 *
 * @module
 */
import { deleteMail, listMail, type MailText, openMail, type PieceView, readMail } from "../admin/mail.ts";
import { printableLine, printableText } from "../base/printable.ts";
import { withStore } from "./context.ts";
import { bold, type Io, json } from "./io.ts";
import type { Options } from "./program.ts";
import { formatTable } from "./table.ts";
import { count, formatMinute, formatSecond, formatSize } from "./time.ts";
import { positiveNumber } from "./values.ts";
import { andList } from "../admin/states.ts";

export async function mailList(io: Io, options: Options): Promise<void> {
  const user = userOf(options);
  const last = positiveNumber(options, "--last");
  const mail = await withStore(options, (context) => listMail(context, user, { last }), { access: "read" });
  if (options.json === true) return await io.out(json(mail));
  if (mail.length === 0) return await io.out(`The maildrop of ${printableLine(user)} is empty.\n`);
  const hasParts = mail.some(({ part }) => part !== null);
  await io.out(formatTable(
    [
      { title: "no", align: "right" },
      { title: "id" },
      { title: "received" },
      { title: "from", shrinks: true },
      { title: "size", align: "right" },
      ...hasParts ? [{ title: "part" }] : [],
      { title: "subject", shrinks: true },
    ],
    mail.map((message) => [
      String(message.number),
      message.id,
      formatMinute(Date.parse(message.receivedAt)),
      message.from,
      formatSize(message.bytes),
      ...hasParts ? [message.part ?? ""] : [],
      message.subject,
    ]),
    { width: io.width, bold: io.colour },
  ));
}

export async function mailRead(io: Io, id: string, options: Options): Promise<void> {
  if (options.raw === true) return await readRaw(io, id, options);
  const mail = await withStore(options, (context) => readMail(context, userOf(options), id), {
    access: "read",
  });
  const heads: [string, string][] = [
    ["From", mail.from],
    ["To", mail.to],
    ["Cc", mail.cc],
    ["Date", mail.date],
    ["Received", `${formatSecond(Date.parse(mail.receivedAt))}, id ${mail.id}, ${formatSize(mail.bytes)}`],
    ["Subject", mail.subject],
    ["Part", mail.piece === null ? "" : pieceText(mail.piece)],
  ];
  const lines = heads.filter(([, value]) => value !== "")
    .map(([title, value]) => `${bold(`${title}:`, io.colour)} ${printableLine(value)}\n`);
  const text = mail.text === "" ? "(no text)\n" : printableText(mail.text).replace(/\n*$/, "\n");
  const notes = mail.truncated
    ? [
      ...attachmentLines(mail, userOf(options)),
      "(not all of it is shown; --raw prints the whole message)\n",
    ]
    : attachmentLines(mail, userOf(options));
  await io.out(`${lines.join("")}\n${text}${notes.length === 0 ? "" : `\n${notes.join("")}`}`);
}

/** `2 of 4 of "Budget"; the others are messages 3, 5 and 6`. */
function pieceText({ place, pieces, subject, others }: PieceView): string {
  const of = `${place} of ${pieces}${subject === "" ? "" : ` of "${subject}"`}`;
  if (others.length === 0) return of;
  return `${of}; ${others.length === 1 ? "the other is message" : "the others are messages"} ${
    andList(others.map(String))
  }`;
}

/** A message kept whole is one report with all of it; what a piece has, it has by itself. */
function attachmentLines(mail: MailText, user: string): string[] {
  if (mail.attachments.length === 0) return [];
  const what = mail.attachments.map(({ number, name, type, octets }) =>
    `${number} ${printableLine(name)} (${printableLine(type)}, ${formatSize(octets)})\n`
  );
  const save = `emsmail mail save ${mail.id} --user ${printableLine(user)}`;
  if (mail.package === null) return [...what.map((line) => `Attachment ${line}`), `Save with: ${save}\n`];
  const { name, bytes } = mail.package;
  return [
    `Report: ${printableLine(name)} (the whole message, ${formatSize(bytes)}), with\n`,
    ...what.map((line) => `  attachment ${line}`),
    `Save the attachments with: ${save}\nSave the whole message with: ${save} --package\n`,
  ];
}

/** On a terminal even a raw message is only text; in a file it is the message. */
async function readRaw(io: Io, id: string, options: Options): Promise<void> {
  await withStore(options, async (context) => {
    const { parts } = await openMail(context, userOf(options), id);
    const decoder = new TextDecoder();
    for await (const part of parts) {
      await io.out(io.outIsTerminal ? printableText(decoder.decode(part, { stream: true })) : part);
    }
  }, { access: "read" });
}

export async function mailDelete(io: Io, ids: readonly string[], options: Options): Promise<void> {
  const removed = await withStore(options, (context) => deleteMail(context, userOf(options), ids), {
    access: "change",
  });
  await io.out(`Deleted ${count(removed, "message")}.\n`);
}

function userOf(options: Options): string {
  return String(options.user);
}
