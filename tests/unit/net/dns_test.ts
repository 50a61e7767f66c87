import { assert, assertEquals, assertMatch, assertNotEquals, assertStringIncludes } from "@std/assert";
// @ts-types="../../../src/net/dns_packet.d.ts"
import packet from "dns-packet";
import { Buffer } from "node:buffer";
import { createSocket } from "node:dgram";
import { FakeClock } from "../../../src/base/clock.ts";
import { seededRandom, systemRandom } from "../../../src/base/random.ts";
import { type DnsAnswer, DnsClient, parseServer, systemServers } from "../../../src/net/dns.ts";
import {
  AD,
  type DnsFixture,
  dnsServer,
  FORMERR,
  NXDOMAIN,
  record,
  REFUSED,
  replyTo,
  type Script,
  SERVFAIL,
  soa,
  TC,
} from "./dns_server.ts";

interface Asking {
  readonly dns: DnsClient;
  readonly clock: FakeClock;
  readonly servers: readonly DnsFixture[];
  /** What the servers were asked, as `udp A example.org`. */
  readonly asked: (server?: number) => string[];
}

/** A client of servers that follow scripts. */
async function asking(scripts: readonly Script[], use: (asking: Asking) => Promise<void>): Promise<void> {
  const clock = new FakeClock();
  const servers = await Promise.all(scripts.map((script) => dnsServer(script)));
  const dns = new DnsClient({
    servers: servers.map(({ port }) => ({ host: "127.0.0.1", port })),
    timeoutMs: 5000,
    clock,
    random: systemRandom,
  });
  const asked = (server = 0) => servers[server]!.asked.map(({ by, question }) => `${by} ${question}`);
  try {
    await inTime(use({ dns, clock, servers, asked }));
  } finally {
    dns.close();
    for (const server of servers) await server.close();
  }
}

/** Fails instead of waiting for ever. */
async function inTime<T>(work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout>;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("not done within 10 s")), 10_000);
  });
  return await Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/** Why a query failed; "" if it didn't. */
function reasonOf(answer: DnsAnswer<unknown>): string {
  return answer.status === "failed" ? answer.reason : "";
}

/** What was found; nothing where nothing was. */
function recordsOf<T>(answer: DnsAnswer<T>): readonly T[] {
  return answer.status === "found" ? answer.records : [];
}

/** Lets real sockets do their work, then moves time: an answer that comes at all comes long before. */
async function advanceUntil<T>(answer: Promise<T>, clock: FakeClock, stepMs = 5000): Promise<T> {
  let isDone = false;
  const done = answer.finally(() => isDone = true);
  for (let step = 0; step < 20 && !isDone; step++) {
    await new Promise((resolve) => setTimeout(resolve, 60));
    if (!isDone) await clock.advance(stepMs);
  }
  return await done;
}

const A = record("A", "mail.example.org", "192.0.2.1");
const always = (...answers: ReturnType<typeof record>[]): Script => ({ query }) => [
  replyTo(query, { answers }),
];
const silence: Script = () => [];

