/**
 * A system with a user of each POP3 access (paula P, yves Y, nora N), alice who sends, and a system outside that keeps
 * what it gets. Messages are strings with one character an octet.
 *
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { storePath } from "../../../src/store/sqlite/open.ts";
import { e2eBare, PASSWORD, type Server, type TestOptions, withPeers, withServer } from "../harness.ts";
import { plainResponse, type Wire } from "../wire.ts";
import { type Sink, startSink } from "./sink.ts";

export const ALICE = "alice@example.test";
export const PAULA = "paula@example.test";
export const YVES = "yves@example.test";
export const NORA = "nora@example.test";
/** Everybody at this domain is outside. */
export const OUTSIDE = "out.test";

/** What a test has to do with. */
export interface Handled {
  readonly server: Server;
  readonly sink: Sink;
}

/** Registers a test with a server whose mail for {@linkcode OUTSIDE} goes to a sink at `address`. */
export function handled(
  name: string,
  { address, ...options }: TestOptions & { /** In 127.0.21.0/24. */ readonly address: string },
  run: (handled: Handled) => Promise<void>,
): void {
  const needs = ["smtp-sink", ...options.needs ?? []];
  e2eBare(name, { ...options, needs }, () =>
    withPeers(async (use) => {
      const sink = await use(startSink({ address, port: 2525 }));
      const relay = { mode: "intranet", routes: [{ domain: OUTSIDE, host: address, port: 2525 }] };
      await withServer({
        ...options,
        config: { relay, queue: { retry: ["1s"] }, ...options.config },
        users: ["alice"],
        prepare: async (server) => {
          for (const [user, access] of [["paula", "P"], ["yves", "Y"], ["nora", "N"]] as const) {
            await server.addUser(user, "--pop3", access);
          }
          await options.prepare?.(server);
        },
      }, (server) => run({ server, sink }));
    }));
}

export function sha256(octets: string | Uint8Array): string {
  const bytes = typeof octets === "string" ? Buffer.from(octets, "latin1") : octets;
  return createHash("sha256").update(bytes).digest("hex");
}

/** A connection to the submission port, alice logged in. */
export async function submission(server: Server): Promise<Wire> {
  const wire = await server.connect("submission");
  await wire.expect(250, "EHLO pc.example.test");
  await wire.expect(235, `AUTH PLAIN ${plainResponse("alice", PASSWORD)}`);
  return wire;
}

/** Hands over a message, in a BDAT chunk (RFC 3030) where DATA can't carry it; gives the reply to its end. */
export async function handOver(
  wire: Wire,
  { to, data }: { readonly to: readonly string[]; readonly data: string },
): Promise<{ readonly code: number; readonly text: string }> {
  await wire.expect(250, `MAIL FROM:<${ALICE}> BODY=8BITMIME`);
  for (const each of to) await wire.expect(250, `RCPT TO:<${each}>`);
  if (data.endsWith("\r\n")) {
    await wire.expect(354, "DATA");
    await wire.write(`${data.replace(/(^|\r\n)\./g, "$1..")}.\r\n`);
  } else await wire.write(`BDAT ${data.length} LAST\r\n${data}`);
  const { code, lines } = await wire.smtp();
  return { code, text: lines.join(" ") };
}

/** The same on a connection of its own, which must be accepted; gives the message's id. */
export async function submitOctets(
  server: Server,
  mail: { readonly to: readonly string[]; readonly data: string },
): Promise<string> {
  const wire = await submission(server);
  const { code, text } = await handOver(wire, mail);
  assertEquals(code, 250, text);
  await wire.expect(221, "QUIT");
  wire.close();
  return /Accepted as (\S+)/.exec(text)![1]!;
}

/** What was put in front of a message on its way: by EMSmail, by smtp-sink, and what the submission lacked. */
const TRACE = /^(Return-Path|Received|Date|Message-ID|DKIM-Signature|X-(Client|Helo|Mail|Rcpt)-\w+): /;

/** A message that arrived is the one that was sent, octet for octet, behind fields that were put in front; gives those. */
export function assertPassed(arrived: string, sent: string, what: string): string {
  const behind = arrived.slice(arrived.length - sent.length);
  assertEquals(sha256(behind), sha256(sent), what);
  const front = arrived.slice(0, arrived.length - sent.length);
  const fields = front.replace(/\r\n[ \t]+/g, " ").split("\r\n");
  assertEquals(fields.pop(), "", what);
  assert(fields.length > 0, what);
  for (const each of fields) assertMatch(each, TRACE, what);
  return front;
}

/** What a query of the store's file gives, read as another process reads it. */
export function rows(server: Server, query: string): Record<string, unknown>[] {
  const database = new DatabaseSync(storePath(server.data), { readOnly: true });
  try {
    return database.prepare(query).all() as Record<string, unknown>[];
  } finally {
    database.close();
  }
}

/** How many octets of bodies are on disk. */
export function storedOctets(server: Server): number {
  return Number(rows(server, "SELECT coalesce(sum(length(data)), 0) AS octets FROM part")[0]!["octets"]);
}
