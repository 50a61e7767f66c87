import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Folder } from "./fixtures.ts";

/** A system on the Internet with a gateway and the users alice and bob. */
async function system(): Promise<Folder> {
  const folder = await Folder.make();
  await Deno.writeTextFile(
    folder.config,
    "relay: { mode: direct }\ngateways: { filedrop: [{ name: mhs, out: out }] }\n",
    { append: true },
  );
  await folder.run("user add alice --generate");
  await folder.run("user add bob --generate");
  return folder;
}

Deno.test("user show prints the profile's two screens", async () => {
  await using folder = await system();
  await folder.run("alias add sales alice");
  await folder.run("directory add staff --list --member alice");
  const set = await folder.run([
    ...["user", "set", "alice", "--display-name", "Alice Ames", "--department", "Sales", "--phone", "+49 30"],
    ...[
      "--pop3",
      "Y",
      "--view",
      "newest",
      "--forward",
      "bob",
      "--forward",
      "a@example.com",
      "--forward-keep",
    ],
  ]);
  assertEquals(set, { code: 0, out: "Changed alice.\n", err: "" });
  const { out } = await folder.run("user show alice");
  assertEquals(
    out.replace(/(?<=Created {7}).*/, "TIME"),
    [
      "#1 Identity",
      "Name          alice",
      "Display name  Alice Ames",
      "Department    Sales",
      "Phone         +49 30",
      "Receives at   alice@example.org",
      "Aliases       sales",
      "Lists         staff",
      "Created       TIME",
      "",
      "#2 Mail",
      "Allow POP3 Access  Y: yes, and each attachment becomes a message of its own",
      "Default view       newest first",
      "Quota              none (the default)",
      "Maildrop           0 messages, 0 B",
      "Forward            to bob and a@example.com, and kept here too",
      "Sends as           its own addresses",
      "Password           set",
      "",
    ].join("\n"),
  );
  assertEquals((await folder.run("directory show alice")).out, out);
  assertEquals((await folder.run("user set alice --no-forward-keep")).code, 0);
  assertStringIncludes(
    (await folder.run("user show alice")).out,
    "to bob and a@example.com, and not kept here\n",
  );
  assertEquals((await folder.run("user set alice --no-forward")).code, 0);
  assertEquals(JSON.parse((await folder.run("user show alice --json")).out).forward, null);
  assertEquals((await folder.run("user set alice --view sideways")).code, 2);
});

Deno.test("directory add, list, find, show, set and remove", async () => {
  await using folder = await system();
  const bobl = [
    "directory",
    "add",
    "bobl",
    "--to",
    "bobl@example.com",
    "--display-name",
    "Bob Lee",
    "--inbound",
  ];
  assertEquals((await folder.run(bobl)).out, "Added bobl. Its mail goes to bobl@example.com.\n");
  assertEquals(
    (await folder.run(["directory", "add", "carol", "--to", "/MHS carol@sales"])).out,
    "Added carol. Its mail goes to carol@sales.mhs.example.org.\n",
  );
  const staff = await folder.run(
    "directory add staff --list --member alice --member bobl --owner bob --json",
  );
  assertEquals(JSON.parse(staff.out), {
    kind: "list",
    name: "staff",
    displayName: "",
    department: "",
    phone: "",
    addresses: ["staff@example.org"],
    members: ["alice", "bobl"],
    owner: "bob",
  });
  assertEquals((await folder.run("directory list")).out.split("\n"), [
    "NAME   KIND    DISPLAY NAME  DEPARTMENT  PHONE  GOES TO",
    "alice  user                                     its maildrop",
    "bob    user                                     its maildrop",
    "bobl   shadow  Bob Lee                          bobl@example.com",
    "carol  shadow                                   carol@sales.mhs.example.org",
    "staff  list                                     2 members",
    "",
  ]);
  assertEquals(JSON.parse((await folder.run("directory list --kind shadow --json")).out).length, 2);
  assertEquals(
    (await folder.run("directory list --kind alias")).out,
    "There is no alias in the directory.\n",
  );
  const found = await folder.run("directory find bob --limit 1");
  assertMatch(found.out, /^NAME.*\nbob .*\n$/);
  assertEquals(found.err, "emsmail: note: there are more; see --limit\n");
  assertEquals(await folder.run("directory find nobody at all"), {
    code: 1,
    out: "",
    err: "emsmail: nobody in the directory fits nobody at all\n",
  });
  assertEquals(
    (await folder.run("directory show staff")).out,
    "Name          staff\nKind          distribution list\nDisplay name  none\nDepartment    none\nPhone         none\n" +
      "Receives at   staff@example.org\nOwner         bob\nMembers       alice\n              bobl\n" +
      "Aliases       none\nLists         none\n",
  );
  assertEquals(
    (await folder.run("directory set staff --add-member carol --remove-member alice --remove-member bobl"))
      .out,
    "Changed staff. Its mail goes to 1 member.\n",
  );
  assertEquals((await folder.run("directory set bobl --no-inbound")).code, 0);
  assertStringIncludes(
    (await folder.run("directory show bobl")).out,
    "Inbound       no: only users here may write to it\n",
  );
  assertEquals(
    (await folder.run("directory remove carol")).out,
    "Removed the shadow carol, also from staff.\n",
  );
});

