/**
 * The part of a notification that people read: what happened, to whom, why, and what they can do about it.
 *
 * Guarantees: plain words first, details last; every text from outside is one line, or lines that are indented, without
 * control characters. What is quoted of dialogues is bounded ({@linkcode DIALOGUE_CHARACTERS}).
 *
 * @module
 */
import { printableLine, printableText } from "../../base/printable.ts";
import { formatDate } from "../../mail/date.ts";
import type { DeliveryReport, RecipientAction, ReportedRecipient } from "../delivery_report.ts";

/** Wide enough to read, narrow enough to be quoted. */
const WIDTH = 72;
/** Characters of all dialogues together in one notification: some forty tries. */
export const DIALOGUE_CHARACTERS = 64 * 1024;
/** One line of a dialogue that is quoted, in characters. */
const DIALOGUE_LINE_CHARACTERS = 500;
/** A reason is a sentence or two. */
const REASON_CHARACTERS = 2000;

/** The actions, those that a reader should see first in front. */
export const ACTIONS: readonly RecipientAction[] = ["failed", "delayed", "relayed", "expanded", "delivered"];

interface Words {
  /** With one recipient, and with several. */
  readonly one: string;
  readonly many: string;
}

const HAPPENED: { readonly [action in RecipientAction]: Words } = {
  failed: {
    one: "Your message was not delivered to this recipient:",
    many: "Your message was not delivered to these recipients:",
  },
  delayed: {
    one: "Your message has not reached this recipient yet. You need not send it again:",
    many: "Your message has not reached these recipients yet. You need not send it again:",
  },
  delivered: {
    one: "Your message was delivered to this recipient:",
    many: "Your message was delivered to these recipients:",
  },
  relayed: {
    one: "Your message was passed on for this recipient. The system that took it gives no notice of " +
      "delivery, so you will hear no more of it unless something goes wrong:",
    many: "Your message was passed on for these recipients. The systems that took it give no notice of " +
      "delivery, so you will hear no more of it unless something goes wrong:",
  },
  expanded: {
    one: "Your message was delivered to this list, which sends it to its members:",
    many: "Your message was delivered to these lists, which send it to their members:",
  },
};

/** The whole text, lines ended by LF. */
export function readableText(report: DeliveryReport): string {
  const blocks = ACTIONS.flatMap((action) => actionBlocks(action, report));
  return [
    `This is a notice from the mail system at ${line(report.hostname)}.`,
    ...blocks,
    messageBlock(report),
    ...detailBlocks(report),
  ].join("\n\n") + "\n";
}

function actionBlocks(action: RecipientAction, report: DeliveryReport): string[] {
  const of = report.recipients.filter((recipient) => recipient.action === action);
  if (of.length === 0) return [];
  const { one, many } = HAPPENED[action];
  const said = wrap(of.length === 1 ? one : many);
  const each = of.map((recipient) => recipientBlock(recipient));
  const advice = action === "failed" ? [adviceBlock(of)] : [];
  return [said, ...each, ...advice];
}

function recipientBlock(recipient: ReportedRecipient): string {
  const { reason, action, willRetryUntilMs } = recipient;
  const lines = [`  ${line(recipient.recipient)}`];
  const why = line(reason).slice(0, REASON_CHARACTERS).toWellFormed();
  if (why !== "") lines.push(wrap(why, "    "));
  if (action === "delayed" && willRetryUntilMs !== undefined) {
    const until = `Delivery is tried again until ${formatDate(willRetryUntilMs)}. ` +
      "If it doesn't succeed by then, you will be told.";
    lines.push(wrap(until, "    "));
  }
  return lines.join("\n");
}

function adviceBlock(failed: readonly ReportedRecipient[]): string {
  const advice = new Set(failed.map(({ status }) => adviceFor(status)));
  return ["What you can do:", ...[...advice].map((text) => wrap(text, "  "))].join("\n");
}

