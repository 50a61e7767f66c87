import { assertEquals } from "@std/assert";
import { FakeClock } from "../../../src/base/clock.ts";
import type { ConfigPart } from "../../../src/config/config.ts";
import { type Address, parseAddress } from "../../../src/mail/address.ts";
import type { Reply } from "../../../src/mail/reply.ts";
import type { Service } from "../../../src/server/context.ts";
import {
  checkRecipient,
  checkSender,
  expandMailbox,
  findDestination,
  mayRelay,
  topologyOf,
  verifyMailbox,
} from "../../../src/server/mailboxes.ts";
import { srsForward } from "../../../src/routing/srs.ts";
import * as replies from "../../../src/smtp/replies.ts";
import { openMemoryStore } from "../../../src/store/memory.ts";
import type { Account, NewAccount, Store } from "../../../src/store/types.ts";
import { addAccount, configOf } from "./fixture.ts";

const NOW_MS = 1_800_000_000_000;

type Given = Partial<NewAccount> & { readonly name: string };

async function system(
  given: {
    accounts?: Given[];
    aliases?: Record<string, string[]>;
    config?: ConfigPart;
    srsSecret?: Uint8Array;
  } = {},
) {
  const store = openMemoryStore();
  for (const account of given.accounts ?? [{ name: "alice" }, { name: "bob" }]) {
    await addAccount(store, account);
  }
  for (const [name, targets] of Object.entries(given.aliases ?? {})) {
    await store.directory.setAlias({ name, targets });
  }
  const config = configOf(given.config);
  // Nothing else of a context is looked at here.
  const context = {
    store,
    config: () => config,
    clock: new FakeClock(NOW_MS),
    srsSecret: () => given.srsSecret,
  } as unknown as Parameters<
    typeof checkRecipient
  >[1]["context"];
  const account = async (name: string) => (await store.directory.account(name))!;
  return {
    store,
    account,
    where: { directory: store.directory, config },
    recipient: (text: string, announcedOctets = 0, mayRelay: "yes" | "no" = "no", sender?: string) =>
      checkRecipient(address(text), {
        context,
        announcedOctets,
        mayRelay,
        sender: sender === undefined ? null : address(sender),
      }).then(short),
    sender: (text: string, as: Account | undefined, service: Service = "submission") =>
      checkSender(text === "" ? null : address(text), { context, service, account: as }).then(short),
    verify: (argument: string, as?: Account) => verifyMailbox(argument, { context, account: as }).then(short),
    expand: (argument: string, as?: Account) => expandMailbox(argument, { context, account: as }).then(short),
  };
}

function address(text: string): Address {
  if (text.toLowerCase() === "postmaster") return { local: text, domain: "" };
  const parsed = parseAddress(text);
  if ("error" in parsed) throw new Error(parsed.error);
  return parsed;
}

function short(reply: Reply | undefined): string {
  return reply === undefined ? "ok" : `${reply.code} ${reply.enhanced} ${reply.lines.join(" | ")}`;
}

async function deliverOctets(store: Store, account: Account, octets: number): Promise<void> {
  const key = await store.history.newestKey() + 1;
  await store.spool.accept({
    key,
    lastPart: new Uint8Array(10),
    size: 10,
    receivedAtMs: 0,
    envelope: { reversePath: "", recipients: ["x@example.org"], smtpUtf8: false },
    origin: { client: "192.0.2.7", helo: "a", transmission: "SMTP" },
    messageId: "",
  });
  await store.deliveries.record({
    outcomes: [{
      key,
      index: 0,
      state: "delivered",
      atMs: 0,
      detail: "",
      deliverTo: [{ account: account.id, trace: new Uint8Array(0), size: octets }],
    }],
  });
}

