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
