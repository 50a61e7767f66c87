/**
 * The one namespace of accounts, aliases, shadows and lists, for the writer's operations, which run in its transaction.
 * Why get() and not run(): see mail_operations.ts.
 *
 * @module
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { existsError, type NameKind } from "../entry_rules.ts";

export class NameOperations {
  readonly #kind: StatementSync;
  readonly #deleteTarget: StatementSync;
  readonly #deleteMember: StatementSync;
  readonly #clearOwner: StatementSync;

  constructor(database: DatabaseSync) {
    const sql = (text: string) => database.prepare(text);
    this.#kind = sql(`
      SELECT 'account' AS kind FROM account WHERE name = ?1
      UNION ALL SELECT 'alias' FROM alias WHERE name = ?1
      UNION ALL SELECT 'shadow' FROM shadow WHERE name = ?1
      UNION ALL SELECT 'list' FROM list WHERE name = ?1
      LIMIT 1`);
    this.#deleteTarget = sql("DELETE FROM alias WHERE target = ?");
    this.#deleteMember = sql("DELETE FROM list_member WHERE member = ?");
    this.#clearOwner = sql("UPDATE list SET owner = NULL WHERE owner = ?");
  }

  /** What has the name. */
  kindOf(name: string): NameKind | undefined {
    return this.#kind.get(name)?.kind as NameKind | undefined;
  }

  /**
   * Whether something of the kind itself has the name.
   * @throws {StoreError} `exists` where anything else has it
   */
  claim(name: string, kind: NameKind): "new" | "known" {
    const taken = this.kindOf(name);
    if (taken === undefined) return "new";
    if (taken !== kind) throw existsError(taken, name);
    return "known";
  }

  /** Takes the name out of every alias and list. */
  forget(name: string): void {
    this.#deleteTarget.get(name);
    this.#deleteMember.get(name);
    this.#clearOwner.get(name);
  }
}
