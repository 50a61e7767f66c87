import { assert, assertEquals, assertMatch } from "@std/assert";
import { systemClock } from "../../../src/base/clock.ts";
import { wordsOf } from "../../../src/queue/gateways/pipe.ts";
import { runProcess } from "../../../src/queue/gateways/process.ts";
import type { Sent } from "../../../src/queue/courier_types.ts";
import { courierFor, DOMAIN, jobFor, latin1, namesIn, only, withFolder } from "./gateways_fixture.ts";
import type { QueuedOptions } from "./queue_fixture.ts";

const MESSAGE = latin1("Subject: Fax\r\n\r\nText \x00\xff.\r\n.\r\nno line end");

/** Runs a shell script as the gateway's command. */
async function pipeTo(
  script: string,
  options: {
    readonly words?: readonly string[];
    readonly timeoutMs?: number;
    readonly queued?: QueuedOptions;
    readonly content?: Uint8Array;
    readonly stopAfterMs?: number;
  } = {},
): Promise<{ readonly sent: Extract<Sent, { kind: "done" }>; readonly folder: string[] }> {
  let result: Extract<Sent, { kind: "done" }> | undefined;
  let names: string[] = [];
  await withFolder(async (folder) => {
    const program = `${folder}/send`;
    await Deno.writeTextFile(program, `#!/bin/sh\ncd "${folder}"\n${script}\n`, { mode: 0o755 });
    const courier = await courierFor(
      {
        kind: "pipe",
        name: "fax",
        domain: DOMAIN,
        command: [program, ...options.words ?? []],
        timeoutMs: options.timeoutMs ?? 20_000,
      },
      options.content ?? MESSAGE,
      { clock: systemClock },
    );
    const { job } = jobFor("fax", 7, options.queued);
    if (options.stopAfterMs !== undefined) setTimeout(() => courier.destroy(), options.stopAfterMs);
    const sent = await courier.send(job);
    if (sent.kind !== "done") throw new Error(sent.kind);
    result = sent;
    names = namesIn(folder).filter((name) => name !== "send")
      .flatMap((name) => [name, Deno.readTextFileSync(`${folder}/${name}`)]);
    await courier.quit();
  });
  return { sent: result!, folder: names };
}

Deno.test("wordsOf() replaces, keeps each word one word, and lets no address become an option", () => {
  const values = { to: "bob@sales", from: "a b;$(x)@example.org", id: "04k2m9x7qa" };
  assertEquals(wordsOf(["fax", "--to={to}", "{from}", "x{id}{id}", "{other}"], values), {
    words: ["fax", "--to=bob@sales", "a b;$(x)@example.org", "x04k2m9x7qa04k2m9x7qa", "{other}"],
  });
  const evil = { to: "-oX@sales", from: "", id: "1" };
  assertEquals(wordsOf(["fax", "{to}"], evil), { refused: "to" });
  assertEquals(wordsOf(["fax", "{from}{to}"], evil), { refused: "to" });
  assertEquals(wordsOf(["fax", "{from}"], { ...evil, from: "--x@y" }), { refused: "from" });
  assertEquals(wordsOf(["fax", "--", "{to}"], evil), { words: ["fax", "--", "-oX@sales"] });
  assertEquals(wordsOf(["fax", "-r{to}", "<{to}>"], evil), { words: ["fax", "-r-oX@sales", "<-oX@sales>"] });
  // What was put in is not looked into again.
  assertEquals(wordsOf(["fax", "{to}"], { ...values, to: "{from}" }), { words: ["fax", "{from}"] });
});

