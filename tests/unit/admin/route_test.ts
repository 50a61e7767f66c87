import { assertEquals, assertRejects } from "@std/assert";
import { addAlias } from "../../../src/admin/aliases.ts";
import { AdminError } from "../../../src/admin/error.ts";
import { findRoute, type Probe, type RouteView } from "../../../src/admin/route.ts";
import { addUser } from "../../../src/admin/users.ts";
import type { ConfigPart } from "../../../src/config/config.ts";
import { formatAddress } from "../../../src/mail/address.ts";
import type { Dns, DnsAnswer, DnsRecords, DnsType } from "../../../src/net/dns.ts";
import { srsForward } from "../../../src/routing/srs.ts";
import { type Fixture, fixture } from "./fixtures.ts";

const DIRECT: ConfigPart = {
  hostname: "mail.example.org",
  relay: { mode: "direct", fallback: { host: "isp.example", port: 587 } },
};

async function system(config: ConfigPart): Promise<Fixture> {
  const context = fixture(config);
  await addUser(context, { name: "alice", password: "secret" });
  return context;
}

type Zone = { readonly [question: string]: readonly DnsRecords[DnsType][] | "failed" | "no-such-name" };

/** A DNS that knows a zone, and what it was asked. */
function probe(zone: Zone, authentic: "yes" | "no" = "no"): Probe & { readonly asked: string[] } {
  const asked: string[] = [];
  const dns: Dns = {
    query<K extends DnsType>(name: string, type: K): Promise<DnsAnswer<DnsRecords[K]>> {
      const question = `${name} ${type}`;
      asked.push(question);
      const records = zone[question] ?? "no-data";
      const isAuthentic = authentic === "yes";
      if (records === "failed") return Promise.resolve({ status: "failed", reason: "no answer" });
      return Promise.resolve(
        typeof records === "string"
          ? { status: records, authentic: isAuthentic }
          : { status: "found", records: records as DnsRecords[K][], name, authentic: isAuthentic },
      );
    },
  };
  const lookUp = (host: string) => {
    asked.push(host);
    return Promise.resolve(["192.0.2.99"]);
  };
  return { dns, lookUp, shuffle: (items) => items, asked };
}

function short({ channel, rule, maildrops, ways, problem, refusal }: RouteView): unknown[] {
  return [
    channel,
    rule,
    maildrops,
    ways.map(({ recipient, rule }) => `${recipient} by ${rule}`),
    problem,
    refusal,
  ];
}

Deno.test("findRoute() tells whose maildrop an address leads to", async () => {
  const context = await system(DIRECT);
  assertEquals(short(await findRoute(context, { address: "<alice+x@example.org>" })), [
    "local",
    "our-domains",
    ["alice"],
    [],
    "",
    null,
  ]);
  assertEquals(short(await findRoute(context, { address: "bob@example.org" })), [
    "local",
    "our-domains",
    [],
    [],
    "bob@example.org is nobody here",
    "550 5.1.1 No such user here",
  ]);
  assertEquals((await findRoute(context, { address: "postmaster" })).maildrops, ["alice"]);
});

Deno.test("findRoute() tells the way out, its backup and why", async () => {
  const view = await findRoute(await system(DIRECT), { address: "bob@A.example", sender: "<>" });
  assertEquals([view.address, view.sender, view.mode], ["bob@A.example", "", "direct"]);
  assertEquals(view.ways, [{
    recipient: "bob@A.example",
    rule: "direct",
    explanation: view.explanation,
    nextHop: { kind: "mx", domain: "a.example" },
    backup: {
      hop: {
        kind: "host",
        host: "isp.example",
        port: 587,
        tls: "opportunistic",
        user: null,
        duty: "passes-on",
      },
      when: "unreachable",
    },
    list: null,
    probe: null,
  }]);
  const intranet = await findRoute(await system({}), { address: "bob@a.example" });
  assertEquals(short(intranet).slice(0, 4), ["refused", "intranet", [], []]);
  assertEquals(intranet.refusal?.startsWith("550 5.7.1 bob@a.example is outside"), true);
});

