/**
 * The queue, as an operator sees it and acts on it.
 *
 * Guarantees: an action needs a selection, so that none falls on everything by an oversight; it only takes what was there
 * when it was asked for; what it did is counted by the store and not guessed. A list says how much it leaves out.
 *
 * A recipient is named by its message's id and its place from 1, `06jwx6kv0g.2`; the id alone names all of them.
 *
 * @module
 */
import { isIPv6 } from "node:net";
import { printableLine } from "../base/printable.ts";
import { hostName, port } from "../config/network_kinds.ts";
import { canonicalDomain, isAddressLiteral, isDomain, parseAddress } from "../mail/address.ts";
import { formatMessageKey, type MessageKey, parseMessageKey } from "../mail/message_id.ts";
import { statesFor } from "../store/queue_rules.ts";
import type {
  DestinationState,
  QueueAction,
  QueueEntry,
  QueueFilter,
  RecipientState,
} from "../store/types.ts";
import { type AdminContext, isoTime } from "./context.ts";
import { AdminError, usageError } from "./error.ts";
import { ALL_STATES, FINAL_STATES, WAITING_STATES } from "./states.ts";
import { destinationStates, type MessageTrace, nextTryMs, placeId, traceOf, unknownError } from "./trace.ts";

/** Which recipients are meant; what is given is joined by "and". */
export interface QueueSelection {
  /** `06jwx6kv0g` for a message, `06jwx6kv0g.2` for its second recipient. */
  readonly ids?: readonly string[];
  readonly domain?: string | undefined;
  /** An address, `@domain`, or `<>` for the null reverse-path. */
  readonly sender?: string | undefined;
  /** Received at least so long ago, in milliseconds. */
  readonly olderThanMs?: number | undefined;
  /** One or more of these. */
  readonly states?: readonly RecipientState[] | undefined;
}

/** One recipient in the queue, or retired from it. */
export interface QueueItem {
  readonly id: string;
  readonly message: string;
  /** From 1. */
  readonly place: number;
  readonly recipient: string;
  /** "" is the null reverse-path. */
  readonly from: string;
  readonly state: RecipientState;
  readonly receivedAt: string;
  readonly bytes: number;
  /** When it came into its state, or was last deferred. */
  readonly at: string;
  /** Why, or what the other side said; may be "". */
  readonly detail: string;
  readonly acceptedBy: string;
  /** The host that an operator chose for it, `host:port`; null: none. */
  readonly reroutedTo: string | null;
  readonly tries: number;
  /** What it waits behind; null where it was not tried yet. */
  readonly destination: string | null;
  /** null: as soon as the server gets to it, or, of one that is held or has left, never. */
  readonly nextTryAt: string | null;
}

/** A destination that doesn't answer. */
export interface SilentDestination {
  readonly destination: string;
  /** Failures in a row. */
  readonly failures: number;
  readonly nextTryAt: string;
  readonly reason: string;
  /** Recipients that wait behind it. */
  readonly waiting: number;
}

export interface QueueView {
  /** How many recipients there are, shown or not. */
  readonly total: number;
  /** How many of them, by state; states that nobody is in are left out. */
  readonly states: { readonly [state in RecipientState]?: number };
  /** The oldest messages first; of retired ones, the newest. */
  readonly recipients: readonly QueueItem[];
  readonly destinations: readonly SilentDestination[];
}

export interface QueueListOptions {
  /** Recipients at most. */
  readonly limit: number;
  /** What waits, or what has left. */
  readonly of: "waiting" | "retired";
}

/** What waits, or what has left the queue. @throws {AdminError} */
export async function listQueue(
  context: AdminContext,
  selection: Omit<QueueSelection, "ids">,
  { limit, of }: QueueListOptions,
): Promise<QueueView> {
  const { queue } = context.store;
  const possible: readonly RecipientState[] = of === "waiting" ? WAITING_STATES : FINAL_STATES;
  const states = selection.states ?? possible;
  const wrong = states.find((state) => !possible.includes(state));
  if (wrong !== undefined) {
    throw of === "waiting"
      ? usageError(`'${wrong}' is a state of mail that has left the queue`, "add --retired to see it")
      : usageError(`'${wrong}' is a state of mail that is still in the queue`, "leave --retired out");
  }
  const [filter] = filtersOf(context, selection);
  const entries = await queue.list({ ...filter, states }, {
    limit,
    order: of === "waiting" ? "oldest" : "newest",
  });
  const counts: { [state in RecipientState]?: number } = {};
  let total = 0;
  for (const state of states) {
    const count = await queue.count({ ...filter, states: [state] });
    if (count > 0) counts[state] = count;
    total += count;
  }
  const destinations = await destinationStates(context);
  return {
    total,
    states: counts,
    recipients: entries.map((entry) => itemOf(entry, destinations)),
    destinations: of === "retired" ? [] : await silent(context, { filter: filter!, entries, destinations }),
  };
}

