/**
 * `emsmail queue …`: the queue, at the command line.
 *
 * @module
 */
import {
  actOnQueued,
  findQueued,
  listQueue,
  parseReroute,
  passedOverText,
  type QueueItem,
  type QueueSelection,
  type QueueTarget,
  type QueueView,
  showQueued,
} from "../admin/queue.ts";
import { AdminError, usageError } from "../admin/error.ts";
import { ALL_STATES } from "../admin/states.ts";
import { printableLine } from "../base/printable.ts";
import { clean } from "../mail/reply.ts";
import type { QueueAction, RecipientState } from "../store/types.ts";
import { withStore } from "./context.ts";
import { bold, type Io, json } from "./io.ts";
import type { Options } from "./program.ts";
import { canAsk, confirm } from "./prompt.ts";
import { showText } from "./queue_show.ts";
import { type Column, formatTable } from "./table.ts";
import { count, formatAge, formatFromNow, formatMinute, formatSize } from "./time.ts";
import { positiveNumber, timeSpan } from "./values.ts";

/** More than fits a screen, and few enough to be read at once from a queue of any size. */
const LIST_LIMIT = 200;
/** Narrower than this, a list leaves out what `queue show` tells. */
const WIDE_CELLS = 96;

// ---------------------------------------------------------------- list and show

export async function queueList(io: Io, options: Options): Promise<void> {
  const selection = selectionOf([], options);
  const limit = positiveNumber(options, "--limit") ?? LIST_LIMIT;
  const of = options.retired === true ? "retired" : "waiting";
  const { view, nowMs } = await withStore(options, async (context) => ({
    view: await listQueue(context, selection, { limit, of }),
    nowMs: context.clock.nowMs(),
  }), { access: "read" });
  if (options.json === true) return await io.out(json(view));
  const isNarrowed = Object.values(selection).some((value) => value !== undefined);
  if (of === "retired") return await io.out(retiredText(view, io, isNarrowed ? "narrowed" : "whole"));
  await io.out(waitingText(view, { io, nowMs, of: isNarrowed ? "narrowed" : "whole" }));
}

export async function queueShow(io: Io, id: string, options: Options): Promise<void> {
  const { message, nowMs } = await withStore(options, async (context) => ({
    message: await showQueued(context, id),
    nowMs: context.clock.nowMs(),
  }), { access: "read" });
  await io.out(options.json === true ? json(message) : showText(message, { io, nowMs }));
}

interface ListLook {
  readonly io: Io;
  readonly nowMs: number;
  readonly of: "whole" | "narrowed";
}

interface ItemColumn extends Column {
  readonly cell: (item: QueueItem) => string;
  /** Left out where there is no room. */
  readonly wide?: true;
}

function itemTable(columns: readonly ItemColumn[], items: readonly QueueItem[], io: Io): string {
  const isWide = io.width === undefined || io.width >= WIDE_CELLS;
  const shown = columns.filter(({ wide }) => isWide || wide !== true);
  return formatTable(
    shown,
    items.map((item) => shown.map(({ cell }) => cell(item))),
    { width: io.width, bold: io.colour },
  );
}

function waitingText(view: QueueView, { io, nowMs, of }: ListLook): string {
  if (view.total === 0) {
    return of === "whole" ? "The queue is empty.\n" : "Nothing in the queue matches.\n";
  }
  const columns: ItemColumn[] = [
    { title: "id", cell: ({ id }) => id },
    { title: "age", align: "right", cell: (item) => formatAge(nowMs - Date.parse(item.receivedAt)) },
    { title: "size", align: "right", wide: true, cell: ({ bytes }) => formatSize(bytes) },
    { title: "from", shrinks: true, cell: ({ from }) => from || "<>" },
    { title: "to", shrinks: true, cell: ({ recipient }) => recipient },
    { title: "state", cell: ({ state }) => state },
    { title: "tries", align: "right", wide: true, cell: ({ tries }) => String(tries) },
    { title: "next try", cell: (item) => nextTryText(item, nowMs) },
    { title: "why", shrinks: true, cell: ({ detail }) => detail },
  ];
  const table = itemTable(columns, view.recipients, io);
  return `${table}\n${waitingSummary(view)}\n${destinationsText(view, io, nowMs)}`;
}

function nextTryText({ state, nextTryAt }: QueueItem, nowMs: number): string {
  if (state === "held") return "never";
  return nextTryAt === null ? "now" : formatFromNow(Date.parse(nextTryAt), nowMs);
}

/** `12 recipients of 9 messages wait; 3 held.` */
function waitingSummary({ total, states, recipients }: QueueView): string {
  const { held = 0 } = states;
  const heldText = held === 0 ? "" : `; ${held} held`;
  if (recipients.length < total) {
    return `These are the oldest ${recipients.length} of ${total} recipients that wait${heldText}. ` +
      `See more with --limit ${total}.`;
  }
  const messages = new Set(recipients.map(({ message }) => message)).size;
  return `${count(total, "recipient")} of ${count(messages, "message")} ${
    total === 1 ? "waits" : "wait"
  }${heldText}.`;
}