Deno.test("DnsClient.query() gives each type's records", async () => {
  const certificate = Uint8Array.from({ length: 32 }, (_, i) => i);
  const records = [
    record("A", "a.example.org", "192.0.2.1"),
    record("A", "a.example.org", "192.0.2.2"),
    record("AAAA", "a.example.org", "2001:db8::1"),
    record("MX", "example.org", { preference: 10, exchange: "Mail.Example.ORG" }),
    record("MX", "null.example.org", { preference: 0, exchange: "." }),
    record("TXT", "_mta-sts.example.org", ["v=STSv1; ", "id=1;"]),
    record("TXT", "_mta-sts.example.org", ["\u00fc"]),
    record("CNAME", "www.example.org", "a.example.org"),
    record("TLSA", "_25._tcp.mail.example.org", {
      usage: 3,
      selector: 1,
      matchingType: 1,
      certificate: Buffer.from(certificate),
    }),
    record("PTR", "1.2.0.192.in-addr.arpa", "mail.example.org"),
  ];
  const zone: Script = ({ query }) => {
    const [{ name, type }] = query.questions as [{ name: string; type: string }];
    return [replyTo(query, { answers: records.filter((each) => each.name === name && each.type === type) })];
  };
  await asking([zone], async ({ dns, servers }) => {
    const of = async (name: string, type: Parameters<DnsClient["query"]>[1]) => {
      const answer = await dns.query(name, type);
      return answer.status === "found" ? answer.records : answer;
    };
    assertEquals(await of("a.example.org", "A"), ["192.0.2.1", "192.0.2.2"]);
    assertEquals(await of("A.Example.org.", "AAAA"), ["2001:db8::1"]);
    assertEquals(await of("example.org", "MX"), [{ preference: 10, exchange: "mail.example.org" }]);
    assertEquals(await of("null.example.org", "MX"), [{ preference: 0, exchange: "." }]);
    assertEquals(await of("_mta-sts.example.org", "TXT"), ["v=STSv1; id=1;", "\u00c3\u00bc"]);
    assertEquals(await of("www.example.org", "CNAME"), ["a.example.org"]);
    assertEquals(await of("_25._tcp.mail.example.org", "TLSA"), [
      { usage: 3, selector: 1, matchingType: 1, certificate },
    ]);
    assertEquals(await of("1.2.0.192.in-addr.arpa", "PTR"), ["mail.example.org"]);
    const { query } = servers[0]!.asked[0]!;
    assertEquals(query.questions[0]!.name, "a.example.org");
    assertEquals(query.flags, 0x0120, "recursion desired, and AD asked for");
    const [opt] = query.additionals;
    assertEquals([opt!.type, opt!.udpPayloadSize, opt!.flags], ["OPT", 1232, 0x8000]);
  });
});

Deno.test("DnsClient.query() tells no such record, no such name and not known apart", async () => {
  const script: Script = ({ query, question }) => {
    if (question === "MX none.example.org") {
      return [replyTo(query, { authorities: [soa("example.org", 60)] })];
    }
    if (question === "MX nobody.example.org") {
      return [replyTo(query, { code: NXDOMAIN, authorities: [soa("example.org", 60)] })];
    }
    return [replyTo(query, { code: SERVFAIL })];
  };
  await asking([script], async ({ dns, servers }) => {
    assertEquals(await dns.query("none.example.org", "MX"), { status: "no-data", authentic: false });
    assertEquals(await dns.query("nobody.example.org", "MX"), { status: "no-such-name", authentic: false });
    assertEquals(await dns.query("broken.example.org", "MX"), {
      status: "failed",
      reason: `asked for MX of broken.example.org, DNS server 127.0.0.1:${
        servers[0]!.port
      }: it answered SERVFAIL`,
    });
  });
});

Deno.test("DnsClient.query() doesn't ask for names that can't be", async () => {
  await asking([always(A)], async ({ dns, asked }) => {
    const label = "a".repeat(63);
    const bad = [
      "",
      ".",
      "..",
      "a..example.org",
      ".example.org",
      `a${label}.example.org`,
      `${label}.${label}.${label}.${label}`,
      "b\u00fccher.example",
      "a b.example.org",
      "a\r\nb.example.org",
      "192.0.2.1",
      "[192.0.2.1]",
      "2001:db8::1",
    ];
    for (const name of bad) {
      assertEquals(await dns.query(name, "A"), { status: "no-such-name", authentic: false }, name);
    }
    assertEquals(asked(), []);
    await dns.query(`${label}.${label}.${label}.${"a".repeat(61)}.`, "A");
    assertEquals(asked().length, 1, "253 characters are a name");
  });
});

Deno.test("DnsClient.query() goes to the next server, then around again", async () => {
  const faults: Record<string, Script> = {
    "answers SERVFAIL": ({ query }) => [replyTo(query, { code: SERVFAIL })],
    "answers REFUSED": ({ query }) => [replyTo(query, { code: REFUSED })],
    "is silent": silence,
    "answers with garbage": ({ query }) => [replyTo(query, { answers: [A] }).subarray(0, 50)],
    "refers elsewhere": ({ query }) => [
      replyTo(query, { authorities: [record("NS", "org", "ns.example.org")] }),
    ],
  };
  for (const [fault, script] of Object.entries(faults)) {
    await asking([script, always(A)], async ({ dns, clock, asked }) => {
      const answer = await advanceUntil(dns.query("mail.example.org", "A"), clock);
      assertEquals(answer, {
        status: "found",
        records: ["192.0.2.1"],
        name: "mail.example.org",
        authentic: false,
      }, fault);
      assertEquals(asked(1), ["udp A mail.example.org"], fault);
    });
  }
  let times = 0;
  const second: Script = ({ query }) => ++times < 2 ? [] : [replyTo(query, { answers: [A] })];
  await asking([second, silence], async ({ dns, clock, asked }) => {
    const answer = await advanceUntil(dns.query("mail.example.org", "A"), clock);
    assertEquals(answer.status, "found");
    assertEquals([asked(0).length, asked(1).length], [2, 1]);
  });
});

