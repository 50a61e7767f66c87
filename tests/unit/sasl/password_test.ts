import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { seededRandom } from "../../../src/base/random.ts";
import { dummyHash, hashPassword, needsRehash, verifyPassword } from "../../../src/sasl/password.ts";

const cost = { ln: 4, r: 8, p: 1 };
const random = seededRandom(7);

Deno.test("hashPassword() makes the documented form, another each time", async () => {
  const first = await hashPassword("correct horse", { random, cost });
  assertMatch(first, /^\$scrypt\$ln=4,r=8,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
  assertEquals(first === await hashPassword("correct horse", { random, cost }), false);
});

Deno.test("verifyPassword() knows the vector of RFC 7914 12", async () => {
  // scrypt("pleaseletmein", "SodiumChloride", N=16384, r=8, p=1, dkLen=64)
  const hex = "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2" +
    "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887";
  const hash = btoa(String.fromCharCode(...hex.match(/../g)!.map((pair) => parseInt(pair, 16))));
  const stored = `$scrypt$ln=14,r=8,p=1$${btoa("SodiumChloride").replace(/=/g, "")}$${
    hash.replace(/=/g, "")
  }`;
  assertEquals(await verifyPassword("pleaseletmein", stored), true);
  assertEquals(await verifyPassword("pleaseletmeim", stored), false);
});

Deno.test("verifyPassword() tells right from wrong and prepares what it is given", async () => {
  const stored = await hashPassword("Stra\u00dfe \u2168", { random, cost });
  assertEquals(await verifyPassword("Stra\u00dfe IX", stored), true);
  assertEquals(await verifyPassword("stra\u00dfe IX", stored), false);
  assertEquals(await verifyPassword("", stored), false);
  assertEquals(await verifyPassword("a\0b", stored), false);
});

Deno.test("verifyPassword() rejects a stored text that is no hash, without showing it", async () => {
  for (
    const stored of [
      "",
      "plain-secret",
      "$scrypt$ln=4,r=8,p=1$AAAA$",
      "$scrypt$ln=30,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
      "$scrypt$ln=20,r=16,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ]
  ) {
    const error = await assertRejects(() => verifyPassword("secret", stored), TypeError);
    assertEquals(/secret|AAAA/.test(error.message), false);
  }
});

Deno.test("hashPassword() refuses what can't be a password or a cost", async () => {
  await assertRejects(() => hashPassword("", { random, cost }), TypeError);
  await assertRejects(() => hashPassword("a\nb", { random, cost }), TypeError);
  await assertRejects(() => hashPassword("good", { random, cost: { ln: 0, r: 8, p: 1 } }), RangeError);
  await assertRejects(() => hashPassword("good", { random, cost: { ln: 22, r: 8, p: 1 } }), RangeError);
});

Deno.test("needsRehash() sees another cost and other forms", async () => {
  const stored = await hashPassword("correct horse", { random, cost });
  assertEquals(needsRehash(stored, cost), false);
  assertEquals(needsRehash(stored, { ...cost, ln: 5 }), true);
  assertEquals(needsRehash(stored), true);
  assertEquals(needsRehash("", cost), true);
});

Deno.test("dummyHash() is well-formed and fits no password", async () => {
  const stored = dummyHash(random, cost);
  assertEquals(needsRehash(stored, cost), false);
  assertEquals(await verifyPassword("correct horse", stored), false);
});
