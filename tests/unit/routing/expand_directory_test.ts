import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { formatAddress, parseAddress } from "../../../src/mail/address.ts";
import { Expansion, type Found } from "../../../src/routing/expand.ts";
import type { Topology } from "../../../src/routing/route.ts";
import { ALL, DIRECT, INTRANET } from "./topologies.ts";

const OPEN: Topology = { ...DIRECT, domains: ["example.org"] };
const MHS = [{ name: "mhs", domain: "mhs.example.org", accept: "users" }] as const;

/** A directory: what each name stands for. */
type People = { readonly [name: string]: Entry };
type Entry =
  | "account"
  /** Forwards, with `keep` or without. */
  | { readonly to: readonly string[]; readonly keep?: true }
  | { readonly alias: readonly string[] }
  | { readonly shadow: string; readonly inbound?: true }
  | { readonly list: readonly string[]; readonly owner?: string };

function lookUp(people: People, names: readonly string[]): Found {
  const name = names.find((each) => Object.hasOwn(people, each));
  if (name === undefined) return { kind: "nothing" };
  const entry = people[name]!;
  if (entry === "account") return { kind: "account", name };
  if ("to" in entry) return { kind: "account", name, forward: { to: entry.to, keep: entry.keep === true } };
  if ("alias" in entry) return { kind: "alias", name, targets: entry.alias };
  if ("list" in entry) return { kind: "list", name, members: entry.list, owner: entry.owner };
  return { kind: "shadow", name, address: entry.shadow, inbound: entry.inbound === true };
}

interface Reached {
  readonly accounts: readonly string[];
  /** `address`, or `address of LIST kept by OWNER`. */
  readonly forwards: readonly string[];
  /** `kind: text` */
  readonly problems: readonly string[];
  readonly list: "no" | "yes";
  readonly closed: "no" | "yes";
}

function reach(people: People, text: string, topology = OPEN): Reached {
  const address = parseAddress(text.includes("@") ? text : `${text}@example.org`);
  if ("error" in address) throw new Error(address.error);
  const expansion = new Expansion(address, topology);
  let step = expansion.next();
  for (; step.kind === "look-up"; step = expansion.next()) expansion.found(lookUp(people, step.names));
  assertEquals(expansion.next(), step, "next() says the same when it is done");
  return {
    accounts: step.accounts,
    forwards: step.forwards.map(({ recipient, list }) =>
      formatAddress(recipient) + (list === undefined ? "" : ` of ${list.name} kept by ${list.owner}`)
    ),
    problems: step.problems.map(({ kind, text }) => `${kind}: ${text}`),
    list: step.list,
    closed: step.closed,
  };
}

const NOTHING: Reached = { accounts: [], forwards: [], problems: [], list: "no", closed: "no" };

// ---------------------------------------------------------------- shadows

Deno.test("Expansion sends a shadow's mail on to its address, in every mode that has a way there", () => {
  const people: People = { bobl: { shadow: "bobl@casisoft.example", inbound: true } };
  for (const topology of ALL) {
    const { forwards, problems } = reach(people, "bobl", topology);
    const isIntranet = topology.mode === "intranet";
    assertEquals(forwards, isIntranet ? [] : ["bobl@casisoft.example"]);
    assertEquals(problems.map((text) => text.split(":")[0]), isIntranet ? ["outside"] : []);
  }
});

Deno.test("Expansion follows shadows to a gateway, an account here and a name with a detail", () => {
  const people: People = {
    carol: { shadow: "carol@sales.mhs.example.org", inbound: true },
    dan: { shadow: "alice@example.org", inbound: true },
    alice: "account",
  };
  for (const mode of ALL) {
    const topology = { ...mode, gateways: MHS };
    assertEquals(reach(people, "carol", topology), { ...NOTHING, forwards: ["carol@sales.mhs.example.org"] });
  }
  assertEquals(reach(people, "carol+news", { ...OPEN, gateways: MHS }).forwards, [
    "carol@sales.mhs.example.org",
  ]);
  assertEquals(reach(people, "dan").accounts, ["alice"]);
});

