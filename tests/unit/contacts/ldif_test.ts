import { assertEquals, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { formatLdif, parseLdif } from "../../../src/contacts/ldif.ts";
import { contacts, entriesOf, hasPython, octets, python } from "./fixtures.ts";

const domain = "example.org";
const parse = (text: string) => parseLdif(octets(text));

Deno.test("parseLdif() reads persons, folded, in base64 and with comments", () => {
  const text = `version: 1
# people
#  and a comment
  that is folded
dn: ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: people

dn: uid=bobl,ou=people,dc=example,dc=org
changetype: add
objectClass: top
objectClass: inetOrgPerson
uid: bobl
cn;lang-en: Bob
cn:: Qm9iIE3DvGxsZXI=
mail: bob@exam
 ple.com
jpegPhoto:: /9j/4AAQ
jpegPhoto:< file:///photo.jpg
departmentNumber: Sales
telephoneNumber: +1 555
`;
  assertEquals(parse(text), {
    problems: [],
    contacts: [{
      line: 9,
      name: "bobl",
      displayName: "Bob",
      department: "Sales",
      phone: "+1 555",
      address: "bob@example.com",
    }],
  });
});

Deno.test("parseLdif() finds a group's members by their entries, and by their names", () => {
  const text = `dn: cn=Ann Lee,ou=x
objectClass: person
uid: ann
cn: Ann Lee

dn: cn=All staff,ou=x
objectClass: groupOfNames
cn: All staff
member: CN=ann lee, OU=x
member: uid=b\\2Bc,ou=x
member: mail=d@example.com
member:
owner: uid=ann,ou=y

dn: cn=unix,ou=x
objectClass: posixGroup
cn: unix
memberUid: ann
`;
  assertEquals(parse(text).contacts.slice(1), [
    { line: 6, kind: "list", members: ["ann", "b+c", "d@example.com"], owner: "ann" },
    { line: 15, kind: "list", name: "unix", members: ["ann"] },
  ]);
});

Deno.test("parseLdif() tells everything that is wrong, each with its line", () => {
  const text = `cn: nobody
sn: nobody

dn: uid=a
objectClass: person
uid: a
what is this
cn:: ***
description:< file:///etc/passwd

dn: uid=b
changetype: delete

dn: cn=g
objectClass: groupOfNames
cn: g
member: cn=Some Body,ou=x
`;
  assertEquals(parse(text).problems.map(({ line, message }) => `${line}: ${message}`), [
    "1: cn stands where an entry should begin",
    "7: this is no line of LDIF",
    "8: cn isn't base64",
    "9: description is to be read from elsewhere, which isn't done here",
    "12: changes of the kind 'delete' aren't read",
    "17: who cn=Some Body,ou=x is can't be told by this file",
  ]);
});

Deno.test("formatLdif() writes entries that an LDAP server can take", () => {
  const text = formatLdif([
    { kind: "shadow", name: "bobl", displayName: "Bob Lee", address: "bob@example.com", inbound: true },
    { kind: "list", name: "all", members: ["bobl", "sub", "x,y@example.com"], phone: "1" },
    { kind: "list", name: "sub", displayName: "grün " + "x".repeat(80), members: [] },
  ], { domain });
  assertStringIncludes(
    text,
    "version: 1\n\ndn: uid=bobl,ou=people,dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: bobl\n" +
      "cn: Bob Lee\nsn: Lee\ndisplayName: Bob Lee\nmail: bob@example.com\nemployeeType: EMSmail shadow, inbound\n\n",
  );
  assertStringIncludes(
    text,
    "member: uid=bobl,ou=people,dc=example,dc=org\nmember: cn=sub,ou=lists,dc=example,dc=org\n" +
      "member: mail=x\\,y@example.com,ou=people,dc=example,dc=org\n",
  );
  assertStringIncludes(text, "objectClass: extensibleObject\n");
  for (const line of text.split("\n")) assertEquals(line.length <= 76, true, line);
});

Deno.test("formatLdif() writes what parseLdif() reads", () => {
  fc.assert(fc.property(contacts, (all) => {
    const read = parse(formatLdif(all, { domain }));
    assertEquals(read.problems, []);
    assertEquals(entriesOf(read), all);
  }));
});

Deno.test("parseLdif() never throws", () => {
  const word = fc.constantFrom(
    "dn: uid=a,b\n",
    "cn",
    ":",
    "::",
    "<",
    "\n",
    " ",
    "#",
    "member: ",
    "=",
    "\\",
    "objectClass: groupOfNames\n",
    "YWJj",
    "é",
  );
  fc.assert(fc.property(fc.array(word), (words) => void parse(words.join(""))));
  fc.assert(fc.property(fc.uint8Array(), (bytes) => void parseLdif(bytes)));
});

const isThere = await hasPython("ldif");

Deno.test({
  name: "formatLdif() writes what python-ldap reads",
  ignore: !isThere,
  async fn() {
    const seen = new Set<string | undefined>();
    const all = fc.sample(contacts, { numRuns: 20, seed: 6 }).flat()
      .filter(({ name }) => !seen.has(name) && seen.add(name) !== undefined);
    const records = await python(
      "import io,json,ldif,sys\n" +
        "reader=ldif.LDIFRecordList(io.BytesIO(sys.stdin.buffer.read()))\n" +
        "reader.parse()\n" +
        "print(json.dumps([{k:[v.decode() for v in vs] for k,vs in r.items()} for _,r in reader.all_records]))",
      formatLdif(all, { domain }),
    ) as Record<string, string[]>[];
    assertEquals(records.length, all.length);
    records.forEach((record, i) => {
      const { kind, name, displayName, department, members } = all[i]!;
      assertEquals((kind === "list" ? record.cn : record.uid)?.[0], name);
      assertEquals((kind === "list" ? record.description : record.displayName)?.[0], displayName);
      assertEquals(record.ou?.[0], department);
      if (kind === "list") assertEquals(record.member!.length, Math.max(1, members!.length));
    });
  },
});

Deno.test({
  name: "parseLdif() reads what python-ldap writes",
  ignore: !isThere,
  async fn() {
    const program = "import io,json,ldif,sys\n" +
      "out=io.StringIO()\n" +
      "writer=ldif.LDIFWriter(out)\n" +
      "for r in json.load(sys.stdin):\n" +
      "  writer.unparse('uid=%s,ou=x'%r['name'],{'objectClass':[b'inetOrgPerson'],'uid':[r['name'].encode()]," +
      "'displayName':[r['displayName'].encode()],'mail':[r['address'].encode()]})\n" +
      "print(json.dumps(out.getvalue()))";
    const people = fc.sample(contacts, { numRuns: 20, seed: 7 }).flat()
      .filter(({ address, displayName }) => address !== undefined && displayName !== undefined)
      .map(({ name, displayName, address }) => ({ name, displayName, address }));
    const text = await python(program, JSON.stringify(people)) as string;
    assertEquals(people.length > 10, true);
    assertEquals(entriesOf(parse(text)), people);
  },
});
