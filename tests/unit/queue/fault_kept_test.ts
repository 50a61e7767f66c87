/** Connections that are kept, and large messages: reuse, its end, and memory. */
import { assert, assertEquals } from "@std/assert";
import { type OutgoingContent } from "../../../src/queue/smtp_courier.ts";
import type { Destination, Job } from "../../../src/queue/destination.ts";
import { goodContext } from "../net/pki.ts";
import {
  BODY,
  connectorFor,
  eventually,
  filler,
  type Scene,
  startScene,
  SwiftClock,
} from "./fault_fixture.ts";
import { type Act, FaultyHost, type Plan } from "./faulty_host.ts";

const PIPELINING = ["PIPELINING", "8BITMIME"];
/** Time runs slowly enough that a connection is kept while a test does its next step. */
const FACTOR = 10;

async function withHost(
  plan: Plan,
  use: (scene: Scene, host: FaultyHost) => Promise<void>,
  options: { readonly connectionsPerHost?: number; readonly recipients?: number; readonly factor?: number } =
    {},
) {
  const host = await FaultyHost.start({ extensions: PIPELINING, ...plan });
  const scene = await startScene({ port: host.port, connectionsPerHost: 1, factor: FACTOR, ...options });
  try {
    await use(scene, host);
  } finally {
    await scene.stop();
    await host.stop();
  }
}

/** Sends messages one after another, each while the connection of the one before is idle. */
async function sendEach(scene: Scene, count: number, between: () => Promise<void> = () => Promise.resolve()) {
  const keys: number[] = [];
  for (let i = 0; i < count; i++) {
    if (i > 0) await between();
    const key = await scene.send();
    assertEquals(await scene.ended(key), ["relayed"]);
    keys.push(key);
  }
  return keys;
}

/** Each message went out at the first try that counts. */
async function triedOnce(scene: Scene, keys: readonly number[]) {
  for (const key of keys) {
    assertEquals(scene.firsts.get(key)!.kinds, ["relayed"]);
    assertEquals((await scene.attempts(key)).length, 1);
  }
}

Deno.test("SmtpCourier sends what comes soon after over the connection there is", async () => {
  await withHost({}, async (scene, host) => {
    const keys = await sendEach(scene, 5);
    assertEquals([host.connections, host.got.length], [1, 5]);
    await triedOnce(scene, keys);
    // Nothing more comes: it says goodbye.
    await eventually("QUIT", () => host.heard.at(-1) === "QUIT" && host.sockets.size === 0);
  });
});

Deno.test("SmtpCourier begins no more transactions than MAILMAX, and says QUIT then", async () => {
  await withHost({ extensions: [...PIPELINING, "LIMITS MAILMAX=2 RCPTMAX=50"] }, async (scene, host) => {
    const keys = await Promise.all(Array.from({ length: 5 }, () => scene.send()));
    for (const key of keys) assertEquals(await scene.ended(key), ["relayed"]);
    assertEquals(host.connections, 3);
    assertEquals([1, 2, 3].map((n) => host.got.filter(({ connection }) => connection === n).length), [
      2,
      2,
      1,
    ]);
    await triedOnce(scene, keys);
    const isBound = (line: string) => line === "QUIT" || line.startsWith("EHLO");
    await eventually("QUIT", () => host.heard.filter(isBound).length === 6);
    const bounds = host.heard.filter(isBound).map((line) => line.slice(0, 4));
    assertEquals(bounds, ["EHLO", "QUIT", "EHLO", "QUIT", "EHLO", "QUIT"]);
  });
});

Deno.test("SmtpCourier sends more recipients than MAILMAX and RCPTMAX take at once, without a wait", async () => {
  const recipients = Array.from({ length: 7 }, (_, i) => `user${i}@example.org`);
  await withHost({ extensions: [...PIPELINING, "LIMITS MAILMAX=1 RCPTMAX=2"] }, async (scene, host) => {
    const key = await scene.send({ recipients });
    assertEquals(await scene.ended(key), Array(7).fill("relayed"));
    assertEquals(host.connections, 4);
    assertEquals(host.got.flatMap((got) => got.recipients).toSorted(), recipients);
    assertEquals((await scene.attempts(key)).length, 4);
  });
});