/** Everything about a message, or about one recipient of it and the tries that it was in. @throws {AdminError} */
export async function showQueued(context: AdminContext, id: string): Promise<MessageTrace> {
  const { key, index } = parseQueueId(id);
  const message = await context.store.history.message(key);
  if (message === undefined) throw unknownError(context, formatMessageKey(key));
  const trace = await traceOf(context, message);
  if (index === undefined) return trace;
  const recipients = trace.recipients.filter(({ place }) => place === index + 1);
  if (recipients.length === 0) {
    const there = trace.recipients.length;
    throw new AdminError(
      `message ${trace.id} has no recipient ${index + 1}`,
      there === 1 ? "it has one" : `it has ${there}, of which the last is ${placeId(key, there - 1)}`,
    );
  }
  return { ...trace, recipients, tries: trace.tries.filter(({ places }) => places.includes(index + 1)) };
}

/** Recipients that an action is about to be done to. */
export interface QueueTarget {
  readonly filters: readonly QueueFilter[];
  readonly action: QueueAction;
  readonly recipients: number;
  readonly messages: number;
  /** Ids that were given and that the action does nothing to, with their state; null: there is no such recipient. */
  readonly passedOver: readonly { readonly id: string; readonly state: RecipientState | null }[];
}

/**
 * Finds the recipients that an action would be done to. `selection` may only be "all" where that was said in so many
 * words.
 * @throws {AdminError} `usage` where nothing was selected or the selection makes no sense; `failed` where nothing matches
 */
export async function findQueued(
  context: AdminContext,
  selection: QueueSelection | "all",
  action: QueueAction,
): Promise<QueueTarget> {
  if (selection !== "all" && isEmpty(selection)) {
    throw usageError(
      `it has to be said which recipients to ${action.kind}`,
      "name ids from 'emsmail queue list', or say --domain, --sender, --older, --state or --all",
    );
  }
  const asked = selection === "all" ? {} : selection;
  const states = statesFor(action).filter((state) =>
    asked.states === undefined || asked.states.includes(state)
  );
  const filters = filtersOf(context, asked).map((filter) => ({ ...filter, states }));
  const found: QueueEntry[] = [];
  if (states.length > 0) {
    for (const filter of filters) {
      found.push(...await context.store.queue.list(filter, { limit: Number.MAX_SAFE_INTEGER }));
    }
  }
  const passedOver = await passedOverIds(context, asked.ids ?? [], found);
  if (found.length === 0) throw nothingFound(action, passedOver);
  return {
    filters,
    action,
    recipients: found.length,
    messages: new Set(found.map(({ key }) => key)).size,
    passedOver,
  };
}

/** Does it; gives how many recipients it was done to, which are fewer where some have left meanwhile. */
export async function actOnQueued({ store }: AdminContext, target: QueueTarget): Promise<number> {
  let done = 0;
  for (const filter of target.filters) done += await store.queue.act(filter, target.action);
  return done;
}

/**
 * Where an operator sends mail: `host`, `host:port`, `[2001:db8::1]:port`, or `default` for what routing says, as
 * {@linkcode QueueAction} has it.
 * @throws {AdminError} `usage`
 */
export function parseReroute(text: string): string {
  if (text === "default") return "";
  const parts = /^(?:\[([^\]]*)\]|([^:]*))(?::(.*))?$/.exec(isIPv6(text) ? `[${text}]` : text);
  const host = hostName.read(parts?.[1] ?? parts?.[2]);
  const to = port.read(parts?.[3] ?? 25);
  if (parts === null || !("value" in host) || !("value" in to)) {
    throw usageError(
      `--to can't be '${printableLine(text)}'`,
      "name a host, with a port if it isn't 25, such as mail.example.net or 192.0.2.25:587, or say default",
    );
  }
  return isIPv6(host.value) ? `[${host.value}]:${to.value}` : `${host.value}:${to.value}`;
}

// ---------------------------------------------------------------- selections

interface QueueId {
  readonly key: MessageKey;
  /** From 0; undefined: all recipients. */
  readonly index: number | undefined;
}

/** Reads `06jwx6kv0g` or `06jwx6kv0g.2`. @throws {AdminError} `usage` saying where ids come from */
export function parseQueueId(text: string): QueueId {
  const parts = /^([^.]+)(?:\.([1-9]\d{0,8}))?$/.exec(text.trim());
  const key = parseMessageKey(parts?.[1] ?? "");
  if (key === undefined) {
    throw usageError(
      `'${printableLine(text)}' is not the id of a message`,
      text.includes("@")
        ? "that looks like a Message-ID: 'emsmail trace' finds the id that belongs to it"
        : "ids have ten letters and digits, such as 06jwx6kv0g, with .2 behind it for the second recipient alone; " +
          "'emsmail queue list', the log and the 250 reply show them",
    );
  }
  const place = parts![2];
  return { key, index: place === undefined ? undefined : Number(place) - 1 };
}

function isEmpty({ ids = [], domain, sender, olderThanMs, states = [] }: QueueSelection): boolean {
  return ids.length === 0 && domain === undefined && sender === undefined && olderThanMs === undefined &&
    states.length === 0;
}

