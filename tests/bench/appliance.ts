/**
 * `dist/emsmail` with its defaults for measuring: accounts u0 … u(n-1) at peer.test, password "secret".
 *
 * @module
 */
import { systemRandom } from "../../src/base/random.ts";
import { hashPassword } from "../../src/sasl/password.ts";
import { openSqliteStore, storePath } from "../../src/store/sqlite/open.ts";
import { CONNECTIONS } from "./load.ts";

const binary = Deno.env.get("EMSMAIL_BINARY") ?? new URL("../../dist/emsmail", import.meta.url).pathname;

/** A domain whose mail goes to a host. */
export interface Relay {
  readonly domain: string;
  readonly address: string;
  readonly port: number;
}

export interface ApplianceOptions {
  readonly users: number;
  readonly folder: string;
  readonly threads?: number;
  /** Its ports are this one and those after it. @default 24025 */
  readonly basePort?: number;
  readonly relays?: readonly Relay[];
  /** The setting `queue.retry`. @default the program's own */
  readonly retry?: string;
}

export interface Appliance {
  readonly smtpPort: number;
  readonly pop3Port: number;
  readonly domain: string;
  readonly pid: number;
  /** From its start until it said `ready`, in milliseconds. */
  readonly readyMs: number;
  /** Resolves when every accepted message is in its maildrop, or with the host it was for. */
  drained(): Promise<void>;
  /** Runs a command of the same program, with the same configuration; gives what it printed. */
  command(args: readonly string[]): Promise<string>;
  stop(): Promise<void>;
}

/** Starts it in a fresh folder. */
export async function startAppliance(options: ApplianceOptions): Promise<Appliance> {
  const { folder, basePort = 24025 } = options;
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(configPath(folder), configuration(options, basePort));
  await addAccounts(`${folder}/data`, options.users);
  return await serve(folder, basePort);
}

/** Starts one that was stopped again, as it was. */
export function restartAppliance({ folder, basePort = 24025 }: ApplianceOptions): Promise<Appliance> {
  return serve(folder, basePort);
}

function configPath(folder: string): string {
  return `${folder}/emsmail.yaml`;
}

function configuration(options: ApplianceOptions, basePort: number): string {
  const { folder, threads, relays = [], retry } = options;
  const routes = relays.map(({ domain, address, port }) =>
    `    - { domain: ${domain}, host: ${address}, port: ${port} }\n`
  ).join("");
  return `hostname: mx.peer.test
domains: [peer.test]
data: ${folder}/data
receivers: 200
receiversPerClient: 200
${threads === undefined ? "" : `threads: ${threads}\n`}listen:
  smtp: ["127.0.0.1:${basePort}"]
  submission: []
  submissions: []
  pop3: ["127.0.0.1:${basePort + 1}"]
  pop3s: []
relay:
  clients: [127.0.0.0/8]
${routes === "" ? "" : `  routes:\n${routes}`}queue:
  connectionsPerHost: ${CONNECTIONS}
${retry === undefined ? "" : `  retry: ${retry}\n`}`;
}

async function serve(folder: string, basePort: number): Promise<Appliance> {
  const started = performance.now();
  const server = new Deno.Command("sh", {
    args: ["-c", `exec "$0" serve --config "$1" 2>"$2"`, binary, configPath(folder), `${folder}/emsmail.log`],
    stdout: "piped",
  }).spawn();
  const reader = server.stdout.pipeThrough(new TextDecoderStream()).getReader();
  for (let said = ""; !/^ready/m.test(said);) {
    const { value, done } = await reader.read();
    if (done) {
      throw new Error(`emsmail serve ended: ${said}${await Deno.readTextFile(`${folder}/emsmail.log`)}`);
    }
    said += value;
  }
  return {
    smtpPort: basePort,
    pop3Port: basePort + 1,
    domain: "peer.test",
    pid: server.pid,
    readyMs: performance.now() - started,
    async drained() {
      // The last accepted message has gone where it belongs when the log's counts meet.
      for (let tries = 0; tries < 600; tries++) {
        const text = await Deno.readTextFile(`${folder}/emsmail.log`);
        const gone = count(text, "message delivered") + count(text, "message relayed");
        if (count(text, "message accepted") === gone) return;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      throw new Error("messages were not delivered within a minute");
    },
    async command(args) {
      const { code, stdout, stderr } = await new Deno.Command(binary, {
        args: [...args, "--config", configPath(folder)],
      }).output();
      const text = new TextDecoder().decode(stdout);
      if (code !== 0) {
        throw new Error(`emsmail ${args.join(" ")}: ${new TextDecoder().decode(stderr)}${text}`);
      }
      return text;
    },
    async stop() {
      server.kill("SIGTERM");
      await reader.cancel();
      await server.status;
    },
  };
}

/** All with one hash: making one for each would take longer than what is measured. */
async function addAccounts(data: string, users: number): Promise<void> {
  await Deno.mkdir(data, { recursive: true });
  const store = await openSqliteStore({ path: storePath(data) });
  const passwordHash = await hashPassword("secret", { random: systemRandom });
  const account = {
    pop3: "Y",
    sendAsAny: false,
    passwordHash,
    scramVerifier: "",
    createdAtMs: Date.now(),
  } as const;
  await Promise.all(
    Array.from({ length: users }, (_, user) => store.directory.addAccount({ ...account, name: `u${user}` })),
  );
  await store.close();
}

function count(text: string, word: string): number {
  return text.split(word).length - 1;
}
