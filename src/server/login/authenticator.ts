/**
 * Who logs in: names to accounts, passwords and SASL exchanges to yes or no. SMTP and POP3 drive it alike and know no
 * mechanism.
 *
 * Guarantees:
 * - A user that doesn't exist, one without password and one with a wrong password look the same: same waits, same work,
 *   same answer (the same time, where its hash was made at the cost set now).
 * - Guesses are slowed (guard.ts); a right password is never refused for the guesses of others.
 * - At most `PASSWORD_HASHES` hashes are computed at a time in a thread, `PASSWORD_HASH_QUEUE` wait, and who comes then is
 *   asked to come back.
 * - A password is in no log line, no error and no answer. An error of ours becomes a `temporary` answer and is given to
 *   `onError`; it is never taken for a wrong password.
 *
 * Whether an account may use a protocol (`Account.pop3`), and whether a connection is protected enough for a password,
 * is the servers' to decide (`sendsPassword` in sasl/mechanisms.ts). Absent on purpose: making a stored hash anew at another
 * cost at log-in, since that could undo a change of password that is under way.
 *
 * @module
 */
import type { Clock } from "../../base/clock.ts";
import { PASSWORD_HASH_QUEUE, PASSWORD_HASHES } from "../../base/limits.ts";
import type { Random } from "../../base/random.ts";
import { canonicalDomain, canonicalLocal } from "../../mail/address.ts";
import {
  mechanismName,
  type SaslStep,
  type ServerMechanism,
  serverMechanism,
} from "../../sasl/mechanisms.ts";
import { DEFAULT_SCRYPT_COST, dummyHash, type ScryptCost, verifyPassword } from "../../sasl/password.ts";
import { isLoginName, preparePassword } from "../../sasl/prepare.ts";
import { parseScramVerifier } from "../../sasl/scram.ts";
import type { Account, Directory } from "../../store/types.ts";
import { Gate } from "./gate.ts";
import type { LoginGuard, LoginTry } from "./guard.ts";
import { RememberedPasswords } from "./remembered.ts";

/** How a log-in ended. `temporary` says nothing about the password: 454 4.7.0, `[SYS/TEMP]`. */
export type LoginResult =
  | { readonly kind: "ok"; readonly account: Account }
  | { readonly kind: "refused" }
  | { readonly kind: "temporary"; readonly text: string };

/** What to do next in a SASL exchange: send a challenge and give the response to `respond`, or end it. */
export type ExchangeStep =
  | {
    readonly kind: "challenge";
    readonly bytes: Uint8Array;
    readonly respond: (response: Uint8Array) => Promise<ExchangeStep>;
  }
  /** The client broke the mechanism's form: 501 5.5.2, `-ERR`. */
  | { readonly kind: "malformed"; readonly text: string }
  /** 504 5.5.4, `-ERR`. */
  | { readonly kind: "unknown-mechanism" }
  | LoginResult;

export interface AuthenticatorOptions {
  readonly directory: Pick<Directory, "account">;
  /** This system's domains, at least one; the first is that of bare names. */
  readonly domains: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  readonly guard: LoginGuard;
  /** 32 random octets, the same in all threads: they make the SCRAM salts of users that don't exist. */
  readonly secret: Uint8Array;
  /** The cost at which this system makes its hashes. @default {DEFAULT_SCRYPT_COST} */
  readonly scryptCost?: ScryptCost;
  /** The iterations with which this system makes its SCRAM verifiers. @default {SCRAM_ITERATIONS} */
  readonly scramIterations?: number;
  /** Told of our own errors, to log them. They hold no password. */
  readonly onError?: (error: unknown) => void;
}

/** Where a log-in comes from. */
export interface LoginContext {
  /** The client's address, without port. */
  readonly client: string;
}

