/**
 * Answers: who they go to, what they are called, and what they quote.
 *
 * Guarantees: those of letters.ts. An answer keeps its place in the conversation (RFC 5322 3.6.4).
 *
 * @module
 */
import { type Address, parseAddress } from "../mail/address.ts";
import { fieldValue } from "../mime/header.ts";
import { decodeEncodedWords } from "../mime/encoded_word.ts";
import { type Mailbox, parseMailboxList } from "../mime/mailbox_list.ts";
import { AdminError } from "./error.ts";
import type { AdminContext } from "./context.ts";
import { type LetterDraft, type LetterRecipient, sendLetter, type SentMail } from "./letters.ts";
import { findNote } from "./notes.ts";
import { openOriginal, type Original, returnAddresses, subjectBehind, textOf, threadOf } from "./original.ts";
import { attachedParts, type NoteRequest } from "./send.ts";
import { findAccount } from "./users.ts";

/** What decides whom an answer goes to and what it quotes. */
export interface AnswerOptions {
  /** The message's id, or its number in a list. */
  readonly id: string;
  /** Also to everybody else whom the message went to. @default {"no"} */
  readonly all?: "yes" | "no" | undefined;
  /** The message's text behind the answer's. @default {"no"} */
  readonly quote?: "yes" | "no" | undefined;
}

export interface ReplyRequest extends NoteRequest, AnswerOptions {
  /**
   * `amends`: /TO in the note replaces whom the answer would go to, /CC and /BCC add, and /SUBJECT replaces.
   * `complete`: the note is all there is; {@linkcode replyNote} made it.
   * @default {"amends"}
   */
  readonly use?: "amends" | "complete" | undefined;
}

/** Sends an answer. @throws {AdminError} with all that is wrong; then nothing was sent */
export async function replyTo(context: AdminContext, request: ReplyRequest): Promise<SentMail> {
  const account = await findAccount(context, request.user);
  const original = await openOriginal(context, account, { id: request.id, piece: "whole" });
  const { use = "amends" } = request;
  const found = await findNote(context, account, {
    text: request.note.text,
    recipients: use === "amends" ? "optional" : "needed",
  });
  const { note, addressees } = found;
  const back = use === "complete"
    ? { to: [], cc: [] }
    : returnAddresses(original, { account, context, all: request.all ?? "no" });
  const to = addressees.some(({ header }) => header === "to") ? [] : recipientsOf(back.to, "to");
  const attached = await attachedParts(context, account, { note, files: request.files });
  const draft: LetterDraft = {
    account,
    recipients: eachOnce([...to, ...addressees, ...recipientsOf(back.cc, "cc")]),
    subject: note.subject?.text ?? (use === "complete" ? "" : subjectBehind("Re", original)),
    text: use === "amends" && request.quote === "yes"
      ? `${withEnd(note.text)}\n${quoteOf(original)}`
      : note.text,
    priority: note.priority,
    ack: note.ack,
    ...threadOf(original),
    attachments: attached.parts,
    eightBit: "no",
  };
  return await sendLetter(context, draft, {
    note: request.note,
    mode: request.mode ?? "send",
    problems: [...found.problems, ...attached.problems],
  });
}

/** The note that answers a message, to be amended: its commands, and the quotation if asked for. @throws {AdminError} */
export async function replyNote(
  context: AdminContext,
  { user, ...options }: AnswerOptions & { readonly user: string },
): Promise<string> {
  const account = await findAccount(context, user);
  const original = await openOriginal(context, account, { id: options.id, piece: "whole" });
  const { to, cc } = returnAddresses(original, { account, context, all: options.all ?? "no" });
  const gateway = context.config.gateways.default === "smtp" ? "" : "/SMTP ";
  const lines = [
    ...to.map((mailbox) => `/TO ${gateway}${writtenMailbox(mailbox)}`),
    ...cc.map((mailbox) => `/CC ${gateway}${writtenMailbox(mailbox)}`),
    `/SUBJECT ${subjectBehind("Re", original)}`,
    "",
    ...options.quote === "yes" ? [quoteOf(original)] : [],
  ];
  return `${lines.join("\n")}\n`;
}

/** A mailbox as a note has it. */
function writtenMailbox({ name, address }: Mailbox): string {
  return name === "" ? address : `"${name.replace(/["\\]/g, "\\$&")}" <${address}>`;
}

/** Who wrote when, and what, each line behind `> `. */
function quoteOf(original: Original): string {
  const { text } = textOf(original);
  const sender = parseMailboxList(fieldValue(original.header, "from") ?? "")[0];
  const date = decodeEncodedWords(fieldValue(original.header, "date") ?? "");
  const who = sender === undefined ? "somebody" : sender.name || sender.address;
  const lines = text.split("\n").map((line) =>
    line === "" || line.startsWith(">") ? `>${line}` : `> ${line}`
  );
  return `${date === "" ? "" : `On ${date}, `}${who} wrote:\n${lines.join("\n")}`;
}

function withEnd(text: string): string {
  return text === "" || text.endsWith("\n") ? text : `${text}\n`;
}

/** Mailboxes of a message as recipients. @throws {AdminError} where one is no address */
function recipientsOf(mailboxes: readonly Mailbox[], header: "to" | "cc"): LetterRecipient[] {
  return mailboxes.map(({ name, address: text }) => {
    const address = parseAddress(text);
    if ("error" in address) {
      throw new AdminError(
        `nothing was sent: the message names ${text}, and that is no address`,
        "say whom the answer is for with a line such as /TO bobl@example.com, and leave out --all",
      );
    }
    return { header, written: text, address, displayName: name, by: [] };
  });
}

function eachOnce(recipients: readonly LetterRecipient[]): LetterRecipient[] {
  const first = new Map<string, LetterRecipient>();
  for (const recipient of recipients) {
    const key = keyOf(recipient.address);
    if (!first.has(key)) first.set(key, recipient);
  }
  return [...first.values()];
}

function keyOf({ local, domain }: Address): string {
  return `${local}@${domain.toLowerCase()}`;
}
