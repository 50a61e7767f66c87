/**
 * Answers across SMTP and back between two systems, messages sent on, and attachments saved, on the binary.
 *
 * @module
 */
import { assertEquals, assertMatch, assertNotMatch, assertStringIncludes } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import {
  bodyOf,
  e2e,
  e2eBare,
  emsmail,
  field,
  mustRun,
  type Ran,
  runProgram,
  type Server,
  withPeers,
  withServer,
} from "./harness.ts";
import { submit } from "./peers/direct.ts";
import { startDns } from "./peers/dns.ts";
import { directBy } from "./peers/outbound.ts";

const DNS = "127.0.22.54:5300";
const HERE = "127.0.22.20";
const THERE = "127.0.22.21";

/** Runs `run` with two systems that send to each other by DNS: bob and alice at example.test, dave and carol at other.test. */
async function withTwo(run: (here: Server, there: Server) => Promise<void>): Promise<void> {
  await withPeers(async (use) => {
    await use(startDns([
      "example.test MX 10 mail.example.test",
      `mail.example.test A ${HERE}`,
      "other.test MX 10 mail.other.test",
      `mail.other.test A ${THERE}`,
    ], { address: DNS }));
    const here = { config: directBy(DNS, { listen: { smtp: [`${HERE}:25`] } }), users: ["bob", "alice"] };
    const there = {
      config: directBy(DNS, {
        listen: { smtp: [`${THERE}:25`] },
        hostname: "mail.other.test",
        domains: ["other.test"],
      }),
      users: ["dave", "carol"],
    };
    await withServer(here, (one) => withServer(there, (two) => run(one, two)));
  });
}

const reply = (
  user: string,
  id: string,
  ...more: readonly string[]
) => ["mail", "reply", id, "--user", user, ...more];
const idOf = (message: string) => /^<\S+>$/.exec(field(message, "Message-ID")!)![0];

