import { spawnSync } from "node:child_process";
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { fromLatin1, isAscii, latin1, utf8 } from "../../../src/base/bytes.ts";
import { PIECES } from "../../../src/base/limits.ts";
import { decodeEncodedWords } from "../../../src/mime/encoded_word.ts";
import { fileNameOf } from "../../../src/mime/file_name.ts";
import {
  assembled,
  type Broken,
  broken,
  contents,
  decoded,
  HOST,
  octetsOf,
  sha256,
  SOURCE,
  structureOf,
  valueOf,
} from "./pieces.ts";
import { formatMessageKey } from "../../../src/mail/message_id.ts";

const HEADER = `Received: from pc.example.org (folded
\tover two lines) by mail.example.org
DKIM-Signature: v=1; a=rsa-sha256; d=example.org;
 b=abc
ARC-Seal: i=1
From: Bob <bob@example.org>
To: alice@example.test
Date: Mon, 05 Jan 2026 09:00:00 +0000
Message-ID: <first@example.org>
References: <zero@example.org>
Subject: Budget
Disposition-Notification-To: bob@example.org
MIME-Version: 1.0
`;
const SHEET = `Content-Type: application/vnd.ms-excel; name="budget.xls"
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename="budget.xls"; size=6

AAECAwQF
`;
const TEXT = `Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Here it is.
`;

function mixed(parts: readonly string[], { header = HEADER, boundary = "b1" } = {}): Uint8Array {
  const body = parts.map((part) => `--${boundary}\n${part}\n`).join("");
  return octetsOf(
    `${header}Content-Type: multipart/mixed; boundary="${boundary}"\n\npreamble\n${body}--${boundary}--\n`,
  );
}

function apart(message: Uint8Array): Broken {
  const result = broken(message);
  if (typeof result === "string") throw new Error(`whole: ${result}`);
  return result;
}

Deno.test("breakApart() makes the text one message and each attachment one of its own", () => {
  const picture = `Content-Type: image/png; name="a.png"
Content-Description: a picture
Content-ID: <pic@example.org>
Content-Transfer-Encoding: base64

iVBORw==
`;
  const message = mixed([TEXT, SHEET, picture]);
  const { pieces, messages } = apart(message);
  assertEquals(pieces.map(({ key, of, place, messageId }) => [key, of, place, messageId]), [
    [SOURCE + 1, SOURCE, "1/3", "first@example.org"],
    [SOURCE + 2, SOURCE, "2/3", `${formatMessageKey(SOURCE + 2)}@${HOST}`],
    [SOURCE + 3, SOURCE, "3/3", `${formatMessageKey(SOURCE + 3)}@${HOST}`],
  ]);
  assertEquals(pieces.map(({ size }) => size), messages.map(({ length }) => length));
  assertEquals(
    latin1(messages[0]!),
    latin1(octetsOf(`Received: from pc.example.org (folded
\tover two lines) by mail.example.org
From: Bob <bob@example.org>
To: alice@example.test
Date: Mon, 05 Jan 2026 09:00:00 +0000
Message-ID: <first@example.org>
References: <zero@example.org>
Subject: Budget
Disposition-Notification-To: bob@example.org
X-EMS-Part: 1/3
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Here it is.
`)),
  );
  const second = messages[1]!;
  const values = (name: string) =>
    structureOf(second).root.fields.filter((each) => each.name.toLowerCase() === name)
      .map(({ value }) => value);
  assertEquals(values("message-id"), [`<${formatMessageKey(SOURCE + 2)}@${HOST}>`]);
  assertEquals(values("in-reply-to"), ["<first@example.org>"]);
  assertEquals(values("references"), ["<first@example.org>"]);
  assertEquals(values("subject"), ["Budget [2/3 budget.xls]"]);
  assertEquals(values("x-ems-part"), ["2/3"]);
  assertEquals(values("date"), ["Mon, 05 Jan 2026 09:00:00 +0000"]);
  assertEquals(values("from"), ["Bob <bob@example.org>"]);
  assertEquals([values("dkim-signature"), values("disposition-notification-to")], [[], []]);
  const [sheet] = contents(structureOf(second).root);
  assertEquals(fileNameOf(sheet!), "budget.xls");
  assertEquals([...decoded(sheet!, second)], [0, 1, 2, 3, 4, 5]);
  const third = messages[2]!;
  assertStringIncludes(latin1(third), "Content-Description: a picture\r\nContent-ID: <pic@example.org>\r\n");
  for (const each of messages) assertEquals(structureOf(each).damage, []);
});

