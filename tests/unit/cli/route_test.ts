import { assertEquals, assertStringIncludes } from "@std/assert";
import type { AdminContext } from "../../../src/admin/context.ts";
import { withStore } from "../../../src/cli/context.ts";
import { dnsServer, record, replyTo } from "../net/dns_server.ts";
import { emsmail, Folder } from "./fixtures.ts";

async function withRelay(folder: Folder, relay: string): Promise<void> {
  const text = await Deno.readTextFile(folder.config);
  await Deno.writeTextFile(folder.config, `${text}hostname: mail.example.org\nrelay: ${relay}\n`);
}

Deno.test("route tells the way out and why, before there is any mail system", async () => {
  await using folder = await Folder.make();
  await withRelay(folder, "{ mode: direct, fallback: { host: isp.example } }");
  const { code, out, err } = await folder.run("route bob@casisoft.com");
  assertEquals([code, err], [0, ""]);
  assertEquals(
    out.split("\n").slice(0, 12).join("\n"),
    `
bob@casisoft.com
  Rule        direct
  Next hop    the hosts that DNS names for casisoft.com
  Backup      isp.example, port 25, TLS: opportunistic
              bob@casisoft.com is outside, and in mode direct such mail goes to
              where DNS says.
              If DNS names no host for the domain, or none can be reached for
              too long, it goes to isp.example, port 25, by TLS if it is
              offered; a refusal is final and goes back to the sender.
              Only those who have logged in, the hosts in relay.clients, and
              this system's own aliases, lists, shadows and forwarding may send
              there.`.trim(),
  );
  assertStringIncludes(out, "\n  Note        There is no mail system in ");
});

Deno.test("route tells maildrops and forwards, also as JSON", async () => {
  await using folder = await Folder.make();
  await withRelay(folder, "{ mode: direct }");
  await folder.run("user add alice --generate");
  assertEquals(
    (await folder.run("alias add list alice bob@a.example")).out,
    "Mail for list now goes to alice, bob@a.example.\n",
  );
  assertEquals(
    (await folder.run("route list@example.org")).out,
    `
list@example.org
  Rule        our-domains
              list@example.org is at one of this system's domains.
  Maildrop    alice
  Forwarded   bob@a.example (rule: direct)
  Next hop    the hosts that DNS names for a.example
`.trimStart(),
  );
  const view = JSON.parse((await folder.run("route list@example.org --json")).out);
  assertEquals([view.maildrops, view.ways[0].nextHop], [["alice"], { kind: "mx", domain: "a.example" }]);
});

const NOBODY = { displayName: "", department: "", phone: "" };

