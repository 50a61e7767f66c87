/**
 * A message's whole life, as far as it is remembered.
 *
 * Guarantees: reading only. Each place of a recipient counts from 1, and `ID.2` names the second recipient wherever an
 * id can be given.
 *
 * @module
 */
import type { Config } from "../config/config.ts";
import { parseAddress } from "../mail/address.ts";
import type { NotifyEvent } from "../mail/envelope.ts";
import { formatMessageKey, parseMessageKey } from "../mail/message_id.ts";
import { destinationOf } from "../queue/destination.ts";
import { momentsOf } from "../queue/retry.ts";
import { type NextHop, resolve } from "../routing/route.ts";
import { topologyOf } from "../server/mailboxes.ts";
import type {
  Attempt,
  DestinationState,
  MessageHistory,
  QueueEntry,
  RecipientState,
  Wait,
} from "../store/types.ts";
import { type AdminContext, isoTime } from "./context.ts";
import { AdminError } from "./error.ts";
import { ALL_STATES } from "./states.ts";

/** What a recipient that was tried before waits for. */
export interface WaitView {
  /** What it waits behind, by the queue's name; "" for a time alone. */
  readonly destination: string;
  readonly tries: number;
  /** No try before; the destination's own pause is taken into account. */
  readonly nextTryAt: string;
  /** When it is given up, and goes back to its sender. */
  readonly givesUpAt: string;
  /** The sender was told that it is late. */
  readonly delayTold: boolean;
  /** Since when it takes the backup route; null: it doesn't. */
  readonly backupSince: string | null;
  /** What takes it once its hosts were unreachable until then; null: nothing, or that is where it goes now. */
  readonly backup: { readonly destination: string; readonly at: string } | null;
  /** Failures of the destination in a row, 0 where it answers. */
  readonly destinationFailures: number;
  /** Why the destination was not reached last; "" where it answers. */
  readonly destinationReason: string;
}

/** What became of one recipient. */
export interface RecipientTrace {
  /** `06jwx6kv0g.2` */
  readonly id: string;
  /** From 1. */
  readonly place: number;
  readonly recipient: string;
  readonly state: RecipientState;
  /** When it came into that state. */
  readonly at: string;
  /** A sentence from whoever decided it; may be "". */
  readonly detail: string;
  /** Who accepted it; "" where nobody outside did. */
  readonly acceptedBy: string;
  /** What the configuration has that host for; null: nothing in particular. */
  readonly acceptedAs: "buffer host" | null;
  /** The place of the recipient that became this one (and others perhaps); null: it was in the envelope. */
  readonly expandedFrom: number | null;
  /** The sender's address as the next hop is told it: rewritten by forwarding perhaps. */
  readonly from: string;
  /** The host that an operator chose for it, `host:port`; null: none. */
  readonly reroutedTo: string | null;
  /** What its sender asked to be told of; null: nothing was said, which means failures and delays. */
  readonly notify: readonly NotifyEvent[] | null;
  /** What it waits for; null where it has left the queue, or was not tried yet. */
  readonly wait: WaitView | null;
  readonly maildrops: readonly {
    readonly account: string;
    /** When it was taken out again; null: it is still there. */
    readonly removedAt: string | null;
  }[];
}

/** One try to hand the message on. */
export interface TryTrace {
  readonly at: string;
  /** In milliseconds. */
  readonly durationMs: number;
  /** The places of the recipients that were in it. */
  readonly places: readonly number[];
  readonly destination: string;
  /** "" where none was found. */
  readonly host: string;
  /** `192.0.2.1:25`; "" where none was reached. */
  readonly address: string;
  /** "" in the clear. */
  readonly tls: string;
  readonly result: string;
  /** What was said, a line each. */
  readonly dialogue: readonly string[];
}

/** What was asked for the message as a whole; null where nothing was. */
export interface AskedTrace {
  /** What a notification returns: all of the message or its header. */
  readonly returns: "message" | "header" | null;
  /** The sender's own name for it. */
  readonly envelopeId: string | null;
  readonly requireTls: boolean;
  readonly holdUntil: string | null;
  readonly deliverBy: string | null;
  /** What happens when it was not delivered by then: it goes back, or the sender is told. */
  readonly deliverByMode: "return" | "notify" | null;
  /** -9 to 9, 0 being ordinary. */
  readonly priority: number | null;
}

