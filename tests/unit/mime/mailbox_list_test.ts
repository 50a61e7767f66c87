import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { MAILBOXES, parseMailboxList } from "../../../src/mime/mailbox_list.ts";

const list = (text: string) => parseMailboxList(text).map(({ name, address }) => [name, address]);

Deno.test("parseMailboxList() takes bare, named, quoted, commented and encoded mailboxes", () => {
  assertEquals(list("alice@example.org"), [["", "alice@example.org"]]);
  assertEquals(list("Alice Liddell <alice@example.org>, bob@example.org"), [
    ["Alice Liddell", "alice@example.org"],
    ["", "bob@example.org"],
  ]);
  assertEquals(list('"Liddell, \\"A.\\"" <a@x>'), [['Liddell, "A."', "a@x"]]);
  assertEquals(list("a@x (Alice (of \\) Wonderland))"), [["Alice (of ) Wonderland)", "a@x"]]);
  assertEquals(list("=?utf-8?Q?Andr=C3=A9?= <a@x>"), [["André", "a@x"]]);
  assertEquals(list('"=?utf-8?B?w6k=?=" <a@x>'), [["é", "a@x"]]);
  assertEquals(list('"john doe"@x, <"a>b"@x>'), [["", '"john doe"@x'], ["", '"a>b"@x']]);
  assertEquals(list("<@a,@b:c@d>"), [["", "c@d"]]);
});

Deno.test("parseMailboxList() takes groups apart, also empty ones", () => {
  assertEquals(list("Team: a@x, B <b@x>; c@x"), [["", "a@x"], ["B", "b@x"], ["", "c@x"]]);
  assertEquals(list("undisclosed-recipients:;"), []);
  assertEquals(list("a@[IPv6:2001:db8::1]"), [["", "a@[IPv6:2001:db8::1]"]]);
});

Deno.test("parseMailboxList() leaves out what has no address and ends what is open", () => {
  assertEquals(list(" , ,a@x,,<>"), [["", "a@x"]]);
  assertEquals(list('"never closed'), [["", "never closed"]]);
  assertEquals(list("A <a@x"), [["A", "a@x"]]);
  assertEquals(list("a@x (open (still"), [["open (still", "a@x"]]);
});

Deno.test("parseMailboxList() gives clean lines and never fails", () => {
  const unit = fc.constantFrom(...'ab@.,;:<>()"\\ \r\n\0\u202eé', "=?utf-8?Q?=0A?=");
  fc.assert(fc.property(fc.string({ unit, maxLength: 40 }), (text) => {
    for (const { name, address } of parseMailboxList(text)) {
      // deno-lint-ignore no-control-regex -- control characters are what must not be there
      assertEquals(/[\u0000-\u001f\u202e]/.test(name + address), false);
      assertEquals(address === "", false);
    }
  }));
});

Deno.test("parseMailboxList() is bounded in number and quick on hostile text", () => {
  assertEquals(parseMailboxList("a@x,".repeat(5000)).length, MAILBOXES);
  const begun = performance.now();
  for (const piece of ["<", "(", '"', ":", "a@:", "\\", "()", "<@", '"@']) {
    parseMailboxList(piece.repeat(100_000));
  }
  assertEquals(performance.now() - begun < 3000, true);
});
