/**
 * Mail for people outside by names here, and for users here who want it elsewhere: shadows and users' forwarding.
 *
 * @module
 */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { bodyOf, DOMAIN, field, message, pause } from "./harness.ts";
import { loggedIn, submit, untilStates } from "./peers/direct.ts";
import { outside, pathOf, untilTaken } from "./peers/outside.ts";
import { readReport } from "./peers/report.ts";

const SHADOW = ["directory", "add", "bobl", "--to", "Bob.Lee@partner.test"];
const refusesRecipients = (command: string): string | undefined => {
  if (command.startsWith("RCPT")) return "550 5.1.1 Nobody here has that name";
  return command === "DATA" ? "554 5.5.1 No valid recipients" : undefined;
};

// ---------------------------------------------------------------- shadows

outside("shadow: a user's mail goes to the person outside, and the answer comes back", {}, async (
  { server, partner },
) => {
  await server.mustCli([...SHADOW, "--display-name", "Bob Lee"]);
  const body = "Gr\xc3\xbc\xc3\x9fe, dear Bob.\r\n.\r\n..\r\nno end";
  const data = message({
    subject: "Lunch",
    from: `Alice <alice@${DOMAIN}>`,
    to: `bobl@${DOMAIN}`,
    body: `${body}\r\n`,
  });
  const id = await submit(server, { to: `bobl@${DOMAIN}`, data, mail: " BODY=8BITMIME" });
  const [taken] = await untilTaken(partner, 1);
  // The sender is of our own domain, so that nothing has to be rewritten.
  assertEquals(pathOf(taken!.mail), `alice@${DOMAIN}`);
  assertEquals(taken!.rcpts.map(pathOf), ["Bob.Lee@partner.test"]);
  // RFC 3461 4.2: who is told of the outcome knows the name that was written.
  assertStringIncludes(taken!.rcpts[0]!, `ORCPT=rfc822;bobl@${DOMAIN}`);
  assertEquals(bodyOf(taken!.data), `${body}\r\n`);
  assertEquals(field(taken!.data, "To"), `bobl@${DOMAIN}`);
  const trace = await untilStates(server, id, ["expanded", "relayed"]);
  assertEquals(trace.recipients.map(({ recipient }) => recipient), [
    `bobl@${DOMAIN}`,
    "Bob.Lee@partner.test",
  ]);

  const asked = field(taken!.data, "Message-ID")!;
  const answer = message({
    subject: "Re: Lunch",
    from: "Bob Lee <Bob.Lee@partner.test>",
    to: `alice@${DOMAIN}`,
  });
  await server.send({
    from: "Bob.Lee@partner.test",
    to: `alice@${DOMAIN}`,
    data: `In-Reply-To: ${asked}\r\n${answer}`,
  });
  const [arrived] = await server.mail("alice", 1);
  assertEquals(field(arrived!, "Return-Path"), "<Bob.Lee@partner.test>");
  assertEquals(field(arrived!, "In-Reply-To"), asked);
});

outside(
  "shadow: a note from the command line goes to the person outside",
  {},
  async ({ server, partner }) => {
    await server.mustCli(SHADOW);
    await server.mustCli(["mail", "send", "--user", "alice"], {
      stdin: "/TO BOBL\n/SUBJECT From a terminal\n\nIt is typed here.\n",
    });
    const [taken] = await untilTaken(partner, 1);
    assertEquals(pathOf(taken!.mail), `alice@${DOMAIN}`);
    assertEquals(taken!.rcpts.map(pathOf), ["Bob.Lee@partner.test"]);
    assertEquals(field(taken!.data, "Subject"), "From a terminal");
    assertStringIncludes(bodyOf(taken!.data), "It is typed here.");
  },
);

