import { assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import { type Address, formatAddress, parseAddress } from "../../../src/mail/address.ts";
import { forwardingSender, srsForward, srsReverse } from "../../../src/routing/srs.ts";

const DAY_MS = 86_400_000;
const KEY = { domain: "example.org", secret: new Uint8Array(32).fill(1), nowMs: 1_800_000_000_000 };

function address(text: string): Address {
  const parsed = parseAddress(text);
  if ("error" in parsed) throw new Error(parsed.error);
  return parsed;
}

function back(made: Address, key = KEY): string {
  const reversal = srsReverse(made, key);
  return reversal.kind === "ok" ? formatAddress(reversal.recipient) : reversal.kind;
}

/** Addresses short enough to be rewritten. */
const local = fc.oneof(
  fc.stringMatching(/^[A-Za-z0-9.+=_-]{1,12}$/),
  fc.string({ maxLength: 6 }).filter((text) => /^[\x20-\x7e]*$/.test(text)),
);
const domain = fc.constantFrom("a.example", "Casisoft.COM", "[192.0.2.1]", "bücher.example", "x");
const sender = fc.record({ local, domain });

Deno.test("srsForward() rewrites a sender to our domain, and srsReverse() undoes it", () => {
  const made = srsForward(address("Alice@Casisoft.com"), KEY)!;
  assertMatch(formatAddress(made), /^SRS0=[A-Z2-7]{6}=[A-Z2-7]{2}=Casisoft\.com=Alice@example\.org$/);
  assertEquals(back(made), "Alice@Casisoft.com");
});

Deno.test("srsForward() gives what another host rewrote back to that host", () => {
  const first = srsForward(address("SRS0=abcd=XY=a.example=bob@first.example"), KEY)!;
  assertMatch(first.local, /^SRS1=[A-Z2-7]{6}=first\.example==abcd=XY=a\.example=bob$/);
  assertEquals(back(first), "SRS0=abcd=XY=a.example=bob@first.example");
  const other = srsForward(address("SRS0+abcd=XY=a.example=bob@first.example"), KEY)!;
  assertEquals(back(other), "SRS0+abcd=XY=a.example=bob@first.example");
  // A third host's SRS1 names the first one too, and only that.
  const second = srsForward(address("SRS1=hash=first.example==abcd=XY=a.example=bob@second.example"), KEY)!;
  assertEquals(second, first);
});

Deno.test("srsReverse() undoes what srsForward() made, also after a host has folded its case", () => {
  fc.assert(fc.property(sender, (sender) => {
    const made = srsForward(sender, KEY);
    if (made === undefined || /^SRS[01][=+-]/i.test(sender.local)) return;
    assertEquals(srsReverse(made, KEY), { kind: "ok", recipient: sender });
    for (const folded of [made.local.toLowerCase(), made.local.toUpperCase()]) {
      const reversal = srsReverse({ ...made, local: folded }, KEY);
      if (reversal.kind !== "ok") throw new Error(folded);
      assertEquals(reversal.recipient.local.toLowerCase(), sender.local.toLowerCase());
    }
  }));
});

Deno.test("srsReverse() takes nothing that was changed on the way or made elsewhere", () => {
  const character = fc.constantFrom(..."ABCXYZ234567abc.=@");
  fc.assert(fc.property(sender, fc.nat(), character, (sender, place, character) => {
    const made = srsForward(sender, KEY)?.local;
    if (made === undefined) return;
    const at = 5 + place % (made.length - 5);
    const changed = made.slice(0, at) + character + made.slice(at + 1);
    if (changed.toLowerCase() === made.toLowerCase()) return;
    assertEquals(srsReverse({ local: changed, domain: "example.org" }, KEY).kind, "bad");
    const foreign = { ...KEY, secret: new Uint8Array(32).fill(2) };
    assertEquals(srsReverse({ local: made, domain: "example.org" }, foreign).kind, "bad");
  }));
});

Deno.test("srsReverse() takes an address for 21 days, and one of tomorrow where a clock was set back", () => {
  const made = srsForward(address("a@b.example"), KEY)!;
  const later = (days: number) => back(made, { ...KEY, nowMs: KEY.nowMs + days * DAY_MS });
  assertEquals([later(-1), later(0), later(21)], Array(3).fill("a@b.example"));
  assertEquals([later(22), later(-2), later(500)], Array(3).fill("bad"));
});

Deno.test("srsReverse() leaves ordinary addresses alone and throws on nothing", () => {
  for (const text of ["alice", "srs", "srs0", "srs0-team", "SRS2=x", "xSRS0=a"]) {
    assertEquals(srsReverse({ local: text, domain: "example.org" }, KEY), { kind: "not-srs" });
  }
  const text = fc.tuple(fc.constantFrom("SRS0=", "srs1=", ""), fc.string()).map((parts) => parts.join(""));
  fc.assert(fc.property(text, (local) => {
    const { kind } = srsReverse({ local, domain: "example.org" }, KEY);
    assertEquals(kind, /^srs[01]=/i.test(local) ? "bad" : "not-srs");
  }));
});

Deno.test("srsForward() never makes a local part over 64 octets (RFC 5321 4.5.3.1.1)", () => {
  const long = address(`${"a".repeat(36)}@twelve.chars`);
  assertEquals(srsForward(long, KEY)!.local.length, 64);
  assertEquals(srsForward({ ...long, local: `${long.local}a` }, KEY), undefined);
  // Quotes count.
  assertEquals(srsForward({ ...long, local: long.local.replace("aa", " a") }, KEY), undefined);
  fc.assert(fc.property(fc.string({ maxLength: 64 }), domain, (local, domain) => {
    const made = srsForward({ local, domain }, KEY);
    if (made === undefined || !/^[\x20-\x7e]*$/.test(local)) return;
    assertEquals("error" in parseAddress(formatAddress(made)), false);
  }));
  assertEquals(srsForward({ local: "postmaster", domain: "" }, KEY), undefined);
});

Deno.test("forwardingSender() rewrites strangers only, and only where senders are rewritten", () => {
  const rules = { domains: ["example.org", "example.net"], srs: KEY };
  const bob = address("bob@casisoft.com");
  assertEquals(forwardingSender(bob, rules), srsForward(bob, KEY));
  assertEquals(forwardingSender(null, rules), null);
  assertEquals(forwardingSender(address("a@Example.NET"), rules), address("a@Example.NET"));
  assertEquals(forwardingSender(bob, { ...rules, forwarding: "keep" }), bob);
  assertEquals(forwardingSender(bob, { domains: [] }), bob);
  const long = { local: "a".repeat(64), domain: "b.example" };
  assertEquals(forwardingSender(long, rules), long);
});
