/**
 * Postfix and Dovecot from Debian as a private pair on loopback: SMTP by Postfix, delivery by LMTP into Dovecot's
 * maildirs with fsync, POP3 by Dovecot. Everything lives in one temporary folder; nothing of the machine's own
 * configuration is read or changed.
 *
 * @module
 */
export interface Peer {
  readonly smtpPort: number;
  readonly pop3Port: number;
  readonly domain: string;
  /** Resolves when Postfix's queue is empty. */
  drained(): Promise<void>;
  stop(): Promise<void>;
}

async function run(command: string, args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args: [...args] }).output();
  const text = new TextDecoder().decode(stdout);
  if (!success) throw new Error(`${command} ${args.join(" ")}: ${new TextDecoder().decode(stderr) || text}`);
  return text;
}

/** Starts a program that goes into the background; its output is not waited for, since its children keep it open. */
async function launch(command: string, args: readonly string[]): Promise<void> {
  const { success } = await new Deno.Command(command, { args: [...args], stdout: "null", stderr: "null" })
    .spawn().status;
  if (!success) throw new Error(`${command} ${args.join(" ")} failed`);
}

/** Whether the programs are there and may be started (Postfix needs root). */
export async function peerAvailable(): Promise<boolean> {
  if (Deno.uid() !== 0) return false;
  for (
    const file of ["/usr/sbin/postfix", "/usr/sbin/dovecot", "/usr/lib/dovecot/lmtp", "/usr/lib/dovecot/pop3"]
  ) {
    if (!await Deno.stat(file).then(() => true, () => false)) return false;
  }
  return true;
}

function mainCf(root: string, ports: { lmtp: number }): string {
  return `compatibility_level = 3.6
queue_directory = ${root}/spool
data_directory = ${root}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = mx.peer.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
virtual_mailbox_domains = peer.test
virtual_mailbox_maps = hash:${root}/etc/users
virtual_transport = lmtp:inet:127.0.0.1:${ports.lmtp}
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtp_tls_security_level = none
smtputf8_enable = no
maillog_file = ${root}/log/mail.log
maillog_file_prefixes = /tmp
message_size_limit = 52428800
default_process_limit = 100
lmtp_destination_concurrency_limit = 20
`;
}

function masterCf(smtpPort: number): string {
  const services = [
    [`127.0.0.1:${smtpPort}`, "inet", "n", "100", "smtpd"],
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
    ["lmtp", "unix", "-", "-", "lmtp"],
    ["anvil", "unix", "-", "1", "anvil"],
    ["scache", "unix", "-", "1", "scache"],
    ["postlog", "unix-dgram", "n", "1", "postlogd"],
  ];
  const wakeups: Record<string, string> = { pickup: "60", qmgr: "300", tlsmgr: "1000?", flush: "1000?" };
  return services.map(([name, type, isPrivate, processes, command]) =>
    `${name} ${type} ${isPrivate} - n ${wakeups[name!] ?? "-"} ${processes} ${command}\n`
  ).join("");
}

function dovecotConf(root: string, ports: { pop3: number; lmtp: number }): string {
  return `base_dir = ${root}/run
state_dir = ${root}/state
log_path = ${root}/log/dovecot.log
protocols = pop3 lmtp
ssl = no
disable_plaintext_auth = no
listen = 127.0.0.1
mail_location = maildir:${root}/mail/%n
mail_uid = ${MAIL_USER}
mail_gid = ${MAIL_USER}
first_valid_uid = 1
mail_fsync = always
auth_cache_size = 10M
default_client_limit = 2000
service pop3-login {
  service_count = 0
  process_min_avail = 2
  inet_listener pop3 {
    port = ${ports.pop3}
  }
  inet_listener pop3s {
    port = 0
  }
}
service lmtp {
  process_min_avail = 4
  inet_listener lmtp {
    address = 127.0.0.1
    port = ${ports.lmtp}
  }
}
passdb {
  driver = passwd-file
  args = username_format=%u ${root}/etc/passwords
}
userdb {
  driver = static
  args = uid=${MAIL_USER} gid=${MAIL_USER} home=${root}/mail/%n
}
`;
}

/** A user that Debian always has and that mail may belong to. */
const MAIL_USER = "mail";

/** Starts the pair with users u0 … u(users-1)@peer.test, password "secret". */
export async function startPeer(users: number, basePort = 23025): Promise<Peer> {
  const root = await Deno.makeTempDir({ dir: "/tmp", prefix: "emsmail-peer-" });
  const ports = { smtp: basePort, lmtp: basePort + 1, pop3: basePort + 2 };
  await Deno.chmod(root, 0o755);
  for (const folder of ["etc", "spool", "data", "mail", "run", "state", "log"]) {
    await Deno.mkdir(`${root}/${folder}`);
  }
  await run("chown", ["postfix", `${root}/data`]);
  await run("chown", [MAIL_USER, `${root}/mail`]);
  const names = Array.from({ length: users }, (_, i) => `u${i}@peer.test`);
  await Deno.writeTextFile(`${root}/etc/main.cf`, mainCf(root, ports));
  await Deno.writeTextFile(`${root}/etc/master.cf`, masterCf(ports.smtp));
  await Deno.writeTextFile(`${root}/etc/users`, names.map((name) => `${name} ${name}\n`).join(""));
  await Deno.writeTextFile(
    `${root}/etc/passwords`,
    names.map((name) => `${name}:{PLAIN}secret::::::\n`).join(""),
  );
  await Deno.writeTextFile(`${root}/etc/dovecot.conf`, dovecotConf(root, ports));
  await run("postmap", ["-c", `${root}/etc`, `${root}/etc/users`]);
  await launch("dovecot", ["-c", `${root}/etc/dovecot.conf`]);
  await launch("postfix", ["-c", `${root}/etc`, "start"]);
  return {
    smtpPort: ports.smtp,
    pop3Port: ports.pop3,
    domain: "peer.test",
    async drained() {
      for (let tries = 0; tries < 600; tries++) {
        if ((await run("postqueue", ["-c", `${root}/etc`, "-j"])).trim() === "") return;
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
      throw new Error("Postfix's queue did not empty within two minutes");
    },
    async stop() {
      await run("postfix", ["-c", `${root}/etc`, "stop"]).catch(() => {});
      await run("doveadm", ["-c", `${root}/etc/dovecot.conf`, "stop"]).catch(() => {});
      await Deno.remove(root, { recursive: true }).catch(() => {});
    },
  };
}
