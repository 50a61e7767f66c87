import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { type MxAnswer, mxTargets, orderAddresses, type Shuffle } from "../../../src/routing/targets.ts";

const asIs: Shuffle = (items) => items;
const backwards: Shuffle = (items) => items.reverse();
const mx = (...records: readonly (readonly [preference: number, exchange: string])[]): MxAnswer => ({
  status: "found",
  records: records.map(([preference, exchange]) => ({ preference, exchange })),
});
const targets = (answer: MxAnswer, options: { ownNames?: readonly string[]; shuffle?: Shuffle } = {}) =>
  mxTargets(answer, { domain: "example.org", ownNames: [], shuffle: asIs, ...options });

Deno.test("mxTargets() orders hosts by preference, and equals by chance", () => {
  const answer = mx([20, "c.example"], [10, "A.example."], [10, "b.example"], [5, "d.example"]);
  const hosts = (shuffle: Shuffle) => {
    const verdict = targets(answer, { shuffle });
    return verdict.kind === "hosts" ? [verdict.rule, ...verdict.hosts] : [];
  };
  assertEquals(hosts(asIs), ["mx", "d.example", "a.example", "b.example", "c.example"]);
  assertEquals(hosts(backwards), ["mx", "d.example", "b.example", "a.example", "c.example"]);
});

Deno.test("mxTargets() takes a domain without MX records for its own host", () => {
  assertEquals(targets({ status: "no-data" }), {
    kind: "hosts",
    hosts: ["example.org"],
    rule: "implicit-mx",
  });
  assertEquals(targets({ status: "no-data" }, { ownNames: ["example.org"] }), { kind: "loop" });
});

Deno.test("mxTargets() tells a domain that takes no mail from one that isn't there, and from one not known", () => {
  assertEquals(targets(mx([0, "."])), { kind: "null-mx" });
  assertEquals(targets({ status: "no-such-name" }), {
    kind: "no-host",
    reason: "the domain example.org does not exist",
  });
  assertEquals(targets({ status: "failed", reason: "no answer within 5 s" }), {
    kind: "temporary",
    reason: "no answer within 5 s",
  });
});

Deno.test("mxTargets() passes over what is no host's name", () => {
  const answer = mx(
    [1, "192.0.2.1"],
    [2, "[192.0.2.1]"],
    [3, "2001:db8::1"],
    [4, "."],
    [5, ""],
    [6, "a..b"],
    [7, "a?b.example"],
    [8, `${"a".repeat(64)}.example`],
    [9, "good.example"],
  );
  assertEquals(targets(answer), { kind: "hosts", hosts: ["good.example"], rule: "mx" });
  assertEquals(targets(mx([1, "192.0.2.1"])), {
    kind: "no-host",
    reason: "the MX records of example.org name no host, or none by a valid name",
  });
});

Deno.test("mxTargets() stops at our own name, so that mail doesn't come back", () => {
  const answer = mx([10, "a.example"], [20, "us.example"], [20, "b.example"], [30, "c.example"]);
  assertEquals(targets(answer, { ownNames: ["other.example", "us.example"] }), {
    kind: "hosts",
    hosts: ["a.example"],
    rule: "mx",
  });
  assertEquals(targets(mx([10, "US.example."], [20, "a.example"]), { ownNames: ["us.example"] }), {
    kind: "loop",
  });
  assertEquals(targets(mx([10, "a.example"], [10, "us.example"]), { ownNames: ["us.example"] }), {
    kind: "loop",
  });
});

Deno.test("mxTargets() gives each host once, and at most 20", () => {
  assertEquals(targets(mx([10, "a.example"], [20, "A.example"], [5, "b.example"])), {
    kind: "hosts",
    hosts: ["b.example", "a.example"],
    rule: "mx",
  });
  const many = mx(...Array.from({ length: 100 }, (_, i) => [i, `h${i}.example`] as const));
  const verdict = targets(many);
  assertEquals(verdict.kind === "hosts" && verdict.hosts.length, 20);
  assertEquals(verdict.kind === "hosts" && verdict.hosts.at(-1), "h19.example");
});

Deno.test("mxTargets() never sends to ourselves or to what is preferred less", () => {
  const record = fc.tuple(
    fc.nat(5),
    fc.constantFrom("a.example", "b.example", "c.example", "us.example", "."),
  );
  fc.assert(fc.property(fc.array(record, { minLength: 1, maxLength: 8 }), (records) => {
    const verdict = targets(mx(...records), { ownNames: ["us.example"] });
    const own = Math.min(...records.filter(([, host]) => host === "us.example").map(([p]) => p));
    if (verdict.kind !== "hosts") return;
    assert(verdict.hosts.length > 0);
    for (const host of verdict.hosts) {
      assert(host !== "us.example");
      assert(records.some(([p, name]) => name === host && p < own));
    }
  }));
});

Deno.test("orderAddresses() tries the families in turn, IPv6 first, and at most 8 addresses", () => {
  const six = ["2001:db8::1", "2001:db8::2"];
  const four = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
  assertEquals(orderAddresses(six, four, asIs), [
    "2001:db8::1",
    "192.0.2.1",
    "2001:db8::2",
    "192.0.2.2",
    "192.0.2.3",
  ]);
  assertEquals(orderAddresses(six, four, backwards), [
    "2001:db8::2",
    "192.0.2.3",
    "2001:db8::1",
    "192.0.2.2",
    "192.0.2.1",
  ]);
  assertEquals(six, ["2001:db8::1", "2001:db8::2"], "the lists given stay as they are");
  const many = Array.from({ length: 20 }, (_, i) => `2001:db8::${i}`);
  const tried = orderAddresses(many, four, asIs);
  assertEquals([tried.length, tried.filter((each) => four.includes(each)).length], [8, 3]);
  assertEquals(orderAddresses([], [], asIs), []);
});
