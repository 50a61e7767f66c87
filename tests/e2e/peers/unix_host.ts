/**
 * The seed's Figure 2 for a test: a real Postfix is the UNIX host between the Internet and the appliance. Its settings are
 * those of examples/buffer/postfix, with the test's names and addresses.
 *
 * @module
 */
import { DOMAIN, message, PASSWORD, root, Server, stuff, until } from "../harness.ts";
import { plainResponse, type Wire } from "../wire.ts";
import { type FakeDns, startDns } from "./dns.ts";
import { type Postfix, startPostfix } from "./postfix.ts";
import { type Sink, startSink } from "./sink.ts";

/** What every test with a UNIX host needs. */
export const NEEDS = ["postfix", "dnsmasq", "smtp-sink", "root"];

/** The addresses of the figure. EMSmail itself listens on 127.0.0.1, and connects from there. */
export const UNIX = "127.0.4.2";
export const UNIX_NAME = "unix.example.test";
/** For `dns.servers`. */
export const DNS = "127.0.4.53:5300";
/** Somebody on the Internet. */
export const STRANGER = "127.0.4.9";
/** A mail system on the Internet that takes everything. */
export const ELSEWHERE = "127.0.4.8";
/** One that refuses every recipient. */
export const REFUSING = "127.0.4.7";

/** What is running, and is ended whatever happens. */
export class Figure {
  readonly server: Server;
  readonly #cleanups: (() => Promise<void>)[] = [];
  #postfix: Postfix | undefined;

  private constructor(server: Server) {
    this.server = server;
  }

  /** Runs a test with the figure's parts; shows what they said where it fails. */
  static async with(
    config: Readonly<Record<string, unknown>>,
    run: (figure: Figure) => Promise<void>,
  ): Promise<void> {
    const figure = new Figure(await Server.create({ config }));
    try {
      await run(figure);
      await figure.server.stop();
    } catch (error) {
      console.error(`---- the server's output\n${await figure.server.output()}`);
      console.error(`---- Postfix's log\n${figure.#postfix?.log() ?? ""}----`);
      throw error;
    } finally {
      await figure.server.remove();
      for (const cleanup of figure.#cleanups.reverse()) await cleanup();
    }
  }

  async dns(records: readonly string[]): Promise<FakeDns> {
    const dns = await startDns([`${UNIX_NAME} A ${UNIX}`, ...records], { address: DNS });
    this.#cleanups.push(() => dns.stop());
    return dns;
  }

  async sink(address: string, ...args: readonly string[]): Promise<Sink> {
    const sink = await startSink({ address, port: 25, args });
    this.#cleanups.push(() => sink.stop());
    return sink;
  }

  /** The UNIX host; `transport` has the ways to the Internet. */
  async unixHost(transport: readonly string[]): Promise<Postfix> {
    const postfix = await startPostfix({
      address: UNIX,
      hostname: UNIX_NAME,
      main: exampleSettings(),
      transport: [`${DOMAIN} relay:[127.0.0.1]:${this.server.ports.smtp}`, ...transport],
    });
    this.#postfix = postfix;
    this.#cleanups.push(() => postfix.stop());
    return postfix;
  }
}

/** examples/buffer/postfix/main.cf but for the names, addresses and files of this test. */
function exampleSettings(): Record<string, string> {
  const own = ["compatibility_level", "transport_maps", "mynetworks"];
  const lines = Deno.readTextFileSync(`${root}examples/buffer/postfix/main.cf`).split("\n")
    .filter((line) => /^\w/.test(line)).map((line) => line.replaceAll("example.org", "example.test"));
  const settings = lines.map((line) => /^(\w+) *= *(.*)$/.exec(line)!.slice(1) as [string, string]);
  return {
    ...Object.fromEntries(settings.filter(([name]) => !own.includes(name))),
    mynetworks: "127.0.0.1/32",
  };
}

/** The appliance's settings behind the UNIX host; `more` goes over those of `relay`. */
export function relay(outbound: "dump" | "direct-first", more: Readonly<Record<string, unknown>> = {}) {
  return {
    relay: { mode: "buffer", outbound, buffer: { host: UNIX_NAME, acceptFrom: [UNIX] }, ...more },
    dns: { servers: [DNS] },
    queue: { connectionsPerHost: 4 },
  };
}

/** One message and its envelope. */
export interface Mail {
  readonly from?: string;
  readonly to: string;
  readonly data: string;
}

/** Hands over messages as a user's program does: TLS, a log-in, one connection. Gives the queue's ids. */
export async function submit(server: Server, mails: readonly Mail[], user = "alice"): Promise<string[]> {
  const wire = await server.connect("submissions");
  await wire.expect(250, "EHLO pc.example.test");
  await wire.expect(235, `AUTH PLAIN ${plainResponse(user, PASSWORD)}`);
  const ids: string[] = [];
  for (const { from = `${user}@${DOMAIN}`, to, data } of mails) {
    ids.push(await hand(wire, { from, to, data }));
  }
  await wire.expect(221, "QUIT");
  wire.close();
  return ids;
}

/** One transaction; gives what the server calls the message. */
export async function hand(wire: Wire, { from, to, data }: Mail): Promise<string> {
  await wire.expect(250, `MAIL FROM:<${from}>`);
  await wire.expect(250, `RCPT TO:<${to}>`);
  await wire.expect(354, "DATA");
  const { lines } = await wire.expect(250, `${stuff(data)}.`);
  return lines[0]!.split(" ").at(-1)!;
}

/** A message of alice's that says in its body what its subject is. */
export function fromAlice(subject: string, to: string): Mail {
  return { to, data: message({ subject, from: `alice@${DOMAIN}`, to, body: `About ${subject}.\r\n` }) };
}

/** What `emsmail trace --json` tells of a message, as far as it matters here. */
export interface Traced {
  readonly recipients: readonly {
    readonly state: string;
    readonly detail: string;
    readonly acceptedBy: string;
    readonly wait: { readonly destinationReason: string } | null;
  }[];
}

export async function traced(server: Server, id: string): Promise<Traced> {
  const all = JSON.parse(await server.mustCli(["trace", id, "--json"])) as Traced | Traced[];
  return Array.isArray(all) ? all[0]! : all;
}

/** Waits until a message's only recipient is in a state, and gives what is known of it. */
export async function untilState(
  server: Server,
  id: string,
  state: string,
): Promise<Traced["recipients"][0]> {
  let last: Traced["recipients"][0] | undefined;
  await until(`message ${id} to be ${state}`, async () => {
    last = (await traced(server, id)).recipients[0]!;
    return last.state === state;
  }).catch((error) => {
    throw new Error(`${error.message}; it is ${JSON.stringify(last)}`);
  });
  return last!;
}
