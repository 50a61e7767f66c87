import { assertEquals } from "@std/assert";
import { FIGURE_COLUMNS } from "../../../src/admin/figure.ts";
import { describeTopology, drawTopology } from "../../../src/admin/topology.ts";
import { type Config, type ConfigPart, defaultConfig } from "../../../src/config/config.ts";

const BUFFER = {
  host: "unix.example.org",
  acceptFrom: [{ family: "ipv4", address: "192.0.2.10", prefixBits: 32 }],
} as const;
const OFFICE = [{ family: "ipv4", address: "10.1.0.0", prefixBits: 16 }] as const;
const HOST = { port: 25, tls: "off", user: undefined, passwordFile: undefined } as const;
const ROUTES = [{ ...HOST, domain: "plant.example", host: "10.0.0.5", accept: "users" }] as const;

function config(relay: ConfigPart["relay"], more: ConfigPart = {}): Config {
  const domains = ["example.org", "example.com"];
  return defaultConfig({
    hostname: "mail.example.org",
    domains,
    ...relay === undefined ? {} : { relay },
    ...more,
  });
}

function draws(relay: ConfigPart["relay"], figure: string): void {
  assertEquals(drawTopology(config(relay), "unicode").join("\n"), figure.replace(/^\n|\n$/g, ""));
}

Deno.test("drawTopology() draws mode direct (the seed's Figure 1)", () => {
  draws(
    { mode: "direct", fallback: { host: "mail.isp.example" } },
    `
┌───────────────────────────────────────────┐  ┌─────────────────────────────┐
│ Internet                                  │  │ Fallback host               │
│ other mail systems                        │  │ mail.isp.example            │
└─┬────────────────────▲────────────────────┘  └─▲───────────────────────────┘
  │ smtp 25: from      │ DNS + SMTP out          │ SMTP: what finds no host,
  │ anyone             │                         │ or none that answers
┌─▼────────────────────┴─────────────────────────┴───────────────────────────┐
│ EMSmail  mail.example.org                                                  │
│ keeps the mail of example.org, example.com                                 │
│ relay mode direct; receivers: 50                                           │
└─▲─────────────────────────────────────┬────────────────────────────────────┘
  │ SMTP 587, 465: log-in by TLS        │ POP3 110, 995: log-in by TLS
┌─┴─────────────────────────────────────▼────────────────────────────────────┐
│ PC clients                                                                 │
│ any mail program that speaks SMTP and POP3                                 │
└────────────────────────────────────────────────────────────────────────────┘
Where ports below 1024 can't be had:
  smtp 2525, submission 2587, submissions 2465, pop3 2110, pop3s 2995.
`,
  );
});

Deno.test("drawTopology() draws mode buffer (Figure 2), all outbound mail dumped on the buffer host", () => {
  draws(
    { mode: "buffer", buffer: BUFFER },
    `
┌──────────────────────────────────┐     ┌───────────────────────────────────┐
│ Internet                         │◀───▶│ Buffer host                       │
│ other mail systems               │     │ unix.example.org                  │
└──────────────────────────────────┘     └─┬────────────────▲────────────────┘
  ╳ smtp 25:       ╳ nothing goes          │ smtp 25: from  │ SMTP, all mail
    closed to        out directly          │ 192.0.2.10     │
    strangers                              │ only           │
    (554)                                  │                │
┌──────────────────────────────────────────▼────────────────┴────────────────┐
│ EMSmail  mail.example.org                                                  │
│ keeps the mail of example.org, example.com                                 │
│ relay mode buffer, outbound dump; receivers: 1                             │
└─▲─────────────────────────────────────┬────────────────────────────────────┘
  │ SMTP 587, 465: log-in by TLS        │ POP3 110, 995: log-in by TLS
┌─┴─────────────────────────────────────▼────────────────────────────────────┐
│ PC clients                                                                 │
│ any mail program that speaks SMTP and POP3                                 │
└────────────────────────────────────────────────────────────────────────────┘
Where ports below 1024 can't be had:
  smtp 2525, submission 2587, submissions 2465, pop3 2110, pop3s 2995.
`,
  );
});

Deno.test("drawTopology() draws mode buffer (Figure 2) with outbound mail sent directly first", () => {
  draws(
    { mode: "buffer", outbound: "direct-first", buffer: BUFFER },
    `
┌──────────────────────────────────┐     ┌───────────────────────────────────┐
│ Internet                         │◀───▶│ Buffer host                       │
│ other mail systems               │     │ unix.example.org                  │
└──────────────────▲───────────────┘     └─┬────────────────▲────────────────┘
  ╳ smtp 25:       │ DNS + SMTP            │ smtp 25: from  │ SMTP: what DNS
    closed to      │ out, tried            │ 192.0.2.10     │ names no host
    strangers      │ first                 │ only           │ for
    (554)          │                       │                │
┌──────────────────┴───────────────────────▼────────────────┴────────────────┐
│ EMSmail  mail.example.org                                                  │
│ keeps the mail of example.org, example.com                                 │
│ relay mode buffer, outbound direct-first; receivers: 1                     │
└─▲─────────────────────────────────────┬────────────────────────────────────┘
  │ SMTP 587, 465: log-in by TLS        │ POP3 110, 995: log-in by TLS
┌─┴─────────────────────────────────────▼────────────────────────────────────┐
│ PC clients                                                                 │
│ any mail program that speaks SMTP and POP3                                 │
└────────────────────────────────────────────────────────────────────────────┘
Where ports below 1024 can't be had:
  smtp 2525, submission 2587, submissions 2465, pop3 2110, pop3s 2995.
`,
  );
});