Deno.test("findDestination() finds accounts in any case, by every domain, and with a tag", async () => {
  const { where } = await system({ accounts: [{ name: "alice" }, { name: "carol@example.net" }] });
  const names = async (recipient: string) =>
    (await findDestination(recipient, where)).accounts.map(({ name }) => name);
  assertEquals(await names("alice@example.org"), ["alice"]);
  assertEquals(await names("ALICE@Example.NET"), ["alice"]);
  assertEquals(await names("alice+news@example.org"), ["alice"]);
  assertEquals(await names("carol@example.net"), ["carol@example.net"]);
  assertEquals(await names("carol@example.org"), []);
  assertEquals(await names("nobody@example.org"), []);
  assertEquals(await names("alice@elsewhere.example"), []);
});

Deno.test("findDestination() finds everybody behind an alias once, and says who is missing", async () => {
  const { where } = await system({
    aliases: { staff: ["alice", "bob", "boss", "ghost"], boss: ["alice@example.org"], loop: ["loop"] },
  });
  const staff = await findDestination("staff@example.org", where);
  assertEquals(staff.accounts.map(({ name }) => name), ["alice", "bob"]);
  assertEquals(staff.problem, "ghost is nobody here (by alias staff)");
  assertEquals(staff.refusal, undefined);
  const loop = await findDestination("loop@example.org", where);
  assertEquals([loop.accounts.length, loop.refusal], [0, replies.unknownUser]);
});

Deno.test("findDestination() gives a catch-all what nobody else at its domain gets", async () => {
  const { where } = await system({ aliases: { "@example.net": ["bob"] } });
  const names = async (recipient: string) =>
    (await findDestination(recipient, where)).accounts.map(({ name }) => name);
  assertEquals(await names("whoever@example.net"), ["bob"]);
  assertEquals(await names("alice@example.net"), ["alice"]);
  assertEquals(await names("whoever@example.org"), []);
});

Deno.test("findDestination() takes mail for postmaster without account, at any of our domains and bare", async () => {
  const first = await system();
  const asked = ["postmaster@example.org", "Postmaster@example.net", "postmaster"];
  for (const recipient of asked) {
    const { accounts } = await findDestination(recipient, first.where);
    assertEquals(accounts.map(({ name }) => name), ["alice"], recipient);
    assertEquals(await first.recipient(recipient), "ok");
  }
  const configured = await system({ config: { postmaster: "bob" } });
  assertEquals((await findDestination("postmaster", configured.where)).accounts[0]!.name, "bob");
  const gone = await system({ config: { postmaster: "ghost" } });
  assertEquals((await findDestination("postmaster", gone.where)).accounts[0]!.name, "alice");
  const alias = await system({ aliases: { postmaster: ["bob"] } });
  assertEquals((await findDestination("postmaster", alias.where)).accounts[0]!.name, "bob");
  const empty = await system({ accounts: [] });
  assertEquals((await findDestination("postmaster", empty.where)).refusal, replies.unknownUser);
  assertEquals((await first.recipient("postmaster@elsewhere.example")).slice(0, 9), "550 5.7.1");
});

const DIRECT: ConfigPart = { relay: { mode: "direct" } };
const DENIED = "550 5.7.1 Relaying denied: log in, or send from an address that this system relays for";

Deno.test("topologyOf() takes from the configuration what routing has to know", () => {
  const login = { tls: "verified", user: "u", passwordFile: "/p" } as const;
  const config = configOf({
    relay: {
      mode: "combined",
      outbound: "direct-first",
      buffer: { host: "unix.example", port: 2525, ...login },
      routes: [{ domain: "lab.example", host: "lab", port: 25, ...login, accept: "anyone" }],
      senders: [{ sender: "news@example.org", host: "bulk", port: 587, ...login }],
      forwarding: "keep",
    },
    queue: { expire: 1000 },
    gateways: {
      filedrop: [{
        name: "mhs",
        domain: undefined,
        out: "/o",
        in: "/i",
        poll: 1000,
        attachments: "apart",
        accept: "users",
      }],
      pipe: [{
        name: "fax",
        domain: "fax.example",
        command: ["fax"],
        timeout: 1000,
        attachments: "whole",
        accept: "anyone",
      }],
    },
  });
  const secret = new Uint8Array(32);
  assertEquals(topologyOf(config, { srs: secret, nowMs: NOW_MS }), {
    mode: "combined",
    domains: ["example.org", "example.net"],
    plus: "+",
    outbound: "direct-first",
    buffer: { host: "unix.example", port: 2525, ...login },
    routes: [{ match: "lab.example", host: { host: "lab", port: 25, ...login }, accept: "anyone" }],
    senders: [{ match: "news@example.org", host: { host: "bulk", port: 587, ...login }, accept: "users" }],
    unreachableAfterMs: 1000,
    forwarding: "keep",
    gateways: [
      { name: "mhs", domain: "mhs.example.org", accept: "users" },
      { name: "fax", domain: "fax.example", accept: "anyone" },
    ],
    srs: { domain: "example.org", secret, nowMs: NOW_MS },
  });
  const plain = topologyOf(configOf({ relay: { unreachableAfter: 5, fallback: { host: "isp.example" } } }));
  assertEquals([plain.unreachableAfterMs, plain.fallback?.host, plain.buffer, plain.srs], [
    5,
    "isp.example",
    undefined,
    undefined,
  ]);
});

