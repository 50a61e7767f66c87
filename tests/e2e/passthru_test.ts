/**
 * PassThru on the binary: what comes in goes out, by SHA-256, whatever it is; and the same message to a P user, a Y user
 * and somebody outside is handled three ways from one stored body.
 *
 * @module
 */
import { assert, assertEquals, assertMatch, assertNotMatch, assertStringIncludes } from "@std/assert";
import { Buffer } from "node:buffer";
import type { MailSummary } from "../../src/admin/mail.ts";
import { mimeCorpus } from "../testdata/mime_corpus.ts";
import { DOMAIN, mustRun, PASSWORD, type Server } from "./harness.ts";
import {
  ALICE,
  assertPassed,
  type Handled,
  handled,
  handOver,
  NORA,
  OUTSIDE,
  PAULA,
  rows,
  sha256,
  storedOctets,
  submission,
  YVES,
} from "./peers/handled.ts";

const XLSX = "B\u00fcdget 2026 \u2013 Entwurf.xlsx";
const PDF = "Annual report.pdf";
const OUT = `carol@${OUTSIDE}`;

/** Python's own library makes the message, so that nobody here decided how a program writes one. */
const COMPOSE = `
import email.message, email.policy, email.utils, io, os, sys, zipfile
folder, to = sys.argv[1], sys.argv[2:]
sheet = io.BytesIO()
with zipfile.ZipFile(sheet, "w", zipfile.ZIP_DEFLATED) as z:
    z.writestr("[Content_Types].xml", '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="application/xml"/></Types>')
    z.writestr("xl/workbook.xml", '<?xml version="1.0"?><workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheets><sheet name="Plan" sheetId="1"/></sheets></workbook>')
    z.writestr("xl/media/noise.bin", os.urandom(200_000))
pdf = b"%PDF-1.4\\n" + os.urandom(50_000) + b"\\n%%EOF\\n"
m = email.message.EmailMessage(policy=email.policy.SMTP.clone(max_line_length=78))
m["From"] = "Alice <${ALICE}>"; m["To"] = ", ".join(to); m["Subject"] = "The b\\u00fcdget"
m["Date"] = "Tue, 24 Nov 2026 12:00:00 +0000"; m["Message-ID"] = "<budget@pc.example.test>"
m.set_content("Plain words of the budget.\\n")
m.add_alternative('<p>Words <b>in HTML</b> <img src="cid:logo"></p>', subtype="html")
m.get_payload()[1].add_related(b"\\x89PNG" + os.urandom(3000), "image", "png", cid="<logo>")
m.add_attachment(sheet.getvalue(), "application", "vnd.openxmlformats-officedocument.spreadsheetml.sheet", filename="${XLSX}")
m.add_attachment(pdf, "application", "pdf", filename="${PDF}")
for name, octets in (("message.eml", m.as_bytes()), ("sheet", sheet.getvalue()), ("pdf", pdf)):
    with open(folder + "/" + name, "wb") as f: f.write(octets)
`;

/** Fetches a whole maildrop with poplib, and takes it apart as Python does; spreadsheets are opened. */
const FETCH = `
import email, email.policy, hashlib, io, json, poplib, ssl, sys, zipfile
cert, port, user, password = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
p = poplib.POP3_SSL("localhost", port, context=ssl.create_default_context(cafile=cert))
p.user(user); p.pass_(password)
found = []
uids = [line.split()[1].decode() for line in p.uidl()[1]]
for n in range(1, p.stat()[0] + 1):
    m = email.message_from_bytes(b"\\r\\n".join(p.retr(n)[1]) + b"\\r\\n", policy=email.policy.default)
    files = []
    for part in m.walk():
        if part.is_multipart() or part.get_filename() is None: continue
        octets = part.get_payload(decode=True)
        opens = part.get_filename().endswith(".xlsx") and zipfile.ZipFile(io.BytesIO(octets)).testzip() is None
        files.append({"name": part.get_filename(), "sha256": hashlib.sha256(octets).hexdigest(), "opens": opens})
    text = m.get_body(("plain",))
    found.append({"uid": uids[n - 1], "part": m["X-EMS-Part"], "from": m["From"], "date": m["Date"], "subject": m["Subject"],
        "id": m["Message-ID"], "reply": m["In-Reply-To"], "types": [x.get_content_type() for x in m.walk()],
        "text": None if text is None else text.get_content(), "files": files})
p.quit()
print(json.dumps(found))
`;

