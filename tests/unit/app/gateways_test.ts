import { assertEquals } from "@std/assert";
import { connectThrough, folderProblems, inGateways, outGateway } from "../../../src/app/gateways.ts";
import { type Config, defaultConfig, formatProblem, parseConfig } from "../../../src/config/config.ts";
import type { Connect } from "../../../src/queue/courier_types.ts";
import type { Destination } from "../../../src/queue/destination.ts";

function config(...lines: string[]): Config {
  const result = parseConfig(lines.join("\n"), { file: "emsmail.yaml" });
  if ("config" in result) return result.config;
  throw new Error(result.problems.map(formatProblem).join("\n"));
}

const CONFIG = config(
  "domains: [example.org, example.com]",
  "gateways:",
  "  filedrop:",
  "    - { name: MHS, out: /out, in: /in, poll: 30s }",
  "    - { name: telex, out: /telex, domain: telex.test }",
  "  pipe:",
  '    - { name: fax, command: [/bin/fax, "{to}"], timeout: 10s }',
);

Deno.test("outGateway() and inGateways() read the configuration", () => {
  assertEquals(outGateway(CONFIG, "mhs"), {
    kind: "filedrop",
    name: "mhs",
    domain: "mhs.example.org",
    out: "/out",
  });
  assertEquals(outGateway(CONFIG, "telex"), {
    kind: "filedrop",
    name: "telex",
    domain: "telex.test",
    out: "/telex",
  });
  assertEquals(outGateway(CONFIG, "fax"), {
    kind: "pipe",
    name: "fax",
    domain: "fax.example.org",
    command: ["/bin/fax", "{to}"],
    timeoutMs: 10_000,
  });
  assertEquals(outGateway(CONFIG, "smtp"), undefined);
  assertEquals(outGateway(defaultConfig(), "mhs"), undefined);
  assertEquals(inGateways(CONFIG), [{ name: "mhs", domain: "mhs.example.org", in: "/in", pollMs: 30_000 }]);
});

Deno.test("folderProblems() names each folder that can't be used", async () => {
  const folder = await Deno.makeTempDir({ prefix: "emsmail-gateway-" });
  await Deno.writeTextFile(`${folder}/file`, "");
  const problems = await folderProblems(config(
    "gateways:",
    "  filedrop:",
    `    - { name: a, out: ${folder}, in: ${folder}/in }`,
    `    - { name: b, out: ${folder}/file }`,
  ));
  assertEquals(problems, [
    `gateways.filedrop[0] in: ${folder}/in is not there: make the folder, writable for the server`,
    `gateways.filedrop[1] out: ${folder}/file is not a folder: name one`,
  ]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("connectThrough() asks the one who knows the way", async () => {
  const asked: string[] = [];
  const way = (name: string): Connect => ({ name: destination }) => {
    asked.push(`${name} ${destination}`);
    return Promise.resolve({ kind: "busy" });
  };
  const connect = connectThrough({ smtp: way("smtp"), gateways: way("gateways") });
  const { signal } = new AbortController();
  const to = (name: string, hop: Destination["hop"]): Destination => ({ name, hop, tls: "by-policy" });
  await connect(to("gateway mhs", { kind: "gateway", name: "mhs" }), signal);
  await connect(to("example.test", { kind: "mx", domain: "example.test" }), signal);
  assertEquals(asked, ["gateways gateway mhs", "smtp example.test"]);
});