Deno.test("findDestination() finds maildrops and addresses elsewhere behind one alias", async () => {
  const given = { aliases: { staff: ["alice", "bob@elsewhere.example", "ghost"], out: ["x@a.example"] } };
  const names = async (recipient: string, config: ConfigPart = DIRECT) => {
    const { where } = await system({ ...given, config });
    const { accounts, forwards, problem, refusal } = await findDestination(recipient, where);
    const elsewhere = forwards.map(({ recipient }) => `${recipient.local}@${recipient.domain}`);
    return [...accounts.map(({ name }) => name), ...elsewhere, problem, short(refusal)];
  };
  const ghost = "ghost is nobody here (by alias staff)";
  assertEquals(await names("staff@example.org"), ["alice", "bob@elsewhere.example", ghost, "ok"]);
  assertEquals(await names("out@example.org"), ["x@a.example", "", "ok"]);
  assertEquals(await names("y@b.example"), ["y@b.example", "", "ok"]);
  // On an intranet neither leads anywhere.
  const [problem, refusal] = await names("out@example.org", {});
  assertEquals(problem!.startsWith("x@a.example is outside: this system is on an intranet"), true);
  assertEquals(
    refusal,
    "550 5.7.1 out@example.org stands for addresses outside alone, where this system sends no mail",
  );
  const mixed = await names("staff@example.org", {});
  assertEquals([mixed[0], mixed.at(-1)], ["alice", "ok"]);
});

Deno.test("mayRelay() is for who logged in, and for clients that are listed", async () => {
  const { account } = await system();
  const config = configOf({
    relay: { clients: [{ family: "ipv4", address: "10.1.0.0", prefixBits: 16 }] },
  });
  assertEquals(mayRelay(config, { account: await account("alice"), client: "192.0.2.1" }), "yes");
  assertEquals(mayRelay(config, { account: undefined, client: "10.1.2.3" }), "yes");
  assertEquals(mayRelay(config, { account: undefined, client: "::ffff:10.1.2.3" }), "yes");
  assertEquals(mayRelay(config, { account: undefined, client: "10.2.0.1" }), "no");
  assertEquals(mayRelay(configOf(), { account: undefined, client: "10.1.2.3" }), "no");
});

Deno.test("checkRecipient() is no open relay, and lets those who may send to the outside", async () => {
  for (const mode of ["direct", "buffer", "combined"] as const) {
    for (const outbound of ["dump", "direct-first"] as const) {
      const relay = { mode, outbound, buffer: { host: "unix.example" } };
      const { recipient } = await system({ aliases: { out: ["x@a.example"] }, config: { relay } });
      assertEquals(await recipient("y@b.example"), DENIED);
      assertEquals(await recipient("y@[192.0.2.1]"), DENIED);
      assertEquals(await recipient("y@b.example", 0, "yes"), "ok");
      // An alias was made by an operator, and may be written to by anyone.
      assertEquals(await recipient("out@example.org"), "ok");
      assertEquals(await recipient("alice@example.org"), "ok");
    }
  }
});