Deno.test("findRoute() follows aliases out, and senders' routes", async () => {
  const senders = [{
    sender: "news@example.org",
    host: "bulk.example",
    port: 25,
    tls: "verified",
    user: "u",
    passwordFile: "/etc/secret",
  }] as const;
  const context = await system({ relay: { mode: "direct", senders } });
  await addAlias(context, { name: "list", targets: ["alice", "bob@a.example"] });
  const address = "list@example.org";
  assertEquals(short(await findRoute(context, { address })), [
    "local",
    "our-domains",
    ["alice"],
    ["bob@a.example by direct"],
    "",
    null,
  ]);
  const news = await findRoute(context, { address, sender: "news@example.org" });
  assertEquals(short(news)[3], ["bob@a.example by relay.senders[0]"]);
  assertEquals(JSON.stringify(news).includes("secret"), false);
});

Deno.test("findRoute() understands addresses made for senders whose mail was forwarded", async () => {
  const context = await system(DIRECT);
  const secret = new Uint8Array(32).fill(9);
  const made = srsForward({ local: "bob", domain: "a.example" }, {
    domain: "example.org",
    secret,
    nowMs: context.clock.nowMs(),
  })!;
  const address = formatAddress(made);
  // No server ever ran here, so no such address can have been made.
  assertEquals((await findRoute(context, { address })).rule, "our-domains");
  await context.store.trust.secret("srs", () => secret);
  assertEquals(short(await findRoute(context, { address })).slice(0, 4), [
    "smtp",
    "srs",
    [],
    ["bob@a.example by srs"],
  ]);
});

Deno.test("findRoute() with a probe tells the hosts and addresses in order of trial", async () => {
  const zone: Zone = {
    "a.example MX": [{ preference: 20, exchange: "mx2.example" }, {
      preference: 10,
      exchange: "mx1.example",
    }],
    "mx1.example A": ["192.0.2.1"],
    "mx1.example AAAA": ["2001:db8::1"],
    "mx2.example A": "failed",
    "mx2.example AAAA": "failed",
  };
  const asked = probe(zone, "yes");
  const view = await findRoute(await system(DIRECT), { address: "bob@a.example", probe: asked });
  const [hop, backup] = view.ways[0]!.probe!;
  assertEquals(hop, {
    name: "a.example",
    mx: [{ preference: 10, exchange: "mx1.example" }, { preference: 20, exchange: "mx2.example" }],
    result: "a.example names 2 mail hosts",
    hosts: [
      {
        host: "mx1.example",
        port: 25,
        addresses: ["2001:db8::1", "192.0.2.1"],
        authentic: true,
        problem: "",
      },
      {
        host: "mx2.example",
        port: 25,
        addresses: [],
        authentic: false,
        problem: "mx2.example could not be looked up: no answer",
      },
    ],
  });
  assertEquals(backup, {
    name: "isp.example",
    mx: null,
    result: "isp.example is looked up as a host",
    hosts: [{ host: "isp.example", port: 587, addresses: ["192.0.2.99"], authentic: false, problem: "" }],
  });
});

Deno.test("findRoute() with a probe says what keeps mail from going anywhere", async () => {
  const context = await system({ hostname: "mail.example.org", relay: { mode: "direct" } });
  const said = async (zone: Zone, address = "bob@a.example") =>
    (await findRoute(context, { address, probe: probe(zone) })).ways[0]!.probe![0]!.result;
  assertEquals(
    await said({ "a.example MX": [{ preference: 0, exchange: "." }] }),
    "a.example says that it takes no mail (RFC 7505)",
  );
  assertEquals(await said({ "a.example MX": "no-such-name" }), "the domain a.example does not exist");
  assertEquals(await said({ "a.example MX": "failed" }), "this can't be found out now: no answer");
  assertEquals(
    await said({ "a.example MX": [{ preference: 1, exchange: "mail.example.org" }] }),
    "DNS names this system as the mail host of a.example, and a.example is not among its domains",
  );
  assertEquals(
    await said({ "a.example A": ["192.0.2.1"] }),
    "a.example has no MX records and is its own mail host (RFC 5321 5.1)",
  );
  assertEquals(await said({}, "bob@[192.0.2.1]"), "[192.0.2.1] is an address itself");
});

