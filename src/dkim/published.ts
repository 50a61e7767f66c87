/**
 * What is published for a key, held against the key (RFC 6376 3.6.1, 6.1.2).
 *
 * @module
 */
import { createHash } from "node:crypto";
import { type PrivateKey, publicKeyText } from "./keys.ts";

export interface Comparison {
  /** The record makes this key's signatures verify. */
  readonly verdict: "right" | "wrong";
  /** What differs, or what may not have been meant; a half sentence each. */
  readonly remarks: readonly string[];
}

/** Holds the texts of the TXT records found at a key's name against the key; there is one at least. */
export function comparePublished(
  key: PrivateKey,
  texts: readonly string[],
): Comparison {
  const records = texts.filter((text) => /(?:^|;)\s*(?:p\s*=|v\s*=\s*DKIM)/.test(text));
  if (records.length === 0) return wrong(`the TXT record there is not a DKIM key: ${quoted(texts[0] ?? "")}`);
  // RFC 6376 3.6.2.2: with several, what a verifier does is undefined.
  if (records.length > 1) {
    return wrong(`there are ${records.length} keys at that name where there may be one`);
  }
  const tags = parseTags(records[0]!);
  const problems = [...keyProblems(key, tags), ...useProblems(tags)];
  if (problems.length > 0) return { verdict: "wrong", remarks: problems };
  const flags = listed(tags.get("t"));
  return {
    verdict: "right",
    remarks: flags.includes("y")
      ? ["it is marked t=y (testing): verifiers may ignore what it says; take that out when all is well"]
      : [],
  };
}

function wrong(remark: string): Comparison {
  return { verdict: "wrong", remarks: [remark] };
}

/** RFC 6376 3.2: `tag=value; tag=value`, white space between meaning nothing. */
function parseTags(text: string): Map<string, string> {
  const tags = new Map<string, string>();
  for (const part of text.split(";")) {
    const equals = part.indexOf("=");
    if (equals > 0) tags.set(part.slice(0, equals).trim(), part.slice(equals + 1).trim());
  }
  return tags;
}

function keyProblems(
  key: PrivateKey,
  tags: ReadonlyMap<string, string>,
): string[] {
  const type = key.algorithm === "rsa-sha256" ? "rsa" : "ed25519";
  const published = tags.get("k") ?? "rsa";
  if (published !== type) return [`it says k=${quoted(published)} and the key is k=${type}`];
  const p = (tags.get("p") ?? "").replace(/\s+/g, "");
  if (p === "") return ["its p= is empty, which means that the key was withdrawn"];
  const own = publicKeyText(key);
  if (p === own) return [];
  if (own.startsWith(p) || p.startsWith(own)) {
    return [`its p= has ${p.length} characters and should have ${own.length}: it was cut or added to`];
  }
  return [`it holds another key (${fingerprint(p)}) than this system signs with (${fingerprint(own)})`];
}

function useProblems(tags: ReadonlyMap<string, string>): string[] {
  const problems: string[] = [];
  const version = tags.get("v");
  if (version !== undefined && version !== "DKIM1") {
    problems.push(`it says v=${quoted(version)} in place of v=DKIM1`);
  }
  const hashes = listed(tags.get("h"));
  if (hashes.length > 0 && !hashes.includes("sha256")) problems.push("its h= leaves out sha256");
  const services = listed(tags.get("s"));
  if (services.length > 0 && !services.includes("*") && !services.includes("email")) {
    problems.push("its s= leaves out email");
  }
  return problems;
}

function listed(value: string | undefined): string[] {
  return (value ?? "").split(":").map((each) => each.trim()).filter((each) => each !== "");
}

/** The beginning of a key's hash: enough to tell two keys apart. */
function fingerprint(p: string): string {
  return createHash("sha256").update(p).digest("hex").slice(0, 12);
}

/** What somebody else wrote, short and on one line. */
function quoted(text: string): string {
  const line = text.replace(/[^\x20-\x7e]/g, "?");
  return `"${line.length > 60 ? `${line.slice(0, 57)}...` : line}"`;
}
