import { assertEquals, assertRejects } from "@std/assert";
import { seededRandom } from "../../../src/base/random.ts";
import { fromBase64, toBase64 } from "../../../src/sasl/base64.ts";
import {
  checkProof,
  formatScramVerifier,
  hmac,
  makeScramVerifier,
  parseScramVerifier,
  saltPassword,
  serverSignature,
  sha256,
} from "../../../src/sasl/scram.ts";

const random = seededRandom(3);

Deno.test("checkProof() and serverSignature() know the exchange of RFC 7677 3", async () => {
  const salt = fromBase64("W22ZaJ0SNY7soEsUEjb6gQ==")!;
  const salted = await saltPassword("pencil", { salt, iterations: 4096 });
  const verifier = {
    iterations: 4096,
    salt,
    storedKey: sha256(hmac(salted, "Client Key")),
    serverKey: hmac(salted, "Server Key"),
  };
  const nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
  const authMessage = "n=user,r=rOprNGfwEbeRWgbNEkqO," +
    `r=${nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=${nonce}`;
  const proof = fromBase64("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")!;
  assertEquals(checkProof(verifier, proof, { authMessage }), true);
  assertEquals(
    checkProof(verifier, proof.map((octet, i) => i === 31 ? octet ^ 1 : octet), { authMessage }),
    false,
  );
  assertEquals(checkProof(verifier, proof.subarray(1), { authMessage }), false);
  assertEquals(
    toBase64(serverSignature(verifier, authMessage)),
    "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
  );
});

Deno.test("makeScramVerifier() makes what parseScramVerifier() reads", async () => {
  const text = await makeScramVerifier("p\u00e4ss", { random, iterations: 4096 });
  const verifier = parseScramVerifier(text)!;
  assertEquals(verifier.iterations, 4096);
  assertEquals(verifier.salt.length, 16);
  assertEquals(formatScramVerifier(verifier), text);
  const salted = await saltPassword("p\u00e4ss", verifier);
  assertEquals(verifier.storedKey, new Uint8Array(sha256(hmac(salted, "Client Key"))));
});

Deno.test("makeScramVerifier() refuses what can't be a password", async () => {
  await assertRejects(() => makeScramVerifier("a\0b", { random, iterations: 4096 }), TypeError);
});

Deno.test("parseScramVerifier() refuses other forms", async () => {
  const good = await makeScramVerifier("x", { random, iterations: 4096 });
  for (
    const text of [
      "",
      "$scrypt$x",
      good.replace("256", "1"),
      good.slice(0, -1),
      good + "=",
      good.replace(":", ":A"),
    ]
  ) {
    assertEquals(parseScramVerifier(text), undefined, text);
  }
});
