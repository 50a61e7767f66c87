import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { addList } from "../../../src/admin/directory.ts";
import { AdminError } from "../../../src/admin/error.ts";
import { makePassword } from "../../../src/admin/passwords.ts";
import * as users from "../../../src/admin/users.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { verifyPassword } from "../../../src/sasl/password.ts";
import { deliver, fixture, withUsers } from "./fixtures.ts";

Deno.test("addUser() keeps a hash and a SCRAM verifier, and shows neither", async () => {
  const context = fixture();
  const { user, warnings } = await users.addUser(context, { name: "Alice", password: "secret" });
  assertEquals(warnings, []);
  assertEquals(user, {
    name: "alice",
    addresses: ["alice@example.org", "alice@example.net"],
    displayName: "",
    department: "",
    phone: "",
    view: "oldest",
    forward: null,
    pop3: "P",
    sendAs: "own",
    quotaBytes: { limit: 0, own: false },
    quotaMessages: { limit: 0, own: false },
    hasPassword: true,
    createdAt: "2026-01-05T09:00:00.000Z",
  });
  const account = (await context.store.directory.account("alice"))!;
  assertEquals(await verifyPassword("secret", account.passwordHash), true);
  assertMatch(account.passwordHash, /^\$scrypt\$ln=10,/);
  assertMatch(account.scramVerifier, /^SCRAM-SHA-256\$4096:/);
});

Deno.test("addUser() makes a SCRAM verifier only where SCRAM is offered", async () => {
  const context = fixture({ auth: { mechanisms: ["PLAIN"], scryptCost: 10 } });
  await users.addUser(context, { name: "alice", password: "secret" });
  assertEquals((await context.store.directory.account("alice"))!.scramVerifier, "");
});

Deno.test("addUser() refuses a name that is taken and a password that is none", async () => {
  const context = await withUsers("alice");
  await context.store.directory.setAlias({ name: "sales", targets: ["alice"] });
  const add = (name: string, password: string) => users.addUser(context, { name, password });
  await assertRejects(() => add("ALICE", "x"), AdminError, "there is an account alice already");
  await assertRejects(() => add("sales", "x"), AdminError, "sales is an alias");
  await assertRejects(() => add("bob", ""), AdminError, "the password is empty");
  await assertRejects(() => add("bob", "a\u0000b"), AdminError, "can't be a password");
  assertEquals((await context.store.directory.accounts()).length, 1);
});

Deno.test("addUser() warns where alice and alice@example.org both exist", async () => {
  const context = await withUsers("alice");
  const narrow = await users.addUser(context, { name: "alice@example.org", password: "x" });
  assertMatch(narrow.warnings[0]!, /reaches only alice@example.org/);
  assertEquals((await users.showUser(context, "alice")).addresses, ["alice@example.net"]);

  const other = await withUsers("bob@example.net");
  const broad = await users.addUser(other, { name: "bob", password: "x" });
  assertMatch(broad.warnings[0]!, /mail to bob@example.net reaches it and not bob/);
  assertEquals(broad.user.addresses, ["bob@example.org"]);
});

Deno.test("listUsers() tells what maildrops hold", async () => {
  const context = await withUsers("bob", "alice");
  await deliver(context.store, context.clock, { to: "bob", text: "Subject: x\r\n\r\nhi\r\n" });
  const all = await users.listUsers(context);
  assertEquals(all.map(({ name, messages, bytes }) => [name, messages, bytes]), [["alice", 0, 0], [
    "bob",
    1,
    53,
  ]]);
});

Deno.test("showUser() names the aliases that lead to it", async () => {
  const context = await withUsers("alice");
  await context.store.directory.setAlias({ name: "sales", targets: ["alice@example.net"] });
  await context.store.directory.setAlias({ name: "@example.org", targets: ["alice"] });
  assertEquals((await users.showUser(context, "alice")).aliases, ["@example.org", "sales"]);
});

Deno.test("changeUser() changes what is named and keeps the rest", async () => {
  const context = await withUsers("alice");
  const changed = await users.changeUser(context, "alice", { pop3: "P", quotaBytes: 1000, sendAs: "any" });
  assertEquals([changed.pop3, changed.quotaBytes, changed.sendAs], ["P", { limit: 1000, own: true }, "any"]);
  const back = await users.changeUser(context, "alice", { quotaBytes: "default", quotaMessages: 0 });
  assertEquals([back.pop3, back.quotaBytes, back.quotaMessages], ["P", { limit: 0, own: false }, {
    limit: 0,
    own: true,
  }]);
  const error = await assertRejects(() => users.changeUser(context, "alice", {}), AdminError);
  assertEquals(error.failure, "usage");
});

