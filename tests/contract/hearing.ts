/** What a listener hears of a queue, and what states recipients are in. */
import type { QueuedMessage, RecipientState, Store } from "../../src/store/types.ts";

/** Long enough for a call of the listener that must not come. */
export const quiet = () => new Promise((resolve) => setTimeout(resolve, 40));

export async function statesOf(store: Store, key: number): Promise<RecipientState[] | undefined> {
  return (await store.history.message(key))?.recipients.map(({ state }) => state);
}

/** `key/place` of each recipient. */
export function placesOf(messages: readonly QueuedMessage[]): string[] {
  return messages.flatMap(({ key, recipients }) => recipients.map(({ index }) => `${key}/${index}`));
}

/** What a listener heard, in order: `changed`, or the places of messages. */
export function hearing(store: Store): { readonly heard: string[]; readonly messages: QueuedMessage[] } {
  const heard: string[] = [];
  const messages: QueuedMessage[] = [];
  store.deliveries.subscribe({
    messages(given) {
      messages.push(...given);
      heard.push(...placesOf(given));
    },
    changed: () => void heard.push("changed"),
  });
  return { heard, messages };
}