Deno.test("breakApart() keeps each attachment's name and other parameters", () => {
  const names: readonly (readonly [string, string])[] = [
    [`application/pdf; name="quoted \\"x\\".pdf"`, "quoted _x_.pdf"],
    [`application/pdf; name="=?UTF-8?B?w7xiZXIucGRm?="`, "über.pdf"],
    [`application/pdf; name*=UTF-8''%E2%82%AC%20rates.pdf`, "€ rates.pdf"],
    [`application/pdf; name*0="a very "; name*1="long.pdf"`, "a very long.pdf"],
    [`application/pdf; name="${latin1(utf8("naïve.pdf"))}"`, "naïve.pdf"],
    [`application/pdf; name="../../etc/passwd"`, "passwd"],
  ];
  for (const [type, name] of names) {
    const { messages } = apart(mixed([TEXT, `Content-Type: ${type}\n\n%PDF`]));
    const second = messages[1]!;
    assertEquals(fileNameOf(contents(structureOf(second).root)[0]!), name, type);
    assertEquals(decodeEncodedWords(valueOf(second, "subject")!), `Budget [2/2 ${name}]`, type);
  }
  const csv = `Content-Type: text/csv; charset=iso-8859-1; header=present; name=x.csv\n\na,b`;
  const part = contents(structureOf(apart(mixed([TEXT, csv])).messages[1]!).root)[0]!;
  assertEquals([part.type.value, part.type.parameters.get("charset"), part.type.parameters.get("header")], [
    "text/csv",
    "iso-8859-1",
    "present",
  ]);
});

Deno.test("breakApart() names what has no name, and subjects in any characters", () => {
  const header = HEADER.replace("Subject: Budget", "Subject: =?ISO-8859-1?Q?Gr=FC=DFe?=");
  const { messages } = apart(
    mixed([TEXT, "Content-Type: image/png\n\nx", "Content-Type: application/x-odd\n\nx"], { header }),
  );
  assertEquals(messages.map((each) => decodeEncodedWords(valueOf(each, "subject")!)), [
    "Grüße",
    "Grüße [2/3 attachment-2.png]",
    "Grüße [3/3 attachment-3]",
  ]);
  assert(isAscii(messages[1]!));
});

Deno.test("breakApart() keeps an attachment's last octets as they are", () => {
  for (const end of ["", "\n", "\n\n", " ", "\r"]) {
    const message = fromLatin1(
      `${HEADER.replaceAll("\n", "\r\n")}Content-Type: multipart/mixed; boundary=b\r\n\r\n` +
        `--b\r\n\r\ntext\r\n--b\r\nContent-Type: application/x-odd\r\n\r\nABC${end}\r\n--b--\r\n`,
    );
    const second = apart(message).messages[1]!;
    const [part] = contents(structureOf(second).root);
    assertEquals(latin1(second.subarray(part!.bodyStart, part!.end)), `ABC${end}`);
  }
});

Deno.test("breakApart() keeps a package together, with its own type", () => {
  const page = `Content-Type: multipart/related; boundary="b2"

--b2
Content-Type: multipart/alternative; boundary="b3"

--b3

plain
--b3
Content-Type: text/html

<img src="cid:x">
--b3--
--b2
Content-Type: image/png
Content-ID: <x>

png
--b2--`;
  const { pieces, messages } = apart(mixed([page, SHEET]));
  assertEquals(pieces.length, 2);
  assertEquals(structureOf(messages[0]!).root.type.value, "multipart/related");
  assertEquals(contents(structureOf(messages[0]!).root).map(({ type }) => type.value), [
    "text/plain",
    "text/html",
    "image/png",
  ]);
  assertEquals(structureOf(messages[0]!).damage, []);
});

