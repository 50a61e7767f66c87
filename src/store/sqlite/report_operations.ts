/**
 * Reports and the contents they hold. Writing happens inside the writer's transaction; why get() and not run(): see
 * mail_operations.ts.
 *
 * Guarantees: a content is counted once for each version that has it (references.ts). The largest version ever is
 * remembered while a report has any, so that the newest one can be removed and its number isn't used again.
 *
 * @module
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { formatMessageKey, type MessageKey } from "../../mail/message_id.ts";
import { contentsOf, missingReport } from "../report_rules.ts";
import { type CarriageControl, type Report, type StoredContent, StoreError } from "../types.ts";
import type { BodyWriter } from "./bodies.ts";
import { fromJson, type Row, toJson } from "./queue_rows.ts";
import type { References } from "./references.ts";

const COLUMNS = "name, version, title, owner, readers, created_at, carriage, file, text, pdf";

/** A report from its row. */
function reportFromRow(row: Row): Report {
  const text = fromJson<StoredContent>(row.text);
  const pdf = fromJson<StoredContent>(row.pdf);
  return {
    name: row.name as string,
    version: row.version as number,
    title: row.title as string,
    owner: row.owner as string,
    readers: fromJson<string[]>(row.readers) ?? "everyone",
    createdAtMs: row.created_at as number,
    carriage: row.carriage as CarriageControl,
    file: JSON.parse(row.file as string) as StoredContent,
    ...(text === undefined || pdf === undefined ? {} : { rendered: { text, pdf } }),
  };
}

export class ReportOperations {
  readonly #bodies: BodyWriter;
  readonly #references: References;
  readonly #statements: ReturnType<typeof prepare>;

  constructor(database: DatabaseSync, bodies: BodyWriter, references: References) {
    this.#bodies = bodies;
    this.#references = references;
    this.#statements = prepare(database);
  }

  put(report: Omit<Report, "version">): Report {
    for (const content of contentsOf(report)) this.#finish(content);
    const { name, title, owner, readers, createdAtMs, carriage, file, rendered } = report;
    const row = this.#statements.insert.get(
      name,
      title,
      owner,
      readers === "everyone" ? null : JSON.stringify(readers),
      createdAtMs,
      carriage,
      JSON.stringify(file),
      toJson(rendered?.text),
      toJson(rendered?.pdf),
    );
    this.#statements.forgetVersion.get(name);
    return reportFromRow(row!);
  }

  /** Removes one version or all of them; gives how many. */
  remove(name: string, version: number | undefined): number {
    const rows = version === undefined
      ? this.#statements.deleteAll.all(name)
      : this.#statements.deleteOne.all(name, version);
    if (rows.length === 0) throw missingReport(name, version);
    for (const row of rows) {
      for (const { key } of contentsOf(reportFromRow(row))) this.#references.change(key, -1);
    }
    if (this.#statements.exists.get(name) === undefined) this.#statements.forgetVersion.get(name);
    else this.#statements.keepVersion.get(name, version ?? 0);
    return rows.length;
  }

  #finish({ key, size }: { readonly key: MessageKey; readonly size: number }): void {
    if (this.#statements.taken.get(key) !== undefined) {
      throw new StoreError(
        "conflict",
        `the key ${formatMessageKey(key)} is taken: a content needs one of its own`,
      );
    }
    this.#bodies.finish(key, new Uint8Array(0), size);
    this.#statements.insertContent.get(key, size);
  }
}

/** Reads reports through the caller's own connection. */
export class ReportReader {
  readonly #newest: StatementSync;
  readonly #versions: StatementSync;

  constructor(database: DatabaseSync) {
    this.#newest = database.prepare(`
      SELECT ${COLUMNS} FROM report AS this
      WHERE version = (SELECT max(version) FROM report WHERE name = this.name) ORDER BY name`);
    this.#versions = database.prepare(`SELECT ${COLUMNS} FROM report WHERE name = ? ORDER BY version DESC`);
  }

  list(): Report[] {
    return this.#newest.all().map(reportFromRow);
  }

  versions(name: string): Report[] {
    return this.#versions.all(name).map(reportFromRow);
  }
}

function prepare(database: DatabaseSync): Record<
  | "insert"
  | "taken"
  | "insertContent"
  | "deleteAll"
  | "deleteOne"
  | "exists"
  | "keepVersion"
  | "forgetVersion",
  StatementSync
> {
  const sql = (text: string) => database.prepare(text);
  return {
    insert: sql(`
      INSERT INTO report (${COLUMNS})
      SELECT ?1, 1 + max(ifnull((SELECT max(version) FROM report WHERE name = ?1), 0),
        ifnull((SELECT value FROM kept WHERE name = 'report ' || ?1), 0)), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9
      RETURNING ${COLUMNS}`),
    taken: sql("SELECT 1 FROM content WHERE key = ?1 UNION ALL SELECT 1 FROM message WHERE key = ?1"),
    insertContent: sql("INSERT INTO content (key, size, refs) VALUES (?, ?, 1)"),
    deleteAll: sql(`DELETE FROM report WHERE name = ? RETURNING ${COLUMNS}`),
    deleteOne: sql(`DELETE FROM report WHERE name = ? AND version = ? RETURNING ${COLUMNS}`),
    exists: sql("SELECT 1 FROM report WHERE name = ? LIMIT 1"),
    keepVersion: sql(`
      INSERT INTO kept (name, value) VALUES ('report ' || ?, ?)
      ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)`),
    forgetVersion: sql("DELETE FROM kept WHERE name = 'report ' || ?"),
  };
}
