/**
 * Carries mail to gateways other than SMTP, so that lanes, tries, holds and the record of outcomes are the queue's own.
 *
 * Guarantees: each recipient of a job gets one verdict. `handed` is said when the gateway has the message for good: its
 * files are on disk under their names, its command ended with 0. A gateway that is gone from the configuration, or whose
 * folder or program is, makes its mail wait.
 *
 * Absent on purpose: TLS. A message that may only travel by verified TLS goes back (RFC 8689 4.2.1): what is behind a
 * gateway promises nothing.
 *
 * @module
 */
import type { Clock } from "../../base/clock.ts";
import { DIALOGUE_OCTETS } from "../../base/limits.ts";
import { type Address, parseAddress } from "../../mail/address.ts";
import { fromMailAddress, isOnGateway } from "../../mail/gateway_address.ts";
import { reply } from "../../mail/reply.ts";
import type { Attempt, QueuedMessage, QueuedRecipient } from "../../store/types.ts";
import type { Connect, Connected, Courier, Explain, Sent } from "../courier_types.ts";
import type { Destination, Job } from "../destination.ts";
import type { Verdict } from "../ledger.ts";
import type { OutgoingContent, Trial } from "../smtp_courier.ts";
import { checkDropOut, dropOut } from "./drop_out.ts";
import { dropFiles } from "./files.ts";
import { checkPipe, pipe } from "./pipe.ts";
import { type Run, runProcess } from "./process.ts";
import type { Carried, DropFiles, OutGateway, Portion } from "./types.ts";

export interface GatewayOptions {
  /** A gateway as it is configured now; undefined where it isn't. */
  gateway(name: string): OutGateway | undefined;
  /** A message's octets; rejects where they can't be read. */
  content(message: QueuedMessage): Promise<OutgoingContent>;
  readonly clock: Clock;
  /** When a recipient that was deferred for the `failures`th time is tried again, in milliseconds since 1970. */
  retryAtMs(failures: number): number;
  /** @default {dropFiles} */
  readonly files?: DropFiles;
  /** @default {runProcess} */
  readonly run?: Run;
}

/** What a courier works with, all of it there. */
type Tools = Required<GatewayOptions>;

/** Opens the way to a gateway: there is nothing to connect, but it must be configured, and its folder or program there. */
export function gatewayConnect(options: GatewayOptions): Connect {
  const tools: Tools = {
    files: dropFiles,
    run: runProcess,
    ...options,
    gateway: (name) => options.gateway(name),
    content: (message) => options.content(message),
    retryAtMs: (failures) => options.retryAtMs(failures),
  };
  return async (destination) => {
    const atMs = tools.clock.nowMs();
    const problem = await gatewayProblem(destination, tools);
    if (problem === undefined) return { kind: "courier", courier: new GatewayCourier(destination, tools) };
    return unreachable(destination, { atMs, durationMs: tools.clock.nowMs() - atMs, problem });
  };
}

/** Why nothing can be given to a gateway now; undefined: something may. */
async function gatewayProblem({ hop, name }: Destination, tools: Tools): Promise<string | undefined> {
  if (hop.kind !== "gateway") return `${name} is no gateway`;
  const gateway = tools.gateway(hop.name);
  if (gateway === undefined) return notConfigured(hop.name);
  return gateway.kind === "filedrop" ? await checkDropOut(gateway, tools.files) : await checkPipe(gateway);
}

function notConfigured(name: string): string {
  return `the gateway ${name} is not in the configuration any more: put it back under gateways, or reroute or drop the ` +
    "message";
}

function unreachable(
  destination: Destination,
  { atMs, durationMs, problem }: { atMs: number; durationMs: number; problem: string },
): Connected {
  const trial: Trial = {
    atMs,
    durationMs,
    destination: destination.name,
    host: "",
    address: "",
    tls: "",
    result: problem,
    dialogue: "",
  };
  const verdict: Explain = ({ message, recipients }) => ({
    verdicts: recipients.map((recipient) => ({
      ...deferral(recipient, destination, { reason: problem, dueMs: 0 }),
      unreachable: "yes",
    })),
    extras: { attempts: [{ ...trial, key: message.key, indexes: recipients.map(({ index }) => index) }] },
  });
  return { kind: "unreachable", reason: problem, verdict };
}

class GatewayCourier implements Courier {
  readonly #destination: Destination;
  readonly #tools: Tools;
  readonly #abort = new AbortController();
  #state: "ready" | "over" = "ready";

  constructor(destination: Destination, tools: Tools) {
    this.#destination = destination;
    this.#tools = tools;
  }

  get alive(): boolean {
    return this.#state === "ready";
  }

