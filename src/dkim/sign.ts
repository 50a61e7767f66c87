/**
 * DKIM signatures (RFC 6376; RFC 8463 for Ed25519) on mail that leaves.
 *
 * Guarantees: relaxed/relaxed, SHA-256, t= and no x= or l=, so that a signature covers the whole body and holds as long
 * as its key is published. The fields of RFC 6376 5.4.1 are covered, and From, Subject, Date, To and Cc can't be added
 * to. The content is read once, in pieces; memory is bounded by the largest piece. What can't be signed so that it
 * would verify is an error and never a signature that fails: {@linkcode SigningError}.
 *
 * How: the body is hashed by body_hash.ts, the fields are chosen by header_section.ts; the package mailauth
 * canonicalizes them, makes the signature and writes its field. That package is loaded with the first message that has
 * a key, not before.
 *
 * Absent on purpose: whether a message may be signed at all (that it was submitted by somebody who may use the name it
 * bears) is the caller's to know. Looking at signatures of others, since nothing here is decided by them.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import { fieldNameLength, isMboxLine } from "../mime/field_name.ts";
import { fieldValues, type Header, parseHeader } from "../mime/header.ts";
import { parseMailboxList } from "../mime/mailbox_list.ts";
import { canonicalDomain } from "../mail/address.ts";
import { HEADER_OCTETS } from "../base/limits.ts";
import { asBuffer, fromLatin1, LF } from "../base/bytes.ts";
import { RelaxedBodyHash } from "./body_hash.ts";
import {
  HeaderSection,
  SIGNED_FIELDS,
  SIGNED_FIELDS_MAX,
  type SignedField,
  signedFields,
} from "./header_section.ts";
import type { SigningKey } from "./keys.ts";

/** A message could not be signed; its sentence says why. It may be sent without a signature. */
export class SigningError extends Error {
  override readonly name = "SigningError";
}

export interface SigningOptions {
  /** All keys there are. */
  readonly keys: readonly SigningKey[];
  /** The reverse-path, without brackets; "" for the null reverse-path. */
  readonly reversePath: string;
  readonly nowMs: number;
}

/**
 * The DKIM-Signature fields to put in front of a message, each ending with CRLF; empty where no key fits. `content` is
 * the message as it goes on the wire, without dot-stuffing.
 * @throws {SigningError}
 */
export async function signMessage(
  content: Uint8Array | AsyncIterable<Uint8Array>,
  { keys, reversePath, nowMs }: SigningOptions,
): Promise<Uint8Array> {
  if (keys.length === 0) return NOTHING;
  const section = new HeaderSection();
  const body = new RelaxedBodyHash();
  let plan: Plan | undefined;
  for await (const octets of pieces(content)) {
    const rest = plan === undefined ? section.push(octets) : octets;
    if (rest === undefined && !section.tooLarge) continue;
    plan ??= makePlan(section, { keys, reversePath });
    if (plan.keys.length === 0) return NOTHING;
    if (rest !== undefined) body.update(rest);
  }
  plan ??= makePlan(section, { keys, reversePath });
  if (plan.keys.length === 0) return NOTHING;
  const signature = await sign(plan, { bodyHash: body.digest(), nowMs });
  return fromLatin1(signature.map(foldField).join(""));
}

const NOTHING = new Uint8Array(0);
/** What is made of each piece stays small. */
const PIECE_OCTETS = 64 * 1024;

async function* pieces(content: Uint8Array | AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const octets of content instanceof Uint8Array ? [content] : content) {
    for (let at = 0; at < octets.length; at += PIECE_OCTETS) yield octets.subarray(at, at + PIECE_OCTETS);
  }
}

/** Who signs, and what of the header. */
interface Plan {
  readonly keys: readonly SigningKey[];
  readonly fields: readonly SignedField[];
}

/** @throws {SigningError} where a key fits and the header can't be signed */
function makePlan(section: HeaderSection, options: Pick<SigningOptions, "keys" | "reversePath">): Plan {
  const header = parseHeader(section.octets);
  const keys = chooseKeys(options.keys, signerDomains(header, options.reversePath));
  if (keys.length === 0) return { keys, fields: [] };
  checkSection(section, header);
  const fields = signedFields(header);
  checkFields(fields);
  return { keys, fields };
}

// ---------------------------------------------------------------- which keys

/**
 * The domains whose keys come into question, those preferred first: the author's (RFC 7489 3.1.1 wants the signature
 * aligned with it), then the reverse-path's.
 */
export function signerDomains(header: Header, reversePath: string): string[] {
  const authors = fieldValues(header, "From").flatMap(parseMailboxList).map(({ address }) => address);
  return [...authors, reversePath].filter((address) => address.includes("@"))
    .map((address) => canonicalDomain(address.slice(address.lastIndexOf("@") + 1)));
}

/**
 * The keys that sign: of the first domain that has any itself or by the nearest domain above it, the oldest of each
 * algorithm. So a new key takes over when the old one is removed, by when its record is published.
 */
