/**
 * Looks at each recipient that waits, finds out where it goes as things stand now, and sees to it: into maildrops here, to
 * the recipients it stands for, to {@linkcode Outbound}, or back to its sender.
 *
 * Guarantees: a message is recorded as delivered in the same transaction that puts it into the maildrops; a crash at any
 * point leaves a recipient as it was, and dispatching it again changes nothing that was already done. A recipient is in
 * hand once: one that is announced again meanwhile (an operator retried or rerouted it) is passed over, and taken on when
 * what is in hand came to nothing. A message whose look-up fails does not keep the others back.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { type Clock, sleep } from "../base/clock.ts";
import { formatMessageKey, type MessageKey } from "../mail/message_id.ts";
import type { BackupHop } from "../routing/route.ts";
import type { Attempt, Piece, QueuedMessage, QueuedRecipient, Wait } from "../store/types.ts";
import { Apart, type ApartOptions } from "./apart.ts";
import { decide, type Resolved, wantsPieces } from "./decide.ts";
import { type Destination, destinationOf, handleOf, hopOf, type Job, type OutRoute } from "./destination.ts";
import type { Ledger, Verdict } from "./ledger.ts";

const log = getLogger(["emsmail", "delivery"]);

/** Messages recorded in one transaction at most: keeps a commit short for those who wait behind it. */
const BATCH_MESSAGES = 256;
/** Octets of pieces' headers that wait to be recorded: beyond, they are recorded before more is looked at. */
const BATCH_PIECES_OCTETS = 8 * 1024 * 1024;
/** How long to wait after a look-up failed, in milliseconds, doubling up to the second figure. */
const RETRY_MS = [250, 30_000] as const;

export type { Resolved };

export interface DispatcherOptions extends ApartOptions {
  readonly clock: Clock;
  readonly ledger: Ledger;
  /** Finds out where a recipient goes as things stand now. */
  resolve(recipient: string, sender: string): Promise<Resolved>;
  /** The reverse-path of mail that is sent on to elsewhere. */
  forwardSender(reversePath: string): string;
  /** Takes what leaves this system. */
  send(destination: Destination, job: Job): void;
  /** The tries of a message so far, in order. */
  attempts(key: MessageKey): Promise<readonly Attempt[]>;
  /** Why a destination can't be reached at present; undefined: it can, as far as is known. */
  failing(destination: string): string | undefined;
}

export class Dispatcher {
  readonly #options: DispatcherOptions;
  #waiting: QueuedMessage[] = [];
  #working: Promise<void> | undefined;
  #stopped = false;
  #endPause: (() => void) | undefined;
  readonly #inHand = new Set<string>();
  /** Of those in hand: what was announced again, as it is to be done then. */
  readonly #again = new Map<string, QueuedMessage>();

  constructor(options: DispatcherOptions) {
    this.#options = options;
  }

