/**
 * Where message bodies live: parts under (key, index), from 0 without a gap.
 *
 * Guarantees: a body that is finished has exactly the octets it was announced with. The rest of the store reaches
 * bodies only through {@linkcode BodyWriter} and {@linkcode BodyReader}, so that large ones can move to files of
 * their own without touching anything else.
 *
 * Of a message that is made of stretches of others, the parts under its key are the octets that are its own: its *raw*
 * octets, which are not what readers get as its body (../segments.ts, layouts.ts).
 *
 * @module
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { formatMessageKey, type MessageKey } from "../../mail/message_id.ts";
import { StoreError } from "../types.ts";
import { isConstraint } from "./errors.ts";
import { Layouts } from "./layouts.ts";
import { MAX_PARTS, PART_ID } from "./part_id.ts";

/** All changes happen in the caller's transaction. */
export interface BodyWriter {
  /** Adds one more part to a body that is still coming in. @throws {StoreError} `conflict` */
  append(key: MessageKey, part: Uint8Array): void;
  /** Adds the last part; afterwards the body has `size` octets. @throws {StoreError} `conflict` where it hasn't */
  finish(key: MessageKey, lastPart: Uint8Array, size: number): void;
  /** Adds the last part of the octets that are a message's own; gives how many there are. @throws {StoreError} `conflict` */
  finishOwn(key: MessageKey, lastPart: Uint8Array): number;
  /** Drops the parts of a body that was never finished; a finished one stays. */
  abandon(key: MessageKey): void;
  /** Drops a finished body. */
  drop(key: MessageKey): void;
  /** Drops all that was never finished: what a crash left. */
  dropUnfinished(): void;
}

export interface BodyReader {
  /** Part `index`; undefined past the end. */
  part(key: MessageKey, index: number): Uint8Array | undefined;
  /** The same of a body that is known to be made of stretches of others. */
  composedPart(key: MessageKey, index: number): Uint8Array | undefined;
}

const NOTHING = { parts: 0, octets: 0 };

/** Bodies in the table `part`. */
export class SqliteBodyWriter implements BodyWriter {
  readonly #insert: StatementSync;
  readonly #drop: StatementSync;
  readonly #arrive: StatementSync;
  readonly #arrived: StatementSync;
  readonly #arriving: StatementSync;
  readonly #accepted: StatementSync;

  constructor(database: DatabaseSync) {
    this.#insert = database.prepare(`INSERT INTO part (id, data) VALUES (${PART_ID}, ?)`);
    this.#drop = database.prepare(`DELETE FROM part WHERE id BETWEEN ${PART_ID} AND ${PART_ID}`);
    this.#arrive = database.prepare(`
      INSERT INTO arriving (key, parts, octets) VALUES (?, 1, ?)
      ON CONFLICT (key) DO UPDATE SET parts = parts + 1, octets = octets + excluded.octets RETURNING parts`);
    this.#arrived = database.prepare("DELETE FROM arriving WHERE key = ? RETURNING parts, octets");
    this.#arriving = database.prepare("SELECT key FROM arriving");
    this.#accepted = database.prepare(`
      SELECT 1 FROM message WHERE key = ?1 UNION ALL SELECT 1 FROM content WHERE key = ?1`);
  }

  append(key: MessageKey, part: Uint8Array): void {
    if (part.length === 0) return;
    const parts = this.#arrive.get(key, part.length)!.parts as number;
    if (parts === 1 && this.#accepted.get(key) !== undefined) {
      throw new StoreError(
        "conflict",
        `message ${formatMessageKey(key)} is whole: no part can be added to it`,
      );
    }
    if (parts > MAX_PARTS) {
      throw new StoreError("conflict", `message ${formatMessageKey(key)} has more than ${MAX_PARTS} parts`);
    }
    this.#insertPart(key, parts - 1, part);
  }

  finish(key: MessageKey, lastPart: Uint8Array, size: number): void {
    // Most messages have one part, and so have nothing on the way.
    const arrived = lastPart.length === size ? NOTHING : this.#takeArrived(key);
    const octets = arrived.octets + lastPart.length;
    if (octets !== size) {
      throw new StoreError(
        "conflict",
        `the parts of message ${formatMessageKey(key)} hold ${octets} octets and not ${size}`,
      );
    }
    if (lastPart.length > 0) this.#insertPart(key, arrived.parts, lastPart);
  }

  finishOwn(key: MessageKey, lastPart: Uint8Array): number {
    const { parts, octets } = this.#takeArrived(key);
    if (lastPart.length > 0) this.#insertPart(key, parts, lastPart);
    return octets + lastPart.length;
  }

  abandon(key: MessageKey): void {
    if (this.#arrived.get(key) !== undefined) this.drop(key);
  }

  drop(key: MessageKey): void {
    this.#drop.get(key, 0, key, MAX_PARTS);
  }

  dropUnfinished(): void {
    for (const row of this.#arriving.all()) this.abandon(row.key as number);
  }

  #takeArrived(key: MessageKey): { readonly parts: number; readonly octets: number } {
    const row = this.#arrived.get(key);
    return row === undefined ? NOTHING : { parts: row.parts as number, octets: row.octets as number };
  }

  #insertPart(key: MessageKey, index: number, part: Uint8Array): void {
    try {
      this.#insert.get(key, index, part);
    } catch (error) {
      if (!isConstraint(error)) throw error;
      throw new StoreError("conflict", `message ${formatMessageKey(key)} has a part ${index} already`);
    }
  }
}

/** Reads bodies from the table `part`. */
export class SqliteBodyReader implements BodyReader {
  readonly #part: StatementSync;
  readonly #layouts: Layouts;

  constructor(database: DatabaseSync) {
    this.#part = database.prepare(`
      SELECT (SELECT data FROM part WHERE id = ${PART_ID}) AS data,
        (SELECT segments IS NOT NULL FROM message WHERE key = ?) AS composed`);
    this.#layouts = new Layouts(database);
  }

  part(key: MessageKey, index: number): Uint8Array | undefined {
    if (index < 0 || index > MAX_PARTS) return undefined;
    const { data, composed } = this.#part.get(key, index, key)!;
    if (composed === 1) return this.composedPart(key, index);
    return data === null ? undefined : data as Uint8Array;
  }

  composedPart(key: MessageKey, index: number): Uint8Array | undefined {
    return this.#layouts.part(key, index);
  }
}
