/**
 * `emsmail mail …`, as it can be typed.
 *
 * @module
 */
import type { Command } from "commander";
import { branch, configOption, dataOption, type Does, jsonOption, leaf, userOption } from "./parts.ts";

export function addMail(root: Command, does: Does): void {
  const mail = branch(root, "mail", "look into an account's maildrop");
  leaf(mail, "list", {
    summary: "list a maildrop's messages",
    description: "Lists a maildrop's messages, oldest first.",
    examples: ["emsmail mail list --user alice", "emsmail mail list --user alice --last 20"],
  })
    .addOption(userOption())
    .option("--last <number>", "only the newest so many")
    .addOption(jsonOption()).addOption(configOption()).addOption(dataOption())
    .action(does(async (io, _, options) => (await import("../mail.ts")).mailList(io, options)));
  leaf(mail, "read", {
    summary: "show a message",
    description: "Shows who sent a message, to whom, and its text.",
    examples: ["emsmail mail read 1 --user alice", "emsmail mail read 1 --user alice --raw > 1.eml"],
  })
    .argument("<id>", "the message's id, or its number in 'mail list'")
    .addOption(userOption())
    .option("--raw", "print all of it, octet for octet where that goes to a file or a pipe")
    .addOption(configOption()).addOption(dataOption())
    .action(does(async (io, [id], options) => (await import("../mail.ts")).mailRead(io, id!, options)));
  leaf(mail, "delete", {
    summary: "take messages out of a maildrop",
    description: "Takes messages out of a maildrop: all of those named, or none.",
    examples: ["emsmail mail delete 00kq3v8g40 --user alice"],
  })
    .argument("<id...>", "ids from 'mail list'")
    .addOption(userOption()).addOption(configOption()).addOption(dataOption())
    .action(does(async (io, ids, options) => (await import("../mail.ts")).mailDelete(io, ids, options)));
}
