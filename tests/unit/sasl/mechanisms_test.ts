import { assertEquals } from "@std/assert";
import { latin1, utf8 } from "../../../src/base/bytes.ts";
import { seededRandom } from "../../../src/base/random.ts";
import {
  type MechanismName,
  mechanismName,
  MECHANISMS,
  sendsPassword,
  serverMechanism,
} from "../../../src/sasl/mechanisms.ts";
import type { SaslStep } from "../../../src/sasl/step.ts";

const random = seededRandom(1);
const start = (name: MechanismName) => serverMechanism(name, { random, secret: random.bytes(32) });
const brief = (step: SaslStep): string =>
  step.kind === "failure"
    ? step.reason
    : step.kind === "check-password"
    ? `${step.user}:${step.password}`
    : step.kind === "challenge"
    ? `+${latin1(step.bytes)}`
    : step.kind;

Deno.test("mechanismName() ignores case and knows no others", () => {
  assertEquals(mechanismName("plain"), "PLAIN");
  assertEquals(mechanismName("Scram-Sha-256"), "SCRAM-SHA-256");
  assertEquals(mechanismName("SCRAM-SHA-256-PLUS"), undefined);
  assertEquals(mechanismName(""), undefined);
});

Deno.test("sendsPassword() is true for all but SCRAM", () => {
  assertEquals(MECHANISMS.filter(sendsPassword), ["PLAIN", "LOGIN"]);
});

Deno.test("PLAIN takes its message at once or after an empty challenge", () => {
  assertEquals(brief(start("PLAIN").start(utf8("\0alice\0pass word"))), "alice:pass word");
  const exchange = start("PLAIN");
  assertEquals(brief(exchange.start(undefined)), "+");
  assertEquals(brief(exchange.respond(utf8("\0alice\0secret"))), "alice:secret");
});

Deno.test("PLAIN acts for the user only", () => {
  assertEquals(brief(start("PLAIN").start(utf8("Alice\0alice\0secret"))), "alice:secret");
  assertEquals(brief(start("PLAIN").start(utf8("root\0alice\0secret"))), "refused");
});

Deno.test("PLAIN refuses messages out of form", () => {
  for (const text of ["", "alice", "\0alice", "\0alice\0", "\0\0secret", "\0alice\0secret\0", "\0\0\0"]) {
    assertEquals(brief(start("PLAIN").start(utf8(text))), "malformed", JSON.stringify(text));
  }
  assertEquals(brief(start("PLAIN").start(Uint8Array.of(0, 0xc3, 0, 97))), "malformed");
  assertEquals(brief(start("PLAIN").start(utf8("\0al\r\nice\0secret"))), "refused");
});

Deno.test("LOGIN prompts for name and password", () => {
  const exchange = start("LOGIN");
  assertEquals(brief(exchange.start(undefined)), "+Username:");
  assertEquals(brief(exchange.respond(utf8("alice"))), "+Password:");
  assertEquals(brief(exchange.respond(utf8("se cret"))), "alice:se cret");
});

Deno.test("LOGIN takes an initial response for the name", () => {
  const exchange = start("LOGIN");
  assertEquals(brief(exchange.start(utf8("alice"))), "+Password:");
  assertEquals(brief(exchange.respond(utf8("secret"))), "alice:secret");
});

Deno.test("LOGIN refuses responses out of form", () => {
  assertEquals(brief(start("LOGIN").start(utf8(""))), "malformed");
  assertEquals(brief(start("LOGIN").start(Uint8Array.of(0xff))), "malformed");
  for (const password of ["", "a\0b"]) {
    const exchange = start("LOGIN");
    exchange.start(utf8("alice"));
    assertEquals(brief(exchange.respond(utf8(password))), "malformed");
  }
});
