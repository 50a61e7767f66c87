import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { NOTE_LINE_CHARACTERS, NOTE_LINES } from "../../../src/base/limits.ts";
import { parseNote, PROBLEMS, splitLines } from "../../../src/gateway/note.ts";
import { formatNoteProblem } from "../../../src/gateway/note_error.ts";

const GATEWAYS = ["smtp", "mhs"];
const parse = (text: string) => parseNote(text, { gateways: GATEWAYS });

/** Recipients as `header gateway text displayName`, with what is empty left out. */
function recipients(text: string): string[] {
  const { note, problems } = parse(text);
  assertEquals(problems, [], text);
  return note.recipients.map(({ header, gateway, text, displayName }) =>
    [
      header,
      ...gateway === undefined ? [] : [`/${gateway}`],
      text,
      ...displayName === "" ? [] : [`(${displayName})`],
    ]
      .join(" ")
  );
}

/** All that is wrong, as a person sees it. */
function told(text: string, file = "note"): string {
  const lines = splitLines(text);
  return parse(text).problems.map((problem) => formatNoteProblem(problem, { file, lines })).join("");
}

Deno.test("parseNote() reads the seed's own examples", () => {
  assertEquals(recipients("/TO /SMTP bobl@casisoft.com"), ["to /smtp bobl@casisoft.com"]);
  assertEquals(recipients("/TO bobl@casisoft.com"), ["to bobl@casisoft.com"]);
  assertEquals(recipients("/TO BOBL"), ["to BOBL"]);
});

Deno.test("parseNote() takes several recipients on a line, parted by blanks, commas or semicolons", () => {
  assertEquals(
    recipients("/TO a b,c;d , e;;f\tg"),
    ["a", "b", "c", "d", "e", "f", "g"].map((name) => `to ${name}`),
  );
});

Deno.test("parseNote() adds up repeated commands, in any case", () => {
  assertEquals(recipients("/To a\n/cc b\n/TO c\n/bCC d"), ["to a", "cc b", "to c", "bcc d"]);
});

Deno.test("parseNote() applies a gateway until the next one, and on its line only", () => {
  assertEquals(
    recipients("/TO a /MHS u@w v /smtp x@example.com\n/TO y@example.com"),
    ["to a", "to /mhs u@w", "to /mhs v", "to /smtp x@example.com", "to y@example.com"],
  );
});

Deno.test("parseNote() takes quoted names, also as local parts", () => {
  assertEquals(
    recipients('/TO "Bob Long", "a \\"b\\" c" "x y"@example.com /MHS "J Doe@SALES"'),
    ["to Bob Long", 'to a "b" c', 'to "x y"@example.com', "to /mhs J Doe@SALES"],
  );
});

Deno.test("parseNote() takes display names before an address", () => {
  assertEquals(
    recipients(
      '/TO Bob Long <bobl@example.com>, "Doe, John" <j@example.com> ; <k@example.com> m /SMTP A B <c@d.test>',
    ),
    [
      "to bobl@example.com (Bob Long)",
      "to j@example.com (Doe, John)",
      "to k@example.com",
      "to m",
      "to /smtp c@d.test (A B)",
    ],
  );
  assertEquals(recipients('/TO Bob<"a>b"@example.com>'), ['to "a>b"@example.com (Bob)']);
});

Deno.test("parseNote() reads subject, reports, priority and acknowledgement", () => {
  const { note, problems } = parse(
    "/TO a\n/SUBJECT  Q3:\tbudget /now \n/REPORT sales, q3.data Sales\n/priority HIGH\n/ACK\n",
  );
  assertEquals(problems, []);
  assertEquals(note.subject, { line: 2, column: 11, length: 15, text: "Q3: budget /now" });
  assertEquals(note.reports, [
    { line: 3, column: 9, length: 5, text: "SALES" },
    { line: 3, column: 16, length: 7, text: "Q3.DATA" },
  ]);
  assertEquals([note.priority, note.ack], ["high", "delivered"]);
  assertEquals(parse("/TO a\n/ACK Read").note.ack, "read");
  assertEquals(parse("/TO a\n/ACK delivered").note.ack, "delivered");
  assertEquals(parse("/TO a\n/PRIORITY low").note.priority, "low");
});

