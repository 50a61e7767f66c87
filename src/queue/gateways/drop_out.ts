/**
 * Puts a message into a folder where another system takes it: the configuration's `gateways.filedrop`, outward.
 *
 * Each message becomes two files, `ID.body` (or `ID.eml` where it is a whole message) and `ID.head`, where ID is the
 * message's id and the places of the recipients it is for: `04k2m9x7qa.0`, `04k2m9x7qa.0-3,7`.
 *
 * Guarantees: the head file appears last, and says by that that both are complete and on disk. The same recipients of the same
 * message have the same names whenever they are tried again, so that a second try takes the place of the first; what
 * the other system has taken meanwhile it can tell by the name.
 *
 * States in the folder: nothing -> `.ID.body.tmp` -> and `.ID.head.tmp` -> ID.body and `.ID.head.tmp` -> both. A crash
 * leaves one of them, and the next try goes on to the end from there.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { RECEIVED_FIELDS } from "../../base/limits.ts";
import { parseAddress } from "../../mail/address.ts";
import { formatDate } from "../../mail/date.ts";
import { fromMailAddress, isOnGateway } from "../../mail/gateway_address.ts";
import { formatMessageKey } from "../../mail/message_id.ts";
import { decodeEncodedWords } from "../../mime/encoded_word.ts";
import { fieldValue, fieldValues } from "../../mime/header.ts";
import { parseMailboxList } from "../../mime/mailbox_list.ts";
import type { Entity } from "../../mime/structure.ts";
import { type DropBody, dropBodyOf, dropOctets, structureOf } from "./drop_body.ts";
import { formatHead, type HeadName } from "./drop_head.ts";
import { fileProblem } from "./files.ts";
import type { Carried, DropFiles, OutGateway, Portion } from "./types.ts";

type FileDrop = Extract<OutGateway, { readonly kind: "filedrop" }>;

/** The field that counts what Received fields can't: servers passed before a folder was. */
export const HOPS_FIELD = "X-EMS-Hops";
/** A file's name takes so many characters for places; more of them are told by their hash. */
const PLACES_CHARACTERS = 60;
/** Subjects and the like, in characters: what other systems may take. */
const VALUE_CHARACTERS = 1000;

/** Why nothing can be put into the folder now; undefined: something may. */
export async function checkDropOut({ out }: FileDrop, files: DropFiles): Promise<string | undefined> {
  try {
    await files.sync(out);
    return undefined;
  } catch (error) {
    return fileProblem(out, error);
  }
}

/** What a body file is, once written. */
interface Written {
  readonly name: string;
  readonly octets: number;
  readonly sha256: string;
}

/** Puts a message into the folder. */
export async function dropOut(
  gateway: FileDrop,
  portion: Portion,
  { files, signal }: { readonly files: DropFiles; readonly signal: AbortSignal },
): Promise<Carried> {
  const { message, recipients, content } = portion;
  const structure = await structureOf(content, signal);
  const body = dropBodyOf(structure);
  const stem = stemOf(message.key, recipients.map(({ index }) => index));
  const hops = hopsOf(structure.root);
  if (hops > RECEIVED_FIELDS) {
    // RFC 5321 6.3. RFC 3463 3.5: 5.4.6 is a routing loop.
    const text = `The message has passed ${hops} servers: it goes round in circles`;
    return { kind: "failed", enhanced: "5.4.6", text, dialogue: [] };
  }
  try {
    const written = await writeBody(gateway.out, stem, {
      files,
      form: body.form,
      octets: dropOctets(content, body, signal),
    });
    const head = formatHead(headLines(gateway, portion, { root: structure.root, body, written, stem, hops }));
    const names = { body: join(gateway.out, written.name), head: join(gateway.out, `${stem}.head`) };
    await files.write(temporary(gateway.out, `${stem}.head`), once(head));
    await files.rename(temporary(gateway.out, written.name), names.body);
    // So that no crash of the machine leaves a head whose body never got its name.
    await files.sync(gateway.out);
    await files.rename(temporary(gateway.out, `${stem}.head`), names.head);
    await files.sync(gateway.out);
    return {
      kind: "handed",
      text: `written as ${stem}.head and ${written.name}`,
      dialogue: [
        `wrote ${names.body}: ${written.octets} octets, SHA-256 ${written.sha256}`,
        `wrote ${names.head}:`,
        ...new TextDecoder().decode(head).trimEnd().split("\n").map((line) => `  ${line}`),
      ],
    };
  } catch (error) {
    if (signal.aborted) return { kind: "deferred", text: "the server stops", dialogue: [] };
    const text = fileProblem(gateway.out, error);
    return { kind: "deferred", text, dialogue: [text] };
  }
}

