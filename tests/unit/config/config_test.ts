import { assert, assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import {
  applyOverrides,
  type Config,
  configReference,
  defaultConfig,
  describeConfig,
  exampleConfig,
  formatProblem,
  listenDefaults,
  type OptionValues,
  parseConfig,
} from "../../../src/config/config.ts";
import { editDistance, nearest } from "../../../src/config/suggest.ts";

function config(text: string, machineName?: string): Config {
  const result = parseConfig(text, { file: "emsmail.yaml", machineName });
  if (!("config" in result)) throw new Error(`refused: ${result.problems.map(formatProblem).join("\n")}`);
  return result.config;
}

function problems(text: string): string[] {
  const result = parseConfig(text, { file: "emsmail.yaml" });
  if (!("problems" in result)) throw new Error(`taken: ${text}`);
  return result.problems.map(formatProblem);
}

Deno.test("parseConfig() gives the defaults where nothing is said", () => {
  for (const text of ["", "# nothing\n", "---\n", "limits:\n", "\ufeff"]) {
    assertEquals(config(text), defaultConfig());
  }
  assertEquals(config("", "Mail.Example.ORG").hostname, "mail.example.org");
  assertEquals(config("", "not_a_domain").hostname, "localhost");
  assertEquals(config("hostname: a.example", "b.example").hostname, "a.example");
});

/** Settings that can't stand alone. */
const PAIRED = /^tls\.(cert|key)File$|\.(user|passwordFile)$|^gateways\.default$/;

Deno.test("parseConfig() reads every setting", () => {
  const all = describeConfig().map(({ path, example }) => ({ path, example }));
  for (const { path, example } of all.filter(({ path }) => !PAIRED.test(path))) {
    const text = path.split(".").map((key, depth) => `${"  ".repeat(depth)}${key}:`).join("\n") +
      ` ${example}\n`;
    const read = path.split(".").reduce<unknown>(
      (tree, key) => (tree as Record<string, unknown>)[key],
      config(text),
    );
    assert(read !== undefined);
  }
  const { listen, tls, pop3, limits, threads } = config([
    'listen: { smtp: ["*:25", "[::1]:2525"], pop3: [] }',
    "tls: { certFile: /c.pem, keyFile: /k.pem, minVersion: 1.3 }",
    "pop3: { expire: 30, takeover: 1m30s }",
    "limits: { messageBytes: 10MiB, pop3Idle: 15m }",
    "threads: 2",
  ].join("\n"));
  assertEquals(listen.smtp, [{ host: undefined, port: 25 }, { host: "::1", port: 2525 }]);
  assertEquals([listen.pop3, listen.pop3s], [[], undefined]);
  assertEquals([tls.certFile, tls.keyFile, tls.minVersion], ["/c.pem", "/k.pem", "1.3"]);
  assertEquals([pop3.expire, pop3.takeover], [30, 90_000]);
  assertEquals([limits.messageBytes, limits.pop3Idle, threads], [10 * 1024 * 1024, 900_000, 2]);
});

Deno.test("parseConfig() reports everything that is wrong at once, by line", () => {
  assertEquals(
    problems([
      "domains:", // 1
      "  - example.org", // 2
      "  - ex ample", // 3
      "relay:", // 4
      "  mod: intranet", // 5
      "  mode: dierct", // 6
      "messageBytes: 5k", // 7
      "limit: {}", // 8
      "limits:", // 9
      "  pop3Idle: 5m", // 10
      "receivers: 5", // 11
      "postmaster:", // 12
      "receivers: x", // 13
      "log: { level: wran }", // 14
    ].join("\n")),
    [
      "emsmail.yaml:3: domains[1] must be a domain name such as mail.example.org, not 'ex ample'",
      "emsmail.yaml:5: relay.mod is not a setting; did you mean relay.mode?",
      "emsmail.yaml:6: relay.mode must be direct, buffer, intranet or combined, not 'dierct'; did you mean direct?",
      "emsmail.yaml:7: messageBytes is not a setting; did you mean limits.messageBytes?",
      "emsmail.yaml:8: limit is not a setting; did you mean limits?",
      "emsmail.yaml:10: limits.pop3Idle must be a duration such as 90s, 5m or 2d, at least 10m, not '5m': " +
      "RFC 1939 3 has POP3 clients counting on 10 minutes",
      "emsmail.yaml:12: postmaster must be an account's name such as alice or alice@example.org, not nothing",
      "emsmail.yaml:13: receivers is set twice, here and on line 11: keep one",
      "emsmail.yaml:13: receivers must be a whole number from 1 to 100000, not 'x'",
      "emsmail.yaml:14: log.level must be debug, info, warn or error, not 'wran'; did you mean warn?",
    ],
  );
});

Deno.test("parseConfig() says where and why a text is not YAML", () => {
  assertMatch(problems("a: 1\nb: [1\nc: 2\n")[0]!, /^emsmail\.yaml:3: is not YAML, column \d+: /);
  assertMatch(
    problems("listen:\n  smtp:\n    - *:25\n")[0]!,
    /^emsmail\.yaml:3: .*; an address such as "\*:25" .*quotes$/,
  );
  assertMatch(
    problems("log:\n\tlevel: info\n").join(),
    /emsmail\.yaml:2: the line is indented with a tab: use spaces/,
  );
  assertMatch(
    problems("relay: {mode: intranet, mode: intranet}")[0]!,
    /^emsmail\.yaml:1: is not YAML.*duplicated key/,
  );
  assertEquals(problems("a: 1\n---\nb: 2\n").length, 1);
});

Deno.test("parseConfig() refuses texts and groups that are something else", () => {
  assertMatch(
    problems("some text")[0]!,
    /^emsmail\.yaml:1: the text must be a group of settings .*, not 'some text'$/,
  );
  assertMatch(problems("- a")[0]!, /not a list$/);
  assertMatch(problems("listen: 25")[0]!, /^emsmail\.yaml:1: listen must be a group of settings \(smtp, /);
  assertMatch(
    problems("relay.mode: intranet")[0]!,
    /write it nested, 'relay:' and below it, indented, 'mode:'$/,
  );
});

Deno.test("parseConfig() lets nothing through that JavaScript knows and the settings don't", () => {
  for (const key of ["__proto__", "constructor", "toString"]) {
    assertEquals(problems(`${key}: {}\nlog:\n  ${key}: 1\n`), [
      `emsmail.yaml:1: ${key} is not a setting`,
      `emsmail.yaml:3: log.${key} is not a setting`,
    ]);
  }
});

Deno.test("parseConfig() refuses settings that don't fit each other", () => {
  assertEquals(problems("tls:\n  certFile: c.pem\n"), [
    "emsmail.yaml:2: tls.certFile needs tls.keyFile beside it: give both, or neither for a self-signed certificate",
  ]);
  assertMatch(
    problems("tls:\n  keyFile: k.pem\n")[0]!,
    /^emsmail\.yaml:2: tls\.keyFile needs tls\.certFile beside it/,
  );
  assertEquals(problems("listen:\n  smtp: [25, 26]\n  pop3: 26\n"), [
    "emsmail.yaml:3: listen.pop3 takes port 26 on every address, which listen.smtp has already",
  ]);
  config("listen:\n  smtp: 0\n  pop3: 0\n");
});

Deno.test("parseConfig() never throws, and every problem has a line of the text", () => {
  const word = fc.constantFrom(
    "limits",
    "relay",
    "mode",
    "messageBytes",
    "x",
    "- ",
    ": ",
    "\n",
    "  ",
    "[",
    "{",
    "}",
    "]",
    "'",
  );
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.array(fc.oneof(word, fc.string({ maxLength: 4 }))).map((parts) => parts.join("")),
  );
  fc.assert(
    fc.property(text, (text) => {
      const result = parseConfig(text, { file: "f" });
      if ("config" in result) return;
      const lines = text.split(/\r\n|\r|\n/).length + 1;
      for (const problem of result.problems) {
        assert("line" in problem && problem.line >= 1 && problem.line <= lines);
      }
    }),
    { numRuns: 1000 },
  );
});

Deno.test("defaultConfig() puts overrides over the defaults", () => {
  const changed = defaultConfig({ hostname: "a.example", limits: { recipients: 3 }, listen: { smtp: [] } });
  assertEquals(changed.limits, { ...defaultConfig().limits, recipients: 3 });
  assertEquals([changed.hostname, changed.listen.smtp, changed.listen.pop3], ["a.example", [], undefined]);
  assertEquals(structuredClone(changed), changed);
});

Deno.test("applyOverrides() checks options as the file's settings are, and names them", () => {
  const result = (values: OptionValues) => applyOverrides(defaultConfig({ hostname: "a.example" }), values);
  assertEquals(result({}), { config: defaultConfig({ hostname: "a.example" }) });
  assertEquals(result({ data: "/d", domain: ["B.example"], relayMode: "intranet" }), {
    config: defaultConfig({ hostname: "a.example", data: "/d", domains: ["b.example"] }),
  });
  const wrong = result({ data: "", domain: ["a", "b c"], hostname: "x y", relayMode: "combine" });
  if (!("problems" in wrong)) throw new Error("taken");
  assertEquals(wrong.problems.map(formatProblem), [
    "--data must be a path, not ''",
    "--hostname must be a domain name such as mail.example.org, not 'x y'",
    "--domain must be a domain name such as mail.example.org, not 'b c'",
    "--relay-mode must be direct, buffer, intranet or combined, not 'combine'; did you mean combined?",
  ]);
});

Deno.test("listenDefaults() gives the standard ports or those 2000 (smtp: 2500) above", () => {
  const ports = (privileged: "yes" | "no") =>
    Object.values(listenDefaults(privileged)).map(([address]) => address!.port);
  assertEquals(ports("yes"), [25, 587, 465, 110, 995]);
  assertEquals(ports("no"), [2525, 2587, 2465, 2110, 2995]);
});

Deno.test("describeConfig() and configReference() tell of every setting", () => {
  const reference = configReference();
  for (const { path, type, help, example } of describeConfig()) {
    assert(reference.includes(`\n  ${path}\n`));
    assert(type !== "" && help.endsWith(".") && example !== "", path);
  }
  // Each group's heading once.
  assertEquals(reference.match(/^\w+: /gm)?.length, 15);
});

Deno.test("exampleConfig() is a file that sets the defaults, and still one with every comment taken in", () => {
  assertEquals(config(exampleConfig()), defaultConfig());
  // A log-in needs TLS that can't be left out.
  const uncommented = exampleConfig().replace(/^( *)#(?=\w+: )/gm, "$1")
    .replaceAll("tls: opportunistic", "tls: verified");
  assertEquals(config(uncommented).tls.certFile, "/etc/emsmail/cert.pem");
  assertEquals(config(uncommented).relay.buffer.user, "office");
});

Deno.test("editDistance() counts letters added, dropped, replaced and swapped", () => {
  const pairs = [["", "abc"], ["mode", "mod"], ["direct", "dierct"], ["kitten", "sitting"], [
    "same",
    "same",
  ]] as const;
  assertEquals(pairs.map(([a, b]) => editDistance(a, b)), [3, 1, 1, 3, 0]);
});

Deno.test("nearest() suggests what is near, whatever its case, and nothing else", () => {
  assertEquals(nearest("HOSTNAM", ["hostname", "domains"]), "hostname");
  assertEquals(nearest("x", ["hostname"]), undefined);
  assertEquals(nearest("quite different", ["hostname", "domains"]), undefined);
});
