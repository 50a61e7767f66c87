import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { utf8 } from "../../../src/base/bytes.ts";
import { type Address, formatAddress } from "../../../src/mail/address.ts";
import * as grammar from "../../../src/smtp/grammar.ts";
import { parseAuthParameter } from "../../../src/smtp/parameters.ts";
import { isReply } from "../../../src/smtp/replies.ts";

/** The path, or the refusal's code. */
function path(parsed: ReturnType<typeof grammar.parseMail> | ReturnType<typeof grammar.parseRcpt>): string {
  if (isReply(parsed)) return `${parsed.code} ${parsed.enhanced}`;
  const address: Address | null = parsed.kind === "mail" ? parsed.reversePath : parsed.recipient;
  return address === null ? "<>" : formatAddress(address);
}
const from = (text: string) => path(grammar.parseMail(`FROM:${text}`));
const to = (text: string) => path(grammar.parseRcpt(`TO:${text}`));

Deno.test("parseMail() takes paths as clients write them", () => {
  assertEquals(from("<a@b.c>"), "a@b.c");
  assertEquals(from("<>"), "<>");
  assertEquals(from("  <a@b.c>  SIZE=1"), "a@b.c");
  assertEquals(from("a@b.c"), "a@b.c");
  assertEquals(from("a@b.c BODY=8BITMIME"), "a@b.c");
  assertEquals(path(grammar.parseMail("from : <a@b.c>")), "a@b.c");
  assertEquals(from('<"a b>c"@d.e>'), '"a b>c"@d.e');
  assertEquals(from('<"a\\"b"@d.e>'), '"a\\"b"@d.e');
  assertEquals(from("<a@[192.0.2.1]>"), "a@[192.0.2.1]");
});

Deno.test("parseMail() and parseRcpt() drop source routes (RFC 5321 appendix C)", () => {
  assertEquals(to("<@a.example,@b.example:c@d.example>"), "c@d.example");
  assertEquals(to("<@[IPv6:2001:db8::1]:c@d.example>"), "c@d.example");
  assertEquals(from("<@a.example:c@d.example>"), "c@d.example");
  assertEquals(to("<@a.example>"), "501 5.1.3");
  assertEquals(to("<@a.example,c@d.example>"), "501 5.1.3");
});

Deno.test("parseRcpt() takes <postmaster> and refuses <>", () => {
  assertEquals(grammar.parseRcpt("TO:<Postmaster>"), {
    kind: "rcpt",
    recipient: { local: "Postmaster", domain: "" },
  });
  assertEquals(to("<>"), "501 5.1.3");
  assertEquals(from("<postmaster>"), "501 5.1.7");
});

Deno.test("parseMail() and parseRcpt() refuse what is no path", () => {
  for (const text of ["", "<a@b.c", "<a@b.c>>", "<a@b.c>SIZE=1", "<<a@b.c>", '<"a@b.c>', "a@b.c>"]) {
    assertEquals([from(text), to(text)], ["501 5.5.4", "501 5.5.4"], text);
  }
  for (
    const text of ["<a>", "<@>", "<a@>", "<a@b..c>", "<a b@c.d>", "<a@b_c>", "x", `<${"x".repeat(65)}@b.c>`]
  ) {
    assertEquals([from(text), to(text)], ["501 5.1.7", "501 5.1.3"], text);
  }
  assertEquals(path(grammar.parseMail("<a@b.c>")), "501 5.5.4");
  assertEquals(path(grammar.parseRcpt("FROM:<a@b.c>")), "501 5.5.4");
});

Deno.test("parseMail() reads its parameters", () => {
  assertEquals(grammar.parseMail("FROM:<> size=12 body=8bitmime SMTPUTF8 AUTH=e+3Dmc2@example.com"), {
    kind: "mail",
    reversePath: null,
    size: 12,
    smtpUtf8: true,
    requests: { body: "8BITMIME" },
    authParam: "e=mc2@example.com",
  });
  const refusal = (parameters: string) => from(`<> ${parameters}`);
  assertEquals(refusal("BODY=BINARYMIME"), "504 5.5.4");
  for (
    const bad of [
      "SIZE",
      "SIZE=",
      "SIZE=x",
      "SIZE=-1",
      `SIZE=${"1".repeat(21)}`,
      "BODY",
      "BODY=9BIT",
      "SMTPUTF8=1",
    ]
  ) {
    assertEquals(refusal(bad), "501 5.5.4", bad);
  }
  for (const bad of ["=1", "A=B=C", "SIZE=1 SIZE=1", "-X", "X=\u00a0\u0085"]) {
    assertEquals(refusal(bad), "501 5.5.4", bad);
  }
  for (const unknown of ["NOTIFY=NEVER", "ORCPT=rfc822;a@b.c", "FOO", "BODYX=7BIT"]) {
    assertEquals(refusal(unknown), "555 5.5.4", unknown);
  }
  assertEquals(to("<a@b.c> RET=FULL"), "555 5.5.4");
  assertEquals(to("<a@b.c> ="), "501 5.5.4");
});

