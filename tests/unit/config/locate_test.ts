import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { locate } from "../../../src/config/locate.ts";

Deno.test("locate() finds keys and list entries of block style", () => {
  const { line } = locate([
    "# a comment: not a key", // 1
    "---", // 2
    "hostname: mail.example.org", // 3
    "domains:", // 4
    "- a.example", // 5, in the column of its key
    "- b.example", // 6
    "listen:", // 7
    "  smtp:", // 8
    '    - "*:25" # "quoted: inside"', // 9
    "", // 10
    "    -", // 11
    "      2525", // 12
    '  "pop3": 110', // 13
    "relay:", // 14
    "    mode:   intranet", // 15
    "list:", // 16
    "  - - x", // 17
    "    - y", // 18
    "  - a: 1", // 19
    "    b: 2", // 20
  ].join("\n"));
  assertEquals(line(["hostname"]), 3);
  assertEquals(line(["domains"]), 4);
  assertEquals(line(["domains", 0]), 5);
  assertEquals(line(["domains", 1]), 6);
  assertEquals(line(["listen", "smtp", 0]), 9);
  assertEquals(line(["listen", "smtp", 1]), 11);
  assertEquals(line(["listen", "pop3"]), 13);
  assertEquals(line(["relay", "mode"]), 15);
  assertEquals(line(["list", 0, 1]), 18);
  assertEquals(line(["list", 1, "a"]), 19);
  assertEquals(line(["list", 1, "b"]), 20);
});

Deno.test("locate() answers with the nearest ancestor inside flow collections, and 1 without any", () => {
  const { line } = locate("\nlisten: { smtp: [25,\n  fake: 1,\n  26] }\nafter: 1\n");
  assertEquals(line(["listen", "smtp", 1]), 2);
  assertEquals(line(["fake"]), 1);
  assertEquals(line(["after"]), 5);
  assertEquals(line([]), 1);
});

Deno.test("locate() steps over literal blocks and quoted text of several lines", () => {
  const { line } = locate([
    "a: |", // 1
    "  b: 1", // 2
    "", // 3
    "  c: 2", // 4
    "d: 'it''s", // 5
    "  e: 3'", // 6
    'f: "\\"', // 7
    '  g: 4"', // 8
    "h: >- # folded", // 9
    "  i: 5", // 10
    "j: [ '#', # ]", // 11
    "  k ]", // 12
    "l: 6", // 13
  ].join("\r\n"));
  for (const inside of ["b", "c", "e", "g", "i", "k"]) assertEquals(line([inside]), 1);
  assertEquals(["a", "d", "f", "h", "j", "l"].map((key) => line([key])), [1, 5, 7, 9, 11, 13]);
});

Deno.test("locate() finds keys that stand twice, in their own mapping only", () => {
  const { duplicates } = locate("a: 1\nb:\n  a: 2\n  c: 3\n  'c': 4\na: 5\nl:\n  - a: 1\n  - a: 2\n");
  assertEquals(duplicates, [
    { path: ["b", "c"], line: 5, firstLine: 4 },
    { path: ["a"], line: 6, firstLine: 1 },
  ]);
});

Deno.test("locate() finds lines indented with a tab", () => {
  assertEquals(locate("a:\n\tb: 1\n \tc: 2\nd:\t3\n").tabLines, [2, 3]);
});

Deno.test("locate() finds every key of any block-style tree", () => {
  const key = fc.stringMatching(/^[a-z][a-zA-Z0-9-]{0,8}$/);
  const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
    tree: fc.dictionary(key, fc.oneof({ depthSize: "small" }, fc.constant("value"), tie("tree")), {
      maxKeys: 4,
    }),
  }));
  fc.assert(fc.property(tree, fc.integer({ min: 1, max: 5 }), (tree, indent) => {
    const lines: string[] = [];
    const expected: [string[], number][] = [];
    write(tree, { lines, expected, indent, path: [] });
    const { line, duplicates } = locate(lines.join("\n"));
    assertEquals(duplicates, []);
    for (const [path, number] of expected) assertEquals(line(path), number);
  }));
});

type Tree = { [key: string]: Tree | string };

function write(
  tree: Tree,
  to: { lines: string[]; expected: [string[], number][]; indent: number; path: string[] },
): void {
  for (const [key, value] of Object.entries(tree)) {
    const path = [...to.path, key];
    to.lines.push(
      "# comment",
      `${" ".repeat(to.indent * to.path.length)}${key}:${typeof value === "string" ? " v" : ""}`,
    );
    to.expected.push([path, to.lines.length]);
    if (typeof value !== "string") write(value, { ...to, path });
  }
}
