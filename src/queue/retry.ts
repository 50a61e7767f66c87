/**
 * When a recipient is tried again, when its sender is told of the delay, and when its time is up.
 *
 * Guarantees: pure. A deadline is never before now, so that nothing is looked at twice for the same reason.
 *
 * @module
 */
import type { MessageRequests, NotifyEvent, RecipientRequests } from "../mail/envelope.ts";
import type { QueuedMessage, QueuedRecipient } from "../store/types.ts";

/** What the configuration says about time; all in milliseconds. */
export interface RetryPolicy {
  /** Waits after the first, second, … failure; the last one counts for all that follow. */
  readonly retryMs: readonly number[];
  readonly expireMs: number;
  /** 0: nobody is told of a delay. */
  readonly delayNoticeMs: number;
  /** How long hosts may stay unreachable before a backup route is taken. */
  readonly unreachableAfterMs: number;
}

/** How far a wait is moved by chance, as a part of it, so that what failed together is not tried together for ever. */
const JITTER = 0.1;

/** How long to wait after `failures` failures in a row; `fraction` is a random number in [0, 1). */
export function retryDelayMs(
  failures: number,
  { retryMs, fraction }: { readonly retryMs: readonly number[]; readonly fraction: number },
): number {
  const base = retryMs[Math.min(Math.max(failures, 1), retryMs.length) - 1]!;
  return Math.round(base * (1 - JITTER + 2 * JITTER * fraction));
}

/** The moments in a recipient's wait, in milliseconds since 1970; undefined: it has none. */
export interface Moments {
  /** Its time is up. */
  readonly expireMs: number;
  /** RFC 2852: it was to be delivered by then, or to go back. */
  readonly returnByMs: number | undefined;
  /** Its sender is to be told that it is late. */
  readonly delayMs: number | undefined;
  /** Hosts that can't be reached are given up for the backup route. */
  readonly backupMs: number | undefined;
}

/** Whether a sender wants to be told (RFC 3461 4.1: without NOTIFY, of failures and delays). */
export function wantsNotice(
  event: NotifyEvent,
  message: { readonly reversePath: string },
  requests: RecipientRequests | undefined,
): boolean {
  // RFC 3461 5.2.5 (a): nothing is ever sent to the null reverse-path.
  if (message.reversePath === "") return false;
  return requests?.notify === undefined ? event !== "success" : requests.notify.includes(event);
}

/**
 * Whether a list led to a recipient: it has its keeper's address as reverse-path, and no ORCPT, which everybody else has
 * whose mail is sent on with another reverse-path (RFC 3461 5.2.7.1, 5.2.7.3).
 */
export function isOfList({ reversePath, requests }: QueuedRecipient): boolean {
  return reversePath !== undefined && requests?.orcpt === undefined;
}

/** The moments of one recipient; `backup` says whether it has a backup route for hosts that can't be reached. */
export function momentsOf(
  message: QueuedMessage,
  recipient: QueuedRecipient,
  options: { readonly policy: RetryPolicy; readonly backup: "has-backup" | "no-backup" },
): Moments {
  const { policy, backup } = options;
  const { requests, receivedAtMs } = message;
  const beginMs = Math.max(receivedAtMs, requests?.holdUntilMs ?? 0);
  const backupSinceMs = recipient.wait?.backupSinceMs;
  const waitsForBackup = backup === "has-backup" && backupSinceMs === undefined;
  const returnByMs = requests?.deliverBy?.mode === "return" ? requests.deliverBy.byMs : undefined;
  return {
    // On the backup route its time begins anew.
    expireMs: (backupSinceMs ?? beginMs) + policy.expireMs,
    returnByMs,
    delayMs: delayMs(message, recipient, { policy, beginMs }),
    backupMs: waitsForBackup ? beginMs + Math.min(policy.unreachableAfterMs, policy.expireMs) : undefined,
  };
}

function delayMs(
  message: QueuedMessage,
  recipient: QueuedRecipient,
  { policy, beginMs }: { readonly policy: RetryPolicy; readonly beginMs: number },
): number | undefined {
  if (recipient.wait?.delayTold === true || !wantsNotice("delay", message, recipient.requests)) {
    return undefined;
  }
  const usualMs = policy.delayNoticeMs === 0 ? undefined : beginMs + policy.delayNoticeMs;
  const byMs = notifyByMs(message.requests);
  return usualMs === undefined || byMs === undefined ? usualMs ?? byMs : Math.min(usualMs, byMs);
}

/** RFC 2852 4: in notify mode the sender is told when the time has passed. */
function notifyByMs(requests: MessageRequests | undefined): number | undefined {
  return requests?.deliverBy?.mode === "notify" ? requests.deliverBy.byMs : undefined;
}

/** The next of the moments after `nowMs`. */
export function nextMomentMs(moments: Moments, nowMs: number): number {
  const coming = [moments.expireMs, moments.returnByMs, moments.delayMs, moments.backupMs]
    .filter((atMs): atMs is number => atMs !== undefined && atMs > nowMs);
  return coming.length === 0 ? nowMs : Math.min(...coming);
}
