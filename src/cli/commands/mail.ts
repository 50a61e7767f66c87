/**
 * `emsmail mail …`, as it can be typed.
 *
 * @module
 */
import { type Command, Option } from "commander";
import {
  branch,
  configOption,
  dataOption,
  type Does,
  jsonOption,
  leaf,
  severalOption,
  userOption,
} from "./parts.ts";

export function addMail(root: Command, does: Does): void {
  const mail = branch(root, "mail", "read and send mail as an account");
  leaf(mail, "list", {
    summary: "list a maildrop's messages",
    description:
      "Lists a maildrop's messages, in the order that its user has chosen: the oldest first, or the newest.",
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
  addSave(mail, does);
  addSend(mail, does);
  addReply(mail, does);
  addForward(mail, does);
  leaf(mail, "delete", {
    summary: "take messages out of a maildrop",
    description: "Takes messages out of a maildrop: all of those named, or none.",
    examples: ["emsmail mail delete 00kq3v8g40 --user alice"],
  })
    .argument("<id...>", "ids from 'mail list'")
    .addOption(userOption()).addOption(configOption()).addOption(dataOption())
    .action(does(async (io, ids, options) => (await import("../mail.ts")).mailDelete(io, ids, options)));
}

function addSave(mail: Command, does: Does): void {
  leaf(mail, "save", {
    summary: "save a message's attachments",
    description:
      "Saves a message's attachments to files, under their own names, without what could lead elsewhere.",
    examples: [
      "emsmail mail save 1 --user alice",
      "emsmail mail save 1 --user alice --part 2 --output /tmp",
      "emsmail mail save 1 --user alice --package",
    ],
  })
    .argument("<id>", "the message's id, or its number in 'mail list'")
    .addOption(userOption())
    .addOption(
      new Option("--part <number>", "only this one, by its number in 'mail read'").conflicts("package"),
    )
    .option("--package", "the whole message as one file")
    .option("--output <dir>", "the folder to save them in (default: the current one)")
    .option("--force", "replace files that are there")
    .addOption(configOption()).addOption(dataOption())
    .action(does(async (io, [id], options) => (await import("../mail_save.ts")).mailSave(io, id!, options)));
}

function addSend(mail: Command, does: Does): void {
  const send = leaf(mail, "send", {
    summary: "send a note",
    description:
      "Sends a note: lines with commands, then the text. The commands are /TO, /CC and /BCC with names or " +
      "addresses, /SUBJECT, /REPORT with names of reports, /PRIORITY low, normal or high, and /ACK delivered or read. " +
      "A name is a nickname of the user's or a name in the directory; /GATEWAY in front of a name goes by that gateway. " +
      "A text that begins with / goes behind an empty line.",
    examples: [
      "emsmail mail send --user bob < note.txt",
      "emsmail mail send --user bob --note note.txt --attach budget.xls",
      "emsmail mail send --user bob --note note.txt --dry-run",
    ],
  });
  noteOptions(send).action(
    does(async (io, _, options) => (await import("../mail_send.ts")).mailSend(io, options)),
  );
}

function addReply(mail: Command, does: Does): void {
  const reply = leaf(mail, "reply", {
    summary: "answer a message",
    description:
      "Answers a message. The note on standard input is the answer; its commands amend it: /TO replaces whom it " +
      "goes to, /CC and /BCC add, /SUBJECT replaces.",
    examples: [
      "echo 'Fine with me.' | emsmail mail reply 3 --user bob",
      "emsmail mail reply 3 --user bob --edit --quote",
      "emsmail mail reply 3 --user bob --print --all > note.txt",
    ],
  })
    .argument("<id>", "the message's id, or its number in 'mail list'");
  noteOptions(reply)
    .option("--all", "also to everybody else whom the message went to")
    .option("--quote", "put the message's text below the answer")
    .addOption(
      new Option("--print", "print the note that would answer it, to be amended, and send nothing").conflicts(
        "edit",
      ),
    )
    .addOption(new Option("--edit", "amend the note in $VISUAL or $EDITOR, then send it").conflicts("note"))
    .action(does(async (io, [id], options) => (await import("../mail_send.ts")).mailReply(io, id!, options)));
}

function addForward(mail: Command, does: Does): void {
  const forward = leaf(mail, "forward", {
    summary: "send a message on",
    description:
      "Sends a message on, with its attachments, to those named, or as the note on standard input says.",
    examples: [
      "emsmail mail forward 3 --user bob alice",
      "emsmail mail forward 3 --user bob /TO alice /CC /SMTP bobl@example.com",
      "emsmail mail forward 3 --user bob --as-attachment < note.txt",
    ],
  })
    .argument("<id>", "the message's id, or its number in 'mail list'")
    .argument("[to...]", "names, addresses and commands as in a note, which then isn't read");
  noteOptions(forward)
    .option("--as-attachment", "the whole message as one attachment, rather than its text and attachments")
    .action(
      does(async (io, words, options) => (await import("../mail_send.ts")).mailForward(io, words, options)),
    );
}

/** What all that sends a note takes. */
function noteOptions(command: Command): Command {
  return command
    .addOption(userOption())
    .option("--note <file>", "the note (default: standard input)")
    .addOption(severalOption("--attach <file>", "a file to attach"))
    .option("--dry-run", "show whom each name means and what it would be, and send nothing")
    .addOption(jsonOption()).addOption(configOption()).addOption(dataOption());
}
