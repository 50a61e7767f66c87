/** Every promise of src/store/trust_types.ts, on every implementation. */
import { assertEquals, assertNotEquals } from "@std/assert";
import type { SigningKey, StsPolicy, TlsTally } from "../../src/store/types.ts";
import { assertStoreError, contract } from "./contract.ts";

function signingKey(domain: string, selector: string): SigningKey {
  const privateKey = `-----BEGIN PRIVATE KEY-----\n${domain}\n`;
  return { domain, selector, algorithm: "ed25519-sha256", privateKey, createdAtMs: 42 };
}

function policy(domain: string, fetchedAtMs: number, expiresAtMs: number): StsPolicy {
  return { domain, id: `id of ${domain}`, text: "version: STSv1\r\n", fetchedAtMs, expiresAtMs };
}

function tally(day: string, domain: string, subject: string, sessions: number): TlsTally {
  return { day, domain, subject, sessions };
}

contract("signingKeys() gives what was added, by domain and selector", async (store) => {
  const keys = [["b.org", "s1"], ["a.org", "s2"], ["a.org", "s1"]].map(([domain, selector]) =>
    signingKey(domain!, selector!)
  );
  assertEquals(await store.trust.signingKeys(), []);
  for (const key of keys) await store.trust.addSigningKey(key);
  assertEquals(await store.trust.signingKeys(), keys.toReversed());
  const error = await assertStoreError(
    store.trust.addSigningKey({ ...signingKey("a.org", "s1"), privateKey: "another" }),
    "exists",
  );
  assertEquals(error.message, "a.org has a key with the selector 's1' already: choose another selector");
  assertEquals(await store.trust.signingKeys(), keys.toReversed());
  await store.trust.removeSigningKey("a.org", "s1");
  assertEquals(await store.trust.signingKeys(), [keys[1]!, keys[0]!]);
  await assertStoreError(store.trust.removeSigningKey("a.org", "s1"), "missing");
});

contract("secret() is made once and stays", async (store) => {
  let made = 0;
  const make = () => Uint8Array.of(1, 2, ++made);
  assertEquals(await store.trust.secret("srs", make), Uint8Array.of(1, 2, 1));
  const again = await store.trust.secret("srs", make);
  assertEquals(again, Uint8Array.of(1, 2, 1));
  again.fill(9);
  assertEquals(await store.trust.secret("srs", make), Uint8Array.of(1, 2, 1));
  assertNotEquals(await store.trust.secret("other", make), Uint8Array.of(1, 2, 1));
  const twice = await Promise.all([store.trust.secret("race", make), store.trust.secret("race", make)]);
  assertEquals(twice[0], twice[1]);
});

contract("setStsPolicy() replaces a domain's policy and forgets what has expired", async (store) => {
  assertEquals(await store.trust.stsPolicy("a.org"), undefined);
  await store.trust.setStsPolicy(policy("a.org", 1000, 2000));
  await store.trust.setStsPolicy(policy("b.org", 1000, 9000));
  assertEquals(await store.trust.stsPolicy("a.org"), policy("a.org", 1000, 2000));
  await store.trust.setStsPolicy({ ...policy("b.org", 2000, 8000), id: "new" });
  assertEquals(await store.trust.stsPolicy("b.org"), { ...policy("b.org", 2000, 8000), id: "new" });
  assertEquals(await store.trust.stsPolicy("a.org"), policy("a.org", 1000, 2000));
  await store.trust.setStsPolicy(policy("c.org", 2001, 8000));
  assertEquals(await store.trust.stsPolicy("a.org"), undefined);
});

contract("addTlsTallies() adds up, and a reported day is forgotten by domain", async (store) => {
  await store.trust.addTlsTallies([
    tally("2026-11-24", "b.org", "{}", 2),
    tally("2026-11-24", "a.org", "{}", 1),
    tally("2026-11-24", "a.org", "{}", 3),
    tally("2026-11-25", "a.org", "{}", 5),
  ]);
  await store.trust.addTlsTallies([
    tally("2026-11-24", "a.org", "{}", 10),
    tally("2026-11-24", "a.org", "[]", 1),
  ]);
  const first = [
    tally("2026-11-24", "a.org", "[]", 1),
    tally("2026-11-24", "a.org", "{}", 14),
    tally("2026-11-24", "b.org", "{}", 2),
  ];
  assertEquals(await store.trust.tlsTallies("2026-11-24"), []);
  assertEquals(await store.trust.tlsTallies("2026-11-25"), first);
  await store.trust.removeTlsTallies("2026-11-24", "a.org");
  await store.trust.removeTlsTallies("2026-11-24", "nobody.org");
  assertEquals(await store.trust.tlsTallies("2026-12-01"), [
    first[2]!,
    tally("2026-11-25", "a.org", "{}", 5),
  ]);
});
