import { assert, assertEquals } from "@std/assert";
// @ts-types="../../../src/net/dns_packet.d.ts"
import packet from "dns-packet";
import fc from "fast-check";
import { dnsName, encodeQuestion, readReply } from "../../../src/net/dns_message.ts";
import { NXDOMAIN, record, replyTo, soa, TC } from "./dns_server.ts";

const QUESTION = { name: "example.org", type: "MX" } as const;
const QUERY = packet.decode(encodeQuestion(QUESTION, { id: 7, edns: "with" }));
const about = { question: QUESTION, id: 7 };
const MX = record("MX", "example.org", { preference: 10, exchange: "mail.example.org" });

Deno.test("dnsName() gives names one form and refuses what is none", () => {
  assertEquals(dnsName("Example.ORG."), "example.org");
  assertEquals(dnsName("_25._tcp.example.org"), "_25._tcp.example.org");
  assertEquals(dnsName("xn--bcher-kva.example"), "xn--bcher-kva.example");
  // The Kelvin sign is k in lower case, but not in DNS (RFC 4343).
  for (const wrong of ["", ".", "a..b", "\u212aexample.org", "10.0.0.1", "a/b.example", "a b"]) {
    assertEquals(dnsName(wrong), undefined, wrong);
  }
});

Deno.test("readReply() shows no octet of a name that a line could not hold", () => {
  const hostile = record("MX", "example.org", {
    preference: 1,
    exchange: "ma\r\nil\u001b[2J.b\u00fc.example",
  });
  const reply = readReply(replyTo(QUERY, { answers: [hostile] }), about);
  assertEquals(reply.kind === "found" ? reply.records : [], [
    { preference: 1, exchange: "ma??il?[2j.b?.example" },
  ]);
});

Deno.test("readReply() takes records of the name, the type and the class that were asked for, and no others", () => {
  const others = [
    record("MX", "other.example.org", { preference: 1, exchange: "evil.example" }),
    { ...record("MX", "example.org", { preference: 1, exchange: "evil.example" }), class: "CH" },
    record("A", "example.org", "192.0.2.1"),
  ];
  assertEquals(readReply(replyTo(QUERY, { answers: others }), about), {
    kind: "no-data",
    ttlSeconds: 0,
    authentic: false,
  });
  const reply = readReply(replyTo(QUERY, { answers: [...others, MX] }), about);
  assertEquals(reply.kind === "found" && reply.records.length, 1);
});

Deno.test("readReply() limits how long a lack is remembered by the SOA record's two times", () => {
  for (const [ttl, minimum, expected] of [[3600, 60, 60], [30, 60, 30]] as const) {
    const authorities = [{ ...soa("example.org", minimum), ttl }];
    const reply = readReply(replyTo(QUERY, { code: NXDOMAIN, authorities }), about);
    assertEquals(reply, { kind: "no-such-name", ttlSeconds: expected, authentic: false });
  }
});

Deno.test("readReply() copies a TLSA record's octets", () => {
  const question = { name: "_25._tcp.example.org", type: "TLSA" } as const;
  const query = packet.decode(encodeQuestion(question, { id: 7, edns: "with" }));
  const data = { usage: 3, selector: 1, matchingType: 0, certificate: packet.encode({ id: 1 }) };
  const octets = replyTo(query, { answers: [record("TLSA", question.name, data)] });
  const reply = readReply(octets, { question, id: 7 });
  octets.fill(0);
  const [tlsa] = reply.kind === "found" ? reply.records : [];
  const { certificate } = tlsa as { certificate: Uint8Array };
  assertEquals([...certificate], [...packet.encode({ id: 1 })]);
});

Deno.test("readReply() throws for no octets, and takes nothing from what is cut off or changed for another question", () => {
  const whole = replyTo(QUERY, { answers: [MX, MX, record("TXT", "example.org", ["a"])] });
  for (let end = 0; end < whole.length; end++) {
    const { kind } = readReply(whole.subarray(0, end), about);
    assert(kind === "malformed" || kind === "not-ours", `${end}: ${kind}`);
  }
  const id = Uint8Array.of(0, 7);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (octets) => {
    assertEquals(typeof readReply(octets, about).kind, "string");
    assertEquals(typeof readReply(Uint8Array.from([...id, ...octets]), about).kind, "string");
  }));
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.nat(255), (at, value) => {
      const changed = Uint8Array.from(whole);
      changed[at] = value;
      const reply = readReply(changed, about);
      if (at < 2 && value !== whole[at]) assertEquals(reply.kind, "not-ours");
      if (reply.kind === "found") assertEquals(reply.name, "example.org");
    }),
    { numRuns: 1000 },
  );
  assertEquals(readReply(replyTo(QUERY, { flags: TC }), about).kind, "truncated");
});
