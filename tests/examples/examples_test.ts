/**
 * Keeps examples/ true: every configuration is taken as it stands, and every run.sh does what it says on `dist/emsmail`.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { formatProblem, parseConfig } from "../../src/config/config.ts";

const folder = new URL("../../examples/", import.meta.url).pathname;
const binary = new URL("../../dist/emsmail", import.meta.url).pathname;

const examples = [...Deno.readDirSync(folder)].filter((entry) => entry.isDirectory).map(({ name }) => name)
  .sort();

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

for (const name of examples) {
  Deno.test(`examples/${name} has a README and a configuration without problems`, () => {
    assertEquals(exists(`${folder}${name}/README.md`), true);
    const file = `examples/${name}/emsmail.yaml`;
    const result = parseConfig(Deno.readTextFileSync(`${folder}${name}/emsmail.yaml`), { file });
    assertEquals("problems" in result ? result.problems.map(formatProblem) : [], []);
  });

  const script = `${folder}${name}/run.sh`;
  if (!exists(script)) continue;
  Deno.test({
    name: `examples/${name}/run.sh does what it says`,
    // `make test` builds it first; alone, this test has nothing to run.
    ignore: !exists(binary),
    async fn() {
      const { success, stdout, stderr } = await new Deno.Command("sh", {
        args: [script],
        env: { EMSMAIL: binary, NO_COLOR: "1" },
        stdin: "null",
      }).output();
      const text = new TextDecoder();
      assertEquals(success, true, `${text.decode(stdout)}${text.decode(stderr)}`);
    },
  });
}
