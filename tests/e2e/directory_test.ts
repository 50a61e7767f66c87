/**
 * The master name directory at the command line: entries of each kind, a user's profile and nicknames, and files.
 *
 * @module
 */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { EntryView } from "../../src/admin/directory.ts";
import { bodyOf, DOMAIN, e2e, message, type Server, withServer } from "./harness.ts";
import { outside, pathOf, untilTaken } from "./peers/outside.ts";

/** A system that may write to the outside; nothing is ever sent. */
const DIRECT = { config: { relay: { mode: "direct" } } } as const;
const ENTRIES = 10_000;
/** How long so many may take to import, in milliseconds; measured at about a third of it on two cores. */
const IMPORT_MS = 10_000;
/** The longest that a conversation may wait meanwhile, in milliseconds. */
const MEANWHILE_MS = 2000;

/** A command that fails, and what it says on standard error. */
async function refused(server: Server, args: readonly string[], code = 1): Promise<string> {
  const ran = await server.cli(args);
  assertEquals(ran.code, code, ran.stdout + ran.stderr);
  assertEquals(ran.stdout, "");
  return ran.stderr;
}

async function entries(server: Server): Promise<EntryView[]> {
  return JSON.parse(await server.mustCli(["directory", "list", "--json"])) as EntryView[];
}

/** Entries of each kind, with what is hard to write in files. */
async function populate(server: Server): Promise<void> {
  const add = (...args: readonly string[]) => server.mustCli(["directory", "add", ...args]);
  await server.mustCli([
    ...["user", "set", "alice", "--display-name", 'Alice "Ali" Grün, Dr.', "--department", "R&D; Labs"],
    ...["--phone", "+1 555 0101"],
  ]);
  await add("bobl", "--to", "Bob.Lee@partner.test", "--display-name", "=Bob", "--department", "Partners");
  await add("carol", "--to", "carol@elsewhere.test", "--inbound", "--phone", "'0");
  await add("staff", "--list", "--member", "alice", "--member", "Ann@partner.test", "--owner", "bob");
  await add("all", "--list", "--member", "staff", "--member", "bobl", "--display-name", "日本 \\ all");
}

e2e("directory: shadows and lists are added, found, shown, changed and removed", DIRECT, async (server) => {
  assertEquals(
    await server.mustCli([
      ...["directory", "add", "bobl", "--to", "Bob.Lee@partner.test"],
      ...["--display-name", "Bob Lee", "--department", "Partners", "--phone", "+1 555 0100"],
    ]),
    "Added bobl. Its mail goes to Bob.Lee@partner.test.\n",
  );
  assertEquals(
    await server.mustCli(["directory", "add", "staff", "--list", "--member", "alice", "--member", "bobl"]),
    "Added staff. Its mail goes to 2 members.\n",
  );
  assertEquals(
    await server.mustCli(["directory", "find", "LEE", "0100"]),
    "NAME  KIND    DISPLAY NAME  DEPARTMENT  PHONE        GOES TO\n" +
      "bobl  shadow  Bob Lee       Partners    +1 555 0100  Bob.Lee@partner.test\n",
  );
  assertEquals(
    await refused(server, ["directory", "find", "lee", "sales"]),
    "emsmail: nobody in the directory fits lee sales\n",
  );
  const shown = await server.mustCli(["directory", "show", `bobl`]);
  assertStringIncludes(shown, "Kind          shadow: a local name for somebody elsewhere\n");
  assertStringIncludes(shown, `Receives at   bobl@${DOMAIN}\n`);
  assertStringIncludes(shown, "Inbound       no: only users here may write to it\n");
  assertStringIncludes(shown, "Lists         staff\n");
  assertEquals(
    await server.mustCli(["directory", "set", "staff", "--remove-member", "alice", "--owner", "bob"]),
    "Changed staff. Its mail goes to 1 member.\n",
  );
  assertStringIncludes(await server.mustCli(["directory", "show", "staff"]), "Owner         bob\n");
  await server.mustCli(["directory", "set", "bobl", "--inbound", "--phone", ""]);
  const kinds = (await entries(server)).map(({ name, kind }) => `${kind} ${name}`);
  assertEquals(kinds, ["user alice", "user bob", "shadow bobl", "list staff"]);
  assertEquals(
    await server.mustCli(["directory", "remove", "bobl"]),
    "Removed the shadow bobl, also from staff.\n",
  );
  assertStringIncludes(await server.mustCli(["directory", "show", "staff"]), "Members       none\n");
  assertEquals(await server.mustCli(["directory", "remove", "staff"]), "Removed the list staff.\n");
});

