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
  readonly #endForward: StatementSync;
  readonly #narrowForward: StatementSync;
  readonly #disown: StatementSync;
  readonly #narrowReaders: StatementSync;

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
    const others = (list: string) =>
      `(SELECT json_group_array(value) FROM json_each(${list}) WHERE value <> ?1)`;
    this.#narrowForward = sql(`
      UPDATE account SET forward = json_set(forward, '$.to', json(${others("forward -> '$.to'")}))
      WHERE EXISTS (SELECT 1 FROM json_each(forward -> '$.to') WHERE value = ?1)`);
    this.#endForward = sql("UPDATE account SET forward = NULL WHERE json_array_length(forward, '$.to') = 0");
    this.#disown = sql("UPDATE report SET owner = '' WHERE owner = ?");
    this.#narrowReaders = sql(`
      UPDATE report SET readers = json(${others("readers")})
      WHERE EXISTS (SELECT 1 FROM json_each(readers) WHERE value = ?1)`);
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

  /** Takes the name out of all that names it: whoever has it next must not come by what was another's. */
  forget(name: string): void {
    this.#deleteTarget.get(name);
    this.#deleteMember.get(name);
    this.#clearOwner.get(name);
    this.#narrowForward.get(name);
    this.#endForward.get();
    this.#disown.get(name);
    this.#narrowReaders.get(name);
  }
}
