/**
 * Notifications to senders about what became of their messages (RFC 3464), as messages of this system's own.
 *
 * Guarantees: sent with the null reverse-path, so that none is ever sent about another (RFC 5321 6.1). What is returned of
 * the message fits one part: its header, or all of it where RET or its size allows that.
 *
 * @module
 */
import { isIP } from "node:net";
import { concat } from "../base/bytes.ts";
import { CHUNK_OCTETS } from "../base/limits.ts";
import type { MessageKey } from "../mail/message_id.ts";
import type { EnhancedCode, Reply } from "../mail/reply.ts";
import {
  composeDeliveryReport,
  type DeliveryReport,
  headerSection,
  needs8bit,
  type ReportedRecipient,
} from "../mime/delivery_report.ts";
import { decodeEncodedWords } from "../mime/encoded_word.ts";
import { fieldValue, parseHeader } from "../mime/header.ts";
import type { AcceptedMessage, QueuedMessage } from "../store/types.ts";
import { isGatewayDestination } from "./destination.ts";
import { type Notice, replyText, toldOf } from "./ledger.ts";

/** A message up to this many octets is returned whole where nothing else was asked for. */
const RETURNED_OCTETS = 50_000;
/** With RET=FULL, up to this: more would not fit a part beside the report. */
const FULL_OCTETS = CHUNK_OCTETS - 64 * 1024;

export interface NoticeOptions {
  readonly hostname: string;
  /** The domain that MAILER-DAEMON stands at. */
  readonly domain: string;
  readonly nextKey: () => MessageKey;
  readonly nowMs: number;
  /** Part `index` of a body; undefined past its end. */
  readonly part: (key: MessageKey, index: number) => Promise<Uint8Array | undefined>;
}

/** Makes the notification about some recipients of a message, all with the same action and for the same person. */
export async function composeNotice(
  message: QueuedMessage,
  notices: readonly Notice[],
  options: NoticeOptions,
): Promise<AcceptedMessage> {
  const { hostname, domain, nowMs } = options;
  const to = notices.length === 0 ? message.reversePath : toldOf(message, notices[0]!.recipient);
  const first = await options.part(message.key, 0) ?? new Uint8Array();
  const header = headerSection(first);
  const fields = parseHeader(header);
  const subject = fieldValue(fields, "subject");
  const messageId = fieldValue(fields, "message-id");
  const key = options.nextKey();
  const report: DeliveryReport = {
    hostname,
    from: `MAILER-DAEMON@${domain}`,
    to,
    atMs: nowMs,
    key,
    arrivedAtMs: message.receivedAtMs,
    // RFC 3461 5.2.7.1: who keeps a list knows nothing of the sender's name for the envelope.
    ...message.requests?.envid === undefined || to !== message.reversePath
      ? {}
      : { envid: message.requests.envid },
    ...subject === undefined ? {} : { subjectOf: decodeEncodedWords(subject) },
    ...messageId === undefined ? {} : { messageId },
    recipients: notices.map((notice) => reported(notice, nowMs)),
    original: await original(message, notices, { first, header, part: options.part }),
    smtpUtf8: message.smtpUtf8,
  };
  const octets = composeDeliveryReport(report);
  return {
    key,
    lastPart: octets,
    size: octets.length,
    receivedAtMs: nowMs,
    envelope: {
      reversePath: "",
      recipients: [to],
      smtpUtf8: message.smtpUtf8,
      ...needs8bit(octets) ? { requests: { body: "8BITMIME" } } : {},
    },
    origin: { client: "", helo: hostname, transmission: "ESMTP", made: "notification" },
    messageId: fieldValue(parseHeader(octets), "message-id")?.replace(/^<(.*)>$/, "$1") ?? "",
  };
}

/** How much of the message goes back (RFC 3461 4.3: without RET it is up to us; a delay or a delivery needs no content). */
async function original(
  message: QueuedMessage,
  notices: readonly Notice[],
  { first, header, part }: {
    readonly first: Uint8Array;
    readonly header: Uint8Array;
    readonly part: NoticeOptions["part"];
  },
): Promise<DeliveryReport["original"]> {
  const asked = message.requests?.ret;
  const limit = asked === "FULL" ? FULL_OCTETS : RETURNED_OCTETS;
  // RFC 3461 6.2: RET=FULL counts for failures only.
  const isFailure = notices.every(({ action }) => action === "failed");
  // RFC 8689 5: a message that had to be protected does not go back whole.
  const isHeadersOnly = asked === "HDRS" || message.requests?.requireTls === true;
  if (!isFailure || isHeadersOnly || message.size > limit) return { kind: "headers", octets: header };
  const parts = [first];
  for (let octets = first.length; octets < message.size; octets += parts.at(-1)!.length) {
    const next = await part(message.key, parts.length);
    if (next === undefined) return { kind: "headers", octets: header };
    parts.push(next);
  }
  return { kind: "full", octets: parts.length === 1 ? first : concat(parts) };
}

function reported(notice: Notice, nowMs: number): ReportedRecipient {
  const { recipient, action, reply, by, said, reason, dialogue, retryUntilMs } = notice;
  const isGateway = isGatewayDestination(by);
  return {
    recipient: recipient.recipient,
    ...recipient.requests?.orcpt === undefined ? {} : { orcpt: recipient.requests.orcpt },
    action,
    status: statusOf(action, reply),
    // RFC 3464 2.3.5: a name in its own system; a gateway has none that means anything elsewhere, and speaks no SMTP.
    ...by === "" || isGateway ? {} : { remoteMta: hostOf(by) },
    // RFC 3464 2.3.6: what the other side said, not what was made of it here.
    ...reply === undefined || said === "here" || isGateway ? {} : { diagnostic: replyText(reply) },
    ...action === "failed" || action === "delayed" ? { lastAttemptMs: nowMs } : {},
    ...retryUntilMs === undefined ? {} : { willRetryUntilMs: retryUntilMs },
    reason,
    ...dialogue === "" ? {} : { dialogue },
  };
}

/** RFC 3463: the code the reply carries, or the plainest one of its class. */
function statusOf(action: Notice["action"], reply: Reply | undefined): EnhancedCode {
  if (action === "delayed") return "4.4.7";
  if (action !== "failed") {
    return action === "relayed" && reply?.enhanced !== undefined ? reply.enhanced : "2.0.0";
  }
  // RFC 3464 2.3.4 wants the class of the outcome: given up for good.
  const enhanced = reply?.enhanced;
  if (enhanced === undefined) return "5.0.0";
  return enhanced.startsWith("2") ? "5.0.0" : enhanced;
}

/** RFC 3464 2.1.2: a host by its name, or as an address literal. */
function hostOf(by: string): string {
  const host = by.replace(/ \[.*$/, "");
  return isIP(host) === 0 ? host : isIP(host) === 4 ? `[${host}]` : `[IPv6:${host}]`;
}
