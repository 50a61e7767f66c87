/**
 * Messages with UTF-8 header fields for POP3 clients that never asked for UTF8: RFC 6856 forbids to send those raw, so
 * they get RFC 6858's surrogate, whose header is ASCII.
 *
 * Guarantees: sizes told at log-in are the octets sent later, since both come from the same transformation.
 *
 * @module
 */
import { asBuffer, concat } from "../base/bytes.ts";
import { HEADER_OCTETS } from "../base/limits.ts";
import type { MessageKey } from "../mail/message_id.ts";
import { downgradeHeader } from "../mime/downgrade.ts";
import type { AccountId, MaildropListing, Maildrops } from "../store/types.ts";

/** The beginning of what is sent instead of a message's own beginning. */
export interface SurrogateHead {
  readonly bytes: Uint8Array;
  /** The first part not in it. */
  readonly nextPart: number;
  /** Octets of the message (trace fields included) that it stands for. */
  readonly consumedOctets: number;
}

const HEADER_END = new TextEncoder().encode("\r\n\r\n");

/**
 * The surrogate of everything up to the end of the part in which the header section ends. A header longer than
 * {@linkcode HEADER_OCTETS} is sent as it is.
 */
export async function surrogateHead(
  maildrops: Maildrops,
  message: { readonly trace: Uint8Array; readonly key: MessageKey },
): Promise<SurrogateHead> {
  let bytes = message.trace;
  for (let part = 0; bytes.length < HEADER_OCTETS + message.trace.length; part++) {
    const more = await maildrops.part(message.key, part);
    const last = more === undefined;
    if (more !== undefined) bytes = concat([bytes, more]);
    const found = asBuffer(bytes).indexOf(HEADER_END);
    if (found < 0 && !last) continue;
    const headerEnd = found < 0 ? bytes.length : found + HEADER_END.length;
    const header = downgradeHeader(bytes.subarray(0, headerEnd));
    return {
      bytes: concat([header, bytes.subarray(headerEnd)]),
      nextPart: last ? part : part + 1,
      consumedOctets: bytes.length,
    };
  }
  return { bytes: message.trace, nextPart: 0, consumedOctets: message.trace.length };
}

/** Sizes known from earlier sessions, by store: a maildrop's surrogates are made once, not at every poll. */
const knownGrowths = new WeakMap<Maildrops, Map<MessageKey, number>>();
const KNOWN_GROWTHS = 10_000;

/** A listing's sizes with those of the surrogates in place of the originals. */
export async function surrogateSizes(
  maildrops: Maildrops,
  drop: { readonly account: AccountId; readonly listing: MaildropListing },
): Promise<ArrayLike<number>> {
  const sizes = Float64Array.from(drop.listing.sizes);
  const known = knownGrowths.get(maildrops) ?? new Map<MessageKey, number>();
  knownGrowths.set(maildrops, known);
  for (const index of drop.listing.smtpUtf8) {
    const key = drop.listing.keys[index]!;
    let growth = known.get(key);
    if (growth === undefined) {
      const trace = await maildrops.trace(drop.account, key);
      if (trace === undefined) continue;
      const head = await surrogateHead(maildrops, { trace, key });
      growth = head.bytes.length - head.consumedOctets;
      if (known.size >= KNOWN_GROWTHS) known.clear();
      known.set(key, growth);
    }
    sizes[index] = sizes[index]! + growth;
  }
  return sizes;
}