Deno.test("parseAuthParameter() decodes xtext and ignores what is no mailbox (RFC 4954 5)", () => {
  assertEquals(parseAuthParameter("<>"), "<>");
  assertEquals(parseAuthParameter("a+2Bb@c.d"), "a+b@c.d");
  for (const bad of ["", "a", "a+@c.d", "a+2b@c.d", "a=b@c.d", "a+0D+0A@c.d"]) {
    assertEquals(parseAuthParameter(bad), undefined, bad);
  }
});

Deno.test("parseBdat() takes a count and LAST", () => {
  assertEquals(grammar.parseBdat("10"), { octets: 10, place: "more" });
  assertEquals(grammar.parseBdat("0  Last"), { octets: 0, place: "last" });
  for (const bad of ["", "x", "1x", "1 FIRST", "1e3", "+1", "1".repeat(16)]) {
    assertEquals(grammar.parseBdat(bad), undefined, bad);
  }
});

Deno.test("parseAuth() takes a mechanism in any case and an initial response", () => {
  assertEquals(grammar.parseAuth("scram-sha-256 ="), { mechanism: "SCRAM-SHA-256", initial: "=" });
  assertEquals(grammar.parseAuth("PLAIN"), { mechanism: "PLAIN", initial: undefined });
  for (const bad of ["", "A B C", "\u00e4", "x".repeat(21)]) {
    assertEquals(grammar.parseAuth(bad), undefined, bad);
  }
});

Deno.test("parseCommand() splits verb and argument", () => {
  const command = (text: string) => grammar.parseCommand(utf8(text));
  assertEquals(command("mail  FROM:<> "), { verb: "MAIL", argument: "FROM:<>" });
  assertEquals(command("QUIT\t"), { verb: "QUIT", argument: "" });
  assertEquals(command(""), { verb: "", argument: "" });
  assertEquals(command(" NOOP"), { verb: "", argument: "NOOP" });
});

const word = fc.constantFrom(
  ...[
    "FROM:",
    "TO:",
    "<",
    ">",
    "@",
    "a",
    "b.c",
    '"',
    "\\",
    ",",
    ":",
    " ",
    "=",
    "SIZE",
    "AUTH",
    "+",
    "[",
    "]",
    "\u00fc",
    ".",
  ],
);

Deno.test("no parser throws, and what is accepted holds no control character", () => {
  const text = fc.oneof(
    fc.array(word, { maxLength: 30 }).map((words) => words.join("")),
    fc.string({ unit: "binary" }),
  );
  fc.assert(
    fc.property(text, (argument) => {
      grammar.parseHello(argument);
      grammar.parseBdat(argument);
      grammar.parseAuth(argument);
      parseAuthParameter(argument);
      for (const parsed of [grammar.parseMail(`FROM:${argument}`), grammar.parseRcpt(`TO:${argument}`)]) {
        // deno-lint-ignore no-control-regex -- control characters are what must not be there
        if (!isReply(parsed)) assertEquals(/[\u0000-\u001f\u007f]/.test(path(parsed)), false);
      }
      grammar.parseCommand(utf8(argument));
    }),
    { numRuns: 3000 },
  );
});

Deno.test("what parseRcpt() accepts it accepts again, formatted, with the same meaning", () => {
  fc.assert(
    fc.property(fc.array(word, { maxLength: 12 }), (words) => {
      const parsed = grammar.parseRcpt(`TO:<${words.join("")}>`);
      if (isReply(parsed) || parsed.recipient.domain === "") return;
      assertEquals(grammar.parseRcpt(`TO:<${formatAddress(parsed.recipient)}>`), parsed);
    }),
    { numRuns: 3000 },
  );
});

Deno.test("splitting a path takes time in proportion to its length", () => {
  for (
    const text of [
      '<"' + "\\".repeat(100_000),
      "<" + '""'.repeat(50_000),
      "<@" + "a,@".repeat(50_000),
      "<" + '"a'.repeat(50_000),
    ]
  ) {
    const startMs = performance.now();
    grammar.parseRcpt(`TO:${text}`);
    assertEquals(performance.now() - startMs < 500, true, text.slice(0, 10));
  }
});