Deno.test("breakApart() takes the two forks of a file for one attachment", () => {
  const file = `Content-Type: multipart/appledouble; boundary="b2"; x-odd="\u00fc"

--b2
Content-Type: application/applefile

fork
--b2
Content-Type: image/png; name="a.png"

png
--b2--`;
  const { messages } = apart(mixed([file, TEXT]));
  assertEquals(valueOf(messages[1]!, "subject"), "Budget [2/2 attachment-2]");
  const [inner] = structureOf(messages[1]!).root.children;
  assertEquals(inner!.type.value, "multipart/appledouble");
  assertEquals(inner!.children.map(({ type }) => type.value), ["application/applefile", "image/png"]);
  assertStringIncludes(latin1(messages[1]!), 'x-odd="\u00fc"\r\n');
});

Deno.test("breakApart() opens mixed in mixed, and no message in a message", () => {
  const inner = `Content-Type: multipart/mixed; boundary="in ner"

--in ner

inside
--in ner
Content-Type: application/pdf; name=x.pdf

%PDF
--in ner--`;
  const nested = `Content-Type: message/rfc822

Subject: inside
Content-Type: multipart/mixed; boundary=zz

--zz

one
--zz
Content-Type: application/pdf; name=hidden.pdf

%PDF
--zz--`;
  const { pieces, messages } = apart(mixed([TEXT, inner, nested]));
  assertEquals(pieces.map(({ place }) => place), ["1/4", "2/4", "3/4", "4/4"]);
  assertEquals(messages.map((each) => valueOf(each, "subject")), [
    "Budget",
    "Budget [2/4]",
    "Budget [3/4 x.pdf]",
    "Budget [4/4 message.eml]",
  ]);
  const [message] = contents(structureOf(messages[3]!).root);
  assertEquals(message!.type.value, "message/rfc822");
  assertStringIncludes(latin1(messages[3]!.subarray(message!.bodyStart, message!.end)), "name=hidden.pdf");
});

Deno.test("breakApart() begins with the text wherever it stands, or with the first attachment", () => {
  const late = apart(mixed([SHEET, TEXT]));
  assertEquals(late.messages.map((each) => valueOf(each, "subject")), ["Budget", "Budget [2/2 budget.xls]"]);
  const none = apart(mixed([SHEET, SHEET.replaceAll("budget", "costs")]));
  assertEquals(none.messages.map((each) => valueOf(each, "subject")), [
    "Budget [1/2 budget.xls]",
    "Budget [2/2 costs.xls]",
  ]);
  assertEquals(none.messages.map((each) => valueOf(each, "in-reply-to")), [undefined, "<first@example.org>"]);
  assertEquals(none.pieces[0]!.messageId, "first@example.org");
});

Deno.test("breakApart() gives a message without Message-ID one, so that the others can name it", () => {
  const header = HEADER.replace(/Message-ID:.*\n/, "");
  for (const parts of [[TEXT, SHEET], [SHEET, SHEET]]) {
    const { pieces, messages } = apart(mixed(parts, { header }));
    const id = `${formatMessageKey(SOURCE + 1)}@${HOST}`;
    assertEquals(pieces[0]!.messageId, id);
    assertEquals([valueOf(messages[0]!, "message-id"), valueOf(messages[1]!, "in-reply-to")], [
      `<${id}>`,
      `<${id}>`,
    ]);
  }
});

Deno.test("breakApart() believes no X-EMS-Part that came with the message", () => {
  const { messages } = apart(mixed([TEXT, SHEET], { header: `x-ems-part: 9/9\n${HEADER}` }));
  assertEquals(messages.map((each) => valueOf(each, "x-ems-part")), ["1/2", "2/2"]);
});

Deno.test("breakApart() leaves whole what has nothing to take out", () => {
  const whole: readonly Uint8Array[] = [
    octetsOf(`${HEADER}\ntext`),
    octetsOf(`${HEADER}Content-Type: application/pdf; name=x.pdf\n\n%PDF`),
    mixed([TEXT]),
    mixed([SHEET]),
    // A list's footer.
    mixed([TEXT, "Content-Type: text/plain\n\n-- \nhow to leave the list"]),
    octetsOf(
      `${HEADER}Content-Type: multipart/alternative; boundary=b\n\n--b\n\na\n--b\nContent-Type: text/html\n\nb\n--b--`,
    ),
    octetsOf(
      `${HEADER}Content-Type: multipart/report; boundary=b\n\n--b\n\nfailed\n--b\n` +
        "Content-Type: message/delivery-status\n\nAction: failed\n--b--",
    ),
  ];
  for (const message of whole) assertEquals(typeof broken(message), "string", latin1(message));
});

