/** Faults of DNS and of hosts among others: which are tried, what becomes of the mail, and what is on record. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { seededRandom } from "../../../src/base/random.ts";
import { type Dns, type DnsAnswer, DnsClient } from "../../../src/net/dns.ts";
import type { RelayHost } from "../../../src/routing/route.ts";
import { goodContext } from "../net/pki.ts";
import { helloName } from "../../../src/queue/opening.ts";
import { dnsServer } from "../net/dns_server.ts";
import { FakeDns } from "./fake_dns.ts";
import { BODY, eventually, plainDns, type Scene, startScene, SwiftClock } from "./fault_fixture.ts";
import { FaultyHost, type Plan } from "./faulty_host.ts";

interface Played {
  readonly scene: Scene;
  readonly key: number;
  readonly host: FaultyHost;
}

interface Setting {
  readonly dns: FakeDns;
  readonly plan?: Plan;
  readonly recipient?: string;
  readonly hostname?: string;
}

/** Sends one message; `use` sees what came of it, first by the first verdict. */
async function played({ dns, plan, recipient, hostname }: Setting, use: (played: Played) => Promise<void>) {
  const host = await FaultyHost.start(plan);
  const scene = await startScene({ port: host.port, dns, hostname });
  try {
    const key = await scene.send({ recipients: [recipient ?? "user@example.org"] });
    await use({ scene, key, host });
  } finally {
    await scene.stop();
    await host.stop();
  }
}

const found = (dns: FakeDns, ...exchangers: [number, string][]) =>
  dns.found("MX", "example.org", exchangers.map(([preference, exchange]) => ({ preference, exchange })), {
    authentic: false,
  });

const at = (dns: FakeDns, name: string, ...addresses: string[]) =>
  dns.found("A", name, addresses, { authentic: false });

interface Row {
  readonly name: string;
  readonly dns: (dns: FakeDns) => void;
  readonly state: "failed" | "deferred" | "relayed";
  /** A pattern of the recipient's detail. */
  readonly detail: RegExp;
  /** Hosts on record, one a try. */
  readonly hosts: readonly string[];
  readonly recipient?: string;
}

