/**
 * The seed's Figure 2, outwards: everything to a real Postfix, or only what DNS knows no host for.
 *
 * @module
 */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { DOMAIN, e2eBare, field, message, type Server, until } from "./harness.ts";
import type { Postfix } from "./peers/postfix.ts";
import type { Sink } from "./peers/sink.ts";
import {
  ELSEWHERE,
  Figure,
  fromAlice,
  type Mail,
  NEEDS,
  REFUSING,
  relay,
  submit,
  traced,
  UNIX,
  UNIX_NAME,
  untilState,
} from "./peers/unix_host.ts";

interface Listed {
  readonly recipient: string;
  readonly state: string;
}

/** Runs of smtpd that took mail, as Postfix counts them at the end of each connection: messages in each. */
function connectionsWithMail(log: string): number[] {
  return [...log.matchAll(/smtpd\[\d+\]: disconnect from .*? mail=(\d+)/g)].map(([, count]) => Number(count));
}

// ---------------------------------------------------------------- outwards, dump

e2eBare("buffer dump: everything goes to Postfix over a few kept connections, and is handed on", {
  needs: NEEDS,
}, async () => {
  await Figure.with(relay("dump"), async (figure) => {
    const { server } = figure;
    const dns = await figure.dns([`elsewhere.test MX 10 mx.elsewhere.test`]);
    const sink = await figure.sink(ELSEWHERE);
    const postfix = await figure.unixHost([`* smtp:[${ELSEWHERE}]:25`]);
    await server.start();
    const mails = Array.from({ length: 100 }, (_, i) => fromAlice(`number ${i}`, `user${i}@elsewhere.test`));
    const ids = await submit(server, mails);
    const texts = await sink.until(100);
    const subjects = texts.map((text) => /^Subject: (.*)$/m.exec(text)![1]!);
    assertEquals(new Set(subjects), new Set(mails.map((_, i) => `number ${i}`)));
    const body = (text: string) => text.slice(text.indexOf("\n\n", text.indexOf("\nSubject:")) + 2);
    assert(texts.every((text) => /^About number \d+\.\n*$/.test(body(text))));

    const entry = await untilState(server, ids[0]!, "handed");
    assertStringIncludes(entry.acceptedBy, `${UNIX_NAME} [${UNIX}]`);
    assertMatch(entry.detail, /queued as/);
    const told = (await server.mustCli(["trace", ids[0]!])).replace(/\s+/g, " ");
    assertStringIncludes(
      told,
      `handed on for user0@elsewhere.test to the buffer host ${UNIX_NAME} [${UNIX}]: what becomes`,
    );
    const retired = JSON.parse(await server.mustCli(["queue", "list", "--retired", "--json"]));
    const listed = (retired.entries ?? retired.recipients ?? retired) as Listed[];
    assertEquals(new Set(listed.map(({ state }) => state)), new Set(["handed"]));

    let counts: number[] = [];
    await until("the connections to have ended", () => {
      counts = connectionsWithMail(postfix.log());
      return Promise.resolve(counts.reduce((sum, count) => sum + count, 0) === 100);
    });
    assert(counts.length <= 4, `100 messages took ${counts.length} connections: ${counts}`);
    // Where mail goes is the buffer host's to find out.
    assertEquals(dns.queries().filter((query) => query.includes("elsewhere.test")), []);
    await waitsForPostfix(server, { postfix, sink });
    await showsItself(server);
  });
});

async function waitsForPostfix(
  server: Server,
  { postfix, sink }: { readonly postfix: Postfix; readonly sink: Sink },
): Promise<void> {
  await postfix.halt();
  const [id] = await submit(server, [fromAlice("later", "later@elsewhere.test")]);
  const entry = await untilState(server, id!, "deferred");
  assertMatch(entry.wait!.destinationReason, /refused/);
  assertEquals((await sink.messages()).length, 100);
  await postfix.start();
  await server.mustCli(["queue", "retry", "--all"]);
  await sink.until(101);
  await untilState(server, id!, "handed");
}

async function showsItself(server: Server): Promise<void> {
  const figure = (await server.mustCli(["topology"])).replace(/[│┌┐└┘─▲▼╳◀▶┴┬]+/g, " ").replace(/\s+/g, " ");
  for (
    const words of [
      "Internet Buffer host",
      UNIX_NAME,
      "nothing goes",
      "SMTP, all mail",
      "relay mode buffer, outbound dump; receivers: 1",
    ]
  ) assertStringIncludes(figure, words);
  const outside = (await server.mustCli(["route", "dave@third.test"])).replace(/\s+/g, " ");
  assertStringIncludes(outside, "Rule buffer dump");
  assertStringIncludes(outside, `Next hop ${UNIX_NAME}, port 25`);
  const inside = (await server.mustCli(["route", `bob@${DOMAIN}`])).replace(/\s+/g, " ");
  assertStringIncludes(inside, "Rule our-domains");
}

e2eBare("buffer dump: what Postfix can't deliver comes back from it, after the fact", {
  needs: NEEDS,
}, async () => {
  await Figure.with(relay("dump"), async (figure) => {
    const { server } = figure;
    await figure.dns([]);
    await figure.sink(REFUSING, "-f", "RCPT");
    await figure.unixHost([`* smtp:[${REFUSING}]:25`]);
    await server.start();
    const [id] = await submit(server, [fromAlice("unwanted", "nobody@refusing.test")]);
    const [bounce] = await server.mail("alice", 1);
    assertMatch(field(bounce!, "From")!, /MAILER-DAEMON@unix\.example\.test/);
    assertEquals(field(bounce!, "Return-Path"), "<>");
    assertMatch(bounce!, /^Final-Recipient: rfc822; *nobody@refusing\.test\r$/m);
    assertMatch(bounce!, /^Action: failed\r$/m);
    assertMatch(bounce!, /^Subject: unwanted\r$/m);
    // All that is known here is that Postfix took it.
    assertEquals((await traced(server, id!)).recipients[0]!.state, "handed");
  });
});