interface Fetched {
  readonly uid: string;
  readonly part: string | null;
  readonly from: string;
  readonly date: string;
  readonly subject: string;
  readonly id: string;
  readonly reply: string | null;
  readonly types: readonly string[];
  readonly text: string | null;
  readonly files: readonly { readonly name: string; readonly sha256: string; readonly opens: boolean }[];
}

interface Budget {
  readonly data: string;
  readonly sheet: string;
  readonly pdf: string;
}

async function octetsOf(file: string): Promise<string> {
  return Buffer.from(await Deno.readFile(file)).toString("latin1");
}

/** Makes the message and sends it with curl, as it is. */
async function sendBudget(server: Server, to: readonly string[]): Promise<Budget> {
  await mustRun(["python3", "-c", COMPOSE, server.folder, ...to]);
  const recipients = to.flatMap((each) => ["--mail-rcpt", each]);
  await mustRun([
    "curl",
    ...["--silent", "--show-error", "--ssl-reqd", "--cacert", server.cert, "--user", `alice:${PASSWORD}`],
    ...["--mail-from", ALICE, ...recipients, "--upload-file", `${server.folder}/message.eml`],
    `smtp://localhost:${server.ports.submission}`,
  ]);
  return {
    data: await octetsOf(`${server.folder}/message.eml`),
    sheet: sha256(await Deno.readFile(`${server.folder}/sheet`)),
    pdf: sha256(await Deno.readFile(`${server.folder}/pdf`)),
  };
}

async function fetched(server: Server, user: string, count: number): Promise<Fetched[]> {
  await server.mail(user, count);
  const { pop3s } = server.ports;
  return JSON.parse(
    await mustRun(["python3", "-c", FETCH, server.cert, `${pop3s}`, user, PASSWORD]),
  ) as Fetched[];
}

/** The three pieces that a Y user's program gets. */
function assertPieces(pieces: readonly Fetched[], { sheet, pdf }: Budget): void {
  const [text] = pieces;
  assertEquals(pieces.map(({ part }) => part), ["1/3", "2/3", "3/3"]);
  assertEquals(pieces.map(({ uid }) => uid), pieces.map(({ uid }) => uid).toSorted());
  assertEquals(new Set(pieces.map(({ uid }) => uid)).size, 3);
  assertEquals(new Set(pieces.map(({ id }) => id)).size, 3);
  assertEquals(text!.id, "<budget@pc.example.test>");
  assertEquals(text!.subject, "The b\u00fcdget");
  assertEquals(text!.text?.replaceAll("\r\n", "\n"), "Plain words of the budget.\n");
  assertEquals(text!.types, [
    "multipart/alternative",
    "text/plain",
    "multipart/related",
    "text/html",
    "image/png",
  ]);
  for (const piece of pieces) {
    assertEquals(piece.from, `Alice <${ALICE}>`);
    assertEquals(piece.date, "Tue, 24 Nov 2026 12:00:00 +0000");
    assertEquals(piece.reply, piece === text ? null : "<budget@pc.example.test>");
  }
  assertEquals(pieces[1]!.files, [{ name: XLSX, sha256: sheet, opens: true }]);
  assertEquals(pieces[1]!.subject, `The b\u00fcdget [2/3 ${XLSX}]`);
  assertEquals(pieces[2]!.files, [{ name: PDF, sha256: pdf, opens: false }]);
}

