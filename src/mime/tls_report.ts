/**
 * Reports of TLS sessions (RFC 8460): whether a domain asks for them, the JSON, and the mail around it.
 *
 * Guarantees: pure; what is made of tallies is the same whenever it is made of the same ones. Texts that came from other
 * systems (policies, host names) stand in JSON strings only.
 *
 * Absent on purpose: addresses of single sessions (`sending-mta-ip`, `receiving-ip`), which are not counted.
 *
 * @module
 */
import { gzipSync } from "node:zlib";
import { utf8 } from "../base/bytes.ts";
import { formatAddress, isDomain, parseAddress } from "../mail/address.ts";
import type { MessageKey } from "../mail/message_id.ts";
import { encodeBase64Lines, field } from "./report/encode.ts";
import { multipartReport, textPart } from "./report/multipart.ts";
import { dateField, messageIdField } from "./trace.ts";

/** How a session ended (RFC 8460 4.3); "" is success. */
export type TlsResultType =
  | ""
  | "starttls-not-supported"
  | "certificate-expired"
  | "certificate-host-mismatch"
  | "certificate-not-trusted"
  | "validation-failure"
  | "tlsa-invalid"
  | "dnssec-invalid"
  | "dane-required"
  | "sts-policy-fetch-error"
  | "sts-policy-invalid"
  | "sts-webpki-invalid";

/** The policy that sessions were under (RFC 8460 4.2, 4.4). */
export interface TlsReportPolicy {
  readonly policyType: "sts" | "tlsa" | "no-policy-found";
  /** The policy file's lines, or TLSA records in their text form. */
  readonly policyString: readonly string[];
  /** The patterns of an MTA-STS policy, or the host that has the TLSA records. */
  readonly mxHost: readonly string[];
}

/** What sessions that are counted together have in common. */
export interface TlsSubject extends TlsReportPolicy {
  readonly resultType: TlsResultType;
  /** The host that was connected to, for failures. */
  readonly receivingMx?: string;
}

export interface CountedSessions {
  readonly subject: TlsSubject;
  readonly sessions: number;
}

/** What a report tells. */
export interface TlsReport {
  /** Our own host name, which also stands for the organization. */
  readonly hostname: string;
  /** An address for questions. */
  readonly contact: string;
  /** The domain it is about. */
  readonly domain: string;
  /** `2026-11-24`, UTC. */
  readonly day: string;
  readonly counted: readonly CountedSessions[];
}

/** Destinations of one domain's reports at most: each is a message or a request. */
const DESTINATIONS = 5;
/** A record longer than this is no record, in characters. */
const RECORD_CHARACTERS = 4096;

/** A subject as it is kept, the same text for equal subjects. */
export function formatTlsSubject(subject: TlsSubject): string {
  const { policyType, policyString, mxHost, resultType, receivingMx } = subject;
  return JSON.stringify({ policyType, policyString, mxHost, resultType, receivingMx });
}

/** Reads back what {@linkcode formatTlsSubject} made; undefined where the text is no such thing. */
export function parseTlsSubject(text: string): TlsSubject | undefined {
  try {
    const { policyType, policyString, mxHost, resultType, receivingMx } = JSON.parse(text);
    const isSubject = typeof policyType === "string" && isTexts(policyString) && isTexts(mxHost) &&
      typeof resultType === "string" && (receivingMx === undefined || typeof receivingMx === "string");
    return isSubject
      ? { policyType, policyString, mxHost, resultType, receivingMx } as unknown as TlsSubject
      : undefined;
  } catch {
    return undefined;
  }
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((each) => typeof each === "string");
}

// ---------------------------------------------------------------- who asks for reports

/** Where reports go. */
export type ReportDestination =
  | { readonly kind: "mail"; readonly address: string }
  | { readonly kind: "https"; readonly url: string };

/**
 * Where a domain wants its reports, by the TXT records of `_smtp._tls.<domain>` (RFC 8460 3); none where there isn't exactly
 * one record of this kind.
 *
 * ```abnf
 * tlsrpt-record = "v=TLSRPTv1" 1*(*WSP ";" *WSP tlsrpt-field) [*WSP ";"]
 * tlsrpt-rua    = "rua=" tlsrpt-uri *(*WSP "," *WSP tlsrpt-uri)
 * ```
 */
export function reportDestinations(records: readonly string[]): ReportDestination[] {
  const ours = records.filter((record) => /^v=TLSRPTv1[ \t]*;/.test(record));
  if (ours.length !== 1 || ours[0]!.length > RECORD_CHARACTERS) return [];
  const fields = ours[0]!.split(";").map((each) => each.trim());
  const rua = fields.find((each) => /^rua=/.test(each));
  if (rua === undefined) return [];
  return rua.slice("rua=".length).split(",")
    .map((uri) => destinationOf(uri.trim()))
    .filter((each): each is ReportDestination => each !== undefined)
    .slice(0, DESTINATIONS);
}