/** Both files' name without suffix. */
export function stemOf(key: number, indexes: readonly number[]): string {
  const sorted = [...indexes].sort((a, b) => a - b);
  const ranges: [number, number][] = [];
  for (const index of sorted) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === index - 1) last[1] = index;
    else ranges.push([index, index]);
  }
  const places = ranges.map(([from, to]) => from === to ? String(from) : `${from}-${to}`).join(",");
  const name = places.length <= PLACES_CHARACTERS
    ? places
    : createHash("sha256").update(places).digest("hex").slice(0, 16);
  return `${formatMessageKey(key)}.${name}`;
}

/** Listings and patterns such as `*.head` pass over what begins with a dot. */
function temporary(folder: string, name: string): string {
  return join(folder, `.${name}.tmp`);
}

async function* once(octets: Uint8Array): AsyncIterable<Uint8Array> {
  yield octets;
}

async function writeBody(
  folder: string,
  stem: string,
  { files, form, octets }: {
    readonly files: DropFiles;
    readonly form: DropBody["form"];
    readonly octets: AsyncIterable<Uint8Array>;
  },
): Promise<Written> {
  const name = `${stem}.${form === "message" ? "eml" : "body"}`;
  const hash = createHash("sha256");
  let length = 0;
  async function* counted(): AsyncIterable<Uint8Array> {
    for await (const part of octets) {
      hash.update(part);
      length += part.length;
      yield part;
    }
  }
  await files.write(temporary(folder, name), counted());
  return { name, octets: length, sha256: hash.digest("hex") };
}

function headLines(
  { domain }: FileDrop,
  { recipients, reversePath }: Portion,
  { root, body, written, stem, hops }: {
    readonly root: Entity;
    readonly body: DropBody;
    readonly written: Written;
    readonly stem: string;
    readonly hops: number;
  },
): (readonly [HeadName, string])[] {
  const value = (name: string) => (fieldValue(root, name) ?? "").slice(0, VALUE_CHARACTERS);
  const dateMs = Date.parse(value("date"));
  const author = parseMailboxList(value("from"))[0]?.address ?? "";
  const returnPath = reversePath === "" ? "<>" : ownForm(reversePath, domain);
  return [
    ["Version", "1"],
    ["ID", stem],
    ["From", "error" in parseAddress(author) ? returnPath : ownForm(author, domain)],
    ["Return-Path", returnPath],
    ...recipients.map(({ name }) => ["To", name] as const),
    ["Date", Number.isFinite(dateMs) ? formatDate(dateMs) : ""],
    ["Subject", decodeEncodedWords(value("subject"))],
    ["Message-ID", idOf(value("message-id"))],
    ["In-Reply-To", idOf(value("in-reply-to"))],
    ["Part", /^\d{1,5}\/\d{1,5}$/.exec(value("x-ems-part"))?.[0] ?? ""],
    ["Hops", String(hops)],
    ["Type", typeOf(body)],
    ["File", body.form === "attachment" ? body.file : ""],
    ["Body", written.name],
    ["Octets", String(written.octets)],
    ["SHA-256", written.sha256],
  ];
}

function typeOf(body: DropBody): string {
  switch (body.form) {
    case "text":
      return `${body.type}; charset=utf-8`;
    case "message":
      return "message/rfc822";
    case "attachment":
      return /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(?:; charset=\S+)?$/.test(body.type)
        ? body.type
        : "application/octet-stream";
  }
}

/** The first message id of a field (RFC 5322 3.6.4); "" where there is none. */
function idOf(value: string): string {
  // deno-lint-ignore no-control-regex -- control characters are what must not stand there
  return /<[^\s<>\u0000-\u0020\u007f-\u{10ffff}]{1,900}>/u.exec(value)?.[0] ?? "";
}

function ownForm(text: string, domain: string): string {
  const address = parseAddress(text);
  return "error" in address || !isOnGateway(address, domain) ? text : fromMailAddress(address, domain);
}

/** How many servers a message has passed, those before another folder included. */
function hopsOf(root: Entity): number {
  const before = Number(/^\d{1,4}$/.exec(fieldValue(root, HOPS_FIELD) ?? "")?.[0] ?? 0);
  return before + fieldValues(root, "received").length;
}
