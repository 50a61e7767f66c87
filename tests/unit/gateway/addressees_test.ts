import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  type AddresseeLookUp,
  type AddresseeOptions,
  AddresseeResolution,
  type Listed,
} from "../../../src/gateway/addressees.ts";
import { parseNote } from "../../../src/gateway/note.ts";
import { formatAddress } from "../../../src/mail/address.ts";

const OPTIONS: AddresseeOptions = {
  nicknames: [
    { name: "boss", addresses: ["alice"] },
    { name: "team", addresses: ["boss", "bob", "x@example.com", "team"] },
    { name: "carol", addresses: ["carol"] },
    { name: "ping", addresses: ["pong"] },
    { name: "pong", addresses: ["ping"] },
    { name: "broken", addresses: ["a b@example.com"] },
  ],
  gateways: [{ name: "mhs", domain: "mhs.example.org" }],
  defaultGateway: "smtp",
  domains: ["example.org", "example.net"],
  plus: "+",
  limit: 1000,
};

const entry = (kind: Listed["kind"], name: string, rest: Partial<Listed> = {}): Listed => ({
  kind,
  name,
  displayName: "",
  department: "",
  ...rest,
});

const DIRECTORY: readonly Listed[] = [
  entry("account", "alice", { displayName: "Alice Wood", department: "Sales" }),
  entry("account", "bob", { displayName: "Bob Long" }),
  entry("account", "bobby", { displayName: "Bobby Tables", department: "Data" }),
  entry("account", "carol@example.net"),
  entry("account", "carol@example.org"),
  entry("account", "dora@example.net", { displayName: "Dora Hill" }),
  entry("shadow", "eric", { displayName: "Eric Far", address: "Eric.Far@example.com" }),
  entry("shadow", "fax", { displayName: "The fax", address: "5551234@mhs.example.org" }),
  entry("list", "staff", { displayName: "All staff" }),
  entry("alias", "sales"),
  entry("alias", "@example.org"),
];

function lookUp(step: AddresseeLookUp, entries: readonly Listed[]): readonly Listed[] {
  switch (step.kind) {
    case "names":
      return step.names.flatMap((name) => entries.filter((each) => each.name === name)).slice(0, 1);
    case "prefix":
      return entries.filter(({ name }) => name.startsWith(step.prefix));
    case "words":
      return entries.filter((each) =>
        step.words.every((word) => `${each.name} ${each.displayName}`.toLowerCase().includes(word))
      );
    case "everybody":
      return entries;
  }
}

function resolve(note: string, options: Partial<AddresseeOptions> = {}, entries = DIRECTORY) {
  const { note: { recipients }, problems } = parseNote(note, { gateways: ["smtp", "mhs"] });
  assertEquals(problems, []);
  const resolution = new AddresseeResolution(recipients, { ...OPTIONS, ...options });
  let step = resolution.next();
  for (; step.kind !== "done"; step = resolution.next()) resolution.found(lookUp(step, entries));
  return step;
}

/** `header address (display name) by, by`. */
function found(note: string, options: Partial<AddresseeOptions> = {}): string[] {
  const { addressees, problems } = resolve(note, options);
  assertEquals(problems, []);
  return addressees.map(({ header, address, displayName, by }) =>
    [header, formatAddress(address), ...displayName === "" ? [] : [`(${displayName})`], ...by].join(" ")
  );
}

/** `line:column message | hint`. */
function wrong(note: string, options: Partial<AddresseeOptions> = {}, entries = DIRECTORY): string[] {
  return resolve(note, options, entries).problems.map(({ line, column, message, hint }) =>
    `${line}:${column} ${message} | ${hint}`
  );
}

Deno.test("AddresseeResolution takes addresses as they are where SMTP is the default", () => {
  assertEquals(found("/TO Bobl@Example.COM, Bob L <bob.l@x.test>"), [
    "to Bobl@Example.COM",
    "to bob.l@x.test (Bob L)",
  ]);
  assertEquals(found('/TO /SMTP "b l"@x.test'), ['to "b l"@x.test']);
});

