/**
 * The client's side of SCRAM-SHA-256.
 *
 * @module
 */
import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { latin1, utf8 } from "../../../src/base/bytes.ts";
import { ScramClient } from "../../../src/sasl/scram_client.ts";

// RFC 7677 3
const credentials = { user: "user", password: "pencil", nonce: "rOprNGfwEbeRWgbNEkqO" };
const SERVER_FIRST = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const CLIENT_FINAL = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0," +
  "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
const SERVER_FINAL = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

function answer(client: ScramClient, text: string): string {
  const step = client.respond(utf8(text));
  return step.kind === "response" ? latin1(step.bytes) : step.text;
}

Deno.test("ScramClient does the example of RFC 7677", () => {
  const client = new ScramClient(credentials);
  assertEquals(latin1(client.first()), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
  assertEquals(answer(client, SERVER_FIRST), CLIENT_FINAL);
  assertEquals(client.verified, false);
  assertEquals(answer(client, SERVER_FINAL), "");
  assertEquals(client.verified, true);
  assertStringIncludes(answer(client, SERVER_FINAL), "went on");
});

Deno.test("ScramClient doesn't believe a server that can't show that it knows the password", () => {
  for (const final of ["v=" + "A".repeat(43) + "=", "v=", "x", "e=invalid-proof", "v=6rri"]) {
    const client = new ScramClient(credentials);
    answer(client, SERVER_FIRST);
    assertStringIncludes(answer(client, final), "the server");
    assertEquals(client.verified, false);
  }
});

Deno.test("ScramClient.respond() says what the server holds against the log-in", () => {
  for (
    const [final, sentence] of [
      [
        "e=invalid-proof",
        "the server refuses the log-in (invalid-proof): the name or the password is not the right one",
      ],
      ["e=other-error", "the server refuses the log-in (other-error)"],
    ] as const
  ) {
    const client = new ScramClient(credentials);
    answer(client, SERVER_FIRST);
    assertEquals(answer(client, final), sentence);
  }
});

Deno.test("ScramClient.respond() refuses what is not in SCRAM's form", () => {
  const wrong = [
    ["", "form"],
    ["r=other,s=AAAA,i=4096", "nonce"],
    ["r=rOprNGfwEbeRWgbNEkqO,s=AAAA,i=4096", "nonce"],
    ["r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=4095", "iterations"],
    ["r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=600001", "iterations"],
    ["r=rOprNGfwEbeRWgbNEkqOx,s=AAA,i=4096", "form"],
    ["m=x,r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=4096", "form"],
    [`r=rOprNGfwEbeRWgbNEkqO${"x".repeat(2000)},s=AAAA,i=4096`, "form"],
  ];
  for (const [text, sentence] of wrong) {
    const client = new ScramClient(credentials);
    assertStringIncludes(answer(client, text!), sentence!);
  }
  assertEquals(new ScramClient(credentials).respond(Uint8Array.of(0xff)).kind, "failure");
});

Deno.test("ScramClient escapes the user name and refuses a nonce that can't be sent", () => {
  const client = new ScramClient({ ...credentials, user: "a=b,c" });
  assertEquals(latin1(client.first()), "n,,n=a=3Db=2Cc,r=rOprNGfwEbeRWgbNEkqO");
  assertThrows(() => new ScramClient({ ...credentials, nonce: "a,b" }), RangeError);
});
