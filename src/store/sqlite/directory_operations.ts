/**
 * Accounts and aliases. Each method runs inside the writer's transaction. Why get() and not run(): see mail_operations.ts.
 *
 * @module
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { applyChanges, existsError, missingError } from "../entry_rules.ts";
import type { Account, AccountChanges, AccountId, Alias, NewAccount } from "../types.ts";
import { ACCOUNT_COLUMNS, accountFromRow, CHANGEABLE_COLUMNS, changeableValues } from "./directory_rows.ts";
import type { NameOperations } from "./names.ts";

export class DirectoryOperations {
  readonly #names: NameOperations;
  readonly #removeMail: (account: AccountId, atMs: number) => void;
  readonly #accountByName: StatementSync;
  readonly #insertAccount: StatementSync;
  readonly #insertUsage: StatementSync;
  readonly #updateAccount: StatementSync;
  readonly #deleteAccount: StatementSync;
  readonly #deleteUsage: StatementSync;
  readonly #deleteNicknames: StatementSync;
  readonly #depart: StatementSync;
  readonly #deleteAlias: StatementSync;
  readonly #insertAlias: StatementSync;

  /** `removeMail` empties a maildrop in the same transaction. */
  constructor(
    database: DatabaseSync,
    options: {
      readonly names: NameOperations;
      readonly removeMail: (account: AccountId, atMs: number) => void;
    },
  ) {
    this.#names = options.names;
    this.#removeMail = options.removeMail;
    const sql = (text: string) => database.prepare(text);
    this.#accountByName = sql(`SELECT ${ACCOUNT_COLUMNS} FROM account WHERE name = ?`);
    this.#insertAccount = sql(`
      INSERT INTO account (name, created_at, ${CHANGEABLE_COLUMNS.join(", ")})
      VALUES (?, ?, ${CHANGEABLE_COLUMNS.map(() => "?").join(", ")}) RETURNING id`);
    this.#insertUsage = sql("INSERT INTO usage (account, octets, messages) VALUES (?, 0, 0)");
    this.#updateAccount = sql(`
      UPDATE account SET ${CHANGEABLE_COLUMNS.map((column) => `${column} = ?`).join(", ")} WHERE name = ?`);
    this.#deleteAccount = sql("DELETE FROM account WHERE id = ?");
    this.#deleteUsage = sql("DELETE FROM usage WHERE account = ?");
    this.#deleteNicknames = sql("DELETE FROM nickname WHERE account = ?");
    this.#depart = sql("INSERT INTO departed_account (id, name, at) VALUES (?, ?, ?)");
    this.#deleteAlias = sql("DELETE FROM alias WHERE name = ?");
    this.#insertAlias = sql("INSERT INTO alias (name, place, target) VALUES (?, ?, ?)");
  }

  addAccount(account: NewAccount): Account {
    const { name } = account;
    if (this.#names.claim(name, "account") === "known") throw existsError("account", name);
    const { id } = this.#insertAccount.get(name, account.createdAtMs, ...changeableValues(account))!;
    this.#insertUsage.get(id!);
    return this.#require(name);
  }

  changeAccount(name: string, changes: AccountChanges): Account {
    const changed = applyChanges(this.#require(name), changes);
    this.#updateAccount.get(...changeableValues(changed), name);
    return changed;
  }

  removeAccount(name: string, atMs: number): void {
    const { id } = this.#require(name);
    this.#removeMail(id, atMs);
    this.#deleteUsage.get(id);
    this.#deleteNicknames.get(id);
    this.#deleteAccount.get(id);
    this.#depart.get(id, name, atMs);
    this.#names.forget(name);
  }

  setAlias({ name, targets }: Alias): void {
    if (this.#names.claim(name, "alias") === "new" && targets.length === 0) {
      throw missingError("alias", name);
    }
    this.#deleteAlias.get(name);
    targets.forEach((target, place) => this.#insertAlias.get(name, place, target));
  }

  #require(name: string): Account {
    const row = this.#accountByName.get(name);
    if (row === undefined) throw missingError("account", name);
    return accountFromRow(row);
  }
}
