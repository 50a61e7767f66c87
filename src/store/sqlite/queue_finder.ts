/**
 * Finds recipients for operators, page by page, in order of message and place.
 *
 * Guarantees: what waits is found by its state's index, so a page costs the same however much history there is; a page
 * looks at a fixed number of rows and says where the next begins. What a filter says beyond states and keys is decided
 * by `queue_rules.ts` and not by SQL, since domains are compared in canonical form.
 *
 * @module
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { MessageKey } from "../../mail/message_id.ts";
import { type Candidate, isWaiting, matcher, WAITING } from "../queue_rules.ts";
import type { QueueEntry, QueueFilter, RecipientState } from "../types.ts";
import type { RecipientPlace } from "./operations.ts";
import { type Row, WAIT_COLUMNS, waitOf } from "./queue_rows.ts";
import { STATES } from "./schema.ts";

/** Recipients looked at for one page: some milliseconds. */
const PAGE_RECIPIENTS = 1000;

const SELECT = `
  SELECT recipient.key AS key, place, address, state, recipient.at AS at, detail, accepted_by, reroute,
    recipient.reverse_path AS rewritten, ${WAIT_COLUMNS}, received_at, size, message.reverse_path AS reverse_path
  FROM recipient CROSS JOIN message ON message.key = recipient.key`;

export interface FindOptions {
  /** @default {"oldest"} */
  readonly order?: "oldest" | "newest" | undefined;
  /** Where the page before ended. */
  readonly after?: RecipientPlace | undefined;
}

export interface Page {
  readonly entries: readonly QueueEntry[];
  /** What to give as `after` for the next page; undefined where there is none. */
  readonly next?: RecipientPlace;
}

export class QueueFinder {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Gives those that a filter means among the next recipients in order. */
  page(filter: QueueFilter, options: FindOptions = {}): Page {
    const rows = filter.keys === undefined
      ? this.#byState(filter.states ?? WAITING, options)
      : this.#byKey(filter.keys, options);
    const matches = matcher(filter);
    const entries = rows.map(candidateOf).filter(matches).map(({ entry }) => entry);
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE_RECIPIENTS) return { entries };
    return { entries, next: { key: last.key as number, index: last.place as number } };
  }

  /** How many recipients are in these states. */
  count(states: readonly RecipientState[]): number {
    let count = 0;
    for (const condition of conditions(states)) {
      const sql = `SELECT count(*) AS count FROM recipient WHERE ${condition}`;
      count += this.#prepare(sql).get()!.count as number;
    }
    return count;
  }

  #byState(states: readonly RecipientState[], { order = "oldest", after }: FindOptions): Row[] {
    const [sign, direction] = order === "oldest" ? [">", ""] : ["<", "DESC"];
    const from = after ?? (order === "oldest" ? { key: -1, index: 0 } : { key: 2 ** 53, index: 0 });
    // State by state, since each has an index of its own in this order.
    const rows = conditions(states).flatMap((condition): Row[] =>
      this.#prepare(`${SELECT} WHERE ${condition} AND (recipient.key, place) ${sign} (?, ?)
        ORDER BY recipient.key ${direction}, place ${direction} LIMIT ${PAGE_RECIPIENTS}`)
        .all(from.key, from.index)
    );
    rows.sort(order === "oldest" ? byPlace : (a, b) => byPlace(b, a));
    return rows.slice(0, PAGE_RECIPIENTS);
  }

  #byKey(keys: readonly MessageKey[], { order = "oldest", after }: FindOptions): Row[] {
    const sign = order === "oldest" ? 1 : -1;
    const rows: Row[] = [];
    for (const key of [...new Set(keys)].sort((a, b) => (a - b) * sign)) {
      if (after !== undefined && (key - after.key) * sign < 0) continue;
      const found = this.#prepare(`${SELECT} WHERE recipient.key = ? ORDER BY place`).all(key);
      if (order === "newest") found.reverse();
      for (const row of found) {
        const isPast = after !== undefined && key === after.key &&
          ((row.place as number) - after.index) * sign <= 0;
        if (!isPast) rows.push(row);
      }
      if (rows.length >= PAGE_RECIPIENTS) break;
    }
    return rows.slice(0, PAGE_RECIPIENTS);
  }

  #prepare(sql: string): StatementSync {
    const prepared = this.#statements.get(sql) ?? this.#database.prepare(sql);
    this.#statements.set(sql, prepared);
    return prepared;
  }
}

/** Conditions that each can use one index: numbers stand in the text, since a bound one proves nothing to the planner. */
function conditions(states: readonly RecipientState[]): string[] {
  const numbers = [...new Set(states)].map((state) => STATES.indexOf(state));
  if (states.every(isWaiting)) return numbers.map((state) => `state = ${state}`);
  // History has no index by state: one pass through all of it.
  return [`state IN (${numbers.sort((a, b) => a - b).join(", ")})`];
}

function byPlace(a: Row, b: Row): number {
  return (a.key as number) - (b.key as number) || (a.place as number) - (b.place as number);
}

function candidateOf(row: Row): Candidate {
  const ownReversePath = row.reverse_path as string;
  const state = STATES[row.state as number]!;
  const wait = isWaiting(state) ? waitOf(row) : undefined;
  return {
    ownReversePath,
    entry: {
      key: row.key as number,
      index: row.place as number,
      recipient: row.address as string,
      state,
      receivedAtMs: row.received_at as number,
      size: row.size as number,
      reversePath: (row.rewritten ?? ownReversePath) as string,
      atMs: row.at as number,
      detail: row.detail as string,
      acceptedBy: (row.accepted_by ?? "") as string,
      reroute: (row.reroute ?? "") as string,
      ...(wait === undefined ? {} : { wait }),
    },
  };
}
