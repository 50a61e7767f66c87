/**
 * A message's whole life, as far as it is remembered.
 *
 * @module
 */
import { formatMessageKey, parseMessageKey } from "../mail/message_id.ts";
import type { MessageHistory, RecipientState } from "../store/types.ts";
import { type AdminContext, isoTime } from "./context.ts";
import { AdminError } from "./error.ts";

/** What became of one recipient. */
export interface RecipientTrace {
  readonly recipient: string;
  readonly state: RecipientState;
  /** When it came into that state. */
  readonly at: string;
  /** A sentence from whoever decided it; may be "". */
  readonly detail: string;
  readonly maildrops: readonly {
    readonly account: string;
    /** When it was taken out again; null: it is still there. */
    readonly removedAt: string | null;
  }[];
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
  readonly recipients: readonly RecipientTrace[];
}

/**
 * Messages by the system's own id, or by their Message-ID, with or without angle brackets, newest first. Several
 * messages may share a Message-ID.
 * @throws {AdminError} where none is known
 */
export async function traceMessage(
  { store: { history }, config }: AdminContext,
  id: string,
): Promise<MessageTrace[]> {
  const text = id.trim();
  const key = parseMessageKey(text);
  const own = key === undefined ? undefined : await history.message(key);
  const found = own === undefined ? await history.byMessageId(text.replace(/^<(.*)>$/, "$1")) : [own];
  if (found.length > 0) return found.map(traceOf);
  const days = Math.round(config.history.keep / 86_400_000);
  throw new AdminError(
    `no message with the id ${text} is known`,
    `give the id from the log, the 250 reply or 'emsmail mail list', or its Message-ID; ` +
      `messages that are gone are remembered for ${days} days`,
  );
}

function traceOf(message: MessageHistory): MessageTrace {
  const { origin } = message;
  return {
    id: formatMessageKey(message.key),
    messageId: message.messageId,
    receivedAt: isoTime(message.receivedAtMs),
    bytes: message.size,
    from: message.reversePath,
    client: origin.client,
    helo: origin.helo,
    protocol: origin.transmission,
    tls: origin.tls ?? null,
    account: origin.account ?? null,
    recipients: message.recipients.map((recipient) => ({
      recipient: recipient.recipient,
      state: recipient.state,
      at: isoTime(recipient.atMs),
      detail: recipient.detail,
      maildrops: recipient.maildrops.map(({ account, removedAtMs }) => ({
        account,
        removedAt: removedAtMs === undefined ? null : isoTime(removedAtMs),
      })),
    })),
  };
}