for (
  const [what, act] of Object.entries<Act>({
    "421": { do: "say", text: "421 4.7.0 too many\r\n", then: "close" },
    "the end": { do: "close" },
    "a reset": { do: "reset" },
  })
) {
  for (const stage of ["mail", "rcpt", "data"] as const) {
    Deno.test(`SmtpCourier sends over a fresh connection where a kept one ends: ${what} at ${stage}`, async () => {
      const plan: Plan = {
        act: (moment) => moment.stage === stage && moment.transaction === 2 ? act : undefined,
      };
      await withHost(plan, async (scene, host) => {
        const keys = await sendEach(scene, 5);
        assertEquals(host.got.length, 5);
        assertEquals(host.connections, 5);
        await triedOnce(scene, keys);
      });
    });
  }
}

Deno.test("SmtpCourier counts a try where a fresh connection ends, whatever it says", async () => {
  const plan: Plan = {
    act: ({ stage, connection }) =>
      stage === "mail" && connection <= 3
        ? { do: "say", text: "421 4.3.2 no\r\n", then: "close" }
        : undefined,
  };
  await withHost(plan, async (scene, host) => {
    const key = await scene.send();
    assertEquals(await scene.ended(key), ["relayed"]);
    assertEquals([host.connections, host.got.length], [4, 1]);
    assertEquals((await scene.attempts(key)).length, 4);
  }, { factor: 100 });
});

Deno.test("SmtpCourier finds out that an idle connection has ended, and its place is free again", async () => {
  await withHost({}, async (scene, host) => {
    const keys = await sendEach(scene, 12, async () => {
      host.hangUp();
      await eventually("it is gone", () => host.sockets.size === 0);
    });
    assertEquals(host.got.length, 12);
    assertEquals(host.connections, 12);
    await triedOnce(scene, keys);
  });
});

Deno.test("SmtpCourier takes an idle host's 421 for the connection's end, and its chatter for a breach", async () => {
  for (const words of ["421 4.4.2 idle\r\n", "250 still here\r\n", "x".repeat(1 << 20)]) {
    await withHost({}, async (scene, host) => {
      const keys = await sendEach(scene, 3, async () => {
        for (const socket of host.sockets) socket.write(words);
        await new Promise((resolve) => setTimeout(resolve, 20));
      });
      assertEquals(host.got.map(({ text }) => text), [BODY, BODY, BODY]);
      await triedOnce(scene, keys);
    });
  }
});

Deno.test("SmtpCourier makes a host's places free whatever its connections end by", async () => {
  const acts: Act[] = [
    { do: "close" },
    { do: "reset" },
    { do: "say", text: "garbage\r\n", then: "hang" },
    { do: "say", text: "421 no\r\n", then: "close" },
    { do: "say", text: "550 no\r\n" },
  ];
  const stages = ["connect", "ehlo", "mail", "data", "end", "quit"] as const;
  const plan: Plan = {
    act: ({ connection, stage }) => {
      const turn = connection - 1;
      if (turn >= acts.length * stages.length) return undefined;
      return stage === stages[turn % stages.length] ? acts[Math.floor(turn / stages.length)] : undefined;
    },
  };
  await withHost(plan, async (scene, host) => {
    for (let i = 0; i < 40; i++) await scene.ended(await scene.send());
    assertEquals(scene.busy, 0);
    await eventually("nothing is open", () => host.sockets.size === 0);
  }, { factor: 200 });
});

Deno.test("SmtpCourier.quit() does not wait long for a host that says nothing to QUIT", async () => {
  const plan: Plan = { act: ({ stage }) => stage === "quit" ? { do: "hang" } : undefined };
  await withHost(plan, async (scene, host) => {
    const began = Date.now();
    await sendEach(scene, 1);
    await eventually("it is closed", () => host.sockets.size === 0);
    // 2 s idle and 30 s of patience, then what lingers; not the five minutes of other commands.
    assert(Date.now() - began < 60_000 / 30, `${Date.now() - began} ms`);
  }, { factor: 30 });
});

// ---------------------------------------------------------------- large messages

const PART = 256 * 1024;
const LARGE = 20 * 1024 * 1024;
/** What a connection's buffers in the two systems may hold of it: Linux gives 6 MB to a receiver and 4 MB to a sender. */
const BUFFERED = 12 * 1024 * 1024;

/** A message that is made while it is sent, and how far that is. */
class Made implements OutgoingContent {
  readonly size = LARGE;
  made = 0;
  ended: "yes" | "no" = "no";

  async *parts(): AsyncIterable<Uint8Array> {
    try {
      while (this.made < this.size) {
        this.made += PART;
        yield filler(PART);
      }
    } finally {
      this.ended = "yes";
    }
  }
}

