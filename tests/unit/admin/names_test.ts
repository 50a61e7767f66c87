import { assertEquals, assertThrows } from "@std/assert";
import { AdminError } from "../../../src/admin/error.ts";
import {
  addressesOf,
  lookupName,
  nameFrom,
  parseAccountName,
  parseAliasName,
  parseListName,
  parseNickname,
  parseShadowName,
  parseTarget,
} from "../../../src/admin/names.ts";

const rules = { domains: ["example.org", "xn--bcher-kva.example"], detailSeparator: "+" };

function refuses(act: () => unknown, words: string): void {
  const error = assertThrows(act, AdminError);
  const said = `${error.message}; ${error.advice}`;
  assertEquals(said.includes(words), true, `'${said}' does not say '${words}'`);
  assertEquals(error.failure, "usage");
}

Deno.test("parseAccountName() gives the canonical form", () => {
  assertEquals(parseAccountName("Alice", rules), "alice");
  assertEquals(parseAccountName("Alice.B-c_d@EXAMPLE.org", rules), "alice.b-c_d@example.org");
  assertEquals(parseAccountName("jürgen@BÜCHER.example", rules), "jürgen@xn--bcher-kva.example");
  assertEquals(parseAccountName("ju\u0308rgen", rules), "jürgen");
  assertEquals(parseAccountName("o'neill", rules), "o'neill");
});

Deno.test("parseAccountName() says why a name can't be had", () => {
  refuses(() => parseAccountName("", rules), "an account needs a name");
  refuses(() => parseAccountName("@example.org", rules), "emsmail alias add @example.org");
  refuses(() => parseAccountName("alice+x", rules), "'+' begins a detail");
  refuses(() => parseAccountName("a/b", rules), "'/' begins a command or gateway");
  refuses(() => parseAccountName("a%b@example.org", rules), "'%'");
  refuses(() => parseAccountName("a b", rules), "a space or a sign");
  refuses(() => parseAccountName("a\r\nb", rules), "a space or a sign");
  refuses(() => parseAccountName("-alice", rules), "look like an option");
  refuses(() => parseAccountName("a..b", rules), "dots may only stand");
  refuses(() => parseAccountName("a".repeat(65), rules), "65 octets");
  refuses(() => parseAccountName("alice@example.com", rules), "not a domain of this system (example.org");
  refuses(() => parseAccountName("alice@[192.0.2.1]", rules), "is an address, not a domain");
  refuses(() => parseAccountName("alice@", rules), "is not a domain");
});

Deno.test("parseAccountName() lets the separator stand where plus-addressing is off or another", () => {
  assertEquals(parseAccountName("a+b", { ...rules, detailSeparator: undefined }), "a+b");
  assertEquals(parseAccountName("a+b", { ...rules, detailSeparator: "-" }), "a+b");
  refuses(() => parseAccountName("a-b", { ...rules, detailSeparator: "-" }), "'-' begins a detail");
});

Deno.test("parseAliasName() takes a domain's catch-all", () => {
  assertEquals(parseAliasName("@EXAMPLE.ORG", rules), "@example.org");
  assertEquals(parseAliasName("Sales", rules), "sales");
  refuses(() => parseAliasName("@example.com", rules), "not a domain of this system");
});

Deno.test("parseTarget() takes names of this system, and addresses elsewhere as they are written", () => {
  assertEquals(parseTarget("Bob", rules), "bob");
  assertEquals(parseTarget("Bob+lists", rules), "bob+lists");
  assertEquals(parseTarget("bob@Example.Org", rules), "bob@example.org");
  assertEquals(parseTarget("Bob+x@GMail.example", rules), "Bob+x@gmail.example");
  refuses(() => parseTarget("bob@not a domain", rules), "is not a domain");
  refuses(() => parseTarget("@example.org", rules), "is no target");
  refuses(() => parseTarget("", rules), "is no target");
});

Deno.test("lookupName() never refuses", () => {
  assertEquals(lookupName("ALICE@Example.ORG"), "alice@example.org");
  assertEquals(lookupName("@Example.ORG"), "@example.org");
  assertEquals(lookupName("no such\u0007 name"), "no such\u0007 name");
});

Deno.test("addressesOf() leaves out what others have", () => {
  assertEquals(addressesOf("alice", rules, new Set()), ["alice@example.org", "alice@xn--bcher-kva.example"]);
  assertEquals(addressesOf("alice", rules, new Set(["alice@example.org"])), ["alice@xn--bcher-kva.example"]);
  assertEquals(addressesOf("alice@example.org", rules, new Set(["alice@example.org"])), [
    "alice@example.org",
  ]);
});

Deno.test("parseShadowName(), parseListName() and parseNickname() say what they are for", () => {
  assertEquals(parseShadowName("BobL@example.org", rules), "bobl@example.org");
  assertEquals(parseListName("Staff", rules), "staff");
  assertEquals(parseNickname("Boss", rules), "boss");
  refuses(() => parseShadowName("", rules), "a shadow needs a name");
  refuses(() => parseListName("all staff", rules), "'all staff' can't be a list's name");
  refuses(() => parseNickname("boss@example.org", rules), "is no nickname");
  refuses(() => parseNickname("/to", rules), "can't be a nickname's name");
});

Deno.test("nameFrom() makes a name that passes, or none", () => {
  assertEquals(nameFrom("Bob Lee", rules), "bob.lee");
  assertEquals(nameFrom("bob.lee+lists", rules), "bob.lee");
  assertEquals(nameFrom("  Dr. Éva  Nagy (Kft.)", rules), "dr.éva.nagy.kft");
  assertEquals(nameFrom("../-x%y", rules), "x.y");
  assertEquals(nameFrom("!!", rules), "");
  assertEquals(nameFrom("x".repeat(65), rules), "");
  for (const text of ["--a", "a..b", "a/b", "O'Neill", "名前"]) {
    const name = nameFrom(text, rules);
    assertEquals(parseAccountName(name, rules), name);
  }
});
