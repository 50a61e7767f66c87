/**
 * Accounts, aliases, shadows, lists and nicknames in memory.
 *
 * @module
 */
import {
  applyChanges,
  compareNames,
  existsError,
  matcher,
  missingError,
  type NameKind,
  nicknameMissingError,
  numberMissingError,
  searchable,
  tidyAccount,
} from "./entry_rules.ts";
import type {
  Account,
  AccountChanges,
  AccountId,
  Alias,
  Directory,
  Entries,
  EntryChange,
  EntryQuery,
  List,
  Named,
  NewAccount,
  Nickname,
  Shadow,
} from "./types.ts";

/** What the rest of the store does when accounts come and go. */
export interface AccountHooks {
  added(id: AccountId): void;
  removed(id: AccountId): void;
  /** Nobody has the name any more. */
  forgotten(name: string): void;
}

export class MemoryDirectory implements Directory {
  readonly entries: Entries;
  readonly #change: <T>(work: () => T) => Promise<T>;
  readonly #hooks: AccountHooks;
  /** Everything that has a name. */
  #named = new Map<string, Named>();
  #nicknames = new Map<AccountId, ReadonlyMap<string, Nickname>>();
  /** By number, also of accounts that are gone. */
  #names = new Map<AccountId, string>();

  constructor(change: <T>(work: () => T) => Promise<T>, hooks: AccountHooks) {
    this.#change = change;
    this.#hooks = hooks;
    this.entries = {
      all: () => Promise.resolve(this.#all()),
      search: (query, { limit }) => Promise.resolve(this.#search(query, limit)),
      change: (changes) => change(() => this.#changeEntries(structuredClone(changes))),
      nicknames: (account) => Promise.resolve(this.#nicknamesOf(account)),
    };
  }

  /** The name an account has or had. */
  nameOf(id: AccountId): string {
    return this.#names.get(id) ?? "";
  }

  account(name: string): Promise<Account | undefined> {
    const named = this.#named.get(name);
    return Promise.resolve(named?.kind === "account" ? named.account : undefined);
  }

  find(names: readonly string[]): Promise<Named | undefined> {
    const name = names.find((name) => this.#named.has(name));
    return Promise.resolve(name === undefined ? undefined : this.#named.get(name));
  }

  accounts(): Promise<Account[]> {
    return Promise.resolve(this.#all().flatMap((named) => named.kind === "account" ? [named.account] : []));
  }

  addAccount(account: NewAccount): Promise<Account> {
    return this.#change(() => {
      const added = this.#addAccount(account);
      this.#hooks.added(added.id);
      return added;
    });
  }

  changeAccount(name: string, changes: AccountChanges): Promise<Account> {
    return this.#change(() => this.#changeAccount(name, changes));
  }

  removeAccount(name: string): Promise<void> {
    return this.#change(() => {
      const { id } = this.#require(name);
      this.#hooks.removed(id);
      this.#named.delete(name);
      this.#nicknames.delete(id);
      this.#forget(name);
    });
  }

  aliases(): Promise<Alias[]> {
    return Promise.resolve(this.#all().flatMap((named) => named.kind === "alias" ? [named.alias] : []));
  }

  setAlias({ name, targets }: Alias): Promise<void> {
    return this.#change(() => {
      const known = this.#claim(name, "alias");
      if (targets.length > 0) {
        this.#named.set(name, { kind: "alias", alias: { name, targets: [...targets] } });
      } else if (known === "new") throw missingError("alias", name);
      else this.#named.delete(name);
    });
  }

  #all(): Named[] {
    const names = [...this.#named.keys()].sort(compareNames);
    return names.map((name) => this.#named.get(name)!);
  }

  #search(query: EntryQuery, limit: number): Named[] {
    const fits = matcher(query);
    return this.#all().filter((named) => fits(searchable(named))).slice(0, Math.max(0, limit));
  }

  #nicknamesOf(account: AccountId): Nickname[] {
    const nicknames = [...this.#nicknames.get(account)?.values() ?? []];
    return nicknames.sort((a, b) => compareNames(a.name, b.name));
  }

  #changeEntries(changes: readonly EntryChange[]): void {
    const before = { named: this.#named, nicknames: this.#nicknames, names: this.#names };
    this.#named = new Map(before.named);
    this.#nicknames = new Map(before.nicknames);
    this.#names = new Map(before.names);
    try {
      for (const change of changes) this.#changeEntry(change);
    } catch (error) {
      ({ named: this.#named, nicknames: this.#nicknames, names: this.#names } = before);
      throw error;
    }
    for (const id of this.#names.keys()) if (!before.names.has(id)) this.#hooks.added(id);
  }

  #changeEntry(change: EntryChange): void {
    switch (change.kind) {
      case "add-account":
        return void this.#addAccount(change.account);
      case "change-account":
        return void this.#changeAccount(change.name, change.changes);
      case "set-shadow":
        return this.#setShadow(change.shadow);
      case "set-list":
        return this.#setList(change.list);
      case "remove":
        return this.#remove(change.name);
      case "set-nickname":
        return this.#setNickname(change.account, change.nickname);
    }
  }

  #addAccount(given: NewAccount): Account {
    const { name } = given;
    if (this.#claim(name, "account") === "known") throw existsError("account", name);
    const account = tidyAccount({ id: this.#names.size + 1, ...given });
    this.#names.set(account.id, name);
    this.#named.set(name, { kind: "account", account });
    return account;
  }

  #changeAccount(name: string, changes: AccountChanges): Account {
    const account = applyChanges(this.#require(name), changes);
    this.#named.set(name, { kind: "account", account });
    return account;
  }

  #setShadow({ name, address, inbound, identity }: Shadow): void {
    this.#claim(name, "shadow");
    this.#named.set(name, { kind: "shadow", shadow: { name, address, inbound, identity } });
  }

  #setList({ name, members, owner, identity }: List): void {
    this.#claim(name, "list");
    const list = {
      name,
      members: [...new Set(members)],
      ...(owner === undefined ? {} : { owner }),
      identity,
    };
    this.#named.set(name, { kind: "list", list });
  }

  #remove(name: string): void {
    const kind = this.#named.get(name)?.kind;
    if (kind !== "shadow" && kind !== "list") throw missingError("shadow or list", name, kind);
    this.#named.delete(name);
    this.#forget(name);
  }

  #setNickname(account: AccountId, nickname: Nickname): void {
    if (this.#named.get(this.nameOf(account))?.kind !== "account") throw numberMissingError(account);
    const nicknames = new Map(this.#nicknames.get(account));
    if (nickname.addresses.length > 0) nicknames.set(nickname.name, nickname);
    else if (!nicknames.delete(nickname.name)) throw nicknameMissingError(nickname.name);
    this.#nicknames.set(account, nicknames);
  }

  /** Takes the name out of all that names it. */
  #forget(name: string): void {
    const others = (names: readonly string[]) => names.filter((other) => other !== name);
    for (const named of [...this.#named.values()]) {
      if (named.kind === "alias") {
        const { alias } = named;
        const targets = others(alias.targets);
        if (targets.length === 0) this.#named.delete(alias.name);
        else this.#named.set(alias.name, { kind: "alias", alias: { ...alias, targets } });
      } else if (named.kind === "list") {
        const { owner, ...list } = named.list;
        const kept = owner === undefined || owner === name ? {} : { owner };
        const members = others(list.members);
        this.#named.set(list.name, { kind: "list", list: { ...list, ...kept, members } });
      } else if (named.kind === "account" && named.account.forward?.to.includes(name)) {
        const { forward, ...account } = named.account;
        const to = others(forward.to);
        const kept = to.length === 0 ? {} : { forward: { ...forward, to } };
        this.#named.set(account.name, { kind: "account", account: { ...account, ...kept } });
      }
    }
    this.#hooks.forgotten(name);
  }

  /** @throws {StoreError} `exists` where anything but one of the kind has the name */
  #claim(name: string, kind: NameKind): "new" | "known" {
    const taken = this.#named.get(name)?.kind;
    if (taken === undefined) return "new";
    if (taken !== kind) throw existsError(taken, name);
    return "known";
  }

  #require(name: string): Account {
    const named = this.#named.get(name);
    if (named?.kind !== "account") throw missingError("account", name);
    return named.account;
  }
}