Deno.test("directory add says what an entry needs", async () => {
  await using folder = await system();
  const cases: [string, string][] = [
    [
      "x",
      "an entry needs to be said what it is; give --to ADDRESS for a shadow or --list for a list; " +
      "'emsmail user add' adds users, 'emsmail alias add' aliases",
    ],
    ["x --to a@example.com --list", "--to <address> and --list don't go together; give one of them"],
    [
      "x --to a@example.com --member alice",
      "a shadow has no members and no owner; say --list instead of --to for a list",
    ],
    [
      "x --list --inbound",
      "--inbound is for shadows; whoever may write to this system may write to its lists",
    ],
  ];
  for (const [words, said] of cases) {
    assertEquals(await folder.run(`directory add ${words}`), { code: 2, out: "", err: `emsmail: ${said}\n` });
  }
});

Deno.test("directory export and import go round", async () => {
  await using folder = await system();
  await folder.run(["directory", "add", "bobl", "--to", "bobl@example.com", "--phone", "+1 555"]);
  await folder.run("directory add staff --list --member alice --member bobl");
  const csv = (await folder.run("directory export")).out;
  assertStringIncludes(csv, "shadow,bobl,,,'+1 555,bobl@example.com,no,,\r\n");
  for (const suffix of ["csv", "vcf", "ldif"]) {
    const file = `${folder.path}/all.${suffix}`;
    assertEquals((await folder.run(["directory", "export", file])).code, 0);
    assertMatch(
      (await folder.run(["directory", "export", file])).err,
      /already; say --force to write over it\n$/,
    );
    assertEquals((await folder.run(["directory", "export", file, "--force"])).code, 0);
    await folder.run("directory remove bobl");
    await folder.run("user remove bob --yes");
    const dry = await folder.run(["directory", "import", file, "--dry-run"]);
    assertEquals(
      dry.out,
      "1 user and 1 shadow would be added; 1 list would be changed; 1 entry unchanged.\n" +
        "bob would have no password, so that nobody can log in yet; set one with: emsmail user passwd NAME\n",
    );
    const real = await folder.run(["directory", "import", file, "--json"]);
    assertEquals(JSON.parse(real.out).added.map(({ name }: { name: string }) => name), ["bob", "bobl"]);
    assertEquals((await folder.run("directory export --format csv")).out, csv);
  }
});

Deno.test("directory import tells what is wrong by line", async () => {
  await using folder = await system();
  const file = `${folder.path}/x.csv`;
  await Deno.writeTextFile(file, 'name,address\nx,nowhere\ny,"y@example.com\n');
  const { code, out, err } = await folder.run(["directory", "import", file]);
  assertEquals([code, out], [1, ""]);
  assertMatch(
    err,
    /^emsmail: nothing was imported, since the file is wrong:\n {2}.*x\.csv:2: 'nowhere' has no @: .*\n {2}.*x\.csv:3: a quotation mark is missing .*\n$/,
  );
  assertEquals((await folder.run("directory import people")).code, 2);
  assertMatch(
    (await folder.run(["directory", "import", `${folder.path}/no.csv`])).err,
    /there is no file .*no\.csv; name a file that is there\n$/,
  );
  assertMatch(
    (await folder.run("directory import -")).err,
    /no name to tell its format by; give --format\n$/,
  );
});

Deno.test("nickname add, list and remove", async () => {
  await using folder = await system();
  const add = await folder.run(["nickname", "add", "boss", "alice", "/MHS u@w", "--user", "bob"]);
  assertEquals(add.out, "For bob, boss now is alice, u@w.mhs.example.org.\n");
  assertEquals(
    (await folder.run("nickname list --user bob")).out,
    "NICKNAME  ADDRESSES\nboss      alice, u@w.mhs.example.org\n",
  );
  assertEquals(JSON.parse((await folder.run("nickname list --user alice --json")).out), []);
  assertEquals((await folder.run("nickname remove boss alice --user bob")).code, 0);
  assertEquals((await folder.run("nickname remove boss --user bob")).out, "Removed the nickname boss.\n");
  assertEquals((await folder.run("nickname list --user carol")).code, 1);
});
