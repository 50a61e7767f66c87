/**
 * The settings of the ways out of the system: hosts that mail is given to by SMTP, and other gateways.
 *
 * @module
 */
import * as limits from "../base/limits.ts";
import { cidr, domain, duration, integer, list, oneOf, path, text } from "./kinds.ts";
import { hostName, hostTls, hostTlsWords, port, routeMatch, senderMatch } from "./network_kinds.ts";
import { optional, record, required } from "./records.ts";
import { group, setting } from "./schema.ts";

/** What a gateway is called, after the slash of `/TO /SMTP …`. */
const gatewayName = text(
  "name of letters and digits",
  "a name of up to 16 letters, digits and hyphens that begins with a letter",
  (given) => /^[a-z][a-z0-9-]{0,15}$/i.test(given) ? given.toLowerCase() : undefined,
);

const anyText = text("text", "a text", (given) => given !== "" ? given : undefined);

/** The settings of a host that mail is given to. */
function relayHost(name: string) {
  return {
    host: setting(hostName, {
      help: `The name or address of ${name}.`,
      fallbackText: "none",
      example: "mail.example.net",
    }),
    port: setting(port, { help: `The port of ${name}.`, fallback: 25, example: "587" }),
    tls: setting(hostTls, { help: hostTlsWords, fallback: "opportunistic", example: "verified" }),
    user: setting(anyText, {
      help:
        `The name to log in with at ${name}; needs passwordFile, and TLS of another kind than opportunistic or off.`,
      fallbackText: "no log-in",
      example: "office",
    }),
    passwordFile: setting(path, {
      help: "A file that holds the password and nothing else, readable by the server alone.",
      fallbackText: "no log-in",
      example: "/etc/emsmail/relay-password",
    }),
  };
}

/** `relay`. */
export const relay = group("Where mail goes.", {
  mode: setting(oneOf(["direct", "buffer", "intranet", "combined"]), {
    help:
      "The network the system lives in: direct on the Internet, behind a buffer host, on an intranet without " +
      "Internet (asks no DNS and connects to nothing outside), or combined: direct with a buffer host.",
    fallback: "intranet",
    example: "direct",
  }),
  outbound: setting(oneOf(["dump", "direct-first"]), {
    help: "In buffer mode: all outbound mail goes to the buffer host, or only what can't be sent directly.",
    fallback: "dump",
    example: "direct-first",
  }),
  buffer: group("The buffer host of the modes buffer and combined: it takes our mail, and mail for us.", {
    ...relayHost("the buffer host"),
    acceptFrom: setting(list(cidr, { name: "list of address blocks" }), {
      help:
        "The addresses the buffer host sends from; in buffer mode nobody else may use the smtp listeners.",
      fallback: [],
      example: "[192.0.2.10, 2001:db8::10]",
    }),
    receivers: setting(integer(1, 100_000), {
      help: "In buffer mode: connections of the buffer host served at a time.",
      fallback: limits.BUFFER_RECEIVERS,
      example: "4",
    }),
  }),
  fallback: group("In direct mode: the provider's mail host, for what finds no host of its own.", {
    ...relayHost("the fallback host"),
  }),
  unreachableAfter: setting(duration(60_000), {
    help:
      "How long a recipient's hosts may stay unreachable before the fallback or buffer host gets the mail.",
    fallbackText: "queue.expire",
    example: "8h",
  }),
  routes: setting(
    list(
      record("a route", {
        domain: required(routeMatch),
        host: required(hostName),
        port: optional(port, 25),
        tls: optional(hostTls, "opportunistic"),
        user: optional(anyText),
        passwordFile: optional(path),
        accept: optional(oneOf(["users", "anyone"]), "users"),
      }),
      { name: "list of routes" },
    ),
    {
      help:
        "Domains whose mail goes to a host of your choice, first in every mode; `.example.org` is every " +
        "subdomain, `accept: anyone` takes mail for it from strangers too.",
      fallback: [],
      example: "[{ domain: plant.example.org, host: 10.0.0.5 }]",
    },
  ),
  senders: setting(
    list(
      record("a sender's route", {
        sender: required(senderMatch),
        host: required(hostName),
        port: optional(port, 25),
        tls: optional(hostTls, "opportunistic"),
        user: optional(anyText),
        passwordFile: optional(path),
      }),
      { name: "list of senders' routes" },
    ),
    {
      help: "Senders whose outbound mail goes to a host of your choice, after relay.routes.",
      fallback: [],
      example: "[{ sender: news@example.org, host: bulk.example.net, port: 587, tls: verified }]",
    },
  ),
  clients: setting(list(cidr, { name: "list of address blocks" }), {
    help: "Clients that may send to the outside without logging in, by the smtp listeners.",
    fallback: [],
    example: "[10.1.0.0/16]",
  }),
  forwarding: setting(oneOf(["srs", "keep"]), {
    help:
      "The sender of mail that an alias forwards outside: rewritten to an address here (SRS), so that the " +
      "sender's SPF doesn't speak against it, or kept.",
    fallback: "srs",
    example: "keep",
  }),
});

/** `gateways`. */
export const gateways = group("Ways out of the system beside SMTP, and which of all a plain address means.", {
  default: setting(gatewayName, {
    help: "The gateway of an address that is written without one, as in `/TO bobl@example.com`.",
    fallback: "smtp",
    example: "mhs",
  }),
  filedrop: setting(
    list(
      record("a file drop", {
        name: required(gatewayName),
        domain: optional(domain),
        out: required(path),
        in: optional(path),
        poll: optional(duration(1000), limits.DROP_POLL_MS),
        attachments: optional(oneOf(["apart", "whole"]), "apart"),
        accept: optional(oneOf(["users", "anyone"]), "users"),
      }),
      { name: "list of file drops" },
    ),
    {
      help:
        "Systems joined by folders: each message becomes two files in `out`, and those put into `in` are taken. " +
        "`domain` is what the system's addresses end in here (NAME.the first of domains).",
      fallback: [],
      example: "[{ name: mhs, out: /var/spool/mhs/out, in: /var/spool/mhs/in }]",
    },
  ),
  pipe: setting(
    list(
      record("a pipe", {
        name: required(gatewayName),
        domain: optional(domain),
        command: required(list(anyText, { name: "list of words", atLeast: 1 })),
        timeout: optional(duration(1000), limits.PIPE_MS),
        attachments: optional(oneOf(["apart", "whole"]), "apart"),
        accept: optional(oneOf(["users", "anyone"]), "users"),
      }),
      { name: "list of pipes" },
    ),
    {
      help:
        "Commands given each message on standard input, without a shell; {to}, {from} and {id} in a word are replaced.",
      fallback: [],
      example: '[{ name: fax, command: [/usr/local/bin/send-fax, "{to}"] }]',
    },
  ),
});
