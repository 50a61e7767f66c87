/**
 * The directory out of a file and into one.
 *
 * Guarantees: an import is all there or not there at all: everything is checked first, and every problem is told with its line.
 * What a file doesn't say stays as it is; entries that the file doesn't have stay too. What an export writes, an import
 * takes.
 *
 * Absent on purpose: aliases and nicknames in files, and passwords.
 *
 * @module
 */
import { firstDomain } from "../config/names.ts";
import type { Contact, ContactFile, ContactProblem } from "../contacts/contact.ts";
import { formatCsv, parseCsv } from "../contacts/csv.ts";
import { formatLdif, parseLdif } from "../contacts/ldif.ts";
import { formatVcards, parseVcards } from "../contacts/vcard.ts";
import { printableLine } from "../base/printable.ts";
import type { AdminContext } from "./context.ts";
import { type EntryKind, listEntries } from "./directory.ts";
import { AdminError, usageError } from "./error.ts";
import { ImportPlan } from "./import_plan.ts";

export type FileFormat = "csv" | "vcard" | "ldif";

const SUFFIXES: { readonly [suffix: string]: FileFormat } = {
  csv: "csv",
  vcf: "vcard",
  vcard: "vcard",
  ldif: "ldif",
  ldf: "ldif",
};

/** A file's format by its name. @throws {AdminError} `usage` where the name doesn't say it */
export function formatOfFile(name: string): FileFormat {
  const format = SUFFIXES[/\.([^./\\]+)$/.exec(name)?.[1]?.toLowerCase() ?? ""];
  if (format !== undefined) return format;
  throw usageError(
    `${printableLine(name)} doesn't say what it holds`,
    "end its name with .csv, .vcf or .ldif, or give --format",
  );
}

/** Everything but aliases, by name: a file of it. */
export async function exportContacts(context: AdminContext, format: FileFormat): Promise<string> {
  const domain = firstDomain(context.config);
  const contacts = (await listEntries(context)).flatMap((view): Contact[] => {
    const { name, displayName, department, phone } = view;
    const common = { name, displayName, department, phone };
    switch (view.kind) {
      case "alias":
        return [];
      case "user":
        return [{ kind: view.kind, ...common, address: view.addresses[0] }];
      case "shadow":
        return [{ kind: view.kind, ...common, address: view.address, inbound: view.inbound }];
      case "list":
        return [{ kind: view.kind, ...common, members: view.members, owner: view.owner ?? undefined }];
    }
  });
  if (format === "csv") return formatCsv(contacts);
  return format === "vcard" ? formatVcards(contacts, { domain }) : formatLdif(contacts, { domain });
}

const PARSERS: { readonly [format in FileFormat]: (octets: Uint8Array) => ContactFile } = {
  csv: parseCsv,
  vcard: parseVcards,
  ldif: parseLdif,
};

export interface ImportOptions {
  /** For problems. */
  readonly file: string;
  readonly format: FileFormat;
  /** `dry-run` checks everything and changes nothing. @default "import" */
  readonly run?: "import" | "dry-run" | undefined;
  /** Told now and then how many entries of how many are checked; waited for. */
  readonly progress?: ((done: number, all: number) => Promise<void>) | undefined;
}

/** One entry of an import. */
export interface ImportedEntry {
  readonly kind: Exclude<EntryKind, "alias">;
  readonly name: string;
  /** Where it begins in the file, from 1. */
  readonly line: number;
}

/** What an import made, or would make. */
export interface ImportResult {
  /** Of these, users have no password yet. */
  readonly added: readonly ImportedEntry[];
  readonly changed: readonly ImportedEntry[];
  /** Entries of the file that were so already. */
  readonly unchanged: number;
  readonly dryRun: boolean;
}

/** Entries between two calls of `progress`. */
const PROGRESS_STEP = 1000;

/** Takes a file's entries in. @throws {AdminError} with everything that is wrong, a line each; nothing is changed then */
export async function importContacts(
  context: AdminContext,
  octets: Uint8Array,
  { file, format, run = "import", progress }: ImportOptions,
): Promise<ImportResult> {
  const { contacts, problems } = PARSERS[format](octets);
  const plan = await ImportPlan.begin(context, problems);
  for (const [i, contact] of contacts.entries()) {
    plan.add(contact);
    if (i % PROGRESS_STEP === 0) await progress?.(i, contacts.length);
  }
  await progress?.(contacts.length, contacts.length);
  const { changes, added, changed, unchanged, problems: found } = plan.finish();
  if (found.length > 0) throw problemsError(file, found);
  if (run === "import" && changes.length > 0) await context.store.entries.change(changes);
  return { added, changed, unchanged, dryRun: run === "dry-run" };
}

/** More than a screen or two of problems have one cause. */
const PROBLEMS_TOLD = 50;

function problemsError(file: string, problems: readonly ContactProblem[]): AdminError {
  const lines = problems.slice(0, PROBLEMS_TOLD).map(({ line, message, advice }) =>
    `${file}:${line}: ${message}${advice === "" ? "" : `; ${advice}`}`
  );
  const rest = problems.length - lines.length;
  if (rest > 0) lines.push(`and ${rest} more`);
  return new AdminError(`nothing was imported, since the file is wrong:\n${lines.join("\n")}`);
}