const DESTINATION: Destination = {
  name: "example.org",
  hop: { kind: "mx", domain: "example.org" },
  tls: "by-policy",
};

const JOB: Job = {
  message: {
    key: 1,
    receivedAtMs: 0,
    reversePath: "sender@example.net",
    smtpUtf8: false,
    size: LARGE,
    recipients: [{ index: 0, recipient: "user@example.org" }],
  },
  recipients: [{ index: 0, recipient: "user@example.org" }],
  route: {
    channel: "smtp",
    recipient: { local: "user", domain: "example.org" },
    accept: "users",
    hop: DESTINATION.hop,
    rule: "direct",
  },
};

async function sendLarge(plan: Plan, use: (host: FaultyHost, made: Made) => Promise<void>, factor: number) {
  const host = await FaultyHost.start(plan);
  const made = new Made();
  const clock = new SwiftClock(factor);
  const connector = connectorFor({ port: host.port, clock }, () => Promise.resolve(made));
  const connected = await connector.connect(DESTINATION, new AbortController().signal);
  if (connected.kind !== "courier") throw new Error(JSON.stringify(connected));
  try {
    const sending = connected.courier.send(JOB);
    await use(host, made);
    const sent = await sending;
    return { host, made, sent };
  } finally {
    await connected.courier.quit();
    await host.stop();
  }
}

