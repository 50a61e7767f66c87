/**
 * Message ids for what commands make, beside a server that makes its own.
 *
 * @module
 */
import { MESSAGE_ID_SLOTS, type MessageKey, messageKeyGenerator } from "../mail/message_id.ts";
import type { AdminContext } from "./context.ts";

/** Slot 0 is the server's main thread, 1 to 16 are its protocol threads (`threads`, config/settings.ts). */
const FIRST_SLOT = 17;

/**
 * Makes ids for one command. Two commands at the same time have one slot in fifteen in common, and then one millisecond
 * in which to make the same id: the store refuses the second as `conflict`, and nothing is lost.
 */
export async function commandKeys({ store, clock, random }: AdminContext): Promise<() => MessageKey> {
  const slot = FIRST_SLOT + Math.floor(random.fraction() * (MESSAGE_ID_SLOTS - FIRST_SLOT));
  return messageKeyGenerator(clock, slot, await store.history.newestKey());
}
