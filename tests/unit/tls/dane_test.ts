import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { createHash } from "node:crypto";
import { matchTlsa, type TlsaRecord, usableTlsa } from "../../../src/tls/dane.ts";
import { isForHost, subjectNames } from "../../../src/tls/subject_names.ts";
import { certificate } from "./chain.ts";

const DAY_MS = 86_400_000;
const NOW_MS = Date.UTC(2026, 5, 1);
const fromMs = NOW_MS - DAY_MS;

const root = await certificate({ subject: "Root", authority: "yes", fromMs });
const middle = await certificate({ subject: "Middle", issuer: root, authority: "yes", fromMs });
const leaf = await certificate({
  subject: "leaf",
  issuer: middle,
  names: ["mx.example.org", "*.example.net"],
  fromMs,
});
const chain = [leaf.der, middle.der, root.der];
const names = ["mx.example.org"];
const peer = { chain, names, nowMs: NOW_MS };

const sha256 = (octets: Uint8Array) => new Uint8Array(createHash("sha256").update(octets).digest());
const sha512 = (octets: Uint8Array) => new Uint8Array(createHash("sha512").update(octets).digest());
const tlsa = (
  usage: number,
  selector: number,
  matchingType: number,
  certificate: Uint8Array,
): TlsaRecord => ({
  usage,
  selector,
  matchingType,
  certificate,
});

Deno.test("matchTlsa() finds the host's certificate or key by every selector and matching type", () => {
  for (const [selector, octets] of [[0, leaf.der], [1, leaf.key]] as const) {
    assertEquals(matchTlsa([tlsa(3, selector, 0, octets)], peer), "match");
    assertEquals(matchTlsa([tlsa(3, selector, 1, sha256(octets))], peer), "match");
    assertEquals(matchTlsa([tlsa(3, selector, 2, sha512(octets))], peer), "match");
  }
  assertEquals(matchTlsa([tlsa(3, 1, 1, sha256(leaf.der))], peer), "no-match");
  assertEquals(matchTlsa([tlsa(3, 1, 1, sha256(middle.key))], peer), "no-match");
  assertEquals(matchTlsa([tlsa(3, 1, 1, sha256(leaf.key))], { ...peer, chain: [] }), "no-match");
});

Deno.test("matchTlsa() looks at neither name nor date for DANE-EE", () => {
  const late = { chain: [leaf.der], names: ["other.test"], nowMs: NOW_MS + 400 * DAY_MS };
  assertEquals(matchTlsa([tlsa(3, 1, 1, sha256(leaf.key))], late), "match");
});

Deno.test("matchTlsa() follows the chain to DANE-TA's anchor", () => {
  for (const anchor of [root, middle]) {
    assertEquals(matchTlsa([tlsa(2, 0, 1, sha256(anchor.der))], peer), "match");
    assertEquals(matchTlsa([tlsa(2, 1, 2, sha512(anchor.key))], peer), "match");
    assertEquals(matchTlsa([tlsa(2, 0, 0, anchor.der)], peer), "match");
    assertEquals(matchTlsa([tlsa(2, 1, 0, anchor.key)], peer), "match");
  }
  const mixed = { ...peer, chain: [leaf.der, root.der, middle.der] };
  assertEquals(matchTlsa([tlsa(2, 1, 1, sha256(root.key))], mixed), "match");
  assertEquals(matchTlsa([tlsa(2, 1, 1, sha256(leaf.key))], peer), "no-match");
});

Deno.test("matchTlsa() takes an anchor from the record where the chain hasn't got it", () => {
  const short = { ...peer, chain: [leaf.der, middle.der] };
  assertEquals(matchTlsa([tlsa(2, 0, 0, root.der)], short), "match");
  assertEquals(matchTlsa([tlsa(2, 1, 0, root.key)], short), "match");
  assertEquals(matchTlsa([tlsa(2, 1, 1, sha256(root.key))], short), "no-match");
});

