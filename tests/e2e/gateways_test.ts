/**
 * Gateways other than SMTP on the binary: a system joined by folders, there and back, and commands that are given mail.
 *
 * @module
 */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { createHash } from "node:crypto";
import type { QueueView } from "../../src/admin/queue.ts";
import {
  bodyOf,
  DOMAIN,
  e2e,
  e2eBare,
  field,
  message,
  PASSWORD,
  pause,
  type Peer,
  root,
  runProgram,
  runtime,
  type Server,
  stuff,
  type TestOptions,
  until,
  withPeers,
  withServer,
} from "./harness.ts";
import { plainResponse, type Wire } from "./wire.ts";

const MHS = `mhs.${DOMAIN}`;
/** Octets of every kind, of no length that anything likes. */
const FILE = Uint8Array.from({ length: 100_003 }, (_, at) => at * 31 % 256);

interface Drop {
  readonly out: string;
  readonly in: string;
}

function dropOf({ folder }: Server): Drop {
  return { out: `${folder}/out`, in: `${folder}/in` };
}

/** A server with a file drop `mhs` beside it. */
function withDrop(settings: Readonly<Record<string, unknown>> = {}): TestOptions {
  return {
    config: { queue: { retry: ["1s"] } },
    prepare: async (server) => {
      const drop = dropOf(server);
      for (const folder of Object.values(drop)) await Deno.mkdir(folder);
      server.config.gateways = {
        default: "mhs",
        filedrop: [{ name: "mhs", ...drop, poll: "1s", ...settings }],
      };
    },
  };
}

interface Pair {
  /** The head's values; several of one name are lines. */
  readonly head: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

function namesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
}

/** The pairs in a folder: each that has a head has all that the head promises. */
function pairsIn(folder: string): Pair[] {
  return namesIn(folder).filter((name) => /^[^.].*\.head$/.test(name)).map((name) => {
    const head: Record<string, string> = {};
    for (const line of Deno.readTextFileSync(`${folder}/${name}`).trimEnd().split("\n")) {
      const [key, value] = [line.slice(0, line.indexOf(": ")), line.slice(line.indexOf(": ") + 2)];
      head[key] = key in head ? `${head[key]}\n${value}` : value;
    }
    const body = Deno.readFileSync(`${folder}/${head.Body}`);
    assertEquals(String(body.length), head.Octets, name);
    assertEquals(createHash("sha256").update(body).digest("hex"), head["SHA-256"], name);
    return { head, body };
  });
}

async function untilPairs(folder: string, count: number): Promise<Pair[]> {
  await until(`${count} messages in ${folder}`, () => Promise.resolve(pairsIn(folder).length >= count));
  const pairs = pairsIn(folder);
  assertEquals(pairs.length, count);
  return pairs;
}

/** Puts a pair into a folder as another system does: the head last, at once. */
async function put(folder: string, name: string, head: readonly string[], body = "text\n"): Promise<void> {
  await Deno.writeTextFile(`${folder}/${name}.body`, body);
  await Deno.writeTextFile(`${folder}/.${name}.tmp`, head.map((line) => `${line}\n`).join(""));
  await Deno.rename(`${folder}/.${name}.tmp`, `${folder}/${name}.head`);
}

/** A session of somebody's mail program. */
async function submission(server: Server, user: string): Promise<Wire> {
  const wire = await server.connect("submissions");
  await wire.expect(250, "EHLO pc.example.test");
  await wire.expect(235, `AUTH PLAIN ${plainResponse(user, PASSWORD)}`);
  return wire;
}

async function submit(server: Server, user: string, to: readonly string[], data: string): Promise<void> {
  const wire = await submission(server, user);
  await wire.expect(250, `MAIL FROM:<${user}@${DOMAIN}>`);
  for (const each of to) await wire.expect(250, `RCPT TO:<${each}>`);
  await wire.expect(354, "DATA");
  await wire.expect(250, `${stuff(data)}.`);
  wire.close();
}

