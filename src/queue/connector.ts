/**
 * Opens a connection to a destination: finds its hosts and tries their addresses in order, until one stands, secured as
 * policy has it, logged in where that is configured.
 *
 * Guarantees: never rejects. Each try is kept with what was said in it, one that failed by TLS before another went without
 * among them. Whether a failure is for good follows from reply
 * codes alone: only where every host of a mail domain refuses with 5yz is its mail refused; a host that the
 * configuration names is tried again, since a mistake in the configuration must not send everybody's mail back. A message
 * that asked for REQUIRETLS goes back where no host can give it that (RFC 8689 4.2.1).
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import type { Clock } from "../base/clock.ts";
import { type Random, shuffled } from "../base/random.ts";
import { type Reply, reply } from "../mail/reply.ts";
import { formatListenAddress } from "../net/listener.ts";
import type { QueuedMessage } from "../store/types.ts";
import type { Connected, Explain } from "./courier_types.ts";
import type { Destination, Job } from "./destination.ts";
import { findAddresses, findHosts, type Host, type HostOptions, type Hosts } from "./hosts.ts";
import { type Dial, Opening } from "./opening.ts";
import { type OutgoingContent, SmtpCourier, type Trial } from "./smtp_courier.ts";
import { type DomainPolicy, type HostPolicy, relayPolicy, type SkippedHost } from "./tls_policy.ts";
import type { TlsReportPolicy, TlsResultType } from "../mime/tls_report.ts";

const log = getLogger(["emsmail", "outbound"]);

/** Addresses tried in all before a destination counts as unreachable. */
const TRIALS = 10;

export interface ConnectorSettings {
  readonly hostname: string;
  readonly connectionsPerHost: number;
  readonly recipients: number;
  /** More certificate authorities, in PEM. */
  readonly ca: string | undefined;
}

export interface ConnectorOptions extends Pick<HostOptions, "dns" | "lookUp" | "port"> {
  readonly dial: Dial;
  readonly clock: Clock;
  readonly random: Random;
  readonly settings: () => ConnectorSettings;
  readonly policies: {
    domainPolicy(domain: string): Promise<DomainPolicy>;
    hostPolicy(
      domain: DomainPolicy,
      question: { host: string; mx: "authentic" | "unproven"; tls: Destination["tls"] },
    ): Promise<HostPolicy | SkippedHost>;
  };
  /** Counts a TLS session, or what came of trying (RFC 8460 4.3). */
  readonly count: (session: TlsSession) => void;
  /** A relay host's password; rejects with a sentence where it can't be read. */
  readonly readPassword: (file: string) => Promise<string>;
  readonly content: (message: QueuedMessage) => Promise<OutgoingContent>;
  readonly retryAtMs: (failures: number) => number;
}

/** One TLS session of a mail domain, for its report. */
export interface TlsSession {
  readonly domain: string;
  readonly policy: TlsReportPolicy;
  readonly resultType: TlsResultType;
  readonly receivingMx: string;
}

/** What came of one address. */
type Tried =
  | { readonly kind: "open"; readonly courier: SmtpCourier }
  | Failed
  /** TLS failed where it was not needed: the same address may do without. */
  | { readonly kind: "without-tls"; readonly trial: Trial }
  | { readonly kind: "busy" };

interface Failed {
  readonly kind: "failed";
  /** One at least. */
  readonly trials: readonly Trial[];
  readonly reply: Reply | undefined;
  /** Whose word the reply is. */
  readonly from: "peer" | "here";
  readonly problem: string;
}

/** Where a try stands. */
interface Aim {
  readonly destination: Destination;
  readonly host: Host;
  readonly address: string;
  readonly policy: HostPolicy;
  readonly trials: readonly Trial[];
  readonly signal: AbortSignal;
}

export class Connector {
  readonly #options: ConnectorOptions;
  /** Connections to each address. */
  readonly #open = new Map<string, number>();

  constructor(options: ConnectorOptions) {
    this.#options = options;
  }

  /** Opens a connection to one of a destination's hosts. */
  async connect(destination: Destination, signal: AbortSignal): Promise<Connected> {
    const beganMs = this.#options.clock.nowMs();
    try {
      return await this.#connect(destination, signal);
    } catch (error) {
      // Ours, not theirs: the mail waits.
      log.error("connecting failed", {
        destination: destination.name,
        error: error instanceof Error ? error.stack : String(error),
      });
      const reason = error instanceof Error ? error.message : String(error);
      const trial = this.#notTried(destination, { host: "", beganMs, problem: reason });
      return { kind: "unreachable", reason, verdict: deferAll(destination, [trial], reason) };
    }
  }

