/**
 * Accounts and aliases. Each method runs inside the writer's transaction. Why get() and not run(): see mail_operations.ts.
 *
 * @module
 */
import type { DatabaseSync, SQLOutputValue, StatementSync } from "node:sqlite";
import {
  type Account,
  type AccountChanges,
  type AccountId,
  type Alias,
  type NewAccount,
  type Pop3Access,
  StoreError,
} from "../types.ts";

export const ACCOUNT_COLUMNS =
  "id, name, pop3, quota_octets, quota_messages, send_as_any, password_hash, scram_verifier, created_at";

/** An account from its row. */
export function accountFromRow(row: Record<string, SQLOutputValue>): Account {
  return {
    id: row.id as number,
    name: row.name as string,
    pop3: row.pop3 as Pop3Access,
    ...(row.quota_octets === null ? {} : { quotaOctets: row.quota_octets as number }),
    ...(row.quota_messages === null ? {} : { quotaMessages: row.quota_messages as number }),
    sendAsAny: row.send_as_any === 1,
    passwordHash: row.password_hash as string,
    scramVerifier: row.scram_verifier as string,
    createdAtMs: row.created_at as number,
  };
}

/** An account with changes: a quota given as undefined goes back to the default, anything else undefined stays. */
export function applyChanges(account: Account, changes: AccountChanges): Account {
  return {
    ...account,
    pop3: changes.pop3 ?? account.pop3,
    quotaOctets: "quotaOctets" in changes ? changes.quotaOctets : account.quotaOctets,
    quotaMessages: "quotaMessages" in changes ? changes.quotaMessages : account.quotaMessages,
    sendAsAny: changes.sendAsAny ?? account.sendAsAny,
    passwordHash: changes.passwordHash ?? account.passwordHash,
    scramVerifier: changes.scramVerifier ?? account.scramVerifier,
  };
}

export class DirectoryOperations {
  readonly #removeMail: (account: AccountId, atMs: number) => void;
  readonly #accountByName: StatementSync;
  readonly #aliasExists: StatementSync;
  readonly #insertAccount: StatementSync;
  readonly #insertUsage: StatementSync;
  readonly #updateAccount: StatementSync;
  readonly #deleteAccount: StatementSync;
  readonly #deleteUsage: StatementSync;
  readonly #depart: StatementSync;
  readonly #deleteTarget: StatementSync;
  readonly #deleteAlias: StatementSync;
  readonly #insertAlias: StatementSync;

  /** `removeMail` empties a maildrop in the same transaction. */
  constructor(database: DatabaseSync, removeMail: (account: AccountId, atMs: number) => void) {
    this.#removeMail = removeMail;
    const sql = (text: string) => database.prepare(text);
    this.#accountByName = sql(`SELECT ${ACCOUNT_COLUMNS} FROM account WHERE name = ?`);
    this.#aliasExists = sql("SELECT 1 FROM alias WHERE name = ? LIMIT 1");
    this.#insertAccount = sql(`
      INSERT INTO account (name, pop3, quota_octets, quota_messages, send_as_any, password_hash, scram_verifier, created_at)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`);
    this.#insertUsage = sql("INSERT INTO usage (account, octets, messages) VALUES (?, 0, 0)");
    this.#updateAccount = sql(`
      UPDATE account SET pop3 = ?, quota_octets = ?, quota_messages = ?, send_as_any = ?, password_hash = ?,
        scram_verifier = ? WHERE name = ?`);
    this.#deleteAccount = sql("DELETE FROM account WHERE id = ?");
    this.#deleteUsage = sql("DELETE FROM usage WHERE account = ?");
    this.#depart = sql("INSERT INTO departed_account (id, name, at) VALUES (?, ?, ?)");
    this.#deleteTarget = sql("DELETE FROM alias WHERE target = ?");
    this.#deleteAlias = sql("DELETE FROM alias WHERE name = ?");
    this.#insertAlias = sql("INSERT INTO alias (name, place, target) VALUES (?, ?, ?)");
  }

  addAccount(account: NewAccount): Account {
    const { name } = account;
    if (this.#accountByName.get(name) !== undefined) throw existsError("account", name);
    if (this.#aliasExists.get(name) !== undefined) throw existsError("alias", name);
    const { id } = this.#insertAccount.get(
      name,
      account.pop3,
      account.quotaOctets ?? null,
      account.quotaMessages ?? null,
      account.sendAsAny ? 1 : 0,
      account.passwordHash,
      account.scramVerifier,
      account.createdAtMs,
    )!;
    this.#insertUsage.get(id!);
    return this.#require(name);
  }

  changeAccount(name: string, changes: AccountChanges): Account {
    const changed = applyChanges(this.#require(name), changes);
    this.#updateAccount.get(
      changed.pop3,
      changed.quotaOctets ?? null,
      changed.quotaMessages ?? null,
      changed.sendAsAny ? 1 : 0,
      changed.passwordHash,
      changed.scramVerifier,
      name,
    );
    return this.#require(name);
  }

  removeAccount(name: string, atMs: number): void {
    const { id } = this.#require(name);
    this.#removeMail(id, atMs);
    this.#deleteUsage.get(id);
    this.#deleteAccount.get(id);
    this.#depart.get(id, name, atMs);
    this.#deleteTarget.get(name);
  }

  setAlias({ name, targets }: Alias): void {
    if (this.#accountByName.get(name) !== undefined) throw existsError("account", name);
    const existed = this.#aliasExists.get(name) !== undefined;
    this.#deleteAlias.get(name);
    if (targets.length === 0 && !existed) {
      throw new StoreError("missing", `there is no alias '${name}'`);
    }
    targets.forEach((target, place) => this.#insertAlias.get(name, place, target));
  }

  #require(name: string): Account {
    const row = this.#accountByName.get(name);
    if (row === undefined) throw new StoreError("missing", `there is no account '${name}'`);
    return accountFromRow(row);
  }
}

function existsError(what: "account" | "alias", name: string): StoreError {
  return new StoreError("exists", `there is an ${what} '${name}' already`);
}
