/** What senders ask for, from the wire to what the store keeps. */
import { assertEquals, assertMatch } from "@std/assert";
import type { MailEvent } from "../../../src/smtp/session.ts";
import { messageRequests, originOf, SmtpTransaction } from "../../../src/server/smtp_transaction.ts";
import { collect, serving, until, type Wire } from "./fixture.ts";

const NOW_MS = Date.UTC(2026, 0, 5, 9);
const MAIL: MailEvent = {
  kind: "mail",
  reversePath: { local: "a", domain: "b.example" },
  smtpUtf8: false,
  requests: {},
};
const rcpt = (local: string) => ({ kind: "rcpt", recipient: { local, domain: "example.org" } }) as const;

// ---------------------------------------------------------------- the transaction alone

Deno.test("messageRequests() makes times absolute and leaves out what nobody asked for", () => {
  assertEquals(messageRequests({}, NOW_MS), undefined);
  assertEquals(messageRequests({ body: "8BITMIME", ret: "HDRS" }, NOW_MS), { body: "8BITMIME", ret: "HDRS" });
  assertEquals(messageRequests({ hold: { kind: "for", seconds: 60 } }, NOW_MS), {
    holdUntilMs: NOW_MS + 60_000,
  });
  assertEquals(messageRequests({ hold: { kind: "until", atMs: 5 } }, NOW_MS), { holdUntilMs: 5 });
  assertEquals(
    messageRequests({ deliverBy: { seconds: -10, mode: "notify", trace: true }, priority: 0 }, NOW_MS),
    { deliverBy: { byMs: NOW_MS - 10_000, mode: "notify", trace: true }, priority: 0 },
  );
});

Deno.test("SmtpTransaction keeps a recipient named twice once, with what was asked for it first", () => {
  const transaction = new SmtpTransaction(MAIL, { nowMs: NOW_MS });
  transaction.add(rcpt("one"));
  transaction.add({ ...rcpt("two"), requests: { notify: ["success"] } });
  transaction.add({ ...rcpt("TWO"), requests: { notify: [] } });
  transaction.add({ ...rcpt("one"), requests: { orcpt: "rfc822;x@y.example" } });
  assertEquals(transaction.envelope(), {
    reversePath: "a@b.example",
    recipients: ["one@example.org", "two@example.org"],
    smtpUtf8: false,
    recipientRequests: [undefined, { notify: ["success"] }],
  });
});

Deno.test("SmtpTransaction's envelope holds no requests where there are none", () => {
  const transaction = new SmtpTransaction({ ...MAIL, reversePath: null }, { nowMs: NOW_MS });
  transaction.add(rcpt("one"));
  assertEquals(transaction.envelope(), { reversePath: "", recipients: ["one@example.org"], smtpUtf8: false });
});

Deno.test("originOf() names the protocol as RFC 3848 and RFC 6531 do", () => {
  const transmission = (
    session: { esmtp: "yes" | "no"; tls?: string },
    account?: string,
    smtpUtf8 = false,
  ) =>
    originOf(new SmtpTransaction({ ...MAIL, smtpUtf8 }, { nowMs: NOW_MS }), {
      session: { helo: "x", tls: undefined, ...session },
      client: "192.0.2.1",
      account,
      trusted: "no",
    }).transmission;
  assertEquals(transmission({ esmtp: "no" }), "SMTP");
  assertEquals(transmission({ esmtp: "yes" }), "ESMTP");
  assertEquals(transmission({ esmtp: "yes", tls: "TLSv1.3" }), "ESMTPS");
  assertEquals(transmission({ esmtp: "yes", tls: "TLSv1.3" }, "alice"), "ESMTPSA");
  assertEquals(transmission({ esmtp: "yes" }, "alice", true), "UTF8SMTPA");
});

// ---------------------------------------------------------------- over sockets

async function send(wire: Wire, mail: string, ...recipients: string[]): Promise<void> {
  await wire.expect(250, `MAIL FROM:${mail}`);
  for (const recipient of recipients) await wire.expect(250, `RCPT TO:${recipient}`);
  await wire.expect(354, "DATA");
  await wire.write("Subject: a\r\n\r\nhello\r\n.\r\n");
  await wire.expect(250);
}