Deno.test("DnsClient.query() fails when no server answers in two rounds, and without a server", async () => {
  await asking([silence], async ({ dns, clock, asked }) => {
    const startMs = clock.nowMs();
    const answer = await advanceUntil(dns.query("mail.example.org", "A"), clock);
    assertEquals(clock.nowMs() - startMs, 10_000);
    assertEquals(asked().length, 2);
    assertMatch(reasonOf(answer), /^asked for A of mail\.example\.org, .*: no answer within 5 s$/);
  });
  await asking([], async ({ dns }) => {
    const answer = await dns.query("mail.example.org", "A");
    assertStringIncludes(reasonOf(answer), "dns.servers");
  });
});

Deno.test("DnsClient.query() doesn't take a forged answer", async () => {
  const forged = record("A", "mail.example.org", "198.51.100.66");
  const script: Script = ({ query }) => [
    replyTo(query, { answers: [forged], id: query.id ^ 1 }),
    replyTo(query, { answers: [forged], questions: [{ name: "other.example.org", type: "A" }] }),
    replyTo(query, { answers: [forged], questions: [{ name: "mail.example.org", type: "AAAA" }] }),
    replyTo(query, { answers: [forged], questions: [] }),
    // What was asked, sent back, is no answer.
    replyTo(query, { answers: [forged] }).map((octet, i) => i === 2 ? octet & 0x7f : octet),
    Uint8Array.of(1, 2, 3),
    replyTo(query, { answers: [record("A", "other.example.org", "198.51.100.66"), A] }),
  ];
  await asking([script], async ({ dns, asked }) => {
    const answer = await dns.query("mail.example.org", "A");
    assertEquals(recordsOf(answer), ["192.0.2.1"]);
    assertEquals(asked().length, 1);
  });
  const flood: Script = ({ query }) =>
    Array.from({ length: 60 }, () => replyTo(query, { answers: [forged], id: query.id ^ 1 }));
  await asking([flood], async ({ dns, clock }) => {
    const answer = await advanceUntil(dns.query("mail.example.org", "A"), clock, 0);
    assertStringIncludes(reasonOf(answer), "too many answers");
  });
});

Deno.test("DnsClient.query() looks at nothing that comes from elsewhere than the server", async () => {
  // The server is silent; somebody at another port knows the question, the id and where to send the answer.
  const other = createSocket("udp4");
  const server = createSocket("udp4");
  let forged = 0;
  server.on("message", (octets, from) => {
    const answers = [record("A", "mail.example.org", "198.51.100.66")];
    other.send(replyTo(packet.decode(octets), { answers }), from.port, "127.0.0.1", () => forged++);
  });
  await new Promise<void>((resolve) => server.bind(0, "127.0.0.1", resolve));
  const clock = new FakeClock();
  const servers = [{ host: "127.0.0.1", port: server.address().port }];
  const dns = new DnsClient({ servers, timeoutMs: 5000, clock, random: systemRandom });
  const answer = await advanceUntil(dns.query("mail.example.org", "A"), clock);
  assertEquals([answer.status, forged], ["failed", 2]);
  dns.close();
  server.close();
  other.close();
});

Deno.test("DnsClient.query() asks with ids that differ", async () => {
  await asking([({ query }) => [replyTo(query)]], async ({ dns, servers }) => {
    for (let i = 0; i < 20; i++) await dns.query(`h${i}.example.org`, "A");
    const ids = new Set(servers[0]!.asked.map(({ query }) => query.id));
    assert(ids.size > 15, `${ids.size} ids`);
  });
});

