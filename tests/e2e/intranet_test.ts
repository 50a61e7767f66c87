/**
 * The seed's Figure 3 on the binary: a system that knows its own domains and the routes it was given, and nothing else.
 *
 * Each test runs in a network of its own on which every address can be reached, and a watcher sees whom a program tries to
 * reach. What an intranet promises is then a list: the test's own connections, and the routes' hosts.
 *
 * @module
 */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { MessageTrace } from "../../src/admin/trace.ts";
import {
  bodyOf,
  field,
  message,
  mustRun,
  PASSWORD,
  type Server,
  until,
  type Use,
  withPeers,
  withServer,
} from "./harness.ts";
import { loggedIn, submit, traceOf, untilStates } from "./peers/direct.ts";
import { startDns } from "./peers/dns.ts";
import { isolated, type Traffic, watchTraffic } from "./peers/isolated.ts";
import { startSink } from "./peers/sink.ts";
import { Wire } from "./wire.ts";

const file = import.meta.url;
const SENDMAIL = ["smtp-sink"];
/** A resolver that is configured and must not be asked for more than the routes' hosts. */
const RESOLVER = "127.0.5.53:5300";
/** Two systems inside: one that the configuration names, one that it gives the address of. */
const PLANT = "127.0.5.2";
const LAB = "127.0.5.3";
/** A device that may send without logging in. */
const SCANNER = "127.0.5.40";

const INTRANET = {
  relay: {
    mode: "intranet",
    routes: [
      { domain: "plant.example.test", host: "host.plant.example.test" },
      { domain: ".lab.example.test", host: LAB, port: 2600, accept: "anyone" },
    ],
    clients: [SCANNER],
  },
  dns: { servers: [RESOLVER] },
  queue: { retry: ["1s"] },
};

const WHY =
  "is outside: this system is on an intranet and delivers only to example.test, plant.example.test, " +
  "subdomains of lab.example.test";

/** Runs with a server that is to be started, and peers. */
function withIntranet(
  config: Readonly<Record<string, unknown>>,
  run: (given: { readonly server: Server; readonly use: Use }) => Promise<void>,
): Promise<void> {
  return withPeers((use) => withServer({ config, start: "by-test" }, (server) => run({ server, use })));
}

/** What was reached but for the test's own connections to the server. */
async function beyond(traffic: Traffic, server: Server): Promise<string[]> {
  const own = new Set(Object.values(server.ports).map((port) => `tcp 127.0.0.1 ${port}`));
  return (await traffic.reached()).filter((place) => !own.has(place)).sort();
}

/** An alias from the time when the system was on the Internet: none like it can be made now. */
async function oldAlias(server: Server, words: readonly string[]): Promise<void> {
  const refused = await server.cli(["alias", "add", ...words]);
  assertEquals(refused.code, 1, refused.stdout);
  assertStringIncludes(refused.stderr, `friend@elsewhere.test ${WHY}`);
  const relay = server.config["relay"] as Readonly<Record<string, unknown>>;
  server.config["relay"] = { ...relay, mode: "direct" };
  await server.writeConfig();
  await server.mustCli(["alias", "add", ...words]);
  server.config["relay"] = relay;
  await server.writeConfig();
}

/** A client of the listener for other systems. */
async function client(server: Server, localAddress = "127.0.5.77"): Promise<Wire> {
  const wire = await Wire.open(server.ports.smtp, "plain", { localAddress });
  await wire.expect(220);
  await wire.expect(250, "EHLO client.example.test");
  return wire;
}

/** Hands a message over and gives its id. */
async function hand(
  wire: Wire,
  mail: {
    readonly from: string;
    readonly to: readonly string[];
    readonly data: string;
    readonly rcpt?: string;
  },
): Promise<string> {
  await wire.expect(250, `MAIL FROM:<${mail.from}>`);
  for (const to of mail.to) await wire.expect(250, `RCPT TO:<${to}>${mail.rcpt ?? ""}`);
  await wire.expect(354, "DATA");
  const { lines } = await wire.expect(250, `${mail.data}.`);
  return /Accepted as (\S+)/.exec(lines[0]!)![1]!;
}

