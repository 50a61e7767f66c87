/**
 * Holds the source tree to its layout rules, and shows for each rule that it bites.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { citedIn, parseList, rfcOffences } from "./rfc.ts";
import {
  denoOffences,
  environmentOffences,
  importsOf,
  moduleOffences,
  purityOffences,
  rankOffences,
  registryOffences,
  shapeOffences,
  type SourceFile,
  sqlOffences,
  unfinishedOffences,
} from "./rules.ts";

const root = new URL("../..", import.meta.url).pathname;
const SKIPPED_FOLDERS = [".git", ".tools", "node_modules", "dist", "coverage", "emsmail-data"];
const TEXT = /\.(?:ts|mjs|cjs|json|md|txt|yaml|yml|sh|c)$|\/(?:Makefile|run|clients|LICENSE)$/;

function readTree(folder: string): SourceFile[] {
  const files: SourceFile[] = [];
  for (const entry of Deno.readDirSync(`${root}${folder}`)) {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory && !SKIPPED_FOLDERS.includes(entry.name)) files.push(...readTree(path));
    if (entry.isFile && TEXT.test(`/${path}`)) {
      files.push({ path, text: Deno.readTextFileSync(`${root}${path}`) });
    }
  }
  return files.sort((a, b) => a.path < b.path ? -1 : 1);
}

const everything = readTree("");
const source = everything.filter((file) => file.path.startsWith("src/") && file.path.endsWith(".ts"));
const programs = everything.filter((file) => /^(?:src|tests|\.ci|main\.ts)/.test(file.path));

function check(
  name: string,
  rule: (file: SourceFile) => string[],
  files: readonly SourceFile[] = source,
): void {
  Deno.test(name, () => assertEquals(files.flatMap(rule), []));
}

Deno.test("readTree() sees the source", () => assertEquals(source.length > 5, true));
check("a folder imports lower ranks only", rankOffences);
check("modules and packages that one folder keeps to itself stay there", moduleOffences);
check("only src/store holds SQL", sqlOffences);
check("src is runtime-neutral", denoOffences);
check("only the command line reads the environment", environmentOffences);
check("protocol cores have no I/O, clock or await", purityOffences);
check("source files are short, begin with a doc comment and give reasons for lint fences", shapeOffences);
check("nothing is marked unfinished", unfinishedOffences, programs);
check("no registry's address is written down", registryOffences, everything);
Deno.test("src/rfc.txt lists what src cites", () => {
  assertEquals(rfcOffences(Deno.readTextFileSync(`${root}src/rfc.txt`), source), []);
});

// ------------------------------------------------------------------ the rules bite

const file = (path: string, text: string): SourceFile => ({ path, text });
const offends = (rule: (file: SourceFile) => string[], path: string, text: string): boolean =>
  rule(file(path, text)).length > 0;

Deno.test("importsOf() finds every kind of import", () => {
  const text =
    `import "./a.ts";\nimport type { B } from "./b.ts";\nimport c, {\n  d as e,\n} from "./c.ts";\n` +
    `export * from "./f.ts";\nconst g = await import("./g.ts");\n// import "./no.ts";\n/* from "./no.ts" */`;
  assertEquals(importsOf(text).map((each) => each.specifier).sort(), [
    "./a.ts",
    "./b.ts",
    "./c.ts",
    "./f.ts",
    "./g.ts",
  ]);
});

Deno.test("rankOffences() refuses upward and sideways imports", () => {
  const from = (specifier: string) => `import { x } from "${specifier}";`;
  assertEquals(offends(rankOffences, "src/mail/a.ts", from("../smtp/b.ts")), true);
  assertEquals(offends(rankOffences, "src/smtp/a.ts", from("../pop3/b.ts")), true);
  assertEquals(offends(rankOffences, "src/smtp/a.ts", from("../../tests/b.ts")), true);
  assertEquals(offends(rankOffences, "src/server/a.ts", `import type { x } from "../queue/b.ts";`), true);
  assertEquals(offends(rankOffences, "src/novel/a.ts", ""), true);
  assertEquals(
    offends(rankOffences, "src/smtp/a.ts", from("../mail/b.ts") + from("./c.ts") + from("node:fs")),
    false,
  );
  assertEquals(offends(rankOffences, "src/cli/deep/a.ts", from("../../app.ts")), false);
});

Deno.test("moduleOffences() keeps sockets and SQLite in their folders", () => {
  assertEquals(offends(moduleOffences, "src/server/a.ts", `import { connect } from "node:net";`), true);
  assertEquals(offends(moduleOffences, "src/tls/a.ts", `import * as tls from "node:tls";`), true);
  assertEquals(
    offends(moduleOffences, "src/admin/a.ts", `import { DatabaseSync } from "node:sqlite";`),
    true,
  );
  assertEquals(offends(moduleOffences, "src/mail/a.ts", `import { isIP } from "node:net";`), false);
  assertEquals(offends(moduleOffences, "src/net/a.ts", `import { connect } from "node:net";`), false);
});

Deno.test("moduleOffences() keeps packages in their folders, and out what the executable lacks", () => {
  const imports = (path: string, specifier: string): boolean =>
    offends(moduleOffences, path, `const it = await import("${specifier}");`);
  assertEquals(imports("src/dkim/sign.ts", "mailauth/dkim-sign"), false);
  assertEquals(imports("src/queue/a.ts", "mailauth/dkim-sign"), true);
  assertEquals(imports("src/queue/a.ts", "mailauth"), true);
  assertEquals(imports("src/net/dns.ts", "dns-packet"), false);
  assertEquals(imports("src/admin/a.ts", "dns-packet"), true);
  assertEquals(imports("src/admin/a.ts", "commander"), true);
  assertEquals(imports("src/dkim/a.ts", "libmime"), true);
  assertEquals(imports("src/dkim/a.ts", "libmimes"), false);
});

Deno.test("sqlOffences(), denoOffences(), environmentOffences() and purityOffences() read code and not comments", () => {
  assertEquals(offends(sqlOffences, "src/admin/a.ts", `db("SELECT a FROM b WHERE c");`), true);
  assertEquals(offends(sqlOffences, "src/admin/a.ts", `// SELECT a FROM b `), false);
  assertEquals(offends(denoOffences, "src/admin/a.ts", `Deno.exit(1);`), true);
  assertEquals(offends(denoOffences, "src/admin/a.ts", ` * Deno.exit is not here\n// Deno.exit`), true);
  assertEquals(offends(denoOffences, "src/admin/a.ts", `/** Deno.exit is not here */`), false);
  assertEquals(offends(environmentOffences, "src/store/a.ts", `Number(process.env.KNOB ?? 1)`), true);
  assertEquals(offends(environmentOffences, "src/cli/a.ts", `process.env.NO_COLOR`), false);
  assertEquals(offends(purityOffences, "src/smtp/a.ts", `const at = Date.now();`), true);
  assertEquals(offends(purityOffences, "src/pop3/a.ts", `import * as fs from "node:fs";`), true);
  assertEquals(offends(purityOffences, "src/pop3/a.ts", `// no await here`), false);
  const hmac = `import { createHmac, timingSafeEqual } from "node:crypto";`;
  assertEquals(offends(purityOffences, "src/routing/a.ts", hmac), false);
  assertEquals(offends(purityOffences, "src/routing/a.ts", hmac.replace("createHmac", "randomBytes")), true);
  assertEquals(offends(purityOffences, "src/server/a.ts", `await x();`), false);
});

