import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { ALIAS_DEPTH, ALIAS_NAMES } from "../../../src/base/limits.ts";
import { formatAddress, parseAddress } from "../../../src/mail/address.ts";
import { Expansion, type Found } from "../../../src/routing/expand.ts";
import type { Topology } from "../../../src/routing/route.ts";
import { DIRECT, host, INTRANET } from "./topologies.ts";

const TOPOLOGY: Topology = { ...INTRANET, domains: ["example.org"] };
const OPEN: Topology = { ...DIRECT, domains: ["example.org"] };

interface People {
  readonly accounts: readonly string[];
  readonly aliases?: { readonly [name: string]: readonly string[] };
}

function lookUp(people: People, names: readonly string[]): Found {
  for (const name of names) {
    if (people.accounts.includes(name)) return { kind: "account", name };
    const targets = Object.hasOwn(people.aliases ?? {}, name) ? people.aliases![name] : undefined;
    if (targets !== undefined) return { kind: "alias", name, targets };
  }
  return { kind: "nothing" };
}

/** Accounts found, problems as `kind: text`, and how many look-ups it took. */
function expand(
  people: People,
  text: string,
): { accounts: readonly string[]; problems: string[]; lookUps: number } {
  const address = parseAddress(text);
  if ("error" in address) throw new Error(address.error);
  const expansion = new Expansion(address, TOPOLOGY);
  let lookUps = 0;
  for (;;) {
    const step = expansion.next();
    if (step.kind === "done") {
      const problems = step.problems.map((problem) => `${problem.kind}: ${problem.text}`);
      return { accounts: step.accounts, problems, lookUps };
    }
    assertEquals(expansion.next(), step, "next() asks the same until found() is called");
    lookUps++;
    expansion.found(lookUp(people, step.names));
  }
}

Deno.test("Expansion finds an account by its address, its name, its detail or the catch-all", () => {
  const people = { accounts: ["alice", "bob@example.org", "boss"], aliases: { "@example.org": ["boss"] } };
  assertEquals(expand(people, "alice@example.org"), { accounts: ["alice"], problems: [], lookUps: 1 });
  assertEquals(expand(people, "bob+x@example.org").accounts, ["bob@example.org"]);
  assertEquals(expand(people, "nobody@example.org"), { accounts: ["boss"], problems: [], lookUps: 2 });
});

Deno.test("Expansion says that nobody has a name", () => {
  assertEquals(expand({ accounts: [] }, "x@example.org"), {
    accounts: [],
    problems: ["unknown: x@example.org is nobody here"],
    lookUps: 1,
  });
});

Deno.test("Expansion asks nothing about an address outside, and gives the routing's reason", () => {
  const { accounts, problems, lookUps } = expand({ accounts: ["a"] }, "a@elsewhere.example");
  assertEquals([accounts, lookUps], [[], 0]);
  assertEquals(
    problems[0]!.startsWith("outside: a@elsewhere.example is outside: this system is on an intranet"),
    true,
  );
});

/** Accounts and addresses elsewhere, with the rule of each. */
function reach(people: People, text: string, topology = OPEN, sender?: string): string[] {
  const parse = (text: string) => {
    const address = parseAddress(text);
    if ("error" in address) throw new Error(address.error);
    return address;
  };
  const options = sender === undefined ? {} : { sender: parse(sender) };
  const expansion = new Expansion(parse(text), topology, options);
  let step = expansion.next();
  for (; step.kind === "look-up"; step = expansion.next()) expansion.found(lookUp(people, step.names));
  const elsewhere = step.forwards.map(({ recipient, route }) =>
    `${formatAddress(recipient)} by ${route.rule}`
  );
  return [...step.accounts, ...elsewhere, ...step.problems.map(({ kind }) => kind)];
}

Deno.test("Expansion of a recipient outside is done at once", () => {
  assertEquals(reach({ accounts: ["bob"] }, "bob@elsewhere.example"), ["bob@elsewhere.example by direct"]);
});

Deno.test("Expansion follows aliases out of the system, to each address once", () => {
  const people = {
    accounts: ["a"],
    aliases: {
      list: ["a", "bob@elsewhere.example", "team"],
      team: ["bob@ELSEWHERE.example", "Bob@elsewhere.example", "ghost", "x@lab.example"],
    },
  };
  const routes = [{ match: "lab.example", host: host("lab"), accept: "users" }] as const;
  assertEquals(reach(people, "list@example.org", { ...OPEN, routes }), [
    "a",
    "bob@elsewhere.example by direct",
    // Elsewhere, case may matter.
    "Bob@elsewhere.example by direct",
    "x@lab.example by relay.routes[0]",
    "unknown",
  ]);
  // On an intranet only listed routes lead out.
  assertEquals(reach(people, "list@example.org", { ...TOPOLOGY, routes }), [
    "a",
    "x@lab.example by relay.routes[0]",
    "outside",
    "outside",
    "outside",
    "unknown",
  ]);
});

Deno.test("Expansion takes the sender's own route for what an alias leads to", () => {
  const people = { accounts: [], aliases: { list: ["bob@elsewhere.example"] } };
  const senders = [{ match: "news.example", host: host("bulk"), accept: "users" }] as const;
  const topology = { ...OPEN, senders };
  assertEquals(reach(people, "list@example.org", topology, "a@news.example"), [
    "bob@elsewhere.example by relay.senders[0]",
  ]);
  assertEquals(reach(people, "list@example.org", topology), ["bob@elsewhere.example by direct"]);
});

