/**
 * `dist/emsmail` with its defaults for measuring: accounts u0 … u(n-1) at peer.test, password "secret".
 *
 * @module
 */
import { systemRandom } from "../../src/base/random.ts";
import { hashPassword } from "../../src/sasl/password.ts";
import { openSqliteStore, storePath } from "../../src/store/sqlite/open.ts";

const binary = Deno.env.get("EMSMAIL_BINARY") ?? new URL("../../dist/emsmail", import.meta.url).pathname;
const PORTS = { smtp: 24025, pop3: 24110 };

export interface Appliance {
  readonly smtpPort: number;
  readonly pop3Port: number;
  readonly domain: string;
  readonly pid: number;
  /** Resolves when every accepted message is in its maildrop. */
  drained(): Promise<void>;
  stop(): Promise<void>;
}

export async function startAppliance(
  options: { readonly users: number; readonly folder: string; readonly threads?: number },
): Promise<Appliance> {
  const config = `${options.folder}/emsmail.yaml`;
  await Deno.writeTextFile(
    config,
    `hostname: mx.peer.test
domains: [peer.test]
data: ${options.folder}/data
receivers: 200
receiversPerClient: 200
${options.threads === undefined ? "" : `threads: ${options.threads}\n`}listen:
  smtp: ["127.0.0.1:${PORTS.smtp}"]
  submission: []
  submissions: []
  pop3: ["127.0.0.1:${PORTS.pop3}"]
  pop3s: []
`,
  );
  await addAccounts(`${options.folder}/data`, options.users);
  const log = await Deno.open(`${options.folder}/emsmail.log`, { create: true, write: true, truncate: true });
  const server = new Deno.Command("sh", {
    args: ["-c", `exec "$0" serve --config "$1" 2>"$2"`, binary, config, `${options.folder}/emsmail.log`],
    stdout: "piped",
  }).spawn();
  log.close();
  const reader = server.stdout.pipeThrough(new TextDecoderStream()).getReader();
  for (let said = ""; !/^ready/m.test(said);) {
    const { value, done } = await reader.read();
    if (done) {
      throw new Error(
        `emsmail serve ended: ${said}${await Deno.readTextFile(`${options.folder}/emsmail.log`)}`,
      );
    }
    said += value;
  }
  return {
    smtpPort: PORTS.smtp,
    pop3Port: PORTS.pop3,
    domain: "peer.test",
    pid: server.pid,
    async drained() {
      // The last accepted message is delivered when the log's two counts meet.
      for (let tries = 0; tries < 600; tries++) {
        const text = await Deno.readTextFile(`${options.folder}/emsmail.log`);
        if (count(text, "message accepted") === count(text, "message delivered")) return;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      throw new Error("messages were not delivered within a minute");
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
