/**
 * Notes on the binary: whom each way to name somebody means, what people are told of each mistake, and what comes out of
 * a note at the other end.
 *
 * @module
 */
import { assertEquals, assertMatch, assertNotMatch, assertStringIncludes } from "@std/assert";
import { bodyOf, e2e, field, mustRun, type Server, type ServerOptions, until, withPeers } from "./harness.ts";
import { startDns } from "./peers/dns.ts";
import { directBy } from "./peers/outbound.ts";
import { SmtpHost } from "./peers/smtp_host.ts";

const DNS = "127.0.22.53:5300";
const HOST = "127.0.22.10";

/** A system with people to write to: users, a shadow, a list, a nickname, a gateway that takes files. */
const OFFICE: ServerOptions = {
  users: ["alice", "bob", "bobl", "bobby"],
  start: "by-test",
  config: directBy(DNS),
  prepare: async (server) => {
    (server.config as Record<string, unknown>)["gateways"] = {
      filedrop: [{ name: "mhs", out: `${server.folder}/out`, in: `${server.folder}/in` }],
    };
    await Deno.mkdir(`${server.folder}/out`);
    await Deno.mkdir(`${server.folder}/in`);
    await server.writeConfig();
    await server.mustCli(["user", "set", "bobl", "--display-name", "Bob Lee", "--department", "Sales"]);
    await server.mustCli(["user", "set", "bobby", "--display-name", "Bobby Ray"]);
    await server.mustCli([
      ...["directory", "add", "carol", "--to", "carol@casisoft.test", "--display-name", "Carol Ode"],
    ]);
    await server.mustCli(["directory", "add", "staff", "--list", "--member", "alice", "--member", "bobby"]);
    await server.mustCli(["nickname", "add", "boss", "alice", "carol", "--user", "bob"]);
  },
};

const SEND = ["mail", "send", "--user", "bob"];

/** Whom a note means, a line each: header, address, how it was found. */
async function means(server: Server, note: string): Promise<string[]> {
  const told = JSON.parse(await server.mustCli([...SEND, "--dry-run", "--json"], { stdin: note }));
  return (told.recipients as { header: string; address: string; name: string; by: string[] }[])
    .map(({ header, address, by }) => [header, address, ...by].join(" "));
}

async function nothingWaits(server: Server): Promise<void> {
  assertEquals(JSON.parse(await server.mustCli(["queue", "list", "--json"])).total, 0);
  for (const user of OFFICE.users!) {
    assertEquals(JSON.parse(await server.mustCli(["mail", "list", "--user", user, "--json"])), []);
  }
}

e2e("note: each way to name somebody, and whom it means", OFFICE, async (server) => {
  assertEquals(
    await means(
      server,
      '/TO BOBL, car "Bobby Ray"; boss\n/TO /SMTP Joe@Casisoft.test /MHS jane@sales "John Doe"\n' +
        "/to Alice+box@EXAMPLE.TEST\n  /cc staff, bobl\n/BCC Max <max@casisoft.test>\nHi.\n",
    ),
    [
      "to bobl@example.test account bobl",
      "to carol@casisoft.test shadow carol",
      "to bobby@example.test account bobby",
      "to alice@example.test nickname boss account alice",
      "to Joe@Casisoft.test",
      "to jane@sales.mhs.example.test gateway mhs",
      'to "John Doe"@mhs.example.test gateway mhs',
      "to Alice+box@EXAMPLE.TEST",
      "cc staff@example.test list staff",
      "bcc max@casisoft.test",
    ],
  );
  const gateways = server.config["gateways"] as Record<string, unknown>;
  gateways["default"] = "mhs";
  await server.writeConfig();
  assertEquals(await means(server, "/TO bobl@sales alice@example.test /SMTP joe@casisoft.test\n"), [
    "to bobl@sales.mhs.example.test gateway mhs",
    "to alice@example.test",
    "to joe@casisoft.test",
  ]);
  await nothingWaits(server);
});

