import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { addAlias } from "../../../src/admin/aliases.ts";
import * as directory from "../../../src/admin/directory.ts";
import { AdminError } from "../../../src/admin/error.ts";
import { addUser, changeUser } from "../../../src/admin/users.ts";
import { type Fixture, fixture } from "./fixtures.ts";

/** A system on the Internet with a gateway and the users alice and bob. */
async function system(): Promise<Fixture> {
  const context = fixture({
    relay: { mode: "direct" },
    gateways: {
      filedrop: [{
        name: "mhs",
        domain: undefined,
        out: "out",
        in: undefined,
        poll: 5000,
        attachments: "apart",
        accept: "users",
      }],
    },
  });
  for (const name of ["alice", "bob"]) await addUser(context, { name, password: "x" });
  return context;
}

async function refusal(work: Promise<unknown>): Promise<string> {
  const { message, advice } = await assertRejects(() => work, AdminError);
  return `${message}; ${advice}`;
}

Deno.test("addShadow() makes a local name for somebody elsewhere", async () => {
  const context = await system();
  const bobl = await directory.addShadow(context, { name: "BobL", to: "Bob.L@CasiSoft.com", phone: " 1 " });
  assertEquals(bobl, {
    kind: "shadow",
    name: "bobl",
    displayName: "",
    department: "",
    phone: "1",
    addresses: ["bobl@example.org", "bobl@example.net"],
    address: "Bob.L@casisoft.com",
    inbound: false,
  });
  const carol = await directory.addShadow(context, { name: "carol", to: "/MHS Carol@Sales", inbound: "yes" });
  assertEquals(carol.kind === "shadow" && [carol.address, carol.inbound], [
    "Carol@sales.mhs.example.org",
    true,
  ]);
  const dave = await directory.addShadow(context, { name: "dave", to: "/smtp dave@example.com" });
  assertEquals(dave.kind === "shadow" && dave.address, "dave@example.com");
});

Deno.test("addShadow() refuses what can't be a destination", async () => {
  const context = await system();
  const add = (to: string) => refusal(directory.addShadow(context, { name: "x", to }));
  assertEquals(await add("/MSH carol@sales"), "there is no gateway 'MSH'; did you mean /MHS?");
  assertEquals(await add("/FAX 1234"), "there is no gateway 'FAX'; there are smtp, mhs");
  const alone = {
    ...context,
    config: { ...context.config, gateways: { ...context.config.gateways, filedrop: [], pipe: [] } },
  };
  assertEquals(
    await refusal(directory.addShadow(alone, { name: "x", to: "/FAX 1234" })),
    "there is no gateway 'FAX'; SMTP is the only one that is configured",
  );
  assertEquals(await add("/MHS"), "'/MHS' names nobody; write it as /MHS user@somewhere");
  assertMatch(await add("bob"), /^'bob' has no @/);
  assertMatch(await add("bob@example.org"), /^bob@example.org is of this system; /);
  assertMatch(await add("nobody@example.net"), /^nobody@example.net is of this system; /);
  const intranet = fixture();
  assertMatch(
    await refusal(directory.addShadow(intranet, { name: "x", to: "x@example.com" })),
    /on an intranet .*; list its domain in relay\.routes/,
  );
});

Deno.test("addShadow() and addList() refuse a name that anything has, and one that can't be a name", async () => {
  const context = await system();
  await addAlias(context, { name: "sales", targets: ["alice"] });
  await directory.addList(context, { name: "staff", members: [] });
  await directory.addShadow(context, { name: "bobl", to: "b@example.com" });
  const shadow = (name: string) => refusal(directory.addShadow(context, { name, to: "b@example.com" }));
  const list = (name: string) => refusal(directory.addList(context, { name, members: [] }));
  assertMatch(await shadow("alice"), /^there is an account alice already; .*emsmail user remove alice$/);
  assertMatch(await list("SALES"), /^there is an alias sales already; .*emsmail alias remove sales$/);
  assertMatch(await shadow("staff"), /^there is a list staff already; .*emsmail directory set staff$/);
  assertMatch(await list("bobl"), /^there is a shadow bobl already; /);
  assertMatch(await shadow("a/b"), /^'a\/b' can't be a shadow's name: /);
  assertMatch(await list("@example.org"), /^'@example.org' is a whole domain, not a list; /);
});

Deno.test("addList() takes names here and addresses elsewhere, each once", async () => {
  const context = await system();
  await addAlias(context, { name: "sales", targets: ["alice"] });
  await directory.addShadow(context, { name: "bobl", to: "b@example.com" });
  const list = await directory.addList(context, {
    name: "staff",
    members: ["Alice", "alice@example.org", "sales", "bobl", "Eve@Example.COM", "bob+lists"],
    owner: "bob",
    displayName: "Everybody",
  });
  assertEquals(list.kind === "list" && list.members, [
    "alice",
    "sales",
    "bobl",
    "Eve@example.com",
    "bob+lists",
  ]);
  assertEquals(list.kind === "list" && list.owner, "bob");
  const none = (members: string[], owner?: string) =>
    refusal(directory.addList(context, { name: "x", members, owner }));
  assertMatch(await none(["alice", "carol"]), /^carol is nobody here; /);
  assertMatch(await none(["carol@example.net"]), /^carol@example.net is nobody here; /);
  assertMatch(await none([], "carol"), /^carol is nobody here; /);
});

