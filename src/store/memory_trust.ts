/**
 * Keys, secrets and what was learnt of others, in memory.
 *
 * @module
 */
import { keyExistsError, keyMissingError } from "./trust_errors.ts";
import type { SigningKey, StsPolicy, TlsTally, Trust } from "./types.ts";

const order = (a: string, b: string) => a < b ? -1 : a > b ? 1 : 0;

/** One text for several, none of which can be taken for another's. */
const together = (...texts: string[]) => JSON.stringify(texts);

export class MemoryTrust implements Trust {
  readonly #change: <T>(work: () => T) => Promise<T>;
  readonly #keys = new Map<string, SigningKey>();
  readonly #secrets = new Map<string, Uint8Array>();
  readonly #policies = new Map<string, StsPolicy>();
  readonly #tallies = new Map<string, TlsTally>();

  constructor(change: <T>(work: () => T) => Promise<T>) {
    this.#change = change;
  }

  signingKeys(): Promise<SigningKey[]> {
    const keys = [...this.#keys.values()];
    return Promise.resolve(
      keys.sort((a, b) => order(a.domain, b.domain) || order(a.selector, b.selector)),
    );
  }

  addSigningKey(key: SigningKey): Promise<void> {
    return this.#change(() => {
      const name = together(key.domain, key.selector);
      if (this.#keys.has(name)) throw keyExistsError(key);
      this.#keys.set(name, { ...key });
    });
  }

  removeSigningKey(domain: string, selector: string): Promise<void> {
    return this.#change(() => {
      if (!this.#keys.delete(together(domain, selector))) throw keyMissingError(domain, selector);
    });
  }

  async secret(name: string, make: () => Uint8Array): Promise<Uint8Array> {
    if (!this.#secrets.has(name)) {
      await this.#change(() => {
        if (!this.#secrets.has(name)) this.#secrets.set(name, make().slice());
      });
    }
    return this.#secrets.get(name)!.slice();
  }

  stsPolicy(domain: string): Promise<StsPolicy | undefined> {
    return Promise.resolve(this.#policies.get(domain));
  }

  setStsPolicy(policy: StsPolicy): Promise<void> {
    return this.#change(() => {
      for (const { domain, expiresAtMs } of [...this.#policies.values()]) {
        if (expiresAtMs < policy.fetchedAtMs) this.#policies.delete(domain);
      }
      this.#policies.set(policy.domain, { ...policy });
    });
  }

  addTlsTallies(tallies: readonly TlsTally[]): Promise<void> {
    return this.#change(() => {
      for (const tally of tallies) {
        const name = together(tally.day, tally.domain, tally.subject);
        const sessions = (this.#tallies.get(name)?.sessions ?? 0) + tally.sessions;
        this.#tallies.set(name, { ...tally, sessions });
      }
    });
  }

  tlsTallies(beforeDay: string): Promise<TlsTally[]> {
    const tallies = [...this.#tallies.values()].filter(({ day }) => day < beforeDay);
    return Promise.resolve(
      tallies.sort((a, b) => order(a.day, b.day) || order(a.domain, b.domain) || order(a.subject, b.subject)),
    );
  }

  removeTlsTallies(day: string, domain: string): Promise<void> {
    return this.#change(() => {
      for (const [name, tally] of [...this.#tallies]) {
        if (tally.day === day && tally.domain === domain) this.#tallies.delete(name);
      }
    });
  }
}
