/**
 * Every setting there is, declared once: its type, default, checks, help and example all come from here.
 *
 * @module
 */
import * as limits from "../base/limits.ts";
import {
  accountName,
  days,
  domain,
  duration,
  integer,
  list,
  listenAddress,
  octets,
  oneOf,
  orWord,
  path,
  text,
  yesNo,
} from "./kinds.ts";
import { hostTls, routeMatch, serverAddress } from "./network_kinds.ts";
import { record, required } from "./records.ts";
import { group, setting } from "./schema.ts";
import { gateways, relay } from "./way_settings.ts";

const listeners = list(listenAddress, { name: "list of addresses and ports" });

const listen = (help: string, ports: { readonly standard: number; readonly high: number }) =>
  setting(listeners, {
    help: `${help} An empty list turns it off.`,
    example: `["*:${ports.standard}", "127.0.0.1:${ports.high}"]`,
    fallbackText:
      `port ${ports.standard} on every address, or ${ports.high} where ports below 1024 can't be had`,
  });

const separator = text(
  "one character, or nothing",
  'one of !#$%&\'*+-/=?^_`{|}~ (quoted), or "" for none',
  (given) => /^[!#$%&'*+\-/=?^_`{|}~]?$/.test(given) ? given : undefined,
);

export const SETTINGS = group("EMSmail's settings.", {
  hostname: setting(domain, {
    help: "The name this server gives itself in greetings, Received fields and its certificate.",
    fallback: "localhost",
    fallbackText: "the machine's name",
    example: "mail.example.org",
  }),
  domains: setting(list(domain, { name: "list of domain names", atLeast: 1 }), {
    help: "The domains whose mail is kept here; the first completes names written without one.",
    fallback: ["localhost"],
    example: "[example.org, example.com]",
  }),
  data: setting(path, {
    help:
      "The folder that holds mail, accounts and the certificate; relative to where the program is started.",
    fallback: "./emsmail-data",
    example: "/var/lib/emsmail",
  }),
  postmaster: setting(accountName, {
    help: "The account that gets mail for postmaster (RFC 5321 4.5.1).",
    fallbackText: "the first account",
    example: "alice",
  }),
  receivers: setting(integer(1, 100_000), {
    help: "SMTP connections served at a time; the next one is told to try again later.",
    fallback: limits.RECEIVERS,
    example: "200",
  }),
  receiversPerClient: setting(integer(1, 100_000), {
    help: "SMTP connections served at a time for one client address.",
    fallback: limits.RECEIVERS_PER_CLIENT,
    example: "50",
  }),
  threads: setting(orWord("auto", integer(0, 16)), {
    help:
      "Threads that serve clients, beside one that writes; 0 does everything in one. auto suits the machine.",
    fallback: "auto",
    example: "2",
  }),
  passthru: setting(yesNo, {
    help:
      "Whether messages may pass through whole: to the outside, and to accounts with POP3 access P. Otherwise each " +
      "attachment becomes a message of its own.",
    fallback: true,
    example: "no",
  }),
  gateways,
  report: group("Reports attached to mail.", {
    render: setting(oneOf(["text", "pdf"]), {
      help: "What a report with printer's carriage control is delivered as.",
      fallback: "text",
      example: "pdf",
    }),
  }),
  relay,
  queue: group("Mail on its way out.", {
    retry: setting(list(duration(1000), { name: "list of durations", atLeast: 1 }), {
      help: "How long to wait after each failed try; the last one counts for all that follow.",
      fallback: limits.RETRY_MS,
      example: "[5m, 15m, 30m, 1h, 2h, 4h]",
    }),
    expire: setting(duration(60_000), {
      help:
        "How long delivery is tried before the message goes back to its sender (RFC 5321 4.5.4.1 asks for 4 or 5 days).",
      fallback: limits.QUEUE_EXPIRE_MS,
      example: "3d",
    }),
    delayNotice: setting(duration(), {
      help: "When a sender is told, once, that a message is late; 0s for never.",
      fallback: limits.DELAY_NOTICE_MS,
      example: "1d",
    }),
    connectionsPerHost: setting(integer(1, 1000), {
      help: "Connections to one destination at a time.",
      fallback: limits.CONNECTIONS_PER_HOST,
      example: "4",
    }),
    connections: setting(integer(1, 10_000), {
      help: "Connections to all destinations together at a time.",
      fallback: limits.CONNECTIONS_OUT,
      example: "50",
    }),
    recipients: setting(integer(1, 100_000), {
      help: "Recipients in one transaction (RFC 5321 4.5.3.1.8 has every server take 100).",
      fallback: limits.RECIPIENTS_OUT,
      example: "50",
    }),
    retired: setting(duration(), {
      help: "How long the dialogue of each try is kept after its message has left the queue.",
      fallback: limits.RETIRED_MS,
      example: "14d",
    }),
  }),
  dns: group("Asking for other systems' addresses.", {
    servers: setting(list(serverAddress, { name: "list of addresses and ports" }), {
      help:
        "The resolvers asked. One on this machine (127.0.0.1 or ::1) that validates DNSSEC makes DANE work.",
      fallback: [],
      fallbackText: "the machine's own, from /etc/resolv.conf",
      example: '["127.0.0.1:53", "192.0.2.53:53"]',
    }),
    timeout: setting(duration(100), {
      help: "How long one question may take before the next server is asked.",
      fallback: limits.DNS_TIMEOUT_MS,
      example: "5s",
    }),
  }),
  listen: group("Where clients connect.", {
    smtp: listen("Mail from other systems and devices.", { standard: 25, high: 2525 }),
    submission: listen("Mail from users' programs, with STARTTLS (RFC 6409).", { standard: 587, high: 2587 }),
    submissions: listen("Mail from users' programs, in TLS from the start (RFC 8314).", {
      standard: 465,
      high: 2465,
    }),
    pop3: listen("Fetching mail, with STLS.", { standard: 110, high: 2110 }),
    pop3s: listen("Fetching mail, in TLS from the start.", { standard: 995, high: 2995 }),
  }),
  tls: group("Certificates and encryption.", {
    certFile: setting(path, {
      help: "The certificate in PEM, followed by those between it and its authority.",
      fallbackText: "a self-signed certificate, made at the first start and kept",
      example: "/etc/emsmail/cert.pem",
    }),
    keyFile: setting(path, {
      help: "The certificate's private key in PEM, without passphrase.",
      fallbackText: "the self-signed certificate's",
      example: "/etc/emsmail/key.pem",
    }),
    minVersion: setting(oneOf(["1.2", "1.3"]), {
      help: "The oldest TLS version accepted.",
      fallback: "1.2",
      example: '"1.3"',
    }),
    caFile: setting(path, {
      help: "More certificate authorities, in PEM, to trust when this system connects to others.",
      fallbackText: "those that came with the program",
      example: "/etc/emsmail/office-ca.pem",
    }),
    outbound: setting(
      list(
        record("a domain's rule", { domain: required(routeMatch), tls: required(hostTls) }),
        { name: "list of domains' rules" },
      ),
      {
        help: "TLS for mail to these domains, in place of what they publish by MTA-STS and DANE.",
        fallback: [],
        example: "[{ domain: bank.example, tls: verified }]",
      },
    ),
    mtaSts: setting(yesNo, {
      help: "Whether other domains' MTA-STS policies (RFC 8461) are fetched and followed.",
      fallback: true,
      example: "no",
    }),
    dane: setting(yesNo, {
      help:
        "Whether other domains' TLSA records (RFC 7672) are followed, where the resolver on this machine validates them.",
      fallback: true,
      example: "no",
    }),
    reports: setting(yesNo, {
      help: "Whether domains that ask for it are sent a daily report of TLS sessions with them (RFC 8460).",
      fallback: true,
      example: "no",
    }),
  }),
  limits: group("What one client may ask of the server.", {
    messageBytes: setting(octets(1024), {
      help: "The largest message, as announced by SIZE (RFC 1870).",
      fallback: limits.MESSAGE_OCTETS,
      example: "100MiB",
    }),
    commandLineBytes: setting(octets(512), {
      help: "The longest SMTP command line (RFC 5321 4.5.3.1.4 asks for 512 octets).",
      fallback: limits.COMMAND_LINE_OCTETS,
      example: "4k",
    }),
    recipients: setting(integer(1, 100_000), {
      help: "Recipients of one message (RFC 5321 4.5.3.1.8 asks for 100).",
      fallback: limits.RECIPIENTS,
      example: "100",
    }),
    errors: setting(integer(1, 10_000), {
      help: "Errors after which an SMTP client is sent away.",
      fallback: limits.ERRORS,
      example: "10",
    }),
    memoryBytes: setting(octets(1024 * 1024), {
      help: "Message octets held in memory by all connections together; beyond it, clients wait.",
      fallback: limits.MEMORY_OCTETS,
      example: "256MiB",
    }),
    smtpIdle: setting(duration(1000), {
      help: "How long a silent SMTP client is kept (RFC 5321 4.5.3.2.7 asks for 5 minutes).",
      fallback: limits.SMTP_IDLE_MS,
      example: "10m",
    }),
    pop3Idle: setting(duration(10 * 60_000, "RFC 1939 3 has POP3 clients counting on 10 minutes"), {
      help: "How long a silent POP3 client is kept.",
      fallback: limits.POP3_IDLE_MS,
      example: "15m",
    }),
  }),
  smtp: group("Receiving mail.", {
    bareNewline: setting(oneOf(["refuse", "repair"]), {
      help: "What happens to a message with CR or LF alone: refused with 550, or each made CRLF.",
      fallback: "refuse",
      example: "repair",
    }),
    plainAuth: setting(oneOf(["tls-only", "always"]), {
      help: "Whether passwords may be sent without TLS by clients elsewhere than on this machine.",
      fallback: "tls-only",
      example: "always",
    }),
  }),
  submission: group("Mail from users' programs.", {
    sendAs: setting(oneOf(["own", "any"]), {
      help: "The addresses a user may send as: only those that deliver to that user, or any.",
      fallback: "own",
      example: "any",
    }),
  }),
  pop3: group("Fetching mail.", {
    sessions: setting(integer(1, 100_000), {
      help: "POP3 connections served at a time.",
      fallback: limits.POP3_SESSIONS,
      example: "2000",
    }),
    plainLogin: setting(oneOf(["tls-only", "always"]), {
      help: "Whether passwords may be sent without TLS by clients elsewhere than on this machine.",
      fallback: "tls-only",
      example: "always",
    }),
    loginDelay: setting(duration(), {
      help: "The least time between two log-ins of one account (LOGIN-DELAY, RFC 2449 6.5); 0s for none.",
      fallback: 0,
      example: "60s",
    }),
    expire: setting(orWord("never", days), {
      help: "How long mail is kept in a maildrop (EXPIRE, RFC 2449 6.7).",
      fallback: "never",
      example: "60d",
    }),
    takeover: setting(duration(1000), {
      help: "A second log-in takes the maildrop from a session that has been silent this long.",
      fallback: 2 * 60_000,
      example: "5m",
    }),
  }),
  auth: group("Log-ins.", {
    mechanisms: setting(
      list(oneOf(["PLAIN", "LOGIN", "SCRAM-SHA-256"]), { name: "list of SASL mechanisms", atLeast: 1 }),
      {
        help: "The SASL mechanisms offered: PLAIN, LOGIN, SCRAM-SHA-256.",
        fallback: ["PLAIN", "LOGIN", "SCRAM-SHA-256"],
        example: "[SCRAM-SHA-256, PLAIN]",
      },
    ),
    scryptCost: setting(integer(10, 20), {
      help: "The work in checking a password, as a power of two (scrypt's N); for passwords set from now on.",
      fallback: 14,
      example: "15",
    }),
    scramIterations: setting(integer(4096, 10_000_000), {
      help: "The work in SCRAM-SHA-256 (RFC 7677 4 asks for 4096); for passwords set from now on.",
      fallback: 10_000,
      example: "100000",
    }),
  }),
  accounts: group("Accounts' defaults.", {
    pop3: setting(oneOf(["P", "Y", "N"]), {
      help:
        "POP3 access of a new account: P (yes, and messages pass through whole), Y (yes, and each attachment becomes a " +
        "message of its own), or N.",
      fallback: "P",
      example: "Y",
    }),
    plusAddressing: setting(separator, {
      help: 'What may part a name from a tag, as in alice+news; "" turns it off.',
      fallback: "+",
      example: '"-"',
    }),
    quotaBytes: setting(octets(), {
      help: "The octets a maildrop may hold where its account says nothing else; 0 for any number.",
      fallback: 0,
      example: "2GiB",
    }),
    quotaMessages: setting(integer(0), {
      help: "The messages a maildrop may hold where its account says nothing else; 0 for any number.",
      fallback: 0,
      example: "50000",
    }),
  }),
  history: group("What `emsmail trace` knows.", {
    keep: setting(duration(), {
      help: "How long it is remembered what became of a message after it is gone.",
      fallback: 30 * 86_400_000,
      example: "90d",
    }),
  }),
  log: group("The log, on standard error.", {
    format: setting(oneOf(["text", "json"]), {
      help: "Lines for people, or a JSON object a line.",
      fallback: "text",
      example: "json",
    }),
    level: setting(oneOf(["debug", "info", "warn", "error"]), {
      help: "The least severe lines that are written.",
      fallback: "info",
      example: "debug",
    }),
  }),
});