Deno.test("shapeOffences() measures, and asks for a head and for reasons", () => {
  assertEquals(offends(shapeOffences, "src/a/a.ts", "/** a */\n" + "x;\n".repeat(500)), true);
  assertEquals(offends(shapeOffences, "src/a/a.ts", "import 1;\n"), true);
  assertEquals(offends(shapeOffences, "src/a/a.ts", "/** a */\n// deno-lint-ignore no-explicit-any\n"), true);
  assertEquals(
    offends(shapeOffences, "src/a/a.ts", "/** a */\n// deno-lint-ignore no-explicit-any -- because\n"),
    false,
  );
});

Deno.test("unfinishedOffences() and registryOffences() find their words", () => {
  assertEquals(offends(unfinishedOffences, "a", `// ${"TO" + "DO"}: more`), true);
  assertEquals(offends(registryOffences, "a", `"${"https:" + "//registry.example.test/x"}"`), true);
  assertEquals(offends(registryOffences, "a", `"https://example.test/x"`), false);
});

Deno.test("rfcOffences() holds the list and the source together", () => {
  const cites = [file("src/a/a.ts", "// RFC 5321 4.1, RFC 3461/3464, RFC 6531, 1870 and 4954")];
  assertEquals(citedIn(cites[0]!.text), [5321, 3461, 3464, 6531, 1870, 4954]);
  assertEquals(citedIn("RFC 1939 3, 1000 messages; RFC 4954 4: 12288"), [1939, 4954]);
  const list =
    "# c\n1870 Yes SIZE\n3461 Yes DSN\n3464 Yes DSN\n4954 Yes AUTH\n5321 Partial SMTP -- no SOML\n6531 Yes UTF8\n";
  assertEquals(rfcOffences(list, cites), []);
  assertEquals(rfcOffences(list.replace("1870 Yes SIZE\n", ""), cites).length, 1);
  assertEquals(rfcOffences(`${list}7208 Yes SPF\n`, cites).length, 1);
  assertEquals(rfcOffences(`${list}7208 No SPF -- not yet\n`, cites), []);
  assertEquals(parseList("5321 Partial SMTP\n").offences.length, 1);
  assertEquals(parseList("5321 Maybe SMTP\n").offences.length, 1);
  assertEquals(parseList("5321 Yes SMTP\n1939 Yes POP3\n").offences.length, 1);
});