  async #connect(destination: Destination, signal: AbortSignal): Promise<Connected> {
    const { clock } = this.#options;
    const beganMs = clock.nowMs();
    const { hop } = destination;
    if (hop.kind === "gateway") throw new Error(`${destination.name} is not reached by SMTP`);
    const hostOptions = this.#hostOptions();
    const hosts = await findHosts(hop, hostOptions);
    if (hosts.kind !== "hosts") {
      const problem = problemWith(destination, hosts);
      return noHosts(destination, hosts, [this.#notTried(destination, { host: "", beganMs, problem })]);
    }
    const domain = hop.kind === "mx" ? await this.#options.policies.domainPolicy(hop.domain) : undefined;
    const failed: Failed[] = [];
    let isBusy = false;
    let hasAddress = false;
    for (const host of hosts.hosts) {
      if (signal.aborted || failed.length >= TRIALS) break;
      const beganMs = clock.nowMs();
      const policy = await this.#policy(destination, host, domain);
      if ("skip" in policy) {
        hasAddress = true;
        failed.push(
          passedOver(
            this.#notTried(destination, { host: host.name, beganMs, problem: policy.skip }),
            policy.refusal,
          ),
        );
        if (domain !== undefined && policy.resultType !== "") {
          this.#count(domain, host, policy, policy.resultType);
        }
        continue;
      }
      const found = await findAddresses(host.name, hop, hostOptions);
      if (found.kind !== "addresses") {
        hasAddress ||= found.kind === "temporary";
        failed.push(
          passedOver(this.#notTried(destination, { host: host.name, beganMs, problem: found.reason })),
        );
        continue;
      }
      hasAddress = true;
      for (const address of found.addresses) {
        if (signal.aborted || failed.length >= TRIALS) break;
        const trials = failed.flatMap((each) => each.trials);
        const tried = await this.#try({ destination, host, address, policy, trials, signal }, domain);
        if (tried.kind === "open") return { kind: "courier", courier: tried.courier };
        if (tried.kind === "busy") isBusy = true;
        if (tried.kind === "failed") failed.push(tried);
      }
    }
    if (isBusy) return { kind: "busy" };
    if (!hasAddress && hop.kind === "mx" && !signal.aborted) {
      const reason = failed.at(-1)?.problem ?? "it has no host";
      const trials = failed.flatMap((each) => each.trials);
      return noHosts(destination, { kind: "no-host", reason, status: "5.4.4" }, trials);
    }
    return allFailed(destination, failed);
  }

  #hostOptions(): HostOptions {
    const { dns, lookUp, port, random, settings } = this.#options;
    return {
      dns,
      lookUp,
      port,
      ownNames: [settings().hostname.toLowerCase()],
      shuffle: (items) => shuffled(items, random),
    };
  }

  async #policy(
    destination: Destination,
    host: Host,
    domain: DomainPolicy | undefined,
  ): Promise<HostPolicy | SkippedHost> {
    const { hop, tls } = destination;
    if (hop.kind === "host") return relayPolicy(hop.host.tls, tls);
    const mx = host.authentic ? "authentic" : "unproven";
    return await this.#options.policies.hostPolicy(domain!, { host: host.name, mx, tls });
  }

