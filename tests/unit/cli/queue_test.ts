import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { FakeClock } from "../../../src/base/clock.ts";
import { formatMessageKey } from "../../../src/mail/message_id.ts";
import { openSqliteStore, storePath } from "../../../src/store/sqlite/open.ts";
import { displayWidth } from "../../../src/cli/table.ts";
import { Outbox } from "../admin/queue_fixtures.ts";
import { Folder, mainModule, spawn } from "./fixtures.ts";

const MINUTE = 60_000;
/** A time so many minutes ahead, and half of one more for a slow machine. */
const ahead = (minutes: number) => Date.now() + minutes * MINUTE + 30_000;

/** A folder with a store, and what `fill` puts into it. Two hours ago is when its clock begins. */
async function folderWith(fill: (outbox: Outbox) => Promise<void>): Promise<Folder> {
  const folder = await Folder.make();
  await folder.run("user add alice --generate");
  const clock = new FakeClock(Date.now() - 120 * MINUTE);
  const store = await openSqliteStore({ path: storePath(folder.data), clock });
  await fill(new Outbox({ store, clock }));
  await store.close();
  return folder;
}

/** Bob and carol wait behind example.net; dave was tried with carol's host and is tried again in half an hour; erin has it. */
async function office(): Promise<{ folder: Folder; ids: string[] }> {
  const ids: string[] = [];
  const folder = await folderWith(async (outbox) => {
    const first = await outbox.accept({ to: ["bob@example.net", "carol@example.net"] });
    await outbox.attempt(first, [0, 1]);
    await outbox.defer(first, 0, {});
    await outbox.defer(first, 1, { attempts: 2 });
    await outbox.clock.advance(60 * MINUTE);
    const second = await outbox.accept({ to: ["dave@example.com"], from: "" });
    await outbox.defer(second, 0, {
      destination: "",
      dueMs: ahead(30),
      attempts: 0,
      detail: "later",
    });
    const third = await outbox.accept({ to: ["erin@example.com"] });
    await outbox.settle(third, 0, { state: "relayed", acceptedBy: "mx.example.com [192.0.2.9]:25" });
    await outbox.fails("example.net", { retryAtMs: ahead(10) });
    ids.push(...[first, second, third].map(formatMessageKey));
  });
  return { folder, ids };
}

Deno.test("queue list is a table of what waits, with a summary and the destinations that don't answer", async () => {
  const { folder, ids } = await office();
  await using _ = folder;
  const { code, out } = await folder.run("queue list");
  assertEquals(code, 0);
  assertEquals(out.split("\n"), [
    "ID            AGE  SIZE  FROM               TO                 STATE     TRIES  NEXT TRY  WHY",
    `${
      ids[0]
    }.1   2h  17 B  alice@example.org  bob@example.net    deferred      1  in 10m    451 4.3.0 try later`,
    `${
      ids[0]
    }.2   2h  17 B  alice@example.org  carol@example.net  deferred      2  in 10m    451 4.3.0 try later`,
    `${ids[1]}.1   1h  17 B  <>                 dave@example.com   deferred      0  in 30m    later`,
    "",
    "3 recipients of 2 messages wait.",
    "",
    "Destinations that don't answer:",
    "DESTINATION  WAITING  FAILURES  NEXT TRY  WHY",
    "example.net        2         3  in 10m    connection refused by 192.0.2.1:25",
    "",
  ]);
  const view = JSON.parse((await folder.run("queue list --json")).out);
  assertEquals([view.total, view.recipients.length, view.destinations.length], [3, 3, 1]);
});

Deno.test("queue list fits a terminal of 80 cells", async () => {
  const { folder } = await office();
  await using _ = folder;
  for (const words of ["queue list", "queue list --retired"]) {
    const { out } = await folder.run(words, { outIsTerminal: true, width: 80 });
    for (const line of out.split("\n")) assertEquals(displayWidth(line) <= 80, true, line);
    assertStringIncludes(out, "STATE");
  }
});

Deno.test("queue list says in a sentence that there is nothing, or that there is more", async () => {
  const { folder } = await office();
  await using _ = folder;
  const said = async (words: string) => (await folder.run(words)).out;
  assertEquals(await said("queue list --domain example.edu"), "Nothing in the queue matches.\n");
  assertEquals(
    await said("queue list --retired --state dropped"),
    "Nothing that has left the queue matches.\n",
  );
  assertStringIncludes(
    await said("queue list --limit 2"),
    "\nThese are the oldest 2 of 3 recipients that wait. See more with --limit 3.\n",
  );
  await folder.run("queue drop --all --yes");
  assertEquals(await said("queue list"), "The queue is empty.\n");
  assertEquals((await folder.run("queue list --json")).code, 0);
  await using empty = await folderWith(() => Promise.resolve());
  assertEquals((await empty.run("queue list --retired")).out, "Nothing has left the queue yet.\n");
});

