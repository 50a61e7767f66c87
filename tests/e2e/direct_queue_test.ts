/**
 * Mail that waits in direct mode: an operator's hand on it, a crash in between, and what signs it when it leaves.
 *
 * @module
 */
import { assert, assertEquals, assertMatch, assertNotMatch, assertStringIncludes } from "@std/assert";
import type { QueueView } from "../../src/admin/queue.ts";
import type { SigningKeyView } from "../../src/admin/dkim.ts";
import { DOMAIN, message, runProgram, type Server, until } from "./harness.ts";
import { direct, submit, untilStates } from "./peers/direct.ts";
import { startSink } from "./peers/sink.ts";

const data = message({ subject: "The quarterly figures", from: `Alice <alice@${DOMAIN}>` });

async function waiting(server: Server): Promise<QueueView> {
  return JSON.parse(await server.mustCli(["queue", "list", "--json"])) as QueueView;
}

direct("direct queue: a host that says later is tried again when an operator says so", {
  records: ["target.test MX 10 mx.target.test", "mx.target.test A 127.0.3.31"],
}, async ({ server, use }) => {
  const busy = await use(startSink({ address: "127.0.3.31", port: 25, args: ["-r", "RCPT"] }));
  const id = await submit(server, { to: "carol@target.test", data });
  const first = await untilStates(server, id, ["deferred"]);
  assertMatch(first.recipients[0]!.detail, /450 4\.3\.0 Error: command failed/);
  assertEquals(first.recipients[0]!.wait!.tries, 1);
  const soon = Date.parse(first.recipients[0]!.wait!.nextTryAt) - Date.parse(first.recipients[0]!.at);
  // queue.retry begins with 5 minutes, moved by a tenth at most.
  assert(soon > 4 * 60_000 && soon < 6 * 60_000, `next try after ${soon} ms`);
  assertMatch(await server.mustCli(["queue", "show", id]), /S: 450 4\.3\.0 Error: command failed/);
  assertEquals((await server.mail("alice", 0)).length, 0, "nobody is told before it is late");

  await busy.stop();
  const ready = await use(startSink({ address: "127.0.3.31", port: 25 }));
  assertMatch(await server.mustCli(["queue", "retry", id]), /1 recipient/);
  await ready.until(1);
  const { tries } = await untilStates(server, id, ["relayed"]);
  assertEquals(tries.length, 2);
});

direct("direct queue: hold, release, drop and reroute on the running server", {
  records: ["down.test A 127.0.3.32"],
}, async ({ server, use }) => {
  const other = await use(startSink({ address: "127.0.3.34", port: 2525 }));
  // Nobody is at 127.0.3.32.
  const id = await submit(server, { to: ["a@down.test", "b@down.test", "c@down.test"], data });
  await untilStates(server, id, ["deferred", "deferred", "deferred"]);
  const [silent] = (await waiting(server)).destinations;
  assertEquals([silent!.destination, silent!.waiting], ["down.test", 3]);

  await server.mustCli(["queue", "hold", `${id}.1`, "--reason", "to be looked at"]);
  await server.mustCli(["queue", "drop", `${id}.2`, "--reason", "sent by mistake", "--yes"]);
  await untilStates(server, id, ["held", "dropped", "deferred"]);
  await server.mustCli(["queue", "reroute", `${id}.3`, "--to", "127.0.3.34:2525"]);
  const [rerouted] = await other.until(1);
  assertMatch(rerouted!, /^X-Rcpt-Args: <c@down\.test>$/m);
  // What becomes of it there, a host of the operator's choice knows.
  await untilStates(server, id, ["held", "dropped", "handed"]);

  // What is held is left alone, also when all is to be tried.
  await server.cli(["queue", "retry", "--domain", "down.test"]);
  const down = await use(startSink({ address: "127.0.3.32", port: 25 }));
  await untilStates(server, id, ["held", "dropped", "handed"]);
  assertEquals(await down.messages(), []);
  assertMatch(await server.mustCli(["trace", id]), /held back from a@down\.test: to be looked at/);
  await server.mustCli(["queue", "release", id]);
  await until("what was released to leave", async () => {
    if ((await down.messages()).length > 0) return true;
    await server.cli(["queue", "retry", id]);
    return false;
  });
  await untilStates(server, id, ["relayed", "dropped", "handed"]);
  const text = (await down.messages()).join();
  assertMatch(text, /^X-Rcpt-Args: <a@down\.test>$/m);
  assertNotMatch(text, /b@down\.test/);
  assertEquals((await waiting(server)).total, 0);
  assertEquals((await server.mail("alice", 0)).length, 0, "nobody is told of what was dropped");
});