const REFUSED: LoginResult = { kind: "refused" };
const BUSY: LoginResult = {
  kind: "temporary",
  text: "too many log-ins from your address failed, try again in a minute",
};
const CROWDED: LoginResult = { kind: "temporary", text: "too many log-ins at a time, try again in a minute" };
const FAULT: LoginResult = {
  kind: "temporary",
  text: "log-in is not possible at the moment, try again later",
};

/** An exchange under way. */
interface Exchange {
  readonly mechanism: ServerMechanism;
  readonly client: string;
  /** SCRAM: set when the user was looked up; the next response is a try. */
  scram?: { readonly account: Account | undefined; readonly attempt: LoginTry };
}

export class Authenticator {
  readonly #options: AuthenticatorOptions;
  readonly #gate = new Gate({ atOnce: PASSWORD_HASHES, waiting: PASSWORD_HASH_QUEUE });
  readonly #remembered: RememberedPasswords;
  readonly #dummy: string;
  #domains: ReadonlySet<string>;

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
    this.#remembered = new RememberedPasswords(options);
    this.#dummy = dummyHash(options.random, options.scryptCost ?? DEFAULT_SCRYPT_COST);
    this.#domains = canonicalDomains(options.domains);
  }

  /** Takes new domains, after the configuration was read again. */
  setDomains(domains: readonly string[]): void {
    this.#domains = canonicalDomains(domains);
  }

  /** Checks a user name and password (POP3's USER and PASS). Never rejects. */
  async plain(user: string, password: string, context: LoginContext): Promise<LoginResult> {
    try {
      return await this.#password(user, password, context);
    } catch (error) {
      return this.#fault(error);
    }
  }

  /**
   * Begins a SASL exchange, with the octets of an initial response or without. Cancelling (`*`) is dropping the last
   * step. Never rejects.
   *
   * @example
   * ```ts
   * let step = await authenticator.start("PLAIN", { client: "192.0.2.1" });
   * while (step.kind === "challenge") step = await step.respond(await ask(step.bytes));
   * ```
   */
  async start(
    mechanism: string,
    options: LoginContext & { readonly initial?: Uint8Array },
  ): Promise<ExchangeStep> {
    const name = mechanismName(mechanism);
    if (name === undefined) return { kind: "unknown-mechanism" };
    const { random, secret, scramIterations: iterations } = this.#options;
    const exchange: Exchange = {
      mechanism: serverMechanism(name, { random, secret, iterations }),
      client: options.client,
    };
    try {
      return await this.#proceed(exchange, exchange.mechanism.start(options.initial));
    } catch (error) {
      return this.#fault(error);
    }
  }

  async #proceed(exchange: Exchange, step: SaslStep): Promise<ExchangeStep> {
    switch (step.kind) {
      case "challenge":
        return { ...step, respond: (response) => this.#respond(exchange, response) };
      case "check-password":
        return await this.plain(step.user, step.password, exchange);
      case "need-scram": {
        const account = await this.#account(step.user);
        exchange.scram = {
          account,
          attempt: attemptOf(account, { user: step.user, client: exchange.client }),
        };
        const verifier = account === undefined ? undefined : parseScramVerifier(account.scramVerifier);
        return await this.#proceed(exchange, exchange.mechanism.verifier(verifier));
      }
      case "success":
        return this.#success(exchange, step);
      case "failure":
        return this.#failure(exchange, step);
    }
  }

  async #respond(exchange: Exchange, response: Uint8Array): Promise<ExchangeStep> {
    try {
      // SCRAM's proof comes after its user is known: that response is the try that waits.
      const attempt = exchange.scram?.attempt;
      if (attempt !== undefined && await this.#options.guard.turn(attempt) === "busy") return BUSY;
      return await this.#proceed(exchange, exchange.mechanism.respond(response));
    } catch (error) {
      return this.#fault(error);
    }
  }

  #success(exchange: Exchange, step: SaslStep & { kind: "success" }): ExchangeStep {
    const { account, attempt } = exchange.scram ?? {};
    if (account === undefined || attempt === undefined) throw new Error("a mechanism let in nobody");
    this.#options.guard.succeeded(attempt);
    const result: LoginResult = { kind: "ok", account };
    if (step.final === undefined) return result;
    // RFC 4954 4, RFC 5034 4: additional data of a success goes as a challenge, to an empty response.
    return lastChallenge(step.final, (response) => {
      return response.length === 0 ? result : { kind: "malformed", text: "the last response must be empty" };
    });
  }

  #failure(exchange: Exchange, step: SaslStep & { kind: "failure" }): ExchangeStep {
    if (step.reason === "refused" && exchange.scram !== undefined) {
      this.#options.guard.failed(exchange.scram.attempt);
    }
    const result: ExchangeStep = step.reason === "refused" ? REFUSED : { kind: "malformed", text: step.text };
    return step.final === undefined ? result : lastChallenge(step.final, () => result);
  }

  async #password(user: string, password: string, context: LoginContext): Promise<LoginResult> {
    if (!isLoginName(user)) return REFUSED;
    const account = await this.#account(user);
    const attempt = attemptOf(account, { user, client: context.client });
    if (await this.#options.guard.turn(attempt) === "busy") return BUSY;
    const right = await this.#verify(account, password);
    if (right === undefined) return CROWDED;
    if (!right || account === undefined) {
      this.#options.guard.failed(attempt);
      return REFUSED;
    }
    this.#options.guard.succeeded(attempt);
    return { kind: "ok", account };
  }

  /** Whether the password is the account's; the same work where there is no account. Undefined: too much to do. */
  async #verify(account: Account | undefined, password: string): Promise<boolean | undefined> {
    const passwordHash = account?.passwordHash ?? "";
    const prepared = preparePassword(password) ?? "";
    if (account === undefined || passwordHash === "") {
      const done = await this.#gate.run(() => verifyPassword(prepared, this.#dummy));
      return done === undefined ? undefined : false;
    }
    const proof = { accountId: account.id, passwordHash, password: prepared };
    if (this.#remembered.has(proof)) return true;
    const right = await this.#gate.run(() => verifyPassword(prepared, passwordHash));
    if (right === true) this.#remembered.add(proof);
    return right;
  }

  /**
   * `alice@one-of-our-domains` is that account, or else `alice`; a bare `alice` is that account, or else the one at our
   * first domain. Both are looked up in any case, so that the time tells nothing.
   */
  async #account(user: string): Promise<Account | undefined> {
    const at = user.lastIndexOf("@");
    const local = localOf(user);
    const [firstDomain] = this.#domains;
    const domain = at < 0 ? firstDomain : canonicalDomain(user.slice(at + 1));
    if (local === "" || domain === undefined || !this.#domains.has(domain)) return undefined;
    const { directory } = this.#options;
    const [bare, full] = await Promise.all([
      directory.account(local),
      directory.account(`${local}@${domain}`),
    ]);
    return at < 0 ? bare ?? full : full ?? bare;
  }

  #fault(error: unknown): LoginResult {
    this.#options.onError?.(error);
    return FAULT;
  }
}

function canonicalDomains(domains: readonly string[]): ReadonlySet<string> {
  return new Set(domains.map(canonicalDomain));
}

function attemptOf(
  account: Account | undefined,
  options: { readonly user: string; readonly client: string },
): LoginTry {
  return { name: localOf(options.user), account: account?.id, client: options.client };
}

/** The local part of a log-in name, in canonical form. */
function localOf(user: string): string {
  const at = user.lastIndexOf("@");
  return canonicalLocal(at < 0 ? user : user.slice(0, at));
}

function lastChallenge(bytes: Uint8Array, end: (response: Uint8Array) => ExchangeStep): ExchangeStep {
  return { kind: "challenge", bytes, respond: (response) => Promise.resolve(end(response)) };
}