Deno.test("drawTopology() draws mode intranet (Figure 3)", () => {
  draws(
    { mode: "intranet", routes: ROUTES },
    `
┌──────────────────────┐  ┌──────────────────────┐  ┌────────────────────────┐
│ Intranet             │  │ Internet             │  │ Listed hosts           │
│ other hosts and      │  │ not there, or not    │  │ plant.example:         │
│ devices              │  │ used                 │  │ 10.0.0.5               │
└─┬────────────────────┘  └──────────────────────┘  └─▲──────────────────────┘
  │ smtp 25: from           ╳ no DNS, no              │ SMTP: their mail
  │ anyone                    connections; mail       │
  │                           for outside is          │
  │                           refused (550)           │
┌─▼───────────────────────────────────────────────────┴──────────────────────┐
│ EMSmail  mail.example.org                                                  │
│ keeps the mail of example.org, example.com                                 │
│ relay mode intranet; receivers: 50                                         │
└─▲─────────────────────────────────────┬────────────────────────────────────┘
  │ SMTP 587, 465: log-in by TLS        │ POP3 110, 995: log-in by TLS
┌─┴─────────────────────────────────────▼────────────────────────────────────┐
│ PC clients                                                                 │
│ any mail program that speaks SMTP and POP3                                 │
└────────────────────────────────────────────────────────────────────────────┘
Where ports below 1024 can't be had:
  smtp 2525, submission 2587, submissions 2465, pop3 2110, pop3s 2995.
`,
  );
});

Deno.test("drawTopology() draws mode combined (Figure 4)", () => {
  draws(
    { mode: "combined", buffer: BUFFER, routes: ROUTES, clients: OFFICE },
    `
┌───────────────────────┐     ┌───────────────────────┐  ┌───────────────────┐
│ Internet              │◀───▶│ Buffer host           │  │ Listed hosts      │
│ other mail systems    │     │ unix.example.org      │  │ plant.example:    │
│                       │     │                       │  │ 10.0.0.5          │
└─┬──────────▲──────────┘     └─┬──────────▲──────────┘  └─▲─────────────────┘
  │ smtp 25: │ DNS +            │ smtp 25: │ SMTP:         │ SMTP: their mail
  │ from     │ SMTP             │ what it  │ what          │
  │ anyone   │ out,             │ kept for │ can't go      │
  │          │ tried            │ us       │ directly      │
  │          │ first            │          │               │
┌─▼──────────┴──────────────────▼──────────┴───────────────┴─────────────────┐
│ EMSmail  mail.example.org                                                  │
│ keeps the mail of example.org, example.com                                 │
│ relay mode combined; receivers: 50                                         │
└─▲───────────┬───────────────▲───────────┬───────────────▲──────────────────┘
  │ SMTP 587, │ POP3 110,     │ SMTP 587, │ POP3 110,     │ smtp 25: no
  │ 465:      │ 995:          │ 465:      │ 995:          │ log-in
  │ log-in by │ log-in by     │ log-in by │ log-in by     │
  │ TLS       │ TLS           │ TLS       │ TLS           │
┌─┴───────────▼──────────┐  ┌─┴───────────▼──────────┐  ┌─┴──────────────────┐
│ PC clients             │  │ Travelling users       │  │ Listed clients     │
│ any mail program that  │  │ over the Internet      │  │ 10.1.0.0/16        │
│ speaks SMTP and POP3   │  │                        │  │                    │
└────────────────────────┘  └────────────────────────┘  └────────────────────┘
Where ports below 1024 can't be had:
  smtp 2525, submission 2587, submissions 2465, pop3 2110, pop3s 2995.
`,
  );
});

Deno.test("drawTopology() draws with ASCII alone where that is asked for, and says what is turned off", () => {
  const quiet = config({ mode: "intranet" }, {
    listen: {
      smtp: [],
      submission: [],
      submissions: [],
      pop3: [{ host: "127.0.0.1", port: 2110 }],
      pop3s: [],
    },
    pop3: { plainLogin: "always" },
  });
  const ascii = drawTopology(quiet, "ascii");
  // deno-lint-ignore no-control-regex -- U+0000 to U+007F is what ASCII is
  assertEquals(ascii.every((line) => /^[\x00-\x7f]*$/.test(line)), true);
  assertEquals(
    ascii.join("\n"),
    `
+------------------------------------+  +------------------------------------+
| Intranet                           |  | Internet                           |
| other hosts and devices            |  | not there, or not used             |
+------------------------------------+  +------------------------------------+
  x smtp is turned off                    x no DNS, no connections; mail for
                                            outside is refused (550)
+----------------------------------------------------------------------------+
| EMSmail  mail.example.org                                                  |
| keeps the mail of example.org, example.com                                 |
| relay mode intranet; receivers: 50                                         |
+---------------------------------------+------------------------------------+
  x submission is turned off            | POP3 127.0.0.1:2110: log-in, also
                                        | without TLS
+---------------------------------------v------------------------------------+
| PC clients                                                                 |
| any mail program that speaks SMTP and POP3                                 |
+----------------------------------------------------------------------------+
`.trim(),
  );
});