e2e(
  "directory: what can't be is refused with what would be right, and changes nothing",
  DIRECT,
  async (server) => {
    await server.mustCli(["directory", "add", "bobl", "--to", "bobl@partner.test"]);
    await server.mustCli(["directory", "add", "staff", "--list", "--member", "bobl"]);
    const before = await entries(server);
    const cases: readonly (readonly [command: string, code: number, said: string])[] = [
      [
        "add bobl --to x@partner.test",
        1,
        "there is a shadow bobl already; change it with: emsmail directory set bobl",
      ],
      ["add alice --list", 1, "there is an account alice already"],
      [
        "add x --to alice@example.test",
        1,
        "alice@example.test is of this system; a shadow is for somebody elsewhere",
      ],
      ["add x --to a@partner.test --list", 2, "--to <address> and --list don't go together"],
      ["add x --list --member zork", 1, "zork is nobody here"],
      ["set staff --remove-member alice", 1, "alice is no member of staff"],
      ["set bobl --owner alice", 2, "--owner is for lists"],
      ["set staf --owner bob", 1, "did you mean staff?"],
      ["remove alice", 1, "remove it with: emsmail user remove alice"],
    ];
    for (const [command, code, said] of cases) {
      assertStringIncludes(await refused(server, ["directory", ...command.split(" ")], code), said, command);
    }
    assertEquals(await entries(server), before);
  },
);

e2e("directory: a profile has two screens, of who it is and of its mail", DIRECT, async (server) => {
  await server.mustCli([
    ...["user", "set", "bob", "--display-name", "Bob Lee", "--department", "Sales", "--phone", "0100"],
    ...["--pop3", "P", "--view", "newest", "--forward", "alice", "--forward", "bob@partner.test"],
    ...["--forward-keep", "--quota-bytes", "2GiB"],
  ]);
  await server.mustCli(["alias", "add", "sales", "bob"]);
  await server.mustCli(["directory", "add", "staff", "--list", "--member", "bob"]);
  const shown = await server.mustCli(["user", "show", "bob"]);
  assertEquals(
    shown.replace(/^Created .*$/m, "Created"),
    `#1 Identity
Name          bob
Display name  Bob Lee
Department    Sales
Phone         0100
Receives at   bob@example.test
Aliases       sales
Lists         staff
Created

#2 Mail
Allow POP3 Access  P: yes, messages pass through whole
Default view       newest first
Quota              2 GiB (its own for bytes)
Maildrop           0 messages, 0 B
Forward            to alice and bob@partner.test, and kept here too
Sends as           its own addresses
Password           set
`,
  );
  assertEquals(await server.mustCli(["directory", "show", "bob"]), shown);
  await server.mustCli(["user", "set", "bob", "--no-forward-keep"]);
  assertMatch(await server.mustCli(["user", "show", "bob"]), /^Forward .*, and not kept here$/m);
  await server.mustCli(["user", "set", "bob", "--no-forward", "--pop3", "N"]);
  assertMatch(
    await server.mustCli(["user", "show", "bob"]),
    /^Allow POP3 Access +N: no$[^]*^Forward +none$/m,
  );
  // The server that runs has it at once: N is nobody's POP3.
  const wire = await server.connect("pop3");
  await wire.popOk("USER bob");
  await wire.popErr("PASS Correct-Horse-7");
  wire.close();
  assertStringIncludes(await refused(server, ["user", "set", "bob", "--pop3", "X"], 2), "it may be P, Y, N");
});

outside("directory: a user's nicknames, and a note to one", {}, async ({ server, partner }) => {
  const nickname = (...args: readonly string[]) => server.mustCli(["nickname", ...args, "--user", "alice"]);
  assertEquals(await nickname("list"), "alice has no nicknames.\n");
  assertEquals(await nickname("add", "boss", "bob"), "For alice, boss now is bob.\n");
  assertEquals(
    await nickname("add", "club", "Ann@partner.test", "boss"),
    "For alice, club now is Ann@partner.test, boss.\n",
  );
  assertEquals(
    await nickname("list"),
    "NICKNAME  ADDRESSES\nboss      bob\nclub      Ann@partner.test, boss\n",
  );
  await server.mustCli(["mail", "send", "--user", "alice"], {
    stdin: "/TO CLUB\n/SUBJECT Hello\n\nTo all.\n",
  });
  const [taken] = await untilTaken(partner, 1);
  assertEquals(taken!.rcpts.map(pathOf), ["Ann@partner.test"]);
  assertStringIncludes(bodyOf((await server.mail("bob", 1))[0]!), "To all.");
  // They are alice's own.
  const ran = await server.cli(["mail", "send", "--user", "bob"], { stdin: "/TO CLUB\n\nTo all.\n" });
  assert(ran.code !== 0, ran.stdout);
  assertEquals(await nickname("remove", "club", "boss"), "For alice, club now is Ann@partner.test.\n");
  assertEquals(await nickname("remove", "club"), "Removed the nickname club.\n");
  assertMatch(await refused(server, ["nickname", "add", "me", "me", "--user", "alice"]), /me is nobody here/);
  assertMatch(await refused(server, ["nickname", "remove", "club", "--user", "alice"]), /no nickname club/);
  assertMatch(await refused(server, ["nickname", "list", "--user", "zork"]), /there is no account zork/);
});