handled("passthru: a P user, a Y user and somebody outside get one message three ways from one body", {
  address: "127.0.21.2",
  needs: ["python3", "curl"],
}, async ({ server, sink }) => {
  const budget = await sendBudget(server, [PAULA, YVES, OUT]);
  const pieces = await fetched(server, "yves", 3);
  assertPieces(pieces, budget);
  const [whole] = await server.mail("paula", 1);
  const front = assertPassed(whole!, budget.data, "the P user's");
  assertMatch(front, /^Return-Path: <alice@example\.test>\r\nReceived: /);
  const [sent] = await sink.untilOctets(1);
  assertPassed(sent!, budget.data, "what went outside");

  // All that is beside the message: its own trace, and the headers of three pieces.
  const [{ size }] = rows(server, "SELECT size FROM message WHERE piece_of IS NULL") as [{ size: number }];
  assert(size < budget.data.length + 1000, `${size} octets of ${budget.data.length}`);
  const own = storedOctets(server) - size;
  assert(own > 0 && own < 4000, `${own} octets beside the body`);
  assertEquals(rows(server, "SELECT count(*) AS n FROM message WHERE piece_of IS NOT NULL"), [{ n: 3 }]);
});

handled("passthru: what is signed by DKIM on its way out has fields in front and is else the same", {
  address: "127.0.21.3",
  needs: ["python3", "curl"],
  prepare: async (server) => {
    await server.mustCli(["dkim", "add", DOMAIN]);
  },
}, async ({ server, sink }) => {
  const { data } = await sendBudget(server, [OUT]);
  const [sent] = await sink.untilOctets(1);
  assertMatch(assertPassed(sent!, data, "signed"), /^DKIM-Signature: /m);
});