/** What is known of one message. */
export interface MessageTrace {
  readonly id: string;
  /** Without brackets; "" where the message has none. */
  readonly messageId: string;
  readonly receivedAt: string;
  /** Octets as received. */
  readonly bytes: number;
  /** "" is the null reverse-path: a report that nobody is to answer. */
  readonly from: string;
  readonly client: string;
  readonly helo: string;
  readonly protocol: string;
  /** Protocol and cipher; null: it came in the clear. */
  readonly tls: string | null;
  /** Who had logged in; null: nobody. */
  readonly account: string | null;
  /** What this system made it as; null: it was received. */
  readonly made: "notification" | "report" | null;
  readonly asked: AskedTrace;
  /** The message it is a piece of, whose own trace tells who got it, and which piece, `2/4`; null: none. */
  readonly pieceOf: { readonly id: string; readonly place: string } | null;
  /** The messages it was broken apart into, in order; none where it wasn't. */
  readonly pieces: readonly string[];
  readonly recipients: readonly RecipientTrace[];
  /** In order. What was said is kept for `queue.retired` after the message has left the queue. */
  readonly tries: readonly TryTrace[];
}

/**
 * Messages by the system's own id, or by their Message-ID, with or without angle brackets, newest first. Several
 * messages may share a Message-ID.
 * @throws {AdminError} where none is known
 */
export async function traceMessage(context: AdminContext, id: string): Promise<MessageTrace[]> {
  const { history } = context.store;
  const text = id.trim();
  const key = parseMessageKey(text.replace(/\.\d{1,9}$/, ""));
  const own = key === undefined ? undefined : await history.message(key);
  const found = own === undefined ? await history.byMessageId(text.replace(/^<(.*)>$/, "$1")) : [own];
  if (found.length === 0) throw unknownError(context, text);
  const traces: MessageTrace[] = [];
  for (const message of found) traces.push(await traceOf(context, message));
  return traces;
}

/** That no message has the id. */
export function unknownError({ config }: AdminContext, id: string): AdminError {
  const days = Math.round(config.history.keep / 86_400_000);
  return new AdminError(
    `no message with the id ${id} is known`,
    `give the id from the log, the 250 reply, 'emsmail queue list' or 'emsmail mail list', or its Message-ID; ` +
      `messages that are gone are remembered for ${days} days`,
  );
}

/** All that is known of a message. */
export async function traceOf(context: AdminContext, message: MessageHistory): Promise<MessageTrace> {
  const { store } = context;
  const { key, origin, pieceOf, pieces } = message;
  const entries = await store.queue.list({ keys: [key], states: ALL_STATES }, {
    limit: message.recipients.length,
  });
  const destinations = await destinationStates(context);
  return {
    id: formatMessageKey(key),
    messageId: message.messageId,
    receivedAt: isoTime(message.receivedAtMs),
    bytes: message.size,
    from: message.reversePath,
    client: origin.client,
    helo: origin.helo,
    protocol: origin.transmission,
    tls: origin.tls ?? null,
    account: origin.account ?? null,
    made: origin.made ?? null,
    asked: askedOf(message),
    pieceOf: pieceOf === undefined ? null : { id: formatMessageKey(pieceOf.key), place: pieceOf.place },
    pieces: pieces.map(formatMessageKey),
    recipients: message.recipients.map((_, index) =>
      recipientOf(context, message, { index, entries, destinations })
    ),
    tries: (await store.queue.attempts(key)).map(tryOf),
  };
}

/** Destinations that don't answer, by the queue's name for them. */
export async function destinationStates({ store }: AdminContext): Promise<Map<string, DestinationState>> {
  const states = await store.deliveries.destinations();
  return new Map(states.map((state) => [state.destination, state]));
}

function askedOf({ requests }: MessageHistory): AskedTrace {
  const { ret, deliverBy, holdUntilMs } = requests ?? {};
  return {
    returns: ret === undefined ? null : ret === "FULL" ? "message" : "header",
    envelopeId: requests?.envid ?? null,
    requireTls: requests?.requireTls === true,
    holdUntil: holdUntilMs === undefined ? null : isoTime(holdUntilMs),
    deliverBy: deliverBy === undefined ? null : isoTime(deliverBy.byMs),
    deliverByMode: deliverBy?.mode ?? null,
    priority: requests?.priority ?? null,
  };
}

interface RecipientSources {
  readonly index: number;
  readonly entries: readonly QueueEntry[];
  readonly destinations: ReadonlyMap<string, DestinationState>;
}

