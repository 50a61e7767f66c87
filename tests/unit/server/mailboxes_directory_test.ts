import { assertEquals } from "@std/assert";
import { FakeClock } from "../../../src/base/clock.ts";
import type { ConfigPart } from "../../../src/config/config.ts";
import { type Address, formatAddress, parseAddress } from "../../../src/mail/address.ts";
import type { Reply } from "../../../src/mail/reply.ts";
import {
  checkRecipient,
  checkSender,
  expandMailbox,
  findDestination,
  gatewayDomains,
  hasRoom,
  listOwnerAddress,
  mayRelay,
  verifyMailbox,
} from "../../../src/server/mailboxes.ts";
import * as replies from "../../../src/smtp/replies.ts";
import { openMemoryStore } from "../../../src/store/memory.ts";
import type { Account, EntryChange, NewAccount } from "../../../src/store/types.ts";
import { addAccount, configOf, serving } from "./fixture.ts";

const NOBODY = { displayName: "", department: "", phone: "" };
const DIRECT: ConfigPart = { relay: { mode: "direct" } };
const MHS: ConfigPart = {
  gateways: {
    filedrop: [{
      name: "mhs",
      domain: undefined,
      out: "/o",
      in: undefined,
      poll: 1000,
      attachments: "apart",
      accept: "users",
    }],
  },
};
const DENIED = "550 5.7.1 Relaying denied: log in, or send from an address that this system relays for";

interface Given {
  readonly accounts?: readonly (Partial<NewAccount> & { readonly name: string })[];
  readonly aliases?: { readonly [name: string]: readonly string[] };
  /** An address, behind `+` where strangers may write to it. */
  readonly shadows?: { readonly [name: string]: string };
  readonly lists?: { readonly [name: string]: readonly string[] };
  readonly owners?: { readonly [name: string]: string };
  readonly config?: ConfigPart;
}

async function system({ accounts, aliases, shadows, lists, owners, config: part }: Given) {
  const store = openMemoryStore();
  for (const account of accounts ?? [{ name: "alice" }, { name: "bob" }]) await addAccount(store, account);
  for (const [name, targets] of Object.entries(aliases ?? {})) {
    await store.directory.setAlias({ name, targets });
  }
  const changes: EntryChange[] = [];
  for (const [name, text] of Object.entries(shadows ?? {})) {
    const shadow = { name, address: text.replace("+", ""), inbound: text.startsWith("+"), identity: NOBODY };
    changes.push({ kind: "set-shadow", shadow });
  }
  for (const [name, members] of Object.entries(lists ?? {})) {
    const owner = owners?.[name];
    const list = { name, members, ...owner === undefined ? {} : { owner }, identity: NOBODY };
    changes.push({ kind: "set-list", list });
  }
  await store.entries.change(changes);
  const config = configOf(part ?? DIRECT);
  // Nothing else of a context is looked at here.
  const context = {
    store,
    config: () => config,
    clock: new FakeClock(1_800_000_000_000),
    srsSecret: () => undefined,
  } as unknown as Parameters<typeof checkRecipient>[1]["context"];
  const account = async (name: string) => (await store.directory.account(name))!;
  return {
    store,
    config,
    account,
    where: { directory: store.directory, config },
    recipient: async (text: string, by: { as?: string; client?: string } = {}) => {
      const as = by.as === undefined ? undefined : await account(by.as);
      const relaying = mayRelay(config, { account: as, client: by.client ?? "192.0.2.1" });
      const check = { context, announcedOctets: 0, mayRelay: relaying, sender: null };
      return short(await checkRecipient(address(text), check));
    },
    sender: async (text: string, as: string) =>
      short(
        await checkSender(address(text), { context, service: "submission", account: await account(as) }),
      ),
    verify: async (argument: string, as?: Account) =>
      short(await verifyMailbox(argument, { context, account: as })),
    expand: async (argument: string, as?: Account) =>
      short(await expandMailbox(argument, { context, account: as })),
  };
}

function address(text: string): Address {
  const parsed = parseAddress(text);
  if ("error" in parsed) throw new Error(parsed.error);
  return parsed;
}

function short(reply: Reply | undefined): string {
  return reply === undefined ? "ok" : `${reply.code} ${reply.enhanced} ${reply.lines.join(" | ")}`;
}