Deno.test("SmtpConnection keeps what a submission asks for", async () => {
  await serving({}, async ({ authenticated, clock, store }) => {
    const kept = collect(store);
    const wire = await authenticated("submissions");
    await clock.advance(5000);
    await send(
      wire,
      "<alice@example.org> RET=HDRS ENVID=e+2B1 BODY=8BITMIME REQUIRETLS HOLDFOR=3600 BY=7200;R MT-PRIORITY=4",
      "<alice@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;al+2Bx@example.org",
      "<bob@example.org>",
      "<alice@example.org> NOTIFY=NEVER",
    );
    await send(wire, "<alice@example.org>", "<bob@example.org> NOTIFY=NEVER");
    await until(() => kept.length === 2);
    const nowMs = NOW_MS + 5000;
    assertEquals(kept[0]!.requests, {
      ret: "HDRS",
      envid: "e+1",
      body: "8BITMIME",
      requireTls: true,
      holdUntilMs: nowMs + 3_600_000,
      deliverBy: { byMs: nowMs + 7_200_000, mode: "return" },
      priority: 4,
    });
    assertEquals(kept[0]!.recipients, ["alice@example.org", "bob@example.org"]);
    assertEquals(kept[0]!.recipientRequests, [
      { notify: ["success", "delay"], orcpt: "rfc822;al+x@example.org" },
      undefined,
    ]);
    // Nothing of it stays for the next transaction.
    assertEquals([kept[1]!.requests, kept[1]!.recipientRequests], [undefined, [{ notify: [] }]]);
  });
});

Deno.test("SmtpConnection offers holding for thirty days from now, to submissions only", async () => {
  await serving({}, async ({ authenticated, greeted, clock, store }) => {
    const kept = collect(store);
    const wire = await authenticated("submissions");
    const extensions = async (wire: Wire) =>
      (await wire.expect(250, "EHLO x")).lines.filter((line) => /^(?:FUT|MT|DSN|DEL|REQ)/.test(line));
    assertEquals(await extensions(wire), [
      "DSN",
      "DELIVERBY",
      "REQUIRETLS",
      "MT-PRIORITY MIXER",
      "FUTURERELEASE 2592000 2026-02-04T09:00:00Z",
    ]);
    await wire.expect(501, "MAIL FROM:<alice@example.org> HOLDFOR=2592001", "5.5.4");
    await wire.expect(501, "MAIL FROM:<alice@example.org> HOLDUNTIL=2026-02-04T09:00:01Z", "5.5.4");
    await send(wire, "<alice@example.org> HOLDUNTIL=2026-02-04T09:00:00Z", "<bob@example.org>");
    await until(() => kept.length === 1);
    assertEquals(kept[0]!.requests, { holdUntilMs: clock.nowMs() + 30 * 86_400_000 });

    const relay = await greeted("smtp");
    assertEquals(await extensions(relay), ["DSN", "DELIVERBY"]);
    await relay.expect(555, "MAIL FROM:<sender@example.com> HOLDFOR=60", "5.5.4");
    await relay.expect(555, "MAIL FROM:<sender@example.com> MT-PRIORITY=9", "5.5.4");
    await relay.expect(530, "MAIL FROM:<sender@example.com> REQUIRETLS", "5.7.10");
    await send(relay, "<sender@example.com> RET=FULL", "<bob@example.org> NOTIFY=FAILURE");
    await until(() => kept.length === 2);
    assertEquals([kept[1]!.requests, kept[1]!.recipientRequests], [{ ret: "FULL" }, [{
      notify: ["failure"],
    }]]);
  });
});

Deno.test("SmtpConnection relays to the outside only for those who may", async () => {
  const config = {
    relay: {
      mode: "direct",
      clients: [{ family: "ipv4", address: "127.0.0.0", prefixBits: 8 }],
    },
  } as const;
  const mail = async (wire: Wire, code: number, status: string) => {
    await wire.expect(250, "MAIL FROM:<alice@example.org>");
    const { lines } = await wire.expect(code, "RCPT TO:<x@elsewhere.example>");
    assertMatch(lines[0]!, new RegExp(`^${status} `));
    await wire.expect(250, "RCPT TO:<bob@example.org>");
  };
  await serving({ config: { relay: { mode: "direct" } } }, async ({ hello, authenticated }) => {
    await mail(await hello("smtp"), 550, "5.7.1");
    await mail(await authenticated("submissions"), 250, "2.1.5");
  });
  await serving({ config }, async ({ hello }) => mail(await hello("smtp"), 250, "2.1.5"));
});