direct("direct queue: a crash with mail waiting loses nothing, and sends nothing twice", {
  records: ["target.test A 127.0.3.35"],
}, async ({ server, use }) => {
  const count = 20;
  const ids: string[] = [];
  for (let i = 0; i < count; i++) {
    ids.push(await submit(server, { to: `carol${i}@target.test`, data }));
  }
  await untilStates(server, ids[0]!, ["deferred"]);
  await server.crash();
  await server.start();
  assertEquals((await waiting(server)).total, count);
  const sink = await use(startSink({ address: "127.0.3.35", port: 25 }));
  await server.mustCli(["queue", "retry", "--all"]);
  const texts = await sink.until(count);
  const whom = texts.map((text) => /^X-Rcpt-Args: <(carol\d+)@/m.exec(text)![1]!);
  assertEquals(new Set(whom).size, count, "each of them once");
  await until("the queue to be empty", async () => (await waiting(server)).total === 0);

  // Neither by another crash: that they left was on record.
  await server.crash();
  await server.start();
  const last = await submit(server, { to: "last@target.test", data });
  await untilStates(server, last, ["relayed"]);
  await sink.until(count + 1);
});

const DKIMPY = "/usr/bin/python3";

/** Verifies each signature with dkimpy, by the records of the DNS server it is given. */
const VERIFY = `
import dkim, socket, struct, sys

host, port = sys.argv[1].split(":")

def txt(name, timeout=5):
    labels = name.decode().rstrip(".").split(".")
    question = b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\\0\\0\\x10\\0\\1"
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as link:
        link.settimeout(5)
        link.connect((host, int(port)))
        query = b"\\x12\\x34\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0" + question
        link.sendall(struct.pack(">H", len(query)) + query)
        reply = link.makefile("rb").read(struct.unpack(">H", link.recv(2))[0])
    if struct.unpack(">H", reply[6:8])[0] == 0:
        return None
    data = reply[12 + len(question) + 12:]
    text, length = b"", struct.unpack(">H", reply[12 + len(question) + 10:12 + len(question) + 12])[0]
    data = data[:length]
    while data:
        text, data = text + data[1:1 + data[0]], data[1 + data[0]:]
    return text

message = sys.stdin.buffer.read()
count = sum(line.lower().startswith(b"dkim-signature:") for line in message.split(b"\\r\\n\\r\\n")[0].split(b"\\r\\n"))
for at in range(count):
    signed = dkim.DKIM(message)
    print(signed.verify(idx=at, dnsfunc=txt), signed.domain.decode(), signed.selector.decode())
`;

function hasDkimpy(): boolean {
  try {
    return new Deno.Command(DKIMPY, { args: ["-c", "import dkim, nacl"], stderr: "null" }).outputSync()
      .success;
  } catch {
    return false;
  }
}

direct("direct queue: what leaves is signed, and dkimpy verifies it by the records in DNS", {
  needs: hasDkimpy() ? [] : ["python3-dkim"],
  records: ["target.test A 127.0.3.36"],
  prepare: async (server) => {
    await server.mustCli(["dkim", "add", DOMAIN]);
  },
}, async ({ server, dns, use }) => {
  const keys = JSON.parse(await server.mustCli(["dkim", "list", "--json"])) as SigningKeyView[];
  const records = keys.map(({ record }) => `${record.name} TXT "${record.text}"`);
  assertEquals((await server.cli(["dkim", "check", DOMAIN])).code, 1, "before the records are there");
  await dns.replace(["target.test A 127.0.3.36", ...records]);
  const check = await server.cli(["dkim", "check", DOMAIN]);
  assertEquals(check.code, 0, check.stdout);

  const sink = await use(startSink({ address: "127.0.3.36", port: 25 }));
  const body = "Tabs\tand  blanks   \r\n.\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n\r\n\r\n";
  const signed = message({ subject: "Signed", from: `Alice <alice@${DOMAIN}>`, body });
  await submit(server, { to: "carol@target.test", data: signed, mail: " BODY=8BITMIME" });
  const [text] = await sink.until(1);
  // What smtp-sink puts in front ends with its own Received.
  const sent = text!.slice(text!.search(/^DKIM-Signature:/m)).replace(/\n/g, "\r\n");
  const verified = await runProgram([DKIMPY, "-c", VERIFY, dns.address], { stdin: sent });
  assertEquals(verified.stderr, "");
  const expected = keys.map(({ selector }) => `True ${DOMAIN} ${selector}`).sort();
  assertEquals(verified.stdout.trim().split("\n").sort(), expected);
  const spoilt = await runProgram([DKIMPY, "-c", VERIFY, dns.address], {
    stdin: sent.replace("Subject: Signed", "Subject: Changed"),
  });
  assertStringIncludes(spoilt.stdout, "False");

  // Nobody signs for another domain.
  await server.mustCli(["user", "set", "alice", "--send-as", "any"]);
  const foreign = message({ subject: "Not ours", from: "Somebody <somebody@elsewhere.test>" });
  await submit(server, { from: "somebody@elsewhere.test", to: "carol@target.test", data: foreign });
  const other = (await sink.until(2)).find((each) => each.includes("Subject: Not ours"));
  assertNotMatch(other!, /^DKIM-Signature:/m);
});
