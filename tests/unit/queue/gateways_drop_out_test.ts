import { assert, assertEquals } from "@std/assert";
import { createHash } from "node:crypto";
import { FakeClock } from "../../../src/base/clock.ts";
import { destinationOf } from "../../../src/queue/destination.ts";
import { gatewayConnect } from "../../../src/queue/gateways/courier.ts";
import { stemOf } from "../../../src/queue/gateways/drop_out.ts";
import type { DropFiles } from "../../../src/queue/gateways/types.ts";
import type { Sent } from "../../../src/queue/courier_types.ts";
import {
  contentOf,
  courierFor,
  CrashingFiles,
  DOMAIN,
  faultyFiles,
  jobFor,
  latin1,
  lines,
  namesIn,
  only,
  withFolder,
} from "./gateways_fixture.ts";
import type { QueuedOptions } from "./queue_fixture.ts";

const STEM = "0000000007.0";

const TEXT = lines(
  "Received: from a.test by mail.example.org with ESMTP id 1; Mon, 5 Jan 2026 09:00:00 +0000",
  "From: Alice <alice@example.org>",
  "To: bob@sales.mhs.example.org",
  "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=",
  "Date: Mon, 5 Jan 2026 10:00:00 +0100",
  "Message-ID: <1@example.org>",
  "In-Reply-To: <0@mhs.example.org> (hm)",
  "X-EMS-Part: 1/2",
  "MIME-Version: 1.0",
  "Content-Type: text/plain; charset=iso-8859-1",
  "Content-Transfer-Encoding: quoted-printable",
  "",
  "Gr=FC=DFe",
  "a very=",
  " long line",
);

/** An attachment as breaking apart wraps it. */
function attached(octets: Uint8Array, ...more: string[]): Uint8Array {
  const encoded = btoa(String.fromCharCode(...octets)).replace(/.{76}/g, "$&\r\n");
  return lines(
    "From: alice@example.org",
    "Content-Type: multipart/mixed; boundary=b",
    "",
    "--b",
    ...more,
    "Content-Transfer-Encoding: base64",
    "",
    ...encoded.split("\r\n"),
    "--b--",
  );
}

async function drop(
  content: Uint8Array,
  options: { readonly queued?: QueuedOptions; readonly files?: DropFiles; readonly partOctets?: number } = {},
): Promise<{ readonly sent: Sent; readonly files: Record<string, Uint8Array> }> {
  const found: Record<string, Uint8Array> = {};
  let sent: Sent | undefined;
  await withFolder(async (folder) => {
    const courier = await courierFor(
      { kind: "filedrop", name: "mhs", domain: DOMAIN, out: folder },
      content,
      {
        ...options.files === undefined ? {} : { files: options.files },
        content: () => Promise.resolve(contentOf(content, options.partOctets)),
      },
    );
    sent = await courier.send(jobFor("mhs", 7, options.queued).job);
    for (const name of namesIn(folder)) found[name] = Deno.readFileSync(`${folder}/${name}`);
  });
  return { sent: sent!, files: found };
}

const textOf = (octets: Uint8Array | undefined) => new TextDecoder().decode(octets);

function headOf(files: Record<string, Uint8Array>, stem = STEM): Record<string, string> {
  const entries = textOf(files[`${stem}.head`]).trimEnd().split("\n").map((line) => line.split(/: (.*)/s));
  return Object.fromEntries(entries.map(([name, value]) => [name, value])) as Record<string, string>;
}

Deno.test("gatewayConnect() drops a text as two files", async () => {
  for (const partOctets of [1, 7, 10_000]) {
    const { sent, files } = await drop(TEXT, { partOctets });
    const verdict = only(sent, "handed");
    assertEquals([verdict.by, verdict.dsn, verdict.reply.code], ["gateway mhs", "not-supported", 250]);
    assertEquals(Object.keys(files), [`${STEM}.body`, `${STEM}.head`]);
    const body = textOf(files[`${STEM}.body`]);
    assertEquals(body, "Grüße\na very long line\n");
    const sha256 = createHash("sha256").update(body).digest("hex");
    assertEquals(headOf(files), {
      "Version": "1",
      "ID": STEM,
      "From": "alice@example.org",
      "Return-Path": "sender@example.org",
      "To": "bob@sales",
      "Date": headOf(files).Date!,
      "Subject": "Grüße",
      "Message-ID": "<1@example.org>",
      "In-Reply-To": "<0@mhs.example.org>",
      "Part": "1/2",
      "Hops": "1",
      "Type": "text/plain; charset=utf-8",
      "Body": `${STEM}.body`,
      "Octets": String(new TextEncoder().encode(body).length),
      "SHA-256": sha256,
    });
    assertEquals(Date.parse(headOf(files).Date!), Date.UTC(2026, 0, 5, 9));
  }
});

