/**
 * `emsmail queue show`: a message, its recipients, and each try with what was said.
 *
 * Guarantees: whatever another system said, on a terminal it is text and nothing else.
 *
 * @module
 */
import { destinationWords } from "../admin/states.ts";
import type { MessageTrace, RecipientTrace, TryTrace } from "../admin/trace.ts";
import { printableLine } from "../base/printable.ts";
import { bold, type Io } from "./io.ts";
import {
  askedTexts,
  type Fact,
  headFacts,
  outcomeText,
  receivedText,
  second,
  triedFor,
  triedWhere,
  whenText,
} from "./message_words.ts";
import { count, formatTook } from "./time.ts";

interface Look {
  readonly io: Io;
  readonly nowMs: number;
}

/** All of it as text. */
export function showText(message: MessageTrace, look: Look): string {
  const received: Fact = ["Received", `${second(message.receivedAt)}, ${receivedText(message)}`];
  const asked = askedTexts(message).map((text): Fact => ["Asked", text]);
  const sections = [
    section(`Message ${message.id}`, [...headFacts(message), received, ...asked], look),
    ...message.recipients.map((recipient) => recipientText(recipient, message, look)),
    ...message.tries.map((one, i) => tryTextWhole(one, { number: i + 1, message, look })),
  ];
  if (message.tries.length === 0) {
    sections.push("It was not tried at another system, or that is forgotten.\n");
  }
  return sections.join("\n");
}

function section(title: string, facts: readonly Fact[], { io }: Look): string {
  const width = Math.max(...facts.map(([name]) => name.length)) + 2;
  const lines = facts.map(([name, text]) => `  ${name.padEnd(width)}${printableLine(text)}\n`);
  return `${bold(printableLine(title), io.colour)}\n${lines.join("")}`;
}

function recipientText(recipient: RecipientTrace, message: MessageTrace, look: Look): string {
  const { wait, state } = recipient;
  const facts: Fact[] = [
    ["State", `${state} since ${second(recipient.at)}`],
    ["In words", outcomeText(recipient, message.recipients)],
    ["From", recipient.from === message.from ? "" : `${recipient.from || "<>"} (rewritten by forwarding)`],
    ["Stands for", standsFor(recipient, message)],
    ["Goes by way of", recipient.reroutedTo === null ? "" : `${recipient.reroutedTo}, as an operator said`],
    ...wait === null ? [] : waitFacts(recipient, wait, look),
  ];
  const told = facts.filter(([, text]) => text !== "");
  return section(`Recipient ${recipient.id}: ${recipient.recipient}`, told, look);
}

function standsFor({ expandedFrom }: RecipientTrace, message: MessageTrace): string {
  if (expandedFrom === null) return "";
  const of = message.recipients.find(({ place }) => place === expandedFrom);
  return of === undefined ? `recipient ${expandedFrom}` : of.recipient;
}

function waitFacts(
  { state }: RecipientTrace,
  wait: NonNullable<RecipientTrace["wait"]>,
  { nowMs }: Look,
): Fact[] {
  const where = wait.destination === "" ? "" : destinationWords(wait.destination);
  const failing = wait.destinationFailures === 0
    ? ""
    : `; failed ${count(wait.destinationFailures, "time")} in a row: ${wait.destinationReason}`;
  return [
    ["Tries", String(wait.tries)],
    ["Next try", state === "deferred" ? whenText(wait.nextTryAt, nowMs) : ""],
    ["Gives up", state === "held" ? "" : whenText(wait.givesUpAt, nowMs)],
    ["Delay", wait.delayTold ? "the sender was told that it is late" : ""],
    ["Backup", backupText(wait, nowMs)],
    ["Destination", `${where}${failing}`],
  ];
}

function backupText({ backup, backupSince }: NonNullable<RecipientTrace["wait"]>, nowMs: number): string {
  if (backupSince !== null) return `takes the backup route since ${second(backupSince)}`;
  if (backup === null) return "";
  const { destination, at } = backup;
  return `${destinationWords(destination)}, takes over ${
    whenText(at, nowMs)
  } if none of its hosts is reached by then`;
}

function tryTextWhole(
  one: TryTrace,
  { number, message, look }: {
    readonly number: number;
    readonly message: MessageTrace;
    readonly look: Look;
  },
): string {
  const facts: Fact[] = [
    ["For", triedFor(one, message.recipients)],
    ["Destination", destinationWords(one.destination)],
    ["Host", one.host === "" && one.address === "" ? "none was found" : triedWhere(one)],
    ["TLS", one.address === "" ? "" : one.tls || "none"],
    ["Took", formatTook(one.durationMs)],
    ["Result", one.result],
  ];
  const told = facts.filter(([, text]) => text !== "");
  const said = one.dialogue.map((line) => `    ${printableLine(line)}\n`);
  return section(`Try ${number}, ${second(one.at)}`, told, look) + said.join("");
}