Deno.test("DnsClient.query() asks by TCP for what was cut off", async () => {
  const many = Array.from({ length: 200 }, (_, i) => record("A", "mail.example.org", `192.0.2.${i}`));
  const script: Script = ({ query, by }) => [
    by === "udp" ? replyTo(query, { flags: TC }) : replyTo(query, { answers: many }),
  ];
  await asking([script], async ({ dns, asked }) => {
    const answer = await dns.query("mail.example.org", "A");
    assertEquals(recordsOf(answer).length, 200);
    assertEquals(asked(), ["udp A mail.example.org", "tcp A mail.example.org"]);
  });
  // In the middle of a record.
  const cut: Script = ({ query, by }) => [
    by === "udp"
      ? replyTo(query, { answers: many, flags: TC }).subarray(0, 500)
      : replyTo(query, { answers: [A] }),
  ];
  await asking([cut], async ({ dns }) => {
    assertEquals((await dns.query("mail.example.org", "A")).status, "found");
  });
  // By TCP: cut off again, another question's answer, nothing, garbage.
  const faults: Script[] = [
    ({ query }) => [replyTo(query, { flags: TC })],
    ({ query, by }) => [replyTo(query, { flags: TC, id: by === "tcp" ? query.id ^ 1 : query.id })],
    ({ query, by }) => by === "udp" ? [replyTo(query, { flags: TC })] : [],
    ({ query, by }) => [by === "udp" ? replyTo(query, { flags: TC }) : Uint8Array.of(7)],
  ];
  for (const fault of faults) {
    await asking([fault, always(A)], async ({ dns, clock, asked }) => {
      assertEquals((await advanceUntil(dns.query("mail.example.org", "A"), clock)).status, "found");
      assertEquals(asked(1).length, 1);
    });
  }
});

Deno.test("DnsClient.query() asks again without EDNS where a server doesn't know it", async () => {
  for (
    const refusal of [
      (query: Parameters<typeof replyTo>[0]) => replyTo(query, { code: FORMERR }),
      (query: Parameters<typeof replyTo>[0]) => replyTo(query, { code: FORMERR, questions: [] }),
      (query: Parameters<typeof replyTo>[0]) =>
        replyTo(query, { additionals: [{ name: ".", type: "OPT", extendedRcode: 1, options: [] }] }),
    ]
  ) {
    const script: Script = ({ query }) => [
      query.additionals.length > 0 ? refusal(query) : replyTo(query, { answers: [A] }),
    ];
    await asking([script], async ({ dns, asked }) => {
      assertEquals((await dns.query("mail.example.org", "A")).status, "found");
      assertEquals(asked().length, 2);
    });
  }
});

// ---------------------------------------------------------------- aliases

const cname = (from: number, to: number) => record("CNAME", `n${from}.example.org`, `n${to}.example.org`);

Deno.test("DnsClient.query() follows aliases inside an answer and beyond it", async () => {
  const chain = [cname(0, 1), cname(1, 2), record("A", "n2.example.org", "192.0.2.9")];
  const found = {
    status: "found",
    records: ["192.0.2.9"],
    name: "n2.example.org",
    authentic: false,
  } as const;
  await asking([always(...chain)], async ({ dns, asked }) => {
    assertEquals(await dns.query("N0.example.org", "A"), found);
    assertEquals(asked().length, 1);
  });
  const oneByOne: Script = ({ query }) => [
    replyTo(query, { answers: chain.filter((each) => each.name === query.questions[0]!.name) }),
  ];
  await asking([oneByOne], async ({ dns, asked }) => {
    assertEquals(await dns.query("n0.example.org", "A"), found);
    assertEquals(asked(), ["udp A n0.example.org", "udp A n1.example.org", "udp A n2.example.org"]);
  });
});

Deno.test("DnsClient.query() knows what is said of an alias's end", async () => {
  await asking(
    [({ query }) => [replyTo(query, { answers: [cname(0, 1)], code: NXDOMAIN })]],
    async ({ dns }) => {
      assertEquals((await dns.query("n0.example.org", "A")).status, "no-such-name");
    },
  );
  const noData: Script = ({ query }) => [
    replyTo(query, { answers: [cname(0, 1)], authorities: [soa("example.org", 60)] }),
  ];
  await asking([noData], async ({ dns, asked }) => {
    assertEquals((await dns.query("n0.example.org", "A")).status, "no-data");
    assertEquals(asked().length, 1);
  });
  const nowhere = record("CNAME", "n0.example.org", "a b\r\n.example.org");
  await asking([always(nowhere)], async ({ dns, asked }) => {
    assertEquals((await dns.query("n0.example.org", "A")).status, "no-such-name");
    assertEquals(asked().length, 1);
  });
});

