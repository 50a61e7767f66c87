/**
 * The seed's Figure 2, inwards: from the Internet by way of a real Postfix. And a buffer host that wants a log-in.
 *
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  bodyOf,
  DOMAIN,
  e2eBare,
  field,
  message,
  mustRun,
  PASSWORD,
  pause,
  runProgram,
  Server,
  until,
} from "./harness.ts";
import type { Postfix } from "./peers/postfix.ts";
import {
  DNS,
  ELSEWHERE,
  Figure,
  fromAlice,
  hand,
  NEEDS,
  relay,
  STRANGER,
  submit,
  traced,
  UNIX,
  UNIX_NAME,
  untilState,
} from "./peers/unix_host.ts";
import { Wire } from "./wire.ts";

// ---------------------------------------------------------------- inwards

e2eBare("buffer: mail from the Internet comes by way of Postfix, and from nobody else", {
  needs: [...NEEDS, "swaks"],
}, async () => {
  await Figure.with(relay("dump"), async (figure) => {
    const { server } = figure;
    await server.start();
    const postfix = await figure.unixHost([`* error:nothing goes out in this test`]);
    const swaks = (to: string) => [
      "swaks",
      ...["--server", UNIX, "--local-interface", STRANGER, "--from", "carol@elsewhere.test", "--to", to],
      ...["--header", "Subject: over the wall", "--body", "Hello from outside."],
    ];

    await mustRun(swaks(`alice@${DOMAIN}`));
    const [text] = await server.mail("alice", 1);
    assertEquals(bodyOf(text!).trimEnd(), "Hello from outside.");
    assertEquals(field(text!, "Return-Path"), "<carol@elsewhere.test>");
    assertMatch(
      field(text!, "Received")!,
      /^from unix\.example\.test \(.*127\.0\.4\.2.*\).*by mail\.example\.test/,
    );

    // Nobody has this address: the sender hears it from Postfix, which asked here while it listened.
    const unknown = await runProgram(swaks(`nobody@${DOMAIN}`));
    assert(unknown.code !== 0, "mail for an unknown address was taken by the buffer host");
    assertMatch(unknown.stdout, /<\*\* 550 5\.1\.1 /);
    const relayed = await runProgram(swaks("dave@third.test"));
    assertMatch(relayed.stdout, /<\*\* 554 5\.7\.1 /);
    await until("Postfix's queue to be empty", async () => (await postfix.queueIds()).length === 0);

    await strangersGetNothing(server);
    await oneReceiver(server);
    assertEquals((await server.mail("alice", 2)).length, 2);
  });
});

async function strangersGetNothing(server: Server): Promise<void> {
  for (const localAddress of ["127.0.0.1", STRANGER]) {
    const wire = await Wire.open(server.ports.smtp, "plain", { localAddress });
    await wire.expect(554, undefined, "5.7.1 ");
    for (const command of ["EHLO x.test", "MAIL FROM:<>", `RCPT TO:<alice@${DOMAIN}>`, "DATA", "STARTTLS"]) {
      // RFC 5321 3.1: after a greeting of 554 there is nothing but QUIT.
      await wire.expect(503, command);
    }
    await wire.expect(221, "QUIT");
    assertEquals(await wire.rest(), "");
    wire.close();
  }
}

async function oneReceiver(server: Server): Promise<void> {
  const open = () => Wire.open(server.ports.smtp, "plain", { localAddress: UNIX });
  const first = await open();
  await first.expect(220);
  const second = await open();
  await second.expect(421);
  assertEquals(await second.rest(), "");
  // The users' listeners have receivers of their own.
  await submit(server, [fromAlice("to myself", `alice@${DOMAIN}`)]);
  await first.expect(221, "QUIT");
  const third = await open();
  await third.expect(220);
  await third.expect(221, "QUIT");
  for (const wire of [first, second, third]) wire.close();
}

e2eBare("buffer: what comes while the system is down waits on Postfix, and comes once", {
  needs: NEEDS,
}, async () => {
  await Figure.with(relay("dump"), async (figure) => {
    const { server } = figure;
    const postfix = await figure.unixHost([`* error:nothing goes out in this test`]);
    const first = await fillPostfix(postfix, { count: 50, subject: "waiting" });
    await server.start();
    await postfix.flush();
    assertEquals(subjectsOf(await server.mail("bob", first.length)), first.toSorted());
    await until("Postfix's queue to be empty", async () => (await postfix.queueIds()).length === 0);
    assert(
      !/ 421[ -]/.test(postfix.log()),
      "Postfix opened more than the one connection that there is for it",
    );

    // Stopped in order in the middle of a delivery: nothing is lost, and nothing comes twice.
    await server.stop();
    const second = await fillPostfix(postfix, { count: 30, subject: "stopped" });
    await server.start();
    await postfix.flush();
    await until("some of it to have come", async () => (await postfix.queueIds()).length <= 25);
    await server.stop();
    await server.start();
    await drain(postfix);
    assertEquals(subjectsOf(await server.mail("bob", 80)), [...first, ...second].toSorted());

    // The power goes in the middle of a delivery.
    await server.stop();
    const third = await fillPostfix(postfix, { count: 30, subject: "crashed" });
    await server.start();
    await postfix.flush();
    await until("some of it to have come", async () => (await postfix.queueIds()).length <= 25);
    await server.crash();
    await server.start();
    await drain(postfix);
    const subjects = subjectsOf(await arrived(server, "bob"));
    assertEquals([...new Set(subjects)], [...first, ...second, ...third].toSorted(), "something was lost");
    // One connection at a time: at most the message whose 250 the crash cut off comes twice (RFC 5321 4.1.1.4).
    assert(subjects.length <= 111, `${subjects.length} messages came`);
  });
});

/** Somebody on the Internet sends messages to bob, which stay on Postfix; gives their subjects. */
async function fillPostfix(
  postfix: Postfix,
  { count, subject }: { readonly count: number; readonly subject: string },
): Promise<string[]> {
  const subjects = Array.from({ length: count }, (_, i) => `${subject} ${i}`);
  const wire = await Wire.open(postfix.port, "plain", { host: UNIX, localAddress: STRANGER });
  await wire.expect(220);
  await wire.expect(250, "EHLO far.elsewhere.test");
  for (const each of subjects) {
    await hand(wire, { from: "carol@elsewhere.test", to: `bob@${DOMAIN}`, data: message({ subject: each }) });
  }
  await wire.expect(221, "QUIT");
  wire.close();
  await until("all of it to wait", async () => (await postfix.queueIds()).length === count);
  return subjects;
}