Deno.test("lists, aliases, shadows and users' forwards can't lead back to a list", async () => {
  const context = await system();
  await directory.addList(context, { name: "a", members: ["alice"] });
  await directory.addList(context, { name: "b", members: ["a", "bob"] });
  await addAlias(context, { name: "c", targets: ["b"] });
  const add = (member: string) => refusal(directory.changeEntry(context, "a", { addMembers: [member] }));
  assertEquals(await add("a"), "mail would go round in a circle: a > a; leave one of these out");
  assertMatch(await add("b@example.net"), /: a > b > a; /);
  assertMatch(await add("c"), /: a > c > b > a; /);
  await changeUser(context, "bob", { forward: ["a"], forwardKeep: "yes" });
  assertMatch(await add("bob"), /: a > bob > a; /);
  assertEquals((await directory.showEntry(context, "a")).kind, "list");
});

Deno.test("findEntries() looks for words, at most so many, of a kind", async () => {
  const context = await system();
  await directory.addShadow(context, {
    name: "bobl",
    to: "b@example.com",
    displayName: "Bob LEE",
    phone: "0100",
  });
  await directory.addList(context, { name: "lees", members: [], department: "Bobsled" });
  const find = async (words: string[], limit = 10, kind?: directory.EntryKind) =>
    (await directory.findEntries(context, words, { limit, kind })).map(({ name }) => name);
  assertEquals(await find(["bob"]), ["bob", "bobl", "lees"]);
  assertEquals(await find(["lee", "bob"]), ["bobl", "lees"]);
  assertEquals(await find(["0100"]), ["bobl"]);
  assertEquals(await find(["bob"], 2), ["bob", "bobl"]);
  assertEquals(await find(["bob"], 1, "list"), ["lees"]);
  assertEquals((await directory.listEntries(context, { kind: "user" })).map(({ name }) => name), [
    "alice",
    "bob",
  ]);
});

Deno.test("showEntry() names the lists and aliases that name it; what isn't there gets a suggestion", async () => {
  const context = await system();
  await directory.addShadow(context, { name: "bobl", to: "b@example.com" });
  await directory.addList(context, { name: "staff", members: ["bobl", "alice"] });
  await addAlias(context, { name: "boss", targets: ["bobl"] });
  const { lists, aliases } = await directory.showEntry(context, "BOBL");
  assertEquals([lists, aliases], [["staff"], ["boss"]]);
  assertEquals(
    await refusal(directory.showEntry(context, "stuff")),
    "the directory has no stuff; did you mean staff?",
  );
  assertMatch(await refusal(directory.showEntry(context, "alice@example.org")), /; there is alice, which /);
});

Deno.test("changeEntry() changes what is named and keeps the rest", async () => {
  const context = await system();
  await directory.addShadow(context, { name: "bobl", to: "b@example.com", displayName: "Bob", phone: "1" });
  const shadow = await directory.changeEntry(context, "bobl", { to: "/mhs b@x", inbound: "yes", phone: "" });
  assertEquals([shadow.displayName, shadow.phone], ["Bob", ""]);
  assertEquals(shadow.kind === "shadow" && [shadow.address, shadow.inbound], ["b@x.mhs.example.org", true]);
  assertEquals((await directory.changeEntry(context, "bobl", { department: "X" })).phone, "");

  await directory.addList(context, { name: "staff", members: ["alice", "Eve@example.com"], owner: "bob" });
  const list = await directory.changeEntry(context, "staff", {
    addMembers: ["bobl", "alice@example.org"],
    removeMembers: ["eve@example.com"],
  });
  assertEquals(list.kind === "list" && [list.members, list.owner], [["alice", "bobl"], "bob"]);
  const unowned = await directory.changeEntry(context, "staff", { owner: "" });
  assertEquals(unowned.kind === "list" && unowned.owner, null);
  const user = await directory.changeEntry(context, "alice", { displayName: "Alice" });
  assertEquals([user.kind, user.displayName], ["user", "Alice"]);
});

Deno.test("changeEntry() refuses what another kind of entry has", async () => {
  const context = await system();
  await addAlias(context, { name: "sales", targets: ["alice"] });
  await directory.addList(context, { name: "staff", members: ["alice"] });
  const change = (name: string, settings: directory.EntrySettings) =>
    refusal(directory.changeEntry(context, name, settings));
  assertEquals(await change("staff", {}), "nothing to change was named; see 'emsmail directory set --help'");
  assertMatch(await change("staff", { to: "x@example.com" }), /^staff is a list, and --to is for shadows/);
  assertMatch(
    await change("alice", { addMembers: ["bob"] }),
    /^alice is an account, and --add-member is for lists/,
  );
  assertMatch(await change("sales", { phone: "1" }), /^sales is an alias; /);
  assertMatch(await change("staff", { removeMembers: ["bob"] }), /^bob is no member of staff; /);
});

Deno.test("removeEntry() takes shadows and lists out of everything that names them", async () => {
  const context = await system();
  await directory.addShadow(context, { name: "bobl", to: "b@example.com" });
  await directory.addList(context, { name: "staff", members: ["bobl", "alice"] });
  assertEquals((await directory.removeEntry(context, "bobl")).lists, ["staff"]);
  const staff = await directory.showEntry(context, "staff");
  assertEquals(staff.kind === "list" && staff.members, ["alice"]);
  assertMatch(
    await refusal(directory.removeEntry(context, "alice")),
    /; remove it with: emsmail user remove alice$/,
  );
});

Deno.test("an entry with a domain takes that address from one without", async () => {
  const context = await system();
  await directory.addList(context, { name: "alice@example.net", members: ["bob"] });
  assertEquals((await directory.showEntry(context, "alice")).addresses, ["alice@example.org"]);
});
