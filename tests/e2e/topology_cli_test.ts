/**
 * `emsmail topology` and `emsmail route` on the four configurations in examples/, one for each of the seed's figures, and
 * what they say of a configuration that is none.
 *
 * @module
 */
import { assertEquals, assertStringIncludes } from "@std/assert";
import type { RouteView } from "../../src/admin/route.ts";
import type { TopologyView } from "../../src/admin/topology.ts";
import { e2eBare, emsmail, mustRun, root, runProgram } from "./harness.ts";

type Example = "direct" | "buffer" | "intranet" | "combined";

function file(example: Example): string {
  return `${root}examples/${example}/emsmail.yaml`;
}

/** A folder without a mail system: what this machine may keep is none of the test's. */
const NOWHERE = `${root}tests/e2e/none`;

/** Runs a command on an example's configuration. */
async function on(example: Example, command: string, ...args: readonly string[]): Promise<string> {
  return await mustRun([...emsmail(), command, ...args, "--config", file(example), ...dataOf(command)]);
}

/** Of the two, only `route` looks into the data. */
function dataOf(command: string): readonly string[] {
  return command === "route" ? ["--data", NOWHERE] : [];
}

async function routeOf(example: Example, address: string, ...args: readonly string[]): Promise<RouteView> {
  return JSON.parse(await on(example, "route", address, "--json", ...args)) as RouteView;
}

/** What is drawn between the borders of boxes and beside arrows, a line each, without the drawing. */
function words(figure: string): string {
  return figure.replace(/[┌┐└┘─│┬┴▲▼╳◀▶]/g, " ").replace(/\s+/g, " ");
}

/** What each figure has to show: whole lines, as they are drawn. */
const DRAWN: { readonly [example in Example]: readonly string[] } = {
  direct: [
    "│ Internet                                  │  │ Fallback host               │",
    "└─┬────────────────────▲────────────────────┘  └─▲───────────────────────────┘",
    "  │ smtp 25: from      │ DNS + SMTP out          │ SMTP: what finds no host,",
    "│ relay mode direct; receivers: 50                                           │",
    "  │ SMTP 587, 465: log-in by TLS        │ POP3 110, 995: log-in by TLS",
  ],
  buffer: [
    "│ Internet                         │◀───▶│ Buffer host                       │",
    "└──────────────────────────────────┘     └─┬────────────────▲────────────────┘",
    "  ╳ smtp 25:       ╳ nothing goes          │ smtp 25: from  │ SMTP, all mail",
    "│ relay mode buffer, outbound dump; receivers: 1                             │",
  ],
  intranet: [
    "│ Intranet             │  │ Internet             │  │ Listed hosts           │",
    "└─┬────────────────────┘  └──────────────────────┘  └─▲──────────────────────┘",
    "  │ smtp 25: from           ╳ no DNS, no              │ SMTP: their mail",
    "│ relay mode intranet; receivers: 50                                         │",
    "│ PC clients                                │  │ Listed clients              │",
  ],
  combined: [
    "│ Internet                         │◀───▶│ Buffer host                       │",
    "└─┬────────────────▲───────────────┘     └─┬────────────────▲────────────────┘",
    "│ relay mode combined; receivers: 50                                         │",
    "│ PC clients                         │  │ Travelling users                   │",
  ],
};

for (const example of ["direct", "buffer", "intranet", "combined"] as const) {
  e2eBare(`emsmail topology draws examples/${example}`, { core: "core" }, async () => {
    const figure = await on(example, "topology");
    const lines = figure.split("\n");
    for (const line of DRAWN[example]) {
      assertEquals(lines.includes(line), true, `${line}\nis not in\n${figure}`);
    }
    for (const line of lines) assertEquals(line.length <= 80, true, line);
    // Without a terminal of its own kind: the same words in ASCII.
    const ascii = await on(example, "topology", "--ascii");
    // deno-lint-ignore no-control-regex -- everything but ASCII
    assertEquals(/[^\x00-\x7f]/.test(ascii), false, ascii);
    assertStringIncludes(ascii, `relay mode ${example}`);
    // The data has all that is drawn, and all that is in the data is drawn.
    const view = JSON.parse(await on(example, "topology", "--json")) as TopologyView;
    assertEquals(view.mode, example);
    for (const { title, links } of [...view.above, ...view.below]) {
      assertStringIncludes(words(figure), title);
      for (const link of links) {
        for (const word of link.words.split(" ")) assertStringIncludes(words(figure), word);
      }
    }
  });
}