Deno.test("parseNote() begins the text at the first line that is no command", () => {
  for (
    const [text, body] of [
      ["/TO a\nHello\n/CC b\n", "Hello\n/CC b\n"],
      ["/TO a\n\nHello\n", "Hello\n"],
      ["/TO a\n\n\nHello", "\nHello"],
      ["/TO a\r\n \t\r\n/etc is a folder\r\n", "/etc is a folder\n"],
      ["/TO a", ""],
      ["/TO a\n", ""],
      ["/TO a\n\n", ""],
      ["\ufeff/TO a\n\n\ufeffx", "\ufeffx"],
    ] as const
  ) {
    const { note, problems } = parse(text);
    assertEquals([note.text, problems, note.recipients.length], [body, [], 1], text);
  }
});

Deno.test("parseNote() gives places in characters", () => {
  const { note } = parse("/TO 📧 bobl");
  assertEquals(note.recipients.map(({ line, column, length }) => [line, column, length]), [[1, 5, 1], [
    1,
    7,
    4,
  ]]);
});

const ERRORS: readonly (readonly [what: string, note: string, told: string])[] = [
  [
    "an unknown gateway",
    "/TO /SMPT bobl@example.com",
    "note:1:5: there is no gateway /SMPT\n  /TO /SMPT bobl@example.com\n      ^^^^^\n  did you mean /SMTP?\n",
  ],
  [
    "a gateway nothing is like",
    "/TO /PROFS bob",
    "note:1:5: there is no gateway /PROFS\n  /TO /PROFS bob\n      ^^^^^^\n  gateways of this system: /SMTP, /MHS\n",
  ],
  [
    "a gateway without a name",
    "/TO / bob",
    "note:1:5: a gateway's name is missing behind the /\n  /TO / bob\n      ^\n  gateways of this system: /SMTP, /MHS\n",
  ],
  [
    "a gateway that nobody stands behind",
    "/TO a /MHS",
    "note:1:7: nobody stands behind /MHS\n  /TO a /MHS\n        ^^^^\n  write who gets it: /MHS name@place\n",
  ],
  [
    "a command for nobody",
    "/TO",
    "note:1:1: /TO names nobody\n  /TO\n  ^^^\n  write who gets it: /TO BOBL\n",
  ],
  [
    "an unknown command",
    "/TO a\n/SUBJET x",
    "note:2:1: there is no command /SUBJET\n  /SUBJET x\n  ^^^^^^^\n  did you mean /SUBJECT?\n" +
    "  a text that begins with / goes behind an empty line\n",
  ],
  [
    "a command nothing is like",
    "/TO a\n/etc/hosts is a file",
    "note:2:1: there is no command /etc/hosts\n  /etc/hosts is a file\n  ^^^^^^^^^^\n" +
    "  commands: /TO, /CC, /BCC, /SUBJECT, /REPORT, /PRIORITY, /ACK\n" +
    "  a text that begins with / goes behind an empty line\n",
  ],
  [
    "a command without a name",
    "/ TO a",
    "note:1:1: a command is missing behind the /\n  / TO a\n  ^\n" +
    "  commands: /TO, /CC, /BCC, /SUBJECT, /REPORT, /PRIORITY, /ACK\n" +
    "  a text that begins with / goes behind an empty line\n",
  ],
  [
    "a colon behind a command",
    "/TO: bob",
    "note:1:1: there is no command /TO:\n  /TO: bob\n  ^^^^\n  write it with a blank behind it: /TO\n",
  ],
  [
    "a gateway right behind a command",
    "/TO/SMTP bob@example.com",
    "note:1:1: there is no command /TO/SMTP\n  /TO/SMTP bob@example.com\n  ^^^^^^^^\n  write it with a blank behind it: /TO /SMTP\n",
  ],
  [
    "quotes that are never closed",
    '/TO "Bob Long, x',
    'note:1:5: the quotes are never closed\n  /TO "Bob Long, x\n      ^^^^^^^^^^^^\n  end the name with "\n',
  ],
  [
    "nothing between quotes",
    '/TO "" x',
    'note:1:5: there is nothing between the quotes\n  /TO "" x\n      ^^\n  write a name there\n',
  ],
  [
    "something right behind quotes",
    '/TO "Bob"Long',
    'note:1:10: something stands right behind the quotes\n  /TO "Bob"Long\n           ^^^^\n  put a blank or a comma between them\n',
  ],
  [
    "a bracket that is never closed",
    "/TO Bob <bob@example.com",
    "note:1:9: this < is never closed\n  /TO Bob <bob@example.com\n          ^^^^^^^^^^^^^^^^\n  end the address with >\n",
  ],
  [
    "a bracket that was never opened",
    "/TO bob@example.com>",
    "note:1:20: this > has no < before it\n  /TO bob@example.com>\n                     ^\n  write it as Name <name@domain>\n",
  ],
  [
    "nothing between brackets",
    "/TO Bob < >",
    "note:1:9: there is nothing between < and >\n  /TO Bob < >\n          ^^^\n  write an address there\n",
  ],
  [
    "something right behind a bracket",
    "/TO <a@b.test>c",
    "note:1:15: something stands right behind >\n  /TO <a@b.test>c\n                ^\n  put a blank or a comma between them\n",
  ],
  [
    "an address in a display name",
    "/TO a@b.test Bob <c@d.test>",
    "note:1:5: a@b.test and what follows it run together\n  /TO a@b.test Bob <c@d.test>\n      ^^^^^^^^\n" +
    "  put a comma between them: a@b.test, …\n",
  ],
  [
    "a subject without text",
    "/TO a\n/SUBJECT ",
    "note:2:1: /SUBJECT has no text\n  /SUBJECT\n  ^^^^^^^^\n  write it behind the command, or leave the line out\n",
  ],
  [
    "a second subject",
    "/TO a\n/SUBJECT x\n/Subject y",
    "note:3:1: this is a second /Subject\n  /Subject y\n  ^^^^^^^^\n  keep one; the first is on line 2\n",
  ],
  [
    "no report",
    "/TO a\n/REPORT",
    "note:2:1: /REPORT names no report\n  /REPORT\n  ^^^^^^^\n  write its name: /REPORT SALES\n",
  ],
  [
    "no priority",
    "/TO a\n/PRIORITY",
    "note:2:1: /PRIORITY needs a word behind it\n  /PRIORITY\n  ^^^^^^^^^\n  it may be low, normal or high\n",
  ],
  [
    "a misspelt priority",
    "/TO a\n/PRIORITY hihg",
    "note:2:11: /PRIORITY can't be 'hihg'\n  /PRIORITY hihg\n            ^^^^\n  did you mean high?\n",
  ],
  [
    "a priority that there isn't",
    "/TO a\n/PRIORITY urgent",
    "note:2:11: /PRIORITY can't be 'urgent'\n  /PRIORITY urgent\n            ^^^^^^\n  it may be low, normal or high\n",
  ],
  [
    "more than a priority",
    "/TO a\n/PRIORITY high please",
    "note:2:16: there is more behind /PRIORITY high\n  /PRIORITY high please\n                 ^^^^^^\n  take it out\n",
  ],
  [
    "an acknowledgement that there isn't",
    "/TO a\n/ACK seen",
    "note:2:6: /ACK can't be 'seen'\n  /ACK seen\n       ^^^^\n  it may be delivered or read\n",
  ],
  [
    "a note for nobody",
    "Hello",
    "note:1:1: the note names nobody\n  Hello\n  ^\n  begin it with a line such as /TO BOBL\n",
  ],
  ["an empty note", "", "note:1:1: the note names nobody\n  begin it with a line such as /TO BOBL\n"],
  [
    "a command that comes too late",
    "/SUBJECT x\n\n/TO a\n\nHello",
    "note:3:1: /TO stands in the text, which begins on line 2\n  /TO a\n  ^^^\n" +
    "  put all commands at the top, without an empty line among them\n",
  ],
  [
    "a control character",
    "/TO a\u001b[31mb",
    "note:1:6: a control character stands here\n  /TO a?[31mb\n       ^\n  take it out\n",
  ],
];
for (const [what, note, expected] of ERRORS) {
  Deno.test(`parseNote() tells of ${what}`, () => assertEquals(told(note), expected));
}