Deno.test("findDestination() follows shadows, lists and users' forwarding", async () => {
  const { where } = await system({
    accounts: [
      { name: "alice" },
      { name: "bob", forward: { to: ["bob@home.example"], keep: false } },
      { name: "carol", forward: { to: ["carol@home.example"], keep: true } },
    ],
    shadows: { dan: "+dan@a.example" },
    lists: {
      staff: ["alice", "bob", "carol", "dan", "x@a.example", "night"],
      night: ["y@a.example", "alice"],
    },
    owners: { staff: "alice", night: "night-owner@b.example" },
  });
  const found = async (recipient: string) => {
    const destination = await findDestination(recipient, where);
    return {
      accounts: destination.accounts.map(({ name }) => name),
      forwards: destination.forwards.map(({ recipient, list }) =>
        formatAddress(recipient) + (list === undefined ? "" : ` of ${list.name} kept by ${list.owner}`)
      ),
      named: destination.named?.kind,
      list: destination.list,
      closed: destination.closed,
      problem: destination.problem,
    };
  };
  const none = { accounts: [], forwards: [], list: "no", closed: "no", problem: "" };
  assertEquals(await found("dan@example.org"), { ...none, forwards: ["dan@a.example"], named: "shadow" });
  assertEquals(await found("bob@example.org"), { ...none, forwards: ["bob@home.example"], named: "account" });
  assertEquals(await found("carol@example.org"), {
    ...none,
    accounts: ["carol"],
    forwards: ["carol@home.example"],
    named: "account",
  });
  assertEquals(await found("staff@example.org"), {
    ...none,
    accounts: ["alice", "carol"],
    forwards: [
      "x@a.example of staff kept by alice",
      "bob@home.example of staff kept by alice",
      "carol@home.example of staff kept by alice",
      "dan@a.example of staff kept by alice",
      "y@a.example of night kept by night-owner@b.example",
    ],
    named: "list",
    list: "yes",
  });
  assertEquals(await found("x@a.example"), { ...none, forwards: ["x@a.example"], named: undefined });
});

Deno.test("findDestination() says that a list has no members", async () => {
  const { where, recipient } = await system({ lists: { none: [] } });
  const { problem, refusal, list } = await findDestination("none@example.org", where);
  assertEquals([problem, short(refusal), list], [
    "none has no members",
    "550 5.2.4 That mailing list has no members",
    "yes",
  ]);
  assertEquals(await recipient("none@example.org"), short(replies.emptyList));
});

Deno.test("listOwnerAddress() is an address, at our first domain where only a name is given", () => {
  const config = configOf();
  assertEquals(listOwnerAddress("carol@b.example", config), "carol@b.example");
  assertEquals(listOwnerAddress("carol", config), "carol@example.org");
  assertEquals(listOwnerAddress(undefined, config), "postmaster@example.org");
  // What a name can't be leads to somebody all the same.
  for (const bad of ["", "a b", "a\r\nb", "@"]) {
    assertEquals(listOwnerAddress(bad, config), "postmaster@example.org");
  }
  assertEquals(listOwnerAddress("carol", configOf({ domains: [] })), "carol@mail.example.org");
});

Deno.test("gatewayDomains() gives each gateway a domain, its own or below our first", () => {
  assertEquals(gatewayDomains(configOf(MHS)), [{ name: "mhs", domain: "mhs.example.org", accept: "users" }]);
  assertEquals(gatewayDomains(configOf({ ...MHS, domains: [] }))[0]!.domain, "mhs.mail.example.org");
  assertEquals(gatewayDomains(configOf()), []);
});

Deno.test("checkRecipient() lets strangers write to a shadow where it is open, and to what an operator put before it", async () => {
  const clients = [{ family: "ipv4", address: "10.1.0.0", prefixBits: 16 }] as const;
  const buffer = { host: "unix.example", acceptFrom: clients };
  const closed = short(replies.closedToStrangers);
  for (const mode of ["direct", "buffer", "combined"] as const) {
    const { recipient } = await system({
      shadows: { shut: "x@a.example", open: "+x@a.example" },
      aliases: { viaalias: ["shut"] },
      lists: { vialist: ["shut"] },
      config: { relay: { mode, buffer, clients } },
    });
    const by = { stranger: {}, user: { as: "alice" }, trusted: { client: "10.1.2.3" } };
    for (const [who, how] of Object.entries(by)) {
      for (const name of ["open", "viaalias", "vialist"]) {
        assertEquals(await recipient(`${name}@example.org`, how), "ok", `${mode} ${who} ${name}`);
      }
      for (const name of ["shut@example.org", "SHUT+x@example.net"]) {
        assertEquals(
          await recipient(name, how),
          who === "stranger" ? closed : "ok",
          `${mode} ${who} ${name}`,
        );
      }
    }
  }
});

Deno.test("checkRecipient() tells strangers of a closed shadow the same wherever it leads", async () => {
  // On an intranet it leads nowhere.
  const { recipient } = await system({ shadows: { shut: "x@a.example" }, config: {} });
  assertEquals(await recipient("shut@example.org"), short(replies.closedToStrangers));
  assertEquals((await recipient("shut@example.org", { as: "alice" })).slice(0, 9), "550 5.7.1");
});

Deno.test("checkRecipient() lets those who may relay use a gateway, and anyone where it says so", async () => {
  const open: ConfigPart = {
    gateways: { filedrop: [{ ...MHS.gateways!.filedrop![0]!, accept: "anyone" }] },
  };
  for (const mode of ["direct", "intranet", "buffer", "combined"] as const) {
    const relay = { mode, buffer: { host: "unix.example" } };
    const users = await system({ shadows: { dan: "+d@x.mhs.example.org" }, config: { ...MHS, relay } });
    assertEquals(await users.recipient("a@sales.mhs.example.org"), DENIED, mode);
    assertEquals(await users.recipient("a@sales.mhs.example.org", { as: "alice" }), "ok");
    // A shadow on a gateway is as open as it was made.
    assertEquals(await users.recipient("dan@example.org"), "ok");
    const anyone = await system({ config: { ...open, relay } });
    assertEquals(await anyone.recipient("a@sales.mhs.example.org"), "ok", mode);
  }
});

