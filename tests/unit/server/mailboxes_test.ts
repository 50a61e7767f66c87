import { assertEquals } from "@std/assert";
import type { ConfigPart } from "../../../src/config/config.ts";
import { type Address, parseAddress } from "../../../src/mail/address.ts";
import type { Reply } from "../../../src/mail/reply.ts";
import type { Service } from "../../../src/server/context.ts";
import {
  checkRecipient,
  checkSender,
  expandMailbox,
  findDestination,
  verifyMailbox,
} from "../../../src/server/mailboxes.ts";
import * as replies from "../../../src/smtp/replies.ts";
import { openMemoryStore } from "../../../src/store/memory.ts";
import type { Account, NewAccount, Store } from "../../../src/store/types.ts";
import { addAccount, configOf } from "./fixture.ts";

type Given = Partial<NewAccount> & { readonly name: string };

async function system(
  given: { accounts?: Given[]; aliases?: Record<string, string[]>; config?: ConfigPart } = {},
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
  const context = { store, config: () => config } as unknown as Parameters<
    typeof checkRecipient
  >[1]["context"];
  const account = async (name: string) => (await store.directory.account(name))!;
  return {
    store,
    account,
    where: { directory: store.directory, config },
    recipient: (text: string, announcedOctets = 0) =>
      checkRecipient(address(text), { context, announcedOctets }).then(short),
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
  await store.deliveries.record([{
    key,
    index: 0,
    state: "delivered",
    atMs: 0,
    detail: "",
    deliverTo: [{ account: account.id, trace: new Uint8Array(0), size: octets }],
  }]);
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
