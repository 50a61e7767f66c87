import { assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { addAlias } from "../../../src/admin/aliases.ts";
import { addList, addShadow, listEntries, showEntry } from "../../../src/admin/directory.ts";
import * as files from "../../../src/admin/directory_files.ts";
import { AdminError } from "../../../src/admin/error.ts";
import { addUser, showUser } from "../../../src/admin/users.ts";
import { utf8 } from "../../../src/base/bytes.ts";
import { type Fixture, fixture } from "./fixtures.ts";

async function system(): Promise<Fixture> {
  const context = fixture({ relay: { mode: "direct" } });
  await addUser(context, { name: "alice", password: "x", displayName: "Alice", phone: "1" });
  return context;
}

function take(
  context: Fixture,
  text: string,
  options: Partial<files.ImportOptions> = {},
): Promise<files.ImportResult> {
  return files.importContacts(context, utf8(text), { file: "x.csv", format: "csv", ...options });
}

const problemsOf = async (work: Promise<unknown>): Promise<string[]> =>
  (await assertRejects(() => work, AdminError)).message.split("\n");

Deno.test("importContacts() adds, changes and leaves alone", async () => {
  const context = await system();
  const text = [
    "kind,name,display name,address,members",
    "list,staff,Staff,,alice;carol;Bob.Lee@example.com",
    "user,alice,Alice Ames,,",
    "user,carol,Carol,,",
    ",,Bob Lee,Bob.Lee@example.com,",
    ",,Dave,dave@example.net,",
  ].join("\n");
  const { added, changed, unchanged } = await take(context, text);
  assertEquals(added, [
    { kind: "list", name: "staff", line: 2 },
    { kind: "user", name: "carol", line: 4 },
    { kind: "shadow", name: "bob.lee", line: 5 },
    { kind: "user", name: "dave", line: 6 },
  ]);
  assertEquals([changed, unchanged], [[{ kind: "user", name: "alice", line: 3 }], 0]);
  const alice = await showUser(context, "alice");
  assertEquals([alice.displayName, alice.phone, alice.hasPassword, alice.lists], ["Alice Ames", "1", true, [
    "staff",
  ]]);
  assertEquals((await showUser(context, "carol")).hasPassword, false);
  // The same again changes nothing, and finds the shadow by its address.
  assertEquals(await take(context, text), { added: [], changed: [], unchanged: 5, dryRun: false });
});

Deno.test("importContacts() with dry-run says what would be done, and does nothing", async () => {
  const context = await system();
  const result = await take(context, "name,address\nx,x@example.com\n", { run: "dry-run" });
  assertEquals(result, {
    added: [{ kind: "shadow", name: "x", line: 2 }],
    changed: [],
    unchanged: 0,
    dryRun: true,
  });
  assertEquals((await listEntries(context)).length, 1);
});

Deno.test("importContacts() tells everything that is wrong by line, and changes nothing", async () => {
  const context = await system();
  await addAlias(context, { name: "sales", targets: ["alice"] });
  const text = [
    "kind,name,address,members",
    "user,new,,", // would be all right
    "user,sales,,",
    "shadow,s,,",
    "shadow,t,alice@example.org,",
    "list,l,,alice;nobody",
    "list,m,,n",
    "list,n,,m",
    "user,NEW,,",
    ",who,,",
    "user,a!b,,",
    "shadow,,@,",
  ].join("\n");
  const problems = await problemsOf(take(context, text));
  assertEquals(problems.map((problem) => problem.split(";")[0]), [
    "nothing was imported, since the file is wrong:",
    "x.csv:3: sales is an alias here, and an account in the file",
    "x.csv:4: s is a shadow without an address",
    "x.csv:5: alice@example.org is of this system",
    "x.csv:6: nobody is nobody here",
    "x.csv:7: mail would go round in a circle: m > n > m",
    "x.csv:8: mail would go round in a circle: n > m > n",
    "x.csv:9: new is on line 2 already",
    "x.csv:10: the entry has no address, and isn't said to be a user or a list",
    "x.csv:11: 'a!b' can't be an account's name: '!' once meant routing through another host, and mail systems refuse it",
    "x.csv:12: the entry has no name, and none can be made for it",
  ]);
  assertEquals((await listEntries(context)).map(({ name }) => name), ["alice", "sales"]);
  const many = await problemsOf(take(context, `kind,name\n${"x,y\n".repeat(80)}`));
  assertEquals([many.length, many.at(-1)], [52, "and 110 more"]);
});

Deno.test("importContacts() makes names that are free", async () => {
  const context = await system();
  const text =
    'display name,address\n,alice+x@example.com\nÉva Nagy!,"""""@example.com"\n,ALICE@example.com\n';
  const { added } = await take(context, text);
  assertEquals(added.map(({ name }) => name), ["alice2", "éva.nagy", "alice3"]);
});

Deno.test("importContacts() changes lists to what the file says, and only that", async () => {
  const context = await system();
  await addShadow(context, { name: "bobl", to: "b@example.com", inbound: "yes", phone: "7" });
  await addList(context, { name: "staff", members: ["alice"], owner: "alice", displayName: "Staff" });
  await take(context, "name,members,owner\nstaff,bobl,\n");
  const staff = await showEntry(context, "staff");
  assertEquals(staff.kind === "list" && [staff.members, staff.owner, staff.displayName], [
    ["bobl"],
    null,
    "Staff",
  ]);
  await take(context, "name,department\nbobl,Sales\n");
  const bobl = await showEntry(context, "bobl");
  assertEquals(bobl.kind === "shadow" && [bobl.inbound, bobl.phone, bobl.department], [true, "7", "Sales"]);
});

for (const format of ["csv", "vcard", "ldif"] as const) {
  Deno.test(`exportContacts() writes ${format} that another system takes as it is`, async () => {
    const context = await system();
    await addUser(context, { name: "bob@example.net", password: "x", department: 'R&D, "Köln"' });
    await addShadow(context, { name: "bobl", to: "Bob.L@example.com", inbound: "yes", displayName: "=Bob" });
    await addShadow(context, { name: "carl", to: "carl@example.com" });
    await addList(context, {
      name: "staff",
      members: ["alice", "bob@example.net", "bobl", "x+y@example.com"],
      owner: "alice",
      displayName: "Everybody",
      phone: "+1",
    });
    await addList(context, { name: "all", members: ["staff"] });
    const text = await files.exportContacts(context, format);
    const other = fixture({ relay: { mode: "direct" } });
    const { added } = await files.importContacts(other, utf8(text), { file: "x", format });
    assertEquals(added.length, 6);
    assertEquals(await listEntries(other), await listEntries(context));
    const again = await files.importContacts(context, utf8(text), { file: "x", format });
    assertEquals([again.added, again.changed, again.unchanged], [[], [], 6]);
  });
}

Deno.test("importContacts() takes 20,000 entries, and tells how far it is", async () => {
  const context = await system();
  const rows = Array.from({ length: 20_000 }, (_, i) => `user,user${i},User ${i},Dept ${i % 50}`);
  const members = rows.slice(0, 5000).map((_, i) => `user${i}`).join(";");
  const text = `kind,name,display name,department,members\n${rows.map((row) => `${row},\n`).join("")}` +
    `list,staff,Staff,,${members}\n`;
  const told: number[] = [];
  const { added } = await take(context, text, {
    progress: (done) => Promise.resolve(void told.push(done)),
  });
  assertEquals([added.length, told.length, told.at(-1)], [20_001, 22, 20_001]);
  const staff = await showEntry(context, "staff");
  assertEquals(staff.kind === "list" && staff.members.length, 5000);
});

Deno.test("formatOfFile() goes by the suffix", () => {
  assertEquals(["a.csv", "b.VCF", "c/d.ldif"].map(files.formatOfFile), ["csv", "vcard", "ldif"]);
  const error = (() => {
    try {
      return files.formatOfFile("people.xlsx");
    } catch (thrown) {
      return thrown as AdminError;
    }
  })() as AdminError;
  assertEquals([error.failure, error.message], ["usage", "people.xlsx doesn't say what it holds"]);
  assertStringIncludes(error.advice, "--format");
  assertMatch(error.advice, /\.csv, \.vcf or \.ldif/);
});