/** The notifications that this system made, as it remembers them. */
async function notifications(server: Server): Promise<MessageTrace[]> {
  const ids = [...(await server.output()).matchAll(/message not delivered.*? id="?(\w{10})/g)].map(([, id]) =>
    id!
  );
  const traces: MessageTrace[] = [];
  for (const id of new Set(ids)) traces.push(await traceOf(server, id));
  return traces.filter(({ made }) => made === "notification");
}

isolated("intranet: the watcher sees what a system on the Internet asks and reaches", {
  file,
  needs: SENDMAIL,
}, async () => {
  const config = { ...INTRANET, relay: { mode: "direct" } };
  await withIntranet(config, async ({ server, use }) => {
    const traffic = await use(watchTraffic());
    await server.start();
    await submit(server, {
      to: ["friend@elsewhere.test", "friend@[192.0.2.9]"],
      data: message({ subject: "x" }),
    });
    await until("both to be seen", async () => {
      const seen = await beyond(traffic, server);
      return seen.includes("udp 127.0.5.53 5300") && seen.includes("tcp 192.0.2.9 25");
    });
  });
});

isolated("intranet: outside recipients are refused with a sentence, whoever asks", { file }, async () => {
  await withIntranet(INTRANET, async ({ server, use }) => {
    const traffic = await use(watchTraffic());
    await oldAlias(server, ["away", "friend@elsewhere.test"]);
    await server.start();
    const stranger = await client(server);
    await stranger.expect(250, "MAIL FROM:<somebody@elsewhere.test>");
    const user = await loggedIn(server);
    await user.expect(250, "MAIL FROM:<alice@example.test>");
    const device = await client(server, SCANNER);
    await device.expect(250, "MAIL FROM:<scanner@elsewhere.test>");
    for (const wire of [stranger, user, device]) {
      for (
        const outside of [
          "friend@elsewhere.test",
          "friend@[192.0.2.9]",
          "friend@[IPv6:2001:db8::9]",
          "x@lab.example.test",
        ]
      ) {
        await wire.expect(550, `RCPT TO:<${outside}>`, `5.7.1 ${outside} ${WHY}`);
      }
      await wire.expect(
        550,
        "RCPT TO:<away@example.test>",
        "5.7.1 away@example.test stands for addresses outside alone, where this system sends no mail",
      );
    }
    // The routes are for those who may relay, unless they say otherwise.
    await stranger.expect(550, "RCPT TO:<x@plant.example.test>", "5.7.1 Relaying denied");
    await stranger.expect(250, "RCPT TO:<x@one.lab.example.test>");
    await stranger.expect(250, "RCPT TO:<alice@example.test>");
    await user.expect(250, "RCPT TO:<x@plant.example.test>");
    await device.expect(250, "RCPT TO:<x@plant.example.test>");
    // A submission says who somebody outside is just as little.
    const verified = await user.smtp("VRFY friend@elsewhere.test");
    assertEquals(verified.code, 550);
    for (const wire of [stranger, user, device]) wire.close();
    assertEquals(await beyond(traffic, server), []);
  });
});

isolated(
  "intranet: people and devices inside send and fetch",
  { file, needs: ["curl", "swaks", "s-nail"] },
  async () => {
    await withIntranet(INTRANET, async ({ server, use }) => {
      const traffic = await use(watchTraffic());
      await server.start();
      // A PC, by a program that checks the certificate.
      const tls = [
        "--silent",
        "--show-error",
        "--ssl-reqd",
        "--cacert",
        server.cert,
        "--user",
        `bob:${PASSWORD}`,
      ];
      await mustRun([
        ...["curl", ...tls, "--mail-from", "bob@example.test", "--mail-rcpt", "alice@example.test"],
        ...["--upload-file", "-", `smtp://localhost:${server.ports.submission}`],
      ], { stdin: message({ subject: "from a PC" }) });
      // Somebody at a terminal.
      await mustRun([
        ...[
          "s-nail",
          "-n",
          "-S",
          "v15-compat",
          "-S",
          `tls-ca-file=${server.cert}`,
          "-S",
          "smtp-use-starttls",
        ],
        ...["-S", `mta=smtp://alice:${PASSWORD}@localhost:${server.ports.submission}`],
        ...["-S", "from=alice@example.test", "-s", "from a terminal", "bob@example.test"],
      ], { stdin: "Lunch?\n", env: { HOME: server.folder } });
      // A device without a password, to people here and to another system inside.
      await mustRun([
        ...[
          "swaks",
          "--server",
          "127.0.0.1",
          "--port",
          String(server.ports.smtp),
          "--local-interface",
          SCANNER,
        ],
        ...[
          "--from",
          "scanner@example.test",
          "--to",
          "alice@example.test",
          "--header",
          "Subject: from a device",
        ],
      ]);
      const mine = await server.mail("alice", 2);
      assertEquals(mine.map((text) => field(text, "subject")).sort(), ["from a PC", "from a device"]);
      const [terminal] = await server.mail("bob", 1);
      assertStringIncludes(bodyOf(terminal!), "Lunch?");
      const fetched = await mustRun(["curl", ...tls, `pop3s://localhost:${server.ports.pop3s}/1`]);
      assertStringIncludes(fetched, "Lunch?");
      const names = await beyond(traffic, server);
      assertEquals(names.filter((place) => !place.startsWith("tcp ::1 ")), []);
    });
  },
);

isolated("intranet: a route's mail goes to its host, and DNS is asked for the host alone", {
  file,
  needs: ["dnsmasq", "smtp-sink"],
}, async () => {
  await withIntranet(INTRANET, async ({ server, use }) => {
    const dns = await use(
      startDns([`host.plant.example.test A ${PLANT}`, "elsewhere.test MX 10 mx.elsewhere.test"], {
        address: RESOLVER,
      }),
    );
    const plant = await use(startSink({ address: PLANT, port: 25 }));
    const lab = await use(startSink({ address: LAB, port: 2600 }));
    const traffic = await use(watchTraffic());
    await oldAlias(server, ["shift", "alice", "line@plant.example.test", "friend@elsewhere.test"]);
    await server.start();

    const id = await submit(server, {
      to: ["line@plant.example.test", "x@one.lab.example.test"],
      data: message({ subject: "to the plant" }),
    });
    const trace = await untilStates(server, id, ["relayed", "relayed"]);
    assertEquals(trace.recipients[0]!.acceptedBy, `host.plant.example.test [${PLANT}]`);
    assertEquals(field((await plant.until(1))[0]!.replaceAll("\n", "\r\n"), "subject"), "to the plant");
    assertStringIncludes((await lab.until(1))[0]!, "X-Rcpt-Args: <x@one.lab.example.test>");

    // An alias may lead inside and outside at once: the mail goes where it may go, and the trace says where it doesn't.
    const stranger = await client(server);
    const split = await hand(stranger, {
      from: "somebody@elsewhere.test",
      to: ["shift@example.test"],
      data: message({ subject: "to the shift" }),
    });
    stranger.close();
    const told = await untilStates(server, split, ["expanded", "relayed"]);
    assertStringIncludes(told.recipients[0]!.detail, `friend@elsewhere.test ${WHY}`);
    assertEquals((await server.mail("alice", 1)).length, 1);
    const forwarded = (await plant.until(2))[1]!;
    // Who answers this answers to here.
    assertMatch(forwarded, /^X-Mail-Args: <SRS0=[^>]*@example\.test>/m);

    assertEquals(await beyond(traffic, server), [
      `tcp ${PLANT} 25`,
      `tcp ${LAB} 2600`,
      "udp 127.0.5.53 5300",
    ]);
    assertEquals([...new Set(dns.queries())].sort(), [
      "a host.plant.example.test",
      "aaaa host.plant.example.test",
    ]);
  });
});

isolated("intranet: what can't be told to a sender outside ends on record, and reaches nobody", {
  file,
  needs: ["smtp-sink"],
}, async () => {
  await withIntranet(INTRANET, async ({ server, use }) => {
    const lab = await use(startSink({ address: LAB, port: 2600, args: ["-f", "RCPT"] }));
    const traffic = await use(watchTraffic());
    await server.start();
    const device = await client(server, SCANNER);
    // The lab refuses it, and its sender is outside.
    const refused = await hand(device, {
      from: "robot@elsewhere.test",
      to: ["gone@one.lab.example.test"],
      data: message({ subject: "nobody is there" }),
    });
    // Delivered here, and the sender wants to be told.
    const asked = await hand(device, {
      from: "robot@elsewhere.test",
      to: ["alice@example.test"],
      data: message({ subject: "tell me" }),
      rcpt: " NOTIFY=SUCCESS",
    });
    // The same for somebody inside, who is told.
    const inside = await hand(device, {
      from: "bob@example.test",
      to: ["gone@one.lab.example.test"],
      data: message({ subject: "nobody is there either" }),
    });
    device.close();
    await untilStates(server, refused, ["failed"]);
    await untilStates(server, asked, ["delivered"]);
    await untilStates(server, inside, ["failed"]);
    assertStringIncludes((await server.mail("bob", 1))[0]!, "gone@one.lab.example.test");

    await until(
      "two notifications that went nowhere",
      async () => (await notifications(server)).length === 2,
    );
    for (const notification of await notifications(server)) {
      assertEquals(notification.from, "");
      assertEquals(notification.recipients.length, 1);
      const [recipient] = notification.recipients;
      assertEquals([recipient!.recipient, recipient!.state], ["robot@elsewhere.test", "failed"]);
      assertStringIncludes(recipient!.detail, `550 5.7.1 robot@elsewhere.test ${WHY}`);
      assertEquals(notification.tries, []);
    }
    // It is over: nothing waits, and nothing tells of the notifications.
    const waiting = JSON.parse(await server.mustCli(["queue", "list", "--json"])) as {
      recipients: unknown[];
    };
    assertEquals(waiting.recipients, []);
    assertEquals(await beyond(traffic, server), [`tcp ${LAB} 2600`]);
    assertEquals(await lab.messages(), []);
  });
});

isolated("intranet: commands that look say what holds, and ask nobody", { file }, async () => {
  await withIntranet(INTRANET, async ({ server, use }) => {
    const traffic = await use(watchTraffic());
    await server.start();
    const outside = await server.mustCli(["route", "friend@elsewhere.test", "--probe"]);
    assertStringIncludes(outside.replace(/\s+/g, " "), `friend@elsewhere.test ${WHY}`);
    assertStringIncludes(outside, "on an intranet no DNS is asked");
    const plant = await server.mustCli(["route", "line@plant.example.test", "--probe"]);
    assertStringIncludes(plant, "relay.routes[0]");
    assertStringIncludes(plant, "host.plant.example.test, port 25");
    const figure = await server.mustCli(["topology"]);
    for (const words of ["Intranet", "not there, or not", "no DNS, no", "127.0.5.3, port 2600"]) {
      assertStringIncludes(figure, words);
    }
    assertEquals(await beyond(traffic, server), []);
  });
});

isolated(
  "intranet: mail that waited for the Internet goes back once the system is on an intranet",
  { file },
  async () => {
    const relay = INTRANET.relay;
    await withIntranet({ ...INTRANET, relay: { ...relay, mode: "direct" } }, async ({ server, use }) => {
      await server.start();
      const id = await submit(server, { to: "friend@[192.0.2.9]", data: message({ subject: "too late" }) });
      await untilStates(server, id, ["deferred"]);
      await server.stop();
      server.config["relay"] = relay;
      await server.writeConfig();
      const traffic = await use(watchTraffic());
      await server.start();
      const [bounce] = await server.mail("alice", 1);
      assertStringIncludes(bounce!.replace(/\s+/g, " "), `friend@[192.0.2.9] ${WHY}`);
      assert(/^Status: 5\.7\.1\r$/m.test(bounce!), bounce);
      assertEquals(await beyond(traffic, server), []);
    });
  },
);