Deno.test("gatewayConnect() gives a command the message exactly, its words and a small environment", async () => {
  const script = 'cat > got; printf "%s\\n" "$@" > words; env | sort > env';
  const { sent, folder } = await pipeTo(script, {
    words: ["{to}", "-f{from}", "$HOME; echo", "{id}"],
    queued: { recipients: ["bob@sales.mhs.example.org"], reversePath: "it's me@example.org" },
  });
  const verdict = only(sent, "handed");
  assertEquals([verdict.by, verdict.dsn], ["gateway fax", "not-supported"]);
  assertEquals(
    folder[folder.indexOf("words") + 1],
    "bob@sales\n-fit's me@example.org\n$HOME; echo\n0000000007\n",
  );
  const env = folder[folder.indexOf("env") + 1]!.trim().split("\n").map((line) => line.split("=")[0]);
  assertEquals(
    env.filter((name) => !["_", "PWD", "OLDPWD", "SHLVL"].includes(name!)),
    ["EMSMAIL_FROM", "EMSMAIL_GATEWAY", "EMSMAIL_ID", "EMSMAIL_TO", "PATH"],
  );
  const [attempt] = sent.extras.attempts!;
  assertEquals([attempt!.destination, attempt!.host, attempt!.address, attempt!.tls], [
    "gateway fax",
    "",
    "",
    "",
  ]);
  assertMatch(
    attempt!.dialogue,
    /^started \/\S+\/send for a message of 40 octets\nit took it \(exit code 0\)$/,
  );
});

Deno.test("gatewayConnect() gives a command every octet, also more than a pipe holds", async () => {
  const content = new Uint8Array(3_000_000).map((_, at) => at * 7 % 251);
  const { sent, folder } = await pipeTo("sha256sum > sum", { content });
  assertEquals(sent.verdicts[0]!.kind, "handed");
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
  assertEquals(
    folder[1]!.split(" ")[0],
    [...hash].map((each) => each.toString(16).padStart(2, "0")).join(""),
  );
});

Deno.test("gatewayConnect() runs a command once for each recipient", async () => {
  const { sent, folder } = await pipeTo('cat > /dev/null; echo "$1" >> to; test "$1" != eve || exit 67', {
    words: ["{to}"],
    queued: { recipients: ["bob@sales.mhs.example.org", "eve@mhs.example.org", "joe@elsewhere.test"] },
  });
  assertEquals(folder, ["to", "bob@sales\neve\njoe@elsewhere.test\n"]);
  assertEquals(sent.verdicts.map(({ kind }) => kind), ["handed", "failed", "handed"]);
  assertEquals(sent.extras.attempts!.map(({ indexes }) => indexes), [[0], [1], [2]]);
});

Deno.test("gatewayConnect() tells the sender what an exit code says", async () => {
  const said = async (code: number) => {
    const { sent } = await pipeTo(`cat > /dev/null; exit ${code}`);
    if (sent.verdicts[0]!.kind !== "failed") return sent.verdicts[0]!.kind;
    const { reply } = only(sent, "failed");
    return `${reply.code} ${reply.enhanced}`;
  };
  const codes = {
    0: "handed",
    1: "550 5.3.0",
    64: "550 5.3.5",
    65: "550 5.6.0",
    67: "550 5.1.1",
    68: "550 5.1.2",
  };
  for (const [code, expected] of Object.entries(codes)) assertEquals(await said(Number(code)), expected);
  for (const code of [71, 75, 126, 127]) assertEquals(await said(code), "deferred");
  assertEquals(await said(77), "550 5.7.1");
  assertEquals(await said(78), "550 5.3.5");
  assertEquals(await said(200), "550 5.3.0");
});

Deno.test("gatewayConnect() keeps what a command says, up to 4 kB, as lines without control characters", async () => {
  const script = 'cat > /dev/null; printf "line one\\n\\033[31mnobody\\a there\\n" >&2; exit 67';
  const { sent } = await pipeTo(script);
  const verdict = only(sent, "failed");
  assertMatch(
    verdict.reply.lines.join(" "),
    /^the command of the gateway fax ended with exit code 67, EX_NOUSER: nobody has that name there; it said: nobody there$/,
  );
  assert(sent.extras.attempts![0]!.dialogue.includes("\n< line one\n< nobody there\n"));
  const chatty = await pipeTo("cat > /dev/null; yes 0123456789 | head -c 1000000");
  assertEquals(chatty.sent.verdicts[0]!.kind, "handed");
  const dialogue = chatty.sent.extras.attempts![0]!.dialogue;
  assert(dialogue.length > 4096 && dialogue.length < 6000, String(dialogue.length));
});

