/** Messages on their way from a socket into the store: when 250 is said, what is stored, and what faults do. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type Store, StoreError } from "../../../src/store/types.ts";
import { bodyOf } from "../store/fixtures.ts";
import { collect, gate, type Kept, lines, serving, until, type Wire, withSpool } from "./fixture.ts";

const MAIL = "MAIL FROM:<sender@example.com>";
const RCPT = "RCPT TO:<alice@example.org>";

/** MAIL, RCPT and DATA, with their answers read. */
async function begin(wire: Wire, mail = MAIL): Promise<void> {
  await wire.expect(250, mail);
  await wire.expect(250, RCPT);
  await wire.expect(354, "DATA");
}

/** A whole transaction; gives the answer to the message. */
async function send(wire: Wire, text: string): Promise<{ code: number; text: string }> {
  await begin(wire);
  await wire.write(`${text}.\r\n`);
  const { code, lines } = await wire.smtp();
  return { code, text: lines.join(" ") };
}

/** The body of the message accepted last, without the Received field. */
async function lastBody(store: Store, kept: readonly Kept[], count = 1): Promise<string> {
  await until(() => kept.length === count);
  return withoutReceived((await bodyOf(store, kept.at(-1)!.key))!);
}

function withoutReceived(body: string): string {
  assertMatch(body, /^Received: from /);
  return body.replace(/^Received:[^\n]*\n(?:[ \t][^\n]*\n)*/, "");
}

Deno.test("SmtpConnection says 250 only after the store has the message", async () => {
  const held = gate();
  const wrap = (store: Store) =>
    withSpool(store, { accept: (message) => held.opened.then(() => store.spool.accept(message)) });
  await serving({ wrap }, async ({ hello, store }) => {
    const kept = collect(store);
    const wire = await hello();
    await begin(wire);
    // What comes behind is answered behind.
    await wire.write("Subject: a\r\n\r\nhello\r\n.\r\nNOOP\r\n");
    assert(await wire.isSilent(100));
    assertEquals(kept, []);
    held.open();
    await wire.expect(250, undefined, "2.0.0 Accepted as ");
    await wire.expect(250, undefined, "2.0.0 OK");
    assertEquals(await lastBody(store, kept), "Subject: a\r\n\r\nhello\r\n");
  });
});

for (
  const { error, code, text } of [
    { error: new StoreError("full", "the disk is full"), code: 452, text: "4.3.1" },
    { error: new StoreError("busy", "somebody has the file"), code: 451, text: "4.3.0" },
    { error: new TypeError("a mistake of ours"), code: 451, text: "4.3.0" },
  ]
) {
  Deno.test(`SmtpConnection answers ${code} to a message the store can't keep (${error.message}) and goes on`, async () => {
    let failures = 0;
    const discarded: number[] = [];
    const wrap = (store: Store) =>
      withSpool(store, {
        accept: (message) => failures++ < 1 ? Promise.reject(error) : store.spool.accept(message),
        discard: (key) => {
          discarded.push(key);
          return store.spool.discard(key);
        },
      });
    await serving({ wrap }, async ({ hello, store }) => {
      const kept = collect(store);
      const wire = await hello();
      const refused = await send(wire, `Subject: large\r\n\r\n${lines(600_000)}`);
      assertEquals([refused.code, refused.text.slice(0, 5)], [code, text]);
      assertEquals(discarded.length, 1);
      assertEquals((await send(wire, "Subject: b\r\n\r\n")).code, 250);
      assertEquals(await lastBody(store, kept), "Subject: b\r\n\r\n");
      await wire.expect(221, "QUIT");
    });
  });
}

for (const { kind, code } of [{ kind: "full", code: 452 }, { kind: "busy", code: 451 }] as const) {
  Deno.test(`SmtpConnection reads a message to its end after a part could not be kept (${kind}), then answers ${code}`, async () => {
    let failures = 0;
    let tries = 0;
    const discarded: number[] = [];
    const wrap = (store: Store) =>
      withSpool(store, {
        append: (key, part) => {
          tries++;
          return failures++ < 1 ? Promise.reject(new StoreError(kind, "no")) : store.spool.append(key, part);
        },
        discard: (key) => {
          discarded.push(key);
          return store.spool.discard(key);
        },
      });
    await serving({ wrap }, async ({ hello, store, counters }) => {
      const kept = collect(store);
      const wire = await hello();
      const refused = await send(wire, `Subject: large\r\n\r\n${lines(2_000_000)}`);
      assertEquals(refused.code, code);
      assertEquals([tries, discarded.length], [1, 1]);
      assertEquals(counters.octets(), 0);
      // By BDAT too: the chunks go on, the last one is refused.
      failures = 0;
      await wire.expect(250, MAIL);
      await wire.expect(250, RCPT);
      await wire.write(`BDAT 400000\r\n${"x".repeat(399_998)}\r\nBDAT 5 LAST\r\nabc\r\n`);
      assertEquals([(await wire.smtp()).code, (await wire.smtp()).code], [250, code]);
      assertEquals(kept, []);
      assertEquals((await send(wire, "Subject: b\r\n\r\n")).code, 250);
      assertEquals(await lastBody(store, kept), "Subject: b\r\n\r\n");
    });
  });
}

