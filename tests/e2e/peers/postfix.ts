/**
 * Debian's Postfix as a private system on loopback, with its configuration, queue and log in one temporary folder;
 * nothing of the machine's own configuration is read or changed. It needs root, as Postfix does.
 *
 * Without further settings it relays for loopback, delivers what is for no domain of its own by DNS of the machine (so a
 * test names a transport for every domain it uses), asks for no TLS, and tries again by itself only after minutes: tests
 * say when, by `flush`.
 *
 * @module
 */

export interface Postfix {
  readonly address: string;
  readonly port: number;
  /** Everything of this instance is in here; `etc` is its configuration folder. */
  readonly folder: string;
  /** The ids of what is in its queue. */
  queueIds(): Promise<string[]>;
  /** Has it try all that waits, now (`postqueue -f`). */
  flush(): Promise<void>;
  /** Its log so far. */
  log(): string;
  /** Ends it, and keeps its folder: `start` goes on with the same queue. */
  halt(): Promise<void>;
  start(): Promise<void>;
  /** Ends it and removes everything. */
  stop(): Promise<void>;
}

export interface PostfixOptions {
  /** The address it listens on and connects from, of 127.0.0.0/8. */
  readonly address: string;
  /** @default 25 */
  readonly port?: number;
  readonly hostname: string;
  /** Settings of main.cf over the usual ones; `$etc` in a value is the configuration folder. */
  readonly main?: Readonly<Record<string, string>>;
  /** Lines of transport_maps: `example.test smtp:[127.0.0.1]:2525`. */
  readonly transport?: readonly string[];
  /** Lines of master.cf after the usual ones. */
  readonly master?: readonly string[];
  /** Files put into the configuration folder before it starts, by their names. */
  readonly files?: Readonly<Record<string, string>>;
}

const COMMAND_FOLDER = "/usr/sbin";

/** Whether it is here and may be started. */
export function postfixAvailable(): boolean {
  if (Deno.uid() !== 0) return false;
  try {
    return Deno.statSync(`${COMMAND_FOLDER}/postfix`).isFile;
  } catch {
    return false;
  }
}

/** Starts an instance. */
export async function startPostfix(options: PostfixOptions): Promise<Postfix> {
  const folder = await Deno.makeTempDir({ dir: "/tmp", prefix: "emsmail-postfix-" });
  await layOutPostfix(folder);
  const port = options.port ?? 25;
  const etc = `${folder}/etc`;
  for (const [name, text] of Object.entries(options.files ?? {})) {
    await Deno.writeTextFile(`${etc}/${name}`, text);
  }
  const settings: Record<string, string> = {
    myhostname: options.hostname,
    mydestination: "",
    mynetworks: "127.0.0.0/8",
    // It has to be one that an interface names, which of 127.0.0.0/8 only the first is; master.cf says where it listens.
    inet_interfaces: "127.0.0.1",
    inet_protocols: "ipv4",
    // Which of 127.0.0.0/8 it connects from is not left to the system.
    smtp_bind_address: options.address,
    smtpd_relay_restrictions: "permit_mynetworks, reject_unauth_destination",
    smtp_tls_security_level: "none",
    local_transport: "error:5.1.1 nobody has a mailbox here",
    alias_maps: "",
    alias_database: "",
  };
  if (options.transport !== undefined) {
    await Deno.writeTextFile(`${etc}/transport`, options.transport.map((line) => `${line}\n`).join(""));
    settings["transport_maps"] = `texthash:${etc}/transport`;
  }
  for (const [name, value] of Object.entries(options.main ?? {})) {
    settings[name] = value.replaceAll("$etc", etc);
  }
  await Deno.writeTextFile(`${etc}/main.cf`, postfixMainCf(folder, settings));
  await Deno.writeTextFile(
    `${etc}/master.cf`,
    postfixMasterCf(`${options.address}:${port}`) +
      (options.master ?? []).map((line) => `${line}\n`).join(""),
  );
  const instance = new Instance(folder, { address: options.address, port });
  try {
    await instance.start();
  } catch (error) {
    await instance.stop();
    throw error;
  }
  return instance;
}

class Instance implements Postfix {
  readonly address: string;
  readonly port: number;
  #state: "running" | "ended" = "ended";

  constructor(
    readonly folder: string,
    { address, port }: { readonly address: string; readonly port: number },
  ) {
    this.address = address;
    this.port = port;
  }

  async queueIds(): Promise<string[]> {
    const text = await run("postqueue", ["-c", `${this.folder}/etc`, "-j"]);
    return text.split("\n").filter((line) => line !== "")
      .map((line) => (JSON.parse(line) as { queue_id: string }).queue_id);
  }

  async flush(): Promise<void> {
    await run("postqueue", ["-c", `${this.folder}/etc`, "-f"]);
  }

  log(): string {
    try {
      return Deno.readTextFileSync(`${this.folder}/log/mail.log`);
    } catch {
      return "";
    }
  }

