import { assertEquals } from "@std/assert";
import {
  applyOverrides,
  type Config,
  formatProblem,
  type OptionValues,
  parseConfig,
} from "../../../src/config/config.ts";

function parsed(lines: readonly string[]): Config | string[] {
  const result = parseConfig(lines.join("\n"), { file: "emsmail.yaml", machineName: "mail.example.org" });
  return "config" in result ? result.config : result.problems.map(formatProblem);
}

function problems(...lines: string[]): string[] {
  const result = parsed(lines);
  if (!Array.isArray(result)) throw new Error(`taken: ${lines.join("\n")}`);
  return result;
}

function config(...lines: string[]): Config {
  const result = parsed(lines);
  if (Array.isArray(result)) throw new Error(result.join("\n"));
  return result;
}

Deno.test("parseConfig() wants to know the buffer host where there is one", () => {
  const needsHost = "needs relay.buffer.host: the name or address of the host that takes this system's mail";
  assertEquals(problems("receivers: 5", "relay:", "  mode: combined"), [
    `emsmail.yaml:3: relay.mode combined ${needsHost}`,
  ]);
  assertEquals(problems("relay:", "  mode: buffer"), [
    `emsmail.yaml:2: relay.mode buffer ${needsHost}`,
    "emsmail.yaml:2: relay.mode buffer needs relay.buffer.acceptFrom: the addresses that the buffer host sends from, " +
    "since nobody else may use the smtp listeners",
  ]);
  const host = "  buffer: { host: unix.example.org";
  assertEquals(problems("relay:", "  mode: buffer", `${host} }`).length, 1);
  config("relay:", "  mode: combined", `${host} }`);
  config("relay:", "  mode: buffer", `${host}, acceptFrom: 192.0.2.10 }`);
  // direct-first only means something in mode buffer, and does no harm elsewhere.
  config("relay: { mode: direct, outbound: direct-first }");
});

Deno.test("parseConfig() wants a log-in whole, and never in the clear", () => {
  assertEquals(
    problems("relay:", "  fallback:", "    host: isp.example", "    tls: required", "    user: office"),
    [
      "emsmail.yaml:5: relay.fallback.user needs passwordFile beside it: give both, or neither for no log-in",
    ],
  );
  assertEquals(
    problems("relay:", "  buffer:", "    host: unix.example", "    passwordFile: /p"),
    [
      "emsmail.yaml:4: relay.buffer.passwordFile needs user beside it: give both, or neither for no log-in",
    ],
  );
  assertEquals(
    problems(
      "relay:",
      "  routes:",
      "    - { domain: a.example, host: b.example }",
      "    - domain: c.example",
      "      host: d.example",
      "      user: u",
      "      passwordFile: /p",
      "  senders:",
      "    - { sender: e.example, host: f.example, tls: off, user: u, passwordFile: /p }",
    ),
    [
      "emsmail.yaml:4: relay.routes[1] field 'user' needs tls: verified, implicit or required beside it: " +
      "with tls: opportunistic the password could be sent in the clear",
      "emsmail.yaml:9: relay.senders[0] field 'user' needs tls: verified, implicit or required beside it: " +
      "with tls: off the password could be sent in the clear",
    ],
  );
  for (const tls of ["required", "verified", "implicit"]) {
    config(`relay: { fallback: { host: isp.example, tls: ${tls}, user: u, passwordFile: /p } }`);
  }
  assertEquals(
    problems("relay:", "  fallback:", "    tls: verified", "    user: u", "    passwordFile: /p"),
    [
      "emsmail.yaml:4: relay.fallback.user needs a host beside it to log in at",
    ],
  );
});

Deno.test("parseConfig() refuses a host that is obviously this system itself", () => {
  const circles = "mail would go round in circles; name another host or port";
  assertEquals(problems("relay:", "  fallback:", "    host: MAIL.example.org"), [
    `emsmail.yaml:3: relay.fallback.host leads to this system itself (mail.example.org, port 25): ${circles}`,
  ]);
  assertEquals(
    problems(
      "listen: { smtp: 2525, submission: [] }",
      "relay:",
      "  routes:",
      "    - { domain: a.example, host: localhost, port: 2525 }",
    ),
    [
      "emsmail.yaml:4: relay.routes[0] field 'host' leads to this system itself (localhost, port 2525): " +
      circles,
    ],
  );
  assertEquals(
    problems(
      'listen: { smtp: "192.0.2.1:25" }',
      "relay:",
      "  buffer: { host: 192.0.2.1 }",
    ).length,
    1,
  );
  // Another program's port on this machine, another address of it, and a port that isn't SMTP's here.
  config("listen: { smtp: 2525, submission: [] }", "relay: { fallback: { host: localhost } }");
  config('listen: { smtp: "192.0.2.1:25" }', "relay: { fallback: { host: 192.0.2.2 } }");
  config("relay: { fallback: { host: mail.example.org, port: 10025 } }");
  config("relay: { fallback: { host: localhost } }");
  config("listen: { smtp: 0 }", "relay: { fallback: { host: localhost } }");
});

