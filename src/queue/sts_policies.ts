/**
 * Other domains' MTA-STS policies: found, fetched, kept, and fetched again in time (RFC 8461 3.3, 5.1).
 *
 * Guarantees: never rejects. A policy that was fetched holds until its own end, whatever DNS and HTTPS say in between,
 * unless a newer one is fetched: so nobody gets rid of it by disturbing the fetch. What was found is remembered for five
 * minutes, good or bad, so that a domain with a broken policy costs one request in that time; equal questions at the same
 * time are one.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import type { Clock } from "../base/clock.ts";
import { isDomain } from "../mail/address.ts";
import type { TlsResultType } from "../mime/tls_report.ts";
import type { Dns } from "../net/dns.ts";
import type { StsPolicy, Trust } from "../store/types.ts";
import { parseStsPolicy, STS_POLICY_OCTETS, stsId, type StsRules } from "../tls/mta_sts.ts";

const log = getLogger(["emsmail", "tls"]);

/** How long a finding is remembered, in milliseconds. */
const REMEMBER_MS = 5 * 60_000;
/** The same where DNS did not answer, in milliseconds: a domain with a policy is not to be without it for minutes. */
const REMEMBER_FAILED_MS = 10_000;
/** Domains remembered; some hundred octets each, and their policies. */
const DOMAINS = 5000;
/** Lines of a policy that reports repeat, and characters in each. */
const REPORTED_LINES = 50;
const REPORTED_CHARACTERS = 256;

/** What an HTTPS server answered to a request for a policy. */
export interface FetchedPolicy {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export interface StsPoliciesOptions {
  readonly dns: Dns;
  readonly trust: Pick<Trust, "stsPolicy" | "setStsPolicy">;
  /**
   * Fetches `https://mta-sts.<domain>/.well-known/mta-sts.txt`, without following redirects (RFC 8461 3.3). What it rejects
   * with may have a `kind`, as net/https.ts has it.
   */
  readonly fetchPolicy: (domain: string) => Promise<FetchedPolicy>;
  readonly clock: Clock;
}

/** What is known of a domain. */
export interface StsFinding {
  /** The policy that holds; absent: there is none. */
  readonly rules?: StsRules;
  /** Its lines, for reports. */
  readonly lines: readonly string[];
  /** A policy is announced but can't be had, and none is kept. */
  readonly problem?: { readonly resultType: TlsResultType; readonly reason: string };
  /** Whether there is a policy could not be looked up. */
  readonly uncertain?: true;
}

const NOTHING: StsFinding = { lines: [] };
const UNCERTAIN: StsFinding = { lines: [], uncertain: true };

export class StsPolicies {
  readonly #options: StsPoliciesOptions;
  /** Oldest first. */
  readonly #known = new Map<string, { readonly finding: StsFinding; readonly untilMs: number }>();
  readonly #asking = new Map<string, Promise<StsFinding>>();

  constructor(options: StsPoliciesOptions) {
    this.#options = options;
  }

  /** The policy of a domain (canonical). */
  find(domain: string): Promise<StsFinding> {
    if (!isDomain(domain)) return Promise.resolve(NOTHING);
    const known = this.#known.get(domain);
    if (known !== undefined && this.#options.clock.nowMs() < known.untilMs) {
      return Promise.resolve(known.finding);
    }
    const asking = this.#asking.get(domain);
    if (asking !== undefined) return asking;
    const asked = this.#look(domain).finally(() => this.#asking.delete(domain));
    this.#asking.set(domain, asked);
    return asked;
  }

  async #look(domain: string): Promise<StsFinding> {
    const { clock } = this.#options;
    const kept = await this.#kept(domain);
    const found = await this.#current(domain, kept);
    const finding = "problem" in found
      ? { lines: [], problem: found.problem }
      : found.policy !== undefined
      ? findingOf(found.policy.text)
      : found.uncertain === true
      ? UNCERTAIN
      : NOTHING;
    const rememberMs = finding.uncertain === true ? REMEMBER_FAILED_MS : REMEMBER_MS;
    const nowMs = clock.nowMs();
    const untilMs = "policy" in found && found.policy !== undefined ? found.policy.expiresAtMs : Infinity;
    this.#known.delete(domain);
    this.#known.set(domain, { finding, untilMs: Math.min(nowMs + rememberMs, untilMs) });
    if (this.#known.size > DOMAINS) this.#known.delete(this.#known.keys().next().value!);
    return finding;
  }