function recipientOf(
  { config }: AdminContext,
  message: MessageHistory,
  { index, entries, destinations }: RecipientSources,
): RecipientTrace {
  const recipient = message.recipients[index]!;
  const entry = entries.find((one) => one.index === index);
  const { wait, expandedFrom, requests } = recipient;
  return {
    id: placeId(message.key, index),
    place: index + 1,
    recipient: recipient.recipient,
    state: recipient.state,
    at: isoTime(recipient.atMs),
    detail: recipient.detail,
    acceptedBy: recipient.acceptedBy,
    acceptedAs: isBufferHost(config, recipient.acceptedBy) ? "buffer host" : null,
    expandedFrom: expandedFrom === undefined ? null : expandedFrom + 1,
    from: entry?.reversePath ?? message.reversePath,
    reroutedTo: entry === undefined || entry.reroute === "" ? null : entry.reroute,
    notify: requests?.notify ?? null,
    wait: wait === undefined ? null : waitOf(config, message, {
      wait,
      destinations,
      backup: entry?.reroute === "" ? backupOf(config, recipient.recipient, entry.reversePath) : undefined,
    }),
    maildrops: recipient.maildrops.map(({ account, removedAtMs }) => ({
      account,
      removedAt: removedAtMs === undefined ? null : isoTime(removedAtMs),
    })),
  };
}

/** Whether `acceptedBy` (`unix.example.org [192.0.2.10]`) is the buffer host, as things stand now. */
function isBufferHost({ relay: { mode, buffer } }: Config, acceptedBy: string): boolean {
  if (mode !== "buffer" && mode !== "combined") return false;
  return buffer.host !== undefined && acceptedBy.startsWith(`${buffer.host} [`);
}

/** `06jwx6kv0g.2`: one recipient of a message, by its place from 0. */
export function placeId(key: number, index: number): string {
  return `${formatMessageKey(key)}.${index + 1}`;
}

/** When a recipient is tried next, in milliseconds since 1970: not before its destination is tried again. */
export function nextTryMs(wait: Wait, destination: DestinationState | undefined): number {
  return Math.max(wait.dueMs, destination?.retryAtMs ?? 0);
}

/** Where a recipient's mail goes once its hosts can't be reached for long; undefined: nowhere else. */
function backupOf(config: Config, recipient: string, sender: string): NextHop | undefined {
  const address = parseAddress(recipient);
  if ("error" in address) return undefined;
  const from = parseAddress(sender);
  const route = resolve(address, topologyOf(config), { sender: "error" in from ? null : from });
  if (route.channel !== "smtp" || route.backup?.when !== "unreachable") return undefined;
  return route.backup.hop;
}

interface WaitSources {
  readonly wait: Wait;
  readonly destinations: RecipientSources["destinations"];
  readonly backup: NextHop | undefined;
}

function waitOf(
  { queue, relay }: Config,
  message: MessageHistory,
  { wait, destinations, backup }: WaitSources,
): WaitView {
  const state = destinations.get(wait.destination);
  const { expireMs, returnByMs, backupMs } = momentsOf(
    { ...message, smtpUtf8: false, recipients: [] },
    { index: 0, recipient: "", wait },
    {
      policy: {
        retryMs: queue.retry,
        expireMs: queue.expire,
        delayNoticeMs: queue.delayNotice,
        unreachableAfterMs: relay.unreachableAfter ?? queue.expire,
      },
      backup: backup === undefined ? "no-backup" : "has-backup",
    },
  );
  return {
    destination: wait.destination,
    tries: wait.attempts,
    nextTryAt: isoTime(nextTryMs(wait, state)),
    givesUpAt: isoTime(Math.min(expireMs, returnByMs ?? Infinity)),
    delayTold: wait.delayTold === true,
    backupSince: wait.backupSinceMs === undefined ? null : isoTime(wait.backupSinceMs),
    backup: backup === undefined || backupMs === undefined
      ? null
      : { destination: destinationOf(backup, message).name, at: isoTime(backupMs) },
    destinationFailures: state?.failures ?? 0,
    destinationReason: state?.reason ?? "",
  };
}

function tryOf(attempt: Attempt): TryTrace {
  const { dialogue } = attempt;
  return {
    at: isoTime(attempt.atMs),
    durationMs: attempt.durationMs,
    places: attempt.indexes.map((index) => index + 1),
    destination: attempt.destination,
    host: attempt.host,
    address: attempt.address,
    tls: attempt.tls,
    result: attempt.result,
    dialogue: dialogue === "" ? [] : dialogue.replace(/\n$/, "").split(/\r?\n/),
  };
}
