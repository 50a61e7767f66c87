/**
 * Accounts as rows.
 *
 * @module
 */
import type { SQLInputValue } from "node:sqlite";
import { NOBODY } from "../entry_rules.ts";
import type { Account, Forwarding, Identity, MailView, NewAccount, Pop3Access } from "../types.ts";
import { fromJson, type Row } from "./queue_rows.ts";

/** What changeAccount() may change, in the order of {@linkcode changeableValues}. */
export const CHANGEABLE_COLUMNS = [
  "pop3",
  "quota_octets",
  "quota_messages",
  "send_as_any",
  "password_hash",
  "scram_verifier",
  "display_name",
  "department",
  "phone",
  "view",
  "forward",
] as const;

export const ACCOUNT_COLUMNS: string = ["id", "name", "created_at", ...CHANGEABLE_COLUMNS].join(", ");

export function changeableValues(account: NewAccount): SQLInputValue[] {
  const { displayName, department, phone } = account.identity ?? NOBODY;
  return [
    account.pop3,
    account.quotaOctets ?? null,
    account.quotaMessages ?? null,
    account.sendAsAny ? 1 : 0,
    account.passwordHash,
    account.scramVerifier,
    displayName,
    department,
    phone,
    account.view ?? null,
    account.forward === undefined ? null : JSON.stringify(account.forward),
  ];
}

/** An account from its row. */
export function accountFromRow(row: Row): Account {
  const known = row.display_name !== "" || row.department !== "" || row.phone !== "";
  const forward = fromJson<Forwarding>(row.forward);
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
    ...(known ? { identity: identityFromRow(row) } : {}),
    ...(row.view === null ? {} : { view: row.view as MailView }),
    ...(forward === undefined ? {} : { forward }),
  };
}

export function identityFromRow(row: Row): Identity {
  return {
    displayName: row.display_name as string,
    department: row.department as string,
    phone: row.phone as string,
  };
}