  /** What ended before there was an address, as a try. */
  #notTried(
    destination: Destination,
    { host, beganMs, problem }: { readonly host: string; readonly beganMs: number; readonly problem: string },
  ): Trial {
    return {
      atMs: beganMs,
      durationMs: this.#options.clock.nowMs() - beganMs,
      destination: destination.name,
      host,
      address: "",
      tls: "",
      result: problem,
      dialogue: "",
    };
  }

  #count(
    domain: DomainPolicy,
    host: Host,
    policy: { readonly tlsrpt: TlsReportPolicy },
    resultType: TlsResultType,
  ): void {
    this.#options.count({ domain: domain.domain, policy: policy.tlsrpt, resultType, receivingMx: host.name });
  }

  /** Tries an address, and once more in the clear where TLS was a courtesy and failed. */
  async #try(aim: Aim, domain: DomainPolicy | undefined): Promise<Tried> {
    const first = await this.#once(aim, domain);
    if (first.kind !== "without-tls") return first;
    const { trial } = first;
    const policy: HostPolicy = { ...aim.policy, starttls: "never" };
    const second = await this.#once({ ...aim, policy, trials: [...aim.trials, trial] }, domain);
    return second.kind === "failed" ? { ...second, trials: [trial, ...second.trials] } : second;
  }

  async #once(aim: Aim, domain: DomainPolicy | undefined): Promise<Tried> {
    const { clock } = this.#options;
    const { host, address } = aim;
    const place = formatListenAddress({ host: address, port: host.port });
    if ((this.#open.get(place) ?? 0) >= this.#options.settings().connectionsPerHost) return { kind: "busy" };
    this.#occupy(place, 1);
    let isKept = false;
    try {
      const opening = new Opening({ ...this.#options, ...aim, place });
      const opened = await opening.run();
      if (domain !== undefined && opening.tlsResult !== undefined) {
        this.#count(domain, host, aim.policy, opening.tlsResult);
      }
      if (opened.kind === "failed") {
        const trial = opening.trial(opened.problem);
        if (opening.mayDoWithout) return { kind: "without-tls", trial };
        const { reply, from, problem } = opened;
        return { kind: "failed", trials: [trial], reply, from, problem };
      }
      isKept = true;
      const courier = new SmtpCourier({
        destination: aim.destination,
        driver: opened.driver,
        clock,
        host: host.name,
        address: place,
        tls: opening.tls,
        trials: aim.trials,
        recipientLimit: () => this.#options.settings().recipients,
        retryAtMs: this.#options.retryAtMs,
        content: this.#options.content,
        closed: () => this.#occupy(place, -1),
      });
      return { kind: "open", courier };
    } finally {
      if (!isKept) this.#occupy(place, -1);
    }
  }

  #occupy(place: string, change: 1 | -1): void {
    const count = (this.#open.get(place) ?? 0) + change;
    if (count === 0) this.#open.delete(place);
    else this.#open.set(place, count);
  }
}

// ---------------------------------------------------------------- what it means for the mail

type NoHosts = Exclude<Hosts, { kind: "hosts" }>;

/** A host that was not even tried. */
function passedOver(trial: Trial, refusal?: Reply): Failed {
  return { kind: "failed", trials: [trial], reply: refusal, from: "here", problem: trial.result };
}

/** What keeps a destination from having hosts, for people. */
function problemWith(destination: Destination, hosts: NoHosts): string {
  const domain = destination.hop.kind === "mx" ? destination.hop.domain : destination.name;
  switch (hosts.kind) {
    case "temporary":
      return hosts.reason;
    case "null-mx":
      return `${domain} takes no mail: it says so in DNS (null MX)`;
    case "loop":
      return `DNS names this system as the mail host of ${domain}, which it does not know as its own`;
    case "no-host":
      return `there is no mail host for ${domain}: ${hosts.reason}`;
  }
}

/** A destination without a host that could be tried. */
function noHosts(destination: Destination, hosts: NoHosts, trials: readonly Trial[]): Connected {
  const problem = problemWith(destination, hosts);
  const refuse = (answer: Reply, backup: "may-take-over" | "no"): Connected => ({
    kind: "refused",
    verdict: (job) => ({
      verdicts: refusals(job, answer, { by: "", dialogue: "" }),
      extras: { attempts: attemptsOf(job, trials) },
    }),
    backup,
  });
  switch (hosts.kind) {
    case "temporary":
      return { kind: "unreachable", reason: problem, verdict: deferAll(destination, trials, problem) };
    case "null-mx": // RFC 7505 4.1
      return refuse(reply(556, "5.1.10", problem), "no");
    case "loop":
      return refuse(reply(550, "5.4.6", problem), "no");
    case "no-host":
      return refuse(reply(550, hosts.status, problem), "may-take-over");
  }
}

/** All hosts were tried. */
function allFailed(destination: Destination, failed: readonly Failed[]): Connected {
  const last = failed.at(-1);
  const trials = failed.flatMap((each) => each.trials);
  const lastTrial = trials.at(-1);
  const isFinal = ({ reply, from }: Failed) =>
    reply !== undefined && reply.code >= 500 && (destination.hop.kind === "mx" || from === "here");
  if (failed.length > 0 && failed.every(isFinal)) {
    const by = last!.from === "peer" ? lastTrial!.host : "";
    const how = { by, dialogue: lastTrial!.dialogue };
    const verdict: Explain = (job) => ({
      verdicts: refusals(job, last!.reply!, how),
      extras: { attempts: attemptsOf(job, trials) },
    });
    return { kind: "refused", verdict, backup: "no" };
  }
  const where = lastTrial === undefined || lastTrial.host === "" ? "" : `${lastTrial.host}: `;
  const reason = last === undefined ? "connecting was called off" : `${where}${last.problem}`;
  return { kind: "unreachable", reason, verdict: deferAll(destination, trials, reason) };
}

function refusals(job: Job, answer: Reply, how: { readonly by: string; readonly dialogue: string }) {
  return job.recipients.map((recipient) => ({ kind: "failed" as const, recipient, reply: answer, ...how }));
}

function deferAll(destination: Destination, trials: readonly Trial[], reason: string): Explain {
  return (job) => ({
    verdicts: job.recipients.map((recipient) => ({
      kind: "deferred" as const,
      recipient,
      reason,
      destination: destination.name,
      // As soon as the destination answers again, whose back-off it shares.
      dueMs: 0,
      tried: "yes" as const,
      unreachable: "yes" as const,
      backup: job.route.backup,
      by: "",
      dialogue: trials.at(-1)?.dialogue ?? "",
    })),
    extras: { attempts: attemptsOf(job, trials) },
  });
}

function attemptsOf({ message, recipients }: Job, trials: readonly Trial[]) {
  return trials.map((trial) => ({
    ...trial,
    key: message.key,
    indexes: recipients.map(({ index }) => index),
  }));
}
