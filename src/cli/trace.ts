/**
 * `emsmail trace`: a message's life in lines that read from top to bottom.
 *
 * @module
 */
import { type MessageTrace, type RecipientTrace, traceMessage } from "../admin/trace.ts";
import { printableLine } from "../base/printable.ts";
import { withStore } from "./context.ts";
import { bold, type Io, json } from "./io.ts";
import type { Options } from "./program.ts";
import { formatSecond, formatSize } from "./time.ts";

export async function trace(io: Io, id: string, options: Options): Promise<void> {
  const messages = await withStore(options, (context) => traceMessage(context, id), { access: "read" });
  if (options.json === true) return await io.out(json(messages));
  await io.out(messages.map((message) => traceText(message, io)).join("\n"));
}

/** A head that names the message, then what happened, in order. */
function traceText(message: MessageTrace, io: Io): string {
  const head = [
    bold(`Message ${message.id}`, io.colour),
    `  Message-ID  ${message.messageId === "" ? "none" : `<${message.messageId}>`}`,
    `  From        ${message.from === "" ? "<> (a report that nobody is to answer)" : message.from}`,
    `  Size        ${formatSize(message.bytes)}`,
  ];
  const received = { at: message.receivedAt, text: receivedText(message) };
  const later = message.recipients.flatMap(recipientEvents);
  // Times in one form sort as texts; what happened at the same time stays in order.
  const events = [received, ...later.sort((a, b) => a.at < b.at ? -1 : a.at > b.at ? 1 : 0)];
  const lines = [...head, ...events.map(({ at, text }) => `  ${formatSecond(Date.parse(at))}  ${text}`)];
  return lines.map((line, i) => i === 0 ? line : printableLine(line)).join("\n") + "\n";
}

function receivedText({ client, helo, protocol, tls, account }: MessageTrace): string {
  const who = account === null ? "nobody logged in" : `logged in as ${account}`;
  return `received from ${client} (calls itself ${helo}) by ${protocol}, ${tls ?? "without TLS"}, ${who}`;
}

interface Event {
  readonly at: string;
  readonly text: string;
}

function recipientEvents(recipient: RecipientTrace): Event[] {
  const events: Event[] = [{ at: recipient.at, text: stateText(recipient) }];
  for (const { account, removedAt } of recipient.maildrops) {
    if (removedAt !== null) {
      events.push({ at: removedAt, text: `taken out of the maildrop of ${account}` });
    }
  }
  return events;
}

function stateText({ recipient, state, detail, maildrops }: RecipientTrace): string {
  const why = detail === "" ? "" : `: ${detail}`;
  switch (state) {
    case "queued":
      return `waiting for delivery to ${recipient}${why}`;
    case "held":
      return `held back from ${recipient}${why}`;
    case "failed":
      return `not delivered to ${recipient}${why}`;
    case "delivered": {
      const names = maildrops.map(({ account }) => account).join(", ");
      if (names === "") return `delivered to ${recipient}${why}`;
      return `delivered to ${recipient}, into the maildrop of ${names}${why}`;
    }
  }
}
