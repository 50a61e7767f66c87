/**
 * `emsmail mail send`, `reply` and `forward`, at the command line.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { usageError } from "../admin/error.ts";
import { forwardMail } from "../admin/forward.ts";
import type { RecipientView, SentMail } from "../admin/letters.ts";
import { replyNote, replyTo } from "../admin/reply.ts";
import { type AttachedFile, sendNote } from "../admin/send.ts";
import { printableLine } from "../base/printable.ts";
import { withStore } from "./context.ts";
import { unreadable } from "./files.ts";
import { type Io, json } from "./io.ts";
import { editNote, noteOfWords, readNote } from "./note_input.ts";
import type { Options } from "./program.ts";
import { formatTable } from "./table.ts";
import { count, formatSize } from "./time.ts";

export async function mailSend(io: Io, options: Options): Promise<void> {
  const note = await readNote(io, options);
  const files = await attachedFiles(options);
  const sent = await withStore(
    options,
    (context) => sendNote(context, { user: userOf(options), note, files, mode: modeOf(options) }),
    { access: "change" },
  );
  await tell(io, sent, options);
}

export async function mailReply(io: Io, id: string, options: Options): Promise<void> {
  const user = userOf(options);
  const answer = {
    id,
    all: options.all === true ? "yes" : "no",
    quote: options.quote === true ? "yes" : "no",
  } as const;
  if (options.print === true) {
    return await io.out(
      await withStore(options, (context) => replyNote(context, { user, ...answer }), { access: "read" }),
    );
  }
  const files = await attachedFiles(options);
  const request = { user, ...answer, files, mode: modeOf(options) };
  if (options.edit === true) {
    const text = await withStore(options, (context) => replyNote(context, { user, ...answer }), {
      access: "read",
    });
    // No store is open while somebody writes.
    const sent = await editNote(
      text,
      (note) =>
        withStore(options, (context) => replyTo(context, { ...request, note, use: "complete" }), {
          access: "change",
        }),
    );
    return await tell(io, sent, options);
  }
  const note = await readNote(io, options);
  await tell(
    io,
    await withStore(options, (context) => replyTo(context, { ...request, note }), { access: "change" }),
    options,
  );
}

export async function mailForward(
  io: Io,
  [id, ...words]: readonly string[],
  options: Options,
): Promise<void> {
  if (words.length > 0 && options.note !== undefined) {
    throw usageError(
      "recipients on the command line and --note don't go together",
      "write them into the note: /TO NAME",
    );
  }
  const note = words.length > 0 ? noteOfWords(words) : await readNote(io, options);
  const files = await attachedFiles(options);
  const sent = await withStore(
    options,
    (context) =>
      forwardMail(context, {
        user: userOf(options),
        id: id!,
        note,
        files,
        mode: modeOf(options),
        as: options.asAttachment === true ? "attachment" : "inline",
      }),
    { access: "change" },
  );
  await tell(io, sent, options);
}

async function attachedFiles(options: Options): Promise<AttachedFile[]> {
  const names = (options.attach ?? []) as readonly string[];
  const files: AttachedFile[] = [];
  for (const name of names) {
    try {
      files.push({ name: basename(name), octets: await readFile(name) });
    } catch (error) {
      throw unreadable(name, error);
    }
  }
  return files;
}

async function tell(io: Io, sent: SentMail, options: Options): Promise<void> {
  if (options.json === true) return await io.out(json(sent));
  if (sent.id !== null) return await io.out(`Accepted as ${sent.id} for ${whoIsTold(sent.recipients)}.\n`);
  const table = formatTable(
    [
      { title: "field" },
      { title: "written", shrinks: true },
      { title: "address", shrinks: true },
      { title: "found as", shrinks: true },
      { title: "goes to", shrinks: true },
    ],
    sent.recipients.map((recipient) => [
      recipient.header.toUpperCase(),
      recipient.written,
      shown(recipient),
      recipient.by.join(" > ") || "address",
      goesTo(recipient),
    ]),
    { width: io.width, bold: io.colour },
  );
  const attached = sent.attachments === 0 ? "" : ` with ${count(sent.attachments, "attachment")}`;
  await io.out(`${table}Nothing was sent. It would be a message of ${formatSize(sent.bytes)}${attached}.\n`);
}

/** Recipients that are told by name; more are counted. */
const NAMED = 3;

function whoIsTold(recipients: readonly RecipientView[]): string {
  if (recipients.length > NAMED) return count(recipients.length, "recipient");
  const names = recipients.map((recipient) => printableLine(shown(recipient)));
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

function shown({ name, address }: RecipientView): string {
  return name === "" ? address : `${name} <${address}>`;
}

function goesTo({ maildrops, elsewhere }: RecipientView): string {
  const here = maildrops.length === 0
    ? []
    : maildrops.length <= NAMED
    ? [`maildrop of ${maildrops.join(", ")}`]
    : [count(maildrops.length, "maildrop")];
  const away = elsewhere === 0 ? [] : [
    elsewhere === 1 && here.length === 0
      ? "elsewhere"
      : `${count(elsewhere, "address", "addresses")} elsewhere`,
  ];
  return [...here, ...away].join(", ");
}

function modeOf(options: Options): "send" | "check" {
  return options.dryRun === true ? "check" : "send";
}

function userOf(options: Options): string {
  return String(options.user);
}