Deno.test("gatewayConnect() drops an attachment's exact octets under its name", async () => {
  const octets = Uint8Array.from({ length: 5000 }, (_, at) => at * 13 % 256);
  const content = attached(
    octets,
    "Content-Type: application/vnd.ms-excel",
    "Content-Disposition: attachment; filename*=UTF-8''B%C3%BCdget%202026.xls",
  );
  for (const partOctets of [3, 10_000]) {
    const { files } = await drop(content, { partOctets });
    assertEquals(files[`${STEM}.body`], octets);
    const head = headOf(files);
    assertEquals([head.Type, head.File, head.Octets], [
      "application/vnd.ms-excel",
      "Büdget 2026.xls",
      "5000",
    ]);
  }
});

Deno.test("gatewayConnect() keeps a text's octets where it is an attachment, and gives those without a name one", async () => {
  const octets = latin1("na\xefve\r\nend");
  const text = await drop(
    attached(octets, "Content-Type: text/plain; charset=iso-8859-1", "Content-Disposition: attachment"),
  );
  assertEquals(text.files[`${STEM}.body`], octets);
  assertEquals([headOf(text.files).Type, headOf(text.files).File], [
    "text/plain; charset=iso-8859-1",
    "attachment.txt",
  ]);
  const image = await drop(attached(octets, "Content-Type: image/png"));
  assertEquals([headOf(image.files).Type, headOf(image.files).File], ["image/png", "attachment.bin"]);
});

Deno.test("gatewayConnect() takes unlabelled text as UTF-8 where it is that", async () => {
  const plain = await drop(latin1("Subject: x\r\n\r\ngr\xc3\xbc\xc3\x9f\r\rx"), { partOctets: 1 });
  assertEquals(textOf(plain.files[`${STEM}.body`]), "grüß\n\nx");
  const windows = await drop(latin1("Subject: x\r\n\r\ngr\xfc\xdf \x80\r"));
  assertEquals(textOf(windows.files[`${STEM}.body`]), "grüß €\n");
});

Deno.test("gatewayConnect() drops the plain one of alternatives, and whole messages where they hold more", async () => {
  const alternative = lines(
    "Content-Type: multipart/alternative; boundary=b",
    "",
    "--b",
    "",
    "plain",
    "--b",
    "Content-Type: text/html",
    "",
    "<p>rich",
    "--b--",
  );
  assertEquals(textOf((await drop(alternative)).files[`${STEM}.body`]), "plain");
  const signed = lines(
    "Content-Type: multipart/signed; boundary=b",
    "",
    "--b",
    "",
    "x",
    "--b",
    "",
    "y",
    "--b--",
  );
  const damaged = lines("Content-Type: multipart/mixed; boundary=b", "", "--b", "", "cut off");
  const strange = lines("Content-Transfer-Encoding: x-uuencode", "", "begin 644 x");
  for (const content of [signed, damaged, strange]) {
    const { files } = await drop(content);
    assertEquals(Object.keys(files), [`${STEM}.eml`, `${STEM}.head`]);
    assertEquals(files[`${STEM}.eml`], content);
    assertEquals([headOf(files).Type, headOf(files).File], ["message/rfc822", undefined]);
  }
});