const ROWS: readonly Row[] = [
  {
    name: "NXDOMAIN",
    dns: () => {},
    state: "failed",
    detail: /^550 5\.1\.2 .*does not exist/,
    hosts: [""],
  },
  {
    name: "SERVFAIL for MX",
    dns: (dns) => dns.failed("MX", "example.org"),
    state: "deferred",
    detail: /SERVFAIL/,
    hosts: [""],
  },
  {
    name: "null MX",
    dns: (dns) => found(dns, [0, "."]),
    state: "failed",
    detail: /^556 5\.1\.10 /,
    hosts: [""],
  },
  {
    name: "MX records to nowhere",
    dns: (dns) => found(dns, [10, "a.example.org"], [20, "b.example.org"]),
    state: "failed",
    detail: /^550 5\.4\.4 .*b\.example\.org has no address/,
    hosts: ["a.example.org", "b.example.org"],
  },
  {
    name: "MX records that name addresses",
    dns: (dns) => found(dns, [10, "192.0.2.1"]),
    state: "failed",
    detail: /^550 5\.4\.4 /,
    hosts: [""],
  },
  {
    name: "one host nowhere, one that can't be looked up",
    dns: (dns) => {
      found(dns, [10, "a.example.org"], [20, "b.example.org"]);
      dns.failed("A", "b.example.org");
    },
    state: "deferred",
    detail: /b\.example\.org could not be looked up/,
    hosts: ["a.example.org", "b.example.org"],
  },
  {
    name: "this system is the best host",
    dns: (dns) => found(dns, [10, "OUT.example.net."], [20, "mail.example.org"]),
    state: "failed",
    detail: /^550 5\.4\.6 /,
    hosts: [""],
  },
  {
    name: "this system is the second host",
    dns: (dns) => {
      found(dns, [10, "mail.example.org"], [20, "out.example.net"], [30, "c.example.org"]);
      at(dns, "mail.example.org", "127.0.0.1");
    },
    state: "relayed",
    detail: /^250 /,
    hosts: ["mail.example.org"],
  },
  {
    name: "this system is the second host, and the first refuses connections",
    dns: (dns) => {
      found(dns, [10, "a.example.org"], [20, "out.example.net"], [30, "mail.example.org"]);
      at(dns, "a.example.org", "127.0.2.9");
      at(dns, "mail.example.org", "127.0.0.1");
    },
    state: "deferred",
    detail: /a\.example\.org: connection refused by 127\.0\.2\.9/,
    hosts: ["a.example.org"],
  },
  {
    name: "no MX, an address",
    dns: (dns) => {
      dns.answers["MX example.org"] = { status: "no-data", authentic: false };
      at(dns, "example.org", "127.0.0.1");
    },
    state: "relayed",
    detail: /^250 /,
    hosts: ["example.org"],
  },
  {
    name: "the first address refuses connections",
    dns: (dns) => {
      found(dns, [10, "mail.example.org"]);
      dns.found("AAAA", "mail.example.org", ["::1"], { authentic: false });
      at(dns, "mail.example.org", "127.0.0.1");
    },
    state: "relayed",
    detail: /^250 /,
    hosts: ["mail.example.org", "mail.example.org"],
  },
  {
    name: "the first host refuses connections, the second can't be looked up, the third takes it",
    dns: (dns) => {
      found(dns, [10, "a.example.org"], [20, "b.example.org"], [30, "mail.example.org"]);
      at(dns, "a.example.org", "127.0.2.9");
      dns.failed("A", "b.example.org");
      at(dns, "mail.example.org", "127.0.0.1");
    },
    state: "relayed",
    detail: /^250 /,
    hosts: ["a.example.org", "b.example.org", "mail.example.org"],
  },
  {
    name: "all refuse connections",
    dns: (dns) => {
      found(dns, [10, "a.example.org"], [20, "b.example.org"]);
      at(dns, "a.example.org", "127.0.2.9");
      at(dns, "b.example.org", "127.0.2.8");
    },
    state: "deferred",
    detail: /b\.example\.org: connection refused by 127\.0\.2\.8/,
    hosts: ["a.example.org", "b.example.org"],
  },
  {
    name: "an address literal",
    dns: () => {},
    state: "relayed",
    detail: /^250 /,
    hosts: ["127.0.0.1"],
    recipient: "user@[127.0.0.1]",
  },
];

for (const { name, dns: prepare, state, detail, hosts, recipient } of ROWS) {
  Deno.test(`Connector meets DNS that says: ${name}`, async () => {
    const dns = new FakeDns();
    prepare(dns);
    await played({ dns, ...recipient === undefined ? {} : { recipient } }, async ({ scene, key, host }) => {
      await eventually("the first verdict is on record", async () => (await scene.attempts(key)).length > 0);
      const kinds = scene.firsts.get(key)!.kinds;
      assertEquals(kinds, [state]);
      const recorded = (await scene.store.history.message(key))!.recipients[0]!;
      assertMatch(recorded.detail, detail);
      assertEquals((await scene.attempts(key)).slice(0, hosts.length).map((each) => each.host), hosts);
      assertEquals(host.got.length, state === "relayed" ? 1 : 0);
      if (state !== "deferred") return;
      // Whatever it was, it passes.
      plainDnsInto(dns);
      assertEquals(await scene.ended(key), ["relayed"]);
      assertEquals(host.got.map(({ text }) => text), [BODY]);
    });
  });
}

function plainDnsInto(dns: FakeDns): void {
  Object.assign(dns.answers, plainDns().answers);
}

// ---------------------------------------------------------------- several hosts

/** Two hosts on one port, the first of them as a plan has it. */
async function withTwo(
  plans: readonly [Plan, Plan],
  use: (scene: Scene, hosts: readonly [FaultyHost, FaultyHost]) => Promise<void>,
) {
  const first = await FaultyHost.start({ ...plans[0], address: "127.0.2.1" });
  const second = await FaultyHost.start({ ...plans[1], address: "127.0.2.2", port: first.port });
  const dns = new FakeDns();
  found(dns, [10, "a.example.org"], [20, "b.example.org"]);
  at(dns, "a.example.org", "127.0.2.1");
  at(dns, "b.example.org", "127.0.2.2");
  const scene = await startScene({ port: first.port, dns });
  try {
    await use(scene, [first, second]);
  } finally {
    await scene.stop();
    await first.stop();
    await second.stop();
  }
}