function destinationsText({ destinations }: QueueView, io: Io, nowMs: number): string {
  const silent = destinations.filter(({ waiting }) => waiting > 0);
  if (silent.length === 0) return "";
  const table = formatTable(
    [
      { title: "destination", shrinks: true },
      { title: "waiting", align: "right" },
      { title: "failures", align: "right" },
      { title: "next try" },
      { title: "why", shrinks: true },
    ],
    silent.map((one) => [
      one.destination,
      String(one.waiting),
      String(one.failures),
      formatFromNow(Date.parse(one.nextTryAt), nowMs),
      one.reason,
    ]),
    { width: io.width, bold: io.colour },
  );
  return `\nDestinations that don't answer:\n${table}`;
}

function retiredText(view: QueueView, io: Io, of: ListLook["of"]): string {
  if (view.total === 0) {
    return of === "whole"
      ? "Nothing has left the queue yet.\n"
      : "Nothing that has left the queue matches.\n";
  }
  const columns: ItemColumn[] = [
    { title: "id", cell: ({ id }) => id },
    { title: "left", cell: ({ at }) => formatMinute(Date.parse(at)) },
    { title: "from", shrinks: true, wide: true, cell: ({ from }) => from || "<>" },
    { title: "to", shrinks: true, cell: ({ recipient }) => recipient },
    { title: "state", cell: ({ state }) => state },
    { title: "accepted by", shrinks: true, cell: ({ acceptedBy }) => acceptedBy },
    { title: "why", shrinks: true, wide: true, cell: ({ detail }) => detail },
  ];
  const table = itemTable(columns, view.recipients, io);
  const { recipients, total } = view;
  const summary = recipients.length < total
    ? `These are the newest ${recipients.length} of ${total} recipients. See more with --limit ${total}.`
    : `${count(total, "recipient")} ${total === 1 ? "has" : "have"} left the queue.`;
  return `${table}\n${summary}\n`;
}

// ---------------------------------------------------------------- actions

/** `queue retry`, `hold`, `release`, `drop` and `reroute`. */
export async function queueAct(
  io: Io,
  { kind, ids }: { readonly kind: QueueAction["kind"]; readonly ids: readonly string[] },
  options: Options,
): Promise<void> {
  const selection = selectionOf(ids, options);
  const action = actionOf(kind, options);
  if (options.all === true && Object.values(selection).some((value) => value !== undefined)) {
    throw usageError("--all and a selection don't go together", "give one of them");
  }
  await withStore(options, async (context) => {
    const target = await findQueued(context, options.all === true ? "all" : selection, action);
    if (kind === "drop" && options.yes !== true) await confirmDrop(target);
    const done = await actOnQueued(context, target);
    if (done === 0) throw new AdminError("nothing was done: all of it has left the queue a moment ago");
    await io.out(`${doneText(target, done)}\n`);
    for (const passed of target.passedOver) {
      const text = `nothing was done to one id: ${passedOverText(passed)}`;
      await io.err(`${bold("emsmail:", io.colourErr)} note: ${printableLine(text)}\n`);
    }
  }, { access: "change" });
}

function actionOf(kind: QueueAction["kind"], options: Options): QueueAction {
  const detail = clean(String(options.reason ?? ""));
  switch (kind) {
    case "hold":
    case "drop":
      return { kind, detail };
    case "reroute":
      return { kind, host: parseReroute(String(options.to)) };
    case "retry":
    case "release":
      return { kind };
  }
}

async function confirmDrop(target: QueueTarget): Promise<void> {
  const what = targetText(target, target.recipients);
  if (!canAsk()) {
    throw usageError(
      `dropping ${what} can't be undone and nobody is told, and there is no terminal to ask on`,
      "say --yes",
    );
  }
  if (!await confirm(`Drop ${what}? They don't get the mail, nobody is told, and it can't be undone.`)) {
    throw new AdminError("nothing was dropped");
  }
}

/** `3 recipients of 2 messages`. */
function targetText({ messages }: QueueTarget, recipients: number): string {
  return `${count(recipients, "recipient")} of ${count(messages, "message")}`;
}

/** What was done, in a sentence. */
function doneText(target: QueueTarget, done: number): string {
  const what = targetText(target, done);
  const { action } = target;
  switch (action.kind) {
    case "retry":
      return `${what} will be tried now.`;
    case "hold":
      return `${what} ${done === 1 ? "is" : "are"} held: nothing goes out until 'emsmail queue release'.`;
    case "release":
      return `${what} ${done === 1 ? "is" : "are"} released, and tried when the destination's turn comes.`;
    case "drop":
      return `${what} dropped. Nobody is told.`;
    case "reroute":
      return action.host === ""
        ? `${what} will be sent the usual way again.`
        : `${what} will be sent by way of ${action.host}.`;
  }
}

function selectionOf(ids: readonly string[], options: Options): QueueSelection {
  const states = options.state as readonly string[] | undefined;
  const wrong = states?.find((state) => !(ALL_STATES as readonly string[]).includes(state));
  if (wrong !== undefined) {
    throw usageError(`--state can't be '${printableLine(wrong)}'`, `it may be ${ALL_STATES.join(", ")}`);
  }
  return {
    ...ids.length === 0 ? {} : { ids },
    domain: options.domain as string | undefined,
    sender: options.sender as string | undefined,
    olderThanMs: timeSpan(options, "--older"),
    states: states as readonly RecipientState[] | undefined,
  };
}
