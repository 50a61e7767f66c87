/**
 * A private dnsmasq on loopback: the whole DNS of a test, with a record of what was asked.
 *
 * Records are given as lines of a zone file, without TTL or class: `example.org MX 10 mx.example.org`. A name with
 * records of other types only has no data; one without any doesn't exist. The type REFUSED makes a name, and all below
 * it, one that can't be looked up. Nothing is asked of any other server.
 *
 * @module
 */
import { until } from "../harness.ts";

export interface FakeDns {
  /** For `dns.servers`. */
  readonly address: string;
  /** The questions so far, in order: `mx example.org`, `aaaa mx.example.org`. */
  queries(): string[];
  /** Takes other records from now on. */
  replace(records: readonly string[]): Promise<void>;
  stop(): Promise<void>;
}

const DNSMASQ = "/usr/sbin/dnsmasq";
/** How long dnsmasq may take to come up or go, in milliseconds. */
const LIMIT_MS = 10_000;

/** Starts a server that knows `records` and nothing else; `address` is one of 127.0.0.0/8, with a port. */
export async function startDns(
  records: readonly string[],
  { address = "127.0.3.53:5300" }: { readonly address?: string } = {},
): Promise<FakeDns> {
  const dns = new Dnsmasq(address, await Deno.makeTempDir({ prefix: "emsmail-dns-" }));
  try {
    await dns.start(records);
  } catch (error) {
    await dns.stop();
    throw error;
  }
  return dns;
}

class Dnsmasq implements FakeDns {
  readonly #folder: string;
  #child: Deno.ChildProcess | undefined;
  #starts = 0;

  constructor(readonly address: string, folder: string) {
    this.#folder = folder;
  }

  async start(records: readonly string[]): Promise<void> {
    const [host, port] = this.address.split(":") as [string, string];
    const file = `${this.#folder}/conf`;
    await Deno.writeTextFile(
      file,
      configuration(records, { host, port: Number(port), log: `${this.#folder}/log` }),
    );
    const child = new Deno.Command(DNSMASQ, {
      args: ["--keep-in-foreground", `--conf-file=${file}`],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    this.#child = child;
    let complaint: string | undefined;
    // Its standard error is closed as soon as it is up, so that an end of that alone means nothing.
    void Promise.all([child.stderr.text(), child.status]).then(([text]) => complaint = text);
    this.#starts++;
    await until(`dnsmasq at ${this.address}`, () => {
      if (complaint !== undefined) throw new Error(`dnsmasq at ${this.address} did not start: ${complaint}`);
      return Promise.resolve(this.#log().split(": started, ").length > this.#starts);
    }, LIMIT_MS);
  }

  queries(): string[] {
    return [...this.#log().matchAll(/ query\[(?:type=)?([^\]]+)\] (\S+) from /g)].map(question);
  }

  async replace(records: readonly string[]): Promise<void> {
    await this.#end();
    await this.start(records);
  }

  async stop(): Promise<void> {
    await this.#end();
    await Deno.remove(this.#folder, { recursive: true });
  }

  #log(): string {
    try {
      return Deno.readTextFileSync(`${this.#folder}/log`);
    } catch {
      return "";
    }
  }

  async #end(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#child = undefined;
    const timer = setTimeout(() => child.kill("SIGKILL"), LIMIT_MS);
    try {
      child.kill("SIGTERM");
    } catch {
      // It has ended by itself.
    }
    await child.status;
    clearTimeout(timer);
  }
}

function question([, type, name]: readonly string[]): string {
  // The log has the number of types it has no name for; 52 is TLSA (RFC 6698 7.1).
  return `${type === "52" ? "tlsa" : type!.toLowerCase()} ${name}`;
}

/** dnsmasq's own words for the records. What it has no option for goes in as octets. */
function configuration(
  records: readonly string[],
  { host, port, log }: { readonly host: string; readonly port: number; readonly log: string },
): string {
  return [
    `listen-address=${host}`,
    `port=${port}`,
    "bind-interfaces",
    "no-resolv",
    "no-hosts",
    "no-poll",
    "cache-size=0",
    "log-queries",
    `log-facility=${log}`,
    // Run by root or by anybody; it has no other files than these.
    "user=",
    "pid-file=",
    // All there is is here: what is not known doesn't exist.
    "local=/#/",
    ...records.map(option),
    "",
  ].join("\n");
}

function option(record: string): string {
  const [name, type, ...values] = record.trim().split(/\s+/) as [string, string, ...string[]];
  const rest = record.trim().replace(/^\S+\s+\S+\s+/, "");
  switch (type.toUpperCase()) {
    case "A":
    case "AAAA":
      return `host-record=${name},${values[0]}`;
    case "MX":
      // The null MX's exchange is the root, whose name has no octets but its length (RFC 7505 3).
      if (values[1] === ".") return `dns-rr=${name},15,${hex([0, Number(values[0]), 0])}`;
      return `mx-host=${name},${values[1]},${values[0]}`;
    case "TXT":
      // 255 octets fit one string (RFC 1035 3.3).
      return `txt-record=${name},${pieces(rest.replace(/^"|"$/g, "").replace(/"\s+"/g, "")).join(",")}`;
    case "CNAME":
      return `cname=${name},${values[0]}`;
    case "PTR":
      return `ptr-record=${name},${values[0]}`;
    case "TLSA":
      return `dns-rr=${name},52,${hex(values.slice(0, 3).map(Number))}${values.slice(3).join("")}`;
    case "REFUSED":
      // Left to servers that dnsmasq has none of.
      return `server=/${name}/#`;
    default:
      throw new Error(`no record of the type ${type} can be served: ${record}`);
  }
}

function pieces(text: string): string[] {
  const parts = text.match(/.{1,255}/gs) ?? [""];
  return parts.map((part) => `"${part.replaceAll('"', '\\"')}"`);
}

function hex(octets: readonly number[]): string {
  return octets.map((octet) => octet.toString(16).padStart(2, "0")).join("");
}