/** Notes that are wrong, each with all that people are told. */
const MISTAKES: readonly (readonly [note: string, told: readonly string[]])[] = [
  ["/TO bo\n/CC alice\n", [
    "1:5: bo may be any of 3: several names begin so",
    "  /TO bo",
    "      ^^",
    "  write more of the name of whoever is meant:",
    "    bob",
    "    bobby  Bobby Ray",
    "    bobl   Bob Lee, Sales",
  ]],
  ["/TO alise nobodi\n", [
    "1:5: nobody is called alise",
    "  /TO alise nobodi",
    "      ^^^^^",
    "  did you mean alice?",
    "1:11: nobody is called nobodi",
    "  /TO alise nobodi",
    "            ^^^^^^",
    "  'emsmail directory find' looks for people; somebody elsewhere needs a whole address, as in bobl@example.com",
  ]],
  ["/TO /SMPT bobl@example.com\n/TO /XYZQ joe@x.test\n/TO /\n/TO /SMTP bobl\n/TO /MHS jane@a@b\n/TO /MHS\n", [
    "1:5: there is no gateway /SMPT",
    "  /TO /SMPT bobl@example.com",
    "      ^^^^^",
    "  did you mean /SMTP?",
    "2:5: there is no gateway /XYZQ",
    "  /TO /XYZQ joe@x.test",
    "      ^^^^^",
    "  gateways of this system: /SMTP, /MHS",
    "3:5: a gateway's name is missing behind the /",
    "  /TO /",
    "      ^",
    "  gateways of this system: /SMTP, /MHS",
    "4:11: bobl is no mail address, and /SMTP takes nothing else",
    "  /TO /SMTP bobl",
    "            ^^^^",
    "  write it as name@domain, or leave /SMTP out to find bobl in the directory",
    "5:10: 'jane@a' can't stand before the @: use letters, digits and .-_+, or quote it",
    "  /TO /MHS jane@a@b",
    "           ^^^^^^^^",
    "  as in /MHS user@workgroup",
    "6:5: nobody stands behind /MHS",
    "  /TO /MHS",
    "      ^^^^",
    "  write who gets it: /MHS name@place",
  ]],
  ["/TO a@@b\n/TO @b.test\n/TO a@-b.test\n/TO nosuch@example.test\n", [
    "1:5: 'a@' can't stand before the @: use letters, digits and .-_+, or quote it",
    "  /TO a@@b",
    "      ^^^^",
    "  write it as name@domain",
    "2:5: nothing stands before the @",
    "  /TO @b.test",
    "      ^^^^^^^",
    "  write it as name@domain",
    "3:5: '-b.test' is not a domain: expected something like example.org or [192.0.2.1]",
    "  /TO a@-b.test",
    "      ^^^^^^^^^",
    "  write it as name@domain",
    "4:5: mail for nosuch@example.test can't be taken: No such user here",
    "  /TO nosuch@example.test",
    "      ^^^^^^^^^^^^^^^^^^^",
  ]],
  ['/TO "bob\n/TO <bob\n/TO bob>\n/TO ""\n/TO <>\n/TO x@y.test Bob <b@y.test>\n/TO "bob"x\n', [
    "1:5: the quotes are never closed",
    '  /TO "bob',
    "      ^^^^",
    '  end the name with "',
    "2:5: this < is never closed",
    "  /TO <bob",
    "      ^^^^",
    "  end the address with >",
    "3:8: this > has no < before it",
    "  /TO bob>",
    "         ^",
    "  write it as Name <name@domain>",
    "4:5: there is nothing between the quotes",
    '  /TO ""',
    "      ^^",
    "  write a name there",
    "5:5: there is nothing between < and >",
    "  /TO <>",
    "      ^^",
    "  write an address there",
    "6:5: x@y.test and what follows it run together",
    "  /TO x@y.test Bob <b@y.test>",
    "      ^^^^^^^^",
    "  put a comma between them: x@y.test, …",
    "7:10: something stands right behind the quotes",
    '  /TO "bob"x',
    "           ^",
    "  put a blank or a comma between them",
  ]],
  ["/TOO bob\n/TO: bob\n/MHS jane@sales\n/\n/usr/bin is a path\n", [
    "1:1: there is no command /TOO",
    "  /TOO bob",
    "  ^^^^",
    "  did you mean /TO?",
    "  a text that begins with / goes behind an empty line",
    "2:1: there is no command /TO:",
    "  /TO: bob",
    "  ^^^^",
    "  write it with a blank behind it: /TO",
    "3:1: /MHS is a gateway, and no command",
    "  /MHS jane@sales",
    "  ^^^^",
    "  write a command before it: /TO /MHS name@place",
    "4:1: a command is missing behind the /",
    "  /",
    "  ^",
    "  commands: /TO, /CC, /BCC, /SUBJECT, /REPORT, /PRIORITY, /ACK",
    "  a text that begins with / goes behind an empty line",
    "5:1: there is no command /usr/bin",
    "  /usr/bin is a path",
    "  ^^^^^^^^",
    "  commands: /TO, /CC, /BCC, /SUBJECT, /REPORT, /PRIORITY, /ACK",
    "  a text that begins with / goes behind an empty line",
  ]],
  ["/TO bob /CC alice\n/TO\n/SUBJECT\n/PRIORITY\n/REPORT\n/ACK maybe\n", [
    "1:9: there is no gateway /CC",
    "  /TO bob /CC alice",
    "          ^^^",
    "  /CC is a command: begin a new line with it",
    "2:1: /TO names nobody",
    "  /TO",
    "  ^^^",
    "  write who gets it: /TO BOBL",
    "3:1: /SUBJECT has no text",
    "  /SUBJECT",
    "  ^^^^^^^^",
    "  write it behind the command, or leave the line out",
    "4:1: /PRIORITY needs a word behind it",
    "  /PRIORITY",
    "  ^^^^^^^^^",
    "  it may be low, normal or high",
    "5:1: /REPORT names no report",
    "  /REPORT",
    "  ^^^^^^^",
    "  write its name: /REPORT SALES",
    "6:6: /ACK can't be 'maybe'",
    "  /ACK maybe",
    "       ^^^^^",
    "  it may be delivered or read",
  ]],
  ["/TO bob\n/SUBJECT a\n/SUBJECT b\n/PRIORITY hihg\n/ACK read now\n/REPORT NIX a*b\n", [
    "3:1: this is a second /SUBJECT",
    "  /SUBJECT b",
    "  ^^^^^^^^",
    "  keep one; the first is on line 2",
    "4:11: /PRIORITY can't be 'hihg'",
    "  /PRIORITY hihg",
    "            ^^^^",
    "  did you mean high?",
    "5:11: there is more behind /ACK read",
    "  /ACK read now",
    "            ^^^",
    "  take it out",
    "6:9: there is no report NIX that bob may read",
    "  /REPORT NIX a*b",
    "          ^^^",
    "  'emsmail report list --user bob' shows those there are",
    "6:13: 'A*B' can't be a report's name",
    "  /REPORT NIX a*b",
    "              ^^^",
    "  use up to 44 letters, digits and . - _ $ # @, beginning with a letter or digit",
  ]],
  ["Hello.\n/TO alice\n", [
    "2:1: /TO stands in the text, which begins on line 1",
    "  /TO alice",
    "  ^^^",
    "  put all commands at the top, without an empty line among them",
  ]],
  ["Hello.\n", [
    "1:1: the note names nobody",
    "  Hello.",
    "  ^",
    "  begin it with a line such as /TO BOBL",
  ]],
  ["", ["1:1: the note names nobody", "  begin it with a line such as /TO BOBL"]],
  // What stands before the place: a mark of the byte order, tabs, wide letters, a CR behind it, a NUL.
  ["\ufeff/TO \t日本 x@@\r\n/TO al\u0000ice\r\n", [
    "1:6: nobody is called 日本",
    "  /TO     日本 x@@",
    "          ^^^^",
    "  'emsmail directory find' looks for people; somebody elsewhere needs a whole address, as in bobl@example.com",
    "1:9: 'x@' can't stand before the @: use letters, digits and .-_+, or quote it",
    "  /TO     日本 x@@",
    "               ^^^",
    "  write it as name@domain",
    "2:7: a control character stands here",
    "  /TO al?ice",
    "        ^",
    "  take it out",
  ]],
];