Deno.test("checkRecipient() opens a route to strangers where the route says so, and no sender does", async () => {
  const route = { port: 25, tls: "off", user: undefined, passwordFile: undefined } as const;
  const { recipient } = await system({
    config: {
      relay: {
        mode: "direct",
        routes: [
          { ...route, domain: "open.example", host: "a", accept: "anyone" },
          { ...route, domain: "closed.example", host: "b", accept: "users" },
        ],
        senders: [{ ...route, sender: "news@example.org", host: "c" }],
      },
    },
  });
  assertEquals(await recipient("x@open.example"), "ok");
  assertEquals(await recipient("x@closed.example"), DENIED);
  assertEquals(await recipient("x@closed.example", 0, "yes"), "ok");
  assertEquals(await recipient("x@b.example", 0, "no", "news@example.org"), DENIED);
});

Deno.test("checkRecipient() takes notifications for senders whose mail was forwarded", async () => {
  const secret = new Uint8Array(32).fill(3);
  const made = srsForward(address("bob@a.example"), { domain: "example.org", secret, nowMs: NOW_MS })!;
  const text = `${made.local}@example.org`;
  const { recipient } = await system({ config: DIRECT, srsSecret: secret });
  assertEquals(await recipient(text), "ok");
  assertEquals((await recipient(text.replace("bob", "eve"))).slice(0, 9), "550 5.1.1");
  assertEquals(await (await system({ config: DIRECT })).recipient(text), short(replies.unknownUser));
});

Deno.test("checkRecipient() takes mail for an alias that leads elsewhere while the maildrop beside it is full", async () => {
  const { recipient, store, account } = await system({
    accounts: [{ name: "alice", quotaMessages: 1 }],
    aliases: { both: ["alice", "x@a.example"] },
    config: DIRECT,
  });
  await deliverOctets(store, await account("alice"), 10);
  assertEquals(await recipient("alice@example.org"), short(replies.overQuota));
  assertEquals(await recipient("both@example.org"), "ok");
});

Deno.test("checkRecipient() refuses strangers and outside addresses", async () => {
  const { recipient } = await system();
  assertEquals(await recipient("alice@example.org"), "ok");
  assertEquals(await recipient("nobody@example.org"), short(replies.unknownUser));
  assertEquals((await recipient("a@elsewhere.example")).slice(0, 9), "550 5.7.1");
});

Deno.test("checkRecipient() refuses for a full maildrop: by count, by octets, and by what SIZE announced", async () => {
  const full = short(replies.overQuota);
  const { recipient, store, account } = await system({
    accounts: [
      { name: "few", quotaMessages: 1 },
      { name: "small", quotaOctets: 1000, quotaMessages: 0 },
      { name: "default" },
      { name: "free", quotaOctets: 0, quotaMessages: 0 },
    ],
    config: { accounts: { quotaBytes: 2000, quotaMessages: 2 } },
  });
  for (const name of ["few", "small", "default", "free"]) {
    assertEquals(await recipient(`${name}@example.org`), "ok");
    await deliverOctets(store, await account(name), 900);
  }
  assertEquals(await recipient("few@example.org"), full);
  assertEquals(await recipient("small@example.org"), "ok");
  assertEquals(await recipient("small@example.org", 100), "ok");
  assertEquals(await recipient("small@example.org", 101), full);
  await deliverOctets(store, await account("small"), 100);
  assertEquals(await recipient("small@example.org"), full);
  assertEquals(await recipient("default@example.org", 1100), "ok");
  assertEquals(await recipient("default@example.org", 1101), full);
  await deliverOctets(store, await account("default"), 1);
  assertEquals(await recipient("default@example.org"), full);
  for (let i = 0; i < 3; i++) await deliverOctets(store, await account("free"), 10_000);
  assertEquals(await recipient("free@example.org", 10_000_000), "ok");
});