function destinationOf(uri: string): ReportDestination | undefined {
  if (/^mailto:/i.test(uri)) {
    const text = decoded(uri.slice("mailto:".length).replace(/[?!].*$/s, ""));
    const address = text === undefined ? undefined : parseAddress(text);
    // Reports go to names, not to numbers somebody put into DNS.
    if (address === undefined || "error" in address || !isDomain(address.domain)) return undefined;
    return { kind: "mail", address: formatAddress(address) };
  }
  if (!/^https:\/\//i.test(uri) || !URL.canParse(uri)) return undefined;
  const url = new URL(uri);
  const isPlain = url.username === "" && url.password === "" && /[a-z]/i.test(url.hostname) &&
    isDomain(url.hostname);
  url.hash = "";
  return isPlain ? { kind: "https", url: url.href } : undefined;
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

// ---------------------------------------------------------------- the report

/** `2026-11-24.example.org@mail.example.net`: the same for a report that is sent again. */
export function reportId(report: TlsReport): string {
  return `${report.day}.${report.domain}@${report.hostname}`;
}

/** The report as JSON (RFC 8460 4.4). */
export function tlsReportJson(report: TlsReport): string {
  const { hostname, contact, domain, day } = report;
  return JSON.stringify({
    "organization-name": hostname,
    "date-range": { "start-datetime": `${day}T00:00:00Z`, "end-datetime": `${day}T23:59:59Z` },
    "contact-info": contact,
    "report-id": reportId(report),
    policies: policiesOf(report.counted).map((counted) => policyJson(counted, domain)),
  });
}

/** Sessions by the policy they were under. */
function policiesOf(counted: readonly CountedSessions[]): CountedSessions[][] {
  const groups = new Map<string, CountedSessions[]>();
  for (const each of counted) {
    const { policyType, policyString, mxHost } = each.subject;
    const key = JSON.stringify([policyType, policyString, mxHost]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [each]);
    else group.push(each);
  }
  return [...groups.values()];
}

function policyJson(counted: readonly CountedSessions[], domain: string): unknown {
  const { policyType, policyString, mxHost } = counted[0]!.subject;
  const failures = counted.filter(({ subject }) => subject.resultType !== "");
  const total = (of: readonly CountedSessions[]) => of.reduce((sum, { sessions }) => sum + sessions, 0);
  const failed = total(failures);
  return {
    policy: {
      "policy-type": policyType,
      ...(policyString.length === 0 ? {} : { "policy-string": policyString }),
      "policy-domain": domain,
      ...(mxHost.length === 0 ? {} : { "mx-host": mxHost }),
    },
    summary: {
      "total-successful-session-count": total(counted) - failed,
      "total-failure-session-count": failed,
    },
    ...(failures.length === 0 ? {} : { "failure-details": failures.map(failureJson) }),
  };
}

function failureJson({ subject, sessions }: CountedSessions): unknown {
  return {
    "result-type": subject.resultType,
    ...(subject.receivingMx === undefined ? {} : { "receiving-mx-hostname": subject.receivingMx }),
    "failed-session-count": sessions,
  };
}

/** The report as it is sent: `application/tlsrpt+gzip` (RFC 8460 5.2). */
export function tlsReportGzip(report: TlsReport): Uint8Array {
  return gzipSync(utf8(tlsReportJson(report)));
}

/** The mail around the report (RFC 8460 5.3), header and all, in ASCII; each line ends with CRLF. */
export function composeTlsReport(
  report: TlsReport,
  mail: {
    readonly from: string;
    readonly to: readonly string[];
    /** Now, in milliseconds since 1970. */
    readonly atMs: number;
    readonly key: MessageKey;
  },
): Uint8Array {
  const { hostname, domain, day } = report;
  const head = [
    field("From", `<${mail.from}>`),
    field("To", mail.to.map((address) => `<${address}>`).join(", ")),
    field("Subject", `Report Domain: ${domain} Submitter: ${hostname} Report-ID: <${reportId(report)}>`),
    dateField(mail.atMs),
    messageIdField(mail.key, hostname),
    field("TLS-Report-Domain", domain),
    field("TLS-Report-Submitter", hostname),
    // RFC 8689 5: a report of failing TLS must not fail by the same.
    field("TLS-Required", "No"),
    "Auto-Submitted: auto-generated\r\n",
  ].join("");
  const text = `This is a report of TLS sessions of mail from ${hostname} to ${domain} on ${day} (UTC),\n` +
    "as the domain's _smtp._tls record asks for (RFC 8460). Programs read the attached file.\n";
  const file = {
    fields: [
      "Content-Type: application/tlsrpt+gzip\r\n",
      "Content-Transfer-Encoding: base64\r\n",
      `Content-Disposition: attachment;\r\n filename="${fileName(report)}"\r\n`,
    ],
    body: utf8(encodeBase64Lines(tlsReportGzip(report))),
  };
  const parts = [textPart("text/plain; charset=utf-8", utf8(text)), file];
  return multipartReport(parts, { head, reportType: "tlsrpt", key: mail.key });
}

/** `mail.example.net!example.org!1795478400!1795564799.json.gz` (RFC 8460 5.1). */
export function fileName({ hostname, domain, day }: TlsReport): string {
  const begin = Date.parse(`${day}T00:00:00Z`) / 1000;
  const safe = (name: string) => name.replace(/[^A-Za-z0-9.-]/g, "_");
  return `${safe(hostname)}!${safe(domain)}!${begin}!${begin + 86_399}.json.gz`;
}
