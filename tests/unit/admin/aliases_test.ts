import { assertEquals, assertRejects } from "@std/assert";
import { addAlias, listAliases, removeAlias } from "../../../src/admin/aliases.ts";
import { AdminError } from "../../../src/admin/error.ts";
import { addUser } from "../../../src/admin/users.ts";
import { type Fixture, fixture, withUsers } from "./fixtures.ts";

async function refuses(context: Fixture, name: string, targets: string[], words: string): Promise<void> {
  const before = await listAliases(context);
  const error = await assertRejects(() => addAlias(context, { name, targets }), AdminError);
  assertEquals(error.message.includes(words), true, error.message);
  assertEquals(await listAliases(context), before);
}

Deno.test("addAlias() makes an alias and adds to it", async () => {
  const context = await withUsers("alice", "bob");
  assertEquals(await addAlias(context, { name: "Sales", targets: ["Alice"] }), {
    name: "sales",
    targets: ["alice"],
  });
  const more = await addAlias(context, { name: "sales", targets: ["bob@example.org", "alice", "bob+x"] });
  assertEquals(more.targets, ["alice", "bob@example.org", "bob+x"]);
  assertEquals(await listAliases(context), [more]);
});

Deno.test("addAlias() makes a catch-all", async () => {
  const context = await withUsers("alice");
  await addAlias(context, { name: "@EXAMPLE.net", targets: ["alice"] });
  assertEquals(await listAliases(context), [{ name: "@example.net", targets: ["alice"] }]);
  // A catch-all makes nobody out of a misspelt target.
  await refuses(context, "sales", ["alcie@example.net"], "alcie@example.net is nobody here");
});

Deno.test("addAlias() refuses what leads nowhere, outside or in a circle", async () => {
  const context = await withUsers("alice");
  await addAlias(context, { name: "all", targets: ["alice"] });
  await addAlias(context, { name: "sales", targets: ["all"] });
  await refuses(context, "x", ["nobody"], "nobody is nobody here");
  await refuses(context, "x", ["alice", "bob@gmail.example"], "is outside: this system is on an intranet");
  await refuses(context, "all", ["sales"], "leads back to itself");
  await refuses(context, "all", ["sales@example.org"], "leads back to itself");
  await refuses(context, "y", ["y"], "leads back to itself");
  await refuses(context, "y@example.org", ["y@example.org"], "leads back to itself");
  await refuses(context, "alice", ["all"], "there is an account alice");
});

Deno.test("addAlias() allows an address to stand for its own wider name", async () => {
  const context = await withUsers("alice", "bob");
  await addAlias(context, { name: "alice@example.net", targets: ["alice", "bob"] });
  assertEquals((await listAliases(context))[0]!.targets, ["alice", "bob"]);
});

Deno.test("removeAlias() takes targets out, or all of it", async () => {
  const context = await withUsers("alice", "bob");
  await addAlias(context, { name: "sales", targets: ["alice", "bob"] });
  assertEquals((await removeAlias(context, { name: "SALES", targets: ["alice"] })).targets, ["bob"]);
  await assertRejects(
    () => removeAlias(context, { name: "sales", targets: ["alice"] }),
    AdminError,
    "does not lead to",
  );
  assertEquals((await removeAlias(context, { name: "sales", targets: ["bob"] })).targets, []);
  assertEquals(await listAliases(context), []);
  await assertRejects(
    () => removeAlias(context, { name: "sales", targets: [] }),
    AdminError,
    "there is no alias sales",
  );
  await assertRejects(
    () => removeAlias(context, { name: "bob", targets: [] }),
    AdminError,
    "is an account, not an alias",
  );
});

Deno.test("addAlias() leads outside where mail can go there", async () => {
  const route = { port: 25, tls: "off", user: undefined, passwordFile: undefined, accept: "users" } as const;
  const lab = { ...route, domain: "lab.example", host: "lab" };
  const direct = fixture({ relay: { mode: "direct" } });
  const intranet = fixture({ relay: { mode: "intranet", routes: [lab] } });
  for (const context of [direct, intranet]) {
    await addUser(context, { name: "alice", password: "secret" });
    await addAlias(context, { name: "out", targets: ["Bob@LAB.example", "alice"] });
    // Bob's own system may tell him from bob.
    assertEquals((await listAliases(context))[0]!.targets, ["Bob@lab.example", "alice"]);
    const left = await removeAlias(context, { name: "out", targets: ["bob@lab.example"] });
    assertEquals(left.targets, ["alice"]);
  }
  await addAlias(direct, { name: "away", targets: ["x@elsewhere.example"] });
  await refuses(intranet, "away", ["x@elsewhere.example"], "is outside: this system is on an intranet");
});

const NOBODY = { displayName: "", department: "", phone: "" };

Deno.test("addAlias() leads to shadows and lists, and takes the name of neither", async () => {
  const context = await withUsers("alice");
  const { store } = context;
  await store.entries.change([
    {
      kind: "set-shadow",
      shadow: { name: "shade", address: "alice@example.org", inbound: false, identity: NOBODY },
    },
    { kind: "set-shadow", shadow: { name: "far", address: "x@a.example", inbound: true, identity: NOBODY } },
    { kind: "set-list", list: { name: "staff", members: ["ghost", "shade"], identity: NOBODY } },
    { kind: "set-list", list: { name: "none", members: [], identity: NOBODY } },
    { kind: "set-list", list: { name: "ring", members: ["sales"], identity: NOBODY } },
  ]);
  // Who is missing in a list, now or for ever, is the list's own affair.
  const targets = ["shade", "staff", "none@example.org"];
  assertEquals(await addAlias(context, { name: "all", targets }), { name: "all", targets });
  await refuses(context, "sales", ["ring"], "sales leads back to itself (by alias sales > list ring)");
  await refuses(context, "x", ["far"], "is outside: this system is on an intranet");
  await refuses(context, "staff", ["alice"], "there is a list staff");
  await refuses(context, "shade", ["alice"], "there is a shadow shade");
  const error = await assertRejects(() => removeAlias(context, { name: "staff", targets: [] }), AdminError);
  assertEquals(error.message.includes("staff is a list, not an alias"), true, error.message);
});

Deno.test("addAlias() leads to a user whose own forwarding leads nowhere or back", async () => {
  const context = await withUsers("alice", "bob");
  const { directory } = context.store;
  await directory.changeAccount("alice", { forward: { to: ["ghost"], keep: false } });
  await directory.changeAccount("bob", { forward: { to: ["sales"], keep: false } });
  assertEquals((await addAlias(context, { name: "sales", targets: ["alice", "bob"] })).targets, [
    "alice",
    "bob",
  ]);
});

Deno.test("addAlias() says that aliases are of no use where all domains are routed elsewhere", async () => {
  const route = { port: 25, tls: "off", user: undefined, passwordFile: undefined, accept: "users" } as const;
  const all = ["example.org", "example.net"].map((domain) => ({ ...route, domain, host: "lab" }));
  const [first] = all;
  await refuses(fixture({ relay: { routes: all } }), "x", ["alice"], "aliases are of no use here");
  const half = fixture({ relay: { routes: [first!] } });
  await addUser(half, { name: "alice", password: "secret" });
  assertEquals((await addAlias(half, { name: "x", targets: ["alice"] })).targets, ["alice"]);
});
