import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { FakeClock } from "../../../src/base/clock.ts";
import { openSqliteStore, storePath } from "../../../src/store/sqlite/open.ts";
import { deliver, type Delivered } from "../admin/fixtures.ts";
import { Folder, mainModule, spawn } from "./fixtures.ts";

/** Puts mail into maildrops as a server would; gives the ids. */
async function mailFor(folder: Folder, ...mail: Delivered[]): Promise<string[]> {
  const clock = new FakeClock();
  const store = await openSqliteStore({ path: storePath(folder.data), clock });
  const ids: string[] = [];
  for (const each of mail) {
    ids.push(await deliver(store, clock, each));
    await clock.advance(60_000);
  }
  await store.close();
  return ids;
}

Deno.test("user add makes the store; list, show, set and remove work on it", async () => {
  await using folder = await Folder.make();
  const added = await folder.run("user add Alice --generate");
  assertMatch(added.out, /^Added alice\. It receives mail for alice@example\.org\.\nPassword: \S{23}\n$/);
  assertEquals([added.code, added.err], [0, ""]);
  assertEquals(Deno.statSync(folder.data).mode! & 0o777, 0o700);
  assertEquals((await folder.run("user set alice --quota-bytes 1MiB --pop3 N")).out, "Changed alice.\n");
  const list = await folder.run("user list");
  assertMatch(
    list.out,
    /^NAME {3}POP3 {2}MESSAGES {2}SIZE {2}QUOTA {2}CREATED\nalice {2}N {12}0 {3}0 B {2}1 MiB {2}\d{4}-\d\d-\d\d \d\d:\d\d\n$/,
  );
  const [user] = JSON.parse((await folder.run("user list --json")).out);
  assertEquals([user.name, user.pop3, user.quotaBytes], ["alice", "N", { limit: 1048576, own: true }]);
  assertMatch((await folder.run("user show alice")).out, /\nQuota {14}1 MiB \(its own for bytes\)\n/);
  assertEquals(await folder.run("user remove alice --yes"), { code: 0, out: "Removed alice.\n", err: "" });
  assertEquals(
    (await folder.run("user list")).out,
    "There are no accounts yet. Add one with: emsmail user add NAME\n",
  );
  assertEquals(JSON.parse((await folder.run("user list --json")).out), []);
});

Deno.test("a command that only looks makes no store", async () => {
  await using folder = await Folder.make();
  for (
    const words of [
      "user list",
      "mail list --user a",
      "trace x",
      "alias list",
      "user remove a --yes",
      "alias add a b",
    ]
  ) {
    const { code, out, err } = await folder.run(words);
    assertEquals([code, out], [1, ""], words);
    assertMatch(err, /^emsmail: there is no mail system in .* yet; /);
  }
  assertEquals([...Deno.readDirSync(folder.path)].map(({ name }) => name), ["emsmail.yaml"]);
});

Deno.test("user add refuses wrong values before it makes anything", async () => {
  await using folder = await Folder.make();
  const wrong = await folder.run("user add alice --generate --quota-bytes 5MB");
  assertEquals(wrong.code, 2);
  assertStringIncludes(wrong.err, "--quota-bytes must be a size");
  assertStringIncludes(wrong.err, "did you mean 5MiB?");
  const outside = await folder.run("user add alice@example.com --generate");
  assertEquals(outside.code, 2);
  assertStringIncludes(outside.err, "'example.com' is not a domain of this system (example.org)");
  assertEquals((await folder.run("user add alice@example.com --generate --domain example.com")).code, 0);
});

Deno.test("user add notes that alice and alice@example.org both exist", async () => {
  await using folder = await Folder.make();
  await folder.run("user add alice --generate");
  const { code, err } = await folder.run("user add alice@example.org --generate");
  assertEquals(code, 0);
  assertMatch(err, /^emsmail: note: there is also an account alice: /);
});