e2e("note: of each mistake people are told where it is and what would be right", OFFICE, async (server) => {
  for (const [note, told] of MISTAKES) {
    const { code, stdout, stderr } = await server.cli(SEND, { stdin: note });
    const placed = told.map((line) => /^\d/.test(line) ? `  standard input:${line}\n` : `  ${line}\n`);
    assertEquals(stderr, `emsmail: nothing was sent\n${placed.join("")}`, JSON.stringify(note));
    assertEquals([code, stdout], [1, ""]);
  }
  await nothingWaits(server);
});

e2e(
  "note: what is wrong outside the note ends with 1, and with 2 where it was typed wrong",
  OFFICE,
  async (server) => {
    await Deno.writeTextFile(`${server.folder}/latin1.txt`, "/TO alice\n\n");
    await Deno.writeFile(`${server.folder}/latin1.txt`, new Uint8Array([0x47, 0x72, 0xfc, 0xdf]), {
      append: true,
    });
    const cases: readonly (readonly [args: readonly string[], code: number, told: string])[] = [
      [["mail", "send"], 2, "emsmail mail send needs --user <name>; see 'emsmail mail send --help'"],
      [[...SEND, "--nonsense"], 2, "unknown option '--nonsense'; see 'emsmail mail send --help'"],
      [
        ["mail", "send", "--user", "nobody"],
        1,
        "there is no account nobody; 'emsmail user list' shows all there are",
      ],
      [[...SEND, "--note", "nope.txt"], 1, "there is no file nope.txt; name a file that is there"],
      [[...SEND, "--note", "."], 1, ". is a folder; name a file in it"],
      [[...SEND, "--attach", "nope.xls"], 1, "there is no file nope.xls; name a file that is there"],
      [
        [...SEND, "--note", "latin1.txt"],
        1,
        "latin1.txt is not UTF-8; attach it with --attach if it is no text",
      ],
    ];
    for (const [args, code, told] of cases) {
      const ran = await server.cli(args, { stdin: "/TO alice\n\nHi.\n" });
      assertEquals([ran.code, ran.stdout, ran.stderr], [code, "", `emsmail: ${told}\n`]);
    }
    const long = await server.cli(SEND, { stdin: `/TO alice\n\n${"0123456789\n".repeat(460_000)}` });
    assertEquals(
      [long.code, long.stderr],
      [1, "emsmail: standard input has more than 4194304 octets; attach what is long with --attach\n"],
    );
    await nothingWaits(server);
  },
);

