import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { utf8 } from "../../../src/base/bytes.ts";
import {
  clean,
  formatReply,
  isPositive,
  isTemporary,
  reply,
  REPLY_LINE_OCTETS,
} from "../../../src/mail/reply.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

Deno.test("formatReply() writes one line and several", () => {
  assertEquals(text(formatReply(reply(250, "2.1.0", "sender ok"))), "250 2.1.0 sender ok\r\n");
  assertEquals(text(formatReply(reply(354, undefined, "go ahead"))), "354 go ahead\r\n");
  assertEquals(
    text(formatReply(reply(250, undefined, "mx", "SIZE 1", "HELP"))),
    "250-mx\r\n250-SIZE 1\r\n250 HELP\r\n",
  );
  assertEquals(text(formatReply(reply(550, "5.1.1", "a", "b"))), "550-5.1.1 a\r\n550 5.1.1 b\r\n");
});

Deno.test("formatReply() of a reply without lines is still one line", () => {
  assertEquals(text(formatReply({ code: 250, lines: [] })), "250 \r\n");
});

Deno.test("formatReply() is one well-formed reply whatever its lines hold", () => {
  const line = fc.string({ unit: fc.constantFrom(..."ab\r\n\0\t\u0085\u2028é日😀\ud800"), maxLength: 700 });
  fc.assert(fc.property(fc.array(line, { maxLength: 3 }), (lines) => {
    const octets = formatReply(reply(550, "5.0.0", ...lines));
    const got = new TextDecoder("utf-8", { fatal: true }).decode(octets);
    assertEquals(got.endsWith("\r\n"), true);
    const split = got.slice(0, -2).split("\r\n");
    assertEquals(split.length, Math.max(1, lines.length));
    split.forEach((each, i) => {
      // deno-lint-ignore no-control-regex -- control characters are what must not be there
      assertEquals(/^550[- ]5\.0\.0 [^\u0000-\u001f\u007f-\u009f]*$/.test(each), true, JSON.stringify(each));
      assertEquals(each[3], i < split.length - 1 ? "-" : " ");
      assertEquals(utf8(each).length + 2 <= REPLY_LINE_OCTETS, true);
    });
  }));
});

Deno.test("formatReply() cuts a line at 512 octets between characters, but never a 334 challenge", () => {
  const long = formatReply(reply(550, "5.1.1", "x" + "é".repeat(400)));
  assertEquals(long.length, 511);
  assertEquals(text(long).includes("\ufffd"), false);
  assertEquals(formatReply(reply(550, undefined, "x".repeat(506))).length, 512);
  assertEquals(formatReply(reply(334, undefined, "x".repeat(2000))).length, 2006);
});

Deno.test("clean() leaves text and turns each run of control characters into a space", () => {
  assertEquals(clean("héllo 日"), "héllo 日");
  assertEquals(clean("a\r\n250 forged\x00\x1b[31m"), "a 250 forged [31m");
});

Deno.test("isPositive() and isTemporary() follow from the code", () => {
  const kinds = [250, 354, 421, 452, 550].map((code) => {
    const answer = reply(code, undefined, "");
    return [isPositive(answer), isTemporary(answer)];
  });
  assertEquals(kinds, [[true, false], [true, false], [false, true], [false, true], [false, false]]);
});
