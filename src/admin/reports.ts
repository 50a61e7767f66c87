/**
 * Reports: files kept under a name, in versions, that mail can have attached (the seed: the POP3 server "will even
 * download attached EMS reports").
 *
 * Guarantees: a version is kept whole or not at all; what is kept is encoded for mail once, and no message copies it.
 * Who may read a report is asked for wherever a user is named.
 *
 * @module
 */
import { concat, utf8 } from "../base/bytes.ts";
import { CHUNK_OCTETS } from "../base/limits.ts";
import { printableLine } from "../base/printable.ts";
import type { MessageKey } from "../mail/message_id.ts";
import { cleanFileName } from "../mime/file_name.ts";
import { mediaTypeOf } from "../mime/media_types.ts";
import { Base64Encoder, TransferDecoder } from "../mime/transfer_encoding.ts";
import { guessControl, pagesOf } from "../print/carriage.ts";
import { formatPdf } from "../print/pdf.ts";
import { plainText } from "../print/plain.ts";
import type { CarriageControl, Report, StoredContent } from "../store/types.ts";
import { type AdminContext, isoTime } from "./context.ts";
import { AdminError, usageError } from "./error.ts";
import { commandKeys } from "./keys.ts";
import { findAccount } from "./users.ts";

/** As long as a data set's name may be. */
const NAME = /^[A-Z0-9$#@][A-Z0-9$#@._-]{0,43}$/;
const TITLE_CHARACTERS = 200;
/** Lines of base64 are 76 characters and their line end for 57 octets (RFC 2045 6.8). */
const ENCODED_RATIO = 78 / 57;

/** A report to be put. */
export interface NewReport {
  readonly name: string;
  /** Its file's name; folders are taken off. */
  readonly fileName: string;
  readonly content: AsyncIterable<Uint8Array>;
  /** @default that of the version before */
  readonly title?: string | undefined;
  /** The account it belongs to. @default that of the version before, or the operator */
  readonly owner?: string | undefined;
  /** Accounts that may read it, beside the owner. @default those of the version before, or everyone */
  readonly readers?: readonly string[] | "everyone" | undefined;
  /** @default {"auto"} */
  readonly carriage?: CarriageControl | "auto" | undefined;
}

/** One version, as operators see it. */
export interface ReportView {
  readonly name: string;
  readonly version: number;
  readonly title: string;
  /** "" for an operator. */
  readonly owner: string;
  readonly readers: "everyone" | readonly string[];
  readonly file: string;
  readonly type: string;
  /** Octets of the file. */
  readonly bytes: number;
  readonly carriage: CarriageControl;
  readonly createdAt: string;
}

/** A version's file, or what it is rendered as. */
export interface ReportFile {
  readonly fileName: string;
  readonly type: string;
  readonly bytes: number;
  readonly parts: AsyncIterable<Uint8Array>;
}

/** Keeps a new version. @throws {AdminError} */
export async function putReport(context: AdminContext, given: NewReport): Promise<ReportView> {
  const name = reportName(given.name);
  // A nightly job that says nothing of readers must not open what was not for everyone.
  const before = (await context.store.reports.versions(name))[0];
  const title = printableLine(given.title ?? before?.title ?? "").trim();
  if (title.length > TITLE_CHARACTERS) {
    throw usageError(`the title has ${title.length} characters`, `${TITLE_CHARACTERS} are the most`);
  }
  const owner = given.owner === undefined
    ? before?.owner ?? ""
    : (await findAccount(context, given.owner)).name;
  const readers = await readersOf(context, given.readers ?? before?.readers ?? "everyone");
  const fileName = cleanFileName(given.fileName) || `${name}.dat`;
  const keep = new Keeper(context, await commandKeys(context));
  try {
    const { carriage, ...contents } = await keepContents(keep, { ...given, name, title, fileName });
    const report = await context.store.reports.put({
      name,
      title,
      owner,
      readers,
      createdAtMs: context.clock.nowMs(),
      carriage,
      ...contents,
    });
    return viewOf(report);
  } catch (error) {
    await keep.discard();
    throw error;
  }
}

/** The newest version of each; with `user`, of those that the user may read. @throws {AdminError} */
export async function listReports(
  context: AdminContext,
  options: { readonly user?: string | undefined } = {},
): Promise<ReportView[]> {
  const user = options.user === undefined ? undefined : (await findAccount(context, options.user)).name;
  const all = await context.store.reports.list();
  return all.filter((report) => user === undefined || mayRead(report, user)).map(viewOf);
}

/** All versions of one, newest first. @throws {AdminError} */
export async function showReport(context: AdminContext, text: string): Promise<ReportView[]> {
  const name = reportName(text);
  const versions = await context.store.reports.versions(name);
  if (versions.length === 0) throw missingError(name);
  return versions.map(viewOf);
}

/** A version's file. `as` chooses a rendering, where the report has carriage control. @throws {AdminError} */
export async function openReport(
  context: AdminContext,
  text: string,
  options: {
    /** @default the newest */
    readonly version?: number | undefined;
    /** Who wants to read it; undefined: the operator. */
    readonly user?: string | undefined;
    /** @default {"file"} */
    readonly as?: "file" | "text" | "pdf" | undefined;
  } = {},
): Promise<ReportFile> {
  const user = options.user === undefined ? undefined : (await findAccount(context, options.user)).name;
  const report = await findReport(context, text, { ...options, user });
  const { as = "file" } = options;
  if (as !== "file" && report.rendered === undefined) {
    throw usageError(
      `${report.name} has no carriage control, so there is nothing to render`,
      "get it as it is, without --as",
    );
  }
  const content = as === "file" ? report.file : report.rendered![as];
  return {
    fileName: content.fileName,
    type: content.type,
    bytes: content.octets,
    parts: decoded(context, content),
  };
}

/** Removes a version, or all of them; gives how many. Mail that has it attached keeps it. @throws {AdminError} */
export async function removeReport(context: AdminContext, text: string, version?: number): Promise<number> {
  const report = await findReport(context, text, { version });
  return await context.store.reports.remove(report.name, version);
}

/** What `/REPORT name` attaches for a user: the newest version, rendered as the configuration says. @throws {AdminError} */
export async function attachableReport(
  context: AdminContext,
  text: string,
  user: string,
): Promise<StoredContent> {
  const report = await findReport(context, text, { user });
  return report.rendered?.[context.config.report.render] ?? report.file;
}

/** A report's name in its one form. @throws {AdminError} */
export function reportName(text: string): string {
  const name = text.toUpperCase();
  if (NAME.test(name)) return name;
  throw usageError(
    `'${printableLine(text)}' can't be a report's name`,
    "use up to 44 letters, digits and . - _ $ # @, beginning with a letter or digit",
  );
}

/** Nobody learns of a report that they may not read. */
async function findReport(
  { store: { reports } }: AdminContext,
  text: string,
  { version, user }: { readonly version?: number | undefined; readonly user?: string | undefined },
): Promise<Report> {
  const name = reportName(text);
  const versions = await reports.versions(name);
  const found = version === undefined ? versions[0] : versions.find((each) => each.version === version);
  if (found !== undefined && (user === undefined || mayRead(found, user))) return found;
  if (found === undefined && versions.length > 0 && (user === undefined || mayRead(versions[0]!, user))) {
    throw new AdminError(
      `${name} has no version ${version}`,
      `it has ${versions.map((each) => each.version).join(", ")}`,
    );
  }
  throw missingError(name, user);
}

function missingError(name: string, user?: string): AdminError {
  return user === undefined
    ? new AdminError(`there is no report ${name}`, "'emsmail report list' shows all there are")
    : new AdminError(
      `there is no report ${name} that ${user} may read`,
      `'emsmail report list --user ${user}' shows those there are`,
    );
}

function mayRead({ owner, readers }: Report, user: string): boolean {
  return readers === "everyone" || owner === user || readers.includes(user);
}

async function readersOf(context: AdminContext, names: Report["readers"]): Promise<Report["readers"]> {
  if (names === "everyone") return names;
  const accounts = await Promise.all(names.map((name) => findAccount(context, name)));
  return [...new Set(accounts.map(({ name }) => name))].sort();
}

function viewOf(report: Report): ReportView {
  const { name, version, title, owner, readers, carriage, file, createdAtMs } = report;
  return {
    name,
    version,
    title,
    owner,
    readers,
    file: file.fileName,
    type: file.type,
    bytes: file.octets,
    carriage,
    createdAt: isoTime(createdAtMs),
  };
}

// ---------------------------------------------------------------- keeping

interface Given extends Omit<NewReport, "owner" | "readers"> {
  readonly title: string;
}

/** Keeps a report's file, and what it is rendered as where it has carriage control. */
async function keepContents(
  keep: Keeper,
  { content, fileName, title, name, carriage: asked = "auto" }: Given,
): Promise<Pick<Report, "carriage" | "file" | "rendered">> {
  const type = mediaTypeOf(fileName);
  const isText = type === "text/plain" || type === "application/octet-stream";
  // What is certainly not printed matter need not be held in memory.
  if (asked === "none" || asked === "auto" && !isText) {
    return { carriage: "none", file: await keep.content(content, { fileName, type: withCharset(type) }) };
  }
  const octets = await gather(content, keep.limit);
  const carriage = asked === "auto" ? guessControl(octets) : asked;
  const file = await keep.content(of(octets), { fileName, type: withCharset(type) });
  if (carriage === "none") return { carriage, file };
  const pages = pagesOf(octets, carriage);
  const stem = fileName.replace(/\.[^.]*$/, "");
  return {
    carriage,
    file,
    rendered: {
      text: await keep.content(of(utf8(plainText(pages).replaceAll("\n", "\r\n"))), {
        fileName: `${stem}.txt`,
        type: "text/plain; charset=utf-8",
      }),
      pdf: await keep.content(of(formatPdf(pages, { title: title || name })), {
        fileName: `${stem}.pdf`,
        type: "application/pdf",
      }),
    },
  };
}

function withCharset(type: string): string {
  return type === "text/plain" || type === "text/csv" ? `${type}; charset=utf-8` : type;
}

async function* of(octets: Uint8Array): AsyncIterable<Uint8Array> {
  for (let at = 0; at < octets.length; at += CHUNK_OCTETS) yield octets.subarray(at, at + CHUNK_OCTETS);
}

async function gather(content: AsyncIterable<Uint8Array>, limit: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let octets = 0;
  for await (const part of content) {
    octets += part.length;
    if (octets > limit) throw tooLarge(limit);
    parts.push(part);
  }
  return concat(parts);
}

function tooLarge(limit: number): AdminError {
  return new AdminError(
    `the file is larger than ${limit} octets, which is what a message can carry`,
    "raise limits.messageBytes, or make it smaller",
  );
}

/** Puts contents into the store, encoded; until the report is put, {@linkcode Keeper.discard} takes them back. */
class Keeper {
  readonly #context: AdminContext;
  readonly #nextKey: () => MessageKey;
  readonly #keys: MessageKey[] = [];
  /** Octets of a file that still fits a message. */
  readonly limit: number;

  constructor(context: AdminContext, nextKey: () => MessageKey) {
    this.#context = context;
    this.#nextKey = nextKey;
    this.limit = Math.floor(context.config.limits.messageBytes / ENCODED_RATIO);
  }

  async content(
    content: AsyncIterable<Uint8Array>,
    { fileName, type }: { readonly fileName: string; readonly type: string },
  ): Promise<StoredContent> {
    const { spool } = this.#context.store;
    const key = this.#nextKey();
    this.#keys.push(key);
    const encoder = new Base64Encoder();
    let octets = 0;
    let size = 0;
    let waiting: Uint8Array[] = [];
    let waitingOctets = 0;
    const flush = async () => {
      if (waitingOctets === 0) return;
      const part = concat(waiting);
      waiting = [];
      waitingOctets = 0;
      await spool.append(key, part);
    };
    const add = (encoded: Uint8Array) => {
      size += encoded.length;
      waitingOctets += encoded.length;
      waiting.push(encoded);
    };
    for await (const part of content) {
      octets += part.length;
      if (octets > this.limit) throw tooLarge(this.limit);
      for (let at = 0; at < part.length; at += CHUNK_OCTETS / 2) {
        add(encoder.push(part.subarray(at, at + CHUNK_OCTETS / 2)));
        if (waitingOctets >= CHUNK_OCTETS / 2) await flush();
      }
    }
    add(encoder.end());
    await flush();
    return { key, size, octets, fileName, type };
  }

  async discard(): Promise<void> {
    for (const key of this.#keys) await this.#context.store.spool.discard(key);
  }
}

async function* decoded(
  { store: { maildrops } }: AdminContext,
  { key, size }: StoredContent,
): AsyncGenerator<Uint8Array> {
  const decoder = new TransferDecoder("base64");
  let octets = 0;
  for (let index = 0; octets < size; index++) {
    const part = await maildrops.part(key, index);
    if (part === undefined) throw new AdminError("the report was removed while it was read");
    octets += part.length;
    yield decoder.push(part);
  }
  yield decoder.end();
}