Deno.test("SmtpConnection leaves no part of a message whose client is gone", async () => {
  const appended: number[] = [];
  const discarded: number[] = [];
  const wrap = (store: Store) =>
    withSpool(store, {
      append: (key, part) => {
        appended.push(key);
        return store.spool.append(key, part);
      },
      discard: (key) => {
        discarded.push(key);
        return store.spool.discard(key);
      },
    });
  await serving({ wrap }, async ({ hello, store, counters }) => {
    const wire = await hello();
    await begin(wire);
    await wire.write(`Subject: a\r\n\r\n${lines(1_000_000)}`);
    await until(() => appended.length >= 3);
    await wire.write(lines(10_000));
    await until(() => counters.octets() > 0);
    wire.close();
    await until(() => discarded.length === 1);
    assertEquals(discarded[0], appended[0]);
    assertEquals(await store.maildrops.part(discarded[0]!, 0), undefined);
    await until(() => counters.octets() === 0 && counters.sessions("receiver") === 0);
  });
});

for (const way of ["closes", "resets"] as const) {
  Deno.test(`SmtpConnection leaves no part of a message whose client ${way} the connection while one is being stored`, async () => {
    const held = gate();
    const steps: string[] = [];
    const wrap = (store: Store) =>
      withSpool(store, {
        append: async (key, part) => {
          steps.push("append");
          await held.opened;
          await store.spool.append(key, part);
          steps.push("appended");
        },
        discard: (key) => {
          steps.push("discard");
          return store.spool.discard(key);
        },
      });
    await serving({ wrap }, async ({ hello, counters }) => {
      const wire = await hello();
      await begin(wire);
      await wire.write(`Subject: a\r\n\r\n${lines(256_000)}`);
      await until(() => steps.length === 1);
      if (way === "closes") wire.close();
      else {
        wire.reset();
        await until(() => counters.sessions("receiver") === 0);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
      // A discard now would be overtaken by the part.
      assertEquals(steps, ["append"]);
      held.open();
      await until(() => steps.length === 3);
      assertEquals(steps, ["append", "appended", "discard"]);
      await until(() => counters.octets() === 0 && counters.sessions("receiver") === 0);
    });
  });

  Deno.test(`SmtpConnection keeps a message whose client ${way} the connection before it has the answer`, async () => {
    const held = gate();
    let asked = false;
    const wrap = (store: Store) =>
      withSpool(store, {
        accept: async (message) => {
          asked = true;
          await held.opened;
          await store.spool.accept(message);
        },
      });
    await serving({ wrap }, async ({ hello, store, counters }) => {
      const kept = collect(store);
      const wire = await hello();
      await begin(wire);
      await wire.write("Subject: a\r\n\r\n.\r\n");
      await until(() => asked);
      if (way === "closes") wire.close();
      else {
        wire.reset();
        await until(() => counters.sessions("receiver") === 0);
      }
      held.open();
      assertEquals(await lastBody(store, kept), "Subject: a\r\n\r\n");
    });
  });
}

Deno.test("SmtpConnection gives up what RSET, EHLO and another MAIL leave behind", async () => {
  const discarded: number[] = [];
  const wrap = (store: Store) =>
    withSpool(store, {
      discard: (key) => {
        discarded.push(key);
        return store.spool.discard(key);
      },
    });
  await serving({ wrap }, async ({ hello, counters }) => {
    const wire = await hello();
    for (const command of ["RSET", "EHLO client.example.com"]) {
      await wire.expect(250, MAIL);
      await wire.expect(250, RCPT);
      await wire.write(`BDAT 300000\r\n${lines(300_000)}`);
      await wire.expect(250);
      await wire.expect(250, command);
    }
    assertEquals(discarded.length, 2);
    assertEquals(counters.octets(), 0);
  });
});

Deno.test("SmtpConnection spools a large message in parts and holds one of them in memory", async () => {
  const parts: number[] = [];
  let most = 0;
  await serving({}, async ({ hello, store, counters, context }) => {
    const kept = collect(store);
    const { append, accept } = store.spool;
    const spool = context.store.spool as { append: typeof append; accept: typeof accept };
    spool.append = (key, part) => {
      parts.push(part.length);
      most = Math.max(most, counters.octets());
      return append(key, part);
    };
    spool.accept = (message) => {
      parts.push(message.lastPart.length);
      return accept(message);
    };
    const text = `Subject: large\r\n\r\n${lines(3_000_000)}`;
    assertEquals((await send(await hello(), text)).code, 250);
    assertEquals(counters.octets(), 0);
    assert(parts.length > 10, `${parts.length} parts`);
    assert(Math.max(...parts) <= 256 * 1024 + 1024, `a part of ${Math.max(...parts)} octets`);
    assert(most <= 320 * 1024, `${most} octets in memory`);
    assertEquals(await lastBody(store, kept), text);
  });
});

Deno.test("SmtpConnection stops reading while a part waits for the disk", async () => {
  const held = gate();
  let tries = 0;
  const wrap = (store: Store) =>
    withSpool(store, {
      append: async (key, part) => {
        tries++;
        await held.opened;
        return store.spool.append(key, part);
      },
    });
  await serving({ wrap }, async ({ hello, store }) => {
    const kept = collect(store);
    const wire = await hello();
    await begin(wire);
    const text = `Subject: large\r\n\r\n${lines(16_000_000)}`;
    let written = false;
    const writing = wire.write(`${text}.\r\n`).then(() => written = true);
    await until(() => tries === 1);
    await new Promise((resolve) => setTimeout(resolve, 200));
    // More than the kernel's buffers hold: the client has to wait.
    assertEquals([tries, written], [1, false]);
    held.open();
    await writing;
    await wire.expect(250);
    assertEquals((await lastBody(store, kept)).length, text.length);
  });
});

Deno.test("SmtpConnection stores small parts and lets nobody starve when memory is used up", async () => {
  const config = { limits: { memoryBytes: 1024 * 1024 } };
  const parts: number[] = [];
  let most = 0;
  await serving({ config }, async ({ hello, store, counters, context }) => {
    const kept = collect(store);
    const { append } = store.spool;
    (context.store.spool as { append: typeof append }).append = (key, part) => {
      parts.push(part.length);
      most = Math.max(most, counters.octets());
      return append(key, part);
    };
    // Eight clients that announce much and send half a part, then wait: two MiB if they were let.
    const idle = await Promise.all(Array.from({ length: 8 }, async () => {
      const wire = await hello();
      await begin(wire, `${MAIL} SIZE=300000`);
      await wire.write(`Subject: slow\r\n\r\n${lines(120_000)}`);
      return wire;
    }));
    await until(() => counters.over(1024 * 1024) || parts.length > 0);
    const busy = await Promise.all(Array.from({ length: 4 }, () => hello()));
    const codes = await Promise.all(busy.map((wire) => send(wire, `Subject: busy\r\n\r\n${lines(500_000)}`)));
    assertEquals(codes.map(({ code }) => code), [250, 250, 250, 250]);
    assert(parts.some((octets) => octets < 190 * 1024), "no part was stored early");
    assert(Math.min(...parts) >= 16 * 1024, `a part of ${Math.min(...parts)} octets`);
    // The budget, the first buffers of those who came before it was used up, and a read each.
    assert(most < 3 * 1024 * 1024, `${most} octets in memory`);
    for (const wire of idle) await wire.write(".\r\n");
    for (const wire of idle) await wire.expect(250);
    await until(() => kept.length === 12);
    assertEquals(counters.octets(), 0);
    for (const { key } of kept) {
      const body = withoutReceived((await bodyOf(store, key))!);
      const octets = body.startsWith("Subject: busy") ? 500_000 : 120_000;
      assertEquals(body.slice(body.indexOf("\r\n\r\n") + 4), lines(octets));
    }
  });
});

Deno.test("SmtpConnection refuses a message that has passed more than 50 servers", async () => {
  await serving({}, async ({ hello, store }) => {
    const kept = collect(store);
    const wire = await hello();
    const hop = "Received: from a by b; Mon, 5 Jan 2026 09:00:00 +0000\r\n";
    const refused = await send(wire, `${hop.repeat(51)}Subject: a\r\n\r\n`);
    assertEquals([refused.code, refused.text.slice(0, 5)], [554, "5.4.6"]);
    assertEquals((await send(wire, `${hop.repeat(50)}Subject: b\r\n\r\n`)).code, 250);
    assertStringIncludes(await lastBody(store, kept), "Subject: b");
  });
});

Deno.test("SmtpConnection ends a BDAT message that lacks its last line end", async () => {
  await serving({}, async ({ hello, store }) => {
    const kept = collect(store);
    const wire = await hello();
    const texts = ["Subject: a\r\n\r\nno end", "Subject: b\r\n\r\nend\r\n"];
    for (const [index, text] of texts.entries()) {
      await wire.expect(250, MAIL);
      await wire.expect(250, RCPT);
      await wire.write(`BDAT 5\r\n${text.slice(0, 5)}BDAT ${text.length - 5} LAST\r\n${text.slice(5)}`);
      await wire.expect(250, undefined, "2.0.0 5 octets received");
      await wire.expect(250, undefined, "2.0.0 Accepted");
      const stored = await lastBody(store, kept, index + 1);
      assertEquals(stored, text.endsWith("\r\n") ? text : `${text}\r\n`);
    }
  });
});

Deno.test("SmtpConnection refuses what is over the limit, at MAIL and while it comes, and goes on", async () => {
  await serving({ config: { limits: { messageBytes: 400_000 } } }, async ({ hello, store, counters }) => {
    const kept = collect(store);
    const wire = await hello();
    await wire.expect(552, `${MAIL} SIZE=400001`, "5.3.4");
    const refused = await send(wire, `Subject: a\r\n\r\n${lines(500_000)}`);
    assertEquals([refused.code, refused.text.slice(0, 5)], [552, "5.3.4"]);
    assertEquals(counters.octets(), 0);
    assertEquals((await send(wire, "Subject: b\r\n\r\n")).code, 250);
    await until(() => kept.length === 1);
  });
});

Deno.test("SmtpConnection takes commands byte by byte, and all in one packet, with the same result", async () => {
  const dialogue =
    `EHLO client.example.com\r\n${MAIL}\r\n${RCPT}\r\nRCPT TO:<nobody@example.org>\r\nDATA\r\n` +
    `Subject: a\r\n\r\n..dot\r\n.\r\nMAIL FROM:<>\r\n${RCPT}\r\nBDAT 5 LAST\r\na\r\n\r\nRSET\r\nQUIT\r\n`;
  await serving({}, async ({ greeted, store }) => {
    const kept = collect(store);
    const answers: string[] = [];
    for (const way of ["one packet", "byte by byte"]) {
      const wire = await greeted();
      if (way === "one packet") await wire.write(dialogue);
      else for (const octet of dialogue) await wire.write(octet);
      // The ids differ.
      answers.push((await wire.rest()).replace(/Accepted as \w+/g, "Accepted as X"));
    }
    assertEquals(answers[0], answers[1]);
    const codes = answers[0]!.split("\r\n").filter((line) => /^\d{3} /.test(line)).map((line) =>
      line.slice(0, 3)
    );
    assertEquals(codes, [
      "250",
      "250",
      "250",
      "550",
      "354",
      "250",
      "250",
      "250",
      "250",
      "250",
      "221",
    ]);
    await until(() => kept.length === 4);
    const bodies = await Promise.all(
      kept.map(async ({ key }) => withoutReceived((await bodyOf(store, key))!)),
    );
    assertEquals(
      bodies,
      [0, 1].flatMap(() => ["Subject: a\r\n\r\n.dot\r\n", "a\r\n\r\n"]),
    );
  });
});

Deno.test("SmtpConnection gives a client that has stopped sending all its replies", async () => {
  await serving({}, async ({ connect, store, counters }) => {
    const kept = collect(store);
    const wire = await connect();
    await wire.write(
      `HELO a\r\n${MAIL}\r\n${RCPT}\r\nDATA\r\nSubject: a\r\n\r\n${lines(400_000)}.\r\nNOOP\r\n`,
    );
    wire.endInput();
    const codes = (await wire.rest()).split("\r\n").map((line) => line.slice(0, 3));
    assertEquals(codes, ["220", "250", "250", "250", "354", "250", "250", ""]);
    await until(() => kept.length === 1);
    await until(() => counters.sessions("receiver") === 0);
  });
});
