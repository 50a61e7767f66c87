/**
 * What senders ask for a message, kept on its way out: a later start, a time limit, notifications; and what the next hop
 * can't take. How recipients share transactions and connections.
 *
 * @module
 */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { bodyOf, e2eBare, field, message, type Server, until, withPeers, withServer } from "./harness.ts";
import { startDns } from "./peers/dns.ts";
import { directBy, type Handed, submit, traced, untilStates } from "./peers/outbound.ts";
import { SmtpHost, type SmtpHostOptions } from "./peers/smtp_host.ts";

const DNS = "127.0.8.53:5301";
const NEEDS = ["root", "dnsmasq"];
const DOMAIN = "peer.test";
const ADDRESS = "127.0.8.30";
const FULL: readonly string[] = [
  "PIPELINING",
  "8BITMIME",
  "SMTPUTF8",
  "ENHANCEDSTATUSCODES",
  "DSN",
  "SIZE 0",
];

interface Bed {
  readonly server: Server;
  readonly host: SmtpHost;
}

/** A server and one host of peer.test that takes its mail. */
function between(
  name: string,
  given: {
    readonly host?: Partial<SmtpHostOptions>;
    readonly queue?: Readonly<Record<string, unknown>>;
    readonly more?: Readonly<Record<string, unknown>>;
  },
  run: (bed: Bed) => Promise<void>,
): void {
  e2eBare(name, { needs: NEEDS }, () =>
    withPeers(async (use) => {
      const records = [`${DOMAIN} MX 10 mx.${DOMAIN}`, `mx.${DOMAIN} A ${ADDRESS}`];
      await use(startDns(records, { address: DNS }));
      const host = await use(
        SmtpHost.start({ address: ADDRESS, hostname: `mx.${DOMAIN}`, offers: FULL, ...given.host }),
      );
      const config = directBy(DNS, { queue: { retry: ["1s"], ...given.queue }, ...given.more });
      await withServer({ config }, (server) => run({ server, host }));
    }));
}

function untilTaken(host: SmtpHost, count: number): Promise<void> {
  return until(`${count} messages at the host`, () => Promise.resolve(host.messages.length >= count));
}

// ---------------------------------------------------------------- when

between("FUTURERELEASE holds mail for here and elsewhere, and lets it go in time", {}, async (bed) => {
  const { server, host } = bed;
  const begunMs = Date.now();
  await submit(server, { to: ["bob@peer.test", "bob@example.test"], asked: "HOLDFOR=2" });
  const local = async () => {
    const wire = await server.pop3("bob");
    const held = Number((await wire.popOk("STAT")).split(" ")[1]);
    await wire.popOk("QUIT");
    wire.close();
    return held;
  };
  while (Date.now() < begunMs + 1500) assertEquals([host.messages.length, await local()], [0, 0]);
  await untilTaken(host, 1);
  await server.mail("bob", 1);
  const tookMs = host.messages[0]!.atMs - begunMs;
  assert(tookMs >= 2000 && tookMs < 8000, `it left after ${tookMs} ms`);
  // RFC 4865: who has held it does not ask the next one to.
  assertEquals(host.messages[0]!.mail.includes("HOLD"), false);
});

between("FUTURERELEASE until a moment is kept over a restart", {}, async ({ server, host }) => {
  const untilMs = Math.floor(Date.now() / 1000) * 1000 + 4000;
  const moment = new Date(untilMs).toISOString().replace(".000Z", "Z");
  const id = await submit(server, { to: "bob@peer.test", asked: `HOLDUNTIL=${moment}` });
  await server.stop();
  await server.start();
  const { asked } = await traced(server, id);
  assertEquals(Date.parse(asked.holdUntil!), untilMs);
  await untilTaken(host, 1);
  assert(host.messages[0]!.atMs >= untilMs);
});

