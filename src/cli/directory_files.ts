/**
 * `emsmail directory import` and `export`, at the command line.
 *
 * Guarantees: a file that is there is written over only where `--force` says so; on a terminal what an export writes is text
 * and nothing else.
 *
 * @module
 */
import {
  exportContacts,
  type FileFormat,
  formatOfFile,
  importContacts,
  type ImportedEntry,
  type ImportResult,
} from "../admin/directory_files.ts";
import { usageError } from "../admin/error.ts";
import { concat, utf8 } from "../base/bytes.ts";
import { CONTACT_OCTETS } from "../base/limits.ts";
import { printableText } from "../base/printable.ts";
import { withStore } from "./context.ts";
import { readOctets, writeWhole } from "./files.ts";
import { listed } from "./facts.ts";
import { type Io, json } from "./io.ts";
import type { Options } from "./program.ts";
import { count } from "./time.ts";

/** Files of fewer entries are done before anybody wonders. */
const PROGRESS_FROM = 5000;

export async function directoryImport(io: Io, file: string, options: Options): Promise<void> {
  const { format = file === "-" ? undefined : formatOfFile(file), dryRun } = options as {
    readonly format?: FileFormat;
    readonly dryRun?: true;
  };
  if (format === undefined) {
    throw usageError("what comes from standard input has no name to tell its format by", "give --format");
  }
  const octets = await readAll(file);
  const result = await withStore(options, async (context) => {
    return await importContacts(context, octets, {
      file: file === "-" ? "standard input" : file,
      format,
      run: dryRun === true ? "dry-run" : "import",
      progress: process.stderr.isTTY === true ? (done, all) => tellProgress(io, done, all) : undefined,
    });
  }, { access: dryRun === true ? "read" : "create" });
  await io.out(options.json === true ? json(result) : resultText(result));
}

/** Overwrites its own line, and takes it away at the end. */
async function tellProgress(io: Io, done: number, all: number): Promise<void> {
  if (all < PROGRESS_FROM) return;
  await io.err(done < all ? `\r${done} of ${count(all, "entry", "entries")} checked` : "\r\u001b[K");
}

/** One octet more than may be, so that what is too long shows and an endless file ends. */
async function readAll(file: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of readOctets(file)) {
    parts.push(part);
    length += part.length;
    if (length > CONTACT_OCTETS) break;
  }
  return concat(parts);
}

function resultText({ added, changed, unchanged, dryRun }: ImportResult): string {
  const parts = [
    kindsText(added, dryRun ? "would be added" : "added"),
    kindsText(changed, dryRun ? "would be changed" : "changed"),
    unchanged === 0 ? "" : `${count(unchanged, "entry", "entries")} unchanged`,
  ].filter((part) => part !== "");
  const users = added.filter(({ kind }) => kind === "user");
  const done = parts.length === 0 ? "There is nothing in the file.\n" : `${parts.join("; ")}.\n`;
  return done[0]!.toUpperCase() + done.slice(1) + passwordText(users, dryRun);
}

/** `2 users and 1 list added`. */
function kindsText(entries: readonly ImportedEntry[], done: string): string {
  const kinds = (["user", "shadow", "list"] as const).map((kind) => {
    const number = entries.filter((entry) => entry.kind === kind).length;
    return number === 0 ? "" : count(number, kind);
  }).filter((text) => text !== "");
  return kinds.length === 0 ? "" : `${listed(kinds)} ${done}`;
}

/** Names that fit a line or two. */
const NAMES_TOLD = 10;

function passwordText(users: readonly ImportedEntry[], dryRun: boolean): string {
  if (users.length === 0) return "";
  const names = users.slice(0, NAMES_TOLD).map(({ name }) => name);
  const rest = users.length - names.length;
  const who = rest === 0 ? listed(names) : `${names.join(", ")} and ${count(rest, "other")}`;
  const have = dryRun ? "would have" : users.length === 1 ? "has" : "have";
  return `${who} ${have} no password, so that nobody can log in yet; set one with: emsmail user passwd NAME\n`;
}

export async function directoryExport(io: Io, file: string | undefined, options: Options): Promise<void> {
  const { format = file === undefined ? "csv" : formatOfFile(file) } = options as {
    readonly format?: FileFormat;
  };
  const text = await withStore(options, (context) => exportContacts(context, format), { access: "read" });
  if (file === undefined) return await io.out(io.outIsTerminal ? printableText(text) : text);
  const replace = options.force === true ? "yes" : "no";
  await writeWhole(file, [utf8(text)], { replace, advice: "say --force to write over it" });
  await io.out(`Wrote the directory to ${file}.\n`);
}
