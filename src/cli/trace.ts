/**
 * `emsmail trace`: a message's life in lines that read from top to bottom.
 *
 * @module
 */
import { destinationWords } from "../admin/states.ts";
import { type MessageTrace, type RecipientTrace, traceMessage } from "../admin/trace.ts";
import { printableLine } from "../base/printable.ts";
import { withStore } from "./context.ts";
import { bold, type Io, json } from "./io.ts";
import {
  askedTexts,
  headFacts,
  outcomeText,
  piecesTexts,
  prospectText,
  receivedText,
  second,
  triedFor,
  tryText,
} from "./message_words.ts";
import type { Options } from "./program.ts";

export async function trace(io: Io, id: string, options: Options): Promise<void> {
  const { messages, nowMs } = await withStore(options, async (context) => ({
    messages: await traceMessage(context, id),
    nowMs: context.clock.nowMs(),
  }), { access: "read" });
  if (options.json === true) return await io.out(json(messages));
  await io.out(messages.map((message) => traceText(message, { io, nowMs })).join("\n"));
}

/** A head that names the message, then what happened, in order, and what is to come. */
function traceText(
  message: MessageTrace,
  { io, nowMs }: { readonly io: Io; readonly nowMs: number },
): string {
  const head = headFacts(message).map(([title, text]) => `  ${title.padEnd(11)} ${text}`);
  // Times in one form sort as texts; what happened at the same time stays in order.
  const events = eventsOf(message).sort((a, b) => a.at < b.at ? -1 : a.at > b.at ? 1 : 0);
  const coming = message.recipients.flatMap((recipient) => {
    const text = prospectText(recipient, nowMs);
    return text === "" ? [] : [`  ${recipient.recipient}: ${text}`];
  });
  const lines = [...head, ...events.map(({ at, text }) => `  ${second(at)}  ${text}`), ...coming];
  return [bold(`Message ${message.id}`, io.colour), ...lines.map(printableLine)].join("\n") + "\n";
}

interface Event {
  readonly at: string;
  readonly text: string;
}

function eventsOf(message: MessageTrace): Event[] {
  const { recipients, receivedAt } = message;
  const pieces = piecesTexts(message).map((text): Event => ({ at: receivedAt, text }));
  const asked = askedTexts(message).map((text): Event => ({ at: receivedAt, text: `asked: ${text}` }));
  return [
    { at: receivedAt, text: receivedText(message) },
    ...asked,
    ...pieces,
    // Who became others comes before what became of those.
    ...recipients.filter(({ state }) => state === "expanded").flatMap((one) =>
      recipientEvents(one, recipients)
    ),
    ...tryEvents(message),
    ...recipients.filter(({ state }) => state !== "expanded").flatMap((one) =>
      recipientEvents(one, recipients)
    ),
  ];
}

/** Each try, and before the first one at a destination, that the mail goes there. */
function tryEvents({ tries, recipients }: MessageTrace): Event[] {
  const routed = new Set<string>();
  return tries.flatMap((one) => {
    const events: Event[] = [{ at: one.at, text: tryText(one, recipients) }];
    const whereTo = `mail for ${triedFor(one, recipients)} goes to ${destinationWords(one.destination)}`;
    if (!routed.has(whereTo)) events.unshift({ at: one.at, text: whereTo });
    routed.add(whereTo);
    return events;
  });
}

function recipientEvents(recipient: RecipientTrace, all: readonly RecipientTrace[]): Event[] {
  const by = recipient.reroutedTo === null ? "" : ` (an operator sends it by way of ${recipient.reroutedTo})`;
  const events: Event[] = [{ at: recipient.at, text: `${outcomeText(recipient, all)}${by}` }];
  const { backupSince } = recipient.wait ?? { backupSince: null };
  if (backupSince !== null) {
    events.unshift({
      at: backupSince,
      text: `mail for ${recipient.recipient} goes the backup route from now on`,
    });
  }
  for (const { account, removedAt } of recipient.maildrops) {
    if (removedAt !== null) {
      events.push({ at: removedAt, text: `taken out of the maildrop of ${account}` });
    }
  }
  return events;
}