Deno.test("checkRecipient() takes mail for an alias while anybody behind it has room", async () => {
  const { recipient, store, account } = await system({
    accounts: [{ name: "alice", quotaMessages: 1 }, { name: "bob", quotaMessages: 1 }],
    aliases: { both: ["alice", "bob"] },
  });
  await deliverOctets(store, await account("alice"), 10);
  assertEquals(await recipient("both@example.org"), "ok");
  await deliverOctets(store, await account("bob"), 10);
  assertEquals(await recipient("both@example.org"), short(replies.overQuota));
});

Deno.test("checkSender() lets a user send as what is delivered to them", async () => {
  const refused = short(replies.senderNotYours);
  const { sender, account } = await system({
    accounts: [{ name: "alice" }, { name: "bob" }, { name: "relay", sendAsAny: true }],
    aliases: { sales: ["alice", "bob"], info: ["bob"] },
  });
  const alice = await account("alice");
  for (const own of ["alice@example.org", "ALICE@example.net", "alice+x@example.org", "sales@example.org"]) {
    assertEquals(await sender(own, alice), "ok", own);
  }
  for (
    const foreign of ["bob@example.org", "info@example.org", "nobody@example.org", "alice@elsewhere.example"]
  ) {
    assertEquals(await sender(foreign, alice), refused, foreign);
    assertEquals(await sender(foreign, alice, "submissions"), refused, foreign);
    assertEquals(await sender(foreign, await account("relay")), "ok", foreign);
  }
  assertEquals(await sender("", alice), "ok");
  // On port 25 anybody sends as anybody.
  assertEquals(await sender("bob@example.org", undefined, "smtp"), "ok");
});

Deno.test("checkSender() lets everybody send as anybody where that is configured", async () => {
  const { sender, account } = await system({ config: { submission: { sendAs: "any" } } });
  assertEquals(await sender("who@elsewhere.example", await account("alice")), "ok");
});

Deno.test("verifyMailbox() and expandMailbox() tell strangers nothing", async () => {
  const { verify, expand } = await system();
  for (const name of ["alice", "nobody", "<alice@example.org>"]) {
    assertEquals(await verify(name), short(replies.cannotVerify));
    assertEquals((await expand(name)).slice(0, 9), "550 5.7.1");
  }
});

Deno.test("verifyMailbox() and expandMailbox() tell users the truth", async () => {
  const { verify, expand, account } = await system({
    accounts: [{ name: "alice" }, { name: "bob" }, { name: "carol@example.net" }],
    aliases: { staff: ["alice", "carol@example.net"] },
  });
  const alice = await account("alice");
  assertEquals(await verify("bob", alice), "250 2.1.5 bob@example.org");
  assertEquals(await verify("<bob@example.net>", alice), "250 2.1.5 bob@example.net");
  assertEquals(await verify("nobody", alice), short(replies.unknownUser));
  assertEquals(await verify("a b@@", alice), short(replies.unknownUser));
  assertEquals((await verify("x@elsewhere.example", alice)).slice(0, 9), "550 5.7.1");
  assertEquals(await expand("staff", alice), "250 2.1.5 <alice@example.org> | <carol@example.net>");
  assertEquals(await expand("nobody", alice), short(replies.unknownUser));
  assertEquals(await expand("a b@@", alice), short(replies.unknownUser));
});

Deno.test("verifyMailbox() and expandMailbox() can't tell of people elsewhere, but name who an alias leads to", async () => {
  const { verify, expand, account, sender } = await system({
    aliases: { staff: ["alice", "bob@elsewhere.example"] },
    config: DIRECT,
  });
  const alice = await account("alice");
  assertEquals(await verify("x@elsewhere.example", alice), short(replies.cannotVerify));
  assertEquals(await expand("x@elsewhere.example", alice), short(replies.cannotVerify));
  assertEquals(await verify("staff", alice), "250 2.1.5 staff@example.org");
  assertEquals(await expand("staff", alice), "250 2.1.5 <alice@example.org> | <bob@elsewhere.example>");
  // Nor is anybody elsewhere a sender of ours.
  assertEquals(await sender("alice@elsewhere.example", alice), short(replies.senderNotYours));
  assertEquals(await sender("staff@example.org", alice), "ok");
});