e2eBare("emsmail route follows each example's figure", { core: "core" }, async () => {
  const outside = "friend@elsewhere.example";
  const direct = (await routeOf("direct", outside)).ways[0]!;
  assertEquals(direct.nextHop, { kind: "mx", domain: "elsewhere.example" });
  assertEquals([direct.backup!.when, direct.backup!.hop.kind === "host" && direct.backup!.hop.host], [
    "unreachable",
    "mail.isp.example",
  ]);

  const [buffer] = (await routeOf("buffer", outside)).ways;
  assertEquals(buffer!.nextHop, {
    kind: "host",
    host: "unix.example.org",
    port: 25,
    tls: "opportunistic",
    user: null,
    duty: "passes-on",
  });
  assertEquals(buffer!.backup, null);

  const intranet = await routeOf("intranet", outside);
  assertEquals([intranet.channel, intranet.ways], ["refused", []]);
  assertEquals(
    intranet.refusal,
    "550 5.7.1 friend@elsewhere.example is outside: this system is on an intranet and delivers only to " +
      "works.example, plant.works.example",
  );
  const [plant] = (await routeOf("intranet", "line1@plant.works.example")).ways;
  assertEquals([plant!.rule, plant!.nextHop.kind === "host" && plant!.nextHop.host], [
    "relay.routes[0]",
    "10.1.20.25",
  ]);

  const [combined] = (await routeOf("combined", outside)).ways;
  assertEquals(combined!.nextHop, { kind: "mx", domain: "elsewhere.example" });
  assertEquals(
    [combined!.backup!.when, combined!.backup!.hop.kind === "host" && combined!.backup!.hop.host],
    [
      "unreachable",
      "unix.example.org",
    ],
  );

  for (const example of ["direct", "buffer", "combined"] as const) {
    const ours = await routeOf(example, "postmaster@example.org");
    assertEquals([ours.channel, ours.rule, ours.ways], ["local", "postmaster", []]);
  }
});

e2eBare(
  "emsmail route says in words what it found, and that nobody is known yet",
  { core: "core" },
  async () => {
    const text = (await on("combined", "route", "friend@elsewhere.example")).replace(/\s+/g, " ");
    for (
      const part of [
        "Rule combined",
        "Next hop the hosts that DNS names for elsewhere.example",
        "Backup unix.example.org, port 25, TLS: opportunistic",
        "Only those who have logged in",
        "There is no mail system in",
      ]
    ) assertStringIncludes(text, part);
  },
);

interface Wrong {
  readonly name: string;
  readonly text: string;
  /** Each line of the complaint, without the file's name. */
  readonly says: readonly string[];
}

const WRONG: readonly Wrong[] = [
  {
    name: "mode buffer without a buffer host",
    text: "hostname: mail.example.org\ndomains: [example.org]\nrelay:\n  mode: buffer\n",
    says: [
      "4: relay.mode buffer needs relay.buffer.host: the name or address of the host that takes this system's mail",
      "4: relay.mode buffer needs relay.buffer.acceptFrom: the addresses that the buffer host sends from, since nobody " +
      "else may use the smtp listeners",
    ],
  },
  {
    name: "mode combined without one",
    text: "relay: { mode: combined }\n",
    says: [
      "1: relay.mode combined needs relay.buffer.host: the name or address of the host that takes this system's mail",
    ],
  },
  {
    name: "a route that leads back",
    text: 'hostname: mail.example.org\nlisten:\n  smtp: ["127.0.0.1:2525"]\nrelay:\n  routes:\n' +
      "    - { domain: plant.example.org, host: 127.0.0.1, port: 2525 }\n",
    says: [
      "6: relay.routes[0] field 'host' leads to this system itself (127.0.0.1, port 2525): mail would go round in circles; " +
      "name another host or port",
    ],
  },
  {
    name: "a password that would be said in the clear",
    text:
      "relay:\n  mode: direct\n  fallback:\n    host: mail.isp.example\n    user: office\n    passwordFile: /etc/p\n",
    says: [
      "5: relay.fallback.user needs tls: verified, implicit or required beside it: with tls: opportunistic the password " +
      "could be sent in the clear",
    ],
  },
];

e2eBare(
  "a configuration that makes no topology is refused with its file and line",
  { core: "core" },
  async () => {
    const folder = await Deno.makeTempDir({ prefix: "emsmail-e2e-" });
    try {
      for (const { name, text, says } of WRONG) {
        const config = `${folder}/wrong.yaml`;
        await Deno.writeTextFile(config, text);
        for (const command of [["topology"], ["topology", "--json"], ["route", "a@b.example"]]) {
          const ran = await runProgram([
            ...emsmail(),
            ...command,
            "--config",
            config,
            ...dataOf(command[0]!),
          ]);
          assertEquals([ran.code, ran.stdout], [1, ""], `${name}: ${command.join(" ")}\n${ran.stderr}`);
          const lines = ran.stderr.trimEnd().split("\n").slice(1).map((line) => line.trim());
          assertEquals(lines, says.map((line) => `${config}:${line}`), name);
        }
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);