Deno.test("Expansion opens aliases of aliases, each account and alias once", () => {
  const people = {
    accounts: ["a", "b", "c"],
    aliases: {
      all: ["a", "team@example.org", "others", "a@example.org"],
      team: ["b", "a"],
      others: ["c", "team"],
    },
  };
  assertEquals(expand(people, "all@example.org").accounts, ["a", "b", "c"]);
  assertEquals(expand(people, "all@example.org").problems, []);
});

Deno.test("Expansion delivers to the rest where an alias names nobody, a loop or the outside", () => {
  const people = { accounts: ["a"], aliases: { list: ["ghost", "x@elsewhere.example", "list", "a b", "a"] } };
  const { accounts, problems } = expand(people, "list@example.org");
  assertEquals(accounts, ["a"]);
  assertEquals(problems.map((problem) => problem.split(":")[0]).sort(), [
    "loop",
    "outside",
    "unknown",
    "unknown",
  ]);
  for (const problem of problems) assertEquals(problem.endsWith("(by alias list)"), true, problem);
});

Deno.test("Expansion sees a loop over several aliases and over a catch-all", () => {
  const ring = { accounts: ["z"], aliases: { a: ["b"], b: ["c@example.org"], c: ["a", "z"] } };
  assertEquals(expand(ring, "a@example.org").accounts, ["z"]);
  assertEquals(expand(ring, "a@example.org").problems, ["loop: a leads back to itself (by alias a > b > c)"]);
  const catchAll = { accounts: [], aliases: { "@example.org": ["ghost@example.org"] } };
  assertEquals(expand(catchAll, "x@example.org").problems, [
    "loop: @example.org leads back to itself (by alias @example.org)",
  ]);
});

Deno.test("Expansion opens an alias named in two ways once, and reports its problems once", () => {
  const people = {
    accounts: [],
    aliases: { all: ["team", "team@example.org"], team: ["x@elsewhere.example"] },
  };
  assertEquals(expand(people, "all@example.org").problems.length, 1);
});

Deno.test("Expansion doesn't take a target asked for twice for a loop", () => {
  const people = {
    accounts: ["boss"],
    aliases: { "@example.org": ["boss@example.org", "boss@example.org"] },
  };
  assertEquals(expand(people, "x@example.org").problems, []);
});

Deno.test("Expansion goes ALIAS_DEPTH deep and no further", () => {
  const chain = (length: number): People => ({
    accounts: ["end"],
    aliases: Object.fromEntries(
      Array.from({ length }, (_, i) => [`a${i}`, [i + 1 < length ? `a${i + 1}` : "end"]]),
    ),
  });
  assertEquals(expand(chain(ALIAS_DEPTH), "a0@example.org").accounts, ["end"]);
  const deeper = expand(chain(ALIAS_DEPTH + 1), "a0@example.org");
  assertEquals([deeper.accounts.length, deeper.problems[0]!.split(":")[0]], [0, "limit"]);
});

Deno.test("Expansion takes ALIAS_NAMES names and says once that there were more", () => {
  const targets = Array.from({ length: ALIAS_NAMES + 5 }, (_, i) => `u${i}`);
  const address = { local: "everybody", domain: "example.org" };
  const expansion = new Expansion(address, TOPOLOGY);
  expansion.found({ kind: "alias", name: "everybody", targets });
  let step = expansion.next();
  for (; step.kind === "look-up"; step = expansion.next()) {
    expansion.found({ kind: "account", name: step.names[0]! });
  }
  assertEquals([step.accounts.length, step.problems.map((problem) => problem.kind)], [ALIAS_NAMES - 1, [
    "limit",
  ]]);
});

Deno.test("Expansion counts addresses elsewhere among ALIAS_NAMES", () => {
  const targets = Array.from({ length: ALIAS_NAMES + 5 }, (_, i) => `u${i}@elsewhere.example`);
  const expansion = new Expansion({ local: "everybody", domain: "example.org" }, OPEN);
  expansion.found({ kind: "alias", name: "everybody", targets });
  const step = expansion.next();
  if (step.kind !== "done") throw new Error(step.kind);
  assertEquals([step.forwards.length, step.problems.map(({ kind }) => kind)], [ALIAS_NAMES - 1, ["limit"]]);
});

Deno.test("Expansion.found() is an error where nothing was asked", () => {
  const expansion = new Expansion({ local: "a", domain: "elsewhere" }, TOPOLOGY);
  assertThrows(() => expansion.found({ kind: "nothing" }), Error, "asked for nothing");
});

Deno.test("Expansion ends and finds what is reachable, whatever the aliases say", () => {
  const name = fc.constantFrom("a", "b", "c", "d", "e", "f");
  const target = fc.oneof(name, name.map((each) => `${each}@example.org`), fc.constant("x@out.example"));
  const aliases = fc.dictionary(name, fc.array(target, { maxLength: 5 }));
  fc.assert(fc.property(aliases, fc.array(name), name, (aliases, named, start) => {
    const accounts = named.filter((each) => !Object.hasOwn(aliases, each));
    const reachable = new Set<string>();
    const visit = (each: string): void => {
      if (reachable.has(each)) return;
      reachable.add(each);
      if (Object.hasOwn(aliases, each)) {
        for (const target of aliases[each]!) if (!target.includes("@out")) visit(target.split("@")[0]!);
      }
    };
    visit(start);
    const found = expand({ accounts, aliases }, `${start}@example.org`);
    assertEquals(
      [...found.accounts].sort(),
      [...new Set(accounts)].filter((each) => reachable.has(each)).sort(),
    );
    assertEquals(found.lookUps <= 13, true, `${found.lookUps} look-ups`);
  }));
});
