import { assertEquals } from "@std/assert";
import { FakeClock } from "../../../src/base/clock.ts";
import { latin1, utf8 } from "../../../src/base/bytes.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { hashPassword } from "../../../src/sasl/password.ts";
import { makeScramVerifier } from "../../../src/sasl/scram.ts";
import {
  Authenticator,
  type ExchangeStep,
  type LoginResult,
} from "../../../src/server/login/authenticator.ts";
import { LoginGuard } from "../../../src/server/login/guard.ts";
import type { Account } from "../../../src/store/types.ts";
import { ScramClient } from "../sasl/scram_client.ts";

const random = seededRandom(11);
const scryptCost = { ln: 4, r: 8, p: 1 };
const hashes = {
  pencil: await hashPassword("pencil", { random, cost: scryptCost }),
  eraser: await hashPassword("eraser", { random, cost: scryptCost }),
};
const scramVerifier = await makeScramVerifier("pencil", { random, iterations: 4096 });

function account(id: number, name: string, changes: Partial<Account> = {}): Account {
  const base = { pop3: "Y", sendAsAny: false, scramVerifier, createdAtMs: 0 } as const;
  return { ...base, id, name, passwordHash: hashes.pencil, ...changes };
}

function setUp(accounts: Account[], options: { failing?: boolean } = {}) {
  const clock = new FakeClock();
  const errors: unknown[] = [];
  const rows = new Map(accounts.map((row) => [row.name, row]));
  const guard = new LoginGuard(LoginGuard.create({ clock, random }), { clock });
  const authenticator = new Authenticator({
    directory: {
      account: (name) =>
        options.failing ? Promise.reject(new Error("disk gone")) : Promise.resolve(rows.get(name)),
    },
    domains: ["Example.org", "example.com"],
    clock,
    random,
    guard,
    secret: random.bytes(32),
    scryptCost,
    scramIterations: 4096,
    onError: (error) => errors.push(error),
  });
  return { authenticator, clock, errors, rows, guard };
}

const HOME = { client: "192.0.2.10" };
const who = (result: LoginResult | ExchangeStep): string =>
  result.kind === "ok" ? result.account.name : result.kind;

