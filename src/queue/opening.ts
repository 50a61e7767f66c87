/**
 * One connection on its way from nothing to ready for mail: TCP, greeting, EHLO, TLS as policy has it, log-in.
 *
 * Guarantees: never rejects; ends within the time-outs of its steps; a certificate that policy refuses ends it before
 * anything of a message or a password is said.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { isIPv4, isIPv6 } from "node:net";
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import { isDomain } from "../mail/address.ts";
import { isTemporary, type Reply, reply } from "../mail/reply.ts";
import type { TlsResultType } from "../mime/tls_report.ts";
import type { PeerTls } from "../net/connection.ts";
import { DialError, type DialOptions } from "../net/dial.ts";
import type { RelayHost } from "../routing/route.ts";
import { SmtpClientSession } from "../smtp/client/session.ts";
import type { ClientCredentials, ClientEvent } from "../smtp/client/types.ts";
import type { Destination } from "./destination.ts";
import { DialogueDriver, type Link } from "./dialogue_driver.ts";
import type { Host } from "./hosts.ts";
import { replyText } from "./ledger.ts";
import type { Trial } from "./smtp_courier.ts";
import { type HostPolicy, unsafe } from "./tls_policy.ts";

/** How long a connection may take to be made, in milliseconds: TCP's own first tries take 7 seconds. */
const DIAL_MS = 30_000;

/** Connects by TCP. @throws {DialError} */
export type Dial = (options: DialOptions) => Promise<Link>;

export interface OpeningOptions {
  readonly dial: Dial;
  readonly clock: Clock;
  readonly random: Random;
  readonly settings: () => { readonly hostname: string; readonly ca: string | undefined };
  /** A relay host's password; rejects with a sentence where it can't be read. */
  readonly readPassword: (file: string) => Promise<string>;
  readonly destination: Destination;
  readonly host: Host;
  readonly address: string;
  /** Address and port, as they are written. */
  readonly place: string;
  readonly policy: HostPolicy;
  readonly signal: AbortSignal;
}

export type Opened =
  | { readonly kind: "open"; readonly driver: DialogueDriver }
  | {
    readonly kind: "failed";
    readonly problem: string;
    /** The host's word on all mail, or what a sender is told whose message can't go there as it asks to. */
    readonly reply: Reply | undefined;
    readonly from: "peer" | "here";
  };

/** A connection on its way from nothing to ready. */
export class Opening {
  readonly #options: OpeningOptions;
  readonly #beganMs: number;
  #driver: DialogueDriver | undefined;
  #peer: PeerTls | undefined;
  #handshake: "none" | "failed" = "none";
  /** As the record of tries has it; "" in the clear. */
  tls = "";
  /** What a report has to say; undefined: nothing that TLS had a part in happened. */
  tlsResult: TlsResultType | undefined;

  constructor(options: OpeningOptions) {
    this.#options = options;
    this.#beganMs = options.clock.nowMs();
  }

  /** Whether it failed by TLS that nobody insists on. */
  get mayDoWithout(): boolean {
    return this.#handshake === "failed" && this.#options.policy.starttls === "if-offered";
  }

  trial(problem: string): Trial {
    const { clock, destination, host, place } = this.#options;
    return {
      atMs: this.#beganMs,
      durationMs: clock.nowMs() - this.#beganMs,
      destination: destination.name,
      host: host.name,
      address: place,
      tls: this.tls,
      result: problem,
      dialogue: this.#driver?.session.takeDialogue() ?? "",
    };
  }