Deno.test("alias add, list and remove", async () => {
  await using folder = await Folder.make();
  await folder.run("user add alice --generate");
  await folder.run("user add bob --generate");
  assertEquals(
    (await folder.run("alias add sales alice bob")).out,
    "Mail for sales now goes to alice, bob.\n",
  );
  assertEquals((await folder.run("alias list")).out, "NAME   TARGETS\nsales  alice, bob\n");
  assertEquals(JSON.parse((await folder.run("alias list --json")).out), [{
    name: "sales",
    targets: ["alice", "bob"],
  }]);
  assertEquals((await folder.run("alias add sales nobody")).code, 1);
  assertEquals((await folder.run("alias remove sales bob")).out, "Mail for sales now goes to alice.\n");
  assertEquals((await folder.run("alias remove sales")).out, "Removed the alias sales.\n");
});

Deno.test("mail list, read and delete", async () => {
  await using folder = await Folder.make();
  await folder.run("user add alice --generate");
  assertEquals((await folder.run("mail list --user alice")).out, "The maildrop of alice is empty.\n");
  const letter = "From: Bob <bob@example.org>\r\nTo: alice@example.org\r\nSubject: Lunch\r\n\r\nAt noon?\r\n";
  const [first, second] = await mailFor(folder, { to: "alice", text: letter }, {
    to: "alice",
    text: "x\r\n",
  });
  const { out } = await folder.run("mail list --user alice");
  const [head, row] = out.split("\n");
  assertEquals(head, "NO  ID          RECEIVED          FROM   SIZE  SUBJECT");
  assertMatch(row!, new RegExp(`^ 1  ${first}  \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d  Bob   115 B  Lunch$`));
  assertEquals(JSON.parse((await folder.run("mail list --user alice --json --last 1")).out)[0].id, second);
  const read = await folder.run(`mail read ${first} --user alice`);
  assertMatch(
    read.out,
    /^From: Bob <bob@example.org>\nTo: alice@example.org\nReceived: .*\nSubject: Lunch\n\nAt noon\?\n$/,
  );
  const raw = await folder.run("mail read 1 --user alice --raw");
  assertEquals(raw.out, `Return-Path: <sender@example.com>\r\n${letter}`);
  assertEquals((await folder.run(`mail delete ${first} --user alice`)).out, "Deleted 1 message.\n");
  assertEquals((await folder.run(`mail delete ${first} --user alice`)).code, 1);
  assertEquals((await folder.run("mail delete 1 --user alice")).code, 2);
});

Deno.test("what a message holds is only text on a terminal", async () => {
  await using folder = await Folder.make();
  await folder.run("user add alice --generate");
  const evil = "\u001b]0;owned\u0007\u001b[2J\u009b31m";
  const text =
    `From: ${evil} <e@example.com>\r\nSubject: ${evil}hi\r\nDate: ${evil}now\r\n\r\n${evil}body\r\n`;
  const [id] = await mailFor(folder, { to: "alice", text, from: "e@example.com", messageId: `${evil}@x` });
  const terminal = { outIsTerminal: true, width: 80 };
  for (
    const words of [
      "mail list --user alice",
      "mail read 1 --user alice",
      "mail read 1 --user alice --raw",
      `trace ${id}`,
    ]
  ) {
    const { code, out } = await folder.run(words, terminal);
    assertEquals(code, 0);
    // deno-lint-ignore no-control-regex -- control characters are what must not be there
    assertMatch(out, /^[^\u0000-\u0008\u000b-\u001f\u007f-\u009f]+$/, words);
  }
  // In a file it is the message, octet for octet.
  assertStringIncludes((await folder.run("mail read 1 --user alice --raw")).out, "\u001b]0;owned");
});

Deno.test("trace reads from top to bottom", async () => {
  await using folder = await Folder.make();
  await folder.run("user add alice --generate");
  const [id] = await mailFor(folder, { to: "alice", text: "x\r\n", messageId: "1@example.com" });
  await folder.run(`mail delete ${id} --user alice`);
  const { code, out } = await folder.run("trace <1@example.com>");
  assertEquals(code, 0);
  const lines = out.split("\n").map((line) => line.replace(/^ {2}\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}/, "- "));
  assertEquals(lines, [
    `Message ${id}`,
    "  Message-ID  <1@example.com>",
    "  From        sender@example.com",
    "  Size        3 B",
    "- received from 192.0.2.7 (calls itself pc.example.com) by ESMTPS, TLSv1.3 X, nobody logged in",
    "- delivered to alice@example.org, into the maildrop of alice",
    "- taken out of the maildrop of alice",
    "",
  ]);
  assertEquals(JSON.parse((await folder.run(`trace ${id} --json`)).out)[0].id, id);
  assertEquals((await folder.run("trace <2@example.com>")).code, 1);
});

