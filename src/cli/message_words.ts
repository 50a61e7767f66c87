/**
 * A message's life in words, for `emsmail trace` and `emsmail queue show`.
 *
 * Guarantees: each line is made fit for a terminal by whoever prints it; nothing here does it.
 *
 * @module
 */
import { andList, destinationWords, stateSentence } from "../admin/states.ts";
import type { MessageTrace, RecipientTrace, TryTrace } from "../admin/trace.ts";
import { formatFromNow, formatSecond, formatSize, formatTook } from "./time.ts";

/** A title and what is to say under it. */
export type Fact = readonly [title: string, text: string];

/** A time as people read it, from the form that results carry. */
export function second(iso: string): string {
  return formatSecond(Date.parse(iso));
}

/** What names a message: the first lines about it. */
export function headFacts(message: MessageTrace): Fact[] {
  return [
    ["Message-ID", message.messageId === "" ? "none" : `<${message.messageId}>`],
    ["From", message.from === "" ? "<> (a report that nobody is to answer)" : message.from],
    ["Size", formatSize(message.bytes)],
  ];
}

/** How a message came to be here. */
export function receivedText(message: MessageTrace): string {
  const { made, client, helo, protocol, tls, account, pieceOf } = message;
  if (pieceOf !== null) {
    return `part ${pieceOf.place} of message ${pieceOf.id}, which came then and was broken apart; what is known of the ` +
      `recipients is told with that: emsmail trace ${pieceOf.id}`;
  }
  if (made === "notification") return "made here, to tell a sender what became of a message";
  if (made === "report") return "made here, as a daily report of TLS sessions";
  // What came by no connection was written here, or taken out of a gateway's folder.
  if (client === "") {
    return account === null ? `taken from the gateway ${helo}` : `written here by ${account}`;
  }
  const who = account === null ? "nobody logged in" : `logged in as ${account}`;
  return `received from ${client} (calls itself ${helo}) by ${protocol}, ${tls ?? "without TLS"}, ${who}`;
}

/** That it was broken apart, and into what; none where it wasn't. */
export function piecesTexts({ pieces }: MessageTrace): string[] {
  if (pieces.length === 0) return [];
  const what = pieces.length === 1
    ? "passed on marked as damaged"
    : `broken apart into ${pieces.length} messages`;
  return [`${what}: ${pieces.join(", ")}`];
}

const EVENT_WORDS = { success: "the delivery", failure: "a failure", delay: "a delay" } as const;

/** What the sender asked for, a sentence each; none where nothing was asked. */
export function askedTexts({ asked, recipients }: MessageTrace): string[] {
  const { returns, envelopeId, holdUntil, deliverBy, deliverByMode, priority } = asked;
  const late = deliverByMode === "notify" ? "and the sender is to be told if it is not" : "or it goes back";
  return [
    ...notifyTexts(recipients),
    returns === null ? "" : `a notification is to return ${RETURNS[returns]}`,
    envelopeId === null ? "" : `the sender's own name for it is ${envelopeId}`,
    asked.requireTls ? "it may only travel over verified TLS" : "",
    holdUntil === null ? "" : `it is not to be sent before ${second(holdUntil)}`,
    deliverBy === null ? "" : `it is to be delivered by ${second(deliverBy)}, ${late}`,
    priority === null || priority === 0
      ? ""
      : `its priority is ${priority > 0 ? "+" : ""}${priority} (0 is ordinary)`,
  ].filter((text) => text !== "");
}

const RETURNS = { message: "the whole message", header: "its header only" } as const;

/** What is to be told of whom, those with the same wish together. */
function notifyTexts(recipients: readonly RecipientTrace[]): string[] {
  const groups = new Map<string, RecipientTrace[]>();
  for (const recipient of recipients) {
    if (recipient.notify === null || recipient.expandedFrom !== null) continue;
    const events = recipient.notify.map((event) => EVENT_WORDS[event]);
    const wish = events.length === 0
      ? "nobody is to be told"
      : `the sender is to be told of ${andList(events)}`;
    groups.set(wish, [...groups.get(wish) ?? [], recipient]);
  }
  const envelope = recipients.filter(({ expandedFrom }) => expandedFrom === null).length;
  return [...groups].map(([wish, whose]) =>
    whose.length === envelope ? wish : `${wish}, for ${andList(whose.map(({ recipient }) => recipient))}`
  );
}

/** What became of a recipient. */
export function outcomeText(recipient: RecipientTrace, all: readonly RecipientTrace[]): string {
  return stateSentence({
    ...recipient,
    accounts: recipient.maildrops.map(({ account }) => account),
    becameWhom: all.filter(({ expandedFrom }) => expandedFrom === recipient.place).map((one) =>
      one.recipient
    ),
  });
}

/** When a recipient that waits is tried again and given up; "" where there is no such time. */
export function prospectText({ state, wait }: RecipientTrace, nowMs: number): string {
  if (wait === null || state !== "deferred") return "";
  const tries = wait.tries === 1 ? "after 1 try" : wait.tries > 1 ? `after ${wait.tries} tries` : "";
  const next = `next try ${whenText(wait.nextTryAt, nowMs)}`;
  const end = `gives up ${whenText(wait.givesUpAt, nowMs)}`;
  const told = wait.delayTold ? "its sender was told that it is late" : "";
  return [tries, next, end, told].filter((text) => text !== "").join(", ");
}

/** `2026-11-24 15:05:09 (in 12m)`. */
export function whenText(iso: string, nowMs: number): string {
  return `${second(iso)} (${formatFromNow(Date.parse(iso), nowMs)})`;
}

/** Whom a try was for. */
export function triedFor({ places }: TryTrace, all: readonly RecipientTrace[]): string {
  const names = places.map((place) =>
    all.find((one) => one.place === place)?.recipient ?? `recipient ${place}`
  );
  return andList(names);
}

/** Where a try went: `mx.example.org (192.0.2.1:25)`, or the destination where no host was found. */
export function triedWhere({ host, address, destination }: TryTrace): string {
  if (host === "" && address === "") return destinationWords(destination);
  if (host === "" || address === "") return host || address;
  return `${host} (${address})`;
}

/** A try in a line. */
export function tryText(one: TryTrace, all: readonly RecipientTrace[]): string {
  const tls = one.address === "" ? "" : `, ${one.tls || "without TLS"}`;
  return `tried for ${triedFor(one, all)}: ${triedWhere(one)}${tls}, ${
    formatTook(one.durationMs)
  }: ${one.result}`;
}
