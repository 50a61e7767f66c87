/**
 * What an import would make of the directory: entries of a file become changes, or problems.
 *
 * States: entries are added one after the other, then the plan is finished: only then are members looked up, since a list
 * may come before its members.
 *
 * @module
 */
import type { ContactKind, ContactProblem, ReadContact } from "../contacts/contact.ts";
import type { EntryChange, Identity, List, Named } from "../store/types.ts";
import { type AdminContext, nameRules } from "./context.ts";
import { checkedDestination } from "./directory.ts";
import type { ImportedEntry } from "./directory_files.ts";
import { A_KIND, EntryGraph, memberOf, nameOf } from "./entry_graph.ts";
import { AdminError } from "./error.ts";
import {
  lookupName,
  nameFrom,
  type NameRules,
  parseAccountName,
  parseListName,
  parseShadowName,
  parseTarget,
} from "./names.ts";
import { NOBODY } from "./profiles.ts";
import { newAccount } from "./users.ts";

const PARSE_NAME = { user: parseAccountName, shadow: parseShadowName, list: parseListName } as const;

/** What the store calls each kind. */
const STORED = { user: "account", shadow: "shadow", list: "list" } as const;

/** An entry as it is to be. */
interface Planned {
  readonly contact: ReadContact;
  readonly kind: ContactKind;
  readonly name: string;
  readonly before: Named | undefined;
}

export interface FinishedPlan {
  readonly changes: readonly EntryChange[];
  readonly added: readonly ImportedEntry[];
  readonly changed: readonly ImportedEntry[];
  readonly unchanged: number;
  /** In the order of lines. */
  readonly problems: readonly ContactProblem[];
}

export class ImportPlan {
  readonly #context: AdminContext;
  readonly #rules: NameRules;
  readonly #graph: EntryGraph;
  readonly #problems: ContactProblem[];
  /** Names of shadows by where their mail goes. */
  readonly #shadows = new Map<string, string>();
  readonly #planned = new Map<string, Planned>();

  private constructor(context: AdminContext, graph: EntryGraph, problems: readonly ContactProblem[]) {
    this.#context = context;
    this.#rules = nameRules(context.config);
    this.#graph = graph;
    this.#problems = [...problems];
    for (const named of graph.values()) {
      if (named.kind === "shadow") this.#shadows.set(lookupName(named.shadow.address), named.shadow.name);
    }
  }

  /** A plan that begins with the directory as it stands; `problems` are those of reading the file. */
  static async begin(context: AdminContext, problems: readonly ContactProblem[]): Promise<ImportPlan> {
    return new ImportPlan(context, await EntryGraph.read(context), problems);
  }

