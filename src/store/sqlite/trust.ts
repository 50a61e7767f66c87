/**
 * Keys, secrets and what was learnt of others: the writer's side, which runs inside its transaction, and the reader's.
 * Why get() and not run(): see mail_operations.ts.
 *
 * @module
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { keyExistsError, keyMissingError } from "../trust_errors.ts";
import type { SigningKey, StsPolicy, TlsTally } from "../types.ts";
import { isConstraint } from "./errors.ts";
import type { TrustOperation } from "./operations.ts";

export class TrustOperations {
  readonly #statements: ReturnType<typeof prepareWriting>;

  constructor(database: DatabaseSync) {
    this.#statements = prepareWriting(database);
  }

  run(operation: TrustOperation): unknown {
    switch (operation.op) {
      case "addSigningKey":
        return this.#addSigningKey(operation.key);
      case "removeSigningKey":
        return this.#removeSigningKey(operation.domain, operation.selector);
      case "keepSecret":
        return this.#keepSecret(operation.name, operation.value);
      case "setStsPolicy":
        return this.#setStsPolicy(operation.policy);
      case "addTlsTallies":
        return this.#addTlsTallies(operation.tallies);
      case "removeTlsTallies":
        return void this.#statements.removeTallies.get(operation.day, operation.domain);
    }
  }

  #addSigningKey(key: SigningKey): void {
    const { domain, selector, algorithm, privateKey, createdAtMs } = key;
    try {
      this.#statements.insertKey.get(domain, selector, algorithm, privateKey, createdAtMs);
    } catch (error) {
      if (!isConstraint(error)) throw error;
      throw keyExistsError(key);
    }
  }

  #removeSigningKey(domain: string, selector: string): void {
    if (this.#statements.deleteKey.get(domain, selector) === undefined) {
      throw keyMissingError(domain, selector);
    }
  }

  #keepSecret(name: string, value: Uint8Array): Uint8Array {
    this.#statements.insertSecret.get(name, value);
    return this.#statements.secret.get(name)!.value as Uint8Array;
  }

  #setStsPolicy({ domain, id, text, fetchedAtMs, expiresAtMs }: StsPolicy): void {
    this.#statements.expirePolicies.get(fetchedAtMs);
    this.#statements.setPolicy.get(domain, id, text, fetchedAtMs, expiresAtMs);
  }

  #addTlsTallies(tallies: readonly TlsTally[]): void {
    for (const { day, domain, subject, sessions } of tallies) {
      this.#statements.addTally.get(day, domain, subject, sessions);
    }
  }
}

export class TrustReader {
  readonly #statements: ReturnType<typeof prepareReading>;

  constructor(database: DatabaseSync) {
    this.#statements = prepareReading(database);
  }

  signingKeys(): SigningKey[] {
    return this.#statements.keys.all().map((row) => ({
      domain: row.domain as string,
      selector: row.selector as string,
      algorithm: row.algorithm as SigningKey["algorithm"],
      privateKey: row.private_key as string,
      createdAtMs: row.created_at as number,
    }));
  }

  secret(name: string): Uint8Array | undefined {
    return this.#statements.secret.get(name)?.value as Uint8Array | undefined;
  }

  stsPolicy(domain: string): StsPolicy | undefined {
    const row = this.#statements.policy.get(domain);
    if (row === undefined) return undefined;
    return {
      domain,
      id: row.id as string,
      text: row.policy as string,
      fetchedAtMs: row.fetched_at as number,
      expiresAtMs: row.expires_at as number,
    };
  }

  tlsTallies(beforeDay: string): TlsTally[] {
    return this.#statements.tallies.all(beforeDay).map((row) => ({
      day: row.day as string,
      domain: row.domain as string,
      subject: row.subject as string,
      sessions: row.sessions as number,
    }));
  }
}

function prepareWriting(database: DatabaseSync): Record<
  | "insertKey"
  | "deleteKey"
  | "insertSecret"
  | "secret"
  | "expirePolicies"
  | "setPolicy"
  | "addTally"
  | "removeTallies",
  StatementSync
> {
  const sql = (text: string) => database.prepare(text);
  return {
    insertKey: sql(`
      INSERT INTO signing_key (domain, selector, algorithm, private_key, created_at) VALUES (?, ?, ?, ?, ?)`),
    deleteKey: sql("DELETE FROM signing_key WHERE domain = ? AND selector = ? RETURNING 1"),
    insertSecret: sql("INSERT OR IGNORE INTO secret (name, value) VALUES (?, ?)"),
    secret: sql("SELECT value FROM secret WHERE name = ?"),
    expirePolicies: sql("DELETE FROM sts_policy WHERE expires_at < ?"),
    setPolicy: sql(`
      INSERT OR REPLACE INTO sts_policy (domain, id, policy, fetched_at, expires_at) VALUES (?, ?, ?, ?, ?)`),
    addTally: sql(`
      INSERT INTO tls_tally (day, domain, subject, sessions) VALUES (?, ?, ?, ?)
      ON CONFLICT (day, domain, subject) DO UPDATE SET sessions = sessions + excluded.sessions`),
    removeTallies: sql("DELETE FROM tls_tally WHERE day = ? AND domain = ?"),
  };
}

function prepareReading(
  database: DatabaseSync,
): Record<"keys" | "secret" | "policy" | "tallies", StatementSync> {
  const sql = (text: string) => database.prepare(text);
  return {
    keys: sql(`
      SELECT domain, selector, algorithm, private_key, created_at FROM signing_key ORDER BY domain, selector`),
    secret: sql("SELECT value FROM secret WHERE name = ?"),
    policy: sql("SELECT id, policy, fetched_at, expires_at FROM sts_policy WHERE domain = ?"),
    tallies: sql(`
      SELECT day, domain, subject, sessions FROM tls_tally WHERE day < ? ORDER BY day, domain, subject`),
  };
}