/** The store's filters for a selection: one for whole messages, and one for each single recipient. */
function filtersOf(context: AdminContext, selection: QueueSelection): QueueFilter[] {
  const nowMs = context.clock.nowMs();
  const { ids = [], domain, sender, olderThanMs = 0 } = selection;
  const common: QueueFilter = {
    // What comes in while somebody thinks about a question was not meant.
    receivedBeforeMs: nowMs - olderThanMs + 1,
    ...domain === undefined ? {} : { domain: parseDomain(domain) },
    ...sender === undefined ? {} : { sender: parseSender(sender) },
  };
  if (ids.length === 0) return [common];
  const parsed = ids.map(parseQueueId);
  const whole = new Set(parsed.filter(({ index }) => index === undefined).map(({ key }) => key));
  const single = new Map(
    parsed.filter(({ key, index }) => index !== undefined && !whole.has(key))
      .map(({ key, index }) => [placeId(key, index!), { ...common, keys: [key], index: index! }]),
  );
  return [...whole.size === 0 ? [] : [{ ...common, keys: [...whole] }], ...single.values()];
}

function parseDomain(text: string): string {
  if (isDomain(text) || isAddressLiteral(text)) return canonicalDomain(text);
  throw usageError(
    `--domain can't be '${printableLine(text)}'`,
    "it is the recipients' domain, such as example.org",
  );
}

function parseSender(text: string): string {
  const bare = text.replace(/^<(.*)>$/, "$1");
  if (bare === "") return "";
  const isWhole = bare.startsWith("@") && (isDomain(bare.slice(1)) || isAddressLiteral(bare.slice(1)));
  if (isWhole || !("error" in parseAddress(bare))) return bare;
  throw usageError(
    `--sender can't be '${printableLine(text)}'`,
    "it is an address such as alice@example.org, @example.org for all of a domain, or '<>' for reports",
  );
}

/** Ids that were given and none of whose recipients is in `found`. */
async function passedOverIds(
  { store }: AdminContext,
  ids: readonly string[],
  found: readonly QueueEntry[],
): Promise<QueueTarget["passedOver"]> {
  const passedOver: { id: string; state: RecipientState | null }[] = [];
  for (const id of ids) {
    const { key, index } = parseQueueId(id);
    if (found.some((entry) => entry.key === key && (index === undefined || entry.index === index))) continue;
    const filter = { keys: [key], ...index === undefined ? {} : { index }, states: ALL_STATES };
    const [entry] = await store.queue.list(filter, { limit: 1 });
    const name = index === undefined ? formatMessageKey(key) : placeId(key, index);
    passedOver.push({ id: name, state: entry?.state ?? null });
  }
  return passedOver;
}

function nothingFound(action: QueueAction, passedOver: QueueTarget["passedOver"]): AdminError {
  const kinds = statesFor(action).join(" or ");
  if (passedOver.length === 0) {
    return new AdminError(`nothing that is ${kinds} matches`, "'emsmail queue list' shows what is there");
  }
  const advice = `there is nothing to ${action.kind} unless it is ${kinds}`;
  return new AdminError(passedOver.map(passedOverText).join("; "), advice);
}

/** `06jwx6kv0g.2 is held`: why nothing was done to it. */
export function passedOverText({ id, state }: QueueTarget["passedOver"][number]): string {
  return state === null ? `${id} is not known` : `${id} is ${state}`;
}

// ---------------------------------------------------------------- views

function itemOf(entry: QueueEntry, destinations: ReadonlyMap<string, DestinationState>): QueueItem {
  const { wait, state } = entry;
  const destination = wait === undefined ? undefined : destinations.get(wait.destination);
  return {
    id: placeId(entry.key, entry.index),
    message: formatMessageKey(entry.key),
    place: entry.index + 1,
    recipient: entry.recipient,
    from: entry.reversePath,
    state,
    receivedAt: isoTime(entry.receivedAtMs),
    bytes: entry.size,
    at: isoTime(entry.atMs),
    detail: entry.detail,
    acceptedBy: entry.acceptedBy,
    reroutedTo: entry.reroute === "" ? null : entry.reroute,
    tries: wait?.attempts ?? 0,
    destination: wait?.destination ?? null,
    nextTryAt: wait === undefined || state !== "deferred" ? null : isoTime(nextTryMs(wait, destination)),
  };
}

/** Destinations that don't answer: all of them, or with a selection those that what is shown waits behind. */
async function silent(
  { store }: AdminContext,
  { filter, entries, destinations }: {
    readonly filter: QueueFilter;
    readonly entries: readonly QueueEntry[];
    readonly destinations: ReadonlyMap<string, DestinationState>;
  },
): Promise<SilentDestination[]> {
  const isWhole = filter.domain === undefined && filter.sender === undefined;
  const shown = new Set(entries.map(({ wait }) => wait?.destination));
  const waiting = new Map(
    (await store.deliveries.waiting()).map(({ destination, recipients }) => [destination, recipients]),
  );
  const told = [...destinations.values()].filter(({ destination }) => isWhole || shown.has(destination));
  return told.map((state) => ({
    destination: state.destination,
    failures: state.failures,
    nextTryAt: isoTime(state.retryAtMs),
    reason: state.reason,
    waiting: waiting.get(state.destination) ?? 0,
  }));
}
