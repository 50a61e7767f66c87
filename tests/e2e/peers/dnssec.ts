/**
 * A validating resolver on loopback (unbound) before a signed zone and one that is not (bind): what DANE needs.
 *
 * The zones are `signed.test` and `plain.test`. What stands below `_tcp.unknown.signed.test` can't be looked up.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createSocket } from "node:dgram";
import { encodeQuestion } from "../../../src/net/dns_message.ts";
import { until } from "../harness.ts";

export interface Dnssec {
  /** For `dns.servers`. */
  readonly address: string;
  stop(): Promise<void>;
}

export interface DnssecOptions {
  /** The resolver's, with a port; the zones' server takes the next port, at 127.0.0.1. */
  readonly address: string;
  /** Lines of a zone file, with names relative to the zone. */
  readonly signed: readonly string[];
  readonly plain: readonly string[];
}

const LIMIT_MS = 20_000;
/** bind takes only an address that an interface has by name; of 127.0.0.0/8 that is this one. */
const ZONES_HOST = "127.0.0.1";
const HEAD = ["$TTL 60", "@ IN SOA ns hostmaster 1 3600 600 86400 60", "@ IN NS ns"];

/** Starts both. */
export async function startDnssec({ address, signed, plain }: DnssecOptions): Promise<Dnssec> {
  const [host, portText] = address.split(":") as [string, string];
  const port = Number(portText);
  const folder = await Deno.makeTempDir({ dir: "/tmp", prefix: "emsmail-dnssec-" });
  await Deno.chmod(folder, 0o755);
  await Deno.writeTextFile(`${folder}/signed.zone`, zone(signed));
  await Deno.writeTextFile(`${folder}/plain.zone`, zone(plain));
  await Deno.writeTextFile(`${folder}/named.conf`, namedConf(folder, port + 1));
  const children: Deno.ChildProcess[] = [];
  const stop = async () => {
    for (const child of children.reverse()) await end(child);
    await Deno.remove(folder, { recursive: true });
  };
  try {
    children.push(start("/usr/sbin/named", ["-g", "-c", `${folder}/named.conf`], `${folder}/named.log`));
    const anchor = await publicKey(folder);
    await until(
      "the zones' server",
      () => answers("signed.test", { host: ZONES_HOST, port: port + 1 }),
      LIMIT_MS,
    );
    await Deno.writeTextFile(`${folder}/anchor`, anchor);
    await Deno.writeTextFile(`${folder}/unbound.conf`, unboundConf(folder, { host, port }));
    children.push(
      start("/usr/sbin/unbound", ["-d", "-c", `${folder}/unbound.conf`], `${folder}/unbound.log`),
    );
    // bind answers before it has signed: what counts is that the resolver vouches for it.
    await until("a validated answer", () => answers("signed.test", { host, port }, AUTHENTIC), LIMIT_MS);
  } catch (error) {
    for (const name of ["named.log", "unbound.log"]) {
      console.error(await Deno.readTextFile(`${folder}/${name}`).catch(() => ""));
    }
    await stop();
    throw error;
  }
  return { address, stop };
}

function zone(records: readonly string[]): string {
  return [...HEAD, `ns IN A ${ZONES_HOST}`, ...records, ""].join("\n");
}

interface Place {
  readonly host: string;
  readonly port: number;
}

function namedConf(folder: string, port: number): string {
  return `options {
  directory "${folder}";
  key-directory "${folder}";
  managed-keys-directory "${folder}";
  listen-on port ${port} { ${ZONES_HOST}; };
  listen-on-v6 { none; };
  pid-file none;
  session-keyfile none;
  recursion no;
  dnssec-validation no;
};
controls { };
zone "signed.test" { type primary; file "signed.zone"; dnssec-policy default; inline-signing yes; };
zone "plain.test" { type primary; file "plain.zone"; };
`;
}

function unboundConf(folder: string, { host, port }: Place): string {
  return `server:
  interface: ${host}
  port: ${port}
  username: ""
  chroot: ""
  directory: "${folder}"
  pidfile: ""
  use-syslog: no
  num-threads: 1
  do-ip6: no
  do-not-query-localhost: no
  module-config: "validator iterator"
  trust-anchor-file: "${folder}/anchor"
  local-zone: "test." nodefault
  local-zone: "_tcp.unknown.signed.test." always_refuse
remote-control:
  control-enable: no
stub-zone:
  name: "signed.test"
  stub-addr: ${ZONES_HOST}@${port + 1}
stub-zone:
  name: "plain.test"
  stub-addr: ${ZONES_HOST}@${port + 1}
`;
}

/** The key that bind made for the zone, as a DNSKEY record. */
async function publicKey(folder: string): Promise<string> {
  let key = "";
  await until("the zone's key", async () => {
    for await (const { name } of Deno.readDir(folder)) {
      if (/^Ksigned\.test\..*\.key$/.test(name)) key = await Deno.readTextFile(`${folder}/${name}`);
    }
    return key.includes("DNSKEY");
  }, LIMIT_MS);
  return key;
}

/** RFC 4035 3.2.3: the bit AD in the second octet of the flags. */
const AUTHENTIC = 0x20;

/** Whether a server answers for a zone's SOA in place of its records, with these flags. */
async function answers(name: string, { host, port }: Place, flags = 0): Promise<boolean> {
  const socket = createSocket("udp4");
  try {
    return await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), 1000);
      socket.on("error", () => resolve(false));
      socket.on("message", (octets) => {
        clearTimeout(timer);
        resolve((octets[3]! & 0x0f) === 0 && (octets[3]! & flags) === flags);
      });
      socket.send(
        Buffer.from(encodeQuestion({ name, type: "MX" }, { id: 1, edns: "with" })),
        port,
        host,
      );
    });
  } finally {
    socket.close();
  }
}

function start(program: string, args: readonly string[], log: string): Deno.ChildProcess {
  return new Deno.Command("/bin/sh", {
    args: ["-c", 'log=$1; shift; exec "$@" >"$log" 2>&1', "sh", log, program, ...args],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
}

async function end(child: Deno.ChildProcess): Promise<void> {
  const timer = setTimeout(() => child.kill("SIGKILL"), 5000);
  try {
    child.kill("SIGTERM");
  } catch {
    // It has ended by itself.
  }
  await child.status;
  clearTimeout(timer);
}