Deno.test("gatewayConnect() writes a line for each recipient, and a pair for each reverse-path", async () => {
  const { sent, files } = await drop(TEXT, {
    queued: {
      recipients: [
        "bob@sales.mhs.example.org",
        { index: 1, recipient: '"Eve Adams"@mhs.example.org' },
        { index: 4, recipient: "joe@x.mhs.example.org", reversePath: "list-owner@example.org" },
      ],
    },
  });
  assertEquals(sent.kind === "done" && sent.verdicts.map(({ kind }) => kind), ["handed", "handed", "handed"]);
  assertEquals(Object.keys(files), [
    "0000000007.0-1.body",
    "0000000007.0-1.head",
    "0000000007.4.body",
    "0000000007.4.head",
  ]);
  assert(textOf(files["0000000007.0-1.head"]).includes("\nTo: bob@sales\nTo: Eve Adams\n"));
  assert(textOf(files["0000000007.4.head"]).includes("\nReturn-Path: list-owner@example.org\nTo: joe@x\n"));
});

Deno.test("gatewayConnect() lets nothing of a message make a line of the head file", async () => {
  const { files } = await drop(
    lines(
      "From: =?utf-8?q?x=0AEvil:_1?= <bad\x01@example.org>",
      "Subject: =?utf-8?q?one=0D=0ATo:_eve=0ABody:_/etc/passwd?=",
      "Message-ID: <a\x00b@c>",
      "Date: never",
      "X-EMS-Part: 1/2; 3",
      'Content-Disposition: attachment; filename="../../etc/pass\x07wd"',
      "",
      "x",
    ),
    { queued: { recipients: ["bob@sales.mhs.example.org"], reversePath: "" } },
  );
  const head = textOf(files[`${STEM}.head`]);
  assertEquals(head.split("\n").filter((line) => /^(?:Evil|Body): (?!0000000007)/.test(line)), []);
  assertEquals(head.match(/^To: /gm)?.length, 1);
  assertEquals(headOf(files)["Return-Path"], "<>");
  assertEquals(headOf(files)["Message-ID"], undefined);
  assertEquals(headOf(files).Date, undefined);
  assert(!/[/\\]/.test(headOf(files).File ?? ""), headOf(files).File);
});

Deno.test("stemOf() names the recipients' places, however many", () => {
  assertEquals(stemOf(7, [0]), "0000000007.0");
  assertEquals(stemOf(7, [5, 2, 0, 1]), "0000000007.0-2,5");
  const many = Array.from({ length: 400 }, (_, at) => at * 2);
  assert(/^0000000007\.[0-9a-f]{16}$/.test(stemOf(7, many)));
  assertEquals(stemOf(7, many), stemOf(7, [...many].reverse()));
});

Deno.test("gatewayConnect() fails a message that goes round in circles", async () => {
  const received = Array.from({ length: 30 }, () => "Received: from a by b; x");
  const { sent, files } = await drop(lines(...received, "X-EMS-Hops: 21", "", "x"));
  assertEquals(only(sent, "failed").reply.enhanced, "5.4.6");
  assertEquals(Object.keys(files), []);
  only((await drop(lines(...received, "X-EMS-Hops: 20", "", "x"))).sent, "handed");
});

Deno.test("gatewayConnect() fails a message that may only travel by verified TLS", async () => {
  const { sent, files } = await drop(TEXT, { queued: { requests: { requireTls: true } } });
  assertEquals(only(sent, "failed").reply.enhanced, "5.7.30");
  assertEquals(Object.keys(files), []);
});

