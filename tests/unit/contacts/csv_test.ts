import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { formatCsv, parseCsv } from "../../../src/contacts/csv.ts";
import { contacts, entriesOf, hasPython, octets, python } from "./fixtures.ts";

const parse = (text: string) => parseCsv(octets(text));

Deno.test("parseCsv() finds the columns by their titles, in any order", () => {
  const text = '\ufeffE-Mail,Full Name,NAME\r\nbob@example.com,"Lee, Bob",bobl\r\n\r\n,Ann,ann\r\n';
  assertEquals(parse(text), {
    problems: [],
    contacts: [
      { line: 2, name: "bobl", displayName: "Lee, Bob", address: "bob@example.com" },
      { line: 4, name: "ann", displayName: "Ann" },
    ],
  });
});

Deno.test("parseCsv() sees semicolons and tabs, and members between semicolons", () => {
  const lists = [{
    line: 2,
    kind: "list" as const,
    name: "sales",
    members: ["ann", '"a;b"@example.com', "bob"],
  }];
  assertEquals(parse('name\tmembers\nsales\t"ann; ""a;b""@example.com ;bob;"\n'), {
    problems: [],
    contacts: lists,
  });
  assertEquals(parse('name;members\nsales;"ann;""a;b""@example.com;bob"\n').contacts, lists);
});

Deno.test("parseCsv() keeps apart what a file leaves out and what it empties", () => {
  const [user, list] = parse("kind,name,phone,members,owner\nuser,ann,,,\nlist,all,,,\n").contacts;
  assertEquals(user, { line: 2, kind: "user", name: "ann", phone: "" });
  assertEquals(list, { line: 3, kind: "list", name: "all", phone: "", members: [], owner: "" });
});

Deno.test("parseCsv() tells everything that is wrong, each with its line", () => {
  const text = [
    "kind,name,inbound,display name",
    "robot,a,no,A",
    'user,"b,no,B', // the quotation mark is closed two lines on
    'list"x,y,z',
    "user,c,perhaps,C",
    "user,d,no,D,more",
    "user,e",
    `user,f,no,${"x".repeat(300)}`,
    "user,g,no,G",
  ].join("\n");
  const { contacts: all, problems } = parse(text);
  assertEquals(problems.map(({ line, message }) => `${line}: ${message}`), [
    "2: the kind can't be 'robot'",
    "3: a quotation mark is missing or out of place",
    "5: inbound can't be 'perhaps'",
    "6: there are 5 cells, but 4 columns",
    "7: there are 2 cells, but 4 columns",
    "8: the display name is 300 octets long",
  ]);
  assertEquals(all.at(-1), { line: 9, kind: "user", name: "g", displayName: "G", inbound: false });
});

Deno.test("parseCsv() says what a header should be", () => {
  const messages = (text: string) => parse(text).problems.map(({ line, message }) => `${line}: ${message}`);
  assertEquals(messages(""), ["1: the file is empty"]);
  assertEquals(messages("alice,bob\n"), ["1: there is no header line"]);
  assertEquals(messages("name,departmnt,name,\n"), [
    "1: there is no column 'departmnt'",
    "1: the column name is there twice",
    "1: column 4 has no title",
  ]);
  assertEquals(parseCsv(Uint8Array.of(0x6e, 10, 10, 0xe4)).problems[0]!.line, 3);
});

Deno.test("parseCsv() keeps limits", () => {
  const long = `name\n${"x".repeat(1024 * 1024 + 1)}\n`;
  assertEquals(parse(long).problems[0]!.message, "the line is longer than 1048576 octets");
  const many = parse(`name\n${"a\n".repeat(100_002)}`);
  assertEquals(many.problems.map(({ line }) => line), [100_002]);
  assertEquals(parseCsv(new Uint8Array(32 * 1024 * 1024 + 1)).problems.length, 1);
});

Deno.test("formatCsv() writes no formulas and a byte order mark only where one is needed", () => {
  const [head, row] = formatCsv([{ kind: "user", name: "ann", displayName: "=SUM(A1)", phone: "+49 30" }])
    .split("\r\n");
  assertEquals(head, "kind,name,display name,department,phone,address,inbound,members,owner");
  assertEquals(row, "user,ann,'=SUM(A1),,'+49 30,,,,");
  assertEquals(formatCsv([{ name: "jörg" }]).startsWith("\ufeffkind,"), true);
});

Deno.test("formatCsv() writes what parseCsv() reads", () => {
  fc.assert(fc.property(contacts, (all) => {
    const read = parse(formatCsv(all));
    assertEquals(read.problems, []);
    assertEquals(entriesOf(read), all);
  }));
});

Deno.test("parseCsv() never throws", () => {
  const junk = fc.string({
    unit: fc.constantFrom('"', ",", ";", "\n", "\r", "a", "name", "kind", "=", "\\", "'"),
  });
  fc.assert(fc.property(junk, (text) => void parse(text)));
  fc.assert(fc.property(junk, (text) => void parse(`name,members\n${text}`)));
  fc.assert(fc.property(fc.uint8Array(), (bytes) => void parseCsv(bytes)));
});

Deno.test({
  name: "formatCsv() writes what Python's csv reads",
  ignore: !await hasPython("csv"),
  async fn() {
    const all = fc.sample(contacts, { numRuns: 20, seed: 5 }).flat();
    const rows = await python(
      "import csv,io,json,sys\n" +
        "text=sys.stdin.buffer.read().decode('utf-8-sig')\n" +
        "print(json.dumps([r for r in csv.DictReader(io.StringIO(text,newline=''))]))",
      formatCsv(all),
    ) as Record<string, string>[];
    assertEquals(rows.length, all.length);
    rows.forEach((row, i) => {
      const plain = (text = "") => /^'*[=+\-@\t\r]/.test(text) ? `'${text}` : text;
      assertEquals(row["display name"], plain(all[i]!.displayName));
      assertEquals(row["members"], plain((all[i]!.members ?? []).join(";")));
    });
  },
});