const greeting = (text: string): Plan => ({
  act: ({ stage }) => stage === "greeting" ? { do: "say", text: `${text}\r\n`, then: "close" } : undefined,
});

for (
  const [what, plan] of Object.entries<Plan>({
    "refuses all mail": greeting("554 5.7.1 no mail here"),
    "has no time": greeting("421 4.3.2 later"),
    "says nothing": { act: ({ stage }) => stage === "connect" ? { do: "hang" } : undefined },
    "closes": { act: ({ stage }) => stage === "connect" ? { do: "close" } : undefined },
  })
) {
  Deno.test(`Connector goes on to the next host where the first ${what}`, async () => {
    await withTwo([plan, {}], async (scene, [first, second]) => {
      const key = await scene.send();
      assertEquals(await scene.ended(key), ["relayed"]);
      assertEquals([first.got.length, second.got.length], [0, 1]);
      const tries = await scene.attempts(key);
      assertEquals(tries.map(({ host }) => host), ["a.example.org", "b.example.org"]);
      assert(tries[0]!.result !== "" && tries[0]!.address.startsWith("127.0.2.1:"), tries[0]!.result);
    });
  });
}

Deno.test("Connector takes a refusal for good only where every host refuses for good", async () => {
  const never = greeting("554 5.7.1 no mail here");
  await withTwo([never, never], async (scene) => {
    const key = await scene.send();
    assertEquals(await scene.ended(key), ["failed"]);
    assertEquals((await scene.attempts(key)).length, 2);
    await eventually("the sender is told", async () => await scene.notices() === 1);
  });
  for (const other of [greeting("421 4.3.2 later"), greeting("yes?")]) {
    for (const plans of [[never, other], [other, never]] as const) {
      await withTwo([plans[0], plans[1]], async (scene) => {
        const key = await scene.send();
        await eventually("the first verdict", () => scene.firsts.has(key));
        assertEquals(scene.firsts.get(key)!.kinds, ["deferred"]);
      });
    }
  }
});

Deno.test("Connector tries no more than ten addresses", async () => {
  const dns = new FakeDns();
  found(dns, ...Array.from({ length: 5 }, (_, i): [number, string] => [i, `h${i}.example.org`]));
  for (let i = 0; i < 5; i++) {
    at(dns, `h${i}.example.org`, ...Array.from({ length: 4 }, (_, j) => `127.0.2.${100 + i * 4 + j}`));
  }
  await played({ dns }, async ({ scene, key }) => {
    await eventually("it is on record", async () => (await scene.attempts(key)).length > 0);
    assertEquals(scene.firsts.get(key)!.kinds, ["deferred"]);
    assertEquals((await scene.attempts(key)).length % 10, 0);
    assert(!dns.asked.includes("A h3.example.org"), "hosts beyond are not looked up");
  });
});

// ---------------------------------------------------------------- a host that the configuration names

interface RelayRow {
  readonly name: string;
  readonly plan?: Plan;
  readonly relay?: Partial<RelayHost>;
  readonly lookUp?: () => Promise<readonly string[]>;
  readonly readPassword?: (file: string) => Promise<string>;
  readonly detail: RegExp;
}

const never = (): Promise<string> => Promise.reject(new Error("the password file x can't be read (ENOENT)"));

const RELAY_ROWS: readonly RelayRow[] = [
  {
    name: "refuses the session for good",
    plan: greeting("554 5.7.1 who are you?"),
    detail: /refuses the session: 554/,
  },
  {
    name: "has no address",
    lookUp: () => Promise.resolve([]),
    detail: /relay\.example\.net has no address/,
  },
  {
    name: "can't be looked up",
    lookUp: () => Promise.reject(new Error("SERVFAIL")),
    detail: /could not be looked up: SERVFAIL/,
  },
  {
    name: "refuses connections",
    lookUp: () => Promise.resolve(["127.0.2.9"]),
    detail: /connection refused by 127\.0\.2\.9/,
  },
  {
    name: "speaks in the clear where TLS is to begin at once",
    relay: { tls: "implicit" },
    detail: /TLS handshake failed/,
  },
  {
    name: "offers no TLS for a log-in",
    relay: { user: "us", passwordFile: "x" },
    readPassword: () => Promise.resolve("our-password"),
    detail: /a log-in is only done by TLS/,
  },
  {
    name: "offers no log-in",
    plan: { tls: goodContext },
    relay: { user: "us", passwordFile: "x" },
    readPassword: () => Promise.resolve("our-password"),
    detail: /offers no log-in/,
  },
  {
    name: "needs a password that can't be read",
    relay: { user: "us", passwordFile: "x" },
    readPassword: never,
    detail: /the password file x can't be read/,
  },
];