  /** Takes messages on; recipients in hand already are passed over. */
  dispatch(messages: readonly QueuedMessage[]): void {
    for (const message of messages) {
      const fresh = this.#claim(message);
      if (fresh !== undefined) this.#waiting.push(fresh);
    }
    if (this.#waiting.length > 0 && !this.#stopped) this.#working ??= this.#work();
  }

  /** Takes on messages that were queued, perhaps anew: those in hand wait for what becomes of them. */
  announced(messages: readonly QueuedMessage[]): void {
    for (const message of messages) {
      for (const recipient of message.recipients) {
        const handle = handleOf(message.key, recipient.index);
        if (this.#inHand.has(handle)) this.#again.set(handle, { ...message, recipients: [recipient] });
      }
    }
    this.dispatch(messages);
  }

  /** An operator changed what waits: what was announced before may not be so any more. */
  changed(): void {
    this.#again.clear();
  }

  /** A recipient is on record, with what it waits for if it does: it is not in hand any more. */
  release(key: MessageKey, index: number, wait: Wait | undefined): void {
    const handle = handleOf(key, index);
    this.#inHand.delete(handle);
    const again = this.#again.get(handle);
    if (again === undefined) return;
    this.#again.delete(handle);
    if (wait === undefined) return;
    this.dispatch([{ ...again, recipients: again.recipients.map((recipient) => ({ ...recipient, wait })) }]);
  }

  /** Finishes the batch in hand; the rest stays in the store. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#endPause?.();
    await this.#working;
  }

  /**
   * Judges deferred recipients whose deadline has come: told late, given up, or sent by the backup route. Gives how many
   * were not in hand.
   */
  async reconsider(messages: readonly QueuedMessage[]): Promise<number> {
    // All of them first: what is read of the store is so now, and may not be a moment later.
    const claimed = messages.flatMap((message) => this.#claim(message) ?? []);
    const settled: { message: QueuedMessage; verdicts: readonly Verdict[] }[] = [];
    let judged = 0;
    for (const message of claimed) {
      const tries = await this.#tries(message);
      const verdicts: Verdict[] = [];
      for (const recipient of message.recipients) {
        verdicts.push(await this.#overdue(message, recipient, tries));
      }
      settled.push({ message, verdicts });
      judged += verdicts.length;
    }
    if (settled.length > 0) await this.#options.ledger.settle(settled);
    return judged;
  }

  async #tries({ key }: QueuedMessage): Promise<readonly Attempt[]> {
    try {
      return await this.#options.attempts(key);
    } catch (error) {
      log.error("the tries of {id} can't be read", { id: formatMessageKey(key), error: String(error) });
      return [];
    }
  }

  /** The message with those of its recipients that nobody has in hand; undefined where there is none. */
  #claim(message: QueuedMessage): QueuedMessage | undefined {
    const recipients = message.recipients.filter(({ index }) =>
      !this.#inHand.has(handleOf(message.key, index))
    );
    for (const { index } of recipients) this.#inHand.add(handleOf(message.key, index));
    if (recipients.length === message.recipients.length) return message;
    return recipients.length === 0 ? undefined : { ...message, recipients };
  }

  async #overdue(
    message: QueuedMessage,
    recipient: QueuedRecipient,
    tries: readonly Attempt[],
  ): Promise<Verdict> {
    const { destination = "", dueMs = 0 } = recipient.wait ?? {};
    let backup: BackupHop | undefined;
    try {
      backup = (await this.#options.resolve(recipient.recipient, message.reversePath)).route?.backup;
    } catch (error) {
      log.error("no route could be found for {to}", { to: recipient.recipient, error: String(error) });
    }
    const failing = this.#options.failing(destination);
    const last = tries.findLast(({ indexes, dialogue }) =>
      indexes.includes(recipient.index) && dialogue !== ""
    );
    return {
      kind: "deferred",
      recipient,
      reason: failing ?? recipient.detail ?? "its destination has not answered yet",
      destination,
      dueMs,
      tried: "no",
      unreachable: failing === undefined ? "no" : "yes",
      backup,
      by: last?.host ?? "",
      dialogue: last?.dialogue ?? "",
    };
  }

  async #work(): Promise<void> {
    let pauseMs: number = RETRY_MS[0];
    while (this.#waiting.length > 0 && !this.#stopped) {
      const batch = this.#waiting.splice(0, BATCH_MESSAGES);
      const failed = await this.#dispatch(batch);
      if (failed.length < batch.length) {
        // Something is wrong with these alone: the others go first.
        for (const message of failed) this.#waiting.push(message);
        if (failed.length === 0) pauseMs = RETRY_MS[0];
        continue;
      }
      log.error("nobody can be looked up; trying again in {pauseMs} ms", { pauseMs });
      this.#waiting = [...failed, ...this.#waiting];
      await this.#pause(pauseMs);
      pauseMs = Math.min(pauseMs * 2, RETRY_MS[1]);
    }
    this.#working = undefined;
  }

  /** Waits, but not once the worker is to stop. */
  async #pause(ms: number): Promise<void> {
    if (this.#stopped) return;
    await Promise.race([
      sleep(this.#options.clock, ms),
      new Promise<void>((resolve) => this.#endPause = resolve),
    ]);
  }

  /** Sees to messages; gives those that could not be looked up, of which nothing is under way. */
  async #dispatch(batch: readonly QueuedMessage[]): Promise<QueuedMessage[]> {
    let settled: { message: QueuedMessage; verdicts: readonly Verdict[] }[] = [];
    let pieces = new Map<MessageKey, Piece>();
    // Bursts go to few people.
    const resolved = new Map<string, Promise<Resolved>>();
    let apart = new Apart(this.#options);
    const settle = async () => {
      if (settled.length > 0) await this.#options.ledger.settle(settled, { pieces: [...pieces.values()] });
      [settled, pieces, apart] = [[], new Map(), new Apart(this.#options)];
    };
    const failed: QueuedMessage[] = [];
    for (const message of batch) {
      try {
        const split = await this.#split(message, { resolved, apart });
        if (split.verdicts.length > 0) settled.push({ message, verdicts: split.verdicts });
        for (const piece of split.pieces) pieces.set(piece.key, piece);
        for (const { destination, route, recipients } of split.outgoing) {
          this.#options.send(destination, { message, recipients, route });
        }
      } catch (error) {
        const id = formatMessageKey(message.key);
        log.error("the recipients of {id} can't be looked up", { id, error: String(error) });
        failed.push(message);
      }
      if (ownOctets(pieces.values()) > BATCH_PIECES_OCTETS) await settle();
    }
    await settle();
    return failed;
  }

  /** What is to be recorded of a message's recipients now, and the others by their way out. */
  async #split(message: QueuedMessage, known: Known): Promise<Split> {
    const { clock, resolve, forwardSender } = this.#options;
    const nowMs = clock.nowMs();
    const verdicts: Verdict[] = [];
    const outgoing = new Map<string, Group>();
    let pieces: readonly Piece[] | undefined;
    for (const recipient of message.recipients) {
      const question = `${recipient.recipient}\n${message.reversePath}`;
      const asked = known.resolved.get(question) ?? resolve(recipient.recipient, message.reversePath);
      known.resolved.set(question, asked);
      const resolved = await asked;
      if (wantsPieces(message, recipient, { resolved, nowMs }) === "yes") {
        pieces = await known.apart.piecesOf(message);
      }
      const decision = decide(message, recipient, { resolved, nowMs, pieces, forwardSender });
      if ("kind" in decision) {
        verdicts.push(decision);
        continue;
      }
      const destination = destinationOf(hopOf(recipient, decision), message);
      // Backup and duty go with the route: only what has the same one goes together.
      const way = message.recipients.length === 1
        ? destination.name
        : `${destination.name}\n${JSON.stringify([decision.hop, decision.backup])}`;
      const group = outgoing.get(way);
      if (group === undefined) outgoing.set(way, { destination, route: decision, recipients: [recipient] });
      else group.recipients.push(recipient);
    }
    return { verdicts, outgoing: outgoing.values(), pieces: pieces ?? [] };
  }
}

/** What is found out once for a batch. */
interface Known {
  /** By recipient and sender. */
  readonly resolved: Map<string, Promise<Resolved>>;
  readonly apart: Apart;
}

interface Split {
  readonly verdicts: readonly Verdict[];
  readonly outgoing: Iterable<Group>;
  /** Those that verdicts use. */
  readonly pieces: readonly Piece[];
}

function ownOctets(pieces: Iterable<Piece>): number {
  let octets = 0;
  for (const { own } of pieces) octets += own.length;
  return octets;
}

/** Recipients of a message that go the same way. */
interface Group {
  readonly destination: Destination;
  readonly route: OutRoute;
  readonly recipients: QueuedRecipient[];
}
