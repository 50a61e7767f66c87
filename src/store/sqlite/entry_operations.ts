/**
 * Shadows, lists and nicknames, and changes of the directory that belong together. Runs inside the writer's transaction,
 * so that where one change is refused, none of them is made. Why get() and not run(): see mail_operations.ts.
 *
 * @module
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { missingError, nicknameMissingError, numberMissingError } from "../entry_rules.ts";
import type { AccountId, EntryChange, List, Nickname, Shadow } from "../types.ts";
import type { DirectoryOperations } from "./directory_operations.ts";
import type { NameOperations } from "./names.ts";

export class EntryOperations {
  readonly #names: NameOperations;
  readonly #directory: DirectoryOperations;
  readonly #statements: ReturnType<typeof prepare>;

  constructor(
    database: DatabaseSync,
    options: { readonly names: NameOperations; readonly directory: DirectoryOperations },
  ) {
    this.#names = options.names;
    this.#directory = options.directory;
    this.#statements = prepare(database);
  }

  change(changes: readonly EntryChange[]): void {
    for (const change of changes) this.#change(change);
  }

  #change(change: EntryChange): void {
    switch (change.kind) {
      case "add-account":
        return void this.#directory.addAccount(change.account);
      case "change-account":
        return void this.#directory.changeAccount(change.name, change.changes);
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

  #setShadow({ name, address, inbound, identity }: Shadow): void {
    this.#names.claim(name, "shadow");
    const { displayName, department, phone } = identity;
    this.#statements.setShadow.get(name, address, inbound ? 1 : 0, displayName, department, phone);
  }

  #setList({ name, members, owner, identity }: List): void {
    this.#names.claim(name, "list");
    const { displayName, department, phone } = identity;
    this.#statements.setList.get(name, owner ?? null, displayName, department, phone);
    this.#statements.deleteMembers.get(name);
    let place = 0;
    for (const member of new Set(members)) this.#statements.insertMember.get(name, place++, member);
  }

  #remove(name: string): void {
    const kind = this.#names.kindOf(name);
    if (kind !== "shadow" && kind !== "list") throw missingError("shadow or list", name, kind);
    if (kind === "shadow") this.#statements.deleteShadow.get(name);
    else {
      this.#statements.deleteList.get(name);
      this.#statements.deleteMembers.get(name);
    }
    this.#names.forget(name);
  }

  #setNickname(account: AccountId, { name, addresses }: Nickname): void {
    const { deleteNickname, hasNickname, insertNickname, hasAccount } = this.#statements;
    if (hasAccount.get(account) === undefined) throw numberMissingError(account);
    if (addresses.length === 0 && hasNickname.get(account, name) === undefined) {
      throw nicknameMissingError(name);
    }
    deleteNickname.get(account, name);
    addresses.forEach((address, place) => insertNickname.get(account, name, place, address));
  }
}

function prepare(database: DatabaseSync): Record<
  | "setShadow"
  | "deleteShadow"
  | "setList"
  | "deleteList"
  | "insertMember"
  | "deleteMembers"
  | "hasAccount"
  | "hasNickname"
  | "insertNickname"
  | "deleteNickname",
  StatementSync
> {
  const sql = (text: string) => database.prepare(text);
  return {
    setShadow: sql(`
      INSERT OR REPLACE INTO shadow (name, address, inbound, display_name, department, phone)
      VALUES (?, ?, ?, ?, ?, ?)`),
    deleteShadow: sql("DELETE FROM shadow WHERE name = ?"),
    setList: sql(`
      INSERT OR REPLACE INTO list (name, owner, display_name, department, phone) VALUES (?, ?, ?, ?, ?)`),
    deleteList: sql("DELETE FROM list WHERE name = ?"),
    insertMember: sql("INSERT INTO list_member (list, place, member) VALUES (?, ?, ?)"),
    deleteMembers: sql("DELETE FROM list_member WHERE list = ?"),
    hasAccount: sql("SELECT 1 FROM account WHERE id = ?"),
    hasNickname: sql("SELECT 1 FROM nickname WHERE account = ? AND name = ? LIMIT 1"),
    insertNickname: sql("INSERT INTO nickname (account, name, place, address) VALUES (?, ?, ?, ?)"),
    deleteNickname: sql("DELETE FROM nickname WHERE account = ? AND name = ?"),
  };
}
