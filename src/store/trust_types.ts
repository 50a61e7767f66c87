/**
 * What the store keeps of keys, secrets, and of other systems' ways. Callers import this by `types.ts`, whose head has
 * the guarantees.
 *
 * @module
 */

/** A key that signs mail of a domain (RFC 6376). */
export interface SigningKey {
  /** Canonical. */
  readonly domain: string;
  readonly selector: string;
  readonly algorithm: "rsa-sha256" | "ed25519-sha256";
  /** PKCS #8, PEM. */
  readonly privateKey: string;
  readonly createdAtMs: number;
}

/** A domain's MTA-STS policy as it was last fetched (RFC 8461 3.2). */
export interface StsPolicy {
  readonly domain: string;
  /** The id of its TXT record. */
  readonly id: string;
  /** The policy file's text. */
  readonly text: string;
  readonly fetchedAtMs: number;
  readonly expiresAtMs: number;
}

/** TLS sessions of one day with one domain under one policy that ended alike (RFC 8460 4). */
export interface TlsTally {
  /** `2026-11-24`, UTC. */
  readonly day: string;
  readonly domain: string;
  /** What is reported of it, as JSON: the policy and the kind of failure ("" for success). */
  readonly subject: string;
  readonly sessions: number;
}

export interface Trust {
  signingKeys(): Promise<SigningKey[]>;
  /** @throws {StoreError} `exists` where the domain has a key of that selector */
  addSigningKey(key: SigningKey): Promise<void>;
  /** @throws {StoreError} `missing` */
  removeSigningKey(domain: string, selector: string): Promise<void>;
  /** A secret of this system, made by `make` the first time it is asked for and the same ever after, in every process. */
  secret(name: string, make: () => Uint8Array): Promise<Uint8Array>;
  stsPolicy(domain: string): Promise<StsPolicy | undefined>;
  /** Keeps a policy in place of an earlier one, and forgets those of any domain that had expired when it was fetched. */
  setStsPolicy(policy: StsPolicy): Promise<void>;
  /** Adds to what was counted before. */
  addTlsTallies(tallies: readonly TlsTally[]): Promise<void>;
  /** What was counted on days before `day`, by day, domain and subject. */
  tlsTallies(beforeDay: string): Promise<TlsTally[]>;
  /** Forgets a day's count of a domain: it was reported. */
  removeTlsTallies(day: string, domain: string): Promise<void>;
}
