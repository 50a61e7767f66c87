/**
 * Accounts and aliases in memory.
 *
 * @module
 */
import {
  type Account,
  type AccountChanges,
  type AccountId,
  type Alias,
  type Directory,
  type Named,
  type NewAccount,
  StoreError,
} from "./types.ts";

/** What the rest of the store does when accounts come and go. */
export interface AccountHooks {
  added(id: AccountId): void;
  removed(id: AccountId): void;
}

const byName = (a: { name: string }, b: { name: string }) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0;

export class MemoryDirectory implements Directory {
  readonly #change: <T>(work: () => T) => Promise<T>;
  readonly #hooks: AccountHooks;
  readonly #accounts = new Map<string, Account>();
  readonly #aliases = new Map<string, Alias>();
  /** By number, also of accounts that are gone. */
  readonly #names = new Map<AccountId, string>();

  constructor(change: <T>(work: () => T) => Promise<T>, hooks: AccountHooks) {
    this.#change = change;
    this.#hooks = hooks;
  }

  /** The name an account has or had. */
  nameOf(id: AccountId): string {
    return this.#names.get(id) ?? "";
  }

  account(name: string): Promise<Account | undefined> {
    return Promise.resolve(this.#accounts.get(name));
  }

  find(names: readonly string[]): Promise<Named | undefined> {
    for (const name of names) {
      const account = this.#accounts.get(name);
      if (account !== undefined) return Promise.resolve({ kind: "account", account });
      const alias = this.#aliases.get(name);
      if (alias !== undefined) return Promise.resolve({ kind: "alias", alias });
    }
    return Promise.resolve(undefined);
  }

  accounts(): Promise<Account[]> {
    return Promise.resolve([...this.#accounts.values()].sort(byName));
  }

  addAccount(account: NewAccount): Promise<Account> {
    return this.#change(() => {
      const { name } = account;
      if (this.#accounts.has(name)) throw existsError("account", name);
      if (this.#aliases.has(name)) throw existsError("alias", name);
      const id = this.#names.size + 1;
      const added = withoutUndefined({ id, ...account });
      this.#names.set(id, name);
      this.#accounts.set(name, added);
      this.#hooks.added(id);
      return added;
    });
  }

  changeAccount(name: string, changes: AccountChanges): Promise<Account> {
    return this.#change(() => {
      const account = this.#require(name);
      const changed = { ...account, ...withoutUndefined(changes) };
      // Only a quota has a meaning for undefined: the default.
      if ("quotaOctets" in changes && changes.quotaOctets === undefined) delete changed.quotaOctets;
      if ("quotaMessages" in changes && changes.quotaMessages === undefined) delete changed.quotaMessages;
      this.#accounts.set(name, changed);
      return changed;
    });
  }

  removeAccount(name: string): Promise<void> {
    return this.#change(() => {
      const { id } = this.#require(name);
      this.#hooks.removed(id);
      this.#accounts.delete(name);
      for (const alias of [...this.#aliases.values()]) {
        const targets = alias.targets.filter((target) => target !== name);
        if (targets.length === 0) this.#aliases.delete(alias.name);
        else this.#aliases.set(alias.name, { name: alias.name, targets });
      }
    });
  }

  aliases(): Promise<Alias[]> {
    return Promise.resolve([...this.#aliases.values()].sort(byName));
  }

  setAlias({ name, targets }: Alias): Promise<void> {
    return this.#change(() => {
      if (this.#accounts.has(name)) throw existsError("account", name);
      if (targets.length > 0) this.#aliases.set(name, { name, targets: [...targets] });
      else if (!this.#aliases.delete(name)) throw new StoreError("missing", `there is no alias '${name}'`);
    });
  }

  #require(name: string): Account {
    const account = this.#accounts.get(name);
    if (account === undefined) throw new StoreError("missing", `there is no account '${name}'`);
    return account;
  }
}

function existsError(what: "account" | "alias", name: string): StoreError {
  return new StoreError("exists", `there is an ${what} '${name}' already`);
}

function withoutUndefined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as T;
}
