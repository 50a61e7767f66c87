import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { parseAddress } from "../../../src/mail/address.ts";
import { bareNameCandidates, localCandidates } from "../../../src/routing/local.ts";

const OPTIONS = { domains: ["example.org", "xn--bcher-kva.example"], plus: "+" };

function candidates(text: string, options = OPTIONS): unknown[] {
  const address = text === "postmaster" ? { local: "PostMaster", domain: "" } : parseAddress(text);
  if ("error" in address) throw new Error(address.error);
  const found = localCandidates(address, options);
  return [found.kind, ...(found.kind === "outside" ? [found.domain] : found.names)];
}

Deno.test("localCandidates() tries the most particular name first and the catch-all last", () => {
  assertEquals(candidates("alice@example.org"), ["local", "alice@example.org", "alice", "@example.org"]);
  assertEquals(candidates("alice+tag@example.org"), [
    "local",
    "alice+tag@example.org",
    "alice+tag",
    "alice@example.org",
    "alice",
    "@example.org",
  ]);
});

Deno.test("localCandidates() compares domains and names without case, in canonical form", () => {
  assertEquals(candidates("Alice@EXAMPLE.org"), candidates("alice@example.org"));
  assertEquals(candidates("a@Bücher.example"), [
    "local",
    "a@xn--bcher-kva.example",
    "a",
    "@xn--bcher-kva.example",
  ]);
});

Deno.test("localCandidates() parts a detail at the first separator that isn't in front", () => {
  const names = (local: string, plus = "+") =>
    candidates(`${local}@example.org`, { ...OPTIONS, plus }).slice(1, -1);
  assertEquals(names("a+b+c"), ["a+b+c@example.org", "a+b+c", "a@example.org", "a"]);
  assertEquals(names("+a"), ["+a@example.org", "+a"]);
  assertEquals(names("a+"), ["a+@example.org", "a+", "a@example.org", "a"]);
  assertEquals(names("a+b", ""), ["a+b@example.org", "a+b"]);
  assertEquals(names("a-b", "-"), ["a-b@example.org", "a-b", "a@example.org", "a"]);
});

Deno.test("localCandidates() calls other domains, subdomains and unlisted literals outside", () => {
  assertEquals(candidates("a@Example.COM"), ["outside", "example.com"]);
  assertEquals(candidates("a@sub.example.org"), ["outside", "sub.example.org"]);
  assertEquals(candidates("a@[127.0.0.1]"), ["outside", "[127.0.0.1]"]);
  const literal = { ...OPTIONS, domains: ["[127.0.0.1]"] };
  assertEquals(candidates("a@[127.0.0.1]", literal), ["local", "a@[127.0.0.1]", "a", "@[127.0.0.1]"]);
});

Deno.test("localCandidates() knows postmaster with and without domain (RFC 5321 4.5.1)", () => {
  const names = ["postmaster@example.org", "postmaster", "@example.org"];
  assertEquals(candidates("postmaster"), ["postmaster", ...names]);
  assertEquals(candidates("Postmaster@example.org"), ["postmaster", ...names]);
  assertEquals(candidates("postmaster@elsewhere"), ["outside", "elsewhere"]);
  assertEquals(candidates("postmaster", { domains: [], plus: "" }), ["postmaster", "postmaster"]);
  assertEquals(localCandidates({ local: "alice", domain: "" }, OPTIONS), { kind: "outside", domain: "" });
});

Deno.test("localCandidates() of a quoted local part never reaches another's account or the catch-all early", () => {
  assertEquals(candidates('"bob@xn--bcher-kva.example"@example.org'), [
    "local",
    '"bob@xn--bcher-kva.example"@example.org',
    '"bob@xn--bcher-kva.example"',
    "@example.org",
  ]);
  assertEquals(candidates('""@example.org'), ["local", '""@example.org', '""', "@example.org"]);
  const local = fc.string({ unit: fc.constantFrom(...'ab@+ ."'), maxLength: 10 });
  fc.assert(fc.property(local, (local) => {
    const found = localCandidates({ local, domain: "example.org" }, OPTIONS);
    if (found.kind === "outside") throw new Error("ours");
    assertEquals(found.names.at(-1), "@example.org");
    for (const name of found.names.slice(0, -1)) {
      assertEquals(name.startsWith("@"), false);
      // An "@" outside quotes comes only in front of the address's own domain.
      assertEquals(name.replace(/^".*"/, "").split("@")[1] ?? "example.org", "example.org");
    }
  }));
});

Deno.test("bareNameCandidates() has no domain and no catch-all", () => {
  assertEquals(bareNameCandidates("Sales+X", OPTIONS), ["sales+x", "sales"]);
});