/** Has Postfix try what it has until nothing is left: what was under way when the system went waits for the next time. */
async function drain(postfix: Postfix): Promise<void> {
  for (let i = 0; i < 30; i++) {
    await postfix.flush();
    for (let j = 0; j < 10; j++) {
      if ((await postfix.queueIds()).length === 0) return;
      await pause(100);
    }
  }
  throw new Error(`Postfix still has ${(await postfix.queueIds()).length} messages`);
}

function subjectsOf(texts: readonly string[]): string[] {
  return texts.map((text) => field(text, "Subject")!).sort();
}

/** All that is in a maildrop. */
async function arrived(server: Server, user: string): Promise<string[]> {
  const wire = await server.pop3(user);
  const count = Number((await wire.popOk("STAT")).split(" ")[1]);
  const texts: string[] = [];
  for (let n = 1; n <= count; n++) texts.push(await wire.popBody(`RETR ${n}`));
  await wire.popOk("QUIT");
  wire.close();
  return texts;
}

// ---------------------------------------------------------------- a buffer host that wants a log-in

for (const kind of ["verified", "implicit"] as const) {
  e2eBare(`buffer: a host that wants TLS and a log-in gets both (${kind})`, {
    needs: ["dnsmasq", "smtp-sink", "root"],
  }, () => withProvider(kind, logsIn));
}

/** A second appliance is the buffer host, by its submission listeners. */
async function withProvider(
  tls: "verified" | "implicit",
  run: (figure: Figure, provider: Server) => Promise<void>,
): Promise<void> {
  const provider = await Server.create({
    users: ["office"],
    config: {
      hostname: UNIX_NAME,
      domains: ["provider.test"],
      relay: { mode: "direct" },
      dns: { servers: [DNS] },
      submission: { sendAs: "any" },
    },
  });
  try {
    await provider.start();
    const port = provider.ports[tls === "verified" ? "submission" : "submissions"];
    const passwordFile = `${provider.folder}/password`;
    await Deno.writeTextFile(passwordFile, "not the password\n");
    const buffer = { port, tls, user: "office", passwordFile };
    const config = relay("dump", { buffer: { host: UNIX_NAME, acceptFrom: [UNIX], ...buffer } });
    await Figure.with(config, (figure) => run(figure, provider));
    await provider.stop();
  } catch (error) {
    console.error(`---- the provider's output\n${await provider.output()}`);
    throw error;
  } finally {
    await provider.remove();
  }
}

async function logsIn(figure: Figure, provider: Server): Promise<void> {
  const { server } = figure;
  await figure.dns([]).then((dns) =>
    dns.replace([
      `${UNIX_NAME} A 127.0.0.1`,
      "elsewhere.test MX 10 mx.elsewhere.test",
      `mx.elsewhere.test A ${ELSEWHERE}`,
    ])
  );
  const sink = await figure.sink(ELSEWHERE);
  await server.start();
  const [id] = await submit(server, [fromAlice("by log-in", "dave@elsewhere.test")]);
  // Its certificate is its own, and nobody said that it is to be trusted: no password is said, and nothing is sent.
  const distrusted = await untilState(server, id!, "deferred");
  assertMatch(distrusted.wait!.destinationReason, /certificate/);
  assert(!/log-in/.test(await provider.output()), "a password was said to an unknown host");

  await server.stop();
  server.config["tls"] = { caFile: provider.cert };
  await server.writeConfig();
  await server.start();
  await server.mustCli(["queue", "retry", "--all"]);
  await until("the log-in to be refused", async () => {
    const { recipients } = await traced(server, id!);
    const reason = recipients[0]!.wait?.destinationReason ?? "";
    return reason.includes(
      "refuses the log-in (invalid-proof): the name or the password is not the right one",
    );
  });
  // The mistake is the operator's: the mail waits, and nobody is sent a bounce.
  assertEquals((await traced(server, id!)).recipients[0]!.state, "deferred");
  assertEquals(await arrived(server, "alice"), []);
  const shown = await server.mustCli(["queue", "show", id!]);
  assert(!shown.includes("not the password") && !shown.includes(btoa("\0office\0not the password")), shown);

  await Deno.writeTextFile(`${provider.folder}/password`, `${PASSWORD}\n`);
  await server.mustCli(["queue", "retry", "--all"]);
  const [text] = await sink.until(1);
  assertMatch(text!, /^Subject: by log-in$/m);
  const entry = await untilState(server, id!, "handed");
  const theirs = /Accepted as (\S+)/.exec(entry.detail)?.[1] ?? entry.detail;
  const told = JSON.parse(await provider.mustCli(["trace", theirs, "--json"]));
  const [seen] = [told].flat() as { account: string; tls: string | null }[];
  assertEquals(seen!.account, "office");
  assert(seen!.tls !== null);
}