  async start(): Promise<void> {
    await launch(`${COMMAND_FOLDER}/postfix`, ["-c", `${this.folder}/etc`, "start"]);
    this.#state = "running";
    // `start` returns when the master process runs, which is before it listens.
    const begun = performance.now();
    for (;;) {
      try {
        (await Deno.connect({ hostname: this.address, port: this.port })).close();
        return;
      } catch (error) {
        if (performance.now() - begun > START_MS) {
          throw new Error(`Postfix on ${this.address}:${this.port} did not come up: ${error}\n${this.log()}`);
        }
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  async halt(): Promise<void> {
    if (this.#state === "ended") return;
    this.#state = "ended";
    await run(`${COMMAND_FOLDER}/postfix`, ["-c", `${this.folder}/etc`, "stop"]);
  }

  async stop(): Promise<void> {
    await this.halt().catch(() => {});
    await Deno.remove(this.folder, { recursive: true }).catch(() => {});
  }
}

/** How long it may take to listen, in milliseconds. */
const START_MS = 15_000;

// ---------------------------------------------------------------- its files, also for the benchmark's instance

/** Makes the folders an instance needs below `root`. */
export async function layOutPostfix(root: string): Promise<void> {
  await Deno.chmod(root, 0o755);
  for (const folder of ["etc", "spool", "data", "log"]) await Deno.mkdir(`${root}/${folder}`);
  await run("chown", ["postfix", `${root}/data`]);
}

/** The text of main.cf, with `settings` after those that keep the instance to its folder. */
export function postfixMainCf(root: string, settings: Readonly<Record<string, string>>): string {
  const all = {
    compatibility_level: "3.6",
    queue_directory: `${root}/spool`,
    data_directory: `${root}/data`,
    command_directory: COMMAND_FOLDER,
    daemon_directory: "/usr/lib/postfix/sbin",
    mail_owner: "postfix",
    setgid_group: "postdrop",
    maillog_file: `${root}/log/mail.log`,
    maillog_file_prefixes: "/tmp",
    smtpd_client_connection_count_limit: "0",
    smtpd_client_connection_rate_limit: "0",
    smtputf8_enable: "no",
    ...settings,
  };
  return Object.entries(all).map(([name, value]) => `${name} = ${value}\n`).join("");
}

/** The text of master.cf: smtpd on `listener`, and the services that Postfix is made of, none of them in a chroot. */
export function postfixMasterCf(listener: string): string {
  const services = [
    [listener, "inet", "n", "100", "smtpd"],
    ["pickup", "unix", "n", "1", "pickup"],
    ["cleanup", "unix", "n", "0", "cleanup"],
    ["qmgr", "unix", "n", "1", "qmgr"],
    ["tlsmgr", "unix", "-", "1", "tlsmgr"],
    ["rewrite", "unix", "-", "-", "trivial-rewrite"],
    ["bounce", "unix", "-", "0", "bounce"],
    ["defer", "unix", "-", "0", "bounce"],
    ["trace", "unix", "-", "0", "bounce"],
    ["verify", "unix", "-", "1", "verify"],
    ["flush", "unix", "n", "0", "flush"],
    ["proxymap", "unix", "-", "-", "proxymap"],
    ["smtp", "unix", "-", "-", "smtp"],
    ["relay", "unix", "-", "-", "smtp"],
    ["showq", "unix", "n", "-", "showq"],
    ["error", "unix", "-", "-", "error"],
    ["retry", "unix", "-", "-", "error"],
    ["discard", "unix", "-", "-", "discard"],
    ["virtual", "unix", "-", "-", "virtual"],
    ["lmtp", "unix", "-", "-", "lmtp"],
    ["anvil", "unix", "-", "1", "anvil"],
    ["scache", "unix", "-", "1", "scache"],
    ["postlog", "unix-dgram", "n", "1", "postlogd"],
  ];
  const wakeups: Record<string, string> = { pickup: "60", qmgr: "300", tlsmgr: "1000?", flush: "1000?" };
  return services.map(([name, type, isPrivate, processes, command]) =>
    `${name} ${type} ${isPrivate} ${unprivileged(name!)} n ${wakeups[name!] ?? "-"} ${processes} ${command}\n`
  ).join("");
}

/** virtual(8) changes to each mailbox's owner, so it keeps root's rights. */
function unprivileged(service: string): "n" | "-" {
  return service === "virtual" ? "n" : "-";
}

async function run(command: string, args: readonly string[]): Promise<string> {
  const path = command.startsWith("/") || command === "chown" ? command : `${COMMAND_FOLDER}/${command}`;
  const { success, stdout, stderr } = await new Deno.Command(path, { args: [...args] }).output();
  const text = new TextDecoder().decode(stdout);
  if (!success) throw new Error(`${command} ${args.join(" ")}: ${new TextDecoder().decode(stderr) || text}`);
  return text;
}

/** Starts a program that goes into the background; its output is not waited for, since its children keep it open. */
export async function launch(command: string, args: readonly string[]): Promise<void> {
  const { success } = await new Deno.Command(command, { args: [...args], stdout: "null", stderr: "null" })
    .spawn().status;
  if (!success) throw new Error(`${command} ${args.join(" ")} failed`);
}