handled("passthru: the N user reads pieces at the terminal, and POP3 is refused", {
  address: "127.0.21.4",
  needs: ["python3", "curl"],
}, async ({ server }) => {
  const budget = await sendBudget(server, [NORA, PAULA]);
  await server.mail("paula", 1);
  const wire = await server.connect("pop3");
  await wire.popOk("USER nora");
  await wire.popErr(`PASS ${PASSWORD}`, "[SYS/PERM] POP3 is not allowed");
  wire.close();

  const list = JSON.parse(
    await server.mustCli(["mail", "list", "--user", "nora", "--json"]),
  ) as MailSummary[];
  assertEquals(list.length, 3);
  assertStringIncludes(list[1]!.subject, XLSX);
  const text = await server.mustCli(["mail", "read", "1", "--user", "nora"]);
  assertStringIncludes(text, "Plain words of the budget.");
  assertNotMatch(text, /in HTML|<p>/);
  assertMatch(text, /^Part: 1 of 3 of "The b\u00fcdget"; the others are messages 2 and 3$/m);
  const folder = `${server.folder}/saved`;
  await Deno.mkdir(folder);
  for (const n of ["2", "3"]) await server.mustCli(["mail", "save", n, "--user", "nora", "--output", folder]);
  assertEquals(sha256(await Deno.readFile(`${folder}/${XLSX}`)), budget.sheet);
  assertEquals(sha256(await Deno.readFile(`${folder}/${PDF}`)), budget.pdf);

  // The P user's terminal shows the same message as one report with all of it in it.
  const whole = await server.mustCli(["mail", "read", "1", "--user", "paula"]);
  assertStringIncludes(whole, "Plain words of the budget.");
  assertNotMatch(whole, /in HTML|<p>/);
  assertMatch(whole, /^Report: .* \(the whole message, /m);
});

// ---------------------------------------------------------------- the corpus

const HEAD =
  `From: Alice <${ALICE}>\r\nDate: Tue, 24 Nov 2026 12:00:00 +0000\r\nMessage-ID: <odd@pc.test>\r\n` +
  "MIME-Version: 1.0\r\nSubject: odd\r\n";

const BARE = /\r(?!\n)|(?<!\r)\n/;
const BARES = /\r\n|\r|\n/g;

/** Beside the corpus of MIME: what is hard on what only passes a message on. */
const ODD: { readonly [name: string]: string } = {
  "8-bit header and text": `${HEAD}X-Name: J\xfcrgen \xc3\xbc\r\n\r\nGr\xfc\xdfe \xff\xfe\x80\r\n`,
  "every octet but CR and LF": `${HEAD}\r\n${
    Array.from({ length: 256 }, (_, i) => i === 10 || i === 13 ? "" : String.fromCharCode(i)).join("")
  }\r\n`,
  "NUL everywhere": `${HEAD}X-Nul: a\0b\r\n\r\n\0\0\r\n\0\r\n.\0\r\n`,
  "a line of 100 kB": `${HEAD}\r\n${"x".repeat(100_000)}\r\n.${"\xe9".repeat(100_000)}\r\n`,
  "a field of 100 kB": `${HEAD}X-Long: ${"y".repeat(100_000)}\r\n\r\ntext\r\n`,
  "a header of 1 MB": `${HEAD}${`X-Field: ${"z".repeat(90)}\r\n`.repeat(10_300)}\r\ntext\r\n`,
  "several parts on disk": `${HEAD}\r\n${`.${"w".repeat(77)}\r\n`.repeat(20_000)}`,
  "dots": `${HEAD}\r\n.\r\n..\r\n...\r\n. \r\n.x\r\n`,
  "no final newline": `${HEAD}\r\nthe end`,
  "a final dot without newline": `${HEAD}\r\n.`,
  "empty lines at the end": `${HEAD}\r\ntext\r\n\r\n\r\n\r\n`,
  "white space at line ends": `${HEAD}X-Blank: \t \r\n\r\ntext \t\r\n \r\n\t\r\n`,
  "a header without end": HEAD,
  "no header": "\r\nonly text\r\n",
  "LF alone": `${HEAD}\r\none\ntwo\r\n`,
  "CR alone": `${HEAD}\r\none\rtwo\r\n`,
  "LF CR": `${HEAD}\r\none\n\rtwo\r\n`,
  "a dot between LFs": `${HEAD}\r\none\n.\ntwo\r\n`,
  "CR at the end of the last chunk": `${HEAD}\r\nthe end\r`,
};

function corpus(): { readonly name: string; readonly data: string }[] {
  const files = [...mimeCorpus()].map(({ name, octets }) => ({
    name,
    data: Buffer.from(octets).toString("latin1"),
  }));
  return [...Object.entries(ODD).map(([name, data]) => ({ name, data })), ...files];
}

/** What mbox files part messages by is no field of the message: it would end the header right behind the trace fields. */
const MBOX = /^From [^\r]*\r\n/;

/** RFC 3030 lets a message end anywhere; a POP3 reply is made of lines, so the last one is ended. */
function ended(data: string): string {
  return data.endsWith("\r\n") ? data : `${data}\r\n`;
}

/** Which message it is, by the Received field of its submission. */
function idIn(text: string): string {
  return /^Received:\sfrom pc\.example\.test[^]*?\sid (\w{10})/m.exec(text)![1]!;
}

/** Sends messages to the P user and outside, each to an address of its own, and compares both with what was sent. */
async function assertAllPass(
  { server, sink }: Handled,
  messages: readonly { readonly name: string; readonly data: string; readonly expected: string }[],
): Promise<void> {
  const wire = await submission(server);
  for (const [index, { name, data }] of messages.entries()) {
    const { code, text } = await handOver(wire, { to: [PAULA, `m${index}@${OUTSIDE}`], data });
    assertEquals(code, 250, `${name}: ${text}`);
  }
  wire.close();
  const outside = new Map<string, string>();
  for (const text of await sink.untilOctets(messages.length)) {
    outside.set(/^X-Rcpt-Args: <(.*)>\r$/m.exec(text)![1]!, text);
  }
  const inside = new Map<string, string>();
  for (const text of await server.mail("paula", messages.length)) {
    inside.set(idIn(text), text);
  }
  for (const [index, { name, expected }] of messages.entries()) {
    const sent = outside.get(`m${index}@${OUTSIDE}`)!;
    assertPassed(sent, expected, `${name}, outside`);
    assertPassed(inside.get(idIn(sent))!, expected, `${name}, by POP3`);
  }
}

handled("passthru: the same octets by SMTP and POP3, whatever the message is", {
  address: "127.0.21.5",
}, async (given) => {
  const passing = corpus().filter(({ data }) => !BARE.test(data));
  assert(passing.length > 60, `${passing.length} messages`);
  assert(passing.some(({ data }) => MBOX.test(data)));
  await assertAllPass(
    given,
    passing.map((each) => ({ ...each, expected: ended(each.data.replace(MBOX, "")) })),
  );
});

handled("passthru: CR or LF alone is refused at the end of the message, and nothing of it is kept", {
  address: "127.0.21.6",
}, async ({ server }) => {
  const spoilt = corpus().filter(({ data }) => BARE.test(data));
  for (const name of ["LF alone", "CR alone", "LF CR", "a dot between LFs", "lf_only", "mixed_line_ends"]) {
    assert(spoilt.some((each) => each.name === name), `${name} is among those that are refused`);
  }
  const wire = await submission(server);
  for (const { name, data } of spoilt) {
    const { code, text } = await handOver(wire, { to: [PAULA], data });
    assertEquals(code, 550, `${name}: ${text}`);
    assertMatch(text, /^5\.6\.0 .*CR or LF/);
  }
  wire.close();
  assertEquals(rows(server, "SELECT count(*) AS n FROM message"), [{ n: 0 }]);
  assertEquals(storedOctets(server), 0);
});

handled("passthru: with smtp.bareNewline: repair each is made CRLF, and all else passes", {
  address: "127.0.21.7",
  config: { smtp: { bareNewline: "repair" } },
}, async (given) => {
  const spoilt = corpus().filter(({ data }) => BARE.test(data));
  await assertAllPass(
    given,
    spoilt.map((each) => ({ ...each, expected: ended(each.data.replace(BARES, "\r\n")) })),
  );
});

// ---------------------------------------------------------------- from program to program

handled("passthru: a spreadsheet goes from curl to fetchmail and to curl, and opens under its name", {
  address: "127.0.21.8",
  needs: ["python3", "curl", "fetchmail"],
}, async ({ server }) => {
  const { sheet } = await sendBudget(server, [PAULA, YVES]);
  await server.mail("paula", 1);
  await server.mail("yves", 3);
  const mbox = `${server.folder}/mbox`;
  const rc = `${server.folder}/fetchmailrc`;
  await Deno.writeTextFile(
    rc,
    `poll localhost protocol pop3 port ${server.ports.pop3s} username "paula" password "${PASSWORD}" ssl sslcertck ` +
      `sslcertfile "${server.cert}" keep mda "/bin/cat >> ${mbox}"\n`,
  );
  await Deno.chmod(rc, 0o600);
  await mustRun(["fetchmail", "-f", rc, "--nosyslog", "--pidfile", `${server.folder}/pid`], {
    env: { FETCHMAILHOME: server.folder, HOME: server.folder },
  });
  const file = `${server.folder}/second`;
  await mustRun([
    "curl",
    ...["--silent", "--show-error", "--cacert", server.cert, "--user", `yves:${PASSWORD}`, "--output", file],
    `pop3s://localhost:${server.ports.pop3s}/2`,
  ]);
  for (const fetchedFile of [mbox, file]) {
    const shown = await mustRun(["python3", "-c", OPEN, fetchedFile]);
    assertEquals(JSON.parse(shown), { name: XLSX, sha256: sheet, sheet: "Plan" }, fetchedFile);
  }
});

/** Opens the spreadsheet in a file with a message, as an office program does: the archive, then what names its sheets. */
const OPEN = `
import email, email.policy, hashlib, io, json, re, sys, zipfile
with open(sys.argv[1], "rb") as f: m = email.message_from_binary_file(f, policy=email.policy.default)
part = next(p for p in m.walk() if (p.get_filename() or "").endswith(".xlsx"))
octets = part.get_payload(decode=True)
z = zipfile.ZipFile(io.BytesIO(octets))
assert z.testzip() is None
name = re.search(r'sheet name="(\\w+)"', z.read("xl/workbook.xml").decode())[1]
print(json.dumps({"name": part.get_filename(), "sha256": hashlib.sha256(octets).hexdigest(), "sheet": name}))
`;
