import { assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  type Address,
  canonicalAddress,
  canonicalDomain,
  canonicalLocal,
  formatAddress,
  isAddressLiteral,
  isDomain,
  needsUtf8,
  parseAddress,
  parseLocalPart,
} from "../../../src/mail/address.ts";

function parsed(text: string): Address {
  const address = parseAddress(text);
  if ("error" in address) throw new Error(address.error);
  return address;
}

const refused = (text: string) => "error" in parseAddress(text);

/** Texts made of what matters to the grammar, so that many of them are addresses. */
const addressLike = () => {
  const unit = fc.constantFrom(...'aZ09.-_+@"\\ []:()<>,;\r\n\t\0é日\u0085\u2028\ud800');
  return fc.oneof(
    fc.string({ unit, maxLength: 20 }),
    fc.tuple(
      fc.string({ unit, maxLength: 8 }),
      fc.string({ unit: fc.constantFrom(..."abé.-19"), maxLength: 8 }),
    )
      .map(([local, domain]) => `"${local}"@${domain}`),
  );
};

Deno.test("parseAddress() takes the forms of RFC 5321 4.1.2", () => {
  assertEquals(parsed("alice@example.org"), { local: "alice", domain: "example.org" });
  assertEquals(parsed("a.b+c=d@example.org").local, "a.b+c=d");
  assertEquals(parsed('"John Doe"@example.org').local, "John Doe");
  assertEquals(parsed('"a@b"@example.org'), { local: "a@b", domain: "example.org" });
  assertEquals(parsed('"a\\"b\\\\"@example.org').local, 'a"b\\');
  assertEquals(parsed('""@example.org').local, "");
  assertEquals(parsed("bob@[192.0.2.1]").domain, "[192.0.2.1]");
  assertEquals(parsed("bob@[IPv6:2001:db8::1]").domain, "[IPv6:2001:db8::1]");
  assertEquals(parsed("josé@bücher.example").domain, "bücher.example");
});

Deno.test("parseAddress() refuses what is not an address", () => {
  const texts = [
    "",
    "alice",
    "@example.org",
    "alice@",
    "a..b@x",
    ".a@x",
    "a.@x",
    "a b@x",
    "a@b@x",
    '"a"b"@x',
    '"a\\"@x',
    "a@x..y",
    "a@x.",
    "a@-x",
    "a@x-",
    "a@[1.2.3]",
    "a@[IPv6:1.2.3.4]",
    "a@[2001:db8::1]",
    "a@ex_ample",
    "<a@x>",
    `${"x".repeat(65)}@y`,
    `a@${"x".repeat(64)}`,
    `a@${"x.".repeat(127)}xx`,
  ];
  for (const text of texts) assertEquals(refused(text), true, text);
});

Deno.test("parseAddress() refuses controls, line separators and lone surrogates anywhere, quoted or not", () => {
  for (const evil of ["\r", "\n", "\0", "\t", "\x7f", "\u0085", "\u2028", "\ud800"]) {
    for (
      const text of [
        `a${evil}@x`,
        `"a${evil}"@x`,
        `"a\\${evil}"@x`,
        `a@x${evil}`,
        `a@x${evil}.y`,
        `${evil}a@x`,
      ]
    ) {
      assertEquals(refused(text), true, JSON.stringify(text));
    }
  }
});

Deno.test("parseAddress() takes limits of 64 and 255 octets, counted in UTF-8", () => {
  assertEquals(refused(`${"x".repeat(64)}@y`), false);
  assertEquals(refused(`${"é".repeat(32)}@y`), false);
  assertEquals(refused(`${"é".repeat(33)}@y`), true);
  assertEquals(refused(`a@${"x".repeat(63)}`), false);
  assertEquals(isDomain("x.".repeat(127) + "x"), true);
  assertEquals(isDomain("x.".repeat(127) + "xx"), false);
});

Deno.test("what parseAddress() takes formats back to an equal address without control characters", () => {
  fc.assert(
    fc.property(addressLike(), (text) => {
      const address = parseAddress(text);
      if ("error" in address) return;
      const formatted = formatAddress(address);
      assertEquals(parseAddress(formatted), address);
      // deno-lint-ignore no-control-regex -- control characters are what must not be there
      assertEquals(/[\u0000-\u001f\u007f-\u009f]/.test(formatted), false);
      assertEquals(new TextDecoder().decode(new TextEncoder().encode(formatted)), formatted);
    }),
    { numRuns: 2000 },
  );
});