Deno.test("Expansion tells of a closed shadow only where the recipient itself is one", () => {
  const people: People = {
    shut: { shadow: "x@a.example" },
    open: { shadow: "x@a.example", inbound: true },
    alias: { alias: ["shut"] },
    list: { list: ["shut"] },
    user: { to: ["shut"] },
    other: { shadow: "shut", inbound: true },
  };
  const closed = (name: string) => reach(people, name).closed;
  assertEquals(["shut", "SHUT+x", "open", "alias", "list", "user", "other"].map(closed), [
    "yes",
    "yes",
    "no",
    "no",
    "no",
    "no",
    "no",
  ]);
});

Deno.test("Expansion sees a shadow that leads back to itself", () => {
  const people: People = { a: { shadow: "b@example.org" }, b: { shadow: "a@example.org" } };
  assertEquals(reach(people, "a").problems, ["loop: a leads back to itself (by shadow a > b)"]);
});

// ---------------------------------------------------------------- lists

Deno.test("Expansion gives a list's members once each, those elsewhere with the innermost list", () => {
  const people: People = {
    alice: "account",
    bob: "account",
    all: { list: ["alice", "x@a.example", "teams", "alice@example.org", "X@A.example"], owner: "boss" },
    teams: { list: ["bob", "y@a.example", "night", "x@a.example"] },
    night: { list: ["z@a.example", "alice", "all"], owner: "carol@b.example" },
  };
  assertEquals(reach(people, "all"), {
    ...NOTHING,
    list: "yes",
    accounts: ["alice", "bob"],
    forwards: [
      "x@a.example of all kept by boss",
      "X@A.example of all kept by boss",
      "y@a.example of teams kept by undefined",
      "z@a.example of night kept by carol@b.example",
    ],
    problems: ["loop: all leads back to itself (by list all > teams > night)"],
  });
});

Deno.test("Expansion takes what an alias, shadow or user leads to by a list for the list's", () => {
  const people: People = {
    staff: { list: ["x@a.example", "sales", "ann", "sue"], owner: "boss" },
    sales: { alias: ["s@a.example"] },
    ann: { to: ["ann@home.example"] },
    sue: { shadow: "sue@b.example" },
    everybody: { alias: ["staff", "n@a.example"] },
  };
  const members = [
    "x@a.example of staff kept by boss",
    "s@a.example of staff kept by boss",
    "ann@home.example of staff kept by boss",
    "sue@b.example of staff kept by boss",
  ];
  assertEquals(reach(people, "staff").forwards, members);
  // Who stands beside the list is none of its members.
  assertEquals(reach(people, "everybody").forwards, ["n@a.example", ...members]);
});

Deno.test("Expansion says that the recipient is a list, or stands for nothing but one", () => {
  const people: People = {
    alice: "account",
    staff: { list: ["alice", "x@a.example"] },
    outer: { list: ["staff"] },
    one: { alias: ["staff"] },
    two: { alias: ["staff", "alice"] },
    shadow: { shadow: "staff@example.org" },
    user: { to: ["staff"] },
  };
  const isList = (name: string) => reach(people, name).list;
  assertEquals(["staff", "outer", "one", "shadow", "user", "two", "alice"].map(isList), [
    "yes",
    "yes",
    "yes",
    "yes",
    "yes",
    "no",
    "no",
  ]);
});

Deno.test("Expansion of a list without members is a problem, and none of those beside it", () => {
  const people: People = { none: { list: [] }, all: { list: ["none", "alice"] }, alice: "account" };
  assertEquals(reach(people, "none"), {
    ...NOTHING,
    list: "yes",
    problems: ["empty: none has no members"],
  });
  const all = reach(people, "all");
  assertEquals([all.accounts, all.problems], [["alice"], ["empty: none has no members (by list all)"]]);
});

