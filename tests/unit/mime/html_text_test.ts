import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { htmlToText } from "../../../src/mime/html_text.ts";

Deno.test("htmlToText() makes lines of blocks and joins white space", () => {
  assertEquals(
    htmlToText("<p>Hello\n  <b>big</b> world</p><p>Second<br>line</p>"),
    "Hello big world\n\nSecond\nline",
  );
  assertEquals(htmlToText("<div>a</div><div>b</div>"), "a\nb");
  assertEquals(htmlToText("x<ul><li>one<li>two</ul>y"), "x\n\n- one\n- two\n\ny");
  assertEquals(htmlToText("<table><tr><td>1</td><td>2</td></tr><tr><td>3</table>"), "1 2\n3");
});

Deno.test("htmlToText() leaves out scripts, styles, heads and comments, also unfinished ones", () => {
  assertEquals(
    htmlToText("<head><title>t</title></head>a<SCRIPT>if (a<b) x()</Script >b<!-- <p> -->c"),
    "abc",
  );
  assertEquals(htmlToText("a<style>p { }"), "a");
  assertEquals(htmlToText("a<!-- never closed"), "a");
  assertEquals(htmlToText('<!DOCTYPE html><?xml version="1.0"?>a'), "a");
});

Deno.test("htmlToText() shows where a link leads, once", () => {
  assertEquals(
    htmlToText('see <a class="x" href="https://example.org/?a=1&amp;b=2">this</a>.'),
    "see this <https://example.org/?a=1&b=2>.",
  );
  assertEquals(htmlToText('<a href="https://example.org/">https://example.org/</a>'), "https://example.org/");
  assertEquals(htmlToText("<a href=mailto:a@x>write</a> <a href='javascript:x()'>no</a>"), "write <a@x> no");
});

Deno.test("htmlToText() decodes entities and keeps what is none", () => {
  assertEquals(
    htmlToText("1 &lt; 2 &amp;&amp; 3 &gt; 2 &eacute;&#233;&#xE9; &nbsp; &nosuch; &#0;&#xD800; a < b"),
    "1 < 2 && 3 > 2 ééé &nosuch; \ufffd\ufffd a < b",
  );
});

Deno.test("htmlToText() ends a tag at > outside quotes, unless a quote never ends", () => {
  assertEquals(htmlToText('<img alt="a > b">c'), "c");
  assertEquals(htmlToText('<img alt="a>b<p>c'), "b\n\nc");
});

Deno.test("htmlToText() never fails, and is quick on hostile text", () => {
  const unit = fc.constantFrom(
    "<",
    ">",
    "</",
    "a",
    " ",
    "href=",
    '"',
    "'",
    "<!--",
    "-->",
    "&",
    "#",
    "script",
    "p",
    "\n",
    ";",
  );
  fc.assert(fc.property(fc.string({ unit, maxLength: 40 }), (html) => typeof htmlToText(html) === "string"));
  const begun = performance.now();
  const pieces = [
    "<",
    "<a ",
    "<a '",
    "<a '>",
    '<a href="',
    "<!--",
    "<script>",
    "<br>",
    "&",
    "x ",
    "<p>",
    "<a href=http:x>",
    "<li>",
    "<td>",
  ];
  for (const piece of pieces) htmlToText(piece.repeat(50_000) + ">");
  assertEquals(performance.now() - begun < 5000, true, `${performance.now() - begun} ms`);
});