Deno.test("DnsClient.query() gives up aliases that lead in a circle or too far", async () => {
  const scripts: Record<string, Script> = {
    "circle in an answer": always(cname(0, 1), cname(1, 0)),
    "itself": always(cname(0, 0)),
    "circle over answers": ({ query, question }) => [
      replyTo(query, { answers: [question.includes("n0") ? cname(0, 1) : cname(1, 0)] }),
    ],
    "too far": always(...Array.from({ length: 20 }, (_, i) => cname(i, i + 1))),
    "too far over answers": ({ query }) => {
      const i = Number(/\d+/.exec(query.questions[0]!.name)![0]);
      return [replyTo(query, { answers: [cname(i, i + 1)] })];
    },
  };
  for (const [what, script] of Object.entries(scripts)) {
    await asking([script], async ({ dns, asked }) => {
      const [answer, other] = await Promise.all([
        dns.query("n0.example.org", "A"),
        what.startsWith("circle") ? dns.query("n1.example.org", "A") : dns.query("n0.example.org", "A"),
      ]);
      assertEquals(other.status, "failed", what);
      assertStringIncludes(reasonOf(answer), "alias", what);
      assert(asked().length <= 24, what);
    });
  }
  const ten = [
    ...Array.from({ length: 10 }, (_, i) => cname(i, i + 1)),
    record("A", "n10.example.org", "192.0.2.9"),
  ];
  await asking([always(...ten)], async ({ dns }) => {
    assertEquals((await dns.query("n0.example.org", "A")).status, "found");
  });
});

// ---------------------------------------------------------------- trust

Deno.test("DnsClient.query() calls an answer authentic only if each step of it is", async () => {
  const script: Script = ({ query, question }) => {
    const [, name] = question.split(" ");
    if (name === "alias.example.org") {
      return [replyTo(query, { answers: [record("CNAME", name, "plain.example.org")], flags: AD })];
    }
    return [replyTo(query, {
      answers: name === "none.example.org" ? [] : [record("A", name!, "192.0.2.1")],
      authorities: [soa("example.org", 1)],
      flags: name === "plain.example.org" ? 0 : AD,
    })];
  };
  await asking([script], async ({ dns }) => {
    const authentic = async (name: string) => {
      const answer = await dns.query(name, "A");
      return answer.status !== "failed" && answer.authentic;
    };
    assertEquals(await authentic("signed.example.org"), true);
    assertEquals(await authentic("plain.example.org"), false);
    assertEquals(await authentic("alias.example.org"), false);
    assertEquals(await authentic("none.example.org"), true);
  });
});

Deno.test("DnsClient.query() doesn't ask elsewhere for what a server on this machine could not validate", async () => {
  // 192.0.2.53 is nowhere: to ask it takes until the time is up.
  const local = await dnsServer(({ query }) => [replyTo(query, { code: SERVFAIL })]);
  const clock = new FakeClock();
  const dns = new DnsClient({
    servers: [{ host: "127.0.0.1", port: local.port }, { host: "192.0.2.53", port: 53 }],
    timeoutMs: 5000,
    clock,
    random: systemRandom,
  });
  const answer = await dns.query("forged.example.org", "TLSA");
  assertStringIncludes(reasonOf(answer), "SERVFAIL");
  assertEquals(local.asked.length, 2);
  dns.close();
  await local.close();
});

// ---------------------------------------------------------------- memory

Deno.test("DnsClient.query() remembers an answer as long as its records live, between a second and an hour", async () => {
  const ttls: Record<string, readonly [ttlSeconds: number, keptMs: number]> = {
    "t0.example.org": [0, 1000],
    "t60.example.org": [60, 60_000],
    "tlong.example.org": [86_400, 3_600_000],
  };
  const script: Script = ({ query }) => {
    const { name } = query.questions[0]!;
    return [replyTo(query, {
      answers: [record("A", name, "192.0.2.1", 86_400), record("A", name, "192.0.2.2", ttls[name]![0])],
    })];
  };
  await asking([script], async ({ dns, clock, asked }) => {
    for (const [name, [, keptMs]] of Object.entries(ttls)) {
      const before = asked().length;
      await dns.query(name, "A");
      await clock.advance(keptMs - 1);
      await dns.query(`${name.toUpperCase()}.`, "A");
      assertEquals(asked().length, before + 1, name);
      await clock.advance(1);
      await dns.query(name, "A");
      assertEquals(asked().length, before + 2, name);
    }
  });
});