  /** The policy that was fetched before and still holds. */
  async #kept(domain: string): Promise<StsPolicy | undefined> {
    try {
      const policy = await this.#options.trust.stsPolicy(domain);
      return policy !== undefined && this.#options.clock.nowMs() < policy.expiresAtMs ? policy : undefined;
    } catch (error) {
      log.error("kept MTA-STS policy can't be read", { domain, error: String(error) });
      return undefined;
    }
  }

  async #current(
    domain: string,
    kept: StsPolicy | undefined,
  ): Promise<
    | { readonly policy: StsPolicy | undefined; readonly uncertain?: boolean }
    | { readonly problem: StsFinding["problem"] }
  > {
    const answer = await this.#options.dns.query(`_mta-sts.${domain}`, "TXT");
    const id = answer.status === "found" ? stsId(answer.records) : undefined;
    // RFC 8461 3.1: without a valid record there is no policy to fetch, and one that is kept holds (5.1).
    if (id === undefined) return { policy: kept, uncertain: answer.status === "failed" };
    const nowMs = this.#options.clock.nowMs();
    // RFC 8461 3.3: also one that hasn't changed is fetched again before its end.
    const isFresh = kept !== undefined && nowMs < (kept.fetchedAtMs + kept.expiresAtMs) / 2;
    if (isFresh && kept.id === id) return { policy: kept };
    const fetched = await this.#fetch(domain);
    if ("problem" in fetched) {
      const { resultType, reason } = fetched.problem;
      log.warn("MTA-STS policy can't be fetched", {
        domain,
        result: resultType,
        reason,
        kept: kept !== undefined,
      });
      return kept === undefined ? fetched : { policy: kept };
    }
    const policy: StsPolicy = {
      domain,
      id,
      text: fetched.text,
      fetchedAtMs: nowMs,
      expiresAtMs: nowMs + fetched.rules.maxAgeSeconds * 1000,
    };
    try {
      await this.#options.trust.setStsPolicy(policy);
    } catch (error) {
      // It counts for now; it is fetched again in a while.
      log.error("MTA-STS policy can't be kept", { domain, error: String(error) });
    }
    return { policy };
  }

  async #fetch(domain: string): Promise<
    { readonly text: string; readonly rules: StsRules } | {
      readonly problem: { readonly resultType: TlsResultType; readonly reason: string };
    }
  > {
    const problem = (resultType: TlsResultType, reason: string) => ({ problem: { resultType, reason } });
    let fetched: FetchedPolicy;
    try {
      fetched = await this.#options.fetchPolicy(domain);
    } catch (error) {
      const kind = String((error as { kind?: unknown } | null)?.kind ?? "");
      const isTls = kind === "tls" || kind === "validation-failure" || kind.startsWith("certificate-");
      return problem(isTls ? "sts-webpki-invalid" : "sts-policy-fetch-error", messageOf(error));
    }
    const { status, contentType, body } = fetched;
    // RFC 8461 3.3: a redirect is a failure as any other; 3.2: the media type is text/plain.
    if (status !== 200) return problem("sts-policy-fetch-error", `the server answered ${status}`);
    if (!/^text\/plain\s*(?:;|$)/i.test(contentType.trim())) {
      return problem("sts-policy-fetch-error", "what the server gave is not text/plain");
    }
    if (body.length > STS_POLICY_OCTETS) return problem("sts-policy-invalid", "the policy is too long");
    const rules = parseStsPolicy(body);
    return "error" in rules ? problem("sts-policy-invalid", rules.error) : { text: body, rules };
  }
}

function findingOf(text: string): StsFinding {
  const rules = parseStsPolicy(text);
  // RFC 8461 5: mode none is the way to end a policy.
  if ("error" in rules || rules.mode === "none") return NOTHING;
  const lines = text.split(/\r?\n/).map((line) => line.trim().slice(0, REPORTED_CHARACTERS).toWellFormed())
    .filter((line) => line !== "");
  return { rules, lines: lines.slice(0, REPORTED_LINES) };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
