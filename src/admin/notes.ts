/**
 * A user's note, read and with everybody in it found: what sending, answering and sending on have in common.
 *
 * Guarantees: everything that is wrong with a note is told at once, each at its place; nothing is changed.
 *
 * @module
 */
import {
  type Addressee,
  type AddresseeLookUp,
  type AddresseeOptions,
  AddresseeResolution,
  type Listed,
} from "../gateway/addressees.ts";
import { parseNote, splitLines } from "../gateway/note.ts";
import { formatNoteProblem } from "../gateway/note_error.ts";
import type { Note, NoteProblem } from "../gateway/note_types.ts";
import { NOTE_OCTETS } from "../base/limits.ts";
import { utf8 } from "../base/bytes.ts";
import { firstDomain } from "../config/names.ts";
import { gatewayDomains } from "../server/mailboxes.ts";
import type { Account, Named } from "../store/types.ts";
import type { AdminContext } from "./context.ts";
import { AdminError } from "./error.ts";

/** A note as somebody wrote it. */
export interface NoteSource {
  readonly text: string;
  /** What it is called in errors: `note.txt`, `standard input`. */
  readonly file: string;
}

export interface FoundNote {
  readonly note: Note;
  readonly addressees: readonly Addressee[];
  readonly problems: readonly NoteProblem[];
}

/** Entries that are counted for an ambiguous name. */
const CANDIDATES = 1000;

/** Reads a note and finds everybody in it. */
export async function findNote(
  context: AdminContext,
  account: Account,
  { text, recipients }: Pick<NoteSource, "text"> & { readonly recipients: "needed" | "optional" },
): Promise<FoundNote> {
  const octets = utf8(text).length;
  if (octets > NOTE_OCTETS) {
    throw new AdminError(
      `the note has ${octets} octets`,
      `${NOTE_OCTETS} is the most; attach long texts as files`,
    );
  }
  const gateways = gatewayDomains(context.config);
  const parsed = parseNote(text, { gateways: ["smtp", ...gateways.map(({ name }) => name)], recipients });
  const options = await addresseeOptions(context, account);
  const resolution = new AddresseeResolution(parsed.note.recipients, options);
  let step = resolution.next();
  for (; step.kind !== "done"; step = resolution.next()) resolution.found(await lookUp(context, step));
  return { note: parsed.note, addressees: step.addressees, problems: [...parsed.problems, ...step.problems] };
}

async function addresseeOptions(
  { store, config }: AdminContext,
  account: Account,
): Promise<AddresseeOptions> {
  return {
    nicknames: await store.entries.nicknames(account.id),
    gateways: gatewayDomains(config),
    defaultGateway: config.gateways.default,
    domains: [firstDomain(config), ...config.domains.slice(1)],
    plus: config.accounts.plusAddressing,
    limit: config.limits.recipients,
  };
}

async function lookUp({ store }: AdminContext, step: AddresseeLookUp): Promise<Listed[]> {
  const { directory, entries } = store;
  switch (step.kind) {
    case "names": {
      const named = await directory.find(step.names);
      return named === undefined ? [] : [listedOf(named)];
    }
    case "prefix":
      return (await entries.search({ prefix: step.prefix }, { limit: CANDIDATES })).map(listedOf);
    case "words":
      return (await entries.search({ words: step.words }, { limit: CANDIDATES })).map(listedOf);
    case "everybody":
      return (await entries.all()).map(listedOf);
  }
}

function listedOf(named: Named): Listed {
  switch (named.kind) {
    case "account":
      return { kind: "account", ...whoIs(named.account) };
    case "alias":
      return { kind: "alias", name: named.alias.name, displayName: "", department: "" };
    case "shadow":
      return { kind: "shadow", ...whoIs(named.shadow), address: named.shadow.address };
    case "list":
      return { kind: "list", ...whoIs(named.list) };
  }
}

function whoIs(
  { name, identity }: Pick<Account, "name" | "identity">,
): Pick<Listed, "name" | "displayName" | "department"> {
  return { name, displayName: identity?.displayName ?? "", department: identity?.department ?? "" };
}

/** The error that tells of all that is wrong with a note. */
export function noteError({ text, file }: NoteSource, problems: readonly NoteProblem[]): AdminError {
  const lines = splitLines(text);
  const sorted = [...problems].sort((a, b) => a.line - b.line || a.column - b.column);
  const told = sorted.map((problem) => formatNoteProblem(problem, { file, lines }));
  return new AdminError(`nothing was sent\n${told.join("").trimEnd()}`);
}