Deno.test("AddresseeResolution gives plain addresses to another default gateway, but not those of this system", () => {
  const options = { defaultGateway: "mhs" };
  assertEquals(found("/TO bob@SALES bob@example.net x@w.mhs.example.org /SMTP b@x.test", options), [
    "to bob@sales.mhs.example.org gateway mhs",
    "to bob@example.net",
    "to x@w.mhs.example.org",
    "to b@x.test",
  ]);
});

Deno.test("AddresseeResolution maps names of a gateway", () => {
  assertEquals(found('/TO /MHS user@workgroup user "John Doe" "John Doe@sales"'), [
    "to user@workgroup.mhs.example.org gateway mhs",
    "to user@mhs.example.org gateway mhs",
    'to "John Doe"@mhs.example.org gateway mhs',
    'to "John Doe"@sales.mhs.example.org gateway mhs',
  ]);
  assertEquals(wrong("/TO /MHS user@work_group"), [
    "1:10 'work_group' can't stand behind the @: use letters, digits, hyphens and dots | as in /MHS user@workgroup",
  ]);
});

Deno.test("AddresseeResolution finds names of the directory, in any case", () => {
  assertEquals(found("/TO ALICE staff /CC sales".replace(" /CC", "\n/CC")), [
    "to alice@example.org (Alice Wood) account alice",
    "to staff@example.org (All staff) list staff",
    "cc sales@example.org alias sales",
  ]);
  assertEquals(found("/TO bob+lists"), ["to bob+lists@example.org (Bob Long) account bob"]);
});

Deno.test("AddresseeResolution goes to a shadow's destination under its display name", () => {
  assertEquals(found("/TO eric fax"), [
    "to Eric.Far@example.com (Eric Far) shadow eric",
    "to 5551234@mhs.example.org (The fax) shadow fax",
  ]);
});

Deno.test("AddresseeResolution prefers an exact name to a longer one, and takes a beginning that is only one's", () => {
  assertEquals(found("/TO bob bobb do"), [
    "to bob@example.org (Bob Long) account bob",
    "to bobby@example.org (Bobby Tables) account bobby",
    "to dora@example.net (Dora Hill) account dora@example.net",
  ]);
});

Deno.test("AddresseeResolution prefers nicknames, follows them, and never in circles", () => {
  assertEquals(found("/TO boss"), ["to alice@example.org (Alice Wood) nickname boss account alice"]);
  assertEquals(found("/TO Carol"), ["to carol@example.org nickname carol account carol@example.org"]);
  assertEquals(wrong("/TO team"), [
    "1:5 the nickname team leads back to itself | give the nickname an address, or another name: team > team",
  ]);
  assertEquals(wrong("/TO ping"), [
    "1:5 the nickname ping leads back to itself | give the nickname an address, or another name: ping > pong > ping",
  ]);
  assertEquals(wrong("/TO broken"), [
    "1:5 'a b' can't stand before the @: use letters, digits and .-_+, or quote it | nickname broken has that address",
  ]);
});

Deno.test("AddresseeResolution finds a quoted display name", () => {
  assertEquals(found('/TO "eric  far"'.replace("  ", " ")), [
    "to Eric.Far@example.com (Eric Far) shadow eric",
  ]);
  assertEquals(wrong('/TO "Eric Near"'), ["1:5 nobody is called Eric Near | did you mean eric (Eric Far)?"]);
});

Deno.test("AddresseeResolution lists the candidates of an ambiguous name", () => {
  assertEquals(wrong("/TO\tb"), [
    "1:5 b may be any of 2: several names begin so | write more of the name of whoever is meant:\n" +
    "  bob    Bob Long\n  bobby  Bobby Tables, Data",
  ]);
  const many = Array.from({ length: 23 }, (_, i) => entry("account", `user${i}`));
  const [text] = wrong("/TO user", {}, many);
  const lines = text!.split("\n");
  assertEquals([lines.length, lines[1], lines.at(-1)], [22, "  user0", "  and 3 more"]);
});