Deno.test("formatAddress() quotes any local part so that it reads back", () => {
  const local = fc.string({ unit: fc.constantFrom(...'ab .@"\\<>,é'), maxLength: 12 });
  fc.assert(fc.property(local, (local) => {
    assertEquals(parsed(formatAddress({ local, domain: "x" })), { local, domain: "x" });
  }));
  assertEquals(formatAddress({ local: "postmaster", domain: "" }), "postmaster");
});

Deno.test("parseLocalPart() unquotes, and says what is wrong otherwise", () => {
  assertEquals(parseLocalPart('"a b"'), "a b");
  assertEquals(parseLocalPart("a b"), {
    error: "'a b' can't stand before the @: use letters, digits and .-_+, or quote it",
  });
});

Deno.test("isAddressLiteral() takes IPv4 and IPv6 without zone", () => {
  assertEquals(isAddressLiteral("[127.0.0.1]"), true);
  assertEquals(isAddressLiteral("[ipv6:::1]"), true);
  assertEquals(isAddressLiteral("[IPv6:::ffff:192.0.2.1]"), true);
  for (
    const text of ["[]", "[IPv6:fe80::1%eth0]", "[::1]", "127.0.0.1", "[127.0.0.1", "[256.0.0.1]", "[x]"]
  ) {
    assertEquals(isAddressLiteral(text), false, text);
  }
});

Deno.test("canonicalDomain() gives lower-case A-labels without final dot", () => {
  assertEquals(canonicalDomain("EXAMPLE.Org."), "example.org");
  assertEquals(canonicalDomain("Bücher.Example"), "xn--bcher-kva.example");
  assertEquals(canonicalDomain("XN--BCHER-KVA.example"), "xn--bcher-kva.example");
  assertEquals(canonicalDomain("example。org。"), "example.org");
  assertEquals(canonicalDomain("[IPv6:2001:DB8::1]"), "[ipv6:2001:db8::1]");
});

Deno.test("canonicalDomain() doesn't read numbers as addresses or undo percent signs", () => {
  for (const domain of ["0x7f.1", "127.1", "2130706433", "%61.org"]) {
    assertEquals(canonicalDomain(domain), domain);
  }
  assertEquals(canonicalDomain("１２７.0.0.1") === "127.0.0.1", false);
});

Deno.test("canonicalLocal() joins case and composition, and is its own canonical form", () => {
  assertEquals(canonicalLocal("ALICE"), "alice");
  assertEquals(canonicalLocal("JOSE\u0301"), canonicalLocal("josé"));
  assertEquals(canonicalLocal("J\u030c"), canonicalLocal("\u01f0"));
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 12 }), (text) => {
    const once = canonicalLocal(text);
    assertEquals(canonicalLocal(once), once);
    assertEquals(canonicalLocal(text.normalize("NFD")), once);
  }));
});

Deno.test("canonicalAddress() of different addresses never looks like a catch-all or another account", () => {
  assertEquals(canonicalAddress(parsed("Alice@Example.ORG")), "alice@example.org");
  assertEquals(canonicalAddress(parsed('""@example.org')), '""@example.org');
  assertEquals(canonicalAddress(parsed('"a@example.org"@other')), '"a@example.org"@other');
  assertEquals(canonicalAddress({ local: "a@example.org", domain: "" }), '"a@example.org"');
  assertEquals(canonicalAddress({ local: "Postmaster", domain: "" }), "postmaster");
});

Deno.test("canonicalAddress() of what was parsed parses to its own canonical form", () => {
  fc.assert(
    fc.property(addressLike(), (text) => {
      const address = parseAddress(text);
      if ("error" in address || refused(canonicalAddress(address))) return;
      assertEquals(canonicalAddress(parsed(canonicalAddress(address))), canonicalAddress(address));
    }),
    { numRuns: 1000 },
  );
});

Deno.test("needsUtf8() looks at both halves", () => {
  assertEquals(needsUtf8(parsed("a@example.org")), false);
  assertEquals(needsUtf8(parsed("é@example.org")), true);
  assertEquals(needsUtf8(parsed("a@bücher.example")), true);
});
