/**
 * Messages sent on to others: in the text with their attachments, or whole as an attachment.
 *
 * Guarantees: those of letters.ts. Attachments and the whole message travel octet for octet: they are stretches of what
 * is kept, and not encoded anew.
 *
 * @module
 */
import type { ComposedPart } from "../mime/compose.ts";
import { cleanFileName } from "../mime/file_name.ts";
import { attachmentFields } from "../mime/format_fields.ts";
import type { AdminContext } from "./context.ts";
import { AdminError } from "./error.ts";
import { type LetterDraft, sendLetter, type SentMail } from "./letters.ts";
import { attachmentsOf, type StoredAttachment, TEXT_SOURCE_OCTETS } from "./maildrop.ts";
import { findNote } from "./notes.ts";
import { headBlock, openOriginal, type Original, subjectBehind, textOf } from "./original.ts";
import { attachedParts, type NoteRequest } from "./send.ts";
import { findAccount } from "./users.ts";

export interface ForwardRequest extends NoteRequest {
  /** The message's id, or its number in a list. */
  readonly id: string;
  /** `inline`: its text below the note's, its attachments beside it. `attachment`: all of it as one attachment. @default {"inline"} */
  readonly as?: "inline" | "attachment" | undefined;
}

/** Sends a message on. @throws {AdminError} with all that is wrong; then nothing was sent */
export async function forwardMail(context: AdminContext, request: ForwardRequest): Promise<SentMail> {
  const account = await findAccount(context, request.user);
  const { as = "inline" } = request;
  const original = await openOriginal(context, account, { id: request.id, piece: "as-it-is" });
  const found = await findNote(context, account, { text: request.note.text, recipients: "needed" });
  const { note } = found;
  const own = await attachedParts(context, account, { note, files: request.files });
  const carried = as === "attachment" ? [wholePart(original)] : carriedParts(original);
  const draft: LetterDraft = {
    account,
    recipients: found.addressees,
    subject: note.subject?.text ?? subjectBehind("Fwd", original),
    text: as === "attachment" ? note.text : `${withGap(note.text)}${inlineText(original)}\n`,
    priority: note.priority,
    ack: note.ack,
    attachments: [...carried, ...own.parts],
    eightBit: as === "attachment" ? original.body.eightBit : eightBitOf(original),
  };
  return await sendLetter(context, draft, {
    note: request.note,
    mode: request.mode ?? "send",
    problems: [...found.problems, ...own.problems],
  });
}

/** The whole message as one part. */
function wholePart(original: Original): ComposedPart {
  const { key, body, utf8Header } = original;
  const name = cleanFileName(`${subjectBehind("Fwd", original).slice(5, 105).replace(/[/\\]/g, "-")}.eml`);
  // RFC 6532 3.7: a message whose header holds UTF-8 is message/global.
  const type = utf8Header === "yes" ? "message/global" : "message/rfc822";
  return {
    fields: attachmentFields({
      fileName: name === "" || name === ".eml" ? "message.eml" : name,
      type,
      // RFC 2046 5.2.1: no other encodings are allowed than those that change nothing.
      encoding: body.eightBit === "yes" ? "8bit" : "7bit",
    }),
    content: { source: key, offset: 0, length: body.structure.octets },
  };
}

function carriedParts(original: Original): ComposedPart[] {
  if (textOf(original).truncated) {
    throw new AdminError(
      `nothing was sent: the message's text is not within its first ${
        TEXT_SOURCE_OCTETS / 2 ** 20
      } MiB, or too long to be quoted`,
      "send it on with --as-attachment",
    );
  }
  return attachmentsOf(original.body.structure).map((attachment) => ({
    fields: attachmentFields({
      fileName: attachment.fileName,
      type: attachment.type,
      parameters: attachment.parameters,
      ...attachment.encoding === "" ? {} : { encoding: attachment.encoding },
    }),
    content: {
      source: original.key,
      offset: attachment.bodyStart,
      length: attachment.end - attachment.bodyStart,
    },
  }));
}

/** Whether an attachment that is carried along holds octets over 127. */
function eightBitOf({ body }: Original): "yes" | "no" {
  if (body.eightBit === "no") return "no";
  const isPlain = ({ encoding }: StoredAttachment) =>
    encoding !== "base64" && encoding !== "quoted-printable";
  return attachmentsOf(body.structure).some(isPlain) ? "yes" : "no";
}

function inlineText(original: Original): string {
  const block = headBlock(original);
  return ["---------- Forwarded message ----------", ...block, "", textOf(original).text].join("\n");
}

function withGap(text: string): string {
  if (text.trim() === "") return "";
  return text.endsWith("\n") ? `${text}\n` : `${text}\n\n`;
}
