import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { type Address, formatAddress, parseAddress } from "../../../src/mail/address.ts";
import { fromMailAddress, isOnGateway, toMailAddress } from "../../../src/mail/gateway_address.ts";

const DOMAIN = "mhs.example.org";

function mapped(text: string): string {
  const address = toMailAddress(text, DOMAIN);
  return "error" in address ? address.error : formatAddress(address);
}

function back(text: string): string {
  return fromMailAddress(parseAddress(text) as Address, DOMAIN);
}

Deno.test("toMailAddress() puts a workgroup below the gateway's domain", () => {
  assertEquals(mapped("bob@sales"), "bob@sales.mhs.example.org");
  assertEquals(mapped("bob"), "bob@mhs.example.org");
  assertEquals(mapped("bob@Sales.East"), "bob@sales.east.mhs.example.org");
  assertEquals(mapped('"Bob Miller"@sales'), '"Bob Miller"@sales.mhs.example.org');
  assertEquals(mapped("böb@bücher"), "böb@xn--bcher-kva.mhs.example.org");
});

Deno.test("toMailAddress() says what can't stand where", () => {
  assertEquals(
    mapped("bob@two words"),
    "'two words' can't stand behind the @: use letters, digits, hyphens and dots",
  );
  assertEquals(mapped("bob@"), "'' can't stand behind the @: use letters, digits, hyphens and dots");
  assertEquals(
    mapped("Bob Miller"),
    "'Bob Miller' can't stand before the @: use letters, digits and .-_+, or quote it",
  );
  assertEquals(
    mapped(`bob@${"long.".repeat(50)}x`),
    `'${"long.".repeat(50)}x' is too long`,
  );
  assert(mapped("bob\r\n@x").includes("can't stand before the @"));
});

Deno.test("isOnGateway() takes the domain and what is below it, in any case", () => {
  const on = (text: string) => isOnGateway(parseAddress(text) as Address, DOMAIN);
  assert(on("bob@mhs.example.org"));
  assert(on("bob@Sales.MHS.Example.Org"));
  assert(!on("bob@xmhs.example.org"));
  assert(!on("bob@example.org"));
  assert(!on("bob@[192.0.2.1]"));
});

Deno.test("fromMailAddress() gives the gateway's own form", () => {
  assertEquals(back("bob@sales.mhs.example.org"), "bob@sales");
  assertEquals(back("bob@MHS.example.org"), "bob");
  assertEquals(back('"Bob Miller"@sales.mhs.example.org'), "Bob Miller@sales");
});

Deno.test("fromMailAddress() undoes toMailAddress() but for the workgroup's case", () => {
  const label = fc.stringMatching(/^[A-Za-z0-9]([A-Za-z0-9-]{0,10}[A-Za-z0-9])?$/);
  // What looks like a number behind a dot is left alone too: no label is taken for an address.
  const workgroup = fc.array(label, { minLength: 0, maxLength: 3 }).map((labels) => labels.join("."));
  const local = fc.stringMatching(/^[A-Za-z0-9!#$%&'*+/=?^_{|}~-]{1,20}$/);
  fc.assert(fc.property(local, workgroup, (name, group) => {
    const text = group === "" ? name : `${name}@${group}`;
    const address = toMailAddress(text, DOMAIN);
    if ("error" in address) throw new Error(address.error);
    assert(isOnGateway(address, DOMAIN));
    assertEquals(fromMailAddress(address, DOMAIN), group === "" ? name : `${name}@${group.toLowerCase()}`);
  }));
});
