import process from "node:process";
import { assertEquals, assertLess, assertMatch, assertRejects } from "@std/assert";
import fc from "fast-check";
import { concat, fromLatin1, latin1, utf8 } from "../../../src/base/bytes.ts";
import { recordName, recordText } from "../../../src/dkim/keys.ts";
import { chooseKeys, SigningError, signMessage } from "../../../src/dkim/sign.ts";
import type { SigningKey } from "../../../src/store/types.ts";
import { BOTH, inPieces, key, message, NOW_MS, verify } from "./fixtures.ts";

async function sign(
  content: Uint8Array | AsyncIterable<Uint8Array>,
  { keys = BOTH, reversePath = "alice@example.org" }: {
    readonly keys?: readonly SigningKey[];
    readonly reversePath?: string;
  } = {},
): Promise<Uint8Array> {
  return await signMessage(content, { keys, reversePath, nowMs: NOW_MS });
}

async function signed(content: Uint8Array): Promise<Uint8Array> {
  return concat([await sign(content), content]);
}

const PASS = ["pass example.org r", "pass example.org e"];

Deno.test("signMessage() signs by RSA and by Ed25519 what others verify", async () => {
  const content = await signed(message("Hello  Bob,\r\n\r\nbye \r\n\r\n\r\n"));
  assertEquals(await verify(content), PASS);
  const text = latin1(content);
  assertMatch(text, /^DKIM-Signature: v=1; a=rsa-sha256; c=relaxed\/relaxed; d=example\.org;\r\n /);
  assertMatch(text, /a=ed25519-sha256/);
  assertMatch(text, new RegExp(`[; ]t=${NOW_MS / 1000};`));
  assertEquals(/[; ][lx]=\d/.test(text), false);
  for (const line of text.split("\r\n")) assertLess(line.length, 79);
});

Deno.test("signMessage() gives the same in pieces and octet by octet", async () => {
  const content = message("one\r\n two \r\n.\r\n\r\n");
  // Ed25519 is deterministic, and so is RSA with PKCS #1 v1.5 padding.
  const whole = latin1(await sign(content));
  for (const size of [1, 2, 3, 7, 100]) {
    assertEquals(latin1(await sign(inPieces(content, size))), whole, `in pieces of ${size}`);
  }
});

Deno.test("signMessage() makes a signature that breaks when content or header is changed", async () => {
  const content = latin1(await signed(message("Pay 100\r\n")));
  const failed = async (text: string) =>
    (await verify(fromLatin1(text))).every((result) => !result.startsWith("pass"));
  assertEquals(await failed(content.replace("Pay 100", "Pay 900")), true);
  assertEquals(await failed(content.replace("Subject: News", "Subject: Olds")), true);
  assertEquals(await failed(content.replace(/\r\n$/, "\r\nmore\r\n")), true);
  for (
    const field of ["From: eve@example.com", "Subject: x", "To: x@example.com", "Date: x", "Cc: x@y.test"]
  ) {
    assertEquals(await failed(content.replace("\r\nTo:", `\r\n${field}\r\nTo:`)), true, field);
    assertEquals(await failed(`${field}\r\n${content}`), true, `${field} on top`);
  }
  // What is on the way anyway doesn't break it.
  assertEquals(
    await failed(`Received: from x\r\n${content.replace("\r\n\r\n", "\r\nX-Seen: yes\r\n\r\n")}`),
    false,
  );
});

Deno.test("signMessage() takes whatever a message may be", async () => {
  const cases: Record<string, Uint8Array> = {
    "no body": message(""),
    "no empty line": fromLatin1("From: a@example.org\r\nSubject: x\r\n"),
    "nothing behind the last field": fromLatin1("From: a@example.org"),
    "bare LF": fromLatin1("From: a@example.org\nSubject: x\n y\n\nline\nline \n"),
    "8 bit": message("gr\xfc\xdfe \xff\x00\r\n", "X-Name: \xe4\r\nReply-To: \xe4 <a@b.test>\r\n"),
    "UTF-8 in the header": concat([utf8("From: Jörg <jörg@example.org>\r\nSubject: 例え \r\n\r\nx\r\n")]),
    "folded names": fromLatin1("From : a@example.org\r\nSubject:\r\n folded\r\n\t more  \r\n\r\nx\r\n"),
    "twice": fromLatin1("To: a@b.test\r\nTo: b@b.test\r\nFrom: a@example.org\r\nTo: c@b.test\r\n\r\nx\r\n"),
    "two From fields": fromLatin1("From: a@example.org\r\nFrom: b@example.org\r\n\r\nx\r\n"),
    "no line end": message("x"),
    "a long line": message("x".repeat(300_000)),
  };
  for (const [name, content] of Object.entries(cases)) {
    assertEquals(await verify(await signed(content)), PASS, name);
  }
});

Deno.test("signMessage() signs whatever the body is", async () => {
  const piece = fc.constantFrom("a", "b", " ", "\t", "\r\n", "\r\n\r\n", "\xff", "  x", ".");
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 30 }), async (pieces) => {
      assertEquals(await verify(await signed(message(pieces.join("")))), PASS);
    }),
    { numRuns: 100 },
  );
});