outside("shadow: strangers reach it only while it is open to them, by a sender rewritten", {}, async (
  { server, partner, elsewhere },
) => {
  await server.mustCli(SHADOW);
  const wire = await server.connect("smtp");
  await wire.expect(250, "EHLO mx.elsewhere.test");
  await wire.expect(250, "MAIL FROM:<carol@elsewhere.test>");
  const refused = await wire.expect(550, `RCPT TO:<bobl@${DOMAIN}>`, "5.7.1");
  // What is behind the name is not a stranger's business.
  assert(!refused.lines.join(" ").includes("partner"), refused.lines.join(" "));
  await wire.expect(221, "QUIT");
  wire.close();

  // Read anew by the server that runs.
  assertEquals(
    await server.mustCli(["directory", "set", "bobl", "--inbound"]),
    "Changed bobl. Its mail goes to Bob.Lee@partner.test.\n",
  );
  const data = message({ subject: "From afar", from: "carol@elsewhere.test", to: `bobl@${DOMAIN}` });
  await server.send({ from: "carol@elsewhere.test", to: `bobl@${DOMAIN}`, data });
  const [taken] = await untilTaken(partner, 1);
  assertMatch(pathOf(taken!.mail), /^SRS0=[^@]+=elsewhere\.test=carol@example\.test$/);
  assertEquals(taken!.rcpts.map(pathOf), ["Bob.Lee@partner.test"]);
  assertEquals(field(taken!.data, "From"), "carol@elsewhere.test");

  // What the partner's system reports afterwards finds its way to who sent it.
  await server.send({
    from: "",
    to: pathOf(taken!.mail),
    data: message({ subject: "Undelivered", from: "postmaster@partner.test" }),
  });
  const [report] = await untilTaken(elsewhere, 1);
  assertEquals(pathOf(report!.mail), "");
  assertEquals(report!.rcpts.map(pathOf), ["carol@elsewhere.test"]);

  await server.mustCli(["directory", "set", "bobl", "--no-inbound"]);
  const again = await server.connect("smtp");
  await again.expect(250, "EHLO mx.elsewhere.test");
  await again.expect(250, "MAIL FROM:<carol@elsewhere.test>");
  await again.expect(550, `RCPT TO:<bobl@${DOMAIN}>`, "5.7.1");
  again.close();
});

outside("shadow: what is refused outside is reported by the name that its sender wrote", {
  needs: ["python3"],
  answer: refusesRecipients,
}, async ({ server, partner, elsewhere }) => {
  await server.mustCli([...SHADOW, "--inbound"]);
  await submit(server, { to: `bobl@${DOMAIN}`, data: message({ subject: "Refused" }) });
  const ours = await readReport((await server.mail("alice", 1))[0]!);
  assertEquals(ours.recipients.length, 1);
  assertEquals(ours.recipients[0]!["original-recipient"], `rfc822; bobl@${DOMAIN}`);
  assertEquals(ours.recipients[0]!["final-recipient"], "rfc822; Bob.Lee@partner.test");
  assertEquals(ours.recipients[0]!["action"], "failed");
  assertEquals(ours.recipients[0]!["status"], "5.1.1");
  assertStringIncludes(ours.text, `bobl@${DOMAIN}`);

  await server.send({
    from: "carol@elsewhere.test",
    to: `bobl@${DOMAIN}`,
    data: message({ subject: "Refused too" }),
  });
  const [taken] = await untilTaken(elsewhere, 1);
  assertEquals(pathOf(taken!.mail), "");
  assertEquals(taken!.rcpts.map(pathOf), ["carol@elsewhere.test"]);
  const theirs = await readReport(taken!.data);
  assertEquals(theirs.recipients[0]!["original-recipient"], `rfc822; bobl@${DOMAIN}`);
  assertEquals(theirs.recipients[0]!["action"], "failed");
  assertEquals(partner.messages, []);
});

// ---------------------------------------------------------------- users' forwarding