Deno.test("applyOverrides() checks options together with the file's settings", () => {
  const base = config("relay: { fallback: { host: isp.example } }");
  const given = (values: OptionValues) => {
    const result = applyOverrides(base, values);
    return "config" in result ? [] : result.problems.map(formatProblem);
  };
  assertEquals(given({ relayMode: "combined" }), [
    "--relay-mode combined needs relay.buffer.host: the name or address of the host that takes this system's mail",
  ]);
  assertEquals(given({ relayMode: "buffer" }).length, 2);
  assertEquals(given({ relayMode: "direct" }), []);
  assertEquals(given({ hostname: "isp.example" }), [
    "--hostname doesn't fit: relay.fallback.host leads to this system itself (isp.example, port 25): " +
    "mail would go round in circles; name another host or port",
  ]);
});

Deno.test("parseConfig() wants gateways.default to be a gateway", () => {
  config("gateways: { default: smtp }");
  config("gateways:", "  default: MHS", "  filedrop: [{ name: mhs, out: /o }]");
  assertEquals(problems("gateways:", "  default: mhs"), [
    "emsmail.yaml:2: gateways.default is 'mhs', which no gateway is called: use smtp, or add a gateway of that name " +
    "under gateways.filedrop or gateways.pipe",
  ]);
  assertEquals(problems("gateways:", "  default: mhs", "  pipe: [{ name: fax, command: /f }]"), [
    "emsmail.yaml:2: gateways.default is 'mhs', which no gateway is called: use smtp or fax",
  ]);
});

Deno.test("parseConfig() wants each gateway's name and domain to be its own", () => {
  const gateways = (...lines: string[]) => ["domains: [example.org]", "gateways:", ...lines];
  assertEquals(problems(...gateways("  pipe:", "    - { name: SMTP, command: /f }")), [
    "emsmail.yaml:4: gateways.pipe[0] field 'name' is smtp, the built-in gateway's name: choose another",
  ]);
  assertEquals(
    problems(...gateways(
      "  filedrop:",
      "    - { name: mhs, out: /o }",
      "  pipe:",
      "    - { name: mhs, command: /f, domain: mhs.test }",
    )),
    [
      "emsmail.yaml:6: gateways.pipe[0] field 'name' is mhs, as that of gateways.filedrop[0]: each gateway needs its own",
    ],
  );
  assertEquals(
    problems(...gateways("  filedrop:", "    - { name: mhs, out: /o, domain: example.org }")),
    [
      "emsmail.yaml:4: gateways.filedrop[0] field 'domain' (example.org) is one of this system's own domains: mail for " +
      "people here would go to the gateway; name a domain below it, or another",
    ],
  );
  assertEquals(
    problems(...gateways("  filedrop:", "    - { name: mhs, out: /o, domain: org }")).length,
    1,
  );
  assertEquals(
    problems(...gateways(
      "  filedrop:",
      "    - { name: mhs, out: /o }",
      "    - { name: fax, out: /p, domain: fax.mhs.example.org }",
      "    - { name: telex, out: /q, domain: MHS.example.org }",
    )),
    [
      "emsmail.yaml:5: gateways.filedrop[1] field 'domain' (fax.mhs.example.org) and that of gateways.filedrop[0] " +
      "(mhs.example.org) lie within each other: each gateway needs a domain that is not below another's",
      "emsmail.yaml:6: gateways.filedrop[2] field 'domain' (mhs.example.org) is also that of gateways.filedrop[0]: each " +
      "gateway needs a domain that is not below another's",
    ],
  );
  // Below our own domain is where a gateway's stands unless it says otherwise; a name that only looks below is another.
  config(
    ...gateways("  filedrop: [{ name: mhs, out: /o }, { name: fax, out: /p, domain: xmhs.example.org }]"),
  );
});

Deno.test("parseConfig() wants a file drop's folders apart", () => {
  const drops = (...lines: string[]) => ["gateways:", "  filedrop:", ...lines.map((line) => `    - ${line}`)];
  assertEquals(problems(...drops("{ name: mhs, out: /var/mhs, in: /var/./mhs/ }")), [
    "emsmail.yaml:3: gateways.filedrop[0] field 'in' is the folder /var/./mhs/, as its own field 'out': what goes out " +
    "would come in again; use two folders",
  ]);
  assertEquals(
    problems(...drops("{ name: mhs, out: /a, in: /b }", "{ name: fax, out: /b, in: /c }")),
    [
      "emsmail.yaml:3: gateways.filedrop[0] field 'in' is the folder /b, as gateways.filedrop[1] field 'out': what goes " +
      "out would come in again; use two folders",
    ],
  );
  assertEquals(
    problems(...drops("{ name: mhs, out: /a, in: /b }", "{ name: fax, out: /c, in: /b }")),
    [
      "emsmail.yaml:4: gateways.filedrop[1] field 'in' is the folder /b, as that of gateways.filedrop[0]: each needs its " +
      "own, or nobody could tell whose mail it is",
    ],
  );
  config(
    ...drops("{ name: mhs, out: /a, in: /b }", "{ name: fax, out: /c, in: /d }", "{ name: telex, out: /c }"),
  );
});

Deno.test("parseConfig() wants a pipe's program named, whatever the message", () => {
  assertEquals(problems("gateways:", "  pipe:", '    - { name: fax, command: ["{to}", -v] }'), [
    "emsmail.yaml:3: gateways.pipe[0] field 'command' begins with '{to}': which program is started may not depend on the " +
    "message; give its name first, and {to} behind it",
  ]);
  config("gateways: { pipe: [{ name: fax, command: /usr/bin/fax }] }");
  config('gateways: { pipe: [{ name: fax, command: [fax, --to, "{to}", "{from}", "{id}"] }] }');
});
