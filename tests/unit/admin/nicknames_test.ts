import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { AdminError } from "../../../src/admin/error.ts";
import * as nicknames from "../../../src/admin/nicknames.ts";
import { addUser } from "../../../src/admin/users.ts";
import { type Fixture, fixture } from "./fixtures.ts";

async function system(): Promise<Fixture> {
  const context = fixture({ relay: { mode: "direct" } });
  for (const name of ["alice", "bob"]) await addUser(context, { name, password: "x" });
  return context;
}

Deno.test("addNickname() makes a nickname and adds to it; each user has their own", async () => {
  const context = await system();
  const add = (user: string, name: string, ...addresses: string[]) =>
    nicknames.addNickname(context, { user, name, addresses });
  assertEquals(await add("bob", "Boss", "Alice"), { name: "boss", addresses: ["alice"] });
  assertEquals(await add("bob", "boss", "ann@example.com", "alice"), {
    name: "boss",
    addresses: ["alice", "ann@example.com"],
  });
  await add("bob", "club", "boss", "bob");
  // It may be called like somebody, and then means that one.
  await add("bob", "alice", "alice");
  assertEquals((await nicknames.listNicknames(context, "bob")).map(({ name }) => name), [
    "alice",
    "boss",
    "club",
  ]);
  assertEquals(await nicknames.listNicknames(context, "alice"), []);
});

Deno.test("addNickname() refuses nobody, a way back, and what is no name", async () => {
  const context = await system();
  const refusal = async (name: string, ...addresses: string[]) =>
    (await assertRejects(() => nicknames.addNickname(context, { user: "bob", name, addresses }), AdminError))
      .message;
  await nicknames.addNickname(context, { user: "bob", name: "a", addresses: ["alice"] });
  await nicknames.addNickname(context, { user: "bob", name: "b", addresses: ["a"] });
  await nicknames.addNickname(context, { user: "bob", name: "c", addresses: ["b"] });
  assertEquals(await refusal("a", "c"), "the nickname would lead back to itself: a > c > b > a");
  assertEquals(await refusal("d", "carol"), "carol is nobody here");
  assertEquals(await refusal("d", "d"), "d is nobody here");
  assertEquals(await refusal("d@example.org", "alice"), "'d@example.org' is no nickname");
  assertMatch(await refusal("/to", "alice"), /can't be a nickname's name/);
  assertEquals(await refusal("d", "/mhs x@y"), "there is no gateway 'mhs'");
});

Deno.test("removeNickname() takes addresses out, and the last with the nickname", async () => {
  const context = await system();
  const given = { user: "bob", name: "boss" };
  await nicknames.addNickname(context, { ...given, addresses: ["alice", "Ann@example.com"] });
  const remove = (...addresses: string[]) => nicknames.removeNickname(context, { ...given, addresses });
  await assertRejects(() => remove("bob"), AdminError, "boss does not stand for bob");
  assertEquals(await remove("ann@example.com"), { name: "boss", addresses: ["alice"] });
  assertEquals(await remove(), { name: "boss", addresses: [] });
  await assertRejects(() => remove(), AdminError, "bob has no nickname boss");
});
