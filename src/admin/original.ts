/**
 * The message that a user answers or sends on.
 *
 * Guarantees: the full return address is kept as the message has it (the seed: "the user can amend and reply directly to
 * the message without having to rekey the address"). Who answers a piece answers the message that it is a piece of.
 *
 * @module
 */
import { parseAddress } from "../mail/address.ts";
import type { MessageKey } from "../mail/message_id.ts";
import { decodeEncodedWords } from "../mime/encoded_word.ts";
import { fieldValue, fieldValues, type Header, parseHeader } from "../mime/header.ts";
import { type Mailbox, parseMailboxList } from "../mime/mailbox_list.ts";
import { readableText } from "../mime/text_body.ts";
import type { Account } from "../store/types.ts";
import { type AdminContext, nameRules } from "./context.ts";
import { addressOf } from "./letters.ts";
import { findEntry, goneError, type ReadBody, readBody, TEXT_SOURCE_OCTETS } from "./maildrop.ts";
import { lookupName } from "./names.ts";

/** Ids that References keeps: the first, and the newest of the others. */
const REFERENCES = 50;

export interface Original {
  /** Whose body it is: the message's, or of a piece the message's that it is a piece of. */
  readonly key: MessageKey;
  readonly header: Header;
  readonly body: ReadBody;
  /** The SMTPUTF8 of its envelope is not known here: whether its header holds UTF-8. */
  readonly utf8Header: "yes" | "no";
}

/** Opens a message to answer it (`whole`: of a piece, the message it is of) or to send it on as it is (`as-it-is`). @throws {AdminError} */
export async function openOriginal(
  context: AdminContext,
  account: Account,
  { id, piece }: { readonly id: string; readonly piece: "whole" | "as-it-is" },
): Promise<Original> {
  const entry = await findEntry(context, account, id);
  const of = piece === "whole" ? (await context.store.history.message(entry.key))?.pieceOf?.key : undefined;
  // The message's own body is kept as long as a piece holds stretches of it; a short one may be gone.
  const isThere = of !== undefined && await context.store.maildrops.part(of, 0) !== undefined;
  const key = isThere ? of : entry.key;
  const body = await readBody(context, key);
  if (body.structure.octets === 0) throw goneError(key);
  const header = parseHeader(body.opening);
  // deno-lint-ignore no-control-regex -- U+0000 to U+007F is what ASCII is
  const isUtf8 = header.fields.some(({ raw }) => /[^\u0000-\u007f]/.test(raw));
  return { key, header, body, utf8Header: isUtf8 ? "yes" : "no" };
}

/** Its text, for quoting. */
export function textOf({ body }: Original): { readonly text: string; readonly truncated: boolean } {
  const { text, truncated } = readableText(body.opening);
  return { text: text.trimEnd(), truncated: truncated || body.structure.octets > TEXT_SOURCE_OCTETS };
}

/** Its subject behind `Re:` or `Fwd:`, which stands there once. */
export function subjectBehind(mark: "Re" | "Fwd", { header }: Original): string {
  const subject = decodeEncodedWords(fieldValue(header, "subject") ?? "").trim();
  const bare = mark === "Re"
    ? subject.replace(/^(?:re\s*:\s*)+/i, "")
    : subject.replace(/^(?:fwd?\s*:\s*)+/i, "");
  return `${mark}: ${bare}`.trimEnd();
}

/** Message-IDs for an answer, without brackets (RFC 5322 3.6.4). */
export function threadOf(
  { header }: Original,
): { readonly inReplyTo: string; readonly references: readonly string[] } {
  const own = idsOf(header, "message-id")[0];
  const before = idsOf(header, "references");
  const parents = idsOf(header, "in-reply-to");
  // Several ids in In-Reply-To are no thread to go on with.
  const thread = before.length > 0 ? before : parents.length === 1 ? parents : [];
  if (own === undefined) return { inReplyTo: "", references: [] };
  const all = [...new Set([...thread.filter((id) => id !== own), own])];
  const references = all.length <= REFERENCES ? all : [all[0]!, ...all.slice(1 - REFERENCES)];
  return { inReplyTo: own, references };
}

function idsOf(header: Header, name: string): string[] {
  return [...(fieldValue(header, name) ?? "").matchAll(/<([\x21-\x3b\x3d\x3f-\x7e]{1,900})>/g)].map((match) =>
    match[1]!
  );
}

/** Whom an answer goes to. */
export interface ReturnAddresses {
  readonly to: readonly Mailbox[];
  readonly cc: readonly Mailbox[];
}

/**
 * Whom an answer goes to: Reply-To, or else From (RFC 5322 3.6.2); with `all`, the other recipients as Cc (3.6.3). The
 * user's own address is left out; an answer to one's own message goes to whom that went.
 */
export function returnAddresses(
  { header }: Original,
  { account, context, all }: {
    readonly account: Account;
    readonly context: AdminContext;
    readonly all: "yes" | "no";
  },
): ReturnAddresses {
  const isOwn = ownAddress(account, context);
  const list = (name: string) => fieldValues(header, name).flatMap(parseMailboxList);
  const replyTo = list("reply-to");
  const from = list("from");
  const isMine = replyTo.length === 0 && from.length > 0 && from.every(isOwn);
  const to = isMine ? list("to") : replyTo.length > 0 ? replyTo : from;
  const others = isMine ? list("cc") : [...list("to"), ...list("cc")];
  const cc = all === "no" ? [] : others.filter((mailbox) => !isOwn(mailbox));
  return { to, cc: cc.filter(({ address }) => !to.some((each) => sameAddress(each.address, address))) };
}

function ownAddress(account: Account, context: AdminContext): (mailbox: Mailbox) => boolean {
  const { domains, detailSeparator } = nameRules(context.config);
  const own = addressOf(account, context);
  return ({ address }) => {
    const parsed = parseAddress(address);
    if ("error" in parsed) return false;
    const at = detailSeparator === undefined ? -1 : parsed.local.indexOf(detailSeparator, 1);
    const local = at < 0 ? parsed.local : parsed.local.slice(0, at);
    const name = lookupName(`${local}@${parsed.domain}`);
    // A name without domain is the user's at all of them.
    return name === own ||
      !account.name.includes("@") && domains.some((domain) => name === `${account.name}@${domain}`);
  };
}

function sameAddress(a: string, b: string): boolean {
  return lookupName(a) === lookupName(b);
}

/** Fields for a header block in a text: what is there of From, Date, Subject, To and Cc. */
export function headBlock({ header }: Original): string[] {
  const lines: string[] = [];
  for (const name of ["From", "Date", "Subject", "To", "Cc"]) {
    const value = fieldValues(header, name).map(decodeEncodedWords).join(", ");
    if (value !== "") lines.push(`${name}: ${value}`);
  }
  return lines;
}
