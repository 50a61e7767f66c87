/**
 * Who holds a body, and what happens when nobody does. Each method runs inside the writer's transaction. Why get() and
 * not run(): see mail_operations.ts.
 *
 * Guarantees: `refs` of a message is the number of its recipients that wait, of its entries, and of messages made of it;
 * `refs` of a content is the number of reports that have it, and of messages made of it. At 0 the body goes, and with it
 * its hold on others. What a message is made of is written down while it has its body and no longer.
 *
 * @module
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { MessageKey } from "../../mail/message_id.ts";
import { type Composition, type RawSegment, rawSegments, type SourceBody, sourcesOf } from "../segments.ts";
import type { BodyWriter } from "./bodies.ts";
import { fromJson } from "./queue_rows.ts";

export class References {
  readonly #bodies: BodyWriter;
  readonly #change: StatementSync;
  readonly #changeContent: StatementSync;
  readonly #forgetContent: StatementSync;
  readonly #setSegments: StatementSync;
  readonly #message: StatementSync;
  readonly #content: StatementSync;
  readonly #keepNewest: StatementSync;

  constructor(database: DatabaseSync, bodies: BodyWriter) {
    this.#bodies = bodies;
    const sql = (text: string) => database.prepare(text);
    this.#change = sql(`
      UPDATE message SET refs = refs + ? WHERE key = ?
      RETURNING refs, CASE WHEN refs = 0 THEN segments END AS segments, piece_of`);
    this.#changeContent = sql("UPDATE content SET refs = refs + ? WHERE key = ? RETURNING refs");
    this.#forgetContent = sql("DELETE FROM content WHERE key = ?");
    this.#setSegments = sql("UPDATE message SET segments = ? WHERE key = ?");
    this.#message = sql("SELECT size, segments FROM message WHERE key = ? AND refs > 0");
    this.#content = sql("SELECT size FROM content WHERE key = ?");
    this.#keepNewest = sql(KEEP_NEWEST);
  }

  /** Changes how many hold a body; without any it goes. Gives the message that it is a piece of, if it is one. */
  change(key: MessageKey, by: number): { readonly pieceOf?: MessageKey } {
    const row = this.#change.get(by, key);
    if (row === undefined) this.#changeContentBy(key, by);
    else if (row.refs === 0) this.#drop(key, fromJson<RawSegment[]>(row.segments));
    const pieceOf = row?.piece_of ?? undefined;
    return pieceOf === undefined ? {} : { pieceOf: pieceOf as number };
  }

  /**
   * Makes a body of stretches, of others and of what comes in `own` and came before it, and holds the others.
   *
   * @throws {StoreError} `conflict` as `rawSegments` does
   */
  compose(composition: Composition, own: Uint8Array): void {
    const ownOctets = this.#bodies.finishOwn(composition.key, own);
    const raw = rawSegments(composition, { ownOctets, bodyOf: (key) => this.#bodyOf(key) });
    this.#setSegments.get(JSON.stringify(raw), composition.key);
    for (const source of sourcesOf(raw)) this.change(source, 1);
  }

  #bodyOf(key: MessageKey): SourceBody | undefined {
    const row = this.#message.get(key) ?? this.#content.get(key);
    if (row === undefined) return undefined;
    const segments = fromJson<RawSegment[]>(row.segments);
    return { size: row.size as number, ...(segments === undefined ? {} : { segments }) };
  }

  /** Drops a body, and those that nothing but it held. */
  #drop(key: MessageKey, segments: readonly RawSegment[] | undefined): void {
    const released = this.#dropOne(key, segments);
    // A list and no recursion: a message that was forwarded often holds as many others.
    for (let source = released.pop(); source !== undefined; source = released.pop()) {
      const row = this.#change.get(-1, source);
      if (row === undefined) this.#changeContentBy(source, -1);
      else if (row.refs === 0) {
        released.push(...this.#dropOne(source, fromJson<RawSegment[]>(row.segments)));
      }
    }
  }

  /** Drops a body; gives those that it held. */
  #dropOne(key: MessageKey, segments: readonly RawSegment[] | undefined): MessageKey[] {
    this.#bodies.drop(key);
    if (segments === undefined) return [];
    this.#setSegments.get(null, key);
    return sourcesOf(segments);
  }

  #changeContentBy(key: MessageKey, by: number): void {
    if (this.#changeContent.get(by, key)?.refs !== 0) return;
    this.#bodies.drop(key);
    this.#forgetContent.get(key);
    this.#keepNewest.get(key);
  }
}

/** Remembers the largest key of what is forgotten: a key is never used again. */
export const KEEP_NEWEST = `
  INSERT INTO kept (name, value) VALUES ('newest_key', ?)
  ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)`;