Deno.test("Expansion of a list of 500, half of them outside, asks about each member once", () => {
  const names = Array.from({ length: 250 }, (_, i) => `u${i}`);
  const addresses = names.map((name) => `${name}@a.example`);
  const people: People = {
    ...Object.fromEntries(names.map((name) => [name, "account" as const])),
    list: { list: [...names, ...addresses, ...names.map((name) => `${name}@example.org`), ...addresses] },
  };
  const { accounts, forwards, problems } = reach(people, "list");
  assertEquals([accounts, problems], [names, []]);
  assertEquals(forwards, addresses.map((address) => `${address} of list kept by undefined`));
});

Deno.test("Expansion says by what it came to a problem, each kind by its name", () => {
  const people: People = {
    all: { list: ["team"] },
    team: { list: ["sales"] },
    sales: { alias: ["amy"] },
    amy: { to: ["ghost"] },
  };
  assertEquals(reach(people, "all").problems, [
    "unknown: ghost is nobody here (by list all > team > alias sales > user amy)",
  ]);
});

// ---------------------------------------------------------------- users' forwarding

Deno.test("Expansion sends a user's mail on, and keeps it where that is asked for", () => {
  const people: People = {
    away: { to: ["x@home.example", "bob"] },
    both: { to: ["x@home.example"], keep: true },
    bob: "account",
  };
  assertEquals(reach(people, "away"), { ...NOTHING, accounts: ["bob"], forwards: ["x@home.example"] });
  assertEquals(reach(people, "both"), { ...NOTHING, accounts: ["both"], forwards: ["x@home.example"] });
  assertEquals(reach(people, "away+tag").forwards, ["x@home.example"]);
});

Deno.test("Expansion leaves mail in the maildrop of a user whose forwarding leads back, by whatever way", () => {
  const people: People = {
    self: { to: ["self", "x@home.example"] },
    tagged: { to: ["tagged+x@example.org"] },
    sales: { alias: ["viaalias"] },
    viaalias: { to: ["sales"] },
    vialist: { to: ["staff"] },
    staff: { list: ["vialist", "bob"] },
    viashadow: { to: ["shade"] },
    shade: { shadow: "viashadow@example.org" },
    bob: "account",
  };
  assertEquals(reach(people, "self"), { ...NOTHING, accounts: ["self"], forwards: ["x@home.example"] });
  assertEquals(reach(people, "tagged"), { ...NOTHING, accounts: ["tagged"] });
  for (const name of ["viaalias", "sales"]) {
    assertEquals(reach(people, name), { ...NOTHING, accounts: ["viaalias"] });
  }
  for (const name of ["vialist", "staff"]) {
    assertEquals(reach(people, name), { ...NOTHING, accounts: ["vialist", "bob"], list: "yes" });
  }
  for (const name of ["viashadow", "shade"]) assertEquals(reach(people, name).accounts, ["viashadow"]);
});

Deno.test("Expansion gives users who forward in a circle their mail, whoever was written to", () => {
  const people: People = {
    a: { to: ["b"] },
    b: { to: ["c"] },
    c: { to: ["a"] },
    into: { to: ["a"] },
    list: { list: ["b", "a"] },
  };
  for (const name of ["a", "b", "c", "into", "list"]) {
    assertEquals([...reach(people, name).accounts].sort(), ["a", "b", "c"], name);
    assertEquals(reach(people, name).problems, [], name);
  }
});

Deno.test("Expansion leaves mail in the maildrop of a user whose forwarding leads to nobody", () => {
  const people: People = {
    gone: { to: ["ghost"] },
    out: { to: ["x@a.example"] },
    empty: { to: ["nolist"] },
    nolist: { list: [] },
    ring: { to: ["r1"] },
    r1: { alias: ["r2"] },
    r2: { alias: ["r1"] },
    some: { to: ["ghost", "bob"] },
    next: { to: ["gone"] },
    bob: "account",
  };
  const topology = { ...INTRANET, domains: ["example.org"] };
  const reached = (name: string) => {
    const { accounts, forwards, problems } = reach(people, name, topology);
    return [accounts.join(), forwards.length, problems.map((text) => text.split(":")[0]).join()];
  };
  assertEquals(reached("gone"), ["gone", 0, "unknown"]);
  assertEquals(reached("out"), ["out", 0, "outside"]);
  assertEquals(reached("empty"), ["empty", 0, "empty"]);
  assertEquals(reached("ring"), ["ring", 0, "loop"]);
  assertEquals(reached("some"), ["bob", 0, "unknown"]);
  // Somebody gets it already, so that this one needs not.
  assertEquals(reached("next"), ["gone", 0, "unknown"]);
});

