import { assertEquals, assertLess } from "@std/assert";
import { latin1 } from "../../../src/base/bytes.ts";
import { signMessage } from "../../../src/dkim/sign.ts";
import { slimAliases } from "../../../.ci/slim/aliases.mjs";
import { BOTH, message, NOW_MS } from "./fixtures.ts";

const root = new URL("../../..", import.meta.url).pathname;

/** Runs a program of .tools and gives what it printed. */
async function run(program: string, args: string[]): Promise<string> {
  const output = await new Deno.Command(`${root}.tools/bin/${program}`, { args, cwd: root }).output();
  const text = (octets: Uint8Array) => new TextDecoder().decode(octets);
  assertEquals(output.success, true, text(output.stderr));
  return text(output.stdout);
}

Deno.test("the package as the executable carries it makes the same signatures, and is small", async () => {
  const content = message("Hello  Bob\r\n\r\n", "Cc: a@b.test\r\nReferences: <1@x.test>\r\n\t<2@x.test>\r\n");
  const expected = await signMessage(content, { keys: BOTH, reversePath: "", nowMs: NOW_MS });
  const folder = await Deno.makeTempDir({ prefix: "emsmail-slim-" });
  try {
    const script = `${folder}/sign.cjs`;
    await run("esbuild", [
      "src/dkim/sign.ts",
      "--bundle",
      "--platform=node",
      "--format=cjs",
      "--minify",
      "--log-level=error",
      `--outfile=${script}`,
      `--alias:mailauth/dkim-sign=${root}node_modules/mailauth/lib/dkim/sign.js`,
      `--alias:@std/encoding=${root}node_modules/deno-std/encoding/mod.js`,
      ...slimAliases(),
    ]);
    // 56 kB when this was written, and 1.2 MB with the three packages.
    assertLess((await Deno.stat(script)).size, 100_000);
    const options = JSON.stringify({ keys: BOTH, reversePath: "", nowMs: NOW_MS });
    const program = `require(${JSON.stringify(script)}).signMessage(Buffer.from(${
      JSON.stringify(latin1(content))
    }, "latin1"), ${options}).then((fields) => process.stdout.write(fields))`;
    assertEquals(await run("node", ["-e", program]), latin1(expected));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