Deno.test("addUser() takes the configuration's POP3 access for one that isn't told", async () => {
  const context = fixture({ accounts: { pop3: "N" } });
  const { user } = await users.addUser(context, { name: "alice", password: "x" });
  assertEquals(user.pop3, "N");
});

Deno.test("addUser() and changeUser() keep who somebody is and where mail is sent on to", async () => {
  const context = fixture({ relay: { mode: "direct" } });
  await users.addUser(context, { name: "bob", password: "x" });
  const { user } = await users.addUser(context, {
    name: "alice",
    password: "x",
    displayName: " Alice Ames ",
    forward: ["bob", "a@example.com", "bob"],
  });
  assertEquals([user.displayName, user.forward], ["Alice Ames", {
    to: ["bob", "a@example.com"],
    keep: false,
  }]);
  const kept = await users.changeUser(context, "alice", { forwardKeep: "yes", view: "newest", phone: "1" });
  assertEquals(kept.forward, { to: ["bob", "a@example.com"], keep: true });
  assertEquals([kept.displayName, kept.phone, kept.view], ["Alice Ames", "1", "newest"]);
  const other = await users.changeUser(context, "alice", { forward: ["bob"], displayName: "" });
  assertEquals([other.displayName, other.forward], ["", { to: ["bob"], keep: true }]);
  assertEquals((await users.changeUser(context, "alice", { forward: "none" })).forward, null);
  assertEquals((await users.showUser(context, "alice")).phone, "1");
});

Deno.test("changeUser() refuses to send mail on to nobody, in a circle, or where mail can't go", async () => {
  const context = await withUsers("alice", "bob");
  await addList(context, { name: "staff", members: ["alice"] });
  await users.changeUser(context, "bob", { forward: ["staff"] });
  const refusal = async (settings: users.UserSettings) =>
    (await assertRejects(() => users.changeUser(context, "alice", settings), AdminError)).message;
  assertEquals(await refusal({ forward: ["carol"] }), "carol is nobody here");
  assertEquals(await refusal({ forward: ["alice"] }), "mail would go round in a circle: alice > alice");
  assertEquals(
    await refusal({ forward: ["bob"], forwardKeep: "yes" }),
    "mail would go round in a circle: alice > bob > staff > alice",
  );
  assertMatch(await refusal({ forward: ["a@example.com"] }), /this system is on an intranet/);
  assertEquals(await refusal({ forwardKeep: "yes" }), "mail of alice isn't sent on to anybody");
  assertEquals(
    await refusal({ displayName: "a\nb" }),
    "a display name that holds a line break or another control character can't be kept",
  );
  assertEquals((await users.showUser(context, "alice")).forward, null);
});

Deno.test("showUser() names the lists that it is in", async () => {
  const context = await withUsers("alice");
  await addList(context, { name: "staff", members: ["alice@example.net"] });
  await addList(context, { name: "all", members: ["staff"] });
  assertEquals((await users.showUser(context, "alice")).lists, ["staff"]);
});

Deno.test("setPassword() replaces the password", async () => {
  const context = await withUsers("alice");
  assertEquals(await users.setPassword(context, "ALICE", "other"), "alice");
  const { passwordHash } = (await context.store.directory.account("alice"))!;
  assertEquals(await verifyPassword("other", passwordHash), true);
  assertEquals(await verifyPassword("secret", passwordHash), false);
});

Deno.test("removeUser() removes the account and its place in aliases", async () => {
  const context = await withUsers("alice", "bob");
  await context.store.directory.setAlias({ name: "sales", targets: ["alice", "bob"] });
  assertEquals((await users.removeUser(context, "alice")).name, "alice");
  assertEquals(await context.store.directory.account("alice"), undefined);
  assertEquals(await context.store.directory.aliases(), [{ name: "sales", targets: ["bob"] }]);
});

Deno.test("findAccount() says what is there instead", async () => {
  const context = await withUsers("alice");
  await context.store.directory.setAlias({ name: "sales", targets: ["alice"] });
  const advice = async (
    name: string,
  ) => (await assertRejects(() => users.findAccount(context, name), AdminError));
  assertEquals((await advice("bob")).message, "there is no account bob");
  assertMatch((await advice("alice@example.org")).advice, /there is alice/);
  assertEquals((await advice("sales")).message, "sales is an alias, not an account");
  await addList(context, { name: "staff", members: ["alice"] });
  assertEquals((await advice("staff")).advice, "see 'emsmail directory show staff'");
});

Deno.test("makePassword() gives four readable groups, each time others", () => {
  const random = seededRandom(1);
  const [first, second] = [makePassword(random), makePassword(random)];
  assertMatch(first, /^[a-hjkmnp-z02-9]{5}(-[a-hjkmnp-z02-9]{5}){3}$/);
  assertEquals(first === second, false);
});
