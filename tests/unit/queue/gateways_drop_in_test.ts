import { assert, assertEquals, assertMatch } from "@std/assert";
import { createHash } from "node:crypto";
import { FakeClock } from "../../../src/base/clock.ts";
import { concat } from "../../../src/base/bytes.ts";
import { decodeTransfer } from "../../../src/mime/transfer_encoding.ts";
import { fieldValue, parseHeader } from "../../../src/mime/header.ts";
import { decodeEncodedWords } from "../../../src/mime/encoded_word.ts";
import { parseParameterised } from "../../../src/mime/parameters.ts";
import { DropIn, type DropInOptions } from "../../../src/queue/gateways/drop_in.ts";
import { DropPoller } from "../../../src/queue/gateways/drop_poller.ts";
import { dropFiles } from "../../../src/queue/gateways/files.ts";
import type { InGateway } from "../../../src/queue/gateways/types.ts";
import { formatAddress } from "../../../src/mail/address.ts";
import { formatMessageKey, parseMessageKey } from "../../../src/mail/message_id.ts";
import {
  type AcceptedMessage,
  type MessageHistory,
  type Spool,
  StoreError,
} from "../../../src/store/types.ts";
import {
  courierFor,
  CrashingFiles,
  DOMAIN,
  faultyFiles,
  jobFor,
  latin1,
  lines,
  namesIn,
  withFolder,
} from "./gateways_fixture.ts";

/** A store that knows no more than what it took. */
class TinyStore implements Spool {
  readonly accepted = new Map<number, AcceptedMessage & { readonly octets: Uint8Array }>();
  readonly #parts = new Map<number, Uint8Array[]>();
  nextKey = 1000;
  full: "no" | "yes" = "no";
  /** Called with each acceptance that is done. */
  afterAccept: () => void = () => {};