/** Waits until nothing is made any more. */
async function atRest(made: Made): Promise<number> {
  for (let last = -1; last !== made.made;) {
    last = made.made;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  return made.made;
}

const LARGE_PLANS: Readonly<Record<string, Plan>> = {
  "DATA": { extensions: ["PIPELINING"] },
  "BDAT": { extensions: ["PIPELINING", "CHUNKING"] },
  "TLS": { extensions: ["PIPELINING"], tls: goodContext },
};

for (const [how, plan] of Object.entries(LARGE_PLANS)) {
  Deno.test(`SmtpCourier sends 20 MB by ${how} no faster than the host reads`, async () => {
    let isHeld = false;
    const { host, sent } = await sendLarge(
      {
        ...plan,
        act: ({ stage }) => {
          if (stage === "content") isHeld = true;
          return undefined;
        },
      },
      async (host, made) => {
        await eventually("content comes", () => isHeld);
        for (const socket of host.sockets) socket.pause();
        const before = await atRest(made);
        assert(before - host.octetsRead <= BUFFERED, `${before - host.octetsRead} octets are on their way`);
        assert(before < LARGE, "it waits for the host");
        for (const socket of host.sockets) socket.resume();
      },
      1,
    );
    assertEquals(sent.kind === "done" && sent.verdicts.map(({ kind }) => kind), ["relayed"]);
    assertEquals(host.got.map(({ octets }) => octets >= LARGE), [true]);
  });

  Deno.test(`SmtpCourier gives up 20 MB by ${how} where the host stops reading`, async () => {
    const { host, made, sent } = await sendLarge(
      { ...plan, act: ({ stage }) => stage === "content" ? { do: "stop-reading" } : undefined },
      () => Promise.resolve(),
      100,
    );
    assertEquals(sent.kind === "done" && sent.verdicts.map(({ kind }) => kind), ["deferred"]);
    assertEquals(host.got, []);
    assert(made.made < LARGE);
    assertEquals(made.ended, "yes");
  });

  Deno.test(`SmtpCourier spares the rest of 20 MB by ${how} where the host refuses it meanwhile`, async () => {
    for (const [text, kind] of [["552 5.3.4 too large\r\n", "failed"], ["452 4.3.1 full\r\n", "deferred"]]) {
      const { host, made, sent } = await sendLarge(
        {
          ...plan,
          act: ({ stage }) => stage === "content" ? { do: "say", text: text!, then: "hang" } : undefined,
        },
        async (host) => {
          await eventually("content comes", () => host.octetsRead > 1_000);
          for (const socket of host.sockets) socket.pause();
        },
        100,
      );
      assertEquals(sent.kind === "done" && sent.verdicts.map((each) => each.kind), [kind!]);
      assertEquals(host.got, []);
      assert(made.made < LARGE, `${made.made} octets were made`);
    }
  });
}

Deno.test("SmtpCourier keeps a connection where a message can't be read before it begins", async () => {
  const host = await FaultyHost.start({ extensions: PIPELINING });
  const clock = new SwiftClock(1);
  let calls = 0;
  const small: OutgoingContent = {
    size: BODY.length,
    async *parts() {
      yield await Promise.resolve(new TextEncoder().encode(BODY));
    },
  };
  const connector = connectorFor(
    { port: host.port, clock },
    () => ++calls === 2 ? Promise.reject(new Error("the disk is broken")) : Promise.resolve(small),
  );
  const connected = await connector.connect(DESTINATION, new AbortController().signal);
  if (connected.kind !== "courier") throw new Error("no courier");
  try {
    const kinds: string[] = [];
    for (let i = 0; i < 3; i++) {
      const sent = await connected.courier.send(JOB);
      kinds.push(sent.kind === "done" ? sent.verdicts.map(({ kind }) => kind).join() : sent.kind);
    }
    assertEquals(kinds, ["relayed", "deferred", "relayed"]);
    assertEquals([host.connections, host.got.length], [1, 2]);
  } finally {
    await connected.courier.quit();
    await host.stop();
  }
});

Deno.test("SmtpCourier does not end a message that can't be read to its end", async () => {
  for (const extensions of [PIPELINING, [...PIPELINING, "CHUNKING"]]) {
    const host = await FaultyHost.start({ extensions });
    const connector = connectorFor({ port: host.port, clock: new SwiftClock(1) }, () =>
      Promise.resolve({
        size: 2 * PART,
        async *parts() {
          yield await Promise.resolve(filler(PART));
          throw new Error("the disk is broken");
        },
      }));
    const connected = await connector.connect(DESTINATION, new AbortController().signal);
    if (connected.kind !== "courier") throw new Error("no courier");
    const sent = await connected.courier.send(JOB);
    assertEquals(sent.kind === "done" && sent.verdicts.map(({ kind }) => kind), ["deferred"]);
    assertEquals(connected.courier.alive, false);
    await connected.courier.quit();
    await eventually("it is closed", () => host.sockets.size === 0);
    assertEquals(host.got, []);
    await host.stop();
  }
});

// ---------------------------------------------------------------- what a connection is good for

/** Sends one message with SMTPUTF8 to a host that has never heard of it; gives what came of it, and what the host heard. */
async function sendUtf8(text: string) {
  const host = await FaultyHost.start({ extensions: PIPELINING });
  const octets = new TextEncoder().encode(text);
  const content: OutgoingContent = {
    size: octets.length,
    async *parts() {
      yield await Promise.resolve(octets);
    },
  };
  const connector = connectorFor(
    { port: host.port, clock: new SwiftClock(1) },
    () => Promise.resolve(content),
  );
  const connected = await connector.connect(DESTINATION, new AbortController().signal);
  if (connected.kind !== "courier") throw new Error(JSON.stringify(connected));
  try {
    const sent = await connected.courier.send({ ...JOB, message: { ...JOB.message, smtpUtf8: true } });
    if (sent.kind !== "done") throw new Error("stale");
    return { verdict: sent.verdicts[0]!, heard: [...host.heard] };
  } finally {
    await connected.courier.quit();
    await host.stop();
  }
}

Deno.test("SmtpCourier sends what came by SMTPUTF8 without it where all of it is ASCII", async () => {
  const { verdict, heard } = await sendUtf8("Subject: plain\r\n\r\nplain\r\n");
  assertEquals(verdict.kind, "relayed");
  assertEquals(heard.filter((line) => line.startsWith("MAIL")), ["MAIL FROM:<sender@example.net>"]);
});

Deno.test("SmtpCourier sends back what needs SMTPUTF8 where the host lacks it", async () => {
  const { verdict, heard } = await sendUtf8("Subject: Gr\u00fc\u00dfe\r\n\r\nplain\r\n");
  assertEquals(verdict.kind === "failed" && verdict.reply.enhanced, "5.6.7");
  assertEquals(heard.some((line) => line.startsWith("MAIL")), false);
});

Deno.test("SmtpCourier uses a connection for a minute, so that a better host gets its turn again", async () => {
  const host = await FaultyHost.start({ extensions: PIPELINING });
  const clock = new SwiftClock(1000);
  const connector = connectorFor(
    { port: host.port, clock },
    () => Promise.reject(new Error("not asked for")),
  );
  const connected = await connector.connect(DESTINATION, new AbortController().signal);
  if (connected.kind !== "courier") throw new Error(JSON.stringify(connected));
  const beganMs = clock.nowMs();
  await eventually("the connection's end", () => !connected.courier.alive);
  assert(clock.nowMs() - beganMs >= 50_000, `after ${clock.nowMs() - beganMs} ms`);
  await connected.courier.quit();
  await host.stop();
});
