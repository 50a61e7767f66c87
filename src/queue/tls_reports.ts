/**
 * Counts TLS sessions with other systems, and sends the domains that ask for it a daily report (RFC 8460).
 *
 * Guarantees: counting costs no I/O and never fails; what is counted is in the store within a minute, and at
 * {@linkcode TlsReports.stop}. A day is reported once it is over, in UTC; a report that can't be sent is tried again every
 * hour until it is two days old (RFC 8460 5.4 asks for one). Counts of a day and a domain are forgotten when their report is
 * on its way; after a crash in between it is sent again under the same report-id.
 *
 * Absent on purpose: reports about sessions that were themselves for reports (the caller doesn't count them, RFC 8460 3).
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import type { Clock, Timer } from "../base/clock.ts";
import { CHUNK_OCTETS } from "../base/limits.ts";
import type { Random } from "../base/random.ts";
import { formatMessageKey, type MessageKey } from "../mail/message_id.ts";
import {
  composeTlsReport,
  type CountedSessions,
  formatTlsSubject,
  parseTlsSubject,
  type ReportDestination,
  reportDestinations,
  tlsReportGzip,
  type TlsSubject,
} from "../mime/tls_report.ts";
import type { Dns } from "../net/dns.ts";
import type { AcceptedMessage, TlsTally, Trust } from "../store/types.ts";

const log = getLogger(["emsmail", "tls"]);

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** How often counts go to the store, in milliseconds. */
const FLUSH_MS = MINUTE_MS;
/** RFC 8460 4.1: reports are spread over the first four hours of the day. */
const SPREAD_MINUTES = 240;
/** How soon after a start in the rest of the day, in minutes: what was not sent while the server was down. */
const LATE_MINUTES = 60;
/** A report this late is of no use, in days. */
const DROPPED_DAYS = 2;
/** Counts in memory, about a kilobyte each; beyond it sessions of new kinds go uncounted until the next minute. */
const COUNTS = 5000;
/** Kinds of sessions in one report; a domain has a few. */
const SUBJECTS = 500;

/** A day and a domain. */
interface Due {
  readonly day: string;
  readonly domain: string;
}

type Contents = Parameters<typeof tlsReportGzip>[0];

export interface TlsReportsOptions {
  readonly trust: Pick<Trust, "addTlsTallies" | "tlsTallies" | "removeTlsTallies">;
  readonly dns: Dns;
  readonly clock: Clock;
  readonly random: Random;
  /** Our own host name. */
  readonly hostname: string;
  /** Who sends reports and answers questions about them: an address here, which also stands in From. */
  readonly contact: string;
  /** `tls.reports` as configured now; without it nothing is counted, kept or sent. */
  readonly enabled: () => boolean;
  readonly nextKey: () => MessageKey;
  /** Queues a message; resolves once it is kept. */
  readonly submit: (message: AcceptedMessage) => Promise<void>;
  /** Sends a report to an HTTPS address with POST; gives the answer's status. */
  readonly post: (
    url: string,
    report: { readonly contentType: string; readonly body: Uint8Array },
  ) => Promise<number>;
}

export class TlsReports {
  readonly #options: TlsReportsOptions;
  #counts = new Map<string, TlsTally>();
  #lost = 0;
  #flushTimer: Timer | undefined;
  #roundTimer: Timer | undefined;
  #running: Promise<void> = Promise.resolve();
  #isStarted = false;
  #isStopped = false;

  constructor(options: TlsReportsOptions) {
    this.#options = options;
  }

  /** Counts one session with a domain (canonical). */
  count(domain: string, subject: TlsSubject): void {
    if (!this.#options.enabled()) return;
    this.#add({
      day: dayOf(this.#options.clock.nowMs()),
      domain,
      subject: formatTlsSubject(subject),
      sessions: 1,
    });
  }