Deno.test("breakApart() never splits what is signed or encrypted, however deep", () => {
  const base64 = (text: string) => btoa(text).replace(/.{76}/g, "$&\n");
  const guarded: readonly string[] = [
    `Content-Type: multipart/signed; boundary=s\n\n--s\n\nx\n--s\nContent-Type: application/pgp-signature\n\nx\n--s--`,
    `Content-Type: multipart/encrypted; boundary=s\n\n--s\n\nx\n--s--`,
    "Content-Type: application/pkcs7-mime; smime-type=enveloped-data\n\nMII",
    "Content-Type: application/x-pkcs7-mime\n\nMII",
    "Content-Type: application/octet-stream; name=smime.p7m\n\nMII",
    "Content-Type: application/x-pkcs7-signature; name=smime.p7s\n\nMII",
    "Content-Type: application/pgp-encrypted\n\nVersion: 1",
    "Content-Type: text/plain\n\nsee below\n-----BEGIN PGP MESSAGE-----\n",
    `Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n${
      base64("hello\n-----BEGIN PGP SIGNED MESSAGE-----\n".repeat(30))
    }`,
    // Said to be base64, and none.
    "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n-----BEGIN PGP MESSAGE-----\n",
    "Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n=2D----BEGIN=20PGP MESSAGE-----\n",
    `Content-Type: multipart/alternative; boundary=q\n\n--q\n\n-----BEGIN PGP MESSAGE-----\n--q\nContent-Type: text/html\n\nx\n--q--`,
  ];
  for (const part of guarded) {
    assertEquals(
      broken(mixed([TEXT, part, SHEET])),
      "it is signed or encrypted, and would not be so any more",
      part,
    );
  }
  // What is signed inside a message that is attached is that message's affair.
  const attached = `Content-Type: message/rfc822\n\n${guarded[0]!}`;
  assertEquals(apart(mixed([TEXT, attached])).pieces.length, 2);
});

Deno.test("breakApart() passes damaged messages on whole and marked", () => {
  const damaged: readonly Uint8Array[] = [
    octetsOf(`${HEADER}Content-Type: multipart/mixed\n\n--b\n\nx\n--b--\n`),
    octetsOf(`${HEADER}Content-Type: multipart/mixed; boundary=b\n\nno such line\n`),
    octetsOf(`${HEADER}Content-Type: multipart/mixed; boundary=b\n\n--b\n\ntext\n--b\n${SHEET}`),
    mixed([TEXT, SHEET, "Content-Type: multipart/related; boundary=c\n\n--c\n\nx"]),
    mixed([TEXT, SHEET], { boundary: "b\u00fc" }),
    mixed([TEXT, ...Array.from({ length: PIECES }, () => "Content-Type: image/png\n\nx")]),
    mixed([TEXT, ...Array.from({ length: 400 }, () => SHEET)], {
      header: `${"X-Long: 0123456789\n".repeat(1000)}${HEADER}`,
    }),
  ];
  for (const message of damaged) {
    const { pieces: [piece, ...others], messages: [marked] } = apart(message);
    assertEquals(others, []);
    assertEquals([piece!.place, piece!.messageId], ["1/1", "first@example.org"]);
    const text = latin1(marked!);
    assertMatch(text, /^X-EMS-Damaged: [A-Z][^\r]*(?:\r\n [^\r]*)*\.\r\n/);
    assertEquals(text.slice(-message.length), latin1(message));
    assertEquals(piece!.size, marked!.length);
  }
});

/** Says of each message what Python's email finds in it: subject, and each leaf's type, name and decoded octets. */
const READER = `
import sys, json, email, email.policy, base64
found = []
for raw in json.load(sys.stdin):
    message = email.message_from_bytes(base64.b64decode(raw), policy=email.policy.default)
    leaves = [part for part in message.walk() if not part.is_multipart()]
    found.append([str(message["subject"]), len(message.defects), [
        [part.get_content_type(), part.get_filename(), base64.b64encode(part.get_payload(decode=True)).decode()]
        for part in leaves]])
print(json.dumps(found))
`;

