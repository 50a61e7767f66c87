/** Runs a promise of the store's types on every implementation. */
import { assertEquals, assertRejects } from "@std/assert";
import { FakeClock } from "../../src/base/clock.ts";
import { type Store, StoreError } from "../../src/store/types.ts";
import { implementations } from "../unit/store/fixtures.ts";

/** The time at which each store is opened, in milliseconds since 1970. */
export const OPENED_MS = 5_000_000;

export function contract(promise: string, check: (store: Store, clock: FakeClock) => Promise<void>): void {
  for (const implementation of implementations) {
    Deno.test(`store (${implementation.name}) ${promise}`, async () => {
      const clock = new FakeClock(OPENED_MS);
      const opened = await implementation.open({ clock });
      try {
        await check(opened.store, clock);
      } finally {
        await opened.close();
      }
    });
  }
}

export async function assertStoreError(
  promise: Promise<unknown>,
  kind: StoreError["kind"],
): Promise<StoreError> {
  const error = await assertRejects(() => promise, StoreError);
  assertEquals(error.kind, kind);
  return error;
}