/** The system of examples/filedrop, beside a server. */
async function startMhs(server: Server): Promise<Peer & { readonly mail: string }> {
  const drop = dropOf(server);
  const mail = `${server.folder}/mhs`;
  await Deno.mkdir(mail, { recursive: true });
  const child = new Deno.Command("python3", {
    args: [`${root}examples/filedrop/mhs.py`, drop.out, drop.in, mail],
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn();
  return {
    mail,
    stop: async () => {
      child.kill("SIGTERM");
      await child.status;
    },
  };
}

/** The recipients that wait. */
async function waiting(server: Server): Promise<QueueView["recipients"]> {
  return (JSON.parse(await server.mustCli(["queue", "list", "--json"])) as QueueView).recipients;
}

/** Waits until `queue show` of the only message that waits matches. */
async function untilShown(server: Server, pattern: RegExp): Promise<void> {
  let shown = "";
  await until(`queue show to match ${pattern}`, async () => {
    const [first] = await waiting(server);
    shown = first === undefined ? "" : await server.mustCli(["queue", "show", first.id.split(".")[0]!]);
    return pattern.test(shown.replace(/\s+/g, " "));
  });
}

e2e("a message with a file goes to a file drop, is answered, and the answer is answered", {
  ...withDrop(),
  needs: ["python3"],
  core: "core",
}, async (server) => {
  const { out } = dropOf(server);
  await Deno.writeFile(`${server.folder}/figures.xls`, FILE);
  await server.mustCli(["mail", "send", "--user", "bob", "--attach", `${server.folder}/figures.xls`], {
    stdin: "/TO /MHS jane@sales\n/SUBJECT Grüße\n\nThe figures.\n",
  });
  const sent = (await untilPairs(out, 2)).sort((a, b) => a.head.Part! < b.head.Part! ? -1 : 1);
  assertEquals(
    sent.map(({ head }) => [head.From, head["Return-Path"], head.To, head.Part, head.File]),
    [
      [`bob@${DOMAIN}`, `bob@${DOMAIN}`, "jane@sales", "1/2", undefined],
      [`bob@${DOMAIN}`, `bob@${DOMAIN}`, "jane@sales", "2/2", "figures.xls"],
    ],
  );
  assertEquals(sent[0]!.head.Subject, "Grüße");
  assertEquals(sent[1]!.head["In-Reply-To"], sent[0]!.head["Message-ID"]);
  assertEquals(new TextDecoder().decode(sent[0]!.body), "The figures.\n");
  assertEquals(sent[1]!.body, FILE);
  await withPeers(async (use) => {
    const { mail } = await use(startMhs(server));
    const jane = `${mail}/jane@sales`;
    const [answer] = await server.mail("bob", 1);
    assertEquals(field(answer!, "From"), `jane@sales.${MHS}`);
    assertEquals(field(answer!, "In-Reply-To"), sent[0]!.head["Message-ID"]);
    assertEquals(bodyOf(answer!), "It has come to jane@sales.\r\n");
    // By the command line, and by a mail program that writes to whom the message is from.
    await server.mustCli(["mail", "reply", "1", "--user", "bob"], { stdin: "Thank you.\n" });
    await server.mail("bob", 2);
    const reply = message({ subject: "Re: again", from: `bob@${DOMAIN}`, to: field(answer!, "From")! });
    await submit(server, "bob", [field(answer!, "From")!], reply);
    await server.mail("bob", 3);
    await until("four messages at jane's", () => Promise.resolve(pairsIn(jane).length === 4));
    const subjects = pairsIn(jane).map(({ head }) => head.Subject);
    assertEquals(subjects.sort(), ["Grüße", "Grüße [2/2 figures.xls]", "Re: Grüße", "Re: again"]);
    assertEquals(namesIn(out), []);
    assertEquals(namesIn(dropOf(server).in), []);
  });
});

e2e(
  "a mail program's attachment reaches a file drop octet for octet, for several at once",
  withDrop(),
  async (server) => {
    const base64 = btoa(String.fromCharCode(...FILE)).replace(/.{76}/g, "$&\r\n");
    const data = `From: bob@${DOMAIN}\r\nTo: jane@sales.${MHS}\r\nSubject: Budget\r\n` +
      'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nHere.\r\n--b\r\n' +
      "Content-Type: application/vnd.ms-excel\r\nContent-Transfer-Encoding: base64\r\n" +
      `Content-Disposition: attachment; filename*=utf-8''M%C3%A4rz.xls\r\n\r\n${base64}\r\n--b--\r\n`;
    const to = [`jane@sales.${MHS}`, `kim@${MHS}`, `alice@${DOMAIN}`];
    await submit(server, "bob", to, data);
    const pairs = await untilPairs(dropOf(server).out, 2);
    const file = pairs.find(({ head }) => head.File !== undefined)!;
    assertEquals([file.head.File, file.head.To], ["März.xls", "jane@sales\nkim"]);
    assertEquals(file.body, FILE);
    // Somebody here has it whole, in the same run.
    assertStringIncludes((await server.mail("alice", 1))[0]!, "multipart/mixed");
  },
);

e2e("what can't be taken from a folder is put aside, one beside the other", withDrop(), async (server) => {
  const drop = dropOf(server);
  const bad = `${drop.in}/bad`;
  await put(drop.in, "1", ["From: jane@sales", "To: nobody-here"], "first\n");
  await until("the first", () => Promise.resolve(namesIn(drop.in).includes("bad")));
  await until("all of it", () => Promise.resolve(namesIn(bad).length === 3));
  await put(drop.in, "1", ["From: jane@sales", "To: someone@elsewhere.test"], "second\n");
  await until("the second", () => Promise.resolve(namesIn(bad).length === 6));
  assertEquals(namesIn(bad), ["1.2.body", "1.2.error", "1.2.head", "1.body", "1.error", "1.head"]);
  assertMatch(
    await Deno.readTextFile(`${bad}/1.error`),
    /^1\.head:2: nobody-here@example\.test .*: correct/,
  );
  assertMatch(await Deno.readTextFile(`${bad}/1.2.error`), /^1\.head:2: someone@elsewhere\.test /);
  assertEquals(await Deno.readTextFile(`${bad}/1.2.body`), "second\n");
  // Mended and moved back, it is taken.
  await put(drop.in, "1", ["From: jane@sales", "To: bob"], await Deno.readTextFile(`${bad}/1.body`));
  assertEquals(bodyOf((await server.mail("bob", 1))[0]!), "first\r\n");
});

e2e("kill -9 between folders and store loses nothing and brings nothing twice", {
  ...withDrop(),
  core: "core",
}, async (server) => {
  const drop = dropOf(server);
  const COUNT = 60;
  const subjects = Array.from({ length: COUNT }, (_, n) => `number ${n}`);
  const putTen = (from: number) =>
    Promise.all(
      subjects.slice(from, from + 10).map(async (subject, n) => {
        const body = `${"x".repeat(70)}\n`.repeat(n === 9 ? 6000 : 3);
        await put(drop.in, `in-${from + n}`, ["From: jane@sales", "To: bob", `Subject: ${subject}`], body);
        const data = message({ subject, body: body.replaceAll("\n", "\r\n") });
        await submit(server, "alice", [`jane@sales.${MHS}`], data);
      }),
    );
  for (let from = 0; from < COUNT; from += 10) {
    const isOutward = from % 20 === 0;
    await putTen(from);
    // As soon as one of them is seen on its way; bounded, since it may be past that already.
    for (let look = 0; look < 500; look++) {
      const names = namesIn(isOutward ? drop.out : drop.in);
      if (names.some((name) => isOutward ? /^\..*\.tmp$/.test(name) : /\.head\.\w{10}$/.test(name))) break;
      if (isOutward ? pairsIn(drop.out).length > from + 4 : names.length < 10) break;
      await pause(1);
    }
    await server.crash();
    await server.start();
  }
  await until("all to be taken", () => Promise.resolve(namesIn(drop.in).length === 0), 60_000);
  const came = (await server.mail("bob", COUNT)).map((text) => field(text, "Subject")!);
  assertEquals(came.sort(), [...subjects].sort());
  const went = (await untilPairs(drop.out, COUNT)).map(({ head }) => head.Subject!);
  assertEquals(went.sort(), [...subjects].sort());
  assertEquals(await waiting(server), []);
});

e2e("mail for a folder that is missing waits, says why, and goes once the folder is there", {
  ...withDrop(),
  core: "core",
}, async (server) => {
  const { out } = dropOf(server);
  await Deno.remove(out);
  await submit(server, "alice", [`jane@sales.${MHS}`], message({ subject: "Late" }));
  await untilShown(server, /\/out is not there/);
  await Deno.writeTextFile(out, "");
  await untilShown(server, /\/out is not a folder/);
  await Deno.remove(out);
  await Deno.mkdir(out);
  const [pair] = await untilPairs(out, 1);
  assertEquals(pair!.head.Subject, "Late");
});

e2eBare("strangers don't reach a gateway, unless it takes mail from anyone", {}, async () => {
  for (const accept of ["users", "anyone"] as const) {
    await withServer(withDrop({ accept }), async (server) => {
      const wire = await server.connect("smtp");
      await wire.expect(250, "EHLO client.example.test");
      await wire.expect(250, "MAIL FROM:<stranger@elsewhere.test>");
      const answer = await wire.smtp(`RCPT TO:<jane@sales.${MHS}>`);
      assertEquals(answer.code, accept === "anyone" ? 250 : 550, answer.lines.join());
      wire.close();
    });
  }
});

/** Writes down its words and input in a folder of its own; ends as the recipient's name says. */
const SCRIPT = `#!/bin/sh
got=$1; shift
dir=$(mktemp -d "$got/XXXXXX")
for word; do printf '%s\\n' "$word"; done >"$dir/words"
env >"$dir/env"
cat >"$dir/input"
mv "$dir" "$dir.done"
case $EMSMAIL_TO in
  busy) [ -e "$got/free" ] || { echo 'the line is busy'; exit 75; } ;;
  nouser) echo 'no such number' >&2; exit 67 ;;
  slow) sleep 61 ;;
esac
exit 0
`;

function withPipe(command: (folder: string) => readonly string[]): TestOptions {
  return {
    config: { queue: { retry: ["1s"] } },
    prepare: async (server) => {
      await Deno.mkdir(`${server.folder}/got`);
      await Deno.writeTextFile(`${server.folder}/fax`, SCRIPT, { mode: 0o755 });
      server.config.gateways = {
        pipe: [{ name: "fax", command: command(server.folder), timeout: "2s" }],
      };
    },
  };
}

const TO_LAST = (folder: string) => [`${folder}/fax`, `${folder}/got`, "{from}", "{to}"];

/** What the command was given, each time. */
function given(
  { folder }: Server,
): { readonly words: string[]; readonly input: string; readonly env: string }[] {
  const got = `${folder}/got`;
  return namesIn(got).filter((name) => name.endsWith(".done")).map((name) => {
    const read = (what: string) => Deno.readTextFileSync(`${got}/${name}/${what}`);
    return { words: read("words").split("\n").slice(0, -1), input: read("input"), env: read("env") };
  });
}

/** How many processes have a word of the test's among theirs. */
async function processesWith(word: string): Promise<number> {
  const { stdout } = await runProgram(["ps", "-eo", "args"]);
  return stdout.split("\n").filter((line) => line.includes(word)).length;
}

e2e(
  "a command gets the message, and its exit code says what becomes of it",
  { ...withPipe(TO_LAST), needs: ["ps"] },
  async (server) => {
    const data = message({ subject: "Fax", from: `alice@${DOMAIN}`, body: "Dear all,\r\n.\r\n..dots\r\n" });
    await submit(server, "alice", [`ok@fax.${DOMAIN}`], data);
    await until("the first", () => Promise.resolve(given(server).length === 1));
    const [first] = given(server);
    assertEquals(first!.words, [`alice@${DOMAIN}`, "ok"]);
    assertEquals(first!.input.endsWith(data), true, first!.input);
    const variables = first!.env.split("\n").map((line) => line.split("=")[0]).filter((name) => name !== "");
    assertEquals(variables.filter((name) => !/^(EMSMAIL_\w+|PATH|PWD|OLDPWD|SHLVL|_)$/.test(name!)), []);
    assertMatch(first!.env, /^PATH=\/usr\/local\/bin:\/usr\/bin:\/bin$/m);

    // Later, until it goes.
    await submit(server, "alice", [`busy@fax.${DOMAIN}`], data);
    await untilShown(server, /exit code 75, EX_TEMPFAIL.*the line is busy/);
    await Deno.writeTextFile(`${server.folder}/got/free`, "");
    await until("the queue to be empty", async () => (await waiting(server)).length === 0);

    // Never: its sender hears why, with what the command said.
    await submit(server, "alice", [`nouser@fax.${DOMAIN}`], data);
    const [notice] = await server.mail("alice", 1);
    assertMatch(notice!, /^Status: 5\.1\.1\r$/m);
    assertStringIncludes(
      notice!.replace(/\s+/g, " "),
      "nobody has that name there; it said: no such number",
    );

    // Too slow: ended with all that it started, and tried again.
    await submit(server, "alice", [`slow@fax.${DOMAIN}`], data);
    await untilShown(server, /did not end in time \(2 seconds\)/);
    await Deno.writeTextFile(`${server.folder}/fax`, SCRIPT.replace("sleep 61", "true"));
    await until("the queue to be empty", async () => (await waiting(server)).length === 0);
    await until("nothing to be left of it", async () => await processesWith(`${server.folder}/fax`) === 0);
  },
);

e2e(
  "a server that stops ends its commands, and their mail goes after the next start",
  { ...withPipe(TO_LAST), needs: ["ps"] },
  async (server) => {
    // Long enough that only the stop ends it.
    server.config.gateways = {
      pipe: [{ name: "fax", command: TO_LAST(server.folder), timeout: "1h" }],
    };
    await server.stop();
    await server.writeConfig();
    await server.start();
    await submit(server, "alice", [`slow@fax.${DOMAIN}`], message({ subject: "Slow" }));
    await until("the command to run", () => Promise.resolve(given(server).length === 1));
    assertEquals(await processesWith(`${server.folder}/fax`) > 0, true);
    await server.stop();
    assertEquals(await processesWith(`${server.folder}/fax`), 0);
    await Deno.writeTextFile(`${server.folder}/fax`, SCRIPT.replace("sleep 61", "true"));
    await server.start();
    await until("the second try", () => Promise.resolve(given(server).length === 2));
    await until("the queue to be empty", async () => (await waiting(server)).length === 0);
    assertEquals(await server.mail("alice", 0), []);
  },
);

e2e("a hostile recipient is one word for a command, or refused", withPipe(TO_LAST), async (server) => {
  const wire = await submission(server, "alice");
  await wire.expect(250, `MAIL FROM:<alice@${DOMAIN}>`);
  const names = ["$(touch owned)", "a b; touch owned", "`touch owned`", "x' 'y", "a\\\\b"];
  for (const name of names) await wire.expect(250, `RCPT TO:<"${name}"@fax.${DOMAIN}>`);
  await wire.expect(250, `RCPT TO:<-oops@fax.${DOMAIN}>`);
  await wire.expect(354, "DATA");
  await wire.expect(250, `${message({ subject: "Hostile" })}.`);
  wire.close();
  await until("all of them", () => Promise.resolve(given(server).length === names.length));
  const words = given(server).map((each) => each.words);
  assertEquals(words.map((each) => each.length), names.map(() => 2));
  const meant = names.map((name) => name.replace("\\\\", "\\"));
  assertEquals(words.map((each) => each[1]!.replace(/^"|"$/g, "")).sort(), meant.sort());
  const [notice] = await server.mail("alice", 1);
  assertStringIncludes(notice!.replace(/\s+/g, " "), 'The recipient begins with "-"');
  assertMatch(notice!, /^Final-Recipient: rfc822;\s*-oops@fax\.example\.test\r$/m);
  assertEquals(namesIn(server.folder).includes("owned"), false);

  // Nothing of an address can be a line of its own.
  for (const end of ["\n", "\r", "\0"]) {
    const other = await submission(server, "alice");
    await other.expect(250, `MAIL FROM:<alice@${DOMAIN}>`);
    await other.write(`RCPT TO:<"a${end}RCPT TO:<b@fax.${DOMAIN}>"@fax.${DOMAIN}>\r\nQUIT\r\n`);
    const answers = (await other.rest()).trimEnd().split("\r\n");
    assertEquals(answers.pop()!.slice(0, 3), "221");
    assert(answers.length > 0);
    for (const answer of answers) assertMatch(answer, /^5/, JSON.stringify(end));
    other.close();
  }
});

e2e("emsmail route and topology show gateways, and wrong settings are told", {}, async (server) => {
  const drop = dropOf(server);
  server.config.gateways = {
    default: "mhs",
    filedrop: [{ name: "mhs", ...drop }],
    pipe: [{ name: "fax", command: ["/bin/true", "{to}"] }],
  };
  await server.writeConfig();
  const route = await server.mustCli(["route", `jane@sales.${MHS}`]);
  assertMatch(route, /Rule +gateways\.mhs\n +Next hop +the gateway mhs\n/);
  const figure = await server.mustCli(["topology"]);
  for (const line of ["mhs (file drop) for", "fax (pipe) for"]) assertStringIncludes(figure, line);
  const dry = await server.mustCli(["mail", "send", "--user", "bob", "--dry-run"], {
    stdin: "/TO kim@dev\n/TO /FAX 123\n\nHello.\n",
  });
  assertStringIncludes(dry, `kim@dev.${MHS}`);
  assertStringIncludes(dry, `123@fax.${DOMAIN}`);

  server.config.gateways = {
    default: "mhx",
    filedrop: [{ name: "mhs", out: drop.out, in: drop.out }],
    pipe: [{ name: "smtp", command: ["{to}"] }],
  };
  await server.writeConfig();
  const { code, stderr } = await server.cli(["config", "check"]);
  assertEquals(code, 1, stderr);
  for (
    const what of [
      "gateways.default is 'mhx', which no gateway is called: use smtp or mhs\n",
      `gateways.filedrop[0] field 'in' is the folder ${drop.out}, as its own field 'out'`,
      "gateways.pipe[0] field 'name' is smtp, the built-in gateway's name: choose another",
      "gateways.pipe[0] field 'command' begins with '{to}'",
    ]
  ) assertStringIncludes(stderr, what);
});

if (runtime === "deno") {
  e2e("a command that Deno may not run keeps its mail waiting, and says what to add", {
    ...withPipe(TO_LAST),
    core: "core",
  }, async (server) => {
    await submit(server, "alice", [`ok@fax.${DOMAIN}`], message({ subject: "Fax" }));
    await untilShown(server, /may not run .*\/fax: start it by deno run with --allow-run/);
    assertEquals(given(server), []);
  });
}