e2eBare(
  "reply: a conversation of four between two systems keeps its thread, return addresses and quotation",
  {
    needs: ["dnsmasq", "root"],
  },
  () =>
    withTwo(async (here, there) => {
      const first =
        'From: Dave Hill <dave@other.test>\r\nReply-To: "Dave\'s desk" <dave+desk@other.test>\r\n' +
        "To: Bob <bob@example.test>, Carol <carol@other.test>\r\nCc: alice@example.test\r\n" +
        "Subject: =?UTF-8?Q?Gr=C3=B6=C3=9Fe?=\r\nDate: Tue, 24 Nov 2026 12:00:00 +0000\r\n" +
        "Message-ID: <1@other.test>\r\n\r\nHow large?\r\n\r\n> older\r\n";
      await submit(there, {
        user: "dave",
        from: "dave@other.test",
        to: ["bob@example.test", "carol@other.test", "alice@example.test"],
        data: first,
      });
      await here.mail("bob", 1);
      // The note that would answer it, to be amended.
      assertEquals(
        await here.mustCli(reply("bob", "1", "--print", "--all", "--quote")),
        `/TO "Dave's desk" <dave+desk@other.test>\n/CC "Carol" <carol@other.test>\n/CC alice@example.test\n` +
          "/SUBJECT Re: Größe\n\nOn Tue, 24 Nov 2026 12:00:00 +0000, Dave Hill wrote:\n> How large?\n>\n>> older\n",
      );
      // Reply-To is honoured (RFC 5322 3.6.2).
      const sent = await here.mustCli(reply("bob", "1", "--quote"), { stdin: "Ten.\n" });
      assertMatch(sent, /^Accepted as \w{10} for Dave's desk <dave\+desk@other\.test>\.\n$/);
      const [second] = await there.mail("dave", 1);
      assertEquals(field(second!, "To"), "Dave's desk <dave+desk@other.test>");
      assertEquals([field(second!, "In-Reply-To"), field(second!, "References")], [
        "<1@other.test>",
        "<1@other.test>",
      ]);
      assertEquals(
        bodyOf(second!),
        "Ten.\r\n\r\nOn Tue, 24 Nov 2026 12:00:00 +0000, Dave Hill wrote:\r\n> How large?\r\n>\r\n>> older\r\n",
      );
      // And back.
      await there.mustCli(reply("dave", "1"), { stdin: "Are you sure?\n" });
      const third = (await here.mail("bob", 2))[1]!;
      const subject = await here.mustCli(["mail", "read", "2", "--user", "bob"]);
      assertMatch(subject, /^Subject: Re: Größe$/m);
      assertEquals(field(third, "In-Reply-To"), idOf(second!));
      assertEquals(field(third, "References"), `<1@other.test> ${idOf(second!)}`);
      // Amended: another /TO, another subject; the thread goes on.
      await here.mustCli(reply("bob", "2"), {
        stdin: "/TO /SMTP carol@other.test\n/CC dave@other.test\n/SUBJECT Size\n\nCarol knows.\n",
      });
      const fourth = (await there.mail("carol", 2))[1]!;
      assertEquals(
        [field(fourth, "To"), field(fourth, "Cc"), field(fourth, "Subject"), field(fourth, "In-Reply-To")],
        ["carol@other.test", "dave@other.test", "Size", idOf(third)],
      );
      assertEquals(field(fourth, "References"), `<1@other.test> ${idOf(second!)} ${idOf(third)}`);
      await there.mail("dave", 2);
      // To everybody but oneself.
      await here.mustCli(reply("alice", "1", "--all"), { stdin: "Eleven.\n" });
      const fifth = (await here.mail("bob", 3))[2]!;
      assertEquals(field(fifth, "Cc"), "Bob <bob@example.test>, Carol <carol@other.test>");
      assertNotMatch(field(fifth, "Cc")! + field(fifth, "To")!, /alice/);
      await there.mail("carol", 3);
      const wrong = await here.cli(reply("bob", "9"), { stdin: "x\n" });
      assertEquals(wrong.code, 1);
      assertMatch(wrong.stderr, /^emsmail: .*9/);
    }),
);

/** An editor: a script that gets the note as its last argument. */
async function withEditor(server: Server, script: string, args: readonly string[]): Promise<Ran> {
  const file = `${server.folder}/editor`;
  await Deno.writeTextFile(file, `#!/bin/sh\n${script}\n`, { mode: 0o700 });
  return await runProgram([...emsmail(), ...args, "--config", server.configFile], {
    cwd: server.folder,
    env: { EDITOR: file, TMPDIR: server.folder },
  });
}

e2e("reply: an editor amends the note, and what can't be sent is kept", {}, async (server) => {
  await server.send({
    to: "bob@example.test",
    data: "From: Alice <alice@example.test>\r\nSubject: Re: Lunch\r\nMessage-ID: <l@x.test>\r\n\r\nWhen?\r\n",
  });
  await server.mail("bob", 1);
  const args = reply("bob", "1", "--edit", "--quote");
  const sent = await withEditor(server, `sed -i 's/^$/\\nAt noon.\\n/; s/^> When/> when/' "$1"`, args);
  assertEquals([sent.code, sent.stderr], [0, ""]);
  const [text] = await server.mail("alice", 1);
  assertEquals([field(text!, "Subject"), field(text!, "In-Reply-To")], ["Re: Lunch", "<l@x.test>"]);
  assertMatch(bodyOf(text!), /^At noon\.\r\n\r\nAlice wrote:\r\n> when\?\r\n/);
  const left = await withEditor(server, "exit 0", args);
  assertEquals([left.code, left.stderr], [1, "emsmail: nothing was sent: the note was left as it was\n"]);
  const wrong = await withEditor(server, `sed -i 's/^.TO.*/\\/TO nobodi/' "$1"`, args);
  assertEquals(wrong.code, 1);
  const kept = /the note is kept in (\S+note\.txt)/.exec(wrong.stderr)?.[1];
  assertMatch(wrong.stderr, /note\.txt:1:5: nobody is called nobodi\n/);
  assertStringIncludes(await Deno.readTextFile(kept!), "/TO nobodi\n");
  assertEquals((await withEditor(server, "exit 3", args)).code, 1);
  await server.mail("alice", 1);
});

/** Attachments with names that lead elsewhere, one of them twice. */
const NASTY = [
  "From: Alice <alice@example.test>",
  "To: bob@example.test",
  "Subject: Files: a/b",
  "Date: Tue, 24 Nov 2026 12:00:00 +0000",
  "Message-ID: <f@x.test>",
  "MIME-Version: 1.0",
  'Content-Type: multipart/mixed; boundary="b"',
  "",
  "--b",
  "Content-Type: text/plain; charset=utf-8",
  "Content-Transfer-Encoding: 8bit",
  "",
  "Gr\u00c3\u00b6\u00c3\u009fe.",
  "--b",
  'Content-Type: application/octet-stream; name="../../etc/passwd"',
  "Content-Transfer-Encoding: base64",
  'Content-Disposition: attachment; filename="../../etc/passwd"',
  "",
  "AAEC",
  "--b",
  "Content-Type: application/vnd.ms-excel",
  "Content-Transfer-Encoding: base64",
  "Content-Disposition: attachment; filename*=UTF-8''Gr%C3%B6%C3%9Fe.xls",
  "",
  "/v8=",
  "--b",
  "Content-Type: application/vnd.ms-excel",
  "Content-Transfer-Encoding: base64",
  "Content-Disposition: attachment; filename*=UTF-8''Gr%C3%B6%C3%9Fe.xls",
  "",
  "AQ==",
  "--b--",
  "",
].join("\r\n");

e2e("forward: inline with its attachments, and whole as an attachment, byte for byte and kept once", {
  needs: ["python3"],
}, async (server) => {
  await server.send({ to: "bob@example.test", data: NASTY });
  const [original] = await server.mail("bob", 1);
  const stored = () => {
    using database = new DatabaseSync(`${server.data}/emsmail.db`, { readOnly: true });
    return Number(database.prepare("SELECT sum(length(data)) AS octets FROM part").get()!["octets"]);
  };
  await server.mustCli(["mail", "forward", "1", "--user", "bob", "alice"]);
  const [inline] = await server.mail("alice", 1);
  assertEquals(JSON.parse(await mustRun(["python3", "-c", PARTS], { stdin: latin1Text(inline!) })), {
    subject: "Fwd: Files: a/b",
    defects: 0,
    text: "---------- Forwarded message ----------\nFrom: Alice <alice@example.test>\n" +
      "Date: Tue, 24 Nov 2026 12:00:00 +0000\nSubject: Files: a/b\nTo: bob@example.test\n\nGröße.\n",
    parts: [["passwd", "000102"], ["Größe.xls", "feff"], ["Größe.xls", "01"]],
  });
  const before = stored();
  await server.mustCli(["mail", "forward", "1", "--user", "bob", "--as-attachment"], {
    stdin: "/TO alice\n\nSee below.\n",
  });
  const whole = (await server.mail("alice", 2))[1]!;
  // What was received, without what POP3 puts in front of it.
  const received = original!.slice(original!.indexOf("Received:"));
  assertStringIncludes(whole, `\r\n\r\n${received}\r\n--`);
  assertMatch(whole, /^Content-Type: message\/rfc822/m);
  assertEquals(stored() - before < NASTY.length, true, "the attached message is kept once");
});

/** A message of the wire, an octet a character, as it goes to a program. */
function latin1Text(octets: string): string {
  return new TextDecoder().decode(Uint8Array.from(octets, (sign) => sign.charCodeAt(0)));
}

const PARTS = `
import sys, json, email, email.policy
m = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
print(json.dumps(dict(subject=m["subject"], defects=len(m.defects), text=m.get_body().get_content().replace("\\r\\n", "\\n"),
    parts=[[a.get_filename(), a.get_payload(decode=True).hex()] for a in m.iter_attachments()])))
`;

e2e("save: into the folder and nowhere else, over nothing that is there unless asked", {}, async (server) => {
  await server.send({ to: "bob@example.test", data: NASTY });
  const [original] = await server.mail("bob", 1);
  const folder = `${server.folder}/saved`;
  await Deno.mkdir(folder);
  const save = ["mail", "save", "1", "--user", "bob", "--output", folder];
  assertEquals(
    await server.mustCli(save),
    `Saved ${folder}/passwd (3 B).\nSaved ${folder}/Größe.xls (2 B).\nSaved ${folder}/Größe-2.xls (1 B).\n`,
  );
  assertEquals([...await Deno.readFile(`${folder}/Größe.xls`)], [0xfe, 0xff]);
  await Deno.writeTextFile(`${folder}/passwd`, "mine");
  await Deno.remove(`${folder}/Größe.xls`);
  const again = await server.cli(save);
  assertEquals(
    [again.code, again.stderr],
    [
      1,
      `emsmail: nothing was saved: there is ${folder}/passwd, ${folder}/Größe-2.xls already; choose another folder ` +
      "with --output, or replace what is there with --force\n",
    ],
  );
  assertEquals(await Deno.readTextFile(`${folder}/passwd`), "mine");
  await server.mustCli([...save, "--force", "--part", "1"]);
  assertEquals([...await Deno.readFile(`${folder}/passwd`)], [0, 1, 2]);
  assertEquals(
    await server.mustCli([...save, "--package"]),
    `Saved ${folder}/Files_ a-b.eml (${size(original!)}).\n`,
  );
  const whole = await Deno.readFile(`${folder}/Files_ a-b.eml`);
  assertEquals(latin1Text(original!), new TextDecoder().decode(whole));
  const none = await server.cli([...save, "--part", "9"]);
  assertEquals(none.code, 2);
  assertMatch(none.stderr, /^emsmail: message \w{10} has no attachment 9; they are numbered 1 to 3\n$/);
  assertEquals((await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort(), [
    "Files_ a-b.eml",
    "Größe-2.xls",
    "passwd",
  ]);
});

function size(text: string): string {
  return text.length < 1024 ? `${text.length} B` : `${(text.length / 1024).toFixed(1)} KiB`;
}