Deno.test("route tells of shadows, lists, forwarding and gateways", async () => {
  await using folder = await Folder.make();
  await withRelay(folder, "{ mode: direct }");
  const text = await Deno.readTextFile(folder.config);
  await Deno.writeTextFile(folder.config, `${text}gateways: { filedrop: [{ name: mhs, out: /o }] }\n`);
  for (const name of ["alice", "bob"]) await folder.run(`user add ${name} --generate`);
  const change = ({ store: { directory, entries } }: AdminContext) =>
    Promise.all([
      directory.changeAccount("bob", { forward: { to: ["bob@home.example", "alice"], keep: false } }),
      entries.change([
        {
          kind: "set-shadow",
          shadow: { name: "dan", address: "d@x.mhs.example.org", inbound: false, identity: NOBODY },
        },
        {
          kind: "set-list",
          list: { name: "night", members: ["y@a.example"], owner: "boss@b.example", identity: NOBODY },
        },
        {
          kind: "set-list",
          list: { name: "staff", members: ["alice", "night", "x@a.example"], identity: NOBODY },
        },
      ]),
    ]);
  await withStore({ config: folder.config }, change, { access: "change" });
  assertEquals(
    (await folder.run("route bob@example.org")).out,
    `
bob@example.org
  Rule        our-domains
              bob@example.org is at one of this system's domains.
  User        bob, whose mail is sent on to bob@home.example, alice and not kept
              here
  Maildrop    alice
  Forwarded   bob@home.example (rule: direct)
  Next hop    the hosts that DNS names for home.example
`.trimStart(),
  );
  assertEquals(
    (await folder.run("route dan@example.org")).out,
    `
dan@example.org
  Rule        our-domains
              dan@example.org is at one of this system's domains.
  Shadow      dan, of d@x.mhs.example.org
              Users may write to it; strangers are refused (550 5.7.1).
  Forwarded   d@x.mhs.example.org (rule: gateways.mhs)
  Next hop    the gateway mhs
`.trimStart(),
  );
  assertEquals(
    (await folder.run("route staff@example.org")).out,
    `
staff@example.org
  Rule        our-domains
              staff@example.org is at one of this system's domains.
  List        staff, 3 members
              Its mail to addresses elsewhere comes from postmaster@example.org,
              who hears of failures.
  Maildrop    alice
  Forwarded   x@a.example (rule: direct)
  Next hop    the hosts that DNS names for a.example
  Forwarded   y@a.example (rule: direct; list night, from boss@b.example)
  Next hop    the hosts that DNS names for a.example
`.trimStart(),
  );
  assertEquals(
    (await folder.run("route u@mhs.example.org --probe")).out,
    `
u@mhs.example.org
  Rule        gateways.mhs
  Next hop    the gateway mhs
              u@mhs.example.org is at the gateway mhs.
              Only those who have logged in, the hosts in relay.clients, and
              this system's own aliases, lists, shadows and forwarding may send
              there.
  DNS         not asked: a gateway needs none
`.trimStart(),
  );
});

Deno.test("route --probe tells what DNS said", async () => {
  const answers = {
    "MX casisoft.com": [record("MX", "casisoft.com", { preference: 10, exchange: "mx.casisoft.com" })],
    "A mx.casisoft.com": [record("A", "mx.casisoft.com", "192.0.2.1")],
  };
  const server = await dnsServer(({ query, question }) => [
    replyTo(query, { answers: question in answers ? answers[question as keyof typeof answers] : [] }),
  ]);
  try {
    await using folder = await Folder.make();
    await withRelay(folder, "{ mode: direct }");
    const text = await Deno.readTextFile(folder.config);
    await Deno.writeTextFile(folder.config, `${text}dns: { servers: "127.0.0.1:${server.port}" }\n`);
    const { out } = await folder.run("route bob@casisoft.com --probe");
    assertStringIncludes(
      out,
      `
  DNS         casisoft.com names one mail host
                MX 10 mx.casisoft.com
                1. 192.0.2.1, port 25 (mx.casisoft.com)
`,
    );
    const before = server.asked.length;
    const intranet = await folder.run("route bob@casisoft.com --probe --relay-mode intranet");
    assertStringIncludes(intranet.out, "  DNS         not asked: on an intranet no DNS is asked\n");
    assertEquals(server.asked.length, before);
  } finally {
    await server.close();
  }
});

Deno.test("route says what is wrong with an address", async () => {
  await using folder = await Folder.make();
  const { code, err } = await folder.run(["route", "a b@example.org"]);
  assertEquals(code, 2);
  assertStringIncludes(err, "can't stand before the @");
});

Deno.test("topology draws the configuration, in the characters asked for", async () => {
  await using folder = await Folder.make();
  await withRelay(folder, "{ mode: intranet }");
  const { code, out, err } = await folder.run("topology");
  assertEquals([code, err], [0, ""]);
  assertStringIncludes(out, "┌");
  assertStringIncludes(out, "relay mode intranet");
  // deno-lint-ignore no-control-regex -- U+0000 to U+007F is what ASCII is
  assertEquals(/^[\x00-\x7f]*$/.test((await folder.run("topology --ascii --relay-mode direct")).out), true);
  assertEquals(JSON.parse((await folder.run("topology --json")).out).mode, "intranet");
  assertEquals((await emsmail(["topology", "--relay-mode", "buffer"])).code, 2);
});
