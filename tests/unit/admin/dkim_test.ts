import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import * as dkim from "../../../src/admin/dkim.ts";
import { AdminError, explain } from "../../../src/admin/error.ts";
import type { DnsAnswer } from "../../../src/net/dns.ts";
import { key } from "../dkim/fixtures.ts";
import { fixture } from "./fixtures.ts";

const names = (keys: readonly dkim.SigningKeyView[]) => keys.map(({ selector, signs }) => [selector, signs]);

/** DNS that holds these texts, and says how often it was asked. */
function dnsWith(records: Record<string, DnsAnswer<string>>) {
  const asked: string[] = [];
  return {
    asked,
    query: (name: string, type: string) => {
      asked.push(`${name} ${type}`);
      return Promise.resolve(records[name] ?? { status: "no-such-name", authentic: false }) as never;
    },
  };
}

const found = (...records: string[]): DnsAnswer<string> => ({
  status: "found",
  records,
  name: "",
  authentic: false,
});

Deno.test("addSigningKeys() makes both keys and shows neither's private half", async () => {
  const context = fixture();
  const { keys, warnings } = await dkim.addSigningKeys(context, { domain: "Example.ORG" });
  assertEquals(warnings, []);
  assertEquals(keys.map(({ selector, algorithm, bits, signs }) => [selector, algorithm, bits, signs]), [
    ["ems202601", "rsa", 2048, true],
    ["ems202601e", "ed25519", 256, true],
  ]);
  assertEquals(keys[0]!.record.name, "ems202601._domainkey.example.org");
  assertMatch(keys[0]!.record.text, /^v=DKIM1; k=rsa; p=/);
  assertMatch(
    keys[1]!.record.zoneLine,
    /^ems202601e\._domainkey\.example\.org\. IN TXT "v=DKIM1; k=ed25519; p=/,
  );
  const kept = await context.store.trust.signingKeys();
  assertEquals(kept.map(({ domain }) => domain), ["example.org", "example.org"]);
  const shown = JSON.stringify([keys, await dkim.listSigningKeys(context)]);
  assertEquals(/PRIVATE/.test(shown), false);
  for (const { privateKey } of kept) assertEquals(shown.includes(privateKey.split("\n")[1]!), false);
});

Deno.test("addSigningKeys() names later keys otherwise, and they sign when the older are gone", async () => {
  const context = fixture();
  await dkim.addSigningKeys(context, { domain: "example.org" });
  await context.clock.advance(1000);
  const { keys, warnings } = await dkim.addSigningKeys(context, { domain: "example.org" });
  assertEquals(names(keys), [["ems202601-2", false], ["ems202601e-2", false]]);
  assertMatch(warnings[0]!, /^ems202601-2 signs when the older key of its kind is removed/);
  const { removed, left } = await dkim.removeSigningKey(context, "example.org", "EMS202601");
  assertEquals(removed.selector, "ems202601");
  assertEquals(names(left), [["ems202601-2", true], ["ems202601e", true], ["ems202601e-2", false]]);
});

Deno.test("addSigningKeys() takes a selector, an algorithm and a size", async () => {
  const context = fixture();
  const both = await dkim.addSigningKeys(context, { domain: "example.org", selector: "Mail" });
  assertEquals(names(both.keys), [["mail", true], ["maile", true]]);
  const one = await dkim.addSigningKeys(context, {
    domain: "example.net",
    selector: "s1.mail",
    algorithm: "rsa",
    bits: 1024,
  });
  assertEquals(one.keys.map(({ selector, bits }) => [selector, bits]), [["s1.mail", 1024]]);
  const ed25519 = await dkim.addSigningKeys(context, { domain: "example.net", algorithm: "ed25519" });
  assertEquals(names(ed25519.keys), [["ems202601e", true]]);
});