between(
  "DELIVERBY is passed on with the time that is left, and priority with it",
  { host: { offers: [...FULL, "DELIVERBY", "MT-PRIORITY"] } },
  async ({ server, host }) => {
    await submit(server, { to: "bob@peer.test", asked: "BY=120;RT MT-PRIORITY=3" });
    await untilTaken(host, 1);
    const [, seconds, mode] = / BY=(\d+);([A-Z]+)/.exec(host.messages[0]!.mail)!;
    assert(Number(seconds) <= 120 && Number(seconds) > 100, seconds);
    assertEquals(mode, "RT");
    assertStringIncludes(host.messages[0]!.mail, " MT-PRIORITY=3");
    // RFC 2852 4.1.4: with T the sender hears of the relaying.
    const [notice] = await server.mail("alice", 1);
    assertStringIncludes(notice!, "Action: relayed");
  },
);

between(
  "DELIVERBY in return mode comes back from a host that doesn't know it",
  {},
  async ({ server, host }) => {
    const id = await submit(server, { to: "bob@peer.test", asked: "BY=60;R" });
    await untilStates(server, id, "failed");
    assertEquals(host.messages, []);
    const [notice] = await server.mail("alice", 1);
    assertStringIncludes(notice!, "Action: failed");
  },
);

between(
  "DELIVERBY in return mode comes back when its time is up, in notify mode it is told and goes on",
  {
    host: {
      offers: [...FULL, "DELIVERBY"],
      answer: (line) => line.startsWith("RCPT") ? "450 4.2.1 Later" : undefined,
    },
  },
  async ({ server }) => {
    const returned = await submit(server, { to: "bob@peer.test", asked: "BY=3;R" });
    const told = await submit(server, { to: "carol@peer.test", asked: "BY=3;N" });
    await untilStates(server, returned, "failed");
    const notices = await server.mail("alice", 2);
    const about = (name: string) => notices.find((text) => text.includes(`${name}@peer.test`))!;
    assertStringIncludes(about("bob"), "Action: failed");
    assertMatch(about("bob"), /^Status: 5\.4\.7\r$/m);
    assertStringIncludes(about("carol"), "Action: delayed");
    assertEquals((await traced(server, told)).recipients[0]!.state, "deferred");
  },
);

// ---------------------------------------------------------------- notifications

between("DSN parameters reach the next hop as they were asked for", {}, async ({ server, host }) => {
  const to = [
    "<bob@peer.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;B+2Bob@peer.test",
    "<carol@peer.test> NOTIFY=NEVER",
    "<dave@peer.test>",
  ];
  const id = await submit(server, { to, asked: "RET=HDRS ENVID=QQ+2B314+3D159" });
  await untilStates(server, id, "relayed", "relayed", "relayed");
  assertEquals(host.messages.length, 1);
  assertMatch(
    host.messages[0]!.mail,
    /^MAIL FROM:<alice@example\.test> SIZE=\d+ RET=HDRS ENVID=QQ\+2B314\+3D159$/,
  );
  assertEquals(host.messages[0]!.rcpts, [
    "RCPT TO:<bob@peer.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;B+2Bob@peer.test",
    "RCPT TO:<carol@peer.test> NOTIFY=NEVER",
    "RCPT TO:<dave@peer.test>",
  ]);
});

