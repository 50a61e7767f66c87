/**
 * What the store promises about reports: files kept under a name, in versions, to be attached to mail. Callers import this
 * by `types.ts`, whose head has the guarantees.
 *
 * @module
 */
import type { MessageKey } from "../mail/message_id.ts";

/**
 * A file as it is kept: encoded for mail once (base64 in lines of 76 characters ended by CRLF, RFC 2045 6.8), so that
 * each message it is attached to holds a stretch of it and no copy.
 */
export interface StoredContent {
  /** `Maildrops.part` reads it. */
  readonly key: MessageKey;
  /** Octets as they are kept. */
  readonly size: number;
  /** Octets of the file. */
  readonly octets: number;
  /** With its suffix: `SALES.TXT`. */
  readonly fileName: string;
  /** `text/plain; charset=utf-8`, `application/pdf`. */
  readonly type: string;
}

/** Printer's carriage control in column 1: none, ASA (ANSI X3.4: space, 0, -, +, 1), or machine codes of IBM printers. */
export type CarriageControl = "none" | "asa" | "machine";

/** One version of a report. */
export interface Report {
  /** In upper case. */
  readonly name: string;
  /** From 1; never used again while the report has any version. */
  readonly version: number;
  readonly title: string;
  /** The account that put it; "" for an operator. */
  readonly owner: string;
  /** Accounts that may read it, beside the owner. */
  readonly readers: "everyone" | readonly string[];
  readonly createdAtMs: number;
  readonly carriage: CarriageControl;
  /** The file as it was put. */
  readonly file: StoredContent;
  /** With carriage control: what it is delivered as. */
  readonly rendered?: { readonly text: StoredContent; readonly pdf: StoredContent };
}

export interface Reports {
  /**
   * Keeps a new version, whose contents' parts went to `Spool.append` before.
   * @throws {StoreError} `conflict` where the parts don't add up
   */
  put(report: Omit<Report, "version">): Promise<Report>;
  /** The newest version of each, by name. */
  list(): Promise<Report[]>;
  /** All versions of one, newest first. */
  versions(name: string): Promise<Report[]>;
  /**
   * Removes one version, or all of them; gives how many. Mail that has it keeps its content.
   * @throws {StoreError} `missing`
   */
  remove(name: string, version?: number): Promise<number>;
}