export function chooseKeys(keys: readonly SigningKey[], domains: readonly string[]): SigningKey[] {
  for (const domain of domains) {
    const fitting = keys.filter((key) => domain === key.domain || domain.endsWith(`.${key.domain}`));
    const nearest = Math.max(...fitting.map((key) => key.domain.length));
    const own = fitting.filter((key) => key.domain.length === nearest).sort(byAge);
    // RFC 8463 3: RSA as well, for those that don't know Ed25519 yet.
    const both = ALGORITHMS.map((algorithm) => own.find((key) => key.algorithm === algorithm));
    const chosen = both.filter((key) => key !== undefined);
    if (chosen.length > 0) return chosen;
  }
  return [];
}

const ALGORITHMS = ["rsa-sha256", "ed25519-sha256"] as const;

function byAge(a: SigningKey, b: SigningKey): number {
  return a.createdAtMs - b.createdAtMs || (a.selector < b.selector ? -1 : 1);
}

// ---------------------------------------------------------------- what can't be signed

function checkSection(section: HeaderSection, header: Header): void {
  if (section.tooLarge) {
    throw new SigningError(
      `the message's header has more than ${HEADER_OCTETS} octets, too many to be signed`,
    );
  }
  const { octets } = section;
  const firstLine = octets.subarray(0, asBuffer(octets).indexOf(LF) + 1 || octets.length);
  if (isMboxLine(firstLine) && fieldNameLength(firstLine) === 0) {
    throw new SigningError("the message begins with the separator of an mbox file, which is no header field");
  }
  // Verifiers disagree about what such a line belongs to.
  if (header.bodyOffset < octets.length) {
    const line = header.fields.length === 0 ? "its first line" : `what follows ${header.fields.at(-1)!.name}`;
    throw new SigningError(`the message's header has a line that is no field (${printable(line)})`);
  }
}

/** A field's name may hold octets that no log should. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, "?").slice(0, 100);
}

function checkFields(fields: readonly SignedField[]): void {
  // RFC 6376 5.4: From is always signed.
  if (!fields.some(({ key }) => key === "from")) {
    throw new SigningError("the message has no From field, which a DKIM signature must cover (RFC 6376 5.4)");
  }
  if (fields.length > SIGNED_FIELDS_MAX) {
    throw new SigningError(
      `the message has ${fields.length} fields that would have to be signed; ${SIGNED_FIELDS_MAX} is the most`,
    );
  }
}

// ---------------------------------------------------------------- the package

/** What is used of the package's signer, given header and body hash as its own ARC sealing gives them. */
interface Signer {
  finalize(): Promise<void>;
  readonly signatureHeaders: readonly string[];
  readonly errors: readonly { readonly selector: string; readonly err: Error }[];
}

type NewSigner = new (options: {
  readonly signatureData: readonly {
    readonly signingDomain: string;
    readonly selector: string;
    readonly privateKey: string;
    readonly algorithm: string;
    readonly canonicalization: "relaxed/relaxed";
  }[];
  readonly headerList: readonly string[];
  readonly headers: { readonly parsed: readonly { key: string; casedKey: string; line: Buffer }[] };
  readonly bodyHash: string;
  readonly signTime: Date;
}) => { readonly signer: Signer };

async function sign(
  { keys, fields }: Plan,
  { bodyHash, nowMs }: { readonly bodyHash: string; readonly nowMs: number },
): Promise<readonly string[]> {
  const { DkimSignStream } = await import("mailauth/dkim-sign");
  const { signer } = new (DkimSignStream as unknown as NewSigner)({
    signatureData: keys.map(({ domain, selector, privateKey, algorithm }) => ({
      signingDomain: domain,
      selector,
      privateKey,
      algorithm,
      canonicalization: "relaxed/relaxed",
    })),
    headerList: SIGNED_FIELDS,
    headers: { parsed: fields },
    bodyHash,
    signTime: new Date(nowMs),
  });
  await signer.finalize();
  const error = signer.errors[0];
  if (error !== undefined) {
    throw new SigningError(`the key ${error.selector} could not be used: ${error.err.message}`);
  }
  if (signer.signatureHeaders.length !== keys.length) {
    throw new SigningError("the signature could not be made, for no reason that was given");
  }
  return signer.signatureHeaders;
}

/** RFC 5322 2.1.1: lines should have no more than 78 characters. */
const LINE_CHARACTERS = 78;

/** Folds the field at its spaces, which "relaxed" leaves the same, and ends it with CRLF. */
export function foldField(field: string): string {
  const lines: string[] = [];
  let line = "";
  for (const word of field.split(/[ \t\r\n]+/)) {
    if (line !== "" && line.length + 1 + word.length > LINE_CHARACTERS) {
      lines.push(line);
      line = "";
    }
    line = line === "" && lines.length === 0 ? word : `${line} ${word}`;
  }
  return `${[...lines, line].join("\r\n")}\r\n`;
}