for (const { name, plan, relay, lookUp, readPassword, detail } of RELAY_ROWS) {
  Deno.test(`Connector lets mail wait for a relay host that ${name}`, async () => {
    const host = await FaultyHost.start(plan);
    const to: RelayHost = { host: "relay.example.net", port: host.port, tls: "opportunistic", ...relay };
    const scene = await startScene({
      port: 1,
      lookUp: lookUp ?? (() => Promise.resolve(["127.0.0.1"])),
      readPassword,
      route: { hop: { kind: "host", host: to, duty: "passes-on" } },
    });
    try {
      const key = await scene.send();
      await eventually("it is on record", async () => (await scene.attempts(key)).length > 0);
      assertEquals(scene.firsts.get(key)!.kinds, ["deferred"]);
      const [first] = await scene.attempts(key);
      assertEquals(first!.host, "relay.example.net");
      assertMatch(first!.result, detail);
      assert(!JSON.stringify([first, host.heard]).includes("our-password"));
      assertEquals(host.got, []);
    } finally {
      await scene.stop();
      await host.stop();
    }
  });
}

// ---------------------------------------------------------------- our own side

Deno.test("Connector waits where policies or DNS fail by a fault of ours", async () => {
  const dns: Dns = { query: () => Promise.reject(new Error("a fault")) };
  const host = await FaultyHost.start();
  const scene = await startScene({ port: host.port, dns });
  try {
    const key = await scene.send();
    await eventually("it is on record", async () => (await scene.attempts(key)).length > 0);
    assertEquals(scene.firsts.get(key)!.kinds, ["deferred"]);
  } finally {
    await scene.stop();
    await host.stop();
  }
});

Deno.test("DnsClient's time-out makes mail wait until a server answers", async () => {
  const server = await dnsServer(() => []);
  const clock = new SwiftClock(20);
  const real = new DnsClient({
    servers: [{ host: "127.0.0.1", port: server.port }],
    timeoutMs: 1_000,
    clock,
    random: seededRandom(1),
  });
  const good = plainDns();
  let isUp = false;
  const dns: Dns = {
    query: (name, type): Promise<DnsAnswer<never>> =>
      (isUp ? good.query(name, type) : real.query(name, type)) as Promise<DnsAnswer<never>>,
  };
  const host = await FaultyHost.start();
  const scene = await startScene({ port: host.port, dns });
  try {
    const key = await scene.send();
    await eventually("it is on record", async () => (await scene.attempts(key)).length > 0);
    assertEquals(scene.firsts.get(key)!.kinds, ["deferred"]);
    assert(server.asked.length > 0);
    isUp = true;
    assertEquals(await scene.ended(key), ["relayed"]);
    assertEquals(host.got.length, 1);
  } finally {
    await scene.stop();
    await host.stop();
    real.close();
    await server.close();
  }
});

Deno.test("Connector sends from a machine whose name is no domain", async () => {
  for (
    const [hostname, said] of [["build_host", "[127.0.0.1]"], ["", "[127.0.0.1]"], ["pc", "pc"]] as const
  ) {
    await played({ dns: plainDns(), hostname }, async ({ scene, key, host }) => {
      assertEquals(await scene.ended(key), ["relayed"]);
      assertEquals(host.heard[0], `EHLO ${said}`);
    });
  }
});

Deno.test("helloName() is what may stand in EHLO", () => {
  assertEquals(helloName("mail.example.org", "192.0.2.1"), "mail.example.org");
  assertEquals(helloName("mail host", "192.0.2.1"), "[192.0.2.1]");
  assertEquals(helloName("x_y", "2001:db8::1"), "[IPv6:2001:db8::1]");
  assertEquals(helloName("müller", "192.0.2.1"), "[192.0.2.1]");
  assertEquals(helloName("x_y"), "localhost");
  assertEquals(helloName("x_y", ""), "localhost");
});