Deno.test("findRoute() with a probe asks nothing on an intranet, nor about people here", async () => {
  const route = { port: 25, tls: "off", user: undefined, passwordFile: undefined, accept: "users" } as const;
  const intranet = await system({ relay: { routes: [{ ...route, domain: "lab.example", host: "lab" }] } });
  const asked = probe({});
  for (const address of ["bob@a.example", "x@lab.example", "alice@example.org"]) {
    const { ways } = await findRoute(intranet, { address, probe: asked });
    assertEquals(ways.map(({ probe }) => probe), address === "x@lab.example" ? [null] : []);
  }
  await findRoute(await system(DIRECT), { address: "alice@example.org", probe: asked });
  assertEquals(asked.asked, []);
});

const NOBODY = { displayName: "", department: "", phone: "" };
const MHS: ConfigPart = {
  gateways: {
    filedrop: [{
      name: "mhs",
      domain: undefined,
      out: "/secret/o",
      in: undefined,
      poll: 1000,
      attachments: "apart",
      accept: "users",
    }],
  },
};

Deno.test("findRoute() tells of a shadow, a list and a user whose mail is sent on", async () => {
  const context = await system({ ...DIRECT, ...MHS });
  await addUser(context, { name: "bob", password: "secret" });
  await context.store.directory.changeAccount("bob", { forward: { to: ["bob@a.example"], keep: true } });
  await context.store.entries.change([
    {
      kind: "set-shadow",
      shadow: { name: "dan", address: "dan@lab.mhs.example.org", inbound: false, identity: NOBODY },
    },
    {
      kind: "set-list",
      list: { name: "night", members: ["y@a.example"], owner: "boss@b.example", identity: NOBODY },
    },
    {
      kind: "set-list",
      list: { name: "staff", members: ["alice", "bob", "dan", "night"], identity: NOBODY },
    },
  ]);
  const about = async (name: string) => {
    const view = await findRoute(context, { address: `${name}@example.org` });
    return { name: view.name, short: short(view), lists: view.ways.map(({ list }) => list) };
  };
  assertEquals(await about("bob"), {
    name: { kind: "account", name: "bob", forward: { to: ["bob@a.example"], keep: true } },
    short: ["local", "our-domains", ["bob"], ["bob@a.example by direct"], "", null],
    lists: [null],
  });
  assertEquals(await about("dan"), {
    name: { kind: "shadow", name: "dan", address: "dan@lab.mhs.example.org", inbound: false },
    short: ["local", "our-domains", [], ["dan@lab.mhs.example.org by gateways.mhs"], "", null],
    lists: [null],
  });
  const staff = { name: "staff", owner: "postmaster@example.org" };
  assertEquals(await about("staff"), {
    name: { kind: "list", members: 4, ...staff },
    short: [
      "local",
      "our-domains",
      ["alice", "bob"],
      ["bob@a.example by direct", "dan@lab.mhs.example.org by gateways.mhs", "y@a.example by direct"],
      "",
      null,
    ],
    lists: [staff, staff, { name: "night", owner: "boss@b.example" }],
  });
  assertEquals((await about("nobody")).name, null);
});

Deno.test("findRoute() tells the way to a gateway in every mode, and asks no DNS for it", async () => {
  for (const mode of ["direct", "buffer", "intranet", "combined"] as const) {
    const relay = { mode, buffer: { host: "unix.example" } };
    const asked = probe({});
    const context = await system({ ...MHS, relay });
    const view = await findRoute(context, { address: "bob@lab.mhs.example.org", probe: asked });
    assertEquals([view.channel, view.rule], ["gateway", "gateways.mhs"], mode);
    assertEquals(view.explanation[0], "bob@lab.mhs.example.org is at the gateway mhs.");
    assertEquals(view.ways, [{
      recipient: "bob@lab.mhs.example.org",
      rule: "gateways.mhs",
      explanation: view.explanation,
      nextHop: { kind: "gateway", name: "mhs" },
      backup: null,
      list: null,
      probe: null,
    }]);
    assertEquals([asked.asked, JSON.stringify(view).includes("secret")], [[], false]);
  }
});

Deno.test("findRoute() says what is wrong with what it is given", async () => {
  const context = await system(DIRECT);
  for (const question of [{ address: "a b@c" }, { address: "a@b c" }, { address: "a@b", sender: "x" }]) {
    await assertRejects(() => findRoute(context, question), AdminError);
  }
  assertEquals((await findRoute(context, { address: "bob" })).rule, "no-domain");
});