Deno.test("config check tells every problem with its line", async () => {
  await using folder = await Folder.make();
  assertEquals((await folder.run("config check")).code, 0);
  await Deno.writeTextFile(folder.config, "hostnme: a\nrelay:\n  mod: intranet\n");
  const { code, err } = await folder.run("config check");
  assertEquals(code, 1);
  assertStringIncludes(err, "emsmail.yaml:1: hostnme is not a setting; did you mean hostname?");
  assertStringIncludes(err, "emsmail.yaml:3: relay.mod is not a setting; did you mean relay.mode?");
});

Deno.test("serve says why a relay mode can't be had", async () => {
  await using folder = await Folder.make();
  const unknown = await folder.run("serve --relay-mode dierct");
  assertEquals(unknown.code, 2);
  assertMatch(unknown.err, /^emsmail: --relay-mode must be direct, buffer, .*; did you mean direct\?\n$/);
  const lacking = await folder.run("serve --relay-mode combined");
  assertEquals(lacking.code, 2);
  assertMatch(lacking.err, /^emsmail: --relay-mode combined needs relay\.buffer\.host: /);
});

Deno.test("config example is a configuration that config check takes", async () => {
  await using folder = await Folder.make();
  const { out } = await spawn(Deno.execPath(), ["run", "-A", mainModule, "config", "example"]);
  await Deno.writeTextFile(folder.config, out);
  assertEquals((await folder.run("config check")).err, "");
});

Deno.test("the program takes a password from standard input and finds ./emsmail.yaml", async () => {
  await using folder = await Folder.make();
  const program = (args: string[], stdin = "") =>
    spawn(Deno.execPath(), ["run", "-A", mainModule, ...args], { cwd: folder.path, stdin });
  assertEquals((await program(["user", "add", "alice", "--password-stdin"], "s3cret \r\nmore\n")).code, 0);
  const empty = await program(["user", "add", "bob", "--password-stdin"], "");
  assertEquals(empty, {
    code: 1,
    out: "",
    err: "emsmail: standard input held no password; put it on the first line\n",
  });
  for (const endless of ["x".repeat(4097) + "\n", "x".repeat(200_000)]) {
    const long = await program(["user", "add", "bob", "--password-stdin"], endless);
    assertEquals([long.code, long.err], [1, "emsmail: the password on standard input is too long\n"]);
  }
  const nobody = await program(["user", "add", "bob"]);
  assertEquals(nobody.code, 2);
  assertStringIncludes(
    nobody.err,
    "there is no terminal to ask on; give it on standard input with --password-stdin",
  );
  const kept = await program(["user", "remove", "alice"]);
  assertEquals(kept.code, 2);
  assertStringIncludes(kept.err, "say --yes");
  assertMatch((await program(["user", "list"])).out, /^NAME .*\nalice /);
});

Deno.test("the program prints its version without the rest of it", async () => {
  const { code, out } = await spawn(Deno.execPath(), ["run", "--cached-only", mainModule, "--version"]);
  assertEquals(code, 0);
  assertMatch(out, /^emsmail \d+\.\d+\.\d+\n$/);
});

Deno.test("a store that another process holds for writing is 75, try again later", async () => {
  await using folder = await Folder.make();
  await folder.run("user add alice --generate");
  const other = new DatabaseSync(storePath(folder.data));
  other.exec("BEGIN IMMEDIATE");
  try {
    const { code, err } = await folder.run("user set alice --pop3 N");
    assertEquals(code, 75);
    assertMatch(err, /^emsmail: another process holds .* for writing: try again/);
    assertEquals((await folder.run("user list")).code, 0);
  } finally {
    other.exec("ROLLBACK");
    other.close();
  }
});
