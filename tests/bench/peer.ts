/**
 * Postfix and Dovecot from Debian as a private pair on loopback: SMTP by Postfix, delivery by LMTP into Dovecot's
 * maildirs with fsync, POP3 by Dovecot; mail for some domains goes by SMTP to the hosts it is told. Everything lives in one
 * temporary folder; nothing of the machine's own configuration is read or changed.
 *
 * @module
 */
import type { Relay } from "./appliance.ts";
import { CONNECTIONS } from "./load.ts";
import { launch, layOutPostfix, postfixMainCf, postfixMasterCf } from "../e2e/peers/postfix.ts";

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

interface PeerOptions {
  /** Its ports are this one and the two after it. @default 23025 */
  readonly basePort?: number;
  /** Domains whose mail goes to a host. */
  readonly relays?: readonly Relay[];
}

function mainCf(
  root: string,
  { lmtp, relays }: { readonly lmtp: number; readonly relays: readonly Relay[] },
): string {
  const transports = relays.map(({ domain, address, port }) => `${domain}=smtp:[${address}]:${port}`);
  return postfixMainCf(root, {
    myhostname: "mx.peer.test",
    mydestination: "",
    mynetworks: "127.0.0.0/8",
    inet_interfaces: "127.0.0.1",
    inet_protocols: "ipv4",
    virtual_mailbox_domains: "peer.test",
    virtual_mailbox_maps: `hash:${root}/etc/users`,
    virtual_transport: `lmtp:inet:127.0.0.1:${lmtp}`,
    transport_maps: `inline:{${transports.join(", ")}}`,
    smtpd_relay_restrictions: "permit_mynetworks, reject_unauth_destination",
    smtp_tls_security_level: "none",
    message_size_limit: "52428800",
    default_process_limit: "100",
    lmtp_destination_concurrency_limit: `${CONNECTIONS}`,
    smtp_destination_concurrency_limit: `${CONNECTIONS}`,
    // It would begin with 5 connections, and open further ones as the first succeed.
    initial_destination_concurrency: `${CONNECTIONS}`,
  });
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
export async function startPeer(
  users: number,
  { basePort = 23025, relays = [] }: PeerOptions = {},
): Promise<Peer> {
  const root = await Deno.makeTempDir({ dir: "/tmp", prefix: "emsmail-peer-" });
  const ports = { smtp: basePort, lmtp: basePort + 1, pop3: basePort + 2 };
  await layOutPostfix(root);
  for (const folder of ["mail", "run", "state"]) await Deno.mkdir(`${root}/${folder}`);
  await run("chown", [MAIL_USER, `${root}/mail`]);
  const names = Array.from({ length: users }, (_, i) => `u${i}@peer.test`);
  await Deno.writeTextFile(`${root}/etc/main.cf`, mainCf(root, { lmtp: ports.lmtp, relays }));
  await Deno.writeTextFile(`${root}/etc/master.cf`, postfixMasterCf(`127.0.0.1:${ports.smtp}`));
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