Deno.test("signMessage() is silent where no key fits, and reads no further than it must", async () => {
  const stranger = fromLatin1("From: eve@example.com\r\n\r\nx\r\n");
  assertEquals((await sign(stranger, { reversePath: "eve@example.com" })).length, 0);
  assertEquals((await sign(stranger, { reversePath: "" })).length, 0);
  assertEquals((await sign(fromLatin1("nonsense"), { reversePath: "" })).length, 0);
  assertEquals((await sign(message("x"), { keys: [] })).length, 0);
  let read = 0;
  async function* endless() {
    for (;;) {
      if (read++ > 10) throw new Error("read on");
      yield await Promise.resolve(stranger);
    }
  }
  assertEquals((await sign(endless(), { reversePath: "" })).length, 0);
  assertEquals(read, 1);
});

Deno.test("signMessage() says what can't be signed", async () => {
  const refuses = async (content: string, words: RegExp) => {
    const error = await assertRejects(() => sign(fromLatin1(content)), SigningError);
    assertMatch(error.message, words);
  };
  await refuses("Subject: x\r\n\r\nx", /no From field/);
  await refuses("", /no From field/);
  await refuses(
    "From: a@example.org\r\nthis is no field\r\n\r\nx",
    /a line that is no field \(what follows From\)/,
  );
  await refuses("From x Mon\r\nFrom: a@example.org\r\n\r\nx", /mbox/);
  await refuses(`From: a@example.org\r\nX: ${"x".repeat(300_000)}\r\n\r\nx`, /more than 262144 octets/);
  await refuses(`From: a@example.org\r\n${"To: x\r\n".repeat(101)}\r\nx`, /102 fields/);
  const broken = key({ privateKey: "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n" });
  const error = await assertRejects(() => sign(message("x"), { keys: [broken] }), SigningError);
  assertMatch(error.message, /^the key r could not be used: /);
});

Deno.test("chooseKeys() takes the author's domain or the nearest above it, then the reverse-path's", () => {
  const sub = key({ domain: "sub.example.org" });
  const other = key({ domain: "example.net" });
  const keys = [...BOTH, sub, other];
  assertEquals(chooseKeys(keys, ["example.org"]), BOTH);
  assertEquals(chooseKeys(keys, ["a.example.org", "example.net"]), BOTH);
  assertEquals(chooseKeys(keys, ["deep.sub.example.org"]), [sub]);
  assertEquals(chooseKeys(keys, ["example.com", "example.net"]), [other]);
  assertEquals(chooseKeys(keys, ["badexample.org"]), []);
  assertEquals(chooseKeys(keys, []), []);
});

Deno.test("chooseKeys() lets the oldest of an algorithm sign", () => {
  const old = key({ selector: "z", createdAtMs: 1 });
  assertEquals(chooseKeys([...BOTH, old], ["example.org"]), [old, BOTH[1]!]);
});

Deno.test("signMessage() signs for the reverse-path where the author is somebody else's", async () => {
  const content = fromLatin1("From: eve@example.com\r\n\r\nx\r\n");
  assertEquals(await verify(concat([await sign(content), content])), PASS);
});

Deno.test("signMessage() bounds time and memory on 50 MB", async () => {
  const part = fromLatin1(("hello  world of mail\t".repeat(3) + "\r\n").repeat(1000));
  async function* content() {
    yield message("");
    for (let octets = 0; octets < 50_000_000; octets += part.length) yield await Promise.resolve(part);
  }
  const before = process.memoryUsage().rss;
  const begunMs = performance.now();
  assertEquals((await sign(content())).length > 0, true);
  assertLess(performance.now() - begunMs, 20_000);
  assertLess(process.memoryUsage().rss - before, 64 * 1024 * 1024);
});

const PYTHON = "/usr/bin/python3";
const VERIFY = `
import sys, dkim
records = dict(line.split("\\t") for line in sys.argv[1].split("\\n"))
message = sys.stdin.buffer.read()
found = lambda name, timeout=5: records[name.decode().rstrip(".")].encode()
d = dkim.DKIM(message)
print([d.verify(idx=i, dnsfunc=found) for i in range(int(sys.argv[2]))])
`;

function hasDkimpy(): boolean {
  try {
    return new Deno.Command(PYTHON, { args: ["-c", "import dkim, nacl"], stderr: "null" }).outputSync()
      .success;
  } catch {
    return false;
  }
}

Deno.test({
  name: "signMessage() makes signatures that dkimpy verifies",
  ignore: !hasDkimpy(),
  fn: async () => {
    const records = BOTH.map((each) => `${recordName(each)}\t${recordText(each)}`).join("\n");
    const messages = [
      message("Hello  Bob,\r\n\r\n bye \t\r\n\r\n"),
      message(""),
      fromLatin1(
        "Cc: a@b.test\r\nFrom: =?utf-8?q?J=C3=B6?=\r\n <a@example.org>\r\nCc: b@b.test\r\n\r\n\xff \r\n",
      ),
    ];
    for (const content of messages) {
      const child = new Deno.Command(PYTHON, {
        args: ["-c", VERIFY, records, "2"],
        stdin: "piped",
        stdout: "piped",
      }).spawn();
      const writer = child.stdin.getWriter();
      await writer.write(await signed(content));
      await writer.close();
      assertEquals(new TextDecoder().decode((await child.output()).stdout).trim(), "[True, True]");
    }
  },
});