Deno.test("queue list takes filters, each refused with what would be right", async () => {
  const { folder } = await office();
  await using _ = folder;
  const whom = async (...words: string[]) =>
    JSON.parse((await folder.run(["queue", "list", "--json", ...words])).out).recipients
      .map(({ recipient }: { recipient: string }) => recipient.split("@")[0]).join(" ");
  assertEquals(await whom("--domain", "example.com"), "dave");
  assertEquals(await whom("--sender", "<>"), "dave");
  assertEquals(await whom("--older", "90m"), "bob carol");
  assertEquals(await whom("--state", "queued"), "");
  assertEquals(await whom("--state", "queued", "--state", "deferred"), "bob carol dave");
  assertEquals(await whom("--retired"), "erin");
  const cases: [string, string][] = [
    ["--older 2", "--older must be a duration such as 90s, 5m or 2d, not '2'; did you mean 2s?"],
    ["--limit 0", "--limit must be a whole number of at least 1, not '0'"],
    ["--state gone", "--state can't be 'gone'; it may be queued, deferred, held, delivered, "],
    ["--state relayed", "'relayed' is a state of mail that has left the queue; add --retired to see it"],
  ];
  for (const [words, said] of cases) {
    const { code, err } = await folder.run(`queue list ${words}`);
    assertEquals(code, 2, words);
    assertStringIncludes(err, said);
  }
});

Deno.test("queue list --retired says who accepted what", async () => {
  const { folder, ids } = await office();
  await using _ = folder;
  const lines = (await folder.run("queue list --retired")).out.split("\n");
  assertEquals(
    lines[0],
    "ID            LEFT              FROM               TO                STATE    ACCEPTED BY                    WHY",
  );
  assertMatch(
    lines[1]!,
    new RegExp(
      `^${ids[2]}\\.1  \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d  alice@example\\.org  ` +
        `erin@example\\.com  relayed  mx\\.example\\.com \\[192\\.0\\.2\\.9\\]:25$`,
    ),
  );
  assertEquals(lines.slice(2), ["", "1 recipient has left the queue.", ""]);
});

/** Times and spans out of the way. */
function timeless(out: string): string[] {
  return out.replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, "TIME").split("\n");
}

Deno.test("queue show tells each recipient, each try and what was said", async () => {
  const { folder, ids } = await office();
  await using _ = folder;
  const { code, out } = await folder.run(`queue show ${ids[0]}`);
  assertEquals(code, 0);
  assertEquals(timeless(out), [
    `Message ${ids[0]}`,
    "  Message-ID  none",
    "  From        alice@example.org",
    "  Size        17 B",
    "  Received    TIME, received from 192.0.2.7 (calls itself pc) by ESMTPSA, TLSv1.3 X, logged in as alice",
    "",
    ...["bob", "carol"].flatMap((name, i) => [
      `Recipient ${ids[0]}.${i + 1}: ${name}@example.net`,
      "  State        deferred since TIME",
      `  In words     ${name}@example.net waits: 451 4.3.0 try later`,
      `  Tries        ${i + 1}`,
      "  Next try     TIME (in 10m)",
      "  Gives up     TIME (in 4d 21h)",
      "  Destination  the mail hosts of example.net; failed 3 times in a row: connection refused by 192.0.2.1:25",
      "",
    ]),
    "Try 1, TIME",
    "  For          bob@example.net and carol@example.net",
    "  Destination  the mail hosts of example.net",
    "  Host         mx.example.net (192.0.2.1:25)",
    "  TLS          TLSv1.3 TLS_AES_256_GCM_SHA384, not verified",
    "  Took         0.4 s",
    "  Result       451 4.3.0 try later",
    "    S: 220 mx.example.net ESMTP",
    "    C: EHLO mail.example.org",
    "    S: 451 4.3.0 try later",
    "",
  ]);
  const one = JSON.parse((await folder.run(`queue show ${ids[0]}.2 --json`)).out);
  assertEquals([one.id, one.recipients.length, one.recipients[0].wait.tries, one.tries[0].dialogue.length], [
    ids[0],
    1,
    2,
    3,
  ]);
  const wrong = await folder.run("queue show <1@example.org>");
  assertEquals(wrong.code, 2);
  assertStringIncludes(wrong.err, "'emsmail trace' finds the id");
  assertEquals((await folder.run("queue show 0000000000")).code, 1);
});

