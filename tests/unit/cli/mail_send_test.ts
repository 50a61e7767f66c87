import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { FakeClock } from "../../../src/base/clock.ts";
import { distinct } from "../../../src/cli/mail_save.ts";
import { noteOfWords } from "../../../src/cli/note_input.ts";
import { openSqliteStore, storePath } from "../../../src/store/sqlite/open.ts";
import { deliver } from "../admin/fixtures.ts";
import { Folder, mainModule, type Ran, spawn } from "./fixtures.ts";

async function office(): Promise<Folder> {
  const folder = await Folder.make();
  for (const name of ["alice", "bob"]) {
    assertEquals((await folder.run(`user add ${name} --generate`)).code, 0);
  }
  return folder;
}

async function mailFor(folder: Folder, to: string, text: string): Promise<string> {
  const clock = new FakeClock();
  const store = await openSqliteStore({ path: storePath(folder.data), clock });
  const id = await deliver(store, clock, { to, text });
  await store.close();
  return id;
}

function withStdin(
  folder: Folder,
  words: string,
  stdin: string,
  env: Record<string, string> = {},
): Promise<Ran> {
  const args = ["run", "-A", "-q", mainModule, ...words.split(" "), "--config", folder.config];
  return spawn(Deno.execPath(), args, { stdin, env, cwd: new URL("../../..", import.meta.url).pathname });
}

const PACKAGE =
  "From: Alice <alice@example.org>\r\nTo: bob@example.org\r\nSubject: Budget\r\nMessage-ID: <m@example.org>\r\n" +
  "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nHere.\r\n--b\r\n" +
  "Content-Type: text/csv; name=a.csv\r\n\r\n1,2\r\n--b\r\nContent-Type: text/csv; name=A.csv\r\n\r\n3,4\r\n--b--\r\n";

Deno.test("mail send takes a note from standard input", async () => {
  await using folder = await office();
  const tried = await withStdin(folder, "mail send --user bob --dry-run", "/TO ali\n\nHi.\n");
  assertEquals(
    tried.out.replace(/of \d+ B/, "of n B"),
    "FIELD  WRITTEN  ADDRESS            FOUND AS       GOES TO\n" +
      "TO     ali      alice@example.org  account alice  maildrop of alice\n" +
      "Nothing was sent. It would be a message of n B.\n",
  );
  assertEquals((await folder.run("queue list")).out.includes("alice"), false);
  const sent = await withStdin(folder, "mail send --user bob", "/TO alice\n/SUBJECT Lunch\n\nAt noon?\n");
  assertMatch(sent.out, /^Accepted as [0-9a-z]{10} for alice@example\.org\.\n$/);
  assertEquals([sent.code, sent.err], [0, ""]);
  assertStringIncludes((await folder.run("queue list")).out, "alice@example.org");
});

Deno.test("mail send shows where a note is wrong, and exits with 1", async () => {
  await using folder = await office();
  const wrong = await withStdin(folder, "mail send --user bob", "/TO /SMPT alice\n/TO nobody\n\nHi.\n");
  assertEquals([wrong.code, wrong.out], [1, ""]);
  assertEquals(
    wrong.err,
    "emsmail: nothing was sent\n" +
      "  standard input:1:5: there is no gateway /SMPT\n    /TO /SMPT alice\n        ^^^^^\n    did you mean /SMTP?\n" +
      "  standard input:2:5: nobody is called nobody\n    /TO nobody\n        ^^^^^^\n" +
      "    'emsmail directory find' looks for people; somebody elsewhere needs a whole address, as in bobl@example.com\n",
  );
});

Deno.test("mail send reads a file and attaches others", async () => {
  await using folder = await office();
  await Deno.writeTextFile(`${folder.path}/note.txt`, "/TO alice\n\nHi.\n");
  await Deno.writeTextFile(`${folder.path}/a.csv`, "1,2\n");
  const words = [
    "mail",
    "send",
    "--user",
    "bob",
    "--note",
    `${folder.path}/note.txt`,
    "--attach",
    `${folder.path}/a.csv`,
  ];
  const sent = JSON.parse((await folder.run([...words, "--json"])).out);
  assertEquals([sent.attachments, sent.recipients[0].maildrops], [1, ["alice"]]);
  const missing = await folder.run([...words, "--attach", `${folder.path}/b.csv`]);
  assertEquals(missing.code, 1);
  assertMatch(missing.err, /^emsmail: there is no file .*b\.csv; name a file that is there\n$/);
});

