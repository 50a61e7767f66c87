/**
 * Tests in a network of their own: a namespace with nothing but a loopback device, on which every address there is leads back
 * to the machine itself. So a test may use any address and port 25, `nc 192.0.2.1 25` reaches what listens at 192.0.2.1,
 * nothing gets out, and {@linkcode watchTraffic} sees whom a program tried to reach, whether somebody listened there or not.
 *
 * A test registered by {@linkcode isolated} runs its own file again in there, by itself; processes that it leaves behind end
 * with it.
 *
 * @module
 */
import { createSocket } from "node:dgram";
import { hasProgram, root, until } from "../harness.ts";

export interface IsolatedOptions {
  /** `import.meta.url` of the test's file. */
  readonly file: string;
  /** Programs without which the test is skipped, beside those that make the network. */
  readonly needs?: readonly string[];
}

const INSIDE = "EMSMAIL_ISOLATED";
/** A test that takes longer is ended, in milliseconds. */
const LIMIT_MS = 120_000;

/** IPv4 and IPv6 both lead to lo. `$@` is what to run. */
const NETWORK =
  "ip link set lo up && ip route add local 0.0.0.0/0 dev lo && ip -6 route add local ::/0 dev lo && " +
  'exec "$@"';
const NAMESPACES = ["--net", "--pid", "--fork", "--kill-child", "--mount-proc"];

/** Registers a test that runs in a network of its own; skipped where none can be made, which takes root. */
export function isolated(name: string, options: IsolatedOptions, run: () => Promise<void>): void {
  if (Deno.env.get(INSIDE) !== undefined) return Deno.test(name, run);
  if (Deno.env.get("EMSMAIL_RUNTIME") === "deno") return;
  const missing = ["ip", "python3", ...options.needs ?? []].filter((program) => !hasProgram(program));
  if (!mayIsolate()) missing.push("network namespaces");
  const shown = missing.length > 0 ? `${name} (without ${missing.join(", ")})` : name;
  Deno.test({ name: shown, ignore: missing.length > 0, fn: () => runInside(name, options.file) });
}

let isAllowed: boolean | undefined;

function mayIsolate(): boolean {
  try {
    isAllowed ??= Deno.uid() === 0 &&
      new Deno.Command("unshare", { args: [...NAMESPACES, "true"], stdout: "null", stderr: "null" })
        .outputSync().success;
  } catch {
    isAllowed = false;
  }
  return isAllowed;
}

async function runInside(name: string, file: string): Promise<void> {
  const exactly = `/^${name.replace(/[/\\^$.*+?()[\]{}|]/g, "\\$&")}$/`;
  const test = [Deno.execPath(), "test", "-A", "--no-check", "--quiet", `--config=${root}deno.json`];
  const child = new Deno.Command("unshare", {
    args: [...NAMESPACES, "sh", "-c", NETWORK, "sh", ...test, `--filter=${exactly}`, new URL(file).pathname],
    env: { [INSIDE]: "1", NO_COLOR: "1", PATH: `${Deno.env.get("PATH")}:/usr/sbin:/sbin` },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    child.kill("SIGKILL");
  }, LIMIT_MS);
  const { success, stdout, stderr } = await child.output();
  clearTimeout(timer);
  const output = [stdout, stderr].map((octets) => new TextDecoder().decode(octets)).join("");
  if (isLate) throw new Error(`not done after ${LIMIT_MS} ms:\n${output}`);
  // One that the filter doesn't find would pass for one that holds.
  if (!success || !/\b1 passed\b/.test(output)) throw new Error(`in a network of its own:\n${output}`);
}

// ---------------------------------------------------------------- who is spoken to

export interface Traffic {
  /** Everything that anybody tried to reach so far, each once, in order: `tcp 192.0.2.1 25`, `udp 192.0.2.53 53`. */
  reached(): Promise<string[]>;
  stop(): Promise<void>;
}

/**
 * Prints each destination of a TCP connection's first segment, and of a UDP datagram, as it goes through lo. An answer to a
 * datagram is not one of its own.
 */
const WATCHER = `
import socket, struct, sys
ETH_P_ALL, SYN, ACK = 3, 2, 16
wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
print("ready", flush=True)
seen = set()
while True:
    data = wire.recv(65536)
    if data[0] >> 4 == 4:
        protocol, begin = data[9], (data[0] & 15) * 4
        source, target = (socket.inet_ntop(socket.AF_INET, data[i:i + 4]) for i in (12, 16))
    elif data[0] >> 4 == 6:
        protocol, begin = data[6], 40
        source, target = (socket.inet_ntop(socket.AF_INET6, data[i:i + 16]) for i in (8, 24))
    else:
        continue
    if protocol not in (6, 17):
        continue
    source_port, port = struct.unpack("!HH", data[begin:begin + 4])
    if protocol == 6 and data[begin + 13] & (SYN | ACK) != SYN:
        continue
    if protocol == 17 and ("udp", source, source_port) in seen:
        continue
    entry = ("tcp" if protocol == 6 else "udp", target, port)
    if entry not in seen:
        seen.add(entry)
        print(*entry, flush=True)
`;

/** Begins to watch the network that the test is in. */
export async function watchTraffic(): Promise<Traffic> {
  const child = new Deno.Command("python3", { args: ["-c", WATCHER], stdin: "null", stdout: "piped" })
    .spawn();
  let text = "";
  const reading = child.stdout.pipeThrough(new TextDecoderStream()).pipeTo(
    new WritableStream({ write: (more) => void (text += more) }),
  );
  await until("the watcher", () => Promise.resolve(text.startsWith("ready\n")));
  let marks = 0;
  return {
    async reached() {
      // What went before this datagram was seen before it.
      const port = 60_000 + ++marks;
      await sendDatagram(MARK, port);
      const mark = `udp ${MARK} ${port}\n`;
      await until("the watcher to see its own mark", () => Promise.resolve(text.includes(mark)));
      return text.slice(0, text.indexOf(mark)).trim().split("\n").slice(1)
        .filter((line) => !line.startsWith(`udp ${MARK} `));
    },
    async stop() {
      child.kill("SIGTERM");
      await reading;
      await child.status;
    },
  };
}

async function sendDatagram(host: string, port: number): Promise<void> {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve, reject) =>
    socket.send(new Uint8Array(1), port, host, (error) => error ? reject(error) : resolve())
  );
  socket.close();
}

/** TEST-NET-3's last address: no test uses it. */
const MARK = "203.0.113.254";
