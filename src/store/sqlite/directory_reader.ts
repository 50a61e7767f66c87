/**
 * What is read of people: accounts, aliases, shadows, lists and nicknames.
 *
 * Guarantees: a method sees one state of the file where its caller has a transaction open around it.
 *
 * A look-up goes through the names one by one, first among the accounts, which most recipients are: inside one transaction
 * that takes as long as one statement for all of them (10 µs for a mailbox with its domain).
 *
 * @module
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { compareNames, matcher, type NameKind } from "../entry_rules.ts";
import type { Account, AccountId, Alias, EntryQuery, Named, Nickname } from "../types.ts";
import { ACCOUNT_COLUMNS, accountFromRow, identityFromRow } from "./directory_rows.ts";
import type { Row } from "./queue_rows.ts";

/** Behind every name that begins with the prefix before it. */
const LAST = "\u{10ffff}";
/** More rows than any store has; what is larger is no integer to SQLite. */
const ROWS = 2 ** 40;

export class DirectoryReader {
  readonly #statements: ReturnType<typeof prepare>;

  constructor(database: DatabaseSync) {
    this.#statements = prepare(database);
  }

  account(name: string): Account | undefined {
    const row = this.#statements.account.get(name);
    return row === undefined ? undefined : accountFromRow(row);
  }

  find(names: readonly string[]): Named | undefined {
    for (const name of names) {
      const row = this.#statements.account.get(name);
      if (row !== undefined) return { kind: "account", account: accountFromRow(row) };
      const other = this.#statements.kind.get(name);
      if (other !== undefined) return this.#named(other.kind as NameKind, name);
    }
    return undefined;
  }

  accounts(): Account[] {
    return this.#statements.accounts.all().map(accountFromRow);
  }

  aliases(): Alias[] {
    return grouped(this.#statements.aliases.all()).map(([name, targets]) => ({ name, targets }));
  }

  all(): Named[] {
    const members = new Map(grouped(this.#statements.members.all()));
    const all: [name: string, named: Named][] = [
      ...this.accounts().map((account): [string, Named] => [account.name, { kind: "account", account }]),
      ...this.aliases().map((alias): [string, Named] => [alias.name, { kind: "alias", alias }]),
      ...this.#statements.shadows.all().map((row): [string, Named] => [row.name as string, shadowOf(row)]),
      ...this.#statements.lists.all().map((row): [string, Named] => {
        const name = row.name as string;
        return [name, listOf(row, members.get(name) ?? [])];
      }),
    ];
    return all.sort(([a], [b]) => compareNames(a, b)).map(([, named]) => named);
  }

  search(query: EntryQuery, limit: number): Named[] {
    const { words = [], prefix = "" } = query;
    const most = Math.min(Math.max(0, limit), ROWS);
    // Without words each row is one that fits; with words they are looked at here, since SQLite's case is ASCII's.
    const rows = this.#statements.scan.all(prefix, prefix + LAST, words.length === 0 ? most : -1);
    const fits = matcher(query);
    const found: Named[] = [];
    for (const [kind, name, displayName, department, phone] of rows as unknown as readonly ScanRow[]) {
      if (found.length >= most) break;
      if (fits({ name, displayName, department, phone })) found.push(this.#named(kind, name));
    }
    return found;
  }

  nicknames(account: AccountId): Nickname[] {
    return grouped(this.#statements.nicknames.all(account)).map(([name, addresses]) => ({ name, addresses }));
  }

  /** What the name, which is one of the kind, stands for. */
  #named(kind: NameKind, name: string): Named {
    switch (kind) {
      case "account":
        return { kind, account: accountFromRow(this.#statements.account.get(name)!) };
      case "alias":
        return { kind, alias: { name, targets: this.#statements.targets.all(name).map(valueOf) } };
      case "shadow":
        return shadowOf(this.#statements.shadow.get(name)!);
      case "list":
        return listOf(this.#statements.list.get(name)!, this.#statements.membersOf.all(name).map(valueOf));
    }
  }
}

type ScanRow = readonly [
  kind: NameKind,
  name: string,
  displayName: string,
  department: string,
  phone: string,
];

function shadowOf(row: Row): Named {
  return {
    kind: "shadow",
    shadow: {
      name: row.name as string,
      address: row.address as string,
      inbound: row.inbound === 1,
      identity: identityFromRow(row),
    },
  };
}

function listOf(row: Row, members: readonly string[]): Named {
  return {
    kind: "list",
    list: {
      name: row.name as string,
      members,
      ...(row.owner === null ? {} : { owner: row.owner as string }),
      identity: identityFromRow(row),
    },
  };
}

function valueOf(row: Row): string {
  return row.value as string;
}

/** Rows of a name and a value, in the order of names, as each name with its values. */
function grouped(rows: readonly Row[]): [name: string, values: string[]][] {
  const groups: [name: string, values: string[]][] = [];
  for (const row of rows) {
    const last = groups.at(-1);
    if (last?.[0] === row.name) last![1].push(row.value as string);
    else groups.push([row.name as string, [row.value as string]]);
  }
  return groups;
}

function prepare(database: DatabaseSync): Record<
  | "account"
  | "accounts"
  | "kind"
  | "targets"
  | "aliases"
  | "shadow"
  | "shadows"
  | "list"
  | "lists"
  | "membersOf"
  | "members"
  | "nicknames"
  | "scan",
  StatementSync
> {
  const sql = (text: string) => database.prepare(text);
  const shadow = "SELECT name, address, inbound, display_name, department, phone FROM shadow";
  const list = "SELECT name, owner, display_name, department, phone FROM list";
  const scan = sql(`
    SELECT 'account' AS kind, name, display_name, department, phone FROM account WHERE name >= ?1 AND name < ?2
    UNION ALL SELECT DISTINCT 'alias', name, '', '', '' FROM alias WHERE name >= ?1 AND name < ?2
    UNION ALL SELECT 'shadow', name, display_name, department, phone FROM shadow WHERE name >= ?1 AND name < ?2
    UNION ALL SELECT 'list', name, display_name, department, phone FROM list WHERE name >= ?1 AND name < ?2
    ORDER BY name LIMIT ?3`);
  // As in a maildrop's list: objects would take twice as long. The type declarations lag.
  (scan as unknown as { setReturnArrays(enabled: boolean): void }).setReturnArrays(true);
  return {
    account: sql(`SELECT ${ACCOUNT_COLUMNS} FROM account WHERE name = ?`),
    accounts: sql(`SELECT ${ACCOUNT_COLUMNS} FROM account ORDER BY name`),
    kind: sql(`
      SELECT 'alias' AS kind FROM alias WHERE name = ?1
      UNION ALL SELECT 'shadow' FROM shadow WHERE name = ?1
      UNION ALL SELECT 'list' FROM list WHERE name = ?1`),
    targets: sql("SELECT target AS value FROM alias WHERE name = ? ORDER BY place"),
    aliases: sql("SELECT name, target AS value FROM alias ORDER BY name, place"),
    shadow: sql(`${shadow} WHERE name = ?`),
    shadows: sql(shadow),
    list: sql(`${list} WHERE name = ?`),
    lists: sql(list),
    membersOf: sql("SELECT member AS value FROM list_member WHERE list = ? ORDER BY place"),
    members: sql("SELECT list AS name, member AS value FROM list_member ORDER BY list, place"),
    nicknames: sql("SELECT name, address AS value FROM nickname WHERE account = ? ORDER BY name, place"),
    scan,
  };
}