between(
  "a success that was asked for is told as relayed where the next hop knows no DSN",
  { host: { offers: ["SIZE 0"] } },
  async ({ server, host }) => {
    await submit(server, {
      to: "<bob@peer.test> NOTIFY=SUCCESS ORCPT=rfc822;robert@peer.test",
      asked: "ENVID=abc",
    });
    await untilTaken(host, 1);
    assertEquals(host.messages[0]!.rcpts, ["RCPT TO:<bob@peer.test>"]);
    const [notice] = await server.mail("alice", 1);
    assertMatch(field(notice!, "Content-Type")!, /multipart\/report; report-type="?delivery-status/);
    for (const line of ["Action: relayed", "Original-Envelope-Id: abc"]) assertStringIncludes(notice!, line);
    assertMatch(notice!, /^Original-Recipient: rfc822; ?robert@peer\.test\r$/m);
  },
);

// ---------------------------------------------------------------- what a host can't take

/** A message that comes back. */
async function bounced({ server, host }: Bed, handed: Handed, status: string): Promise<void> {
  const id = await submit(server, handed);
  await untilStates(server, id, "failed");
  assertEquals(host.messages, []);
  const [notice] = await server.mail("alice", 1);
  assertStringIncludes(notice!, `Status: ${status}\r\n`);
}

between("a message over the next hop's SIZE comes back", { host: { offers: ["SIZE 5000"] } }, async (bed) => {
  const data = message({ subject: "Long", body: `${"x".repeat(70)}\r\n`.repeat(100) });
  await bounced(bed, { to: "bob@peer.test", data }, "5.3.4");
  assertEquals(bed.host.commands.some((line) => line.startsWith("MAIL")), false);
});

between("8-bit text comes back from a host without 8BITMIME", { host: { offers: ["DSN"] } }, async (bed) => {
  const data = message({ subject: "Eight bits", body: "Gr\xc3\xbc\xc3\x9fe\r\n" });
  await bounced(bed, { to: "bob@peer.test", asked: "BODY=8BITMIME", data }, "5.6.3");
});

between("an address that is not ASCII comes back from a host without SMTPUTF8", {
  host: { offers: ["8BITMIME"] },
}, async (bed) => {
  await bounced(bed, { to: "<j\xc3\xbcrgen@peer.test>", asked: "SMTPUTF8" }, "5.6.7");
});

// ---------------------------------------------------------------- where to

between("mail for address literals goes to the address", {}, async ({ server, host }) => {
  const four = await SmtpHost.start({ address: "127.0.8.7", hostname: "four" });
  const six = await SmtpHost.start({ address: "::1", hostname: "six" }).catch(() => undefined);
  try {
    const to = ["bob@[127.0.8.7]", ...six === undefined ? [] : ["bob@[IPv6:::1]"]];
    const id = await submit(server, { to });
    await untilStates(server, id, ...to.map(() => "relayed" as const));
    assertEquals(four.messages.map(({ rcpts }) => rcpts), [["RCPT TO:<bob@[127.0.8.7]>"]]);
    if (six !== undefined) {
      assertEquals(six.messages.map(({ rcpts }) => rcpts), [["RCPT TO:<bob@[IPv6:::1]>"]]);
    }
    assertEquals(host.connections, 0);
  } finally {
    await four.stop();
    await six?.stop();
  }
});

// ---------------------------------------------------------------- transactions and connections

between("recipients of one next hop share a transaction", {
  more: { limits: { recipients: 300 } },
}, async ({ server, host }) => {
  const people = (count: number) => Array.from({ length: count }, (_, i) => `user${i}@peer.test`);
  await submit(server, { to: people(50) });
  await untilTaken(host, 1);
  assertEquals(host.messages.map(({ rcpts }) => rcpts.length), [50]);
  // RFC 5321 4.5.3.1.8: a host takes 100.
  await submit(server, { to: people(250) });
  await untilTaken(host, 4);
  const rest = host.messages.slice(1);
  assertEquals(rest.map(({ rcpts }) => rcpts.length).toSorted((a, b) => a - b), [50, 100, 100]);
  assertEquals(new Set(rest.flatMap(({ rcpts }) => rcpts)).size, 250);
});

between("a burst shares few connections", {
  queue: { connectionsPerHost: 3 },
  host: { slowMs: 30 },
}, async ({ server, host }) => {
  await Promise.all(
    Array.from({ length: 20 }, (_, i) => submit(server, { to: `user${i}@peer.test` })),
  );
  await untilTaken(host, 20);
  assertEquals(new Set(host.messages.map(({ rcpts }) => rcpts[0])).size, 20);
  assert(host.mostAtOnce <= 3, `${host.mostAtOnce} connections at a time`);
  assert(host.connections <= 6, `${host.connections} connections for 20 messages`);
  assertEquals(host.messages.map(({ data }) => bodyOf(data)), Array(20).fill("Hello.\r\n"));
});
