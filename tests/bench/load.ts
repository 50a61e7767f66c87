/**
 * What the measurements share: programs that make load, a sink that counts, and figures of several runs in a line.
 *
 * @module
 */

const SEARCH_PATH = `${Deno.env.get("PATH") ?? ""}:/usr/sbin`;
/** Sessions at a time, and the same number of connections out. */
export const CONNECTIONS = 20;
/** Room for more connections than any load here opens at once; both sides' sinks have the same. */
const SINK_BACKLOG = "1000";
/** How long a sink may take to come up, in milliseconds. */
const SINK_UP_MS = 10_000;

/** Runs a program to its end and gives what it said, on both outputs. */
export async function output(
  command: string,
  args: readonly string[],
  { cwd }: { readonly cwd?: string } = {},
): Promise<string> {
  const { stdout, stderr } = await new Deno.Command(command, {
    args: [...args],
    cwd,
    env: { PATH: SEARCH_PATH },
  }).output();
  return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
}

export interface Burst {
  /** On 127.0.0.1. */
  readonly port: number;
  readonly from: string;
  readonly to: string;
  readonly messages: number;
  /** Of each message's body. */
  readonly octets: number;
  /** Whether each connection carries many messages, or one. */
  readonly connections: "kept" | "fresh";
  /** @default 20 */
  readonly sessions?: number;
}

/** Sends with smtp-source; gives the seconds until the last reply. */
export async function smtpSource(burst: Burst): Promise<number> {
  const { port, from, to, messages, octets, connections, sessions = CONNECTIONS } = burst;
  const started = performance.now();
  const said = await output("smtp-source", [
    ...connections === "kept" ? ["-d"] : [],
    ...["-s", `${sessions}`, "-m", `${messages}`, "-l", `${octets}`],
    ...["-f", from, "-t", to, `127.0.0.1:${port}`],
  ]);
  const seconds = (performance.now() - started) / 1000;
  if (said.trim() !== "") throw new Error(`smtp-source: ${said}`);
  return seconds;
}

/** Postfix's smtp-sink: takes all mail, keeps none, and counts. */
export interface CountingSink {
  readonly address: string;
  readonly port: number;
  /** Messages taken since it was started. */
  readonly count: number;
  /** Resolves as soon as it has taken `count` in all; rejects where that lasts longer than `limitMs` milliseconds. */
  reached(count: number, limitMs: number): Promise<void>;
  stop(): Promise<void>;
}

/** Starts one, whose `-c` rewrites a line of counters at each message's final dot and at each session's end. */
export async function startCountingSink(
  { address, port }: { readonly address: string; readonly port: number },
): Promise<CountingSink> {
  const child = new Deno.Command("/usr/sbin/smtp-sink", {
    // It refuses to run as root.
    args: [...Deno.uid() === 0 ? ["-u", "nobody"] : [], "-c", `${address}:${port}`, SINK_BACKLOG],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let count = 0;
  let ended = false;
  let wake: (() => void) | undefined;
  const counting = (async () => {
    let tail = "";
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      // "sess=1 quit=1 mesg=12\r" again and again; what is not complete yet stays for the next piece.
      tail += text;
      const end = tail.lastIndexOf("\r");
      if (end < 0) continue;
      const found = /mesg=(\d+)\s*$/.exec(tail.slice(0, end));
      tail = tail.slice(end + 1);
      if (found !== null) count = Number(found[1]);
      wake?.();
    }
    ended = true;
    wake?.();
  })();
  const sink: CountingSink = {
    address,
    port,
    get count() {
      return count;
    },
    async reached(wanted, limitMs) {
      let late = false;
      const timer = setTimeout(() => {
        late = true;
        wake?.();
      }, limitMs);
      try {
        while (count < wanted) {
          if (ended) throw new Error("smtp-sink ended");
          if (late) throw new Error(`smtp-sink has ${count} messages of ${wanted} after ${limitMs} ms`);
          await new Promise<void>((resolve) => wake = resolve);
        }
      } finally {
        clearTimeout(timer);
        wake = undefined;
      }
    },
    async stop() {
      try {
        child.kill("SIGTERM");
      } catch {
        // It has ended by itself.
      }
      await Promise.all([counting, child.status]);
    },
  };
  for (let waitedMs = 0; !await listens(sink); waitedMs += 50) {
    if (ended || waitedMs > SINK_UP_MS) {
      await sink.stop();
      throw new Error(`smtp-sink does not listen at ${address}, port ${port}`);
    }
    await pause(50);
  }
  return sink;
}

async function listens({ address, port }: { readonly address: string; readonly port: number }) {
  try {
    (await Deno.connect({ hostname: address, port })).close();
    return true;
  } catch {
    return false;
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

// ---------------------------------------------------------------- figures

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The value that `percent` of all are not above. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(sorted.length * percent / 100) - 1))]!;
}

/** `12.3 (10.0 to 14.1)`: median, lowest, highest. */
export function spread(values: readonly number[], digits: number): string {
  const show = (value: number) => value.toFixed(digits);
  return `${show(median(values))} (${show(Math.min(...values))} to ${show(Math.max(...values))})`;
}

/** A table in Markdown. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(heads), `|${heads.map(() => "---|").join("")}`, ...rows.map(line)].join("\n");
}