e2e("note: sent while the server rests, it goes out at the next start, each field in its place", {
  ...OFFICE,
  needs: ["dnsmasq", "python3", "root"],
}, (server) =>
  withPeers(async (use) => {
    await use(
      startDns(["casisoft.test MX 10 mx.casisoft.test", `mx.casisoft.test A ${HOST}`], { address: DNS }),
    );
    const host = await use(
      SmtpHost.start({ address: HOST, hostname: "mx.casisoft.test", offers: ["8BITMIME", "DSN"] }),
    );
    const note =
      "/TO alice carol /MHS jane@sales\n/CC Joe <joe@casisoft.test>\n/BCC bobl, /SMTP max@casisoft.test\n" +
      "/SUBJECT Grüße aus Köln\n/PRIORITY high\n/ACK\n\n/etc/motd is the text, Größe 10\n.\nend\n";
    const sent = await server.mustCli(SEND, { stdin: note });
    assertMatch(sent, /^Accepted as [0-9a-z]{10} for 6 recipients\.\n$/);
    assertEquals(JSON.parse(await server.mustCli(["queue", "list", "--json"])).total, 6);
    await server.start();
    const [text] = await server.mail("alice", 1);
    assertEquals(
      await mustRun(["python3", "-c", READ], { stdin: text! }),
      [
        "from bob@example.test",
        "to alice@example.test, Carol Ode <carol@casisoft.test>, jane@sales.mhs.example.test",
        "cc Joe <joe@casisoft.test>",
        "bcc None",
        "subject Grüße aus Köln",
        "priority 1 high",
        "defects []",
        "text '/etc/motd is the text, Größe 10\\n.\\nend\\n'",
        "",
      ].join("\n"),
    );
    assertNotMatch(text!, /bobl|max@/);
    const [hidden] = await server.mail("bobl", 1);
    assertEquals(bodyOf(hidden!), bodyOf(text!));
    await until("the host to have it", () =>
      Promise.resolve(host.messages.flatMap(({ rcpts }) => rcpts).length === 3));
    const rcpts = host.messages.flatMap((each) =>
      each.rcpts
    ).sort();
    assertEquals(rcpts.map((each) => /<(.*?)>/.exec(each)![1]), [
      "carol@casisoft.test",
      "joe@casisoft.test",
      "max@casisoft.test",
    ]);
    for (const rcpt of rcpts) assertStringIncludes(rcpt, "NOTIFY=SUCCESS,FAILURE,DELAY");
    assertNotMatch(host.messages[0]!.data, /bobl|max@/);
    const dropped = async () => (await Array.fromAsync(Deno.readDir(`${server.folder}/out`))).length;
    await until("the file drop to have two files", async () => await dropped() === 2);
    // /ACK: those of this system are acknowledged by it; a host that knows DSN does so itself, a gateway is told of.
    await until("acknowledgements", async () => {
      const mail = JSON.parse(await server.mustCli(["mail", "list", "--user", "bob", "--json"]));
      return mail.length >= 2;
    });
    const told = await server.mustCli(["mail", "read", "1", "--user", "bob"]);
    assertMatch(told, /alice@example\.test/);
  }));