Deno.test("mail reply prints a note to amend, takes an answer, or opens an editor", async () => {
  await using folder = await office();
  await mailFor(folder, "bob", PACKAGE);
  const printed = await folder.run("mail reply 1 --user bob --print --quote");
  assertEquals(
    printed.out,
    '/TO "Alice" <alice@example.org>\n/SUBJECT Re: Budget\n\nAlice wrote:\n> Here.\n',
  );
  const sent = await withStdin(folder, "mail reply 1 --user bob", "Fine.\n");
  assertMatch(sent.out, /^Accepted as \w{10} for Alice <alice@example\.org>\.\n$/);
  const editor = `${folder.path}/editor`;
  await Deno.writeTextFile(editor, '#!/bin/sh\n[ -n "$ADD" ] && printf \'%b\' "$ADD" >> "$2"\nexit 0\n', {
    mode: 0o700,
  });
  const env = (ADD: string) => ({ VISUAL: `${editor} -x`, ADD });
  const edited = await withStdin(folder, "mail reply 1 --user bob --edit", "", env("Fine.\\n"));
  assertEquals([edited.code, edited.err], [0, ""]);
  const left = await withStdin(folder, "mail reply 1 --user bob --edit", "", env(""));
  assertEquals([left.code, left.err], [1, "emsmail: nothing was sent: the note was left as it was\n"]);
});

Deno.test("mail reply --edit keeps a note that can't be sent", async () => {
  await using folder = await office();
  await mailFor(folder, "bob", "From: nobody@example.org\r\n\r\nx\r\n");
  const editor = `${folder.path}/editor`;
  await Deno.writeTextFile(editor, '#!/bin/sh\necho Fine. >> "$1"\n', { mode: 0o700 });
  const { code, err } = await withStdin(folder, "mail reply 1 --user bob --edit", "", { VISUAL: editor });
  assertEquals(code, 1);
  const path = /; the note is kept in (\S+)\n$/.exec(err)![1]!;
  assertStringIncludes(await Deno.readTextFile(path), "Fine.\n");
  await Deno.remove(path.replace(/\/note\.txt$/, ""), { recursive: true });
});

Deno.test("mail forward takes names on the command line", async () => {
  await using folder = await office();
  await mailFor(folder, "bob", PACKAGE);
  const sent = await folder.run("mail forward 1 --user bob alice --json");
  const { attachments, subject } = JSON.parse(sent.out);
  assertEquals([attachments, subject], [2, "Fwd: Budget"]);
  assertEquals(
    JSON.parse((await folder.run("mail forward 1 --user bob alice --as-attachment --json")).out).attachments,
    1,
  );
  const both = await folder.run("mail forward 1 --user bob alice --note x");
  assertEquals([both.code, both.err.includes("don't go together")], [2, true]);
});

Deno.test("noteOfWords() begins a line at each command", () => {
  assertEquals(
    noteOfWords(["bob", "/CC", "a", "b", "/to", "/SMTP", "x\n/BCC y"]).text,
    "/TO bob\n/CC a b\n/to /SMTP x /BCC y\n",
  );
});

Deno.test("mail read shows a message kept whole as one report, and mail save saves it", async () => {
  await using folder = await office();
  const id = await mailFor(folder, "bob", PACKAGE);
  const { out } = await folder.run("mail read 1 --user bob");
  assertStringIncludes(
    out,
    `\n\nHere.\n\nReport: Budget.eml (the whole message, ${PACKAGE.length} B), with\n` +
      "  attachment 1 a.csv (text/csv, 3 B)\n  attachment 2 A.csv (text/csv, 3 B)\n" +
      `Save the attachments with: emsmail mail save ${id} --user bob\n` +
      `Save the whole message with: emsmail mail save ${id} --user bob --package\n`,
  );
  const save = (more = "") => folder.run(`mail save 1 --user bob --output ${folder.path}${more}`);
  assertEquals(
    (await save()).out,
    `Saved ${folder.path}/a.csv (3 B).\nSaved ${folder.path}/A-2.csv (3 B).\n`,
  );
  assertEquals(await Deno.readTextFile(`${folder.path}/A-2.csv`), "3,4");
  const again = await save(" --part 1");
  assertEquals([again.code, again.out], [1, ""]);
  assertStringIncludes(
    again.err,
    `nothing was saved: there is ${folder.path}/a.csv already; choose another folder`,
  );
  await Deno.writeTextFile(`${folder.path}/a.csv`, "old and longer");
  assertEquals((await save(" --part 1 --force")).code, 0);
  assertEquals(await Deno.readTextFile(`${folder.path}/a.csv`), "1,2");
  assertEquals((await save(" --package")).code, 0);
  assertStringIncludes(await Deno.readTextFile(`${folder.path}/Budget.eml`), PACKAGE);
  assertEquals((await save(" --part 3")).code, 2);
  assertEquals((await folder.run("mail save 1 --user bob --output /does/not/exist")).code, 1);
});

Deno.test("distinct() tells names apart, also where case doesn't count", () => {
  assertEquals(distinct(["a.txt", "A.TXT", "a.txt", "a-2.txt", "b", "b", ".x", ".x"]), [
    "a.txt",
    "A-2.TXT",
    "a-3.txt",
    "a-2-2.txt",
    "b",
    "b-2",
    ".x",
    ".x-2",
  ]);
});