  /** Takes in an entry of the file. */
  add(contact: ReadContact): void {
    this.#telling(contact.line, () => {
      const kind = this.#kindOf(contact);
      const name = this.#nameOf(contact, kind);
      const other = this.#planned.get(name);
      if (other !== undefined) {
        throw new AdminError(`${name} is on line ${other.contact.line} already`, "keep one of the two");
      }
      const before = this.#graph.get(name);
      if (before !== undefined && before.kind !== STORED[kind]) {
        throw new AdminError(
          `${name} is ${A_KIND[before.kind]} here, and ${
            kind === "user" ? "an account" : `a ${kind}`
          } in the file`,
          "give the entry another name",
        );
      }
      this.#planned.set(name, { contact, kind, name, before });
    });
  }

  /** Runs `work`; an error that it throws on purpose becomes a problem. */
  #telling(line: number, work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof AdminError)) throw error;
      this.#problems.push({ line, message: error.message, advice: error.advice });
    }
  }

  #isOurs(address: string | undefined): boolean {
    const domain = address === undefined ? "" : lookupName(address).split("@").at(-1)!;
    return this.#context.config.domains.includes(domain);
  }

  #kindOf({ kind, name, address, members }: ReadContact): ContactKind {
    if (kind !== undefined) return kind;
    if (members !== undefined) return "list";
    const known = name === undefined ? undefined : this.#graph.get(lookupName(name));
    if (known?.kind === "account") return "user";
    if (known?.kind === "shadow" || known?.kind === "list") return known.kind;
    if (address === undefined) {
      throw new AdminError(
        "the entry has no address, and isn't said to be a user or a list",
        "give it an address, or a kind",
      );
    }
    return this.#isOurs(address) ? "user" : "shadow";
  }

  #nameOf({ name, address, displayName = "" }: ReadContact, kind: ContactKind): string {
    if (name !== undefined) return PARSE_NAME[kind](name, this.#rules);
    if (address !== undefined && kind === "shadow") {
      const known = this.#shadows.get(lookupName(address));
      if (known !== undefined) return known;
    }
    const local = address?.slice(0, address.lastIndexOf("@")) ?? "";
    // A user's name is in the address; of others' addresses it is as good a name as any.
    if (kind === "user" && address !== undefined && this.#isOurs(address)) {
      return PARSE_NAME.user(local, this.#rules);
    }
    const made = nameFrom(local, this.#rules) || nameFrom(displayName, this.#rules);
    if (made === "") {
      throw new AdminError("the entry has no name, and none can be made for it", "give it a name");
    }
    return this.#free(made);
  }

  /** The name, or the first of `name2`, `name3` … that nobody has. */
  #free(name: string): string {
    const isTaken = (one: string): boolean => this.#graph.get(one) !== undefined || this.#planned.has(one);
    let free = name;
    for (let i = 2; isTaken(free); i++) free = `${name}${i}`;
    return free;
  }

  /** Looks members up, and says what there is to do. */
  finish(): FinishedPlan {
    const changes: EntryChange[] = [];
    const entries: { readonly added: ImportedEntry[]; readonly changed: ImportedEntry[] } = {
      added: [],
      changed: [],
    };
    // Members may be entries that come later, so all names have to be there first.
    for (const planned of this.#planned.values()) {
      if (planned.before === undefined) this.#graph.set(placeholder(planned));
    }
    for (const planned of this.#planned.values()) {
      this.#telling(planned.contact.line, () => {
        const change = this.#changeFor(planned);
        if (change === undefined) return;
        changes.push(change);
        const { kind, name, contact: { line } } = planned;
        entries[planned.before === undefined ? "added" : "changed"].push({ kind, name, line });
      });
    }
    for (const { kind, name, contact } of this.#planned.values()) {
      if (kind === "list") this.#checkCircle(name, contact.line);
    }
    return {
      changes,
      ...entries,
      unchanged: this.#planned.size - changes.length,
      problems: this.#problems.sort((a, b) => a.line - b.line),
    };
  }

  #checkCircle(name: string, line: number): void {
    const circle = this.#graph.circleFrom(name);
    if (circle === undefined) return;
    const message = `mail would go round in a circle: ${circle.join(" > ")}`;
    this.#problems.push({ line, message, advice: "leave one of these out" });
  }

  /** What makes the entry so; undefined where it is so already. */
  #changeFor({ contact, kind, name, before }: Planned): EntryChange | undefined {
    if (kind === "user") {
      return this.#userChange(name, before?.kind === "account" ? before : undefined, contact);
    }
    const after = kind === "shadow"
      ? this.#shadow(name, before?.kind === "shadow" ? before : undefined, contact)
      : this.#list(name, before?.kind === "list" ? before : undefined, contact);
    this.#graph.set(after);
    if (JSON.stringify(comparable(after)) === JSON.stringify(comparable(before))) return undefined;
    return after.kind === "shadow"
      ? { kind: "set-shadow", shadow: after.shadow }
      : { kind: "set-list", list: after.list };
  }

  #userChange(
    name: string,
    before: Extract<Named, { kind: "account" }> | undefined,
    contact: ReadContact,
  ): EntryChange | undefined {
    const known = before?.account.identity ?? NOBODY;
    const identity = mergedIdentity(known, contact);
    if (before === undefined) {
      return { kind: "add-account", account: { ...newAccount(name, this.#context), identity } };
    }
    if (JSON.stringify(identity) === JSON.stringify(mergedIdentity(known, {}))) return undefined;
    return { kind: "change-account", name, changes: { identity } };
  }

  #shadow(
    name: string,
    before: Extract<Named, { kind: "shadow" }> | undefined,
    contact: ReadContact,
  ): Extract<Named, { kind: "shadow" }> {
    const known = before?.shadow;
    if (contact.address === undefined && known === undefined) {
      throw new AdminError(`${name} is a shadow without an address`, "say where its mail goes");
    }
    const address = contact.address === undefined
      ? known!.address
      : checkedDestination(contact.address, { context: this.#context, graph: this.#graph });
    const inbound = contact.inbound ?? known?.inbound ?? false;
    return {
      kind: "shadow",
      shadow: { name, address, inbound, identity: mergedIdentity(known?.identity ?? NOBODY, contact) },
    };
  }

  #list(
    name: string,
    before: Extract<Named, { kind: "list" }> | undefined,
    contact: ReadContact,
  ): Extract<Named, { kind: "list" }> {
    const known = before?.list;
    const members = contact.members === undefined
      ? known?.members ?? []
      : [...new Set(contact.members.map((member) => this.#somebody(member)))];
    const owner = contact.owner === undefined
      ? known?.owner
      : contact.owner === ""
      ? undefined
      : this.#somebody(contact.owner);
    const list: List = {
      name,
      members,
      ...owner === undefined ? {} : { owner },
      identity: mergedIdentity(known?.identity ?? NOBODY, contact),
    };
    return { kind: "list", list };
  }

  #somebody(text: string): string {
    return memberOf(parseTarget(text, this.#rules), this.#graph);
  }
}

/** What stands for a new entry until it is known whole: it leads nowhere. */
function placeholder({ kind, name }: Planned): Named {
  if (kind === "list") return { kind, list: { name, members: [], identity: NOBODY } };
  return { kind: "alias", alias: { name, targets: [] } };
}

function mergedIdentity(
  identity: Identity,
  { displayName, department, phone }: Partial<Identity>,
): Identity {
  return {
    displayName: displayName ?? identity.displayName,
    department: department ?? identity.department,
    phone: phone ?? identity.phone,
  };
}

/** A shadow or list with its fields in one order. */
function comparable(named: Named | undefined): unknown {
  if (named?.kind === "shadow") {
    const { address, inbound, identity } = named.shadow;
    return [nameOf(named), address, inbound, mergedIdentity(identity, {})];
  }
  if (named?.kind === "list") {
    const { members, owner, identity } = named.list;
    return [nameOf(named), members, owner ?? "", mergedIdentity(identity, {})];
  }
  return undefined;
}
