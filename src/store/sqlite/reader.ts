/**
 * All that is read, through a read-only connection of the caller's own thread.
 *
 * Guarantees: each method sees one committed state of the file. It reads synchronously: what it touches is small (one
 * part, one row) or read in columns (a maildrop's list).
 *
 * @module
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { MessageRequests, Origin, RecipientRequests } from "../../mail/envelope.ts";
import type { MessageKey } from "../../mail/message_id.ts";
import {
  type Account,
  type AccountId,
  type Alias,
  type MaildropListing,
  type MessageHead,
  type MessageHistory,
  type Named,
  StoreError,
} from "../types.ts";
import { isWaiting } from "../queue_rules.ts";
import { type BodyReader, PART_ID, SqliteBodyReader } from "./bodies.ts";
import { ACCOUNT_COLUMNS, accountFromRow } from "./directory_operations.ts";
import { asStoreError } from "./errors.ts";
import { fromJson, type Row, WAIT_COLUMNS, waitOf } from "./queue_rows.ts";
import { QueueReader } from "./queue_reader.ts";
import { connectForReading, type ConnectOptions, STATES } from "./schema.ts";
import { TrustReader } from "./trust.ts";

const HISTORY_LIMIT = 20;
/** Names in one look-up: what an address with a detail may be known by (routing/local.ts). */
const FIND_NAMES = 5;
const FIND_MARKS = Array.from({ length: FIND_NAMES }, (_, i) => `?${i + 1}`).join(", ");

export class SqliteReader {
  readonly #path: string;
  readonly #database: DatabaseSync;
  readonly #bodies: BodyReader;
  readonly #queue: QueueReader;
  readonly #trust: TrustReader;
  readonly #statements: ReturnType<typeof prepare>;

  /** @throws {StoreError} what `connectForReading` throws */
  constructor(path: string, options: ConnectOptions = {}) {
    this.#path = path;
    this.#database = connectForReading(path, options);
    this.#bodies = new SqliteBodyReader(this.#database);
    this.#queue = new QueueReader(this.#database);
    this.#trust = new TrustReader(this.#database);
    this.#statements = prepare(this.#database);
  }

  close(): void {
    this.#database.close();
  }

  list(account: AccountId): MaildropListing {
    return this.#read(() => {
      const rows = this.#statements.list.all(account) as unknown as [number, number, number][];
      const keys = new Float64Array(rows.length);
      const sizes = new Float64Array(rows.length);
      const smtpUtf8 = new Set<number>();
      for (let i = 0; i < rows.length; i++) {
        const row = rows[i]!;
        keys[i] = row[0];
        sizes[i] = row[1];
        if (row[2] === 1) smtpUtf8.add(i);
      }
      return { keys, sizes, smtpUtf8 };
    });
  }

  open(account: AccountId, key: MessageKey): MessageHead | undefined {
    return this.#read(() => {
      const row = this.#statements.open.get(key, 0, account, key);
      return row === undefined
        ? undefined
        : { trace: row.trace as Uint8Array, firstPart: row.data as Uint8Array };
    });
  }

  part(key: MessageKey, index: number): Uint8Array | undefined {
    return this.#read(() => this.#bodies.part(key, index));
  }

  usage(account: AccountId): { readonly octets: number; readonly messages: number } {
    return this.#read(() => {
      const row = this.#statements.usage.get(account);
      return row === undefined
        ? { octets: 0, messages: 0 }
        : { octets: row.octets as number, messages: row.messages as number };
    });
  }

  account(name: string): Account | undefined {
    return this.#read(() => optionalAccount(this.#statements.account.get(name)));
  }

  find(names: readonly string[]): Named | undefined {
    return this.#read(() => {
      for (let from = 0; from < names.length; from += FIND_NAMES) {
        const asked = names.slice(from, from + FIND_NAMES);
        const padded = Array.from({ length: FIND_NAMES }, (_, i) => asked[i] ?? asked[0]!);
        const rows = this.#statements.find.all(...padded);
        for (const name of asked) {
          const found = rows.filter((row) => row.name === name);
          if (found.length > 0) return namedFromRows(name, found);
        }
      }
      return undefined;
    });
  }

  accounts(): Account[] {
    return this.#read(() => this.#statements.accounts.all().map(accountFromRow));
  }

  aliases(): Alias[] {
    return this.#read(() => {
      const aliases: { name: string; targets: string[] }[] = [];
      for (const row of this.#statements.aliases.all()) {
        const last = aliases.at(-1);
        if (last?.name === row.name) last!.targets.push(row.target as string);
        else aliases.push({ name: row.name as string, targets: [row.target as string] });
      }
      return aliases;
    });
  }

  message(key: MessageKey): MessageHistory | undefined {
    return this.#snapshot(() => this.#message(key));
  }

  byMessageId(messageId: string): MessageHistory[] {
    if (messageId === "") return [];
    return this.#snapshot(() =>
      this.#statements.byMessageId.all(messageId, HISTORY_LIMIT).map((row) =>
        this.#message(row.key as number)!
      )
    );
  }

  newestKey(): MessageKey {
    return this.#read(() => this.#statements.newestKey.get()!.newest as number);
  }

  /** Asks the queue, all of it in one state of the file. */
  queue<T>(ask: (queue: QueueReader) => T): T {
    return this.#snapshot(() => ask(this.#queue));
  }

  trust<T>(ask: (trust: TrustReader) => T): T {
    return this.#read(() => ask(this.#trust));
  }

  #message(key: MessageKey): MessageHistory | undefined {
    const row = this.#statements.message.get(key);
    if (row === undefined) return undefined;
    const removals = new Map<number, number>();
    for (const removal of this.#statements.removals.all(key)) {
      removals.set(removal.account as number, removal.at as number);
    }
    const requests = fromJson<MessageRequests>(row.requests);
    return {
      key,
      receivedAtMs: row.received_at as number,
      size: row.size as number,
      messageId: row.message_id as string,
      reversePath: row.reverse_path as string,
      origin: JSON.parse(row.origin as string) as Origin,
      ...(requests === undefined ? {} : { requests }),
      recipients: this.#statements.recipients.all(key).map((recipient) =>
        this.#recipient(recipient, removals)
      ),
    };
  }

  #recipient(row: Row, removals: ReadonlyMap<AccountId, number>): MessageHistory["recipients"][number] {
    const state = STATES[row.state as number]!;
    const wait = isWaiting(state) ? waitOf(row) : undefined;
    const requests = fromJson<RecipientRequests>(row.requests);
    return {
      recipient: row.address as string,
      state,
      atMs: row.at as number,
      detail: row.detail as string,
      acceptedBy: (row.accepted_by ?? "") as string,
      ...(row.expanded_from === null ? {} : { expandedFrom: row.expanded_from as number }),
      ...(requests === undefined ? {} : { requests }),
      ...(wait === undefined ? {} : { wait }),
      maildrops: accountNumbers(row).map((account) => ({
        account: this.#statements.accountName.get(account, account)?.name as string,
        ...(removals.has(account) ? { removedAtMs: removals.get(account)! } : {}),
      })),
    };
  }

  #read<T>(read: () => T): T {
    if (!this.#database.isOpen) throw new StoreError("conflict", "the store is closed");
    try {
      return read();
    } catch (error) {
      throw asStoreError(error, this.#path);
    }
  }

  /** Several queries that see the same state. */
  #snapshot<T>(read: () => T): T {
    return this.#read(() => {
      this.#statements.begin.get();
      try {
        return read();
      } finally {
        this.#statements.commit.get();
      }
    });
  }
}

