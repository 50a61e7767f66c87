/**
 * Mail that a user writes as a note: sent, with reports and files attached.
 *
 * Guarantees: those of letters.ts.
 *
 * @module
 */
import { decodeUtf8, fromLatin1 } from "../base/bytes.ts";
import type { Note, NoteProblem } from "../gateway/note_types.ts";
import type { ComposedPart } from "../mime/compose.ts";
import { cleanFileName } from "../mime/file_name.ts";
import { attachmentFields } from "../mime/format_fields.ts";
import { mediaTypeOf } from "../mime/media_types.ts";
import { parseParameterised } from "../mime/parameters.ts";
import { encodeBase64Lines } from "../mime/report/encode.ts";
import type { Account } from "../store/types.ts";
import type { AdminContext } from "./context.ts";
import { AdminError } from "./error.ts";
import { type LetterDraft, sendLetter, type SentMail } from "./letters.ts";
import { findNote, type NoteSource } from "./notes.ts";
import { attachableReport } from "./reports.ts";
import { findAccount } from "./users.ts";

/** A file to attach; it is held in memory. */
export interface AttachedFile {
  /** Folders are taken off. */
  readonly name: string;
  readonly octets: Uint8Array;
}

/** What all that is sent from a note has. */
export interface NoteRequest {
  readonly user: string;
  readonly note: NoteSource;
  readonly files?: readonly AttachedFile[] | undefined;
  /** `check`: does everything but send it. @default {"send"} */
  readonly mode?: "send" | "check" | undefined;
}

/** Sends a note. @throws {AdminError} with all that is wrong; then nothing was sent */
export async function sendNote(context: AdminContext, request: NoteRequest): Promise<SentMail> {
  const account = await findAccount(context, request.user);
  const { note, addressees, problems } = await findNote(context, account, {
    text: request.note.text,
    recipients: "needed",
  });
  const attached = await attachedParts(context, account, { note, files: request.files });
  const draft: LetterDraft = {
    account,
    recipients: addressees,
    subject: note.subject?.text ?? "",
    text: note.text,
    priority: note.priority,
    ack: note.ack,
    attachments: attached.parts,
    eightBit: "no",
  };
  return await sendLetter(context, draft, {
    note: request.note,
    mode: request.mode ?? "send",
    problems: [...problems, ...attached.problems],
  });
}

/** The reports that a note names, and files, as parts of a message. */
export async function attachedParts(
  context: AdminContext,
  account: Account,
  { note, files = [] }: { readonly note: Note; readonly files?: readonly AttachedFile[] | undefined },
): Promise<{ readonly parts: readonly ComposedPart[]; readonly problems: readonly NoteProblem[] }> {
  const parts: ComposedPart[] = [];
  const problems: NoteProblem[] = [];
  for (const { text: name, line, column, length } of note.reports) {
    try {
      parts.push(await reportPart(context, name, account.name));
    } catch (error) {
      if (!(error instanceof AdminError)) throw error;
      problems.push({ line, column, length, message: error.message, hint: error.advice });
    }
  }
  return { parts: [...parts, ...files.map(filePart)], problems };
}

/** The newest version of a report, encoded as it is kept. */
async function reportPart(context: AdminContext, name: string, user: string): Promise<ComposedPart> {
  const { key, size, fileName, type } = await attachableReport(context, name, user);
  const { value, parameters } = parseParameterised(type);
  return {
    fields: attachmentFields({ fileName, type: value, parameters, encoding: "base64" }),
    content: { source: key, offset: 0, length: size },
  };
}

function filePart({ name, octets }: AttachedFile): ComposedPart {
  const fileName = cleanFileName(name) || "attachment";
  const type = mediaTypeOf(fileName);
  const isText = type.startsWith("text/") && decodeUtf8(octets) !== undefined;
  const parameters = new Map(isText ? [["charset", "utf-8"]] : []);
  return {
    fields: attachmentFields({ fileName, type, parameters, encoding: "base64" }),
    content: fromLatin1(encodeBase64Lines(octets)),
  };
}