  /** Begins to store counts every minute and to send reports every day. */
  start(): void {
    const { clock, random } = this.#options;
    this.#isStarted = true;
    if (this.#counts.size > 0) this.#flushLater();
    const sinceMidnightMs = clock.nowMs() % DAY_MS;
    const spreadMs = SPREAD_MINUTES * MINUTE_MS;
    const delayMs = sinceMidnightMs < spreadMs
      ? wholeMinutesMs(random.fraction() * (spreadMs - sinceMidnightMs))
      : wholeMinutesMs(random.fraction() * LATE_MINUTES * MINUTE_MS);
    this.#roundLater(delayMs);
  }

  /** Stores what was counted, and ends. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#flushTimer?.cancel();
    this.#roundTimer?.cancel();
    await this.#running;
    await this.flush();
  }

  /** Stores what was counted; never rejects, and keeps what could not be stored. */
  async flush(): Promise<void> {
    if (this.#lost > 0) log.warn("TLS sessions not counted for reports", { sessions: this.#lost });
    this.#lost = 0;
    if (this.#counts.size === 0) return;
    const tallies = [...this.#counts.values()];
    this.#counts = new Map();
    try {
      await this.#options.trust.addTlsTallies(tallies);
    } catch (error) {
      log.error("counts of TLS sessions can't be stored", { error: String(error) });
      for (const tally of tallies) this.#add(tally);
    }
  }

  /** Sends the reports of days that are over; says whether any has to be tried again. Never rejects. */
  async sendReports(): Promise<"done" | "again"> {
    const { trust, clock, enabled } = this.#options;
    const today = dayOf(clock.nowMs());
    let outcome: "done" | "again" = "done";
    try {
      const tallies = await trust.tlsTallies(today);
      for (const [due, counted] of byDomain(tallies)) {
        if (this.#isStopped) break;
        const ageDays = (Date.parse(today) - Date.parse(due.day)) / DAY_MS;
        const isOver = !enabled() || ageDays > DROPPED_DAYS || await this.#report(due, counted) === "done";
        if (isOver) await trust.removeTlsTallies(due.day, due.domain);
        else outcome = "again";
      }
    } catch (error) {
      log.error("TLS reports can't be sent", { error: String(error) });
      return "again";
    }
    return outcome;
  }

  /** Reports one day of a domain, if it asks for that. */
  async #report(due: Due, counted: readonly CountedSessions[]): Promise<"done" | "again"> {
    const answer = await this.#options.dns.query(`_smtp._tls.${due.domain}`, "TXT");
    if (answer.status === "failed") return "again";
    const destinations = answer.status === "found" ? reportDestinations(answer.records) : [];
    if (destinations.length === 0 || counted.length === 0) return "done";
    const report: Contents = {
      hostname: this.#options.hostname,
      contact: this.#options.contact,
      counted: counted.slice(0, SUBJECTS),
      ...due,
    };
    return await this.#send(report, destinations);
  }

  /**
   * RFC 8460 3: a copy for each destination. It is done once one of them took it: sent again for the others, that one would
   * have it twice.
   */
  async #send(report: Contents, destinations: readonly ReportDestination[]): Promise<"done" | "again"> {
    let outcome: "done" | "again" = "again";
    for (const destination of destinations) {
      if (await this.#sendTo(destination, report)) outcome = "done";
    }
    return outcome;
  }

  async #sendTo(destination: ReportDestination, report: Contents): Promise<boolean> {
    const { domain, day } = report;
    try {
      if (destination.kind === "mail") {
        await this.#options.submit(this.#message(report, destination.address));
        log.info("TLS report queued", { domain, day, to: destination.address });
        return true;
      }
      const { url } = destination;
      const body = tlsReportGzip(report);
      const status = await this.#options.post(url, { contentType: "application/tlsrpt+gzip", body });
      // RFC 8460 5.4: any 2yz means that it was taken.
      const isTaken = status >= 200 && status < 300;
      if (isTaken) log.info("TLS report sent", { domain, day, to: url });
      else log.warn("TLS report was not taken", { domain, day, to: url, status });
      return isTaken;
    } catch (error) {
      log.warn("TLS report can't be sent", { domain, day, error: String(error) });
      return false;
    }
  }

  #message(report: Contents, to: string): AcceptedMessage {
    const { clock, hostname, contact, nextKey } = this.#options;
    const [key, atMs] = [nextKey(), clock.nowMs()];
    let octets = composeTlsReport(report, { from: contact, to: [to], atMs, key });
    // What was made here is of one part. A policy that hardly compresses can't change that.
    for (let kept = report.counted.length; octets.length > CHUNK_OCTETS && kept > 1;) {
      kept = Math.floor(kept / 2);
      const shorter = { ...report, counted: report.counted.slice(0, kept) };
      octets = composeTlsReport(shorter, { from: contact, to: [to], atMs, key });
    }
    return {
      key,
      lastPart: octets,
      size: octets.length,
      receivedAtMs: atMs,
      // No notification of what becomes of it: nobody would read that.
      envelope: { reversePath: "", recipients: [to], smtpUtf8: false },
      origin: { client: "", helo: hostname, transmission: "ESMTP", made: "report" },
      messageId: `${formatMessageKey(key)}@${hostname}`,
    };
  }

  #add(tally: TlsTally): void {
    const key = `${tally.day}\n${tally.domain}\n${tally.subject}`;
    const known = this.#counts.get(key);
    if (known === undefined && this.#counts.size >= COUNTS) {
      this.#lost += tally.sessions;
      return;
    }
    this.#counts.set(key, { ...tally, sessions: tally.sessions + (known?.sessions ?? 0) });
    this.#flushLater();
  }

  /** A timer runs only while something waits for it. */
  #flushLater(): void {
    if (!this.#isStarted || this.#isStopped || this.#flushTimer !== undefined) return;
    this.#flushTimer = this.#options.clock.after(FLUSH_MS, () => {
      this.#flushTimer = undefined;
      this.#run(() => this.flush());
    });
  }

  #roundLater(delayMs: number): void {
    this.#roundTimer = this.#options.clock.after(delayMs, () => {
      this.#run(async () => {
        // What was counted until midnight belongs to the report.
        await this.flush();
        const outcome = await this.sendReports();
        if (!this.#isStopped) this.#roundLater(outcome === "again" ? HOUR_MS : this.#untilNextRoundMs());
      });
    });
  }

  /** To a random minute in the first hours of tomorrow. */
  #untilNextRoundMs(): number {
    const { clock, random } = this.#options;
    const untilMidnightMs = DAY_MS - clock.nowMs() % DAY_MS;
    return untilMidnightMs + Math.floor(random.fraction() * SPREAD_MINUTES) * MINUTE_MS;
  }

  #run(work: () => Promise<void>): void {
    this.#running = this.#running.then(work).catch((error) => {
      log.error("TLS reports failed", { error: String(error) });
    });
  }
}

function dayOf(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 10);
}

function wholeMinutesMs(ms: number): number {
  return Math.floor(ms / MINUTE_MS) * MINUTE_MS;
}

/** Counts by day and domain, those of most sessions first; what can't be read is passed over. */
function byDomain(tallies: readonly TlsTally[]): [Due, CountedSessions[]][] {
  const groups = new Map<string, [Due, CountedSessions[]]>();
  for (const { day, domain, subject, sessions } of tallies) {
    const key = `${day}\n${domain}`;
    const group = groups.get(key) ?? [{ day, domain }, []];
    groups.set(key, group);
    const read = parseTlsSubject(subject);
    if (read !== undefined) group[1].push({ subject: read, sessions });
  }
  for (const [, counted] of groups.values()) counted.sort((a, b) => b.sessions - a.sessions);
  return [...groups.values()];
}
