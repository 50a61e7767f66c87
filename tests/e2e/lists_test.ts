/**
 * Distribution lists: who gets what is sent to one, how often, from whom, and who is told what became of it.
 *
 * @module
 */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { UserUsage } from "../../src/admin/users.ts";
import { bodyOf, DOMAIN, field, message, PASSWORD, pause, type Server, until } from "./harness.ts";
import { loggedIn, submit as submitAs, untilStates } from "./peers/direct.ts";
import { submit } from "./peers/outbound.ts";
import { outside, pathOf, untilTaken } from "./peers/outside.ts";
import { readReport } from "./peers/report.ts";

const LOCAL = 250;
const OUTSIDE = 240;
/** Of the list within the list, beside those that are in both. */
const NESTED = 5;
/** RFC 5321 4.5.3.1.8: hosts take 100 recipients at least, and no more are given to them at once. */
const RECIPIENTS_AT_ONCE = 100;
/** The member outside whom the host refuses. */
const REFUSED = "m7@partner.test";
/** How long all members may take to have the message, in milliseconds; measured at half a second on two cores. */
const EVERYBODY_MS = 15_000;

const numbers = (count: number, from = 1): number[] => Array.from({ length: count }, (_, i) => from + i);
const users = numbers(LOCAL).map((n) => `u${n}`);
const people = numbers(OUTSIDE).map((n) => `m${n}@partner.test`);
const newUsers = numbers(NESTED, LOCAL + 1).map((n) => `u${n}`);
const newPeople = numbers(NESTED, OUTSIDE + 1).map((n) => `m${n}@partner.test`);
const inner = [...newUsers, ...newPeople, ...users.slice(0, 5), ...people.slice(0, 5)];

/** 500 people in one list, ten of them by a list within it that also has ten more of the first list's. */
async function makeLists(server: Server): Promise<void> {
  const rows = [
    "kind,name,members,owner",
    ...[...users, ...newUsers].map((name) => `user,${name},,`),
    `list,inner,${inner.join(";")},u1`,
    `list,everybody,${[...users, ...people, "inner"].join(";")},bob`,
  ];
  const said = await server.mustCli(["directory", "import", "-", "--format", "csv"], {
    stdin: rows.join("\n"),
  });
  assertStringIncludes(said, `${LOCAL + NESTED} users and 2 lists added.`);
}

/** Messages in every user's maildrop. */
async function held(server: Server): Promise<ReadonlyMap<string, number>> {
  const all = JSON.parse(await server.mustCli(["user", "list", "--json"])) as UserUsage[];
  return new Map(all.map(({ name, messages }) => [name, messages]));
}

const refusesOne = (command: string): string | undefined =>
  command.startsWith(`RCPT TO:<${REFUSED}>`) ? "550 5.1.1 Nobody here has that name" : undefined;

