import { assertEquals, assertNotEquals } from "@std/assert";
import fc from "fast-check";
import { latin1, utf8 } from "../../../src/base/bytes.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { makeScramVerifier, parseScramVerifier } from "../../../src/sasl/scram.ts";
import { ScramServer } from "../../../src/sasl/scram_server.ts";
import type { SaslStep } from "../../../src/sasl/step.ts";
import { ScramClient } from "./scram_client.ts";

const random = seededRandom(5);
const secret = random.bytes(32);
const verifier = parseScramVerifier(await makeScramVerifier("pencil", { random, iterations: 4096 }))!;
const server = () => new ScramServer({ random, secret, iterations: 4096 });

function challenge(step: SaslStep): Uint8Array {
  if (step.kind !== "challenge") throw new Error(`expected a challenge, got ${JSON.stringify(step)}`);
  return step.bytes;
}

function failure(step: SaslStep): string {
  if (step.kind !== "failure") throw new Error(`expected a failure, got ${JSON.stringify(step)}`);
  return `${step.reason} ${latin1(step.final ?? utf8(""))}`;
}

Deno.test("ScramServer lets in who knows the password, and proves itself", () => {
  for (const gs2 of ["n,,", "y,,", "n,a=user,"]) {
    const [client, exchange] = [new ScramClient({ gs2 }), server()];
    assertEquals(exchange.start(client.first), { kind: "need-scram", user: "user" });
    const step = exchange.respond(client.final(challenge(exchange.verifier(verifier))));
    if (step.kind !== "success") throw new Error(`expected success, got ${step.kind}`);
    assertEquals(step.user, "user");
    assertEquals(latin1(step.final!), client.expectedFinal);
  }
});

Deno.test("ScramServer asks for the first message where none came along", () => {
  const exchange = server();
  assertEquals(challenge(exchange.start(undefined)), new Uint8Array(0));
  assertEquals(exchange.respond(new ScramClient().first).kind, "need-scram");
});

Deno.test("ScramServer refuses a wrong password", () => {
  const [client, exchange] = [new ScramClient({ password: "pencils" }), server()];
  exchange.start(client.first);
  const step = exchange.respond(client.final(challenge(exchange.verifier(verifier))));
  assertEquals(failure(step), "refused e=invalid-proof");
});

Deno.test("ScramServer shows an unknown user the same salt each time and fails at the end", () => {
  const salts = ["ghost", "Ghost", "ghoul"].map((user) => {
    const [client, exchange] = [new ScramClient({ user }), server()];
    exchange.start(client.first);
    const first = challenge(exchange.verifier(undefined));
    assertEquals(failure(exchange.respond(client.final(first))), "refused e=invalid-proof");
    const [, salt, iterations] = /,s=([^,]+),i=(\d+)$/.exec(latin1(first))!;
    assertEquals(iterations, "4096");
    assertEquals(atob(salt!).length, verifier.salt.length);
    return salt;
  });
  assertEquals(salts[0], salts[1]);
  assertNotEquals(salts[0], salts[2]);
});

Deno.test("ScramServer never says the same nonce twice", () => {
  const nonces = [0, 1].map(() => {
    const exchange = server();
    exchange.start(new ScramClient().first);
    return latin1(challenge(exchange.verifier(verifier)));
  });
  assertNotEquals(nonces[0], nonces[1]);
});

Deno.test("ScramServer reads commas and equals signs in names", () => {
  assertEquals(server().start(utf8("n,,n=a=2Cb=3Dc,r=abc")), { kind: "need-scram", user: "a,b=c" });
});

Deno.test("ScramServer names what is wrong with a first message", () => {
  const cases: [string, string][] = [
    ["p=tls-exporter,,n=user,r=abc", "malformed e=channel-binding-not-supported"],
    ["n,,m=1,n=user,r=abc", "malformed e=extensions-not-supported"],
    ["n,,n=us=er,r=abc", "malformed e=invalid-username-encoding"],
    ["n,,n=us=2cer,r=abc", "malformed e=invalid-username-encoding"],
    ["n,,n=us\0er,r=abc", "malformed e=invalid-username-encoding"],
    ["n,a=root,n=user,r=abc", "refused e=other-error"],
    ["n,,n=,r=abc", "malformed e=other-error"],
    ["n,,n=user,r=", "malformed e=other-error"],
    ["n,,n=user,r=a b", "malformed e=other-error"],
    ["x,,n=user,r=abc", "malformed e=other-error"],
    ["n=user,r=abc", "malformed e=other-error"],
    [`n,,n=user,r=${"x".repeat(257)}`, "malformed e=other-error"],
    ["", "malformed e=other-error"],
  ];
  for (const [text, expected] of cases) assertEquals(failure(server().start(utf8(text))), expected, text);
  assertEquals(failure(server().start(Uint8Array.of(0xff))), "malformed e=invalid-encoding");
});

Deno.test("ScramServer names what is wrong with a final message", () => {
  const last = (change: (client: ScramClient, serverFirst: Uint8Array) => Uint8Array): string => {
    const [client, exchange] = [new ScramClient(), server()];
    exchange.start(client.first);
    return failure(exchange.respond(change(client, challenge(exchange.verifier(verifier)))));
  };
  assertEquals(last((c, s) => c.final(s, { nonce: "other" })), "malformed e=other-error");
  // "eSws" is "y,,": a man in the middle took -PLUS out of the list.
  assertEquals(last((c, s) => c.final(s, { binding: "eSws" })), "malformed e=channel-bindings-dont-match");
  assertEquals(last((c, s) => c.final(s, { binding: "biwt" })), "malformed e=channel-bindings-dont-match");
  assertEquals(last(() => utf8("")), "malformed e=other-error");
  assertEquals(
    last((c, s) => utf8(latin1(c.final(s)).replace(/p=.*/, "p=YQ=="))),
    "malformed e=invalid-encoding",
  );
});

Deno.test("ScramServer survives any messages and never lets in by them", () => {
  const message = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.string({ unit: fc.constantFrom(..."nyp=,acrmv12+/ "), maxLength: 40 }).map(utf8),
  );
  fc.assert(
    fc.property(message, message, (first, final) => {
      const exchange = server();
      const step = exchange.start(first);
      if (step.kind === "failure") return;
      assertEquals(step.kind, "need-scram");
      exchange.verifier(verifier);
      assertEquals(exchange.respond(final).kind, "failure");
    }),
    { numRuns: 2000 },
  );
});
