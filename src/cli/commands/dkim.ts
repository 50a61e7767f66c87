/**
 * `emsmail dkim …`, as it can be typed.
 *
 * @module
 */
import { type Command, Option } from "commander";
import { branch, configOption, dataOption, type Does, jsonOption, leaf } from "./parts.ts";

export function addDkim(root: Command, does: Does): void {
  const dkim = branch(root, "dkim", "keys that sign the mail of your domains");
  leaf(dkim, "add", {
    summary: "make keys for a domain",
    description: "Makes signing keys for a domain and prints the DNS records to publish.",
    examples: [
      "emsmail dkim add example.org",
      "emsmail dkim add example.org --algorithm rsa --bits 4096 --selector mail2026",
    ],
  })
    .argument("<domain>", "the domain whose mail they sign")
    .option(
      "--selector <name>",
      "the keys' name in DNS (default: after the month; Ed25519 has an e behind it)",
    )
    .addOption(
      new Option("--algorithm <name>", "rsa, ed25519 or both (default: both)")
        .choices(["rsa", "ed25519", "both"]),
    )
    .addOption(new Option("--bits <number>", "the RSA key's size: 2048 or 4096").choices(["2048", "4096"]))
    .addOption(jsonOption()).addOption(configOption()).addOption(dataOption())
    .action(
      does(async (io, [domain], options) => (await import("../dkim.ts")).dkimAdd(io, domain!, options)),
    );
  leaf(dkim, "import", {
    summary: "bring a key along that you have",
    description: "Adds a private key (RSA or Ed25519, PEM) whose record is published already.",
    examples: ["emsmail dkim import example.org mail2025 mail2025.private"],
  })
    .argument("<domain>", "the domain whose mail it signs")
    .argument("<selector>", "the key's name in DNS")
    .argument("<file>", "the private key, without passphrase")
    .addOption(jsonOption()).addOption(configOption()).addOption(dataOption())
    .action(
      does(async (io, [domain, selector, file], options) =>
        (await import("../dkim.ts")).dkimImport(
          io,
          { domain: domain!, selector: selector!, file: file! },
          options,
        )
      ),
    );
  leaf(dkim, "list", {
    summary: "list all keys",
    description: "Lists all keys, and which of them sign.",
    examples: ["emsmail dkim list"],
  })
    .addOption(jsonOption()).addOption(configOption()).addOption(dataOption())
    .action(does(async (io, _, options) => (await import("../dkim.ts")).dkimList(io, options)));
  leaf(dkim, "show", {
    summary: "print a domain's DNS records again",
    description: "Prints the DNS records of a domain's keys, ready to paste.",
    examples: ["emsmail dkim show example.org"],
  })
    .argument("<domain>", "the domain")
    .addOption(jsonOption()).addOption(configOption()).addOption(dataOption())
    .action(
      does(async (io, [domain], options) => (await import("../dkim.ts")).dkimShow(io, domain!, options)),
    );
  leaf(dkim, "check", {
    summary: "see whether the records are published",
    description: "Asks DNS whether what is published for a domain's keys is right.",
    examples: ["emsmail dkim check example.org"],
  })
    .argument("<domain>", "the domain")
    .addOption(jsonOption()).addOption(configOption()).addOption(dataOption())
    .action(
      does(async (io, [domain], options) => (await import("../dkim.ts")).dkimCheck(io, domain!, options)),
    );
  leaf(dkim, "remove", {
    summary: "remove a key",
    description: "Removes a key. The next one of its domain signs in its place, where there is one.",
    examples: ["emsmail dkim remove example.org ems202611"],
  })
    .argument("<domain>", "the domain")
    .argument("<selector>", "the key's name in DNS")
    .option("-y, --yes", "don't ask").addOption(configOption()).addOption(dataOption())
    .action(
      does(async (io, [domain, selector], options) =>
        (await import("../dkim.ts")).dkimRemove(io, { domain: domain!, selector: selector! }, options)
      ),
    );
}