Deno.test("gatewayConnect() takes a command that does not read its input by its exit code", async () => {
  const content = new Uint8Array(1_000_000);
  assertEquals((await pipeTo("exit 0", { content })).sent.verdicts[0]!.kind, "handed");
  assertEquals((await pipeTo("exit 67", { content })).sent.verdicts[0]!.kind, "failed");
});

Deno.test("gatewayConnect() ends a command whose time is over, with all it started, and tries again later", async () => {
  const began = Date.now();
  const { sent, folder } = await pipeTo("sleep 60 & echo $! > child; wait", {
    timeoutMs: 300,
  });
  const verdict = only(sent, "deferred");
  assertMatch(verdict.reason, /did not end in time \(0 seconds\)$/);
  assertEquals(verdict.dueMs, 1001);
  assert(Date.now() - began < 10_000);
  await untilGone(Number(folder[1]));
});

Deno.test("gatewayConnect() ends a command that will not end by itself", async () => {
  const { sent: { verdicts: [verdict] } } = await pipeTo("trap '' TERM; while :; do sleep 0.1; done", {
    timeoutMs: 200,
  });
  assertEquals(verdict!.kind, "deferred");
});

Deno.test("gatewayConnect() leaves no process when the server stops", async () => {
  const { sent, folder } = await pipeTo(
    "echo $$ > self; sleep 60 & echo $! > child; wait",
    {
      stopAfterMs: 500,
    },
  );
  const verdict = only(sent, "deferred");
  assertMatch(verdict.reason, /was ended because the server stops$/);
  for (const name of ["self", "child"]) await untilGone(Number(folder[folder.indexOf(name) + 1]));
});

Deno.test("gatewayConnect() does not wait for what a command left behind", async () => {
  const began = Date.now();
  const { sent: { verdicts: [verdict] }, folder } = await pipeTo(
    "cat > /dev/null; sleep 30 & echo $! > child",
  );
  assertEquals(verdict!.kind, "handed");
  assert(Date.now() - began < 10_000);
  Deno.kill(Number(folder[1]), "SIGKILL");
});

Deno.test("gatewayConnect() refuses a recipient that would be an option", async () => {
  const { sent, folder } = await pipeTo("touch started", {
    words: ["{to}"],
    queued: { recipients: ["-rf@mhs.example.org"] },
  });
  const verdict = only(sent, "failed");
  assertEquals(verdict.reply.enhanced, "5.1.3");
  assertEquals(folder, []);
});

Deno.test("gatewayConnect() makes mail wait where the program is missing or may not be run", async () => {
  const { job } = jobFor("fax");
  const gone = await courierFor(
    { kind: "pipe", name: "fax", domain: DOMAIN, command: ["no-such-program-here"], timeoutMs: 1000 },
    MESSAGE,
    { clock: systemClock },
  );
  const sent = await gone.send(job);
  assertEquals(only(sent, "deferred").reason, "no-such-program-here is not there");
});

Deno.test("runProcess() ends a command whose input can't be read, so that half a message never counts", async () => {
  await withFolder(async (folder) => {
    async function* input(): AsyncIterable<Uint8Array> {
      yield MESSAGE;
      await new Promise((resolve) => setTimeout(resolve, 100));
      throw new Error("the content is not whole");
    }
    const ran = await runProcess(["/bin/sh", "-c", `cat > ${folder}/got; touch ${folder}/done`], {
      env: { PATH: "/usr/bin:/bin" },
      input: input(),
      timeoutMs: 20_000,
      clock: systemClock,
      signal: new AbortController().signal,
      outputOctets: 10,
    });
    assertEquals({ ...ran, output: "" }, {
      kind: "no-input",
      reason: "the content is not whole",
      output: "",
    });
    assert(!namesIn(folder).includes("done"));
  });
});

async function untilGone(pid: number): Promise<void> {
  for (let tries = 0; tries < 50; tries++) {
    let status = "";
    try {
      status = await Deno.readTextFile(`/proc/${pid}/stat`);
    } catch {
      return;
    }
    // An orphan that has ended waits for the machine's first process to be told.
    if (/\) Z /.test(status)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`process ${pid} is still there`);
}