outside("list of 500: each member gets it once, and only who should is told", {
  needs: ["python3"],
  answer: refusesOne,
}, async ({ server, partner }) => {
  await makeLists(server);
  await server.mustCli(["user", "passwd", "u2", "--password-stdin"], { stdin: `${PASSWORD}\n` });
  const data = message({ subject: "To everybody", from: `alice@${DOMAIN}`, to: `everybody@${DOMAIN}` });
  const begun = performance.now();
  const id = await submit(server, {
    to: [`<everybody@${DOMAIN}> NOTIFY=SUCCESS`, `u1@${DOMAIN}`, people[1]!],
    asked: "ENVID=job17",
    data,
  });
  const given = () => partner.messages.flatMap(({ rcpts }) => rcpts.map(pathOf));
  const sent = OUTSIDE + NESTED - 1;
  await until(
    `${sent} recipients outside`,
    () => Promise.resolve(given().length >= sent),
    EVERYBODY_MS,
  );
  const tookMs = performance.now() - begun;
  console.log(`      a list of 500: everybody had it after ${Math.round(tookMs)} ms`);

  // Outside: each once, also who was named beside the list, in few transactions.
  const expected = [...people, ...newPeople].filter((address) => address !== REFUSED);
  assertEquals(given().toSorted(), expected.toSorted());
  const named = partner.messages.filter(({ mail }) => pathOf(mail) === `alice@${DOMAIN}`);
  assertEquals(named.flatMap(({ rcpts }) => rcpts.map(pathOf)), [people[1]!]);
  const byList = partner.messages.filter((each) => !named.includes(each));
  // RFC 5321 3.9.2: from who keeps the list, the inner one for who is in that alone.
  const from = (owner: string) => byList.filter(({ mail }) => pathOf(mail) === `${owner}@${DOMAIN}`);
  assertEquals(from("u1").flatMap(({ rcpts }) => rcpts.map(pathOf)).toSorted(), newPeople.toSorted());
  assertEquals(from("u1").length, 1);
  assertEquals(from("bob").length, Math.ceil((OUTSIDE - 1) / RECIPIENTS_AT_ONCE));
  assertEquals(from("bob").length + from("u1").length, byList.length);
  // RFC 3461 5.2.7.1: what the sender asked for ends here.
  for (const { mail, rcpts, data: content } of byList) {
    assert(!mail.includes("ENVID"), mail);
    for (const rcpt of rcpts) {
      assertMatch(rcpt, / NOTIFY=FAILURE$/);
      assert(!rcpt.includes("ORCPT"), rcpt);
    }
    assertEquals(bodyOf(content), bodyOf(data));
    assertEquals(field(content, "From"), `alice@${DOMAIN}`);
  }

  // Here: each once, from who keeps the list.
  const counts = await held(server);
  for (const user of [...users, ...newUsers]) assertEquals(counts.get(user), 1, user);
  const [copy] = await server.mail("u2", 1);
  assertEquals(field(copy!, "Return-Path"), `<bob@${DOMAIN}>`);
  assertEquals(field(copy!, "From"), `alice@${DOMAIN}`);

  // The sender hears once that the list has it, and nothing of the member whose host refused.
  const [delivered] = await server.mail("alice", 1);
  const good = await readReport(delivered!);
  assertEquals(good.recipients.length, 1);
  assertEquals(good.recipients[0]!["action"], "delivered");
  assertEquals(good.recipients[0]!["final-recipient"], `rfc822; everybody@${DOMAIN}`);
  assertEquals(good.message["original-envelope-id"], "job17");
  const [failed] = await server.mail("bob", 1);
  const bad = await readReport(failed!);
  assertEquals(bad.recipients.length, 1);
  assertEquals(bad.recipients[0]!["action"], "failed");
  assertEquals(bad.recipients[0]!["final-recipient"], `rfc822; ${REFUSED}`);
  assertEquals(bad.recipients[0]!["original-recipient"], undefined);
  assertEquals(bad.message["original-envelope-id"], undefined);
  await pause(300);
  await server.mail("alice", 1);
  await server.mail("bob", 1);
  const trace = await server.mustCli(["trace", id]);
  assertStringIncludes(trace, `everybody@${DOMAIN}`);
});

outside("list: EXPN names each member once to those who logged in, and nobody to strangers", {}, async (
  { server },
) => {
  await makeLists(server);
  const wire = await loggedIn(server);
  const { lines } = await wire.expect(250, "EXPN everybody");
  const shown = lines.map((line) => /<([^>]*)>/.exec(line)![1]!);
  const expected = [...[...users, ...newUsers].map((name) => `${name}@${DOMAIN}`), ...people, ...newPeople];
  assertEquals(shown.toSorted(), expected.toSorted());
  await wire.expect(221, "QUIT");
  wire.close();
  const stranger = await server.connect("smtp");
  await stranger.expect(250, "EHLO mx.elsewhere.test");
  const answer = await stranger.smtp("EXPN everybody");
  assert(answer.code >= 500, String(answer.code));
  assertEquals(answer.lines.length, 1);
  stranger.close();
});

