import { assertEquals } from "@std/assert";
import { displayWidth, fitWidth, formatTable } from "../../../src/cli/table.ts";
import { count, formatMinute, formatSecond, formatSize } from "../../../src/cli/time.ts";

const COLUMNS = [{ title: "no", align: "right" }, { title: "who" }, {
  title: "subject",
  shrinks: true,
}] as const;

Deno.test("formatTable() is as wide as it needs to be", () => {
  const text = formatTable(COLUMNS, [["1", "alice", "hello"], ["10", "bo", ""]], { bold: false });
  assertEquals(text, "NO  WHO    SUBJECT\n 1  alice  hello\n10  bo\n");
});

Deno.test("formatTable() puts only the head in bold", () => {
  const text = formatTable([{ title: "name" }], [["x"]], { bold: true });
  assertEquals(text, "\u001b[1mNAME\u001b[22m\nx\n");
});

Deno.test("formatTable() shrinks what may shrink to fit the window", () => {
  const row = ["1", "alice", "a subject that goes on and on"];
  const text = formatTable(COLUMNS, [row], { bold: false, width: 27 });
  assertEquals(text.split("\n")[1], " 1  alice  a subject that…");
  // No narrower than what can be read.
  assertEquals(
    formatTable(COLUMNS, [row], { bold: false, width: 5 }).split("\n")[1],
    " 1  alice  a subject t…",
  );
});

Deno.test("formatTable() keeps a row in its line, whatever a cell holds", () => {
  const evil = "a\r\nb\u001b[31mred\u001b]0;title\u0007\u202ecod";
  const text = formatTable([{ title: "x" }], [[evil], ["s".repeat(5000)]], { bold: false });
  const lines = text.split("\n");
  assertEquals(lines.length, 4);
  assertEquals(lines[1], "a bredcod");
  assertEquals(lines[2]!.length, 200);
});

Deno.test("displayWidth() counts terminal cells", () => {
  assertEquals(displayWidth("abc"), 3);
  assertEquals(displayWidth("ü"), 1);
  assertEquals(displayWidth("u\u0308"), 1);
  assertEquals(displayWidth("日本"), 4);
  assertEquals(displayWidth("📧"), 2);
});

Deno.test("fitWidth() never passes the width", () => {
  assertEquals(fitWidth("日本語", 6), "日本語");
  assertEquals(fitWidth("日本語", 5), "日本…");
  assertEquals(fitWidth("日本語", 4), "日…");
  assertEquals(fitWidth("abc", 3), "abc");
  assertEquals(fitWidth("abcd", 3), "ab…");
});

Deno.test("formatSize() gives three figures at most", () => {
  const cases: [number, string][] = [
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1 KiB"],
    [1536, "1.5 KiB"],
    [10_240, "10 KiB"],
    [1_048_575, "1 MiB"],
    [52_428_800, "50 MiB"],
    [3 * 2 ** 40, "3 TiB"],
    [5000 * 2 ** 40, "5000 TiB"],
  ];
  for (const [octets, text] of cases) assertEquals(formatSize(octets), text);
});

Deno.test("formatMinute() and formatSecond() give local time", () => {
  const at = new Date(2026, 10, 4, 9, 5, 7).getTime();
  assertEquals(formatMinute(at), "2026-11-04 09:05");
  assertEquals(formatSecond(at), "2026-11-04 09:05:07");
});

Deno.test("count() agrees with its noun", () => {
  assertEquals([count(0, "message"), count(1, "message"), count(2, "message")], [
    "0 messages",
    "1 message",
    "2 messages",
  ]);
});