e2e("directory files: CSV, vCard and LDIF each carry all of it to another system", DIRECT, async (server) => {
  await populate(server);
  const before = await entries(server);
  for (const format of ["csv", "vcf", "ldif"]) {
    const file = `${server.folder}/staff.${format}`;
    assertEquals(
      await server.mustCli(["directory", "export", file]),
      `Wrote the directory to ${file}.\n`,
    );
    assertStringIncludes(
      await refused(server, ["directory", "export", file]),
      "say --force to write over it",
    );
    assertEquals(await server.mustCli(["directory", "import", file]), "6 entries unchanged.\n");
  }
  // From one format to the next, by a system of its own each time.
  let file = `${server.folder}/staff.csv`;
  const first = await Deno.readTextFile(file);
  for (const format of ["vcf", "ldif", "csv"]) {
    await withServer({ ...DIRECT, users: [], start: "by-test" }, async (other) => {
      assertStringIncludes(
        await other.mustCli(["directory", "import", file]),
        "2 users, 2 shadows and 2 lists added.",
      );
      assertEquals(await entries(other), before);
      file = `${server.folder}/other.${format}`;
      await other.mustCli(["directory", "export", file]);
    });
  }
  assertEquals(await Deno.readTextFile(file), first);
});

e2e(
  "directory files: a wrong one is told line by line, and nothing of it is taken",
  DIRECT,
  async (server) => {
    const before = await entries(server);
    const wrong = async (format: string, text: string): Promise<string[]> => {
      const ran = await server.cli(["directory", "import", "-", "--format", format], { stdin: text });
      assertEquals(ran.code, 1, ran.stdout);
      assertEquals(await entries(server), before);
      const [head, ...lines] = ran.stderr.trimEnd().split("\n");
      assertEquals(head, "emsmail: nothing was imported, since the file is wrong:");
      return lines.map((line) => line.trim());
    };
    const csv = await wrong(
      "csv",
      "kind,name,address,members\nuser,good,,\nshadow,dora,,\nlist,team,,zork;good\nuser,b ad,,\n",
    );
    assertEquals(csv.map((line) => line.split(";")[0]), [
      "standard input:3: dora is a shadow without an address",
      "standard input:4: zork is nobody here",
      "standard input:5: 'b ad' can't be an account's name: it holds a space or a sign that is not allowed",
    ]);
    assertEquals(await wrong("csv", "kind,name,shoe size\nuser,good,44\n"), [
      "standard input:1: there is no column 'shoe size'; rename or remove it; there are kind, name, display name, " +
      "department, phone, address, inbound, members, owner",
    ]);
    const vcard = await wrong("vcard", "BEGIN:VCARD\r\nVERSION:4.0\r\nNICKNAME:good\r\n");
    assertEquals(vcard, ["standard input:1: the card that begins here has no end; end it with END:VCARD"]);
    const ldif = await wrong("ldif", "version: 1\n\ndn: uid=good\nuid:: ***\n");
    assertMatch(ldif[0]!, /^standard input:4: uid isn't base64/);
  },
);

e2e("directory files: 10,000 entries are taken in seconds, by a server that goes on serving", DIRECT, async (
  server,
) => {
  const rows = Array.from(
    { length: ENTRIES },
    (_, i) => `shadow,p${i},Person ${i},Department ${i % 97},+1 555 ${i},p${i}@partner.test`,
  );
  const file = `${server.folder}/many.csv`;
  await Deno.writeTextFile(file, ["kind,name,display name,department,phone,address", ...rows].join("\r\n"));
  let done = false;
  let longestMs = 0;
  let sent = 0;
  const serve = async () => {
    while (!done) {
      const begun = performance.now();
      await server.send({ to: `alice@${DOMAIN}`, data: message({ subject: "Meanwhile" }) });
      longestMs = Math.max(longestMs, performance.now() - begun);
      sent++;
    }
  };
  const serving = serve();
  const begun = performance.now();
  const said = await server.mustCli(["directory", "import", file]).finally(() => done = true);
  const tookMs = performance.now() - begun;
  await serving;
  console.log(
    `      ${ENTRIES} entries in ${Math.round(tookMs)} ms; ${sent} messages meanwhile, ` +
      `the slowest in ${Math.round(longestMs)} ms`,
  );
  assertEquals(said, `${ENTRIES} shadows added.\n`);
  assert(tookMs < IMPORT_MS, `${tookMs} ms`);
  assert(sent > 0 && longestMs < MEANWHILE_MS, `${sent} messages, ${longestMs} ms`);
  await server.mail("alice", sent);
  assertMatch(await server.mustCli(["directory", "find", "p9999"]), /^p9999 +shadow +Person 9999/m);
});
