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
import type { AccountId, MaildropListing, Maildrops, MessageHead } from "../store/types.ts";

/** The beginning of what is sent for a message. */
export interface Opening {
  readonly pieces: readonly Uint8Array[];
  /** The first part not in it. */
  readonly nextPart: number;
  /** Octets of the message (trace fields included) that it stands for. */
  readonly consumedOctets: number;
}

const HEADER_END = new TextEncoder().encode("\r\n\r\n");

/** A message's own beginning. */
export function plainOpening({ trace, firstPart }: MessageHead): Opening {
  return { pieces: [trace, firstPart], nextPart: 1, consumedOctets: trace.length + firstPart.length };
}

/**
 * The surrogate of everything up to the end of the part in which the header section ends. A header longer than
 * {@linkcode HEADER_OCTETS} is sent as it is.
 */
export async function surrogateOpening(
  maildrops: Maildrops,
  message: { readonly head: MessageHead; readonly key: MessageKey },
): Promise<Opening> {
  const { trace, firstPart } = message.head;
  let bytes = concat([trace, firstPart]);
  for (let nextPart = 1; bytes.length < HEADER_OCTETS + trace.length + firstPart.length; nextPart++) {
    const found = asBuffer(bytes).indexOf(HEADER_END);
    const more = found < 0 ? await maildrops.part(message.key, nextPart) : undefined;
    if (more !== undefined) {
      bytes = concat([bytes, more]);
      continue;
    }
    const headerEnd = found < 0 ? bytes.length : found + HEADER_END.length;
    const header = downgradeHeader(bytes.subarray(0, headerEnd));
    return { pieces: [header, bytes.subarray(headerEnd)], nextPart, consumedOctets: bytes.length };
  }
  return plainOpening(message.head);
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
      const head = await maildrops.open(drop.account, key);
      if (head === undefined) continue;
      const opening = await surrogateOpening(maildrops, { head, key });
      growth = opening.pieces.reduce((sum, piece) => sum + piece.length, 0) - opening.consumedOctets;
      if (known.size >= KNOWN_GROWTHS) known.clear();
      known.set(key, growth);
    }
    sizes[index] = sizes[index]! + growth;
  }
  return sizes;
}