Deno.test({
  name: "breakApart() makes messages that Python's email reads",
  ignore: spawnSync("python3", ["--version"]).status !== 0,
  fn() {
    const odd = "Content-Type: text/csv; charset=iso-8859-1; name*=UTF-8''%C3%BCber%20%E2%82%AC.csv\n" +
      "Content-Transfer-Encoding: quoted-printable\n\na=3Db\n";
    const { messages } = apart(mixed([TEXT, SHEET, odd], { boundary: "=_a 'b' (c)" }));
    const { stdout } = spawnSync("python3", ["-c", READER], {
      input: JSON.stringify(messages.map((each) => btoa(latin1(each)))),
      encoding: "utf8",
    });
    assertEquals(JSON.parse(stdout), [
      ["Budget", 0, [["text/plain", null, btoa("Here it is.\r\n")]]],
      ["Budget [2/3 budget.xls]", 0, [["application/vnd.ms-excel", "budget.xls", "AAECAwQF"]]],
      ["Budget [3/3 über €.csv]", 0, [["text/csv", "über €.csv", btoa("a=b\r\n")]]],
    ]);
  },
});

/** Parts of any octets, in base64 or as they are, flat and nested. */
const part = fc.record({
  role: fc.constantFrom("text", "file"),
  octets: fc.uint8Array({ maxLength: 300 }),
  name: fc.string({ unit: "binary", maxLength: 30 }),
  nested: fc.boolean(),
});

Deno.test("breakApart() has each part's octets in exactly one piece, and the same after decoding", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(part, { minLength: 2, maxLength: 8 }), async (parts) => {
      const texts = parts.map(({ role, octets, name, nested }) => {
        const type = role === "text"
          ? "text/plain"
          : `application/octet-stream; name*=UTF-8''${
            encodeURIComponent(name.toWellFormed()).replaceAll("'", "%27").replaceAll("*", "%2A")
          }`;
        const one = `Content-Type: ${type}\nContent-Transfer-Encoding: base64\n\n${btoa(latin1(octets))}`;
        return nested ? `Content-Type: multipart/mixed; boundary=n\n\n--n\n${one}\n--n--` : one;
      });
      const message = mixed(texts);
      const result = broken(message);
      if (parts.every(({ role }) => role === "text")) return assertEquals(typeof result, "string");
      if (typeof result === "string") return assertStringIncludes(result, "signed or encrypted");
      const { pieces, messages } = result;
      const leaves = contents(structureOf(message).root);
      const spans = pieces.flatMap(({ segments }) => segments.filter(({ source }) => source === SOURCE))
        .map(({ offset, length }) => `${offset}+${length}`);
      const wanted = leaves.filter(({ bodyStart, end }) => end > bodyStart)
        .map(({ bodyStart, end }) => `${bodyStart}+${end - bodyStart}`);
      assertEquals(spans.sort(), wanted.sort());
      const sums = await Promise.all(leaves.map((leaf) => sha256(decoded(leaf, message))));
      const found = await Promise.all(messages.map((each) => {
        const structure = structureOf(each);
        assertEquals(structure.damage, []);
        const [leaf, ...others] = contents(structure.root);
        assertEquals(others, []);
        return sha256(decoded(leaf!, each));
      }));
      assertEquals(found.sort(), sums.sort());
    }),
    { numRuns: 200 },
  );
});

Deno.test("breakApart() takes any octets for what they are", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          fc.constantFrom(
            ...[...'\n:-b;="'],
            "--b",
            "--b--",
            "\n\n",
            "Content-Type: multipart/mixed; boundary=b\n",
          ),
          fc.string({ unit: "binary-ascii", maxLength: 5 }),
        ),
        { maxLength: 60 },
      ),
      (tokens) => {
        const message = fromLatin1(`Content-Type: multipart/mixed; boundary=b\n${tokens.join("")}`);
        const result = broken(message);
        if (typeof result === "string") return;
        for (const piece of result.pieces) assertEquals(assembled(piece, message).length, piece.size);
      },
    ),
    { numRuns: 500 },
  );
});