  async send({ message, recipients }: Job): Promise<Sent> {
    const verdicts: Verdict[] = [];
    const attempts: Attempt[] = [];
    // Read anew for each job: a reload may have changed it.
    const { hop } = this.#destination;
    const gateway = hop.kind === "gateway" ? this.#tools.gateway(hop.name) : undefined;
    for (const group of this.#groups(message, recipients, gateway)) {
      const atMs = this.#tools.clock.nowMs();
      const carried = await this.#carry(message, group, gateway);
      attempts.push({
        key: message.key,
        indexes: group.map(({ index }) => index),
        atMs,
        durationMs: this.#tools.clock.nowMs() - atMs,
        destination: this.#destination.name,
        host: "",
        address: "",
        tls: "",
        result: carried.text,
        dialogue: dialogueOf(carried),
      });
      verdicts.push(...group.map((recipient) => this.#verdict(recipient, carried)));
    }
    return { kind: "done", verdicts, extras: { attempts } };
  }

  quit(): Promise<void> {
    this.#state = "over";
    return Promise.resolve();
  }

  destroy(): void {
    this.#state = "over";
    this.#abort.abort();
  }

  /** A command is given each recipient by itself; a folder, those of one reverse-path together. */
  #groups(
    { reversePath }: QueuedMessage,
    recipients: readonly QueuedRecipient[],
    gateway: OutGateway | undefined,
  ): QueuedRecipient[][] {
    if (gateway?.kind === "pipe") return recipients.map((recipient) => [recipient]);
    const groups = new Map<string, QueuedRecipient[]>();
    for (const recipient of recipients) {
      const sender = recipient.reversePath ?? reversePath;
      const group = groups.get(sender);
      if (group === undefined) groups.set(sender, [recipient]);
      else group.push(recipient);
    }
    return [...groups.values()];
  }

  async #carry(
    message: QueuedMessage,
    recipients: readonly QueuedRecipient[],
    gateway: OutGateway | undefined,
  ): Promise<Carried> {
    if (gateway === undefined) {
      const { hop } = this.#destination;
      const text = notConfigured(hop.kind === "gateway" ? hop.name : this.#destination.name);
      return { kind: "deferred", text, dialogue: [] };
    }
    if (message.requests?.requireTls === true) {
      const text = `The sender asked for REQUIRETLS, and the gateway ${gateway.name} can't promise that`;
      return { kind: "failed", enhanced: "5.7.30", text, dialogue: [] };
    }
    try {
      const portion: Portion = {
        message,
        recipients: recipients.map(({ index, recipient }) => ({ index, name: nameOf(recipient, gateway) })),
        reversePath: recipients[0]!.reversePath ?? message.reversePath,
        content: await this.#tools.content(message),
      };
      const { signal } = this.#abort;
      return gateway.kind === "filedrop"
        ? await dropOut(gateway, portion, { files: this.#tools.files, signal })
        : await pipe(gateway, portion, { run: this.#tools.run, clock: this.#tools.clock, signal });
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      return { kind: "deferred", text: `it could not be sent: ${problem}`, dialogue: [] };
    }
  }

  #verdict(recipient: QueuedRecipient, carried: Carried): Verdict {
    const { name } = this.#destination;
    const { text } = carried;
    switch (carried.kind) {
      case "handed":
        // RFC 3461 5.2.2: it knows no notifications, so a sender who asked to be told hears "relayed".
        return {
          kind: "handed",
          recipient,
          by: name,
          reply: reply(250, undefined, text),
          dsn: "not-supported",
        };
      case "failed": {
        const answer = reply(550, carried.enhanced ?? "5.3.0", text);
        return { kind: "failed", recipient, reply: answer, by: "", dialogue: "" };
      }
      case "deferred":
        return deferral(recipient, this.#destination, {
          reason: text,
          dueMs: this.#tools.retryAtMs((recipient.wait?.attempts ?? 0) + 1),
        });
    }
  }
}

function deferral(
  recipient: QueuedRecipient,
  { name }: Destination,
  how: { readonly reason: string; readonly dueMs: number },
): Extract<Verdict, { readonly kind: "deferred" }> {
  return {
    kind: "deferred",
    recipient,
    destination: name,
    tried: "yes",
    unreachable: "no",
    backup: undefined,
    by: "",
    // What was done is for operators, who find it with the tries: it tells of programs and folders.
    dialogue: "",
    ...how,
  };
}

function dialogueOf({ dialogue }: Carried): string {
  return dialogue.join("\n").slice(0, DIALOGUE_OCTETS);
}

/** What the gateway calls a recipient; an address that isn't one of its own stays as it is. */
export function nameOf(recipient: string, { domain }: Pick<OutGateway, "domain">): string {
  const address: Address | { readonly error: string } = parseAddress(recipient);
  if ("error" in address || !isOnGateway(address, domain)) return recipient;
  return fromMailAddress(address, domain);
}