Deno.test("gatewayConnect() makes mail wait where a disk is full, a folder is gone, or a body can't be read", async () => {
  const full = await drop(TEXT, {
    files: faultyFiles((what, path) => what === "write" && path.includes(".head") ? "ENOSPC" : undefined),
  });
  const verdict = only(full.sent, "deferred");
  assert(/^there is no room left in \//.test(verdict.reason), verdict.reason);
  assertEquals([verdict.dueMs, verdict.tried, verdict.destination], [1001, "yes", "gateway mhs"]);
  assert(!Object.keys(full.files).some((name) => name.endsWith(".head")));

  await withFolder(async (folder) => {
    const gateway = { kind: "filedrop", name: "mhs", domain: DOMAIN, out: `${folder}/out` } as const;
    await Deno.mkdir(gateway.out);
    const courier = await courierFor(gateway, TEXT);
    await Deno.remove(gateway.out);
    assertEquals(
      only(await courier.send(jobFor("mhs").job), "deferred").reason,
      `${gateway.out} is not there`,
    );
    const unreadable = await courierFor({ ...gateway, out: folder }, TEXT, {
      content: () => Promise.reject(new Error("the content of message 7 is not whole")),
    });
    assertEquals(
      only(await unreadable.send(jobFor("mhs").job), "deferred").reason,
      "it could not be sent: the content of message 7 is not whole",
    );
    await courier.quit();
    assert(!courier.alive);
  });
});

Deno.test("gatewayConnect() finds no way to a gateway that is gone or has no folder, and its mail waits", async () => {
  const { job, destination } = jobFor("mhs");
  const to = destinationOf(destination, {});
  const options = {
    content: () => Promise.resolve(contentOf(TEXT)),
    clock: new FakeClock(),
    retryAtMs: () => 0,
  };
  const why = async (connect: ReturnType<typeof gatewayConnect>) => {
    const connected = await connect(to, new AbortController().signal);
    if (connected.kind !== "unreachable") throw new Error(connected.kind);
    const { verdicts, extras } = connected.verdict(job);
    assertEquals(verdicts.map(({ kind }) => kind), ["deferred"]);
    assertEquals(extras.attempts!.map(({ destination, result }) => [destination, result]), [
      ["gateway mhs", connected.reason],
    ]);
    return connected.reason;
  };
  assertEquals(
    await why(gatewayConnect({ ...options, gateway: () => undefined })),
    "the gateway mhs is not in the configuration any more: put it back under gateways, or reroute or drop the message",
  );
  const at = (out: string) =>
    gatewayConnect({ ...options, gateway: (name) => ({ kind: "filedrop", name, domain: DOMAIN, out }) });
  assertEquals(await why(at("/no/such/folder")), "/no/such/folder is not there");
  assertEquals(await why(at("/etc/passwd")), "/etc/passwd is not a folder");
  const program = gatewayConnect({
    ...options,
    gateway: (name) => ({
      kind: "pipe",
      name,
      domain: DOMAIN,
      command: ["/no/such/program"],
      timeoutMs: 1000,
    }),
  });
  assertEquals(await why(program), "/no/such/program is not there, or the server may not run it");
});

Deno.test("gatewayConnect() notices within a courier's life that the configuration has changed", async () => {
  await withFolder(async (folder) => {
    let isConfigured = true;
    const gateway = { kind: "filedrop", name: "mhs", domain: DOMAIN, out: folder } as const;
    const courier = await courierFor(gateway, TEXT, { gateway: () => isConfigured ? gateway : undefined });
    isConfigured = false;
    const { reason } = only(await courier.send(jobFor("mhs").job), "deferred");
    assert(reason.startsWith("the gateway mhs is not in the configuration any more"));
    assertEquals(namesIn(folder), []);
  });
});

Deno.test("gatewayConnect() leaves a whole pair or no head, wherever it crashes, and a second try completes it", async () => {
  for (const how of ["before", "after"] as const) {
    for (let crashAt = 1;; crashAt++) {
      let isOver = false;
      await withFolder(async (folder) => {
        const gateway = { kind: "filedrop", name: "mhs", domain: DOMAIN, out: folder } as const;
        const files = new CrashingFiles(crashAt + 1, how);
        const courier = await courierFor(gateway, TEXT, { files });
        const sent = await courier.send(jobFor("mhs").job);
        isOver = !files.dead;
        const where = `crash ${how} change ${crashAt}`;
        if (isOver) only(sent, "handed");
        else only(sent, "deferred");
        if (namesIn(folder).includes(`${STEM}.head`)) checkPair(folder, where);
        const again = await courierFor(gateway, TEXT);
        only(await again.send(jobFor("mhs").job), "handed");
        checkPair(folder, where);
        assertEquals(namesIn(folder), [`${STEM}.body`, `${STEM}.head`], where);
      });
      if (isOver) {
        assertEquals(crashAt, 7);
        break;
      }
    }
  }
});

/** What another system may count on once there is a head. */
function checkPair(folder: string, where: string): void {
  const head = Deno.readTextFileSync(`${folder}/${STEM}.head`);
  const body = Deno.readFileSync(`${folder}/${STEM}.body`);
  assert(head.endsWith(`\nSHA-256: ${createHash("sha256").update(body).digest("hex")}\n`), where);
}
