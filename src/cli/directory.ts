/**
 * `emsmail directory …`: users, aliases, shadows and lists, at the command line.
 *
 * @module
 */
import * as directory from "../admin/directory.ts";
import { AdminError, usageError } from "../admin/error.ts";
import { showUser } from "../admin/users.ts";
import { bold } from "./io.ts";
import { withStore } from "./context.ts";
import { type Fact, formatFacts, listed } from "./facts.ts";
import { type Io, json } from "./io.ts";
import type { Options } from "./program.ts";
import { formatTable } from "./table.ts";
import { count } from "./time.ts";
import { forwardText, userScreens } from "./user.ts";
import { identitySettings, positiveNumber, yesOrNo } from "./values.ts";

/** Entries that `find` shows where nothing else is said: some screens full. */
const FOUND = 100;

export async function directoryAdd(io: Io, name: string, options: Options): Promise<void> {
  const { to, list, owner, member } = options as {
    readonly to?: string;
    readonly list?: true;
    readonly owner?: string;
    readonly member?: readonly string[];
  };
  const inbound = yesOrNo(options.inbound);
  const identity = identitySettings(options);
  if (to === undefined && list === undefined) {
    throw usageError(
      "an entry needs to be said what it is",
      "give --to ADDRESS for a shadow or --list for a list; 'emsmail user add' adds users, 'emsmail alias add' aliases",
    );
  }
  if (to !== undefined && (member ?? owner) !== undefined) {
    throw usageError("a shadow has no members and no owner", "say --list instead of --to for a list");
  }
  if (to === undefined && inbound !== undefined) {
    throw usageError("--inbound is for shadows", "whoever may write to this system may write to its lists");
  }
  const made = await withStore(
    options,
    (context) =>
      to === undefined
        ? directory.addList(context, { name, members: member ?? [], owner, ...identity })
        : directory.addShadow(context, { name, to, inbound, ...identity }),
    { access: "change" },
  );
  await tellEntry(io, `Added ${made.name}.`, made, options);
}

/** What became of an entry, and where its mail goes now. */
async function tellEntry(io: Io, done: string, entry: directory.EntryView, options: Options): Promise<void> {
  if (options.json === true) return await io.out(json(entry));
  const where = entry.kind === "user" ? "" : ` Its mail goes to ${destinationText(entry)}.`;
  await io.out(`${done}${where}\n`);
}

/** Where mail for an entry goes, in words. */
function destinationText(entry: directory.EntryView): string {
  switch (entry.kind) {
    case "user":
      return entry.forward === null ? "its maildrop" : forwardText(entry.forward).replace(/^to /, "");
    case "alias":
      return entry.targets.join(", ");
    case "shadow":
      return entry.address;
    case "list":
      return entry.members.length === 0 ? "nobody yet" : count(entry.members.length, "member");
  }
}

export async function directoryList(io: Io, options: Options): Promise<void> {
  const { kind } = options as { readonly kind?: directory.EntryKind };
  const all = await withStore(options, (context) => directory.listEntries(context, { kind }), {
    access: "read",
  });
  if (options.json === true) return await io.out(json(all));
  if (all.length === 0) {
    return await io.out(
      kind === undefined
        ? "The directory is empty. Add somebody with: emsmail user add NAME\n"
        : `There is no ${kind} in the directory.\n`,
    );
  }
  await io.out(entryTable(all, io));
}

export async function directoryFind(io: Io, words: readonly string[], options: Options): Promise<void> {
  const { kind } = options as { readonly kind?: directory.EntryKind };
  const limit = positiveNumber(options, "--limit") ?? FOUND;
  // One more than is shown tells whether there are more.
  const found = await withStore(
    options,
    (context) => directory.findEntries(context, words, { limit: limit + 1, kind }),
    { access: "read" },
  );
  const shown = found.slice(0, limit);
  if (options.json === true) return await io.out(json(shown));
  if (shown.length === 0) throw new AdminError(`nobody in the directory fits ${words.join(" ")}`);
  await io.out(entryTable(shown, io));
  if (found.length > limit) {
    await io.err(`${bold("emsmail:", io.colourErr)} note: there are more; see --limit\n`);
  }
}

function entryTable(entries: readonly directory.EntryView[], io: Io): string {
  return formatTable(
    [
      { title: "name" },
      { title: "kind" },
      { title: "display name", shrinks: true },
      { title: "department", shrinks: true },
      { title: "phone" },
      { title: "goes to", shrinks: true },
    ],
    entries.map((entry) => [
      entry.name,
      entry.kind,
      entry.displayName,
      entry.department,
      entry.phone,
      destinationText(entry),
    ]),
    { width: io.width, bold: io.colour },
  );
}

export async function directoryShow(io: Io, name: string, options: Options): Promise<void> {
  await withStore(options, async (context) => {
    const entry = await directory.showEntry(context, name);
    if (entry.kind === "user") {
      const user = await showUser(context, entry.name);
      return await io.out(options.json === true ? json({ kind: "user", ...user }) : userScreens(user, io));
    }
    await io.out(options.json === true ? json(entry) : formatFacts(factsOf(entry), io));
  }, { access: "read" });
}

const KIND_MEANING = {
  user: "user",
  alias: "alias",
  shadow: "shadow: a local name for somebody elsewhere",
  list: "distribution list",
} as const;

function factsOf(entry: directory.EntryDetails): Fact[] {
  const orNone = (words: readonly string[]): string => words.length === 0 ? "none" : listed(words);
  const identity: Fact[] = [
    ["Display name", entry.displayName || "none"],
    ["Department", entry.department || "none"],
    ["Phone", entry.phone || "none"],
  ];
  return [
    ["Name", entry.name],
    ["Kind", KIND_MEANING[entry.kind]],
    ...entry.kind === "alias" ? [] : identity,
    ["Receives at", entry.addresses.length === 0 ? "none" : listed(entry.addresses)],
    ...destinationFacts(entry),
    ["Aliases", orNone(entry.aliases)],
    ["Lists", orNone(entry.lists)],
  ];
}

function destinationFacts(entry: directory.EntryView): Fact[] {
  switch (entry.kind) {
    case "user":
      return [];
    case "alias":
      return [["Goes to", ...entry.targets]];
    case "shadow":
      return [
        ["Goes to", entry.address],
        ["Inbound", entry.inbound ? "yes: strangers may write to it" : "no: only users here may write to it"],
      ];
    case "list":
      return [
        ["Owner", entry.owner ?? "postmaster"],
        ["Members", ...entry.members.length === 0 ? ["none"] : entry.members],
      ];
  }
}

export async function directorySet(io: Io, name: string, options: Options): Promise<void> {
  const { to, owner, addMember, removeMember } = options as {
    readonly to?: string;
    readonly owner?: string;
    readonly addMember?: readonly string[];
    readonly removeMember?: readonly string[];
  };
  const settings = {
    to,
    owner,
    addMembers: addMember,
    removeMembers: removeMember,
    inbound: yesOrNo(options.inbound),
    ...identitySettings(options),
  };
  const changed = await withStore(options, (context) => directory.changeEntry(context, name, settings), {
    access: "change",
  });
  await tellEntry(io, `Changed ${changed.name}.`, changed, options);
}

export async function directoryRemove(io: Io, name: string, options: Options): Promise<void> {
  const removed = await withStore(options, (context) => directory.removeEntry(context, name), {
    access: "change",
  });
  const named = [...removed.lists, ...removed.aliases];
  const from = named.length === 0 ? "" : `, also from ${listed(named)}`;
  await io.out(`Removed the ${removed.kind} ${removed.name}${from}.\n`);
}
