import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { Command } from "commander";
import { processIo } from "../../../src/cli/io.ts";
import { buildProgram } from "../../../src/cli/program.ts";
import { emsmail } from "./fixtures.ts";

function leaves(command: Command): Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leaves);
}

function path(command: Command): string[] {
  return command.parent === null ? [] : [...path(command.parent), command.name()];
}

Deno.test("every command has help with an example that the parser knows", async () => {
  const { root } = buildProgram(processIo());
  const all = leaves(root).map(path);
  assertEquals(all.length >= 17, true);
  for (const words of all) {
    const { code, out, err } = await emsmail([...words, "--help"]);
    assertEquals([code, err], [0, ""], words.join(" "));
    const examples = /\nExamples?:\n((?: {2}.+\n)+)/.exec(out)?.[1] ?? "";
    assertStringIncludes(examples, `emsmail ${words.join(" ")}`);
    for (const line of out.split("\n")) assertEquals(line.length <= 80, true, line);
  }
});

Deno.test("a wrong command line says what is wrong and what to do", async () => {
  const cases: [string, string][] = [
    ["usr", "unknown command 'usr'; did you mean user?"],
    ["user lst", "unknown command 'lst'; did you mean list?"],
    ["user list --jsn", "unknown option '--jsn'; did you mean --json?"],
    ["user add", "emsmail user add needs a name; see 'emsmail user add --help'"],
    ["trace", "emsmail trace needs an id; see 'emsmail trace --help'"],
    ["mail read x", "emsmail mail read needs --user <name>; see 'emsmail mail read --help'"],
    ["user add a --pop3 Q", "--pop3 <access> can't be 'Q'; it may be P, Y, N"],
    [
      "user list x",
      "there is more on the command line than 'emsmail user list' takes; see 'emsmail user list --help'",
    ],
    ["user list --data", "--data <dir> needs its value; see 'emsmail user list --help'"],
    [
      "user passwd a --generate --password-stdin",
      "--password-stdin and --generate don't go together; give one of them",
    ],
  ];
  for (const [words, said] of cases) {
    assertEquals(await emsmail(words.split(" ")), { code: 2, out: "", err: `emsmail: ${said}\n` });
  }
});

Deno.test("version prints version, engine and SQLite, also as JSON", async () => {
  assertEquals(await emsmail(["--version"]), await emsmail(["-V"]));
  const { out } = await emsmail(["version"]);
  assertMatch(out, /^emsmail \d+\.\d+\.\d+\nengine {2}(Deno|Node) \d.*\nSQLite {2}3\.\d+\.\d+\n$/);
  assertEquals(Object.keys(JSON.parse((await emsmail(["version", "--json"])).out)), [
    "version",
    "engine",
    "sqlite",
  ]);
});

Deno.test("help is in colour only where the terminal is", async () => {
  assertEquals((await emsmail(["--help"])).out.includes("\u001b"), false);
  assertStringIncludes((await emsmail(["--help"], { colour: true })).out, "\u001b[1mCommands:\u001b[22m");
});