Deno.test("DnsClient.query() remembers what isn't there by the SOA record, and failures for 5 seconds", async () => {
  const script: Script = ({ query, question }) => {
    const [, name] = question.split(" ");
    if (name === "fails.example.org") return [replyTo(query, { code: SERVFAIL })];
    const minimum = name === "long.example.org" ? 86_400 : 30;
    const authorities = name === "bare.example.org" ? [] : [soa("example.org", minimum)];
    return [replyTo(query, { code: name === "none.example.org" ? NXDOMAIN : 0, authorities })];
  };
  const kept = {
    "bare.example.org": 1000,
    "none.example.org": 30_000,
    "nodata.example.org": 30_000,
    "long.example.org": 300_000,
    "fails.example.org": 5000,
  };
  await asking([script], async ({ dns, clock, asked }) => {
    for (const [name, keptMs] of Object.entries(kept)) {
      const count = () => asked().filter((each) => each.endsWith(name)).length;
      await dns.query(name, "MX");
      const once = count();
      await clock.advance(keptMs - 1);
      await dns.query(name, "MX");
      assertEquals(count(), once, name);
      await clock.advance(1);
      await dns.query(name, "MX");
      assertEquals(count(), 2 * once, name);
    }
  });
});

Deno.test("DnsClient.query() joins equal questions that are under way", async () => {
  await asking([always(A)], async ({ dns, asked }) => {
    const answers = await Promise.all([
      dns.query("mail.example.org", "A"),
      dns.query("MAIL.example.org.", "A"),
      dns.query("mail.example.org", "AAAA"),
    ]);
    assertEquals(answers[0], answers[1]);
    assertEquals(asked().sort(), ["udp A mail.example.org", "udp AAAA mail.example.org"]);
  });
});

Deno.test("DnsClient.query() has a bounded number of questions on their way", async () => {
  let waiting = 0;
  let most = 0;
  const held: (() => void)[] = [];
  const clock = new FakeClock();
  const random = seededRandom(1);
  // Each exchange takes its id first: then it either has a place or waits for one.
  const server = await dnsServer(({ query }) => {
    most = Math.max(most, ++waiting);
    held.push(() => query);
    return [];
  });
  const dns = new DnsClient({
    servers: [{ host: "127.0.0.1", port: server.port }],
    timeoutMs: 5000,
    clock,
    random,
  });
  const answers = Promise.all(Array.from({ length: 300 }, (_, i) => dns.query(`h${i}.example.org`, "A")));
  // A busy machine takes its time to bring the first; then those that may come are there soon.
  for (let waited = 0; server.asked.length <= 20 && waited < 10_000; waited += 50) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await new Promise((resolve) => setTimeout(resolve, 300));
  const onTheirWay = server.asked.length;
  assert(onTheirWay <= 200 && onTheirWay > 20, `${onTheirWay} at a time`);
  dns.close();
  assertEquals(new Set((await answers).map(({ status }) => status)), new Set(["failed"]));
  await server.close();
});

Deno.test("DnsClient.close() ends what is under way", async () => {
  await asking([silence], async ({ dns, asked }) => {
    const answer = dns.query("mail.example.org", "A");
    while (asked().length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    dns.close();
    assertEquals((await answer).status, "failed");
    assertEquals((await dns.query("other.example.org", "A")).status, "failed");
    assertEquals(asked().length, 1);
  });
});

// ---------------------------------------------------------------- the machine's servers

Deno.test("parseServer() reads addresses with and without port", () => {
  assertEquals(parseServer("192.0.2.53"), { host: "192.0.2.53", port: 53 });
  assertEquals(parseServer("192.0.2.53:5353"), { host: "192.0.2.53", port: 5353 });
  assertEquals(parseServer("2001:db8::53"), { host: "2001:db8::53", port: 53 });
  assertEquals(parseServer("[2001:db8::53]:53"), { host: "2001:db8::53", port: 53 });
  assertEquals(parseServer("[2001:db8::53]"), { host: "2001:db8::53", port: 53 });
  for (const wrong of ["", "example.org", "192.0.2.53:99999", "[192.0.2", "192.0.2.53:"]) {
    assertEquals(parseServer(wrong), undefined, wrong);
  }
});

Deno.test("systemServers() names each of the machine's resolvers once", () => {
  const servers = systemServers();
  assertEquals(new Set(servers.map(({ host, port }) => `${host} ${port}`)).size, servers.length);
  for (const { port } of servers) assertNotEquals(port, 0);
});
