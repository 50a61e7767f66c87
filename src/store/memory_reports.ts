/**
 * Reports in memory.
 *
 * @module
 */
import { formatMessageKey, type MessageKey } from "../mail/message_id.ts";
import type { MemoryBodies } from "./memory_bodies.ts";
import { contentsOf, missingReport } from "./report_rules.ts";
import { type Report, type Reports, StoreError } from "./types.ts";

/** What reports need of the rest of the store. */
export interface ReportHooks {
  readonly bodies: MemoryBodies;
  /** Runs a change as its own transaction. */
  change<T>(work: () => T): Promise<T>;
  /** Whether a message has the key. */
  isMessage(key: MessageKey): boolean;
  /** A content has the key from now on. */
  used(key: MessageKey): void;
}

export class MemoryReports implements Reports {
  readonly #hooks: ReportHooks;
  readonly #reports = new Map<string, { readonly versions: Report[]; readonly newest: number }>();

  constructor(hooks: ReportHooks) {
    this.#hooks = hooks;
  }

  /** Whether a report holds the content. */
  holds(key: MessageKey): boolean {
    return [...this.#reports.values()].some(({ versions }) =>
      versions.some((report) => contentsOf(report).some((content) => content.key === key))
    );
  }

  /** Nobody has the name any more. */
  forget(name: string): void {
    for (const [reportName, { versions, newest }] of this.#reports) {
      const kept = versions.map((report): Report => ({
        ...report,
        owner: report.owner === name ? "" : report.owner,
        readers: report.readers === "everyone"
          ? report.readers
          : report.readers.filter((reader) => reader !== name),
      }));
      this.#reports.set(reportName, { versions: kept, newest });
    }
  }

  put(report: Omit<Report, "version">): Promise<Report> {
    const { bodies, change, isMessage, used } = this.#hooks;
    return change(() => {
      const made = contentsOf(report).map(({ key, size }) => {
        if (isMessage(key) || bodies.has(key)) {
          const name = formatMessageKey(key);
          throw new StoreError("conflict", `the key ${name} is taken: a content needs one of its own`);
        }
        return [key, bodies.make({ key, size, lastPart: new Uint8Array(0) })] as const;
      });
      for (const [key, body] of made) {
        bodies.keep(key, body);
        used(key);
      }
      const before = this.#reports.get(report.name);
      const version = (before?.newest ?? 0) + 1;
      const kept = structuredClone({ ...report, version });
      this.#reports.set(report.name, { versions: [kept, ...before?.versions ?? []], newest: version });
      return structuredClone(kept);
    });
  }

  list(): Promise<Report[]> {
    const names = [...this.#reports.keys()].sort();
    return Promise.resolve(names.map((name) => structuredClone(this.#reports.get(name)!.versions[0]!)));
  }

  versions(name: string): Promise<Report[]> {
    return Promise.resolve(structuredClone(this.#reports.get(name)?.versions ?? []));
  }

  remove(name: string, version?: number): Promise<number> {
    return this.#hooks.change(() => {
      const { versions, newest } = this.#reports.get(name) ?? { versions: [], newest: 0 };
      const removed = versions.filter((report) => version === undefined || report.version === version);
      if (removed.length === 0) throw missingReport(name, version);
      const left = versions.filter((report) => !removed.includes(report));
      if (left.length === 0) this.#reports.delete(name);
      else this.#reports.set(name, { versions: left, newest });
      for (const { key } of removed.flatMap(contentsOf)) this.#hooks.bodies.release(key);
      return removed.length;
    });
  }
}