outside("forward: to the outside, with and without a copy here", {}, async ({ server, partner }) => {
  await server.mustCli(["user", "set", "bob", "--forward", "bob@partner.test"]);
  const away = message({ subject: "Away", to: `bob@${DOMAIN}` });
  await server.send({ from: "carol@elsewhere.test", to: `bob@${DOMAIN}`, data: away });
  const [first] = await untilTaken(partner, 1);
  assertEquals(first!.rcpts.map(pathOf), ["bob@partner.test"]);
  assertMatch(pathOf(first!.mail), /^SRS0=.*=elsewhere\.test=carol@example\.test$/);
  await server.mail("bob", 0);

  await server.mustCli(["user", "set", "bob", "--forward-keep"]);
  const id = await submit(server, { to: `bob@${DOMAIN}`, data: message({ subject: "Both" }) });
  const [, second] = await untilTaken(partner, 2);
  assertEquals(pathOf(second!.mail), `alice@${DOMAIN}`);
  const [kept] = await server.mail("bob", 1);
  assertEquals(field(kept!, "Subject"), "Both");
  assertEquals(field(kept!, "Return-Path"), `<alice@${DOMAIN}>`);
  const trace = await untilStates(server, id, ["expanded", "relayed"]);
  assertEquals(trace.recipients[0]!.maildrops.map(({ account }) => account), ["bob"]);

  await server.mustCli(["user", "set", "bob", "--no-forward"]);
  await submit(server, { to: `bob@${DOMAIN}`, data: message({ subject: "Here again" }) });
  await server.mail("bob", 2);
  assertEquals(partner.messages.length, 2);
});

outside("forward: to another user, who gets it once whatever else was said", {}, async ({ server }) => {
  await server.mustCli(["user", "set", "bob", "--forward", "alice"]);
  // To alice herself too: she is one person.
  await server.send({ to: [`bob@${DOMAIN}`, `alice@${DOMAIN}`], data: message({ subject: "One copy" }) });
  await server.mail("alice", 1);
  await server.mail("bob", 0);
  await server.mustCli(["user", "set", "bob", "--forward-keep"]);
  await server.send({ to: `bob@${DOMAIN}`, data: message({ subject: "Two people" }) });
  await server.mail("alice", 2);
  await server.mail("bob", 1);
});

outside("forward: a circle is refused, and one that grows by later changes loses no mail", {}, async (
  { server },
) => {
  await server.mustCli(["user", "set", "bob", "--forward", "alice"]);
  const refused = await server.cli(["user", "set", "alice", "--forward", "bob"]);
  assertEquals(refused.code, 1);
  assertEquals(
    refused.stderr,
    "emsmail: mail would go round in a circle: alice > bob > alice; leave one of these out\n",
  );
  const itself = await server.cli(["user", "set", "bob", "--forward", `bob@${DOMAIN}`]);
  assertEquals(itself.code, 1);
  assertMatch(itself.stderr, /in a circle: bob > bob/);

  // A user who is gone leaves nobody to send to: the mail stays with who sent it on.
  await server.addUser("carol");
  await server.mustCli(["user", "set", "alice", "--forward", "carol"]);
  await server.mustCli(["user", "remove", "carol", "--yes"]);
  await server.send({ to: `bob@${DOMAIN}`, data: message({ subject: "Not lost" }) });
  const [kept] = await server.mail("alice", 1);
  assertEquals(field(kept!, "Subject"), "Not lost");
  await pause(200);
  await server.mail("bob", 0);
});

outside(
  "forward: EXPN and the sender's rights don't follow where a user's mail goes",
  {},
  async ({ server }) => {
    await server.mustCli(["user", "set", "bob", "--forward", "bob@partner.test"]);
    const wire = await loggedIn(server);
    const { lines } = await wire.expect(250, "EXPN bob");
    assertEquals(lines, ["2.1.5 <bob@example.test>"]);
    await wire.expect(250, "RSET");
    // Bob's mail going to alice doesn't let her write in his name.
    await server.mustCli(["user", "set", "bob", "--forward", "alice"]);
    const answer = await wire.smtp(`MAIL FROM:<bob@${DOMAIN}>`);
    assert(answer.code >= 500, `${answer.code} ${answer.lines.join(" ")}`);
    await wire.expect(221, "QUIT");
    wire.close();
  },
);
