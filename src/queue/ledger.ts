/**
 * Writes down what became of recipients: outcomes, the tries that led to them, and the notifications they call for, all in
 * one transaction.
 *
 * Guarantees: a sender is told of a failure in the same commit that records it, so a crash neither loses a notification nor
 * sends it twice. A store that fails is asked again until it takes the record; what happened is never forgotten by this
 * process. Whether a deferral has become a failure, a delay to be told of, or a case for the backup route is
 * decided here and nowhere else.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { type Clock, sleep } from "../base/clock.ts";
import { formatMessageKey, type MessageKey } from "../mail/message_id.ts";
import type { Reply } from "../mail/reply.ts";
import type { BackupHop } from "../routing/route.ts";
import type {
  AcceptedMessage,
  Attempt,
  Deliveries,
  DestinationState,
  Outcome,
  Piece,
  QueueChanges,
  QueuedMessage,
  QueuedRecipient,
  Wait,
} from "../store/types.ts";
import { destinationOf } from "./destination.ts";
import { tell } from "./outcome_log.ts";
import { isOfList, momentsOf, nextMomentMs, type RetryPolicy, wantsNotice } from "./retry.ts";

const log = getLogger(["emsmail", "delivery"]);

/** How often it is tried to make a notification. */
const COMPOSE_TRIES = 3;
/** How long to wait after the store failed, in milliseconds, doubling up to the second figure. */
const STORE_RETRY_MS = [250, 30_000] as const;

/** What happened to one recipient. */
export type Verdict =
  /** It is in maildrops here, or stands for other recipients, or both. */
  | {
    readonly kind: "delivered";
    readonly recipient: QueuedRecipient;
    readonly deliverTo: Outcome["deliverTo"];
    readonly expandedTo: NonNullable<Outcome["expandedTo"]>;
    readonly detail: string;
    /** The accounts' names, for the log. */
    readonly accounts: string;
    /** It is a list, which has the message now (RFC 3461 5.2.7.1). @default "no" */
    readonly list?: "no" | "yes";
  }
  /** Another system took it. */
  | {
    readonly kind: "relayed" | "handed";
    readonly recipient: QueuedRecipient;
    /** `mx.example.org [192.0.2.1]`. */
    readonly by: string;
    readonly reply: Reply;
    /** Whether that system promised to tell of the delivery (RFC 3461). */
    readonly dsn: "passed-on" | "not-supported";
  }
  /** It won't be delivered. */
  | {
    readonly kind: "failed";
    readonly recipient: QueuedRecipient;
    readonly reply: Reply;
    /** Who said so; "" where this system did. */
    readonly by: string;
    readonly dialogue: string;
  }
  /** It waits. */
  | {
    readonly kind: "deferred";
    readonly recipient: QueuedRecipient;
    readonly reason: string;
    readonly destination: string;
    readonly dueMs: number;
    /** Whether this was a try of this recipient. */
    readonly tried: "yes" | "no";
    /** Whether no host could be reached, and where its mail goes when that lasts. */
    readonly unreachable: "yes" | "no";
    readonly backup: BackupHop | undefined;
    readonly by: string;
    readonly dialogue: string;
  };

/** A recipient that a sender is told of, and why. */
export interface Notice {
  readonly recipient: QueuedRecipient;
  readonly action: "failed" | "delayed" | "delivered" | "relayed";
  readonly reply: Reply | undefined;
  /** Who was tried last; "" where nobody was. */
  readonly by: string;
  /** Whose words `reply` is. */
  readonly said: "there" | "here";
  readonly reason: string;
  readonly dialogue: string;
  readonly retryUntilMs?: number;
}

/** Who is told what became of a recipient: the sender, or who keeps the list that led to it (RFC 5321 3.9.2). */
export function toldOf(
  { reversePath }: Pick<QueuedMessage, "reversePath">,
  recipient: QueuedRecipient,
): string {
  return isOfList(recipient) ? recipient.reversePath! : reversePath;
}

export interface LedgerOptions {
  readonly deliveries: Deliveries;
  readonly clock: Clock;
  policy(): RetryPolicy;
  /** Makes the notification about some recipients of a message, for one of {@linkcode toldOf}; undefined: none can be made. */
  compose(message: QueuedMessage, notices: readonly Notice[]): Promise<AcceptedMessage | undefined>;
  /** Called for each recipient that is on record, with what it waits for if it does. */
  settled(key: MessageKey, index: number, wait: Wait | undefined): void;
}

