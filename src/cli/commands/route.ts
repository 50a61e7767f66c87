/**
 * `emsmail route` and `emsmail topology`, as they can be typed.
 *
 * @module
 */
import type { Command } from "commander";
import {
  configOption,
  dataOption,
  type Does,
  domainOption,
  jsonOption,
  leaf,
  relayModeOption,
} from "./parts.ts";

export function addRoute(root: Command, does: Does): void {
  leaf(root, "route", {
    summary: "tell where mail for an address would go, and why",
    description: "Tells where mail for an address would go: into which maildrops, or to which host, " +
      "and which rule decided it. No mail is sent.",
    examples: [
      "emsmail route bob@example.com",
      "emsmail route bob@example.com --probe",
      "emsmail route bob@example.com --sender news@example.org",
    ],
  })
    .argument("<address>", "the recipient's address")
    .option("--sender <address>", "the sender's address, for relay.senders")
    .option("--probe", "ask DNS, too, and show which hosts would be tried")
    .addOption(relayModeOption()).addOption(domainOption("a mail domain, in place of those configured"))
    .addOption(jsonOption()).addOption(configOption()).addOption(dataOption())
    .action(
      does(async (io, [address], options) => (await import("../route.ts")).route(io, address!, options)),
    );
}

export function addTopology(root: Command, does: Does): void {
  leaf(root, "topology", {
    summary: "draw the network that the configuration makes",
    description: "Draws where mail comes from and goes to with this configuration, and what is closed.",
    examples: ["emsmail topology", "emsmail topology --relay-mode direct", "emsmail topology --ascii"],
  })
    .option("--ascii", "draw with ASCII characters only")
    .option("--hostname <host>", "the name it gives itself")
    .addOption(relayModeOption()).addOption(domainOption("a mail domain, in place of those configured"))
    .addOption(jsonOption()).addOption(configOption())
    .action(does(async (io, _, options) => (await import("../topology.ts")).topology(io, options)));
}
