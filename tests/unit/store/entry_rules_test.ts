import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { Buffer } from "node:buffer";
import { applyChanges, compareNames, matcher, tidyAccount } from "../../../src/store/entry_rules.ts";
import { account } from "./fixtures.ts";

Deno.test("compareNames() orders as UTF-8 octets do", () => {
  // Short texts of few letters, so that many share a beginning, and both sides of the surrogates are met.
  const letters = fc.constantFrom("a", "b", "é", "\ud7ff", "\ue000", "\uffff", "\u{10000}", "\u{10ffff}");
  const text = fc.array(letters, { maxLength: 4 }).map((units) => units.join(""));
  fc.assert(fc.property(text, text, (a, b) => {
    assertEquals(Math.sign(compareNames(a, b)), Buffer.compare(Buffer.from(a), Buffer.from(b)));
  }));
});

Deno.test("matcher() finds every stretch of every field, whatever its case", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "B", "é", "Σ", "σ", " ", "1"), maxLength: 8 });
  const fields = fc.record({ name: text, displayName: text, department: text, phone: text });
  const where = fc.constantFrom("name", "displayName", "department", "phone");
  const property = fc.property(fields, where, fc.nat(8), fc.nat(8), (entry, field, from, length) => {
    const word = entry[field as keyof typeof entry].slice(from, from + length);
    const words = [word, word.toUpperCase(), word.toLowerCase(), word.normalize("NFD")];
    assertEquals(matcher({ words, prefix: entry.name.slice(0, from) })(entry), true);
    assertEquals(matcher({ words: [...words, "x"] })(entry), false);
    assertEquals(matcher({ words, prefix: `${entry.name}x` })(entry), false);
  });
  fc.assert(property);
});

Deno.test("applyChanges() takes back only what may be absent", () => {
  const identity = { displayName: "Alice", department: "", phone: "" };
  const forward = { to: ["bob"], keep: true };
  const whole = {
    ...account("alice"),
    id: 1,
    quotaOctets: 5,
    quotaMessages: 6,
    identity,
    view: "newest",
    forward,
  } as const;
  assertEquals(applyChanges(whole, {}), whole);
  const nothing = {
    pop3: undefined,
    quotaOctets: undefined,
    quotaMessages: undefined,
    sendAsAny: undefined,
    passwordHash: undefined,
    scramVerifier: undefined,
    identity: undefined,
    view: undefined,
    forward: undefined,
  };
  assertEquals(applyChanges(whole, nothing), { id: 1, ...account("alice"), identity });
});

Deno.test("tidyAccount() leaves no field undefined, and no identity that says nothing", () => {
  const blank = { displayName: "", department: "", phone: "" };
  const bare = { id: 1, ...account("alice") };
  assertEquals(Object.keys(tidyAccount({ ...bare, identity: blank, view: undefined })), Object.keys(bare));
  assertEquals(tidyAccount({ ...bare, identity: { ...blank, phone: "7" } }).identity, {
    ...blank,
    phone: "7",
  });
});
