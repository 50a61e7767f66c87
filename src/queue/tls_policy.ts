/**
 * How a connection to another system must be secured, and what its certificate must be.
 *
 * What counts, the first that applies:
 * 1. the message asked for REQUIRETLS: a certificate proved by DANE or by an authority, and a host name that could not be
 *    forged on the way (RFC 8689 4.2.1)
 * 2. the operator's rule in `tls.outbound`
 * 3. DANE, where DNSSEC vouches for the MX answer, the host's addresses and its TLSA records (RFC 7672 2.2)
 * 4. MTA-STS (RFC 8461 5)
 * 5. TLS where it is offered, whatever the certificate (RFC 7435)
 *
 * Guarantees: never rejects; a look-up that fails where DNSSEC was in force makes the host unusable for now instead of
 * unprotected (RFC 7672 2.1.2). Every policy carries what a report has to say of it (RFC 8460).
 *
 * @module
 */
import type { Clock } from "../base/clock.ts";
import type { Config } from "../config/config.ts";
import { isDomain } from "../mail/address.ts";
import { type Reply, reply } from "../mail/reply.ts";
import type { TlsReportPolicy, TlsResultType } from "../mime/tls_report.ts";
import type { PeerTls } from "../net/client_tls.ts";
import type { Dns, DnsAnswer } from "../net/dns.ts";
import type { HostTls } from "../routing/route.ts";
import { matchTlsa, type TlsaRecord, usableTlsa } from "../tls/dane.ts";
import { mxMatches } from "../tls/mta_sts.ts";
import { StsPolicies, type StsPoliciesOptions } from "./sts_policies.ts";

/** The records of a host that a report repeats. */
const REPORTED_RECORDS = 10;

/** What a certificate is worth under a policy. */
export type TlsVerdict =
  | {
    readonly ok: true;
    /** For people: `verified`, `verified by DANE`, `not verified`. */
    readonly how: string;
    /** For reports: "", or what a policy that is only tested would have refused. */
    readonly resultType: TlsResultType;
  }
  | {
    readonly ok: false;
    /** A clause for people. */
    readonly problem: string;
    readonly resultType: TlsResultType;
  };

/** How TLS with one host must be. */
export interface HostPolicy {
  readonly starttls: "never" | "if-offered" | "required";
  /** Judges what the host showed in the handshake. */
  judge(peer: PeerTls): TlsVerdict;
  /** For transcripts and logs: `DANE`, `MTA-STS (enforce)`, `opportunistic`, …. */
  readonly name: string;
  readonly tlsrpt: TlsReportPolicy;
}

/** A host must not be used now. */
export interface SkippedHost {
  /** A clause for people. */
  readonly skip: string;
  /** What the message's sender is told where no other host is better; absent: trying again later may help. */
  readonly refusal?: Reply;
  readonly name: string;
  readonly tlsrpt: TlsReportPolicy;
  /** "" where no report is to tell of it. */
  readonly resultType: TlsResultType;
}

/** What is known of a domain before its hosts are. */
export interface DomainPolicy {
  /** Canonical. */
  readonly domain: string;
  /** The operator's rule. */
  readonly rule?: HostTls;
  readonly sts: Awaited<ReturnType<StsPolicies["find"]>>;
}

/** How a message wants to travel. */
export type MessageTls =
  | "by-policy"
  /** REQUIRETLS (RFC 8689). */
  | "verified"
  /** Despite any failure of TLS: a report of just those (RFC 8460 3). */
  | "best-effort";

export interface HostQuestion {
  /** The host's name, as MX has it. */
  readonly host: string;
  /** Whether DNSSEC vouches for the answer that named the host. */
  readonly mx: "authentic" | "unproven";
  /** @default "by-policy" */
  readonly tls?: MessageTls;
}

export interface TlsPoliciesOptions extends StsPoliciesOptions {
  readonly clock: Clock;
  readonly config: () => Pick<Config, "tls" | "relay">;
}

const NO_POLICY: TlsReportPolicy = { policyType: "no-policy-found", policyString: [], mxHost: [] };

export class TlsPolicies {
  readonly #options: TlsPoliciesOptions;
  readonly #sts: StsPolicies;

  constructor(options: TlsPoliciesOptions) {
    this.#options = options;
    this.#sts = new StsPolicies(options);
  }

  /** What holds for a domain (canonical): looked up, fetched or remembered. */
  async domainPolicy(domain: string): Promise<DomainPolicy> {
    const { tls, relay } = this.#options.config();
    const rule = tls.outbound.find((each) => isFor(each.domain, domain))?.tls;
    // On an intranet nothing outside is asked.
    const asks = rule === undefined && tls.mtaSts && relay.mode !== "intranet";
    const sts = asks ? await this.#sts.find(domain) : { lines: [] };
    return rule === undefined ? { domain, sts } : { domain, rule, sts };
  }