/** The rows of one name: the account's, or one for each target of the alias. */
function namedFromRows(name: string, rows: readonly Row[]): Named {
  if (rows[0]!.target === null) return { kind: "account", account: accountFromRow(rows[0]!) };
  return { kind: "alias", alias: { name, targets: rows.map((row) => row.target as string) } };
}

function optionalAccount(row: Row | undefined): Account | undefined {
  return row === undefined ? undefined : accountFromRow(row);
}

function accountNumbers(recipient: Row): AccountId[] {
  return recipient.accounts === null ? [] : JSON.parse(recipient.accounts as string) as AccountId[];
}

function prepare(database: DatabaseSync): Record<
  | "begin"
  | "commit"
  | "list"
  | "open"
  | "usage"
  | "account"
  | "find"
  | "accounts"
  | "accountName"
  | "aliases"
  | "message"
  | "recipients"
  | "removals"
  | "byMessageId"
  | "newestKey",
  StatementSync
> {
  const sql = (text: string) => database.prepare(text);
  const list = sql("SELECT key, size, smtp_utf8 FROM entry WHERE account = ? ORDER BY key");
  // An object a row would take four times as long for 100,000 rows. Both runtimes have this; the type declarations lag.
  (list as unknown as { setReturnArrays(enabled: boolean): void }).setReturnArrays(true);
  return {
    begin: sql("BEGIN"),
    commit: sql("COMMIT"),
    list,
    open: sql(`
      SELECT trace, ifnull(data, x'') AS data FROM entry LEFT JOIN part ON part.id = ${PART_ID} WHERE account = ? AND key = ?`),
    usage: sql("SELECT octets, messages FROM usage WHERE account = ?"),
    account: sql(`SELECT ${ACCOUNT_COLUMNS} FROM account WHERE name = ?`),
    find: sql(`
      SELECT ${ACCOUNT_COLUMNS}, NULL AS target, 0 AS place FROM account WHERE name IN (${FIND_MARKS})
      UNION ALL
      SELECT NULL, name, NULL, NULL, NULL, NULL, NULL, NULL, NULL, target, place FROM alias WHERE name IN (${FIND_MARKS})
      ORDER BY place`),
    accounts: sql(`SELECT ${ACCOUNT_COLUMNS} FROM account ORDER BY name`),
    accountName: sql(`
      SELECT name FROM account WHERE id = ? UNION ALL SELECT name FROM departed_account WHERE id = ?`),
    aliases: sql("SELECT name, target FROM alias ORDER BY name, place"),
    message: sql(`
      SELECT received_at, size, message_id, reverse_path, origin, requests FROM message WHERE key = ?`),
    recipients: sql(`
      SELECT address, state, at, detail, accounts, accepted_by, expanded_from, requests, ${WAIT_COLUMNS}
      FROM recipient WHERE key = ? ORDER BY place`),
    removals: sql("SELECT account, at FROM removal WHERE key = ?"),
    byMessageId: sql("SELECT key FROM message WHERE message_id = ? ORDER BY key DESC LIMIT ?"),
    newestKey: sql(`
      SELECT max(ifnull((SELECT max(key) FROM message), 0),
        ifnull((SELECT value FROM kept WHERE name = 'newest_key'), 0)) AS newest`),
  };
}