/** What a sender can do, by the status' subject and detail (RFC 3463 3); never by the words of a reply. */
function adviceFor(status: string): string {
  const [, subject = "", detail = ""] = status.split(".");
  const known = ADVICE[`${subject}.${detail}`] ?? ADVICE[subject];
  return known ??
    "Try to reach the recipient another way. If this happens again, show this notice to whoever " +
      "looks after your mail.";
}

const SMALLER = "Send the message again with fewer or smaller attachments, or share large files another way.";
const ADVICE: { readonly [status: string]: string } = {
  "1":
    "Look for a mistake in the address. If you find one, send the message again to the right address; if " +
    "not, ask the recipient for the address that is valid now.",
  "2.2": "The recipient's mailbox is full. Send the message again in a few days, or reach the recipient " +
    "another way.",
  "2.3": SMALLER,
  "3.4": SMALLER,
  "4":
    "The recipient's mail system couldn't be reached for a long time. Check what stands behind the @ of the " +
    "address. If it is right, send the message again later, or reach the recipient another way.",
  "6.7": "Ask the recipient for an address of plain letters: the way to this one doesn't allow for others.",
  "7":
    "The recipient's mail system has a rule against this message. Reach the recipient another way, and show " +
    "this notice to whoever looks after your mail.",
  "7.30":
    "You asked for this message to travel encrypted or not at all, and the way to the recipient is not " +
    "encrypted as it would have to be. If it may travel otherwise, send it again without asking for that.",
};

function messageBlock(report: DeliveryReport): string {
  const subject = line(report.subjectOf ?? "");
  const lines = [
    "Your message:",
    ...(subject === "" ? [] : [wrap(`Subject: ${subject}`, "  ")]),
    `  Received here: ${formatDate(report.arrivedAtMs)}`,
    ...(report.messageId === undefined || report.messageId === "" ? [] : [
      `  Message-ID: ${line(report.messageId)}`,
    ]),
  ];
  return lines.join("\n");
}

/** For those who look after mail: each distinct dialogue once, under the recipients it was about. */
function detailBlocks(report: DeliveryReport): string[] {
  const quoted = new Map<string, string[]>();
  for (const { action, dialogue, recipient } of report.recipients) {
    if (action !== "failed" || dialogue === undefined || dialogue.trim() === "") continue;
    const known = quoted.get(dialogue);
    if (known === undefined) quoted.set(dialogue, [line(recipient)]);
    else known.push(line(recipient));
  }
  if (quoted.size === 0) return [];
  const blocks = [
    wrap("For whoever looks after your mail: what was said. C is this system, S the other one."),
  ];
  let left = DIALOGUE_CHARACTERS;
  for (const [dialogue, recipients] of quoted) {
    const text = dialogueText(dialogue, left);
    left -= text.length;
    blocks.push(`${wrap(`About ${recipients.join(", ")}:`)}\n${text}`);
    if (left <= 0) break;
  }
  return blocks;
}

function dialogueText(dialogue: string, characters: number): string {
  const lines: string[] = [];
  let left = characters;
  for (const each of printableText(dialogue).replace(/\n+$/, "").split("\n")) {
    const shown = each.slice(0, DIALOGUE_LINE_CHARACTERS).toWellFormed().trimEnd();
    left -= shown.length + 3;
    if (left < 0) {
      lines.push("  (the rest is left out)");
      break;
    }
    lines.push(`  ${shown}`);
  }
  return lines.join("\n");
}

function line(text: string): string {
  return printableLine(text).trim();
}

/** Breaks a text into lines at its spaces, each behind `indent`. */
function wrap(text: string, indent = ""): string {
  const lines: string[] = [];
  let current = "";
  for (const word of text.split(/\s+/)) {
    if (current !== "" && indent.length + current.length + 1 + word.length > WIDTH) {
      lines.push(indent + current);
      current = word;
    } else current = current === "" ? word : `${current} ${word}`;
  }
  lines.push(indent + current);
  return lines.join("\n");
}