Deno.test("queue retry, hold, release and reroute say what was done", async () => {
  const { folder, ids } = await office();
  await using _ = folder;
  const done = async (words: string | readonly string[]) => {
    const { code, out, err } = await folder.run(words);
    assertEquals([code, err], [0, ""]);
    return out;
  };
  assertEquals(
    await done(["queue", "hold", `${ids[0]}.2`, "--reason", "a mistake?\r\nmore"]),
    "1 recipient of 1 message is held: nothing goes out until 'emsmail queue release'.\n",
  );
  assertStringIncludes(await done("queue list"), "held          2  never     a mistake? more\n");
  assertStringIncludes(await done("queue list"), "\n3 recipients of 2 messages wait; 1 held.\n");
  assertEquals(await done("queue retry --all"), "2 recipients of 2 messages will be tried now.\n");
  assertEquals(await done("queue list --state deferred"), "Nothing in the queue matches.\n");
  assertEquals(
    await done("queue release --domain example.net"),
    "1 recipient of 1 message is released, and tried when the destination's turn comes.\n",
  );
  assertEquals(
    await done(`queue reroute ${ids[0]} --to [2001:db8::25]`),
    "2 recipients of 1 message will be sent by way of [2001:db8::25]:25.\n",
  );
  assertStringIncludes(
    await done(`queue show ${ids[0]}.1`),
    "  Goes by way of  [2001:db8::25]:25, as an operator said\n",
  );
  assertEquals(
    await done("queue reroute --all --to default"),
    "3 recipients of 2 messages will be sent the usual way again.\n",
  );
  assertEquals(
    await done("queue drop --older 90m --yes"),
    "2 recipients of 1 message dropped. Nobody is told.\n",
  );
  assertStringIncludes(
    await done(`trace ${ids[0]}`),
    "taken out of the queue before it reached bob@example.net",
  );
});

Deno.test("an action on nothing fails, and one without a selection is wrong", async () => {
  const { folder, ids } = await office();
  await using _ = folder;
  const cases: [string, number, string][] = [
    [
      "queue retry",
      2,
      "it has to be said which recipients to retry; name ids from 'emsmail queue list', or say --domain, --sender, " +
      "--older, --state or --all",
    ],
    [`queue retry ${ids[0]} --all`, 2, "--all and a selection don't go together; give one of them"],
    ["queue retry nonsense", 2, "'nonsense' is not the id of a message; "],
    ["queue reroute --all", 2, "emsmail queue reroute needs --to <host>"],
    ["queue reroute --all --to a:b", 2, "--to can't be 'a:b'; "],
    ["queue release --all", 1, "nothing that is held matches; 'emsmail queue list' shows what is there"],
    [
      `queue release ${ids[0]}.1`,
      1,
      `${ids[0]}.1 is deferred; there is nothing to release unless it is held`,
    ],
    [`queue retry ${ids[2]}`, 1, `${ids[2]} is relayed; there is nothing to retry unless it is deferred`],
    ["queue hold --state relayed --all", 2, "--all and a selection don't go together"],
  ];
  for (const [words, expected, said] of cases) {
    const { code, out, err } = await folder.run(words);
    assertEquals([code, out], [expected, ""], words);
    assertStringIncludes(err, said);
  }
  const some = await folder.run(`queue retry ${ids[0]} ${ids[2]}`);
  assertEquals([some.code, some.out], [0, "2 recipients of 1 message will be tried now.\n"]);
  assertEquals(some.err, `emsmail: note: nothing was done to one id: ${ids[2]} is relayed\n`);
});

Deno.test("queue drop asks first, and without a terminal wants --yes", async () => {
  const { folder, ids } = await office();
  await using _ = folder;
  const args = ["run", "-A", "--no-check", mainModule, "queue", "drop", ids[0]!, "--config", folder.config];
  const { code, err } = await spawn(Deno.execPath(), args);
  assertEquals(code, 2);
  assertEquals(
    err,
    "emsmail: dropping 2 recipients of 1 message can't be undone and nobody is told, " +
      "and there is no terminal to ask on; say --yes\n",
  );
  assertEquals(JSON.parse((await folder.run("queue list --json")).out).total, 3);
});

