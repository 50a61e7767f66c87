/**
 * `emsmail queue …`, as it can be typed.
 *
 * @module
 */
import { type Command, Option } from "commander";
import { ALL_STATES, WAITING_STATES } from "../../admin/states.ts";
import type { QueueAction } from "../../store/types.ts";
import {
  branch,
  configOption,
  dataOption,
  type Does,
  gathered,
  jsonOption,
  leaf,
  type LeafWords,
} from "./parts.ts";

export function addQueue(root: Command, does: Does): void {
  const queue = branch(root, "queue", "look at mail on its way, and act on it");
  addFilters(
    leaf(queue, "list", {
      summary: "list what waits, or what has left",
      description: "Lists the recipients that wait, oldest first, and the destinations that don't answer.",
      examples: [
        "emsmail queue list",
        "emsmail queue list --domain example.org --older 2h",
        "emsmail queue list --retired --sender alice@example.org",
      ],
    }),
    ALL_STATES,
  )
    .option("--retired", "list what has left the queue, newest first, and who accepted it")
    .option("--limit <number>", "how many at most (default: 200)")
    .addOption(jsonOption()).addOption(configOption()).addOption(dataOption())
    .action(does(async (io, _, options) => (await import("../queue.ts")).queueList(io, options)));
  leaf(queue, "show", {
    summary: "show a message with each try and what was said",
    description: "Shows a message in the queue: its recipients, what they wait for, and each try with\n" +
      "what was said. It can still be asked for some time after it has left.",
    examples: ["emsmail queue show 06jwx6kv0g", "emsmail queue show 06jwx6kv0g.2"],
  })
    .argument("<id>", "the message's id; with .2 behind it, its second recipient alone")
    .addOption(jsonOption()).addOption(configOption()).addOption(dataOption())
    .action(does(async (io, [id], options) => (await import("../queue.ts")).queueShow(io, id!, options)));
  addActions(queue, does);
}

function addActions(queue: Command, does: Does): void {
  action(queue, does, "retry", {
    summary: "try now instead of later",
    description: "Tries deferred recipients as soon as can be, whatever their destinations did before.",
    examples: ["emsmail queue retry 06jwx6kv0g", "emsmail queue retry --domain example.org"],
  });
  action(queue, does, "hold", {
    summary: "keep mail back",
    description: "Keeps mail back until it is released: it is neither tried nor given up.",
    examples: ["emsmail queue hold --sender news@example.org --reason 'sent by mistake?'"],
  }).option("--reason <text>", "why, for whoever looks at it later");
  action(queue, does, "release", {
    summary: "let held mail go on",
    description: "Lets mail that was held go on.",
    examples: ["emsmail queue release 06jwx6kv0g", "emsmail queue release --all"],
  });
  action(queue, does, "drop", {
    summary: "take mail out of the queue; nobody is told",
    description: "Takes mail out of the queue for good. Neither sender nor recipient is told.",
    examples: ["emsmail queue drop 06jwx6kv0g.2", "emsmail queue drop --sender '<>' --yes"],
  }).option("--reason <text>", "why, for whoever looks at it later").option("-y, --yes", "don't ask");
  action(queue, does, "reroute", {
    summary: "send mail by way of another host",
    description: "Sends mail by way of a host of your choice, or the usual way again.",
    examples: [
      "emsmail queue reroute --domain example.org --to mail.example.net:587",
      "emsmail queue reroute 06jwx6kv0g --to default",
    ],
  }).requiredOption("--to <host>", "HOST or HOST:PORT, or 'default' for the usual way");
}

/** A command that acts on ids or on what filters select. */
function action(queue: Command, does: Does, kind: QueueAction["kind"], words: LeafWords): Command {
  return addFilters(leaf(queue, kind, words), WAITING_STATES)
    .argument("[id...]", "ids from 'queue list'; a message's id alone is all its recipients")
    .option("--all", "everything in the queue that this can be done to")
    .addOption(configOption()).addOption(dataOption())
    .action(
      does(async (io, ids, options) => (await import("../queue.ts")).queueAct(io, { kind, ids }, options)),
    );
}

/** Options that select recipients; all that are given must fit. */
function addFilters(command: Command, states: readonly string[]): Command {
  return command
    .option("--domain <domain>", "recipients in this domain")
    .option("--sender <address>", "mail from this address, from '@domain', or from '<>': reports")
    .option("--older <time>", "received so long ago at least, such as 90m, 2h or 1d")
    .addOption(
      new Option("--state <state>", `recipients in this state: ${states.join(", ")}; may be given again`)
        .choices(states)
        .argParser(gathered),
    );
}