/** Prints what Python's email package makes of a message. */
const READ = `
import sys, email, email.policy
m = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
for name in ["from", "to", "cc", "bcc", "subject"]: print(name, m[name])
print("priority", str(m["x-priority"] or "")[:1], m["importance"])
print("defects", m.defects)
print("text", repr(m.get_content().replace("\\r\\n", "\\n")))
`;

e2e("note: CRLF, a mark of the byte order, NUL and 3 MB arrive as the text that was written", {
  users: ["alice", "bob"],
  needs: ["python3"],
}, async (server) => {
  const texts: readonly (readonly [note: string, text: string])[] = [
    ["\ufeff/TO alice\r\n/SUBJECT x\r\n\r\nOne.\r\n\r\nTwo.\r\n", "One.\n\nTwo.\n"],
    ["/TO alice\n\nA\u0000B\u001b[31mC\n", "A\u0000B\u001b[31mC\n"],
    ["/TO alice", ""],
    [`/TO alice\n\n${"0123456789 äöü\n".repeat(175_000)}`, "0123456789 äöü\n".repeat(175_000)],
    [`/TO alice\n\n${"x".repeat(5000)}\n`, `${"x".repeat(5000)}\n`],
  ];
  for (const [note] of texts) await server.mustCli(SEND, { stdin: note });
  const mail = await server.mail("alice", texts.length);
  for (const [index, [, text]] of texts.entries()) {
    // deno-lint-ignore no-control-regex -- control characters are what is looked for
    assertEquals(/\u0000|[^\r\n]{999}/.test(mail[index]!), false, "RFC 5322 2.1.1, 2.3");
    const read = await mustRun(["python3", "-c", CONTENT], { stdin: mail[index]! });
    assertEquals(read === text, true, `${index}: ${JSON.stringify(read.slice(0, 200))}`);
  }
  assertEquals(field(mail[0]!, "Subject"), "x");
  const shown = await server.mustCli(["mail", "read", "2", "--user", "alice"]);
  // deno-lint-ignore no-control-regex -- control characters are what is looked for
  assertNotMatch(shown, /[\u0000-\u0009\u000b-\u001f]/);
});

const CONTENT = `
import sys, email, email.policy
m = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
sys.stdout.buffer.write(m.get_payload(decode=True).replace(b"\\r\\n", b"\\n"))
`;
