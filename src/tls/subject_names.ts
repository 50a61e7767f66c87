/**
 * The DNS names a certificate is for, read from its octets (RFC 5280 4.2.1.6).
 *
 * One of the two runtimes compares names without wildcards and with case, and both give the extension as one text whose
 * parts an issuer could forge; so the few values on the way to the names are read here.
 *
 * Guarantees: never fails; looks at the certificate's own structure only; a certificate it can't follow has no names.
 *
 * @module
 */
import { equalBytes, latin1 } from "../base/bytes.ts";
import { canonicalDomain } from "../mail/address.ts";

/** One value of DER (X.690 8.1): its tag and its content. */
interface Value {
  readonly tag: number;
  readonly content: Uint8Array;
}

const SEQUENCE = 0x30;
const OCTET_STRING = 0x04;
const OBJECT_IDENTIFIER = 0x06;
/** `extensions [3]` of a certificate. */
const EXTENSIONS = 0xa3;
/** `dNSName [2] IA5String` of a GeneralName. */
const DNS_NAME = 0x82;
/** 2.5.29.17, subjectAltName. */
const SUBJECT_ALT_NAME = Uint8Array.of(0x55, 0x1d, 0x11);

/** The DNS names of a certificate in DER, as they stand there: host names, and `*.example.org`. */
export function subjectNames(certificate: Uint8Array): string[] {
  const tbs = inside(inside(valuesOf(certificate)[0], SEQUENCE)[0], SEQUENCE);
  const extensions = inside(inside(tbs.find(({ tag }) => tag === EXTENSIONS), EXTENSIONS)[0], SEQUENCE);
  for (const extension of extensions) {
    const values = inside(extension, SEQUENCE);
    const [id] = values;
    if (id?.tag !== OBJECT_IDENTIFIER || !equalBytes(id.content, SUBJECT_ALT_NAME)) continue;
    const value = values.at(-1)!;
    const names = value.tag === OCTET_STRING ? inside(valuesOf(value.content)[0], SEQUENCE) : [];
    return names.filter(({ tag }) => tag === DNS_NAME).map(({ content }) => latin1(content));
  }
  return [];
}

/** Whether a certificate in DER is for a host; `*.` stands for exactly one label (RFC 9525 6.3). */
export function isForHost(certificate: Uint8Array, host: string): boolean {
  const name = canonicalDomain(host);
  const dot = name.indexOf(".");
  // RFC 9525 6.3: "*" is a whole label, and what is below it has a dot of its own here, so that "*.org" is for nobody.
  const above = dot < 1 || !name.includes(".", dot + 1) ? undefined : `*${name.slice(dot)}`;
  return subjectNames(certificate).some((each) => {
    const known = each.toLowerCase().replace(/\.$/, "");
    return known === name || known === above;
  });
}

function inside(value: Value | undefined, tag: number): Value[] {
  return value?.tag === tag ? valuesOf(value.content) : [];
}

/** The values one after another in `octets`; none where one of them doesn't fit. */
function valuesOf(octets: Uint8Array): Value[] {
  const values: Value[] = [];
  let at = 0;
  while (at < octets.length) {
    const tag = octets[at]!;
    const first = octets[at + 1];
    if (first === undefined) return [];
    let length = first;
    at += 2;
    if (first >= 0x80) {
      // The long form; more than 3 octets of length would be a certificate of 16 MiB. 0x80 is not DER.
      const octetsOfLength = first & 0x7f;
      if (octetsOfLength < 1 || octetsOfLength > 3 || at + octetsOfLength > octets.length) return [];
      length = 0;
      for (let i = 0; i < octetsOfLength; i++) length = length * 256 + octets[at++]!;
    }
    if (at + length > octets.length) return [];
    values.push({ tag, content: octets.subarray(at, at + length) });
    at += length;
  }
  return values;
}