Deno.test("addSigningKeys() says what can't be, and changes nothing", async () => {
  const context = fixture();
  await dkim.addSigningKeys(context, { domain: "example.org", selector: "e", algorithm: "ed25519" });
  const refuses = async (wanted: dkim.NewSigningKeys, words: RegExp) => {
    const error = await assertRejects(() => dkim.addSigningKeys(context, wanted), AdminError);
    assertMatch(`${error.message}; ${error.advice}`, words);
  };
  await refuses({ domain: "not a domain" }, /'not a domain' is not a domain; expected something like/);
  await refuses({ domain: "[192.0.2.1]" }, /is not a domain/);
  await refuses({ domain: "example.org", selector: "a_b" }, /'a_b' can't be a selector; use letters/);
  await refuses(
    { domain: "example.org", selector: "e", algorithm: "rsa" },
    /key with the selector 'e' already/,
  );
  await refuses({ domain: "example.org", algorithm: "ed25519", bits: 2048 }, /one size only/);
  const label = "x".repeat(60);
  const domain = `${label}.${label}.${label}.org`;
  await refuses({ domain, selector: label, algorithm: "rsa" }, /too long for DNS/);
  assertEquals((await context.store.trust.signingKeys()).length, 1);
});

Deno.test("addSigningKeys() notes a domain that is not this system's", async () => {
  const context = fixture({ domains: ["mail.example.org"] });
  const warnings = async (domain: string) =>
    (await dkim.addSigningKeys(context, { domain, algorithm: "ed25519" })).warnings;
  assertMatch(
    (await warnings("example.com"))[0]!,
    /^example\.com is not a domain of this system \(mail\.example\.org\)/,
  );
  // A key of the domain above signs as well.
  assertEquals(await warnings("example.org"), []);
});

Deno.test("importSigningKey() takes a key that exists", async () => {
  const context = fixture();
  const given = { domain: "example.org", selector: "old", text: key().privateKey };
  const { keys } = await dkim.importSigningKey(context, given);
  assertEquals(keys.map(({ selector, algorithm, bits }) => [selector, algorithm, bits]), [[
    "old",
    "rsa",
    2048,
  ]]);
  const error = await assertRejects(
    () => dkim.importSigningKey(context, { ...given, selector: "other", text: "hello" }),
    AdminError,
  );
  assertMatch(error.message, /not a private key in PEM/);
  await assertRejects(() => dkim.importSigningKey(context, given), AdminError, "already");
});

Deno.test("removeSigningKey() and showSigningKeys() say which keys there are", async () => {
  const context = fixture();
  const none = await assertRejects(() => dkim.showSigningKeys(context, "example.org"), AdminError);
  assertEquals(none.advice, "make one with: emsmail dkim add example.org");
  await dkim.addSigningKeys(context, { domain: "example.org" });
  const other = await assertRejects(
    () => dkim.removeSigningKey(context, "example.org", "x\u0007"),
    AdminError,
  );
  assertMatch(other.message, /^example\.org has no key with the selector 'x/);
  assertEquals(other.message.includes("\u0007"), false);
  assertEquals(other.advice, "it has ems202601, ems202601e");
  assertEquals((await dkim.showSigningKeys(context, "EXAMPLE.org")).length, 2);
});

Deno.test("checkSigningKeys() holds what is published against each key", async () => {
  const context = fixture();
  const { keys: [rsa, ed25519] } = await dkim.addSigningKeys(context, { domain: "example.org" });
  const check = async (records: Record<string, DnsAnswer<string>>) =>
    (await dkim.checkSigningKeys(context, "example.org", dnsWith(records))).map(({ verdict }) => verdict);
  const right = found(rsa!.record.text);
  assertEquals(await check({ [rsa!.record.name]: right }), ["right", "absent"]);
  assertEquals(
    await check({ [rsa!.record.name]: found(ed25519!.record.text), [ed25519!.record.name]: found("hello") }),
    ["wrong", "wrong"],
  );
  assertEquals(
    await check({
      [rsa!.record.name]: { status: "failed", reason: "no answer from 192.0.2.53:53" },
      [ed25519!.record.name]: { status: "no-data", authentic: false },
    }),
    ["unknown", "absent"],
  );
  const dns = dnsWith({});
  await dkim.checkSigningKeys(context, "example.org", dns);
  assertEquals(dns.asked, [`${rsa!.record.name} TXT`, `${ed25519!.record.name} TXT`]);
});

Deno.test("a key that is there already is the store's error, explained", async () => {
  const { store: { trust } } = fixture();
  await trust.addSigningKey(key());
  const error = await trust.addSigningKey(key()).catch(explain);
  assertEquals(error instanceof AdminError, true);
});