outside("list: strangers may write to it, and what comes back later goes to who keeps it", {}, async (
  { server, partner, elsewhere },
) => {
  await server.mustCli([
    ...["directory", "add", "club", "--list", "--owner", "bob"],
    ...["--member", "alice", "--member", "ann@partner.test"],
  ]);
  await server.send({
    from: "carol@elsewhere.test",
    to: `club@${DOMAIN}`,
    data: message({ subject: "From afar" }),
  });
  const [taken] = await untilTaken(partner, 1);
  assertEquals(pathOf(taken!.mail), `bob@${DOMAIN}`);
  await server.mail("alice", 1);
  await server.send({ from: "", to: pathOf(taken!.mail), data: message({ subject: "Undelivered" }) });
  const [late] = await server.mail("bob", 1);
  assertEquals(field(late!, "Subject"), "Undelivered");
  assertEquals(elsewhere.messages, []);

  // RFC 5321 4.5.5: nobody is told of a notification, not even who keeps the list.
  await server.send({ from: "", to: `club@${DOMAIN}`, data: message({ subject: "A report" }) });
  const [, report] = await untilTaken(partner, 2);
  assertEquals(pathOf(report!.mail), "");
});

outside("list: one without an owner is postmaster's, and nobody sends in its name", {}, async (
  { server, partner },
) => {
  await server.mustCli(["directory", "add", "club", "--list", "--member", "ann@partner.test"]);
  await submitAs(server, { to: `club@${DOMAIN}`, data: message({ subject: "Hello" }) });
  const [taken] = await untilTaken(partner, 1);
  assertEquals(pathOf(taken!.mail), `postmaster@${DOMAIN}`);
  await server.mustCli(["directory", "set", "club", "--add-member", "alice"]);
  const wire = await loggedIn(server);
  const answer = await wire.smtp(`MAIL FROM:<club@${DOMAIN}>`);
  assert(answer.code >= 500, `${answer.code} ${answer.lines.join(" ")}`);
  wire.close();
});

outside("list: a circle is refused, and members with forwarding end it where one comes about", {}, async (
  { server },
) => {
  await server.mustCli(["directory", "add", "one", "--list", "--member", "alice"]);
  await server.mustCli(["directory", "add", "two", "--list", "--member", "one"]);
  const refused = await server.cli(["directory", "set", "one", "--add-member", "two"]);
  assertEquals(refused.code, 1);
  assertEquals(
    refused.stderr,
    "emsmail: mail would go round in a circle: one > two > one; leave one of these out\n",
  );
  const back = await server.cli(["user", "set", "alice", "--forward", "two"]);
  assertEquals(back.code, 1);
  assertMatch(back.stderr, /in a circle: alice > two > one > alice/);
  await server.send({ to: [`one@${DOMAIN}`, `two@${DOMAIN}`], data: message({ subject: "Once" }) });
  await server.mail("alice", 1);
});

outside("list: an empty one refuses mail, and takes it from its first member on", {}, async ({ server }) => {
  await server.mustCli(["directory", "add", "nobody-yet", "--list"]);
  const wire = await server.connect("smtp");
  await wire.expect(250, "EHLO mx.elsewhere.test");
  await wire.expect(250, "MAIL FROM:<carol@elsewhere.test>");
  await wire.expect(550, `RCPT TO:<nobody-yet@${DOMAIN}>`);
  await server.mustCli(["directory", "set", "nobody-yet", "--add-member", "alice"]);
  await wire.expect(250, `RCPT TO:<nobody-yet@${DOMAIN}>`);
  wire.close();
});

outside("list: a person who is a member by two names, and named besides, gets one copy", {}, async (
  { server, partner },
) => {
  await server.mustCli(["directory", "add", "bobl", "--to", "Bob.Lee@partner.test"]);
  await server.mustCli([
    ...["directory", "add", "club", "--list", "--owner", "bob"],
    ...["--member", "bobl", "--member", "Bob.Lee@partner.test"],
  ]);
  const id = await submitAs(server, {
    to: [`club@${DOMAIN}`, `bobl@${DOMAIN}`],
    data: message({ subject: "Once" }),
  });
  await untilTaken(partner, 1);
  await untilStates(server, id, ["expanded", "expanded", "relayed"]);
  await pause(200);
  assertEquals(partner.messages.length, 1);
  assertEquals(partner.messages[0]!.rcpts.map(pathOf), ["Bob.Lee@partner.test"]);
});