// ---------------------------------------------------------------- outwards, direct-first

e2eBare(
  "buffer direct-first: only what DNS knows no host for goes to Postfix",
  { needs: NEEDS },
  async () => {
    await Figure.with(relay("direct-first"), async (figure) => {
      const { server } = figure;
      await figure.dns([
        "there.test MX 10 mx.there.test",
        `mx.there.test A ${ELSEWHERE}`,
        "refusing.test MX 10 mx.refusing.test",
        `mx.refusing.test A ${REFUSING}`,
        "nomail.test MX 0 .",
        "down.test MX 10 mx.down.test",
        "mx.down.test A 127.0.4.99",
        "silent.test REFUSED",
      ]);
      const there = await figure.sink(ELSEWHERE);
      const behind = await figure.sink("127.0.4.6");
      await figure.sink(REFUSING, "-f", "RCPT");
      const postfix = await figure.unixHost(["* smtp:[127.0.4.6]:25"]);
      await server.start();
      const [direct, unknown, refused, nomail, down, silent] = await submit(
        server,
        ["there.test", "nowhere.test", "refusing.test", "nomail.test", "down.test", "silent.test"]
          .map((domain) => fromAlice(domain, `dave@${domain}`)),
      );
      const relayed = await untilState(server, direct!, "relayed");
      assertStringIncludes(relayed.acceptedBy, `mx.there.test [${ELSEWHERE}]`);
      assertEquals((await there.until(1)).length, 1);
      const handed = await untilState(server, unknown!, "handed");
      assertStringIncludes(handed.acceptedBy, UNIX_NAME);
      assertMatch((await behind.until(1))[0]!, /^X-Rcpt-Args: <dave@nowhere\.test>/m);

      // An explicit refusal is the answer, and the sender hears it from here.
      await untilState(server, refused!, "failed");
      await untilState(server, nomail!, "failed");
      const bounces = await server.mail("alice", 2);
      assert(bounces.every((text) => field(text, "From")!.includes(`@${DOMAIN}`)));
      const recipients = bounces.map((text) => /^Final-Recipient: rfc822; *(.*)\r$/im.exec(text)![1]).sort();
      assertEquals(recipients, ["dave@nomail.test", "dave@refusing.test"]);

      // A host that is there and doesn't answer, and a DNS that doesn't, are waited for.
      await untilState(server, down!, "deferred");
      await untilState(server, silent!, "deferred");
      await server.mustCli(["queue", "retry", "--all"]);
      await untilState(server, down!, "deferred");
      await untilState(server, silent!, "deferred");
      for (const domain of ["there", "refusing", "nomail", "down", "silent"]) {
        assert(!postfix.log().includes(`@${domain}.test`), `Postfix heard of ${domain}.test`);
      }
      const route = (await server.mustCli(["route", "dave@nowhere.test", "--probe"])).replace(/\s+/g, " ");
      assertStringIncludes(route, "Rule buffer direct-first");
      assertStringIncludes(route, UNIX_NAME);
      const drawing = (await server.mustCli(["topology", "--ascii"])).replace(/\s+/g, " ");
      assertStringIncludes(drawing, "outbound direct-first");
    });
  },
);

e2eBare("buffer: listed routes come first, then senders' routes, then the buffer host", {
  needs: NEEDS,
}, async () => {
  const lists = {
    routes: [{ domain: "plant.test", host: "127.0.4.5" }],
    senders: [{ sender: `bob@${DOMAIN}`, host: "127.0.4.4" }],
  };
  await Figure.with(relay("dump", lists), async (figure) => {
    const { server } = figure;
    await figure.dns([]);
    const [plant, bobs, behind] = [
      await figure.sink("127.0.4.5"),
      await figure.sink("127.0.4.4"),
      await figure.sink("127.0.4.6"),
    ];
    await figure.unixHost(["* smtp:[127.0.4.6]:25"]);
    await server.start();
    const to = (domain: string, user: string): Mail => ({
      to: `dave@${domain}`,
      data: message({ subject: `${user} to ${domain}`, from: `${user}@${DOMAIN}` }),
    });
    const [machine] = await submit(server, [to("plant.test", "bob"), to("far.test", "bob")], "bob");
    const [, far] = await submit(server, [to("plant.test", "alice"), to("far.test", "alice")]);
    const subjects = (texts: readonly string[]) =>
      texts.map((text) => /^Subject: (.*)$/m.exec(text)![1]!).sort();
    assertEquals(subjects(await plant.until(2)), ["alice to plant.test", "bob to plant.test"]);
    assertEquals(subjects(await bobs.until(1)), ["bob to far.test"]);
    assertEquals(subjects(await behind.until(1)), ["alice to far.test"]);
    // The plant's own system is responsible for its mail; the buffer host passes it on.
    await untilState(server, machine!, "relayed");
    await untilState(server, far!, "handed");
    const route = (await server.mustCli(["route", "dave@far.test", "--sender", `bob@${DOMAIN}`]))
      .replace(/\s+/g, " ");
    assertStringIncludes(route, "Rule relay.senders[0]");
    assertStringIncludes(route, "127.0.4.4");
  });
});