  append(key: number, part: Uint8Array): Promise<void> {
    this.#parts.set(key, [...this.#parts.get(key) ?? [], part]);
    return Promise.resolve();
  }
  accept(message: AcceptedMessage): Promise<void> {
    if (this.full === "yes") return Promise.reject(new StoreError("full", "the disk is full"));
    const octets = concat([...this.#parts.get(message.key) ?? [], message.lastPart]);
    if (this.accepted.has(message.key) || octets.length !== message.size) {
      return Promise.reject(new StoreError("conflict", "no"));
    }
    this.accepted.set(message.key, { ...message, octets });
    this.#parts.delete(message.key);
    this.afterAccept();
    return Promise.resolve();
  }
  discard(key: number): Promise<void> {
    this.#parts.delete(key);
    return Promise.resolve();
  }
  get undone(): number {
    return this.#parts.size;
  }
  message(key: number): Promise<MessageHistory | undefined> {
    const known = this.accepted.get(key);
    return Promise.resolve(known as unknown as MessageHistory | undefined);
  }
  get all(): (AcceptedMessage & { readonly octets: Uint8Array })[] {
    return [...this.accepted.values()];
  }
}

const HERE = ["bob@example.org", "list@example.org", "postmaster@example.org"];

function dropInto(store: TinyStore, more: Partial<DropInOptions> = {}): DropIn {
  return new DropIn({
    files: dropFiles,
    spool: store,
    history: store,
    clock: new FakeClock(),
    nextKey: () => store.nextKey++,
    settings: () => ({ hostname: "mail.example.org", domain: "example.org", messageOctets: 1_000_000 }),
    refusal: (recipient) => {
      const text = formatAddress(recipient);
      return Promise.resolve(HERE.includes(text.toLowerCase()) ? undefined : `${text} is nobody here`);
    },
    ...more,
  });
}

const gatewayAt = (folder: string): InGateway => ({ name: "mhs", domain: DOMAIN, in: folder, pollMs: 5000 });

const HEAD = ["From: alice@sales", "To: bob", "Subject: Figures"];

async function put(
  folder: string,
  name: string,
  head: readonly string[],
  body: Uint8Array | string = "text\n",
) {
  const octets = typeof body === "string" ? new TextEncoder().encode(body) : body;
  await Deno.writeFile(`${folder}/${name}.body`, octets);
  await Deno.writeTextFile(`${folder}/${name}.head`, head.map((line) => `${line}\n`).join(""));
}

/** What a dropped pair becomes. */
async function taken(head: readonly string[], body: Uint8Array | string = "text\n") {
  const store = new TinyStore();
  let error = "";
  await withFolder(async (folder) => {
    await put(folder, "x1", head, body);
    await dropInto(store).poll(gatewayAt(folder));
    if (store.all.length === 1) assertEquals(namesIn(folder), []);
    else {
      assertEquals(namesIn(folder), ["bad"]);
      assertEquals(namesIn(`${folder}/bad`), ["x1.body", "x1.error", "x1.head"]);
      error = await Deno.readTextFile(`${folder}/bad/x1.error`);
    }
  });
  assertEquals(store.undone, 0);
  return { message: store.all[0]!, error };
}

function fieldsOf(octets: Uint8Array) {
  const header = parseHeader(octets);
  const value = (name: string) => fieldValue(header, name);
  const body = octets.subarray(header.bodyOffset);
  return {
    value,
    body,
    decoded: Uint8Array.from(decodeTransfer(body, value("content-transfer-encoding") ?? "")),
  };
}

Deno.test("DropIn takes a text as a message from the gateway's address", async () => {
  const { message } = await taken([
    "Version: 1",
    "ID: 4711",
    ...HEAD.slice(0, 2),
    "to: LIST",
    "To: bob@EXAMPLE.org",
    "Subject: Grüße und mehr",
    "Date: Mon, 5 Jan 2026 10:00:00 +0100",
    "Message-ID: <4711@mhs>",
    "In-Reply-To: <1@example.org>",
    "Part: 2/4",
    "Hops: 2",
    "X-Whatever: no matter",
  ], "Grüße\na = b \nlong: " + "x".repeat(3000) + "\r\nend");
  const { value, body, decoded } = fieldsOf(message.octets);
  assertEquals(message.envelope, {
    reversePath: "alice@sales.mhs.example.org",
    recipients: ["bob@EXAMPLE.org", "LIST@example.org"],
    smtpUtf8: false,
  });
  assertEquals(message.origin, { client: "", helo: "mhs", transmission: "ESMTP" });
  assertEquals(message.messageId, "4711@mhs");
  assertMatch(value("received")!, /^from mhs by mail\.example\.org with ESMTP id [0-9a-z]{10};\s/);
  assertEquals(value("from"), "alice@sales.mhs.example.org");
  assertEquals(value("to"), "bob@EXAMPLE.org, LIST@example.org");
  assertEquals(decodeEncodedWords(value("subject")!), "Grüße und mehr");
  assertEquals(Date.parse(value("date")!), Date.UTC(2026, 0, 5, 9));
  assertEquals([value("message-id"), value("in-reply-to"), value("references")], [
    "<4711@mhs>",
    "<1@example.org>",
    "<1@example.org>",
  ]);
  assertEquals([value("x-ems-part"), value("x-ems-hops")], ["2/4", "2"]);
  assertEquals(value("content-type"), "text/plain; charset=utf-8");
  assertEquals(
    new TextDecoder().decode(decoded),
    "Grüße\r\na = b \r\nlong: " + "x".repeat(3000) + "\r\nend\r\n",
  );
  for (const line of new TextDecoder().decode(body).split("\r\n")) assert(line.length <= 76, line);
});

Deno.test("DropIn takes a text of any size in any lines", async () => {
  for (
    const text of [
      "",
      "\r",
      "\n\n",
      "a\rb\r\n",
      "é".repeat(70_000),
      "x ".repeat(40_000) + "\n" + "y\r".repeat(60_000),
    ]
  ) {
    const { message } = await taken(HEAD, text);
    const expected = text.replace(/\r\n?|\n/g, "\r\n");
    const whole = expected === "" || expected.endsWith("\r\n") ? expected : `${expected}\r\n`;
    assertEquals(new TextDecoder().decode(fieldsOf(message.octets).decoded), whole);
  }
});

Deno.test("DropIn keeps an attached file's octets, name and type", async () => {
  const octets = Uint8Array.from({ length: 300_001 }, (_, at) => at * 31 % 256);
  const head = [...HEAD, "Type: application/vnd.ms-excel", "File: Bilanz für März.xls"];
  const { message } = await taken(head, octets);
  const { value, decoded } = fieldsOf(message.octets);
  assertEquals(
    createHash("sha256").update(decoded).digest("hex"),
    createHash("sha256").update(octets).digest("hex"),
  );
  const disposition = parseParameterised(value("content-disposition")!);
  assertEquals([disposition.value, disposition.parameters.get("filename")], [
    "attachment",
    "Bilanz für März.xls",
  ]);
  assertEquals(parseParameterised(value("content-type")!).value, "application/vnd.ms-excel");
  assert(message.octets.length > 256 * 1024 && message.lastPart.length < message.octets.length);
  assert(new TextDecoder().decode(message.octets).endsWith("\r\n"));
});

Deno.test("DropIn takes a whole message as it is, with a Received field in front", async () => {
  const whole = latin1(
    "From here\nReceived: from a by b; x\nMessage-ID: <w@x>\nSubject: x\n\n\x00gr\xfc\xdf",
  );
  const { message } = await taken([...HEAD, "Type: message/rfc822"], whole);
  const text = new TextDecoder("latin1").decode(message.octets);
  const rest = text.slice(text.indexOf("Received: from a by b"));
  assertEquals(rest, "Received: from a by b; x\r\nMessage-ID: <w@x>\r\nSubject: x\r\n\r\n\x00gr\xfc\xdf\r\n");
  assertMatch(text, /^Received: from mhs by mail\.example\.org/);
  assertEquals([message.messageId, message.envelope.requests], ["w@x", { body: "8BITMIME" }]);
});

Deno.test("DropIn lets a head say nobody, names with blanks, and addresses of the gateway in full", async () => {
  const nobody = await taken(["From: <>", "To: bob"]);
  assertEquals(nobody.message.envelope.reversePath, "");
  assertEquals(fieldsOf(nobody.message.octets).value("from"), "postmaster@mhs.example.org");
  const blanks = await taken(["From: Alice Miller@sales", "Return-Path: daemon", "To: bob"]);
  assertEquals(blanks.message.envelope.reversePath, "daemon@mhs.example.org");
  assertEquals(fieldsOf(blanks.message.octets).value("from"), '"Alice Miller"@sales.mhs.example.org');
  const full = await taken(["From: alice@sales.mhs.example.org", "To: bob"]);
  assertEquals(full.message.envelope.reversePath, "alice@sales.mhs.example.org");
  // Nobody elsewhere can be written as.
  const elsewhere = await taken(["From: ceo@example.com", "To: bob"]);
  assertEquals(elsewhere.message.envelope.reversePath, "ceo@example.com.mhs.example.org");
});

Deno.test("DropIn puts what can't be taken aside, and says the line and what would be right", async () => {
  const bad = async (head: readonly string[], body?: Uint8Array | string) => (await taken(head, body)).error;
  assertEquals(
    await bad(["To: bob"]),
    "x1.head: has no From line: say who wrote it, as in `From: user@workgroup`\n",
  );
  assertEquals(await bad(["From: a"]), "x1.head: has no To line: say who gets it, one line for each\n");
  assertEquals(
    await bad(["From: a", "To: bob", "To: eve"]),
    "x1.head:3: eve@example.org is nobody here: correct the line, or take it out\n",
  );
  assertEquals(
    await bad([...HEAD, "Sujbect: x"]),
    "x1.head:4: has a name that nobody knows, 'Sujbect'; did you mean Subject?\n",
  );
  assertEquals(
    await bad([...HEAD, "just words"]),
    "x1.head:4: has no name before a colon: write it as `Name: value`\n",
  );
  assertEquals(
    await bad([...HEAD, "Subject: again"]),
    "x1.head:4: Subject stands twice, here and on line 3: keep one\n",
  );
  assertEquals(
    await bad(["Version: 2", ...HEAD]),
    "x1.head:1: Version 2 is not known: this system reads version 1\n",
  );
  assertMatch(
    await bad([...HEAD, "Body: ../../etc/passwd"]),
    /^x1\.head:4: Body must be the name of a file in the same/,
  );
  assertMatch(await bad([...HEAD, "Body: .hidden"]), /^x1\.head:4: Body must be/);
  assertMatch(await bad([...HEAD, "Date: soon"]), /^x1\.head:4: Date must be like/);
  assertMatch(await bad([...HEAD, "Octets: many"]), /^x1\.head:4: Octets must be/);
  assertMatch(await bad([...HEAD, "Octets: 3"]), /^x1\.head: says 3 octets, and x1\.body has 5$/m);
  assertMatch(
    await bad([...HEAD, `SHA-256: ${"0".repeat(64)}`]),
    /^x1\.head: says another SHA-256 than x1\.body has/,
  );
  assertMatch(
    await bad([...HEAD, "Subject: a\x00b"].toSpliced(2, 1)),
    /^x1\.head:3: Subject holds a control character/,
  );
  assertMatch(await bad(["From: a@b c", "To: bob"]), /^x1\.head:1: 'b c' can't stand behind the @/);
  assertMatch(await bad(["From: a", "To: bob@"]), /^x1\.head:2: '' is not a domain/);
  assertMatch(
    await bad(HEAD, "x".repeat(1_000_001)),
    /^x1\.head: x1\.body has 1000001 octets; a message may have 1000000/,
  );
  assertMatch(await bad([...HEAD, "File: a"], "x".repeat(800_000)), /^x1\.head: x1\.body has 800000 octets/);
  assertMatch(await bad([...HEAD, "Hops: 51"]), /has passed 51 servers: the message goes round in circles/);
  const received = "Received: from a by b; x\n".repeat(30);
  assertMatch(
    await bad([...HEAD, "Hops: 21", "Type: message/rfc822"], `${received}\n`),
    /has passed 51 servers/,
  );
  assert((await taken([...HEAD, "Hops: 20", "Type: message/rfc822"], `${received}\n`)).message !== undefined);
});

Deno.test("DropIn waits ten looks for a body that is not there or not whole", async () => {
  await withFolder(async (folder) => {
    const store = new TinyStore();
    const drop = dropInto(store);
    const gateway = gatewayAt(folder);
    await Deno.writeTextFile(`${folder}/a.head`, "From: a\nTo: bob\nOctets: 4\n");
    for (let look = 0; look < 5; look++) await drop.poll(gateway);
    await Deno.writeTextFile(`${folder}/a.body`, "12");
    for (let look = 0; look < 4; look++) await drop.poll(gateway);
    assertEquals(namesIn(folder), ["a.body", "a.head"]);
    await Deno.writeTextFile(`${folder}/a.body`, "1234");
    await drop.poll(gateway);
    assertEquals([store.all.length, namesIn(folder)], [1, []]);

    await Deno.writeTextFile(`${folder}/b.head`, "From: a\nTo: bob\n");
    for (let look = 0; look < 9; look++) await drop.poll(gateway);
    assertEquals(namesIn(folder), ["b.head"]);
    await drop.poll(gateway);
    assertEquals([namesIn(folder), namesIn(`${folder}/bad`)], [["bad"], ["b.error", "b.head"]]);
    assertEquals(
      await Deno.readTextFile(`${folder}/bad/b.error`),
      "b.head: names a body file that is not there, or is not an ordinary file: b.body\n",
    );
  });
});

Deno.test("DropIn follows no link, and takes no temporary file", async () => {
  await withFolder(async (folder) => {
    const store = new TinyStore();
    await Deno.writeTextFile(`${folder}/a.head`, "From: a\nTo: bob\n");
    await Deno.symlink("/etc/passwd", `${folder}/a.body`);
    await Deno.symlink("/etc/passwd", `${folder}/b.head`);
    await Deno.writeTextFile(`${folder}/.c.head`, "From: a\nTo: bob\n");
    await Deno.writeTextFile(`${folder}/c.head.tmp`, "From: a\nTo: bob\n");
    const drop = dropInto(store);
    for (let look = 0; look < 10; look++) await drop.poll(gatewayAt(folder));
    assertEquals(store.all.length, 0);
    assertEquals(namesIn(folder), [".c.head", "a.body", "bad", "c.head.tmp"]);
    assertMatch(await Deno.readTextFile(`${folder}/bad/b.error`), /^b\.head: is not an ordinary file/);
  });
});

Deno.test("DropIn keeps the files while the store takes nothing, and takes them once with one key", async () => {
  await withFolder(async (folder) => {
    const store = new TinyStore();
    store.full = "yes";
    const drop = dropInto(store);
    await put(folder, "a", HEAD, "x".repeat(600_000));
    for (let look = 0; look < 3; look++) assertEquals(await drop.poll(gatewayAt(folder)), 0);
    assertEquals(namesIn(folder), ["a.body", `a.head.${formatMessageKey(1000)}`]);
    assertEquals(store.undone, 0);
    store.full = "no";
    assertEquals(await drop.poll(gatewayAt(folder)), 1);
    assertEquals([namesIn(folder), [...store.accepted.keys()]], [[], [1000]]);
  });
});

Deno.test("DropIn takes a message once, wherever it crashes", async () => {
  await crashes(async (folder) => {
    await put(folder, "a", HEAD, "text");
    await put(folder, "b", [...HEAD, "File: f"], "file");
  }, (folder, store, where) => {
    assertEquals(namesIn(folder), [], where);
    const kinds = store.all.map(({ octets }) => fieldsOf(octets).value("content-disposition")?.slice(0, 10));
    assertEquals(kinds.sort(), ["attachment", undefined], where);
  });
});

Deno.test("DropIn puts a bad pair aside whole with its reason, wherever it crashes", async () => {
  await crashes((folder) => put(folder, "a", ["From: a", "To: eve"]), (folder, store, where) => {
    assertEquals(store.all.length, 0, where);
    assertEquals(
      [namesIn(folder), namesIn(`${folder}/bad`)],
      [["bad"], ["a.body", "a.error", "a.head"]],
      where,
    );
    assertEquals(
      Deno.readTextFileSync(`${folder}/bad/a.error`),
      "a.head:2: eve@example.org is nobody here: correct the line, or take it out\n",
      where,
    );
  });
});

Deno.test("DropIn puts bad pairs of the same name aside beside each other", async () => {
  await withFolder(async (folder) => {
    const drop = dropInto(new TinyStore());
    for (const text of ["one", "two", "three"]) {
      await put(folder, "a", ["From: a", "To: eve", `Subject: ${text}`], text);
      await drop.poll(gatewayAt(folder));
    }
    // A body of another name than its head's, which an earlier one has too.
    for (const stem of ["b", "c"]) {
      await put(folder, stem, ["From: a", "To: eve", "Body: x.dat"], "");
      await Deno.rename(`${folder}/${stem}.body`, `${folder}/x.dat`);
      await drop.poll(gatewayAt(folder));
    }
    const bad = `${folder}/bad`;
    assertEquals(namesIn(folder), ["bad"]);
    assertEquals(
      namesIn(bad),
      [
        ...["", ".2", ".3"].flatMap((number) => [`a${number}.body`, `a${number}.error`, `a${number}.head`]),
        ...["b.error", "b.head", "c.2.error", "c.2.head", "x.dat", "x.dat.2"],
      ].sort(),
    );
    for (const [number, text] of [["", "one"], [".2", "two"], [".3", "three"]]) {
      assertEquals(await Deno.readTextFile(`${bad}/a${number}.body`), text);
      assertMatch(await Deno.readTextFile(`${bad}/a${number}.head`), new RegExp(`^Subject: ${text}$`, "m"));
    }
    assertEquals(
      await Deno.readTextFile(`${bad}/a.2.error`),
      "a.head:2: eve@example.org is nobody here: correct the line, or take it out\n" +
        "Kept as a.2.head and a.2.body: a.head is an earlier one.\n",
    );
  });
});

Deno.test("DropIn puts a bad pair aside beside an earlier one whole, wherever it crashes", async () => {
  await crashes(async (folder) => {
    await Deno.mkdir(`${folder}/bad`);
    for (const suffix of ["body", "error", "head"]) {
      await Deno.writeTextFile(`${folder}/bad/a.${suffix}`, "1");
    }
    await put(folder, "a", ["From: a", "To: eve"], "2");
  }, (folder, _, where) => {
    assertEquals(namesIn(folder), ["bad"], where);
    const names = namesIn(`${folder}/bad`);
    assertEquals(names, ["a.2.body", "a.2.error", "a.2.head", "a.body", "a.error", "a.head"], where);
    const octets = ["a.body", "a.error", "a.head", "a.2.body"].map((name) =>
      Deno.readTextFileSync(`${folder}/bad/${name}`)
    );
    assertEquals(octets, ["1", "1", "1", "2"], where);
  });
});

Deno.test("DropIn leaves a message alone whose header file another head calls its body", async () => {
  await withFolder(async (folder) => {
    await put(folder, "b", HEAD);
    await Deno.writeTextFile(`${folder}/a.head`, "From: a\nTo: bob\nBody: b.head\n");
    const store = new TinyStore();
    await dropInto(store).poll(gatewayAt(folder));
    assertEquals([store.all.length, namesIn(folder), namesIn(`${folder}/bad`)], [
      1,
      ["bad"],
      ["a.error", "a.head"],
    ]);
  });
});

/** Crashes before and after each change to the files and each acceptance, and looks again with all in order. */
async function crashes(
  prepare: (folder: string) => Promise<void>,
  check: (folder: string, store: TinyStore, where: string) => void,
): Promise<void> {
  for (const how of ["before", "after"] as const) {
    for (let crashAt = 1;; crashAt++) {
      let isOver = false;
      await withFolder(async (folder) => {
        await prepare(folder);
        const store = new TinyStore();
        const files = new CrashingFiles(crashAt, how);
        await dropInto(store, { files }).poll(gatewayAt(folder));
        isOver = !files.dead;
        const again = dropInto(store);
        for (let look = 0; look < 11; look++) await again.poll(gatewayAt(folder));
        check(folder, store, `crash ${how} change ${crashAt}`);
      });
      if (isOver) {
        assert(crashAt > 5, `only ${crashAt} changes`);
        break;
      }
    }
  }
}

Deno.test("DropIn takes a message once when it crashes right behind its acceptance", async () => {
  await withFolder(async (folder) => {
    await put(folder, "a", HEAD);
    const store = new TinyStore();
    const files = faultyFiles((what) => what === "remove" ? "EIO" : undefined);
    await dropInto(store, { files }).poll(gatewayAt(folder));
    assertEquals([store.all.length, namesIn(folder)], [1, ["a.body", `a.head.${formatMessageKey(1000)}`]]);
    await dropInto(store).poll(gatewayAt(folder));
    assertEquals([store.all.length, namesIn(folder)], [1, []]);
  });
});

Deno.test("DropIn does not take another message of the same key for its own", async () => {
  await withFolder(async (folder) => {
    const store = new TinyStore();
    const key = parseMessageKey("0000000zzz")!;
    const other = { client: "192.0.2.1", helo: "mhs", transmission: "ESMTP" };
    store.accepted.set(key, { key, origin: other } as unknown as AcceptedMessage & { octets: Uint8Array });
    await put(folder, "a", HEAD);
    await Deno.rename(`${folder}/a.head`, `${folder}/a.head.0000000zzz`);
    const drop = dropInto(store);
    for (let look = 0; look < 2; look++) await drop.poll(gatewayAt(folder));
    assertEquals([[...store.accepted.keys()].includes(1000), namesIn(folder)], [true, []]);
  });
});

Deno.test("DropIn says nothing and does nothing where a folder is missing", async () => {
  assertEquals(await dropInto(new TinyStore()).poll(gatewayAt("/no/such/folder")), 0);
});

Deno.test("what gatewayConnect() drops, DropIn takes: a file keeps its octets and name across two systems", async () => {
  await withFolder(async (folder) => {
    const octets = Uint8Array.from({ length: 1234 }, (_, at) => at * 7 % 256);
    const content = lines(
      "From: alice@sales.mhs.example.org",
      "Subject: =?utf-8?b?R3LDvMOfZQ==?= [2/2 b.xls]",
      "Message-ID: <2@mail.example.org>",
      "In-Reply-To: <1@mail.example.org>",
      "X-EMS-Part: 2/2",
      'Content-Type: application/x-thing; name="b.xls"',
      "Content-Transfer-Encoding: base64",
      "",
      btoa(String.fromCharCode(...octets)),
    );
    const out = { kind: "filedrop", name: "mhs", domain: DOMAIN, out: folder } as const;
    const courier = await courierFor(out, content);
    await courier.send(jobFor("mhs", 7, { recipients: ["bob@mhs.example.org"] }).job);
    const store = new TinyStore();
    assertEquals(
      await dropInto(store).poll({ name: "ems", domain: "ems.example.org", in: folder, pollMs: 5000 }),
      1,
    );
    const { value, decoded } = fieldsOf(store.all[0]!.octets);
    assertEquals(decoded, octets);
    assertEquals(parseParameterised(value("content-disposition")!).parameters.get("filename"), "b.xls");
    assertEquals(decodeEncodedWords(value("subject")!), "Grüße [2/2 b.xls]");
    assertEquals([value("from"), value("x-ems-part"), value("in-reply-to")], [
      "alice@sales.ems.example.org",
      "2/2",
      "<1@mail.example.org>",
    ]);
    assertEquals(store.all[0]!.envelope, {
      reversePath: "sender@example.org.ems.example.org",
      recipients: ["bob@example.org"],
      smtpUtf8: false,
    });
  });
});

Deno.test("DropPoller looks into each folder at its own pace, and notices a reload", async () => {
  const clock = new FakeClock();
  const looks: string[] = [];
  let gateways: InGateway[] = [{ ...gatewayAt("/a"), pollMs: 2000 }, { ...gatewayAt("/b"), pollMs: 60_000 }];
  const poller = new DropPoller({
    dropIn: {
      poll: ({ in: folder }) => {
        looks.push(folder);
        return Promise.resolve(0);
      },
    },
    clock,
    gateways: () => gateways,
  });
  poller.start();
  await clock.advance(5000);
  assertEquals(looks.splice(0), ["/a", "/b", "/a", "/a"]);
  gateways = [{ ...gatewayAt("/b"), pollMs: 1000 }, { ...gatewayAt("/c"), pollMs: 60_000 }];
  await clock.advance(3000);
  const after = looks.splice(0);
  assertEquals([after.filter((each) => each === "/c").length, after.includes("/a")], [1, false]);
  assert(after.filter((each) => each === "/b").length >= 2, after.join());
  await poller.stop();
  await clock.advance(100_000);
  assertEquals(looks, []);
});