/** Lets time pass while a log-in waits for its turn. */
async function passing<T>(clock: FakeClock, work: Promise<T>): Promise<T> {
  let done = false;
  work.finally(() => done = true);
  while (!done) {
    await clock.advance(500);
    // Hashing is done on other threads: let it come back.
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return work;
}

Deno.test("Authenticator.plain() tells right from wrong", async () => {
  const { authenticator } = setUp([account(1, "alice"), account(2, "bob", { passwordHash: "" })]);
  assertEquals(who(await authenticator.plain("alice", "pencil", HOME)), "alice");
  assertEquals(await authenticator.plain("alice", "eraser", HOME), { kind: "refused" });
  assertEquals(await authenticator.plain("ghost", "pencil", HOME), { kind: "refused" });
  assertEquals(await authenticator.plain("bob", "", HOME), { kind: "refused" });
  assertEquals(await authenticator.plain("al\0ice", "pencil", HOME), { kind: "refused" });
  assertEquals(await authenticator.plain("", "pencil", HOME), { kind: "refused" });
});

Deno.test("Authenticator.plain() finds accounts by bare and full names", async () => {
  const { authenticator } = setUp([
    account(1, "alice"),
    account(2, "alice@example.com", { passwordHash: hashes.eraser }),
    account(3, "bob@example.org"),
    account(4, "carol@example.com"),
  ]);
  const login = async (user: string, password = "pencil") =>
    who(await authenticator.plain(user, password, HOME));
  assertEquals(await login("ALICE"), "alice");
  assertEquals(await login("alice@EXAMPLE.org"), "alice");
  assertEquals(await login("alice@example.com", "eraser"), "alice@example.com");
  assertEquals(await login("alice@example.com"), "refused");
  assertEquals(await login("bob"), "bob@example.org");
  assertEquals(await login("carol@example.com"), "carol@example.com");
  assertEquals(await login("alice@elsewhere.example"), "refused");
});

Deno.test("Authenticator.setDomains() replaces the domains", async () => {
  const { authenticator } = setUp([account(1, "alice")]);
  authenticator.setDomains(["example.net"]);
  assertEquals(who(await authenticator.plain("alice@example.net", "pencil", HOME)), "alice");
  assertEquals(who(await authenticator.plain("alice@example.org", "pencil", HOME)), "refused");
});

Deno.test("Authenticator.plain() forgets a remembered password when it is changed or the account removed", async () => {
  const { authenticator, rows } = setUp([account(1, "alice")]);
  assertEquals(who(await authenticator.plain("alice", "pencil", HOME)), "alice");
  rows.set("alice", account(1, "alice", { passwordHash: hashes.eraser }));
  assertEquals(who(await authenticator.plain("alice", "pencil", HOME)), "refused");
  assertEquals(who(await authenticator.plain("alice", "eraser", HOME)), "alice");
  rows.delete("alice");
  assertEquals(who(await authenticator.plain("alice", "eraser", HOME)), "refused");
});

Deno.test("Authenticator.plain() hashes a remembered password no more", async () => {
  const slow = await hashPassword("pencil", { random, cost: { ln: 14, r: 8, p: 1 } });
  const { authenticator } = setUp([account(1, "alice", { passwordHash: slow })]);
  const startMs = performance.now();
  await authenticator.plain("alice", "pencil", HOME);
  const firstMs = performance.now() - startMs;
  for (let i = 0; i < 20; i++) assertEquals(who(await authenticator.plain("alice", "pencil", HOME)), "alice");
  assertEquals(performance.now() - startMs < 3 * firstMs, true);
});

Deno.test("Authenticator.plain() answers temporary where too many log-ins wait for a hash", async () => {
  const { authenticator } = setUp([account(1, "alice")]);
  const results = await Promise.all(
    Array.from({ length: 80 }, (_, i) => authenticator.plain("alice", "pencil", { client: `192.0.2.${i}` })),
  );
  assertEquals(results.filter(({ kind }) => kind === "ok").length, 66);
  assertEquals(results.filter(({ kind }) => kind === "temporary").length, 14);
});

Deno.test("Authenticator.plain() turns our own errors into temporary answers and reports them", async () => {
  const { authenticator, errors } = setUp([], { failing: true });
  assertEquals((await authenticator.plain("alice", "pencil", HOME)).kind, "temporary");
  assertEquals(
    (await authenticator.start("PLAIN", { ...HOME, initial: utf8("\0alice\0pencil") })).kind,
    "temporary",
  );
  assertEquals(
    (await authenticator.start("SCRAM-SHA-256", { ...HOME, initial: new ScramClient().first })).kind,
    "temporary",
  );
  assertEquals(errors.map(String), ["Error: disk gone", "Error: disk gone", "Error: disk gone"]);
});

Deno.test("Authenticator.plain() reports a damaged hash without showing it", async () => {
  const { authenticator, errors } = setUp([account(1, "alice", { passwordHash: "$damaged$pencil" })]);
  assertEquals((await authenticator.plain("alice", "pencil", HOME)).kind, "temporary");
  assertEquals(errors.length, 1);
  assertEquals(String(errors[0]).includes("pencil"), false);
});

Deno.test("Authenticator.plain() slows an attacker and lets the owner in at once", async () => {
  const { authenticator, clock } = setUp([account(1, "alice")]);
  await authenticator.plain("alice", "pencil", HOME);
  const attacker = { client: "198.51.100.66" };
  for (let i = 0; i < 12; i++) {
    assertEquals(who(await passing(clock, authenticator.plain("alice", `guess ${i}`, attacker))), "refused");
  }
  const beforeMs = clock.nowMs();
  assertEquals(who(await authenticator.plain("alice", "pencil", HOME)), "alice");
  assertEquals(clock.nowMs(), beforeMs);
  // A right password from the attacker's own address is late, not refused.
  const late = authenticator.plain("alice", "pencil", attacker);
  assertEquals((await authenticator.plain("alice", "pencil", attacker)).kind, "temporary");
  assertEquals(who(await passing(clock, late)), "alice");
  assertEquals(clock.nowMs() - beforeMs >= 14_900, true);
});

Deno.test("Authenticator.start() drives PLAIN and LOGIN", async () => {
  const { authenticator } = setUp([account(1, "alice")]);
  assertEquals(
    who(await authenticator.start("plain", { ...HOME, initial: utf8("\0alice\0pencil") })),
    "alice",
  );
  assertEquals(who(await authenticator.start("PLAIN", { ...HOME, initial: utf8("\0alice\0no") })), "refused");
  assertEquals(who(await authenticator.start("PLAIN", { ...HOME, initial: utf8("alice") })), "malformed");
  let step = await authenticator.start("LOGIN", HOME);
  const prompts: string[] = [];
  for (const response of ["alice", "pencil"]) {
    if (step.kind !== "challenge") throw new Error(step.kind);
    prompts.push(latin1(step.bytes));
    step = await step.respond(utf8(response));
  }
  assertEquals([...prompts, who(step)], ["Username:", "Password:", "alice"]);
  assertEquals(await authenticator.start("CRAM-MD5", HOME), { kind: "unknown-mechanism" });
});

/** Runs SCRAM to its last challenge; gives that and the end. */
async function scram(
  authenticator: Authenticator,
  options: { user: string; password?: string; last?: string },
): Promise<{ final: string; expected: string; end: ExchangeStep }> {
  const client = new ScramClient(options);
  const first = await authenticator.start("SCRAM-SHA-256", { ...HOME, initial: client.first });
  if (first.kind !== "challenge") throw new Error(first.kind);
  const last = await first.respond(client.final(first.bytes));
  if (last.kind !== "challenge") throw new Error(last.kind);
  return {
    final: latin1(last.bytes),
    expected: client.expectedFinal,
    end: await last.respond(utf8(options.last ?? "")),
  };
}

Deno.test("Authenticator.start() drives SCRAM-SHA-256 to an empty last response", async () => {
  const { authenticator } = setUp([account(1, "alice")]);
  const { final, expected, end } = await scram(authenticator, { user: "alice@example.org" });
  assertEquals(final, expected);
  assertEquals(who(end), "alice");
  assertEquals(who((await scram(authenticator, { user: "alice", last: "more" })).end), "malformed");
});

Deno.test("Authenticator.start() ends SCRAM alike for a wrong password, no user and no verifier", async () => {
  const { authenticator } = setUp([account(1, "alice"), account(2, "bob", { scramVerifier: "" })]);
  for (const [user, password] of [["alice", "eraser"], ["ghost", "pencil"], ["bob", "pencil"]] as const) {
    const { final, end } = await scram(authenticator, { user, password });
    assertEquals([final, who(end)], ["e=invalid-proof", "refused"], user);
  }
});

Deno.test("Authenticator.start() counts SCRAM's failures like the others", async () => {
  const { authenticator, clock, guard } = setUp([account(1, "alice")]);
  for (let i = 0; i < 4; i++) await scram(authenticator, { user: "alice", password: `guess ${i}` });
  const beforeMs = clock.nowMs();
  assertEquals(await passing(clock, guard.turn({ name: "alice", account: 1, client: HOME.client })), "go");
  assertEquals(clock.nowMs() - beforeMs >= 1000, true);
});
