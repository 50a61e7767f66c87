/**
 * EMSmail with somebody outside to write to: a system in direct mode, a DNS of its own, and hosts that write down what they
 * are given. Each is at an address of its own in 127.0.23.0/24.
 *
 * @module
 */
import {
  e2eBare,
  type Server,
  type TestOptions,
  until,
  type Use,
  withPeers,
  withServer,
} from "../harness.ts";
import { startDns } from "./dns.ts";
import { directBy } from "./outbound.ts";
import { SmtpHost, type SmtpHostOptions, type TakenMessage } from "./smtp_host.ts";

const DNS = "127.0.23.53:5300";

/** What a test has to do with. */
export interface Outside {
  readonly server: Server;
  readonly use: Use;
  /** The mail host of `partner.test`. */
  readonly partner: SmtpHost;
  /** The mail host of `elsewhere.test`, where strangers have their mail. */
  readonly elsewhere: SmtpHost;
}

export interface OutsideOptions extends TestOptions {
  /** What the partner's host answers in place of the usual. */
  readonly answer?: SmtpHostOptions["answer"];
}

/** Registers a test with a server in direct mode, and two domains outside. */
export function outside(
  name: string,
  options: OutsideOptions,
  run: (outside: Outside) => Promise<void>,
): void {
  const needs = ["dnsmasq", "root", ...options.needs ?? []];
  e2eBare(name, { ...options, needs }, () =>
    withPeers(async (use) => {
      await use(startDns([
        "partner.test MX 10 mx.partner.test",
        "mx.partner.test A 127.0.23.10",
        "elsewhere.test MX 10 mx.elsewhere.test",
        "mx.elsewhere.test A 127.0.23.11",
      ], { address: DNS }));
      const { answer } = options;
      const partner = await use(SmtpHost.start({
        address: "127.0.23.10",
        hostname: "mx.partner.test",
        offers: ["8BITMIME", "DSN", "PIPELINING"],
        ...answer === undefined ? {} : { answer },
      }));
      const elsewhere = await use(SmtpHost.start({ address: "127.0.23.11", hostname: "mx.elsewhere.test" }));
      const config = { ...directBy(DNS), ...options.config };
      await withServer({ ...options, config }, (server) => run({ server, use, partner, elsewhere }));
    }));
}

/** Waits until a host has taken `count` messages, and fails where there are more. */
export async function untilTaken(host: SmtpHost, count: number): Promise<readonly TakenMessage[]> {
  await until(`${count} message(s) at a host outside`, () => {
    if (host.messages.length > count) {
      throw new Error(`${host.messages.length} messages at a host outside, ${count} expected`);
    }
    return Promise.resolve(host.messages.length === count);
  });
  return host.messages;
}

/** The address in angle brackets of a MAIL or RCPT command. */
export function pathOf(command: string): string {
  return /:<([^>]*)>/.exec(command)![1]!;
}