Deno.test("drawTopology() keeps to its columns and counts what is too much", () => {
  const name = "a-rather-long-name-for-a-host-in-some-cellar.department.example";
  const many = Array.from({ length: 9 }, (_, i) => ({ ...ROUTES[0], domain: `d${i}.${name}`, host: name }));
  const clients = Array.from({ length: 9 }, (_, i) => ({ ...OFFICE[0], address: `10.${i}.0.0` }));
  const senders = [{ ...HOST, sender: `news@${name}`, host: name }];
  for (const mode of ["direct", "buffer", "intranet", "combined"] as const) {
    const crowded = config({ mode, buffer: { ...BUFFER, host: name }, routes: many, clients, senders }, {
      domains: many.map(({ domain }) => domain),
      listen: { smtp: [{ host: "2001:db8:1111:2222:3333:4444:5555:6666", port: 25 }] },
    });
    for (const charset of ["unicode", "ascii"] as const) {
      const lines = drawTopology(crowded, charset);
      assertEquals(lines.filter((line) => [...line].length > FIGURE_COLUMNS), []);
      assertEquals(lines.join("").includes("more"), true);
    }
  }
});

const DROP = {
  name: "mhs",
  domain: undefined,
  out: "/secret/out",
  in: "/secret/in",
  poll: 1000,
  attachments: "apart",
  accept: "users",
} as const;
const PIPE = {
  name: "fax",
  domain: "fax.example",
  command: ["secret-fax"],
  timeout: 1000,
  attachments: "whole",
  accept: "anyone",
} as const;

Deno.test("drawTopology() draws gateways, with an arrow for each direction they take", () => {
  const both = config({ mode: "direct" }, { gateways: { filedrop: [DROP], pipe: [PIPE] } });
  assertEquals(
    drawTopology(both, "unicode").slice(0, 11).join("\n"),
    `
┌───────────────────────────────────────────┐  ┌─────────────────────────────┐
│ Internet                                  │  │ Gateways                    │
│ other mail systems                        │  │ mhs (file drop) for         │
│                                           │  │ mhs.example.org             │
│                                           │  │ fax (pipe) for fax.example  │
└─┬────────────────────▲────────────────────┘  └─▲───────────────────────────┘
  │ smtp 25: from      │ DNS + SMTP out          │ files, commands: their
  │ anyone             │                         │ mail
┌─▼────────────────────┴─────────────────────────▼───────────────────────────┐
│ EMSmail  mail.example.org                                                  │
│ keeps the mail of example.org, example.com                                 │
`.trim(),
  );
  const out = config({ mode: "direct" }, { gateways: { pipe: [PIPE] } });
  assertEquals(
    drawTopology(out, "ascii").slice(3, 7).join("\n"),
    `
+-+--------------------^--------------------+  +-^---------------------------+
  | smtp 25: from      | DNS + SMTP out          | commands: their mail
  | anyone             |                         |
+-v--------------------+-------------------------+---------------------------+
`.trim(),
  );
});

Deno.test("describeTopology() shows gateways in every mode, however full the figure is, and no file of theirs", () => {
  const gateways = { filedrop: [DROP], pipe: [PIPE] };
  const lines = ["mhs (file drop) for mhs.example.org", "fax (pipe) for fax.example"];
  for (const mode of ["direct", "buffer", "intranet", "combined"] as const) {
    for (const routes of [[], ROUTES]) {
      for (const clients of [[], OFFICE]) {
        const crowded = config({ mode, buffer: BUFFER, routes, clients }, { gateways });
        const view = describeTopology(crowded);
        const boxes = [...view.above, ...view.below].filter(({ title }) => title === "Gateways");
        const shown = boxes.length === 1
          ? boxes[0]!.lines
          : view.middle.lines.at(-1)!.replace("gateways: ", "").split("; ");
        assertEquals(shown, lines, mode);
        assertEquals(view.above.length <= 3 && view.below.length <= 3, true);
        assertEquals(JSON.stringify(view).includes("secret"), false);
        assertEquals(
          drawTopology(crowded, "unicode").filter((line) => [...line].length > FIGURE_COLUMNS),
          [],
        );
      }
    }
  }
});

Deno.test("describeTopology() shows no secret and no file name", () => {
  const login = { tls: "verified", user: "office", passwordFile: "/etc/secret" } as const;
  const view = describeTopology(config({
    mode: "combined",
    buffer: { ...BUFFER, ...login },
    routes: [{ ...ROUTES[0], ...login }],
  }));
  assertEquals(/secret|office/.test(JSON.stringify(view)), false);
  assertEquals(view.mode, "combined");
});