Deno.test("AddresseeResolution suggests the nearest names for an unknown one", () => {
  assertEquals(wrong("/TO bobi xyzzy"), [
    "1:5 nobody is called bobi | did you mean bob (Bob Long)?",
    "1:10 nobody is called xyzzy | 'emsmail directory find' looks for people; somebody elsewhere needs a whole address, " +
    "as in bobl@example.com",
  ]);
  assertEquals(
    wrong("/TO alise bobbi")[1],
    "1:11 nobody is called bobbi | did you mean bobby (Bobby Tables)?",
  );
  assertEquals(wrong("/TO tema"), ["1:5 nobody is called tema | did you mean team?"]);
});

Deno.test("AddresseeResolution tells of a name behind /SMTP and of addresses that are none", () => {
  assertEquals(wrong("/TO /SMTP BOBL"), [
    "1:11 BOBL is no mail address, and /SMTP takes nothing else | " +
    "write it as name@domain, or leave /SMTP out to find BOBL in the directory",
  ]);
  assertEquals(wrong("/TO bob@ a..b@x.test"), [
    "1:5 '' is not a domain: expected something like example.org or [192.0.2.1] | write it as name@domain",
    "1:10 'a..b' can't stand before the @: use letters, digits and .-_+, or quote it | write it as name@domain",
  ]);
});

Deno.test("AddresseeResolution takes a second @ for a mistake, behind a gateway too", () => {
  const words = "can't stand before the @: use letters, digits and .-_+, or quote it";
  assertEquals(wrong("/TO /MHS jane@sales@x"), [`1:10 'jane@sales' ${words} | as in /MHS user@workgroup`]);
  assertEquals(wrong("/TO @x.test"), ["1:5 nothing stands before the @ | write it as name@domain"]);
});

Deno.test("AddresseeResolution names each address once, in the first header", () => {
  assertEquals(found("/BCC alice\n/CC Alice@EXAMPLE.org bob\n/TO boss x@y.test X@y.test x@Y.test"), [
    "to alice@example.org (Alice Wood) nickname boss account alice",
    "cc bob@example.org (Bob Long) account bob",
    "to x@y.test",
    "to X@y.test",
  ]);
});

Deno.test("AddresseeResolution has a limit and says so", () => {
  assertEquals(wrong("/TO a@x.test b@x.test A@x.test", { limit: 3 }), []);
  const note = `/TO ${Array.from({ length: 5 }, (_, i) => `u${i}@x.test`).join(" ")}`;
  assertEquals(wrong(note, { limit: 3 }), [
    "1:35 these are too many recipients | 3 is the most; send it to a distribution list, or as several notes",
  ]);
});

Deno.test("AddresseeResolution can't be told what it did not ask for", () => {
  assertThrows(() => new AddresseeResolution([], OPTIONS).found([]), Error, "asked for nothing");
});

Deno.test("AddresseeResolution ends, whatever the nicknames say", () => {
  const name = fc.constantFrom("a", "b", "c", "d", "x@y.test");
  const nicknames = fc.uniqueArray(
    fc.record({
      name: fc.constantFrom("a", "b", "c", "d"),
      addresses: fc.array(name, { minLength: 1, maxLength: 5 }),
    }),
    { selector: ({ name }) => name },
  );
  fc.assert(
    fc.property(nicknames, fc.subarray(["a", "b", "c", "d"], { minLength: 1 }), (nicknames, asked) => {
      const { addressees, problems } = resolve(`/TO ${asked.join(" ")}`, { nicknames }, [
        entry("account", "d"),
      ]);
      assertEquals(addressees.length + problems.length > 0, true);
      assertEquals(new Set(addressees.map(({ address }) => formatAddress(address))).size, addressees.length);
    }),
  );
});
