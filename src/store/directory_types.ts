/**
 * What the store promises about people: accounts, and the master name directory around them. Callers import this by
 * `types.ts`, whose head has the guarantees.
 *
 * All names are one namespace: an account, alias, shadow or list never has the name of another.
 *
 * @module
 */

/** An account's number: 1, 2, 3 … and never used again. */
export type AccountId = number;

/** Who stands behind a name of the master name directory, to be found by; "" where it isn't known. */
export interface Identity {
  readonly displayName: string;
  readonly department: string;
  readonly phone: string;
}

/** The order a user's messages are shown in. */
export type MailView = "oldest" | "newest";

/** Where a user's mail is sent on to. */
export interface Forwarding {
  /** Addresses elsewhere or names here, as an alias has them; at least one. */
  readonly to: readonly string[];
  /** Whether the user's own maildrop gets it too. */
  readonly keep: boolean;
}

/** The seed's "Allow POP3 Access": P passes messages through whole, Y allows POP3, N doesn't. */
export type Pop3Access = "P" | "Y" | "N";

export interface Account {
  readonly id: AccountId;
  /** `alice` (at every domain of this system) or `alice@example.org` (at that one), in canonical form. */
  readonly name: string;
  readonly pop3: Pop3Access;
  /** Octets the maildrop may hold; undefined: the configuration's default. */
  readonly quotaOctets?: number;
  /** Messages the maildrop may hold; undefined: the configuration's default. */
  readonly quotaMessages?: number;
  /** May send with any address, not only its own. */
  readonly sendAsAny: boolean;
  /** `$scrypt$…`; "" where no password is set, and nobody can log in. */
  readonly passwordHash: string;
  /** `SCRAM-SHA-256$…` (RFC 5803); "" where none is kept. */
  readonly scramVerifier: string;
  readonly createdAtMs: number;
  /** Absent: nothing is known. */
  readonly identity?: Identity;
  /** Which messages are shown first; absent: the oldest. */
  readonly view?: MailView;
  /** Where its mail goes instead of, or beside, its maildrop; absent: nowhere else. */
  readonly forward?: Forwarding;
}

export type NewAccount = Omit<Account, "id">;
export type AccountChanges = Partial<Omit<Account, "id" | "name" | "createdAtMs">>;

/** A name that stands for others: `sales`, `sales@example.org`, or `@example.org` for all names a domain doesn't know. */
export interface Alias {
  readonly name: string;
  readonly targets: readonly string[];
}

/** A local name for an outside person, set up as a destination on a gateway (the seed's shadow profile). */
export interface Shadow {
  /** `bobl` or `bobl@example.org`, in canonical form, as accounts have it. */
  readonly name: string;
  /** Where its mail goes: an address elsewhere, or one of a gateway (`user@workgroup.mhs.example.org`). */
  readonly address: string;
  /** Takes mail from strangers too, and not only from users here. */
  readonly inbound: boolean;
  readonly identity: Identity;
}

/** A distribution list. */
export interface List {
  /** In canonical form, as aliases have it; no catch-all. */
  readonly name: string;
  /** Names here and addresses elsewhere, in order, each once; other lists among them perhaps. */
  readonly members: readonly string[];
  /** Who hears of mail that can't be delivered to a member; absent: postmaster. */
  readonly owner?: string;
  readonly identity: Identity;
}

/** What a name stands for: one of these, never two. */
export type Named =
  | { readonly kind: "account"; readonly account: Account }
  | { readonly kind: "alias"; readonly alias: Alias }
  | { readonly kind: "shadow"; readonly shadow: Shadow }
  | { readonly kind: "list"; readonly list: List };

export interface Directory {
  account(name: string): Promise<Account | undefined>;
  /** What the first of these names that exists stands for: one look-up for all of them, since each recipient needs it. */
  find(names: readonly string[]): Promise<Named | undefined>;
  /** All accounts by name. */
  accounts(): Promise<Account[]>;
  /** @throws {StoreError} `exists` where anything has the name */
  addAccount(account: NewAccount): Promise<Account>;
  /** @throws {StoreError} `missing` */
  changeAccount(name: string, changes: AccountChanges): Promise<Account>;
  /**
   * Removes the account, its maildrop and nicknames, and it from every alias, list, forwarding and report's readers (an
   * alias or forwarding left without target goes too, a list stays, without owner if that was it). @throws {StoreError} `missing`
   */
  removeAccount(name: string): Promise<void>;
  aliases(): Promise<Alias[]>;
  /** Makes or replaces an alias; no targets removes it. @throws {StoreError} `exists` where anything else has the name, `missing` on removal */
  setAlias(alias: Alias): Promise<void>;
}

// ---------------------------------------------------------------- the master name directory

/** A user's own name for others. */
export interface Nickname {
  /** In canonical form, without @. */
  readonly name: string;
  /** Names here, addresses elsewhere, or another nickname of the user; at least one. */
  readonly addresses: readonly string[];
}

/** One change of the directory. */
export type EntryChange =
  | { readonly kind: "add-account"; readonly account: NewAccount }
  | { readonly kind: "change-account"; readonly name: string; readonly changes: AccountChanges }
  /** Makes it, or replaces it whole. */
  | { readonly kind: "set-shadow"; readonly shadow: Shadow }
  /** Makes it, or replaces it whole. */
  | { readonly kind: "set-list"; readonly list: List }
  /** Takes a shadow or list out, and it from every alias and list, as removeAccount() does. */
  | { readonly kind: "remove"; readonly name: string }
  /** Makes or replaces a nickname; no addresses removes it. */
  | { readonly kind: "set-nickname"; readonly account: AccountId; readonly nickname: Nickname };

/** What {@linkcode Entries.search} looks for; fields are joined by "and". */
export interface EntryQuery {
  /** Each of these stands somewhere in the name, display name, department or phone, whatever its case. */
  readonly words?: readonly string[];
  /** The name begins with it (canonical form). */
  readonly prefix?: string;
}

export interface Entries {
  /** Everything that has a name, by name. */
  all(): Promise<Named[]>;
  /** What fits, by name, at most `limit`. */
  search(query: EntryQuery, options: { readonly limit: number }): Promise<Named[]>;
  /**
   * Makes all of these changes or none, in order.
   * @throws {StoreError} `exists` where something of another kind has the name, `missing` where there is nothing to change
   */
  change(changes: readonly EntryChange[]): Promise<void>;
  /** A user's nicknames by name. */
  nicknames(account: AccountId): Promise<Nickname[]>;
}
