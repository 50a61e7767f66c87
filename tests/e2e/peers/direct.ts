/**
 * The seed's Figure 1 as tests need it: EMSmail in direct mode, a DNS of its own, and a user who sends.
 *
 * Mail hosts are found by DNS and so are on port 25: each has an address of its own in 127.0.3.0/24.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import type { MessageTrace } from "../../../src/admin/trace.ts";
import type { RecipientState } from "../../../src/store/types.ts";
import {
  e2eBare,
  PASSWORD,
  type Server,
  stuff,
  type TestOptions,
  until,
  type Use,
  withPeers,
  withServer,
} from "../harness.ts";
import { plainResponse, type Wire } from "../wire.ts";
import { type FakeDns, startDns } from "./dns.ts";

/** What a test has to do with. */
export interface Direct {
  readonly server: Server;
  readonly dns: FakeDns;
  readonly use: Use;
}

export interface DirectOptions extends TestOptions {
  /** Lines as {@linkcode startDns} takes them. */
  readonly records?: readonly string[];
}

/** Registers a test with a server in direct mode. */
export function direct(name: string, options: DirectOptions, run: (direct: Direct) => Promise<void>): void {
  const needs = ["dnsmasq", "smtp-sink", "root", ...options.needs ?? []];
  e2eBare(name, { ...options, needs }, () =>
    withPeers(async (use) => {
      const dns = await use(startDns(options.records ?? []));
      const relay = { mode: "direct", ...options.config?.["relay"] as Record<string, unknown> | undefined };
      const config = { ...options.config, relay, dns: { servers: [dns.address] } };
      await withServer({ ...options, config }, (server) => run({ server, dns, use }));
    }));
}

export interface Submission {
  /** @default "alice" */
  readonly user?: string;
  /** @default {`${user}@example.test`} */
  readonly from?: string;
  readonly to: string | readonly string[];
  /** With CRLF, before dots are doubled, in octets as characters. */
  readonly data: string;
  /** Behind MAIL's address: ` RET=HDRS`. */
  readonly mail?: string;
  /** Behind each RCPT's address. */
  readonly rcpt?: string;
}

/** A connection of a user who has logged in. */
export async function loggedIn(server: Server, user = "alice"): Promise<Wire> {
  const wire = await server.connect("submissions");
  await wire.expect(250, "EHLO pc.example.test");
  await wire.expect(235, `AUTH PLAIN ${plainResponse(user, PASSWORD)}`);
  return wire;
}

/** Sends as a user's program does; gives the message's id. */
export async function submit(server: Server, mail: Submission): Promise<string> {
  const wire = await loggedIn(server, mail.user);
  const from = mail.from ?? `${mail.user ?? "alice"}@example.test`;
  await wire.expect(250, `MAIL FROM:<${from}>${mail.mail ?? ""}`);
  for (const to of [mail.to].flat()) await wire.expect(250, `RCPT TO:<${to}>${mail.rcpt ?? ""}`);
  await wire.expect(354, "DATA");
  const { lines } = await wire.expect(250, `${stuff(mail.data)}.`);
  await wire.expect(221, "QUIT");
  wire.close();
  return /Accepted as (\S+)/.exec(lines[0]!)![1]!;
}

/** All that is known of a message. */
export async function traceOf(server: Server, id: string): Promise<MessageTrace> {
  const [message] = JSON.parse(await server.mustCli(["trace", id, "--json"])) as MessageTrace[];
  return message!;
}

/** Waits until the recipients of a message, in order, have come to these states. */
export async function untilStates(
  server: Server,
  id: string,
  states: readonly RecipientState[],
): Promise<MessageTrace> {
  let trace: MessageTrace | undefined;
  const now = () => trace?.recipients.map(({ state }) => state).join(", ") ?? "not known";
  try {
    await until("states", async () => {
      trace = await traceOf(server, id);
      return now() === states.join(", ");
    });
  } catch {
    assertEquals(now(), states.join(", "), JSON.stringify(trace, null, 2));
  }
  return trace!;
}
