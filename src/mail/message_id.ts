/**
 * A message's own id: the name under which the log, `emsmail trace`, the 250 reply, the Received field and POP3's
 * unique-id all know it.
 *
 * Guarantees: 47 bits, so that a JavaScript number and an SQLite rowid (with 16 bits for the part) hold it; ids of one
 * generator strictly rise; two generators with different slots never make the same one. An id is never used again,
 * because it holds the time it was made, which is what makes it fit for POP3's unique-id (RFC 1939 7).
 *
 * Layout: 39 bits of milliseconds since 2026-01-01 (17 years), 5 bits of slot (the thread), 3 bits of counter.
 *
 * @module
 */
import type { Clock } from "../base/clock.ts";

/** A message's number. */
export type MessageKey = number;

const EPOCH_MS = Date.UTC(2026, 0, 1);
const COUNTERS = 2 ** 3;
const SLOTS = 2 ** 5;
const MILLISECOND = COUNTERS * SLOTS;
const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const DIGITS = 10;

/** How many generators may work side by side. */
export const MESSAGE_ID_SLOTS = SLOTS;

/** Makes ids for one slot; `after` is the largest id known so far, so that a clock set back repeats nothing. */
export function messageKeyGenerator(clock: Clock, slot: number, after: MessageKey = 0): () => MessageKey {
  if (!Number.isInteger(slot) || slot < 0 || slot >= SLOTS) {
    throw new RangeError(`message id slot ${slot} is not a whole number from 0 to ${SLOTS - 1}`);
  }
  let tick = Math.floor(after / MILLISECOND);
  let counter = COUNTERS - 1;
  return () => {
    const nowTick = Math.max(0, Math.floor(clock.nowMs()) - EPOCH_MS);
    if (nowTick > tick) {
      tick = nowTick;
      counter = 0;
    } else if (++counter >= COUNTERS) {
      // More than eight in a millisecond: borrow from the next one rather than wait for it.
      tick++;
      counter = 0;
    }
    return tick * MILLISECOND + slot * COUNTERS + counter;
  };
}

/** When the id was made, in milliseconds since 1970 (to within what a burst borrowed). */
export function messageKeyTimeMs(key: MessageKey): number {
  return Math.floor(key / MILLISECOND) + EPOCH_MS;
}

/** The id as people see it: ten characters that sort by time, without i, l, o and u. */
export function formatMessageKey(key: MessageKey): string {
  let text = "";
  let rest = key;
  for (let i = 0; i < DIGITS; i++) {
    text = ALPHABET[rest % 32] + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}

/** Reads an id back; undefined where the text is not one. */
export function parseMessageKey(text: string): MessageKey | undefined {
  // Not only the length: K (the Kelvin sign) is k in lower case.
  if (!/^[0-9A-Za-z]{10}$/.test(text)) return undefined;
  let key = 0;
  for (const character of text.toLowerCase()) {
    const digit = ALPHABET.indexOf(character);
    if (digit < 0) return undefined;
    key = key * 32 + digit;
  }
  return key < 2 ** 47 ? key : undefined;
}
