/**
 * Joins the gateways other than SMTP: what the configuration says of them, folders and commands, and the store.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { stat } from "node:fs/promises";
import { systemClock } from "../base/clock.ts";
import type { Config } from "../config/config.ts";
import { firstDomain, gatewayDomain } from "../config/names.ts";
import type { MessageKey } from "../mail/message_id.ts";
import type { Connect } from "../queue/courier_types.ts";
import { gatewayConnect, type GatewayOptions } from "../queue/gateways/courier.ts";
import { DropIn, type DropInOptions } from "../queue/gateways/drop_in.ts";
import { DropPoller } from "../queue/gateways/drop_poller.ts";
import { dropFiles, fileProblem } from "../queue/gateways/files.ts";
import type { InGateway, OutGateway } from "../queue/gateways/types.ts";
import { findDestination, type Secrets } from "../server/mailboxes.ts";
import type { Store } from "../store/types.ts";

const log = getLogger(["emsmail", "gateway"]);

export interface GatewaysOptions extends Pick<GatewayOptions, "content" | "retryAtMs"> {
  readonly store: Pick<Store, "spool" | "history" | "directory">;
  readonly config: () => Config;
  /** The one that all of this thread's messages get their keys from. */
  readonly nextKey: () => MessageKey;
  readonly secrets: () => Secrets;
}

export interface Gateways {
  /** The way to those that mail goes out by. */
  readonly connect: Connect;
  /** Begins to look into the folders that mail comes in by; says in the log which folders are missing. */
  start(): Promise<void>;
  /** Finishes the message in hand. What goes out is the queue's to end. */
  stop(): Promise<void>;
}

/** The gateways other than SMTP, as the configuration has them at any time. */
export function createGateways(options: GatewaysOptions): Gateways {
  const { store, config, nextKey, secrets } = options;
  const dropIn = new DropIn({
    files: dropFiles,
    spool: store.spool,
    history: store.history,
    clock: systemClock,
    nextKey,
    settings: () => {
      const { hostname, limits } = config();
      return { hostname, domain: firstDomain(config()), messageOctets: limits.messageBytes };
    },
    refusal: refusalBy(store, config, secrets),
  });
  const poller = new DropPoller({ dropIn, clock: systemClock, gateways: () => inGateways(config()) });
  return {
    connect: gatewayConnect({
      gateway: (name) => outGateway(config(), name),
      content: (message) => options.content(message),
      retryAtMs: (failures) => options.retryAtMs(failures),
      clock: systemClock,
    }),
    async start() {
      for (const problem of await folderProblems(config())) {
        log.warn("a gateway's folder can't be used", { reason: problem });
      }
      poller.start();
    },
    stop: () => poller.stop(),
  };
}

/** The connection of either kind, by where a destination leads. */
export function connectThrough(
  { smtp, gateways }: { readonly smtp: Connect; readonly gateways: Connect },
): Connect {
  return (destination, signal) =>
    destination.hop.kind === "gateway" ? gateways(destination, signal) : smtp(destination, signal);
}

/** A gateway that mail goes out by; undefined where none has that name. */
export function outGateway(config: Config, name: string): OutGateway | undefined {
  const { filedrop, pipe } = config.gateways;
  const drop = filedrop.find((each) => each.name === name);
  if (drop !== undefined) {
    return { kind: "filedrop", name, domain: gatewayDomain(drop, config), out: drop.out };
  }
  const command = pipe.find((each) => each.name === name);
  if (command === undefined) return undefined;
  const domain = gatewayDomain(command, config);
  return { kind: "pipe", name, domain, command: command.command, timeoutMs: command.timeout };
}

/** The folders that mail comes in by. */
export function inGateways(config: Config): readonly InGateway[] {
  return config.gateways.filedrop.flatMap((each) =>
    each.in === undefined
      ? []
      : [{ name: each.name, domain: gatewayDomain(each, config), in: each.in, pollMs: each.poll }]
  );
}

/** What is wrong with the configured folders now, a sentence each: they are other systems' too, and so not made here. */
export async function folderProblems(config: Config): Promise<string[]> {
  const problems: string[] = [];
  for (const [index, drop] of config.gateways.filedrop.entries()) {
    for (const key of ["out", "in"] as const) {
      const folder = drop[key];
      if (folder === undefined) continue;
      const subject = `gateways.filedrop[${index}] ${key}`;
      try {
        if ((await stat(folder)).isDirectory()) continue;
        problems.push(`${subject}: ${folder} is not a folder: name one`);
      } catch (error) {
        problems.push(`${subject}: ${fileProblem(folder, error)}: make the folder, writable for the server`);
      }
    }
  }
  return problems;
}

/** Who may be written to from a folder: whoever is here, under any kind of name. */
function refusalBy(
  store: Pick<Store, "directory">,
  config: () => Config,
  secrets: () => Secrets,
): DropInOptions["refusal"] {
  return async (recipient, sender) => {
    const where = { directory: store.directory, config: config(), sender, secrets: secrets() };
    const { route, refusal, problem } = await findDestination(recipient, where);
    if (refusal !== undefined) return problem === "" ? refusal.lines.join(" ") : problem;
    if (route.channel === "local") return undefined;
    const { local, domain } = recipient;
    return `${local}@${domain} is elsewhere, and mail from a folder goes to people here alone`;
  };
}