Deno.test("parseNote() tells of everything at once, in order", () => {
  const { problems } = parse('/TO /SMPT a@b.test "x\n/PRIORITY x y\n/FOO\n/ACK z\n\ntext');
  assertEquals(problems.map(({ line, column }) => [line, column]), [[1, 5], [1, 20], [2, 11], [3, 1], [
    4,
    6,
  ]]);
});

Deno.test("parseNote() has limits and says which", () => {
  const many = parse("/TO a\n".repeat(NOTE_LINES + 5));
  assertEquals(many.problems.map(({ line, message }) => [line, message]), [
    [NOTE_LINES + 1, `there are more than ${NOTE_LINES} commands`],
  ]);
  assertEquals(parse("/TO a\n".repeat(NOTE_LINES)).problems, []);
  const long = parse(`/TO ${"a ".repeat(NOTE_LINE_CHARACTERS / 2)}`);
  assertEquals(long.problems[0]!.message, `this line has ${NOTE_LINE_CHARACTERS + 4} characters`);
  assertEquals(parse(`/TO a\n\n${"x".repeat(NOTE_LINE_CHARACTERS * 2)}`).problems, []);
  assertEquals(parse("/FOO\n".repeat(500)).problems.length, PROBLEMS);
});

Deno.test("parseNote() lets an answer name nobody", () => {
  assertEquals(parseNote("Fine.\n", { gateways: GATEWAYS, recipients: "optional" }).problems, []);
});