Deno.test("Expansion leaves mail in the maildrop of a user whose forwarding goes too deep", () => {
  const people: People = Object.fromEntries(
    Array.from({ length: 30 }, (_, i) => [`u${i}`, { to: [`u${i + 1}`] }]),
  );
  const { accounts, problems } = reach(people, "u0");
  assertEquals([accounts, problems.map((text) => text.split(":")[0])], [["u10"], ["limit"]]);
});

// ---------------------------------------------------------------- all together

const NAMES = ["a", "b", "c", "d", "e", "f", "g", "h"];
const target = fc.oneof(
  fc.constantFrom(...NAMES),
  fc.constantFrom(...NAMES).map((name) => `${name}@example.org`),
  fc.constantFrom("x@out.example", "y@out.example", "ghost"),
);
const targets = fc.array(target, { maxLength: 4 });
const entry: fc.Arbitrary<Entry> = fc.oneof(
  fc.constant("account" as const),
  fc.array(target, { minLength: 1, maxLength: 3 }).map((to) => ({ to })),
  fc.array(target, { minLength: 1, maxLength: 3 }).map((to) => ({ to, keep: true as const })),
  targets.map((alias) => ({ alias })),
  target.map((shadow) => ({ shadow })),
  targets.map((list) => ({ list })),
);

/** The rules as the head of expand.ts has them, each by itself. */
function expected(people: People, start: string): { accounts: string[]; forwards: string[] } {
  const targetsOf = (name: string): readonly string[] => {
    const entry = people[name] ?? "account";
    if (entry === "account") return [];
    return "to" in entry
      ? entry.to
      : "alias" in entry
      ? entry.alias
      : "list" in entry
      ? entry.list
      : [entry.shadow];
  };
  const nextOf = (name: string) =>
    targetsOf(name).map((each) => each.replace("@example.org", "")).filter((each) => each in people);
  const outOf = (name: string) => targetsOf(name).filter((each) => each.endsWith("@out.example"));
  const isAccount = (name: string) => people[name] === "account" || "to" in (people[name] as object);
  const closure = (from: readonly string[], isThrough: (name: string) => boolean) => {
    const seen = new Set(from);
    for (const name of seen) if (isThrough(name)) { for (const next of nextOf(name)) seen.add(next); }
    return seen;
  };
  const reached = start in people ? [...closure([start], () => true)] : [];
  const accounts = reached.filter((name) => {
    const entry = people[name]!;
    if (entry === "account") return true;
    if (!("to" in entry)) return false;
    if (entry.keep || closure(nextOf(name), () => true).has(name)) return true;
    const near = [...closure(nextOf(name), (each) => !isAccount(each))];
    const isAnybody = outOf(name).length > 0 ||
      near.some((each) => isAccount(each) || outOf(each).length > 0);
    return !isAnybody;
  });
  return { accounts: accounts.sort(), forwards: [...new Set(reached.flatMap(outOf))].sort() };
}

Deno.test("Expansion ends, finds all who are reachable once, and loses no user's mail", () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.constantFrom(...NAMES), entry),
      fc.constantFrom(...NAMES),
      (people, start) => {
        const { accounts, forwards } = reach(people, start);
        const addresses = forwards.map((text) => text.split(" ")[0]!);
        assertEquals({ accounts: [...accounts].sort(), forwards: addresses.sort() }, expected(people, start));
      },
    ),
    { numRuns: 2000 },
  );
});