  /** How TLS must be with one of the domain's hosts. */
  async hostPolicy(domain: DomainPolicy, question: HostQuestion): Promise<HostPolicy | SkippedHost> {
    const { tls = "by-policy" } = question;
    if (tls === "best-effort") return operatorPolicy("opportunistic", "opportunistic");
    if (tls === "by-policy" && domain.rule !== undefined) {
      return operatorPolicy(domain.rule, `tls.outbound (${domain.rule})`);
    }
    const dane = await this.#dane(domain.domain, question);
    if (dane !== undefined) return dane;
    const bySts = stsPolicy(domain, question.host);
    if (tls === "by-policy") return bySts ?? opportunistic(domain);
    if (bySts !== undefined && "skip" in bySts) return { ...bySts, refusal: unsafe(bySts.skip) };
    return requiredTls(domain, question, bySts);
  }

  /** DANE's policy; undefined where DANE has nothing to say of the host, or nothing that proves it where that is asked for. */
  async #dane(domain: string, question: HostQuestion): Promise<HostPolicy | SkippedHost | undefined> {
    const { host, mx, tls } = question;
    if (!this.#options.config().tls.dane || mx !== "authentic" || !isDomain(host)) return undefined;
    const found = await findTlsa(this.#options.dns, host);
    if (found.kind === "none") return undefined;
    if (found.kind === "failed") {
      const tlsrpt: TlsReportPolicy = { policyType: "tlsa", policyString: [], mxHost: [host] };
      const skip = `the addresses or TLSA records of ${host} can't be looked up: ${found.reason}`;
      return { skip, name: "DANE", tlsrpt, resultType: "dnssec-invalid" };
    }
    // Records that nobody can use ask for TLS, but prove nothing (RFC 7672 2.2).
    if (tls === "verified" && usableTlsa(found.records).length === 0) return undefined;
    return danePolicy(found, { domain, host, clock: this.#options.clock });
  }
}

/** `example.org`, or `.example.org` for its subdomains. */
function isFor(match: string, domain: string): boolean {
  return match.startsWith(".") ? domain.endsWith(match) : domain === match;
}

// ---------------------------------------------------------------- the operator's word

/**
 * The policy for a host that the operator named, by its route's setting. A message that must travel verified
 * (RFC 8689) makes it so, whatever the setting.
 */
export function relayPolicy(setting: HostTls, tls: MessageTls = "by-policy"): HostPolicy {
  return tls === "verified"
    ? operatorPolicy("verified", "REQUIRETLS")
    : operatorPolicy(setting, `relay (${setting})`);
}

function operatorPolicy(tls: HostTls, name: string): HostPolicy {
  if (tls === "verified" || tls === "implicit") {
    return { starttls: "required", judge: judgeVerified, name, tlsrpt: NO_POLICY };
  }
  const starttls = tls === "off" ? "never" : tls === "required" ? "required" : "if-offered";
  return { starttls, judge: judgeNothing, name, tlsrpt: NO_POLICY };
}

function judgeNothing(peer: PeerTls): TlsVerdict {
  return { ok: true, how: peer.verified ? "verified" : "not verified", resultType: "" };
}

function judgeVerified(peer: PeerTls): TlsVerdict {
  if (peer.verified) return { ok: true, how: "verified", resultType: "" };
  return { ok: false, problem: problemOf(peer), resultType: kindOf(peer) };
}

function problemOf(peer: PeerTls): string {
  return peer.problem === "" ? "its certificate can't be verified" : peer.problem;
}

function kindOf(peer: PeerTls): TlsResultType {
  return peer.kind === "" ? "validation-failure" : peer.kind;
}

// ---------------------------------------------------------------- what the domain published

function opportunistic({ sts }: DomainPolicy): HostPolicy {
  const { problem } = sts;
  if (problem === undefined) return operatorPolicy("opportunistic", "opportunistic");
  // Mail goes on, and the report tells of the policy that could not be had.
  return {
    starttls: "if-offered",
    judge: (peer) => ({ ...judgeNothing(peer), resultType: problem.resultType }),
    name: `opportunistic (MTA-STS: ${problem.reason})`,
    tlsrpt: { policyType: "sts", policyString: [], mxHost: [] },
  };
}

/** MTA-STS' policy; undefined where the domain has none. */
function stsPolicy({ domain, sts }: DomainPolicy, host: string): HostPolicy | SkippedHost | undefined {
  const { rules, lines } = sts;
  if (rules === undefined) return undefined;
  const tlsrpt: TlsReportPolicy = { policyType: "sts", policyString: lines, mxHost: rules.mx };
  const isNamed = mxMatches(host, rules.mx);
  const name = `MTA-STS (${rules.mode})`;
  if (rules.mode === "enforce") {
    if (isNamed) return { starttls: "required", judge: judgeVerified, name, tlsrpt };
    // RFC 8461 4.1, 5: it must not get the mail.
    const skip = `${host} is not among the hosts of ${domain}'s MTA-STS policy`;
    return { skip, name, tlsrpt, resultType: "validation-failure" };
  }
  return {
    starttls: "if-offered",
    // RFC 8461 5: in mode testing mail goes on, and failures are reported.
    judge(peer) {
      const resultType = !isNamed ? "validation-failure" : peer.verified ? "" : kindOf(peer);
      return { ...judgeNothing(peer), resultType };
    },
    name,
    tlsrpt,
  };
}

/** RFC 8689 4.2.1: there is no way to a host that is safe enough, and its sender is to be told. */
export function unsafe(text: string): Reply {
  return reply(550, "5.7.10", text);
}

/** RFC 8689 4.2.1: the name of the host must be proved, and the certificate be for it. */
function requiredTls(
  { domain, rule, sts }: DomainPolicy,
  { host, mx }: HostQuestion,
  bySts: HostPolicy | undefined,
): HostPolicy | SkippedHost {
  const tlsrpt = bySts?.tlsrpt ?? NO_POLICY;
  const isProved = mx === "authentic" || (sts.rules !== undefined && mxMatches(host, sts.rules.mx)) ||
    // The operator answers for what the rule is about.
    rule === "verified" || rule === "implicit";
  if (isProved) return { starttls: "required", judge: judgeVerified, name: "REQUIRETLS", tlsrpt };
  const skip = `the message asks for REQUIRETLS, and neither DNSSEC nor MTA-STS proves that ${host} ` +
    `is a host of ${domain}`;
  const skipped: SkippedHost = { skip, name: "REQUIRETLS", tlsrpt, resultType: "" };
  // What could not be looked up or fetched now may prove it another time.
  const mayChange = sts.problem !== undefined || sts.uncertain !== undefined;
  return mayChange ? skipped : { ...skipped, refusal: unsafe(skip) };
}

// ---------------------------------------------------------------- DANE

type TlsaFinding =
  | { readonly kind: "none" }
  | { readonly kind: "failed"; readonly reason: string }
  /** `base` is the name that has the records (RFC 7672 2.2.3). */
  | { readonly kind: "found"; readonly base: string; readonly records: readonly TlsaRecord[] };

const NONE: TlsaFinding = { kind: "none" };

async function findTlsa(dns: Dns, host: string): Promise<TlsaFinding> {
  // RFC 7672 2.2.2: only where the host's addresses are signed, so that a zone that is not is never asked for TLSA.
  const address = await addressOf(dns, host);
  if (address.status === "failed") return { kind: "failed", reason: address.reason };
  if (address.status !== "found" || !address.authentic) return NONE;
  // RFC 7672 2.2.3: the name behind the aliases first, then the one in the MX record.
  for (const base of new Set([address.name, host])) {
    const answer = await dns.query(`_25._tcp.${base}`, "TLSA");
    if (answer.status === "failed") return { kind: "failed", reason: answer.reason };
    if (answer.status === "found" && answer.authentic) {
      return { kind: "found", base, records: answer.records };
    }
  }
  return NONE;
}

async function addressOf(dns: Dns, host: string): Promise<DnsAnswer<string>> {
  const ipv4 = await dns.query(host, "A");
  if (ipv4.status === "found") return ipv4;
  const ipv6 = await dns.query(host, "AAAA");
  return ipv6.status === "found" || ipv4.status !== "failed" ? ipv6 : ipv4;
}

function danePolicy(
  { base, records }: { readonly base: string; readonly records: readonly TlsaRecord[] },
  { domain, host, clock }: { readonly domain: string; readonly host: string; readonly clock: Clock },
): HostPolicy {
  const tlsrpt: TlsReportPolicy = {
    policyType: "tlsa",
    policyString: records.slice(0, REPORTED_RECORDS).map(recordText),
    mxHost: [host],
  };
  return {
    starttls: "required",
    judge(peer) {
      const names = [...new Set([base, host, domain])];
      const verdict = matchTlsa(records, { chain: peer.chain, names, nowMs: clock.nowMs() });
      if (verdict === "match") return { ok: true, how: "verified by DANE", resultType: "" };
      if (verdict === "unusable") {
        return { ok: true, how: `${judgedText(peer)}, no usable TLSA record`, resultType: "tlsa-invalid" };
      }
      const problem = `its certificate is not the one that the TLSA records of ${base} ask for`;
      return { ok: false, problem, resultType: "validation-failure" };
    },
    name: "DANE",
    tlsrpt,
  };
}

function judgedText(peer: PeerTls): string {
  return peer.verified ? "verified" : "not verified";
}

/** `3 1 1 0B9FA5…` (RFC 6698 2.2). */
function recordText({ usage, selector, matchingType, certificate }: TlsaRecord): string {
  const hex = Array.from(certificate.subarray(0, 64), (octet) => octet.toString(16).padStart(2, "0")).join(
    "",
  );
  return `${usage} ${selector} ${matchingType} ${hex}`;
}
