import { assertEquals } from "@std/assert";
import { emsmail, spawn } from "./fixtures.ts";

const { out: script } = await emsmail(["completions", "bash"]);

/** What bash offers for the last of the words. */
async function complete(...words: string[]): Promise<string[]> {
  const program = `${script}
COMP_WORDS=(emsmail "$@"); COMP_CWORD=$#; COMPREPLY=(); _emsmail; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { code, out, err } = await spawn("bash", ["--norc", "-c", program, "bash", ...words], { cwd: "/" });
  assertEquals([code, err], [0, ""]);
  return out.split("\n").filter((line) => line !== "");
}

Deno.test("completions bash completes commands", async () => {
  assertEquals(await complete("us"), ["user"]);
  assertEquals(await complete("user", ""), ["add", "list", "show", "set", "passwd", "remove"]);
  assertEquals(await complete("nick"), ["nickname"]);
  assertEquals(await complete("directory", "s"), ["set", "show"]);
  assertEquals(await complete("mail", "re"), ["read", "reply"]);
  assertEquals(await complete("nonsense", "us"), []);
  assertEquals(await complete("help", "tr"), ["trace"]);
});

Deno.test("completions bash completes options and their values", async () => {
  assertEquals(await complete("user", "add", "alice", "--p"), ["--password-stdin", "--phone", "--pop3"]);
  assertEquals(await complete("user", "add", "--pop3", ""), ["P", "Y", "N"]);
  assertEquals(await complete("user", "add", "--send-as", "=", "a"), ["any"]);
  assertEquals(await complete("user", "set", "bob", "--no-f"), ["--no-forward", "--no-forward-keep"]);
  assertEquals(await complete("directory", "list", "--kind", ""), ["user", "alias", "shadow", "list"]);
  assertEquals(await complete("directory", "import", "x", "--format", "v"), ["vcard"]);
  assertEquals(await complete("serve", "--relay-mode", "="), ["direct", "buffer", "intranet", "combined"]);
  assertEquals(await complete("completions", "f"), ["fish"]);
  assertEquals(await complete("serve", "--data", "/et"), ["/etc"]);
});

Deno.test("completions bash passes over options and what they take", async () => {
  assertEquals(await complete("--data", "user", "user", "l"), ["list"]);
  assertEquals(await complete("user", "list", "--data", "user", "--js"), ["--json"]);
  assertEquals(await complete("user", "show", "alice", ""), []);
});

Deno.test("completions bash is one command away", async () => {
  assertEquals((await spawn("bash", ["-n"], { stdin: script })).code, 0);
  const registered = await spawn("bash", ["--norc", "-c", `${script}\ncomplete -p emsmail`]);
  assertEquals(registered.out.trim(), "complete -F _emsmail emsmail");
});

Deno.test("completions zsh and fish name every command and option", async () => {
  for (const shell of ["zsh", "fish"]) {
    const { code, out } = await emsmail(["completions", shell]);
    assertEquals(code, 0);
    for (
      const word of ["user", "passwd", "password-stdin", "relay-mode", "intranet", "trace", "catch-alls"]
    ) {
      assertEquals(out.includes(word), true, `${shell}: ${word}`);
    }
  }
});

for (const shell of ["zsh", "fish"]) {
  const isThere = await spawn("sh", ["-c", `command -v ${shell}`]);
  Deno.test({
    name: `completions ${shell} is a script that ${shell} reads`,
    ignore: isThere.code !== 0,
    async fn() {
      const { out } = await emsmail(["completions", shell]);
      const read = await spawn(shell, ["-n"], { stdin: out });
      assertEquals([read.code, read.err], [0, ""]);
    },
  });
}
