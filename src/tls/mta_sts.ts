/**
 * MTA-STS (RFC 8461): the TXT record that announces a policy, the policy's text, and which hosts it names.
 *
 * Guarantees: pure; never fails; takes time in proportion to the text. A text that breaks the grammar where it matters is
 * no policy; fields nobody knows are passed over (RFC 8461 3.2).
 *
 * @module
 */
import { canonicalDomain, isDomain } from "../mail/address.ts";

/** RFC 8461 3.3: an upper bound on the policy is the fetcher's to set; this is the one it suggests, in octets. */
export const STS_POLICY_OCTETS = 64 * 1024;
/** RFC 8461 3.2: a policy's longest life, in seconds: about a year. */
export const STS_MAX_AGE_SECONDS = 31_557_600;
/** Patterns in one policy at most: the largest providers name a few dozen. */
const PATTERNS = 1000;

export interface StsRules {
  readonly mode: "enforce" | "testing" | "none";
  /** Canonical host names, or `*.example.org` for those one label below. */
  readonly mx: readonly string[];
  /** How long the policy is good for after it was fetched. */
  readonly maxAgeSeconds: number;
}

/**
 * The id that the TXT records of `_mta-sts.<domain>` announce; undefined where there isn't exactly one valid record.
 *
 * ```abnf
 * sts-text-record = "v=STSv1" 1*(*WSP ";" *WSP sts-field) [*WSP ";" *WSP]       ; RFC 8461 3.1
 * sts-id          = "id=" 1*32(ALPHA / DIGIT)
 * ```
 */
export function stsId(records: readonly string[]): string | undefined {
  const ours = records.filter((record) => /^v=STSv1[ \t]*;/.test(record));
  if (ours.length !== 1) return undefined;
  const fields = ours[0]!.slice(0, 4096).split(";").map((each) => each.trim());
  return fields.map((each) => /^id=([A-Za-z0-9]{1,32})$/.exec(each)?.[1]).find((id) => id !== undefined);
}

/** Reads a policy's text; what is wrong with it, as a sentence, where it is none. */
export function parseStsPolicy(text: string): StsRules | { readonly error: string } {
  if (text.length > STS_POLICY_OCTETS) {
    return { error: `the policy is longer than ${STS_POLICY_OCTETS} octets` };
  }
  const mx: string[] = [];
  const values = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const field = /^([A-Za-z0-9][A-Za-z0-9_.-]{0,31})[ \t]*:[ \t]*(.*)$/.exec(line);
    if (field === null) {
      if (line.trim() === "") continue;
      return { error: "the policy has a line that is not 'key: value'" };
    }
    const [key, value] = [field[1]!, field[2]!.trim()];
    if (key === "mx") {
      const pattern = mxPattern(value);
      if (pattern === undefined) return { error: "the policy has an mx that is no host name" };
      mx.push(pattern);
    } else if (!values.has(key)) values.set(key, value); // RFC 8461 3.2: of one key, the first counts
  }
  return rulesOf(values, mx);
}

function rulesOf(
  values: ReadonlyMap<string, string>,
  mx: readonly string[],
): StsRules | { readonly error: string } {
  const mode = values.get("mode");
  const maxAge = values.get("max_age") ?? "";
  if (values.get("version") !== "STSv1") return { error: "the policy's version is not STSv1" };
  if (mode !== "enforce" && mode !== "testing" && mode !== "none") {
    return { error: "the policy's mode is none of enforce, testing and none" };
  }
  if (!/^\d{1,10}$/.test(maxAge)) return { error: "the policy's max_age is no number of seconds" };
  if (mx.length > PATTERNS) return { error: `the policy has more than ${PATTERNS} mx lines` };
  if (mode !== "none" && mx.length === 0) return { error: "the policy names no mx" };
  return { mode, mx, maxAgeSeconds: Math.min(Number(maxAge), STS_MAX_AGE_SECONDS) };
}

function mxPattern(value: string): string | undefined {
  const star = value.startsWith("*.") ? "*." : "";
  const name = value.slice(star.length).replace(/\.$/, "");
  return isDomain(name) ? star + canonicalDomain(name) : undefined;
}

/** Whether one of a policy's patterns is for a host; `*.` stands for exactly one label (RFC 8461 4.1). */
export function mxMatches(host: string, patterns: readonly string[]): boolean {
  const name = canonicalDomain(host);
  const dot = name.indexOf(".");
  const above = dot < 1 ? undefined : `*${name.slice(dot)}`;
  return patterns.some((pattern) => pattern === name || pattern === above);
}