  async run(): Promise<Opened> {
    const { dial, clock, address, host, signal } = this.#options;
    let connection: Link;
    try {
      connection = await dial({ address, port: host.port, timeoutMs: DIAL_MS, clock, signal });
    } catch (error) {
      return failedBy(error instanceof DialError ? error.message : String(error));
    }
    const abort = () => connection.destroy();
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    try {
      return await this.#greet(connection);
    } catch (error) {
      connection.destroy();
      return failedBy(error instanceof Error ? error.message : String(error));
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  async #greet(connection: Link): Promise<Opened> {
    const { destination: { hop }, policy, settings } = this.#options;
    const relay = hop.kind === "host" ? hop.host : undefined;
    if (relay?.tls === "implicit") {
      const problem = await this.#secure(connection);
      if (problem !== undefined) return problem;
    }
    const session = new SmtpClientSession({
      hostname: helloName(settings().hostname, connection.localAddress),
      starttls: this.#peer === undefined ? policy.starttls : "never",
      ...this.#peer === undefined ? {} : { tls: this.#peer.description },
      ...relay?.user === undefined ? {} : { credentials: await this.#credentials(relay) },
    });
    const driver = new DialogueDriver(session, { connection, clock: this.#options.clock });
    this.#driver = driver;
    for (;;) {
      const event = await driver.event();
      switch (event.kind) {
        case "ready":
          if (!this.#lacksRequireTls(session)) return { kind: "open", driver };
          session.quit();
          await driver.event();
          driver.end();
          return failedBy(
            "the server does not offer REQUIRETLS",
            reply(550, "5.7.30", "The sender asked for REQUIRETLS, and the server does not offer it"),
          );
        case "starttls": {
          const problem = await this.#secure(connection);
          if (problem !== undefined) return problem;
          session.secured(this.#peer!.description);
          break;
        }
        case "failed":
          driver.end();
          return this.#refused(event);
        default:
          throw new Error(`unexpected event ${event.kind} of the SMTP client`);
      }
    }
  }

  /** RFC 8689 4.2.1: such a message goes only to a server that will ask for the same. */
  #lacksRequireTls(session: SmtpClientSession): boolean {
    return this.#options.destination.tls === "verified" && !session.extensions.has("REQUIRETLS");
  }

  #refused(event: Extract<ClientEvent, { kind: "failed" }>): Opened {
    const said = event.reply === undefined ? "" : `: ${replyText(event.reply)}`;
    const problem = `${event.problem}${said}`;
    if (event.fault === "tls-unavailable") {
      this.tlsResult = "starttls-not-supported";
      const isForNow = event.reply !== undefined && isTemporary(event.reply);
      return isForNow ? failedBy(problem) : this.#unprotected(problem);
    }
    // A log-in that fails is for the operator to mend, and no word on anybody's mail.
    return {
      kind: "failed",
      problem,
      reply: event.fault === "refused" ? event.reply : undefined,
      from: "peer",
    };
  }

  /** The host has no TLS that will do: for good, where the message itself asked for it (RFC 8689 4.2.1). */
  #unprotected(problem: string): Opened {
    const { destination } = this.#options;
    return failedBy(problem, destination.tls === "verified" ? unsafe(`REQUIRETLS: ${problem}`) : undefined);
  }

  /** Does the handshake and judges the certificate; gives what is wrong. */
  async #secure(connection: Link): Promise<Opened | undefined> {
    const { host, policy, settings } = this.#options;
    try {
      this.#peer = await connection.secureAsClient({
        servername: host.name,
        ca: settings().ca,
        minVersion: "TLSv1.2",
      });
    } catch (error) {
      this.#handshake = "failed";
      this.tlsResult = "validation-failure";
      connection.destroy();
      return failedBy(error instanceof Error ? error.message : String(error));
    }
    const verdict = policy.judge(this.#peer);
    this.tlsResult = verdict.resultType;
    if (verdict.ok) {
      this.tls = `${this.#peer.description}, ${verdict.how}`;
      return undefined;
    }
    this.tls = `${this.#peer.description}, not accepted`;
    connection.destroy();
    return this.#unprotected(`${policy.name} forbids sending: ${verdict.problem}`);
  }

  async #credentials({ user, passwordFile }: RelayHost): Promise<ClientCredentials> {
    const password = await this.#options.readPassword(passwordFile!);
    const nonce = Buffer.from(this.#options.random.bytes(18)).toString("base64");
    return { user: user!, password, nonce };
  }
}

/**
 * How this system names itself in EHLO: a machine's name that is no domain (`build_host`) would be refused, so its address
 * stands for it (RFC 5321 4.1.1.1, 4.1.3).
 */
export function helloName(hostname: string, localAddress = ""): string {
  if (isDomain(hostname) && !/[^\x21-\x7e]/.test(hostname)) return hostname;
  if (isIPv6(localAddress)) return `[IPv6:${localAddress}]`;
  return isIPv4(localAddress) ? `[${localAddress}]` : "localhost";
}

function failedBy(problem: string, answer?: Reply): Opened {
  return { kind: "failed", problem, reply: answer, from: "here" };
}
