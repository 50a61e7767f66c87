import { assertEquals, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { formatVcards, parseVcards } from "../../../src/contacts/vcard.ts";
import { contacts, entriesOf, hasPython, octets, python } from "./fixtures.ts";

const domain = "example.org";
const parse = (text: string) => parseVcards(octets(text));
const card = (...lines: string[]): string => ["BEGIN:VCARD", ...lines, "END:VCARD", ""].join("\r\n");

Deno.test("parseVcards() reads version 4.0", () => {
  const text = card(
    "VERSION:4.0",
    "FN;PREF=2:Robert",
    "FN;PREF=1:Bob\\, Lee",
    "NICKNAME:bobl,bobby",
    "ORG:CASI;Sales\\; West;Team",
    'item1.TEL;VALUE=uri;TYPE="voice,work":tel:+1-555-1234',
    "EMAIL;PREF=20:old@example.com",
    "EMAIL;PREF=1:bobl@exam",
    " ple.com",
    "NOTE:passed over",
  );
  assertEquals(parse(text), {
    problems: [],
    contacts: [{
      line: 1,
      name: "bobl",
      displayName: "Bob, Lee",
      department: "Sales; West",
      phone: "+1-555-1234",
      address: "bobl@example.com",
    }],
  });
});

Deno.test("parseVcards() reads version 2.1 with quoted-printable and character sets", () => {
  const text = card(
    "VERSION:2.1",
    "N;ENCODING=QUOTED-PRINTABLE;CHARSET=ISO-8859-1:M=FCller;J=F6rg=",
    ";;Dr.",
    "TEL;WORK;VOICE:+49 30 1",
    "TEL;PREF;HOME:+49 30 2",
    "AGENT:",
    "BEGIN:VCARD",
    "N:Other;Somebody",
    "END:VCARD",
    "EMAIL;INTERNET:mueller@example.com",
    "PHOTO;ENCODING=BASE64;TYPE=JPEG:/9j/4AAQ",
  );
  assertEquals(entriesOf(parse(text)), [{
    displayName: "Dr. Jörg Müller",
    phone: "+49 30 2",
    address: "mueller@example.com",
  }]);
  const latin1 = Uint8Array.from(
    [...card("VERSION:2.1", "N;CHARSET=ISO-8859-1:M\u00fcller;J\u00f6rg")].map((c) => c.charCodeAt(0)),
  );
  assertEquals(entriesOf(parseVcards(latin1)), [{ displayName: "Jörg Müller" }]);
});

Deno.test("parseVcards() finds a group's members by address and by the cards of the file", () => {
  const text = card("VERSION:4.0", "UID:urn:uuid:AB-1", "FN:Ann", "NICKNAME:ann") +
    card("VERSION:4.0", "UID:urn:uuid:AB-2", "FN:Bob", "EMAIL:bob@example.com") +
    card(
      "VERSION:4.0",
      "KIND:group",
      "FN:Everybody",
      "MEMBER:urn:uuid:ab-1",
      "MEMBER:urn:uuid:ab-2",
      "MEMBER:mailto:a%2Bb@example.net?subject=x",
    ) +
    card(
      "VERSION:3.0",
      "X-ADDRESSBOOKSERVER-KIND:group",
      "FN:Old",
      "X-ADDRESSBOOKSERVER-MEMBER:urn:uuid:AB-1",
    );
  const [, , everybody, old] = parse(text).contacts;
  assertEquals(everybody, {
    line: 13,
    kind: "list",
    displayName: "Everybody",
    members: ["ann", "bob@example.com", "a+b@example.net"],
  });
  assertEquals(old!.members, ["ann"]);
});

Deno.test("parseVcards() tells everything that is wrong, each with its line", () => {
  const text = "hello\n" + card("FN:A", "no colon", "X-EMS-KIND:robot", "FN;CHARSET=klingon:x") +
    card("KIND:group", "FN:G", "MEMBER:urn:uuid:nobody") + "BEGIN:VCARD\nFN:B\n";
  assertEquals(parse(text).problems.map(({ line, message }) => `${line}: ${message}`), [
    "1: this is no property of a vCard",
    "4: this is no property of a vCard",
    "5: X-EMS-KIND isn't known",
    "6: the value can't be read in the character set that it is said to have",
    "11: the member urn:uuid:nobody can't be told by this file",
    "13: the card that begins here has no end",
  ]);
  assertEquals(parse("").problems[0]!.message, "there is no card in the file");
});

Deno.test("formatVcards() writes version 4.0 in lines of 75 octets", () => {
  const text = formatVcards([
    { kind: "user", name: "ann", displayName: "", phone: "1" },
    { kind: "list", name: "all", displayName: "ü".repeat(60), members: ["ann", "o'hara@example.com"] },
  ], { domain });
  assertStringIncludes(text, "FN;DERIVED=true:ann\r\nNICKNAME:ann\r\n");
  assertStringIncludes(text, "MEMBER:mailto:ann@example.org\r\nMEMBER:mailto:o'hara@example.com\r\n");
  for (const line of text.split("\r\n")) assertEquals(octets(line).length <= 75, true, line);
});

Deno.test("formatVcards() writes what parseVcards() reads", () => {
  fc.assert(fc.property(contacts, (all) => {
    const text = formatVcards(all, { domain });
    const read = parse(text);
    assertEquals(read.problems, all.length === 0 ? read.problems : []);
    assertEquals(entriesOf(read), all);
  }));
});

Deno.test("parseVcards() never throws", () => {
  const word = fc.constantFrom(
    "BEGIN:VCARD\n",
    "END:VCARD\n",
    "FN",
    "N",
    ":",
    ";",
    "=",
    '"',
    "\\",
    "\n",
    " ",
    ",",
    "%",
    "ORG",
    "MEMBER:mailto:",
    "ENCODING=B",
    "QUOTED-PRINTABLE",
    "CHARSET",
    "é",
  );
  fc.assert(fc.property(fc.array(word), (words) => void parse(words.join(""))));
  fc.assert(fc.property(fc.uint8Array(), (bytes) => void parseVcards(bytes)));
});

const isThere = await hasPython("vobject");

Deno.test({
  name: "formatVcards() writes what vobject reads",
  ignore: !isThere,
  async fn() {
    const all = fc.sample(contacts, { numRuns: 20, seed: 5 }).flat();
    const cards = await python(
      "import json,sys,vobject\n" +
        "text=sys.stdin.buffer.read().decode()\n" +
        "print(json.dumps([{'name':c.nickname.value,'fn':c.fn.value," +
        "'tel':c.tel.value if hasattr(c,'tel') else None," +
        "'members':len(c.contents.get('member',[]))} for c in vobject.readComponents(text)]))",
      formatVcards(all, { domain }),
    );
    assertEquals(
      cards,
      all.map(({ name, displayName, phone, members }) => ({
        name,
        fn: displayName ?? name,
        tel: phone ?? null,
        members: members?.length ?? 0,
      })),
    );
  },
});

Deno.test({
  name: "parseVcards() reads what vobject writes",
  ignore: !isThere,
  async fn() {
    const program = "import json,sys,vobject\n" +
      "out=''\n" +
      "for r in json.load(sys.stdin):\n" +
      "  c=vobject.vCard()\n" +
      "  c.add('n').value=vobject.vcard.Name(family='X')\n" +
      "  c.add('fn').value=r['displayName']\n" +
      "  c.add('email').value=r['address']\n" +
      "  c.add('org').value=['Org',r['department']]\n" +
      "  out+=c.serialize()\n" +
      "print(json.dumps(out))";
    const people = fc.sample(contacts, { numRuns: 40, seed: 7 }).flat()
      .flatMap(({ address, displayName, department }) =>
        address !== undefined && displayName !== undefined && department !== undefined
          ? [{ displayName, department, address }]
          : []
      );
    assertEquals(people.length > 10, true);
    assertEquals(entriesOf(parse(await python(program, JSON.stringify(people)) as string)), people);
  },
});