Deno.test("matchTlsa() wants name and dates for DANE-TA", () => {
  const record = tlsa(2, 1, 1, sha256(root.key));
  assertEquals(matchTlsa([record], { ...peer, names: ["other.test", "MX.example.ORG"] }), "match");
  assertEquals(matchTlsa([record], { ...peer, names: ["a.example.net"] }), "match");
  for (const name of ["other.test", "a.b.example.net", "example.net", "xmx.example.org"]) {
    assertEquals(matchTlsa([record], { ...peer, names: [name] }), "no-match", name);
  }
  assertEquals(matchTlsa([record], { ...peer, nowMs: NOW_MS + 31 * DAY_MS }), "no-match");
  assertEquals(matchTlsa([record], { ...peer, nowMs: NOW_MS - 2 * DAY_MS }), "no-match");
});

Deno.test("matchTlsa() is not taken in by certificates that only stand beside", async () => {
  const impostor = await certificate({ subject: "Middle", authority: "yes", fromMs });
  const forged = await certificate({ subject: "leaf", issuer: impostor, names, fromMs });
  const record = tlsa(2, 1, 1, sha256(root.key));
  assertEquals(matchTlsa([record], { ...peer, chain: [forged.der, middle.der, root.der] }), "no-match");
  // A host's certificate is no authority, whatever it signed.
  const signed = await certificate({ subject: "x", issuer: leaf, names, fromMs });
  assertEquals(matchTlsa([record], { ...peer, chain: [signed.der, ...chain] }), "no-match");
});

Deno.test("matchTlsa() tells records that can't be used from those that don't match", () => {
  const unusable = [
    tlsa(0, 0, 1, sha256(root.der)),
    tlsa(1, 1, 1, sha256(leaf.key)),
    tlsa(3, 2, 1, sha256(leaf.key)),
    tlsa(3, 1, 3, sha256(leaf.key)),
    tlsa(3, 1, 1, sha512(leaf.key)),
    tlsa(3, 1, 0, new Uint8Array()),
  ];
  for (const record of unusable) assertEquals(matchTlsa([record], peer), "unusable");
  assertEquals(matchTlsa([], peer), "unusable");
  assertEquals(matchTlsa([...unusable, tlsa(3, 1, 1, sha256(leaf.key))], peer), "match");
  assertEquals(matchTlsa([...unusable, tlsa(3, 1, 1, sha256(root.key))], peer), "no-match");
});

Deno.test("usableTlsa() leaves the weaker digest out where there is a stronger one", () => {
  const weak = tlsa(3, 1, 1, sha256(leaf.key));
  const strong = tlsa(3, 1, 2, sha512(root.key));
  assertEquals(usableTlsa([weak, strong]), [strong]);
  assertEquals(matchTlsa([weak, strong], peer), "no-match");
  assertEquals(usableTlsa([weak, tlsa(3, 0, 2, sha512(root.der))]).length, 2);
});

Deno.test("matchTlsa() never throws, whatever records and certificates hold", () => {
  const octets = fc.uint8Array({ maxLength: 80 });
  const record = fc.record({
    usage: fc.integer({ min: 0, max: 4 }),
    selector: fc.integer({ min: 0, max: 2 }),
    matchingType: fc.integer({ min: 0, max: 3 }),
    certificate: octets,
  });
  const der = fc.oneof(octets, fc.constantFrom(leaf.der, leaf.der.subarray(0, 100)));
  fc.assert(fc.property(fc.array(record), fc.array(der), (records, chain) => {
    const verdict = matchTlsa(records, { ...peer, chain });
    return verdict === "no-match" || verdict === "unusable";
  }));
});

Deno.test("subjectNames() reads names, and isForHost() takes a wildcard for one label only", async () => {
  assertEquals(subjectNames(leaf.der), ["mx.example.org", "*.example.net"]);
  assertEquals(subjectNames(root.der), []);
  const wide = await certificate({ subject: "wide", names: ["*.org", "*", "m*.example.org"], fromMs });
  for (const host of ["example.org", "org", "mx.example.org"]) {
    assertEquals(isForHost(wide.der, host), false, host);
  }
});

Deno.test("subjectNames() takes a name that holds a list of names for what it is", async () => {
  const odd = await certificate({ subject: "odd", names: ["a.test, DNS:mx.example.org"], fromMs });
  assertEquals(isForHost(odd.der, "mx.example.org"), false);
});

Deno.test("subjectNames() survives a certificate with any octet changed or cut off anywhere", () => {
  for (let at = 0; at < leaf.der.length; at++) {
    subjectNames(leaf.der.subarray(0, at));
    const changed = leaf.der.slice();
    changed[at]! ^= 0xff;
    subjectNames(changed);
  }
});