/** What is recorded beside verdicts. */
export interface Extras {
  /** What messages were broken apart into, as far as verdicts use it. */
  readonly pieces?: readonly Piece[];
  readonly attempts?: readonly Attempt[];
  readonly destinations?: readonly DestinationState[];
}

interface Judged {
  readonly outcome: Outcome;
  readonly notice?: Notice;
}

export class Ledger {
  readonly #options: LedgerOptions;
  readonly #endPause = new Set<() => void>();
  #stopped = false;
  readonly #open = new Set<Promise<void>>();

  constructor(options: LedgerOptions) {
    this.#options = options;
  }

  /** Records verdicts about recipients, by message; resolves when they are on disk, or the ledger was stopped. */
  settle(
    messages: readonly { readonly message: QueuedMessage; readonly verdicts: readonly Verdict[] }[],
    extras: Extras = {},
  ): Promise<void> {
    const work = this.#settle(messages, extras).finally(() => this.#open.delete(work));
    this.#open.add(work);
    return work;
  }

  /** Gives up from now on what the store doesn't take: it stays as it was, and is done again at the next start. */
  giveUp(): void {
    this.#stopped = true;
    for (const end of this.#endPause) end();
  }

  /** Resolves when all is on disk, or given up. */
  async stop(): Promise<void> {
    while (this.#open.size > 0) await Promise.allSettled([...this.#open]);
  }

  async #settle(
    messages: readonly { readonly message: QueuedMessage; readonly verdicts: readonly Verdict[] }[],
    extras: Extras,
  ): Promise<void> {
    const nowMs = this.#options.clock.nowMs();
    const outcomes: Outcome[] = [];
    const reports: AcceptedMessage[] = [];
    for (const { message, verdicts } of messages) {
      const notices: Notice[] = [];
      for (const verdict of verdicts) {
        const { outcome, notice } = this.#judge(message, verdict, nowMs);
        outcomes.push(outcome);
        if (notice !== undefined) notices.push(notice);
      }
      for (const group of grouped(message, notices)) {
        const report = await this.#compose(message, group);
        if (report !== undefined) reports.push(report);
      }
    }
    if (!await this.#record({ outcomes, reports, ...extras })) return;
    for (const { key, index, wait } of outcomes) this.#options.settled(key, index, wait);
    let place = 0;
    for (const { message, verdicts } of messages) {
      for (const verdict of verdicts) tell(message, verdict, outcomes[place++]!);
    }
  }

  async #compose(message: QueuedMessage, notices: readonly Notice[]): Promise<AcceptedMessage | undefined> {
    let pauseMs: number = STORE_RETRY_MS[0];
    for (let tries = 1;; tries++) {
      try {
        return await this.#options.compose(message, notices);
      } catch (error) {
        log.error("no notification could be made for {id}", {
          id: formatMessageKey(message.key),
          error: error instanceof Error ? error.stack : String(error),
        });
        // The content could not be read perhaps. But in the end it must not keep the outcome from being recorded.
        if (tries === COMPOSE_TRIES || this.#stopped) return undefined;
        await this.#pause(pauseMs);
        pauseMs *= 2;
      }
    }
  }

  /** Whether it is on disk; not, only where the ledger was stopped. */
  async #record(changes: QueueChanges): Promise<boolean> {
    let pauseMs: number = STORE_RETRY_MS[0];
    for (;;) {
      try {
        await this.#options.deliveries.record(withOwnBuffers(changes));
        return true;
      } catch (error) {
        if (this.#stopped) return false;
        log.error("the store refuses outcomes; trying again in {pauseMs} ms", {
          pauseMs,
          error: String(error),
        });
        await this.#pause(pauseMs);
        if (this.#stopped) return false;
        pauseMs = Math.min(pauseMs * 2, STORE_RETRY_MS[1]);
      }
    }
  }

  async #pause(ms: number): Promise<void> {
    let end!: () => void;
    const ended = new Promise<void>((resolve) => end = resolve);
    this.#endPause.add(end);
    await Promise.race([sleep(this.#options.clock, ms), ended]);
    this.#endPause.delete(end);
  }

  #judge(message: QueuedMessage, verdict: Verdict, nowMs: number): Judged {
    switch (verdict.kind) {
      case "delivered":
        return delivered(message, verdict, nowMs);
      case "relayed":
      case "handed":
        return relayed(message, verdict, nowMs);
      case "failed":
        return failed(message, verdict, nowMs);
      case "deferred":
        return deferred(message, verdict, { nowMs, policy: this.#options.policy() });
    }
  }
}

/** A store may transfer a report's or a piece's buffer, and fail all the same: the next try needs it. */
function withOwnBuffers(changes: QueueChanges): QueueChanges {
  const { reports = [], pieces = [] } = changes;
  if (reports.length + pieces.length === 0) return changes;
  return {
    ...changes,
    reports: reports.map((report) => ({ ...report, lastPart: report.lastPart.slice() })),
    pieces: pieces.map((piece) => ({ ...piece, own: piece.own.slice() })),
  };
}

type VerdictOf<K extends Verdict["kind"]> = Extract<Verdict, { readonly kind: K }>;

function delivered(message: QueuedMessage, verdict: VerdictOf<"delivered">, atMs: number): Judged {
  const { recipient, deliverTo, expandedTo, detail, list } = verdict;
  const outcome: Outcome = {
    key: message.key,
    index: recipient.index,
    state: expandedTo.length > 0 ? "expanded" : "delivered",
    atMs,
    detail,
    deliverTo,
    ...expandedTo.length > 0 ? { expandedTo } : {},
  };
  // RFC 3461 5.2.7: what others stand for now is told by their own outcome, as they keep the NOTIFY; but those of a list
  // don't, and it has its mail with this.
  const isThere = deliverTo.length > 0 || list === "yes";
  if (!isThere || !wantsNotice("success", message, recipient.requests)) return { outcome };
  return {
    outcome,
    notice: {
      recipient,
      action: "delivered",
      reply: undefined,
      by: "",
      said: "here",
      reason: list === "yes" ? "The list has it, and sends it to its members." : "It is in the mailbox.",
      dialogue: "",
    },
  };
}

function relayed(message: QueuedMessage, verdict: VerdictOf<"relayed" | "handed">, atMs: number): Judged {
  const { recipient, by, reply, dsn, kind } = verdict;
  const outcome: Outcome = {
    key: message.key,
    index: recipient.index,
    state: kind,
    atMs,
    detail: replyText(reply),
    deliverTo: [],
    acceptedBy: by,
  };
  // RFC 3461 5.2.2: who gets the message and knows no DSN will not tell; so this is the last that is heard. RFC 2852
  // 4.1.4: with T in BY, every relaying is told.
  // (RFC 3461 4.1: NEVER is under no conditions.)
  const isNever = recipient.requests?.notify?.length === 0;
  const traced = message.requests?.deliverBy?.trace === true && message.reversePath !== "" && !isNever;
  const due = traced || (dsn === "not-supported" && wantsNotice("success", message, recipient.requests));
  if (!due) return { outcome };
  const reason = `${by} has taken it, and may not tell what becomes of it.`;
  return {
    outcome,
    notice: { recipient, action: "relayed", reply, by, said: "there", reason, dialogue: "" },
  };
}

function failed(message: QueuedMessage, verdict: VerdictOf<"failed">, atMs: number): Judged {
  const { recipient, reply, by, dialogue } = verdict;
  const outcome: Outcome = {
    key: message.key,
    index: recipient.index,
    state: "failed",
    atMs,
    detail: by === "" ? replyText(reply) : `${by} said: ${replyText(reply)}`,
    deliverTo: [],
  };
  if (!wantsNotice("failure", message, recipient.requests)) return { outcome };
  return {
    outcome,
    notice: {
      recipient,
      action: "failed",
      reply,
      by,
      said: by === "" ? "here" : "there",
      reason: by === "" ? reply.lines.join(" ") : `${by} refused it: ${reply.lines.join(" ")}`,
      dialogue,
    },
  };
}

function deferred(
  message: QueuedMessage,
  verdict: VerdictOf<"deferred">,
  { nowMs, policy }: { readonly nowMs: number; readonly policy: RetryPolicy },
): Judged {
  const { recipient, backup, reason } = verdict;
  const reachable = backup?.when === "unreachable" ? "has-backup" : "no-backup";
  const moments = momentsOf(message, recipient, { policy, backup: reachable });
  if (moments.backupMs !== undefined && nowMs >= moments.backupMs && verdict.unreachable === "yes") {
    return toBackup(message, verdict, { nowMs, policy, backup: backup! });
  }
  if (moments.returnByMs !== undefined && nowMs >= moments.returnByMs) {
    return expired(message, verdict, {
      nowMs,
      enhanced: "5.4.7",
      text: "It was not delivered by the time you asked for",
    });
  }
  if (nowMs >= moments.expireMs) {
    return expired(message, verdict, {
      nowMs,
      enhanced: "4.4.7",
      text: "Delivery was tried for too long without success",
    });
  }
  const isLate = moments.delayMs !== undefined && nowMs >= moments.delayMs;
  const told = isLate || recipient.wait?.delayTold === true;
  const wait: Wait = {
    destination: verdict.destination,
    dueMs: Math.max(verdict.dueMs, nowMs),
    deadlineMs: nextMomentMs(isLate ? { ...moments, delayMs: undefined } : moments, nowMs),
    attempts: (recipient.wait?.attempts ?? 0) + (verdict.tried === "yes" ? 1 : 0),
    ...told ? { delayTold: true } : {},
    ...recipient.wait?.backupSinceMs === undefined ? {} : { backupSinceMs: recipient.wait.backupSinceMs },
  };
  const outcome = deferral(message, verdict, { nowMs, wait });
  if (!isLate) return { outcome };
  return {
    outcome,
    notice: {
      recipient,
      action: "delayed",
      reply: undefined,
      by: verdict.by,
      said: "here",
      reason,
      dialogue: verdict.dialogue,
      retryUntilMs: moments.expireMs,
    },
  };
}

function deferral(
  message: QueuedMessage,
  { recipient, reason }: VerdictOf<"deferred">,
  { nowMs, wait }: { readonly nowMs: number; readonly wait: Wait },
): Outcome {
  return {
    key: message.key,
    index: recipient.index,
    state: "deferred",
    atMs: nowMs,
    detail: reason,
    deliverTo: [],
    wait,
  };
}

function toBackup(
  message: QueuedMessage,
  verdict: VerdictOf<"deferred">,
  { nowMs, policy, backup }: {
    readonly nowMs: number;
    readonly policy: RetryPolicy;
    readonly backup: BackupHop;
  },
): Judged {
  const recipient: QueuedRecipient = {
    ...verdict.recipient,
    wait: {
      ...verdict.recipient.wait ?? { destination: "", dueMs: 0, deadlineMs: 0, attempts: 0 },
      backupSinceMs: nowMs,
    },
  };
  const destination = destinationOf(backup.hop, message).name;
  const now: VerdictOf<"deferred"> = {
    ...verdict,
    recipient,
    destination,
    dueMs: nowMs,
    unreachable: "no",
    tried: "no",
  };
  const reason = `${verdict.reason}; goes to ${destination} instead`;
  return deferred(message, { ...now, reason }, { nowMs, policy });
}

function expired(
  message: QueuedMessage,
  { recipient, reason, by, dialogue }: VerdictOf<"deferred">,
  { nowMs, enhanced, text }: {
    readonly nowMs: number;
    readonly enhanced: "4.4.7" | "5.4.7";
    readonly text: string;
  },
): Judged {
  const lines = [`${text}; the last try ended so: ${reason}`];
  const judged = failed(message, {
    kind: "failed",
    recipient,
    reply: { code: 550, enhanced, lines },
    by: "",
    dialogue,
  }, nowMs);
  return judged.notice === undefined ? judged : { ...judged, notice: { ...judged.notice, by } };
}

/** A notification tells one person of one kind of event, so that its subject can say which. */
function grouped(message: QueuedMessage, notices: readonly Notice[]): Notice[][] {
  const groups = new Map<string, Notice[]>();
  for (const notice of notices) {
    const question = `${notice.action} ${toldOf(message, notice.recipient)}`;
    const group = groups.get(question);
    if (group === undefined) groups.set(question, [notice]);
    else group.push(notice);
  }
  return [...groups.values()];
}

/** `250 2.0.0 Accepted as …`. */
export function replyText({ code, enhanced, lines }: Reply): string {
  return [String(code), ...enhanced === undefined ? [] : [enhanced], lines.join(" ")].join(" ").trim();
}