Deno.test("checkRecipient() takes mail for a user with a full maildrop whose mail goes elsewhere too", async () => {
  const quota = { quotaOctets: 1, quotaMessages: 0 };
  const { recipient, account, store, config } = await system({
    accounts: [
      { name: "full", ...quota },
      { name: "both", ...quota, forward: { to: ["x@a.example"], keep: true } },
    ],
  });
  const room = (octets: number, name: string) =>
    account(name).then((account) => hasRoom(account, { maildrops: store.maildrops, config, octets }));
  assertEquals([await room(1, "full"), await room(2, "full")], ["yes", "no"]);
  assertEquals(await recipient("both@example.org"), "ok");
});

Deno.test("checkSender() lets nobody send as a list, a shadow or a user whose mail they get", async () => {
  const refused = short(replies.senderNotYours);
  const { sender } = await system({
    accounts: [
      { name: "alice", forward: { to: ["bob"], keep: false } },
      { name: "bob" },
      { name: "carol", forward: { to: ["x@a.example"], keep: false } },
    ],
    shadows: { shade: "+bob@example.org" },
    lists: { staff: ["bob"], postmaster: ["alice"] },
    aliases: { sales: ["bob"], inner: ["staff", "shade"] },
  });
  for (const name of ["alice", "shade", "staff", "inner", "postmaster"]) {
    assertEquals(await sender(`${name}@example.org`, "bob"), refused, name);
  }
  assertEquals(await sender("postmaster@example.org", "alice"), refused);
  for (const name of ["bob", "sales", "bob+x"]) {
    assertEquals(await sender(`${name}@example.org`, "bob"), "ok", name);
  }
  // Who sends mail on keeps the address.
  for (const name of ["alice", "carol"]) assertEquals(await sender(`${name}@example.org`, name), "ok");
});

Deno.test("verifyMailbox() knows shadows and lists, and expandMailbox() who is in them", async () => {
  const { verify, expand, account } = await system({
    accounts: [{ name: "alice", forward: { to: ["secret@home.example"], keep: false } }, { name: "bob" }],
    shadows: { dan: "dan@a.example" },
    lists: { staff: ["alice", "night", "dan"], night: ["bob", "y@a.example"] },
    config: { ...DIRECT, ...MHS },
  });
  const bob = await account("bob");
  for (const name of ["dan", "staff", "alice"]) {
    assertEquals(await verify(name, bob), `250 2.1.5 ${name}@example.org`);
  }
  assertEquals(
    await expand("staff", bob),
    "250 2.1.5 <alice@example.org> | <bob@example.org> | <y@a.example> | <dan@a.example>",
  );
  // Where a user's mail goes on to is nobody else's business.
  assertEquals(await expand("alice", bob), "250 2.1.5 <alice@example.org>");
  for (const name of ["dan", "staff", "nobody"]) {
    assertEquals(await verify(name), short(replies.cannotVerify));
    assertEquals((await expand(name)).slice(0, 9), "550 5.7.1");
  }
  assertEquals(await verify("a@mhs.example.org", bob), short(replies.cannotVerify));
  assertEquals(await expand("a@mhs.example.org", bob), short(replies.cannotVerify));
});

Deno.test("a shadow on the wire is closed to strangers and open to users, and a list is told to users alone", async () => {
  await serving({ config: DIRECT }, async ({ store, hello, authenticated }) => {
    await store.entries.change([
      {
        kind: "set-shadow",
        shadow: { name: "shut", address: "x@a.example", inbound: false, identity: NOBODY },
      },
      {
        kind: "set-shadow",
        shadow: { name: "open", address: "x@a.example", inbound: true, identity: NOBODY },
      },
      { kind: "set-list", list: { name: "staff", members: ["alice", "shut", "bob"], identity: NOBODY } },
    ]);
    const stranger = await hello();
    await stranger.expect(250, "MAIL FROM:<eve@b.example>");
    const sentence = "5.7.1 That name takes mail from users of this system only";
    await stranger.expect(550, "RCPT TO:<shut@example.org>", sentence);
    for (const name of ["open", "staff"]) await stranger.expect(250, `RCPT TO:<${name}@example.org>`);
    await stranger.expect(250, "RSET");
    await stranger.expect(550, "EXPN staff");
    const user = await authenticated("submission");
    await user.expect(250, "MAIL FROM:<alice@example.org>");
    await user.expect(250, "RCPT TO:<shut@example.org>");
    await user.expect(250, "RSET");
    assertEquals((await user.expect(250, "EXPN staff")).lines.map((line) => line.replace("2.1.5 ", "")), [
      "<alice@example.org>",
      "<bob@example.org>",
      "<x@a.example>",
    ]);
    await user.expect(550, "MAIL FROM:<staff@example.org>");
  });
});