Deno.test("formatNoteProblem() marks the place behind tabs and wide characters", () => {
  assertEquals(
    told("/TO\t日本語\t/X a"),
    "note:1:9: there is no gateway /X\n  /TO     日本語  /X a\n                  ^^\n  gateways of this system: /SMTP, /MHS\n",
  );
  assertEquals(
    told('/TO a "📧'),
    'note:1:7: the quotes are never closed\n  /TO a "📧\n        ^^^\n  end the name with "\n',
  );
});

Deno.test("formatNoteProblem() shows a long line around the place", () => {
  const lines = told(`/TO ${"aaaa ".repeat(100)}/X b ${"cccc ".repeat(100)}`).split("\n");
  assertEquals(lines[1], `  …${"aaaa ".repeat(8)}/X b ${"cccc ".repeat(11)}…`);
  assertEquals(lines[2], `${" ".repeat(43)}^^`);
});

Deno.test("parseNote() tells commands and gateways apart where one stands in the other's place", () => {
  assertEquals(told("/MHS jane@sales").split("\n")[0], "note:1:1: /MHS is a gateway, and no command");
  assertEquals(told("/MHS jane@sales").split("\n")[3], "  write a command before it: /TO /MHS name@place");
  assertEquals(told("/TO bob /CC alice").split("\n")[3], "  /CC is a command: begin a new line with it");
  assertEquals(parse("/TO /").problems.length, 1);
});

Deno.test("parseNote() never fails, and its places lie inside the note", () => {
  const piece = fc.constantFrom(
    "/TO ",
    "/to",
    "/SMTP ",
    "/MHS",
    '"',
    "<",
    ">",
    ",",
    ";",
    "@",
    " ",
    "\t",
    "\n",
    "\r\n",
    "a",
    "b@c.test",
    "\\",
    "/",
    "📧",
    "\u001b",
    "/ACK ",
    "/PRIORITY ",
    "/SUBJECT ",
    "/REPORT ",
    "\ud800",
  );
  const source = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(""));
  fc.assert(fc.property(source, (text) => {
    const { note, problems } = parse(text);
    const lines = splitLines(text);
    for (const { line, column, length } of [...note.recipients, ...note.reports, ...problems]) {
      const characters = Array.from(lines[line - 1]!).length;
      assertEquals(line >= 1 && column >= 1 && length >= 0 && column - 1 + length <= characters, true);
    }
    for (const problem of problems) {
      const shown = formatNoteProblem(problem, { file: "x", lines });
      // deno-lint-ignore no-control-regex -- control characters are what is looked for
      assertEquals(/[\u0000-\u0009\u000b-\u001f]/.test(shown), false);
    }
    if (problems.length === 0) assertEquals(note.recipients.length > 0, true);
  }));
});

Deno.test("parseNote() finds what was written, however it was parted", () => {
  const name = fc.stringMatching(/^[a-z][a-z0-9.]{0,8}[a-z]$/);
  const separator = fc.constantFrom(" ", ",", ";", ", ", "\t", " ; ");
  fc.assert(fc.property(fc.array(fc.tuple(name, separator), { minLength: 1, maxLength: 20 }), (parts) => {
    const { note, problems } = parse(`/TO ${parts.flat().join("")}\n\n/TO in the text`);
    assertEquals(problems, []);
    assertEquals(note.recipients.map(({ text }) => text), parts.map(([text]) => text));
    assertEquals(note.text, "/TO in the text");
  }));
});

Deno.test("parseNote() gives back a quoted name as it was", () => {
  const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 30 }).filter((each) =>
    each.trim() !== "" && !/[\p{Cc}\u2028\u2029]/u.test(each)
  );
  fc.assert(fc.property(text, (name) => {
    const { note, problems } = parse(`/TO "${name.replace(/["\\]/g, "\\$&")}"`);
    assertEquals([problems, note.recipients[0]?.text], [[], name.trim()]);
  }));
});
