import { assertEquals, assertRejects } from "@std/assert";
import { addAlias, listAliases, removeAlias } from "../../../src/admin/aliases.ts";
import { AdminError } from "../../../src/admin/error.ts";
import { type Fixture, withUsers } from "./fixtures.ts";

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
  await refuses(context, "x", ["alice", "bob@gmail.example"], "outside this system");
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