Deno.test("trace tells a relayed message's life in order, and what is to come", async () => {
  let id = "";
  await using folder = await folderWith(async (outbox) => {
    const key = await outbox.accept({
      to: ["sales@example.org", "dave@example.com"],
      messageId: "3@example.org",
      requests: { ret: "HDRS", requireTls: true, priority: 3 },
      recipientRequests: [{ notify: ["success", "failure"] }, { notify: [] }],
    });
    await outbox.settle(key, 0, {
      state: "expanded",
      expandedTo: [{ recipient: "bob@example.net" }, { recipient: "carol@example.com" }],
    });
    await outbox.clock.advance(1000);
    await outbox.attempt(key, [2]);
    await outbox.defer(key, 2, { delayTold: true, dueMs: ahead(1) });
    await outbox.attempt(key, [3], { destination: "example.com", result: "250 2.0.0 Ok", tls: "" });
    await outbox.settle(key, 3, {
      state: "relayed",
      acceptedBy: "mx [192.0.2.9]:25",
      detail: "250 2.0.0 Ok",
    });
    await outbox.settle(key, 1, { state: "handed", acceptedBy: "relay [192.0.2.8]:25", detail: "250 taken" });
    await outbox.clock.advance(1000);
    await outbox.attempt(key, [2], {
      durationMs: 5,
      tls: "",
      host: "",
      address: "",
      result: "no host answered",
    });
    id = formatMessageKey(key);
  });
  const { code, out } = await folder.run("trace <3@example.org>");
  assertEquals(code, 0);
  assertEquals(timeless(out), [
    `Message ${id}`,
    "  Message-ID  <3@example.org>",
    "  From        alice@example.org",
    "  Size        17 B",
    "  TIME  received from 192.0.2.7 (calls itself pc) by ESMTPSA, TLSv1.3 X, logged in as alice",
    "  TIME  asked: the sender is to be told of the delivery and a failure, for sales@example.org",
    "  TIME  asked: nobody is to be told, for dave@example.com",
    "  TIME  asked: a notification is to return its header only",
    "  TIME  asked: it may only travel over verified TLS",
    "  TIME  asked: its priority is +3 (0 is ordinary)",
    "  TIME  sales@example.org became 2 recipients: bob@example.net and carol@example.com",
    "  TIME  mail for bob@example.net goes to the mail hosts of example.net",
    "  TIME  tried for bob@example.net: mx.example.net (192.0.2.1:25), TLSv1.3 TLS_AES_256_GCM_SHA384, not verified, 0.4 s: " +
    "451 4.3.0 try later",
    "  TIME  mail for carol@example.com goes to the mail hosts of example.com",
    "  TIME  tried for carol@example.com: mx.example.net (192.0.2.1:25), without TLS, 0.4 s: 250 2.0.0 Ok",
    "  TIME  handed on for dave@example.com to relay [192.0.2.8]:25: what becomes of it there is reported by that host " +
    "(it said: 250 taken)",
    "  TIME  bob@example.net waits: 451 4.3.0 try later",
    "  TIME  accepted for carol@example.com by mx [192.0.2.9]:25: it is responsible now (it said: 250 2.0.0 Ok)",
    "  TIME  tried for bob@example.net: the mail hosts of example.net, 5 ms: no host answered",
    "  bob@example.net: after 1 try, next try TIME (in 1m), gives up TIME (in 4d 21h), its sender was told that it is late",
    "",
  ]);
  const [json] = JSON.parse((await folder.run(`trace ${id} --json`)).out);
  assertEquals([json.recipients.length, json.tries.length, json.recipients[0].notify], [4, 3, [
    "success",
    "failure",
  ]]);
});

Deno.test("what another system says is only text on a terminal", async () => {
  const evil = "\u001b]0;owned\u0007\u001b[2J\u009b31m";
  let id = "";
  await using folder = await folderWith(async (outbox) => {
    const key = await outbox.accept({ to: [`bob${evil}@example.net`], messageId: `${evil}@x` });
    await outbox.attempt(key, [0], {
      host: evil,
      tls: evil,
      result: `550 ${evil}`,
      dialogue: `S: ${evil}\r\nS: x`,
    });
    await outbox.defer(key, 0, { detail: evil, destination: evil });
    await outbox.fails(evil, { reason: evil });
    id = formatMessageKey(key);
  });
  for (
    const words of [
      "queue list",
      `queue show ${id}`,
      `trace ${id}`,
      `queue list --json`,
      `queue show ${id} --json`,
    ]
  ) {
    const { code, out } = await folder.run(words, { outIsTerminal: true, width: 100 });
    assertEquals(code, 0);
    // deno-lint-ignore no-control-regex -- control characters are what must not be there
    assertMatch(out, /^[^\u0000-\u0008\u000b-\u001f\u007f-\u009f]+$/, words);
  }
});
